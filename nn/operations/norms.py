"""Norms of vectors and matrices, and distances."""

import math
from typing import Any

import numpy as np

import kernels
from nn.operations.arguments import array_of, axes_of, floating, numpy_names, scalar_of, sum_to, word_of
from nn.operations.arithmetic import abs, div, matmul, mul, reshaped, sub
from nn.operations.conversion import as_dtype
from nn.operations.elementwise import masked_fill, pow, where
from nn.operations.extremes import amax, amin
from nn.operations.orders import movedim, transpose
from nn.operations.reductions import check_keepdim, sum
from nn.operations.shapes import reshape, squeeze, unsqueeze
from nn.operations.singular_values import svdvals
from nn.storage import wrap
from nn.tape import ieee, record

__all__ = ["cdist", "dist", "norm"]


@numpy_names
def vector_norm(x, ord: Any = 2, dim=None, keepdim=False, *, dtype=None):
    """(Σ |x|ᵖ)^(1/p) over `dim`, an int, several, or None for all; its gradient is 0 where it is 0.

    Parameters
    ----------
    ord : float, default 2
        The number p. inf and -inf mean the largest and the smallest magnitude, 0 the number of elements that are not 0.
    dtype : optional
        The dtype that elements are converted to.

    Raises
    ------
    TypeError
        The tensor is not floating point.
    """
    return _norm("vector_norm", x, ord, dim, keepdim, dtype, "ord")


@numpy_names
def norm(input, p: Any = "fro", dim=None, keepdim=False, *, dtype=None):
    """As `vector_norm`, of all elements or over `dim`; "fro" is 2, "nuc" the sum of a matrix's singular values.

    Raises
    ------
    ValueError
        `p` is another word; with "nuc", `dim` are not two dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.norm(nn.tensor([3.0, 4.0]))
    tensor(5.)
    """
    if isinstance(p, str) and p == "nuc":
        return matrix_norm(input, p, tuple(range(input.array.ndim)) if dim is None else dim, keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: p must be a number, 'fro' or 'nuc', got {p!r}")
    return _norm("norm", input, 2 if p is None or p == "fro" else p, dim, keepdim, dtype)


def _norm(name, input, p, dim, keepdim, dtype, argument="p"):
    if keepdim is not False:
        check_keepdim(name, keepdim)
    if dtype is not None:
        input = as_dtype(name, input, dtype)
    x, p = floating(name, input), scalar_of(name, argument, p)
    dims = (
        tuple(range(x.ndim))
        if dim is None or dim == () or dim == [] or not x.ndim
        else axes_of(name, dim, x.ndim, "dim")
    )
    if math.isinf(p):
        return (amax if p > 0 else amin)(abs(input), dims, keepdim)
    if p == 0:
        nonzero = x != 0
        return sum(masked_fill(masked_fill(input, nonzero, 1), ~nonzero, 0), dims, keepdim)
    if p == 1:
        return sum(abs(input), dims, keepdim)
    return _power_norm(input, p, dims, keepdim)


@ieee
def _power_norm(input, p, dims, keepdim):
    x = input.array
    total = kernels.sum(x * x if p == 2 else np.abs(x) ** p, dims, True)
    root = np.sqrt(total) if p == 2 else total ** (1 / p)

    def backward(dy):
        dy = dy.reshape(root.shape)
        if p == 2:
            return x * np.where(root == 0, 0, dy / root)
        slope = np.where(x == 0, 0, np.sign(x) * np.abs(x) ** (p - 1))
        return slope * np.where(root == 0, 0, dy / root ** (p - 1))

    def derivative(dy, input, y):
        y, zero = reshaped(y, root.shape), root == 0
        divisor = where(zero, 1, y)
        factor = where(zero, 0, div(reshaped(dy, root.shape), divisor if p == 2 else pow(divisor, p - 1)))
        if p == 2:
            return mul(input, factor)
        magnitude = where(x == 0, 1, abs(input))  # the power of 0 has no derivative
        return mul(mul(pow(magnitude, p - 1), np.sign(x)), factor)

    y = root if keepdim else root.squeeze(dims)
    return record("norm", y, (input,), backward, (input,), derivative=derivative, saves_result=True)


def matrix_norm(A, ord: Any = "fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """The norm of matrices, which two dimensions hold.

    Parameters
    ----------
    ord : {"fro", "nuc", 1, -1, 2, -2, inf, -inf}
        "fro" is the root of the sum of squares; 1 and -1 are the largest and the smallest sum of magnitudes in a
        column, inf and -inf those in a row; "nuc" is the sum of the singular values, 2 and -2 are the largest and the
        smallest of them.

    Raises
    ------
    ValueError
        `dim` are not two dimensions, or `ord` is another one.
    TypeError
        The tensor is not floating point.
    """
    if keepdim is not False:
        check_keepdim("matrix_norm", keepdim)
    axes = axes_of("matrix_norm", dim, array_of("matrix_norm", A, "A").ndim, "dim")
    if len(axes) != 2 or A.array.ndim < 2:
        raise ValueError(f"matrix_norm: dim must be two dimensions, got {dim} of {A.array.shape}")
    if ord == "fro":
        return _norm("matrix_norm", A, 2, axes, keepdim, dtype)
    if ord not in ("nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise ValueError(f"matrix_norm: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {ord!r}")
    if ord in ("nuc", 2, -2):
        values = svdvals(movedim(A if dtype is None else as_dtype("matrix_norm", A, dtype), axes, (-2, -1)))
        y = sum(values, -1) if ord == "nuc" else (amax if ord > 0 else amin)(values, -1)
        return reshape(y, [1 if d in axes else n for d, n in enumerate(A.array.shape)]) if keepdim else y
    added, compared = axes if ord in (1, -1) else axes[::-1]
    sums = _norm("matrix_norm", A, 1, added, True, dtype)
    y = (amax if ord > 0 else amin)(sums, compared, True)
    return y if keepdim else squeeze(y, axes)


def linalg_norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """The norm of a vector or a matrix.

    Without `ord` the root of the sum of the squares of all elements, or over `dim`. With it, `vector_norm` of a vector
    or over one dimension, `matrix_norm` of a matrix or over two.

    Raises
    ------
    ValueError
        With `ord` and without `dim`, the tensor is neither a vector nor a matrix; or as `matrix_norm`.
    """
    if ord is None:
        return _norm("norm", A, 2, dim, keepdim, dtype)
    if dim is None:
        if A.array.ndim not in (1, 2):
            raise ValueError(f"norm: with ord but no dim needs a vector or a matrix, the tensor is {A.array.shape}")
        dim = tuple(range(A.array.ndim))
    if isinstance(dim, (tuple, list)) and len(dim) == 2:
        return matrix_norm(A, ord, tuple(dim), keepdim, dtype=dtype)
    if isinstance(ord, str):
        raise ValueError(f"norm: ord {ord!r} is that of a matrix, dim is {dim}")
    return _norm("norm", A, ord, dim, keepdim, dtype, "ord")


def dist(input, other, p: Any = 2):
    """The p-norm of the difference of two tensors, which broadcast.

    Examples
    --------
    >>> import nn
    >>> nn.dist(nn.tensor([0.0, 0.0]), nn.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return _norm("dist", sub(input, other), p, None, False, None)


MATRIX_PRODUCT = {  # name of PyTorch -> whether distances of that many rows are computed from a matrix product
    "use_mm_for_euclid_dist_if_necessary": lambda rows: rows > 25,
    "use_mm_for_euclid_dist": lambda rows: True,
    "donot_use_mm_for_euclid_dist": lambda rows: False,
}


def cdist(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
    """The p-norms of the differences of each row of one tensor and each of another.

    Parameters
    ----------
    x1, x2 : Tensor (*B, P, M) and (*B, R, M)
        Leading dimensions broadcast.
    p : float, default 2
    compute_mode : str
        From more than 25 rows on, distances for p = 2 are computed from a matrix product: faster, unless many rows
        are near to each other.

    Returns
    -------
    Tensor (*B, P, R)

    Raises
    ------
    ValueError
        Shapes do not fit, p is negative, or the mode is unknown.
    TypeError
        A tensor is not floating point.

    Examples
    --------
    >>> import nn
    >>> nn.cdist(nn.tensor([[0.0, 0.0]]), nn.tensor([[3.0, 4.0], [1.0, 0.0]]))
    tensor([[5., 1.]])
    """
    x, y, p = floating("cdist", x1), floating("cdist", x2), scalar_of("cdist", "p", p)
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-1]:
        raise ValueError(f"cdist: needs rows of equal length, got x1 of {x.shape} and x2 of {y.shape}")
    if p < 0:
        raise ValueError(f"cdist: p must not be negative, got {p}")
    product = MATRIX_PRODUCT[word_of("cdist", "compute_mode", compute_mode, MATRIX_PRODUCT)]
    if p == 2 and x.dtype == y.dtype and product(max(x.shape[-2], y.shape[-2])):
        return _euclidean(x1, x2)
    return _norm("cdist", sub(unsqueeze(x1, -2), unsqueeze(x2, -3)), p, -1, False, None)


def _euclidean(x1, x2):
    """Distances from the squares of both and their product; the gradient of a distance of 0 is 0."""
    x, y = x1.array, x2.array
    squares = kernels.sum(x * x, -1, True) + kernels.sum(y * y, -1, True).swapaxes(-2, -1)
    square = squares - 2 * kernels.matmul(x, y.swapaxes(-2, -1))
    near = np.nonzero(square < squares / 16)  # the difference has lost four of its bits: anew from the rows
    if near[0].size:
        first, second = (np.broadcast_to(each, (*square.shape[:-2], *each.shape[-2:])) for each in (x, y))
        difference = first[near[:-1]] - second[(*near[:-2], near[-1])]
        square[near] = kernels.sum(difference * difference, -1)
    distance = np.sqrt(square)

    def derivative(dy, x1, x2, result):
        zero = distance == 0
        ratio = where(zero, 0, div(dy, where(zero, 1, result)))
        turned = transpose(ratio, -2, -1)
        d1 = sub(mul(x1, sum(ratio, -1, True)), matmul(ratio, x2))
        d2 = sub(mul(x2, sum(turned, -1, True)), matmul(turned, x1))
        return sum_to(d1, x.shape), sum_to(d2, y.shape)

    def backward(dy):
        return tuple(d.array for d in derivative(wrap(dy), wrap(x), wrap(y), wrap(distance)))

    return record("cdist", distance, (x1, x2), backward, (x1, x2), derivative=derivative, saves_result=True)

"""Products of vectors and matrices by name, all on `matmul`."""

import itertools
import math
from typing import Any

from nn.operations.arguments import array_of, axis_of, scalar_of, tensors_of
from nn.operations.arithmetic import add, matmul, mul, reshaped
from nn.operations.conversion import to
from nn.operations.orders import permute
from nn.operations.reductions import sum
from nn.operations.shapes import reshape

__all__ = ["addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "chain_matmul", "dot", "ger", "inner", "mm", "mv"]
__all__ += ["outer", "tensordot", "vdot"]


def _expect(name, **operands):
    """ValueError unless each tensor has the number of dimensions that is given with it."""
    for argument, (tensor, ndim) in operands.items():
        if array_of(name, tensor, argument).ndim != ndim:
            raise ValueError(f"{name}: {argument} must have {ndim} dimensions, got shape {tensor.array.shape}")


def mm(input, mat2):
    """The product of two matrices.

    Examples
    --------
    >>> import nn
    >>> nn.mm(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), nn.eye(2))
    tensor([[1., 2.],
            [3., 4.]])
    """
    _expect("mm", input=(input, 2), mat2=(mat2, 2))
    return matmul(input, mat2)


def bmm(input, mat2):
    """The products of the matrices of two stacks of equal length.

    Examples
    --------
    >>> import nn
    >>> nn.bmm(nn.zeros(5, 2, 3), nn.zeros(5, 3, 4)).shape
    (5, 2, 4)
    """
    _expect("bmm", input=(input, 3), mat2=(mat2, 3))
    if input.array.shape[0] != mat2.array.shape[0]:
        raise ValueError(f"bmm: lengths of stacks differ: input is {input.array.shape}, mat2 is {mat2.array.shape}")
    return matmul(input, mat2)


def mv(input, vec):
    """The product of a matrix and a vector.

    Examples
    --------
    >>> import nn
    >>> nn.mv(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), nn.ones(2))
    tensor([3., 7.])
    """
    _expect("mv", input=(input, 2), vec=(vec, 1))
    return matmul(input, vec)


def dot(input, tensor):
    """The sum of the products of the elements of two vectors.

    Examples
    --------
    >>> import nn
    >>> nn.dot(nn.tensor([1.0, 2.0]), nn.tensor([3.0, 4.0]))
    tensor(11.)
    """
    _expect("dot", input=(input, 1), tensor=(tensor, 1))
    return matmul(input, tensor)


def vdot(input, other):
    """As `dot`, which of real numbers it is.

    Examples
    --------
    >>> import nn
    >>> nn.vdot(nn.tensor([1.0, 2.0]), nn.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return dot(input, other)


def inner(input, other):
    """The sums of products over the last dimensions of both; of a number, the product with it.

    Examples
    --------
    >>> import nn
    >>> nn.inner(nn.tensor([1.0, 2.0]), nn.tensor([3.0, 4.0]))
    tensor(11.)
    """
    x, y = array_of("inner", input), array_of("inner", other, "other")
    if not (x.ndim and y.ndim):
        return mul(input, other)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"inner: last dimensions differ: input is {x.shape}, other is {y.shape}")
    return tensordot(input, other, ([-1], [-1]))


def outer(input, vec2):
    """The products of each element of one vector with each of another: a matrix.

    Examples
    --------
    >>> import nn
    >>> nn.outer(nn.tensor([1.0, 2.0]), nn.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    _expect("outer", input=(input, 1), vec2=(vec2, 1))
    return mul(reshaped(input, (input.array.size, 1)), vec2)


def ger(input, vec2):
    """As `outer`.

    Examples
    --------
    >>> import nn
    >>> nn.ger(nn.tensor([1.0, 2.0]), nn.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    return outer(input, vec2)


def _weighted(name, input, product, beta, alpha):
    """``beta * input + alpha * product``; with a beta of 0, `input` is not used, not even its NaN."""
    dtype = product.array.dtype
    alpha, beta = scalar_of(name, "alpha", alpha), scalar_of(name, "beta", beta)
    if dtype.kind != "f":  # PyTorch converts the factors, too
        alpha, beta = int(alpha), int(beta)
    product = product if alpha == 1 else mul(product, alpha)
    result = product if beta == 0 else add(input if beta == 1 else mul(input, beta), product)
    return to(result, dtype) if dtype.kind == "b" else result


def addmm(input, mat1, mat2, *, beta: Any = 1, alpha: Any = 1):
    """``beta * input + alpha * (mat1 @ mat2)`` of matrices; `input` broadcasts.

    Examples
    --------
    >>> import nn
    >>> nn.addmm(nn.ones(2, 2), nn.tensor([[1.0, 2.0], [3.0, 4.0]]), nn.eye(2))
    tensor([[2., 3.],
            [4., 5.]])
    """
    _expect("addmm", mat1=(mat1, 2), mat2=(mat2, 2))
    return _weighted("addmm", input, matmul(mat1, mat2), beta, alpha)


def addmv(input, mat, vec, *, beta: Any = 1, alpha: Any = 1):
    """``beta * input + alpha * (mat @ vec)``; `input` broadcasts.

    Examples
    --------
    >>> import nn
    >>> nn.addmv(nn.ones(2), nn.tensor([[1.0, 2.0], [3.0, 4.0]]), nn.ones(2))
    tensor([4., 8.])
    """
    return _weighted("addmv", input, mv(mat, vec), beta, alpha)


def addr(input, vec1, vec2, *, beta: Any = 1, alpha: Any = 1):
    """``beta * input + alpha * outer(vec1, vec2)``; `input` broadcasts.

    Examples
    --------
    >>> import nn
    >>> nn.addr(nn.ones(2, 2), nn.ones(2), nn.ones(2))
    tensor([[2., 2.],
            [2., 2.]])
    """
    return _weighted("addr", input, outer(vec1, vec2), beta, alpha)


def baddbmm(input, batch1, batch2, *, beta: Any = 1, alpha: Any = 1):
    """``beta * input + alpha * bmm(batch1, batch2)``; `input` broadcasts.

    Examples
    --------
    >>> import nn
    >>> nn.baddbmm(nn.ones(5, 2, 4), nn.zeros(5, 2, 3), nn.zeros(5, 3, 4)).shape
    (5, 2, 4)
    """
    return _weighted("baddbmm", input, bmm(batch1, batch2), beta, alpha)


def addbmm(input, batch1, batch2, *, beta: Any = 1, alpha: Any = 1):
    """``beta * input + alpha * bmm(batch1, batch2).sum(0)``; `input` broadcasts.

    Examples
    --------
    >>> import nn
    >>> nn.addbmm(nn.ones(2, 4), nn.zeros(5, 2, 3), nn.zeros(5, 3, 4)).shape
    (2, 4)
    """
    return _weighted("addbmm", input, sum(bmm(batch1, batch2), 0), beta, alpha)


def tensordot(a, b, dims: Any = 2):
    """The sums of products over several dimensions of two tensors: one matrix product.

    Parameters
    ----------
    dims : int or pair of lists of int
        Over how many of the last dimensions of `a` and the first of `b` to sum, or which of both. A dimension of length
        1 broadcasts.

    Raises
    ------
    ValueError
        Lengths differ, or one list is longer.

    Examples
    --------
    >>> import nn
    >>> nn.tensordot(nn.zeros(2, 3, 4), nn.zeros(3, 4, 5), 2).shape
    (2, 5)
    """
    x, y = array_of("tensordot", a, "a"), array_of("tensordot", b, "b")
    if isinstance(dims, int):
        if not 0 <= dims <= min(x.ndim, y.ndim):
            raise ValueError(f"tensordot: dims must be from 0 to {min(x.ndim, y.ndim)}, got {dims}")
        dims = range(x.ndim - dims, x.ndim), range(dims)
    elif not isinstance(dims, (tuple, list)) or len(dims) != 2:
        raise TypeError(f"tensordot: dims must be an int or a pair of lists of ints, got {type(dims).__name__}")
    mine, theirs = (d if hasattr(d, "__iter__") else [d] for d in dims)
    mine = [axis_of("tensordot", d, x.ndim, "dims of a") for d in mine]
    theirs = [axis_of("tensordot", d, y.ndim, "dims of b") for d in theirs]
    lengths = [x.shape[d] for d in mine], [y.shape[d] for d in theirs]
    if lengths[0] != lengths[1]:
        if len(mine) == len(theirs) and all(1 in pair or len({*pair}) == 1 for pair in zip(*lengths, strict=True)):
            return tensordot(_summed(a, mine, lengths[1]), _summed(b, theirs, lengths[0]), (mine, theirs))
        raise ValueError(f"tensordot: lengths to sum over differ: {lengths[0]} of {x.shape}, {lengths[1]} of {y.shape}")
    rows, columns = ([d for d in range(z.ndim) if d not in summed] for z, summed in ((x, mine), (y, theirs)))
    above, below = [x.shape[d] for d in rows], [y.shape[d] for d in columns]
    left = reshape(permute(a, (*rows, *mine)), (math.prod(above), math.prod(lengths[0])))
    right = reshape(permute(b, (*theirs, *columns)), (math.prod(lengths[0]), math.prod(below)))
    return reshape(matmul(left, right), (*above, *below))


def _summed(tensor, dims, others):
    """The tensor, summed over those of the dimensions that have length 1 in the other one."""
    longer = tuple(d for d, n in zip(dims, others, strict=True) if n == 1 != tensor.array.shape[d])
    return sum(tensor, longer, True) if longer else tensor


def multi_dot(tensors):
    """The product of several matrices, in the order that multiplies least; the first and the last may be vectors.

    Raises
    ------
    ValueError
        There are fewer than two, their dimensions do not fit, or one has more than two.

    Reference: Cormen et al., "Introduction to Algorithms", section 15.2.
    """
    tensors = list(tensors_of("multi_dot", tensors))
    if len(tensors) < 2:
        raise ValueError(f"multi_dot: needs at least 2 tensors, got {len(tensors)}")
    first, last = tensors[0].array.ndim == 1, tensors[-1].array.ndim == 1
    if first:
        tensors[0] = reshape(tensors[0], (1, -1))
    if last:
        tensors[-1] = reshape(tensors[-1], (-1, 1))
    y = _chained("multi_dot", tensors)
    return reshape(y, y.array.shape[first : 2 - last])


def chain_matmul(*matrices):
    """The product of several matrices, in the order that multiplies least; as `multi_dot`.

    Examples
    --------
    >>> import nn
    >>> nn.chain_matmul(nn.zeros(2, 3), nn.zeros(3, 4), nn.zeros(4, 5)).shape
    (2, 5)
    """
    tensors_of("chain_matmul", matrices)
    return matrices[0] if len(matrices) == 1 else _chained("chain_matmul", matrices)


def _chained(name, matrices):
    shapes = [m.array.shape for m in matrices]
    if any(len(shape) != 2 for shape in shapes) or any(a[1] != b[0] for a, b in itertools.pairwise(shapes)):
        raise ValueError(f"{name}: shapes do not fit: {', '.join(map(str, shapes))}")
    sizes = [shape[0] for shape in shapes] + [shapes[-1][1]]
    n = len(matrices)
    cost, cut = {(i, i): 0 for i in range(n)}, {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j], cut[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )

    def product(i, j):
        return matrices[i] if i == j else matmul(product(i, cut[i, j]), product(cut[i, j] + 1, j))

    return product(0, n - 1)

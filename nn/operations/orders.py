"""Other orders of the same elements: of dimensions, as views, and along them."""

from functools import partial

import numpy as np

from nn.operations.arguments import array_of, axes_of, axis_of, int_of, sizes_of
from nn.operations.shapes import reshape
from nn.tape import record_linear

__all__ = ["flip", "fliplr", "flipud", "moveaxis", "movedim", "permute", "roll", "rot90", "swapaxes", "swapdims", "t"]
__all__ += ["transpose"]


def transpose(input, dim0, dim1):
    """Swap two dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.transpose(nn.zeros(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    x = array_of("transpose", input)
    try:
        x.swapaxes(dim0, dim1)
    except np.exceptions.AxisError:
        axis_of("transpose", dim0, x.ndim, "dim0"), axis_of("transpose", dim1, x.ndim, "dim1")
        return reshape(input, ())  # 0-d
    swap = partial(np.swapaxes, axis1=dim0, axis2=dim1)
    return record_linear("transpose", swap, swap, input, view=True)


def swapaxes(input, axis0, axis1):
    """As `transpose`.

    Examples
    --------
    >>> import nn
    >>> nn.swapaxes(nn.zeros(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    return transpose(input, axis0, axis1)


def swapdims(input, dim0, dim1):
    """As `transpose`.

    Examples
    --------
    >>> import nn
    >>> nn.swapdims(nn.zeros(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    return transpose(input, dim0, dim1)


def t(input):
    """The transpose of a matrix; tensors of fewer dimensions as they are.

    Raises
    ------
    ValueError
        There are more than two dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.t(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 3.],
            [2., 4.]])
    """
    if array_of("t", input).ndim > 2:
        raise ValueError(f"t: needs at most 2 dimensions, the tensor is {input.array.shape}; use mT")
    return reversed_dims(input)


def permute(input, dims, *more):
    """Put the dimensions into another order, a tuple or several ints.

    Examples
    --------
    >>> import nn
    >>> nn.permute(nn.zeros(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    dims, ndim = sizes_of((dims, *more)), array_of("permute", input).ndim
    order = [axis_of("permute", d, ndim) for d in dims]
    if sorted(order) != list(range(ndim)):
        raise ValueError(f"permute: dims must name each of {ndim} dimensions once, got {tuple(dims)}")
    inverse = tuple(order.index(d) for d in range(ndim))
    return record_linear("permute", lambda x: x.transpose(order), lambda dy: dy.transpose(inverse), input, view=True)


def reversed_dims(input):
    """The transpose: all dimensions in reverse order."""
    return record_linear("T", np.transpose, np.transpose, input, view=True)


def matrix_transpose(input):
    """The transpose of each matrix: the last two dimensions swapped."""
    return transpose(input, -2, -1)


def hermitian(input):
    """The transpose of a matrix, which of real numbers is the conjugate transpose.

    Raises
    ------
    ValueError
        There are more or fewer than two dimensions.
    """
    if input.array.ndim not in (0, 2):
        raise ValueError(f"H: needs a matrix, the tensor is {input.array.shape}; use mH")
    return reversed_dims(input)


def movedim(input, source, destination):
    """Move dimensions to other places; the others keep their order.

    Parameters
    ----------
    source, destination : int or tuple of int

    Raises
    ------
    ValueError
        There are not as many places as dimensions, or some are named twice.

    Examples
    --------
    >>> import nn
    >>> nn.movedim(nn.zeros(2, 3, 4), 0, 2).shape
    (3, 4, 2)
    """
    ndim = array_of("movedim", input).ndim
    start = axes_of("movedim", source, ndim, "source")
    end = axes_of("movedim", destination, ndim, "destination")
    if len(start) != len(end):
        raise ValueError(f"movedim: source {source} and destination {destination} differ in length")
    if not ndim:
        return reshape(input, ())
    order = [d for d in range(ndim) if d not in start]
    for place, d in sorted(zip(end, start, strict=True)):
        order.insert(place, d)
    return permute(input, tuple(order))


def moveaxis(input, source, destination):
    """As `movedim`.

    Examples
    --------
    >>> import nn
    >>> nn.moveaxis(nn.zeros(2, 3, 4), 0, 2).shape
    (3, 4, 2)
    """
    return movedim(input, source, destination)


def flip(input, dims, *more):
    """Reverse the order of the elements along dimensions, a tuple or several ints.

    Examples
    --------
    >>> import nn
    >>> nn.flip(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), (0,))
    tensor([[3., 4.],
            [1., 2.]])
    """
    reverse = partial(np.flip, axis=axes_of("flip", sizes_of((dims, *more)), array_of("flip", input).ndim))
    if not input.array.ndim:
        return record_linear("flip", np.copy, np.copy, input)
    return record_linear("flip", lambda x: reverse(x).copy(), lambda dy: reverse(dy).copy(), input)


def fliplr(input):
    """Reverse the order of the columns, of dimension 1; ValueError for fewer than two dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.fliplr(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 1.],
            [4., 3.]])
    """
    if array_of("fliplr", input).ndim < 2:
        raise ValueError(f"fliplr: needs at least 2 dimensions, the tensor is {input.array.shape}")
    return flip(input, 1)


def flipud(input):
    """Reverse the order of the rows, of dimension 0; ValueError for a 0-d tensor.

    Examples
    --------
    >>> import nn
    >>> nn.flipud(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    if not array_of("flipud", input).ndim:
        raise ValueError("flipud: needs at least 1 dimension, the tensor is 0-d")
    return flip(input, 0)


def roll(input, shifts, dims=None):
    """Shift elements along dimensions; what leaves at one end enters at the other.

    Parameters
    ----------
    shifts : int or tuple of int
    dims : int or tuple of int, optional
        One for each shift. By default all elements are shifted as one row.

    Raises
    ------
    ValueError
        There are not as many shifts as dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.roll(nn.arange(4), 1)
    tensor([3, 0, 1, 2])
    """
    array_of("roll", input)
    shifts = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    for n in shifts:
        if not isinstance(n, (int, np.integer)):
            raise TypeError(f"roll: shifts must be ints, got {type(n).__name__}")
    axes = None
    if dims is not None and dims != ():
        axes = tuple(axis_of("roll", d, input.array.ndim, "dims") for d in sizes_of((dims,)))
    if len(shifts) != (1 if axes is None else len(axes)):
        raise ValueError(f"roll: needs one shift for each of dims, got shifts {shifts} and dims {dims}")
    if axes and not input.array.ndim:
        raise IndexError(f"roll: a 0-d tensor has no dimension to shift along, got dims {dims}")
    back = tuple(-n for n in shifts)
    if axes is None or not input.array.ndim:
        return record_linear("roll", lambda x: np.roll(x, shifts[0]), lambda dy: np.roll(dy, back[0]), input)
    return record_linear("roll", lambda x: np.roll(x, shifts, axes), lambda dy: np.roll(dy, back, axes), input)


def rot90(input, k=1, dims=(0, 1)):
    """Turn by `k` right angles in the plane of two dimensions, from the first towards the second.

    Raises
    ------
    ValueError
        `dims` are not two different dimensions.

    Examples
    --------
    >>> import nn
    >>> nn.rot90(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 4.],
            [1., 3.]])
    """
    if not isinstance(dims, (tuple, list)) or len(dims) != 2:
        raise ValueError(f"rot90: dims must be two dimensions, got {dims}")
    axes = axes_of("rot90", tuple(dims), array_of("rot90", input).ndim, "dims")
    k = int_of("rot90", "k", k)
    return record_linear(
        "rot90", lambda x: np.rot90(x, k, axes).copy(), lambda dy: np.rot90(dy, -k, axes).copy(), input
    )

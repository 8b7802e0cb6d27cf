"""Elements along a dimension, taken from places or put there, that an array of indices names."""

import numpy as np

import kernels
from nn.operations.arguments import array_of, as_array, axis_of, numpy_names
from nn.operations.conversion import clone
from nn.operations.elementwise import masked_fill, where
from nn.operations.indexing import getitem
from nn.operations.shapes import broadcast_shapes, expand, reshape
from nn.storage import Tensor, wrap
from nn.tape import record_linear

__all__ = ["gather", "index_fill", "index_select", "masked_scatter", "masked_select", "take", "take_along_dim"]

DTYPES = tuple(map(np.dtype, (np.float32, np.float64, np.int64, np.int32, np.bool_)))  # of the kernels


def moved(kernel, x, *args):
    """``kernel(x, *args)`` of any dtype: small integers take the way of int32."""
    return kernel(x, *args) if x.dtype in DTYPES else kernel(x.astype(np.int32), *args).astype(x.dtype)


def index_of(name, index):
    """The array of an index tensor; TypeError unless it is int64 or int32."""
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}: index must be a Tensor, got {type(index).__name__}")
    if index.array.dtype not in (np.int64, np.int32):
        raise TypeError(f"{name}: index must be int64 or int32, got {index.array.dtype}")
    return index.array


@numpy_names
def index_select(input, dim, index):
    """The slices along `dim` that `index` names, a vector or a number.

    Raises
    ------
    IndexError
        There is no such dimension, or an index is out of range: negative ones do not count from the end.

    Examples
    --------
    >>> import nn
    >>> nn.index_select(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 0, nn.tensor([1, 1]))
    tensor([[3., 4.],
            [3., 4.]])
    """
    x, indices = input.array, index_of("index_select", index)
    dim, shape = axis_of("index_select", dim, x.ndim), x.shape

    def take(x):
        return moved(kernels.index_select, x, dim, indices)

    def put(dy):
        return kernels.index_select_backward(dy, shape, dim, indices)

    return record_linear("index_select", take, put, input, (index,))


@numpy_names
def gather(input, dim, index, *, sparse_grad=False):
    """Along a dimension, the elements that indices name: ``y[i, j] = x[index[i, j], j]`` for dimension 0 of two.

    Parameters
    ----------
    index : Tensor of int64 or int32
        Of as many dimensions as `input`, none longer than that of `input`, except `dim`.
    sparse_grad : bool
        Must be False: gradients are dense.

    Raises
    ------
    ValueError
        Shapes do not fit.
    IndexError
        There is no such dimension, or an index is out of range.

    Examples
    --------
    >>> import nn
    >>> nn.gather(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, nn.tensor([[0, 0], [1, 0]]))
    tensor([[1., 1.],
            [4., 3.]])
    """
    if sparse_grad:
        raise ValueError("gather: sparse_grad=True is not supported: gradients are dense")
    x, indices = input.array, index_of("gather", index)
    dim, shape = axis_of("gather", dim, x.ndim), x.shape

    def take(x):
        return moved(kernels.gather, x, dim, indices)

    def put(dy):
        return kernels.gather_backward(dy, shape, dim, indices)

    return record_linear("gather", take, put, input, (index,))


@numpy_names
def take_along_dim(input, indices, dim=None):
    """As `gather`, where the other dimensions broadcast; without `dim`, of all elements in one row.

    Examples
    --------
    >>> import nn
    >>> nn.take_along_dim(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), nn.tensor([[1], [0]]), 1)
    tensor([[2.],
            [3.]])
    """
    if dim is None:
        return gather(reshape(input, -1), 0, reshape(indices, -1))
    x, places = input.array, index_of("take_along_dim", indices)
    if x.ndim != places.ndim:
        raise ValueError(f"take_along_dim: numbers of dimensions differ: input is {x.shape}, indices {places.shape}")
    dim = axis_of("take_along_dim", dim, x.ndim)
    around = broadcast_shapes(*((*shape[:dim], 1, *shape[dim + 1 :]) for shape in (x.shape, places.shape)))
    full = [(*around[:dim], shape[dim], *around[dim + 1 :]) for shape in (x.shape, places.shape)]
    return gather(expand(input, full[0]), dim, expand(indices, full[1]))


def take(input, index):
    """The elements at places in the row of all elements, in the shape of `index`; negative ones count from the end.

    Examples
    --------
    >>> import nn
    >>> nn.take(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), nn.tensor([0, 3]))
    tensor([1., 4.])
    """
    places, size = index_of("take", index), array_of("take", input).size
    if places.size and not (places.min() >= -size and places.max() < size):
        outside = places[(places < -size) | (places >= size)].flat[0]
        raise IndexError(f"take: index must be from {-size} to {size - 1}, got {outside}")
    flat = wrap(np.where(places < 0, places + size, places).reshape(-1))
    return reshape(index_select(reshape(input, -1), 0, flat), places.shape)


def masked_select(input, mask):
    """The elements where `mask` is true, in one row; both broadcast.

    Examples
    --------
    >>> import nn
    >>> nn.masked_select(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), nn.tensor([[1.0, 2.0], [3.0, 4.0]]) > 2)
    tensor([3., 4.])
    """
    shape = broadcast_shapes(array_of("masked_select", input).shape, _mask("masked_select", mask).shape)
    return getitem(expand(input, shape), wrap(np.broadcast_to(_mask("masked_select", mask), shape).copy()))


def masked_scatter(input, mask, source):
    """Elements of `source`, in order, where `mask` is true, else those of `input`; the mask broadcasts.

    Raises
    ------
    ValueError
        `source` has fewer elements than the mask has true ones.

    Examples
    --------
    >>> import nn
    >>> nn.masked_scatter(nn.zeros(3), nn.tensor([True, False, True]), nn.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    x, y = array_of("masked_scatter", input), array_of("masked_scatter", source, "source")
    shape = broadcast_shapes(x.shape, as_array(mask).shape)
    chosen = np.broadcast_to(_mask("masked_scatter", mask), shape)
    if y.dtype != x.dtype:
        raise TypeError(f"masked_scatter: dtypes differ: input is {x.dtype}, source is {y.dtype}")
    number = np.count_nonzero(chosen)
    if number > source.array.size:
        raise ValueError(f"masked_scatter: the mask has {number} true elements, source has {source.array.size}")
    if not number:
        return clone(expand(input, shape))
    order = np.maximum(np.cumsum(chosen.reshape(-1)) - 1, 0)
    placed = reshape(index_select(reshape(source, -1), 0, wrap(order)), shape)
    return where(chosen.copy(), placed, expand(input, shape))


def _mask(name, mask):
    array = as_array(mask)
    if array.dtype.kind != "b":
        raise TypeError(f"{name}: mask must be bool, got {array.dtype}")
    return array


@numpy_names
def index_fill(input, dim, index, value):
    """`value`, a number or a 0-d tensor, in the slices along `dim` that `index` names.

    Examples
    --------
    >>> import nn
    >>> nn.index_fill(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, nn.tensor([0]), -1)
    tensor([[-1.,  2.],
            [-1.,  4.]])
    """
    axis, indices = axis_of("index_fill", dim, input.array.ndim), index_of("index_fill", index)
    shape = input.array.shape or (1,)
    mask = np.zeros(shape[axis], np.bool_)
    try:
        mask[indices] = True
    except IndexError:
        raise IndexError(f"index_fill: index must be from {-len(mask)} to {len(mask) - 1}, got {indices}") from None
    if not input.array.ndim:
        return masked_fill(input, mask[0], value)
    return masked_fill(input, mask.reshape(-1, *(1,) * (len(shape) - axis - 1)), value)

"""Elements put, added or reduced at places along a dimension that an array of indices names."""

from typing import Any

import numpy as np

import kernels
from nn.operations.arguments import NUMBERS, axis_of, bool_of, not_a_tensor, numpy_names, scalar_of
from nn.operations.arithmetic import div, mul, reshaped
from nn.operations.lookup import DTYPES, gather, index_of, index_select
from nn.operations.shapes import expand
from nn.storage import Tensor, wrap
from nn.tape import record, record_linear

__all__ = ["index_add", "index_copy", "scatter", "scatter_add", "scatter_reduce"]


def _source(name, src, x):
    """The tensor among `src`, or None, and its values, of the dtype of `x`."""
    if not isinstance(src, Tensor):
        if not isinstance(src, NUMBERS):
            raise not_a_tensor(name, src, "src")
        return None, np.asarray(src).astype(x.dtype)[()]
    if src.array.dtype != x.dtype:
        raise TypeError(f"{name}: dtypes differ: input is {x.dtype}, src is {src.array.dtype}")
    return src, src.array


def _wide(kernel, x, dim, index, source, *args, **options):
    """The kernel's result for any dtype: small integers take the way of int32."""
    if x.dtype in DTYPES:
        return kernel(x, dim, index, source if isinstance(source, np.ndarray) else source.item(), *args, **options)
    source = source.astype(np.int32) if isinstance(source, np.ndarray) else source.item()
    return kernel(x.astype(np.int32), dim, index, source, *args, **options).astype(x.dtype)


def _spread(dsrc, shape):
    """The gradient of `src` of this shape: zero where the index does not reach."""
    if dsrc.shape == shape:
        return dsrc
    whole = np.zeros(shape, dsrc.dtype)
    whole[tuple(map(slice, dsrc.shape))] = dsrc
    return whole


def _spread_tensor(dsrc, shape):
    """As `_spread`, recorded."""
    part = tuple(map(slice, dsrc.array.shape))
    if dsrc.array.shape == shape:
        return dsrc
    return record_linear("scatter", lambda g: _spread(g, shape), lambda dy: dy[part], dsrc)


@numpy_names
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """A copy with elements along a dimension replaced: ``y[index[i, j], j] = src[i, j]`` for dimension 0 of two.

    Parameters
    ----------
    index : Tensor of int64 or int32
        Of as many dimensions as `input`, none longer than that of `input`, except `dim`. Where an index occurs several
        times, its last place counts, and the gradient goes to all.
    src : Tensor or number
        A tensor none of whose dimensions is shorter than that of `index`.
    value : number, optional
        Another name of `src`.
    reduce : {"add", "multiply"}, optional
        Instead of replacing elements: `scatter_add`, or `scatter_reduce` with "prod".

    Raises
    ------
    TypeError
        Dtypes differ.
    ValueError
        Shapes do not fit, or `reduce` is another word.
    IndexError
        There is no such dimension, or an index is out of range.

    Examples
    --------
    >>> import nn
    >>> nn.scatter(nn.zeros(3), 0, nn.tensor([2]), nn.ones(1))
    tensor([0., 0., 1.])
    """
    if src is not None and value is not None:
        raise TypeError("scatter: takes src or value, not both")
    src = value if src is None else src
    x, indices = input.array, index_of("scatter", index)
    if src is None:
        raise TypeError("scatter: needs src or value")
    if reduce is not None:
        return _reducing(input, dim, index, src, reduce)
    dim = axis_of("scatter", dim, x.ndim)
    source, values = _source("scatter", src, x)
    needs = input._requires_grad, source is not None and source._requires_grad

    def backward(dy):
        dx, dsrc = kernels.scatter_backward(dy, dim, indices, needs=needs)
        return dx, None if dsrc is None else _spread(dsrc, values.shape)

    def rest(dy):
        return kernels.scatter(dy, dim, indices, 0.0)

    def derivative(dy, index):
        dx = record_linear("scatter", rest, rest, dy, (index,)) if needs[0] else None
        return dx, _spread_tensor(gather(dy, dim, index), values.shape) if needs[1] else None

    y = _wide(kernels.scatter, x, dim, indices, values)
    return record("scatter", y, (input, source), backward, (index,), derivative=derivative)


def _reducing(input, dim, index, src, reduce):
    if reduce not in ("add", "multiply"):
        raise ValueError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}")
    if not isinstance(src, Tensor):
        src = wrap(np.full(index.array.shape, src, input.array.dtype))
    return scatter_add(input, dim, index, src) if reduce == "add" else scatter_reduce(input, dim, index, src, "prod")


@numpy_names
def scatter_add(input, dim, index, src):
    """A copy to which elements are added along a dimension: ``y[index[i, j], j] += src[i, j]`` for dimension 0 of two.

    Arguments and errors are those of `scatter`.

    Examples
    --------
    >>> import nn
    >>> nn.scatter_add(nn.zeros(3), 0, nn.tensor([0, 0]), nn.ones(2))
    tensor([2., 0., 0.])
    """
    x, indices = input.array, index_of("scatter_add", index)
    dim = axis_of("scatter_add", dim, x.ndim)
    if not isinstance(src, Tensor):
        raise not_a_tensor("scatter_add", src, "src")
    source, values = _source("scatter_add", src, x)
    needs = input._requires_grad, source is not None and source._requires_grad

    def backward(dy):
        return dy, _spread(kernels.gather(dy, dim, indices), values.shape) if needs[1] else None

    def derivative(dy, index):
        return dy, _spread_tensor(gather(dy, dim, index), values.shape) if needs[1] else None

    y = _wide(kernels.scatter_add, x, dim, indices, values)
    return record("scatter_add", y, (input, source), backward, (index,), derivative=derivative)


@numpy_names
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """A copy whose elements are reduced with those of `src` that indices along a dimension assign to them.

    Parameters
    ----------
    dim, index, src
        As of `scatter`; `src` is a tensor.
    reduce : {"sum", "prod", "mean", "amax", "amin"}
    include_self : bool, default True
        Whether the element of `input` is among those that are reduced.

    Raises
    ------
    ValueError
        `reduce` is another word; or as `scatter`.
    RuntimeError
        In the second derivative of "prod", an element is 0.

    Examples
    --------
    >>> import nn
    >>> nn.scatter_reduce(nn.zeros(3), 0, nn.tensor([0, 0]), nn.tensor([1.0, 4.0]), 'amax')
    tensor([4., 0., 0.])
    """
    x, indices = input.array, index_of("scatter_reduce", index)
    dim = axis_of("scatter_reduce", dim, x.ndim)
    if not isinstance(src, Tensor):
        raise not_a_tensor("scatter_reduce", src, "src")
    include_self = bool_of("scatter_reduce", "include_self", include_self)
    source, values = _source("scatter_reduce", src, x)
    y = _wide(kernels.scatter_reduce, x, dim, indices, values, reduce, include_self=include_self)

    def gradients(dy):
        return kernels.scatter_reduce_backward(dy, x, dim, indices, values, reduce, y, include_self=include_self)

    def backward(dy):
        dx, dsrc = gradients(dy)
        return dx, _spread(dsrc, values.shape)

    def derivative(dy, input, index, src, result):
        dx, dsrc = (wrap(g) for g in gradients(np.ones_like(x)))  # factors of dy, constant for all but products
        part = getitem_part(src, indices.shape)
        if reduce == "prod":
            if not (x.all() and part.array.all()):
                raise RuntimeError("scatter_reduce: products with a factor of 0 can be differentiated once only")
            dx = div(result, input) if include_self else dx
            dsrc = div(gather(result, dim, index), part)
        return mul(dy, dx), _spread_tensor(mul(gather(dy, dim, index), dsrc), values.shape)

    saved = (input, index, source)
    return record("scatter_reduce", y, (input, source), backward, saved, derivative=derivative, saves_result=True)


def getitem_part(src, shape):
    """The first elements of `src` in each dimension, recorded."""
    whole, part = src.array.shape, tuple(map(slice, shape))
    if whole == shape:
        return src
    return record_linear("scatter", lambda x: x[part], lambda dy: _spread(dy, whole), src)


@numpy_names
def index_add(input, dim, index, source, *, alpha: Any = 1):
    """A copy to which slices are added: ``y[index[i]] += alpha * source[i]`` for dimension 0.

    Raises
    ------
    TypeError
        Dtypes differ.
    ValueError
        Shapes do not fit.
    IndexError
        There is no such dimension, or an index is out of range.

    Examples
    --------
    >>> import nn
    >>> nn.index_add(nn.zeros(3), 0, nn.tensor([0, 0]), nn.ones(2))
    tensor([2., 0., 0.])
    """
    x, indices, alpha = input.array, index_of("index_add", index), scalar_of("index_add", "alpha", alpha)
    dim = axis_of("index_add", dim, x.ndim)
    if not isinstance(source, Tensor):
        raise not_a_tensor("index_add", source, "source")
    _, values = _source("index_add", source, x)
    shape, needs = values.shape, source._requires_grad

    def backward(dy):
        if not needs:
            return dy, None
        taken = kernels.index_select(dy, dim, indices).reshape(shape)
        return dy, taken if alpha == 1 else taken * dy.dtype.type(alpha)

    def derivative(dy, index):
        return dy, mul(reshaped(index_select(dy, dim, index), shape), alpha) if needs else None

    y = _wide(kernels.index_add, x, dim, indices, values, alpha=alpha)
    return record("index_add", y, (input, source), backward, (index,), derivative=derivative)


@numpy_names
def index_copy(input, dim, index, source):
    """A copy with slices replaced: ``y[index[i]] = source[i]`` for dimension 0; errors are those of `index_add`.

    Examples
    --------
    >>> import nn
    >>> nn.index_copy(nn.zeros(3), 0, nn.tensor([2]), nn.ones(1))
    tensor([0., 0., 1.])
    """
    x, indices = input.array, index_of("index_copy", index)
    axis, given = axis_of("index_copy", dim, x.ndim), source.array.shape
    whole = (*x.shape[:axis], indices.size, *x.shape[axis + 1 :])
    if x.ndim and given != whole:
        raise ValueError(f"index_copy: source must have shape {whole}, got {given}")
    column = indices.reshape(-1, *(1,) * (len(whole) - axis - 1)) if x.ndim else indices.reshape(())
    return scatter(input, dim, expand(wrap(column.astype(np.int64)), given), source)

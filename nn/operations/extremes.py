"""The largest and the smallest elements, of all or along dimensions."""

from typing import NamedTuple

import numpy as np

import kernels
from nn.operations.arguments import axes_of, axis_of, numpy_names
from nn.operations.arithmetic import maximum, minimum, mul, neg, reshaped
from nn.operations.reductions import check_keepdim, reduced
from nn.storage import Tensor, wrap
from nn.tape import record, record_linear

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]


class ValuesIndices(NamedTuple):
    """Elements along a dimension, and their indices."""

    values: Tensor
    indices: Tensor


class MinMax(NamedTuple):
    """The result of `aminmax`."""

    min: Tensor
    max: Tensor


def _integer_extremum(name, extremum, arg_extremum, x, dim, keepdim):
    """Extrema and their first indices along `dim`, of an array of integers or bools."""
    axis = axis_of(name, dim, x.ndim)
    if x.ndim and not x.shape[axis]:
        raise ValueError(f"{name}: nothing to reduce: dimension {dim} of {x.shape}")
    rows = x if x.ndim else x.reshape(1)
    keepdim = keepdim and x.ndim > 0
    indices = np.asarray(arg_extremum(rows, axis=axis, keepdims=keepdim))
    return ValuesIndices(wrap(np.asarray(extremum(rows, axis=axis, keepdims=keepdim))), wrap(indices))


@numpy_names
def max(input, dim=None, keepdim=False):
    """The largest element; NaN if any element is.

    Parameters
    ----------
    dim : int, optional
        With it, the result is the pair (values, indices) along this dimension; of equal elements, the first.
        Without it, equal elements share the gradient. With a Tensor in its place, the result is `maximum` of both.
    keepdim : bool, default False

    Raises
    ------
    ValueError
        There is no element to take the maximum of.

    Examples
    --------
    >>> import nn
    >>> nn.max(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    ValuesIndices(values=tensor([2., 4.]), indices=tensor([1, 1]))
    """
    if keepdim is not False:
        check_keepdim("max", keepdim)
    if isinstance(dim, Tensor):
        return maximum(input, dim)
    x = input.array
    if dim is None:
        if x.dtype.kind != "f":
            return wrap(np.asarray(np.max(x)))

        def backward(dy):
            return kernels.max_backward(dy, x)

        def adjoint(g):
            return kernels.sum(g * kernels.max_backward(np.ones((), x.dtype), x))

        def derivative(dy, input):
            return record_linear("max", backward, adjoint, dy, (input,))

        return record("max", kernels.max(x), (input,), backward, (input,), derivative=derivative)
    if x.dtype.kind != "f":
        return _integer_extremum("max", np.max, np.argmax, x, dim, keepdim)
    values, index_array = kernels.max(x, dim, keepdim)
    indices = wrap(index_array)

    def backward(dy):
        return kernels.max_backward(dy, x, dim, keepdim, index_array)

    along = index_array if keepdim or not x.ndim else np.expand_dims(index_array, axis_of("max", dim, x.ndim))

    def picked(g):
        y = np.take_along_axis(g, along, dim) if x.ndim else g
        return y if keepdim else y.reshape(index_array.shape)

    def derivative(dy, input, indices):
        return record_linear("max", backward, picked, dy, (indices,))

    result = record("max", values, (input,), backward, (input, indices), derivative=derivative)
    return ValuesIndices(result, indices)


@numpy_names
def min(input, dim=None, keepdim=False):
    """The smallest element; as `max`.

    Examples
    --------
    >>> import nn
    >>> nn.min(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    ValuesIndices(values=tensor([1., 3.]), indices=tensor([0, 0]))
    """
    if keepdim is not False:
        check_keepdim("min", keepdim)
    if isinstance(dim, Tensor):
        return minimum(input, dim)
    x = input.array
    if x.dtype.kind != "f":
        if dim is None:
            return wrap(np.asarray(np.min(x)))
        return _integer_extremum("min", np.min, np.argmin, x, dim, keepdim)
    if dim is None:
        return neg(max(neg(input)))
    values, indices = max(neg(input), dim, keepdim)
    return ValuesIndices(neg(values), indices)


@numpy_names
def argmax(input, dim=None, keepdim=False):
    """The index (int64) of the first largest element along `dim`; without `dim`, in the flattened tensor.

    Examples
    --------
    >>> import nn
    >>> nn.argmax(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([1, 1])
    """
    if keepdim is not False:
        check_keepdim("argmax", keepdim)
    if input.array.dtype.kind != "f":
        return reduced("argmax", np.argmax, input.array, dim, keepdim)
    return wrap(kernels.argmax(input.array, dim, keepdim))


@numpy_names
def argmin(input, dim=None, keepdim=False):
    """The index of the first smallest element; as `argmax`.

    Examples
    --------
    >>> import nn
    >>> nn.argmin(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([0, 0])
    """
    if keepdim is not False:
        check_keepdim("argmin", keepdim)
    if input.array.dtype.kind != "f":
        return reduced("argmin", np.argmin, input.array, dim, keepdim)
    return wrap(kernels.argmax(-input.array, dim, keepdim))


@numpy_names
def amax(input, dim=None, keepdim=False):
    """The largest element over `dim`, an int, several, or None for all; equal elements share the gradient.

    Raises
    ------
    ValueError
        There is no element to take the maximum of.

    Examples
    --------
    >>> import nn
    >>> nn.amax(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([2., 4.])
    """
    return _shared("amax", np.max, input, dim, keepdim)


@numpy_names
def amin(input, dim=None, keepdim=False):
    """The smallest element over `dim`; as `amax`.

    Examples
    --------
    >>> import nn
    >>> nn.amin(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([1., 3.])
    """
    if input.array.dtype.kind != "f":
        return _shared("amin", np.min, input, dim, keepdim)
    return neg(_shared("amin", np.max, neg(input), dim, keepdim))


@numpy_names
def aminmax(input, *, dim=None, keepdim=False):
    """The smallest and the largest element, of all or along one dimension; equal elements share the gradient.

    Examples
    --------
    >>> import nn
    >>> nn.aminmax(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    MinMax(min=tensor([1., 3.]), max=tensor([2., 4.]))
    """
    return MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


def _shared(name, extremum, input, dim, keepdim):
    """The largest elements of floats; of integers those that `extremum` finds."""
    if keepdim is not False:
        check_keepdim(name, keepdim)
    x = input.array
    dims = (
        tuple(range(x.ndim))
        if dim is None or dim == () or dim == [] or not x.ndim
        else axes_of(name, dim, x.ndim, "dim")
    )
    kept = tuple(1 if d in dims else n for d, n in enumerate(x.shape))
    if not x.size:
        empty = [d for d in dims if not x.shape[d]]
        if empty:
            raise ValueError(f"{name}: nothing to reduce: dimension {empty[0]} of {x.shape}")
    if x.dtype.kind != "f" or not x.size:
        return wrap(np.asarray(extremum(x, axis=dims, keepdims=keepdim)))
    if len(dims) == 1:
        y = kernels.max(x, dims[0], keepdim)[0]
    else:  # the reduced dimensions as one row
        rows = np.moveaxis(x, dims, range(-len(dims), 0)) if len(dims) < x.ndim else x
        rows = rows.reshape(*rows.shape[: x.ndim - len(dims)], -1)
        y = kernels.max(rows, -1)[0]
        y = y.reshape(kept) if keepdim else y

    def weights(y):
        equal = (x == y.reshape(kept)).astype(x.dtype)
        return equal / kernels.sum(equal, dims, True)

    def derivative(dy, input, result):
        return mul(reshaped(dy, kept), weights(result.array))

    def backward(dy):
        return weights(y) * dy.reshape(kept)

    return record(name, y, (input,), backward, (input,), derivative=derivative, saves_result=True)

"""Elements in order, the k largest, medians and quantiles; places in an order; distinct elements."""

import math

import numpy as np

import kernels
from nn.operations.arguments import array_of, as_array, axis_of, bool_of, floating, numpy_names, scaled, word_of
from nn.operations.arithmetic import add, mul, sub
from nn.operations.extremes import ValuesIndices
from nn.operations.lookup import gather, take_along_dim
from nn.operations.orders import movedim
from nn.operations.reductions import check_keepdim
from nn.operations.shapes import expand, reshape, squeeze
from nn.storage import Tensor, wrap
from nn.tape import record, record_linear

__all__ = ["argsort", "bucketize", "kthvalue", "median", "mode", "msort", "nanmedian", "nanquantile", "quantile"]
__all__ += ["searchsorted", "sort", "topk", "unique", "unique_consecutive"]


def _chosen(name, input, values, places, dim):
    """Record elements that were taken along `dim` from these places; the dimension may be missing in the result."""
    shape, indices = input.array.shape, wrap(places)
    along = np.expand_dims(places, dim) if places.ndim < len(shape) else places

    def put(dy):
        return kernels.sort_backward(dy, places, shape, dim)

    def take(x):
        return kernels.gather(x, dim, along).reshape(places.shape)

    def derivative(dy, indices):
        return record_linear(name, put, take, dy, (indices,))

    return ValuesIndices(record(name, values, (input,), put, (indices,), derivative=derivative), indices)


@numpy_names
def sort(input, dim=-1, descending=False, *, stable=False):
    """The elements in ascending or descending order along `dim`, and their indices.

    NaN counts as larger than everything. Equal elements keep their order, with or without `stable`.

    Examples
    --------
    >>> import nn
    >>> nn.sort(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    ValuesIndices(values=tensor([[1., 2.],
            [3., 4.]]), indices=tensor([[0, 1],
            [0, 1]]))
    """
    descending = _order("sort", descending, stable)
    dim = axis_of("sort", dim, input.array.ndim)
    return _chosen("sort", input, *kernels.sort(input.array, dim, descending), dim)


@numpy_names
def argsort(input, dim=-1, descending=False, *, stable=False):
    """The indices of the elements in order along `dim`; as `sort`.

    Examples
    --------
    >>> import nn
    >>> nn.argsort(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([[0, 1],
            [0, 1]])
    """
    descending = _order("argsort", descending, stable)
    return wrap(kernels.argsort(input.array, axis_of("argsort", dim, input.array.ndim), descending))


def _order(name, descending, stable):
    """Whether to sort in descending order; TypeError for flags that are no bools."""
    if stable is not False and stable is not None:
        bool_of(name, "stable", stable)
    return descending if descending is False else bool_of(name, "descending", descending)


def msort(input):
    """The elements in ascending order along the first dimension.

    Examples
    --------
    >>> import nn
    >>> nn.msort(nn.tensor([3.0, 1.0, 2.0]))
    tensor([1., 2., 3.])
    """
    array_of("msort", input)
    return sort(input, 0).values


@numpy_names
def topk(input, k, dim=None, largest=True, sorted=True):
    """The `k` largest or smallest elements along `dim`, by default the last one, the best first, and their indices.

    NaN counts as larger than everything; of equal elements the first ones are taken.

    Raises
    ------
    ValueError
        `k` is not from 0 to the length of the dimension.

    Examples
    --------
    >>> import nn
    >>> nn.topk(nn.tensor([3.0, 1.0, 2.0]), 2)
    ValuesIndices(values=tensor([3., 2.]), indices=tensor([0, 2]))
    """
    largest, _ = bool_of("topk", "largest", largest), bool_of("topk", "sorted", sorted)
    dim = axis_of("topk", -1 if dim is None else dim, input.array.ndim)
    return _chosen("topk", input, *kernels.topk(input.array, k, dim, largest), dim)


@numpy_names
def kthvalue(input, k, dim=None, keepdim=False):
    """The k-th smallest element along `dim`, by default the last one, counted from 1, and its index.

    Raises
    ------
    ValueError
        `k` is not from 1 to the length of the dimension.

    Examples
    --------
    >>> import nn
    >>> nn.kthvalue(nn.tensor([3.0, 1.0, 2.0]), 2)
    ValuesIndices(values=tensor(2.), indices=tensor(2))
    """
    if keepdim is not False:
        check_keepdim("kthvalue", keepdim)
    dim = axis_of("kthvalue", -1 if dim is None else dim, input.array.ndim)
    keepdim = keepdim and input.array.ndim > 0
    return _chosen("kthvalue", input, *kernels.kthvalue(input.array, k, dim, keepdim), dim)


@numpy_names
def median(input, dim=None, keepdim=False):
    """The median of all elements, or the medians along `dim` and their indices: of two middle elements the smaller.

    NaN where an element is. Without `dim`, equal elements share the gradient.

    Examples
    --------
    >>> import nn
    >>> nn.median(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    ValuesIndices(values=tensor([1., 3.]), indices=tensor([0, 0]))
    """
    if keepdim is not False:
        check_keepdim("median", keepdim)
    x = input.array
    if dim is not None:
        dim = axis_of("median", dim, x.ndim)
        return _chosen("median", input, *kernels.median(x, dim, keepdim and x.ndim > 0), dim)
    y = np.asarray(kernels.median(x))

    def weights(y):
        equal = (np.isnan(x) if np.isnan(y) else x == y).astype(x.dtype)
        return equal / kernels.sum(equal)

    def derivative(dy, input, result):
        return mul(dy, weights(result.array))

    saved = (input,)
    return record("median", y, saved, lambda dy: dy * weights(y), saved, derivative=derivative, saves_result=True)


@numpy_names
def nanmedian(input, dim=None, keepdim=False):
    """As `median`, of the elements that are not NaN; NaN if there is none.

    Examples
    --------
    >>> import nn
    >>> nn.nanmedian(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    ValuesIndices(values=tensor([1., 3.]), indices=tensor([0, 0]))
    """
    if keepdim is not False:
        check_keepdim("nanmedian", keepdim)
    if input.array.dtype.kind != "f" or not input.array.ndim:
        return median(input, dim, keepdim)
    if dim is None:
        return nanmedian(reshape(input, -1), 0).values
    axis = axis_of("nanmedian", dim, input.array.ndim)
    number = np.count_nonzero(~np.isnan(input.array), axis=axis, keepdims=True)
    middle = wrap(np.maximum(number - 1, 0) // 2)
    found = ValuesIndices(*(gather(t, axis, middle) for t in sort(input, axis)))  # NaN comes last
    return found if keepdim else ValuesIndices(*(squeeze(t, axis) for t in found))


@numpy_names
def mode(input, dim=-1, keepdim=False):
    """The most frequent element along `dim`, of equally frequent ones the smallest, and the index of its last place.

    NaN counts as larger than everything and as different from itself.

    Raises
    ------
    ValueError
        The dimension is empty.

    Examples
    --------
    >>> import nn
    >>> nn.mode(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    ValuesIndices(values=tensor([1., 3.]), indices=tensor([0, 0]))
    """
    if keepdim is not False:
        check_keepdim("mode", keepdim)
    x = input.array
    axis = axis_of("mode", dim, x.ndim)
    if not x.ndim:
        return _chosen("mode", input, x.copy(), np.zeros((), np.int64), axis)
    if not x.shape[axis]:
        raise ValueError(f"mode: nothing to choose from: dimension {dim} of {x.shape}")
    values, indices = (np.moveaxis(a, axis, -1) for a in kernels.sort(x, axis))
    place = np.arange(x.shape[axis])
    first = np.zeros(values.shape, np.int64)  # where the run of equal elements begins
    first[..., 1:] = np.where(values[..., 1:] != values[..., :-1], place[1:], 0)
    longest = (place - np.maximum.accumulate(first, -1)).argmax(-1)[..., None]
    values, places = (np.moveaxis(np.take_along_axis(a, longest, -1), -1, axis) for a in (values, indices))
    if not keepdim:
        values, places = values.squeeze(axis), places.squeeze(axis)
    return _chosen("mode", input, values, places, axis)


# --- quantiles --------------------------------------------------------------------------------------------------------

# How much of the difference to the element above is added to the one below, from the place between both
INTERPOLATIONS = {
    "linear": lambda place: place,
    "lower": np.zeros_like,
    "higher": lambda place: (place > 0).astype(place.dtype),
    "midpoint": lambda place: (place > 0) * place.dtype.type(0.5),
    "nearest": None,
}


@numpy_names
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The quantiles of all elements, or along `dim`; NaN where an element is.

    Parameters
    ----------
    q : float or Tensor
        From 0 to 1; a vector adds a first dimension to the result.
    interpolation : {"linear", "lower", "higher", "midpoint", "nearest"}
        What to take between two elements.

    Raises
    ------
    TypeError
        The tensor is not floating point, or `q` of another dtype.
    ValueError
        `q` is not from 0 to 1 or has several dimensions; there is no element; another interpolation.

    Examples
    --------
    >>> import nn
    >>> nn.quantile(nn.tensor([1.0, 2.0, 3.0]), 0.25)
    tensor(1.5000)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@numpy_names
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """As `quantile`, of the elements that are not NaN; NaN if there is none.

    Examples
    --------
    >>> import nn
    >>> nn.nanquantile(nn.tensor([1.0, 2.0, 3.0]), 0.25)
    tensor(1.5000)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(name, input, q, dim, keepdim, interpolation):
    x, shape = floating(name, input), input.array.shape
    if keepdim is not False:
        check_keepdim(name, keepdim)
    word_of(name, "interpolation", interpolation, INTERPOLATIONS)
    if isinstance(q, Tensor) and q.array.dtype != x.dtype:
        raise TypeError(f"{name}: dtypes differ: input is {x.dtype}, q is {q.array.dtype}")
    wanted = np.asarray(q.array if isinstance(q, Tensor) else q, x.dtype)
    if wanted.ndim > 1 or not ((wanted >= 0) & (wanted <= 1)).all():
        raise ValueError(f"{name}: q must be a number or a vector of numbers from 0 to 1, got {wanted}")
    axis = axis_of(name, -1 if dim is None else dim, x.ndim)
    rows = reshape(input, -1) if dim is None or not x.ndim else movedim(input, axis, -1)
    if not rows.array.shape[-1]:
        raise ValueError(f"{name}: nothing to choose from: input is {shape}, dim is {dim}")
    vector = reshape(q, -1) if isinstance(q, Tensor) else wrap(np.atleast_1d(wanted))
    y = _between(rows, name == "nanquantile", vector, interpolation)
    if keepdim:
        kept = (1,) * len(shape) if dim is None else tuple(1 if d == axis else n for d, n in enumerate(shape))
        y = reshape(movedim(y, -1, 0), (wanted.size, *kept))
    else:
        y = movedim(y, -1, 0)
    return y if wanted.ndim else reshape(y, y.array.shape[1:])


def _between(rows, skip, q, interpolation):
    """The quantiles `q` of rows, along the last dimension; `skip` NaN, or return it."""
    missing = np.isnan(rows.array)
    number = rows.array.shape[-1] - np.count_nonzero(missing, axis=-1, keepdims=True)
    last = np.maximum(number - 1, 0).astype(q.array.dtype)
    place = q.array * last  # NaN comes last
    if not skip:
        place = np.where(missing.any(-1, keepdims=True), rows.array.shape[-1] - 1, place).astype(q.array.dtype)
    below = np.floor(place) if interpolation != "nearest" else np.round(place)
    ordered = sort(rows).values
    low = gather(ordered, -1, wrap(below.astype(np.int64)))
    if interpolation in ("nearest", "lower"):
        return low
    high = gather(ordered, -1, wrap(np.ceil(place).astype(np.int64)))
    weight = INTERPOLATIONS[interpolation](place - below)
    if interpolation == "linear" and q._requires_grad:
        slope = scaled("mul", lambda dy: dy * last, expand(q, place.shape))  # q at its place, 0 at a NaN
        weight = add(sub(slope, slope.array), weight)
    return add(low, mul(sub(high, low), weight))


# --- places and distinct elements -------------------------------------------------------------------------------------


def searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
    """Where each element of `input` would be inserted into a row in ascending order.

    Parameters
    ----------
    sorted_sequence : Tensor (n,) or (*B, n)
        A row, or one for each of the leading dimensions of `input`; whether it is in order is not checked.
    input : Tensor or number
    out_int32 : bool
        Whether the result is int32 instead of int64.
    right : bool
        Whether the place is after the elements that equal the value, instead of before them.
    side : {"left", "right"}, optional
        The same as a word.
    sorter : Tensor of int64, optional
        The indices that bring each row in order.

    Raises
    ------
    ValueError
        Shapes do not fit, or `side` contradicts `right`.

    Examples
    --------
    >>> import nn
    >>> nn.searchsorted(nn.tensor([1.0, 2.0, 3.0]), nn.tensor([0.5, 3.0]), right=True)
    tensor([0, 3])
    """
    right = _flags("searchsorted", out_int32, right)
    if side not in (None, "left", "right") or (side == "left" and right):
        raise ValueError(f"searchsorted: side must be 'left' or 'right' and agree with right={right}, got {side!r}")
    if sorter is not None:
        array_of("searchsorted", sorter, "sorter")
        sorted_sequence = take_along_dim(sorted_sequence, sorter, -1)
    rows, values = _comparable(array_of("searchsorted", sorted_sequence, "sorted_sequence"), as_array(input))
    y = kernels.searchsorted(rows, values, right or side == "right")
    return wrap(y.astype(np.int32) if out_int32 else y)


def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The number of the bucket of each element: how many of the boundaries, a vector in ascending order, lie below it.

    With `right`, a boundary that equals an element lies below it.

    Examples
    --------
    >>> import nn
    >>> nn.bucketize(nn.tensor([0.5, 3.0]), nn.tensor([1.0, 2.0, 3.0]))
    tensor([0, 2])
    """
    right = _flags("bucketize", out_int32, right)
    values, rows = _comparable(as_array(input), array_of("bucketize", boundaries, "boundaries"))
    y = kernels.bucketize(values, rows, right)
    return wrap(y.astype(np.int32) if out_int32 else y)


def _flags(name, out_int32, right):
    """`right`; TypeError unless both are bools."""
    bool_of(name, "out_int32", out_int32)
    return bool_of(name, "right", right)


def _comparable(x, y):
    """Two arrays in one dtype that holds the values of both, where one exists."""
    if x.dtype == y.dtype and x.dtype.kind != "b":
        return x, y
    dtype = np.result_type(x, y)
    return x.astype(dtype), y.astype(dtype)


@numpy_names
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements in ascending order, or the distinct slices along `dim`.

    Parameters
    ----------
    sorted : bool
        The order is ascending in any case.
    return_inverse : bool
        Also return the place among the distinct ones of each.
    return_counts : bool
        Also return how often each occurs.

    Examples
    --------
    >>> import nn
    >>> nn.unique(nn.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    return_inverse, return_counts = _asked("unique", return_inverse, return_counts)
    bool_of("unique", "sorted", sorted)
    if dim is None:
        found = kernels.unique(input.array, True, return_inverse, return_counts)
        return tuple(map(wrap, found)) if return_inverse or return_counts else wrap(found)
    axis = axis_of("unique", dim, input.array.ndim)
    values, inverse, counts = np.unique(input.array, return_inverse=True, return_counts=True, axis=axis)
    return _results(values, inverse.reshape(-1), counts, return_inverse, return_counts)


@numpy_names
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """As `unique`, without sorting: of equal neighbours, elements or slices along `dim`, the first.

    Examples
    --------
    >>> import nn
    >>> nn.unique_consecutive(nn.tensor([3, 3, 1, 3]))
    tensor([3, 1, 3])
    """
    return_inverse, return_counts = _asked("unique_consecutive", return_inverse, return_counts)
    x = input.array if dim is not None else input.array.reshape(-1)
    axis = 0 if dim is None else axis_of("unique_consecutive", dim, x.ndim)
    rows = np.moveaxis(x, axis, 0)
    rows = rows.reshape(len(rows), math.prod(rows.shape[1:]))
    first = np.ones(len(rows), np.bool_)
    first[1:] = (rows[1:] != rows[:-1]).any(1)
    inverse = np.cumsum(first) - 1
    counts = np.diff(np.append(np.flatnonzero(first), len(rows)))
    inverse = inverse.reshape(input.array.shape) if dim is None else inverse
    return _results(x.compress(first, axis), inverse, counts, return_inverse, return_counts)


def _asked(name, return_inverse, return_counts):
    """Both flags; TypeError unless they are bools."""
    return bool_of(name, "return_inverse", return_inverse), bool_of(name, "return_counts", return_counts)


def _results(values, inverse, counts, return_inverse, return_counts):
    found = [values] + [inverse] * return_inverse + [counts] * return_counts
    return wrap(values) if len(found) == 1 else tuple(map(wrap, found))

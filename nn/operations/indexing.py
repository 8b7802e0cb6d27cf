"""Indexing as in NumPy and PyTorch, with ints, slices, None, ..., lists and tensors."""

import operator

import numpy as np

from nn.grad_mode import mode
from nn.operations.arguments import as_array, unbroadcast
from nn.operations.conversion import to
from nn.operations.in_place import become
from nn.storage import Tensor, wrap
from nn.tape import record, record_linear

_ALL = slice(None)
_INDICES = (np.dtype(np.int64), np.dtype(np.bool_), np.dtype(np.int32))
_BASIC = (int, slice, type(None), type(Ellipsis))


def _index(index, ndim, copy):
    """Translate a PyTorch index: ``x[index]`` is ``x[basic]``, a view, or ``x[basic][picked]``, a copy.

    An integer next to arrays removes its dimension before the arrays are applied; NumPy would broadcast it with them,
    and put the result's dimensions in another order. `picked` is None if the index has no array. With `copy`, for an
    index that a backward function reads again, lists and arrays are copied, since the caller may change them.
    """
    if isinstance(index, Tensor) and index.array.ndim and index.array.dtype in _INDICES:
        return (), (index.array,)
    parts = index if type(index) is tuple else (index,)
    for i in parts:
        if type(i) not in _BASIC or (type(i) is slice and _is_tensor(i.start, i.stop, i.step)):
            break
    else:
        return parts, None
    basic, picked, ellipses, indexed, arrays = [], [], [], 0, False
    for i in parts:
        if type(i) is not int:
            i = _index_part(i, copy)
        if isinstance(i, np.ndarray):
            arrays = True
            if i.ndim:
                dims = i.ndim if i.dtype.kind == "b" else 1
                basic += [_ALL] * dims
                indexed += dims
            else:  # one bool: a dimension of length 1, or none
                basic.append(None)
                i = i.reshape(1)
            picked.append(i)
        elif i is Ellipsis:
            ellipses.append((len(basic), len(picked)))
        else:
            basic.append(i)
            indexed += i is not None
            if type(i) is not int:
                picked.append(_ALL)
    if len(ellipses) > 1:
        raise IndexError(f"index: at most one ellipsis, got {len(ellipses)}")
    for i, j in ellipses:
        basic[i:i] = picked[j:j] = [_ALL] * (ndim - indexed)
    return tuple(basic), tuple(picked) if arrays else None


def _is_tensor(a, b, c):
    return isinstance(a, Tensor) or isinstance(b, Tensor) or isinstance(c, Tensor)


def _index_part(i, copy):
    """One part of an index: an int, slice, None, Ellipsis, or an array of integers or bools."""
    if i is None or i is Ellipsis:
        return i
    if isinstance(i, slice):
        if not _is_tensor(i.start, i.stop, i.step):
            return i
        return slice(*(None if bound is None else operator.index(bound) for bound in (i.start, i.stop, i.step)))
    array = i.array if isinstance(i, Tensor) else np.array(i) if copy else np.asarray(i)
    if not array.size and not hasattr(i, "dtype"):
        array = array.astype(np.int64)  # NumPy makes an empty list an array of floats
    if array.dtype.kind not in "iub":
        raise IndexError(f"index: tensors must hold integers or bools, got {array.dtype}")
    if array.dtype == np.uint8:
        raise IndexError("index: uint8 means a mask in PyTorch and positions in NumPy; use bool() or long()")
    return array if array.ndim or array.dtype.kind == "b" else int(array)


def _put(x, basic, picked, value):
    """Assign to ``x[basic][picked]``, or without arrays to ``x[basic]``."""
    try:
        if picked is None:
            x[basic] = value
        else:
            x[basic][picked] = value
    except IndexError as error:
        raise IndexError(f"index: {error}, of a tensor of shape {x.shape}") from None


def getitem(input, index):
    """``input[index]``: a view for ints, slices, None and ...; a copy if there are lists or tensors."""
    x = input.array
    basic, picked = _index(index, x.ndim, mode.enabled and input._requires_grad)
    try:
        part = x[basic]
        if picked is None:
            # a single element: with the ellipsis NumPy gives a view of it, not a number
            y = part if type(part) is np.ndarray else x[(*basic, ...)]
            saved = ()
        else:
            y, saved = part[picked], index if isinstance(index, tuple) else (index,)
    except IndexError as error:
        raise IndexError(f"index: {error}, of a tensor of shape {x.shape}") from None
    shape, dtype = x.shape, x.dtype

    def take(x):
        return np.asarray(x[basic] if picked is None else x[basic][picked])

    def put(dy):
        dx = np.zeros(shape, dtype)
        if picked is None:
            dx[basic] = dy
        elif any(i.dtype.kind != "b" for i in picked if isinstance(i, np.ndarray)):
            np.add.at(dx[basic], picked, dy)  # an element may have been picked more than once
        else:
            dx[basic][picked] = dy
        return dx

    def derivative(dy, *index):
        return record_linear("index", put, take, dy, index)

    return record("index", y, (input,), put, saved, derivative=derivative, view=picked is None)


def setitem(input, index, value):
    """``input[index] = value``, in place."""
    x = input.array
    value = to(value, x.dtype) if isinstance(value, Tensor) else wrap(as_array(value, x.dtype))
    recorded = mode.enabled and (input._requires_grad or value._requires_grad)
    basic, picked = _index(index, x.ndim, recorded)
    new = value.array
    if picked is None and value._memory is input._memory and _same_place(x, basic, new):
        return  # x[i] += 1 has changed the view already
    while new.ndim and len(new) == 1:
        new = new[0, ...]  # NumPy does not accept leading dimensions for an element or a mask
    if not recorded:
        _put(x, basic, picked, new)
        input._memory.version += 1
        return
    y = x.copy()
    _put(y, basic, picked, new)
    shape, needs_value = value.array.shape, value._requires_grad
    saved = index if isinstance(index, tuple) else (index,)

    def rest(dy):
        dx = dy.copy()
        _put(dx, basic, picked, 0)
        return dx

    def take(dy):
        dvalue = np.asarray(dy[basic] if picked is None else dy[basic][picked])
        extra = max(len(shape) - dvalue.ndim, 0)  # leading dimensions of length 1 that were removed above
        return unbroadcast(dvalue, shape[extra:]).reshape(shape)

    def put(dvalue):
        dx = np.zeros(y.shape, y.dtype)
        part = dx[basic] if picked is None else dx[basic][picked]
        _put(
            dx,
            basic,
            picked,
            np.broadcast_to(dvalue.reshape(dvalue.shape[max(dvalue.ndim - part.ndim, 0) :]), part.shape),
        )
        return dx

    def backward(dy):
        return rest(dy), take(dy) if needs_value else None

    def derivative(dy, *index):
        dx = record_linear("setitem", rest, rest, dy, index)
        return dx, record_linear("setitem", take, put, dy, index) if needs_value else None

    become(input, record("setitem", y, (input, value), backward, saved, derivative=derivative))


def _same_place(x, basic, value):
    """Whether a value is the very part of x that it is assigned to."""
    part = x[basic]
    if not isinstance(part, np.ndarray):
        part = x[(*basic, ...)]
    places = [(a.__array_interface__["data"][0], a.shape, a.strides) for a in (part, value)]
    return places[0] == places[1]

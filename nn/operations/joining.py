"""Parts of a tensor, views all, and tensors joined along a dimension."""

import itertools
import operator
from typing import Any

import numpy as np

from nn.operations.arguments import array_of, axis_of, ints_of, numpy_names, promoted, sequence_of, tensors_of
from nn.operations.arithmetic import reshaped
from nn.operations.indexing import getitem
from nn.operations.shapes import atleast_1d, atleast_2d, atleast_3d, reshape
from nn.storage import Tensor, wrap
from nn.tape import record, record_several

__all__ = ["cat", "chunk", "column_stack", "concat", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "narrow"]
__all__ += ["row_stack", "select", "split", "split_with_sizes", "stack", "tensor_split", "unbind", "vsplit", "vstack"]


def _split_axis(input, name, dim):
    """The dimension to split, counted from the front, and its length; ValueError for a 0-d tensor."""
    x = array_of(name, input)
    if not x.ndim:
        raise ValueError(f"{name}: a 0-d tensor has no dimension to split")
    axis = axis_of(name, dim, x.ndim)
    return axis, x.shape[axis]


@numpy_names
def split(tensor, split_size_or_sections, dim=0):
    """Split along `dim` into a tuple of parts of one length, the last maybe shorter, or of listed lengths.

    Raises
    ------
    ValueError
        A negative length, 0 for a dimension that is not empty, lengths with another sum; a 0-d tensor.
    IndexError
        There is no such dimension.

    Examples
    --------
    >>> import nn
    >>> nn.split(nn.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    axis, length = _split_axis(tensor, "split", dim)
    split_size = split_size_or_sections
    if not isinstance(split_size, (int, np.integer, tuple, list)):
        raise TypeError(f"split: needs an int or a list of them, got {type(split_size).__name__}")
    if isinstance(split_size, (int, np.integer)):
        if split_size < 0 or (split_size == 0 and length):
            raise ValueError(f"split: split_size must be positive, got {split_size} for a length of {length}")
        sizes = [min(split_size, length - start) for start in range(0, length, split_size or 1)] or [0]
    elif min(split_size, default=0) < 0:
        raise ValueError(f"split: lengths must not be negative, got {list(split_size)}")
    elif sum(split_size) == length:
        sizes = split_size
    else:
        raise ValueError(f"split: {list(split_size)} does not add up to {length}, the length of dimension {dim}")
    return _parts(tensor, sizes, axis)


def split_with_sizes(input, split_sizes, dim=0):
    """As `split`, into parts of listed lengths.

    Examples
    --------
    >>> import nn
    >>> nn.split_with_sizes(nn.arange(5), [1, 4])
    (tensor([0]), tensor([1, 2, 3, 4]))
    """
    return split(input, ints_of("split_with_sizes", "split_sizes", split_sizes), dim)


@numpy_names
def tensor_split(input, indices_or_sections, dim=0):
    """Split along `dim` into a number of parts whose lengths differ by at most 1, or at indices.

    Parameters
    ----------
    indices_or_sections : int, tuple of int, or Tensor of int64
        A 0-d tensor is a number of parts. A part whose end is before its start is empty.

    Raises
    ------
    ValueError
        The number of parts is below 1; a 0-d tensor.

    Examples
    --------
    >>> import nn
    >>> nn.tensor_split(nn.arange(5), 3)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    axis, length = _split_axis(input, "tensor_split", dim)
    sections = indices_or_sections
    if isinstance(sections, Tensor):
        sections = sections.array.tolist()
    if isinstance(sections, (int, np.integer)):
        if sections < 1:
            raise ValueError(f"tensor_split: the number of parts must be at least 1, got {sections}")
        return _parts(input, [length // sections + (i < length % sections) for i in range(sections)], axis)
    bounds, before = [None, *sections, None], (slice(None),) * axis
    return tuple(getitem(input, (*before, slice(*pair))) for pair in itertools.pairwise(bounds))


def hsplit(input, indices_or_sections):
    """Split into columns as `tensor_split`: along dimension 1, or 0 of a vector; an int must divide the length.

    Examples
    --------
    >>> import nn
    >>> nn.hsplit(nn.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    return _evenly("hsplit", input, indices_or_sections, 1 if array_of("hsplit", input).ndim > 1 else 0, 1)


def vsplit(input, indices_or_sections):
    """Split into rows as `tensor_split`: along dimension 0; an int must divide the length.

    Examples
    --------
    >>> import nn
    >>> nn.vsplit(nn.arange(4).reshape(2, 2), 2)
    (tensor([[0, 1]]), tensor([[2, 3]]))
    """
    return _evenly("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input, indices_or_sections):
    """Split along dimension 2 as `tensor_split`; an int must divide the length.

    Examples
    --------
    >>> import nn
    >>> [part.shape for part in nn.dsplit(nn.zeros(1, 2, 4), 2)]
    [(1, 2, 2), (1, 2, 2)]
    """
    return _evenly("dsplit", input, indices_or_sections, 2, 3)


def _evenly(name, input, sections, dim, least):
    shape = array_of(name, input).shape
    if not isinstance(sections, (int, np.integer, tuple, list, Tensor)):
        raise TypeError(f"{name}: needs an int or a list of ints, got {type(sections).__name__}")
    if len(shape) < least:
        raise ValueError(f"{name}: needs at least {least} dimensions, the tensor is {shape}")
    if isinstance(sections, (int, np.integer)) and (sections < 1 or shape[dim] % sections):
        raise ValueError(f"{name}: {sections} parts do not divide {shape[dim]}, the length of dimension {dim}")
    return tensor_split(input, sections, dim)


@numpy_names
def chunk(input, chunks, dim=0):
    """Split along `dim` into at most `chunks` parts of equal length, the last maybe shorter.

    Raises
    ------
    ValueError
        `chunks` is below 1; a 0-d tensor.

    Examples
    --------
    >>> import nn
    >>> nn.chunk(nn.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    axis, length = _split_axis(input, "chunk", dim)
    if chunks < 1:
        raise ValueError(f"chunk: chunks must be at least 1, got {chunks}")
    return split(input, -(-length // chunks), axis) if length else _parts(input, [0] * chunks, axis)


@numpy_names
def narrow(input, dim, start, length):
    """The part of `length` elements along `dim` from `start` on, which counts from the end if negative; a view.

    Raises
    ------
    ValueError
        `length` is negative, or the part is not within the dimension; a 0-d tensor.

    Examples
    --------
    >>> import nn
    >>> nn.narrow(nn.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    axis, whole = _split_axis(input, "narrow", dim)
    if isinstance(start, Tensor) and (start.array.ndim or start.array.dtype.kind not in "iu"):
        raise TypeError(f"narrow: start must be an int or a 0-d tensor of integers, got shape {start.shape}")
    start, length = operator.index(start), operator.index(length)
    first = start + whole if start < 0 else start
    if length < 0 or not 0 <= first <= whole - length:
        raise ValueError(f"narrow: start {start} and length {length} are not within a dimension of length {whole}")
    return getitem(input, (*(slice(None),) * axis, slice(first, first + length)))


@numpy_names
def select(input, dim, index):
    """The slice at `index` along `dim`, without that dimension; a view.

    Raises
    ------
    IndexError
        There is no such dimension or no such index.

    Examples
    --------
    >>> import nn
    >>> nn.select(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, 0)
    tensor([1., 3.])
    """
    if not input.array.ndim:
        raise IndexError("select: a 0-d tensor has no dimension to select from")
    axis = axis_of("select", dim, input.array.ndim)
    return getitem(input, (*(slice(None),) * axis, operator.index(index)))


def _parts(input, sizes, axis):
    """Parts of these lengths along `axis`, as views."""
    before, ends = (slice(None),) * axis, itertools.accumulate(sizes)
    parts = [input.array[(*before, slice(end - size, end))] for size, end in zip(sizes, ends, strict=True)]
    shapes, dtype = [part.shape for part in parts], input.array.dtype

    def backward(*dys):
        filled = (np.zeros(shape, dtype) if dy is None else dy for dy, shape in zip(dys, shapes, strict=True))
        return np.concatenate(tuple(filled), axis=axis)

    def derivative(dys):
        filled = (wrap(np.zeros(s, dtype)) if dy is None else dy for dy, s in zip(dys, shapes, strict=True))
        return cat(filled, axis)

    return record_several("split", parts, (input,), backward, derivative=derivative, view=True)


@numpy_names
def unbind(input, dim=0):
    """A tuple of the slices along `dim`, without that dimension.

    Examples
    --------
    >>> import nn
    >>> nn.unbind(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    (tensor([1., 2.]), tensor([3., 4.]))
    """
    axis, length = _split_axis(input, "unbind", dim)
    before = (slice(None),) * axis
    return tuple(getitem(input, (*before, i)) for i in range(length))


@numpy_names
def cat(tensors, dim=0):
    """Join tensors along a dimension.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of one shape except in dimension `dim`; an empty 1-d tensor is accepted with any shape.
        Integers adapt to floats.
    dim : int, default 0

    Raises
    ------
    ValueError, TypeError
        Shapes differ, or float32 and float64 are mixed, a tensor has no dimension, or there is no tensor.
    IndexError
        There is no such dimension.

    Examples
    --------
    >>> import nn
    >>> nn.cat([nn.tensor([1, 2]), nn.tensor([3, 4])])
    tensor([1, 2, 3, 4])
    """
    tensors = sequence_of("cat", tensors)
    arrays = promoted("cat", tensors)
    shapes = [x.shape for x in arrays]
    if () in shapes:
        raise ValueError(f"cat: a 0-d tensor, number {shapes.index(())}, has no dimension to join along; use stack")
    template = next((shape for shape in shapes if shape != (0,)), (0,))
    axis = axis_of("cat", dim, len(template))
    rest = template[:axis], template[axis + 1 :]
    lengths = []
    for shape in shapes:
        if (shape[:axis], shape[axis + 1 :]) == rest and len(shape) == len(template):
            lengths.append(shape[axis])
        elif shape == (0,):
            lengths.append(0)
        else:
            raise ValueError(f"cat: shapes differ in more than dimension {dim}: {', '.join(map(str, shapes))}")
    ends = list(itertools.accumulate(lengths))[:-1]
    joined = [x for x in arrays if x.ndim == len(template)]

    def backward(dy):
        parts = np.split(dy, ends, axis=axis)
        return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))

    def derivative(dy):
        parts = split(dy, lengths, axis)
        return tuple(reshaped(part, shape) for part, shape in zip(parts, shapes, strict=True))

    return record("cat", np.concatenate(joined, axis=axis), tensors, backward, derivative=derivative)


@numpy_names
def stack(tensors, dim=0):
    """Join tensors of one shape along a new dimension.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of one shape. Integers adapt to floats.
    dim : int, default 0
        Index of the new dimension in the result.

    Raises
    ------
    ValueError, TypeError
        Shapes differ, or float32 and float64 are mixed, or there is no tensor.
    IndexError
        The result has no such dimension.

    Examples
    --------
    >>> import nn
    >>> nn.stack([nn.tensor([1, 2]), nn.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    tensors = sequence_of("stack", tensors)
    arrays = promoted("stack", tensors)
    if len({x.shape for x in arrays}) > 1:
        raise ValueError(f"stack: shapes differ: {', '.join(str(x.shape) for x in arrays)}")
    axis = axis_of("stack", dim, arrays[0].ndim + 1)

    def backward(dy):
        return tuple(np.moveaxis(dy, axis, 0))

    def derivative(dy):
        return unbind(dy, axis)

    return record("stack", np.stack(arrays, axis=axis), tensors, backward, derivative=derivative)


def concat(tensors, dim=0):
    """As `cat`.

    Examples
    --------
    >>> import nn
    >>> nn.concat([nn.tensor([1, 2]), nn.tensor([3, 4])])
    tensor([1, 2, 3, 4])
    """
    return cat(tensors, dim)


def concatenate(tensors, axis: Any = 0):
    """As `cat`.

    Examples
    --------
    >>> import nn
    >>> nn.concatenate([nn.tensor([1, 2]), nn.tensor([3, 4])])
    tensor([1, 2, 3, 4])
    """
    return cat(tensors, axis)


def hstack(tensors):
    """Join columns: along dimension 1, vectors along dimension 0.

    Examples
    --------
    >>> import nn
    >>> nn.hstack([nn.tensor([1, 2]), nn.tensor([3, 4])])
    tensor([1, 2, 3, 4])
    """
    tensors = atleast_1d(tensors_of("hstack", tensors))
    return cat(tensors, 1 if tensors and tensors[0].array.ndim > 1 else 0)


def vstack(tensors):
    """Join rows: along dimension 0, a vector as a row.

    Examples
    --------
    >>> import nn
    >>> nn.vstack([nn.tensor([1, 2]), nn.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat(atleast_2d(tensors_of("vstack", tensors)), 0)


def row_stack(tensors):
    """As `vstack`.

    Examples
    --------
    >>> import nn
    >>> nn.row_stack([nn.tensor([1, 2]), nn.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return vstack(tensors)


def dstack(tensors):
    """Join along dimension 2, which vectors and matrices get.

    Examples
    --------
    >>> import nn
    >>> nn.dstack([nn.tensor([1, 2]), nn.tensor([3, 4])])
    tensor([[[1, 3],
             [2, 4]]])
    """
    return cat(atleast_3d(tensors_of("dstack", tensors)), 2)


def column_stack(tensors):
    """Join columns: along dimension 1, a vector as a column.

    Examples
    --------
    >>> import nn
    >>> nn.column_stack([nn.tensor([1, 2]), nn.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    return cat(
        [t if t.array.ndim > 1 else reshape(t, (t.array.size, 1)) for t in tensors_of("column_stack", tensors)], 1
    )

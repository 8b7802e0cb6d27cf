"""Sequences of different lengths in one batch: padded to one length, or packed without padding.

A packed batch holds the rows of all steps one after the other: the first element of each sequence, longest sequence
first, then the second element of each sequence that has one, and so on. So a step of a recurrent network reads
consecutive rows, and none is spent on padding.
"""

from typing import NamedTuple

import numpy as np

from nn.operations.joining import unbind
from nn.tape import record, record_linear
from nn.tensor import Tensor


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """Sequences of different lengths without padding, made by `pack_padded_sequence` or `pack_sequence`.

    Attributes
    ----------
    data : Tensor (rows, ...)
        The elements, step by step.
    batch_sizes : Tensor of int64 (T,)
        Number of sequences that have an element at each step.
    sorted_indices, unsorted_indices : Tensor of int64 (B,), or None
        The permutation that sorted the sequences by length, and its inverse; None if they were sorted.
    """

    __slots__ = ()

    def __new__(cls, data, batch_sizes, sorted_indices=None, unsorted_indices=None):
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args, **kwargs):
        """The same sequence with its data in another dtype, as `Tensor.to`; itself if it has that already."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else self._replace(data=data)

    def cpu(self):
        """The sequence itself: all tensors are on the CPU."""
        return self

    def float(self):
        """The data as float32."""
        return self.to(np.float32)

    def double(self):
        """The data as float64."""
        return self.to(np.float64)


def invert_permutation(permutation):
    """The inverse of `permutation`, a Tensor of int64 or None."""
    if permutation is None:
        return None
    inverse = np.empty_like(permutation.array)
    inverse[permutation.array] = np.arange(inverse.size)
    return Tensor(inverse)


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Remove the padding of a batch of sequences.

    Parameters
    ----------
    input : Tensor (T, B, ...), or with `batch_first` (B, T, ...)
        Of any dtype; elements beyond a sequence's length are ignored.
    lengths : Tensor, array or list of int (B,)
    batch_first : bool, default False
    enforce_sorted : bool, default True
        Whether the sequences must be ordered by decreasing length; else they are sorted.

    Returns
    -------
    PackedSequence

    Raises
    ------
    ValueError
        A length is below 1 or above T, the number of lengths is not B, or they are not sorted with `enforce_sorted`.

    Examples
    --------
    >>> import nn
    >>> from nn.utils.rnn import pack_padded_sequence
    >>> packed = pack_padded_sequence(nn.tensor([[1, 2, 0], [3, 4, 5]]), [2, 3], batch_first=True, enforce_sorted=False)
    >>> packed.data, packed.batch_sizes
    (tensor([3, 1, 4, 2, 5]), tensor([2, 2, 1]))
    """
    if input.ndim < 2:
        raise ValueError(f"pack_padded_sequence: input must have at smallest 2 dimensions, got shape {input.shape}")
    x = input.array.swapaxes(0, 1) if batch_first else input.array
    lengths = _checked_lengths("pack_padded_sequence", lengths, *x.shape[:2])
    order = None
    if not enforce_sorted:
        order = np.argsort(-lengths, kind="stable")
        lengths = lengths[order]
    elif (np.diff(lengths) > 0).any():
        raise ValueError(
            "pack_padded_sequence: lengths must be sorted in decreasing order when enforce_sorted is True, "
            f"got {lengths.tolist()}; pass enforce_sorted=False"
        )
    if not lengths.size:
        raise ValueError(f"pack_padded_sequence: needs at smallest one sequence, got input of shape {input.shape}")
    sizes = (lengths[:, None] > np.arange(lengths[0])).sum(axis=0)
    positions = _positions(sizes, order)
    shape, dtype = x.shape, x.dtype

    def backward(dy):
        dx = np.zeros(shape, dtype)
        dx[positions] = dy
        return dx.swapaxes(0, 1) if batch_first else dx

    def adjoint(d):
        return (d.swapaxes(0, 1) if batch_first else d)[positions]

    def derivative(dy):
        return record_linear("pack_padded_sequence", backward, adjoint, dy)

    packed = record("pack_padded_sequence", x[positions], (input,), backward, derivative=derivative)
    return PackedSequence(packed, Tensor(sizes), None if order is None else Tensor(order))


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """Undo `pack_padded_sequence`.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool, default False
    padding_value : float, default 0.0
    total_length : int, optional
        Pad to this length rather than to that of the longest sequence.

    Returns
    -------
    Tensor (T, B, ...), or with `batch_first` (B, T, ...), and Tensor of int64 (B,)
        The padded sequences in their original order, and their lengths.

    Raises
    ------
    ValueError
        `total_length` is less than that of the longest sequence.
    """
    data, sizes = sequence.data.array, sequence.batch_sizes.array
    T = len(sizes) if total_length is None else total_length
    if len(sizes) > T:
        raise ValueError(
            f"pad_packed_sequence: total_length must be at smallest {len(sizes)}, the longest sequence's, got {T}"
        )
    order = None if sequence.sorted_indices is None else sequence.sorted_indices.array
    positions = _positions(sizes, order)
    y = np.full((T, int(sizes[0]), *data.shape[1:]), padding_value, data.dtype)
    y[positions] = data
    lengths = (sizes[:, None] > np.arange(sizes[0])).sum(axis=0)
    if order is not None:
        lengths = lengths[sequence.unsorted_indices.array]

    def backward(dy):
        return dy.swapaxes(0, 1)[positions] if batch_first else dy[positions]

    def adjoint(d):
        padded = np.zeros(y.shape, d.dtype)
        (padded.swapaxes(0, 1) if batch_first else padded)[positions] = d
        return padded

    def derivative(dy):
        return record_linear("pad_packed_sequence", backward, adjoint, dy)

    y = y.swapaxes(0, 1) if batch_first else y
    result = record("pad_packed_sequence", y, (sequence.data,), backward, derivative=derivative)
    return result, Tensor(lengths)


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Stack sequences of different lengths, padded to that of the longest.

    Parameters
    ----------
    sequences : iterable of Tensor (length, ...)
        Of one dtype, and of one shape except for their lengths.
    batch_first : bool, default False
    padding_value : float, default 0.0
    padding_side : {"right", "left"}

    Returns
    -------
    Tensor (T, B, ...), or with `batch_first` (B, T, ...)

    Raises
    ------
    ValueError, TypeError
        There is no sequence, shapes differ beyond the first dimension, or the side is unknown; dtypes differ.
    """
    sequences = tuple(sequences)
    if not sequences:
        raise ValueError("pad_sequence: needs at smallest one sequence, got none")
    if padding_side not in ("right", "left"):
        raise ValueError(f"pad_sequence: padding_side must be 'right' or 'left', got {padding_side!r}")
    arrays = [sequence.array for sequence in sequences]
    if any(array.ndim == 0 or array.shape[1:] != arrays[0].shape[1:] for array in arrays):
        raise ValueError(f"pad_sequence: shapes differ in more than length: {[array.shape for array in arrays]}")
    if len({array.dtype for array in arrays}) > 1:
        raise TypeError(f"pad_sequence: dtypes differ: {', '.join(str(array.dtype) for array in arrays)}")
    T = max(map(len, arrays))
    slices = [slice(0, len(a)) if padding_side == "right" else slice(T - len(a), T) for a in arrays]
    y = np.full((len(arrays), T, *arrays[0].shape[1:]), padding_value, arrays[0].dtype)
    for row, steps, array in zip(y, slices, arrays, strict=True):
        row[steps] = array

    def backward(dy):
        rows = dy if batch_first else dy.swapaxes(0, 1)
        return tuple(row[steps] for row, steps in zip(rows, slices, strict=True))

    def derivative(dy):
        rows = unbind(dy, 0 if batch_first else 1)
        return tuple(row[steps] for row, steps in zip(rows, slices, strict=True))

    y = y if batch_first else y.swapaxes(0, 1)
    return record("pad_sequence", y, sequences, backward, derivative=derivative)


def unpad_sequence(padded_sequences, lengths, batch_first=False):
    """Undo `pad_sequence`: the list of sequences without their padding.

    Parameters
    ----------
    padded_sequences : Tensor (T, B, ...), or with `batch_first` (B, T, ...)
    lengths : Tensor, array or list of int (B,)
    batch_first : bool, default False
    """
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    B, T = rows.shape[:2]
    lengths = _checked_lengths("unpad_sequence", lengths, T, B, smallest=0)
    return [rows[b, : int(length)] for b, length in enumerate(lengths)]


def pack_sequence(sequences, enforce_sorted=True):
    """`pack_padded_sequence` of a list of Tensors (length, ...)."""
    sequences = tuple(sequences)
    padded = pad_sequence(sequences)
    return pack_padded_sequence(padded, [len(sequence) for sequence in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences):
    """Undo `pack_sequence`: the list of sequences."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def _checked_lengths(name, lengths, T, B, smallest=1):
    """Validate lengths, one for each sequence and from `smallest` to T, and return them as an array of int64."""
    found = np.asarray(lengths.array if isinstance(lengths, Tensor) else lengths)
    if found.shape != (B,):
        raise ValueError(f"{name}: needs a length for each of {B} sequences, got shape {found.shape}")
    if found.dtype.kind not in "iu" and B:
        raise TypeError(f"{name}: lengths must be integers, got {found.dtype}")
    if B and not (found.min() >= smallest and found.max() <= T):
        raise ValueError(f"{name}: lengths must be from {smallest} to {T}, got {found.tolist()}")
    return found.astype(np.int64)


def _positions(sizes, order):
    """Step and sequence of each packed row; `order` maps sorted sequences to their original indices."""
    steps = np.repeat(np.arange(len(sizes)), sizes)
    sequences = np.arange(len(steps)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return steps, sequences if order is None else order[sequences]

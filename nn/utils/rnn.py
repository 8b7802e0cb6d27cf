"""Sequences of different lengths in one batch: padded to one length, or packed without padding.

Packed, the rows of all steps stand below each other: first the first element of each sequence, longest sequence first,
then the second of each that has one, and so on. So a step of a recurrent network reads consecutive rows, and none is
wasted on padding.
"""

from typing import NamedTuple

import numpy as np

from nn.tensor import Tensor, record


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
        How many sequences have an element at each step.
    sorted_indices, unsorted_indices : Tensor of int64 (B,), or None
        Where the sequences stood before they were sorted by length, and where those now stand; None where they came
        sorted.
    """

    __slots__ = ()

    def __new__(cls, data, batch_sizes, sorted_indices=None, unsorted_indices=None):
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, dtype):
        """The same with its data in another dtype; itself if they have that dtype already."""
        data = self.data.to(dtype)
        return self if data is self.data else self._replace(data=data)

    def float(self):
        """The data as float32."""
        return self.to(np.float32)

    def double(self):
        """The data as float64."""
        return self.to(np.float64)


def invert_permutation(permutation):
    """The permutation that undoes `permutation`, a Tensor of int64 or None."""
    if permutation is None:
        return None
    inverse = np.empty_like(permutation.data)
    inverse[permutation.data] = np.arange(inverse.size)
    return Tensor(inverse)


def pack_padded_sequence(input, lengths, batch_first=False, enforce_sorted=True):
    """Leave the padding of a batch of sequences out.

    Parameters
    ----------
    input : Tensor (T, B, ...), or with `batch_first` (B, T, ...)
        Of any dtype; what lies beyond a sequence's length is ignored.
    lengths : Tensor, array or list of int (B,)
    batch_first : bool, default False
    enforce_sorted : bool, default True
        Whether the sequences must stand by decreasing length; else they are sorted.

    Returns
    -------
    PackedSequence

    Raises
    ------
    ValueError
        A length is below 1 or above T, there is not one for each sequence, or they are not sorted and must be.

    Examples
    --------
    >>> import nn
    >>> from nn.utils.rnn import pack_padded_sequence
    >>> packed = pack_padded_sequence(nn.tensor([[1, 2, 0], [3, 4, 5]]), [2, 3], batch_first=True, enforce_sorted=False)
    >>> packed.data, packed.batch_sizes
    (tensor([3, 1, 4, 2, 5]), tensor([2, 2, 1]))
    """
    if input.ndim < 2:
        raise ValueError(f"pack_padded_sequence: input must have at least 2 dimensions, got shape {input.shape}")
    x = input.data.swapaxes(0, 1) if batch_first else input.data
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
        raise ValueError(f"pack_padded_sequence: needs at least one sequence, got input of shape {input.shape}")
    sizes = (lengths[:, None] > np.arange(lengths[0])).sum(axis=0)
    places = _places(sizes, order)
    shape, dtype = x.shape, x.dtype

    def backward(dy):
        dx = np.zeros(shape, dtype)
        dx[places] = dy
        return dx.swapaxes(0, 1) if batch_first else dx

    packed = record("pack_padded_sequence", x[places], (input,), backward)
    return PackedSequence(packed, Tensor(sizes), None if order is None else Tensor(order))


def pad_packed_sequence(sequence, batch_first=False, padding_value=0.0, total_length=None):
    """Undo `pack_padded_sequence`.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool, default False
    padding_value : float, default 0.0
    total_length : int, optional
        Pad to this length, rather than that of the longest sequence.

    Returns
    -------
    Tensor (T, B, ...), or with `batch_first` (B, T, ...), and Tensor of int64 (B,)
        The padded sequences in their original order, and their lengths.

    Raises
    ------
    ValueError
        `total_length` is less than that of the longest sequence.
    """
    data, sizes = sequence.data.data, sequence.batch_sizes.data
    T = len(sizes) if total_length is None else total_length
    if len(sizes) > T:
        raise ValueError(
            f"pad_packed_sequence: total_length must be at least {len(sizes)}, the longest sequence's, got {T}"
        )
    order = None if sequence.sorted_indices is None else sequence.sorted_indices.data
    places = _places(sizes, order)
    y = np.full((T, int(sizes[0]), *data.shape[1:]), padding_value, data.dtype)
    y[places] = data
    lengths = (sizes[:, None] > np.arange(sizes[0])).sum(axis=0)
    if order is not None:
        lengths = lengths[sequence.unsorted_indices.data]

    def backward(dy):
        return dy.swapaxes(0, 1)[places] if batch_first else dy[places]

    y = y.swapaxes(0, 1) if batch_first else y
    return record("pad_packed_sequence", y, (sequence.data,), backward), Tensor(lengths)


def pad_sequence(sequences, batch_first=False, padding_value=0.0, padding_side="right"):
    """Stack sequences of different lengths, padded to that of the longest.

    Parameters
    ----------
    sequences : iterable of Tensor (length, ...)
        Of one dtype, alike but for their lengths.
    batch_first : bool, default False
    padding_value : float, default 0.0
    padding_side : {"right", "left"}

    Returns
    -------
    Tensor (T, B, ...), or with `batch_first` (B, T, ...)

    Raises
    ------
    ValueError, TypeError
        No sequence, shapes that differ beyond the first dimension, an unknown side; dtypes that differ.
    """
    sequences = tuple(sequences)
    if not sequences:
        raise ValueError("pad_sequence: needs at least one sequence, got none")
    if padding_side not in ("right", "left"):
        raise ValueError(f"pad_sequence: padding_side must be 'right' or 'left', got {padding_side!r}")
    arrays = [sequence.data for sequence in sequences]
    if any(array.ndim == 0 or array.shape[1:] != arrays[0].shape[1:] for array in arrays):
        raise ValueError(f"pad_sequence: shapes differ in more than length: {[array.shape for array in arrays]}")
    if len({array.dtype for array in arrays}) > 1:
        raise TypeError(f"pad_sequence: dtypes differ: {', '.join(str(array.dtype) for array in arrays)}")
    T = max(map(len, arrays))
    spans = [slice(0, len(a)) if padding_side == "right" else slice(T - len(a), T) for a in arrays]
    y = np.full((len(arrays), T, *arrays[0].shape[1:]), padding_value, arrays[0].dtype)
    for row, span, array in zip(y, spans, arrays, strict=True):
        row[span] = array

    def backward(dy):
        rows = dy if batch_first else dy.swapaxes(0, 1)
        return tuple(row[span] for row, span in zip(rows, spans, strict=True))

    return record("pad_sequence", y if batch_first else y.swapaxes(0, 1), sequences, backward)


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
    lengths = _checked_lengths("unpad_sequence", lengths, T, B, least=0)
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


def _checked_lengths(name, lengths, T, B, least=1):
    """The lengths as an array of int64, one for each sequence, from `least` to T."""
    found = np.asarray(lengths.data if isinstance(lengths, Tensor) else lengths)
    if found.shape != (B,):
        raise ValueError(f"{name}: needs a length for each of {B} sequences, got shape {found.shape}")
    if found.dtype.kind not in "iu" and B:
        raise TypeError(f"{name}: lengths must be integers, got {found.dtype}")
    if B and not (found.min() >= least and found.max() <= T):
        raise ValueError(f"{name}: lengths must be from {least} to {T}, got {found.tolist()}")
    return found.astype(np.int64)


def _places(sizes, order):
    """For each packed row its step and its sequence, of which `order` says where it stood before sorting."""
    steps = np.repeat(np.arange(len(sizes)), sizes)
    sequences = np.arange(len(steps)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return steps, sequences if order is None else order[sequences]

"""Padding."""

import numpy as np

from nn.functional.arguments import checked
from nn.operations.arguments import scalar_of, word_of
from nn.storage import wrap
from nn.tape import record, record_linear

__all__ = ["pad"]


def pad(input, pad, mode="constant", value=None):
    """Add elements at both ends of the last dimensions; negative widths remove elements.

    Parameters
    ----------
    input : Tensor
    pad : sequence of int
        Widths before and after the last dimension, then the second to last, …
    mode : {"constant", "reflect", "replicate", "circular"}
        What to fill with: `value`; the mirror image without the border; the border; the opposite end of what negative
        widths have left.
    value : float, optional
        For mode "constant": 0 by default.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        An unknown mode, an odd number of widths, more pairs than dimensions, a negative width beyond the length; in
        modes other than "constant": a value, an empty result, a width larger than the elements it is filled from, or
        other than one or two dimensions (C, or N and C) before the one, two or three with widths.

    Examples
    --------
    >>> import nn
    >>> nn.functional.pad(nn.tensor([1.0, 2.0]), (1, 2))
    tensor([0., 1., 2., 0., 0.])
    """
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    x, widths = checked("pad", input).array, list(zip(pad[::2], pad[1::2], strict=False))
    word_of("pad", "mode", mode, modes)
    if len(pad) % 2 or len(widths) > x.ndim:
        raise ValueError(f"pad: needs pairs of widths for at most {x.ndim} dimensions, got {tuple(pad)}")
    if mode == "constant":
        value = 0 if value is None else scalar_of("pad", "value", value)
        return _pad_constant(input, [(0, 0)] * (x.ndim - len(widths)) + widths[::-1], value)
    if value:
        raise ValueError(f"pad: mode {mode!r} takes no value, got {value}")
    if len(widths) not in (1, 2, 3) or x.ndim - len(widths) not in (1, 2):
        raise ValueError(
            f"pad: mode {mode!r} takes 2 widths for 2-D or 3-D input, 4 for 3-D or 4-D, 6 for 4-D or 5-D, got "
            f"{len(pad)} for shape {x.shape}"
        )
    for i, width in enumerate(widths):
        dim = x.ndim - 1 - i
        source = _sources(mode, modes[mode], x.shape[dim], *width)
        input = input[(slice(None),) * dim + (source,)]
    return input


def _sources(mode, name, n, before, after):
    """Indices, among the `n` elements of a dimension, of the result's elements; `name` is NumPy's for the mode."""
    first, last = max(-before, 0), n - max(-after, 0)
    if n + before + after < 1 or not n:
        raise ValueError(f"pad: {(before, after)} leaves no element of a dimension of length {n}")
    longest = {"reflect": n - 1, "circular": last - first, "replicate": max(before, after)}[mode]
    if max(before, after) > longest:
        raise ValueError(f"pad: {mode} of a dimension of length {n} is at most {longest}, got {(before, after)}")
    added = max(before, 0), max(after, 0)
    if mode == "circular":
        return np.pad(np.arange(first, last), added, mode=name)
    padded = np.pad(np.arange(n), added, mode=name)
    return padded[first : len(padded) - max(-after, 0)]


def _pad_constant(input, widths, value):
    x = input.array
    for n, width in zip(x.shape, widths, strict=True):
        if n + min(width[0], 0) + min(width[1], 0) < 0:
            raise ValueError(f"pad: {width} removes more than the {n} elements of a dimension")
    kept = tuple([slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths, strict=True)])
    part = x[kept]
    added = [(max(a, 0), max(b, 0)) for a, b in widths]
    inner = tuple([slice(a, a + n) for n, (a, _) in zip(part.shape, added, strict=True)])
    shape, whole = x.shape, part.shape == x.shape

    def backward(dy):
        if whole:
            return dy[inner]
        dx = np.zeros(shape, dy.dtype)
        dx[kept] = dy[inner]
        return dx

    # np.pad takes 25 us for its Python alone
    y = np.empty([n + before + after for n, (before, after) in zip(part.shape, added, strict=True)], x.dtype)
    y[inner] = part
    for dim, (before, after) in enumerate(added):
        front = (slice(None),) * dim
        if before:
            y[(*front, slice(before))] = value
        if after:
            y[(*front, slice(-after, None))] = value

    def derivative(dy):
        return record_linear("pad", backward, lambda d: _pad_constant(wrap(d), widths, 0).array, dy)

    return record("pad", y, (input,), backward, derivative=derivative)

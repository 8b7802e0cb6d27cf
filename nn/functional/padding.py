"""Larger borders."""

import numpy as np

from nn.functional.arguments import checked
from nn.tensor import record


def pad(input, pad, mode="constant", value=0.0):
    """Enlarge the last dimensions at both ends.

    Parameters
    ----------
    input : Tensor
    pad : sequence of int
        How much before and after the last dimension, then before and after the last but one, …; with mode "constant",
        negative widths cut off.
    mode : {"constant", "reflect", "replicate", "circular"}
        What to fill with: `value`; the mirror image without the border; the border; the opposite end.
    value : float, default 0

    Raises
    ------
    ValueError
        An unknown mode, an odd number of widths, more of them than dimensions, a negative one or one that cuts off more
        than there is.
    """
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    x, widths = checked("pad", input).data, list(zip(pad[::2], pad[1::2], strict=False))
    if mode not in modes:
        raise ValueError(f"pad: mode must be one of {', '.join(modes)}, not {mode!r}")
    least = "" if mode == "constant" else " of at least 0"
    if len(pad) % 2 or len(widths) > x.ndim or (least and min(pad, default=0) < 0):
        raise ValueError(f"pad: needs pairs of widths{least} for at most {x.ndim} dimensions, got {tuple(pad)}")
    if mode == "constant":
        return _pad_constant(input, [(0, 0)] * (x.ndim - len(widths)) + widths[::-1], value)
    for i, width in enumerate(widths):
        dim = x.ndim - 1 - i
        longest = x.shape[dim] - (mode == "reflect")
        if mode != "replicate" and max(width) > longest:
            raise ValueError(f"pad: {mode} of a dimension of length {x.shape[dim]} is at most {longest}, got {width}")
        source = np.pad(np.arange(x.shape[dim]), width, mode=modes[mode])
        input = input[(slice(None),) * dim + (source,)]
    return input


def _pad_constant(input, widths, value):
    x = input.data
    for n, width in zip(x.shape, widths, strict=True):
        if n + min(width[0], 0) + min(width[1], 0) < 0:
            raise ValueError(f"pad: {width} cuts off more than the {n} elements of a dimension")
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

    return record("pad", np.pad(part, added, constant_values=value), (input,), backward)

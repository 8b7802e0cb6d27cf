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
        How much before and after the last dimension, then before and after the last but one, …
    mode : {"constant", "reflect", "replicate", "circular"}
        What to fill with: `value`; the mirror image without the border; the border; the opposite end.
    value : float, default 0

    Raises
    ------
    ValueError
        An unknown mode, a negative or odd number of widths, or more of them than dimensions.
    """
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    x, widths = checked("pad", input).data, list(zip(pad[::2], pad[1::2], strict=False))
    if mode not in modes:
        raise ValueError(f"pad: mode must be one of {', '.join(modes)}, not {mode!r}")
    if len(pad) % 2 or len(widths) > x.ndim or min(pad, default=0) < 0:
        raise ValueError(f"pad: needs pairs of widths of at least 0 for at most {x.ndim} dimensions, got {tuple(pad)}")
    if mode == "constant":
        widths = [(0, 0)] * (x.ndim - len(widths)) + widths[::-1]
        inner = tuple(slice(low, low + n) for (low, _), n in zip(widths, x.shape, strict=True))
        y = np.pad(x, widths, constant_values=value)
        return record("pad", y, (input,), lambda dy: dy[inner])
    for i, width in enumerate(widths):
        dim = x.ndim - 1 - i
        longest = x.shape[dim] - (mode == "reflect")
        if mode != "replicate" and max(width) > longest:
            raise ValueError(f"pad: {mode} of a dimension of length {x.shape[dim]} is at most {longest}, got {width}")
        source = np.pad(np.arange(x.shape[dim]), width, mode=modes[mode])
        input = input[(slice(None),) * dim + (source,)]
    return input

"""How tensors are printed: as PyTorch prints them."""

import math
from types import SimpleNamespace

import numpy as np

options = SimpleNamespace(precision=4, threshold=1000, edgeitems=3, linewidth=80, sci_mode=None)
PROFILES = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None):
    """Set how tensors are printed.

    Parameters
    ----------
    precision : int
        Digits after the point: 4 unless set.
    threshold : int
        Tensors of more elements than this are summarised: 1000 unless set.
    edgeitems : int
        The number of items of a summary at either end of each dimension: 3 unless set.
    linewidth : int
        Characters in a line: 80 unless set.
    profile : {"default", "short", "full"}
        A set of the values above.
    sci_mode : bool
        Whether numbers have an exponent; by default, where they are very large, very small or far apart.
    """
    chosen = {} if profile is None else dict(PROFILES[profile])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    vars(options).update(chosen | {name: value for name, value in given.items() if value is not None})
    options.sci_mode = sci_mode


def _formatter(x):
    """A function from an element to its text, and the width that its result is filled up to."""
    if x.dtype.kind != "f":
        width = max((len(str(v)) for v in x.ravel().tolist()), default=0)
        return (lambda v: str(v).rjust(width)), width
    numbers = x[np.isfinite(x) & (x != 0)].astype(np.float64)
    whole = bool((numbers == np.ceil(numbers)).all())
    scientific = False
    if numbers.size:
        sizes = np.abs(numbers)
        low, high = sizes.min(), sizes.max()
        scientific = high / low > 1000 or high > 1e8 or low < 1e-4 if options.sci_mode is None else options.sci_mode
    form = f".{options.precision}e" if scientific else ".0f" if whole else f".{options.precision}f"

    def text(v):
        return f"{format(v, form)}." if whole and not scientific and math.isfinite(v) else format(v, form)

    width = max((len(text(v)) for v in numbers.tolist()), default=1)
    return (lambda v: text(v).rjust(width)), width


def _shown(x):
    """The elements that a summary shows."""
    if not x.ndim or x.size <= options.threshold:
        return x
    for d, n in enumerate(x.shape):
        if n > 2 * options.edgeitems:
            picked = [*range(options.edgeitems), *range(n - options.edgeitems, n)]
            x = np.take(x, picked, d)
    return x


def _vector(x, indent, text, width, summarise):
    """A vector in lines that are filled up to the width."""
    shortened = summarise and len(x) > 2 * options.edgeitems
    shown = np.concatenate((x[: options.edgeitems], x[-options.edgeitems :])) if shortened else x
    items = [text(v) for v in shown.tolist()]
    if shortened:
        items.insert(options.edgeitems, " ...")
    per_line = max(1, (options.linewidth - indent) // (width + 2))
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(x, indent, text, summarise):
    """An array of any number of dimensions; `text` is what `_formatter` returns."""
    if not x.ndim:
        return text[0](x.item())
    if x.ndim == 1:
        return _vector(x, indent, *text, summarise)
    shortened = summarise and len(x) > 2 * options.edgeitems
    rows = [*x[: options.edgeitems], *x[-options.edgeitems :]] if shortened else x
    parts = [_nested(row, indent + 1, text, summarise) for row in rows]
    if shortened:
        parts.insert(options.edgeitems, "...")
    return "[" + ("," + "\n" * (x.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def formatted(x, prefix, suffixes):
    """The text of an array: `prefix`, the elements, and `suffixes` in the last line if they fit."""
    summarise = x.size > options.threshold
    body = _nested(x, len(prefix), _formatter(_shown(x)), summarise) if x.size else "[]"
    text = prefix + body
    width = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if width + len(suffix) + 2 > options.linewidth:
            text, width = f"{text},\n{' ' * len(prefix)}{suffix}", len(prefix) + len(suffix)
        else:
            text, width = f"{text}, {suffix}", width + len(suffix) + 2
    return f"{text})"

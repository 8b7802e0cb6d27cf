"""The plotting style: colours, frame, figure.

The colours are as distinguishable with each kind of colour blindness as those of Okabe and Ito (a test simulates it),
and the lightness of the colour maps is monotonic, of the diverging one on each side.
"""

from contextlib import contextmanager
from typing import Any

import numpy as np

try:
    import matplotlib
except ModuleNotFoundError as error:
    raise ImportError("nn.plot needs matplotlib: pip install matplotlib") from error
from matplotlib.colors import LinearSegmentedColormap, to_rgb

from nn.plot.display import Figure, Panels, axes_class

INK, GREY = "#22223b", "#b8bfc6"  # text; frames and secondary elements
BLUE, ORANGE, GREEN = "#22609a", "#ee7f4b", "#3d8b78"
PURPLE, YELLOW, SKY = "#8f3566", "#efc04a", "#79bfe6"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY, INK)


def _colour_map(name, *stops):
    """A colour map in which values that are not finite are grey."""
    return LinearSegmentedColormap.from_list(name, stops).with_extremes(bad="#d7dbdf")


SEQUENTIAL = _colour_map("sequential", "#f6f9fc", "#a9cbe8", "#4f8fc4", BLUE, INK)
DIVERGING = _colour_map("diverging", "#8a3a12", "#d9632b", "#f4b393", "#fafafa", "#9fc6e6", "#3377b5", "#143f6b")

_SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "figure.titlesize": 12,
    "font.size": 10,
    "grid.color": "#e4e8eb",
    "grid.linewidth": 0.6,
    "image.interpolation": "nearest",
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "text.color": INK,
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 9,
}


@contextmanager
def style():
    """Context manager in which matplotlib uses this style. The functions of `nn.plot` use it by themselves.

    Examples
    --------
    >>> from nn import plot
    >>> figure, axes = plot.figure(5, 3)
    >>> with plot.style():
    ...     _ = axes.plot([1, 2, 4], label="mine")
    ...     _ = axes.legend()
    """
    with matplotlib.rc_context(_SETTINGS):
        yield


def figure(width, height, rows=1, columns=1, **options) -> tuple[Figure, Any]:
    """A figure and its axes in this style, outside pyplot: no window, no global state; Jupyter shows them as pictures.

    Parameters
    ----------
    width, height : float
        In inches, at 110 dots per inch.
    rows, columns : int, default 1
    **options
        Of `matplotlib.figure.Figure.subplots`, such as ``sharex`` or ``squeeze``.

    Returns
    -------
    (Figure, Axes or array of Axes)

    Examples
    --------
    >>> from nn import plot
    >>> canvas, (left, right) = plot.figure(8, 3, columns=2)
    >>> _ = plot.curves({"loss": [2.3, 1.1, 0.6]}, ax=left, xlabel="epoch")
    """
    with style():
        canvas = Figure(figsize=(width, height), dpi=110, layout="constrained")
        own = dict(options.pop("subplot_kw", {}))
        own |= axes_class(own.pop("projection", None))
        axes = canvas.subplots(rows, columns, subplot_kw=own, **options)
        for ax in np.ravel(axes):
            ax.tick_params(which="both", color=GREY, labelcolor=INK)  # for ticks that are created when drawing
    return canvas, axes.view(Panels) if isinstance(axes, np.ndarray) else axes


def axes_or_new(ax, width, height, **options) -> Any:
    """The given Axes, or the Axes of a new figure of this size."""
    return figure(width, height, **options)[1] if ax is None else ax


def panels(name, axes, count, columns, width, height):
    """`count` Axes as a flat array: the given ones, or those of a new figure with panels of this size; hides the rest.

    Raises
    ------
    ValueError
        Fewer than `count` are given.
    """
    if axes is None:
        columns = max(1, min(columns, count))
        rows = -(-count // columns)
        axes = figure(columns * width, rows * height, rows, columns, squeeze=False)[1]
    axes = np.ravel(axes)
    if len(axes) < count:
        raise ValueError(f"{name}: there are {count} panels to draw, and {len(axes)} axes")
    for spare in axes[count:]:
        spare.set_axis_off()
    return axes[:count]


def bare(ax):
    """Remove ticks and frame."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def readable_on(colour):
    """A text colour readable on `colour`: white on dark colours, ink on light ones."""
    return "white" if np.dot(to_rgb(colour[:3]), (0.299, 0.587, 0.114)) < 0.55 else INK


def numbers(name, what, values, *dimensions):
    """Validate `values` and return them as a float64 array.

    Raises
    ------
    TypeError
        They are not real numbers.
    ValueError
        The number of dimensions is none of `dimensions`, or there are no values.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: {what} must be real numbers, got {array.dtype}")
    if array.ndim not in dimensions:
        allowed = " or ".join(f"{d}-D" for d in dimensions)
        raise ValueError(f"{name}: {what} must be {allowed}, got shape {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name}: {what} are empty, shape {array.shape}")
    return array.astype(np.float64)


def same_length(name, what, values, length, of):
    """Validate the number of `values`, and return them.

    Raises
    ------
    ValueError
    """
    if len(values) != length:
        raise ValueError(f"{name}: {len(values)} {what} for {length} {of}")
    return values


def template(name, fmt):
    """Validate that `fmt` has a replacement field for the value, and return it.

    Raises
    ------
    ValueError
    """
    if "{" not in fmt:
        raise ValueError(f'{name}: fmt must have a replacement field, such as "{{:.2f}}", got {fmt!r}')
    return fmt

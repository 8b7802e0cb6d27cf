"""Plots over a plane: the decision boundaries of a classifier, a loss around a point, and paths through it."""

import numpy as np
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.ticker import MaxNLocator

from nn.plot.appearance import (
    COLOURS,
    DIVERGING,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SEQUENTIAL,
    YELLOW,
    axes_or_new,
    numbers,
    same_length,
    style,
)

_RESOLUTION = 200  # points along each side of a plot of decision boundaries
_MARKERS = "osD^vP*"
_BRIGHT = (ORANGE, PURPLE, GREEN, YELLOW, INK)  # colours of paths: all contrast with a surface's blue


def decision_boundary(classify, x, y, *, ax=None, labels=None, **properties):
    """The class that a classifier predicts everywhere in the plane, and the points that it should classify.

    Parameters
    ----------
    classify : callable
        (N, 2) array -> (N,) classes as integers, (N,) scores, positive for class 1 and negative for class 0, or (N, C)
        scores of C classes, of which the largest is the prediction.
    x : (N, 2) array_like
        Points.
    y : (N,) array_like of int
        Their classes, from 0 to 6.
    ax : Axes, optional
    labels : sequence of str, optional
        Names of the classes.
    **properties
        Of the Axes.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        Classes are not integers.
    ValueError
        Shapes do not match, there are more than seven classes, or the result of `classify` is invalid.
    """
    x, y = numbers("decision_boundary", "points", x, 2), np.asarray(y)
    if y.dtype.kind not in "iu":
        raise TypeError(f"decision_boundary: classes must be integers, got {y.dtype}")
    if x.shape[1] != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"decision_boundary: needs points (N, 2) and classes (N,), got {x.shape} and {y.shape}")
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.08 * np.where(high > low, high - low, 1)
    sides = [np.linspace(a, b, _RESOLUTION) for a, b in zip(low - margin, high + margin, strict=True)]
    across, up = np.meshgrid(*sides)
    predicted, borders = predictions(classify, np.stack([across.ravel(), up.ravel()], axis=1))
    scored = predicted.dtype.kind == "f"
    largest = (2 if scored else len(COLOURS)) - 1
    classes = max(int(y.max()), 1 if scored else int(predicted.max())) + 1
    if y.min() < 0 or classes > largest + 1:
        raise ValueError(f"decision_boundary: classes must be in 0…{largest}, got {y.min()}…{classes - 1}")
    labels = [str(i) for i in range(classes)] if labels is None else labels
    same_length("decision_boundary", "labels", labels, classes, "classes")
    with style():
        ax = axes_or_new(ax, 5.4, 4)
        if scored:
            limit = np.abs(predicted).max() or 1
            fill, norm = DIVERGING.reversed(), Normalize(-limit, limit)
        else:
            fill, norm = ListedColormap(COLOURS[:classes]), Normalize(-0.5, classes - 0.5)
        predicted = predicted.reshape(across.shape)
        ax.pcolormesh(across, up, predicted, cmap=fill, norm=norm, alpha=0.3, lw=0, rasterized=True)
        for border in borders:
            if border.min() < 0 < border.max():
                ax.contour(across, up, border.reshape(across.shape), [0], colors=INK, linewidths=1)
        for i, (label, colour, marker) in enumerate(zip(labels, COLOURS, _MARKERS, strict=False)):
            ax.scatter(*x[y == i].T, s=22, color=colour, marker=marker, ec="white", lw=0.6, label=label)
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), handletextpad=0.2)
        ax.set(**properties)
    return ax


def predictions(classify, points):
    """(the class or the only score of each point, for each class a function that is positive where it is predicted).

    Raises
    ------
    ValueError
        The result of `classify` is invalid.
    """
    result = np.asarray(classify(points))
    columns = result.shape[1:]
    if result.shape[:1] != points.shape[:1] or columns not in ((), *((c,) for c in range(2, len(COLOURS) + 1))):
        N, C, shape = len(points), len(COLOURS), result.shape
        raise ValueError(f"decision_boundary: classify must return ({N},) or ({N}, 2…{C}), got {shape}")
    if not np.isfinite(result).all():
        raise ValueError("decision_boundary: classify returns values that are not finite")
    if columns:
        best = np.sort(result, axis=1)
        others = np.where(result == best[:, -1:], best[:, -2:-1], best[:, -1:])
        return result.argmax(axis=1), list((result - others).T)
    if result.dtype.kind == "f":
        return result, [result]
    return result, [np.where(result == i, 1.0, -1.0) for i in np.unique(result)]


def loss_surface(xs, ys, values, *, ax=None, kind="contour", log=False, label="loss", **properties):
    """A loss over two directions, as a contour plot or as a surface.

    Parameters
    ----------
    xs, ys : (X,) and (Y,) array_like
        Positions along the first and the second direction, increasing.
    values : (Y, X) array_like
        Values that are not finite are left empty.
    ax : Axes, optional
        For "3d" with ``projection="3d"``.
    kind : "contour" or "3d", default "contour"
    log : bool, default False
        Whether to show the base-10 logarithm of the values, which must then be above 0.
    label : str, default "loss"
        The name of the values.
    **properties
        Of the Axes.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        Shapes do not match, positions do not increase, no value is finite, `log` with values that are not positive, or
        `ax` has another projection.

    Examples
    --------
    >>> import numpy as np
    >>> from nn import plot
    >>> x = np.linspace(-1, 1, 21)
    >>> ax = plot.loss_surface(x, x, x**2 + 10 * x[:, None] ** 2)
    >>> ax = plot.paths({"descent": [[0.9, 0.3], [0.7, -0.2], [0.5, 0.1], [0.2, 0]]}, ax=ax)
    """
    if kind not in ("contour", "3d"):
        raise ValueError(f'loss_surface: kind must be "contour" or "3d", got {kind!r}')
    xs, ys = numbers("loss_surface", "xs", xs, 1), numbers("loss_surface", "ys", ys, 1)
    values = np.ma.masked_invalid(numbers("loss_surface", "values", values, 2))
    if values.shape != (len(ys), len(xs)) or min(values.shape) < 2:
        raise ValueError(f"loss_surface: values must be ({len(ys)}, {len(xs)}), at least (2, 2), got {values.shape}")
    if (np.diff(xs) <= 0).any() or (np.diff(ys) <= 0).any():
        raise ValueError("loss_surface: positions must increase")
    if values.mask.all():
        raise ValueError("loss_surface: no value is finite")
    if log and values.min() <= 0:
        raise ValueError(f"loss_surface: a logarithm needs values above 0, the lowest is {values.min():g}")
    heights, label = (np.ma.log10(values), f"log10 of {label}") if log else (values, label)
    flat = kind == "contour"
    with style():
        ax = axes_or_new(ax, 5, 4, **({} if flat else {"subplot_kw": {"projection": "3d"}}))
        if flat == hasattr(ax, "plot_surface"):
            raise ValueError(f'loss_surface: kind "{kind}" on axes with projection "{ax.name}"')
        if flat:
            top = heights.max() if heights.max() > heights.min() else heights.min() + 1
            levels = MaxNLocator(20).tick_values(heights.min(), top)
            filled = ax.contourf(xs, ys, heights, levels, cmap=SEQUENTIAL)
            ax.contour(xs, ys, heights, levels[1::2], colors="white", linewidths=0.5, linestyles="solid")
            bar = ax.figure.colorbar(filled, ax=ax, label=label, pad=0.02)
            bar.outline.set_visible(False)
        else:
            plane, options = np.meshgrid(xs, ys), {"cmap": SEQUENTIAL, "rcount": 50, "ccount": 50, "lw": 0}
            ax.plot_surface(*plane, heights.filled(np.nan), **options)
            ax.set_zlabel(label)
            for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
                axis.set_major_locator(MaxNLocator(4))
                axis.set_tick_params(labelsize=8, pad=0)
                axis.pane.set(facecolor="white", edgecolor=GREY)
        ax.set(**{"xlabel": "first direction", "ylabel": "second direction", **properties})
    return ax


def paths(paths, *, ax=None, colours=None, **properties):
    """Paths through a plane, for example of optimisers on a loss surface; each starts at a ring and ends at a disc.

    Parameters
    ----------
    paths : dict
        Name -> (T, 2).
    ax : Axes, optional
        Those of `loss_surface`, for example.
    colours : sequence of colours, optional
        One for each path.
    **properties
        Of the Axes.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        There is no path, a shape is not (T, 2), or there are more paths than colours.
    """
    if not paths:
        raise ValueError("paths: there are no paths to draw")
    colours = _BRIGHT if colours is None else colours
    if len(paths) > len(colours):
        raise ValueError(f"paths: {len(paths)} paths and {len(colours)} colours")
    with style():
        ax = axes_or_new(ax, 5, 4)
        for (name, points), colour in zip(paths.items(), colours, strict=False):
            points = numbers("paths", f"the points of {name!r}", points, 2)
            if points.shape[1] != 2:
                raise ValueError(f"paths: the points of {name!r} must be (T, 2), got {points.shape}")
            ax.plot(*points.T, color="white", lw=3, solid_capstyle="round")
            ax.plot(*points.T, color=colour, lw=1.6, marker=".", ms=4, label=name)
            ax.plot(*points[0], marker="o", ms=7, mfc="white", mec=colour, mew=1.6)
            ax.plot(*points[-1], marker="o", ms=7, color=colour, mec="white")
        ax.legend(loc="best", frameon=True, facecolor="white", edgecolor="white", framealpha=0.85)
        ax.set(**properties)
    return ax

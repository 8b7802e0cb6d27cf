"""Plots of matrices as colours: images, attention, confusion, tables of numbers, histograms over time."""

import numpy as np
from matplotlib.colors import Normalize, PowerNorm

from nn.plot.appearance import (
    DIVERGING,
    SEQUENTIAL,
    axes_or_new,
    bare,
    numbers,
    panels,
    readable_on,
    same_length,
    style,
    template,
)


def images(images, *, columns=8, titles=None, axes=None, cmap=None, limits=None):
    """Images side by side, such as digits, filters or feature maps, with one common colour scale.

    Parameters
    ----------
    images : (N, H, W) or (N, C, H, W) array_like
        Grey values (C = 1) or red, green and blue (C = 3), then in [0, 1] or uint8.
    columns : int, default 8
    titles : sequence of str, optional
        One for each.
    axes : array of Axes, optional
        At least N; the others are hidden.
    cmap : colour map, optional
        Of grey values: by default black on white, or orange through white to blue if there are negative values.
    limits : (float, float), optional
        The values at the ends of the colour map: by default the lowest and highest of all images, or symmetric around 0
        if there are negative values.

    Returns
    -------
    array of Axes
        One for each image.

    Raises
    ------
    ValueError
        Another shape, colours outside [0, 1], no finite value, or another number of titles.

    Examples
    --------
    >>> import numpy as np
    >>> from nn import plot
    >>> axes = plot.images(np.random.default_rng(0).random((16, 1, 8, 8)), titles=[str(i) for i in range(16)])
    """
    pixels = numbers("images", "images", images, 3, 4)
    if pixels.ndim == 4 and pixels.shape[1] not in (1, 3):
        raise ValueError(f"images: images have 1 or 3 channels, (N, C, H, W), got shape {pixels.shape}")
    if titles is not None:
        same_length("images", "titles", titles, len(pixels), "images")
    coloured = pixels.ndim == 4 and pixels.shape[1] == 3
    if coloured:
        pixels = pixels.transpose(0, 2, 3, 1) / (255 if np.asarray(images).dtype == np.uint8 else 1)
        if not ((pixels >= 0) & (pixels <= 1)).all():
            raise ValueError(f"images: colours must be in [0, 1], got {pixels.min():g} to {pixels.max():g}")
    else:
        pixels = np.ma.masked_invalid(pixels.reshape(len(pixels), *pixels.shape[-2:]))
        if pixels.mask.all():
            raise ValueError("images: no value is finite")
        signed = limits is None and pixels.min() < 0
        largest = np.abs(pixels).max()
        limits = limits or ((-largest, largest) if signed else (pixels.min(), pixels.max()))
        cmap = cmap or (DIVERGING if signed else "gray_r")
    with style():
        axes = panels("images", axes, len(pixels), columns, 1.15, 1.4 if titles is not None else 1.15)
        for i, (ax, image) in enumerate(zip(axes, pixels, strict=True)):
            ax.imshow(image, cmap=cmap, norm=None if coloured else Normalize(*limits))
            bare(ax)
            if titles is not None:
                ax.set_title(titles[i], fontsize=9)
    return axes


def attention(weights, *, queries=None, keys=None, titles=None, axes=None):
    """The attention weights of each head: one row per query, one column per key; darker is more (square-root scale).

    Parameters
    ----------
    weights : (heads, T, S) or (T, S) array_like
        Each row sums to 1 (or is 0 if all keys are masked).
    queries, keys : sequences of T and of S str, optional
        Tokens or characters.
    titles : sequence of str, optional
        One for each head; by default "head 1" and so on.
    axes : array of Axes, optional
        One for each head; by default up to four in a row.

    Returns
    -------
    array of Axes

    Raises
    ------
    ValueError
        Shapes or numbers do not match, or a weight is outside [0, 1].
    """
    weights = numbers("attention", "weights", weights, 2, 3)
    weights = weights.reshape(-1, *weights.shape[-2:])
    if not ((weights >= 0) & (weights <= 1 + 1e-5)).all():
        raise ValueError(f"attention: weights must be in [0, 1], got {weights.min():g} to {weights.max():g}")
    heads, T, S = weights.shape
    titles = [f"head {i + 1}" for i in range(heads)] if titles is None else titles
    same_length("attention", "titles", titles, heads, "heads")
    for what, tokens, length, of in (("queries", queries, T, "rows"), ("keys", keys, S, "columns")):
        if tokens is not None:
            same_length("attention", what, tokens, length, of)
    with style():
        width, height = np.clip(0.13 * S, 2, 4.5), np.clip(0.13 * T, 2, 4.5)
        left, bottom = (0.08 * max(map(len, tokens or [""])) for tokens in (queries, keys))
        axes = panels("attention", axes, heads, 4, width + left, height + bottom + 0.3)
        for ax, rows, title in zip(axes, weights, titles, strict=True):
            image = ax.imshow(rows, cmap=SEQUENTIAL, norm=PowerNorm(0.5, 0, 1))
            bare(ax)
            ax.set_title(title, fontsize=10)
            for axis, tokens in ((ax.yaxis, queries), (ax.xaxis, keys)):
                if tokens is not None:
                    name_cells(axis, tokens)
        bar = axes[0].figure.colorbar(
            image, ax=list(axes), ticks=[0, 0.1, 0.5, 1], shrink=0.6, aspect=30, pad=0.01, label="weight"
        )
        bar.outline.set_visible(False)
    return axes


def name_cells(axis, names):
    """Names along an axis of cells, as large as cells allow; on the x axis rotated if wider than a cell."""
    names, extent = list(map(str, names)), axis.axes.get_window_extent()
    cell = (extent.width if axis.axis_name == "x" else extent.height) / len(names) * 72 / axis.axes.figure.dpi  # points
    size = np.clip(0.95 * cell, 4, 9)
    rotated = axis.axis_name == "x" and 0.65 * size * max(map(len, names)) > cell
    axis.set_ticks(range(len(names)), names, fontsize=size, rotation=90 * rotated, parse_math=False)
    axis.set_tick_params(length=0, pad=2)


def confusion(actual, predicted, *, labels=None, ax=None, **properties):
    """A confusion matrix: how often each class was predicted for each; darker is more (on a square-root scale).

    Parameters
    ----------
    actual, predicted : (N,) array_like of int
        Classes, from 0.
    labels : sequence of str, optional
        Names of the classes; by default their numbers.
    ax : Axes, optional
    **properties
        Of the Axes; by default the title is the accuracy.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        Classes are not integers.
    ValueError
        Shapes do not match, or a class is negative or has no label.
    """
    pairs = [np.asarray(actual), np.asarray(predicted)]
    for classes in pairs:
        if classes.dtype.kind not in "iu":
            raise TypeError(f"confusion: classes must be integers, got {classes.dtype}")
    if pairs[0].ndim != 1 or pairs[0].shape != pairs[1].shape or not pairs[0].size:
        raise ValueError(f"confusion: actual is {pairs[0].shape}, predicted {pairs[1].shape}; needs (N,) of both")
    highest = max(classes.max() for classes in pairs)
    labels = [str(i) for i in range(highest + 1)] if labels is None else labels
    if min(classes.min() for classes in pairs) < 0 or highest >= len(labels):
        lowest = min(classes.min() for classes in pairs)
        raise ValueError(f"confusion: classes must be in 0…{len(labels) - 1}, got {lowest}…{highest}")
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, tuple(pairs), 1)
    accuracy = np.trace(counts) / len(pairs[0])
    with style():
        side = max(3.2, 0.48 * len(labels) + 0.8)
        ax = axes_or_new(ax, side, side)
        cells(ax, counts, PowerNorm(0.5, 0, max(1, counts.max())), SEQUENTIAL, "{:d}")
        name_cells(ax.xaxis, labels)
        name_cells(ax.yaxis, labels)
        title = f"{accuracy:.1%} of {len(pairs[0]):,} right"
        ax.set(**{"xlabel": "taken for", "ylabel": "is", "title": title, **properties})
    return ax


def cells(ax, values, norm, cmap, fmt):
    """Draw a heat map with white lines between the cells and each value written in its cell; return the image."""
    image = ax.imshow(np.ma.masked_invalid(values), cmap=cmap, norm=norm)
    bare(ax)
    rows, columns = values.shape
    extent, points = ax.get_window_extent(), 72 / ax.figure.dpi
    longest = max(len(fmt.format(value)) for value in values.flat)
    size = np.clip(min(extent.width / columns / (0.75 * longest), 0.6 * extent.height / rows) * points, 4, 9)
    for (i, j), value in np.ndenumerate(values):
        text = fmt.format(value) if np.isfinite(value) else "–"
        ax.text(j, i, text, ha="center", va="center", fontsize=size, color=readable_on(image.to_rgba(values[i, j])))
    ax.hlines(np.arange(1, rows) - 0.5, -0.5, columns - 0.5, color="white", lw=1)
    ax.vlines(np.arange(1, columns) - 0.5, -0.5, rows - 0.5, color="white", lw=1)
    return image


def grid(values, rows, columns, *, ax=None, fmt="{:z.2f}", label=None, limits=None, cmap=SEQUENTIAL, **properties):
    """A table of numbers as a heat map, such as activations × losses; values that are not finite are dashes on grey.

    Parameters
    ----------
    values : (rows, columns) array_like
    rows, columns : sequences
        Names, or numbers used as names.
    ax : Axes, optional
    fmt : str, default "{:z.2f}"
        Format of the values.
    label : str, optional
        Label of the colour bar; without it there is no colour bar.
    limits : (float, float), optional
        The values at the ends of the colour map; by default the lowest and the highest.
    cmap : colour map, default `SEQUENTIAL`
    **properties
        Of the Axes.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        Shapes do not match, or no value is finite.

    Examples
    --------
    >>> from nn import plot
    >>> ax = plot.grid([[0.91, 0.95], [0.10, 0.96]], ["sigmoid", "ReLU"], ["SGD", "Adam"], label="accuracy")
    """
    values = numbers("grid", "values", values, 2)
    same_length("grid", "names of rows", rows, values.shape[0], "rows")
    same_length("grid", "names of columns", columns, values.shape[1], "columns")
    template("grid", fmt)
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ValueError("grid: no value is finite")
    with style():
        longest = max(len(str(row)) for row in rows)
        ax = axes_or_new(ax, 0.62 * len(columns) + 0.075 * longest + 1.4, 0.42 * len(rows) + 1.2)
        image = cells(ax, values, Normalize(*(limits or (finite.min(), finite.max()))), cmap, fmt)
        name_cells(ax.xaxis, columns)
        name_cells(ax.yaxis, rows)
        ax.set_aspect("auto")
        if label is not None:
            ax.figure.colorbar(image, ax=ax, label=label, pad=0.02).outline.set_visible(False)
        ax.set(**properties)
    return ax


def histograms_over_time(counts, edges, steps, *, names=None, axes=None, xlabel="step"):
    """A distribution over time: a panel per layer, steps on the x axis, values on the y axis, fractions as colours.

    Parameters
    ----------
    counts : (steps, bins) or (steps, layers, bins) array_like
        The number of values in each bin.
    edges : (bins + 1,) or (layers, bins + 1) array_like
        Of the bins, increasing.
    steps : (steps,) array_like
        Increasing.
    names : sequence of str, optional
        Of the layers.
    axes : array of Axes, optional
        One for each layer.
    xlabel : str, default "step"

    Returns
    -------
    array of Axes

    Raises
    ------
    ValueError
        Shapes do not match, a count is negative, or edges or steps do not increase.
    """
    name = "histograms_over_time"
    counts, edges = numbers(name, "counts", counts, 2, 3), numbers(name, "edges", edges, 1, 2)
    steps = numbers(name, "steps", steps, 1)
    counts = counts.reshape(len(counts), -1, counts.shape[-1])
    number, layers, bins = counts.shape
    same_length(name, "steps", steps, number, "rows of counts")
    if edges.shape not in ((bins + 1,), (layers, bins + 1)):
        raise ValueError(f"{name}: edges must be ({bins + 1},) or ({layers}, {bins + 1}), got {edges.shape}")
    if (np.diff(edges) <= 0).any() or (np.diff(steps) <= 0).any():
        raise ValueError(f"{name}: edges and steps must increase")
    if not (counts >= 0).all():
        raise ValueError(f"{name}: counts must not be negative, got {counts.min():g}")
    if names is not None:
        same_length(name, "names", names, layers, "layers")
    edges = np.broadcast_to(edges, (layers, bins + 1))
    fractions = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
    half = np.diff(steps).min() / 2 if number > 1 else 0.5
    borders = np.concatenate([[steps[0] - half], (steps[1:] + steps[:-1]) / 2, [steps[-1] + half]])
    with style():
        axes = panels(name, axes, layers, 4, *((2.5, 2.1) if layers > 1 else (5, 3)))
        norm = PowerNorm(0.5, 0, fractions.max() or 1)
        for i, ax in enumerate(axes):
            mesh = ax.pcolormesh(borders, edges[i], fractions[:, i].T, cmap=SEQUENTIAL, norm=norm, rasterized=True)
            ax.set(xlabel=xlabel, title=None if names is None else names[i])
            ax.set_ylim(edges[i, 0], edges[i, -1])
        bar = axes[0].figure.colorbar(mesh, ax=list(axes), label="fraction of the values", pad=0.01)
        bar.outline.set_visible(False)
    return axes

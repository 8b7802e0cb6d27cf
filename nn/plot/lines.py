"""Plots over steps or layers: curves with all their seeds, gradient flow, update ratios; and bar charts."""

import math

import numpy as np
from matplotlib.ticker import MaxNLocator

from nn.plot.appearance import (
    BLUE,
    COLOURS,
    GREY,
    INK,
    ORANGE,
    SEQUENTIAL,
    axes_or_new,
    numbers,
    panels,
    same_length,
    style,
    template,
)

_BANDS = {
    "t": "95 % t-interval of the mean",
    "range": "lowest to highest",
    None: None,
}
_NAMED = 14  # the largest number of update ratios in the legend


def colours_for(count):
    """`count` colours: those of the style, or a sequence from light to dark if these are too few."""
    if count <= len(COLOURS):
        return COLOURS[:count]
    return [SEQUENTIAL(fraction) for fraction in np.linspace(0.25, 1, count)]


def t_quantile(degrees):
    """The 97.5 % quantile of Student's t distribution, for a whole number of degrees of freedom.

    Bisection on the finite trigonometric sums for the probability within ±t, with t = √ν tan θ (Abramowitz and Stegun,
    Handbook of Mathematical Functions, 26.7.3 and 26.7.4).
    """

    def within(theta):
        cos2, odd = math.cos(theta) ** 2, degrees % 2
        term, total = (math.cos(theta) if odd else 1.0), 0.0
        for k in range(2 + odd, degrees + 1, 2):
            total += term
            term *= cos2 * (k - 1) / k
        return 2 / math.pi * (theta + math.sin(theta) * total) if odd else math.sin(theta) * total

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 0.95 else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def band_of(runs, kind, logarithmic):
    """Lower and upper end of the band around runs (seeds, T); with `logarithmic`, around the mean logarithm."""
    if kind == "range":
        return runs.min(axis=0), runs.max(axis=0)
    runs = np.log(runs) if logarithmic else runs
    half = t_quantile(len(runs) - 1) * runs.std(axis=0, ddof=1) / math.sqrt(len(runs))
    low, high = runs.mean(axis=0) - half, runs.mean(axis=0) + half
    return (np.exp(low), np.exp(high)) if logarithmic else (low, high)


def curves(series, x=None, *, ax=None, band="t", colours=None, marker=None, **properties):
    """Curves over time: thin lines for the seeds, a thick one for their median, and a band named in the legend.

    Parameters
    ----------
    series : dict
        Name -> (T,) or (seeds, T). NaNs and infinities are gaps in the line.
    x : (T,) array_like, or dict of them by name, optional
        By default 0, 1, 2…
    ax : Axes, optional
    band : "t", "range" or None, default "t"
        If there are several seeds: the 95 % confidence interval of the mean by Student's t distribution (on a
        logarithmic axis, of the mean logarithm), or the range from the lowest to the highest.
    colours : sequence of colours, optional
        One for each name.
    marker : str, optional
        A matplotlib marker for the points.
    **properties
        Of the Axes, such as ``xlabel``, ``ylabel``, ``title``, ``yscale``.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        Shapes or numbers do not match, or the axis is logarithmic and a value is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from nn import plot
    >>> losses = np.exp(-np.linspace(0, 3, 50)) + 0.1 * np.random.default_rng(0).random((5, 50))
    >>> ax = plot.curves({"SGD": losses, "Adam": losses**2}, xlabel="step", ylabel="loss", yscale="log")
    """
    if band not in _BANDS:
        raise ValueError(f'curves: band must be "t", "range" or None, got {band!r}')
    if not series:
        raise ValueError("curves: there are no series to draw")
    colours = same_length("curves", "colours", colours or colours_for(len(series)), len(series), "series")
    with style():
        ax = axes_or_new(ax, 5.5, 3.6)
        ax.set(**properties)
        logarithmic, banded = ax.get_yscale() == "log", False
        for (name, values), colour in zip(series.items(), colours, strict=True):
            runs = np.atleast_2d(numbers("curves", f"the values of {name!r}", values, 1, 2))
            at = np.arange(runs.shape[1]) if x is None else x[name] if isinstance(x, dict) else x
            same_length("curves", "positions along x", at, runs.shape[1], f"values of {name!r}")
            if logarithmic and (runs <= 0).any():
                raise ValueError(f"curves: a logarithmic axis needs values above 0, {name!r} has {np.nanmin(runs):g}")
            several = len(runs) > 1
            runs = np.where(np.isfinite(runs), runs, np.nan)
            if several:
                ax.plot(at, runs.T, color=colour, lw=0.6, alpha=0.45)
                if band:
                    ax.fill_between(at, *band_of(runs, band, logarithmic), color=colour, alpha=0.15, lw=0)
                    banded = True
            label = ", ".join(filter(None, (name, f"median of {len(runs)}" if several else "")))
            ax.plot(at, np.median(runs, axis=0), color=colour, marker=marker, ms=3.5, label=label)
        if banded:
            logarithms = " logarithm" if logarithmic and band == "t" else ""
            ax.fill_between([], [], [], color=GREY, alpha=0.5, lw=0, label=_BANDS[band] + logarithms)
        key(ax)
    return ax


def key(ax):
    """A legend without duplicates, if anything in the Axes has a label."""
    named = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    if named:
        ax.legend(named.values(), named, loc="best")  # an explicit "best" does not warn about a slow search


def history(history, *, loss="loss", axes=None, title=None):
    """The loss of a training run, and a panel for each metric: of batches, of epochs, and on held-out data.

    Parameters
    ----------
    history : dict
        What `nn.training.fit` returns, or has filled until it was interrupted. What it lacks is not drawn.
    loss : str, default "loss"
        The label of the loss, with its unit.
    axes : as many Axes as there are panels, optional
    title : str, optional
        The title, for example the model and the data.

    Returns
    -------
    array of Axes

    Raises
    ------
    ValueError
        The history has no loss.

    Examples
    --------
    >>> from nn import plot
    >>> axes = plot.history({"loss": [2.0, 1.0, 0.7], "validation_loss": [1.9, 1.2, 1.1], "accuracy": [0.3, 0.6, 0.7]})
    >>> [ax.get_title() for ax in axes]
    ['Loss', 'Accuracy']
    """
    batch = history.get("batch_loss", ())
    if not len(batch) and "loss" not in history:
        raise ValueError(f"history: there is no loss, only {', '.join(history) or 'an empty history'}")
    apart = ("loss", "batch_loss", "batch_lr", "lr", "unfinished")
    bare_names = dict.fromkeys(name.removeprefix("validation_") for name in history)
    names = ["loss", *(name for name in bare_names if name not in apart)]
    epochs = np.arange(1, len(history.get("loss", ())) + 1)
    with style():
        all_axes = panels("history", axes, len(names), 2, 4.6, 3.6)
        if len(batch):
            losses = numbers("history", "batch losses", batch, 1)
            each = (len(losses) - history.get("unfinished", 0)) / max(len(epochs), 1)  # batches of an epoch
            at = np.arange(1, len(losses) + 1) / (each or len(losses))
            all_axes[0].plot(at, losses, color=GREY, lw=0.6, label="batch")
        for ax, name in zip(all_axes, names, strict=True):
            what = name.replace("_", " ")
            ax.set(xlabel="epoch", title=what.capitalize(), ylabel=loss if name == "loss" else what)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
            kinds = ("training, mean of the epoch", name, BLUE), ("held out", f"validation_{name}", ORANGE)
            kinds = [kind for kind in kinds if kind[1] in history]
            if kinds:
                told = {label: history[key] for label, key, _ in kinds}
                curves(told, epochs, ax=ax, marker="o", colours=[colour for _, _, colour in kinds])
            if kinds and name.endswith("accuracy"):
                _, last, colour = kinds[-1]
                at = epochs[-1], history[last][-1]
                ax.annotate(f"{at[1]:.1%}", at, (0, -14), textcoords="offset points", ha="center", c=colour)
                ax.yaxis.set_major_formatter("{x:.0%}")
        if title:
            all_axes[0].figure.suptitle(title)
    return all_axes


def gradient_flow(values, names, *, ax=None, **properties):
    """Gradients layer by layer on a logarithmic axis, which shows whether they vanish or explode.

    Parameters
    ----------
    values : (layers,) or (repetitions, layers) array_like, or dict of them by name
        A norm, a mean magnitude or a standard deviation of each layer's gradient; repetitions are steps or seeds.
    names : sequence of str
        The layers, from the input to the output.
    ax : Axes, optional
    **properties
        Of the Axes, such as ``ylabel`` and ``title``.

    Returns
    -------
    Axes
        A gradient of exactly 0, which has no logarithm, is a triangle at the bottom; one that is not finite is a cross
        at the top.

    Raises
    ------
    ValueError
        Shapes do not match, or a value is negative.
    """
    series = values if isinstance(values, dict) else {"": values}
    positions = np.arange(len(names))
    with style():
        ax = axes_or_new(ax, max(4.5, 0.4 * len(names) + 1.5), 3.6)
        ax.set(yscale="log", **{"ylabel": "gradient", **properties})
        for (name, runs), colour in zip(series.items(), colours_for(len(series)), strict=True):
            runs = np.atleast_2d(numbers("gradient_flow", "values", runs, 1, 2))
            same_length("gradient_flow", "names", names, runs.shape[1], "layers")
            if (runs < 0).any():
                raise ValueError(f"gradient_flow: values must not be negative, got {np.nanmin(runs):g}")
            drawn = np.where((runs > 0) & np.isfinite(runs), runs, np.nan)
            curves({name: drawn}, positions, ax=ax, band=None, colours=[colour], marker="o")
            for special, height, mark, what in (
                (runs == 0, 0.03, "v", "exactly 0"),
                (~np.isfinite(runs), 0.97, "x", "not finite"),
            ):
                if special.any():
                    at = positions[special.any(axis=0)]
                    options = {"color": colour, "ms": 6, "ls": "", "marker": mark, "label": f"{name} {what}".strip()}
                    ax.plot(at, np.full(len(at), height), transform=ax.get_xaxis_transform(), **options)
        name_ticks(ax, names)
        key(ax)
    return ax


def name_ticks(ax, names):
    """Names below the axis, slanted if they would overlap."""
    names = list(map(str, names))
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, names)) > 40 else {}
    ax.set_xticks(range(len(names)), names, **slanted)


def update_ratios(ratios, steps, names, *, ax=None, **properties):
    """The size of each parameter's updates relative to the parameter: log10 of ‖Δw‖/‖w‖, with a line at 1e-3.

    Parameters
    ----------
    ratios : (steps, parameters) array_like
        ‖Δw‖/‖w‖. Ratios of 0 (no update, no logarithm) and ratios that are not finite are gaps.
    steps : (steps,) array_like
    names : sequence of str
        The parameters. Their colours go from light (first) to dark (last); the legend names at most 14.
    ax : Axes, optional
    **properties
        Of the Axes.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        Shapes do not match, or a ratio is negative.

    Notes
    -----
    A thousandth is a rule of thumb: much larger updates suggest instability, much smaller ones slow learning.
    """
    ratios = numbers("update_ratios", "ratios", ratios, 2)
    same_length("update_ratios", "steps", steps, ratios.shape[0], "rows of ratios")
    same_length("update_ratios", "names", names, ratios.shape[1], "columns of ratios")
    if (ratios < 0).any():
        raise ValueError(f"update_ratios: ratios must not be negative, got {np.nanmin(ratios):g}")
    named = set(np.linspace(0, len(names) - 1, min(len(names), _NAMED)).round().astype(int))
    usable = (ratios > 0) & np.isfinite(ratios)
    logarithms = np.log10(ratios, out=np.full_like(ratios, np.nan), where=usable)
    with style():
        ax = axes_or_new(ax, 7, 3.6)
        for i, name in enumerate(names):
            colour = SEQUENTIAL(0.25 + 0.75 * i / max(1, len(names) - 1))
            ax.plot(steps, logarithms[:, i], color=colour, lw=1.2, label=name if i in named else None)
        ax.axhline(-3, color=ORANGE, lw=1.2, ls="--", label="a thousandth")
        ax.set(**{"xlabel": "step", "ylabel": "log10 of update / weight", **properties})
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    return ax


def bars(values, *, ax=None, errors=None, fmt="{:.3g}", reference=None, colours=None, **properties):
    """Named values as horizontal bars from 0: the mean, and each seed as a dot.

    Parameters
    ----------
    values : dict
        Name -> number, or (seeds,) of them.
    ax : Axes, optional
    errors : dict, optional
        Name -> half the width of an interval around the value.
    fmt : str, default "{:.3g}"
        Format of the value at the end of each bar.
    reference : (str, float), optional
        Name and value of a line to compare with, such as ("chance", 0.1).
    colours : dict, optional
        Name -> colour; by default all bars are blue.
    **properties
        Of the Axes, such as ``xlabel`` and ``title``.

    Returns
    -------
    Axes
        The first name is at the top.

    Raises
    ------
    ValueError
        There are no values, one is not finite, or `errors` has a name that `values` does not have.
    """
    if not values:
        raise ValueError("bars: there are no values to draw")
    template("bars", fmt)
    if unknown := set(errors or {}) - set(values):
        raise ValueError(f"bars: errors without a value: {', '.join(sorted(unknown))}")
    runs = {name: np.atleast_1d(numbers("bars", f"the values of {name!r}", v, 0, 1)) for name, v in values.items()}
    for name, seeds in runs.items():
        if not np.isfinite(seeds).all():
            raise ValueError(f"bars: the values of {name!r} are not finite: {seeds}")
    with style():
        ax = axes_or_new(ax, 5.5, 0.42 * len(values) + 1.1)
        for row, (name, seeds) in enumerate(runs.items()):
            mean, colour = seeds.mean(), (colours or {}).get(name, BLUE)
            ax.barh(row, mean, height=0.6, color=colour, alpha=0.45 if len(seeds) > 1 else 1)
            ends = [mean]
            if len(seeds) > 1:
                ax.plot(seeds, np.full(len(seeds), row), "o", color=colour, ms=4, mec="white", mew=0.5)
                ends += [seeds.min(), seeds.max()]
            if errors and name in errors:
                ax.errorbar(mean, row, xerr=errors[name], color=INK, capsize=3, lw=1.2)
                ends += [mean - errors[name], mean + errors[name]]
            end, offset, side = (max(ends), 5, "left") if mean >= 0 else (min(ends), -5, "right")
            ax.annotate(
                fmt.format(mean),
                (end, row),
                (offset, 0),
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize=9,
            )
        if reference:
            ax.axvline(reference[1], color=ORANGE, lw=1.2, ls="--", label=reference[0])
            ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
        ax.set_yticks(range(len(runs)), list(runs))
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(len(runs) - 0.5, -0.5)
        ax.margins(x=0.14)
        ax.set(**properties)
    return ax

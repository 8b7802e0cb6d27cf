"""Claims as inequalities: the checks of an experiment, and the verdict that they give.

An experiment has two kinds of checks: those of the paper's *claim*, which give the verdict, and *extras* of ours
(controls, further predictions), which are counted beside it.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

ORIGINS = {  # when the bound of a check was set -> how the tables say it
    "registered": "before any run",
    "pilot": "after pilot seeds",
    "afterwards": "after the results",
}


class Check(NamedTuple):
    """A claim about a measured value, as an inequality; NaN never holds. Made by `check`."""

    claim: str
    value: float
    at_least: float
    at_most: float
    extra: bool = False
    origin: str = "registered"
    interval: tuple = ()  # of the mean over seeds, 95 %

    @property
    def holds(self):
        """Whether the value lies within its bounds."""
        return bool(self.at_least <= self.value <= self.at_most)

    @property
    def bounds(self):
        """The inequality in words."""
        if np.isneginf(self.at_least):
            return f"≤ {self.at_most:.4g}"
        if np.isposinf(self.at_most):
            return f"≥ {self.at_least:.4g}"
        return f"{self.at_least:.4g} to {self.at_most:.4g}"

    @property
    def kind(self):
        """ "claim" or "extra"."""
        return "extra" if self.extra else "claim"


def check(claim, value, *, at_least=-np.inf, at_most=np.inf, extra=False, origin="registered"):
    """A check that a value lies within bounds.

    Parameters
    ----------
    claim : str
        What the value is.
    value : float or sequence of float
        One value a seed: their mean is checked, and its 95 % t-interval is shown.
    at_least, at_most : float
        One of them at least is finite.
    extra : bool
        Not part of the paper's claim: the verdict does not depend on it.
    origin : {"registered", "pilot", "afterwards"}
        When the bound was set: before any run (by the paper, by theory or in a commit); after a look at pilot seeds,
        but before the full run; after the full run's results.

    Returns
    -------
    Check

    Raises
    ------
    ValueError
        Neither bound is given: such a check could not fail. The origin is none of the three.
    """
    if at_least == -np.inf and at_most == np.inf:
        raise ValueError(f"check: {claim!r} has no bound")
    if origin not in ORIGINS:
        raise ValueError(f"check: origin must be one of {', '.join(ORIGINS)}, not {origin!r}")
    values = np.atleast_1d(np.asarray(value, np.float64))
    interval = t_interval(values) if len(values) > 1 else ()
    return Check(claim, float(values.mean()), float(at_least), float(at_most), extra, origin, interval)


def t_interval(values, confidence=0.95):
    """The t-interval (low, high) of the mean of independent values."""
    values = np.asarray(values, np.float64)
    half = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def paired(claim, differences, *, at_least, extra=False, origin="registered"):
    """The two checks of a paired comparison: the mean over seeds is large enough, and no seed has the other sign.

    Parameters
    ----------
    claim : str
        What is subtracted from what.
    differences : sequence of float
        One a seed; positive where the claim holds.
    at_least : float
        Threshold of the mean.
    extra, origin
        As in `check`.

    Returns
    -------
    list of Check
    """
    n = len(differences)
    mean = f"{claim}, mean of {n} seed{'s' if n > 1 else ''}"
    return [
        check(mean, differences, at_least=at_least, extra=extra, origin=origin),
        check(f"{claim}, smallest of them", np.min(differences), at_least=0, extra=extra, origin=origin),
    ]


def verdict(checks):
    """*reproduced* if every check of the claim holds, *partial* if at least the first does, else *not reproduced*."""
    claims = [check for check in checks if not check.extra]
    if not claims:
        raise ValueError("verdict: no check belongs to the claim")
    if all(check.holds for check in claims):
        return "reproduced"
    return "partial" if claims[0].holds else "not reproduced"


def tally(checks, extra):
    """How many of the claim's checks, or of the extras, hold: "3 of 4"; "none" without any."""
    kind = [check for check in checks if check.extra == extra]
    return f"{sum(check.holds for check in kind)} of {len(kind)}" if kind else "none"


def table(checks):
    """The checks as lines of a table in Markdown: the claim's first, then the extras."""
    lines = ["| | check | measured | 95 % interval | must be | holds | bound set |"]
    lines += ["| :--- | :--- | ---: | :--- | :--- | :--- | :--- |"]
    for c in sorted(checks, key=lambda check: check.extra):
        claim = c.claim.replace("|", "\\|")  # else it would end the cell
        interval = "{:.4g} to {:.4g}".format(*c.interval) if c.interval else ""
        holds = "yes" if c.holds else "**no**"
        lines.append(
            f"| {c.kind} | {claim} | {c.value:.4g} | {interval} | {c.bounds} | {holds} | {ORIGINS[c.origin]} |"
        )
    return lines

"""What is kept of an array: mean, deviation, shares, quantiles, a histogram; over all arrays of a step together.

Sums are in float64, whatever the array is in: squares of small gradients would vanish in float32.
"""

import math

import numpy as np

import kernels

SATURATION = 0.97  # of the way from the middle of a bounded activation's range to its ends
HUGE = 2.0**1023  # from here on bins count a value as infinite: its power of two would be

_ieee = np.errstate(all="ignore")  # infinities and NaNs are findings here, not warnings


class Workspace:
    """Memory for float64 copies, kept from one array to the next: fresh pages would cost more than the sums."""

    def __init__(self):
        self._memory = np.empty(0)

    def take(self, size):
        """An array (size,) of undefined values; the next call may return the same memory."""
        if self._memory.size < size:
            self._memory = np.empty(size)
        return self._memory[:size]

    @_ieee
    def norm(self, array, minus=0):
        """The Euclidean norm of all elements of ``array - minus``, a float."""
        values = self.take(array.size)
        np.subtract(array, minus, out=values.reshape(array.shape), dtype=np.float64)
        np.multiply(values, values, out=values)
        return math.sqrt(kernels.sum(values))


class Summary:
    """Statistics of all arrays that `add` gets until `close`: of what one layer puts out, or gets back, in one step.

    Parameters
    ----------
    workspace : Workspace
    bounds : (float, float), optional
        The range of a bounded activation; without it nothing is saturated.
    quantiles : tuple of float
    histogram : Histogram, optional
    """

    def __init__(self, workspace, bounds=None, quantiles=(), histogram=None):
        self._workspace, self._bounds, self._quantiles, self.histogram = workspace, bounds, quantiles, histogram
        self._clear()

    def _clear(self):
        self._count = self._zeros = self._saturated = 0
        self._mean = self._squares = 0.0  # squares of the distances from the mean
        self._kept = []

    @_ieee
    def add(self, array):
        """Take in an array of floats; return whether all of it is finite."""
        if not array.size:
            return True
        x = array.ravel(order="K")
        values = self._workspace.take(x.size)
        np.copyto(values, x)
        total = float(kernels.sum(values))
        finite = math.isfinite(total) or bool(np.isfinite(x).all())
        self._zeros += np.count_nonzero(x == 0)
        if self._bounds is not None:
            low, high = self._bounds
            self._saturated += np.count_nonzero(np.abs(values - (low + high) / 2) > SATURATION * (high - low) / 2)
        mean = total / x.size
        values -= mean
        np.multiply(values, values, out=values)
        self._merge(x.size, mean, float(kernels.sum(values)))
        if self._quantiles:
            self._kept.append(x.copy())
        if self.histogram is not None:
            self.histogram.add(x)
        return finite

    def _merge(self, count, mean, squares):
        """Join means and squares of two sets, exactly (Chan, Golub and LeVeque 1979)."""
        total, apart = self._count + count, mean - self._mean
        self._squares += squares + apart * apart * self._count * count / total
        self._mean += apart * count / total
        self._count = total

    @_ieee
    def close(self):
        """The statistics by name, NaN where nothing was added; begin anew."""
        n = self._count or math.nan
        row = {
            "mean": self._mean if self._count else math.nan,
            "std": math.sqrt(self._squares / n),
            "zeros": self._zeros / n,
            "saturated": self._saturated / n if self._bounds is not None else math.nan,
        }
        if self._quantiles:
            nothing = np.full(len(self._quantiles), math.nan)
            row["quantiles"] = np.quantile(np.concatenate(self._kept), self._quantiles) if self._kept else nothing
        if self.histogram is not None:
            self.histogram.close()
        self._clear()
        return row


class Histogram:
    """Counts of values in bins, step by step.

    Parameters
    ----------
    bins : int or array (bins + 1,)
        Edges: then values beyond them are not counted, as by `numpy.histogram`. Or a number of bins, a multiple of 4:
        these are equal and lie around zero, and where a value falls beyond them, all of them double in width: pairs of
        bins are joined, those of earlier steps, too, so that every count stays exact.
    """

    def __init__(self, bins):
        self.adapts = isinstance(bins, int)
        self._given = None if self.adapts else np.asarray(bins, np.float64)
        self._limit = 0.0  # of the range of bins that adapt: a power of two; 0 as long as all values were
        self._current = np.zeros(bins if self.adapts else len(bins) - 1, np.int64)
        self.counts = []

    @property
    def edges(self):
        """Of the bins as they are now, (bins + 1,)."""
        if not self.adapts:
            return self._given
        return np.linspace(-1, 1, len(self._current) + 1) * (self._limit or 1.0)

    def add(self, x):
        """Count the values of an array; NaNs and infinities fall into no bin, unless an edge is infinite."""
        if not self.adapts:
            self._current += np.histogram(x[~np.isnan(x)], self._given)[0]
            return
        bins, x = len(self._current), x.astype(np.float64)
        largest = float(np.abs(x).max(initial=0))
        if not largest < HUGE:
            x = x[np.abs(x) < HUGE]
            largest = float(np.abs(x).max(initial=0))
        if largest:
            self._widen(largest)
            x *= bins / 2 / self._limit  # now in bins from zero: exact for 2ⁿ bins
            np.floor(x, out=x)
        x += bins // 2
        np.minimum(x, bins - 1, out=x)  # where the product was rounded up
        self._current += np.bincount(x.astype(np.intp), minlength=bins)

    def _widen(self, largest):
        """Double the bins until they hold `largest`."""
        bins = len(self._current)
        if not self._limit:
            self._limit = 2.0 ** math.frexp(largest)[1]  # above it: where it falls on an edge, its bin begins there
        while largest >= self._limit:
            self._limit *= 2
            for counts in (self._current, *self.counts):
                pairs = counts.reshape(-1, 2).sum(axis=1)
                counts[:] = 0
                counts[bins // 4 : bins // 4 + len(pairs)] = pairs

    def close(self):
        """Keep the counts of this step and begin anew."""
        self.counts.append(self._current)
        self._current = np.zeros_like(self._current)


def check_histogram(name, bins):
    """TypeError or ValueError unless `Histogram` takes `bins`."""
    if isinstance(bins, int) and not isinstance(bins, bool):
        if bins < 4 or bins % 4:
            raise ValueError(f"{name}: the number of bins must be a positive multiple of 4, got {bins}")
        return
    edges = np.asarray(bins)
    if edges.ndim != 1 or edges.dtype.kind not in "fiu":
        raise TypeError(f"{name}: histogram must be a number of bins or a list of edges, got {bins!r}")
    if len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"{name}: edges must increase, and there must be two at least, got {bins!r}")

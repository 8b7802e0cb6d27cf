"""Statistics of arrays: mean, standard deviation, fractions, quantiles, a histogram; of all arrays of a step together.

Sums are in float64 for every dtype: squares of small gradients would underflow in float32.
"""

import math

import numpy as np

import kernels

SATURATION = 0.97  # saturated: further from the middle of a bounded activation's range than this, relative to its ends
HUGE = 2.0**1023  # bins count larger values as infinite: the next power of two would be

_ieee = np.errstate(all="ignore")  # infinities and NaNs are results here, not warnings


class Workspace:
    """Memory for float64 copies, reused from one array to the next: new pages would cost more than the sums."""

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
    """Statistics of all arrays passed to `add` until `close`: a layer's outputs in one step, or their gradients.

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
        self._mean = self._squares = 0.0  # _squares: the sum of squared deviations from the mean
        self._copies = []  # for the quantiles

    @_ieee
    def add(self, array):
        """Add an array of floats; return whether all of its elements are finite."""
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
            self._copies.append(x.copy())
        if self.histogram is not None:
            self.histogram.add(x)
        return finite

    def _merge(self, count, mean, squares):
        """Combine the means and squared deviations of two sets, exactly (Chan, Golub and LeVeque 1979)."""
        total, difference = self._count + count, mean - self._mean
        self._squares += squares + difference * difference * self._count * count / total
        self._mean += difference * count / total
        self._count = total

    @_ieee
    def close(self):
        """Return the statistics by name, NaN if nothing was added, and reset."""
        n = self._count or math.nan
        row = {
            "mean": self._mean if self._count else math.nan,
            "std": math.sqrt(self._squares / n),
            "zeros": self._zeros / n,
            "saturated": self._saturated / n if self._bounds is not None else math.nan,
        }
        if self._quantiles:
            if self._copies:
                row["quantiles"] = np.quantile(np.concatenate(self._copies), self._quantiles)
            else:
                row["quantiles"] = np.full(len(self._quantiles), math.nan)
        if self.histogram is not None:
            self.histogram.close()
        self._clear()
        return row


class Histogram:
    """Counts of values in bins, step by step.

    Parameters
    ----------
    bins : int or array (bins + 1,)
        Edges: values beyond them are not counted, as by `numpy.histogram`. Or a number of bins, a multiple of 4: bins
        of equal width, symmetric around zero. If a value is beyond them, all double in width: pairs of bins are merged,
        those of earlier steps, too, so that every count is exact.
    """

    def __init__(self, bins):
        self.adapts = isinstance(bins, int)
        self._given = None if self.adapts else np.asarray(bins, np.float64)
        self._limit = 0.0  # end of the range of adaptive bins: a power of two; 0 while all values have been 0
        self._current = np.zeros(bins if self.adapts else len(bins) - 1, np.int64)
        self.counts = []

    @property
    def edges(self):
        """The current edges of the bins, (bins + 1,)."""
        if not self.adapts:
            return self._given
        return np.linspace(-1, 1, len(self._current) + 1) * (self._limit or 1.0)

    def add(self, x):
        """Count the values of an array; NaNs and infinities are not counted, unless an edge is infinite."""
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
            x *= bins / 2 / self._limit  # in units of bins from zero: exact for 2ⁿ bins
            np.floor(x, out=x)
        x += bins // 2
        np.minimum(x, bins - 1, out=x)  # in case the product was rounded up
        self._current += np.bincount(x.astype(np.intp), minlength=bins)

    def _widen(self, largest):
        """Double the width of the bins until they include `largest`."""
        bins = len(self._current)
        if not self._limit:
            self._limit = 2.0 ** math.frexp(largest)[1]  # strictly larger: bins exclude their upper edge
        while largest >= self._limit:
            self._limit *= 2
            for counts in (self._current, *self.counts):
                pairs = counts.reshape(-1, 2).sum(axis=1)
                counts[:] = 0
                counts[bins // 4 : bins // 4 + len(pairs)] = pairs

    def close(self):
        """Append the counts of this step, and reset."""
        self.counts.append(self._current)
        self._current = np.zeros_like(self._current)


def check_histogram(name, bins):
    """Raise TypeError or ValueError unless `bins` is valid for `Histogram`."""
    if isinstance(bins, int) and not isinstance(bins, bool):
        if bins < 4 or bins % 4:
            raise ValueError(f"{name}: the number of bins must be a positive multiple of 4, got {bins}")
        return
    edges = np.asarray(bins)
    if edges.ndim != 1 or edges.dtype.kind not in "fiu":
        raise TypeError(f"{name}: histogram must be a number of bins or a list of edges, got {bins!r}")
    if len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"{name}: edges must increase, and there must be at least two, got {bins!r}")

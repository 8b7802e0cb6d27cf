"""Summaries and histograms against NumPy on the same values."""

import math

import numpy as np
import pytest

from nn.observation.statistics import Histogram, Summary, Workspace, check_histogram


def summary_of(*arrays, **options):
    summary = Summary(Workspace(), **options)
    for array in arrays:
        summary.add(array)
    return summary.close()


def test_one_array(rng, dtype):
    x = rng.standard_normal((7, 5, 3)).astype(dtype)
    x[x < 0] = 0
    row = summary_of(x, quantiles=(0.1, 0.5))
    wide = x.astype(np.float64)
    assert row["mean"] == pytest.approx(wide.mean(), rel=1e-14)
    assert row["std"] == pytest.approx(wide.std(), rel=1e-14)
    assert row["zeros"] == (x == 0).mean() > 0
    assert math.isnan(row["saturated"])
    np.testing.assert_allclose(row["quantiles"], np.quantile(wide, (0.1, 0.5)), rtol=1e-6)


def test_several_arrays_are_combined(rng):
    parts = [rng.standard_normal((n, 4)) * 10**k + k for k, n in enumerate((3, 50, 1))]
    x = np.concatenate(parts)
    row = summary_of(*parts, quantiles=(0.25, 0.75), bounds=(-1, 1))
    assert row["mean"] == pytest.approx(x.mean(), rel=1e-13)
    assert row["std"] == pytest.approx(x.std(), rel=1e-13)
    assert row["saturated"] == (np.abs(x) > 0.97).mean() > 0
    np.testing.assert_allclose(row["quantiles"], np.quantile(x, (0.25, 0.75)), rtol=1e-14)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (0.0, 6.0)])
def test_saturated_at_both_ends(bounds):
    low, high = bounds
    x = np.linspace(low, high, 1001).astype(np.float32)
    relative = np.linspace(-1, 1, 1001)
    assert summary_of(x, bounds=bounds)["saturated"] == pytest.approx((np.abs(relative) > 0.97).mean(), abs=2e-3)


def test_nan_is_not_saturated():
    assert summary_of(np.array([0.5, math.nan, 1.0, math.inf]), bounds=(0, 1))["saturated"] == 0.5


def test_gradients_whose_squares_underflow_in_float32(rng):
    x = (rng.standard_normal(100) * 1e-30).astype(np.float32)
    assert x.std() == 0
    assert summary_of(x)["std"] == pytest.approx(x.astype(np.float64).std(), rel=1e-12, abs=0)


def test_far_from_zero(rng):
    x = rng.standard_normal(1000) + 1e9
    assert summary_of(x)["std"] == pytest.approx(x.std(), rel=1e-9)


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0)])
def test_layouts(rng, order):
    x = rng.standard_normal((4, 6, 5)).transpose(order)[::2]
    row = summary_of(x)
    assert (row["mean"], row["std"]) == (pytest.approx(x.mean()), pytest.approx(x.std()))


def test_scalars_and_empty_arrays():
    assert summary_of(np.float32(3).reshape(()))["mean"] == 3
    for row in (summary_of(quantiles=(0.5,)), summary_of(np.empty((0, 3)), quantiles=(0.5,))):
        assert all(np.isnan(value).all() for value in row.values())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_finite_or_not(value):
    summary = Summary(Workspace())
    x = np.ones(100, np.float32)
    assert summary.add(x)
    x[57] = value
    assert not summary.add(x)
    assert not math.isfinite(summary.close()["mean"])
    assert summary.add(np.full(4, np.finfo(np.float64).max))  # the sum overflows, no element is infinite


def test_close_resets():
    summary = Summary(Workspace(), (0.0, 1.0), (0.5,))
    summary.add(np.ones(5))
    assert summary.close()["mean"] == 1
    summary.add(np.zeros(5))
    assert summary.close() == {"mean": 0, "std": 0, "zeros": 1, "saturated": 1, "quantiles": [0]}


def test_norm(rng, dtype):
    a, b = (rng.standard_normal((4, 5)).astype(dtype) for _ in range(2))
    workspace = Workspace()
    assert workspace.norm(a) == pytest.approx(np.linalg.norm(a.astype(np.float64)), rel=1e-14)
    assert workspace.norm(a.T) == pytest.approx(workspace.norm(a), rel=1e-14)
    assert workspace.norm(a, b) == pytest.approx(np.linalg.norm(a.astype(np.float64) - b), rel=1e-14)
    assert workspace.norm(np.full(3, 1e-30, np.float32)) == pytest.approx(1e-30 * math.sqrt(3), rel=1e-6, abs=0)


@pytest.mark.parametrize("bins", [4, 16, 20, 100])
def test_bins_double_and_keep_every_count(rng, bins):
    histogram = Histogram(bins)
    steps = [rng.standard_normal(200) * scale for scale in (0.01, 3.0, 0.5, 40.0)]
    for x in steps:
        for part in np.split(x, 4):
            histogram.add(part)
        histogram.close()
    assert histogram.edges.shape == (bins + 1,) and histogram.edges[-1] == -histogram.edges[0]
    assert np.abs(np.concatenate(steps)).max() < histogram.edges[-1]
    for x, counts in zip(steps, histogram.counts, strict=True):
        np.testing.assert_array_equal(counts, np.histogram(x, histogram.edges)[0])
        assert counts.sum() == 200


def test_bins_with_values_on_their_edges():
    histogram = Histogram(8)
    values = [0.0, 0.25, -0.25, 0.5, 1.0, -1.0, 2.0, 4.0, -4.0, 8.0]
    for value in values:
        histogram.add(np.array([value], np.float32))
    histogram.close()
    np.testing.assert_array_equal(histogram.counts[0], np.histogram(values, histogram.edges)[0])


def test_values_that_almost_reach_an_end():
    histogram = Histogram(12)
    histogram.add(np.array([np.nextafter(1, 0), -np.nextafter(1, 0), -1e-300, 1e-300]))
    histogram.close()
    assert histogram.edges[-1] == 1
    assert histogram.counts[0].tolist() == [1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1]


def test_zeros_before_anything_else():
    histogram = Histogram(4)
    histogram.add(np.zeros(3))
    histogram.close()
    assert histogram.edges.tolist() == [-1, -0.5, 0, 0.5, 1] and histogram.counts[0].tolist() == [0, 0, 3, 0]
    histogram.add(np.array([0, 0.004, -0.007]))  # the zeros said nothing about the range
    histogram.close()
    assert histogram.edges[-1] == 2**-7 and histogram.counts[1].tolist() == [1, 0, 1, 1]
    histogram.add(np.array([1e-3, 5.0]))
    histogram.close()
    assert histogram.edges.tolist() == [-8, -4, 0, 4, 8]
    assert [counts.tolist() for counts in histogram.counts] == [[0, 0, 3, 0], [0, 1, 2, 0], [0, 0, 1, 1]]


def test_given_edges():
    histogram = Histogram([-1, 0, 2])
    histogram.add(np.array([-5.0, -0.5, 0.0, 2.0, 2.5, math.nan, math.inf]))
    histogram.close()
    assert histogram.counts[0].tolist() == [1, 2]
    open_ends = Histogram([-math.inf, 0, math.inf])
    open_ends.add(np.array([-5.0, 7.0, math.inf, -math.inf, math.nan], np.float32))
    open_ends.close()
    assert open_ends.counts[0].tolist() == [2, 2]


def test_nonfinite_values_are_not_counted():
    histogram = Histogram(4)
    histogram.add(np.array([0.5, math.nan, math.inf, -math.inf], np.float32))
    histogram.add(np.array([math.nan]))
    histogram.add(np.array([np.finfo(np.float64).max]))  # beyond the last power of two
    histogram.add(np.empty(0))
    histogram.close()
    assert histogram.counts[0].tolist() == [0, 0, 0, 1] and histogram.edges[-1] == 1


@pytest.mark.parametrize(
    ("bins", "error", "message"),
    [
        (6, ValueError, "multiple of 4, got 6"),
        (0, ValueError, "multiple of 4, got 0"),
        ([1, 1, 2], ValueError, "edges must increase"),
        ([1], ValueError, "at least two"),
        ("auto", TypeError, "number of bins or a list of edges, got 'auto'"),
        (2.5, TypeError, "got 2.5"),
    ],
)
def test_invalid_bins(bins, error, message):
    with pytest.raises(error, match=f"observe: .*{message}"):
        check_histogram("observe", bins)

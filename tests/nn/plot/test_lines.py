"""Curves with seeds and bands, histories, gradient flow, update ratios, bars."""

import numpy as np
import pytest

from nn import plot
from nn.plot.lines import t_quantile


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_t_quantile():
    stats = pytest.importorskip("scipy.stats")
    for freedom in (1, 2, 3, 4, 5, 9, 10, 29, 100):
        assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


def test_curves_of_seeds(training, given, readable):
    (own,) = given(1)
    ax = plot.curves({"SGD": training.losses}, ax=own, xlabel="step", ylabel="loss", title="digits")
    assert ax is own
    seeds, steps = training.losses.shape
    *thin, middle = ax.lines
    assert len(thin) == seeds and all(line.get_linewidth() < 1 < middle.get_linewidth() for line in thin)
    np.testing.assert_array_equal([line.get_ydata() for line in thin], training.losses)
    np.testing.assert_array_equal(middle.get_ydata(), np.median(training.losses, axis=0))
    np.testing.assert_array_equal(middle.get_xdata(), np.arange(steps))
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("step", "loss", "digits")
    assert labels(ax) == ["SGD, median of 3", "95 % t-interval of the mean"]
    readable(ax)


def corners(band):
    return band.get_paths()[0].vertices


def test_t_band(training):
    stats = pytest.importorskip("scipy.stats")
    ax = plot.curves({"SGD": training.losses})
    for step in (0, 7, 39):
        values = training.losses[:, step]
        interval = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        here = corners(ax.collections[0])
        here = here[here[:, 0] == step, 1]
        assert (here.min(), here.max()) == pytest.approx(interval, rel=1e-6)


def test_range_band_and_logarithms(training):
    ax = plot.curves({"SGD": training.losses}, band="range", yscale="log")
    here = corners(ax.collections[0])
    here = here[here[:, 0] == 5, 1]
    assert (here.min(), here.max()) == (training.losses[:, 5].min(), training.losses[:, 5].max())
    assert ax.get_yscale() == "log" and labels(ax)[1] == "lowest to highest"
    logarithmic = plot.curves({"SGD": training.losses}, yscale="log")
    plain = plot.curves({"SGD": np.log(training.losses)})
    for step in (0, 20):
        ends = [c[c[:, 0] == step, 1] for c in (corners(ax.collections[0]) for ax in (logarithmic, plain))]
        np.testing.assert_allclose(np.log([ends[0].min(), ends[0].max()]), [ends[1].min(), ends[1].max()], rtol=1e-9)
    assert labels(logarithmic)[1].endswith("mean logarithm")


def test_curves_of_one_run_each(training):
    runs = {str(i): run for i, run in enumerate(training.losses)}
    ax = plot.curves(runs, np.arange(40) * 10)
    assert [len(ax.lines), len(ax.collections)] == [3, 0] and labels(ax) == ["0", "1", "2"]
    assert [line.get_color() for line in ax.lines] == list(plot.COLOURS[:3])
    assert ax.lines[0].get_xdata()[-1] == 390
    assert len({str(line.get_color()) for line in plot.curves({str(i): [i, i] for i in range(12)}).lines}) == 12
    assert list(plot.curves({"a": [1, 2], "b": [1, 2, 3]}, {"a": [4, 5], "b": [1, 2, 3]}).lines[0].get_xdata()) == [
        4,
        5,
    ]


def test_curves_added_to_others(training):
    ax = plot.curves({"SGD": training.losses})
    plot.curves({"shifted": training.losses + 1}, ax=ax, colours=[plot.ORANGE])
    assert sorted(labels(ax)) == ["95 % t-interval of the mean", "SGD, median of 3", "shifted, median of 3"]
    assert len(ax.lines) == 8 and plot.curves({"": [1, 2]}).get_legend() is None


def test_a_diverging_run_ends_in_a_gap(training):
    losses = training.losses.copy()
    losses[1, 20:] = [np.inf] + [np.nan] * 19
    ax = plot.curves({"SGD": losses}, yscale="log")
    assert np.isnan(ax.lines[1].get_ydata()[20:]).all() and np.isfinite(ax.lines[1].get_ydata()[:20]).all()
    assert np.isnan(ax.lines[-1].get_ydata()[20:]).all()
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.curves({}), "no series"),
        (lambda: plot.curves({"a": [1, 2]}, band="sem"), "band must be"),
        (lambda: plot.curves({"a": [1, 2]}, [0, 1, 2]), "3 positions along x for 2 values of 'a'"),
        (lambda: plot.curves({"a": np.ones((2, 2, 2))}), r"'a' must be 1-D or 2-D, got shape \(2, 2, 2\)"),
        (lambda: plot.curves({"a": []}), r"are empty, shape \(0,\)"),
        (lambda: plot.curves({"a": [1, 0]}, yscale="log"), "needs values above 0, 'a' has 0"),
        (lambda: plot.curves({"a": [1, 0]}, colours=["red", "blue"]), "2 colours for 1 series"),
        (lambda: plot.gradient_flow([1, 2], ["a"]), "1 names for 2 layers"),
        (lambda: plot.gradient_flow([1, -2], ["a", "b"]), "must not be negative, got -2"),
        (lambda: plot.update_ratios([[1, 2]], [0, 1], ["a", "b"]), "2 steps for 1 rows"),
        (lambda: plot.update_ratios([[1, 2]], [0], ["a"]), "1 names for 2 columns"),
        (lambda: plot.update_ratios([[1, -2]], [0], ["a", "b"]), "must not be negative, got -2"),
        (lambda: plot.bars({}), "no values"),
        (lambda: plot.bars({"a": 1}, fmt="%d"), "got '%d'"),
        (lambda: plot.bars({"a": [1, np.nan]}), "'a' are not finite"),
        (lambda: plot.bars({"a": 1}, errors={"b": 1}), "without a value: b"),
        (lambda: plot.history({}), "history: there is no loss, only an empty history"),
        (lambda: plot.history({"accuracy": [1.0]}), "history: there is no loss, only accuracy"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_strings_are_not_numbers():
    with pytest.raises(TypeError, match="must be real numbers, got <U1"):
        plot.curves({"a": ["1", "2"]})


def test_history(given, readable):
    epochs = 4
    told = {
        "loss": [2.0, 1.0, 0.7, 0.5],
        "batch_loss": list(np.linspace(2.3, 0.4, 20)),
        "validation_loss": [1.9, 1.1, 0.9, 0.8],
        "accuracy": [0.4, 0.6, 0.8, 0.9],
        "validation_accuracy": [0.5, 0.6, 0.7, 0.75],
    }
    axes = plot.history(told, loss="cross-entropy (nats)", title="a net on digits")
    left, right = readable(axes)
    np.testing.assert_array_equal(left.lines[0].get_ydata(), told["batch_loss"])
    assert left.lines[0].get_xdata()[-1] == epochs and left.get_ylabel() == "cross-entropy (nats)"
    assert [list(line.get_ydata()) for line in left.lines[1:]] == [told["loss"], told["validation_loss"]]
    assert [list(line.get_ydata()) for line in right.lines] == [told["accuracy"], told["validation_accuracy"]]
    assert [text.get_text() for text in right.texts] == ["75.0%"]
    own = given(2)
    assert list(plot.history(told, axes=own)) == list(own)


def test_history_of_whatever_there_is(readable):
    (ax,) = readable(plot.history({"loss": [2.0, 1.0], "lr": [0.1, 0.1]}))
    assert len(ax.lines) == 1 and ax.get_title() == "Loss"
    told = {"loss": [2.0, 1.0], "mean_absolute_error": [0.5, 0.4], "validation_loss": [2.1, 1.2]}
    left, right = plot.history(told)
    assert [len(left.lines), len(right.lines)] == [2, 1]
    assert right.get_title() == "Mean absolute error" and right.get_ylabel() == "mean absolute error"
    assert len(plot.history(told | {"f": [1, 2], "validation_g": [3, 4]})) == 4


def test_history_of_an_interrupted_run():
    (ax,) = plot.history({"loss": [2.0], "batch_loss": [3.0, 2.0, 1.5, 1.4, 1.3, 1.2], "unfinished": 2})
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), np.arange(1, 7) / 4)
    (ax,) = plot.history({"batch_loss": [3.0, 2.0], "unfinished": 2})
    assert list(ax.lines[0].get_xdata()) == [0.5, 1.0]


def test_gradient_flow(training, given, readable):
    (own,) = given(1)
    ax = plot.gradient_flow(training.gradients, training.names, ax=own, ylabel="norm")
    assert ax is own and ax.get_yscale() == "log" and ax.get_ylabel() == "norm"
    expected = np.median(np.asarray(training.gradients, np.float64), axis=0)
    np.testing.assert_array_equal(ax.lines[-1].get_ydata(), expected)
    assert [text.get_text() for text in ax.get_xticklabels()] == training.names
    readable(plot.gradient_flow({"all": training.gradients, "last": training.gradients[-1]}, training.names))


def test_gradient_flow_of_zeros_and_nonfinite_values():
    ax = plot.gradient_flow([1e-6, 0, np.nan, 2e-6], list("abcd"))
    line, zero, unfinite = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), [1e-6, np.nan, np.nan, 2e-6])
    assert (list(zero.get_xdata()), list(unfinite.get_xdata())) == ([1], [2])
    assert labels(ax) == ["exactly 0", "not finite"]
    for marks, low, high in ((zero, 0, 0.1), (unfinite, 0.9, 1)):
        (x, y), frame = marks.get_transform().transform(marks.get_xydata())[0], ax.get_window_extent()
        assert low < (y - frame.y0) / frame.height < high and frame.x0 < x < frame.x1
    assert len(plot.gradient_flow([0.0, 0.0], list("ab")).lines) == 2


def test_update_ratios(training, readable):
    steps = np.arange(40) * 5
    ax = readable(plot.update_ratios(training.ratios, steps, training.names, title="SGD"))
    *parameters, guide = ax.lines
    drawn = np.transpose([line.get_ydata() for line in parameters])
    np.testing.assert_allclose(drawn, np.log10(training.ratios.astype(np.float64)))
    assert set(guide.get_ydata()) == {-3} and list(parameters[0].get_xdata()) == list(steps)
    assert labels(ax) == [*training.names, "a thousandth"]


def test_update_ratios_of_many(readable):
    names = [f"blocks.{i}.weight" for i in range(40)]
    ratios = np.full((3, 40), 1e-3)
    ratios[1, 7] = 0
    ax = readable(plot.update_ratios(ratios, [0, 10, 20], names))
    assert len(ax.lines) == 41 and np.isnan(ax.lines[7].get_ydata()[1])
    assert len(labels(ax)) == 15 and {names[0], names[-1]} <= set(labels(ax))


def test_bars(given, readable):
    seeds = np.array([0.9, 0.94, 0.95])
    values = {"CNN": seeds, "MLP": 0.7, "worse than nothing": -0.2}
    (own,) = given(1)
    ax = plot.bars(values, ax=own, errors={"MLP": 0.05}, fmt="{:.2f}", colours={"MLP": plot.GREY}, xlabel="gain")
    assert ax is own and [bar.get_width() for bar in ax.patches] == [seeds.mean(), 0.7, -0.2]
    dots = ax.lines[0]
    assert list(dots.get_xdata()) == list(seeds) and set(dots.get_ydata()) == {0}
    assert [text.get_text() for text in ax.texts] == ["0.93", "0.70", "-0.20"]
    assert [text.get_text() for text in ax.get_yticklabels()] == list(values)
    assert ax.get_ylim() == (2.5, -0.5)
    readable(plot.bars(values, reference=("chance", 0.1)))

"""In Jupyter, what a plotting function returns is shown as a picture."""

import numpy as np
import pytest

import nn
from nn import plot

PNG = b"\x89PNG\r\n"


def shown(result):
    """What IPython makes of an object: media type -> data."""
    formatter = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    return formatter.format(result)[0]


def results():
    generator = np.random.default_rng(0)
    history = {
        name: [1.0, 0.5] for name in ("loss", "batch_loss", "validation_loss", "accuracy", "validation_accuracy")
    }
    weight = nn.tensor(np.ones((2, 2)), requires_grad=True)
    return {
        "curves": plot.curves({"loss": [2.0, 1.0]}),
        "history": plot.history(history),
        "images": plot.images(generator.random((3, 4, 4))),
        "confusion": plot.confusion([0, 1, 1], [0, 1, 0]),
        "graph": plot.graph((weight * 2).sum()),
        "figure": plot.figure(3, 2)[0],
        "panels": plot.figure(3, 2, 1, 2)[1],
        "3d": plot.figure(3, 2, subplot_kw={"projection": "3d"})[1],
        "polar": plot.figure(3, 2, subplot_kw={"projection": "polar"})[0],
    }


@pytest.mark.parametrize(
    "name", ["curves", "history", "images", "confusion", "graph", "figure", "panels", "3d", "polar"]
)
def test_results_are_pictures(name):
    result = results()[name]
    assert shown(result)["image/png"].startswith(PNG)


def test_the_callers_own_axes_remain_theirs():
    """Into pyplot's Axes a picture is drawn as it was before: the backend shows their figure, once."""
    figure = pytest.importorskip("matplotlib.figure").Figure()
    axes = figure.subplots(1, 2)
    assert plot.curves({"loss": [2.0, 1.0]}, ax=axes[0]) is axes[0]
    drawn = plot.images(np.ones((2, 3, 3)), axes=axes)
    assert "image/png" not in shown(drawn) and "image/png" not in shown(drawn[0])


def test_an_empty_array_shows_nothing():
    assert plot.figure(3, 2, 1, 2)[1][:0]._repr_png_() is None

"""The check of an experiment: it runs, its claims hold at a small size, PyTorch agrees, its figures are complete."""

import matplotlib.figure
import numpy as np

from experiments import lab


def check_experiment(name):
    """Run an experiment in fast mode and check all of its results."""
    study = lab.study(name, "fast")
    assert study.checks, "there is nothing that must hold in fast mode"
    for check in study.checks:
        assert check.holds, f"{check.claim}: {check.value} must be {check.bounds}"
    assert study.pytorch["steps"] >= 20
    assert study.pytorch["difference"] <= study.pytorch["tolerance"] <= 1e-4
    # What nn learns is what it learned when the results were made, up to the rounding of another CPU.
    np.testing.assert_allclose(study.replay, lab.stored(name).replay, rtol=10 * study.pytorch["tolerance"])
    figures = lab.pictures(name, study.results)
    assert figures, "there is no picture"
    for picture, figure in figures.items():
        assert isinstance(figure, matplotlib.figure.Figure), picture
        check_picture(picture, figure)


def check_picture(name, figure):
    """Every axes has data, and every plot has axis labels or a title."""
    assert lab.png(figure, dpi=30).startswith(b"\x89PNG"), name
    drawn = [axes for axes in figure.axes if axes.has_data()]
    assert drawn, f"{name}: nothing is drawn"
    for axes in drawn:
        words = [axes.get_xlabel(), axes.get_ylabel(), axes.get_title(), axes.get_title("left")]
        named = any(words) or axes.get_label() == "<colorbar>" or any(text.get_text() for text in axes.texts)
        assert named or figure.get_suptitle(), f"{name}: a plot without a word"

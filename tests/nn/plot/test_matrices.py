"""Images, attention, confusion, grids, histograms over time."""

import numpy as np
import pytest

import nn
from nn import plot


def image_of(ax):
    return ax.images[0].get_array()


def test_images(training, given, readable):
    axes = readable(plot.images(training.images[:10], columns=4, titles=[str(d) for d in training.actual[:10]]))
    assert len(axes) == 10 and len(axes[0].figure.axes) == 12
    for ax, image, digit in zip(axes, training.images, training.actual, strict=False):
        np.testing.assert_array_equal(image_of(ax), image)
        assert ax.get_title() == str(digit) and ax.images[0].get_clim() == (0, 16)
    assert not any(ax.axison for ax in axes[0].figure.axes[10:])
    own = given(3)
    drawn = plot.images(training.images[:2], axes=own, limits=(0, 32), cmap="gray")
    assert list(drawn) == list(own[:2]) and own[0].images[0].get_clim() == (0, 32) and not own[2].axison


def test_images_with_signs(training):
    filters = training.network[0].weight.array[:6].reshape(6, 1, 8, 8)
    axes = plot.images(filters)
    largest = np.abs(filters).max()
    assert axes[0].images[0].get_clim() == (-largest, largest) and axes[0].images[0].cmap == plot.DIVERGING
    np.testing.assert_array_equal(image_of(axes[5]), filters[5, 0])


def test_coloured_images(rng):
    colours = rng.integers(0, 256, (2, 3, 4, 5), np.uint8)
    np.testing.assert_allclose(image_of(plot.images(colours)[1]), colours[1].transpose(1, 2, 0) / 255)


def heads(training):
    """Weights of two heads of attention over the rows of a digit."""
    nn.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x = nn.tensor((training.images[:1] / 16).astype(np.float32))
    with nn.no_grad():
        return attention(x, x, x, average_attn_weights=False)[1].array[0]


def test_attention(training, given, readable):
    weights = heads(training)
    words = ["the", "cat", "sat", "on", "the", "most", "comfortable", "mat"]
    axes = readable(plot.attention(weights, queries=words, keys=words))
    assert len(axes) == 2 and [ax.get_title() for ax in axes] == ["head 1", "head 2"]
    for ax, head in zip(axes, weights, strict=True):
        np.testing.assert_array_equal(image_of(ax), head.astype(np.float64))
        assert [[text.get_text() for text in axis.get_ticklabels()] for axis in (ax.xaxis, ax.yaxis)] == [words, words]
        assert ax.images[0].get_clim() == (0, 1)
    readable(plot.attention(weights, queries=list("abcdefgh"), titles=["one", "two"]))
    own = given(1)
    assert list(plot.attention(weights[0], axes=own)) == list(own)


def test_confusion(training, given, readable):
    (own,) = given(1)
    ax = plot.confusion(training.actual, training.predicted, ax=own)
    assert ax is own
    counts = image_of(ax)
    for i, j in ((0, 0), (3, 8), (8, 1)):
        assert counts[i, j] == ((training.actual == i) & (training.predicted == j)).sum()
    assert counts.sum() == len(training.actual)
    share = (training.actual == training.predicted).mean()
    assert ax.get_title() == f"{share:.1%} of 1,797 right"
    assert [text.get_text() for text in ax.texts] == [str(count) for count in counts.flat]
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    readable(plot.confusion(training.actual, training.predicted, labels=names, title="digits"))


def test_grid(given, readable):
    values = np.array([[0.912, 0.95, np.nan], [0.1, 0.961, 0.5]])
    (own,) = given(1)
    ax = plot.grid(values, ["sigmoid", "ReLU"], ["SGD", "Adam", "RMSprop"], ax=own, label="accuracy", title="digits")
    assert ax is own and ax.images[0].get_clim() == (0.1, 0.961)
    assert [text.get_text() for text in ax.texts] == ["0.91", "0.95", "–", "0.10", "0.96", "0.50"]
    assert [ax.texts[1].get_color(), ax.texts[3].get_color()] == ["white", plot.INK]
    assert ax.figure.axes[-1].get_ylabel() == "accuracy" and ax.get_title() == "digits"
    rows, columns = [f"a long name {i}" for i in range(9)], [f"column {i}" for i in range(7)]
    ax = readable(plot.grid(np.arange(63).reshape(9, 7) / 63, rows, columns, fmt="{:.3f}", limits=(0, 2)))
    assert ax.images[0].get_clim() == (0, 2) and ax.figure.axes == [ax]
    ax = plot.grid(-values / 1000, [0.1, 0.2], range(3))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1", "2"]
    assert ax.texts[0].get_text() == "0.00"  # without a sign


def test_histograms_over_time(training, given, readable):
    counts = np.repeat(training.counts, 2, axis=1)
    steps = np.arange(40) * 5
    axes = readable(plot.histograms_over_time(counts, training.edges, steps, names=["tanh", "again"]))
    assert [ax.get_title() for ax in axes] == ["tanh", "again"]
    mesh = axes[0].collections[0]
    shares = counts[:, 0] / counts[:, 0].sum(axis=1, keepdims=True)
    np.testing.assert_array_equal(mesh.get_array(), shares.T)
    borders = mesh.get_coordinates()
    np.testing.assert_array_equal(borders[:, 0, 1], training.edges)
    np.testing.assert_array_equal(borders[0, :, 0], np.arange(-2.5, 200, 5))
    own = given(1)
    edges = np.stack([training.edges])
    assert list(plot.histograms_over_time(training.counts, edges, steps, axes=own)) == list(own)
    readable(plot.histograms_over_time(training.counts[:1, 0], training.edges, [7]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.images(np.ones((2, 2))), r"must be 3-D or 4-D, got shape \(2, 2\)"),
        (lambda: plot.images(np.ones((1, 2, 4, 4))), "1 or 3 channels"),
        (lambda: plot.images(np.full((1, 3, 4, 4), 2.0)), r"in \[0, 1\], got 2 to 2"),
        (lambda: plot.images(np.full((1, 3, 4, 4), np.nan)), "got nan to nan"),
        (lambda: plot.images(np.full((1, 4, 4), np.nan)), "images: no value is finite"),
        (lambda: plot.images(np.ones((2, 4, 4)), titles=["one"]), "1 titles for 2 images"),
        (lambda: plot.images(np.ones((2, 4, 4)), axes=plot.figure(2, 2)[1]), "2 panels to draw, and 1 axes"),
        (lambda: plot.attention(np.full((2, 2), 1.5)), r"must be in \[0, 1\], got 1.5"),
        (lambda: plot.attention(np.full((2, 2), np.nan)), "got nan"),
        (lambda: plot.attention(np.ones((2, 2)), keys=["a"]), "1 keys for 2 columns"),
        (lambda: plot.attention(np.ones((3, 2)), queries=["a"]), "1 queries for 3 rows"),
        (lambda: plot.attention(np.ones((2, 2)), titles=[]), "0 titles for 1 heads"),
        (lambda: plot.confusion([0, 1], [0]), r"actual is \(2,\), predicted \(1,\)"),
        (lambda: plot.confusion([0, -1], [0, 1]), "classes must be in 0…1, got -1…1"),
        (lambda: plot.confusion([0, 2], [0, 1], labels=["a", "b"]), "classes must be in 0…1, got 0…2"),
        (lambda: plot.grid(np.ones((2, 2)), ["a"], ["b", "c"]), "1 names of rows for 2 rows"),
        (lambda: plot.grid(np.ones((1, 2)), ["a"], ["b"]), "1 names of columns for 2 columns"),
        (lambda: plot.grid([[np.nan]], ["a"], ["b"]), "no value is finite"),
        (lambda: plot.grid([[1]], ["a"], ["b"], fmt=".2f"), "a replacement field, .*, got '.2f'"),
        (lambda: plot.histograms_over_time(np.ones((2, 3)), np.arange(3), [0, 1]), r"must be \(4,\) or \(1, 4\)"),
        (lambda: plot.histograms_over_time(np.ones((2, 3)), np.arange(4), [0]), "1 steps for 2 rows"),
        (lambda: plot.histograms_over_time(np.ones((2, 3)), np.arange(4), [1, 1]), "must increase"),
        (lambda: plot.histograms_over_time(-np.ones((2, 3)), np.arange(4), [0, 1]), "must not be negative, got -1"),
        (lambda: plot.histograms_over_time(np.ones((2, 3)), np.arange(4), [0, 1], names=[]), "0 names for 1 layers"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_classes_are_integers():
    with pytest.raises(TypeError, match="must be integers, got float64"):
        plot.confusion([0.0, 1.0], [0, 1])

"""The drawing of the tape: its content, and that nothing overlaps."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from matplotlib.patches import FancyBboxPatch, PathPatch

import nn
from benchmarks.cases.networks import gpt, lenet5
from nn import plot


def words(ax):
    return Counter(text.get_text() for text in ax.texts)


def boxes(ax):
    return [patch.get_bbox() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


def edges(ax):
    return [patch.get_path() for patch in ax.patches if isinstance(patch, PathPatch)]


def check_drawing(ax):
    """No box lies on another, all are inside, edges run down and pass no box but their own."""
    rectangles = boxes(ax)
    for a, b in combinations(rectangles, 2):
        assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    for box in rectangles:
        assert left <= box.x0 and box.x1 <= right and top <= box.y0 and box.y1 <= bottom
    for path in edges(ax):
        start, end = path.vertices[[0, -1]]
        assert start[1] < end[1]
        own = [box for box in rectangles if box.contains(*start) or box.contains(*end)]
        assert len(own) == 2
        for polygon in path.to_polygons(closed_only=False):
            for box in rectangles:
                inside = (box.x0 < polygon[:, 0]) & (polygon[:, 0] < box.x1)
                inside &= (box.y0 < polygon[:, 1]) & (polygon[:, 1] < box.y1)
                assert box in own or not inside.any()


def bends(ax):
    """The distances of the joints of each edge over several layers from a vertical line, in points."""
    inner = [path.vertices[3:-1:3, 0] for path in edges(ax) if len(path.vertices) > 7]
    return [np.ptp(x) for x in inner]


def spine(ax, *names):
    """The distances of the operations with these names from a vertical line."""
    return np.ptp([text.get_position()[0] for text in ax.texts if text.get_text() in names])


def test_lenet(readable):
    network = lenet5(nn)
    loss = nn.functional.cross_entropy(network(nn.zeros(2, 1, 28, 28)), nn.tensor(np.array([1, 2])))
    ax = readable(plot.graph(loss, names=network.named_parameters()))
    check_drawing(ax)
    found = words(ax)
    assert (found["conv2d"], found["linear"], found["relu"], found["cross_entropy"]) == (2, 3, 4, 1)
    for name, parameter in network.named_parameters():
        assert found[f"{name}  {' × '.join(map(str, parameter.shape))}"] == 1
    assert spine(ax, "conv2d", "relu", "linear", "cross_entropy") < 1e-6
    loss.backward()  # drawing does not change the tape
    with pytest.raises(ValueError, match="a backward freed the tape at this cross_entropy"):
        plot.graph(loss)


def test_residual_block(readable):
    first, second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
    x = nn.zeros(2, 4, 8, 8, requires_grad=True)
    y = nn.functional.relu(x + second(nn.functional.relu(first(x))))
    ax = readable(plot.graph(y, names={"x": x}))
    check_drawing(ax)
    assert words(ax)["x  2 × 4 × 8 × 8"] == 1 and words(ax)["4 × 4 × 3 × 3"] == 2
    assert len(edges(ax)) == 6  # x → conv, conv → relu, relu → conv, conv → add, x → add, add → relu
    assert sorted(len(path.vertices) for path in edges(ax))[-1] == 1 + 3 * 4  # past three layers
    assert len(bends(ax)) == 1 and bends(ax)[0] < 2 and spine(ax, "conv2d", "relu", "add") < 1


def test_gpt_block(readable):
    network = gpt(nn, 50, 16, 32, 1, 4)
    y = network(nn.tensor(np.zeros((2, 16), np.int64)))
    ax = readable(plot.graph(y, names=network.named_parameters()))
    check_drawing(ax)
    assert words(ax)["scaled_dot_product_attention"] == 1 and words(ax)["add"] == 3
    assert words(ax)["decoder.token.weight  50 × 32"] == 2  # a parameter is drawn wherever it is read
    assert len(bends(ax)) == 2 and max(bends(ax)) < 4 and spine(ax, "layer_norm", "gelu", "linear") < 2
    with pytest.raises(ValueError, match="more than limit=20 operations and leaves"):
        plot.graph(y, limit=20)


def test_several_layers_and_crossings():
    a, b, c = (nn.tensor(1.0, requires_grad=True) for _ in range(3))
    d, e = a * b, b * c
    f = (d + e) * (c - a) + d.exp() * b
    check_drawing(plot.graph(f, names={"a": a, "b": b, "c": c}))


def test_a_source_is_above_all_its_readers():
    x = nn.tensor(2.0, requires_grad=True).exp()
    near = x.exp()
    ax = plot.graph(near + x.log().sqrt().abs())
    check_drawing(ax)
    assert len(bends(ax)) == 1 and bends(ax)[0] < 2
    assert spine(ax, "log", "sqrt", "abs") < 1 and max(map(abs, ax.get_xlim())) < 200


def test_given_axes_and_small_tapes(given, readable):
    (own,) = given(1)
    x = nn.tensor([[1.0, 2.0]], requires_grad=True)
    ax = plot.graph(x * x, ax=own, names={"x": x})
    assert ax is own and words(ax) == Counter(["mul", "x  1 × 2"])
    sizes = {text.get_fontsize() for text in plot.graph((x * x).sum().exp().log().exp(), ax=given(8)[0]).texts}
    assert max(sizes) < 9
    readable(plot.graph(x))
    assert words(plot.graph(nn.tensor(2.0, requires_grad=True))) == Counter(["scalar"])
    assert words(plot.graph(sum(x.split(1, 1)))) == Counter(["split"] * 3 + ["add"] * 2 + ["1 × 2"])


def test_errors():
    with pytest.raises(TypeError, match="graph: needs a Tensor, got ndarray"):
        plot.graph(np.ones(2))
    with pytest.raises(ValueError, match="not on the tape"):
        plot.graph(nn.ones(2))

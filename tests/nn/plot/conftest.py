"""A small training run to plot, and the checks of every figure."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from sklearn.datasets import load_digits

import nn
from nn import plot

STEPS, SEEDS, BINS = 40, 3, 20


def trained(seed, x, target):
    """Train 64-32-10 on all of x; return the network and what was seen at each step."""
    nn.manual_seed(seed)
    network = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    optimizer = nn.optim.SGD(network.parameters(), lr=0.5, momentum=0.9)
    seen = {"loss": [], "gradients": [], "ratios": [], "counts": []}
    edges = np.linspace(-1, 1, BINS + 1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        hidden = network[1](network[0](x))
        loss = nn.functional.cross_entropy(network[2](hidden), target)
        loss.backward()
        before = [p.array.copy() for p in network.parameters()]
        optimizer.step()
        seen["loss"].append(loss.item())
        seen["gradients"].append([np.linalg.norm(p.grad.array) for p in network.parameters()])
        moved = zip(network.parameters(), before, strict=True)
        seen["ratios"].append([np.linalg.norm(p.array - old) / np.linalg.norm(old) for p, old in moved])
        seen["counts"].append([np.histogram(hidden.array, edges)[0]])
    return network, {name: np.array(values) for name, values in seen.items()}


@pytest.fixture(scope="session")
def training():
    """Three seeds on scikit-learn's digits: arrays as a recorder would give them."""
    digits = load_digits()
    x, target = nn.tensor((digits.data / 16).astype(np.float32)), nn.tensor(digits.target)
    runs = [trained(seed, x, target) for seed in range(SEEDS)]
    network, seen = runs[0]
    with nn.no_grad():
        scores = network(x).array
    assert (scores.argmax(axis=1) == digits.target).mean() > 0.9
    return SimpleNamespace(
        network=network,
        names=[name for name, _ in network.named_parameters()],
        losses=np.array([run["loss"] for _, run in runs]),
        edges=np.linspace(-1, 1, BINS + 1),
        images=digits.images,
        actual=digits.target,
        predicted=scores.argmax(axis=1),
        **{name: seen[name] for name in ("gradients", "ratios", "counts")},
    )


def shown_texts(figure):
    """Every text that a reader sees: no labels of ticks beyond the limits."""
    beyond = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick, place in zip(axis.get_major_ticks(), axis.get_majorticklocs(), strict=True):
                if not low <= place <= high:
                    beyond |= {tick.label1, tick.label2}
            beyond |= {label for tick in axis.get_minor_ticks() for label in (tick.label1, tick.label2)}
    from matplotlib.text import Text

    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in beyond]


@pytest.fixture
def readable():
    """`readable(axes)`: draw the figure; no text lies on another or leaves it; return the Axes."""

    def check(axes):
        figure = np.ravel(axes)[0].figure
        figure.draw_without_rendering()
        boxes = [(text, text.get_window_extent()) for text in shown_texts(figure)]
        boxes = [(text, box) for text, box in boxes if box.width > 0]
        assert boxes
        for text, box in boxes:
            assert figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1, text
            assert figure.bbox.y0 - 1 <= box.y0 and box.y1 <= figure.bbox.y1 + 1, text
        for (text, box), (other, second) in combinations(boxes, 2):
            width = min(box.x1, second.x1) - max(box.x0, second.x0)
            height = min(box.y1, second.y1) - max(box.y0, second.y0)
            assert width < 1.5 or height < 1.5, (text, other)
        return axes

    return check


@pytest.fixture
def given():
    """`given(n)`: Axes of our own, as an array."""
    return lambda n: plot.figure(3 * n, 3, columns=n, squeeze=False)[1].ravel()

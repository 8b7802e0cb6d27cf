"""Decision boundaries, loss surfaces, paths."""

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_moons

import nn
from nn import plot


@pytest.fixture(scope="module")
def moons():
    """Points of two classes, and a net that tells them apart: (N, 2) -> (N, 2)."""
    x, y = make_moons(200, noise=0.1, random_state=0)
    nn.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = nn.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(nn.tensor(x.astype(np.float32))), nn.tensor(y)).backward()
        optimizer.step()

    def scores(points):
        with nn.no_grad():
            return network(nn.tensor(points.astype(np.float32))).array

    assert (scores(x).argmax(axis=1) == y).mean() > 0.95
    return x, y, scores


def colours_at(ax, points):
    """The values of the filled plane at some points."""
    mesh = ax.collections[0]
    coordinates = mesh.get_coordinates()
    i = np.searchsorted(coordinates[:, 0, 1], points[:, 1]) - 1
    j = np.searchsorted(coordinates[0, :, 0], points[:, 0]) - 1
    return mesh.get_array()[i, j]


def test_decision_boundary_of_a_net(moons, given, readable):
    x, y, scores = moons
    (own,) = given(1)
    ax = plot.decision_boundary(scores, x, y, ax=own, labels=["upper", "lower"], xlabel="first")
    assert ax is own and ax.get_xlabel() == "first"
    assert (colours_at(ax, x) == y).mean() > 0.95
    borders = [c for c in ax.collections if c.get_label().startswith("_") and c is not ax.collections[0]]
    assert len(borders) == 2  # one of each class
    for border in borders:
        vertices = np.concatenate([path.vertices for path in border.get_paths()])
        assert np.abs(np.subtract(*scores(vertices).T)).max() < 0.3 < np.abs(np.subtract(*scores(x).T)).max()
    drawn = [c for c in ax.collections if c.get_label() in ("upper", "lower")]
    assert [len(c.get_offsets()) for c in drawn] == [100, 100]
    np.testing.assert_array_equal(drawn[1].get_offsets(), x[y == 1])
    readable(plot.decision_boundary(scores, x, y, title="moons"))


def test_decision_boundary_of_one_score(moons):
    x, y, scores = moons

    def margin(points):
        return np.subtract(*scores(points).T[::-1])

    ax = plot.decision_boundary(margin, x, y)
    assert ((colours_at(ax, x) > 0) == y).mean() > 0.95
    low, high = ax.collections[0].get_clim()
    assert -low == high == np.abs(ax.collections[0].get_array()).max()
    red, _, blue, _ = ax.collections[0].to_rgba(np.array([low, high])).T
    assert blue[0] > red[0] and blue[1] < red[1]  # as the points of the two classes
    border = np.concatenate([path.vertices for path in ax.collections[1].get_paths()])
    assert np.abs(margin(border)).max() < 0.3 < np.abs(margin(x)).max()


def test_decision_boundary_of_classes(readable):
    iris = load_iris()
    x = iris.data[:, 2:]
    means = np.array([x[iris.target == k].mean(axis=0) for k in range(3)])

    def nearest(points):
        return ((points[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)

    ax = readable(plot.decision_boundary(nearest, x, iris.target, labels=list(iris.target_names)))
    assert set(np.unique(ax.collections[0].get_array())) == {0, 1, 2}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(iris.target_names)


X = np.linspace(-1, 1, 21)
BOWL = X**2 + 10 * X[:, None] ** 2


def test_loss_surface(given, readable):
    (own,) = given(1)
    ax = plot.loss_surface(X, X, BOWL, ax=own, title="bowl")
    assert ax is own and ax.get_xlim() == ax.get_ylim() == (-1, 1)
    filled, lines = ax.collections
    assert filled.levels[0] <= 0 and filled.levels[-1] >= 11 and set(lines.levels) < set(filled.levels)
    broken = np.where(BOWL > 8, np.inf, BOWL)
    for ax in (plot.loss_surface(X, X, BOWL + 0.1, log=True, label="error"), plot.loss_surface(X, X, broken)):
        readable(ax)
    logarithmic = plot.loss_surface(X, X, BOWL + 0.1, log=True)
    assert logarithmic.figure.axes[-1].get_ylabel() == "log10 of loss"
    assert logarithmic.collections[0].levels[-1] < 1.5
    assert len(plot.loss_surface(X, X, np.ones_like(BOWL)).collections[0].levels) > 2


def test_loss_surface_in_3d():
    ax = plot.loss_surface(X, X, BOWL, kind="3d", zlabel="error")
    assert ax.name == "3d" and ax.get_zlabel() == "error" and len(ax.collections) == 1
    ax.figure.draw_without_rendering()
    own = plot.figure(3, 3, subplot_kw={"projection": "3d"})[1]
    assert plot.loss_surface(X, X, BOWL, ax=own, kind="3d") is own


def test_paths_on_a_surface(readable):
    walks = {"SGD": 0.9 * 0.8 ** np.arange(10)[:, None] * [1, 1], "Adam": [[0.5, 0.5], [0, 0]]}
    surface = plot.loss_surface(X, X, BOWL)
    ax = readable(plot.paths(walks, ax=surface))
    assert ax is surface and [text.get_text() for text in ax.get_legend().get_texts()] == ["SGD", "Adam"]
    named = {line.get_label(): line for line in ax.lines}
    for name, walk in walks.items():
        np.testing.assert_array_equal(named[name].get_xydata(), walk)
    assert len(ax.lines) == 8  # each with a white edge, a ring at its start and a disc at its end


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot.decision_boundary(len, np.ones((3, 3)), [0, 1, 1]), r"got \(3, 3\) and \(3,\)"),
        (lambda: plot.decision_boundary(len, X[:, None] * [1, 1], np.zeros(21, int)), r"must return \(40000,\) or"),
        (lambda: plot.decision_boundary(lambda p: p[:, :1], np.ones((2, 2)), [0, 1]), r"2…7\), got \(40000, 1\)"),
        (lambda: plot.decision_boundary(lambda p: p[:, 0], np.ones((3, 2)), [0, 1, 2]), "must be in 0…1, got 0…2"),
        (lambda: plot.decision_boundary(lambda p: p, np.ones((2, 2)), [-1, 1]), "must be in 0…6, got -1…1"),
        (lambda: plot.decision_boundary(lambda p: p, np.ones((2, 2)), [0, 7]), "must be in 0…6, got 0…7"),
        (lambda: plot.decision_boundary(lambda p: p, np.ones((2, 2)), [0, 1], labels=["a"]), "1 labels for 2 classes"),
        (lambda: plot.decision_boundary(lambda p: p * np.nan, np.ones((2, 2)), [0, 1]), "not finite"),
        (lambda: plot.loss_surface(X, X[1:], BOWL), r"must be \(20, 21\), at least \(2, 2\), got \(21, 21\)"),
        (lambda: plot.loss_surface(X, X[::-1], BOWL), "must increase"),
        (lambda: plot.loss_surface(X, X, BOWL, log=True), "above 0, the lowest is 0"),
        (lambda: plot.loss_surface(X, X, BOWL, kind="2d"), "got '2d'"),
        (lambda: plot.loss_surface(X, X, BOWL * np.nan), "no value is finite"),
        (lambda: plot.loss_surface(X, X, BOWL, ax=plot.figure(2, 2)[1], kind="3d"), 'projection "rectilinear"'),
        (lambda: plot.paths({}), "no paths"),
        (lambda: plot.paths({"a": np.ones((2, 3))}), r"'a' must be \(T, 2\), got \(2, 3\)"),
        (lambda: plot.paths({str(i): np.ones((2, 2)) for i in range(6)}), "6 paths and 5 colours"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_classes_are_integers():
    with pytest.raises(TypeError, match="must be integers, got float64"):
        plot.decision_boundary(len, np.ones((2, 2)), [0.0, 1.0])

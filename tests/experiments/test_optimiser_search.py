"""Trees, their programs and what the interpreter makes of them; gradients of the tasks; Muon's matrices."""

import math

import numpy as np
import pytest

from experiments.self_improving import optimiser_search as experiment


def update(tree, *operands, t=3, steps=10):
    """What the interpreter computes from g, m, s, v, w."""
    stack = np.empty((len(experiment.nodes(tree)) + 1, len(operands[0])))
    return experiment.interpret(experiment.postfix(tree), stack, *operands, t, steps).copy()


@pytest.fixture
def operands():
    g, m, s, w = np.random.default_rng(0).standard_normal((4, 6))
    return g, m, s, g * g + 0.1, w


def test_the_interpreter_computes_trees(operands):
    g, m, s, v, w = operands
    corrected, root = m / (1 - 0.9**3), np.sqrt(v / (1 - 0.999**3))
    np.testing.assert_allclose(update(("div", ("m",), ("v",)), *operands), corrected / (root + 1e-8))
    np.testing.assert_allclose(update(("sub", ("g",), ("tenth", ("w",))), *operands), g - 0.1 * w)
    tree = ("mul", ("decay",), ("clip", ("add", ("sign", ("s",)), ("neg", ("square", ("1",))))))
    np.testing.assert_allclose(update(tree, *operands), 0.8 * np.clip(np.sign(s) - 1, -1, 1))
    expected = np.exp(np.abs(np.copysign(np.sqrt(np.abs(g)), g)))
    np.testing.assert_allclose(update(("exp", ("abs", ("root", ("g",)))), *operands), expected)


def test_rules_that_differ_by_a_factor_are_one(operands):
    rule = ("div", ("m",), ("v",))
    assert experiment.fingerprint(rule) == experiment.fingerprint(("tenth", rule))
    assert experiment.fingerprint(rule) != experiment.fingerprint(("neg", rule))
    assert experiment.fingerprint(("sub", ("g",), ("g",))) is None


def test_changes_of_trees():
    generator = np.random.default_rng(0)
    tree = ("add", ("mul", ("g",), ("m",)), ("neg", ("v",)))
    assert [node[0] for node in experiment.nodes(tree)[::-1]] == ["g", "m", "mul", "v", "neg", "add"]
    for place, node in enumerate(experiment.nodes(tree)):
        assert experiment.replaced(tree, place, lambda found, node=node: found if found == node else None) == tree
    for _ in range(200):
        tree = experiment.mutated(tree, experiment.random_tree(generator, 3), generator, 15)
        nodes = experiment.nodes(tree)
        assert len(nodes) <= 15
        arity = {**dict.fromkeys(experiment.LEAVES, 0), **dict.fromkeys(experiment.UNARY, 1)}
        assert all(len(node) - 1 == arity.get(node[0], 2) for node in nodes)


@pytest.mark.parametrize("name", ["digits 4×4, 12 tanh", "sin 3x, 32 tanh, squared", "Himmelblau, 10-D"])
def test_gradients_against_differences(name):
    kind = (experiment.SEARCH_TASKS | experiment.HELD_OUT)[name]
    task = experiment.instance(kind, 2, np.random.default_rng(0))
    w, g, unused = task.start, np.zeros(len(task.start)), np.zeros(len(task.start))
    experiment.evaluate(task, w, task.x, task.y, g, True)
    for i in range(0, len(w), 37):
        step = np.zeros(len(w))
        step[i] = 1e-6
        above, below = (experiment.evaluate(task, w + sign * step, task.x, task.y, unused, True) for sign in (1, -1))
        assert g[i] == pytest.approx((above - below) / 2e-6, rel=1e-5, abs=1e-7)


def test_muon_brings_singular_values_to_about_one():
    matrix = np.random.default_rng(0).standard_normal((10, 16))
    for shape in (matrix, np.ascontiguousarray(matrix.T)):
        values = np.linalg.svd(experiment.orthogonalised(shape), compute_uv=False)
        assert values.shape == (10,) and values.min() > 0.5 and values.max() < 1.3


def test_a_diverging_rule_scores_least():
    task = experiment.instance(experiment.SEARCH_TASKS["Rosenbrock, 4-D"], 20, np.random.default_rng(0))
    assert math.isinf(experiment.train(task, experiment.postfix(("neg", ("g",))), 1.0, False))
    found = experiment.log_losses(task, ("neg", ("g",)), np.array([1.0]), (False,))
    assert experiment.score(0.0, found.min()) == -3

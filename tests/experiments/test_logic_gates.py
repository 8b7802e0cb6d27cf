"""The polynomials, the layer, the hardened circuit and what is left of it."""

import numpy as np
import pytest

import nn
from experiments.self_improving import logic_gates as experiment


@pytest.fixture
def circuit():
    return experiment.Circuit([17, 12, 12], 2, 1.0, np.random.default_rng(0))


def test_the_polynomials_are_the_gates_at_the_corners():
    corners = np.array([[1, a, b, a * b] for a in (0, 1) for b in (0, 1)])
    np.testing.assert_array_equal(experiment.POLYNOMIALS @ corners.T, experiment.TRUTH)
    names = dict(zip(experiment.GATES, experiment.TRUTH.tolist(), strict=True))
    assert names["a ∧ b"] == [0, 0, 0, 1] and names["a ⊕ b"] == [0, 1, 1, 0] and names["a ∨ ¬b"] == [1, 0, 1, 1]
    assert names["a"] == experiment.TRUTH[experiment.PASS].tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(experiment.POLYNOMIALS.mean(axis=0), [0.5, 0, 0, 0])


def test_half_of_the_robots_are_in_monk_1():
    bits, labels = experiment.monk()
    assert bits.shape == (17, 432) and (bits.sum(axis=0) == 6).all() and labels.sum() == 216
    assert len({column.tobytes() for column in bits.T.copy()}) == 432


def test_the_layer_and_its_gradient_are_those_of_plain_operations(circuit):
    x = np.random.default_rng(1).random((17, 9)).astype(np.float32)
    twin = experiment.Twin(experiment.OURS, nn.Tensor, circuit)
    found, expected = circuit.votes(nn.Tensor(x)), twin.votes(nn.Tensor(x.astype(np.float64)))
    np.testing.assert_allclose(found.array, expected.array, rtol=1e-5)
    gradients = nn.autograd.grad((found * found).sum(), circuit.logits)
    others = nn.autograd.grad((expected * expected).sum(), twin.logits)
    for gradient, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(gradient.array, other.array, rtol=1e-4, atol=1e-6)


def test_the_hardened_circuit_is_its_truth_tables(circuit):
    bits = experiment.monk()[0]
    first, second = experiment.hard_layers(circuit.wires, circuit.gates(), bits)
    for values, source, (left, right), gates in zip(
        (first, second), (bits, first), circuit.wires, circuit.gates(), strict=True
    ):
        for u in range(len(values)):
            table = experiment.TRUTH[gates[u]]
            np.testing.assert_array_equal(values[u], table[2 * source[left[u]] + source[right[u]]])


def test_a_simplified_circuit_answers_as_the_whole(circuit):
    bits = experiment.monk()[0]
    last = experiment.hard_layers(circuit.wires, circuit.gates(), bits)[-1].astype(int)
    small = experiment.simplified(circuit, bits)
    assert len(small["gates"]) < 24
    classes = experiment.simulated(small, bits)
    np.testing.assert_array_equal(classes, last[6:].sum(axis=0) > last[:6].sum(axis=0))
    fewer = experiment.pruned(small, bits)
    assert len(fewer["gates"]) <= len(small["gates"])
    np.testing.assert_array_equal(experiment.simulated(fewer, bits), classes)


def test_pruning_finds_the_rule_within_a_larger_circuit():
    bits, labels = experiment.monk()
    equal = [[1, i, 3 + i] for i in range(3)]  # head = body, for each shape: gates 17, 18, 19
    gates = [*equal, [7, 17, 18], [7, 20, 19], [7, 21, 11], [6, 22, 0], [1, 23, 15]]
    padded = {"gates": gates, "votes": {22: 2, 24: 1}, "constant": -1}
    np.testing.assert_array_equal(experiment.simulated(padded, bits), labels)
    fewer = experiment.pruned(padded, bits)
    assert len(fewer["gates"]) <= 6
    np.testing.assert_array_equal(experiment.simulated(fewer, bits), labels)
    text = experiment.formula({"gates": gates}, 20)
    assert text == "(head = round ∧ body = round) ∨ (head = square ∧ body = square)"


def test_words_of_64_examples():
    bits = np.random.default_rng(0).integers(0, 2, (3, 130)).astype(np.uint8)
    words = experiment.packed(bits)
    assert words.shape == (3, 3) and words.dtype == np.uint64
    np.testing.assert_array_equal(experiment.unpacked(words, 130), bits)


def test_units_have_two_inputs_and_all_inputs_are_used():
    left, right = experiment.wiring(17, 24, np.random.default_rng(0))
    assert len(left) == len(right) == 24 and (left != right).all()
    assert set(left) | set(right) == set(range(17))


def test_the_concentration_of_a_softmax():
    p = np.exp(np.random.default_rng(0).standard_normal((100_000, 16)))
    p /= p.sum(axis=1, keepdims=True)
    assert experiment.concentration() == pytest.approx((p * p).sum(axis=1).mean(), rel=0.01)

"""The programs of docs/jitted, in little."""

import importlib.util
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "docs" / "jitted"


def program(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cartpole_learns():
    cartpole = program("cartpole")
    parameters = cartpole.initial(1)
    history = cartpole.train(parameters, 40, 1)
    assert history[:3].mean() < 60
    assert history[-5:].mean() > 150
    assert all(np.isfinite(each).all() for each in parameters)


def test_gradients_of_the_policy():
    cartpole = program("cartpole")
    parameters, rng = cartpole.initial(0), np.random.default_rng(0)
    states, weights = rng.standard_normal((5, 4)).astype(np.float32), rng.standard_normal(5).astype(np.float32)
    actions = rng.integers(0, 2, 5)
    parameters, states = [each.astype(np.float64) for each in parameters], states.astype(np.float64)

    def objective(w1, b1, w2, b2):
        z = np.tanh(states @ w1.T + b1) @ w2.T + b2
        log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
        return -(weights * log_p[np.arange(5), actions]).mean()

    found = cartpole.gradients(tuple(parameters), states, actions, weights.astype(np.float64))
    for number, gradient in enumerate(found):
        place = tuple(0 for _ in gradient.shape)
        moved = [[each.copy() for each in parameters] for _ in range(2)]
        moved[0][number][place] += 1e-6
        moved[1][number][place] -= 1e-6
        assert abs((objective(*moved[0]) - objective(*moved[1])) / 2e-6 - gradient[place]) < 1e-8


def test_vector_field_is_learned(monkeypatch):
    vector_field = program("vector_field")
    monkeypatch.setattr(vector_field, "POINTS", 2048)
    monkeypatch.setattr(vector_field, "EPOCHS", 60)
    error, radius, true_radius = vector_field.main()
    assert error < 1
    assert abs(radius / true_radius - 1) < 0.1


def test_printed_steps_are_what_is_compiled():
    steps = program("steps")
    assert steps.PAGE.read_text(encoding="utf-8") == steps.page()

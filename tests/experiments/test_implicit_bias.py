"""The loops and closed forms of the experiment."""

import numpy as np
import pytest
from sklearn.svm import SVC

import nn
from experiments import lab
from experiments.generalisation import implicit_bias as experiment
from nn import functional as F


@pytest.fixture(scope="module")
def z():
    return experiment.flowers(experiment.FAST, lab.streams(0)[0])


def test_the_machine_is_scikit_learns(z):
    w = experiment.machine(z)
    assert (z @ w).min() == pytest.approx(1, abs=1e-9)
    labels = np.repeat([1, -1], len(z))
    theirs = SVC(kernel="linear", C=1e8, tol=1e-12).fit(np.concatenate([z, -z]), labels).coef_[0]
    np.testing.assert_allclose(w, theirs, atol=1e-5)


@pytest.mark.parametrize("squared", [False, True])
def test_the_loop_is_gradient_descent(z, squared):
    rate, layer = 0.1, experiment.linear_model(np.zeros(z.shape[1]))
    optimizer = nn.optim.SGD(layer.parameters(), lr=rate)
    for _ in range(30):
        optimizer.zero_grad()
        margin = layer(nn.Tensor(z))
        loss = ((margin - 1) * (margin - 1)).mean() * 0.5 if squared else F.softplus(-margin).mean()
        loss.backward()
        optimizer.step()
    found = experiment.descend(z, rate, np.array([10, 30]), squared)
    np.testing.assert_allclose(found[1], layer.weight.array[0], rtol=1e-9, atol=1e-14)


def test_the_flow_rests_where_the_multipliers_are_the_machines():
    z = np.array([[1.0, 0.3], [0.8, -0.5]])  # both support the machine
    w_hat, rate = experiment.machine(z), 0.5
    np.testing.assert_allclose(z @ w_hat, 1)
    rho = experiment.flow(z, rate, w_hat, np.zeros(2), np.array([5.0, 80.0]), 0.05)[-1]
    np.testing.assert_allclose(rate / 2 * np.exp(-z @ rho) @ z, w_hat, rtol=1e-6)


def test_angles():
    w = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, -3.0], [1.0, 1e-9]])
    assert experiment.angles(w, np.array([1.0, 0.0])) == pytest.approx([0, 45, 90, np.degrees(1e-9)])

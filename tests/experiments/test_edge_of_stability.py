"""The observations of a training run: the sharpness against the whole Hessian, and the detection of the crossing."""

import numpy as np
import pytest

import nn
from experiments.optimisation import edge_of_stability as experiment
from nn import observation


@pytest.mark.parametrize("loss", experiment.LOSSES)
def test_sharpness_is_the_largest_eigenvalue_of_the_hessian(loss):
    problem = experiment.Problem({"examples": 12, "width": 2}, 0, loss=loss)
    P = sum(p.numel() for p in problem.parameters)
    rows = [
        observation.flatten(
            observation.hessian_vector_product(
                problem.loss, problem.parameters, observation.unflatten(unit, problem.parameters)
            )
        )
        for unit in np.eye(P)
    ]
    assert problem.sharpness() == pytest.approx(np.linalg.eigvalsh(rows)[-1], rel=1e-3)


class Bowl(experiment.Problem):
    """One parameter on a parabola of a given curvature."""

    def __init__(self, curvature):
        self.curvature, self.parameters = curvature, [nn.Parameter(np.ones(1))]
        self.probe = np.random.default_rng(0)

    def loss(self):
        [x] = self.parameters
        return (x * x).sum() * (self.curvature / 2)


def test_a_parabola_below_the_edge_never_crosses():
    log = experiment.train(Bowl(3.0), rate=0.5, steps=20, readings=5)
    assert log["crossing"] is None and log["median"] is None
    assert log["rises_before"] == 0 and log["loss"][-1] < log["loss"][0]
    assert log["every"] % 2 == 1


def test_a_parabola_beyond_the_edge_diverges():
    log = experiment.train(Bowl(3.0), rate=1.0, steps=20, readings=5)
    assert log["crossing"] == 0 and log["median"] == pytest.approx(1.5, rel=1e-3)
    assert log["log_factor"] == pytest.approx(np.log(2), rel=1e-2)
    assert log["rises_after"] == 1


def test_momentum_moves_the_edge():
    log = experiment.train(Bowl(3.0), rate=1.0, steps=20, readings=5, momentum=0.9)
    assert log["crossing"] is None and log["loss"][-1] < log["loss"][0]

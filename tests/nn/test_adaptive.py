"""The adaptive softmax agrees with PyTorch's: log-probabilities, loss, gradients, predictions, state and errors."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree, same_layers

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("options", [{}, {"div_value": 2.0, "head_bias": True}])
@pytest.mark.parametrize("targets", [[0, 3, 9, 12, 19, 5], [0, 1, 2, 3, 0, 0], [15, 16, 17, 18, 19, 12]], ids=str)
def test_adaptive_log_softmax(targets, options):
    ours = nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 10], **options).double()
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4, 10], **options).double()
    theirs.load_state_dict(ours.state_dict())
    assert repr(ours) == repr(theirs)
    x, t = RNG.standard_normal((6, 16)), np.array(targets)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        p.grad, q.grad = nn.zeros(*p.shape, dtype=np.float64), torch.zeros_like(q)
    same_layers(ours, theirs, (nn.tensor(x), nn.tensor(t)), (torch.tensor(x), torch.tensor(t)))
    agree(ours.log_prob(nn.tensor(x)), theirs.log_prob(torch.tensor(x)))
    agree(ours.predict(nn.tensor(x)), theirs.predict(torch.tensor(x)))
    output, loss = ours(nn.tensor(x[0]), nn.tensor(t[0]))
    expected = theirs(torch.tensor(x[0]), torch.tensor(t[0]))
    agree(output, expected.output)
    agree(loss, expected.loss)


def test_errors():
    for cutoffs in ([], [3, 2], [0, 3], [3, 20], [3, 3]):
        with pytest.raises(ValueError, match="cutoffs must increase from at least 1 to at most 19"):
            nn.AdaptiveLogSoftmaxWithLoss(16, 20, cutoffs)
    layer = nn.AdaptiveLogSoftmaxWithLoss(16, 20, [4])
    with pytest.raises(IndexError, match="target_ must be from 0 to 19, got 20"):
        layer(nn.ones(1, 16), np.array([20]))
    with pytest.raises(ValueError, match="input_ and target_ do not agree"):
        layer(nn.ones(2, 16), np.array([2]))

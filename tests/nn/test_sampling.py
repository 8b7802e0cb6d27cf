"""Sampling at the places of a grid, and the loss of sequences without alignment, agree with PyTorch's."""

import numpy as np
import pytest
import torch

import nn
import nn.functional as F
from tests.nn.compare import agree, same_as_torch

T = torch.nn.functional
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("dims", [2, 3])
def test_grid_sample(dims, mode, padding_mode, align_corners):
    if dims == 3 and mode == "bicubic":
        pytest.skip("bicubic is for two dimensions")
    x, grid = RNG.standard_normal((2, 3, *(4, 5, 3)[:dims])), RNG.uniform(-1.3, 1.3, (2, *(3, 2, 4)[:dims], dims))
    options = mode, padding_mode, align_corners
    same_as_torch(
        lambda x, g: F.grid_sample(x, g, *options), x, grid, reference=lambda x, g: T.grid_sample(x, g, *options)
    )


def test_a_spatial_transformer():
    def transformed(F):
        return lambda x, t: F.grid_sample(x, F.affine_grid(t, (2, 3, 4, 5), align_corners=False), align_corners=False)

    same_as_torch(
        transformed(F), RNG.standard_normal((2, 3, 6, 6)), RNG.standard_normal((2, 2, 3)), reference=transformed(T)
    )
    with pytest.warns(UserWarning, match="grid_sample: align_corners is not given"):
        F.grid_sample(nn.ones(1, 1, 2, 2), nn.zeros(1, 1, 1, 2))


TARGETS, LENGTHS, TARGET_LENGTHS = np.array([[1, 2, 2], [3, 0, 0]]), np.array([6, 4]), np.array([3, 1])


@pytest.mark.parametrize("options", [{}, {"blank": 4}, {"zero_infinity": True}], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_ctc_loss(reduction, options):
    ours, theirs = nn.CTCLoss(reduction=reduction, **options), torch.nn.CTCLoss(reduction=reduction, **options)
    assert repr(ours) == repr(theirs)
    targets = TARGETS if "blank" not in options else np.array([[1, 2, 2], [3, 1, 1]])
    given = targets, LENGTHS, TARGET_LENGTHS
    tensors = [torch.tensor(a) for a in given]
    same_as_torch(
        lambda x: ours(x.log_softmax(2), *map(nn.tensor, given)),
        RNG.standard_normal((6, 2, 5)),
        reference=lambda x: theirs(x.log_softmax(2), *tensors),
        rtol=1e-8,
    )


def test_ctc_loss_of_one_sample_and_of_lists():
    x = RNG.standard_normal((6, 5))
    ours = F.ctc_loss(nn.tensor(x).log_softmax(1), np.array([1, 2]), 6, 2)
    agree(ours, T.ctc_loss(torch.tensor(x).log_softmax(1), torch.tensor([1, 2]), torch.tensor(6), torch.tensor(2)))
    with pytest.raises(ValueError, match="ctc_loss"):
        F.ctc_loss(nn.ones(3), np.array([1]), 3, 1)

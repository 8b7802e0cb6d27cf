"""Lengths, distances, angles, the bilinear layer and grids of affine maps agree with PyTorch's."""

import numpy as np
import pytest
import torch

import nn
import nn.functional as F
from tests.nn.compare import agree, same_as_torch, same_layers, same_twice

T = torch.nn.functional
RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((4, 3, 5)), RNG.standard_normal((4, 3, 5))
ZERO = np.where(np.arange(3)[:, None] == 1, 0, A)  # one row of zeros


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("dim", [1, -1, 0])
@pytest.mark.parametrize("x", [A, ZERO], ids=["any", "zeros"])
def test_normalize(x, dim, p):
    if x is ZERO and p not in (1.0, 2.0):
        x = np.where(x == 0, 1, x)  # PyTorch's gradients of other norms are NaN there
    same_as_torch(lambda x: F.normalize(x, p, dim), x, reference=lambda x: T.normalize(x, p, dim))


def test_normalize_twice_and_out():
    same_twice(F.normalize, A, reference=T.normalize)
    x, out = nn.tensor(A), nn.zeros(4, 3, 5, dtype=np.float64)
    assert F.normalize(x, out=out) is out
    agree(out, T.normalize(torch.tensor(A)))
    assert F.normalize(nn.zeros(2, 2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(IndexError, match="normalize: dim must be from -1 to 0, got 1"):
        F.normalize(nn.ones(3))


@pytest.mark.parametrize("options", [{}, {"dim": -1}, {"dim": 0, "eps": 5.0}])
def test_cosine_similarity(options):
    ours, theirs = nn.CosineSimilarity(**options), torch.nn.CosineSimilarity(**options)
    assert repr(ours) == repr(theirs)
    if "eps" not in options:  # where it has an effect, PyTorch's gradient is that of another function
        same_as_torch(ours, A, B, reference=theirs)
        same_as_torch(ours, A, B[:1], reference=theirs)
        same_twice(ours, A, B, reference=theirs)
    agree(ours(nn.tensor(A), nn.tensor(B)), theirs(torch.tensor(A), torch.tensor(B)))


@pytest.mark.parametrize("options", [{}, {"p": 1.0}, {"p": 3.0, "keepdim": True}, {"eps": 0.5}])
def test_pairwise_distance(options):
    ours, theirs = nn.PairwiseDistance(**options), torch.nn.PairwiseDistance(**options)
    assert repr(ours) == repr(theirs)
    same_as_torch(ours, A[0], B[0], reference=theirs)
    same_as_torch(ours, A[0, 0], B[0, 0], reference=theirs)
    if ours.norm != 1:  # PyTorch has no second gradient
        same_twice(ours, A[0], B[0], reference=theirs)
    same_as_torch(lambda x: ours(x, x), A[0], reference=lambda x: theirs(x, x))


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_pdist(p):
    same_as_torch(lambda x: F.pdist(x, p), A[0], reference=lambda x: T.pdist(x, p))
    with pytest.raises(ValueError, match="pdist: input must have 2 dimensions"):
        F.pdist(nn.ones(3))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("leading", [(6,), (2, 3), ()])
def test_bilinear(leading, bias):
    ours, theirs = nn.Bilinear(4, 5, 3, bias).double(), torch.nn.Bilinear(4, 5, 3, bias).double()
    theirs.load_state_dict(ours.state_dict())
    assert repr(ours) == repr(theirs)
    a, b = RNG.standard_normal((*leading, 4)), RNG.standard_normal((*leading, 5))
    same_layers(ours, theirs, (nn.tensor(a), nn.tensor(b)), (torch.tensor(a), torch.tensor(b)))
    same_twice(F.bilinear, a, b, *(p.detach().numpy() for p in ours.parameters()), reference=T.bilinear)
    assert all(np.abs(p.array).max() <= 0.5 for p in ours.parameters())


def test_bilinear_errors():
    with pytest.raises(ValueError, match="bilinear: shapes do not agree: input1 is"):
        nn.Bilinear(4, 5, 3)(nn.ones(2, 4), nn.ones(2, 4))
    with pytest.raises(ValueError, match="Bilinear: in1_features must be at least 1, got 0"):
        nn.Bilinear(0, 1, 1)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 1, 1, 3), (2, 3, 4, 5, 2)])
def test_affine_grid(size, align_corners):
    if align_corners and 1 in size[2:]:
        pytest.skip("PyTorch warns")
    dims = len(size) - 2
    same_twice(
        lambda t: F.affine_grid(t, size, align_corners),
        RNG.standard_normal((2, dims, dims + 1)),
        reference=lambda t: T.affine_grid(t, size, align_corners),
    )


def test_affine_grid_errors():
    with pytest.raises(ValueError, match=r"affine_grid: theta \(2, 2, 3\) and size \(1, 1, 2, 2\) do not agree"):
        F.affine_grid(nn.ones(2, 2, 3), (1, 1, 2, 2), False)
    with pytest.warns(UserWarning, match="affine_grid: align_corners is not given"):
        F.affine_grid(nn.ones(1, 2, 3), (1, 1, 2, 2))

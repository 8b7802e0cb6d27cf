"""The same expression on our tensors and on PyTorch's: values and all gradients must agree in float64."""

import numpy as np
import torch

import nn


def agree(ours, theirs, rtol=1e-10):
    """Assert that a tensor or None equals PyTorch's in shape, dtype and value."""
    if theirs is None:
        assert ours is None
        return
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=rtol, atol=1e-12)


def same_as_torch(function, *arrays, reference=None, rtol=1e-10):
    """Apply `function` to tensors of the arrays, `reference` (by default the same) to PyTorch's; compare everything.

    Floating-point arrays require a gradient. The gradient of the result is an arbitrary fixed one.
    """
    ours = [nn.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y, expected = function(*ours), (reference or function)(*theirs)
    agree(y, expected, rtol)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(nn.tensor(dy))
    expected.backward(torch.tensor(dy))
    for mine, other in zip(ours, theirs, strict=True):
        agree(mine.grad, other.grad, rtol)

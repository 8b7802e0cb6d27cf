"""Padding modules: the numbers of dimensions that they accept, against PyTorch."""

import numpy as np
import pytest
import torch

import nn

KINDS = ["ReflectionPad", "ReplicationPad", "CircularPad", "ZeroPad", "ConstantPad"]


@pytest.mark.parametrize("ndim", range(1, 7))
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_modules_accept_the_dimensions_that_torchs_accept(kind, dims, ndim, rng):
    name = f"{kind}{dims}d"
    x = rng.standard_normal((2, 3, 4, 3, 2, 2)[:ndim])
    options = (1, 0.5) if kind == "ConstantPad" else (1,)
    try:
        expected = getattr(torch.nn, name)(*options)(torch.tensor(x)).numpy()
    except (ValueError, NotImplementedError, RuntimeError):
        with pytest.raises(ValueError, match=f"{name}: expected|pad: needs"):
            getattr(nn, name)(*options)(nn.tensor(x))
    else:
        np.testing.assert_array_equal(getattr(nn, name)(*options)(nn.tensor(x)).array, expected)


@pytest.mark.parametrize("ndim", range(7))
@pytest.mark.parametrize("pairs", range(5))
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_pad_accepts_the_dimensions_that_torchs_accepts(mode, pairs, ndim, rng):
    x, widths = rng.standard_normal((2, 3, 4, 3, 2, 2)[:ndim]), (1, 0) * pairs
    try:
        expected = torch.nn.functional.pad(torch.tensor(x), widths, mode).numpy()
    except (NotImplementedError, RuntimeError):
        with pytest.raises(ValueError, match=f"pad: needs pairs|pad: mode '{mode}' takes 2 widths for 2-D or 3-D"):
            nn.functional.pad(nn.tensor(x), widths, mode)
    else:
        np.testing.assert_array_equal(nn.functional.pad(nn.tensor(x), widths, mode).array, expected)


def test_the_error_names_the_shape():
    with pytest.raises(ValueError, match=r"ReflectionPad2d: expected 3-D or 4-D input, got shape \(2, 2\)"):
        nn.ReflectionPad2d(1)(nn.zeros(2, 2))

"""Modules that enlarge borders: which dimensions they take, against PyTorch."""

import numpy as np
import pytest
import torch

import nn

KINDS = ["ReflectionPad", "ReplicationPad", "CircularPad", "ZeroPad", "ConstantPad"]


@pytest.mark.parametrize("ndim", range(1, 7))
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_modules_take_the_dimensions_that_torchs_take(kind, dims, ndim, rng):
    name = f"{kind}{dims}d"
    x = rng.standard_normal((2, 3, 4, 3, 2, 2)[:ndim])
    options = (1, 0.5) if kind == "ConstantPad" else (1,)
    try:
        expected = getattr(torch.nn, name)(*options)(torch.tensor(x)).numpy()
    except (ValueError, NotImplementedError, RuntimeError):
        with pytest.raises(ValueError, match=f"{name}: expected|pad: needs"):
            getattr(nn, name)(*options)(nn.tensor(x))
    else:
        np.testing.assert_array_equal(getattr(nn, name)(*options)(nn.tensor(x)).data, expected)


def test_the_error_names_the_shape():
    with pytest.raises(ValueError, match=r"ReflectionPad2d: expected 3-D or 4-D input, got shape \(2, 2\)"):
        nn.ReflectionPad2d(1)(nn.zeros(2, 2))

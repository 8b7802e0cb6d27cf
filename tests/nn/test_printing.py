"""Tensors are printed as PyTorch prints them."""

import numpy as np
import pytest
import torch

import nn

RNG = np.random.default_rng(0)
ARRAYS = {
    "number": np.float32(3.14159265),
    "integer": np.int64(3),
    "whole": np.array([1.0, -20.0, 300.0], np.float32),
    "halves": np.array([0.5, -20.0], np.float32),
    "small": np.array([1e-5, 1.0], np.float32),
    "large": np.array([1e9, 1.5], np.float32),
    "large whole": np.array([1.0, 1e6], np.float32),
    "far apart": np.array([0.01, 100.0], np.float32),
    "nan": np.array([np.nan, 1.0, np.inf, -np.inf], np.float32),
    "nan alone": np.array([np.nan, np.inf], np.float32),
    "zeros": np.zeros((2, 3), np.float32),
    "bools": np.array([[True, False], [False, True]]),
    "integers": np.array([[1, -200], [30, 4]]),
    "bytes": np.array([1, 200], np.uint8),
    "double": RNG.standard_normal((2, 3)),
    "matrix": RNG.standard_normal((4, 5)).astype(np.float32),
    "long": RNG.standard_normal(40).astype(np.float32),
    "longer": RNG.standard_normal(1001).astype(np.float32),
    "image": RNG.standard_normal((3, 40, 50)).astype(np.float32),
    "tall": RNG.standard_normal((400, 3)).astype(np.float32),
    "wide": RNG.standard_normal((2, 600)).astype(np.float32),
    "many integers": np.arange(5000).reshape(50, 100),
    "empty": np.zeros(0, np.float32),
    "empty matrix": np.zeros((2, 0), np.float32),
    "empty integers": np.zeros(0, np.int64),
    "stack": RNG.standard_normal((2, 2, 2)).astype(np.float32),
}


def texts(array):
    ours, theirs = nn.tensor(array), torch.tensor(array)
    return repr(ours), repr(theirs).replace("dtype=torch.", "dtype=").replace("size=torch.Size(", "size=(")


@pytest.mark.parametrize("name", ARRAYS)
def test_repr(name):
    ours, theirs = texts(ARRAYS[name])
    assert ours == theirs


def test_suffixes():
    for m in (nn, torch):
        x = m.ones(2, requires_grad=True)
        assert repr(x) == "tensor([1., 1.], requires_grad=True)"
        assert repr(m.rand(34, requires_grad=True)).endswith("]," + "\n       requires_grad=True)")
    assert repr(nn.ones(2, requires_grad=True) * 2) == "tensor([2., 2.], grad_fn=<mul>)"


OPTIONS = [
    {"precision": 2},
    {"threshold": 10, "edgeitems": 1},
    {"linewidth": 40},
    {"profile": "short"},
    {"profile": "full"},
    {"sci_mode": True},
    {"sci_mode": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(options):
    try:
        for m in (nn, torch):
            m.set_printoptions(**options)
        for name in ("matrix", "long", "far apart", "whole", "integers", "stack", "tall"):
            ours, theirs = texts(ARRAYS[name])
            assert ours == theirs
    finally:
        for m in (nn, torch):
            m.set_printoptions(profile="default")

"""Tests of nn.constructors: what `torch.Tensor` and `torch.FloatTensor` of older programs make, beside PyTorch's."""

import numpy as np
import pytest
import torch

import nn
from nn import constructors

OURS = {**constructors.TYPED, "Tensor": constructors.AnyTensor}
NAMES = ["Tensor", "FloatTensor", "DoubleTensor", "LongTensor", "IntTensor", "ByteTensor", "BoolTensor"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "values",
    [[1, 0], (0, 1, 1), [[1.0, 0.0]], np.ones((2, 2)), np.arange(2), []],
    ids=repr,
)
def test_values(name, values):
    mine, theirs = OURS[name](values), getattr(torch, name)(values)
    np.testing.assert_array_equal(mine.numpy(), theirs.numpy(), strict=True)
    assert not np.shares_memory(mine.numpy(), values) if isinstance(values, np.ndarray) else True


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [(), (3,), (2, 3), (np.int64(2), 1), (0, 2)], ids=repr)
def test_sizes(name, sizes):
    mine, theirs = OURS[name](*sizes), getattr(torch, name)(*map(int, sizes))
    assert mine.shape == theirs.shape and str(mine.dtype) == str(theirs.dtype).removeprefix("torch.")
    assert type(mine) is nn.Tensor


def test_size_of_a_tensor():
    x = nn.ones(2, 3).double()
    assert OURS["FloatTensor"](x.size()).shape == (2, 3)
    assert x.new(x.size()).shape == (2, 3) and x.new(4).dtype == np.float64
    assert x.new([1, 2]).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match="FloatTensor: expected sizes or one sequence"):
        OURS["FloatTensor"]([1.0], [2.0])


def test_types():
    x, i, Tensor = nn.ones(2), nn.tensor([1]), constructors.AnyTensor
    assert isinstance(x, OURS["FloatTensor"]) and not isinstance(i, OURS["FloatTensor"])
    assert isinstance(i, OURS["LongTensor"]) and not isinstance([1], OURS["LongTensor"])
    assert i.type(OURS["FloatTensor"]).dtype == np.float32
    assert isinstance(x, Tensor) and isinstance(nn.Parameter(x), Tensor) and not isinstance(np.ones(2), Tensor)
    assert type(x) == Tensor and {Tensor: 1}[type(x)] == 1 and type(x) != OURS["FloatTensor"]  # noqa: E721
    assert issubclass(nn.Parameter, Tensor) and Tensor.add is nn.Tensor.add
    assert Tensor(x).data_ptr() == x.data_ptr()


def test_subclasses_and_attributes():
    class Named(constructors.AnyTensor):
        pass

    named = Named([1.0, 2.0])
    assert isinstance(named, Named) and not isinstance(nn.ones(1), Named) and named.sum().item() == 3
    constructors.AnyTensor.twice = lambda x: x * 2
    try:
        assert nn.ones(1).twice().item() == 2
    finally:
        del nn.Tensor.twice

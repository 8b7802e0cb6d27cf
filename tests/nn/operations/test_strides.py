"""Tests of nn.operations.strides."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import same_as_torch, same_function


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((3, 2), (2, 1), 1),
        ((4, 3), (1, 2), 0),
        ((2, 2), (1, 1), None),
        ((), (), 5),
        ((2, 3), (0, 4), 2),
        ((0, 3), (9, 9), 0),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "part",
    [lambda x: x, lambda x: x[1:, 1:], lambda x: x[::2].T, lambda x: x[:0]],
    ids=["whole", "slice", "transposed", "empty"],
)
def test_values_and_gradients_of_as_strided(rng, size, stride, offset, part):
    def function(module, x):
        return module.as_strided(part(x), size, stride, offset), part(x).sum()

    same_function(function, rng.standard_normal((4, 3)))


def test_as_strided_is_a_view(rng):
    for module in (nn, torch):
        x = module.arange(12.0)
        y = x[2:].as_strided((3,), (2,))
        y.add_(100)
        assert x.tolist() == [0, 1, 102, 3, 104, 5, 106, 7, 8, 9, 10, 11]
        x[4] = -1
        assert y.tolist() == [102, -1, 106]


def test_changes_in_place_of_strided_views_are_recorded(rng):
    def function(x):
        y = x * 2
        y.as_strided((2, 2), (4, 2), 1).mul_(x[0, 0])
        return y

    same_as_torch(function, rng.standard_normal((3, 4)))


def test_a_view_whose_elements_overlap_does_not_change_in_place(rng):
    y = nn.tensor(rng.standard_normal(5), requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="whose elements share memory"):
        y.as_strided((3, 2), (1, 1)).mul_(2)


@pytest.mark.parametrize(
    ("size", "stride", "offset", "message"),
    [
        ((2, 2), (1,), 0, r"needs a stride for each size, .*got size \(2, 2\), stride \(1,\) and storage_offset 0"),
        ((2,), (-1,), 3, "no negative number"),
        ((-2,), (1,), 3, "no negative number"),
        ((3,), (4,), 4, "need elements 4 to 12, the memory of the tensor has 0 to 11"),
        ((1,), (1,), 12, "need elements 12 to 12"),
    ],
)
def test_errors_of_as_strided(size, stride, offset, message):
    with pytest.raises(ValueError, match=f"as_strided: .*{message}"):
        nn.arange(12.0).as_strided(size, stride, offset)


def test_a_view_reaches_the_memory_of_its_base_only():
    base = np.arange(10.0)
    x = nn.Tensor(base[2:6])
    assert x.storage_offset() == 2
    assert x.as_strided((4,), (1,)).tolist() == [2, 3, 4, 5]
    with pytest.raises(ValueError, match="need elements 2 to 6, the memory of the tensor has 2 to 5"):
        x.as_strided((5,), (1,))


def test_a_tensor_whose_elements_overlap_has_no_strided_views_with_gradients():
    x = nn.ones(1, requires_grad=True).expand(3)
    with pytest.raises(ValueError, match=r"as_strided: elements of the tensor of shape \(3,\) share memory"):
        x.as_strided((2,), (0,))
    assert x.detach().as_strided((2,), (0,)).tolist() == [1, 1]


# --- a tensor's own shape ---------------------------------------------------------------------------------------------

CHANGES = {
    "unsqueeze_": lambda x: x.unsqueeze_(1),
    "squeeze_": lambda x: x.squeeze_(),
    "squeeze_ of one": lambda x: x.squeeze_(1),
    "transpose_": lambda x: x.transpose_(0, 2),
    "swapaxes_": lambda x: x.swapaxes_(0, 2),
    "swapdims_": lambda x: x.swapdims_(0, 1),
    "t_": lambda x: x.squeeze_().t_(),
    "as_strided_": lambda x: x.as_strided_((2, 2), (2, 1), 1),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_the_own_shape(rng, name):
    def function(x):
        y = x * 2
        z = y.exp()
        assert CHANGES[name](y) is y
        z_again = y.exp()
        y.mul_(3)
        return z.sum() + (y * z_again).sum()

    same_as_torch(function, rng.standard_normal((3, 1, 2)))
    for module in (nn, torch):
        x = module.zeros(3, 1, 2)
        view = x.view(-1)
        CHANGES[name](x)
        view[:] = 7
        assert tuple(x.shape) == tuple(CHANGES[name](torch.zeros(3, 1, 2)).shape)
        assert (x == 7).all()


def test_a_shape_changes_under_no_grad_too(rng):
    def function(module, x):
        y = x * 2
        with module.no_grad():
            y.unsqueeze_(0)
        return y.sum(0) if module is nn else (x * 2)

    same_function(function, rng.standard_normal(3))


def test_a_leaf_changes_its_shape_under_no_grad_only():
    x = nn.zeros(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="unsqueeze_: a leaf that requires a gradient changes in place only under"):
        x.unsqueeze_(0)
    with nn.no_grad():
        x.unsqueeze_(0)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [[2, 2, 2]]


def test_resize():
    x = nn.arange(6.0)
    assert x.resize_(2, 3) is x
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert x.resize_((3, 2)).shape == (3, 2)
    before = x.array
    assert x.resize_(4, 2).shape == (4, 2)
    np.testing.assert_array_equal(x.array.reshape(-1)[:6], before.reshape(-1))
    assert not np.may_share_memory(x.array, before)
    x.resize_(3, 2)
    with pytest.raises(ValueError, match="are not contiguous"):
        x.T.resize_(6)
    with pytest.raises(RuntimeError, match="resize_: a tensor that requires a gradient keeps its shape"):
        nn.zeros(2, requires_grad=True).resize_(2, 1)

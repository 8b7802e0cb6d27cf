"""Shapes, orders, parts, joins and repetitions against PyTorch: the same function of both modules."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import same_function

RNG = np.random.default_rng(0)
A, B, CUBE, ROW = (
    RNG.standard_normal((3, 4)),
    RNG.standard_normal((3, 4)),
    RNG.standard_normal((2, 3, 4)),
    np.arange(4.0),
)
IDS, POINT, SQUARE = np.arange(12).reshape(3, 4), np.array(2.0), RNG.standard_normal((2, 4, 4))
COUNTS = np.array([2, 0, 3])

FUNCTIONS = {
    "reshape": lambda m, x: (x.reshape(2, 6), x.reshape((4, 3)), m.reshape(x, (-1,)), m.reshape(x, shape=(1, -1))),
    "reshape_as": lambda m, x: x.reshape_as(m.ones(2, 6)),
    "view": lambda m, x: (x.view(2, -1), x.view([6, 2]), x.view_as(m.ones(12))),
    "flatten": lambda m, x: (x.flatten(), m.flatten(x, 1), m.flatten(x, start_dim=0, end_dim=0)),
    "unflatten": lambda m, x: (x.unflatten(1, (2, -1)), m.unflatten(x, -1, (2, 2)), x.unflatten(dim=0, sizes=(3, 1))),
    "ravel": lambda m, x: (x.ravel(), m.ravel(x.T)),
    "squeeze": lambda m, x: (x[None].squeeze(0), m.squeeze(x[:, None]), m.squeeze(x[None, :, None], dim=(0, 2))),
    "unsqueeze": lambda m, x: (x.unsqueeze(-1), m.unsqueeze(x, 0), m.unsqueeze(x, axis=1)),
    "transpose": lambda m, x: (m.transpose(x, 0, 1), x.swapaxes(0, -1), m.swapaxes(x, axis0=1, axis1=0)),
    "swapdims": lambda m, x: (x.swapdims(0, 1), m.swapdims(x, dim0=1, dim1=0), m.t(x), x.t()),
    "T": lambda m, x: (x.T, x.mT, x.H, x.mH),
    "permute": lambda m, x: (x.permute(1, 0), x.permute((1, 0)), m.permute(x, (0, 1)), m.permute(x, dims=(1, -2))),
    "movedim": lambda m, x: (m.movedim(x, 0, 1), x.movedim((0, 1), (1, 0)), m.moveaxis(x[None], 0, -1)),
    "expand": lambda m, x: (x[:, None].expand(-1, 2, 4), x.expand((2, 3, 4)), x.expand_as(m.ones(2, 3, 4))),
    "broadcast_to": lambda m, x: (m.broadcast_to(x, (2, 3, 4)), x[:1].broadcast_to((3, 4))),
    "broadcast_tensors": lambda m, x: m.broadcast_tensors(x, x[0], x[:, :1]),
    "broadcast_shapes": lambda m, x: tuple(m.broadcast_shapes((3, 1), (4,), (2, 1, 1))),
    "repeat": lambda m, x: (x.repeat(1, 2), x.repeat((2, 1, 3)), x.repeat(0, 1)),
    "tile": lambda m, x: (m.tile(x, (2,)), x.tile(2, 3), m.tile(x, dims=(2, 1, 1))),
    "repeat_interleave": lambda m, x: (
        x.repeat_interleave(2), x.repeat_interleave(2, dim=1), m.repeat_interleave(x, 3, 0),
        m.repeat_interleave(x, m.tensor(COUNTS), dim=0), x.repeat_interleave(m.tensor(COUNTS), 0, output_size=5),
        m.repeat_interleave(m.tensor(COUNTS)), x.repeat_interleave(m.tensor([2]), -1), x.repeat_interleave(0),
    ),
    "flip": lambda m, x: (x.flip(0), x.flip(0, 1), m.flip(x, (1,)), m.flip(x, [-1, 0]), m.flip(x, dims=(0,))),
    "fliplr": lambda m, x: (m.fliplr(x), x.flipud()),
    "roll": lambda m, x: (x.roll(1), m.roll(x, -1, 1), m.roll(x, (1, 2), (0, 1)), x.roll(shifts=2, dims=0)),
    "rot90": lambda m, x: (m.rot90(x), x.rot90(2), m.rot90(x, -1, [1, 0]), m.rot90(x, k=3, dims=(0, 1))),
    "narrow": lambda m, x: (m.narrow(x, 1, 1, 2), x.narrow(0, -2, 1), x.narrow(1, m.tensor(1), 2)),
    "select": lambda m, x: (m.select(x, 0, 1), x.select(-1, -1), x.select(dim=1, index=0)),
    "unfold": lambda m, x: (x.unfold(1, 2, 1), x.unfold(0, 2, 2), x.unfold(-1, 4, 3), x.unfold(1, 0, 1)),
    "split": lambda m, x: (
        x.split(2, 1), x.split([1, 3], dim=1), m.split(x, split_size_or_sections=2),
        x.split(split_size=1),
    ),
    "split_with_sizes": lambda m, x: (m.split_with_sizes(x, [1, 2]), x.split_with_sizes((2, 2), 1)),
    "chunk": lambda m, x: (m.chunk(x, 2, 1), x.chunk(2), x.chunk(chunks=3, dim=1)),
    "tensor_split": lambda m, x: (
        m.tensor_split(x, 3, 1), x.tensor_split((1, 3), 1), x.tensor_split(m.tensor([2, 1]), dim=1),
        x.tensor_split(m.tensor(2)), x.tensor_split(5),
    ),
    "hsplit": lambda m, x: (m.hsplit(x, 2), x.hsplit((1,)), m.vsplit(x, 3), x[None].dsplit(2)),
    "unbind": lambda m, x: (m.unbind(x), x.unbind(1), x.unbind(dim=-1), m.unbind(x, axis=1)),
    "atleast": lambda m, x: [
        f(y) for f in (m.atleast_1d, m.atleast_2d, m.atleast_3d) for y in (x, x[0], x[0, 0], (x, x[0]), [x[0, 0]])
    ],
    "atleast several": lambda m, x: (m.atleast_2d(x[0], x), m.atleast_3d(x[0, 0], x[0])),
}  # fmt: skip

OF_TWO = {
    "cat": lambda m, a, b: (m.cat([a, b]), m.cat((a, b), 1), m.cat([a, b[:1]], dim=0), m.cat([a, b], axis=-1)),
    "concat": lambda m, a, b: (m.concat([a, b], 1), m.concatenate((a, b)), m.concatenate([a, b], axis=1)),
    "stack": lambda m, a, b: (m.stack([a, b]), m.stack((a, b), -1), m.stack([a, b], dim=1)),
    "hstack": lambda m, a, b: (m.hstack([a, b]), m.hstack([a[0], b[1, :2]]), m.hstack((a[0, 0], b[0, 1]))),
    "vstack": lambda m, a, b: (m.vstack([a, b[0]]), m.vstack((a[0], b[1])), m.row_stack([a, b])),
    "dstack": lambda m, a, b: (m.dstack([a, b]), m.dstack((a[0], b[1])), m.dstack([a[0, 0], b[0, 0]])),
    "column_stack": lambda m, a, b: (m.column_stack([a, b[:, 0]]), m.column_stack((a[0], b[1]))),
    "kron": lambda m, a, b: (m.kron(a, b), m.kron(a[0], b), a.kron(b[0]), m.kron(a, b[0, 0])),
    "cartesian_prod": lambda m, a, b: (m.cartesian_prod(a[0], b[0, :2], a[1, :3]), m.cartesian_prod(a[0])),
    "block_diag": lambda m, a, b: (m.block_diag(a, b[0], a[0, 0], b), m.block_diag(a)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_one_tensor(name):
    same_function(FUNCTIONS[name], A)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.bool_, np.uint8])
def test_functions_of_one_tensor_of_other_dtypes(name, dtype):
    same_function(FUNCTIONS[name], (IDS % 2 if dtype == np.bool_ else IDS).astype(dtype))


@pytest.mark.parametrize("name", OF_TWO)
def test_functions_of_two_tensors(name):
    same_function(OF_TWO[name], A, B)
    same_function(OF_TWO[name], IDS, IDS + 1)
    if name != "cartesian_prod":  # PyTorch's does not convert
        same_function(OF_TWO[name], A, IDS, twice=False)


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: (x.permute(2, 0, 1), x.movedim((0, 2), (-1, 0)), x.moveaxis(0, 1), x.mT, x.mH),
        lambda m, x: (x.flip(1, 2), x.roll((1, -1), (2, 0)), x.rot90(1, (1, 2)), x.unfold(1, 2, 1), x.tile(2)),
        lambda m, x: (x.repeat_interleave(m.tensor([1, 0, 2]), 1), x.repeat(1, 2, 1, 1), x.hsplit(3), x.dsplit((1, 2))),
        lambda m, x: m.vstack([x, x[:1]]),
    ],
)
def test_functions_of_three_dimensions(function):
    same_function(function, CUBE)


def test_functions_of_a_number():
    def function(m, x):
        return (
            x.reshape(()), x.flatten(), x.squeeze(), x.squeeze(0), x.unsqueeze(0), x.transpose(0, -1), x.t(),
            x.permute(()), x.movedim(0, 0), x.expand(2, 3), x.repeat(2), x.tile((2, 2)), x.flip(()), x.roll(1),
            x.repeat_interleave(3), x.unfold(0, 1, 1), x.ravel(), x.view(1),
        )  # fmt: skip

    same_function(function, POINT)


def test_views_share_memory():
    x = nn.zeros(3, 4)
    for view in (x.T, x.narrow(0, 1, 2), x.select(1, 0), x.unflatten(1, (2, 2)), x.swapaxes(0, 1), x.movedim(0, 1),
                 x.tensor_split(2)[1], x.expand_as(nn.ones(2, 3, 4)), x.unfold(0, 2, 1), x.t(), x.H):  # fmt: skip
        assert np.shares_memory(view.array, x.array)


def test_changes_through_views_are_recorded():
    def function(m, x):
        y = x * 1
        y.narrow(1, 1, 2).mul_(3)
        y.t().select(0, 0).add_(x[:, 1])
        return y

    same_function(function, A)


REFUSED = {
    "view dtype": (TypeError, lambda x: x.view(np.float32), r"view: a view of the bytes as float32 is not supported"),
    "unflatten": (ValueError, lambda x: x.unflatten(1, (3, 2)), r"unflatten: sizes \(3, 2\) do not multiply to 4"),
    "unflatten -1": (ValueError, lambda x: x.unflatten(1, (3, -1)), r"do not multiply to 4"),
    "unflatten 0-d": (IndexError, lambda x: x[0, 0].unflatten(0, (1,)), "a 0-d tensor has no dimension"),
    "t": (ValueError, lambda x: x[None].t(), r"t: needs at most 2 dimensions, the tensor is \(1, 3, 4\)"),
    "H": (ValueError, lambda x: x[None].H, "H: needs a matrix"),
    "movedim": (ValueError, lambda x: x.movedim((0, 1), 0), "movedim: source .* differ in length"),
    "movedim twice": (ValueError, lambda x: x.movedim((0, 0), (0, 1)), "source must name each dimension once"),
    "flip": (ValueError, lambda x: x.flip(0, 0), "flip: dims must name each dimension once"),
    "flip dim": (IndexError, lambda x: x.flip(2), "flip: dims must be from -2 to 1, got 2"),
    "fliplr": (ValueError, lambda x: x[0].fliplr(), "fliplr: needs at least 2 dimensions"),
    "flipud": (ValueError, lambda x: x[0, 0].flipud(), "flipud: needs at least 1 dimension"),
    "roll": (ValueError, lambda x: x.roll((1, 2), 0), "roll: needs one shift for each of dims"),
    "rot90": (ValueError, lambda x: x.rot90(1, (0,)), "rot90: dims must be two dimensions"),
    "repeat": (ValueError, lambda x: x.repeat(2), r"repeat: needs a number for each dimension of \(3, 4\)"),
    "repeat negative": (ValueError, lambda x: x.repeat(-1, 2), "repeat: numbers must not be negative"),
    "repeat_interleave": (ValueError, lambda x: x.repeat_interleave(nn.tensor([1, 2]), 0), "needs 3 numbers"),
    "repeat_interleave float": (TypeError, lambda x: x.repeat_interleave(nn.ones(3), 0), "must be integers"),
    "repeat_interleave size": (ValueError, lambda x: x.repeat_interleave(2, output_size=9), "output_size is 9"),
    "narrow": (ValueError, lambda x: x.narrow(0, 2, 2), "narrow: start 2 and length 2 are not within"),
    "select": (IndexError, lambda x: x.select(0, 3), "index"),
    "select dim": (IndexError, lambda x: x.select(2, 0), "select: dim must be from -2 to 1"),
    "unfold": (ValueError, lambda x: x.unfold(0, 4, 1), "unfold: size must be from 0 to 3"),
    "unfold step": (ValueError, lambda x: x.unfold(0, 2, 0), "unfold: step must be at least 1"),
    "tensor_split": (ValueError, lambda x: x.tensor_split(0), "the number of parts must be at least 1"),
    "hsplit": (ValueError, lambda x: x.hsplit(3), "hsplit: 3 parts do not divide 4"),
    "vsplit": (ValueError, lambda x: x[0].vsplit(2), "vsplit: needs at least 2 dimensions"),
    "cartesian_prod": (ValueError, lambda x: nn.cartesian_prod(x), "cartesian_prod: needs vectors"),
    "block_diag": (ValueError, lambda x: nn.block_diag(x[None]), "block_diag: needs matrices"),
    "broadcast": (ValueError, lambda x: nn.broadcast_tensors(x, x.T), r"broadcast: shapes do not match: \(3, 4\)"),
    "cat": (TypeError, lambda x: nn.cat([x, x.double(), x.long()]), "cat: dtypes differ: float32, float64, int64"),
    "two names": (TypeError, lambda x: x.squeeze(dim=0, axis=0), "squeeze: got both dim and axis"),
}


@pytest.mark.parametrize(("error", "function", "message"), REFUSED.values(), ids=REFUSED)
def test_errors(error, function, message):
    with pytest.raises(error, match=message):
        function(nn.ones(3, 4))


def test_names_are_those_of_torch():
    functions = [n for n in nn.__all__ if hasattr(torch, n) and callable(getattr(nn, n))]
    assert len(functions) > 90
    missing = [
        n
        for n in functions
        if hasattr(torch.Tensor, n) and not hasattr(nn.Tensor, n) and not isinstance(getattr(nn, n), type)
    ]
    assert not missing

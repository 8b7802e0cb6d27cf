"""Normalisation layers and functions against PyTorch's: values, gradients, running statistics, state, errors."""

import inspect

import numpy as np
import pytest
import torch
import torch.nn.functional as T

import nn
import nn.functional as F
from tests.nn.compare import agree, same_as_torch

RNG = np.random.default_rng(0)

LAYERS = {
    "BatchNorm1d": [((5,), {}, (6, 5)), ((5,), {"eps": 0.1, "momentum": 0.3}, (4, 5, 3)),
                    ((5,), {"bias": False}, (6, 5))],
    "BatchNorm2d": [((5,), {}, (3, 5, 4, 2)), ((5,), {"affine": False}, (3, 5, 4, 5))],
    "BatchNorm3d": [((5,), {"momentum": None}, (3, 5, 4, 2, 3)),
                    ((5,), {"track_running_stats": False}, (2, 5, 2, 2, 2))],
    "LayerNorm": [((5,), {}, (3, 5)), (((4, 5),), {"eps": 0.1}, (2, 4, 5)), ((5,), {"elementwise_affine": False}, (5,)),
                  ((5,), {"bias": False}, (2, 3, 5))],
    "RMSNorm": [((5,), {}, (3, 5)), (((4, 5),), {"eps": 0.1}, (2, 4, 5)), ((5,), {"elementwise_affine": False}, (5,))],
    "GroupNorm": [((2, 6), {}, (3, 6)), ((3, 6), {"eps": 0.1}, (3, 6, 4, 5)), ((6, 6), {"affine": False}, (2, 6, 4)),
                  ((1, 6), {"bias": False}, (2, 6, 4))],
    "InstanceNorm1d": [((5,), {}, (3, 5, 4)), ((5,), {"affine": True}, (5, 4)),
                       ((5,), {"track_running_stats": True}, (3, 5, 4))],
    "InstanceNorm2d": [((5,), {"affine": True, "track_running_stats": True}, (3, 5, 4, 2)), ((5,), {}, (5, 4, 3))],
    "InstanceNorm3d": [((5,), {"affine": True, "bias": False}, (3, 5, 4, 2, 3)), ((5,), {"eps": 0.1}, (5, 2, 3, 3))],
    "LocalResponseNorm": [((3,), {}, (2, 5, 4)), ((2, 0.5, 0.6, 2.0), {}, (2, 5, 4, 3))],
}  # fmt: skip
CASES = [(name, *case) for name, cases in LAYERS.items() for case in cases]


def pair(name, arguments, options):
    """Our layer and PyTorch's in float64, with the same random weights."""
    ours, theirs = getattr(nn, name)(*arguments, **options), getattr(torch.nn, name)(*arguments, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs) or name == "LocalResponseNorm"
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    ours.load_state_dict(theirs.state_dict())
    return ours.double(), theirs.double()


@pytest.mark.parametrize(("name", "arguments", "options", "shape"), CASES, ids=str)
def test_layer(name, arguments, options, shape):
    ours, theirs = pair(name, arguments, options)
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        x = 1 + 2 * RNG.standard_normal(shape)
        a, b = nn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, expected = ours(a), theirs(b)
        agree(y, expected, rtol=1e-8)
        dy = RNG.standard_normal(y.shape)
        for module in (ours, theirs):
            module.zero_grad()
        y.backward(nn.tensor(dy))
        expected.backward(torch.tensor(dy))
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-8, atol=1e-10)
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-8, atol=1e-10)
        for (key, mine), (other_key, other) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
            assert key == other_key
            np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_arguments_are_those_of_torch(name):
    ours = list(inspect.signature(getattr(nn, name)).parameters)
    theirs = list(inspect.signature(getattr(torch.nn, name)).parameters)
    assert ours == theirs


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (2, 4, 3, 6)], ids=str)
def test_functions(shape, training):
    C = shape[1]
    x, weight, bias = RNG.standard_normal(shape), RNG.standard_normal(C), RNG.standard_normal(C)

    def batch_norm(module, tensor):
        running = (None, None) if training else (tensor(np.zeros(C)), tensor(np.ones(C)))
        return lambda x, w, b: module.batch_norm(x, *running, w, b, training)

    same_as_torch(batch_norm(F, nn.tensor), x, weight, bias, reference=batch_norm(T, torch.tensor), rtol=1e-8)
    for function, arguments in [("group_norm", (2,)), ("instance_norm", (None, None))][: len(shape) - 1]:
        call = lambda module, f=function, a=arguments: lambda x, w, b: getattr(module, f)(x, *a, w, b)  # noqa: E731
        same_as_torch(call(F), x, weight, bias, reference=call(T), rtol=1e-8)
    weight, bias = RNG.standard_normal(shape[1:]), RNG.standard_normal(shape[1:])
    layer_norm = lambda module: lambda x, w, b: module.layer_norm(x, shape[1:], w, b)  # noqa: E731
    same_as_torch(layer_norm(F), x, weight, bias, reference=layer_norm(T), rtol=1e-8)
    rms_norm = lambda module: lambda x, w: module.rms_norm(x, shape[1:], w)  # noqa: E731
    same_as_torch(rms_norm(F), x, weight, reference=rms_norm(T), rtol=1e-8)
    if len(shape) > 2:
        local = lambda module: lambda x: module.local_response_norm(x, 3, 0.5)  # noqa: E731
        same_as_torch(local(F), x, reference=local(T), rtol=1e-8)


def test_average_of_all_batches():
    layer = nn.BatchNorm1d(2, momentum=None).double()
    batches = RNG.standard_normal((4, 10, 2))
    for batch in batches:
        layer(nn.tensor(batch))
    np.testing.assert_allclose(layer.running_mean.numpy(), batches.mean(axis=(0, 1)))
    np.testing.assert_allclose(layer.running_var.numpy(), batches.var(axis=1, ddof=1).mean(axis=0))
    assert layer.num_batches_tracked.item() == 4
    layer.reset_running_stats()
    assert layer.running_mean.tolist() == [0, 0]
    assert layer.running_var.tolist() == [1, 1]
    assert layer.num_batches_tracked.item() == 0


def test_reset_parameters():
    for layer in (
        nn.BatchNorm1d(3),
        nn.LayerNorm(3),
        nn.RMSNorm(3),
        nn.GroupNorm(1, 3),
        nn.InstanceNorm1d(3, affine=True),
    ):
        for parameter in layer.parameters():
            parameter.array[...] = 7
        layer.reset_parameters()
        assert layer.weight.tolist() == [1, 1, 1]
        assert getattr(layer, "bias", None) is None or layer.bias.tolist() == [0, 0, 0]


def test_changed_running_statistics_are_detected():
    """A backward through evaluation does not read the running statistics again, so it is right after an update, too."""
    layer = nn.BatchNorm1d(2).double().eval()
    x = nn.tensor(RNG.standard_normal((5, 2)), requires_grad=True)
    y = layer(x)
    layer.train()(nn.tensor(RNG.standard_normal((5, 2)) + 9))
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.full((5, 2), 1 / np.sqrt(1 + 1e-5)))


def test_nothing_is_saved_without_a_gradient(monkeypatch):
    import kernels

    seen = []
    original = kernels.layer_norm
    monkeypatch.setattr(kernels, "layer_norm", lambda *a, **k: seen.append(sorted(k)) or original(*a, **k))
    F.layer_norm(nn.ones(2, 3), (3,))
    F.layer_norm(nn.ones(2, 3, requires_grad=True), (3,))
    with nn.no_grad():
        F.layer_norm(nn.ones(2, 3, requires_grad=True), (3,))
    assert seen == [[], ["mean", "rstd"], []]


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"BatchNorm2d: expected 4-D input, got shape \(3, 4, 5\)", lambda: nn.BatchNorm2d(3)(nn.ones(3, 4, 5))),
        (r"BatchNorm1d: expected 2-D or 3-D input, got shape \(3,\)", lambda: nn.BatchNorm1d(3)(nn.ones(3))),
        (r"BatchNorm3d: expected 5-D input", lambda: nn.BatchNorm3d(3)(nn.ones(1, 3, 4, 5))),
        (r"InstanceNorm2d: expected 3-D or 4-D input", lambda: nn.InstanceNorm2d(3)(nn.ones(3, 4))),
        (r"InstanceNorm1d: expected 3 channels.*\(2, 4", lambda: nn.InstanceNorm1d(3, affine=True)(nn.ones(2, 4, 5))),
        (r"batch_norm: .*one value per channel", lambda: nn.BatchNorm1d(3)(nn.ones(1, 3))),
        (r"batch_norm: weight .*\(4,\)", lambda: nn.BatchNorm1d(3)(nn.ones(2, 4))),
        (r"layer_norm: x must have shape \(\.\.\., 3\)", lambda: nn.LayerNorm(3)(nn.ones(2, 4))),
        (r"GroupNorm: num_groups 2 does not divide num_channels 3", lambda: nn.GroupNorm(2, 3)),
        (r"local_response_norm: .*3 dimensions", lambda: nn.LocalResponseNorm(3)(nn.ones(2, 4))),
    ],
)  # fmt: skip
def test_errors(message, call):
    with pytest.raises(ValueError, match=message):
        call()


def test_group_norm_of_a_wrong_number_of_groups():
    with pytest.raises(TypeError, match="group_norm: num_groups must be an int, got float"):
        F.group_norm(nn.ones(2, 4, requires_grad=True), 2.0)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_batch_that_raises_is_not_counted(momentum):
    layer = nn.BatchNorm1d(3, momentum=momentum)
    layer(nn.randn(4, 3))
    before = {name: buffer.array.copy() for name, buffer in layer.named_buffers()}
    for shape in ((1, 3), (4, 2), (4,)):
        with pytest.raises(ValueError):
            layer(nn.ones(*shape))
    for name, buffer in layer.named_buffers():
        np.testing.assert_array_equal(buffer.array, before[name])
    assert layer.num_batches_tracked.item() == 1

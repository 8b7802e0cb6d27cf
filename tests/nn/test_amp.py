"""Tests of nn.amp: a scaler on the CPU equals PyTorch's; for a GPU, which is not there, both are switched off."""

import numpy as np
import pytest
import torch

import nn

OPTIONS = {"init_scale": 8.0, "growth_interval": 2}


def run(module, scaler, losses):
    """Parameters and scale after a step for each loss."""
    w = module.tensor([1.0, -2.0], requires_grad=True)
    optimizer = module.optim.SGD([w], lr=0.1)
    scales = []
    for factor in losses:
        optimizer.zero_grad()
        scaler.scale((w * w).sum() * factor).backward()
        scaler.unscale_(optimizer)
        module.nn.utils.clip_grad_norm_([w], 1.0) if module is torch else nn.utils.clip_grad_norm_([w], 1.0)
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    return w.detach().numpy(), scales


@pytest.mark.parametrize("losses", [[1.0] * 5, [1.0, float("inf"), 1.0, 1.0, float("nan"), 2.0]])
def test_a_scaler_on_the_cpu_equals_torch(losses):
    ours, theirs = nn.amp.GradScaler("cpu", **OPTIONS), torch.amp.GradScaler("cpu", **OPTIONS)
    mine, scales = run(nn, ours, losses)
    other, their_scales = run(torch, theirs, losses)
    np.testing.assert_allclose(mine, other, rtol=1e-6)
    assert scales == their_scales
    assert ours.state_dict() == theirs.state_dict()
    twin = nn.amp.GradScaler("cpu")
    twin.load_state_dict(theirs.state_dict())
    assert twin.state_dict() == theirs.state_dict() and twin.is_enabled()


def test_unscaling_by_step_itself():
    for module in (nn, torch):
        w = module.ones(2, requires_grad=True)
        optimizer = module.optim.SGD([w], lr=0.5)
        scaler = module.amp.GradScaler("cpu")
        first, second = scaler.scale([w.sum(), 2 * w.sum()])
        (first + second).backward()
        assert w.grad.tolist() == [3 * 2.0**16] * 2
        scaler.step(optimizer)
        assert w.tolist() == [-0.5, -0.5] and w.grad.tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    "make",
    [lambda: nn.amp.GradScaler(), lambda: nn.cuda.amp.GradScaler(2.0), lambda: nn.amp.GradScaler("cpu", enabled=False)],
)
def test_a_scaler_that_is_not_enabled(make):
    scaler = make()
    w = nn.ones(2, requires_grad=True)
    optimizer = nn.optim.SGD([w], lr=0.5)
    loss = w.sum()
    assert scaler.scale(loss) is loss and not scaler.is_enabled()
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    scaler.load_state_dict({})
    assert w.tolist() == [0.5, 0.5] and scaler.get_scale() == 1.0 and scaler.state_dict() == {}


def test_misuse_of_a_scaler():
    w = nn.ones(2, requires_grad=True)
    optimizer, scaler = nn.optim.SGD([w], lr=0.5), nn.amp.GradScaler("cpu")
    with pytest.raises(RuntimeError, match="update: no gradients"):
        scaler.update()
    scaler.scale(w.sum()).backward()
    scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="unscale_: unscale_ has been called"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match="step: a closure"):
        scaler.step(optimizer, closure=lambda: None)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="step: it has been called"):
        scaler.step(optimizer)
    scaler.update(3.0)
    assert scaler.get_scale() == 3.0
    with pytest.raises(ValueError, match="scale: expected a Tensor"):
        scaler.scale("loss")
    with pytest.raises(ValueError, match="growth_factor"):
        nn.amp.GradScaler("cpu", growth_factor=1.0)
    with pytest.raises(RuntimeError, match="load_state_dict: the state is empty"):
        scaler.load_state_dict({})


def test_autocast():
    x = nn.ones(2)
    for context in (nn.amp.autocast("cuda"), nn.cuda.amp.autocast(), nn.amp.autocast("cpu", enabled=False)):
        with context:
            assert (x * x).dtype == np.float32
    assert nn.cuda.amp.autocast(enabled=False)(lambda: 3)() == 3
    with pytest.raises(RuntimeError, match="autocast: there is no arithmetic in float16"):
        nn.amp.autocast("cpu")
    with pytest.raises(RuntimeError, match="autocast: expected one of cpu, cuda"):
        nn.amp.autocast("gpu")
    assert not nn.amp.is_autocast_available("cpu")

"""L-BFGS by its losses, and Muon on matrices, step by step against torch.optim."""

import numpy as np
import pytest
import torch

import nn
from nn.optim import muon


def rosenbrock(x, y):
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


def losses(optimizer, loss, steps):
    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return [optimizer.step(closure).item() for _ in range(steps)]


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize(
    "options", [{}, {"lr": 0.1, "max_iter": 5}, {"history_size": 2, "max_iter": 7}, {"max_eval": 3}], ids=str
)
def test_lbfgs_equals_torch(search, options, rng):
    """A least-squares fit of a small network; parameters of two shapes."""
    x, y = rng.standard_normal((12, 3)), rng.standard_normal((12, 2))
    start = rng.standard_normal((3, 2)), rng.standard_normal(2)
    ours, theirs = [nn.Parameter(a.copy()) for a in start], [torch.nn.Parameter(torch.tensor(a)) for a in start]
    mine = nn.optim.LBFGS(ours, line_search_fn=search, **options)
    twin = torch.optim.LBFGS(theirs, line_search_fn=search, **options)

    def loss(library, w, b):
        return ((library.tensor(x) @ w + b - library.tensor(y)) ** 2).mean()

    found = losses(mine, lambda: loss(nn, *ours), 4)
    expected = losses(twin, lambda: loss(torch, *theirs), 4)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-7)
    counts = [each.state_dict()["state"][0][key] for each in (mine, twin) for key in ("func_evals", "n_iter")]
    assert counts[:2] == counts[2:]


def test_lbfgs_finds_the_minimum_of_a_valley():
    p, q = nn.Parameter(np.array([-1.0, 2.0])), torch.nn.Parameter(torch.tensor([-1.0, 2.0], dtype=torch.float64))
    mine = nn.optim.LBFGS([p], line_search_fn="strong_wolfe")
    twin = torch.optim.LBFGS([q], line_search_fn="strong_wolfe")
    found = losses(mine, lambda: rosenbrock(p[0], p[1]), 3)
    expected = losses(twin, lambda: rosenbrock(q[0], q[1]), 3)
    np.testing.assert_allclose(found[:2], expected[:2], rtol=1e-6)
    np.testing.assert_allclose(p.tolist(), [1.0, 1.0], rtol=1e-6)


@pytest.mark.parametrize("source", ["nn", "torch"])
def test_lbfgs_continues_from_a_saved_state(source, rng):
    a = rng.standard_normal((4, 4))
    start = rng.standard_normal(4)
    p, q = nn.Parameter(start.copy()), torch.nn.Parameter(torch.tensor(start))
    options = {"max_iter": 3, "lr": 0.1}
    mine, twin = nn.optim.LBFGS([p], **options), torch.optim.LBFGS([q], **options)
    losses(mine, lambda: ((nn.tensor(a) @ p) ** 2).sum(), 2)
    losses(twin, lambda: ((torch.tensor(a) @ q) ** 2).sum(), 2)
    other = nn.Parameter(p.detach().clone())
    resumed = nn.optim.LBFGS([other], **options)
    resumed.load_state_dict((mine if source == "nn" else twin).state_dict())
    found = losses(resumed, lambda: ((nn.tensor(a) @ other) ** 2).sum(), 2)
    expected = losses(twin, lambda: ((torch.tensor(a) @ q) ** 2).sum(), 2)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_lbfgs_stops_at_a_minimum_and_takes_one_group():
    p = nn.Parameter([0.0])
    optimizer = nn.optim.LBFGS([p])
    assert losses(optimizer, lambda: (p * p).sum(), 1) == [0.0]
    with pytest.raises(ValueError, match="LBFGS: takes one parameter group only"):
        optimizer.add_param_group({"params": [nn.Parameter([1.0])]})
    with pytest.raises(ValueError, match="LBFGS: line_search_fn must be None or 'strong_wolfe', got 'other'"):
        nn.optim.LBFGS([p], line_search_fn="other")


MUON = [{}, {"nesterov": False, "weight_decay": 0.0}, {"adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}]


def matrices(rng, options, steps=5, dtype=np.float64):
    """Parameters after steps of Muon on both libraries, with the same gradients."""
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((6, 4), (3, 8), (5, 5))]
    ours, theirs = [nn.Parameter(a.copy()) for a in arrays], [torch.nn.Parameter(torch.tensor(a)) for a in arrays]
    mine, twin = nn.optim.Muon(ours, lr=0.1, **options), torch.optim.Muon(theirs, lr=0.1, **options)
    for _ in range(steps):
        for p, q in zip(ours, theirs, strict=True):
            g = rng.standard_normal(p.shape).astype(dtype)
            p.grad, q.grad = nn.Tensor(g.copy()), torch.tensor(g)
        mine.step()
        twin.step()
    return zip(ours, theirs, strict=True)


@pytest.mark.parametrize("options", MUON, ids=str)
def test_muon_equals_torch_in_the_precision_of_bfloat16(options, rng):
    for p, q in matrices(rng, options, dtype=np.float32):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), atol=0.1 * 5 * 2**-6)


@pytest.mark.parametrize("options", MUON, ids=str)
def test_muon_equals_torch_without_rounding(options, rng, monkeypatch):
    monkeypatch.setattr(muon, "rounded", lambda x: x)
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    for p, q in matrices(rng, options):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_rounding_to_bfloat16(rng):
    x = (rng.standard_normal(1000) * 10.0 ** rng.integers(-20, 20, 1000)).astype(np.float32)
    x = np.concatenate([x, np.float32([0, 1 + 2**-8, 1 + 3 * 2**-8, np.inf])])  # the second and third are ties
    np.testing.assert_array_equal(muon.rounded(x), torch.tensor(x).bfloat16().float().numpy())


def test_muon_refuses_other_shapes_and_options():
    with pytest.raises(ValueError, match=r"Muon: parameters must be matrices, got shape \(3,\)"):
        nn.optim.Muon([nn.Parameter(np.ones(3))])
    with pytest.raises(ValueError, match="Muon: adjust_lr_fn must be one of .*, got 'other'"):
        nn.optim.Muon([nn.Parameter(np.ones((3, 3)))], adjust_lr_fn="other")
    with pytest.raises(ValueError, match="Muon: ns_steps must be below 100, got 100"):
        nn.optim.Muon([nn.Parameter(np.ones((3, 3)))], ns_steps=100)

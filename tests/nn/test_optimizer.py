"""Optimisers that a user writes, as PyTorch's tutorials write them; hooks; arguments of PyTorch's signatures."""

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch

import nn


def sgd(library, base):
    """The same optimiser on either library: momentum, by assignments through ``.data``."""

    class Momentum(base):
        def __init__(self, params, lr=0.1, momentum=0.9):
            super().__init__(params, {"lr": lr, "momentum": momentum, "name": "plain", "callback": None})

        def step(self, closure=None):
            loss = None
            if closure is not None:
                with library.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p]
                    if len(state) == 0:
                        state["step"] = 0
                        state["buffer"] = p.grad.data * 0
                        state["norms"] = []
                    state["step"] += 1
                    state["buffer"].mul_(group["momentum"]).add_(p.grad.data)
                    state["norms"].append(float((p.grad.data * p.grad.data).sum()))
                    p.data.add_(state["buffer"], alpha=-group["lr"])
            return loss

    return Momentum


STATES = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"]
STATES += ["Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop", "Adafactor"]
OURS, THEIRS = sgd(nn, nn.optim.Optimizer), sgd(torch, torch.optim.Optimizer)


def problem(rng):
    start, x = rng.standard_normal((3, 2)), rng.standard_normal((5, 3))
    return nn.Parameter(start.copy()), torch.nn.Parameter(torch.tensor(start)), x


def train(w, optimizer, x, steps):
    """The losses of steps on a quadratic, by closures."""

    def closure():
        optimizer.zero_grad()
        loss = ((x @ w) * (x @ w)).mean()
        loss.backward()
        return loss

    return [optimizer.step(closure).item() for _ in range(steps)]


def test_an_optimizer_with_its_own_step_equals_torch(rng):
    w, v, x = problem(rng)
    ours = train(w, OURS([{"params": [w], "lr": 0.05}]), nn.tensor(x), 6)
    theirs = train(v, THEIRS([{"params": [v], "lr": 0.05}]), torch.tensor(x), 6)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_allclose(w.detach().numpy(), v.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("source", ["nn", "torch"])
def test_its_state_is_saved_and_loaded(source, rng):
    w, v, x = problem(rng)
    optimizer, twin = OURS([w]), THEIRS([v])
    train(w, optimizer, nn.tensor(x), 3)
    train(v, twin, torch.tensor(x), 3)
    saved = (optimizer if source == "nn" else twin).state_dict()
    assert saved["param_groups"][0]["name"] == "plain" and saved["param_groups"][0]["callback"] is None
    other = nn.Parameter(w.detach().clone())
    resumed = OURS([other], lr=7.0)
    resumed.load_state_dict(saved)
    state = resumed.state[other]
    assert state["step"] == 3 and len(state["norms"]) == 3 and isinstance(state["buffer"], nn.Tensor)
    assert state["buffer"] is not optimizer.state[w]["buffer"]
    ours, theirs = train(other, resumed, nn.tensor(x), 3), train(v, twin, torch.tensor(x), 3)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_state_that_belongs_to_no_parameter_is_kept(rng):
    w, _, _ = problem(rng)
    optimizer = OURS([w])
    optimizer.state["global"] = {"k": 3}
    saved = optimizer.state_dict()
    assert saved["state"] == {"global": {"k": 3}}
    other = OURS([w])
    other.load_state_dict(saved)
    assert other.state["global"] == {"k": 3}


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))])
def test_copies(duplicate, rng):
    w, _, x = problem(rng)
    optimizer = nn.optim.Adam([w], lr=0.1)
    train(w, optimizer, nn.tensor(x), 2)
    other = duplicate(optimizer)
    v = other.param_groups[0]["params"][0]
    assert v is not w and v in other.state
    ours, theirs = train(w, optimizer, nn.tensor(x), 2), train(v, other, nn.tensor(x), 2)
    assert ours == theirs
    other.register_step_pre_hook(lambda *arguments: None)


def test_a_required_option():
    required = nn.optim.optimizer.required

    class Needs(nn.optim.Optimizer):
        def __init__(self, params, lr=required):
            super().__init__(params, {"lr": lr})

    w = nn.Parameter([1.0])
    assert Needs([{"params": [w], "lr": 2}]).param_groups[0]["lr"] == 2
    with pytest.raises(ValueError, match="Needs: a parameter group needs the option lr"):
        Needs([w])
    with pytest.raises(NotImplementedError, match="Needs: an optimiser needs step"):
        Needs([w], lr=1).step()


def test_parameters_with_names():
    model, twin = nn.Linear(2, 3), torch.nn.Linear(2, 3)
    optimizer, other = nn.optim.SGD(model.named_parameters()), torch.optim.SGD(twin.named_parameters())
    names = [each.state_dict()["param_groups"][0]["param_names"] for each in (optimizer, other)]
    assert names[0] == names[1] == ["weight", "bias"]
    with pytest.raises(ValueError, match="SGD: either all parameter groups have names or none"):
        optimizer.add_param_group({"params": [nn.Parameter([1.0])]})
    with pytest.raises(ValueError, match="SGD: either all parameters have names or none, got 1 names"):
        nn.optim.SGD([("a", nn.Parameter([1.0])), nn.Parameter([1.0])])


@pytest.mark.parametrize("library", [nn, torch])
def test_hooks(library):
    w = library.nn.Parameter(torch.ones(1)) if library is torch else nn.Parameter([1.0])
    events = []
    optimizer = library.optim.SGD([w], lr=0.5)
    optimizer.step()
    hook = optimizer.register_step_pre_hook(lambda o, args, kwargs: events.append(("before", args == (o,), kwargs)))
    optimizer.register_step_post_hook(lambda o, args, kwargs: events.append(("after", args == (o,), kwargs)))
    optimizer.step()
    assert events == [("before", True, {}), ("after", True, {})]
    hook.remove()
    optimizer.step()
    assert len(events) == 3
    library.optim.SGD([w], lr=0.5).step()
    assert len(events) == 3
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    optimizer.register_state_dict_pre_hook(lambda o: events.append("last"))
    optimizer.register_state_dict_pre_hook(lambda o: events.append("first"), prepend=True)
    saved = optimizer.state_dict()
    assert saved["more"] == 1 and events[3:] == ["first", "last"]

    def doubled(optimizer, state_dict):
        group = {**state_dict["param_groups"][0], "lr": 1.0}
        return {**state_dict, "param_groups": [group]}

    optimizer.register_load_state_dict_pre_hook(doubled)
    optimizer.register_load_state_dict_post_hook(lambda o: events.append(o.param_groups[0]["lr"]))
    optimizer.load_state_dict(saved)
    assert events[-1] == 1.0


def test_a_pre_hook_replaces_the_arguments():
    w = nn.Parameter([1.0])
    optimizer = nn.optim.SGD([w], lr=0.5)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: "replaced"), {}))
    assert optimizer.step() == "replaced"
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match=r"step: a pre-hook must return None or \(args, kwargs\), got 3"):
        optimizer.step()


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "NAdam", "Rprop"])
def test_implementations_of_torch_may_be_named(name):
    w = nn.Parameter([1.0])
    optimizer = getattr(nn.optim, name)([w], foreach=True)
    assert "foreach" not in optimizer.state_dict()["param_groups"][0]
    with pytest.raises(ValueError, match=f"{name}: differentiable=True is not available"):
        getattr(nn.optim, name)([w], differentiable=True)


def test_zero_grad_detaches_a_recorded_gradient():
    w = nn.Parameter([3.0])
    (w * w).sum().backward(create_graph=True)
    gradient = w.grad
    nn.optim.SGD([w]).zero_grad(set_to_none=False)
    assert w.grad.tolist() == [0.0] and not w.grad.requires_grad
    assert gradient.grad_fn is not None


@pytest.mark.parametrize("name", STATES)
def test_torch_continues_from_a_saved_state(name, rng):
    start, g = rng.standard_normal((2, 3, 2))
    p, q = nn.Parameter(start.copy()), torch.nn.Parameter(torch.empty(3, 2, dtype=torch.float64))
    optimizer = getattr(nn.optim, name)([p], lr=0.01)
    p.grad = nn.tensor(g)
    for _ in range(3):
        optimizer.step()
    saved = optimizer.state_dict()
    for state in saved["state"].values():
        state |= {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in state.items()}
    q.data = torch.tensor(p.array)
    twin = getattr(torch.optim, name)([q])
    twin.load_state_dict(saved)
    q.grad = torch.tensor(g)
    for each in (optimizer, twin):
        each.step()
    np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=1e-12)


OURS_AND_TORCHS = [
    *[(nn.optim, torch.optim, name) for name in (*STATES, "LBFGS", "Muon", "Optimizer")],
    *[
        (nn.optim.lr_scheduler, torch.optim.lr_scheduler, name)
        for name, kind in vars(torch.optim.lr_scheduler).items()
        if name.endswith(("LR", "Scheduler", "Plateau", "Restarts")) and name[0] != "_"
    ],
    *[(nn.optim.swa_utils, torch.optim.swa_utils, name) for name in torch.optim.swa_utils.__all__],
]


def parameters(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(("ours", "theirs", "name"), OURS_AND_TORCHS, ids=[name for *_, name in OURS_AND_TORCHS])
def test_signatures_equal_torchs(ours, theirs, name):
    mine, other = getattr(ours, name), getattr(theirs, name)
    assert parameters(mine) == parameters(other)
    for method in ("step", "zero_grad", "add_param_group", "update_parameters", "get_last_lr"):
        if hasattr(other, method):
            assert parameters(getattr(mine, method)) == parameters(getattr(other, method)), method

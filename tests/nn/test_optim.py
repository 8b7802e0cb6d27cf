"""Optimisers, step by step against torch.optim in float64."""

import copy
import itertools
import json

import numpy as np
import pytest
import torch

import kernels
import nn
from nn.optim import updates

SHAPES = [(4, 3), (5,), (2, 3, 2), ()]

NAMES = [
    *("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"),
    *("Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop", "Adafactor"),
]


def options(**values):
    """Every combination of the values of each option."""
    return [dict(zip(values, choice, strict=True)) for choice in itertools.product(*values.values())]


CASES = [
    *[
        ("SGD", o)
        for o in options(
            momentum=[0, 0.9], dampening=[0, 0.3], weight_decay=[0, 0.1], nesterov=[False, True], maximize=[False, True]
        )
        if not o["nesterov"] or (o["momentum"] and not o["dampening"])
    ],
    *[
        (name, o)
        for name in ("Adam", "AdamW")
        for o in options(weight_decay=[0, 0.1], amsgrad=[False, True], maximize=[False, True], betas=[(0.8, 0.95)])
    ],
    *[
        ("RMSprop", o)
        for o in options(weight_decay=[0, 0.1], momentum=[0, 0.9], centered=[False, True], maximize=[False, True])
    ],
    *[
        ("Adagrad", o)
        for o in options(
            lr_decay=[0, 0.2], weight_decay=[0, 0.1], initial_accumulator_value=[0, 0.5], maximize=[False, True]
        )
    ],
    *[("Adadelta", o) for o in options(rho=[0.9, 0.5], weight_decay=[0, 0.1], maximize=[False, True])],
    *[("Adamax", o) for o in options(betas=[(0.8, 0.95)], weight_decay=[0, 0.1], maximize=[False, True])],
    *[
        (name, o)
        for name in ("NAdam", "RAdam")
        for o in options(
            betas=[(0.8, 0.95), (0.5, 0.6)],
            weight_decay=[0, 0.1],
            decoupled_weight_decay=[False, True],
            maximize=[False, True],
        )
    ],
    *[
        ("ASGD", o)
        for o in options(lambd=[1e-4, 0.1], t0=[1e6, 4], weight_decay=[0, 0.1], maximize=[False, True], lr=[0.1])
    ],
    *[("Rprop", o) for o in options(etas=[(0.5, 1.2), (0.25, 2)], step_sizes=[(1e-6, 50), (0.01, 0.02)], lr=[0.1])],
    ("Rprop", {"maximize": True}),
    *[
        ("Adafactor", o)
        for o in options(
            eps=[(None, 1e-3), (0.5, 2.0)], d=[1.0, 1.5], weight_decay=[0, 0.1], maximize=[False, True], lr=[0.01, 2.0]
        )
    ],
    *[(name, {}) for name in NAMES],
    ("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.1}),
]


def case_id(case):
    name, chosen = case
    return "-".join([name, *(k if v is True else f"{k}={v}" for k, v in chosen.items() if v not in (0, False))])


def pair(rng, dtype=np.float64):
    """The same parameters for both libraries."""
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    return [nn.Parameter(a.copy()) for a in arrays], [torch.nn.Parameter(torch.tensor(a)) for a in arrays]


def set_gradients(rng, ours, theirs, without=()):
    """The same gradients for both; none for the parameters whose numbers are in `without`."""
    for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
        if i in without:
            p.grad = q.grad = None
        else:
            g = rng.standard_normal(p.shape).astype(p.dtype)
            p.grad, q.grad = nn.Tensor(g.copy()), torch.tensor(g)


def assert_same(ours, theirs, rtol=1e-12, atol=1e-14):
    for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
        np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=rtol, atol=atol, err_msg=f"parameter {i}")


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_twenty_steps_equal_torch(case, rng):
    name, chosen = case
    ours, theirs = pair(rng)
    optimizer = getattr(nn.optim, name)(ours, **chosen)
    twin = getattr(torch.optim, name)(theirs, **chosen)
    for step in range(20):
        # Parameter 1 has its first gradient late, parameter 2 none for a while: their step counts differ from the rest.
        set_gradients(rng, ours, theirs, without=[i for i, idle in ((1, step < 3), (2, 5 <= step < 9)) if idle])
        optimizer.step()
        twin.step()
        assert_same(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32_and_equals_torch(name, rng):
    chosen = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
    ours, theirs = pair(rng, np.float32)
    optimizer, twin = getattr(nn.optim, name)(ours, **chosen), getattr(torch.optim, name)(theirs, **chosen)
    for _ in range(20):
        set_gradients(rng, ours, theirs)
        optimizer.step()
        twin.step()
    assert all(p.dtype == np.float32 for p in ours)
    assert_same(ours, theirs, rtol=1e-4, atol=1e-6)


def test_groups_have_their_own_options_and_can_be_added(rng):
    ours, theirs = pair(rng)
    optimizer = nn.optim.AdamW([{"params": ours[:2], "lr": 0.1}, {"params": ours[2]}], lr=0.01)
    twin = torch.optim.AdamW([{"params": theirs[:2], "lr": 0.1}, {"params": theirs[2]}], lr=0.01)
    for step in range(6):
        if step == 3:
            optimizer.add_param_group({"params": ours[3:], "weight_decay": 0.5})
            twin.add_param_group({"params": theirs[3:], "weight_decay": 0.5})
        set_gradients(rng, ours, theirs)
        optimizer.step()
        twin.step()
    assert_same(ours, theirs)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.01, 0.01]


@pytest.mark.parametrize("name", NAMES)
def test_options_changed_during_training_take_effect(name, rng):
    ours, theirs = pair(rng)
    optimizer, twin = getattr(nn.optim, name)(ours, lr=0.1), getattr(torch.optim, name)(theirs, lr=0.1)
    for step in range(4):
        for o in (optimizer, twin):
            o.param_groups[0]["lr"] = 0.1 / (step + 1)
        set_gradients(rng, ours, theirs)
        optimizer.step()
        twin.step()
    assert_same(ours, theirs)


def test_one_kernel_call_for_each_step_count(monkeypatch, rng):
    calls = []
    kernel = kernels.adam

    def counted(params, *arrays, step, **options):
        calls.append((len(params), step))
        kernel(params, *arrays, step=step, **options)

    monkeypatch.setattr(kernels, "adam", counted)
    ours, theirs = pair(rng)
    optimizer = nn.optim.Adam(ours)
    set_gradients(rng, ours, theirs)
    optimizer.step()
    set_gradients(rng, ours, theirs, without=[1])
    optimizer.step()
    set_gradients(rng, ours, theirs)
    optimizer.step()
    assert calls == [(4, 1), (3, 2), (3, 3), (1, 2)]


def test_parameter_without_gradient_is_unchanged(rng):
    ours, theirs = pair(rng)
    before = ours[1].array.copy()
    optimizer = nn.optim.AdamW(ours, weight_decay=0.5)
    set_gradients(rng, ours, theirs, without=[1])
    optimizer.step()
    np.testing.assert_array_equal(ours[1].array, before)
    assert ours[1] not in optimizer.state


def test_step_without_any_gradient_changes_nothing(rng):
    ours, _ = pair(rng)
    before = [p.array.copy() for p in ours]
    nn.optim.SGD(ours, lr=1.0, weight_decay=1.0).step()
    for p, old in zip(ours, before, strict=True):
        np.testing.assert_array_equal(p.array, old)


def test_zero_grad(rng):
    ours, theirs = pair(rng)
    optimizer = nn.optim.SGD(ours)
    set_gradients(rng, ours, theirs, without=[1])
    optimizer.zero_grad(set_to_none=False)
    assert ours[1].grad is None
    assert all((p.grad.array == 0).all() for i, p in enumerate(ours) if i != 1)
    optimizer.zero_grad()
    assert all(p.grad is None for p in ours)


def test_closure_is_evaluated_with_the_tape_and_its_loss_returned():
    w = nn.Parameter(np.array([3.0]))
    optimizer = nn.optim.SGD([w], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with nn.no_grad():
        assert optimizer.step(closure).item() == 9.0
    assert w.item() == 0.0


def test_backward_through_parameters_that_were_updated_meanwhile_is_an_error():
    w = nn.Parameter(np.array([3.0]))
    loss = (w * w).sum()
    w.grad = nn.Tensor(np.array([1.0]))
    nn.optim.SGD([w], lr=0.5).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


# --- numbers, layouts and errors of a step ----------------------------------------------------------------------------

EVERY = {
    "SGD": {"lr": 0.125, "momentum": 0.5, "dampening": 0.25, "weight_decay": 0.125, "maximize": True},
    "Adam": {"lr": 0.125, "betas": (0.5, 0.75), "eps": 2**-20, "weight_decay": 0.125, "amsgrad": True},
    "AdamW": {"lr": 0.125, "betas": (0.5, 0.75), "eps": 2**-20, "weight_decay": 0.125},
    "RMSprop": {"lr": 0.125, "alpha": 0.75, "eps": 2**-20, "weight_decay": 0.125, "momentum": 0.5, "centered": True},
    "Adagrad": {"lr": 0.125, "lr_decay": 0.25, "weight_decay": 0.125, "initial_accumulator_value": 0.5, "eps": 2**-20},
    "Adadelta": {"lr": 0.125, "rho": 0.75, "eps": 2**-20, "weight_decay": 0.125, "maximize": True},
    "Adamax": {"lr": 0.125, "betas": (0.5, 0.75), "eps": 2**-20, "weight_decay": 0.125},
    "NAdam": {"lr": 0.125, "betas": (0.5, 0.75), "eps": 2**-20, "weight_decay": 0.125, "momentum_decay": 0.125},
    "RAdam": {"lr": 0.125, "betas": (0.5, 0.75), "eps": 2**-20, "weight_decay": 0.125, "decoupled_weight_decay": True},
    "ASGD": {"lr": 0.125, "lambd": 0.125, "alpha": 0.5, "t0": 2.0, "weight_decay": 0.125},
    "Adafactor": {"lr": 0.125, "beta2_decay": -0.5, "eps": (2**-10, 0.125), "d": 1.5, "weight_decay": 0.125},
}


@pytest.mark.parametrize("kind", ["float32", "float64", "array", "array of one", "tensor", "torch"])
@pytest.mark.parametrize("name", EVERY)
def test_options_that_are_not_python_numbers(name, kind, rng):
    def other(value):
        if isinstance(value, tuple):
            return tuple(map(other, value))
        if isinstance(value, bool):
            return np.bool_(value)
        return {
            "float32": np.float32,
            "float64": np.float64,
            "array": np.array,
            "array of one": lambda v: np.array([v], np.float32),
            "tensor": nn.tensor,
            "torch": torch.tensor,
        }[kind](value)

    ours, theirs = pair(rng)
    optimizer = getattr(nn.optim, name)(ours, **{key: other(value) for key, value in EVERY[name].items()})
    twin = getattr(torch.optim, name)(theirs, **EVERY[name])
    for _ in range(3):
        set_gradients(rng, ours, theirs)
        optimizer.step()
        twin.step()
    assert_same(ours, theirs)
    saved = optimizer.state_dict()
    groups = json.loads(json.dumps(saved["param_groups"]))
    assert groups[0]["lr"] == 0.125
    resumed = getattr(nn.optim, name)(ours, **EVERY[name])
    resumed.load_state_dict({"state": saved["state"], "param_groups": groups})
    set_gradients(rng, ours, theirs)
    resumed.step()
    twin.step()
    assert_same(ours, theirs)


@pytest.mark.parametrize("name", EVERY)
def test_a_rate_that_is_a_tensor_is_read_at_every_step(name, rng):
    ours, theirs = pair(rng)
    rate = nn.tensor(np.array(0.1))
    optimizer, twin = getattr(nn.optim, name)(ours, lr=rate), getattr(torch.optim, name)(theirs, lr=0.1)
    for value in (0.1, 0.5, 0.0, 0.25):
        rate.fill_(value)
        twin.param_groups[0]["lr"] = value
        set_gradients(rng, ours, theirs)
        optimizer.step()
        twin.step()
    assert_same(ours, theirs)


def test_betas_may_be_an_array(rng):
    ours, theirs = pair(rng)
    optimizer, twin = nn.optim.Adam(ours, betas=np.array([0.5, 0.75])), torch.optim.Adam(theirs, betas=(0.5, 0.75))
    set_gradients(rng, ours, theirs)
    optimizer.step()
    twin.step()
    assert_same(ours, theirs)
    assert json.dumps(optimizer.state_dict()["param_groups"][0]["betas"]) == "[0.5, 0.75]"


LAYOUTS = {
    "transposed": lambda base: base.T,
    "every second": lambda base: base[:, ::2],
    "backwards": lambda base: base[::-1],
    "a column": lambda base: base[:, 1],
    "permuted": lambda base: base.reshape(2, 2, 6).transpose(1, 2, 0),
    "an element": lambda base: base[1, 2, ...],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", EVERY)
def test_parameters_that_are_not_contiguous(name, layout, rng):
    start = rng.standard_normal((4, 6))
    memory = start.copy()
    view = LAYOUTS[layout](memory)
    p, q = nn.Parameter(0.0), torch.nn.Parameter(torch.tensor(view.copy()))
    p.array = view
    plain = nn.Parameter(view.copy())  # in the same call
    optimizer, twin = getattr(nn.optim, name)([p, plain], **EVERY[name]), getattr(torch.optim, name)([q], **EVERY[name])
    for step in range(4):
        g = rng.standard_normal(view.shape)
        p.grad, plain.grad, q.grad = nn.Tensor(g), nn.Tensor(np.array(g, order="F")), torch.tensor(g)
        if step == 2:  # a state with the same strides as the parameter
            saved = copy.deepcopy(optimizer.state_dict())
            for state in saved["state"].values():
                state |= {k: np.array(v, order="F") for k, v in state.items() if isinstance(v, np.ndarray)}
            optimizer.load_state_dict(saved)
            for state in optimizer.state.values():
                state |= {k: np.array(v, order="F") for k, v in state.items() if isinstance(v, np.ndarray)}
        optimizer.step()
        twin.step()
    assert p.array is view
    assert_same([p, plain], [q, q])
    changed = np.zeros((4, 6), bool)
    LAYOUTS[layout](changed)[...] = True
    np.testing.assert_array_equal(memory[~changed], start[~changed])


def test_parameters_of_both_dtypes_in_one_group(rng):
    ours, theirs = pair(rng)
    single, twins = pair(rng, np.float32)
    optimizer, twin = nn.optim.Adam(ours + single), torch.optim.Adam(theirs + twins)
    for _ in range(3):
        set_gradients(rng, ours + single, theirs + twins)
        optimizer.step()
        twin.step()
    assert_same(ours, theirs)
    assert_same(single, twins, rtol=1e-5, atol=1e-6)


def _spoil_shape(p, optimizer):
    p.grad = nn.Tensor(np.ones(7))


def _spoil_dtype(p, optimizer):
    p.grad = nn.Tensor(np.ones(p.shape, np.float32))


def _spoil_memory(p, optimizer):
    p.array.flags.writeable = False


def _spoil_integer(p, optimizer):
    p.array, p.grad = p.array.astype(np.int64), nn.Tensor(np.ones(p.shape, np.int64))


def _spoil_state(p, optimizer):
    for key, value in optimizer.state[p].items():
        if isinstance(value, np.ndarray):
            optimizer.state[p][key] = value.astype(np.float32)


def _spoil_twice(p, optimizer):
    other = optimizer.param_groups[1]["params"][0]
    p.array, p.grad = other.array, other.grad


def _spoil_rate(p, optimizer):
    optimizer.param_groups[1]["lr"] = -1.0


def _spoil_rates(p, optimizer):
    optimizer.param_groups[1]["lr"] = np.ones(2)


def _spoil_kind(p, optimizer):
    optimizer.param_groups[1]["weight_decay"] = "0.1"


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (_spoil_shape, ValueError, r"the gradient of a parameter of shape \(2, 3, 2\) has shape \(7,\)"),
        (_spoil_dtype, TypeError, "the gradient of a parameter of float64 is float32"),
        (_spoil_memory, ValueError, r"the parameter of a parameter of shape \(2, 3, 2\) is read-only"),
        (_spoil_integer, TypeError, "parameters must be float32 or float64, got int64"),
        (_spoil_state, TypeError, "of a parameter of float64 is float32"),
        (_spoil_twice, ValueError, "two parameters share one array|the .* of a parameter of shape"),
        (_spoil_rate, ValueError, "lr must be at least 0, got -1"),
        (_spoil_rates, ValueError, r"lr must be one number, got shape \(2,\)"),
        (_spoil_kind, TypeError, "weight_decay must be a number, got str"),
    ],
)
@pytest.mark.parametrize("name", EVERY)
def test_a_step_that_raises_changes_nothing(name, spoil, error, message, rng):
    ours, theirs = pair(rng)
    optimizer = getattr(nn.optim, name)([{"params": ours[:1]}, {"params": ours[1:]}], **EVERY[name])
    set_gradients(rng, ours, theirs, without=[1])
    optimizer.step()
    set_gradients(rng, ours, theirs)
    spoil(ours[2], optimizer)
    values = [p.array.copy() for p in ours]
    state = copy.deepcopy(optimizer.state_dict()["state"])
    versions = [p._memory.version for p in ours]
    with pytest.raises(error, match=f"{name}: .*(?:{message})"):
        optimizer.step()
    for p, value in zip(ours, values, strict=True):
        np.testing.assert_array_equal(p.array, value)
    after = optimizer.state_dict()["state"]
    assert after.keys() == state.keys() and 1 not in after
    for number, arrays in state.items():
        assert after[number].keys() == arrays.keys()
        for key, value in arrays.items():
            np.testing.assert_array_equal(after[number][key], value)
    assert [p._memory.version for p in ours] == versions


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lr": None}, TypeError, "Adam: lr must be a number, got NoneType"),
        ({"lr": "0.1"}, TypeError, "Adam: lr must be a number, got str"),
        ({"lr": 1j}, TypeError, "Adam: lr must be a number, got complex"),
        ({"lr": np.ones(2)}, ValueError, r"Adam: lr must be one number, got shape \(2,\)"),
        ({"lr": nn.tensor(-0.5)}, ValueError, "Adam: lr must be at least 0, got -0.5"),
        ({"betas": 0.9}, ValueError, r"Adam: betas must be two numbers in \[0, 1\), got 0.9"),
        ({"betas": (0.9,)}, ValueError, r"Adam: betas must be two numbers in \[0, 1\), got \(0.9,\)"),
        ({"betas": (0.9, np.float32(1))}, ValueError, r"Adam: betas must be two numbers in \[0, 1\)"),
    ],
)
def test_options_that_are_not_numbers(options, error, message):
    with pytest.raises(error, match=message):
        nn.optim.Adam([nn.Parameter([1.0])], **options)


# --- saving and loading -----------------------------------------------------------------------------------------------

STATEFUL = [
    ("SGD", {"momentum": 0.9}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adagrad", {"initial_accumulator_value": 0.1}),
    *[(name, {}) for name in ("Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop", "Adafactor")],
]


@pytest.mark.parametrize("source", ["nn", "torch"])
@pytest.mark.parametrize(("name", "chosen"), STATEFUL, ids=[name for name, _ in STATEFUL])
def test_training_continues_from_a_saved_state(name, chosen, source, rng):
    ours, theirs = pair(rng)
    optimizer = getattr(nn.optim, name)(ours, lr=0.1, **chosen)
    twin = getattr(torch.optim, name)(theirs, lr=0.1, **chosen)
    for step in range(3):
        set_gradients(rng, ours, theirs, without=[1] if step < 2 else [])
        optimizer.step()
        twin.step()
    resumed = [nn.Parameter(p.array.copy()) for p in ours]
    other = getattr(nn.optim, name)(resumed, **chosen)
    other.load_state_dict((optimizer if source == "nn" else twin).state_dict())
    assert other.param_groups[0]["lr"] == 0.1
    for _ in range(3):
        set_gradients(rng, resumed, theirs)
        other.step()
        twin.step()
    assert_same(resumed, theirs)


@pytest.mark.parametrize(("name", "chosen"), STATEFUL, ids=[name for name, _ in STATEFUL])
def test_loading_copies_the_arrays(name, chosen, rng):
    ours, theirs = pair(rng)
    optimizer = getattr(nn.optim, name)(ours, **chosen)
    set_gradients(rng, ours, theirs)
    optimizer.step()
    saved = optimizer.state_dict()
    before = copy.deepcopy(saved)
    other = getattr(nn.optim, name)(ours, **chosen)
    other.load_state_dict(saved)
    set_gradients(rng, ours, theirs)
    other.step()
    for number, state in before["state"].items():
        for key, value in state.items():
            np.testing.assert_array_equal(saved["state"][number][key], value)


def test_adamw_that_loads_adams_state_still_decouples(rng):
    ours, _ = pair(rng)
    optimizer = nn.optim.AdamW(ours)
    optimizer.load_state_dict(nn.optim.Adam(ours).state_dict())
    assert optimizer.param_groups[0]["decoupled_weight_decay"] is True


def test_a_state_that_does_not_match_raises_and_changes_nothing(rng):
    ours, theirs = pair(rng)
    optimizer = nn.optim.Adam(ours)
    set_gradients(rng, ours, theirs)
    optimizer.step()
    saved = optimizer.state_dict()
    reference = copy.deepcopy(saved)

    cases = {
        "numbers of parameter groups differ: the optimiser has 1, the state 2": lambda groups, state: groups.append({}),
        "sizes of parameter group 0 differ: the optimiser has 4, the state 3": lambda groups, state: groups[0][
            "params"
        ].pop(),
        r"parameter group 0 of the state lacks \['betas'\]": lambda groups, state: groups[0].pop("betas"),
        "lr must be at least 0, got -1": lambda groups, state: groups[0].update(lr=-1),
        "the state has parameter 9": lambda groups, state: state.update({9: {"step": 1}}),
        r"shapes of exp_avg of parameter 2 differ: the parameter is \(2, 3, 2\), the state \(7,\)": (
            lambda groups, state: state[2].update(exp_avg=np.zeros(7))
        ),
    }
    for message, change in cases.items():
        broken = copy.deepcopy(saved)
        change(broken["param_groups"], broken["state"])
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(broken)
        assert optimizer.state_dict()["param_groups"] == reference["param_groups"]
        for number, state in reference["state"].items():
            for key, value in state.items():
                np.testing.assert_array_equal(optimizer.state_dict()["state"][number][key], value)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "chosen", "message"),
    [
        ("SGD", {"lr": -1.0}, "SGD: lr must be at least 0, got -1.0"),
        ("SGD", {"lr": float("nan")}, "SGD: lr must be at least 0, got nan"),
        ("SGD", {"momentum": -0.5}, "SGD: momentum must be at least 0, got -0.5"),
        ("SGD", {"weight_decay": -0.5}, "SGD: weight_decay must be at least 0, got -0.5"),
        (
            "SGD",
            {"nesterov": True},
            "SGD: nesterov needs a momentum and zero dampening, got momentum 0 and dampening 0",
        ),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "SGD: nesterov needs a momentum"),
        ("Adam", {"lr": -1.0}, "Adam: lr must be at least 0, got -1.0"),
        ("Adam", {"eps": -1.0}, "Adam: eps must be at least 0, got -1.0"),
        ("Adam", {"betas": (1.0, 0.9)}, r"Adam: betas must be two numbers in \[0, 1\), got \(1.0, 0.9\)"),
        ("AdamW", {"betas": (0.9, -0.1)}, r"AdamW: betas must be two numbers in \[0, 1\), got \(0.9, -0.1\)"),
        ("AdamW", {"weight_decay": -1}, "AdamW: weight_decay must be at least 0, got -1"),
        ("RMSprop", {"alpha": -1}, "RMSprop: alpha must be at least 0, got -1"),
        ("Adagrad", {"lr_decay": -1}, "Adagrad: lr_decay must be at least 0, got -1"),
        ("Adagrad", {"initial_accumulator_value": -1}, "Adagrad: initial_accumulator_value must be at least 0"),
        ("Adadelta", {"rho": 1.5}, r"Adadelta: rho must be in \[0, 1\], got 1.5"),
        ("Adamax", {"betas": (1.0, 0.9)}, r"Adamax: betas must be two numbers in \[0, 1\)"),
        ("NAdam", {"momentum_decay": -1}, "NAdam: momentum_decay must be at least 0, got -1"),
        ("RAdam", {"eps": -1.0}, "RAdam: eps must be at least 0, got -1.0"),
        ("ASGD", {"lr": -1.0}, "ASGD: lr must be at least 0, got -1.0"),
        ("Rprop", {"etas": (0.5, 0.9)}, r"Rprop: etas must be numbers in \(0, 1\) and above 1, got \(0.5, 0.9\)"),
        ("Adafactor", {"d": 0.5}, "Adafactor: d must be at least 1, got 0.5"),
        ("Adafactor", {"beta2_decay": 0.5}, "Adafactor: beta2_decay must be at most 0, got 0.5"),
        ("Adafactor", {"eps": (None, -1)}, "Adafactor: eps must be numbers of at least 0"),
        ("LBFGS", {"lr": -1.0}, "LBFGS: lr must be at least 0, got -1.0"),
    ],
)
def test_options_out_of_range(name, chosen, message):
    with pytest.raises(ValueError, match=message):
        getattr(nn.optim, name)([nn.Parameter([1.0])], **chosen)
    if "nan" not in message:  # torch raises as well, but accepts NaN
        with pytest.raises(ValueError):
            getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(1))], **chosen)


def test_a_group_with_an_option_out_of_range_is_not_added():
    optimizer = nn.optim.SGD([nn.Parameter([1.0])])
    with pytest.raises(ValueError, match="SGD: lr must be at least 0, got -1"):
        optimizer.add_param_group({"params": [nn.Parameter([1.0])], "lr": -1})
    assert len(optimizer.param_groups) == 1


def test_invalid_parameters():
    w = nn.Parameter([1.0])
    with pytest.raises(TypeError, match="SGD: params must be an iterable of Tensors or dicts, got a single Tensor"):
        nn.optim.SGD(w)
    with pytest.raises(ValueError, match="SGD: the parameter list is empty"):
        nn.optim.SGD([])
    with pytest.raises(TypeError, match="SGD: params must be Tensors, got ndarray"):
        nn.optim.SGD([np.ones(3)])
    with pytest.raises(TypeError, match="SGD: params must be ordered, got a set"):
        nn.optim.SGD([{"params": {w}}])
    with pytest.raises(ValueError, match=r"SGD: a parameter of shape \(1,\) is not a leaf"):
        nn.optim.SGD([w * 2])
    with pytest.raises(ValueError, match=r"SGD: a parameter of shape \(1,\) occurs more than once"):
        nn.optim.SGD([w, w])
    with pytest.raises(TypeError, match="SGD: a parameter group must be a dict, got list"):
        nn.optim.SGD([w]).add_param_group([nn.Parameter([1.0])])


def test_repr_lists_the_options_of_each_group():
    text = repr(nn.optim.SGD([nn.Parameter([1.0])], lr=0.25))
    assert text.startswith("SGD (\nParameter Group 0\n") and "    lr: 0.25\n" in text


@pytest.mark.parametrize("name", ["Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop"])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "maximize": True}])
def test_blocks_of_a_large_parameter(name, options, rng, monkeypatch):
    options = {} if name == "Rprop" else options
    start, gradients = rng.standard_normal((5, 9)), rng.standard_normal((8, 5, 9))
    results = []
    for block in (1000, 7):
        monkeypatch.setattr(updates, "BLOCK", block)
        x = nn.tensor(start, requires_grad=True)
        optimizer = getattr(nn.optim, name)([x], **options)
        for g in gradients:
            x.grad = nn.tensor(g)
            optimizer.step()
        results.append((x.tolist(), str(optimizer.state_dict())))
    assert results[0] == results[1]

"""Learning-rate schedules, epoch by epoch against torch.optim.lr_scheduler."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nn
from nn.optim.arguments import as_number
from nn.optim.lr_scheduler import StepLR

SCHEDULES = {
    "lambda": ("LambdaLR", {"lr_lambda": lambda epoch: 0.9**epoch / (1 + epoch)}),
    "lambda-per-group": ("LambdaLR", {"lr_lambda": [lambda epoch: 0.5**epoch, lambda epoch: 1 / (1 + epoch)]}),
    "lambda-product": ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.9 + epoch / 100}),
    "lambda-products": ("MultiplicativeLR", {"lr_lambda": [lambda epoch: 0.5, lambda epoch: 1 / epoch]}),
    "polynomial": ("PolynomialLR", {}),
    "polynomial-power": ("PolynomialLR", {"total_iters": 12, "power": 2.5}),
    "cyclic": ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 4}),
    "cyclic-down": (
        "CyclicLR",
        {"base_lr": [0.1, 0.2], "max_lr": 1.0, "step_size_up": 4, "step_size_down": 7, "mode": "triangular2"},
    ),
    "cyclic-power": (
        "CyclicLR",
        {"base_lr": 0.1, "max_lr": [1.0, 2.0], "step_size_up": 3, "mode": "exp_range", "gamma": 0.9},
    ),
    "cyclic-no-momentum": ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 4, "cycle_momentum": False}),
    "step": ("StepLR", {"step_size": 4}),
    "step-gamma": ("StepLR", {"step_size": 1, "gamma": 0.7}),
    "multistep": ("MultiStepLR", {"milestones": [9, 3, 3, 20], "gamma": 0.5}),
    "multistep-at-0": ("MultiStepLR", {"milestones": [0, 2], "gamma": 0.5}),
    "constant": ("ConstantLR", {}),
    "constant-factor": ("ConstantLR", {"factor": 0.25, "total_iters": 8}),
    "linear": ("LinearLR", {}),
    "linear-down": ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 12}),
    "exponential": ("ExponentialLR", {"gamma": 0.8}),
    "cosine": ("CosineAnnealingLR", {"T_max": 30}),
    "cosine-up-again": ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    "cosine-one-epoch": ("CosineAnnealingLR", {"T_max": 1, "eta_min": 0.01}),
    "restarts": ("CosineAnnealingWarmRestarts", {"T_0": 5}),
    "restarts-growing": ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.001}),
    "one-cycle": ("OneCycleLR", {"max_lr": 1.0, "total_steps": 30}),
    "one-cycle-linear": ("OneCycleLR", {"max_lr": 1.0, "epochs": 5, "steps_per_epoch": 6, "anneal_strategy": "linear"}),
    "one-cycle-three-phase": (
        "OneCycleLR",
        {"max_lr": [1.0, 3.0], "total_steps": 30, "three_phase": True, "pct_start": 0.4},
    ),
    "one-cycle-factors": (
        "OneCycleLR",
        {"max_lr": 2.0, "total_steps": 31, "div_factor": 10, "final_div_factor": 50, "base_momentum": [0.7, 0.8]},
    ),
    "one-cycle-no-momentum": ("OneCycleLR", {"max_lr": 1.0, "total_steps": 30, "cycle_momentum": False}),
}


def optimizers(name="SGD", **options):
    """An optimiser of each library, with two groups of different rates."""
    return [
        getattr(library.optim, name)(
            [{"params": [make(np.ones(2))], "lr": 0.4}, {"params": [make(np.ones(2))]}], lr=0.1, **options
        )
        for library, make in ((nn, nn.Parameter), (torch, lambda array: torch.nn.Parameter(torch.tensor(array))))
    ]


def schedulers(name, pair, **options):
    return [
        getattr(module, name)(optimizer, **options)
        for module, optimizer in zip((nn.optim.lr_scheduler, torch.optim.lr_scheduler), pair, strict=True)
    ]


def take_step(optimizer, scheduler, *arguments):
    optimizer.step()  # torch warns if the scheduler steps first
    scheduler.step(*arguments)


def assert_same_groups(pair, epoch):
    for ours, theirs in zip(*(optimizer.param_groups for optimizer in pair), strict=True):
        for key in ("lr", "momentum", "betas"):
            if key in theirs:
                np.testing.assert_allclose(
                    ours[key], theirs[key], rtol=1e-12, atol=1e-16, err_msg=f"{key}, epoch {epoch}"
                )


def assert_same_course(pair, twins, epochs=30):
    assert_same_groups(pair, 0)
    for epoch in range(1, epochs):
        for optimizer, scheduler in zip(pair, twins, strict=True):
            take_step(optimizer, scheduler)
        assert_same_groups(pair, epoch)
        np.testing.assert_allclose(twins[0].get_last_lr(), twins[1].get_last_lr(), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_rates_equal_torch(optimizer, schedule):
    name, options = SCHEDULES[schedule]
    pair = optimizers(optimizer, **({"momentum": 0.9} if optimizer == "SGD" else {}))
    assert_same_course(pair, schedulers(name, pair, **options))


def test_two_schedules_on_one_optimiser_multiply():
    pair = optimizers()
    warm_ups = schedulers("LinearLR", pair, start_factor=0.1, total_iters=6)
    decays = schedulers("ExponentialLR", pair, gamma=0.9)
    for epoch in range(12):
        for optimizer, warm_up, decay in zip(pair, warm_ups, decays, strict=True):
            take_step(optimizer, warm_up)
            take_step(optimizer, decay)
        assert_same_groups(pair, epoch)


@pytest.mark.parametrize(
    "parts",
    [
        [("LinearLR", {"start_factor": 0.1, "total_iters": 5}), ("CosineAnnealingLR", {"T_max": 15})],
        [("ConstantLR", {"factor": 0.5}), ("StepLR", {"step_size": 2}), ("LinearLR", {"total_iters": 3})],
        [("ExponentialLR", {"gamma": 0.5}), ("ExponentialLR", {"gamma": 0.9})],
        [("LinearLR", {}), ("CosineAnnealingWarmRestarts", {"T_0": 4}), ("MultiStepLR", {"milestones": [2, 4]})],
        [("LinearLR", {}), ("LambdaLR", {"lr_lambda": lambda epoch: 1 / (1 + epoch)})],
    ],
    ids=lambda parts: "-".join(name for name, _ in parts),
)
def test_sequences_equal_torch(parts):
    pair = optimizers()
    milestones = [6, 13][: len(parts) - 1]
    stages = zip(*(schedulers(name, pair, **options) for name, options in parts), strict=True)
    twins = [
        module.SequentialLR(optimizer, list(stage), milestones)
        for module, optimizer, stage in zip(
            (nn.optim.lr_scheduler, torch.optim.lr_scheduler), pair, stages, strict=True
        )
    ]
    assert_same_course(pair, twins, 24)


def test_a_cycle_with_a_function_of_the_height_equals_torch():
    for mode in ("cycle", "iterations"):
        pair = optimizers("Adam")
        options = {"step_size_up": 3, "scale_fn": lambda x: 1 / x if x else 1, "scale_mode": mode}
        assert_same_course(pair, schedulers("CyclicLR", pair, base_lr=0.1, max_lr=1.0, **options))


def test_chained_schedules_equal_torch():
    pair = optimizers()
    warm_ups = schedulers("ConstantLR", pair, factor=0.1, total_iters=6)
    decays = schedulers("ExponentialLR", pair, gamma=0.9)
    twins = [
        module.ChainedScheduler(list(parts))
        for module, *parts in zip((nn.optim.lr_scheduler, torch.optim.lr_scheduler), warm_ups, decays, strict=True)
    ]
    assert_same_course(pair, twins, 12)
    (a, _), (b, _) = optimizers(), optimizers()
    make = nn.optim.lr_scheduler
    chains = [make.ChainedScheduler([make.LinearLR(each), make.StepLR(each, 2)], each) for each in (a, b)]
    for _ in range(3):
        chains[0].step()
    chains[1].load_state_dict(json.loads(json.dumps(chains[0].state_dict())))
    b.load_state_dict(a.state_dict())
    for chain in chains:
        chain.step()
    assert chains[0].get_last_lr() == chains[1].get_last_lr()
    with pytest.raises(ValueError, match="ChainedScheduler: needs at least one scheduler, got none"):
        make.ChainedScheduler([])
    with pytest.raises(ValueError, match="ChainedScheduler: scheduler 1 drives another optimiser"):
        make.ChainedScheduler([make.StepLR(a, 2), make.StepLR(b, 2)])
    with pytest.raises(ValueError, match="ChainedScheduler: scheduler 0 is a ReduceLROnPlateau"):
        make.ChainedScheduler([make.ReduceLROnPlateau(a)])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("StepLR", {"step_size": 2}),
        ("ExponentialLR", {"gamma": 0.9}),
        ("PolynomialLR", {}),
        ("LambdaLR", {"lr_lambda": lambda epoch: 1 / (1 + epoch)}),
        ("CosineAnnealingLR", {"T_max": 7}),
    ],
)
@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_a_step_to_an_epoch_equals_torch(name, options):
    pair = optimizers()
    twins = schedulers(name, pair, **options)
    for epoch in (3, 1, 4):
        for optimizer, scheduler in zip(pair, twins, strict=True):
            take_step(optimizer, scheduler, epoch)
        assert_same_groups(pair, epoch)


@pytest.mark.parametrize("library", [nn, torch])
def test_a_schedule_that_a_user_writes(library):
    class Noam(library.optim.lr_scheduler._LRScheduler):
        def __init__(self, optimizer, warmup, last_epoch=-1):
            self.warmup = warmup
            super().__init__(optimizer, last_epoch)

        def get_lr(self):
            step = max(1, self._step_count)
            return [base * min(step**-0.5, step * self.warmup**-1.5) for base in self.base_lrs]

    optimizer = optimizers()[library is torch]
    scheduler = Noam(optimizer, 4)
    rates = []
    for _ in range(6):
        take_step(optimizer, scheduler)
        rates.append(scheduler.get_last_lr()[1])
    np.testing.assert_allclose(rates, [0.1 * min(s**-0.5, s * 4**-1.5) for s in range(2, 8)])


def test_torchs_states_of_schedules_load():
    pair = optimizers()
    parts = [schedulers("LinearLR", pair), schedulers("ExponentialLR", pair, gamma=0.5)]
    twins = [
        module.SequentialLR(optimizer, list(stage), [4])
        for module, optimizer, stage in zip(
            (nn.optim.lr_scheduler, torch.optim.lr_scheduler), pair, zip(*parts, strict=True), strict=True
        )
    ]
    for _ in range(3):
        take_step(pair[1], twins[1])
    twins[0].load_state_dict(twins[1].state_dict())
    pair[0].load_state_dict(pair[1].state_dict())
    for epoch in range(3, 7):
        for optimizer, scheduler in zip(pair, twins, strict=True):
            take_step(optimizer, scheduler)
        assert_same_groups(pair, epoch)


def test_warm_restarts_take_fractions_of_an_epoch():
    pair = optimizers()
    twins = schedulers("CosineAnnealingWarmRestarts", pair, T_0=3, T_mult=2)
    for epoch in np.arange(0, 25, 0.25).tolist():
        for optimizer, scheduler in zip(pair, twins, strict=True):
            take_step(optimizer, scheduler, epoch)
        assert_same_groups(pair, epoch)


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "factor": 0.5, "cooldown": 2, "threshold": 0.05},
        {"patience": 1, "mode": "max", "threshold_mode": "abs", "threshold": 0.1},
        {"patience": 1, "mode": "max", "threshold": 0.2},
        {"patience": 1, "threshold_mode": "abs", "threshold": 0.3, "min_lr": [0.2, 0.0]},
        {"patience": 0, "min_lr": 0.03, "eps": 0.02},
    ],
    ids=str,
)
def test_plateau_equals_torch(options, rng):
    pair = optimizers()
    twins = schedulers("ReduceLROnPlateau", pair, **options)
    metrics = 1 / np.arange(1, 41) ** 0.3 + 0.1 * rng.random(40)
    metrics[10] = math.nan
    for epoch, metric in enumerate(metrics.tolist()):
        for optimizer, scheduler in zip(pair, twins, strict=True):
            take_step(optimizer, scheduler, metric)
        assert_same_groups(pair, epoch)
    assert pair[0].param_groups[0]["lr"] < 0.4, "no reduction was tested"


def test_plateau_takes_a_tensor():
    optimizer, _ = optimizers()
    scheduler = nn.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    for _ in range(2):
        scheduler.step(nn.tensor(1.0))
    np.testing.assert_allclose(scheduler.get_last_lr(), [0.04, 0.01])


@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if not name.startswith("lambda")])
def test_a_saved_schedule_resumes(schedule):
    name, options = SCHEDULES[schedule]
    whole, _ = optimizers("SGD", momentum=0.9)
    expected = [whole.param_groups[0]["lr"]]
    scheduler = getattr(nn.optim.lr_scheduler, name)(whole, **options)
    for epoch in range(20):
        if epoch == 8:
            saved, groups = json.dumps(scheduler.state_dict()), whole.state_dict()
        scheduler.step()
        expected.append(whole.param_groups[0]["lr"])
    half, _ = optimizers("SGD", momentum=0.9)
    resumed = getattr(nn.optim.lr_scheduler, name)(half, **options)
    resumed.load_state_dict(json.loads(saved))
    half.load_state_dict(groups)
    for epoch in range(8, 20):
        resumed.step()
        assert half.param_groups[0]["lr"] == expected[epoch + 1]


def test_a_saved_sequence_and_a_saved_plateau_resume():
    def sequence(optimizer):
        scheduler = nn.optim.lr_scheduler
        stages = [scheduler.LinearLR(optimizer, total_iters=4), scheduler.ExponentialLR(optimizer, 0.5)]
        return scheduler.SequentialLR(optimizer, stages, [4])

    def plateau(optimizer):
        return nn.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3)

    for make, arguments in ((sequence, ()), (plateau, (1.0,))):
        (a, _), (b, _) = optimizers(), optimizers()
        first = make(a)
        for _ in range(3):
            first.step(*arguments)
        second = make(b)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        b.load_state_dict(a.state_dict())
        for _ in range(6):
            first.step(*arguments)
            second.step(*arguments)
            assert first.get_last_lr() == second.get_last_lr() == [group["lr"] for group in b.param_groups]
        assert b.param_groups[0]["lr"] != 0.4


@pytest.mark.parametrize("name", ["StepLR", "ExponentialLR", "CosineAnnealingLR", "LinearLR", "LambdaLR"])
def test_resuming_at_an_epoch_equals_torch(name):
    options = {
        "StepLR": {"step_size": 3},
        "ExponentialLR": {"gamma": 0.5},
        "CosineAnnealingLR": {"T_max": 10},
        "LinearLR": {"total_iters": 8},
        "LambdaLR": {"lr_lambda": lambda epoch: 1 / (1 + epoch)},
    }[name]
    pair = optimizers()
    for optimizer in pair:
        for group in optimizer.param_groups:
            group["initial_lr"] = 2 * group["lr"]
    assert_same_course(pair, schedulers(name, pair, last_epoch=4, **options), 9)


def test_the_module_can_be_imported_from_as_in_torch():
    assert StepLR is nn.optim.lr_scheduler.StepLR


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("ConstantLR", {"factor": 1.5}, ValueError, r"ConstantLR: factor must be in \[0, 1\], got 1.5"),
        ("LinearLR", {"start_factor": 0}, ValueError, r"LinearLR: start_factor must be in \(0, 1\], got 0"),
        ("LinearLR", {"end_factor": 2}, ValueError, r"LinearLR: end_factor must be in \[0, 1\], got 2"),
        ("LambdaLR", {"lr_lambda": [abs]}, ValueError, "LambdaLR: lr_lambda: the optimiser has 2 groups, got 1 values"),
        ("CosineAnnealingWarmRestarts", {"T_0": 0}, ValueError, "T_0 must be a positive integer, got 0"),
        (
            "CosineAnnealingWarmRestarts",
            {"T_0": 2, "T_mult": 1.5},
            ValueError,
            "T_mult must be a positive integer, got 1.5",
        ),
        ("OneCycleLR", {"max_lr": 1.0}, ValueError, "OneCycleLR: give total_steps, or both epochs and steps_per_epoch"),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "total_steps": 0},
            ValueError,
            "number of steps must be a positive integer, got 0",
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "total_steps": 9, "pct_start": 2.0},
            ValueError,
            r"pct_start must be in \[0, 1\], got 2",
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "total_steps": 9, "anneal_strategy": "cubic"},
            ValueError,
            "anneal_strategy must be 'cos' or 'linear', got 'cubic'",
        ),
        (
            "OneCycleLR",
            {"max_lr": [1.0], "total_steps": 9},
            ValueError,
            "OneCycleLR: max_lr: the optimiser has 2 groups, got 1",
        ),
        ("PolynomialLR", {"total_iters": 0}, ValueError, "PolynomialLR: total_iters must be positive, got 0"),
        ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "mode": "x"}, ValueError, "CyclicLR: mode must be 'triangular'"),
        ("ReduceLROnPlateau", {"factor": 1.0}, ValueError, "ReduceLROnPlateau: factor must be below 1, got 1.0"),
        ("ReduceLROnPlateau", {"mode": "best"}, ValueError, "mode must be 'min' or 'max', got 'best'"),
        ("ReduceLROnPlateau", {"threshold_mode": "x"}, ValueError, "threshold_mode must be 'rel' or 'abs', got 'x'"),
        ("StepLR", {"step_size": 2, "last_epoch": 3}, KeyError, "StepLR: resuming at 3, group 0 has no initial_lr"),
    ],
)
def test_errors(name, options, error, message):
    optimizer, _ = optimizers()
    with pytest.raises(error, match=message):
        getattr(nn.optim.lr_scheduler, name)(optimizer, **options)


def test_one_cycle_errors_that_depend_on_the_optimiser_and_the_step():
    parameters = [nn.Parameter([1.0])]
    with pytest.raises(ValueError, match="OneCycleLR: cycle_momentum needs an optimiser with momentum or betas"):
        nn.optim.lr_scheduler.OneCycleLR(nn.optim.Adagrad(parameters), 1.0, 10)
    scheduler = nn.optim.lr_scheduler.OneCycleLR(nn.optim.SGD(parameters, momentum=0.9), 1.0, 10)
    for _ in range(10):
        scheduler.step()
    with pytest.raises(ValueError, match="OneCycleLR: step 11 is beyond the cycle of 10 steps"):
        scheduler.step()


def test_sequence_errors():
    (a, _), (b, _) = optimizers(), optimizers()
    make = nn.optim.lr_scheduler
    with pytest.raises(ValueError, match="got 0 schedulers and 0 milestones"):
        make.SequentialLR(a, [], [])
    with pytest.raises(ValueError, match="got 1 schedulers and 1 milestones"):
        make.SequentialLR(a, [make.StepLR(a, 2)], [3])
    with pytest.raises(ValueError, match="scheduler 1 drives another optimiser"):
        make.SequentialLR(a, [make.StepLR(a, 2), make.StepLR(b, 2)], [3])
    with pytest.raises(ValueError, match="scheduler 0 is a ReduceLROnPlateau"):
        make.SequentialLR(a, [make.ReduceLROnPlateau(a)], [])


def test_something_that_is_not_an_optimiser():
    with pytest.raises(TypeError, match="StepLR: needs an Optimizer, got list"):
        nn.optim.lr_scheduler.StepLR([], 2)


def test_negative_epoch_of_warm_restarts():
    optimizer, _ = optimizers()
    with pytest.raises(ValueError, match="epoch must be at least 0, got -1"):
        nn.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3).step(-1)


# --- initial steps, last steps and resuming ---------------------------------------------------------------------------

small = st.integers(1, 6)
factors = st.floats(0.05, 1.0)
CONFIGURATIONS = st.one_of(
    st.tuples(st.just("StepLR"), st.fixed_dictionaries({"step_size": small, "gamma": factors})),
    st.tuples(
        st.just("MultiStepLR"),
        st.fixed_dictionaries({"milestones": st.lists(st.integers(0, 12), max_size=5), "gamma": factors}),
    ),
    st.tuples(
        st.just("ConstantLR"),
        st.fixed_dictionaries({"factor": st.sampled_from([0, 0.25, 1.0]), "total_iters": st.integers(0, 8)}),
    ),
    st.tuples(
        st.just("LinearLR"),
        st.fixed_dictionaries(
            {"start_factor": factors, "end_factor": st.floats(0, 1), "total_iters": st.integers(0, 8)}
        ),
    ),
    st.tuples(st.just("ExponentialLR"), st.fixed_dictionaries({"gamma": factors})),
    st.tuples(
        st.just("CosineAnnealingLR"), st.fixed_dictionaries({"T_max": small, "eta_min": st.sampled_from([0, 0.01])})
    ),
    st.tuples(
        st.just("CosineAnnealingWarmRestarts"),
        st.fixed_dictionaries({"T_0": small, "T_mult": st.integers(1, 3), "eta_min": st.sampled_from([0, 0.01])}),
    ),
    st.tuples(st.just("LambdaLR"), st.just({"lr_lambda": lambda epoch: 1 / (1 + epoch)})),
)
EPOCHS = 14


def expected_rate(name, base, epoch, o):
    """The definition of each schedule: the rate of an epoch by itself."""
    if name == "StepLR":
        return base * o["gamma"] ** (epoch // o["step_size"])
    if name == "MultiStepLR":
        return base * o["gamma"] ** sum(m <= epoch for m in o["milestones"])
    if name == "ConstantLR":
        return base * (o["factor"] if epoch < o["total_iters"] else 1)
    if name == "LinearLR":
        if epoch >= o["total_iters"]:
            return base * o["end_factor"]
        return base * (o["start_factor"] + (o["end_factor"] - o["start_factor"]) * epoch / o["total_iters"])
    if name == "ExponentialLR":
        return base * o["gamma"] ** epoch
    if name == "LambdaLR":
        return base / (1 + epoch)
    now, length = epoch, o.get("T_max") or o["T_0"]
    while "T_0" in o and now >= length:
        now, length = now - length, length * o["T_mult"]
    return o["eta_min"] + (base - o["eta_min"]) * (1 + math.cos(math.pi * now / length)) / 2


def one_group(lr=0.1, **options):
    return nn.optim.SGD([{"params": [nn.Parameter([1.0])], **options}], lr=lr)


def course(optimizer, scheduler, epochs):
    """The rates of the present epoch and of those that follow."""
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(epochs - 1):
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
        assert scheduler.get_last_lr() == rates[-1:]
    return rates


@settings(max_examples=150, deadline=None)
@given(CONFIGURATIONS)
def test_a_schedule_resumed_at_any_epoch_equals_an_uninterrupted_one(configuration):
    name, options = configuration
    make = getattr(nn.optim.lr_scheduler, name)
    expected = [expected_rate(name, 0.1, epoch, options) for epoch in range(EPOCHS)]
    same = {"rtol": 1e-8, "atol": 1e-15}
    optimizer = one_group()
    scheduler = make(optimizer, **options)
    groups, states = [], []
    for epoch in range(EPOCHS):
        np.testing.assert_allclose(optimizer.param_groups[0]["lr"], expected[epoch], **same)
        groups.append(json.dumps(optimizer.state_dict()["param_groups"]))
        states.append(json.dumps(scheduler.state_dict()))
        scheduler.step()
    for epoch in range(1, EPOCHS):
        saved = {"state": {}, "param_groups": json.loads(groups[epoch])}
        # by last_epoch, with the saved optimiser; the same again, in place; and with a new optimiser
        loaded = one_group(5.0)
        loaded.load_state_dict(saved)
        resumed = make(loaded, **options, last_epoch=epoch - 1)
        again = make(loaded, **options, last_epoch=epoch - 1)
        np.testing.assert_allclose(resumed.get_last_lr(), expected[epoch : epoch + 1], **same)
        np.testing.assert_allclose(course(loaded, again, EPOCHS - epoch), expected[epoch:], **same)
        new = one_group(initial_lr=0.1)
        resumed = make(new, **options, last_epoch=epoch - 1)
        np.testing.assert_allclose(course(new, resumed, EPOCHS - epoch), expected[epoch:], **same)
        # by the schedule's own state
        loaded = one_group()
        resumed = make(loaded, **options)
        resumed.load_state_dict(json.loads(states[epoch]))
        loaded.load_state_dict(saved)
        np.testing.assert_allclose(course(loaded, resumed, EPOCHS - epoch), expected[epoch:], **same)


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_one_cycle_of_any_length_and_fraction(strategy, three_phase):
    for steps in range(1, 12):
        for share in (0.0, 0.05, 0.1, 0.25, 0.3, 0.5, 0.575, 0.9, 1.0):
            options = {"max_lr": 0.5, "total_steps": steps, "pct_start": share}
            options |= {"anneal_strategy": strategy, "three_phase": three_phase}
            pair = optimizers(momentum=0.9)
            ours = nn.optim.lr_scheduler.OneCycleLR(pair[0], **options)
            ends = [share * steps - 1, *([2 * share * steps - 2] if three_phase else []), steps - 1]
            for epoch in range(steps):
                assert all(0 < group["lr"] <= 0.5 for group in pair[0].param_groups), (options, epoch)
                assert all(0.85 <= group["momentum"] <= 0.95 for group in pair[0].param_groups)
                if epoch in ends and epoch == ends[0]:
                    assert pair[0].param_groups[0]["lr"] == 0.5
                take_step(pair[0], ours)
            if all(b > a for a, b in zip([0.0, *ends], ends, strict=False)):  # no phase that torch divides by
                twins = schedulers("OneCycleLR", pair, **options)
                for epoch in range(steps):
                    assert_same_groups(pair, epoch)
                    for optimizer, scheduler in zip(pair, twins, strict=True):
                        take_step(optimizer, scheduler)


def test_sequences_inside_sequences():
    make = nn.optim.lr_scheduler

    def constants(optimizer, *values):
        parts = [make.ConstantLR(optimizer, value, 100) for value in values]
        return make.SequentialLR(optimizer, parts, [2 * (i + 1) for i in range(len(values) - 1)])

    def nested(optimizer):
        parts = [constants(optimizer, 0.5, 0.25), constants(optimizer, 1.0, 0.75), make.StepLR(optimizer, 2, 0.1)]
        inner = make.SequentialLR(optimizer, parts, [3, 7])
        return make.SequentialLR(optimizer, [make.ExponentialLR(optimizer, 0.5), inner], [2])

    expected = [1, 0.5, 0.5, 0.5, 0.25, 1, 1, 0.75, 0.75, 1, 1, 0.1, 0.1, 0.01]
    optimizer = one_group(1.0)
    scheduler = nested(optimizer)
    for epoch in range(len(expected)):
        np.testing.assert_allclose(optimizer.param_groups[0]["lr"], expected[epoch], rtol=1e-12)
        new = one_group(1.0)
        np.testing.assert_allclose(nested(new).get_last_lr(), expected[0])
        other = nested(new)
        other.load_state_dict(json.loads(json.dumps(scheduler.state_dict())))
        new.load_state_dict(optimizer.state_dict())
        np.testing.assert_allclose(course(new, other, len(expected) - epoch), expected[epoch:], rtol=1e-12)
        fresh = one_group(1.0)
        resumed = make.SequentialLR(fresh, [nested(fresh)], [], last_epoch=epoch - 1)
        np.testing.assert_allclose(course(fresh, resumed, len(expected) - epoch), expected[epoch:], rtol=1e-12)
        scheduler.step()


NUMPY_OPTIONS = {
    "StepLR": {"step_size": np.int64(2), "gamma": np.float32(0.5)},
    "MultiStepLR": {"milestones": np.array([2, 4]), "gamma": np.float64(0.5)},
    "ConstantLR": {"factor": np.float32(0.5), "total_iters": np.int32(3)},
    "LinearLR": {"start_factor": np.float64(0.5), "end_factor": np.float32(1), "total_iters": np.int64(3)},
    "ExponentialLR": {"gamma": np.float32(0.5)},
    "CosineAnnealingLR": {"T_max": np.int64(4), "eta_min": np.float32(0.01)},
    "CosineAnnealingWarmRestarts": {"T_0": np.int64(2), "T_mult": np.int64(2), "eta_min": np.float32(0.01)},
    "OneCycleLR": {"max_lr": np.float32(1), "total_steps": np.int64(20), "pct_start": np.float64(0.3)},
    "LambdaLR": {"lr_lambda": lambda epoch: np.float64(0.5) ** epoch},
}


@pytest.mark.parametrize("rate", [0.25, np.float32(0.25), np.float64(0.25), np.array(0.25), "tensor"], ids=repr)
@pytest.mark.parametrize("name", NUMPY_OPTIONS)
def test_rates_and_options_that_are_not_python_numbers(name, rate):
    rate = nn.tensor(0.25) if rate == "tensor" else rate
    numbers = {key: as_number(value) for key, value in NUMPY_OPTIONS[name].items() if key != "milestones"}
    numbers |= {"milestones": [2, 4]} if "milestones" in NUMPY_OPTIONS[name] else {}
    ours = nn.optim.SGD([nn.Parameter([1.0])], lr=rate, momentum=0.9)
    plain = nn.optim.SGD([nn.Parameter([1.0])], lr=0.25, momentum=0.9)
    make = getattr(nn.optim.lr_scheduler, name)
    schedule, twin = make(ours, **NUMPY_OPTIONS[name]), make(plain, **numbers)
    for _ in range(8):
        take_step(ours, schedule)
        take_step(plain, twin)
        assert float(ours.param_groups[0]["lr"]) == pytest.approx(plain.param_groups[0]["lr"], rel=1e-5)
        json.dumps([schedule.state_dict(), ours.state_dict()["param_groups"]])
    if isinstance(rate, nn.Tensor):  # the optimiser's tensor is changed in place
        assert ours.param_groups[0]["lr"] is rate
        assert schedule.base_lrs == [0.25 if name != "OneCycleLR" else 0.04]


def test_plateau_with_numpy_numbers():
    optimizer = one_group(np.float32(0.5))
    options = {
        "factor": np.float32(0.5),
        "patience": np.int64(0),
        "min_lr": np.float64(0.1),
        "threshold": np.float32(0),
    }
    schedule = nn.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    for metric in (np.float32(1), nn.tensor(2.0), np.array(3.0)):
        schedule.step(metric)
    assert json.loads(json.dumps(schedule.state_dict()))["_last_lr"] == [0.125]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("StepLR", {"step_size": 0}, "StepLR: step_size must be positive, got 0"),
        ("CosineAnnealingLR", {"T_max": 0}, "CosineAnnealingLR: T_max must be positive, got 0"),
        ("ConstantLR", {"total_iters": -1}, "ConstantLR: total_iters must be at least 0, got -1"),
        ("LinearLR", {"total_iters": -1}, "LinearLR: total_iters must be at least 0, got -1"),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "epochs": -2, "steps_per_epoch": -3},
            "OneCycleLR: epochs must be a positive integer, got -2",
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "total_steps": 3, "div_factor": 0},
            "OneCycleLR: div_factor must be positive, got 0",
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "total_steps": 3, "final_div_factor": 0},
            "OneCycleLR: final_div_factor must be positive, got 0",
        ),
    ],
)
def test_lengths_and_divisors_of_zero(name, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(nn.optim.lr_scheduler, name)(one_group(momentum=0.9), **options)


def test_one_cycle_resumed_on_an_optimiser_that_had_none():
    with pytest.raises(KeyError, match="OneCycleLR: resuming at 3, group 0 has no max_lr, min_lr, base_momentum"):
        nn.optim.lr_scheduler.OneCycleLR(one_group(initial_lr=0.1), 1.0, 10, last_epoch=3)


# --- errors change nothing --------------------------------------------------------------------------------------------


def test_a_step_that_raises_does_not_advance():
    make = nn.optim.lr_scheduler

    def half_of_two(epoch):
        if epoch > 2:
            raise ArithmeticError
        return 0.5**epoch

    def cycle(optimizer):
        return make.OneCycleLR(optimizer, 1.0, 2)

    def function(optimizer):
        return make.LambdaLR(optimizer, half_of_two)

    def sequence(optimizer):
        return make.SequentialLR(optimizer, [function(optimizer)], [])

    for build, error in ((cycle, ValueError), (function, ArithmeticError), (sequence, ArithmeticError)):
        optimizer = one_group(momentum=0.9)
        scheduler = build(optimizer)
        scheduler.step()
        scheduler.step()
        before = json.dumps([scheduler.state_dict(), optimizer.state_dict()["param_groups"]])
        for _ in range(2):
            with pytest.raises(error):
                scheduler.step()
        assert json.dumps([scheduler.state_dict(), optimizer.state_dict()["param_groups"]]) == before
    plateau = make.ReduceLROnPlateau(one_group())
    with pytest.raises(ValueError):
        plateau.step("no number")
    assert plateau.last_epoch == 0


@pytest.mark.parametrize("options", [{"base_momentum": [0.5]}, {"max_lr": [1.0]}, {"max_momentum": [0.9] * 3}])
def test_an_invalid_schedule_does_not_change_the_optimiser(options):
    optimizer, _ = optimizers("SGD", momentum=0.9)
    before = json.dumps(optimizer.state_dict()["param_groups"])
    with pytest.raises(ValueError, match="the optimiser has 2 groups"):
        nn.optim.lr_scheduler.OneCycleLR(optimizer, **{"max_lr": 1.0, "total_steps": 9, **options})
    assert json.dumps(optimizer.state_dict()["param_groups"]) == before


def test_a_sequence_does_not_load_half_of_a_state():
    make = nn.optim.lr_scheduler
    one, other = one_group(), one_group()
    first = make.SequentialLR(one, [make.StepLR(one, 2), make.StepLR(one, 3)], [1])
    second = make.SequentialLR(other, [make.StepLR(other, 5)], [])
    before = second.state_dict()
    with pytest.raises(ValueError, match="SequentialLR: there are 1 schedulers, the state has 2"):
        second.load_state_dict(first.state_dict())
    assert second.state_dict() == before

"""Learning-rate schedules, epoch by epoch against torch.optim.lr_scheduler."""

import json
import math

import numpy as np
import pytest
import torch
from nn.optim.lr_scheduler import StepLR

import nn

SCHEDULES = {
    "lambda": ("LambdaLR", {"lr_lambda": lambda epoch: 0.9**epoch / (1 + epoch)}),
    "lambda-per-group": ("LambdaLR", {"lr_lambda": [lambda epoch: 0.5**epoch, lambda epoch: 1 / (1 + epoch)]}),
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
def test_a_saved_schedule_goes_on_where_it_was(schedule):
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


def test_a_saved_sequence_and_a_saved_plateau_go_on():
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
    with pytest.raises(ValueError, match="OneCycleLR: step 11 of a cycle of 10 steps"):
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

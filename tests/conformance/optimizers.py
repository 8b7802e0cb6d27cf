"""Optimisers and their schedulers: several steps from the same start on both sides."""

import types
import warnings

import numpy as np
import torch

import nn
from tests.conformance.database import OptimizerErrorEnum, optim_db
from tests.conformance.operations import seed
from tests.conformance.samples import (
    Case,
    Outcome,
    Refused,
    attempt,
    check_signature,
    convert,
    general,
    judge_bad_input,
)
from tests.conformance.values import Inexpressible, describe, difference, strided

STEPS = 12
SHAPES = ((), (1,), (7,), (3, 5), (2, 3, 4, 5), (0, 3))

# constructor options of each scheduler; PyTorch's table names only a few
SCHEDULES = {
    "LambdaLR": [{"lr_lambda": lambda epoch: 0.9**epoch}],
    "MultiplicativeLR": [{"lr_lambda": lambda epoch: 0.9 + 0.01 * epoch}],
    "PolynomialLR": [{}, {"total_iters": 9, "power": 2.5}],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 3},
        {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 2, "step_size_down": 4, "mode": "triangular2"},
        {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 3, "mode": "exp_range", "gamma": 0.9},
    ],
    "StepLR": [{"step_size": 3}, {"step_size": 1, "gamma": 0.7}],
    "MultiStepLR": [{"milestones": [2, 5]}, {"milestones": [3, 3, 4], "gamma": 0.5}],
    "ConstantLR": [{}, {"factor": 0.4, "total_iters": 4}, {"total_iters": 1}],
    "LinearLR": [{}, {"start_factor": 0.4, "end_factor": 0.8, "total_iters": 4}],
    "ExponentialLR": [{"gamma": 0.9}],
    "CosineAnnealingLR": [{"T_max": 5}, {"T_max": 4, "eta_min": 0.01}],
    "CosineAnnealingWarmRestarts": [{"T_0": 3}, {"T_0": 2, "T_mult": 2, "eta_min": 0.001}],
    "OneCycleLR": [
        {"max_lr": 0.5, "total_steps": 20},
        {"max_lr": 0.5, "epochs": 4, "steps_per_epoch": 5, "three_phase": True, "anneal_strategy": "linear"},
    ],
    "ReduceLROnPlateau": [{}, {"mode": "max", "patience": 1, "cooldown": 1, "threshold_mode": "abs"}, {"patience": 0}],
}


def names():
    """The names of the optimisers that both sides have, and of our schedulers.

    Not Muon: it computes in bfloat16, to whose precision its steps are equal; the tests of `nn` compare them.
    """
    both = [o.optim_cls.__name__ for o in optim_db if hasattr(nn.optim, o.optim_cls.__name__)]
    both = [f"optim.{name}" for name in both if name != "Muon"]
    return both + [f"lr_scheduler.{name}" for name in SCHEDULES]


def cases(name):
    """Yield the cases of the optimiser or scheduler with this name."""
    kind, _, short = name.partition(".")
    if kind == "lr_scheduler":
        for options in SCHEDULES[short]:
            for resumed in (0,) if short == "ReduceLROnPlateau" else (0, 1, 4, 7):
                yield Case(
                    f"{describe(options)}, resumed after {resumed}",
                    "",
                    True,
                    lambda options=options, resumed=resumed: _run_schedule(short, options, resumed),
                )
        return
    info = next(o for o in optim_db if o.optim_cls.__name__ == short)
    seed()
    for sample in info.optim_inputs_func(device="cpu"):
        for dtype in (torch.float32, torch.float64):
            for layout in ("plain", "strided"):
                yield Case(
                    f"{str(dtype).removeprefix('torch.')} {sample.desc} {layout}",
                    describe(sample.kwargs),
                    True,
                    lambda sample=sample, dtype=dtype, layout=layout: _run(short, sample.kwargs, dtype, layout),
                )
    for i, makers in enumerate(info.scheduler_inputs):
        yield Case(f"schedulers {i}", "", True, lambda makers=makers: _run_rebound(makers))
    for i, bad in enumerate(info.optim_error_inputs_func(device="cpu", dtype=torch.float32)):
        sample = bad.optimizer_error_input
        if bad.error_on == OptimizerErrorEnum.CONSTRUCTION_ERROR:
            yield Case(
                f"bad {i}",
                f"{sample.desc}: {describe(sample.params)} {describe(sample.kwargs)}",
                True,
                lambda sample=sample, bad=bad: _bad_constructor(short, sample, bad),
            )


def _values(name, dtype):
    generator = np.random.default_rng(0)
    shapes = [shape for shape in SHAPES if name != "Adafactor" or 0 not in shape]  # PyTorch divides by their size
    return [generator.standard_normal(shape).astype(dtype) for shape in shapes]


def _run(name, options, dtype, layout):
    kind = np.float32 if dtype == torch.float32 else np.float64
    try:
        _, converted = convert("tensor", dict(options))
        check_signature(getattr(nn.optim, name), ([],), converted)
    except Inexpressible as reason:
        return Outcome("inexpressible", str(reason))
    arrays = _values(name, kind)
    ours = [nn.Parameter(strided(a) if layout == "strided" and a.ndim else a.copy()) for a in arrays]
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in arrays]
    exact = [torch.nn.Parameter(torch.tensor(a.astype(np.float64))) for a in arrays]
    make = getattr(torch.optim, name)
    closures = [lambda: 0.0] if name == "LBFGS" else []  # whose gradients are the given ones
    optimizers = [make(theirs, **options), make(exact, **options)]
    try:
        our_optimizer = attempt(getattr(nn.optim, name), ours, **converted)
        generator = np.random.default_rng(1)
        for _ in range(STEPS):
            for mine, other, precise in zip(ours, theirs, exact, strict=True):
                g = generator.standard_normal(mine.shape).astype(kind)
                mine.grad = nn.Tensor(g.copy())
                other.grad, precise.grad = torch.tensor(g), torch.tensor(g.astype(np.float64))
            attempt(our_optimizer.step, *closures)
            for optimizer in optimizers:
                optimizer.step(*closures)
    except Refused as refused:
        return refused.outcome
    for mine, other, precise in zip(ours, theirs, exact, strict=True):
        found = difference(mine, other, precise, lambda: STEPS * np.finfo(kind).eps)
        if found:
            return Outcome("wrong", f"parameter: {found[0]}", f"{list(other.shape)}: {found[1]}")
    return Outcome("pass")


def _run_rebound(makers):
    """PyTorch's table has functions that construct its schedulers: run their code with our schedulers' names."""
    plateau = "ReduceLROnPlateau"
    for make in makers:
        for name in make.__code__.co_names:
            if not hasattr(nn.optim.lr_scheduler, name):
                return Outcome("inexpressible", f"{name}, which we do not have")
    pairs = [(make, types.FunctionType(make.__code__, vars(nn.optim.lr_scheduler))) for make in makers]
    return _rates_differ(pairs, [plateau in make.__code__.co_names for make in makers])


def _run_schedule(name, options, resumed):
    theirs, ours = getattr(torch.optim.lr_scheduler, name), getattr(nn.optim.lr_scheduler, name)
    makers = [lambda optimizer, make=make, **more: make(optimizer, **options, **more) for make in (theirs, ours)]
    return _rates_differ([makers], [name == "ReduceLROnPlateau"], resumed)


def _rates_differ(pairs, by_metric, resumed=0):
    """The outcome of comparing the rates and momenta of both sides' schedulers, combined, in each of 20 epochs.

    With `resumed`, the schedulers take that many steps, and then new ones continue on the same optimiser.
    """

    def rates(optimizer, makers, call, resumed=resumed):
        schedulers = [call(make, optimizer) for make in makers]
        if resumed:
            for _ in range(resumed):
                optimizer.step()
                for scheduler in schedulers:
                    call(scheduler.step)
            schedulers = [call(lambda make=make: make(optimizer, last_epoch=resumed - 1)) for make in makers]
        history = []
        for epoch in range(19 - resumed):
            group = optimizer.param_groups[0]
            history.append((group["lr"], group["momentum"]))
            optimizer.step()
            for scheduler, metric in zip(schedulers, by_metric, strict=True):
                call(scheduler.step, *([abs(epoch - 6.0)] if metric else []))
        return np.array([(float(lr), float(momentum)) for lr, momentum in history])

    def silent(function, *arguments):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments)

    options = {"lr": 0.1, "momentum": 0.9}
    theirs = ours = None
    try:
        theirs = rates(torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], **options), [p[0] for p in pairs], silent)
    except Exception as error:
        return Outcome("inexpressible", f"PyTorch refuses: {general(str(error))}", str(error))
    try:
        ours = rates(nn.optim.SGD([nn.Parameter(np.ones(2, np.float32))], **options), [p[1] for p in pairs], attempt)
    except Refused as refused:
        return refused.outcome
    if np.allclose(ours, theirs, rtol=1e-12, atol=1e-15):
        return Outcome("pass")
    kind = "rates differ after resuming" if resumed else "rates differ"
    if resumed:
        whole = rates(
            torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], **options), [p[0] for p in pairs], silent, resumed=0
        )
        if np.allclose(ours, whole[resumed:], rtol=1e-12, atol=1e-15):
            kind = "rates after resuming are those of a run that was not interrupted"
    first = int(np.flatnonzero(~np.isclose(ours, theirs, rtol=1e-12, atol=1e-15).all(1))[0])
    return Outcome(
        "wrong", kind, f"from epoch {first}: {ours[first : first + 3]}, expected {theirs[first : first + 3]}"
    )


def _bad_constructor(name, sample, bad):
    ours = getattr(nn.optim, name)

    def make():
        converter, params, options = convert("tensor", sample.params, dict(sample.kwargs))
        if bad.error_type is UserWarning:
            raise Inexpressible("PyTorch only warns")
        if params is None:
            params = [nn.Parameter(np.ones((1, 1), np.float32))]
        check_signature(ours, (params,), options)
        return params, options

    def call(params, options):
        ours(params, **options)
        return ()

    return judge_bad_input(make, call, bad.error_regex)

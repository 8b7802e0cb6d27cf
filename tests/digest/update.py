"""Cases of `kernels.update`: steps in place, three in a row."""

import math

import numpy as np

from kernels.update import AdagradOptions, AdamOptions, RMSpropOptions, SGDOptions

OPTIONS = {"sgd": SGDOptions, "adam": AdamOptions, "rmsprop": RMSpropOptions, "adagrad": AdagradOptions}
STATES = {"sgd": 1, "adam": 3, "adamw": 3, "rmsprop": 3, "adagrad": 1}
NUMBERED = ("adam", "adamw", "adagrad")  # they take the number of the step


def optimiser(run, name, shapes, states, options):
    """Three steps of an optimiser with this number of its states."""
    params = [run.normal(*shape) for shape in shapes]
    state_arrays = [[run.uniform(*shape) + (0 if i else 20) for shape in shapes] for i in range(states)]
    state_arrays = [[array.astype(run.dtype) for array in state] for state in state_arrays]
    for number in (1, 2, 3):
        grads = [run.normal(*shape) for shape in shapes]
        more = {"step": number} if name in NUMBERED else {"first": number == 1} if name == "sgd" else {}
        run.call(name, params, grads, *state_arrays, **more, **options)


def strided(run, name, states, options):
    """Gradients that are not contiguous."""
    params = [run.normal(4, 6), run.normal(37)]
    grads = [run.normal(6, 4).T, run.normal(37, 2)[:, 0]]
    state_arrays = [[run.uniform(*array.shape) + run.dtype.type(20) for array in params] for _ in range(states)]
    more = {"step": 2} if name in NUMBERED else {}
    run.call(name, params, grads, *state_arrays, **more, **options)
    run.call("clip_grad_norm", grads, 1.0)


def clip(run, shapes, max_norm, norm_type):
    grads = [run.normal(*shape) for shape in shapes]
    run.call("clip_grad_norm", grads, max_norm, norm_type)


def ladder(run, name, states, options):
    arrays = [
        run.normal(37),
        run.normal(37),
        *(abs(run.normal(37)) + run.dtype.type(20 * (i == 0)) for i in range(states)),
    ]
    arrays += [np.empty(0, run.dtype)] * (STATES[name] - states)
    run.rungs("update", name, *arrays, OPTIONS[name](*options))


def ladder_of_clipping(run, size, norm_type):
    run.rungs("update", "clip_grad_norm", run.normal(size), norm_type)


SMALL, LARGE = ((1,), (4, 6), (37,)), ((200, 301), (5,), (33_000,), (0, 3))
EACH = (
    ("sgd", 0, {"lr": 0.1}),
    ("sgd", 1, {"lr": 0.1, "momentum": 0.9}),
    ("sgd", 1, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1, "maximize": True}),
    ("sgd", 1, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    *((name, states, options) for name in ("adam", "adamw") for states in (2, 3)
      for options in ({}, {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True})),
    ("rmsprop", 1, {}),
    ("rmsprop", 2, {"momentum": 0.8, "weight_decay": 0.1}),
    ("rmsprop", 3, {"momentum": 0.8, "maximize": True, "eps": 1e-3}),
    ("adagrad", 1, {}),
    ("adagrad", 1, {"lr_decay": 0.1, "weight_decay": 0.1, "eps": 1e-3, "maximize": True}),
)  # fmt: skip
LADDERS = {
    "sgd": ([0, 1], [(0.1, 0.9, 0.7, 0.1, False, False, 1.0), (0.1, 0.9, 1.0, 0.0, True, True, -1.0)]),
    "adam": ([2, 3], [(0.1, 0.9, 0.99, 3.0, 1e-3, 0.1, 1.0, 1.0), (0.1, 0.9, 0.99, 3.0, 1e-3, 0.0, 0.98, -1.0)]),
    "rmsprop": ([1, 3], [(0.1, 0.9, 1e-3, 0.1, 0.8, 1.0), (0.1, 0.9, 1e-3, 0.0, 0.8, -1.0)]),
    "adagrad": ([1], [(0.1, 1e-3, 0.1, 1.0), (0.1, 1e-3, 0.0, -1.0)]),
}
NORMS = (2.0, 1.0, math.inf, -math.inf, 3.0, 0.5, 0.0, -1.0)
CASES = [
    *((optimiser, name, shapes, states, options) for name, states, options in EACH for shapes in (SMALL, LARGE)),
    *((strided, name, states, options) for name, states, options in EACH[::2]),
    *((clip, shapes, max_norm, norm) for shapes in (SMALL, LARGE[:3]) for max_norm in (1.0, 1e9) for norm in NORMS),
    *((ladder, name, count, options) for name, (counts, each) in LADDERS.items() for count in counts
      for options in each),
    *((ladder_of_clipping, size, norm) for size in (1, 37, 1000) for norm in NORMS),
]  # fmt: skip

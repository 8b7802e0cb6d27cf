"""Optimisers on 10 M parameters in 100 tensors, half of them weights and half biases: one call updates all."""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import torch

import kernels
from benchmarks.cases.row import FLOAT, OURS, Row, normals, reference

PARAMETERS = ((400, 499), (400,)) * 50


@dataclass(frozen=True)
class Optimizer:
    """How many state arrays a parameter has, PyTorch's class and the options of both, FLOPs of a parameter."""

    states: int
    torch: type
    flops: int
    floor: float
    options: dict = field(default_factory=dict)


OPTIMIZERS = {
    "adam": Optimizer(states=2, torch=torch.optim.Adam, flops=12, floor=1.5, options={"lr": 1e-3}),
    "adamw": Optimizer(
        states=2, torch=torch.optim.AdamW, flops=13, floor=1.5, options={"lr": 1e-3, "weight_decay": 1e-2}
    ),
    "sgd": Optimizer(states=1, torch=torch.optim.SGD, flops=4, floor=1.0, options={"lr": 1e-3, "momentum": 0.9}),
}


def rows():
    return map(update, OPTIMIZERS)


def update(operation: str) -> Row:
    case = OPTIMIZERS[operation]
    size = sum(map(math.prod, PARAMETERS))

    def ours(function):
        params, grads = normals(*PARAMETERS), normals(*PARAMETERS)
        states = [[np.zeros_like(param) for param in params] for _ in range(case.states)]
        count = itertools.count(1)

        def call():
            step = next(count)
            progress = {"first": step == 1} if operation == "sgd" else {"step": step}
            function(params, grads, *states, **case.options, **progress)
            return params

        return call

    def theirs(**choice):
        params = [torch.nn.Parameter(torch.from_numpy(param)) for param in normals(*PARAMETERS)]
        for param, grad in zip(params, normals(*PARAMETERS), strict=True):
            param.grad = torch.from_numpy(grad)
        optimizer = case.torch(params, **case.options, **choice)

        def call():
            optimizer.step()
            return params

        return call

    def build():
        return {
            OURS: ours(getattr(kernels, operation)),
            "numpy": ours(getattr(reference("update"), operation)),
            "torch": theirs(),
            "torch-fused": theirs(fused=True),
        }

    return Row(
        family="update",
        operation=operation,
        shape=f"{size // 10**6}M-{len(PARAMETERS)}",
        kind="memory",
        flops=case.flops * size,
        bytes=FLOAT * (3 + 2 * case.states) * size,  # parameter, gradient and state read; parameter and state written
        build=build,
        peers=(OURS, "numpy", "torch", "torch-fused"),
        floor=case.floor,
        records=True,
    )

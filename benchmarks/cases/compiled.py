"""Networks compiled by `nn.compile` on one input, and training steps by `nn.compile_step`, beside PyTorch.

The first perceptron is a policy that a simulation asks at each of its steps: a hundred calls in a jitted loop, where
PyTorch's are called from Python, as they can only be. The others are called from Python on both sides.
"""

import dataclasses
import functools
from importlib import import_module

import numba
import numpy as np
import torch

from benchmarks.cases import networks, training
from benchmarks.cases.row import FLOAT, JAX, OURS, Calls, Row
from benchmarks.cases.training import LEARNING_RATE, STEPS, images, initial, texts, user_steps

CALLS = 100
POLICY = (4, 64, 64, 2)
CONTEXT = 16  # tokens that the decoder reads
LENET_PRODUCTS, LENET_PARAMETERS = 416_520, 61_706
GPT_PARAMETERS, GPT_WIDTH, GPT_LAYERS = 823_040, 128, 4


def rows():
    products = sum(m * n for m, n in zip(POLICY, POLICY[1:], strict=False))
    yield row("mlp", f"4-64-64-2-b1-{CALLS}-calls", CALLS * 2 * products, CALLS * FLOAT * products, policy_calls, 2.0)
    yield row("lenet5", "b1", 2 * LENET_PRODUCTS, FLOAT * LENET_PARAMETERS, lenet5_calls, 1.0)
    scores = 4 * GPT_LAYERS * CONTEXT**2 * GPT_WIDTH
    flops = 2 * CONTEXT * GPT_PARAMETERS + scores
    yield row("gpt", f"b1-t{CONTEXT}", flops, FLOAT * GPT_PARAMETERS, gpt_calls, 1.0)
    yield step(training.mlp(), networks.mlp, lambda: images(training.MLP_BATCH, networks.MLP[0]))
    yield step(training.lenet5(), networks.lenet5, lambda: images(training.LENET_BATCH, 1, 28, 28))
    yield step(training.resnet20(), networks.resnet20, lambda: images(training.RESNET_BATCH, *training.RESNET_IMAGE))
    yield step(training.gpt(), networks.gpt, texts)


def row(network, shape, flops, size, build, floor):
    return Row(
        family="compiled",
        operation=f"compiled_{network}",
        shape=shape,
        kind="model",
        flops=flops,
        bytes=size,
        build=build,
        peers=(OURS, "torch"),
        floor=floor,
    )


def step(row, build, data):
    """The row of a training step, with ours compiled."""

    def calls():
        made = user_steps(build, initial(build), *data())
        return made | {OURS: compiled_step(build, *data())}

    peers = (OURS, "torch", *JAX, *STEPS)
    return dataclasses.replace(row, family="compiled", operation=f"compiled_{row.operation}", build=calls, peers=peers)


def compiled_step(build, x, target):
    nn = import_module("nn")
    model = build(nn)
    for parameter, value in zip(model.parameters(), initial(build), strict=True):
        parameter.data = nn.tensor(value)
    optimizer = nn.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    x, target = nn.tensor(x), nn.tensor(target)
    compiled = nn.compile_step(model, nn.CrossEntropyLoss(), optimizer, x, target)
    return lambda: compiled(x, target).item()


def policy(library):
    layers = [library.Linear(i, o) for i, o in zip(POLICY, POLICY[1:], strict=False)]
    return library.Sequential(layers[0], library.Tanh(), layers[1], library.Tanh(), layers[2])


def models(build, x):
    """Our network, compiled, and PyTorch's, with the same weights, in evaluation mode."""
    nn = import_module("nn")
    ours, theirs = build(nn).eval(), build(torch.nn).eval()
    for module, tensor in ((ours, nn.tensor), (theirs, torch.tensor)):
        for parameter, value in zip(module.parameters(), initial(build), strict=True):
            parameter.data = tensor(value)
    return nn.compile(ours, x), theirs


def policy_calls() -> Calls:
    x = np.random.default_rng(0).standard_normal((1, 4), dtype=np.float32)
    compiled, theirs = models(policy, x)
    function, weights, tensor = compiled.function, compiled.weights, torch.from_numpy(x)

    @numba.njit
    def inside(x, weights):
        for _ in range(CALLS):
            y = function(x, weights)
        return y

    def loop():
        for _ in range(CALLS):
            y = theirs(tensor)
        return y

    return {OURS: lambda: inside(x, weights), "torch": loop}


def lenet5_calls() -> Calls:
    return from_python(networks.lenet5, images(1, 1, 28, 28)[0])


def gpt_calls() -> Calls:
    return from_python(networks.gpt, np.random.default_rng(0).integers(0, 103, (1, CONTEXT)))


def from_python(build, x) -> Calls:
    nn = import_module("nn")
    compiled, theirs = models(build, x)
    ours_x, theirs_x = nn.Tensor(x), torch.from_numpy(x)
    return {OURS: lambda: compiled(ours_x).array, "torch": functools.partial(theirs, theirs_x)}

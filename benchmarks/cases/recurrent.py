"""Recurrent layers, forward and through time and back, single steps, and the LSTM's ladder: shapes are T-B-I-H."""

import functools
import itertools
from importlib import import_module

import numpy as np
import torch

import kernels
from benchmarks.cases.gemm import kind_of
from benchmarks.cases.row import FLOAT, OURS, PEERS, Calls, Row, named, normals, reference

KINDS = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN"}
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
SHAPES = ((128, 32, 128, 256), (64, 1, 64, 64), (256, 64, 256, 512))
STACK = 3, (160, 1, 40, 256)  # layers, T-B-I-H: the encoder of a voice's 1.6 seconds
CELLS = ((1, 256, 256), (64, 256, 256))  # B-I-H
LADDER_SHAPES = ((16, 8, 32, 64), (128, 32, 128, 256))
NUMPY_TOO = PEERS[:3]  # a scan in JAX would be a fourth way to write it


def rows():
    for kind, shape in itertools.product(KINDS, SHAPES):
        yield layer(kind, *shape)
        yield layer_training(kind, *shape)
    for kind in KINDS:
        yield stack(kind, *STACK)
    for kind, shape in itertools.product(KINDS, CELLS):
        yield cell(kind, *shape)
    for shape in LADDER_SHAPES:
        yield ladder(*shape)


def weights(kind: str, inputs: int, units: int) -> list[np.ndarray]:
    """weight_ih, weight_hh, bias_ih and bias_hh, as large as they are initialised."""
    rows = GATES[kind] * units
    return [array * np.float32(units**-0.5) for array in normals((rows, inputs), (rows, units), (rows,), (rows,))]


def torch_module(name: str, arrays: list[np.ndarray], *sizes: int):
    """PyTorch's module on the memory of the arrays."""
    module = getattr(torch.nn, name)(*sizes)
    for parameter, array in zip(module.parameters(), arrays, strict=True):
        parameter.data = torch.from_numpy(array)
    return module


def flops(kind: str, rows: int, inputs: int, units: int) -> int:
    """Products and biases; each activation, and what it is multiplied with and added to, counts one."""
    products = 2 * GATES[kind] * units * (inputs + units)
    return rows * (products + {"lstm": 9, "gru": 10, "rnn": 1}[kind] * units)


def parameters(kind: str, inputs: int, units: int) -> int:
    return GATES[kind] * units * (inputs + units + 2)


def layer(kind: str, T: int, B: int, inputs: int, units: int) -> Row:
    count, size = flops(kind, T * B, inputs, units), T * B * (inputs + units) + parameters(kind, inputs, units)

    def build() -> Calls:
        (x,), params = normals((T, B, inputs)), weights(kind, inputs, units)
        module, seen = torch_module(KINDS[kind], params, inputs, units), torch.from_numpy(x)

        def torch_call():
            y, state = module(seen)
            return (y, [part[0] for part in state]) if kind == "lstm" else (y, state[0])

        return {
            OURS: functools.partial(getattr(kernels, kind), x, None, *params),
            "numpy": functools.partial(getattr(reference("recurrent"), kind), x, None, *params),
            "torch": torch_call,
        }

    return Row(
        family="recurrent",
        operation=kind,
        shape=named((T, B, inputs, units)),
        kind=kind_of(count, FLOAT * size),
        flops=count,
        bytes=FLOAT * size,
        build=build,
        peers=NUMPY_TOO,
        floor=1.5 if B == 1 else 1.0,
    )


def stack(kind: str, layers: int, shape: tuple) -> Row:
    """Several layers, each on the one below, as modules of our `nn` and of PyTorch, without gradients."""
    T, B, inputs, units = shape
    widths = [inputs] + [units] * (layers - 1)
    count = sum(flops(kind, T * B, width, units) for width in widths)
    size = sum(T * B * (width + units) + parameters(kind, width, units) for width in widths)

    def build() -> Calls:
        (x,), params = normals((T, B, inputs)), [weights(kind, width, units) for width in widths]
        nn, arrays = import_module("nn"), [array for layer_params in params for array in layer_params]
        ours = getattr(nn, KINDS[kind])(inputs, units, layers)
        for parameter, array in zip(ours.parameters(), arrays, strict=True):
            parameter.array = array
        module, seen, own = torch_module(KINDS[kind], arrays, inputs, units, layers), torch.from_numpy(x), nn.tensor(x)

        def call():
            with nn.no_grad():
                return ours(own)[0].array

        def numpy_call():
            y = x
            for layer_params in params:
                y = getattr(reference("recurrent"), kind)(y, None, *layer_params)[0]
            return y

        return {OURS: call, "numpy": numpy_call, "torch": lambda: module(seen)[0]}

    return Row(
        family="recurrent",
        operation=f"{kind}_stack",
        shape=f"{named(shape)}-x{layers}",
        kind=kind_of(count, FLOAT * size),
        flops=count,
        bytes=FLOAT * size,
        build=build,
        peers=NUMPY_TOO,
        floor=1.5,
    )


def layer_training(kind: str, T: int, B: int, inputs: int, units: int) -> Row:
    """Forward and backward, by the tapes of our `nn` and of PyTorch: gradients of the input and of all parameters."""
    count = 3 * flops(kind, T * B, inputs, units)
    size = 2 * T * B * (inputs + units) + 2 * parameters(kind, inputs, units)

    def build() -> Calls:
        x, dy = normals((T, B, inputs), (T, B, units))
        params, nn = weights(kind, inputs, units), import_module("nn")
        ours = getattr(nn, KINDS[kind])(inputs, units)
        for parameter, array in zip(ours.parameters(), params, strict=True):
            parameter.array = array
        return {
            OURS: through_tape(ours, nn.tensor, x, dy),
            "numpy": functools.partial(numpy_training, kind, x, dy, params),
            "torch": through_tape(torch_module(KINDS[kind], params, inputs, units), torch.tensor, x, dy),
        }

    return Row(
        family="recurrent",
        operation=f"{kind}_training",
        shape=named((T, B, inputs, units)),
        kind="compute",
        flops=count,
        bytes=FLOAT * size,
        build=build,
        peers=NUMPY_TOO,
        floor=1.5 if B == 1 else 1.2,
        records=True,
    )


def through_tape(module, tensor, x, dy):
    """The same lines for our `nn` and for ``torch.nn``."""
    x, dy = tensor(x, requires_grad=True), tensor(dy)

    def call():
        module.zero_grad()
        x.grad = None
        y, _ = module(x)
        y.backward(dy)
        return [x.grad, *(parameter.grad for parameter in module.parameters())]

    return call


def numpy_training(kind, x, dy, params):
    recurrent = reference("recurrent")
    units = dy.shape[-1]
    widths = {"lstm": {"gates": 4, "cells": 1}, "gru": {"gates": 4}, "rnn": {}}[kind]
    saved = {name: np.empty((*x.shape[:-1], width * units), x.dtype) for name, width in widths.items()}
    y, _ = getattr(recurrent, kind)(x, None, *params, **saved)
    backward = getattr(recurrent, f"{kind}_backward")
    dx, _, *dparams = backward(dy, None, x, None, *params[:2], y, *saved.values())
    return [dx, *dparams[:4]]


def cell(kind: str, B: int, inputs: int, units: int) -> Row:
    count = flops(kind, B, inputs, units)
    states = 2 if kind == "lstm" else 1
    size = B * (inputs + 2 * states * units) + parameters(kind, inputs, units)

    def build():
        x, *state = normals((B, inputs), *[(B, units)] * states)
        params = weights(kind, inputs, units)
        module = torch_module(f"{KINDS[kind]}Cell", params, inputs, units)
        hx = tuple(map(torch.from_numpy, state)) if kind == "lstm" else torch.from_numpy(state[0])
        seen = torch.from_numpy(x)
        arguments = (x, tuple(state) if kind == "lstm" else state[0], *params)
        return {
            OURS: functools.partial(getattr(kernels, f"{kind}_cell"), *arguments),
            "numpy": functools.partial(getattr(reference("recurrent"), f"{kind}_cell"), *arguments),
            "torch": lambda: module(seen, hx),
        }

    return Row(
        family="recurrent",
        operation=f"{kind}_cell",
        shape=named((B, inputs, units)),
        kind="small",
        flops=count,
        bytes=FLOAT * size,
        build=build,
        peers=NUMPY_TOO,
        floor=3.0,
    )


def ladder(T: int, B: int, inputs: int, units: int) -> Row:
    """Every variant of the LSTM on one shape, so that each rung shows what it bought."""
    variants = import_module("kernels.recurrent").VARIANTS["lstm"]

    def build() -> Calls:
        (x,), params = normals((T, B, inputs)), weights("lstm", inputs, units)
        module, seen = torch_module("LSTM", params, inputs, units), torch.from_numpy(x)
        made = {name: functools.partial(climb, rung, x, params) for name, rung in variants.items()}
        made["numpy"] = lambda: reference("recurrent").lstm(x, None, *params)[0]
        made["torch"] = lambda: module(seen)[0]
        return made

    return Row(
        family="recurrent",
        operation="lstm_ladder",
        shape=named((T, B, inputs, units)),
        kind="ladder",
        flops=flops("lstm", T * B, inputs, units),
        bytes=FLOAT * (T * B * (inputs + units) + parameters("lstm", inputs, units)),
        build=build,
        peers=(*variants, "numpy", "torch"),
        floor=None,
    )


def climb(rung, x, params):
    """What a rung makes of x, from states of zeros."""
    units = params[1].shape[1]
    h, c = np.zeros((2, x.shape[1], units), x.dtype)
    y = np.empty((*x.shape[:2], units), x.dtype)
    rung(x, h, c, *params, y)
    return y

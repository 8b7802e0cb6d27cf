"""Batch norm of a ResNet stage, layer and RMS norm of a transformer's rows, group norm of a U-Net stage."""

import functools
import math
from dataclasses import replace
from importlib import import_module

import numpy as np
import torch
import torch.nn.functional as F

import kernels
from benchmarks.cases.row import FLOAT, HAS_JAX, Row, calls, climb, jitted, named, normals, pullback, reference

if HAS_JAX:
    import jax.numpy as jnp

aten = torch.ops.aten
IMAGES, ROWS, GROUPED, GROUPS = (32, 64, 56, 56), (4096, 768), (8, 256, 28, 28), 32
EPS = 1e-5


def rows():
    yield batch_norm(training=True)
    yield batch_norm(training=False)
    yield batch_norm_backward()
    yield from (layer_norm(), layer_norm_backward(), rms_norm(), rms_norm_backward())
    yield add_layer_norm()
    yield from (group_norm(), group_norm_backward())
    yield batch_norm_ladder()


def row(operation, dims, flops, arrays, floor, build) -> Row:
    """A row of `flops` an element on `arrays` arrays of the input's size; statistics and weights hardly count."""
    size = math.prod(dims)
    return Row(
        family="normalization",
        operation=operation,
        shape=named(dims),
        kind="memory",
        flops=flops * size,
        bytes=arrays * FLOAT * size,
        build=build,
        floor=floor,
    )


def jax_norm(axes, weights=(-1,), centered=True, groups=None, eps=EPS):
    """Normalise over `axes` (of the groups, if any); weight and bias are given the shape `weights`."""

    def function(x, weight, bias=0.0):
        grouped = x if groups is None else x.reshape(x.shape[0], groups, -1)
        mean = grouped.mean(axes, keepdims=True) if centered else 0.0
        variance = ((grouped - mean) ** 2).mean(axes, keepdims=True)
        z = ((grouped - mean) / jnp.sqrt(variance + eps)).reshape(x.shape)
        return z * weight.reshape(weights) + (bias.reshape(weights) if centered else 0.0)

    return function


CHANNELS = (1, -1, 1, 1)
JAX_BATCH = jax_norm((0, 2, 3), CHANNELS)
JAX_LAYER, JAX_RMS = jax_norm((-1,)), jax_norm((-1,), centered=False)
JAX_GROUP = jax_norm((-1,), CHANNELS, groups=GROUPS)


def batch_norm(training: bool) -> Row:
    """Running statistics are updated in training, but for JAX, whose functions change nothing."""
    C = IMAGES[1]

    def jax_evaluation(x, mean, var, weight, bias):
        scale = weight / jnp.sqrt(var + EPS)
        return x * scale.reshape(CHANNELS) + (bias - mean * scale).reshape(CHANNELS)

    def build():
        x, weight, bias = normals(IMAGES, (C,), (C,))
        arrays = x, np.zeros(C, np.float32), np.ones(C, np.float32), weight, bias
        jax_call = jitted(JAX_BATCH, x, weight, bias) if training else jitted(jax_evaluation, *arrays)

        def torch_call(x, mean, var, weight, bias):
            return F.batch_norm(x, mean, var, weight, bias, training)

        return calls("normalization", "batch_norm", arrays, torch_call, training, jax_call=jax_call)

    if training:
        return row("batch_norm_train", IMAGES, 8, 2, 3.0, build)
    return row("batch_norm_eval", IMAGES, 2, 2, 1.0, build)


def batch_norm_backward() -> Row:
    C = IMAGES[1]

    def build():
        x, dy, weight = normals(IMAGES, IMAGES, (C,))
        mean, rstd = np.empty((2, C), np.float32)
        kernels.batch_norm(x, None, None, training=True, mean=mean, rstd=rstd)

        def torch_call(dy, x, mean, rstd, weight):
            return aten.native_batch_norm_backward(dy, x, weight, None, None, mean, rstd, True, EPS, [True] * 3)

        jax_call = pullback(JAX_BATCH, dy, x, weight, np.zeros_like(weight))
        return calls("normalization", "batch_norm_backward", (dy, x, mean, rstd, weight), torch_call, jax_call=jax_call)

    return row("batch_norm_backward", IMAGES, 10, 3, 2.0, build)


def layer_norm() -> Row:
    n = ROWS[1]

    def build():
        x, weight, bias = normals(ROWS, (n,), (n,))

        tensors = [torch.from_numpy(array) for array in (weight, bias)]
        jax_call = jitted(JAX_LAYER, x, weight, bias)
        settings = (n,), weight, bias
        torch_call = lambda x: F.layer_norm(x, (n,), *tensors)  # noqa: E731
        return calls("normalization", "layer_norm", (x,), torch_call, *settings, jax_call=jax_call)

    return row("layer_norm", ROWS, 8, 2, 1.2, build)


def layer_norm_backward() -> Row:
    n = ROWS[1]

    def build():
        x, dy, weight = normals(ROWS, ROWS, (n,))
        mean, rstd = np.empty((2, ROWS[0]), np.float32)
        kernels.layer_norm(x, (n,), mean=mean, rstd=rstd)
        kept, tensor = [torch.from_numpy(a[:, None]) for a in (mean, rstd)], torch.from_numpy(weight)

        def torch_call(dy, x):
            return aten.native_layer_norm_backward(dy, x, (n,), *kept, tensor, torch.zeros_like(tensor), [True] * 3)

        jax_call = pullback(JAX_LAYER, dy, x, weight, np.zeros_like(weight))
        settings = (n,), mean, rstd, weight
        return calls("normalization", "layer_norm_backward", (dy, x), torch_call, *settings, jax_call=jax_call)

    return row("layer_norm_backward", ROWS, 14, 3, 1.2, build)


def add_layer_norm() -> Row:
    """Residual connection and norm, as between the parts of a transformer."""
    n = ROWS[1]

    def build():
        x, residual, weight, bias = normals(ROWS, ROWS, (n,), (n,))
        tensors = [torch.from_numpy(array) for array in (weight, bias)]
        jax_call = jitted(lambda x, residual, *rest: JAX_LAYER(x + residual, *rest), x, residual, weight, bias)
        settings = (n,), weight, bias
        torch_call = lambda x, residual: F.layer_norm(x + residual, (n,), *tensors)  # noqa: E731
        return calls("normalization", "add_layer_norm", (x, residual), torch_call, *settings, jax_call=jax_call)

    return row("add_layer_norm", ROWS, 9, 3, 1.2, build)


def rms_norm() -> Row:
    n = ROWS[1]

    def build():
        x, weight = normals(ROWS, (n,))
        tensor = torch.from_numpy(weight)
        jax_call = jitted(JAX_RMS, x, weight)
        settings = (n,), weight, EPS
        torch_call = lambda x: F.rms_norm(x, (n,), tensor, EPS)  # noqa: E731
        return calls("normalization", "rms_norm", (x,), torch_call, *settings, jax_call=jax_call)

    return row("rms_norm", ROWS, 4, 2, 1.2, build)


def rms_norm_backward() -> Row:
    """PyTorch has no such operator on the CPU: it is what its tape makes of the forward's parts."""
    n = ROWS[1]

    def build():
        x, dy, weight = normals(ROWS, ROWS, (n,))
        rstd = np.empty(ROWS[0], np.float32)
        kernels.rms_norm(x, (n,), eps=EPS, rstd=rstd)
        leaves = [torch.from_numpy(a).requires_grad_() for a in (x, weight)]
        y = F.rms_norm(leaves[0], (n,), leaves[1], EPS)

        def torch_call(dy, x):
            return torch.autograd.grad(y, leaves, dy, retain_graph=True)

        jax_call = pullback(JAX_RMS, dy, x, weight)
        settings = (n,), rstd, weight
        return calls("normalization", "rms_norm_backward", (dy, x), torch_call, *settings, jax_call=jax_call)

    return replace(row("rms_norm_backward", ROWS, 10, 3, 1.2, build), records=True)


def group_norm() -> Row:
    C = GROUPED[1]

    def build():
        x, weight, bias = normals(GROUPED, (C,), (C,))
        tensors = [torch.from_numpy(array) for array in (weight, bias)]
        jax_call = jitted(JAX_GROUP, x, weight, bias)
        settings = GROUPS, weight, bias
        torch_call = lambda x: F.group_norm(x, GROUPS, *tensors)  # noqa: E731
        return calls("normalization", "group_norm", (x,), torch_call, *settings, jax_call=jax_call)

    return row("group_norm", GROUPED, 8, 2, 1.2, build)


def group_norm_backward() -> Row:
    N, C = GROUPED[:2]

    def build():
        x, dy, weight = normals(GROUPED, GROUPED, (C,))
        mean, rstd = np.empty((2, N, GROUPS), np.float32)
        kernels.group_norm(x, GROUPS, mean=mean, rstd=rstd)
        kept = [torch.from_numpy(array) for array in (mean, rstd, weight)]

        def torch_call(dy, x):
            positions = math.prod(GROUPED[2:])
            return aten.native_group_norm_backward(dy, x, *kept, N, C, positions, GROUPS, [True] * 3)

        jax_call = pullback(JAX_GROUP, dy, x, weight, np.zeros_like(weight))
        settings = GROUPS, mean, rstd, weight
        return calls("normalization", "group_norm_backward", (dy, x), torch_call, *settings, jax_call=jax_call)

    return row("group_norm_backward", GROUPED, 10, 3, 1.2, build)


def batch_norm_ladder() -> Row:
    """Every variant of the training forward on one shape, so that each rung shows what it bought."""
    N, C, H, W = IMAGES
    variants = import_module("kernels.normalization").VARIANTS["batch_norm"]

    def build():
        x, weight, bias = normals((N, C, H * W), (C,), (C,))
        outputs = np.empty(C, np.float32), np.empty(C, np.float32), np.empty_like(x)
        made = {name: functools.partial(climb, rung, x, weight, bias, EPS, *outputs) for name, rung in variants.items()}
        arrays = x, np.zeros(C, np.float32), np.ones(C, np.float32), weight, bias
        made["numpy"] = functools.partial(reference("normalization").batch_norm, *arrays, True)
        made["torch"] = functools.partial(F.batch_norm, *map(torch.from_numpy, arrays), True)
        return made

    ladder = row("batch_norm_ladder", IMAGES, 8, 2, None, build)
    return replace(ladder, kind="ladder", peers=(*variants, "numpy", "torch"))

"""Activations on 3.1 M elements (a transformer's 4096 × 768) and on 1,000, where the call itself is what counts."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from benchmarks.cases.row import FLOAT, HAS_JAX, Row, calls, jitted, named, normals, pullback, reference

if HAS_JAX:
    import jax
    import jax.numpy as jnp

aten = torch.ops.aten
WIDE, TINY = (4096, 768), (1000,)


@dataclass(frozen=True)
class Activation:
    """A public name and its options, what the backward reads, PyTorch's two forms and JAX's."""

    name: str
    saves: str  # "x" or "y"
    torch: Callable
    torch_backward: Callable
    jax: Callable
    options: tuple = ()


ACTIVATIONS = {
    "relu": Activation(
        name="relu",
        saves="y",
        torch=torch.relu,
        torch_backward=lambda dy, y: aten.threshold_backward(dy, y, 0),
        jax=lambda x: jax.nn.relu(x),
    ),
    "gelu": Activation(
        name="gelu",
        saves="x",
        torch=F.gelu,
        torch_backward=aten.gelu_backward,
        jax=lambda x: jax.nn.gelu(x, approximate=False),
    ),
    "gelu_tanh": Activation(
        name="gelu",
        saves="x",
        torch=functools.partial(F.gelu, approximate="tanh"),
        torch_backward=functools.partial(aten.gelu_backward, approximate="tanh"),
        jax=lambda x: jax.nn.gelu(x, approximate=True),
        options=("tanh",),
    ),
    "silu": Activation(
        name="silu", saves="x", torch=F.silu, torch_backward=aten.silu_backward, jax=lambda x: jax.nn.silu(x)
    ),
    "sigmoid": Activation(
        name="sigmoid",
        saves="y",
        torch=torch.sigmoid,
        torch_backward=aten.sigmoid_backward,
        jax=lambda x: jax.nn.sigmoid(x),
    ),
    "tanh": Activation(
        name="tanh", saves="y", torch=torch.tanh, torch_backward=aten.tanh_backward, jax=lambda x: jnp.tanh(x)
    ),
    "exp": Activation(name="exp", saves="y", torch=torch.exp, torch_backward=torch.mul, jax=lambda x: jnp.exp(x)),
    "erf": Activation(
        name="erf",
        saves="x",
        torch=torch.erf,
        torch_backward=lambda dy, x: dy * (math.sqrt(4 / math.pi) * torch.exp(-(x * x))),
        jax=lambda x: jax.lax.erf(x),
    ),
    "expm1": Activation(
        name="expm1",
        saves="y",
        torch=torch.expm1,
        torch_backward=lambda dy, y: dy * (y + 1),
        jax=lambda x: jnp.expm1(x),
    ),
}


def rows():
    for operation in ACTIVATIONS:
        yield forward(operation, WIDE, "memory", floor=1.0)
        yield forward(operation, TINY, "small", floor=2.0)
        yield backward(operation, WIDE)


def forward(operation: str, dims: tuple[int, ...], kind: str, floor: float) -> Row:
    case, size = ACTIVATIONS[operation], math.prod(dims)

    def build():
        (x,) = normals(dims)
        return calls("activation", case.name, (x,), case.torch, *case.options, jax_call=jitted(case.jax, x))

    return Row(
        family="activation",
        operation=operation,
        shape=named(dims),
        kind=kind,
        flops=size,
        bytes=2 * FLOAT * size,
        build=build,
        floor=floor,
    )


def backward(operation: str, dims: tuple[int, ...]) -> Row:
    case, size = ACTIVATIONS[operation], math.prod(dims)

    def build():
        x, dy = normals(dims, dims)
        saved = x if case.saves == "x" else getattr(reference("activation"), case.name)(x, *case.options)
        jax_call = pullback(case.jax, dy, x)
        name = f"{case.name}_backward"
        return calls("activation", name, (dy, saved), case.torch_backward, *case.options, jax_call=jax_call)

    return Row(
        family="activation",
        operation=f"{operation}_backward",
        shape=named(dims),
        kind="memory",
        flops=size,
        bytes=3 * FLOAT * size,
        build=build,
    )

"""Cross-entropy of a classifier's and a language model's logits; mse and binary cross-entropy on 3.1 M elements;
sentences of 40 characters."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

import kernels
from benchmarks.cases.row import (
    FLOAT,
    HAS_JAX,
    INDEX,
    ONE,
    OURS,
    PEERS,
    Row,
    calls,
    jitted,
    named,
    normals,
    pullback,
    reference,
)

if HAS_JAX:
    import jax
    import jax.numpy as jnp

aten = torch.ops.aten
SEQUENCES = 200, 16, 40, 40  # times, samples, classes, targets
CROSS_ENTROPY_SHAPES = ((4096, 1000), (512, 32000))
VOCABULARY_SHAPE = (512, 512, 32000)  # rows, width, classes
WIDE = (4096, 768)


@dataclass(frozen=True)
class ElementwiseLoss:
    """PyTorch's loss, its backward for x (None: only the tape has it), JAX's formula, FLOPs of an element."""

    torch: Callable
    torch_backward: Callable | None
    jax: Callable
    flops: int


ELEMENTWISE = {
    "mse_loss": ElementwiseLoss(
        torch=F.mse_loss,
        torch_backward=lambda dy, x, target: aten.mse_loss_backward(dy, x, target, 1),
        jax=lambda x, target: jnp.mean((x - target) ** 2),
        flops=3,
    ),
    "binary_cross_entropy": ElementwiseLoss(
        torch=F.binary_cross_entropy,
        torch_backward=lambda dy, x, target: aten.binary_cross_entropy_backward(dy, x, target, None, 1),
        jax=lambda x, target: -jnp.mean(target * jnp.log(x) + (1 - target) * jnp.log1p(-x)),
        flops=7,
    ),
    "binary_cross_entropy_with_logits": ElementwiseLoss(
        torch=F.binary_cross_entropy_with_logits,
        torch_backward=None,
        jax=lambda x, target: jnp.mean(jnp.maximum(x, 0) - x * target + jnp.log1p(jnp.exp(-jnp.abs(x)))),
        flops=7,
    ),
}


def rows():
    for dims in CROSS_ENTROPY_SHAPES:
        yield cross_entropy(*dims)
        yield cross_entropy_step(*dims)
    yield linear_cross_entropy_step(*VOCABULARY_SHAPE)
    for operation in ELEMENTWISE:
        yield elementwise(operation)
        yield elementwise_backward(operation)
    yield sequences(*SEQUENCES)


def classification(n: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits and class indices."""
    (x,) = normals((n, classes))
    return x, np.random.default_rng(1).integers(0, classes, n)


def jax_cross_entropy(x, target):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(x), target[:, None], 1))


def cross_entropy(n: int, classes: int) -> Row:
    size = n * classes

    def build():
        arrays = classification(n, classes)
        return calls("loss", "cross_entropy", arrays, F.cross_entropy, jax_call=jitted(jax_cross_entropy, *arrays))

    return Row(
        family="loss",
        operation="cross_entropy",
        shape=named((n, classes)),
        kind="memory",
        flops=4 * size,  # maximum, subtraction, exponential, sum
        bytes=FLOAT * size + INDEX * n,
        build=build,
    )


def cross_entropy_step(n: int, classes: int) -> Row:
    """Loss and gradient together, as a training step asks for them."""
    size = n * classes

    def step(module, x, target):
        lse = np.empty(n, np.float32)
        loss = module.cross_entropy(x, target, lse=lse)
        return loss, module.cross_entropy_backward(ONE, x, target, lse=lse)

    def torch_step(x, target, dy):
        log_p = torch.log_softmax(x, 1)
        loss, total = aten.nll_loss_forward(log_p, target, None, 1, -100)
        dlog_p = aten.nll_loss_backward(dy, log_p, target, None, 1, -100, total)
        return loss, aten._log_softmax_backward_data(dlog_p, log_p, 1, torch.float32)

    def build():
        x, target = classification(n, classes)
        made = {
            OURS: functools.partial(step, kernels, x, target),
            "numpy": functools.partial(step, reference("loss"), x, target),
            "torch": functools.partial(torch_step, *map(torch.from_numpy, (x, target)), torch.ones(())),
        }
        if HAS_JAX:
            made["jax"] = jitted(jax.value_and_grad(jax_cross_entropy), x, target)
        return made

    return Row(
        family="loss",
        operation="cross_entropy_step",
        shape=named((n, classes)),
        kind="memory",
        flops=6 * size,
        bytes=2 * FLOAT * size + INDEX * n,
        build=build,
    )


def linear_cross_entropy_step(n: int, width: int, classes: int) -> Row:
    """The last layer and the loss of a language model, with the gradients of x and of the weight."""

    def inputs():
        x, weight = normals((n, width), (classes, width))
        return x, weight * np.float32(width**-0.5), np.random.default_rng(1).integers(0, classes, n)

    def step(x, weight, target):
        gradients = np.empty_like(x), np.empty_like(weight), None
        loss = kernels.linear_cross_entropy(x, weight, target, gradients=gradients)
        return loss, *kernels.linear_cross_entropy_backward(ONE, x, weight, target, gradients=gradients)

    def numpy_step(x, weight, target):
        loss = reference("loss").linear_cross_entropy(x, weight, target)
        dx, dweight, _ = reference("loss").linear_cross_entropy_backward(ONE, x, weight, target)
        return loss, dx, dweight

    def jax_loss(x, weight, target):
        return jax_cross_entropy(x @ weight.T, target)

    def build():
        x, weight, target = inputs()
        leaves, indices = [torch.from_numpy(a).requires_grad_() for a in (x, weight)], torch.from_numpy(target)

        def torch_step():
            loss = F.cross_entropy(F.linear(*leaves), indices)
            return loss, *torch.autograd.grad(loss, leaves)

        made = {
            OURS: functools.partial(step, x, weight, target),
            "numpy": functools.partial(numpy_step, x, weight, target),
            "torch": torch_step,
        }
        if HAS_JAX:
            made["jax"] = jitted(jax.value_and_grad(jax_loss, (0, 1)), x, weight, target)
        return made

    return Row(
        family="loss",
        operation="linear_cross_entropy_step",
        shape=named((n, width, classes)),
        kind="compute",
        flops=6 * n * width * classes,
        bytes=FLOAT * (2 * n * width + 2 * width * classes),
        build=build,
        floor=1.1,
        records=True,
    )


def regression(operation: str) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets: real numbers for mse, else probabilities or logits and labels 0 and 1."""
    x, target = normals(WIDE, WIDE)
    if operation == "mse_loss":
        return x, target
    labels = (target > 0).astype(np.float32)
    return (1 / (1 + np.exp(-x)) if operation == "binary_cross_entropy" else x), labels


def elementwise(operation: str) -> Row:
    case, size = ELEMENTWISE[operation], math.prod(WIDE)

    def build():
        arrays = regression(operation)
        return calls("loss", operation, arrays, case.torch, jax_call=jitted(case.jax, *arrays))

    return Row(
        family="loss",
        operation=operation,
        shape=named(WIDE),
        kind="memory",
        flops=case.flops * size,
        bytes=2 * FLOAT * size,
        build=build,
    )


def elementwise_backward(operation: str) -> Row:
    case, size = ELEMENTWISE[operation], math.prod(WIDE)

    def taped(x, target):
        leaf = torch.from_numpy(x).requires_grad_()
        loss = case.torch(leaf, torch.from_numpy(target))
        return lambda dy, *_: torch.autograd.grad(loss, leaf, dy, retain_graph=True)

    def build():
        x, target = regression(operation)
        torch_call = case.torch_backward or taped(x, target)
        # PyTorch's operators give dx alone, and so must ours where it could give dtarget, too.
        settings = {"needs": (True, False)} if operation == "mse_loss" else {}
        jax_call = pullback(lambda x: case.jax(x, target), ONE, x)
        return calls("loss", f"{operation}_backward", (ONE, x, target), torch_call, jax_call=jax_call, **settings)

    return Row(
        family="loss",
        operation=f"{operation}_backward",
        shape=named(WIDE),
        kind="memory",
        flops=3 * size,
        bytes=3 * FLOAT * size,
        build=build,
        records=case.torch_backward is None,
    )


def sequences(t: int, n: int, c: int, s: int) -> Row:
    """The loss of sequences of s classes at t times."""

    def build():
        (x,) = normals((t, n, c))
        log_probs = torch.from_numpy(x).log_softmax(-1).numpy()
        others = np.random.default_rng(1).integers(1, c, (n, s)), np.full(n, t), np.full(n, s)
        tensors = [torch.from_numpy(array) for array in others]
        return calls("loss", "ctc_loss", (log_probs,), lambda x: F.ctc_loss(x, *tensors), *others)

    return Row(
        family="loss",
        operation="ctc_loss",
        shape=named((t, n, c, s)),
        kind="compute",
        flops=9 * t * n * (2 * s + 1),  # three exponentials, a logarithm, two additions, three more of their arguments
        bytes=FLOAT * t * n * (2 * s + 1),
        build=build,
        peers=PEERS[:3],
    )

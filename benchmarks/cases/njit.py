"""Small kernels inside the user's jitted code: a hundred calls in a jitted loop, where the others' are called from
Python, as they can only be.

The last one is a policy: an MLP 4-64-64-2 at batch 1, as a simulation calls it at each of its steps.
"""

import numba
import torch
from torch.nn import functional as F

import kernels
from benchmarks.cases.row import FLOAT, OURS, Row, normals, reference

CALLS = 100


def rows():
    yield njit("matmul", (16, 16), (16, 16), flops=2 * 16**3, torch_call=torch.matmul)
    yield njit("softmax", (64,), flops=3 * 64, torch_call=lambda x: torch.softmax(x, -1))
    yield njit("relu", (64,), flops=64, torch_call=torch.relu)
    yield njit("linear", (1, 64), (64, 64), flops=2 * 64**2, torch_call=F.linear)
    yield njit("conv2d", (1, 4, 8, 8), (8, 4, 3, 3), flops=2 * 4 * 8 * 9 * 36, torch_call=F.conv2d)
    yield policy()


def njit(operation, *shapes, flops, torch_call):
    def build():
        arrays = normals(*shapes)
        kernel, plain = getattr(kernels, operation), getattr(reference(FAMILIES[operation]), operation)
        return repeated(kernel, plain, torch_call, arrays)

    elements = sum(map(product, shapes))
    return row(f"njit_{operation}", "x".join(map(str, shapes[0])), flops, FLOAT * elements, build)


FAMILIES = {
    "matmul": "gemm",
    "softmax": "reduction",
    "relu": "activation",
    "linear": "affine",
    "conv2d": "convolution",
}


def product(shape):
    total = 1
    for length in shape:
        total *= length
    return total


def row(operation, shape, flops, bytes, build):
    return Row(
        family="njit",
        operation=operation,
        shape=f"{shape}-{CALLS}-calls",
        kind="small",
        flops=CALLS * flops,
        bytes=CALLS * bytes,
        build=build,
        peers=(OURS, "numpy", "torch"),
        floor=2.0,
    )


def repeated(kernel, plain, torch_call, arrays):
    """`CALLS` calls by each: a jitted loop around the kernel, and Python's loops."""
    inside = _loop(kernel, len(arrays))
    tensors = [torch.from_numpy(array) for array in arrays]

    def loop(function, arguments):
        for _ in range(CALLS):
            result = function(*arguments)
        return result

    return {
        OURS: lambda: inside(*arrays),
        "numpy": lambda: loop(plain, arrays),
        "torch": lambda: loop(torch_call, tensors),
    }


def _loop(kernel, count):
    if count == 1:

        @numba.njit
        def one(x):
            for _ in range(CALLS):
                result = kernel(x)
            return result

        return one

    @numba.njit
    def two(x, y):
        for _ in range(CALLS):
            result = kernel(x, y)
        return result

    return two


def policy():
    widths = (4, 64, 64, 2)

    def build():
        linear, plain = kernels.linear, reference("affine").linear
        x, *weights = normals((1, 4), *((n, m) for m, n in zip(widths, widths[1:], strict=False)))
        biases = normals(*((n,) for n in widths[1:]))

        @numba.njit
        def inside(x, weights, biases):
            for _ in range(CALLS):
                h = linear(x, weights[0], biases[0], "tanh")
                h = linear(h, weights[1], biases[1], "tanh")
                y = linear(h, weights[2], biases[2])
            return y

        def loop(function, x, weights, biases):
            for _ in range(CALLS):
                h = function(x, weights[0], biases[0], "tanh")
                h = function(h, weights[1], biases[1], "tanh")
                y = function(h, weights[2], biases[2])
            return y

        def torch_linear(x, weight, bias, activation=None):
            y = F.linear(x, weight, bias)
            return torch.tanh(y) if activation else y

        tensors = [[torch.from_numpy(array) for array in part] for part in ([x], weights, biases)]
        (first,), second, third = tensors
        return {
            OURS: lambda: inside(x, tuple(weights), tuple(biases)),
            "numpy": lambda: loop(plain, x, weights, biases),
            "torch": lambda: loop(torch_linear, first, second, third),
        }

    products = sum(m * n for m, n in zip(widths, widths[1:], strict=False))
    return row("njit_policy", "x".join(map(str, widths)), 2 * products, FLOAT * products, build)

"""Convolutions of real networks: a shape is kernel-C-OC-size; each has a row for y, for dx, and for dw with db.

The FLOPs of a 3×3 kernel of stride 1, dilated or not, are those of Winograd's F(2×2, 3×3), which needs 4 products where
the definition needs 9: counting 9 would allow a share of the limit above 1.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from math import prod

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.cases.gemm import kind_of
from benchmarks.cases.row import FLOAT, HAS_JAX, Row, calls, climb, jitted, named, normals, pullback, reference

if HAS_JAX:
    import jax
    import jax.numpy as jnp

aten = torch.ops.aten


@dataclass(frozen=True)
class Case:
    """One convolution: batch, channels, kernel and image, and the floors of its three rows."""

    N: int
    C: int
    OC: int
    kernel: tuple[int, ...]
    size: tuple[int, ...]
    stride: int = 1
    padding: int | tuple[int, ...] = 0
    dilation: int = 1
    groups: int = 1
    transposed: bool = False
    floors: dict[str, float] = field(default_factory=dict)  # "y", "dx", "dw": where it is not 1

    @property
    def operation(self) -> str:
        return f"conv{'_transpose' if self.transposed else ''}{len(self.kernel)}d"

    @property
    def shape(self) -> str:
        words = ["x".join(map(str, self.kernel))]
        words += [f"stride{self.stride}"] * (self.stride > 1) + [f"dilation{self.dilation}"] * (self.dilation > 1)
        if self.groups > 1:
            return named(["depthwise", *words, self.C, self.size[0]])
        return named([*words, self.C, self.OC, self.size[0]])

    @property
    def paddings(self) -> tuple[int, ...]:
        """One an axis."""
        return self.padding if isinstance(self.padding, tuple) else (self.padding,) * len(self.kernel)

    @property
    def output(self) -> tuple[int, ...]:
        reach = [self.dilation * (k - 1) - 2 * p for k, p in zip(self.kernel, self.paddings, strict=True)]
        if self.transposed:
            return tuple((n - 1) * self.stride + r + 1 for n, r in zip(self.size, reach, strict=True))
        return tuple((n - r - 1) // self.stride + 1 for n, r in zip(self.size, reach, strict=True))

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Of x, weight, bias, y."""
        outer, inner = (self.C, self.OC) if self.transposed else (self.OC, self.C)
        weight = (outer, inner // self.groups, *self.kernel)
        return [(self.N, self.C, *self.size), weight, (self.OC,), (self.N, self.OC, *self.output)]

    @property
    def products(self) -> int:
        """Multiplications and additions of the definition."""
        positions = self.size if self.transposed else self.output
        return 2 * self.N * prod(positions) * prod(self.shapes[1])

    @property
    def geometry(self) -> tuple:
        """The arguments after the bias, in the order of the function."""
        if self.transposed:
            return self.stride, self.padding, 0, self.groups, self.dilation
        return self.stride, self.padding, self.dilation, self.groups

    @property
    def flops(self) -> int:
        """The least that any of the algorithms does."""
        winograd = (self.kernel, self.stride, self.groups) == ((3, 3), 1, 1)
        return self.products * 4 // 9 if winograd else self.products


WINOGRAD, DEPTHWISE = {"y": 1.3}, {"y": 1.5, "dx": 1.5, "dw": 1.5}
CASES = (
    Case(1, 3, 64, (7, 7), (224, 224), stride=2, padding=3),
    Case(8, 64, 64, (3, 3), (56, 56), padding=1, floors=WINOGRAD),
    Case(8, 128, 128, (3, 3), (28, 28), padding=1, floors=WINOGRAD),
    Case(8, 256, 256, (3, 3), (14, 14), padding=1, floors=WINOGRAD),
    Case(8, 512, 512, (3, 3), (7, 7), padding=1, floors=WINOGRAD),
    Case(8, 256, 64, (1, 1), (56, 56)),
    Case(8, 32, 32, (3, 3), (112, 112), padding=1, groups=32, floors=DEPTHWISE),
    Case(8, 512, 512, (3, 3), (14, 14), padding=1, groups=512, floors=DEPTHWISE),
    Case(32, 1, 16, (5, 5), (28, 28), padding=2),
    Case(8, 64, 64, (3, 3), (28, 28), padding=2, dilation=2),
    Case(8, 128, 64, (4, 4), (14, 14), stride=2, padding=1, transposed=True),
    Case(8, 64, 64, (9,), (4096,), padding=4),
    Case(32, 3, 16, (3, 3), (32, 32), padding=1),
    Case(32, 32, 64, (3, 3), (32, 32), stride=2, padding=1),
    Case(1, 192, 192, (1, 7), (17, 17), padding=(0, 3)),
    Case(1, 192, 192, (7, 1), (17, 17), padding=(3, 0)),
    Case(1, 288, 384, (3, 3), (35, 35), stride=2),
    Case(1, 1, 64, (64,), (4096,), padding=32),
    Case(1, 64, 64, (64,), (4096,), padding=32),
    Case(1, 1, 64, (256,), (16384,), stride=64),
)
LADDER = tuple(Case(1, C, C, (3, 3), (size, size), padding=1) for C, size in ((512, 7), (256, 14), (128, 28), (64, 56)))


def rows():
    for case in CASES:
        yield forward(case)
        yield backward(case, "dx", (True, False, False))
        yield backward(case, "dw", (False, True, True))
    yield from map(conv2d_ladder, LADDER)


def inputs(case: Case) -> list[np.ndarray]:
    """x, weight at the scale that keeps the output's variance, bias, dy."""
    x, weight, bias, dy = normals(*case.shapes)
    return [x, weight * np.float32(prod(weight.shape[1:]) ** -0.5), bias, dy]


def forward(case: Case) -> Row:
    size = FLOAT * sum(map(prod, case.shapes))

    def build():
        arrays = inputs(case)[:3]
        function = functools.partial(getattr(F, case.operation), **torch_geometry(case))
        jax_call = jitted(jax_convolution(case), *arrays)
        return calls("convolution", case.operation, arrays, function, *case.geometry, jax_call=jax_call)

    return Row(
        family="convolution",
        operation=case.operation,
        shape=case.shape,
        kind=kind_of(case.flops, size),
        flops=case.flops,
        bytes=size,
        build=build,
        floor=case.floors.get("y", 1.0),
    )


def backward(case: Case, wanted: str, needs: tuple[bool, bool, bool]) -> Row:
    x, weight, bias, y = map(prod, case.shapes)
    size = FLOAT * (y + x + weight + (bias if wanted == "dw" else 0))  # two are read, the other one is written

    def torch_call(dy, x, weight):
        n = len(case.kernel)
        each = lambda value: [value] * n  # noqa: E731
        return aten.convolution_backward(
            dy,
            x,
            weight,
            [case.OC],
            each(case.stride),
            case.paddings,
            each(case.dilation),
            case.transposed,
            each(0),
            case.groups,
            needs,
        )

    def build():
        x, weight, bias, dy = inputs(case)
        function = jax_convolution(case)
        if wanted == "dx":
            jax_call = pullback(lambda x: function(x, weight, bias), dy, x)
        else:
            jax_call = pullback(lambda weight, bias: function(x, weight, bias), dy, weight, bias)
        name = f"{case.operation}_backward"
        arrays = (dy, x, weight)
        return calls("convolution", name, arrays, torch_call, *case.geometry, jax_call=jax_call, needs=needs)

    return Row(
        family="convolution",
        operation=f"{case.operation}_{wanted}",
        shape=case.shape,
        kind=kind_of(case.flops, size),
        flops=case.flops,
        bytes=size,
        build=build,
        floor=case.floors.get(wanted, 1.0),
    )


def torch_geometry(case: Case) -> dict[str, int]:
    return {name: getattr(case, name) for name in ("stride", "padding", "dilation", "groups")}


def jax_convolution(case: Case) -> Callable:
    """The forward in JAX, whose transposed convolution is one of a dilated x with the flipped kernel."""
    n = len(case.kernel)

    def function(x, weight, bias):
        options = {"rhs_dilation": (case.dilation,) * n, "feature_group_count": case.groups}
        if case.transposed:
            weight = jnp.flip(weight, range(2, 2 + n)).swapaxes(0, 1)  # no group has more than one channel here
            border = [(case.dilation * (k - 1) - p,) * 2 for k, p in zip(case.kernel, case.paddings, strict=True)]
            y = jax.lax.conv_general_dilated(x, weight, (1,) * n, border, lhs_dilation=(case.stride,) * n, **options)
        else:
            border = [(p, p) for p in case.paddings]
            y = jax.lax.conv_general_dilated(x, weight, (case.stride,) * n, border, **options)
        return y + bias.reshape(-1, *(1,) * n)

    return function


def conv2d_ladder(case: Case) -> Row:
    """Every variant on one shape, so that each rung shows what it bought."""
    variants = import_module("kernels.convolution").VARIANTS["conv2d"]

    def build():
        x, weight, bias, y = inputs(case)
        pairs = [(value, value) for value in (case.stride, case.padding, case.dilation)]
        made = {
            name: functools.partial(climb, function, x, weight, bias, *pairs, case.groups, np.empty_like(y))
            for name, function in variants.items()
        }
        numpy_call = reference("convolution").conv2d
        made["numpy"] = functools.partial(numpy_call, x, weight, bias, *case.geometry, out=np.empty_like(y))
        tensors = map(torch.from_numpy, (x, weight, bias))
        made["torch"] = functools.partial(F.conv2d, *tensors, **torch_geometry(case))  # which takes no out
        return made

    return Row(
        family="convolution",
        operation="conv2d_ladder",
        shape=f"{case.size[0]}-{case.C}-{case.OC}-3x3",
        kind="ladder",
        flops=case.flops,
        bytes=FLOAT * sum(map(prod, case.shapes)),
        build=build,
        peers=(*variants, "numpy", "torch"),
        floor=None,
    )

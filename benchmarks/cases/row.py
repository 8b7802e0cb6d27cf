"""What a row of the board is, and who competes in it.

- ``innerloop``: the public function of `kernels` (or, for a training step, `nn`);
- ``numpy``: the function of the same name in `kernels.reference`;
- ``torch``: PyTorch as a user calls it. A backward calls the ATen operators that autograd would call, without the tape
  around them: its fastest form. ``torch-fused`` is a fused optimiser, which PyTorch has but does not choose by itself;
- ``torch-compile``: ``torch.compile`` with that optimiser, for training steps and inference, where there is a C++
  compiler;
- ``jax``: ``jax.jit``; a backward is its compiled pullback, the residuals already made; a training step is compiled
  whole, with the update, and its state is donated.

Every call takes no argument, allocates its own output, and computes the same thing from the same float32 inputs.

FLOPs count one for each addition, product and function of an element (so ``exp`` is 1, whatever it costs); bytes are
what has to be read and written at least once. Both are lower bounds, so no share of the roofline is flattered.
"""

import functools
import importlib.util
import os
import shutil
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
import torch

import kernels

HAS_JAX = importlib.util.find_spec("jax") is not None
if HAS_JAX:
    import jax
    import jax.numpy as jnp

HAS_COMPILER = any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++")))

OURS = "innerloop"
JAX = ("jax",) if HAS_JAX else ()
PEERS = (OURS, "numpy", "torch", *JAX)

COMPILED = ("torch-compile",) if HAS_COMPILER else ()

FLOAT = 4  # bytes of a float32
INDEX = 8  # bytes of an int64
ONE = np.ones((), np.float32)  # the gradient that reaches a mean

Calls = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class Row:
    """One operation on one shape: what it costs, who can do it, and the ratio that must hold."""

    family: str  # the kernel file, and with it bench_<family>.py
    operation: str
    shape: str
    kind: str  # "compute" | "memory" | "small" | "training"; "ladder" for the rungs of one kernel
    flops: int
    bytes: int
    build: Callable[[], Calls] = field(repr=False)  # makes the inputs once; one call for each peer
    peers: tuple[str, ...] = PEERS
    floor: float | None = 1.0  # least ratio to torch
    share_floor: float | None = None  # least share of the machine's limit
    blas: bool = False  # NumPy's side is BLAS and nothing else: at least as fast, row by row
    records: bool = False  # PyTorch needs its tape here, so inference mode is off

    @property
    def id(self) -> str:
        return f"{self.operation}-{self.shape}"

    def __str__(self) -> str:
        return self.id


def named(dims: Iterable[int]) -> str:
    """A shape as rows spell it: ``4096-768``."""
    return "-".join(map(str, dims))


def normals(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Float32 arrays of standard normals, the same ones on every call."""
    generator = np.random.default_rng(0)
    return [generator.standard_normal(shape, dtype=np.float32) for shape in shapes]


def reference(family: str):
    """The NumPy peer of one kernel file."""
    return import_module(f"kernels.reference.{family}")


def calls(family: str, name: str, arrays, torch_call, *options, jax_call=None, **settings) -> Calls:
    """One function of `kernels` and its reference on `arrays`, and PyTorch's on tensors that share their memory.

    `options` and `settings` go to the first two; `jax_call` is ready to be timed (see `jitted`, `pullback`).
    """
    tensors = [torch.from_numpy(array) for array in arrays]
    made = {
        OURS: functools.partial(getattr(kernels, name), *arrays, *options, **settings),
        "numpy": functools.partial(getattr(reference(family), name), *arrays, *options, **settings),
        "torch": functools.partial(torch_call, *tensors),
    }
    if jax_call is not None:
        made["jax"] = jax_call
    return made


def climb(rung, *arguments):
    """Call a rung of a ladder, which writes its result into its last argument; returns that."""
    rung(*arguments)
    return arguments[-1]


def jitted(function, *arrays):
    """`function` of arrays, or of lists and dicts of them, compiled by JAX, as a call that returns when the result is
    there; None without JAX."""
    if not HAS_JAX:
        return None
    compiled, inputs = jax.jit(function), jax.tree.map(jnp.asarray, arrays)
    return lambda: jax.block_until_ready(compiled(*inputs))


def compiled(function):
    """`function` by PyTorch's compiler. It gives up on code that it has compiled for many closures, so it forgets those
    of other rows; it warns of what is its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.compiler.reset()
        return torch.compile(function)


def pullback(function, dy, *arrays):
    """The compiled backward of `function` at `arrays`, its residuals made here, once; None without JAX."""
    if not HAS_JAX:
        return None
    _, pull = jax.vjp(function, *[jnp.asarray(array) for array in arrays])
    compiled, gradient = jax.jit(lambda pull, dy: pull(dy)), jnp.asarray(dy)
    return lambda: jax.block_until_ready(compiled(pull, gradient))

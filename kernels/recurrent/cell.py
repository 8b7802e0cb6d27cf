r"""One step of a recurrent network, on weights as they are in memory.

Packing would not pay for a single step, in which a sequence uses each weight only once. One sequence multiplies them as
dot products, which read weights in place; several sequences use `gemm`, which packs a block just before its use.
Threads divide the hidden units; each computes all gates of its units.
"""

from typing import NamedTuple

import numpy as np
from numba import int64, types

from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels._threads import threads_for
from kernels.gemm.driver import Packing, Shape, gemm
from kernels.gemm.micro import ADD, NV, Epilogue
from kernels.gemm.transposed import gemm_transposed, is_better_transposed
from kernels.gemm.vector import dot_products
from kernels.recurrent.driver import ONE, ZERO
from kernels.recurrent.gates import GRU, LSTM, Gates, Saved, State, activate, gates_and_terms
from kernels.recurrent.pack import copy_rows, panel_count
from kernels.simd import allocate, flat, lane_count, release, strided, view

# A single sequence reads this many elements of its weights in the time that the cheapest loops take for one.
READ_TOGETHER = 8
NO, YES = np.bool_(False), np.bool_(True)  # plain values to Numba, which compiles a callee again for each literal


class Weights(NamedTuple):
    """The arrays; a bias of size 0 stands for zeros."""

    ih: np.ndarray
    hh: np.ndarray
    bias_ih: np.ndarray
    bias_hh: np.ndarray


class Results(NamedTuple):
    """The new h and c, and the activated gates, of size 0 where they are not saved."""

    h: np.ndarray
    c: np.ndarray
    gates: np.ndarray


@jit(merge=True)
def _add_product(X, B, weight, K, units, H, Z):
    """``Z[b, j] += X[b] · weight[j]`` for `units` rows of the weight.

    The algorithm is chosen by H, the units of all threads, so that the bits do not depend on the number of threads.
    """
    if B == 1:
        dot_products(X, weight, Z, units, K)
    else:
        shape, epilogue = Shape(B, units, K), Epilogue(ADD, Z)
        if is_better_transposed(Z, B, H, weight.T):
            gemm_transposed(X, weight.T, Z, shape, epilogue)
        else:
            gemm(X, weight.T, Z, shape, epilogue, Packing(NO, YES, NO))


@jit
def _start_from_biases(Z, from_h, first, weights, B, units):
    """``Z = bias_ih`` and ``from_h += bias_hh``. `from_h` is Z itself, except for the GRU's candidate, whose two parts
    stay separate: so it is zeroed first."""
    bias_ih, bias_hh = weights.bias_ih, weights.bias_hh
    for b in range(B):
        row, row_from_h = flat(Z.row(b)), flat(from_h.row(b))
        for j in range(units):
            row_from_h[j] = 0
            row[j] = bias_ih[first + j] if bias_ih.size else 0
        if bias_hh.size:
            for j in range(units):
                row_from_h[j] += bias_hh[first + j]


@jit
def step_task(thread, stop, threads, kind, x, state, weights, results):
    """The hidden units of the threads from `thread` to `stop` - 1 of `threads`: x (B, I), h and c (B, H) to `results`.

    c and its result are the LSTM's alone.
    """
    (B, inputs), H = x.shape, results.h.shape[1]
    NR, panels = NV * lane_count(results.h), panel_count(H, results.h)
    first, last = thread * panels // threads * NR, min(stop * panels // threads * NR, H)
    units = last - first
    if units <= 0:
        return
    gates, terms = gates_and_terms(kind)
    memory = allocate(results.h, B * terms * units)
    z = Gates(strided(memory, terms * units, 1), units)
    for gate in range(gates):
        term = 3 if kind == GRU and gate == 2 else gate  # the candidate's two terms stay apart
        from_x, from_h, row = z.rows.column(gate * units), z.rows.column(term * units), gate * H + first
        _start_from_biases(from_x, from_h, row, weights, B, units)
        _add_product(view(x), B, view(weights.ih).row(row), inputs, units, H, from_x)
        _add_product(view(state.h), B, view(weights.hh).row(row), H, units, H, from_h)
    c = view(results.c).column(first)
    if kind == LSTM:
        copy_rows(view(state.c).column(first), B, units, c)
    saved = Saved(Gates(view(results.gates).column(first), H), c, results.gates.size > 0)
    before = State(view(state.h).column(first), c)
    activate(kind, z, before, view(results.h).column(first), saved, B, ZERO, units)
    release(memory)


@jit
def _step(kind, x, state, weights, results, threads):
    h, c = state
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    new_h, new_c, gates = results
    named = Weights(weight_ih, weight_hh, bias_ih, bias_hh)
    arguments = threads, kind, x, State(h, c), named, Results(new_h, new_c, gates)
    parallel_for(step_task, threads, ONE, threads, arguments)


def _types(kind):
    vector, matrix = kind[::1], kind[:, ::1]
    weights = types.Tuple((matrix, matrix, vector, vector))
    return int64, matrix, types.UniTuple(matrix, 2), weights, types.UniTuple(matrix, 3), int64


_compiled = Compiled(_step, _types)


def run(kind, x, state, weights, results):
    """A step on as many threads as pay off. `state` is (h, c), `weights` (weight_ih, weight_hh, bias_ih, bias_hh),
    and `results` (h, c, gates) are written, gates unless of size 0."""
    weight_ih, weight_hh, *_ = weights
    weights_size = weight_ih.size + weight_hh.size
    if len(x) == 1:  # reading the weights is the limit
        threads = threads_for(elements=weights_size // READ_TOGETHER)
    else:
        threads = threads_for(multiply_adds=len(x) * weights_size)
    _compiled[x.dtype](kind, x, state, weights, results, threads)

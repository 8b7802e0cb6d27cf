r"""The walk through time: one layer of an RNN, GRU or LSTM in one direction.

    z_t = x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh          then the gates (`gates`)

The sequences of a batch know nothing of each other, so that each thread takes some of them through all of time and
never waits for another. A sequence alone is walked by all threads together, each computing hidden units of its own and
waiting for the others at the end of a step, if a step is worth that. The weights are packed once for the whole walk,
strip by strip as the micro-kernel of `gemm` wants them, each gate in strips of its own:

    for a block of steps:        enough of them to give the micro-kernel rows:
        z = x W_ihᵀ + biases       all of the block in one product
        for each step of it:
            for each strip of hidden units:
                z += h W_hhᵀ       for each gate
                gates(z) -> c, h   while z is in L1

Steps are packed as in PyTorch: step t holds the first ``sizes[t]`` sequences, its rows beginning with row
``starts[t]``; a full batch is the special case of equal sizes.
"""

import numpy as np
from numba import boolean, int64

from kernels import machine
from kernels._jit import Compiled, jit
from kernels._parallel import BARRIER, all_running, barrier, parallel_for
from kernels._threads import get_num_threads, threads_for
from kernels.gemm.driver import NO_BIAS as NONE
from kernels.gemm.micro import ADD, BIAS, MR, NV, STORE, tile_height
from kernels.gemm.offsets import micro_kernel, pack_strips
from kernels.gemm.pack import padded
from kernels.recurrent.gates import BLOCKS, GATES, GRU, activate, gates_and_blocks
from kernels.simd import allocate, flat, lane_count, release, shifted

# Numba compiles a callee anew for each literal argument; these are plain values to it.
ZERO, ONE = np.int64(0), np.int64(1)
START, CONTINUE, PLAIN = np.int64(BIAS), np.int64(ADD), np.int64(STORE)  # what becomes of a tile, as in `gemm`
# Weights from which on the threads share each step of a single sequence (8 us), with a barrier at its end.
TOGETHER_FROM = 2**17
NO_BARRIER = np.zeros(0, np.int64)
# Rows of x that are multiplied at a time where a step has fewer: two tiles.
ROWS = 2 * MR


@jit
def multiply_panel(a, ia, lda, rows, depth, panel, ib, columns, c, ic, ldc, bias, jb, mode, totals):
    """One strip of a product: ``c[r, j] (+)= sum over p of a[r, p] * panel[p, j]``, tile by tile; modes as `gemm`'s."""
    NR = NV * lane_count(c)
    i = 0
    while i < rows:
        height = tile_height(rows - i)
        micro_kernel(
            height, a, ia + i * lda, lda, ONE, panel, ib, NR, depth, c, ic + i * ldc, ldc, columns, bias, jb, mode,
            totals,
        )  # fmt: skip
        i += height


@jit
def copy_rows(x, ix, ldx, rows, columns, out, to, ldo):
    """``out[r, j] = x[r, j]``."""
    for r in range(rows):
        for j in range(columns):
            out[to + r * ldo + j] = x[ix + r * ldx + j]


@jit(inline=True)
def strips_of(columns, like):
    """Strips of NR columns."""
    NR = NV * lane_count(like)
    return (columns + NR - 1) // NR


@jit
def pack_gates(weight, gates, H, depth, panels):
    """The weight (gates * H, depth) as strips, each gate's in turn."""
    size = strips_of(H, weight) * NV * lane_count(weight) * depth
    for gate in range(gates):
        pack_strips(flat(weight), gate * H * depth, 1, depth, H, depth, shifted(flat(panels), gate * size))


@jit
def walk(
    task, stop, bounds, counters, kind, x, weight_ih, weight_hh, weight_hr, bias, h, c, y, gates, cells, starts, sizes,
    H, reverse, keep,
):  # fmt: skip
    """Task number `task`: sequences ``bounds[task]`` to ``bounds[task + 1]`` of the batch, through all steps; or, with
    the `counters` of a barrier, some of the hidden units of the only sequence. `stop` is task + 1.

    x (rows, I); weight_ih and weight_hh packed by `pack_gates`, weight_hr (P, H) likewise or of size 0; bias, one value
    a unit and block; h (B, P) and c (B, H) hold the initial state and receive the last one; y (rows, P), gates and
    cells, where `keep`, receive the results.
    """
    lanes = lane_count(y)
    NR = NV * lanes
    inputs, P, T = x.shape[1], h.shape[1], sizes.size
    count, blocks = gates_and_blocks(kind)
    strips = strips_of(H, y)
    block = strips * NR
    first, R, threads = bounds[task], bounds[task + 1] - bounds[task], bounds.size - 1
    units, stop_units, joint = ZERO, strips, False
    if counters.size > 0:
        joint = all_running(counters, threads)
        if joint:
            units, stop_units = task * strips // threads, (task + 1) * strips // threads
        elif task > 0:
            return
        first, R = ZERO, ONE
    X, Y, h_all, c_all, G, C = flat(x), flat(y), flat(h), flat(c), flat(gates), flat(cells)
    panels_x, panels_h, panels_p, biases = flat(weight_ih), flat(weight_hh), flat(weight_hr), flat(bias)
    at_once = min(max(ROWS // max(R, 1), 1), T)  # very unequal lengths may leave a task without a sequence
    ldx, ldh, ldm, ldz = padded(inputs, y), padded(P, y), padded(H, y), padded(blocks * block, y)
    rows_x = allocate(y, at_once * R * ldx)
    before = allocate(y, R * ldh)
    raw = allocate(y, R * ldm)
    z = allocate(y, at_once * R * ldz)
    totals = allocate(y, MR * NR)
    for i in range(at_once * R * ldx):
        rows_x[i] = 0
    copy_rows(h_all, first * P, P, R, P, before, ZERO, ldh)

    for w in range(0, T, at_once):
        now, rows = min(at_once, T - w), ZERO
        for s in range(now):
            t = T - 1 - w - s if reverse else w + s
            active = max(min(sizes[t] - first, R), 0)
            copy_rows(X, (starts[t] + first) * inputs, inputs, active, inputs, rows_x, s * R * ldx, ldx)
            rows = max(rows, s * R + active)
        for gate in range(count):
            for strip in range(units, stop_units):
                to = gate * block + strip * NR
                multiply_panel(
                    rows_x, ZERO, ldx, rows, inputs, panels_x, (gate * strips + strip) * inputs * NR,
                    min(NR, H - strip * NR), z, to, ldz, biases, to, START, totals,
                )  # fmt: skip
        if kind == GRU:  # the candidate's part from h starts from its bias alone
            for row in range(rows):
                copy_rows(biases, 3 * block, ZERO, ONE, H, z, row * ldz + 3 * block, ZERO)
        for s in range(now):
            t = T - 1 - w - s if reverse else w + s
            active = max(min(sizes[t] - first, R), 0)
            row = starts[t] + first
            out, ldo = (raw, ldm) if weight_hr.size else (Y, P)
            to = ZERO if weight_hr.size else row * P
            for strip in range(units, stop_units):
                columns = min(NR, H - strip * NR)
                for gate in range(count):
                    place = s * R * ldz + (gate + (blocks - count) * (gate // 2)) * block + strip * NR
                    multiply_panel(
                        before, ZERO, ldh, active, P, panels_h, (gate * strips + strip) * P * NR,
                        columns, z, place, ldz, biases, ZERO, CONTINUE, totals,
                    )  # fmt: skip
                activate(
                    kind, active, strip * NR, strip * NR + columns, z, s * R * ldz, ldz, block, before, ldh,
                    c_all, first * H, out, to, ldo, G, row * 4 * H, C, row * H, H, keep,
                )  # fmt: skip
            if weight_hr.size:
                for strip in range(strips_of(P, y)):
                    multiply_panel(
                        raw, ZERO, ldm, active, H, panels_p, strip * H * NR, min(NR, P - strip * NR),
                        Y, row * P + strip * NR, P, biases, ZERO, PLAIN, totals,
                    )  # fmt: skip
            if joint:
                barrier(counters, threads, w + s + 1)
            copy_rows(Y, row * P, P, active, P, before, ZERO, ldh)
    if units == 0:
        copy_rows(before, ZERO, ldh, R, P, h_all, first * P, P)
    release(rows_x)
    release(before)
    release(raw)
    release(z)
    release(totals)


@jit
def _walk_parallel(
    bounds, counters, kind, x, weight_ih, weight_hh, weight_hr, bias, h, c, y, gates, cells, starts, sizes, H, reverse,
    keep,
):  # fmt: skip
    arguments = (
        bounds, counters, kind, x, weight_ih, weight_hh, weight_hr, bias, h, c, y, gates, cells, starts, sizes, H,
        reverse, keep,
    )  # fmt: skip
    parallel_for(walk, bounds.size - 1, ONE, bounds.size - 1, arguments)


_compiled = Compiled(
    _walk_parallel,
    lambda kind: (
        int64[::1], int64[::1], int64, kind[:, ::1], *(kind[::1],) * 4, *(kind[:, ::1],) * 5, int64[::1], int64[::1],
        int64, boolean, boolean,
    ),
)  # fmt: skip
_compiled_pack = Compiled(pack_gates, lambda kind: (kind[:, ::1], int64, int64, int64, kind[::1]))


def packed(weight, gates):
    """The weight (gates * H, depth) as `walk` reads it."""
    H, depth = weight.shape[0] // gates, weight.shape[1]
    NR = NV * machine.vector_bytes() // weight.itemsize
    panels = np.empty(gates * -(-H // NR) * NR * depth + NR * NR, weight.dtype)
    _compiled_pack[weight.dtype](weight, gates, H, depth, panels)
    return panels


def biases(kind, H, dtype, bias_ih, bias_hh):
    """One bias a unit and block of pre-activations, as `walk` reads them."""
    NR = NV * machine.vector_bytes() // dtype.itemsize
    blocks, gates = BLOCKS[kind], GATES[kind]
    bias = np.zeros((blocks, -(-H // NR) * NR), dtype)
    if bias_ih is not None:
        bias[:gates, :H] += bias_ih.reshape(gates, H)
    if bias_hh is not None:
        bias_hh = bias_hh.reshape(gates, H)
        bias[: gates - (kind == GRU), :H] += bias_hh[: gates - (kind == GRU)]
        if kind == GRU:
            bias[3, :H] = bias_hh[2]
    return bias.reshape(-1)


def task_bounds(sizes, batch, work, threads=None):
    """Where the batch is cut into tasks of about as many rows each, one a thread; `threads_for` the work, if None."""
    threads = max(min(threads or threads_for(multiply_adds=work), batch), 1)
    if threads == 1:
        return np.array([0, batch])
    steps = np.zeros(batch + 1, np.int64)  # of the sequences before each one
    steps[1:] = np.cumsum((sizes[:, None] > np.arange(batch)).sum(0))
    return np.searchsorted(steps, np.arange(threads + 1) * steps[-1] / threads)


def run(kind, layer, bias_ih, bias_hh, h, c, y, gates, cells, reverse, threads=None):
    """`walk`, if not told the number of threads on as many as it is worth.

    y, gates and cells by rows, the last two of size 0 where they are not kept; h and c are replaced by the last state.
    """
    x, count, H = layer.x, GATES[kind], layer.units
    bounds = task_bounds(layer.sizes, len(h), len(x) * (layer.weight_ih.size + layer.weight_hh.size), threads)
    counters = NO_BARRIER
    if len(h) == 1 and layer.weight_hr is None and layer.weight_hh.size >= TOGETHER_FROM:
        threads = min(threads or get_num_threads(), -(-H * x.itemsize // (NV * machine.vector_bytes())))
        if threads > 1:
            bounds, counters = np.array([0] + [1] * threads), np.zeros(BARRIER, np.int64)
    _compiled[x.dtype](
        bounds, counters, kind, x, packed(layer.weight_ih, count), packed(layer.weight_hh, count),
        NONE[x.dtype] if layer.weight_hr is None else packed(layer.weight_hr, 1),
        biases(kind, H, x.dtype, bias_ih, bias_hh), h, c, y, gates, cells, layer.starts, layer.sizes, H, reverse,
        gates.size > 0,
    )  # fmt: skip

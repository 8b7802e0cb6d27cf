r"""Back through time: the gradients of the walk in `forward`.

The walk is taken backwards. With dh the gradient of h_t, that of y_t and that of the later steps together, a step turns
it and dc into the gradients dz of the pre-activations (`gates`), which are kept, and into those of the step before:

    dh_{t-1} = dz_t W_hh

What does not wait for time is left for products over all steps at once: ``dx = dz W_ih``, ``dW_ih = dzᵀ x``,
``dW_hh = dzᵀ h_before``, ``db = sum dz``. With a projection, h = m W_hrᵀ, the walk keeps dh and m as well.
"""

import numpy as np
from numba import boolean, int64

from kernels import _checks, machine
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.gemm.driver import NO_BIAS as NONE
from kernels.gemm.functions import matmul
from kernels.gemm.micro import MR, NV
from kernels.gemm.offsets import pack_strips
from kernels.recurrent.arguments import NO_MATRIX
from kernels.recurrent.forward import (
    CONTINUE,
    ONE,
    PLAIN,
    ZERO,
    copy_rows,
    multiply_panel,
    padded,
    strips_of,
    task_bounds,
)
from kernels.recurrent.gates import BLOCKS, GATES, GRU, activate_backward, gates_and_blocks
from kernels.reduction import sum as sum_over
from kernels.simd import allocate, flat, lane_count, load_partial, release, store_partial, tanh


@jit
def pack_columns(weight, panels):
    """The weight (depth, columns) as the strips that a product with it needs, rather than with its transpose."""
    depth, columns = weight.shape
    pack_strips(flat(weight), 0, columns, 1, columns, depth, flat(panels))


@jit
def add_elements(x, ix, count, out, to):
    """``out[i] += x[i]``."""
    for i in range(count):
        out[to + i] += x[ix + i]


@jit
def raw_outputs(gates, cells, row, rows, H, out):
    """``out = o tanh(c)``: what the projection was applied to."""
    lanes = lane_count(out)
    for r in range(row, row + rows):
        for j in range(0, H, lanes):
            o = load_partial(gates, (r * 4 + 3) * H + j, H - j, 0.0)
            store_partial(out, r * H + j, H - j, o * tanh(load_partial(cells, r * H + j, H - j, 0.0)))


@jit
def walk_back(
    task, stop, bounds, kind, dy, weight_hh, weight_hr, h0, c0, y, gates, cells, starts, sizes, H, reverse, dh, dc,
    dgates, dprojected, raw,
):  # fmt: skip
    """Task number `task`: sequences ``bounds[task]`` to ``bounds[task + 1]`` of the batch, back through all steps.

    dh and dc hold the gradients of the last state and receive those of the first one; dgates receives those of the
    pre-activations. weight_hh and weight_hr are packed by `pack_columns`. dprojected and raw, of size 0 without a
    projection, receive dh and m of all steps.
    """
    NR = NV * lane_count(dh)
    P, T = dh.shape[1], sizes.size
    count, width = gates_and_blocks(kind)
    first = bounds[task]
    R = bounds[task + 1] - first
    DY, Y, H0, C0, G, C = flat(dy), flat(y), flat(h0), flat(c0), flat(gates), flat(cells)
    DH, DC, DG, DP, M = flat(dh), flat(dc), flat(dgates), flat(dprojected), flat(raw)
    panels_h, panels_p = flat(weight_hh), flat(weight_hr)
    depth = count * H
    ldz = padded(depth, dh)
    projects = weight_hr.size > 0
    dz = allocate(dh, R * ldz)
    draw = allocate(dh, R * H)
    totals = allocate(dh, MR * NR)
    for w in range(T):
        t = w if reverse else T - 1 - w
        earlier = t + 1 if reverse else t - 1  # the step that the walk forward came from
        active = max(min(sizes[t] - first, R), 0)
        known = (
            max(min(sizes[earlier] - first, active), 0) if 0 <= earlier < T else ZERO
        )  # the others began with h0 and c0
        row = starts[t] + first
        if dy.size:
            add_elements(DY, row * P, active * P, DH, first * P)
        if projects:
            copy_rows(DH, first * P, P, active, P, DP, row * P, P)
            raw_outputs(G, C, row, active, H, M)
            for strip in range(strips_of(H, dh)):
                multiply_panel(
                    DH, first * P, P, active, P, panels_p, strip * P * NR, min(NR, H - strip * NR),
                    draw, strip * NR, H, draw, ZERO, PLAIN, totals,
                )  # fmt: skip
        slope, at = (draw, ZERO) if projects else (DH, first * P)
        if known > 0:
            begin = starts[earlier] + first
            activate_backward(
                kind, known, slope, at, DC, first * H, Y, row * P, Y, begin * P, C, begin * H, G, row * width * H,
                C, row * H, DG, dz, ZERO, ldz, H,
            )  # fmt: skip
        if known < active:
            at, row, begin = at + known * H, row + known, first + known
            activate_backward(
                kind, active - known, slope, at, DC, begin * H, Y, row * P, H0, begin * P, C0, begin * H,
                G, row * width * H, C, row * H, DG, dz, known * ldz, ldz, H,
            )  # fmt: skip
        for strip in range(strips_of(P, dh)):
            multiply_panel(
                dz, ZERO, ldz, active, depth, panels_h, strip * depth * NR, min(NR, P - strip * NR),
                DH, first * P + strip * NR, P, DH, ZERO, CONTINUE if kind == GRU else PLAIN, totals,
            )  # fmt: skip
    release(dz)
    release(draw)
    release(totals)


@jit
def _walk_back_parallel(
    bounds, kind, dy, weight_hh, weight_hr, h0, c0, y, gates, cells, starts, sizes, H, reverse, dh, dc, dgates,
    dprojected, raw,
):  # fmt: skip
    arguments = (
        bounds, kind, dy, weight_hh, weight_hr, h0, c0, y, gates, cells, starts, sizes, H, reverse, dh, dc, dgates,
        dprojected, raw,
    )  # fmt: skip
    parallel_for(walk_back, bounds.size - 1, ONE, bounds.size - 1, arguments)


_compiled = Compiled(
    _walk_back_parallel,
    lambda kind: (
        int64[::1], int64, kind[:, ::1], *(kind[::1],) * 2, *(kind[:, ::1],) * 5, int64[::1], int64[::1], int64,
        boolean, *(kind[:, ::1],) * 5,
    ),
)  # fmt: skip
_compiled_pack = Compiled(pack_columns, lambda kind: (kind[:, ::1], kind[::1]))


def packed(weight):
    """The weight (depth, columns) as `walk_back` reads it."""
    depth, columns = weight.shape
    NR = NV * machine.vector_bytes() // weight.itemsize
    panels = np.empty(-(-columns // NR) * NR * depth + NR * NR, weight.dtype)
    _compiled_pack[weight.dtype](weight, panels)
    return panels


def run(kind, layer, dy, y, gates, cells, begin, end, reverse, needs):
    """`walk_back` on as many threads as it is worth, then the products over all steps.

    `begin` are the initial states, `end` the gradients of the last ones, which are replaced by those of the initial
    ones. Returns the gradients of x, weight_ih, weight_hh, bias_ih, bias_hh and weight_hr, None where not needed
    (`needs` has their order).
    """
    x, dtype, rows, count, H, P = layer.x, layer.x.dtype, len(layer.x), GATES[kind], layer.units, layer.outputs
    projects = layer.weight_hr is not None
    dgates = _checks.new((rows, BLOCKS[kind] * H), dtype)
    dprojected, raw = (_checks.new((rows, width), dtype) if projects else NO_MATRIX[dtype] for width in (P, H))
    bounds = task_bounds(layer.sizes, layer.batch, rows * layer.weight_hh.size)
    if rows:
        _compiled[dtype](
            bounds, kind, dy, packed(layer.weight_hh), packed(layer.weight_hr) if projects else NONE[dtype], *begin,
            y, gates, cells, layer.starts, layer.sizes, H, reverse, *end, dgates, dprojected, raw,
        )  # fmt: skip

    # columns of dgates behind the rows of weight_hh: the GRU's candidate has a part of its own from h
    parts = [slice(0, count * H)] if kind != GRU else [slice(0, 2 * H), slice(3 * H, 4 * H)]
    dx = matmul(dgates[:, : count * H], layer.weight_ih) if needs[0] else None
    dweight_ih = dweight_hh = dbias_ih = dbias_hh = None
    if needs[1] or needs[2]:  # in one product where both have the same columns, so that those are packed once
        both, inputs = _step_inputs(x, y, begin[0], layer.starts, layer.sizes, reverse), x.shape[1]
        total = matmul(dgates[:, parts[0]].T, both)
        dweight_ih, dweight_hh = [total[:, :inputs]], [total[:, inputs:]]
        if kind == GRU:
            dweight_ih.append(matmul(dgates[:, 2 * H : 3 * H].T, x))
            dweight_hh.append(matmul(dgates[:, parts[1]].T, both[:, inputs:]))
        dweight_ih = np.concatenate(dweight_ih) if needs[1] else None
        dweight_hh = np.concatenate(dweight_hh) if needs[2] else None
    if needs[3] or needs[4]:
        total = sum_over(dgates, 0)
        dbias_ih = total[: count * H].copy() if needs[3] else None
        dbias_hh = np.concatenate([total[part] for part in parts]) if needs[4] else None
    dweight_hr = matmul(dprojected.T, raw) if projects and needs[5] else None
    return dx, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dweight_hr


def _step_inputs(x, y, h0, starts, sizes, reverse):
    """For each row, x beside the state that its step began with."""
    both = _checks.new((len(x), x.shape[1] + y.shape[1]), x.dtype)
    if not both.size:
        return both
    both[:, : x.shape[1]], before = x, both[:, x.shape[1] :]
    if sizes[0] == sizes[-1]:
        batch = sizes[0]
        if reverse:
            before[:-batch], before[-batch:] = y[batch:], h0
        else:
            before[batch:], before[:batch] = y[:-batch], h0
        return both
    for t, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True)):
        other = t + 1 if reverse else t - 1
        known = min(size, int(sizes[other])) if 0 <= other < len(sizes) else 0
        before[start : start + known] = y[starts[other] : starts[other] + known] if known else 0
        before[start + known : start + size] = h0[known:size]
    return both

r"""Backpropagation through time: the gradients of the time loop in `driver`.

The loop runs backwards. At step t, dh is the gradient of y_t plus what the later steps sent back; dh and dc give the
gradients dz of the pre-activations (`gates`), which are saved, and the gradient that the step before receives:

    dh_{t-1} = dz_t W_hh        (GRU: + u_t dh_t, with the update gate u)

All other products do not depend on the order of steps and are done once, over all of them: ``dx = dz W_ih``,
``dW_ih = dzᵀ x``, ``dW_hh = dzᵀ h_before``, ``db = sum dz``. With a projection, h = m W_hrᵀ, dh and m are saved, too.
"""

from typing import NamedTuple

import numpy as np
from numba import boolean, int64, types

from kernels import _checks
from kernels._jit import Compiled, jit
from kernels._parallel import parallel_for
from kernels.gemm.driver import NO_BIAS
from kernels.gemm.functions import matmul
from kernels.gemm.micro import ADD, MR, NV, STORE, Epilogue
from kernels.gemm.pack import padded
from kernels.recurrent.arguments import NO_MATRIX
from kernels.recurrent.driver import ONE, Steps, task_bounds
from kernels.recurrent.gates import (
    GATES,
    GRU,
    TERMS,
    GateGradients,
    Gates,
    Saved,
    State,
    activate_backward,
    gates_and_terms,
)
from kernels.recurrent.pack import Panels, add_elements, copy_rows, multiply_panel, multiply_row, packed, panel_at
from kernels.reduction import sum as sum_over
from kernels.simd import allocate, flat, lane_count, load_partial, release, store_partial, strided, tanh, view


class BackwardLayer(NamedTuple):
    """What the loop reads beside arrays of all steps; `Panels` of weight_hh and weight_hr (K = 0 if there is none)."""

    kind: int
    H: int
    P: int
    hh: Panels
    hr: Panels
    steps: Steps


class Forward(NamedTuple):
    """What is known of the forward pass: its first state, y, and what it saved."""

    initial: State
    y: object
    saved: Saved


class Gradients(NamedTuple):
    """Gradients of all steps, one row for each row of x."""

    y: object  # of the result: read if has_y
    has_y: bool
    z: Gates  # of the pre-activations: written
    h: object  # of the projected state: written, with a projection only
    m: object  # o tanh(c), what is projected: written, with a projection only


class Rows(NamedTuple):
    """The rows of a task in one step."""

    row: int  # the first one
    active: int  # sequences, one row each
    row_before: int  # the first row of the step before
    continued: int  # sequences that ran in the step before, too; the others start from the initial state


@jit(inline=True)
def _rows_of_step(steps, number, sequence, sequences):
    """The rows of step `number`, counted from the last step of the forward loop."""
    t = number if steps.reverse else steps.count - 1 - number
    before = t + 1 if steps.reverse else t - 1
    active = max(min(steps.sizes[t] - sequence, sequences), 0)
    row_before, continued = sequence, 0
    if 0 <= before < steps.count:
        row_before = steps.starts[before] + sequence
        continued = max(min(steps.sizes[before] - sequence, active), 0)
    return Rows(steps.starts[t] + sequence, active, row_before, continued)


@jit(inline=True)
def _from_row(gates, row):
    """`Gates` from `row` on."""
    return Gates(gates.rows.row(row), gates.stride)


@jit
def _outputs_before_projection(saved, row, rows, H, m):
    """``m = o tanh(c)`` in `rows` rows from `row` on."""
    for r in range(row, row + rows):
        o, cells, target = saved.gates.rows.at(r, 3 * H), saved.cells.row(r), m.row(r)
        for j in range(0, H, lane_count(m)):
            store_partial(target, j, H - j, load_partial(o, j, H - j, 0.0) * tanh(load_partial(cells, j, H - j, 0.0)))


@jit(inline=True)
def _multiply(A, rows, weight, C, columns, mode, totals, backwards):
    """``C (+)= A weight``, panel by panel, from the last one on if `backwards`; `mode` as of an `Epilogue`."""
    NR, epilogue = NV * lane_count(C), Epilogue(mode, C)
    width = 2 * NR if rows == 1 else NR
    places = (columns + width - 1) // width
    for place in range(places):
        first = (places - 1 - place if backwards else place) * width
        if rows == 1 and first + width <= columns:
            multiply_row(A, panel_at(weight, first), weight.K, C.column(first), mode, totals)
        else:
            for j in range(first, min(first + width, columns), NR):
                last = min(NR, columns - j)
                multiply_panel(A, panel_at(weight, j), weight.K, C.column(j), rows, last, epilogue, totals)


@jit(inline=True)
def _activations_backward(layer, now, forward, dstate, dz):
    """The gates of one step: of the sequences that continue the step before it, then of those that begin with it.

    The first state, `dstate` and ``dz.from_h`` have the task's sequences as rows, all else the rows of all steps.
    """
    kind, H, y, saved = layer.kind, layer.H, forward.y, forward.saved
    if now.continued > 0:
        before = State(y.row(now.row_before), saved.cells.row(now.row_before))
        saved_rows = Saved(_from_row(saved.gates, now.row), saved.cells.row(now.row), saved.keep)
        dz_rows = GateGradients(_from_row(dz.all, now.row), dz.from_h)
        activate_backward(kind, now.continued, H, dstate, before, y.row(now.row), saved_rows, dz_rows)
    if now.continued < now.active:
        first, row = now.continued, now.row + now.continued
        before = State(forward.initial.h.row(first), forward.initial.c.row(first))
        saved_rows = Saved(_from_row(saved.gates, row), saved.cells.row(row), saved.keep)
        dz_rows = GateGradients(_from_row(dz.all, row), _from_row(dz.from_h, first))
        dstate_rows = State(dstate.h.row(first), dstate.c.row(first))
        activate_backward(kind, now.active - first, H, dstate_rows, before, y.row(row), saved_rows, dz_rows)


@jit
def backward_task(number, stop, bounds, layer, forward, dstate, gradients):
    """Sequences ``bounds[number]`` to ``bounds[number + 1] - 1`` of the batch, back through all steps.

    `stop` is number + 1; `dstate` holds the gradients of the last state and receives those of the first one.
    """
    sequence, sequences = bounds[number], bounds[number + 1] - bounds[number]
    if sequences == 0:  # lengths are very unequal
        return
    H, P, y, projects = layer.H, layer.P, forward.y, layer.hr.K > 0
    ldz = padded(layer.hh.K, y)
    dz = Gates(strided(allocate(y, sequences * ldz), ldz, 1), H)
    dm, totals = strided(allocate(y, sequences * H), H, 1), allocate(y, MR * NV * lane_count(y))
    dh, dc = dstate.h.row(sequence), dstate.c.row(sequence)
    initial = State(forward.initial.h.row(sequence), forward.initial.c.row(sequence))
    task_forward = Forward(initial, y, forward.saved)
    for step in range(layer.steps.count):
        now = _rows_of_step(layer.steps, step, sequence, sequences)
        backwards = step % 2 == 1  # so that a step begins with the panels that the one before has left in the cache
        if gradients.has_y:
            add_elements(flat(gradients.y.row(now.row)), now.active * P, flat(dh))
        if projects:
            copy_rows(dh, now.active, P, gradients.h.row(now.row))
            _outputs_before_projection(forward.saved, now.row, now.active, H, gradients.m)
            _multiply(dh, now.active, layer.hr, dm, H, STORE, totals, backwards)
        dstate_now = State(dm if projects else dh, dc)
        _activations_backward(layer, now, task_forward, dstate_now, GateGradients(gradients.z, dz))
        mode = ADD if layer.kind == GRU else STORE  # the GRU's h' depends on h directly, too
        _multiply(dz.rows, now.active, layer.hh, dh, P, mode, totals, backwards)
    release(flat(dz.rows))
    release(flat(dm))
    release(totals)


# --- from Python -----------------------------------------------------------------------------------------------------


@jit
def _backward(kind, H, panels, initial, results, steps, gradients, bounds):
    """The layer by tasks. `panels`: those of weight_hh and weight_hr; `initial`: h0 and c0; `results`: y, gates and
    cells; `steps`: starts, sizes and reverse; `gradients`: of y, h and c, then of z and the projected h, and m."""
    hh, hr = panels
    h0, c0 = initial
    y, gates, cells = results
    starts, sizes, reverse = steps
    dy, dh, dc, dz, dprojected, m = gradients
    P, own_steps = dh.shape[1], Steps(flat(starts), flat(sizes), sizes.size, reverse)
    K_hh, K_hr = gates_and_terms(kind)[0] * H, P if hr.size else 0
    layer = BackwardLayer(kind, H, P, Panels(flat(hh), K_hh), Panels(flat(hr), K_hr), own_steps)
    saved = Saved(Gates(view(gates), H), view(cells), gates.size > 0)
    forward = Forward(State(view(h0), view(c0)), view(y), saved)
    written = Gradients(view(dy), dy.size > 0, Gates(view(dz), H), view(dprojected), view(m))
    arguments = bounds, layer, forward, State(view(dh), view(dc)), written
    parallel_for(backward_task, bounds.size - 1, ONE, bounds.size - 1, arguments)


def _types(kind):
    vector, matrix, integers = kind[::1], kind[:, ::1], int64[::1]
    return (
        int64,
        int64,
        types.UniTuple(vector, 2),
        types.UniTuple(matrix, 2),
        types.UniTuple(matrix, 3),
        types.Tuple((integers, integers, boolean)),
        types.UniTuple(matrix, 6),
        integers,
    )


_compiled = Compiled(_backward, _types)


def run(layer, dy, results, initial, dstate, needs):
    """The gradients of `arguments.Layer`: the time loop on as many threads as it is worth, then the other products.

    `results` are (y, gates, cells) and `initial` the first state; `dstate` are the gradients of the last state,
    replaced by those of the first one. Returns the gradients of x, weight_ih, weight_hh, bias_ih, bias_hh and
    weight_hr, None where not needed (`needs` has their order).
    """
    dtype, rows, kind, H = layer.x.dtype, len(layer.x), layer.kind, layer.units
    projects = layer.weight_hr is not None
    dz = _checks.new((rows, TERMS[kind] * H), dtype)
    widths = layer.outputs, H
    dprojected, m = (_checks.new((rows, width), dtype) if projects else NO_MATRIX[dtype] for width in widths)
    if rows:
        bounds = task_bounds(layer.sizes, layer.batch, rows * layer.weight_hh.size)
        panels = packed(layer.weight_hh), packed(layer.weight_hr) if projects else NO_BIAS[dtype]
        steps, gradients = (layer.starts, layer.sizes, layer.reverse), (dy, *dstate, dz, dprojected, m)
        _compiled[dtype](kind, H, panels, initial, results, steps, gradients, bounds)

    (y, *_), (h0, *_) = results, initial
    dx = matmul(dz[:, : GATES[kind] * H], layer.weight_ih) if needs[0] else None
    dweight_ih = dweight_hh = dbias_ih = dbias_hh = None
    if needs[1] or needs[2]:
        dweight_ih, dweight_hh = _weight_gradients(layer, dz, _step_inputs(layer, y, h0))
    if needs[3] or needs[4]:
        dbias_ih, dbias_hh = _bias_gradients(kind, H, dz)
    dweight_hr = matmul(dprojected.T, m) if projects and needs[5] else None
    made = dx, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dweight_hr
    return (
        made
        if all(needs)
        else tuple(gradient if needed else None for gradient, needed in zip(made, needs, strict=True))
    )


def _weight_gradients(layer, dz, both):
    """The gradients of weight_ih and weight_hh, in one product where they have the same columns of dz, so that those
    are packed once; `both` has x and h side by side."""
    inputs, H = layer.x.shape[1], layer.units
    if layer.kind != GRU:
        total = matmul(dz.T, both)
        return total[:, :inputs].copy(), total[:, inputs:].copy()
    total = matmul(dz[:, : 2 * H].T, both)
    from_x, from_h = matmul(dz[:, 2 * H : 3 * H].T, layer.x), matmul(dz[:, 3 * H :].T, both[:, inputs:])
    return np.concatenate((total[:, :inputs], from_x)), np.concatenate((total[:, inputs:], from_h))


def _bias_gradients(kind, H, dz):
    """The gradients of bias_ih and bias_hh."""
    total = sum_over(dz, 0)
    if kind != GRU:
        return total, total.copy()
    return total[: 3 * H].copy(), np.concatenate((total[: 2 * H], total[3 * H :]))


def _step_inputs(layer, y, h0):
    """For each row, x beside the h that its step began with."""
    x, starts, sizes = layer.x, layer.starts, layer.sizes
    both = _checks.new((len(x), x.shape[1] + y.shape[1]), x.dtype)
    if not both.size:
        return both
    both[:, : x.shape[1]], before = x, both[:, x.shape[1] :]
    if sizes[0] == sizes[-1]:
        batch = sizes[0]
        if layer.reverse:
            before[:-batch], before[-batch:] = y[batch:], h0
        else:
            before[batch:], before[:batch] = y[:-batch], h0
        return both
    for t, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True)):
        other = t + 1 if layer.reverse else t - 1
        known = min(size, int(sizes[other])) if 0 <= other < len(sizes) else 0
        before[start : start + known] = y[starts[other] : starts[other] + known] if known else 0
        before[start + known : start + size] = h0[known:size]
    return both

r"""The tuned time loop: one layer of an RNN, GRU or LSTM in one direction, for any batch, on all threads.

    z_t = x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh          then the gates (`gates`)

It is `ladder`'s packed loop, with several steps' products with x at a time where a batch is small:

    for a block of steps:               enough of them to fill the micro-kernel's rows
        z = x W_ihᵀ + biases            all steps of the block in one product; a single step's panel by panel, below
        for each step of it:
            for each panel of units:
                z += h W_hhᵀ            for each gate
                gates(z) -> c, h        while z is in L1

The sequences of a batch are independent, so each thread takes some of them through all steps and never waits for
another. A single sequence is computed by all threads together: each has hidden units of its own and waits for the
others at a barrier after every step, where a step is long enough for that.

Steps are packed as in PyTorch: step t holds the first ``sizes[t]`` sequences, in the rows of x from ``starts[t]`` on; a
full batch is the special case of equal sizes.
"""

from typing import NamedTuple

import numpy as np
from numba import boolean, int64, types

from kernels import machine
from kernels._jit import Compiled, jit
from kernels._parallel import BARRIER, all_running, barrier, parallel_for
from kernels._threads import get_num_threads, threads_for
from kernels.gemm.driver import NO_BIAS
from kernels.gemm.micro import ADD, BIAS, MR, NV, STORE, Epilogue
from kernels.gemm.pack import padded
from kernels.recurrent.gates import GATES, GRU, Gates, Saved, State, activate, gates_and_terms
from kernels.recurrent.pack import (
    Panels,
    copy_rows,
    multiply_panel,
    multiply_row,
    packed_transposed,
    panel_at,
    panel_count,
    summed_biases,
)
from kernels.simd import allocate, flat, lane_count, release, strided, view

# Numba compiles a callee again for each literal argument; these are plain values to it.
ZERO, ONE = np.int64(0), np.int64(1)
# From this size of weight_hh on, all threads share each step of a single sequence: a smaller step takes less than 8 us,
# and the barrier after it would cost too much.
JOINT_FROM = 2**17
NO_BARRIER = np.zeros(0, np.int64)
# Rows of x that are multiplied at a time where a step has fewer: two tiles.
ROWS = 2 * MR


class PackedWeights(NamedTuple):
    """`Panels` of weight_ih, weight_hh and weight_hr (with K = 0 if there is none), and the biases beside the panels'
    columns, a view."""

    ih: Panels
    hh: Panels
    hr: Panels
    bias: object


class Steps(NamedTuple):
    """The rows of x, by steps: ``sizes[t]`` from ``starts[t]`` on; computed from the last step on if `reverse`."""

    starts: object
    sizes: object
    count: int
    reverse: bool


class PackedLayer(NamedTuple):
    """What the time loop reads beside x."""

    kind: int
    H: int
    weights: PackedWeights
    steps: Steps


class Tasks(NamedTuple):
    """How a layer is divided: task i has sequences ``bounds[i]`` to ``bounds[i + 1] - 1``; or, with the `counters` of a
    barrier, each task has some hidden units of the only sequence."""

    bounds: np.ndarray
    counters: np.ndarray


class Task(NamedTuple):
    """What one task computes; `joint`: together with the others, so that it waits for them after each step."""

    sequence: int
    sequences: int
    first_unit: int
    last_unit: int
    joint: bool


class Step(NamedTuple):
    """A step of a task: its number in the order of computation, its active sequences, its pre-activations (`Gates`),
    and whether their product with x has yet to be computed (only with blocks of one step: then z is the scratch's)."""

    number: int
    rows: int
    z: Gates
    needs_x: bool


class Scratch(NamedTuple):
    """A task's own memory: rows of x, h before the step, h before its projection, pre-activations (`Gates`), a tile."""

    x: object
    h: object
    unprojected: object
    z: Gates
    totals: object


@jit(inline=True)
def _task(number, tasks, H, y):
    """Task `number`. Its `sequences` is 0 if task 0 does all the work, because not all threads are running."""
    bounds, threads = tasks.bounds, tasks.bounds.size - 1
    NR, panels = NV * lane_count(y), panel_count(H, y)
    sequence, sequences = bounds[number], bounds[number + 1] - bounds[number]
    first_unit, last_unit, joint = 0, H, False
    if tasks.counters.size > 0:
        sequence, sequences = 0, 1
        joint = all_running(tasks.counters, threads)
        if joint:
            first_unit = number * panels // threads * NR
            last_unit = min((number + 1) * panels // threads * NR, H)
        elif number > 0:
            sequences = 0
    return Task(sequence, sequences, first_unit, last_unit, joint)


@jit(inline=True)
def _scratch(layer, rows, sequences, y):
    """Memory for `rows` rows of x and their pre-activations, and for the states of `sequences` sequences."""
    inputs, P, gate_stride = layer.weights.ih.K, layer.weights.hh.K, panel_count(layer.H, y) * NV * lane_count(y)
    ldx, ldh, ldm = padded(inputs, y), padded(P, y), padded(layer.H, y)
    ldz = padded(gates_and_terms(layer.kind)[1] * gate_stride, y)
    rows_x = allocate(y, rows * ldx)
    for i in range(rows * ldx):
        rows_x[i] = 0
    return Scratch(
        strided(rows_x, ldx, 1),
        strided(allocate(y, sequences * ldh), ldh, 1),
        strided(allocate(y, sequences * ldm), ldm, 1),
        Gates(strided(allocate(y, rows * ldz), ldz, 1), gate_stride),
        allocate(y, MR * NV * lane_count(y)),
    )


@jit(inline=True)
def _release(scratch):
    release(flat(scratch.x))
    release(flat(scratch.h))
    release(flat(scratch.unprojected))
    release(flat(scratch.z.rows))
    release(scratch.totals)


@jit(inline=True)
def _rows_of_step(steps, number, task):
    """Of step `number` in the order of computation: the task's first row, and how many of its sequences are active."""
    t = steps.count - 1 - number if steps.reverse else number
    return steps.starts[t] + task.sequence, max(min(steps.sizes[t] - task.sequence, task.sequences), 0)


@jit(inline=True)
def _copy_inputs(layer, task, x, first, count, scratch):
    """Rows of x of `count` steps from number `first` on to the task's memory; returns up to which row that is used."""
    rows = 0
    for s in range(count):
        row, active = _rows_of_step(layer.steps, first + s, task)
        copy_rows(x.row(row), active, layer.weights.ih.K, scratch.x.row(s * task.sequences))
        rows = max(rows, s * task.sequences + active)
    return rows


@jit
def _multiply_inputs(layer, rows, first_unit, last_unit, scratch):
    """``z = x W_ihᵀ + biases`` for `rows` rows of the task's memory and the units `first_unit` to `last_unit` - 1."""
    weight, bias, z = layer.weights.ih, layer.weights.bias, scratch.z
    NR = NV * lane_count(bias)
    for gate in range(gates_and_terms(layer.kind)[0]):
        for j in range(first_unit, last_unit, NR):
            column = gate * z.stride + j
            tile_column, epilogue = z.rows.column(column), Epilogue(BIAS, bias.column(column))
            columns, panel = min(NR, last_unit - j), panel_at(weight, column)
            multiply_panel(scratch.x, panel, weight.K, tile_column, rows, columns, epilogue, scratch.totals)
    if layer.kind == GRU:  # the candidate's term from h starts from its bias alone
        column = 3 * z.stride + first_unit
        copy_rows(strided(bias.column(column), 0, 1), rows, last_unit - first_unit, z.rows.column(column))


@jit(inline=True)
def _step(layer, task, step, state, y, saved, scratch):
    """One step: ``z += h W_hhᵀ``, then the gates, panel by panel of units; first the product with x where it is due.

    Every second step goes through the panels backwards: it begins with those that the step before has left in the
    cache, where the weights are larger than that.
    """
    weight, z, rows = layer.weights.hh, step.z, step.rows
    NR, epilogue = NV * lane_count(y), Epilogue(ADD, layer.weights.bias)
    width = 2 * NR if rows == 1 else NR
    places = (task.last_unit - task.first_unit + width - 1) // width
    for place in range(places):
        j = task.first_unit + (places - 1 - place if step.number % 2 else place) * width
        columns = min(width, task.last_unit - j)
        if step.needs_x:
            _multiply_inputs(layer, rows, j, j + columns, scratch)
        for gate in range(gates_and_terms(layer.kind)[0]):
            term = 3 if layer.kind == GRU and gate == 2 else gate  # the candidate's two terms stay apart
            panel, tile_column = panel_at(weight, gate * z.stride + j), z.rows.column(term * z.stride + j)
            if columns > NR:
                multiply_row(state.h, panel, weight.K, tile_column, ADD, scratch.totals)
            else:
                multiply_panel(state.h, panel, weight.K, tile_column, rows, columns, epilogue, scratch.totals)
        activate(layer.kind, z, state, y, saved, rows, j, j + columns)


@jit(inline=True)
def _project(layer, rows, h, y, totals):
    """``y = h W_hrᵀ``, where h is o tanh(c), the m of `backward`."""
    weight, P, NR = layer.weights.hr, layer.weights.hh.K, NV * lane_count(y)
    epilogue = Epilogue(STORE, layer.weights.bias)
    for j in range(0, P, NR):
        multiply_panel(h, panel_at(weight, j), weight.K, y.column(j), rows, min(NR, P - j), epilogue, totals)


@jit
def forward_task(number, stop, tasks, layer, x, state, y, saved):
    """Task `number` of the layer, through all steps; `stop` is number + 1.

    x and y are views with the rows of all steps, `state` of the first state (h (B, P), c (B, H)), replaced by the last
    one; `saved` as for `activate`.
    """
    task = _task(number, tasks, layer.H, y)
    if task.sequences == 0:
        return
    steps, P, projects = layer.steps, layer.weights.hh.K, layer.weights.hr.K > 0
    block = min(max(ROWS // task.sequences, 1), steps.count)
    scratch = _scratch(layer, block * task.sequences, task.sequences, y)
    task_state = State(scratch.h, state.c.row(task.sequence))
    copy_rows(state.h.row(task.sequence), task.sequences, P, scratch.h)
    for first in range(0, steps.count, block):
        count = min(block, steps.count - first)
        rows = _copy_inputs(layer, task, x, first, count, scratch)
        if block > 1:
            _multiply_inputs(layer, rows, task.first_unit, task.last_unit, scratch)
        for s in range(count):
            row, active = _rows_of_step(steps, first + s, task)
            z = Gates(scratch.z.rows.row(s * task.sequences), scratch.z.stride)
            step = Step(first + s, active, z, block == 1)
            h = scratch.unprojected if projects else y.row(row)
            gates = Gates(saved.gates.rows.row(row), saved.gates.stride)
            _step(layer, task, step, task_state, h, Saved(gates, saved.cells.row(row), saved.keep), scratch)
            if projects:
                _project(layer, active, h, y.row(row), scratch.totals)
            if task.joint:
                barrier(tasks.counters, tasks.bounds.size - 1, first + s + 1)
            copy_rows(y.row(row), active, P, scratch.h)
    if task.first_unit == 0:
        copy_rows(scratch.h, task.sequences, P, state.h.row(task.sequence))
    _release(scratch)


# --- from Python -----------------------------------------------------------------------------------------------------


@jit
def _forward(kind, H, x, panels, state, results, steps, tasks):
    """The layer by tasks. `panels`: those of weight_ih, weight_hh and weight_hr, and the biases; `state`: h and c;
    `results`: y, gates and cells; `steps`: starts, sizes and reverse; `tasks`: bounds and counters."""
    ih, hh, hr, bias = panels
    h, c = state
    y, gates, cells = results
    starts, sizes, reverse = steps
    K_hr = H if hr.size else 0
    weights = PackedWeights(
        Panels(flat(ih), x.shape[1]), Panels(flat(hh), h.shape[1]), Panels(flat(hr), K_hr), view(bias)
    )
    layer = PackedLayer(kind, H, weights, Steps(flat(starts), flat(sizes), sizes.size, reverse))
    saved = Saved(Gates(view(gates), H), view(cells), gates.size > 0)
    bounds, counters = tasks
    arguments = Tasks(bounds, counters), layer, view(x), State(view(h), view(c)), view(y), saved
    parallel_for(forward_task, bounds.size - 1, ONE, bounds.size - 1, arguments)


def _types(kind):
    vector, matrix, integers = kind[::1], kind[:, ::1], int64[::1]
    return (
        int64,
        int64,
        matrix,
        types.UniTuple(vector, 4),
        types.UniTuple(matrix, 2),
        types.UniTuple(matrix, 3),
        types.Tuple((integers, integers, boolean)),
        types.UniTuple(integers, 2),
    )


_compiled = Compiled(_forward, _types)


def task_bounds(sizes, batch, work, threads=None):
    """Bounds of tasks with about as many rows each, one a thread; as many as `work` multiply-adds are worth if None."""
    threads = max(min(threads or threads_for(multiply_adds=work), batch), 1)
    if threads == 1:
        return np.array([0, batch])
    steps = np.zeros(batch + 1, np.int64)  # of the sequences before each one
    steps[1:] = np.cumsum((sizes[:, None] > np.arange(batch)).sum(0))
    return np.searchsorted(steps, np.arange(threads + 1) * steps[-1] / threads)


def run(layer, biases, state, y, saved, threads=None):
    """The forward pass of `arguments.Layer`, on as many threads as it is worth if `threads` is None.

    `state` is (h, c), replaced by the last state. y and `saved`, (gates, cells), have a row for each row of x; the
    latter are of size 0 where they are not saved.
    """
    x, kind, H, gates, batch = layer.x, layer.kind, layer.units, GATES[layer.kind], len(state[0])
    bounds = task_bounds(layer.sizes, batch, len(x) * (layer.weight_ih.size + layer.weight_hh.size), threads)
    counters = NO_BARRIER
    if batch == 1 and layer.weight_hr is None and layer.weight_hh.size >= JOINT_FROM:
        threads = min(threads or get_num_threads(), -(-H * x.itemsize // (NV * machine.vector_bytes())))
        if threads > 1:
            bounds, counters = np.array([0] + [1] * threads), np.zeros(BARRIER, np.int64)
    panels = (
        packed_transposed(layer.weight_ih, gates),
        packed_transposed(layer.weight_hh, gates),
        NO_BIAS[x.dtype] if layer.weight_hr is None else packed_transposed(layer.weight_hr, 1),
        summed_biases(kind, H, x.dtype, *biases),
    )
    steps = layer.starts, layer.sizes, layer.reverse
    _compiled[x.dtype](kind, H, x, panels, state, (y, *saved), steps, (bounds, counters))

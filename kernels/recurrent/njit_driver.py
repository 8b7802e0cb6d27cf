"""What `driver`, `backward` and `cell` do between checks and loops, for jitted code; called by address."""

import numpy as np

from kernels._jit import jit
from kernels._njit import by_address
from kernels._njit_sizes import threads_for
from kernels._parallel import BARRIER
from kernels._threads import PARALLEL_ELEMENTS
from kernels.gemm.functions import matmul
from kernels.gemm.micro import NV
from kernels.machine import vector_bytes
from kernels.recurrent import backward, cell, driver, pack
from kernels.recurrent.driver import JOINT_FROM
from kernels.recurrent.gates import GRU, gates_and_terms
from kernels.reduction.axis_sums import sum_axis

BYTES, READ_TOGETHER = NV * vector_bytes(), cell.READ_TOGETHER

_forward = by_address(driver._compiled, "forward")
_backward = by_address(backward._compiled, "backward")
_step = by_address(cell._compiled, "step")
_pack_transposed = by_address(pack._compiled_transposed, "pack_transposed")
_pack = by_address(pack._compiled, "pack")
_sum_axis = by_address(sum_axis, "sum_axis")


# --- packing ---------------------------------------------------------------------------------------------------------


@jit
def _padded(columns, NR):
    return -(-columns // NR) * NR


@jit
def _packed_transposed(weight, gates):
    """`pack.packed_transposed`; nothing of a weight of size 0."""
    if weight.size == 0:
        return np.empty(0, weight.dtype)
    NR = BYTES // weight.itemsize
    panels = np.empty(gates * _padded(weight.shape[0] // gates, NR) * weight.shape[1] + NR * NR, weight.dtype)
    _pack_transposed(weight, gates, panels)
    return panels


@jit
def _packed(weight):
    """`pack.packed`; nothing of a weight of size 0."""
    if weight.size == 0:
        return np.empty(0, weight.dtype)
    NR = BYTES // weight.itemsize
    panels = np.empty(_padded(weight.shape[1], NR) * weight.shape[0] + NR * NR, weight.dtype)
    _pack(weight, panels)
    return panels


@jit
def _summed_biases(kind, H, biases):
    """`pack.summed_biases`, where those of size 0 stand for zeros."""
    bias_ih, bias_hh = biases
    stride, (gates, terms) = _padded(H, BYTES // bias_ih.itemsize), gates_and_terms(kind)
    bias = np.zeros(terms * stride, bias_ih.dtype)
    for gate in range(gates):
        term = 3 if kind == GRU and gate == 2 else gate  # the candidate's two parts stay separate
        for j in range(H):
            if bias_ih.size > 0:
                bias[gate * stride + j] += bias_ih[gate * H + j]
            if bias_hh.size > 0:
                bias[term * stride + j] += bias_hh[gate * H + j]
    return bias


@jit
def _task_bounds(sizes, batch, work):
    """`driver.task_bounds`."""
    threads = max(min(threads_for(0, work), batch), 1)
    bounds = np.empty(threads + 1, np.int64)
    bounds[0], bounds[threads] = 0, batch
    sequence, before, total = 0, 0, sizes.sum()
    for i in range(1, threads):
        while before * threads < i * total:
            for t in range(len(sizes)):
                before += sizes[t] > sequence
            sequence += 1
        bounds[i] = sequence
    return bounds


# --- a layer ---------------------------------------------------------------------------------------------------------


@jit
def _run(kind, layer, biases, state, results):
    """`driver.run` of a `Layer`; `results` are y, gates and cells by rows."""
    gates, (h, _) = gates_and_terms(kind)[0], state
    x, H, batch, counters = layer.x, layer.units, len(h), np.empty(0, np.int64)
    bounds = _task_bounds(layer.sizes, batch, len(x) * (layer.weight_ih.size + layer.weight_hh.size))
    if batch == 1 and layer.weight_hr.size == 0 and layer.weight_hh.size >= JOINT_FROM:
        threads = min(threads_for(PARALLEL_ELEMENTS, 0), _padded(H * x.itemsize, BYTES) // BYTES)
        if threads > 1:
            counters = np.zeros(BARRIER, np.int64)
            bounds = np.ones(threads + 1, np.int64)
            bounds[0] = 0
    panels = (
        _packed_transposed(layer.weight_ih, gates),
        _packed_transposed(layer.weight_hh, gates),
        _packed_transposed(layer.weight_hr, 1),
        _summed_biases(kind, H, biases),
    )
    steps = layer.starts, layer.sizes, layer.reverse
    _forward(kind, H, x, panels, state, results, steps, (bounds, counters))


run = by_address(_run, "run")


@jit
def _differentiate(kind, layer, dy, results, initial, dstate, z_and_projected):
    """The time loop of `backward.run`: fills the gradients of the pre-activations, and those of the projection."""
    if len(layer.x) == 0:
        return
    bounds = _task_bounds(layer.sizes, layer.sizes[0], len(layer.x) * layer.weight_hh.size)
    panels, steps = (_packed(layer.weight_hh), _packed(layer.weight_hr)), (layer.starts, layer.sizes, layer.reverse)
    (dh, dc), (dz, projected, m) = dstate, z_and_projected
    _backward(kind, layer.units, panels, initial, results, steps, (dy, dh, dc, dz, projected, m), bounds)


differentiate = by_address(_differentiate, "differentiate")


@jit
def _step_inputs(layer, y, h0):
    """`backward._step_inputs`: for each row, x beside the h that its step began with."""
    starts, sizes, inputs, outputs = layer.starts, layer.sizes, layer.x.shape[1], y.shape[1]
    both = np.empty((len(layer.x), inputs + outputs), y.dtype)
    for t in range(len(sizes)):
        other = t + 1 if layer.reverse else t - 1
        known = min(sizes[t], sizes[other]) if 0 <= other < len(sizes) else 0
        for i in range(sizes[t]):
            row = starts[t] + i
            for j in range(inputs):
                both[row, j] = layer.x[row, j]
            for j in range(outputs):
                both[row, inputs + j] = y[starts[other] + i, j] if i < known else h0[i, j]
    return both


@jit
def _weight_gradients(kind, layer, dz, both):
    """`backward._weight_gradients`."""
    inputs, H = layer.x.shape[1], layer.units
    if kind != GRU:
        total = matmul(dz.T, both)
        return total[:, :inputs].copy(), total[:, inputs:].copy()
    total = matmul(dz[:, : 2 * H].T, both)
    from_x, from_h = matmul(dz[:, 2 * H : 3 * H].T, layer.x), matmul(dz[:, 3 * H :].T, both[:, inputs:])
    return np.concatenate((total[:, :inputs], from_x)), np.concatenate((total[:, inputs:], from_h))


@jit
def _bias_gradients(kind, H, dz):
    """`backward._bias_gradients`."""
    total = np.empty(dz.shape[1], dz.dtype)
    _sum_axis(dz.reshape(-1), total, 1, len(dz), total.size, 1.0, threads_for(dz.size, 0))
    if kind != GRU:
        return total, total.copy()
    return total[: 3 * H].copy(), np.concatenate((total[: 2 * H], total[3 * H :]))


@jit
def _gradients(kind, layer, projection, y, h0, dz, needs):
    """The products of `backward.run`: of x, weight_ih, weight_hh, bias_ih, bias_hh and weight_hr (`projection` has its
    two factors), of size 0 where they are not needed."""
    none, nothing = np.empty((0, 0), dz.dtype), np.empty(0, dz.dtype)
    dx, dweight_ih, dweight_hh, dweight_hr, dbias_ih, dbias_hh = none, none, none, none, nothing, nothing
    if needs[0]:
        dx = matmul(dz[:, : gates_and_terms(kind)[0] * layer.units], layer.weight_ih)
    if needs[1] or needs[2]:
        of_ih, of_hh = _weight_gradients(kind, layer, dz, _step_inputs(layer, y, h0))
        dweight_ih, dweight_hh = of_ih if needs[1] else none, of_hh if needs[2] else none
    if needs[3] or needs[4]:
        from_x, from_h = _bias_gradients(kind, layer.units, dz)
        dbias_ih, dbias_hh = from_x if needs[3] else nothing, from_h if needs[4] else nothing
    if needs[5] and layer.weight_hr.size > 0:
        projected, m = projection
        dweight_hr = matmul(projected.T, m)
    return dx, dweight_ih, dweight_hh, dbias_ih, dbias_hh, dweight_hr


gradients = by_address(_gradients, "gradients")

# --- a cell ----------------------------------------------------------------------------------------------------------


@jit
def _run_cell(kind, x, state, weights, results):
    """`cell.run`."""
    weight_ih, weight_hh, _, _ = weights
    size = weight_ih.size + weight_hh.size
    threads = threads_for(size // READ_TOGETHER, 0) if len(x) == 1 else threads_for(0, len(x) * size)
    _step(kind, x, state, weights, results, threads)


run_cell = by_address(_run_cell, "run_cell")

r"""What one step of a recurrent network does to each hidden unit, given its pre-activations.

With z the pre-activations of each gate, and x_n, h_n the two terms of the GRU's candidate, from x and from h:

    RNN    h' = tanh(z) or relu(z)
    GRU    reset = sigmoid(z_r)    update = sigmoid(z_z)    new = tanh(x_n + reset h_n)
           h' = (1 - update) new + update h
    LSTM   i, f, o = sigmoid(z_i, z_f, z_o)    g = tanh(z_g)    c' = f c + i g    h' = o tanh(c')

The lanes of a vector are neighbouring units of one sequence. For the backward pass it is enough to save the activated
gates (and the LSTM's c, the GRU's h_n), because the derivatives follow from them: sigmoid' = s (1 - s), tanh' =
1 - t**2.

Where there are several gates, a sequence's row holds them one after another, all units of each; `gate_rows` turns such
a row into a view with one row a gate.
"""

from typing import NamedTuple

from kernels._jit import jit
from kernels.activation.rectified import relu_backward_lanes, relu_lanes
from kernels.simd import fma, lane_count, load_partial, sigmoid, store_partial, strided, tanh

RNN_TANH, RNN_RELU, GRU, LSTM = range(4)
GATES = {RNN_TANH: 1, RNN_RELU: 1, GRU: 3, LSTM: 4}  # rows of a weight, in multiples of H
# Pre-activations of a sequence, in multiples of H: the GRU's candidate has two, its terms from x and from h.
TERMS = {RNN_TANH: 1, RNN_RELU: 1, GRU: 4, LSTM: 4}


@jit(inline=True)
def gates_and_terms(kind):
    """`GATES` and `TERMS` of a kind."""
    return (4, 4) if kind == LSTM else (3, 4) if kind == GRU else (1, 1)


class Gates(NamedTuple):
    """A matrix with a row for each sequence, in which unit j of gate g is element ``g * stride + j``."""

    rows: object
    stride: int


class State(NamedTuple):
    """The state of a network, or its gradient: h (B, P) and, of the LSTM alone, c (B, H)."""

    h: object
    c: object


class Saved(NamedTuple):
    """What is saved for the backward pass, if `keep`: activated gates and the LSTM's c, a row for each row of x."""

    gates: object
    cells: object
    keep: bool


@jit(inline=True)
def gate_rows(gates, r):
    """Row r of `Gates` as a view with one row a gate."""
    return strided(gates.rows.row(r), gates.stride, 1)


# --- forward ---------------------------------------------------------------------------------------------------------


class _Step(NamedTuple):
    """One sequence's vectors in one step; z and gates have one row a gate."""

    z: object
    h: object
    c: object
    y: object
    gates: object
    cells: object
    keep: bool


@jit(inline=True)
def _rnn_units(kind, step, j, count):
    """``y = tanh(z)`` or relu, for the vector of units from j on, of which `count` are left."""
    z = load_partial(step.z, j, count, 0.0)
    store_partial(step.y, j, count, relu_lanes(z) if kind == RNN_RELU else tanh(z))


@jit(inline=True)
def _gru_units(step, j, count):
    """The GRU's vector of units from j on, of which `count` are left; saves reset, update, new and h_n."""
    z = step.z
    reset = sigmoid(load_partial(z, j, count, 0.0))
    update = sigmoid(load_partial(z.row(1), j, count, 0.0))
    h_n = load_partial(z.row(3), j, count, 0.0)
    new = tanh(fma(reset, h_n, load_partial(z.row(2), j, count, 0.0)))
    store_partial(step.y, j, count, fma(update, load_partial(step.h, j, count, 0.0) - new, new))
    if step.keep:
        store_partial(step.gates, j, count, reset)
        store_partial(step.gates.row(1), j, count, update)
        store_partial(step.gates.row(2), j, count, new)
        store_partial(step.gates.row(3), j, count, h_n)


@jit(inline=True)
def _lstm_units(step, j, count):
    """The LSTM's vector of units from j on, of which `count` are left; replaces c, and saves i, f, g, o and c'."""
    z = step.z
    i = sigmoid(load_partial(z, j, count, 0.0))
    f = sigmoid(load_partial(z.row(1), j, count, 0.0))
    g = tanh(load_partial(z.row(2), j, count, 0.0))
    o = sigmoid(load_partial(z.row(3), j, count, 0.0))
    c = fma(f, load_partial(step.c, j, count, 0.0), i * g)
    store_partial(step.c, j, count, c)
    store_partial(step.y, j, count, o * tanh(c))
    if step.keep:
        store_partial(step.gates, j, count, i)
        store_partial(step.gates.row(1), j, count, f)
        store_partial(step.gates.row(2), j, count, g)
        store_partial(step.gates.row(3), j, count, o)
        store_partial(step.cells, j, count, c)


@jit
def activate(kind, z, state, y, saved, rows, first, stop):
    """Units `first` to `stop` - 1 of `rows` sequences, from pre-activations z to the new h in y, and c in place.

    z and ``saved.gates`` are `Gates`, all else views with a row for each sequence.
    """
    lanes = lane_count(y)
    for r in range(rows):
        gates, cells = gate_rows(saved.gates, r), saved.cells.row(r)
        step = _Step(gate_rows(z, r), state.h.row(r), state.c.row(r), y.row(r), gates, cells, saved.keep)
        for j in range(first, stop, lanes):
            if kind == LSTM:
                _lstm_units(step, j, stop - j)
            elif kind == GRU:
                _gru_units(step, j, stop - j)
            else:
                _rnn_units(kind, step, j, stop - j)


# --- backward --------------------------------------------------------------------------------------------------------


class GateGradients(NamedTuple):
    """Gradients with respect to pre-activations, `Gates` both: `all` of z, `from_h` of what the product with h gave.

    They differ for the GRU only: r, z, x_n and h_n in `all`; r, z and h_n in `from_h`.
    """

    all: object
    from_h: object


class _StepBack(NamedTuple):
    """One sequence's vectors in one step: h and c are the state before it, y the h after it."""

    dh: object
    dc: object
    h: object
    c: object
    y: object
    gates: object
    cells: object
    dz: object
    dz_from_h: object


@jit(inline=True)
def _rnn_units_backward(kind, step, j, count):
    dh, y = load_partial(step.dh, j, count, 0.0), load_partial(step.y, j, count, 0.0)
    dz = relu_backward_lanes(dh, y) if kind == RNN_RELU else dh * fma(-y, y, 1.0)
    store_partial(step.dz, j, count, dz)
    store_partial(step.dz_from_h, j, count, dz)


@jit(inline=True)
def _gru_units_backward(step, j, count):
    """From dh' to the gradients of the pre-activations; dh becomes update dh', which reaches h directly."""
    dh = load_partial(step.dh, j, count, 0.0)
    reset = load_partial(step.gates, j, count, 0.0)
    update = load_partial(step.gates.row(1), j, count, 0.0)
    new = load_partial(step.gates.row(2), j, count, 0.0)
    d_new = dh * (1.0 - update) * fma(-new, new, 1.0)
    # the derivative of a sigmoid first: what is 0 then stays 0, however large the rest
    d_reset = d_new * (load_partial(step.gates.row(3), j, count, 0.0) * (reset * (1.0 - reset)))
    d_update = dh * ((load_partial(step.h, j, count, 0.0) - new) * (update * (1.0 - update)))
    store_partial(step.dz, j, count, d_reset)
    store_partial(step.dz.row(1), j, count, d_update)
    store_partial(step.dz.row(2), j, count, d_new)
    store_partial(step.dz.row(3), j, count, d_new * reset)
    store_partial(step.dz_from_h, j, count, d_reset)
    store_partial(step.dz_from_h.row(1), j, count, d_update)
    store_partial(step.dz_from_h.row(2), j, count, d_new * reset)
    store_partial(step.dh, j, count, dh * update)


@jit(inline=True)
def _lstm_units_backward(step, j, count):
    """From dh' and dc' to the gradients of the pre-activations i, f, g, o; dc becomes that of c."""
    dh = load_partial(step.dh, j, count, 0.0)
    i = load_partial(step.gates, j, count, 0.0)
    f = load_partial(step.gates.row(1), j, count, 0.0)
    g = load_partial(step.gates.row(2), j, count, 0.0)
    o = load_partial(step.gates.row(3), j, count, 0.0)
    t = tanh(load_partial(step.cells, j, count, 0.0))
    dc = fma(dh * o, fma(-t, t, 1.0), load_partial(step.dc, j, count, 0.0))
    store_partial(step.dc, j, count, dc * f)
    # the derivative of a sigmoid first: what is 0 then stays 0, however large the rest
    di = dc * (g * (i * (1.0 - i)))
    df = dc * (load_partial(step.c, j, count, 0.0) * (f * (1.0 - f)))
    dg = dc * (i * fma(-g, g, 1.0))
    do = dh * (t * (o * (1.0 - o)))
    store_partial(step.dz, j, count, di)
    store_partial(step.dz.row(1), j, count, df)
    store_partial(step.dz.row(2), j, count, dg)
    store_partial(step.dz.row(3), j, count, do)
    store_partial(step.dz_from_h, j, count, di)
    store_partial(step.dz_from_h.row(1), j, count, df)
    store_partial(step.dz_from_h.row(2), j, count, dg)
    store_partial(step.dz_from_h.row(3), j, count, do)


@jit
def activate_backward(kind, rows, H, dstate, before, y, saved, dz):
    """All H units of `rows` sequences: from the gradients `dstate` of h' and c' to `dz`, and dc in place.

    `before` is the state before the step and `y` the h after it; ``saved.gates`` and both of `dz` are `Gates`.
    """
    for r in range(rows):
        gates, cells = gate_rows(saved.gates, r), saved.cells.row(r)
        dz_all, dz_from_h = gate_rows(dz.all, r), gate_rows(dz.from_h, r)
        dh, dc, h, c = dstate.h.row(r), dstate.c.row(r), before.h.row(r), before.c.row(r)
        step = _StepBack(dh, dc, h, c, y.row(r), gates, cells, dz_all, dz_from_h)
        for j in range(0, H, lane_count(y)):
            if kind == LSTM:
                _lstm_units_backward(step, j, H - j)
            elif kind == GRU:
                _gru_units_backward(step, j, H - j)
            else:
                _rnn_units_backward(kind, step, j, H - j)

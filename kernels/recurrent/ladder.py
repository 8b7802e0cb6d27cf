r"""From the equations of the LSTM to packed weights in one loop through time, one idea a rung; RNN and GRU as defined.

.. math:: i, f, o = \sigma(W_{i,f,o}\, x_t + U_{i,f,o}\, h_{t-1} + b_{i,f,o})
.. math:: g = \tanh(W_g x_t + U_g h_{t-1} + b_g)
.. math:: c_t = f \odot c_{t-1} + i \odot g \qquad h_t = o \odot \tanh(c_t)

8 H (I + H) FLOPs a row of x (3/4 of it for the GRU, 1/4 for the RNN), and 4 H (I + H) weights that are read again at
every step: with a batch of one, memory is the limit; from about a dozen sequences on, arithmetic is.

Each rung takes x (T, B, I), h and c (B, H), both weights (4 H, I) and (4 H, H), both biases (4 H,), writes y (T, B, H)
and replaces h and c. Gate k of a unit is row ``k * H + unit`` of the weights; the gates are i, f, g, o.
"""

import math

import numpy as np

from kernels._jit import jit
from kernels.affine import linear
from kernels.gemm.micro import ADD, BIAS, MR, NV, Epilogue, micro_kernel, tile_height
from kernels.gemm.pack import pack_b, panel_padding
from kernels.recurrent import driver
from kernels.recurrent.arguments import NO_MATRIX, checked_layer
from kernels.recurrent.gates import GRU, LSTM, RNN_TANH
from kernels.simd import (
    allocate,
    flat,
    fma,
    lane_count,
    load_partial,
    release,
    shifted,
    sigmoid,
    store_partial,
    strided,
    tanh,
    view,
)


@jit
def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


@jit
def _dot(weight, row, v):
    total = weight.dtype.type(0)
    for p in range(v.size):
        total += weight[row, p] * v[p]
    return total


@jit
def rnn_naive(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """The definition: every unit of every step is one row of each weight times x and h."""
    for t in range(x.shape[0]):
        for b in range(x.shape[1]):
            for unit in range(h.shape[1]):
                z = _dot(weight_ih, unit, x[t, b]) + bias_ih[unit] + _dot(weight_hh, unit, h[b]) + bias_hh[unit]
                y[t, b, unit] = math.tanh(z)
        h[:] = y[t]


@jit
def gru_naive(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """The definition; the gates are reset, update and new (PyTorch's r, z, n)."""
    H = h.shape[1]
    for t in range(x.shape[0]):
        for b in range(x.shape[1]):
            for unit in range(H):
                from_x = [_dot(weight_ih, row, x[t, b]) + bias_ih[row] for row in range(unit, 3 * H, H)]
                from_h = [_dot(weight_hh, row, h[b]) + bias_hh[row] for row in range(unit, 3 * H, H)]
                reset, update = _sigmoid(from_x[0] + from_h[0]), _sigmoid(from_x[1] + from_h[1])
                new = math.tanh(from_x[2] + reset * from_h[2])
                y[t, b, unit] = (1 - update) * new + update * h[b, unit]
        h[:] = y[t]


@jit
def lstm_naive(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """The definition: the four pre-activations of a unit, then its gates."""
    H = h.shape[1]
    for t in range(x.shape[0]):
        for b in range(x.shape[1]):
            for unit in range(H):
                z = [
                    _dot(weight_ih, row, x[t, b]) + bias_ih[row] + _dot(weight_hh, row, h[b]) + bias_hh[row]
                    for row in range(unit, 4 * H, H)
                ]
                c[b, unit] = _sigmoid(z[1]) * c[b, unit] + _sigmoid(z[0]) * math.tanh(z[2])
                y[t, b, unit] = _sigmoid(z[3]) * math.tanh(c[b, unit])
        h[:] = y[t]


@jit
def lstm_gates(z, c, h):
    """From pre-activations (B, 4 H) to c and h, unit by unit."""
    B, H = c.shape
    for b in range(B):
        for unit in range(H):
            i, f = _sigmoid(z[b, unit]), _sigmoid(z[b, H + unit])
            g, o = math.tanh(z[b, 2 * H + unit]), _sigmoid(z[b, 3 * H + unit])
            c[b, unit] = f * c[b, unit] + i * g
            h[b, unit] = o * math.tanh(c[b, unit])


def lstm_one_product(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """Adds matrix products: all gates of all sequences in one with x and one with h, so that a weight, once loaded, is
    used for the whole batch."""
    for t in range(len(x)):
        lstm_gates(linear(x[t], weight_ih, bias_ih) + linear(h, weight_hh, bias_hh), c, y[t])
        h[...] = y[t]


def lstm_input_hoisted(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """Adds hoisting: the product with x does not depend on h, so it moves out of the loop and becomes one large product
    over all steps."""
    from_x = linear(x, weight_ih, bias_ih)
    for t in range(len(x)):
        lstm_gates(from_x[t] + linear(h, weight_hh, bias_hh), c, y[t])
        h[...] = y[t]


@jit
def _activate(z, gate_stride, c, y, B, units):
    """`lstm_gates` on vectors of units; z, c and y are views, and unit j of gate k is ``z[b, k * gate_stride + j]``."""
    for b in range(B):
        gates, cell, hidden = strided(z.row(b), gate_stride, 1), c.row(b), y.row(b)  # gates: one row a gate
        for j in range(0, units, lane_count(y)):
            left = units - j
            i = sigmoid(load_partial(gates, j, left, 0.0))
            f = sigmoid(load_partial(gates.row(1), j, left, 0.0))
            g = tanh(load_partial(gates.row(2), j, left, 0.0))
            o = sigmoid(load_partial(gates.row(3), j, left, 0.0))
            after = fma(f, load_partial(cell, j, left, 0.0), i * g)
            store_partial(cell, j, left, after)
            store_partial(hidden, j, left, o * tanh(after))


@jit
def lstm_gates_in_vectors(z, c, h):
    """`lstm_gates`, a vector of units at a time, with this library's exponentials."""
    B, H = c.shape
    _activate(view(z), H, view(c), view(h), B, H)


def lstm_vectorised_gates(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """Adds vectors for the gates: scalar exponentials and hyperbolic tangents took as long as the product."""
    from_x = linear(x, weight_ih, bias_ih)
    for t in range(len(x)):
        lstm_gates_in_vectors(from_x[t] + linear(h, weight_hh, bias_hh), c, y[t])
        h[...] = y[t]


@jit
def lstm_packed(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """Adds packing: weights are packed once for all steps, in panels of NR units for each gate, and the time loop is
    compiled. This takes the hoisting back: the product with x returns into the loop, so that the four gates of a panel
    of units are summed and activated while they are in L1; a hoisted product would pass through memory."""
    T, B, inputs = x.shape
    H, NR = h.shape[1], NV * lane_count(y)
    width = (H + NR - 1) // NR * NR  # of a gate, in whole panels
    panels_ih = allocate(y, 4 * width * inputs + panel_padding(y))
    panels_hh = allocate(y, 4 * width * H + panel_padding(y))
    bias, totals = allocate(y, 4 * width), allocate(y, MR * NR)
    memory_z = allocate(y, B * 4 * width)
    z = strided(memory_z, 4 * width, 1)
    for k in range(4):
        pack_b(view(weight_ih).row(k * H).T, H, inputs, shifted(panels_ih, k * width * inputs))
        pack_b(view(weight_hh).row(k * H).T, H, H, shifted(panels_hh, k * width * H))
        for unit in range(H):
            bias[k * width + unit] = bias_ih[k * H + unit] + bias_hh[k * H + unit]
    for t in range(T):
        x_t, y_t = strided(shifted(flat(x), t * B * inputs), inputs, 1), strided(shifted(flat(y), t * B * H), H, 1)
        for j in range(0, H, NR):
            units = min(NR, H - j)
            for k in range(4):
                column = k * width + j
                panel_ih = strided(shifted(panels_ih, column * inputs), NR, 1)
                panel_hh = strided(shifted(panels_hh, column * H), NR, 1)
                start, add = Epilogue(BIAS, strided(shifted(bias, column), 0, 1)), Epilogue(ADD, z)
                b = 0
                while b < B:
                    rows, tile = tile_height(B - b), z.at(b, column)
                    micro_kernel(rows, x_t.row(b), panel_ih, inputs, tile, units, start, totals)
                    micro_kernel(rows, view(h).row(b), panel_hh, H, tile, units, add, totals)
                    b += rows
            _activate(z.column(j), width, view(c).column(j), y_t.column(j), B, units)
        h[:] = y[t]
    release(panels_ih)
    release(panels_hh)
    release(bias)
    release(totals)
    release(memory_z)


def _tuned(kind, x, state, weights, biases, y):
    layer = checked_layer("tuned", kind, x, (*weights, None), False, None)
    none = NO_MATRIX[x.dtype]
    driver.run(layer, biases, state, y.reshape(-1, y.shape[-1]), (none, none))


def lstm_tuned(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """Adds threads, each with some sequences through all steps, and what small batches need (`driver`): the products
    with x of several steps at a time, and hidden units divided between threads for a single sequence."""
    _tuned(LSTM, x, (h, c), (weight_ih, weight_hh), (bias_ih, bias_hh), y)


def gru_tuned(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """Adds what the LSTM's rungs add, at once: the packed, threaded time loop of `driver`."""
    _tuned(GRU, x, (h, NO_MATRIX[x.dtype]), (weight_ih, weight_hh), (bias_ih, bias_hh), y)


def rnn_tuned(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """Adds what the LSTM's rungs add, at once: the packed, threaded time loop of `driver`."""
    _tuned(RNN_TANH, x, (h, NO_MATRIX[x.dtype]), (weight_ih, weight_hh), (bias_ih, bias_hh), y)


VARIANTS = {
    "lstm": {
        "naive": lstm_naive,
        "one product": lstm_one_product,
        "input hoisted": lstm_input_hoisted,
        "vectorised gates": lstm_vectorised_gates,
        "packed": lstm_packed,
        "tuned": lstm_tuned,
    },
    "gru": {"naive": gru_naive, "tuned": gru_tuned},
    "rnn": {"naive": rnn_naive, "tuned": rnn_tuned},
}

r"""From the equations of the LSTM to the walk, one idea a rung; RNN and GRU as they are defined.

.. math:: i, f, o = \sigma(W_{i,f,o}\, x_t + U_{i,f,o}\, h_{t-1} + b_{i,f,o})
.. math:: g = \tanh(W_g x_t + U_g h_{t-1} + b_g)
.. math:: c_t = f \odot c_{t-1} + i \odot g \qquad h_t = o \odot \tanh(c_t)

8 H (I + H) FLOPs a row of x (3/4 of it for the GRU, 1/4 for the RNN), and 4 H (I + H) weights that are read again at
every step: with a batch of one, memory is the limit; from some dozen sequences on, arithmetic is.

Each rung takes x (T, B, I), h and c (B, H), both weights and one bias (4 H,), writes y (T, B, H) and replaces h and c.
"""

import math

import numpy as np

from kernels._jit import jit
from kernels.affine import linear
from kernels.recurrent import forward
from kernels.recurrent.arguments import NO_MATRIX, checked_layer
from kernels.recurrent.gates import GRU, LSTM, RNN_TANH, activate
from kernels.simd import flat

# Numba compiles a callee anew for each literal argument; these are plain values to it.
ZERO, _LSTM = np.int64(0), np.int64(LSTM)


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
            for u in range(h.shape[1]):
                z = _dot(weight_ih, u, x[t, b]) + bias_ih[u] + _dot(weight_hh, u, h[b]) + bias_hh[u]
                y[t, b, u] = math.tanh(z)
        h[:] = y[t]


@jit
def gru_naive(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """The definition; gate k of unit u is row k*H + u of the weights."""
    H = h.shape[1]
    for t in range(x.shape[0]):
        for b in range(x.shape[1]):
            for u in range(H):
                from_x = [_dot(weight_ih, k * H + u, x[t, b]) + bias_ih[k * H + u] for k in range(3)]
                from_h = [_dot(weight_hh, k * H + u, h[b]) + bias_hh[k * H + u] for k in range(3)]
                r, z = _sigmoid(from_x[0] + from_h[0]), _sigmoid(from_x[1] + from_h[1])
                n = math.tanh(from_x[2] + r * from_h[2])
                y[t, b, u] = (1 - z) * n + z * h[b, u]
        h[:] = y[t]


@jit
def lstm_naive(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """The equations as they stand, gate by gate; gate k of unit u is row k*H + u of the weights."""
    H = h.shape[1]
    for t in range(x.shape[0]):
        for b in range(x.shape[1]):
            for u in range(H):
                z = [
                    _dot(weight_ih, row, x[t, b]) + bias_ih[row] + _dot(weight_hh, row, h[b]) + bias_hh[row]
                    for row in range(u, 4 * H, H)
                ]
                c[b, u] = _sigmoid(z[1]) * c[b, u] + _sigmoid(z[0]) * math.tanh(z[2])
                y[t, b, u] = _sigmoid(z[3]) * math.tanh(c[b, u])
        h[:] = y[t]


@jit
def lstm_gates(z, c, h):
    """From pre-activations (B, 4 H) to c and h, unit by unit."""
    B, H = c.shape
    for b in range(B):
        for u in range(H):
            i, f = _sigmoid(z[b, u]), _sigmoid(z[b, H + u])
            g, o = math.tanh(z[b, 2 * H + u]), _sigmoid(z[b, 3 * H + u])
            c[b, u] = f * c[b, u] + i * g
            h[b, u] = o * math.tanh(c[b, u])


def lstm_one_product(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """Adds the matrix product: all gates of all sequences in one, so that each weight meets the whole batch when it is
    fetched."""
    for t in range(len(x)):
        lstm_gates(linear(x[t], weight_ih, bias_ih) + linear(h, weight_hh, bias_hh), c, y[t])
        h[...] = y[t]


def lstm_input_hoisted(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """Moves the product with x out of the loop: it does not wait for h, and for all steps at once it is a large one."""
    from_x = linear(x, weight_ih, bias_ih)
    for t in range(len(x)):
        lstm_gates(from_x[t] + linear(h, weight_hh, bias_hh), c, y[t])
        h[...] = y[t]


@jit
def lstm_gates_in_vectors(z, c, h):
    """`lstm_gates` on as many units at a time as a register has lanes, with exponentials of our own."""
    B, H = c.shape
    C, Y = flat(c), flat(h)
    activate(
        _LSTM, B, ZERO, H, flat(z), ZERO, 4 * H, H, Y, ZERO, C, ZERO, Y, ZERO, H, Y, ZERO, C, ZERO, H, np.bool_(False)
    )


def lstm_vectorised_gates(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
    """Adds vectors for the gates: one exponential or hyperbolic tangent at a time took as long as the product."""
    from_x = linear(x, weight_ih, bias_ih)
    for t in range(len(x)):
        lstm_gates_in_vectors(from_x[t] + linear(h, weight_hh, bias_hh), c, y[t])
        h[...] = y[t]


def _layer(kind, threads):
    def walk(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y):
        layer = checked_layer("walk", kind, x, weight_ih, weight_hh, None, None)
        none = NO_MATRIX[x.dtype]
        c = c if kind == LSTM else none
        forward.run(kind, layer, bias_ih, bias_hh, h, c, y.reshape(-1, y.shape[-1]), none, none, False, threads)

    return walk


lstm_packed, lstm_parallel = _layer(LSTM, 1), _layer(LSTM, None)
lstm_packed.__doc__ = """Adds the walk: weights packed once for all steps, the gates applied to a strip of units while
it is in L1, and no Python between steps."""
lstm_parallel.__doc__ = """Adds threads: each takes some of the sequences through all of time."""

VARIANTS = {
    "lstm": {
        "naive": lstm_naive,
        "one product": lstm_one_product,
        "input hoisted": lstm_input_hoisted,
        "vectorised gates": lstm_vectorised_gates,
        "packed": lstm_packed,
        "parallel": lstm_parallel,
    },
    "gru": {"naive": gru_naive, "packed": _layer(GRU, 1), "parallel": _layer(GRU, None)},
    "rnn": {"naive": rnn_naive, "packed": _layer(RNN_TANH, 1), "parallel": _layer(RNN_TANH, None)},
}

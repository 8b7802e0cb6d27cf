r"""What one step of a recurrent network does to each hidden unit, once its pre-activations are summed.

With z the pre-activations, by gate, and x_g, h_g the parts of z that come from x and from h:

    RNN    h' = tanh(z) or relu(z)
    GRU    r = sigmoid(z_r), u = sigmoid(z_z), n = tanh(x_n + r h_n), h' = (1 - u) n + u h
    LSTM   i, f, o = sigmoid(z_i, z_f, z_o), g = tanh(z_g), c' = f c + i g, h' = o tanh(c')

Units are neighbours in memory and the lanes of a vector; rows are sequences of the batch. The gradients follow by the
chain rule, with sigmoid' = s (1 - s) and tanh' = 1 - t**2, so that the activated gates are all that must be kept.
"""

from kernels._jit import jit
from kernels.activation.rectified import relu_backward_lanes, relu_lanes
from kernels.simd import fma, lane_count, load_partial, sigmoid, store_partial, tanh

RNN_TANH, RNN_RELU, GRU, LSTM = range(4)
GATES = {RNN_TANH: 1, RNN_RELU: 1, GRU: 3, LSTM: 4}  # rows of units in a weight
# The candidate of the GRU needs its two parts apart, so that its pre-activations are four rows of units.
BLOCKS = {RNN_TANH: 1, RNN_RELU: 1, GRU: 4, LSTM: 4}


@jit(inline=True)
def gates_and_blocks(kind):
    """`GATES` and `BLOCKS` of a kind."""
    return (4, 4) if kind == LSTM else (3, 4) if kind == GRU else (1, 1)


@jit(inline=True)
def _rnn_unit(kind, z, at, out, to, count):
    """``out = tanh(z)`` or relu, for `count` units."""
    pre = load_partial(z, at, count, 0.0)
    if kind == RNN_RELU:
        store_partial(out, to, count, relu_lanes(pre))
    else:
        store_partial(out, to, count, tanh(pre))


@jit(inline=True)
def _gru_unit(z, at, block, h, ih, out, to, gates, ig, H, keep, count):
    """`count` units of the GRU; its gates r, u, n and the part h_n are kept H apart."""
    r = sigmoid(load_partial(z, at, count, 0.0))
    u = sigmoid(load_partial(z, at + block, count, 0.0))
    h_n = load_partial(z, at + 3 * block, count, 0.0)
    n = tanh(fma(r, h_n, load_partial(z, at + 2 * block, count, 0.0)))
    store_partial(out, to, count, fma(u, load_partial(h, ih, count, 0.0) - n, n))
    if keep:
        store_partial(gates, ig, count, r)
        store_partial(gates, ig + H, count, u)
        store_partial(gates, ig + 2 * H, count, n)
        store_partial(gates, ig + 3 * H, count, h_n)


@jit(inline=True)
def _lstm_unit(z, at, block, c, ic, out, to, gates, ig, cells, kept, H, keep, count):
    """`count` units of the LSTM; c is replaced, and where `keep` the gates i, f, g, o are kept H apart, and c'."""
    i = sigmoid(load_partial(z, at, count, 0.0))
    f = sigmoid(load_partial(z, at + block, count, 0.0))
    g = tanh(load_partial(z, at + 2 * block, count, 0.0))
    o = sigmoid(load_partial(z, at + 3 * block, count, 0.0))
    cell = fma(f, load_partial(c, ic, count, 0.0), i * g)
    store_partial(c, ic, count, cell)
    store_partial(out, to, count, o * tanh(cell))
    if keep:
        store_partial(gates, ig, count, i)
        store_partial(gates, ig + H, count, f)
        store_partial(gates, ig + 2 * H, count, g)
        store_partial(gates, ig + 3 * H, count, o)
        store_partial(cells, kept, count, cell)


@jit
def activate(kind, rows, first, stop, z, iz, ldz, block, h, ldh, c, ic, out, to, ldo, gates, ig, cells, kept, H, keep):
    """Units `first` to `stop` of `rows` sequences: from pre-activations, `block` elements from gate to gate, to h'.

    ``z[iz + r*ldz + g*block + j]`` is gate g of unit j in row r; h (the GRU's) begins with row 0, c (the LSTM's) at
    `ic`, out at `to`; gates (4H a row) and cells (H a row) are written from `ig` and `kept` on where `keep`.
    """
    lanes = lane_count(out)
    for r in range(rows):
        for j in range(first, stop, lanes):
            count = stop - j
            at, place = iz + r * ldz + j, to + r * ldo + j
            if kind == LSTM:
                _lstm_unit(
                    z, at, block, c, ic + r * H + j, out, place, gates, ig + r * 4 * H + j, cells, kept + r * H + j, H,
                    keep, count,
                )  # fmt: skip
            elif kind == GRU:
                _gru_unit(z, at, block, h, r * ldh + j, out, place, gates, ig + r * 4 * H + j, H, keep, count)
            else:
                _rnn_unit(kind, z, at, out, place, count)


@jit(inline=True)
def _rnn_unit_backward(kind, dh, at, y, iy, dgates, ig, dz, to, count):
    slope, h = load_partial(dh, at, count, 0.0), load_partial(y, iy, count, 0.0)
    slope = relu_backward_lanes(slope, h) if kind == RNN_RELU else slope * fma(-h, h, 1.0)
    store_partial(dgates, ig, count, slope)
    store_partial(dz, to, count, slope)


@jit(inline=True)
def _gru_unit_backward(dh, at, h, ih, gates, ig, dgates, dz, to, H, count):
    """From dh' to the gradients of the pre-activations: r, u, x_n, h_n in dgates, r, u, h_n in dz; dh becomes u dh'."""
    slope = load_partial(dh, at, count, 0.0)
    r = load_partial(gates, ig, count, 0.0)
    u = load_partial(gates, ig + H, count, 0.0)
    n = load_partial(gates, ig + 2 * H, count, 0.0)
    dn = slope * (1.0 - u) * fma(-n, n, 1.0)
    # the slope of a sigmoid first: what is 0 then stays 0, however large the rest
    dr = dn * (load_partial(gates, ig + 3 * H, count, 0.0) * (r * (1.0 - r)))
    du = slope * ((load_partial(h, ih, count, 0.0) - n) * (u * (1.0 - u)))
    store_partial(dgates, ig, count, dr)
    store_partial(dgates, ig + H, count, du)
    store_partial(dgates, ig + 2 * H, count, dn)
    store_partial(dgates, ig + 3 * H, count, dn * r)
    store_partial(dz, to, count, dr)
    store_partial(dz, to + H, count, du)
    store_partial(dz, to + 2 * H, count, dn * r)
    store_partial(dh, at, count, slope * u)


@jit(inline=True)
def _lstm_unit_backward(dh, at, dc, ic, c, before, gates, ig, cells, kept, dgates, dz, to, H, count):
    """From dh' and dc' to the gradients of the pre-activations i, f, g, o, in dgates and dz; dc becomes that of c."""
    slope = load_partial(dh, at, count, 0.0)
    i = load_partial(gates, ig, count, 0.0)
    f = load_partial(gates, ig + H, count, 0.0)
    g = load_partial(gates, ig + 2 * H, count, 0.0)
    o = load_partial(gates, ig + 3 * H, count, 0.0)
    t = tanh(load_partial(cells, kept, count, 0.0))
    dcell = fma(slope * o, fma(-t, t, 1.0), load_partial(dc, ic, count, 0.0))
    store_partial(dc, ic, count, dcell * f)
    # the slope of a sigmoid first: what is 0 then stays 0, however large the rest
    di = dcell * (g * (i * (1.0 - i)))
    df = dcell * (load_partial(c, before, count, 0.0) * (f * (1.0 - f)))
    dg = dcell * (i * fma(-g, g, 1.0))
    do = slope * (t * (o * (1.0 - o)))
    store_partial(dgates, ig, count, di)
    store_partial(dgates, ig + H, count, df)
    store_partial(dgates, ig + 2 * H, count, dg)
    store_partial(dgates, ig + 3 * H, count, do)
    store_partial(dz, to, count, di)
    store_partial(dz, to + H, count, df)
    store_partial(dz, to + 2 * H, count, dg)
    store_partial(dz, to + 3 * H, count, do)


@jit
def activate_backward(
    kind, rows, dh, at, dc, ic, y, iy, h, ih, c, before, gates, ig, cells, kept, dgates, dz, to, ldz, H
):  # fmt: skip
    """`rows` neighbouring sequences of a step. dh, dc: the gradients of h' and c' (H a row); h, c: the state before."""
    lanes, width = lane_count(dz), H if kind <= RNN_RELU else 4 * H
    for r in range(rows):
        for j in range(0, H, lanes):
            unit, gate = r * H + j, ig + r * width + j
            if kind == LSTM:
                _lstm_unit_backward(
                    dh, at + unit, dc, ic + unit, c, before + unit, gates, gate, cells, kept + unit, dgates, dz,
                    to + r * ldz + j, H, H - j,
                )  # fmt: skip
            elif kind == GRU:
                _gru_unit_backward(
                    dh, at + unit, h, ih + unit, gates, gate, dgates, dz, to + r * ldz + j, H, H - j
                )  # fmt: skip
            else:
                _rnn_unit_backward(kind, dh, at + unit, y, iy + unit, dgates, gate, dz, to + r * ldz + j, H - j)

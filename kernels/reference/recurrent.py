r"""Recurrent layers, one direction of one layer each, in plain NumPy.

With ``p = W_ih x_t + b_ih`` and ``q = W_hh h + b_hh``, where h and c are the state before step t:

    lstm    i, f, o = σ(p + q)    g = tanh(p + q)    c_t = f c + i g    m = o tanh(c_t)    h_t = m, or W_hr m
    gru     r, z = σ(p + q)       n = tanh(p + r q)                     h_t = (1 - z) n + z h
    rnn                                                                 h_t = tanh(p + q), or max(p + q, 0)

Backward in time, dh is dy_t plus the gradient from step t + 1; da and db are the gradients of p and q:

    lstm    dm = dh, or W_hrᵀ dh       dc += dm o (1 - tanh² c_t)       then f dc is passed to c
            da_i = dc g i (1 - i)      da_f = dc c f (1 - f)            da_g = dc i (1 - g²)
            da_o = dm tanh(c_t) o (1 - o)                               db = da
    gru     da_n = dh (1 - z) (1 - n²)                                  da_z = dh (h - n) z (1 - z)
            da_r = da_n q_n r (1 - r)                                   db = da, but db_n = da_n r
    rnn     da = dh (1 - h_t²), or dh where h_t > 0                     db = da

    dx_t = W_ihᵀ da          dW_ih = Σ da x_tᵀ          db_ih = Σ da
    dh = W_hhᵀ db            dW_hh = Σ db hᵀ            db_hh = Σ db        (gru: z dh is passed to h, too)

All steps are stored as consecutive rows: step t has the first ``batch_sizes[t]`` sequences, as in PyTorch's
PackedSequence; an x of shape (T, B, I) has B in every step.
"""

import numpy as np

from kernels.reference.activation import relu, relu_backward, sigmoid, tanh

__all__ = [
    "lstm",
    "lstm_backward",
    "lstm_cell",
    "gru",
    "gru_backward",
    "gru_cell",
    "rnn",
    "rnn_backward",
    "rnn_cell",
]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings


# --- shared by the three ----------------------------------------------------------------------------------------------


def _steps(x, batch_sizes, reverse):
    """The rows of each step as slices, in the order of computation, and the number of sequences."""
    sizes = [x.shape[1]] * len(x) if batch_sizes is None else [int(size) for size in batch_sizes]
    ends = np.cumsum(sizes)
    steps = [slice(int(end) - size, int(end)) for end, size in zip(ends, sizes, strict=True)]
    return steps[::-1] if reverse else steps, sizes[0]


def _rows(array):
    """(T, B, width) as (T * B, width); packed rows as they are."""
    return array.reshape(-1, array.shape[-1])


def _like(x, rows):
    """The inverse of `_rows`, with the leading shape of x."""
    return rows.reshape(*x.shape[:-1], rows.shape[-1])


def _state(h0, B, width, dtype):
    """A writable copy of a state; zeros for None."""
    return np.zeros((B, width), dtype) if h0 is None else np.array(h0)


def _before(y, h0, steps, B):
    """For each row, the state before its step: the same sequence's row of y one step earlier, or h0 at the first."""
    before = np.empty_like(y)
    state = _state(h0, B, y.shape[1], y.dtype)
    for rows in steps:
        before[rows] = state[: rows.stop - rows.start]
        state[: rows.stop - rows.start] = y[rows]
    return before


def _affine(rows, weight, bias):
    return rows @ weight.T if bias is None else rows @ weight.T + bias


def _fill(target, rows):
    if target is not None:
        target[...] = rows.reshape(target.shape)


def _gradients(da, db, x, before, weight_ih, needs):
    """dx, dweight_ih, dweight_hh, dbias_ih, dbias_hh, from the gradients of p and q in every row."""
    dx = _like(x, da @ weight_ih) if needs[0] else None
    others = (lambda: da.T @ _rows(x), lambda: db.T @ before, lambda: da.sum(axis=0), lambda: db.sum(axis=0))
    return dx, *(compute() if need else None for compute, need in zip(others, needs[2:6], strict=True))


# --- LSTM -------------------------------------------------------------------------------------------------------------


@ieee
def lstm(
    x,
    hx,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    weight_hr=None,
    *,
    reverse=False,
    batch_sizes=None,
    gates=None,
    cells=None,
):
    """Return ``y, (h_n, c_n)``; i, f, g, o and c_t of every row are stored in `gates` and `cells`, if given."""
    steps, B = _steps(x, batch_sizes, reverse)
    H, P = weight_hh.shape[0] // 4, weight_hh.shape[1]
    h0, c0 = (None, None) if hx is None else hx
    h, c = _state(h0, B, P, x.dtype), _state(c0, B, H, x.dtype)
    p = _affine(_rows(x), weight_ih, bias_ih)
    activated, cell, y = np.empty_like(p), np.empty((len(p), H), x.dtype), np.empty((len(p), P), x.dtype)
    for rows in steps:
        n = rows.stop - rows.start
        i, f, g, o = np.split(p[rows] + _affine(h[:n], weight_hh, bias_hh), 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
        c[:n] = f * c[:n] + i * g
        m = o * tanh(c[:n])
        h[:n] = m if weight_hr is None else m @ weight_hr.T
        activated[rows], cell[rows], y[rows] = np.concatenate((i, f, g, o), axis=1), c[:n], h[:n]
    _fill(gates, activated)
    _fill(cells, cell)
    return _like(x, y), (h, c)


@ieee
def lstm_backward(
    dy,
    dhx,
    x,
    hx,
    weight_ih,
    weight_hh,
    y,
    gates,
    cells,
    weight_hr=None,
    *,
    reverse=False,
    batch_sizes=None,
    needs=(True,) * 7,
):
    """Return ``dx, (dh0, dc0), dweight_ih, dweight_hh, dbias_ih, dbias_hh, dweight_hr``, None for those not needed."""
    steps, B = _steps(x, batch_sizes, reverse)
    gates, cells, y = _rows(gates), _rows(cells), _rows(y)
    H, P = cells.shape[1], y.shape[1]
    (h0, c0), (dh, dc) = hx or (None, None), dhx or (None, None)
    dh, dc = _state(dh, B, P, x.dtype), _state(dc, B, H, x.dtype)
    i, f, g, o = np.split(gates, 4, axis=1)
    tanh_c, earlier = np.tanh(cells), _before(cells, c0, steps, B)
    da, dout = np.empty_like(gates), np.zeros_like(y) if dy is None else _rows(dy).copy()
    for rows in reversed(steps):
        n = rows.stop - rows.start
        dout[rows] += dh[:n]
        dm = dout[rows] if weight_hr is None else dout[rows] @ weight_hr
        dct = dc[:n] + dm * o[rows] * (1 - tanh_c[rows] ** 2)
        da[rows] = np.concatenate(
            (
                dct * g[rows] * i[rows] * (1 - i[rows]),
                dct * earlier[rows] * f[rows] * (1 - f[rows]),
                dct * i[rows] * (1 - g[rows] ** 2),
                dm * tanh_c[rows] * o[rows] * (1 - o[rows]),
            ),
            axis=1,
        )
        dc[:n] = dct * f[rows]
        dh[:n] = da[rows] @ weight_hh
    dx, *dweights = _gradients(da, da, x, _before(y, h0, steps, B), weight_ih, needs)
    dweight_hr = dout.T @ (o * tanh_c) if needs[6] and weight_hr is not None else None
    return dx, (dh, dc) if needs[1] else (None, None), *dweights, dweight_hr


# --- GRU --------------------------------------------------------------------------------------------------------------


@ieee
def gru(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, reverse=False, batch_sizes=None, gates=None):
    """Return ``y, h_n``; r, z, n and q_n of every row are stored in `gates`, if given."""
    steps, B = _steps(x, batch_sizes, reverse)
    H = weight_hh.shape[1]
    h = _state(h0, B, H, x.dtype)
    p = _affine(_rows(x), weight_ih, bias_ih)
    activated, y = np.empty((len(p), 4 * H), x.dtype), np.empty((len(p), H), x.dtype)
    for rows in steps:
        n = rows.stop - rows.start
        p_r, p_z, p_n = np.split(p[rows], 3, axis=1)
        q_r, q_z, q_n = np.split(_affine(h[:n], weight_hh, bias_hh), 3, axis=1)
        r, z = sigmoid(p_r + q_r), sigmoid(p_z + q_z)
        new = tanh(p_n + r * q_n)
        h[:n] = (1 - z) * new + z * h[:n]
        activated[rows], y[rows] = np.concatenate((r, z, new, q_n), axis=1), h[:n]
    _fill(gates, activated)
    return _like(x, y), h


@ieee
def gru_backward(
    dy, dh_n, x, h0, weight_ih, weight_hh, y, gates, *, reverse=False, batch_sizes=None, needs=(True,) * 6
):
    """Return ``dx, dh0, dweight_ih, dweight_hh, dbias_ih, dbias_hh``, None for those not needed."""
    steps, B = _steps(x, batch_sizes, reverse)
    gates, y = _rows(gates), _rows(y)
    H = y.shape[1]
    dh = _state(dh_n, B, H, x.dtype)
    r, z, new, q_n = np.split(gates, 4, axis=1)
    before = _before(y, h0, steps, B)
    da, db = np.empty((2, len(y), 3 * H), x.dtype)
    for rows in reversed(steps):
        n = rows.stop - rows.start
        dht = dh[:n] if dy is None else dh[:n] + _rows(dy)[rows]
        da_n = dht * (1 - z[rows]) * (1 - new[rows] ** 2)
        da_z = dht * (before[rows] - new[rows]) * z[rows] * (1 - z[rows])
        da_r = da_n * q_n[rows] * r[rows] * (1 - r[rows])
        da[rows] = np.concatenate((da_r, da_z, da_n), axis=1)
        db[rows] = np.concatenate((da_r, da_z, da_n * r[rows]), axis=1)
        dh[:n] = dht * z[rows] + db[rows] @ weight_hh
    dx, *dweights = _gradients(da, db, x, before, weight_ih, needs)
    return dx, dh if needs[1] else None, *dweights


# --- RNN --------------------------------------------------------------------------------------------------------------


@ieee
def rnn(
    x,
    h0,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    nonlinearity="tanh",
    *,
    reverse=False,
    batch_sizes=None,
):
    """Return ``y, h_n``."""
    steps, B = _steps(x, batch_sizes, reverse)
    H = weight_hh.shape[1]
    h = _state(h0, B, H, x.dtype)
    p = _affine(_rows(x), weight_ih, bias_ih)
    y = np.empty((len(p), H), x.dtype)
    activate = {"tanh": tanh, "relu": relu}[nonlinearity]
    for rows in steps:
        n = rows.stop - rows.start
        h[:n] = y[rows] = activate(p[rows] + _affine(h[:n], weight_hh, bias_hh))
    return _like(x, y), h


@ieee
def rnn_backward(
    dy,
    dh_n,
    x,
    h0,
    weight_ih,
    weight_hh,
    y,
    nonlinearity="tanh",
    *,
    reverse=False,
    batch_sizes=None,
    needs=(True,) * 6,
):
    """Return ``dx, dh0, dweight_ih, dweight_hh, dbias_ih, dbias_hh``, None for those not needed."""
    steps, B = _steps(x, batch_sizes, reverse)
    y = _rows(y)
    dh = _state(dh_n, B, y.shape[1], x.dtype)
    da = np.empty_like(y)
    for rows in reversed(steps):
        n = rows.stop - rows.start
        dht = dh[:n] if dy is None else dh[:n] + _rows(dy)[rows]
        da[rows] = relu_backward(dht, y[rows]) if nonlinearity == "relu" else dht * (1 - y[rows] ** 2)
        dh[:n] = da[rows] @ weight_hh
    dx, *dweights = _gradients(da, da, x, _before(y, h0, steps, B), weight_ih, needs)
    return dx, dh if needs[1] else None, *dweights


# --- cells: one step --------------------------------------------------------------------------------------------------


def lstm_cell(x, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, gates=None):
    """Return ``h, c`` after one step; x is (B, I)."""
    return lstm(x[None], hx, weight_ih, weight_hh, bias_ih, bias_hh, gates=gates)[1]


def gru_cell(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, gates=None):
    """Return h after one step; x is (B, I)."""
    return gru(x[None], h0, weight_ih, weight_hh, bias_ih, bias_hh, gates=gates)[1]


def rnn_cell(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, nonlinearity="tanh"):
    """Return h after one step; x is (B, I)."""
    return rnn(x[None], h0, weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity)[1]

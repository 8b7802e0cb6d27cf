"""The public recurrent layers and cells: shapes, states and errors around the walks."""

import numpy as np

from kernels import _checks
from kernels.gemm.driver import NO_BIAS as NONE
from kernels.recurrent import backward, cell, forward
from kernels.recurrent.arguments import NO_MATRIX, by_rows, checked_layer, optional, pair, required, state
from kernels.recurrent.gates import BLOCKS, GATES, GRU, LSTM, RNN_RELU, RNN_TANH

NONLINEARITIES = {"tanh": RNN_TANH, "relu": RNN_RELU}


def _rnn_kind(operation, nonlinearity):
    _checks.choice(operation, "nonlinearity", nonlinearity, tuple(NONLINEARITIES))
    return NONLINEARITIES[nonlinearity]


def _walk(operation, kind, x, h0, c0, weights, biases, reverse, batch_sizes, gates=None, cells=None):
    """y and the last state of a layer."""
    layer = checked_layer(operation, kind, x, *weights, batch_sizes)
    dtype, H = layer.x.dtype, layer.units
    bias_ih, bias_hh = (
        optional(operation, name, bias, (GATES[kind] * H,), dtype)
        for name, bias in zip(("bias_ih", "bias_hh"), biases, strict=True)
    )
    h = state(operation, "h0", h0, (layer.batch, layer.outputs), dtype)
    c = state(operation, "c0", c0, (layer.batch, H), dtype) if kind == LSTM else NO_MATRIX[dtype]
    for name, kept, width in (("gates", gates, BLOCKS[kind] * H), ("cells", cells, H)):
        if kept is not None:
            _checks.output(operation, kept, (*layer.leading, width), dtype, name)
            _checks.no_overlap(operation, kept, x=layer.x, weight_ih=layer.weight_ih, weight_hh=layer.weight_hh)
    y = _checks.new((*layer.leading, layer.outputs), dtype)
    if y.size:
        kept = by_rows(gates, layer), by_rows(cells, layer)
        forward.run(kind, layer, bias_ih, bias_hh, h, c, by_rows(y, layer), *kept, bool(reverse))
    return y, h, c


def _walk_back(operation, kind, dy, dstates, x, states, weights, y, gates, cells, reverse, batch_sizes, needs):
    """Gradients of x, of the states, of both weights, both biases and the projection."""
    layer = checked_layer(operation, kind, x, *weights, batch_sizes)
    dtype, leading = layer.x.dtype, layer.leading
    shapes = [(layer.batch, layer.outputs), (layer.batch, layer.units)][: 2 if kind == LSTM else 1]
    dy = optional(operation, "dy", dy, (*leading, layer.outputs), dtype)
    y = required(operation, "y", y, (*leading, layer.outputs), dtype)
    for name, width in (("gates", BLOCKS[kind]), ("cells", 1))[: 2 if kind == LSTM else 1 if kind == GRU else 0]:
        required(operation, name, {"gates": gates, "cells": cells}[name], (*leading, width * layer.units), dtype)
    begin, end = [NO_MATRIX[dtype]] * 2, [NO_MATRIX[dtype]] * 2
    for i, shape in enumerate(shapes):
        begin[i] = optional(operation, ("h0", "c0")[i], states[i], shape, dtype)
        begin[i] = np.zeros(shape, dtype) if begin[i] is None else begin[i]
        end[i] = state(operation, ("dh_n", "dc_n")[i], dstates[i], shape, dtype)
    dx, *dweights = backward.run(
        kind, layer, by_rows(dy, layer), by_rows(y, layer), by_rows(gates, layer), by_rows(cells, layer), begin, end,
        bool(reverse), needs[:1] + needs[2:],
    )  # fmt: skip
    dx = None if dx is None else dx.reshape(*leading, layer.x.shape[1])
    dstates = tuple(end[: len(shapes)]) if needs[1] else (None,) * len(shapes)
    return dx, dstates, *dweights


def lstm(
    x, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, weight_hr=None, *, reverse=False, batch_sizes=None,
    gates=None, cells=None,
):  # fmt: skip
    """One layer of an LSTM in one direction.

    Parameters
    ----------
    x : array, float32 or float64, shape (T, B, I)
        Or, with `batch_sizes`, the rows (sum of batch_sizes, I) of packed sequences.
    hx : (h0, c0) or None
        Initial states, (B, P) and (B, H); zeros for None. P = H without `weight_hr`.
    weight_ih, weight_hh : array, shapes (4 H, I) and (4 H, P)
        Rows by gate: i, f, g, o.
    bias_ih, bias_hh : array (4 H,), optional
    weight_hr : array (P, H), optional
        Projects the output: h = o tanh(c) weight_hrᵀ, P < H.
    reverse : bool, default False
        Walk from the last step to the first; each sequence begins at its own last step.
    batch_sizes : int array (T,), optional
        Step t holds the first ``batch_sizes[t]`` sequences, as in PyTorch's ``PackedSequence``; never growing.
    gates, cells : array (..., 4 H) and (..., H), optional
        Receive the activated gates and c of every step, for `lstm_backward`; both or none.

    Returns
    -------
    y : array
        h of every step, x's leading shape and P.
    (h_n, c_n) : arrays (B, P) and (B, H)
        Each sequence's state after its own last step.

    Raises
    ------
    TypeError
        Other dtypes, or different ones.
    ValueError
        Shapes that do not fit, no step, H = 0, P not below H, batch_sizes that grow or do not add up.

    References
    ----------
    S. Hochreiter, J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, with the forget gate of
    F. Gers, J. Schmidhuber, F. Cummins, 2000; H. Sak, A. Senior, F. Beaufays, 2014, for the projection.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import lstm
    >>> x, weight = np.ones((5, 2, 3), np.float32), np.ones((16, 3), np.float32)
    >>> y, (h, c) = lstm(x, None, weight, np.zeros((16, 4), np.float32))
    >>> y.shape, bool((y[-1] == h).all())
    ((5, 2, 4), True)
    """
    if (gates is None) != (cells is None):
        raise ValueError("lstm: gates and cells must be given both or none")
    h0, c0 = pair("lstm", "hx", hx)
    weights = weight_ih, weight_hh, weight_hr
    y, h, c = _walk("lstm", LSTM, x, h0, c0, weights, (bias_ih, bias_hh), reverse, batch_sizes, gates, cells)
    return y, (h, c)


def lstm_backward(
    dy, dhx, x, hx, weight_ih, weight_hh, y, gates, cells, weight_hr=None, *, reverse=False, batch_sizes=None,
    needs=(True,) * 7,
):  # fmt: skip
    """Gradients of `lstm`, back through time.

    Parameters
    ----------
    dy : array of y's shape, or None
        Gradient of y.
    dhx : (dh_n, dc_n) or None
        Gradients of the last states; zeros for None.
    x, hx, weight_ih, weight_hh, weight_hr, reverse, batch_sizes
        The forward's arguments.
    y, gates, cells : array
        Its result and what it filled: 5 H + P elements a row in all.
    needs : tuple of bool
        Which of the gradients are wanted, in the order of Returns.

    Returns
    -------
    dx, (dh0, dc0), dweight_ih, dweight_hh, dbias_ih, dbias_hh, dweight_hr
        None where not wanted; dweight_hr is None without `weight_hr`.

    Raises
    ------
    TypeError, ValueError
        As `lstm`; also for gradients and saved arrays that do not fit.
    """
    weights = weight_ih, weight_hh, weight_hr
    return _walk_back(
        "lstm_backward", LSTM, dy, pair("lstm_backward", "dhx", dhx), x, pair("lstm_backward", "hx", hx), weights, y,
        gates, cells, reverse, batch_sizes, tuple(needs),
    )  # fmt: skip


def gru(
    x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, reverse=False, batch_sizes=None, gates=None
):  # fmt: skip
    """One layer of a GRU in one direction: ``n = tanh(W_in x + b_in + r (W_hn h + b_hn))``, ``h' = (1 - z) n + z h``.

    Parameters
    ----------
    x, reverse, batch_sizes
        As for `lstm`.
    h0 : array (B, H) or None
        Initial state; zeros for None.
    weight_ih, weight_hh : array, shapes (3 H, I) and (3 H, H)
        Rows by gate: r, z, n.
    bias_ih, bias_hh : array (3 H,), optional
    gates : array (..., 4 H), optional
        Receives r, z, n and W_hn h + b_hn of every step, for `gru_backward`.

    Returns
    -------
    y, h_n : array
        h of every step, and each sequence's last state (B, H).

    Raises
    ------
    TypeError, ValueError
        As `lstm`.

    References
    ----------
    K. Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014, with the reset gate applied after
    the product as in version 1 of that paper, cuDNN and PyTorch.
    """
    weights = weight_ih, weight_hh, None
    return _walk("gru", GRU, x, h0, None, weights, (bias_ih, bias_hh), reverse, batch_sizes, gates)[:2]


def gru_backward(
    dy, dh_n, x, h0, weight_ih, weight_hh, y, gates, *, reverse=False, batch_sizes=None, needs=(True,) * 6
):  # fmt: skip
    """Gradients of `gru`: dx, dh0, dweight_ih, dweight_hh, dbias_ih, dbias_hh; arguments as for `lstm_backward`."""
    weights = weight_ih, weight_hh, None
    dx, (dh0,), *dweights, _ = _walk_back(
        "gru_backward", GRU, dy, (dh_n,), x, (h0,), weights, y, gates, None, reverse, batch_sizes, (*needs, False)
    )
    return dx, dh0, *dweights


def rnn(
    x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, nonlinearity="tanh", *, reverse=False, batch_sizes=None
):  # fmt: skip
    """One layer of an Elman network in one direction: ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    Parameters
    ----------
    x, reverse, batch_sizes
        As for `lstm`.
    h0 : array (B, H) or None
        Initial state; zeros for None.
    weight_ih, weight_hh : array, shapes (H, I) and (H, H)
    bias_ih, bias_hh : array (H,), optional
    nonlinearity : {"tanh", "relu"}

    Returns
    -------
    y, h_n : array
        h of every step, and each sequence's last state (B, H).

    Raises
    ------
    TypeError, ValueError
        As `lstm`; also for an unknown nonlinearity.

    References
    ----------
    J. Elman, "Finding Structure in Time", Cognitive Science 14(2), 1990.
    """
    weights = weight_ih, weight_hh, None
    kind = _rnn_kind("rnn", nonlinearity)
    return _walk("rnn", kind, x, h0, None, weights, (bias_ih, bias_hh), reverse, batch_sizes)[:2]


def rnn_backward(
    dy, dh_n, x, h0, weight_ih, weight_hh, y, nonlinearity="tanh", *, reverse=False, batch_sizes=None,
    needs=(True,) * 6,
):  # fmt: skip
    """Gradients of `rnn`: dx, dh0, dweight_ih, dweight_hh, dbias_ih, dbias_hh; nothing is saved for it but y."""
    weights, kind = (weight_ih, weight_hh, None), _rnn_kind("rnn_backward", nonlinearity)
    dx, (dh0,), *dweights, _ = _walk_back(
        "rnn_backward", kind, dy, (dh_n,), x, (h0,), weights, y, None, None, reverse, batch_sizes, (*needs, False)
    )
    return dx, dh0, *dweights


def _step(operation, kind, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, gates=None):
    """The state after one step."""
    x = _checks.floats(operation, "x", x)
    weight_ih = _checks.floats(operation, "weight_ih", weight_ih)
    weight_hh = _checks.floats(operation, "weight_hh", weight_hh)
    dtype = x.dtype
    if not (dtype is weight_ih.dtype is weight_hh.dtype):
        _checks.same_dtype(operation, x=x, weight_ih=weight_ih, weight_hh=weight_hh)
    if x.ndim != 2:
        raise ValueError(f"{operation}: x must have shape (B, I), got {x.shape}")
    (B, inputs), count = x.shape, GATES[kind]
    H = weight_ih.shape[0] // count if weight_ih.ndim == 2 else 0
    if not H or not inputs or weight_ih.shape != (count * H, inputs):
        raise ValueError(
            f"{operation}: weight_ih must have shape ({count} H, I) with I and H at least 1, got {weight_ih.shape} for "
            f"x {x.shape}"
        )
    if weight_hh.shape != (count * H, H):
        raise ValueError(f"{operation}: weight_hh must have shape {(count * H, H)}, got {weight_hh.shape}")
    bias_ih = optional(operation, "bias_ih", bias_ih, (count * H,), dtype)
    bias_hh = optional(operation, "bias_hh", bias_hh, (count * H,), dtype)
    h = optional(operation, "h0", h0, (B, H), dtype)
    c = optional(operation, "c0", c0, (B, H), dtype)
    if gates is not None:
        _checks.output(operation, gates, (B, BLOCKS[kind] * H), dtype, "gates")
        _checks.no_overlap(operation, gates, x=x, weight_ih=weight_ih, weight_hh=weight_hh)
    out = np.empty((B, H), dtype)
    c_out = np.empty((B, H), dtype) if kind == LSTM else NO_MATRIX[dtype]
    if B:
        cell.run(
            kind, x, np.zeros((B, H), dtype) if h is None else h,
            c if c is not None else np.zeros((B, H), dtype) if kind == LSTM else NO_MATRIX[dtype], weight_ih, weight_hh,
            NONE[dtype] if bias_ih is None else bias_ih, NONE[dtype] if bias_hh is None else bias_hh, out, c_out,
            NO_MATRIX[dtype] if gates is None else gates, gates is not None,
        )  # fmt: skip
    return out, c_out


def lstm_cell(x, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, gates=None):
    """One step of `lstm`, without projection.

    Parameters
    ----------
    x : array (B, I)
    hx : (h0, c0) or None
        States (B, H); zeros for None.
    weight_ih, weight_hh, bias_ih, bias_hh
        As for `lstm`.
    gates : array (B, 4 H), optional
        Receives the activated gates, for ``lstm_backward(dh[None], (None, dc), x[None], …, h[None], gates[None],
        c[None])``.

    Returns
    -------
    h, c : array (B, H)

    Raises
    ------
    TypeError, ValueError
        As `lstm`.
    """
    return _step("lstm_cell", LSTM, x, *pair("lstm_cell", "hx", hx), weight_ih, weight_hh, bias_ih, bias_hh, gates)


def gru_cell(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, *, gates=None):
    """One step of `gru`: h (B, H) from x (B, I) and h0 (B, H) or None; other arguments as for `lstm_cell`."""
    return _step("gru_cell", GRU, x, h0, None, weight_ih, weight_hh, bias_ih, bias_hh, gates)[0]


def rnn_cell(x, h0, weight_ih, weight_hh, bias_ih=None, bias_hh=None, nonlinearity="tanh"):
    """One step of `rnn`: h (B, H) from x (B, I) and h0 (B, H) or None."""
    kind = _rnn_kind("rnn_cell", nonlinearity)
    return _step("rnn_cell", kind, x, h0, None, weight_ih, weight_hh, bias_ih, bias_hh)[0]

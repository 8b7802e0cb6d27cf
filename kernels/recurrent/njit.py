"""The recurrent networks in jitted code."""

import numpy as np

from kernels._jit import jit
from kernels._njit import in_njit
from kernels._njit_checks import floats, same_dtypes
from kernels._njit_errors import failed
from kernels._njit_sizes import choice
from kernels.recurrent import cells, functions
from kernels.recurrent import njit_arguments as arguments
from kernels.recurrent.gates import GATES, GRU, LSTM, RNN_RELU, RNN_TANH, TERMS
from kernels.recurrent.njit_arguments import extended, known, optional, pair, plain, required, shaped, state
from kernels.recurrent.njit_driver import differentiate, gradients, run, run_cell

# --- forward ---------------------------------------------------------------------------------------------------------


def _forward(operation, like):
    """`layers.layer_forward` of a kind of the family of `like`: y and the last state."""
    gates, terms, has_cell = GATES[like], TERMS[like], like == LSTM
    checked = arguments.layer_checked(operation, gates)

    @jit
    def forward(kind, x, initial, weights, biases, reverse, batch_sizes, saved):
        layer, leading = checked(x, weights, reverse, batch_sizes)
        (bias_ih, bias_hh), (h0, c0), (gates_out, cells_out) = biases, initial, saved
        x, H, batch, P = layer.x, layer.units, layer.sizes[0], layer.weight_hh.shape[1]
        bias_ih = optional(operation, "bias_ih", bias_ih, (gates * H,), x)
        bias_hh = optional(operation, "bias_hh", bias_hh, (gates * H,), x)
        h = state(operation, "h0", h0, (batch, P), x)
        c = state(operation, "c0", c0, (batch, H) if has_cell else (0, 0), x)
        inputs = x, layer.weight_ih, layer.weight_hh
        of_gates = arguments.filled(operation, "gates", gates_out, extended(leading, terms * H), inputs)
        of_cells = arguments.filled(operation, "cells", cells_out, extended(leading, H), inputs)
        y = np.empty(extended(leading, P), x.dtype)
        if y.size:
            results = arguments.by_rows(y, len(x)), of_gates, of_cells
            run(kind, layer, (bias_ih, bias_hh), (h, c), results)
        return y, h, c

    return forward


_lstm_layer, _gru_layer, _rnn_layer = _forward("lstm", LSTM), _forward("gru", GRU), _forward("rnn", RNN_TANH)


@in_njit(functions.lstm)
def _lstm(x, hx, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, reverse, batch_sizes, gates, cells):
    if (gates is None) != (cells is None) and failed():
        raise ValueError("lstm: gates and cells must be given both or none")
    weights, biases = (weight_ih, weight_hh, weight_hr), (bias_ih, bias_hh)
    y, h, c = _lstm_layer(LSTM, x, pair("lstm", "hx", hx), weights, biases, reverse, batch_sizes, (gates, cells))
    return y, (h, c)


@in_njit(functions.gru)
def _gru(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, reverse, batch_sizes, gates):
    weights, biases = (weight_ih, weight_hh, None), (bias_ih, bias_hh)
    y, h, _ = _gru_layer(GRU, x, (h0, None), weights, biases, reverse, batch_sizes, (gates, None))
    return y, h


@in_njit(functions.rnn)
def _rnn(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity, reverse, batch_sizes):
    kind = RNN_RELU if choice("rnn", "nonlinearity", nonlinearity, ("tanh", "relu")) == 1 else RNN_TANH
    weights, biases = (weight_ih, weight_hh, None), (bias_ih, bias_hh)
    y, h, _ = _rnn_layer(kind, x, (h0, None), weights, biases, reverse, batch_sizes, (None, None))
    return y, h


# --- backward --------------------------------------------------------------------------------------------------------


def _backward(operation, like):
    """`layers.layer_backward`: gradients of x, of both first states, of both weights, both biases and the projection,
    of size 0 where they are not needed."""
    terms, has_gates, has_cell = TERMS[like], like in (GRU, LSTM), like == LSTM
    checked = arguments.layer_checked(operation, GATES[like])

    @jit
    def backward(kind, x, initial, weights, given, saved, order, needs):
        reverse, batch_sizes = order
        layer, leading = checked(x, weights, reverse, batch_sizes)
        x, H, batch, P = layer.x, layer.units, layer.sizes[0], layer.weight_hh.shape[1]
        (dy, (dh_n, dc_n)), (y, gates, cells), rows = given, saved, len(layer.x)
        dy = optional(operation, "dy", dy, extended(leading, P), x)
        y = required(operation, "y", y, extended(leading, P), x)
        if has_gates:
            gates = required(operation, "gates", gates, extended(leading, terms * H), x)
        else:
            gates = np.empty(extended(leading, 0), x.dtype)
        if has_cell:
            cells = required(operation, "cells", cells, extended(leading, H), x)
        else:
            cells = np.empty(extended(leading, 0), x.dtype)
        h0, dh = known(operation, "h0", initial[0], (batch, P), x), state(operation, "dh_n", dh_n, (batch, P), x)
        of_c = (batch, H) if has_cell else (0, 0)
        c0, dc = known(operation, "c0", initial[1], of_c, x), state(operation, "dc_n", dc_n, of_c, x)
        by_rows = arguments.by_rows
        results = by_rows(y, rows), by_rows(gates, rows), by_rows(cells, rows)
        dz = np.empty((rows, terms * H), x.dtype)
        projects = layer.weight_hr.size > 0
        projected = np.empty((rows, P) if projects else (0, 0), x.dtype)
        m = np.empty((rows, H) if projects else (0, 0), x.dtype)
        none = np.empty((0, 0), x.dtype)
        differentiate(
            kind, layer, by_rows(dy, rows) if dy.size else none, results, (h0, c0), (dh, dc), (dz, projected, m)
        )
        needed = needs[0], needs[2], needs[3], needs[4], needs[5], needs[-1]
        dx, dw_ih, dw_hh, db_ih, db_hh, dw_hr = gradients(kind, layer, (projected, m), results[0], h0, dz, needed)
        dh, dc = dh if needs[1] else none, dc if needs[1] else none
        dx = dx.reshape(extended(leading, x.shape[1] if needs[0] else 0))
        return dx, (dh, dc), dw_ih, dw_hh, db_ih, db_hh, dw_hr

    return backward


_lstm_layer_backward, _gru_layer_backward = _backward("lstm_backward", LSTM), _backward("gru_backward", GRU)
_rnn_layer_backward = _backward("rnn_backward", RNN_TANH)


@in_njit(functions.lstm_backward)
def _lstm_backward(dy, dhx, x, hx, weight_ih, weight_hh, y, gates, cells, weight_hr, reverse, batch_sizes, needs):
    given, initial = (dy, pair("lstm_backward", "dhx", dhx)), pair("lstm_backward", "hx", hx)
    weights, saved = (weight_ih, weight_hh, weight_hr), (y, gates, cells)
    made = _lstm_layer_backward(LSTM, x, initial, weights, given, saved, (reverse, batch_sizes), needs)
    if weight_hr is None:
        dx, dinitial, dweight_ih, dweight_hh, dbias_ih, dbias_hh, _ = made
        return dx, dinitial, dweight_ih, dweight_hh, dbias_ih, dbias_hh, None
    return made


@in_njit(functions.gru_backward)
def _gru_backward(dy, dh_n, x, h0, weight_ih, weight_hh, y, gates, reverse, batch_sizes, needs):
    weights, given, saved = (weight_ih, weight_hh, None), (dy, (dh_n, None)), (y, gates, None)
    made = _gru_layer_backward(GRU, x, (h0, None), weights, given, saved, (reverse, batch_sizes), needs)
    dx, (dh0, _), dweight_ih, dweight_hh, dbias_ih, dbias_hh, _ = made
    return dx, dh0, dweight_ih, dweight_hh, dbias_ih, dbias_hh


@in_njit(functions.rnn_backward)
def _rnn_backward(dy, dh_n, x, h0, weight_ih, weight_hh, y, nonlinearity, reverse, batch_sizes, needs):
    kind = RNN_RELU if choice("rnn_backward", "nonlinearity", nonlinearity, ("tanh", "relu")) == 1 else RNN_TANH
    weights, given, saved = (weight_ih, weight_hh, None), (dy, (dh_n, None)), (y, None, None)
    made = _rnn_layer_backward(kind, x, (h0, None), weights, given, saved, (reverse, batch_sizes), needs)
    dx, (dh0, _), dweight_ih, dweight_hh, dbias_ih, dbias_hh, _ = made
    return dx, dh0, dweight_ih, dweight_hh, dbias_ih, dbias_hh


# --- cells -----------------------------------------------------------------------------------------------------------


def _cell(operation, like):
    """`layers.cell_forward`: the state (h, c) after one step."""
    count, terms, has_cell = GATES[like], TERMS[like], like == LSTM
    no_batch = f"{operation}: x must have shape (B, I), got {{}}"

    @jit
    def step(kind, x, initial, weights, biases, gates):
        (weight_ih, weight_hh), (bias_ih, bias_hh) = weights, biases
        x = floats(operation, "x", x)
        weight_ih, weight_hh = floats(operation, "weight_ih", weight_ih), floats(operation, "weight_hh", weight_hh)
        same_dtypes(operation, ("x", "weight_ih", "weight_hh"), (x, weight_ih, weight_hh))
        x = arguments.of_rank(no_batch, x, 2)
        ih = arguments.checked_weight_ih(operation, weight_ih, x, count)
        B, H = len(x), len(ih) // count
        shaped(operation, "weight_hh", weight_hh, (count * H, H))
        bias_ih = optional(operation, "bias_ih", bias_ih, (count * H,), x)
        bias_hh = optional(operation, "bias_hh", bias_hh, (count * H,), x)
        h = known(operation, "h0", initial[0], (B, H), x)
        c = known(operation, "c0", initial[1], (B, H) if has_cell else (0, 0), x)
        hh = plain(weight_hh, x, 2)
        saved = arguments.filled(operation, "gates", gates, (B, terms * H), (x, ih, hh))
        new_h, new_c = np.empty((B, H), x.dtype), np.empty((B, H) if has_cell else (0, 0), x.dtype)
        if B:
            run_cell(kind, x, (h, c), (ih, hh, bias_ih, bias_hh), (new_h, new_c, saved))
        return new_h, new_c

    return step


_lstm_cell_step, _gru_cell_step, _rnn_cell_step = (
    _cell("lstm_cell", LSTM),
    _cell("gru_cell", GRU),
    _cell("rnn_cell", RNN_TANH),
)


@in_njit(cells.lstm_cell)
def _lstm_cell(x, hx, weight_ih, weight_hh, bias_ih, bias_hh, gates):
    initial = pair("lstm_cell", "hx", hx)
    return _lstm_cell_step(LSTM, x, initial, (weight_ih, weight_hh), (bias_ih, bias_hh), gates)


@in_njit(cells.gru_cell)
def _gru_cell(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, gates):
    return _gru_cell_step(GRU, x, (h0, None), (weight_ih, weight_hh), (bias_ih, bias_hh), gates)[0]


@in_njit(cells.rnn_cell)
def _rnn_cell(x, h0, weight_ih, weight_hh, bias_ih, bias_hh, nonlinearity):
    kind = RNN_RELU if choice("rnn_cell", "nonlinearity", nonlinearity, ("tanh", "relu")) == 1 else RNN_TANH
    return _rnn_cell_step(kind, x, (h0, None), (weight_ih, weight_hh), (bias_ih, bias_hh), None)[0]

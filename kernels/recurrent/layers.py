"""What the public functions of `functions` and `cells` share: validate, allocate, call the loops."""

import numpy as np

from kernels import _checks
from kernels.gemm.driver import NO_BIAS
from kernels.recurrent import backward, cell, driver
from kernels.recurrent.arguments import NO_MATRIX, by_rows, optional, required, state
from kernels.recurrent.gates import GATES, GRU, LSTM, RNN_RELU, RNN_TANH, TERMS

NONLINEARITIES = {"tanh": RNN_TANH, "relu": RNN_RELU}


def rnn_kind(operation, nonlinearity):
    """The kind of an RNN."""
    _checks.choice(operation, "nonlinearity", nonlinearity, tuple(NONLINEARITIES))
    return NONLINEARITIES[nonlinearity]


def layer_forward(layer, initial, biases, gates=None, cells=None):
    """y and the last state, (h, c), of a validated layer; validates the rest."""
    operation, kind, dtype, H = layer.operation, layer.kind, layer.x.dtype, layer.units
    bias_ih, bias_hh = (
        optional(operation, name, bias, (GATES[kind] * H,), dtype)
        for name, bias in zip(("bias_ih", "bias_hh"), biases, strict=True)
    )
    h0, c0 = initial
    h = state(operation, "h0", h0, (layer.batch, layer.outputs), dtype)
    c = state(operation, "c0", c0, (layer.batch, H), dtype) if kind == LSTM else NO_MATRIX[dtype]
    for name, saved, width in (("gates", gates, TERMS[kind] * H), ("cells", cells, H)):
        if saved is not None:
            _checks.output(operation, saved, (*layer.leading, width), dtype, name)
            _checks.no_overlap(operation, saved, x=layer.x, weight_ih=layer.weight_ih, weight_hh=layer.weight_hh)
    y = _checks.new((*layer.leading, layer.outputs), dtype)
    if y.size:
        saved = by_rows(gates, layer), by_rows(cells, layer)
        driver.run(layer, (bias_ih, bias_hh), (h, c), by_rows(y, layer), saved)
    return y, (h, c)


def layer_backward(layer, gradients, initial, results, needs):
    """Gradients of x, of the first state (as a tuple), of both weights, both biases and the projection.

    `gradients` are dy and those of the last state, (dh_n, dc_n); `initial` is (h0, c0) and `results` (y, gates, cells).
    """
    operation, kind, dtype, leading = layer.operation, layer.kind, layer.x.dtype, layer.leading
    (dy, dlast), (y, gates, cells) = gradients, results
    shapes = [(layer.batch, layer.outputs), (layer.batch, layer.units)][: 2 if kind == LSTM else 1]
    dy = optional(operation, "dy", dy, (*leading, layer.outputs), dtype)
    y = required(operation, "y", y, (*leading, layer.outputs), dtype)
    if kind in (GRU, LSTM):
        gates = required(operation, "gates", gates, (*leading, TERMS[kind] * layer.units), dtype)
    if kind == LSTM:
        cells = required(operation, "cells", cells, (*leading, layer.units), dtype)
    before, dstate = [NO_MATRIX[dtype]] * 2, [NO_MATRIX[dtype]] * 2
    for i, shape in enumerate(shapes):
        before[i] = optional(operation, ("h0", "c0")[i], initial[i], shape, dtype)
        before[i] = np.zeros(shape, dtype) if before[i] is None else before[i]
        dstate[i] = state(operation, ("dh_n", "dc_n")[i], dlast[i], shape, dtype)
    results = by_rows(y, layer), by_rows(gates, layer), by_rows(cells, layer)
    needed = needs[:1] + needs[2:]
    dx, *dweights = backward.run(layer, by_rows(dy, layer), results, tuple(before), tuple(dstate), needed)
    dx = None if dx is None else dx.reshape(*leading, layer.x.shape[1])
    dinitial = tuple(dstate[: len(shapes)]) if needs[1] else (None,) * len(shapes)
    return dx, dinitial, *dweights


def cell_forward(operation, kind, x, initial, weights, biases, gates=None):
    """The state (h, c) after one step."""
    x = _checks.floats(operation, "x", x)
    (weight_ih, weight_hh), (bias_ih, bias_hh), (h, c) = weights, biases, initial
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
    h = optional(operation, "h0", h, (B, H), dtype)
    c = optional(operation, "c0", c, (B, H), dtype) if kind == LSTM else None
    if gates is not None:
        _checks.output(operation, gates, (B, TERMS[kind] * H), dtype, "gates")
        _checks.no_overlap(operation, gates, x=x, weight_ih=weight_ih, weight_hh=weight_hh)
    none, no_bias = NO_MATRIX[dtype], NO_BIAS[dtype]
    y, c_out = np.empty((B, H), dtype), np.empty((B, H), dtype) if kind == LSTM else none
    if B:
        h = np.zeros((B, H), dtype) if h is None else h
        c = none if kind != LSTM else np.zeros((B, H), dtype) if c is None else c
        bias_ih = no_bias if bias_ih is None else bias_ih
        bias_hh = no_bias if bias_hh is None else bias_hh
        results = y, c_out, none if gates is None else gates
        cell.run(kind, x, (h, c), (weight_ih, weight_hh, bias_ih, bias_hh), results)
    return y, c_out

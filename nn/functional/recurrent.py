"""Recurrent layers, one direction of one layer each, and their cells.

What a forward saves for its backward are its gates (and an LSTM's cells), and only where there is a backward. With
`checkpoint_every`, the walk is cut into segments of so many steps: then only the states between them are kept, and the
backward computes the gates of one segment at a time anew.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import kernels
from nn.functional.arguments import checked, constant
from nn.tensor import is_grad_enabled, record_several


class _Kind(NamedTuple):
    """A recurrent layer: `forward` and `backward` take and return states as tuples."""

    name: str
    gates: int  # blocks of H rows in the weights
    states: int
    saved: dict  # what the forward fills for the backward, and its width in units of H
    forward: Callable  # x, states, weights, **saved and how to walk -> y, states
    backward: Callable  # dy, dstates, x, states, weights, y, saved, **how to walk and needs -> dx, dstates, dweights

    def allocate(self, x, weights):
        """The arrays of `saved`, by name."""
        H = len(weights[1]) // self.gates
        return {name: np.empty((*x.shape[:-1], width * H), x.dtype) for name, width in self.saved.items()}


def _lstm_forward(x, states, weights, **options):
    return kernels.lstm(x, _both(states), *weights, **options)


def _lstm_backward(dy, dstates, x, states, weights, y, saved, *, needs, **options):
    wi, wh, _, _, *wr = weights  # a cell has no weight_hr
    dx, dhx, *dweights = kernels.lstm_backward(
        dy, dstates, x, _both(states), wi, wh, y, *saved.values(), *wr, needs=(*needs, False)[:7], **options
    )
    return dx, dhx, dweights


def _both(states):
    return None if states[0] is None else states


def _single(name):
    """Forward and backward of a layer with one state."""
    forward, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")

    def tuple_forward(x, states, weights, **options):
        y, h = forward(x, *states, *weights, **options)
        return y, (h,)

    def tuple_backward(dy, dstates, x, states, weights, y, saved, **options):
        dx, dh, *dweights = backward(dy, *dstates, x, *states, *weights[:2], y, *saved.values(), **options)
        return dx, (dh,), dweights

    return tuple_forward, tuple_backward


LSTM = _Kind("lstm", 4, 2, {"gates": 4, "cells": 1}, _lstm_forward, _lstm_backward)
GRU = _Kind("gru", 3, 1, {"gates": 4}, *_single("gru"))
RNN = _Kind("rnn", 1, 1, {}, *_single("rnn"))


def lstm(
    input,
    hx,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    weight_hr=None,
    *,
    reverse=False,
    batch_sizes=None,
    checkpoint_every=None,
):
    """Long short-term memory, one direction of one layer.

    Parameters
    ----------
    input : Tensor (T, B, I), or with `batch_sizes` (rows, I)
    hx : pair of Tensors (B, P) and (B, H), or None
        The initial states h and c, zeros by default; P is H, or with `weight_hr` the size that it projects to.
    weight_ih, weight_hh : Tensor (4H, I) and (4H, P)
    bias_ih, bias_hh : Tensor (4H,), optional
    weight_hr : Tensor (P, H), optional
    reverse : bool, default False
        Walk from the last step to the first.
    batch_sizes : Tensor or array of int64 (T,), optional
        How many sequences each step has, as in a PackedSequence.
    checkpoint_every : int, optional
        Save the states of every so many steps only, and compute the gates anew in the backward.

    Returns
    -------
    Tensor, (Tensor, Tensor)
        The outputs, as long as the input and P wide, and the final states (B, P) and (B, H).
    """
    weights = (weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)
    walk = {"reverse": reverse, "batch_sizes": batch_sizes}
    y, *states = _layer(LSTM, input, (None, None) if hx is None else hx, weights, walk, checkpoint_every)
    return y, tuple(states)


def gru(
    input,
    hx,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    *,
    reverse=False,
    batch_sizes=None,
    checkpoint_every=None,
):
    """Gated recurrent units, one direction of one layer; as `lstm`, with one state, 3H rows and no projection."""
    walk = {"reverse": reverse, "batch_sizes": batch_sizes}
    return _layer(GRU, input, (hx,), (weight_ih, weight_hh, bias_ih, bias_hh), walk, checkpoint_every)


def rnn(
    input,
    hx,
    weight_ih,
    weight_hh,
    bias_ih=None,
    bias_hh=None,
    nonlinearity="tanh",
    *,
    reverse=False,
    batch_sizes=None,
    checkpoint_every=None,
):
    """Elman's recurrent layer, with "tanh" or "relu"; as `lstm`, with one state, H rows and no projection."""
    walk = {"nonlinearity": nonlinearity, "reverse": reverse, "batch_sizes": batch_sizes}
    return _layer(RNN, input, (hx,), (weight_ih, weight_hh, bias_ih, bias_hh), walk, checkpoint_every)


def _layer(kind, input, states, weights, walk, checkpoint_every):
    """The tensors y and final states of one walk, on the tape."""
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ValueError(f"{kind.name}: checkpoint_every must be at least 1, got {checkpoint_every}")
    x = np.asarray(checked(kind.name, input).data, order="C")  # once for forward and backward
    sizes = walk["batch_sizes"]
    walk["batch_sizes"] = constant(kind.name, sizes)
    inputs, needs, initial, arrays = _prepared(kind, input, states, weights)
    keeps = any(needs) and is_grad_enabled()
    biases = ()
    if checkpoint_every is None or not keeps:
        y, final, go_back = _whole(kind, x, initial, arrays, walk, needs, keeps)
    else:
        y, final, go_back = _in_segments(kind, x, initial, arrays, walk, needs, checkpoint_every)
        biases = weights[2:4]  # which the forward of each segment, in the backward, reads again

    def backward(dy, *dfinal):
        dx, dinitial, dweights = go_back(dy, dfinal)
        return dx, *dinitial, *dweights

    saved = (input, *states, *weights[:2], *biases, *weights[4:], sizes)
    return record_several(kind.name, (y, *final), inputs, backward, saved, saves_results=(0,))


def _prepared(kind, input, states, weights):
    """The inputs of the node, which gradients they need (the states together), the arrays of states and weights."""
    inputs = (input, *states, *weights)
    needs = [tensor is not None and tensor.requires_grad for tensor in inputs]
    first = 1 + kind.states
    arrays = [None if tensor is None else tensor.data for tensor in inputs]
    return inputs, (needs[0], any(needs[1:first]), *needs[first:]), tuple(arrays[1:first]), tuple(arrays[first:])


def _whole(kind, x, initial, weights, walk, needs, keeps):
    """y, the final states, and the way back: from dy and theirs to dx, the initial states' and the weights'."""
    saved = kind.allocate(x, weights) if keeps else {}
    y, final = kind.forward(x, initial, weights, **saved, **walk)

    def go_back(dy, dfinal):
        return kind.backward(dy, dfinal, x, initial, weights, y, saved, **walk, needs=needs)

    return y, final, go_back


# --- checkpoints ------------------------------------------------------------------------------------------------------


class _Segment(NamedTuple):
    """Consecutive steps: their rows, how many sequences they have, and how to walk them."""

    rows: slice
    size: int
    walk: dict


def _in_segments(kind, x, initial, weights, walk, needs, every):
    """`_whole`, but cut into segments of `every` steps, of which only the states before them are kept."""
    if not _fits(kind, x, initial, weights, walk["batch_sizes"]):
        return _whole(kind, x, initial, weights, walk, needs, keeps=True)  # which says why
    segments = _segments(x, walk, every)
    shapes = _state_shapes(kind, x, weights, walk["batch_sizes"])
    states = [_state(array, shape, x.dtype) for array, shape in zip(initial, shapes, strict=True)]
    y, starts = np.empty((*x.shape[:-1], shapes[0][1]), x.dtype), []
    for rows, size, options in segments:
        starts.append(tuple(state[:size].copy() for state in states))
        y[rows], after = kind.forward(x[rows], starts[-1], weights, **options)
        for state, new in zip(states, after, strict=True):
            state[:size] = new

    def go_back(dy, dfinal):
        dstates = [_state(d, shape, x.dtype) for d, shape in zip(dfinal, shapes, strict=True)]
        dx, totals = np.empty_like(x) if needs[0] else None, None
        for (rows, size, options), start in zip(reversed(segments), reversed(starts), strict=True):
            saved = kind.allocate(x[rows], weights)
            if saved:
                kind.forward(x[rows], start, weights, **saved, **options)
            options = options | {"needs": (needs[0], True, *needs[2:])}
            dend = tuple(d[:size] for d in dstates)
            part, dstart, dweights = kind.backward(
                None if dy is None else dy[rows], dend, x[rows], start, weights, y[rows], saved, **options
            )
            if needs[0]:
                dx[rows] = part
            for d, new in zip(dstates, dstart, strict=True):
                d[:size] = new
            if totals is None:
                totals = dweights
            else:
                totals = [None if t is None else t + d for t, d in zip(totals, dweights, strict=True)]
        return dx, dstates, totals

    return y, states, go_back


def _fits(kind, x, initial, weights, sizes):
    """Whether shapes fit each other across the segments; each segment's own are the kernel's to check."""
    if x.ndim != (3 if sizes is None else 2) or not len(x) or weights[1].ndim != 2:
        return False
    if sizes is not None and (sizes.ndim != 1 or sizes.sum() != len(x) or (np.diff(sizes) > 0).any()):
        return False
    shapes = _state_shapes(kind, x, weights, sizes)
    return all(array is None or array.shape == shape for array, shape in zip(initial, shapes, strict=True))


def _state_shapes(kind, x, weights, sizes):
    """The shape of each state."""
    B, (rows, P) = x.shape[1] if sizes is None else int(sizes[0]), weights[1].shape
    return [(B, P), (B, rows // kind.gates)][: kind.states]


def _segments(x, walk, every):
    """The segments in the order of the walk."""
    sizes, found = walk["batch_sizes"], []
    ends = None if sizes is None else np.concatenate(([0], np.cumsum(sizes)))
    for first in range(0, len(x) if sizes is None else len(sizes), every):
        if sizes is None:
            found.append(_Segment(slice(first, first + every), x.shape[1], walk))
        else:
            part = sizes[first : first + every]
            rows = slice(int(ends[first]), int(ends[first + len(part)]))
            found.append(_Segment(rows, int(part[0]), walk | {"batch_sizes": part}))
    return found[::-1] if walk["reverse"] else found


def _state(values, shape, dtype):
    """A state that can be written to; None stands for zeros."""
    return np.zeros(shape, dtype) if values is None else np.array(values)


# --- cells ------------------------------------------------------------------------------------------------------------


def lstm_cell(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """One step of `lstm`.

    Parameters
    ----------
    input : Tensor (B, I)
    hx : pair of Tensors (B, H), or None
    weight_ih, weight_hh : Tensor (4H, I) and (4H, H)
    bias_ih, bias_hh : Tensor (4H,), optional

    Returns
    -------
    Tensor, Tensor
        The states h and c after the step, (B, H) each.
    """
    return _cell(
        LSTM, kernels.lstm_cell, input, (None, None) if hx is None else hx, weight_ih, weight_hh, bias_ih, bias_hh
    )


def gru_cell(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """One step of `gru`; as `lstm_cell`, with one state."""
    return _cell(GRU, kernels.gru_cell, input, (hx,), weight_ih, weight_hh, bias_ih, bias_hh)


def rnn_cell(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, nonlinearity="tanh"):
    """One step of `rnn`; as `lstm_cell`, with one state."""
    options = {"nonlinearity": nonlinearity}
    return _cell(RNN, kernels.rnn_cell, input, (hx,), weight_ih, weight_hh, bias_ih, bias_hh, **options)


def _cell(kind, forward, input, states, *weights, **options):
    """The tensors of the states after one step, on the tape."""
    name = f"{kind.name}_cell"
    x = checked(name, input).data
    inputs, needs, initial, arrays = _prepared(kind, input, states, weights)
    kept = any(needs) and is_grad_enabled() and "gates" in kind.saved
    saved = {"gates": kind.allocate(x, arrays)["gates"]} if kept else {}
    after = forward(x, _both(initial) if kind is LSTM else initial[0], *arrays, **saved, **options)
    after = after if kind is LSTM else (after,)

    def backward(*dafter):
        # a layer of one step: its last output is its final state, and the last of its cells c
        whole = {key: array[None] for key, array in saved.items()}
        if kind is LSTM:
            whole["cells"] = after[1][None]
        dx, dinitial, dweights = kind.backward(
            None, dafter, x[None], initial, arrays, after[0][None], whole, needs=needs, **options
        )
        return None if dx is None else dx[0], *dinitial, *dweights[:4]

    watched = (input, *states, *weights[:2])
    results = record_several(name, after, inputs, backward, watched, saves_results=tuple(range(len(after))))
    return results if kind is LSTM else results[0]

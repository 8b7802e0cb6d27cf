"""Recurrent layers and cells on the tape, with and without checkpoints.

The forward saves the gates (and an LSTM's cells) if a gradient is needed. With `checkpoint_every`, the sequence is cut
into segments of that many steps: only the states between them are saved, and the backward recomputes the gates, one
segment at a time.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import kernels
from nn.functional.arguments import checked, constant, not_tensors
from nn.grad_mode import is_grad_enabled
from nn.operations.arguments import bool_of, int_of
from nn.tape import record_several


class _Kind(NamedTuple):
    """A recurrent layer; its `forward` and `backward` take and return states as tuples."""

    name: str
    gates: int  # blocks of H rows in the weights
    states: int
    saved: dict  # name -> width in units of H, of the arrays that the forward fills for the backward
    forward: Callable  # x, states, weights, **saved, **settings -> y, states
    backward: Callable  # dy, dstates, x, states, weights, y, saved, needs, **settings -> dx, dstates, dweights

    def allocate(self, x, weights):
        """Allocate the arrays of `saved`, by name."""
        H = len(weights[1]) // self.gates
        return {name: np.empty((*x.shape[:-1], width * H), x.dtype) for name, width in self.saved.items()}


def _lstm_forward(x, states, weights, **options):
    return kernels.lstm(x, _pair(states), *weights, **options)


def _lstm_backward(dy, dstates, x, states, weights, y, saved, *, needs, **options):
    wi, wh, _, _, *wr = weights  # a cell has no weight_hr
    dx, dhx, *dweights = kernels.lstm_backward(
        dy, dstates, x, _pair(states), wi, wh, y, *saved.values(), *wr, needs=(*needs, False)[:7], **options
    )
    return dx, dhx, dweights


def _pair(states):
    """The states h and c as the LSTM kernels take them: None for the default."""
    return None if states[0] is None else states


def _single(forward, backward):
    """Adapt the kernels of a layer with one state to the signatures of `_Kind`."""

    def tuple_forward(x, states, weights, **options):
        y, h = forward(x, *states, *weights, **options)
        return y, (h,)

    def tuple_backward(dy, dstates, x, states, weights, y, saved, **options):
        dx, dh, *dweights = backward(dy, *dstates, x, *states, *weights[:2], y, *saved.values(), **options)
        return dx, (dh,), dweights

    return tuple_forward, tuple_backward


LSTM = _Kind("lstm", 4, 2, {"gates": 4, "cells": 1}, _lstm_forward, _lstm_backward)
GRU = _Kind("gru", 3, 1, {"gates": 4}, *_single(kernels.gru, kernels.gru_backward))
RNN = _Kind("rnn", 1, 1, {}, *_single(kernels.rnn, kernels.rnn_backward))


def run_layer(kind, input, states, weights, settings, checkpoint_every):
    """Run one layer and record it on the tape; returns the tensors of y and of the final states."""
    if checkpoint_every is not None:
        checkpoint_every = int_of(kind.name, "checkpoint_every", checkpoint_every)
        if checkpoint_every < 1:
            raise ValueError(f"{kind.name}: checkpoint_every must be at least 1, got {checkpoint_every}")
    if settings["reverse"] is not False:
        bool_of(kind.name, "reverse", settings["reverse"])
    x = np.asarray(checked(kind.name, input).array, order="C")  # one copy for both forward and backward
    sizes = settings["batch_sizes"]
    settings["batch_sizes"] = constant(kind.name, sizes, "batch_sizes")
    inputs, needs, initial, arrays = _prepared(kind.name, kind, input, states, weights)
    saves = any(needs) and is_grad_enabled()
    biases = ()
    if checkpoint_every is None or not saves:
        y, final, propagate = _whole(kind, x, initial, arrays, settings, needs, saves)
    else:
        y, final, propagate = _in_segments(kind, x, initial, arrays, settings, needs, checkpoint_every)
        biases = weights[2:4]  # read again when the backward recomputes a segment

    def backward(dy, *dfinal):
        dx, dinitial, dweights = propagate(dy, dfinal)
        return dx, *dinitial, *dweights

    saved = (input, *states, *weights[:2], *biases, *weights[4:], sizes)
    return record_several(kind.name, (y, *final), inputs, backward, saved, saves_results=(0,))


WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def _prepared(name, kind, input, states, weights):
    """The node's inputs, which need a gradient (states as one), the arrays of the states, the arrays of the weights."""
    inputs = (input, *states, *weights)
    try:
        arrays = [None if tensor is None else tensor.array for tensor in inputs]
    except AttributeError:
        given = dict(zip(WEIGHTS, weights, strict=False))
        raise not_tensors(name, **{f"hx[{i}]": state for i, state in enumerate(states)}, **given) from None
    needs = [tensor is not None and tensor.requires_grad for tensor in inputs]
    first = 1 + kind.states
    return inputs, (needs[0], any(needs[1:first]), *needs[first:]), tuple(arrays[1:first]), tuple(arrays[first:])


def _whole(kind, x, initial, weights, settings, needs, saves):
    """y, the final states, and the backward function: (dy, dfinal) -> (dx, dinitial, dweights)."""
    saved = kind.allocate(x, weights) if saves else {}
    y, final = kind.forward(x, initial, weights, **saved, **settings)

    def propagate(dy, dfinal):
        return kind.backward(dy, dfinal, x, initial, weights, y, saved, **settings, needs=needs)

    return y, final, propagate


# --- checkpoints ------------------------------------------------------------------------------------------------------


class _Segment(NamedTuple):
    """Consecutive steps: their rows of x, the number of sequences, and the kernel's options."""

    rows: slice
    size: int
    settings: dict


def _in_segments(kind, x, initial, weights, settings, needs, every):
    """As `_whole`, in segments of `every` steps; saves only the states before each."""
    if not _shapes_agree(kind, x, initial, weights, settings["batch_sizes"]):
        return _whole(kind, x, initial, weights, settings, needs, saves=True)  # the kernel raises the error
    segments = _segments(x, settings, every)
    shapes = _state_shapes(kind, x, weights, settings["batch_sizes"])
    states = [_state(array, shape, x.dtype) for array, shape in zip(initial, shapes, strict=True)]
    y, starts = np.empty((*x.shape[:-1], shapes[0][1]), x.dtype), []
    for rows, size, options in segments:
        starts.append(tuple(state[:size].copy() for state in states))
        y[rows], after = kind.forward(x[rows], starts[-1], weights, **options)
        for state, new in zip(states, after, strict=True):
            state[:size] = new

    def propagate(dy, dfinal):
        dstates = [_state(d, shape, x.dtype) for d, shape in zip(dfinal, shapes, strict=True)]
        dx, totals = np.empty_like(x) if needs[0] else None, None
        for (rows, size, options), start in zip(reversed(segments), reversed(starts), strict=True):
            saved = kind.allocate(x[rows], weights)
            if saved:
                kind.forward(x[rows], start, weights, **saved, **options)
            options = options | {"needs": (needs[0], True, *needs[2:])}
            dend = tuple(d[:size] for d in dstates)
            dsegment, dstart, dweights = kind.backward(
                None if dy is None else dy[rows], dend, x[rows], start, weights, y[rows], saved, **options
            )
            if needs[0]:
                dx[rows] = dsegment
            for d, new in zip(dstates, dstart, strict=True):
                d[:size] = new
            if totals is None:
                totals = dweights
            else:
                totals = [None if t is None else t + d for t, d in zip(totals, dweights, strict=True)]
        return dx, dstates, totals

    return y, states, propagate


def _shapes_agree(kind, x, initial, weights, sizes):
    """Whether the shapes agree across segments; the kernel validates those of each segment."""
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


def _segments(x, settings, every):
    """The segments in the order in which the time loop reaches them."""
    sizes, segments = settings["batch_sizes"], []
    ends = None if sizes is None else np.concatenate(([0], np.cumsum(sizes)))
    for first in range(0, len(x) if sizes is None else len(sizes), every):
        if sizes is None:
            segments.append(_Segment(slice(first, first + every), x.shape[1], settings))
        else:
            steps = sizes[first : first + every]
            rows = slice(int(ends[first]), int(ends[first + len(steps)]))
            segments.append(_Segment(rows, int(steps[0]), settings | {"batch_sizes": steps}))
    return segments[::-1] if settings["reverse"] else segments


def _state(values, shape, dtype):
    """A writable copy of a state, or zeros for None."""
    return np.zeros(shape, dtype) if values is None else np.array(values)


# --- cells ------------------------------------------------------------------------------------------------------------


def run_cell(kind, forward, input, states, *weights, **options):
    """Run one step and record it on the tape; returns the tensors of the new states."""
    name = f"{kind.name}_cell"
    x = checked(name, input).array
    inputs, needs, initial, arrays = _prepared(name, kind, input, states, weights)
    saves = any(needs) and is_grad_enabled() and "gates" in kind.saved
    saved = {"gates": kind.allocate(x, arrays)["gates"]} if saves else {}
    after = forward(x, _pair(initial) if kind is LSTM else initial[0], *arrays, **saved, **options)
    after = after if kind is LSTM else (after,)

    def backward(*dafter):
        # a layer of one step, whose output is the new h and whose cells are the new c
        of_layer = {key: array[None] for key, array in saved.items()}
        if kind is LSTM:
            of_layer["cells"] = after[1][None]
        dx, dinitial, dweights = kind.backward(
            None, dafter, x[None], initial, arrays, after[0][None], of_layer, needs=needs, **options
        )
        return None if dx is None else dx[0], *dinitial, *dweights[:4]

    watched = (input, *states, *weights[:2])
    results = record_several(name, after, inputs, backward, watched, saves_results=tuple(range(len(after))))
    return results if kind is LSTM else results[0]

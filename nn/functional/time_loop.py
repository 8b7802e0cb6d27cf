"""Recurrent layers and cells on the tape, with and without checkpoints.

A forward saves its gates (and an LSTM's cells) where a gradient is needed. With `checkpoint_every`, the sequence is cut
into segments of so many steps: only the states between them are saved, and the backward computes the gates again, one
segment at a time.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import kernels
from nn.functional.arguments import checked, constant
from nn.tensor import is_grad_enabled, record_several


class _Kind(NamedTuple):
    """A recurrent layer; its `forward` and `backward` take and return states as tuples."""

    name: str
    gates: int  # blocks of H rows in the weights
    states: int
    saved: dict  # what the forward fills for the backward, and its width in units of H
    forward: Callable  # x, states, weights, **saved, **settings -> y, states
    backward: Callable  # dy, dstates, x, states, weights, y, saved, needs, **settings -> dx, dstates, dweights

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


def run_layer(kind, input, states, weights, settings, checkpoint_every):
    """The tensors y and final states, recorded on the tape."""
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ValueError(f"{kind.name}: checkpoint_every must be at least 1, got {checkpoint_every}")
    x = np.asarray(checked(kind.name, input).data, order="C")  # once for forward and backward
    sizes = settings["batch_sizes"]
    settings["batch_sizes"] = constant(kind.name, sizes)
    inputs, needs, initial, arrays = _prepared(kind, input, states, weights)
    saves = any(needs) and is_grad_enabled()
    biases = ()
    if checkpoint_every is None or not saves:
        y, final, go_back = _whole(kind, x, initial, arrays, settings, needs, saves)
    else:
        y, final, go_back = _in_segments(kind, x, initial, arrays, settings, needs, checkpoint_every)
        biases = weights[2:4]  # which the forward of each segment, in the backward, reads again

    def backward(dy, *dfinal):
        dx, dinitial, dweights = go_back(dy, dfinal)
        return dx, *dinitial, *dweights

    saved = (input, *states, *weights[:2], *biases, *weights[4:], sizes)
    return record_several(kind.name, (y, *final), inputs, backward, saved, saves_results=(0,))


def _prepared(kind, input, states, weights):
    """Inputs of the node; which need a gradient (states as one); the arrays of the states; those of the weights."""
    inputs = (input, *states, *weights)
    needs = [tensor is not None and tensor.requires_grad for tensor in inputs]
    first = 1 + kind.states
    arrays = [None if tensor is None else tensor.data for tensor in inputs]
    return inputs, (needs[0], any(needs[1:first]), *needs[first:]), tuple(arrays[1:first]), tuple(arrays[first:])


def _whole(kind, x, initial, weights, settings, needs, saves):
    """y, the final states, and the backward: from dy and dstates to dx, dstates at the start, and dweights."""
    saved = kind.allocate(x, weights) if saves else {}
    y, final = kind.forward(x, initial, weights, **saved, **settings)

    def go_back(dy, dfinal):
        return kind.backward(dy, dfinal, x, initial, weights, y, saved, **settings, needs=needs)

    return y, final, go_back


# --- checkpoints ------------------------------------------------------------------------------------------------------


class _Segment(NamedTuple):
    """Consecutive steps: their rows, the number of sequences, and the options of the kernel."""

    rows: slice
    size: int
    settings: dict


def _in_segments(kind, x, initial, weights, settings, needs, every):
    """As `_whole`, cut into segments of `every` steps; saves only the states in front of each."""
    if not _fits(kind, x, initial, weights, settings["batch_sizes"]):
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
    """Whether shapes agree across the segments; the kernel validates those of each segment."""
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
    sizes, found = settings["batch_sizes"], []
    ends = None if sizes is None else np.concatenate(([0], np.cumsum(sizes)))
    for first in range(0, len(x) if sizes is None else len(sizes), every):
        if sizes is None:
            found.append(_Segment(slice(first, first + every), x.shape[1], settings))
        else:
            part = sizes[first : first + every]
            rows = slice(int(ends[first]), int(ends[first + len(part)]))
            found.append(_Segment(rows, int(part[0]), settings | {"batch_sizes": part}))
    return found[::-1] if settings["reverse"] else found


def _state(values, shape, dtype):
    """A writable copy of a state, or zeros for None."""
    return np.zeros(shape, dtype) if values is None else np.array(values)


# --- cells ------------------------------------------------------------------------------------------------------------


def run_cell(kind, forward, input, states, *weights, **options):
    """The tensors of the states after one step, on the tape."""
    name = f"{kind.name}_cell"
    x = checked(name, input).data
    inputs, needs, initial, arrays = _prepared(kind, input, states, weights)
    saves = any(needs) and is_grad_enabled() and "gates" in kind.saved
    saved = {"gates": kind.allocate(x, arrays)["gates"]} if saves else {}
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

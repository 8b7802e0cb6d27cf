"""Cases of `kernels.recurrent`: layers with their gradients, single steps, ladders."""

import numpy as np

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
SAVED = {"lstm": {"gates": 4, "cells": 1}, "gru": {"gates": 4}, "rnn": {}}  # blocks of H columns


def layer(run, kind, T, B, inputs, H, outputs=None, given=True, packed=None, **options):
    """A layer and its backward; without initial states and biases if not `given`."""
    P, rows = outputs or H, GATES[kind] * H
    x = run.normal(T, B, inputs) if packed is None else run.normal(sum(packed), inputs)
    weights = scaled(run, rows, inputs), scaled(run, rows, P)
    biases = (run.normal(rows), run.normal(rows)) if given else (None, None)
    projection = [scaled(run, P, H)] if outputs else []
    states = [run.normal(B, P), run.normal(B, H)][: 1 + (kind == "lstm")]
    state, dstate = (one(kind, values) for values in (states, [run.normal(*s.shape) for s in states]))
    state = state if given else None
    options |= {} if packed is None else {"batch_sizes": np.array(packed)}
    nonlinearity = {key: options.pop(key) for key in ("nonlinearity",) if key in options}
    run.call(kind, x, state, *weights, *biases, *projection, **nonlinearity, **options)
    saved = {name: run.zeros(*x.shape[:-1], blocks * H) for name, blocks in SAVED[kind].items()}
    y, _ = run.call(kind, x, state, *weights, *biases, *projection, **nonlinearity, **options, **saved)
    backward = run.normal(*y.shape), dstate, x, state, *weights, y, *saved.values(), *projection
    run.call(f"{kind}_backward", *backward, **nonlinearity, **options)


def step(run, kind, B, inputs, H, given=True, **options):
    rows = GATES[kind] * H
    states = [run.normal(B, H) for _ in range(1 + (kind == "lstm"))]
    biases = (run.normal(rows), run.normal(rows)) if given else (None, None)
    saved = {} if kind == "rnn" else {"gates": run.zeros(B, 4 * H)}
    operands = run.normal(B, inputs), one(kind, states) if given else None, scaled(run, rows, inputs)
    run.call(f"{kind}_cell", *operands, scaled(run, rows, H), *biases, **options)
    run.call(f"{kind}_cell", *operands, scaled(run, rows, H), *biases, **options, **saved)


def relu_layer(run, *shape):
    layer(run, "rnn", *shape, nonlinearity="relu")


def reversed_layer(run, kind, *shape):
    layer(run, kind, *shape, reverse=True)


def packed_layer(run, kind, batch_sizes, inputs, H, outputs=None, reverse=False):
    layer(run, kind, len(batch_sizes), batch_sizes[0], inputs, H, outputs, packed=batch_sizes, reverse=reverse)


def relu_step(run, *shape):
    step(run, "rnn", *shape, nonlinearity="relu")


def ladder(run, kind, T, B, inputs, H):
    rows, states = GATES[kind] * H, [run.normal(B, H), run.normal(B, H) if kind == "lstm" else run.zeros(B, H)]
    weights = scaled(run, rows, inputs), scaled(run, rows, H), run.normal(rows), run.normal(rows)
    run.rungs("recurrent", kind, run.normal(T, B, inputs), *states, *weights, run.zeros(T, B, H))


def scaled(run, rows, columns):
    """A weight under which states neither vanish nor saturate."""
    return run.normal(rows, columns) * run.dtype.type(columns**-0.5)


def one(kind, states):
    return tuple(states) if kind == "lstm" else states[0]


SHAPES = (
    (1, 1, 1, 1), (5, 4, 6, 19), (3, 1, 5, 32), (7, 2, 20, 16), (6, 30, 20, 70), (12, 1, 64, 64), (9, 32, 128, 128),
    (4, 33, 50, 250), (5, 64, 256, 512), (20, 3, 300, 90), (6, 1, 100, 400), (5, 0, 6, 19),
)  # fmt: skip
PACKED = ((3, 2, 2, 1), (1, 1, 1), (30, 30, 17, 5, 1), (64, 33, 20, 20, 20, 2))
CASES = [
    *((layer, kind, *shape) for kind in GATES for shape in SHAPES),
    *((layer, kind, *shape, None, False) for kind in GATES for shape in ((5, 4, 6, 19), (9, 32, 128, 128))),
    *(
        (reversed_layer, kind, *shape)
        for kind in GATES
        for shape in ((5, 4, 6, 19), (9, 32, 128, 128), (6, 1, 100, 400))
    ),
    *((relu_layer, *shape) for shape in ((5, 4, 6, 19), (9, 32, 128, 128))),
    *(
        (layer, "lstm", *shape, outputs)
        for *shape, outputs in ((5, 4, 6, 19, 3), (3, 1, 5, 32, 16), (9, 32, 90, 128, 60))
    ),
    *((packed_layer, kind, sizes, 20, 33, None, reverse) for kind in GATES for sizes in PACKED for reverse in (0, 1)),
    *((packed_layer, "lstm", sizes, 20, 33, 7, reverse) for sizes in PACKED for reverse in (0, 1)),
    *((step, kind, *shape) for kind in GATES for shape in ((1, 7, 16), (1, 256, 256), (5, 7, 37), (64, 256, 256))),
    *((step, kind, *shape, False) for kind in GATES for shape in ((1, 7, 16), (29, 33, 50))),
    *((relu_step, *shape) for shape in ((1, 7, 16), (29, 33, 50))),
    *((ladder, kind, *shape) for kind in GATES for shape in ((5, 4, 6, 19), (3, 1, 5, 32), (6, 30, 20, 70))),
]

"""Tests of kernels.recurrent."""

import itertools
import tracemalloc
from dataclasses import dataclass
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import kernels
import kernels.recurrent
from kernels.reference import recurrent as reference
from tests.checking import LAYOUTS, Operation, assert_close, check, check_finite_differences, guarded, read_only

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

KINDS = ("lstm", "gru", "rnn")
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
SAVED = {"lstm": {"gates": 4, "cells": 1}, "gru": {"gates": 4}, "rnn": {}}  # widths in units of H
NAMES = ("x", "h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
BATCH_SIZES = np.array([4, 4, 3, 1, 1])
each_kind = pytest.mark.parametrize("kind", KINDS)


# --- one form for the three -------------------------------------------------------------------------------------------
# Arguments are flat, in the order of NAMES, None where a layer has no such argument; the result is one vector of y, h_n
# and c_n, so that one dy is the gradient of all of them.


def states(kind, h, c):
    """What the kernel of this kind takes as its state."""
    return h if kind != "lstm" else None if h is None and c is None else (h, c)


def saved_arrays(kind, lead, H, dtype, place=guarded):
    """Arrays, full of NaN, that the forward fills for the backward."""
    return {name: place(np.full((*lead, n * H), np.nan, dtype)) for name, n in SAVED[kind].items()}


def weights_of(kind, weights, bias):
    """The weights among flat arguments, with or without the biases, as the kernel of this kind takes them."""
    wi, wh, bi, bh, wr = weights
    return (wi, wh, *([bi, bh] if bias else []), *([wr] if kind == "lstm" else []))


def run(module, kind, arguments, saved=None, **options):
    """y and the tuple of final states."""
    x, h0, c0, *weights = arguments
    y, state = getattr(module, kind)(
        x, states(kind, h0, c0), *weights_of(kind, weights, True), **(saved or {}), **options
    )
    return y, state if kind == "lstm" else (state,)


def run_backward(module, kind, dy, dstate, arguments, y, saved, **options):
    """The gradients in the order of NAMES, those that a kind does not have left out."""
    x, h0, c0, *weights = arguments
    wi, wh, *wr = weights_of(kind, weights, False)
    nonlinearity = {key: options.pop(key) for key in ("nonlinearity",) if key in options}
    gradients = getattr(module, f"{kind}_backward")(
        dy, states(kind, *dstate), x, states(kind, h0, c0), wi, wh, y, *saved.values(), *wr, **nonlinearity, **options
    )
    dx, dh, *rest = gradients
    return dx, *(dh if kind == "lstm" else (dh,)), *rest


def flat(module, kind):
    """The forward and backward of one kind in the form that `check` takes."""

    def forward(*arguments, **options):
        y, state = run(module, kind, arguments, **options)
        return np.concatenate([part.reshape(-1) for part in (y, *state)])

    def backward(dy, *arguments, **options):
        x, wh = arguments[0], arguments[4]
        H, lead = wh.shape[0] // GATES[kind], x.shape[:-1]
        saved = saved_arrays(kind, lead, H, x.dtype)
        y, state = run(module, kind, arguments, saved, **options)
        sizes = np.cumsum([y.size, *(part.size for part in state)])
        parts = np.split(dy, sizes[:-1])
        dstate = [part.reshape(like.shape) for part, like in zip(parts[1:], state, strict=True)]
        dstate += [None] * (2 - len(dstate))
        gradients = run_backward(module, kind, parts[0].reshape(y.shape), dstate, arguments, y, saved, **options)
        present = [a is not None for i, a in enumerate(arguments) if kind == "lstm" or i not in (2, 7)]
        if kind == "lstm":
            assert (gradients[7] is None) == (arguments[7] is None)
        return tuple(g for g, wanted in zip(gradients, present, strict=True) if wanted)

    return SimpleNamespace(**{kind: forward, f"{kind}_backward": backward})


def peer(kind):
    """PyTorch's layer; one in reverse is the second half of a bidirectional one."""

    def call(*arguments, reverse=False, batch_sizes=None, nonlinearity="tanh"):
        x, h0, c0, wi, wh, bi, bh, wr = arguments
        B = x.shape[1] if batch_sizes is None else int(batch_sizes[0])
        H, P = wh.shape[0] // GATES[kind], wh.shape[1]
        h0 = x.new_zeros(B, P) if h0 is None else h0
        c0 = x.new_zeros(B, H) if c0 is None else c0
        zeros = x.new_zeros(len(wh))
        weights = [wi, wh, zeros if bi is None else bi, zeros if bh is None else bh, *([] if wr is None else [wr])]
        if reverse:
            weights = [w.detach() for w in weights] + weights
        double = lambda t: torch.stack([t.detach(), t] if reverse else [t])  # noqa: E731
        hx = (double(h0), double(c0)) if kind == "lstm" else double(h0)
        function = getattr(torch, kind if kind != "rnn" else f"rnn_{nonlinearity}")
        if batch_sizes is None:
            y, *state = function(x, hx, weights, True, 1, 0.0, True, reverse, False)
        else:
            y, *state = function(x, torch.from_numpy(batch_sizes), hx, weights, True, 1, 0.0, True, reverse)
        return torch.cat([y[..., -P:].reshape(-1), *(part[-1].reshape(-1) for part in state)])

    return call


@dataclass(frozen=True)
class Layer(Operation):
    """A recurrent layer, flat."""

    @property
    def kernels(self):
        return flat(kernels, self.name)

    @property
    def reference(self):
        return flat(reference, self.name)


def scale(operation, arguments, dy, options):
    """The largest values of the result and of the gradients; to the latter is added the size of a sum of its terms if
    the gates' derivatives were 1, since derivatives near 0 are differences of numbers near 1."""
    x, wi, wh = arguments[0], arguments[3], arguments[4]
    size, rows = np.sqrt(np.mean(np.square(dy))), x.reshape(-1, x.shape[-1])
    terms = {
        "x": np.linalg.norm(wi, axis=0),
        "h0": np.linalg.norm(wh, axis=0),
        "c0": 1.0,
        "weight_ih": np.linalg.norm(rows, axis=0),
    }
    backward = getattr(operation.reference, f"{operation.name}_backward")
    gradients = backward(dy, *arguments, **options)
    names = [name for name, a in zip(NAMES, arguments, strict=True) if a is not None]
    sizes = [terms.get(name, len(rows) ** 0.5) for name in names]
    return [None, *(np.abs(g).max(initial=0) + size * s for g, s in zip(gradients, sizes, strict=True))]


def operation(kind, arguments):
    differentiable = tuple(i for i, a in enumerate(arguments) if a is not None)
    return Layer("recurrent", kind, peer(kind), lambda arguments, result: arguments, differentiable, scale)


def layer(rng, kind, *sizes, state=True, biases=(True, True), proj=0, batch_sizes=None):
    """Arguments of a layer with sizes T, B, I, H and maybe a dtype; weights are as large as initial ones."""
    T, B, inputs, H, dtype = (*sizes, np.float64)[:5]
    G, P = GATES[kind], proj or H

    def normal(*shape, size=1.0):
        return np.asarray(size * rng.standard_normal(shape)).astype(dtype)

    return [
        normal(T, B, inputs) if batch_sizes is None else normal(sum(batch_sizes), inputs),
        normal(B, P) if state else None,
        normal(B, H) if state and kind == "lstm" else None,
        normal(G * H, inputs, size=inputs**-0.5),
        normal(G * H, P, size=H**-0.5),
        normal(G * H, size=H**-0.5) if biases[0] else None,
        normal(G * H, size=H**-0.5) if biases[1] else None,
        normal(P, H, size=H**-0.5) if proj else None,
    ]


def lengths(arguments):
    """Terms summed: those of the products of all steps; for the weights, also the rows."""
    x, wi, wh = arguments[0], arguments[3], arguments[4]
    T, rows = len(x) if x.ndim == 3 else len(BATCH_SIZES), x.size // x.shape[-1]
    names = [name for name, a in zip(NAMES, arguments, strict=True) if a is not None]
    return [
        T * (wi.shape[1] + wh.shape[1]),
        *(T * len(wh) + (0 if name in ("x", "h0", "c0") else rows) for name in names),
    ]


def check_layer(kind, arguments, **options):
    return check(operation(kind, arguments), *arguments, lengths=lengths(arguments), **options)


# --- values and gradients ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [True, False], ids=["given", "zeros"])
@pytest.mark.parametrize("packed", [False, True], ids=["full", "packed"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("biases", list(itertools.product([True, False], repeat=2)), ids=str)
@pytest.mark.parametrize("name", ["lstm", "lstm-projected", "gru", "rnn-tanh", "rnn-relu"])
def test_options(rng, dtype, name, biases, reverse, packed, state):
    kind, _, variation = name.partition("-")
    sizes = BATCH_SIZES if packed else None
    proj = 3 if variation == "projected" else 0
    arguments = layer(rng, kind, 5, 4, 3, 6, dtype, state=state, biases=biases, proj=proj, batch_sizes=sizes)
    options = {"nonlinearity": variation} if kind == "rnn" else {}
    check_layer(kind, arguments, reverse=reverse, batch_sizes=sizes, **options)


SIZES = [(1, 1, 1, 1), (3, 2, 1, 15), (2, 13, 7, 16), (4, 14, 3, 17), (3, 15, 17, 31), (5, 29, 2, 33), (7, 1, 5, 64),
         (2, 33, 65, 48), (1, 5, 16, 129)]  # fmt: skip


@pytest.mark.parametrize("shape", SIZES, ids=lambda shape: "x".join(map(str, shape)))
@each_kind
def test_sizes(rng, dtype, kind, shape):
    check_layer(kind, layer(rng, kind, *shape, dtype))


@hypothesis.given(
    kind=st.sampled_from(KINDS),
    batch_sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    inputs=st.integers(1, 20),
    H=st.integers(1, 40),
    proj=st.integers(0, 39),
    packed=st.booleans(),
    reverse=st.booleans(),
    layout=st.sampled_from(sorted(LAYOUTS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_batch_sizes(kind, batch_sizes, inputs, H, proj, packed, reverse, layout, dtype, seed):
    sizes = np.sort(batch_sizes)[::-1].copy() if packed else None
    shape = len(batch_sizes), max(batch_sizes), inputs, H
    proj = proj if kind == "lstm" and proj < H else 0
    arguments = layer(np.random.default_rng(seed), kind, *shape, dtype, proj=proj, batch_sizes=sizes)
    arguments = [None if a is None else LAYOUTS[layout](a) for a in arguments]
    check_layer(kind, arguments, reverse=reverse, batch_sizes=sizes)


@pytest.mark.parametrize("layout", LAYOUTS)
@each_kind
def test_layouts(rng, kind, layout):
    arguments = layer(rng, kind, 4, 3, 5, 17, np.float32)
    check_layer(kind, [None if a is None else LAYOUTS[layout](a) for a in arguments])


@each_kind
def test_a_hundred_steps(rng, dtype, kind):
    check_layer(kind, layer(rng, kind, 100, 3, 4, 20, dtype))


@pytest.mark.parametrize("name", ["lstm", "lstm-projected", "gru", "rnn-tanh", "rnn-relu"])
@pytest.mark.parametrize("packed", [False, True], ids=["full", "packed"])
def test_finite_differences(rng, name, packed):
    kind, _, variation = name.partition("-")
    sizes = np.array([2, 2, 1]) if packed else None
    arguments = layer(rng, kind, 3, 2, 2, 3, proj=2 if variation == "projected" else 0, batch_sizes=sizes)
    options = {"nonlinearity": variation} if kind == "rnn" else {}
    check_finite_differences(operation(kind, arguments), *arguments, reverse=packed, batch_sizes=sizes, **options)


# --- ladders and cells ------------------------------------------------------------------------------------------------

RUNGS = [(kind, rung) for kind, rungs in kernels.recurrent.VARIANTS.items() for rung in rungs]


@pytest.mark.parametrize(("kind", "rung"), RUNGS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 4, 6, 19), (3, 1, 5, 32), (6, 30, 20, 70)], ids=str)
def test_variants(rng, dtype, kind, rung, shape):
    arguments = layer(rng, kind, *shape, dtype)
    expected = run(reference, kind, [None if a is None else a.astype(np.float64) for a in arguments])
    for end in ("front", "back"):
        x, h, c, *weights = (None if a is None else guarded(a, end) for a in arguments)
        c = np.zeros_like(h) if c is None else c
        y = guarded(np.full((*shape[:2], shape[3]), np.nan, dtype), end)
        kernels.recurrent.VARIANTS[kind][rung](x, h, c, *weights[:4], y)
        for actual, wanted in zip((y, h, c), (expected[0], *expected[1]), strict=False):
            assert_close(actual.view(np.ndarray), wanted, length=lengths(arguments)[0], label=rung)


@pytest.mark.parametrize("state", [True, False], ids=["given", "zeros"])
@pytest.mark.parametrize("biases", [(True, True), (False, False), (True, False)], ids=str)
@each_kind
def test_cell_is_a_layer_of_one_step(rng, dtype, kind, biases, state):
    for B, H in ((1, 16), (1, 37), (5, 16), (29, 33)):
        arguments = layer(rng, kind, 1, B, 7, H, dtype, state=state, biases=biases)
        x, h0, c0, *weights = arguments
        saved = saved_arrays(kind, (B,), H, dtype)
        cells = saved.pop("cells", None)
        cell = getattr(kernels, f"{kind}_cell")
        after = cell(guarded(x[0]), states(kind, h0, c0), *weights[:4], **saved)
        after = after if kind == "lstm" else (after,)
        layers_saved = saved_arrays(kind, (1, B), H, dtype)
        _, expected = run(kernels, kind, arguments, layers_saved)
        for actual, wanted in zip(after, expected, strict=True):
            assert_close(actual, wanted.astype(np.float64), length=7 + H)
        if cells is not None:
            saved["cells"] = after[1]
        for name, array in saved.items():
            assert_close(array, layers_saved[name][0].astype(np.float64), length=7 + H, label=name)


# --- gradients not needed, arrays not saved ---------------------------------------------------------------------------


def both_ways(rng, kind, **options):
    """Arguments, result, saved arrays and a gradient for each part of the result."""
    arguments = layer(rng, kind, 5, 4, 3, 17, proj=5 if kind == "lstm" else 0)
    saved = saved_arrays(kind, (5, 4), 17, np.float64)
    y, state = run(kernels, kind, arguments, saved, **options)
    dstate = [rng.standard_normal(part.shape) for part in state] + [None] * (2 - len(state))
    return arguments, y, saved, rng.standard_normal(y.shape), dstate


@each_kind
def test_gradient_of_one_output_alone(rng, kind):
    arguments, y, saved, dy, dstate = both_ways(rng, kind)
    for used in itertools.product([True, False], repeat=3 if kind == "lstm" else 2):
        used = (*used, True)[:3]
        chosen = [g if use else None for g, use in zip([dy, *dstate], used, strict=True)]
        filled = [g if use else np.zeros_like(g) for g, use in zip([dy, *dstate], used, strict=True)]
        actual = run_backward(kernels, kind, chosen[0], chosen[1:], arguments, y, saved)
        expected = run_backward(kernels, kind, filled[0], filled[1:], arguments, y, saved)
        for a, e in zip(actual, expected, strict=True):
            np.testing.assert_array_equal(a, e)


@each_kind
def test_needs(rng, kind):
    arguments, y, saved, dy, dstate = both_ways(rng, kind)
    count = 7 if kind == "lstm" else 6
    everything = run_backward(kernels, kind, dy, dstate, arguments, y, saved)
    for chosen in [(), (0,), (1,), (2,), (3,), (4, 5), (count - 1,), (1, 2, 3)]:
        needs = tuple(i in chosen for i in range(count))
        gradients = run_backward(kernels, kind, dy, dstate, arguments, y, saved, needs=needs)
        needs = (needs[0], *needs[1:2] * (2 if kind == "lstm" else 1), *needs[2:])
        for gradient, needed, expected in zip(gradients, needs, everything, strict=True):
            if needed:
                np.testing.assert_array_equal(gradient, expected)
            else:
                assert gradient is None


@each_kind
def test_the_two_biases_gradients_are_two_arrays(rng, kind):
    arguments, y, saved, dy, dstate = both_ways(rng, kind)
    gradients = run_backward(kernels, kind, dy, dstate, arguments, y, saved)
    dbias_ih, dbias_hh = gradients[-3:-1] if kind == "lstm" else gradients[-2:]
    assert not np.may_share_memory(dbias_ih, dbias_hh)
    same = 2 * 17 if kind == "gru" else len(dbias_ih)  # a GRU's r multiplies b_hn, so those of n differ
    np.testing.assert_array_equal(dbias_ih[:same], dbias_hh[:same])


@each_kind
def test_saving_changes_nothing(rng, dtype, kind):
    for B, H in ((1, 32), (30, 33)):
        arguments = layer(rng, kind, 4, B, 5, H, dtype)
        y, state = run(kernels, kind, arguments)
        again, again_state = run(kernels, kind, arguments, saved_arrays(kind, (4, B), H, dtype))
        assert [part.tobytes() for part in (y, *state)] == [part.tobytes() for part in (again, *again_state)]


# --- extremes ---------------------------------------------------------------------------------------------------------


@each_kind
def test_no_sequences(rng, dtype, kind):
    arguments = layer(rng, kind, 4, 0, 3, 8, dtype)
    saved = saved_arrays(kind, (4, 0), 8, dtype)
    y, state = run(kernels, kind, arguments, saved)
    assert y.shape == (4, 0, 8)
    assert y.dtype == dtype
    assert all(part.shape == (0, 8) and part.dtype == dtype for part in state)
    gradients = run_backward(kernels, kind, y, [*state, None][:2], arguments, y, saved)
    expected = [a for a in arguments if a is not None]
    for gradient, argument in zip([g for g in gradients if g is not None], expected, strict=True):
        np.testing.assert_array_equal(gradient, np.zeros_like(argument))


@pytest.mark.parametrize("packed", [False, True], ids=["full", "packed"])
@each_kind
def test_nan_stays_in_its_sequence(rng, dtype, kind, packed):
    B, T, H = 15, 4, 20
    sizes = np.array([15, 15, 14, 3]) if packed else None
    arguments = layer(rng, kind, T, B, 6, H, dtype, batch_sizes=sizes)
    clean, clean_state = run(kernels, kind, arguments, batch_sizes=sizes)
    arguments[0] = arguments[0].copy()
    rows = arguments[0].reshape(-1, 6)
    rows[2, 1] = np.nan  # step 0, sequence 2
    lead = arguments[0].shape[:-1]
    saved = saved_arrays(kind, lead, H, dtype)
    y, state = run(kernels, kind, arguments, saved, batch_sizes=sizes)
    starts = np.cumsum([0, *(sizes if packed else [B] * T)])
    poisoned = [int(start) + 2 for start, end in itertools.pairwise(starts) if end - start > 2]
    others = np.setdiff1d(np.arange(starts[-1]), poisoned)
    assert np.isnan(y.reshape(-1, H)[poisoned]).all()
    assert y.reshape(-1, H)[others].tobytes() == clean.reshape(-1, H)[others].tobytes()
    for part, before in zip(state, clean_state, strict=True):
        assert np.isnan(part[2]).all()
        assert np.delete(part, 2, 0).tobytes() == np.delete(before, 2, 0).tobytes()
    dstate = [np.ones_like(part) for part in state] + [None] * (2 - len(state))
    dx = run_backward(kernels, kind, np.ones_like(y), dstate, arguments, y, saved, batch_sizes=sizes)[0]
    assert np.isfinite(dx.reshape(-1, 6)[others]).all()
    assert np.isnan(dx.reshape(-1, 6)[2]).any()


@each_kind
def test_saturated_gates(rng, dtype, kind):
    arguments = layer(rng, kind, 6, 5, 4, 20, dtype)
    arguments[0] = np.where(arguments[0] > 0, 1e4, -1e4).astype(dtype)
    y = check_layer(kind, arguments)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("special", [np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn-tanh", "rnn-relu"])
def test_infinite_inputs(rng, dtype, name, special):
    kind, _, nonlinearity = name.partition("-")
    options = {"nonlinearity": nonlinearity} if nonlinearity else {}
    arguments = layer(rng, kind, 4, 5, 3, 20, dtype)
    arguments[0][1, 3, 0] = special
    y, state = run(kernels, kind, arguments, **options)
    wide = [None if a is None else a.astype(np.float64) for a in arguments]
    expected, expected_state = run(reference, kind, wide, **options)
    assert np.isfinite(y).all() == (nonlinearity != "relu")
    for actual, wanted in zip((y, *state), (expected, *expected_state), strict=True):
        assert_close(actual, wanted, length=4 * 23)


# --- the same bits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("T", "B", "H"), [(6, 33, 128), (40, 1, 96), (12, 1, 370), (4, 7, 200)])
@each_kind
def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts, kind, T, B, H):
    arguments = layer(rng, kind, T, B, 40, H, dtype)
    dy = rng.standard_normal((T, B, H)).astype(dtype)

    def call():
        saved = saved_arrays(kind, (T, B), H, dtype, lambda a: a)
        y, state = run(kernels, kind, arguments, saved)
        gradients = run_backward(kernels, kind, dy, [None, None], arguments, y, saved)
        return [part.tobytes() for part in (y, *state, *saved.values(), *gradients) if part is not None]

    one, two = at_thread_counts(call)
    assert one == two


@pytest.mark.parametrize(("B", "inputs", "H"), [(1, 300, 400), (13, 70, 230), (64, 256, 256), (7, 90, 200)])
@each_kind
def test_same_bits_of_a_cell_at_any_thread_count(rng, dtype, at_thread_counts, kind, B, inputs, H):
    """One sequence, batches that nearly fill vectors, and others: three ways to multiply."""
    x, h0, c0, *weights = layer(rng, kind, 1, B, inputs, H, dtype)
    cell = getattr(kernels, f"{kind}_cell")

    def call():
        after = cell(x[0], states(kind, h0, c0), *weights_of(kind, weights, True)[:4])
        return [part.tobytes() for part in (after if kind == "lstm" else (after,))]

    one, two = at_thread_counts(call)
    assert one == two


@pytest.mark.parametrize("H", [17, 64, 128])
@each_kind
def test_same_bits_whatever_else_is_in_the_batch(rng, dtype, kind, H):
    arguments = layer(rng, kind, 5, 31, 6, H, dtype)
    y, state = run(kernels, kind, arguments)
    for chosen in ([0], [30], [7, 3], list(range(13)), list(range(3, 31))):
        part = [arguments[0][:, chosen], *(None if a is None else a[chosen] for a in arguments[1:3]), *arguments[3:]]
        some, some_state = run(kernels, kind, part)
        assert some.tobytes() == y[:, chosen].tobytes()
        assert [s.tobytes() for s in some_state] == [s[chosen].tobytes() for s in state]


@each_kind
def test_same_bits_packed_or_alone(rng, dtype, kind):
    sizes = np.array([14, 13, 13, 5, 1])
    arguments = layer(rng, kind, 5, 14, 6, 33, dtype, batch_sizes=sizes)
    starts = np.cumsum(sizes) - sizes
    for reverse in (False, True):
        y, state = run(kernels, kind, arguments, batch_sizes=sizes, reverse=reverse)
        for b in (0, 3, 12, 13):
            rows = [int(start) + b for start, size in zip(starts, sizes, strict=True) if size > b]
            some = [arguments[0][rows][:, None], *(None if a is None else a[b : b + 1] for a in arguments[1:3])]
            alone, alone_state = run(kernels, kind, some + arguments[3:], reverse=reverse)
            assert alone[:, 0].tobytes() == y[rows].tobytes()
            assert [s[0].tobytes() for s in alone_state] == [s[b].tobytes() for s in state]


@each_kind
def test_inference_saves_no_gates(rng, kind):
    """Beside the result, each additional step takes a few numbers, not the 8 KiB of its gates."""
    extra = []
    for steps in (1024, 4096):
        arguments = layer(rng, kind, steps, 8, 4, 64, np.float32)
        run(kernels, kind, arguments)
        tracemalloc.start()
        y, _ = run(kernels, kind, arguments)
        extra.append(tracemalloc.get_traced_memory()[1] - y.nbytes)
        tracemalloc.stop()
    assert extra[1] - extra[0] < 64 * 3072


@each_kind
def test_torch_tensors(rng, kind):
    arguments = layer(rng, kind, 3, 2, 4, 17, np.float32)
    tensors = [None if a is None else torch.from_numpy(a) for a in arguments]
    y, _ = run(kernels, kind, tensors)
    np.testing.assert_array_equal(y, run(kernels, kind, arguments)[0])


# --- errors -----------------------------------------------------------------------------------------------------------

T, B, I, H = 3, 4, 5, 6  # noqa: E741
ones = np.ones


def good(kind):
    """Arguments by name that fit: x (3, 4, 5), H = 6."""
    G, state = GATES[kind], ones((B, H))
    return {
        "x": ones((T, B, I)),
        "hx" if kind == "lstm" else "h0": (state, state) if kind == "lstm" else state,
        "weight_ih": ones((G * H, I)),
        "weight_hh": ones((G * H, H)),
        "bias_ih": ones(G * H),
        "bias_hh": ones(G * H),
    }


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r"at least one step.*\(0, 4, 5\)", {"x": ones((0, B, I))}),
        (ValueError, r"x .*\(4, 5\)", {"x": ones((B, I))}),
        (ValueError, r"weight_ih.*\(3, 4, 7\)|weight_ih.*7", {"x": ones((T, B, 7))}),
        (ValueError, r"weight_ih.*\(5,\)", {"weight_ih": ones(I)}),
        (ValueError, r"weight_hh.*7", {"weight_hh": ones((7, H))}),
        (ValueError, r"weight_hh.*\(6,\)", {"weight_hh": ones(H)}),
        (ValueError, r"bias_ih.*\(5,\)", {"bias_ih": ones(5)}),
        (ValueError, r"bias_hh.*\(1, 6\)", {"bias_hh": ones((1, 6))}),
        (TypeError, r"float32", {"x": ones((T, B, I), np.float32)}),
        (TypeError, r"float32", {"weight_hh": "float32"}),
        (TypeError, r"float32", {"bias_hh": "float32"}),
        (TypeError, r"x.*int64", {"x": ones((T, B, I), np.int64)}),
        (ValueError, r"batch_sizes.*\(3, 4, 5\)", {"batch_sizes": np.array([4, 4, 4])}),
        (ValueError, r"batch_sizes.*[13]", {"x": ones((4, I)), "batch_sizes": np.array([1, 3])}),
        (ValueError, r"batch_sizes.*0", {"x": ones((4, I)), "batch_sizes": np.array([4, 0])}),
        (ValueError, r"batch_sizes.*0", {"x": ones((0, I)), "batch_sizes": np.array([0])}),
        (ValueError, r"batch_sizes.*-1", {"x": ones((3, I)), "batch_sizes": np.array([4, -1])}),
        (ValueError, r"batch_sizes.*[67]", {"x": ones((6, I)), "batch_sizes": np.array([4, 3])}),
        (ValueError, r"at least one step", {"x": ones((0, I)), "batch_sizes": np.array([], np.int64)}),
        (ValueError, r"batch_sizes.*\(1, 2\)", {"x": ones((4, I)), "batch_sizes": np.array([[2, 2]])}),
        (TypeError, r"batch_sizes.*float64", {"x": ones((4, I)), "batch_sizes": np.array([2.0, 2.0])}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@each_kind
def test_errors(kind, error, message, change):
    arguments = good(kind)
    cast = {key: arguments[key].astype(np.float32) for key, value in change.items() if isinstance(value, str)}
    with pytest.raises(error, match=rf"^{kind}: .*({message})"):
        getattr(kernels, kind)(**(arguments | change | cast))


@pytest.mark.parametrize(
    ("error", "message", "state"),
    [
        (ValueError, r"h0.*\(4, 7\)", ones((B, 7))),
        (ValueError, r"h0.*\(1, 4, 6\)", ones((1, B, H))),
        (TypeError, r"float32", ones((B, H), np.float32)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@each_kind
def test_state_errors(kind, error, message, state):
    arguments = good(kind)
    arguments |= {"hx": (state, ones((B, H)))} if kind == "lstm" else {"h0": state}
    with pytest.raises(error, match=rf"^{kind}: .*{message}"):
        getattr(kernels, kind)(**arguments)
    if kind == "lstm":
        with pytest.raises(error, match=rf"^lstm: .*{message.replace('h0', 'c0')}"):
            kernels.lstm(**(arguments | {"hx": (ones((B, H)), state)}))


@pytest.mark.parametrize("shape", [(6, 6), (7, 6), (3, 5), (2, 6), (6,)], ids=str)
def test_projection_errors(shape):
    outputs = 3 if shape[0] < 6 else shape[0]
    change = {"hx": None, "weight_hh": ones((24, outputs)), "weight_hr": ones(shape)}
    with pytest.raises(ValueError, match=rf"^lstm: .*{shape[0]}"):
        kernels.lstm(**(good("lstm") | change))


@each_kind
def test_hidden_size_zero(kind):
    arguments = [ones((T, B, I)), None, ones((0, I)), ones((0, 0))]
    with pytest.raises(ValueError, match=rf"^{kind}: weight_ih .*H at least 1.*\(0, 5\)"):
        getattr(kernels, kind)(*arguments)


def test_unknown_nonlinearity():
    with pytest.raises(ValueError, match=r"^rnn: nonlinearity .*'gelu'"):
        kernels.rnn(**good("rnn"), nonlinearity="gelu")


@pytest.mark.parametrize(
    ("error", "array"),
    [(ValueError, ones((T, B, H))), (TypeError, ones((T, B, 24), np.float32)), (ValueError, "read-only")],
    ids=str,
)
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_saved_array_errors(kind, error, array):
    array = read_only(ones((T, B, 24))) if isinstance(array, str) else array
    with pytest.raises(error, match=rf"^{kind}: gates"):
        getattr(kernels, kind)(**good(kind), gates=array, **({"cells": ones((T, B, H))} if kind == "lstm" else {}))


@pytest.mark.parametrize("changed", ["dy", "y", "gates", "cells", "dh_n"])
@each_kind
def test_backward_errors(kind, changed):
    if changed in ("gates", "cells") and changed not in SAVED[kind]:
        return
    arguments = layer(np.random.default_rng(0), kind, T, B, I, H)
    saved = saved_arrays(kind, (T, B), H, np.float64)
    y, _ = run(kernels, kind, arguments, saved)
    for error, bad in ((ValueError, ones((T, B, 7))), (TypeError, None)):
        parts = {"dy": y, "y": y, "dh_n": y[0], **saved}
        like = parts[changed]
        parts[changed] = like.astype(np.float32) if bad is None else (bad[0] if changed == "dh_n" else bad)
        changed_saved = {name: parts[name] for name in saved}
        with pytest.raises(error, match=rf"^{kind}_backward: .*{changed}"):
            run_backward(kernels, kind, parts["dy"], (parts["dh_n"], None), arguments, parts["y"], changed_saved)

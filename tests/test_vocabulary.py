"""Tests of kernels.loss.vocabulary: linear_cross_entropy."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
from kernels.loss import vocabulary
from kernels.reference import loss as reference
from tests.checking import LAYOUTS, Operation, assert_close, check, check_finite_differences, guarded

REDUCTIONS = ["none", "mean", "sum"]


def with_bias(module, made_in_forward=False):
    """`linear_cross_entropy` of `module` with bias and class weights as positional arguments, for the checker."""

    def forward(x, linear_weight, target, bias, weight=None, **options):
        return module.linear_cross_entropy(x, linear_weight, target, linear_bias=bias, weight=weight, **options)

    def backward(dy, x, linear_weight, target, bias, weight=None, **options):
        options |= {"linear_bias": bias, "weight": weight}
        if made_in_forward and options["reduction"] != "none":
            gradients = tuple(np.full_like(array, np.nan) for array in (x, linear_weight, bias))
            gradients = tuple(np.ascontiguousarray(gradient) for gradient in gradients)
            module.linear_cross_entropy(x, linear_weight, target, gradients=gradients, **options)
            found = module.linear_cross_entropy_backward(dy, x, linear_weight, target, gradients=gradients, **options)
            assert all(mine is given for mine, given in zip(found, gradients, strict=True))
            return found
        return module.linear_cross_entropy_backward(dy, x, linear_weight, target, **options)

    return SimpleNamespace(linear_cross_entropy=forward, linear_cross_entropy_backward=backward)


class LinearCrossEntropy(Operation):
    """With a bias; `out_of_forward` says whether the gradients are made in the forward."""

    @property
    def kernels(self):
        return with_bias(kernels, self.out_of_forward)

    @property
    def reference(self):
        return with_bias(reference)


class MadeInForward(LinearCrossEntropy):
    out_of_forward = True


class MadeInBackward(LinearCrossEntropy):
    out_of_forward = False


def peer(x, linear_weight, target, bias, weight=None, reduction="mean", ignore_index=None, label_smoothing=0.0):
    logits = F.linear(x, linear_weight, bias).reshape(-1, len(linear_weight))
    ignored = -100 if ignore_index is None else ignore_index
    losses = F.cross_entropy(logits, target.reshape(-1), weight, None, ignored, None, reduction, label_smoothing)
    return losses.reshape(target.shape) if reduction == "none" else losses


def size_scale(operation, arguments, dy, options):
    """A loss is a difference of logits; a gradient is a sum over rows or classes of probabilities times inputs."""
    x, linear_weight, target, bias, *weight = arguments
    size = np.abs(x).sum(-1).max(initial=0) * np.abs(linear_weight).max(initial=0) + np.abs(bias).max(initial=0)
    size += 1 + np.log(len(bias))
    if weight and weight[0] is not None:
        size = size * (1 + weight[0].max())
    size *= target.size if options.get("reduction") == "sum" else 1
    return [size, *[size * (1 + np.abs(each).max(initial=0)) for each in (linear_weight, x, bias)]]


OPERATIONS = [
    kind("loss", "linear_cross_entropy", peer, lambda arguments, result: arguments, (0, 1, 3), size_scale)
    for kind in (MadeInForward, MadeInBackward)
]
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: type(operation).__name__)
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)
SHAPES = [((1,), 1, 1), ((3,), 1, 5), ((1,), 7, 2), ((5,), 4, 3), ((33,), 17, 65), ((2, 9), 8, 100), ((), 6, 4)]


def inputs(rng, leading, K, C, dtype):
    """x, linear_weight, target, bias and class weights."""
    x, linear_weight, bias = (
        np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in ((*leading, K), (C, K), (C,))
    )
    return x, linear_weight, np.asarray(rng.integers(0, C, leading)), bias, (rng.random(C) + 0.1).astype(dtype)


@pytest.fixture
def short_blocks(monkeypatch):
    """Rows in blocks of one tile of rows, at most."""
    monkeypatch.setattr(vocabulary, "SCRATCH", 1)


@each_operation
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@each_reduction
def test_values_and_gradients(rng, dtype, operation, shape, reduction):
    arguments = inputs(rng, *shape, dtype)
    lengths = arguments[0].size + arguments[1].size
    check(operation, *arguments[:4], reduction=reduction, lengths=lengths)
    check(operation, *arguments, reduction=reduction, label_smoothing=0.1, lengths=lengths)


@each_operation
@pytest.mark.parametrize("rows", [13, 14, 15, 28, 29, 100])
def test_blocks(rng, dtype, operation, rows, short_blocks):
    for K, C in [(5, 9), (1, 3), (3, 1)]:
        arguments = inputs(rng, (rows,), K, C, dtype)
        for reduction in REDUCTIONS:
            check(operation, *arguments, reduction=reduction, lengths=rows * (K + C))


@each_operation
@each_reduction
def test_ignored_targets(rng, dtype, operation, reduction, short_blocks):
    x, linear_weight, target, bias, weight = inputs(rng, (20,), 6, 9, dtype)
    for ignored in (None, 2, -1):
        target[::3] = -100 if ignored is None else ignored
        check(operation, x, linear_weight, target, bias, weight, reduction=reduction, ignore_index=ignored, lengths=200)
    target[:] = -1
    check(operation, x, linear_weight, target, bias, reduction=reduction, ignore_index=-1)


@each_operation
@each_reduction
def test_no_rows_and_no_width(rng, dtype, operation, reduction):
    check(operation, *inputs(rng, (0,), 3, 4, dtype)[:4], reduction=reduction)
    check(operation, *inputs(rng, (3, 0), 3, 4, dtype)[:4], reduction=reduction)
    check(operation, *inputs(rng, (3,), 0, 4, dtype)[:4], reduction=reduction, lengths=4)


@hypothesis.given(
    leading=st.lists(st.integers(1, 9), max_size=3).map(tuple),
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 70)),
    layout=st.sampled_from([name for name in sorted(LAYOUTS) if name != "inner"]),
    reduction=st.sampled_from(REDUCTIONS),
    smoothing=st.sampled_from([0.0, 0.3]),
    operation=st.sampled_from(OPERATIONS),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_shape_and_layout(leading, sizes, layout, reduction, smoothing, operation, dtype, seed):
    change, arguments = LAYOUTS[layout], inputs(np.random.default_rng(seed), leading, *sizes, dtype)
    x, linear_weight, target, bias, weight = (change(a) if a.ndim else a for a in arguments)
    check(
        operation, x, linear_weight, target, bias, weight,
        reduction=reduction, label_smoothing=smoothing, lengths=x.size + linear_weight.size,
    )  # fmt: skip


def test_finite_differences(rng, short_blocks):
    arguments = inputs(rng, (17,), 3, 4, np.float64)
    arguments[2][4] = -100
    for reduction in REDUCTIONS:
        for operation in OPERATIONS:
            check_finite_differences(operation, *arguments, reduction=reduction, label_smoothing=0.1)


def test_torch_has_it_too(rng, dtype):
    x, linear_weight, target, bias, weight = inputs(rng, (12,), 5, 30, dtype)
    settings = {"reduction": "sum", "ignore_index": 3, "label_smoothing": 0.2}
    ours = kernels.linear_cross_entropy(x, linear_weight, target, linear_bias=bias, weight=weight, **settings)
    tensors = [torch.from_numpy(array) for array in (x, linear_weight, target, bias, weight)]
    theirs = F.linear_cross_entropy(*tensors[:3], linear_bias=tensors[3], weight=tensors[4], **settings)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5)
    assert kernels.linear_cross_entropy(*tensors[:3], linear_bias=tensors[3], weight=tensors[4], **settings) == ours


def test_without_bias_and_with_some_gradients(rng, dtype):
    x, linear_weight, target, bias, _ = inputs(rng, (20,), 5, 30, dtype)
    dy = np.asarray(dtype(0.7))
    loss = kernels.linear_cross_entropy(x, linear_weight, target)
    assert loss == kernels.linear_cross_entropy(x, linear_weight, target, linear_bias=0 * bias)
    dx, dweight, dbias = kernels.linear_cross_entropy_backward(dy, x, linear_weight, target)
    for i, expected in enumerate((dx, dweight, dbias)):
        needs = tuple(j == i for j in range(3))
        found = kernels.linear_cross_entropy_backward(dy, x, linear_weight, target, needs=needs)
        assert [each is not None for each in found] == list(needs)
        np.testing.assert_array_equal(found[i], expected)
    made = guarded(np.full_like(x, np.nan)), None, None
    assert kernels.linear_cross_entropy(x, linear_weight, target, gradients=made) == loss
    found = kernels.linear_cross_entropy_backward(dy, x, linear_weight, target, gradients=made)
    assert found[0] is made[0] and found[1] is found[2] is None
    np.testing.assert_allclose(found[0], dx, rtol=1e-5, atol=1e-7)


def test_nan_stays_in_its_row(rng, dtype):
    x, linear_weight, target, bias, _ = inputs(rng, (40,), 5, 30, dtype)
    clean = kernels.linear_cross_entropy(x, linear_weight, target, reduction="none")
    x[7, 2] = np.nan
    losses = kernels.linear_cross_entropy(x, linear_weight, target, reduction="none")
    assert np.isnan(losses[7])
    np.testing.assert_array_equal(np.delete(losses, 7), np.delete(clean, 7))
    bias[3] = -np.inf  # a masked class
    target[target == 3] = 4
    losses = kernels.linear_cross_entropy(x[:7], linear_weight, target[:7], linear_bias=bias, reduction="none")
    assert np.isfinite(losses).all()


def test_same_bits_at_any_thread_count(rng, dtype, at_thread_counts, monkeypatch):
    monkeypatch.setattr(vocabulary, "SCRATCH", 2**18)
    x, linear_weight, target, bias, _ = inputs(rng, (150,), 70, 900, dtype)

    def everything():
        gradients = tuple(np.empty_like(array) for array in (x, linear_weight, bias))
        yield kernels.linear_cross_entropy(x, linear_weight, target, linear_bias=bias, gradients=gradients)
        yield from gradients
        dy = np.ones_like(x[:, 0])
        yield from kernels.linear_cross_entropy_backward(dy, x, linear_weight, target, reduction="none")

    one, two = at_thread_counts(lambda: [part.tobytes() for part in everything()])
    assert one == two


@pytest.mark.parametrize("variant", vocabulary.VARIANTS["linear_cross_entropy"])
def test_variants(rng, dtype, variant):
    for rows, K, C in [(1, 1, 1), (5, 3, 7), (30, 20, 65)]:
        x, linear_weight, target, bias, _ = inputs(rng, (rows,), K, C, dtype)
        wide = [array.astype(np.float64) for array in (x, linear_weight, bias)]
        for given in (bias, bias[:0]):
            expected = reference.linear_cross_entropy(
                *wide[:2], target, linear_bias=wide[2] if given.size else None, reduction="none"
            )
            out = guarded(np.full(rows, np.nan, dtype))
            rung = vocabulary.VARIANTS["linear_cross_entropy"][variant]
            rung(guarded(x), guarded(linear_weight), guarded(given), guarded(target), out)
            scale = 1 + np.abs(x).sum(1).max() * np.abs(linear_weight).max()
            assert_close(out, expected, length=K + C, scale=scale, label=variant)


# --- memory ---------------------------------------------------------------------------------------------------------

MEMORY = '''
import sys
import numpy as np
import kernels

def peak():
    """Most bytes that were resident since the count was reset, and those that are now."""
    lines = dict(line.split(":") for line in open("/proc/self/status").read().splitlines())
    return [int(lines[key].split()[0]) * 1024 for key in ("VmHWM", "VmRSS")]

def beyond(call):
    open("/proc/self/clear_refs", "w").write("5")
    before = peak()[1]
    call()
    return peak()[0] - before

x, linear_weight = np.ones((512, 512), np.float32), np.ones((32000, 512), np.float32)
target = np.zeros(512, np.int64)
if sys.argv[1] == "ours":
    kernels.set_num_threads(1)
    def call(rows):
        gradients = np.empty_like(x[:rows]), np.empty_like(linear_weight), None
        kernels.linear_cross_entropy(x[:rows], linear_weight, target[:rows], gradients=gradients)
else:
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(1)
    leaves = [torch.from_numpy(a).requires_grad_() for a in (x, linear_weight)]
    def call(rows):
        logits = F.linear(leaves[0][:rows], leaves[1])
        loss = F.cross_entropy(logits, torch.from_numpy(target[:rows]))
        del logits
        torch.autograd.grad(loss, leaves)
call(16)
print(beyond(lambda: call(512)))
'''


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory():
    """512 rows, 32,000 classes, width 512, forward and backward, beside the gradients, which both sides must have."""
    gradients = 4 * (512 * 512 + 32000 * 512)

    def beyond(peer):
        command = [sys.executable, "-c", MEMORY, peer]
        found = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
        assert found.returncode == 0, found.stderr
        return int(found.stdout) - gradients

    ours, theirs = beyond("ours"), beyond("torch")
    assert ours < 32 * 2**20
    assert ours < theirs / 4


# --- errors ---------------------------------------------------------------------------------------------------------

X, W, T = np.zeros((3, 5)), np.zeros((4, 5)), np.zeros(3, np.int64)


@pytest.mark.parametrize(
    ("error", "message", "arguments", "options"),
    [
        (
            ValueError,
            r"inner dimensions differ: x is \(3, 5\), linear_weight is \(4, 6\)",
            (X, np.zeros((4, 6)), T),
            {},
        ),
        (ValueError, r"inner dimensions differ: x is \(\)", (np.zeros(()), W, T), {}),
        (ValueError, r"linear_weight .*\(5,\)", (X, np.zeros(5), T), {}),
        (ValueError, r"target .*\(3,\).*\(2,\)", (X, W, T[:2]), {}),
        (ValueError, r"linear_bias .*\(4,\), got \(5,\)", (X, W, T), {"linear_bias": np.zeros(5)}),
        (ValueError, r"weight .*\(4,\), got \(5,\)", (X, W, T), {"weight": np.zeros(5)}),
        (ValueError, r"reduction .*'average'", (X, W, T), {"reduction": "average"}),
        (ValueError, r"label_smoothing .*1.5", (X, W, T), {"label_smoothing": 1.5}),
        (ValueError, r"no classes", (X, W[:0], T), {}),
        (TypeError, r"dtypes differ: .*float32", (X, W.astype(np.float32), T), {}),
        (TypeError, r"dtypes differ: .*float32", (X, W, T), {"linear_bias": np.zeros(4, np.float32)}),
        (TypeError, r"x .*int64", (X.astype(np.int64), W, T), {}),
        (TypeError, r"target .*float64", (X, W, X[:, 0]), {}),
        (IndexError, r"target 4 .*4 classes .*\(1,\)", (X, W, np.array([0, 4, 1])), {}),
        (IndexError, r"target -1 .*4 classes", (X, W, np.array([0, 1, -1])), {}),
        (ValueError, r"gradients .*'?none", (X, W, T), {"reduction": "none", "gradients": (None, None, None)}),
        (ValueError, r"gradient of x .*\(3, 5\), got \(3, 4\)", (X, W, T), {"gradients": (X[:, :4], None, None)}),
        (ValueError, r"out overlaps linear_weight", (X, W, T), {"gradients": (None, W, None)}),
    ],
)
def test_errors(error, message, arguments, options):
    with pytest.raises(error, match=rf"^linear_cross_entropy: .*{message}"):
        kernels.linear_cross_entropy(*arguments, **options)
    dy = np.ones(3 if options.get("reduction") == "none" else ())
    with pytest.raises(error, match=rf"^linear_cross_entropy_backward: .*{message}"):
        kernels.linear_cross_entropy_backward(dy, *arguments, **options)


def test_gradient_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"^linear_cross_entropy_backward: dy .*\(\), got \(3,\)"):
        kernels.linear_cross_entropy_backward(np.ones(3), X, W, T)
    with pytest.raises(ValueError, match=r"^linear_cross_entropy_backward: dy .*\(3,\), got \(\)"):
        kernels.linear_cross_entropy_backward(np.ones(()), X, W, T, reduction="none")

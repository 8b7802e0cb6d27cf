"""Tests of kernels.update."""

import importlib
import itertools
import math
from functools import partial
from typing import NamedTuple

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import strategies as st

import kernels
import kernels.update
from tests.checking import LAYOUTS, assert_close, guarded, read_only

reference = importlib.import_module("kernels.reference.update")


class Case(NamedTuple):
    """A function, PyTorch's optimiser, the state arrays (our argument: PyTorch's key) and the options of both."""

    function: str
    optimizer: type
    states: dict
    options: dict


MOMENTUM = {"momentum_buffers": "momentum_buffer"}
ADAM_STATE = {"exp_avgs": "exp_avg", "exp_avg_sqs": "exp_avg_sq"}
AMSGRAD_STATE = ADAM_STATE | {"max_exp_avg_sqs": "max_exp_avg_sq"}
RMS_STATE = {"square_avgs": "square_avg"}
CENTERED_STATE = RMS_STATE | {"grad_avgs": "grad_avg"}
ADAGRAD_STATE = {"state_sums": "sum"}
SGD = partial(Case, "sgd", torch.optim.SGD)
ADAM = partial(Case, "adam", torch.optim.Adam)
ADAMW = partial(Case, "adamw", torch.optim.AdamW)
RMSPROP = partial(Case, "rmsprop", torch.optim.RMSprop)
ADAGRAD = partial(Case, "adagrad", torch.optim.Adagrad)
CASES = {
    "sgd": SGD({}, {"lr": 0.1}),
    "sgd-decay": SGD({}, {"lr": 0.1, "weight_decay": 0.05}),
    "sgd-maximize": SGD({}, {"lr": 0.1, "maximize": True, "weight_decay": 0.05}),
    "sgd-momentum": SGD(MOMENTUM, {"lr": 0.1, "momentum": 0.9}),
    "sgd-dampening": SGD(MOMENTUM, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    "sgd-nesterov": SGD(MOMENTUM, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": ADAM(ADAM_STATE, {}),
    "adam-options": ADAM(ADAM_STATE, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    "adam-maximize": ADAM(ADAM_STATE, {"maximize": True}),
    "adam-amsgrad": ADAM(AMSGRAD_STATE, {"lr": 0.05}),
    "adamw": ADAMW(ADAM_STATE, {}),
    "adamw-options": ADAMW(ADAM_STATE, {"lr": 0.05, "weight_decay": 0.2, "betas": (0.8, 0.95)}),
    "adamw-amsgrad": ADAMW(AMSGRAD_STATE, {"lr": 0.05, "maximize": True}),
    "rmsprop": RMSPROP(RMS_STATE, {}),
    "rmsprop-options": RMSPROP(RMS_STATE, {"lr": 0.05, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    "rmsprop-momentum": RMSPROP(RMS_STATE | MOMENTUM, {"momentum": 0.9, "maximize": True}),
    "rmsprop-centered": RMSPROP(CENTERED_STATE, {}),
    "rmsprop-all": RMSPROP(CENTERED_STATE | MOMENTUM, {"momentum": 0.5, "weight_decay": 0.1}),
    "adagrad": ADAGRAD(ADAGRAD_STATE, {}),
    "adagrad-options": ADAGRAD(ADAGRAD_STATE, {"lr": 0.1, "lr_decay": 0.2, "weight_decay": 0.1, "eps": 1e-3}),
    "adagrad-maximize": ADAGRAD(ADAGRAD_STATE, {"maximize": True}),
}
FUNCTIONS = {name: CASES[name] for name in ("sgd", "adam", "adamw", "rmsprop", "adagrad")}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
SHAPES = [(1,), (), (0,), (7,), (16,), (17,), (3, 5, 2), (33, 33), (1000,), (129,)]
STEPS = 5


def normal(rng, shape, dtype):
    return np.asarray(rng.standard_normal(shape)).astype(dtype)


def zeros(case, params, place=lambda array: array):
    return {key: [place(np.zeros_like(p)) for p in params] for key in case.states}


def counters(name, step):
    """The argument that tells a function which step this is."""
    return {"first": step == 1} if name == "sgd" else {} if name == "rmsprop" else {"step": step}


def run(module, case, params, steps, place=lambda array: array):
    """Parameters and state after taking `steps` (a list of lists of gradients)."""
    name, _, _, options = case
    params = [place(p.copy()) for p in params]
    states = zeros(case, params, place)
    for step, grads in enumerate(steps, 1):
        grads = [g if g is None else place(g) for g in grads]
        before = [g if g is None else g.tobytes() for g in grads]
        assert getattr(module, name)(params, grads, **states, **options, **counters(name, step)) is None
        assert [g if g is None else g.tobytes() for g in grads] == before
    return params, states


def run_peer(case, params, steps):
    _, optimizer, states, options = case
    tensors = [torch.from_numpy(p.copy()).requires_grad_() for p in params]
    flags = {"amsgrad": True} if "max_exp_avg_sqs" in states else {"centered": True} if "grad_avgs" in states else {}
    peer = optimizer(tensors, **options, **flags, foreach=False)
    for grads in steps:
        for tensor, g in zip(tensors, grads, strict=True):
            tensor.grad = None if g is None else torch.from_numpy(g.copy())
        peer.step()
    results = {
        key: [peer.state[t][kept].numpy() if kept in peer.state[t] else None for t in tensors]
        for key, kept in states.items()
    }
    return [t.detach().numpy() for t in tensors], results


def compare(actual, expected, factor, label):
    for i, (mine, theirs) in enumerate(zip(actual[0], expected[0], strict=True)):
        assert_close(mine, theirs, length=STEPS, scale=1, factor=factor, label=f"parameter {i} against {label}")
    for key, arrays in expected[1].items():
        # RMSprop's buffer sums steps of size up to 1 / sqrt(1 - alpha) = 10, which may cancel.
        scale = 10 if key == "momentum_buffers" and "square_avgs" in expected[1] else None
        for i, (mine, theirs) in enumerate(zip(actual[1][key], arrays, strict=True)):
            if theirs is not None:  # PyTorch makes no state for a parameter that never had a gradient
                assert_close(mine, theirs, length=STEPS, scale=scale, factor=factor, label=f"{key} {i} against {label}")


def check_update(case, params, steps, place=lambda array: array):
    wide = [p.astype(np.float64) for p in params]
    wide_steps = [[g if g is None else g.astype(np.float64) for g in grads] for grads in steps]
    actual = run(kernels, case, params, steps, place)
    assert all(p.dtype == params[0].dtype for p in actual[0])
    compare(actual, run(reference, case, wide, wide_steps), 1, "the reference")
    compare(actual, run_peer(case, params, steps), 2, "PyTorch")


@each_case
def test_elements_are_rounded_alike_wherever_they_lie(rng, dtype, case):
    """In a wide vector as in the last few elements, which are stored in part."""
    size = 203
    steps = [[np.full(size, value, dtype)] for value in rng.standard_normal(STEPS)]
    params, states = run(kernels, case, [np.full(size, 0.7, dtype)], steps)
    for (array,) in (params, *states.values()):
        assert np.ptp(array) == 0


@each_case
def test_steps(rng, dtype, case):
    params = [normal(rng, shape, dtype) for shape in SHAPES]
    check_update(case, params, [[normal(rng, p.shape, dtype) for p in params] for _ in range(STEPS)])


@each_case
@pytest.mark.parametrize("end", ["front", "back"])
def test_guard_pages(rng, dtype, case, end):
    params = [normal(rng, n, dtype) for n in (1, 3, 8, 15, 17, 33, 65, 130)]
    steps = [[normal(rng, p.shape, dtype) for p in params] for _ in range(2)]
    check_update(case, params, steps, lambda array: guarded(array, end))


@each_case
def test_parameter_without_gradient_is_left_alone(rng, dtype, case):
    params = [normal(rng, (3, 5), dtype) for _ in range(3)]
    steps = [[normal(rng, (3, 5), dtype), None, normal(rng, (3, 5), dtype)] for _ in range(STEPS)]
    check_update(case, params, steps)
    moved, states = run(kernels, case, params, steps)
    assert moved[1].tobytes() == params[1].tobytes()
    assert all(not state[1].any() for state in states.values())


@pytest.mark.parametrize("size", [0.1, 1.0, 1e4])
def test_centred_rmsprop_of_gradients_that_hardly_change(rng, size):
    """Their variance may be rounded to less than 0; PyTorch 2.13 then makes p NaN."""
    p, v, average = np.zeros(67, np.float32), np.zeros(67, np.float32), np.zeros(67, np.float32)
    for _ in range(3000):
        g = np.asarray(size * (1 + 1e-4 * rng.standard_normal(67)), np.float32)
        kernels.rmsprop([p], [g], [v], None, [average])
    assert np.isfinite(p).all()
    p[:] = v[:] = average[:] = np.nan
    kernels.rmsprop([p], [g], [v], None, [average])
    assert np.isnan(p).all()


@each_case
def test_no_parameters(case):
    run(kernels, case, [], [[]])
    run(kernels, case, [np.ones(3)], [[None]])


@hypothesis.given(
    case=st.sampled_from(list(CASES.values())),
    shapes=st.lists(st.lists(st.integers(0, 12), max_size=3).map(tuple), max_size=5),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_shapes(case, shapes, dtype, seed):
    rng = np.random.default_rng(seed)
    params = [normal(rng, shape, dtype) for shape in shapes]
    if params:
        check_update(case, params, [[normal(rng, shape, dtype) for shape in shapes] for _ in range(2)])


@each_case
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_of_any_layout(rng, case, layout):
    params = [normal(rng, (9, 17), np.float32)]
    steps = [[LAYOUTS[layout](normal(rng, (9, 17), np.float32))] for _ in range(2)]
    expected = run(kernels, case, params, [[g.copy(order="C") for g in grads] for grads in steps])
    np.testing.assert_array_equal(run(kernels, case, params, steps)[0], expected[0])


@each_case
def test_nan_and_infinity_touch_their_own_element_only(rng, dtype, case):
    params, grads = [normal(rng, 40, dtype)], [normal(rng, 40, dtype)]
    grads[0][3], grads[0][38] = np.nan, np.inf
    check_update(case, params, [grads])
    moved = run(kernels, case, params, [grads])[0][0]
    assert np.isnan(moved[3])
    assert np.isfinite(np.delete(moved, [3, 38])).all()


@each_case
def test_same_bits_at_any_thread_count(rng, dtype, case, at_thread_counts):
    params = [normal(rng, n, dtype) for n in (100_000, 7, 50_001)]
    steps = [[normal(rng, p.shape, dtype) for p in params] for _ in range(2)]
    one, two = at_thread_counts(lambda: run(kernels, case, params, steps))
    assert [p.tobytes() for p in one[0]] == [p.tobytes() for p in two[0]]
    for key in case.states:
        assert [s.tobytes() for s in one[1][key]] == [s.tobytes() for s in two[1][key]]


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS)
def test_torch_tensors_are_updated_in_place(rng, dtype, case):
    name, _, _, options = case
    p, g = normal(rng, 33, dtype), normal(rng, 33, dtype)
    (expected,), _ = run(kernels, case, [p], [[g]])
    tensor = torch.from_numpy(p.copy())
    getattr(kernels, name)([tensor], [torch.from_numpy(g)], **zeros(case, [p]), **options, **counters(name, 1))
    np.testing.assert_array_equal(tensor.numpy(), expected)


# --- errors: whatever is wrong, nothing has moved -------------------------------------------------------------------


def fail(case, error, message, change):
    """`change(params, grads, states, options)` spoils a good call, which must then raise and move nothing."""
    name, _, _, options = case
    params, grads = [np.ones((2, 3)), np.ones(4)], [np.ones((2, 3)), np.ones(4)]
    states, options = zeros(case, params), options | counters(name, 1)
    change(params, grads, states, options)
    arrays = [*params, *(array for state in states.values() for array in state)]
    before = [array.copy() for array in arrays]
    with pytest.raises(error, match=rf"^{name}: {message}"):
        getattr(kernels, name)(params, grads, **states, **options)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ValueError, r".*2.*1|.*1.*2", lambda params, grads, states, options: grads.pop()),
        (
            ValueError,
            r".*\(4,\).*\(3,\)|.*\(3,\).*\(4,\)",
            lambda params, grads, states, options: grads.__setitem__(1, np.ones(3)),
        ),
        (TypeError, r".*float32", lambda params, grads, states, options: grads.__setitem__(1, np.ones(4, np.float32))),
        (TypeError, r".*int64", lambda params, grads, states, options: params.__setitem__(1, np.ones(4, np.int64))),
        (ValueError, r".*read-only", lambda params, grads, states, options: read_only(params[1])),
        (ValueError, r"lr .*-0.1", lambda params, grads, states, options: options.update(lr=-0.1)),
        (ValueError, r"weight_decay .*-0.1", lambda params, grads, states, options: options.update(weight_decay=-0.1)),
    ],
    ids=["count", "shape", "dtype", "integers", "read-only", "lr", "weight_decay"],
)
def test_errors(case, error, message, change):
    fail(case, error, message, change)


@pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.states], ids=[key for key in CASES if CASES[key].states]
)
@pytest.mark.parametrize(
    ("error", "message", "spoil"),
    [
        (ValueError, r".*\(5,\)", lambda state: state.__setitem__(1, np.zeros(5))),
        (TypeError, r".*float32", lambda state: state.__setitem__(1, np.zeros(4, np.float32))),
        (ValueError, r".*read-only", lambda state: read_only(state[1])),
        (ValueError, r".*2.*1|.*1.*2", lambda state: state.pop()),
    ],
    ids=["shape", "dtype", "read-only", "count"],
)
def test_state_errors(case, error, message, spoil):
    for key in case.states:
        fail(case, error, message, lambda params, grads, states, options: spoil(states[key]))  # noqa: B023


@pytest.mark.parametrize(
    ("name", "message", "changes"),
    [
        ("sgd", r"momentum .*-0.5", {"momentum": -0.5}),
        ("sgd", r".*momentum_buffers", {"momentum": 0.9}),
        ("sgd", r"nesterov", {"nesterov": True}),
        ("adam", r"step .*0", {"step": 0}),
        ("adam", r"betas .*1.0", {"betas": (1.0, 0.9)}),
        ("adam", r"betas .*-0.1", {"betas": (0.9, -0.1)}),
        ("adam", r"eps .*-1", {"eps": -1.0}),
        ("adamw", r"step .*0", {"step": 0}),
        ("adamw", r"betas .*1.0", {"betas": (1.0, 0.9)}),
        ("rmsprop", r"alpha .*-0.1", {"alpha": -0.1}),
        ("rmsprop", r"eps .*-1", {"eps": -1.0}),
        ("rmsprop", r".*momentum_buffers", {"momentum": 0.9}),
        ("adagrad", r"step .*0", {"step": 0}),
        ("adagrad", r"lr_decay .*-1", {"lr_decay": -1.0}),
    ],
)
def test_option_errors(name, message, changes):
    fail(FUNCTIONS[name], ValueError, message, lambda params, grads, states, options: options.update(changes))


@pytest.mark.parametrize("case_name", ["sgd-dampening", "adam-options", "adamw-options", "adagrad-options"])
def test_numpy_numbers_are_as_python_ones(case_name):
    """A power of a float32 would be one, and 0.999 ** 10 wrong in the eighth digit."""
    case = CASES[case_name]
    p, g = np.linspace(-1, 1, 9), np.linspace(1, 2, 9)

    def updated(options):
        params, states = [p.copy()], zeros(case, [p])
        for step in range(1, STEPS + 1):
            getattr(kernels, case.function)(params, [g], **states, **options, **counters(case.function, step))
        return params[0]

    narrow = {k: tuple(map(np.float32, v)) if k == "betas" else np.float32(v) for k, v in case.options.items()}
    plain = {k: tuple(map(float, v)) if k == "betas" else float(v) for k, v in narrow.items()}
    np.testing.assert_array_equal(updated(narrow), updated(plain))


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize(
    ("position", "wrong", "error", "message"),
    [
        (1, np.ones(8)[::2], ValueError, r"params\[1\] must be C-contiguous"),
        (1, np.float64(1), TypeError, r"params\[1\] must be an array, got float64"),
        (1, [1.0] * 4, TypeError, r"params\[1\] must be an array, got list"),
        (0, np.ones((2, 3), int), TypeError, r"params\[0\] must be float32 or float64, got int64"),
    ],
    ids=["strided", "scalar", "list", "integers"],
)
def test_parameter_errors(case, position, wrong, error, message):
    fail(case, error, message, lambda params, grads, states, options: params.__setitem__(position, wrong))


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS)
def test_same_parameter_twice(case):
    def spoil(params, grads, states, options):
        for arrays in (params, grads, *states.values()):
            arrays[0] = arrays[1]

    fail(case, ValueError, "params has the same array twice", spoil)


def test_lists_are_lists():
    with pytest.raises(TypeError, match=r"^sgd: params must be a list of arrays, got ndarray$"):
        kernels.sgd(np.ones((2, 3)), np.ones((2, 3)), lr=0.1)
    with pytest.raises(TypeError, match=r"^adam: exp_avgs must be a list of arrays, got NoneType$"):
        kernels.adam([np.ones(3)], [np.ones(3)], None, [np.zeros(3)], step=1)


# The numbers of states and the options of the jitted loops: the fewest, and all.
LOOPS = {
    "sgd": ([0, 1], [(0.1, 0.9, 0.7, 0.1, False, False, 1.0), (0.1, 0.9, 1.0, 0.0, True, True, -1.0)]),
    "adam": ([2, 3], [(0.1, 0.9, 0.99, 3.0, 1e-3, 0.1, 1.0, 1.0), (0.1, 0.9, 0.99, 3.0, 1e-3, 0.0, 0.98, -1.0)]),
    "rmsprop": ([1, 3], [(0.1, 0.9, 1e-3, 0.1, 0.8, 1.0), (0.1, 0.9, 1e-3, 0.0, 0.8, -1.0)]),
    "adagrad": ([1], [(0.1, 1e-3, 0.1, 1.0), (0.1, 1e-3, 0.0, -1.0)]),
}
OPTIONS = {
    "sgd": kernels.update.SGDOptions,
    "adam": kernels.update.AdamOptions,
    "rmsprop": kernels.update.RMSpropOptions,
    "adagrad": kernels.update.AdagradOptions,
}
MAX_STATES = {"sgd": 1, "adam": 3, "rmsprop": 3, "adagrad": 1}


@pytest.mark.parametrize(("name", "variant"), [(name, key) for name in LOOPS for key in kernels.update.VARIANTS[name]])
def test_variants_agree_with_python(rng, dtype, name, variant):
    """Each jitted variant does what the naive loops say when Python itself runs them."""
    definition = kernels.update.VARIANTS[name]["naive"]
    definition = getattr(definition, "py_func", definition)  # it is Python already where nothing is compiled
    loops = kernels.update.VARIANTS[name][variant]
    for count, options in itertools.product(*LOOPS[name]):
        for size in (1, 16, 37):
            arrays = [normal(rng, size, dtype) for _ in range(2)]
            states = [np.abs(normal(rng, size, dtype)) for _ in range(count)]
            states[:1] = [state + 20 for state in states[:1]]  # RMSprop's mean square exceeds its average's square
            arrays += states
            arrays += [np.empty(0, dtype) for _ in range(MAX_STATES[name] - count)]
            expected = [array.astype(np.float64) for array in arrays]
            definition(*expected, OPTIONS[name](*options))
            loops(*arrays, OPTIONS[name](*options))
            for array, wanted in zip(arrays, expected, strict=True):
                assert_close(array, wanted, scale=20, label=f"{name} {variant}")


# --- clipping --------------------------------------------------------------------------------------------------------

NORM_TYPES = [2.0, 1, math.inf, -math.inf, 3.0, 0.5, 0, -1.0]
each_norm = pytest.mark.parametrize("norm_type", NORM_TYPES)


def clipped(clip, grads, *options):
    """The norm and the gradients, clipped."""
    norm = clip(grads, *options)
    return norm, grads


def clip_peer(grads, *options):
    parameters = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.from_numpy(g).dtype)) for g in grads]
    for p, g in zip(parameters, grads, strict=True):
        p.grad = torch.from_numpy(g.copy())
    norm = torch.nn.utils.clip_grad_norm_(parameters, *options)
    return norm.numpy(), [p.grad.numpy() for p in parameters]


def check_clip(grads, *options, place=lambda array: array):
    norm, found = clipped(kernels.clip_grad_norm, [place(g.copy()) for g in grads], *options)
    wide = [g.astype(np.float64) for g in grads]
    length = sum(g.size for g in grads)
    for expected_norm, expected in (clipped(reference.clip_grad_norm, wide, *options), clip_peer(grads, *options)):
        assert_close(np.asarray(norm), np.asarray(expected_norm), label="norm", factor=2, length=length)
        for g, wanted in zip(found, expected, strict=True):
            assert_close(g, wanted, label="gradient", factor=4, length=length)
    return norm, found


@each_norm
@pytest.mark.parametrize("max_norm", [0.5, 1e9], ids=["clipped", "left"])
def test_clip_grad_norm(rng, dtype, norm_type, max_norm):
    grads = [normal(rng, shape, dtype) for shape in SHAPES if 0 not in shape]
    norm, found = check_clip(grads, max_norm, norm_type)
    assert norm.dtype == dtype
    if max_norm > norm:
        assert [g.tobytes() for g in found] == [g.tobytes() for g in grads]
    for end in ("front", "back"):
        check_clip(grads, max_norm, norm_type, place=partial(guarded, end=end))


@pytest.mark.parametrize("norm_type", [2.0, 1, math.inf])
@pytest.mark.parametrize("layout", sorted(set(LAYOUTS) - {"read-only"}))
def test_clipping_gradients_of_any_layout(rng, layout, norm_type):
    grads = [normal(rng, shape, np.float64) for shape in ((7, 5), (3, 4, 2), (9,))]
    check_clip(grads, 0.1, norm_type, place=LAYOUTS[layout])
    if norm_type != math.inf:  # NumPy and PyTorch know no largest of nothing; here it is 0
        check_clip([np.zeros((2, 0)), *grads], 0.1, norm_type, place=LAYOUTS[layout])


@each_norm
def test_clipping_has_the_same_bits_at_any_thread_count(rng, dtype, at_thread_counts, norm_type):
    grads = [normal(rng, n, dtype) for n in (100_000, 7, 50_001)]
    one, two = at_thread_counts(lambda: clipped(kernels.clip_grad_norm, [g.copy() for g in grads], 0.1, norm_type))
    assert one[0].tobytes() == two[0].tobytes()
    assert [g.tobytes() for g in one[1]] == [g.tobytes() for g in two[1]]


@pytest.mark.parametrize("norm_type", [2.0, 1, math.inf, 3.0])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
def test_clipping_what_is_not_finite(rng, dtype, value, norm_type):
    grads = [normal(rng, 40, dtype), normal(rng, 5, dtype)]
    grads[0][17] = value
    check_clip(grads, 1.0, norm_type)
    before = [g.copy() for g in grads]
    message = f"^clip_grad_norm: the norm of order {norm_type} of the gradients is {abs(value)}"
    with pytest.raises(RuntimeError, match=message):
        kernels.clip_grad_norm(grads, 1.0, norm_type, error_if_nonfinite=True)
    assert [g.tobytes() for g in grads] == [g.tobytes() for g in before]


def test_clipping_squares_beyond_the_range_of_float32():
    grads = [np.full(4, 1e30, np.float32)]
    assert kernels.clip_grad_norm(grads, 1.0) == pytest.approx(2e30, rel=1e-6)
    np.testing.assert_allclose(grads[0], 0.5, rtol=1e-6)
    grads = [np.full(4, 1e-30, np.float32)]
    assert kernels.clip_grad_norm(grads, 1.0) == pytest.approx(2e-30, rel=1e-6)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, 9.0, 20.0, 400.0, math.inf, 0.5, -1.0, -3.0, -math.inf])
@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e-36, 1e-30, 1e30, 1e160, 1e200, 1e290])
def test_norms_beyond_the_range_of_sums(rng, norm_type, size):
    dtype = np.float32 if 1e-36 <= size <= 1e30 else np.float64
    grads = [normal(rng, n, np.float64) * size for n in (40_000, 9)]
    grads = [(g + np.copysign(0.1 * size, g)).astype(dtype) for g in grads]
    before = [g.copy() for g in grads]
    norm = kernels.clip_grad_norm(grads, 1e-3 * size, norm_type)
    extreme = (min if norm_type < 0 else max)(np.abs(g.astype(np.float64)).max() for g in before)
    if math.isinf(norm_type):
        every = np.abs(np.concatenate(before))
        expected = every.max() if norm_type > 0 else every.min()
    else:
        parts = np.concatenate(before).astype(np.longdouble) / extreme
        expected = extreme * float((np.abs(parts) ** norm_type).sum() ** (np.longdouble(1) / norm_type))
    with np.errstate(over="ignore"):  # the norm of float32 may be larger than float32
        np.testing.assert_allclose(norm, dtype(expected), rtol=1e-6 if dtype == np.float32 else 1e-11)
    factor = min(1, 1e-3 * size / (float(expected) + 1e-6))
    for g, was in zip(grads, before, strict=True):
        np.testing.assert_allclose(g, was.astype(np.float64) * factor, rtol=1e-6, atol=np.finfo(dtype).tiny)


def test_the_largest_gradients_are_clipped_to_all_digits():
    grads = [np.array([1e308, -1e308, 1e300])]
    assert kernels.clip_grad_norm(grads, 1.0) == pytest.approx(math.sqrt(2) * 1e308, rel=1e-14)
    np.testing.assert_allclose(grads[0], np.array([1, -1, 1e-8]) / math.sqrt(2), rtol=1e-14)


def test_clipping_both_dtypes_and_none(rng):
    grads = [np.float32([3.0]), None, np.float64([4.0]), np.float32([12.0])]
    norm = kernels.clip_grad_norm(grads, 1.3)
    assert norm == 13 and norm.dtype == np.float32
    np.testing.assert_allclose([g[0] for g in grads if g is not None], [0.3, 0.4, 1.2], rtol=1e-6)
    for nothing in ([], [None], iter([])):
        assert kernels.clip_grad_norm(nothing, 1.0) == 0
    assert kernels.clip_grad_norm([np.zeros(0)], 1.0, math.inf) == 0
    tensor = torch.full((4,), 5.0)
    assert kernels.clip_grad_norm([tensor], 1.0) == 10
    np.testing.assert_allclose(tensor, 0.5, rtol=1e-6)


SHARED = np.ones(3)


@pytest.mark.parametrize(
    ("error", "message", "wrong"),
    [
        (TypeError, r"grads\[1\] must be float32 or float64, got int64", np.ones(3, int)),
        (TypeError, r"grads\[1\] must be an array, got list", [1.0]),
        (TypeError, r"grads\[1\] must be an array, got float64", np.float64(1)),
        (TypeError, r"grads\[1\] must be float32 or float64, got >f8", np.ones(3, ">f8")),
        (ValueError, r"grads\[1\] is read-only", read_only(np.ones(3))),
        (ValueError, r"grads\[1\] is not aligned", np.frombuffer(bytearray(25), np.uint8)[1:].view(np.float64)),
        (ValueError, r"grads has the same array twice", SHARED),
    ],
)
def test_clipping_errors(error, message, wrong):
    with pytest.raises(error, match=f"^clip_grad_norm: {message}"):
        kernels.clip_grad_norm([SHARED, wrong], 0.1)
    assert SHARED.tolist() == [1, 1, 1]


@pytest.mark.parametrize("variant", kernels.update.VARIANTS["clip_grad_norm"])
@each_norm
def test_terms_of_norms(rng, dtype, variant, norm_type):
    for size in (1, 16, 37, 1000):
        x = guarded(normal(rng, size, dtype))
        magnitudes = np.abs(x.astype(np.float64))
        with np.errstate(all="ignore"):
            extreme = {math.inf: magnitudes.max(), -math.inf: magnitudes.min(), 0: float(size)}
            expected = extreme.get(norm_type, (magnitudes**norm_type).sum())
        found = kernels.update.VARIANTS["clip_grad_norm"][variant](x, float(norm_type))
        assert found == pytest.approx(expected, rel=1e-12)

"""Tests of kernels.activation."""

import tracemalloc
from dataclasses import replace

import hypothesis
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import strategies as st

import kernels
import kernels.activation
from kernels.activation import elementary, error_function, factorial
from tests.checking import (
    LAYOUTS,
    Operation,
    assert_close,
    check,
    check_accuracy,
    check_finite_differences,
    guarded,
    input_scale,
    read_only,
)


def from_input(name, peer):
    """An operation whose backward takes the input."""
    return Operation("activation", name, peer, saved=lambda arguments, y: arguments, scale=input_scale, out=True)


def from_output(name, peer):
    """An operation whose backward takes the output."""
    return Operation("activation", name, peer, saved=lambda arguments, y: [y], scale=input_scale, out=True)


ELEMENTWISE = [
    from_output("relu", F.relu),
    from_input("leaky_relu", F.leaky_relu),
    from_input("elu", F.elu),
    from_input("selu", F.selu),
    from_input("celu", F.celu),
    from_input("gelu", F.gelu),
    from_input("silu", F.silu),
    from_input("mish", F.mish),
    from_output("sigmoid", F.sigmoid),
    from_output("tanh", F.tanh),
    from_output("exp", torch.exp),
    from_input("softplus", F.softplus),
    from_input("hardtanh", F.hardtanh),
    from_input("hardswish", F.hardswish),
    from_input("hardsigmoid", lambda x: F.relu6(x + 3) / 6),  # F.hardsigmoid's float64 gradient has a float32 1/6
    from_input("logsigmoid", F.logsigmoid),
]
BY_NAME = {operation.name: operation for operation in ELEMENTWISE}
PRELU = replace(
    from_input("prelu", F.prelu),
    differentiable=(0, 1),
    scale=lambda operation, a, dy, options: [np.abs(a[0]), np.abs(dy), np.sum(np.abs(a[0] * dy))],
)
GLU = replace(from_input("glu", F.glu), scale=None)

CASES = [(operation, {}) for operation in ELEMENTWISE] + [
    (BY_NAME["leaky_relu"], {"negative_slope": 0.2}),
    (BY_NAME["leaky_relu"], {"negative_slope": 0.0}),
    (BY_NAME["leaky_relu"], {"negative_slope": -0.5}),
    (BY_NAME["elu"], {"alpha": 0.5}),
    (BY_NAME["elu"], {"alpha": -2.0}),
    (BY_NAME["celu"], {"alpha": 0.5}),
    (BY_NAME["celu"], {"alpha": 3.0}),
    (BY_NAME["celu"], {"alpha": -0.5}),
    (BY_NAME["gelu"], {"approximate": "tanh"}),
    (BY_NAME["softplus"], {"beta": 2.0, "threshold": 3.0}),
    (BY_NAME["softplus"], {"beta": 0.25}),
    (BY_NAME["hardtanh"], {"min_val": -2.0, "max_val": 0.5}),
    (BY_NAME["hardtanh"], {"min_val": -np.inf, "max_val": 1.0}),
]
each_case = pytest.mark.parametrize(
    ("operation", "options"), CASES, ids=["-".join([case[0].name, *map(str, case[1].values())]) for case in CASES]
)
each_operation = pytest.mark.parametrize("operation", ELEMENTWISE, ids=lambda operation: operation.name)

# Around multiples of 4, 8 and 16 lanes, alone and in pairs and quadruples of vectors.
SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 127, 129, 257, 1000]


def normal(rng, shape, dtype):
    return np.asarray(3 * rng.standard_normal(shape)).astype(dtype)


@each_case
def test_sizes(rng, dtype, operation, options):
    for size in SIZES:
        check(operation, normal(rng, size, dtype), **options)


@each_operation
def test_dimensions_and_layouts(rng, dtype, operation):
    for shape in [(), (3, 5), (2, 0, 4), (2, 3, 4, 5)]:
        check(operation, normal(rng, shape, dtype))
    x = normal(rng, (7, 19), dtype)
    for layout in LAYOUTS.values():
        check(operation, layout(x))


@each_operation
def test_gradient_arrays_of_any_layout(rng, operation):
    x, dy = normal(rng, (9, 17), np.float32), normal(rng, (9, 17), np.float32)
    backward = getattr(kernels, f"{operation.name}_backward")
    y = getattr(kernels, operation.name)(x)
    (saved,) = operation.saved([x], y)
    expected = backward(dy, saved)
    for layout in LAYOUTS.values():
        np.testing.assert_allclose(backward(layout(dy), layout(saved)), expected, rtol=1e-6, atol=1e-7)


@hypothesis.given(
    operation=st.sampled_from(ELEMENTWISE),
    shape=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    layout=st.sampled_from(sorted(LAYOUTS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_shape_and_layout(operation, shape, layout, dtype, seed):
    x = normal(np.random.default_rng(seed), shape, dtype)
    check(operation, LAYOUTS[layout](x) if shape else x)


@each_case
def test_finite_differences(operation, options):
    check_finite_differences(operation, np.linspace(-4.05, 4.05, 30), **options)  # misses the kinks


@each_case
def test_specials(dtype, operation, options):
    information = np.finfo(dtype)
    small = [information.smallest_subnormal, information.smallest_normal / 4, information.smallest_normal]
    edges = [0.5, 1, 2, 3, 6, 12, 20, 20.5, 80, 88, 89, 100, 104, 700, 709.5, 710, 746, 1e4, 1e8]
    infinity = [] if operation.name == "gelu" else [np.inf]  # PyTorch's gelu of inf is NaN
    x = np.array([0.0, *small, *edges, *infinity], dtype)
    check(operation, np.concatenate([x, -x]), **options)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_of_infinity(dtype, approximate):
    for size in (1, 40):
        assert (kernels.gelu(np.full(size, np.inf, dtype), approximate) == np.inf).all()


@each_operation
def test_nan_gives_nan_and_only_there(dtype, operation):
    for size in (5, 40):
        x = np.linspace(-2, 2, size, dtype=dtype)
        x[3] = np.nan
        y = getattr(kernels, operation.name)(x)
        assert np.isnan(y[3]) and np.isnan(y).sum() == 1


@each_case
def test_float32_error_is_at_most_that_of_torch(operation, options):
    check_accuracy(operation, np.linspace(-20, 20, 8001, dtype=np.float32), **options)


@each_operation
def test_out(rng, dtype, operation):
    function = getattr(kernels, operation.name)
    x = normal(rng, (5, 37), dtype)
    expected = function(x).tobytes()
    out = np.full_like(x, np.nan)
    assert function(x, out=out) is out
    assert out.tobytes() == expected
    assert function(x, out=x) is x  # in place
    assert x.tobytes() == expected


@each_operation
def test_out_that_overlaps_the_input(operation):
    memory = np.ones(40)
    with pytest.raises(ValueError, match=rf"^{operation.name}: out overlaps x"):
        getattr(kernels, operation.name)(memory[:-1], out=memory[1:])
    np.testing.assert_array_equal(memory, 1)


@pytest.mark.parametrize("operation", [*ELEMENTWISE, GLU], ids=lambda operation: operation.name)
def test_same_bits_at_any_thread_count(rng, operation, at_thread_counts):
    x = normal(rng, (8, 40_001) if operation is GLU else 300_001, np.float32)
    options = {"dim": 0} if operation is GLU else {}
    one, two = at_thread_counts(lambda: getattr(kernels, operation.name)(x, **options))
    assert one.tobytes() == two.tobytes()
    dy = normal(rng, one.shape, np.float32)
    backward = getattr(kernels, f"{operation.name}_backward")
    one, two = at_thread_counts(lambda: backward(dy, *operation.saved([x], one), **options))
    assert one.tobytes() == two.tobytes()


def test_prelu_same_bits_at_any_thread_count(rng, at_thread_counts):
    x, dy, weight = (normal(rng, shape, np.float32) for shape in [(20, 30, 500), (20, 30, 500), 30])
    one, two = at_thread_counts(lambda: (kernels.prelu(x, weight), *kernels.prelu_backward(dy, x, weight)))
    assert [part.tobytes() for part in one] == [part.tobytes() for part in two]


@each_operation
def test_torch_tensor_is_not_copied(rng, operation):
    x = normal(rng, 100_000, np.float32)
    out = np.empty_like(x)
    function = getattr(kernels, operation.name)
    expected = function(x)
    tensor = torch.from_numpy(x)
    function(tensor, out=out)
    tracemalloc.start()
    function(tensor, out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out.tobytes() == expected.tobytes()
    assert peak < x.nbytes / 4


def test_dlpack_alone_is_enough(rng, dtype):
    class Foreign:
        def __init__(self, array):
            self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__

    x = normal(rng, (3, 17), dtype)
    assert kernels.tanh(Foreign(x)).tobytes() == kernels.tanh(x).tobytes()


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 7), (2, 3, 4, 5), (0, 3), (4, 1, 6), (2, 3, 129), (40, 3)], ids=str)
def test_prelu(rng, dtype, shape):
    x = normal(rng, shape, dtype)
    rows = x.size
    check(PRELU, x, normal(rng, shape[1], dtype), lengths=[1, 1, rows])
    check(PRELU, x, normal(rng, 1, dtype), lengths=[1, 1, rows])
    for layout in LAYOUTS.values():
        check(PRELU, layout(x), normal(rng, shape[1], dtype), lengths=[1, 1, rows])


def test_prelu_of_a_vector(rng, dtype):
    check(PRELU, normal(rng, 9, dtype), normal(rng, 1, dtype), lengths=[1, 1, 9])


@pytest.mark.parametrize("shape", [(), (9,), (5, 3, 7)], ids=str)
def test_prelu_of_a_slope_without_dimensions(rng, dtype, shape):
    x, weight = normal(rng, shape, dtype), normal(rng, (), dtype)
    check(PRELU, x, weight, lengths=[1, 1, max(1, x.size)])
    assert kernels.prelu_backward(x, x, weight)[1].shape == ()
    np.testing.assert_array_equal(kernels.prelu(x, weight[()]), kernels.prelu(x, weight.reshape(1)))


@pytest.mark.parametrize("shape", [(3, 0), (3, 0, 5)], ids=str)
def test_prelu_of_no_channels(dtype, shape):
    x, weight = np.zeros(shape, dtype), np.zeros(0, dtype)
    dx, dweight = kernels.prelu_backward(x, x, weight)
    assert kernels.prelu(x, weight).shape == dx.shape == shape
    assert dweight.shape == (0,)


@pytest.mark.parametrize("alpha", [-3.0, -0.5, -1e-3])
def test_celu_grows_without_bound_where_alpha_is_negative(dtype, alpha):
    x = np.array([-np.inf, -2000, -100, -80 * abs(alpha), -1, -1e-3, -1e-30, 0, 1, np.inf, np.nan], dtype)
    wide = x.astype(np.float64)
    with np.errstate(over="ignore"):
        expected = np.where(wide >= 0, wide, alpha * np.expm1(wide / alpha)).astype(dtype)
        slopes = np.where(wide >= 0, 1, np.exp(wide / alpha)).astype(dtype)
    eps = 200 * np.finfo(dtype).eps  # exp(80) has the error of its argument, 80 times over
    np.testing.assert_allclose(kernels.celu(x, alpha), expected, rtol=eps)
    np.testing.assert_allclose(kernels.celu_backward(np.ones_like(x), x, alpha), slopes, rtol=eps)
    theirs = torch.from_numpy(x[:-1]).requires_grad_()  # of a NaN PyTorch has the slope 1, and 1 / alpha in float32
    y = F.celu(theirs, alpha)
    y.sum().backward()
    np.testing.assert_allclose(kernels.celu(x[:-1], alpha), y.detach(), rtol=eps)
    np.testing.assert_allclose(kernels.celu_backward(np.ones_like(x[:-1]), x[:-1], alpha), theirs.grad, rtol=1e-5)


@pytest.mark.parametrize("name", ["elu", "selu", "celu"])
def test_the_slope_at_nan_is_nan(dtype, name):
    """As PyTorch's vector loop has it; the scalar loop behind it, for the last few elements, gives dy."""
    for size in (1, 3, 64):
        x = np.full(size, np.nan, dtype)
        x[1:] = 1
        slopes = getattr(kernels, f"{name}_backward")(np.ones_like(x), x)
        assert np.isnan(slopes[0]) and not np.isnan(slopes[1:]).any()
    theirs = torch.full((64,), torch.nan, requires_grad=True)
    getattr(F, name)(theirs).sum().backward()
    assert theirs.grad.isnan().all()


@pytest.mark.parametrize("low, high, bound", [(-4, -2, 3e-6), (-5, -4, 4e-5)])
def test_gelu_slope_keeps_its_digits_where_it_fades(low, high, bound):
    x = np.linspace(low, high, 10_001, dtype=np.float32)
    wide = torch.from_numpy(x).double()
    exact = torch.erfc(-wide * 0.5**0.5) / 2 + wide * torch.exp(-(wide**2) / 2) / (2 * torch.pi) ** 0.5
    np.testing.assert_allclose(kernels.gelu_backward(np.ones_like(x), x), exact, rtol=bound)


def test_prelu_finite_differences(rng):
    check_finite_differences(PRELU, normal(rng, (3, 2, 4), np.float64), normal(rng, 2, np.float64))
    check_finite_differences(PRELU, normal(rng, (3, 2), np.float64), normal(rng, 1, np.float64))


@pytest.mark.parametrize(
    ("shape", "dim"), [((8,), -1), ((5, 6), 1), ((6, 5), 0), ((3, 34, 2), 1), ((2, 0), 1), ((33, 64), -1)], ids=str
)
def test_glu(rng, dtype, shape, dim):
    x = normal(rng, shape, dtype)
    check(GLU, x, dim=dim)
    for layout in LAYOUTS.values():
        check(GLU, layout(x), dim=dim)


def test_glu_finite_differences(rng):
    check_finite_differences(GLU, normal(rng, (3, 4), np.float64), dim=-1)


OPERATIONS = {operation.name for operation in [*ELEMENTWISE, PRELU, GLU]}
# the others are in test_elementary
LADDERS = {
    name: variants
    for name, variants in kernels.activation.VARIANTS.items()
    if name not in elementary.VARIANTS | error_function.VARIANTS | factorial.VARIANTS
}
VARIANTS = [(name, variant) for name, variants in LADDERS.items() for variant in variants]
PARAMETERS = {"leaky_relu": (0.2,), "elu": (0.5,), "celu": (1.5,), "softplus": (2.0, 3.0), "hardtanh": (-2.0, 0.5)}


def test_every_operation_has_variants():
    assert set(LADDERS) == OPERATIONS | {"gelu_tanh"}


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_variants(rng, dtype, name, variant):
    function, parameters = kernels.activation.VARIANTS[name][variant], PARAMETERS.get(name, ())
    operation, options = (BY_NAME["gelu"], ("tanh",)) if name == "gelu_tanh" else (BY_NAME.get(name), parameters)
    for size in (1, 5, 16, 33, 100):
        if name == "prelu":  # images of some channels
            arrays = [normal(rng, (2, 3, size), dtype), normal(rng, 3, dtype)]
            expected = PRELU.reference.prelu(*(array.astype(np.float64) for array in arrays))
        elif name == "glu":  # pairs of halves
            arrays = [normal(rng, (3, 2, size), dtype)]
            expected = GLU.reference.glu(arrays[0].astype(np.float64), 1)[:, 0]
        else:
            arrays = [normal(rng, size, dtype)]
            expected = getattr(operation.reference, operation.name)(arrays[0].astype(np.float64), *options)
        out = guarded(np.full(expected.shape, np.nan, dtype))
        function(*map(guarded, arrays), out, *parameters)
        assert_close(out, expected, scale=np.abs(arrays[0]).max(), label=f"{name} {variant}")


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_errors_of_every_forward(name):
    function = getattr(kernels, name)
    x, weight = np.ones((4, 6)), ([np.ones(1)] if name == "prelu" else [])
    result = np.ones((4, 3) if name == "glu" else (4, 6))
    with pytest.raises(TypeError, match=rf"^{name}: .*int64"):
        function(x.astype(np.int64), *weight)
    with pytest.raises(TypeError, match=rf"^{name}: .*float16"):
        function(x.astype(np.float16), *weight)
    with pytest.raises(ValueError, match=rf"^{name}: out.*\(7,\)"):
        function(x, *weight, out=np.ones(7))
    with pytest.raises(TypeError, match=rf"^{name}: out.*float32"):
        function(x, *weight, out=result.astype(np.float32))
    with pytest.raises(TypeError, match=rf"^{name}: out.*list"):
        function(x, *weight, out=result.tolist())
    with pytest.raises(TypeError, match=rf"^{name}: x.*list"):
        function(x.tolist(), *weight)
    with pytest.raises(ValueError, match=rf"^{name}: out.*read-only"):
        function(x, *weight, out=read_only(result))
    np.testing.assert_array_equal(result, 1)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_errors_of_every_backward(name):
    backward = getattr(kernels, f"{name}_backward")
    x, weight = np.ones((4, 6)), ([np.ones(1)] if name == "prelu" else [])
    with pytest.raises(ValueError, match=rf"^{name}_backward: .*\(4, 5\)"):
        backward(np.ones((4, 5)), x, *weight)
    with pytest.raises(TypeError, match=rf"^{name}_backward: .*float32"):
        backward(np.ones((4, 3) if name == "glu" else (4, 6), np.float32), x, *weight)


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (ValueError, r"^gelu: approximate .*'fast'", lambda x: kernels.gelu(x, "fast")),
        (ValueError, r"^gelu_backward: approximate .*'fast'", lambda x: kernels.gelu_backward(x, x, "fast")),
        (ValueError, r"^celu: alpha", lambda x: kernels.celu(x, alpha=0.0)),
        (ValueError, r"^hardtanh: min_val.*max_val.*2\.0.*1\.0", lambda x: kernels.hardtanh(x, 2.0, 1.0)),
        (ValueError, r"^glu: .*5.*even|^glu: .*even.*5", lambda x: kernels.glu(x[:, :5])),
        (ValueError, r"^glu: dim .*2", lambda x: kernels.glu(x, 2)),
        (ValueError, r"^glu: dim .*-3", lambda x: kernels.glu(x, -3)),
        (ValueError, r"^prelu: .*\(4,\)", lambda x: kernels.prelu(x, np.ones(4))),
        (ValueError, r"^prelu: .*\(1, 6\)", lambda x: kernels.prelu(x, np.ones((1, 6)))),
        (TypeError, r"^prelu: .*float32", lambda x: kernels.prelu(x, np.ones(6, np.float32))),
    ],
)
def test_errors(error, message, call):
    with pytest.raises(error, match=message):
        call(np.ones((4, 6)))

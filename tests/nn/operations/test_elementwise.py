"""Functions of each element and of several operands, as functions, as methods and in place, against PyTorch."""

import mpmath
import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree, same_as_torch, same_twice

RNG = np.random.default_rng(0)
A, B, C = (RNG.standard_normal((3, 4)) * 2 for _ in range(3))
P = RNG.random((3, 4)) * 0.8 + 0.1
ROW = RNG.standard_normal(4) * 2
# Name -> argument lists, arrays or numbers, and keyword arguments
SMOOTH = {
    **{name: [((A,), {})] for name in (
        "sin", "cos", "tan", "atan", "sinh", "cosh", "asinh", "exp2", "expm1", "square", "deg2rad", "rad2deg", "neg",
        "frac", "exp", "sigmoid", "tanh", "relu", "positive", "negative", "arctan", "arcsinh",
        "nan_to_num", "erf", "erfc",
    )},
    **{name: [((P,), {})] for name in (
        "asin", "acos", "atanh", "log", "log2", "log10", "log1p", "rsqrt", "reciprocal", "logit", "sqrt", "arcsin",
        "arccos", "arctanh", "lgamma", "erfinv",
    )},
    "acosh": [((P + 1,), {})],
    "arccosh": [((P + 1,), {})],
    "logit eps": [((P,), {"eps": 0.3}), ((P, 0.2), {})],
    **{name: [((A, B), {}), ((A, ROW), {}), ((A, 1.5), {})] for name in ("fmod", "remainder")},
    **{name: [((A, B), {}), ((A, ROW), {})] for name in ("atan2", "arctan2", "hypot", "logaddexp", "copysign")},
    "copysign number": [((A, -1.0), {})],
    **{name: [((A, B), {}), ((A, 3), {})] for name in (
        "add", "sub", "mul", "div", "subtract", "multiply", "divide", "true_divide",
    )},
    "add alpha": [((A, B), {"alpha": 2}), ((A, 3), {"alpha": 0.5})],
    "sub alpha": [((A, B), {"alpha": 2})],
    "lerp": [((A, B, P), {}), ((A, B, 0.3), {}), ((A, ROW, 0.7), {})],
    "addcmul": [((A, B, C), {}), ((A, B, ROW), {"value": 0.5})],
    "addcdiv": [((A, B, P), {}), ((A, B, ROW), {"value": -2})],
    "float_power": [((P, 3), {}), ((P, A), {})],
    "pow": [((P, A), {}), ((A, 3), {})],
    "clamp_min": [((A, 0.5), {})],
    "clamp_max": [((A, 0.5), {})],
    "clip": [((A, -1, 0.5), {})],
    "maximum": [((A, B), {})],
    "minimum": [((A, ROW), {})],
    "rsub": [((A, B), {}), ((A, 2), {"alpha": 3})],
}  # fmt: skip
# Linear or constant almost everywhere: the gradient of the gradient is 0, and PyTorch does not compute it
PIECEWISE = {
    **{name: [((A * 2,), {})] for name in ("floor", "ceil", "trunc", "round", "sign", "fix", "abs", "absolute")},
    "round decimals": [((A,), {"decimals": 2}), ((A * 100,), {"decimals": -1})],
    "div trunc": [((A, B), {"rounding_mode": "trunc"}), ((A, 0.3), {"rounding_mode": "trunc"})],
    "div floor": [((A, B), {"rounding_mode": "floor"}), ((A, ROW), {"rounding_mode": "floor"})],
}
ONCE = {"digamma": [((P,), {}), ((P - 2,), {})]}  # differentiable once
# Without a gradient in PyTorch
STEPS = {
    "floor_divide": [((A, B), {}), ((A, 0.7), {})],
    "heaviside": [((np.sign(A * (A > 0)), ROW), {})],
    "signbit": [((A,), {})],
}
FUNCTIONS_ONLY = {"rsub"}
METHODS_WITHOUT_IN_PLACE = {"positive", "maximum", "minimum", "logaddexp", "signbit", "rsub"}


def cases(table):
    return [
        pytest.param(key.split()[0], args, options, id=f"{key} {i}")
        for key, rows in table.items()
        for i, (args, options) in enumerate(rows)
    ]


def application(library, name, args, options, method):
    """A function of the tensors among the arguments."""

    def call(*tensors):
        given = iter(tensors)
        first, *rest = (next(given) if isinstance(a, np.ndarray) else a for a in args)
        function = getattr(first, name) if method else getattr(library, name)
        return function(*rest, **options) if method else function(first, *rest, **options)

    return call


@pytest.mark.parametrize("method", [False, True], ids=["function", "method"])
@pytest.mark.parametrize(("name", "args", "options"), cases(SMOOTH))
def test_values_and_gradients_and_their_gradients(name, args, options, method):
    if method and name in FUNCTIONS_ONLY:
        pytest.skip("PyTorch has no such method")
    ours, theirs = (application(library, name, args, options, method) for library in (nn, torch))
    same_twice(ours, *(a for a in args if isinstance(a, np.ndarray)), reference=theirs)


@pytest.mark.parametrize("method", [False, True], ids=["function", "method"])
@pytest.mark.parametrize(("name", "args", "options"), cases(PIECEWISE))
def test_values_and_gradients(name, args, options, method):
    ours, theirs = (application(library, name, args, options, method) for library in (nn, torch))
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    same_as_torch(ours, *arrays, reference=theirs)
    leaves = [nn.tensor(a, requires_grad=True) for a in arrays]
    y = ours(*leaves)
    dy = nn.ones_like(y, requires_grad=True)
    first = nn.autograd.grad(y, leaves, dy, create_graph=True)
    second = nn.autograd.grad(sum(g.sum() for g in first), leaves, allow_unused=True)
    assert all(g is None or not g.array.any() for g in second)


@pytest.mark.parametrize(("name", "args", "options"), cases(ONCE))
def test_differentiable_once(name, args, options):
    # PyTorch's derivative of digamma has relative errors of 5e-10
    same_as_torch(application(nn, name, args, options, False), *args, reference=getattr(torch, name), rtol=2e-9)
    x = nn.tensor(args[0], requires_grad=True)
    with pytest.raises(RuntimeError, match=f"{name} can be differentiated once only"):
        nn.autograd.grad(getattr(nn, name)(x).sum(), x, create_graph=True)


def tensors(library, args, dtype):
    return [library.tensor(a.astype(dtype)) if isinstance(a, np.ndarray) else a for a in args]


@pytest.mark.parametrize(("name", "args", "options"), cases(SMOOTH | PIECEWISE | ONCE | STEPS))
def test_float32(name, args, options):
    ours, theirs = (getattr(library, name)(*tensors(library, args, np.float32), **options) for library in (nn, torch))
    agree(ours, theirs, 2e-6, 1e-6)


@pytest.mark.parametrize(("name", "args", "options"), cases(SMOOTH | PIECEWISE | ONCE | STEPS))
def test_in_place(name, args, options):
    if name in METHODS_WITHOUT_IN_PLACE:
        assert not hasattr(torch.Tensor, f"{name}_") and not hasattr(nn.Tensor, f"{name}_")
        return
    results = []
    for library in (nn, torch):
        x, *rest = tensors(library, args, np.float64)
        assert getattr(x, f"{name}_")(*rest, **options) is x
        results.append(x)
    agree(*results)


WHOLE = np.array([[3, 0, 7, 1], [2, 5, 1, 4]])
INTEGERS = [np.uint8, np.int8, np.int16, np.int32, np.int64]
INTEGER_CASES = [
    *((name, (WHOLE,), {}) for name in (
        "sin", "cos", "tan", "atan", "sinh", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "rsqrt",
        "reciprocal", "sqrt", "square", "floor", "ceil", "trunc", "round", "sign", "abs", "sigmoid", "tanh", "relu",
        "positive", "asinh", "nan_to_num", "signbit", "erf", "erfc", "expm1", "lgamma", "digamma", "erfinv",
    )),
    *((name, (WHOLE, 3), {}) for name in (
        "add", "sub", "mul", "div", "fmod", "remainder", "floor_divide", "pow", "clamp_min", "clamp_max", "copysign",
        "float_power",
    )),
    *((name, (WHOLE, WHOLE + 1), {}) for name in (
        "add", "sub", "mul", "div", "fmod", "remainder", "floor_divide", "atan2", "maximum", "minimum", "heaviside",
    )),
    *(("div", (WHOLE, 2), {"rounding_mode": mode}) for mode in ("trunc", "floor")),
    *((name, (WHOLE, 2.5), {}) for name in ("add", "mul", "fmod", "remainder", "floor_divide", "clamp_min")),
    ("addcmul", (WHOLE, WHOLE, WHOLE), {"value": 2}),
    ("clamp", (WHOLE, 1, 4), {}),
]  # fmt: skip


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize(("name", "args", "options"), INTEGER_CASES)
def test_integers(name, args, options, dtype):
    ours, theirs = (getattr(library, name)(*tensors(library, args, dtype), **options) for library in (nn, torch))
    agree(ours, theirs, 2e-6, 1e-6)


OPERATORS = {
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "/": lambda a, b: a / b,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    ("left", "right"),
    [(A, 1.5), (1.5, B), (np.arange(5), 3), (-np.arange(5), 3), (7, -np.arange(1, 4)), (np.arange(3), A[:, :3]),
     (np.arange(3), -np.arange(1, 4))],
)  # fmt: skip
def test_operators(operator, left, right):
    ours, theirs = (
        OPERATORS[operator](*(library.tensor(v) if isinstance(v, np.ndarray) else v for v in (left, right)))
        for library in (nn, torch)
    )
    agree(ours, theirs, 1e-10 if ours.dtype == np.float64 else 2e-7)


def test_integers_wrap_around():
    for value in (300, -5, 2**40):
        ours, theirs = (library.tensor([1, 200], dtype=library.uint8) + value for library in (nn, torch))
        agree(ours, theirs)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in ("nan_to_num", "sign", "floor", "frac", "rsqrt", "logit", "signbit", "log1p", "log")),
        ("nan_to_num", {"nan": 1.0, "posinf": 2.0, "neginf": 3.0}),
    ],
)
def test_infinities_and_nan(name, options, dtype):
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5], dtype)
    agree(*(getattr(library, name)(library.tensor(values), **options) for library in (nn, torch)), 1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.tensor([7]) // nn.tensor([0]), ZeroDivisionError, "floor_divide: an integer is divided by 0"),
        (lambda: nn.tensor([7]) % 0, ZeroDivisionError, "remainder: an integer is divided by 0"),
        (lambda: nn.frac(nn.tensor([1])), TypeError, "frac: needs a floating-point tensor"),
        (lambda: nn.round(nn.tensor([1]), decimals=1), TypeError, "round: decimals=1"),
        (lambda: nn.div(nn.ones(2), 2, rounding_mode="up"), ValueError, "rounding_mode must be"),
        (lambda: nn.positive(nn.tensor([True])), TypeError, "positive: not defined for bools"),
        (lambda: nn.tensor([1.0]) << 1, TypeError, "bitwise_left_shift: needs integers"),
        (lambda: nn.tensor([1]).add_(0.5), TypeError, "add: in place, dtypes differ"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_erfinv_is_accurate_to_the_ends(dtype):
    mpmath.mp.dps = 40
    eps = np.finfo(dtype).eps
    distance = np.concatenate([np.geomspace(eps / 2, 0.5, 60), [0.3, 0.9, 1]]).astype(dtype)
    x = np.concatenate([1 - distance, distance - 1, np.geomspace(1e-30, 0.5, 40)]).astype(dtype)
    expected = np.array([float(mpmath.erfinv(mpmath.mpf(float(v)))) for v in x])
    y = nn.tensor(x).erfinv()
    assert y.dtype == dtype
    np.testing.assert_allclose(y.array, expected, rtol=8 * eps, atol=0)


def test_erfinv_at_and_beyond_the_ends():
    y = nn.erfinv(nn.tensor([-1.0, 1.0, 1.5, -2.0, np.nan, 0.0, -0.0]))
    np.testing.assert_array_equal(y.array, [-np.inf, np.inf, np.nan, np.nan, np.nan, 0, 0])
    assert np.signbit(y.array[-1])
    x = nn.tensor([-0.5], requires_grad=True)
    y = x * 1
    assert y.erfinv_() is y
    y.backward()
    np.testing.assert_allclose(x.grad.array, np.sqrt(np.pi) / 2 * np.exp(y.array**2), rtol=1e-6)


@pytest.mark.parametrize("exponent", [-2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 2.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_by_constants(exponent, dtype, rng):
    x = np.concatenate([rng.standard_normal(200) * 3, [0.0, -0.0, np.inf, -np.inf, np.nan]]).astype(dtype)
    results = []
    for module in (nn, torch):
        t = module.tensor(x, requires_grad=True)
        y = t**exponent
        y.sum().backward()
        results.append((y.detach().numpy(), t.grad.numpy()))
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=5 * np.finfo(dtype).eps, strict=True)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("atan2", ([0.0, 1e-3], [0.0, -2.0])),
        ("logaddexp", ([np.inf, -np.inf, 3.0], [1.0, 2.0, 4.0])),
        ("logit", ([-0.5, 0.25, 1.5],)),
    ],
)
def test_gradients_at_the_borders(name, arguments):
    """Where the usual formula divides by 0 or takes infinities from each other, and outside of the domain."""
    ours = [nn.tensor(each, dtype=nn.float64, requires_grad=True) for each in arguments]
    theirs = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in arguments]
    for tensors, library in ((ours, nn), (theirs, torch)):
        getattr(library, name)(*tensors).sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.grad.numpy(), other.grad.numpy(), rtol=1e-14)

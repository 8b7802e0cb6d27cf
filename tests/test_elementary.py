"""Tests of kernels.activation.elementary, error_function and factorial: erf, expm1, rsqrt, lgamma and their kind."""

import math
import re
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch

import kernels
from kernels import _elementwise
from kernels.activation import elementary, error_function, factorial, special
from kernels.reference import activation as reference
from tests.checking import (
    LAYOUTS,
    Operation,
    assert_close,
    check,
    check_accuracy,
    check_finite_differences,
    guarded,
)
from tests.test_simd import over, ulps

VARIANTS = elementary.VARIANTS | error_function.VARIANTS | factorial.VARIANTS
FROM_OUTPUT = ("expm1", "rsqrt")
# Least and largest argument of the tests, in float32: where the value neither is constant nor overflows.
SPANS = {
    "erf": (-5, 5),
    "erfc": (-5, 10),
    "expm1": (-20, 88),
    "log1p": (-0.99, 100),
    "rsqrt": (0.01, 100),
    "lgamma": (0.01, 60),
    "digamma": (0.01, 60),
}


# Magnitudes to which rounding is relative where it is not the value: of the terms of a sum that may cancel.
TERMS = {"expm1": (0, 1), "lgamma": (4, 4), "digamma": (4, 4)}


def operation(name):
    saved = (lambda arguments, y: [y]) if name in FROM_OUTPUT else (lambda arguments, y: arguments)
    scale = None
    if name in TERMS:
        result, gradient = TERMS[name]

        def scale(operation, arguments, dy, options):
            return [result, None if dy is None else gradient * np.abs(dy)]

    return Operation("activation", name, getattr(torch, name), saved, scale=scale, out=True)


OPERATIONS = {name: operation(name) for name in SPANS}
each_name = pytest.mark.parametrize("name", SPANS)


def within(name, rng, shape, dtype):
    low, high = SPANS[name]
    return np.asarray(rng.uniform(low, min(high, 9), shape)).astype(dtype)


def test_variants_are_listed():
    assert VARIANTS.keys() == SPANS.keys()


@each_name
def test_shapes_and_layouts(rng, dtype, name):
    one = OPERATIONS[name]
    if name == "digamma" and dtype == np.float64:
        one = replace(one, saved=None)  # PyTorch's gradient has an error of 1e-9
    for shape in [(), 0, 1, 5, 16, 33, 257, (3, 5), (2, 0, 4)]:
        check(one, within(name, rng, shape, dtype))
    x = within(name, rng, (7, 19), dtype)
    for layout in LAYOUTS.values():
        check(one, layout(x))


@each_name
def test_float32_error_is_at_most_that_of_torch(name):
    check_accuracy(OPERATIONS[name], np.linspace(*SPANS[name], 8001, dtype=np.float32))


@each_name
def test_finite_differences(name):
    low, high = SPANS[name]
    check_finite_differences(OPERATIONS[name], np.linspace(max(low, -3) + 0.6, min(high, 4), 30))


@each_name
def test_large_arrays(rng, dtype, name, at_thread_counts):
    """Shared out among threads: the same bits as in small pieces."""
    x = within(name, rng, _elementwise.PARALLEL_ELEMENTS + 77, dtype)
    dy = rng.standard_normal(x.size).astype(dtype)

    def call():
        y = getattr(kernels, name)(x)
        return y, getattr(kernels, f"{name}_backward")(dy, y if name in FROM_OUTPUT else x)

    one, two = at_thread_counts(call)
    for mine, other, function in zip(one, two, (name, f"{name}_backward"), strict=True):
        assert mine.tobytes() == other.tobytes()
        saved = one[0] if name in FROM_OUTPUT else x
        pieces = [
            getattr(kernels, function)(
                *((x[i : i + 999],) if function == name else (dy[i : i + 999], saved[i : i + 999]))
            )
            for i in range(0, x.size, 999)
        ]
        np.testing.assert_array_equal(mine, np.concatenate(pieces))


@pytest.mark.parametrize(("name", "variant"), [(name, each) for name, all in VARIANTS.items() for each in all])
def test_variants(rng, dtype, name, variant):
    for size in (1, 5, 16, 33):
        x = within(name, rng, size, dtype)
        out = guarded(np.full(size, np.nan, dtype))
        VARIANTS[name][variant](guarded(x), out)
        assert_close(
            out,
            getattr(reference, name)(x.astype(np.float64)),
            scale=TERMS.get(name, (None,))[0],
            label=f"{name} {variant}",
        )


@each_name
def test_special_values(dtype, name):
    """Infinities, zeros, whole numbers, numbers without a value: as PyTorch's."""
    x = np.array([0, np.inf, -np.inf, np.nan, -1, -2, 1, 2, 30, -30, 1000, -1000, 1e30, -1e30], dtype)
    y, theirs = getattr(kernels, name)(x), getattr(torch, name)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, theirs, rtol=20 * np.finfo(dtype).eps)
    small = np.finfo(dtype).smallest_normal * np.array([1, 2**20], dtype)
    expected = getattr(torch, name)(torch.from_numpy(small)).numpy()
    np.testing.assert_allclose(getattr(kernels, name)(small), expected, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ["erfc", "expm1"])
def test_largest_errors(rng, dtype, name):
    low, high = (-6, 28) if name == "erfc" else (-40, 709)
    low, high = (low, high) if dtype == np.float64 else (low, min(high, 88))
    high = 9.0 if name == "erfc" and dtype == np.float32 else 26.0 if name == "erfc" else high
    count = 100_000 if dtype == np.float32 else 3000  # many digits take their time
    x = np.concatenate([rng.uniform(low, high, count), rng.uniform(-1, 1, count)]).astype(dtype)
    actual = np.empty_like(x)
    over(getattr(special, name))(x, actual)
    if dtype == np.float32:
        function = np.vectorize(math.erfc) if name == "erfc" else np.expm1
        exact = function(x.astype(np.float64))
    else:
        with mpmath.workprec(120):
            exact = np.array([getattr(mpmath, name)(mpmath.mpf(float(v))) for v in x])
    stated = float(re.search(r"Maximum error (\S+) ULP", getattr(special, name).__doc__)[1])
    largest = ulps(actual, exact).max()
    assert largest <= stated, largest


@pytest.mark.parametrize("sign", [1, -1])
def test_gamma_functions_against_many_digits(rng, sign):
    """In float64, from near the poles to where the series are exact."""
    x = sign * np.concatenate([rng.uniform(0.001, 40, 300), 10.0 ** rng.uniform(-8, 8 if sign > 0 else 1, 100)])
    ones = np.ones_like(x)
    with mpmath.workprec(150):
        exact = {k: np.array([float(mpmath.polygamma(k, mpmath.mpf(float(v)))) for v in x]) for k in (0, 1)}
        gamma = np.array([float(mpmath.re(mpmath.loggamma(mpmath.mpf(float(v))))) for v in x])
    # near a pole an error of x counts as many times as the slope says; a zero of the function has an absolute error
    slope = np.abs(x) * np.abs(exact[1])
    assert (np.abs(kernels.digamma(x) - exact[0]) <= 4e-15 * (1 + np.abs(exact[0]) + slope)).all()
    assert (np.abs(kernels.lgamma_backward(ones, x) - exact[0]) <= 4e-15 * (1 + np.abs(exact[0]) + slope)).all()
    assert (np.abs(kernels.lgamma(x) - gamma) <= 4e-15 * (1 + np.abs(gamma) + np.abs(x * exact[0]))).all()
    error = np.abs(kernels.digamma_backward(ones, x) - exact[1])
    assert (error <= 1e-14 * (1 + np.abs(x) * np.abs(exact[1]) ** 0.5) * exact[1]).all()


@each_name
def test_errors(name):
    function, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    with pytest.raises(TypeError, match=f"^{name}: x must be float32 or float64, got int64"):
        function(np.ones(3, np.int64))
    with pytest.raises(ValueError, match=rf"^{name}: out must have shape \(3,\), got \(4,\)"):
        function(np.ones(3), out=np.ones(4))
    with pytest.raises(TypeError, match=f"^{name}_backward: dtypes differ"):
        backward(np.ones(3), np.ones(3, np.float32))
    with pytest.raises(ValueError, match=f"^{name}_backward: shapes differ"):
        backward(np.ones(3), np.ones(4))

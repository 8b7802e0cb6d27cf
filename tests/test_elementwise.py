"""Tests of kernels._elementwise: the loops that every elementwise kernel shares."""

import numpy as np
import pytest

import kernels
from kernels._elementwise import BLOCK, binary, unary
from kernels._jit import jit
from kernels.simd import select
from tests.checking import guarded


@jit(inline=True)
def _line(x, slope, offset):
    return x * slope + offset


@jit(inline=True)
def _where_positive(dy, x):
    return select(x > 0.0, dy, 0.0)


LINE, WHERE_POSITIVE = unary(_line, 2), binary(_where_positive)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("size", [1, 3, 63, 64, 65, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 77])
def test_large_loops_give_the_bits_of_serial_ones(rng, dtype, size, streaming, threads):
    x, dy = rng.standard_normal((2, size)).astype(dtype)
    expected = np.empty_like(x)
    LINE.serial(x, expected, 2.0, 0.5)
    np.testing.assert_allclose(expected, 2 * x + 0.5, rtol=1e-6, atol=1e-6)
    masked = np.where(x > 0, dy, 0)
    for end in ("front", "back"):
        source, gradient, out = (guarded(array, end) for array in (x, dy, np.full_like(x, np.nan)))
        LINE.large((source,), out, (2.0, 0.5), streaming, threads)
        assert out.tobytes() == expected.tobytes()
        WHERE_POSITIVE.large((gradient, source), out, (), streaming, threads)
        assert out.tobytes() == masked.tobytes()


@pytest.mark.parametrize("offset", range(0, 20, 3))
def test_streaming_from_any_address(rng, dtype, offset):
    x = rng.standard_normal(300).astype(dtype)
    memory = np.full(340, np.nan, dtype)
    LINE.large((x,), memory[offset : offset + 300], (1.0, 0.0), True, 1)
    np.testing.assert_array_equal(memory[offset : offset + 300], x)
    assert np.isnan(memory[:offset]).all() and np.isnan(memory[offset + 300 :]).all()


def test_results_larger_than_the_cache(monkeypatch, rng, at_thread_counts):
    x, dy = rng.standard_normal((2, 100_003)).astype(np.float32)
    call = lambda: (kernels.tanh(x), kernels.tanh_backward(dy, x))  # noqa: E731
    expected = [part.tobytes() for part in call()]
    monkeypatch.setattr("kernels._elementwise.cache_bytes", lambda level: 1024)
    for parts in at_thread_counts(call):
        assert [part.tobytes() for part in parts] == expected


def test_out_may_be_the_input_but_not_overlap_it():
    memory = np.linspace(-4, 5, 10)
    with pytest.raises(ValueError, match=r"^relu: out overlaps x"):
        kernels.relu(memory[:-1], out=memory[1:])
    np.testing.assert_array_equal(memory, np.linspace(-4, 5, 10))
    kernels.relu(memory, out=memory[:])
    np.testing.assert_array_equal(memory, np.maximum(np.linspace(-4, 5, 10), 0))


def test_dtype_with_metadata(dtype):
    x = np.array([-1, 2]).astype(np.dtype(dtype, metadata={"unit": "m"}))
    assert kernels.relu(x).tolist() == [0, 2]
    assert kernels.leaky_relu(x, 0.5).tolist() == [-0.5, 2]
    assert kernels.relu_backward(x, x).tolist() == [0, 2]

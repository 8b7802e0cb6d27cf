"""Tests of kernels.simd: every intrinsic against its meaning in scalars, at each vector width, at the edge of memory;
and the errors of the vector maths over their whole range.

Data are small whole numbers wherever sums are formed, so that they are exact in any order.
"""

import itertools
import math
import operator
import os
import re
import subprocess
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest

from kernels import machine, simd
from kernels._jit import jit
from kernels.simd import (
    absolute,
    address,
    all_lanes,
    allocate,
    any_lanes,
    array_at,
    copysign,
    even_lanes,
    flat,
    flat_each,
    fma,
    interleave_high,
    interleave_low,
    lane_count,
    lanes_before,
    load,
    load_between,
    load_bytes,
    load_partial,
    matrix_at,
    max_lanes,
    maximum,
    minimum,
    odd_lanes,
    prefetch,
    prefetch_far,
    release,
    select,
    shifted,
    splat,
    sqrt,
    square_load,
    square_load_partial,
    square_sums,
    square_transpose,
    store,
    store_between,
    store_bytes,
    store_every_second,
    store_partial,
    strided,
    sum_lanes,
    tile_add,
    tile_add_partial,
    tile_add_sums,
    tile_dot,
    tile_outer,
    tile_outer_partial,
    tile_plus,
    tile_plus_between,
    tile_rows,
    tile_store,
    tile_store_partial,
    tile_zeros,
    view,
)
from kernels.simd.bits import exponent, mantissa, power_of_two
from kernels.simd.prefix import (
    double_count,
    first_lane,
    last_lane,
    load_doubles,
    maxima_so_far,
    minima_so_far,
    products_so_far,
    store_doubles,
    sums_so_far,
    sums_to_end,
)
from kernels.simd.stream import load_wide_partial, store_streaming, streaming_done, until_aligned
from kernels.simd.vector import round_even
from kernels.simd.wide import (
    WIDE,
    larger_lane,
    larger_registers,
    load_wide,
    splat_wide,
    sum_registers,
    wide_count,
)
from tests.checking import GUARD_PAGES, guarded

ends = pytest.mark.parametrize("end", ["front", "back"] if GUARD_PAGES else ["back"])


def place(array, end):
    """The array at the edge of an unmapped page where the system has that."""
    return guarded(array, end) if GUARD_PAGES else array


# --- arithmetic ------------------------------------------------------------------------------------------------------


def special_pairs(dtype):
    """All pairs of ordinary and special values, in two arrays of 256 elements."""
    information = np.finfo(dtype)
    values = [0.0, -0.0, 1.0, -1.5, 3.0, 1e5, -2e-3, np.inf, -np.inf, np.nan, information.max, information.tiny]
    values += [-information.smallest_subnormal, 0.5, 2.5, -7.25]
    a, b = np.meshgrid(np.array(values, dtype), np.array(values, dtype))
    return a.ravel(), b.ravel()


BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "copysign": np.copysign,
}
COMPARISONS = ["lt", "le", "gt", "ge", "eq", "ne"]


@jit
def _binary(a, b, out):
    size = a.size
    for i in range(0, size, lane_count(a)):
        x, y = load(a, i), load(b, i)
        store(out, i, x + y)
        store(out, size + i, x - y)
        store(out, 2 * size + i, x * y)
        store(out, 3 * size + i, x / y)
        store(out, 4 * size + i, maximum(x, y))
        store(out, 5 * size + i, minimum(x, y))
        store(out, 6 * size + i, copysign(x, y))


def test_binary_operations(dtype):
    a, b = special_pairs(dtype)
    out = np.empty((len(BINARY), a.size), dtype)
    _binary(a, b, out)
    with np.errstate(all="ignore"):
        for result, (name, function) in zip(out, BINARY.items(), strict=True):
            np.testing.assert_array_equal(result, function(a, b), err_msg=name)


@jit
def _with_scalars(a, out):
    size = a.size
    for i in range(0, size, lane_count(a)):
        x = load(a, i)
        store(out, i, x + 0.1)
        store(out, size + i, 3 - x)
        store(out, 2 * size + i, 0.1 * x)
        store(out, 3 * size + i, 1 / x)
        store(out, 4 * size + i, x / 4)
        store(out, 5 * size + i, select(x > 0.1, 0.1, x))
        store(out, 6 * size + i, fma(x, 0.1, 2.0))
        store(out, 7 * size + i, splat(a, 0.1))


def test_scalars_are_spread_in_the_dtype_of_the_vector(dtype):
    a = np.linspace(-1, 1, 64, dtype=dtype)
    out = np.empty((8, a.size), dtype)
    _with_scalars(a, out)
    tenth = dtype(0.1)
    with np.errstate(all="ignore"):
        product = (a.astype(np.longdouble) * tenth + 2).astype(dtype)
        expected = [a + tenth, 3 - a, tenth * a, 1 / a, a / 4, np.where(a > tenth, tenth, a), product]
    for result, wanted in zip(out, [*expected, np.full_like(a, tenth)], strict=True):
        np.testing.assert_array_equal(result, wanted)


@jit
def _comparisons(a, b, out):
    size = a.size
    one, zero = splat(a, 1.0), splat(a, 0.0)
    for i in range(0, size, lane_count(a)):
        x, y = load(a, i), load(b, i)
        store(out, i, select(x < y, one, zero))
        store(out, size + i, select(x <= y, one, zero))
        store(out, 2 * size + i, select(x > y, one, zero))
        store(out, 3 * size + i, select(x >= y, one, zero))
        store(out, 4 * size + i, select(x == y, one, zero))
        store(out, 5 * size + i, select(x != y, one, zero))
        store(out, 6 * size + i, select((x < 1.0) & (y < 1.0), one, zero))
        store(out, 7 * size + i, select((x < 1.0) | (y < 1.0), one, zero))
        store(out, 8 * size + i, select(~(x < 1.0), one, zero))


def test_comparisons_and_masks(dtype):
    a, b = special_pairs(dtype)
    out = np.empty((9, a.size), dtype)
    _comparisons(a, b, out)
    expected = [getattr(operator, name)(a, b) for name in COMPARISONS]
    expected += [(a < 1) & (b < 1), (a < 1) | (b < 1), ~(a < 1)]
    np.testing.assert_array_equal(out, np.array(expected, dtype))


@jit
def _tests(a, masks):
    lanes = lane_count(a)
    for k in range(a.size // lanes):
        x = load(a, k * lanes)
        masks[k, 0], masks[k, 1] = any_lanes(x > 0.0), all_lanes(x > 0.0)


def test_any_and_all_lanes(dtype):
    lanes = machine.lanes(dtype)
    a = np.zeros((lanes + 2, lanes), dtype)
    a[np.arange(lanes), np.arange(lanes)] = 1  # one lane is on, each in turn; then all, then none
    a[lanes] = 1
    masks = np.empty((lanes + 2, 2), bool)
    _tests(a.ravel(), masks)
    np.testing.assert_array_equal(masks, np.stack([(a > 0).any(1), (a > 0).all(1)], 1))


@jit
def _unary(a, out):
    size = a.size
    for i in range(0, size, lane_count(a)):
        x = load(a, i)
        store(out, i, -x)
        store(out, size + i, absolute(x))
        store(out, 2 * size + i, sqrt(x))
        store(out, 3 * size + i, round_even(x))


def test_unary_operations(dtype):
    a = special_pairs(dtype)[0]
    out = np.empty((4, a.size), dtype)
    _unary(a, out)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(out, [-a, np.abs(a), np.sqrt(a), np.rint(a)])
    np.testing.assert_array_equal(np.signbit(out[0]), ~np.signbit(a))


@jit
def _fma(a, b, c, out):
    for i in range(0, a.size, lane_count(a)):
        store(out, i, fma(load(a, i), load(b, i), load(c, i)))


def test_fma_rounds_once(dtype):
    eps = np.finfo(dtype).eps
    a, b, c = (np.full(64, value, dtype) for value in (1 + eps, 1 - eps, -1))
    out = np.empty_like(a)
    _fma(a, b, c, out)
    np.testing.assert_array_equal(out, -(eps**2))


@jit
def _bits(a, out):
    size = a.size
    for i in range(0, size, lane_count(a)):
        x = load(a, i)
        store(out, i, exponent(x))
        store(out, size + i, mantissa(x))
        store(out, 2 * size + i, power_of_two(exponent(x)))


def test_bits_of_normal_numbers(dtype, rng):
    information = np.finfo(dtype)
    a = np.exp2(rng.uniform(information.minexp, information.maxexp, 256)).astype(dtype)
    a[:4] = information.tiny, information.max, 1, 2
    out = np.empty((3, a.size), dtype)
    _bits(a, out)
    fraction, power = np.frexp(a)
    np.testing.assert_array_equal(out, [power - 1, 2 * fraction, np.ldexp(dtype(1), power - 1)])


@jit
def _across(a, out):
    lanes = lane_count(a)
    for k in range(a.size // lanes):
        x = load(a, k * lanes)
        out[k, 0], out[k, 1] = sum_lanes(x), max_lanes(x)


def test_reductions_across_lanes(dtype, rng):
    lanes = machine.lanes(dtype)
    a = rng.integers(-50, 50, (lanes + 1, lanes)).astype(dtype)
    a[np.arange(lanes), np.arange(lanes)] = np.nan  # in each lane in turn
    out = np.empty((lanes + 1, 2), dtype)
    _across(a.ravel(), out)
    assert np.isnan(out[:lanes]).all()
    assert list(out[lanes]) == [a[lanes].sum(), a[lanes].max()]


# --- memory ----------------------------------------------------------------------------------------------------------


@jit
def _copy_partial(a, out, i, count):
    store_partial(out, i, count, load_partial(a, i, count, -9.0))


@jit
def _fill_partial(a, out, count):
    store(out, 0, load_partial(a, 0, count, -9.0))


@ends
def test_partial_loads_and_stores_touch_nothing_else(dtype, end):
    lanes = machine.lanes(dtype)
    for count in range(lanes + 1):
        a = place(np.arange(1, count + 1).astype(dtype), end)
        filled = np.empty(lanes, dtype)
        _fill_partial(a, filled, count)
        np.testing.assert_array_equal(filled, [*range(1, count + 1)] + [-9.0] * (lanes - count))
        out = place(np.zeros(count, dtype), end)
        _copy_partial(a, out, 0, count)
        np.testing.assert_array_equal(out, a)


def test_partial_with_more_than_a_vector_left_takes_a_whole_one(dtype):
    lanes = machine.lanes(dtype)
    a, out = np.arange(1.0, 3 * lanes + 1).astype(dtype), np.zeros(3 * lanes, dtype)
    _copy_partial(a, out, lanes, 2 * lanes)
    np.testing.assert_array_equal(out, np.where(np.arange(3 * lanes) // lanes == 1, a, 0))


@jit
def _copy_whole(a, out):
    for i in range(0, a.size, lane_count(a)):
        prefetch(a, i + 1_000_000)
        prefetch_far(a, i - 1_000_000)
        store(out, i, load(a, i))


@ends
def test_loads_and_stores(dtype, end):
    a = place(np.arange(64.0).astype(dtype), end)
    out = place(np.zeros(64, dtype), end)
    _copy_whole(a, out)
    np.testing.assert_array_equal(out, a)


def test_offsets_are_flat(dtype):
    lanes = machine.lanes(dtype)
    a = np.arange(6.0 * lanes).astype(dtype).reshape(3, 2, lanes)
    out = np.zeros_like(a)
    _copy_partial(a, out, 4 * lanes, lanes)
    np.testing.assert_array_equal(out[2, 0], a[2, 0])
    assert np.count_nonzero(out) == lanes


@jit
def _array(owner):
    x = array_at(address(owner) + 2 * owner.itemsize, 3, owner)
    x[0] = 8
    return x.size, x.sum(), address(owner)


def test_arrays_over_memory(dtype):
    x = np.arange(6.0).astype(dtype)
    assert _array(x) == (3, 8 + 3 + 4, x.ctypes.data)


@jit
def _through_memory(x, out):
    source, target, between = flat(x), flat(out), allocate(x, x.size)
    for i in range(x.size):
        between[i] = source[i] + source.dtype.type(1)
    target = flat(target)
    target[0] = between[0]
    rest = shifted(target, 1)
    for i in range(1, x.size):
        rest[i - 1] = 2 * between[i]
    release(between)


@ends
def test_memory(dtype, end):
    x = place(np.arange(6.0).astype(dtype).reshape(2, 3), end)
    out = place(np.zeros(6, dtype), end)
    references = sys.getrefcount(x)
    _through_memory(x, out)
    np.testing.assert_array_equal(out, [1, 4, 6, 8, 10, 12])
    assert sys.getrefcount(x) == references
    turned = np.zeros(6, dtype)
    _through_memory(x.T, turned)  # in the order of memory
    np.testing.assert_array_equal(turned, out)


@jit
def _each(arrays):
    numbers, flags, plain = flat_each(arrays)
    flags[1] = flags[0]
    return numbers[1] + plain, flags[1]


def test_memory_of_each(dtype):
    flags = np.array([True, False])
    assert _each((np.arange(3.0).astype(dtype), flags, 5.0)) == (6.0, True)
    assert flags.tolist() == [True, True]


@jit
def _wide(a, out):
    wide, lanes = wide_count(a), lane_count(a)
    x = load_wide(a, 0)
    store(out, 0, x + splat_wide(a, 1.0))
    store(out, wide, sum_registers(x))
    store(out, wide + lanes, larger_registers(x))
    out[wide + 2 * lanes] = larger_lane(x)


def test_wide_vectors(dtype, rng):
    lanes = machine.lanes(dtype)
    wide = WIDE * lanes
    a = rng.integers(-99, 99, wide).astype(dtype)
    out = np.zeros(wide + 2 * lanes + 1, dtype)
    _wide(a, out)
    registers = a.reshape(WIDE, lanes)
    np.testing.assert_array_equal(out, [*(a + 1), *registers.sum(0), *registers.max(0), a.max()])


@jit
def _fill_wide(a, out, count):
    store(out, 0, load_wide_partial(a, 0, count, -9.0))


@ends
def test_partial_wide_loads(dtype, end):
    wide = WIDE * machine.lanes(dtype)
    for count in (0, 1, wide // 2, wide - 1, wide):
        out = np.empty(wide, dtype)
        _fill_wide(place(np.arange(1, count + 1).astype(dtype), end), out, count)
        np.testing.assert_array_equal(out, [*range(1, count + 1)] + [-9.0] * (wide - count))


@jit
def _stream(a, out):
    start = until_aligned(out, 0)
    for i in range(start, out.size - lane_count(a) + 1, lane_count(a)):
        store_streaming(out, i, load(a, i))
    streaming_done()
    return start


def test_streaming_stores(dtype):
    lanes = machine.lanes(dtype)
    a, memory = np.arange(1.0, 8 * lanes + 1).astype(dtype), np.zeros(9 * lanes, dtype)
    for shift in range(lanes):
        out = memory[shift : shift + 8 * lanes]
        out[...] = 0
        start = _stream(a, out)
        assert 0 <= start < lanes
        assert (out.ctypes.data + start * out.itemsize) % machine.vector_bytes() == 0
        stop = start + (out.size - start) // lanes * lanes
        np.testing.assert_array_equal(out[start:stop], a[start:stop])
        assert not out[:start].any()
        assert not out[stop:].any()


# --- tiles -----------------------------------------------------------------------------------------------------------

ROWS, VECTORS = 3, 2


@jit
def _product(a, b, c, depth, columns, how):
    A, B, C = view(a), view(b), view(c)
    acc = tile_zeros(a, ROWS, VECTORS)
    for p in range(depth):
        acc = tile_outer(acc, A.column(p), B.row(p))  # A is (ROWS, depth), B is (depth, width)
    if how == 0:
        tile_store(C, acc)
    elif how == 1:
        tile_add(C, acc)
    elif how == 2:
        tile_store_partial(C, columns, acc)
    elif how == 3:
        tile_add_partial(C, columns, acc)
    else:
        tile_store(C, tile_plus(acc, C))


@jit
def _plus_between(c, first, stop, out):
    acc = tile_zeros(c, ROWS, VECTORS)
    tile_store(view(out), tile_plus_between(acc, view(c).column(-first), first, stop))  # all of c, from `first` on


@ends
@pytest.mark.parametrize("add", [False, True])
def test_outer_products_and_stores(dtype, rng, end, add):
    width, depth = VECTORS * machine.lanes(dtype), 5
    a = place(rng.integers(-9, 9, (ROWS, depth)).astype(dtype), end)
    b = place(rng.integers(-9, 9, (depth, width)).astype(dtype), end)
    start = rng.integers(-9, 9, (ROWS, width)).astype(dtype)
    c = place(start, end)
    _product(a, b, c, depth, 0, int(add))
    np.testing.assert_array_equal(c, whole(a) @ whole(b) + add * start)
    c = place(start, end)
    _product(a, b, c, depth, 0, 4)
    np.testing.assert_array_equal(c, whole(a) @ whole(b) + start)
    for columns in range(1, width + 1):
        c = place(start[:, :columns].copy(), end)
        _product(a, b, c, depth, columns, 2 + add)
        np.testing.assert_array_equal(c, (whole(a) @ whole(b) + add * start)[:, :columns])


@ends
def test_plus_between(dtype, rng, end):
    width = VECTORS * machine.lanes(dtype)
    for first, stop in itertools.combinations(range(width + 1), 2):
        c, out = place(rng.integers(1, 9, (ROWS, stop - first)).astype(dtype), end), np.empty((ROWS, width), dtype)
        _plus_between(c, first, stop, out)
        np.testing.assert_array_equal(out, np.pad(c, ((0, 0), (first, width - stop))))


# --- views -----------------------------------------------------------------------------------------------------------


@jit
def _elements(x, i, j):
    X = view(x)
    inner = X.at(i, j)
    X.T[j, i] += 1
    inner[1] = 5  # of the first row
    return inner[0, 0], inner[1, -1], inner.T[0, 1], X.row(i)[j], X.column(j)[i, 0], X.row_stride, X.column_stride


@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_views_read_and_write_any_layout(dtype, layout):
    a = np.arange(80.0).astype(dtype).reshape(8, 10)
    x = {"C": a[:4, :5].copy(), "F": np.asfortranarray(a[:4, :5]), "strided": a[::-2, ::2]}[layout]
    before, (i, j) = x.copy(), (2, 1)
    values = _elements(x, i, j)
    assert values[:5] == (before[i, j] + 1, before[i + 1, j - 1], before[i + 1, j], before[i, j] + 1, before[i, j] + 1)
    assert values[5:] == tuple(step // x.itemsize for step in x.strides)
    before[i, j] += 1
    before[i, j + 1] = 5
    np.testing.assert_array_equal(x, before)


@jit
def _first_elements(row, column, batch, n, m):
    plane, of_memory = matrix_at(batch, (n, m)), strided(flat(batch), 7, 2)
    return view(row)[2], view(row)[0, 2], view(column).column_stride, plane[1, 2], of_memory[1, 3], of_memory.T[3, 1]


def test_views_of_rows_columns_batches_and_memory(dtype):
    batch = np.arange(2.0 * 3 * 4 * 5).astype(dtype).reshape(2, 3, 4, 5)
    column = np.lib.stride_tricks.as_strided(batch, (4, 1), (20, 12))  # one column has no stride of its own
    found = _first_elements(batch[0, 0, :, 0], column, batch, 1, 2)
    assert found == (10, 10, 1, batch[1, 2, 1, 2], 13, 13)
    backwards = batch[::-1, :, :, ::2]
    assert _first_elements(batch[0, 0, 0], column, backwards, 1, 2)[3] == backwards[1, 2, 1, 2]


@jit
def _vectors(x, out):
    X, lanes = view(x), lane_count(view(x))
    store(out, 0, load(X.row(1), lanes))
    store_partial(view(out).column(lanes), 0, 2, load_partial(X.at(2, lanes), 0, 2, 0.0))
    prefetch(X.row(1), 3)


@ends
def test_vectors_of_views(dtype, end):
    lanes = machine.lanes(dtype)
    x = place(np.arange(6.0 * lanes).astype(dtype).reshape(3, 2 * lanes), end)
    out = place(np.zeros(lanes + 2, dtype), end)
    _vectors(x, out)
    np.testing.assert_array_equal(out, [*x[1, lanes:], *x[2, lanes : lanes + 2]])


# --- tiles on short rows ---------------------------------------------------------------------------------------------


@jit
def _narrow_product(a, b, c, depth, columns):
    acc = tile_zeros(a, ROWS, VECTORS)
    for p in range(depth):
        acc = tile_outer_partial(acc, view(a).column(p), view(b).row(p), columns)
    tile_store(view(c), acc)


def whole(x):
    """As integers: BLAS may raise the flag of an invalid operation over the NaNs beside a guarded array."""
    return x.astype(np.int64)


@ends
def test_outer_products_of_short_rows(dtype, rng, end):
    width, depth = VECTORS * machine.lanes(dtype), 5
    a = place(rng.integers(-9, 9, (ROWS, depth)).astype(dtype), end)
    for columns in range(1, width + 1):
        b = place(rng.integers(-9, 9, (depth, columns)).astype(dtype), end)
        c = np.empty((ROWS, width), dtype)
        _narrow_product(a, b, c, depth, columns)
        np.testing.assert_array_equal(c, np.pad(whole(a) @ whole(b), ((0, 0), (0, width - columns))))


@jit
def _spread_rows(bias, j, columns, c):
    tile_store(view(c), tile_rows(view(bias).column(j), columns, ROWS, VECTORS))


@ends
def test_rows_of_a_bias(dtype, end):
    width = VECTORS * machine.lanes(dtype)
    for columns in range(width + 1):
        bias = place(np.arange(1, columns + 3).astype(dtype), end)
        c = np.empty((ROWS, width), dtype)
        _spread_rows(bias, 2, columns, c)
        np.testing.assert_array_equal(c, [[*range(3, columns + 3)] + [0] * (width - columns)] * ROWS)


@jit
def _dots(a, b, sums, depth):
    acc = tile_zeros(a, ROWS, VECTORS)
    for p in range(0, depth, lane_count(a)):
        acc = tile_dot(acc, view(a).column(p), view(b).column(p), min(lane_count(a), depth - p))
    tile_add_sums(view(sums).column(1), acc)


@ends
def test_dot_products(dtype, rng, end):
    lanes = machine.lanes(dtype)
    for depth in (1, lanes - 1, lanes, 2 * lanes + 1):
        a = place(rng.integers(-9, 9, (ROWS, depth)).astype(dtype), end)
        b = place(rng.integers(-9, 9, (VECTORS, depth)).astype(dtype), end)
        sums = place(np.ones((ROWS, VECTORS + 1), dtype), end)
        _dots(a, b, sums, depth)
        np.testing.assert_array_equal(sums[:, 1:], 1 + whole(a) @ whole(b).T)
        assert (sums[:, 0] == 1).all()


@jit
def _transpose(x, out):
    tile_store(view(out), square_transpose(square_load(view(x).column(1))))


@jit
def _load_square(x, rows, columns, out):
    tile_store(view(out), square_load_partial(view(x), rows, columns))


def test_square_transpose(dtype):
    lanes = machine.lanes(dtype)
    x = np.arange(lanes * (lanes + 2)).astype(dtype).reshape(lanes, lanes + 2)
    out = np.empty((lanes, lanes), dtype)
    _transpose(x, out)
    np.testing.assert_array_equal(out, x[:, 1 : lanes + 1].T)


@jit
def _sum_square(x, out):
    store(out, 0, square_sums(square_load(view(x))))


def test_square_sums(rng, dtype):
    lanes = machine.lanes(dtype)
    x, out = rng.integers(-99, 99, (lanes, lanes)).astype(dtype), np.empty(lanes, dtype)
    _sum_square(x, out)
    np.testing.assert_array_equal(out, x.sum(axis=1))


@ends
def test_partial_square_loads(dtype, end):
    lanes = machine.lanes(dtype)
    for rows, columns in [(1, 1), (1, lanes), (lanes, 1), (lanes, lanes), (lanes - 1, lanes - 1), (2, 2)]:
        x = place(np.arange(1, rows * columns + 1).astype(dtype).reshape(rows, columns), end)
        out = np.empty((lanes, lanes), dtype)
        _load_square(x, rows, columns, out)
        np.testing.assert_array_equal(out, np.pad(x, ((0, lanes - rows), (0, lanes - columns))))


# --- lanes moved -----------------------------------------------------------------------------------------------------


@jit
def _shuffled(a, b, out):
    x, y, lanes = load(a, 0), load(b, 0), lane_count(a)
    store(out, 0, even_lanes(x, y))
    store(out, lanes, odd_lanes(x, y))
    store(out, 2 * lanes, interleave_low(x, y))
    store(out, 3 * lanes, interleave_high(x, y))
    store(out, 4 * lanes, lanes_before(x, y))


def test_shuffles(dtype):
    lanes = machine.lanes(dtype)
    both, out = np.arange(2 * lanes).astype(dtype), np.empty(5 * lanes, dtype)
    a, b = both[:lanes].copy(), both[lanes:].copy()
    _shuffled(a, b, out)
    between = np.stack([a, b], 1).ravel()
    expected = [both[::2], both[1::2], between[:lanes], between[lanes:], both[lanes - 1 : -1]]
    np.testing.assert_array_equal(out, np.concatenate(expected))


# --- scans across lanes ----------------------------------------------------------------------------------------------


@jit
def _scans(x, out):
    lanes, doubles = double_count(x), load_doubles(x, 0)
    store_doubles(out, 0, sums_so_far(doubles))
    store_doubles(out, lanes, sums_to_end(doubles))
    store_doubles(out, 2 * lanes, products_so_far(doubles))
    out[3 * lanes], out[3 * lanes + 1] = first_lane(doubles), last_lane(doubles)


@ends
def test_scans_in_doubles(dtype, end):
    lanes = machine.lanes(np.float64)
    x = place(np.array([3, 1, -2, 5, 1, 2, -4, 7], dtype)[:lanes], end)
    out = place(np.full(3 * lanes + 2, np.nan, dtype), end)
    _scans(x, out)
    expected = [np.cumsum(x), np.cumsum(x[::-1])[::-1], np.cumprod(x), x[[0, -1]]]
    np.testing.assert_array_equal(out, np.concatenate(expected))


@jit
def _extremes_so_far(x, out):
    store(out, 0, maxima_so_far(load(x, 0)))
    store(out, lane_count(x), minima_so_far(load(x, 0)))


def test_extremes_so_far(dtype, rng):
    lanes = machine.lanes(dtype)
    x, out = rng.standard_normal(lanes).astype(dtype), np.empty(2 * lanes, dtype)
    for nan in (None, *range(lanes)):
        values = x.copy()
        if nan is not None:
            values[nan] = np.nan
        _extremes_so_far(values, out)
        expected = [np.maximum.accumulate(values), np.minimum.accumulate(values)]
        np.testing.assert_array_equal(out, np.concatenate(expected))


@jit
def _store_between(out, first, stop, x):
    store_between(out, -first, first, stop, load(x, 0))


@ends
def test_store_between(dtype, end):
    lanes = machine.lanes(dtype)
    x = np.arange(1, lanes + 1).astype(dtype)
    for first in range(lanes):
        for stop in (first + 1, lanes // 2, lanes, lanes + 3):
            kept = max(min(stop, lanes) - first, 0)
            out = place(np.zeros(max(kept, 1), dtype), end)
            _store_between(out, first, stop, x)
            np.testing.assert_array_equal(out[:kept], x[first : first + kept])


@jit
def _load_between(x, first, stop, out):
    store(out, 0, load_between(x, -first, first, stop))


@ends
def test_load_between(dtype, end):
    lanes = machine.lanes(dtype)
    for first in range(-2, lanes):
        for stop in (first + 1, lanes // 2, lanes, lanes + 3):
            low, kept = max(first, 0), max(min(stop, lanes) - max(first, 0), 0)
            x = place(np.arange(1, max(kept, 1) + max(-first, 0) + 1).astype(dtype), end)
            out = np.full(lanes, np.nan, dtype)
            _load_between(x, first, stop, out)
            expected = np.zeros(lanes, dtype)
            expected[low : low + kept] = x[low - first : low - first + kept]
            np.testing.assert_array_equal(out, expected)


@jit
def _store_every_second(out, count, x):
    store_every_second(out, 0, count, load(x, 0))


@ends
def test_store_every_second(dtype, end):
    lanes = machine.lanes(dtype)
    x = np.arange(1, lanes + 1).astype(dtype)
    for count in (1, 2, lanes // 2, lanes - 1, lanes, lanes + 3):
        kept = min(count, lanes)
        out = place(np.zeros(2 * kept - 1, dtype), end)
        _store_every_second(out, count, x)
        np.testing.assert_array_equal(out[::2], x[:kept])
        np.testing.assert_array_equal(out[1::2], 0)


@jit
def _bytes_there_and_back(small, like, wide, back):
    lanes = lane_count(like)
    for i in range(0, small.size, lanes):
        x = load_bytes(small, i, small.size - i, like)
        store_partial(wide, i, small.size - i, x)
        store_bytes(back, i, small.size - i, x)


@ends
@pytest.mark.parametrize("size", [1, 3, 4, 15, 16, 17, 256])
def test_bytes(dtype, end, size):
    small = place(np.linspace(0, 255, size).astype(np.uint8), end)
    wide, back = place(np.zeros(size, dtype), end), place(np.zeros(size, np.uint8), end)
    _bytes_there_and_back(small, wide, wide, back)
    np.testing.assert_array_equal(wide, small)
    np.testing.assert_array_equal(back, small)


# --- maths -----------------------------------------------------------------------------------------------------------


def over(function):
    """Jitted ``loop(x, out)`` with `function` of `kernels.simd` on every vector."""

    @jit
    def loop(x, out):
        for i in range(0, x.size, lane_count(x)):
            store_partial(out, i, x.size - i, function(load_partial(x, i, x.size - i, 0.0)))

    return loop


MATHS = {name: over(getattr(simd, name)) for name in ("exp", "log", "log1p", "tanh", "sigmoid", "erf")}
LIMITS = {"exp": 2, "log": 2, "log1p": 4, "tanh": 4, "sigmoid": 4, "erf": 4}  # ULP at most
EXTENDED = np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant  # 80 bits on x86
# Where the value is neither constant nor an infinity, in float32 and float64.
SPANS = {
    "exp": {np.float32: (-104, 89), np.float64: (-746, 710)},
    "log": {np.float32: (0, 4), np.float64: (0, 4)},
    "log1p": {np.float32: (-1, 3), np.float64: (-1, 3)},
    "tanh": {np.float32: (-10, 10), np.float64: (-20, 20)},
    "sigmoid": {np.float32: (-104, 20), np.float64: (-746, 40)},
    "erf": {np.float32: (-4, 4), np.float64: (-6, 6)},
}


def samples(name, dtype, count, rng):
    """Numbers of every exponent and sign (denormals and infinities among them), and many where the function varies."""
    bits = np.uint32 if dtype == np.float32 else np.uint64
    everywhere = rng.integers(0, np.iinfo(bits).max, count, bits, endpoint=True).view(dtype)
    small = np.exp2(rng.uniform(-30, 1, count // 2)) * rng.choice([-1, 1], count // 2)
    edges = np.array([0, -0.0, np.inf, -np.inf, 1, -1, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal])
    parts = [everywhere, rng.uniform(*SPANS[name][dtype], count), small, edges]
    x = np.concatenate([part.astype(dtype) for part in parts])
    return x[~np.isnan(x)]


def wide_sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def precise(name, x):
    """Values of a function at more precision than `x` has: float64 for float32, else extended."""
    numpy = {"exp": np.exp, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "sigmoid": wide_sigmoid}
    if x.dtype == np.float32:
        return np.vectorize(math.erf)(x.astype(np.float64)) if name == "erf" else numpy[name](x.astype(np.float64))
    if EXTENDED and name != "erf":
        return numpy[name](x.astype(np.longdouble))
    function = (lambda v: 1 / (1 + mpmath.exp(-v))) if name == "sigmoid" else getattr(mpmath, name)
    with mpmath.workprec(120):
        real = [function(mpmath.mpf(float(v))) for v in x]
        return np.array([v if isinstance(v, mpmath.mpf) else mpmath.nan for v in real])


def ulps(actual, exact):
    """Errors in units of the last place of the rounded exact values; infinite where infinities or NaNs differ."""
    rounded = exact.astype(actual.dtype)
    same = (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
    finite = np.isfinite(actual) & np.isfinite(rounded)
    errors = np.where(same, 0, np.inf)
    unit = np.spacing(np.abs(rounded[finite])).astype(exact.dtype)
    errors[finite] = (np.abs(actual[finite].astype(exact.dtype) - exact[finite]) / unit).astype(np.float64)
    return errors


@pytest.mark.parametrize("name", MATHS)
def test_largest_errors(dtype, rng, name):
    slow = dtype == np.float64 and (name == "erf" or not EXTENDED)
    x = samples(name, dtype, 4_000 if slow else 1_000_000, rng)
    actual = np.empty_like(x)
    MATHS[name](x, actual)
    with np.errstate(all="ignore"):
        largest = ulps(actual, precise(name, x)).max()
    stated = float(re.search(r"Maximum error (\S+) ULP", getattr(simd, name).__doc__)[1])
    assert stated <= LIMITS[name]
    assert 0.75 * stated < largest <= stated


INFINITY, NAN = math.inf, math.nan
SPECIALS = {
    "exp": [(0, 1), (INFINITY, INFINITY), (-INFINITY, 0), (NAN, NAN), (1000, INFINITY), (-1000, 0)],
    "log": [(0, -INFINITY), (-0.0, -INFINITY), (1, 0), (INFINITY, INFINITY), (-INFINITY, NAN), (-1, NAN), (NAN, NAN)],
    "log1p": [(0, 0), (-1, -INFINITY), (INFINITY, INFINITY), (-INFINITY, NAN), (-2, NAN), (NAN, NAN), (1e-30, 1e-30)],
    "tanh": [(0, 0), (100, 1), (-100, -1), (INFINITY, 1), (-INFINITY, -1), (NAN, NAN), (1e-30, 1e-30)],
    "sigmoid": [(0, 0.5), (100, 1), (INFINITY, 1), (-INFINITY, 0), (-1000, 0), (NAN, NAN)],
    "erf": [(0, 0), (10, 1), (-10, -1), (INFINITY, 1), (-INFINITY, -1), (NAN, NAN)],
}


@pytest.mark.parametrize("name", MATHS)
def test_special_values(dtype, name):
    x, expected = np.array(SPECIALS[name], dtype).T.copy()
    actual = np.empty_like(x)
    MATHS[name](x, actual)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_odd_functions_keep_the_sign_of_zero(dtype, name):
    actual = np.empty(2, dtype)
    MATHS[name](np.array([0.0, -0.0], dtype), actual)
    assert list(np.signbit(actual)) == [False, True]


@pytest.mark.parametrize("name", MATHS)
def test_maths_are_for_jitted_code(name):
    with pytest.raises(NotImplementedError, match=f"^{name}: for vectors in jitted code$"):
        getattr(simd, name)(1.0)


# --- of the whole ----------------------------------------------------------------------------------------------------

DOUBLE = re.compile(r"x double>|fpext|\b(?:fadd|fsub|fmul|fdiv|fcmp)\b[^\n]* double\b")


def test_float32_loops_compute_in_float32():
    """Python's numbers are float64; beside a float32 vector they must not make it one."""
    for dtype, double in ((np.float32, False), (np.float64, True)):
        x, out = np.ones(64, dtype), np.ones((8, 64), dtype)
        calls = {_with_scalars: (x, out), _fma: (x, x, x, out), _dots: (x, x, out, 3), _product: (x, x, out, 1, 1, 1)}
        for loop, arguments in (calls | {loop: (x, out) for loop in MATHS.values()}).items():
            loop(*arguments)
            signature = next(s for s in loop.signatures if s[0].dtype.name == dtype.__name__)
            assert bool(DOUBLE.search(loop.inspect_llvm(signature))) == double


@jit
def _quotient(x, out):
    store(out, 0, load(x, 0) * (load(x, 0) / (load(x, 0) + 1.0)))


def test_fast_math_reorders_sums_but_no_products():
    """x * (n / d) is a number where (x * n) / d is not."""
    x, out = np.full(64, 3e38, np.float32), np.empty(64, np.float32)
    _quotient(x, out)
    assert out[0] == x[0]
    text = _quotient.inspect_llvm(_quotient.signatures[0])
    flags = {name: set(re.findall(rf"= {name} ((?:\w+ )*)<\d+ x float>", text)) for name in ("fadd", "fmul", "fdiv")}
    assert all("reassoc" in found for found in flags["fadd"]) and flags["fadd"]
    assert not any("reassoc" in found for found in flags["fmul"]) and flags["fmul"]
    assert not any("reassoc" in found or "arcp" in found for found in flags["fdiv"]) and flags["fdiv"]


def test_every_intrinsic_is_tested():
    names = {name for name, value in vars(simd).items() if callable(value) and not name.startswith("_")}
    source = Path(__file__).read_text()
    assert len(names) > 30
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\(|\"{name}\"", source)] == []


@pytest.mark.parametrize("lanes", sorted({4, 8, 16} - {machine.lanes(np.float32)}))
def test_at_other_widths(lanes):
    """This file again, in a process that takes vectors to be narrower or wider; errors are measured once."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", __file__]
    command += ["-k", "not other_widths and not largest"]
    run = subprocess.run(
        command, env=os.environ | {machine.LANES_VARIABLE: str(lanes)}, capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stdout[-3000:]

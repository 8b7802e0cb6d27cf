"""Register tiles: the accumulator of a matrix product, `rows` x `vectors` registers held as one Numba value.

The rank-1 update is emitted as one fused multiply-add a register, so nothing depends on the compiler's unroller or
vectoriser; while rows * vectors + vectors + 1 does not exceed the CPU's vector registers, the whole tile stays in them.

                  b[0:L]  b[L:2L]          L lanes a vector
          a[0]  |  acc00    acc01 |        acc[r][v] += a[r] * b[v*L : (v+1)*L]
          a[1]  |  acc10    acc11 |
"""

from llvmlite import ir
from numba import types

from kernels._plain import intrinsic
from kernels.simd.emit import (
    emit_across,
    emit_fma,
    emit_load,
    emit_mask,
    emit_masked_load,
    emit_masked_store,
    emit_splat,
    emit_store,
    vector_ir,
    vector_of,
)
from kernels.simd.memory import emit_pointer
from kernels.simd.tile import Tile, _tile_type


def _undefined(context, tile):
    return ir.Constant(context.get_value_type(tile), ir.Undefined)


def _plus(builder, start, constant):
    return builder.add(start, ir.Constant(start.type, constant)) if constant else start


def _plus_times(builder, start, step, times):
    """start + step * times, `times` being known at compile time."""
    return builder.add(start, builder.mul(step, ir.Constant(start.type, times))) if times else start


@intrinsic(prefer_literal=True)
def tile_rows(typingctx, bias, j, columns, rows, vectors):
    """``acc[r, :] = bias[j : j + columns]`` in every row, 0 past `columns`: a product that starts from its bias."""
    tile = _tile_type(bias, rows, vectors)
    if tile is None:
        return None

    def lower(context, builder, signature, arguments):
        array, start, columns = arguments[:3]
        row = _load_row(context, builder, tile, bias, array, start, columns)
        acc = _undefined(context, tile)
        for index in range(tile.rows * tile.vectors):
            acc = builder.insert_value(acc, row[index % tile.vectors], index)
        return acc

    return tile(bias, types.intp, types.intp, rows, vectors), lower


def _load_row(context, builder, tile, array_type, array, start, columns=None):
    """The tile-wide row at `start`; where `columns` is given, lanes past it are zero and their memory is not read."""
    lanes = tile.vector.lanes
    vectors = []
    for v in range(tile.vectors):
        pointer = emit_pointer(context, builder, array_type, array, _plus(builder, start, v * lanes))
        if columns is None:
            vectors.append(emit_load(builder, tile.vector, pointer))
        else:
            zero = ir.Constant(vector_ir(tile.vector), [0.0] * lanes)
            mask = emit_mask(builder, lanes, _plus(builder, columns, -v * lanes))
            vectors.append(emit_masked_load(builder, tile.vector, pointer, mask, zero))
    return vectors


@intrinsic
def square_load(typingctx, x, start, stride):
    """A tile of lanes x 1 vectors: ``acc[r, :] = x[start + r * stride : + lanes]``."""
    vector = vector_of(x)
    tile = Tile(vector, vector.lanes, 1)

    def lower(context, builder, signature, arguments):
        array, start, stride = arguments
        acc = _undefined(context, tile)
        for r in range(tile.rows):
            row = _load_row(context, builder, tile, x, array, _plus_times(builder, start, stride, r))
            acc = builder.insert_value(acc, row[0], r)
        return acc

    return tile(x, types.intp, types.intp), lower


@intrinsic
def square_load_partial(typingctx, x, start, stride, rows, columns):
    """`square_load` where only `rows` rows of `columns` elements exist: zeros beyond, which are not read."""
    vector = vector_of(x)
    tile = Tile(vector, vector.lanes, 1)

    def lower(context, builder, signature, arguments):
        array, start, stride, rows, columns = arguments
        acc = _undefined(context, tile)
        for r in range(tile.rows):
            present = builder.icmp_signed("<", ir.Constant(rows.type, r), rows)
            width = builder.select(present, columns, ir.Constant(rows.type, 0))
            row = _load_row(context, builder, tile, x, array, _plus_times(builder, start, stride, r), width)
            acc = builder.insert_value(acc, row[0], r)
        return acc

    return tile(x, types.intp, types.intp, types.intp, types.intp), lower


def _update(context, builder, acc, value, a_type, a, ia, step, row):
    """One fused multiply-add a register of the tile."""
    for r in range(acc.rows):
        pointer = emit_pointer(context, builder, a_type, a, _plus_times(builder, ia, step, r))
        spread = emit_splat(builder, acc.vector, builder.load(pointer))
        for v in range(acc.vectors):
            index = r * acc.vectors + v
            updated = emit_fma(builder, acc.vector, spread, row[v], builder.extract_value(value, index))
            value = builder.insert_value(value, updated, index)
    return value


@intrinsic
def tile_outer(typingctx, acc, a, ia, step, b, ib):
    """``acc[r, :] += a[ia + r * step] * b[ib : ib + width]`` for every row r: the rank-1 update."""

    def lower(context, builder, signature, arguments):
        value, a_array, ia, step, b_array, ib = arguments
        row = _load_row(context, builder, acc, b, b_array, ib)
        return _update(context, builder, acc, value, a, a_array, ia, step, row)

    return acc(acc, a, types.intp, types.intp, b, types.intp), lower


@intrinsic
def tile_outer_partial(typingctx, acc, a, ia, step, b, ib, columns):
    """`tile_outer` where a row of `b` has only `columns` elements: zeros beyond, which are not read."""

    def lower(context, builder, signature, arguments):
        value, a_array, ia, step, b_array, ib, columns = arguments
        row = _load_row(context, builder, acc, b, b_array, ib, columns)
        return _update(context, builder, acc, value, a, a_array, ia, step, row)

    return acc(acc, a, types.intp, types.intp, b, types.intp, types.intp), lower


@intrinsic
def tile_plus(typingctx, acc, c, start, stride):
    """``acc[r, :] + c[start + r * stride : ... + width]`` for every row r."""

    def lower(context, builder, signature, arguments):
        value, array, start, stride = arguments
        for r in range(acc.rows):
            row = _load_row(context, builder, acc, c, array, _plus_times(builder, start, stride, r))
            for v in range(acc.vectors):
                index = r * acc.vectors + v
                total = builder.fadd(builder.extract_value(value, index), row[v])
                value = builder.insert_value(value, total, index)
        return value

    return acc(acc, c, types.intp, types.intp), lower


def _store(accumulate, partial):
    """A store of a whole tile: plain or added to what is there, of full width or of the first `columns` only."""

    def function(typingctx, c, start, stride, *rest):
        acc = rest[-1]
        index_types = [types.intp] * (3 if partial else 2)

        def lower(context, builder, signature, arguments):
            array, start, stride, *columns, value = arguments
            lanes = acc.vector.lanes
            if partial:
                masks = [emit_mask(builder, lanes, _plus(builder, *columns, -v * lanes)) for v in range(acc.vectors)]
            for index in range(acc.rows * acc.vectors):
                r, v = divmod(index, acc.vectors)
                vector = builder.extract_value(value, index)
                offset = _plus(builder, _plus_times(builder, start, stride, r), v * lanes)
                pointer = emit_pointer(context, builder, c, array, offset)
                if accumulate:
                    zero = ir.Constant(vector.type, [0.0] * lanes)
                    before = (
                        emit_masked_load(builder, acc.vector, pointer, masks[v], zero)
                        if partial
                        else emit_load(builder, acc.vector, pointer)
                    )
                    vector = builder.fadd(before, vector)
                if partial:
                    emit_masked_store(builder, acc.vector, vector, pointer, masks[v])
                else:
                    emit_store(builder, acc.vector, vector, pointer)
            return context.get_dummy_value()

        return types.void(c, *index_types, acc), lower

    return function


_store_full, _add_full = _store(False, False), _store(True, False)
_store_partial, _add_partial = _store(False, True), _store(True, True)


@intrinsic
def tile_store(typingctx, c, start, stride, acc):
    """``c[start + r * stride : ... + width] = acc[r, :]`` for every row r."""
    return _store_full(typingctx, c, start, stride, acc)


@intrinsic
def tile_add(typingctx, c, start, stride, acc):
    """``c[start + r * stride : ... + width] += acc[r, :]`` for every row r."""
    return _add_full(typingctx, c, start, stride, acc)


@intrinsic
def tile_store_partial(typingctx, c, start, stride, columns, acc):
    """`tile_store` of the first `columns` columns, touching no memory past them."""
    return _store_partial(typingctx, c, start, stride, columns, acc)


@intrinsic
def tile_add_partial(typingctx, c, start, stride, columns, acc):
    """`tile_add` of the first `columns` columns, touching no memory past them."""
    return _add_partial(typingctx, c, start, stride, columns, acc)


@intrinsic
def tile_dot(typingctx, acc, a, ia, a_step, b, ib, b_step, count):
    """``acc[r, s] += a[ia + r * a_step : + lanes] * b[ib + s * b_step : + lanes]``, lane by lane, for every r and s.

    Here a tile's entries are partial sums of dot products along a contiguous axis; from `count` on lanes are zero
    and not read (pass lanes for a whole step).
    """

    def lower(context, builder, signature, arguments):
        value, a_array, ia, a_step, b_array, ib, b_step, count = arguments
        mask = emit_mask(builder, acc.vector.lanes, count)
        zero = ir.Constant(vector_ir(acc.vector), [0.0] * acc.vector.lanes)

        def read(array_type, array, start, step, times):
            pointer = emit_pointer(context, builder, array_type, array, _plus_times(builder, start, step, times))
            return emit_masked_load(builder, acc.vector, pointer, mask, zero)

        row = [read(b, b_array, ib, b_step, s) for s in range(acc.vectors)]
        for r in range(acc.rows):
            left = read(a, a_array, ia, a_step, r)
            for s in range(acc.vectors):
                index = r * acc.vectors + s
                updated = emit_fma(builder, acc.vector, left, row[s], builder.extract_value(value, index))
                value = builder.insert_value(value, updated, index)
        return value

    return acc(acc, a, types.intp, types.intp, b, types.intp, types.intp, types.intp), lower


@intrinsic
def tile_store_sums(typingctx, c, start, stride, step, acc):
    """``c[start + r * stride + s * step] += sum(acc[r, s])`` over the lanes, for every r and s."""

    def lower(context, builder, signature, arguments):
        array, start, stride, step, value = arguments
        for index in range(acc.rows * acc.vectors):
            r, s = divmod(index, acc.vectors)
            total = emit_across(builder, acc.vector.lanes, builder.extract_value(value, index), builder.fadd)
            offset = _plus_times(builder, _plus_times(builder, start, stride, r), step, s)
            pointer = emit_pointer(context, builder, c, array, offset)
            builder.store(builder.fadd(builder.load(pointer), total), pointer)
        return context.get_dummy_value()

    return types.void(c, types.intp, types.intp, types.intp, acc), lower

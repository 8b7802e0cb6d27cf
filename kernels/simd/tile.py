"""Register tiles: the accumulator of a matrix product, `rows` x `vectors` registers held as one Numba value.

The rank-1 update is emitted as one fused multiply-add a register, so nothing depends on the compiler's unroller or
vectoriser; while rows * vectors + vectors + 1 does not exceed the CPU's vector registers, the whole tile stays in them.

                  b[0:L]  b[L:2L]          L lanes a vector
          a[0]  |  acc00    acc01 |        acc[r][v] += a[r] * b[v*L : (v+1)*L]
          a[1]  |  acc10    acc11 |
"""

from llvmlite import ir
from numba import types
from numba.core.datamodel import models, register_default

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
from kernels.simd.view import emit_element, parts

_WORD = ir.IntType(64)


class Tile(types.Type):
    """`rows` x `vectors` vectors."""

    def __init__(self, vector, rows, vectors):
        self.vector, self.rows, self.vectors = vector, rows, vectors
        super().__init__(name=f"Tile({vector}, {rows}, {vectors})")


@register_default(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.ArrayType(vector_ir(fe_type.vector), fe_type.rows * fe_type.vectors))


def _tile_type(array, rows, vectors):
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    return Tile(vector_of(array), rows.literal_value, vectors.literal_value)


def _undefined(context, tile):
    return ir.Constant(context.get_value_type(tile), ir.Undefined)


def _insert(builder, acc, registers):
    """The tile that is made of these registers, row by row."""
    for index, register in enumerate(registers):
        acc = builder.insert_value(acc, register, index)
    return acc


@intrinsic(prefer_literal=True)
def tile_zeros(typingctx, like, rows, vectors):
    """``acc = zeros((rows, vectors * lanes))`` in the dtype of `like`; rows and vectors are constants."""
    tile = _tile_type(like, rows, vectors)
    if tile is None:
        return None

    def lower(context, builder, signature, arguments):
        zero = ir.Constant(vector_ir(tile.vector), [0.0] * tile.vector.lanes)
        return _insert(builder, _undefined(context, tile), [zero] * (tile.rows * tile.vectors))

    return tile(like, rows, vectors), lower


@intrinsic(prefer_literal=True)
def tile_rows(typingctx, row, columns, rows, vectors):
    """``acc[r, :] = row[:columns]`` for every r, 0 beyond `columns`: a product that starts from its bias."""
    tile = _tile_type(row, rows, vectors)
    if tile is None:
        return None

    def lower(context, builder, signature, arguments):
        start = emit_pointer(context, builder, row, arguments[0], ir.Constant(_WORD, 0))
        registers = _load_row(builder, tile, start, arguments[1])
        return _insert(builder, _undefined(context, tile), registers * tile.rows)

    return tile(row, types.intp, rows, vectors), lower


# --- addresses -------------------------------------------------------------------------------------------------------


def _right(builder, pointer, elements):
    """The address `elements`, known at compile time, to the right."""
    return builder.gep(pointer, [ir.Constant(_WORD, elements)]) if elements else pointer


def _rows_of(context, builder, kind, value, count):
    """The addresses of the first `count` rows of a view."""
    view = parts(context, builder, kind, value)
    return [emit_element(builder, view, r, 0) for r in range(count)]


def _load_row(builder, tile, pointer, columns=None):
    """A row of the tile's width; where `columns` is given, lanes beyond it are zero and their memory is not read."""
    lanes = tile.vector.lanes
    places = [_right(builder, pointer, v * lanes) for v in range(tile.vectors)]
    if columns is None:
        return [emit_load(builder, tile.vector, place) for place in places]
    zero, masks = ir.Constant(vector_ir(tile.vector), [0.0] * lanes), _masks(builder, tile, columns)
    return [
        emit_masked_load(builder, tile.vector, place, mask, zero) for place, mask in zip(places, masks, strict=True)
    ]


def _masks(builder, tile, columns):
    """For each vector of a row, which of its lanes lie before `columns`."""
    lanes = tile.vector.lanes
    lefts = [builder.sub(columns, ir.Constant(columns.type, v * lanes)) for v in range(tile.vectors)]
    return [emit_mask(builder, lanes, left) for left in lefts]


# --- square tiles: lanes x one vector --------------------------------------------------------------------------------


def _interleave(builder, lanes, a, b, first):
    """Half of the lanes of a and b, from `first` on, in turn."""
    order = [half * lanes + lane for lane in range(first, first + lanes // 2) for half in (0, 1)]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), lanes), order))


@intrinsic
def square_transpose(typingctx, acc):
    """``acc.T`` of a square tile, lanes x one vector: log2(lanes) rounds of interleaving."""
    lanes = acc.vector.lanes
    if (acc.rows, acc.vectors) != (lanes, 1):
        return None

    def lower(context, builder, signature, arguments):
        rows = [builder.extract_value(arguments[0], r) for r in range(lanes)]
        # interleaving row r with row r + lanes/2 is one step of a perfect shuffle; log2(lanes) of them transpose
        for _ in range(lanes.bit_length() - 1):
            pairs = [(rows[r], rows[r + lanes // 2]) for r in range(lanes // 2)]
            rows = [_interleave(builder, lanes, a, b, first) for a, b in pairs for first in (0, lanes // 2)]
        value = arguments[0]
        for r in range(lanes):
            value = builder.insert_value(value, rows[r], r)
        return value

    return acc(acc), lower


@intrinsic
def square_sums(typingctx, acc):
    """``[sum(acc[r, :]) for r in range(lanes)]`` of a square tile, as a vector: the transpose's rounds, each adding the
    halves that it interleaves."""
    lanes = acc.vector.lanes
    if (acc.rows, acc.vectors) != (lanes, 1):
        return None

    def lower(context, builder, signature, arguments):
        rows = [builder.extract_value(arguments[0], r) for r in range(lanes)]
        while len(rows) > 1:
            half = len(rows) // 2
            rows = [
                builder.fadd(_interleave(builder, lanes, a, b, 0), _interleave(builder, lanes, a, b, lanes // 2))
                for a, b in zip(rows[:half], rows[half:], strict=True)
            ]
        return rows[0]

    return acc.vector(acc), lower


@intrinsic
def square_load(typingctx, X):
    """A tile of lanes x 1 vectors: ``acc[r, :] = X[r, :lanes]``."""
    vector = vector_of(X)
    tile = Tile(vector, vector.lanes, 1)

    def lower(context, builder, signature, arguments):
        rows = _rows_of(context, builder, X, arguments[0], tile.rows)
        return _insert(builder, _undefined(context, tile), [emit_load(builder, vector, row) for row in rows])

    return tile(X), lower


@intrinsic
def square_load_partial(typingctx, X, rows, columns):
    """`square_load` where only `rows` rows of `columns` elements exist: zeros beyond, which are not read."""
    vector = vector_of(X)
    tile = Tile(vector, vector.lanes, 1)

    def lower(context, builder, signature, arguments):
        x, rows, columns = arguments
        registers = []
        for r, row in enumerate(_rows_of(context, builder, X, x, tile.rows)):
            present = builder.icmp_signed("<", ir.Constant(rows.type, r), rows)
            width = builder.select(present, columns, ir.Constant(rows.type, 0))
            registers += _load_row(builder, tile, row, width)
        return _insert(builder, _undefined(context, tile), registers)

    return tile(X, types.intp, types.intp), lower


# --- products --------------------------------------------------------------------------------------------------------


def _update(context, builder, tile, acc, A, a, row):
    """``acc[r, :] += A[r, 0] * row``: one fused multiply-add a register of the tile."""
    for r, pointer in enumerate(_rows_of(context, builder, A, a, tile.rows)):
        spread = emit_splat(builder, tile.vector, builder.load(pointer))
        for v in range(tile.vectors):
            index = r * tile.vectors + v
            updated = emit_fma(builder, tile.vector, spread, row[v], builder.extract_value(acc, index))
            acc = builder.insert_value(acc, updated, index)
    return acc


def _opaque(context, builder, kind, value):
    """The same view at an address that is opaque to LLVM. Otherwise LLVM computes the addresses of a column's elements
    one from another, across steps: for 14 rows a chain of 14 dependent additions a step, twice the time of the
    arithmetic of a tile one vector wide."""
    view = parts(context, builder, kind, value)
    pointer = view.data
    view.data = builder.asm(ir.FunctionType(pointer.type, [pointer.type]), "", "=r,0", [pointer], False)
    return view._getvalue()


@intrinsic
def tile_outer(typingctx, acc, column, row):
    """``acc[r, :] += column[r, 0] * row[0, :]`` for every row r: the rank-1 update."""

    def lower(context, builder, signature, arguments):
        value, a, b = arguments
        registers = _load_row(builder, acc, *_rows_of(context, builder, row, b, 1))
        return _update(context, builder, acc, value, column, a, registers)

    return acc(acc, column, row), lower


@intrinsic
def tile_outer_partial(typingctx, acc, column, row, columns):
    """`tile_outer` where `row` has only `columns` elements: zeros beyond, which are not read."""

    def lower(context, builder, signature, arguments):
        value, a, b, columns = arguments
        registers = _load_row(builder, acc, *_rows_of(context, builder, row, b, 1), columns)
        return _update(context, builder, acc, value, column, _opaque(context, builder, column, a), registers)

    return acc(acc, column, row, types.intp), lower


@intrinsic
def tile_dot(typingctx, acc, A, B, count):
    """``acc[r, s] += A[r, :count] * B[s, :count]``, lane by lane, for every r and s.

    Here a tile's entries are partial sums of dot products along a contiguous axis; from `count` on lanes are zero
    and not read (pass lanes for a whole step).
    """

    def lower(context, builder, signature, arguments):
        value, a, b, count = arguments
        mask = emit_mask(builder, acc.vector.lanes, count)
        zero = ir.Constant(vector_ir(acc.vector), [0.0] * acc.vector.lanes)

        def read(pointer):
            return emit_masked_load(builder, acc.vector, pointer, mask, zero)

        a, b = _opaque(context, builder, A, a), _opaque(context, builder, B, b)
        right = [read(pointer) for pointer in _rows_of(context, builder, B, b, acc.vectors)]
        for r, pointer in enumerate(_rows_of(context, builder, A, a, acc.rows)):
            left = read(pointer)
            for s in range(acc.vectors):
                index = r * acc.vectors + s
                updated = emit_fma(builder, acc.vector, left, right[s], builder.extract_value(value, index))
                value = builder.insert_value(value, updated, index)
        return value

    return acc(acc, A, B, types.intp), lower


@intrinsic
def tile_plus(typingctx, acc, C):
    """``acc[r, :] + C[r, :]`` for every row r."""

    def lower(context, builder, signature, arguments):
        value, c = arguments
        before = [
            register for row in _rows_of(context, builder, C, c, acc.rows) for register in _load_row(builder, acc, row)
        ]
        totals = [builder.fadd(builder.extract_value(value, i), register) for i, register in enumerate(before)]
        return _insert(builder, value, totals)

    return acc(acc, C), lower


@intrinsic
def tile_plus_between(typingctx, acc, C, first, stop):
    """``acc[r, j] + (C[r, j] if first <= j < stop else 0)`` for every row r, touching no other memory."""

    def lower(context, builder, signature, arguments):
        value, c, first, stop = arguments
        zero = ir.Constant(vector_ir(acc.vector), [0.0] * acc.vector.lanes)
        below, before = (_masks(builder, acc, bound) for bound in (first, stop))
        masks = [builder.and_(within, builder.not_(left)) for within, left in zip(before, below, strict=True)]
        totals = []
        for row in _rows_of(context, builder, C, c, acc.rows):
            for v, mask in enumerate(masks):
                place = _right(builder, row, v * acc.vector.lanes)
                register = emit_masked_load(builder, acc.vector, place, mask, zero)
                totals.append(builder.fadd(builder.extract_value(value, len(totals)), register))
        return _insert(builder, value, totals)

    return acc(acc, C, types.intp, types.intp), lower


# --- stores ----------------------------------------------------------------------------------------------------------


def _emit_store(context, builder, tile, C, c, acc, *, add, columns=None):
    """Store a whole tile, or add it to what is there: its full width, or the first `columns` columns only."""
    vector, lanes = tile.vector, tile.vector.lanes
    masks = _masks(builder, tile, columns) if columns is not None else [None] * tile.vectors
    for r, row in enumerate(_rows_of(context, builder, C, c, tile.rows)):
        for v, mask in enumerate(masks):
            value, place = builder.extract_value(acc, r * tile.vectors + v), _right(builder, row, v * lanes)
            if add and mask is None:
                value = builder.fadd(emit_load(builder, vector, place), value)
            elif add:
                zero = ir.Constant(value.type, [0.0] * lanes)
                value = builder.fadd(emit_masked_load(builder, vector, place, mask, zero), value)
            if mask is None:
                emit_store(builder, vector, value, place)
            else:
                emit_masked_store(builder, vector, value, place, mask)
    return context.get_dummy_value()


@intrinsic
def tile_store(typingctx, C, acc):
    """``C[r, :width] = acc[r, :]`` for every row r."""

    def lower(context, builder, signature, arguments):
        return _emit_store(context, builder, acc, C, *arguments, add=False)

    return types.void(C, acc), lower


@intrinsic
def tile_add(typingctx, C, acc):
    """``C[r, :width] += acc[r, :]`` for every row r."""

    def lower(context, builder, signature, arguments):
        return _emit_store(context, builder, acc, C, *arguments, add=True)

    return types.void(C, acc), lower


@intrinsic
def tile_store_partial(typingctx, C, columns, acc):
    """`tile_store` of the first `columns` columns, touching no memory beyond them."""

    def lower(context, builder, signature, arguments):
        c, columns, value = arguments
        return _emit_store(context, builder, acc, C, c, value, add=False, columns=columns)

    return types.void(C, types.intp, acc), lower


@intrinsic
def tile_add_partial(typingctx, C, columns, acc):
    """`tile_add` of the first `columns` columns, touching no memory beyond them."""

    def lower(context, builder, signature, arguments):
        c, columns, value = arguments
        return _emit_store(context, builder, acc, C, c, value, add=True, columns=columns)

    return types.void(C, types.intp, acc), lower


@intrinsic
def tile_add_sums(typingctx, C, acc):
    """``C[r, s] += sum(acc[r, s])`` over the lanes, for every r and s: the end of `tile_dot`."""

    def lower(context, builder, signature, arguments):
        view = parts(context, builder, C, arguments[0])
        for index in range(acc.rows * acc.vectors):
            total = emit_across(builder, acc.vector.lanes, builder.extract_value(arguments[1], index), builder.fadd)
            pointer = emit_element(builder, view, *divmod(index, acc.vectors))
            builder.store(builder.fadd(builder.load(pointer), total), pointer)
        return context.get_dummy_value()

    return types.void(C, acc), lower

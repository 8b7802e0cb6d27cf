"""Lanes moved between vectors, and vectors of small whole numbers kept as bytes.

Where every second element of a row belongs together, as in windows that begin two elements apart, two vectors hold one
vector of the even and one of the odd elements: two instructions separate them, two interleave them.
"""

from llvmlite import ir
from numba import types

from kernels._plain import intrinsic
from kernels.simd.emit import (
    Vector,
    call,
    emit_mask,
    emit_masked_load,
    emit_masked_store,
    is_whole,
    vector_ir,
    vector_of,
)
from kernels.simd.memory import emit_pointer

_INT32, _BYTE = ir.IntType(32), ir.IntType(8)


def _shuffle(order):
    """An intrinsic that picks from the lanes of `a` and then `b` those that ``order(lanes)`` lists."""

    def function(typingctx, a, b):
        if not isinstance(a, Vector) or a != b:
            return None

        def lower(context, builder, signature, arguments):
            pattern = ir.Constant(ir.VectorType(_INT32, a.lanes), order(a.lanes))
            return builder.shuffle_vector(*arguments, pattern)

        return a(a, b), lower

    return function


# ``[*a, *b][0::2]`` and ``[*a, *b][1::2]``; and what undoes them, the first and the last half of a[0], b[0], a[1], ...
even_lanes = intrinsic(_shuffle(lambda lanes: list(range(0, 2 * lanes, 2))))
odd_lanes = intrinsic(_shuffle(lambda lanes: list(range(1, 2 * lanes, 2))))
interleave_low = intrinsic(_shuffle(lambda lanes: [lane // 2 + lane % 2 * lanes for lane in range(lanes)]))
interleave_high = intrinsic(_shuffle(lambda lanes: [lane // 2 + lane % 2 * lanes for lane in range(lanes, 2 * lanes)]))

# ``[before[-1], *x[:-1]]``: a row of vectors moved up by one element.
lanes_before = intrinsic(_shuffle(lambda lanes: list(range(lanes - 1, 2 * lanes - 1))))


@intrinsic
def load_between(typingctx, array, i, first, stop):
    """``[array[i + lane] if first <= lane < stop else 0 for lane in range(lanes)]``, touching no other memory."""
    vector = vector_of(array)

    def lower(context, builder, signature, arguments):
        array_value, offset, first, stop = arguments
        below, within = (emit_mask(builder, vector.lanes, bound) for bound in (first, stop))
        pointer = emit_pointer(context, builder, array, array_value, offset)
        zero = ir.Constant(vector_ir(vector), [0.0] * vector.lanes)
        return emit_masked_load(builder, vector, pointer, builder.and_(within, builder.not_(below)), zero)

    return vector(array, types.intp, types.intp, types.intp), lower


@intrinsic
def store_between(typingctx, array, i, first, stop, vector):
    """``for lane in range(first, min(stop, lanes)): array[i + lane] = vector[lane]``, touching no other memory."""

    def lower(context, builder, signature, arguments):
        array_value, offset, first, stop, value = arguments
        below, within = (emit_mask(builder, vector.lanes, bound) for bound in (first, stop))
        pointer = emit_pointer(context, builder, array, array_value, offset)
        emit_masked_store(builder, vector, value, pointer, builder.and_(within, builder.not_(below)))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, vector), lower


@intrinsic
def store_every_second(typingctx, array, i, count, vector):
    """``for lane in range(min(count, lanes)): array[i + 2 * lane] = vector[lane]``, touching no other memory."""

    def lower(context, builder, signature, arguments):
        array_value, offset, count, value = arguments
        lanes = vector.lanes
        even = ir.Constant(ir.VectorType(ir.IntType(1), lanes), [lane % 2 == 0 for lane in range(lanes)])
        for start in (0, lanes):
            order = [(start + lane) // 2 for lane in range(lanes)]
            spread = builder.shuffle_vector(value, value, ir.Constant(ir.VectorType(_INT32, lanes), order))
            left = builder.sub(builder.shl(count, ir.Constant(count.type, 1)), ir.Constant(count.type, start))
            place = emit_pointer(
                context, builder, array, array_value, builder.add(offset, ir.Constant(offset.type, start))
            )
            emit_masked_store(builder, vector, spread, place, builder.and_(emit_mask(builder, lanes, left), even))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), lower


def _bytes_of(vector):
    return ir.VectorType(_BYTE, vector.lanes)


def _byte_pointer(context, builder, kind, array, offset, vector):
    return builder.bitcast(emit_pointer(context, builder, kind, array, offset), _bytes_of(vector).as_pointer())


@intrinsic
def load_bytes(typingctx, array, i, count, like):
    """``[float(array[i + lane]) if lane < count else 0 for lane in range(lanes)]``, from uint8 to `like`'s dtype."""
    if array.dtype != types.uint8:
        return None
    vector = vector_of(like)

    def lower(context, builder, signature, arguments):
        array_value, offset, count, _ = arguments
        pointer = _byte_pointer(context, builder, array, array_value, offset, vector)
        # without AVX-512 a masked load of bytes is one of each byte, behind a branch
        with builder.if_else(is_whole(builder, vector, count)) as (whole, part):
            with whole:
                all_bytes, after_all = builder.load(pointer, align=1), builder.block
            with part:
                mask = emit_mask(builder, vector.lanes, count)
                zeros = ir.Constant(_bytes_of(vector), [0] * vector.lanes)
                name = f"llvm.masked.load.v{vector.lanes}i8.p0"
                some_bytes = call(builder, name, _bytes_of(vector), pointer, ir.Constant(_INT32, 1), mask, zeros)
                after_some = builder.block
        loaded = builder.phi(_bytes_of(vector))
        loaded.add_incoming(all_bytes, after_all)
        loaded.add_incoming(some_bytes, after_some)
        wide = builder.zext(loaded, ir.VectorType(_INT32, vector.lanes))
        return builder.sitofp(wide, vector_ir(vector))

    return vector(array, types.intp, types.intp, like), lower


@intrinsic
def store_bytes(typingctx, array, i, count, vector):
    """``for lane in range(min(count, lanes)): array[i + lane] = uint8(vector[lane])``, for whole numbers up to 255."""
    if array.dtype != types.uint8 or not isinstance(vector, Vector):
        return None

    def lower(context, builder, signature, arguments):
        array_value, offset, count, value = arguments
        pointer = _byte_pointer(context, builder, array, array_value, offset, vector)
        whole = builder.fptosi(value, ir.VectorType(_INT32, vector.lanes))
        narrow = builder.trunc(whole, _bytes_of(vector))
        with builder.if_else(is_whole(builder, vector, count)) as (whole, part):
            with whole:
                builder.store(narrow, pointer, align=1)
            with part:
                mask = emit_mask(builder, vector.lanes, count)
                name = f"llvm.masked.store.v{vector.lanes}i8.p0"
                call(builder, name, ir.VoidType(), narrow, pointer, ir.Constant(_INT32, 1), mask)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), lower

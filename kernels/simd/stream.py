"""Stores that bypass the caches, for results that are larger than these.

A plain store first reads the cache line it writes to. A streaming store does not, which saves a quarter to a third of
the traffic; but the result is then in memory, not in a cache, so it pays only where the result exceeds the caches.
"""

from llvmlite import ir
from numba import types

from kernels import machine
from kernels._plain import intrinsic
from kernels.simd.emit import emit_load_partial, emit_splat, vector_ir
from kernels.simd.memory import emit_pointer
from kernels.simd.wide import _wide_of


@intrinsic
def load_wide_partial(typingctx, array, i, count, fill):
    """``[array[i + lane] if lane < count else fill for lane in range(WIDE * lanes)]``, reading `count` at most."""
    vector = _wide_of(array)

    def lower(context, builder, signature, arguments):
        values, offset, count, fill = arguments
        pointer = emit_pointer(context, builder, array, values, offset)
        return emit_load_partial(builder, vector, pointer, count, emit_splat(builder, vector, fill))

    return vector(array, types.intp, types.intp, array.dtype), lower


@intrinsic
def until_aligned(typingctx, array, i):
    """Number of elements from `i` to the next address that is a multiple of the vector width."""

    def lower(context, builder, signature, arguments):
        pointer = emit_pointer(context, builder, array, *arguments)
        word, itemsize = ir.IntType(64), array.dtype.bitwidth // 8
        to_boundary = builder.neg(builder.ptrtoint(pointer, word))
        return builder.udiv(
            builder.and_(to_boundary, ir.Constant(word, machine.vector_bytes() - 1)), ir.Constant(word, itemsize)
        )

    return types.intp(array, types.intp), lower


@intrinsic
def store_streaming(typingctx, array, i, vector):
    """``for lane in range(lanes): array[i + lane] = vector[lane]``, bypassing the caches.

    The address must be a multiple of the vector width (see `until_aligned`); `streaming_done` must follow the last one.
    """

    def lower(context, builder, signature, arguments):
        values, offset, value = arguments
        pointer = builder.bitcast(emit_pointer(context, builder, array, values, offset), vector_ir(vector).as_pointer())
        instruction = builder.store(value, pointer, align=machine.vector_bytes())
        once = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        instruction.set_metadata("nontemporal", once)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), lower


@intrinsic(plain=lambda: None)
def streaming_done(typingctx):
    """Make what was streamed visible to other threads before anything that follows."""

    def lower(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), lower

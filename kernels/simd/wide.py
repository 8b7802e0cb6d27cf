"""Wide vectors: a few registers as one value, so that as many independent chains of operations run side by side.

A wide vector is a `Vector` of WIDE times the lanes; whatever is written for vectors takes it as it is, and LLVM splits
each operation into WIDE instructions, one after the other. A chain of dependent operations (an exponential is twenty
of them) then waits for none of its own, and a sum has WIDE accumulators.
"""

from llvmlite import ir
from numba import types

from kernels import machine
from kernels._plain import intrinsic
from kernels.simd.emit import Vector, emit_across, emit_load, emit_splat, vector_of
from kernels.simd.memory import emit_pointer

# With 32 registers, 4 chains of 4 live values leave room for the constants; with 16, 2 do.
WIDE = 4 if machine.vector_registers() >= 32 else 2


def _wide_of(array):
    narrow = vector_of(array)
    return Vector(narrow.dtype, narrow.lanes * WIDE)


@intrinsic
def wide_count(typingctx, array):
    """Lanes of one wide vector of the array's dtype, a compile-time constant."""

    def lower(context, builder, signature, arguments):
        return context.get_constant(types.intp, _wide_of(array).lanes)

    return types.intp(array), lower


@intrinsic
def load_wide(typingctx, array, i):
    """``[array[i + lane] for lane in range(WIDE * lanes)]``; `store` writes it."""
    vector = _wide_of(array)

    def lower(context, builder, signature, arguments):
        return emit_load(builder, vector, emit_pointer(context, builder, array, *arguments))

    return vector(array, types.intp), lower


@intrinsic
def splat_wide(typingctx, array, scalar):
    """``[scalar] * (WIDE * lanes)``, in the dtype of `array` (which gives only its type)."""
    vector = _wide_of(array)

    def lower(context, builder, signature, arguments):
        return emit_splat(builder, vector, arguments[1])

    return vector(array, array.dtype), lower


def _emit_larger(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", b, a), b, a)


def _register_fold(emit):
    """An intrinsic that combines the registers of a wide vector, pairwise, into one vector."""

    def function(typingctx, x):
        if not isinstance(x, Vector):
            return None
        narrow = Vector(x.dtype, x.lanes // WIDE)

        def lower(context, builder, signature, arguments):
            undefined = ir.Constant(arguments[0].type, ir.Undefined)
            registers = [
                builder.shuffle_vector(
                    arguments[0],
                    undefined,
                    ir.Constant(ir.VectorType(ir.IntType(32), narrow.lanes), list(range(start, start + narrow.lanes))),
                )
                for start in range(0, x.lanes, narrow.lanes)
            ]
            while len(registers) > 1:
                registers = [emit(builder, *registers[i : i + 2]) for i in range(0, len(registers), 2)]
            return registers[0]

        return narrow(x), lower

    return function


# Sum of the registers of a wide vector; and the larger of each lane, where none is NaN.
sum_registers = intrinsic(_register_fold(lambda builder, a, b: builder.fadd(a, b)))
larger_registers = intrinsic(_register_fold(_emit_larger))


@intrinsic
def larger_lane(typingctx, x):
    """Largest lane of a vector that holds no NaN."""

    def lower(context, builder, signature, arguments):
        return emit_across(builder, x.lanes, arguments[0], lambda a, b: _emit_larger(builder, a, b))

    return x.dtype(x), lower

"""Scans across the lanes of a vector, in double precision where sums and products need it.

A scan takes log2(lanes) steps: at each, a lane is combined with the one 1, 2, 4, ... places before it.

    x             a        b        c        d
    step of 1     a        ab       bc       cd
    step of 2     a        ab       abc      abcd
"""

from llvmlite import ir
from numba import types

from kernels import machine
from kernels._plain import intrinsic
from kernels.simd.emit import INT32, Vector, emit_load, emit_store, vector_ir
from kernels.simd.memory import emit_pointer
from kernels.simd.vector import emit_extremum


def _doubles():
    return Vector(types.float64, machine.lanes("float64"))


@intrinsic
def double_count(typingctx, array):
    """Lanes of a vector of float64, a compile-time constant."""

    def lower(context, builder, signature, arguments):
        return context.get_constant(types.intp, _doubles().lanes)

    return types.intp(array), lower


@intrinsic
def load_doubles(typingctx, array, i):
    """``[float64(array[i + lane]) for lane in range(lanes)]``"""
    vector = _doubles()
    narrow = Vector(array.dtype, vector.lanes)

    def lower(context, builder, signature, arguments):
        loaded = emit_load(builder, narrow, emit_pointer(context, builder, array, *arguments))
        return loaded if narrow == vector else builder.fpext(loaded, vector_ir(vector))

    return vector(array, types.intp), lower


@intrinsic
def store_doubles(typingctx, array, i, vector):
    """``for lane in range(lanes): array[i + lane] = vector[lane]``, rounded to the array's dtype."""
    narrow = Vector(array.dtype, vector.lanes)

    def lower(context, builder, signature, arguments):
        values, offset, value = arguments
        rounded = value if narrow == vector else builder.fptrunc(value, vector_ir(narrow))
        emit_store(builder, narrow, rounded, emit_pointer(context, builder, array, values, offset))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), lower


def _lane(number):
    """An intrinsic that returns one lane."""

    def function(typingctx, x):
        def lower(context, builder, signature, arguments):
            return builder.extract_element(arguments[0], ir.Constant(INT32, number % x.lanes))

        return x.dtype(x), lower

    return function


first_lane, last_lane = intrinsic(_lane(0)), intrinsic(_lane(-1))


def _scan(combine, identity, direction=1):
    """An intrinsic that scans with ``combine(builder, before, x)``, in the direction of the lanes or against it."""

    def function(typingctx, x):
        def lower(context, builder, signature, arguments):
            value, lanes, step = arguments[0], x.lanes, 1
            edge = ir.Constant(vector_ir(x), [identity] * lanes)
            while step < lanes:
                sources = [lane - direction * step for lane in range(lanes)]
                order = [source if 0 <= source < lanes else lanes for source in sources]
                before = builder.shuffle_vector(value, edge, ir.Constant(ir.VectorType(INT32, lanes), order))
                value, step = combine(builder, before, value), 2 * step
            return value

        return x(x), lower

    return function


# ``[sum(x[: lane + 1])]``, ``[sum(x[lane:])]``, ``[prod(x[: lane + 1])]``, ``[max(x[: lane + 1])]`` with NaN as the
# largest, and ``[min(x[: lane + 1])]`` with NaN as the smallest, for each lane.
sums_so_far = intrinsic(_scan(lambda builder, a, b: builder.fadd(a, b), -0.0))
sums_to_end = intrinsic(_scan(lambda builder, a, b: builder.fadd(a, b), -0.0, -1))
products_so_far = intrinsic(_scan(lambda builder, a, b: builder.fmul(a, b), 1.0))
maxima_so_far = intrinsic(_scan(lambda builder, a, b: emit_extremum(builder, ">", a, b), float("-inf")))
minima_so_far = intrinsic(_scan(lambda builder, a, b: emit_extremum(builder, "<", a, b), float("inf")))

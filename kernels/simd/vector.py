"""Vectors of lanes: arithmetic, comparison, loads and stores, reductions across lanes.

An array is addressed by a flat offset `i` in elements from its first element; nothing is bounds-checked here, the loops
must not leave their arrays. A scalar operand is broadcast to the lanes of a vector, in the vector's dtype.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core.imputils import impl_ret_untracked, lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global

from kernels._plain import intrinsic
from kernels.simd.emit import (
    INT32,
    Mask,
    Vector,
    call,
    emit_across,
    emit_fma,
    emit_load,
    emit_load_partial,
    emit_splat,
    emit_store,
    emit_store_partial,
    suffix,
    vector_ir,
    vector_of,
)
from kernels.simd.memory import Memory, View, emit_pointer

# --- loads and stores ------------------------------------------------------------------------------------------------


@intrinsic
def lane_count(typingctx, array):
    """Lanes of one vector of the array's dtype, a compile-time constant."""
    if not isinstance(array, (types.Array, Memory, View)):
        return None

    def lower(context, builder, signature, arguments):
        return context.get_constant(types.intp, vector_of(array).lanes)

    return types.intp(array), lower


@intrinsic
def load(typingctx, array, i):
    """``[array[i + lane] for lane in range(lanes)]``"""
    vector = vector_of(array)

    def lower(context, builder, signature, arguments):
        return emit_load(builder, vector, emit_pointer(context, builder, array, *arguments))

    return vector(array, types.intp), lower


@intrinsic
def load_partial(typingctx, array, i, count, fill):
    """``[array[i + lane] if lane < count else fill for lane in range(lanes)]``, touching no memory beyond `count`.

    Where `count` reaches a whole vector, this is as fast as `load`: a loop may have it in every round.
    """
    vector = vector_of(array)

    def lower(context, builder, signature, arguments):
        values, offset, count, fill = arguments
        pointer = emit_pointer(context, builder, array, values, offset)
        return emit_load_partial(builder, vector, pointer, count, emit_splat(builder, vector, fill))

    return vector(array, types.intp, types.intp, array.dtype), lower


@intrinsic
def store(typingctx, array, i, vector):
    """``for lane in range(lanes): array[i + lane] = vector[lane]``"""

    def lower(context, builder, signature, arguments):
        values, offset, value = arguments
        emit_store(builder, vector, value, emit_pointer(context, builder, array, values, offset))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), lower


@intrinsic
def store_partial(typingctx, array, i, count, vector):
    """``for lane in range(min(count, lanes)): array[i + lane] = vector[lane]``, touching no memory beyond `count`.

    Where `count` reaches a whole vector, this is as fast as `store`.
    """

    def lower(context, builder, signature, arguments):
        values, offset, count, value = arguments
        emit_store_partial(builder, vector, value, emit_pointer(context, builder, array, values, offset), count)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), lower


def _prefetch(level):
    """An intrinsic that prefetches a cache line into L1 (3) or L2 (2)."""

    def function(typingctx, array, i):
        def lower(context, builder, signature, arguments):
            pointer = builder.bitcast(emit_pointer(context, builder, array, *arguments), ir.IntType(8).as_pointer())
            read, keep, data = (ir.Constant(INT32, value) for value in (0, level, 1))
            call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, read, keep, data)
            return context.get_dummy_value()

        return types.void(array, types.intp), lower

    return function


# Prefetch the cache line of ``array[i]`` into L1, or into L2 alone; a hint, valid for any `i`.
prefetch = intrinsic(_prefetch(3), plain=lambda array, i: None)
prefetch_far = intrinsic(_prefetch(2), plain=lambda array, i: None)


@intrinsic
def splat(typingctx, array, scalar):
    """``[scalar] * lanes``, in the dtype of `array` (which gives only its type)."""
    vector = vector_of(array)

    def lower(context, builder, signature, arguments):
        return emit_splat(builder, vector, arguments[1])

    return vector(array, array.dtype), lower


# --- arithmetic ------------------------------------------------------------------------------------------------------


def _operands(a, b):
    """The Vector type of a binary operation and its signature's types, or None if neither side is a Vector."""
    if isinstance(a, Vector) and isinstance(b, Vector):
        return (a, a, b) if a == b else None
    if isinstance(a, Vector) and isinstance(b, types.Number):
        return a, a, a.dtype
    if isinstance(b, Vector) and isinstance(a, types.Number):
        return b, b.dtype, b
    return None


def _spread(builder, vector, argument_types, arguments):
    return [
        value if isinstance(kind, Vector) else emit_splat(builder, vector, value)
        for kind, value in zip(argument_types, arguments, strict=True)
    ]


def _bind_operator(function, emit, result=None, exact=frozenset()):
    """Give Python's operator `function` its meaning on vectors: ``emit(builder, a, b)``.

    In functions with fast-math, the instruction has the same flags as all others but for those in `exact`.
    """

    @infer_global(function)
    class Typing(AbstractTemplate):
        def generic(self, args, kws):
            if kws or len(args) != 2 or (operands := _operands(*args)) is None:
                return None
            vector, *operand_types = operands
            return (Mask(vector.lanes) if result is Mask else vector)(*operand_types)

    def lower(context, builder, signature, arguments):
        vector = _operands(*signature.args)[0]
        value = emit(builder, *_spread(builder, vector, signature.args, arguments))
        if exact and context.fastmath:  # Numba adds its flags only to what has none
            value.flags.extend(sorted(context.fastmath.flags - exact))
        return impl_ret_untracked(context, builder, signature.return_type, value)

    for kinds in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(function, *kinds)(lower)


def _comparison(symbol):
    return lambda builder, a, b: builder.fcmp_ordered(symbol, a, b)


_bind_operator(operator.add, lambda builder, a, b: builder.fadd(a, b))
_bind_operator(operator.sub, lambda builder, a, b: builder.fsub(a, b))
# Sums may be reordered, products may not: x (n / d) is a number where x n overflows, and x / d where 1 / d does.
_bind_operator(operator.mul, lambda builder, a, b: builder.fmul(a, b), exact={"reassoc"})
_bind_operator(operator.truediv, lambda builder, a, b: builder.fdiv(a, b), exact={"reassoc", "arcp"})
_bind_operator(operator.lt, _comparison("<"), Mask)
_bind_operator(operator.le, _comparison("<="), Mask)
_bind_operator(operator.gt, _comparison(">"), Mask)
_bind_operator(operator.ge, _comparison(">="), Mask)
_bind_operator(operator.eq, _comparison("=="), Mask)
_bind_operator(operator.ne, lambda builder, a, b: builder.fcmp_unordered("!=", a, b), Mask)  # NaN != NaN


@infer_global(operator.neg)
class _Negation(AbstractTemplate):
    def generic(self, args, kws):
        return args[0](args[0]) if isinstance(args[0], Vector) else None


@lower_builtin(operator.neg, Vector)
def _lower_negation(context, builder, signature, arguments):
    return builder.fneg(arguments[0])


def _bind_mask_operator(function, emit):
    @infer_global(function)
    class Typing(AbstractTemplate):
        def generic(self, args, kws):
            return args[0](*args) if all(isinstance(kind, Mask) for kind in args) else None

    def lower(context, builder, signature, arguments):
        return emit(builder, *arguments)

    lower_builtin(function, Mask, Mask)(lower)
    lower_builtin(function, Mask)(lower)


_bind_mask_operator(operator.and_, lambda builder, a, b: builder.and_(a, b))
_bind_mask_operator(operator.or_, lambda builder, a, b: builder.or_(a, b))
_bind_mask_operator(operator.invert, lambda builder, a: builder.not_(a))


@intrinsic(plain=lambda a, b, c: a * b + c)
def fma(typingctx, a, b, c):
    """``a * b + c`` rounded once; scalars are broadcast."""
    vector = next((kind for kind in (a, b, c) if isinstance(kind, Vector)), None)
    if vector is None:
        return None
    operand_types = [kind if isinstance(kind, Vector) else vector.dtype for kind in (a, b, c)]

    def lower(context, builder, signature, arguments):
        return emit_fma(builder, vector, *_spread(builder, vector, signature.args, arguments))

    return vector(*operand_types), lower


@intrinsic
def select(typingctx, mask, a, b):
    """``[a[lane] if mask[lane] else b[lane] for lane in range(lanes)]``; scalars are broadcast."""
    vector = next((kind for kind in (a, b) if isinstance(kind, Vector)), None)
    if vector is None:
        return None
    operand_types = [kind if isinstance(kind, Vector) else vector.dtype for kind in (a, b)]

    def lower(context, builder, signature, arguments):
        return builder.select(arguments[0], *_spread(builder, vector, signature.args[1:], arguments[1:]))

    return vector(mask, *operand_types), lower


def _unary(name):
    """An intrinsic for LLVM's lane-wise function `name`."""

    def function(typingctx, x):
        if not isinstance(x, Vector):
            return None

        def lower(context, builder, signature, arguments):
            return call(builder, f"llvm.{name}.{suffix(x)}", vector_ir(x), *arguments)

        return x(x), lower

    return function


absolute = intrinsic(_unary("fabs"))
sqrt = intrinsic(_unary("sqrt"))
round_even = intrinsic(_unary("roundeven"))


def _extremum(symbol):
    """max or min that passes a NaN of `b` on: pick a only where it wins or is itself NaN."""

    def function(typingctx, a, b):
        operands = _operands(a, b)
        if operands is None:
            return None
        vector, *operand_types = operands

        def lower(context, builder, signature, arguments):
            return emit_extremum(builder, symbol, *_spread(builder, vector, signature.args, arguments))

        return vector(*operand_types), lower

    return function


def emit_extremum(builder, symbol, a, b):
    wins = builder.fcmp_ordered(symbol, a, b)
    chosen = builder.select(wins, a, b)  # b where either is NaN: one hardware max/min instruction
    return builder.select(builder.fcmp_unordered("uno", a, a), a, chosen)


maximum = intrinsic(_extremum(">"))
minimum = intrinsic(_extremum("<"))


# --- across lanes ----------------------------------------------------------------------------------------------------


@intrinsic
def sum_lanes(typingctx, x):
    """Sum of all lanes, added pairwise."""

    def lower(context, builder, signature, arguments):
        return emit_across(builder, x.lanes, arguments[0], builder.fadd)

    return x.dtype(x), lower


@intrinsic
def max_lanes(typingctx, x):
    """Largest lane; NaN if any lane is NaN."""

    def lower(context, builder, signature, arguments):
        return emit_across(builder, x.lanes, arguments[0], lambda a, b: emit_extremum(builder, ">", a, b))

    return x.dtype(x), lower


def _mask_test(predicate, pattern):
    def function(typingctx, mask):
        if not isinstance(mask, Mask):
            return None

        def lower(context, builder, signature, arguments):
            word = ir.IntType(mask.lanes)
            return builder.icmp_unsigned(predicate, builder.bitcast(arguments[0], word), ir.Constant(word, pattern))

        return types.boolean(mask), lower

    return function


any_lanes = intrinsic(_mask_test("!=", 0))
all_lanes = intrinsic(_mask_test("==", -1))


@intrinsic
def copysign(typingctx, magnitude, sign):
    """``[math.copysign(a, b) for a, b in zip(magnitude, sign)]``"""

    def lower(context, builder, signature, arguments):
        return call(builder, f"llvm.copysign.{suffix(magnitude)}", vector_ir(magnitude), *arguments)

    return magnitude(magnitude, sign), lower

"""Vectors of lanes as Numba values: arithmetic, comparison, loads and stores, reductions across lanes.

`Vector(float32, 16)` is lowered to LLVM's ``<16 x float>``: one register where the CPU has it, several where it is
narrower. An array is addressed by a flat offset `i` in elements from its first element; nothing is bounds-checked
here, the loops must not leave their arrays. A scalar beside a vector is spread over its lanes, in the vector's dtype.
"""

import operator

from llvmlite import ir
from llvmlite.binding import llvm_version_info
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models, register_default
from numba.core.imputils import impl_ret_untracked, lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global

from kernels import machine
from kernels._plain import intrinsic
from kernels.simd.memory import Memory, View, emit_pointer

_INT32 = ir.IntType(32)
_BOOL = ir.IntType(1)


class Vector(types.Type):
    """`lanes` elements of `dtype` in a register."""

    def __init__(self, dtype, lanes):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")


class Mask(types.Type):
    """One boolean a lane, from a comparison of vectors."""

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__(name=f"Mask({lanes})")


@register_default(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, vector_ir(fe_type))


@register_default(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.VectorType(_BOOL, fe_type.lanes))


# --- emitting LLVM ---------------------------------------------------------------------------------------------------


def element_ir(dtype):
    """LLVM's scalar type of a Numba float type."""
    return {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}[dtype]


def suffix(vector):
    """The type's name inside the name of an LLVM intrinsic: v16f32."""
    return f"v{vector.lanes}f{vector.dtype.bitwidth}"


def vector_ir(vector):
    """LLVM's type of a `Vector`."""
    return ir.VectorType(element_ir(vector.dtype), vector.lanes)


def vector_of(array):
    """The `Vector` type that fits `array`'s dtype on this machine."""
    return Vector(array.dtype, machine.lanes(str(array.dtype)))


def call(builder, name, result, *arguments):
    """Call LLVM's function `name` (llvmlite cannot derive the names of vector intrinsics itself)."""
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


def emit_fma(builder, vector, a, b, c):
    return call(builder, f"llvm.fma.{suffix(vector)}", vector_ir(vector), a, b, c)


def emit_splat(builder, vector, scalar):
    """The scalar in every lane."""
    undefined = ir.Constant(vector_ir(vector), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_INT32, 0))
    zeros = ir.Constant(ir.VectorType(_INT32, vector.lanes), [0] * vector.lanes)
    return builder.shuffle_vector(first, undefined, zeros)


def emit_load(builder, vector, pointer):
    pointer = builder.bitcast(pointer, vector_ir(vector).as_pointer())
    return builder.load(pointer, align=vector.dtype.bitwidth // 8)


def emit_store(builder, vector, value, pointer):
    pointer = builder.bitcast(pointer, vector_ir(vector).as_pointer())
    builder.store(value, pointer, align=vector.dtype.bitwidth // 8)


def emit_mask(builder, lanes, count):
    """Lanes 0 .. count-1 are on."""
    index = ir.IntType(64)
    numbers = ir.Constant(ir.VectorType(index, lanes), list(range(lanes)))
    undefined = ir.Constant(ir.VectorType(index, lanes), ir.Undefined)
    spread = builder.insert_element(undefined, count, ir.Constant(_INT32, 0))
    spread = builder.shuffle_vector(spread, undefined, ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes))
    return builder.icmp_signed("<", numbers, spread)


def emit_masked_load(builder, vector, pointer, mask, other):
    pointer = builder.bitcast(pointer, vector_ir(vector).as_pointer())
    align = ir.Constant(_INT32, vector.dtype.bitwidth // 8)
    return call(builder, f"llvm.masked.load.{suffix(vector)}.p0", vector_ir(vector), pointer, align, mask, other)


def emit_masked_store(builder, vector, value, pointer, mask):
    pointer = builder.bitcast(pointer, vector_ir(vector).as_pointer())
    align = ir.Constant(_INT32, vector.dtype.bitwidth // 8)
    call(builder, f"llvm.masked.store.{suffix(vector)}.p0", ir.VoidType(), value, pointer, align, mask)


def _is_whole(builder, vector, count):
    """Whether no mask is needed. AVX-512 has masks at no cost; elsewhere whole vectors are better told apart."""
    if machine.vector_bytes() == 64:
        return ir.Constant(_BOOL, 0)
    return builder.icmp_signed(">=", count, ir.Constant(count.type, vector.lanes))


def emit_load_partial(builder, vector, pointer, count, other):
    """The first `count` elements at the pointer, and the lanes of `other` from there on."""
    with builder.if_else(_is_whole(builder, vector, count)) as (whole, part):
        with whole:
            loaded, whole_end = emit_load(builder, vector, pointer), builder.block
        with part:
            mask = emit_mask(builder, vector.lanes, count)
            masked, part_end = emit_masked_load(builder, vector, pointer, mask, other), builder.block
    value = builder.phi(vector_ir(vector))
    value.add_incoming(loaded, whole_end)
    value.add_incoming(masked, part_end)
    return value


def emit_store_partial(builder, vector, value, pointer, count):
    """The first `count` lanes to the pointer."""
    with builder.if_else(_is_whole(builder, vector, count)) as (whole, part):
        with whole:
            emit_store(builder, vector, value, pointer)
        with part:
            emit_masked_store(builder, vector, value, pointer, emit_mask(builder, vector.lanes, count))


def emit_across(builder, lanes, value, combine):
    """Combine all lanes pairwise, upper half with lower half: the same order on every machine of this width."""
    while lanes > 1:
        lanes //= 2
        undefined = ir.Constant(value.type, ir.Undefined)
        low, high = (
            builder.shuffle_vector(
                value, undefined, ir.Constant(ir.VectorType(_INT32, lanes), list(range(start, start + lanes)))
            )
            for start in (0, lanes)
        )
        value = combine(low, high)
    return builder.extract_element(value, ir.Constant(_INT32, 0))


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
    """``[array[i + lane] if lane < count else fill for lane in range(lanes)]``, touching no memory past `count`.

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
    """``for lane in range(min(count, lanes)): array[i + lane] = vector[lane]``, touching no memory past `count`.

    Where `count` reaches a whole vector, this is as fast as `store`.
    """

    def lower(context, builder, signature, arguments):
        values, offset, count, value = arguments
        emit_store_partial(builder, vector, value, emit_pointer(context, builder, array, values, offset), count)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), lower


def _prefetch(level):
    """An intrinsic that asks for a cache line ahead of its use, into L1 (3) or L2 (2)."""

    def function(typingctx, array, i):
        def lower(context, builder, signature, arguments):
            pointer = builder.bitcast(emit_pointer(context, builder, array, *arguments), ir.IntType(8).as_pointer())
            read, keep, data = (ir.Constant(_INT32, value) for value in (0, level, 1))
            call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, read, keep, data)
            return context.get_dummy_value()

        return types.void(array, types.intp), lower

    return function


# Ask for the cache line of ``array[i]`` ahead of its use, into L1, or into L2 alone; a hint, valid for any `i`.
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
    """``a * b + c`` rounded once; scalars are spread."""
    vector = next((kind for kind in (a, b, c) if isinstance(kind, Vector)), None)
    if vector is None:
        return None
    operand_types = [kind if isinstance(kind, Vector) else vector.dtype for kind in (a, b, c)]

    def lower(context, builder, signature, arguments):
        return emit_fma(builder, vector, *_spread(builder, vector, signature.args, arguments))

    return vector(*operand_types), lower


@intrinsic
def select(typingctx, mask, a, b):
    """``[a[lane] if mask[lane] else b[lane] for lane in range(lanes)]``; scalars are spread."""
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
            return _emit_extremum(builder, symbol, *_spread(builder, vector, signature.args, arguments))

        return vector(*operand_types), lower

    return function


def _emit_extremum(builder, symbol, a, b):
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
        return emit_across(builder, x.lanes, arguments[0], lambda a, b: _emit_extremum(builder, ">", a, b))

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


# --- bits: for exp and log -------------------------------------------------------------------------------------------

# dtype -> (bits of the integer, bits of the mantissa, exponent bias)
_LAYOUT = {types.float32: (32, 23, 127), types.float64: (64, 52, 1023)}


def _integer_vector(builder, vector, value):
    return ir.Constant(ir.VectorType(ir.IntType(_LAYOUT[vector.dtype][0]), vector.lanes), [value] * vector.lanes)


@intrinsic
def power_of_two(typingctx, n):
    """``[2.0 ** lane for lane in n]`` for whole numbers within the normal exponents."""

    def lower(context, builder, signature, arguments):
        bits, mantissa, bias = _LAYOUT[n.dtype]
        whole = builder.fptosi(arguments[0], ir.VectorType(ir.IntType(bits), n.lanes))
        biased = builder.add(whole, _integer_vector(builder, n, bias))
        return builder.bitcast(builder.shl(biased, _integer_vector(builder, n, mantissa)), vector_ir(n))

    return n(n), lower


# LLVM turns this into one instruction for AVX-512, into a call for each lane elsewhere and before version 22
_HAS_SCALEF = machine.vector_bytes() == 64 and llvm_version_info[0] >= 22


@intrinsic
def times_power_of_two(typingctx, x, n):
    """``[a * 2.0 ** b for a, b in zip(x, n)]``, rounded once, for whole numbers up to twice the normal exponents."""

    def lower(context, builder, signature, arguments):
        value, power = arguments
        bits, mantissa, bias = _LAYOUT[x.dtype]
        if _HAS_SCALEF:
            whole = builder.fptosi(power, ir.VectorType(_INT32, x.lanes))
            return call(builder, f"llvm.ldexp.{suffix(x)}.v{x.lanes}i32", vector_ir(x), value, whole)
        # in two factors: each is a normal number where 2**n may not be
        whole = builder.fptosi(power, ir.VectorType(ir.IntType(bits), x.lanes))
        half = builder.ashr(whole, _integer_vector(builder, x, 1))
        for part in (half, builder.sub(whole, half)):
            biased = builder.add(part, _integer_vector(builder, x, bias))
            factor = builder.shl(biased, _integer_vector(builder, x, mantissa))
            value = builder.fmul(value, builder.bitcast(factor, vector_ir(x)))
        return value

    return x(x, n), lower


@intrinsic
def exponent(typingctx, x):
    """``[floor(log2(lane)) for lane in x]`` as floats, for positive normal numbers."""

    def lower(context, builder, signature, arguments):
        bits, mantissa, bias = _LAYOUT[x.dtype]
        word = builder.bitcast(arguments[0], ir.VectorType(ir.IntType(bits), x.lanes))
        biased = builder.lshr(word, _integer_vector(builder, x, mantissa))
        return builder.sitofp(builder.sub(biased, _integer_vector(builder, x, bias)), vector_ir(x))

    return x(x), lower


@intrinsic
def mantissa(typingctx, x):
    """The numbers' mantissas in [1, 2), for positive normal numbers."""

    def lower(context, builder, signature, arguments):
        bits, mantissa_bits, bias = _LAYOUT[x.dtype]
        word = builder.bitcast(arguments[0], ir.VectorType(ir.IntType(bits), x.lanes))
        fraction = builder.and_(word, _integer_vector(builder, x, (1 << mantissa_bits) - 1))
        return builder.bitcast(builder.or_(fraction, _integer_vector(builder, x, bias << mantissa_bits)), vector_ir(x))

    return x(x), lower


@intrinsic
def copysign(typingctx, magnitude, sign):
    """``[math.copysign(a, b) for a, b in zip(magnitude, sign)]``"""

    def lower(context, builder, signature, arguments):
        return call(builder, f"llvm.copysign.{suffix(magnitude)}", vector_ir(magnitude), *arguments)

    return magnitude(magnitude, sign), lower

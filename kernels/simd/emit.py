"""Vectors and masks as Numba types, and the LLVM that loads, stores and combines them.

`Vector(float32, 16)` is lowered to LLVM's ``<16 x float>``: one register where the CPU has it, several where it is
narrower.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models, register_default

from kernels import machine

INT32 = ir.IntType(32)
BOOL = ir.IntType(1)


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
        super().__init__(dmm, fe_type, ir.VectorType(BOOL, fe_type.lanes))


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
    first = builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
    zeros = ir.Constant(ir.VectorType(INT32, vector.lanes), [0] * vector.lanes)
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
    spread = builder.insert_element(undefined, count, ir.Constant(INT32, 0))
    spread = builder.shuffle_vector(spread, undefined, ir.Constant(ir.VectorType(INT32, lanes), [0] * lanes))
    return builder.icmp_signed("<", numbers, spread)


def emit_masked_load(builder, vector, pointer, mask, other):
    pointer = builder.bitcast(pointer, vector_ir(vector).as_pointer())
    align = ir.Constant(INT32, vector.dtype.bitwidth // 8)
    return call(builder, f"llvm.masked.load.{suffix(vector)}.p0", vector_ir(vector), pointer, align, mask, other)


def emit_masked_store(builder, vector, value, pointer, mask):
    pointer = builder.bitcast(pointer, vector_ir(vector).as_pointer())
    align = ir.Constant(INT32, vector.dtype.bitwidth // 8)
    call(builder, f"llvm.masked.store.{suffix(vector)}.p0", ir.VoidType(), value, pointer, align, mask)


def is_whole(builder, vector, count):
    """Whether no mask is needed. With AVX-512 a mask costs nothing; elsewhere a branch for whole vectors is faster."""
    if machine.vector_bytes() == 64:
        return ir.Constant(BOOL, 0)
    return builder.icmp_signed(">=", count, ir.Constant(count.type, vector.lanes))


def emit_load_partial(builder, vector, pointer, count, other):
    """The first `count` elements at the pointer, and the lanes of `other` from there on."""
    with builder.if_else(is_whole(builder, vector, count)) as (whole, part):
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
    with builder.if_else(is_whole(builder, vector, count)) as (whole, part):
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
                value, undefined, ir.Constant(ir.VectorType(INT32, lanes), list(range(start, start + lanes)))
            )
            for start in (0, lanes)
        )
        value = combine(low, high)
    return builder.extract_element(value, ir.Constant(INT32, 0))

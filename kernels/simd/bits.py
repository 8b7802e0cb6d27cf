"""Exponents and mantissas of floating-point numbers extracted and combined, for exp and log."""

from llvmlite import ir
from llvmlite.binding import llvm_version_info
from numba import types

from kernels import machine
from kernels._plain import intrinsic
from kernels.simd.emit import INT32, call, suffix, vector_ir

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
            whole = builder.fptosi(power, ir.VectorType(INT32, x.lanes))
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

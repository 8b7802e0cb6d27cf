"""Denormal numbers treated as zero, in every thread that computes.

Numbers below float's normal range (1.2e-38, 2.2e-308) cost many CPUs over a hundred cycles an operation. SSE and AVX
arithmetic can skip them: two bits of a thread's control register MXCSR make results flush to zero, and denormal
operands count as zero.
"""

import platform

from llvmlite import ir
from numba import config, prange, types
from numba.core import cgutils

from kernels import _threads
from kernels._jit import jit
from kernels._plain import DISABLED, intrinsic
from kernels._threads import arrive, enter, leave
from kernels.simd.emit import call

FLUSH_TO_ZERO, DENORMALS_ARE_ZERO = 0x8000, 0x0040


@intrinsic
def _flush(typingctx, on):
    """Set or clear both bits in the MXCSR of the thread that runs this."""

    def lower(context, builder, signature, arguments):
        word = ir.IntType(32)
        register = cgutils.alloca_once(builder, word)
        pointer = builder.bitcast(register, ir.IntType(8).as_pointer())
        call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), pointer)
        both = ir.Constant(word, FLUSH_TO_ZERO | DENORMALS_ARE_ZERO)
        before = builder.load(register)
        after = builder.select(arguments[0], builder.or_(before, both), builder.and_(before, builder.not_(both)))
        builder.store(after, register)
        call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), pointer)
        return context.get_dummy_value()

    return types.void(types.boolean), lower


@jit(parallel=True)
def _flush_everywhere(on, threads):
    # First the calling thread: tbb hands its setting to the workers with each parallel region. The other layers give
    # one of these iterations to each of their threads, which keeps the setting.
    _flush(on)
    if threads > 1:
        before, home = enter(threads)
        for _ in prange(threads):
            arrive(home)
            _flush(on)
        leave(before)


def set_flush_denormal(mode: bool):
    """Treat denormal numbers as zero in all floating-point arithmetic, or go back to IEEE 754.

    Parameters
    ----------
    mode : bool
        True: denormal operands and results count as zero. False: as IEEE 754 says, which is the default.

    Raises
    ------
    TypeError
        If `mode` is not a bool.
    NotImplementedError
        On CPUs other than x86-64, and where NUMBA_DISABLE_JIT is set.

    Notes
    -----
    The setting belongs to the calling Python thread and to the threads that work for its kernels. It holds for other
    libraries in these threads, too (NumPy, PyTorch). A Python thread that calls kernels of its own sets it for itself.

    Examples
    --------
    >>> import numpy as np
    >>> import kernels
    >>> _ = kernels.set_flush_denormal(True)
    >>> np.full(1, 1e-308) * 1e-10
    array([0.])
    >>> _ = kernels.set_flush_denormal(False)
    """
    if not isinstance(mode, bool):
        raise TypeError(f"set_flush_denormal: mode must be a bool, got {type(mode).__name__}")
    if platform.machine().lower() not in ("x86_64", "amd64"):
        raise NotImplementedError(f"set_flush_denormal: needs an x86-64 CPU, this is {platform.machine()}")
    if DISABLED:
        raise NotImplementedError(
            "set_flush_denormal: plain Python has no access to the CPU's control register (NUMBA_DISABLE_JIT is set)"
        )
    # The whole pool, which may be larger than the number of cores it is used with.
    _flush_everywhere(mode, config.NUMBA_NUM_THREADS if _threads._max_threads > 1 else 1)

"""The thread layer: how many threads a kernel may use, and a pool that is safe from several threads and across fork.

Of Numba's three layers, GNU OpenMP (`omp`) survives two Python threads entering parallel kernels at once, but aborts in
a forked child; `tbb` survives both; `workqueue` aborts at the first. OpenMP's idle workers spin for some milliseconds
before they sleep, so the next region finds them awake on cores of their own. TBB's have to be woken, and where the
scheduler puts a woken worker on its waker's core, which virtual machines invite, a whole run of short regions gains
nothing from it. So omp is preferred; its forked children compute serially, as workqueue's do. Next comes tbb (from a
pip wheel it is found only after its library has been loaded globally, before the first parallel compilation); where
only workqueue is left, a lock lets one Python thread at a time into a parallel region of ours. No pool starts at
import. ``NUMBA_THREADING_LAYER`` and ``NUMBA_THREADING_LAYER_PRIORITY`` remain the user's.

A parallel region has this form (that of all kernels is in `_parallel`):

    before, home = enter(threads)
    for task in prange(tasks): arrive(home); run(task)
    leave(before)

`arrive` cures a stall on Linux: a sleeping worker may be woken on the core of the thread that opened the region, though
another core is idle (virtual machines invite it: their idle cores appear busy), and as both spin at the end of a region
they stay together, each waiting for the other until the scheduler's next tick, region after region (4 ms each, where
0.2 ms was the work). A worker that finds itself there moves away.
"""

import contextlib
import ctypes
import functools
import importlib
import os
import sys
import threading
from pathlib import Path

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import config, types
from numba.core import cgutils

from kernels import machine
from kernels._plain import intrinsic


def _load_tbb():
    """Make the tbb wheel's library visible to Numba, which looks it up by its bare name."""
    name = {"win32": "tbb12.dll", "darwin": "libtbb.12.dylib"}.get(sys.platform, "libtbb.so.12")
    folders = [Path(sys.prefix) / "lib", Path(sys.prefix) / "Library" / "bin", Path(sys.base_prefix) / "lib"]
    for path in [folder / name for folder in folders] + [Path(name)]:
        with contextlib.suppress(OSError):
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            return


def _first_layer() -> str:
    """The layer that Numba will take; what stands before it in the order is missing on this machine."""
    if "NUMBA_THREADING_LAYER_PRIORITY" not in os.environ:
        config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
    wanted, order = config.THREADING_LAYER, config.THREADING_LAYER_PRIORITY
    if wanted in order:
        order = [wanted]
    elif wanted in ("safe", "forksafe"):
        order = [name for name in order if name != "omp"]
    for name in order:
        if name == "tbb":
            _load_tbb()
        with contextlib.suppress(ImportError):
            importlib.import_module("numba.np.ufunc." + (name if name == "workqueue" else f"{name}pool"))
            return name
    return "workqueue"


_layer = _first_layer()
only_workqueue = _layer == "workqueue"
_MASK_WORDS = 16  # an affinity mask of 1,024 cores, as the C library's own
_max_threads = min(config.NUMBA_NUM_THREADS, machine.cores())
_count = _max_threads
_shared_count = ctypes.c_int64(_count)  # the same for compiled code
llvm.add_symbol("innerloop_num_threads", ctypes.addressof(_shared_count))

# From which amount of work on all threads are used. Starting a parallel region costs 2 to 5 us when its workers are
# awake, and a second thread saves half of the serial time at best, so the work has to take 5 us or more:
PARALLEL_ELEMENTS = 2**15  # the cheapest loops (one read, one write) take 5 to 8 us for as many elements
PARALLEL_MULTIPLY_ADDS = 600_000  # about 6 us in register tiles, where a second thread was first measured to pay


def threads_for(elements: int = 0, multiply_adds: int = 0) -> int:
    """Number of threads for a kernel that reads or writes `elements` elements or computes `multiply_adds` products."""
    return _count if elements >= PARALLEL_ELEMENTS or multiply_adds >= PARALLEL_MULTIPLY_ADDS else 1


def set_num_threads(n: int):
    """Set how many threads the parallel kernels use, for all Python threads of the process.

    Parameters
    ----------
    n : int
        From 1 to the number of usable cores (affinity and control group respected).

    Raises
    ------
    TypeError, ValueError
        If `n` is not an int, or out of range.

    Examples
    --------
    >>> import kernels
    >>> before = kernels.get_num_threads()
    >>> kernels.set_num_threads(1)
    >>> kernels.get_num_threads()
    1
    >>> kernels.set_num_threads(before)
    """
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"set_num_threads: n must be an int, got {type(n).__name__}")
    if not 1 <= n <= _max_threads:
        raise ValueError(f"set_num_threads: n must be from 1 to {_max_threads} (usable cores), got {n}")
    _set_count(n)


def _set_count(n):
    global _count
    _count = _shared_count.value = n


def get_num_threads() -> int:
    """Number of threads the parallel kernels use.

    Examples
    --------
    >>> import kernels
    >>> kernels.get_num_threads() >= 1
    True
    """
    return _count


def layer() -> str:
    """Numba's thread layer in use: 'tbb', 'omp' or 'workqueue'; 'none' before the first parallel kernel."""
    try:
        return numba.threading_layer()
    except ValueError:
        return "none"


# Numba enters a parallel region without the GIL, so a lock is needed. ctypes holds the GIL while it calls these two;
# `acquire` releases it while it waits.
_region = threading.Lock()
_region_calls = {
    "innerloop_acquire": ctypes.CFUNCTYPE(None)(lambda: _region.acquire() and None),
    "innerloop_release": ctypes.CFUNCTYPE(None)(_region.release),
}
for _name, _function in _region_calls.items():
    llvm.add_symbol(_name, ctypes.cast(_function, ctypes.c_void_p).value)


@functools.cache
def _openmp():
    """GNU OpenMP's library, or None."""
    with contextlib.suppress(OSError):
        return ctypes.CDLL("libgomp.so.1")


def _one_level() -> int:
    """Address of a function that disables nested OpenMP regions, which Numba enables when it starts its pool. With
    nesting, another library in the process that multiplies matrices inside its own parallel loops, as PyTorch's
    attention does, becomes 40 times slower. If the user has asked for nesting, the function does nothing."""
    if _layer == "omp" and not {"OMP_MAX_ACTIVE_LEVELS", "OMP_NESTED"} & os.environ.keys():
        with contextlib.suppress(AttributeError):
            return ctypes.cast(_openmp().omp_set_max_active_levels, ctypes.c_void_p).value
    return ctypes.cast(ctypes.CDLL(None).abs, ctypes.c_void_p).value  # takes an int and does nothing


@contextlib.contextmanager
def keeping_openmp_count():
    """Numba's pool, which starts when the first parallel code is compiled or loaded, sets OpenMP's number of threads,
    which PyTorch shares. Inside this context it does not."""
    library = _openmp() if _layer == "omp" and sys.platform == "linux" else None
    before = library.omp_get_max_threads() if library else 0
    try:
        yield
    finally:
        if library and library.omp_get_max_threads() != before:
            library.omp_set_num_threads(before)


def _in_parallel() -> int:
    """Address of a function that is not 0 inside a parallel region. OpenMP can tell; with another layer, it is never 0,
    so kernels in jitted code run on one thread there: a region inside a region aborts (workqueue). It must not need the
    GIL, which the thread that opened the region may hold."""
    if _layer == "omp" and sys.platform == "linux":
        with contextlib.suppress(AttributeError):
            return ctypes.cast(_openmp().omp_in_parallel, ctypes.c_void_p).value
    library = ctypes.CDLL("msvcrt") if sys.platform == "win32" else ctypes.CDLL(None)
    return ctypes.cast(library._getpid if sys.platform == "win32" else library.getpid, ctypes.c_void_p).value


llvm.add_symbol("innerloop_in_parallel", _in_parallel())
if sys.platform == "linux":
    llvm.add_symbol("innerloop_one_level", _one_level())


def _call(builder, name, result, arguments=()):
    # By symbol: an embedded address (as in Numba's own set_num_threads) would keep the caller out of the cache.
    function_type = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


def _place(builder):
    """The calling thread (upper 48 bits) and the core it runs on (16 bits) as one number; 0 on other systems."""
    if sys.platform != "linux":
        return ir.Constant(ir.IntType(64), 0)
    thread = _call(builder, "pthread_self", ir.IntType(64))
    core = _call(builder, "sched_getcpu", ir.IntType(32))
    return builder.or_(builder.shl(thread, ir.Constant(ir.IntType(64), 16)), builder.zext(core, ir.IntType(64)))


@intrinsic(plain=lambda threads: (0, 0))
def enter(typingctx, threads):
    """Set the number of threads of the parallel region that follows; returns the number before, for `leave`, and the
    calling thread and its core, for `arrive`."""

    def lower(context, builder, signature, arguments):
        if only_workqueue:
            _call(builder, "innerloop_acquire", ir.VoidType())
        if sys.platform == "linux":
            _call(builder, "innerloop_one_level", ir.VoidType(), [ir.Constant(ir.IntType(32), 1)])
        before = _call(builder, "get_num_threads", ir.IntType(64))  # declared so by Numba itself; it is an int
        _call(builder, "set_num_threads", ir.VoidType(), [builder.trunc(arguments[0], ir.IntType(32))])
        before = builder.sext(builder.trunc(before, ir.IntType(32)), ir.IntType(64))
        return context.make_tuple(builder, signature.return_type, [before, _place(builder)])

    return types.UniTuple(types.int64, 2)(types.intp), lower


@intrinsic(plain=lambda home: None)
def arrive(typingctx, home):
    """Move the calling worker to another core if it runs on that of the thread which opened the region at `home`.

    Its affinity is narrowed for the move alone, then restored: no thread is pinned.
    """

    def lower(context, builder, signature, arguments):
        if sys.platform != "linux":
            return context.get_dummy_value()
        word, count = ir.IntType(64), ir.Constant(ir.IntType(64), 8 * _MASK_WORDS)
        apart = builder.xor(_place(builder), arguments[0])
        same_core = builder.icmp_unsigned("==", builder.trunc(apart, ir.IntType(16)), ir.Constant(ir.IntType(16), 0))
        core = builder.and_(arguments[0], ir.Constant(word, 0xFFFF))
        within = builder.icmp_unsigned("<", core, ir.Constant(word, 64 * _MASK_WORDS))
        other_thread = builder.icmp_unsigned("!=", apart, ir.Constant(word, 0))
        collides = builder.and_(builder.and_(other_thread, same_core), within)
        with builder.if_then(collides, likely=False):
            mask = cgutils.alloca_once(builder, ir.ArrayType(word, _MASK_WORDS))
            this_thread = ir.Constant(ir.IntType(32), 0)
            failed = _call(builder, "sched_getaffinity", ir.IntType(32), [this_thread, count, mask])
            with builder.if_then(builder.icmp_signed("==", failed, ir.Constant(ir.IntType(32), 0))):
                slot = builder.gep(mask, [this_thread, builder.lshr(core, ir.Constant(word, 6))])
                allowed = builder.load(slot)
                bit = builder.shl(ir.Constant(word, 1), builder.and_(core, ir.Constant(word, 63)))
                for cores in (builder.and_(allowed, builder.not_(bit)), allowed):  # none left: refused, nothing moves
                    builder.store(cores, slot)
                    _call(builder, "sched_setaffinity", ir.IntType(32), [this_thread, count, mask])
        return context.get_dummy_value()

    return types.void(types.int64), lower


@intrinsic(plain=lambda before: None)
def leave(typingctx, before):
    """Restore the number of threads that Numba uses for the user's own kernels."""

    def lower(context, builder, signature, arguments):
        _call(builder, "set_num_threads", ir.VoidType(), [builder.trunc(arguments[0], ir.IntType(32))])
        if only_workqueue:
            _call(builder, "innerloop_release", ir.VoidType())
        return context.get_dummy_value()

    return types.void(types.intp), lower


def _after_fork_in_child():
    # A started OpenMP or workqueue pool does not survive a fork: the child computes serially.
    global _max_threads
    if layer() in ("omp", "workqueue"):
        _max_threads = 1
        _set_count(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

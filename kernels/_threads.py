"""The thread layer: how many threads a kernel may use, and a pool that is safe from several threads and across fork.

Of Numba's three layers, GNU OpenMP (`omp`) survives two Python threads entering parallel kernels at once, but aborts in
a forked child; `tbb` survives both; `workqueue` aborts at the first. OpenMP's idle workers spin for some milliseconds
before they sleep, so the next region finds them awake on cores of their own. TBB's have to be woken, and where the
scheduler puts a woken worker on its waker's core, which virtual machines invite, a whole run of short regions gains
nothing from it. So omp is preferred; its forked children compute serially, as workqueue's do. Next comes tbb (from a
pip wheel it is found only after its library has been loaded globally, before the first parallel compilation); where
only workqueue is left, a lock lets one Python thread at a time into a parallel region of ours. No pool starts at
import. ``NUMBA_THREADING_LAYER`` and ``NUMBA_THREADING_LAYER_PRIORITY`` remain the user's.

A parallel kernel has this form; its parts depend on shapes alone, never on the number of threads:

    if threads == 1:                       # never touches the pool
        for part in range(parts): work(part)
    else:
        before = enter(threads)
        for part in prange(parts): work(part)
        leave(before)
"""

import contextlib
import ctypes
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
from numba.extending import intrinsic

from kernels import machine


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


only_workqueue = _first_layer() == "workqueue"
_most = min(config.NUMBA_NUM_THREADS, machine.cores())
_count = _most


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
    """
    global _count
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"set_num_threads: n must be an int, got {type(n).__name__}")
    if not 1 <= n <= _most:
        raise ValueError(f"set_num_threads: n must be from 1 to {_most} (usable cores), got {n}")
    _count = n


def get_num_threads() -> int:
    """Number of threads the parallel kernels use."""
    return _count


def layer() -> str:
    """Numba's thread layer in use: 'tbb', 'omp' or 'workqueue'; 'none' before the first parallel kernel."""
    try:
        return numba.threading_layer()
    except ValueError:
        return "none"


# Numba launches a parallel region without the GIL, so a lock it must be. ctypes has the GIL while it calls these two;
# `acquire` gives it up for as long as it waits.
_region = threading.Lock()
_region_calls = {
    "innerloop_acquire": ctypes.CFUNCTYPE(None)(lambda: _region.acquire() and None),
    "innerloop_release": ctypes.CFUNCTYPE(None)(_region.release),
}
for _name, _function in _region_calls.items():
    llvm.add_symbol(_name, ctypes.cast(_function, ctypes.c_void_p).value)


def _call(builder, name, result, arguments=()):
    # By symbol: an embedded address (as in Numba's own set_num_threads) would keep the caller out of the cache.
    function_type = ir.FunctionType(result, [ir.IntType(32)] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, function_type, name), arguments)


@intrinsic
def enter(typingctx, threads):
    """Let the parallel region that follows use `threads` threads; returns what `leave` must restore."""

    def lower(context, builder, signature, arguments):
        if only_workqueue:
            _call(builder, "innerloop_acquire", ir.VoidType())
        before = _call(builder, "get_num_threads", ir.IntType(64))  # declared so by Numba itself; it is an int
        _call(builder, "set_num_threads", ir.VoidType(), [builder.trunc(arguments[0], ir.IntType(32))])
        return builder.sext(builder.trunc(before, ir.IntType(32)), ir.IntType(64))

    return types.intp(types.intp), lower


@intrinsic
def leave(typingctx, before):
    """Give Numba back the number of threads that the user's own kernels had."""

    def lower(context, builder, signature, arguments):
        _call(builder, "set_num_threads", ir.VoidType(), [builder.trunc(arguments[0], ir.IntType(32))])
        if only_workqueue:
            _call(builder, "innerloop_release", ir.VoidType())
        return context.get_dummy_value()

    return types.void(types.intp), lower


def _after_fork_in_child():
    # A started OpenMP or workqueue pool does not survive a fork: the child computes serially.
    global _count, _most
    if layer() in ("omp", "workqueue"):
        _count = _most = 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

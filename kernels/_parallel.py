"""Parallel for: a jitted function runs on ranges of items, each range (a task) on one thread.

    @jit
    def _rows(first, last, x, y): ...               # items `first` to `last` - 1; must not raise

    @jit
    def loops(x, y, threads):
        parallel_for(_rows, rows, grain, threads, (x, y))

A task is `grain` items (the last one may have fewer). The grain must depend on shapes alone, never on the number of
threads, so that results do not either. With one thread the function is called once, on all items, and no thread pool
is used.

All kernels share the one parallel region of this module. A `prange` in each kernel would compile everything it calls
four times: in the loop body, which Numba turns into a function, in two wrappers around that, and in the serial version
of the loop. The shared region receives two addresses instead: of a function made here, and of the arguments, which
stay on the caller's stack. Regions of their own have only the two loops of `limits`, which measure a given number of
threads, and `_denormal`, which must reach every thread of the pool.
"""

import sys

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils

from kernels._jit import jit
from kernels._plain import intrinsic
from kernels._threads import arrive, enter, leave

FIRST = np.int64(0)  # a plain value: Numba compiles a callee again for each literal argument

_WORD = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()
_TASK = ir.FunctionType(ir.VoidType(), [_BYTES, _WORD, _WORD])


@jit(parallel=True)
def _region(task, arguments, items, grain, threads):
    before, home = enter(threads)
    for number in prange((items + grain - 1) // grain):
        arrive(home)
        first = np.int64(number) * grain
        _call_task(task, arguments, first, min(first + grain, items))
    leave(before)


# --- a barrier between the threads of a region ------------------------------------------------------------------------

# A barrier's counters, int64 and 0 at first: tasks started, whether all run (see below), arrivals at barriers so far.
BARRIER = 3
_STARTED, _DECISION, _ARRIVED = np.int64(0), np.int64(1), np.int64(2)
_ALL_RUN, _NOT_ALL_RUN = np.int64(1), np.int64(2)
_MAX_YIELDS = 2000  # before the other threads are given up: about a millisecond
_SPINS = 200  # reads of a counter between two yields


@jit
def all_running(counters, threads):
    """Whether all `threads` tasks of a region run at the same time, each on its own thread. Every task that asks gets
    the same answer. Returns False instead of deadlocking when a task has no thread: a busy pool may run tasks one after
    another, and so does a forked child."""
    if _atomic_add(counters, _STARTED) + 1 == threads:
        _atomic_set_once(counters, _DECISION, _ALL_RUN)
    yields = 0
    while _atomic_load(counters, _DECISION) == 0:
        yields += 1
        if yields > _MAX_YIELDS:
            _atomic_set_once(counters, _DECISION, _NOT_ALL_RUN)
        _yield()
    return _atomic_load(counters, _DECISION) == _ALL_RUN


@jit
def barrier(counters, threads, number):
    """Wait until all threads have arrived at barrier `number`, counted from 1. What they wrote before it can be read
    after it."""
    _atomic_add(counters, _ARRIVED)
    spins = 0
    while _atomic_load(counters, _ARRIVED) < threads * number:
        spins += 1
        if spins % _SPINS == 0:
            _yield()


def _plain_add(counters, i):
    counters[i] += 1
    return counters[i] - 1


def _plain_set_once(counters, i, value):
    counters[i] = counters[i] or value


@intrinsic(plain=_plain_add)
def _atomic_add(typingctx, counters, i):
    """Add 1; returns the value before."""

    def lower(context, builder, signature, values):
        pointer = _pointer(context, builder, counters, *values)
        return builder.atomic_rmw("add", pointer, ir.Constant(_WORD, 1), "seq_cst")

    return types.int64(counters, types.intp), lower


@intrinsic(plain=lambda counters, i: counters[i])
def _atomic_load(typingctx, counters, i):
    def lower(context, builder, signature, values):
        return builder.load_atomic(_pointer(context, builder, counters, *values), "seq_cst", 8)

    return types.int64(counters, types.intp), lower


@intrinsic(plain=_plain_set_once)
def _atomic_set_once(typingctx, counters, i, value):
    """Compare and swap: set the counter to `value` if it is 0."""

    def lower(context, builder, signature, values):
        pointer = _pointer(context, builder, counters, *values[:2])
        builder.cmpxchg(pointer, ir.Constant(_WORD, 0), values[2], "seq_cst", "seq_cst")
        return context.get_dummy_value()

    return types.void(counters, types.intp, types.int64), lower


def _pointer(context, builder, kind, array, i):
    """Pointer to element `i` of an array of the type `kind`."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [i])


@intrinsic(plain=lambda: None)
def _yield(typingctx):
    """Let the operating system run another thread on this core."""

    def lower(context, builder, signature, values):
        if sys.platform != "win32":
            builder.call(
                cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield"), []
            )
        return context.get_dummy_value()

    return types.void(), lower


# --- parallel for -----------------------------------------------------------------------------------------------------


@intrinsic
def _call_task(typingctx, task, arguments, first, last):
    """Call the function at the address `task` with the arguments at the address `arguments`."""

    def lower(context, builder, signature, values):
        function, packed = builder.inttoptr(values[0], _TASK.as_pointer()), builder.inttoptr(values[1], _BYTES)
        builder.call(function, [packed, *values[2:]])
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 4), lower


@intrinsic(plain=lambda task, items, grain, threads, arguments: task(FIRST, items, *arguments))
def parallel_for(typingctx, task, items, grain, threads, arguments):
    """Call ``task(first, last, *arguments)`` for consecutive ranges of `grain` items on `threads` threads, or once for
    all items if `threads` is 1.

    `arguments` is a tuple without literals; `task`, a jitted function, names each of its parameters (no ``*args``).
    """
    kinds = (types.int64, types.int64, *arguments)
    task_signature = typingctx.resolve_function_type(task, kinds, {})
    region_signature = typingctx.resolve_function_type(types.Dispatcher(_region), (types.int64,) * 5, {})

    def lower(context, builder, signature, values):
        _, items, grain, threads, packed = values
        zero, one = ir.Constant(_WORD, 0), ir.Constant(_WORD, 1)
        fields = [
            _without_owner(context, builder, kind, builder.extract_value(packed, i)) for i, kind in enumerate(arguments)
        ]
        place = cgutils.alloca_once(builder, ir.LiteralStructType([field.type for field in fields]))
        with builder.if_else(builder.icmp_signed("==", threads, one)) as (serial, parallel):
            with serial:
                _call_compiled(context, builder, task.dispatcher, task_signature, [zero, items, *fields])
            with parallel:
                for i, field in enumerate(fields):
                    builder.store(field, cgutils.gep_inbounds(builder, place, 0, i))
                function = _unpacking(context, builder.module, place.type, task.dispatcher, task_signature)
                addresses = [builder.ptrtoint(pointer, _WORD) for pointer in (function, place)]
                _call_compiled(context, builder, _region, region_signature, [*addresses, items, grain, threads])
        return context.get_dummy_value()

    return types.void(task, *(types.int64,) * 3, arguments), lower


def _without_owner(context, builder, kind, value):
    """The same value with arrays that have no owner, so that no references are counted: an atomic counter that all
    threads change would serialise them."""
    if isinstance(kind, types.BaseTuple):
        for i, each in enumerate(kind):
            field = _without_owner(context, builder, each, builder.extract_value(value, i))
            value = builder.insert_value(value, field, i)
    elif isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        for owner in ("meminfo", "parent"):
            setattr(array, owner, ir.Constant(getattr(array, owner).type, None))
        value = array._getvalue()
    return value


def _unpacking(context, module, kind, task, signature):
    """A function that calls `task` with arguments read from memory of the pointer type `kind`."""
    function = ir.Function(module, _TASK, module.get_unique_name("task"))
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block())
    place = builder.bitcast(function.args[0], kind)
    fields = [builder.load(cgutils.gep_inbounds(builder, place, 0, i)) for i in range(len(signature.args) - 2)]
    _call_compiled(context, builder, task, signature, [*function.args[1:], *fields])
    builder.ret_void()
    return function


def _call_compiled(context, builder, dispatcher, signature, values):
    """Call a jitted function that returns nothing and does not raise."""
    compiled = dispatcher.get_compile_result(signature)
    context.active_code_library.add_linking_library(compiled.library)
    function = context.declare_function(builder.module, compiled.fndesc)
    # noinline: the serial and the parallel branch share one copy of the machine code
    context.call_conv.call_function(
        builder, function, signature.return_type, signature.args, values, attrs=("noinline",)
    )

"""The form of a parallel kernel: ``share_out`` calls a jitted function on one range of items after another.

    @jit
    def _rows(first, last, x, y): ...               # the items from `first` to `last` - 1; may not raise

    @jit
    def loops(x, y, threads):
        share_out(_rows, rows, share, threads, (x, y))

What a range holds depends on shapes alone, never on the number of threads: `share` items go to a thread at a time, the
last range is what is left. One thread gets all items in one call and never touches the pool.

There is one parallel region for all kernels. (A `prange` in each would compile what it calls four times over: in the
loop's body, which Numba makes a function of its own, in two layers around that, and in the loop for one thread.) It
knows its task as two addresses: of a function made here, and of the arguments, which stay on the caller's stack.
"""

import sys

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils

from kernels._jit import jit
from kernels._plain import intrinsic
from kernels._threads import arrive, enter, leave

FIRST = np.int64(0)  # a plain value: Numba compiles a callee anew for each literal argument

_WORD = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()
_TASK = ir.FunctionType(ir.VoidType(), [_BYTES, _WORD, _WORD])


@jit(parallel=True)
def _region(task, arguments, items, share, threads):
    before, home = enter(threads)
    for part in prange((items + share - 1) // share):
        arrive(home)
        first = np.int64(part) * share
        _call(task, arguments, first, min(first + share, items))
    leave(before)


# --- threads that wait for each other ---------------------------------------------------------------------------------

MEETING = 3  # int64, zeros at first: how many have come, what was decided, how many have reached the meetings so far
_TOGETHER, _APART = np.int64(1), np.int64(2)
_COME, _DECISION, _REACHED = np.int64(0), np.int64(1), np.int64(2)
_PATIENCE = 2000  # looks, each followed by giving way to other threads: about a millisecond
_SPINS = 200  # looks at a counter between giving way


@jit
def assembled(meeting, threads):
    """Whether all `threads` shares of a region run at the same time: the same answer to each, and never a wait for one
    that has no thread (a busy pool may run shares one after the other, a forked child does)."""
    if _atomic_add(meeting, _COME) + 1 == threads:
        _atomic_decide(meeting, _DECISION, _TOGETHER)
    looks = 0
    while _atomic_load(meeting, _DECISION) == 0:
        looks += 1
        if looks > _PATIENCE:
            _atomic_decide(meeting, _DECISION, _APART)
        _give_way()
    return _atomic_load(meeting, _DECISION) == _TOGETHER


@jit
def meet(meeting, threads, number):
    """Wait until all threads have come to meeting `number`, counted from 1; what they wrote before is seen after."""
    _atomic_add(meeting, _REACHED)
    looks = 0
    while _atomic_load(meeting, _REACHED) < threads * number:
        looks += 1
        if looks % _SPINS == 0:
            _give_way()


def _plain_add(meeting, i):
    meeting[i] += 1
    return meeting[i] - 1


def _plain_decide(meeting, i, decision):
    meeting[i] = meeting[i] or decision


@intrinsic(plain=_plain_add)
def _atomic_add(typingctx, meeting, i):
    def lower(context, builder, signature, values):
        return builder.atomic_rmw("add", _slot(context, builder, meeting, *values), ir.Constant(_WORD, 1), "seq_cst")

    return types.int64(meeting, types.intp), lower


@intrinsic(plain=lambda meeting, i: meeting[i])
def _atomic_load(typingctx, meeting, i):
    def lower(context, builder, signature, values):
        return builder.load_atomic(_slot(context, builder, meeting, *values), "seq_cst", 8)

    return types.int64(meeting, types.intp), lower


@intrinsic(plain=_plain_decide)
def _atomic_decide(typingctx, meeting, i, decision):
    """Write the decision, unless there is one."""

    def lower(context, builder, signature, values):
        place = _slot(context, builder, meeting, *values[:2])
        builder.cmpxchg(place, ir.Constant(_WORD, 0), values[2], "seq_cst", "seq_cst")
        return context.get_dummy_value()

    return types.void(meeting, types.intp, types.int64), lower


def _slot(context, builder, kind, array, i):
    return builder.gep(context.make_array(kind)(context, builder, array).data, [i])


@intrinsic(plain=lambda: None)
def _give_way(typingctx):
    def lower(context, builder, signature, values):
        if sys.platform != "win32":
            builder.call(
                cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield"), []
            )
        return context.get_dummy_value()

    return types.void(), lower


# --- the region -------------------------------------------------------------------------------------------------------


@intrinsic
def _call(typingctx, task, arguments, first, last):
    def lower(context, builder, signature, values):
        task, place = builder.inttoptr(values[0], _TASK.as_pointer()), builder.inttoptr(values[1], _BYTES)
        builder.call(task, [place, *values[2:]])
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 4), lower


@intrinsic(plain=lambda work, items, share, threads, arguments: work(FIRST, items, *arguments))
def share_out(typingctx, work, items, share, threads, arguments):
    """``work(first, last, *arguments)`` on all `items`, by `threads` threads: `share` items at a time, or all at once.

    `arguments` is a tuple, without literals; `work` takes each by its name, none by a star.
    """
    kinds = (types.int64, types.int64, *arguments)
    work_signature = typingctx.resolve_function_type(work, kinds, {})
    region_signature = typingctx.resolve_function_type(types.Dispatcher(_region), (types.int64,) * 5, {})

    def lower(context, builder, signature, values):
        _, items, share, threads, packed = values
        zero, one = ir.Constant(_WORD, 0), ir.Constant(_WORD, 1)
        parts = [
            _borrowed(context, builder, kind, builder.extract_value(packed, i)) for i, kind in enumerate(arguments)
        ]
        place = cgutils.alloca_once(builder, ir.LiteralStructType([part.type for part in parts]))
        with builder.if_else(builder.icmp_signed("==", threads, one)) as (alone, together):
            with alone:
                _call_compiled(context, builder, work.dispatcher, work_signature, [zero, items, *parts])
            with together:
                for i, part in enumerate(parts):
                    builder.store(part, cgutils.gep_inbounds(builder, place, 0, i))
                task = _task(context, builder.module, place.type, work.dispatcher, work_signature)
                addresses = [builder.ptrtoint(pointer, _WORD) for pointer in (task, place)]
                _call_compiled(context, builder, _region, region_signature, [*addresses, items, share, threads])
        return context.get_dummy_value()

    return types.void(work, *(types.int64,) * 3, arguments), lower


def _borrowed(context, builder, kind, value):
    """The same value, in which arrays have no owner: threads that count its references would wait for each other."""
    if isinstance(kind, types.BaseTuple):
        for i, each in enumerate(kind):
            part = _borrowed(context, builder, each, builder.extract_value(value, i))
            value = builder.insert_value(value, part, i)
    elif isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        for owner in ("meminfo", "parent"):
            setattr(array, owner, ir.Constant(getattr(array, owner).type, None))
        value = array._getvalue()
    return value


def _task(context, module, kind, work, signature):
    """A function that takes the arguments of `work` from memory of the pointer type `kind`."""
    task = ir.Function(module, _TASK, module.get_unique_name("task"))
    task.linkage = "internal"
    builder = ir.IRBuilder(task.append_basic_block())
    place = builder.bitcast(task.args[0], kind)
    parts = [builder.load(cgutils.gep_inbounds(builder, place, 0, i)) for i in range(len(signature.args) - 2)]
    _call_compiled(context, builder, work, signature, [*task.args[1:], *parts])
    builder.ret_void()
    return task


def _call_compiled(context, builder, dispatcher, signature, values):
    """Call a jitted function that neither returns anything nor raises."""
    compiled = dispatcher.get_compile_result(signature)
    context.active_code_library.add_linking_library(compiled.library)
    function = context.declare_function(builder.module, compiled.fndesc)
    # not inlined: one copy of it is enough
    context.call_conv.call_function(
        builder, function, signature.return_type, signature.args, values, attrs=("noinline",)
    )

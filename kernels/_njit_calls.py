"""Calls by address: how compiled code finds and calls a `Callee`. What it is for is told in `_njit`.

A caller's module has a variable for each callee, the *slot*, which holds the address of its code, or 0 until the first
call. The address is looked up in a table of this process by a hash of the callee's key: its name, the types of its
arguments and that of its result. What is missing there is loaded or compiled by Python.
"""

import ctypes
import functools
import hashlib
import importlib
import inspect
import pickle
import sys
import threading
import traceback

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_new_ref

from kernels._threads import _call as call

VERSION = 1  # of what caller and callee agree upon: the order of the arguments, the key and the slot
PACKAGE = __name__.partition(".")[0]
_MAX_ADDRESSES = 2**14


class Callee:
    """A jitted function that is called by its address.

    `home` and `name` find it in another process: the module that makes it, and a name that is unique there. `types` are
    those of its parameters for a dtype, as `Compiled` has them; without it, they are those of the arguments.
    """

    registered = {}

    def __init__(self, home, name, dispatcher, types=None):
        self.home, self.name, self.dispatcher, self.types = home, name, dispatcher, types
        self.__qualname__ = f"{home}.{name}"  # tells the closures apart that capture it
        if (home, name) in self.registered:
            raise ValueError(f"{home}: two callees are called {name}")
        self.registered[home, name] = self

    def __call__(self, *arguments):
        return self.dispatcher(*arguments)

    @functools.cached_property
    def leading(self):
        """How many parameters come before ``*arguments``; None without these."""
        code = self.dispatcher.py_func.__code__
        return code.co_argcount if code.co_flags & inspect.CO_VARARGS else None

    def packed(self, kinds):
        """The types as the function takes them: those of ``*arguments`` as a tuple."""
        if self.leading is None:
            return kinds
        return (*kinds[: self.leading], types.BaseTuple.from_types(kinds[self.leading :]))

    def compiled(self, kinds):
        packed = self.packed(kinds)
        self.dispatcher.compile(packed)
        return self.dispatcher.overloads[packed]


# --- addresses -------------------------------------------------------------------------------------------------------


class _Table(ctypes.Structure):
    """How many addresses there are; their hashes; the addresses. It is only appended to, and so read without a lock."""

    _fields_ = [
        ("count", ctypes.c_int64),
        ("hashes", ctypes.c_int64 * _MAX_ADDRESSES),
        ("addresses", ctypes.c_int64 * _MAX_ADDRESSES),
    ]


_table, _appending = _Table(), threading.RLock()


def _find(home, name):
    """A callee, or None where this version has no such one."""
    try:
        importlib.import_module(home)
    except ModuleNotFoundError:
        return None
    return Callee.registered.get((home, name))


class Load:
    """Puts the address of a callee into the table; Numba calls it, too, before it loads a cached caller."""

    def __init__(self, key: bytes):
        self.key = key

    def __eq__(self, other):
        return isinstance(other, Load) and other.key == self.key

    def __hash__(self):
        return hash(self.key)

    def __call__(self):
        number = hash_of(self.key)
        with _appending:
            for i in range(_table.count):
                if _table.hashes[i] == number:
                    return _table.addresses[i]
            version, home, name, kinds, result = pickle.loads(self.key)
            callee = _find(home, name)
            if version != VERSION or callee is None or callee.compiled(kinds).signature.return_type != result:
                raise RuntimeError(
                    f"{name}: a cached function calls it as another version of {PACKAGE} had it; delete the cache of "
                    "the function's module (in its __pycache__)"
                )
            compiled = callee.compiled(kinds)
            address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
            if _table.count < _MAX_ADDRESSES:
                i = _table.count
                _table.hashes[i], _table.addresses[i] = number, address
                _table.count = i + 1
            return address


def hash_of(key):
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "little", signed=True)


@ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)
def _resolve(key, size):
    """The address of a callee, 0 where it cannot be had."""
    try:
        return Load(ctypes.string_at(key, size))()
    except Exception:  # it cannot pass through compiled code, which raises a RuntimeError
        traceback.print_exc()
        return 0


llvm.add_symbol("innerloop_addresses", ctypes.addressof(_table))
llvm.add_symbol("innerloop_resolve", ctypes.cast(_resolve, ctypes.c_void_p).value)


# --- calling ---------------------------------------------------------------------------------------------------------


_MISSING = "its compiled code cannot be loaded"
_LOST = b"kernels: compiled code could not be loaded in a prange, its results are wrong: call it once before\n"
_YIELDS = 10**6  # to other threads, before a worker gives up: a second or more


def caller_of(callee, kinds, compiled):
    """What emits a call."""
    result, missing = compiled.signature.return_type, f"{callee.name}: {_MISSING}"
    load = Load(pickle.dumps((VERSION, callee.home, callee.name, kinds, result)))
    load()
    packed = callee.packed(kinds)

    def lower(context, builder, signature, arguments):
        context.active_code_library._reload_init.add(load)
        if packed != kinds:
            rest = context.make_tuple(builder, packed[-1], arguments[callee.leading :])
            arguments = [*arguments[: callee.leading], rest]
        kind = context.call_conv.get_function_type(result, packed)
        address = _address(builder, load.key)
        with builder.if_then(builder.icmp_signed("==", address, _WORD(0)), likely=False):
            context.call_conv.return_user_exc(builder, RuntimeError, (missing,))
        function = builder.inttoptr(address, kind.as_pointer())
        status, value = context.call_conv.call_function(builder, function, result, packed, arguments)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return impl_ret_new_ref(context, builder, result, value)

    return lower


_WORD, _BYTE = ir.IntType(64), ir.IntType(8)


def _address(builder, key):
    """The address of a callee, from the slot of this module or by searching."""
    module, number = builder.module, hash_of(key)
    name = f"innerloop.slot.{number % 2**64:x}"
    slot = module.globals.get(name)
    if slot is None:
        slot = ir.GlobalVariable(module, _WORD, name)
        slot.linkage, slot.initializer = "internal", _WORD(0)
        text = ir.GlobalVariable(module, ir.ArrayType(_BYTE, len(key)), f"innerloop.key.{number % 2**64:x}")
        text.linkage, text.global_constant, text.initializer = "internal", True, cgutils.make_bytearray(key)
    text = module.globals[f"innerloop.key.{number % 2**64:x}"]
    address = builder.load_atomic(slot, "monotonic", 8)
    with builder.if_then(builder.icmp_signed("==", address, _WORD(0)), likely=False):
        pointer = builder.bitcast(text, _BYTE.as_pointer())
        found = builder.call(_search(module), [pointer, _WORD(len(key)), _WORD(number)])
        builder.store_atomic(found, slot, "monotonic", 8)
    return builder.load_atomic(slot, "monotonic", 8)


def _search(module):
    """``i64 search(key, size, hash)``: from the table, which needs no GIL, else by Python."""
    name = "innerloop.search"
    function = module.globals.get(name)
    if function is not None:
        return function
    function = ir.Function(module, ir.FunctionType(_WORD, [_BYTE.as_pointer(), _WORD, _WORD]), name)
    function.linkage = "internal"
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    key, size, number = function.args
    column, field = ir.ArrayType(_WORD, _MAX_ADDRESSES), ir.IntType(32)
    table = ir.GlobalVariable(module, ir.LiteralStructType([_WORD, column, column]), "innerloop_addresses")

    def look():
        count = builder.load_atomic(builder.gep(table, [_WORD(0), field(0)]), "acquire", 8)
        with cgutils.for_range(builder, count) as loop:
            same = builder.icmp_signed("==", builder.load(builder.gep(table, [_WORD(0), field(1), loop.index])), number)
            with builder.if_then(same):
                builder.ret(builder.load(builder.gep(table, [_WORD(0), field(2), loop.index])))

    look()
    # A worker of a parallel region must not ask Python: the thread that waits for it may hold the GIL. That thread may
    # come here, too, and put the address into the table.
    outside = builder.icmp_signed("!=", call(builder, "PyGILState_Check", ir.IntType(32)), field(0))
    outside = builder.or_(outside, builder.icmp_signed("==", call(builder, "innerloop_in_parallel", field), field(0)))
    with builder.if_then(builder.not_(outside), likely=False):
        if sys.platform != "win32":
            with cgutils.for_range(builder, _WORD(_YIELDS)):
                call(builder, "sched_yield", field)
                look()
            # Numba loses errors in a prange, so this one is written
            text = cgutils.global_constant(module, "innerloop.lost", cgutils.make_bytearray(_LOST))
            pointer = builder.bitcast(text, _BYTE.as_pointer())
            call(builder, "write", _WORD, [field(2), pointer, _WORD(len(_LOST))])
        builder.ret(_WORD(0))
    kind = ir.FunctionType(_WORD, [_BYTE.as_pointer(), _WORD])
    builder.ret(builder.call(cgutils.get_or_insert_function(module, kind, "innerloop_resolve"), [key, size]))
    return function

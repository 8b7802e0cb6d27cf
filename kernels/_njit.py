"""Public functions as Numba functions: inside a user's ``@njit`` code they have the same name, arguments and result.

    softmax_loops = by_address(exponentials.softmax_loops)

    @in_njit(softmax)
    def _softmax(x, dim):                   # every parameter of `softmax`, in its order
        x = floats("softmax", "x", x)
        ...
        softmax_loops(outer, n, inner, threads, x, y)
        return y

Such an *entry* is the public function for compiled code: checks (those of `_njit_checks`), then the loops. The entries
of a family are in its module `njit`, which is imported when jitted code first names one of its functions.

A caller does not link the entry's code, nor an entry that of the loops: Numba would optimise them once more, for
seconds, and the copies could round differently. It calls an address, held by a variable of the caller's module (the
*slot*), which is 0 until the first call. The address comes from a table of this process, by a hash of the callee's name
and types; where it is missing there, Python loads or compiles the callee. So a caller that its user has cached names
the callee, not its code, and runs that of the installed version.
"""

import ctypes
import functools
import hashlib
import importlib
import inspect
import pickle
import threading
from types import FunctionType

import llvmlite.binding as llvm
from llvmlite import ir
from numba import typeof
from numba.core import cgutils, errors, types
from numba.core.datamodel import register_default
from numba.core.datamodel.models import OpaqueModel
from numba.core.imputils import impl_ret_new_ref, lower_constant
from numba.core.registry import cpu_target
from numba.core.typing import signature as signature_of
from numba.extending import typeof_impl

from kernels._jit import Compiled, jit

VERSION = 1  # of what caller and callee agree upon: the order of the arguments, the key and the slot
PACKAGE = __name__.partition(".")[0]
# Public functions of modules that are not in a family: where their entries are.
_HOMES = {f"{PACKAGE}.affine": f"{PACKAGE}.gemm.njit", f"{PACKAGE}.mlp": f"{PACKAGE}.gemm.njit"}
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


def by_address(loops, name=None):
    """Loops (a jitted function, or a `Compiled` one) that entries call by address. `name` is for those that are made
    by a function and have none of their own."""
    home = inspect.currentframe().f_back.f_globals["__name__"]
    if isinstance(loops, Compiled):
        return Callee(home, name or loops.function.__name__, loops.function, loops.types)
    return Callee(home, name or loops.__name__, loops)


_ENTRIES = {}  # from a public function to its callee


def in_njit(public, literal=()):
    """Decorator: the function is what `public` is in jitted code.

    `literal` names parameters whose value the type of the result depends on, as that of ``keepdim``: they are passed as
    literals, as texts always are.
    """

    def offer(function):
        entry = _ENTRIES[public] = Callee(function.__module__, public.__name__, jit(function))
        entry.literal = frozenset(literal)
        return function

    return offer


def entry_of(public):
    """The entry of a public function, or None."""
    name = public.__module__
    if public not in _ENTRIES:
        home = _HOMES.get(name, ".".join([*name.split(".")[:2], "njit"]))
        try:
            importlib.import_module(home)
        except ModuleNotFoundError as error:
            if error.name != home:
                raise
    return _ENTRIES.get(public)


# --- addresses -------------------------------------------------------------------------------------------------------


class _Table(ctypes.Structure):
    """How many addresses there are; their hashes; the addresses. Only ever appended to, so it is read without a lock."""

    _fields_ = [
        ("count", ctypes.c_int64),
        ("hashes", ctypes.c_int64 * _MAX_ADDRESSES),
        ("addresses", ctypes.c_int64 * _MAX_ADDRESSES),
    ]


_table, _appending = _Table(), threading.RLock()


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
            version, home, name, kinds = pickle.loads(self.key)
            if version != VERSION:
                raise RuntimeError(
                    f"{name}: a cached function calls it as another version of {PACKAGE} did; delete the cache of the "
                    "calling module (in its __pycache__)"
                )
            importlib.import_module(home)
            compiled = Callee.registered[home, name].compiled(kinds)
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
    except Exception as error:  # it cannot pass through compiled code
        print(f"{PACKAGE}: {error}")
        return 0


llvm.add_symbol("innerloop_addresses", ctypes.addressof(_table))
llvm.add_symbol("innerloop_resolve", ctypes.cast(_resolve, ctypes.c_void_p).value)


# --- typing ----------------------------------------------------------------------------------------------------------


class _ByAddress(types.Callable, types.Opaque):
    """The type of what is called by address."""

    def __init__(self, name, callee):
        self.callee, self._keys = callee, {}
        super().__init__(f"{PACKAGE}.{name}")

    @property
    def key(self):
        return self.callee.home, self.callee.name

    def get_call_signatures(self):
        return (), True

    def get_impl_key(self, signature):
        return self._keys[signature.args]

    def _signature(self, kinds, pysig=None):
        """The signature of a call with arguments of these types, once the callee is compiled and its call defined."""
        compiled = self.callee.compiled(kinds)
        if kinds not in self._keys:
            self._keys[kinds] = object()
            lower = _caller(self.callee, kinds, compiled)
            cpu_target.target_context.insert_func_defn([(lower, self._keys[kinds], kinds)])
        return signature_of(compiled.signature.return_type, *kinds).replace(pysig=pysig)


class Public(_ByAddress):
    """The type of a public function."""

    def __init__(self, public):
        self.parameters = inspect.signature(public)
        each = self.parameters.parameters.values()
        # Numba binds arguments by position; that the last ones are by keyword only is checked in `get_call_type`
        self.positional = self.parameters.replace(
            parameters=[parameter.replace(kind=parameter.POSITIONAL_OR_KEYWORD) for parameter in each]
        )
        super().__init__(public.__name__, entry_of(public))

    def get_call_type(self, context, args, kws):
        try:
            bound = self.parameters.bind(*args, **dict(kws)).arguments
        except TypeError as error:
            raise errors.TypingError(f"{self.callee.name}: {error}") from None
        kinds = []
        for name, parameter in self.parameters.parameters.items():
            kind = bound[name] if name in bound else _constant_type(parameter.default)
            if isinstance(kind, types.Omitted):
                kind = _constant_type(kind.value)
            literal = name in self.callee.literal and kind != types.none
            known = isinstance(kind, types.Literal) or not (literal or isinstance(kind, types.UnicodeType))
            if not known or isinstance(kind, types.Optional):
                raise errors.TypingError(
                    f"{self.callee.name}: {name} must be known when the call is compiled, it is {kind}"
                )
            kinds.append(kind if literal else _canonical(kind))
        return self._signature(tuple(kinds), self.positional)


class Loops(_ByAddress):
    """The type of loops that entries call."""

    def get_call_type(self, context, args, kws):
        if self.callee.types is None:
            return self._signature(tuple(map(_canonical, args)))
        dtype = next(each.dtype for each in types_in(args) if isinstance(each, types.Array))
        return self._signature(tuple(self.callee.types(dtype)))


def types_in(kinds):
    """The types, with those in tuples."""
    for kind in kinds:
        if isinstance(kind, types.BaseTuple):
            yield from types_in(kind)
        else:
            yield kind


for _kind in (Public, Loops):
    register_default(_kind)(OpaqueModel)
    lower_constant(_kind)(lambda context, builder, kind, value: context.get_dummy_value())

_public_types, _loops_types = {}, {}


@typeof_impl.register(FunctionType)
def _type_of_function(value, _):
    if (value.__module__ or "").startswith(f"{PACKAGE}.") and entry_of(value) is not None:
        return _public_types.get(value) or _public_types.setdefault(value, Public(value))
    return None


@typeof_impl.register(Callee)
def _type_of_callee(value, _):
    return _loops_types.get(value) or _loops_types.setdefault(value, Loops(value.name, value))


def _constant_type(value):
    if value is None:
        return types.none
    return types.literal(value) if isinstance(value, (str, bool, int)) else typeof(value)


def _canonical(kind):
    """The type with which an argument is passed: few, so that few callees are compiled. A text is part of the type."""
    if isinstance(kind, types.StringLiteral):
        return kind
    kind = types.unliteral(kind)
    if isinstance(kind, types.Integer):
        return types.int64
    if isinstance(kind, types.Float):
        return types.float64
    if isinstance(kind, types.BaseNamedTuple):
        return kind
    if isinstance(kind, types.BaseTuple):
        each = tuple(map(_canonical, kind))
        return types.BaseTuple.from_types(each)
    return kind


# --- calling ---------------------------------------------------------------------------------------------------------


def _caller(callee, kinds, compiled):
    """What emits a call."""
    load = Load(pickle.dumps((VERSION, callee.home, callee.name, kinds)))
    load()
    result, missing = compiled.signature.return_type, f"{callee.name}: its compiled code cannot be loaded"
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
    count = builder.load_atomic(builder.gep(table, [_WORD(0), field(0)]), "acquire", 8)
    with cgutils.for_range(builder, count) as loop:
        same = builder.icmp_signed("==", builder.load(builder.gep(table, [_WORD(0), field(1), loop.index])), number)
        with builder.if_then(same):
            builder.ret(builder.load(builder.gep(table, [_WORD(0), field(2), loop.index])))
    kind = ir.FunctionType(_WORD, [_BYTE.as_pointer(), _WORD])
    builder.ret(builder.call(cgutils.get_or_insert_function(module, kind, "innerloop_resolve"), [key, size]))
    return function

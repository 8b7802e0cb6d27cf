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

import importlib
import inspect
from types import FunctionType

from numba import typeof
from numba.core import errors, types
from numba.core.datamodel import register_default
from numba.core.datamodel.models import OpaqueModel
from numba.core.imputils import lower_constant
from numba.core.registry import cpu_target
from numba.core.typing import signature as signature_of
from numba.extending import typeof_impl

from kernels._jit import Compiled, jit
from kernels._njit_calls import PACKAGE, Callee, caller_of

# Public functions of modules that are not in a family: where their entries are.
_HOMES = {f"{PACKAGE}.affine": f"{PACKAGE}.gemm.njit", f"{PACKAGE}.mlp": f"{PACKAGE}.gemm.njit"}


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
            lower = caller_of(self.callee, kinds, compiled)
            cpu_target.target_context.insert_func_defn([(lower, self._keys[kinds], kinds)])
        return signature_of(compiled.signature.return_type, *kinds).replace(pysig=pysig)


class Public(_ByAddress):
    """The type of a public function."""

    def __init__(self, public):
        self.parameters = inspect.signature(public)
        # Numba binds arguments by position; that the last ones are by keyword only is checked in `get_call_type`, and
        # that there is one where there is no default, which may not follow one that has a default
        positional, with_default = [], False
        for parameter in self.parameters.parameters.values():
            with_default |= parameter.default is not parameter.empty
            default = None if with_default and parameter.default is parameter.empty else parameter.default
            positional.append(parameter.replace(kind=parameter.POSITIONAL_OR_KEYWORD, default=default))
        self.positional = self.parameters.replace(parameters=positional)
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

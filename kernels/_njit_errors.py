"""Errors of the entries of `_njit`, and how checks are written that know types.

A message with values is put together only when the error arrives in Python: compiled code raises `Value`, `Kind` or
`Index` with a template and the values for it.
"""

from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import overload

from kernels._plain import intrinsic


class Value(ValueError):
    """Makes a ValueError of a message with ``{}`` in it and the values."""

    def __new__(cls, message, *values):
        return ValueError(message.format(*values))


class Kind(TypeError):
    """The same for a TypeError."""

    def __new__(cls, message, *values):
        return TypeError(message.format(*values))


class Index(IndexError):
    """The same for an IndexError."""

    def __new__(cls, message, *values):
        return IndexError(message.format(*values))


def _check(function):
    """Decorator: ``function(types…)`` returns the code of a check; what it returns is called from entries only."""

    def only_compiled(*arguments):
        raise NotImplementedError(f"{function.__name__}: exists only in compiled code")

    only_compiled.__name__, only_compiled.__doc__ = function.__name__, function.__doc__
    overload(only_compiled, prefer_literal=True)(function)
    return only_compiled


def text_of(name, kind):
    """The value of a literal text; TypingError where an argument that has to be a literal is none."""
    if not isinstance(kind, types.StringLiteral):
        raise TypingError(f"{name} must be a literal text, it is {kind}")
    return kind.literal_value


def type_name(kind):
    """What `_checks` calls the type of an argument."""
    if isinstance(kind, types.Array):
        return str(kind.dtype)
    names = {types.none: "NoneType", types.unicode_type: "str", types.boolean: "bool"}
    if isinstance(kind, (types.Integer, types.Float)):
        return "int" if isinstance(kind, types.Integer) else "float"
    return names.get(types.unliteral(kind), "tuple" if isinstance(kind, types.BaseTuple) else str(kind))


@intrinsic
def failed(typingctx):
    """True, which Numba does not know when it infers types: what follows the error has the type of a result."""
    return types.boolean(), lambda context, builder, signature, values: cgutils.true_bit

"""Numbers and texts among the arguments of entries: dimensions, sizes, choices; and how many threads work is worth."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import overload

from kernels import _threads
from kernels._njit_errors import Value, _check, failed, text_of, type_name
from kernels._plain import intrinsic
from kernels._threads import PARALLEL_ELEMENTS, PARALLEL_MULTIPLY_ADDS


@intrinsic
def _with(typingctx, sizes, i, value):
    """A tuple of sizes with another one at place i, which is counted from 0 and in range."""

    def lower(context, builder, signature, values):
        memory = cgutils.alloca_once_value(builder, values[0])
        builder.store(values[2], cgutils.gep_inbounds(builder, memory, 0, values[1]))
        return builder.load(memory)

    return sizes(sizes, types.int64, types.int64), lower


def replaced(sizes, i, value):
    """`_with` for entries."""


@overload(replaced)
def _replaced(sizes, i, value):
    return lambda sizes, i, value: _with(sizes, i, value)


@_check
def axis_of(operation, dim, ndim):
    """`dim` counted from the front."""
    operation = text_of("operation", operation)
    if not isinstance(types.unliteral(dim), types.Integer):
        message = f"{operation}: dim must be an int, got {type_name(dim)}"

        def refused(operation, dim, ndim):
            if failed():
                raise TypeError(message)
            return 0

        return refused
    message = f"{operation}: dim must be from {{}} to {{}}, got {{}}"

    def code(operation, dim, ndim):
        axes = max(ndim, 1)
        if dim < -axes or dim >= axes:
            raise Value(message, -axes, axes - 1, dim)
        return dim + axes if dim < 0 else dim

    return code


@_check
def product(sizes, first, last):
    """Product of the sizes from place `first` to `last` - 1; 1 if there are none."""

    def code(sizes, first, last):
        total = np.int64(1)
        for i in range(first, last):
            total *= sizes[i]
        return total

    return code if len(sizes) else lambda sizes, first, last: np.int64(1)


@_check
def split(operation, x, dim):
    """Shape of `x` as (outer, n, inner) along `dim`."""
    if x.ndim == 0:

        def of_nothing(operation, x, dim):
            axis_of(operation, dim, 0)
            return np.int64(1), np.int64(1), np.int64(1)

        return of_nothing

    def code(operation, x, dim):
        axis = axis_of(operation, dim, x.ndim)
        return product(x.shape, 0, axis), x.shape[axis], product(x.shape, axis + 1, x.ndim)

    return code


@_check
def choice(operation, name, value, allowed):
    """Position of the literal `value` among the literals `allowed`; ValueError where it is none of them."""
    words = tuple(None if isinstance(each, types.NoneType) else each.literal_value for each in allowed)
    given = None if isinstance(value, types.NoneType) else getattr(value, "literal_value", value)
    if given in words:
        position = words.index(given)
        return lambda operation, name, value, allowed: position
    message = (
        f"{text_of('operation', operation)}: {text_of('name', name)} must be one of {', '.join(map(repr, words))}, "
        f"got {given!r}"
    )

    def code(operation, name, value, allowed):
        if failed():
            raise ValueError(message)
        return 0

    return code


@_check
def flags(needs, number):
    """`needs`, which has to be a tuple of so many."""
    expected = number.literal_value
    if isinstance(needs, types.BaseTuple) and len(needs) == expected:
        return lambda needs, number: needs
    given = len(needs) if isinstance(needs, types.BaseTuple) else 0
    message = f"zip() argument 2 is {'longer' if given > expected else 'shorter'} than argument 1"
    nothing = (False,) * expected

    def code(needs, number):
        if failed():
            raise ValueError(message)
        return nothing

    return code


@_check
def wanted(x, need):
    """The array `x` if it is needed, else one of size 0, which stands for None."""
    empty = (0,) * x.ndim
    if x.layout == "C":
        return lambda x, need: x if need else np.empty(empty, x.dtype)
    return lambda x, need: x if need else x[:0]


@intrinsic
def _threads_here(typingctx):
    """How many threads a kernel may use: those set, but 1 inside a parallel region."""

    def lower(context, builder, signature, values):
        word = ir.IntType(64)
        count = builder.module.globals.get("innerloop_num_threads")
        if count is None:
            count = ir.GlobalVariable(builder.module, word, "innerloop_num_threads")
        inside = _threads._call(builder, "innerloop_in_parallel", ir.IntType(32))
        busy = builder.icmp_signed("!=", inside, ir.Constant(ir.IntType(32), 0))
        return builder.select(busy, ir.Constant(word, 1), builder.load(count))

    return types.int64(), lower


@_check
def threads_for(elements, multiply_adds):
    """`_threads.threads_for`: on how many threads so much work pays off."""

    def code(elements, multiply_adds):
        if elements >= PARALLEL_ELEMENTS or multiply_adds >= PARALLEL_MULTIPLY_ADDS:
            return _threads_here()
        return np.int64(1)

    return code

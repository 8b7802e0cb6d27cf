"""What the entries of the normalisations have in common: checks, and helpers of `arguments`."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit_checks import _as_plain, floats, is_contiguous, like, output, same_dtype
from kernels._njit_errors import Value, _check, failed, text_of, type_name
from kernels._njit_sizes import product
from kernels.machine import cache_bytes
from kernels.normalization.arguments import MIN_STREAMED

L3 = cache_bytes(3)


@_check
def matching(operation, name, x, shape, of):
    """`x`, which has to have `shape` and the dtype of the array `of`, the operation's x."""
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must have shape {{}}, got {{}}"
    if isinstance(x, types.Array) and x.ndim != len(shape):

        def other_rank(operation, name, x, shape, of):
            given = floats(operation, name, x)
            if failed():
                raise Value(message, shape, given.shape)
            return np.empty(shape, of.dtype)

        return other_rank

    def code(operation, name, x, shape, of):
        given = floats(operation, name, x)
        if given.shape != shape:
            raise Value(message, shape, given.shape)
        same_dtype(operation, "x", of, name, given)
        return like(given, of)

    if not isinstance(x, types.Array):  # an array of one axis follows the error

        def refused(operation, name, x, shape, of):
            floats(operation, name, x)
            return np.empty(shape, of.dtype)

        return refused
    return code


@_check
def parameter(operation, name, x, shape, of, missing):
    """A weight or bias of `shape`, flat; for None, an array of the value `missing`."""
    axes = len(shape)
    if isinstance(x, types.NoneType):
        return lambda operation, name, x, shape, of, missing: np.full(product(shape, 0, axes), missing, of.dtype)
    return lambda operation, name, x, shape, of, missing: matching(operation, name, x, shape, of).reshape(-1)


@_check
def channels(operation, x, least):
    """(N, C, L) of an array (N, C, ...) of at least so many axes, L being the product of what follows."""
    axes = x.ndim
    if axes < least.literal_value:
        message = (
            f"{text_of('operation', operation)}: x must have at least {least.literal_value} dimensions, (N, C, ...), "
            "got shape {}"
        )

        def refused(operation, x, least):
            if failed():
                raise Value(message, x.shape)
            return np.int64(0), np.int64(0), np.int64(0)

        return refused
    return lambda operation, x, least: (x.shape[0], x.shape[1], product(x.shape, 2, axes))


@_check
def both_or_neither(operation, running_mean, running_var):
    """ValueError where one of the running statistics is None."""
    if isinstance(running_mean, types.NoneType) == isinstance(running_var, types.NoneType):
        return lambda operation, running_mean, running_var: None
    message = f"{text_of('operation', operation)}: running_mean and running_var must be given both or neither"

    def code(operation, running_mean, running_var):
        raise ValueError(message)

    return code


@_check
def writable(operation, name, x, shape, of):
    """A running statistic that is updated in place; a strided one is copied, for `write_back`."""
    if isinstance(x, types.NoneType):
        return lambda operation, name, x, shape, of: np.empty(shape, of.dtype)
    if not isinstance(x, types.Array) or not x.mutable or (x.layout == "C" and x.aligned):
        return lambda operation, name, x, shape, of: output(operation, name, x, shape, of)

    def code(operation, name, x, shape, of):
        return output(operation, name, _as_plain(x) if is_contiguous(x) else x.copy(), shape, of)

    return code


@_check
def write_back(updated, x):
    """Copy an updated copy back to the array that it was made of."""
    if not isinstance(x, types.Array) or not x.mutable or (x.layout == "C" and x.aligned) or x.ndim != updated.ndim:
        return lambda updated, x: None

    def code(updated, x):
        if not is_contiguous(x):
            x[:] = updated

    return code


@_check
def number(operation, name, x):
    """`x` as a float."""
    if isinstance(types.unliteral(x), (types.Number, types.Boolean)):
        return lambda operation, name, x: float(x)
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must be a number, got {type_name(x)}"

    def code(operation, name, x):
        if failed():
            raise TypeError(message)
        return 0.0

    return code


@_check
def whole(operation, name, x):
    """`x`, which has to be an int."""
    if isinstance(types.unliteral(x), types.Integer):
        return lambda operation, name, x: np.int64(x)
    message = f"{text_of('operation', operation)}: {text_of('name', name)} must be an int, got {type_name(x)}"

    def code(operation, name, x):
        if failed():
            raise TypeError(message)
        return np.int64(1)

    return code


@jit
def use_streaming(result, arrays, run):
    """As in `arguments`."""
    return 3 * arrays * result.nbytes > 2 * L3 and run * result.itemsize >= MIN_STREAMED

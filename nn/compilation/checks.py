"""The check of what a compiled function is given: its loops would read past the ends of arrays of other shapes."""

import numba
import numpy as np
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import overload

from kernels._njit_errors import Value


def checked(function, name, letters, inputs, weights):
    """The jitted `function`, called after a check of its arguments.

    Parameters
    ----------
    function : numba function
    name : str
    letters : tuple of str
        The names of its inputs.
    inputs : tuple of ndarray
        As they must be: in C order, of these shapes and dtypes.
    weights : dict of str to ndarray
        As the arrays in the tuple `weights` must be: of these shapes and dtypes.

    Returns
    -------
    numba function
        Where the number of arguments or weights, a dtype, a number of dimensions or the layout of an input is another,
        calling it is a TypingError; another shape is a ValueError.
    """
    arrays = dict(zip(letters, inputs, strict=True)) | weights
    given = ", ".join(letters)
    shapes = "\n".join(_shape_check(name, key, array) for key, array in arrays.items() if array.ndim)
    unpacked = f"    {', '.join(weights)}, = weights\n" if weights else ""
    scope = {"function": function, "Value": Value}
    exec(f"def run({given}, weights):\n{unpacked}{shapes}\n    return function({given}, weights)", scope)
    run = scope["run"]

    def typed(*given):
        _check_types(name, letters, inputs, weights, given)
        return run

    exec(f"def entry({given}, weights): pass", scope)
    scope["typed"] = typed
    exec(f"def by_types({given}, weights): return typed({given}, weights)", scope)
    overload(scope["entry"])(scope["by_types"])
    exec(f"def {name}({given}, weights): return entry({given}, weights)", scope)
    return numba.njit(scope[name])


def _shape_check(name, key, array):
    got = f"({'{}, ' * array.ndim})".replace(", )", ",)" if array.ndim == 1 else ")")
    values = ", ".join(f"{key}.shape[{d}]" for d in range(array.ndim))
    message = f"{name}: {key} must have shape {array.shape}, got {got}"
    return f'    if {key}.shape != {array.shape}:\n        raise Value("{message}", {values})'


def _check_types(name, letters, inputs, weights, given):
    """TypingError unless the Numba types are those of the arrays."""
    for letter, array, kind in zip(letters, inputs, given, strict=False):
        if not _fits(kind, array) or (kind.layout != "C" and array.ndim):
            expected = f"{array.ndim}-d, {array.dtype}, in C order"
            raise TypingError(f"{name}: {letter} must be an array, {expected}, got {_described(kind)}")
    kinds = given[-1]
    if not isinstance(kinds, types.BaseTuple) or len(kinds) != len(weights):
        got = f"{len(kinds)}" if isinstance(kinds, types.BaseTuple) else str(kinds)
        raise TypingError(f"{name}: weights must be a tuple of {len(weights)} arrays, got {got}")
    for (key, array), kind in zip(weights.items(), kinds, strict=True):
        if not _fits(kind, array):
            raise TypingError(f"{name}: {key} must be an array, {array.ndim}-d, {array.dtype}, got {_described(kind)}")


def _fits(kind, array):
    is_array = isinstance(kind, types.Array) and kind.ndim == array.ndim
    return is_array and kind.dtype == numba.from_dtype(np.dtype(array.dtype))


def _described(kind):
    if not isinstance(kind, types.Array):
        return str(kind)
    order = {"C": "in C order", "F": "in Fortran order"}.get(kind.layout, "not contiguous")
    return f"{kind.ndim}-d, {kind.dtype}, {order}"

"""The check of what a compiled function is given: its loops would read past the ends of arrays of other shapes."""

import re

import numba
import numpy as np
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import overload

NAMES = ("Other", "expect_types", "other", *(f"got_{d}" for d in range(9)))  # of the check's own


def checked(source, scope, inputs, weights):
    """The function of a source, compiled with a check of its arguments at its beginning.

    Parameters
    ----------
    source : str
        A Python function of arrays and of a tuple of arrays, ``weights``, which it unpacks first.
    scope : dict
        What its names mean.
    inputs : dict of str to ndarray
        As its arrays must be: in C order, of these shapes and dtypes.
    weights : dict of str to ndarray
        As the arrays in `weights` must be: of these shapes and dtypes.

    Returns
    -------
    numba function
        Where the number of weights, a dtype, a number of dimensions or the layout of an input is another, calling it is
        a TypingError; another shape is a ValueError.
    """
    name, given = re.match(r"def (\w+)\((.*), weights\):\n", source).groups()

    def expect_types(*given):
        raise NotImplementedError(f"{name}: exists only in compiled code")

    @overload(expect_types)
    def _expect_types(*given):
        _check_types(name, inputs, weights, given)
        return lambda *given: None

    lines = source.split("\n")
    body = 1 + next((i for i, line in enumerate(lines) if line.endswith("= weights")), 0)
    lines[body:body] = _shape_checks(name, inputs | weights)
    lines.insert(1, f"    expect_types({given}, weights)")
    exec("\n".join(lines), scope | {"expect_types": expect_types, "Other": Other}, made := {})
    # other than Python, NumPy divides by 0
    return numba.njit(error_model="numpy")(made[name])


class Other(ValueError):
    """Makes the ValueError for an array of another shape.

    Numba compiles a line that raises an error with values into so much code that each array has no such line of its
    own: `rules` holds a name and a shape for each, `number` is that of the array.
    """

    def __new__(cls, rules, number, *shape):
        name, *expected = rules.split("; ")
        key, ndim, rule = expected[number].split(": ")
        return ValueError(f"{name}: {key} must have shape {rule}, got {shape[: int(ndim)]}")


def _shape_checks(name, arrays):
    """The lines that raise `Other` for the first array of another shape."""
    arrays = {key: array for key, array in arrays.items() if array.ndim}
    most = max((array.ndim for array in arrays.values()), default=0)
    got = [f"got_{d}" for d in range(most)]
    lines = [f"    {' = '.join(['other', *got])} = -1"]
    for number, (key, array) in reversed(list(enumerate(arrays.items()))):
        values = ", ".join([str(number), *(f"{key}.shape[{d}]" for d in range(array.ndim))])
        lines.append(f"    if {key}.shape != {array.shape}:")
        lines.append(f"        {', '.join(['other', *got[: array.ndim]])} = {values}")
    rules = "; ".join([name, *(f"{key}: {array.ndim}: {array.shape}" for key, array in arrays.items())])
    raised = f'        raise Other("{rules}", {", ".join(["other", *got])})'
    return [*lines, "    if other >= 0:", raised] if arrays else []


def _check_types(name, inputs, weights, given):
    """TypingError unless the Numba types are those of the arrays."""
    for (letter, array), kind in zip(inputs.items(), given, strict=False):
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

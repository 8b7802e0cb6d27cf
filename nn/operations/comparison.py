"""Comparisons, and logic on tensors of bool; none of them has a gradient."""

import numpy as np

from nn.operations.arguments import NUMBERS, numpy_names
from nn.operations.reductions import check_keepdim, reduced
from nn.storage import Tensor, wrap
from nn.tape import ieee


def _comparison(name, ufunc, meaning):
    @ieee
    def compare(input, other):
        if not isinstance(other, (Tensor, np.ndarray, *NUMBERS)):
            return NotImplemented
        return wrap(np.asarray(ufunc(input.array, other.array if isinstance(other, Tensor) else other)))

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"Whether each element {meaning}; tensors and numbers broadcast."
    return compare


eq = _comparison("eq", np.equal, "equals the other")
ne = _comparison("ne", np.not_equal, "differs from the other")
lt = _comparison("lt", np.less, "is below the other")
le = _comparison("le", np.less_equal, "is at most the other")
gt = _comparison("gt", np.greater, "is above the other")
ge = _comparison("ge", np.greater_equal, "is at least the other")
bitwise_and = _comparison("bitwise_and", np.bitwise_and, "and the other are true; of integers, the bits of both")
bitwise_or = _comparison("bitwise_or", np.bitwise_or, "or the other is true; of integers, the bits of either")
bitwise_xor = _comparison("bitwise_xor", np.bitwise_xor, "or the other is true, not both; of integers, bit by bit")


def bitwise_not(input):
    """Not: of bools, whether each is false; of integers, each bit flipped."""
    return wrap(np.asarray(~input.array))


@numpy_names
def all(input, dim=None, keepdim=False):
    """Whether all elements are true (not zero)."""
    if keepdim is not False:
        check_keepdim("all", keepdim)
    return reduced("all", np.all, input.array, dim, keepdim)


@numpy_names
def any(input, dim=None, keepdim=False):
    """Whether any element is true (not zero)."""
    if keepdim is not False:
        check_keepdim("any", keepdim)
    return reduced("any", np.any, input.array, dim, keepdim)

"""Comparisons, and logic on tensors of bool; none of them has a gradient."""

import numpy as np

from nn.operations.arguments import (
    NUMBERS,
    applied,
    array_of,
    bool_of,
    match,
    mismatch,
    numpy_names,
    scalar_of,
)
from nn.operations.reductions import check_keepdim, reduced
from nn.storage import Tensor, wrap
from nn.tape import ieee

__all__ = ["all", "allclose", "any", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or"]
__all__ += ["bitwise_right_shift", "bitwise_xor", "eq", "equal", "ge", "gt", "is_complex", "is_floating_point"]
__all__ += ["is_nonzero", "is_signed", "is_tensor", "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf"]
__all__ += ["le", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne", "result_type"]


def _comparison(name, ufunc, meaning):
    @ieee
    def operator(input, other):
        if not isinstance(other, (Tensor, np.ndarray, *NUMBERS)):
            return NotImplemented
        x, y = array_of(name, input), other.array if isinstance(other, Tensor) else other
        try:
            return wrap(np.asarray(ufunc(x, y)))
        except ValueError:
            raise mismatch(name, x, y) from None
        except TypeError:
            raise TypeError(f"{name}: needs bools or integers, got {x.dtype} and {np.asarray(y).dtype}") from None

    def compare(input, other):
        result = operator(input, other)
        if result is NotImplemented:
            raise TypeError(f"{name}: expected a Tensor, an array or a number, got {type(other).__name__}")
        return result

    compare.__name__ = compare.__qualname__ = operator.__name__ = name
    compare.__doc__ = f"""Whether each element {meaning}; tensors and numbers broadcast.

    Examples
    --------
    >>> import nn
    >>> nn.{name}(nn.tensor([6, 3]), nn.tensor([3, 3]))
    {wrap(ufunc(np.array([6, 3]), 3))!r}
    """
    compare.operator = operator  # which lets Python ask an operand of another type
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


logical_and = _comparison("logical_and", np.logical_and, "and the other are true (not zero)")
logical_or = _comparison("logical_or", np.logical_or, "or the other is true (not zero)")
logical_xor = _comparison("logical_xor", np.logical_xor, "or the other is true (not zero), not both")


def logical_not(input):
    """Whether each element is false (zero).

    Examples
    --------
    >>> import nn
    >>> nn.logical_not(nn.tensor([True, False]))
    tensor([False,  True])
    """
    return wrap(np.asarray(np.logical_not(array_of("logical_not", input))))


def _shift(name, ufunc, input, other):
    x, y = match(name, *(v.array if isinstance(v, Tensor) else v for v in (input, other)))
    if x.dtype.kind not in "iu":
        raise TypeError(f"{name}: needs integers, got {x.dtype}")
    return wrap(np.asarray(applied(name, ufunc, x, y)))


def bitwise_left_shift(input, other):
    """Integers with their bits moved to the left by as many places as `other` says.

    Examples
    --------
    >>> import nn
    >>> nn.bitwise_left_shift(nn.tensor([1, 5]), nn.tensor([2, 1]))
    tensor([ 4, 10])
    """
    return _shift("bitwise_left_shift", np.left_shift, input, other)


def bitwise_right_shift(input, other):
    """Integers with their bits moved to the right by as many places as `other` says.

    Examples
    --------
    >>> import nn
    >>> nn.bitwise_right_shift(nn.tensor([8, 5]), nn.tensor([2, 1]))
    tensor([2, 2])
    """
    return _shift("bitwise_right_shift", np.right_shift, input, other)


def bitwise_not(input):
    """Not: of bools, whether each is false; of integers, each bit flipped.

    Examples
    --------
    >>> import nn
    >>> nn.bitwise_not(nn.tensor([0, 5]))
    tensor([-1, -6])
    """
    return wrap(np.asarray(~array_of("bitwise_not", input)))


@numpy_names
def all(input, dim=None, keepdim=False):
    """Whether all elements are true (not zero).

    Examples
    --------
    >>> import nn
    >>> nn.all(nn.tensor([[True, False], [True, True]]), 1)
    tensor([False,  True])
    """
    if keepdim is not False:
        check_keepdim("all", keepdim)
    return reduced("all", np.all, input.array, dim, keepdim)


@numpy_names
def any(input, dim=None, keepdim=False):
    """Whether any element is true (not zero).

    Examples
    --------
    >>> import nn
    >>> nn.any(nn.tensor([[True, False], [True, True]]), 1)
    tensor([True, True])
    """
    if keepdim is not False:
        check_keepdim("any", keepdim)
    return reduced("any", np.any, input.array, dim, keepdim)


def equal(input, other):
    """Whether two tensors have one shape and equal elements: True or False.

    Examples
    --------
    >>> import nn
    >>> nn.equal(nn.tensor([1, 2]), nn.tensor([1, 2]))
    True
    """
    return np.array_equal(array_of("equal", input), array_of("equal", other, "other"))


def isclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether each element differs from the other's by at most ``atol + rtol * abs(other)``.

    Examples
    --------
    >>> import nn
    >>> nn.isclose(nn.tensor([1.0, 2.0]), nn.tensor([1.0 + 1e-7, 2.1]))
    tensor([ True, False])
    """
    return wrap(_isclose("isclose", input, other, rtol, atol, equal_nan))


def _isclose(name, input, other, rtol, atol, equal_nan):
    x, y = array_of(name, input), array_of(name, other, "other")
    rtol, atol = scalar_of(name, "rtol", rtol), scalar_of(name, "atol", atol)
    if not (rtol >= 0 and atol >= 0):
        raise ValueError(f"{name}: rtol and atol must not be negative, got {rtol} and {atol}")
    equal_nan = bool_of(name, "equal_nan", equal_nan)
    if x.dtype != y.dtype:
        raise TypeError(f"{name}: dtypes differ: a is {x.dtype}, b is {y.dtype}")
    return np.asarray(applied(name, lambda x, y: np.isclose(x, y, rtol, atol, equal_nan), x, y))


def allclose(input, other, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close in the sense of `isclose`: True or False.

    Examples
    --------
    >>> import nn
    >>> nn.allclose(nn.tensor([1.0]), nn.tensor([1.0 + 1e-7]))
    True
    """
    return _isclose("allclose", input, other, rtol, atol, equal_nan).all().item()


def isnan(input):
    """Whether each element is NaN.

    Examples
    --------
    >>> import nn
    >>> nn.isnan(nn.tensor([1.0, float('inf'), -float('inf'), float('nan')]))
    tensor([False, False, False,  True])
    """
    return wrap(np.asarray(np.isnan(array_of("isnan", input))))


def isinf(input):
    """Whether each element is infinite.

    Examples
    --------
    >>> import nn
    >>> nn.isinf(nn.tensor([1.0, float('inf'), -float('inf'), float('nan')]))
    tensor([False,  True,  True, False])
    """
    return wrap(np.asarray(np.isinf(array_of("isinf", input))))


def isfinite(input):
    """Whether each element is neither infinite nor NaN.

    Examples
    --------
    >>> import nn
    >>> nn.isfinite(nn.tensor([1.0, float('inf'), -float('inf'), float('nan')]))
    tensor([ True, False, False, False])
    """
    return wrap(np.asarray(np.isfinite(array_of("isfinite", input))))


def isposinf(input):
    """Whether each element is plus infinity.

    Examples
    --------
    >>> import nn
    >>> nn.isposinf(nn.tensor([1.0, float('inf'), -float('inf'), float('nan')]))
    tensor([False,  True, False, False])
    """
    return wrap(np.asarray(array_of("isposinf", input) == np.inf))


def isneginf(input):
    """Whether each element is minus infinity.

    Examples
    --------
    >>> import nn
    >>> nn.isneginf(nn.tensor([1.0, float('inf'), -float('inf'), float('nan')]))
    tensor([False, False,  True, False])
    """
    return wrap(np.asarray(array_of("isneginf", input) == -np.inf))


def is_tensor(obj):
    """Whether an object is a Tensor.

    Examples
    --------
    >>> import nn
    >>> nn.is_tensor(nn.zeros(1))
    True
    """
    return isinstance(obj, Tensor)


def is_floating_point(input):
    """Whether the dtype is float32 or float64.

    Examples
    --------
    >>> import nn
    >>> nn.is_floating_point(nn.zeros(1))
    True
    """
    return array_of("is_floating_point", input).dtype.kind == "f"


def is_complex(input):
    """Whether the dtype is complex: never, there are no complex tensors.

    Examples
    --------
    >>> import nn
    >>> nn.is_complex(nn.zeros(1))
    False
    """
    return array_of("is_complex", input).dtype.kind == "c"


def is_signed(input):
    """Whether the dtype has negative numbers.

    Examples
    --------
    >>> import nn
    >>> nn.is_signed(nn.tensor([1]))
    True
    """
    return array_of("is_signed", input).dtype.kind in "fi"


def is_nonzero(input):
    """Whether the only element is not zero; ValueError if there is not exactly one.

    Examples
    --------
    >>> import nn
    >>> nn.is_nonzero(nn.tensor([2.0]))
    True
    """
    x = array_of("is_nonzero", input)
    if x.size != 1:
        raise ValueError(f"is_nonzero: needs a tensor of one element, this one is {x.shape}")
    return x.item() != 0


def result_type(tensor1, tensor2):
    """The dtype of arithmetic on two tensors or numbers.

    Examples
    --------
    >>> import nn
    >>> nn.result_type(nn.tensor([1]), 2.0)
    dtype('float32')
    """
    return match("result_type", *(v.array if isinstance(v, Tensor) else v for v in (tensor1, tensor2)))[0].dtype

"""Functions of several operands, element by element; tensors and numbers broadcast."""

from typing import Any

import numpy as np

from nn.dtypes import float64
from nn.operations.arguments import applied, array_of, as_tensor, inexact, operands, record_binary, scalar_of
from nn.operations.arithmetic import add, div, mul, neg, sub, times
from nn.operations.conversion import to
from nn.operations.elementwise import clamp, exp, masked_fill, pow
from nn.storage import Tensor, wrap
from nn.tape import ieee, record, record_linear

__all__ = ["addcdiv", "addcmul", "atan2", "clamp_max", "clamp_min", "float_power", "hypot", "lerp", "logaddexp"]
__all__ += ["nan_to_num", "positive", "rsub", "true_divide"]


@ieee
def atan2(input, other):
    """The angle of the point (`other`, `input`): the inverse tangent of their quotient, in the right quadrant.

    The gradient at the origin is 0.

    Examples
    --------
    >>> import nn
    >>> nn.atan2(nn.tensor([1.0, -1.0]), nn.tensor([1.0, 0.0]))
    tensor([ 0.7854, -1.5708])
    """
    a, b, x, y = _inexact("atan2", input, other)

    def squares():
        square = x * x + y * y
        return np.where((x == 0) & (y == 0), x.dtype.type(1), square)

    def derivative(dy, a, b):
        a, b = as_tensor(x if a is None else a), as_tensor(y if b is None else b)
        square = masked_fill(add(mul(a, a), mul(b, b)), (x == 0) & (y == 0), 1)
        return mul(dy, div(b, square)), mul(dy, neg(div(a, square)))

    return record_binary(
        "atan2",
        applied("atan2", np.arctan2, x, y),
        a,
        b,
        lambda dy: dy * (y / squares()),
        lambda dy: dy * (-x / squares()),
        (a, b),
        derivative=derivative,
    )


def _inexact(name, input, other):
    """As `operands`; two integers are converted to the default floating-point dtype."""
    a, b, x, y = operands(name, input, other)
    if x.dtype.kind == "f":
        return a, b, x, y
    return a, b, inexact(name, wrap(x)), inexact(name, wrap(y))


@ieee
def hypot(input, other):
    """√(input² + other²), without overflow.

    Examples
    --------
    >>> import nn
    >>> nn.hypot(nn.tensor([3.0]), nn.tensor([4.0]))
    tensor([5.])
    """
    a, b, x, y = _inexact("hypot", input, other)
    z = applied("hypot", np.hypot, x, y)

    def derivative(dy, a, b, z):
        return mul(dy, div(x if a is None else a, z)), mul(dy, div(y if b is None else b, z))

    return record_binary(
        "hypot",
        z,
        a,
        b,
        lambda dy: dy * (x / z),
        lambda dy: dy * (y / z),
        (a, b),
        saves_result=True,
        derivative=derivative,
    )


@ieee
def logaddexp(input, other):
    """log(exp(input) + exp(other)), without overflow.

    Examples
    --------
    >>> import nn
    >>> nn.logaddexp(nn.tensor([0.0]), nn.tensor([0.0]))
    tensor([0.6931])
    """
    a, b, x, y = _inexact("logaddexp", input, other)

    def derivative(dy, a, b):
        a, b = as_tensor(x if a is None else a), as_tensor(y if b is None else b)
        return div(dy, add(exp(sub(b, a)), 1)), div(dy, add(exp(sub(a, b)), 1))

    return record_binary(
        "logaddexp",
        applied("logaddexp", np.logaddexp, x, y),
        a,
        b,
        lambda dy: dy / (np.exp(y - x) + 1),
        lambda dy: dy / (np.exp(x - y) + 1),
        (a, b),
        derivative=derivative,
    )


def lerp(input, end, weight):
    """``input + weight * (end - input)``: between `input` and `end`, which are tensors of one dtype.

    Examples
    --------
    >>> import nn
    >>> nn.lerp(nn.tensor([0.0]), nn.tensor([10.0]), 0.25)
    tensor([2.5000])
    """
    return add(input, mul(sub(end, input), weight))


def addcmul(input, tensor1, tensor2, *, value: Any = 1):
    """``input + value * tensor1 * tensor2``.

    Examples
    --------
    >>> import nn
    >>> nn.addcmul(nn.ones(2), nn.tensor([1.0, 2.0]), nn.tensor([2.0, 2.0]), value=10)
    tensor([21., 41.])
    """
    return add(input, _multiple("addcmul", mul(tensor1, tensor2), value))


def addcdiv(input, tensor1, tensor2, *, value: Any = 1):
    """``input + value * tensor1 / tensor2``.

    Examples
    --------
    >>> import nn
    >>> nn.addcdiv(nn.ones(2), nn.tensor([1.0, 2.0]), nn.tensor([2.0, 2.0]), value=10)
    tensor([ 6., 11.])
    """
    return add(input, _multiple("addcdiv", div(tensor1, tensor2), value))


def _multiple(name, product, value):
    """A product times a number, which for integers is rounded towards 0, as PyTorch does."""
    value = value if isinstance(value, Tensor) else scalar_of(name, "value", value)
    return mul(product, value if isinstance(value, Tensor) or product.array.dtype.kind == "f" else int(value))


def rsub(input, other, *, alpha: Any = 1):
    """``other - alpha * input``.

    Examples
    --------
    >>> import nn
    >>> nn.rsub(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([-2,  8])
    """
    return sub(other, input if alpha == 1 else times("rsub", "alpha", input, alpha, other))


def true_divide(input, other):
    """The quotient, a floating-point number: `div` without rounding.

    Examples
    --------
    >>> import nn
    >>> nn.true_divide(nn.tensor([5, -5]), nn.tensor([3, 3]))
    tensor([ 1.6667, -1.6667])
    """
    return div(input, other)


def float_power(input, exponent):
    """The power, computed and returned as float64.

    Examples
    --------
    >>> import nn
    >>> nn.float_power(nn.tensor([1, 2]), 2)
    tensor([1., 4.], dtype=float64)
    """
    return pow(to(as_tensor(input), float64), to(as_tensor(exponent), float64))


def positive(input):
    """The tensor itself; TypeError for bools.

    Examples
    --------
    >>> import nn
    >>> nn.positive(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([-1.7000,  0.5000,  2.5000])
    """
    if array_of("positive", input).dtype.kind == "b":
        raise TypeError("positive: not defined for bools")
    return input


def clamp_min(input, min):
    """Each element, or `min` where that is larger.

    Examples
    --------
    >>> import nn
    >>> nn.clamp_min(nn.tensor([-1.7, 0.5, 2.5]), 0)
    tensor([0.0000, 0.5000, 2.5000])
    """
    return clamp(input, min)


def clamp_max(input, max):
    """Each element, or `max` where that is smaller.

    Examples
    --------
    >>> import nn
    >>> nn.clamp_max(nn.tensor([-1.7, 0.5, 2.5]), 1)
    tensor([-1.7000,  0.5000,  1.0000])
    """
    return clamp(input, None, max)


def nan_to_num(input, nan=0.0, posinf=None, neginf=None):
    """NaN and infinities replaced: by 0, and by the largest and smallest number of the dtype, if nothing is given.

    Examples
    --------
    >>> import nn
    >>> nn.nan_to_num(nn.tensor([1.0, float('inf'), -float('inf'), float('nan')]))
    tensor([ 1.0000e+00,  3.4028e+38, -3.4028e+38,  0.0000e+00])
    """
    name, x = "nan_to_num", array_of("nan_to_num", input)
    given = {"nan": nan, "posinf": posinf, "neginf": neginf}
    given = {argument: None if v is None else scalar_of(name, argument, v) for argument, v in given.items()}
    if x.dtype.kind != "f":
        return wrap(x.copy())
    limits = np.finfo(x.dtype)
    new = {"nan": 0.0, "posinf": limits.max, "neginf": limits.min}
    y = np.nan_to_num(x, **{argument: new[argument] if v is None else v for argument, v in given.items()})

    def masked(dy):
        return np.where(np.isfinite(x), dy, 0)

    def derivative(dy, input):
        return record_linear("nan_to_num", masked, masked, dy, (input,))

    return record("nan_to_num", y, (input,), masked, (input,), derivative=derivative)

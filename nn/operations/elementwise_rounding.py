"""Rounding and signs: functions of each element that are constant, or of one slope, almost everywhere."""

import numpy as np

from nn.dtypes import get_default_dtype
from nn.operations.arguments import applied, array_of, int_of, operands, record_binary, scaled
from nn.storage import wrap
from nn.tape import ieee, record

__all__ = ["ceil", "copysign", "floor", "frac", "heaviside", "round", "sign", "signbit", "trunc"]


def _step(name, input, y):
    """Record a result that is constant almost everywhere: its gradient is 0."""

    def derivative(dy):
        return scaled(name, np.zeros_like, dy)

    return record(name, y, (input,), np.zeros_like, derivative=derivative)


def _rounded(name, input, ufunc):
    """Integers are whole already."""
    x = array_of(name, input)
    return _step(name, input, ufunc(x) if x.dtype.kind == "f" else x.copy())


def floor(input):
    """The largest whole number that is not above each element.

    Examples
    --------
    >>> import nn
    >>> nn.floor(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([-2.,  0.,  2.])
    """
    return _rounded("floor", input, np.floor)


def ceil(input):
    """The smallest whole number that is not below each element.

    Examples
    --------
    >>> import nn
    >>> nn.ceil(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([-1.,  1.,  3.])
    """
    return _rounded("ceil", input, np.ceil)


def trunc(input):
    """The whole part: rounded towards 0.

    Examples
    --------
    >>> import nn
    >>> nn.trunc(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([-1.,  0.,  2.])
    """
    return _rounded("trunc", input, np.trunc)


@ieee
def round(input, *, decimals=0):
    """The nearest number with `decimals` places, of two the even one; negative places are tens, hundreds …

    Examples
    --------
    >>> import nn
    >>> nn.round(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([-2.,  0.,  2.])
    """
    x, decimals = array_of("round", input), int_of("round", "decimals", decimals)
    if x.dtype.kind != "f" and decimals:
        raise TypeError(f"round: decimals={decimals} needs a floating-point tensor, got {x.dtype}")
    return _rounded("round", input, lambda x: np.round(x, decimals))


@ieee
def frac(input):
    """What `trunc` cuts off: the part after the decimal point.

    Examples
    --------
    >>> import nn
    >>> nn.frac(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([-0.7000,  0.5000,  0.5000])
    """
    x = array_of("frac", input)
    if x.dtype.kind != "f":
        raise TypeError(f"frac: needs a floating-point tensor, got {x.dtype}")
    return record("frac", x - np.trunc(x), (input,), _same, derivative=_same)


def _same(dy):
    return dy


@ieee
def sign(input):
    """-1, 0 or 1, the sign of each element; of NaN, 0.

    Examples
    --------
    >>> import nn
    >>> nn.sign(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([-1.,  1.,  1.])
    """
    x = array_of("sign", input)
    return _step("sign", input, x.copy() if x.dtype.kind == "b" else np.where(x == x, np.sign(x), x.dtype.type(0)))


def signbit(input):
    """Whether the sign of each element is negative, that of -0.0 included.

    Examples
    --------
    >>> import nn
    >>> nn.signbit(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([ True, False, False])
    """
    x = array_of("signbit", input)
    return wrap(np.asarray(np.signbit(x) if x.dtype.kind == "f" else x < 0))


def copysign(input, other):
    """The magnitudes of `input` with the signs of `other`.

    Examples
    --------
    >>> import nn
    >>> nn.copysign(nn.tensor([1.0, 2.0]), nn.tensor([-1.0, 1.0]))
    tensor([-1.,  2.])
    """
    a, b, x, y = operands("copysign", input, other)
    if x.dtype.kind != "f":
        x, y = x.astype(get_default_dtype()), y.astype(get_default_dtype())
    z = applied("copysign", np.copysign, x, y)

    def da(dy):
        sign = np.where(x == 0, 0, np.where(np.signbit(x) == np.signbit(y), 1, -1)).astype(dy.dtype)
        return dy * np.where(np.isnan(x), x, sign)

    return record_binary(
        "copysign",
        z,
        a,
        b,
        da,
        np.zeros_like,
        (a, b),
        derivative=lambda dy, a, b: (scaled("copysign", da, dy, (a, b)), wrap(np.zeros_like(dy.array))),
    )


def heaviside(input, values):
    """0 for negative elements, 1 for positive ones, and `values` where the element is 0.

    Examples
    --------
    >>> import nn
    >>> nn.heaviside(nn.tensor([-1.0, 0.0, 2.0]), nn.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    a, b, x, y = operands("heaviside", input, values)
    z = applied("heaviside", lambda x, y: np.where(x == 0, y, (x > 0).astype(x.dtype)), x, y)
    return record_binary("heaviside", z, a, b, np.zeros_like, lambda dy: np.where(x == 0, dy, 0), (a,))

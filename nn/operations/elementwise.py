"""Functions of each element."""

import numpy as np

import kernels
from nn.operations.arguments import (
    NUMBERS,
    applied,
    array_of,
    as_array,
    as_tensor,
    inexact,
    mask_of,
    match,
    number_of,
    operands,
    record_binary,
    scaled,
    sum_to,
    unbroadcast,
)
from nn.operations.arithmetic import add, div, mul, sub
from nn.operations.conversion import to
from nn.storage import Tensor, wrap
from nn.tape import ieee, record

__all__ = ["clamp", "exp", "log", "masked_fill", "pow", "relu", "sigmoid", "sqrt", "tanh", "where"]

PLAIN_BOUNDS = {int, float, type(None)}  # bounds that NumPy converts to the array's dtype by itself


@ieee
def pow(input, exponent):
    """`input` to the power of `exponent`, element by element; tensors and numbers broadcast.

    Examples
    --------
    >>> import nn
    >>> nn.pow(nn.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    a, b, x, y = operands("pow", input, exponent)
    function = _integer_power if y.dtype.kind == "i" and (y < 0).any() else _power
    z = applied("pow", function, x, y)

    def da(dy):
        if y.ndim == 0 and y != 0:
            return dy * (y * _power(x, y - 1))
        return dy * np.where(y == 0, 0, y * x ** (y - 1))  # x⁰ is constant, even at 0

    def db(dy):
        return dy * np.where((x == 0) & (y >= 0), 0, z * np.log(x))  # 0ʸ is constant, too

    saves_result = b is not None and b._requires_grad

    def derivative(dy, a, b, z=None):
        base, power = x if a is None else a, y if b is None else b
        da = db = None
        if a is not None and a._requires_grad:
            less = where(y == 0, 1, sub(as_tensor(power), 1))  # x⁻¹ would be infinite at 0, and 0 times that NaN
            da = mul(dy, where(y == 0, 0, mul(pow(base, less), power)))
        if saves_result:
            constant = (x == 0) & (y >= 0)
            db = mul(dy, where(constant, 0, mul(z, log(where(constant, 1, as_tensor(base))))))
        return da, db

    return record_binary("pow", z, a, b, da, db, (a, b), saves_result=saves_result, derivative=derivative)


def _power(x, y):
    """x to the power of y: for the usual constants by products and roots, as in PyTorch, in a tenth of the time."""
    if y.ndim == 0 and x.dtype.kind == "f":
        exponent = y.item()
        if exponent == 1:
            return x.copy()
        if exponent == 2:
            return x * x
        if exponent == 3:
            return x * x * x
        if exponent == 0.5:
            return np.sqrt(x)
        if exponent == -0.5:
            return 1 / np.sqrt(x)
        if exponent == -1:
            return 1 / x
    return x**y


def _integer_power(x, y):
    """Powers of integers with negative exponents among them: exact for 1 and -1, 0 for all others, as in PyTorch."""
    inverse = np.where(np.abs(x) == 1, x ** (y & 1), 0)
    return np.where(y < 0, inverse, x ** np.maximum(y, 0))


def exp(input):
    """e to the power of each element.

    Examples
    --------
    >>> import nn
    >>> nn.exp(nn.tensor([0.25, 0.5, 1.0]))
    tensor([1.2840, 1.6487, 2.7183])
    """
    y = kernels.exp(inexact("exp", input))
    return record("exp", y, (input,), lambda dy: kernels.exp_backward(dy, y), derivative=mul, saves_result=True)


def relu(input):
    """The larger of each element and 0.

    Examples
    --------
    >>> import nn
    >>> nn.relu(nn.tensor([-1.7, 0.5, 2.5]))
    tensor([0.0000, 0.5000, 2.5000])
    """
    x = array_of("relu", input)
    if x.dtype.kind in "iu":
        return wrap(np.maximum(x, 0))
    y = kernels.relu(x)

    def backward(dy):
        return kernels.relu_backward(dy, y)

    def derivative(dy, result):
        return scaled("relu", backward, dy, (result,))

    return record("relu", y, (input,), backward, derivative=derivative, saves_result=True)


def sigmoid(input):
    """1 / (1 + exp(-x)).

    Examples
    --------
    >>> import nn
    >>> nn.sigmoid(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.5622, 0.6225, 0.7311])
    """
    y = kernels.sigmoid(inexact("sigmoid", input))

    def derivative(dy, y):
        return mul(dy, mul(y, sub(1, y)))

    return record(
        "sigmoid", y, (input,), lambda dy: kernels.sigmoid_backward(dy, y), derivative=derivative, saves_result=True
    )


def tanh(input):
    """The hyperbolic tangent.

    Examples
    --------
    >>> import nn
    >>> nn.tanh(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.2449, 0.4621, 0.7616])
    """
    y = kernels.tanh(inexact("tanh", input))

    def derivative(dy, y):
        return mul(dy, sub(1, mul(y, y)))

    return record(
        "tanh", y, (input,), lambda dy: kernels.tanh_backward(dy, y), derivative=derivative, saves_result=True
    )


@ieee
def log(input):
    """The natural logarithm; NaN below 0.

    Examples
    --------
    >>> import nn
    >>> nn.log(nn.tensor([0.25, 0.5, 1.0]))
    tensor([-1.3863, -0.6931,  0.0000])
    """
    x = inexact("log", input)
    return record("log", np.log(x), (input,), lambda dy: dy / x, (input,), derivative=div)


@ieee
def sqrt(input):
    """The square root; NaN below 0.

    Examples
    --------
    >>> import nn
    >>> nn.sqrt(nn.tensor([0.25, 0.5, 1.0]))
    tensor([0.5000, 0.7071, 1.0000])
    """
    y = np.sqrt(inexact("sqrt", input))

    def derivative(dy, y):
        return div(dy, add(y, y))

    return record("sqrt", y, (input,), lambda dy: dy / (y + y), derivative=derivative, saves_result=True)


@ieee
def clamp(input, min=None, max=None):
    """Each element limited to [`min`, `max`]: numbers, or tensors that broadcast.

    The gradient of an element outside is that of the bound that replaces it, if that is a tensor that needs one.

    Examples
    --------
    >>> import nn
    >>> nn.clamp(nn.tensor([-1.7, 0.5, 2.5]), min=-1, max=1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise ValueError("clamp: needs min or max")
    x = array_of("clamp", input)
    low, high = (bound.array if isinstance(bound, Tensor) else bound for bound in (min, max))
    if x.dtype.kind != "f" or not {type(low), type(high)} <= PLAIN_BOUNDS:
        for argument, bound in (("min", low), ("max", high)):
            if not isinstance(bound, (np.ndarray, *NUMBERS, type(None))):
                raise TypeError(f"clamp: {argument} must be a number or a Tensor, got {type(bound).__name__}")
        if low is not None:
            x, low = match("clamp", x, low)
        if high is not None:
            x, high = match("clamp", x, high)
        if low is not None:
            low = np.asarray(low, x.dtype)
    inputs = (input, *(bound if isinstance(bound, Tensor) else None for bound in (min, max)))
    shapes = [None if t is None or not t._requires_grad else t.array.shape for t in inputs]

    def backward_whole(dy):
        gradients = [None, None, None]
        if shapes[0] is not None:
            inside = x >= low if high is None else x <= high if low is None else (x >= low) & (x <= high)
            gradients[0] = np.where(inside, dy, 0)
        if shapes[1] is not None:
            gradients[1] = np.where(x < low if high is None else (x < low) & (low < high), dy, 0)
        if shapes[2] is not None:  # where the bounds cross, all elements are `max`
            gradients[2] = np.where(x > high if low is None else (x > high) | (low > high), dy, 0)
        return gradients

    def backward(dy):
        whole = backward_whole(dy)
        return tuple(None if g is None else unbroadcast(g, s) for g, s in zip(whole, shapes, strict=True))

    def derivative(dy, *inputs):
        def factor(i):
            return lambda g: backward_whole(g)[i]

        return tuple(
            None if s is None else sum_to(scaled("clamp", factor(i), dy, inputs), s) for i, s in enumerate(shapes)
        )

    return record("clamp", np.clip(x, low, high), inputs, backward, inputs, derivative=derivative)


@ieee
def where(condition, input=None, other=None):
    """Elements of `input` where `condition` holds, of `other` elsewhere; all three broadcast.

    Parameters
    ----------
    condition : Tensor or array of bool
    input, other : Tensor, array or number, optional
        Without them, the result is a tuple of the indices where `condition`, of any dtype, is not 0: one vector for
        each dimension.

    Raises
    ------
    TypeError
        `condition` does not hold bools, or `input` and `other` are float32 and float64.

    Examples
    --------
    >>> import nn
    >>> nn.where(nn.tensor([True, False]), nn.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """
    if input is None and other is None:
        return tuple(wrap(indices) for indices in np.nonzero(np.atleast_1d(as_array(condition))))
    c = mask_of("where", "condition", condition)
    a, b, x, y = operands("where", input, other)
    try:
        z = np.where(c, x, y)
    except ValueError:
        shapes = f"condition is {c.shape}, input {x.shape}, other {y.shape}"
        raise ValueError(f"where: shapes do not broadcast: {shapes}") from None
    da, db = (lambda dy: np.where(c, dy, 0)), (lambda dy: np.where(c, 0, dy))

    def derivative(dy, condition):
        return scaled("where", da, dy, (condition,)), scaled("where", db, dy, (condition,))

    return record_binary("where", z, a, b, da, db, (condition,), derivative=derivative)


def masked_fill(input, mask, value):
    """`value`, a number or a 0-d tensor, where `mask` is true, else the element; the dtype does not change.

    Examples
    --------
    >>> import nn
    >>> nn.masked_fill(nn.tensor([1.0, 2.0]), nn.tensor([True, False]), 0)
    tensor([0., 2.])
    """
    m, x = mask_of("masked_fill", "mask", mask), array_of("masked_fill", input)
    value = to(value, x.dtype) if isinstance(value, Tensor) else wrap(number_of("masked_fill", value, x.dtype))
    if value.array.ndim:
        raise ValueError(f"masked_fill: value must be a number or a 0-d tensor, got shape {value.array.shape}")
    try:
        z = np.where(m, value.array, x)
    except ValueError:
        raise ValueError(f"masked_fill: shapes do not broadcast: mask is {m.shape}, input is {x.shape}") from None
    da, db = (lambda dy: np.where(m, dy, 0)), (lambda dy: np.where(m, 0, dy))

    def derivative(dy, mask):
        return scaled("masked_fill", da, dy, (mask,)), scaled("masked_fill", db, dy, (mask,))

    return record_binary("masked_fill", z, value, input, da, db, (mask,), derivative=derivative)

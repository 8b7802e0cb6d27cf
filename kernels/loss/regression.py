r"""Losses of a difference d = x - target.

    mse        d²                                     derivative  2 d
    l1         |d|                                                sign d, 0 at 0
    huber      d² / 2 where |d| < δ, else δ (|d| - δ / 2)         d clipped to [-δ, δ]
    smooth_l1  huber / β with δ = β                               d / β clipped to [-1, 1]

A few FLOPs an element; 8 bytes read, for the gradients 4 more written: bound by memory. Losses are summed while they
are computed, without an array of them. dtarget = -dx.
"""

from kernels._jit import jit
from kernels.activation.special import quotient
from kernels.loss.pairs import PairLoss
from kernels.simd import absolute, maximum, minimum, select


@jit
def mse_naive(x, target, out, p):
    """``out = (x - target)²``; p is not used."""
    for i in range(x.size):
        out[i] = (x[i] - target[i]) * (x[i] - target[i])


@jit
def l1_naive(x, target, out, p):
    """``out = |x - target|``; p is not used."""
    for i in range(x.size):
        out[i] = abs(x[i] - target[i])


@jit
def huber_naive(x, target, out, delta):
    """A parabola within delta of the target, straight lines outside."""
    for i in range(x.size):
        d = abs(x[i] - target[i])
        out[i] = d * (d / 2) if d < delta else delta * (d - delta / 2)


@jit
def smooth_l1_naive(x, target, out, beta):
    """`huber_naive` divided by beta."""
    for i in range(x.size):
        d = abs(x[i] - target[i])
        out[i] = d * (d / beta) / 2 if d < beta else d - beta / 2


@jit(inline=True)
def _mse(x, target, p):
    d = x - target
    return d * d


@jit(inline=True)
def _mse_derivative(x, target, p):
    return x - target  # times 2, in the end


@jit(inline=True)
def _l1(x, target, p):
    return absolute(x - target)


@jit(inline=True)
def _l1_derivative(x, target, p):
    d = x - target
    return select(d > 0.0, 1.0, select(d < 0.0, -1.0, select(d == 0.0, d, 0.0)))


@jit(inline=True)
def _huber(x, target, delta):
    d = absolute(x - target)
    return select(d < delta, d * (d * 0.5), (d - delta * 0.5) * delta)


@jit(inline=True)
def _huber_derivative(x, target, delta):
    return maximum(minimum(x - target, delta), -delta)


@jit(inline=True)
def _smooth_l1(x, target, beta):
    d = absolute(x - target)
    return select(d < beta, d * (quotient(d, beta) * 0.5), d - beta * 0.5)


@jit(inline=True)
def _smooth_l1_derivative(x, target, beta):
    return maximum(minimum(quotient(x - target, beta), 1.0), -1.0)


_MSE = PairLoss("mse_loss", _mse, _mse_derivative, mse_naive, times=2)
_L1 = PairLoss("l1_loss", _l1, _l1_derivative, l1_naive)
_HUBER = PairLoss("huber_loss", _huber, _huber_derivative, huber_naive)
_SMOOTH_L1 = PairLoss("smooth_l1_loss", _smooth_l1, _smooth_l1_derivative, smooth_l1_naive)
VARIANTS = {loss.name: loss.variants for loss in (_MSE, _L1, _HUBER, _SMOOTH_L1)}


def _positive(operation, name, value):
    if not value > 0:
        raise ValueError(f"{operation}: {name} must be positive, got {value}")


def mse_loss(x, target, reduction="mean"):
    """Squared error ``(x - target)²``.

    Parameters
    ----------
    x, target : array, float32 or float64, of one shape and dtype
    reduction : {"mean", "sum", "none"}, default "mean"

    Returns
    -------
    ndarray
        0-d, or of `x`'s shape for "none". The mean of no elements is NaN.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ, an unknown reduction.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import mse_loss
    >>> mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array(2.)
    """
    return _MSE.forward(x, target, reduction)


def mse_loss_backward(dy, x, target, reduction="mean", *, needs=(True, True)):
    """Gradients of `mse_loss`: ``dx = 2 (x - target) dy`` (over the count for "mean") and ``dtarget = -dx``.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of `x`'s shape for "none".
    x, target, reduction
        As given to the forward.
    needs : (bool, bool)
        Whether dx and dtarget are needed.

    Returns
    -------
    dx, dtarget : ndarray or None
        Of the shape and dtype of `x`; None where `needs` is False.

    Raises
    ------
    TypeError, ValueError
        As `mse_loss`; also where `dy` does not have the shape or dtype of the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import mse_loss_backward
    >>> dx, dtarget = mse_loss_backward(np.array(1.0), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> dx
    array([ 0., -2.])
    """
    return _MSE.backward_of_difference(dy, x, target, reduction, needs)


def l1_loss(x, target, reduction="mean"):
    """Absolute error ``|x - target|``.

    Parameters
    ----------
    x, target : array, float32 or float64, of one shape and dtype
    reduction : {"mean", "sum", "none"}, default "mean"

    Returns
    -------
    ndarray
        0-d, or of `x`'s shape for "none". The mean of no elements is NaN.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ, an unknown reduction.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import l1_loss
    >>> l1_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array(1.)
    """
    return _L1.forward(x, target, reduction)


def l1_loss_backward(dy, x, target, reduction="mean", *, needs=(True, True)):
    """Gradients of `l1_loss`: ``dx = sign(x - target) dy``, 0 where they are equal or NaN; ``dtarget = -dx``.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of `x`'s shape for "none".
    x, target, reduction
        As given to the forward.
    needs : (bool, bool)
        Whether dx and dtarget are needed.

    Returns
    -------
    dx, dtarget : ndarray or None
        Of the shape and dtype of `x`; None where `needs` is False.

    Raises
    ------
    TypeError, ValueError
        As `l1_loss`; also where `dy` does not have the shape or dtype of the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import l1_loss_backward
    >>> dx, dtarget = l1_loss_backward(np.array(1.0), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> dx
    array([ 0. , -0.5])
    """
    return _L1.backward_of_difference(dy, x, target, reduction, needs)


def huber_loss(x, target, reduction="mean", delta=1.0):
    """Huber's loss: ``d²/2`` where ``|d| < delta``, else ``delta (|d| - delta/2)``, with d = x - target.

    Parameters
    ----------
    x, target : array, float32 or float64, of one shape and dtype
    reduction : {"mean", "sum", "none"}, default "mean"
    delta : float, default 1
        Positive.

    Returns
    -------
    ndarray
        0-d, or of `x`'s shape for "none". The mean of no elements is NaN.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ, an unknown reduction, a `delta` that is not positive.

    Reference
    ---------
    Huber 1964, "Robust Estimation of a Location Parameter".

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import huber_loss
    >>> huber_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array(0.75)
    """
    _positive("huber_loss", "delta", delta)
    return _HUBER.forward(x, target, reduction, float(delta))


def huber_loss_backward(dy, x, target, reduction="mean", delta=1.0, *, needs=(True, True)):
    """Gradients of `huber_loss`: ``dx = dy`` times d clipped to [-delta, delta]; ``dtarget = -dx``.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of `x`'s shape for "none".
    x, target, reduction, delta
        As given to the forward.
    needs : (bool, bool)
        Whether dx and dtarget are needed.

    Returns
    -------
    dx, dtarget : ndarray or None
        Of the shape and dtype of `x`; None where `needs` is False.

    Raises
    ------
    TypeError, ValueError
        As `huber_loss`; also where `dy` does not have the shape or dtype of the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import huber_loss_backward
    >>> dx, dtarget = huber_loss_backward(np.array(1.0), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> dx
    array([ 0. , -0.5])
    """
    _positive("huber_loss_backward", "delta", delta)
    return _HUBER.backward_of_difference(dy, x, target, reduction, needs, float(delta))


def smooth_l1_loss(x, target, reduction="mean", beta=1.0):
    """``d²/(2 beta)`` where ``|d| < beta``, else ``|d| - beta/2``, with d = x - target; `l1_loss` for beta = 0.

    Parameters
    ----------
    x, target : array, float32 or float64, of one shape and dtype
    reduction : {"mean", "sum", "none"}, default "mean"
    beta : float, default 1
        Not negative.

    Returns
    -------
    ndarray
        0-d, or of `x`'s shape for "none". The mean of no elements is NaN.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ, an unknown reduction, a negative `beta`.

    Reference
    ---------
    Girshick 2015, "Fast R-CNN", equation 3.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import smooth_l1_loss
    >>> smooth_l1_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    array(0.75)
    """
    if beta == 0:
        return l1_loss(x, target, reduction)
    _positive("smooth_l1_loss", "beta", beta)
    return _SMOOTH_L1.forward(x, target, reduction, float(beta))


def smooth_l1_loss_backward(dy, x, target, reduction="mean", beta=1.0, *, needs=(True, True)):
    """Gradients of `smooth_l1_loss`: ``dx = dy`` times d / beta clipped to [-1, 1]; ``dtarget = -dx``.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the loss: 0-d, or of `x`'s shape for "none".
    x, target, reduction, beta
        As given to the forward.
    needs : (bool, bool)
        Whether dx and dtarget are needed.

    Returns
    -------
    dx, dtarget : ndarray or None
        Of the shape and dtype of `x`; None where `needs` is False.

    Raises
    ------
    TypeError, ValueError
        As `smooth_l1_loss`; also where `dy` does not have the shape or dtype of the loss.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import smooth_l1_loss_backward
    >>> dx, dtarget = smooth_l1_loss_backward(np.array(1.0), np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    >>> dx
    array([ 0. , -0.5])
    """
    if beta == 0:
        return l1_loss_backward(dy, x, target, reduction, needs=needs)
    _positive("smooth_l1_loss_backward", "beta", beta)
    return _SMOOTH_L1.backward_of_difference(dy, x, target, reduction, needs, float(beta))

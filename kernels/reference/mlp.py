r"""The feed-forward part of a transformer, in plain NumPy.

z = x W₁ᵀ + b₁,   h = f(z) or silu(z_gate) z_value,   y = h W₂ᵀ + b₂
"""

import numpy as np

from kernels.reference.activation import silu, silu_backward
from kernels.reference.affine import BACKWARD, FORWARD, linear, linear_backward

__all__ = ["feed_forward", "feed_forward_backward"]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings


def _hidden(z, activation):
    return silu(z[0]) * z[1] if activation == "swiglu" else FORWARD[activation](z)


@ieee
def feed_forward(x, weight1, bias1, weight2, bias2, activation="gelu", *, out=None, preactivation=None):
    """``f(x @ weight1.T + bias1) @ weight2.T + bias2``.

    Example
    -------
    >>> feed_forward(np.array([[1.0, -1.0]]), np.eye(2), None, np.ones((1, 2)), None, "relu")
    array([[1.]])
    """
    z = linear(x, weight1, bias1)
    if activation == "swiglu":
        z = np.stack(np.split(z, 2, axis=-1))
    if preactivation is not None:
        preactivation[...] = z
    return linear(_hidden(z, activation), weight2, bias2, out=out)


@ieee
def feed_forward_backward(dy, x, weight1, weight2, preactivation, activation="gelu", *, needs=(True,) * 5):
    """Return ``(dx, dweight1, dbias1, dweight2, dbias2)``."""
    z = preactivation
    dhidden, dweight2, dbias2 = linear_backward(dy, _hidden(z, activation), weight2)
    if activation == "swiglu":
        dz = np.concatenate([silu_backward(dhidden * z[1], z[0]), dhidden * silu(z[0])], axis=-1)
    elif activation == "relu":
        dz = np.where(z > 0, dhidden, 0)
    else:
        dz = BACKWARD[activation](dhidden, z)
    gradients = (*linear_backward(dz, x, weight1), dweight2, dbias2)
    return tuple(each if need else None for each, need in zip(gradients, needs, strict=True))

r"""Matrix multiplication in plain NumPy.

    y[m, n] = sum_k a[m, k] b[k, n]          da = dy bᵀ          db = aᵀ dy

Leading dimensions are batches and broadcast; the gradient of a broadcast operand is summed over its copies.
"""

import numpy as np

__all__ = ["matmul", "matmul_backward"]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings


@ieee
def matmul(a, b, *, out=None):
    """Multiply matrices, vectors or stacks of matrices, with the rules of ``torch.matmul``.

    Example
    -------
    >>> matmul(np.eye(2), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    return np.asarray(np.matmul(a, b, out=out))


@ieee
def matmul_backward(dy, a, b, *, needs=(True, True)):
    """Return the gradients ``(da, db)`` of ``matmul(a, b)``, None for those not in `needs`."""
    a_matrix = a[None, :] if a.ndim == 1 else a  # a vector on the left is a row
    b_matrix = b[:, None] if b.ndim == 1 else b  # a vector on the right is a column
    if a.ndim == 1:
        dy = np.expand_dims(dy, -1 if b.ndim == 1 else -2)
    if b.ndim == 1:
        dy = np.expand_dims(dy, -1)
    da = sum_to(dy @ np.swapaxes(b_matrix, -1, -2), a_matrix.shape).reshape(a.shape) if needs[0] else None
    db = sum_to(np.swapaxes(a_matrix, -1, -2) @ dy, b_matrix.shape).reshape(b.shape) if needs[1] else None
    return da, db


def sum_to(x, shape):
    """Sum `x` over the dimensions along which `shape` was broadcast to ``x.shape``."""
    added = x.ndim - len(shape)
    stretched = tuple(added + i for i, n in enumerate(shape) if n == 1 and x.shape[added + i] != 1)
    return x.sum(axis=(*range(added), *stretched), keepdims=True).reshape(shape) if added or stretched else x

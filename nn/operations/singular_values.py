r"""Singular values of matrices, and the decomposition that their gradients need.

    A = U diag(S) Vᵀ,    dA = U diag(dS) Vᵀ

With gradients of U and V, too, and E_jk = S_k² - S_j² off the diagonal, 1 on it:

    dA = U [skew(Uᵀ dU) / E diag(S) + diag(S) skew(Vᵀ dV) / E + diag(dS)] Vᵀ
         + (I - U Uᵀ) dU diag(1 / S) Vᵀ + U diag(1 / S) dVᵀ (I - V Vᵀ),    skew(X) = X - Xᵀ

Reference: Townsend, "Differentiating the singular value decomposition" (2016).
"""

import numpy as np

import kernels
from nn.operations.arguments import floating, word_of
from nn.operations.arithmetic import matmul, mul
from nn.operations.shapes import unsqueeze
from nn.storage import wrap
from nn.tape import ieee, record, record_several

DRIVERS = ("gesvd", "gesvda", "gesvdj")


def svdvals(A, *, driver=None):
    """The singular values of matrices, in descending order.

    The gradient is not unique where singular values are equal, and infinite in its second order.

    Parameters
    ----------
    A : Tensor (*B, M, N)
    driver : {"gesvd", "gesvda", "gesvdj"}, optional
        Chooses among PyTorch's implementations for GPUs; without a meaning here.

    Returns
    -------
    Tensor (*B, min(M, N))

    Raises
    ------
    TypeError
        The tensor is not floating point.
    ValueError
        It has fewer than two dimensions, or elements that are not finite.
    """
    if driver is not None:
        word_of("svdvals", "driver", driver, DRIVERS)
    u, s, vt = _decomposed("svdvals", A)

    def backward(dy):
        return kernels.matmul(u, dy[..., None] * vt)

    def derivative(dy, A):
        u, _, vt = _svd(A)
        return matmul(u, mul(unsqueeze(dy, -1), vt))

    return record("svdvals", s, (A,), backward, (A,), derivative=derivative)


def _decomposed(name, A):
    """The arrays U, S and Vᵀ."""
    x = floating(name, A)
    if x.ndim < 2:
        raise ValueError(f"{name}: needs matrices, the tensor is {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: elements of the tensor of shape {x.shape} are not finite")
    return np.linalg.svd(x, full_matrices=False)


def _svd(A):
    """U, S and Vᵀ as tensors."""
    results = _decomposed("svd", A)

    def derivative(dys, *results):
        return _gradient(*dys, *results)

    def backward(*dys):
        tensors = [None if a is None else wrap(a) for a in (*dys, *results)]
        return _gradient(*tensors).array

    return record_several("svd", results, (A,), backward, derivative=derivative, saves_results=(0, 1, 2))


@ieee
def _gradient(du, ds, dvt, u, s, vt):
    """The gradient of A; those of U, S and Vᵀ may be None. All are tensors, and recorded."""
    one = np.eye(s.shape[-1], dtype=s.dtype)
    squares = s * s
    gaps = squares.unsqueeze(-2) - squares.unsqueeze(-1) + one
    terms = []
    if ds is not None:
        terms.append(ds.unsqueeze(-1) * one)
    if du is not None:
        terms.append(_skew(u.mT @ du) / gaps * s.unsqueeze(-2))
    if dvt is not None:
        terms.append(s.unsqueeze(-1) * (_skew(vt @ dvt.mT) / gaps))
    dx = u @ sum(terms[1:], terms[0]) @ vt
    if du is not None and u.shape[-2] > u.shape[-1]:
        scaled = du / s.unsqueeze(-2)
        dx = dx + (scaled - u @ (u.mT @ scaled)) @ vt
    if dvt is not None and vt.shape[-1] > vt.shape[-2]:
        scaled = dvt / s.unsqueeze(-1)
        dx = dx + u @ (scaled - scaled @ vt.mT @ vt)
    return dx


def _skew(x):
    return x - x.mT

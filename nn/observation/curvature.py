r"""The Hessian of a loss, through its products with vectors: the matrix is never stored.

    H v ≈ (g(w + h v) - g(w - h v)) / 2h

is exact up to O(h²), and up to the rounding error of g, which grows as 1/h: in float64 h around ε^⅓ loses about a third
of the digits. The Lanczos iteration finds the extreme eigenvalues from such products alone.

Reference: Pearlmutter, "Fast exact multiplication by the Hessian" (1994), section 2; Golub and Van Loan, "Matrix
Computations" (4th edition, 2013), section 10.1.
"""

import math

import numpy as np

import kernels
from nn.observation.parameters import check_shapes, checked, flatten, gradient, place, restored, unflatten


def hessian_vector_product(loss, parameters, vectors, *, eps=None):
    """The product of the Hessian of a loss and a vector, by a central difference of gradients.

    Parameters
    ----------
    loss : callable
        () -> 0-d Tensor, deterministic: no dropout, no new batch. In training mode batch norm updates its running
        statistics, as in any forward call.
    parameters : iterable of Tensor
        Leaves that require gradients. In float64 the result has about 9 digits, in float32 about 3.
    vectors : sequence of ndarray
        One for each parameter, of its shape.
    eps : float, optional
        The step along the vector, in each direction: by default ε^⅓ · max(1, largest parameter), where ε is the machine
        epsilon of the parameters' dtype. If a rectifier switches within that distance, the difference contains the jump
        of the gradient: a smaller `eps` contains fewer.

    Returns
    -------
    list of ndarray
        One for each parameter. Parameters and their ``grad`` are unchanged.

    Raises
    ------
    TypeError, ValueError
        Parameters are not leaves or differ in dtype; shapes differ; `eps` is not positive.

    Examples
    --------
    >>> import numpy as np, nn
    >>> from nn import observation
    >>> w = nn.Parameter(np.array([1.0, 2.0]))
    >>> [product] = observation.hessian_vector_product(lambda: (w * w).sum(), [w], [np.array([1.0, -1.0])])
    >>> np.round(product, 6)
    array([ 2., -2.])
    """
    parameters = checked("hessian_vector_product", parameters)
    vectors = check_shapes("hessian_vector_product", vectors, parameters)
    if eps is not None and not eps > 0:
        raise ValueError(f"hessian_vector_product: eps must be positive, got {eps}")
    with restored(parameters) as values:
        return _product(loss, parameters, values, vectors, eps)


def _product(loss, parameters, values, vectors, eps):
    length = _norm(vectors)
    if length == 0:
        return [np.zeros_like(v) for v in values]
    if eps is None:
        largest = max(float(np.abs(w).max(initial=0)) for w in values)
        eps = float(np.finfo(values[0].dtype).eps) ** (1 / 3) * max(1.0, largest)
    step = eps / length
    gradients = []
    for sign in (1, -1):
        place(parameters, [w + sign * step * v for w, v in zip(values, vectors, strict=True)])
        gradients.append(gradient(loss, parameters))
    return [(above - below) / (2 * step) for above, below in zip(*gradients, strict=True)]


def _norm(arrays):
    """The Euclidean norm of all elements together."""
    return math.sqrt(sum(float(np.sum(np.square(a, dtype=np.float64))) for a in arrays))


def top_eigenvalues(loss, parameters, k=1, *, iterations=100, tolerance=1e-3, eps=None, generator=None):
    """The largest eigenvalues of the Hessian of a loss, by the Lanczos iteration with full reorthogonalisation.

    Parameters
    ----------
    loss : callable
        () -> 0-d Tensor, as for `hessian_vector_product`; called twice per iteration.
    parameters : iterable of Tensor
        P numbers in total; float64 is recommended.
    k : int, default 1
        The number of eigenvalues, the algebraically largest first. A multiple eigenvalue may be found only once; and if
        the initial vector is nearly orthogonal to an eigenvector, the iteration can end before it appears: check with a
        lower `tolerance` or another `generator`.
    iterations : int, default 100
        The largest number of iterations; P suffice for any matrix.
    tolerance : float, default 1e-3
        The iteration ends when ‖H v - λ v‖ is at most this times the largest eigenvalue in magnitude, for each of
        the k. The error of λ is at most that, and in general of the order of its square.
    eps : float, optional
        As for `hessian_vector_product`.
    generator : numpy.random.Generator, optional
        Draws the initial vector; by default a new one, seeded with 0, so that the generator of `nn` is not used.

    Returns
    -------
    values : ndarray of float64 (k,)
    vectors : ndarray of float64 (k, P)
        Unit eigenvectors; `unflatten` gives them the parameters' shapes.

    Raises
    ------
    RuntimeError
        The tolerance is not reached within the iterations.
    TypeError, ValueError
        As for `hessian_vector_product`; `k` is not from 1 to P; fewer iterations than `k`.

    Examples
    --------
    >>> import numpy as np, nn
    >>> from nn import observation
    >>> w = nn.Parameter(np.ones(3))
    >>> scale = np.array([1.0, 5.0, 2.0])
    >>> values, vectors = observation.top_eigenvalues(lambda: (scale * w * w).sum(), [w], k=2)
    >>> np.round(values, 6), np.round(np.abs(vectors[0]), 6)
    (array([10.,  4.]), array([0., 1., 0.]))
    """
    parameters = checked("top_eigenvalues", parameters)
    P = sum(p.numel() for p in parameters)
    if not 1 <= k <= P:
        raise ValueError(f"top_eigenvalues: k must be from 1 to the number of parameters, {P}, got {k}")
    if iterations < k:
        raise ValueError(f"top_eigenvalues: {k} eigenvalues need at least {k} iterations, got {iterations}")
    generator = np.random.default_rng(0) if generator is None else generator
    with restored(parameters) as values:

        def multiply(vector):
            product = _product(loss, parameters, values, unflatten(vector, parameters), eps)
            return flatten(product).astype(np.float64)

        return _lanczos(multiply, P, k, min(iterations, P), tolerance, generator)


def _lanczos(multiply, P, k, iterations, tolerance, generator):
    r"""In an orthonormal basis of q, H q, H² q … the matrix is tridiagonal: alpha on the diagonal, beta next to it.

    Its eigenvalues approach the extreme ones of H; beta times the last element of its eigenvector is ‖H v - λ v‖.
    """
    basis = np.empty((iterations, P))
    alpha, beta = np.zeros(iterations), np.zeros(iterations)
    q = generator.standard_normal(P)
    for j in range(iterations):
        basis[j] = q / np.sqrt(kernels.sum(q * q))
        subspace = basis[: j + 1]
        q = multiply(basis[j])
        if not np.isfinite(q).all():
            raise RuntimeError(f"top_eigenvalues: the product with the Hessian is not finite, in iteration {j}")
        alpha[j] = kernels.sum(basis[j] * q)
        q = _orthogonal(q, subspace)
        beta[j] = np.sqrt(kernels.sum(q * q))
        tridiagonal = np.diag(alpha[: j + 1]) + np.diag(beta[:j], 1) + np.diag(beta[:j], -1)
        values, vectors = np.linalg.eigh(tridiagonal)
        values, vectors = values[::-1][:k], vectors[:, ::-1][:, :k]
        scale = np.abs(values).max(initial=np.abs(alpha[: j + 1]).max())
        residuals = np.abs(beta[j] * vectors[-1])
        if j + 1 == P or (j + 1 >= k and (residuals <= tolerance * scale).all()):
            return values, kernels.matmul(np.ascontiguousarray(vectors.T), subspace)
        if beta[j] <= 1e-12 * scale:  # the subspace is invariant under H: continue from a new vector
            beta[j] = 0
            q = _orthogonal(generator.standard_normal(P), subspace)
    raise RuntimeError(
        f"top_eigenvalues: not within tolerance {tolerance:g} after {iterations} iterations: "
        f"residuals {residuals.tolist()} of eigenvalues {values.tolist()}"
    )


def _orthogonal(q, basis):
    """The part of `q` orthogonal to the rows of `basis`; projected twice, since once leaves rounding errors."""
    for _ in range(2):
        q = q - kernels.matmul(kernels.matmul(basis, q), basis)
    return q


def sharpness(loss, parameters, **options):
    """The largest eigenvalue of the Hessian of a loss: gradient descent on a quadratic is stable below 2 / lr.

    Parameters
    ----------
    loss, parameters, **options
        As for `top_eigenvalues`.

    Returns
    -------
    float

    Examples
    --------
    >>> import numpy as np, nn
    >>> from nn import observation
    >>> w = nn.Parameter(np.ones(3))
    >>> round(observation.sharpness(lambda: 3 * (w * w).sum(), [w]), 6)
    6.0
    """
    return float(top_eigenvalues(loss, parameters, **options)[0][0])

"""Sums of products of three tensors, such as convolutions: their gradients are sums of products of the same kind.

T(a, b, c) = Σ a[i] b[j] c[k] over some triples (i, j, k), as of a convolution, where a is x, b is the weight and c the
gradient dy: ∂T/∂c is the convolution, ∂T/∂a its gradient with respect to x, ∂T/∂b that with respect to the weight. The
gradient of each of these is the other two, with its own dy in the place of its factor.
"""

from nn.tape import record


def record_factor(name, maps, target, factors):
    """Record the derivative of T with respect to one factor.

    Parameters
    ----------
    name : str
    maps : tuple of callable
        The derivatives of T with respect to a, b and c: each takes three arrays, of its own factor the shape only.
    target : int
        Which of them.
    factors : tuple of Tensor
        Of that at `target`, the shape only matters.

    Returns
    -------
    Tensor of the shape of ``factors[target]``
    """
    arrays = [t.array for t in factors]
    others = [i for i in range(3) if i != target]
    needs = [factors[i]._requires_grad for i in others]
    inputs = tuple(factors[i] for i in others)

    def backward(dy):
        given = [*arrays[:target], dy, *arrays[target + 1 :]]
        return tuple(maps[i](*given) if need else None for i, need in zip(others, needs, strict=True))

    def derivative(dy, *saved):
        given = (*saved[:target], dy, *saved[target:])
        return tuple(
            record_factor(name, maps, i, given) if need else None for i, need in zip(others, needs, strict=True)
        )

    return record(name, maps[target](*arrays), inputs, backward, inputs, derivative=derivative)

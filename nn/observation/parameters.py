"""Parameters as one vector; moving them and restoring them, bit for bit."""

from contextlib import contextmanager

import numpy as np

from nn.grad_mode import enable_grad, no_grad
from nn.tensor import Tensor


def flatten(arrays):
    """All elements of several arrays in one vector.

    Parameters
    ----------
    arrays : sequence of ndarray or Tensor

    Returns
    -------
    ndarray (P,)

    Examples
    --------
    >>> import numpy as np
    >>> from nn import observation
    >>> observation.flatten([np.ones((2, 2)), np.zeros(1)])
    array([1., 1., 1., 1., 0.])
    """
    return np.concatenate([(a.array if isinstance(a, Tensor) else np.asarray(a)).reshape(-1) for a in arrays])


def unflatten(vector, like):
    """The inverse of `flatten`.

    Parameters
    ----------
    vector : ndarray (P,)
    like : sequence of ndarray or Tensor
        Arrays of the shapes of the results.

    Returns
    -------
    list of ndarray
        Views of `vector`.

    Raises
    ------
    ValueError
        The lengths differ.
    """
    sizes = [int(np.prod(each.shape)) for each in like]
    if vector.shape != (sum(sizes),):
        raise ValueError(f"unflatten: the vector is {vector.shape}, the shapes have {sum(sizes)} elements")
    parts = np.split(vector, np.cumsum(sizes)[:-1])
    return [part.reshape(each.shape) for part, each in zip(parts, like, strict=True)]


def checked(name, parameters):
    """Validate that parameters are leaves of one dtype that require gradients, and return them as a list."""
    parameters = list(parameters)
    if not parameters:
        raise ValueError(f"{name}: there are no parameters")
    for p in parameters:
        if not isinstance(p, Tensor):
            raise TypeError(f"{name}: parameters must be Tensors, got {type(p).__name__}")
        if not (p.requires_grad and p.is_leaf):
            raise ValueError(f"{name}: a parameter of shape {p.shape} is not a leaf that requires a gradient")
    if len({p.dtype for p in parameters}) > 1:
        raise TypeError(f"{name}: dtypes differ: {sorted({str(p.dtype) for p in parameters})}")
    return parameters


def check_shapes(name, arrays, parameters):
    """Validate that arrays have the shapes of the parameters, and return them as a list."""
    arrays = [a.array if isinstance(a, Tensor) else np.asarray(a) for a in arrays]
    shapes, expected = [a.shape for a in arrays], [p.shape for p in parameters]
    if shapes != expected:
        raise ValueError(f"{name}: shapes differ: the parameters are {expected}, the arrays {shapes}")
    return arrays


@contextmanager
def restored(parameters):
    """Context manager that restores values and gradients of the parameters, bit for bit; yields the values."""
    values, gradients = [p.array.copy() for p in parameters], [p.grad for p in parameters]
    try:
        yield values
    finally:
        place(parameters, values)
        for p, gradient in zip(parameters, gradients, strict=True):
            p.grad = gradient


def place(parameters, arrays):
    """Overwrite the values of parameters."""
    for p, array in zip(parameters, arrays, strict=True):
        np.copyto(p.array, array, casting="same_kind")
        p.mark_changed()


def value(loss):
    """``loss()`` as a float, without recording."""
    with no_grad():
        return float(loss())


def gradient(loss, parameters):
    """The gradient of ``loss()`` as a list of arrays; zeros for parameters on which it does not depend."""
    for p in parameters:
        p.grad = None
    with enable_grad():
        loss().backward()
    return [np.zeros_like(p.array) if p.grad is None else p.grad.array for p in parameters]

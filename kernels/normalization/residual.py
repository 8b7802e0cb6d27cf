r"""Layer norm of a sum, the two steps between the parts of a transformer: the residual connection and the norm.

.. math:: s = x + r, \qquad y = \text{layer\_norm}(s)

The loops are those of `layer`; a row of s is computed where the row of x would be read, and is in L1 when it is
normalised. So s costs no pass of its own: x, r and y are moved once, 12 bytes an element (float32) against 20 in two
steps, and 16 where s itself is needed, too: by the backward, or by the next residual connection of a pre-norm
transformer [1]_.

The gradient with respect to both addends is that with respect to s: the result of `layer_norm_backward`, plus what
flows into s from its other uses.

.. [1] R. Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020, section 3.
"""

import numpy as np

from kernels import _checks
from kernels._checks import floats
from kernels._jit import jit
from kernels.normalization.arguments import matching, parameter, wanted
from kernels.normalization.layer import forward, gradients, layer_norm_naive, rows_of


@jit
def add_layer_norm_naive(x, residual, weight, bias, eps, mean, rstd, y):
    """The definition: first the sum, then its layer norm."""
    total = np.empty_like(x)
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            total[row, i] = x[row, i] + residual[row, i]
    layer_norm_naive(total, weight, bias, eps, mean, rstd, y)


def add_layer_norm_rows(x, residual, weight, bias, eps, mean, rstd, y):
    """Adds vectors and threads, and no array for the sum."""
    forward(x, True, (weight, bias), (mean, rstd), eps, y, residual)


VARIANTS = {"add_layer_norm": {"naive": add_layer_norm_naive, "fast": add_layer_norm_rows}}


def add_layer_norm(
    x,
    residual,
    normalized_shape,
    weight=None,
    bias=None,
    eps=1e-5,
    *,
    sum=None,
    mean=None,
    rstd=None,
):
    """``layer_norm(x + residual)`` in one pass.

    Parameters
    ----------
    x, residual : array, float32 or float64
        Shape ``(..., *normalized_shape)``, one dtype.
    normalized_shape : tuple of int, or int
    weight, bias : array, optional
        Shape `normalized_shape`, dtype of `x`; without them 1 and 0.
    eps : float
        Added to the variance.
    sum : array, optional
        C-contiguous, like `x`: receives x + residual, for the backward or for use after it.
    mean, rstd : array, optional
        C-contiguous, of the leading shape of `x`: receive mean and 1 / sqrt(variance + eps), for the backward.

    Returns
    -------
    array
        Like `x`.

    Raises
    ------
    TypeError
        Other dtypes, or different ones.
    ValueError
        The last dimensions of `x` are not `normalized_shape`, the shape of another array is not as above, or `sum`
        overlaps an input.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import add_layer_norm
    >>> add_layer_norm(np.array([1.0, 2.0]), np.array([0.0, 1.0]), 2, eps=1e-12)
    array([-1.,  1.])
    """
    name = "add_layer_norm"
    x = floats(name, "x", x)
    residual = matching(name, "residual", residual, x.shape, x)
    shape, leading = rows_of(name, x, normalized_shape)
    weight = parameter(name, "weight", weight, shape, x, 1.0)
    bias = parameter(name, "bias", bias, shape, x, 0.0)
    if sum is not None:
        sum = _checks.output(name, sum, x.shape, x.dtype, "sum")
        _checks.no_overlap(name, sum, x=x, residual=residual, weight=weight, bias=bias)
    mean = _checks.output(name, mean, leading, x.dtype, "mean")
    rstd = _checks.output(name, rstd, leading, x.dtype, "rstd")
    y = _checks.new(x.shape, x.dtype)
    if x.size:
        forward(x, True, (weight, bias), (mean, rstd), float(eps), y, residual, sum)
    else:
        mean[...] = rstd[...] = np.nan
    return y


def add_layer_norm_backward(
    dy, sum, normalized_shape, mean, rstd, weight=None, *, dsum=None, needs=(True, True, True, True)
):
    """Gradients of `add_layer_norm`.

    Parameters
    ----------
    dy : array
        Gradient with respect to the result.
    sum, mean, rstd : array
        Those of the forward.
    normalized_shape : tuple of int, or int
    weight : array, optional
        The forward's.
    dsum : array, optional
        Gradient with respect to `sum`, where that has other uses.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx, dresidual, dweight, dbias : array or None
        The first two are one array.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import add_layer_norm_backward
    >>> dy, sum, one = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 3.0]]), np.ones(1)
    >>> dx, dresidual, dweight, dbias = add_layer_norm_backward(dy, sum, 3, one, one)
    >>> dx.round(2)
    array([[ 0.33, -0.67,  0.33]])
    >>> dresidual is dx
    True
    """
    name = "add_layer_norm_backward"
    sum = floats(name, "sum", sum)
    dy = matching(name, "dy", dy, sum.shape, sum)
    shape, leading = rows_of(name, sum, normalized_shape)
    mean, rstd = matching(name, "mean", mean, leading, sum), matching(name, "rstd", rstd, leading, sum)
    weight = parameter(name, "weight", weight, shape, sum, 1.0)
    if dsum is not None:
        dsum = matching(name, "dsum", dsum, sum.shape, sum)
    dx, dweight, dbias = gradients(dy, sum, shape, True, (weight, mean, rstd), dsum)
    return wanted((dx, dx, dweight, dbias), needs)

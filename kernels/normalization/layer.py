r"""Layer norm and RMS norm: each row gets mean 0 and variance 1 [1]_, or mean square 1 [2]_.

.. math::
    \text{layer: } y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}}\, w + b \qquad
    \text{RMS: } y = \frac{x}{\sqrt{\overline{x^2} + \epsilon}}\, w

A row is the last dimensions of x, `normalized_shape`, n elements in all; w and b have one value for each of them. With
g = w dy and r = 1 / sqrt(variance + eps) (`rstd`; for RMS norm the mean square stands for the variance, 0 for mu):

.. math::
    db = \sum_{rows} dy, \quad dw = \sum_{rows} dy\,(x - \mu) r, \qquad
    dx = r \left(g - \overline{g} - (x - \mu)\, r^2\, \overline{g (x - \mu)}\right)

without the mean of g for RMS norm. 8 FLOPs an element forward, 14 backward; 8 bytes and 12 (float32): a row stays in L1
between its readings, so memory is the limit. The loops are in `rows`.

Saved for the backward: x, and mean and rstd: two numbers a row, against one more pass over it.

.. [1] J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer Normalization", 2016, section 3.
.. [2] B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, section 4.
"""

import numpy as np

from kernels import _checks
from kernels._checks import floats
from kernels._jit import jit
from kernels._threads import threads_for
from kernels.normalization.arguments import gradient, matching, parameter, use_streaming, wanted
from kernels.normalization.rows import backward_rows, forward_rows

# --- loops on 2-D arrays ---------------------------------------------------------------------------------------------


@jit
def layer_norm_naive(x, weight, bias, eps, mean, rstd, y):
    """The definition, a row at a time."""
    rows, n = x.shape
    for row in range(rows):
        total = square = 0.0
        for i in range(n):
            total += x[row, i]
        for i in range(n):
            square += (x[row, i] - total / n) ** 2
        mean[row], rstd[row] = total / n, 1 / np.sqrt(square / n + eps)
        for i in range(n):
            y[row, i] = (x[row, i] - total / n) * rstd[row] * weight[i] + bias[i]


@jit
def rms_norm_naive(x, weight, eps, rstd, y):
    """The definition, a row at a time."""
    rows, n = x.shape
    for row in range(rows):
        square = 0.0
        for i in range(n):
            square += np.float64(x[row, i]) ** 2
        rstd[row] = 1 / np.sqrt(square / n + eps)
        for i in range(n):
            y[row, i] = x[row, i] * rstd[row] * weight[i]


@jit
def layer_norm_backward_naive(dy, x, weight, mean, rstd, dx, dweight, dbias):
    """The formulas of the gradients, a row at a time; RMS norm is the one with a mean of 0 and without `total`."""
    rows, n = x.shape
    dweight[:], dbias[:] = 0, 0
    for row in range(rows):
        total = product = 0.0
        for i in range(n):
            normal = (x[row, i] - mean[row]) * rstd[row]
            total += dy[row, i] * weight[i]
            product += dy[row, i] * weight[i] * normal
            dweight[i] += dy[row, i] * normal
            dbias[i] += dy[row, i]
        for i in range(n):
            normal = (x[row, i] - mean[row]) * rstd[row]
            dx[row, i] = rstd[row] * (dy[row, i] * weight[i] - (total + normal * product) / n)


def layer_norm_rows(x, weight, bias, eps, mean, rstd, y):
    """Adds vectors, threads, and both moments in one reading."""
    forward(x, True, (weight, bias), (mean, rstd), eps, y)


def rms_norm_rows(x, weight, eps, rstd, y):
    """Adds vectors and threads: the loops of layer norm with a mean of 0."""
    bias = parameter("rms_norm", "bias", None, weight.shape, x, 0.0)
    forward(x, False, (weight, bias), (rstd, rstd), eps, y)


def layer_norm_backward_rows(dy, x, weight, mean, rstd, dx, dweight, dbias):
    """Adds vectors and threads, with sums for weight and bias in each task of rows."""
    _backward(dy, x, True, (weight, mean, rstd), (dx, dweight, dbias))


def forward(x, centered, affine, statistics, eps, y, residual=None, total=None):
    """`forward_rows` on arrays of any shape; x + residual in place of x where there is one, and `total` receives it.

    Tuples: (weight, bias), flat, and (mean, rstd). Not `centered`, the mean is 0 and not stored.
    """
    (mean, rstd), source, n = statistics, x.reshape(-1), affine[0].size
    addend = source[:0] if residual is None else residual.reshape(-1)
    total = source[:0] if total is None else total.reshape(-1)
    statistics = mean.reshape(-1), rstd.reshape(-1)
    options = n, centered, eps, use_streaming(y, 2 + (addend.size > 0) + (total.size > 0), n)
    forward_rows[x.dtype](source, (addend, total), affine, statistics, options, y.reshape(-1), threads_for(x.size))


def _backward(dy, x, centered, saved, gradients, addend=None):
    """`backward_rows` on arrays of any shape. Tuples: (weight, mean, rstd) and (dx, dweight, dbias)."""
    (weight, mean, rstd), (dx, dweight, dbias) = saved, gradients
    source = x.reshape(-1)
    addend = source[:0] if addend is None else addend.reshape(-1)
    saved, gradients = (weight, mean.reshape(-1), rstd.reshape(-1)), (dx.reshape(-1), dweight, dbias)
    options = weight.size, centered, use_streaming(dx, 3 + (addend.size > 0), weight.size)
    backward_rows[x.dtype](dy.reshape(-1), source, addend, saved, options, gradients, threads_for(x.size))


VARIANTS = {
    "layer_norm": {"naive": layer_norm_naive, "fast": layer_norm_rows},
    "rms_norm": {"naive": rms_norm_naive, "fast": rms_norm_rows},
    "layer_norm_backward": {"naive": layer_norm_backward_naive, "fast": layer_norm_backward_rows},
}


# --- public functions ------------------------------------------------------------------------------------------------


def rows_of(name, x, normalized_shape):
    """Validate `normalized_shape` and return it as a tuple, and what precedes it in the shape of x."""
    if isinstance(normalized_shape, (int, np.integer)):
        normalized_shape = (int(normalized_shape),)
    normalized_shape = tuple(normalized_shape)
    if not normalized_shape:
        raise ValueError(f"{name}: normalized_shape must name at least one dimension, got ()")
    leading = x.ndim - len(normalized_shape)
    if leading < 0 or x.shape[leading:] != normalized_shape:
        raise ValueError(f"{name}: x must have shape (..., {str(normalized_shape)[1:-1].rstrip(',')}), got {x.shape}")
    return normalized_shape, x.shape[:leading]


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5, *, mean=None, rstd=None):
    """Normalise over the last dimensions, which are `normalized_shape`.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(..., *normalized_shape)``.
    normalized_shape : tuple of int, or int
    weight, bias : array, optional
        Shape `normalized_shape`, dtype of `x`; without them 1 and 0.
    eps : float
        Added to the variance.
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
        The last dimensions of `x` are not `normalized_shape`, or the shape of another array is not as above.

    Reference
    ---------
    J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer Normalization", 2016, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import layer_norm
    >>> layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), 2, eps=1e-12)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    name = "layer_norm"
    x = floats(name, "x", x)
    shape, leading = rows_of(name, x, normalized_shape)
    weight = parameter(name, "weight", weight, shape, x, 1.0)
    bias = parameter(name, "bias", bias, shape, x, 0.0)
    mean = _checks.output(name, mean, leading, x.dtype, "mean")
    rstd = _checks.output(name, rstd, leading, x.dtype, "rstd")
    y = _checks.new(x.shape, x.dtype)
    if x.size:
        forward(x, True, (weight, bias), (mean, rstd), float(eps), y)
    else:
        mean[...] = rstd[...] = np.nan
    return y


def layer_norm_backward(dy, x, normalized_shape, mean, rstd, weight=None, *, needs=(True, True, True)):
    """Gradients of `layer_norm`.

    Parameters
    ----------
    dy, x : array
        Gradient with respect to the result, and the forward's input.
    normalized_shape : tuple of int, or int
    mean, rstd : array
        Those of the forward.
    weight : array, optional
        The forward's.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx, dweight, dbias : array or None
        Shapes as `x` and `normalized_shape`, the latter also where the forward had no weight or bias.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ.

    Reference
    ---------
    J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer Normalization", 2016, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import layer_norm_backward
    >>> dy, x, one = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 3.0]]), np.ones(1)
    >>> dx, dweight, dbias = layer_norm_backward(dy, x, 3, one, one)
    >>> dx.round(2)
    array([[ 0.33, -0.67,  0.33]])
    >>> dweight, dbias
    (array([-1.,  0.,  0.]), array([1., 0., 0.]))
    """
    name = "layer_norm_backward"
    dy, x = gradient(name, dy, x)
    shape, leading = rows_of(name, x, normalized_shape)
    mean, rstd = matching(name, "mean", mean, leading, x), matching(name, "rstd", rstd, leading, x)
    weight = parameter(name, "weight", weight, shape, x, 1.0)
    return wanted(gradients(dy, x, shape, True, (weight, mean, rstd)), needs)


def gradients(dy, x, shape, centered, saved, addend=None):
    """dx (plus `addend`), dweight and dbias; `saved` is (weight, mean, rstd)."""
    weight, _, _ = saved
    n = weight.size
    dx, dweight, dbias = _checks.new(x.shape, x.dtype), np.zeros(n, x.dtype), np.zeros(n, x.dtype)
    if x.size:
        _backward(dy, x, centered, saved, (dx, dweight, dbias), addend)
    return dx, dweight.reshape(shape), dbias.reshape(shape)


def rms_norm(x, normalized_shape, weight=None, eps=None, *, rstd=None):
    """Divide by the root of the mean square over the last dimensions, which are `normalized_shape`.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(..., *normalized_shape)``.
    normalized_shape : tuple of int, or int
    weight : array, optional
        Shape `normalized_shape`, dtype of `x`; without it 1.
    eps : float, optional
        Added to the mean square; by default the dtype's machine epsilon.
    rstd : array, optional
        C-contiguous, of the leading shape of `x`: receives 1 / sqrt(mean square + eps), for the backward.

    Returns
    -------
    array
        Like `x`.

    Raises
    ------
    TypeError
        Other dtypes, or different ones.
    ValueError
        The last dimensions of `x` are not `normalized_shape`, or the shape of another array is not as above.

    Reference
    ---------
    B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import rms_norm
    >>> rms_norm(np.array([[1.0, 7.0]]), 2)
    array([[0.2, 1.4]])
    """
    name = "rms_norm"
    x = floats(name, "x", x)
    shape, leading = rows_of(name, x, normalized_shape)
    weight = parameter(name, "weight", weight, shape, x, 1.0)
    bias = parameter(name, "bias", None, shape, x, 0.0)
    rstd = _checks.output(name, rstd, leading, x.dtype, "rstd")
    y = _checks.new(x.shape, x.dtype)
    if x.size:
        eps = float(np.finfo(x.dtype).eps if eps is None else eps)
        forward(x, False, (weight, bias), (rstd, rstd), eps, y)
    else:
        rstd[...] = np.nan
    return y


def rms_norm_backward(dy, x, normalized_shape, rstd, weight=None, *, needs=(True, True)):
    """Gradients of `rms_norm`.

    Parameters
    ----------
    dy, x : array
        Gradient with respect to the result, and the forward's input.
    normalized_shape : tuple of int, or int
    rstd : array
        That of the forward.
    weight : array, optional
        The forward's.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx, dweight : array or None
        Shapes as `x` and `normalized_shape`, the latter also where the forward had no weight.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ.

    Reference
    ---------
    B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization", NeurIPS 2019, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import rms_norm_backward
    >>> rms_norm_backward(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]]), 2, np.ones(1))
    (array([[ 0.5, -0.5]]), array([1., 0.]))
    """
    name = "rms_norm_backward"
    dy, x = gradient(name, dy, x)
    shape, leading = rows_of(name, x, normalized_shape)
    rstd = matching(name, "rstd", rstd, leading, x)
    weight = parameter(name, "weight", weight, shape, x, 1.0)
    return wanted(gradients(dy, x, shape, False, (weight, rstd, rstd))[:2], needs)

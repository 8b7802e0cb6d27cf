r"""Batch norm: each channel of a batch gets mean 0 and variance 1, then a learned scale and shift [1]_.

.. math::
    \mu_c = \frac1n \sum x, \quad \sigma_c^2 = \frac1n \sum (x - \mu_c)^2, \qquad
    y = \frac{x - \mu_c}{\sqrt{\sigma_c^2 + \epsilon}}\, w_c + b_c

over the n = N L elements of channel c in x of shape (N, C, L). With r = 1 / sqrt(var + eps) (`rstd`):

.. math::
    db = \sum dy, \quad dw = r \sum dy\,(x - \mu), \qquad
    dx = w r \left(dy - \frac{db}{n} - (x - \mu)\, r\, \frac{dw}{n}\right)

In evaluation, mean and variance are the running ones: constants, so y is one multiply-add an element and dx = w r dy.

8 FLOPs an element forward, 10 backward; 8 bytes forward and 12 backward (float32) where a channel fits L2, for then its
second reading costs no memory traffic. The loops for long planes (the L elements of a channel of a sample) are in
`planes`, those for short ones in `columns`, those of evaluation in `evaluation`, both moments in one reading in
`moments`.

Saved for the backward: x, and mean and rstd, 2 C numbers that would take a pass over x to find again; with the fused
ReLU also y, whose sign says where it was on.

.. [1] S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015, algorithm 1.
"""

import numpy as np

from kernels import _checks
from kernels._checks import floats
from kernels._jit import jit
from kernels._threads import threads_for
from kernels.activation import relu_backward
from kernels.machine import lanes
from kernels.normalization.arguments import MINIMUM, channels, gradient, matching, parameter, use_streaming, wanted
from kernels.normalization.columns import backward_columns, forward_columns
from kernels.normalization.evaluation import scale_channels
from kernels.normalization.moments import merge
from kernels.normalization.planes import backward_planes, backward_planes_relu, batch_layout, forward_planes

NO_RUNNING = {dtype: (np.empty(0, dtype), np.empty(0, dtype)) for dtype in (_checks.FLOAT32, _checks.FLOAT64)}

# --- the ladder: y = (x - mean) * rstd * weight + bias on arrays (N, C, L) -------------------------------------------


@jit
def batch_norm_naive(x, weight, bias, eps, mean, rstd, y):
    """The textbook: one pass over each channel for its mean, one for its variance, and one for the result."""
    N, C, L = x.shape
    for c in range(C):
        total = square = 0.0
        for n in range(N):
            for i in range(L):
                total += x[n, c, i]
        for n in range(N):
            for i in range(L):
                square += (x[n, c, i] - total / (N * L)) ** 2
        mean[c], rstd[c] = total / (N * L), 1 / np.sqrt(square / (N * L) + eps)
        for n in range(N):
            for i in range(L):
                y[n, c, i] = (x[n, c, i] - total / (N * L)) * rstd[c] * weight[c] + bias[c]


@jit
def batch_norm_one_read(x, weight, bias, eps, mean, rstd, y):
    """Adds blocks: the two passes for the moments run over one plane of a channel while it is in L1, and the planes'
    moments are merged."""
    N, C, L = x.shape
    for c in range(C):
        average = square = 0.0
        for n in range(N):
            plane, total, deviations = x[n, c], 0.0, 0.0
            for i in range(L):
                total += plane[i]
            center = total / L
            for i in range(L):
                deviations += (plane[i] - center) ** 2
            average, square = merge(np.float64(n * L), average, square, np.float64(L), center, deviations)
        mean[c], rstd[c] = average, 1 / np.sqrt(square / (N * L) + eps)
        for n in range(N):
            source, target = x[n, c], y[n, c]
            for i in range(L):
                target[i] = (source[i] - mean[c]) * (rstd[c] * weight[c]) + bias[c]


def batch_norm_vectorised(x, weight, bias, eps, mean, rstd, y):
    """Adds vectors, over the axis that is contiguous: the positions, or the channels where there are few positions."""
    statistics = mean, rstd, *NO_RUNNING[x.dtype]
    _forward(x, x.shape, (weight, bias), statistics, (eps, 0.0, MINIMUM[None]), y, 1)


def batch_norm_tuned(x, weight, bias, eps, mean, rstd, y):
    """Adds threads: each takes some of the channels."""
    statistics = mean, rstd, *NO_RUNNING[x.dtype]
    _forward(x, x.shape, (weight, bias), statistics, (eps, 0.0, MINIMUM[None]), y, threads_for(x.size))


def _forward(x, shape, affine, statistics, options, y, threads):
    """For x of the shape (N, C, L), in which `shape` is given, by the loops for long or short planes.

    Tuples: (weight, bias), those of `TrackedStatistics`, and (eps, momentum, minimum).
    """
    N, C, L = shape
    source, target = x.reshape(-1), y.reshape(-1)
    if L < lanes(x.dtype):
        options = *options, use_streaming(y, 2, C * L)
        forward_columns[x.dtype](shape, source, affine, statistics, options, target, threads)
    else:
        options = *options, use_streaming(y, 2, L)
        forward_planes[x.dtype](batch_layout(N, C, L), source, affine, statistics, options, target, threads)


@jit
def batch_norm_backward_naive(dy, x, weight, mean, rstd, dx, dweight, dbias):
    """The formulas of the gradients, a channel at a time."""
    N, C, L = x.shape
    for c in range(C):
        total = product = 0.0
        for n in range(N):
            for i in range(L):
                total += dy[n, c, i]
                product += dy[n, c, i] * (x[n, c, i] - mean[c]) * rstd[c]
        dweight[c], dbias[c] = product, total
        for n in range(N):
            for i in range(L):
                normal = (x[n, c, i] - mean[c]) * rstd[c]
                dx[n, c, i] = (dy[n, c, i] - (total + normal * product) / (N * L)) * rstd[c] * weight[c]


def batch_norm_backward_tuned(dy, x, weight, mean, rstd, dx, dweight, dbias):
    """Adds vectors and threads."""
    _backward(dy, x, None, x.shape, (weight, mean, rstd), True, (dx, dweight, dbias))


def _backward(dy, x, y, shape, saved, training, gradients):
    """For x of the shape (N, C, L), in which `shape` is given; with y, through the fused ReLU.

    Tuples: (weight, mean, rstd) and (dx, dweight, dbias).
    """
    N, C, L = shape
    dx, dweight, dbias = gradients
    threads = threads_for(x.size)
    if y is not None and (L < lanes(x.dtype) or not training):
        dy, y = relu_backward(dy, y), None
    dy, x, gradients = dy.reshape(-1), x.reshape(-1), (dx.reshape(-1), dweight, dbias)
    if L < lanes(x.dtype):
        options = training, use_streaming(dx, 3, C * L)
        backward_columns[x.dtype](shape, dy, x, saved, options, gradients, threads)
    else:
        layout, options = batch_layout(N, C, L), (training, use_streaming(dx, 3, L))
        if y is None:
            backward_planes[x.dtype](layout, (dy, x, None), x, saved, options, gradients, threads)
        else:
            upstream = dy, y.reshape(-1), True
            backward_planes_relu[x.dtype](layout, upstream, x, saved, options, gradients, threads)


VARIANTS = {
    "batch_norm": {
        "naive": batch_norm_naive,
        "one_read": batch_norm_one_read,
        "vectorised": batch_norm_vectorised,
        "tuned": batch_norm_tuned,
    },
    "batch_norm_backward": {"naive": batch_norm_backward_naive, "tuned": batch_norm_backward_tuned},
}


# --- public functions ------------------------------------------------------------------------------------------------


def batch_norm(
    x,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
    *,
    activation=None,
    mean=None,
    rstd=None,
):
    """Normalise each channel over batch and positions, by the batch's statistics (training) or the running ones.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C)`` or ``(N, C, ...)``.
    running_mean, running_var : array, or None in training
        Shape ``(C,)``, dtype of `x`. In training these NumPy arrays move towards the batch's mean and its unbiased
        variance, in place; a batch without elements leaves them as they are.
    weight, bias : array, optional
        Shape ``(C,)``, dtype of `x`; without them 1 and 0.
    training : bool
    momentum : float
        Weight of the batch in the new running statistics.
    eps : float
        Added to the (biased) variance.
    activation : {None, "relu"}
        Applied to the result in the same pass.
    mean, rstd : array, optional
        C-contiguous, shape ``(C,)``: receive the mean and 1 / sqrt(variance + eps) used, for the backward.

    Returns
    -------
    array
        Like `x`.

    Raises
    ------
    TypeError
        Other dtypes, or different ones; running statistics that cannot be updated in place; a `momentum` of None.
    ValueError
        The shape of an array is not as above; one value per channel, or an `eps` that is not positive, in training; no
        running statistics, or a negative `eps`, in evaluation.

    Reference
    ---------
    S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015, algorithms 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import batch_norm
    >>> batch_norm(np.array([[1.0], [3.0]]), None, None, training=True, eps=1e-12)
    array([[-1.],
           [ 1.]])
    """
    name = "batch_norm"
    x = floats(name, "x", x)
    N, C, L = channels(name, x)
    weight = parameter(name, "weight", weight, (C,), x, 1.0)
    bias = parameter(name, "bias", bias, (C,), x, 0.0)
    if activation not in MINIMUM:
        _checks.choice(name, "activation", activation, tuple(MINIMUM))
    if (running_mean is None) is not (running_var is None):
        raise ValueError(f"{name}: running_mean and running_var must be given both or neither")
    mean = _checks.output(name, mean, (C,), x.dtype, "mean")
    rstd = _checks.output(name, rstd, (C,), x.dtype, "rstd")
    y = _checks.new(x.shape, x.dtype)
    if not training:
        if running_mean is None:
            raise ValueError(f"{name}: evaluation needs running_mean and running_var")
        if eps < 0:
            raise ValueError(f"{name}: eps must not be negative, got {eps}")
        running_mean = matching(name, "running_mean", running_mean, (C,), x)
        running_var = matching(name, "running_var", running_var, (C,), x)
        mean[...] = running_mean
        if x.size:
            statistics = running_mean, running_var, rstd
            options = float(eps), MINIMUM[activation], use_streaming(y, 2, C * L)
            source, target = x.reshape(-1), y.reshape(-1)
            scale_channels[x.dtype](L, source, (weight, bias), statistics, options, target, threads_for(x.size))
        else:
            rstd[...] = 1 / np.sqrt(running_var + eps)
        return y
    _check_training(name, x, N * L, momentum, eps)
    momentum, eps = float(momentum), float(eps)
    running = NO_RUNNING[x.dtype]
    if running_mean is not None:
        running = writable(name, x, C, running_mean, running_var)
    if x.size:
        options = eps, momentum, MINIMUM[activation]
        _forward(x, (N, C, L), (weight, bias), (mean, rstd, *running), options, y, threads_for(x.size))
        if running_mean is not None:
            write_back(running, running_mean, running_var)
    else:
        mean[...] = rstd[...] = np.nan
    return y


def _check_training(name, x, count, momentum, eps):
    """Errors of training; `count` is the number of values per channel."""
    if count == 1:
        raise ValueError(f"{name}: training needs more than one value per channel, x has shape {x.shape}")
    if not eps > 0:
        raise ValueError(f"{name}: eps must be positive in training, got {eps}")
    if not isinstance(momentum, (int, float, np.number)):
        raise TypeError(f"{name}: momentum must be a number, got {type(momentum).__name__}")


def writable(name, x, C, running_mean, running_var):
    """Validate and return the running statistics; a strided one is copied, for `write_back`."""
    given = {"running_mean": running_mean, "running_var": running_var}
    for what, array in given.items():
        if isinstance(array, np.ndarray) and array.flags.writeable and not array.flags.carray:
            given[what] = np.array(array, order="C")
    return tuple(_checks.output(name, array, (C,), x.dtype, what) for what, array in given.items())


def write_back(running, *given):
    """Copy updated copies back to the arrays they were made of."""
    for updated, array in zip(running, given, strict=True):
        if updated is not array:
            array[...] = updated


def batch_norm_backward(
    dy, x, mean, rstd, weight=None, training=True, *, activation=None, saved=None, needs=(True, True, True)
):
    """Gradients of `batch_norm`.

    Parameters
    ----------
    dy, x : array
        Gradient with respect to the result, and the forward's input.
    mean, rstd : array
        Shape ``(C,)``: those of the forward.
    weight : array, optional
        The forward's.
    training : bool
        The forward's: in evaluation mean and rstd are constants.
    activation : {None, "relu"}
        The forward's.
    saved : array
        With "relu", the forward's result.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx, dweight, dbias : array or None
        Shapes as `x` and ``(C,)``, the latter also where the forward had no weight or bias.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ; an unknown activation, or one without `saved`.

    Reference
    ---------
    S. Ioffe, C. Szegedy, "Batch Normalization", ICML 2015, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import batch_norm_backward
    >>> dy, x, one = np.array([[1.0], [0.0], [0.0]]), np.array([[0.0], [0.0], [3.0]]), np.ones(1)
    >>> dx, dweight, dbias = batch_norm_backward(dy, x, one, one)
    >>> dx.round(2)
    array([[ 0.33],
           [-0.67],
           [ 0.33]])
    >>> dweight, dbias
    (array([-1.]), array([1.]))
    """
    name = "batch_norm_backward"
    dy, x = gradient(name, dy, x)
    N, C, L = channels(name, x)
    mean, rstd = matching(name, "mean", mean, (C,), x), matching(name, "rstd", rstd, (C,), x)
    weight = parameter(name, "weight", weight, (C,), x, 1.0)
    if activation is not None:
        _checks.choice(name, "activation", activation, tuple(MINIMUM))
        if saved is None:
            raise ValueError(f"{name}: activation {activation!r} needs saved")
        saved = matching(name, "saved", saved, x.shape, x)
    else:
        saved = None
    dx = _checks.new(x.shape, x.dtype)
    dweight, dbias = np.zeros(C, x.dtype), np.zeros(C, x.dtype)
    if x.size:
        _backward(dy, x, saved, (N, C, L), (weight, mean, rstd), bool(training), (dx, dweight, dbias))
    return wanted((dx, dweight, dbias), needs)

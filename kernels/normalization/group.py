r"""Group norm and instance norm: each group of channels of each sample gets mean 0 and variance 1 [1]_.

.. math::
    y_{nci} = (x_{nci} - \mu_{ng})\, r_{ng}\, w_c + b_c, \qquad r = \frac{1}{\sqrt{\sigma^2 + \epsilon}}

where channel c of C belongs to group g of G, and mean and variance are over the n = C L / G elements of a group; L is
the number of positions. Instance norm [2]_ is G = C. With g = w dy, in each group:

.. math::
    dx = r \left(g - \overline{g} - (x - \mu)\, r^2\, \overline{g (x - \mu)}\right), \qquad
    dw_c = \sum dy\,(x - \mu)\, r, \quad db_c = \sum dy

A group is contiguous and made of planes of one channel each, so the loops are those of batch norm with another layout
(`planes`); where the planes are shorter than a vector, they are those of layer norm, with weights repeated for the
positions (`rows`). 8 FLOPs an element forward, 10 backward, on 8 and 12 bytes: a group stays in L1 or L2 between its
two readings. Saved for the backward: x, mean and rstd, two numbers a group.

.. [1] Y. Wu, K. He, "Group Normalization", ECCV 2018, section 3.
.. [2] D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance Normalization", 2016.
"""

import numpy as np

from kernels import _checks
from kernels._checks import floats
from kernels._jit import jit
from kernels._threads import threads_for
from kernels.machine import lanes
from kernels.normalization.arguments import MINIMUM, channels, gradient, matching, parameter, use_streaming, wanted
from kernels.normalization.batch import NO_RUNNING, batch_norm, batch_norm_backward, writable, write_back
from kernels.normalization.planes import backward_planes, forward_planes, group_layout
from kernels.normalization.rows import backward_rows, forward_rows

# --- loops on arrays (N, C, L) ---------------------------------------------------------------------------------------


@jit
def group_norm_naive(x, weight, bias, eps, mean, rstd, y):
    """The definition; mean and rstd are (N, G)."""
    (N, C, L), G = x.shape, mean.shape[1]
    P = C // G  # channels of a group
    for n in range(N):
        for g in range(G):
            group, total, square = x[n, g * P : (g + 1) * P], 0.0, 0.0
            for value in group.flat:
                total += value
            for value in group.flat:
                square += (value - total / (P * L)) ** 2
            mean[n, g], rstd[n, g] = total / (P * L), 1 / np.sqrt(square / (P * L) + eps)
            for c in range(g * P, (g + 1) * P):
                for i in range(L):
                    y[n, c, i] = (x[n, c, i] - mean[n, g]) * rstd[n, g] * weight[c] + bias[c]


def group_norm_planes(x, weight, bias, eps, mean, rstd, y):
    """Adds vectors, threads, and both moments in one reading."""
    statistics = mean.reshape(-1), rstd.reshape(-1), *NO_RUNNING[x.dtype]
    _forward(x, x.shape, (weight, bias), statistics, eps, 0.0, y)


def _forward(x, shape, affine, statistics, eps, momentum, y):
    """For x of the shape (N, C, L), in which `shape` is given.

    Tuples: (weight, bias) and those of `TrackedStatistics`, flat; there are as many groups as these have elements.
    """
    N, C, L = shape
    mean, rstd, running_mean, _ = statistics
    groups = mean.size // N
    source, target, threads, streaming = x.reshape(-1), y.reshape(-1), threads_for(x.size), use_streaming(y, 2, L)
    if L < lanes(x.dtype) and not running_mean.size:
        nothing = source[:0]
        affine = tuple(np.repeat(each, L) for each in affine)
        options = C // groups * L, True, eps, streaming
        forward_rows[x.dtype](source, (nothing, nothing), affine, (mean, rstd), options, target, threads)
    else:
        options = eps, momentum, MINIMUM[None], streaming
        forward_planes[x.dtype](group_layout(N, C, L, groups), source, affine, statistics, options, target, threads)


def _backward(dy, x, shape, saved, dx):
    """dweight and dbias; for x of the shape (N, C, L), in which `shape` is given. `saved` is (weight, mean, rstd)."""
    N, C, L = shape
    weight, mean, rstd = saved
    mean, rstd = mean.reshape(-1), rstd.reshape(-1)
    groups, threads, streaming = mean.size // N, threads_for(x.size), use_streaming(dx, 3, L)
    dy, x, dx = dy.reshape(-1), x.reshape(-1), dx.reshape(-1)
    if L < lanes(x.dtype):
        sums = np.empty((2, C, L), x.dtype)
        gradients = dx, *sums.reshape(2, -1)
        saved, options = (np.repeat(weight, L), mean, rstd), (C // groups * L, True, streaming)
        backward_rows[x.dtype](dy, x, x[:0], saved, options, gradients, threads)
        dweight, dbias = np.empty(C, x.dtype), np.empty(C, x.dtype)
        add_positions(gradients[1], L, dweight)
        add_positions(gradients[2], L, dbias)
        return dweight, dbias
    gradients = dx, np.empty(C, x.dtype), np.empty(C, x.dtype)
    layout, saved = group_layout(N, C, L, groups), (weight, mean, rstd)
    backward_planes[x.dtype](layout, (dy, x, None), x, saved, (True, streaming), gradients, threads)
    return gradients[1:]


@jit
def add_positions(sums, length, result):
    """Of each channel, the sum over its `length` positions."""
    for c in range(result.size):
        total = 0.0
        for i in range(c * length, (c + 1) * length):
            total += sums[i]
        result[c] = total


@jit
def average_samples(values, result):
    """Of each channel, the average of its values in all samples."""
    C = result.size
    samples = values.size // C
    for c in range(C):
        total = 0.0
        for n in range(samples):
            total += values[n * C + c]
        result[c] = total / samples


VARIANTS = {"group_norm": {"naive": group_norm_naive, "fast": group_norm_planes}}


# --- public functions ------------------------------------------------------------------------------------------------


def _check_groups(name, C, num_groups):
    """Validate and return `num_groups`, as an int."""
    if not isinstance(num_groups, (int, np.integer)) or isinstance(num_groups, bool):
        raise TypeError(f"{name}: num_groups must be an int, got {type(num_groups).__name__}")
    if num_groups != C and (num_groups < 1 or C % num_groups):
        raise ValueError(f"{name}: num_groups must be positive and divide the channels, got {num_groups} for {C}")
    return int(num_groups)


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5, *, mean=None, rstd=None):
    """Normalise each group of channels of each sample.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C)`` or ``(N, C, ...)``.
    num_groups : int
        Divides C.
    weight, bias : array, optional
        Shape ``(C,)``, dtype of `x`; without them 1 and 0.
    eps : float
        Added to the variance.
    mean, rstd : array, optional
        C-contiguous, shape ``(N, num_groups)``: receive mean and 1 / sqrt(variance + eps), for the backward.

    Returns
    -------
    array
        Like `x`. A group of a single element becomes its bias.

    Raises
    ------
    TypeError
        Other dtypes, or different ones; `num_groups` is not an int.
    ValueError
        The shape of an array is not as above; `num_groups` is not positive or does not divide C.

    Reference
    ---------
    Y. Wu, K. He, "Group Normalization", ECCV 2018, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import group_norm
    >>> group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2, eps=1e-12)
    array([[-1.,  1., -1.,  1.]])
    """
    return _group_norm("group_norm", x, num_groups, weight, bias, eps, mean, rstd)


def _group_norm(name, x, num_groups, weight, bias, eps, mean, rstd):
    x = floats(name, "x", x)
    N, C, L = channels(name, x)
    num_groups = _check_groups(name, C, num_groups)
    weight = parameter(name, "weight", weight, (C,), x, 1.0)
    bias = parameter(name, "bias", bias, (C,), x, 0.0)
    mean = _checks.output(name, mean, (N, num_groups), x.dtype, "mean")
    rstd = _checks.output(name, rstd, (N, num_groups), x.dtype, "rstd")
    y = _checks.new(x.shape, x.dtype)
    if x.size:
        statistics = mean.reshape(-1), rstd.reshape(-1), *NO_RUNNING[x.dtype]
        _forward(x, (N, C, L), (weight, bias), statistics, float(eps), 0.0, y)
    else:
        mean[...] = rstd[...] = np.nan
    return y


def group_norm_backward(dy, x, num_groups, mean, rstd, weight=None, *, needs=(True, True, True)):
    """Gradients of `group_norm`.

    Parameters
    ----------
    dy, x : array
        Gradient with respect to the result, and the forward's input.
    num_groups : int
    mean, rstd : array
        Shape ``(N, num_groups)``: those of the forward.
    weight : array, optional
        The forward's.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx, dweight, dbias : array or None
        Shapes as `x` and ``(C,)``, the latter also where the forward had no weight or bias.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ; `num_groups` as in the forward.

    Reference
    ---------
    Y. Wu, K. He, "Group Normalization", ECCV 2018, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import group_norm_backward
    >>> dy, x, one = np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 3.0]]), np.ones((1, 1))
    >>> dx, dweight, dbias = group_norm_backward(dy, x, 1, one, one)
    >>> dx.round(2)
    array([[ 0.33, -0.67,  0.33]])
    >>> dweight, dbias
    (array([-1.,  0.,  0.]), array([1., 0., 0.]))
    """
    return _group_norm_backward("group_norm_backward", dy, x, num_groups, mean, rstd, weight, needs)


def _group_norm_backward(name, dy, x, num_groups, mean, rstd, weight, needs):
    dy, x = gradient(name, dy, x)
    N, C, L = channels(name, x)
    num_groups = _check_groups(name, C, num_groups)
    mean, rstd = (matching(name, what, a, (N, num_groups), x) for what, a in (("mean", mean), ("rstd", rstd)))
    weight = parameter(name, "weight", weight, (C,), x, 1.0)
    dx = _checks.new(x.shape, x.dtype)
    if x.size:
        dweight, dbias = _backward(dy, x, (N, C, L), (weight, mean, rstd), dx)
    else:
        dweight, dbias = np.zeros(C, x.dtype), np.zeros(C, x.dtype)
    return wanted((dx, dweight, dbias), needs)


def instance_norm(
    x,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
    *,
    mean=None,
    rstd=None,
):
    """Normalise each channel of each sample over its positions.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, ...)``.
    running_mean, running_var : array, optional
        Shape ``(C,)``, dtype of `x`. With `use_input_stats`, these NumPy arrays move in place towards the average over
        the batch of the samples' means and unbiased variances; without it they are used instead of those.
    weight, bias : array, optional
        Shape ``(C,)``, dtype of `x`; without them 1 and 0.
    use_input_stats : bool
    momentum : float
        Weight of the batch in the new running statistics.
    eps : float
        Added to the variance.
    mean, rstd : array, optional
        C-contiguous, shape ``(N, C)``, or ``(C,)`` without `use_input_stats`: receive mean and
        1 / sqrt(variance + eps), for the backward.

    Returns
    -------
    array
        Like `x`.

    Raises
    ------
    TypeError
        Other dtypes, or different ones; running statistics that cannot be updated in place.
    ValueError
        The shape of an array is not as above; a single position with `use_input_stats`, no running statistics without
        it.

    Reference
    ---------
    D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance Normalization", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import instance_norm
    >>> instance_norm(np.array([[[1.0, 3.0], [10.0, 30.0]]]), eps=1e-12)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    name = "instance_norm"
    x = floats(name, "x", x)
    N, C, L = channels(name, x)
    if (running_mean is None) is not (running_var is None):
        raise ValueError(f"{name}: running_mean and running_var must be given both or neither")
    if not use_input_stats:
        if running_mean is None:
            raise ValueError(f"{name}: without use_input_stats, running_mean and running_var are needed")
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps, mean=mean, rstd=rstd)
    if L == 1:
        raise ValueError(f"{name}: more than one position is needed, x has shape {x.shape}")
    if running_mean is None or not x.size:
        return _group_norm(name, x, C, weight, bias, eps, mean, rstd)
    running = writable(name, x, C, running_mean, running_var)
    weight = parameter(name, "weight", weight, (C,), x, 1.0)
    bias = parameter(name, "bias", bias, (C,), x, 0.0)
    mean = _checks.output(name, mean, (N, C), x.dtype, "mean")
    rstd = _checks.output(name, rstd, (N, C), x.dtype, "rstd")
    y = _checks.new(x.shape, x.dtype)
    each = tuple(np.tile(values, N) for values in running)  # each sample updates its own, and those are averaged
    statistics = mean.reshape(-1), rstd.reshape(-1), *each
    _forward(x, (N, C, L), (weight, bias), statistics, float(eps), float(momentum), y)
    for average, of_samples in zip(running, each, strict=True):
        average_samples(of_samples, average)
    write_back(running, running_mean, running_var)
    return y


def instance_norm_backward(dy, x, mean, rstd, weight=None, use_input_stats=True, *, needs=(True, True, True)):
    """Gradients of `instance_norm`.

    Parameters
    ----------
    dy, x : array
        Gradient with respect to the result, and the forward's input.
    mean, rstd : array
        Those of the forward: shape ``(N, C)``, or ``(C,)`` without `use_input_stats`.
    weight : array, optional
        The forward's.
    use_input_stats : bool
        The forward's: without it mean and rstd are constants.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx, dweight, dbias : array or None
        Shapes as `x` and ``(C,)``, the latter also where the forward had no weight or bias.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes that differ.

    Reference
    ---------
    D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance Normalization", 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import instance_norm_backward
    >>> dy, x, one = np.array([[[1.0, 0.0, 0.0]]]), np.array([[[0.0, 0.0, 3.0]]]), np.ones((1, 1))
    >>> dx, dweight, dbias = instance_norm_backward(dy, x, one, one)
    >>> dx.round(2)
    array([[[ 0.33, -0.67,  0.33]]])
    >>> dweight, dbias
    (array([-1.]), array([1.]))
    """
    name = "instance_norm_backward"
    if not use_input_stats:
        return batch_norm_backward(dy, x, mean, rstd, weight, training=False, needs=needs)
    x = floats(name, "x", x)
    return _group_norm_backward(name, dy, x, channels(name, x)[1], mean, rstd, weight, needs)

r"""Normalisation in plain NumPy.

    y = (x - mean) * rstd * weight + bias          rstd = 1 / sqrt(var + eps)

with mean and var over different elements: for batch norm those of a channel, for group and instance norm those of some
channels of a sample, for layer and RMS norm those of the last dimensions (the latter with a mean of 0). With
z = (x - mean) * rstd and g = weight * dy, over the same elements:

    dx = rstd * (g - average(g) - z * average(g * z))          dweight = sum dy * z          dbias = sum dy

The values used are stored in `mean` and `rstd`, if given.
"""

import numpy as np

__all__ = [
    "batch_norm",
    "batch_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "add_layer_norm",
    "add_layer_norm_backward",
    "rms_norm",
    "rms_norm_backward",
    "group_norm",
    "group_norm_backward",
    "instance_norm",
    "instance_norm_backward",
    "local_response_norm",
    "local_response_norm_backward",
]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings


def _by_channel(x, values, missing=None):
    """`values` of the channels, reshaped to broadcast with x (N, C, ...)."""
    return missing if values is None else values.reshape((1, -1) + (1,) * (x.ndim - 2))


def _moments(x, axes):
    """Mean and biased variance over `axes`, which are kept with length 1; NaN if there are no elements."""
    count = np.asarray(np.prod([x.shape[axis] for axis in axes]), x.dtype)
    mean = x.sum(axis=axes, keepdims=True) / count
    return mean, np.square(x - mean).sum(axis=axes, keepdims=True) / count


def _save(target, value):
    if target is not None:
        target[...] = value.reshape(target.shape)


def _dx(g, z, rstd, axes):
    count = np.asarray(max(np.prod([g.shape[axis] for axis in axes]), 1), g.dtype)
    totals = g.sum(axis=axes, keepdims=True), (g * z).sum(axis=axes, keepdims=True)
    return rstd * (g - (totals[0] + z * totals[1]) / count)


def _others(x):
    """All axes except that of the channels."""
    return (0, *range(2, x.ndim))


def _needed(gradients, needs):
    return tuple(each if need else None for each, need in zip(gradients, needs, strict=True))


@ieee
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
    """Normalise each channel with the batch's moments (in training, which updates the running ones) or the running."""
    if training:
        average, variance = _moments(x, _others(x))
        count = x.size // max(x.shape[1], 1)
        if running_mean is not None and x.size:
            running_mean += momentum * (average.reshape(-1) - running_mean)
            running_var += momentum * (variance.reshape(-1) * (count / (count - 1)) - running_var)
    else:
        average, variance = _by_channel(x, running_mean), _by_channel(x, running_var)
    reciprocal = 1 / np.sqrt(variance + eps)
    _save(mean, average)
    _save(rstd, reciprocal)
    y = (x - average) * reciprocal * _by_channel(x, weight, 1) + _by_channel(x, bias, 0)
    return np.maximum(y, 0) if activation == "relu" else y


@ieee
def batch_norm_backward(
    dy, x, mean, rstd, weight=None, training=True, *, activation=None, saved=None, needs=(True, True, True)
):
    """Return ``(dx, dweight, dbias)``; `saved` is the result, needed if there is an activation."""
    if activation == "relu":
        dy = np.where(saved <= 0, 0, dy)
    rstd = _by_channel(x, rstd)
    z = (x - _by_channel(x, mean)) * rstd
    g = dy * _by_channel(x, weight, 1)
    dx = _dx(g, z, rstd, _others(x)) if training else g * rstd
    return _needed((dx, (dy * z).sum(axis=_others(x)), dy.sum(axis=_others(x))), needs)


def _last_axes(x, normalized_shape):
    count = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    return tuple(range(x.ndim - count, x.ndim))


def _by_row(x, values):
    return values.reshape(values.shape + (1,) * (x.ndim - values.ndim))


@ieee
def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5, *, mean=None, rstd=None):
    """Normalise over the last dimensions."""
    average, variance = _moments(x, _last_axes(x, normalized_shape))
    reciprocal = 1 / np.sqrt(variance + eps)
    _save(mean, average)
    _save(rstd, reciprocal)
    return (x - average) * reciprocal * (1 if weight is None else weight) + (0 if bias is None else bias)


@ieee
def layer_norm_backward(dy, x, normalized_shape, mean, rstd, weight=None, *, needs=(True, True, True)):
    """Return ``(dx, dweight, dbias)``."""
    axes = _last_axes(x, normalized_shape)
    rows = tuple(range(axes[0]))
    z = (x - _by_row(x, mean)) * _by_row(x, rstd)
    dx = _dx(dy * (1 if weight is None else weight), z, _by_row(x, rstd), axes)
    return _needed((dx, (dy * z).sum(axis=rows), dy.sum(axis=rows)), needs)


@ieee
def add_layer_norm(x, residual, normalized_shape, weight=None, bias=None, eps=1e-5, *, sum=None, mean=None, rstd=None):
    """Layer norm of x + residual, which is stored in `sum`, if given."""
    _save(sum, x + residual)
    return layer_norm(x + residual, normalized_shape, weight, bias, eps, mean=mean, rstd=rstd)


@ieee
def add_layer_norm_backward(dy, sum, normalized_shape, mean, rstd, weight=None, *, dsum=None, needs=(True,) * 4):
    """Return ``(dx, dresidual, dweight, dbias)``; the first two are equal."""
    dx, dweight, dbias = layer_norm_backward(dy, sum, normalized_shape, mean, rstd, weight)
    dx = dx if dsum is None else dx + dsum
    return _needed((dx, dx, dweight, dbias), needs)


@ieee
def rms_norm(x, normalized_shape, weight=None, eps=None, *, rstd=None):
    """Divide by the root of the mean square over the last dimensions."""
    axes = _last_axes(x, normalized_shape)
    count = np.asarray(np.prod([x.shape[axis] for axis in axes]), x.dtype)
    square = np.square(x).sum(axis=axes, keepdims=True) / count
    reciprocal = 1 / np.sqrt(square + (np.finfo(x.dtype).eps if eps is None else eps))
    _save(rstd, reciprocal)
    return x * reciprocal * (1 if weight is None else weight)


@ieee
def rms_norm_backward(dy, x, normalized_shape, rstd, weight=None, *, needs=(True, True)):
    """Return ``(dx, dweight)``."""
    axes = _last_axes(x, normalized_shape)
    rstd = _by_row(x, rstd)
    z, g = x * rstd, dy * (1 if weight is None else weight)
    count = np.asarray(max(np.prod([x.shape[axis] for axis in axes]), 1), x.dtype)
    dx = rstd * (g - z * ((g * z).sum(axis=axes, keepdims=True) / count))
    return _needed((dx, (dy * z).sum(axis=tuple(range(axes[0])))), needs)


def _groups(x, num_groups):
    """x as (N, groups, elements of a group)."""
    return x.reshape(x.shape[0], num_groups, x[:1].size // max(num_groups, 1))


@ieee
def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5, *, mean=None, rstd=None):
    """Normalise each group of channels of each sample."""
    groups = _groups(x, num_groups)
    average, variance = _moments(groups, (2,))
    reciprocal = 1 / np.sqrt(variance + eps)
    _save(mean, average)
    _save(rstd, reciprocal)
    z = ((groups - average) * reciprocal).reshape(x.shape)
    return z * _by_channel(x, weight, 1) + _by_channel(x, bias, 0)


@ieee
def group_norm_backward(dy, x, num_groups, mean, rstd, weight=None, *, needs=(True, True, True)):
    """Return ``(dx, dweight, dbias)``."""
    z = (_groups(x, num_groups) - mean[..., None]) * rstd[..., None]
    g = _groups(dy * _by_channel(x, weight, 1), num_groups)
    dx = _dx(g, z, rstd[..., None], (2,)).reshape(x.shape)
    return _needed((dx, (dy * z.reshape(x.shape)).sum(axis=_others(x)), dy.sum(axis=_others(x))), needs)


@ieee
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
    """Normalise each channel of each sample over its positions, or with the running statistics."""
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps, mean=mean, rstd=rstd)
    if running_mean is not None and x.size:
        count = x[0, 0].size
        average, variance = _moments(x, tuple(range(2, x.ndim)))
        running_mean += momentum * (average.mean(axis=0).reshape(-1) - running_mean)
        running_var += momentum * (variance.mean(axis=0).reshape(-1) * (count / (count - 1)) - running_var)
    return group_norm(x, x.shape[1], weight, bias, eps, mean=mean, rstd=rstd)


def instance_norm_backward(dy, x, mean, rstd, weight=None, use_input_stats=True, *, needs=(True, True, True)):
    """Return ``(dx, dweight, dbias)``."""
    if use_input_stats:
        return group_norm_backward(dy, x, x.shape[1], mean, rstd, weight, needs=needs)
    return batch_norm_backward(dy, x, mean, rstd, weight, False, needs=needs)


def _window_sums(x, before, after):
    """Sums over the channels c - before ... c + after; channels outside count as zeros."""
    zeros = [(0, 0)] * x.ndim
    zeros[1] = (before, after)
    padded = np.pad(x, zeros)
    return sum(padded[:, shift : shift + x.shape[1]] for shift in range(before + after + 1))


@ieee
def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Divide by ``(k + alpha * mean of the window's squares) ** beta``."""
    return x * (k + alpha / size * _window_sums(x * x, size // 2, (size - 1) // 2)) ** -beta


@ieee
def local_response_norm_backward(dy, x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Return dx; the channels whose window contains c are those of the mirrored window."""
    d = k + alpha / size * _window_sums(x * x, size // 2, (size - 1) // 2)
    terms = dy * x * d ** (-beta - 1)
    return dy * d**-beta - 2 * alpha * beta / size * x * _window_sums(terms, (size - 1) // 2, size // 2)

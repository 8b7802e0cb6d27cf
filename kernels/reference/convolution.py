r"""Convolution and transposed convolution in one, two or three dimensions, in plain NumPy.

    y[n, o, i] = b[o] + sum over c, k of w[o, c, k] xp[n, c, i stride + k dilation]          xp: x padded with zeros

`i` and `k` stand for one, two or three indices each: of the output and of the tap. `x` is (N, C, *spatial) or,
without a batch, (C, *spatial); w is (OC, C / groups, *kernel), and each group of output channels sums its own group of
input channels.

All of it is one step, `_correlate`: gather the patches of x, one per column (im2col), and multiply them by the weight
as a matrix. The gradient with respect to x is the correlation of dy, dilated by `stride`, with the flipped kernel; the
transposed convolution is that gradient; dw is dy times the patches.
The number of dimensions is that of the weight, so one function has three names.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

__all__ = [
    f"{name}{n}d{suffix}" for name in ("conv", "conv_transpose") for n in (1, 2, 3) for suffix in ("", "_backward")
]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings


@ieee
def conv2d(
    x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, algorithm=None, out=None
):
    """Correlate `x` with `weight`, which PyTorch calls convolution.

    `padding` is a number, one per dimension, "same" or "valid"; `activation` is None or "relu". `algorithm` selects the
    loops of `kernels` and is ignored here.

    Example
    -------
    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
    array([[[[4., 4.],
             [4., 4.]]]])
    """
    batch, kernel = _batched(x, weight), weight.shape[2:]
    stride, dilation = _each(stride, kernel), _each(dilation, kernel)
    xp, _ = _padded(batch, kernel, padding, dilation)
    matrix = weight.reshape(groups, weight.shape[0] // groups, math.prod(weight.shape[1:]))
    sizes = [(size - d * (k - 1) - 1) // s + 1 for size, k, s, d in _zip(xp.shape[2:], kernel, stride, dilation)]
    y = _correlate(xp, matrix, kernel, stride, dilation, sizes)
    return _finish(y, bias, activation, x.ndim < weight.ndim, out)


@ieee
def conv2d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1, *, needs=(True, True, True)):
    """Return the gradients ``(dx, dweight, dbias)``, None for those not in `needs`."""
    batch, dy, kernel = _batched(x, weight), _batched(dy, weight), weight.shape[2:]
    stride, dilation = _each(stride, kernel), _each(dilation, kernel)
    xp, before = _padded(batch, kernel, padding, dilation)
    dx = dweight = None
    if needs[0]:
        dx = _gather(dy, weight, batch.shape[2:], stride, before, dilation, groups).reshape(x.shape)
    if needs[1]:
        dweight = _products(dy, xp, weight.shape, stride, dilation, groups)
    return dx, dweight, _sum_of_channels(dy) if needs[2] else None


@ieee
def conv_transpose2d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """The gradient of a convolution with respect to its input, as an operation.

    `weight` is (C, OC / groups, *kernel); each spatial size is (n - 1) stride - 2 padding + dilation (k - 1) +
    output_padding + 1.

    Example
    -------
    >>> conv_transpose2d(np.ones((1, 1, 1, 2)), np.array([[[[1.0, 2.0, 3.0]]]]), stride=(1, 2))
    array([[[[1., 2., 4., 2., 3.]]]])
    """
    batch, kernel = _batched(x, weight), weight.shape[2:]
    stride, padding, extra, dilation = (_each(v, kernel) for v in (stride, padding, output_padding, dilation))
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in _zip(batch.shape[2:], stride, padding, dilation, kernel, extra)
    ]
    y = _gather(batch, weight, sizes, stride, padding, dilation, groups)
    return _finish(y, bias, None, x.ndim < weight.ndim)


@ieee
def conv_transpose2d_backward(
    dy, x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, needs=(True, True, True)
):
    """Return the gradients ``(dx, dweight, dbias)``, None for those not in `needs`; dx is a convolution of dy."""
    batch, dy, kernel = _batched(x, weight), _batched(dy, weight), weight.shape[2:]
    stride, padding, dilation = (_each(v, kernel) for v in (stride, padding, dilation))
    dyp, _ = _padded(dy, kernel, padding, dilation)
    dx = dweight = None
    if needs[0]:
        matrix = weight.reshape(groups, weight.shape[0] // groups, math.prod(weight.shape[1:]))
        dx = _correlate(dyp, matrix, kernel, stride, dilation, batch.shape[2:]).reshape(x.shape)
    if needs[1]:
        dweight = _products(batch, dyp, weight.shape, stride, dilation, groups)
    return dx, dweight, _sum_of_channels(dy) if needs[2] else None


conv1d = conv3d = conv2d
conv1d_backward = conv3d_backward = conv2d_backward
conv_transpose1d = conv_transpose3d = conv_transpose2d
conv_transpose1d_backward = conv_transpose3d_backward = conv_transpose2d_backward


def _correlate(x, matrix, kernel, stride, dilation, sizes):
    """Multiply `matrix` (groups, OC / groups, C / groups · kernel) by the patches at the first `sizes` positions."""
    y = np.matmul(matrix, _patches(x, len(matrix), kernel, stride, dilation, sizes))
    return y.reshape(x.shape[0], matrix.shape[0] * matrix.shape[1], *sizes)


def _gather(dy, weight, sizes, stride, before, dilation, groups):
    """The gradient with respect to x, of the spatial `sizes`, for `weight` (OC, C / groups, *kernel).

    x at i contributes to y at (i + before - k dilation) / stride: with dy dilated by `stride` (zeros in between), the
    gradient is a correlation with the flipped kernel.
    """
    kernel = weight.shape[2:]
    dense = np.zeros((*dy.shape[:2], *[max(0, (n - 1) * s + 1) for n, s in _zip(dy.shape[2:], stride)]), dy.dtype)
    dense[(..., *[slice(None, None, s) for s in stride])] = dy
    extent = [d * (k - 1) for k, d in _zip(kernel, dilation)]
    dense = _placed(dense, [r - b for r, b in _zip(extent, before)], [n + r for n, r in _zip(sizes, extent)])
    flipped = np.flip(weight, range(2, weight.ndim))
    flipped = flipped.reshape(groups, weight.shape[0] // groups, weight.shape[1], *kernel).swapaxes(1, 2)
    matrix = flipped.reshape(groups, weight.shape[1], weight.shape[0] // groups * math.prod(kernel))
    return _correlate(dense, matrix, kernel, (1,) * len(kernel), dilation, sizes)


def _products(dy, x, shape, stride, dilation, groups):
    """The gradient of a weight of `shape`: dy at each position times its patch of x, summed over the batch."""
    N, OC, *sizes = dy.shape
    patches = _patches(x, groups, shape[2:], stride, dilation, sizes)
    rows = dy.reshape(N, groups, OC // groups, math.prod(sizes))
    return np.matmul(rows, patches.swapaxes(-1, -2)).sum(axis=0).reshape(shape)


def _patches(x, groups, kernel, stride, dilation, sizes):
    """im2col: (N, groups, C / groups · kernel, positions), one column for each of the first `sizes` positions."""
    N, C = x.shape[:2]
    axes = tuple(range(2, x.ndim))
    windows = sliding_window_view(x, [d * (k - 1) + 1 for k, d in _zip(kernel, dilation)], axes)
    windows = windows[(..., *(slice(None, None, d) for d in dilation))]
    windows = windows[
        (..., *(slice(0, (n - 1) * s + 1, s) for n, s in _zip(sizes, stride)), *(slice(None),) * len(axes))
    ]
    columns = windows.transpose(0, 1, *(a + len(axes) for a in axes), *axes)
    return columns.reshape(N, groups, C // groups * math.prod(kernel), math.prod(sizes))


def _padded(x, kernel, padding, dilation):
    """(x padded with zeros, the padding before each dimension)."""
    extent = [d * (k - 1) for k, d in _zip(kernel, dilation)]
    if padding == "same":
        before, both = [r // 2 for r in extent], extent  # the extra element of an odd width is at the end
    else:
        before = _each(0 if padding == "valid" else padding, kernel)
        both = [2 * p for p in before]
    return _placed(x, before, [n + b for n, b in _zip(x.shape[2:], both)]), before


def _placed(x, offsets, sizes):
    """`x` at `offsets` in an array of zeros with the spatial `sizes`; elements outside are dropped."""
    y = np.zeros((*x.shape[:2], *sizes), x.dtype)
    target, source = [...], [...]
    for offset, n, size in _zip(offsets, x.shape[2:], sizes):
        low = max(offset, 0)
        high = max(min(offset + n, size), low)
        target.append(slice(low, high))
        source.append(slice(low - offset, high - offset))
    y[tuple(target)] = x[tuple(source)]
    return y


def _finish(y, bias, activation, unbatched, out=None):
    if bias is not None:
        y += bias.reshape(-1, *(1,) * (y.ndim - 2))
    if activation == "relu":
        y = np.maximum(y, 0)
    y = y[0] if unbatched else y
    if out is None:
        return y
    out[...] = y
    return out


def _sum_of_channels(dy):
    return dy.sum(axis=(0, *range(2, dy.ndim)))


def _batched(x, weight):
    return x[None] if x.ndim < weight.ndim else x


def _each(value, kernel):
    """One value for each dimension of the kernel."""
    return (value,) * len(kernel) if np.ndim(value) == 0 else tuple(value)


def _zip(*sequences):
    return zip(*sequences, strict=True)

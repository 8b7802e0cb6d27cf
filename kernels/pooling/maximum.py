r"""Maximum pooling: of each window its largest element.

    y[o] = max_k x[o * stride - padding + k * dilation]        in each dimension, over the k that lie inside the input

    dx[i] = sum of dy[o] over the windows o whose largest element is x[i]

K - 1 comparisons an output, K elements a window; each element of x is read once and each of y written once. A NaN is
larger than anything; of equal elements the first of the window is its largest, of NaNs the last, as in PyTorch.

A maximum over a window of several rows is one over rows, then along the combined row. Where the place of the largest
element is wanted, all places are compared in their order instead. The backward needs that place only: its number
within the window, one byte.
"""

import math

import numpy as np

from kernels import _checks
from kernels._jit import jit
from kernels._parallel import FIRST
from kernels.pooling import places
from kernels.pooling.rows import clear, inside, over_lines, phase_count, pitch_of, place, splitter, unpack
from kernels.pooling.windows import expect, gradient, grain_and_threads, is_vast, windows
from kernels.simd import flat, lane_count, load, maximum, store_partial

MOST_BYTES = 256  # places that a byte can tell apart
MOST_NUMBERED = 2**16  # places that are told apart by their numbers, which are floats while places are compared


# --- naive loops: the definition -------------------------------------------------------------------------------------


@jit
def max_pool_naive(x, sizes, y, indices):
    """Each window by itself; `indices` count the elements of a plane row by row."""
    kernel, stride, padding, dilation = unpack(sizes)
    _, D, H, W = x.shape
    for p, od, oh, ow in np.ndindex(y.shape):
        best, at = x.dtype.type(-np.inf), -1
        for kd in range(*inside(od, kernel[0], stride[0], padding[0], dilation[0], D)):
            for kh in range(*inside(oh, kernel[1], stride[1], padding[1], dilation[1], H)):
                for kw in range(*inside(ow, kernel[2], stride[2], padding[2], dilation[2], W)):
                    d = od * stride[0] - padding[0] + kd * dilation[0]
                    h = oh * stride[1] - padding[1] + kh * dilation[1]
                    w = ow * stride[2] - padding[2] + kw * dilation[2]
                    if at < 0 or x[p, d, h, w] > best or np.isnan(x[p, d, h, w]):
                        best, at = x[p, d, h, w], (d * H + h) * W + w
        y[p, od, oh, ow], indices[p, od, oh, ow] = best, at


# --- values only: rows, then along the row ---------------------------------------------------------------------------

_split_maximum = splitter(maximum)


@jit(merge=True)
def _value_rows(x, sizes, y, phases, start, stop):
    """Lines `start` to `stop` of y, a line being a row of one plane."""
    kernel, stride, padding, dilation = unpack(sizes)
    _, D, H, W = x.shape
    _, OD, OH, OW = y.shape
    source, target, memory, lanes = flat(x), flat(y), flat(phases), lane_count(x)
    s, dw, lowest = phase_count(stride[2]), dilation[2], x.dtype.type(-np.inf)
    pitch = pitch_of(x, W, OW, kernel[2], stride[2], padding[2], dw)
    clear(memory, s * pitch, lowest)
    for line in range(start, stop):
        p, od, oh = line // (OD * OH), line // OH % OD, line % OH
        d0, d1 = inside(od, kernel[0], stride[0], padding[0], dilation[0], D)
        h0, h1 = inside(oh, kernel[1], stride[1], padding[1], dilation[1], H)
        d, h = od * stride[0] - padding[0] + d0 * dilation[0], oh * stride[1] - padding[1] + h0 * dilation[1]
        at, plane_step, row_step = ((p * D + d) * H + h) * W, dilation[0] * H * W, dilation[1] * W
        _split_maximum(source, at, d1 - d0, plane_step, h1 - h0, row_step, W, s, padding[2], memory, pitch, lowest)
        if s == stride[2]:
            for j in range(0, OW, lanes):
                best = load(memory, j)
                for k in range(1, kernel[2]):
                    best = maximum(best, load(memory, place(k * dw, s, pitch) + j))
                store_partial(target, line * OW + j, OW - j, best)
        else:
            for j in range(OW):
                best = memory[j * stride[2]]
                for k in range(1, kernel[2]):
                    value = memory[j * stride[2] + k * dw]
                    if value > best or value != value:
                        best = value
                target[line * OW + j] = best


@jit
def _value_lines(start, stop, arguments):
    x, sizes, y = arguments
    kernel, stride, padding, dilation = unpack(sizes)
    pitch = pitch_of(x, x.shape[3], y.shape[3], kernel[2], stride[2], padding[2], dilation[2])
    phases = np.empty(phase_count(stride[2]) * pitch + lane_count(x), x.dtype)
    _value_rows(x, sizes, y, phases, start, stop)


max_pool_lines = over_lines(_value_lines)


@jit
def max_pool_loops(x, sizes, y):
    """Maximum pooling on one thread, for use in your own jitted code.

    `x` (planes, D, H, W) and `y` (planes, OD, OH, OW) are C-contiguous. `sizes` is int64 (4, 3): kernel, stride,
    padding and dilation, each for depth, height and width. Nothing is checked.
    """
    _value_lines(FIRST, y.shape[0] * y.shape[1] * y.shape[2], (x, sizes, y))


VARIANTS = {
    "max_pool": {"naive": max_pool_naive, "vectors": places.max_pool_places_loops},
}


# --- public functions ------------------------------------------------------------------------------------------------


def max_pool1d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """`max_pool2d` over the last dimension of (N, C, L) or (C, L)."""
    return _max_pool("max_pool1d", 1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """Largest element of each window.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)`` or ``(C, H, W)``; N and C may be 0.
    kernel_size : int or tuple of int
        Height and width of a window.
    stride : int or tuple of int, optional
        From one window to the next; by default `kernel_size`.
    padding : int or tuple of int
        Elements of -inf around each plane, at most half a window.
    dilation : int or tuple of int
        From one element of a window to the next.
    ceil_mode : bool
        Whether a last window may reach beyond the padding; it begins inside `x` or its left padding.
    return_indices : bool or "window"
        Whether to return where the largest elements are, too: True for their indices in their plane, counted row by
        row (int64); "window" for their numbers in their windows (uint8; of at most 256 elements), which is all that
        the backward needs. Of equal elements the first counts, of NaNs the last.

    Returns
    -------
    ndarray, or tuple of two
        Shape ``(N, C, OH, OW)`` or ``(C, OH, OW)``. A NaN in a window is its largest element.

    Raises
    ------
    TypeError, ValueError
        Another dtype or number of dimensions; sizes out of range, padding over half a window, a window larger than the
        padded input, or (with dilation) wholly in the padding.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import max_pool2d
    >>> max_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 5.,  7.],
            [13., 15.]]])
    """
    return _max_pool("max_pool2d", 2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """`max_pool2d` over the last three dimensions of (N, C, D, H, W) or (C, D, H, W)."""
    return _max_pool("max_pool3d", 3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_pool(operation, dims, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    x = _checks.floats(operation, "x", x)
    w = windows(operation, x.shape, dims, kernel_size, stride, padding, dilation, ceil_mode)
    taken = math.prod(w.kernel)
    if return_indices not in (False, True):
        _checks.choice(operation, "return_indices", return_indices, ("window",))
        if taken > MOST_BYTES:
            raise ValueError(
                f"{operation}: numbers in windows are for at most {MOST_BYTES} elements, kernel_size is {w.kernel}"
            )
    return run_max(x, w, return_indices)


def run_max(x, w, return_indices):
    """The largest elements, and their places in the wanted form."""
    y = _checks.new(w.shape, x.dtype)
    source, target, lines = x.reshape(w.source), y.reshape(w.result), math.prod(w.result[:3])
    work = lines, *grain_and_threads(lines, x.size + y.size)
    vast = is_vast(w) or (return_indices and math.prod(w.kernel) > MOST_NUMBERED)
    if return_indices == "window":
        found = _checks.new(w.shape, _checks.BYTE)
        places.max_pool_bytes((source, w.sizes, target, found.reshape(w.result)), *work)
    elif return_indices or vast:
        found = _checks.new(w.shape, _checks.INT64)
        if vast:
            max_pool_naive(source, w.sizes, target, found.reshape(w.result))
        else:
            places.max_pool_indices((source, w.sizes, target, found.reshape(w.result)), *work)
    else:
        max_pool_lines((source, w.sizes, target), *work)
    return (y, found) if return_indices else y


def max_pool1d_backward(dy, shape, indices, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Gradient of `max_pool1d`; see `max_pool2d_backward`."""
    return _max_pool_backward(
        "max_pool1d_backward", 1, dy, shape, indices, kernel_size, stride, padding, dilation, ceil_mode
    )


def max_pool2d_backward(dy, shape, indices, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Gradient of `max_pool2d` with respect to `x`: each dy goes to the largest element of its window.

    Parameters
    ----------
    dy : array
        Gradient of the result.
    shape : tuple of int
        The shape of `x`.
    indices : array
        The second result of the forward, of either kind. With "window" this is a good deal faster.
    kernel_size, stride, padding, dilation, ceil_mode
        The forward's.

    Raises
    ------
    TypeError, ValueError
        As `max_pool2d`; if `dy` or `indices` has not the shape of the result.
    IndexError
        If an index lies outside its plane.
    """
    return _max_pool_backward(
        "max_pool2d_backward", 2, dy, shape, indices, kernel_size, stride, padding, dilation, ceil_mode
    )


def max_pool3d_backward(dy, shape, indices, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Gradient of `max_pool3d`; see `max_pool2d_backward`."""
    return _max_pool_backward(
        "max_pool3d_backward", 3, dy, shape, indices, kernel_size, stride, padding, dilation, ceil_mode
    )


def _max_pool_backward(operation, dims, dy, shape, indices, kernel_size, stride, padding, dilation, ceil_mode):
    w = windows(operation, shape, dims, kernel_size, stride, padding, dilation, ceil_mode)
    dy = gradient(operation, dy, w.shape)
    if not (isinstance(indices, np.ndarray) and indices.dtype == _checks.BYTE):
        return places.scatter(operation, dy, indices, shape, dims)
    expect(operation, "indices", indices, w.shape)
    if indices.size and indices.max() >= math.prod(w.kernel):
        raise IndexError(f"{operation}: numbers in windows must be below {math.prod(w.kernel)}, got {indices.max()}")
    dx = _checks.new(tuple(shape), dy.dtype)
    numbers = _checks.contiguous(indices).reshape(w.result)
    arguments = (dy.reshape(w.result), numbers, w.sizes, dx.reshape(w.source))
    if w.stride[1:] == (2, 2) and max(w.kernel) <= 4 and w.dilation[1:] == (1, 1) and w.size[0] == 1:
        loops, lines = places.max_pool_halves, w.planes * ((w.size[1] + w.padding[1] + 1) // 2)
    else:
        loops, lines = places.max_pool_numbered, w.planes
    loops(arguments, lines, *grain_and_threads(lines, dx.size + dy.size))
    return dx

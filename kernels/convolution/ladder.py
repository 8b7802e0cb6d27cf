r"""Convolution, rung by rung.

.. math:: y_{n m i j} = b_m + \sum_{c, k, l} x_{n\,c\,(i s + k d - p)\,(j s + l d - p)}\; w_{m c k l}

x: N × C × H × W, w: M × C/groups × KH × KW, y: N × M × OH × OW; s is the stride, d the dilation, p the padding, beyond
which x counts as zero. 2 N M OH OW (C/groups) KH KW FLOPs on the elements of x, w and y moved once: compute-bound for a
few dozen channels on, memory-bound where each channel is on its own (depthwise).

As a matrix product (im2col [1]_), y is w, M × C KH KW, times the patches of x, C KH KW × OH OW. But the patches are
KH KW times as large as x, so the upper rungs read x where it lies (see `micro`).

.. [1] K. Chellapilla, S. Puri, P. Simard, "High Performance Convolutional Neural Networks for Document Processing",
   2006, sec. 3.
"""

import numpy as np

from kernels._jit import jit
from kernels._threads import get_num_threads
from kernels.convolution import correlation, geometry, winograd
from kernels.gemm.ladder import matmul_packed
from kernels.pooling.patches import im2col


@jit
def conv2d_naive(x, weight, bias, stride, padding, dilation, groups, out):
    """The definition: seven loops, and a look whether the tap lies inside x."""
    N, M, OH, OW = out.shape
    C, KH, KW = weight.shape[1:]
    for n in range(N):
        for m in range(M):
            first = m // (M // groups) * C
            for i in range(OH):
                for j in range(OW):
                    total = bias[m] if bias.size else out.dtype.type(0)
                    for c in range(C):
                        for kh in range(KH):
                            for kw in range(KW):
                                h = i * stride[0] + kh * dilation[0] - padding[0]
                                w = j * stride[1] + kw * dilation[1] - padding[1]
                                if 0 <= h < x.shape[2] and 0 <= w < x.shape[3]:
                                    total += x[n, first + c, h, w] * weight[m, c, kh, kw]
                    out[n, m, i, j] = total


@jit
def _columns_of_group(x, first, channels, sizes, columns):
    im2col(x[first : first + channels], sizes, columns)


def conv2d_im2col(x, weight, bias, stride, padding, dilation, groups, out):
    """Adds the matrix product: the patches are written out as columns, KH KW times the memory of x, and multiplied."""
    C, KH, KW = weight.shape[1:]
    M, OH, OW = weight.shape[0] // groups, *out.shape[2:]
    sizes = np.array([(1, KH, KW), (1, *stride), (0, *padding), (1, *dilation)], np.int64)
    columns = np.empty((C, KH * KW, 1, OH, OW), x.dtype)
    for image, result in zip(x, out, strict=True):
        for group in range(groups):
            part = slice(group * M, (group + 1) * M)
            _columns_of_group(image[:, None], group * C, C, sizes, columns)
            product = result[part].reshape(M, OH * OW)
            matmul_packed(weight[part].reshape(M, -1), columns.reshape(-1, OH * OW), product)
            if bias.size:
                product += bias[part, None]


def conv2d_in_place(x, weight, bias, stride, padding, dilation, groups, out):
    """Adds reading in place: the micro-kernel takes the elements of a patch from x itself, and there are no columns;
    what is copied is x with its padding, a region at a time, and the tile starts from the bias."""
    _correlate(x, weight, bias, stride, padding, dilation, groups, out, 1)


def conv2d_parallel(x, weight, bias, stride, padding, dilation, groups, out):
    """Adds threads: each takes some regions of some images."""
    _correlate(x, weight, bias, stride, padding, dilation, groups, out, get_num_threads())


def _correlate(x, weight, bias, stride, padding, dilation, groups, out, threads):
    shape, _ = geometry.convolution("conv2d", x.shape[2:], weight.shape[2:], stride, padding, dilation)
    correlation.run(x, weight, bias, False, out, geometry.forward_plan(shape), groups, threads=threads)


def conv2d_winograd(x, weight, bias, stride, padding, dilation, groups, out):
    """Adds Winograd's algorithm: 16 products where there were 36, for 3 x 3 taps with stride and dilation 1 (others are
    left to the rung before)."""
    shape, _ = geometry.convolution("conv2d", x.shape[2:], weight.shape[2:], stride, padding, dilation)
    plan = geometry.forward_plan(shape)
    if winograd.fits(plan):
        winograd.run(x, weight, bias, False, out, plan, groups)
    else:
        conv2d_parallel(x, weight, bias, stride, padding, dilation, groups, out)


VARIANTS = {
    "conv2d": {
        "naive": conv2d_naive,
        "im2col": conv2d_im2col,
        "in place": conv2d_in_place,
        "parallel": conv2d_parallel,
        "winograd": conv2d_winograd,
    }
}

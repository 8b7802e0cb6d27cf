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

from kernels._jit import jit
from kernels.convolution import correlation, geometry


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


def conv2d_parallel(x, weight, bias, stride, padding, dilation, groups, out):
    """Adds threads: each takes some regions of some images."""
    shape, _ = geometry.convolution("conv2d", x.shape[2:], weight.shape[2:], stride, padding, dilation)
    correlation.run(x, weight, bias, False, out, geometry.forward_plan(shape), groups)


VARIANTS = {"conv2d": {"naive": conv2d_naive, "parallel": conv2d_parallel}}

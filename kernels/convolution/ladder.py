r"""Convolution, rung by rung.

.. math:: y_{n m i j} = b_m + \sum_{c, k, l} x_{n\,c\,(i s + k d - p)\,(j s + l d - p)}\; w_{m c k l}

x: N × C × H × W, w: M × C/groups × KH × KW, y: N × M × OH × OW; s is the stride, d the dilation, p the padding, beyond
which x counts as zero. 2 N M OH OW (C/groups) KH KW FLOPs on the elements of x, w and y moved once: compute-bound for a
few dozen channels on, memory-bound where each channel is on its own (depthwise).

As a matrix product (im2col [1]_), y is w, M × C KH KW, times the patches of x, C KH KW × OH OW. But the patches are
KH KW times as large as x, so the upper rungs read x itself: an implicit matrix product.

.. [1] K. Chellapilla, S. Puri, P. Simard, "High Performance Convolutional Neural Networks for Document Processing",
   2006, sec. 3.
.. [2] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, sec. 4.1.
"""

import numpy as np

from kernels._jit import jit
from kernels.convolution.driver import correlate
from kernels.convolution.geometry import convolution, forward_plan
from kernels.gemm.ladder import matmul_packed
from kernels.gemm.micro import MR, NV
from kernels.gemm.pack import pack_panel, panel_padding
from kernels.simd import (
    allocate,
    even_lanes,
    interleave_high,
    interleave_low,
    lane_count,
    load,
    load_partial,
    matrix_at,
    odd_lanes,
    release,
    store_partial,
    strided,
    tile_outer,
    tile_store,
    tile_zeros,
    view,
)


@jit
def conv2d_naive(x, weight, bias, stride, padding, dilation, groups, out):
    """The definition: seven loops, and a bounds check per tap."""
    (N, M, OH, OW), (C, KH, KW) = out.shape, weight.shape[1:]
    for n, m in np.ndindex(N, M):
        first = m // (M // groups) * C
        for i, j in np.ndindex(OH, OW):
            total = bias[m] if bias.size else out.dtype.type(0)
            for c in range(C):
                for kh in range(KH):
                    for kw in range(KW):
                        h = i * stride[0] + kh * dilation[0] - padding[0]
                        w = j * stride[1] + kw * dilation[1] - padding[1]
                        if 0 <= h < x.shape[2] and 0 <= w < x.shape[3]:
                            total += x[n, first + c, h, w] * weight[m, c, kh, kw]
            out[n, m, i, j] = total


# --- im2col ----------------------------------------------------------------------------------------------------------


@jit
def conv2d_im2col(x, weight, bias, stride, padding, dilation, groups, out):
    """Adds a matrix product: the patches are written out as columns, KH KW times the memory of x, for the loops of
    `gemm`."""
    (N, M, OH, OW), (C, KH, KW) = out.shape, weight.shape[1:]
    K, rows = C * KH * KW, M // groups
    columns, W = np.empty((C, KH, KW, OH, OW), out.dtype), weight.reshape(groups, rows, K)
    Y = out.reshape(N, groups, rows, OH * OW)
    for n in range(N):
        for g in range(groups):
            _im2col(x[n, g * C : (g + 1) * C], stride, padding, dilation, columns)
            matmul_packed(W[g], columns.reshape(K, OH * OW), Y[n, g])
        for m in range(M if bias.size else 0):
            out[n, m] += bias[m]


@jit
def _im2col(x, stride, padding, dilation, columns):
    """``columns[c, kh, kw, i, j]`` is what tap (kh, kw) of output (i, j) reads of channel c: 0 outside x."""
    C, KH, KW, OH, OW = columns.shape
    H, W = x.shape[1:]
    step = stride[1]
    for c, kh, kw, i in np.ndindex(C, KH, KW, OH):
        h, w = i * stride[0] + kh * dilation[0] - padding[0], kw * dilation[1] - padding[1]
        row = columns[c, kh, kw, i]
        row[:] = 0
        first, last = max(0, (step - 1 - w) // step), min(OW, (W - 1 - w) // step + 1)  # outputs whose tap is in x
        if 0 <= h < H and step == 1:
            for j in range(first, last):  # contiguous in both
                row[j] = x[c, h, w + j]
        elif 0 <= h < H:
            for j in range(first, last):
                row[j] = x[c, h, w + j * step]


# --- an implicit matrix product --------------------------------------------------------------------------------------


@jit
def conv2d_implicit_gemm(x, weight, bias, stride, padding, dilation, groups, out):
    """Adds an implicit matrix product: no columns are written and read back; the register tile, MR pixels of a row by
    NR output channels, takes the patches' elements from a copy of the image with its padding."""
    (N, M, OH, OW), (C, KH, KW), (H, W) = out.shape, weight.shape[1:], x.shape[2:]
    NR, K, rows = NV * lane_count(out), C * KH * KW, M // groups
    top, left = padding
    width = W + 2 * left
    below = 1 + MR * stride[1] // width  # the last tile of a row may read past it
    image = np.zeros((x.shape[1], H + 2 * top + below, width), out.dtype)
    panel, tile = allocate(out, K * NR + panel_padding(out)), allocate(out, MR * NR)
    weights, B, T = view(weight.reshape(M, K)), strided(panel, NR, 1), strided(tile, NR, 1)
    for n in range(N):
        image[:, top : top + H, left : left + W] = x[n]
        for g in range(groups):
            for m in range(g * rows, (g + 1) * rows, NR):
                channels = min(NR, (g + 1) * rows - m)
                pack_panel(weights.row(m), channels, NR, K, panel)  # B[p, r]: tap p of output channel m + r
                for i in range(OH):
                    for j in range(0, OW, MR):
                        acc = tile_zeros(out, MR, NV)
                        p = 0
                        for c in range(C):
                            X = matrix_at(image, (g * C + c,))
                            for kh in range(KH):
                                for kw in range(KW):  # acc[q, r] += x[.., .., (j + q) * stride + ..] * B[p, r]
                                    tap = X.at(i * stride[0] + kh * dilation[0], j * stride[1] + kw * dilation[1])
                                    acc = tile_outer(acc, strided(tap, stride[1], 1), B.row(p))
                                    p += 1
                        tile_store(T, acc)
                        for r in range(channels):  # y is contiguous along the pixels, the tile along the channels
                            start = bias[m + r] if bias.size else out.dtype.type(0)
                            for q in range(min(MR, OW - j)):
                                out[n, m + r, i, j + q] = T[q, r] + start
    release(panel)
    release(tile)


# --- Winograd --------------------------------------------------------------------------------------------------------


@jit
def conv2d_winograd(x, weight, bias, stride, padding, dilation, groups, out):
    """Adds Winograd's algorithm [2]_, F(2 × 2, 3 × 3): 16 products instead of 36 for 2 x 2 outputs, as one matrix
    product for each of the 16 positions in a tile; the transformed tiles pass through memory. For 3 x 3 taps with
    stride and dilation 1; others take the rung before."""
    (N, M, OH, OW), (C, KH, KW), (H, W) = out.shape, weight.shape[1:], x.shape[2:]
    if KH != 3 or KW != 3 or max(stride) > 1 or max(dilation) > 1 or groups > 1:
        conv2d_implicit_gemm(x, weight, bias, stride, padding, dilation, groups, out)
        return
    top, left = padding
    TH, TW = (OH + 1) // 2, (OW + 1) // 2  # tiles
    # one more row or column where OH or OW is odd, and slack for the last vector load of a row
    width = W + 2 * left + 1
    image = np.zeros((C, H + 2 * top + 2 + 4 * lane_count(out) // width, width), out.dtype)
    U, V = np.empty((16, M, C), out.dtype), np.empty((16, C, TH * TW), out.dtype)
    products = np.empty((16, M, TH * TW), out.dtype)
    _transform_weights(weight, U)
    for n in range(N):
        image[:, top : top + H, left : left + W] = x[n]
        _transform_input(image, TH, TW, V)
        for place in range(16):
            matmul_packed(U[place], V[place], products[place])
        _transform_products(products, bias, TH, TW, out[n])


@jit(inline=True)
def _G(a, b, c, half):
    return a, (a + b + c) * half, (a - b + c) * half, c


@jit(inline=True)
def _B(a, b, c, d):
    return a - c, b + c, c - b, b - d


@jit(inline=True)
def _A(a, b, c, d):
    return a + b + c, b - c - d


@jit
def _transform_weights(weight, U):
    """``U[4 * i + j, m, c] = (G g Gᵀ)[i, j]`` for each kernel g."""
    half = U.dtype.type(0.5)
    for m, c in np.ndindex(weight.shape[:2]):
        g = weight[m, c]
        column_0 = _G(g[0, 0], g[1, 0], g[2, 0], half)
        column_1 = _G(g[0, 1], g[1, 1], g[2, 1], half)
        column_2 = _G(g[0, 2], g[1, 2], g[2, 2], half)
        for i in range(4):
            row = _G(column_0[i], column_1[i], column_2[i], half)
            for j in range(4):
                U[4 * i + j, m, c] = row[j]


@jit(inline=True)
def _row_of_tiles(X, w):
    """One row of d·B for a vector of tiles; neighbouring tiles begin two elements apart."""
    a, b = load(X, w), load(X, w + lane_count(X))
    c, d = load(X, w + 2), load(X, w + 2 + lane_count(X))
    return _B(even_lanes(a, b), odd_lanes(a, b), even_lanes(c, d), odd_lanes(c, d))


@jit
def _transform_input(image, TH, TW, V):
    """``V[4 * i + j, c, t] = (Bᵀ d B)[i, j]`` for each tile d, 4 x 4 elements of channel c; the lanes are tiles."""
    for c, th in np.ndindex(len(image), TH):
        X = matrix_at(image, (c,)).row(2 * th)
        for tw in range(0, TW, lane_count(X)):
            t, count = th * TW + tw, TW - tw
            row_0, row_1 = _row_of_tiles(X, 2 * tw), _row_of_tiles(X.row(1), 2 * tw)
            row_2, row_3 = _row_of_tiles(X.row(2), 2 * tw), _row_of_tiles(X.row(3), 2 * tw)
            for j in range(4):
                column = _B(row_0[j], row_1[j], row_2[j], row_3[j])
                for i in range(4):
                    store_partial(matrix_at(V, (4 * i + j,)).row(c), t, count, column[i])


@jit(inline=True)
def _column_of_products(products, m, t, count, j):
    """Of the tiles from t on, Aᵀ times column j of their products."""
    return _A(
        load_partial(matrix_at(products, (j,)).row(m), t, count, 0.0),
        load_partial(matrix_at(products, (4 + j,)).row(m), t, count, 0.0),
        load_partial(matrix_at(products, (8 + j,)).row(m), t, count, 0.0),
        load_partial(matrix_at(products, (12 + j,)).row(m), t, count, 0.0),
    )


@jit
def _transform_products(products, bias, TH, TW, out):
    """``out`` is ``Aᵀ P A`` of each tile's 4 x 4 products P, plus bias; the lanes are tiles."""
    lanes, (M, OH, OW) = lane_count(out), out.shape
    for m, th in np.ndindex(M, TH):
        Y, start = matrix_at(out, (m,)).row(2 * th), bias[m] if bias.size else out.dtype.type(0)
        for tw in range(0, TW, lanes):
            t, count, left = th * TW + tw, TW - tw, OW - 2 * tw
            column_0 = _column_of_products(products, m, t, count, 0)
            column_1 = _column_of_products(products, m, t, count, 1)
            column_2 = _column_of_products(products, m, t, count, 2)
            column_3 = _column_of_products(products, m, t, count, 3)
            for i in range(min(2, OH - 2 * th)):
                even, odd = _A(column_0[i], column_1[i], column_2[i], column_3[i])
                even, odd = even + start, odd + start
                store_partial(Y.row(i), 2 * tw, left, interleave_low(even, odd))
                store_partial(Y.row(i), 2 * tw + lanes, left - lanes, interleave_high(even, odd))


# --- tuned -----------------------------------------------------------------------------------------------------------


def conv2d_tuned(x, weight, bias, stride, padding, dilation, groups, out):
    """Adds threads and a choice by shape (`driver`): blocks of x that stay in L2, tile heights that fit the rows,
    pixels in lanes where output channels are few, loops for depthwise layers, Winograd's steps fused block by block."""
    geometry, _ = convolution("conv2d", x.shape[2:], weight.shape[2:], stride, padding, dilation)
    correlate(x, weight, bias, False, out, forward_plan(geometry), groups)


VARIANTS = {
    "conv2d": {
        "naive": conv2d_naive,
        "im2col": conv2d_im2col,
        "implicit gemm": conv2d_implicit_gemm,
        "winograd": conv2d_winograd,
        "tuned": conv2d_tuned,
    }
}

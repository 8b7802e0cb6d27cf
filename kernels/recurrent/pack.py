"""Weights packed for the micro-kernel of `gemm`, and rows copied, multiplied and added as all time loops need them.

A weight is used at every step, so it is packed once for all of them, in column panels as in `gemm`: NR units a panel,
each gate in panels of its own, so that all gates of the same units are at the same place in theirs.
"""

from typing import NamedTuple

import numpy as np
from numba import int64

from kernels import machine
from kernels._jit import Compiled, jit
from kernels.gemm.micro import ADD, HEIGHTS, NV, chain_length, micro_kernel, tile_height
from kernels.gemm.pack import pack_b
from kernels.recurrent.gates import GATES, GRU, TERMS
from kernels.simd import (
    flat,
    lane_count,
    shifted,
    strided,
    tile_add,
    tile_outer,
    tile_plus,
    tile_store,
    tile_zeros,
    view,
)

# 32 rows, a common batch, are four tiles of 8 rather than 14 + 14 + 4: a tile of 4 rows has 8 multiply-adds a step
# and 10 loads and prefetches, which it waits for. (With 16 registers, tiles have other heights.)
EVEN = np.int64(8)
FOUR_EVEN = 4 * EVEN if EVEN in HEIGHTS else 0


class Panels(NamedTuple):
    """A packed weight: column panels of K rows, NR columns each."""

    memory: object
    K: int


@jit(inline=True)
def panel_at(weight, column):
    """The panel that begins with `column`, a multiple of NR."""
    return strided(shifted(weight.memory, column * weight.K), NV * lane_count(weight.memory), 1)


@jit(inline=True)
def panel_count(columns, like):
    """Panels of NR columns that `columns` columns need."""
    NR = NV * lane_count(like)
    return (columns + NR - 1) // NR


@jit
def multiply_panel(A, panel, K, C, rows, columns, epilogue, totals):
    """One panel of a product, tile by tile: ``C[r, j] (+)= sum over p < K of A[r, p] * panel[p, j]``."""
    r = 0
    while r < rows:
        height = EVEN if rows - r == FOUR_EVEN else tile_height(rows - r)
        micro_kernel(height, A.row(r), panel, K, C.row(r), columns, epilogue, totals)
        r += height


@jit
def multiply_row(a, panel, K, c, mode, totals):
    """A single row times two neighbouring panels: ``c[j] (+)= sum over p < K of a[p] * panels[p, j]`` for j < 2 NR.

    A tile of one row has NV sums, whose additions would wait for each other; two panels give twice as many to do
    meanwhile. The order of the additions is the micro-kernel's.
    """
    NR = NV * lane_count(c)
    right_panel, sums = strided(shifted(flat(panel), K * NR), NR, 1), strided(totals, NR, 1)
    left, right = tile_zeros(c, 1, NV), tile_zeros(c, 1, NV)
    first, chain = 0, chain_length(K)
    while first + chain < K:
        for p in range(first, first + chain):
            left = tile_outer(left, a.column(p), panel.row(p))
            right = tile_outer(right, a.column(p), right_panel.row(p))
        if first > 0:
            tile_add(sums, left)
            tile_add(sums.row(1), right)
        else:
            tile_store(sums, left)
            tile_store(sums.row(1), right)
        left, right = tile_zeros(c, 1, NV), tile_zeros(c, 1, NV)
        first += chain
    for p in range(first, K):
        left = tile_outer(left, a.column(p), panel.row(p))
        right = tile_outer(right, a.column(p), right_panel.row(p))
    if first > 0:
        left, right = tile_plus(left, sums), tile_plus(right, sums.row(1))
    if mode == ADD:
        tile_add(c, left)
        tile_add(c.column(NR), right)
    else:
        tile_store(c, left)
        tile_store(c.column(NR), right)


@jit
def copy_rows(X, rows, columns, out):
    """``out[r, j] = X[r, j]``, rows contiguous."""
    for r in range(rows):
        source, target = flat(X.row(r)), flat(out.row(r))
        for j in range(columns):
            target[j] = source[j]


@jit
def add_elements(x, count, out):
    """``out[i] += x[i]``."""
    for i in range(count):
        out[i] += x[i]


# --- packing ---------------------------------------------------------------------------------------------------------


@jit
def _pack_transposed(weight, gates, panels):
    """The transpose of a weight (gates * H, K): panels for ``x weightᵀ``, the units of one gate after another."""
    H, K = weight.shape[0] // gates, weight.shape[1]
    size = panel_count(H, weight) * NV * lane_count(weight) * K
    for gate in range(gates):
        pack_b(view(weight).row(gate * H).T, H, K, shifted(flat(panels), gate * size))


@jit
def _pack(weight, panels):
    """A weight (K, columns) itself: panels for ``dz weight``."""
    K, columns = weight.shape
    pack_b(view(weight), columns, K, flat(panels))


_compiled_transposed = Compiled(_pack_transposed, lambda kind: (kind[:, ::1], int64, kind[::1]))
_compiled = Compiled(_pack, lambda kind: (kind[:, ::1], kind[::1]))


def _panel_width(dtype):
    return NV * machine.vector_bytes() // dtype.itemsize


def packed_transposed(weight, gates):
    """The transpose of a weight (gates * H, K) as the forward's `Panels`."""
    H, K = weight.shape[0] // gates, weight.shape[1]
    NR = _panel_width(weight.dtype)
    panels = np.empty(gates * -(-H // NR) * NR * K + NR * NR, weight.dtype)
    _compiled_transposed[weight.dtype](weight, gates, panels)
    return panels


def packed(weight):
    """A weight (K, columns) as the backward's `Panels`."""
    K, columns = weight.shape
    NR = _panel_width(weight.dtype)
    panels = np.empty(-(-columns // NR) * NR * K + NR * NR, weight.dtype)
    _compiled[weight.dtype](weight, panels)
    return panels


def summed_biases(kind, H, dtype, bias_ih, bias_hh):
    """One bias for each pre-activation, in the order of the panels' columns; None stands for zeros."""
    NR = _panel_width(dtype)
    terms, gates = TERMS[kind], GATES[kind]
    bias = np.zeros((terms, -(-H // NR) * NR), dtype)
    if bias_ih is not None:
        bias[:gates, :H] += bias_ih.reshape(gates, H)
    if bias_hh is not None:
        bias_hh = bias_hh.reshape(gates, H)
        if kind == GRU:  # the candidate's two parts stay separate
            bias[:2, :H] += bias_hh[:2]
            bias[3, :H] = bias_hh[2]
        else:
            bias[:gates, :H] += bias_hh
    return bias.reshape(-1)

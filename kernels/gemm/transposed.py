r"""A few rows times a transposed matrix: ``C = A B`` where B's columns are contiguous, as in ``x @ weight.T``.

B would have to be packed, and with M rows of A each packed element is used M times only: at M = 16 packing takes as
long as the product. So the product is transposed, Cᵀ = Bᵀ Aᵀ: the micro-kernel broadcasts elements of B's columns, read
in place, and only A is packed. The result is Cᵀ, block by block, and is transposed back in registers.
"""

from kernels._jit import jit
from kernels.gemm.micro import ADD, BIAS, MR, NV, STORE, Epilogue, micro_kernel, tile_height
from kernels.gemm.pack import in_same_set, pack_panel, panel_padding
from kernels.simd import (
    allocate,
    lane_count,
    load,
    load_partial,
    prefetch_far,
    release,
    shifted,
    square_load,
    square_transpose,
    store_partial,
    strided,
    tile_store,
)

# Rows from which on packing B is cheap compared with the product.
ROWS = 10 * MR
# K is processed STEP vectors at a time; meanwhile the same part of the next tile's columns is prefetched.
STEP = 4
# Columns of C that are transposed back at a time: 112 rows of Cᵀ, 32 float32 each, are 14 KiB, which stay in L1.
COLUMNS = 8 * MR


@jit(inline=True)
def panel_width(rows, like):
    """Width of the next panel where `rows` rows of A are left to pack: one vector, or as wide as a tile."""
    return lane_count(like) if rows <= lane_count(like) else NV * lane_count(like)


@jit(inline=True)
def is_better_transposed(like, M, N, B):
    """Whether a product is faster as Cᵀ = Bᵀ Aᵀ: B's columns are contiguous, M rows are few and nearly fill vectors."""
    lanes = lane_count(like)
    few = M <= ROWS and 4 * M >= 3 * ((M + lanes - 1) // lanes * lanes)
    return few and N >= COLUMNS and B.row_stride == 1 and not in_same_set(B.column_stride, B)


@jit(inline=True)
def _prefetch_block(X, rows, columns):
    """Prefetch a block of X into L2: its rows are too short for the hardware prefetcher to predict the next ones."""
    for r in range(rows):
        for j in range(0, columns, lane_count(X)):
            prefetch_far(X.row(r), j)


@jit
def gemm_transposed(A, B, C, shape, epilogue):
    """``C (+)= A B (+ bias)``, where B's columns are contiguous."""
    M, N, K = shape
    lanes = lane_count(C)
    NR, rows_of_B = NV * lanes, B.T
    panels = allocate(C, (M + lanes - 1) // lanes * lanes * K + panel_padding(C))
    block, square = allocate(C, (COLUMNS + lanes) * NR), allocate(C, lanes * lanes)
    for i in range(0, M, NR):
        pack_panel(A.row(i), min(NR, M - i), panel_width(M - i, C), K, shifted(panels, i * K))
    for j in range(0, N, COLUMNS):
        columns = min(COLUMNS, N - j)
        for i in range(0, M, NR):
            width, r = panel_width(M - i, C), 0
            panel, result = strided(shifted(panels, i * K), width, 1), strided(block, width, 1)
            while r < columns:
                height = tile_height(columns - r)
                for p in range(0, K, STEP * lanes):
                    depth = min(STEP * lanes, K - p)
                    if i == 0:
                        _prefetch_block(rows_of_B.at(j + r + height, p), min(MR, N - j - r - height), depth)
                    # a step is shorter than a chain, so that the micro-kernel needs no memory for totals
                    partial = Epilogue(STORE if p == 0 else ADD, epilogue.bias)
                    tile = result.row(r)
                    micro_kernel(height, rows_of_B.at(j + r, p), panel.row(p), depth, tile, width, partial, square)
                r += height
            block_epilogue = Epilogue(epilogue.mode, epilogue.bias.column(j))
            _transpose_back(result, C.at(i, j), min(width, M - i), columns, block_epilogue, square)
    release(panels)
    release(block)
    release(square)


@jit
def _transpose_back(block, C, rows, columns, epilogue, square):
    """``C[i, j] (+)= block[j, i] (+ bias[j])``; `square` is memory for lanes x lanes elements."""
    lanes = lane_count(C)
    for i in range(0, rows, lanes):
        for j in range(0, columns, lanes):
            tile_store(strided(square, lanes, 1), square_transpose(square_load(block.at(j, i))))
            for row in range(min(lanes, rows - i)):
                to, left = C.at(i + row, j), columns - j
                values = load(square, row * lanes)
                if epilogue.mode == BIAS:
                    values = values + load_partial(epilogue.bias, j, left, 0.0)
                elif epilogue.mode == ADD:
                    values = values + load_partial(to, 0, left, 0.0)
                store_partial(to, 0, left, values)

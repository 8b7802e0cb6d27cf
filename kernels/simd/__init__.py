"""Vectors and register tiles as Numba values.

Whether a plain Numba loop is vectorised is the compiler's decision. Here a vector register is a *value*: `load` makes
one, ``+ * fma select`` combine them lane by lane, `store` writes one. A tile is a small matrix of registers, the
accumulator of a matrix product. Each function's docstring states its meaning as scalar loops, and a test runs both.

- `memory`: the memory of an array as a plain address.
- `emit`: the types of vectors and masks, and the LLVM code for them that the others use.
- `vector`: vectors, masks, their arithmetic, loads and stores (whole, or the first `count` lanes).
- `view`: a part of a matrix: its address and two strides.
- `wide`: a few vectors as one value, so that independent chains of operations overlap.
- `tile`: tiles and their rank-1 update.
- `lanes`: even and odd lanes separated and interleaved; small whole numbers as bytes.
- `prefix`: scans across lanes.
- `stream`: stores that bypass the caches, for arrays larger than the caches.
- `bits`: exponents and mantissas.
- `math`: exp, log, log1p, tanh, sigmoid, erf on vectors.

All LLVM instructions on the data of kernels are emitted here. Elsewhere only three modules of the thread machinery emit
LLVM: `kernels._threads` (entering and leaving a parallel region), `kernels._parallel` (calling a task, atomic counters)
and `kernels._denormal` (a control register). What others take from llvmlite are facts about the CPU and its version.
"""

from kernels.simd.lanes import (
    even_lanes,
    interleave_high,
    interleave_low,
    lanes_before,
    load_between,
    load_bytes,
    odd_lanes,
    store_between,
    store_bytes,
    store_every_second,
)
from kernels.simd.math import erf, exp, log, log1p, sigmoid, tanh
from kernels.simd.memory import address, allocate, array_at, flat, flat_each, release, shifted
from kernels.simd.tile import (
    square_load,
    square_load_partial,
    square_sums,
    square_transpose,
    tile_add,
    tile_add_partial,
    tile_add_sums,
    tile_dot,
    tile_outer,
    tile_outer_partial,
    tile_plus,
    tile_plus_between,
    tile_rows,
    tile_store,
    tile_store_partial,
    tile_zeros,
)
from kernels.simd.vector import (
    absolute,
    all_lanes,
    any_lanes,
    copysign,
    fma,
    lane_count,
    load,
    load_partial,
    max_lanes,
    maximum,
    minimum,
    prefetch,
    prefetch_far,
    select,
    splat,
    sqrt,
    store,
    store_partial,
    sum_lanes,
)
from kernels.simd.view import matrix_at, strided, view

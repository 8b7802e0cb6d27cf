"""Matrix multiplication, in the order in which to read it.

- `ladder`: from the triple loop to packed blocks, one idea a rung.
- `micro`: the micro-kernel at the bottom of the ladder; `pack`: the packing that feeds it.
- `driver`: the tuned product: any shape and stride, all threads.
- `transposed`: a few rows times a transposed matrix, which is not packed.
- `vector`: where one operand is a vector, and memory is the limit.
- `functions`: the public functions: ranks, broadcasting, layouts, errors, gradients.

How a matrix is addressed, here and in every family: by a view {address, row stride, column stride}, strides in
elements. Element (i, j) is ``i * row_stride + j * column_stride`` elements after the first one, so that a transposed
matrix, a block and a panel are the same loops with other strides:

    A = view(a)              A.at(1, 2)               A.T                     a panel of MR rows, packed
    row stride 6             same strides             row stride 1            row stride 1
    column stride 1                                   column stride 6         column stride MR

    0  1  2  3  4  5         .  .  .  .  .  .         0  6 12 18              0  6 12 | 1  7 13 | 2  8 …
    6  7  8  9 10 11         .  .  8  9 10 11         1  7 13 19
    12 13 14 15 16 17        .  . 14 15 16 17         2  8 14 20
    18 19 20 21 22 23        .  . 20 21 22 23         …

A view has no length: it says where a matrix begins, and the sizes beside it (`rows`, `columns`, K) how much is read.
``A.at(i, j)`` begins at element (i, j), ``A.row(i)`` is ``A.at(i, 0)`` and ``A.column(j)`` is ``A.at(0, j)``; so
``micro_kernel(rows, A.row(i), ...)`` reads `rows` rows from row i on. ``x[j]`` and ``load(x, j)`` read the first row.
`Memory` is the address alone, for buffers that are not (yet) a matrix.

Words are explained in docs/glossary.md.
"""

from kernels.gemm.driver import matmul_loops
from kernels.gemm.functions import matmul, matmul_backward
from kernels.gemm.ladder import VARIANTS

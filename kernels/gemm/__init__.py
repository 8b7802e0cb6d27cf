"""Matrix multiplication, in the order in which to read it.

- `ladder`: from the triple loop to packed blocks on all threads, one idea a rung.
- `micro`: the micro-kernel at the bottom of the ladder, and the packing that feeds it.
- `turned`: a few rows times a transposed matrix, which is not packed.
- `vector`: where one operand is a vector, and memory is the limit.
- `product`: the public functions: ranks, broadcasting, layouts, errors, gradients.
"""

from kernels.gemm.ladder import VARIANTS, matmul_loops
from kernels.gemm.product import matmul, matmul_backward

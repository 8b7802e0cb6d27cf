"""Matrix multiplication, in the order in which to read it.

- `ladder`: from the triple loop to packed blocks on all threads, one idea a rung.
- `micro`: the micro-kernel at the bottom of the ladder, and the packing that feeds it.
- `vector`: where one operand is a vector, and memory is the limit.
- `few`: where one operand has few rows, and the other is a weight.
- `product`: the public functions: ranks, broadcasting, layouts, errors, gradients.
"""

from kernels.gemm.ladder import VARIANTS, matmul_loops
from kernels.gemm.product import matmul, matmul_backward

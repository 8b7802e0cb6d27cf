"""Matrix multiplication, in the order in which to read it.

- `ladder`: from the triple loop to packed blocks on all threads, one idea a rung.
- `micro`: the micro-kernel at the bottom of the ladder; `pack`: the packing that feeds it.
- `driver`: the tuned product for any shape, on all threads.
- `transposed`: a few rows times a transposed matrix, which is not packed.
- `vector`: where one operand is a vector, and memory is the limit.
- `functions`: the public functions: ranks, broadcasting, layouts, errors, gradients.
"""

from kernels.gemm.driver import matmul_loops
from kernels.gemm.functions import matmul, matmul_backward
from kernels.gemm.ladder import VARIANTS

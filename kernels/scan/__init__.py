"""Scans along any axis: of each element, what a reduction would make of it and all before it.

- `chains`: sums and products, several at a time.
- `products`: the gradient of products.
- `extremes`: maxima and minima with their indices.
- `logsum`: logarithms of sums of exponentials.
- `functions`, `gradients`: the public functions.
"""

from kernels.scan import chains, extremes, logsum
from kernels.scan.functions import cummax, cummin, cumprod, cumsum, logcumsumexp
from kernels.scan.gradients import (
    cummax_backward,
    cummin_backward,
    cumprod_backward,
    cumsum_backward,
    logcumsumexp_backward,
)

VARIANTS = chains.VARIANTS | extremes.VARIANTS | logsum.VARIANTS

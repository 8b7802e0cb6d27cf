"""Scans along any axis: of each element, what a reduction would make of it and all before it.

- `chains`: sums and products, several at a time.
- `products`: the gradient of products.
- `extremes`: maxima and minima with their indices.
- `logsum`: logarithms of sums of exponentials.
- `functions`: the public functions.
"""

from kernels.scan import chains, extremes, logsum
from kernels.scan.functions import (
    cummax,
    cummax_backward,
    cummin,
    cummin_backward,
    cumprod,
    cumprod_backward,
    cumsum,
    cumsum_backward,
    logcumsumexp,
    logcumsumexp_backward,
)

VARIANTS = chains.VARIANTS | extremes.VARIANTS | logsum.VARIANTS

"""Reductions along any axis, and the functions made of them.

- `sums`: sum and mean.
- `extremes`: maximum and argmax.
- `exponentials`: softmax, log-softmax, logsumexp; `peaks` has what they share with cross-entropy.
- `layout`, `ranges`: how an array is seen along an axis; the loops over a contiguous range.
"""

from kernels.reduction import exponentials, extremes, sums
from kernels.reduction.exponentials import (
    log_softmax,
    log_softmax_backward,
    logsumexp,
    logsumexp_backward,
    softmax,
    softmax_backward,
)
from kernels.reduction.extremes import argmax, max, max_backward
from kernels.reduction.sums import mean, mean_backward, sum, sum_backward

VARIANTS = sums.VARIANTS | extremes.VARIANTS | exponentials.VARIANTS

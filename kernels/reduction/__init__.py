"""Reductions along any axis, and the functions made of them.

- `sums`: sum and mean; `axis_sums`: their loops along an axis.
- `extremes`: maximum and argmax; `maxima`: their loops.
- `exponentials`: softmax; `logarithms`: log-softmax; `logsum`: logsumexp.
- `blocks`, `peaks`: what those have in common with cross-entropy: the division of work, maxima and sums.
- `layout`: shapes along an axis; `ranges`: loops over a contiguous range.
"""

from kernels.reduction import exponentials, extremes, logarithms, logsum, sums
from kernels.reduction.exponentials import softmax, softmax_backward
from kernels.reduction.extremes import argmax, max, max_backward
from kernels.reduction.logarithms import log_softmax, log_softmax_backward
from kernels.reduction.logsum import logsumexp, logsumexp_backward
from kernels.reduction.sums import mean, mean_backward, sum, sum_backward

VARIANTS = sums.VARIANTS | extremes.VARIANTS | exponentials.VARIANTS | logarithms.VARIANTS | logsum.VARIANTS

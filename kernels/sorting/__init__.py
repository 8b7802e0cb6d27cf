"""Sorting along any axis, and what comes of it: selection, search, distinct values.

- `keys`: numbers as integers in the same order.
- `radix`: a row sorted digit by digit.
- `slices`: the slices of an array sorted; the gradient.
- `selection`: the k largest; the k-th smallest.
- `search`: places in a sorted row; distinct values.
- `functions`, `searches`: the public functions.
"""

from kernels.sorting import search, selection, slices
from kernels.sorting.functions import argsort, kthvalue, median, sort, sort_backward, topk
from kernels.sorting.searches import bucketize, searchsorted, unique

VARIANTS = slices.VARIANTS | selection.VARIANTS | search.VARIANTS

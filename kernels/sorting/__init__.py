"""Sorting along any axis, and what comes of it: selection, search, distinct values.

- `keys`: numbers as integers in the same order.
- `radix`: a row sorted digit by digit.
- `slices`: the slices of an array sorted; the gradient.
- `selection`: the k largest; the k-th smallest.
- `search`: places in a sorted row; distinct values.
- `functions`: the public functions.
"""

from kernels.sorting import search, selection, slices
from kernels.sorting.functions import (
    argsort,
    bucketize,
    kthvalue,
    median,
    searchsorted,
    sort,
    sort_backward,
    topk,
    unique,
)

VARIANTS = slices.VARIANTS | selection.VARIANTS | search.VARIANTS

r"""The places of each id in a list, in order: what makes a sum over equal ids free of races.

The gradient of a table adds up, for each row, what came from every place where its id occurs. In the order of the
places, two threads could write to one row; sorted by id, each row's places lie side by side, and one thread takes them
all, first to last, so that the sum has the same bits at any number of threads.

    ids      7 2 7 2 9          touched  2    7    9
    order    1 3 0 2 4          begin    0    2    4    5

The sort is stable and goes digit by digit from the lowest (Knuth, The Art of Computer Programming 3, section 5.2.5):
about 4 n operations a digit, and nothing of the size of the table.
"""

import numpy as np

from kernels._jit import jit

DIGIT = np.int64(8)  # bits; 256 counters are 2 KiB, and a table of 65,536 rows needs two passes
BUCKETS = np.int64(2**8)


@jit
def _sorted_order(ids, number):
    """Stable order in which the ids, from 0 to number - 1, increase."""
    n = ids.size
    order, moved, place = np.arange(n), np.empty(n, np.int64), np.empty(BUCKETS, np.int64)
    shift = np.int64(0)
    while (number - 1) >> shift > 0:
        place[:] = 0
        for i in range(n):
            place[(ids[i] >> shift) & (BUCKETS - 1)] += 1
        total = 0
        for digit in range(BUCKETS):  # from the count of each digit to the place of its first id
            total += place[digit]
            place[digit] = total - place[digit]
        for k in range(n):
            digit = (ids[order[k]] >> shift) & (BUCKETS - 1)
            moved[place[digit]] = order[k]
            place[digit] += 1
        order, moved = moved, order
        shift += DIGIT
    return order


@jit
def grouped(ids, number):
    """``order, touched, begin``: ``ids[order[begin[u] : begin[u + 1]]]`` are all touched[u], which increases."""
    n = ids.size
    order = _sorted_order(ids, number)
    touched, begin = np.empty(n, np.int64), np.empty(n + 1, np.int64)
    groups = 0
    for k in range(n):
        if k == 0 or ids[order[k]] != touched[groups - 1]:
            touched[groups], begin[groups] = ids[order[k]], k
            groups += 1
    begin[groups] = n
    return order, touched[:groups], begin[: groups + 1]

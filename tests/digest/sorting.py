"""Cases of `kernels.sorting`."""

import numpy as np

from kernels.sorting.keys import FORMS, bits_of


def order(run, shape, dim, k):
    for x in (run.normal(*shape), run.indices(9, *shape)):
        for up in (False, True):
            _, indices = run.call("sort", x, dim, up)
            run.call("argsort", x, dim, up)
            run.call("topk", x, k, dim, up)
        run.call("kthvalue", x, k, dim)
        run.call("median", x, dim)
        run.call("unique", x, True, True, True)
    run.call("sort_backward", run.normal(*shape), indices, shape, dim)


def search(run, n, *shape):
    row, values = np.sort(run.normal(n)), run.normal(*shape)
    run.call("searchsorted", row, values)
    run.call("bucketize", values, row, True)


def ladder(run, rows, columns):
    x = run.normal(rows, columns)
    bits, form = bits_of(x).reshape(x.shape), FORMS[x.dtype]
    run.rungs("sorting", "sort", bits, form, False, run.indices(1, rows, columns))
    run.rungs("sorting", "topk", bits, form, True, run.indices(1, rows, columns // 2))
    run.rungs("sorting", "kthvalue", bits, form, columns // 2, run.indices(1, rows))
    row = np.sort(x[0])
    run.rungs("sorting", "searchsorted", bits_of(row), bits_of(x), form, True, run.indices(1, x.size))


SHAPES = (((), 0, 1), ((7,), 0, 3), ((5, 90), 1, 20), ((90, 5), 0, 2), ((3, 20_000), 1, 50), ((70, 9, 90), 1, 5))
CASES = [
    *((order, *each) for each in SHAPES),
    *((search, *each) for each in ((1, 5), (90, 7), (90, 3, 30), (3000, 200, 90))),
    *((ladder, *each) for each in ((3, 7), (5, 90))),
]

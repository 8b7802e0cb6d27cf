"""Cases of `kernels.reduction`, along each dimension."""

import numpy as np

from tests.checking import LAYOUTS


def reduction(run, shape, dim, keepdim=False, layout=None):
    x = run.normal(*shape)
    x = LAYOUTS[layout](x) if layout else x
    for name in ("sum", "mean"):
        y = run.call(name, x, dim, keepdim)
        run.call(f"{name}_backward", run.normal(*y.shape), shape, dim, keepdim)
    dims = tuple(range(len(shape))) if dim is None else dim
    y = run.call("logsumexp", x, dims, keepdim)
    run.call("logsumexp_backward", run.normal(*y.shape), x, y, dims, keepdim)


def extremes(run, shape, dim, layout=None):
    x = run.normal(*shape).round(1)  # some elements are equal
    x = LAYOUTS[layout](x) if layout else x
    run.call("argmax", x, dim)
    found = run.call("max", x, dim)
    y, indices = found if isinstance(found, tuple) else (found, None)
    run.call("max_backward", run.normal(*y.shape), x, dim, indices=indices)


def softmax(run, shape, dim, layout=None):
    x = run.normal(*shape) * run.dtype.type(3)
    x = LAYOUTS[layout](x) if layout else x
    for name in ("softmax", "log_softmax"):
        y = run.call(name, x, dim)
        run.call(f"{name}_backward", run.normal(*y.shape), y, dim)


def specials(run, shape, dim):
    """Rows with infinities and NaN."""
    x = run.normal(*shape)
    x[0, 1], x[1, :3], x[2], x[3, 2] = np.inf, -np.inf, -np.inf, np.nan
    for name in ("softmax", "log_softmax", "logsumexp", "max", "argmax", "sum", "mean"):
        run.call(name, x, dim)


def ladder(run, rows, columns):
    for name in ("sum", "mean", "max", "argmax", "logsumexp"):
        y = np.zeros(rows, np.int64) if name == "argmax" else run.zeros(rows)
        run.rungs("reduction", name, run.normal(rows, columns), y)
    for name in ("softmax", "log_softmax"):
        run.rungs("reduction", name, run.normal(rows, columns), run.zeros(rows, columns))


SHAPES = (
    (1,), (24,), (70_001,), (4, 6), (200, 256), (33, 1000), (2, 70_000), (5000, 3), (6, 5, 4), (64, 24, 48),
    (3, 5000, 7), (2, 3, 4, 5),
)  # fmt: skip
EACH = [(shape, dim) for shape in SHAPES for dim in range(len(shape))]
SOME = [((6, 5, 4), (0, 2)), ((64, 24, 48), (0, 1)), ((64, 24, 48), (1, 2)), ((2, 3, 4, 5), (0, 2))]
CASES = [
    *((reduction, *each) for each in (*EACH, *SOME)),
    *((reduction, shape, None) for shape in SHAPES),
    *((reduction, shape, 1, True) for shape in SHAPES[7:]),
    *((function, *each) for function in (extremes, softmax) for each in EACH),
    *((extremes, shape, None) for shape in SHAPES),
    *((reduction, (20, 30), dim, False, layout) for dim in (0, 1) for layout in ("fortran", "strided")),
    *((function, (20, 30), dim, layout) for function in (extremes, softmax) for dim in (0, 1)
      for layout in ("fortran", "strided")),
    *((specials, shape, dim) for shape in ((5, 7), (40, 300)) for dim in (0, 1)),
    *((ladder, *shape) for shape in ((1, 1), (5, 17), (33, 33), (3, 1000))),
]  # fmt: skip

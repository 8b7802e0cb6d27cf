"""Cases of `kernels.lookup`."""

import math

import numpy as np


def embedding(run, ids, table, *options):
    """The options: padding_idx, max_norm, norm_type, scale_grad_by_freq."""
    padding, _, _, by_frequency = options or (None, None, 2.0, False)
    ids, weight = run.indices(table[0], *ids), run.normal(*table)
    y = run.call("embedding", ids, weight, *options)
    run.call("embedding_backward", run.normal(*y.shape), ids, table[0], padding, by_frequency)
    run.call("embedding", ids.astype(np.int32), weight)


def bag(run, ids, table, mode, options=None, offsets=None, by_frequency=False):
    """The options: per_sample_weights, padding_idx, include_last_offset."""
    ids, weight, options = run.indices(table[0], *ids), run.normal(*table), dict(options or {})
    if "per_sample_weights" in options:
        options["per_sample_weights"] = run.normal(*ids.shape)
    offsets = None if offsets is None else np.array(offsets)
    more = {"mode": mode, "scale_grad_by_freq": by_frequency} | options
    y = run.call("embedding_bag", ids, weight, offsets, **more)
    if mode == "max":
        more["indices"] = np.zeros(y.shape, np.int64)
        run.call("embedding_bag", ids, weight, offsets, **more)
    run.call("embedding_bag_backward", run.normal(*y.shape), ids, weight, offsets, **more)


def bag_of_norm(run, ids, table, max_norm, norm_type):
    run.call("embedding_bag", run.indices(table[0], *ids), run.normal(*table), None, max_norm, norm_type)


def along(run, shape, dim, index_shape):
    """Elements along a dimension, by an index of another shape."""
    x, src, dy = run.normal(*shape), run.normal(*index_shape), run.normal(*shape)
    index, row = run.indices(shape[dim], *index_shape), run.indices(shape[dim], index_shape[dim])
    run.call("gather", x, dim, index)
    run.call("gather_backward", src, shape, dim, index)
    for name in ("scatter", "scatter_add"):
        run.call(name, x, dim, index, src)
        run.call(f"{name}_backward", dy, dim, index)
    for reduce in ("sum", "prod", "mean", "amax", "amin"):
        for include_self in (True, False):
            options = {"include_self": include_self}
            y = run.call("scatter_reduce", x, dim, index, src, reduce, **options)
            run.call("scatter_reduce_backward", dy, x, dim, index, src, reduce, y, **options)
    y = run.call("index_select", x, dim, row)
    run.call("index_select_backward", run.normal(*y.shape), shape, dim, row)
    run.call("index_add", x, dim, row, run.normal(*y.shape), alpha=2)
    run.call("index_add_backward", dy, dim, row, alpha=2)


def ladder_along(run, A, n, m, B):
    x, src, index = run.normal(A, n, B), run.normal(A, m, B), run.indices(n, A, m, B)
    run.rungs("lookup", "gather", x, index, run.zeros(A, m, B))
    run.rungs("lookup", "scatter_add", x, index, src, run.zeros(A, n, B))


def ladder(run, V, E, n):
    ids, weight, starts = run.indices(V, n), run.normal(V, E), np.array([0, 0, n // 2, n])
    run.rungs("lookup", "embedding", ids, weight, run.zeros(n, E))
    run.rungs("lookup", "embedding_backward", run.normal(n, E), ids, run.zeros(V, E))
    run.rungs("lookup", "embedding_bag", ids, starts, np.full(n, 2, run.dtype), weight, run.zeros(3, E))


TABLES = (((), (5, 1)), ((6, 4), (5, 24)), ((7,), (30, 33)), ((20, 40), (300, 192)), ((3000,), (70_000, 17)))
OPTIONS = ((2, None, 2.0, False), (-1, 1.0, 2.0, True), (None, 0.5, math.inf, True), (None, 2.0, 1.5, False))
BAGS = (((6, 4), (5, 24), None), ((20, 40), (300, 192), None), ((50,), (30, 33), (0, 0, 13, 14, 50)))
CASES = [
    *((embedding, *shapes) for shapes in TABLES),
    *((embedding, *shapes, *options) for shapes in TABLES[1:4] for options in OPTIONS),
    *((bag, ids, table, mode, options, offsets) for ids, table, offsets in BAGS for mode in ("sum", "mean", "max")
      for options in ({}, {"padding_idx": 3})),
    *((bag, ids, table, "sum", {"per_sample_weights": True}, offsets) for ids, table, offsets in BAGS),
    *((bag, ids, table, mode, {}, offsets, True) for ids, table, offsets in BAGS for mode in ("sum", "mean")),
    (bag, (50,), (30, 33), "sum", {"include_last_offset": True}, (0, 0, 13, 14, 50)),
    (bag_of_norm, (20, 40), (300, 192), 1.0, 2.0),
    *((along, *shapes) for shapes in (((5,), 0, (9,)), ((6, 4), 1, (5, 7)), ((3, 5, 40), 1, (3, 4, 40)),
      ((40, 3000), 0, (50, 3000)), ((300, 200), 1, (300, 150)))),
    *((ladder_along, *shape) for shape in ((2, 3, 4, 1), (2, 5, 3, 9))),
    *((ladder, *shape) for shape in ((1, 1, 1), (5, 7, 3), (30, 65, 200))),
]  # fmt: skip

"""Cases of `kernels.normalization`."""

from tests.checking import LAYOUTS


def batch_norm(run, shape, training, activation=None, affine=True, layout=None):
    C = shape[1]
    x, weight, bias = run.normal(*shape), *((run.normal(C), run.normal(C)) if affine else (None, None))
    x = LAYOUTS[layout](x) if layout else x
    running = run.normal(C), run.uniform(C) + run.dtype.type(0.5)
    statistics = {"mean": run.zeros(C), "rstd": run.zeros(C)}
    y = run.call("batch_norm", x, *running, weight, bias, training, activation=activation, **statistics)
    saved = {} if activation is None else {"activation": activation, "saved": y}
    run.call("batch_norm_backward", run.normal(*shape), x, *statistics.values(), weight, training, **saved)
    if training:
        run.call("batch_norm", x, None, None, weight, bias, True)


def batch_norm_of_strided(run, shape):
    """Running statistics that are not contiguous."""
    running = run.normal(shape[1], 2)[:, 0], run.uniform(shape[1], 2)[:, 1]
    for training in (True, False):
        run.call("batch_norm", run.normal(*shape), *running, None, None, training)


def layer_norm(run, leading, normalized, affine=True, layout=None):
    x = run.normal(*leading, *normalized)
    x = LAYOUTS[layout](x) if layout else x
    residual, dy, dsum = (run.normal(*x.shape) for _ in range(3))
    weight, bias = (run.normal(*normalized), run.normal(*normalized)) if affine else (None, None)
    mean, rstd, total = run.zeros(*leading), run.zeros(*leading), run.zeros(*x.shape)
    run.call("layer_norm", x, normalized, weight, bias, mean=mean, rstd=rstd)
    run.call("layer_norm_backward", dy, x, normalized, mean, rstd, weight)
    run.call("rms_norm", x, normalized, weight, rstd=rstd)
    run.call("rms_norm_backward", dy, x, normalized, rstd, weight)
    run.call("add_layer_norm", x, residual, normalized, weight, bias, sum=total, mean=mean, rstd=rstd)
    run.call("add_layer_norm_backward", dy, total, normalized, mean, rstd, weight)
    run.call("add_layer_norm_backward", dy, total, normalized, mean, rstd, weight, dsum=dsum)


def group_norm(run, shape, groups, affine=True, layout=None):
    N, C = shape[:2]
    x, weight, bias = run.normal(*shape), *((run.normal(C), run.normal(C)) if affine else (None, None))
    x = LAYOUTS[layout](x) if layout else x
    mean, rstd = run.zeros(N, groups), run.zeros(N, groups)
    run.call("group_norm", x, groups, weight, bias, mean=mean, rstd=rstd)
    run.call("group_norm_backward", run.normal(*shape), x, groups, mean, rstd, weight)


def instance_norm(run, shape, use_input_stats=True):
    N, C = shape[:2]
    x, weight, bias = run.normal(*shape), run.normal(C), run.normal(C)
    running = run.normal(C), run.uniform(C) + run.dtype.type(0.5)
    moments = (N, C) if use_input_stats else (C,)
    mean, rstd = run.zeros(*moments), run.zeros(*moments)
    run.call("instance_norm", x, *running, weight, bias, use_input_stats, mean=mean, rstd=rstd)
    run.call("instance_norm_backward", run.normal(*shape), x, mean, rstd, weight, use_input_stats)


def local_response_norm(run, shape, size, beta=0.75):
    x = run.normal(*shape)
    run.call("local_response_norm", x, size, 0.5, beta, 2.0)
    run.call("local_response_norm_backward", run.normal(*shape), x, size, 0.5, beta, 2.0)


def ladder_of_batches(run, shape):
    C = shape[1]
    x, weight, bias, mean, rstd = run.normal(*shape), run.normal(C), run.normal(C), run.normal(C), run.uniform(C)
    run.rungs("normalization", "batch_norm", x, weight, bias, 1e-5, run.zeros(C), run.zeros(C), run.zeros(*shape))
    results = run.zeros(*shape), run.zeros(C), run.zeros(C)
    run.rungs("normalization", "batch_norm_backward", run.normal(*shape), x, weight, mean, rstd, *results)


def ladder_of_rows(run, rows, columns):
    x, residual, dy, y = *(run.normal(rows, columns) for _ in range(3)), run.zeros(rows, columns)
    weight, bias, mean, rstd = run.normal(columns), run.normal(columns), run.normal(rows), run.uniform(rows)
    moments = run.zeros(rows), run.zeros(rows)
    run.rungs("normalization", "layer_norm", x, weight, bias, 1e-5, *moments, y)
    results = y, run.zeros(columns), run.zeros(columns)
    run.rungs("normalization", "layer_norm_backward", dy, x, weight, mean, rstd, *results)
    run.rungs("normalization", "rms_norm", x, weight, 1e-5, moments[0], y)
    run.rungs("normalization", "add_layer_norm", x, residual, weight, bias, 1e-5, *moments, y)


def ladder_of_groups(run, shape):
    x, weight, bias, moments = run.normal(*shape), run.normal(shape[1]), run.normal(shape[1]), run.zeros(shape[0], 2)
    run.rungs("normalization", "group_norm", x, weight, bias, 1e-5, moments, moments.copy(), run.zeros(*shape))
    run.rungs("normalization", "local_response_norm", x, 3, 0.5, 0.75, 1.0, run.zeros(*shape))


# Shapes (N, C) and (N, C, ...), small and large.
BATCHES = (
    (3, 2), (70, 33), (300, 192), (6, 5, 4), (3, 4, 40), (3, 4, 65), (2, 2, 5000), (2, 6, 7, 9), (8, 16, 24, 24),
    (4, 32, 28, 28), (2, 3, 4, 5, 6),
)  # fmt: skip
ROWS = (
    ((), (7,)), ((1,), (1,)), ((3,), (7,)), ((5, 3), (33,)), ((4,), (2, 3, 5)), ((70,), (65,)), ((300,), (192,)),
    ((2,), (5000,)), ((64,), (768,)), ((0,), (5,)),
)  # fmt: skip
CASES = [
    *((batch_norm, shape, training) for shape in BATCHES for training in (True, False)),
    *((batch_norm, shape, training, "relu") for shape in BATCHES[1:9] for training in (True, False)),
    *((batch_norm, shape, training, None, False) for shape in BATCHES[1:6] for training in (True, False)),
    *((batch_norm, (6, 5, 7, 8), True, None, True, layout) for layout in ("fortran", "strided", "inner")),
    (batch_norm_of_strided, (6, 5, 7, 8)),
    *((layer_norm, *shape) for shape in ROWS),
    *((layer_norm, *shape, False) for shape in ROWS[3:7]),
    *((layer_norm, (6, 5), (40,), True, layout) for layout in ("fortran", "strided", "inner")),
    *((group_norm, shape, groups) for shape in BATCHES[5:] if not shape[1] % 2 for groups in {1, 2, shape[1]}),
    *((group_norm, (3, 6, 5, 7), 3, False, layout) for layout in (None, "fortran", "strided")),
    (group_norm, (5, 6), 2),
    *((instance_norm, shape, use) for shape in BATCHES[3:] for use in (True, False)),
    *((local_response_norm, shape, size) for shape in BATCHES[3:] for size in (1, 3, 4)),
    *((local_response_norm, (2, 6, 7, 9), 5, beta) for beta in (0.5, 1.0, 0.6)),
    *((ladder_of_batches, shape) for shape in ((3, 2, 1), (70, 33, 1), (4, 5, 3), (3, 4, 65), (2, 2, 5000))),
    *((ladder_of_rows, *shape) for shape in ((3, 5), (70, 33), (2, 5000))),
    *((ladder_of_groups, shape) for shape in ((3, 4, 5), (2, 6, 33))),
]

"""Cases of `kernels.loss`."""

import numpy as np

OF_PAIRS = {"mse_loss": (), "l1_loss": (), "smooth_l1_loss": (0.3,), "huber_loss": (0.3,), "kl_div": ()}


def pair(run, name, parameters, shape, reduction):
    x, target = run.uniform(*shape), run.uniform(*shape)
    y = run.call(name, x, target, reduction, *parameters)
    run.call(f"{name}_backward", run.normal(*y.shape), x, target, reduction, *parameters)


def binary(run, shape, reduction, weighted):
    x, target = run.uniform(*shape), run.uniform(*shape)
    weight, positive = (run.uniform(*shape), run.uniform(*shape)) if weighted else (None, None)
    name = "binary_cross_entropy"
    y = run.call(name, x, target, weight, reduction)
    run.call(f"{name}_backward", run.normal(*y.shape), x, target, weight, reduction)
    name, x = "binary_cross_entropy_with_logits", run.normal(*shape)
    y = run.call(name, x, target, weight, reduction, positive)
    run.call(f"{name}_backward", run.normal(*y.shape), x, target, weight, reduction, positive)


def classes(run, shape, reduction, weighted, ignore_index=-100):
    """Class indices, of which some are ignored."""
    axis = 1 if len(shape) > 1 else 0
    rows, count = (*shape[:axis], *shape[axis + 1 :]), shape[axis]
    x, target = run.normal(*shape), np.asarray(run.indices(count, *rows))
    target = np.where(run.rng.random(rows) < 0.1, ignore_index, target)
    weight = run.uniform(count) if weighted else None
    for smoothing in (0.0, 0.1):
        lse, options = run.zeros(*rows), (ignore_index, reduction, smoothing)
        run.call("cross_entropy", x, target, weight, *options)
        y = run.call("cross_entropy", x, target, weight, *options, lse=lse)
        run.call("cross_entropy_backward", run.normal(*y.shape), x, target, weight, *options)
        run.call("cross_entropy_backward", run.normal(*y.shape), x, target, weight, *options, lse=lse)
    y = run.call("nll_loss", x, target, weight, ignore_index, reduction)
    run.call("nll_loss_backward", run.normal(*y.shape), x, target, weight, ignore_index, reduction)


def probabilities(run, shape, reduction, weighted, smoothing):
    x, target, weight = run.normal(*shape), run.uniform(*shape), run.uniform(shape[1]) if weighted else None
    options = {"reduction": reduction, "label_smoothing": smoothing}
    y = run.call("cross_entropy", x, target, weight, **options)
    run.call("cross_entropy_backward", run.normal(*y.shape), x, target, weight, **options)


def vocabulary(run, rows, K, C, reduction="mean", weighted=False, smoothing=0.0):
    x, linear_weight, target = run.normal(*rows, K), run.normal(C, K), run.indices(C, *rows)
    bias, weight = (run.normal(C), run.uniform(C)) if weighted else (None, None)
    options = {"linear_bias": bias, "weight": weight, "reduction": reduction, "label_smoothing": smoothing}
    y = run.call("linear_cross_entropy", x, linear_weight, target, **options)
    dy = run.normal(*y.shape)
    run.call("linear_cross_entropy_backward", dy, x, linear_weight, target, **options)
    if reduction != "none":
        options["gradients"] = run.zeros(*x.shape), run.zeros(C, K), run.zeros(C)
        run.call("linear_cross_entropy", x, linear_weight, target, **options)
        run.call("linear_cross_entropy_backward", dy, x, linear_weight, target, **options)


def sequences(run, T, N, C, size, reduction):
    log_probs = -np.abs(run.normal(T, N, C))
    targets, sizes = run.indices(C, N, size), np.arange(N) % (size + 1)
    arguments = log_probs, targets, np.full(N, T), sizes
    log_alpha = np.zeros((N, T, 2 * sizes.max() + 1), run.dtype)
    y = run.call("ctc_loss", *arguments, 0, reduction, True, log_alpha=log_alpha)
    run.call("ctc_loss_backward", run.normal(*y.shape), *arguments, 0, reduction, True, log_alpha=log_alpha)


def ladder_of_sequences(run, T, N, C):
    starts, lengths = np.arange(N + 1), np.full(N, T)
    run.rungs("loss", "ctc_loss", -np.abs(run.normal(T, N, C)), run.indices(C, N), starts, lengths, 0, run.zeros(N))


def ladder(run, rows, columns):
    target = run.indices(columns, rows)
    run.rungs("loss", "cross_entropy", run.normal(rows, columns), target, run.zeros(rows))
    for name in (*OF_PAIRS, "binary_cross_entropy", "binary_cross_entropy_with_logits"):
        size = rows * columns
        run.rungs("loss", name, run.uniform(size), run.uniform(size), run.zeros(size), 0.3)


def ladder_of_vocabulary(run, rows, K, C):
    operands = run.normal(rows, K), run.normal(C, K), run.normal(C), run.indices(C, rows)
    run.rungs("loss", "linear_cross_entropy", *operands, run.zeros(rows))


REDUCTIONS = ("none", "mean", "sum")
SHAPES = ((4, 6), (6, 5, 4), (192, 256), (64, 24, 48), (5, 3001))
CASES = [
    *((pair, name, parameters, shape, reduction) for name, parameters in OF_PAIRS.items()
      for shape in (*SHAPES, (7,), ()) for reduction in REDUCTIONS),
    *((pair, "smooth_l1_loss", (0,), shape, reduction) for shape in SHAPES[:3] for reduction in REDUCTIONS),
    *((pair, "kl_div", (True,), shape, reduction) for shape in SHAPES for reduction in REDUCTIONS),
    *((binary, shape, reduction, weighted) for shape in SHAPES for reduction in REDUCTIONS
      for weighted in (False, True)),
    *((classes, shape, reduction, weighted) for shape in (*SHAPES, (7,)) for reduction in REDUCTIONS
      for weighted in (False, True)),
    *((classes, shape, "mean", True, 2) for shape in SHAPES[:3]),
    *((probabilities, shape, reduction, weighted, smoothing) for shape in SHAPES[:4] for reduction in REDUCTIONS
      for weighted in (False, True) for smoothing in (0.0, 0.1)),
    *((vocabulary, rows, K, C, reduction, weighted, smoothing)
      for rows, K, C in (((1,), 3, 7), ((2, 15), 20, 65), ((300,), 24, 400)) for reduction in REDUCTIONS
      for weighted, smoothing in ((False, 0.0), (True, 0.1))),
    (vocabulary, (300,), 8, 20_000),
    *((sequences, *shape, reduction) for shape in ((4, 2, 5, 2), (60, 5, 30, 20)) for reduction in REDUCTIONS),
    (ladder_of_sequences, 5, 2, 4),
    *((ladder, *shape) for shape in ((1, 1), (5, 17), (33, 33))),
    *((ladder_of_vocabulary, *shape) for shape in ((1, 1, 1), (5, 3, 7), (30, 20, 65))),
]  # fmt: skip

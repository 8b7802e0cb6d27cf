"""Cases of `kernels.pooling`, in one, two and three dimensions."""

import math

import numpy as np


def shape_of(dims, planes, size):
    return (2, planes, *size[-dims:])


def max_pool(run, dims, planes, size, *window):
    """The window: kernel, stride, padding, dilation, ceil_mode."""
    name, x = f"max_pool{dims}d", run.normal(*shape_of(dims, planes, size))
    run.call(name, x, *window)
    for kind in (True, "window"):
        y, positions = run.call(name, x, *window, return_indices=kind)
        run.call(f"{name}_backward", run.normal(*y.shape), x.shape, positions, *window)


def max_pool_of_many(run, shape, kernel, stride):
    """Windows with more elements than a uint8 can index."""
    x = run.normal(*shape)
    y, positions = run.call("max_pool2d", x, kernel, stride, return_indices=True)
    run.call("max_pool2d_backward", run.normal(*y.shape), x.shape, positions, kernel, stride)


def max_pool_alone(run, shape, *window):
    run.call("max_pool1d", run.normal(*shape), *window)


def avg_pool(run, dims, planes, size, *window, **options):
    """The window: kernel, stride, padding, ceil_mode, count_include_pad."""
    name, x = f"avg_pool{dims}d", run.normal(*shape_of(dims, planes, size))
    y = run.call(name, x, *window, **options)
    run.call(f"{name}_backward", run.normal(*y.shape), x.shape, *window, **options)


def divided(run, dims, planes, size, divisor):
    avg_pool(run, dims, planes, size, 2, divisor_override=divisor)


def lp_pool(run, dims, planes, size, power, *window):
    """The window: kernel, stride, ceil_mode."""
    name, x = f"lp_pool{dims}d", run.uniform(*shape_of(dims, planes, size))
    y = run.call(name, x, power, *window)
    run.call(f"{name}_backward", run.normal(*y.shape), x, y, power, *window)


def adaptive(run, dims, planes, size, output):
    x = run.normal(*shape_of(dims, planes, size))
    y = run.call(f"adaptive_avg_pool{dims}d", x, output)
    run.call(f"adaptive_avg_pool{dims}d_backward", run.normal(*y.shape), x.shape)
    run.call(f"adaptive_max_pool{dims}d", x, output)
    y, positions = run.call(f"adaptive_max_pool{dims}d", x, output, True)
    run.call(f"adaptive_max_pool{dims}d_backward", run.normal(*y.shape), x.shape, positions)


def max_unpool(run, dims, planes, size):
    name, x = f"max_unpool{dims}d", run.normal(*shape_of(dims, planes, size))
    y, positions = run.call(f"max_pool{dims}d", x, 2, return_indices=True)
    z = run.call(name, y, positions, 2, None, 0, x.shape)
    run.call(f"{name}_backward", run.normal(*z.shape), positions)


def patches(run, planes, size, *window):
    """The window: kernel, dilation, padding, stride."""
    x = run.normal(2, planes, *size)
    columns = run.call("unfold", x, *window)
    run.call("unfold_backward", run.normal(*columns.shape), x.shape, *window)
    folded = run.call("fold", columns, size, *window)
    run.call("fold_backward", run.normal(*folded.shape), columns.shape, *window)


def columns(run, plane, *sizes):
    """Rows of `sizes`: kernel, stride, padding, dilation, in three dimensions each."""
    kernel, stride, padding, dilation = sizes
    out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in
           zip(plane, kernel, stride, padding, dilation, strict=True)]  # fmt: skip
    filled = run.zeros(3, int(np.prod(kernel)), *out)
    run.call("im2col", run.normal(3, *plane), np.array(sizes), filled)
    run.call("col2im", filled, np.array(sizes), run.zeros(3, *plane))


def interpolate(run, shape, size, scale, mode, **options):
    x = run.normal(*shape)
    y = run.call("interpolate", x, size, scale, mode, **options)
    run.call("interpolate_backward", run.normal(*y.shape), x.shape, size, scale, mode, **options)


def sampled(run, shape, results, mode, padding_mode):
    x, grid = run.normal(*shape), run.normal(shape[0], *results, len(results))
    for align_corners in (True, False):
        y = run.call("grid_sample", x, grid, mode, padding_mode, align_corners)
        run.call("grid_sample_backward", run.normal(*y.shape), x, grid, mode, padding_mode, align_corners)


def ladder_of_samples(run, N, C, D, H, W, P):
    x, grid = run.normal(N, C, D, H, W), run.normal(N, P, 3)
    run.rungs("pooling", "grid_sample", x, grid, 2, 2, False, run.zeros(N, C, P))


def aligned(run, shape, size, mode):
    interpolate(run, shape, size, None, mode, align_corners=True)


def ladders(run, *sizes):
    plane, table = (3, 7, 18), np.array(sizes)
    flat = np.array([*sizes[:3], (1, 1, 1)])
    out, flat_out = (
        [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(plane, *each.tolist(), strict=True)]
        for each in (table, flat)
    )
    x, taps = run.normal(3, *plane), int(np.prod(table[0]))
    run.rungs("pooling", "max_pool", x, table, run.zeros(3, *out), np.zeros((3, *out), np.int64))
    run.rungs("pooling", "avg_pool", x, flat, False, 0, run.zeros(3, *flat_out))
    run.rungs("pooling", "avg_pool_backward", run.normal(3, *flat_out), flat, True, 5, run.zeros(3, *plane))
    run.rungs("pooling", "im2col", x, table, run.zeros(3, taps, *out))
    run.rungs("pooling", "col2im", run.normal(3, taps, *out), table, run.zeros(3, *plane))
    run.rungs("pooling", "adaptive_avg_pool", x, run.zeros(3, 2, 5, 7))
    positions = np.argsort(run.rng.random((3, 40)), 1)[:, :17].copy()
    run.rungs("pooling", "max_unpool", run.normal(3, 17), positions, run.zeros(3, 40))
    tables = tuple(weights_of_two(run, n, o) for n, o in zip(plane, (4, 5, 20), strict=True))
    run.rungs("pooling", "interpolate", x, tables, run.zeros(3, 4, 5, 20))


def weights_of_two(run, n, out):
    """Starts, positions and weights of a linear interpolation of n elements."""
    positions = np.stack([np.arange(out) * (n - 1) // out, np.arange(out) * (n - 1) // out + 1], 1)
    weights = run.uniform(out, 2)
    return np.arange(0, 2 * out + 1, 2), positions.reshape(-1), weights.reshape(-1)


DIMS, SIZES = (1, 2, 3), ((2, (4, 6, 9)), (16, (5, 40, 41)))
EACH = [(dims, *size) for dims in DIMS for size in SIZES]
IMAGES = ((1, 3, 9), (2, 40, 41))  # planes, height, width
CASES = [
    *((sampled, shape, results, mode, padding) for shape, results in
      (((2, 3, 4, 5), (3, 6)), ((1, 2, 3, 4, 5), (2, 3, 4)), ((2, 5, 30, 40), (50, 60)))
      for mode in ("bilinear", "nearest") for padding in ("zeros", "border", "reflection")),
    *((sampled, (2, 3, 4, 5), (3, 6), "bicubic", padding) for padding in ("zeros", "border", "reflection")),
    (ladder_of_samples, 2, 3, 2, 4, 5, 7),
    *((max_pool, *each, *window) for each in EACH
      for window in ((2,), (3, 2, 1), (3, 3, 1), (3, 1, 1), (2, 2, 0, 2), (3, 2, 1, 1, True), (2, 3))),
    *((avg_pool, *each, *window) for each in EACH
      for window in ((2,), (3, 2, 1), (3, 3, 1), (3, 1, 1), (3, 2, 1, True), (3, 2, 1, False, False), (2, 3))),
    *((divided, dims, *size, 5) for dims in (2, 3) for size in SIZES),
    *((max_pool, 2, 3, (30, 300), *window) for window in (((2, 7), (1, 2)), (15, 5), ((1, 30), 1))),
    (max_pool_of_many, (2, 3, 30, 300), 20, 5),
    *((avg_pool, 2, 3, (30, 300), *window) for window in (((2, 7), (1, 2)), (20, 5), ((1, 30), 1))),
    # windows so large that the naive loops compute them
    (avg_pool, 1, 3, (40,), 2**17, 1, 2**16),
    (max_pool_alone, (2, 3, 40), 2**17, 1, 2**16),
    *((lp_pool, *each, power, *window) for each in EACH for power in (1, 2, 3.5, math.inf)
      for window in ((2,), (3, 2, True))),
    *((adaptive, *each, output) for each in EACH for output in (1, 2, 3)),
    *((adaptive, 2, 5, (40, 41), output) for output in ((7, None), (50, 3))),
    *((max_unpool, *each) for each in EACH),
    *((patches, planes, size, *window) for planes, size in ((2, (6, 9)), (9, (40, 41)))
      for window in ((2,), (3, 1, 1), (3, 2, 2), (3, 1, 1, 2), ((2, 3), 1, (0, 1), (3, 3)))),
    (columns, (3, 7, 18), (1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)),
    (columns, (3, 7, 18), (2, 2, 4), (1, 3, 1), (1, 0, 2), (1, 2, 1)),
    (columns, (8, 30, 40), (3, 3, 3), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
    *((interpolate, (2, *image[:1], *image[-dims:]), None, scale, mode)
      for mode, dims in (("nearest", 1), ("nearest", 2), ("nearest-exact", 2), ("linear", 1), ("bilinear", 2),
                         ("bicubic", 2), ("area", 2))
      for scale in (2, 0.6, 1.7) for image in IMAGES),
    *((interpolate, (2, 3, 4, 7, 9), (5, 4, 20), None, mode) for mode in ("nearest", "trilinear", "area")),
    *((aligned, (2, 3, *size), output, mode) for mode, size, output in (
        ("linear", (9,), 20), ("bilinear", (7, 9), (30, 4)), ("bicubic", (40, 41), (60, 71)),
        ("trilinear", (4, 7, 9), (5, 4, 20)))),
    (ladders, (1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)),
    (ladders, (2, 2, 4), (1, 3, 1), (1, 0, 2), (1, 2, 1)),
]  # fmt: skip

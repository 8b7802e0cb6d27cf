"""Compile everything ahead of time, so that no first call has to: ``python -m kernels.warm``.

Every public function is called in both dtypes, on arrays of each kind that has loops of its own: vectors and matrices,
small, and large enough to be divided among threads. What is compiled stays in the cache (see `kernels.show_config`).
"""

import argparse
import sys

import numpy as np

import kernels
from kernels.pooling.windows import windows

VECTOR, SMALL, LARGE = (24,), (4, 6), (192, 256)  # LARGE is above every threshold of the elementwise kernels

ELEMENTWISE = (
    *("relu", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "sigmoid", "tanh", "exp", "softplus"),
    *("hardtanh", "hardswish", "hardsigmoid", "logsigmoid", "erf", "erfc", "expm1", "log1p", "rsqrt", "lgamma"),
    "digamma",
)
ACTIVATIONS = (None, "relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh")
FEED_FORWARDS = ("relu", "gelu", "gelu_tanh", "silu", "swiglu")
PAIRED_LOSSES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "kl_div")
# Left operand, right operand: dot product, matrix and vector, sizes with and without packing, one row, batches.
PRODUCTS = (
    *(((24,), (24,)), ((24, 24), (24,)), ((24,), (24, 24))),
    *(((1, 512), (512, 512)), ((6, 7), (7, 5)), ((96, 96), (96, 96)), ((400, 400), (400, 400))),
    *(((5, 6, 7), (5, 7, 6)), ((5, 6, 7), (7, 6)), ((8, 96, 64), (8, 64, 96))),
)


def activations(ones):
    for shape in (VECTOR, SMALL, LARGE):
        x = ones(shape)
        for name in ELEMENTWISE:
            yield name, (x,)
            yield f"{name}_backward", (x, x)
        for name in ("gelu", "gelu_backward"):
            yield name, (x,) * (1 + name.endswith("backward")) + ("tanh",)
        for weight in (ones(1), ones(shape[1:2] or 1)):
            yield "prelu", (x, weight)
            yield "prelu_backward", (x, x, weight)
        for dim in range(len(shape)):
            half = ones([size // 2 if axis == dim else size for axis, size in enumerate(shape)])
            yield "glu", (x, dim)
            yield "glu_backward", (half, x, dim)


def products(ones):
    for left, right in PRODUCTS:
        a, b = ones(left), ones(right)
        dy = np.asarray(kernels.matmul(a, b))
        yield "matmul", (a, b)
        yield "matmul_backward", (dy, a, b)
        if len(left) == len(right) == 2:
            a_transposed, b_transposed = ones(left[::-1]).T, ones(right[::-1]).T
            for operands in ((a_transposed, b), (a, b_transposed), (a_transposed, b_transposed)):
                yield "matmul", operands
                yield "matmul_backward", (dy, *operands)
            yield "matmul_loops", (a, b, ones(dy.shape))


def affine(ones):
    for rows, inputs, outputs in ((1, 24, 16), (6, 24, 16), (64, 400, 400)):
        x, weight, bias, y = ones((rows, inputs)), ones((outputs, inputs)), ones(outputs), ones((rows, outputs))
        yield "linear", (x, weight)
        yield "linear_loops", (x, weight, bias, ones((rows, outputs)))
        for activation in ACTIVATIONS:
            yield "linear", (x, weight, bias, activation)
            yield "linear", (x, weight, bias, activation), {"preactivation": ones((rows, outputs))}
            yield "linear_backward", (y, x, weight, activation, y)


def feed_forwards(ones):
    for rows in (6, 400):
        for activation in FEED_FORWARDS:
            x, weight1, weight2 = ones((rows, 24)), ones((96 * (1 + (activation == "swiglu")), 24)), ones((24, 96))
            saved = ones((2, rows, 96) if activation == "swiglu" else (rows, 96))
            for bias1, bias2 in ((None, None), (ones(len(weight1)), ones(24))):
                yield "feed_forward", (x, weight1, bias1, weight2, bias2, activation)
            yield "feed_forward_backward", (x, x, weight1, weight2, saved, activation)


def reductions(ones):
    for shape in (VECTOR, SMALL, LARGE, (6, 5, 4), (64, 24, 48)):
        x = ones(shape)
        for dim in range(len(shape)):
            y = ones([size for axis, size in enumerate(shape) if axis != dim])
            for name in ("softmax", "log_softmax"):
                yield name, (x, dim)
                yield f"{name}_backward", (x, x, dim)
            yield "logsumexp", (x, dim)
            yield "logsumexp_backward", (y, x, y, dim)
            for name in ("sum", "mean", "max", "argmax"):
                yield name, (x, dim)
            for name in ("sum", "mean"):
                yield f"{name}_backward", (y, shape, dim)
            yield "max_backward", (y, x, dim), {"indices": np.zeros(y.shape, np.int64)}
        for name in ("sum", "mean", "max", "argmax"):
            yield name, (x,)
        for name in ("sum", "mean"):
            yield f"{name}_backward", (ones(()), shape)
        yield "max_backward", (ones(()), x)
        yield "logsumexp", (x, tuple(range(len(shape))))
        yield "logsumexp_backward", (ones(()), x, ones(()), tuple(range(len(shape))))


def scans(ones):
    for shape in (VECTOR, SMALL, LARGE, (64, 24, 48)):
        x = ones(shape)
        for dim in range(len(shape)):
            for name in ("cumsum", "cumprod", "logcumsumexp"):
                yield name, (x, dim)
                yield f"{name}_backward", (x, dim) if name == "cumsum" else (x, x, dim)
            for name in ("cummax", "cummin"):
                yield name, (x, dim)
                yield f"{name}_backward", (x, np.zeros(shape, np.int64), dim)
    for name in ("cumsum", "cumprod", "cummax", "cummin"):
        yield name, (np.ones(SMALL, np.int64), 1)


def sorting(ones):
    for x in (ones(SMALL), ones(LARGE), np.ones(SMALL, np.int64)):
        for name in ("sort", "argsort", "unique"):
            yield name, (x,)
        yield "topk", (x, 2)
        yield "kthvalue", (x, 2)
        yield "median", (x, 1)
        yield "searchsorted", (x[0], x)
        yield "bucketize", (x, x[0])
    yield "sort_backward", (ones(SMALL), np.zeros(SMALL, np.int64), SMALL)


def pooling(ones):
    # few planes and many; windows 2 apart for vectors, and others
    for planes, height, width in ((2, 6, 9), (64, 40, 40)):
        for dims in (1, 2, 3):
            x = ones((1, planes, *(4, height, width)[-dims:]))
            for window in ((3, 2, 1), (3, 3, 1)):
                y = ones(windows("warm", x.shape, dims, *window).shape)
                yield f"max_pool{dims}d", (x, *window)
                for kind, places in ((True, np.zeros(y.shape, np.int64)), ("window", np.zeros(y.shape, np.uint8))):
                    yield f"max_pool{dims}d", (x, *window), {"return_indices": kind}
                    yield f"max_pool{dims}d_backward", (y, x.shape, places, *window)
                yield f"avg_pool{dims}d", (x, *window)
                yield f"avg_pool{dims}d_backward", (y, x.shape, *window)
            y = ones(windows("warm", x.shape, dims, 2).shape)
            yield f"lp_pool{dims}d", (x, 2, 2)
            yield f"lp_pool{dims}d_backward", (y, x, y, 2, 2)
            for size in (1, 2, 3):
                y = ones((1, planes, *(size,) * dims))
                yield f"adaptive_avg_pool{dims}d", (x, size)
                yield f"adaptive_avg_pool{dims}d_backward", (y, x.shape)
                yield f"adaptive_max_pool{dims}d", (x, size, True)
                yield f"adaptive_max_pool{dims}d_backward", (y, x.shape, np.zeros(y.shape, np.int64))
            places = np.zeros(x.shape, np.int64)
            yield f"max_unpool{dims}d", (x, places, 2)
            yield f"max_unpool{dims}d_backward", (x, places)
        x, columns = ones((1, planes, height, width)), ones((1, 4 * planes, (height - 1) * (width - 1)))
        yield "unfold", (x, 2)
        yield "fold", (columns, (height, width), 2)
        yield "unfold_backward", (columns, x.shape, 2)
        yield "fold_backward", (x, columns.shape, 2)
        yield "interpolate", (x, 8)
        yield "interpolate_backward", (ones((1, planes, 8, 8)), x.shape, 8)
    for size in ((2, 3), (40, 40), (2, 3, 3)):
        x, grid = ones((1, 8, *size)), ones((1, *size, len(size)))
        yield "grid_sample", (x, grid)
        yield "grid_sample_backward", (x, x, grid)
    # windows so large that naive loops serve them
    x, y = ones((1, 1, 9)), ones((1, 1, 10))
    for name in ("max_pool1d", "avg_pool1d"):
        yield name, (x, 2**17, 1, 2**16)
    yield "avg_pool1d_backward", (y, x.shape, 2**17, 1, 2**16)
    sizes = np.array([(1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1)])
    yield "im2col", (ones((1, 1, 1, 9)), sizes, ones((1, 1, 1, 1, 9)))
    yield "col2im", (ones((1, 1, 1, 1, 9)), sizes, ones((1, 1, 1, 9)))


def losses(ones):
    for shape in (SMALL, LARGE, (6, 5, 4), (64, 24, 48)):
        x, one = ones(shape), ones(())
        classes, rows = ones(shape[1]), (shape[0], *shape[2:])
        for reduction in ("none", "mean", "sum"):
            dy, dys = (x, ones(rows)) if reduction == "none" else (one, one)
            for name in PAIRED_LOSSES:
                yield name, (x, x, reduction)
                yield f"{name}_backward", (dy, x, x, reduction)
            for name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
                for weight in (None, x):
                    yield name, (x, x, weight, reduction)
                    yield f"{name}_backward", (dy, x, x, weight, reduction)
            weighted = {"pos_weight": x}
            yield "binary_cross_entropy_with_logits", (x, x, None, reduction), weighted
            yield "binary_cross_entropy_with_logits_backward", (dy, x, x, None, reduction), weighted
            for target in (np.zeros(rows, np.int64), x):
                for weight in (None, classes):
                    for smoothing in (0.0, 0.1):
                        options = {"reduction": reduction, "label_smoothing": smoothing}
                        yield "cross_entropy", (x, target, weight), options
                        yield "cross_entropy", (x, target, weight), options | {"lse": ones(rows)}
                        yield "cross_entropy_backward", (dys, x, target, weight), options
                        yield "cross_entropy_backward", (dys, x, target, weight), options | {"lse": ones(rows)}
            for weight in (None, classes):
                yield "nll_loss", (x, np.zeros(rows, np.int64), weight), {"reduction": reduction}
                yield "nll_loss_backward", (dys, x, np.zeros(rows, np.int64), weight), {"reduction": reduction}
        yield "kl_div", (x, x, "mean", True)
        yield "kl_div_backward", (one, x, x, "mean", True)

    for rows in (6, 192):
        x, weight, target = ones((rows, 24)), ones((400, 24)), np.zeros(rows, np.int64)
        for bias in (None, ones(400)):
            yield "linear_cross_entropy", (x, weight, target), {"linear_bias": bias}
            yield "linear_cross_entropy_backward", (ones(()), x, weight, target), {"linear_bias": bias}


def sequences(ones):
    for T in (3, 40):
        arguments = ones((T, 2, 4)), np.ones((2, 2), np.int64), [T, T], [2, 1]
        yield "ctc_loss", arguments
        yield "ctc_loss_backward", (ones(()), *arguments)


def normalizations(ones):
    for shape in ((6, 24), (256, 192), (6, 5, 4), (3, 4, 40), (8, 16, 24, 24)):  # columns and planes, small and large
        x, each, samples, C = ones(shape), ones(shape[1]), ones(shape[0]), shape[1]
        for options in ({}, {"activation": "relu"}):
            for training in (True, False):
                yield "batch_norm", (x, each, each.copy(), each, each, training), options
                saved = {"saved": x} if options else {}
                yield "batch_norm_backward", (x, x, each, each, each, training), options | saved
        yield "batch_norm", (x, None, None, None, None, True)
        yield "layer_norm", (x, shape[1:])
        yield "layer_norm_backward", (x, x, shape[1:], samples, samples)
        yield "add_layer_norm", (x, x, shape[1:])
        yield "add_layer_norm_backward", (x, x, shape[1:], samples, samples)
        yield "rms_norm", (x, shape[1:])
        yield "rms_norm_backward", (x, x, shape[1:], samples)
        yield "group_norm", (x, 1)
        yield "group_norm_backward", (x, x, 1, samples[:, None], samples[:, None])
        if len(shape) > 2:
            yield "instance_norm", (x, each.copy(), each.copy())
            yield "instance_norm_backward", (x, x, ones((shape[0], C)), ones((shape[0], C)))
            yield "local_response_norm", (x, 3)
            yield "local_response_norm_backward", (x, x, 3)


def updates(ones):
    params, states = [ones(SMALL)], [[ones(SMALL)] for _ in range(3)]
    yield "sgd", (params, params, states[0]), {"lr": 0.0, "momentum": 0.9}
    for name in ("adam", "adamw"):
        yield name, (params, params, *states), {"step": 1, "lr": 0.0}
    yield "rmsprop", (params, params, *states), {"lr": 0.0}
    yield "adagrad", (params, params, states[0]), {"step": 1, "lr": 0.0}
    yield "clip_grad_norm", ([ones(SMALL)], 1.0)


def lookups(ones):
    ids, offsets = np.zeros((6, 4), np.int64), np.array([0, 5])
    for rows, columns in ((5, 24), (300, 192)):
        weight, dy, bags = ones((rows, columns)), ones((*ids.shape, columns)), ones((len(ids), columns))
        yield "embedding", (ids, weight, None, 1.0)
        yield "embedding_backward", (dy, ids, rows)
        for mode, more in (("mean", {}), ("sum", {"per_sample_weights": ones(ids.shape)}), ("max", {})):
            winners = {"indices": np.zeros(bags.shape, np.int64)} if mode == "max" else {}
            yield "embedding_bag", (ids, weight), {"mode": mode} | more | winners
            yield "embedding_bag_backward", (bags, ids, weight), {"mode": mode} | more | winners
        yield "embedding_bag", (ids.reshape(-1), weight, offsets)


def places(ones):
    for shape in (SMALL, LARGE):
        x = ones(shape)
        index, row = np.zeros(shape, np.int64), np.zeros(shape[1], np.int64)
        yield "gather", (x, 1, index)
        yield "gather_backward", (x, shape, 1, index)
        yield "scatter", (x, 1, index, x)
        yield "scatter_backward", (x, 1, index)
        yield "scatter_add", (x, 1, index, x)
        yield "scatter_add_backward", (x, 1, index)
        for reduce in ("sum", "prod", "mean", "amax", "amin"):
            yield "scatter_reduce", (x, 1, index, x, reduce)
            yield "scatter_reduce_backward", (x, x, 1, index, x, reduce, x)
        yield "index_select", (x, 1, row)
        yield "index_select_backward", (x, shape, 1, row)
        yield "index_add", (x, 1, row, x)
        yield "index_add_backward", (x, 1, row)


def attentions(ones):
    for H, L, S in ((1, 3, 5), (2, 300, 300)):  # few queries and many, one thread and more
        q, k = ones((1, 2, L, 8)), ones((1, H, S, 8))
        lse = ones((1, 2, L))
        yield "scaled_dot_product_attention", (q, k, k), {"enable_gqa": True, "lse": lse}
        yield "scaled_dot_product_attention_backward", (q, q, k, k, q, lse), {"enable_gqa": True}


def positions(ones):
    x, tables = ones((2, 3, 4, 8)), (ones((4, 4)), ones((4, 4)))
    yield "rotary_tables", (4, 8)
    yield "alibi_slopes", (4,)
    yield "rotary_embedding", (x, *tables)
    yield "rotary_embedding_backward", (x, *tables)


def convolutions(ones):
    # Batch, channels, output channels, groups, kernel, size: narrow and wide tiles, depthwise, few outputs, threads.
    for N, C, M, groups, k, size in (
        (1, 2, 2, 1, 3, 5),
        (1, 20, 40, 1, 3, 9),
        (1, 20, 40, 1, 1, 9),
        (1, 3, 3, 3, 3, 9),
        (1, 3, 6, 3, 5, 40),
        (1, 40, 2, 1, 3, 9),
        (8, 32, 32, 1, 3, 28),
        (8, 32, 32, 32, 3, 56),
    ):
        for rank in (1, 2, 3) if size < 10 else (2,):
            x, weight = ones((N, C, *(size,) * rank)), ones((M, C // groups, *(k,) * rank))
            for stride in (1, 2):
                y = ones((N, M, *((size - k) // stride + 1,) * rank))
                geometry = {"stride": stride, "groups": groups}
                for activation in (None, "relu"):
                    yield f"conv{rank}d", (x, weight, ones(M)), geometry | {"activation": activation}
                yield f"conv{rank}d_backward", (y, x, weight), geometry
                wide = ones((N, C, *((size - k) // stride * stride + k,) * rank))
                yield f"conv_transpose{rank}d", (y, weight), geometry
                yield f"conv_transpose{rank}d_backward", (wide, y, weight), geometry


def recurrents(ones):
    # one sequence, few and many, the last for several threads
    for T, B, inputs, H in ((2, 1, 4, 5), (2, 3, 4, 5), (8, 32, 128, 128)):
        x, h, y = ones((T, B, inputs)), ones((B, H)), ones((T, B, H))
        for name, gates, saved in (("lstm", 4, (4, 1)), ("gru", 3, (4,)), ("rnn", 1, ())):
            weights, biases = (ones((gates * H, inputs)), ones((gates * H, H))), (ones(gates * H), ones(gates * H))
            state, saved = (h, h) if name == "lstm" else h, [ones((T, B, width * H)) for width in saved]
            yield f"{name}_cell", (x[0], state, *weights, *biases)
            yield name, (x, state, *weights, *biases)
            yield f"{name}_backward", (y, state, x, state, *weights, y, *saved)
        projected, weights = ones((T, B, 2)), (ones((4 * H, inputs)), ones((4 * H, 2)))
        yield "lstm", (x, None, *weights, None, None, ones((2, H)))
        gates, cells = ones((T, B, 4 * H)), ones((T, B, H))
        yield "lstm_backward", (projected, None, x, None, *weights, projected, gates, cells, ones((2, H)))


FAMILIES = (
    activations,
    products,
    affine,
    feed_forwards,
    convolutions,
    reductions,
    scans,
    sorting,
    pooling,
    normalizations,
    recurrents,
    losses,
    sequences,
    lookups,
    places,
    positions,
    attentions,
    updates,
)


def calls():
    """List of ``(name, arguments)`` or ``(name, arguments, options)`` for functions of `kernels`."""
    found = [("set_flush_denormal", (False,))]
    for dtype in (np.float32, np.float64):
        for family in FAMILIES:
            found += family(lambda shape, dtype=dtype: np.ones(shape, dtype))
    return found


def progress(items):
    """The items one by one, under a progress bar; without tqdm, a line is printed at each tenth of them."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        for count, item in enumerate(items, 1):
            yield item
            if count * 10 // len(items) > (count - 1) * 10 // len(items):
                print(f"{count} of {len(items)} calls", file=sys.stderr)
    else:
        yield from tqdm(items, desc="compiling", unit="call")


def main(arguments=()):
    """Make all the calls."""
    argparse.ArgumentParser("python -m kernels.warm", description=__doc__).parse_args(arguments)
    for name, arguments, *options in progress(calls()):
        getattr(kernels, name)(*arguments, **(options[0] if options else {}))


if __name__ == "__main__":
    main(sys.argv[1:])

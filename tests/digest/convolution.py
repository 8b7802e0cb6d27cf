"""Cases of `kernels.convolution`: each with its gradients with respect to x, weight and bias."""

import numpy as np

from tests.checking import LAYOUTS


def convolution(run, x, weight, options=None, layout=None):
    """`x` and `weight` are shapes; the options are those of the function."""
    options, name = options or {}, f"conv{len(weight) - 2}d"
    x, weight, bias = run.normal(*x), run.normal(*weight), run.normal(weight[0])
    x, weight = (LAYOUTS[layout](array) if layout else array for array in (x, weight))
    y = run.call(name, x, weight, bias, **options)
    for key in ("activation", "algorithm"):
        options = {k: v for k, v in options.items() if k != key}
    run.call(f"{name}_backward", run.normal(*y.shape), x, weight, **options)


def alone(run, x, weight, needs):
    """Without a bias, and with only some of the gradients."""
    name = f"conv{len(weight) - 2}d"
    x, weight = run.normal(*x), run.normal(*weight)
    y = run.call(name, x, weight, out=run.call(name, x, weight))
    run.call(f"{name}_backward", run.normal(*y.shape), x, weight, needs=needs)


def transposed(run, x, weight, options=None):
    options, name = options or {}, f"conv_transpose{len(weight) - 2}d"
    x, weight, bias = run.normal(*x), run.normal(*weight), run.normal(weight[1] * options.get("groups", 1))
    y = run.call(name, x, weight, bias, **options)
    run.call(f"{name}_backward", run.normal(*y.shape), x, weight, **options)


def algorithms(run, x, weight, padding):
    x, weight, bias = run.normal(*x), run.normal(*weight), run.normal(weight[0])
    for algorithm in ("direct", "winograd2", "winograd4"):
        for activation in (None, "relu"):
            run.call("conv2d", x, weight, bias, 1, padding, activation=activation, algorithm=algorithm)


def ladder(run, x, weight, stride=1, padding=0, dilation=1, groups=1):
    pairs = [(value, value) for value in (stride, padding, dilation)]
    size = [(n + 2 * padding - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(x[2:], weight[2:], strict=True)]
    y = run.zeros(x[0], weight[0], *size)
    x, weight = run.normal(*x), run.normal(*weight)
    for bias in (run.normal(len(weight)), np.empty(0, run.dtype)):
        run.rungs("convolution", "conv2d", x, weight, bias, *pairs, groups, y)


LANES = ((15, 17), (16, 16), (17, 15), (33, 31), (47, 49))
DEPTHWISE = {"groups": 24, "padding": 1}

CASES = [
    # one axis
    (convolution, (2, 3, 40), (5, 3, 4)),
    (convolution, (3, 40), (5, 3, 4)),
    (convolution, (2, 20, 300), (33, 20, 9), {"padding": 4}),
    (convolution, (1, 64, 1000), (64, 64, 9), {"padding": 4}),
    (convolution, (1, 1, 3000), (8, 1, 80), {"stride": 4}),
    (convolution, (2, 6, 50), (6, 1, 5), {"groups": 6, "dilation": 2, "padding": "same"}),
    # two axes, small: kernels, strides, paddings, dilations
    (convolution, (1, 1, 1, 1), (1, 1, 1, 1)),
    (convolution, (2, 3, 5, 4), (4, 3, 5, 4)),
    (convolution, (2, 2, 1, 2), (3, 2, 3, 4), {"padding": 1}),
    (convolution, (2, 3, 7, 9), (5, 3, 3, 3)),
    (convolution, (3, 7, 9), (5, 3, 3, 3), {"padding": 1, "activation": "relu"}),
    (convolution, (2, 3, 7, 6), (4, 3, 2, 2)),
    (convolution, (1, 2, 3, 4), (3, 2, 3, 3), {"padding": (4, 5)}),
    (convolution, (0, 3, 7, 9), (5, 3, 3, 3), {"padding": 1}),
    (convolution, (2, 0, 7, 9), (5, 0, 3, 3), {"activation": "relu"}),
    (convolution, (2, 3, 11, 12), (4, 3, 3, 2), {"stride": (2, 3), "padding": (1, 0)}),
    (convolution, (2, 3, 11, 13), (4, 3, 2, 1), {"stride": (3, 4)}),
    (convolution, (1, 2, 10, 9), (3, 2, 3, 3), {"stride": (4, 5)}),
    (convolution, (1, 3, 3, 70), (4, 3, 1, 33), {"padding": (0, 16)}),
    (convolution, (1, 3, 40, 3), (4, 3, 17, 1), {"padding": (8, 0)}),
    (convolution, (2, 5, 9, 9), (6, 5, 3, 3), {"padding": 2, "dilation": 2}),
    (convolution, (1, 3, 8, 19), (4, 3, 2, 3), {"dilation": (3, 5), "padding": (1, 4)}),
    (convolution, (2, 3, 13, 12), (4, 3, 3, 3), {"stride": 2, "padding": 3, "dilation": (2, 3)}),
    (convolution, (1, 3, 15, 16), (4, 3, 3, 3), {"stride": 2, "padding": 2, "dilation": 2}),
    (convolution, (1, 2, 4, 3), (3, 2, 2, 1), {"stride": 2, "padding": (3, 2)}),
    (convolution, (2, 3, 7, 9), (5, 3, 3, 4), {"padding": "valid"}),
    (convolution, (2, 3, 7, 9), (5, 3, 2, 4), {"padding": "same"}),
    (convolution, (1, 3, 7, 9), (5, 3, 2, 4), {"padding": "same", "dilation": (1, 3)}),
    (convolution, (1, 3, 2, 3), (4, 3, 5, 6), {"padding": "same"}),
    *((convolution, (1, C, 5, 6), (OC, C, 3, 3), {"padding": 1}) for C, OC in LANES),
    *((convolution, (1, C, 5, 7), (OC, C, 3, 3), {"padding": 1, "stride": 2}) for C, OC in LANES),
    *((convolution, (1, 3, 4, w), (5, 3, 3, 3), {"padding": 1}) for w in (15, 16, 17, 33, 65, 200)),
    *((convolution, (1, 3, 4, w), (5, 3, 3, 3), {"padding": 1, "stride": 2}) for w in (31, 33, 65)),
    *((convolution, (2, 6, 9, 11), (7, 6, 3, 3), {"padding": 1}, layout) for layout in ("fortran", "strided", "inner")),
    *((alone, (2, 20, 9, 11), (40, 20, 3, 3), needs) for needs in ((True, False, False), (False, True, False))),
    # two axes, medium: few channels, many, direct and Winograd
    (convolution, (1, 3, 60, 66), (64, 3, 7, 7), {"stride": 2, "padding": 3, "activation": "relu"}),
    (convolution, (4, 1, 28, 28), (16, 1, 5, 5), {"padding": 2}),
    (convolution, (3, 3, 64, 64), (20, 3, 3, 3), {"padding": 1}),
    (convolution, (2, 64, 28, 28), (64, 64, 3, 3), {"padding": 1}),
    (convolution, (2, 64, 28, 28), (64, 64, 3, 3), {"padding": 1, "activation": "relu", "algorithm": "direct"}),
    (convolution, (2, 256, 14, 14), (256, 256, 3, 3), {"padding": 1}),
    (convolution, (1, 300, 7, 7), (310, 300, 3, 3), {"padding": 1}),
    (convolution, (2, 40, 30, 31), (50, 40, 3, 3), {"padding": 1, "stride": 2}),
    (convolution, (2, 64, 28, 28), (64, 64, 3, 3), {"padding": 2, "dilation": 2}),
    (convolution, (2, 20, 40, 41), (40, 20, 5, 5), {"padding": (2, 0)}),
    (convolution, (1, 40, 30, 30), (2, 40, 3, 3), {"padding": 1}),
    (convolution, (1, 2, 30, 300), (40, 2, 3, 3), {"padding": 1}),
    # several blocks: many pixels, large kernel extent, many products
    (convolution, (1, 16, 120, 121), (20, 16, 3, 3), {"padding": 1}),
    (convolution, (1, 16, 120, 121), (20, 16, 3, 3), {"stride": 3}),
    (convolution, (1, 30, 4, 3000), (20, 30, 1, 2), {"dilation": 2500}),
    (convolution, (1, 130, 40, 41), (140, 130, 3, 3), {"dilation": 12}),
    (convolution, (1, 2, 30, 3000), (3, 2, 20, 3), {"dilation": (1, 1400), "padding": (3, 0)}),
    (convolution, (1, 512, 7, 7), (512, 512, 3, 3), {"padding": 1, "stride": 2}),
    *((algorithms, (2, C, 9, 11), (OC, C, 3, 3), p) for C, OC, p in ((3, 5, 1), (17, 33, 0), (32, 32, (2, 1)))),
    (algorithms, (2, 64, 28, 28), (70, 64, 3, 3), 1),
    (algorithms, (1, 256, 14, 14), (256, 256, 3, 3), 1),
    # pointwise
    (convolution, (2, 6, 5, 7), (9, 6, 1, 1)),
    (convolution, (1, 33, 3, 200), (17, 33, 1, 1)),
    (convolution, (2, 300, 4, 4), (65, 300, 1, 1), {"activation": "relu"}),
    (convolution, (2, 256, 28, 28), (64, 256, 1, 1)),
    (convolution, (2, 6, 9, 8), (9, 6, 1, 1), {"stride": 2}),
    (convolution, (2, 64, 28, 28), (128, 64, 1, 1), {"stride": 2}),
    (convolution, (2, 6, 4, 5), (9, 6, 1, 1), {"padding": 1}),
    # grouped
    (convolution, (2, 6, 7, 6), (8, 3, 3, 3), {"padding": 1, "groups": 2}),
    (convolution, (2, 6, 7, 6), (9, 2, 3, 3), {"padding": 1, "stride": 2, "groups": 3}),
    (convolution, (2, 34, 4, 5), (32, 17, 1, 1), {"groups": 2}),
    (convolution, (2, 6, 5, 6), (3, 2, 3, 3), {"padding": 1, "groups": 3}),
    (convolution, (2, 64, 20, 20), (128, 32, 3, 3), {"padding": 1, "groups": 2}),
    # depthwise
    (convolution, (2, 24, 30, 40), (24, 1, 3, 3), DEPTHWISE),
    (convolution, (2, 24, 30, 40), (24, 1, 3, 3), DEPTHWISE | {"stride": 2, "activation": "relu"}),
    (convolution, (2, 24, 30, 41), (24, 1, 5, 5), DEPTHWISE | {"padding": 2}),
    (convolution, (2, 24, 15, 20), (24, 1, 3, 3), DEPTHWISE | {"padding": 2, "dilation": 2}),
    (convolution, (2, 24, 9, 20), (24, 1, 2, 5), DEPTHWISE | {"padding": (0, 2), "stride": (1, 2)}),
    (convolution, (2, 24, 14, 14), (48, 1, 3, 3), DEPTHWISE),
    (convolution, (1, 24, 9, 20), (24, 1, 1, 1), {"groups": 24}),
    (convolution, (4, 32, 56, 56), (32, 1, 3, 3), {"padding": 1, "groups": 32}),
    (convolution, (2, 1, 7, 8), (1, 1, 3, 3), {"padding": 1}),
    # three axes
    (convolution, (1, 2, 4, 5, 6), (3, 2, 2, 3, 3), {"padding": 1}),
    (convolution, (2, 20, 6, 9, 10), (33, 20, 3, 3, 3), {"padding": 1, "stride": (1, 2, 2)}),
    (convolution, (1, 4, 5, 9, 10), (4, 1, 3, 3, 3), {"padding": 1, "groups": 4}),
    (convolution, (1, 3, 7, 9, 10), (6, 3, 2, 2, 2), {"dilation": (2, 1, 3)}),
    # transposed
    (transposed, (2, 3, 9), (3, 5, 4), {"stride": 2, "padding": 1}),
    (transposed, (3, 9), (3, 5, 4)),
    (transposed, (2, 32, 100), (32, 40, 5), {"stride": 3, "output_padding": 2}),
    (transposed, (2, 3, 5, 6), (3, 4, 3, 3)),
    (transposed, (2, 3, 5, 6), (3, 4, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    (transposed, (2, 6, 5, 6), (6, 2, 3, 3), {"groups": 3, "dilation": 2}),
    (transposed, (2, 5, 5, 6), (5, 1, 3, 3), {"groups": 5, "stride": 2}),
    (transposed, (2, 3, 4, 5), (3, 4, 2, 2), {"stride": 3}),
    (transposed, (2, 128, 14, 14), (128, 64, 4, 4), {"stride": 2, "padding": 1}),
    (transposed, (2, 64, 14, 14), (64, 64, 3, 3), {"padding": 1}),
    (transposed, (1, 3, 3, 4, 5), (3, 4, 2, 3, 3), {"stride": (1, 2, 2), "padding": (0, 1, 1)}),
    # the ladder
    *((ladder, (2, C, 9, 11), (OC, C, 3, 3), 1, 1) for C, OC in ((3, 5), (17, 33), (32, 40))),
    (ladder, (1, 64, 14, 14), (64, 64, 3, 3), 1, 1),
]

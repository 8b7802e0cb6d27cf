"""Cases of matrix products: `kernels.gemm`, `kernels.affine`, `kernels.mlp`."""

from tests.checking import LAYOUTS

TRANSPOSED = (("transposed", None), (None, "transposed"), ("transposed", "transposed"))


def with_layout(layout, array):
    return LAYOUTS[layout](array) if layout else array


def product(run, a, b, layout_a=None, layout_b=None):
    x, y = with_layout(layout_a, run.normal(*a)), with_layout(layout_b, run.normal(*b))
    z = run.call("matmul", x, y)
    run.call("matmul_backward", run.normal(*z.shape), x, y)


def product_in_part(run, a, b, needs):
    x, y = run.normal(*a), run.normal(*b)
    z = run.call("matmul", x, y, out=run.zeros(a[0], b[1]))
    run.call("matmul_backward", run.normal(*z.shape), x, y, needs=needs)


def loops(run, M, K, N):
    run.call("matmul_loops", run.normal(M, K), run.normal(K, N), run.zeros(M, N))
    run.call("linear_loops", run.normal(M, K), run.normal(N, K), run.normal(N), run.zeros(M, N))


def ladders(run, M, K, N):
    run.rungs("gemm", "matmul", run.normal(M, K), run.normal(K, N), run.zeros(M, N))
    run.rungs("affine", "linear", run.normal(M, K), run.normal(N, K), run.normal(N), run.zeros(M, N))


def linear(run, rows, K, N, activation=None, bias=True, layout=None):
    x, weight = with_layout(layout, run.normal(*rows, K)), run.normal(N, K)
    preactivation = run.zeros(*rows, N)
    y = run.call("linear", x, weight, run.normal(N) if bias else None, activation)
    run.call("linear", x, weight, run.normal(N) if bias else None, activation, preactivation=preactivation)
    saved = {None: None, "relu": y, "sigmoid": y, "tanh": y}.get(activation, preactivation)
    run.call("linear_backward", run.normal(*y.shape), x, weight, activation, saved)


def feed_forward(run, rows, K, H, activation, bias=True):
    gated = activation == "swiglu"
    x, weight1, weight2 = run.normal(*rows, K), run.normal((1 + gated) * H, K), run.normal(K, H)
    biases = (run.normal(len(weight1)), run.normal(K)) if bias else (None, None)
    preactivation, out = run.zeros(*(2,) * gated, *rows, H), run.zeros(*rows, K)
    operands = x, weight1, biases[0], weight2, biases[1], activation
    run.call("feed_forward", *operands, out=out)
    y = run.call("feed_forward", *operands, preactivation=preactivation)
    run.call("feed_forward_backward", run.normal(*y.shape), x, weight1, weight2, preactivation, activation)


def ladder_of_feed_forward(run, rows, K, H, activation):
    weight1 = run.normal((1 + (activation == "swiglu")) * H, K)
    operands = run.normal(rows, K), weight1, run.normal(len(weight1)), run.normal(K, H), run.normal(K)
    run.rungs("mlp", "feed_forward", *operands, activation, run.zeros(rows, K))


ACTIVATIONS = ("relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh")
FEED_FORWARDS = ("relu", "gelu", "gelu_tanh", "silu", "swiglu")

CASES = [
    # a vector on either side
    (product, (24,), (24,)),
    (product, (3001,), (3001,)),
    (product, (7,), (7, 5)),
    (product, (1000,), (1000, 33)),
    (product, (5, 7), (7,)),
    (product, (33, 1000), (1000,)),
    (product, (600, 700), (700,)),
    (product, (600, 700), (700,), "transposed"),
    (product, (700,), (700, 600), None, "transposed"),
    # empty, one element, few elements
    (product, (3, 0), (0, 4)),
    (product, (0, 3), (3, 4)),
    (product, (1, 1), (1, 1)),
    (product, (3, 1), (1, 4)),
    (product, (6, 7), (7, 5)),
    (product, (13, 17), (17, 31)),
    (product, (31, 63), (63, 65)),
    # skinny
    (product, (1, 512), (512, 512)),
    (product, (1, 768), (768, 3072)),
    (product, (2, 300), (300, 17)),
    (product, (32, 768), (768, 768)),
    (product, (1000, 1000), (1000, 17)),
    (product, (17, 1000), (1000, 1000)),
    (product, (700, 3), (3, 700)),
    (product, (3, 5000), (5000, 3)),
    (product, (1000, 64), (64, 1)),
    # square, with and without packing, and around the length of a chain of additions
    *((product, (n, n), (n, n)) for n in (16, 33, 64, 96, 128, 256, 400)),
    *((product, (60, k), (k, 70)) for k in (191, 192, 193, 385, 1000)),
    (product, (513, 511), (511, 515)),
    (product, (1024, 300), (300, 1030)),
    (product, (200, 2100), (2100, 300)),
    # transposed, and other layouts
    *((product, (6, 7), (7, 5), *layouts) for layouts in TRANSPOSED),
    *((product, (65, 129), (129, 67), *layouts) for layouts in TRANSPOSED),
    *((product, (400, 390), (390, 410), *layouts) for layouts in TRANSPOSED),
    *((product, (1024, 256), (256, 512), *layouts) for layouts in TRANSPOSED),
    *((product, (1, 700), (700, 300), *layouts) for layouts in TRANSPOSED),
    *((product, (900, 40), (40, 3), *layouts) for layouts in TRANSPOSED),
    *((product, (90, 100), (100, 80), layout, layout) for layout in ("fortran", "reversed", "strided", "inner")),
    # batches
    (product, (5, 6, 7), (5, 7, 6)),
    (product, (5, 6, 7), (7, 6)),
    (product, (6, 7), (5, 7, 6)),
    (product, (5, 6, 7), (7,)),
    (product, (7,), (5, 7, 6)),
    (product, (2, 3, 33, 40), (3, 40, 20)),
    (product, (2, 1, 9, 40), (3, 40, 20)),
    (product, (8, 96, 64), (8, 64, 96)),
    (product, (3, 200, 210), (3, 210, 190)),
    (product, (8, 96, 64), (8, 64, 96), "transposed", "transposed"),
    *((product_in_part, (65, 129), (129, 67), needs) for needs in ((True, False), (False, True))),
    *((loops, M, K, N) for M, K, N in ((1, 24, 16), (6, 7, 5), (96, 96, 96), (300, 400, 350))),
    *((ladders, M, K, N) for M, K, N in ((3, 5, 2), (13, 17, 31), (65, 129, 33), (150, 500, 200))),
    # linear
    *((linear, (rows,), K, N) for rows, K, N in ((1, 24, 16), (6, 7, 5), (32, 768, 768), (64, 400, 400), (500, 96, 3))),
    (linear, (1,), 768, 3072),
    (linear, (700,), 300, 500),
    (linear, (0,), 7, 5),
    (linear, (), 70, 50),
    (linear, (3, 4, 5), 33, 65),
    (linear, (64,), 400, 400, None, False),
    *((linear, (60,), 70, 80, None, True, layout) for layout in ("transposed", "strided", "inner")),
    *((linear, (rows,), K, N, f) for f in ACTIVATIONS for rows, K, N in ((1, 24, 16), (6, 24, 17), (64, 400, 500))),
    # feed forward
    *((feed_forward, (rows,), 24, 96, f) for f in FEED_FORWARDS for rows in (0, 1, 6, 700)),
    *((feed_forward, (3, 11), 33, 65, f, False) for f in FEED_FORWARDS),
    *((feed_forward, (64,), 200, 800, f) for f in ("gelu", "swiglu")),
    *((ladder_of_feed_forward, 11, K, H, f) for f in FEED_FORWARDS for K, H in ((4, 17), (16, 33))),
]

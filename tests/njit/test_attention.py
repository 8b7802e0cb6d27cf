"""The functions of attention inside jitted code."""

import numba
import numpy as np
import pytest

import kernels
from tests.njit.calling import assert_same_bits, assert_same_error, assert_same_result, normal, read_only

ATTENTION = "scaled_dot_product_attention"
Q, K, V = normal(2, 4, 3, 8), normal(2, 2, 5, 8), normal(2, 2, 5, 6)
MERGED = normal(2, 3, 4, 8).transpose(0, 2, 1, 3)  # (N, L, heads, E) in memory
ADDED, ALLOWED = normal(2, 1, 3, 5), normal(3, 5) > 0


@pytest.mark.parametrize(
    ("operands", "options"),
    [
        ((Q, K, V), {"enable_gqa": True}),
        ((Q, K, V), {"enable_gqa": True, "attn_mask": ADDED, "is_causal": True, "causal_offset": 2}),
        ((Q, K, V), {"enable_gqa": True, "attn_mask": ALLOWED, "scale": 0.5, "window": (1, None)}),
        ((MERGED, K, V), {"enable_gqa": True, "window": (2, 0), "softcap": 3.0}),
        ((Q[:, :2], K, V), {"alibi": normal(2), "softcap": 2, "window": (None, 1), "is_causal": True}),
        ((Q[:, :2], K, V), {"dropout_p": 0.3, "seed": 7, "attn_mask": normal(5)}),
        ((Q[0, 0], K[0, 0], V[0, 0]), {"attn_mask": ADDED[0, 0]}),
        ((Q[0, :2], K[0], V[0]), {"attn_mask": ADDED[0, :, :, ::-1]}),
        ((normal(2, 1, 2, 3, 8), normal(2, 3, 2, 5, 8), normal(1, 3, 2, 5, 6)), {"attn_mask": normal(3, 1, 3, 1)}),
        ((normal(2, 3, 2, 8, 3).swapaxes(-1, -2), normal(2, 1, 2, 5, 8), V[:1]), {}),
        ((normal(2, 3, 4, 3, 8)[:, ::2], normal(2, 2, 2, 5, 8), normal(2, 2, 2, 5, 6)), {"enable_gqa": True}),
        ((Q[:0], K[:0], V[:0]), {"enable_gqa": True}),
        ((Q[:, :2], K[:, :, :0], V[:, :, :0]), {}),
        ((normal(1, 2, 40, 8), normal(1, 2, 450, 8), normal(1, 2, 450, 8)), {}),
    ],
)
@pytest.mark.parametrize("terms", [False, True])
def test_attention(operands, options, terms):
    outside = np.broadcast_shapes(*(x.shape[: -3 if options.get("enable_gqa") else -2] for x in operands))
    rows = (*outside, *operands[0].shape[-3 if options.get("enable_gqa") else -2 : -1])
    each = [np.zeros((2, *rows) if terms else rows, np.float32) for _ in range(2)]
    names = ", ".join(f"{key}={'mask' if key == 'attn_mask' else 'alibi' if key == 'alibi' else value}"
                      for key, value in options.items())  # fmt: skip
    scope = {"kernels": kernels}
    exec(
        f"def call(q, k, v, lse, dout, mask, alibi, needs):\n"
        f"    y = kernels.{ATTENTION}(q, k, v, lse=lse, {names})\n"
        f"    return y, kernels.{ATTENTION}_backward(dout, q, k, v, y, lse, needs=needs, {names})",
        scope,
    )
    mask, alibi = options.get("attn_mask"), options.get("alibi")
    dout = normal(*rows, operands[2].shape[-1])
    needs = (True, not terms, True, mask is not None and mask.dtype != bool and not terms)
    expected, gradients = scope["call"](*operands, each[0], dout, mask, alibi, needs)
    result, found = numba.njit(scope["call"])(*operands, each[1], dout, mask, alibi, needs)
    assert_same_bits([result, each[1]], [expected, each[0]])
    for one, other in zip(found, gradients, strict=True):
        assert_same_bits(one, other) if other is not None else None
        assert other is not None or one is None or one.size == 0
        assert other is None or one.strides == other.strides or operands[0].ndim == 5 or not one.size


def test_attention_into_out():
    def call(q, k, v, mask, out):
        return kernels.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True, out=out)

    for out in (normal(2, 4, 3, 6), normal(2, 3, 4, 6).transpose(0, 2, 1, 3), normal(2, 4, 3, 12)[..., :6]):
        result = numba.njit(call)(Q, K, V, ADDED, out)
        assert np.shares_memory(result, out)
        assert_same_bits(out, call(Q, K, V, ADDED, None))


def ones(*shape, dtype=np.float64):
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    "change",
    [
        {"query": ones(4)},
        {"query": ones(3, 3, 4)},
        {"query": ones(3, 4, 3, 4)},
        {"query": ones(2, 2, 3, 5)},
        {"value": ones(2, 2, 6, 6)},
        {"value": ones(2, 4, 5, 6)},
        {"query": ones(2, 4, 3, 4)},
        {"query": ones(2, 3, 3, 4), "enable_gqa": True},
        {"query": ones(3, 4), "enable_gqa": True},
        {"query": ones(2, 2, 3, 0), "key": ones(2, 2, 5, 0)},
        {"attn_mask": ones(3, 4)},
        {"attn_mask": ones(1, 2, 2, 3, 5)},
        {"attn_mask": ones(2, 2, 4, 3, 5, dtype=bool)},
        {"attn_mask": ones(3, 5, dtype=np.float32)},
        {"attn_mask": ones(3, 5, dtype=np.int64)},
        {"key": ones(2, 2, 5, 4, dtype=np.float32)},
        {"query": ones(2, 2, 3, 4, dtype=np.int64)},
        {"dropout_p": 1.0},
        {"dropout_p": -0.1},
        {"window": (-1, None)},
        {"window": (3, -2)},
        {"window": 3},
        {"window": (1,)},
        {"causal_offset": -(2**40) - 1},
        {"causal_offset": 1.5},
        {"softcap": -1.0},
        {"softcap": np.inf},
        {"alibi": ones(3)},
        {"alibi": ones(2, dtype=np.float32)},
        {"lse": ones(2, 2, 5)},
        {"lse": ones(2, 2, 3, dtype=np.float32)},
        {"lse": read_only(ones(2, 2, 3))},
        {"out": ones(2, 2, 3, 5)},
        {"out": ones(2, 2, 3, 6, dtype=np.float32)},
        {"out": read_only(ones(2, 2, 3, 6))},
        {"out": ones(2, 2, 3, 12)[..., ::2]},
    ],
)
def test_errors_of_attention(change):
    good = {"query": ones(2, 2, 3, 4), "key": ones(2, 2, 5, 4), "value": ones(2, 2, 5, 6)}
    assert_same_error(ATTENTION, (), good | change)
    if not {"lse", "out"} & change.keys():
        assert_same_error(
            f"{ATTENTION}_backward", (), {"dout": ones(2, 2, 3, 6)} | good | change | {"out": ones(2, 2, 3, 6),
                                                                                       "lse": ones(2, 2, 3)}
        )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"dout": ones(2, 2, 3, 5)},
        {"dout": ones(2, 2, 3, 6, dtype=np.float32)},
        {"out": ones(2, 4, 6)},
        {"lse": ones(2, 3)},
        {"lse": ones(3, 2, 2, 3)},
        {"lse": ones(2, 2, 3, dtype=np.float32)},
        {"needs": (True,) * 4},
        {"needs": (True,) * 3 + (False,) * 2},
    ],
)
def test_errors_of_the_backward_of_attention(change):
    good = {
        "dout": ones(2, 2, 3, 6), "query": ones(2, 2, 3, 4), "key": ones(2, 2, 5, 4), "value": ones(2, 2, 5, 6),
        "out": ones(2, 2, 3, 6), "lse": ones(2, 2, 3),
    }  # fmt: skip
    assert_same_error(f"{ATTENTION}_backward", (), good | change)


TABLES = normal(6, 3), normal(6, 3)


@pytest.mark.parametrize(
    ("x", "positions", "interleaved"),
    [
        (normal(4, 8), None, False),
        (normal(2, 4, 8), None, True),
        (normal(2, 4, 8), np.array([[0, 1, 2, 3], [5, 4, 3, 2]]), False),
        (normal(2, 4, 3, 8).transpose(0, 2, 1, 3), np.array([[0, 1, 2, 3], [5, 4, 3, 2]], np.int32), False),
        (normal(2, 3, 4, 16)[..., ::2], np.array([5, 4, 3, 2]), False),
        (normal(2, 3, 2, 4, 8), np.array([[[[1]], [[2]], [[0]]]]), True),
        (normal(3, 2, 2, 4, 8).transpose(1, 0, 2, 3, 4), None, False),
        (normal(0, 4, 8), None, False),
    ],
)
def test_rotary_embedding(x, positions, interleaved):
    assert_same_result("rotary_embedding", (x, *TABLES, positions), {"interleaved": interleaved})
    assert_same_result("rotary_embedding_backward", (x, *TABLES, positions), {"interleaved": interleaved})

    def call(x, cos, sin, out):
        return kernels.rotary_embedding(x, cos, sin, out=out)

    if positions is None and x.size:
        y = x.copy()
        numba.njit(call)(y, *TABLES, y)
        assert_same_bits(y, call(x, *TABLES, None))


def test_tables_of_positions():
    def call():
        return kernels.rotary_tables(5, 6, 100, np.float64), kernels.alibi_slopes(12, "float64")

    assert_same_bits(numba.njit(call)(), call())


SHARED = normal(90)


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("rotary_embedding", (ones(2, 3, 8, dtype=np.int64), *TABLES), {}),
        ("rotary_embedding", (ones(2, 3, 8), *TABLES), {}),
        ("rotary_embedding", (normal(8), *TABLES), {}),
        ("rotary_embedding", (normal(2, 3, 8), normal(6, 3), normal(5, 3)), {}),
        ("rotary_embedding", (normal(2, 3, 8), normal(6), normal(6, 3)), {}),
        ("rotary_embedding", (normal(2, 3, 5), *TABLES), {}),
        ("rotary_embedding_backward", (normal(2, 7, 8), *TABLES), {}),
        ("rotary_embedding", (normal(2, 3, 8), *TABLES, np.zeros(4, np.int64)), {}),
        ("rotary_embedding", (normal(3, 8), *TABLES, np.zeros((1, 3), np.int64)), {}),
        ("rotary_embedding_backward", (normal(2, 3, 8), *TABLES, np.array([0, 6, 1])), {}),
        ("rotary_embedding", (normal(2, 3, 8), *TABLES, np.array([0.0, 1.0, 2.0])), {}),
        ("rotary_embedding", (normal(2, 3, 8), *TABLES), {"out": normal(2, 3, 6)}),
        ("rotary_embedding", (normal(2, 3, 8), *TABLES), {"out": ones(2, 3, 8)}),
        ("rotary_embedding", (normal(2, 3, 8), *TABLES), {"out": read_only(normal(2, 3, 8))}),
        ("rotary_embedding", (normal(2, 3, 8), *TABLES), {"out": normal(2, 3, 16)[..., ::2]}),
        ("rotary_embedding", (SHARED[:24].reshape(3, 8), *TABLES), {"out": SHARED[8:32].reshape(3, 8)}),
        ("rotary_tables", (-1, 4), {}),
        ("rotary_tables", (5, 3), {}),
        ("rotary_tables", (5, 4, 0.0), {}),
        ("rotary_tables", (5, 4, 10.0, "int64"), {}),
        ("alibi_slopes", (0,), {}),
        ("alibi_slopes", (4, "int32"), {}),
    ],
)
def test_errors_of_positions(name, arguments, options):
    assert_same_error(name, arguments, options)

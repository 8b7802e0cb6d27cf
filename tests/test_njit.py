"""Tests of public functions inside jitted code: the same bits and the same errors as outside."""

import functools
import inspect

import numba
import numpy as np
import pytest

import kernels
from kernels._njit import entry_of
from tests.test_debugging import arrays_in, public_calls

# Not functions of arrays: about the process, or loops that are called from jitted code anyway.
ABOUT_THE_PROCESS = {"set_num_threads", "get_num_threads", "show_config", "set_flush_denormal"}
LOOPS = {"matmul_loops", "linear_loops"}


def public_names():
    return sorted(
        name
        for name, value in vars(kernels).items()
        if inspect.isfunction(value) and not name.startswith("_") and name not in ABOUT_THE_PROCESS
    )


def offered():
    return [name for name in public_names() if entry_of(getattr(kernels, name)) is not None]


def converted(value, dtype):
    """The arguments of a call with float arrays of another dtype."""
    if isinstance(value, np.ndarray):
        return value.astype(dtype) if value.dtype.kind == "f" else value
    if isinstance(value, (tuple, list)):
        return type(value)(converted(each, dtype) for each in value)
    return {key: converted(each, dtype) for key, each in value.items()} if isinstance(value, dict) else value


def jitted(name, arguments, options):
    """A jitted function of the arrays among the arguments that makes the call, written out, and these arrays."""
    arrays = []

    def text(value):
        if isinstance(value, np.ndarray):
            arrays.append(value)
            return f"x{len(arrays) - 1}"
        if isinstance(value, (tuple, list)) and arrays_in(value):
            return f"({', '.join(map(text, value))},)"
        return repr(value)

    given = [text(each) for each in arguments] + [f"{key}={text(each)}" for key, each in options.items()]
    names = ", ".join(f"x{i}" for i in range(len(arrays)))
    scope = {"kernels": kernels, "inf": np.inf, "nan": np.nan}
    exec(f"def call({names}):\n    return kernels.{name}({', '.join(given)})", scope)
    return numba.njit(scope["call"]), arrays


@functools.cache
def calls():
    found = {}
    for name, arguments, options in public_calls():
        found.setdefault(name, []).append((arguments, options))
    return found


def assert_same_bits(result, expected):
    result, expected = arrays_in(result), arrays_in(expected)
    assert len(result) == len(expected)
    for one, other in zip(result, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", offered())
def test_same_bits_as_outside(name, dtype):
    for arguments, options in calls()[name]:
        arguments, options = converted(arguments, dtype), converted(options, dtype)
        call, arrays = jitted(name, arguments, options)
        inside = [array.copy() for array in arrays]
        with np.errstate(all="ignore"):
            expected = getattr(kernels, name)(*arguments, **options)
            result = call(*inside)
        assert_same_bits(result, expected)
        assert_same_bits(inside, arrays)  # what a call fills or changes


def assert_same_result(name, arguments, options=None):
    """A call gives the same bits inside and outside; what is None outside has size 0 inside. Arrays stay views."""
    options = options or {}
    call, arrays = jitted(name, arguments, options)
    with np.errstate(all="ignore"):
        expected, result = getattr(kernels, name)(*arguments, **options), call(*arrays)
    if isinstance(expected, tuple):
        assert all(x is None or x.size == 0 for x, y in zip(result, expected, strict=True) if y is None)
        result = tuple(x for x, y in zip(result, expected, strict=True) if y is not None)
    assert_same_bits(result, expected)


def assert_same_error(name, arguments, options=None):
    """A call raises the same error inside and outside."""
    options = options or {}
    call, arrays = jitted(name, arguments, options)
    with pytest.raises((TypeError, ValueError, IndexError)) as outside:
        getattr(kernels, name)(*arguments, **options)
    with pytest.raises(outside.type) as inside:
        call(*arrays)
    assert type(inside.value) is type(outside.value)
    assert str(inside.value) == str(outside.value)


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(2).standard_normal(shape).astype(dtype)


def read_only(x):
    x.flags.writeable = False
    return x


# --- normalization ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("layer_norm", (normal(3, 4, 5).T, (4, 3), normal(3, 4).T, normal(4, 3)), {}),
        ("layer_norm", (normal(6), 6), {}),
        ("layer_norm", (normal(0, 5), 5), {}),
        ("layer_norm", (read_only(normal(2, 8))[:, ::2], (4,), read_only(normal(4))), {"eps": 1}),
        ("rms_norm", (normal(2, 3, 4, dtype=np.float64), (3, 4), None, 1e-3), {}),
        ("add_layer_norm", (normal(4, 3).T, normal(3, 4), 4, normal(4)), {"eps": 1e-3}),
        ("add_layer_norm_backward", (normal(3, 4), normal(4, 3).T, 4, normal(3), normal(3)), {"dsum": normal(3, 4)}),
        ("layer_norm_backward", (normal(3, 4), normal(3, 4), 4, normal(3), normal(3)), {"needs": (False, True, False)}),
        ("rms_norm_backward", (normal(2, 3, 4), normal(2, 3, 4), (3, 4), normal(2)), {"needs": (True, False)}),
        ("batch_norm", (normal(3, 2, 9), normal(2), normal(2) ** 2, None, normal(2)), {"activation": "relu"}),
        ("batch_norm", (normal(0, 2, 9), normal(2), normal(2) ** 2), {}),
        ("batch_norm", (normal(9, 2), None, None, normal(2), None, True), {"activation": "relu"}),
        ("batch_norm_backward", (normal(9, 2), normal(9, 2), normal(2), normal(2)), {"needs": (True, False, True)}),
        ("group_norm", (normal(2, 6, 3), 3, normal(6), normal(6)), {}),
        ("group_norm", (normal(2, 6, 40)[..., ::2], 2), {"eps": 1e-2}),
        ("group_norm_backward", (normal(2, 6, 20), normal(2, 6, 20), 3, normal(2, 3), normal(2, 3), normal(6)), {}),
        ("instance_norm", (normal(2, 3, 5),), {}),
        ("instance_norm", (normal(2, 3, 5), normal(3), normal(3) ** 2, normal(3), None, False), {}),
        ("instance_norm_backward", (normal(2, 3, 5), normal(2, 3, 5), normal(3), normal(3), None, False), {}),
        ("local_response_norm", (normal(2, 3, 5).transpose(1, 2, 0), 2, 1e-2, 0.5, 2), {}),
    ],
)
def test_normalizations(name, arguments, options):
    assert_same_result(name, arguments, options)


def test_what_normalizations_fill_in():
    def call(x, running_mean, running_var, mean, rstd):
        return kernels.batch_norm(x, running_mean, running_var, training=True, mean=mean, rstd=rstd)

    for strided in (False, True):
        each = [normal(6)[::2] ** 2 if strided else normal(3) ** 2 for _ in range(4)]
        inside, outside = (normal(4, 3, 5), *each[:2], normal(3), normal(3)), None
        outside = [x.copy() for x in inside]
        assert_same_bits(numba.njit(call)(*inside), call(*outside))
        assert_same_bits(list(inside), outside)

    def total(x, sum, mean):
        return kernels.add_layer_norm(x, x, 4, sum=sum, mean=mean)

    inside, outside = [normal(3, 4), normal(3, 4), normal(3)], [normal(3, 4), normal(3, 4), normal(3)]
    assert_same_bits(numba.njit(total)(*inside), total(*outside))
    assert_same_bits(inside, outside)

    def instance(x, mean, var):
        return kernels.instance_norm(x, mean, var, momentum=0.3)

    inside, outside = [normal(3, 4, 5), normal(4), normal(4)], [normal(3, 4, 5), normal(4), normal(4)]
    assert_same_bits(numba.njit(instance)(*inside), instance(*outside))
    assert_same_bits(inside, outside)


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("layer_norm", (normal(3, 4).astype(np.int64), 4), {}),
        ("layer_norm", (normal(3, 4), (3, 5)), {}),
        ("layer_norm", (normal(4), (3, 4)), {}),
        ("layer_norm", (normal(3, 4), ()), {}),
        ("layer_norm", (normal(3, 4), 4, normal(5)), {}),
        ("layer_norm", (normal(3, 4), 4, normal(4, 1)), {}),
        ("layer_norm", (normal(3, 4), 4, None, normal(4, dtype=np.float64)), {}),
        ("layer_norm", (normal(3, 4), 4), {"mean": normal(4)}),
        ("layer_norm", (normal(3, 4), 4), {"rstd": read_only(normal(3))}),
        ("layer_norm_backward", (normal(4, 3), normal(3, 4), 4, normal(3), normal(3)), {}),
        ("layer_norm_backward", (normal(3, 4), normal(3, 4), 4, normal(3), normal(3)), {"needs": (True,)}),
        ("rms_norm", (normal(3, 4), 3), {}),
        ("rms_norm_backward", (normal(3, 4), normal(3, 4), 4, normal(4)), {}),
        ("add_layer_norm", (normal(3, 4), normal(4, 4), 4), {}),
        ("add_layer_norm", (normal(3, 4), normal(3, 4), 4), {"sum": normal(4, 3)}),
        ("add_layer_norm_backward", (normal(3, 4), normal(3, 4), 4, normal(3), normal(2)), {}),
        ("batch_norm", (normal(3), normal(3), normal(3)), {}),
        ("batch_norm", (normal(3, 2), normal(2), None), {}),
        ("batch_norm", (normal(3, 2), None, None), {}),
        ("batch_norm", (normal(3, 2), normal(2), normal(3)), {}),
        ("batch_norm", (normal(3, 2), normal(2), normal(2)), {"eps": -1e-3}),
        ("batch_norm", (normal(3, 2), normal(2), normal(2)), {"activation": "gelu"}),
        ("batch_norm", (normal(1, 2), normal(2), normal(2), None, None, True), {}),
        ("batch_norm", (normal(3, 2), normal(2), normal(2), None, None, True), {"eps": 0}),
        ("batch_norm", (normal(3, 2), normal(2), normal(2), None, None, True, None), {}),
        ("batch_norm", (normal(3, 2), read_only(normal(2)), normal(2), None, None, True), {}),
        ("batch_norm", (normal(3, 2), normal(2, dtype=np.float64), normal(2), None, None, True), {}),
        ("batch_norm_backward", (normal(3, 2), normal(3, 2), normal(2), normal(2)), {"activation": "relu"}),
        ("batch_norm_backward", (normal(3, 2), normal(3, 2), normal(3), normal(2)), {}),
        ("group_norm", (normal(2, 6, 3), 4), {}),
        ("group_norm", (normal(2, 6, 3), 0), {}),
        ("group_norm", (normal(2, 6, 3), 2.0), {}),
        ("group_norm", (normal(2, 6, 3), 2), {"mean": normal(6, 2)}),
        ("group_norm_backward", (normal(2, 6), normal(2, 6), 2, normal(2, 3), normal(2, 2)), {}),
        ("instance_norm", (normal(2, 6, 1),), {}),
        ("instance_norm", (normal(2, 6, 3), None, None, None, None, False), {}),
        ("instance_norm", (normal(2, 6, 3), normal(6), normal(6), normal(5), None, False), {}),
        ("instance_norm", (normal(2, 6, 3), normal(6), None), {}),
        ("instance_norm_backward", (normal(2, 6, 3), normal(2, 6, 3), normal(6), normal(6)), {}),
        ("local_response_norm", (normal(2, 6), 2), {}),
        ("local_response_norm", (normal(2, 6, 3), 0), {}),
        ("local_response_norm", (normal(2, 6, 3), 2.5), {}),
        ("local_response_norm", (normal(2, 6, 3), 2, -1), {}),
        ("local_response_norm_backward", (normal(2, 6, 3), normal(2, 6, 4), 2), {}),
    ],
)
def test_errors_of_normalizations(name, arguments, options):
    assert_same_error(name, arguments, options)


# --- attention -------------------------------------------------------------------------------------------------------

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


# --- pooling ---------------------------------------------------------------------------------------------------------


def indices_of(name, x, *arguments):
    return getattr(kernels, name)(x, *arguments, return_indices=True)[1]


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("max_pool1d", (normal(3, 20), 3), {"stride": 2, "padding": 1, "ceil_mode": True}),
        ("max_pool1d", (normal(2, 3, 20)[..., ::2], (3,), None, 1, 2), {"return_indices": True}),
        ("max_pool1d", (normal(0, 3, 20), 3), {"return_indices": "window"}),
        ("max_pool2d", (normal(2, 3, 9, 7).transpose(0, 1, 3, 2), (3, 2), (2, 1), (1, 1)), {}),
        ("max_pool2d", (normal(3, 9, 7), 3, ()), {"return_indices": "window"}),
        ("max_pool2d", (normal(3, 9, 7), 9, 1, 4), {"return_indices": True}),
        ("max_pool3d", (normal(2, 5, 6, 7), (1, 2, 3), 1, (0, 1, 1), (1, 2, 1)), {}),
        ("max_pool3d_backward", (normal(2, 2, 3, 3), (2, 5, 6, 7), indices_of("max_pool3d", normal(2, 5, 6, 7), 2), 2),
         {}),
        ("avg_pool1d", (normal(3, 20), 3, 2, 1, True, False), {}),
        ("avg_pool2d", (normal(2, 3, 9, 7), (3, 2)), {"divisor_override": 5, "padding": (1, 0)}),
        ("avg_pool3d", (normal(2, 5, 6, 7), 2), {"ceil_mode": True}),
        ("avg_pool1d_backward", (normal(3, 9), (3, 20), 4, 2), {}),
        ("avg_pool2d_backward", (normal(3, 4, 3), (3, 8, 6), 2), {}),
        ("avg_pool3d_backward", (normal(2, 2, 3, 3), (2, 5, 6, 7), 2), {"divisor_override": 3}),
        ("lp_pool1d", (normal(3, 20) ** 2, 3.5, 3), {}),
        ("lp_pool2d", (normal(3, 9, 8), np.inf, (3, 2)), {"ceil_mode": True}),
        ("lp_pool2d", (normal(3, 9, 8) * np.float32(1e25), 2, 2), {}),
        ("lp_pool3d", (normal(2, 5, 6, 7), 1, 2), {}),
        ("lp_pool2d_backward", (normal(3, 4, 4), normal(3, 8, 8), normal(3, 4, 4), np.inf, 2), {}),
        ("lp_pool2d_backward", (normal(3, 4, 4), normal(3, 8, 8) * np.float32(1e-25), normal(3, 4, 4), 3, 2), {}),
        ("adaptive_avg_pool1d", (normal(3, 20), 3), {}),
        ("adaptive_avg_pool2d", (normal(2, 3, 9, 8), (None, 4)), {}),
        ("adaptive_avg_pool2d", (normal(2, 3, 9, 8), (0, 4)), {}),
        ("adaptive_avg_pool3d", (normal(2, 3, 9, 8), (3, 2, None)), {}),
        ("adaptive_avg_pool3d", (normal(2, 4, 9, 8), 1), {}),
        ("adaptive_avg_pool2d_backward", (normal(2, 3, 4, 3), (2, 3, 9, 8)), {}),
        ("adaptive_avg_pool2d_backward", (normal(2, 3, 3, 4), (2, 3, 9, 8)), {}),
        ("adaptive_max_pool1d", (normal(3, 20), (3,)), {}),
        ("adaptive_max_pool2d", (normal(2, 3, 9, 8), (3, 4)), {}),
        ("adaptive_max_pool2d", (normal(2, 3, 9, 8), 4, True), {}),
        ("adaptive_max_pool3d", (normal(0, 3, 3, 9, 8), 2), {"return_indices": True}),
        ("max_unpool2d", (normal(3, 4, 4), indices_of("max_pool2d", normal(3, 9, 8), 2), 2), {"output_size": (9, 8)}),
        ("max_unpool2d", (normal(3, 4, 4), indices_of("max_pool2d", normal(3, 9, 8), 2), 2, (2, 2), 0, (3, 9, 8)), {}),
        ("max_unpool1d", (normal(2, 3, 4), indices_of("max_pool1d", normal(2, 3, 8), 2), (2,)), {}),
        ("max_unpool3d_backward", (normal(2, 4, 6, 8), indices_of("max_pool3d", normal(2, 4, 6, 8), 2)), {}),
        ("unfold", (normal(2, 3, 9, 8), (3, 2), (1, 2), (1, 0), 2), {}),
        ("unfold", (normal(3, 9, 8), 2), {"stride": 3}),
        ("fold", (normal(2, 12, 16), 8, 2), {"stride": (2, 2)}),
        ("fold", (normal(12, 49), (8, 8), (2, 2)), {}),
        ("unfold_backward", (normal(2, 12, 49), (2, 3, 8, 8), 2), {}),
        ("fold_backward", (normal(2, 3, 8, 8), (2, 12, 49), 2), {}),
        ("interpolate", (normal(2, 3, 9), 4), {}),
        ("interpolate", (normal(2, 3, 9), None, 1.7, "linear"), {}),
        ("interpolate", (normal(2, 3, 9, 7), (5, 12), None, "bilinear", True), {}),
        ("interpolate", (normal(2, 3, 9, 7), None, (0.5, 2), "bicubic"), {"antialias": True}),
        ("interpolate", (normal(2, 3, 9, 7), None, 0.4, "bilinear"), {"antialias": True,
                                                                     "recompute_scale_factor": True}),
        ("interpolate", (normal(2, 3, 3, 4, 5), 4, None, "trilinear", False), {}),
        ("interpolate", (normal(2, 3, 9, 7), (4, 3), None, "nearest-exact"), {}),
        ("interpolate", (normal(2, 3, 9, 7), (4, 3), None, "area"), {}),
        ("interpolate_backward", (normal(2, 3, 4, 3), (2, 3, 9, 7), (4, 3), None, "area"), {}),
        ("interpolate_backward", (normal(2, 3, 4, 3), (2, 3, 9, 7), (4, 3), None, "bicubic"), {"antialias": True}),
        ("interpolate_backward", (normal(0, 3, 6), (0, 3, 3)), {"scale_factor": 2}),
        ("grid_sample", (normal(2, 3, 9, 7), normal(2, 4, 5, 2)), {}),
        ("grid_sample", (normal(2, 3, 9, 7), normal(2, 4, 5, 2), "bicubic", "border", True), {}),
        ("grid_sample", (normal(2, 3, 5, 4, 3), normal(2, 4, 5, 2, 3), "nearest", "reflection"), {}),
        ("grid_sample", (normal(2, 0, 9, 7), normal(2, 4, 5, 2)), {}),
        ("grid_sample_backward", (normal(2, 3, 4, 5), normal(2, 3, 9, 7), normal(2, 4, 5, 2)),
         {"needs": (False, True)}),
        ("grid_sample_backward", (normal(2, 3, 4, 5, 2), normal(2, 3, 5, 4, 3), normal(2, 4, 5, 2, 3)), {}),
        ("grid_sample_backward", (normal(2, 0, 4, 5), normal(2, 0, 9, 7), normal(2, 4, 5, 2)), {}),
    ],
)  # fmt: skip
def test_poolings(name, arguments, options):
    assert_same_result(name, arguments, options)


BYTES = np.array([[0, 1, 4]], np.uint8)


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("max_pool2d", (normal(3, 8, 8).astype(np.int64), 2), {}),
        ("max_pool2d", (normal(8, 8), 2), {}),
        ("max_pool2d", (normal(3, 0, 8), 2), {}),
        ("max_pool2d", (normal(3, 8, 8), 0), {}),
        ("max_pool2d", (normal(3, 8, 8), (2, 2, 2)), {}),
        ("max_pool2d", (normal(3, 8, 8), 2.0), {}),
        ("max_pool2d", (normal(3, 8, 8), 2, 0), {}),
        ("max_pool2d", (normal(3, 8, 8), 2, None, 2), {}),
        ("max_pool2d", (normal(3, 8, 8), 9), {}),
        ("max_pool2d", (normal(3, 8, 8), 2, 1, 1, (9, 1)), {}),
        ("max_pool2d", (normal(3, 8, 8), 2), {"return_indices": "places"}),
        ("max_pool2d", (normal(3, 80, 80), 20), {"return_indices": "window"}),
        ("max_pool1d_backward", (normal(1, 4), (1, 6), BYTES, 2), {}),
        ("max_pool1d_backward", (normal(1, 3), (1, 6), BYTES, 2), {}),
        ("max_pool1d_backward", (normal(1, 3), (1, 6), BYTES[0], 2), {}),
        ("max_pool1d_backward", (normal(1, 3), (1, 6), np.array([[0, 6, 1]]), 2), {}),
        ("max_pool1d_backward", (normal(1, 3), (1, 6), normal(1, 3), 2), {}),
        ("avg_pool2d", (normal(3, 8, 8), 2), {"divisor_override": 0}),
        ("avg_pool2d", (normal(3, 8, 8), 2), {"divisor_override": 2.5}),
        ("avg_pool1d_backward", (normal(1, 4), (1, 6), 2), {}),
        ("lp_pool1d", (normal(3, 8), 0, 2), {}),
        ("lp_pool1d", (normal(3, 8), -np.inf, 2), {}),
        ("lp_pool1d", (normal(3, 8), None, 2), {}),
        ("lp_pool1d_backward", (normal(3, 4), normal(3, 8), normal(3, 5), 2, 2), {}),
        ("lp_pool1d_backward", (normal(3, 4), normal(3, 8, dtype=np.float64), normal(3, 4), 2, 2), {}),
        ("adaptive_avg_pool1d", (normal(3, 8), None), {}),
        ("adaptive_avg_pool1d", (normal(3, 8), (None,)), {}),
        ("adaptive_avg_pool2d", (normal(3, 8, 8), (2, 2, 2)), {}),
        ("adaptive_avg_pool2d", (normal(3, 8, 8), -1), {}),
        ("adaptive_avg_pool2d", (normal(8), 2), {}),
        ("adaptive_avg_pool1d_backward", (normal(3, 4), (2, 8)), {}),
        ("adaptive_max_pool1d", (normal(3, 8), 2, "window"), {}),
        ("adaptive_max_pool1d_backward", (normal(1, 2), (1, 3), np.array([[1, 3]])), {}),
        ("adaptive_max_pool1d_backward", (normal(1, 2), (1, 3), np.array([[1.0, 2.0]])), {}),
        ("max_unpool1d", (normal(1, 2), np.array([[1, 4]]), 2), {}),
        ("max_unpool1d", (normal(1, 2), np.array([[1, 2]]), 2), {"output_size": (6,)}),
        ("max_unpool1d", (normal(1, 2), np.array([[1, 2]]), 2, 1, 2), {}),
        ("max_unpool1d", (normal(2), np.array([1, 2]), 2), {}),
        ("max_unpool1d", (normal(1, 2), np.array([[1, 2, 3]]), 2), {}),
        ("max_unpool1d_backward", (normal(1, 2), np.array([[1, 4]])), {}),
        ("max_unpool1d_backward", (normal(1, 2), np.array([1])), {}),
        ("max_unpool1d_backward", (normal(2, 2), np.array([[1, 0]])), {}),
        ("unfold", (normal(8, 8), 2), {}),
        ("unfold", (normal(3, 8, 8), 9), {}),
        ("unfold", (normal(3, 8, 8), 2, 0), {}),
        ("fold", (normal(5, 16), 8, 2), {}),
        ("fold", (normal(4, 16), 8, 2), {}),
        ("fold", (normal(4), 8, 2), {}),
        ("unfold_backward", (normal(12, 48), (3, 8, 8), 2), {}),
        ("fold_backward", (normal(3, 8, 8), (12, 48), 2), {}),
        ("interpolate", (normal(2, 3, 9), 4, None, "cubic"), {}),
        ("interpolate", (normal(2, 3, 9), 4, None, "bilinear"), {}),
        ("interpolate", (normal(2, 3, 9), 4, 2.0), {}),
        ("interpolate", (normal(2, 3, 9),), {}),
        ("interpolate", (normal(2, 3, 9), 0), {}),
        ("interpolate", (normal(2, 3, 9), None, -1.0), {}),
        ("interpolate", (normal(2, 3, 9), None, (2.0, 2.0)), {}),
        ("interpolate", (normal(2, 3, 9), None, 0.01), {}),
        ("interpolate", (normal(2, 3, 9), 4), {"align_corners": True}),
        ("interpolate", (normal(2, 3, 9), 4), {"antialias": True}),
        ("interpolate", (normal(2, 3, 9), 4), {"recompute_scale_factor": True}),
        ("interpolate", (normal(2, 0, 9), 4), {}),
        ("interpolate_backward", (normal(2, 3, 5), (2, 3, 9), 4), {}),
        ("grid_sample", (normal(2, 3, 9, 7), normal(2, 4, 5, 2), "cubic"), {}),
        ("grid_sample", (normal(2, 3, 9, 7), normal(2, 4, 5, 2)), {"padding_mode": "ones"}),
        ("grid_sample", (normal(2, 3, 9), normal(2, 4, 1)), {}),
        ("grid_sample", (normal(2, 3, 9, 7), normal(1, 4, 5, 2)), {}),
        ("grid_sample", (normal(2, 3, 9, 7), normal(2, 4, 5, 2, dtype=np.float64)), {}),
        ("grid_sample", (normal(2, 3, 5, 4, 3), normal(2, 4, 5, 2, 3), "bicubic"), {}),
        ("grid_sample_backward", (normal(2, 3, 4, 4), normal(2, 3, 9, 7), normal(2, 4, 5, 2)), {}),
    ],
)
def test_errors_of_poolings(name, arguments, options):
    assert_same_error(name, arguments, options)

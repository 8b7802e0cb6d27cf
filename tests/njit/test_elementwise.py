"""The functions of elementwise inside jitted code."""

import numpy as np
import pytest

from tests.njit.calling import assert_same_error, assert_same_result

_rng = np.random.default_rng(0)
X, D = _rng.standard_normal((3, 4, 5)).astype(np.float32), _rng.standard_normal((4, 6))
IDS = _rng.integers(0, 4, (4, 6))
SCALAR, ROW, EMPTY = np.array(0.5, np.float32), np.sort(D[0]), np.zeros((3, 0), np.float32)
LONG = _rng.standard_normal(2**15 + 5).astype(np.float32)  # from 2**15 elements on, on several threads

RESULTS = [
    *(("relu", x) for x in (X.T, X[:, ::2], SCALAR, EMPTY, LONG)),
    ("leaky_relu", D, 1),
    ("hardtanh", D, -1, 2),
    ("softplus_backward", D.T, D.T, 2),
    ("gelu", D, "none"),
    ("gelu_backward", D, D, "tanh"),
    ("lgamma", LONG),
    ("exp_backward", LONG, LONG),
    *(("glu", D, dim) for dim in (0, -1)),
    ("glu", LONG[1:], 0),
    ("glu", EMPTY),
    *(
        ("prelu", *arguments)
        for arguments in ((X, X[0, :, 0]), (D.T, np.array(0.5)), (SCALAR, SCALAR), (LONG, LONG[:1]))
    ),
    *(("prelu_backward", x, x, weight) for x, weight in ((X, X[0, :, 0]), (D.T, np.array(0.5)), (EMPTY, LONG[:1]))),
    ("prelu_backward", EMPTY, EMPTY, EMPTY[0]),
    *(("softmax", x) for x in (X.T, X[::2], SCALAR, EMPTY, LONG)),
    ("softmax_backward", X.T, X.T, 1),
    *(("sum", X, dim, keepdim) for dim in (None, (), 1, (0, 2), (-1, 1)) for keepdim in (False, True)),
    *(("mean", x, 0) for x in (D.T, SCALAR, LONG)),
    *(("mean", EMPTY, dim) for dim in (None, 0, 1)),
    *(("mean_backward", X[:, 0, 0], (3, 4, 5), (1, -1)), ("mean_backward", SCALAR, ())),
    ("sum_backward", X[:, :1], (3, 4, 5), 1, True),
    *(("max", X, dim, keepdim) for dim in (None, -2) for keepdim in (False, True)),
    *((name, x) for name in ("max", "argmax") for x in (SCALAR, D.T, LONG)),
    ("max", EMPTY, 0),
    ("max_backward", SCALAR, X),
    ("max_backward", X[:, :1], X, 1, True),
    *(("logsumexp", X, dim, keepdim) for dim in (None, 1, (0, 2)) for keepdim in (False, True)),
    *(("logsumexp", EMPTY, 1), ("logsumexp", SCALAR, 0)),
    ("logsumexp_backward", X[0, :, 0], X, X[0, :, 0], (0, 2)),
    ("logsumexp_backward", X[:, 0, 0], X, X[:, 0, 0], (1, 2)),
    ("logsumexp_backward", SCALAR, SCALAR, SCALAR, 0),
    *((name, x, 0) for name in ("cumsum", "cumprod", "cummax", "cummin") for x in (D.T, IDS.astype(np.int16), IDS > 2)),
    *(("cumsum", x, -1) for x in (SCALAR, EMPTY, LONG)),
    ("cummin_backward", D.T, IDS.astype(np.int32).T, 1),
    ("cummax_backward", SCALAR, np.array(0), 0),
    ("logcumsumexp", X.T, 1),
    *(("sort", x, 0, True) for x in (D.T, IDS.astype(np.int32), IDS > 2, SCALAR, EMPTY)),
    ("argsort", D[:, ::2], 1),
    *(("topk", D, 2, dim, largest) for dim in (0, 1) for largest in (False, True)),
    *(("topk", SCALAR, 1), ("topk", D, 0)),
    ("kthvalue", IDS.astype(np.uint8).T, 2, 1, True),
    *(("median", x, None, keepdim) for x in (D, EMPTY, IDS) for keepdim in (False, True)),
    ("median", X, 1, True),
    ("sort_backward", D[:, :3], IDS[:, :3], (4, 6)),
    ("sort_backward", D[:, 0], IDS[:, 0].astype(np.int32), (4, 6)),
    ("sort_backward", SCALAR, np.array(0), ()),
    ("searchsorted", np.sort(D), D[:, :3], True),
    ("searchsorted", ROW, np.array(1.0)),
    ("bucketize", D.T, ROW),
    *(("unique", IDS, True, inverse, counts) for inverse in (False, True) for counts in (False, True)),
    ("unique", (IDS > 2).T),
]
ERRORS = [
    ("relu", IDS),
    ("relu", 3),
    ("relu_backward", X, X[0]),
    ("relu_backward", X, D),
    ("hardtanh", X, 2, 1),
    ("hardtanh_backward", X, X, 0.5, -0.5),
    ("celu", X, 0),
    ("gelu", X, "erf"),
    *(("glu", X, 0), ("glu", X, 3), ("glu", SCALAR), ("glu_backward", D, D, 0)),
    *(("prelu", X, weight) for weight in (D[0], X[0, :2, 0], X)),
    *(("softmax", X, dim) for dim in (3, -4, 1.5, (0, 1))),
    ("softmax_backward", X, X[0]),
    ("log_softmax_backward", X, D),
    *(("sum", X, dim) for dim in (3, (0, 0), (1, True), 0.5)),
    ("mean_backward", X, (3, 4, 5), 1),
    *(("max", EMPTY), ("argmax", EMPTY, 1), ("max", X, (0, 1)), ("max_backward", X, X, 1)),
    ("max_backward", X[0], X, 0, False, IDS[:, :5]),
    ("logsumexp_backward", SCALAR, X, np.array(0.5), None),
    ("logsumexp_backward", X[0], X, X, 0),
    *(("cumsum", x, 0) for x in (IDS.astype(np.uint64), IDS.astype(np.complex64), 3)),
    *(("cummax", X, 3), ("cumsum_backward", IDS, 0), ("cumprod_backward", X, X[0], 0)),
    *(("cummin_backward", D, ids, 1) for ids in (IDS + 3, IDS[:2], D)),
    ("cummin_backward", SCALAR, np.array(1), 0),
    *(("topk", D, k) for k in (7, -1, 1.5, True)),
    *(("kthvalue", D, 0), ("sort", D, 2), ("sort", IDS.astype(np.complex64))),
    *(("median", IDS[:0]), ("median", EMPTY, 1)),
    *(("sort_backward", D, IDS, shape) for shape in ((3, 6), (4,), (4, 3), ())),
    *(("searchsorted", SCALAR, SCALAR), ("searchsorted", np.sort(D), D[:3]), ("searchsorted", np.sort(D), D[0])),
    *(("searchsorted", ROW, X), ("bucketize", D, D), ("unique", IDS.astype(np.uint64))),
]


def label(case):
    shape = next((each.shape for each in case if isinstance(each, np.ndarray)), "")
    return f"{case[0]} {shape} " + " ".join(repr(each) for each in case[1:] if not isinstance(each, np.ndarray))


@pytest.mark.parametrize("case", RESULTS, ids=label)
def test_shapes_and_options(case):
    assert_same_result(case[0], case[1:])


@pytest.mark.parametrize("case", ERRORS, ids=label)
def test_errors(case):
    assert_same_error(case[0], case[1:])


@pytest.mark.parametrize("name", ["relu", "glu", "prelu"])
def test_out(name):
    x = _rng.standard_normal((4, 6))
    arguments = (x, np.array(0.5)) if name == "prelu" else (x,)
    shape = (4, 3) if name == "glu" else x.shape
    assert_same_result(name, arguments, {"out": np.empty(shape)})
    assert_same_error(name, arguments, {"out": np.empty((5, 6))})
    assert_same_error(name, arguments, {"out": np.empty(shape, np.float32)})
    assert_same_error(name, arguments, {"out": np.empty(shape[::-1]).T})
    memory = np.zeros(30)
    overlapping = memory[1 : 1 + np.prod(shape)].reshape(shape)
    assert_same_error(name, (memory[:24].reshape(4, 6), *arguments[1:]), {"out": overlapping})

"""The functions of normalization inside jitted code."""

import numba
import numpy as np
import pytest

import kernels
from tests.njit.calling import assert_same_bits, assert_same_error, assert_same_result, normal, read_only


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

"""Jitted code that calls kernels: layers; see `tests.njit.alone`."""

from tests.njit.alone import assert_passes


def test_passes():
    assert_passes("test_convolution", "test_recurrent", "test_normalization", "test_attention", "test_pooling")

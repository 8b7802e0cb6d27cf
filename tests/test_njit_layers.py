"""Jitted code that calls kernels: layers; see `tests.njit.alone`."""

import pytest

from tests.njit.alone import assert_passes


@pytest.mark.parametrize(
    "name", ["test_convolution", "test_recurrent", "test_normalization", "test_attention", "test_pooling"]
)
def test_passes(name):
    assert_passes(name)

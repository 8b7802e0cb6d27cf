"""Jitted code that calls kernels: products, losses, steps and lookups; see `tests.njit.alone`."""

import pytest

from tests.njit.alone import assert_passes


@pytest.mark.parametrize("name", ["test_gemm", "test_loss", "test_update", "test_lookup"])
def test_passes(name):
    assert_passes(name)

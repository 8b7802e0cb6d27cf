"""Jitted code that calls kernels: elements, products, losses, steps and lookups; see `tests.njit.alone`."""

from tests.njit.alone import assert_passes


def test_passes():
    assert_passes("test_elementwise", "test_gemm", "test_loss", "test_update", "test_lookup")

"""Jitted code that calls kernels: every public function, and those of elements; see `tests.njit.alone`."""

from tests.njit.alone import assert_passes


def test_passes():
    assert_passes("test_table", "test_elementwise", "test_callers")

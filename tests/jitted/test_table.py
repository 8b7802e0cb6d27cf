"""Jitted code that calls kernels: every public function; see `tests.njit.alone`."""

from tests.njit.alone import assert_passes


def test_passes():
    assert_passes("test_table", "test_callers")

"""Jitted code that calls kernels: every public function, and those of elements; see `tests.njit.alone`."""

import pytest

from tests.njit.alone import assert_passes


@pytest.mark.parametrize("name", ["test_table", "test_elementwise", "test_callers"])
def test_passes(name):
    assert_passes(name)

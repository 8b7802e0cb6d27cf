"""Every public function inside jitted code: the same bits as outside."""

import numpy as np
import pytest

import kernels
from tests.njit.calling import assert_same_bits, calls, converted, jitted, offered, public_names

# What has no entry; its docstring says so.
NOT_OFFERED = set()


def test_which_functions_are_offered():
    assert set(public_names()) - set(offered()) == NOT_OFFERED
    assert len(offered()) > 200


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

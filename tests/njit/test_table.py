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
def test_same_bits_as_outside(name, dtype, request):
    """Of the calls of a function some, from the first to the last: each compiles code of its own, that stays in memory.
    The tests of the families have the other options."""
    every, most = calls()[name], 4 if dtype == np.float32 and request.config.getoption("every") == 1 else 1
    chosen = sorted({round(i) for i in np.linspace(len(every) - 1, 0, min(most, len(every)))})
    for arguments, options in (every[i] for i in chosen):
        arguments, options = converted(arguments, dtype), converted(options, dtype)
        call, arrays = jitted(name, arguments, options)
        inside = [array.copy() for array in arrays]
        with np.errstate(all="ignore"):
            expected = getattr(kernels, name)(*arguments, **options)
            result = call(*inside)
        assert_same_bits(result, expected)
        assert_same_bits(inside, arrays)  # what a call fills or changes

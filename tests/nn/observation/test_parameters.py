"""Parameters as one vector."""

import numpy as np
import pytest

import nn
from nn import observation


def test_round_trip(rng, dtype):
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((2, 3), (), (4,), (0, 5))]
    vector = observation.flatten(arrays)
    assert vector.shape == (11,) and vector.dtype == dtype
    parts = observation.unflatten(vector, arrays)
    for part, array in zip(parts, arrays, strict=True):
        np.testing.assert_array_equal(part, array)
        assert not part.size or np.shares_memory(part, vector)
    parameters = [nn.Parameter(array) for array in arrays]
    np.testing.assert_array_equal(observation.flatten(parameters), vector)
    assert [part.shape for part in observation.unflatten(vector, parameters)] == [p.shape for p in parameters]


def test_lengths_that_differ():
    with pytest.raises(ValueError, match=r"unflatten: the vector is \(5,\), the shapes have 6 elements"):
        observation.unflatten(np.zeros(5), [np.zeros((2, 3))])

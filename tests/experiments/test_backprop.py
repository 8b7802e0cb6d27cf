"""The experiments of the chapter, in fast mode."""

import pytest

from experiments import lab
from tests.experiments.checking import check_experiment


@pytest.mark.parametrize("name", lab.names("backprop"))
def test_fast(name):
    check_experiment(name)

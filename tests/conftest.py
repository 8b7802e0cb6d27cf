"""Fixtures of the whole suite: seeds, dtypes, thread counts."""

import zlib

import hypothesis
import numpy as np
import pytest

import kernels
from kernels import machine

pytest.register_assert_rewrite("tests.checking")
hypothesis.settings.register_profile("suite", deadline=None, max_examples=25, derandomize=True, database=None)
hypothesis.settings.load_profile("suite")

try:
    import torch
except ImportError:  # what compares with PyTorch cannot be collected then; the rest can
    pass
else:
    torch.set_num_threads(1)


def pytest_configure(config):
    """Files go to xdist's workers in the order of their names: by the number of tests, files with one long test would
    be the last, one after the other."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.fixture
def rng(request):
    """A random generator seeded with the test's name."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def at_thread_counts():
    """`at_thread_counts(call)` returns the results of `call()` with one thread and with two, as a list."""
    if machine.cores() < 2:
        pytest.skip("needs two cores")
    before = kernels.get_num_threads()

    def run(call):
        results = []
        for count in (1, 2):
            kernels.set_num_threads(count)
            results.append(call())
        return results

    yield run
    kernels.set_num_threads(before)

"""Fixtures of the tests of all experiments."""

import pytest
import torch

import kernels


@pytest.fixture(autouse=True)
def restored_threads():
    """An experiment sets the thread counts of both libraries; restore them for the next test."""
    before = kernels.get_num_threads(), torch.get_num_threads()
    yield
    kernels.set_num_threads(before[0])
    torch.set_num_threads(before[1])

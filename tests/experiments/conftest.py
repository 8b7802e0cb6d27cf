"""What holds for the tests of all experiments."""

import pytest
import torch

import kernels


@pytest.fixture(autouse=True)
def restored_threads():
    """An experiment sets the threads of both libraries; the next test finds them as they were."""
    before = kernels.get_num_threads(), torch.get_num_threads()
    yield
    kernels.set_num_threads(before[0])
    torch.set_num_threads(before[1])

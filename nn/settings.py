"""PyTorch's global switches: threads, precision, determinism and the defaults of new tensors."""

import kernels
from kernels import _threads
from nn.device import CPU, require_cpu
from nn.dtypes import set_default_dtype
from nn.operations.conversion import TYPES

__all__ = [
    *("are_deterministic_algorithms_enabled", "get_default_device", "get_float32_matmul_precision"),
    *("get_num_threads", "set_default_device", "set_default_tensor_type", "set_float32_matmul_precision"),
    *("set_num_threads", "use_deterministic_algorithms"),
]


def get_num_threads():
    """The number of threads of each computation."""
    return kernels.get_num_threads()


def set_num_threads(int):
    """Set the number of threads of each computation; as many as there are cores for a larger number."""
    kernels.set_num_threads(min(int, _threads._max_threads))


def set_float32_matmul_precision(precision):
    """Nothing: products of float32 are computed in float32, PyTorch's "highest", whatever is asked for."""
    if precision not in ("highest", "high", "medium"):
        raise ValueError(f"set_float32_matmul_precision: expected highest, high or medium, got {precision!r}")


def get_float32_matmul_precision():
    """The precision of products of float32: "highest"."""
    return "highest"


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Nothing: every kernel gives the same bits for the same input, whatever is asked for."""


def are_deterministic_algorithms_enabled():
    """Whether the same input gives the same bits: True."""
    return True


def set_default_device(device):
    """Nothing for the CPU and None; RuntimeError for another device."""
    require_cpu(device)


def get_default_device():
    """The device of new tensors: the CPU."""
    return CPU


def set_default_tensor_type(t):
    """Set the dtype of Python's floats by an old name, "torch.FloatTensor" or "torch.DoubleTensor"."""
    name = t if isinstance(t, str) else t.__name__
    if name.removeprefix("torch.") not in TYPES:
        raise TypeError(f"set_default_tensor_type: expected one of {', '.join(TYPES)}, got {name!r}")
    set_default_dtype(TYPES[name.removeprefix("torch.")])

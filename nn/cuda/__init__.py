"""What programs ask of ``torch.cuda`` before they use a GPU: there is none."""

from nn.cuda import amp
from nn.device import require_cpu


def is_available():
    """Whether there is a GPU: False."""
    return False


def is_initialized():
    """Whether a GPU is in use: False."""
    return False


def is_bf16_supported():
    """Whether a GPU computes with bfloat16: False."""
    return False


def device_count():
    """The number of GPUs: 0."""
    return 0


def current_device():
    """RuntimeError: there is no GPU."""
    require_cpu("cuda")


def set_device(device):
    """RuntimeError: there is no GPU."""
    require_cpu("cuda")


def manual_seed(seed):
    """Nothing: there is no GPU to seed."""


def manual_seed_all(seed):
    """Nothing: there is no GPU to seed."""


def empty_cache():
    """Nothing: there is no memory of a GPU to free."""


def synchronize(device=None):
    """Nothing: computations have ended when their functions return."""


def memory_allocated(device=None):
    """Bytes in use on the GPU: 0."""
    return 0


def max_memory_allocated(device=None):
    """Most bytes in use on the GPU so far: 0."""
    return 0


def reset_peak_memory_stats(device=None):
    """Nothing: there is no memory of a GPU."""

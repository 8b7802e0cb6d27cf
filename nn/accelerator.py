"""What programs ask of ``torch.accelerator`` before they use one: there is none."""

from nn.device import require_cpu

__all__ = ["current_accelerator", "device_count", "is_available", "synchronize"]


def is_available():
    """Whether there is an accelerator: False."""
    return False


def current_accelerator(check_available=False):
    """The accelerator: None."""
    return None


def device_count():
    """The number of accelerators: 0."""
    return 0


def synchronize(device=None):
    """Nothing: computations have ended when their functions return; RuntimeError for a device other than the CPU."""
    require_cpu(device)

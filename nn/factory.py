"""The arguments `device` and `dtype` of layers."""

from nn.device import require_cpu
from nn.dtypes import checked, float32, get_default_dtype


def placed(module, device, dtype):
    """Finish a layer's constructor: its parameters and buffers, made as float32, get `dtype`, or the default dtype.

    Raises
    ------
    RuntimeError
        `device` is neither None nor the CPU.
    TypeError
        `dtype` is neither None nor float32 or float64.
    """
    require_cpu(device)
    dtype = get_default_dtype() if dtype is None else checked(type(module).__name__, dtype)
    if dtype.kind != "f":
        raise TypeError(f"{type(module).__name__}: dtype must be float32 or float64, got {dtype}")
    if dtype != float32 or get_default_dtype() != float32:  # the layers within have the default dtype
        module.to(dtype)

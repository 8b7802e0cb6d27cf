"""How the functions of `nn.init` write to a tensor, and where their random numbers come from."""

from nn import random


def fill(tensor, values):
    """Overwrite the tensor, without recording, and return it."""
    tensor.array[...] = values
    tensor.mark_changed()
    return tensor


def normal(name, shape, dtype, generator):
    """Standard normal numbers."""
    return random.drawer(name, generator).standard_normal(shape, dtype=dtype)


def uniform(name, shape, dtype, generator):
    """Uniform numbers on [0, 1)."""
    return random.drawer(name, generator).random(shape, dtype=dtype)


def check_matrix(name, tensor):
    """ValueError unless the tensor is 2-D."""
    if len(tensor.shape) != 2:
        raise ValueError(f"{name}: needs 2 dimensions, the tensor is {tensor.shape}")

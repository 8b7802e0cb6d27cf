"""How the functions of `nn.init` write to a tensor, and where their random numbers come from."""

from nn import random


def fill(tensor, values):
    """Overwrite the tensor, without recording, and return it."""
    tensor.array[...] = values
    tensor.mark_changed()
    return tensor


def normal(shape, dtype, generator):
    """Standard normal numbers."""
    return (generator or random.generator()).standard_normal(shape, dtype=dtype)


def uniform(shape, dtype, generator):
    """Uniform numbers on [0, 1)."""
    return (generator or random.generator()).random(shape, dtype=dtype)


def check_matrix(name, tensor):
    """ValueError unless the tensor is 2-D."""
    if len(tensor.shape) != 2:
        raise ValueError(f"{name}: needs 2 dimensions, the tensor is {tensor.shape}")

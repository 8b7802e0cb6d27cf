"""``torch.backends.mps``, Apple's GPUs: not there."""


def is_available():
    """Whether there is such a GPU: False."""
    return False


def is_built():
    """Whether `nn` could use such a GPU: False."""
    return False

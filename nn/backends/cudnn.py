"""``torch.backends.cudnn``: not there."""

enabled = False
benchmark = False
deterministic = True  # as every kernel here: the same input gives the same bits
allow_tf32 = False


def is_available():
    """Whether cuDNN is there: False."""
    return False


def version():
    """cuDNN's version: None."""
    return None

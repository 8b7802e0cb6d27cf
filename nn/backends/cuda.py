"""``torch.backends.cuda``: not there."""

from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False, allow_fp16_reduced_precision_reduction=False)


def is_built():
    """Whether `nn` could use a GPU: False."""
    return False

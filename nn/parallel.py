"""Modules of programs that are written for several GPUs, or for several processes."""

from nn.distributed.data_parallel import DistributedDataParallel  # noqa: F401
from nn.module import Module


class DataParallel(Module):
    """A module, called as it is: there is one device, which computes the whole batch.

    Its parameters are named ``module.…``, as in PyTorch. Without a GPU, PyTorch's does the same.

    Parameters
    ----------
    module : Module
    device_ids, output_device, dim
        Have no effect.

    Examples
    --------
    >>> import nn
    >>> nn.DataParallel(nn.Linear(3, 2))(nn.zeros(4, 3)).shape
    (4, 2)
    """

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.module, self.device_ids, self.dim = module, [], dim

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)

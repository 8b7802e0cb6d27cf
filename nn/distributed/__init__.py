"""Data-parallel training over MPI, with the names of ``torch.distributed``.

``mpiexec -n 4 python train.py`` starts four processes of one program, the ranks. `init_process_group` joins them,
`DistributedDataParallel` keeps their models equal, `nn.utils.data.DistributedSampler` gives each its part of the data.
It needs mpi4py and an MPI library, ``pip install mpi4py mpich``, and loads them when a group is joined, not before.
"""

from nn.distributed.collectives import ReduceOp, Work, all_gather, all_reduce, barrier, broadcast, reduce
from nn.distributed.data_parallel import DistributedDataParallel
from nn.distributed.group import (
    destroy_process_group,
    get_backend,
    get_rank,
    get_world_size,
    init_process_group,
    is_available,
    is_initialized,
)

__all__ = [
    *("DistributedDataParallel", "ReduceOp", "Work", "all_gather", "all_reduce", "barrier"),
    *("broadcast", "destroy_process_group", "get_backend", "get_rank", "get_world_size", "init_process_group"),
    *("is_available", "is_initialized", "reduce"),
]

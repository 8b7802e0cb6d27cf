"""The sampler of programs that divide a dataset among several processes."""

import numpy as np

from nn import distributed
from nn.utils.data.samplers import Sampler


class DistributedSampler(Sampler):
    """Every `num_replicas`-th index, from `rank` on, of an order that all processes draw alike.

    Parameters
    ----------
    dataset : Dataset
    num_replicas, rank : int
        PyTorch takes them from the group of processes by default; here there is none.
    shuffle : bool, default True
        Whether the order is random: for each epoch another one, once `set_epoch` is called.
    seed : int, default 0
    drop_last : bool, default False
        Whether indices are left out, rather than repeated, so that all processes get as many.

    Raises
    ------
    RuntimeError
        `num_replicas` or `rank` is not given.
    ValueError
        `rank` is not from 0 to ``num_replicas - 1``.
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        self.num_replicas = distributed.get_world_size() if num_replicas is None else num_replicas
        self.rank = distributed.get_rank() if rank is None else rank
        if not 0 <= self.rank < self.num_replicas:
            raise ValueError(f"DistributedSampler: rank must be from 0 to {self.num_replicas - 1}, got {self.rank}")
        self.dataset, self.shuffle, self.seed, self.drop_last = dataset, shuffle, seed, drop_last
        self.epoch = 0
        n = len(dataset)
        self.num_samples = n // self.num_replicas if drop_last else -(-n // self.num_replicas)
        self.total_size = self.num_samples * self.num_replicas

    def __iter__(self):
        n = len(self.dataset)
        order = np.random.default_rng(self.seed + self.epoch).permutation(n) if self.shuffle else np.arange(n)
        return iter(np.resize(order, self.total_size)[self.rank :: self.num_replicas].tolist())

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Set the number of the epoch, on which a random order depends."""
        self.epoch = epoch

"""Batches of a dataset.

The order is drawn when iteration begins; worker threads only fetch, and batches are returned in that order for any
number of workers.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from types import GenericAlias
from typing import Any

import numpy as np

from nn.utils.data.collate import default_collate, default_convert
from nn.utils.data.datasets import IterableDataset, has_batches
from nn.utils.data.samplers import BatchSampler, RandomSampler, SequentialSampler, batches


def get_worker_info():
    """None: samples are fetched in the main process."""
    return None


class DataLoader:
    """Batches of a dataset, in order or reshuffled for each iteration.

    Parameters
    ----------
    dataset : Dataset
    batch_size : int or None, default 1
        None: samples are returned one by one, their arrays as tensors.
    shuffle : bool, optional
    sampler : iterable of int, optional
        The indices of a pass, in place of `shuffle`.
    batch_sampler : iterable of list of int, optional
        The indices of each batch, in place of `batch_size`, `shuffle`, `sampler` and `drop_last`.
    num_workers : int, default 0
        Number of threads of this process that fetch batches ahead; 0 fetches in the calling thread. Threads help where
        fetching waits or computes in C. A stream is always read in the calling thread.
    collate_fn : callable, optional
        List of samples -> batch; `default_collate` by default.
    drop_last : bool, default False
        Omit the last batch if it is incomplete.
    generator : numpy.random.Generator, optional
        Used to shuffle; by default the one that ``nn.manual_seed`` seeds.
    prefetch_factor : int, optional
        Number of batches fetched ahead per worker, 2 by default.
    pin_memory, timeout, worker_init_fn, multiprocessing_context, persistent_workers, pin_memory_device, in_order
        For PyTorch's signature: they concern accelerators and worker processes, and are not used.

    Raises
    ------
    ValueError
        `batch_size` or `prefetch_factor` below 1, or `num_workers` below 0; options that exclude each other.

    Notes
    -----
    An error in a worker is raised in place of its batch. Leaving the loop early stops the workers.
    """

    __class_getitem__ = classmethod(GenericAlias)  # DataLoader[Tensor], in annotations

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=None,
        sampler=None,
        batch_sampler=None,
        num_workers=0,
        collate_fn=None,
        pin_memory=False,
        drop_last=False,
        timeout=0,
        worker_init_fn=None,
        multiprocessing_context=None,
        generator=None,
        *,
        prefetch_factor=None,
        persistent_workers=False,
        pin_memory_device="",
        in_order=True,
    ):
        for name, value, smallest, optional in (
            ("batch_size", batch_size, 1, True),
            ("num_workers", num_workers, 0, False),
            ("prefetch_factor", prefetch_factor, 1, True),
        ):
            if optional and value is None:
                continue
            if not isinstance(value, (int, np.integer)):
                raise TypeError(f"DataLoader: {name} must be an int, got {type(value).__name__}")
            if value < smallest:
                raise ValueError(f"DataLoader: {name} must be at least {smallest}, got {value}")
        _check_exclusive(dataset, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self._is_stream = isinstance(dataset, IterableDataset)
        self._is_batched = collate_fn is None and has_batches(dataset)
        if not self._is_stream and sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        elif not self._is_stream and batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None and batch_size is None else default_collate
        self.dataset, self.batch_size, self.drop_last, self.collate_fn = dataset, batch_size, drop_last, collate_fn
        self.sampler, self.batch_sampler, self.generator = sampler, batch_sampler, generator
        self.num_workers, self.prefetch_factor = num_workers, 2 if prefetch_factor is None else prefetch_factor
        self.pin_memory, self.timeout, self.worker_init_fn = pin_memory, timeout, worker_init_fn
        self.multiprocessing_context, self.persistent_workers = multiprocessing_context, persistent_workers
        self.pin_memory_device, self.in_order = pin_memory_device, in_order

    def __len__(self):
        if not self._is_stream:
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)
        n, size = len(self.dataset), self.batch_size or 1
        return n // size if self.drop_last else -(-n // size)

    def __iter__(self) -> Iterator[Any]:
        if self._is_stream:
            items = iter(self.dataset)
            if self.batch_size is not None:
                items = batches(items, self.batch_size, self.drop_last)
            return map(self.collate_fn, items)
        indices = self._indices()
        return self._prefetched(indices) if self.num_workers else map(self._fetch, indices)

    def _indices(self):
        """The indices of each batch, or single indices; drawn now."""
        sampler = self.batch_sampler
        if sampler is None:
            return iter(self.sampler)
        kind = type(sampler.sampler) if type(sampler) is BatchSampler else None
        if kind is SequentialSampler or (kind is RandomSampler and sampler.sampler.is_short()):
            order, size = sampler.sampler.order(), sampler.batch_size
            return (order[i * size : (i + 1) * size] for i in range(len(sampler)))
        return iter(sampler)

    def _fetch(self, indices):
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[indices])
        if self._is_batched:
            return self.dataset.batch(np.asarray(indices, np.int64))
        indices = indices.tolist() if isinstance(indices, np.ndarray) else list(indices)
        if hasattr(self.dataset, "__getitems__"):
            return self.collate_fn(self.dataset.__getitems__(indices))
        return self.collate_fn([self.dataset[i] for i in indices])

    def _prefetched(self, batches):
        # Leaving the `with` waits for running fetches and thus ends every thread: after the last batch, after an error,
        # and when an abandoned iterator is closed. Fetches that have not started are cancelled first.
        with ThreadPoolExecutor(self.num_workers, "DataLoader") as pool:
            fetches = (pool.submit(self._fetch, indices) for indices in batches)
            pending = deque(islice(fetches, self.num_workers * self.prefetch_factor))
            try:
                while pending:
                    batch = pending.popleft().result()
                    pending.extend(islice(fetches, 1))
                    yield batch
            finally:
                pool.shutdown(cancel_futures=True)


def _check_exclusive(dataset, batch_size, shuffle, sampler, batch_sampler, drop_last):
    """Raise if options exclude each other."""
    if isinstance(dataset, IterableDataset):
        if shuffle or sampler is not None or batch_sampler is not None:
            raise ValueError("DataLoader: a stream has its own order: no shuffle, sampler or batch_sampler")
        return
    if sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler excludes shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
    if batch_size is None and batch_sampler is None and drop_last:
        raise ValueError("DataLoader: without batches (batch_size=None) there is no drop_last")

"""Samplers: the order in which a loader fetches samples, drawn when iteration begins."""

from itertools import islice
from types import GenericAlias

import numpy as np

from nn import random
from nn.distributed.group import get_rank, get_world_size, is_initialized
from nn.tensor import Tensor

PART = 2**16  # indices that are drawn together


def _check_count(sampler, value, name="num_samples"):
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{type(sampler).__name__}: {name} must be an int, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{type(sampler).__name__}: {name} must be at least 1, got {value}")


class Sampler:
    """Base class: a subclass has ``__iter__()``, over indices or lists of indices, and usually ``__len__()``."""

    __class_getitem__ = classmethod(GenericAlias)  # Sampler[int], in annotations and as a base class

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__}: a sampler needs __iter__")


class SequentialSampler(Sampler):
    """All indices in order.

    Parameters
    ----------
    data_source : Dataset
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def order(self):
        """All indices, an array."""
        return np.arange(len(self.data_source))

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler):
    """Indices in a random order.

    Parameters
    ----------
    data_source : Dataset
    replacement : bool, default False
        Whether an index may be drawn again.
    num_samples : int, optional
        By default the length of the dataset; more than that, without replacement, is several orders.
    generator : numpy.random.Generator, optional
        By default the one that ``nn.manual_seed`` seeds.

    Raises
    ------
    TypeError, ValueError
        `num_samples` is not an int, or below 1.
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self._num_samples = num_samples
        if num_samples is not None:
            _check_count(self, num_samples)

    @property
    def num_samples(self):
        """The number of indices of a pass."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def is_short(self):
        """Whether the indices of a pass are drawn at once: programs ask for 10 billion, and take what they need."""
        return self.num_samples <= max(len(self.data_source), PART)

    def order(self):
        """The indices of a pass, drawn: an array."""
        return np.concatenate([np.empty(0, np.int64), *self._parts()])

    def _parts(self):
        n, left = len(self.data_source), self.num_samples
        generator = random.drawer("RandomSampler", self.generator)
        while left:
            part = generator.integers(n, size=min(left, PART)) if self.replacement else generator.permutation(n)[:left]
            left -= len(part)
            yield part

    def __iter__(self):
        if self.is_short():
            return iter(self.order().tolist())
        return (index for part in self._parts() for index in part.tolist())

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """Given indices in a random order.

    Parameters
    ----------
    indices : sequence of int
    generator : numpy.random.Generator, optional
        By default the one that ``nn.manual_seed`` seeds.
    """

    def __init__(self, indices, generator=None):
        self.indices, self.generator = indices, generator

    def __iter__(self):
        order = random.drawer("SubsetRandomSampler", self.generator).permutation(len(self.indices))
        return iter([self.indices[i] for i in order.tolist()])

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Indices drawn with given weights.

    Parameters
    ----------
    weights : sequence of float
        Of each index; they need not sum to 1.
    num_samples : int
    replacement : bool, default True
        Whether an index may be drawn again.
    generator : numpy.random.Generator, optional
        By default the one that ``nn.manual_seed`` seeds.

    Raises
    ------
    TypeError, ValueError
        `num_samples` is not an int, or below 1; `weights` is not a vector of numbers of at least 0 with a positive sum.
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        _check_count(self, num_samples)
        array = np.asarray(weights.array if isinstance(weights, Tensor) else weights, np.float64)
        if array.ndim != 1:
            raise ValueError(f"WeightedRandomSampler: weights must be a vector, got shape {array.shape}")
        if not ((array >= 0).all() and 0 < array.sum() < np.inf):
            raise ValueError("WeightedRandomSampler: weights must be at least 0 and have a positive sum")
        self.weights, self.num_samples = Tensor(array), int(num_samples)
        self.replacement, self.generator = replacement, generator

    def __iter__(self):
        weights = self.weights.array
        generator = self.generator or random.generator()
        return iter(
            generator.choice(len(weights), self.num_samples, self.replacement, weights / weights.sum()).tolist()
        )

    def __len__(self):
        return self.num_samples


class DistributedSampler(Sampler):
    """The part of the indices that one of several processes trains on; each process gets equally many.

    Parameters
    ----------
    dataset : Dataset
    num_replicas : int, optional
        The number of processes; by default that of the process group (`nn.distributed`).
    rank : int, optional
        The number of this process, from 0 on; by default its number in the group.
    shuffle : bool, default True
        Draw a new order for each epoch, the same one in all processes; see `set_epoch`.
    seed : int, default 0
        Of the order; the same in all processes.
    drop_last : bool, default False
        Leave out indices at the end that would not be equally many for each; by default, some are used twice.

    Raises
    ------
    RuntimeError
        `num_replicas` or `rank` is not given, and there is no process group.
    TypeError, ValueError
        `num_replicas` is not an int, or below 1; `rank` is not one of 0 to num_replicas - 1.
    """

    def __init__(self, dataset, num_replicas=None, rank=None, shuffle=True, seed=0, drop_last=False):
        if is_initialized():
            num_replicas = get_world_size() if num_replicas is None else num_replicas
            rank = get_rank() if rank is None else rank
        if num_replicas is None or rank is None:
            raise RuntimeError(
                "DistributedSampler: there is no process group: num_replicas and rank must be given, "
                f"got {num_replicas} and {rank}"
            )
        _check_count(self, num_replicas, "num_replicas")
        if not 0 <= rank < num_replicas:
            raise ValueError(f"DistributedSampler: rank must be from 0 to {num_replicas - 1}, got {rank}")
        self.dataset, self.num_replicas, self.rank, self.epoch = dataset, num_replicas, rank, 0
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        n = len(dataset)
        self.num_samples = n // num_replicas if drop_last else -(-n // num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self):
        n = len(self.dataset)
        order = np.random.default_rng(self.seed + self.epoch).permutation(n) if self.shuffle else np.arange(n)
        return iter(np.resize(order, self.total_size)[self.rank :: self.num_replicas].tolist())

    def __len__(self):
        return self.num_samples

    def set_epoch(self, epoch):
        """Set the number of the epoch: it determines the next order, with the seed."""
        self.epoch = epoch


class BatchSampler(Sampler):
    """Lists of the indices of a sampler.

    Parameters
    ----------
    sampler : Sampler or iterable of int
    batch_size : int
    drop_last : bool
        Omit the last list if it is incomplete.

    Raises
    ------
    TypeError, ValueError
        `batch_size` is not an int, or below 1.
    """

    def __init__(self, sampler, batch_size, drop_last):
        _check_count(self, batch_size, "batch_size")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self):
        return batches(iter(self.sampler), self.batch_size, self.drop_last)

    def __len__(self):
        n = len(self.sampler)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def batches(items, size, drop_last):
    """Lists of `size` items of an iterator."""
    while batch := list(islice(items, size)):
        if len(batch) < size and drop_last:
            return
        yield batch

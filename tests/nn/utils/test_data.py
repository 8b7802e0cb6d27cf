"""Datasets, samplers and loaders beside those of torch.utils.data."""

import inspect
from collections import OrderedDict, namedtuple
from itertools import islice

import numpy as np
import pytest
import torch
import torch.utils.data as theirs

import nn
import nn.utils.data as ours

Pair = namedtuple("Pair", "x y")
BOTH = pytest.mark.parametrize("library", [ours, theirs], ids=["nn", "torch"])


def plain(batch):
    """A batch with lists and dtypes in the place of tensors."""
    if hasattr(batch, "tolist"):
        return batch.tolist(), str(batch.dtype).removeprefix("torch.")
    if isinstance(batch, dict):
        return type(batch), {key: plain(value) for key, value in batch.items()}
    if isinstance(batch, (tuple, list)):
        return type(batch).__name__, [plain(value) for value in batch]
    return batch


SAMPLES = {
    "floats": [1.0, 2.0],
    "ints": [1, 2],
    "bools": [True, False],
    "strings": ["a", "b"],
    "bytes": [b"a", b"b"],
    "arrays": [np.ones((2, 1), np.float32), np.zeros((2, 1), np.float32)],
    "numpy-numbers": [np.float32(1), np.float32(2)],
    "numpy-ints": [np.int32(1), np.int32(2)],
    "tuples": [(1, "a", 2.0), (3, "b", 4.0)],
    "lists": [[1, 2], [3, 4]],
    "named": [Pair(1, np.ones(2)), Pair(2, np.zeros(2))],
    "dicts": [{"x": 1, "y": (np.ones(2), "p")}, {"x": 2, "y": (np.zeros(2), "q")}],
    "ordered": [OrderedDict(b=1, a=2), OrderedDict(b=3, a=4)],
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_collating_and_converting_equals_torch(kind):
    samples = SAMPLES[kind]
    assert plain(ours.default_collate(samples)) == plain(theirs.default_collate(samples))
    assert plain(ours.default_convert(samples)) == plain(theirs.default_convert(samples))


def test_collating_tensors_records_their_gradients():
    samples = [nn.tensor([1.0, 2.0], requires_grad=True) for _ in range(2)]
    ours.default_collate(samples).sum().backward()
    assert samples[0].grad.tolist() == [1.0, 1.0]


class Squares:
    """A dataset without a base class, as programs have them."""

    batch = 3

    def __init__(self, n=10):
        self.n = n

    def __getitem__(self, index):
        if not 0 <= index < self.n:
            raise IndexError
        return np.float32(index), index**2

    def __len__(self):
        return self.n


def stream(library):
    class Stream(library.IterableDataset):
        def __init__(self, start, end):
            self.start, self.end = start, end

        def __iter__(self):
            return iter(range(self.start, self.end))

    return Stream


def contents(loader):
    return [plain(batch) for batch in loader]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 4},
        {"batch_size": 4, "drop_last": True},
        {"batch_size": None},
        {"sampler": [3, 1, 2], "batch_size": 2},
        {"batch_sampler": [[3, 1], [2]]},
        {"batch_size": 3, "collate_fn": len},
        {"batch_size": 4, "shuffle": False, "pin_memory": False, "timeout": 0, "worker_init_fn": print},
    ],
    ids=str,
)
def test_batches_equal_torch(options):
    mine, other = ours.DataLoader(Squares(), **options), theirs.DataLoader(Squares(), **options)
    assert contents(mine) == contents(other) and contents(mine) == contents(mine)
    assert len(mine) == len(other)
    for name in ("batch_size", "drop_last", "num_workers", "pin_memory", "timeout", "persistent_workers"):
        assert getattr(mine, name) == getattr(other, name)
    for name in ("sampler", "batch_sampler"):
        assert type(getattr(mine, name)).__name__ == type(getattr(other, name)).__name__


def test_tensor_datasets_equal_torch(rng):
    x, y = rng.standard_normal((7, 2)), np.arange(7)
    mine = ours.TensorDataset(nn.tensor(x), nn.tensor(y))
    other = theirs.TensorDataset(torch.tensor(x), torch.tensor(y))
    for options in ({"batch_size": 3}, {"batch_sampler": [[1, 1], [6, 0, 3]]}, {"batch_size": None}):
        assert contents(ours.DataLoader(mine, **options)) == contents(theirs.DataLoader(other, **options))


def test_a_subclass_that_changes_the_samples_is_respected():
    class Doubled(ours.TensorDataset):
        def __getitem__(self, index):
            return (super().__getitem__(index)[0] * 2,)

    class Shifted(ours.Subset):
        def __getitem__(self, index):
            return (super().__getitem__(index)[0] + 1,)

        def __getitems__(self, indices):
            return [self[i] for i in indices]

    doubled = Doubled(np.arange(4.0))
    assert next(iter(ours.DataLoader(doubled, 4)))[0].tolist() == [0, 2, 4, 6]
    assert next(iter(ours.DataLoader(ours.Subset(doubled, [3, 1]), 4)))[0].tolist() == [6, 2]
    shifted = Shifted(ours.TensorDataset(np.arange(4.0)), [3, 1])
    assert next(iter(ours.DataLoader(shifted, 4)))[0].tolist() == [4, 2]


@BOTH
def test_streams(library):
    make = stream(library)
    both = make(0, 4) + make(10, 13)
    assert isinstance(both, library.ChainDataset)
    loader = library.DataLoader(both, batch_size=3)
    assert [batch.tolist() for batch in loader] == [[0, 1, 2], [3, 10, 11], [12]]
    assert [b.tolist() for b in library.DataLoader(both, 3, drop_last=True)] == [[0, 1, 2], [3, 10, 11]]
    assert list(library.DataLoader(both, batch_size=None)) == [0, 1, 2, 3, 10, 11, 12]
    assert list(make(0, 2)) == [0, 1]
    with pytest.raises(TypeError):
        len(loader)
    for option in ({"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}):
        with pytest.raises(ValueError):
            library.DataLoader(both, **option)
    assert library.get_worker_info() is None


@BOTH
def test_the_length_of_a_stream_that_has_one(library):
    kind = type("Sized", (stream(library),), {"__len__": lambda self: self.end - self.start})
    chained = library.ChainDataset([kind(0, 4), kind(0, 3)])
    assert len(chained) == 7
    assert len(library.DataLoader(chained, 2)) == 4 and len(library.DataLoader(chained, 2, drop_last=True)) == 3


@BOTH
def test_datasets_of_datasets(library):
    joined = library.ConcatDataset([Squares(2), Squares(3)])
    assert len(joined) == 5 and [joined[i][1] for i in range(5)] == [0, 1, 0, 1, 4] and joined[-1][1] == 4
    assert joined.cumulative_sizes == [2, 5]
    stacked, named = library.StackDataset(Squares(3), [5, 6, 7]), library.StackDataset(a=Squares(3), b=[5, 6, 7])
    assert stacked[2] == ((2.0, 4), 7) and named[2] == {"a": (2.0, 4), "b": 7} and len(stacked) == len(named) == 3
    part = library.Subset(Squares(5), [4, 2])
    assert len(part) == 2 and part[0][1] == 16 and part.indices == [4, 2]
    for bad in (lambda: library.StackDataset(), lambda: library.StackDataset([1], [1, 2])):
        with pytest.raises(ValueError):
            bad()


def test_errors_of_datasets_of_datasets():
    with pytest.raises(ValueError, match="ConcatDataset: needs at least one dataset, got none"):
        ours.ConcatDataset([])
    with pytest.raises(ValueError, match="ConcatDataset: a stream has no indices"):
        ours.ConcatDataset([stream(ours)(0, 3)])
    with pytest.raises(IndexError, match="ConcatDataset: index must be from -2 to 1, got 2"):
        ours.ConcatDataset([Squares(2)])[2]
    with pytest.raises(TypeError, match="ChainDataset: needs IterableDatasets, got Squares"):
        list(ours.ChainDataset([Squares(2)]))
    with pytest.raises(NotImplementedError, match="IterableDataset: a stream needs __iter__"):
        iter(ours.IterableDataset())


@BOTH
@pytest.mark.parametrize("lengths", [[7, 3], [0.75, 0.25], [0.5, 0.3, 0.2], [1.0], [0.34, 0.33, 0.33]])
def test_random_split(library, lengths):
    parts = library.random_split(Squares(), lengths)
    expected = theirs.random_split(Squares(), lengths)
    assert [len(part) for part in parts] == [len(part) for part in expected]
    assert sorted(int(x) for part in parts for x, _ in (part[i] for i in range(len(part)))) == list(range(10))


def test_random_split_by_a_generator_and_its_errors():
    splits = [ours.random_split(Squares(), [6, 4], generator=np.random.default_rng(3))[0].indices for _ in range(2)]
    assert splits[0] == splits[1]
    nn.manual_seed(1)
    first = ours.random_split(Squares(), [6, 4])[0].indices
    nn.manual_seed(1)
    assert ours.random_split(Squares(), [6, 4])[0].indices == first
    with pytest.raises(ValueError, match=r"random_split: the lengths must add up to 10, got \[6, 5\]"):
        ours.random_split(Squares(), [6, 5])
    with pytest.raises(ValueError, match=r"random_split: fractions must be in \[0, 1\], got \[1.5, -0.5\]"):
        ours.random_split(Squares(), [1.5, -0.5])


@BOTH
def test_samplers(library):
    data = Squares(6)
    assert list(library.SequentialSampler(data)) == [0, 1, 2, 3, 4, 5]
    order = list(library.RandomSampler(data))
    assert sorted(order) == [0, 1, 2, 3, 4, 5]
    more = list(library.RandomSampler(data, num_samples=14))
    assert len(more) == 14 and sorted(more[:6]) == sorted(more[6:12]) == [0, 1, 2, 3, 4, 5]
    drawn = library.RandomSampler(data, replacement=True, num_samples=40)
    assert len(drawn) == 40 and set(drawn) <= set(range(6))
    endless = library.RandomSampler(data, replacement=True, num_samples=10**10)
    assert set(islice(endless, 500)) == set(range(len(data))) and len(endless) == 10**10
    loader = library.DataLoader(data, batch_size=4, sampler=endless)
    assert len(list(islice(loader, 3))) == 3 and len(loader) == 10**10 // 4
    assert sorted(library.SubsetRandomSampler([7, 3, 5])) == [3, 5, 7]
    weighted = library.WeightedRandomSampler([0.0, 1.0, 0.0, 3.0], 400)
    counts = np.bincount(list(weighted), minlength=4)
    assert counts[0] == counts[2] == 0 and 240 < counts[3] < 360
    assert sorted(library.WeightedRandomSampler([1, 0, 1, 1], 3, replacement=False)) == [0, 2, 3]
    assert list(library.BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(library.BatchSampler(library.SequentialSampler(range(5)), 2, True)) == [[0, 1], [2, 3]]
    assert len(library.BatchSampler(range(5), 2, False)) == 3 and len(library.BatchSampler(range(5), 2, True)) == 2


@pytest.mark.parametrize("n", [0, 1, 2, 5, 6, 7])
@pytest.mark.parametrize("replicas", [1, 2, 3, 5])
@pytest.mark.parametrize("drop_last", [False, True])
def test_the_parts_of_a_distributed_sampler(n, replicas, drop_last):
    data = Squares(n)
    for rank in range(replicas):
        options = {"num_replicas": replicas, "rank": rank, "drop_last": drop_last}
        if n:
            mine, other = (library.DistributedSampler(data, **options, shuffle=False) for library in (ours, theirs))
            assert list(mine) == list(other)
            assert len(mine) == len(other) == len(list(mine))
            assert mine.total_size == other.total_size
        else:
            assert list(ours.DistributedSampler(data, **options)) == []


def test_the_order_of_a_distributed_sampler():
    samplers = [ours.DistributedSampler(Squares(6), 2, rank, seed=3) for rank in (0, 1)]
    first = [list(sampler) for sampler in samplers]
    assert sorted(first[0] + first[1]) == list(range(6))
    assert first == [list(sampler) for sampler in samplers]
    for sampler in samplers:
        sampler.set_epoch(1)
    second = [list(sampler) for sampler in samplers]
    assert sorted(second[0] + second[1]) == list(range(6)) and second != first
    loader = ours.DataLoader(Squares(6), 2, sampler=samplers[0])
    assert len(loader) == 2


def test_errors_of_a_distributed_sampler():
    with pytest.raises(RuntimeError, match="num_replicas and rank must be given, got None and 0"):
        ours.DistributedSampler(Squares(), rank=0)
    with pytest.raises(ValueError, match="DistributedSampler: rank must be from 0 to 1, got 2"):
        ours.DistributedSampler(Squares(), 2, 2)
    with pytest.raises(ValueError, match="DistributedSampler: num_replicas must be at least 1, got 0"):
        ours.DistributedSampler(Squares(), 0, 0)
    with pytest.raises(TypeError, match="DistributedSampler: num_replicas must be an int, got str"):
        ours.DistributedSampler(Squares(), "2", 0)


def test_batches_of_a_dataset_that_makes_them():
    class Windows:
        def __len__(self):
            return 5

        def batch(self, indices):
            assert indices.dtype == np.int64
            return nn.tensor(indices * 10)

    assert [batch.tolist() for batch in ours.DataLoader(Windows(), 3)] == [[0, 10, 20], [30, 40]]

    class Unrelated(Squares):
        def batch(self):
            raise AssertionError("this is not the batch of a loader")

    assert contents(ours.DataLoader(Unrelated(), 4)) == contents(ours.DataLoader(Squares(), 4))


def test_errors_of_samplers():
    for make, name in (
        (lambda: ours.RandomSampler(Squares(), num_samples=0), "RandomSampler: num_samples"),
        (lambda: ours.WeightedRandomSampler([1.0], 0), "WeightedRandomSampler: num_samples"),
        (lambda: ours.BatchSampler(range(3), 0, False), "BatchSampler: batch_size"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            make()
    with pytest.raises(ValueError, match=r"weights must be a vector, got shape \(1, 2\)"):
        ours.WeightedRandomSampler([[1.0, 2.0]], 1)
    with pytest.raises(ValueError, match="weights must be at least 0 and have a positive sum"):
        ours.WeightedRandomSampler([-1.0, 2.0], 1)
    with pytest.raises(NotImplementedError, match="Sampler: a sampler needs __iter__"):
        iter(ours.Sampler())


def test_options_that_exclude_each_other():
    for options, message in (
        ({"sampler": [1], "shuffle": True}, "sampler excludes shuffle"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "batch_sampler excludes batch_size"),
        ({"batch_size": None, "drop_last": True}, "there is no drop_last"),
    ):
        with pytest.raises(ValueError, match=f"DataLoader: .*{message}"):
            ours.DataLoader(Squares(), **options)
        with pytest.raises(ValueError):
            theirs.DataLoader(Squares(), **options)


def test_a_dataset_that_fetches_many_samples_at_once():
    class Many(Squares):
        def __getitems__(self, indices):
            assert type(indices) is list and all(type(i) is int for i in indices)
            return [self[i] for i in indices]

    mine, other = (library.DataLoader(Many(), 4) for library in (ours, theirs))
    assert contents(mine) == contents(other)
    nested = [library.DataLoader(library.Subset(Many(), [5, 2]), 4) for library in (ours, theirs)]
    assert contents(nested[0]) == contents(nested[1])


@pytest.mark.parametrize("name", ["DataLoader", *[n for n in theirs.__all__ if n.endswith(("Sampler", "Dataset"))]])
def test_signatures(name):
    mine, other = (inspect.signature(getattr(library, name)).parameters for library in (ours, theirs))
    assert [(p.name, p.kind, p.default) for p in mine.values()] == [(p.name, p.kind, p.default) for p in other.values()]

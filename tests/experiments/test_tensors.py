"""The rules of memory layouts in `tensors`, on cases computed by hand."""

import pytest

from experiments.foundations.tensors import (
    Layout,
    aligned_left,
    broadcast,
    contiguous,
    expected_misses,
    misses,
    walks,
    writes,
)


def test_contiguous():
    assert contiguous((2, 3, 4)) == Layout(0, (2, 3, 4), (12, 4, 1))
    assert contiguous(()) == Layout(0, (), ())


def test_slice_then_permute():
    layout = contiguous((4, 6)).slice(1, 1, 6, 2).permute([1, 0])
    assert layout == Layout(1, (3, 4), (2, 6))
    assert layout.address().tolist() == [[1, 7, 13, 19], [3, 9, 15, 21], [5, 11, 17, 23]]


@pytest.mark.parametrize(
    ("layout", "merged"),
    [
        (Layout(0, (3, 4), (4, 1)), Layout(0, (12,), (1,))),
        (Layout(5, (3, 2), (4, 2)), Layout(5, (6,), (2,))),
        (Layout(0, (3, 4), (0, 0)), Layout(0, (12,), (0,))),
        (Layout(0, (1, 4), (99, 2)), Layout(0, (4,), (2,))),
        (Layout(0, (3, 1), (7, 99)), Layout(0, (3,), (7,))),
        (Layout(0, (3, 4), (1, 3)), None),
        (Layout(0, (3, 4), (0, 1)), None),
    ],
)
def test_merge(layout, merged):
    assert layout.merge(0) == merged


def test_split_undoes_merge():
    layout = contiguous((6, 5))
    assert layout.split(0, 2).merge(0) == layout


def test_broadcast():
    assert broadcast((3, 1), (4,)) == (3, 4)
    assert broadcast((), (2, 1)) == (2, 1)
    assert broadcast((3,), (2,)) is None
    assert aligned_left((3, 1), (3,)) == (3, 1)
    assert broadcast((3, 1), (3,)) == (3, 3)


@pytest.mark.parametrize("n", [8, 16, 24])
def test_misses(n):
    result = {"walked": [n], "cache_lines": 16}
    for name, addresses in walks(n, 16).items():
        assert misses(addresses.tolist(), 16) == expected_misses(result)[name][0]


def test_writes_through_an_expanded_tensor():
    changed = writes()
    assert changed["nn"] == changed["NumPy"] == [0, 0, 0, 0]
    assert changed["PyTorch"] == [2, 6, 0, 0]

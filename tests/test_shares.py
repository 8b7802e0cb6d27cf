"""Tests of kernels._shares: which ranges reach a task, and with what arguments."""

import sys

import numpy as np
import pytest

from kernels import machine
from kernels._jit import jit
from kernels._shares import share_out

needs_two_cores = pytest.mark.skipif(machine.cores() < 2, reason="needs two usable cores")


@jit
def _note(first, last, starts, sums, terms, offsets, factor):
    """Each item's range starts at `first`; an item's sum is made of arguments of every kind."""
    for i in range(first, last):
        starts[i] = first
        sums[i] += factor * terms[i] + offsets[0] + offsets[1][i]


@jit
def _notes(items, share, threads, starts, sums, offsets):
    terms = np.empty(items)  # nothing but the arguments keeps it alive
    for i in range(items):
        terms[i] = i
    share_out(_note, items, share, threads, (starts, sums, terms, offsets, 10.0))


def notes(items, share, threads):
    starts, sums = np.full(items, -1), np.zeros(items)
    _notes(items, share, threads, starts, sums, (0.5, np.full(items, 0.25)))
    np.testing.assert_array_equal(sums, 10.0 * np.arange(items) + 0.75)
    return starts


@pytest.mark.parametrize(("items", "share"), [(0, 3), (1, 3), (3, 3), (10, 3), (1000, 1)])
def test_one_thread_gets_all_items_at_once(items, share):
    assert not notes(items, share, 1).any()


@needs_two_cores
@pytest.mark.parametrize(("items", "share"), [(0, 3), (1, 3), (3, 3), (10, 3), (1000, 1)])
def test_two_threads_get_every_item_once_in_ranges_of_share(items, share):
    np.testing.assert_array_equal(notes(items, share, 2), np.arange(items) // share * share)


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=needs_two_cores)])
def test_references_to_arrays_are_given_back(threads):
    starts, sums, offsets = np.zeros(5, np.int64), np.zeros(5), (0.0, np.zeros(5))
    before = [sys.getrefcount(array) for array in (starts, sums, offsets[1])]
    for _ in range(10):
        _notes(5, 2, threads, starts, sums, offsets)
    assert [sys.getrefcount(array) for array in (starts, sums, offsets[1])] == before

"""Tests of kernels._shares: which ranges reach a task, and with what arguments."""

import sys

import numpy as np
import pytest

from kernels import machine
from kernels._jit import jit
from kernels._shares import MEETING, assembled, meet, share_out

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


@jit
def _relay(first, last, threads, meeting, tokens, agreed):
    """All shares together: each reads what every other one wrote before the last meeting, round after round."""
    for share in range(first, last):
        agreed[share] = assembled(meeting, threads)
        if not agreed[share]:
            continue
        for number in range(1, 1 + tokens.shape[0] - 1):
            tokens[number, share] = 1 + tokens[number - 1].sum()
            meet(meeting, threads, number)


@jit
def _relays(threads, tokens, agreed):
    share_out(_relay, threads, 1, threads, (threads, np.zeros(MEETING, np.int64), tokens, agreed))


@needs_two_cores
def test_shares_that_meet_see_what_the_others_wrote():
    tokens, agreed = np.zeros((200, 2), np.uint64), np.zeros(2, np.bool_)
    _relays(2, tokens, agreed)
    assert agreed.all() or not agreed.any()
    for number in range(1, 60 if agreed.all() else 0):
        np.testing.assert_array_equal(tokens[number], 1 + tokens[number - 1].sum())


@jit
def _assembled(meeting, threads):
    return assembled(meeting, threads)


def test_shares_that_run_one_after_the_other_are_told_so():
    meeting = np.zeros(MEETING, np.int64)
    assert not _assembled(meeting, 2)  # nobody else comes
    assert not _assembled(meeting, 2)  # and so it stays, though all have come now
    assert _assembled(np.zeros(MEETING, np.int64), 1)

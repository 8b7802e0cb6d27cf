"""Tests of kernels._parallel: the ranges and arguments of tasks, and the barrier; and that no kernel has a
separate parallel region."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import kernels
from kernels import machine
from kernels._jit import jit
from kernels._parallel import BARRIER, all_running, barrier, parallel_for

needs_two_cores = pytest.mark.skipif(machine.cores() < 2, reason="needs two usable cores")


@jit
def _note(first, last, starts, sums, terms, offsets, factor):
    """Store the start of each item's range, and sums of arguments of every kind."""
    for i in range(first, last):
        starts[i] = first
        sums[i] += factor * terms[i] + offsets[0] + offsets[1][i]


@jit
def _notes(items, grain, threads, starts, sums, offsets):
    terms = np.empty(items)  # nothing but the arguments keeps it alive
    for i in range(items):
        terms[i] = i
    parallel_for(_note, items, grain, threads, (starts, sums, terms, offsets, 10.0))


def notes(items, grain, threads):
    starts, sums = np.full(items, -1), np.zeros(items)
    _notes(items, grain, threads, starts, sums, (0.5, np.full(items, 0.25)))
    np.testing.assert_array_equal(sums, 10.0 * np.arange(items) + 0.75)
    return starts


@pytest.mark.parametrize(("items", "grain"), [(0, 3), (1, 3), (3, 3), (10, 3), (1000, 1)])
def test_one_thread_gets_all_items_at_once(items, grain):
    assert not notes(items, grain, 1).any()


@needs_two_cores
@pytest.mark.parametrize(("items", "grain"), [(0, 3), (1, 3), (3, 3), (10, 3), (1000, 1)])
def test_two_threads_get_every_item_once_in_ranges_of_the_grain(items, grain):
    np.testing.assert_array_equal(notes(items, grain, 2), np.arange(items) // grain * grain)


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=needs_two_cores)])
def test_references_to_arrays_are_released(threads):
    starts, sums, offsets = np.zeros(5, np.int64), np.zeros(5), (0.0, np.zeros(5))
    before = [sys.getrefcount(array) for array in (starts, sums, offsets[1])]
    for _ in range(10):
        _notes(5, 2, threads, starts, sums, offsets)
    assert [sys.getrefcount(array) for array in (starts, sums, offsets[1])] == before


@jit
def _relay(first, last, threads, counters, tokens, agreed):
    """Each task reads what every other one wrote before the last barrier, round after round."""
    for task in range(first, last):
        agreed[task] = all_running(counters, threads)
        if not agreed[task]:
            continue
        for number in range(1, 1 + tokens.shape[0] - 1):
            tokens[number, task] = 1 + tokens[number - 1].sum()
            barrier(counters, threads, number)


@jit
def _relays(threads, tokens, agreed):
    parallel_for(_relay, threads, 1, threads, (threads, np.zeros(BARRIER, np.int64), tokens, agreed))


@needs_two_cores
def test_writes_before_a_barrier_are_visible_after_it():
    tokens, agreed = np.zeros((200, 2), np.uint64), np.zeros(2, np.bool_)
    _relays(2, tokens, agreed)
    assert agreed.all() or not agreed.any()
    for number in range(1, 60 if agreed.all() else 0):
        np.testing.assert_array_equal(tokens[number], 1 + tokens[number - 1].sum())


@jit
def _all_running(counters, threads):
    return all_running(counters, threads)


def test_sequential_tasks_are_detected():
    counters = np.zeros(BARRIER, np.int64)
    assert not _all_running(counters, 2)  # nobody else comes
    assert not _all_running(counters, 2)  # and so it stays, though all have come now
    assert _all_running(np.zeros(BARRIER, np.int64), 1)


def modules_with(pattern):
    root = Path(kernels.__file__).parent
    sources = {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.py")}
    return {name for name, source in sources.items() if re.search(pattern, source, re.MULTILINE)}


def test_kernels_share_one_parallel_region():
    """The only other regions are those that `_parallel`'s docstring names: the machine's limits, the control bits."""
    assert modules_with(r"^@jit\(.*parallel=True") == {"_parallel.py", "_denormal.py", "limits.py"}


def test_llvm_is_emitted_in_the_documented_modules():
    emitting = {name for name in modules_with(r"^from llvmlite import ir$") if not name.startswith("simd/")}
    calls = {"_njit_calls.py", "_njit_sizes.py", "convolution/njit_planning.py"}  # of kernels by jitted code
    assert emitting == {"_parallel.py", "_denormal.py", "_threads.py"} | calls


def test_one_rule_for_the_number_of_threads():
    """Only `_threads` compares the number of threads with the amount of work."""
    assert modules_with(r"_threads\._(count|max_threads)\b") == {"_denormal.py"}  # which reaches the whole pool
    assert modules_with(r"\bget_num_threads\b") == {
        "__init__.py", "_threads.py", "limits.py",
        "gemm/functions.py", "recurrent/driver.py",
    }  # fmt: skip

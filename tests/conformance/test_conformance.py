"""The fixed part of the conformance tests: a few of PyTorch's samples of every operation, module and optimiser.

It runs as a command in separate processes: what this process has compiled or imported does not matter, and this one
need not import PyTorch's private tables.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import nn
from tests.conformance import expected
from tests.conformance.samples import DEFECTS, Refused, attempt, general
from tests.conformance.values import Converter, Inexpressible, difference, same_layout, strided

ROOT = Path(__file__).parents[2]


def python(*arguments):
    """Run Python in the project's folder; return what it printed."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """The results of the fixed part."""
    path = tmp_path_factory.mktemp("conformance") / "results.json"
    output = python("-m", "tests.conformance", "--fixed", "--jobs", 2, "--json", path)
    assert path.exists(), output
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_sample_ends_as_listed(outcome):
    assert not outcome["complaints"], "\n".join(outcome["complaints"])


def test_no_defect_is_listed():
    """Gaps in coverage may be listed, with their reason; wrong numbers, crashes or accepted bad input may not."""
    assert not [line for line in expected.read() if line.status in DEFECTS]


def test_most_samples_pass(outcome):
    """A bug in the harness could make everything inexpressible, and `expected.txt` would list it."""
    statuses = [result["status"] for result in outcome["results"]]
    assert len(statuses) > 6000
    assert statuses.count("pass") > 0.8 * len(statuses)


def test_a_crash_and_a_hang_are_reported_and_stop_nothing():
    output = python(
        "-c",
        """
import os, signal, time, types
from tests.conformance import pool
from tests.conformance.samples import Case, Outcome

def die():
    os.kill(os.getpid(), signal.SIGSEGV)

def passes():
    return Outcome("pass")

runs = {"fine": passes, "dies": die, "sleeps": lambda: time.sleep(99), "after": passes}
cases = [Case(key, "", True, run) for key, run in runs.items()]
pool.TIMEOUT = 2
pool._KINDS["made up"] = types.SimpleNamespace(cases=lambda name: cases)
for result in pool.run([("made up", "one")], 1, True):
    print(result.key, result.status, result.reason)
""",
    )
    assert output.splitlines() == ["fine pass ", "dies crash SIGSEGV", "sleeps hang more than 2 s", "after pass "]


@pytest.mark.parametrize(
    "ours, kind",
    [
        ([1.0, 2.0, np.nan], None),
        ([1.0, 2.0 + 1e-6, np.nan], None),
        ([1.0, 2.0 + 1e-5, np.nan], "values differ"),
        ([1.0, np.nan, np.nan], "not finite alike"),
        ([1.0, 2.0, 3.0], "not finite alike"),
        ([[1.0, 2.0, np.nan]], "shape differs"),
    ],
)
def test_difference_detects(ours, kind):
    found = difference(np.array(ours, np.float32), torch.tensor([1.0, 2.0, torch.nan]))
    assert (found and found[0]) == kind


def test_difference_detects_the_dtype():
    assert difference(np.ones(2), torch.ones(2))[0] == "dtype is float64, not float32"
    assert difference(np.ones(2, np.int64), torch.ones(2, dtype=torch.int64)) is None
    assert difference(np.ones(2, np.int64), torch.zeros(2, dtype=torch.int64))[0] == "int64 values differ"


def test_twins_have_the_same_strides_and_other_memory():
    tensor = torch.arange(24.0).reshape(4, 6)[1:, ::2].T
    copy = same_layout(tensor)
    assert copy.stride() == tensor.stride() and torch.equal(copy, tensor)
    assert copy.untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr()
    convert = Converter()
    assert convert([tensor, tensor])[0] is convert(tensor)
    assert convert(tensor).array.strides == tuple(4 * s for s in tensor.stride())
    with pytest.raises(Inexpressible, match="complex64"):
        convert(torch.ones(1, dtype=torch.complex64))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
def test_strided_keeps_the_values(shape):
    array = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(strided(array), array)
    assert not shape or not strided(array).flags.c_contiguous


@pytest.mark.parametrize(
    "call, status",
    [
        (lambda: nn.zeros(2).clamp(), "refused"),
        (lambda: np.zeros(2)[5], "accident"),
        (lambda: 1 // 0, "accident"),
        (lambda: np.float32(1) / np.float32(0), "wrong"),  # a warning
    ],
)
def test_status_of_an_error(call, status):
    with pytest.raises(Refused) as caught:
        attempt(call)
    assert caught.value.outcome.status == status


def test_deliberate_differences_apply_to_their_samples_only():
    output = python(
        "-c",
        """
from tests.conformance.catalogue import is_different
for reason in ("gradient: values differ", "result: values differ"):
    for dtype in ("float64", "float32"):
        print(is_different("nn.functional.hardsigmoid", reason, f"{dtype} sample 0 tensors plain"))
""",
    )
    assert output.split() == ["True", "False", "False", "False"]


def test_reasons_do_not_depend_on_the_sample():
    assert general("f: a is (3, 4), b is (5, 6)") == general("f: a is (1,), b is ()") == "f: a is (#), b is (#)"
    assert general("x must be float32, got 1.5e-3") == "x must be float32, got #"

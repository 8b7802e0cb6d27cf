"""Tests of nn.distributed: two processes under mpiexec, each on one thread, run tests/nn/distributed_ranks.py."""

import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nn
from nn import checkpoint, distributed
from nn.distributed.reducer import assigned
from tests.nn import distributed_ranks

ROOT = Path(__file__).parents[2]
beside = Path(sys.executable).with_name("mpiexec")  # where pip installs MPICH's
MPIEXEC = str(beside) if beside.exists() else shutil.which("mpiexec")
needs_mpi = pytest.mark.skipif(
    not (distributed.is_available() and MPIEXEC), reason="needs mpi4py and an MPI: pip install mpi4py mpich"
)


def mpiexec(*arguments, folder=ROOT):
    command = [MPIEXEC, "-n", "2", sys.executable, *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_NUM_THREADS"}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What the two processes returned."""
    if needs_mpi.args[0]:
        pytest.skip(needs_mpi.kwargs["reason"])
    folder = tmp_path_factory.mktemp("ranks")
    run = mpiexec("-m", "tests.nn.distributed_ranks", folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return [pickle.loads((folder / f"{rank}.pkl").read_bytes()) for rank in range(2)]


def both(ranks, name):
    return [results[f"run_{name}"] for results in ranks]


@pytest.mark.parametrize(
    ("name", "make", "shape"), [("mlp", distributed_ranks.mlp, (12,)), ("conv", distributed_ranks.conv_net, (1, 4, 4))]
)
def test_losses_are_those_of_one_process_on_the_whole_batch(ranks, name, make, shape):
    expected, _ = distributed_ranks.trained(make, shape)
    for results in both(ranks, "training"):
        np.testing.assert_allclose(results[name][0], expected, rtol=1e-6)
    assert expected[-1] < 0.9 * expected[0]


def test_training_is_bitwise_reproducible_and_the_ranks_stay_equal(ranks):
    first, second = both(ranks, "training")
    for other in (first["again"], second["mlp"]):
        assert other[0] == first["mlp"][0]
        assert all(np.array_equal(a, b) for a, b in zip(other[1], first["mlp"][1], strict=True))


def test_buckets_are_sent_while_backward_runs(ranks):
    for sent, buckets in both(ranks, "overlap"):
        assert buckets == [[5, 4, 3, 2], [1, 0]]
        assert sent == [1]


def test_no_sync_accumulates(ranks):
    first, second = both(ranks, "no_sync")
    for (mine, alone), mean, reference in (first, second):
        assert all(map(np.array_equal, mine, alone))
        for gradient, expected in zip(mean, reference, strict=True):
            np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)
    assert not any(map(np.array_equal, first[0][0], second[0][0]))
    assert all(map(np.array_equal, first[1], second[1]))


def test_unused_parameters(ranks):
    for message, gradients in both(ranks, "unused"):
        assert "the loss does not depend on 2 of 3 parameters: layers.0.weight, layers.2.weight; " in message
        assert "find_unused_parameters=True" in message
        half = [[0.5] * 3] * 2
        assert gradients == [half, half, None]


@pytest.mark.parametrize("name", ["several", "of_recomputed", "retained"])
def test_gradients_of_a_weight_that_is_used_in_several_ways(ranks, name):
    found = [results[name] for results in both(ranks, "graphs")]
    for mine, reference in found:
        np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=1e-6)
    assert np.array_equal(found[0][0], found[1][0])


def test_other_passes(ranks):
    first, second = both(ranks, "graphs")
    for results in (first, second):
        assert "create_graph=True is not possible" in results["create_graph"]
        assert np.array_equal(*results["inputs"])
    assert not np.array_equal(first["inputs"][0], second["inputs"][0])


def test_two_models_in_one_backward(ranks):
    for pairs in both(ranks, "two_models"):
        for mine, reference in pairs:
            np.testing.assert_allclose(mine, reference, rtol=1e-5, atol=1e-6)


def test_batch_norm_has_the_statistics_of_a_rank_and_the_buffers_of_rank_0(ranks):
    first, second = both(ranks, "batch_norm")
    assert first == ([0.0, 0.0], [0.0, 0.0], 1)
    assert second == ([1.0, 1.0], [0.0, 0.0], 1)


def test_models_must_be_alike(ranks):
    for message in both(ranks, "different_models"):
        assert "the parameters of rank" in message and "differ: ('weight', (" in message


def test_what_is_refused(ranks):
    for step, copied, size, none, lazy in both(ranks, "refused"):
        assert "DistributedDataParallel averages gradients on the tape, not in a compiled step" in step
        assert "cannot be copied or pickled; copy or save its .module" in copied
        assert "bucket_cap_mb must be positive, got 0" in size
        assert "no parameter of the module requires a gradient" in none
        assert "the shapes of ['weight', 'bias'] are not known yet" in lazy


def test_collectives(ranks):
    first, second = both(ranks, "collectives")
    for rank, results in enumerate((first, second)):
        assert results["SUM"] == [3.0, 7.0] and results["AVG"] == [1.5, 3.5] and results["PRODUCT"] == [2.0, 12.0]
        assert results["MIN"] == [1.0, 3.0] and results["MAX"] == [2.0, 4.0]
        assert results["wait"] == (True, True, [[1, 7], [3, 9], [5, 11]])
        assert results["broadcast"] == [1, 7] and results["all_gather"] == [[0], [1]]
        assert results["group"] == (True, rank, 2)
        assert results["errors"] == [
            "TypeError: all_reduce: tensor must be a Tensor, got list",
            "TypeError: all_reduce: ReduceOp.SUM needs numbers, got bool",
            "TypeError: all_reduce: ReduceOp.AVG needs floats, got int64",
            "ValueError: broadcast: src must be a rank from 0 to 1, got 2",
            "ValueError: all_gather: tensor_list must have 2 tensors, one each, got 0",
            "ValueError: init_process_group: this process has joined a group already",
            "ValueError: get_rank: group must be None, all processes; there are no other groups, got other",
        ]
    assert first["reduce"] == [0.5] and second["reduce"] == [1.0]


def test_the_sampler_knows_the_group(ranks):
    parts = both(ranks, "sampler")
    assert set(parts[0] + parts[1]) == set(range(11)) and len(parts[0]) == len(parts[1]) == 6


def test_ranks_share_the_cores(ranks):
    for threads, cores in both(ranks, "cores"):
        assert threads == max(1, cores // 2)


@needs_mpi
@pytest.mark.parametrize("program", ["raises", "killed_while_writing"])
def test_a_rank_that_dies_ends_the_others_and_leaves_the_checkpoint_whole(tmp_path, program):
    run = mpiexec("-m", "tests.nn.distributed_ranks", tmp_path, program)
    assert run.returncode != 0
    if program == "raises":
        assert "rank 1 of 2 ends all ranks" in run.stderr and "ArithmeticError: only here" in run.stderr
    model = nn.Linear(4, 4)
    step = checkpoint.load(tmp_path / "model.safetensors", model, nn.optim.SGD(model.parameters(), lr=0.1))["step"]
    assert step == 2
    assert np.isfinite(model.weight.array).all()


@needs_mpi
def test_the_program_of_the_page(tmp_path):
    page = (ROOT / "docs" / "distributed.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    (tmp_path / "train.py").write_text(program, encoding="utf-8")
    run = mpiexec("train.py", folder=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.split("\n")
    assert [line.split(":")[0] for line in lines] == [*(f"epoch {i}" for i in range(5)), ""]
    assert float(lines[4].split()[-1]) > 0.9
    assert (tmp_path / "digits.safetensors").exists()


def test_mpi4py_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match="nn.distributed needs mpi4py and an MPI library: pip install mpi4py mpich"):
        distributed.init_process_group()
    assert not distributed.is_initialized()


def test_errors_without_a_group():
    for function, *arguments in (
        (distributed.get_rank,),
        (distributed.all_reduce, nn.ones(1)),
        (nn.parallel.DistributedDataParallel, nn.Linear(1, 1)),
        (distributed.destroy_process_group,),
    ):
        with pytest.raises(ValueError, match=f"{function.__name__}: there is no process group"):
            function(*arguments)
    with pytest.raises(ValueError, match="backend must be 'mpi', got 'nccl'"):
        distributed.init_process_group("nccl")
    with pytest.raises(ValueError, match="init_method must be 'env://', got 'tcp://a'"):
        distributed.init_process_group(init_method="tcp://a")


def test_parameters_are_assigned_to_buckets_from_last_to_first():
    def parameter(n, dtype=np.float32):
        return nn.Parameter(np.zeros(n, dtype))

    sizes = [parameter(n) for n in (10, 1, 20, 1, 1)]
    assert assigned(sizes, 4, 40) == [[4], [3, 2], [1, 0]]
    assert assigned(sizes, 40, 40) == [[4, 3, 2], [1, 0]]
    assert assigned(sizes, 1000, 1000) == [[4, 3, 2, 1, 0]]
    mixed = [parameter(1), parameter(1, np.float64), parameter(1), parameter(1, np.float64)]
    assert assigned(mixed, 1000, 1000) == [[3, 1], [2, 0]]

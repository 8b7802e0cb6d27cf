"""Tests of kernels._threads and kernels._denormal: several Python threads, forks, thread counts, worker placement."""

import ctypes
import os
import platform
import subprocess
import sys
import textwrap

import numba
import numpy as np
import pytest

import kernels
from kernels import _threads, machine
from kernels._jit import jit

LAYERS = ["tbb", "omp", "workqueue"]
needs_two_cores = pytest.mark.skipif(machine.cores() < 2, reason="needs two usable cores")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# A parallel kernel and its right answer; every script below starts with it.
PRELUDE = """
import os, sys, threading
import numpy as np
import kernels
from kernels import _threads

p, g = np.arange(200_000.0), np.ones(200_000)
expected = p - 0.5 * g

def step():
    x = p.copy()
    kernels.sgd([x], [g], lr=0.5)
    return np.array_equal(x, expected)
"""


def run(code, first="", **variables):
    """The lines that `code` prints in a new process, after `first` and PRELUDE; it must exit with code 0."""
    process = subprocess.run(
        [sys.executable, "-c", first + PRELUDE + textwrap.dedent(code)],
        env=os.environ | variables, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    return process.stdout.splitlines()


@needs_two_cores
@pytest.mark.parametrize("layer", LAYERS)
def test_two_python_threads_in_parallel_kernels(layer):
    code = """
        step()
        good = []
        threads = [threading.Thread(target=lambda: good.extend(step() for _ in range(200))) for _ in range(2)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(_threads.layer(), len(good), all(good))
    """
    assert run(code, NUMBA_THREADING_LAYER=layer) == [f"{layer} 400 True"]


@needs_fork
@needs_two_cores
@pytest.mark.parametrize("started", [True, False], ids=["pool-started", "no-pool"])
@pytest.mark.parametrize("layer", LAYERS)
def test_forked_child_computes(layer, started):
    code = f"""
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's general warning about threads and fork
        if {started}: step()
        child = os.fork()
        if child == 0:
            good = step() and step()
            print("child", good, kernels.get_num_threads(), flush=True)
            os._exit(0 if good else 1)
        status = os.waitpid(child, 0)[1]
        print("parent", status, step(), kernels.get_num_threads(), _threads.layer())
    """
    child, parent = run(code, NUMBA_THREADING_LAYER=layer)
    count = machine.cores()
    serial = started and layer != "tbb"  # the parent's pool does not exist in the child
    assert child == f"child True {1 if serial else count}"
    assert parent == f"parent 0 True {count} {layer}"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Numba's wheels lack an OpenMP library")
def test_omp_is_preferred():
    code = "step()\nprint(_threads.layer(), _threads.only_workqueue)"
    assert run(code, NUMBA_THREADING_LAYER="default") == ["omp False"]


def test_the_users_priority_of_thread_layers_is_respected():
    code = "step()\nprint(_threads.layer(), _threads.only_workqueue)"
    assert run(code, NUMBA_THREADING_LAYER_PRIORITY="workqueue omp tbb") == ["workqueue True"]


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_no_pool_starts_at_import():
    count = "print(len(os.listdir('/proc/self/task')))\n"
    before, after, layer = run(count + "print(_threads.layer())", first="import os, numpy, numba\n" + count)
    assert (after, layer) == (before, "none")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_affinity_is_respected():
    code = """
        print(kernels.get_num_threads(), step())
        try: kernels.set_num_threads(2)
        except ValueError as error: print(error)
    """
    one_core = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    assert run(code, first=one_core) == ["1 True", "set_num_threads: n must be from 1 to 1 (usable cores), got 2"]


def test_numba_num_threads_is_respected():
    assert run("print(kernels.get_num_threads(), step())", NUMBA_NUM_THREADS="1") == ["1 True"]


@pytest.fixture
def restored():
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


@pytest.mark.parametrize(
    ("n", "error", "message"),
    [
        (0, ValueError, r"^set_num_threads: n must be from 1 to \d+ \(usable cores\), got 0$"),
        (10_000, ValueError, r"^set_num_threads: n must be from 1 to \d+ \(usable cores\), got 10000$"),
        (1.0, TypeError, r"^set_num_threads: n must be an int, got float$"),
        (True, TypeError, r"^set_num_threads: n must be an int, got bool$"),
    ],
)
def test_set_num_threads_errors(restored, n, error, message):
    before = kernels.get_num_threads()
    with pytest.raises(error, match=message):
        kernels.set_num_threads(n)
    assert kernels.get_num_threads() == before


def test_set_num_threads(restored):
    for n in range(1, machine.cores() + 1):
        kernels.set_num_threads(n)
        assert kernels.get_num_threads() == n


@pytest.mark.parametrize("n", [1, pytest.param(2, marks=needs_two_cores)])
def test_threads_for_work(restored, n):
    kernels.set_num_threads(n)
    elements, multiply_adds = _threads.PARALLEL_ELEMENTS, _threads.PARALLEL_MULTIPLY_ADDS
    assert _threads.threads_for() == _threads.threads_for(elements - 1, multiply_adds - 1) == 1
    assert _threads.threads_for(elements) == _threads.threads_for(elements=elements) == n
    assert _threads.threads_for(multiply_adds=multiply_adds) == n


@jit(parallel=True)
def _region(threads):
    """Numba's number of threads before, within and after a region."""
    numbers = np.zeros(3, np.int64)
    numbers[0] = numba.get_num_threads()
    before, _ = _threads.enter(threads)
    numbers[1] = numba.get_num_threads()
    for i in numba.prange(1):
        numbers[2] += i
    _threads.leave(before)
    numbers[2] = numba.get_num_threads()
    return numbers


@needs_two_cores
@pytest.mark.parametrize("mask", [1, 2])
def test_the_users_thread_mask_is_restored(restored, mask):
    before = numba.get_num_threads()
    numba.set_num_threads(mask)
    try:
        for threads in (1, 2):
            assert list(_region(threads)) == [mask, threads, mask]
            kernels.set_num_threads(threads)
            kernels.sgd([np.ones(100_000)], [np.ones(100_000)], lr=0.1)
            assert numba.get_num_threads() == mask
    finally:
        numba.set_num_threads(before)


X = np.random.default_rng(0).standard_normal((700, 300))
SAME_BITS = {
    "matmul": lambda x: kernels.matmul(x, x.T),
    "linear": lambda x: kernels.linear(x, x, activation="gelu"),
    "sum": lambda x: kernels.sum(x),
    "softmax": lambda x: kernels.softmax(x),
    "cross_entropy": lambda x: kernels.cross_entropy(x, np.arange(700) % 300),
    "mse_loss": lambda x: kernels.mse_loss(x, x[::-1].copy()),
    "sigmoid": lambda x: kernels.sigmoid(x),
}


@jit
def arrive_from(home):
    _threads.arrive(home)


@needs_two_cores
@pytest.mark.skipif(sys.platform != "linux", reason="threads are moved on Linux only")
def test_a_worker_moves_off_the_callers_core():
    allowed, this_core = os.sched_getaffinity(0), ctypes.CDLL(None).sched_getcpu
    arrive_from(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})  # this thread is known to be there
        another_thread_here = (1 << 16) | min(allowed)
        arrive_from(another_thread_here)  # it may be nowhere else, so it stays
        assert os.sched_getaffinity(0) == {min(allowed)}
        os.sched_setaffinity(0, allowed)
        moved = 0
        for _ in range(20):
            before = this_core()
            arrive_from((1 << 16) | before)
            moved += this_core() != before
        assert moved >= 10  # the scheduler may take it back at any time
        assert os.sched_getaffinity(0) == allowed
    finally:
        os.sched_setaffinity(0, allowed)


@needs_two_cores
@pytest.mark.parametrize("name", SAME_BITS)
def test_same_bits_at_one_thread_and_two(at_thread_counts, dtype, name):
    x = X.astype(dtype)
    one, two, again = *at_thread_counts(lambda: SAME_BITS[name](x).tobytes()), SAME_BITS[name](x).tobytes()
    assert one == two == again


# --- denormals -------------------------------------------------------------------------------------------------------

needs_x86 = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="needs an x86-64 CPU")

# Counted by their bits: with denormals treated as zeros, a comparison with 0 would be true.
DENORMALS = """
def denormals_left(count=400_000):
    x = np.full(count, 1000, np.uint32).view(np.float32)
    kernels.sgd([x], [np.zeros(count, np.float32)], lr=1.0)
    return np.count_nonzero(x.view(np.uint32))

def seen(rounds=50):
    return sorted({int(denormals_left()) for _ in range(rounds)})
"""


@needs_x86
@pytest.mark.parametrize("layer", LAYERS)
def test_flush_denormal_in_every_thread(layer):
    code = """
        print(seen())
        for mode in (True, False, True):
            kernels.set_flush_denormal(mode)
            print(seen())
    """
    lines = run(DENORMALS + textwrap.dedent(code), NUMBA_THREADING_LAYER=layer)
    assert lines == ["[400000]", "[0]", "[400000]", "[0]"]


@needs_x86
def test_flush_denormal_belongs_to_the_python_thread():
    code = """
        kernels.set_flush_denormal(True)
        def other():
            kernels.set_flush_denormal(False)
            print(seen())
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        print(seen())
    """
    assert run(DENORMALS + textwrap.dedent(code), NUMBA_THREADING_LAYER="tbb") == ["[400000]", "[0]"]


def test_flush_denormal_errors(monkeypatch):
    with pytest.raises(TypeError, match=r"^set_flush_denormal: mode must be a bool, got int$"):
        kernels.set_flush_denormal(1)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(NotImplementedError, match=r"^set_flush_denormal: needs an x86-64 CPU, this is riscv64$"):
        kernels.set_flush_denormal(True)


@pytest.mark.skipif(sys.platform != "linux", reason="about GNU OpenMP")
@pytest.mark.parametrize("asked", [False, True])
def test_no_nested_regions(asked):
    """Numba switches them on, which slows a library that shares our OpenMP; they stay on if the user has set them."""
    script = """
import ctypes
import numpy as np
import kernels
kernels.set_num_threads(2)
kernels.matmul(*np.ones((2, 300, 300)))
levels = ctypes.CDLL("libgomp.so.1").omp_get_max_active_levels() if kernels._threads.layer() == "omp" else None
print(levels)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    environment |= {"OMP_MAX_ACTIVE_LEVELS": "3"} if asked else {}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    if run.stdout.strip() != "None":
        assert (int(run.stdout) == 1) == (not asked)


@pytest.mark.skipif(sys.platform != "linux", reason="about GNU OpenMP")
def test_openmp_count_is_left_alone():
    """Numba's pool sets it when it starts, and with it PyTorch's number of threads."""
    script = """
import ctypes
import numpy as np
import kernels
openmp = ctypes.CDLL("libgomp.so.1")
openmp.omp_set_num_threads(1)
kernels.matmul(*np.ones((2, 300, 300)))
print(openmp.omp_get_max_threads(), kernels._threads.layer())
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split()[0] == "1"

"""Tests of kernels._jit: nothing is compiled at import, and the cache on disk is fast, never stale, never in the way.

Each test works on a copy of the package with a cache folder of its own.
"""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import kernels
from kernels import _jit

PACKAGE = Path(kernels.__file__).parent

# Prints how many functions were compiled by the import and by the call, and what the call did to the parameter.
STEP = """
from numba.core import event
with event.install_recorder("numba:compile") as importing:
    import kernels
import numpy as np
p, g = np.array([1.0, 2.0]), np.array([0.5, 0.5])
options = kernels.update.SGDOptions(1.0, 0.0, 1.0, 0.0, False, False, 1.0)
with event.install_recorder("numba:compile") as calling:
    kernels.update.sgd_loops(p, g, p[:0], options)
print(len(importing.buffer), len(calling.buffer), *p)
"""
PARALLEL_STEP = STEP.replace("update.sgd_loops(p, g, p[:0], options)", "sgd([p], [g], lr=1.0)")


class Copy:
    """A copy of the package in a separate folder; `run` runs code with it in a new process."""

    def __init__(self, folder):
        self.package, self.cache = folder / "kernels", folder / "cache"
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("__pycache__"))
        self.variables = {"PYTHONPATH": str(folder), "XDG_CACHE_HOME": str(self.cache), "LOCALAPPDATA": str(self.cache)}
        self.variables["HOME"] = str(self.cache)

    def start(self, code, **variables):
        environment = os.environ | self.variables | {"PYTHONDONTWRITEBYTECODE": "1"} | variables
        command = [sys.executable, "-W", "error", "-c", code]
        return subprocess.Popen(
            command, env=environment, cwd=self.package.parent, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, code=STEP, **variables):
        return finish(self.start(code, **variables))

    def edit(self, file, old, new):
        path = self.package / file
        source = path.read_text()
        assert source.count(old) == 1
        path.write_text(source.replace(old, new))

    def entries(self):
        return sorted(self.cache.rglob("*.nbc"))


def finish(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output.split()


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


def assert_steps(output, compiled):
    """`output` of STEP: nothing compiled by the import; by the call, something or nothing; the right result."""
    assert output[0] == "0"
    assert (output[1] != "0") == compiled
    assert output[2:] == ["0.5", "1.5"]


def test_import_compiles_nothing_and_a_call_makes_one_signature(copy):
    output = copy.run(
        "import sys, numpy as np, kernels\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "def signatures():\n"
        "    modules = [module for name, module in sys.modules.items() if name.split('.')[0] == 'kernels']\n"
        "    jitted = {id(x): x for module in modules for x in vars(module).values() if isinstance(x, Dispatcher)}\n"
        "    return len(jitted), sum(len(x.signatures) for x in jitted.values())\n"
        "print(*signatures())\n"
        "from kernels.update import SGDOptions, sgd_loops as loops\n"
        "x, options = np.ones(3), SGDOptions(0.1, 0.9, 1.0, 0.0, False, False, 1.0)\n"
        "for _ in range(2): loops(x, x, x, options)\n"
        "print(len(loops.signatures))"
    )
    assert int(output[0]) > 20
    assert output[1:] == ["0", "1"]


# Counts the dispatchers that the import makes, and lists the modules that it loads besides ours.
IMPORT = """
import sys
import numba
from numba.core.dispatcher import Dispatcher
before, made, make = set(sys.modules), [], Dispatcher.__init__
def counted(self, *arguments, **options):
    made.append(arguments)
    make(self, *arguments, **options)
Dispatcher.__init__ = counted
import {package}
new = {{name for name in set(sys.modules) - before if name.split(".")[0] not in ("kernels", "nn")}}
print(len(made), *sorted(name for name in new if not name.startswith("numba.types")))
"""


def test_import_is_fast(copy):
    """The reasons: no dispatcher is made before its first use, and no module that only Numba's compiler needs is loaded
    (except a pool's library, to find the thread layer)."""
    pools = {f"numba.np.ufunc.{name}" for name in ("omppool", "tbbpool", "workqueue")}
    made, *modules = copy.run(IMPORT.format(package="kernels"))
    assert (made, set(modules) - pools) == ("0", set())
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    output = subprocess.check_output([sys.executable, "-c", IMPORT.format(package="nn")], text=True, env=environment)
    made, *modules = output.split()
    assert made == "0"
    assert not {name for name in modules if name.split(".")[0] in ("numba", "llvmlite")} - pools


def test_a_dispatcher_behaves_the_same_before_its_first_use(copy):
    """Whatever its first use, it becomes Numba's dispatcher, and is the same object."""
    code = """
        import inspect, pickle, threading
        import numba
        from numba.core.registry import CPUDispatcher
        from numba.extending import is_jitted
        from kernels._jit import jit
        from kernels.update import sgd_loops

        def first(use):
            @jit
            def function(x, step=1):
                "Adds."
                return x + step
            found = use(function)
            return found, type(function) is CPUDispatcher, function(2)

        assert first(lambda f: f(1)) == (2, True, 3)
        assert first(lambda f: f(1, step=2)) == (3, True, 3)
        assert first(lambda f: (f.__name__, f.__doc__)) == (("function", "Adds."), True, 3)
        assert first(inspect.signature)[0] == inspect.signature(lambda x, step=1: None)
        assert first(is_jitted) == (True, True, 3)
        assert first(repr)[0].startswith("CPUDispatcher(<function first.<locals>.function at")
        assert first(lambda f: str(numba.typeof(f)))[0].startswith("type(CPUDispatcher(<function first.")
        assert first(lambda f: numba.njit(lambda: f(5))())[0] == 6
        assert pickle.loads(pickle.dumps(sgd_loops)) is sgd_loops

        def at_once(f):
            results, gate = [], threading.Barrier(8)
            threads = [threading.Thread(target=lambda: (gate.wait(), results.append(f(1)))) for _ in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            return results
        assert first(at_once) == ([2] * 8, True, 3)
    """
    assert copy.run(textwrap.dedent(code)) == []


@pytest.mark.parametrize("step", [STEP, PARALLEL_STEP], ids=["serial", "parallel"])
def test_second_process_loads_what_the_first_compiled(copy, step):
    assert_steps(copy.run(step), compiled=True)
    assert_steps(copy.run(step), compiled=False)


def test_callers_of_a_loaded_parallel_region_can_be_loaded(copy):
    """One process compiles the region, the next a kernel that calls it; the last one loads nothing but the kernel."""
    kernel = "import numpy as np, kernels\nprint(kernels.sum(np.ones(100_000)))"
    assert_steps(copy.run(PARALLEL_STEP), compiled=True)
    for _ in range(2):
        assert copy.run(kernel) == ["100000.0"]


# Prints how many functions were compiled, and a digest of each result; calls in the order of the letters in `order`.
# The functions share callees (statistics of slices, logarithms), each with copies of its own.
BITS = """
import hashlib
import numpy as np
from numba.core import event
import kernels
random = np.random.default_rng(0)
x, q = random.standard_normal((37, 10)), random.random((37, 10))
wide, p, dy = random.standard_normal((3, 7, 50)), random.random((3, 7, 50)), random.standard_normal((3, 50))
calls = {
    "r": lambda: kernels.cross_entropy(x, q, reduction="none", label_smoothing=0.1),
    "c": lambda: kernels.cross_entropy(wide, p, reduction="none"),
    "b": lambda: kernels.cross_entropy_backward(dy, wide, p, reduction="none", label_smoothing=0.1),
    "l": lambda: kernels.logsumexp(x, 1),
    "s": lambda: kernels.softmax(wide, 1),
}
with event.install_recorder("numba:compile") as calling:
    digests = {name: hashlib.sha256(calls[name]()).hexdigest() for name in "%s"}
print(len(calling.buffer) > 0, *(digests.get(name) for name in calls))
"""


def test_bits_do_not_depend_on_what_was_compiled_or_loaded_before(copy):
    """A function has copies of its callees, optimised again, which round differently: it calls its own copies."""
    compiled, *expected = copy.run(BITS % "rcbls")
    assert compiled == "True"
    for order in ("rcbls", "slbcr"):
        assert copy.run(BITS % order) == ["False", *expected]
    for name in "rs":
        loaded = dict(zip("rcbls", copy.run(BITS % name)[1:], strict=True))
        assert loaded[name] == expected["rcbls".index(name)]


def test_edit_of_a_callee_recompiles(copy):
    assert_steps(copy.run(), compiled=True)
    product = "_bind_operator(operator.mul, lambda builder, a, b: builder.{}(a, b)"
    copy.edit("simd/vector.py", product.format("fmul"), product.format("fadd"))  # the gradient is 1 + 0.5
    assert copy.run()[2:] == ["-0.5", "0.5"]
    copy.edit("update/loops.py", "    return sign * g\n", "    return sign * g + sign * g\n")
    assert copy.run()[2:] == ["-2.0", "-1.0"]


def test_edit_of_the_reference_keeps_the_cache(copy):
    assert_steps(copy.run(), compiled=True)
    with open(copy.package / "reference" / "update.py", "a") as file:
        file.write("\n")
    assert_steps(copy.run(), compiled=False)


DAMAGES = [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data[:-1] + bytes([data[-1] ^ 1])]


def test_damaged_entries_are_compiled_again(copy):
    assert_steps(copy.run(), compiled=True)
    entries = copy.entries()
    for damage in DAMAGES:
        for path in entries:
            path.write_bytes(damage(path.read_bytes()))
        assert_steps(copy.run(), compiled=True)
        assert_steps(copy.run(), compiled=False)
    assert copy.entries() == entries


def test_lanes_are_part_of_the_key(copy):
    for lanes in ("4", "8"):
        assert_steps(copy.run(INNERLOOP_LANES=lanes), compiled=True)
        assert_steps(copy.run(INNERLOOP_LANES=lanes), compiled=False)


FOLDER = "\nfrom kernels._jit import cache_folder\nprint(cache_folder())"


def test_unwritable_cache_falls_back_to_the_temporary_folder(copy, tmp_path):
    copy.cache.write_text("a file, where a folder is needed")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for compiled in (True, False):
        *output, folder = copy.run(STEP + FOLDER, TMPDIR=str(temporary), TEMP=str(temporary))
        assert_steps(output, compiled)
        assert Path(folder).is_relative_to(temporary)


def test_without_any_writable_folder_nothing_is_cached(copy):
    copy.cache.write_text("a file, where a folder is needed")
    nowhere = f"import tempfile\ntempfile.tempdir = {str(copy.cache)!r}\n"
    for _ in range(2):
        *output, folder = copy.run(nowhere + STEP + FOLDER)
        assert_steps(output, compiled=True)
        assert folder == "None"


def test_without_a_temporary_folder_import_works(copy):
    copy.cache.write_text("a file, where a folder is needed")
    none = "import tempfile\ndef none(): raise FileNotFoundError\ntempfile.gettempdir = none\n"
    assert copy.run(none + "from kernels._jit import cache_folder\nprint(cache_folder())") == ["None"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX owners")
def test_a_folder_of_another_user_is_not_trusted(copy, tmp_path):
    impostor = f"import os\nos.getuid = lambda: {os.getuid() + 1}\n"
    output = copy.run(impostor + "from kernels._jit import cache_folder\nprint(cache_folder())", TMPDIR=str(tmp_path))
    assert output == ["None"]


def test_a_folder_that_is_deleted_is_not_an_error(copy):
    vanish = "import shutil\nfrom kernels._jit import cache_folder\nshutil.rmtree(cache_folder())\n"
    assert_steps(copy.run(vanish + STEP), compiled=True)


def test_two_processes_fill_the_cache_at_once(copy):
    outputs = [finish(process) for process in [copy.start(STEP) for _ in range(2)]]
    assert_steps(outputs[0], compiled=outputs[0][1] != "0")  # on a busy machine, one may come when the other is done
    assert_steps(outputs[1], compiled=outputs[0][1] == "0" or outputs[1][1] != "0")
    assert_steps(copy.run(), compiled=False)
    assert not [path for path in copy.cache.rglob("*") if path.is_file() and path.suffix != ".nbc"]


def test_old_folders_are_deleted(copy):
    parent = copy.cache / "innerloop"
    for age in range(10):
        (parent / str(age)).mkdir(parents=True)
        os.utime(parent / str(age), (10**9 - age, 10**9 - age))
    copy.run("from kernels._jit import cache_folder\ncache_folder()")
    kept = {path.name for path in parent.iterdir()}
    assert len(kept) == _jit._MAX_FOLDERS
    assert {str(age) for age in range(_jit._MAX_FOLDERS - 1)} < kept


CLOSURES = """
from kernels._jit import jit
from kernels._plain import intrinsic

def make(captured):
    @jit
    def closure(x):
        return captured(x)
    return closure

def scaled(factor):
    @jit(inline=True)
    def function(x):
        return factor * x
    return function

plus, minus = make(jit(lambda x: x + 1.0)), make(jit(lambda x: x - 1.0))
twice, thrice = make(scaled(2.0)), make(scaled(3.0))

def moved_by(number):
    @intrinsic
    def moved(typingctx, x):
        return x(x), lambda context, builder, signature, values: builder.fadd(values[0], values[0].type(number))
    return moved
up, down = make(moved_by(10.0)), make(moved_by(-10.0))

def shared(x):
    return (x + 1e16) - 1e16
exact, fast = jit(fastmath=False)(shared), jit(shared)
"""


KEYS = """
import hashlib, sys
import kernels
from kernels import _jit
found = []
for name in sorted(name for name in sys.modules if name.startswith("kernels.") and ".reference" not in name):
    for part in vars(sys.modules[name]).values():
        if hasattr(part, "py_func"):
            found.append(_jit._closure_key(part.py_func))
print(len(found), hashlib.sha256(repr(found).encode()).hexdigest())
"""


def test_keys_are_those_of_any_process(copy):
    """Comprehensions and sets among a function's constants do not print the same twice."""
    first, second = (copy.run(KEYS, PYTHONHASHSEED=seed) for seed in "12")
    assert int(first[0]) > 500
    assert first == second


def test_closures_of_the_same_source_do_not_collide(copy):
    (copy.package / "_closures.py").write_text(CLOSURES)
    code = (
        "from numba.core import event\n"
        "from kernels._closures import *\n"
        "with event.install_recorder('numba:compile') as calling:\n"
        "    print(plus(5.0), minus(5.0), twice(5.0), thrice(5.0), up(5.0), down(5.0), exact(5.0), fast(5.0))\n"
        "print(len(calling.buffer) > 0)"
    )
    for compiled in ("True", "False"):
        output = copy.run(code)
        assert output[:6] == ["6.0", "4.0", "10.0", "15.0", "15.0", "-5.0"]
        assert output[6] != output[7]
        assert output[8] == compiled


def test_closures_cached_by_different_processes_do_not_collide(copy):
    """Each is the first that its process compiles, so Numba gives both the same number."""
    (copy.package / "_closures.py").write_text(CLOSURES)
    assert copy.run("from kernels._closures import *\nprint(plus(5.0))") == ["6.0"]
    assert copy.run("from kernels._closures import *\nprint(minus(5.0))") == ["4.0"]
    assert copy.run("from kernels._closures import *\nprint(plus(5.0), minus(5.0))") == ["6.0", "4.0"]


def test_inlined_functions_run_as_python_when_called_from_it(copy):
    code = (
        "from kernels._jit import jit\n"
        "inner = jit(lambda x: (x, x + 1), inline=True)\n"
        "outer = jit(lambda x: inner(x))\n"
        "print(*inner(1), *outer(1), *inner(1), *inner(1.5), len(inner.signatures))"
    )
    assert copy.run(code) == ["1", "2", "1", "2", "1", "2", "1.5", "2.5", "1"]


def test_functions_outside_the_package_are_not_cached(copy):
    (copy.package.parent / "outside.py").write_text("from kernels._jit import jit\n@jit\ndef f(x): return x + 1\n")
    assert copy.run("from outside import f\nprint(f(1))") == ["2"]
    assert not copy.entries()


def test_thread_layer_is_part_of_the_key(copy):
    """Code for workqueue takes a lock around its parallel regions, code for the other layers does not."""
    assert_steps(copy.run(PARALLEL_STEP, NUMBA_THREADING_LAYER="omp"), compiled=True)
    assert_steps(copy.run(PARALLEL_STEP, NUMBA_THREADING_LAYER="workqueue"), compiled=True)
    assert_steps(copy.run(PARALLEL_STEP, NUMBA_THREADING_LAYER="workqueue"), compiled=False)


def test_float32_kernels_compute_in_float32(copy):
    """No arithmetic on vectors of doubles in what float32 calls compile. (A reduction's totals may be doubles.)"""
    code = """
        import gc, re
        import numpy as np
        import kernels
        from numba.core.dispatcher import Dispatcher
        x = np.ones((40, 30), np.float32)
        kernels.gelu(x)
        kernels.gelu_backward(x, x)
        kernels.adam([x], [x], [x.copy()], [x.copy()], step=1)
        jitted = [f for f in gc.get_objects() if isinstance(f, Dispatcher) and f.py_func.__module__[:7] == "kernels"]
        texts = [f.inspect_llvm(signature) for f in jitted for signature in f.signatures]
        single = [text for text in texts if "x float>" in text]
        double = [text for text in texts if re.search(r"(fadd|fsub|fmul|fdiv|fma|fpext).*x double>", text)]
        print(len(single) > 5, len(double))
    """
    assert copy.run(textwrap.dedent(code)) == ["True", "0"]


def test_entries_have_a_digest_of_their_own(copy):
    """An edit of one changes the keys of all entries, and no key of a loop."""
    code = "from kernels import _jit; print(_jit.source_digest(), _jit._entries_digest())"
    loops, entries = copy.run(code)
    (copy.package / "gemm" / "njit_more.py").write_text("")
    same, other = copy.run(code)
    assert same == loops
    assert other != entries

"""Tests of debugging: with NUMBA_DISABLE_JIT=1 loops run as plain Python, and what cannot says what to step through.

Each test looks at what a process of its own has found out, where nothing is compiled.
"""

import contextlib
import copy
import functools
import importlib
import os
import pickle
import pkgutil
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import kernels
from kernels import warm
from tests import (
    test_activation,
    test_affine,
    test_along,
    test_attention,
    test_convolution,
    test_elementary,
    test_gemm,
    test_lookup,
    test_loss,
    test_mlp,
    test_normalization,
    test_pooling,
    test_recurrent,
    test_reduction,
    test_sampling,
    test_scan,
    test_sequences,
    test_sorting,
    test_update,
    test_vocabulary,
)
from tests.checking import assert_close

FAMILIES = [
    name
    for name in (module.name for module in pkgutil.iter_modules(kernels.__path__))
    if name not in ("warm", "reference") and hasattr(importlib.import_module(f"kernels.{name}"), "VARIANTS")
]
CONVOLUTIONS = ("3x3 padded", "3x3 stride 2", "2 groups")
NORMALIZATIONS = {
    "batch_norm": (test_normalization.test_variants_of_batch_norm, (4, 5, 3)),
    "batch_norm_backward": (test_normalization.test_variants_of_the_backward_of_batch_norm, (4, 5, 3)),
    "group_norm": (test_normalization.test_variants_of_groups, (2, 6, 33)),
    "local_response_norm": (test_normalization.test_variants_of_groups, (2, 6, 33)),
    "add_layer_norm": (test_normalization.test_variants_of_the_layer_norm_of_a_sum, (3, 5)),
}
MAX_ELEMENTS = 2000  # of all arguments of a call: plain Python is slow


def variants_of(family):
    return importlib.import_module(f"kernels.{family}").VARIANTS


RUNGS = [(family, name, rung) for family in FAMILIES for name, ladder in variants_of(family).items() for rung in ladder]


# --- what the process without compiling does --------------------------------------------------------------------------


def check_rung(family, name, rung):
    """Run the tests of a family's rung on a few small arrays: they compare with `kernels.reference`."""
    rng, dtype = np.random.default_rng(0), np.float32
    match family, name:
        case "activation", _ if name in test_elementary.VARIANTS:
            test_elementary.test_variants(rng, dtype, name, rung)
        case "activation", _:
            test_activation.test_variants(rng, dtype, name, rung)
        case "affine", _:
            test_affine.test_variants(rng, dtype, rung, (5, 4, 6))
        case "attention", "rotary_embedding":
            with only(test_attention.rotary, name, rung):
                test_attention.test_rotary_variants(rng, dtype, True)
        case "attention", _:
            test_attention.test_variants(rng, dtype, rung, (2, 5, 4), True)
        case "convolution", _:
            test_convolution.FOR_VARIANTS = {key: test_convolution.FOR_VARIANTS[key] for key in CONVOLUTIONS}
            test_convolution.test_variants(rng, dtype, name, rung)
        case "gemm", _:
            test_gemm.test_variants(rng, dtype, rung, (5, 4, 6))
        case "lookup", _ if name in test_along.along.VARIANTS:
            test_along.test_variants(rng, dtype, name, rung)
        case "lookup", _:
            test_lookup.test_variants(rng, dtype, name, rung, (5, 7, 3))
        case "loss", "linear_cross_entropy":
            test_vocabulary.test_variants(rng, dtype, rung)
        case "loss", "ctc_loss":
            test_sequences.test_variants(rng, dtype, rung)
        case "loss", _:
            test_loss.test_variants(rng, dtype, name, rung)
        case "normalization", _:
            test, shape = NORMALIZATIONS.get(name, (test_normalization.test_variants_of_rows, (3, 5)))
            with only(test_normalization, name, rung):
                test(rng, dtype, rung, shape)
        case "mlp", _:
            test_mlp.test_variants(rng, dtype, rung, "swiglu", None)
        case "pooling", "grid_sample":
            test_sampling.test_variants(rng, dtype, rung)
        case (
            "pooling",
            _,
        ):  # against the naive loops; the public functions run those, and are compared with compiled ones
            test_pooling.test_variants(rng, dtype, name, rung, test_pooling.SIZES[0])
        case "recurrent", _:
            test_recurrent.test_variants(rng, dtype, name, rung, (2, 2, 3, 4))
        case "reduction", _:
            test_reduction.test_variants(rng, dtype, name, rung)
        case "scan", _:
            test_scan.test_variants(rng, dtype, name, rung)
        case "sorting", _:
            test_sorting.test_variants(rng, dtype, name, rung)
        case "update", "clip_grad_norm":
            test_update.test_terms_of_norms(rng, dtype, rung, 3.0)
        case "update", _:
            test_update.test_variants_agree_with_python(rng, dtype, name, rung)


@contextlib.contextmanager
def only(module, name, rung):
    """Tests of several ladders at once find the rung on that of `name` alone, on the others the naive loops."""
    ladders = module.VARIANTS
    module.VARIANTS = {key: {rung: ladder[rung if key == name else "naive"]} for key, ladder in ladders.items()}
    try:
        yield
    finally:
        module.VARIANTS = ladders


def public_calls():
    """The small calls of `kernels.warm`, at least one of each function, with random numbers in place of ones:
    ``(name, arguments, options)``."""
    rng, seen = np.random.default_rng(1), set()
    warm.kernels = SimpleNamespace(matmul=np.matmul)  # it asks for the shape of a product
    for family in warm.FAMILIES:
        for name, arguments, *options in family(lambda shape: (rng.standard_normal(shape) ** 2 % 1).astype(np.float32)):
            options = options[0] if options else {}
            if name not in seen or sum(x.size for x in arrays_in((arguments, options))) <= MAX_ELEMENTS:
                seen.add(name)
                yield name, *copy.deepcopy((arguments, options))  # a call may change what the next one takes
    warm.kernels = kernels
    yield "set_flush_denormal", (False,), {}


def arrays_in(value):
    """All arrays in nested tuples, lists and dictionaries."""
    if isinstance(value, (np.ndarray, np.generic)):
        return [np.asarray(value)]
    if isinstance(value, dict):
        value = list(value.values())
    return [x for part in value for x in arrays_in(part)] if isinstance(value, (list, tuple)) else []


def made(name, arguments, options):
    """Copies of all arrays that a call returns, takes or changes."""
    with np.errstate(all="ignore"):
        result = getattr(kernels, name)(*arguments, **options)
    return [array.copy() for array in arrays_in((result, arguments, options))]


def outcome(call):
    """The result of a call, or the message of the only error that it may raise."""
    try:
        return call()
    except NotImplementedError as error:
        return str(error)


def walk():
    """Write the outcomes of every rung and of the public functions."""
    rungs = {rung: outcome(functools.partial(check_rung, *rung)) for rung in RUNGS}
    calls = [(call[0], outcome(functools.partial(made, *call))) for call in public_calls()]
    sys.stdout.buffer.write(pickle.dumps((rungs, calls)))


# --- the tests --------------------------------------------------------------------------------------------------------

MET = r"register tiles and vectors exist only in compiled code \(NUMBA_DISABLE_JIT is set\)"
NAIVE = r'kernels\.\w+\.VARIANTS\["\w+"\]\["naive"\]'
OWN, CLOSEST = rf"; step through {NAIVE}", rf"; it has no naive loops of its own, the closest are {NAIVE}"
LISTED = rf"; the naive loops of its family are {NAIVE}(, {NAIVE})*"

# Loops without vectors, other than the naive ones, or whose vectors have a form in Python.
SCALAR_RUNGS = {
    ("attention", "scaled_dot_product_attention", "online softmax"),
    ("gemm", "matmul", "loop order"),
    *(("lookup", name, "vectors") for name in ("embedding", "embedding_bag")),
    ("lookup", "embedding_backward", "sorted"),
    ("normalization", "batch_norm", "one_read"),
    ("pooling", "adaptive_avg_pool", "rows"),
    *(("pooling", name, "vectors") for name in ("im2col", "col2im")),
    ("pooling", "max_unpool", "planes"),
    *(("activation", name, "fast") for name in ("lgamma", "digamma")),
    ("lookup", "gather", "checked"),
    ("lookup", "scatter_add", "blocks"),
    *(("pooling", "grid_sample", rung) for rung in ("blocks", "channels")),  # without vectors, channels are blocks
    ("scan", "cumprod", "chains"),
    ("sorting", "sort", "radix"),
    ("sorting", "topk", "buffer"),
    ("sorting", "kthvalue", "digit"),
    ("sorting", "searchsorted", "bisection"),
    *(("update", name, "fast") for name in ("sgd", "adam", "rmsprop", "adagrad", "clip_grad_norm")),
}
RUNNING = {
    "sgd", "adam", "adamw", "rmsprop", "adagrad", "clip_grad_norm", "embedding", "embedding_backward", "embedding_bag",
    "im2col", "col2im", "unfold", "unfold_backward", "fold", "fold_backward", "interpolate", "interpolate_backward",
    "alibi_slopes", "rotary_tables", "mean_backward", "sum_backward",
    "cumprod", "cumprod_backward", "cummax_backward", "cummin_backward", "sort", "argsort",
    "topk", "kthvalue", "median", "sort_backward", "searchsorted", "bucketize", "unique",
    *(f"{kind}{dims}d{which}" for dims in (1, 2, 3) for which in ("", "_backward") for kind in
      ("max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "max_unpool")),
}  # fmt: skip
ABOUT_THE_PROCESS = {"set_num_threads", "get_num_threads", "show_config"}


def run_plain(code):
    """The output of a process without compilation."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def walked():
    return pickle.loads(run_plain("from tests import test_debugging\ntest_debugging.walk()"))


def test_loops_without_vectors_run_as_python(walked):
    rungs, _ = walked
    running = {rung for rung, error in rungs.items() if error is None}
    assert running == {rung for rung in RUNGS if rung[2] == "naive"} | SCALAR_RUNGS


def test_naive_loops_are_rungs():
    """So that they are among those that run; private ones are parts of rungs."""
    functions = [variants_of(family)[name][rung] for family, name, rung in RUNGS]
    rungs = {getattr(function, "py_func", function).__name__ for function in functions}
    modules = [module.name for module in pkgutil.walk_packages(kernels.__path__, "kernels.")]
    for module in map(importlib.import_module, modules):
        naive = {name for name in vars(module) if name.endswith("_naive") and name[0] != "_"}
        assert naive <= rungs | {"kl_div_log_target_naive"}, module.__name__


def test_naive_loops_of_another_target_run():
    """`kl_div` has one ladder, and naive loops for logarithms of targets, too."""
    code = """
        import numpy as np
        from kernels.loss import probability
        from kernels.reference import loss
        x, target = np.log(np.random.default_rng(0).random((2, 9)))
        out = np.full(9, np.nan)
        probability.kl_div_log_target_naive(x, target, out, 0.0)
        np.testing.assert_allclose(out, loss.kl_div(x, target, "none", True), rtol=1e-14)
    """
    run_plain(textwrap.dedent(code))


def test_other_rungs_name_the_naive_one(walked):
    rungs, _ = walked
    errors = {rung: error for rung, error in rungs.items() if error is not None}
    assert len(errors) > len(RUNGS) / 3
    for (family, name, _), error in errors.items():
        loops = re.escape(f'kernels.{family}.VARIANTS["{name}"]["naive"]')
        assert re.fullmatch(rf"{name}(_loops)?: {MET}; step through {loops}", error), error


def test_public_functions_run_or_name_the_rung_that_does(walked):
    _, calls = walked
    public = {name for name, value in vars(kernels).items() if callable(value) and not name.startswith("_")}
    assert {name for name, _ in calls} == public - ABOUT_THE_PROCESS
    assert {name for name, result in calls if not isinstance(result, str)} > RUNNING
    for name, error in calls:
        if isinstance(error, str) and name != "set_flush_denormal":
            assert re.fullmatch(f"{name}: {MET}({OWN}|{CLOSEST}|{LISTED})", error), error
            for family, operation in re.findall(r'kernels\.(\w+)\.VARIANTS\["(\w+)"\]', error):
                assert (family, operation, "naive") in RUNGS


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("matmul", '; step through kernels.gemm.VARIANTS["matmul"]["naive"]'),
        ("matmul_loops", '; step through kernels.gemm.VARIANTS["matmul"]["naive"]'),
        ("conv1d", '; step through kernels.convolution.VARIANTS["conv2d"]["naive"]'),
        ("layer_norm_backward", '; step through kernels.normalization.VARIANTS["layer_norm_backward"]["naive"]'),
        (
            "matmul_backward",
            '; it has no naive loops of its own, the closest are kernels.gemm.VARIANTS["matmul"]["naive"]',
        ),
        (
            "lstm_cell",
            '; it has no naive loops of its own, the closest are kernels.recurrent.VARIANTS["lstm"]["naive"]',
        ),
        ("conv_transpose2d", '; the naive loops of its family are kernels.convolution.VARIANTS["conv2d"]["naive"]'),
        ("set_flush_denormal", ": plain Python has no access to the CPU's control register (NUMBA_DISABLE_JIT is set)"),
    ],
)
def test_errors_of_public_functions(walked, name, ending):
    errors = {result for called, result in walked[1] if called == name}
    assert len(errors) == 1
    assert errors.pop().endswith(ending)


def test_public_functions_equal_compiled_ones(walked):
    _, calls = walked
    for (name, arguments, options), (same, results) in zip(public_calls(), calls, strict=True):
        assert name == same
        if isinstance(results, str):
            continue
        for result, expected in zip(results, made(name, arguments, options), strict=True):
            assert result.dtype == expected.dtype
            scale = np.abs(expected[np.isfinite(expected)]).max(initial=1)
            assert_close(result, expected, length=100, scale=scale, label=name)


def test_a_debugger_steps_through_the_loops_of_a_public_function():
    code = """
        import sys
        import numpy as np
        import kernels
        lines = []
        def trace(frame, event, argument):
            if frame.f_code.co_name == "sgd_naive" and event == "line":
                lines.append(frame.f_locals.get("i"))
            return trace
        sys.settrace(trace)
        kernels.sgd([np.ones(3)], [np.ones(3)], lr=0.1)
        sys.settrace(None)
        assert {0, 1, 2} <= set(lines), lines
    """
    run_plain(textwrap.dedent(code))


def test_nn_can_be_imported():
    code = """
        import nn
        layer = nn.Linear(2, 3)
        try:
            layer(nn.zeros(4, 2))
        except NotImplementedError as error:
            print(error)
    """
    assert run_plain(textwrap.dedent(code)).decode().startswith("linear: register tiles and vectors exist only in")


def test_memory_in_plain_python():
    """`flat` of any layout counts from the first element; nothing outside the array can be read."""
    code = """
        import numpy as np
        from kernels.simd import address, allocate, array_at, flat, flat_each, shifted
        x = np.arange(24.0).reshape(4, 6)
        for view in (x, x[1:, 2:], x[::-1, ::-2], x.T, x[:0]):
            memory, step = flat(view), [step // 8 for step in view.strides]
            assert memory.dtype == view.dtype
            for i, j in np.ndindex(view.shape):
                assert memory[i * step[0] + j * step[1]] == view[i, j]
                assert shifted(memory, j * step[1])[i * step[0]] == view[i, j]
            if view.size:
                assert address(view) == address(flat(view)) == view.ctypes.data
        for wrong in (24, -1):
            try:
                flat(x)[wrong]
            except IndexError as error:
                assert str(error) == f"no element {wrong}: there are 0 to 23"
            else:
                raise AssertionError
        memory, number = flat_each((x, 3))
        memory[23] = -1.0
        assert x[3, 5] == -1 and number == 3
        assert array_at(address(x) + 8, 2, x).tolist() == [1, 2] and array_at(0, 0, x).size == 0
        for like in (x, x.dtype, np.float64, memory):
            assert allocate(like, 5).array.shape == (5,)
    """
    run_plain(textwrap.dedent(code))


def test_intrinsics_are_made_in_one_place():
    """One made with Numba's decorator would raise Numba's error if nothing is compiled."""
    package = Path(kernels.__file__).parent
    using = [path.name for path in package.rglob("*.py") if re.search(r"extending.*\bintrinsic\b", path.read_text())]
    assert using == ["_plain.py"]

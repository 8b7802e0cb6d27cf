"""Tests of the architecture: the direction of imports, mirrored packages, sizes of functions and files, docstrings."""

import ast
import functools
import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

import kernels

ROOT = Path(kernels.__file__).parents[1]
PACKAGES = ("kernels", "nn", "innerloop", "benchmarks", "experiments")


@functools.cache
def sources():
    """Dotted name -> text, of every module of the packages."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


@functools.cache
def trees():
    return {name: ast.parse(text) for name, text in sources().items()}


def within(name, package):
    return name == package or name.startswith(f"{package}.")


# --- imports ----------------------------------------------------------------------------------------------------------

# Package -> the packages of this project that it may import, also within functions. The longest matching key applies.
ARROWS = {
    "kernels.simd": ("kernels.simd", "kernels.machine", "kernels._plain"),
    "kernels.reference": ("kernels.reference",),
    "kernels": ("kernels",),
    "nn": ("nn", "kernels"),
    "innerloop": ("innerloop", "nn", "kernels"),
    "benchmarks": ("benchmarks", "nn", "kernels"),
    "experiments": ("experiments", "benchmarks", "nn", "kernels"),
}
# Dependencies besides the standard library and NumPy: required ones, and optional ones imported within functions.
# In nn.plot, in nn.einops, in nn.compilation.
REQUIRED = {"kernels": {"numba", "llvmlite"}, "nn": {"matplotlib", "einops", "numba"}}
OPTIONAL = {"kernels": {"threadpoolctl", "tqdm"}, "nn": {"tqdm", "safetensors", "mpi4py"}}


def imported(node):
    """The modules that an import statement names."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    names = {f"{node.module}.{alias.name}" for alias in node.names}
    return {name if name in sources() else node.module for name in names}


def imports(module, anywhere):
    """The modules that a module imports: at its top level, or with `anywhere` also within functions."""
    pending, found = [trees()[module]], set()
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= imported(node)
        elif anywhere or not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            pending += ast.iter_child_nodes(node)
    return found


def cycles(arrows):
    """The nodes on cycles of two or more, or between such cycles: those that remain after repeatedly removing nodes
    without an arrow from or to another node."""
    left = {node: set(targets) & set(arrows) - {node} for node, targets in arrows.items()}
    while True:
        reached = set().union(*left.values())
        ends = {node for node, targets in left.items() if not targets or node not in reached}
        if not ends:
            return left
        left = {node: targets - ends for node, targets in left.items() if node not in ends}


@pytest.mark.parametrize("package", ARROWS)
def test_imports_follow_the_arrows(package):
    mine = [name for name in sources() if max((p for p in ARROWS if within(name, p)), key=len, default="") == package]
    assert mine
    wrong = {
        f"{name} imports {target}"
        for name in mine
        for target in imports(name, anywhere=True)
        if target.split(".")[0] in (*PACKAGES, "tests") and not any(within(target, to) for to in ARROWS[package])
    }
    assert not wrong


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_have_no_cycles(package):
    assert cycles({m: imports(m, anywhere=False) for m in sources() if within(m, package)}) == {}


def test_cycles():
    assert cycles({"a": {"b", "a"}, "b": {"c", "numpy"}, "c": set(), "d": {"a"}}) == {}
    assert set(cycles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}})) == {"a", "b", "c"}


@pytest.mark.parametrize("package", REQUIRED)
@pytest.mark.parametrize("anywhere", [False, True])
def test_dependencies(package, anywhere):
    allowed = {
        *PACKAGES,
        *sys.stdlib_module_names,
        "numpy",
        *REQUIRED[package],
        *(OPTIONAL[package] if anywhere else ()),
    }
    for module in filter(lambda name: within(name, package), sources()):
        others = {name.split(".")[0] for name in imports(module, anywhere)} - allowed
        assert not others, f"{module} imports {others}"
        assert within(module, "nn.plot") or "matplotlib" not in imports(module, anywhere=False)
        assert module == "nn.einops" or not any(within(name, "einops") for name in imports(module, anywhere=True))
        numba_is_allowed = within(module, "kernels") or within(module, "nn.compilation")
        assert numba_is_allowed or not any(within(name, "numba") for name in imports(module, anywhere=True))


# --- mirrors ----------------------------------------------------------------------------------------------------------

FAMILIES = sorted(
    name.removeprefix("kernels.")
    for name in sources()
    if re.fullmatch(r"kernels\.[a-z]\w*", name) and hasattr(importlib.import_module(name), "VARIANTS")
)


@pytest.mark.parametrize("family", FAMILIES)
def test_reference_tests_and_benchmarks_mirror_the_kernels(family):
    assert f"kernels.reference.{family}" in sources()
    assert f"benchmarks.cases.{family}" in sources()
    assert (ROOT / "tests" / f"test_{family}.py").exists()


# --- sizes and names --------------------------------------------------------------------------------------------------

# None of these may occur in `kernels`, except in `reference`.
OFFENCES = (
    "functions of more than 8 parameters",
    "functions of more than 60 lines",
    "files of more than 400 lines",
    "fmt: skip",
    "numeric fields",
)
MAX_PARAMETERS, MAX_LINES, MAX_FILE_LINES = 8, 60, 400
# Tuples and arrays of elements of one kind, whose index is not the name of a field. One element for each axis:
AXES = {
    "stride", "padding", "kernel", "dilation", "counts", "sizes", "shape", "region", "regions", "extents", "taps",
    "first", "start", "origin", "seen", "lengths", "rounds", "rows", "steps", "strides", "tap_strides", "block",
    "extent", "largest", "outputs", "tiles", "indices", "triple", "given", "every", "step",
    "query", "key", "value",  # shapes, where they are subscripted
}  # fmt: skip
# One for each array element, gradient, gate, tile height, source of an elementwise loop, nested loop, or channel:
ALIKE = {"x", "needs", "z", "from_x", "from_h", "bias_hh", "HEIGHTS", "sources", "counts", "each", "initial"}
ALIKE |= {"gradients"}


@functools.cache
def kernel_modules():
    return [name for name in sources() if within(name, "kernels") and not within(name, "kernels.reference")]


def functions(module):
    return [node for node in ast.walk(trees()[module]) if isinstance(node, ast.FunctionDef)]


def is_public(module, node):
    """Whether a function has a public signature: it is public, or what a public one is in jitted code."""
    public = getattr(kernels, node.name, None)
    is_entry = any(isinstance(each, ast.Call) and ast.unparse(each.func) == "in_njit" for each in node.decorator_list)
    return is_entry or (node in trees()[module].body and getattr(public, "__module__", None) == module)


def parameters(node):
    """Names of a function's parameters, without self, cls and an intrinsic's typingctx."""
    found = node.args
    named = [*found.posonlyargs, *found.args, *found.kwonlyargs, *filter(None, (found.vararg, found.kwarg))]
    return [each.arg for each in named if each.arg not in ("self", "cls", "typingctx")]


def lines(node):
    """Lines of a function from `def` on, without its docstring."""
    first = node.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return node.end_lineno - node.lineno + 1 - (first.end_lineno - first.lineno + 1 if has_docstring else 0)


def numbered(module):
    """Subscripts of a plain name by a literal integer: ``(name, integer, line)``; not in functions that emit LLVM."""
    pending, found = [trees()[module]], []
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef) and "builder" in parameters(node):
            continue
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            with_sign = ast.unparse(node.slice)
            if re.fullmatch(r"-?\d+", with_sign):
                found.append((node.value.id, int(with_sign), node.lineno))
        pending += ast.iter_child_nodes(node)
    return found


def is_axis(name, number):
    return -3 <= number < 3 and (name in AXES or name.endswith(("_steps", "_rows")))


def offences():
    """The `OFFENCES` of each kind, each with its location.

    A numeric field is a subscript ``name[3]`` for which a NamedTuple would have a name. Excepted are tuples of elements
    of one kind (`AXES`, `ALIKE`), and the first or last element if no other is ever accessed by a literal index; and
    the entries for jitted code, whose tuples are shapes and what they make of them.
    """
    found = {kind: [] for kind in OFFENCES}
    many, long, files, skips, fields = found.values()
    plain = [module for module in kernel_modules() if not module.rpartition(".")[2].lstrip("_").startswith("njit")]
    subscripts = [(module, *each) for module in plain for each in numbered(module)]
    sequences = {name for _, name, number, _ in subscripts} - {
        name for _, name, number, _ in subscripts if number not in (0, -1)
    }
    for module, name, number, line in subscripts:
        if name not in ALIKE | sequences and not is_axis(name, number):
            fields.append(f"{module}:{line}: {name}[{number}]")
    for module in kernel_modules():
        text = sources()[module].splitlines()
        if len(text) > MAX_FILE_LINES:
            files.append(f"{module}: {len(text)}")
        skips += [f"{module}:{number}" for number, line in enumerate(text, 1) if re.search(r"# fmt: (skip|off)", line)]
        for node in functions(module):
            if len(parameters(node)) > MAX_PARAMETERS and not is_public(module, node):
                many.append(f"{module}:{node.lineno}: {node.name} takes {len(parameters(node))}")
            if lines(node) > MAX_LINES:
                long.append(f"{module}:{node.lineno}: {node.name} has {lines(node)}")
    return found


@pytest.mark.parametrize("kind", OFFENCES)
def test_form(kind):
    found = offences()[kind]
    assert not found, f"{len(found)} {kind}:\n" + "\n".join(found)


def test_files_of_nn_are_short():
    lengths = {name: text.count("\n") for name, text in sources().items() if within(name, "nn")}
    assert not {name: length for name, length in lengths.items() if length > MAX_FILE_LINES}


def star_imports(package):
    """The modules that a package imports all names from."""
    nodes = (node for node in trees()[package].body if isinstance(node, ast.ImportFrom))
    return [importlib.import_module(node.module) for node in nodes if node.names[0].name == "*"]


@pytest.mark.parametrize("package", ["nn", "nn.operations", "nn.functional"])
def test_a_package_offers_the_names_that_its_modules_list(package):
    namespace = importlib.import_module(package)
    names = namespace.__all__
    assert len(set(names)) == len(names)
    assert set(names) <= set(dir(namespace))
    families = star_imports(package)
    assert families
    for family in families:
        assert set(family.__all__) <= set(names)
        assert all(getattr(namespace, name) is getattr(family, name) for name in family.__all__)


def test_offences(monkeypatch):
    text = '''
@intrinsic
def emitted(typingctx, a, b, c, d, e, f, g, h):
    def codegen(context, builder, signature, arguments):
        return arguments[3]
    return signature, codegen


def named(a, b, c, d, e, f, g, *h, i=0):
    """A docstring does not count.

    It may be long.
    """
    return rule[1] + stride[2] + stride[3] + needs[5] + table[-1] + shape[-1] + rule[0] + x[i] + plan[STEP, 1]


nothing = [1]  # fmt: skip
'''
    monkeypatch.setitem(globals(), "trees", lambda: {"kernels.invented": ast.parse(text)})
    monkeypatch.setitem(globals(), "sources", lambda: {"kernels.invented": text})
    monkeypatch.setitem(globals(), "kernel_modules", lambda: ["kernels.invented"])
    monkeypatch.setitem(globals(), "MAX_LINES", 3)
    many, long, files, skips, fields = offences().values()
    assert many == ["kernels.invented:9: named takes 9"]
    assert long == ["kernels.invented:3: emitted has 4"]
    assert not files
    assert skips == ["kernels.invented:17"]
    assert sorted(fields) == [f"kernels.invented:14: {field}" for field in ("rule[0]", "rule[1]", "stride[3]")]


# --- docstrings -------------------------------------------------------------------------------------------------------

# Public functions whose docstrings do not list every parameter. This is to become empty: remove those that do.
UNDOCUMENTED = """
adaptive_avg_pool1d adaptive_avg_pool1d_backward adaptive_avg_pool2d_backward adaptive_avg_pool3d
adaptive_avg_pool3d_backward adaptive_max_pool1d adaptive_max_pool1d_backward adaptive_max_pool2d
adaptive_max_pool2d_backward adaptive_max_pool3d adaptive_max_pool3d_backward argmax avg_pool1d
avg_pool1d_backward avg_pool2d_backward avg_pool3d avg_pool3d_backward binary_cross_entropy_backward
binary_cross_entropy_with_logits_backward celu celu_backward col2im conv1d conv1d_backward conv3d conv3d_backward
conv_transpose1d conv_transpose1d_backward conv_transpose2d_backward conv_transpose3d conv_transpose3d_backward
cross_entropy_backward elu elu_backward exp_backward fold_backward gelu gelu_backward glu_backward gru_backward
gru_cell hardsigmoid hardsigmoid_backward hardswish hardswish_backward hardtanh hardtanh_backward huber_loss
huber_loss_backward instance_norm_backward interpolate_backward kl_div kl_div_backward l1_loss l1_loss_backward
leaky_relu leaky_relu_backward linear_cross_entropy_backward linear_loops local_response_norm_backward log_softmax
log_softmax_backward logsigmoid logsigmoid_backward logsumexp_backward lp_pool1d lp_pool1d_backward
lp_pool2d_backward lp_pool3d lp_pool3d_backward matmul_loops max_pool1d max_pool1d_backward max_pool3d
max_pool3d_backward max_unpool1d max_unpool1d_backward max_unpool2d_backward max_unpool3d max_unpool3d_backward
mean mean_backward mish mish_backward mse_loss_backward nll_loss nll_loss_backward prelu_backward relu_backward
rms_norm_backward rnn_backward rnn_cell scaled_dot_product_attention_backward selu selu_backward sigmoid_backward
silu silu_backward smooth_l1_loss smooth_l1_loss_backward softmax_backward softplus softplus_backward sum_backward
tanh tanh_backward unfold_backward
"""


def documented(function):
    """The names in the Parameters section of a docstring; an entry may have several, ``x, y : array``."""
    text = inspect.getdoc(function) or ""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=\n\n\S.*\n---|\Z)", text, re.DOTALL | re.MULTILINE)
    entries = re.findall(r"^\w[\w, ]*?(?= :|$)", section[1], re.MULTILINE) if section else []
    return [name for entry in entries for name in entry.split(", ")]


def test_docstrings_name_every_parameter():
    public = {name: value for name, value in vars(kernels).items() if callable(value) and name[0] != "_"}
    wrong = {
        name: (documented(function), expected)
        for name, function in public.items()
        if sorted(documented(function)) != sorted(expected := list(inspect.signature(function).parameters))
    }
    excused = UNDOCUMENTED.split()
    assert not {name: wrong[name] for name in wrong.keys() - set(excused)}
    assert public.keys() >= set(excused)
    assert len(excused) <= 107


def test_documented():
    def function(x, y, z):
        """Summary.

        Parameters
        ----------
        x, y : array, float32
            Shape ``(3,)``: of any kind
        z
            As for `other`.

        The others are the forward's.

        Returns
        -------
        w : array
        """

    assert documented(function) == ["x", "y", "z"]
    assert documented(test_documented) == []

"""What editors and type checkers read: the stubs are those of the code, and say what methods return."""

import ast
import importlib.util
import inspect
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import kernels
import nn

ROOT = Path(__file__).parents[1]


def tool(name):
    """A module of ``docs/tools``, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_tools_{name}", ROOT / "docs" / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


stubs, typed = map(tool, ("stubs", "typed"))


@pytest.mark.parametrize("path", stubs.STUBS)
def test_stubs_are_those_of_the_code(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert text == stubs.STUBS[path](), "stale: python docs/tools/stubs.py"
    ast.parse(text)


def test_the_stub_of_storage_has_what_others_import():
    tree = ast.parse((ROOT / "nn/storage.pyi").read_text(encoding="utf-8"))
    there = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    for path in (ROOT / "nn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "nn.storage":
                assert {alias.name for alias in node.names} <= there, path


KINDS = {
    "_bool": bool,
    "_int": int,
    "_float": float,
    "str": str,
    "np.ndarray": np.ndarray,
    "None": type(None),
    "tuple[Tensor, ...]": tuple,
    "Tensor": nn.Tensor,
    "Any": object,
}


MAKING = ("__init__", "__setstate__", "__deepcopy__")  # of another tensor, or of this one anew


def test_methods_return_what_the_stub_says():
    """Those that can be called with nothing, with a number, with two, or with a tensor."""
    called = 0
    for name, function in vars(nn.Tensor).items():
        kind = stubs.RETURN.get(name, "Tensor")
        if not inspect.isfunction(function) or kind not in KINDS or name in MAKING:
            continue
        for arguments in ((), (0,), (1, 0), (nn.tensor([[1.0, 2.0], [3.0, 4.0]]),)):
            x = nn.tensor([[1.0, 2.0], [3.0, 4.0]])
            try:
                result = function(x, *arguments)
            except (TypeError, ValueError, IndexError, RuntimeError, AttributeError):
                continue
            assert isinstance(result, KINDS[kind]) or result is NotImplemented, (name, kind, type(result))
            called += 1
            break
    assert called > 330


def test_kernels_return_what_the_stub_says():
    x, weight = np.ones((4, 4), np.float32), np.ones((1, 1, 2, 2), np.float32)
    results = {
        "softmax": kernels.softmax(x),
        "matmul": kernels.matmul(x, x),
        "matmul_backward": kernels.matmul_backward(x, x, x),
        "conv2d_backward": kernels.conv2d_backward(weight, weight, weight[:, :, :1, :1]),
        "linear_backward": kernels.linear_backward(x, x, x),
    }
    for name, result in results.items():
        kind = stubs.result_of(getattr(kernels, name))
        count = kind.count("|") or 1
        assert kind == ("np.ndarray" if count == 1 else f"tuple[{', '.join(['np.ndarray | Any'] * count)}]")
        parts = result if isinstance(result, tuple) else (result,)
        assert len(parts) == count and all(isinstance(part, np.ndarray) for part in parts)


def test_examples_are_found():
    found = typed.examples()
    assert sum(name.startswith("README_") for name in found) == 3 and len(found) >= 18


@pytest.mark.skipif(find_spec("pyright") is None, reason="needs pyright[nodejs]")
def test_examples_have_no_type_errors():
    assert typed.errors(typed.examples(), sys.executable) == []

"""The examples in the docstrings of `kernels` and `nn`, run as doctests."""

import ast
import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import kernels
import nn

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


def examples(text):
    """The docstrings with examples in a module's text, ``{line: docstring}``, including those of jitted functions."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, DOCUMENTED) and ast.get_docstring(node)]
    return {
        node.body[0].lineno: ast.get_docstring(node)
        for node in nodes
        if doctest.DocTestParser().get_examples(ast.get_docstring(node))
    }


MODULES = {}
for package in (kernels, nn):
    folder = Path(package.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        if found := examples(path.read_text()):
            parts = path.relative_to(folder.parent).with_suffix("").parts
            MODULES[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = (path, found)


@pytest.mark.parametrize("module", MODULES)
def test_examples(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    path, docstrings = MODULES[module]
    names = vars(importlib.import_module(module))
    for line, docstring in docstrings.items():
        test = doctest.DocTestParser().get_doctest(docstring, dict(names), module, str(path), line - 1)
        report = []
        doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
        assert not report, "".join(report)


def test_every_example_is_run():
    """No example is in a comment or in a string other than a docstring, where it would not be run."""
    for path, docstrings in MODULES.values():
        text = path.read_text()
        made = [ast.unparse(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.JoinedStr)]
        run = [*docstrings.values(), *made]  # formatted docstrings: see `test_examples_of_formatted_docstrings`
        assert text.count(">>> ") == sum(each.count(">>> ") for each in run)
    others = {path for package in (kernels, nn) for path in Path(package.__file__).parent.rglob("*.py")}
    for path in others - {path for path, _ in MODULES.values()}:
        assert ">>> " not in path.read_text()


def test_examples_of_formatted_docstrings():
    """Those of functions that other functions make."""
    written = {text for _, docstrings in MODULES.values() for text in docstrings.values()}
    for name in nn.__all__:
        docstring = inspect.getdoc(getattr(nn, name)) or ""
        if ">>> " in docstring and docstring not in written:
            test, report = doctest.DocTestParser().get_doctest(docstring, {}, name, None, 0), []
            doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
            assert not report, "".join(report)


def test_a_wrong_example_fails():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3", {}, "wrong", None, 0)
    report = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.append)
    assert "Got:\n    2" in "".join(report)


# What needs a program around it, or is no function of its own; the guides show them.
WITHOUT = {"CompileError", "Compiled", "CompiledStep", "Size", "UninitializedBuffer", "UninitializedParameter"}
WITHOUT |= {"generator", "set_default_dtype", "set_printoptions"}


@pytest.mark.parametrize("package", [kernels, nn], ids=["kernels", "nn"])
def test_every_public_name_has_an_example(package):
    names = [name for name in package.__all__ if callable(getattr(package, name)) and name not in WITHOUT]
    assert not [name for name in names if ">>>" not in (getattr(package, name).__doc__ or "")]

"""The site: ladders from the code, the reference from docstrings, and a strict build without broken links."""

import importlib.util
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

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


ladders, reference, check, pictures = map(tool, ("ladders", "reference", "check", "pictures"))


@pytest.mark.parametrize("name", ladders.LADDERS)
def test_ladder(name):
    """Each rung is there, with its idea, its bar, its source and what is new in it."""
    rungs = importlib.import_module(ladders.LADDERS[name].module).VARIANTS[name]
    text = ladders.markdown(name)
    sections = text.split("\n### ")[1:]
    assert [section.split("\n")[0].lower() for section in sections] == [rung.replace("_", " ") for rung in rungs]
    for (rung, function), section in zip(rungs.items(), sections, strict=True):
        assert ladders.idea(function) in section
        assert f'<span class="name this">{rung.replace("_", " ")}</span>' in section
        own = getattr(function, "py_func", function)
        assert f"def {own.__name__}(" in section
        assert ("```diff\n" in section) == (rung != "naive") == ("hl_lines=" in section)


def test_new_lines():
    before = ["def a():", "    for i in x:", "        y(i)"]
    after = ["def b():", "    for j in z:", "        for i in x:", "            y(i)", "", "    return y"]
    assert ladders.added(before, after) == [2, 6]
    assert ladders.without_docstring('@jit\ndef f(x):\n    """One.\n\n    Two.\n    """\n    return x\n') == [
        "@jit",
        "def f(x):",
        "    return x",
    ]


def test_every_public_name_is_in_the_reference():
    pages = reference.pages()
    entries = {line[3:] for page in pages.values() for line in page.split("\n") if line.startswith("## ")}
    assert set(kernels.__all__) <= entries
    assert set(nn.functional.__all__) <= entries
    assert {"Linear", "Conv2d", "LSTM", "Adam", "fit", "curves", "observe"} <= entries
    assert not any(".. math::" in page for page in pages.values())


def test_docstrings_as_markdown():
    text = """Add ``a`` and `b` [1]_: a_b.

    .. math:: x^2
        + y

    Parameters
    ----------
    a, b : array, float32
        Of one shape::
    Other.

    Examples
    --------
    >>> 1 + 1
    2

    .. [1] A paper, 2020.
    """
    found = reference.body("\n".join(line.removeprefix("    ") for line in text.split("\n")))
    assert found.startswith("Add `a` and `b` \\[1\\]: a\\_b.\n\n\n$$\nx^2\n+ y\n$$")
    assert "- `a, b` : array, float32\n\n    Of one shape:" in found
    assert "```pycon\n>>> 1 + 1\n2\n```" in found
    assert reference.wrapped("f(" + "a" * 50 + "=(1, 2), *, " + "b" * 50 + "=None)") == (
        f"f(\n    {'a' * 50}=(1, 2),\n    *,\n    {'b' * 50}=None,\n)"
    )


def test_what_a_broken_site_lacks(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "index.html").write_text('<h1 id="there">A</h1>')
    (tmp_path / "index.html").write_text(
        '<a href="a/#there">ok</a><a href="a/#gone">1</a><a href="b/">2</a><img src="no.png"><a href="https://x.org">ok</a>'
        '<script src="https://cdn.org/x.js"></script>'
    )
    assert check.wrong_links(tmp_path) == [
        "index.html: no.png is missing",
        "index.html: loads https://cdn.org/x.js from elsewhere",
        "index.html: a/#gone has no such anchor",
        "index.html: the link b/ leads nowhere",
    ]


def test_pictures_are_those_that_are_drawn():
    """Each picture of the pages is made by the script (its bytes depend on matplotlib's version)."""
    assert {path.stem for path in pictures.FOLDER.glob("*.svg")} == {each.__name__ for each in pictures.PICTURES}


@pytest.mark.skipif(find_spec("mkdocs") is None or find_spec("material") is None, reason="needs the extra docs")
def test_site_builds(tmp_path):
    """Strictly, with every link in it leading somewhere, and nothing loaded from elsewhere."""
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    assert check.wrong_links(tmp_path / "site") == []
    page = (tmp_path / "site" / "learn" / "matmul" / "index.html").read_text(encoding="utf-8")
    assert page.count('class="rungs"') == len(kernels.gemm.VARIANTS["matmul"]) and "rungs:" not in page

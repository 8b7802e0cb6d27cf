"""Tests of what other distributions can do to an installed copy: `kernels` and `nn` are names that others use, too."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
import warnings
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import innerloop
import kernels
import nn
from kernels import _installation

ROOT = Path(__file__).parents[1]


def imported(statement, *folders, flags=("-W", "error")):
    """Runs a statement in a Python that finds packages in `folders` first, then here; returns its stderr."""
    path = [str(folder) for folder in (*folders, ROOT)]
    code = f"import sys; sys.path[:0] = {path}; {statement}"
    run = subprocess.run([sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=300)
    return run.stderr


def foreign(folder, name):
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text("import a_library_that_is_missing\n")  # Hugging Face's needs its hub
    return folder


def test_kernels_of_another_distribution(tmp_path):
    error = imported("import nn", foreign(tmp_path, "kernels")).splitlines()[-1]
    assert error.startswith(
        f"ImportError: nn: needs innerloop's package kernels, but `import kernels` finds {tmp_path}"
    )
    assert "pip uninstall kernels" in error and "rename it" in error


def test_a_folder_named_kernels(tmp_path):
    """A folder without ``__init__.py``, as a project of CUDA kernels has one, is not found before a package."""
    (tmp_path / "kernels").mkdir()
    assert imported("import nn", tmp_path) == ""


@pytest.mark.parametrize("name", ["kernels", "nn"])
def test_innerloop_says_which_package_is_not_ours(tmp_path, name):
    error = imported("import innerloop", foreign(tmp_path, name)).splitlines()[-1]
    assert re.match(rf"ImportError: innerloop: .*{re.escape(str(tmp_path))}.*pip uninstall {name}", error), error


def test_overwritten_nn(tmp_path):
    """`kernels` works without `nn`, so it warns: what lies beside it is not ours."""
    own_file = foreign(tmp_path, "nn") / "kernels" / "__init__.py"
    with pytest.warns(UserWarning, match=r"kernels: .*nn.__init__.py is not innerloop's.* pip uninstall nn"):
        _installation.warn_of_overwritten(own_file)


def test_no_warning_where_nothing_is_wrong(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _installation.warn_of_overwritten(kernels.__file__)
        _installation.warn_of_overwritten(tmp_path / "kernels" / "__init__.py")  # installed without nn
    assert _installation.MARK in Path(nn.__file__).read_bytes()


def test_one_name_for_both_packages():
    assert innerloop.kernels is kernels and innerloop.nn is nn
    for name in ("kernels.gemm", "nn.functional", "nn.optim.lr_scheduler"):
        module = importlib.import_module(f"innerloop.{name}")
        assert module is sys.modules[name]
        assert module.__name__ == module.__spec__.name == name
    with pytest.raises(ModuleNotFoundError, match="nn.nothing"):
        importlib.import_module("innerloop.nn.nothing")


def test_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dynamic"] == ["version"]  # kernels.__version__
    assert kernels.__version__ == nn.__version__ == innerloop.__version__
    assert f"version: {kernels.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {kernels.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_kernels_lists_its_names():
    public = {name for name, value in vars(kernels).items() if callable(value) and not name.startswith("_")}
    assert len(set(kernels.__all__)) == len(kernels.__all__)
    assert set(kernels.__all__) == public


def built(source, folder, name):
    """The file that a function of the build backend makes."""
    folder.mkdir()
    code = f"import setuptools.build_meta as build; build.{name}({str(folder)!r})"
    run = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
    (found,) = folder.glob("*.whl")
    return zipfile.ZipFile(found)


@pytest.mark.skipif(int(version("setuptools").split(".")[0]) < 77, reason="older setuptools cannot read pyproject.toml")
def test_what_a_wheel_has(tmp_path):
    """The packages, whole, and nothing else; .ci/wheel installs one and tries it. An editable one maps these three."""
    source = tmp_path / "source"
    for name in ("kernels", "nn", "innerloop"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    for name in ("tests", "experiments", "benchmarks"):
        (source / name).mkdir()
        (source / name / "__init__.py").touch()
    wheel = built(source, tmp_path / "wheel", "build_wheel")
    assert Path(wheel.filename).name == f"innerloop-{kernels.__version__}-py3-none-any.whl"
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {path.relative_to(source).as_posix() for path in source.rglob("*.py") if "build" not in path.parts}
    expected |= {path.relative_to(source).as_posix() for path in source.rglob("*.pyi") if "build" not in path.parts}
    expected |= {f"{name}/py.typed" for name in ("kernels", "nn", "innerloop")}
    assert names == {name for name in expected if not name.startswith(("tests/", "experiments/", "benchmarks/"))}
    metadata = wheel.read(f"innerloop-{kernels.__version__}.dist-info/METADATA").decode()
    for line in ("Author: The innerloop developers", "Classifier: Typing :: Typed", "License-Expression: MIT"):
        assert line in metadata.splitlines()

    editable = built(source, tmp_path / "editable", "build_editable")
    (start,) = (editable.read(name).decode() for name in editable.namelist() if name.endswith(".pth"))
    assert start.startswith("import ") and str(source) not in start  # a hook, not a folder with whatever lies in it
    (finder,) = (editable.read(name).decode() for name in editable.namelist() if name.endswith("_finder.py"))
    (mapping,) = re.findall(r"^MAPPING.*= (\{.*\})$", finder, re.MULTILINE)
    assert ast.literal_eval(mapping) == {name: str(source / name) for name in ("innerloop", "kernels", "nn")}

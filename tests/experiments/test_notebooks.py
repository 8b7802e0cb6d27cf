"""The committed results and notebooks belong to the current source; a notebook runs from top to bottom."""

import importlib
import json
import os
import re
import subprocess
import sys

import pytest

from experiments import __main__ as command
from experiments import lab, verdicts

RUN = ["perceptron"]  # through nbmake, in fast mode


@pytest.mark.parametrize("name", lab.names())
def test_results(name):
    assert lab.is_current(name), f"stale: python -m experiments run {name} --full"
    content = json.loads(lab.file(name, ".json").read_text(encoding="utf-8"))
    study = lab.stored(name)
    assert study.mode == "full" and len(study.results) == study.config["seeds"]
    assert content["verdict"] == verdicts.verdict(study.checks), f"stale: python -m experiments render {name}"
    assert study.pytorch["difference"] <= study.pytorch["tolerance"]


@pytest.mark.parametrize("name", lab.names())
def test_notebook(name):
    path = lab.file(name, ".ipynb")
    assert path.stat().st_size < 1_000_000
    notebook = json.loads(path.read_text(encoding="utf-8"))
    fresh = notebook["metadata"]["innerloop"]["digest"] == lab.file_digest(name)
    assert fresh, f"stale: python -m experiments render {name}"
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output["output_type"] == "error"]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    drawing = [item for item in vars(lab.load(name)) if item.startswith("draw_")]
    assert len(pictures) == len(drawing) > 0
    pages = [text for output in outputs for text in output.get("data", {}).get("text/markdown", [])]
    assert any("Verdict:" in line for line in pages)
    shown = re.findall(r"<!-- source of (\S+):(\S+) -->", "".join(pages))
    for module, function in shown:
        page = lab.source(getattr(importlib.import_module(module), function))
        assert page in "".join(pages), f"{function} has changed: python -m experiments render {name}"
    assert lab.file(name, ".png").stat().st_size > 1000


@pytest.mark.parametrize("page, text", [("README.md", command.index_page), ("VERDICTS.md", command.verdicts_page)])
def test_the_pages_are_of_the_stored_verdicts(page, text):
    written = (lab.ROOT / page).read_text(encoding="utf-8")
    assert written == text(), "stale: python -m experiments render NAME"
    assert all(f"{name}.ipynb" in written for name in lab.names())


def test_the_table_names_every_experiment(capsys):
    command.list_experiments()
    printed = capsys.readouterr().out
    for _, name, card, study in lab.index():
        line = next(line for line in printed.splitlines() if line.split()[:1] == [name])
        assert card.claim in line and f"{study.seconds:.0f} s" in line and study.summary in line


def test_notebooks_run_from_top_to_bottom(tmp_path):
    pytest.importorskip("nbmake")
    paths = [str(lab.file(name, ".ipynb")) for name in RUN]
    environment = os.environ | {lab.MODE: "fast", "PYTHONPATH": str(lab.ROOT.parent)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbmake", *paths]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(RUN)} passed" in done.stdout

"""The README's Python examples run."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one saves a picture
    exec(compile(EXAMPLES[number], f"README.md, example {number + 1}", "exec"), {"__name__": "example"})


def test_there_are_examples():
    assert any("@njit" in example and "softmax(linear(" in example for example in EXAMPLES)


def test_pictures_exist():
    text = README.read_text(encoding="utf-8")
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (README.parent / picture).exists(), picture

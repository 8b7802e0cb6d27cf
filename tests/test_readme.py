"""The Python examples of the README and of the pages run."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
PAGES = (README, *sorted((README.parent / "docs").glob("*.md")))
EXAMPLES = [
    (f"{page.name} {number}", text)
    for page in PAGES
    for number, text in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), 1)
]


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_example(name, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # one saves a picture
    exec(compile(text, name, "exec"), {"__name__": "example"})


def test_there_are_examples():
    assert any("@njit" in example and "softmax(linear(" in example for _, example in EXAMPLES)


def test_pictures_exist():
    text = README.read_text(encoding="utf-8")
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (README.parent / picture).exists(), picture

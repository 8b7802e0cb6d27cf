"""The Python examples of the README and of the pages run; their links lead somewhere."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
PAGES = (README, *sorted((README.parent / "docs").rglob("*.md")))
DOCUMENTS = (*PAGES, *(README.parent / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/RESULTS.md")))
MADE = {"docs/reference/index.md"}  # by the build of the site
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
    assert len([name for name, _ in EXAMPLES if name.startswith("README.md")]) == 3


def test_readme_is_short():
    text = README.read_text(encoding="utf-8")
    assert text.count("\n") <= 150
    assert "![" in text and "| naive |" in text  # the picture and the table of the first ladder
    assert "rows won / lost" in text


@pytest.mark.parametrize("page", DOCUMENTS, ids=[page.name for page in DOCUMENTS])
def test_links_and_pictures_exist(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:|#", target):
            continue
        path = (page.parent / target.partition("#")[0]).resolve()
        assert path.exists() or path.relative_to(README.parent.resolve()).as_posix() in MADE, target

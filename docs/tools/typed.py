"""Checks the types of the Python examples of the README and of the pages by pyright: python docs/tools/typed.py.

Needs ``pip install 'pyright[nodejs]'``. Each example is checked as a file of its own, in pyright's basic mode, with the
packages of this repository; exits 1 where there is an error.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def examples() -> dict[str, str]:
    """File name -> source, of each example."""
    found = {}
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        name = page.relative_to(ROOT).with_suffix("").as_posix().replace("/", "_")
        for number, text in enumerate(EXAMPLE.findall(page.read_text(encoding="utf-8")), 1):
            found[f"{name}_{number}.py"] = text
    return found


def errors(sources: dict[str, str], python: str = sys.executable) -> list[str]:
    """What pyright says is wrong, a line each: file, line, message, rule."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in sources.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        # An editable install maps packages by a hook, which checkers do not run: hence the path.
        settings = {"extraPaths": [str(ROOT)], "typeCheckingMode": "basic", "include": [folder]}
        Path(folder, "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
        command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", python, "--project", folder]
        run = subprocess.run(command, capture_output=True, text=True)
        if not run.stdout.startswith("{"):
            raise RuntimeError(run.stdout + run.stderr)
        report = json.loads(run.stdout)
    return [
        f"{Path(each['file']).name}:{each['range']['start']['line'] + 1}: {each['message']} [{each.get('rule', '')}]"
        for each in report["generalDiagnostics"]
        if each["severity"] == "error"
    ]


if __name__ == "__main__":
    sources = examples()
    found = errors(sources, *sys.argv[1:])
    print("\n".join([*found, f"{len(found)} errors in {len(sources)} examples"]))
    sys.exit(bool(found))

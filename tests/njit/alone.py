"""Runs files of this folder in a process of their own, for `tests.jitted`: compiled code is never freed, and they
compile thousands of functions, some gigabytes. So pytest does not collect this folder by itself;
``pytest tests/njit/test_gemm.py`` works.

The gate runs the table (every public function in jitted code) for float32, and every fifth case of its float64 and of
each other test; ``pytest tests/njit`` runs them all.
"""

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def assert_passes(*names):
    files = [str(FOLDER / f"{name}.py") for name in names]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--every", "5", *files]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=FOLDER.parents[1], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]

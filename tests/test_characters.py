"""The character experiment, short: a small network, one epoch, then PyTorch beside it."""

import numpy as np
import pytest

pytest.importorskip("seaborn")
pytest.importorskip("tqdm")

import kernels
import nn
from experiments import characters


@pytest.fixture
def restored_threads():
    before = kernels.get_num_threads()
    yield
    kernels.set_num_threads(before)


@pytest.mark.usefixtures("restored_threads")
def test_short_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(characters, "STEPS", 3)
    monkeypatch.setattr(characters, "LENGTH", 20)
    text = characters.reference_text()[:60_000] + characters.SENTENCE
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


def test_what_is_held_out_is_not_learned():
    text = characters.Text(characters.reference_text())
    written = ["".join(text.characters[i] for i in ids) for ids in (text.learned, text.held_out)]
    assert characters.reference_text().endswith(written[1])
    lines = [{line.strip() for line in part.split("\n") if len(line.strip()) >= characters.LINE} for part in written]
    assert len(lines[1]) > 200
    assert not lines[0] & lines[1]
    assert len(text.learned) > 0.9 * len(characters.reference_text())


def test_windows_and_streams():
    nn.manual_seed(0)
    text = characters.Text("".join(chr(33 + i % 90) for i in range(90 * 60)))
    windows = characters.Windows(text)
    x, target = windows.batch(np.arange(len(windows)))
    assert x.shape == (64, len(windows))
    np.testing.assert_array_equal((x.data + 1) % 90, target.data.reshape(x.shape))
    assert len(set(x.data[0].tolist())) > 10
    x, target = text.streams()
    assert x.shape == (33, 8)
    np.testing.assert_array_equal((x.data + 1) % 90, target.data.reshape(x.shape))


def test_gates_are_those_of_the_network():
    nn.manual_seed(0)
    network = characters.character_model(nn, 7, 12)
    ids = np.array([1, 5, 2, 0, 6])
    i, f, g, o, cell = characters.gates_of(network, ids)
    _, (h, c) = network.walk(nn.Tensor(ids[:, None]))
    np.testing.assert_allclose(np.tanh(c.data[1, 0]), cell[-1], rtol=1e-5)
    np.testing.assert_allclose(o[-1] * cell[-1], h.data[1, 0], rtol=1e-5)
    for gate in (i, f, o):
        assert ((gate > 0) & (gate < 1)).all()
    assert (np.abs(g) < 1).all()


def test_samples_follow_the_temperature():
    nn.manual_seed(0)
    text = characters.Text("abcd" * 30)
    network = characters.character_model(nn, 4, 8)
    network.head.bias.data[...] = [0, 0, 9, 0]
    cold, hot = (characters.sample(network, text, "ab", t, 200) for t in (0.1, 100.0))
    assert cold == "ab" + "c" * 200
    assert len(set(hot[2:])) == 4

"""The transformer experiment, short: a small network, one epoch, compared with PyTorch."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

import nn
from experiments.trainings import gpt
from experiments.trainings.text import SENTENCE, Text, reference_text
from nn.models import GPT


def test_short_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gpt, "STEPS", 3)
    monkeypatch.setattr(gpt, "LENGTH", 20)
    monkeypatch.setattr(gpt, "LAYERS", 2)
    text = reference_text()[:60_000] + SENTENCE
    result = gpt.run(epochs=1, threads=1, text=text, folder=tmp_path / "figures", width=32, rounds=1)
    assert 2 < result["bits"] < 5.5  # 6.5 are as good as guessing
    assert len(result["ours"]) == len(result["torch"]) == 3
    assert result["difference"] <= gpt.TOLERANCE
    assert result["ours_seconds"] > 0 and result["torch_seconds"] > 0
    names = {path.name for path in (tmp_path / "figures").iterdir() if path.stat().st_size > 5000}
    assert names == {f"gpt_{name}.png" for name in ("curves", "attention", "comparison")}
    printed = capsys.readouterr().out
    assert "bits per character" in printed and "equal within 0.001" in printed
    assert "temperature 0.5" in printed and "temperature 1.0" in printed


def test_held_out_windows():
    text = Text("".join(chr(33 + i % 90) for i in range(90 * 60)))
    x, target = gpt.held_out_windows(text, 16)
    assert x.shape == (16, 16)
    np.testing.assert_array_equal((x.array + 1) % 90, target.array.reshape(x.shape))
    np.testing.assert_array_equal(x.array.ravel(), text.held_out[:256])


def test_attention_maps_are_those_of_the_model():
    nn.manual_seed(0)
    model = GPT(7, context=8, width=12, layers=2, heads=3)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    seen = {}
    model.blocks[1].attention.qkv.register_forward_hook(lambda m, args, output: seen.update(qkv=output.array[0]))
    model.blocks[1].attention.output.register_forward_hook(lambda m, args, output: seen.update(heads=args[0].array[0]))
    maps = gpt.attention_maps(model, np.array([1, 5, 2, 0, 6]))
    assert maps.shape == (2, 3, 5, 5)
    values = seen["qkv"][:, 24:].reshape(5, 3, 4).swapaxes(0, 1)
    expected = (maps[1] @ values).swapaxes(0, 1).reshape(5, 12)
    np.testing.assert_allclose(seen["heads"], expected, rtol=1e-4, atol=1e-5)


def test_samples_follow_the_temperature_beyond_the_context():
    nn.manual_seed(0)
    text = Text("abcd" * 30)
    model = GPT(4, context=8, width=8, layers=1, heads=2, tied=False)
    model.head.bias = nn.Parameter(np.float32([0, 0, 9, 0]))
    cold, hot = (gpt.sample(model, text, "ab", t, 200) for t in (0.1, 100.0))
    assert cold == "ab" + "c" * 200
    assert len(hot) == 202 and len(set(hot[2:])) == 4

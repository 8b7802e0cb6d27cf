"""The speech experiment with synthetic clips (tones of two pitches) and a small random encoder."""

import importlib
import wave

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")

from experiments.trainings import speech


def hum(pitch, seconds, rate):
    t = np.arange(int(seconds * rate)) / rate
    return sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 9)) / 8


def write_wav(path, sound, rate=48_000, channels=1, size=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(size)
        file.setframerate(rate)
        file.writeframes((np.repeat(sound, channels) * 32767).astype("<i2").tobytes())


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    state = speech.encoder(torch.nn, 16, 2).state_dict() | {"similarity_weight": torch.ones(1)}
    path = tmp_path / "pretrained.pt"
    torch.save({"step": 1, "model_state": state}, path)
    return path


def test_short_run(tmp_path, capsys, weights):
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for name, pitch, seconds in (("Low_a", 110, 1.2), ("Low_b", 115, 3.1), ("High", 700, 1.0)):
        write_wav(sounds / f"{name}.wav", hum(pitch, seconds, 48_000))
    result = speech.run(sounds, weights, threads=1, folder=tmp_path / "figures", rounds=1)
    assert result["names"] == ["High", "Low a", "Low b"]
    assert result["difference"] <= speech.TOLERANCE
    np.testing.assert_allclose(np.diag(result["similarities"]), 1, rtol=1e-5)
    np.testing.assert_array_equal(result["similarities"], result["similarities"].T)
    assert result["ours_seconds"] > 0 and result["torch_seconds"] > 0
    assert (tmp_path / "figures" / "speech.png").stat().st_size > 5000
    printed = capsys.readouterr().out
    assert "equal within 1e-05" in printed and "median time per clip" in printed


def test_missing_packages_are_named(tmp_path, capsys, monkeypatch, weights):
    assert speech.run(tmp_path, weights) is None
    assert "apt-get install alsa-utils" in capsys.readouterr().out
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert speech.run(tmp_path) is None
    assert "pip install --no-deps resemblyzer" in capsys.readouterr().out


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (32_000, 1), (48_000, 2)])
def test_reading(tmp_path, rate, channels):
    write_wav(tmp_path / "hum.wav", hum(220, 0.5, rate), rate, channels)
    sound = speech.read_wav(tmp_path / "hum.wav")
    assert sound.dtype == np.float32 and len(sound) == 8000
    middle = slice(500, -500)  # the filter sees silence beyond the ends
    np.testing.assert_allclose(sound[middle], hum(220, 0.5, 16_000)[middle], atol=2e-3)


def test_frequencies_that_would_alias_are_removed(tmp_path):
    t = np.arange(48_000) / 48_000
    write_wav(tmp_path / "high.wav", np.sin(2 * np.pi * 9000 * t))
    assert np.abs(speech.read_wav(tmp_path / "high.wav")[500:-500]).max() < 1e-3


@pytest.mark.parametrize(("rate", "size"), [(44_100, 2), (16_000, 1)])
def test_other_files_are_refused(tmp_path, rate, size):
    write_wav(tmp_path / "hum.wav", hum(220, 0.1, rate), rate, size=size)
    with pytest.raises(ValueError, match=f"{8 * size} bits at {rate} Hz"):
        speech.read_wav(tmp_path / "hum.wav")


def test_bands():
    """Each band hears its own frequency best, and all hear a white spectrum about equally well."""
    filters = speech.mel_filters()
    assert filters.shape == (40, 201)
    centers = np.linspace(0, 8000, 201)[filters.argmax(axis=1)]
    assert (np.diff(centers) >= 0).all() and centers[0] < 120 and 7000 < centers[-1] < 8000
    area = filters.sum(axis=1) * 40
    assert (np.abs(area[15:] - 1) < 0.1).all()
    mel = speech.mel_spectrogram(np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000))
    assert mel.shape == (101, 40) and mel.dtype == np.float32
    assert abs(centers[mel[50].argmax()] - 1000) < 100


def test_parts():
    lengths = (100, 25_000, 31_000, 32_000, 45_000)  # a part has 25,600 samples and begins 12,320 after the one before
    assert [len(speech.parts(np.zeros(n, np.float32))) for n in lengths] == [1, 1, 1, 2, 3]
    assert speech.parts(np.zeros(100, np.float32)).shape == (1, 160, 40)


def test_quiet_clips_are_normalised():
    sound = np.full(100, 1e-3, np.float32)
    np.testing.assert_allclose(speech.loud(sound), 10**-1.5, rtol=1e-4)
    np.testing.assert_array_equal(speech.loud(np.ones(100, np.float32)), 1)

"""The text of the experiments: its training and held-out parts, and its windows."""

import numpy as np
import pytest

import nn
from experiments.trainings.text import LINE, Text, Windows, reference_text


def test_held_out_data_is_not_trained_on():
    text = Text(reference_text())
    written = ["".join(text.characters[i] for i in ids) for ids in (text.learned, text.held_out)]
    assert reference_text().endswith(written[1])
    lines = [{line.strip() for line in part.split("\n") if len(line.strip()) >= LINE} for part in written]
    assert len(lines[1]) > 200
    assert not lines[0] & lines[1]
    assert len(text.learned) > 0.9 * len(reference_text())


def test_characters_as_numbers():
    text = Text("hello world" * 9)
    assert text.decode(text.encode("held row")) == "held row"
    with pytest.raises(KeyError):
        text.encode("x")


@pytest.mark.parametrize("batch_first", [False, True])
def test_windows_and_streams(batch_first):
    nn.manual_seed(0)
    text = Text("".join(chr(33 + i % 90) for i in range(90 * 60)))
    windows = Windows(text, 64, batch_first)
    x, target = windows.batch(np.arange(len(windows)))
    assert x.shape == ((len(windows), 64) if batch_first else (64, len(windows)))
    np.testing.assert_array_equal((x.array + 1) % 90, target.array.reshape(x.shape))
    assert len(set((x.array.T if batch_first else x.array)[0].tolist())) > 10
    x, target = text.streams(8)
    assert x.shape == (33, 8)
    np.testing.assert_array_equal((x.array + 1) % 90, target.array.reshape(x.shape))

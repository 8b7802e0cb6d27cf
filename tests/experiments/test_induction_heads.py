"""The data and the scores of the experiment."""

import numpy as np

import nn
from experiments.architecture import induction_heads as heads


def test_predictable_tokens_repeat_the_block():
    tokens, known = heads.sequences(np.random.default_rng(0), 200)
    assert known.any(axis=1).all()
    for row, foretold in zip(tokens, known, strict=True):
        end = foretold.argmax() - 1
        block = row[:end].tolist()
        assert 6 <= end <= 10 and len(set(block)) == end
        for t in np.flatnonzero(foretold):
            assert row[t] == block[block.index(row[t - 1]) + 1]


def test_scores_of_perfect_heads_are_one():
    tokens, known = heads.sequences(np.random.default_rng(1), 20)
    previous = np.zeros((20, 1, heads.LENGTH, heads.LENGTH), np.float32)
    previous[:, :, np.arange(1, heads.LENGTH), np.arange(heads.LENGTH - 1)] = 1
    assert heads.previous_token_score(previous, known) == 1
    induction = np.zeros_like(previous)
    for i, row in enumerate(tokens):
        for t, token in enumerate(row):
            earlier = np.flatnonzero(row[:t] == token)
            induction[i, 0, t, earlier[0] + 1 if len(earlier) else 0] = 1
    assert heads.prefix_matching_score(induction, tokens, known) == 1
    assert heads.previous_token_score(induction, known) < 0.3
    assert heads.prefix_matching_score(previous, tokens, known) < 0.1  # not 0: "a b a", where b follows an a


def test_without_ablation_the_model_is_unchanged():
    nn.manual_seed(0)
    model = heads.attention_only(nn, 2, heads=2)
    tokens, _ = heads.sequences(np.random.default_rng(2), 4)
    whole = model(nn.Tensor(tokens)).array
    assert np.allclose(heads.ablated(model, tokens, ""), whole, atol=1e-5)
    assert all(np.abs(heads.ablated(model, tokens, part) - whole).max() > 1e-3 for part in "QKV")
    weights = heads.patterns(model, tokens)[0]
    h = model.embed(nn.Tensor(tokens))
    v = model.layers[0].project(h)[2].array
    mixed = model.layers[0].out(nn.Tensor((weights @ v).transpose(0, 2, 1, 3).reshape(h.shape)))
    assert np.allclose(mixed.array, model.layers[0](h).array, atol=1e-5)


def test_halfway_lies_between_the_points_around_it():
    assert heads.halfway([4, 4, 3, 1, 0], [0, 10, 20, 30, 40]) == 25

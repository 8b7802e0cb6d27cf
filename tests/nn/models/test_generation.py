"""Tests of nn.models.generation."""

import numpy as np
import pytest

import nn
from nn.models import GPT, distribution, generate

CHANCES = np.array([0.1, 0.4, 0.05, 0.25, 0.2])
SCORES = np.log(CHANCES) + 3


@pytest.fixture
def model():
    nn.manual_seed(0)
    model = GPT(11, context=16, width=12, layers=2, heads=3, tied=False).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, CHANCES),
        ({"temperature": 0.5}, CHANCES**2 / (CHANCES**2).sum()),
        ({"temperature": 2.0}, CHANCES**0.5 / (CHANCES**0.5).sum()),
        ({"temperature": 0}, [0, 1, 0, 0, 0]),
        ({"temperature": 1e-320}, [0, 1, 0, 0, 0]),
        ({"top_k": 2}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),
        ({"top_k": 1}, [0, 1, 0, 0, 0]),
        ({"top_k": 9}, CHANCES),
        ({"top_p": 1.0}, CHANCES),
        ({"top_p": 0.5}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),
        ({"top_p": 0.39}, [0, 1, 0, 0, 0]),
        ({"top_p": 1e-9}, [0, 1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.7}, [0, 0.4 / 0.65, 0, 0.25 / 0.65, 0]),  # of 0.85, 0.65 are more than 0.7
        ({"temperature": 0, "top_k": 3, "top_p": 0.7}, [0, 1, 0, 0, 0]),
    ],
    ids=str,
)
def test_distribution(options, expected):
    rows = np.stack([SCORES, SCORES[::-1]]).astype(np.float64)
    actual = distribution(rows, **options)
    np.testing.assert_allclose(actual, [expected, expected[::-1]], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(distribution(SCORES.astype(np.float32), **options), expected, rtol=1e-5, atol=1e-15)


def test_distribution_of_equal_and_infinite_scores():
    np.testing.assert_array_equal(distribution(np.zeros(4), 0), [1, 0, 0, 0])
    np.testing.assert_array_equal(distribution(np.zeros(4), top_k=2), [0.5, 0.5, 0, 0])
    np.testing.assert_array_equal(distribution(np.array([-np.inf, 1, 1, -np.inf])), [0, 0.5, 0.5, 0])
    np.testing.assert_array_equal(distribution(np.array([1e300, -1e300, 1e300])), [0.5, 0, 0.5])


def test_samples_follow_the_distribution():
    class Constant(nn.Module):
        context = 100_000
        head = nn.Identity()

        def hidden(self, ids, cache):
            return nn.Tensor(np.tile(SCORES, (len(ids), ids.shape[1], 1)))

    written = generate(Constant(), np.zeros((4000, 1), np.int64), 5, cache=False, generator=np.random.default_rng(0))
    counts = np.bincount(written.array[:, 1:].ravel(), minlength=5)
    np.testing.assert_allclose(counts / counts.sum(), CHANCES, atol=0.01)
    written = generate(Constant(), np.zeros((4000, 1), np.int64), 5, cache=False, top_p=0.5)
    assert set(written.array[:, 1:].ravel().tolist()) == {1, 3}


@pytest.mark.parametrize("options", [{"temperature": 0}, {}, {"top_k": 3}, {"top_p": 0.6, "temperature": 1.5}], ids=str)
def test_cache_changes_nothing(model, options):
    beginnings = np.array([[1, 2, 3], [7, 0, 10]])
    texts = [
        generate(model, beginnings, 14, **options, cache=cache, generator=np.random.default_rng(1)).array
        for cache in (True, False)
    ]
    assert texts[0].shape == (2, 17)
    assert texts[0].dtype == np.int64
    np.testing.assert_array_equal(texts[0], texts[1])
    np.testing.assert_array_equal(texts[0][:, :3], beginnings)


def test_greedy_selects_the_most_likely(model):
    text = generate(model, nn.tensor([[4]]), 6, temperature=0).array
    scores = model(nn.tensor(text[:, :-1])).array
    np.testing.assert_array_equal(scores.argmax(-1), text[:, 1:])


def test_seeds(model):
    texts = []
    for seed in (5, 5, 6):
        nn.manual_seed(seed)
        texts.append(generate(model, nn.tensor([[1]] * 3), 10).tolist())
    assert texts[0] == texts[1] != texts[2]


def test_stop(model):
    model.head.bias = nn.Parameter(np.zeros(11))
    beginnings = np.arange(8)[:, None]
    free = generate(model, beginnings, 15, generator=np.random.default_rng(2)).array
    stopped = generate(model, beginnings, 15, stop=3, generator=np.random.default_rng(2)).array
    for whole, text in zip(free[:, 1:], stopped[:, 1:], strict=True):
        end = list(whole).index(3) if 3 in whole else len(whole)
        np.testing.assert_array_equal(text[:end], whole[:end])
        assert (text[end:] == 3).all()
    model.head.bias.array[3] = 1e9
    assert generate(model, beginnings, 15, stop=3).shape == (8, 2)


def test_mode_is_restored_and_nothing_recorded(model):
    model.train()
    text = generate(model, nn.tensor([[1]]), 3)
    assert model.training and not text.requires_grad
    model.eval()
    generate(model, nn.tensor([[1]]), 3)
    assert not model.training
    model.head.train()
    before = [module.training for module in model.modules()]
    generate(model, nn.tensor([[1]]), 3)
    assert [module.training for module in model.modules()] == before and True in before


def test_length_zero(model):
    assert generate(model, nn.tensor([[1, 2]]), 0).tolist() == [[1, 2]]


@pytest.mark.parametrize("cache", [True, False])
def test_length_limits(model, cache):
    assert generate(model, np.zeros((1, 10), np.int64), 7, cache=cache).shape == (1, 17)  # the last one is not read
    message = "generate: the model takes at most 16 tokens, the prompt has {}, and {} are to be added"
    with pytest.raises(ValueError, match=message.format(10, 8)):
        generate(model, np.zeros((1, 10), np.int64), 8, cache=cache)
    with pytest.raises(ValueError, match=message.format(20, 1)):
        generate(model, np.zeros((1, 20), np.int64), 1, cache=cache)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "temperature must not be negative, got -1"),
        ({"temperature": float("nan")}, "temperature must not be negative, got nan"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1, got 0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, got 1.1"),
    ],
    ids=str,
)
def test_wrong_options(model, options, message):
    with pytest.raises(ValueError, match=f"distribution: {message}"):
        distribution(SCORES, **options)
    with pytest.raises(ValueError, match=f"distribution: {message}"):
        generate(model, nn.tensor([[1]]), 3, **options)


def test_wrong_input(model):
    for ids in (nn.tensor([1, 2]), nn.tensor([[1]])[:, :0]):
        with pytest.raises(ValueError, match=r"generate: needs ids \(B, T\), T at least 1"):
            generate(model, ids, 3)
    with pytest.raises(ValueError, match=r"no negative length, got \(1, 1\), -1"):
        generate(model, nn.tensor([[1]]), -1)
    for scores in ([np.nan, 1.0], [np.inf, 1.0], [-np.inf, -np.inf]):
        with pytest.raises(ValueError, match="distribution: the largest score must be finite, got"):
            distribution(np.array(scores))

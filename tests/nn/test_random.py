"""Random draws: dtypes, shapes and ranges as in PyTorch, moments of the distributions, seeds and generators."""

import copy
import pickle

import numpy as np
import pytest
import torch

import nn

N = 20000
# A function of the library, nn or torch, whose result has the same shape and dtype in both
CASES = {
    "rand": lambda m: m.rand(2, 3),
    "rand size": lambda m: m.rand(size=(2, 3), dtype=m.float64, device="cpu"),
    "randn": lambda m: m.randn((2, 3)),
    "randint": lambda m: m.randint(5, (2, 3)),
    "randint bounds": lambda m: m.randint(-3, 5, (4,), dtype=m.int32),
    "randint keywords": lambda m: m.randint(low=0, high=5, size=[4]),
    "randint float": lambda m: m.randint(0, 5, (4,), dtype=m.float32),
    "randperm": lambda m: m.randperm(7),
    "randperm dtype": lambda m: m.randperm(7, dtype=m.int32),
    "rand_like": lambda m: m.rand_like(m.zeros(2, 3, dtype=m.float64)),
    "randn_like": lambda m: m.randn_like(m.zeros(2, 3, dtype=m.int64), dtype=m.float32),
    "randint_like": lambda m: m.randint_like(m.zeros(2, 3), 5),
    "randint_like bounds": lambda m: m.randint_like(m.zeros(2, dtype=m.int64), 2, 5),
    "normal": lambda m: m.normal(0.0, 1.0, (2, 3)),
    "normal tensors": lambda m: m.normal(m.zeros(3, 1), m.ones(4)),
    "normal mean": lambda m: m.normal(m.zeros(3), 2.0),
    "normal std": lambda m: m.normal(1.0, m.ones(3, dtype=m.float64)),
    "bernoulli": lambda m: m.bernoulli(m.full((3,), 0.5)),
    "bernoulli p": lambda m: m.zeros(3, dtype=m.int64).bernoulli(0.5),
    "poisson": lambda m: m.poisson(m.full((3,), 2.0)),
    "multinomial": lambda m: m.multinomial(m.ones(4), 3),
    "multinomial rows": lambda m: m.ones(2, 4).multinomial(9, replacement=True),
    **{name: lambda m, name=name: getattr(m.zeros(2, 3), name)() for name in (
        "uniform_", "normal_", "exponential_", "bernoulli_", "random_", "cauchy_", "log_normal_",
    )},
    "geometric_": lambda m: m.zeros(3).geometric_(0.5),
    "random_ bounds": lambda m: m.zeros(2, dtype=m.uint8).random_(3, 9),
    "random_ bool": lambda m: m.zeros(2, dtype=m.bool).random_(),
    "bernoulli_ tensor": lambda m: m.zeros(2).bernoulli_(m.tensor([0.2, 0.4])),
    "dtype of the tensor": lambda m: m.zeros(2, dtype=m.float64).normal_(),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_shapes_dtypes_and_seeds(case):
    nn.manual_seed(1)
    ours, theirs = CASES[case](nn), CASES[case](torch)
    assert ours.shape == tuple(theirs.shape) and f"torch.{ours.dtype}" == str(theirs.dtype)
    nn.manual_seed(1)
    assert nn.equal(CASES[case](nn), ours)


# Draws -> mean and standard deviation, and range
DISTRIBUTIONS = {
    "rand": (lambda m: m.rand(N), 0.5, 12**-0.5, (0, 1)),
    "randn": (lambda m: m.randn(N), 0, 1, None),
    "randint": (lambda m: m.randint(2, 5, (N,)), 3, (2 / 3) ** 0.5, (2, 4)),
    "uniform_": (lambda m: m.zeros(N).uniform_(-1, 3), 1, 4 * 12**-0.5, (-1, 3)),
    "normal_": (lambda m: m.zeros(N).normal_(2, 0.5), 2, 0.5, None),
    "normal": (lambda m: m.normal(m.full((N,), 2.0), 0.5), 2, 0.5, None),
    "exponential_": (lambda m: m.zeros(N).exponential_(2), 0.5, 0.5, (0, np.inf)),
    "bernoulli": (lambda m: m.bernoulli(m.full((N,), 0.3)), 0.3, 0.21**0.5, (0, 1)),
    "bernoulli_": (lambda m: m.zeros(N).bernoulli_(0.3), 0.3, 0.21**0.5, (0, 1)),
    "geometric_": (lambda m: m.zeros(N).geometric_(0.5), 2, 2**0.5, (1, np.inf)),
    "poisson": (lambda m: m.poisson(m.full((N,), 4.0)), 4, 2, (0, np.inf)),
    "random_": (lambda m: m.zeros(N).random_(0, 4), 1.5, 1.25**0.5, (0, 3)),
    "log_normal_": (lambda m: m.zeros(N).log_normal_(0, 0.5).log(), 0, 0.5, None),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("library", [nn, torch], ids=["nn", "torch"])
def test_moments(name, library):
    draw, mean, std, bounds = DISTRIBUTIONS[name]
    library.manual_seed(0)
    x = draw(library).numpy().astype(np.float64)
    assert abs(x.mean() - mean) < 5 * std / N**0.5
    assert abs(x.std() - std) < 0.05 * std
    assert bounds is None or (bounds[0] <= x.min() and x.max() <= bounds[1])


def test_a_permutation():
    nn.manual_seed(0)
    x = nn.randperm(100).tolist()
    assert sorted(x) == list(range(100)) and x != sorted(x)


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("library", [nn, torch], ids=["nn", "torch"])
def test_multinomial_has_the_weights_as_frequencies(library, replacement):
    library.manual_seed(0)
    weights = library.tensor([1.0, 0.0, 3.0, 6.0])
    first = library.stack([weights] * 5000).multinomial(2, replacement=replacement).numpy()[:, 0]
    found = np.bincount(first, minlength=4) / 5000
    np.testing.assert_allclose(found, [0.1, 0, 0.3, 0.6], atol=0.03)


def test_multinomial_without_replacement_draws_each_index_once():
    x = nn.multinomial(nn.rand(50, 8) + 0.1, 8)
    assert np.array_equal(np.sort(x.numpy(), 1), np.tile(np.arange(8), (50, 1)))


def test_generators():
    first, second = nn.Generator(), nn.Generator(device="cpu")
    assert isinstance(first, np.random.Generator) and first.device == nn.device("cpu")
    assert first.manual_seed(3) is first and first.initial_seed() == 3
    second.manual_seed(3)
    before = nn.get_rng_state()
    for draw in (
        lambda g: nn.rand(3, generator=g),
        lambda g: nn.randn(3, generator=g),
        lambda g: nn.randint(0, 9, (3,), generator=g),
        lambda g: nn.randperm(5, generator=g),
        lambda g: nn.zeros(3).uniform_(generator=g),
        lambda g: nn.zeros(3).normal_(generator=g),
        lambda g: nn.zeros(3).exponential_(generator=g),
        lambda g: nn.zeros(3).bernoulli_(generator=g),
        lambda g: nn.zeros(3).random_(generator=g),
        lambda g: nn.zeros(3).cauchy_(generator=g),
        lambda g: nn.zeros(3).geometric_(0.5, generator=g),
        lambda g: nn.zeros(3).log_normal_(generator=g),
        lambda g: nn.normal(0, 1, (3,), generator=g),
        lambda g: nn.poisson(nn.ones(3), generator=g),
        lambda g: nn.bernoulli(nn.full((3,), 0.5), generator=g),
        lambda g: nn.multinomial(nn.ones(4), 2, generator=g),
        lambda g: nn.rand_like(nn.ones(3), generator=g),
        lambda g: nn.randn_like(nn.ones(3), generator=g),
        lambda g: nn.randint_like(nn.ones(3), 5, generator=g),
        lambda g: nn.init.normal_(nn.zeros(3), generator=g),
    ):
        assert nn.equal(draw(first), draw(second))
    assert nn.equal(nn.get_rng_state(), before)  # nothing was drawn from the generator of all draws


def test_states():
    nn.manual_seed(5)
    assert nn.initial_seed() == 5
    nn.rand(3, dtype=nn.float32)
    state = nn.get_rng_state()
    first = nn.rand(4).tolist(), nn.randint(0, 9, (3,), dtype=nn.int32).tolist()
    nn.seed()
    assert nn.initial_seed() != 5
    nn.set_rng_state(state)
    assert nn.initial_seed() == 5
    assert first == (nn.rand(4).tolist(), nn.randint(0, 9, (3,), dtype=nn.int32).tolist())
    with pytest.raises(ValueError, match="48 bytes"):
        nn.set_rng_state(state[:-1])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))], ids=["copy", "pickle"])
def test_generators_are_copied_and_pickled(duplicate):
    generator = nn.Generator().manual_seed(3)
    nn.rand(3, generator=generator)
    other = duplicate(generator)
    assert other.initial_seed() == 3 and nn.equal(nn.rand(2, generator=other), nn.rand(2, generator=generator))


def test_negative_seeds():
    assert nn.Generator().manual_seed(-1).initial_seed() == torch.Generator().manual_seed(-1).initial_seed()


def test_in_place_on_the_tape():
    w = nn.zeros(2, requires_grad=True)
    for name in ("uniform_", "normal_", "exponential_", "bernoulli_", "random_"):
        with pytest.raises(RuntimeError, match="only under no_grad"):
            getattr(w, name)()
        with nn.no_grad():
            assert getattr(w, name)() is w
        y = w * 2
        getattr(y, name)()
        y.sum().backward()
        assert w.grad.tolist() == [0, 0]
        w.grad = None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.randint(5, 5, (2,)), ValueError, "randint: low must be below high, got 5 and 5"),
        (lambda: nn.zeros(2).random_(3, 3), ValueError, "random_: low must be below high"),
        (lambda: nn.normal(0.0, 1.0), TypeError, "normal: needs a size"),
        (lambda: nn.normal(nn.zeros(2), -1.0), ValueError, "normal: std must not be negative"),
        (lambda: nn.bernoulli(nn.tensor([2.0])), ValueError, "bernoulli: probabilities must be from 0 to 1"),
        (lambda: nn.zeros(2).bernoulli_(2.0), ValueError, "bernoulli_: probabilities must be from 0 to 1"),
        (lambda: nn.zeros(2).uniform_(1, 0), ValueError, "uniform_: the bounds are in the wrong order"),
        (lambda: nn.multinomial(nn.ones(2), 3), ValueError, "multinomial: cannot draw 3 different indices"),
        (lambda: nn.multinomial(nn.zeros(2), 1), ValueError, "multinomial: weights must be"),
        (lambda: nn.multinomial(nn.tensor([1, 2]), 1), ValueError, "multinomial: needs 1 or 2 dimensions of floats"),
        (lambda: nn.poisson(nn.tensor([-1.0])), ValueError, "poisson: rates must not be negative"),
        (lambda: nn.Generator("cuda"), RuntimeError, "the only device is 'cpu'"),
        (lambda: nn.rand(2, dtype=nn.int64), TypeError, "rand: dtype must be float32 or float64"),
        (lambda: nn.randn(2, dtype=nn.int64), TypeError, "randn: dtype must be float32 or float64"),
        (lambda: nn.zeros(2, dtype=nn.int64).normal_(), TypeError, "normal_: dtype must be float32 or float64"),
        (lambda: nn.zeros(2, dtype=nn.int64).uniform_(), TypeError, "uniform_: dtype must be float32 or float64"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()

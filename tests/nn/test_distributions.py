"""Distributions against torch.distributions: densities, moments, divergences and gradients in float64."""

import inspect
import math

import numpy as np
import pytest
import torch

import nn
from nn import distributions
from tests.nn.compare import same_function

theirs = torch.distributions


def positive(rng, *shape):
    return rng.random(shape) + 0.5


def definite(rng, *shape):
    """Positive definite matrices."""
    root = rng.standard_normal(shape)
    return root @ root.swapaxes(-2, -1) + np.eye(shape[-1])


# Each case: a name, the parameters, and values.
CASES = {
    "normal": lambda rng: (
        "Normal",
        {"loc": rng.standard_normal((3, 2)), "scale": positive(rng, 2)},
        rng.standard_normal((4, 3, 2)),
    ),
    "normal-0d": lambda rng: ("Normal", {"loc": np.array(0.5), "scale": np.array(2.0)}, rng.standard_normal(3)),
    "uniform": lambda rng: (
        "Uniform",
        {"low": -positive(rng, 3, 1), "high": positive(rng, 3, 2)},
        rng.random((4, 3, 2)) - 0.5,
    ),
    "bernoulli": lambda rng: ("Bernoulli", {"probs": rng.random((3, 2))}, rng.integers(0, 2, (3, 2)).astype(float)),
    "bernoulli-logits": lambda rng: (
        "Bernoulli",
        {"logits": rng.standard_normal((3, 2))},
        rng.integers(0, 2, (4, 3, 2)).astype(float),
    ),
    "multivariate": lambda rng: (
        "MultivariateNormal",
        {"loc": rng.standard_normal((2, 3)), "covariance_matrix": definite(rng, 2, 3, 3)},
        rng.standard_normal((4, 2, 3)),
    ),
    "multivariate-triangle": lambda rng: (
        "MultivariateNormal",
        {"loc": rng.standard_normal(3), "scale_tril": np.linalg.cholesky(definite(rng, 2, 3, 3))},
        rng.standard_normal((2, 3)),
    ),
    "multivariate-precision": lambda rng: (
        "MultivariateNormal",
        {"loc": rng.standard_normal((2, 3)), "precision_matrix": definite(rng, 3, 3)},
        rng.standard_normal(3),
    ),
    "categorical": lambda rng: ("Categorical", {"probs": positive(rng, 3, 4)}, rng.integers(0, 4, 3)),
    "categorical-logits": lambda rng: (
        "Categorical",
        {"logits": rng.standard_normal((3, 4))},
        rng.integers(0, 4, (5, 3)),
    ),
    "one-hot-categorical": lambda rng: (
        "OneHotCategorical",
        {"probs": positive(rng, 3, 4)},
        np.eye(4)[rng.integers(0, 4, (5, 3))],
    ),
    "one-hot-categorical-logits": lambda rng: (
        "OneHotCategorical",
        {"logits": rng.standard_normal(4)},
        np.eye(4)[rng.integers(0, 4, 3)],
    ),
    "categorical-vector": lambda rng: ("Categorical", {"logits": rng.standard_normal(4)}, rng.integers(0, 4, (2, 3))),
}


def pair(case, rng):
    """The distribution of both libraries, their parameters with gradients, and values."""
    name, parameters, value = CASES[case](rng)
    mine = {k: nn.tensor(v, requires_grad=True) for k, v in parameters.items()}
    other = {k: torch.tensor(v, requires_grad=True) for k, v in parameters.items()}
    made = getattr(distributions, name)(**mine), getattr(theirs, name)(**other)
    return made, (mine, other), (nn.tensor(value), torch.tensor(value))


def assert_equal(mine, other, rtol=1e-10):
    assert mine.shape == tuple(other.shape)
    np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=rtol, atol=1e-12)


def assert_same_gradients(results, parameters):
    for result, its in zip(results, parameters, strict=True):
        for p in its.values():
            p.grad = None
        (result * result).sum().backward(retain_graph=True)
    for name, p in parameters[0].items():
        expected = parameters[1][name].grad
        if expected is None:  # as of an entropy that does not depend on it
            assert p.grad is None
        else:
            assert_equal(p.grad, expected)


@pytest.mark.parametrize("case", CASES)
def test_densities_and_entropies_equal_torch(case, rng):
    (mine, other), parameters, (value, its) = pair(case, rng)
    assert mine.batch_shape == tuple(other.batch_shape) and mine.event_shape == tuple(other.event_shape)
    for results in ((mine.log_prob(value), other.log_prob(its)), (mine.entropy(), other.entropy())):
        assert_equal(*results)
        assert_same_gradients(results, parameters)
    assert_equal(mine.perplexity(), other.perplexity())


@pytest.mark.parametrize("case", CASES)
def test_moments_equal_torch(case, rng):
    (mine, other), _, _ = pair(case, rng)
    for name in ("mean", "variance", "stddev"):
        assert_equal(getattr(mine, name), getattr(other, name))
    if "multivariate" in case:
        for name in ("covariance_matrix", "precision_matrix", "scale_tril"):
            assert_equal(getattr(mine, name), getattr(other, name))
    if "uniform" not in case:
        assert_equal(mine.mode, other.mode)
    if "logits" in case or "bernoulli" in case or "categorical" in case:
        assert_equal(mine.probs, other.probs)
        assert_equal(mine.logits, other.logits)
        assert mine.param_shape == tuple(other.param_shape)
        for expand in (True, False):
            values, expected = mine.enumerate_support(expand), other.enumerate_support(expand)
            assert values.tolist() == expected.tolist()


@pytest.mark.parametrize("case", CASES)
def test_expanded_distributions_equal_torch(case, rng):
    (mine, other), _, _ = pair(case, rng)
    mine, other = (each.expand((2, *each.batch_shape)) for each in (mine, other))
    assert type(mine).__name__ == type(other).__name__ and mine.batch_shape == tuple(other.batch_shape)
    assert_equal(mine.entropy(), other.entropy())
    sample = mine.sample((5,))
    assert sample.shape == tuple(other.sample((5,)).shape)
    assert_equal(mine.log_prob(sample), other.log_prob(torch.tensor(sample.numpy())))


@pytest.mark.parametrize("case", CASES)
def test_samples(case, rng):
    nn.manual_seed(0)
    (mine, other), _, _ = pair(case, rng)
    sample = mine.sample((20000,))
    expected = other.sample((2,))
    assert sample.shape == (20000, *expected.shape[1:]) and not sample.requires_grad
    assert str(sample.dtype) == str(expected.dtype).removeprefix("torch.")
    if "categorical" in case:
        one_hot = sample.numpy() if "one-hot" in case else np.eye(4)[sample.numpy()]
        frequencies = one_hot.mean(0)
        np.testing.assert_allclose(frequencies, mine.probs.detach().numpy(), atol=0.015)
    else:
        deviation = mine.stddev.detach().numpy()
        np.testing.assert_allclose(sample.numpy().mean(0), mine.mean.detach().numpy(), atol=0.04 * deviation.max())
        np.testing.assert_allclose(sample.numpy().std(0), deviation, rtol=0.05)
    assert mine.sample().shape == tuple(other.sample().shape) and mine.sample_n(3).shape[0] == 3
    nn.manual_seed(7)
    first = mine.sample((3,)).tolist()
    nn.manual_seed(7)
    assert mine.sample((3,)).tolist() == first


@pytest.mark.parametrize("case", ["normal", "normal-0d", "uniform"])
def test_gradients_flow_through_samples(case, rng):
    (mine, other), (parameters, _), _ = pair(case, rng)
    assert mine.has_rsample and other.has_rsample
    sample = mine.rsample((5,))
    (sample * sample).sum().backward()
    dy, (first, second) = 2 * sample.detach().numpy(), parameters.values()
    a, b = (p.detach().numpy() for p in (first, second))
    draws = (sample.detach().numpy() - a) / (b - a if case == "uniform" else b)
    factors = (1 - draws, draws) if case == "uniform" else (np.ones_like(draws), draws)
    for parameter, factor in zip((first, second), factors, strict=True):
        expected = torch.tensor(dy * factor).sum_to_size(parameter.shape).numpy()
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=1e-10)
    assert not distributions.Categorical(nn.tensor([1.0, 2.0])).has_rsample


@pytest.mark.parametrize("case", [*CASES, "independent", "uniform-normal"])
def test_divergences_equal_torch(case, rng):
    if case == "independent":
        made = [pair("normal", rng) for _ in range(2)]
        mine, other = (
            [library.Independent(each[0][i], 2) for each in made] for i, library in ((0, distributions), (1, theirs))
        )
    elif case == "uniform-normal":
        made = [pair("uniform", rng), pair("normal", rng)]
        mine, other = ([each[0][i] for each in made] for i in (0, 1))
    else:
        made = [pair(case, rng) for _ in range(2)]
        mine, other = ([each[0][i] for each in made] for i in (0, 1))
    results = distributions.kl_divergence(*mine), theirs.kl_divergence(*other)
    assert_equal(*results)
    if np.isfinite(results[0].detach().numpy()).all():
        results = [result.sum() for result in results]
        results[0].backward()
        results[1].backward()
        for _, (parameters, expected), _ in made:
            for name, p in parameters.items():
                assert_equal(p.grad, expected[name].grad)
    np.testing.assert_allclose(
        distributions.kl_divergence(mine[0], mine[0]).detach().numpy() if case != "uniform-normal" else 0, 0, atol=1e-12
    )


def test_divergences_where_a_probability_is_0():
    for name in ("Bernoulli", "Categorical"):
        for p, q in (([0.0, 1.0], [0.5, 0.5]), ([0.5, 0.5], [0.0, 1.0]), ([1.0, 0.0], [1.0, 0.0])):
            mine = [getattr(distributions, name)(probs=nn.tensor(np.array(x))) for x in (p, q)]
            other = [getattr(theirs, name)(probs=torch.tensor(x, dtype=torch.float64)) for x in (p, q)]
            assert_equal(distributions.kl_divergence(*mine), theirs.kl_divergence(*other))


def test_a_divergence_that_a_user_registers():
    class Shifted(distributions.Normal):
        pass

    normal = distributions.Normal(0.0, 1.0)
    assert distributions.kl_divergence(Shifted(0.0, 1.0), normal).item() == 0
    distributions.register_kl(Shifted, distributions.Normal)(lambda p, q: "special")
    assert distributions.kl_divergence(Shifted(0.0, 1.0), normal) == "special"
    with pytest.raises(NotImplementedError, match="kl_divergence: no function for Normal and Categorical"):
        distributions.kl_divergence(normal, distributions.Categorical(nn.tensor([1.0, 1.0])))


def test_independent_equals_torch(rng):
    (mine, other), _, (value, its) = pair("normal", rng)
    mine, other = distributions.Independent(mine, 1), theirs.Independent(other, 1)
    assert mine.batch_shape == (3,) and mine.event_shape == (2,)
    assert_equal(mine.log_prob(value), other.log_prob(its))
    assert_equal(mine.entropy(), other.entropy())
    assert_equal(mine.variance, other.variance)
    wide = mine.expand((5, 3))
    assert wide.batch_shape == (5, 3) and wide.sample((2,)).shape == (2, 5, 3, 2)
    assert mine.rsample().requires_grad
    assert repr(mine) == "Independent(Normal(loc: (3, 2), scale: (3, 2)), 1)"
    with pytest.raises(ValueError, match="Independent: reinterpreted_batch_ndims must be at most 2, got 3"):
        distributions.Independent(pair("normal", rng)[0][0], 3)
    with pytest.raises(ValueError, match=r"a value ends with the event shape|does not broadcast"):
        mine.log_prob(nn.tensor(np.ones(3)))


def test_uniform_beyond_its_bounds():
    mine = distributions.Uniform(nn.tensor([0.0, 1.0]), 2.0, validate_args=False)
    other = theirs.Uniform(torch.tensor([0.0, 1.0]), 2.0, validate_args=False)
    for value in (0.5, 0.0, 2.0, -1.0):
        ours, expected = (each.log_prob(tensor(value)) for each, tensor in ((mine, nn.tensor), (other, torch.tensor)))
        np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=1e-6)
        assert mine.cdf(nn.tensor(value)).tolist() == other.cdf(torch.tensor(value)).tolist()
    assert mine.icdf(nn.tensor(0.25)).tolist() == other.icdf(torch.tensor(0.25)).tolist()
    disjoint = distributions.Uniform(0.0, 1.0), distributions.Uniform(0.5, 1.0)
    assert distributions.kl_divergence(*disjoint).item() == math.inf


def test_distribution_functions_of_the_normal(rng):
    loc, scale, value = rng.standard_normal(4), rng.random(4) + 0.1, rng.standard_normal((3, 4))
    level = rng.random((3, 4))

    def function(module, loc, scale, value, level):
        normal = module.distributions.Normal(loc, scale)
        return normal.cdf(value), normal.icdf(level), normal.icdf(normal.cdf(value))

    same_function(function, loc, scale, value, level)
    normal = distributions.Normal(0.0, 1.0)
    np.testing.assert_allclose(normal.icdf(nn.tensor([0.0, 0.5, 1.0])).numpy(), [-np.inf, 0, np.inf])
    with pytest.raises(ValueError, match="Normal: the value must be a Tensor, got float"):
        normal.cdf(0.5)


def test_samples_of_a_multivariate_normal():
    nn.manual_seed(0)
    covariance = np.array([[2.0, 0.6], [0.6, 0.5]])
    mean, matrix = nn.tensor(np.array([1.0, -1.0]), requires_grad=True), nn.tensor(covariance, requires_grad=True)
    sample = distributions.MultivariateNormal(mean, matrix).rsample((20000,))
    np.testing.assert_allclose(np.cov(sample.detach().numpy().T), covariance, rtol=0.05)
    sample.mean().backward()
    np.testing.assert_allclose(mean.grad.numpy(), [0.5, 0.5], rtol=1e-10)
    assert np.isfinite(matrix.grad.numpy()).all() and matrix.grad.numpy().any()
    for bad, message in (
        ({"covariance_matrix": nn.tensor([[1.0, 2.0], [2.0, 1.0]])}, "is not positive definite"),
        ({"covariance_matrix": nn.tensor([[1.0, 2.0], [0.0, 1.0]])}, "must be positive_definite"),
        ({"scale_tril": nn.tensor([[1.0, 2.0], [0.0, 1.0]])}, "must be lower_cholesky"),
        ({"scale_tril": nn.tensor([1.0, 2.0])}, r"loc is \(..., n\), scale_tril \(..., n, n\): got \(2,\), \(2,\)"),
        ({}, "give one of covariance_matrix, precision_matrix and scale_tril"),
    ):
        with pytest.raises(ValueError, match=f"MultivariateNormal: .*{message}"):
            distributions.MultivariateNormal(nn.zeros(2), **bad)


def test_an_improbable_class_is_never_drawn():
    categorical = distributions.Categorical(nn.tensor([0.0, 1.0, 0.0, 2.0, 0.0]))
    assert set(categorical.sample((5000,)).tolist()) == {1, 3}
    assert categorical.sample().shape == () and categorical.mean.shape == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: d.Normal(0.0, -1.0), r"Normal: parameter scale of shape \(\) must be positive, got -1"),
        (lambda d: d.Normal(nn.tensor([0.0, math.nan]), 1.0), r"Normal: parameter loc of shape \(2,\) must be real"),
        (lambda d: d.Bernoulli(1.5), "Bernoulli: parameter probs .* must be unit_interval"),
        (lambda d: d.Bernoulli(), "Bernoulli: give either probs or logits"),
        (lambda d: d.Categorical(nn.tensor([1.0]), nn.tensor([1.0])), "Categorical: give either probs or logits"),
        (lambda d: d.Categorical(nn.tensor(1.0)), "Categorical: the parameter must be a Tensor of at least one"),
        (lambda d: d.Categorical(nn.tensor([-1.0, 3.0])), "Categorical: parameter probs .* must be simplex"),
        (lambda d: d.Uniform(1.0, 0.0), "Uniform: low must be below high"),
        (lambda d: d.Normal(0.0, 1.0).log_prob(0.5), "Normal: the value must be a Tensor, got float"),
        (lambda d: d.Bernoulli(0.5).log_prob(nn.tensor(0.5)), "Bernoulli: the value .* must be boolean"),
        (lambda d: d.Categorical(nn.tensor([1.0, 1.0])).log_prob(nn.tensor(2)), r"must be integer_interval\(0, 1\)"),
        (
            lambda d: d.Normal(nn.tensor([0.0, 1.0]), 1.0).log_prob(nn.tensor([1.0, 2.0, 3.0])),
            r"Normal: the value, \(3,\), does not broadcast with \(2,\)",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make(distributions)


def test_parameters_that_are_no_tensors_and_methods_that_are_missing():
    with pytest.raises(TypeError, match="parameters must be Tensors or numbers, got str"):
        distributions.Normal("0", 1.0)
    assert distributions.Normal(0, 1).sample().dtype == np.float32
    for method in ("rsample", "cdf", "icdf"):
        with pytest.raises(NotImplementedError, match=f"Categorical: has no {method}"):
            getattr(distributions.Categorical(nn.tensor([1.0, 1.0])), method)(())


@pytest.mark.parametrize(
    "name",
    [
        *("Normal", "Uniform", "Bernoulli", "Categorical", "Independent", "MultivariateNormal"),
        *("OneHotCategorical", "kl_divergence"),
    ],
)
def test_signatures(name):
    mine, other = (inspect.signature(getattr(library, name)).parameters for library in (distributions, theirs))
    assert [(p.name, p.default) for p in mine.values()] == [(p.name, p.default) for p in other.values()]


def test_a_policy_gradient_equals_torch(rng):
    logits, actions, returns = rng.standard_normal((6, 3)), rng.integers(0, 3, 6), rng.standard_normal(6)
    mine, other = nn.tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
    policy, twin = distributions.Categorical(logits=mine), theirs.Categorical(logits=other)
    loss = -(policy.log_prob(nn.tensor(actions)) * nn.tensor(returns)).mean() - 0.01 * policy.entropy().mean()
    expected = -(twin.log_prob(torch.tensor(actions)) * torch.tensor(returns)).mean() - 0.01 * twin.entropy().mean()
    loss.backward()
    expected.backward()
    assert_equal(mine.grad, other.grad)

"""Tests of nn.fractional_pooling and nn.functional.fractional_pooling."""

import numpy as np
import pytest
import torch

import nn
import nn.functional as F
from tests.nn.compare import agree, same_function

SHAPES = {2: (2, 3, 9, 7), 3: (2, 2, 6, 7, 5)}
SIZES = [
    (2, {"kernel_size": 2, "output_size": 3}),
    (2, {"kernel_size": (3, 2), "output_size": (4, 5)}),
    (2, {"kernel_size": 1, "output_size": (9, 7)}),
    (2, {"kernel_size": (9, 7), "output_size": 1}),
    (2, {"kernel_size": 2, "output_ratio": 0.6}),
    (3, {"kernel_size": 2, "output_size": 3}),
    (3, {"kernel_size": (2, 3, 1), "output_size": (4, 3, 4)}),
    (3, {"kernel_size": 2, "output_ratio": (0.5, 0.7, 0.6)}),
]


def pool(module, dims):
    functional = module.functional if module is nn else module.nn.functional
    return getattr(functional, f"fractional_max_pool{dims}d")


def pooled(dims, **options):
    def function(module, x, samples):
        return pool(module, dims)(x, **options, return_indices=True, _random_samples=samples.detach())

    return function


@pytest.mark.parametrize(("dims", "options"), SIZES, ids=str)
def test_windows_and_gradients_are_those_of_torch(rng, dims, options):
    ratio = options.get("output_ratio")
    options = options if ratio is None or isinstance(ratio, tuple) else options | {"output_ratio": (ratio,) * dims}
    x = rng.standard_normal(SHAPES[dims])
    samples = rng.random((*x.shape[:2], dims))
    same_function(pooled(dims, **options), x, samples)
    same_function(pooled(dims, **options), x[0], samples[:1])


@pytest.mark.parametrize("dims", [2, 3])
def test_float32_places_are_those_of_torch(rng, dims):
    x = rng.standard_normal((2, 3, *(31, 33, 12)[:dims])).astype(np.float32)
    samples = rng.random((2, 3, dims)).astype(np.float32)
    for size in range(1, 10):
        options = {"kernel_size": 2, "output_size": size, "return_indices": True}
        ours = pool(nn, dims)(nn.tensor(x), **options, _random_samples=nn.tensor(samples))
        theirs = pool(torch, dims)(torch.tensor(x), **options, _random_samples=torch.tensor(samples))
        for mine, other in zip(ours, theirs, strict=True):
            agree(mine, other, 0, 0)


def test_overlapping_windows_add_their_gradients():
    x = nn.zeros(1, 3, 3, requires_grad=True)
    with nn.no_grad():
        x[0, 1, 1] = 1
    F.fractional_max_pool2d(x, 2, 2).sum().backward()
    assert x.grad.tolist() == [[[0, 0, 0], [0, 4, 0], [0, 0, 0]]]


def test_nan_propagates():
    x = np.zeros((1, 1, 3, 3))
    x[0, 0, 1, 1] = np.nan
    assert np.isnan(F.fractional_max_pool2d(nn.tensor(x), 2, 2).array).all()


def test_places_are_drawn_from_the_seeded_generator(rng):
    x = nn.tensor(rng.standard_normal((4, 8, 20, 20)))
    nn.manual_seed(0)
    first, second = F.fractional_max_pool2d(x, 2, 11), F.fractional_max_pool2d(x, 2, 11)
    nn.manual_seed(0)
    again = F.fractional_max_pool2d(x, 2, 11)
    assert (first == again).all()
    assert not (first == second).all()


@pytest.mark.parametrize("dims", [2, 3])
def test_layers(rng, dims):
    name = f"FractionalMaxPool{dims}d"
    x, samples = rng.standard_normal(SHAPES[dims]), rng.random((*SHAPES[dims][:2], dims))
    for options in ({"output_size": 3}, {"output_ratio": 0.6}):
        ours = getattr(nn, name)(2, **options, return_indices=True, _random_samples=nn.tensor(samples))
        theirs = getattr(torch.nn, name)(2, **options, return_indices=True, _random_samples=torch.tensor(samples))
        for mine, other in zip(ours(nn.tensor(x)), theirs(torch.tensor(x)), strict=True):
            agree(mine, other)
        assert list(ours.state_dict()) == list(theirs.state_dict())
    assert getattr(nn, name)(2, 3)(nn.tensor(x)).shape == (*x.shape[:2], *(3,) * dims)
    with pytest.raises(ValueError, match=f"{name}: needs one of output_size and output_ratio, got None and None"):
        getattr(nn, name)(2)
    with pytest.raises(ValueError, match=f"{name}: needs one of output_size and output_ratio, got 2 and 0.5"):
        getattr(nn, name)(2, 2, 0.5)
    with pytest.raises(ValueError, match=f"{name}: output_ratio must be between 0 and 1, got 1.5"):
        getattr(nn, name)(2, output_ratio=1.5)
    with pytest.raises(ValueError, match=f"{name}: kernel_size must be at least 1, got 0"):
        getattr(nn, name)(0, 2)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (((1, 1, 4, 4), 2), {}, ValueError, "needs output_size or output_ratio, got neither"),
        (((1, 1, 4, 4), 2, 4), {}, ValueError, r"must be within the input.*got \(4, 4\) and \(2, 2\) for \(4, 4\)"),
        (((1, 1, 4, 4), 2, 0), {}, ValueError, r"both at least 1: got \(0, 0\)"),
        (((1, 1, 4, 4), (2, 2, 2), 2), {}, ValueError, r"kernel_size must be one number or 2, got \(2, 2, 2\)"),
        (((4, 4), 2, 2), {}, ValueError, r"input must have 3 or 4 dimensions, got shape \(4, 4\)"),
        (
            ((1, 2, 4, 4), 2, 2),
            {"_random_samples": nn.zeros(1, 1, 2)},
            ValueError,
            r"_random_samples must be float32 of shape \(1, 2, 2\), got float32 of shape \(1, 1, 2\)",
        ),
    ],
)
def test_errors(arguments, options, error, message):
    shape, *rest = arguments
    with pytest.raises(error, match=f"fractional_max_pool2d: .*{message}"):
        F.fractional_max_pool2d(nn.zeros(shape), *rest, **options)


def test_integers_are_refused():
    with pytest.raises(TypeError, match="fractional_max_pool2d: needs a floating-point tensor, got int64"):
        F.fractional_max_pool2d(nn.zeros(1, 4, 4, dtype=nn.int64), 2, 2)


def test_an_empty_batch(rng):
    assert F.fractional_max_pool2d(nn.zeros(0, 3, 4, 4), 2, 2).shape == (0, 3, 2, 2)

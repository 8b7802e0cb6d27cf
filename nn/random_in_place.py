"""Random numbers in the memory of a tensor; `nn.random` makes new tensors of them."""

import numpy as np

from nn.operations.arguments import scalar_of
from nn.operations.indexing import setitem
from nn.random import bounds, drawer, floats, normal_draws, trials, uniform_draws
from nn.storage import wrap


def _fill(input, values):
    setitem(input, ..., wrap(np.asarray(values).astype(input.array.dtype, copy=False)))
    return input


def uniform_(input, from_=0.0, to=1.0, *, generator=None):
    """Overwrite with draws from the uniform distribution on [from_, to)."""
    from_, to = scalar_of("uniform_", "from_", from_), scalar_of("uniform_", "to", to)
    if from_ > to:
        raise ValueError(f"uniform_: the bounds are in the wrong order: {from_} and {to}")
    draws = uniform_draws("uniform_", input.array.shape, input.array.dtype, generator)
    return _fill(input, draws * (to - from_) + from_)


def normal_(input, mean=0.0, std=1.0, *, generator=None):
    """Overwrite with draws from the normal distribution."""
    mean, std = scalar_of("normal_", "mean", mean), scalar_of("normal_", "std", std)
    if std < 0:
        raise ValueError(f"normal_: std must not be negative, got {std}")
    draws = normal_draws("normal_", input.array.shape, input.array.dtype, generator)
    return _fill(input, draws * std + mean)


def log_normal_(input, mean=1.0, std=2.0, *, generator=None):
    """Overwrite with the exponentials of draws from the normal distribution."""
    mean, std = scalar_of("log_normal_", "mean", mean), scalar_of("log_normal_", "std", std)
    draws = normal_draws("log_normal_", input.array.shape, input.array.dtype, generator)
    return _fill(input, np.exp(draws * std + mean))


def exponential_(input, lambd=1.0, *, generator=None):
    """Overwrite with draws from the exponential distribution of rate `lambd`."""
    lambd, draw = scalar_of("exponential_", "lambd", lambd), drawer("exponential_", generator).standard_exponential
    return _fill(input, floats("exponential_", draw, input.array.shape, input.array.dtype) / lambd)


def geometric_(input, p, *, generator=None):
    """Overwrite with the numbers of trials, each of probability `p`, until the first success."""
    p = scalar_of("geometric_", "p", p)
    return _fill(input, drawer("geometric_", generator).geometric(p, input.array.shape))


def cauchy_(input, median=0.0, sigma=1.0, *, generator=None):
    """Overwrite with draws from the Cauchy distribution."""
    median, sigma = scalar_of("cauchy_", "median", median), scalar_of("cauchy_", "sigma", sigma)
    return _fill(input, drawer("cauchy_", generator).standard_cauchy(input.array.shape) * sigma + median)


def bernoulli_(input, p=0.5, *, generator=None):
    """Overwrite with 1 with probability `p`, a number or a tensor, else 0."""
    return _fill(input, trials("bernoulli_", p, input.array.shape, generator))


def random_(input, from_=0, to=None, *, generator=None):
    """Overwrite with whole numbers from `from_` to `to` - 1; with one bound, from 0; with none, all that are exact."""
    dtype = input.array.dtype
    if to is None and from_ == 0:
        bits = {"f": np.finfo(dtype).nmant + 1 if dtype.kind == "f" else 0, "b": 1}
        low, high = 0, 2 ** bits[dtype.kind] if dtype.kind in bits else np.iinfo(dtype).max
    else:
        low, high = bounds("random_", from_, to)
    return _fill(input, drawer("random_", generator).integers(low, high, input.array.shape))

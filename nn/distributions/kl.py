"""Kullback-Leibler divergences, by the pair of classes."""

import numpy as np

from nn import functional as F
from nn.distributions.bernoulli import Bernoulli
from nn.distributions.categorical import Categorical
from nn.distributions.distribution import sum_rightmost
from nn.distributions.independent import Independent
from nn.distributions.multivariate_normal import MultivariateNormal, divergence
from nn.distributions.normal import Normal
from nn.distributions.one_hot_categorical import OneHotCategorical
from nn.distributions.uniform import Uniform
from nn.operations.elementwise import where

_divergences = {}  # (class of p, class of q) -> function


def register_kl(type_p, type_q):
    """Decorator: the function computes `kl_divergence` of these classes and of their subclasses."""

    def registered(function):
        _divergences[type_p, type_q] = function
        return function

    return registered


def kl_divergence(p, q):
    """The Kullback-Leibler divergence of q from p: the mean of log p - log q under p.

    Parameters
    ----------
    p, q : Distribution

    Returns
    -------
    Tensor
        In the batch shape of both.

    Raises
    ------
    NotImplementedError
        It is not known for these classes.
    """
    for type_p in type(p).__mro__:
        for type_q in type(q).__mro__:
            if (type_p, type_q) in _divergences:
                return _divergences[type_p, type_q](p, q)
    raise NotImplementedError(f"kl_divergence: no function for {type(p).__name__} and {type(q).__name__}")


@register_kl(Normal, Normal)
def _normal(p, q):
    ratio, distance = p.scale / q.scale, (p.loc - q.loc) / q.scale
    variance = ratio * ratio
    return (variance + distance * distance - 1 - variance.log()) / 2


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p, q):
    ones = p.probs * (F.softplus(-q.logits) - F.softplus(-p.logits))
    zeros = (1 - p.probs) * (F.softplus(q.logits) - F.softplus(p.logits))
    ones = where(p.probs == 0, 0.0, where(q.probs == 0, np.inf, ones))
    return ones + where(p.probs == 1, 0.0, where(q.probs == 1, np.inf, zeros))


@register_kl(Categorical, Categorical)
def _categorical(p, q):
    terms = p.probs * (p.logits - q.logits)
    return where(p.probs == 0, 0.0, where(q.probs == 0, np.inf, terms)).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot_categorical(p, q):
    return _categorical(p._categorical, q._categorical)


@register_kl(Uniform, Uniform)
def _uniform(p, q):
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return where((q.low > p.low) | (q.high < p.high), np.inf, result)


@register_kl(Uniform, Normal)
def _uniform_normal(p, q):
    width, scale = p.high - p.low, q.scale
    difference = ((p.high + p.low) / 2 - q.loc) / scale
    squares = width * width / (scale * scale) / 12 + difference * difference
    return (scale / width).log() + (0.5 * np.log(2 * np.pi)).item() + squares / 2


@register_kl(Independent, Independent)
def _independent(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("kl_divergence: the numbers of dimensions of the events differ")
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


register_kl(MultivariateNormal, MultivariateNormal)(divergence)

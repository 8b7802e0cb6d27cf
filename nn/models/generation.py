"""Generation of text by a decoder, token by token."""

import numpy as np

from nn import random
from nn.grad_mode import no_grad
from nn.tensor import Tensor


def generate(
    model,
    ids,
    length,
    *,
    temperature=1.0,
    top_k=None,
    top_p=None,
    stop=None,
    cache=True,
    generator=None,
):
    """Continue texts with tokens drawn from the distribution that a model predicts.

    Parameters
    ----------
    model : GPT
        Used in evaluation mode; the mode of each of its submodules is restored afterwards.
    ids : Tensor or array of int64 (B, T)
        The prompts, of one length.
    length : int
        The number of tokens to add.
    temperature, top_k, top_p
        As for `distribution`; temperature 0 selects the most likely token.
    stop : int, optional
        A token that ends a text: it is repeated to the end of that row, and generation ends when all texts have it.
    cache : bool, default True
        Whether to cache keys and values, rather than to recompute those of all tokens for every new one.
    generator : numpy.random.Generator, optional
        By default that of `nn`, which `nn.manual_seed` seeds.

    Returns
    -------
    Tensor (B, T + at most `length`)
        The prompts and their continuations.

    Raises
    ------
    ValueError
        An empty prompt, or more tokens than the model's context; as `distribution`.

    Examples
    --------
    >>> import nn
    >>> model = nn.models.GPT(100, context=16, width=32, layers=2, heads=4)
    >>> nn.models.generate(model, nn.tensor([[5, 1, 99]]), 4, top_k=10).shape
    (1, 7)
    """
    ids = np.asarray(ids.array if isinstance(ids, Tensor) else ids)
    if ids.ndim != 2 or not ids.shape[1] or length < 0:
        raise ValueError(f"generate: needs ids (B, T), T at least 1, and no negative length, got {ids.shape}, {length}")
    if ids.shape[1] + length - 1 > model.context:  # the last token is not read
        raise ValueError(
            f"generate: the model takes at most {model.context} tokens, the prompt has {ids.shape[1]}, "
            f"and {length} are to be added"
        )
    distribution(np.zeros((1, 1)), temperature, top_k, top_p)  # validates the options before any work
    generator = random.generator() if generator is None else generator
    with model._evaluating(), no_grad():
        return Tensor(_continued(model, ids, length, (temperature, top_k, top_p), stop, cache, generator))


def _continued(model, ids, length, options, stop, cached, generator):
    B, T = ids.shape
    cache = model.cache(B, T + length) if cached else None
    new, stopped = ids, np.zeros((B, 1), bool)
    for _ in range(length):
        last = model.hidden(new if cached else ids, cache)[:, -1]
        new = _draw(distribution(model.head(last).array, *options), generator)
        if stop is not None:
            new = np.where(stopped, stop, new)
            stopped |= new == stop
        ids = np.concatenate((ids, new), axis=1)
        if stopped.all():
            break
    return ids


def _draw(probabilities, generator):
    """Sample one token (B, 1) from each distribution (B, V), by inverting its cumulative sum."""
    sums = probabilities.cumsum(-1)
    return (sums > generator.random((len(probabilities), 1)) * sums[:, -1:]).argmax(-1, keepdims=True)


def distribution(scores, temperature=1.0, top_k=None, top_p=None):
    """The probabilities of tokens, from their scores.

    Parameters
    ----------
    scores : array (..., V)
    temperature : float, default 1.0
        Divides the scores: lower values prefer likely tokens more; 0 selects the first of the most likely.
    top_k : int, optional
        Keep only this number of the most likely tokens.
    top_p : float, optional
        Of these, keep only the smallest number of most likely tokens whose probabilities sum to at least this.

    Returns
    -------
    array (..., V), float64
        Their sum is 1.

    Raises
    ------
    ValueError
        A negative temperature, `top_k` below 1, `top_p` not above 0 or above 1; scores that are NaN, infinite or, all
        of them, -inf.

    Reference: Holtzman et al., "The curious case of neural text degeneration" (2020), section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from nn.models import distribution
    >>> distribution(np.log([0.5, 0.3, 0.2]), top_p=0.6).round(3)
    array([0.625, 0.375, 0.   ])
    """
    if not temperature >= 0:
        raise ValueError(f"distribution: temperature must not be negative, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"distribution: top_k must be at least 1, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"distribution: top_p must be above 0 and at most 1, got {top_p}")
    scores = np.asarray(scores, np.float64)
    largest = scores.max(-1, keepdims=True)
    if not np.isfinite(largest).all():
        raise ValueError(f"distribution: the largest score must be finite, got {largest[~np.isfinite(largest)][0]}")
    order = np.argsort(-scores, axis=-1, kind="stable")
    descending = np.take_along_axis(scores, order, -1) - largest
    with np.errstate(over="ignore"):  # a tiny temperature may overflow to -inf
        descending = np.exp(descending / (temperature or 1))
    descending[..., scores.shape[-1] if top_k is None else top_k :] = 0
    if temperature == 0:
        descending[..., 1:] = 0
    descending /= descending.sum(-1, keepdims=True)
    if top_p is not None:
        before = descending.cumsum(-1) - descending
        descending[before >= top_p] = 0
        descending /= descending.sum(-1, keepdims=True)
    probabilities = np.empty_like(descending)
    np.put_along_axis(probabilities, order, descending, -1)
    return probabilities

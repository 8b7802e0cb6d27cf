r"""Table lookups in plain NumPy, with the semantics of ``torch.nn.functional``.

    embedding        y_i = W[ids_i]                                dW[ids_i] += dy_i
    bag, sum         y_b = sum of f_k W[ids_k] over its ids        dW[ids_k] += f_k dy_b          df_k = dy_b · W[ids_k]
    bag, mean        the same with f_k = 1 / (size of the bag)
    bag, max         y_b = largest of W[ids_k], column by column   the gradient is that of the row it came from

`ids` are int64, of any shape; for bags (B, n), or (n,) with the offsets at which the bags begin. Ids equal to
`padding_idx` are not part of a bag, and their row gets no gradient. `max_norm` scales down the rows of W that are
looked up, in place.
"""

import numpy as np

__all__ = ["embedding", "embedding_backward", "embedding_bag", "embedding_bag_backward"]


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, *, out=None):
    """Return ``weight[input]``.

    Example
    -------
    >>> embedding(np.array([1, 0]), np.array([[0.0, 1.0], [2.0, 3.0]]))
    array([[2., 3.],
           [0., 1.]])
    """
    _limit_norms(input, weight, max_norm, norm_type)
    return np.take(weight, input, axis=0, out=out)


def embedding_backward(dy, input, num_embeddings, padding_idx=None, scale_grad_by_freq=False):
    """Gradient with respect to the table."""
    return _scatter(dy, input, num_embeddings, padding_idx, scale_grad_by_freq)


def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2.0,
    scale_grad_by_freq=False,
    mode="mean",
    *,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
    indices=None,
):
    """Sum, mean or largest elements of each bag's rows; the positions in `input` of the largest go to `indices`.

    Example
    -------
    >>> embedding_bag(np.array([[1, 0]]), np.array([[0.0, 1.0], [2.0, 3.0]]))
    array([[1., 2.]])
    """
    _limit_norms(input, weight, max_norm, norm_type)
    cut = offsets, include_last_offset
    ids, positions, bags, factors = _pack(input, weight, cut, mode, per_sample_weights, padding_idx)
    y = np.zeros((_number_of_bags(input, *cut), weight.shape[1]), weight.dtype)
    if mode != "max":
        np.add.at(y, bags, factors[:, None] * weight[ids])
        return y
    winners = np.full(y.shape, -1) if indices is None else indices
    winners[...] = -1
    for b in np.unique(bags):
        rows = weight[ids[bags == b]]
        first = rows.argmax(axis=0)  # the first NaN, if there is one
        y[b] = np.take_along_axis(rows, first[None], 0)[0]
        winners[b] = positions[bags == b][first]
    return y


def embedding_bag_backward(
    dy,
    input,
    weight,
    offsets=None,
    scale_grad_by_freq=False,
    mode="mean",
    *,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
    indices=None,
    needs=(True, True),
):
    """Gradients with respect to the table and, if given, to `per_sample_weights`."""
    cut = offsets, include_last_offset
    ids, positions, bags, factors = _pack(input, weight, cut, mode, per_sample_weights, padding_idx)
    dweight = dfactors = None
    if needs[0]:
        terms = (
            np.where(indices[bags] == positions[:, None], dy[bags], 0) if mode == "max" else factors[:, None] * dy[bags]
        )
        dweight = _scatter(terms, ids, len(weight), None, scale_grad_by_freq)
    if needs[1] and per_sample_weights is not None:
        dfactors = np.zeros(input.size, dy.dtype)
        dfactors[positions] = (dy[bags] * weight[ids]).sum(axis=1)
        dfactors = dfactors.reshape(input.shape)
    return dweight, dfactors


def _limit_norms(ids, weight, max_norm, norm_type):
    if max_norm is None or not ids.size:
        return
    unique = np.unique(ids)
    norms = np.linalg.norm(weight[unique], norm_type, axis=1)
    scale = np.where(norms > max_norm, max_norm / (norms + 1e-7), 1)
    weight[unique] *= scale[:, None].astype(weight.dtype)


def _scatter(dy, ids, number, padding_idx, scale_grad_by_freq):
    total = np.zeros((number, dy.shape[-1]), dy.dtype)
    np.add.at(total, ids, dy)
    if scale_grad_by_freq:
        total /= np.maximum(np.bincount(ids.reshape(-1), minlength=number), 1)[:, None].astype(dy.dtype)
    if padding_idx is not None:
        total[padding_idx] = 0
    return total


def _number_of_bags(input, offsets, include_last_offset):
    return len(input) if offsets is None else len(offsets) - include_last_offset


def _pack(input, weight, cut, mode, per_sample_weights, padding_idx):
    """Id, position, bag and factor of each id that is not padding."""
    ids, offsets, number = input.reshape(-1), cut[0], _number_of_bags(input, *cut)
    if offsets is None:
        bags = np.repeat(np.arange(number), input.shape[1])
    else:
        bags = np.searchsorted(offsets[:number], np.arange(ids.size), side="right") - 1
    included = np.full(ids.shape, number > 0)
    if padding_idx is not None:
        included &= ids != padding_idx % len(weight)
    factors = np.ones(ids.size, weight.dtype) if per_sample_weights is None else per_sample_weights.reshape(-1)
    if mode == "mean":
        factors = 1 / np.bincount(bags[included], minlength=max(number, 1))[bags]
    return ids[included], np.flatnonzero(included), bags[included], factors[included].astype(weight.dtype)

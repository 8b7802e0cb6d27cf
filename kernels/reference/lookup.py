r"""Table lookups in plain NumPy, with the semantics of ``torch.nn.functional``.

    embedding        y_i = W[ids_i]                                dW[ids_i] += dy_i
    bag, sum         y_b = sum of f_k W[ids_k] over its ids        dW[ids_k] += f_k dy_b          df_k = dy_b · W[ids_k]
    bag, mean        the same with f_k = 1 / (size of the bag)
    bag, max         y_b = largest of W[ids_k], column by column   the gradient is that of the row it came from

    gather           y[i, j] = x[index[i, j], j]                          dx[index[i, j], j] += dy[i, j]
    scatter          y[index[i, j], j] = s[i, j], else x                  dx = dy, 0 there; ds = gather(dy)
    scatter_reduce   the same with sums, products, means, extremes of x and s

(for dimension 0 of two; index_select and index_add have one index i for all j.)
`ids` are int64, of any shape; for bags (B, n), or (n,) with the offsets at which the bags begin. Ids equal to
`padding_idx` are not part of a bag, and their row gets no gradient. `max_norm` scales down the rows of W that are
looked up, in place.
"""

import numpy as np

__all__ = [
    "embedding",
    "embedding_backward",
    "embedding_bag",
    "embedding_bag_backward",
    "gather",
    "gather_backward",
    "index_select",
    "index_select_backward",
    "scatter",
    "scatter_backward",
    "scatter_add",
    "scatter_add_backward",
    "index_add",
    "index_add_backward",
    "scatter_reduce",
    "scatter_reduce_backward",
]


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


# --- elements along a dimension ---------------------------------------------------------------------------------------


def gather(x, dim, index):
    """Elements along a dimension.

    Example
    -------
    >>> gather(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, np.array([[1], [0]]))
    array([[2.],
           [3.]])
    """
    return x[_at(index, dim)] if x.ndim else x.reshape(1)[index]


def gather_backward(dy, shape, dim, index):
    """Gradient with respect to `x`."""
    return scatter_add(np.zeros(shape, dy.dtype), dim, index, dy)


def index_select(x, dim, index):
    """Slices along a dimension."""
    return np.take(x, index, axis=dim)


def index_select_backward(dy, shape, dim, index):
    """Gradient with respect to `x`."""
    return index_add(np.zeros(shape, dy.dtype), dim, index, dy)


def scatter(x, dim, index, src):
    """A copy of `x` with elements replaced; the last of those with one index counts."""
    y = np.array(x)
    for place, each in _each(x, dim, index):
        y[place] = src if np.isscalar(src) else src[each]
    return y


def scatter_backward(dy, dim, index):
    """Gradients with respect to `x` and `src`."""
    return scatter(dy, dim, index, 0.0), gather(dy, dim, index)


def scatter_add(x, dim, index, src):
    """A copy of `x` to which elements are added."""
    y = np.array(x)
    wide = y if y.ndim else y.reshape(1)
    index = np.reshape(index, np.shape(index) or (1,))
    src = src if np.isscalar(src) else src[tuple(map(slice, index.shape))] if x.ndim else src.reshape(1)
    np.add.at(wide, _at(index, dim), src)
    return y


def scatter_add_backward(dy, dim, index):
    """Gradients with respect to `x` and `src`."""
    return np.array(dy), gather(dy, dim, index)


def index_add(x, dim, index, source, *, alpha=1):
    """A copy of `x` to which slices are added."""
    y = np.array(x)
    np.add.at(np.moveaxis(y, dim, 0), index, alpha * np.moveaxis(source, dim, 0))
    return y


def index_add_backward(dy, dim, index, *, alpha=1):
    """Gradients with respect to `x` and `source`."""
    return np.array(dy), alpha * np.take(dy, index, axis=dim)


def scatter_reduce(x, dim, index, src, reduce, *, include_self=True):
    """A copy of `x` whose elements are reduced with those of `src` that the index assigns to them.

    Example
    -------
    >>> scatter_reduce(np.ones(2), 0, np.array([1, 1]), np.array([2.0, 3.0]), "prod")
    array([1., 6.])
    """
    terms = {}
    for place, each in _each(x, dim, index):
        terms.setdefault(place, [x[place]] if include_self else []).append(src if np.isscalar(src) else src[each])
    combine = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}[reduce]
    y = np.array(x)
    for place, values in terms.items():
        y[place] = np.floor(combine(values)) if x.dtype.kind == "i" and reduce == "mean" else combine(values)
    return y


def scatter_reduce_backward(dy, x, dim, index, src, reduce, y, *, include_self=True):
    """Gradients with respect to `x` and `src`."""
    terms = {}
    for place, each in _each(x, dim, index):
        terms.setdefault(place, []).append(each)
    dx, dsrc = np.array(dy), np.zeros(index.shape, dy.dtype)
    for place, several in terms.items():
        values = np.array([x[place], *(src[each] for each in several)])
        own_term = 1 if include_self else 0
        if reduce in ("amax", "amin"):
            factors = (values == y[place]) / np.sum(values == y[place])
        elif reduce == "prod":
            counted = values if include_self else np.concatenate([[1], values[1:]])
            factors = np.array([np.prod(np.delete(counted, i)) for i in range(values.size)])
        else:
            factors = np.ones(values.size) / (len(several) + own_term if reduce == "mean" else 1)
        dx[place] = own_term * factors[0] * dy[place]
        for each, factor in zip(several, factors[1:], strict=True):
            dsrc[each] = factor * dy[place]
    return dx, dsrc


def _at(index, dim):
    """What picks the elements of the index from an array: the index along `dim`, their own places elsewhere."""
    places = list(np.indices(index.shape, sparse=True))
    places[dim] = index
    return tuple(places)


def _each(x, dim, index):
    """The place in `x` of each element of the index, and its place in the index, in order."""
    for each in np.ndindex(index.shape):
        place = list(each)
        if x.ndim:
            place[dim] = int(index[each])
        yield tuple(place), each

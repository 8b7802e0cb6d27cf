r"""Sums of products in Einstein's notation.

    einsum("bij,bjk->bik", a, b)    y_bik = Σ_j a_bij b_bjk

Each letter names a dimension; letters that are not in the result are summed over. The operands are joined in pairs:
letters of one operand alone are summed first, and what is left is one matrix product

    (batch, rows, summed) @ (batch, summed, columns)

of dimensions put in order and merged. So its gradients are those of `matmul`, `permute` and `sum`.
"""

import itertools
import math
import string
from functools import lru_cache

import numpy as np

from nn.operations.arguments import promoted
from nn.operations.arithmetic import matmul, mul, reshaped
from nn.operations.orders import permute
from nn.operations.reductions import sum
from nn.storage import Tensor
from nn.tape import record_linear

__all__ = ["einsum"]


def einsum(equation, *operands):
    """The sum of products that an equation describes.

    Parameters
    ----------
    equation : str
        A letter for each dimension of each operand, ``...`` for any others, which broadcast; operands separated by
        commas; after ``->`` the letters of the result. Without the arrow, these are ``...`` and all letters that occur
        once, in alphabetical order. A letter twice in an operand means its diagonal.
    operands : Tensor
        Of one dtype; or one list of them. A dimension of length 1 broadcasts.

    Instead of the equation, each operand may be followed by a list of numbers from 0 to 51, and ``...``, that name its
    dimensions: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        The equation is not of this form, or does not fit the operands.
    TypeError
        Dtypes differ, or an argument is of another type.

    Examples
    --------
    >>> import nn
    >>> nn.einsum("ij,j->i", nn.tensor([[1.0, 2.0], [3.0, 4.0]]), nn.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if isinstance(equation, Tensor):
        equation, operands = _lettered((equation, *operands))
    if not isinstance(equation, str):
        raise TypeError(f"einsum: equation must be a str, got {type(equation).__name__}")
    if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
        operands = tuple(operands[0])
    promoted("einsum", operands)
    if len({t.array.dtype for t in operands}) > 1:
        raise TypeError(f"einsum: dtypes differ: {', '.join(str(t.array.dtype) for t in operands)}")
    inputs, output = _parsed(equation, tuple(t.array.ndim for t in operands))
    terms = [_distinct(equation, t, labels) for t, labels in zip(operands, inputs, strict=True)]
    _check_sizes(equation, terms)
    while len(terms) > 1:
        i, j = (
            (0, 1)
            if len(terms) == 2
            else min(itertools.combinations(range(len(terms)), 2), key=lambda pair: _growth(terms, pair, output))
        )
        rest = [term for k, term in enumerate(terms) if k not in (i, j)]
        needed = set(output).union(*(labels for _, labels in rest))
        terms = [*rest[:i], _joined(terms[i], terms[j], needed), *rest[i:]]
    tensor, labels = _summed(*terms[0], set(output))
    return tensor if labels == output else permute(tensor, tuple(labels.index(label) for label in output))


def _lettered(arguments):
    """The equation and the operands of the form with lists."""
    operands, lists = arguments[: len(arguments) // 2 * 2 : 2], arguments[1::2]
    output = arguments[-1] if len(arguments) % 2 else None

    def term(labels):
        if not isinstance(labels, (tuple, list)):
            raise TypeError(f"einsum: each operand needs a list of its dimensions, got {type(labels).__name__}")
        if not all(label is Ellipsis or (isinstance(label, int) and 0 <= label < len(LETTERS)) for label in labels):
            raise ValueError(f"einsum: dimensions are numbers from 0 to {len(LETTERS) - 1} and ..., got {labels}")
        return "".join("..." if label is Ellipsis else LETTERS[label] for label in labels)

    equation = ",".join(map(term, lists))
    return equation if output is None else f"{equation}->{term(output)}", operands


LETTERS = string.ascii_uppercase + string.ascii_lowercase  # in the order of their codes


# --- the equation: labels are letters, and negative numbers for the dimensions of an ellipsis -------------------------


@lru_cache(256)
def _parsed(equation, ndims):
    """The labels of each operand and of the result, lists that are not changed."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    if len(parts) != len(ndims):
        raise ValueError(f"einsum: {equation!r} has {len(parts)} operands, got {len(ndims)}")
    for part in (*parts, right):
        letters = part.replace("...", "", 1)
        if letters and not (letters.isascii() and letters.isalpha()):
            raise ValueError(f"einsum: {equation!r} may have letters, one '...' in each term, ',' and one '->'")
    hidden = []  # how many dimensions each ellipsis stands for
    for number, (part, ndim) in enumerate(zip(parts, ndims, strict=True)):
        letters = len(part.replace("...", ""))
        if letters > ndim or (letters < ndim and "..." not in part):
            raise ValueError(f"einsum: {equation!r} names {letters} dimensions of operand {number}, it has {ndim}")
        hidden.append(ndim - letters)
    inputs = [_labels(part, n) for part, n in zip(parts, hidden, strict=True)]
    everything = list(itertools.chain(*inputs))
    most = max((n for part, n in zip(parts, hidden, strict=True) if "..." in part), default=0)
    if not arrow:
        letters = (label for label in everything if isinstance(label, str))
        return inputs, [*range(-most, 0), *sorted(label for label in set(letters) if everything.count(label) == 1)]
    output = _labels(right, most)
    for label in output:
        if label not in everything:
            raise ValueError(f"einsum: {equation!r} has {label!r} in the result, but in no operand")
        if output.count(label) > 1:
            raise ValueError(f"einsum: {equation!r} has {label!r} more than once in the result")
    return inputs, output


def _labels(part, hidden):
    """The labels of a term whose ellipsis stands for `hidden` dimensions."""
    before, ellipsis, after = part.partition("...")
    return [*before, *(range(-hidden, 0) if ellipsis else ()), *after]


def _check_sizes(equation, terms):
    """ValueError unless the lengths of each label are equal, or 1."""
    lengths = {}
    for tensor, labels in terms:
        for label, n in zip(labels, tensor.array.shape, strict=True):
            known = lengths.setdefault(label, n)
            if n != known and 1 not in (n, known):
                what = f"{label!r}" if isinstance(label, str) else "a dimension of '...'"
                raise ValueError(f"einsum: {equation!r} has lengths {known} and {n} for {what}")
            lengths[label] = n if known == 1 else known


# --- the terms: a tensor and its labels ------------------------------------------------------------------------------


def _distinct(equation, tensor, labels):
    """The diagonals of labels that occur more than once."""
    distinct = list(dict.fromkeys(labels))
    if len(distinct) == len(labels):
        return tensor, labels
    shape = tensor.array.shape
    lengths = {}
    for label, n in zip(labels, shape, strict=True):
        if lengths.setdefault(label, n) != n:
            raise ValueError(f"einsum: {equation!r} has lengths {lengths[label]} and {n} for {label!r}, in one operand")

    def diagonal(x):
        strides = [0] * len(distinct)
        for label, stride in zip(labels, x.strides, strict=True):
            strides[distinct.index(label)] += stride
        return np.lib.stride_tricks.as_strided(x, [lengths[label] for label in distinct], strides)

    def put(dy):
        dx = np.zeros(shape, dy.dtype)
        diagonal(dx)[...] = dy
        return dx

    return record_linear("diagonal", diagonal, put, tensor, view=True), distinct


def _summed(tensor, labels, needed):
    """The sum over all labels that are not needed."""
    dims = tuple(d for d, label in enumerate(labels) if label not in needed)
    return (sum(tensor, dims), [label for label in labels if label in needed]) if dims else (tensor, labels)


def _growth(terms, pair, output):
    """How many more elements the join of a pair has than the two."""
    (a, mine), (b, theirs) = (terms[k] for k in pair)
    needed = set(output).union(*(labels for k, (_, labels) in enumerate(terms) if k not in pair))
    lengths = dict(zip(mine, a.array.shape, strict=True))
    for label, n in zip(theirs, b.array.shape, strict=True):
        lengths[label] = max(n, lengths.get(label, 1))
    return math.prod(n for label, n in lengths.items() if label in needed) - a.array.size - b.array.size


def _joined(a, b, needed):
    """The join of two terms, with the labels that are needed."""
    (x, mine), (y, theirs) = _squeezed(a, b), _squeezed(b, a)
    x, mine = _summed(x, mine, needed | set(theirs))
    y, theirs = _summed(y, theirs, needed | set(mine))
    batch = [label for label in mine if label in theirs and label in needed]
    summed = [label for label in mine if label in theirs and label not in needed]
    rows = [label for label in mine if label not in theirs]
    columns = [label for label in theirs if label not in mine]
    labels = [*batch, *rows, *columns]
    lengths = dict(zip(mine, x.array.shape, strict=True)) | dict(zip(theirs, y.array.shape, strict=True))
    if not summed:
        one = [1] * len(columns)
        x = reshaped(_ordered(x, mine, [*batch, *rows]), (*(lengths[label] for label in (*batch, *rows)), *one))
        y = _ordered(y, theirs, [*batch, *columns])
        if rows:
            one = [1] * len(rows)
            y = reshaped(y, (*(lengths[d] for d in batch), *one, *(lengths[d] for d in columns)))
        return mul(x, y), labels
    groups = [[lengths[label] for label in group] for group in (batch, rows, summed, columns)]
    m, k, n = (math.prod(group) for group in groups[1:])
    x = reshaped(_ordered(x, mine, [*batch, *rows, *summed]), (*groups[0], m, k))
    y = reshaped(_ordered(y, theirs, [*batch, *summed, *columns]), (*groups[0], k, n))
    return reshaped(matmul(x, y), tuple(lengths[label] for label in labels)), labels


def _squeezed(term, other):
    """A term without the dimensions of length 1 that are longer in the other one: they broadcast."""
    tensor, labels = term
    lengths = dict(zip(other[1], other[0].array.shape, strict=True))
    kept = [d for d, n in enumerate(tensor.array.shape) if n != 1 or lengths.get(labels[d], 1) == 1]
    if len(kept) == len(labels):
        return term
    return reshaped(tensor, tuple(tensor.array.shape[d] for d in kept)), [labels[d] for d in kept]


def _ordered(tensor, labels, order):
    return tensor if labels == order else permute(tensor, tuple(labels.index(label) for label in order))

"""`embedding_bag` in jitted code."""

from typing import NamedTuple

import numpy as np
from numba import types

from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, indices, like, output, same_dtype
from kernels._njit_errors import Value, _check, failed, text_of
from kernels._njit_operands import absent, shaped
from kernels._njit_sizes import choice, threads_for
from kernels.lookup import functions, loops
from kernels.lookup.njit_embedding import is_zeroed, lookup, row, shrunk

pack_bags = by_address(loops.pack_bags)
sum_bags = by_address(loops.sum_bags)
max_bags = by_address(loops.max_bags)
add_bags = by_address(loops.add_bags)
add_to_winners = by_address(loops.add_to_winners)
multiply_rows = by_address(loops.multiply_rows)


class Packed(NamedTuple):
    """What `pack_bags` returns."""

    rows: np.ndarray
    places: np.ndarray
    bags: np.ndarray
    factors: np.ndarray
    begin: np.ndarray


@_check
def _starts(operation, input, offsets, mode, include_last_offset, scale_grad_by_freq, per_sample_weights):
    """Where the bags begin, and the end of the last."""
    name, word = text_of("operation", operation), getattr(mode, "literal_value", None)
    largest, given = word == "max", word != "sum" and not isinstance(per_sample_weights, types.NoneType)
    no_weights = f"{name}: per_sample_weights are of mode 'sum' only, mode is {word!r}"
    no_scale = f"{name}: mode 'max' does not take scale_grad_by_freq"

    def code(operation, input, offsets, mode, include_last_offset, scale_grad_by_freq, per_sample_weights):
        choice(operation, "mode", mode, ("sum", "mean", "max"))
        if largest and scale_grad_by_freq:
            raise ValueError(no_scale)
        if given and failed():
            raise ValueError(no_weights)
        return _cut(operation, indices(operation, "input", input), offsets, include_last_offset)

    return code


@_check
def _cut(operation, ids, offsets, include_last_offset):
    """`_Bags`: ids of two dimensions are cut by their rows, of one by offsets."""
    name = text_of("operation", operation)
    if ids.ndim == 2 and isinstance(offsets, types.NoneType):
        return lambda operation, ids, offsets, include_last_offset: np.arange(ids.shape[0] + 1) * ids.shape[1]
    if ids.ndim == 1 and not isinstance(offsets, types.NoneType):
        return lambda operation, ids, offsets, include_last_offset: _cut_at(
            operation, ids.size, _offsets(operation, offsets), bool(include_last_offset)
        )
    if ids.ndim == 2:
        return _refused_cut(f"{name}: input of 2 dimensions is cut by its rows, without offsets")
    if ids.ndim == 1:
        return _refused_cut(f"{name}: input of 1 dimension needs offsets")
    message = f"{name}: input must have 1 or 2 dimensions, got shape {{}}"

    def refused(operation, ids, offsets, include_last_offset):
        if failed():
            raise Value(message, ids.shape)
        return np.zeros(1, np.int64)

    return refused


def _refused_cut(message):
    def code(operation, ids, offsets, include_last_offset):
        if failed():
            raise ValueError(message)
        return np.zeros(1, np.int64)

    return code


@_check
def _offsets(operation, offsets):
    if getattr(offsets, "ndim", 1) == 1:
        return lambda operation, offsets: indices(operation, "offsets", offsets)
    message = f"{text_of('operation', operation)}: offsets must have 1 dimension, got shape {{}}"

    def refused(operation, offsets):
        given = indices(operation, "offsets", offsets)
        if failed():
            raise Value(message, given.shape)
        return given.reshape(-1)

    return refused


@_check
def _cut_at(operation, size, offsets, include_last_offset):
    name = text_of("operation", operation)
    no_last = f"{name}: the last offset must be {{}}, input's length, got nothing"
    wrong_last = f"{name}: the last offset must be {{}}, input's length, got {{}}"
    wrong_first = f"{name}: the first offset must be 0, got {{}}"
    decrease = f"{name}: offsets must not decrease, bag {{}} is {{}} to {{}}"

    def code(operation, size, offsets, include_last_offset):
        if include_last_offset and not offsets.size:
            raise Value(no_last, size)
        if include_last_offset and offsets[offsets.size - 1] != size:
            raise Value(wrong_last, size, offsets[offsets.size - 1])
        starts = np.empty(offsets.size + (0 if include_last_offset else 1), np.int64)
        starts[: offsets.size] = offsets
        if not include_last_offset:
            starts[offsets.size] = size
        if starts.size > 1 and starts[0] != 0:
            raise Value(wrong_first, starts[0])
        for b in range(starts.size - 1):
            if starts[b + 1] < starts[b]:
                raise Value(decrease, b, starts[b], starts[b + 1])
        return starts

    return code


@_check
def _packed(operation, ids, table, starts, mode, per_sample_weights, padding_idx):
    """`_Bags.pack`"""
    average = getattr(mode, "literal_value", None) == "mean"

    def code(operation, ids, table, starts, mode, per_sample_weights, padding_idx):
        factors = _factors(operation, ids, table, per_sample_weights)
        padding = row(operation, padding_idx, table.shape[0])
        rows, places, bags, weights, begin = pack_bags(ids.reshape(-1), starts, factors, padding, average, table)
        return Packed(rows, places, bags, weights, begin)

    return code


@_check
def _factors(operation, ids, table, per_sample_weights):
    """The weights given with the ids, flat; of size 0 for none."""
    if isinstance(per_sample_weights, types.NoneType):
        return lambda operation, ids, table, per_sample_weights: np.empty(0, table.dtype)

    def code(operation, ids, table, per_sample_weights):
        given = floats(operation, "per_sample_weights", per_sample_weights)
        same_dtype(operation, "weight", table, "per_sample_weights", given)
        return shaped(operation, "per_sample_weights", like(given, table), ids.shape).reshape(-1)

    return code


@in_njit(functions.embedding_bag)
def _embedding_bag(
    input,
    weight,
    offsets,
    max_norm,
    norm_type,
    scale_grad_by_freq,
    mode,
    per_sample_weights,
    include_last_offset,
    padding_idx,
    indices,
):
    name = "embedding_bag"
    starts = _starts(name, input, offsets, mode, include_last_offset, scale_grad_by_freq, per_sample_weights)
    ids, table = lookup(name, input, weight, padding_idx)
    table = shrunk(name, ids, weight, table, max_norm, norm_type)
    packed = _packed(name, ids, table, starts, mode, per_sample_weights, padding_idx)
    out = np.empty((starts.size - 1, table.shape[1]), table.dtype)
    _combine(table, packed, mode, indices, out)
    return out


@_check
def _combine(table, packed, mode, indices, out):
    """The sums, or the largest and their places."""
    word = getattr(mode, "literal_value", None)
    wrong = f"embedding_bag: indices are of mode 'max' only, mode is {word!r}"

    def largest(table, packed, mode, indices, out):
        winners = output("embedding_bag", "indices", indices, out.shape, packed.rows)
        threads = threads_for((packed.rows.size + out.shape[0]) * out.shape[1], 0)
        if out.size:
            max_bags(table, packed.rows, packed.places, packed.begin, out, winners, threads)

    def sums(table, packed, mode, indices, out):
        threads = threads_for((packed.rows.size + out.shape[0]) * out.shape[1], 0)
        if out.size:
            sum_bags(table, packed.rows, packed.factors, packed.begin, out, threads)

    def refused(table, packed, mode, indices, out):
        raise ValueError(wrong)

    if word == "max":
        return largest
    return sums if isinstance(indices, types.NoneType) else refused


@in_njit(functions.embedding_bag_backward)
def _embedding_bag_backward(
    dy,
    input,
    weight,
    offsets,
    scale_grad_by_freq,
    mode,
    per_sample_weights,
    include_last_offset,
    padding_idx,
    indices,
    needs,
):
    name = "embedding_bag_backward"
    starts = _starts(name, input, offsets, mode, include_last_offset, scale_grad_by_freq, per_sample_weights)
    ids, table = lookup(name, input, weight, padding_idx)
    given = shaped(name, "dy", floats(name, "dy", dy), (starts.size - 1, table.shape[1]))
    same_dtype(name, "dy", given, "weight", table)
    gradient = like(given, table)
    packed = _packed(name, ids, table, starts, mode, per_sample_weights, padding_idx)
    dweight = _weight_gradient(gradient, table, packed, mode, indices, (needs[0], bool(scale_grad_by_freq)))
    return dweight, _factor_gradient(gradient, ids, table, packed, per_sample_weights, needs[1])


@_check
def _weight_gradient(dy, table, packed, mode, indices, flags):
    """The gradient of the table, of size 0 if it is not needed; `flags` has this, and whether to divide by counts."""
    word = getattr(mode, "literal_value", None)
    if word == "max" and isinstance(indices, types.NoneType):

        def refused(dy, table, packed, mode, indices, flags):
            if failed():
                raise ValueError("embedding_bag_backward: mode 'max' needs the indices of the forward")
            return dy

        return refused

    def of_largest(dy, table, packed, mode, indices, flags):
        needed, _ = flags
        if not needed:
            return absent(2, dy)
        dweight, work = np.zeros(table.shape, dy.dtype), packed.rows.size * table.shape[1]
        if work:
            winners = shaped("embedding_bag_backward", "indices", _places(indices), dy.shape)
            rows, places, bags = packed.rows, packed.places, packed.bags
            add_to_winners(dy, winners, rows, places, bags, dweight, threads_for(work, 0))
        return dweight

    def of_sums(dy, table, packed, mode, indices, flags):
        needed, average = flags
        if not needed:
            return absent(2, dy)
        work = packed.rows.size * table.shape[1]
        if work == 0:
            return np.zeros(table.shape, dy.dtype)
        zeroed = is_zeroed(table.shape, dy.itemsize)
        dweight = np.zeros(table.shape, dy.dtype) if zeroed else np.empty(table.shape, dy.dtype)
        add_bags(dy, packed.rows, packed.bags, packed.factors, average, zeroed, dweight, threads_for(work, 0))
        return dweight

    return of_largest if word == "max" else of_sums


@_check
def _places(indices_):
    return lambda indices_: indices("embedding_bag_backward", "indices", indices_)


@_check
def _factor_gradient(dy, ids, table, packed, per_sample_weights, needed):
    """The gradient of the weights given with the ids, None without them."""
    if isinstance(per_sample_weights, types.NoneType):
        return lambda dy, ids, table, packed, per_sample_weights, needed: None
    rank = ids.ndim

    def code(dy, ids, table, packed, per_sample_weights, needed):
        if not needed:
            return absent(rank, dy)
        factors = np.zeros(ids.size, dy.dtype)
        if dy.size:
            threads = threads_for(packed.rows.size * table.shape[1], 0)
            multiply_rows(dy, table, packed.rows, packed.places, packed.bags, factors, threads)
        return factors.reshape(ids.shape)

    return code

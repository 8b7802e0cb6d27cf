"""Recomputation in place of memory: what a part of a model saves for backward is computed again there."""

from contextlib import nullcontext

import numpy as np

from nn import random
from nn.autograd.gradients import between
from nn.grad_mode import enable_grad, is_grad_enabled
from nn.storage import Tensor, edge, wrap
from nn.tape import Node, propagate, record_several

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(
    function,
    *args,
    use_reentrant=None,
    context_fn=None,
    determinism_check="default",
    debug=False,
    early_stop=True,
    preserve_rng_state=True,
    **kwargs,
):
    """Call a function without keeping what its backward needs, and call it again in the backward pass.

    Parameters
    ----------
    function : callable
        Returns a Tensor or a tuple; called twice, it must compute the same.
    *args, **kwargs
        Passed to it.
    use_reentrant, determinism_check, debug, early_stop
        Not used: there is one implementation, which allows ``autograd.grad`` and hooks of tensors.
    context_fn : callable, optional
        Returns two context managers, for the first call and for the second.
    preserve_rng_state : bool, default True
        Whether the second call draws the random numbers of the first, as dropout needs.
    """
    first, second = (nullcontext(), nullcontext()) if context_fn is None else context_fn()
    if not is_grad_enabled():
        with first:
            return function(*args, **kwargs)
    state = random.get_rng_state() if preserve_rng_state else None
    newest = Node("checkpoint", (), None).order
    with first:
        results = function(*args, **kwargs)
    several = isinstance(results, (tuple, list))
    outputs = tuple(results) if several else (results,)
    tensors = [y for y in outputs if isinstance(y, Tensor)]
    ends = _outside([edge(y) for y in tensors], newest)
    arrays, needed = [y.array for y in tensors], [y._requires_grad for y in tensors]
    del results, tensors

    def backward(*dys):
        now = random.get_rng_state() if preserve_rng_state else None
        if preserve_rng_state:
            random.set_rng_state(state)
        try:
            with enable_grad(), second:
                again = function(*args, **kwargs)
        finally:
            if preserve_rng_state:
                random.set_rng_state(now)
        again = again if isinstance(again, (tuple, list)) else (again,)
        again = [edge(y) for y in again if isinstance(y, Tensor)]
        pairs = [(end, dy) for end, dy in zip(again, dys, strict=True) if end is not None and dy is not None]
        starts, gradients = zip(*pairs, strict=True)
        inner = [_cut_off(end) for end in ends]
        try:
            found = propagate(starts, gradients, False, targets=set(ends), needed=between(starts, ends))
        finally:
            for end, parts in zip(ends, inner, strict=True):
                _restore(end, *parts)
        return tuple(found.get(end) for end in ends)

    inputs = tuple(_tensor_at(end) for end in ends)
    saved = [t for t in (*args, *kwargs.values(), *ends) if isinstance(t, Tensor)]  # what the second call reads
    recorded = iter(record_several("checkpoint", arrays, inputs, backward, saved, differentiable=needed))
    wrapped = tuple(next(recorded) if isinstance(y, Tensor) else y for y in outputs)
    return wrapped if several else wrapped[0]


def _outside(starts, newest):
    """Where gradients leave the graph of nodes newer than `newest`: leaves, and nodes that were there before."""
    found, seen, stack = {}, set(), [end for end in starts if end is not None]
    while stack:
        end = stack.pop()
        if id(end) in seen:
            continue
        seen.add(id(end))
        if type(end) is not Node or end.order > newest:
            found[end] = None
        else:
            stack.extend(e for e in end.edges if e is not None)
    return list(found)


def _cut_off(end):
    """Make a leaf or node the end of propagation, and return its hooks and edges, which count where this result is."""
    if type(end) is Node:
        parts = end.hooks, end.edges
        end.hooks, end.edges = None, ()
    else:
        parts = end._hooks, None
        end._hooks = None
    return parts


def _restore(end, hooks, edges):
    if type(end) is Node:
        end.hooks, end.edges = hooks, edges
    else:
        end._hooks = hooks


def _tensor_at(end):
    """A tensor whose gradient is sent to a leaf or node."""
    if type(end) is not Node:
        return end
    tensor = wrap(np.empty(0))
    tensor._requires_grad, tensor._node = True, end
    return tensor


def checkpoint_sequential(functions, segments, input, use_reentrant=None, **kwargs):
    """Call modules one after another, in as many segments, each but the last as by `checkpoint`."""
    functions = list(functions.children()) if hasattr(functions, "children") else list(functions)
    length = len(functions) // segments
    for start in range(0, length * (segments - 1), length):
        part = functions[start : start + length]
        input = checkpoint(_chain, part, input, use_reentrant=use_reentrant, **kwargs)
    return _chain(functions[length * (segments - 1) :], input)


def _chain(functions, x):
    for function in functions:
        x = function(x)
    return x

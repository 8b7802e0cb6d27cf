"""Gradients: added to the leaves by `backward`, or returned by `grad`; both may be differentiated in turn."""

import numpy as np

from nn.operations.arguments import not_a_tensor, numbers_of
from nn.storage import Tensor, edge, wrap
from nn.tape import Node, check_usable, plus, propagate

# Weak references to objects whose ``prepare(ends, create_graph)`` is called before a pass that adds to every ``grad``.
# It returns a node, which is to run last, or None.
before_backward = set()


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Add the gradient of `tensors` with respect to each leaf that they were computed from to the leaf's ``grad``.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
    grad_tensors : Tensor or sequence of (Tensor or None), optional
        The gradient with respect to each of `tensors`; None for 1, for a tensor of one element.
    retain_graph : bool, optional
        Keep what the operations saved, so that backward can run through them again; by default as `create_graph`.
    create_graph : bool, default False
        Record the backward pass, so that each ``grad`` can be differentiated in turn.
    inputs : Tensor or sequence of Tensor, optional
        Add to the ``grad`` of these only.

    Raises
    ------
    RuntimeError
        A tensor needs no gradient, or has several elements and no gradient is given; the graph was freed by an earlier
        backward; a saved tensor was changed in place; with `create_graph`, an operation can be differentiated once
        only. Every ``grad`` is unchanged.
    ValueError, TypeError
        A gradient differs from its tensor in shape or dtype.
    """
    if retain_graph is not None or create_graph is not False:
        _check_flags("backward", retain_graph=retain_graph, create_graph=create_graph)
    ends, dys = _starts("backward", _several("backward", "tensors", tensors), grad_tensors, create_graph)
    retain_graph = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        reached = _propagate_to_all(ends, dys, retain_graph, create_graph).items()
    else:
        inputs = _several("backward", "inputs", inputs)
        targets = _targets("backward", inputs)
        found = propagate(ends, dys, retain_graph, create_graph, set(targets), between(ends, targets))
        reached = [(t, found[target]) for t, target in zip(inputs, targets, strict=True) if target in found]
    for tensor, g in reached:  # at the end, so that an error leaves every grad unchanged
        _accumulate(tensor, g)


def backward_from(input, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Add the gradient of this tensor with respect to each leaf that it was computed from to the leaf's ``grad``.

    Parameters
    ----------
    gradient : Tensor or array, optional
        The gradient with respect to this tensor; 1 by default, for a tensor of one element.
    retain_graph, create_graph, inputs
        As for `nn.autograd.backward`, which has the errors, too.
    """
    if inputs is not None:
        return backward((input,), (gradient,), retain_graph, create_graph, inputs)
    if retain_graph is not None or create_graph is not False:
        _check_flags("backward", retain_graph=retain_graph, create_graph=create_graph)
    dy = initial("backward", input, gradient, create_graph)
    retain_graph = create_graph if retain_graph is None else retain_graph
    reached = _propagate_to_all((edge(input),), (dy,), retain_graph, create_graph)
    for leaf, g in reached.items():  # at the end, so that an error leaves every grad unchanged
        _accumulate(leaf, g)


def _propagate_to_all(ends, dys, retain_graph, create_graph):
    for each in list(before_backward) if before_backward else ():
        prepared = each()
        if prepared is None:
            before_backward.discard(each)
        elif (last := prepared.prepare(ends, create_graph)) is not None:
            ends, dys = (*ends, last), (*dys, np.zeros(()))
    return propagate(ends, dys, retain_graph, create_graph)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """The gradients of `outputs` with respect to `inputs`; no ``grad`` changes.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
    inputs : Tensor or sequence of Tensor
        Leaves or results of operations.
    grad_outputs : Tensor or sequence of (Tensor or None), optional
        The gradient with respect to each output; None for 1, for an output of one element.
    retain_graph : bool, optional
        Keep what the operations saved; by default as `create_graph`.
    create_graph : bool, default False
        Record the computation of the gradients, so that they can be differentiated in turn.
    only_inputs, is_grads_batched
        True and False: the only values that are possible.
    allow_unused : bool, optional
        Return None for an input that no output depends on, in place of an error; by default as `materialize_grads`.
    materialize_grads : bool, default False
        Return zeros for such an input.

    Returns
    -------
    tuple of (Tensor or None)

    Raises
    ------
    RuntimeError
        As for `backward`; or an input requires no gradient, or no output depends on it.
    ValueError, TypeError
        A gradient differs from its output in shape or dtype; `allow_unused` is False with `materialize_grads`.

    Examples
    --------
    >>> import nn
    >>> x = nn.tensor(3.0, requires_grad=True)
    >>> (first,) = nn.autograd.grad(x**3, x, create_graph=True)
    >>> first.item(), nn.autograd.grad(first, x)[0].item()
    (27.0, 18.0)
    """
    _check_flags("grad", retain_graph=retain_graph, create_graph=create_graph, allow_unused=allow_unused)
    if not only_inputs or is_grads_batched:
        raise ValueError("grad: needs only_inputs=True and is_grads_batched=False; other values are not available")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: materialize_grads=True needs allow_unused=True or None, got False")
    ends, dys = _starts("grad", _several("grad", "outputs", outputs), grad_outputs, create_graph)
    inputs = _several("grad", "inputs", inputs)
    targets = _targets("grad", inputs)
    retain_graph = create_graph if retain_graph is None else retain_graph
    reached = propagate(ends, dys, retain_graph, create_graph, set(targets), between(ends, targets))
    gradients = []
    for i, (tensor, target) in enumerate(zip(inputs, targets, strict=True)):
        g = reached.get(target)
        if g is None and materialize_grads:
            g = np.zeros_like(tensor.array)
        elif g is None and not allow_unused:
            raise RuntimeError(f"grad: no output depends on input {i}; allow_unused=True returns None for it")
        gradients.append(g if g is None or isinstance(g, Tensor) else wrap(g))
    return tuple(gradients)


def _check_flags(name, **flags):
    """TypeError unless each flag is None, a bool or an int."""
    for argument, flag in flags.items():
        if flag is not None and not isinstance(flag, (int, np.bool_)):
            raise TypeError(f"{name}: {argument} must be a bool, got {type(flag).__name__}")


def _several(name, argument, tensors):
    """A tensor, or a sequence of them, as a tuple."""
    if isinstance(tensors, (Tensor, np.ndarray)):
        return (tensors,)
    if isinstance(tensors, str) or not hasattr(tensors, "__iter__"):
        raise TypeError(f"{name}: {argument} must be a Tensor or a sequence of them, got {type(tensors).__name__}")
    return tuple(tensors)


def _starts(name, outputs, gradients, create_graph):
    """The edges of the outputs, and the gradient to start from at each: that of the caller, checked, or 1."""
    gradients = [None] * len(outputs) if gradients is None else _several(name, "gradients", gradients)
    if len(gradients) != len(outputs):
        raise ValueError(f"{name}: expected a gradient for each of {len(outputs)} outputs, got {len(gradients)}")
    for i, y in enumerate(outputs):
        if not isinstance(y, Tensor):
            raise not_a_tensor(name, y, f"outputs[{i}]")
    dys = tuple(initial(name, y, dy, create_graph) for y, dy in zip(outputs, gradients, strict=True))
    return tuple(map(edge, outputs)), dys


def initial(name, tensor, gradient, create_graph):
    """The gradient with respect to a tensor: that of the caller, checked, or 1."""
    if not tensor._requires_grad:
        raise RuntimeError(f"{name}: the tensor neither requires a gradient nor was computed from one that does")
    if gradient is None:
        if tensor.array.size != 1:
            raise RuntimeError(f"{name}: a tensor of shape {tensor.array.shape} is not a scalar; pass its gradient")
        dy = np.ones_like(tensor.array)
    elif isinstance(gradient, (int, float)):
        raise not_a_tensor(name, gradient, "gradient")
    else:
        dy = gradient.array if isinstance(gradient, Tensor) else numbers_of(name, "gradient", gradient)
        if dy.shape != tensor.array.shape:
            raise ValueError(f"{name}: shapes differ: the tensor is {tensor.array.shape}, its gradient {dy.shape}")
        if dy.dtype != tensor.array.dtype:
            raise TypeError(f"{name}: dtypes differ: the tensor is {tensor.array.dtype}, its gradient {dy.dtype}")
    if not create_graph:
        return dy
    return gradient if isinstance(gradient, Tensor) else wrap(dy)


def _targets(name, inputs):
    for i, tensor in enumerate(inputs):
        if not isinstance(tensor, Tensor):
            raise not_a_tensor(name, tensor, f"inputs[{i}]")
        if not tensor._requires_grad:
            raise RuntimeError(f"{name}: input {i} does not require a gradient")
    return [edge(tensor) for tensor in inputs]


def between(ends, targets):
    """The nodes and leaves from which edges lead to a target, and the targets."""
    orders = [t.order if type(t) is Node else float("inf") for t in targets]
    oldest = max(orders, default=0)  # edges lead from newer nodes to older: none leads from one that is older than all
    found, waiting = set(), [end for end in ends if end is not None]
    while waiting:
        end = waiting.pop()
        if end in found or (type(end) is Node and end.order > oldest):
            continue
        found.add(end)
        if type(end) is Node:
            check_usable(end)
            waiting += [e for e in end.edges if e is not None]
    needed = {t for t in targets if t in found}
    nodes = [end for end in found if type(end) is Node]
    for node in sorted(nodes, key=lambda node: node.order, reverse=True):  # oldest first
        if any(e in needed for e in node.edges if e is not None):
            needed.add(node)
    return needed


def _accumulate(tensor, g):
    """Add a gradient to ``grad``: in place, unless one of them is on the tape."""
    if tensor.grad is None:
        tensor.grad = g if isinstance(g, Tensor) else wrap(g)
    elif isinstance(g, Tensor) or tensor.grad._requires_grad:
        tensor.grad = plus(tensor.grad, g if isinstance(g, Tensor) else wrap(g))
    else:
        tensor.grad.array += g
        tensor.grad._memory.version += 1

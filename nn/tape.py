"""The tape: reverse-mode automatic differentiation, whole, on one page or two.

A `Tensor` (`nn.storage`) is a NumPy array that may require a gradient. An operation on such tensors computes its
result at once and puts a `Node` on the tape: a function from the gradient of the result, dy, to the gradients of the
inputs, and for each input the edge along which its gradient is passed on. An edge ends at the node that made the input
or, if no node did, at the input itself: a leaf, such as a parameter. `propagate` follows the edges from the newest node
to the oldest.

Gradients of gradients: a node may also have a `derivative`, which computes the same gradients from tensors, with
operations that are recorded in turn. An ordinary backward pass never calls it and never pays for it.

This file knows no operation. They are in `nn.operations` and `nn.functional`, each in the same form: compute the
result, define its backward function, `record` both; `nn.tensor` makes them methods and operators of `Tensor`.
"""

import itertools
import sys
import weakref
from functools import partial
from heapq import heappop, heappush

import numpy as np

from nn.grad_mode import enable_grad, mode
from nn.storage import Tensor, edge, wrap

ieee = np.errstate(all="ignore")  # infinities and NaNs are results here, not warnings


class Node:
    """One recorded operation.

    Attributes
    ----------
    order : int
        Newer nodes have lower numbers, and a node is newer than those it has edges to.
    name : str
    edges : list of (Node, Tensor or None)
        Where the gradient of each input is sent.
    backward : callable
        Takes dy, an array, and returns the gradient of each input, or None where none is needed: an array if there is
        one input, else a tuple. Each is a new array, dy itself or a view. dy must not be written to: it may be shared.
    derivative : callable or None
        The same on tensors, for gradients of gradients: takes dy and what was saved.
    saved : list
        The tensors that backward reads: (memory, version, array, edge) for each; None for other values. The edge of the
        node's own result is a weak reference.
    hooks : dict or None
    """

    __slots__ = ("order", "name", "edges", "backward", "derivative", "saved", "hooks", "__weakref__")
    _count = itertools.count(0, -1)

    def __init__(self, name, edges, backward, saved=(), derivative=None):
        self.order = next(Node._count)
        self.name = name
        self.edges = edges
        self.backward = backward
        self.derivative = derivative
        self.saved = saved
        self.hooks = None

    def __repr__(self):
        return f"<{self.name}>"


def record(name, data, inputs, backward, saved=(), *, derivative=None, saves_result=False, view=False):
    """Wrap the result of an operation and, where an input needs a gradient, put the operation on the tape.

    Parameters
    ----------
    name : str
    data : ndarray
        The result.
    inputs : tuple of (Tensor or None)
        One for each gradient that `backward` returns; None for an argument that has no gradient.
    backward : callable
        As described in `Node`. It must capture arrays, never `inputs`, which would keep alive more than it needs.
    saved : tuple of (Tensor, array or None)
        Everything that `backward` reads, masks, indices and weights as well as inputs: `Tensor.backward` raises if a
        tensor among them was changed in place meanwhile. Changes of an array are not detected.
    derivative : callable, optional
        ``derivative(dy, *saved)``, followed by the result with `saves_result`: returns tensors where `backward` returns
        arrays. The tensors of `saved` are passed with their history, None in the place of everything else; derivative
        must not capture them. Without it, the operation can be differentiated once only.
    saves_result : bool
        Whether `backward` reads `data`.
    view : bool
        Whether `data` is a view of the first input.

    Returns
    -------
    Tensor
    """
    result = wrap(data if type(data) is np.ndarray else np.asarray(data))
    if view:
        _show(inputs[0], result)
    if mode.enabled and _any_requires_grad(inputs):
        kept = _kept(saved) if saved else []
        node = Node(name, [None if t is None else edge(t) for t in inputs], backward, kept, derivative)
        if saves_result:
            kept.append((result._memory, result._memory.version, result.array, weakref.ref(node)))
        result._requires_grad = True
        result._node = node
    return result


def record_linear(name, forward, adjoint, input, saved=(), *, view=False):
    """Record ``forward(x)``, linear in x; its gradient is ``adjoint(dy)``, and the gradient of that `forward` again.

    `saved` are the tensors that `forward` and `adjoint` read.
    """

    def derivative(dy, *saved):
        return record_linear(name, adjoint, forward, dy, saved)

    return record(name, forward(input.array), (input,), adjoint, saved, derivative=derivative, view=view)


def record_several(
    name, arrays, inputs, backward, saved=(), *, derivative=None, saves_results=(), view=False, differentiable=None
):
    """As `record`, for an operation with several results: `backward` takes a dy for each, None for unused results.

    Each result has a node of its own that stores its dy and sends one bit to the node of the operation as a gradient.
    The bits are summed as gradients are: the sum is the set of results that this backward pass has reached.

    Parameters
    ----------
    name
        As for `record`.
    arrays : sequence of ndarray
        The results.
    inputs, backward, saved, derivative
        As for `record`; `backward` returns a tuple, or the array if there is one input. `derivative` takes a tuple of
        the dys in the place of dy.
    saves_results : tuple of int
        Indices of the results that `backward` reads.
    view
        As for `record`.
    differentiable : sequence of bool, optional
        Which results have a gradient; all by default.

    Returns
    -------
    tuple of Tensor
    """
    results = tuple(wrap(array) for array in arrays)
    if view:
        for result in results:
            _show(inputs[0], result)
    if not (mode.enabled and _any_requires_grad(inputs)):
        return results
    arrived = [None] * len(results)

    def taken(bits):
        bits = int(bits)
        gradients = [dy if bits >> i & 1 else None for i, dy in enumerate(arrived)]
        arrived[:] = [None] * len(arrived)
        return gradients

    def joined(bits):
        return backward(*taken(bits))

    def joined_derivative(bits, *tensors):
        return derivative(tuple(taken(bits)), *tensors)

    operation = Node(name, [None if t is None else edge(t) for t in inputs], joined)
    operation.derivative = None if derivative is None else joined_derivative
    weak = weakref.ref(operation)  # what it saves of its results must not keep it alive

    def result_node(i):
        def store(dy):
            arrived[i] = dy
            return np.asarray(1 << i, dtype=object)  # Python's integers have as many bits as there are results

        return Node(name, [weak()], store, (), store)

    for i, result in enumerate(results):
        if differentiable is None or differentiable[i]:
            result._requires_grad, result._node = True, result_node(i)
    operation.saved = _kept(saved)
    for i in saves_results:
        memory, node = results[i]._memory, results[i]._node
        end = None if node is None else _Reference(node, partial(result_node, i))
        operation.saved.append((memory, memory.version, results[i].array, end))
    return results


class _Reference:
    """A weak reference to the node of a result, which is made again if that has gone: nothing else depends on it."""

    def __init__(self, node, make):
        self._node, self._make = weakref.ref(node), make

    def __call__(self):
        node = self._node()
        if node is None:
            node = self._make()
            self._node = weakref.ref(node)
        return node


def _kept(saved):
    """What a node stores of the tensors that backward reads; None for other values, whose changes are not detected."""
    return [(t._memory, t._memory.version, t.array, edge(t)) if isinstance(t, Tensor) else None for t in saved]


def _show(tensor, view):
    """Make `view` a view of the elements of `tensor`."""
    tensor._memory.share(tensor, view)
    view._base = base_of(tensor)


def base_of(tensor):
    """The tensor whose elements this one shows: itself, or of a view the base, unless that was moved elsewhere."""
    base = tensor._base
    return tensor if base is None or base._memory is not tensor._memory else base


def _any_requires_grad(inputs):
    for t in inputs:  # noqa: SIM110 (any() with a generator takes three times as long)
        if t is not None and t._requires_grad:
            return True
    return False


@ieee
def propagate(ends, gradients, retain_graph, create_graph=False, targets=None, needed=None):
    """Propagate `gradients` back from `ends`, nodes or leaves, and return what arrives at the leaves.

    Newest first is a reverse topological order: all consumers of a result come before the node that made it, so its
    gradient is complete when the node runs.

    Parameters
    ----------
    ends : sequence of (Node or Tensor)
    gradients : sequence of ndarray, or of Tensor with `create_graph`
    retain_graph : bool
        Whether nodes keep what they saved.
    create_graph : bool, default False
        Whether the gradients are tensors, computed by operations that are recorded.
    targets, needed : set of (Node or Tensor), optional
        Return what arrives at `targets`, and run only the nodes in `needed`. All leaves, and all nodes, by default.

    Returns
    -------
    dict of (Node or Tensor) to ndarray, or to Tensor with `create_graph`
        Arrays have no other references.
    """
    arrived = {}  # node -> its gradient so far
    reached = {}  # leaf or target -> its gradient so far
    queue = []
    edges, dy = ends, None
    while True:
        for end, g in zip(edges, gradients, strict=True):
            if end is None or g is None or (needed is not None and end not in needed):
                continue
            if type(g) is not np.ndarray and not isinstance(g, Tensor):
                g = np.asarray(g)
            if type(end) is Node:
                if end in arrived:
                    arrived[end] = np.asarray(arrived[end] + g) if type(g) is np.ndarray else plus(arrived[end], g)
                else:
                    arrived[end] = g
                    heappush(queue, (end.order, end))
            elif end in reached:
                reached[end] = plus(reached[end], g)
            elif type(g) is np.ndarray:
                # two references to the base: the view's own and getrefcount's argument
                exclusive = g is not dy and (g.base is None or sys.getrefcount(g.base) <= 2)
                reached[end] = g if exclusive else g.copy()
            else:
                reached[end] = g
        if not queue:
            break
        node = heappop(queue)[1]
        dy = arrived.pop(node)
        if node.hooks:
            dy = _run_hooks(node.hooks, dy)
        if targets is not None and node in targets:
            reached[node] = dy if isinstance(dy, Tensor) else dy.copy()
            if not any(end in needed for end in node.edges):  # the node itself need not run, nor be freed
                edges = gradients = ()
                continue
        if node.backward is None:
            check_usable(node)  # raises
        for s in node.saved:
            if s is not None and s[0].version != s[1]:
                check_usable(node)
        edges = node.edges
        gradients = _differentiated(node, dy) if create_graph else node.backward(dy)
        if type(gradients) is not tuple:
            gradients = (gradients,)
        if not retain_graph:
            node.edges, node.backward, node.derivative, node.saved = (), None, None, ()
    for leaf in reached:
        if type(leaf) is not Node and leaf._hooks:
            g = _run_hooks(leaf._hooks, reached[leaf])
            reached[leaf] = g if isinstance(g, Tensor) else g.copy()  # a hook may keep a reference
    return reached


def _differentiated(node, dy):
    """The gradients of a node's inputs as tensors, recorded."""
    if node.derivative is None:
        raise RuntimeError(f"backward: {node.name} can be differentiated once only; create_graph=True needs its second")
    with enable_grad():
        return node.derivative(dy, *(None if s is None else _restored(s) for s in node.saved))


def check_usable(node):
    """RuntimeError if the node was freed, or something that it saved was changed."""
    if node.backward is None:
        raise RuntimeError(
            f"backward: the graph was freed by an earlier backward, which went through this {node.name}; "
            "pass retain_graph=True to that call"
        )
    for s in node.saved:
        if s is not None and s[0].version != s[1]:
            raise RuntimeError(
                f"backward: a tensor that {node.name} saved at version {s[1]} was changed in place since and is "
                f"at version {s[0].version}; change a clone() instead"
            )


def _restored(saved):
    """A saved tensor with its history: the leaf itself, or a tensor that the same node made."""
    memory, _, array, end = saved
    if isinstance(end, Tensor) and end.array is array:
        return end
    tensor = wrap(array)
    tensor._memory = memory
    if type(end) in (weakref.ref, _Reference):
        end = end()
    if end is not None:
        tensor._requires_grad = True
        tensor._node = end if type(end) is Node else Node("saved", [end], _same, (), _same)
    return tensor


def _same(dy):
    return dy


def plus(a, b):
    """The sum of two gradients: of arrays, written to `a`, or of tensors, recorded."""
    if isinstance(a, Tensor):
        return record("add", a.array + b.array, (a, b), _twice, derivative=_twice)
    a += b
    return a


def _twice(dy):
    return dy, dy


def _run_hooks(hooks, dy):
    for hook in list(hooks.values()):
        replaced = hook(dy if isinstance(dy, Tensor) else wrap(dy))
        if replaced is not None:
            if replaced.shape != dy.shape:
                raise ValueError(f"hook: the gradient is {dy.shape}, its replacement {replaced.shape}")
            dy = replaced if isinstance(dy, Tensor) else replaced.array
    return dy


class Handle:
    """What registering a hook returns; `remove` unregisters it."""

    _count = itertools.count()

    def __init__(self, hooks, hook):
        self._hooks, self._key = hooks, next(Handle._count)
        hooks[self._key] = hook

    def remove(self):
        """Unregister the hook; further calls do nothing."""
        self._hooks.pop(self._key, None)

"""Tensor and the tape.

A `Tensor` is a NumPy array that knows whether it needs a gradient. An operation on such tensors computes its result at
once and puts a `Node` on the tape: a function from the gradient of the result, dy, to the gradients of the inputs, and
for each input the edge along which its gradient travels on. An edge ends at the node that made the input or, where no
node did, at the input itself: a leaf, such as a parameter. `Tensor.backward` follows the edges from the newest node to
the oldest and adds what arrives at a leaf to its ``grad``.

The first part of this file, the tape, is all of the mechanism: `Node`, `record` and `_propagate`. What follows are
operations, each in the same form: compute the result, say how dy goes back, `record` both. There are no loops over
elements: broadcasting arithmetic and the moving of data are NumPy's, everything else is a pair of kernels.
"""

import itertools
import math
import sys
import threading
import weakref
from contextlib import ContextDecorator
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

import kernels

_ieee = np.errstate(all="ignore")  # infinities and NaNs are results here, not warnings
_NUMBERS = (int, float, np.generic)

# A training step allocates what its backward needs and frees it all, and glibc would give it back to the system each
# time, to be mapped anew, page by page: a fifth of the step of a small transformer. It keeps twice as much as the
# largest block freed so far, of up to 32 MiB. This one is never touched, so it costs nothing.
np.empty(2**25 - 2**13, np.uint8)


# --- the tape ---------------------------------------------------------------------------------------------------------


class _Mode(threading.local):
    enabled = True


_mode = _Mode()


class set_grad_enabled(ContextDecorator):
    """Context manager and decorator: switch the tape of this thread on or off."""

    def __init__(self, mode):
        self._enabled = mode
        self._outer = []  # a stack: one instance may be entered again, as by a recursive decorated function

    def __enter__(self):
        self._outer.append(_mode.enabled)
        _mode.enabled = self._enabled

    def __exit__(self, *error):
        _mode.enabled = self._outer.pop()


class no_grad(set_grad_enabled):
    """Context manager and decorator: within it nothing is recorded, and parameters may be changed in place.

    Examples
    --------
    >>> import nn
    >>> x = nn.tensor(2.0, requires_grad=True)
    >>> with nn.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """

    def __init__(self):
        super().__init__(False)


class enable_grad(set_grad_enabled):
    """Context manager and decorator: record again, within `no_grad`."""

    def __init__(self):
        super().__init__(True)


def is_grad_enabled():
    """Whether operations are recorded in this thread."""
    return _mode.enabled


class _Memory:
    """What all tensors on the same memory share, to notice changes in place."""

    __slots__ = ("version", "tensors")

    def __init__(self):
        self.version = 0  # how often it was changed in place
        self.tensors = None  # weak references to the tensors on it, once there was more than one

    def share(self, owner, view):
        """Put `view` on the memory of `owner`."""
        if self.tensors is None:
            self.tensors = set()
            self.tensors.add(weakref.ref(owner, self.tensors.discard))
        self.tensors.add(weakref.ref(view, self.tensors.discard))
        view._memory = self

    def is_shared(self):
        """Whether there is more than one tensor on it."""
        return self.tensors is not None and len(self.tensors) > 1


class Node:
    """One recorded operation.

    `backward` takes dy and returns the gradient of each input, or None where none is needed: an array if there is one
    input, else a tuple. Each is a new array, dy itself or a view; dy must not be written to, for others may hold it.
    """

    __slots__ = ("order", "name", "edges", "backward", "watched", "hooks")
    _count = itertools.count(0, -1)

    def __init__(self, name, edges, backward, watched=()):
        self.order = next(Node._count)  # newer nodes have lower numbers, and a node is newer than those it has edges to
        self.name = name
        self.edges = edges
        self.backward = backward
        self.watched = watched  # (memory, version) of what backward reads
        self.hooks = None

    def __repr__(self):
        return f"<{self.name}>"


def record(name, data, inputs, backward, saved=(), *, saves_result=False, view=False):
    """Wrap the result of an operation and, where an input needs a gradient, put the operation on the tape.

    Parameters
    ----------
    name : str
    data : ndarray
        The result.
    inputs : tuple of (Tensor or None)
        One for each gradient that `backward` returns; None for an argument that has no gradient.
    backward : callable
        As described in `Node`. It must hold arrays, never `inputs`, which would keep alive what it does not need.
    saved : tuple of (Tensor or None)
        Those whose arrays `backward` reads: `Tensor.backward` raises if one of them was changed in place meanwhile.
    saves_result : bool
        Whether `backward` reads `data`.
    view : bool
        Whether `data` lies in the memory of the first input.

    Returns
    -------
    Tensor
    """
    result = _wrap(data if type(data) is np.ndarray else np.asarray(data))
    if view:
        inputs[0]._memory.share(inputs[0], result)
    if _mode.enabled and _any_requires_grad(inputs):
        watched = [(t._memory, t._memory.version) for t in saved if t is not None]
        if saves_result:
            watched.append((result._memory, result._memory.version))
        result._requires_grad = True
        result._node = Node(name, [None if t is None else edge(t) for t in inputs], backward, watched)
    return result


def record_several(name, arrays, inputs, backward, saved=(), *, saves_results=(), view=False):
    """As `record`, for an operation with several results: `backward` takes a dy for each, None where none has arrived.

    Each result has a node of its own that keeps its dy and sends a bit on to the node of the operation. Bits add up on
    their way, as gradients do: the sum says which results this backward has come through.

    Parameters
    ----------
    arrays : sequence of ndarray
        The results.
    saves_results : tuple of int
        Those that `backward` reads, by their numbers.
    name, inputs, backward, saved, view
        As for `record`; `backward` returns a tuple, or the array if there is one input.

    Returns
    -------
    tuple of Tensor
    """
    results = tuple(_wrap(array) for array in arrays)
    if view:
        for result in results:
            inputs[0]._memory.share(inputs[0], result)
    if not (_mode.enabled and _any_requires_grad(inputs)):
        return results
    arrived = [None] * len(results)

    def joined(bits):
        gradients = [dy if bits >> i & 1 else None for i, dy in enumerate(arrived)]
        arrived[:] = [None] * len(arrived)
        return backward(*gradients)

    watched = [t for t in saved if t is not None] + [results[i] for i in saves_results]
    edges = [None if t is None else edge(t) for t in inputs]
    operation = Node(name, edges, joined, [(t._memory, t._memory.version) for t in watched])
    for i, result in enumerate(results):

        def keep(dy, i=i):
            arrived[i] = dy
            return np.asarray(1 << i)

        result._requires_grad = True
        result._node = Node(name, [operation], keep)
    return results


def edge(tensor):
    """Where the gradient of a tensor goes: its node, the tensor itself if it is a leaf, None if it needs none."""
    return (tensor._node or tensor) if tensor._requires_grad else None


def _any_requires_grad(inputs):
    for t in inputs:  # noqa: SIM110 (any() with a generator takes three times as long)
        if t is not None and t._requires_grad:
            return True
    return False


@_ieee
def _propagate(root, dy, retain_graph):
    """Send `dy` back from `root`, a node or a leaf, and add what arrives at the leaves to their ``grad``.

    Newest first is an order in which all consumers of a result come before the node that made it, so its gradient is
    complete when its turn comes. Leaves are written to at the end: an error on the way leaves every ``grad`` as it was.
    """
    arrived = {}  # node -> its gradient so far
    leaves = {}  # leaf -> its gradient so far, an array that nobody else holds
    queue = []
    edges, gradients = (root,), (dy,)
    while True:
        for end, g in zip(edges, gradients, strict=True):
            if end is None or g is None:
                continue
            if type(g) is not np.ndarray:
                g = np.asarray(g)
            if type(end) is Node:
                if end in arrived:
                    arrived[end] = np.asarray(arrived[end] + g)
                else:
                    arrived[end] = g
                    heappush(queue, (end.order, end))
            elif end in leaves:
                leaves[end] += g
            else:
                alone = g is not dy and (g.base is None or sys.getrefcount(g.base) <= 2)  # this view's, and the call's
                leaves[end] = g if alone else g.copy()
        if not queue:
            break
        node = heappop(queue)[1]
        dy = arrived.pop(node)
        if node.hooks:
            dy = _run_hooks(node.hooks, dy)
        edges, backward = node.edges, node.backward
        if backward is None:
            raise RuntimeError(
                f"backward: the graph was freed by an earlier backward, which went through this {node.name}; "
                "pass retain_graph=True to that one"
            )
        for memory, version in node.watched:
            if memory.version != version:
                raise RuntimeError(
                    f"backward: a tensor that {node.name} saved at version {version} was changed in place since and is "
                    f"at version {memory.version}; change a clone() instead"
                )
        gradients = backward(dy)
        if type(gradients) is not tuple:
            gradients = (gradients,)
        if not retain_graph:
            node.edges, node.backward, node.watched = (), None, ()
    for leaf in leaves:
        if leaf._hooks:
            leaves[leaf] = _run_hooks(leaf._hooks, leaves[leaf]).copy()  # a hook may keep what it saw
    for leaf, g in leaves.items():
        if leaf.grad is None:
            leaf.grad = _wrap(g)
        else:
            leaf.grad.data += g


def _run_hooks(hooks, dy):
    for hook in list(hooks.values()):
        replaced = hook(_wrap(dy))
        if replaced is not None:
            if replaced.shape != dy.shape:
                raise ValueError(f"hook: the gradient is {dy.shape}, its replacement {replaced.shape}")
            dy = replaced.data
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


# --- arithmetic with two operands -------------------------------------------------------------------------------------
# Each takes two tensors, arrays or numbers, of which one at least is a tensor, and becomes an operator of Tensor.


def _operands(name, a, b):
    """Return the tensors among two operands (None for the others) and the arrays of both, of one dtype."""
    x, a = (a.data, a) if isinstance(a, Tensor) else (a, None)
    y, b = (b.data, b) if isinstance(b, Tensor) else (b, None)
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.dtype == y.dtype):
        x, y = _match(name, x, y)
    return a, b, x, y


def _match(name, x, y):
    """Bring arrays and numbers to one dtype: numbers and integers adapt to floats; float32 and float64 do not mix."""
    for v in (x, y):
        if not isinstance(v, (np.ndarray, *_NUMBERS)):
            raise TypeError(f"{name}: expected a Tensor, an array or a number, got {type(v).__name__}")
    floats = {v.dtype for v in (x, y) if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
    if len(floats) > 1:
        raise TypeError(f"{name}: dtypes differ: a is {x.dtype}, b is {y.dtype}")
    if floats:
        dtype = floats.pop()
    else:
        dtype = np.result_type(*(v.item() if isinstance(v, np.generic) else v for v in (x, y)))
        dtype = np.float32 if dtype.kind == "f" else dtype
    return np.asarray(x, dtype), np.asarray(y, dtype)


def _unbroadcast(g, shape):
    """Sum a gradient over the dimensions in which its operand, of the given shape, was repeated."""
    if g.shape == shape:
        return g
    added = g.ndim - len(shape)
    stretched = (added + i for i, n in enumerate(shape) if n == 1 and g.shape[added + i] != 1)
    return kernels.sum(g, (*range(added), *stretched)).reshape(shape)


def _record_pair(name, z, a, b, da, db, saved=False):
    """Record an elementwise operation; `da` and `db` turn dy into the operands' gradients, still in the shape of z."""
    shape_a = a.data.shape if a is not None and a._requires_grad else None
    shape_b = b.data.shape if b is not None and b._requires_grad else None

    def backward(dy):
        return (
            None if shape_a is None else _unbroadcast(da(dy), shape_a),
            None if shape_b is None else _unbroadcast(db(dy), shape_b),
        )

    return record(name, z, (a, b), backward, (a, b) if saved else ())


@_ieee
def _add(a, b):
    a, b, x, y = _operands("add", a, b)
    return _record_pair("add", x + y, a, b, lambda dy: dy, lambda dy: dy)


@_ieee
def _sub(a, b):
    a, b, x, y = _operands("sub", a, b)
    return _record_pair("sub", x - y, a, b, lambda dy: dy, lambda dy: -dy)


@_ieee
def _mul(a, b):
    a, b, x, y = _operands("mul", a, b)
    return _record_pair("mul", x * y, a, b, lambda dy: dy * y, lambda dy: dy * x, saved=True)


@_ieee
def _div(a, b):
    a, b, x, y = _operands("div", a, b)
    if x.dtype.kind != "f":
        x, y = x.astype(np.float32), y.astype(np.float32)
    return _record_pair("div", x / y, a, b, lambda dy: dy / y, lambda dy: -dy * x / (y * y), saved=True)


@_ieee
def _pow(a, b):
    a, b, x, y = _operands("pow", a, b)
    z = x**y

    def da(dy):
        return dy * np.where(y == 0, 0, y * x ** (y - 1))  # x⁰ is constant, even at 0

    def db(dy):
        return dy * np.where((x == 0) & (y >= 0), 0, z * np.log(x))  # and so is 0ʸ

    return _record_pair("pow", z, a, b, da, db, saved=True)


@_ieee
def _extremum(name, pick, a, b, wins):
    a, b, x, y = _operands(name, a, b)
    half = x.dtype.type(0.5) if x.dtype.kind == "f" else 0

    def da(dy):
        return np.where(x == y, dy * half, np.where(wins(x, y), dy, 0))  # a tie shares the gradient

    def db(dy):
        return np.where(x == y, dy * half, np.where(wins(y, x), dy, 0))

    return _record_pair(name, pick(x, y), a, b, da, db, saved=True)


def maximum(a, b):
    """The larger of two tensors, element by element; NaN if one is. A tie shares the gradient."""
    return _extremum("maximum", np.maximum, a, b, np.greater)


def minimum(a, b):
    """The smaller of two tensors, element by element; NaN if one is. A tie shares the gradient."""
    return _extremum("minimum", np.minimum, a, b, np.less)


@_ieee
def where(condition, a, b):
    """Elements of `a` where `condition` holds, of `b` elsewhere; all three broadcast.

    Parameters
    ----------
    condition : Tensor or array of bool
    a, b : Tensor, array or number
    """
    condition = _array(condition)
    a, b, x, y = _operands("where", a, b)
    z = np.where(condition, x, y)
    return _record_pair("where", z, a, b, lambda dy: np.where(condition, dy, 0), lambda dy: np.where(condition, 0, dy))


def _comparison(ufunc):
    def compare(self, other):
        if not isinstance(other, (Tensor, np.ndarray, *_NUMBERS)):
            return NotImplemented
        return _wrap(np.asarray(ufunc(self.data, other.data if isinstance(other, Tensor) else other)))

    return compare


# --- Tensor -----------------------------------------------------------------------------------------------------------


def _wrap(data):
    """A tensor on an array, without the conversions of the constructor."""
    tensor = Tensor.__new__(Tensor)
    tensor.data = data
    tensor.grad = None
    tensor._requires_grad = False
    tensor._node = None
    tensor._hooks = None
    tensor._memory = _Memory()
    return tensor


def _array(data, dtype=None):
    """Anything that NumPy understands as an array of numbers; Python's floats become float32."""
    if isinstance(data, Tensor):
        data = data.data
    array = np.asarray(data, dtype)
    if dtype is None and array.dtype == np.float64 and not hasattr(data, "dtype"):
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"Tensor: expected numbers, got dtype {array.dtype}")
    return array


def _plain_index(index):
    """An index with arrays in place of tensors."""
    if isinstance(index, tuple):
        return tuple(i.data if isinstance(i, Tensor) else i for i in index)
    return index.data if isinstance(index, Tensor) else index


def _sizes(sizes):
    """Sizes or dimensions given as arguments or as one sequence."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


class ValuesIndices(NamedTuple):
    """What `Tensor.max` and `Tensor.min` along a dimension return."""

    values: "Tensor"
    indices: "Tensor"


class Tensor:
    """An array that can be differentiated with respect to.

    Parameters
    ----------
    data : array_like
        Numbers, nested lists of them, or anything that speaks ``__array__``. An ndarray is not copied.
        Python's floats become float32.
    dtype : numpy.dtype, optional
    requires_grad : bool, default False
        Whether `backward` collects a gradient for this tensor; floating point only.

    Attributes
    ----------
    data : ndarray
        The values. Writing to it goes unnoticed by the tape: see `mark_changed`.
    grad : Tensor or None
        The sum of the gradients that `backward` brought since it was last None.

    Raises
    ------
    TypeError
        `data` does not consist of numbers, or `requires_grad` with integers.

    Examples
    --------
    >>> import nn
    >>> x = nn.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
    """

    __slots__ = ("data", "grad", "_requires_grad", "_node", "_hooks", "_memory", "__weakref__")
    __array_priority__ = 1000  # array + tensor is a tensor
    __hash__ = object.__hash__

    def __init__(self, data, dtype=None, requires_grad=False):
        self.data = _array(data, dtype)
        self.grad = None
        self._node = None
        self._hooks = None
        self._memory = _Memory()
        self._requires_grad = False
        self.requires_grad_(requires_grad)

    # what it is

    @property
    def shape(self):
        """The length of each dimension, a tuple."""
        return self.data.shape

    @property
    def ndim(self):
        """The number of dimensions."""
        return self.data.ndim

    @property
    def dtype(self):
        """The numpy.dtype of the elements."""
        return self.data.dtype

    @property
    def is_leaf(self):
        """Whether the user made this tensor, rather than a recorded operation."""
        return self._node is None

    @property
    def grad_fn(self):
        """The node of the operation that made this tensor, None for a leaf."""
        return self._node

    def size(self, dim=None):
        """The shape, or the length of one dimension."""
        return self.data.shape if dim is None else self.data.shape[dim]

    def dim(self):
        """The number of dimensions."""
        return self.data.ndim

    def numel(self):
        """The number of elements."""
        return self.data.size

    def __len__(self):
        return len(self.data)

    def __iter__(self):
        return (self[i] for i in range(len(self.data)))

    def __repr__(self):
        body = np.array2string(self.data, separator=", ", prefix="tensor(")
        parts = [body]
        if self.data.dtype not in (np.float32, np.int64, np.bool_):
            parts.append(f"dtype={self.data.dtype}")
        if self._node is not None:
            parts.append(f"grad_fn={self._node}")
        elif self._requires_grad:
            parts.append("requires_grad=True")
        return f"tensor({', '.join(parts)})"

    def __format__(self, spec):
        return format(self.item() if self.data.ndim == 0 else str(self), spec)

    # conversion

    def item(self):
        """The only element, as a Python number."""
        return self.data.item()

    def tolist(self):
        """The elements as nested lists of Python numbers."""
        return self.data.tolist()

    def numpy(self):
        """The values as an ndarray on the same memory.

        Raises
        ------
        RuntimeError
            The tensor requires a gradient, which what NumPy does to it would escape: ``detach()`` it first.
        """
        if self._requires_grad:
            raise RuntimeError("numpy: the tensor requires a gradient; use detach().numpy()")
        return self.data

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __dlpack__(self, **options):
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self):
        return self.data.__dlpack_device__()

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        """Called by PyTorch where it meets our tensors, as in its ``load_state_dict``: it gets views of them."""
        from_dlpack = sys.modules["torch"].from_dlpack  # not imported here: whoever calls this is PyTorch
        return function(*(from_dlpack(a) if isinstance(a, Tensor) else a for a in args), **(kwargs or {}))

    def __bool__(self):
        return bool(self.data)

    def __float__(self):
        return float(self.data.item())

    def __int__(self):
        return int(self.data.item())

    def __index__(self):
        return self.data.__index__()

    def to(self, dtype):
        """The same values in another dtype; the tensor itself if it has that dtype already."""
        old = self.data.dtype
        if old == dtype:
            return self
        cast = self.data.astype(dtype)
        return record("to", cast, (self if cast.dtype.kind == "f" else None,), lambda dy: dy.astype(old))

    def float(self):
        """The values as float32."""
        return self.to(np.float32)

    def double(self):
        """The values as float64."""
        return self.to(np.float64)

    def long(self):
        """The values as int64."""
        return self.to(np.int64)

    def bool(self):
        """Whether the values differ from zero."""
        return self.to(np.bool_)

    # gradients

    @property
    def requires_grad(self):
        """Whether operations on this tensor are recorded; can be set on a leaf."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, requires_grad):
        self.requires_grad_(requires_grad)

    def requires_grad_(self, requires_grad=True):
        """Set whether operations on this leaf are recorded, and return it.

        Raises
        ------
        RuntimeError
            The tensor is the result of a recorded operation.
        TypeError
            It holds integers.
        """
        if self._node is not None and not requires_grad:
            raise RuntimeError(f"requires_grad: this is the result of {self._node.name}, not a leaf; use detach()")
        if requires_grad and self.data.dtype.kind != "f":
            raise TypeError(f"requires_grad: only floating-point tensors have gradients, this one is {self.data.dtype}")
        self._requires_grad = requires_grad
        return self

    def backward(self, gradient=None, retain_graph=False):
        """Add the gradient of this tensor with respect to each leaf that it was computed from to the leaf's ``grad``.

        Parameters
        ----------
        gradient : Tensor or array, optional
            The gradient of whatever is differentiated with respect to this tensor; 1 for a tensor of one element.
        retain_graph : bool, default False
            Keep what the operations saved, so that backward can go through them again.

        Raises
        ------
        RuntimeError
            The tensor needs no gradient, or has several elements and no `gradient` is given; the graph was freed by an
            earlier backward; a tensor that is needed was changed in place. Every ``grad`` is as before.
        ValueError, TypeError
            `gradient` differs from the tensor in shape or dtype.
        """
        if not self._requires_grad:
            raise RuntimeError("backward: the tensor neither requires a gradient nor was computed from one that does")
        if gradient is None:
            if self.data.size != 1:
                raise RuntimeError(f"backward: a tensor of shape {self.data.shape} is not a scalar; pass its gradient")
            dy = np.ones_like(self.data)
        else:
            dy = _array(gradient)
            if dy.shape != self.data.shape:
                raise ValueError(f"backward: shapes differ: the tensor is {self.data.shape}, its gradient {dy.shape}")
            if dy.dtype != self.data.dtype:
                raise TypeError(f"backward: dtypes differ: the tensor is {self.data.dtype}, its gradient {dy.dtype}")
        _propagate(edge(self), dy, retain_graph)

    def detach(self):
        """The same values on the same memory, without history."""
        result = _wrap(self.data)
        self._memory.share(self, result)
        return result

    def clone(self):
        """A copy; its gradient goes to the original."""
        return record("clone", self.data.copy(), (self,), lambda dy: dy)

    def register_hook(self, hook):
        """Call ``hook(gradient)`` when the gradient of this tensor is complete; a Tensor that it returns replaces it.

        Returns
        -------
        Handle
            Its ``remove()`` unregisters the hook.

        Raises
        ------
        RuntimeError
            The tensor requires no gradient.
        """
        if not self._requires_grad:
            raise RuntimeError("register_hook: the tensor does not require a gradient")
        if self._node is None:
            self._hooks = hooks = self._hooks or {}
        else:
            self._node.hooks = hooks = self._node.hooks or {}
        return Handle(hooks, hook)

    def retain_grad(self):
        """Let `backward` leave the gradient of this intermediate result in its ``grad``, as if it were a leaf."""
        if self._node is None:
            return
        reference = weakref.ref(self)  # the node must not keep its result alive

        def keep(dy):
            tensor = reference()
            if tensor is not None:
                tensor.grad = dy.clone() if tensor.grad is None else tensor.grad + dy

        self.register_hook(keep)

    def __deepcopy__(self, memo):
        if self._node is not None:
            raise RuntimeError(f"deepcopy: this is the result of {self._node.name}, not a leaf; use detach().clone()")
        copy = type(self).__new__(type(self))
        memo[id(self)] = copy
        Tensor.__init__(copy, self.data.copy(), requires_grad=self._requires_grad)
        if self.grad is not None:
            copy.grad = _wrap(self.grad.data.copy())
        return copy

    # arithmetic

    __add__ = __radd__ = add = _add
    __mul__ = __rmul__ = mul = _mul
    __sub__ = sub = _sub
    __truediv__ = div = _div
    __pow__ = pow = _pow
    maximum = maximum
    minimum = minimum

    def __rsub__(self, other):
        return _sub(other, self)

    def __rtruediv__(self, other):
        return _div(other, self)

    def __rpow__(self, other):
        return _pow(other, self)

    def __neg__(self):
        return record("neg", -self.data, (self,), lambda dy: -dy)

    def __abs__(self):
        x = self.data
        return record("abs", np.abs(x), (self,), lambda dy: dy * np.sign(x), (self,))

    neg = __neg__
    abs = __abs__

    def matmul(self, other):
        """The matrix product, as ``torch.matmul``: vectors, matrices, and stacks of matrices, which broadcast."""
        return _matmul(self, other)

    def __matmul__(self, other):
        return _matmul(self, other)

    def __rmatmul__(self, other):
        return _matmul(other, self)

    # comparison: tensors of bool

    __eq__ = _comparison(np.equal)
    __ne__ = _comparison(np.not_equal)
    __lt__ = _comparison(np.less)
    __le__ = _comparison(np.less_equal)
    __gt__ = _comparison(np.greater)
    __ge__ = _comparison(np.greater_equal)
    __and__ = _comparison(np.bitwise_and)
    __or__ = _comparison(np.bitwise_or)

    def __invert__(self):
        return _wrap(np.asarray(~self.data))

    def all(self, dim=None, keepdim=False):
        """Whether all elements are true (not zero)."""
        return _wrap(np.asarray(np.all(self.data, axis=dim, keepdims=keepdim)))

    def any(self, dim=None, keepdim=False):
        """Whether any element is true (not zero)."""
        return _wrap(np.asarray(np.any(self.data, axis=dim, keepdims=keepdim)))

    # functions of each element

    def exp(self):
        """e to the power of each element."""
        y = kernels.exp(self.data)
        return record("exp", y, (self,), lambda dy: kernels.exp_backward(dy, y), saves_result=True)

    def relu(self):
        """The larger of each element and 0."""
        y = kernels.relu(self.data)
        return record("relu", y, (self,), lambda dy: kernels.relu_backward(dy, y), saves_result=True)

    def sigmoid(self):
        """1 / (1 + exp(-x))."""
        y = kernels.sigmoid(self.data)
        return record("sigmoid", y, (self,), lambda dy: kernels.sigmoid_backward(dy, y), saves_result=True)

    def tanh(self):
        """The hyperbolic tangent."""
        y = kernels.tanh(self.data)
        return record("tanh", y, (self,), lambda dy: kernels.tanh_backward(dy, y), saves_result=True)

    @_ieee
    def log(self):
        """The natural logarithm; NaN below 0."""
        x = _floating("log", self)
        return record("log", np.log(x), (self,), lambda dy: dy / x, (self,))

    @_ieee
    def sqrt(self):
        """The square root; NaN below 0."""
        y = np.sqrt(_floating("sqrt", self))
        return record("sqrt", y, (self,), lambda dy: dy / (y + y), saves_result=True)

    def clamp(self, min=None, max=None):
        """Each element, but at least `min` and at most `max` (numbers); the gradient is 0 outside."""
        if min is None and max is None:
            raise ValueError("clamp: needs min or max")
        x = self.data
        low, high = (-np.inf if min is None else min), (np.inf if max is None else max)

        def backward(dy):
            return np.where((x >= low) & (x <= high), dy, 0)

        return record("clamp", np.clip(x, min, max), (self,), backward, (self,))

    # reductions

    def sum(self, dim=None, keepdim=False):
        """The sum over `dim`: an int, several, or None for all. Of nothing: 0."""
        x, dim = self.data, _dims(dim)
        if x.dtype.kind != "f":
            return _wrap(np.asarray(np.sum(x, axis=dim, keepdims=keepdim)))
        shape = x.shape
        y = kernels.sum(x, dim, keepdim)
        return record("sum", y, (self,), lambda dy: kernels.sum_backward(dy, shape, dim, keepdim))

    def mean(self, dim=None, keepdim=False):
        """The average over `dim`: an int, several, or None for all. Of nothing: NaN."""
        x, dim = _floating("mean", self), _dims(dim)
        shape = x.shape
        y = kernels.mean(x, dim, keepdim)
        return record("mean", y, (self,), lambda dy: kernels.mean_backward(dy, shape, dim, keepdim))

    def var(self, dim=None, *, correction=1, keepdim=False):
        """The variance over `dim`: squared deviations, summed and divided by their number minus `correction`."""
        deviation = self - self.mean(dim, keepdim=True)
        total = (deviation * deviation).sum(dim, keepdim)
        count = self.data.size // max(total.data.size, 1)
        return total / max(count - correction, 0)

    def std(self, dim=None, *, correction=1, keepdim=False):
        """The square root of `var`."""
        return self.var(dim, correction=correction, keepdim=keepdim).sqrt()

    def max(self, dim=None, keepdim=False):
        """The largest element; NaN if there is one.

        Parameters
        ----------
        dim : int, optional
            Then the result is the pair (values, indices) along it; among equals, the first.
            Without it, equals share the gradient.
        keepdim : bool, default False

        Raises
        ------
        ValueError
            The maximum of nothing.
        """
        x = self.data
        if dim is None:
            if x.dtype.kind != "f":
                return _wrap(np.asarray(np.max(x)))
            return record("max", kernels.max(x), (self,), lambda dy: kernels.max_backward(dy, x), (self,))
        values, indices = kernels.max(x, dim, keepdim)

        def backward(dy):
            return kernels.max_backward(dy, x, dim, keepdim, indices)

        return ValuesIndices(record("max", values, (self,), backward, (self,)), _wrap(indices))

    def min(self, dim=None, keepdim=False):
        """The smallest element; as `max`."""
        if dim is None:
            return _wrap(np.asarray(np.min(self.data))) if self.data.dtype.kind != "f" else -(-self).max()
        values, indices = (-self).max(dim, keepdim)
        return ValuesIndices(-values, indices)

    def argmax(self, dim=None, keepdim=False):
        """The index of the first largest element along `dim`; without it, of the flattened tensor. int64."""
        if self.data.dtype.kind != "f":
            return _wrap(np.asarray(np.argmax(self.data, axis=dim, keepdims=keepdim)))
        return _wrap(kernels.argmax(self.data, dim, keepdim))

    def argmin(self, dim=None, keepdim=False):
        """The index of the first smallest element; as `argmax`."""
        if self.data.dtype.kind != "f":
            return _wrap(np.asarray(np.argmin(self.data, axis=dim, keepdims=keepdim)))
        return _wrap(kernels.argmax(-self.data, dim, keepdim))

    def prod(self, dim=None, keepdim=False):
        """The product over `dim`, or of all elements. Of nothing: 1."""
        if dim is None:
            return self.reshape(-1).prod(0)
        x = self.data

        def backward(dy):
            # the product of all other elements, from those before and those after: right where elements are 0, too
            rows = np.moveaxis(x, dim, -1)
            one = np.ones_like(rows[..., :1])
            before = np.cumprod(np.concatenate((one, rows[..., :-1]), -1), -1)
            after = np.cumprod(np.concatenate((one, rows[..., :0:-1]), -1), -1)[..., ::-1]
            return np.moveaxis(before * after, -1, dim) * (dy if keepdim else np.expand_dims(dy, dim))

        return record("prod", np.prod(x, axis=dim, keepdims=keepdim), (self,), backward, (self,))

    def logsumexp(self, dim, keepdim=False):
        """log(sum(exp(x))) over `dim`, without overflow."""
        x, dim = self.data, _dims(dim)
        y = kernels.logsumexp(x, dim, keepdim)

        def backward(dy):
            return kernels.logsumexp_backward(dy, x, y, dim, keepdim)

        return record("logsumexp", y, (self,), backward, (self,), saves_result=True)

    def softmax(self, dim):
        """exp(x) / sum(exp(x)) along `dim`."""
        y = kernels.softmax(self.data, dim)
        return record("softmax", y, (self,), lambda dy: kernels.softmax_backward(dy, y, dim), saves_result=True)

    def log_softmax(self, dim):
        """x - log(sum(exp(x))) along `dim`."""
        y = kernels.log_softmax(self.data, dim)
        return record("log_softmax", y, (self,), lambda dy: kernels.log_softmax_backward(dy, y, dim), saves_result=True)

    # shape: results lie in the same memory where they can

    def reshape(self, *shape):
        """The same elements in another shape; one length may be -1."""
        return _reshaped("reshape", self, self.data.reshape(_sizes(shape)))

    def view(self, *shape):
        """As `reshape`, but never a copy.

        Raises
        ------
        ValueError
            The elements do not lie in memory as the shape needs them.
        """
        y = self.data.reshape(_sizes(shape))
        if not np.may_share_memory(y, self.data) and y.size:
            raise ValueError(f"view: strides {self.data.strides} do not allow a view of shape {y.shape}; use reshape")
        return _reshaped("view", self, y)

    def flatten(self, start_dim=0, end_dim=-1):
        """Join the dimensions from `start_dim` to `end_dim` into one."""
        shape = self.data.shape or (1,)
        start, end = start_dim % len(shape), end_dim % len(shape)
        if start > end:
            raise ValueError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}")
        joined = (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
        return _reshaped("flatten", self, self.data.reshape(joined))

    def squeeze(self, dim=None):
        """Remove dimensions of length 1: those in `dim`, or all."""
        shape = self.data.shape
        if dim is None:
            return _reshaped("squeeze", self, self.data.squeeze())
        dims = dim if isinstance(dim, (tuple, list)) else (dim,)
        return _reshaped("squeeze", self, self.data.squeeze(tuple(d for d in dims if not shape or shape[d] == 1)))

    def unsqueeze(self, dim):
        """Insert a dimension of length 1 before dimension `dim`."""
        return _reshaped("unsqueeze", self, np.expand_dims(self.data, dim))

    def transpose(self, dim0, dim1):
        """Swap two dimensions."""
        y = self.data.swapaxes(dim0, dim1)
        return record("transpose", y, (self,), lambda dy: dy.swapaxes(dim0, dim1), view=True)

    def permute(self, *dims):
        """Put the dimensions into another order."""
        dims = _sizes(dims)
        y = self.data.transpose(dims)
        inverse = np.argsort([d % y.ndim for d in dims])
        return record("permute", y, (self,), lambda dy: dy.transpose(inverse), view=True)

    @property
    def T(self):
        """The transpose: all dimensions in reverse order."""
        return record("T", self.data.T, (self,), lambda dy: dy.T, view=True)

    @property
    def mT(self):
        """The transpose of each matrix: the last two dimensions swapped."""
        return self.transpose(-2, -1)

    def expand(self, *sizes):
        """Repeat along dimensions of length 1, and along new ones in front, without copying; -1 keeps a length."""
        shape, sizes = self.data.shape, _sizes(sizes)
        kept = (1,) * (len(sizes) - len(shape)) + shape
        y = np.broadcast_to(self.data, tuple(k if s == -1 else s for k, s in zip(kept, sizes, strict=True)))
        return record("expand", y, (self,), lambda dy: _unbroadcast(dy, shape), view=True)

    def split(self, split_size, dim=0):
        """Parts along `dim`, a tuple: of length `split_size`, the last maybe shorter, or of the lengths in a list."""
        length = self.data.shape[dim]
        if isinstance(split_size, int):
            sizes = [min(split_size, length - start) for start in range(0, length, split_size)]
        elif sum(split_size) == length:
            sizes = split_size
        else:
            raise ValueError(f"split: {list(split_size)} does not add up to {length}, the length of dimension {dim}")
        before = (slice(None),) * (dim % self.data.ndim)
        ends = itertools.accumulate(sizes)
        parts = [self.data[(*before, slice(end - size, end))] for size, end in zip(sizes, ends, strict=True)]
        shapes, dtype = [part.shape for part in parts], self.data.dtype

        def backward(*dys):
            filled = (np.zeros(shape, dtype) if dy is None else dy for dy, shape in zip(dys, shapes, strict=True))
            return np.concatenate(tuple(filled), axis=dim)

        return record_several("split", parts, (self,), backward, view=True)

    def chunk(self, chunks, dim=0):
        """At most `chunks` parts of equal length along `dim`, the last maybe shorter."""
        return self.split(max(1, -(-self.data.shape[dim] // chunks)), dim)

    def unbind(self, dim=0):
        """The tuple of slices along `dim`, which they lose."""
        before = (slice(None),) * (dim % self.data.ndim)
        return tuple(self[(*before, i)] for i in range(self.data.shape[dim]))

    def masked_fill(self, mask, value):
        """`value` where `mask` is true, else the element."""
        return where(mask, value, self)

    # indexing

    def __getitem__(self, index):
        x, index = self.data, _plain_index(index)
        parts = index if isinstance(index, tuple) else (index,)
        arrays = [np.asarray(i) for i in parts if isinstance(i, (list, np.ndarray))]
        y = x[index]
        if type(y) is not np.ndarray:
            y = x[(*parts, ...)]  # a single element: with the ellipsis NumPy gives a view of it, not a number

        def backward(dy):
            dx = np.zeros(shape, dtype)
            if any(a.dtype.kind in "iu" for a in arrays):
                np.add.at(dx, index, dy)  # an element may have been picked more than once
            else:
                dx[index] = dy
            return dx

        shape, dtype = x.shape, x.dtype
        return record("index", y, (self,), backward, view=not arrays)

    def __setitem__(self, index, value):
        x, index = self.data, _plain_index(index)
        value = value.to(x.dtype) if isinstance(value, Tensor) else _wrap(_array(value, x.dtype))
        if not (_mode.enabled and (self._requires_grad or value._requires_grad)):
            x[index] = value.data
            self._memory.version += 1
            return
        y = x.copy()
        y[index] = value.data
        shape, needs_value = value.data.shape, value._requires_grad

        def backward(dy):
            dx = dy.copy()
            dx[index] = 0
            return dx, _unbroadcast(dy[index], shape) if needs_value else None

        self._become(record("setitem", y, (self, value), backward))

    # in place

    def _become(self, result):
        """Finish an operation in place: take over the value of `result` and its place on the tape; return self.

        Off the tape the values are written to the memory. On the tape the tensor moves to the memory of the result, so
        that what earlier operations saved stays as it was; a second tensor on the old memory would miss the change,
        which is an error.
        """
        data = result.data
        if not result._requires_grad:
            np.copyto(self.data, data)
            self._memory.version += 1
            return self
        name = result._node.name
        if self._requires_grad and self._node is None:
            raise RuntimeError(f"{name}: a leaf that requires a gradient changes in place only under no_grad()")
        if self._memory.is_shared():
            raise RuntimeError(f"{name}: in place on a tensor that shares its memory with another; make a new tensor")
        if data.shape != self.data.shape:
            raise ValueError(
                f"{name}: in place, shapes differ: the tensor is {self.data.shape}, the result {data.shape}"
            )
        self.data, self._node, self._memory = data, result._node, result._memory
        self._requires_grad = True
        return self

    def mark_changed(self):
        """Tell the tape that `data` was written to: a backward that needs the old values then raises."""
        self._memory.version += 1

    def add_(self, other, alpha=1):
        """Add ``alpha * other`` in place."""
        return self._become(_add(self, other if alpha == 1 else _mul(other, alpha)))

    def sub_(self, other):
        """Subtract in place."""
        return self._become(_sub(self, other))

    def mul_(self, other):
        """Multiply in place."""
        return self._become(_mul(self, other))

    def div_(self, other):
        """Divide in place."""
        return self._become(_div(self, other))

    def copy_(self, source):
        """Overwrite with the values of another tensor, which broadcast."""
        self[...] = source
        return self

    def fill_(self, value):
        """Overwrite every element with a number."""
        self[...] = value
        return self

    def zero_(self):
        """Overwrite every element with 0."""
        return self.fill_(0)

    __iadd__ = add_
    __isub__ = sub_
    __imul__ = mul_
    __itruediv__ = div_


def _matmul(a, b):
    a, b = (t if isinstance(t, Tensor) else _wrap(_array(t)) for t in (a, b))
    x, y = a.data, b.data
    needs = (a._requires_grad, b._requires_grad)

    def backward(dy):
        return kernels.matmul_backward(dy, x, y, needs=needs)

    return record("matmul", kernels.matmul(x, y), (a, b), backward, (a, b))


def _reshaped(name, tensor, data):
    shape = tensor.data.shape
    return record(name, data, (tensor,), lambda dy: dy.reshape(shape), view=True)


def _dims(dim):
    return tuple(dim) if isinstance(dim, list) else dim


def _floating(name, tensor):
    if tensor.data.dtype.kind != "f":
        raise TypeError(f"{name}: needs a floating-point tensor, got {tensor.data.dtype}; use float()")
    return tensor.data


# --- functions that make or join tensors ------------------------------------------------------------------------------


def tensor(data, dtype=None, requires_grad=False):
    """A tensor with a copy of `data`.

    Parameters
    ----------
    data : array_like
    dtype : numpy.dtype, optional
        By default that of `data`; float32 for Python's floats.
    requires_grad : bool, default False
    """
    return Tensor(_array(data, dtype).copy(), requires_grad=requires_grad)


def from_numpy(array):
    """A tensor on the memory of an array: a change of one is a change of the other."""
    return Tensor(array)


def zeros(*size, dtype=np.float32, requires_grad=False):
    """A tensor of zeros."""
    return Tensor(np.zeros(_sizes(size), dtype), requires_grad=requires_grad)


def ones(*size, dtype=np.float32, requires_grad=False):
    """A tensor of ones."""
    return Tensor(np.ones(_sizes(size), dtype), requires_grad=requires_grad)


def full(size, fill_value, dtype=None, requires_grad=False):
    """A tensor with the same number everywhere."""
    return Tensor(np.full(size, _array(fill_value, dtype)), requires_grad=requires_grad)


def arange(start, end=None, step=1, dtype=None):
    """The numbers from `start` (0 if only one bound is given) up to but without `end`."""
    start, end = (0, start) if end is None else (start, end)
    if dtype is None:
        dtype = np.float32 if any(isinstance(v, float) for v in (start, end, step)) else np.int64
    return Tensor(np.arange(start, end, step, dtype))


def cat(tensors, dim=0):
    """Join tensors along a dimension.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of one dtype, and of one shape but for dimension `dim`.
    dim : int, default 0

    Raises
    ------
    ValueError, TypeError
        Shapes or dtypes differ, or there is no tensor.
    """
    arrays = _same_dtype("cat", tensors)
    ends = list(itertools.accumulate(x.shape[dim] for x in arrays))
    return record(
        "cat", np.concatenate(arrays, axis=dim), tuple(tensors), lambda dy: tuple(np.split(dy, ends[:-1], axis=dim))
    )


def stack(tensors, dim=0):
    """Join tensors of one shape along a new dimension.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of one shape and dtype.
    dim : int, default 0
        Where the new dimension stands in the result.

    Raises
    ------
    ValueError, TypeError
        Shapes or dtypes differ, or there is no tensor.
    """
    arrays = _same_dtype("stack", tensors)
    return record("stack", np.stack(arrays, axis=dim), tuple(tensors), lambda dy: tuple(np.moveaxis(dy, dim, 0)))


def _same_dtype(name, tensors):
    arrays = [t.data for t in tensors]
    if len({x.dtype for x in arrays}) > 1:
        raise TypeError(f"{name}: dtypes differ: {', '.join(str(x.dtype) for x in arrays)}")
    return arrays

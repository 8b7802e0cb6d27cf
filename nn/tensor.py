"""Tensor and the tape.

A `Tensor` is a NumPy array that may require a gradient. An operation on such tensors computes its result at once and
puts a `Node` on the tape: a function from the gradient of the result, dy, to the gradients of the inputs, and for each
input the edge along which its gradient is passed on. An edge ends at the node that made the input or, if no node did,
at the input itself: a leaf, such as a parameter. `Tensor.backward` follows the edges from the newest node to the oldest
and adds the gradient that arrives at a leaf to its ``grad``.

The first part of this file, the tape, is the whole mechanism: `Node`, `record` and `_propagate`. The operations follow,
each in the same form: compute the result, define its backward function, `record` both. There are no loops over
elements: broadcasting arithmetic and data movement are NumPy's, everything else is a pair of kernels.
"""

import itertools
import math
import operator
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
_PLAIN_BOUNDS = {int, float, type(None)}  # bounds that NumPy converts to the array's dtype by itself

# A training step allocates what its backward needs and frees it all; glibc would return that memory to the system at
# every step, and map it again page by page: a fifth of the time of a small transformer's step. glibc keeps up to twice
# the size of the largest block freed so far (of up to 32 MiB), hence this block, which is never written and costs
# nothing.
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
    """The state shared by all tensors on the same memory, to detect changes in place."""

    __slots__ = ("version", "tensors")

    def __init__(self):
        self.version = 0  # number of changes in place
        self.tensors = None  # weak references to the tensors on it, from the second tensor on

    def share(self, owner, view):
        """Make `view` a tensor on this memory, that of `owner`."""
        if self.tensors is None:
            self.tensors = set()
            self.tensors.add(weakref.ref(owner, self.tensors.discard))
        self.tensors.add(weakref.ref(view, self.tensors.discard))
        view._memory = self

    def is_shared(self):
        """Whether more than one tensor is on this memory."""
        return self.tensors is not None and len(self.tensors) > 1


class Node:
    """One recorded operation.

    `backward` takes dy and returns the gradient of each input, or None where none is needed: an array if there is one
    input, else a tuple. Each is a new array, dy itself or a view. dy must not be written to: it may be shared.
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
        As described in `Node`. It must capture arrays, never `inputs`, which would keep alive more than it needs.
    saved : tuple of (Tensor, array or None)
        Everything that `backward` reads, masks, indices and weights as well as inputs: `Tensor.backward` raises if a
        tensor among them was changed in place meanwhile. Changes of an array are not detected.
    saves_result : bool
        Whether `backward` reads `data`.
    view : bool
        Whether `data` is a view of the first input.

    Returns
    -------
    Tensor
    """
    result = _wrap(data if type(data) is np.ndarray else np.asarray(data))
    if view:
        inputs[0]._memory.share(inputs[0], result)
    if _mode.enabled and _any_requires_grad(inputs):
        watched = [(t._memory, t._memory.version) for t in saved if isinstance(t, Tensor)]
        if saves_result:
            watched.append((result._memory, result._memory.version))
        result._requires_grad = True
        result._node = Node(name, [None if t is None else edge(t) for t in inputs], backward, watched)
    return result


def record_several(name, arrays, inputs, backward, saved=(), *, saves_results=(), view=False):
    """As `record`, for an operation with several results: `backward` takes a dy for each, None for unused results.

    Each result has a node of its own that stores its dy and sends one bit to the node of the operation as a gradient.
    The bits are summed as gradients are: the sum is the set of results that this backward pass has reached.

    Parameters
    ----------
    name
        As for `record`.
    arrays : sequence of ndarray
        The results.
    inputs, backward, saved
        As for `record`; `backward` returns a tuple, or the array if there is one input.
    saves_results : tuple of int
        Indices of the results that `backward` reads.
    view
        As for `record`.

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
        bits = int(bits)
        gradients = [dy if bits >> i & 1 else None for i, dy in enumerate(arrived)]
        arrived[:] = [None] * len(arrived)
        return backward(*gradients)

    watched = [t for t in saved if isinstance(t, Tensor)] + [results[i] for i in saves_results]
    edges = [None if t is None else edge(t) for t in inputs]
    operation = Node(name, edges, joined, [(t._memory, t._memory.version) for t in watched])
    for i, result in enumerate(results):

        def store(dy, i=i):
            arrived[i] = dy
            return np.asarray(1 << i, dtype=object)  # Python's integers have as many bits as there are results

        result._requires_grad = True
        result._node = Node(name, [operation], store)
    return results


def edge(tensor):
    """Where the gradient of a tensor is sent: to its node, to the tensor itself if it is a leaf, or nowhere (None)."""
    return (tensor._node or tensor) if tensor._requires_grad else None


def _any_requires_grad(inputs):
    for t in inputs:  # noqa: SIM110 (any() with a generator takes three times as long)
        if t is not None and t._requires_grad:
            return True
    return False


@_ieee
def _propagate(root, dy, retain_graph):
    """Propagate `dy` back from `root`, a node or a leaf, and add the gradients of the leaves to their ``grad``.

    Newest first is a reverse topological order: all consumers of a result come before the node that made it, so its
    gradient is complete when the node runs. Leaves are written at the end, so an error leaves every ``grad`` unchanged.
    """
    arrived = {}  # node -> its gradient so far
    leaves = {}  # leaf -> its gradient so far, an array without other references
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
                # two references to the base: the view's own and getrefcount's argument
                exclusive = g is not dy and (g.base is None or sys.getrefcount(g.base) <= 2)
                leaves[end] = g if exclusive else g.copy()
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
                "pass retain_graph=True to that call"
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
            leaves[leaf] = _run_hooks(leaf._hooks, leaves[leaf]).copy()  # a hook may keep a reference
    for leaf, g in leaves.items():
        if leaf.grad is None:
            leaf.grad = _wrap(g)
        else:
            leaf.grad.data += g
            leaf.grad._memory.version += 1


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
# Each takes two tensors, arrays or numbers, at least one of them a tensor, and becomes an operator of Tensor.


def _operands(name, a, b):
    """Return the tensors among two operands (None for the others) and the arrays of both, of one dtype."""
    x, a = (a.data, a) if isinstance(a, Tensor) else (a, None)
    y, b = (b.data, b) if isinstance(b, Tensor) else (b, None)
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.dtype == y.dtype):
        x, y = _match(name, x, y)
    return a, b, x, y


def _match(name, x, y):
    """Convert two operands to one dtype: numbers and integers adapt to floats; float32 and float64 do not mix."""
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
    """Sum a gradient over the dimensions along which its operand, of the given shape, was broadcast."""
    if g.shape == shape:
        return g
    added = g.ndim - len(shape)
    stretched = (added + i for i, n in enumerate(shape) if n == 1 and g.shape[added + i] != 1)
    return kernels.sum(g, (*range(added), *stretched)).reshape(shape)


def _record_binary(name, z, a, b, da, db, saved=(), saves_result=False):
    """Record an elementwise operation; `da` and `db` map dy to the operands' gradients, still in the shape of z."""
    shape_a = a.data.shape if a is not None and a._requires_grad else None
    shape_b = b.data.shape if b is not None and b._requires_grad else None

    def backward(dy):
        return (
            None if shape_a is None else _unbroadcast(da(dy), shape_a),
            None if shape_b is None else _unbroadcast(db(dy), shape_b),
        )

    return record(name, z, (a, b), backward, saved, saves_result=saves_result)


@_ieee
def _add(a, b):
    """The sum, element by element; tensors and numbers broadcast."""
    a, b, x, y = _operands("add", a, b)
    return _record_binary("add", x + y, a, b, lambda dy: dy, lambda dy: dy)


@_ieee
def _sub(a, b):
    """The difference, element by element; tensors and numbers broadcast."""
    a, b, x, y = _operands("sub", a, b)
    if x.dtype.kind == "b":
        raise TypeError("sub: bools have no difference; use != or long()")
    return _record_binary("sub", x - y, a, b, lambda dy: dy, lambda dy: -dy)


@_ieee
def _mul(a, b):
    """The product, element by element; tensors and numbers broadcast."""
    a, b, x, y = _operands("mul", a, b)
    return _record_binary("mul", x * y, a, b, lambda dy: dy * y, lambda dy: dy * x, (a, b))


@_ieee
def _div(a, b):
    """The quotient, element by element, a floating-point number; tensors and numbers broadcast."""
    a, b, x, y = _operands("div", a, b)
    if x.dtype.kind != "f":
        x, y = x.astype(np.float32), y.astype(np.float32)

    def db(dy):
        return -dy * (x / y / y)  # y² may overflow or underflow where the quotients do not

    return _record_binary("div", x / y, a, b, lambda dy: dy / y, db, (a, b))


@_ieee
def _pow(a, b):
    """`a` to the power of `b`, element by element; tensors and numbers broadcast."""
    a, b, x, y = _operands("pow", a, b)
    z = _integer_power(x, y) if y.dtype.kind == "i" and (y < 0).any() else x**y

    def da(dy):
        return dy * np.where(y == 0, 0, y * x ** (y - 1))  # x⁰ is constant, even at 0

    def db(dy):
        return dy * np.where((x == 0) & (y >= 0), 0, z * np.log(x))  # 0ʸ is constant, too

    return _record_binary("pow", z, a, b, da, db, (a, b), saves_result=b is not None and b._requires_grad)


def _integer_power(x, y):
    """Powers of integers with negative exponents among them: exact for 1 and -1, 0 for all others, as in PyTorch."""
    inverse = np.where(np.abs(x) == 1, x ** (y & 1), 0)
    return np.where(y < 0, inverse, x ** np.maximum(y, 0))


@_ieee
def _extremum(name, pick, a, b, loses):
    a, b, x, y = _operands(name, a, b)
    half = x.dtype.type(0.5) if x.dtype.kind == "f" else 0

    def da(dy):
        return np.where(x == y, dy * half, np.where(loses(x, y), 0, dy))  # equal elements share dy, NaN passes it

    def db(dy):
        return np.where(x == y, dy * half, np.where(loses(y, x), 0, dy))

    return _record_binary(name, pick(x, y), a, b, da, db, (a, b))


def maximum(a, b):
    """The larger of two tensors, element by element; equal elements share the gradient.

    NaN if either is, and both get the gradient.
    """
    return _extremum("maximum", np.maximum, a, b, np.less)


def minimum(a, b):
    """The smaller of two tensors, element by element; equal elements share the gradient.

    NaN if either is, and both get the gradient.
    """
    return _extremum("minimum", np.minimum, a, b, np.greater)


@_ieee
def where(condition, a, b):
    """Elements of `a` where `condition` holds, of `b` elsewhere; all three broadcast.

    Parameters
    ----------
    condition : Tensor or array of bool
    a, b : Tensor, array or number

    Raises
    ------
    TypeError
        `condition` does not hold bools, or `a` and `b` are float32 and float64.
    """
    c = _mask("where", "condition", condition)
    a, b, x, y = _operands("where", a, b)
    z = np.where(c, x, y)
    return _record_binary("where", z, a, b, lambda dy: np.where(c, dy, 0), lambda dy: np.where(c, 0, dy), (condition,))


def _mask(name, argument, mask):
    """Return the array of a mask; TypeError unless it holds bools."""
    array = _array(mask)
    if array.dtype.kind != "b":
        raise TypeError(f"{name}: {argument} must be bool, got {array.dtype}")
    return array


def _number(name, value, dtype):
    """A number as an array of the given dtype, rounded if necessary; ValueError if it is out of range."""
    if not isinstance(value, _NUMBERS):
        raise TypeError(f"{name}: value must be a number or a 0-d tensor, got {type(value).__name__}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        fits = math.isfinite(value) and limits.min <= value <= limits.max
        value = int(value) if fits else value
    else:
        fits = dtype.kind == "b" or not math.isfinite(value) or abs(value) <= float(np.finfo(dtype).max)
    if not fits:
        raise ValueError(f"{name}: value {value} is out of range for {dtype}")
    return np.asarray(value, dtype)


def _comparison(ufunc):
    @_ieee
    def compare(self, other):
        if not isinstance(other, (Tensor, np.ndarray, *_NUMBERS)):
            return NotImplemented
        return _wrap(np.asarray(ufunc(self.data, other.data if isinstance(other, Tensor) else other)))

    return compare


# --- Tensor -----------------------------------------------------------------------------------------------------------


def _wrap(data):
    """A tensor with this array as data, without the conversions of the constructor."""
    tensor = Tensor.__new__(Tensor)
    tensor.data = data
    tensor.grad = None
    tensor._requires_grad = False
    tensor._node = None
    tensor._hooks = None
    tensor._memory = _Memory()
    return tensor


def _array(data, dtype=None):
    """Convert anything that NumPy accepts to an array of numbers; Python floats become float32."""
    if isinstance(data, Tensor):
        data = data.data
    array = np.asarray(data, dtype)
    if dtype is None and array.dtype == np.float64 and not hasattr(data, "dtype"):
        array = _cast(array, np.float32)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"Tensor: expected numbers, got dtype {array.dtype}")
    return array


@_ieee
def _cast(array, dtype):
    """The values in another dtype, without NumPy's warning about overflow."""
    return array.astype(dtype)


def _index(index, ndim, copy):
    """Translate a PyTorch index: ``x[index]`` is ``x[basic]``, a view, or ``x[basic][picked]``, a copy.

    An integer next to arrays removes its dimension before the arrays are applied; NumPy would broadcast it with them,
    and put the result's dimensions in another order. `picked` is None if the index has no array. With `copy`, for an
    index that a backward function reads again, lists and arrays are copied, since the caller may change them.
    """
    if isinstance(index, Tensor) and index.data.ndim and index.data.dtype in _INDICES:
        return (), (index.data,)
    parts = index if type(index) is tuple else (index,)
    for i in parts:
        if type(i) not in _BASIC or (type(i) is slice and _is_tensor(i.start, i.stop, i.step)):
            break
    else:
        return parts, None
    basic, picked, ellipses, indexed, arrays = [], [], [], 0, False
    for i in parts:
        if type(i) is not int:
            i = _index_part(i, copy)
        if isinstance(i, np.ndarray):
            arrays = True
            if i.ndim:
                dims = i.ndim if i.dtype.kind == "b" else 1
                basic += [_ALL] * dims
                indexed += dims
            else:  # one bool: a dimension of length 1, or none
                basic.append(None)
                i = i.reshape(1)
            picked.append(i)
        elif i is Ellipsis:
            ellipses.append((len(basic), len(picked)))
        else:
            basic.append(i)
            indexed += i is not None
            if type(i) is not int:
                picked.append(_ALL)
    if len(ellipses) > 1:
        raise IndexError(f"index: at most one ellipsis, got {len(ellipses)}")
    for i, j in ellipses:
        basic[i:i] = picked[j:j] = [_ALL] * (ndim - indexed)
    return tuple(basic), tuple(picked) if arrays else None


_ALL = slice(None)
_INDICES = (np.dtype(np.int64), np.dtype(np.bool_), np.dtype(np.int32))
_BASIC = (int, slice, type(None), type(Ellipsis))


def _is_tensor(a, b, c):
    return isinstance(a, Tensor) or isinstance(b, Tensor) or isinstance(c, Tensor)


def _index_part(i, copy):
    """One part of an index: an int, slice, None, Ellipsis, or an array of integers or bools."""
    if i is None or i is Ellipsis:
        return i
    if isinstance(i, slice):
        if not _is_tensor(i.start, i.stop, i.step):
            return i
        return slice(*(None if bound is None else operator.index(bound) for bound in (i.start, i.stop, i.step)))
    array = i.data if isinstance(i, Tensor) else np.array(i) if copy else np.asarray(i)
    if not array.size and not hasattr(i, "dtype"):
        array = array.astype(np.int64)  # NumPy makes an empty list an array of floats
    if array.dtype.kind not in "iub":
        raise IndexError(f"index: tensors must hold integers or bools, got {array.dtype}")
    if array.dtype == np.uint8:
        raise IndexError("index: uint8 means a mask in PyTorch and positions in NumPy; use bool() or long()")
    return array if array.ndim or array.dtype.kind == "b" else int(array)


def _put(x, basic, picked, value):
    """Assign to ``x[basic][picked]``, or without arrays to ``x[basic]``."""
    try:
        if picked is None:
            x[basic] = value
        else:
            x[basic][picked] = value
    except IndexError as error:
        raise IndexError(f"index: {error}, of a tensor of shape {x.shape}") from None


def _sizes(sizes):
    """Sizes or dimensions given as arguments or as one sequence."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


class ValuesIndices(NamedTuple):
    """The result of `Tensor.max` and `Tensor.min` along a dimension."""

    values: "Tensor"
    indices: "Tensor"


class Tensor:
    """An array with automatic differentiation.

    Parameters
    ----------
    data : array_like
        Numbers, nested lists of them, or anything that implements ``__array__``. An ndarray is not copied.
        Python floats become float32.
    dtype : numpy.dtype, optional
    requires_grad : bool, default False
        Whether `backward` accumulates a gradient for this tensor; floating point only.

    Attributes
    ----------
    data : ndarray
        The values. The tape does not detect writes to it: see `mark_changed`.
    grad : Tensor or None
        The gradient accumulated by `backward` since it was last None.

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
        if isinstance(data, Tensor) and self.data is data.data:
            data._memory.share(data, self)
        self._requires_grad = False
        self.requires_grad_(requires_grad)

    # attributes

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
        return self.data.shape if dim is None else self.data.shape[_axis("size", dim, self.data.ndim)]

    def dim(self):
        """The number of dimensions."""
        return self.data.ndim

    def numel(self):
        """The number of elements."""
        return self.data.size

    def __len__(self):
        if not self.data.ndim:
            raise TypeError("len: a 0-d tensor has no length")
        return len(self.data)

    def __iter__(self):
        if not self.data.ndim:
            raise TypeError("iter: cannot iterate over a 0-d tensor")
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
        """The only element, as a Python number; ValueError if there is not exactly one."""
        if self.data.size != 1:
            raise ValueError(f"item: needs a tensor of one element, this one is {self.data.shape}")
        return self.data.item()

    def tolist(self):
        """The elements as nested lists of Python numbers."""
        return self.data.tolist()

    def numpy(self):
        """The values as an ndarray on the same memory.

        Raises
        ------
        RuntimeError
            The tensor requires a gradient, and NumPy's operations would not be recorded: ``detach()`` it first.
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
        """Called by PyTorch for arguments of this class, as in its ``load_state_dict``: passes torch views of them."""
        from_dlpack = sys.modules["torch"].from_dlpack  # needs no import: the caller is PyTorch
        return function(*(from_dlpack(a) if isinstance(a, Tensor) else a for a in args), **(kwargs or {}))

    def __bool__(self):
        return bool(self.data)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        return self.data.__index__()

    def to(self, dtype):
        """The same values in another dtype; the tensor itself if it has that dtype already.

        Overflow is not reported: a float64 beyond float32's range becomes infinite, and a NaN or an out-of-range number
        as an integer is undefined.
        """
        old = self.data.dtype
        if old == dtype:
            return self
        cast = _cast(self.data, dtype)
        return record("to", cast, (self if cast.dtype.kind == "f" else None,), lambda dy: _cast(dy, old))

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
        """Set whether operations on this leaf are recorded; return self.

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
            The gradient with respect to this tensor; 1 by default, for a tensor of one element.
        retain_graph : bool, default False
            Keep what the operations saved, so that backward can run through them again.

        Raises
        ------
        RuntimeError
            The tensor needs no gradient, or has several elements and no `gradient` is given; the graph was freed by an
            earlier backward; a saved tensor was changed in place. Every ``grad`` is unchanged.
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
        """A copy; its gradient is passed to the original."""
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
        """Let `backward` store the gradient of this intermediate result in its ``grad``, as if it were a leaf."""
        if self._node is None:
            return
        reference = weakref.ref(self)  # the node must not keep its result alive

        def store(dy):
            tensor = reference()
            if tensor is not None:
                tensor.grad = dy.clone() if tensor.grad is None else tensor.grad + dy

        self.register_hook(store)

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
        """The negated elements."""
        if self.data.dtype.kind == "b":
            raise TypeError("neg: bools have no negative; use ~")
        return record("neg", -self.data, (self,), lambda dy: -dy)

    def __abs__(self):
        """The magnitudes of the elements; the gradient at 0 is 0."""
        x = self.data
        return record("abs", np.abs(x), (self,), lambda dy: np.where(x > 0, dy, np.where(x < 0, -dy, 0)), (self,))

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
        return _reduced("all", np.all, self.data, dim, keepdim)

    def any(self, dim=None, keepdim=False):
        """Whether any element is true (not zero)."""
        return _reduced("any", np.any, self.data, dim, keepdim)

    # functions of each element

    def exp(self):
        """e to the power of each element."""
        y = kernels.exp(_inexact(self))
        return record("exp", y, (self,), lambda dy: kernels.exp_backward(dy, y), saves_result=True)

    def relu(self):
        """The larger of each element and 0."""
        if self.data.dtype.kind in "iu":
            return _wrap(np.maximum(self.data, 0))
        y = kernels.relu(self.data)
        return record("relu", y, (self,), lambda dy: kernels.relu_backward(dy, y), saves_result=True)

    def sigmoid(self):
        """1 / (1 + exp(-x))."""
        y = kernels.sigmoid(_inexact(self))
        return record("sigmoid", y, (self,), lambda dy: kernels.sigmoid_backward(dy, y), saves_result=True)

    def tanh(self):
        """The hyperbolic tangent."""
        y = kernels.tanh(_inexact(self))
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

    @_ieee
    def clamp(self, min=None, max=None):
        """Each element limited to [`min`, `max`]: numbers, or tensors that broadcast.

        The gradient of an element outside is that of the bound that replaces it, if that is a tensor that needs one.
        """
        if min is None and max is None:
            raise ValueError("clamp: needs min or max")
        x = self.data
        low, high = (bound.data if isinstance(bound, Tensor) else bound for bound in (min, max))
        if x.dtype.kind != "f" or not {type(low), type(high)} <= _PLAIN_BOUNDS:
            if low is not None:
                x, low = _match("clamp", x, low)
            if high is not None:
                x, high = _match("clamp", x, high)
            if low is not None:
                low = np.asarray(low, x.dtype)
        inputs = (self, *(bound if isinstance(bound, Tensor) else None for bound in (min, max)))
        shapes = [None if t is None or not t._requires_grad else t.data.shape for t in inputs]

        def backward(dy):
            gradients = [None, None, None]
            if shapes[0] is not None:
                inside = x >= low if high is None else x <= high if low is None else (x >= low) & (x <= high)
                gradients[0] = np.where(inside, dy, 0)
            if shapes[1] is not None:
                gradients[1] = np.where(x < low if high is None else (x < low) & (low < high), dy, 0)
            if shapes[2] is not None:  # where the bounds cross, all elements are `max`
                gradients[2] = np.where(x > high if low is None else (x > high) | (low > high), dy, 0)
            return tuple(None if g is None else _unbroadcast(g, s) for g, s in zip(gradients, shapes, strict=True))

        return record("clamp", np.clip(x, low, high), inputs, backward, inputs)

    # reductions

    def sum(self, dim=None, keepdim=False):
        """The sum over `dim`: an int, several, or None for all. An empty sum is 0."""
        x, dim = self.data, _dims(dim)
        if x.dtype.kind != "f":
            return _reduced("sum", np.sum, x, dim, keepdim)
        shape = x.shape
        y = kernels.sum(x, dim, keepdim)
        return record("sum", y, (self,), lambda dy: kernels.sum_backward(dy, shape, dim, keepdim))

    def mean(self, dim=None, keepdim=False):
        """The average over `dim`: an int, several, or None for all. The average of no elements is NaN."""
        x, dim = _floating("mean", self), _dims(dim)
        shape = x.shape
        y = kernels.mean(x, dim, keepdim)
        return record("mean", y, (self,), lambda dy: kernels.mean_backward(dy, shape, dim, keepdim))

    @_ieee
    def var(self, dim=None, *, correction=1, keepdim=False):
        """The variance over `dim`: squared deviations, summed and divided by their number minus `correction`.

        A bool in place of `dim` is PyTorch's ``unbiased``: a correction of 1 or 0. For an empty `dim`, PyTorch's
        gradient is wrong; here it is that of the variance of all elements.
        """
        deviation, dim, divisor = _deviation("var", self, dim, correction)
        total = kernels.sum(deviation * deviation, dim, True)

        def backward(dy):
            return deviation * (dy.reshape(total.shape) * 2 / divisor)

        return record("var", _squeezed(total / divisor, dim, keepdim), (self,), backward)

    @_ieee
    def std(self, dim=None, *, correction=1, keepdim=False):
        """The square root of `var`, also where that overflows or underflows; its gradient is 0 where it is 0."""
        deviation, dim, divisor = _deviation("std", self, dim, correction)
        # squares relative to the largest neither overflow nor underflow to a sum of 0
        scale = np.max(np.abs(deviation), dim, keepdims=True, initial=0)
        scale = np.where((scale > 0) & (scale < np.inf), scale, scale.dtype.type(1))
        relative = deviation / scale
        root = np.sqrt(kernels.sum(relative * relative, dim, True) / divisor)

        def backward(dy):
            factor = dy.reshape(root.shape) / root / divisor
            return relative * np.where(root == 0, 0, factor)

        return record("std", _squeezed(scale * root, dim, keepdim), (self,), backward)

    def max(self, dim=None, keepdim=False):
        """The largest element; NaN if any element is.

        Parameters
        ----------
        dim : int, optional
            With it, the result is the pair (values, indices) along this dimension; of equal elements, the first.
            Without it, equal elements share the gradient. With a Tensor in its place, the result is `maximum` of both.
        keepdim : bool, default False

        Raises
        ------
        ValueError
            There is no element to take the maximum of.
        """
        if isinstance(dim, Tensor):
            return maximum(self, dim)
        x = self.data
        if dim is None:
            if x.dtype.kind != "f":
                return _wrap(np.asarray(np.max(x)))
            return record("max", kernels.max(x), (self,), lambda dy: kernels.max_backward(dy, x), (self,))
        if x.dtype.kind != "f":
            return _integer_extremum("max", np.max, np.argmax, x, dim, keepdim)
        values, index_array = kernels.max(x, dim, keepdim)
        indices = _wrap(index_array)

        def backward(dy):
            return kernels.max_backward(dy, x, dim, keepdim, index_array)

        return ValuesIndices(record("max", values, (self,), backward, (self, indices)), indices)

    def min(self, dim=None, keepdim=False):
        """The smallest element; as `max`."""
        if isinstance(dim, Tensor):
            return minimum(self, dim)
        x = self.data
        if x.dtype.kind != "f":
            if dim is None:
                return _wrap(np.asarray(np.min(x)))
            return _integer_extremum("min", np.min, np.argmin, x, dim, keepdim)
        if dim is None:
            return -(-self).max()
        values, indices = (-self).max(dim, keepdim)
        return ValuesIndices(-values, indices)

    def argmax(self, dim=None, keepdim=False):
        """The index (int64) of the first largest element along `dim`; without `dim`, in the flattened tensor."""
        if self.data.dtype.kind != "f":
            return _reduced("argmax", np.argmax, self.data, dim, keepdim)
        return _wrap(kernels.argmax(self.data, dim, keepdim))

    def argmin(self, dim=None, keepdim=False):
        """The index of the first smallest element; as `argmax`."""
        if self.data.dtype.kind != "f":
            return _reduced("argmin", np.argmin, self.data, dim, keepdim)
        return _wrap(kernels.argmax(-self.data, dim, keepdim))

    def prod(self, dim=None, keepdim=False):
        """The product over `dim`, or of all elements. An empty product is 1."""
        if dim is None:
            return self.reshape(-1).prod(0)
        dim = _axis("prod", dim, self.data.ndim)
        if not self.data.ndim:
            return self.reshape(1).prod(0)
        x = self.data

        def backward(dy):
            # product of all other elements = product of those before times those after: correct at zeros, too
            rows = np.moveaxis(x, dim, -1)
            one = np.ones_like(rows[..., :1])
            before = np.cumprod(np.concatenate((one, rows[..., :-1]), -1), -1)
            after = np.cumprod(np.concatenate((one, rows[..., :0:-1]), -1), -1)[..., ::-1]
            return np.moveaxis(before * after, -1, dim) * (dy if keepdim else np.expand_dims(dy, dim))

        return record("prod", np.prod(x, axis=dim, keepdims=keepdim), (self,), backward, (self,))

    def logsumexp(self, dim, keepdim=False):
        """log(sum(exp(x))) over `dim`, without overflow."""
        if not self.data.ndim:
            for each in dim if isinstance(dim, (tuple, list)) else (dim,):
                _axis("logsumexp", each, 0)
            return self.reshape(1).logsumexp(0)
        x, dim = _inexact(self), _dims(dim)
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

    # shape: results are views where possible

    def reshape(self, *shape):
        """The same elements in another shape; one length may be -1.

        Raises
        ------
        ValueError
            The shape has another number of elements, or more than one -1.
        """
        return _reshaped("reshape", self, _in_shape("reshape", self.data, _sizes(shape)))

    def view(self, *shape):
        """As `reshape`, but never a copy.

        Raises
        ------
        ValueError
            The strides do not allow a view of this shape, or the number of elements differs.
        """
        y = _in_shape("view", self.data, _sizes(shape))
        if not np.may_share_memory(y, self.data) and y.size:
            raise ValueError(f"view: strides {self.data.strides} do not allow a view of shape {y.shape}; use reshape")
        return _reshaped("view", self, y)

    def flatten(self, start_dim=0, end_dim=-1):
        """Merge the dimensions from `start_dim` to `end_dim` into one.

        Raises
        ------
        IndexError
            There is no such dimension.
        ValueError
            `start_dim` comes after `end_dim`.
        """
        shape = self.data.shape or (1,)
        start = _axis("flatten", start_dim, len(shape), "start_dim")
        end = _axis("flatten", end_dim, len(shape), "end_dim")
        if start > end:
            raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
        joined = (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
        return _reshaped("flatten", self, self.data.reshape(joined))

    def squeeze(self, dim=None):
        """Remove dimensions of length 1: those in `dim`, or all."""
        shape = self.data.shape
        if dim is None:
            return _reshaped("squeeze", self, self.data.squeeze())
        dims = [_axis("squeeze", d, len(shape)) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
        return _reshaped("squeeze", self, self.data.squeeze(tuple(d for d in dims if shape and shape[d] == 1)))

    def unsqueeze(self, dim):
        """Insert a dimension of length 1 before dimension `dim`."""
        return _reshaped("unsqueeze", self, np.expand_dims(self.data, _axis("unsqueeze", dim, self.data.ndim + 1)))

    def transpose(self, dim0, dim1):
        """Swap two dimensions."""
        x = self.data
        try:
            y = x.swapaxes(dim0, dim1)
        except np.exceptions.AxisError:
            _axis("transpose", dim0, x.ndim, "dim0"), _axis("transpose", dim1, x.ndim, "dim1")
            return _reshaped("transpose", self, x)  # 0-d
        return record("transpose", y, (self,), lambda dy: dy.swapaxes(dim0, dim1), view=True)

    def permute(self, *dims):
        """Put the dimensions into another order."""
        dims, ndim = _sizes(dims), self.data.ndim
        order = [_axis("permute", d, ndim) for d in dims]
        if sorted(order) != list(range(ndim)):
            raise ValueError(f"permute: dims must name each of {ndim} dimensions once, got {tuple(dims)}")
        inverse = tuple(order.index(d) for d in range(ndim))
        return record("permute", self.data.transpose(order), (self,), lambda dy: dy.transpose(inverse), view=True)

    @property
    def T(self):
        """The transpose: all dimensions in reverse order."""
        return record("T", self.data.T, (self,), lambda dy: dy.T, view=True)

    @property
    def mT(self):
        """The transpose of each matrix: the last two dimensions swapped."""
        return self.transpose(-2, -1)

    def expand(self, *sizes):
        """Repeat along dimensions of length 1, and along new leading ones, without copying; -1 keeps a length.

        Raises
        ------
        ValueError
            Fewer sizes than dimensions, another size for a length other than 1, or -1 for a new dimension.
        """
        shape, sizes = self.data.shape, _sizes(sizes)
        new = len(sizes) - len(shape)
        if new < 0:
            raise ValueError(f"expand: needs a size for each dimension of {shape}, got {tuple(sizes)}")
        result = list(sizes)
        for i, s in enumerate(sizes):
            if i < new:
                if s < 0:
                    raise ValueError(f"expand: a new dimension cannot have size {s}, got {tuple(sizes)} for {shape}")
            elif s == -1:
                result[i] = shape[i - new]
            elif s != shape[i - new] and (shape[i - new] != 1 or s < 0):
                raise ValueError(f"expand: only dimensions of length 1 can be repeated, got {tuple(sizes)} for {shape}")
        y = np.broadcast_to(self.data, result)
        return record("expand", y, (self,), lambda dy: _unbroadcast(dy, shape), view=True)

    def split(self, split_size, dim=0):
        """Split along `dim` into a tuple of parts of length `split_size`, the last maybe shorter, or of listed lengths.

        Raises
        ------
        ValueError
            A negative length, 0 for a dimension that is not empty, lengths with another sum; a 0-d tensor.
        IndexError
            There is no such dimension.
        """
        axis, length = self._split_axis("split", dim)
        if not isinstance(split_size, (int, np.integer, tuple, list)):
            raise TypeError(f"split: needs an int or a list of them, got {type(split_size).__name__}")
        if isinstance(split_size, (int, np.integer)):
            if split_size < 0 or (split_size == 0 and length):
                raise ValueError(f"split: split_size must be positive, got {split_size} for a length of {length}")
            sizes = [min(split_size, length - start) for start in range(0, length, split_size or 1)] or [0]
        elif min(split_size, default=0) < 0:
            raise ValueError(f"split: lengths must not be negative, got {list(split_size)}")
        elif sum(split_size) == length:
            sizes = split_size
        else:
            raise ValueError(f"split: {list(split_size)} does not add up to {length}, the length of dimension {dim}")
        return self._parts(sizes, axis)

    def chunk(self, chunks, dim=0):
        """Split along `dim` into at most `chunks` parts of equal length, the last maybe shorter.

        Raises
        ------
        ValueError
            `chunks` is below 1; a 0-d tensor.
        """
        axis, length = self._split_axis("chunk", dim)
        if chunks < 1:
            raise ValueError(f"chunk: chunks must be at least 1, got {chunks}")
        return self.split(-(-length // chunks), axis) if length else self._parts([0] * chunks, axis)

    def _split_axis(self, name, dim):
        """The dimension to split, counted from the front, and its length; ValueError for a 0-d tensor."""
        if not self.data.ndim:
            raise ValueError(f"{name}: a 0-d tensor has no dimension to split")
        axis = _axis(name, dim, self.data.ndim)
        return axis, self.data.shape[axis]

    def _parts(self, sizes, axis):
        """Parts of these lengths along `axis`, as views."""
        before, ends = (slice(None),) * axis, itertools.accumulate(sizes)
        parts = [self.data[(*before, slice(end - size, end))] for size, end in zip(sizes, ends, strict=True)]
        shapes, dtype = [part.shape for part in parts], self.data.dtype

        def backward(*dys):
            filled = (np.zeros(shape, dtype) if dy is None else dy for dy, shape in zip(dys, shapes, strict=True))
            return np.concatenate(tuple(filled), axis=axis)

        return record_several("split", parts, (self,), backward, view=True)

    def unbind(self, dim=0):
        """A tuple of the slices along `dim`, without that dimension."""
        axis, length = self._split_axis("unbind", dim)
        before = (slice(None),) * axis
        return tuple(self[(*before, i)] for i in range(length))

    def masked_fill(self, mask, value):
        """`value`, a number or a 0-d tensor, where `mask` is true, else the element; the dtype does not change."""
        m, x = _mask("masked_fill", "mask", mask), self.data
        value = value.to(x.dtype) if isinstance(value, Tensor) else _wrap(_number("masked_fill", value, x.dtype))
        if value.data.ndim:
            raise ValueError(f"masked_fill: value must be a number or a 0-d tensor, got shape {value.data.shape}")
        z = np.where(m, value.data, x)
        da, db = (lambda dy: np.where(m, dy, 0)), (lambda dy: np.where(m, 0, dy))
        return _record_binary("masked_fill", z, value, self, da, db, (mask,))

    # indexing

    def __getitem__(self, index):
        x = self.data
        basic, picked = _index(index, x.ndim, _mode.enabled and self._requires_grad)
        try:
            part = x[basic]
            if picked is None:
                # a single element: with the ellipsis NumPy gives a view of it, not a number
                y = part if type(part) is np.ndarray else x[(*basic, ...)]
                saved = ()
            else:
                y, saved = part[picked], index if isinstance(index, tuple) else (index,)
        except IndexError as error:
            raise IndexError(f"index: {error}, of a tensor of shape {x.shape}") from None
        shape, dtype = x.shape, x.dtype

        def backward(dy):
            dx = np.zeros(shape, dtype)
            if picked is None:
                dx[basic] = dy
            elif any(i.dtype.kind != "b" for i in picked if isinstance(i, np.ndarray)):
                np.add.at(dx[basic], picked, dy)  # an element may have been picked more than once
            else:
                dx[basic][picked] = dy
            return dx

        return record("index", y, (self,), backward, saved, view=picked is None)

    def __setitem__(self, index, value):
        x = self.data
        value = value.to(x.dtype) if isinstance(value, Tensor) else _wrap(_array(value, x.dtype))
        recorded = _mode.enabled and (self._requires_grad or value._requires_grad)
        basic, picked = _index(index, x.ndim, recorded)
        new = value.data
        while new.ndim and len(new) == 1:
            new = new[0, ...]  # NumPy does not accept leading dimensions for an element or a mask
        if not recorded:
            _put(x, basic, picked, new)
            self._memory.version += 1
            return
        y = x.copy()
        _put(y, basic, picked, new)
        shape, needs_value = value.data.shape, value._requires_grad
        saved = index if isinstance(index, tuple) else (index,)

        def backward(dy):
            dx = dy.copy()
            _put(dx, basic, picked, 0)
            if not needs_value:
                return dx, None
            dvalue = np.asarray(dy[basic] if picked is None else dy[basic][picked])
            extra = max(len(shape) - dvalue.ndim, 0)  # leading dimensions of length 1 that were removed above
            return dx, _unbroadcast(dvalue, shape[extra:]).reshape(shape)

        self._become(record("setitem", y, (self, value), backward, saved))

    # in place

    def _become(self, result):
        """Finish an operation in place: take over the value and the node of `result`; return self.

        If the operation is not recorded, the values are written to the tensor's memory. If it is, the tensor moves to
        the memory of the result, so that what earlier operations saved is unchanged; another tensor on the old memory
        would not see the change, which is an error.
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
            raise RuntimeError(f"{name}: in place on a tensor that shares its memory with another; use a new tensor")
        self.data, self._node, self._memory = data, result._node, result._memory
        self._requires_grad = True
        return self

    def _update(self, name, result):
        """As `_become`, for a result of any shape and dtype: shapes must agree, only integers are converted."""
        old, new = self.data, result.data
        if new.shape != old.shape:
            raise ValueError(f"{name}: in place, shapes differ: the tensor is {old.shape}, the result {new.shape}")
        if new.dtype != old.dtype:
            if not (new.dtype.kind in "iu" and old.dtype.kind in "iu"):
                raise TypeError(f"{name}: in place, dtypes differ: the tensor is {old.dtype}, the result {new.dtype}")
            result = result.to(old.dtype)
        return self._become(result)

    def mark_changed(self):
        """Tell the tape that `data` was written to: a backward that needs the old values raises."""
        self._memory.version += 1

    def add_(self, other, alpha=1):
        """Add ``alpha * other`` in place."""
        return self._update("add", _add(self, other if alpha == 1 else _mul(other, alpha)))

    def sub_(self, other):
        """Subtract in place."""
        return self._update("sub", _sub(self, other))

    def mul_(self, other):
        """Multiply in place."""
        return self._update("mul", _mul(self, other))

    def div_(self, other):
        """Divide in place."""
        return self._update("div", _div(self, other))

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
    if x.dtype.kind in "iu" and x.dtype == y.dtype:
        return _wrap(_integer_matmul(x, y))
    needs = (a._requires_grad, b._requires_grad)

    def backward(dy):
        if not (x.size and y.size):  # empty sums
            return np.zeros_like(x), np.zeros_like(y)
        return kernels.matmul_backward(dy, x, y, needs=needs)

    return record("matmul", kernels.matmul(x, y), (a, b), backward, (a, b))


def _integer_matmul(x, y):
    """The matrix product of integers, which wraps around: a sum of outer products."""
    if not (x.ndim and y.ndim) or x.shape[-1] != y.shape[max(y.ndim - 2, 0)]:
        raise ValueError(f"matmul: inner dimensions differ: a is {x.shape}, b is {y.shape}")
    left, right = (x[None] if x.ndim == 1 else x), (y[:, None] if y.ndim == 1 else y)
    z = np.zeros(np.broadcast_shapes((*left.shape[:-1], 1), (*right.shape[:-2], 1, right.shape[-1])), x.dtype)
    for k in range(x.shape[-1]):
        z += left[..., k : k + 1] * right[..., k : k + 1, :]
    z = z[..., 0] if y.ndim == 1 else z
    return np.asarray(z[0] if x.ndim == y.ndim == 1 else z[..., 0, :] if x.ndim == 1 else z)


def _in_shape(name, x, sizes):
    """`x` in another shape, with an error that names the shapes."""
    if sizes and min(sizes) < -1:
        raise ValueError(f"{name}: lengths must not be negative, except one -1, got {tuple(sizes)}")
    try:
        return x.reshape(sizes)
    except ValueError:
        raise ValueError(f"{name}: {x.size} elements do not have the shape {tuple(sizes)}, x is {x.shape}") from None


def _reshaped(name, tensor, data):
    shape = tensor.data.shape
    return record(name, data, (tensor,), lambda dy: dy.reshape(shape), view=True)


def _dims(dim):
    return tuple(dim) if isinstance(dim, list) else dim


def _deviation(name, tensor, dim, correction):
    """The differences from the mean, the reduced dimensions as a tuple, and the number to divide by."""
    x = _floating(name, tensor)
    if isinstance(dim, bool):
        dim, correction = None, int(dim)
    correction = 1 if correction is None else correction
    dims = () if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    dims = tuple(_axis(name, d, x.ndim) for d in dims)
    if not dims or not x.ndim:
        dims = tuple(range(x.ndim))
    mean = kernels.mean(x, dims, True)
    return x - mean, dims, x.dtype.type(max(x.size // max(mean.size, 1) - correction, 0))


def _squeezed(y, dims, keepdim):
    """`y`, without the reduced dimensions unless `keepdim`."""
    return y if keepdim else y.squeeze(dims)


def _reduced(name, reduction, x, dim, keepdim):
    """A NumPy reduction as a tensor, over `dim`: an int, several, or None or an empty tuple for all."""
    dims = None if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else dim
    if isinstance(dims, tuple):
        dims = tuple(_axis(name, d, x.ndim) for d in dims) or None
    elif dims is not None:
        dims = _axis(name, dims, x.ndim)
    if not x.ndim:
        dims = None
    return _wrap(np.asarray(reduction(x, axis=dims, keepdims=keepdim)))


def _integer_extremum(name, extremum, arg_extremum, x, dim, keepdim):
    """Extrema and their first indices along `dim`, of an array of integers or bools."""
    axis = _axis(name, dim, x.ndim)
    if x.ndim and not x.shape[axis]:
        raise ValueError(f"{name}: nothing to reduce: dimension {dim} of {x.shape}")
    rows = x if x.ndim else x.reshape(1)
    keepdim = keepdim and x.ndim > 0
    indices = np.asarray(arg_extremum(rows, axis=axis, keepdims=keepdim))
    return ValuesIndices(_wrap(np.asarray(extremum(rows, axis=axis, keepdims=keepdim))), _wrap(indices))


def _axis(name, dim, ndim, argument="dim"):
    """`dim` counted from the front; IndexError if there is no such dimension (a 0-d tensor has 0 and -1)."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim % ndim
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise TypeError(f"{name}: {argument} must be an int, got {type(dim).__name__}")
    limit = max(ndim, 1)
    if not -limit <= dim < limit:
        raise IndexError(f"{name}: {argument} must be from {-limit} to {limit - 1}, got {dim}")
    return int(dim) % limit


def _inexact(tensor):
    """The values of a tensor, integers and bools as float32."""
    x = tensor.data
    return x if x.dtype.kind == "f" else x.astype(np.float32)


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
    """A tensor that shares the memory of an array: a change of one is a change of the other."""
    return Tensor(array)


def zeros(*size, dtype=np.float32, requires_grad=False):
    """A tensor of zeros."""
    return Tensor(np.zeros(_sizes(size), dtype), requires_grad=requires_grad)


def ones(*size, dtype=np.float32, requires_grad=False):
    """A tensor of ones."""
    return Tensor(np.ones(_sizes(size), dtype), requires_grad=requires_grad)


def full(size, fill_value, dtype=None, requires_grad=False):
    """A tensor filled with one number."""
    return Tensor(np.full(size, _array(fill_value, dtype)), requires_grad=requires_grad)


def arange(start, end=None, step=1, dtype=None):
    """The numbers from `start` (0 if only one bound is given) up to, but not including, `end`.

    Raises
    ------
    ValueError
        `step` is 0, or leads away from `end`.
    """
    start, end = (0, start) if end is None else (start, end)
    if step == 0:
        raise ValueError("arange: step must not be 0")
    if not all(map(math.isfinite, (start, end, step))):
        raise ValueError(f"arange: bounds and step must be finite, got {start}, {end} and {step}")
    if not (start <= end if step > 0 else start >= end):
        raise ValueError(f"arange: a step of {step} does not lead from {start} to {end}")
    if dtype is None:
        dtype = np.float32 if any(isinstance(v, float) for v in (start, end, step)) else np.int64
    return Tensor(np.arange(start, end, step, dtype))


def cat(tensors, dim=0):
    """Join tensors along a dimension.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of one dtype, and of one shape except in dimension `dim`; an empty 1-d tensor is accepted with any shape.
    dim : int, default 0

    Raises
    ------
    ValueError, TypeError
        Shapes or dtypes differ, a tensor has no dimension, or there is no tensor.
    IndexError
        There is no such dimension.
    """
    tensors = tuple(tensors)
    arrays = _same_dtype("cat", tensors)
    shapes = [x.shape for x in arrays]
    if () in shapes:
        raise ValueError(f"cat: a 0-d tensor, number {shapes.index(())}, has no dimension to join along; use stack")
    template = next((shape for shape in shapes if shape != (0,)), (0,))
    axis = _axis("cat", dim, len(template))
    rest = template[:axis], template[axis + 1 :]
    lengths = []
    for shape in shapes:
        if (shape[:axis], shape[axis + 1 :]) == rest and len(shape) == len(template):
            lengths.append(shape[axis])
        elif shape == (0,):
            lengths.append(0)
        else:
            raise ValueError(f"cat: shapes differ in more than dimension {dim}: {', '.join(map(str, shapes))}")
    ends = list(itertools.accumulate(lengths))[:-1]
    joined = [x for x in arrays if x.ndim == len(template)]

    def backward(dy):
        parts = np.split(dy, ends, axis=axis)
        return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))

    return record("cat", np.concatenate(joined, axis=axis), tensors, backward)


def stack(tensors, dim=0):
    """Join tensors of one shape along a new dimension.

    Parameters
    ----------
    tensors : sequence of Tensor
        Of one shape and dtype.
    dim : int, default 0
        Index of the new dimension in the result.

    Raises
    ------
    ValueError, TypeError
        Shapes or dtypes differ, or there is no tensor.
    IndexError
        The result has no such dimension.
    """
    tensors = tuple(tensors)
    arrays = _same_dtype("stack", tensors)
    if len({x.shape for x in arrays}) > 1:
        raise ValueError(f"stack: shapes differ: {', '.join(str(x.shape) for x in arrays)}")
    axis = _axis("stack", dim, arrays[0].ndim + 1)
    return record("stack", np.stack(arrays, axis=axis), tensors, lambda dy: tuple(np.moveaxis(dy, axis, 0)))


def _same_dtype(name, tensors):
    if not tensors:
        raise ValueError(f"{name}: needs at least one tensor, got none")
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}: expected Tensors, got {type(t).__name__}")
    arrays = [t.data for t in tensors]
    if len({x.dtype for x in arrays}) > 1:
        raise TypeError(f"{name}: dtypes differ: {', '.join(str(x.dtype) for x in arrays)}")
    return arrays

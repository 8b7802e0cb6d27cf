"""Changes in place, recorded or not, of a tensor and of the views that share its memory."""

import ctypes
from functools import partial

import numpy as np

from nn.operations.conversion import to
from nn.storage import Memory, edge
from nn.tape import Node, base_of, record_linear


def become(tensor, result):
    """Finish an operation in place: `tensor` takes over the value and the node of `result`, and is returned.

    If the operation is not recorded, the values are written to the tensor's memory. If it is, the tensor moves to
    new memory, so that what earlier operations saved is unchanged, and the other tensors on the old memory with it.
    """
    if not result._requires_grad:
        np.copyto(tensor.array, result.array)
        tensor._memory.version += 1
        return tensor
    name = result._node.name
    if tensor._requires_grad and tensor._node is None:
        raise RuntimeError(f"{name}: a leaf that requires a gradient changes in place only under no_grad()")
    if tensor._memory.is_shared():
        _move_all(name, tensor, result)
    else:
        tensor.array, tensor._node, tensor._memory, tensor._base = result.array, result._node, Memory(), None
        tensor._requires_grad = True
    return tensor


class _Block:
    """The bytes of the memory of several arrays, copied, and where the elements of each are."""

    def __init__(self, arrays):
        bounds = [np.lib.array_utils.byte_bounds(array) for array in arrays]
        self.low = min(low for low, _ in bounds)
        self.size = max(high for _, high in bounds) - self.low
        self.bytes = np.empty(self.size, np.uint8)
        if self.size:
            self.bytes[...] = np.ctypeslib.as_array((ctypes.c_uint8 * self.size).from_address(self.low))

    def layout(self, array):
        """Where the elements of an array are."""
        return array.shape, array.dtype, array.__array_interface__["data"][0] - self.low, array.strides


def _placed(layout, memory):
    """The array of this layout in a block of memory."""
    shape, dtype, offset, strides = layout
    return np.ndarray(shape, dtype, memory, offset, strides)


def _move_all(name, tensor, result):
    """Move all tensors on one memory to a copy of it, in which `tensor` has the value of `result`.

    The base, of which `tensor` is a view, gets a node with two inputs: its former value, and `result`. Its other views
    become views of the new value. Tensors that were detached see the new values and have no part in the tape.
    """
    base = base_of(tensor)
    if base._requires_grad and base._node is None:
        raise RuntimeError(f"{name}: a view of a leaf that requires a gradient changes in place only under no_grad()")
    if overlaps_itself(tensor.array) or overlaps_itself(base.array):
        raise RuntimeError(f"{name}: in place on an expanded tensor, whose elements share memory; clone() it first")
    living = tensor._memory.living()
    block, memory = _Block([t.array for t in living]), Memory()
    whole, part = block.layout(base.array), block.layout(tensor.array)
    layouts = [block.layout(t.array) for t in living]
    _placed(part, block.bytes)[...] = result.array
    node = result._node
    if tensor is not base:
        backward, derivative = _replacement(block.size, whole, part)
        node = Node(name, [edge(base), edge(result)], backward, (), derivative)
    for t, layout in zip(living, layouts, strict=True):
        t.array = _placed(layout, block.bytes)
        if t is not base:
            memory.share(base, t)
        if t is base:
            t._node, t._requires_grad, t._memory = node, True, memory
        elif t._base is base:
            take, put = _view(block.size, whole, layout)
            t._node, t._requires_grad = Node("view", [node], put, (), partial(record_linear, "view", put, take)), True


def overlaps_itself(array):
    """Whether elements may share memory: some stride is shorter than what the dimensions of shorter strides reach."""
    reach = array.itemsize
    for stride, length in sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True)):
        if length > 1:
            if stride < reach:
                return True
            reach += stride * (length - 1)
    return False


def _view(size, whole, part):
    """The functions from an array to its part, and from a part to an array that is 0 elsewhere."""

    def take(x):
        memory = np.empty(size, np.uint8)
        _placed(whole, memory)[...] = x
        return _placed(part, memory)

    def put(y):
        memory = np.zeros(size, np.uint8)
        _placed(part, memory)[...] = y
        return _placed(whole, memory)

    return take, put


def _replacement(size, whole, part):
    """The backward function, and its derivative, of an array whose part was replaced."""
    take, put = _view(size, whole, part)

    def rest(x):
        memory = np.empty(size, np.uint8)
        copy = _placed(whole, memory)
        copy[...] = x
        _placed(part, memory)[...] = 0
        return copy

    def backward(dy):
        return rest(dy), take(dy)

    def derivative(dy):
        return record_linear("view", rest, rest, dy), record_linear("view", take, put, dy)

    return backward, derivative


def _updated(name, tensor, result):
    """As `become`, for a result of any shape and dtype: shapes must agree, only integers and bools are converted."""
    old, new = tensor.array, result.array
    if new.shape != old.shape:
        raise ValueError(f"{name}: in place, shapes differ: the tensor is {old.shape}, the result {new.shape}")
    if new.dtype != old.dtype:
        if new.dtype.kind == "f" or old.dtype.kind == "b":
            raise TypeError(f"{name}: in place, dtypes differ: the tensor is {old.dtype}, the result {new.dtype}")
        result = to(result, old.dtype)
    return become(tensor, result)


def in_place(function):
    """The form of an operation that changes its first argument: ``add_`` of ``add``."""
    name = function.__name__

    def change(input, *args, **options):
        return _updated(name, input, function(input, *args, **options))

    change.__name__ = change.__qualname__ = f"{name}_"
    change.__doc__ = f"As `{name}`, in place."
    change.__wrapped__ = function  # whose signature is this one's
    return change

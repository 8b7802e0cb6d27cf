"""The memory of an array as a plain address, which costs nothing to pass from function to function.

A Numba array carries a reference count: each function that takes one may raise it on entry and lower it after the last
use, with a call in the middle of a loop that makes the compiler save every vector register. `Memory` has none. It is
indexed like an array (from the first element, unchecked), knows its dtype, and nothing else; whoever owns the elements
keeps them alive: use it for arguments, which the caller holds, or with `allocate` and `release`.
"""

import ctypes
import operator

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.datamodel import models, register_default
from numba.core.imputils import impl_ret_untracked, lower_builtin, lower_getattr
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
from numpy.lib.stride_tricks import as_strided

from kernels._plain import intrinsic

_BYTES = ir.IntType(8).as_pointer()
LINE = 64  # bytes of a cache line


class Memory(types.Type):
    """Elements of `dtype` from an address on."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(name=f"Memory({dtype})")


class View(types.Type):
    """A part of a matrix: see `view`."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(name=f"View({dtype})")


@register_default(Memory)
class _MemoryModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, dmm.lookup(fe_type.dtype).get_data_type().as_pointer())  # as it lies in memory


def emit_pointer(context, builder, array_type, array, offset):
    """Address of element `offset` of an array's memory, of `Memory`, or of a view's first row."""
    return builder.gep(_data(context, builder, array_type, array), [offset])


def _data(context, builder, kind, value):
    """Address of the first element of an array, of `Memory` or of a view."""
    if isinstance(kind, Memory):
        return value
    if isinstance(kind, View):
        return builder.extract_value(value, 0)
    return context.make_array(kind)(context, builder, value).data


# --- the same in plain Python, for debuggers -------------------------------------------------------------------------


class Elements:
    """`Memory` where nothing is compiled: element `start` of a 1-D array and all around it, none outside the array."""

    def __init__(self, array, start=0):
        self.array, self.start, self.dtype = array, start, array.dtype

    def _at(self, i):
        if not 0 <= self.start + i < self.array.size:
            raise IndexError(f"no element {i}: there are {-self.start} to {self.array.size - self.start - 1}")
        return self.start + i

    def __getitem__(self, i):
        return self.array[self._at(i)]

    def __setitem__(self, i, value):
        self.array[self._at(i)] = value


def _plain_flat(array):
    if isinstance(array, Elements):
        return array
    if array.flags.c_contiguous or not array.size:
        return Elements(array.reshape(-1))
    lowest = array[tuple(slice(None, None, -1 if step < 0 else 1) for step in array.strides)]
    reach = sum((size - 1) * step for size, step in zip(lowest.shape, lowest.strides, strict=True))
    elements = as_strided(lowest, (reach // array.itemsize + 1,), (array.itemsize,))
    return Elements(elements, (array.ctypes.data - lowest.ctypes.data) // array.itemsize)


def _plain_array_at(address, size, like):
    memory = (ctypes.c_byte * (int(size) * like.dtype.itemsize)).from_address(int(address))
    return np.ndarray(int(size), like.dtype, memory)


def _plain_address(array):
    memory = _plain_flat(array)
    return memory.array.ctypes.data + memory.start * memory.dtype.itemsize


def _plain_allocate(like, count):
    return Elements(np.empty(count, like if isinstance(like, (type, np.dtype)) else like.dtype))


# --- in compiled code ------------------------------------------------------------------------------------------------


@intrinsic(plain=_plain_flat)
def flat(typingctx, array):
    """The `Memory` of `array`, of any layout, or of a view, from its first element on."""

    def lower(context, builder, signature, arguments):
        return _data(context, builder, array, arguments[0])

    return Memory(array.dtype)(array), lower


@intrinsic(plain=lambda memory, offset: Elements(memory.array, memory.start + offset))
def shifted(typingctx, memory, offset):
    """`Memory` from element `offset` of `memory` on."""

    def lower(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return memory(memory, types.intp), lower


@intrinsic(plain=lambda arrays: tuple(_plain_flat(x) if isinstance(x, np.ndarray) else x for x in arrays))
def flat_each(typingctx, arrays):
    """The `Memory` of each array of a tuple; what is no array stays as it is."""
    kinds = [Memory(kind.dtype) if isinstance(kind, types.Array) else kind for kind in arrays]

    def lower(context, builder, signature, arguments):
        values = []
        for i, kind in enumerate(arrays):
            value = builder.extract_value(arguments[0], i)
            is_array = isinstance(kind, types.Array)
            values.append(context.make_array(kind)(context, builder, value).data if is_array else value)
        return context.make_tuple(builder, signature.return_type, values)

    return types.Tuple(kinds)(arrays), lower


@intrinsic(plain=_plain_address)
def address(typingctx, array):
    """Where in memory the first element of `array` lies."""

    def lower(context, builder, signature, arguments):
        first = emit_pointer(context, builder, array, arguments[0], context.get_constant(types.intp, 0))
        return builder.ptrtoint(first, context.get_value_type(types.intp))

    return types.intp(array), lower


@intrinsic(plain=_plain_array_at)
def array_at(typingctx, address, size, like):
    """The `size` elements at an address in memory as a 1-D array of `like`'s dtype; the caller keeps them alive."""
    from numba.np.arrayobj import populate_array  # takes 20 ms, which `import kernels` need not spend

    result = types.Array(like.dtype, 1, "C")

    def lower(context, builder, signature, arguments):
        address, size, _ = arguments
        itemsize = context.get_constant(types.intp, like.dtype.bitwidth // 8)
        array = context.make_array(result)(context, builder)
        data = builder.inttoptr(address, context.get_data_type(like.dtype).as_pointer())
        populate_array(array, data, shape=[size], strides=[itemsize], itemsize=itemsize, meminfo=None)
        return array._getvalue()

    return result(types.intp, types.intp, like), lower


@intrinsic(plain=_plain_allocate)
def allocate(typingctx, like, count):
    """`Memory` for `count` elements of `like`'s dtype (or of dtype `like`), until it is freed by `release`.

    It begins at a cache line, so that no vector of a packed panel straddles two.
    """

    def lower(context, builder, signature, arguments):
        word = context.get_value_type(types.intp)
        size = builder.mul(arguments[1], context.get_constant(types.intp, like.dtype.bitwidth // 8))
        whole = context.nrt.allocate(builder, builder.add(size, ir.Constant(word, 2 * LINE)))
        # the first line boundary after the start; what `release` needs stands in the word before it
        start = builder.add(builder.ptrtoint(whole, word), ir.Constant(word, 2 * LINE - 1))
        aligned = builder.inttoptr(builder.and_(start, ir.Constant(word, -LINE)), _BYTES)
        builder.store(whole, _before(builder, aligned))
        return builder.bitcast(aligned, context.get_value_type(signature.return_type))

    return Memory(like.dtype)(like, types.intp), lower


@intrinsic(plain=lambda memory: None)
def release(typingctx, memory):
    """Free the memory of `allocate`."""

    def lower(context, builder, signature, arguments):
        context.nrt.free(builder, builder.load(_before(builder, builder.bitcast(arguments[0], _BYTES))))
        return context.get_dummy_value()

    return types.void(memory), lower


def _before(builder, aligned):
    """Where the address of the whole allocation stands."""
    return builder.gep(builder.bitcast(aligned, _BYTES.as_pointer()), [ir.Constant(ir.IntType(64), -1)])


@infer_getattr
class _Attributes(AttributeTemplate):
    key = Memory

    def resolve_dtype(self, memory):
        return types.DType(memory.dtype)


@lower_getattr(Memory, "dtype")
def _dtype(context, builder, memory, value):
    return context.get_dummy_value()


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, arguments, keywords):
        memory, index = arguments
        if isinstance(memory, Memory) and isinstance(index, types.Integer):
            return signature(memory.dtype, memory, types.intp)


@lower_builtin(operator.getitem, Memory, types.Integer)
def _get(context, builder, signature, arguments):
    memory, index = arguments
    value = context.unpack_value(builder, signature.return_type, builder.gep(memory, [index]))
    return impl_ret_untracked(context, builder, signature.return_type, value)


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, arguments, keywords):
        memory, index, value = arguments
        if isinstance(memory, Memory) and isinstance(index, types.Integer):
            return signature(types.none, memory, types.intp, memory.dtype)


@lower_builtin(operator.setitem, Memory, types.Integer, types.Any)
def _set(context, builder, signature, arguments):
    memory, index, value = arguments
    context.pack_value(builder, signature.args[2], value, builder.gep(memory, [index]))
    return context.get_dummy_value()

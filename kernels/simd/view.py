"""A view: a part of a matrix as one Numba value, {address, row stride, column stride}.

``A.at(i, j)`` is the view that begins at element (i, j): nothing is copied, an address is moved. A view has no length;
a loop's bounds say what it may touch. Strides are in elements:

            A = view(a), a of shape (4, 6), C-contiguous           A.at(1, 2)

            .  .  .  .  .  .     row stride 6: a step down         .  .  .  .  .  .
            .  .  .  .  .  .     column stride 1: to the right     .  .  x  x  x  x
            .  .  .  .  .  .     A.T: the two strides swapped      .  .  x  x  x  x
            .  .  .  .  .  .                                       .  .  x  x  x  x

Where vectors are loaded or stored, the elements of a row must lie side by side (column stride 1). A view used as a
vector (``load(A, j)``, ``A[j]``) is its first row.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models, register_default
from numba.core.imputils import impl_ret_untracked, lower_builtin, lower_getattr
from numba.core.typing.templates import (
    AbstractTemplate,
    AttributeTemplate,
    bound_function,
    infer_getattr,
    infer_global,
    signature,
)

from kernels._plain import intrinsic
from kernels.simd.memory import View

_WORD = ir.IntType(64)
_ONE, _ZERO = ir.Constant(_WORD, 1), ir.Constant(_WORD, 0)


@register_default(View)
class _ViewModel(models.StructModel):
    def __init__(self, dmm, fe_type):
        members = [("data", types.CPointer(fe_type.dtype)), ("row_stride", types.intp), ("column_stride", types.intp)]
        super().__init__(dmm, fe_type, members)


def parts(context, builder, kind, value=None):
    """The fields of a view's value; without one, of a view to be filled in."""
    return cgutils.create_struct_proxy(kind)(context, builder, value=value)


def _made(context, builder, kind, data, row_stride, column_stride):
    made = parts(context, builder, kind)
    made.data, made.row_stride, made.column_stride = data, row_stride, column_stride
    return made._getvalue()


def emit_element(builder, view, i, j):
    """Address of element (i, j), each an LLVM value or a Python integer."""
    offset = builder.add(_times(builder, view.row_stride, i), _times(builder, view.column_stride, j))
    return builder.gep(view.data, [offset])


def _times(builder, stride, index):
    if isinstance(index, int):
        return builder.mul(stride, ir.Constant(_WORD, index)) if index else _ZERO
    return builder.mul(stride, index)


# --- views of arrays -------------------------------------------------------------------------------------------------


def _strides(builder, kind, array):
    """Row and column stride of the last two axes, in elements; those of a C-contiguous array need no division."""
    if kind.layout == "C":
        return (cgutils.unpack_tuple(builder, array.shape)[-1] if kind.ndim > 1 else _ZERO), _ONE
    size = ir.Constant(_WORD, kind.dtype.bitwidth // 8)
    steps = [builder.sdiv(stride, size) for stride in cgutils.unpack_tuple(builder, array.strides)]
    # NumPy gives a single column any stride
    single = builder.icmp_signed("<=", cgutils.unpack_tuple(builder, array.shape)[-1], _ONE)
    return (steps[-2] if kind.ndim > 1 else _ZERO), builder.select(single, _ONE, steps[-1])


@intrinsic
def view(typingctx, array):
    """The view of a whole matrix, of any strides; a 1-D array is one row."""
    if not isinstance(array, types.Array) or array.ndim > 2:
        return None
    kind = View(array.dtype)

    def lower(context, builder, signature, arguments):
        source = context.make_array(array)(context, builder, arguments[0])
        return _made(context, builder, kind, source.data, *_strides(builder, array, source))

    return kind(array), lower


@intrinsic
def matrix_at(typingctx, array, index):
    """The view of the matrix ``array[index]``: `index` has a number for each axis but the last two."""
    if not isinstance(array, types.Array) or len(index) != array.ndim - 2:
        return None
    kind, numbers = View(array.dtype), types.UniTuple(types.intp, len(index))

    def lower(context, builder, signature, arguments):
        source = context.make_array(array)(context, builder, arguments[0])
        strides = cgutils.unpack_tuple(builder, source.strides)
        place = builder.ptrtoint(source.data, _WORD)
        for stride, i in zip(strides, cgutils.unpack_tuple(builder, arguments[1]), strict=False):
            place = builder.add(place, builder.mul(stride, i))
        data = builder.inttoptr(place, source.data.type)
        return _made(context, builder, kind, data, *_strides(builder, array, source))

    return kind(array, numbers), lower


@intrinsic
def strided(typingctx, memory, row_stride, column_stride):
    """The view of `Memory` (or of another view's elements) with these strides."""
    kind = View(memory.dtype)

    def lower(context, builder, signature, arguments):
        data, row_stride, column_stride = arguments
        if isinstance(memory, View):
            data = parts(context, builder, kind, data).data
        return _made(context, builder, kind, data, row_stride, column_stride)

    return kind(memory, types.intp, types.intp), lower


# --- methods and elements --------------------------------------------------------------------------------------------


@infer_getattr
class _Attributes(AttributeTemplate):
    key = View

    def resolve_dtype(self, view):
        return types.DType(view.dtype)

    def resolve_row_stride(self, view):
        return types.intp

    def resolve_column_stride(self, view):
        return types.intp

    def resolve_T(self, view):
        return view

    @bound_function("View.at")
    def resolve_at(self, view, arguments, keywords):
        """The view that begins at element (i, j)."""
        return signature(view, types.intp, types.intp)

    @bound_function("View.row")
    def resolve_row(self, view, arguments, keywords):
        """The view that begins at row i."""
        return signature(view, types.intp)

    @bound_function("View.column")
    def resolve_column(self, view, arguments, keywords):
        """The view that begins at column j."""
        return signature(view, types.intp)


@lower_getattr(View, "dtype")
def _dtype(context, builder, kind, value):
    return context.get_dummy_value()


@lower_getattr(View, "row_stride")
def _row_stride(context, builder, kind, value):
    return parts(context, builder, kind, value).row_stride


@lower_getattr(View, "column_stride")
def _column_stride(context, builder, kind, value):
    return parts(context, builder, kind, value).column_stride


@lower_getattr(View, "T")
def _transposed(context, builder, kind, value):
    source = parts(context, builder, kind, value)
    return _made(context, builder, kind, source.data, source.column_stride, source.row_stride)


def _moved(context, builder, kind, value, i, j):
    source = parts(context, builder, kind, value)
    data = emit_element(builder, source, i, j)
    return _made(context, builder, kind, data, source.row_stride, source.column_stride)


@lower_builtin("View.at", View, types.intp, types.intp)
def _at(context, builder, signature, arguments):
    return _moved(context, builder, signature.args[0], *arguments)


@lower_builtin("View.row", View, types.intp)
def _row(context, builder, signature, arguments):
    return _moved(context, builder, signature.args[0], *arguments, 0)


@lower_builtin("View.column", View, types.intp)
def _column(context, builder, signature, arguments):
    view, j = arguments
    return _moved(context, builder, signature.args[0], view, 0, j)


def _place(index):
    """The type of an index: one number, or a row and a column; None for anything else."""
    if isinstance(index, types.Integer):
        return types.intp
    if isinstance(index, types.BaseTuple) and len(index) == 2 and all(isinstance(i, types.Integer) for i in index):
        return types.UniTuple(types.intp, 2)
    return None


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, arguments, keywords):
        view, index = arguments
        if isinstance(view, View) and (place := _place(index)) is not None:
            return signature(view.dtype, view, place)


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, arguments, keywords):
        view, index, value = arguments
        if isinstance(view, View) and (place := _place(index)) is not None:
            return signature(types.none, view, place, view.dtype)


def _address(context, builder, signature, arguments):
    view = parts(context, builder, signature.args[0], arguments[0])
    if isinstance(signature.args[1], types.BaseTuple):
        return emit_element(builder, view, *cgutils.unpack_tuple(builder, arguments[1]))
    return emit_element(builder, view, 0, arguments[1])


@lower_builtin(operator.getitem, View, types.intp)
@lower_builtin(operator.getitem, View, types.UniTuple(types.intp, 2))
def _get(context, builder, signature, arguments):
    value = context.unpack_value(builder, signature.return_type, _address(context, builder, signature, arguments))
    return impl_ret_untracked(context, builder, signature.return_type, value)


@lower_builtin(operator.setitem, View, types.intp, types.Any)
@lower_builtin(operator.setitem, View, types.UniTuple(types.intp, 2), types.Any)
def _set(context, builder, signature, arguments):
    context.pack_value(builder, signature.args[2], arguments[2], _address(context, builder, signature, arguments[:2]))
    return context.get_dummy_value()

"""`Tensor` as users know it: the operations of `nn.operations` as its methods and operators."""

import numpy as np

from nn import constructors, random, random_in_place
from nn.autograd.gradients import backward_from
from nn.autograd.hooks import register_hook, retain_grad
from nn.operations import (
    aliases,
    arithmetic,
    comparison,
    conversion,
    counting,
    creation_like,
    deviations,
    elementwise,
    elementwise_functions,
    elementwise_rounding,
    elementwise_several,
    extremes,
    indexing,
    joining,
    layout,
    lookup,
    matrices,
    norms,
    orders,
    products,
    reductions,
    repeating,
    scans,
    scattering,
    shapes,
    sorting,
    sparse,
    strides,
)
from nn.operations.arguments import bool_of
from nn.operations.in_place import in_place
from nn.storage import Tensor

METHODS = (
    *(register_hook, retain_grad),
    *(arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div, arithmetic.neg, arithmetic.abs),
    *(arithmetic.matmul, arithmetic.maximum, arithmetic.minimum),
    *(comparison.all, comparison.any),
    *(conversion.to, conversion.clone, conversion.detach, conversion.float, conversion.double, conversion.long),
    *(conversion.bool,),
    *(elementwise.pow, elementwise.exp, elementwise.relu, elementwise.sigmoid, elementwise.tanh, elementwise.log),
    *(elementwise.sqrt, elementwise.clamp, elementwise.masked_fill),
    *(reductions.sum, reductions.mean, deviations.var, deviations.std, extremes.max, extremes.min),
    *(extremes.argmax, extremes.argmin, reductions.prod, reductions.logsumexp),
    *(reductions.softmax, reductions.log_softmax),
    *(shapes.reshape, shapes.view, shapes.flatten, shapes.squeeze, shapes.unsqueeze, orders.transpose),
    *(orders.permute, shapes.expand, joining.chunk, joining.unbind),
    *(shapes.reshape_as, shapes.view_as, shapes.ravel, shapes.unflatten, shapes.expand_as, shapes.broadcast_to),
    *(orders.swapaxes, orders.swapdims, orders.t, orders.movedim, orders.moveaxis, orders.flip, orders.fliplr),
    *(orders.flipud, orders.roll, orders.rot90),
    *(joining.split_with_sizes, joining.tensor_split, joining.hsplit, joining.vsplit, joining.dsplit),
    *(joining.narrow, joining.select),
    *(repeating.repeat, repeating.tile, repeating.repeat_interleave, repeating.kron, repeating.unfold),
    *(reductions.nansum, reductions.nanmean, reductions.count_nonzero),
    *(extremes.amax, extremes.amin, extremes.aminmax, norms.norm, norms.dist),
    *(products.mm, products.bmm, products.mv, products.dot, products.vdot, products.inner, products.outer),
    *(products.ger, products.addmm, products.addmv, products.addr, products.baddbmm, products.addbmm),
    *(lookup.index_select, lookup.gather, lookup.take_along_dim, lookup.take, lookup.masked_select),
    *(scans.cummax, scans.cummin, scans.logcumsumexp, scans.diff),
    *(sorting.sort, sorting.argsort, sorting.msort, sorting.topk, sorting.kthvalue, sorting.median),
    *(sorting.nanmedian, sorting.quantile, sorting.nanquantile, sorting.unique, sorting.unique_consecutive),
    *(counting.nonzero, counting.argwhere, counting.bincount, counting.histc),
)
# What has a form in place, too: arithmetic, comparison and logic, functions of each element, scatters and scans.
CHANGING = (
    *(arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div, arithmetic.neg, arithmetic.abs),
    *(arithmetic.floor_divide, arithmetic.fmod, arithmetic.remainder),
    *(elementwise.pow, elementwise.exp, elementwise.relu, elementwise.sigmoid, elementwise.tanh, elementwise.log),
    *(elementwise.sqrt, elementwise.clamp, elementwise.masked_fill),
    *(elementwise_functions.sin, elementwise_functions.cos, elementwise_functions.tan),
    *(elementwise_functions.asin, elementwise_functions.acos, elementwise_functions.atan),
    *(elementwise_functions.sinh, elementwise_functions.cosh, elementwise_functions.asinh),
    *(elementwise_functions.acosh, elementwise_functions.atanh, elementwise_functions.exp2),
    *(elementwise_functions.expm1, elementwise_functions.log2, elementwise_functions.log10),
    *(elementwise_functions.log1p, elementwise_functions.rsqrt, elementwise_functions.reciprocal),
    *(elementwise_functions.logit, elementwise_functions.square, elementwise_functions.deg2rad),
    *(elementwise_functions.rad2deg, elementwise_functions.erf, elementwise_functions.erfc),
    *(elementwise_functions.lgamma, elementwise_functions.digamma, elementwise_functions.erfinv),
    *(elementwise_rounding.floor, elementwise_rounding.ceil, elementwise_rounding.trunc),
    *(elementwise_rounding.round, elementwise_rounding.frac, elementwise_rounding.sign),
    *(elementwise_rounding.copysign, elementwise_rounding.heaviside),
    *(elementwise_several.atan2, elementwise_several.hypot, elementwise_several.lerp),
    *(elementwise_several.addcmul, elementwise_several.addcdiv, elementwise_several.true_divide),
    *(elementwise_several.float_power, elementwise_several.clamp_min, elementwise_several.clamp_max),
    *(elementwise_several.nan_to_num,),
    *(comparison.eq, comparison.ne, comparison.lt, comparison.le, comparison.gt, comparison.ge),
    *(comparison.logical_and, comparison.logical_or, comparison.logical_xor, comparison.logical_not),
    *(comparison.bitwise_and, comparison.bitwise_or, comparison.bitwise_xor, comparison.bitwise_not),
    *(comparison.bitwise_left_shift, comparison.bitwise_right_shift),
    *(matrices.tril, matrices.triu, lookup.masked_scatter, lookup.index_fill, scattering.index_copy),
    *(scattering.scatter, scattering.scatter_add, scattering.scatter_reduce, scattering.index_add),
    *(scans.cumsum, scans.cumprod),
)
SURFACE = (
    *(conversion.type, conversion.type_as, conversion.cpu, conversion.cuda, conversion.pin_memory),
    *(conversion.contiguous, conversion.detach_, conversion.half, conversion.bfloat16, conversion.int),
    *(conversion.short, conversion.char, conversion.byte),
    *(layout.size, layout.dim, layout.numel, layout.stride, layout.is_contiguous, layout.data_ptr),
    *(layout.storage_offset, layout.element_size, layout.get_device, layout.is_pinned),
    *(creation_like.new_zeros, creation_like.new_ones, creation_like.new_empty, creation_like.new_full),
    creation_like.new_tensor,
    *(matrices.diagonal, matrices.diag, matrices.diag_embed, matrices.trace),
    *(comparison.equal, comparison.isclose, comparison.allclose, comparison.isnan, comparison.isinf),
    *(comparison.isfinite, comparison.isposinf, comparison.isneginf, comparison.is_floating_point),
    *(comparison.is_complex, comparison.is_signed, comparison.is_nonzero),
    *(elementwise_rounding.signbit, elementwise_several.positive, elementwise_several.logaddexp),
    *(
        random_in_place.uniform_,
        random_in_place.normal_,
        random_in_place.log_normal_,
        random_in_place.exponential_,
        random_in_place.geometric_,
        random_in_place.cauchy_,
    ),
    *(random_in_place.bernoulli_, random_in_place.random_, random.bernoulli, random.multinomial),
    *(strides.as_strided, strides.as_strided_, strides.squeeze_, strides.unsqueeze_, strides.t_, strides.transpose_),
    *(strides.swapaxes_, strides.swapdims_, strides.resize_, sorting.mode),
    *(sparse.to_sparse, sparse.to_dense, sparse.coalesce, constructors.new),
)


def reflected(function):
    """The operator for a tensor on the right: ``other - tensor``."""

    def operator(input, other):
        return function(other, input)

    operator.__name__, operator.is_reflected = function.__name__, True
    return operator


for function in (*METHODS, *SURFACE):
    setattr(Tensor, function.__name__, function)
for function in CHANGING:
    changing = in_place(function)
    second = [name for name, other in vars(aliases).items() if other is function]
    for name in (function.__name__, *second):
        setattr(Tensor, name, function)
        setattr(Tensor, f"{name}_", changing)

Tensor.__add__ = Tensor.__radd__ = arithmetic.add
Tensor.__mul__ = Tensor.__rmul__ = arithmetic.mul
Tensor.__sub__, Tensor.__rsub__ = arithmetic.sub, reflected(arithmetic.sub)
Tensor.__truediv__, Tensor.__rtruediv__ = arithmetic.div, reflected(arithmetic.div)
Tensor.__pow__, Tensor.__rpow__ = elementwise.pow, reflected(elementwise.pow)
Tensor.__matmul__, Tensor.__rmatmul__ = arithmetic.matmul, reflected(arithmetic.matmul)
Tensor.__neg__, Tensor.__abs__, Tensor.__invert__ = arithmetic.neg, arithmetic.abs, comparison.bitwise_not
Tensor.__iadd__, Tensor.__isub__ = Tensor.add_, Tensor.sub_
Tensor.__imul__, Tensor.__itruediv__ = Tensor.mul_, Tensor.div_
Tensor.__eq__, Tensor.__ne__ = comparison.eq.operator, comparison.ne.operator
Tensor.__lt__, Tensor.__le__ = comparison.lt.operator, comparison.le.operator
Tensor.__gt__, Tensor.__ge__ = comparison.gt.operator, comparison.ge.operator
Tensor.__floordiv__, Tensor.__rfloordiv__ = arithmetic.floor_divide, reflected(arithmetic.floor_divide)
Tensor.__mod__, Tensor.__rmod__ = arithmetic.remainder, reflected(arithmetic.remainder)
Tensor.__ipow__, Tensor.__imod__, Tensor.__ifloordiv__ = Tensor.pow_, Tensor.remainder_, Tensor.floor_divide_
Tensor.__and__ = Tensor.__rand__ = comparison.bitwise_and.operator
Tensor.__or__ = Tensor.__ror__ = comparison.bitwise_or.operator
Tensor.__xor__ = Tensor.__rxor__ = comparison.bitwise_xor.operator
Tensor.__iand__, Tensor.__ior__, Tensor.__ixor__ = Tensor.bitwise_and_, Tensor.bitwise_or_, Tensor.bitwise_xor_
Tensor.__lshift__, Tensor.__rlshift__ = comparison.bitwise_left_shift, reflected(comparison.bitwise_left_shift)
Tensor.__rshift__, Tensor.__rrshift__ = comparison.bitwise_right_shift, reflected(comparison.bitwise_right_shift)
Tensor.__getitem__, Tensor.__setitem__ = indexing.getitem, indexing.setitem
Tensor.T, Tensor.mT = property(orders.reversed_dims), property(orders.matrix_transpose)
Tensor.H, Tensor.mH = property(orders.hermitian), property(orders.matrix_transpose)
Tensor.device, Tensor.layout = property(layout.device_of), layout.strided
Tensor.itemsize, Tensor.nbytes = property(layout.element_size), property(layout.nbytes)
for name in ("cuda", "mps", "xpu", "hpu", "ipu", "maia", "mtia", "vulkan", "xla", "meta", "mkldnn", "nested", "sparse"):
    setattr(Tensor, f"is_{name}", False)
Tensor.is_sparse_csr = Tensor.is_quantized = False
Tensor.nelement, Tensor.ndimension = layout.numel, layout.dim


def copy_(input, src, non_blocking=False):
    """Overwrite with the values of another tensor, which broadcast."""
    if non_blocking is not False:
        bool_of("copy_", "non_blocking", non_blocking)
    input[...] = src
    return input


def fill_(input, value):
    """Overwrite every element with a number."""
    input[...] = value
    return input


def zero_(input):
    """Overwrite every element with 0."""
    return fill_(input, 0)


def fill_diagonal_(input, fill_value, wrap=False):
    """Overwrite the elements whose indices are all the same; with `wrap`, that of a tall matrix starts again."""
    mask, wrap = np.zeros(input.array.shape, bool), bool_of("fill_diagonal_", "wrap", wrap)
    np.fill_diagonal(mask, True, wrap)
    return input.masked_fill_(mask, fill_value)


def resize_as_(input, tensor, memory_format=layout.contiguous_format):
    """Change the shape in place to that of another tensor: see `resize_`."""
    return strides.resize_(input, tensor.array.shape, memory_format=memory_format)


def split(input, split_size, dim=0):
    """Split along `dim` into a tuple of parts of length `split_size`, the last maybe shorter, or of listed lengths."""
    return joining.split(input, split_size, dim)


def where(input, condition, other):
    """Elements of this tensor where `condition` holds, of `other` elsewhere; all three broadcast."""
    return elementwise.where(condition, input, other)


def iterate(input):
    """The slices along the first dimension."""
    if not input.array.ndim:
        raise TypeError("iter: cannot iterate over a 0-d tensor")
    return (input[i] for i in range(len(input.array)))


for function in (copy_, fill_, zero_, fill_diagonal_, resize_as_, split, where):
    setattr(Tensor, function.__name__, function)
Tensor.backward, Tensor.__iter__ = backward_from, iterate

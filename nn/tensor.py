"""`Tensor` as users know it: the operations of `nn.operations` as its methods and operators."""

from nn.autograd.gradients import backward_from
from nn.autograd.hooks import register_hook, retain_grad
from nn.operations import (
    arithmetic,
    comparison,
    conversion,
    counting,
    deviations,
    elementwise,
    extremes,
    indexing,
    joining,
    lookup,
    norms,
    orders,
    products,
    reductions,
    repeating,
    scans,
    scattering,
    shapes,
    sorting,
)
from nn.operations.arguments import axis_of
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
    *(lookup.masked_scatter, lookup.index_fill),
    *(scattering.scatter, scattering.scatter_add, scattering.scatter_reduce, scattering.index_add),
    *(scattering.index_copy,),
    *(scans.cumsum, scans.cumprod, scans.cummax, scans.cummin, scans.logcumsumexp, scans.diff),
    *(sorting.sort, sorting.argsort, sorting.msort, sorting.topk, sorting.kthvalue, sorting.median),
    *(sorting.nanmedian, sorting.quantile, sorting.nanquantile, sorting.unique, sorting.unique_consecutive),
    *(counting.nonzero, counting.argwhere, counting.bincount, counting.histc),
)
IN_PLACE = (
    *(arithmetic.add, arithmetic.sub, arithmetic.mul, arithmetic.div),
    *(elementwise.masked_fill, lookup.masked_scatter, lookup.index_fill),
    *(scattering.scatter, scattering.scatter_add, scattering.scatter_reduce, scattering.index_add),
    *(scattering.index_copy, scans.cumsum, scans.cumprod),
)


def reflected(function):
    """The operator for a tensor on the right: ``other - tensor``."""

    def operator(input, other):
        return function(other, input)

    return operator


for function in METHODS:
    setattr(Tensor, function.__name__, function)
for function in IN_PLACE:
    setattr(Tensor, f"{function.__name__}_", in_place(function))

Tensor.__add__ = Tensor.__radd__ = arithmetic.add
Tensor.__mul__ = Tensor.__rmul__ = arithmetic.mul
Tensor.__sub__, Tensor.__rsub__ = arithmetic.sub, reflected(arithmetic.sub)
Tensor.__truediv__, Tensor.__rtruediv__ = arithmetic.div, reflected(arithmetic.div)
Tensor.__pow__, Tensor.__rpow__ = elementwise.pow, reflected(elementwise.pow)
Tensor.__matmul__, Tensor.__rmatmul__ = arithmetic.matmul, reflected(arithmetic.matmul)
Tensor.__neg__, Tensor.__abs__, Tensor.__invert__ = arithmetic.neg, arithmetic.abs, comparison.bitwise_not
Tensor.__iadd__, Tensor.__isub__ = Tensor.add_, Tensor.sub_
Tensor.__imul__, Tensor.__itruediv__ = Tensor.mul_, Tensor.div_
Tensor.__eq__, Tensor.__ne__ = comparison.eq, comparison.ne
Tensor.__lt__, Tensor.__le__, Tensor.__gt__, Tensor.__ge__ = comparison.lt, comparison.le, comparison.gt, comparison.ge
Tensor.__and__, Tensor.__or__ = comparison.bitwise_and, comparison.bitwise_or
Tensor.__getitem__, Tensor.__setitem__ = indexing.getitem, indexing.setitem
Tensor.T, Tensor.mT = property(orders.reversed_dims), property(orders.matrix_transpose)
Tensor.H, Tensor.mH = property(orders.hermitian), property(orders.matrix_transpose)


def size(input, dim=None):
    """The shape, or the length of one dimension."""
    return input.array.shape if dim is None else input.array.shape[axis_of("size", dim, input.array.ndim)]


def dim(input):
    """The number of dimensions."""
    return input.array.ndim


def numel(input):
    """The number of elements."""
    return input.array.size


def copy_(input, source):
    """Overwrite with the values of another tensor, which broadcast."""
    input[...] = source
    return input


def fill_(input, value):
    """Overwrite every element with a number."""
    input[...] = value
    return input


def zero_(input):
    """Overwrite every element with 0."""
    return fill_(input, 0)


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


for function in (size, dim, numel, copy_, fill_, zero_, split, where):
    setattr(Tensor, function.__name__, function)
Tensor.backward, Tensor.__iter__ = backward_from, iterate

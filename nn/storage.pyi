# Written by docs/tools/stubs.py; a test compares it with the code.
from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Iterator
from typing import Any

import numpy as np

class Memory:
    version: _int
    def share(self, owner: Tensor, other: Tensor) -> None: ...
    def is_shared(self) -> _bool: ...
    def living(self) -> list[Tensor]: ...

def wrap(array: Any) -> Tensor: ...
def edge(tensor: Tensor) -> Any: ...
def tensors_in(value: Any) -> Iterator[Tensor]: ...

class Tensor:
    """An array with automatic differentiation."""

    array: np.ndarray
    grad: Tensor | None
    def __init__(self, data: Any, dtype: Any = None, requires_grad: _bool = False) -> None:
        """Initialize self. See help(type(self)) for accurate signature."""
    @property
    def shape(self) -> tuple[_int, ...]:
        """The length of each dimension, a tuple."""
    @property
    def ndim(self) -> _int:
        """The number of dimensions."""
    @property
    def dtype(self) -> np.dtype:
        """The numpy.dtype of the elements."""
    @property
    def data(self) -> Tensor:
        """The values as a tensor on the same memory, outside the tape; setting it replaces the values."""
    @data.setter
    def data(self, value: Any) -> None: ...
    @property
    def is_leaf(self) -> _bool:
        """Whether the user made this tensor, rather than a recorded operation."""
    @property
    def grad_fn(self) -> Any:
        """The node of the operation that made this tensor, None for a leaf."""
    @property
    def requires_grad(self) -> _bool:
        """Whether operations on this tensor are recorded; can be set on a leaf."""
    @requires_grad.setter
    def requires_grad(self, value: _bool) -> None: ...
    def requires_grad_(self, requires_grad: _bool = True) -> Tensor:
        """Set whether operations on this leaf are recorded; return self."""
    def mark_changed(self) -> None:
        """Tell the tape that `array` was written to: a backward that needs the old values raises."""
    def item(self) -> Any:
        """The only element, as a Python number; ValueError if there is not exactly one."""
    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
    def numpy(self, *, force: _bool = False) -> np.ndarray:
        """The values as an ndarray on the same memory; with `force`, also of a tensor that requires a gradient."""
    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray: ...
    def __dlpack__(self, **options: Any) -> Any: ...
    def __dlpack_device__(self) -> Any: ...
    def __len__(self) -> _int: ...
    def __bool__(self) -> _bool: ...
    def __float__(self) -> _float: ...
    def __int__(self) -> _int: ...
    def __index__(self) -> _int: ...
    def __repr__(self) -> str:
        """Return repr(self)."""
    def __format__(self, spec: Any) -> str:
        """Default object formatter."""
    def __deepcopy__(self, memo: Any) -> Tensor: ...
    def __reduce__(self) -> Any:
        """Helper for pickle."""
    def __getstate__(self) -> Any:
        """Helper for pickle."""
    def __setstate__(self, state: Any) -> None: ...
    def register_hook(self, hook: Any) -> Any:
        """Call ``hook(gradient)`` when the gradient of this tensor is complete; a Tensor that it returns replaces it."""
    def retain_grad(self) -> None:
        """Let `backward` store the gradient of this intermediate result in its ``grad``, as if it were a leaf."""
    def add(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """The sum, element by element, of one and `alpha` times the other; tensors and numbers broadcast."""
    def sub(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """The difference, element by element, of one and `alpha` times the other; tensors and numbers broadcast."""
    def mul(self, other: Any) -> Tensor:
        """The product, element by element; tensors and numbers broadcast."""
    def div(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """The quotient, element by element, a floating-point number; tensors and numbers broadcast."""
    def neg(self) -> Tensor:
        """The negated elements."""
    def abs(self) -> Tensor:
        """The magnitudes of the elements; the gradient at 0 is 0."""
    def matmul(self, other: Any) -> Tensor:
        """The matrix product, as ``torch.matmul``: vectors, matrices, and stacks of matrices, which broadcast."""
    def maximum(self, other: Any) -> Tensor:
        """The larger of two tensors, element by element; equal elements share the gradient."""
    def minimum(self, other: Any) -> Tensor:
        """The smaller of two tensors, element by element; equal elements share the gradient."""
    def all(self, dim: Any = None, keepdim: _bool = False) -> Tensor:
        """Whether all elements are true (not zero)."""
    def any(self, dim: Any = None, keepdim: _bool = False) -> Tensor:
        """Whether any element is true (not zero)."""
    def to(self, *args: Any, device: Any = None, dtype: Any = None, non_blocking: _bool = False, copy: _bool = False, memory_format: Any = 'preserve_format') -> Tensor:
        """The same values in another dtype; the tensor itself if it has that dtype already, unless with `copy`."""
    def clone(self, *, memory_format: Any = 'preserve_format') -> Tensor:
        """A copy; its gradient is passed to the original. `memory_format` changes nothing."""
    def detach(self) -> Tensor:
        """The same values on the same memory, without history."""
    def float(self, memory_format: Any = 'preserve_format') -> Tensor:
        """The values as float32."""
    def double(self, memory_format: Any = 'preserve_format') -> Tensor:
        """The values as float64."""
    def long(self, memory_format: Any = 'preserve_format') -> Tensor:
        """The values as int64."""
    def bool(self, memory_format: Any = 'preserve_format') -> Tensor:
        """Whether the values differ from zero."""
    def pow(self, exponent: Any) -> Tensor:
        """`input` to the power of `exponent`, element by element; tensors and numbers broadcast."""
    def exp(self) -> Tensor:
        """e to the power of each element."""
    def relu(self) -> Tensor:
        """The larger of each element and 0."""
    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x))."""
    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
    def log(self) -> Tensor:
        """The natural logarithm; NaN below 0."""
    def sqrt(self) -> Tensor:
        """The square root; NaN below 0."""
    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Each element limited to [`min`, `max`]: numbers, or tensors that broadcast."""
    def masked_fill(self, mask: Any, value: Any) -> Tensor:
        """`value`, a number or a 0-d tensor, where `mask` is true, else the element; the dtype does not change."""
    def sum(self, dim: Any = None, keepdim: _bool = False, *, dtype: Any = None) -> Tensor:
        """The sum over `dim`: an int, several, or None for all. An empty sum is 0."""
    def mean(self, dim: Any = None, keepdim: _bool = False, *, dtype: Any = None) -> Tensor:
        """The average over `dim`: an int, several, or None for all. The average of no elements is NaN."""
    def var(self, dim: Any = None, unbiased: Any = None, keepdim: _bool = False, *, correction: Any = 1) -> Tensor:
        """The variance over `dim`: squared deviations, summed and divided by their number minus `correction`."""
    def std(self, dim: Any = None, unbiased: Any = None, keepdim: _bool = False, *, correction: Any = 1) -> Tensor:
        """The square root of `var`, also where that overflows or underflows; its gradient is 0 where it is 0."""
    def max(self, dim: Any = None, keepdim: _bool = False) -> Any:
        """The largest element; NaN if any element is."""
    def min(self, dim: Any = None, keepdim: _bool = False) -> Any:
        """The smallest element; as `max`."""
    def argmax(self, dim: Any = None, keepdim: _bool = False) -> Tensor:
        """The index (int64) of the first largest element along `dim`; without `dim`, in the flattened tensor."""
    def argmin(self, dim: Any = None, keepdim: _bool = False) -> Tensor:
        """The index of the first smallest element; as `argmax`."""
    def prod(self, dim: Any = None, keepdim: _bool = False, *, dtype: Any = None) -> Tensor:
        """The product over `dim`, or of all elements. An empty product is 1."""
    def logsumexp(self, dim: Any, keepdim: _bool = False) -> Tensor:
        """log(sum(exp(x))) over `dim`, without overflow."""
    def softmax(self, dim: Any, dtype: Any = None) -> Tensor:
        """exp(x) / sum(exp(x)) along `dim`, of elements converted to `dtype`."""
    def log_softmax(self, dim: Any, dtype: Any = None) -> Tensor:
        """x - log(sum(exp(x))) along `dim`, of elements converted to `dtype`."""
    def reshape(self, shape: Any, *more: Any) -> Tensor:
        """The same elements in another shape, a tuple or several ints; one length may be -1."""
    def view(self, shape: Any, *more: Any) -> Tensor:
        """As `reshape`, but never a copy."""
    def flatten(self, start_dim: Any = 0, end_dim: Any = -1) -> Tensor:
        """Merge the dimensions from `start_dim` to `end_dim` into one."""
    def squeeze(self, dim: Any = None) -> Tensor:
        """Remove dimensions of length 1: those in `dim`, or all."""
    def unsqueeze(self, dim: Any) -> Tensor:
        """Insert a dimension of length 1 before dimension `dim`."""
    def transpose(self, dim0: Any, dim1: Any) -> Tensor:
        """Swap two dimensions."""
    def permute(self, dims: Any, *more: Any) -> Tensor:
        """Put the dimensions into another order, a tuple or several ints."""
    def expand(self, size: Any, *more: Any) -> Tensor:
        """Repeat along dimensions of length 1, and along new leading ones, without copying; -1 keeps a length."""
    def chunk(self, chunks: Any, dim: Any = 0) -> tuple[Tensor, ...]:
        """Split along `dim` into at most `chunks` parts of equal length, the last maybe shorter."""
    def unbind(self, dim: Any = 0) -> tuple[Tensor, ...]:
        """A tuple of the slices along `dim`, without that dimension."""
    def reshape_as(self, other: Any) -> Tensor:
        """The same elements in the shape of another tensor."""
    def view_as(self, other: Any) -> Tensor:
        """A view in the shape of another tensor."""
    def ravel(self) -> Tensor:
        """All elements in one dimension."""
    def unflatten(self, dim: Any, sizes: Any) -> Tensor:
        """Split one dimension into several; one of their lengths may be -1."""
    def expand_as(self, other: Any) -> Tensor:
        """As `expand`, to the shape of another tensor."""
    def broadcast_to(self, size: Any) -> Tensor:
        """As `expand`, to a shape."""
    def swapaxes(self, axis0: Any, axis1: Any) -> Tensor:
        """As `transpose`."""
    def swapdims(self, dim0: Any, dim1: Any) -> Tensor:
        """As `transpose`."""
    def t(self) -> Tensor:
        """The transpose of a matrix; tensors of fewer dimensions as they are."""
    def movedim(self, source: Any, destination: Any) -> Tensor:
        """Move dimensions to other places; the others keep their order."""
    def moveaxis(self, source: Any, destination: Any) -> Tensor:
        """As `movedim`."""
    def flip(self, dims: Any, *more: Any) -> Tensor:
        """Reverse the order of the elements along dimensions, a tuple or several ints."""
    def fliplr(self) -> Tensor:
        """Reverse the order of the columns, of dimension 1; ValueError for fewer than two dimensions."""
    def flipud(self) -> Tensor:
        """Reverse the order of the rows, of dimension 0; ValueError for a 0-d tensor."""
    def roll(self, shifts: Any, dims: Any = None) -> Tensor:
        """Shift elements along dimensions; what leaves at one end enters at the other."""
    def rot90(self, k: Any = 1, dims: Any = ...) -> Tensor:
        """Turn by `k` right angles in the plane of two dimensions, from the first towards the second."""
    def split_with_sizes(self, split_sizes: Any, dim: Any = 0) -> tuple[Tensor, ...]:
        """As `split`, into parts of listed lengths."""
    def tensor_split(self, indices_or_sections: Any, dim: Any = 0) -> tuple[Tensor, ...]:
        """Split along `dim` into a number of parts whose lengths differ by at most 1, or at indices."""
    def hsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """Split into columns as `tensor_split`: along dimension 1, or 0 of a vector; an int must divide the length."""
    def vsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """Split into rows as `tensor_split`: along dimension 0; an int must divide the length."""
    def dsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """Split along dimension 2 as `tensor_split`; an int must divide the length."""
    def narrow(self, dim: Any, start: Any, length: Any) -> Tensor:
        """The part of `length` elements along `dim` from `start` on, which counts from the end if negative; a view."""
    def select(self, dim: Any, index: Any) -> Tensor:
        """The slice at `index` along `dim`, without that dimension; a view."""
    def repeat(self, repeats: Any, *more: Any) -> Tensor:
        """Copies of the whole tensor side by side: a number for each dimension, a tuple or several ints; new ones in front."""
    def tile(self, dims: Any, *more: Any) -> Tensor:
        """As `repeat`; fewer numbers than dimensions are those of the last dimensions."""
    def repeat_interleave(self, repeats: Any = None, dim: Any = None, *, output_size: Any = None) -> Tensor:
        """Copies of each slice along `dim` one after the other."""
    def kron(self, other: Any) -> Tensor:
        """The Kronecker product: each element of one times the whole of the other; missing leading dimensions are 1."""
    def unfold(self, dimension: Any, size: Any, step: Any) -> Tensor:
        """All windows of `size` elements along a dimension, `step` apart, in a new last dimension; a read-only view."""
    def nansum(self, dim: Any = None, keepdim: _bool = False, *, dtype: Any = None) -> Tensor:
        """As `sum`, where NaN counts as 0."""
    def nanmean(self, dim: Any = None, keepdim: _bool = False, *, dtype: Any = None) -> Tensor:
        """As `mean`, of the elements that are not NaN."""
    def count_nonzero(self, dim: Any = None) -> Tensor:
        """How many elements are not 0, over `dim`: an int, several, or None for all."""
    def amax(self, dim: Any = None, keepdim: _bool = False) -> Tensor:
        """The largest element over `dim`, an int, several, or None for all; equal elements share the gradient."""
    def amin(self, dim: Any = None, keepdim: _bool = False) -> Tensor:
        """The smallest element over `dim`; as `amax`."""
    def aminmax(self, *, dim: Any = None, keepdim: _bool = False) -> Any:
        """The smallest and the largest element, of all or along one dimension; equal elements share the gradient."""
    def norm(self, p: Any = 'fro', dim: Any = None, keepdim: _bool = False, *, dtype: Any = None) -> Tensor:
        """As `vector_norm`, of all elements or over `dim`; "fro" is 2, "nuc" the sum of a matrix's singular values."""
    def dist(self, other: Any, p: Any = 2) -> Tensor:
        """The p-norm of the difference of two tensors, which broadcast."""
    def mm(self, mat2: Any) -> Tensor:
        """The product of two matrices."""
    def bmm(self, mat2: Any) -> Tensor:
        """The products of the matrices of two stacks of equal length."""
    def mv(self, vec: Any) -> Tensor:
        """The product of a matrix and a vector."""
    def dot(self, tensor: Any) -> Tensor:
        """The sum of the products of the elements of two vectors."""
    def vdot(self, other: Any) -> Tensor:
        """As `dot`, which of real numbers it is."""
    def inner(self, other: Any) -> Tensor:
        """The sums of products over the last dimensions of both; of a number, the product with it."""
    def outer(self, vec2: Any) -> Tensor:
        """The products of each element of one vector with each of another: a matrix."""
    def ger(self, vec2: Any) -> Tensor:
        """As `outer`."""
    def addmm(self, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """``beta * input + alpha * (mat1 @ mat2)`` of matrices; `input` broadcasts."""
    def addmv(self, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """``beta * input + alpha * (mat @ vec)``; `input` broadcasts."""
    def addr(self, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """``beta * input + alpha * outer(vec1, vec2)``; `input` broadcasts."""
    def baddbmm(self, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """``beta * input + alpha * bmm(batch1, batch2)``; `input` broadcasts."""
    def addbmm(self, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """``beta * input + alpha * bmm(batch1, batch2).sum(0)``; `input` broadcasts."""
    def index_select(self, dim: Any, index: Any) -> Tensor:
        """The slices along `dim` that `index` names, a vector or a number."""
    def gather(self, dim: Any, index: Any, *, sparse_grad: _bool = False) -> Tensor:
        """Along a dimension, the elements that indices name: ``y[i, j] = x[index[i, j], j]`` for dimension 0 of two."""
    def take_along_dim(self, indices: Any, dim: Any = None) -> Tensor:
        """As `gather`, where the other dimensions broadcast; without `dim`, of all elements in one row."""
    def take(self, index: Any) -> Tensor:
        """The elements at places in the row of all elements, in the shape of `index`; negative ones count from the end."""
    def masked_select(self, mask: Any) -> Tensor:
        """The elements where `mask` is true, in one row; both broadcast."""
    def cummax(self, dim: Any) -> Any:
        """The largest elements up to each along `dim`, and their indices, of equal elements the last; NaN is largest."""
    def cummin(self, dim: Any) -> Any:
        """The smallest elements up to each along `dim`, and their indices; as `cummax`."""
    def logcumsumexp(self, dim: Any) -> Tensor:
        """The logarithms of the sums of the exponentials of all elements up to each, along `dim`."""
    def diff(self, n: Any = 1, dim: Any = -1, prepend: Any = None, append: Any = None) -> Tensor:
        """The differences of neighbours along `dim`, taken `n` times; of bools, whether they differ."""
    def sort(self, dim: Any = -1, descending: _bool = False, *, stable: _bool = False) -> Any:
        """The elements in ascending or descending order along `dim`, and their indices."""
    def argsort(self, dim: Any = -1, descending: _bool = False, *, stable: _bool = False) -> Tensor:
        """The indices of the elements in order along `dim`; as `sort`."""
    def msort(self) -> Tensor:
        """The elements in ascending order along the first dimension."""
    def topk(self, k: Any, dim: Any = None, largest: _bool = True, sorted: _bool = True) -> Any:
        """The `k` largest or smallest elements along `dim`, by default the last one, the best first, and their indices."""
    def kthvalue(self, k: Any, dim: Any = None, keepdim: _bool = False) -> Any:
        """The k-th smallest element along `dim`, by default the last one, counted from 1, and its index."""
    def median(self, dim: Any = None, keepdim: _bool = False) -> Any:
        """The median of all elements, or the medians along `dim` and their indices: of two middle elements the smaller."""
    def nanmedian(self, dim: Any = None, keepdim: _bool = False) -> Any:
        """As `median`, of the elements that are not NaN; NaN if there is none."""
    def quantile(self, q: Any, dim: Any = None, keepdim: _bool = False, *, interpolation: Any = 'linear') -> Tensor:
        """The quantiles of all elements, or along `dim`; NaN where an element is."""
    def nanquantile(self, q: Any, dim: Any = None, keepdim: _bool = False, *, interpolation: Any = 'linear') -> Tensor:
        """As `quantile`, of the elements that are not NaN; NaN if there is none."""
    def unique(self, sorted: _bool = True, return_inverse: _bool = False, return_counts: _bool = False, dim: Any = None) -> Any:
        """The distinct elements in ascending order, or the distinct slices along `dim`."""
    def unique_consecutive(self, return_inverse: _bool = False, return_counts: _bool = False, dim: Any = None) -> Any:
        """As `unique`, without sorting: of equal neighbours, elements or slices along `dim`, the first."""
    def nonzero(self, *, as_tuple: _bool = False) -> Any:
        """The indices of the elements that are not 0: rows of a matrix, or a tuple of a vector for each dimension."""
    def argwhere(self) -> Tensor:
        """The indices of the elements that are not 0, rows of a matrix."""
    def bincount(self, weights: Any = None, minlength: Any = 0) -> Tensor:
        """How often each number 0, 1, … occurs in a vector, or the sum of its weights."""
    def histc(self, bins: Any = 100, min: Any = 0, max: Any = 0) -> Tensor:
        """How many elements are in each of `bins` intervals of equal length from `min` to `max`; others do not count."""
    def type(self, dtype: Any = None, non_blocking: _bool = False) -> Any:
        """The name of the tensor's type in PyTorch, as "torch.FloatTensor"; with a dtype or such a name, as `to`."""
    def type_as(self, other: Any) -> Tensor:
        """The values in the dtype of another tensor."""
    def cpu(self, memory_format: Any = 'preserve_format') -> Tensor:
        """The tensor itself: all tensors are on the CPU."""
    def cuda(self, device: Any = None, non_blocking: _bool = False, memory_format: Any = 'preserve_format') -> Tensor:
        """RuntimeError: there is no GPU."""
    def pin_memory(self) -> Tensor:
        """The tensor itself: only a GPU would read pinned memory faster."""
    def contiguous(self, memory_format: Any = 'contiguous_format') -> Tensor:
        """The tensor itself if its elements lie in memory in their order, else a copy for which they do."""
    def detach_(self) -> Tensor:
        """Cut the tensor itself off its history; RuntimeError for a view, whose base would keep it."""
    def half(self, memory_format: Any = 'preserve_format') -> Tensor:
        """TypeError: there is no float16."""
    def bfloat16(self, memory_format: Any = 'preserve_format') -> Tensor:
        """TypeError: there is no bfloat16."""
    def int(self, memory_format: Any = 'preserve_format') -> Tensor:
        """The values as int32."""
    def short(self, memory_format: Any = 'preserve_format') -> Tensor:
        """The values as int16."""
    def char(self, memory_format: Any = 'preserve_format') -> Tensor:
        """The values as int8."""
    def byte(self, memory_format: Any = 'preserve_format') -> Tensor:
        """The values as uint8."""
    def size(self, dim: Any = None) -> Any:
        """The shape, or the length of one dimension."""
    def dim(self) -> _int:
        """The number of dimensions."""
    def numel(self) -> _int:
        """The number of elements."""
    def stride(self, dim: Any = None) -> Any:
        """How many elements apart neighbours along each dimension, or along one, are in memory."""
    def is_contiguous(self, memory_format: Any = 'contiguous_format') -> _bool:
        """Whether the elements lie in memory in their order."""
    def data_ptr(self) -> _int:
        """The address of the first element."""
    def storage_offset(self) -> _int:
        """How many elements the first one lies after the start of the array that owns the memory."""
    def element_size(self) -> _int:
        """The number of bytes of an element."""
    def get_device(self) -> _int:
        """The index of the GPU: -1, since the tensor is on the CPU."""
    def is_pinned(self) -> _bool:
        """Whether the memory is pinned for a GPU: False."""
    def new_zeros(self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: _bool = False, layout: Any = 'strided', pin_memory: _bool = False) -> Tensor:
        """Zeros in the dtype of this tensor."""
    def new_ones(self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: _bool = False, layout: Any = 'strided', pin_memory: _bool = False) -> Tensor:
        """Ones in the dtype of this tensor."""
    def new_empty(self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: _bool = False, layout: Any = 'strided', pin_memory: _bool = False) -> Tensor:
        """A tensor in the dtype of this one, whose elements are whatever the memory held."""
    def new_full(self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: _bool = False, layout: Any = 'strided', pin_memory: _bool = False) -> Tensor:
        """One number in the dtype of this tensor."""
    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: _bool = False, layout: Any = 'strided', pin_memory: _bool = False) -> Tensor:
        """A tensor with a copy of `data`, in the dtype of this tensor unless one is given."""
    def diagonal(self, offset: Any = 0, dim1: Any = 0, dim2: Any = 1) -> Tensor:
        """A view of the diagonals of the matrices along two dimensions: these are replaced by one, the last."""
    def diag(self, diagonal: Any = 0) -> Tensor:
        """Of a vector, the matrix with it on a diagonal; of a matrix, a copy of a diagonal."""
    def diag_embed(self, offset: Any = 0, dim1: Any = -2, dim2: Any = -1) -> Tensor:
        """Matrices along two new dimensions, with the last dimension of `input` on a diagonal and 0 elsewhere."""
    def trace(self) -> Tensor:
        """The sum of the diagonal of a matrix."""
    def equal(self, other: Any) -> _bool:
        """Whether two tensors have one shape and equal elements: True or False."""
    def isclose(self, other: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: _bool = False) -> Tensor:
        """Whether each element differs from the other's by at most ``atol + rtol * abs(other)``."""
    def allclose(self, other: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: _bool = False) -> _bool:
        """Whether all elements are close in the sense of `isclose`: True or False."""
    def isnan(self) -> Tensor:
        """Whether each element is NaN."""
    def isinf(self) -> Tensor:
        """Whether each element is infinite."""
    def isfinite(self) -> Tensor:
        """Whether each element is neither infinite nor NaN."""
    def isposinf(self) -> Tensor:
        """Whether each element is plus infinity."""
    def isneginf(self) -> Tensor:
        """Whether each element is minus infinity."""
    def is_floating_point(self) -> _bool:
        """Whether the dtype is float32 or float64."""
    def is_complex(self) -> _bool:
        """Whether the dtype is complex: never, there are no complex tensors."""
    def is_signed(self) -> _bool:
        """Whether the dtype has negative numbers."""
    def is_nonzero(self) -> _bool:
        """Whether the only element is not zero; ValueError if there is not exactly one."""
    def signbit(self) -> Tensor:
        """Whether the sign of each element is negative, that of -0.0 included."""
    def positive(self) -> Tensor:
        """The tensor itself; TypeError for bools."""
    def logaddexp(self, other: Any) -> Tensor:
        """log(exp(input) + exp(other)), without overflow."""
    def uniform_(self, from_: Any = 0.0, to: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Overwrite with draws from the uniform distribution on [from_, to)."""
    def normal_(self, mean: Any = 0.0, std: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Overwrite with draws from the normal distribution."""
    def log_normal_(self, mean: Any = 1.0, std: Any = 2.0, *, generator: Any = None) -> Tensor:
        """Overwrite with the exponentials of draws from the normal distribution."""
    def exponential_(self, lambd: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Overwrite with draws from the exponential distribution of rate `lambd`."""
    def geometric_(self, p: Any, *, generator: Any = None) -> Tensor:
        """Overwrite with the numbers of trials, each of probability `p`, until the first success."""
    def cauchy_(self, median: Any = 0.0, sigma: Any = 1.0, *, generator: Any = None) -> Tensor:
        """Overwrite with draws from the Cauchy distribution."""
    def bernoulli_(self, p: Any = 0.5, *, generator: Any = None) -> Tensor:
        """Overwrite with 1 with probability `p`, a number or a tensor, else 0."""
    def random_(self, from_: Any = 0, to: Any = None, *, generator: Any = None) -> Tensor:
        """Overwrite with whole numbers from `from_` to `to` - 1; with one bound, from 0; with none, all that are exact."""
    def bernoulli(self, p: Any = None, *, generator: Any = None, out: Any = None) -> Tensor:
        """1 with the probability that each element of `input`, or `p`, gives; else 0."""
    def multinomial(self, num_samples: Any, replacement: _bool = False, *, generator: Any = None, out: Any = None) -> Tensor:
        """Indices drawn with probabilities proportional to the elements of a vector, or of each row of a matrix."""
    def as_strided(self, size: Any, stride: Any, storage_offset: Any = None) -> Tensor:
        """A view of the memory of a tensor: element (i, j) is that at ``storage_offset + i * stride[0] + j * stride[1]``."""
    def as_strided_(self, size: Any, stride: Any, storage_offset: Any = None) -> Tensor:
        """As `as_strided`, of the tensor itself."""
    def squeeze_(self, dim: Any = None) -> Tensor:
        """As `squeeze`, of the tensor itself."""
    def unsqueeze_(self, dim: Any) -> Tensor:
        """As `unsqueeze`, of the tensor itself."""
    def t_(self) -> Tensor:
        """As `t`, of the tensor itself."""
    def transpose_(self, dim0: Any, dim1: Any) -> Tensor:
        """As `transpose`, of the tensor itself."""
    def swapaxes_(self, axis0: Any, axis1: Any) -> Tensor:
        """As `swapaxes`, of the tensor itself."""
    def swapdims_(self, dim0: Any, dim1: Any) -> Tensor:
        """As `swapdims`, of the tensor itself."""
    def resize_(self, *sizes: Any, memory_format: Any = 'contiguous_format') -> Tensor:
        """Give the tensor itself another shape: with as many elements on the same memory, else on memory of its own, to which as many elements as fit are copied; those beyond them are arbitrary."""
    def mode(self, dim: Any = -1, keepdim: _bool = False) -> Any:
        """The most frequent element along `dim`, of equally frequent ones the smallest, and the index of its last place."""
    def to_sparse(self, sparse_dim: Any = None, *, layout: Any = None, blocksize: Any = None, dense_dim: Any = None) -> Tensor:
        """The tensor itself: it is stored densely."""
    def to_dense(self, dtype: Any = None, *, masked_grad: _bool = True) -> Tensor:
        """The tensor itself, or in another dtype."""
    def coalesce(self) -> Tensor:
        """The tensor itself."""
    def new(self, *data: Any, device: Any = None) -> Tensor:
        """A tensor in this one's dtype, of these sizes or of these values."""
    def add_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """As `add`, in place."""
    def sub_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """As `sub`, in place."""
    def subtract(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """The difference, element by element, of one and `alpha` times the other; tensors and numbers broadcast."""
    def subtract_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """As `sub`, in place."""
    def mul_(self, other: Any) -> Tensor:
        """As `mul`, in place."""
    def multiply(self, other: Any) -> Tensor:
        """The product, element by element; tensors and numbers broadcast."""
    def multiply_(self, other: Any) -> Tensor:
        """As `mul`, in place."""
    def div_(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """As `div`, in place."""
    def divide(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """The quotient, element by element, a floating-point number; tensors and numbers broadcast."""
    def divide_(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """As `div`, in place."""
    def neg_(self) -> Tensor:
        """As `neg`, in place."""
    def negative(self) -> Tensor:
        """The negated elements."""
    def negative_(self) -> Tensor:
        """As `neg`, in place."""
    def abs_(self) -> Tensor:
        """As `abs`, in place."""
    def absolute(self) -> Tensor:
        """The magnitudes of the elements; the gradient at 0 is 0."""
    def absolute_(self) -> Tensor:
        """As `abs`, in place."""
    def floor_divide(self, other: Any) -> Tensor:
        """The quotient, rounded down, as Python's ``//``; its gradient is 0."""
    def floor_divide_(self, other: Any) -> Tensor:
        """As `floor_divide`, in place."""
    def fmod(self, other: Any) -> Tensor:
        """The remainder of a division rounded towards 0: with the sign of `input`."""
    def fmod_(self, other: Any) -> Tensor:
        """As `fmod`, in place."""
    def remainder(self, other: Any) -> Tensor:
        """The remainder of a division rounded down: with the sign of `other`, as Python's ``%``."""
    def remainder_(self, other: Any) -> Tensor:
        """As `remainder`, in place."""
    def pow_(self, exponent: Any) -> Tensor:
        """As `pow`, in place."""
    def exp_(self) -> Tensor:
        """As `exp`, in place."""
    def relu_(self) -> Tensor:
        """As `relu`, in place."""
    def sigmoid_(self) -> Tensor:
        """As `sigmoid`, in place."""
    def tanh_(self) -> Tensor:
        """As `tanh`, in place."""
    def log_(self) -> Tensor:
        """As `log`, in place."""
    def sqrt_(self) -> Tensor:
        """As `sqrt`, in place."""
    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """As `clamp`, in place."""
    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Each element limited to [`min`, `max`]: numbers, or tensors that broadcast."""
    def clip_(self, min: Any = None, max: Any = None) -> Tensor:
        """As `clamp`, in place."""
    def masked_fill_(self, mask: Any, value: Any) -> Tensor:
        """As `masked_fill`, in place."""
    def sin(self) -> Tensor:
        """The sine."""
    def sin_(self) -> Tensor:
        """As `sin`, in place."""
    def cos(self) -> Tensor:
        """The cosine."""
    def cos_(self) -> Tensor:
        """As `cos`, in place."""
    def tan(self) -> Tensor:
        """The tangent."""
    def tan_(self) -> Tensor:
        """As `tan`, in place."""
    def asin(self) -> Tensor:
        """The inverse sine; NaN outside [-1, 1]."""
    def asin_(self) -> Tensor:
        """As `asin`, in place."""
    def arcsin(self) -> Tensor:
        """The inverse sine; NaN outside [-1, 1]."""
    def arcsin_(self) -> Tensor:
        """As `asin`, in place."""
    def acos(self) -> Tensor:
        """The inverse cosine; NaN outside [-1, 1]."""
    def acos_(self) -> Tensor:
        """As `acos`, in place."""
    def arccos(self) -> Tensor:
        """The inverse cosine; NaN outside [-1, 1]."""
    def arccos_(self) -> Tensor:
        """As `acos`, in place."""
    def atan(self) -> Tensor:
        """The inverse tangent."""
    def atan_(self) -> Tensor:
        """As `atan`, in place."""
    def arctan(self) -> Tensor:
        """The inverse tangent."""
    def arctan_(self) -> Tensor:
        """As `atan`, in place."""
    def sinh(self) -> Tensor:
        """The hyperbolic sine."""
    def sinh_(self) -> Tensor:
        """As `sinh`, in place."""
    def cosh(self) -> Tensor:
        """The hyperbolic cosine."""
    def cosh_(self) -> Tensor:
        """As `cosh`, in place."""
    def asinh(self) -> Tensor:
        """The inverse hyperbolic sine."""
    def asinh_(self) -> Tensor:
        """As `asinh`, in place."""
    def arcsinh(self) -> Tensor:
        """The inverse hyperbolic sine."""
    def arcsinh_(self) -> Tensor:
        """As `asinh`, in place."""
    def acosh(self) -> Tensor:
        """The inverse hyperbolic cosine; NaN below 1."""
    def acosh_(self) -> Tensor:
        """As `acosh`, in place."""
    def arccosh(self) -> Tensor:
        """The inverse hyperbolic cosine; NaN below 1."""
    def arccosh_(self) -> Tensor:
        """As `acosh`, in place."""
    def atanh(self) -> Tensor:
        """The inverse hyperbolic tangent; NaN outside [-1, 1]."""
    def atanh_(self) -> Tensor:
        """As `atanh`, in place."""
    def arctanh(self) -> Tensor:
        """The inverse hyperbolic tangent; NaN outside [-1, 1]."""
    def arctanh_(self) -> Tensor:
        """As `atanh`, in place."""
    def exp2(self) -> Tensor:
        """2 to the power of each element."""
    def exp2_(self) -> Tensor:
        """As `exp2`, in place."""
    def expm1(self) -> Tensor:
        """exp(x) - 1, exact near 0."""
    def expm1_(self) -> Tensor:
        """As `expm1`, in place."""
    def log2(self) -> Tensor:
        """The logarithm to base 2; NaN below 0."""
    def log2_(self) -> Tensor:
        """As `log2`, in place."""
    def log10(self) -> Tensor:
        """The logarithm to base 10; NaN below 0."""
    def log10_(self) -> Tensor:
        """As `log10`, in place."""
    def log1p(self) -> Tensor:
        """log(1 + x), exact near 0; NaN below -1."""
    def log1p_(self) -> Tensor:
        """As `log1p`, in place."""
    def rsqrt(self) -> Tensor:
        """1 / √x; NaN below 0."""
    def rsqrt_(self) -> Tensor:
        """As `rsqrt`, in place."""
    def reciprocal(self) -> Tensor:
        """1 / x."""
    def reciprocal_(self) -> Tensor:
        """As `reciprocal`, in place."""
    def logit(self, eps: Any = None) -> Tensor:
        """log(x / (1 - x)); with `eps`, elements are first limited to [eps, 1 - eps]."""
    def logit_(self, eps: Any = None) -> Tensor:
        """As `logit`, in place."""
    def square(self) -> Tensor:
        """The elements times themselves; of bools, as integers."""
    def square_(self) -> Tensor:
        """As `square`, in place."""
    def deg2rad(self) -> Tensor:
        """Degrees as radians."""
    def deg2rad_(self) -> Tensor:
        """As `deg2rad`, in place."""
    def rad2deg(self) -> Tensor:
        """Radians as degrees."""
    def rad2deg_(self) -> Tensor:
        """As `rad2deg`, in place."""
    def erf(self) -> Tensor:
        """The error function: 2/√π times the integral of exp(-t²) from 0 to x."""
    def erf_(self) -> Tensor:
        """As `erf`, in place."""
    def erfc(self) -> Tensor:
        """1 - erf(x), without cancellation."""
    def erfc_(self) -> Tensor:
        """As `erfc`, in place."""
    def lgamma(self) -> Tensor:
        """The logarithm of the magnitude of the gamma function."""
    def lgamma_(self) -> Tensor:
        """As `lgamma`, in place."""
    def digamma(self) -> Tensor:
        """The derivative of `lgamma`; it can be differentiated once."""
    def digamma_(self) -> Tensor:
        """As `digamma`, in place."""
    def erfinv(self) -> Tensor:
        """The inverse of `erf`: infinite at -1 and 1, NaN outside."""
    def erfinv_(self) -> Tensor:
        """As `erfinv`, in place."""
    def floor(self) -> Tensor:
        """The largest whole number that is not above each element."""
    def floor_(self) -> Tensor:
        """As `floor`, in place."""
    def ceil(self) -> Tensor:
        """The smallest whole number that is not below each element."""
    def ceil_(self) -> Tensor:
        """As `ceil`, in place."""
    def trunc(self) -> Tensor:
        """The whole part: rounded towards 0."""
    def trunc_(self) -> Tensor:
        """As `trunc`, in place."""
    def fix(self) -> Tensor:
        """The whole part: rounded towards 0."""
    def fix_(self) -> Tensor:
        """As `trunc`, in place."""
    def round(self, *, decimals: Any = 0) -> Tensor:
        """The nearest number with `decimals` places, of two the even one; negative places are tens, hundreds …"""
    def round_(self, *, decimals: Any = 0) -> Tensor:
        """As `round`, in place."""
    def frac(self) -> Tensor:
        """What `trunc` cuts off: the part after the decimal point."""
    def frac_(self) -> Tensor:
        """As `frac`, in place."""
    def sign(self) -> Tensor:
        """-1, 0 or 1, the sign of each element; of NaN, 0."""
    def sign_(self) -> Tensor:
        """As `sign`, in place."""
    def copysign(self, other: Any) -> Tensor:
        """The magnitudes of `input` with the signs of `other`."""
    def copysign_(self, other: Any) -> Tensor:
        """As `copysign`, in place."""
    def heaviside(self, values: Any) -> Tensor:
        """0 for negative elements, 1 for positive ones, and `values` where the element is 0."""
    def heaviside_(self, values: Any) -> Tensor:
        """As `heaviside`, in place."""
    def atan2(self, other: Any) -> Tensor:
        """The angle of the point (`other`, `input`): the inverse tangent of their quotient, in the right quadrant."""
    def atan2_(self, other: Any) -> Tensor:
        """As `atan2`, in place."""
    def arctan2(self, other: Any) -> Tensor:
        """The angle of the point (`other`, `input`): the inverse tangent of their quotient, in the right quadrant."""
    def arctan2_(self, other: Any) -> Tensor:
        """As `atan2`, in place."""
    def hypot(self, other: Any) -> Tensor:
        """√(input² + other²), without overflow."""
    def hypot_(self, other: Any) -> Tensor:
        """As `hypot`, in place."""
    def lerp(self, end: Any, weight: Any) -> Tensor:
        """``input + weight * (end - input)``: between `input` and `end`, which are tensors of one dtype."""
    def lerp_(self, end: Any, weight: Any) -> Tensor:
        """As `lerp`, in place."""
    def addcmul(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """``input + value * tensor1 * tensor2``."""
    def addcmul_(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """As `addcmul`, in place."""
    def addcdiv(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """``input + value * tensor1 / tensor2``."""
    def addcdiv_(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """As `addcdiv`, in place."""
    def true_divide(self, other: Any) -> Tensor:
        """The quotient, a floating-point number: `div` without rounding."""
    def true_divide_(self, other: Any) -> Tensor:
        """As `true_divide`, in place."""
    def float_power(self, exponent: Any) -> Tensor:
        """The power, computed and returned as float64."""
    def float_power_(self, exponent: Any) -> Tensor:
        """As `float_power`, in place."""
    def clamp_min(self, min: Any) -> Tensor:
        """Each element, or `min` where that is larger."""
    def clamp_min_(self, min: Any) -> Tensor:
        """As `clamp_min`, in place."""
    def clamp_max(self, max: Any) -> Tensor:
        """Each element, or `max` where that is smaller."""
    def clamp_max_(self, max: Any) -> Tensor:
        """As `clamp_max`, in place."""
    def nan_to_num(self, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
        """NaN and infinities replaced: by 0, and by the largest and smallest number of the dtype, if nothing is given."""
    def nan_to_num_(self, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
        """As `nan_to_num`, in place."""
    def eq(self, other: Any) -> Tensor:
        """Whether each element equals the other; tensors and numbers broadcast."""
    def eq_(self, other: Any) -> Tensor:
        """As `eq`, in place."""
    def ne(self, other: Any) -> Tensor:
        """Whether each element differs from the other; tensors and numbers broadcast."""
    def ne_(self, other: Any) -> Tensor:
        """As `ne`, in place."""
    def not_equal(self, other: Any) -> Tensor:
        """Whether each element differs from the other; tensors and numbers broadcast."""
    def not_equal_(self, other: Any) -> Tensor:
        """As `ne`, in place."""
    def lt(self, other: Any) -> Tensor:
        """Whether each element is below the other; tensors and numbers broadcast."""
    def lt_(self, other: Any) -> Tensor:
        """As `lt`, in place."""
    def less(self, other: Any) -> Tensor:
        """Whether each element is below the other; tensors and numbers broadcast."""
    def less_(self, other: Any) -> Tensor:
        """As `lt`, in place."""
    def le(self, other: Any) -> Tensor:
        """Whether each element is at most the other; tensors and numbers broadcast."""
    def le_(self, other: Any) -> Tensor:
        """As `le`, in place."""
    def less_equal(self, other: Any) -> Tensor:
        """Whether each element is at most the other; tensors and numbers broadcast."""
    def less_equal_(self, other: Any) -> Tensor:
        """As `le`, in place."""
    def gt(self, other: Any) -> Tensor:
        """Whether each element is above the other; tensors and numbers broadcast."""
    def gt_(self, other: Any) -> Tensor:
        """As `gt`, in place."""
    def greater(self, other: Any) -> Tensor:
        """Whether each element is above the other; tensors and numbers broadcast."""
    def greater_(self, other: Any) -> Tensor:
        """As `gt`, in place."""
    def ge(self, other: Any) -> Tensor:
        """Whether each element is at least the other; tensors and numbers broadcast."""
    def ge_(self, other: Any) -> Tensor:
        """As `ge`, in place."""
    def greater_equal(self, other: Any) -> Tensor:
        """Whether each element is at least the other; tensors and numbers broadcast."""
    def greater_equal_(self, other: Any) -> Tensor:
        """As `ge`, in place."""
    def logical_and(self, other: Any) -> Tensor:
        """Whether each element and the other are true (not zero); tensors and numbers broadcast."""
    def logical_and_(self, other: Any) -> Tensor:
        """As `logical_and`, in place."""
    def logical_or(self, other: Any) -> Tensor:
        """Whether each element or the other is true (not zero); tensors and numbers broadcast."""
    def logical_or_(self, other: Any) -> Tensor:
        """As `logical_or`, in place."""
    def logical_xor(self, other: Any) -> Tensor:
        """Whether each element or the other is true (not zero), not both; tensors and numbers broadcast."""
    def logical_xor_(self, other: Any) -> Tensor:
        """As `logical_xor`, in place."""
    def logical_not(self) -> Tensor:
        """Whether each element is false (zero)."""
    def logical_not_(self) -> Tensor:
        """As `logical_not`, in place."""
    def bitwise_and(self, other: Any) -> Tensor:
        """Whether each element and the other are true; of integers, the bits of both; tensors and numbers broadcast."""
    def bitwise_and_(self, other: Any) -> Tensor:
        """As `bitwise_and`, in place."""
    def bitwise_or(self, other: Any) -> Tensor:
        """Whether each element or the other is true; of integers, the bits of either; tensors and numbers broadcast."""
    def bitwise_or_(self, other: Any) -> Tensor:
        """As `bitwise_or`, in place."""
    def bitwise_xor(self, other: Any) -> Tensor:
        """Whether each element or the other is true, not both; of integers, bit by bit; tensors and numbers broadcast."""
    def bitwise_xor_(self, other: Any) -> Tensor:
        """As `bitwise_xor`, in place."""
    def bitwise_not(self) -> Tensor:
        """Not: of bools, whether each is false; of integers, each bit flipped."""
    def bitwise_not_(self) -> Tensor:
        """As `bitwise_not`, in place."""
    def bitwise_left_shift(self, other: Any) -> Tensor:
        """Integers with their bits moved to the left by as many places as `other` says."""
    def bitwise_left_shift_(self, other: Any) -> Tensor:
        """As `bitwise_left_shift`, in place."""
    def bitwise_right_shift(self, other: Any) -> Tensor:
        """Integers with their bits moved to the right by as many places as `other` says."""
    def bitwise_right_shift_(self, other: Any) -> Tensor:
        """As `bitwise_right_shift`, in place."""
    def tril(self, diagonal: Any = 0) -> Tensor:
        """The lower triangle of each matrix, up to this diagonal (above the main one if positive); 0 elsewhere."""
    def tril_(self, diagonal: Any = 0) -> Tensor:
        """As `tril`, in place."""
    def triu(self, diagonal: Any = 0) -> Tensor:
        """The upper triangle of each matrix, from this diagonal on; 0 elsewhere."""
    def triu_(self, diagonal: Any = 0) -> Tensor:
        """As `triu`, in place."""
    def masked_scatter(self, mask: Any, source: Any) -> Tensor:
        """Elements of `source`, in order, where `mask` is true, else those of `input`; the mask broadcasts."""
    def masked_scatter_(self, mask: Any, source: Any) -> Tensor:
        """As `masked_scatter`, in place."""
    def index_fill(self, dim: Any, index: Any, value: Any) -> Tensor:
        """`value`, a number or a 0-d tensor, in the slices along `dim` that `index` names."""
    def index_fill_(self, dim: Any, index: Any, value: Any) -> Tensor:
        """As `index_fill`, in place."""
    def index_copy(self, dim: Any, index: Any, source: Any) -> Tensor:
        """A copy with slices replaced: ``y[index[i]] = source[i]`` for dimension 0; errors are those of `index_add`."""
    def index_copy_(self, dim: Any, index: Any, source: Any) -> Tensor:
        """As `index_copy`, in place."""
    def scatter(self, dim: Any, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None) -> Tensor:
        """A copy with elements along a dimension replaced: ``y[index[i, j], j] = src[i, j]`` for dimension 0 of two."""
    def scatter_(self, dim: Any, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None) -> Tensor:
        """As `scatter`, in place."""
    def scatter_add(self, dim: Any, index: Any, src: Any) -> Tensor:
        """A copy to which elements are added along a dimension: ``y[index[i, j], j] += src[i, j]`` for dimension 0 of two."""
    def scatter_add_(self, dim: Any, index: Any, src: Any) -> Tensor:
        """As `scatter_add`, in place."""
    def scatter_reduce(self, dim: Any, index: Any, src: Any, reduce: Any, *, include_self: _bool = True) -> Tensor:
        """A copy whose elements are reduced with those of `src` that indices along a dimension assign to them."""
    def scatter_reduce_(self, dim: Any, index: Any, src: Any, reduce: Any, *, include_self: _bool = True) -> Tensor:
        """As `scatter_reduce`, in place."""
    def index_add(self, dim: Any, index: Any, source: Any, *, alpha: Any = 1) -> Tensor:
        """A copy to which slices are added: ``y[index[i]] += alpha * source[i]`` for dimension 0."""
    def index_add_(self, dim: Any, index: Any, source: Any, *, alpha: Any = 1) -> Tensor:
        """As `index_add`, in place."""
    def cumsum(self, dim: Any, *, dtype: Any = None) -> Tensor:
        """The sums of all elements up to each along `dim`, of elements converted to `dtype`; of integers in int64."""
    def cumsum_(self, dim: Any, *, dtype: Any = None) -> Tensor:
        """As `cumsum`, in place."""
    def cumprod(self, dim: Any, *, dtype: Any = None) -> Tensor:
        """The products of all elements up to each along `dim`; as `cumsum`."""
    def cumprod_(self, dim: Any, *, dtype: Any = None) -> Tensor:
        """As `cumprod`, in place."""
    def __add__(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """The sum, element by element, of one and `alpha` times the other; tensors and numbers broadcast."""
    def __radd__(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """The sum, element by element, of one and `alpha` times the other; tensors and numbers broadcast."""
    def __mul__(self, other: Any) -> Tensor:
        """The product, element by element; tensors and numbers broadcast."""
    def __rmul__(self, other: Any) -> Tensor:
        """The product, element by element; tensors and numbers broadcast."""
    def __sub__(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """The difference, element by element, of one and `alpha` times the other; tensors and numbers broadcast."""
    def __rsub__(self, other: Any) -> Tensor: ...
    def __truediv__(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """The quotient, element by element, a floating-point number; tensors and numbers broadcast."""
    def __rtruediv__(self, other: Any) -> Tensor: ...
    def __pow__(self, exponent: Any) -> Tensor:
        """`input` to the power of `exponent`, element by element; tensors and numbers broadcast."""
    def __rpow__(self, other: Any) -> Tensor: ...
    def __matmul__(self, other: Any) -> Tensor:
        """The matrix product, as ``torch.matmul``: vectors, matrices, and stacks of matrices, which broadcast."""
    def __rmatmul__(self, other: Any) -> Tensor: ...
    def __neg__(self) -> Tensor:
        """The negated elements."""
    def __abs__(self) -> Tensor:
        """The magnitudes of the elements; the gradient at 0 is 0."""
    def __invert__(self) -> Tensor:
        """Not: of bools, whether each is false; of integers, each bit flipped."""
    def __iadd__(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """As `add`, in place."""
    def __isub__(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """As `sub`, in place."""
    def __imul__(self, other: Any) -> Tensor:
        """As `mul`, in place."""
    def __itruediv__(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """As `div`, in place."""
    def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __lt__(self, other: Any) -> Tensor: ...
    def __le__(self, other: Any) -> Tensor: ...
    def __gt__(self, other: Any) -> Tensor: ...
    def __ge__(self, other: Any) -> Tensor: ...
    def __floordiv__(self, other: Any) -> Tensor:
        """The quotient, rounded down, as Python's ``//``; its gradient is 0."""
    def __rfloordiv__(self, other: Any) -> Tensor: ...
    def __mod__(self, other: Any) -> Tensor:
        """The remainder of a division rounded down: with the sign of `other`, as Python's ``%``."""
    def __rmod__(self, other: Any) -> Tensor: ...
    def __ipow__(self, exponent: Any) -> Tensor:
        """As `pow`, in place."""
    def __imod__(self, other: Any) -> Tensor:
        """As `remainder`, in place."""
    def __ifloordiv__(self, other: Any) -> Tensor:
        """As `floor_divide`, in place."""
    def __and__(self, other: Any) -> Tensor: ...
    def __rand__(self, other: Any) -> Tensor: ...
    def __or__(self, other: Any) -> Tensor: ...
    def __ror__(self, other: Any) -> Tensor: ...
    def __xor__(self, other: Any) -> Tensor: ...
    def __rxor__(self, other: Any) -> Tensor: ...
    def __iand__(self, other: Any) -> Tensor:
        """As `bitwise_and`, in place."""
    def __ior__(self, other: Any) -> Tensor:
        """As `bitwise_or`, in place."""
    def __ixor__(self, other: Any) -> Tensor:
        """As `bitwise_xor`, in place."""
    def __lshift__(self, other: Any) -> Tensor:
        """Integers with their bits moved to the left by as many places as `other` says."""
    def __rlshift__(self, other: Any) -> Tensor: ...
    def __rshift__(self, other: Any) -> Tensor:
        """Integers with their bits moved to the right by as many places as `other` says."""
    def __rrshift__(self, other: Any) -> Tensor: ...
    def __getitem__(self, index: Any) -> Tensor:
        """``input[index]``: a view for ints, slices, None and ...; a copy if there are lists or tensors."""
    def __setitem__(self, index: Any, value: Any) -> None:
        """``input[index] = value``, in place."""
    @property
    def T(self) -> Tensor:
        """The transpose: all dimensions in reverse order."""
    @property
    def mT(self) -> Tensor:
        """The transpose of each matrix: the last two dimensions swapped."""
    @property
    def H(self) -> Tensor:
        """The transpose of a matrix, which of real numbers is the conjugate transpose."""
    @property
    def mH(self) -> Tensor:
        """The transpose of each matrix: the last two dimensions swapped."""
    @property
    def device(self) -> Any:
        """The device: the CPU."""
    @property
    def itemsize(self) -> _int:
        """The number of bytes of an element."""
    @property
    def nbytes(self) -> _int:
        """The number of bytes of all elements."""
    is_cuda: _bool
    is_mps: _bool
    is_xpu: _bool
    is_hpu: _bool
    is_ipu: _bool
    is_maia: _bool
    is_mtia: _bool
    is_vulkan: _bool
    is_xla: _bool
    is_meta: _bool
    is_mkldnn: _bool
    is_nested: _bool
    is_sparse: _bool
    is_sparse_csr: _bool
    is_quantized: _bool
    def nelement(self) -> _int:
        """The number of elements."""
    def ndimension(self) -> _int:
        """The number of dimensions."""
    def copy_(self, src: Any, non_blocking: _bool = False) -> Tensor:
        """Overwrite with the values of another tensor, which broadcast."""
    def fill_(self, value: Any) -> Tensor:
        """Overwrite every element with a number."""
    def zero_(self) -> Tensor:
        """Overwrite every element with 0."""
    def fill_diagonal_(self, fill_value: Any, wrap: _bool = False) -> Tensor:
        """Overwrite the elements whose indices are all the same; with `wrap`, that of a tall matrix starts again."""
    def resize_as_(self, tensor: Any, memory_format: Any = 'contiguous_format') -> Tensor:
        """Change the shape in place to that of another tensor: see `resize_`."""
    def split(self, split_size: Any, dim: Any = 0) -> tuple[Tensor, ...]:
        """Split along `dim` into a tuple of parts of length `split_size`, the last maybe shorter, or of listed lengths."""
    def where(self, condition: Any, other: Any) -> Tensor:
        """Elements of this tensor where `condition` holds, of `other` elsewhere; all three broadcast."""
    def backward(self, gradient: Any = None, retain_graph: Any = None, create_graph: _bool = False, inputs: Any = None) -> None:
        """Add the gradient of this tensor with respect to each leaf that it was computed from to the leaf's ``grad``."""
    def __iter__(self) -> Iterator[Tensor]:
        """The slices along the first dimension."""
    layout: Any

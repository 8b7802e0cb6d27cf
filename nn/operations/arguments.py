"""Validation and conversion of arguments, and the form of operations with two operands."""

import inspect
import math
import operator
from functools import wraps

import numpy as np

import kernels
from nn.device import device as device_class
from nn.device import require_cpu
from nn.dtypes import as_array as converted
from nn.dtypes import checked as checked_dtype
from nn.dtypes import get_default_dtype
from nn.storage import Tensor, wrap
from nn.tape import record, record_linear

NUMBERS = (int, float, np.generic)


def as_array(data, dtype=None):
    """The array of a tensor, or of what NumPy converts to one; tensors of one element in lists are numbers."""
    if isinstance(data, Tensor):
        return converted(data.array, dtype)
    if isinstance(data, (list, tuple)) and (_holds_tensors(data, 0) or _holds_tensors(data, -1)):
        data = _numbers(data)
    return converted(data, dtype)


def _holds_tensors(data, end):
    """Whether there is a tensor at one end of nested lists."""
    while isinstance(data, (list, tuple)) and data:
        data = data[end]
    return isinstance(data, Tensor)


def _numbers(data):
    """Nested lists with arrays in the place of tensors, 0-d ones for one element, as PyTorch has it."""
    if isinstance(data, (list, tuple)):
        return [_numbers(each) for each in data]
    if isinstance(data, Tensor):
        return data.array.reshape(()) if data.array.size == 1 else data.numpy()
    return data


def as_tensor(data):
    """A tensor as it is, anything else wrapped as a constant."""
    return data if isinstance(data, Tensor) else wrap(as_array(data))


def not_a_tensor(name, value, argument="input"):
    """The TypeError for an argument that should be a Tensor."""
    hint = ": nn.tensor makes one of it" if isinstance(value, np.ndarray) else ""
    return TypeError(f"{name}: {argument} must be a Tensor, got {type(value).__name__}{hint}")


def array_of(name, tensor, argument="input"):
    """The array of a tensor; TypeError for anything else."""
    try:
        return tensor.array
    except AttributeError:
        raise not_a_tensor(name, tensor, argument) from None


def sequence_of(name, tensors):
    """A sequence as a tuple, whose elements are not checked; TypeError for anything else, a single Tensor included."""
    if isinstance(tensors, (Tensor, str)) or not hasattr(tensors, "__iter__"):
        raise TypeError(f"{name}: tensors must be a sequence of Tensors, got {type(tensors).__name__}")
    return tuple(tensors)


def tensors_of(name, tensors):
    """Several tensors as a tuple; TypeError unless they are a sequence of Tensors."""
    tensors = sequence_of(name, tensors)
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise not_a_tensor(name, t, f"tensors[{i}]")
    return tensors


def operands(name, a, b):
    """Return the tensors among two operands (None for the others) and the arrays of both, of one dtype."""
    x, a = (a.array, a) if isinstance(a, Tensor) else (a, None)
    y, b = (b.array, b) if isinstance(b, Tensor) else (b, None)
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.dtype == y.dtype):
        x, y = match(name, x, y)
        a, b = _adapted(a, x.dtype), _adapted(b, y.dtype)
    return a, b, x, y


def mismatch(name, x, y):
    """The ValueError for arrays whose shapes do not broadcast."""
    return ValueError(f"{name}: shapes do not broadcast: a is {x.shape}, b is {y.shape}")


def applied(name, ufunc, x, y):
    """``ufunc(x, y)``; ValueError if the shapes do not broadcast."""
    try:
        return ufunc(x, y)
    except ValueError:
        raise mismatch(name, x, y) from None


def _adapted(tensor, dtype):
    """A 0-d tensor in the dtype of the other operand, recorded, where it needs a gradient; else as it is."""
    if tensor is None or not tensor._requires_grad or tensor.array.dtype == dtype:
        return tensor
    old = tensor.array.dtype
    return record_linear("to", lambda x: x.astype(dtype), lambda dy: dy.astype(old), tensor)


def match(name, x, y):
    """Convert two operands to one dtype: numbers and integers adapt to floats, and so do 0-d tensors to others.

    Otherwise float32 and float64 do not mix: TypeError.
    """
    for v in (x, y):
        if not isinstance(v, (np.ndarray, *NUMBERS)):
            raise TypeError(f"{name}: expected a Tensor, an array or a number, got {type(v).__name__}")
    floats = {v.dtype for v in (x, y) if isinstance(v, np.ndarray) and v.dtype.kind == "f"}
    if len(floats) > 1 and (x.ndim > 0) != (y.ndim > 0):
        floats = {(x if x.ndim else y).dtype}
    if len(floats) > 1:
        raise TypeError(f"{name}: dtypes differ: a is {x.dtype}, b is {y.dtype}")
    if floats:
        dtype = floats.pop()
    else:
        dtype = np.result_type(*(v.item() if isinstance(v, np.generic) else v for v in (x, y)))
        dtype = get_default_dtype() if dtype.kind == "f" else dtype
    return _in_dtype(x, dtype), _in_dtype(y, dtype)


def _in_dtype(value, dtype):
    """An operand as an array of the given dtype; an integer that is out of range wraps around."""
    if isinstance(value, int) and dtype.kind in "iu":
        return np.asarray(value & (2**64 - 1), np.uint64).astype(dtype)
    return np.asarray(value, dtype)


def unbroadcast(g, shape):
    """Sum a gradient over the dimensions along which its operand, of the given shape, was broadcast."""
    if g.shape == shape:
        return g
    added = g.ndim - len(shape)
    stretched = (added + i for i, n in enumerate(shape) if n == 1 and g.shape[added + i] != 1)
    return kernels.sum(g, (*range(added), *stretched)).reshape(shape)


def sum_to(g, shape):
    """As `unbroadcast`, of a tensor and recorded."""
    if g.array.shape == shape:
        return g
    whole = g.array.shape
    return record_linear("sum", lambda x: unbroadcast(x, shape), lambda dy: np.broadcast_to(dy, whole), g)


def record_binary(name, z, a, b, da, db, saved=(), *, saves_result=False, derivative=None):
    """Record an elementwise operation of two operands.

    Parameters
    ----------
    name, z, saved, saves_result
        As for `record`.
    a, b : Tensor or None
    da, db : callable
        From dy to the operands' gradients, arrays in the shape of z.
    derivative : callable, optional
        From dy and what is saved to the pair of gradients, tensors in the shape of z. By default, where nothing is
        saved, `da` and `db` do not depend on the operands' values, or only by comparison.
    """
    shape_a = a.array.shape if a is not None and a._requires_grad else None
    shape_b = b.array.shape if b is not None and b._requires_grad else None

    def backward(dy):
        return (
            None if shape_a is None else unbroadcast(da(dy), shape_a),
            None if shape_b is None else unbroadcast(db(dy), shape_b),
        )

    def twice(dy, *tensors):
        # a product with constants is its own adjoint
        ga, gb = (scaled(name, da, dy), scaled(name, db, dy)) if derivative is None else derivative(dy, *tensors)
        return None if shape_a is None else sum_to(ga, shape_a), None if shape_b is None else sum_to(gb, shape_b)

    return record(name, z, (a, b), backward, saved, derivative=twice, saves_result=saves_result)


def scaled(name, scale, dy, saved=()):
    """Record ``scale(dy)``, a product of each element with a constant: it is its own adjoint."""
    return record_linear(name, scale, scale, dy, saved)


def mask_of(name, argument, mask):
    """Return the array of a mask; TypeError unless it holds bools."""
    array = as_array(mask)
    if array.dtype.kind != "b":
        raise TypeError(f"{name}: {argument} must be bool, got {array.dtype}")
    return array


def scalar_of(name, argument, value):
    """A number, Python's or NumPy's, or that of a tensor of one element; TypeError for anything else."""
    if type(value) is float or type(value) is int:
        return value
    if isinstance(value, Tensor) and value.array.size == 1:
        return value.item()
    if not isinstance(value, NUMBERS) or isinstance(value, np.flexible):
        raise TypeError(f"{name}: {argument} must be a number, got {type(value).__name__}")
    return value


def numbers_of(name, argument, value):
    """The array of a tensor, or of numbers that NumPy converts to one; TypeError for anything else."""
    try:
        return as_array(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: {argument} must be a Tensor or numbers, got {type(value).__name__}") from None


def int_of(name, argument, value):
    """An int, also of a tensor of one; TypeError for anything else."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: {argument} must be an int, got {type(value).__name__}") from None


def bool_of(name, argument, value):
    """A flag; TypeError unless it is a bool, as words and lists are true whatever they say."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: {argument} must be a bool, got {type(value).__name__}")
    return bool(value)


def word_of(name, argument, value, words):
    """One of several words; ValueError for anything else."""
    if not (isinstance(value, str) and value in words):
        raise ValueError(f"{name}: {argument} must be one of {', '.join(words)}, got {value!r}")
    return value


def number_of(name, value, dtype):
    """A number as an array of the given dtype, rounded if necessary; ValueError if it is out of range."""
    if not isinstance(value, NUMBERS):
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


def target_of(name, args, device, dtype):
    """The dtype, or None, and the value of `copy` among the positional arguments of ``to``, whose forms differ.

    They are (dtype, non_blocking, copy), (device, dtype, non_blocking, copy) and (other, non_blocking, copy).
    """
    rest = list(args)
    if rest and isinstance(rest[0], Tensor):
        dtype = rest.pop(0).array.dtype
    elif rest and (rest[0] is None or isinstance(rest[0], (str, int, device_class))):
        device = rest.pop(0)
        if rest and not isinstance(rest[0], bool):
            dtype = rest.pop(0)
    elif rest:
        dtype = rest.pop(0)
    require_cpu(device)
    return None if dtype is None else checked_dtype(name, dtype), len(rest) > 1 and rest[1]


def sizes_of(sizes):
    """Sizes or dimensions given as arguments or as one sequence."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


def ints_of(name, argument, values):
    """A tuple of ints from a sequence of them; TypeError for anything else."""
    if not isinstance(values, (tuple, list)):
        raise TypeError(f"{name}: {argument} must be a tuple of ints, got {type(values).__name__}")
    try:
        return tuple(map(operator.index, values))
    except TypeError:
        raise TypeError(f"{name}: {argument} must be a tuple of ints, got {tuple(values)}") from None


def dims_of(dim):
    """`dim`, a list of dimensions as a tuple."""
    return tuple(dim) if isinstance(dim, list) else dim


def axis_of(name, dim, ndim, argument="dim"):
    """`dim` counted from the front; IndexError if there is no such dimension (a 0-d tensor has 0 and -1)."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim % ndim
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise TypeError(f"{name}: {argument} must be an int, got {type(dim).__name__}")
    limit = max(ndim, 1)
    if not -limit <= dim < limit:
        raise IndexError(f"{name}: {argument} must be from {-limit} to {limit - 1}, got {dim}")
    return int(dim) % limit


def axes_of(name, dims, ndim, argument="dims"):
    """Dimensions, one or several, counted from the front; ValueError if one is named twice."""
    axes = tuple(axis_of(name, d, ndim, argument) for d in (dims if isinstance(dims, (tuple, list)) else (dims,)))
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name}: {argument} must name each dimension once, got {tuple(dims)}")
    return axes


def numpy_names(function):
    """Accept NumPy's ``axis`` and ``keepdims`` for ``dim`` and ``keepdim``, as PyTorch does everywhere."""

    @wraps(function)
    def call(*args, **options):
        if options:
            if options.get("out", 0) is None:  # as np.mean(tensor) passes it
                del options["out"]
            for theirs, ours in (("axis", "dim"), ("keepdims", "keepdim")):
                if theirs in options:
                    if ours in options:
                        raise TypeError(f"{function.__name__}: got both {ours} and {theirs}")
                    options[ours] = options.pop(theirs)
        try:
            return function(*args, **options)
        except AttributeError as error:
            raise _explained(function, args, options, error) from None

    return call


def _explained(function, args, options, error):
    """The TypeError for the argument that is no Tensor, if that is what an AttributeError means; else that."""
    if error.name == "array":
        for argument, value in inspect.signature(function).bind(*args, **options).arguments.items():
            if value is error.obj:
                return not_a_tensor(function.__name__, value, argument)
    return error


def inexact(name, tensor):
    """The values of a tensor, integers and bools in the default floating-point dtype."""
    x = array_of(name, tensor)
    return x if x.dtype.kind == "f" else x.astype(get_default_dtype())


def floating(name, tensor):
    """The array of a tensor; TypeError unless it is floating point."""
    x = array_of(name, tensor)
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: needs a floating-point tensor, got {x.dtype}; use float()")
    return x


def promoted(name, tensors):
    """The arrays of tensors in one dtype: integers adapt to floats; TypeError for float32 and float64, ValueError if
    there is no tensor."""
    if not tensors:
        raise ValueError(f"{name}: needs at least one tensor, got none")
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}: expected Tensors, got {type(t).__name__}")
    arrays = [t.array for t in tensors]
    dtypes = {x.dtype for x in arrays}
    if len(dtypes) == 1:
        return arrays
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    if len(floats) > 1:
        raise TypeError(f"{name}: dtypes differ: {', '.join(str(x.dtype) for x in arrays)}")
    dtype = floats[0] if floats else np.result_type(*dtypes)
    return [x.astype(dtype, copy=False) for x in arrays]

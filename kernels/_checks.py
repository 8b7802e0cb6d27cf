"""Argument checks, with one wording for every error: the operation, the rule, the values.

`floats` is the gate every array passes. A plain C-contiguous float32 or float64 ndarray goes through untouched; what
speaks ``__dlpack__`` or ``__array__`` (a CPU torch tensor) is viewed without a copy; a strided view is copied once.
"""

import math
from ctypes import addressof, c_byte

import numpy as np
from numpy import empty, ndarray

FLOAT32, FLOAT64, INT64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
BYTE = np.dtype(np.uint8)
LINE = 64  # bytes of a cache line
ALIGNED_FROM = 2**17  # bytes, at least 10 us of work; finding the first line takes 0.3 us


def floats(operation: str, name: str, x) -> ndarray:
    """`x` as a C-contiguous float32 or float64 array; TypeError for anything else."""
    if x.__class__ is ndarray and x.flags.carray and (x.dtype is FLOAT32 or x.dtype is FLOAT64):
        return x
    x = as_array(operation, name, x)
    if x.dtype not in (FLOAT32, FLOAT64):
        raise TypeError(f"{operation}: {name} must be float32 or float64, got {x.dtype}")
    return contiguous(x)


def numbers(operation: str, name: str, x) -> ndarray:
    """`x` as a C-contiguous float32, float64 or int64 array: integers and bools become int64; TypeError for others."""
    if x.__class__ is ndarray and x.flags.carray and (x.dtype is FLOAT32 or x.dtype is FLOAT64 or x.dtype is INT64):
        return x
    x = as_array(operation, name, x)
    if x.dtype.kind in "iub" and x.dtype != np.uint64:
        return contiguous(x.astype(np.int64, copy=False))
    if x.dtype not in (FLOAT32, FLOAT64):
        raise TypeError(f"{operation}: {name} must be float32, float64, an integer or bool, got {x.dtype}")
    return contiguous(x)


def indices(operation: str, name: str, x) -> ndarray:
    """`x` as a C-contiguous int64 array; TypeError unless it holds int64 or int32."""
    if x.__class__ is ndarray and x.flags.carray and x.dtype is INT64:
        return x
    x = as_array(operation, name, x)
    if x.dtype not in (np.dtype(np.int32), INT64):
        raise TypeError(f"{operation}: {name} must be int64 or int32, got {x.dtype}")
    return contiguous(x.astype(np.int64, copy=False))


def as_array(operation: str, name: str, x) -> ndarray:
    """`x` as an ndarray of whatever dtype and layout, without a copy where it can be viewed."""
    if isinstance(x, ndarray):
        return x
    if isinstance(x, np.generic) or hasattr(x, "__array__"):
        return np.asarray(x)
    if hasattr(x, "__dlpack__"):
        return np.from_dlpack(x)
    raise TypeError(f"{operation}: {name} must be an array, got {type(x).__name__}")


def contiguous(x: ndarray) -> ndarray:
    """`x` itself where kernels can take it as it is, else a C-contiguous, aligned copy in native byte order."""
    if x.flags.carray:
        return x.view(ndarray) if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))
    if x.flags.c_contiguous and x.flags.aligned and x.dtype.isnative and x.size:
        return _writable_alias(x)
    return np.array(x, dtype=x.dtype.newbyteorder("="), order="C", ndmin=x.ndim)


def _writable_alias(x: ndarray) -> ndarray:
    """The memory of read-only `x` as an ordinary array: kernels do not write to their inputs, and Numba would compile
    every kernel once more for Numba's read-only array type."""
    memory = (c_byte * x.nbytes).from_address(x.__array_interface__["data"][0])
    memory.owner = x  # keeps x alive as long as the alias
    return np.frombuffer(memory, x.dtype).reshape(x.shape)


def same_dtype(operation: str, **arrays: ndarray):
    """TypeError unless all arrays share one dtype; none is cast silently."""
    dtypes = {array.dtype for array in arrays.values()}
    if len(dtypes) > 1:
        found = ", ".join(f"{name} is {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"{operation}: dtypes differ: {found}")


def same_shape(operation: str, **arrays: ndarray):
    """ValueError unless all arrays have one shape."""
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1:
        found = ", ".join(f"{name} is {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{operation}: shapes differ: {found}")


def new(shape: tuple, dtype) -> ndarray:
    """An array for a result, not initialised. A large one begins at a cache line: NumPy's begin anywhere, and half of
    the vectors stored to them would straddle two lines."""
    size = math.prod(shape) * dtype.itemsize
    if size < ALIGNED_FROM:
        return empty(shape, dtype)
    memory = empty(size + LINE, BYTE)
    return ndarray(shape, dtype, memory, -addressof(c_byte.from_buffer(memory)) % LINE)


def output(operation: str, out, shape: tuple, dtype, name: str = "out") -> ndarray:
    """The array that receives the result: validate and return `out`, or allocate a new one where it is None."""
    if out is None:
        return new(shape, dtype)
    if not isinstance(out, ndarray):
        raise TypeError(f"{operation}: {name} must be a NumPy array, got {type(out).__name__}")
    if out.dtype != dtype:
        raise TypeError(f"{operation}: {name} must be {dtype}, got {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"{operation}: {name} must have shape {shape}, got {out.shape}")
    if not out.flags.writeable:
        raise ValueError(f"{operation}: {name} is read-only")
    if not out.flags.carray:
        raise ValueError(f"{operation}: {name} must be C-contiguous and aligned, its strides are {out.strides}")
    return out


def no_overlap(operation: str, out: ndarray, **inputs: ndarray):
    """ValueError where `out` shares memory with an input that is still read after `out` has been written."""
    for name, array in inputs.items():
        if np.may_share_memory(out, array):
            raise ValueError(f"{operation}: out overlaps {name}")


def axis(operation: str, dim, ndim: int) -> int:
    """`dim` counted from the front; ValueError where out of range (a 0-d array has the one axis 0 or -1)."""
    if dim.__class__ is int and 0 <= dim < ndim:
        return dim
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise TypeError(f"{operation}: dim must be an int, got {type(dim).__name__}")
    axes = max(ndim, 1)
    if not -axes <= dim < axes:
        raise ValueError(f"{operation}: dim must be from {-axes} to {axes - 1}, got {dim}")
    return dim + axes if dim < 0 else int(dim)


def choice(operation: str, name: str, value, allowed: tuple):
    """ValueError unless `value` is one of the allowed words."""
    if value not in allowed:
        raise ValueError(f"{operation}: {name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")

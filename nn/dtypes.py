"""The element types of tensors, and the conversion of other data to arrays of them."""

import numpy as np

__all__ = ["bool", "double", "dtype", "float", "float32", "float64", "get_default_dtype", "int", "int8", "int16"]
__all__ += ["int32", "int64", "long", "set_default_dtype", "short", "uint8"]

float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
int64 = long = np.dtype(np.int64)
int32 = int = np.dtype(np.int32)
int16 = short = np.dtype(np.int16)
int8 = np.dtype(np.int8)
uint8 = np.dtype(np.uint8)
bool = np.dtype(np.bool_)

dtype = np.dtype  # what the dtypes are instances of, as torch.dtype
DTYPES = (float32, float64, int64, int32, int16, int8, uint8, bool)
_default = float32


def get_default_dtype():
    """The dtype of Python's floats, of new tensors and of the parameters of new layers: float32, unless it was set.

    Examples
    --------
    >>> import nn
    >>> nn.get_default_dtype()
    dtype('float32')
    """
    return _default


def set_default_dtype(d):
    """Set the dtype of Python's floats, of new tensors and of new layers: TypeError unless float32 or float64."""
    global _default
    if d is None or d not in (float32, float64):
        raise TypeError(f"set_default_dtype: needs float32 or float64, got {d}")
    _default = np.dtype(d)


def checked(name, dtype):
    """A dtype as NumPy's; TypeError unless tensors have it."""
    try:
        found = np.dtype("None" if dtype is None else dtype)  # NumPy takes None for float64
    except TypeError:
        raise TypeError(f"{name}: expected a dtype, got {dtype!r}") from None
    if found not in DTYPES:
        raise TypeError(f"{name}: dtype must be one of {', '.join(map(str, DTYPES))}, got {found}")
    return found


def as_array(data, dtype=None):
    """Convert what NumPy accepts, or what speaks DLPack, to an array of numbers; Python floats to the default dtype."""
    if not hasattr(data, "__array__") and hasattr(data, "__dlpack__"):
        data = np.from_dlpack(data)
    array = np.asarray(data, dtype)
    if dtype is None and array.dtype == np.float64 and not hasattr(data, "dtype"):
        array = cast(array, _default)
    if array.dtype not in DTYPES:
        if array.dtype.kind not in "fiub":
            raise TypeError(f"Tensor: expected numbers, got dtype {array.dtype}")
        raise TypeError(f"Tensor: dtype must be one of {', '.join(map(str, DTYPES))}, got {array.dtype}")
    return array


@np.errstate(all="ignore")
def cast(array, dtype):
    """The values in another dtype, without NumPy's warning about overflow."""
    return array.astype(dtype)

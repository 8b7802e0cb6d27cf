"""The element types of tensors, and the conversion of other data to arrays of them."""

import numpy as np

float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
int64 = long = np.dtype(np.int64)
int32 = int = np.dtype(np.int32)
int16 = short = np.dtype(np.int16)
int8 = np.dtype(np.int8)
uint8 = np.dtype(np.uint8)
bool = np.dtype(np.bool_)

DTYPES = (float32, float64, int64, int32, int16, int8, uint8, bool)


def as_array(data, dtype=None):
    """Convert what NumPy accepts, or what speaks DLPack, to an array of numbers; Python floats become float32."""
    if not hasattr(data, "__array__") and hasattr(data, "__dlpack__"):
        data = np.from_dlpack(data)
    array = np.asarray(data, dtype)
    if dtype is None and array.dtype == np.float64 and not hasattr(data, "dtype"):
        array = cast(array, np.float32)
    if array.dtype not in DTYPES:
        if array.dtype.kind not in "fiub":
            raise TypeError(f"Tensor: expected numbers, got dtype {array.dtype}")
        raise TypeError(f"Tensor: dtype must be one of {', '.join(map(str, DTYPES))}, got {array.dtype}")
    return array


@np.errstate(all="ignore")
def cast(array, dtype):
    """The values in another dtype, without NumPy's warning about overflow."""
    return array.astype(dtype)

"""Samples made batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nn.operations.joining import stack
from nn.tensor import Tensor


def default_collate(batch) -> Any:
    """Stack samples into a batch, field by field.

    Parameters
    ----------
    batch : list or tuple
        Tensors or arrays of one shape, numbers (Python floats become float64, as in PyTorch), strings or bytes, or
        tuples, lists and mappings of these.

    Returns
    -------
    Tensor; for tuples and lists a list, for named tuples and mappings one of their kind; for strings, the batch itself.

    Raises
    ------
    TypeError
        Samples of another type.
    ValueError
        Samples of different shapes or lengths.

    Examples
    --------
    >>> from nn.utils.data import default_collate
    >>> default_collate([{"x": 1, "name": "a"}, {"x": 2, "name": "b"}])
    {'x': tensor([1, 2]), 'name': ['a', 'b']}
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, (np.ndarray, np.generic)) and first.dtype.kind in "biuf":
        return Tensor(np.stack(batch))
    if isinstance(first, float):
        return Tensor(np.asarray(batch, np.float64))
    if isinstance(first, int):  # bools, too
        return Tensor(np.asarray(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        fields = {key: default_collate([sample[key] for sample in batch]) for key in first}
        return fields if type(first) is dict else type(first)(fields)
    if isinstance(first, Sequence):
        fields = [default_collate(field) for field in zip(*batch, strict=True)]
        return type(first)(*fields) if hasattr(first, "_fields") else fields
    raise TypeError(
        f"default_collate: samples must be tensors, arrays, numbers, strings, tuples, lists or mappings, "
        f"got {type(first).__name__}"
    )


def default_convert(data) -> Any:
    """A sample with its arrays as tensors, field by field; what is not an array stays as it is."""
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind in "biuf":
        return Tensor(np.asarray(data))
    if isinstance(data, Mapping):
        fields = {key: default_convert(value) for key, value in data.items()}
        return fields if type(data) is dict else type(data)(fields)
    if isinstance(data, (str, bytes, Tensor)) or not isinstance(data, Sequence):
        return data
    fields = [default_convert(value) for value in data]
    return type(data)(*fields) if hasattr(data, "_fields") else fields

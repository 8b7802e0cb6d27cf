"""Tensors in the shape or the dtype of another one; arguments as in `creation`."""

import numpy as np

from nn.dtypes import checked
from nn.operations.arguments import array_of, as_array
from nn.operations.creation import made, size_of, value_of
from nn.operations.layout import preserve_format, strided

__all__ = ["empty_like", "full_like", "ones_like", "zeros_like"]


def _like(name, input, dtype):
    x = array_of(name, input)
    return x.shape, x.dtype if dtype is None else checked(name, dtype)


def zeros_like(
    input,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    memory_format=preserve_format,
):
    """Zeros in the shape and dtype of another tensor.

    Examples
    --------
    >>> import nn
    >>> nn.zeros_like(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[0., 0.],
            [0., 0.]])
    """
    return made(
        "zeros_like",
        np.zeros(*_like("zeros_like", input, dtype)),
        None,
        device,
        requires_grad,
        layout,
        pin_memory,
        memory_format,
    )


def ones_like(
    input,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    memory_format=preserve_format,
):
    """Ones in the shape and dtype of another tensor.

    Examples
    --------
    >>> import nn
    >>> nn.ones_like(nn.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 1.],
            [1., 1.]])
    """
    return made(
        "ones_like",
        np.ones(*_like("ones_like", input, dtype)),
        None,
        device,
        requires_grad,
        layout,
        pin_memory,
        memory_format,
    )


def empty_like(
    input,
    *,
    dtype=None,
    layout=None,
    device=None,
    pin_memory=False,
    requires_grad=False,
    memory_format=preserve_format,
):
    """A tensor of the shape and dtype of another one, whose elements are whatever the memory held.

    Examples
    --------
    >>> import nn
    >>> nn.empty_like(nn.tensor([[1.0, 2.0], [3.0, 4.0]])).shape
    (2, 2)
    """
    return made(
        "empty_like",
        np.empty(*_like("empty_like", input, dtype)),
        None,
        device,
        requires_grad,
        layout,
        pin_memory,
        memory_format,
    )


def full_like(
    input,
    fill_value,
    *,
    dtype=None,
    layout=strided,
    device=None,
    pin_memory=False,
    requires_grad=False,
    memory_format=preserve_format,
):
    """One number in the shape and dtype of another tensor.

    Examples
    --------
    >>> import nn
    >>> nn.full_like(nn.tensor([[1.0, 2.0], [3.0, 4.0]]), 7)
    tensor([[7., 7.],
            [7., 7.]])
    """
    shape, dtype = _like("full_like", input, dtype)
    return made(
        "full_like",
        np.full(shape, value_of("full_like", fill_value, dtype)),
        None,
        device,
        requires_grad,
        layout,
        pin_memory,
        memory_format,
    )


def new_zeros(input, *sizes, size=None, dtype=None, device=None, requires_grad=False, layout=strided, pin_memory=False):
    """Zeros in the dtype of this tensor."""
    dtype = input.array.dtype if dtype is None else checked("new_zeros", dtype)
    return made(
        "new_zeros", np.zeros(size_of("new_zeros", sizes, size), dtype), None, device, requires_grad, layout, pin_memory
    )


def new_ones(input, *sizes, size=None, dtype=None, device=None, requires_grad=False, layout=strided, pin_memory=False):
    """Ones in the dtype of this tensor."""
    dtype = input.array.dtype if dtype is None else checked("new_ones", dtype)
    return made(
        "new_ones", np.ones(size_of("new_ones", sizes, size), dtype), None, device, requires_grad, layout, pin_memory
    )


def new_empty(input, *sizes, size=None, dtype=None, device=None, requires_grad=False, layout=strided, pin_memory=False):
    """A tensor in the dtype of this one, whose elements are whatever the memory held."""
    dtype = input.array.dtype if dtype is None else checked("new_empty", dtype)
    return made(
        "new_empty", np.empty(size_of("new_empty", sizes, size), dtype), None, device, requires_grad, layout, pin_memory
    )


def new_full(
    input, size, fill_value, *, dtype=None, device=None, requires_grad=False, layout=strided, pin_memory=False
):
    """One number in the dtype of this tensor."""
    dtype = input.array.dtype if dtype is None else checked("new_full", dtype)
    return made(
        "new_full",
        np.full(size_of("new_full", (size,)), value_of("new_full", fill_value, dtype)),
        None,
        device,
        requires_grad,
        layout,
        pin_memory,
    )


def new_tensor(input, data, *, dtype=None, device=None, requires_grad=False, layout=strided, pin_memory=False):
    """A tensor with a copy of `data`, in the dtype of this tensor unless one is given."""
    array = as_array(data, input.array.dtype if dtype is None else checked("new_tensor", dtype)).copy()
    return made("new_tensor", array, None, device, requires_grad, layout, pin_memory)

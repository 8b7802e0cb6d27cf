"""Conversion of PyTorch's values to ours, and comparison of results."""

import numpy as np
import torch

import nn

DTYPES = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.int64: np.int64,
    torch.int32: np.int32,
    torch.int16: np.int16,
    torch.int8: np.int8,
    torch.uint8: np.uint8,
    torch.bool: np.bool_,
}


class Inexpressible(Exception):
    """A sample that our API cannot express; the message is the reason."""


def same_layout(tensor):
    """A leaf on a copy of the storage, with the same strides, offset and requires_grad."""
    if tensor.layout != torch.strided:
        raise Inexpressible(f"layout {tensor.layout}")
    if tensor.is_conj() or tensor.is_neg():
        raise Inexpressible("lazy conjugate or negative")
    copy = torch.empty(0, dtype=tensor.dtype)
    copy.set_(tensor.untyped_storage().clone(), tensor.storage_offset(), tensor.size(), tensor.stride())
    return copy.requires_grad_(tensor.requires_grad)


class Converter:
    """Converts nested PyTorch values to ours; `pairs` lists (theirs, ours) for each converted tensor.

    Parameters
    ----------
    wrap : {"tensor", "array"}
        Whether a tensor becomes an `nn.Tensor`, or an ndarray for a kernel; both are copies with the same strides.
    """

    def __init__(self, wrap="tensor"):
        self._wrap = wrap
        self._known = {}
        self.pairs = []

    def __call__(self, value):
        if torch.is_tensor(value):
            return self._tensor(value)
        if isinstance(value, torch.dtype):
            return _dtype(value)
        if isinstance(value, torch.Size):
            return tuple(value)
        if type(value) in (list, tuple):
            return type(value)(map(self, value))
        if isinstance(value, dict):
            return {key: self(item) for key, item in value.items()}
        if isinstance(value, complex):
            raise Inexpressible("complex number")
        if isinstance(value, (torch.device, torch.layout, torch.memory_format, torch.Generator)):
            raise Inexpressible(f"argument of type {type(value).__name__}")
        return value

    def _tensor(self, tensor):
        if id(tensor) not in self._known:
            _dtype(tensor.dtype)
            if tensor.ndim > 64:
                raise Inexpressible("more dimensions than NumPy has")
            array = same_layout(tensor).detach().numpy()
            ours = array if self._wrap == "array" else nn.Tensor(array, requires_grad=tensor.requires_grad)
            self._known[id(tensor)] = ours
            self.pairs.append((tensor, ours))
        return self._known[id(tensor)]


def _dtype(dtype):
    if dtype not in DTYPES:
        raise Inexpressible(f"dtype {str(dtype).removeprefix('torch.')}")
    return DTYPES[dtype]


def leaves_of(nest):
    """The tensors in a nest, each once, in order."""
    found = {}
    for value in torch.utils._pytree.tree_leaves(nest):
        if torch.is_tensor(value):
            found.setdefault(id(value), value)
    return list(found.values())


def flat(result):
    """The results of a call as a flat list."""
    if isinstance(result, (list, tuple)) and not isinstance(result, torch.Size):
        return [part for item in result for part in flat(item)]
    return [result]


def array_of(value):
    """The values of a tensor of either side, or a number."""
    if isinstance(value, nn.Tensor):
        return value.array
    if not torch.is_tensor(value):
        return np.asarray(value)
    return (value if value.layout == torch.strided else value.to_dense()).detach().resolve_conj().numpy()


def strided(array):
    """The same values with other strides: every second element of a larger array, with two dimensions swapped."""
    if array.ndim == 0:
        return array
    if array.ndim == 1:
        wide = np.full(2 * array.size, np.nan, array.dtype)[::2]
    else:
        wide = np.full((*array.shape[:-2], array.shape[-1], 2 * array.shape[-2]), np.nan, array.dtype)
        wide = wide[..., ::2].swapaxes(-1, -2)
    wide[...] = array
    return wide


def describe(value):
    """A short description of nested arguments."""
    if torch.is_tensor(value):
        layout = "" if value.is_contiguous() else f" strides {tuple(value.stride())}"
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}{layout}"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(describe, value))})"
    if isinstance(value, dict):
        return ", ".join(f"{key}={describe(item)}" for key, item in value.items())
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def difference(ours, theirs, exact=None, sensitivity=None, rounding=None):
    """How our result differs from PyTorch's beyond what rounding explains, None if it does not.

    The tolerance of an element is 8 eps of the exact value, plus 4 eps of the largest, plus 1.5 times PyTorch's largest
    error. If that is exceeded, the problem may be ill-conditioned: then 8 times the change of the exact result when
    each input changes by one rounding error is added. In float64 all of this (except PyTorch's error) is 16 times as
    large, since the "exact" value is PyTorch's and has rounding errors, too; those of gradients are estimated from its
    errors in float32.

    Parameters
    ----------
    ours : Tensor, ndarray or number
    theirs : torch.Tensor or number
    exact : torch.Tensor, optional
        PyTorch's result from the same inputs in float64; by default `theirs`.
    sensitivity : callable, optional
        Returns the change of each element of `exact` when each input changes by one rounding error.
    rounding : callable, optional
        Returns an estimate of the largest error of PyTorch's own float64 result.

    Returns
    -------
    tuple of str, or None
        The kind, which does not depend on the sample, and the details.
    """
    got, expected = array_of(ours), array_of(theirs)
    if got.shape != expected.shape:
        return "shape differs", f"{got.shape}, expected {expected.shape}"
    if got.dtype != expected.dtype and hasattr(theirs, "dtype"):
        return f"dtype is {got.dtype}, not {expected.dtype}", f"shape {got.shape}"
    if got.dtype.kind != "f":
        wrong = got != expected
        if wrong.any():
            return f"{got.dtype} values differ", _examples(wrong, got, expected)
        return None
    with np.errstate(all="ignore"):
        return _floats_differ(got, expected, expected if exact is None else array_of(exact), sensitivity, rounding)


def _floats_differ(got, expected, exact, sensitivity, rounding):
    exact = exact.astype(np.float64)
    if exact.shape != expected.shape:
        exact = expected.astype(np.float64)
    limit = np.finfo(got.dtype)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    same |= got == exact.astype(got.dtype)  # right, although PyTorch's float32 has overflowed in between
    special = ~np.isfinite(got) | ~np.isfinite(exact)
    wrong = special & ~same
    if wrong.any():
        return "not finite alike", _examples(wrong, got, expected)
    plain = ~special
    if not plain.any():
        return None
    error = np.abs(got.astype(np.float64) - exact)
    peer_error = np.abs(expected.astype(np.float64) - exact)[plain & np.isfinite(expected)]
    factor = 1 if got.dtype == np.float32 else 16
    tolerance = factor * float(limit.eps) * (8 * np.abs(exact) + 4 * np.abs(exact[plain]).max()) + float(limit.tiny)
    tolerance += 1.5 * (peer_error.max() if peer_error.size else 0)
    wrong = plain & ~same & ~(error <= tolerance)
    if wrong.any() and sensitivity is not None:
        tolerance = tolerance + factor * 8 * np.broadcast_to(sensitivity(), exact.shape)
        wrong &= ~(error <= tolerance)
    if wrong.any() and rounding is not None and got.dtype == np.float64:
        tolerance = tolerance + 2 * 1.5 * rounding()  # 1.5 times PyTorch's error, as above, for either side
        wrong &= ~(error <= tolerance)
    if wrong.any():
        worst = np.unravel_index(np.argmax(np.where(wrong, error / tolerance, 0)), got.shape)
        at = tuple(map(int, worst))
        return "values differ", (
            f"{int(wrong.sum())} of {got.size}, worst at {at}: {got[worst]!r}, PyTorch {expected[worst]!r}, "
            f"float64 {exact[worst]!r}, {error[worst] / tolerance[worst]:.3g} times the tolerance"
        )
    return None


def _examples(wrong, got, expected):
    return f"{int(wrong.sum())} of {got.size}: {got[wrong][:3].tolist()}, expected {expected[wrong][:3].tolist()}"

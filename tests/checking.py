"""The checker of kernels: values, dtypes, shapes and every gradient, also next to guard pages.

`check` runs an operation of `kernels` and compares the result and all gradients with the float64 reference in
`kernels.reference` and with PyTorch. Then it runs the operation again with every array placed against an unmapped page,
once at its start and once at its end: an access one byte out of bounds kills the process.
"""

import ctypes
import importlib
import mmap
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import kernels

try:
    import torch
except ImportError:  # what compares with it fails then; guard pages and layouts do not need it
    torch = None

GUARD_PAGES = sys.platform == "linux"
PROT_NONE = 0

# Layouts with the same values as the C-contiguous array that they are made from.
LAYOUTS = {
    "fortran": lambda array: array.copy(order="F"),
    "reversed": lambda array: np.flip(np.flip(array).copy()),
    "strided": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "inner": lambda array: np.pad(array, 1, constant_values=np.nan)[(slice(1, -1),) * array.ndim],
    "transposed": lambda array: np.swapaxes(np.swapaxes(array, 0, -1).copy(), 0, -1),
    "read-only": lambda array: read_only(array.copy()),
}


@dataclass(frozen=True)
class Operation:
    """One public operation, and how it is checked.

    `saved(arguments, result)` returns the arguments of the backward after `dy`; `differentiable` are the positions of
    the arguments that have a gradient. `scale(operation, arguments, dy, options)` returns, for the result and then for
    each gradient, the magnitude to which rounding errors are relative, in addition to the value itself; without it,
    that is the largest value of the array. A tuple of results may have a tuple of magnitudes.
    """

    family: str
    name: str
    peer: Callable
    saved: Callable | None = None
    differentiable: tuple[int, ...] = (0,)
    scale: Callable | None = None
    out: bool = False

    @property
    def kernels(self):
        return kernels

    @property
    def reference(self):
        return importlib.import_module(f"kernels.reference.{self.family}")

    @property
    def variants(self):
        return importlib.import_module(f"kernels.{self.family}").VARIANTS


def read_only(array):
    """The same array, marked read-only."""
    array.flags.writeable = False
    return array


def guarded(array, end="back"):
    """Copy of `array` (strides included) whose first byte follows, or whose last byte precedes, an unmapped page.

    The bytes between the elements of a strided array, and the rest of its pages, are NaN. On systems other than Linux,
    this is an ordinary copy.
    """
    if not GUARD_PAGES:
        return array.copy(order="K")
    low, high = np.lib.array_utils.byte_bounds(array) if array.size else (array.ctypes.data, array.ctypes.data)
    page = mmap.PAGESIZE
    body = max(1, -(-(high - low) // page)) * page
    memory = mmap.mmap(-1, body + 2 * page)
    memory[:] = b"\xff" * len(memory)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for guard in (address, address + page + body):
        if libc.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(page), PROT_NONE):
            raise OSError(ctypes.get_errno(), "mprotect failed")
    start = page if end == "front" else page + body - (high - low)
    strides = array.strides if array.size else None
    copy = np.ndarray(array.shape, array.dtype, memory, start + array.ctypes.data - low, strides)
    copy[...] = array
    copy.flags.writeable = array.flags.writeable
    return copy


def absolute_scale(operation, arguments, dy, options):
    """Scale of a linear operation: the same operation on absolute values, the sum of the magnitudes of its terms."""
    absolute = [np.abs(a) if isinstance(a, np.ndarray) else a for a in arguments]
    dy = None if dy is None else np.abs(dy)
    result, gradients = _evaluate(operation.reference, operation, absolute, dy, options)
    return [result, *gradients]


def input_scale(operation, arguments, dy, options):
    """Scale of an elementwise operation with a derivative of about 1: its input, and for the gradient dy times that."""
    x = np.abs(arguments[0])
    return [x, np.abs(dy) * (1 + x)]


def assert_close(actual, expected, *, length=1, scale=None, factor=1, label="result"):
    """Assert that `actual` is `expected` up to rounding: the same NaNs and infinities, and close everywhere else.

    The rounding error of a sum of `length` terms is about sqrt(length) units in the last place of `scale`, the
    magnitude of its terms.
    """
    __tracebackhide__ = True
    expected = np.asarray(expected)
    assert type(actual) is np.ndarray, f"{label}: {type(actual).__name__} instead of ndarray"
    assert actual.shape == expected.shape, f"{label}: shape {actual.shape}, expected {expected.shape}"
    if actual.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected, err_msg=label)
        return
    with np.errstate(over="ignore"):
        rounded = expected.astype(actual.dtype)  # a float64 value above float32's range is an infinity there
    for name, pattern in {"NaN": np.isnan, "inf": np.isposinf, "-inf": np.isneginf}.items():
        wrong = pattern(actual) != pattern(rounded)
        assert not wrong.any(), (
            f"{label}: {name} differs in {wrong.sum()} of {wrong.size}, first at "
            f"{tuple(int(i) for i in np.argwhere(wrong)[0])}: {actual[wrong][0]}, expected {rounded[wrong][0]}"
        )
    finite = np.isfinite(rounded)
    if not finite.any():
        return
    values = expected[finite].astype(np.float64)
    scale = np.abs(values).max() if scale is None else np.broadcast_to(scale, expected.shape)[finite]
    magnitude = np.abs(values) + np.where(np.isfinite(scale), scale, 0)
    limits = np.finfo(actual.dtype)
    tolerance = factor * (8 + 2 * length**0.5) * (limits.eps * magnitude + limits.smallest_subnormal)
    difference = np.abs(actual[finite].astype(np.float64) - values)
    close = difference <= tolerance
    if not close.all():
        worst = np.argmax(difference / tolerance)
        index = tuple(int(i) for i in np.argwhere(finite)[worst])
        raise AssertionError(
            f"{label}: {(~close).sum()} of {close.size} differ; worst at {index}: {actual[index]!r}, "
            f"expected {values[worst]!r}, difference {difference[worst]:.3g}, tolerance {tolerance[worst]:.3g}"
        )


def check(operation, *arguments, lengths=1, **options):
    """Check `operation` on `arguments`: compare result and gradients with the reference and PyTorch, use guard pages.

    `lengths` is the number of terms summed for the result and for each gradient (one number applies to all).
    """
    __tracebackhide__ = True
    dtype = next(a.dtype for a in arguments if isinstance(a, np.ndarray) and a.dtype.kind == "f")
    wide = [a.astype(np.float64) if _is_float(a) else a for a in arguments]
    with np.errstate(all="ignore"):
        expected, _ = _evaluate(operation.reference, operation, wide, None, options)
        dy = wide_dy = None
        if operation.saved:
            dy = np.asarray(np.random.default_rng(0).standard_normal(_first(expected).shape)).astype(dtype)
            wide_dy = dy.astype(np.float64)
        expected, expected_gradients = _evaluate(operation.reference, operation, wide, wide_dy, options)
        scales = [None] * (1 + len(expected_gradients))
        if operation.scale:
            scales = operation.scale(operation, wide, wide_dy, options)
    peer, peer_gradients = _evaluate_peer(operation, arguments, dy, options)
    if np.isscalar(lengths):
        lengths = [lengths] * (1 + len(expected_gradients))

    placements = {"": lambda array: array}
    placements |= {f", {end} guard": lambda array, end=end: guarded(array, end) for end in ("front", "back")}
    for where, place in placements.items():
        out = operation.out and bool(where)
        actual, actual_gradients = _evaluate(operation.kernels, operation, arguments, dy, options, place, out)
        label = f"{operation.name}{where}"
        _assert_triple(actual, expected, peer, dtype, lengths[0], scales[0], label)
        for i, parts in enumerate(zip(actual_gradients, expected_gradients, peer_gradients, strict=True)):
            _assert_triple(*parts, dtype, lengths[i + 1], scales[i + 1], f"{label}, gradient {i}")
    return actual


def check_accuracy(operation, x, *, intervals=40, **options):
    """On each interval of an increasing `x`, check that the error is at most 1.5 times PyTorch's, or 2 eps."""
    __tracebackhide__ = True
    expected = getattr(operation.reference, operation.name)(x.astype(np.float64), **options)
    actual = getattr(operation.kernels, operation.name)(x, **options)
    peer = operation.peer(torch.from_numpy(x), **options).numpy()
    limits = np.finfo(x.dtype)
    for part in np.array_split(np.arange(x.size), intervals):
        values = expected[part]
        error, peer_error = (np.abs(y[part].astype(np.float64) - values).max() for y in (actual, peer))
        tolerance = max(1.5 * peer_error, 2 * limits.eps * np.abs(values).max(), 2 * limits.smallest_subnormal)
        assert error <= tolerance, (
            f"{operation.name} on [{x[part[0]]:.4g}, {x[part[-1]]:.4g}]: error {error:.3g}, PyTorch's {peer_error:.3g}"
        )


def check_finite_differences(operation, *arguments, step=1e-6, **options):
    """Check the float64 gradients against central differences of the kernel itself."""
    __tracebackhide__ = True
    forward = getattr(operation.kernels, operation.name)
    dy = np.random.default_rng(1).standard_normal(_first(forward(*arguments, **options)).shape)
    _, gradients = _evaluate(operation.kernels, operation, arguments, np.asarray(dy), options)
    for position, gradient in zip(operation.differentiable, gradients, strict=True):
        numeric = np.empty_like(arguments[position])
        for index in np.ndindex(numeric.shape):
            sums = []
            for sign in (1, -1):
                shifted = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
                shifted[position][index] += sign * step
                sums.append(np.sum(dy * _first(forward(*shifted, **options))))
            numeric[index] = (sums[0] - sums[1]) / (2 * step)
        tolerance = 1e-8 * (1 + np.abs(numeric).max(initial=0))
        np.testing.assert_allclose(gradient, numeric, rtol=0, atol=tolerance, err_msg=f"{operation.name}: {position}")


def _is_float(argument):
    return isinstance(argument, np.ndarray) and argument.dtype.kind == "f"


def _first(result):
    return result[0] if isinstance(result, tuple) else result


def _assert_triple(actual, expected, peer, dtype, length, scale, label):
    __tracebackhide__ = True
    if isinstance(expected, tuple):
        scales = scale if isinstance(scale, tuple) else (scale,) * len(expected)
        for i, parts in enumerate(zip(actual, expected, peer, strict=True)):
            _assert_triple(*parts, dtype if i == 0 else parts[0].dtype, length, scales[i], f"{label}[{i}]")
        return
    assert actual.dtype == (dtype if expected.dtype.kind == "f" else expected.dtype), f"{label}: dtype {actual.dtype}"
    assert_close(actual, expected, length=length, scale=scale, label=f"{label} against the reference")
    assert_close(actual, peer, length=length, scale=scale, factor=2, label=f"{label} against PyTorch")


def _call(function, arguments, options):
    """Call `function(*arguments)`, which must return new arrays and leave its arguments unchanged."""
    arrays = [a for a in arguments if isinstance(a, np.ndarray)]
    before = [a.tobytes() for a in arrays]
    result = function(*arguments, **options)
    assert [a.tobytes() for a in arrays] == before, f"{function.__name__} changed its arguments"
    for part in result if isinstance(result, tuple) else (result,):
        assert not any(np.may_share_memory(part, a) for a in arrays), f"{function.__name__} returned its argument"
    return result


def _evaluate(module, operation, arguments, dy, options, place=lambda array: array, out=False):
    """The result and the tuple of gradients of `operation` in `module`, with each array argument copied by `place`."""
    __tracebackhide__ = True
    put = lambda values: [place(value) if isinstance(value, np.ndarray) else value for value in values]  # noqa: E731
    forward = getattr(module, operation.name)
    result = _call(forward, put(arguments), options)
    if out:
        target = place(np.full_like(result, np.nan))
        assert _call(forward, put(arguments), options | {"out": target}) is target
        result = target
    if dy is None:
        return result, ()
    backward = getattr(module, f"{operation.name}_backward")
    gradients = _call(backward, put([dy, *operation.saved(arguments, result)]), options)
    return result, gradients if isinstance(gradients, tuple) else (gradients,)


def _evaluate_peer(operation, arguments, dy, options):
    tensors = [torch.from_numpy(a.copy()) if isinstance(a, np.ndarray) else a for a in arguments]
    tensors = [t.long() if isinstance(t, torch.Tensor) and t.dtype == torch.int32 else t for t in tensors]
    if dy is not None:
        for position in operation.differentiable:
            tensors[position].requires_grad_()
    result = operation.peer(*tensors, **options)
    gradients = ()
    if dy is not None:
        leaves = [tensors[position] for position in operation.differentiable]
        gradients = torch.autograd.grad(_first(result), leaves, torch.from_numpy(dy))
        gradients = tuple(gradient.numpy() for gradient in gradients)
    if isinstance(result, tuple):
        return tuple(part.detach().numpy() for part in result), gradients
    return result.detach().numpy(), gradients

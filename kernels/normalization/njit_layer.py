"""Layer norm, RMS norm and layer norm of a sum in jitted code."""

import numpy as np
from numba import types

from kernels._jit import jit
from kernels._njit import by_address, in_njit
from kernels._njit_checks import floats, no_overlap, output
from kernels._njit_errors import _check, failed, text_of
from kernels._njit_sizes import flags, product, threads_for, wanted
from kernels.normalization import layer, residual
from kernels.normalization.njit_arguments import matching, parameter, use_streaming
from kernels.normalization.rows import backward_rows, forward_rows

rows_forward, rows_back = by_address(forward_rows, "forward_rows"), by_address(backward_rows, "backward_rows")
EPS32, EPS64 = float(np.finfo(np.float32).eps), float(np.finfo(np.float64).eps)


class OtherRows(ValueError):
    """Makes the ValueError of `rows_of`."""

    def __new__(cls, operation, rows, shape):
        return ValueError(f"{operation}: x must have shape (..., {str(rows)[1:-1].rstrip(',')}), got {shape}")


@_check
def row_shape(operation, shape):
    """`normalized_shape` as a tuple."""
    operation, kind = text_of("operation", operation), types.unliteral(shape)
    if isinstance(kind, types.Integer):
        return lambda operation, shape: (np.int64(shape),)
    if isinstance(kind, types.BaseTuple) and len(kind):
        return lambda operation, shape: shape
    empty = f"{operation}: normalized_shape must name at least one dimension, got ()"
    error, message = (ValueError, empty) if isinstance(kind, types.BaseTuple) else (TypeError, f"{kind} is no tuple")

    def refused(operation, shape):
        if failed():
            raise error(message)
        return (np.int64(1),)

    return refused


@_check
def leading_of(operation, x, rows):
    """What precedes the tuple `rows` in the shape of x."""
    operation, leading, axes = text_of("operation", operation), x.ndim - len(rows), len(rows)
    if leading < 0:

        def refused(operation, x, rows):
            if failed():
                raise OtherRows(operation, rows, x.shape)
            return ()

        return refused

    def code(operation, x, rows):
        for i in range(axes):
            if x.shape[leading + i] != rows[i]:
                raise OtherRows(operation, rows, x.shape)
        return x.shape[:leading]

    return code


@_check
def machine_epsilon(eps, x):
    """`eps`, or that of the dtype of `x` for None."""
    if isinstance(eps, types.NoneType):
        value = EPS32 if x.dtype == types.float32 else EPS64
        return lambda eps, x: value
    return lambda eps, x: float(eps)


@jit
def _forward(x, centered, affine, statistics, eps, y, residual, total):
    """As `layer.forward`, `residual` and `total` being flat, perhaps of size 0."""
    mean, rstd = statistics
    weight, _ = affine
    n = weight.size
    flat = mean.reshape(-1), rstd.reshape(-1)
    arrays = 2 + (1 if residual.size else 0) + (1 if total.size else 0)
    options, threads = (n, centered, eps, use_streaming(y, arrays, n)), threads_for(x.size, 0)
    rows_forward(x.reshape(-1), (residual, total), affine, flat, options, y.reshape(-1), threads)


@in_njit(layer.layer_norm)
def _layer_norm(x, normalized_shape, weight, bias, eps, mean, rstd):
    x = floats("layer_norm", "x", x)
    rows = row_shape("layer_norm", normalized_shape)
    leading = leading_of("layer_norm", x, rows)
    affine = (
        parameter("layer_norm", "weight", weight, rows, x, 1.0),
        parameter("layer_norm", "bias", bias, rows, x, 0.0),
    )
    mean = output("layer_norm", "mean", mean, leading, x)
    rstd = output("layer_norm", "rstd", rstd, leading, x)
    y = output("layer_norm", "out", None, x.shape, x)
    if x.size:
        nothing = x.reshape(-1)[:0]
        _forward(x, True, affine, (mean, rstd), float(eps), y, nothing, nothing)
    else:
        mean[...] = np.nan
        rstd[...] = np.nan
    return y


@in_njit(layer.rms_norm)
def _rms_norm(x, normalized_shape, weight, eps, rstd):
    x = floats("rms_norm", "x", x)
    rows = row_shape("rms_norm", normalized_shape)
    leading = leading_of("rms_norm", x, rows)
    weight = parameter("rms_norm", "weight", weight, rows, x, 1.0)
    bias = parameter("rms_norm", "bias", None, rows, x, 0.0)
    rstd = output("rms_norm", "rstd", rstd, leading, x)
    y = output("rms_norm", "out", None, x.shape, x)
    if x.size:
        nothing = x.reshape(-1)[:0]
        _forward(x, False, (weight, bias), (rstd, rstd), machine_epsilon(eps, x), y, nothing, nothing)
    else:
        rstd[...] = np.nan
    return y


@in_njit(residual.add_layer_norm)
def _add_layer_norm(x, residual, normalized_shape, weight, bias, eps, sum, mean, rstd):
    x = floats("add_layer_norm", "x", x)
    other = matching("add_layer_norm", "residual", residual, x.shape, x)
    rows = row_shape("add_layer_norm", normalized_shape)
    leading = leading_of("add_layer_norm", x, rows)
    weight = parameter("add_layer_norm", "weight", weight, rows, x, 1.0)
    bias = parameter("add_layer_norm", "bias", bias, rows, x, 0.0)
    total = x.reshape(-1)[:0]
    if sum is not None:
        given = output("add_layer_norm", "sum", sum, x.shape, x)
        no_overlap("add_layer_norm", given, "x", x)
        no_overlap("add_layer_norm", given, "residual", other)
        no_overlap("add_layer_norm", given, "weight", weight)
        no_overlap("add_layer_norm", given, "bias", bias)
        total = given.reshape(-1)
    mean = output("add_layer_norm", "mean", mean, leading, x)
    rstd = output("add_layer_norm", "rstd", rstd, leading, x)
    y = output("add_layer_norm", "out", None, x.shape, x)
    if x.size:
        _forward(x, True, (weight, bias), (mean, rstd), float(eps), y, other.reshape(-1), total)
    else:
        mean[...] = np.nan
        rstd[...] = np.nan
    return y


@jit
def _gradients(dy, x, rows, centered, saved, addend):
    """As `layer.gradients`, `addend` being flat, perhaps of size 0."""
    weight, mean, rstd = saved
    n = product(rows, 0, len(rows))
    dx, dweight, dbias = np.empty(x.shape, x.dtype), np.zeros(n, x.dtype), np.zeros(n, x.dtype)
    if x.size:
        options = n, centered, use_streaming(dx, 3 + (1 if addend.size else 0), n)
        flat, gradients = (weight, mean.reshape(-1), rstd.reshape(-1)), (dx.reshape(-1), dweight, dbias)
        rows_back(dy.reshape(-1), x.reshape(-1), addend, flat, options, gradients, threads_for(x.size, 0))
    return dx, dweight.reshape(rows), dbias.reshape(rows)


@in_njit(layer.layer_norm_backward)
def _layer_norm_backward(dy, x, normalized_shape, mean, rstd, weight, needs):
    x = floats("layer_norm_backward", "x", x)
    dy = matching("layer_norm_backward", "dy", dy, x.shape, x)
    rows = row_shape("layer_norm_backward", normalized_shape)
    leading = leading_of("layer_norm_backward", x, rows)
    mean = matching("layer_norm_backward", "mean", mean, leading, x)
    rstd = matching("layer_norm_backward", "rstd", rstd, leading, x)
    weight = parameter("layer_norm_backward", "weight", weight, rows, x, 1.0)
    needs = flags(needs, 3)
    dx, dweight, dbias = _gradients(dy, x, rows, True, (weight, mean, rstd), x.reshape(-1)[:0])
    return wanted(dx, needs[0]), wanted(dweight, needs[1]), wanted(dbias, needs[2])


@in_njit(layer.rms_norm_backward)
def _rms_norm_backward(dy, x, normalized_shape, rstd, weight, needs):
    x = floats("rms_norm_backward", "x", x)
    dy = matching("rms_norm_backward", "dy", dy, x.shape, x)
    rows = row_shape("rms_norm_backward", normalized_shape)
    leading = leading_of("rms_norm_backward", x, rows)
    rstd = matching("rms_norm_backward", "rstd", rstd, leading, x)
    weight = parameter("rms_norm_backward", "weight", weight, rows, x, 1.0)
    needs = flags(needs, 2)
    dx, dweight, _ = _gradients(dy, x, rows, False, (weight, rstd, rstd), x.reshape(-1)[:0])
    return wanted(dx, needs[0]), wanted(dweight, needs[1])


@in_njit(residual.add_layer_norm_backward)
def _add_layer_norm_backward(dy, sum, normalized_shape, mean, rstd, weight, dsum, needs):
    x = floats("add_layer_norm_backward", "sum", sum)
    dy = matching("add_layer_norm_backward", "dy", dy, x.shape, x)
    rows = row_shape("add_layer_norm_backward", normalized_shape)
    leading = leading_of("add_layer_norm_backward", x, rows)
    mean = matching("add_layer_norm_backward", "mean", mean, leading, x)
    rstd = matching("add_layer_norm_backward", "rstd", rstd, leading, x)
    weight = parameter("add_layer_norm_backward", "weight", weight, rows, x, 1.0)
    addend = x.reshape(-1)[:0]
    if dsum is not None:
        addend = matching("add_layer_norm_backward", "dsum", dsum, x.shape, x).reshape(-1)
    needs = flags(needs, 4)
    dx, dweight, dbias = _gradients(dy, x, rows, True, (weight, mean, rstd), addend)
    return wanted(dx, needs[0]), wanted(dx, needs[1]), wanted(dweight, needs[2]), wanted(dbias, needs[3])

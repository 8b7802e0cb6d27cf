"""Validation of the arguments that all recurrent networks share, and the rows of their steps."""

from typing import NamedTuple

import numpy as np

from kernels import _checks
from kernels.recurrent.gates import GATES

NO_MATRIX = {dtype: np.empty((0, 0), dtype) for dtype in (_checks.FLOAT32, _checks.FLOAT64)}


class Layer(NamedTuple):
    """One layer in one direction, validated: x by rows, the weights, and the rows of each step."""

    operation: str
    kind: int
    x: np.ndarray
    weight_ih: np.ndarray
    weight_hh: np.ndarray
    weight_hr: np.ndarray | None
    starts: np.ndarray
    sizes: np.ndarray
    reverse: bool
    leading: tuple  # the shape of x but for its last dimension
    units: int

    @property
    def batch(self):
        return int(self.sizes[0])

    @property
    def outputs(self):
        return self.weight_hh.shape[1]


def checked_layer(operation, kind, x, weights, reverse, batch_sizes) -> Layer:
    """Validate x and the weights (ih, hh, hr) and return the layer; `batch_sizes` None means full batches (T, B, I)."""
    weight_ih, weight_hh, weight_hr = weights
    x = _checks.floats(operation, "x", x)
    weight_ih = _checks.floats(operation, "weight_ih", weight_ih)
    weight_hh = _checks.floats(operation, "weight_hh", weight_hh)
    given = {} if weight_hr is None else {"weight_hr": _checks.floats(operation, "weight_hr", weight_hr)}
    weight_hr = given.get("weight_hr")
    _checks.same_dtype(operation, x=x, weight_ih=weight_ih, weight_hh=weight_hh, **given)
    ndim, form = (3, "(T, B, I)") if batch_sizes is None else (2, "(rows, I) with batch_sizes")
    if x.ndim != ndim:
        raise ValueError(f"{operation}: x must have shape {form}, got {x.shape}")
    gates = GATES[kind]
    if weight_ih.ndim != 2 or weight_ih.shape[1] != x.shape[-1] or weight_ih.shape[0] % gates or not weight_ih.size:
        raise ValueError(
            f"{operation}: weight_ih must have shape ({gates} H, I) with I and H at least 1, got {weight_ih.shape} "
            f"for x {x.shape}"
        )
    units = weight_ih.shape[0] // gates
    outputs = units if weight_hr is None else weight_hr.shape[0] if weight_hr.ndim == 2 else 0
    if weight_hr is not None and (weight_hr.shape != (outputs, units) or not 0 < outputs < units):
        raise ValueError(
            f"{operation}: weight_hr must have shape (P, H) with H = {units} and 0 < P < H, got {weight_hr.shape}"
        )
    if weight_hh.shape != (gates * units, outputs):
        raise ValueError(f"{operation}: weight_hh must have shape {(gates * units, outputs)}, got {weight_hh.shape}")
    if batch_sizes is None:
        if not x.shape[0]:
            raise ValueError(f"{operation}: needs at least one step, x is {x.shape}")
        sizes = np.full(x.shape[0], x.shape[1], np.int64)
    else:
        sizes = _sizes(operation, batch_sizes, len(x))
    starts = np.zeros(len(sizes), np.int64)
    np.cumsum(sizes[:-1], out=starts[1:])
    rows = x.reshape(-1, x.shape[-1]) if x.size else x.reshape(0, x.shape[-1])
    matrices = rows, weight_ih, weight_hh, weight_hr
    return Layer(operation, kind, *matrices, starts, sizes, bool(reverse), x.shape[:-1], units)


def _sizes(operation, batch_sizes, rows):
    sizes = _checks.indices(operation, "batch_sizes", batch_sizes)
    if sizes.ndim != 1 or not sizes.size:
        raise ValueError(f"{operation}: needs at least one step, batch_sizes has shape {sizes.shape}")
    if sizes[-1] < 1 or (sizes[1:] > sizes[:-1]).any():
        raise ValueError(f"{operation}: batch_sizes must be positive and non-increasing, got {sizes.tolist()}")
    if sizes.sum() != rows:
        raise ValueError(f"{operation}: batch_sizes must add up to the {rows} rows of x, got {int(sizes.sum())}")
    return sizes


def optional(operation, name, array, shape, dtype):
    """Validate and return `array`; None stays None."""
    if array is None:
        return None
    array = _checks.floats(operation, name, array)
    if array.dtype != dtype:
        raise TypeError(f"{operation}: {name} must be {dtype} as x, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{operation}: {name} must have shape {shape}, got {array.shape}")
    return array


def required(operation, name, array, shape, dtype):
    """Validate and return `array`, which must not be None."""
    if array is None:
        raise TypeError(f"{operation}: {name} must be an array, got None")
    return optional(operation, name, array, shape, dtype)


def state(operation, name, array, shape, dtype):
    """A copy of the state (or of its gradient), which the time loop replaces; zeros for None."""
    array = optional(operation, name, array, shape, dtype)
    return np.zeros(shape, dtype) if array is None else array.copy()


def pair(operation, name, states):
    """The two states of an LSTM, None for both or for one."""
    if states is None:
        return None, None
    if not isinstance(states, (tuple, list)) or len(states) != 2:
        raise TypeError(f"{operation}: {name} must be a pair of arrays, got {type(states).__name__}")
    return states


def by_rows(array, layer):
    """`array` as a matrix with a row for each row of the layer's x; an empty one for None."""
    return NO_MATRIX[layer.x.dtype] if array is None else array.reshape(len(layer.x), array.shape[-1])

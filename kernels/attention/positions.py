r"""Positions in attention: the rotary embedding of queries and keys (loops: `rotary`), and ALiBi's slopes.

ALiBi lowers the score of a query i and a key j by slope × |i - j|, with a slope for each head, a geometric sequence
from :math:`2^{-8/H}` to :math:`2^{-8}`.

- Press, Smith and Lewis 2022, "Train short, test long", section 3.
"""

import math

import numpy as np

from kernels import _checks
from kernels._indices import within
from kernels._jit import jit
from kernels._threads import threads_for
from kernels.attention.arguments import readable
from kernels.attention.rotary import compiled


def rotary_embedding(x, cos, sin, positions=None, *, interleaved=False, out=None):
    """Rotate pairs of channels by angles that grow with the position.

    Parameters
    ----------
    x : array, float32 or float64
        Queries or keys, shape ``(..., T, D)``; any strides are read in place if the last axis is contiguous.
    cos, sin : array
        Shape ``(P, R / 2)``, dtype of `x`: for each position and pair the cosine and sine of its angle, R <= D (see
        `rotary_tables`).
    positions : array of int64 or int32, optional
        The position of each row of `x`, a row of the tables: shape ``(T,)``, or ``(N, T)`` where N is the first axis of
        `x`, or what broadcasts to ``x.shape[:-1]``. By default 0 to T - 1.
    interleaved : bool, default False
        Whether the channels 2i and 2i + 1 are a pair, instead of i and i + R/2.
    out : array, optional
        Receives the result: shape and dtype of `x`, last axis contiguous. May be `x` itself.

    Returns
    -------
    array
        Shape of `x`, its axes in the same order in memory.

    Raises
    ------
    TypeError
        Other dtypes, or different ones.
    ValueError
        Tables of two shapes or of more channels than `x` has, positions that do not broadcast, more rows than positions
        in the tables, an unsuitable `out`.
    IndexError
        A position that the tables do not have.

    Reference: Su et al. 2021, section 3.2.2.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import rotary_embedding, rotary_tables
    >>> cos, sin = rotary_tables(3, 2)
    >>> rotary_embedding(np.array([[1, 0], [1, 0]], np.float32), cos, sin).round(3)
    array([[1.   , 0.   ],
           [0.54 , 0.841]], dtype=float32)
    """
    return _rotary("rotary_embedding", "x", x, (cos, sin), positions, interleaved, 1.0, out)


def rotary_embedding_backward(dy, cos, sin, positions=None, *, interleaved=False):
    """Gradient of `rotary_embedding` with respect to `x`: `dy`, rotated back.

    Parameters
    ----------
    dy : array
        Gradient of the result, shape ``(..., T, D)``.
    cos, sin, positions, interleaved
        The forward's.

    Returns
    -------
    dx : array
        Shape of `dy`, its axes in the same order in memory.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `rotary_embedding`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import rotary_embedding, rotary_embedding_backward, rotary_tables
    >>> x, tables = np.array([[1, 0], [1, 0]], np.float32), rotary_tables(3, 2)
    >>> rotary_embedding_backward(rotary_embedding(x, *tables), *tables).round(3)
    array([[1., 0.],
           [1., 0.]], dtype=float32)
    """
    return _rotary("rotary_embedding_backward", "dy", dy, (cos, sin), positions, interleaved, -1.0, None)


def rotary_tables(positions, width, base=10000.0, dtype=np.float32):
    """Cosines and sines of the angles ``p * base ** (-2 * i / width)``, computed in float64.

    Parameters
    ----------
    positions : int
        How many: the tables hold the positions 0 to positions - 1.
    width : int
        Number R of channels that are rotated, even.
    base : float, default 10000
        The wavelengths are ``2 pi base ** (2 i / width)`` positions.
    dtype : float32 or float64

    Returns
    -------
    cos, sin : array
        Shape ``(positions, width // 2)``.

    Raises
    ------
    TypeError
        Another dtype.
    ValueError
        A negative number of positions, an odd width or one below 2, a base that is not positive.

    Reference: Su et al. 2021, section 3.2.2.

    Examples
    --------
    >>> from kernels import rotary_tables
    >>> cos, sin = rotary_tables(3, 2)
    >>> cos.round(3).ravel()
    array([ 1.   ,  0.54 , -0.416], dtype=float32)
    """
    if positions < 0:
        raise ValueError(f"rotary_tables: positions must not be negative, got {positions}")
    if width < 2 or width % 2:
        raise ValueError(f"rotary_tables: width must be even and at least 2, got {width}")
    if not base > 0:
        raise ValueError(f"rotary_tables: base must be positive, got {base}")
    dtype = _float("rotary_tables", dtype)
    cos, sin = np.empty((2, positions, width // 2), dtype)
    fill_tables(float(base), cos, sin)
    return cos, sin


@jit(fastmath=False)
def fill_tables(base, cos, sin):
    """Cosine and sine of each position (row) and pair (column)."""
    positions, pairs = cos.shape
    frequencies = np.empty(pairs)
    for i in range(pairs):
        frequencies[i] = base ** (-i / pairs)
    for p in range(positions):
        for i in range(pairs):
            cos[p, i], sin[p, i] = math.cos(p * frequencies[i]), math.sin(p * frequencies[i])


def alibi_slopes(heads, dtype=np.float32):
    """Slope for each head, by which ALiBi multiplies the distance of a query and a key.

    For a power of two, ``2 ** (-8 * (h + 1) / heads)``; else those of the next smaller power of two, and then every
    second one of the next larger, as in the paper's published code.

    Parameters
    ----------
    heads : int
    dtype : float32 or float64

    Returns
    -------
    array
        Shape ``(heads,)``.

    Raises
    ------
    TypeError
        Another dtype.
    ValueError
        No head.

    Reference: Press, Smith and Lewis 2022, section 3.

    Examples
    --------
    >>> from kernels import alibi_slopes
    >>> alibi_slopes(3)
    array([0.0625    , 0.00390625, 0.25      ], dtype=float32)
    """
    if heads < 1:
        raise ValueError(f"alibi_slopes: heads must be at least 1, got {heads}")
    slopes = np.empty(heads, _float("alibi_slopes", dtype))
    fill_slopes(slopes)
    return slopes


@jit(fastmath=False)
def fill_slopes(slopes):
    """The slope of each head."""
    power = 1
    while 2 * power <= slopes.size:
        power *= 2
    for h in range(slopes.size):
        step = 2 * (h + 1) if h < power else 2 * (h - power) + 1
        slopes[h] = 2.0 ** (step * (-4.0 / power))


def _float(operation, dtype):
    dtype = np.dtype(dtype)
    if dtype not in (_checks.FLOAT32, _checks.FLOAT64):
        raise TypeError(f"{operation}: dtype must be float32 or float64, got {dtype}")
    return dtype


def _rotary(operation, name, x, tables, positions, interleaved, sign, out):
    x = readable(operation, name, x)
    cos, sin = (_checks.floats(operation, which, table) for which, table in zip(("cos", "sin"), tables, strict=True))
    if not (x.dtype is cos.dtype is sin.dtype):
        _checks.same_dtype(operation, **{name: x, "cos": cos, "sin": sin})
    if cos.ndim != 2 or cos.shape != sin.shape:
        raise ValueError(f"{operation}: cos and sin must be of one shape (P, R / 2), got {cos.shape} and {sin.shape}")
    if 2 * cos.shape[1] > x.shape[-1]:
        raise ValueError(f"{operation}: the tables rotate {2 * cos.shape[1]} channels, {name} has {x.shape[-1]}")
    positions = _positions(operation, name, x, positions, len(cos))
    source = _four_axes(x)
    # rows are visited in the order in which they lie in memory
    strides = [abs(stride) for stride in source.strides[:3]]
    order = (*sorted(range(3), key=lambda axis: -strides[axis]), 3)
    if out is None:
        target = _checks.new(tuple([source.shape[axis] for axis in order]), x.dtype)
        result = target.transpose([order.index(axis) for axis in range(4)]).reshape(x.shape)
    else:
        result, target = out, _output(operation, name, out, x, cos, sin).transpose(order)
    if target.size:
        source, positions = source.transpose(order), _four_axes(positions[..., None])[..., 0].transpose(order[:3])
        compiled[x.dtype](source, cos, sin, positions, bool(interleaved), sign, target, threads_for(x.size))
    return result


def _positions(operation, name, x, positions, number):
    """Validate and return the position of every row of `x`: shape ``x.shape[:-1]``."""
    shape = x.shape[:-1]
    T = shape[-1]
    if positions is None:
        if T > number:
            raise ValueError(f"{operation}: {name} has {T} rows, cos and sin have {number} positions")
        positions = np.arange(T)
    else:
        positions = _checks.indices(operation, "positions", positions)
        within(operation, "positions", positions, number)
    if positions.shape == (T,):  # what `broadcast_to` would return, in a tenth of its time
        return np.ndarray(shape, positions.dtype, positions, 0, (0,) * (len(shape) - 1) + positions.strides)
    given = positions.shape
    if len(given) == 2 < x.ndim:
        given = (given[0], *(1,) * (x.ndim - 3), given[1])
    try:
        return np.broadcast_to(positions.reshape(given), shape)
    except ValueError:
        message = f"{operation}: positions of shape {positions.shape} do not broadcast to {name} of shape {x.shape}"
        raise ValueError(message) from None


def _four_axes(x):
    """View `x` (..., T, D) as (A, B, T, D)."""
    shape = x.shape
    if len(shape) == 4:
        return x
    first = shape[0] if len(shape) > 2 else 1
    return x.reshape(first, math.prod(shape[1:-2]), *shape[-2:])


def _output(operation, name, out, x, cos, sin):
    """Validate `out` and return it with four axes."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{operation}: out must be a NumPy array, got {type(out).__name__}")
    if out.dtype != x.dtype:
        raise TypeError(f"{operation}: out must be {x.dtype}, got {out.dtype}")
    if out.shape != x.shape:
        raise ValueError(f"{operation}: out must have shape {x.shape}, got {out.shape}")
    if not out.flags.writeable:
        raise ValueError(f"{operation}: out is read-only")
    target = _four_axes(out)
    rows = out.flags.aligned and (out.strides[-1] == out.itemsize or out.shape[-1] == 1)
    if not rows or (out.size and not np.may_share_memory(target, out)):
        raise ValueError(f"{operation}: out must be aligned, its rows contiguous, its strides are {out.strides}")
    _checks.no_overlap(operation, out, cos=cos, sin=sin)
    if np.may_share_memory(out, x) and (out.ctypes.data, out.strides) != (x.ctypes.data, x.strides):
        raise ValueError(f"{operation}: out overlaps {name} without being the same memory")
    return target

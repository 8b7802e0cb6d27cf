"""Initial weights, with the names, arguments and distributions of ``torch.nn.init``.

Every function fills a Tensor in place, without recording, and returns it. ``generator`` is a
``numpy.random.Generator``; by default it is the one that ``nn.manual_seed`` seeds.

The fan of a weight (out, in, *receptive field) is the number of inputs (or outputs) of one unit: ``in`` (or ``out``)
times the size of the receptive field.
"""

import math
import warnings

import numpy as np

from nn import random


def calculate_gain(nonlinearity, param=None):
    """The factor on a weight's standard deviation that preserves a signal's scale through a nonlinearity.

    Parameters
    ----------
    nonlinearity : str
        ``linear``, ``conv1d`` … ``conv_transpose3d`` and ``sigmoid``: 1; ``tanh``: 5/3; ``relu``: √2;
        ``leaky_relu``: √(2 / (1 + slope²)); ``selu``: 3/4.
    param : float, optional
        The slope of ``leaky_relu``; 0.01 if not given.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        An unknown nonlinearity, or a slope that is not a number.

    Examples
    --------
    >>> from nn import init
    >>> round(init.calculate_gain("relu"), 4)
    1.4142
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: the slope of leaky_relu must be a number, got {param!r}")
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        raise ValueError(
            f"calculate_gain: nonlinearity must be one of {sorted(GAINS)} or leaky_relu, got {nonlinearity!r}"
        )
    return GAINS[nonlinearity]


GAINS = {f"conv{transposed}{d}d": 1.0 for transposed in ("", "_transpose") for d in (1, 2, 3)} | {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def _fill(tensor, values):
    tensor.array[...] = values
    tensor.mark_changed()
    return tensor


def _normal(shape, dtype, generator):
    return (generator or random.generator()).standard_normal(shape, dtype=dtype)


def _uniform(shape, dtype, generator):
    return (generator or random.generator()).random(shape, dtype=dtype)


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Fill with the uniform distribution on [a, b).

    Parameters
    ----------
    tensor : Tensor
    a, b : float, default 0 and 1
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Examples
    --------
    >>> import nn
    >>> w = nn.init.uniform_(nn.Parameter([[0.0] * 3] * 5), -1, 1)
    >>> bool((abs(w.array) <= 1).all())
    True
    """
    return _fill(tensor, _uniform(tensor.shape, tensor.dtype, generator) * (b - a) + a)


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Fill with the normal distribution.

    Parameters
    ----------
    tensor : Tensor
    mean, std : float, default 0 and 1
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.
    """
    return _fill(tensor, _normal(tensor.shape, tensor.dtype, generator) * std + mean)


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Fill with the normal distribution truncated to [a, b]: values outside are drawn again.

    Parameters
    ----------
    tensor : Tensor
    mean, std : float, default 0 and 1
    a, b : float, default -2 and 2
        The bounds, as values (not in standard deviations).
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `a` is above `b`.
    """
    if a > b:
        raise ValueError(f"trunc_normal_: a must not be above b, got a = {a}, b = {b}")
    data = tensor.array
    inside = (math.erf((b - mean) / (std * math.sqrt(2))) - math.erf((a - mean) / (std * math.sqrt(2)))) / 2
    peak = ((min(max(mean, a), b) - mean) / std) ** 2
    values = np.empty(data.size, data.dtype)
    pending = np.arange(data.size)
    while pending.size:
        if inside > 0.3:
            values[pending] = _normal(pending.size, data.dtype, generator) * std + mean
            accepted = (values[pending] >= a) & (values[pending] <= b)
        else:
            # Few normal draws would be inside: draw uniformly, and accept with probability proportional to the density.
            values[pending] = _uniform(pending.size, data.dtype, generator) * (b - a) + a
            density = np.exp((peak - ((values[pending] - mean) / std) ** 2) / 2)
            accepted = _uniform(pending.size, data.dtype, generator) <= density
        pending = pending[~accepted]
    return _fill(tensor, values.reshape(data.shape))


def constant_(tensor, val):
    """Fill with one value.

    Parameters
    ----------
    tensor : Tensor
    val : float

    Returns
    -------
    Tensor
        `tensor`.
    """
    return _fill(tensor, val)


def ones_(tensor):
    """Fill with ones.

    Parameters
    ----------
    tensor : Tensor

    Returns
    -------
    Tensor
        `tensor`.
    """
    return constant_(tensor, 1)


def zeros_(tensor):
    """Fill with zeros.

    Parameters
    ----------
    tensor : Tensor

    Returns
    -------
    Tensor
        `tensor`.
    """
    return constant_(tensor, 0)


def eye_(tensor):
    """Fill a matrix with the identity: a linear layer preserves as many inputs as possible.

    Parameters
    ----------
    tensor : Tensor
        (rows, columns).

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `tensor` is not 2-D.
    """
    _check_matrix("eye_", tensor)
    return _fill(tensor, np.eye(*tensor.shape))


def _check_matrix(name, tensor):
    if len(tensor.shape) != 2:
        raise ValueError(f"{name}: needs 2 dimensions, the tensor is {tensor.shape}")


def dirac_(tensor, groups=1):
    """Fill a convolution's weight with the Dirac delta: it preserves as many channels of each group as possible.

    Parameters
    ----------
    tensor : Tensor
        (out, in / groups, *kernel) with 1, 2 or 3 kernel dimensions.
    groups : int, default 1

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        Another number of dimensions, or `groups` does not divide the output channels.
    """
    shape = tensor.shape
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"dirac_: needs 3, 4 or 5 dimensions, the tensor is {shape}")
    if shape[0] % groups:
        raise ValueError(f"dirac_: groups must divide the output channels, got {groups} groups and {shape[0]} channels")
    zeros_(tensor)
    centre = tuple(size // 2 for size in shape[2:])
    out_channels = shape[0] // groups
    for group in range(groups):
        for channel in range(min(out_channels, shape[1])):
            tensor.array[(group * out_channels + channel, channel, *centre)] = 1
    return tensor


def _fans(tensor):
    """(fan in, fan out)."""
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(f"fan in and fan out need at least 2 dimensions, the tensor is {shape}")
    receptive_field = math.prod(shape[2:])
    return shape[1] * receptive_field, shape[0] * receptive_field


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Fill uniformly on ±gain √(6 / (fan in + fan out)), which preserves the scale of activations and gradients.

    Parameters
    ----------
    tensor : Tensor
        At least 2-D.
    gain : float, default 1
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `tensor` has fewer than 2 dimensions.

    Reference: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010),
    equation 16.
    """
    bound = gain * math.sqrt(6 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Fill normally with standard deviation gain √(2 / (fan in + fan out)).

    Parameters
    ----------
    tensor : Tensor
        At least 2-D.
    gain : float, default 1
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `tensor` has fewer than 2 dimensions.

    Reference: Glorot and Bengio (2010), equation 12.
    """
    return normal_(tensor, 0, gain * math.sqrt(2 / sum(_fans(tensor))), generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan_in, fan_out = _fans(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def _is_empty(tensor):
    empty = 0 in tensor.shape
    if empty:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return empty


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill uniformly on ±gain √(3 / fan), which preserves the scale of activations (or gradients) through rectifiers.

    Parameters
    ----------
    tensor : Tensor
        At least 2-D. An empty one is left unchanged, with a warning.
    a : float, default 0
        The rectifier's negative slope, for ``leaky_relu``.
    mode : {"fan_in", "fan_out"}, default "fan_in"
        Which variance to preserve: that of the activations, or that of the gradients.
    nonlinearity : str, default "leaky_relu"
        As in `calculate_gain`.
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `tensor` has fewer than 2 dimensions, or an unknown mode or nonlinearity.

    Reference: He et al., "Delving deep into rectifiers" (2015), section 2.2.
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Fill normally with standard deviation gain / √fan.

    Parameters
    ----------
    tensor, a, mode, nonlinearity, generator
        As for `kaiming_uniform_`.

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        As for `kaiming_uniform_`.

    Reference: He et al. (2015), section 2.2.
    """
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor, gain=1, generator=None):
    """Fill with a random matrix of orthonormal rows or columns, times `gain`; dimensions after the first are flattened.

    Parameters
    ----------
    tensor : Tensor
        At least 2-D.
    gain : float, default 1
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `tensor` has fewer than 2 dimensions.

    Reference: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks" (2014).
    """
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(f"orthogonal_: needs at least 2 dimensions, the tensor is {shape}")
    if 0 in shape:
        return tensor
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(_normal((max(rows, columns), min(rows, columns)), np.float64, generator))
    q *= np.sign(np.diag(r))  # without this, q would not be uniformly distributed (Mezzadri 2007)
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(shape))


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Fill normally, then set a fraction of each column to zero.

    Parameters
    ----------
    tensor : Tensor
        (rows, columns).
    sparsity : float
        The fraction of zeros in each column, rounded up to whole rows.
    std : float, default 0.01
    generator : numpy.random.Generator, optional

    Returns
    -------
    Tensor
        `tensor`.

    Raises
    ------
    ValueError
        `tensor` is not 2-D.

    Reference: Martens, "Deep learning via Hessian-free optimization" (2010), section 5.
    """
    _check_matrix("sparse_", tensor)
    rows, columns = tensor.shape
    normal_(tensor, 0, std, generator)
    order = (generator or random.generator()).permuted(np.tile(np.arange(rows), (columns, 1)), axis=1)
    tensor.array[order[:, : math.ceil(sparsity * rows)].T, np.arange(columns)] = 0
    return tensor

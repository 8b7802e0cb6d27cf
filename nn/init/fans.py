"""Initial weights whose scale depends on the number of inputs and outputs of a unit.

The fan of a weight (out, in, *receptive field) is the number of inputs (or outputs) of one unit: ``in`` (or ``out``)
times the size of the receptive field.
"""

import math
import warnings

from nn.init.draws import normal_, uniform_
from nn.operations.arguments import scalar_of

__all__ = ["calculate_gain", "kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_"]


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
    if not isinstance(nonlinearity, str) or nonlinearity not in GAINS:
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
    bound = scalar_of("xavier_uniform_", "gain", gain) * math.sqrt(6 / sum(_fans(tensor)))
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
    gain = scalar_of("xavier_normal_", "gain", gain)
    return normal_(tensor, 0, gain * math.sqrt(2 / sum(_fans(tensor))), generator)


def _kaiming_std(name, tensor, a, mode, nonlinearity):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"{name}: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan_in, fan_out = _fans(tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan_in if mode == "fan_in" else fan_out)


def _is_empty(tensor):
    empty = 0 in tensor.shape
    if empty:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return empty


def kaiming_uniform_(tensor, a: float = 0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
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
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a: float = 0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
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
    return normal_(tensor, 0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity), generator)

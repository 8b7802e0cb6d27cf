r"""Activation functions and their gradients in plain NumPy.

    y = f(x)          dx = dy f'(x)

A backward takes the output `y` where f' is cheap in y (relu, sigmoid, tanh, exp), and the input `x` elsewhere.
σ is the logistic function 1 / (1 + e⁻ˣ), Φ and φ are the normal distribution and its density.
"""

import math

import numpy as np

__all__ = [
    "relu",
    "relu_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "prelu",
    "prelu_backward",
    "elu",
    "elu_backward",
    "selu",
    "selu_backward",
    "celu",
    "celu_backward",
    "gelu",
    "gelu_backward",
    "silu",
    "silu_backward",
    "mish",
    "mish_backward",
    "sigmoid",
    "sigmoid_backward",
    "tanh",
    "tanh_backward",
    "exp",
    "exp_backward",
    "softplus",
    "softplus_backward",
    "hardtanh",
    "hardtanh_backward",
    "hardswish",
    "hardswish_backward",
    "hardsigmoid",
    "hardsigmoid_backward",
    "glu",
    "glu_backward",
    "logsigmoid",
    "logsigmoid_backward",
    "erf",
    "erf_backward",
    "erfc",
    "erfc_backward",
    "expm1",
    "expm1_backward",
    "log1p",
    "log1p_backward",
    "rsqrt",
    "rsqrt_backward",
    "lgamma",
    "lgamma_backward",
    "digamma",
    "digamma_backward",
]

ieee = np.errstate(all="ignore")  # NaN and infinities are results here, not warnings

# selu's constants make mean 0 and variance 1 a fixed point (Klambauer et al. 2017, equation 14)
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _store(y, out):
    """Return `y` as an array, or write it to `out` and return that."""
    if out is None:
        return np.asarray(y)
    out[...] = y
    return out


# --- piecewise linear -------------------------------------------------------------------------------------------------


def relu(x, *, out=None):
    """y = max(x, 0)."""
    return np.asarray(np.maximum(x, 0, out=out))


def relu_backward(dy, y):
    """dx = dy where y > 0, else 0."""
    return np.where(y <= 0, 0, dy)


@ieee
def leaky_relu(x, negative_slope=0.01, *, out=None):
    """y = x where x > 0, else negative_slope * x."""
    return _store(np.where(x > 0, x, negative_slope * x), out)


@ieee
def leaky_relu_backward(dy, x, negative_slope=0.01):
    """dx = dy where x > 0, else negative_slope * dy."""
    return np.where(x > 0, dy, negative_slope * dy)


@ieee
def prelu(x, weight, *, out=None):
    """y = x where x > 0, else weight * x; one weight for all, or one for each channel (axis 1)."""
    return _store(np.where(x > 0, x, _by_channel(weight, x) * x), out)


@ieee
def prelu_backward(dy, x, weight):
    """Return ``(dx, dweight)``: dx = dy where x > 0, else weight * dy; dweight sums x dy over x <= 0."""
    dx = np.where(x > 0, dy, _by_channel(weight, x) * dy)
    dweight = np.where(x > 0, 0, x * dy)
    others = None if weight.size == 1 else (0, *range(2, x.ndim))
    return dx, dweight.sum(axis=others).reshape(weight.shape)


def _by_channel(weight, x):
    """View `weight` so that it broadcasts along axis 1 of `x`."""
    if weight.size not in (1, x.shape[1] if x.ndim > 1 else 1):
        raise ValueError(
            f"prelu: weight must have one value or one for each channel: it is {weight.shape}, x {x.shape}"
        )
    return weight.reshape(()) if weight.size == 1 else weight.reshape(-1, *[1] * (x.ndim - 2))


def hardtanh(x, min_val=-1.0, max_val=1.0, *, out=None):
    """y = min(max(x, min_val), max_val)."""
    return np.asarray(np.clip(x, min_val, max_val, out=out))


def hardtanh_backward(dy, x, min_val=-1.0, max_val=1.0):
    """dx = dy strictly inside the bounds, else 0."""
    return np.where((x > min_val) & (x < max_val), dy, 0)


@ieee
def hardswish(x, *, out=None):
    """y = x min(max(x + 3, 0), 6) / 6."""
    return _store(x * np.clip(x + 3, 0, 6) / 6, out)


@ieee
def hardswish_backward(dy, x):
    """dx = 0 below -3, dy above 3, and dy (x / 3 + 1/2) between."""
    return np.where(x <= -3, 0, np.where(x >= 3, dy, dy * (x / 3 + 0.5)))


@ieee
def hardsigmoid(x, *, out=None):
    """y = min(max(x + 3, 0), 6) / 6."""
    return _store(np.clip(x + 3, 0, 6) / 6, out)


def hardsigmoid_backward(dy, x):
    """dx = dy / 6 where -3 < x < 3, else 0."""
    return np.where((x > -3) & (x < 3), dy / 6, 0)


# --- exponential ------------------------------------------------------------------------------------------------------


@ieee
def exp(x, *, out=None):
    """y = eˣ."""
    return np.asarray(np.exp(x, out=out))


@ieee
def exp_backward(dy, y):
    """dx = dy y."""
    return np.asarray(dy * y)


@ieee
def elu(x, alpha=1.0, *, out=None):
    """y = x where x > 0, else alpha (eˣ - 1)."""
    return _store(np.where(x > 0, x, alpha * np.expm1(x)), out)


@ieee
def elu_backward(dy, x, alpha=1.0):
    """dx = dy where x > 0, else alpha eˣ dy."""
    return np.where(x > 0, dy, dy * alpha * np.exp(x))


@ieee
def selu(x, *, out=None):
    """y = scale (x where x > 0, else alpha (eˣ - 1)), with the constants of self-normalising networks."""
    return _store(SELU_SCALE * elu(x, SELU_ALPHA), out)


@ieee
def selu_backward(dy, x):
    """dx = scale dy where x > 0, else scale alpha eˣ dy."""
    return np.where(x > 0, dy * SELU_SCALE, dy * SELU_SCALE * SELU_ALPHA * np.exp(x))


@ieee
def celu(x, alpha=1.0, *, out=None):
    """y = x where x > 0, else alpha (exp(x / alpha) - 1)."""
    return _store(np.where(x > 0, x, alpha * np.expm1(x / alpha)), out)


@ieee
def celu_backward(dy, x, alpha=1.0):
    """dx = dy where x > 0, else exp(x / alpha) dy."""
    return np.where(x > 0, dy, dy * np.exp(x / alpha))


# --- sigmoid and its family -------------------------------------------------------------------------------------------


@ieee
def sigmoid(x, *, out=None):
    """y = σ(x)."""
    e = np.exp(-np.abs(x))  # never overflows
    return _store(np.where(x >= 0, 1, e) / (1 + e), out)


@ieee
def sigmoid_backward(dy, y):
    """dx = dy y (1 - y)."""
    return np.asarray(dy * (1 - y) * y)


def tanh(x, *, out=None):
    """y = tanh x."""
    return np.asarray(np.tanh(x, out=out))


@ieee
def tanh_backward(dy, y):
    """dx = dy (1 - y²)."""
    return np.asarray(dy * (1 - y * y))


@ieee
def softplus(x, beta=1.0, threshold=20.0, *, out=None):
    """y = log(1 + exp(beta x)) / beta, and x itself where beta x > threshold."""
    z = beta * x
    return _store(np.where(z > threshold, x, _log_one_plus_exp(z) / beta), out)


@ieee
def softplus_backward(dy, x, beta=1.0, threshold=20.0):
    """dx = dy σ(beta x), and dy itself where beta x > threshold."""
    z = beta * x
    return np.where(z > threshold, dy, dy * sigmoid(z))


@ieee
def logsigmoid(x, *, out=None):
    """y = log σ(x)."""
    return _store(-_log_one_plus_exp(-x), out)


@ieee
def logsigmoid_backward(dy, x):
    """dx = dy σ(-x)."""
    return np.asarray(dy * sigmoid(-x))


def _log_one_plus_exp(x):
    """log(1 + eˣ) without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@ieee
def silu(x, *, out=None):
    """y = x σ(x)."""
    return _store(x * sigmoid(x), out)


@ieee
def silu_backward(dy, x):
    """dx = dy σ(x) (1 + x (1 - σ(x)))."""
    s = sigmoid(x)
    return np.asarray(dy * s * (1 + x * (1 - s)))


@ieee
def mish(x, *, out=None):
    """y = x tanh(log(1 + eˣ))."""
    return _store(x * np.tanh(_log_one_plus_exp(x)), out)


@ieee
def mish_backward(dy, x):
    """dx = dy (t + x σ(x) (1 - t²)), with t = tanh(log(1 + eˣ))."""
    t = np.tanh(_log_one_plus_exp(x))
    return np.asarray(dy * (t + x * sigmoid(x) * (1 - t * t)))


@ieee
def glu(x, dim=-1, *, out=None):
    """y = a σ(b), where a and b are the halves of `x` along `dim`."""
    a, b = np.split(x, 2, axis=dim)
    return _store(a * sigmoid(b), out)


@ieee
def glu_backward(dy, x, dim=-1):
    """da = dy σ(b) and db = dy a σ(b) (1 - σ(b)), joined along `dim`."""
    a, b = np.split(x, 2, axis=dim)
    s = sigmoid(b)
    return np.concatenate([dy * s, dy * a * s * (1 - s)], axis=dim)


# --- gelu -------------------------------------------------------------------------------------------------------------


@ieee
def gelu(x, approximate="none", *, out=None):
    """y = x Φ(x); ``approximate="tanh"`` takes Φ(x) as (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2."""
    if _is_tanh(approximate):
        return _store(x * sigmoid(2 * _gelu_inner(x)), out)  # (1 + tanh u) / 2 = σ(2u), without cancellation
    return _store(x * _normal_cdf(x), out)


@ieee
def gelu_backward(dy, x, approximate="none"):
    """dx = dy (Φ(x) + x φ(x)), or the derivative of the tanh form."""
    if _is_tanh(approximate):
        t = np.tanh(_gelu_inner(x))
        derivative = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
        return np.asarray(dy * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * derivative))
    density = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return np.asarray(dy * (_normal_cdf(x) + x * density))


def _is_tanh(approximate):
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return approximate == "tanh"


def _gelu_inner(x):
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)


# NumPy has no error function: this is a Python call per element. erfc(-x) is exact where 1 + erf(x) cancels.
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _normal_cdf(x):
    """Φ(x) = erfc(-x / √2) / 2."""
    return (0.5 * _erfc(np.asarray(x, np.float64) / -math.sqrt(2))).astype(x.dtype)


# --- elementary functions ---------------------------------------------------------------------------------------------

# NumPy has none of these: a Python call per element.
_erf = np.vectorize(math.erf, otypes=[np.float64])
_lgamma = np.vectorize(
    lambda x: math.inf if x <= 0 and x == math.floor(x) or math.isinf(x) else math.lgamma(x), otypes=[np.float64]
)


@ieee
def erf(x, *, out=None):
    """y = 2/√π ∫₀ˣ exp(-t²) dt."""
    return _store(_erf(x).astype(x.dtype), out)


@ieee
def erf_backward(dy, x):
    """dx = dy 2/√π exp(-x²)."""
    return np.asarray(dy * (2 / math.sqrt(math.pi)) * np.exp(-(x**2)))


@ieee
def erfc(x, *, out=None):
    """y = 1 - erf(x)."""
    return _store(_erfc(x).astype(x.dtype), out)


@ieee
def erfc_backward(dy, x):
    """dx = -dy 2/√π exp(-x²)."""
    return -erf_backward(dy, x)


@ieee
def expm1(x, *, out=None):
    """y = eˣ - 1."""
    return np.asarray(np.expm1(x, out=out))


@ieee
def expm1_backward(dy, y):
    """dx = dy (y + 1)."""
    return np.asarray(dy * (y + 1))


@ieee
def log1p(x, *, out=None):
    """y = log(1 + x)."""
    return np.asarray(np.log1p(x, out=out))


@ieee
def log1p_backward(dy, x):
    """dx = dy / (1 + x)."""
    return np.asarray(dy / (1 + x))


@ieee
def rsqrt(x, *, out=None):
    """y = 1 / √x."""
    return _store(1 / np.sqrt(x), out)


@ieee
def rsqrt_backward(dy, y):
    """dx = -dy y³ / 2."""
    return np.asarray(-0.5 * dy * y**3)


@ieee
def lgamma(x, *, out=None):
    """y = log |Γ(x)|."""
    return _store(_lgamma(x).astype(x.dtype), out)


@ieee
def lgamma_backward(dy, x):
    """dx = dy ψ(x)."""
    return np.asarray(dy * digamma(x))


@ieee
def digamma(x, *, out=None):
    """y = ψ(x), by reflection, 30 steps of the recurrence, and the asymptotic series."""
    wide = np.asarray(x, np.float64)
    negative = wide < 0
    far = np.where(negative, 1 - wide, wide)
    y = -sum(1 / (far + k) for k in range(30))
    far = far + 30
    y = y + np.log(far) - 1 / (2 * far) - 1 / (12 * far**2) + 1 / (120 * far**4) - 1 / (252 * far**6)
    whole = wide == np.trunc(wide)
    y = np.where(negative, np.where(whole, np.nan, y - np.pi / np.tan(np.pi * (wide - np.trunc(wide)))), y)
    return _store(np.where(wide == 0, np.copysign(np.inf, -wide), y).astype(x.dtype), out)


@ieee
def digamma_backward(dy, x):
    """dx = dy ψ'(x)."""
    wide = np.asarray(x, np.float64)
    low = wide < 0.5
    far = np.where(low, 1 - wide, wide)
    y = sum(1 / (far + k) ** 2 for k in range(30))
    far = far + 30
    y = y + 1 / far + 1 / (2 * far**2) + 1 / (6 * far**3) - 1 / (30 * far**5) + 1 / (42 * far**7)
    y = np.where(low, (np.pi / np.sin(np.pi * (wide - np.rint(wide)))) ** 2 - y, y)
    return np.asarray((dy * y).astype(x.dtype))

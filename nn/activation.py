"""Activation functions as modules: each applies the function of its name in `nn.functional`."""

import warnings

import numpy as np

from nn import functional as F
from nn.factory import placed
from nn.module import Module, require_sizes
from nn.parameter import Parameter

__all__ = ["CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU"]
__all__ += ["LogSigmoid", "LogSoftmax", "Mish", "PReLU", "ReLU", "ReLU6", "RReLU", "Sigmoid", "SiLU", "Softmax"]
__all__ += ["Softmax2d", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold"]


class _Activation(Module):
    """A module whose ``repr`` shows the arguments named in `_shown`, and ``inplace`` where it is set."""

    _shown = ()

    def extra_repr(self):
        shown = self._shown + (("inplace",) if getattr(self, "inplace", False) else ())
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)


class ReLU(_Activation):
    """max(0, x).

    Examples
    --------
    >>> import nn
    >>> nn.ReLU()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([0., 0., 0., 1.])
    """

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        return F.relu(input, self.inplace)


class ReLU6(_Activation):
    """min(max(0, x), 6).

    Examples
    --------
    >>> import nn
    >>> nn.ReLU6()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([0., 0., 0., 1.])
    """

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        return F.relu6(input, self.inplace)


class LeakyReLU(_Activation):
    """x where x > 0, else negative_slope · x.

    Examples
    --------
    >>> import nn
    >>> nn.LeakyReLU()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.0200, -0.0050,  0.0000,  1.0000])
    """

    _shown = ("negative_slope",)

    def __init__(self, negative_slope=1e-2, inplace=False):
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input):
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class PReLU(_Activation):
    """x where x > 0, else weight · x, with learned slopes.

    Parameters
    ----------
    num_parameters : int, default 1
        1, or the number of channels (dimension 1) for one slope each.
    init : float, default 0.25
        Initial value of the slopes.

    Attributes
    ----------
    weight : Parameter (num_parameters,)

    Examples
    --------
    >>> import nn
    >>> nn.PReLU()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.5000, -0.1250,  0.0000,  1.0000], grad_fn=<prelu>)
    """

    _shown = ("num_parameters",)

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        require_sizes(self, num_parameters=num_parameters)
        self.num_parameters = num_parameters
        self.weight = Parameter(np.full(num_parameters, init, np.float32))
        placed(self, device, dtype)

    def forward(self, input):
        return F.prelu(input, self.weight)


class ELU(_Activation):
    """x where x > 0, else alpha · (exp(x) - 1).

    Examples
    --------
    >>> import nn
    >>> nn.ELU()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.8647, -0.3935,  0.0000,  1.0000])
    """

    _shown = ("alpha",)

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input):
        return F.elu(input, self.alpha, self.inplace)


class SELU(_Activation):
    """scale · (x where x > 0, else alpha · (exp(x) - 1)), with the constants that keep mean 0 and variance 1.

    Examples
    --------
    >>> import nn
    >>> nn.SELU()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-1.5202, -0.6918,  0.0000,  1.0507])
    """

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        return F.selu(input, self.inplace)


class CELU(_Activation):
    """x where x > 0, else alpha · (exp(x / alpha) - 1).

    Examples
    --------
    >>> import nn
    >>> nn.CELU()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.8647, -0.3935,  0.0000,  1.0000])
    """

    _shown = ("alpha",)

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input):
        return F.celu(input, self.alpha, self.inplace)


class GELU(_Activation):
    """x · Φ(x), Φ the normal distribution function; ``approximate="tanh"`` for the approximation by tanh.

    Examples
    --------
    >>> import nn
    >>> nn.GELU()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.0455, -0.1543,  0.0000,  0.8413])
    """

    _shown = ("approximate",)

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input):
        return F.gelu(input, self.approximate)


class SiLU(_Activation):
    """x · sigmoid(x).

    Examples
    --------
    >>> import nn
    >>> nn.SiLU()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.2384, -0.1888,  0.0000,  0.7311])
    """

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        return F.silu(input, self.inplace)


class Mish(_Activation):
    """x · tanh(softplus(x)).

    Examples
    --------
    >>> import nn
    >>> nn.Mish()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.2525, -0.2207,  0.0000,  0.8651])
    """

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        return F.mish(input, self.inplace)


class Sigmoid(_Activation):
    """1 / (1 + exp(-x)).

    Examples
    --------
    >>> import nn
    >>> nn.Sigmoid()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([0.1192, 0.3775, 0.5000, 0.7311])
    """

    def forward(self, input):
        return F.sigmoid(input)


class Tanh(_Activation):
    """The hyperbolic tangent.

    Examples
    --------
    >>> import nn
    >>> nn.Tanh()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.9640, -0.4621,  0.0000,  0.7616])
    """

    def forward(self, input):
        return F.tanh(input)


class Softplus(_Activation):
    """log(1 + exp(beta · x)) / beta; x itself where beta · x > threshold.

    Examples
    --------
    >>> import nn
    >>> nn.Softplus()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([0.1269, 0.4741, 0.6931, 1.3133])
    """

    _shown = (
        "beta",
        "threshold",
    )

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input):
        return F.softplus(input, self.beta, self.threshold)


class Hardtanh(_Activation):
    """x limited to [min_val, max_val]; ValueError unless max_val is the larger.

    `min_value` and `max_value` are older names of the limits.

    Examples
    --------
    >>> import nn
    >>> nn.Hardtanh()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-1.0000, -0.5000,  0.0000,  1.0000])
    """

    _shown = (
        "min_val",
        "max_val",
    )

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        super().__init__()
        if min_value is not None or max_value is not None:
            warnings.warn("Hardtanh: min_value and max_value are now min_val and max_val", FutureWarning, stacklevel=2)
            min_val = min_val if min_value is None else min_value
            max_val = max_val if max_value is None else max_value
        if min_val >= max_val:
            raise ValueError(f"Hardtanh: max_val must be larger than min_val, got {max_val} and {min_val}")
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input):
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)


class Hardswish(_Activation):
    """x · relu6(x + 3) / 6.

    Examples
    --------
    >>> import nn
    >>> nn.Hardswish()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.3333, -0.2083,  0.0000,  0.6667])
    """

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        return F.hardswish(input, self.inplace)


class Hardsigmoid(_Activation):
    """relu6(x + 3) / 6.

    Examples
    --------
    >>> import nn
    >>> nn.Hardsigmoid()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([0.1667, 0.4167, 0.5000, 0.6667])
    """

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, input):
        return F.hardsigmoid(input, self.inplace)


class GLU(_Activation):
    """a · sigmoid(b), a and b the halves of x along `dim`.

    Examples
    --------
    >>> import nn
    >>> nn.GLU()(nn.tensor([1.0, 2.0, 0.0, 100.0]))
    tensor([0.5000, 2.0000])
    """

    _shown = ("dim",)

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.glu(input, self.dim)


class LogSigmoid(_Activation):
    """log(sigmoid(x)).

    Examples
    --------
    >>> import nn
    >>> nn.LogSigmoid()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-2.1269, -0.9741, -0.6931, -0.3133])
    """

    def forward(self, input):
        return F.logsigmoid(input)


class Softmax(_Activation):
    """exp(x) / sum(exp(x)) along `dim`.

    Examples
    --------
    >>> import nn
    >>> nn.Softmax(0)(nn.tensor([0.0, 1.0, 2.0]))
    tensor([0.0900, 0.2447, 0.6652])
    """

    _shown = ("dim",)

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.softmax(input, self.dim)


class LogSoftmax(_Activation):
    """x - log(sum(exp(x))) along `dim`.

    Examples
    --------
    >>> import nn
    >>> nn.LogSoftmax(0)(nn.tensor([0.0, 1.0, 2.0]))
    tensor([-2.4076, -1.4076, -0.4076])
    """

    _shown = ("dim",)

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.log_softmax(input, self.dim)


class Softmin(_Activation):
    """`Softmax` of the negated elements.

    Examples
    --------
    >>> import nn
    >>> nn.Softmin(0)(nn.tensor([0.0, 1.0, 2.0]))
    tensor([0.6652, 0.2447, 0.0900])
    """

    _shown = ("dim",)

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def forward(self, input):
        return F.softmin(input, self.dim)


class Softmax2d(_Activation):
    """`Softmax` over the channels of (N, C, H, W) or (C, H, W).

    Examples
    --------
    >>> import nn
    >>> nn.Softmax2d()(nn.zeros(2, 4, 5, 5))[0, 0, 0, 0].item()
    0.25
    """

    def forward(self, input):
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected (N, C, H, W) or (C, H, W), got shape {input.shape}")
        return F.softmax(input, -3)


class Softsign(_Activation):
    """x / (1 + |x|).

    Examples
    --------
    >>> import nn
    >>> nn.Softsign()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.6667, -0.3333,  0.0000,  0.5000])
    """

    def forward(self, input):
        return F.softsign(input)


class Tanhshrink(_Activation):
    """x - tanh(x).

    Examples
    --------
    >>> import nn
    >>> nn.Tanhshrink()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-1.0360, -0.0379,  0.0000,  0.2384])
    """

    def forward(self, input):
        return F.tanhshrink(input)


class Softshrink(_Activation):
    """x moved towards 0 by `lambd`, and 0 where |x| is at most that.

    Examples
    --------
    >>> import nn
    >>> nn.Softshrink()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-1.5000,  0.0000,  0.0000,  0.5000])
    """

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        return F.softshrink(input, self.lambd)

    def extra_repr(self):
        return str(self.lambd)


class Hardshrink(_Activation):
    """x where |x| is above `lambd`, else 0.

    Examples
    --------
    >>> import nn
    >>> nn.Hardshrink()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-2.,  0.,  0.,  1.])
    """

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def forward(self, input):
        return F.hardshrink(input, self.lambd)

    def extra_repr(self):
        return str(self.lambd)


class Threshold(_Activation):
    """x where x is above `threshold`, else `value`.

    Examples
    --------
    >>> import nn
    >>> nn.Threshold(0.5, 9.0)(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([9., 9., 9., 1.])
    """

    _shown = ("threshold", "value")

    def __init__(self, threshold, value, inplace=False):
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input):
        return F.threshold(input, self.threshold, self.value, self.inplace)


class RReLU(_Activation):
    """x where x > 0, else a · x; in training, a is drawn from [lower, upper] for each element, else it is the mean.

    Examples
    --------
    >>> import nn
    >>> nn.RReLU().eval()(nn.tensor([-2.0, -0.5, 0.0, 1.0]))
    tensor([-0.4583, -0.1146,  0.0000,  1.0000])
    """

    _shown = ("lower", "upper")

    def __init__(self, lower=1.0 / 8, upper=1.0 / 3, inplace=False):
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input):
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

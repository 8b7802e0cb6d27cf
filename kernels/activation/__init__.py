"""Activation functions and their gradients.

- `rectified`: relu, leaky_relu, hardtanh; `parametric`: prelu; `hard`: hardsigmoid, hardswish.
- `exponential`: exp, softplus, logsigmoid; `exponential_linear`: elu, selu, celu.
- `logistic`: sigmoid, tanh; `smooth`: silu, mish, gelu; `gated`: glu.
- `error_function`: erf, erfc; `elementary`: expm1, log1p, rsqrt; `factorial`: lgamma, digamma.
- `special`: vector functions that only these need; `formulas`: what other kernels fuse into their loops.

A backward takes the output `y` where the derivative is cheap in y, and the input `x` elsewhere.
"""

from kernels.activation import (
    elementary,
    error_function,
    exponential,
    exponential_linear,
    factorial,
    gated,
    hard,
    logistic,
    parametric,
    rectified,
    smooth,
)
from kernels.activation.elementary import expm1, expm1_backward, log1p, log1p_backward, rsqrt, rsqrt_backward
from kernels.activation.error_function import erf, erf_backward, erfc, erfc_backward
from kernels.activation.exponential import (
    exp,
    exp_backward,
    logsigmoid,
    logsigmoid_backward,
    softplus,
    softplus_backward,
)
from kernels.activation.exponential_linear import celu, celu_backward, elu, elu_backward, selu, selu_backward
from kernels.activation.factorial import digamma, digamma_backward, lgamma, lgamma_backward
from kernels.activation.formulas import BACKWARD_FORMULAS, FORMULAS
from kernels.activation.gated import glu, glu_backward
from kernels.activation.hard import hardsigmoid, hardsigmoid_backward, hardswish, hardswish_backward
from kernels.activation.logistic import sigmoid, sigmoid_backward, tanh, tanh_backward
from kernels.activation.parametric import prelu, prelu_backward
from kernels.activation.rectified import (
    hardtanh,
    hardtanh_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
)
from kernels.activation.smooth import gelu, gelu_backward, mish, mish_backward, silu, silu_backward

VARIANTS = (
    rectified.VARIANTS
    | hard.VARIANTS
    | exponential.VARIANTS
    | exponential_linear.VARIANTS
    | logistic.VARIANTS
    | smooth.VARIANTS
    | parametric.VARIANTS
    | gated.VARIANTS
    | elementary.VARIANTS
    | error_function.VARIANTS
    | factorial.VARIANTS
)

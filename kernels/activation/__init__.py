"""Activation functions and their gradients.

- `rectified`: relu, leaky_relu, hardtanh, hardsigmoid, hardswish.
- `exponential`: exp, elu, selu, celu, softplus, logsigmoid.
- `smooth`: sigmoid, tanh, silu, mish, gelu.
- `gated`: prelu and glu, where an element meets another one.
- `special`: vector functions that only these need; `formulas`: what other loops fuse.

A backward takes the output `y` where the slope is cheap in y, and the input `x` elsewhere.
"""

from kernels.activation import exponential, gated, rectified, smooth
from kernels.activation.exponential import (
    celu,
    celu_backward,
    elu,
    elu_backward,
    exp,
    exp_backward,
    logsigmoid,
    logsigmoid_backward,
    selu,
    selu_backward,
    softplus,
    softplus_backward,
)
from kernels.activation.formulas import BACKWARD_FORMULAS, FORMULAS
from kernels.activation.gated import glu, glu_backward, prelu, prelu_backward
from kernels.activation.rectified import (
    hardsigmoid,
    hardsigmoid_backward,
    hardswish,
    hardswish_backward,
    hardtanh,
    hardtanh_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
)
from kernels.activation.smooth import (
    gelu,
    gelu_backward,
    mish,
    mish_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    tanh,
    tanh_backward,
)

VARIANTS = rectified.VARIANTS | exponential.VARIANTS | smooth.VARIANTS | gated.VARIANTS

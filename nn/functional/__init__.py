"""The kernels bound to the tape, with the names and argument order of ``torch.nn.functional``.

Every function here has one form: call the forward kernel on the arrays, `record` the backward kernel with what it
needs. `input` is a Tensor throughout; targets and class weights may be arrays as well. One file a family, named as in
`kernels`.
"""

from nn.functional.activation import (
    celu,
    dropout,
    elu,
    gelu,
    glu,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from nn.functional.affine import linear
from nn.functional.convolution import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from nn.functional.embedding import embedding, one_hot
from nn.functional.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from nn.functional.padding import pad

__all__ = [
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "relu",
    "relu6",
    "leaky_relu",
    "prelu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "sigmoid",
    "tanh",
    "softplus",
    "hardtanh",
    "hardswish",
    "hardsigmoid",
    "glu",
    "logsigmoid",
    "softmax",
    "log_softmax",
    "dropout",
    "embedding",
    "one_hot",
    "pad",
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
]

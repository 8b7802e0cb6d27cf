"""The activations that other kernels fuse into their loops, on vectors: y = formula(x), and dx = formula(dy, saved)."""

from kernels.activation import logistic, rectified, smooth

FORMULAS = {
    "relu": rectified.relu_lanes,
    "gelu": smooth.gelu_lanes,
    "gelu_tanh": smooth.gelu_tanh_lanes,
    "silu": smooth.silu_lanes,
    "sigmoid": logistic.sigmoid_lanes,
    "tanh": logistic.tanh_lanes,
}
# saved is the output for relu, sigmoid and tanh, the input for the others
BACKWARD_FORMULAS = {
    "relu": rectified.relu_backward_lanes,
    "gelu": smooth.gelu_backward_lanes,
    "gelu_tanh": smooth.gelu_tanh_backward_lanes,
    "silu": smooth.silu_backward_lanes,
    "sigmoid": logistic.sigmoid_backward_lanes,
    "tanh": logistic.tanh_backward_lanes,
}

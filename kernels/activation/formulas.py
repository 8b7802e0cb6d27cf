"""What `linear` fuses into its loops, on vectors: y = formula(x), and dx = formula(dy, saved)."""

from kernels.activation import rectified, smooth

FORMULAS = {
    "relu": rectified.relu_lanes,
    "gelu": smooth.gelu_lanes,
    "gelu_tanh": smooth.gelu_tanh_lanes,
    "silu": smooth.silu_lanes,
    "sigmoid": smooth.sigmoid_lanes,
    "tanh": smooth.tanh_lanes,
}
# saved is the output for relu, sigmoid and tanh, the input for the others
BACKWARD_FORMULAS = {
    "relu": rectified.relu_backward_lanes,
    "gelu": smooth.gelu_backward_lanes,
    "gelu_tanh": smooth.gelu_tanh_backward_lanes,
    "silu": smooth.silu_backward_lanes,
    "sigmoid": smooth.sigmoid_backward_lanes,
    "tanh": smooth.tanh_backward_lanes,
}

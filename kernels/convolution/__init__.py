"""Convolutions over one, two and three axes, transposed ones, and their gradients.

Read `ladder` first: from the definition to im2col, to loops that read x where it lies, and to Winograd's algorithm.
`micro` is the tile that they are made of, `blocks` what is copied for it; `correlation` runs the convolution, its
gradient for x and the transposed convolution, `weight_gradient` and, for few channels, `row_gradient` the gradient for
the weight, `depthwise` both where each channel is on its own, `winograd` 3 x 3 taps by the matrices of `transforms`;
`geometry` and `functions` are the Python before them.
"""

from kernels.convolution.functions import (
    conv1d,
    conv1d_backward,
    conv2d,
    conv2d_backward,
    conv3d,
    conv3d_backward,
    conv_transpose1d,
    conv_transpose1d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    conv_transpose3d,
    conv_transpose3d_backward,
)
from kernels.convolution.ladder import VARIANTS

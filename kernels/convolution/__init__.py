"""Convolutions over one, two and three axes, transposed ones, and their gradients, in the order in which to read them.

- `ladder`: from the definition to im2col, to tiles that read x itself, and to Winograd's algorithm, one idea a rung.
- `micro`: the tile at the bottom of the tuned loops; `pack`: the copies that feed it; `plan`: what they sum, and in
  which blocks.
- `driver`: which loops serve which shape. `correlation`: the convolution, its gradient with respect to x, and the
  transposed convolution, these two also by `columns` and `col2im`; `winograd`: 3 x 3 taps by the matrices of
  `transforms`; `weight_gradient`, and for few channels `row_gradient`: the gradient with respect to the weight;
  `depthwise`, `depthwise_gradient`: each channel on its own.
- `functions`, `transposed`: the public functions; `arguments`, `geometry`: how they validate.
"""

from kernels.convolution.functions import conv1d, conv1d_backward, conv2d, conv2d_backward, conv3d, conv3d_backward
from kernels.convolution.ladder import VARIANTS
from kernels.convolution.transposed import (
    conv_transpose1d,
    conv_transpose1d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    conv_transpose3d,
    conv_transpose3d_backward,
)

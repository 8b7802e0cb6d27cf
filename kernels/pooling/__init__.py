"""Pooling: what windows that slide over an array have in common, and resampling.

- `maximum`, `average`, `power`, `adaptive`, `adaptive_maximum`: the public functions; their loops are in
  `maximum_loops`, `average_loops` and `adaptive_loops` (power means are averages of powers).
- `places`: where the largest elements of windows are; `unpool`: elements put back there.
- `patches`: `im2col` and `col2im`, for jitted code, too; `columns`: unfold and fold.
- `interpolation`: nearest, linear and cubic resampling; `sampling`: the same at any places, `channels`: many channels
  at once; the functions are in `sampled`.
- `windows`: validation of the arguments; `rows`: rows split so that neighbouring windows are the lanes of a vector.
"""

from kernels.pooling import adaptive_loops, average_loops, channels, interpolation, maximum_loops, patches, unpool
from kernels.pooling.adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool1d_backward,
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_avg_pool3d,
    adaptive_avg_pool3d_backward,
)
from kernels.pooling.adaptive_maximum import (
    adaptive_max_pool1d,
    adaptive_max_pool1d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
    adaptive_max_pool3d,
    adaptive_max_pool3d_backward,
)
from kernels.pooling.average import (
    avg_pool1d,
    avg_pool1d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    avg_pool3d,
    avg_pool3d_backward,
)
from kernels.pooling.columns import fold, fold_backward, unfold, unfold_backward
from kernels.pooling.interpolation import (
    interpolate,
    interpolate_backward,
)
from kernels.pooling.maximum import (
    max_pool1d,
    max_pool1d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool3d,
    max_pool3d_backward,
)
from kernels.pooling.patches import col2im, im2col
from kernels.pooling.power import (
    lp_pool1d,
    lp_pool1d_backward,
    lp_pool2d,
    lp_pool2d_backward,
    lp_pool3d,
    lp_pool3d_backward,
)
from kernels.pooling.sampled import grid_sample, grid_sample_backward
from kernels.pooling.unpool import (
    max_unpool1d,
    max_unpool1d_backward,
    max_unpool2d,
    max_unpool2d_backward,
    max_unpool3d,
    max_unpool3d_backward,
)

VARIANTS = (
    maximum_loops.VARIANTS
    | average_loops.VARIANTS
    | adaptive_loops.VARIANTS
    | unpool.VARIANTS
    | patches.VARIANTS
    | interpolation.VARIANTS
    | channels.VARIANTS
)

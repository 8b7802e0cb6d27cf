"""Pooling: what windows that slide over an array have in common, and resampling.

- `maximum`, `places`: the largest elements of windows, and where they are.
- `average`, `power`: averages, and power means made of them.
- `adaptive`: a given number of windows, among them a single one (global pooling).
- `unpool`: elements back to where they were the largest.
- `patches`: unfold and fold; `im2col` and `col2im` for jitted code.
- `interpolation`: nearest, linear and cubic resampling.
- `windows`, `rows`: the arguments of all of them; rows split so that neighbouring windows are vectors.
"""

from kernels.pooling import adaptive, average, interpolation, maximum, patches, unpool
from kernels.pooling.adaptive import (
    adaptive_avg_pool1d,
    adaptive_avg_pool1d_backward,
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_avg_pool3d,
    adaptive_avg_pool3d_backward,
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
from kernels.pooling.patches import (
    col2im,
    fold,
    fold_backward,
    im2col,
    unfold,
    unfold_backward,
)
from kernels.pooling.power import (
    lp_pool1d,
    lp_pool1d_backward,
    lp_pool2d,
    lp_pool2d_backward,
    lp_pool3d,
    lp_pool3d_backward,
)
from kernels.pooling.unpool import (
    max_unpool1d,
    max_unpool1d_backward,
    max_unpool2d,
    max_unpool2d_backward,
    max_unpool3d,
    max_unpool3d_backward,
)

VARIANTS = (
    maximum.VARIANTS
    | average.VARIANTS
    | adaptive.VARIANTS
    | unpool.VARIANTS
    | patches.VARIANTS
    | interpolation.VARIANTS
)

"""Normalisation: zero mean and unit variance over a part of the input, then a learned scale and shift.

- `batch`: batch norm, over batch and positions of a channel; `planes`, `columns` and `evaluation` have its loops.
- `group`: group norm and instance norm, over channels and positions of a sample; their loops are `planes` and `rows`.
- `layer`: layer norm and RMS norm, over the last dimensions; `rows` has their loops.
- `residual`: layer norm of a sum.
- `local`: local response norm, over neighbouring channels.
- `moments`: mean and variance, each element read once; `scaling`: the last pass; `operands`: NamedTuples of what the
  loops take; `arguments`: validation.
"""

from kernels.normalization import batch, group, layer, local, residual
from kernels.normalization.batch import batch_norm, batch_norm_backward
from kernels.normalization.group import group_norm, group_norm_backward, instance_norm, instance_norm_backward
from kernels.normalization.layer import layer_norm, layer_norm_backward, rms_norm, rms_norm_backward
from kernels.normalization.local import local_response_norm, local_response_norm_backward
from kernels.normalization.residual import add_layer_norm, add_layer_norm_backward

VARIANTS = batch.VARIANTS | group.VARIANTS | layer.VARIANTS | local.VARIANTS | residual.VARIANTS

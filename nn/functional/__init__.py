"""The kernels bound to the tape, with the names and argument order of ``torch.nn.functional``.

Every function here has one form: call the forward kernel on the arrays, `record` the backward kernel with what it
needs. `input` is a Tensor throughout; targets and class weights may be arrays as well, but writes to an array between
forward and backward are not detected, as `Tensor.backward` detects those to a tensor. There is one file per family,
named as in `kernels`.
"""

from nn.functional import (
    activation,
    affine,
    attention,
    convolution,
    distances,
    fractional_pooling,
    grids,
    likelihoods,
    loss,
    margins,
    multi_head,
    normalization,
    padding,
    pooling,
    pooling_indices,
    positions,
    recurrent,
    regression,
    resampling,
    thresholds,
)
from nn.functional.activation import *
from nn.functional.affine import *
from nn.functional.alpha_dropout import alpha_dropout, feature_alpha_dropout
from nn.functional.attention import *
from nn.functional.convolution import *
from nn.functional.distances import *
from nn.functional.embedding import embedding, embedding_bag, one_hot
from nn.functional.fractional_pooling import *
from nn.functional.grids import *
from nn.functional.likelihoods import *
from nn.functional.loss import *
from nn.functional.margins import *
from nn.functional.multi_head import *
from nn.functional.normalization import *
from nn.functional.padding import *
from nn.functional.pooling import *
from nn.functional.pooling_indices import *
from nn.functional.positions import *
from nn.functional.recurrent import *
from nn.functional.regression import *
from nn.functional.resampling import *
from nn.functional.thresholds import *

__all__ = ["alpha_dropout", "feature_alpha_dropout", "embedding", "embedding_bag", "one_hot"]
__all__ += activation.__all__
__all__ += affine.__all__
__all__ += attention.__all__
__all__ += convolution.__all__
__all__ += distances.__all__
__all__ += fractional_pooling.__all__
__all__ += grids.__all__
__all__ += likelihoods.__all__
__all__ += loss.__all__
__all__ += margins.__all__
__all__ += multi_head.__all__
__all__ += normalization.__all__
__all__ += padding.__all__
__all__ += pooling.__all__
__all__ += pooling_indices.__all__
__all__ += positions.__all__
__all__ += recurrent.__all__
__all__ += regression.__all__
__all__ += resampling.__all__
__all__ += thresholds.__all__

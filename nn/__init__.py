"""Neural networks with PyTorch's names: ``import nn`` replaces ``import torch.nn as nn`` for what is covered.

`nn` is thin: the arithmetic is in `kernels`, and the tape that connects it is in `nn.tape`.
"""

from nn import _installation as _installation  # isort: split

from kernels import __version__
from nn import (
    activation,
    autograd,
    backends,
    callbacks,
    checkpoint,
    compiler,
    cuda,
    data,
    distributed,
    distributions,
    dtypes,
    functional,
    init,
    jit,
    lazy,
    linalg,
    loss,
    margin_loss,
    metrics,
    models,
    normalization,
    observation,
    operations,
    optim,
    padding,
    pooling,
    random,
    settings,
    training,
    transformer,
    utils,
)
from nn.activation import *
from nn.adaptive import AdaptiveLogSoftmaxWithLoss
from nn.attention import MultiheadAttention
from nn.containers import ModuleDict, ModuleList, Sequential
from nn.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from nn.device import device
from nn.distance import Bilinear, CosineSimilarity, PairwiseDistance
from nn.dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout
from nn.dtypes import *
from nn.embedding import Embedding, EmbeddingBag
from nn.flatten import ChannelShuffle, Flatten, Unflatten
from nn.fractional_pooling import FractionalMaxPool2d, FractionalMaxPool3d
from nn.fusion import fuse
from nn.grad_mode import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from nn.lazy import *
from nn.linear import Identity, Linear
from nn.loss import *
from nn.margin_loss import *
from nn.module import Module
from nn.normalization import *
from nn.observation import gradcheck, gradgradcheck, observe, summary
from nn.operations import *
from nn.padding import *
from nn.parallel import DataParallel
from nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
from nn.parameter_containers import ParameterDict, ParameterList
from nn.pooling import *
from nn.printing import set_printoptions
from nn.random import *
from nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from nn.serialization import load, save
from nn.tensor import Tensor
from nn.transformer import *
from nn.type_info import can_cast, finfo, iinfo, promote_types

__distribution__ = "innerloop"  # by this `kernels` knows that it is ours

__all__ = ["autograd", "backends", "checkpoint", "cuda", "data", "distributions", "functional", "init", "linalg"]
__all__ += ["models", "observation", "optim", "training", "utils", "AdaptiveLogSoftmaxWithLoss", "MultiheadAttention"]
__all__ += ["ModuleDict", "ModuleList", "Sequential", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d"]
__all__ += ["ConvTranspose2d", "ConvTranspose3d", "device", "Bilinear", "CosineSimilarity", "PairwiseDistance"]
__all__ += ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout", "Embedding"]
__all__ += ["EmbeddingBag", "ChannelShuffle", "Flatten", "Unflatten", "fuse", "enable_grad", "inference_mode"]
__all__ += ["is_grad_enabled", "no_grad", "set_grad_enabled", "Identity", "Linear", "Module", "gradcheck"]
__all__ += ["gradgradcheck", "observe", "DataParallel", "Buffer", "Parameter", "UninitializedBuffer"]
__all__ += ["UninitializedParameter", "ParameterDict", "ParameterList", "set_printoptions", "GRU", "LSTM", "RNN"]
__all__ += ["GRUCell", "LSTMCell", "RNNCell", "load", "save", "Tensor", "can_cast", "finfo", "iinfo"]
__all__ += ["promote_types", "FractionalMaxPool2d", "FractionalMaxPool3d", "summary", "callbacks", "metrics"]
__all__ += activation.__all__
__all__ += dtypes.__all__
__all__ += lazy.__all__
__all__ += loss.__all__
__all__ += margin_loss.__all__
__all__ += normalization.__all__
__all__ += operations.__all__
__all__ += padding.__all__
__all__ += pooling.__all__
__all__ += random.__all__
__all__ += transformer.__all__
_COMPILATION = ("Compiled", "CompileError", "CompiledStep", "compile", "compile_step")
__all__ += _COMPILATION


def __getattr__(name):
    """The names of `nn.compilation`, which needs Numba's compiler, and `plot`, which needs matplotlib, when used."""
    if name == "plot":
        from importlib import import_module

        return import_module("nn.plot")
    if name not in _COMPILATION:
        raise AttributeError(f"module 'nn' has no attribute {name!r}")
    from nn import compilation

    globals().update({each: getattr(compilation, each) for each in _COMPILATION})
    return globals()[name]


def __dir__():
    return sorted({*globals(), *_COMPILATION, "plot"})

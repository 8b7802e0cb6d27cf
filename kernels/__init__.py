"""The primitives of deep learning as loops: arrays in, arrays out, under PyTorch's names.

To watch a loop at work, start Python with the environment variable ``NUMBA_DISABLE_JIT=1``: nothing is compiled then,
and a debugger steps through the naive loops of any operation (say ``kernels.gemm.VARIANTS["matmul"]["naive"]``), and
through the public functions whose loops take element by element (optimiser steps, embeddings, pooling). Vectors and
register tiles exist only in compiled code; a function that needs them says which loops to step through instead.
"""

from kernels import _njit as _njit
from kernels._denormal import set_flush_denormal
from kernels._installation import warn_of_overwritten as _warn_of_overwritten
from kernels._threads import get_num_threads, set_num_threads
from kernels.activation import (
    celu,
    celu_backward,
    digamma,
    digamma_backward,
    elu,
    elu_backward,
    erf,
    erf_backward,
    erfc,
    erfc_backward,
    exp,
    exp_backward,
    expm1,
    expm1_backward,
    gelu,
    gelu_backward,
    glu,
    glu_backward,
    hardsigmoid,
    hardsigmoid_backward,
    hardswish,
    hardswish_backward,
    hardtanh,
    hardtanh_backward,
    leaky_relu,
    leaky_relu_backward,
    lgamma,
    lgamma_backward,
    log1p,
    log1p_backward,
    logsigmoid,
    logsigmoid_backward,
    mish,
    mish_backward,
    prelu,
    prelu_backward,
    relu,
    relu_backward,
    rsqrt,
    rsqrt_backward,
    selu,
    selu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from kernels.affine import linear, linear_backward, linear_loops
from kernels.attention import (
    alibi_slopes,
    rotary_embedding,
    rotary_embedding_backward,
    rotary_tables,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward,
)
from kernels.convolution import (
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
from kernels.gemm import matmul, matmul_backward, matmul_loops
from kernels.limits import show_config
from kernels.lookup import (
    embedding,
    embedding_backward,
    embedding_bag,
    embedding_bag_backward,
    gather,
    gather_backward,
    index_add,
    index_add_backward,
    index_select,
    index_select_backward,
    scatter,
    scatter_add,
    scatter_add_backward,
    scatter_backward,
    scatter_reduce,
    scatter_reduce_backward,
)
from kernels.loss import (
    binary_cross_entropy,
    binary_cross_entropy_backward,
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward,
    cross_entropy,
    cross_entropy_backward,
    ctc_loss,
    ctc_loss_backward,
    huber_loss,
    huber_loss_backward,
    kl_div,
    kl_div_backward,
    l1_loss,
    l1_loss_backward,
    linear_cross_entropy,
    linear_cross_entropy_backward,
    mse_loss,
    mse_loss_backward,
    nll_loss,
    nll_loss_backward,
    smooth_l1_loss,
    smooth_l1_loss_backward,
)
from kernels.mlp import feed_forward, feed_forward_backward
from kernels.normalization import (
    add_layer_norm,
    add_layer_norm_backward,
    batch_norm,
    batch_norm_backward,
    group_norm,
    group_norm_backward,
    instance_norm,
    instance_norm_backward,
    layer_norm,
    layer_norm_backward,
    local_response_norm,
    local_response_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from kernels.pooling import (
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
    avg_pool1d,
    avg_pool1d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    avg_pool3d,
    avg_pool3d_backward,
    col2im,
    fold,
    fold_backward,
    grid_sample,
    grid_sample_backward,
    im2col,
    interpolate,
    interpolate_backward,
    lp_pool1d,
    lp_pool1d_backward,
    lp_pool2d,
    lp_pool2d_backward,
    lp_pool3d,
    lp_pool3d_backward,
    max_pool1d,
    max_pool1d_backward,
    max_pool2d,
    max_pool2d_backward,
    max_pool3d,
    max_pool3d_backward,
    max_unpool1d,
    max_unpool1d_backward,
    max_unpool2d,
    max_unpool2d_backward,
    max_unpool3d,
    max_unpool3d_backward,
    unfold,
    unfold_backward,
)
from kernels.recurrent import (
    gru,
    gru_backward,
    gru_cell,
    lstm,
    lstm_backward,
    lstm_cell,
    rnn,
    rnn_backward,
    rnn_cell,
)
from kernels.reduction import (
    argmax,
    log_softmax,
    log_softmax_backward,
    logsumexp,
    logsumexp_backward,
    max,
    max_backward,
    mean,
    mean_backward,
    softmax,
    softmax_backward,
    sum,
    sum_backward,
)
from kernels.scan import (
    cummax,
    cummax_backward,
    cummin,
    cummin_backward,
    cumprod,
    cumprod_backward,
    cumsum,
    cumsum_backward,
    logcumsumexp,
    logcumsumexp_backward,
)
from kernels.sorting import (
    argsort,
    bucketize,
    kthvalue,
    median,
    searchsorted,
    sort,
    sort_backward,
    topk,
    unique,
)
from kernels.update import adagrad, adam, adamw, clip_grad_norm, rmsprop, sgd

__distribution__ = "innerloop"  # by this `nn` and `innerloop` know that it is ours
__version__ = "0.1.0"
_warn_of_overwritten(__file__)

__all__ = ["set_flush_denormal", "get_num_threads", "set_num_threads", "celu", "celu_backward", "digamma"]
__all__ += ["digamma_backward", "elu", "elu_backward", "erf", "erf_backward", "erfc", "erfc_backward", "exp"]
__all__ += ["exp_backward", "expm1", "expm1_backward", "gelu", "gelu_backward", "glu", "glu_backward", "hardsigmoid"]
__all__ += ["hardsigmoid_backward", "hardswish", "hardswish_backward", "hardtanh", "hardtanh_backward", "leaky_relu"]
__all__ += ["leaky_relu_backward", "lgamma", "lgamma_backward", "log1p", "log1p_backward", "logsigmoid"]
__all__ += ["logsigmoid_backward", "mish", "mish_backward", "prelu", "prelu_backward", "relu", "relu_backward"]
__all__ += ["rsqrt", "rsqrt_backward", "selu", "selu_backward", "sigmoid", "sigmoid_backward", "silu"]
__all__ += ["silu_backward", "softplus", "softplus_backward", "tanh", "tanh_backward", "linear", "linear_backward"]
__all__ += ["linear_loops", "alibi_slopes", "rotary_embedding", "rotary_embedding_backward", "rotary_tables"]
__all__ += ["scaled_dot_product_attention", "scaled_dot_product_attention_backward", "conv1d", "conv1d_backward"]
__all__ += ["conv2d", "conv2d_backward", "conv3d", "conv3d_backward", "conv_transpose1d", "conv_transpose1d_backward"]
__all__ += ["conv_transpose2d", "conv_transpose2d_backward", "conv_transpose3d", "conv_transpose3d_backward"]
__all__ += ["matmul", "matmul_backward", "matmul_loops", "show_config", "embedding", "embedding_backward"]
__all__ += ["embedding_bag", "embedding_bag_backward", "gather", "gather_backward", "index_add", "index_add_backward"]
__all__ += ["index_select", "index_select_backward", "scatter", "scatter_add", "scatter_add_backward"]
__all__ += ["scatter_backward", "scatter_reduce", "scatter_reduce_backward", "binary_cross_entropy"]
__all__ += ["binary_cross_entropy_backward", "binary_cross_entropy_with_logits"]
__all__ += ["binary_cross_entropy_with_logits_backward", "cross_entropy", "cross_entropy_backward", "ctc_loss"]
__all__ += ["ctc_loss_backward", "huber_loss", "huber_loss_backward", "kl_div", "kl_div_backward", "l1_loss"]
__all__ += ["l1_loss_backward", "linear_cross_entropy", "linear_cross_entropy_backward", "mse_loss"]
__all__ += ["mse_loss_backward", "nll_loss", "nll_loss_backward", "smooth_l1_loss", "smooth_l1_loss_backward"]
__all__ += ["feed_forward", "feed_forward_backward", "add_layer_norm", "add_layer_norm_backward", "batch_norm"]
__all__ += ["batch_norm_backward", "group_norm", "group_norm_backward", "instance_norm", "instance_norm_backward"]
__all__ += ["layer_norm", "layer_norm_backward", "local_response_norm", "local_response_norm_backward", "rms_norm"]
__all__ += ["rms_norm_backward", "adaptive_avg_pool1d", "adaptive_avg_pool1d_backward", "adaptive_avg_pool2d"]
__all__ += ["adaptive_avg_pool2d_backward", "adaptive_avg_pool3d", "adaptive_avg_pool3d_backward"]
__all__ += ["adaptive_max_pool1d", "adaptive_max_pool1d_backward", "adaptive_max_pool2d"]
__all__ += ["adaptive_max_pool2d_backward", "adaptive_max_pool3d", "adaptive_max_pool3d_backward", "avg_pool1d"]
__all__ += ["avg_pool1d_backward", "avg_pool2d", "avg_pool2d_backward", "avg_pool3d", "avg_pool3d_backward", "col2im"]
__all__ += ["fold", "fold_backward", "grid_sample", "grid_sample_backward", "im2col", "interpolate"]
__all__ += ["interpolate_backward", "lp_pool1d", "lp_pool1d_backward", "lp_pool2d", "lp_pool2d_backward", "lp_pool3d"]
__all__ += ["lp_pool3d_backward", "max_pool1d", "max_pool1d_backward", "max_pool2d", "max_pool2d_backward"]
__all__ += ["max_pool3d", "max_pool3d_backward", "max_unpool1d", "max_unpool1d_backward", "max_unpool2d"]
__all__ += ["max_unpool2d_backward", "max_unpool3d", "max_unpool3d_backward", "unfold", "unfold_backward", "gru"]
__all__ += ["gru_backward", "gru_cell", "lstm", "lstm_backward", "lstm_cell", "rnn", "rnn_backward", "rnn_cell"]
__all__ += ["argmax", "log_softmax", "log_softmax_backward", "logsumexp", "logsumexp_backward", "max", "max_backward"]
__all__ += ["mean", "mean_backward", "softmax", "softmax_backward", "sum", "sum_backward", "cummax"]
__all__ += ["cummax_backward", "cummin", "cummin_backward", "cumprod", "cumprod_backward", "cumsum"]
__all__ += ["cumsum_backward", "logcumsumexp", "logcumsumexp_backward", "argsort", "bucketize", "kthvalue", "median"]
__all__ += ["searchsorted", "sort", "sort_backward", "topk", "unique", "adagrad", "adam", "adamw", "clip_grad_norm"]
__all__ += ["rmsprop", "sgd"]

"""The ONNX standard's node test cases, run through our functions: independent conformance tests.

Every single-node case of the operators below either passes or is named in `NOT_EXPRESSED` with the reason.
"""

import warnings
from collections import Counter

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

import kernels
import nn

# Each entry maps a case's inputs and attributes to its list of outputs.


def gemm(inputs, attributes):
    a, b, *c = inputs
    a = (a.T if attributes.get("transA") else a) * np.float32(attributes.get("alpha", 1.0))
    weight = b if attributes.get("transB") else b.T
    bias = np.broadcast_to(c[0] * np.float32(attributes.get("beta", 1.0)), (1, len(weight)))[0] if c else None
    return [kernels.linear(a, weight, bias)]


def prelu(inputs, attributes):
    x, slope = inputs  # broadcast from the right, so each element of x may have its own: make them all channels
    slope = np.broadcast_to(slope, x.shape).reshape(-1)
    return [kernels.prelu(x.reshape(1, -1), slope).reshape(x.shape)]


def clip(inputs, attributes):
    x, low, high = (*inputs, None, None)[:3]
    return [kernels.hardtanh(x, -np.inf if low is None else float(low), np.inf if high is None else float(high))]


def activation(function, **names):
    """An activation whose options are the attributes `names` (ours = theirs)."""

    def call(inputs, attributes):
        options = {ours: attributes[theirs] for ours, theirs in names.items() if theirs in attributes}
        options = {name: value.decode() if isinstance(value, bytes) else value for name, value in options.items()}
        return [function(*inputs, **options)]

    return call


def along_axis(function):
    return lambda inputs, attributes: [function(*inputs, attributes.get("axis", -1))]


def loss(function):
    def call(inputs, attributes):
        x, target, weight = (*inputs, None)[:3]
        options = {"reduction": attributes.get("reduction", b"mean").decode()}
        if "ignore_index" in attributes:
            options["ignore_index"] = attributes["ignore_index"]
        return [function(x, target, weight, **options), kernels.log_softmax(x, 1)]

    return call


def optimizer(step, states):
    """ONNX passes rate and step count, then all parameters, all gradients, and the arrays of each kind of state."""

    def call(inputs, attributes):
        rate, count, *arrays = inputs
        number = len(arrays) // (2 + states)
        columns = [[array.copy() for array in arrays[i : i + number]] for i in range(0, len(arrays), number)]
        step(columns, float(rate), int(count), attributes)
        params, _, *kept = columns
        return [array for column in (params, *kept) for array in column]

    return call


def adam(columns, rate, count, attributes):
    # ONNX counts steps from 0, leaves step 0 uncorrected, and adds epsilon before the correction.
    betas, step = (attributes["alpha"], attributes["beta"]), max(count, 1)
    root = (1 - betas[1] ** step) ** 0.5
    correction = 1.0 if count else (1 - betas[0] ** step) / root
    kernels.adam(
        *columns,
        step=step,
        lr=rate * correction,
        betas=betas,
        eps=attributes["epsilon"] / root,
        weight_decay=attributes["norm_coefficient"],
    )


def adagrad(columns, rate, count, attributes):
    kernels.adagrad(
        *columns,
        step=count + 1,
        lr=rate,
        lr_decay=attributes["decay_factor"],
        eps=attributes["epsilon"],
        weight_decay=attributes["norm_coefficient"],
    )


def momentum(columns, rate, count, attributes):
    kernels.sgd(
        *columns,
        lr=rate,
        momentum=attributes["alpha"],
        dampening=1 - attributes["beta"] if count else 0.0,
        weight_decay=attributes["norm_coefficient"],
        nesterov=attributes["mode"] == b"nesterov",
    )


def dropout(inputs, attributes):
    x, ratio, training = (*inputs, None, None)[:3]
    ratio = attributes.get("ratio", 0.5) if ratio is None else float(ratio)
    return [nn.functional.dropout(nn.Tensor(x), ratio, training=bool(training)).numpy()]


def reduction(function):
    def call(inputs, attributes):
        x, axes = (*inputs, None)[:2]
        dim = None if axes is None or not axes.size else tuple(int(axis) for axis in axes)
        return [function(x, dim, bool(attributes.get("keepdims", 1)))]

    return call


def maximum(x, dim, keepdim):
    return kernels.max(x, None, keepdim) if dim is None else kernels.max(x, *dim, keepdim)[0]


def argmax(inputs, attributes):
    (x,), axis = inputs, attributes.get("axis", 0)
    keepdim = bool(attributes.get("keepdims", 1))
    if attributes.get("select_last_index"):  # the first of the reversed array
        return [x.shape[axis] - 1 - kernels.argmax(np.flip(x, axis), axis, keepdim)]
    return [kernels.argmax(x, axis, keepdim)]


def sides(shape, attributes, dims):
    """Padding before and after each dimension, as given by `pads` or computed from `auto_pad`."""
    mode = attributes.get("auto_pad", b"NOTSET")
    if mode == b"NOTSET":
        pads = attributes.get("pads", [0] * (2 * dims))
        return list(zip(pads[:dims], pads[dims:], strict=True))
    strides, kernel = attributes.get("strides", [1] * dims), attributes["kernel_shape"]
    totals = [max(0, (-(-n // s) - 1) * s + k - n) for n, s, k in zip(shape[-dims:], strides, kernel, strict=True)]
    return [(t // 2, t - t // 2) if mode == b"SAME_UPPER" else (t - t // 2, t // 2) for t in totals]


def window(x, attributes):
    """Dimensions, kernel, stride, dilation, and the padding if it is symmetric; else the input is padded first."""
    kernel = tuple(attributes["kernel_shape"])
    dims = len(kernel)
    pads = sides(x.shape, attributes, dims)
    plain = all(a == b <= k // 2 for (a, b), k in zip(pads, kernel, strict=True))
    padding = tuple(a for a, _ in pads) if plain else 0
    before = [] if plain else [width for pair in pads[::-1] for width in pair]
    strides = tuple(attributes.get("strides", [1] * dims))
    return dims, kernel, strides, tuple(attributes.get("dilations", [1] * dims)), padding, before


def padded(x, widths, value):
    return nn.functional.pad(nn.Tensor(x), widths, "constant", value).numpy()


def max_pool(inputs, attributes):
    (x,) = inputs
    dims, kernel, strides, dilation, padding, before = window(x, attributes)
    pool, ceil = getattr(kernels, f"max_pool{dims}d"), bool(attributes.get("ceil_mode", 0))
    return list(pool(padded(x, before, -np.inf), kernel, strides, padding, dilation, ceil, True))


def average_pool(inputs, attributes):
    (x,) = inputs
    dims, kernel, strides, _, padding, before = window(x, attributes)
    pool, ceil = getattr(kernels, f"avg_pool{dims}d"), bool(attributes.get("ceil_mode", 0))
    include = bool(attributes.get("count_include_pad", 0))
    y = pool(padded(x, before, 0.0), kernel, strides, padding, ceil, include)
    if before and not include:  # the padding has been counted, as it is part of the array
        y = y / pool(padded(np.ones_like(x), before, 0.0), kernel, strides, padding, ceil, include)
    return [y]


def lp_pool(inputs, attributes):
    x = np.abs(inputs[0])
    dims, kernel, strides, _, padding, before = window(x, attributes)
    if padding:
        before = [width for width in padding[::-1] for _ in range(2)]
    pool = getattr(kernels, f"lp_pool{dims}d")
    ceil = bool(attributes.get("ceil_mode", 0))
    return [pool(padded(x, before, 0.0), attributes.get("p", 2), kernel, strides, ceil)]


def global_pool(name):
    return lambda inputs, attributes: [getattr(kernels, f"{name}{inputs[0].ndim - 2}d")(inputs[0], 1)]


def max_unpool(inputs, attributes):
    x, indices, shape = (*inputs, None)[:3]
    y = kernels.max_unpool2d(x, indices, tuple(attributes["kernel_shape"]), tuple(attributes["strides"]))
    return [y if shape is None else padded(y, (0, int(shape[3]) - y.shape[3], 0, int(shape[2]) - y.shape[2]), 0.0)]


def col2im(inputs, attributes):
    x, size, kernel = inputs
    dilations, pads, strides = (tuple(attributes.get(name, [n] * 2)[:2]) for name, n in
                                (("dilations", 1), ("pads", 0), ("strides", 1)))  # fmt: skip
    return [kernels.fold(x, tuple(map(int, size)), tuple(map(int, kernel)), dilations, pads, strides)]


def pad(inputs, attributes):
    x, pads, value, axes = (*inputs, None, None)[:4]
    widths = [(0, 0)] * x.ndim
    axes = range(x.ndim) if axes is None else [int(axis) for axis in axes]
    for axis, pair in zip(axes, zip(*np.split(pads, 2), strict=True), strict=True):
        widths[axis] = tuple(map(int, pair))
    mode = {b"edge": "replicate", b"reflect": "reflect", b"wrap": "circular"}.get(attributes.get("mode"), "constant")
    if mode != "constant":  # of spatial axes only
        assert widths[:2] == [(0, 0)] * 2
        widths = widths[2:]
    widths = [width for pair in widths[::-1] for width in pair]
    value = 0.0 if value is None else float(value)
    return [nn.functional.pad(nn.Tensor(x), widths, mode, value).numpy()]


def upsample(inputs, attributes):
    x, scales = inputs
    return [kernels.interpolate(x, scale_factor=tuple(map(float, scales[2:])), mode=attributes["mode"].decode())]


def batch_norm(inputs, attributes):
    x, scale, bias, mean, var = inputs
    epsilon, keep = attributes.get("epsilon", 1e-5), attributes.get("momentum", 0.9)
    if not attributes.get("training_mode"):
        return [kernels.batch_norm(x, mean, var, scale, bias, eps=epsilon)]
    new_mean, new_var, count = mean.copy(), var.copy(), x.size // x.shape[1]
    y = kernels.batch_norm(x, new_mean, new_var, scale, bias, True, 1 - keep, epsilon)
    kept = var * np.float32(keep)  # ONNX adds the biased variance to it, PyTorch and we the unbiased one
    return [y, new_mean, kept + (new_var - kept) * np.float32((count - 1) / count)]


def layer_norm(inputs, attributes):
    x, scale, bias = (*inputs, None)[:3]
    axis = attributes.get("axis", -1) % x.ndim
    mean, rstd = (np.empty(x.shape[:axis], x.dtype) for _ in range(2))
    y = kernels.layer_norm(x, x.shape[axis:], scale, bias, attributes.get("epsilon", 1e-5), mean=mean, rstd=rstd)
    kept = x.shape[:axis] + (1,) * (x.ndim - axis)
    return [y, mean.reshape(kept), rstd.reshape(kept)]


def rms_norm(inputs, attributes):
    x, scale = inputs
    shape = x.shape[attributes.get("axis", -1) :]
    return [kernels.rms_norm(x, shape, np.broadcast_to(scale, shape), attributes.get("epsilon", 1e-5))]


def group_norm(inputs, attributes):
    return [kernels.group_norm(inputs[0], attributes["num_groups"], *inputs[1:], attributes.get("epsilon", 1e-5))]


def instance_norm(inputs, attributes):
    x, scale, bias = inputs
    return [kernels.instance_norm(x, None, None, scale, bias, eps=attributes.get("epsilon", 1e-5))]


def local_response_norm(inputs, attributes):
    numbers = attributes.get("alpha", 1e-4), attributes.get("beta", 0.75), attributes.get("bias", 1.0)
    return [kernels.local_response_norm(*inputs, attributes["size"], *numbers)]


def borders(attributes, sizes, total):
    """Widths before and after each axis: the attribute's, or `total` of each axis split in halves."""
    auto = attributes.get("auto_pad", b"NOTSET").decode()
    if auto == "NOTSET":
        pads = attributes.get("pads", [0] * 2 * len(sizes))
        return list(zip(pads[: len(sizes)], pads[len(sizes) :], strict=True))
    if auto == "VALID":
        return [(0, 0)] * len(sizes)
    halves = [(both // 2, both - both // 2) for both in total]  # the extra element of an odd total is at the end
    return halves if auto == "SAME_UPPER" else [half[::-1] for half in halves]


def convolution(inputs, attributes):
    """Pads first, because widths may differ at the two ends."""
    x, weight, bias = (*inputs, None)[:3]
    sizes, kernel = x.shape[2:], weight.shape[2:]
    stride, dilation = (tuple(attributes.get(name, [1] * len(sizes))) for name in ("strides", "dilations"))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    total = [max(0, (-(-n // s) - 1) * s + r - n) for n, s, r in zip(sizes, stride, reach, strict=True)]
    x = np.pad(x, [(0, 0), (0, 0), *borders(attributes, sizes, total)])
    function = getattr(kernels, f"conv{len(sizes)}d")
    return [function(x, weight, bias, stride, 0, dilation, attributes.get("group", 1))]


def transposed_convolution(inputs, attributes):
    """Cuts afterwards, because widths may differ at the two ends."""
    x, weight, bias = (*inputs, None)[:3]
    sizes, kernel = x.shape[2:], weight.shape[2:]
    stride, dilation = (tuple(attributes.get(name, [1] * len(sizes))) for name in ("strides", "dilations"))
    extra = attributes.get("output_padding", [0] * len(sizes))
    full = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(sizes, stride, dilation, kernel, strict=True)]
    wanted = attributes.get("output_shape", [n * s for n, s in zip(sizes, stride, strict=True)])
    total = [n + e - w for n, e, w in zip(full, extra, wanted, strict=True)]
    if "output_shape" in attributes and "auto_pad" not in attributes:
        attributes = {"auto_pad": b"SAME_LOWER"}
    widths = borders(attributes, sizes, total)
    more = tuple(max(0, e - after) for e, (_, after) in zip(extra, widths, strict=True))
    function = getattr(kernels, f"conv_transpose{len(sizes)}d")
    y = function(x, weight, bias, stride, 0, more, attributes.get("group", 1), dilation)
    ends = [n + e - after for n, e, (_, after) in zip(full, extra, widths, strict=True)]
    return [y[(..., *(slice(before, end) for (before, _), end in zip(widths, ends, strict=True)))]]


def recurrent(kernel, blocks):
    """A layer whose gates ONNX orders differently: our block i is its block ``blocks[i]``."""

    def ours(weight):
        parts = np.split(weight, len(blocks))
        return np.concatenate([parts[block] for block in blocks])

    def call(inputs, attributes):
        x, weight_ih, weight_hh, bias = (*inputs, None)[:4]
        x = x.swapaxes(0, 1) if attributes.get("layout") else x
        outputs, finals = [], []
        for d, (wi, wh) in enumerate(zip(weight_ih, weight_hh, strict=True)):
            biases = [] if bias is None else map(ours, np.split(bias[d], 2))
            reverse = d == 1 or attributes.get("direction") == b"reverse"
            y, state = kernel(x, None, ours(wi), ours(wh), *biases, reverse=reverse)
            outputs.append(y)
            finals.append(state if isinstance(state, tuple) else (state,))
        results = [np.stack(outputs, axis=1), *(np.stack(parts) for parts in zip(*finals, strict=True))]
        if attributes.get("layout"):
            results = [np.moveaxis(results[0], 2, 0), *(state.swapaxes(0, 1) for state in results[1:])]
        return results

    return call


def heads(x, number):
    """(N, L, heads * width) as a view (N, heads, L, width); an array with four axes is returned as it is."""
    return x if x.ndim == 4 else x.reshape(*x.shape[:2], number, -1).swapaxes(1, 2)


def attention(inputs, attributes):
    """The cache is concatenated before the keys; if the sequences differ in length, each is a separate call."""
    q, k, v, mask, past_k, past_v, lengths = (*inputs, None, None, None, None)[:7]
    q = heads(q, attributes.get("q_num_heads"))
    k, v = (heads(x, attributes.get("kv_num_heads")) for x in (k, v))
    earlier = 0 if past_k is None else past_k.shape[2]
    if earlier:
        k, v = np.concatenate([past_k, k], axis=2), np.concatenate([past_v, v], axis=2)
    (N, _, L, _), S = q.shape, k.shape[2]
    if mask is not None:  # keys beyond the mask are not visible
        nothing = False if mask.dtype == bool else -np.inf
        mask = np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, S - mask.shape[-1])], constant_values=nothing)
    sides = [attributes.get(f"{side}_window_size", -1) for side in ("left", "right")]
    options = {
        "is_causal": bool(attributes.get("is_causal", 0)),
        "scale": attributes.get("scale"),
        "enable_gqa": True,
        "window": tuple(None if side < 0 else side for side in sides),
        "softcap": attributes.get("softcap", 0.0),
    }
    if lengths is None:
        y = kernels.scaled_dot_product_attention(q, k, v, mask, causal_offset=earlier, **options)
        scores = attention_scores(q, k, mask, attributes.get("qk_matmul_output_mode", 0), earlier, options)
    else:
        y, scores = np.empty((*q.shape[:3], v.shape[3]), q.dtype), None
        for b, length in enumerate(map(int, lengths)):
            seen = None if mask is None else np.broadcast_to(mask, (*q.shape[:3], S))[b, ..., :length]
            operands = q[b], k[b, :, :length], v[b, :, :length], seen
            kernels.scaled_dot_product_attention(*operands, causal_offset=length - L, out=y[b], **options)
    return [y if inputs[0].ndim == 4 else y.swapaxes(1, 2).reshape(N, L, -1), k, v, scores]


def attention_scores(q, k, mask, mode, offset, options):
    """The scores before (modes 0 and 1) or after (2) masking, or the weights (3): with the rows of a unit matrix as
    values, the result is the weights; their logarithms and lse are the scores."""
    if mode < 2:
        mask, options = None, options | {"is_causal": False, "window": None}
    S, lse = k.shape[2], np.empty(q.shape[:3], q.dtype)
    unit = np.broadcast_to(np.eye(S, dtype=q.dtype), (*k.shape[:2], S, S))
    weights = kernels.scaled_dot_product_attention(q, k, unit, mask, causal_offset=offset, lse=lse, **options)
    with np.errstate(divide="ignore"):
        return weights if mode == 3 else np.log(weights) + lse[..., None]


def rotary(inputs, attributes):
    x, cos, sin, positions = (*inputs, None)[:4]
    if positions is None:  # the tables have rows for each sequence
        positions = np.arange(cos.shape[0] * cos.shape[1]).reshape(cos.shape[:2])
        cos, sin = (table.reshape(-1, table.shape[-1]) for table in (cos, sin))
    y = heads(x, attributes.get("num_heads"))
    y = kernels.rotary_embedding(y, cos, sin, positions, interleaved=bool(attributes.get("interleaved", 0)))
    return [y if x.ndim == 4 else y.swapaxes(1, 2).reshape(x.shape)]


def swiglu(inputs, attributes):
    (a, b), alpha = inputs, np.float32(attributes.get("alpha", 1.0))
    return [kernels.silu(a * alpha) / alpha * b]


RUN = {
    "Attention": attention,
    "RotaryEmbedding": rotary,
    "SwiGLU": swiglu,
    "RNN": recurrent(kernels.rnn, [0]),
    "GRU": recurrent(kernels.gru, [1, 0, 2]),
    "LSTM": recurrent(kernels.lstm, [0, 2, 3, 1]),
    "MatMul": lambda inputs, attributes: [kernels.matmul(*inputs)],
    "Gemm": gemm,
    "Relu": activation(kernels.relu),
    "LeakyRelu": activation(kernels.leaky_relu, negative_slope="alpha"),
    "PRelu": prelu,
    "Elu": activation(kernels.elu, alpha="alpha"),
    "Selu": activation(kernels.selu),
    "Celu": activation(kernels.celu, alpha="alpha"),
    "Gelu": activation(kernels.gelu, approximate="approximate"),
    "Sigmoid": activation(kernels.sigmoid),
    "Tanh": activation(kernels.tanh),
    "Mish": activation(kernels.mish),
    "Swish": activation(kernels.silu),
    "Softplus": activation(kernels.softplus),
    "HardSigmoid": activation(kernels.hardsigmoid),
    "HardSwish": activation(kernels.hardswish),
    "Clip": clip,
    "Softmax": along_axis(kernels.softmax),
    "LogSoftmax": along_axis(kernels.log_softmax),
    "SoftmaxCrossEntropyLoss": loss(kernels.cross_entropy),
    "NegativeLogLikelihoodLoss": loss(kernels.nll_loss),
    "Adam": optimizer(adam, 2),
    "Adagrad": optimizer(adagrad, 1),
    "Momentum": optimizer(momentum, 1),
    "Dropout": dropout,
    "ReduceSum": reduction(kernels.sum),
    "ReduceMean": reduction(kernels.mean),
    "ReduceMax": reduction(maximum),
    "ReduceLogSumExp": reduction(kernels.logsumexp),
    "ArgMax": argmax,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "GlobalAveragePool": global_pool("adaptive_avg_pool"),
    "GlobalMaxPool": global_pool("adaptive_max_pool"),
    "MaxUnpool": max_unpool,
    "Col2Im": col2im,
    "Pad": pad,
    "Upsample": upsample,
    "BatchNormalization": batch_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LRN": local_response_norm,
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
}

OTHER_DTYPE = "kernels compute in float32 and float64"
FIXED_SLOPE = "hardsigmoid's slope is fixed at 1/6, as in PyTorch"
MASK = "dropout does not return its mask"
RANDOM = "dropout draws from NumPy's generator, so the kept elements differ"
DILATED = "an average or power pool has no dilation, as in PyTorch"
RESET_BEFORE = "gru's r applies behind the product with W_hn (linear_before_reset), as in PyTorch"
NOT_EXPRESSED = {
    "test_attention_4d_fp16": OTHER_DTYPE,
    "test_attention_4d_gqa_with_past_and_present_fp16": OTHER_DTYPE,
    "test_attention_4d_causal_bf16": OTHER_DTYPE,
    "test_attention_4d_causal_fp16": OTHER_DTYPE,
    "test_attention_4d_padded_kv_bf16": OTHER_DTYPE,
    "test_attention_4d_causal_padded_kv_bf16": OTHER_DTYPE,
    "test_attention_4d_attn_mask_causal_bf16": OTHER_DTYPE,
    "test_attention_3d_causal_bf16": OTHER_DTYPE,
    "test_attention_4d_gqa_causal_nonpad_decode_fp16": OTHER_DTYPE,
    "test_attention_24_qk_matmul_output_mode3_softmax_precision": OTHER_DTYPE,
    "test_attention_local_window_ext_cache_float16_mask": OTHER_DTYPE,
    "test_swiglu_float16": OTHER_DTYPE,
    "test_lstm_with_peepholes": "lstm has no peepholes, as in PyTorch",
    "test_gru_seq_length": RESET_BEFORE,  # the other three go one step from 0, where there is nothing to reset
    "test_gru_reverse": RESET_BEFORE,
    "test_gru_bidirectional": RESET_BEFORE,
    "test_gemm_default_matrix_bias": "linear's bias is one value for each output feature",
    "test_selu_example": "selu's two constants are fixed",
    "test_selu": "selu's two constants are fixed",
    "test_celu_float16": OTHER_DTYPE,
    "test_celu_bfloat16": OTHER_DTYPE,
    "test_hardsigmoid_example": FIXED_SLOPE,
    "test_hardsigmoid": FIXED_SLOPE,
    "test_hardsigmoid_default": FIXED_SLOPE,
    "test_clip_min_greater_than_max": "hardtanh refuses min_val > max_val",
    "test_clip_default_int8_min": OTHER_DTYPE,
    "test_clip_default_int8_max": OTHER_DTYPE,
    "test_clip_default_int8_inbounds": OTHER_DTYPE,
    "test_dropout_default_mask": MASK,
    "test_dropout_default_mask_ratio": MASK,
    "test_training_dropout_default": RANDOM,
    "test_training_dropout_default_mask": RANDOM,
    "test_training_dropout": RANDOM,
    "test_training_dropout_mask": RANDOM,
    "test_training_dropout_zero_ratio_mask": MASK,
    "test_reduce_sum_empty_axes_input_noop_example": "a reduction over no dimension is one over all",
    "test_reduce_sum_empty_axes_input_noop": "a reduction over no dimension is one over all",
    "test_reduce_max_bool_inputs": OTHER_DTYPE,
    "test_reduce_max_empty_set": "the maximum of nothing is an error",
    "test_reduce_max_empty_set_bool": OTHER_DTYPE,
    "test_maxpool_2d_uint8": OTHER_DTYPE,
    "test_maxpool_with_argmax_2d_precomputed_strides": "indices count the elements row by row, not column by column",
    "test_averagepool_2d_dilations": DILATED,
    "test_averagepool_3d_dilations_small": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True": DILATED,
    "test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False": DILATED,
    "test_lppool_2d_dilations": DILATED,
    "test_col2im_5d": "fold is for images, as in PyTorch",
}

PASSED = {
    "Attention": 82,
    "RotaryEmbedding": 8,
    "SwiGLU": 2,
    "RNN": 6,
    "GRU": 3,
    "LSTM": 5,
    "MatMul": 7,
    "Gemm": 10,
    "Relu": 1,
    "LeakyRelu": 3,
    "PRelu": 2,
    "Elu": 3,
    "Selu": 1,
    "Celu": 1,
    "Gelu": 4,
    "Sigmoid": 2,
    "Tanh": 2,
    "Mish": 1,
    "Swish": 1,
    "Softplus": 2,
    "HardSwish": 1,
    "Clip": 8,
    "Softmax": 7,
    "LogSoftmax": 7,
    "SoftmaxCrossEntropyLoss": 34,
    "NegativeLogLikelihoodLoss": 18,
    "Adam": 2,
    "Adagrad": 2,
    "Momentum": 3,
    "Dropout": 5,
    "ReduceSum": 10,
    "ReduceMean": 8,
    "ReduceMax": 8,
    "ReduceLogSumExp": 9,
    "ArgMax": 16,
    "MaxPool": 17,
    "AveragePool": 14,
    "LpPool": 7,
    "GlobalAveragePool": 2,
    "GlobalMaxPool": 2,
    "MaxUnpool": 2,
    "Col2Im": 4,
    "Pad": 6,
    "Upsample": 1,
    "BatchNormalization": 4,
    "LayerNormalization": 19,
    "RMSNormalization": 19,
    "GroupNormalization": 2,
    "InstanceNormalization": 2,
    "LRN": 2,
    "Conv": 6,
    "ConvTranspose": 11,
}


def collect():
    """The single-node cases of the operators in `RUN`, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ONNX's cases of casts and empty sets overflow
        cases = collect_testcases(None)
    nodes = {case.name: case for case in cases if len(case.model.graph.node) == 1 and "_expanded" not in case.name}
    return {name: case for name, case in nodes.items() if case.model.graph.node[0].op_type in RUN}


CASES = collect()
EXPRESSED = [name for name in CASES if name not in NOT_EXPRESSED]


def to_array(value):
    return np.asarray(numpy_helper.to_array(value) if isinstance(value, TensorProto) else value)


@pytest.mark.parametrize("name", EXPRESSED)
def test_case(name):
    case = CASES[name]
    graph = case.model.graph
    (node,) = graph.node
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    assert case.data_sets
    for inputs, expected in case.data_sets:
        feed = dict(zip([value.name for value in graph.input], map(to_array, inputs), strict=True))
        feed |= {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        outputs = RUN[node.op_type]([feed[key] if key else None for key in node.input], attributes)
        outputs = [output for output, key in zip(outputs, node.output, strict=False) if key]
        assert len(outputs) >= len(expected) > 0
        for actual, wanted in zip(outputs, map(to_array, expected), strict=False):
            assert actual.dtype == wanted.dtype
            assert actual.shape == wanted.shape
            np.testing.assert_allclose(actual, wanted, rtol=case.rtol, atol=case.atol)


def test_every_case_runs_or_is_listed():
    assert set(NOT_EXPRESSED) <= set(CASES)
    assert Counter(CASES[name].model.graph.node[0].op_type for name in EXPRESSED) == PASSED

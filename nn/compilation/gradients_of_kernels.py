"""The gradients of operations that are one kernel, which has a backward of its own."""

from nn.compilation.gradients import rule
from nn.compilation.training import KERNELS, Name
from nn.storage import Tensor


@rule("linear")
def _linear(g, call, dy):
    x, weight, bias = (call.arguments[key] for key in ("input", "weight", "bias"))
    options = {}
    if "activation" in call.arguments:
        options["activation"] = call.arguments["activation"]
        options["saved"] = g.forward.saved.get(id(call), {}).get("input", call.results[0])
    g.several(call, "linear_backward", (dy, x, weight), (x, weight, bias), **options)


@rule(*(f"{name}{rank}d" for name in ("conv", "conv_transpose") for rank in (1, 2, 3)))
def _convolution(g, call, dy):
    x, weight, bias, *geometry = (call.arguments[key] for key in KERNELS[call.name])
    if "activation" in call.arguments:
        name = f"d_{g.name(call.results[0])}"
        g.lines.append(f"{name} = relu_backward({dy}, {g.name(call.results[0])})")
        dy = Name(name)
    g.several(call, f"{call.name}_backward", (dy, x, weight, *geometry), (x, weight, bias))


@rule("batch_norm")
def _batch_norm(g, call, dy):
    saved, tensors = g.forward.saved[id(call)], [call.arguments[key] for key in ("input", "weight", "bias")]
    x, weight, _ = tensors
    values = (dy, x, saved["mean"], saved["rstd"], weight, call.arguments["training"])
    relu = {"activation": "relu", "saved": call.results[0]} if "activation" in call.arguments else {}
    g.several(call, "batch_norm_backward", values, tensors, **relu)


@rule("layer_norm", "group_norm")
def _layer_norm(g, call, dy):
    saved, tensors = g.forward.saved[id(call)], [call.arguments[key] for key in ("input", "weight", "bias")]
    x, weight, _ = tensors
    values = (dy, x, call.arguments[KERNELS[call.name][1]], saved["mean"], saved["rstd"], weight)
    g.several(call, f"{call.name}_backward", values, tensors)


@rule("add_layer_norm")
def _add_layer_norm(g, call, dys):
    (dy, dsum), saved, given = dys, g.forward.saved[id(call)], call.arguments
    total, name = call.results[1], dsum
    if dy is not None:
        tensors = total, None, given["weight"], given["bias"]
        needs = tuple(isinstance(each, Tensor) and g.forward.active(each) for each in tensors)
        names = [
            f"d_{saved['sum']}",
            "_",
            *(g._target(each) if need else "_" for each, need in zip(tensors[2:], needs[2:], strict=True)),
        ]
        values = dy, total, given["normalized_shape"], saved["mean"], saved["rstd"], given["weight"]
        text = g.call(call, "add_layer_norm_backward", values, dsum=dsum, needs=needs)
        g.lines.append(f"{', '.join(names)} = {text}")
        for each, new, need in zip(tensors[2:], names[2:], needs[2:], strict=True):
            if need:
                g._arrived(each, new, True, False)
        name = names[0]
        g.forward.strided.discard(name)
    for key in ("input", "residual"):
        g.add(given[key], str(name), new=False)


@rule("rms_norm")
def _rms_norm(g, call, dy):
    tensors = [call.arguments[key] for key in ("input", "weight")]
    values = (dy, tensors[0], call.arguments["normalized_shape"], g.forward.saved[id(call)]["rstd"], tensors[1])
    g.several(call, "rms_norm_backward", values, tensors)


@rule("embedding")
def _embedding(g, call, dy):
    ids, weight, padding = (call.arguments[key] for key in ("input", "weight", "padding_idx"))
    g.add(weight, g.call(call, "embedding_backward", (dy, ids, weight.shape[0], padding)))


@rule("matmul")
def _matmul(g, call, dy):
    tensors = call.arguments["input"], call.arguments["other"]
    g.several(call, "matmul_backward", (dy, *tensors), tensors)


@rule("scaled_dot_product_attention")
def _attention(g, call, dy):
    saved, given = g.forward.saved[id(call)], call.arguments
    tensors = [given[key] for key in ("query", "key", "value", "attn_mask")]
    more = [given[key] for key in ("dropout_p", "is_causal", "scale", "enable_gqa")]
    options = {key: given[key] for key in ("causal_offset", "softcap")}
    options |= {key: saved[key] for key in ("seed",) if key in saved}
    values = (dy, *tensors[:3], call.results[0], saved["lse"], tensors[3], *more)
    options |= {"usual": (True, True, True, False), "strided": True}
    g.several(call, "scaled_dot_product_attention_backward", values, tensors, **options)


@rule("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
def _classification(g, call, dy):
    values, lse = g.forward.values(call), g.forward.saved.get(id(call), {})
    g.add(values[0], g.call(call, f"{call.name}_backward", (dy, *values), **lse))


@rule("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
def _regression(g, call, dy):
    values = g.forward.values(call)
    g.several(call, f"{call.name}_backward", (dy, *values), values[:2])


@rule(*(f"{kind}max_pool{rank}d" for kind in ("", "adaptive_") for rank in (1, 2, 3)))
def _max_pool(g, call, dy):
    x, *window = g.forward.values(call)
    (places,) = g.forward.saved[id(call)]["results"]
    window = () if call.name.startswith("adaptive") else window
    g.add(x, g.call(call, f"{call.name}_backward", (dy, g.shape(x), Name(places), *window)))


@rule(*(f"{kind}avg_pool{rank}d" for kind in ("", "adaptive_") for rank in (1, 2, 3)), "sum", "mean")
def _average(g, call, dy):
    x, *window = g.forward.values(call)
    window = () if call.name.startswith("adaptive") else window
    g.add(x, g.call(call, f"{call.name}_backward", (dy, g.shape(x), *window)))


@rule("relu", "sigmoid", "tanh", "exp", "expm1", "rsqrt", "softmax", "log_softmax")
def _by_result(g, call, dy):
    x, *options = g.forward.values(call)
    g.add(x, g.call(call, f"{call.name}_backward", (dy, call.results[0], *options)))


@rule("leaky_relu", "elu", "celu", "selu", "silu", "mish", "softplus", "hardtanh", "gelu", "glu", "hardswish")
@rule("hardsigmoid", "logsigmoid", "erf", "log1p")
def _by_input(g, call, dy):
    g.add(call.arguments["input"], g.call(call, f"{call.name}_backward", (dy, *g.forward.values(call))))


@rule("logsumexp")
def _logsumexp(g, call, dy):
    x, *options = g.forward.values(call)
    g.add(x, g.call(call, "logsumexp_backward", (dy, x, call.results[0], *options)))


@rule("cumsum")
def _cumsum(g, call, dy):
    g.add(call.arguments["input"], g.call(call, "cumsum_backward", (dy, call.arguments["dim"])))

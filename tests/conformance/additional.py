"""Samples that PyTorch's tables lack, in the form of their entries.

Functions that PyTorch does not have are composed of those that it has.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional as F

from tests.conformance.database import FunctionInput, ModuleInput, SampleInput

# --- modules ----------------------------------------------------------------------------------------------------------

_of = FunctionInput


def _simple(make):
    """Yield (module, arguments of its constructor, of its forward)."""
    for p, shape in ((0.5, (3, 4)), (0.0, (2, 3, 4)), (1.0, (5,))):
        yield "Dropout", _of(p), _of(make(*shape))
    for n in (1, 2, 3):
        inner = (4, 5, 6)[:n]
        yield f"Dropout{n}d", _of(), _of(make(2, 3, *inner))
        yield f"Dropout{n}d", _of(p=0.2), _of(make(3, *inner))
    for shape in ((), (5,), (2, 3, 4)):
        yield "Hardsigmoid", _of(), _of(3 * make(*shape))
        yield "Identity", _of(1, unused=True), _of(make(*shape))
    for constructor, shape in (
        (_of(), (2, 3, 4)),
        (_of(0), (5,)),
        (_of(0), (2, 3)),
        (_of(start_dim=1, end_dim=2), (2, 3, 4, 5)),
        (_of(-2, -1), (2, 3, 4)),
        (_of(2, 2), (2, 3, 4)),
    ):
        yield "Flatten", constructor, _of(make(*shape))
    for factor, shape in ((2, (2, 8, 3, 4)), (1, (2, 3, 4, 5)), (3, (9, 2, 2)), (2, (2, 3, 4, 2, 1))):
        yield "PixelShuffle", _of(factor), _of(make(*shape))
    for factor, shape in ((2, (2, 3, 4, 6)), (1, (2, 3, 4, 5)), (3, (1, 6, 3)), (2, (2, 3, 1, 2, 4))):
        yield "PixelUnshuffle", _of(factor), _of(make(*shape))


def _patches(make):
    for window, shape in (
        (_of(2), (2, 3, 4, 5)),
        (_of((2, 3), stride=2), (2, 1, 5, 7)),
        (_of((3, 2), 1, (2, 1), (2, 3)), (3, 6, 5)),
        (_of(2, dilation=(1, 3), padding=1), (1, 2, 4, 6)),
    ):
        x = make(*shape)
        yield "Unfold", window, _of(x)
        columns = F.unfold(x.detach(), *window.args, **window.kwargs)
        yield "Fold", _of(shape[-2:], *window.args, **window.kwargs), _of(make(*columns.shape))


def _unpooled(make):
    for n in (1, 2, 3):
        pool, even, odd = getattr(F, f"max_pool{n}d"), (6, 4, 8)[:n], (6, 7, 5)[:n]
        for (kernel, stride, padding), shape, size in (
            ((2, None, 0), (2, 3, *even), {}),
            ((2, None, 0), (2, 3, *odd), {"output_size": [2, 3, *odd]}),
            ((3, 2, 1), (3, *odd), {"output_size": list(odd)}),
            ((2, 3, 0), (2, 1, *odd), {"output_size": list(odd)}),
        ):
            x = make(*shape)
            pooled, indices = pool(x.detach(), kernel, stride, padding, return_indices=True)
            pooled.requires_grad_(x.requires_grad)  # the pooled values: an index that occurs twice has one value
            yield f"MaxUnpool{n}d", _of(kernel, stride, padding), _of(pooled, indices, **size)


def _enlarged(make):
    for constructor, shape in (
        (_of(scale_factor=2), (2, 3, 4)),
        (_of((5, 3)), (2, 3, 4, 4)),
        (_of(scale_factor=(1.5, 2.0, 0.5)), (1, 2, 3, 4, 4)),
        (_of(7, mode="linear"), (2, 3, 4)),
        (_of(scale_factor=1.7, mode="bilinear"), (2, 3, 4, 5)),
        (_of(scale_factor=1.7, mode="bilinear", recompute_scale_factor=True), (2, 3, 4, 5)),
        (_of((6, 7), None, "bilinear", True), (2, 3, 4, 5)),
        (_of((6, 7), mode="bicubic", align_corners=False), (2, 3, 4, 5)),
        (_of(scale_factor=2, mode="trilinear", align_corners=True), (1, 2, 3, 2, 4)),
        (_of(3, mode="nearest-exact"), (2, 3, 4)),
    ):
        yield "Upsample", constructor, _of(make(*shape))
    for name in ("UpsamplingNearest2d", "UpsamplingBilinear2d"):
        for constructor in (_of(3), _of((5, 2)), _of(scale_factor=2), _of(scale_factor=(1.5, 3))):
            yield name, constructor, _of(make(2, 3, 4, 3))


def _bags(make):
    flat, offsets = torch.tensor([1, 2, 4, 5, 4, 3, 2, 9]), torch.tensor([0, 3, 3, 6])
    square = flat.reshape(2, 4)
    for mode in ("sum", "mean", "max"):
        yield "EmbeddingBag", _of(10, 3, mode=mode), _of(flat, offsets)
        yield "EmbeddingBag", _of(10, 3, mode=mode, padding_idx=4), _of(square)
        yield "EmbeddingBag", _of(10, 3, mode=mode, include_last_offset=True), _of(flat, torch.tensor([0, 3, 3, 8]))
    yield "EmbeddingBag", _of(10, 3, mode="sum"), _of(flat, offsets, make(8))
    yield "EmbeddingBag", _of(10, 3, mode="sum", padding_idx=-1), _of(square, None, make(2, 4))
    # if counts differ, PyTorch divides some gradients by the count of another row
    twice = torch.tensor([1, 2, 4, 9, 9, 1, 2, 4])
    yield "EmbeddingBag", _of(10, 3, max_norm=1.0, scale_grad_by_freq=True), _of(twice, offsets)
    yield "EmbeddingBag", _of(10, 3, max_norm=1.0, norm_type=1.0, mode="max"), _of(square)


def _decoders(make):
    def layer(dtype, **options):
        return torch.nn.TransformerDecoderLayer(6, 2, 8, 0.0, dtype=dtype, **options)

    for options, rest in (
        ({}, {}),
        ({"activation": F.gelu, "norm_first": True}, {"norm": torch.nn.LayerNorm(6)}),
        ({"batch_first": True, "bias": False}, {}),
    ):
        tgt, memory = make(3, 2, 6), make(*((3, 5, 6) if "batch_first" in options else (5, 2, 6)))
        for masks in (
            {},
            {"tgt_mask": torch.ones(*(tgt.shape[-2 if "batch_first" in options else 0],) * 2).tril() == 0},
        ):
            yield "TransformerDecoder", _of(layer(tgt.dtype, **options), 2, **rest), _of(tgt, memory, **masks)


class Module(NamedTuple):
    """The part of PyTorch's table entries that `modules.cases` uses."""

    name: str
    module_cls: type
    samples: Callable
    module_error_inputs_func: None = None

    def module_inputs_func(self, _, *, device, dtype, requires_grad, training):
        def make(*shape):
            return torch.randn(shape, device=device, dtype=dtype).requires_grad_(requires_grad)

        return [ModuleInput(*rest) for name, *rest in self.samples(make) if f"nn.{name}" == self.name]


# listed here, since calling the functions would run PyTorch in the process from which those of `pool` are forked
_NAMES = {
    _simple: "Dropout Dropout1d Dropout2d Dropout3d Hardsigmoid Identity Flatten PixelShuffle PixelUnshuffle",
    _patches: "Unfold Fold",
    _unpooled: "MaxUnpool1d MaxUnpool2d MaxUnpool3d",
    _enlarged: "Upsample UpsamplingNearest2d UpsamplingBilinear2d",
    _bags: "EmbeddingBag",
    _decoders: "TransformerDecoder",
}
MODULES = [
    Module(f"nn.{name}", getattr(torch.nn, name), samples)
    for samples, names in _NAMES.items()
    for name in names.split()
]


# --- functions --------------------------------------------------------------------------------------------------------


def feed_forward(x, weight1, bias1, weight2, bias2, activation="gelu"):
    hidden = F.linear(x, weight1, bias1)
    if activation == "swiglu":
        gate, value = hidden.chunk(2, -1)
        hidden = F.silu(gate) * value
    elif activation == "gelu_tanh":
        hidden = F.gelu(hidden, approximate="tanh")
    else:
        hidden = getattr(F, activation)(hidden)
    return F.linear(hidden, weight2, bias2)


def add_layer_norm(x, residual, *rest, **options):
    return F.layer_norm(x + residual, *rest, **options)


def rotary_embedding(x, cos, sin, positions=None, interleaved=False):
    positions = torch.arange(x.shape[-2]) if positions is None else positions
    cos, sin, half = cos[positions], sin[positions], cos.shape[-1]
    if positions.ndim == 2:
        cos, sin = (t.reshape(len(t), *(1,) * (x.ndim - 3), *t.shape[1:]) for t in (cos, sin))
    pairs, rest = x[..., : 2 * half], x[..., 2 * half :]
    a, b = (pairs[..., ::2], pairs[..., 1::2]) if interleaved else (pairs[..., :half], pairs[..., half:])
    rotated = a * cos - b * sin, a * sin + b * cos
    return torch.cat([torch.stack(rotated, -1).flatten(-2) if interleaved else torch.cat(rotated, -1), rest], -1)


def _layer(function, states):
    """One direction of one layer, by PyTorch's function for all layers and directions."""

    def run(x, hx, wi, wh, bi=None, bh=None, wr=None, reverse=False, batch_sizes=None):
        count = x.shape[1] if batch_sizes is None else int(batch_sizes[0])
        widths = (wh.shape[1], len(wh) // 4)[:states]
        hx = [x.new_zeros(count, width) for width in widths] if hx is None else hx if states == 2 else [hx]
        hx = [h[None] for h in hx] if states == 2 else hx[0][None]
        weights = [w for w in (wi, wh, bi, bh, wr) if w is not None]
        layer = (weights, bi is not None, 1, 0.0, True, False)
        if batch_sizes is None:
            y, *last = function(x.flip(0) if reverse else x, hx, *layer, False)
        else:
            y, *last = function(x, batch_sizes.contiguous(), hx, *layer)  # it ignores the strides
        return y.flip(0) if reverse else y, [h[0] for h in last]

    return run


def rnn(x, hx, wi, wh, bi=None, bh=None, nonlinearity="tanh", **options):
    return _layer(getattr(torch, f"rnn_{nonlinearity}"), 1)(x, hx, wi, wh, bi, bh, **options)


def _cell(function):
    def run(x, hx, *weights, nonlinearity="tanh"):
        if hx is None:
            hx = x.new_zeros(len(x), weights[1].shape[1])
            hx = (hx, hx) if function is torch.lstm_cell else hx
        return (torch.rnn_relu_cell if nonlinearity == "relu" else function)(x, hx, *weights)

    return run


def _feed_forward_samples(make):
    for activation in ("gelu", "gelu_tanh", "relu", "silu", "swiglu"):
        H = 12 if activation == "swiglu" else 6
        yield _of(make(2, 5, 4), make(H, 4), make(H), make(3, 6), make(3), activation)
    yield _of(make(4), make(6, 4), None, make(3, 6), None)


def _add_layer_norm_samples(make):
    yield _of(make(4, 7), make(4, 7), (7,), make(7), make(7))
    yield _of(make(2, 3, 5), make(2, 3, 5), (3, 5), eps=1e-3)
    yield _of(make(9), make(9), (9,), make(9), None)
    yield _of(make(0, 9), make(0, 9), (9,), make(9), make(9))


def _rotary_samples(make):
    angles = make(6, 4).detach()
    cos, sin = angles.cos(), angles.sin()
    yield _of(make(2, 3, 5, 8), cos, sin)
    yield _of(make(5, 11), cos, sin, interleaved=True)
    yield _of(make(2, 3, 5, 8), cos, sin, torch.tensor([5, 0, 2, 2, 1]))
    yield _of(make(2, 3, 3, 9), cos, sin, torch.tensor([[5, 0, 2], [1, 1, 3]]), interleaved=True)


def _lp_pool_samples(n):
    def samples(make):
        inner = (7, 6, 5)[:n]
        for norm_type, window, shape in (
            (2.0, {"kernel_size": 2}, (2, 3, *inner)),
            (3.0, {"kernel_size": 3, "stride": 2, "ceil_mode": True}, (2, 2, *inner)),
            (1.0, {"kernel_size": (2, 3, 1)[:n] if n > 1 else 2, "stride": 1}, (3, *inner)),
            (2.5, {"kernel_size": 2, "stride": 3}, (1, 2, *inner)),
        ):
            x = make(*shape)
            if norm_type % 2:  # PyTorch's power of a negative base differs from ours
                x = x.detach().abs().requires_grad_(x.requires_grad)
            yield _of(x, norm_type, **window)

    return samples


def _fold_samples(make):
    return [forward_of(sample) for sample in _patches(make) if sample[0] == "Fold"]


def forward_of(sample):
    """The call of the function that corresponds to a layer with these constructor arguments."""
    _, constructor, forward = sample
    return _of(*forward.args, *constructor.args, **constructor.kwargs)


def _dropout_samples(make):
    for p, training, shape in ((0.5, False, (2, 3, 4)), (0.0, True, (2, 3, 4)), (1.0, True, (3, 4))):
        yield _of(make(*shape), p=p, training=training)


def _recurrent_samples(gates, states):
    def samples(make):
        def weights(B=2, H=5, P=5, bias=True):
            biases = (make(gates * H), make(gates * H)) if bias else (None, None)
            initial = (make(B, P), make(B, H))[:states]
            return (initial if states == 2 else initial[0]), (make(gates * H, 4), make(gates * H, P), *biases)

        for options in ({}, {"reverse": True}):
            hx, layer = weights()
            yield _of(make(3, 2, 4), hx, *layer, **options)
        yield _of(make(3, 2, 4), None, *weights(bias=False)[1])
        hx, layer = weights(B=3)
        yield _of(make(6, 4), hx, *layer, batch_sizes=torch.tensor([3, 2, 1]))
        if states == 2:
            hx, layer = weights(P=3)
            yield _of(make(3, 2, 4), hx, *layer, make(3, 5), reverse=True)
        if gates == 1:
            hx, layer = weights()
            yield _of(make(3, 2, 4), hx, *layer, nonlinearity="relu")

    return samples


def _cell_samples(gates, states):
    def samples(make):
        layer = make(gates * 5, 4), make(gates * 5, 5)
        hx = (make(2, 5), make(2, 5)) if states == 2 else make(2, 5)
        yield _of(make(2, 4), hx, *layer, make(gates * 5), make(gates * 5))
        yield _of(make(3, 4), None, *layer)
        if gates == 1:
            yield _of(make(2, 4), hx, *layer, nonlinearity="relu")

    return samples


class Operation(NamedTuple):
    """The part of PyTorch's table entries that `operations.cases` uses."""

    name: str
    function: Callable
    samples: Callable
    variant_test_name: str = ""
    aliases: tuple = ()
    supports_autograd: bool = True
    method_variant: None = None
    inplace_variant: None = None
    reference_inputs_func: None = None
    error_inputs_func: None = None

    def __call__(self, *arguments, **options):
        return self.function(*arguments, **options)

    def supported_dtypes(self, device):
        return torch.float32, torch.float64

    def reference_inputs(self, device, dtype, requires_grad):
        return ()

    def sample_inputs(self, device, dtype, requires_grad):
        def make(*shape):
            return torch.randn(shape, device=device, dtype=dtype).requires_grad_(requires_grad)

        for sample in self.samples(make):
            first, *rest = sample.args
            yield SampleInput(first, args=tuple(rest), kwargs=sample.kwargs)


OPERATIONS = [
    Operation(f"nn.functional.{name}", function, samples)
    for name, function, samples in [
        ("feed_forward", feed_forward, _feed_forward_samples),
        ("add_layer_norm", add_layer_norm, _add_layer_norm_samples),
        ("rotary_embedding", rotary_embedding, _rotary_samples),
        ("dropout1d", F.dropout1d, _dropout_samples),
        ("fold", F.fold, _fold_samples),
        *((f"lp_pool{n}d", getattr(F, f"lp_pool{n}d"), _lp_pool_samples(n)) for n in (1, 2, 3)),
        ("lstm", _layer(torch.lstm, 2), _recurrent_samples(4, 2)),
        ("gru", _layer(torch.gru, 1), _recurrent_samples(3, 1)),
        ("rnn", rnn, _recurrent_samples(1, 1)),
        ("lstm_cell", _cell(torch.lstm_cell), _cell_samples(4, 2)),
        ("gru_cell", _cell(torch.gru_cell), _cell_samples(3, 1)),
        ("rnn_cell", _cell(torch.rnn_tanh_cell), _cell_samples(1, 1)),
    ]
]

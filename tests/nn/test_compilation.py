"""Tests of nn.compile: the same bits as the model, the source a person would write, and what cannot be compiled."""

import textwrap
from pathlib import Path

import numba
import numpy as np
import pytest

import nn
from nn import functional as F
from nn.compilation.trace import tensors_in


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class GPT(nn.Module):
    def __init__(self, vocabulary=50, width=32, heads=4, length=16):
        super().__init__()
        self.heads = heads
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Parameter(nn.randn(length, width))
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.head, self.dropout = nn.Linear(width, vocabulary, bias=False), nn.Dropout(0.1)

    def forward(self, ids):
        B, T = ids.shape
        x = self.dropout(self.tokens(ids) + self.places[:T])
        q, k, v = (each.reshape(B, T, self.heads, -1).transpose(1, 2) for each in self.qkv(self.norm1(x)).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).contiguous().view(B, T, -1))
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return self.head(x) * 0.5


class Operators(nn.Module):
    """Numbers on either side, comparisons, and pieces."""

    def forward(self, x):
        y = 1 - x.masked_fill(x > 0.5, 0.25) / (2 + x**2)
        parts = nn.cat([y[:, :2], 2 / (1 + y[:, 2:].exp())], 1)
        return (-parts).abs().sqrt().mean(1, keepdim=True) * parts


class Recurrent(nn.Module):
    """Layers and cells, with and without states, in both directions."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True)
        self.gru, self.rnn = nn.GRU(10, 5), nn.RNN(5, 5, nonlinearity="relu", bias=False)
        self.cell, self.gru_cell = nn.LSTMCell(5, 5), nn.GRUCell(5, 5)

    def forward(self, x, h):
        y, (h_n, _) = self.lstm(x)
        y, last = self.gru(y.transpose(0, 1), h)
        y, _ = self.rnn(y)
        h, c = self.cell(y[-1], (h_n[0], h_n[1]))
        return y, (self.gru_cell(h, c), last)


class Attention(nn.Module):
    """Encoders with masks, the weights of attention, and a mask that is made on the way."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, activation="gelu"), 1)
        self.attention = nn.MultiheadAttention(8, 2)
        self.scale = nn.Parameter(nn.ones(8))

    def forward(self, x, ignored):
        mask = nn.Transformer.generate_square_subsequent_mask(len(x))
        x = self.encoder(x + nn.arange(8) / 8, mask, ignored)
        y, weights = self.attention(x, x, x, attn_mask=nn.triu(nn.ones(5, 5, dtype=nn.bool), 1))
        return F.normalize(y * self.scale, dim=-1), weights


class Elements(nn.Module):
    """Chains of elements, in all ways that operands broadcast, of several dtypes, with NaN and zeros with signs."""

    def forward(self, x, i):
        a = nn.where(x > 0, x, 0.1 * x).clamp(-0.5, 2) + i
        b = nn.maximum(x, x[:, :1]) / nn.minimum(x.abs(), x[:1]) - (x > 0).float() * 3
        c = F.leaky_relu(x - 0.5, 0.2) * F.hardtanh(x * 4) + F.relu(-x, inplace=True)
        d = (x.masked_fill(i == 3, float("-inf")) - x.mean()) ** 3 + (i * i).to(x.dtype)
        e = x.reshape(2, 2, -1) * x[:2, :2].unsqueeze(-1) + x[:, 0].reshape(2, 2, 1).square()
        f = x.T.contiguous() * 2 + x.transpose(0, 1).sqrt()
        return a, b, c, d, e, f, x.isnan() & ~(x < 0), i // 2 + i % 3, x.var(1), x.std(), x.long(), x.sum() * 2


class Pieces(nn.Module):
    """Elements that are moved, picked, joined and reduced."""

    def forward(self, x, i):
        a = F.pad(nn.cat([x, x.flip(1), nn.roll(x, 1, 1)], 1), (1, -2, 0, 1), value=2.0)
        b = F.pad(x[None], (2, 1), mode="reflect")
        c = nn.stack([each for each in x.repeat(2, 1)[:2]])
        d = x[:, i[0]] @ nn.einsum("ij,kj->ki", x, x[:2]).mT.repeat_interleave(2, 0)[:4]
        values, places = x.max(1)
        e = x.gather(1, i), x.argmin(1), x.amax(), values, places, (x > 0).all(1), i.sum(0), F.one_hot(i, 4), x[0, -1]
        return a, b, c, d, *e, nn.tril(x, 1), x.topk(2, 1)[0], x.chunk(2, 1)[1] * x[:, ::2]


class Images(nn.Module):
    """What networks on images have besides convolutions."""

    def __init__(self):
        super().__init__()
        self.norm, self.own = nn.InstanceNorm2d(4), nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
        self.pool, self.unpool, self.shuffle = (
            nn.MaxPool2d(2, return_indices=True),
            nn.MaxUnpool2d(2),
            nn.PixelShuffle(2),
        )

    def forward(self, x):
        y, places = self.pool(self.own(self.norm(x)))
        y = self.unpool(y, places)
        y = F.interpolate(y, scale_factor=2.0, mode="bilinear") + F.interpolate(x, size=(12, 12))
        return (
            self.shuffle(F.relu6(y) + F.hardshrink(y, 0.1)),
            F.lp_pool2d(x, 2, 2),
            F.embedding_bag(x[0, 0].long().clamp(0, 5), x[0].reshape(-1, 6)),
        )


def mlp():
    return nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 2))


def residual():
    return nn.Sequential(nn.Conv2d(3, 8, 3), Block(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


MODELS = {
    "mlp": (mlp, lambda: nn.randn(3, 4)),
    "lenet": (LeNet, lambda: nn.randn(2, 1, 28, 28)),
    "residual": (residual, lambda: nn.randn(2, 3, 12, 12)),
    "operators": (Operators, lambda: nn.randn(3, 4)),
    "gpt": (GPT, lambda: nn.randint(0, 50, (2, 16))),
    "recurrent": (Recurrent, lambda: (nn.randn(2, 6, 4), nn.randn(1, 2, 5))),
    "attention": (Attention, lambda: (nn.randn(5, 2, 8), nn.tensor([[False] * 5, [False] * 3 + [True] * 2]))),
    "elements": (Elements, lambda: (special(), nn.randint(0, 5, (4, 4)))),
    "pieces": (Pieces, lambda: (nn.randn(4, 4), nn.randint(0, 4, (4, 4)))),
    "images": (Images, lambda: nn.randn(2, 4, 6, 6)),
}


def special():
    x = nn.randn(4, 4)
    x.array[0] = (0.0, -0.0, np.nan, 0.5)
    return x


def made(name):
    nn.manual_seed(0)
    model, inputs = MODELS[name][0](), MODELS[name][1]()
    for module in model.modules():
        if getattr(module, "running_mean", None) is not None:  # not the 0 and 1 that they begin with
            module.running_mean.array[...] = nn.randn(module.num_features).array
            module.running_var.array[...] = nn.rand(module.num_features).array + 0.5
    return model.eval(), inputs


@pytest.mark.parametrize("name", MODELS)
def test_same_bits_as_the_model(name):
    model, inputs = made(name)
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    compiled = nn.compile(model, *inputs)
    with nn.no_grad():
        expected = list(tensors_in([model(*inputs)]))
    for result, y in zip(tensors_in([compiled(*inputs)]), expected, strict=True):
        assert result.dtype == y.dtype
        np.testing.assert_array_equal(result.array, y.array)
        numbers = ~np.isnan(y.array)
        np.testing.assert_array_equal(np.signbit(result.array)[numbers], np.signbit(y.array)[numbers])


class Chain(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(nn.ones(3, 1))

    def forward(self, x, y):
        z = F.relu(x * self.scale + y) - x.mean()
        return nn.where(z > 1, 1 / z, z * 0.5).exp()


def test_source_of_a_chain():
    assert (
        nn.compile(Chain().eval(), nn.ones(2, 3, 4), nn.ones(2, 3, 4)).source
        == """
def chain(x1, x2, weights):
    scale, = weights
    mean_1 = mean(x1)  # ()
    where_2 = np.empty((2, 3, 4), np.float32)
    mean_1_item = mean_1.item()
    for i in range(2):
        for j in range(3):
            for k in range(4):
                n = (i * 3 + j) * 4 + k
                mul_3 = x1.flat[n] * scale.flat[j]
                add_4 = mul_3 + x2.flat[n]
                relu_5 = np.float32(0.0) if add_4 <= np.float32(0.0) else add_4
                sub_6 = relu_5 - mean_1_item
                gt_7 = sub_6 > np.float32(1.0)
                div_8 = np.float32(1.0) / sub_6
                mul_9 = sub_6 * np.float32(0.5)
                where_2.flat[n] = div_8 if gt_7 else mul_9
    exp_10 = exp(where_2)  # (2, 3, 4)
    return exp_10""".lstrip("\n")
    )


def test_source_of_lenet():
    model, x = made("lenet")
    assert (
        nn.compile(model, x).source
        == """
def le_net(x, weights):
    (
        conv1_weight, conv1_bias, conv2_weight, conv2_bias, fc1_weight, fc1_bias, fc2_weight, fc2_bias,
        fc3_weight, fc3_bias
    ) = weights
    conv2d_1 = conv2d(x, conv1_weight, conv1_bias, padding=2, activation="relu")  # (2, 6, 28, 28)
    max_pool2d_2 = max_pool2d(conv2d_1, 2)  # (2, 6, 14, 14)
    conv2d_3 = conv2d(max_pool2d_2, conv2_weight, conv2_bias, activation="relu")  # (2, 16, 10, 10)
    max_pool2d_4 = max_pool2d(conv2d_3, 2)  # (2, 16, 5, 5)
    flatten_5 = max_pool2d_4.reshape((2, 400))  # (2, 400)
    linear_6 = linear(flatten_5, fc1_weight, fc1_bias, activation="relu")  # (2, 120)
    linear_7 = linear(linear_6, fc2_weight, fc2_bias, activation="relu")  # (2, 84)
    linear_8 = linear(linear_7, fc3_weight, fc3_bias)  # (2, 10)
    return linear_8""".lstrip("\n")
    )


def test_sources_in_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "jitted.md").read_text(encoding="utf-8")
    policy = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 2))
    for model, shapes in ((policy, [(1, 4)]), (LeNet(), [(1, 1, 28, 28)]), (Chain(), [(2, 3, 4)] * 2)):
        source = nn.compile(model.eval(), *map(nn.zeros, shapes)).source
        assert f"\n\n{textwrap.indent(source, '    ')}\n\n" in text


def test_function_in_jitted_code():
    model, x = made("mlp")
    compiled = nn.compile(model, x)
    function, weights = compiled.function, compiled.weights

    @numba.njit
    def repeated(x, weights, times):
        total = np.zeros((3, 2), np.float32)
        for _ in range(times):
            total += function(x, weights)
        return total

    with nn.no_grad():
        expected = model(x).array
    np.testing.assert_array_equal(repeated(x.array, weights, 2), expected + expected)


def test_weights_are_those_of_now():
    model, x = made("mlp")
    compiled = nn.compile(model, x)
    with nn.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
        expected = model(x).array
    np.testing.assert_array_equal(compiled(x).array, expected)


def test_weights_loaded_later_are_used():
    model, x = made("mlp")
    compiled = nn.compile(model, x)
    nn.manual_seed(1)
    other = mlp().eval()
    model.load_state_dict(other.state_dict())
    with nn.no_grad():
        np.testing.assert_array_equal(compiled(x).array, other(x).array)
        model.load_state_dict({key: nn.tensor(t.array * 2) for key, t in other.state_dict().items()}, assign=True)
        np.testing.assert_array_equal(compiled(x).array, model(x).array)


def test_weights_that_do_not_fit():
    model, x = made("mlp")
    compiled = nn.compile(model, x)
    compiled(x)
    model[4].weight.data = nn.zeros(2, 32)
    with pytest.raises(ValueError, match=r"sequential: layer4_weight must have shape \(2, 64\), got \(2, 32\)"):
        compiled(x)
    model[4].weight.data = nn.zeros(2, 64, dtype=nn.float64)
    with pytest.raises(TypeError, match="sequential: layer4_weight must be an array, 2-d, float32, got 2-d, float64"):
        compiled(x)
    model[4] = nn.Linear(64, 2)
    with pytest.raises(ValueError, match="4 was replaced; compile the model again"):
        compiled(x)


def test_function_with_what_does_not_fit():
    model, x = made("mlp")
    compiled = nn.compile(model, x)
    function, weights, array = compiled.function, compiled.weights, x.array
    with pytest.raises(ValueError, match=r"sequential: x must have shape \(3, 4\), got \(2, 4\)"):
        function(array[:2], weights)
    for inputs, given, message in (
        (array.astype(np.float64), weights, "x must be an array, 2-d, float32, in C order, got 2-d, float64"),
        (np.asfortranarray(array), weights, "x must be an array, 2-d, float32, in C order, got .* in Fortran order"),
        (array, weights[:-1], "weights must be a tuple of 6 arrays, got 5"),
        (array, (*weights[:-1], weights[0]), "layer4_bias must be an array, 1-d, float32, got 2-d, float32"),
    ):
        with pytest.raises(numba.TypingError, match=message):
            function(inputs, given)
    with pytest.raises(ValueError, match=r"layer4_bias must have shape \(2,\), got \(1,\)"):
        function(array, (*weights[:-1], weights[-1][:1]))


def test_other_shapes():
    model, _ = made("mlp")
    compiled = nn.compile(model, nn.zeros(1, 4))
    with nn.no_grad():
        x = nn.randn(5, 4)
        np.testing.assert_array_equal(compiled(x).array, model(x).array)
    fixed = nn.compile(model, nn.zeros(1, 4), shapes="raise")
    with pytest.raises(ValueError, match=r"expected inputs \(1, 4\) float32, got \(5, 4\) float32"):
        fixed(x)
    with pytest.raises(TypeError, match=r"expected inputs \(1, 4\) float32, got \(1, 4\) float64"):
        fixed(nn.zeros(1, 4, dtype=nn.float64))
    with pytest.raises(TypeError, match="expected 1 inputs, got 2"):
        fixed(x, x)


def test_nothing_of_the_model_changes():
    model, x = made("residual")
    before = {name: value.array.copy() for name, value in model.state_dict().items()}
    methods = dict(vars(nn.Tensor))
    nn.compile(model, x)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.array, before[name])
    assert dict(vars(nn.Tensor)) == methods


class Body(nn.Module):
    """A model whose forward is given."""

    def __init__(self, forward):
        super().__init__()
        self.linear, self._forward = nn.Linear(4, 4), forward

    def forward(self, x):
        return self._forward(self, x)


def reading(self, x):
    return self.linear(x) if float(x.sum()) > 0 else x


def in_place(self, x):
    y = self.linear(x)
    y.add_(1)
    return y


def constant(self, x):
    return x + nn.Tensor(np.ones(4, np.float32))


def unknown(self, x):
    return nn.median(x)


def outside(self, x):
    return nn.Tensor(np.tanh(x.array))


def of_two_dtypes(self, x):
    return self.linear(x) ** (x > 0)


def changed_before(self, x):
    y = self.linear(x)
    return F.relu(y, inplace=True) + y


def returns_a_number(self, x):
    return 3


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (reading, r"float at test_compilation.py:\d+ reads the value of a tensor"),
        (in_place, r"add_ at test_compilation.py:\d+ changes a tensor in place"),
        (constant, "neither an input, a parameter or a buffer"),
        (unknown, r"median at test_compilation.py:\d+ is not among the operations that can be compiled"),
        (outside, r"array at test_compilation.py:\d+ reads the value of a tensor"),
        (
            of_two_dtypes,
            r"pow at test_compilation.py:\d+: tensors must have the result's dtype float32 here, one is bool",
        ),
        (changed_before, r"add at test_compilation.py:\d+ reads a tensor that was changed in place before"),
        (returns_a_number, "the model returns int; it must return tensors"),
    ],
)
def test_what_cannot_be_compiled(forward, message):
    with pytest.raises(nn.CompileError, match=message):
        nn.compile(Body(forward).eval(), nn.randn(2, 4))


def test_bad_arguments():
    model, x = made("mlp")
    with pytest.raises(TypeError, match="nn.compile: model must be a Module, got function"):
        nn.compile(lambda x: x, x)
    with pytest.raises(ValueError, match="nn.compile: the model must be in evaluation mode"):
        nn.compile(mlp(), x)
    with pytest.raises(ValueError, match="nn.compile: needs example inputs"):
        nn.compile(model)
    with pytest.raises(ValueError, match="nn.compile: shapes must be 'recompile' or 'raise', got 'any'"):
        nn.compile(model, x, shapes="any")

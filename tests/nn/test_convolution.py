"""Convolutional layers and functions against PyTorch: parameters, values, gradients, text, errors."""

import numpy as np
import pytest
import torch
import torch.nn.functional as T

import kernels
import nn
import nn.functional as F
from tests.nn.compare import agree, same_as_torch

# PyTorch warns that it copies its input.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")

RNG = np.random.default_rng(0)
SHAPES = {1: (2, 4, 11), 2: (2, 4, 9, 8), 3: (2, 4, 6, 5, 7)}
OPTIONS = [
    {},
    {"bias": False},
    {"stride": 2, "padding": 1},
    {"dilation": 2, "padding": 2},
    {"groups": 2},
    {"padding": "same", "dilation": 2},
    {"padding": "valid"},
    {"padding": 1, "padding_mode": "reflect"},
    {"padding": 2, "padding_mode": "replicate", "stride": 2},
    {"padding": 2, "padding_mode": "circular", "dilation": 2},
    {"padding": "same", "padding_mode": "circular"},
    {"padding": "valid", "padding_mode": "reflect"},
]
TRANSPOSED_OPTIONS = [
    {},
    {"bias": False},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"dilation": 2, "output_padding": 1},
    {"groups": 2, "stride": 2},
]


def compare(ours, theirs, x, *arguments):
    """Values, gradients, parameters and text of two layers must agree."""
    theirs = theirs.double()
    ours.double().load_state_dict(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    a, b = nn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, expected = ours(a, *arguments), theirs(b, *arguments)
    agree(y, expected)
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    agree(a.grad, b.grad)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        agree(p.grad, q.grad)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("n", SHAPES)
def test_layers(n, options):
    ours, theirs = (getattr(library, f"Conv{n}d")(4, 6, 3, **options) for library in (nn, torch.nn))
    x = RNG.standard_normal(SHAPES[n])
    compare(ours, theirs, x)
    compare(ours, theirs, x[0])


@pytest.mark.parametrize("options", TRANSPOSED_OPTIONS, ids=str)
@pytest.mark.parametrize("n", SHAPES)
def test_transposed_layers(n, options):
    ours, theirs = (getattr(library, f"ConvTranspose{n}d")(4, 6, 3, **options) for library in (nn, torch.nn))
    x = RNG.standard_normal(SHAPES[n])
    compare(ours, theirs, x)
    compare(ours, theirs, x[0])


def test_different_options_per_axis():
    options = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 3)}
    x = RNG.standard_normal(SHAPES[2])
    for padding_mode in ("zeros", "reflect", "replicate", "circular"):
        compare(*(lib.Conv2d(4, 6, (3, 2), padding_mode=padding_mode, **options) for lib in (nn, torch.nn)), x)
    options |= {"output_padding": (1, 0), "groups": 2, "bias": False}
    compare(*(library.ConvTranspose2d(4, 6, (3, 2), **options) for library in (nn, torch.nn)), x)


@pytest.mark.parametrize("kernel", [(2, 4), (4, 3), (1, 2)], ids=str)
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_same_with_even_kernels(kernel, padding_mode):
    x, options = RNG.standard_normal(SHAPES[2]), {"padding": "same", "padding_mode": padding_mode, "dilation": (1, 2)}
    compare(*(library.Conv2d(4, 6, kernel, **options) for library in (nn, torch.nn)), x)


@pytest.mark.parametrize("size", [(17, 15), (18, 16), (2, 6, 17, 16)], ids=str)
def test_output_size(size):
    ours, theirs = (library.ConvTranspose2d(4, 6, 3, stride=2, padding=1) for library in (nn, torch.nn))
    compare(ours, theirs, RNG.standard_normal((2, 4, 9, 8)), size)


def test_output_size_out_of_range():
    layer = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1)
    for size in [(16, 15), (19, 15), (17, 15, 1), (17,)]:
        with pytest.raises(ValueError, match=r"^ConvTranspose2d: output_size.*\(17, 15\) to \(18, 16\)"):
            layer(nn.zeros(1, 4, 9, 8), output_size=size)


# A state_dict loads in both directions: names and shapes are PyTorch's.
@pytest.mark.parametrize(
    "name", ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
)
def test_state_dict(name):
    ours, theirs = (getattr(library, name)(6, 4, 3, groups=2) for library in (nn, torch.nn))
    theirs.load_state_dict({key: torch.tensor(value.array) for key, value in ours.state_dict().items()})
    assert [*ours.state_dict()] == [*theirs.state_dict()]


@pytest.mark.parametrize(("name", "fan_in"), [("Conv2d", 32 * 9), ("ConvTranspose2d", 32 * 9)])
def test_initial_distribution(name, fan_in):
    nn.manual_seed(0)
    layer = getattr(nn, name)(64, 64, 3, groups=2)
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(64, 64, 3, groups=2)
    bound = fan_in**-0.5
    for values in (layer.weight.array, theirs.weight.detach().numpy()):
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.99 * bound
        np.testing.assert_allclose(values.std(), bound / np.sqrt(3), rtol=0.03)
    assert np.abs(layer.bias.array).max() <= bound
    assert np.abs(layer.bias.array).max() > 0.8 * bound


def test_seed_decides_the_weights():
    layers = []
    for seed in (1, 1, 2):
        nn.manual_seed(seed)
        layers.append(nn.Conv2d(3, 2, 3).weight.tolist())
    assert layers[0] == layers[1] != layers[2]


@pytest.mark.parametrize("n", SHAPES)
def test_functions(n):
    x, weight, bias = RNG.standard_normal(SHAPES[n]), RNG.standard_normal((6, 2, *(3,) * n)), RNG.standard_normal(6)
    same_as_torch(
        lambda x, w, b: getattr(F, f"conv{n}d")(x, w, b, 2, 1, 2, 2),
        x,
        weight,
        bias,
        reference=lambda x, w, b: getattr(T, f"conv{n}d")(x, w, b, 2, 1, 2, 2),
    )
    weight = RNG.standard_normal((4, 3, *(3,) * n))
    same_as_torch(
        lambda x, w, b: getattr(F, f"conv_transpose{n}d")(x, w, b, 2, 1, 1, 2, 1),
        x,
        weight,
        bias,
        reference=lambda x, w, b: getattr(T, f"conv_transpose{n}d")(x, w, b, 2, 1, 1, 2, 1),
    )


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_only_what_is_needed_is_computed(monkeypatch, name):
    asked = []
    original = getattr(kernels, f"{name}_backward")

    def backward(*arguments, needs):
        asked.append(needs)
        return original(*arguments, needs=needs)

    monkeypatch.setattr(kernels, f"{name}_backward", backward)
    function = getattr(F, name)
    x, w, b = nn.ones(1, 2, 4, 4), nn.ones(2, 2, 3, 3, requires_grad=True), nn.ones(2, requires_grad=True)
    function(x, w, b).sum().backward()
    function(x.requires_grad_(), w).sum().backward()
    w.requires_grad_(False)
    function(x, w, b).sum().backward()
    assert asked == [(False, True, True), (True, True, False), (True, False, True)]


def test_weight_changed_before_backward():
    layer, x = nn.Conv2d(2, 2, 3), nn.ones(1, 2, 4, 4, requires_grad=True)
    y = layer(x)
    nn.init.zeros_(layer.weight)
    with pytest.raises(RuntimeError, match="conv2d saved"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("message", "layer", "arguments"),
    [
        ("in_channels.*3 and 2", "Conv2d", {"in_channels": 3, "groups": 2}),
        ("out_channels.*3 and 2", "Conv1d", {"out_channels": 3, "groups": 2}),
        ("out_channels.*3 and 2", "ConvTranspose2d", {"out_channels": 3, "groups": 2}),
        ("groups.*0", "Conv3d", {"groups": 0}),
        ("padding_mode.*'mirror'", "Conv2d", {"padding_mode": "mirror"}),
        ("padding_mode.*'reflect'", "ConvTranspose2d", {"padding_mode": "reflect"}),
        ("padding.*'full'", "Conv2d", {"padding": "full"}),
        ("padding.*'same'", "ConvTranspose2d", {"padding": "same"}),
        (r"'same'.*\(2, 2\)", "Conv2d", {"padding": "same", "stride": 2}),
        (r"kernel_size.*\(3, 3, 3\)", "Conv2d", {"kernel_size": (3, 3, 3)}),
        (r"stride.*\(2,\)", "Conv2d", {"stride": (2,)}),
        (r"output_padding.*\(1, 0\)", "ConvTranspose1d", {"output_padding": (1, 0)}),
    ],
)
def test_errors(message, layer, arguments):
    good = {"in_channels": 4, "out_channels": 4, "kernel_size": 3}
    with pytest.raises(ValueError, match=f"^{layer}: .*{message}"):
        getattr(nn, layer)(**(good | arguments))


@pytest.mark.parametrize(
    ("name", "channels"),
    [(f"Conv{n}d", (2, 0)) for n in SHAPES] + [(f"ConvTranspose{n}d", c) for n in SHAPES for c in ((2, 0), (0, 2))],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")  # says PyTorch
def test_a_layer_without_channels_raises_when_called(name, channels):
    n = int(name[-2])
    theirs = getattr(torch.nn, name)(*channels, 1)
    with pytest.raises(RuntimeError):
        theirs(torch.ones((2, channels[0], 5, 5, 5)[: n + 2]))
    ours = getattr(nn, name)(*channels, 1)
    function = name.replace("Transpose", "_transpose").lower()
    with pytest.raises(ValueError, match=rf"^{function}: weight must have at least 1 .*output channel, got shape \(."):
        ours(nn.ones(*(2, channels[0], 5, 5, 5)[: n + 2]))


def test_wrong_input():
    layer = nn.Conv2d(3, 4, 3)
    with pytest.raises(ValueError, match=r"^conv2d: .*3.*2"):
        layer(nn.ones(1, 2, 5, 5))
    with pytest.raises(ValueError, match=r"^conv2d: .*\(5, 5\)"):
        layer(nn.ones(5, 5))
    with pytest.raises(TypeError, match="conv2d: input must be a Tensor, got ndarray"):
        layer(np.ones((1, 3, 5, 5), np.float32))

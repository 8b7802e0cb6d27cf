"""nn.fuse: the fused copy computes what the model computes, and other pairs are not folded."""

import numpy as np
import pytest
import torch

import nn

SHAPES = {1: (2, 4, 11), 2: (2, 4, 9, 8), 3: (2, 4, 6, 5, 7)}
RNG = np.random.default_rng(0)


def trained(model):
    """The model in evaluation mode with statistics and parameters as after training."""
    generator = np.random.default_rng(1)
    for name, tensor in [*model.named_buffers(), *model.named_parameters()]:
        if tensor.array.dtype.kind == "f":
            tensor.array[...] = generator.normal(size=tensor.shape) + (2 if "running_var" in name else 0)
            if "running_var" in name:
                tensor.array[...] = np.abs(tensor.array) + 0.1
    return model.eval()


def norms(model):
    return sum(type(module).__name__.startswith("BatchNorm") for module in model.modules())


def assert_same(model, fused, x, rtol=1e-10):
    with nn.no_grad():
        y, expected = fused(nn.tensor(x)).array, model(nn.tensor(x)).array
    np.testing.assert_allclose(y, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"groups": 2}, {"stride": 2, "padding": 1}], ids=str)
@pytest.mark.parametrize("transposed", ["", "Transpose"])
@pytest.mark.parametrize("n", SHAPES)
def test_sequential(n, transposed, options):
    def build(library):
        conv = getattr(library, f"Conv{transposed}{n}d")(4, 6, 3, **options)
        return library.Sequential(conv, getattr(library, f"BatchNorm{n}d")(6, eps=1e-3), library.ReLU())

    model = trained(build(nn).double())
    before = {key: value.array.copy() for key, value in model.state_dict().items()}
    fused = nn.fuse(model)
    assert norms(model) == 1 and norms(fused) == 0 and len(fused) == 3
    x = RNG.standard_normal(SHAPES[n])
    assert_same(model, fused, x)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.array, before[key])
    twin = build(torch.nn).double().eval()
    twin.load_state_dict({key: torch.tensor(value) for key, value in before.items()})
    with torch.no_grad(), nn.no_grad():
        np.testing.assert_allclose(fused(nn.tensor(x)).array, twin(torch.tensor(x)).numpy(), rtol=1e-9, atol=1e-9)


def test_equals_the_fusion_of_torch():
    conv, norm = torch.nn.Conv2d(4, 6, 3).eval(), torch.nn.BatchNorm2d(6).eval()
    with torch.no_grad():
        norm.running_mean.uniform_(-1, 1), norm.running_var.uniform_(0.5, 2)
        norm.weight.uniform_(-1, 1), norm.bias.uniform_(-1, 1)
    expected = torch.nn.utils.fuse_conv_bn_eval(conv, norm)
    model = nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)).eval()
    model.load_state_dict(torch.nn.Sequential(conv, norm).state_dict())
    fused = nn.fuse(model)[0]
    assert fused.weight.array.dtype == np.float32
    np.testing.assert_allclose(fused.weight.array, expected.weight.detach(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(fused.bias.array, expected.bias.detach(), rtol=1e-5, atol=1e-6)


def test_without_affine_parameters():
    model = trained(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=False)).double())
    fused = nn.fuse(model)
    assert norms(fused) == 0
    assert_same(model, fused, RNG.standard_normal(SHAPES[2]))


class Block(nn.Module):
    """A residual block, whose pairs are attributes."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.shortcut(x))


def test_nested_modules():
    model = trained(nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), Block(5), Block(5)).double())
    fused = nn.fuse(model)
    assert norms(model) == 7 and norms(fused) == 0
    assert_same(model, fused, RNG.standard_normal(SHAPES[2]))
    assert isinstance(fused[2].bn1, nn.Identity)
    assert [name for name, _ in fused.named_modules()] == [name for name, _ in model.named_modules()]
    assert not any(module.training for module in fused.modules())


class Attributes(nn.Module):
    """Convolution and normalisation under the names and in the order given."""

    def __init__(self, **modules):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (("conv", "bn"), True),
        (("conv", "norm"), True),
        (("conv_in", "bn_in"), True),
        (("conv1", "bn1"), True),
        (("conv1", "bn2"), False),
        (("bn1", "conv1"), False),
        (("first", "second"), False),
        (("conv", "conv_bn"), False),
    ],
    ids=str,
)
def test_names_of_attributes(names, folded):
    modules = [nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)]
    if names[0].startswith("bn"):
        modules.reverse()
    fused = nn.fuse(Attributes(**dict(zip(names, modules, strict=True))).eval())
    assert norms(fused) == (not folded)


def left_alone():
    conv, norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
    yield "activation between", nn.Sequential(conv, nn.ReLU(), norm)
    yield "normalisation first", nn.Sequential(norm, conv)
    yield "other channels", Attributes(conv=nn.Conv2d(3, 4, 1), bn=norm)
    yield "other dimensions", Attributes(conv=nn.Conv1d(3, 3, 1), bn=norm)
    yield "batch statistics", nn.Sequential(conv, nn.BatchNorm2d(3, track_running_stats=False))
    yield "convolution used twice", nn.Sequential(conv, norm, conv)
    yield "normalisation used twice", nn.Sequential(conv, norm, nn.ReLU(), norm)
    hooked = nn.Conv2d(3, 3, 1)
    hooked.register_forward_hook(lambda module, args, output: output * 2)
    yield "hook", nn.Sequential(hooked, norm)

    class Own(nn.Conv2d):
        def forward(self, input):
            return super().forward(input) * 2

    yield "own forward", nn.Sequential(Own(3, 3, 1), norm)

    class Backwards(nn.Sequential):
        def forward(self, input):
            for module in reversed(list(self)):
                input = module(input)
            return input

    yield "another order", Backwards(conv, norm)


@pytest.mark.parametrize("model", [pytest.param(model, id=name) for name, model in left_alone()])
def test_pairs_that_are_not_folded(model):
    model = trained(model)
    fused = nn.fuse(model)
    assert norms(fused) == 1
    assert {key: value.tolist() for key, value in fused.state_dict().items()} == {
        key: value.tolist() for key, value in model.state_dict().items()
    }


def test_training_mode():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    with pytest.raises(ValueError, match="^fuse: the model must be in evaluation mode, it is in training mode"):
        nn.fuse(model)
    model.eval()[1].train()
    with pytest.raises(ValueError, match="^fuse: the model must be in evaluation mode, 1 is in training mode"):
        nn.fuse(model)


def test_fused_models_have_gradients():
    """A fused model can be trained further, without its normalisation."""
    fused = nn.fuse(trained(nn.Sequential(nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6))))
    fused(nn.ones(*SHAPES[2])).sum().backward()
    assert [name for name, p in fused.named_parameters() if p.grad is not None] == ["0.weight", "0.bias"]

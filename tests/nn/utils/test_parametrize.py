"""Parametrized weights, and weights and gradients as vectors, against torch.nn.utils."""

import copy
import pickle

import numpy as np
import pytest
import torch

import nn
from nn.utils import parametrizations, parametrize

theirs = torch.nn.utils

LAYERS = {
    "linear": (lambda library: library.Linear(4, 3), (5, 4)),
    "convolution": (lambda library: library.Conv2d(2, 3, 3), (2, 2, 5, 5)),
    "transposed": (lambda library: library.ConvTranspose1d(2, 3, 3), (2, 2, 5)),
}


def layers(kind):
    """The same layer of both libraries in float64, and an input for each."""
    make, shape = LAYERS[kind]
    ours, other = make(nn).double(), make(torch.nn).double()
    ours.load_state_dict(other.state_dict())
    x = np.random.default_rng(0).standard_normal(shape)
    return (ours, nn.tensor(x)), (other, torch.tensor(x))


def copy_state(ours, other):
    state, expected = ours.state_dict(), other.state_dict()
    assert state.keys() == expected.keys()
    for key, value in state.items():
        assert value.shape == tuple(expected[key].shape)
    ours.load_state_dict(expected)


def assert_same(pair, rtol=1e-9):
    """Outputs, gradients and states of both layers are equal."""
    (ours, x), (other, y) = pair
    z, expected = ours(x), other(y)
    np.testing.assert_allclose(z.detach().numpy(), expected.detach().numpy(), rtol=rtol, atol=1e-12)
    ours.zero_grad()
    other.zero_grad()
    (z * z).sum().backward()
    (expected * expected).sum().backward()
    gradients = {name: p.grad for name, p in other.named_parameters()}
    assert dict(ours.named_parameters()).keys() == gradients.keys()
    for name, p in ours.named_parameters():
        np.testing.assert_allclose(p.grad.numpy(), gradients[name].numpy(), rtol=rtol, atol=1e-12, err_msg=name)
    for name, value in other.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name].numpy(), value.numpy(), rtol=rtol, atol=1e-12, err_msg=name)


def step(pair):
    """A step of gradient descent on both."""
    (ours, _), (other, _) = pair
    nn.optim.SGD(ours.parameters(), lr=0.01).step()
    torch.optim.SGD(other.parameters(), lr=0.01).step()


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`")
@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("legacy", [False, True])
def test_weight_norm_equals_torch(legacy, kind, dim):
    pair = layers(kind)
    (ours, _), (other, _) = pair
    norms = (nn.utils, theirs) if legacy else (parametrizations, theirs.parametrizations)
    for library, layer in zip(norms, (ours, other), strict=True):
        assert library.weight_norm(layer, "weight", dim) is layer
    for _ in range(3):
        assert_same(pair)
        step(pair)
    if legacy:
        nn.utils.remove_weight_norm(ours)
        theirs.remove_weight_norm(other)
    else:
        parametrize.remove_parametrizations(ours, "weight")
        theirs.parametrize.remove_parametrizations(other, "weight")
    assert type(ours).__name__ == type(other).__name__
    assert_same(pair)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("legacy", [False, True])
def test_spectral_norm_equals_torch(legacy, kind):
    pair = layers(kind)
    (ours, x), (other, y) = pair
    norms = (nn.utils, theirs) if legacy else (parametrizations, theirs.parametrizations)
    for library, layer in zip(norms, (ours, other), strict=True):
        library.spectral_norm(layer, n_power_iterations=2)
    copy_state(ours, other)  # the vectors are random
    for _ in range(3):
        assert_same(pair)
        step(pair)
    for layer, argument in pair:
        layer.eval()
        layer(argument)
    assert_same(pair)
    matrix = ours.weight.detach().numpy()
    matrix = matrix.swapaxes(0, 1) if kind == "transposed" else matrix
    assert np.linalg.norm(matrix.reshape(len(matrix), -1), 2) < 1.5
    if legacy:
        nn.utils.remove_spectral_norm(ours)
        theirs.remove_spectral_norm(other)
    else:
        parametrize.remove_parametrizations(ours, "weight")
        theirs.parametrize.remove_parametrizations(other, "weight")
    assert_same(pair)


def test_the_spectral_norm_of_a_vector():
    ours, other = nn.Linear(2, 3).double(), torch.nn.Linear(2, 3).double()
    ours.load_state_dict(other.state_dict())
    parametrizations.spectral_norm(ours, "bias")
    theirs.parametrizations.spectral_norm(other, "bias")
    np.testing.assert_allclose(ours.bias.detach().numpy(), other.bias.detach().numpy(), rtol=1e-12)


def test_errors_of_norms():
    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="spectral_norm: Linear has no parameter or buffer 'scale'"):
        parametrizations.spectral_norm(layer, "scale")
    with pytest.raises(ValueError, match="spectral_norm: n_power_iterations must be at least 1, got 0"):
        parametrizations.spectral_norm(layer, n_power_iterations=0)
    with pytest.raises(ValueError, match="WeightNorm: Linear has no parameter 'scale'"):
        nn.utils.weight_norm(layer, "scale")
    with pytest.raises(ValueError, match="SpectralNorm: not found for 'weight' in Linear"):
        nn.utils.remove_spectral_norm(layer)
    nn.utils.weight_norm(layer)
    with pytest.raises(RuntimeError, match="WeightNorm: weight has one already"):
        nn.utils.weight_norm(layer)


def parametrized(library):
    """A layer with two parametrizations of its weight, one after the other."""

    class Symmetric(library.Module):
        def forward(self, x):
            return x + x.mT

    class Scaled(library.Module):
        def __init__(self):
            super().__init__()
            self.factor = library.Parameter(nn.tensor(2.0) if library is nn else torch.tensor(2.0))

        def forward(self, x):
            return x * self.factor

        def right_inverse(self, y):
            return y / self.factor

    layer = library.Linear(3, 3)
    utils = library.utils.parametrize
    utils.register_parametrization(layer, "weight", Scaled())
    utils.register_parametrization(layer, "weight", Symmetric())
    return layer


def test_parametrizations_of_a_user_equal_torch():
    ours, other = parametrized(nn), parametrized(torch.nn)
    copy_state(ours, other)
    x = np.random.default_rng(1).standard_normal((2, 3)).astype(np.float32)
    assert_same(((ours, nn.tensor(x)), (other, torch.tensor(x))), rtol=1e-5)
    assert list(dict(ours.named_parameters())) == list(dict(other.named_parameters()))
    assert type(ours).__name__ == type(other).__name__ == "ParametrizedLinear"
    for utils, layer in ((parametrize, ours), (theirs.parametrize, other)):
        assert utils.is_parametrized(layer) and utils.is_parametrized(layer, "weight")
        assert not utils.is_parametrized(layer, "bias")
        assert utils.type_before_parametrizations(layer).__name__ == "Linear"
        utils.remove_parametrizations(layer, "weight", leave_parametrized=False)
        assert not utils.is_parametrized(layer) and type(layer).__name__ == "Linear"
    assert_same(((ours, nn.tensor(x)), (other, torch.tensor(x))), rtol=1e-5)


class Doubled(nn.Module):
    calls = 0

    def forward(self, x):
        Doubled.calls += 1
        return x * 2

    def right_inverse(self, y):
        return y / 2


def test_a_parametrized_weight_is_assigned_to():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Doubled())
    layer.weight = nn.tensor([[2.0, 4.0], [6.0, 8.0]])
    assert layer.parametrizations.weight.original.tolist() == [[1, 2], [3, 4]]
    assert layer.weight.tolist() == [[2, 4], [6, 8]]
    assert isinstance(layer.parametrizations.weight[0], Doubled)


def test_a_cached_weight_is_computed_once():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Doubled())
    calls = Doubled.calls
    with parametrize.cached(), parametrize.cached():
        assert layer.weight is layer.weight
    assert Doubled.calls == calls + 1
    assert layer.weight is not layer.weight


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_of_a_parametrized_module(duplicate):
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Doubled())
    other = duplicate(layer)
    assert other.weight.tolist() == layer.weight.tolist()
    parametrize.remove_parametrizations(other, "weight")
    assert type(other) is nn.Linear and parametrize.is_parametrized(layer, "weight")
    layer.parametrizations.weight.original.data.mul_(3)
    assert (layer.weight == other.weight * 3).all()


def test_errors_of_parametrizations():
    class Row(nn.Module):
        def forward(self, x):
            return x[0]

    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="register_parametrization: Linear has no parameter or buffer 'scale'"):
        parametrize.register_parametrization(layer, "scale", Doubled())
    with pytest.raises(ValueError, match=r"the tensor is \(2, 2\) of float32, its parametrization \(2,\) of float32"):
        parametrize.register_parametrization(layer, "weight", Row())
    assert not parametrize.is_parametrized(layer)
    with pytest.raises(ValueError, match="remove_parametrizations: Linear has no parametrization of 'weight'"):
        parametrize.remove_parametrizations(layer, "weight")
    parametrizations.weight_norm(layer)
    with pytest.raises(ValueError, match="remove_parametrizations: weight has 2 original tensors"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    parametrize.register_parametrization(layer, "bias", nn.Identity())
    with pytest.raises(RuntimeError, match="Identity: a parametrized tensor is set by its right_inverse"):
        layer.bias = nn.tensor([1.0, 2.0])


# --- vectors and norms of gradients -----------------------------------------------------------------------------------


def test_parameters_as_a_vector():
    ours, other = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    ours.load_state_dict(other.state_dict())
    vector, expected = nn.utils.parameters_to_vector(ours.parameters()), theirs.parameters_to_vector(other.parameters())
    assert vector.tolist() == expected.tolist()
    (vector * vector).sum().backward()
    (expected * expected).sum().backward()
    assert ours.weight.grad.tolist() == other.weight.grad.tolist()
    new = np.arange(8, dtype=np.float32)
    nn.utils.vector_to_parameters(nn.tensor(new), ours.parameters())
    assert ours.weight.tolist() == [[0, 1, 2], [3, 4, 5]] and ours.bias.tolist() == [6, 7]
    with pytest.raises(TypeError, match="vector_to_parameters: expected a Tensor, got ndarray"):
        nn.utils.vector_to_parameters(new, ours.parameters())
    with pytest.raises(ValueError, match="the vector has 7 elements, the parameters more"):
        nn.utils.vector_to_parameters(nn.tensor(new[:7]), ours.parameters())


@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf")])
def test_norms_of_several_tensors_equal_torch(norm_type, rng):
    arrays = [rng.standard_normal(shape) for shape in ((3, 4), (5,), ())]
    mine, other = [nn.tensor(a) for a in arrays], [torch.tensor(a) for a in arrays]
    norm, expected = nn.utils.get_total_norm(mine, norm_type), theirs.get_total_norm(other, norm_type)
    np.testing.assert_allclose(norm.item(), expected.item(), rtol=1e-12)
    for max_norm in (1.0, 100.0):
        ps, qs = [nn.Parameter(a) for a in arrays], [torch.nn.Parameter(torch.tensor(a)) for a in arrays]
        for p, q, a in zip(ps, qs, arrays, strict=True):
            p.grad, q.grad = nn.tensor(a.copy()), torch.tensor(a)
        nn.utils.clip_grads_with_norm_(ps, max_norm, norm)
        theirs.clip_grads_with_norm_(qs, max_norm, expected)
        for p, q in zip(ps, qs, strict=True):
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12)
    bad = nn.tensor([np.inf, 1.0])
    assert nn.utils.get_total_norm(bad).item() == np.inf and bad.tolist() == [np.inf, 1.0]
    with pytest.raises(RuntimeError, match="the norm of order 2.0 of the gradients is inf"):
        nn.utils.get_total_norm([bad], error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm is nn.utils.clip_grad_norm_


# --- batch normalisation folded into a layer --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["linear", "convolution", "transposed"])
@pytest.mark.parametrize("bias", [True, False])
def test_fusion_equals_torch(kind, bias, rng):
    makes = {
        "linear": lambda library: (library.Linear(4, 3, bias=bias), library.BatchNorm1d(3)),
        "convolution": lambda library: (library.Conv2d(2, 3, 3, bias=bias), library.BatchNorm2d(3)),
        "transposed": lambda library: (library.ConvTranspose1d(2, 3, 3, bias=bias), library.BatchNorm1d(3)),
    }
    pairs = [[module.double().eval() for module in makes[kind](library)] for library in (nn, torch.nn)]
    for mine, other in zip(*pairs, strict=True):
        state = {k: torch.tensor(rng.random(v.shape)) for k, v in other.state_dict().items() if v.is_floating_point()}
        other.load_state_dict(state, strict=False)
        mine.load_state_dict(state, strict=False)
    fused = []
    for utils, pair in zip((nn.utils.fusion, theirs.fusion), pairs, strict=True):
        if kind == "linear":
            fused.append(utils.fuse_linear_bn_eval(*pair))
        else:
            fused.append(utils.fuse_conv_bn_eval(*pair, kind == "transposed"))
    for name in ("weight", "bias"):
        mine, other = (getattr(layer, name) for layer in fused)
        np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-12)
    with pytest.raises(ValueError, match="both modules must be in evaluation mode"):
        nn.utils.fusion.fuse_conv_bn_eval(pairs[0][0].train(), pairs[0][1])

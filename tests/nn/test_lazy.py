"""Lazy layers become plain ones at the first call; layers that arrange elements; alpha dropout."""

import copy

import numpy as np
import pytest
import torch

import nn
import nn.functional as F
from tests.nn.compare import same_as_torch, same_twice

# name -> arguments, shape of the first input
LAZY = {
    "LazyLinear": ((3,), (2, 5)),
    **{f"LazyConv{d}d": ((4, 2), (1, 6, *(5,) * d)) for d in (1, 2, 3)},
    **{f"LazyConvTranspose{d}d": ((4, 2), (1, 6, *(5,) * d)) for d in (1, 2, 3)},
    **{f"LazyBatchNorm{d}d": ((), (2, 6, *(3,) * d)) for d in (1, 2, 3)},
    **{f"LazyInstanceNorm{d}d": ((), (2, 6, *(3,) * d)) for d in (1, 2, 3)},
}


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", LAZY)
def test_lazy_layers_become_those_of_torch(name):
    arguments, shape = LAZY[name]
    ours, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    assert repr(ours) == repr(theirs)
    assert ours.has_uninitialized_params() and all(isinstance(p, nn.UninitializedParameter) for p in ours.parameters())
    with pytest.raises(RuntimeError, match="the shape is known after the first call"):
        _ = next(ours.parameters()).shape
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    ours(nn.tensor(x)), theirs(torch.tensor(x))
    assert type(ours).__name__ == type(theirs).__name__ == name.removeprefix("Lazy")
    assert repr(ours) == repr(theirs)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    assert all(type(p) is nn.Parameter for p in ours.parameters())
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_allclose(
        ours(nn.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-5
    )


def test_a_lazy_layer_is_converted_copied_and_loaded_before_its_first_call():
    lazy = nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(2, bias=False)).double()
    twin = copy.deepcopy(lazy)
    y = lazy(nn.ones(4, 5, dtype=np.float64))
    assert (y.dtype, y.shape) == (np.float64, (4, 2))
    assert twin[0].has_uninitialized_params()
    twin.load_state_dict(lazy.state_dict())
    np.testing.assert_array_equal(twin(nn.ones(4, 5, dtype=np.float64)).array, y.array)
    assert repr(twin) == repr(lazy)
    with pytest.raises(ValueError, match="LazyConv2d: expected 3-D or 4-D input, got shape"):
        nn.LazyConv2d(1, 1)(nn.ones(2, 2))


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [((1, (2, 3)), (4, 6, 5)), ((-1, (-1, 2)), (4, 6)), ((0, [2, -1, 1]), (6,)), ((1, (2, 0)), (3, 0))],
)
def test_unflatten(arguments, shape):
    ours, theirs = nn.Unflatten(*arguments), torch.nn.Unflatten(*arguments)
    assert repr(ours) == repr(theirs)
    same_as_torch(ours, np.random.default_rng(0).standard_normal(shape), reference=theirs)


def test_unflatten_errors():
    for sizes in ((4, -1), (2, 2), (-1, -1), (0, -1)):
        with pytest.raises(ValueError, match="Unflatten: .* does not make up a dimension of 6"):
            nn.Unflatten(1, sizes)(nn.ones(1, 6))
    with pytest.raises(TypeError, match="Unflatten: unflattened_size must be a tuple, got int"):
        nn.Unflatten(1, 3)
    with pytest.raises(TypeError, match="Unflatten: dim must be an int, got str"):
        nn.Unflatten("a", (3,))


@pytest.mark.parametrize("shape", [(2, 6, 4), (2, 6, 3, 4)])
def test_channel_shuffle(shape):
    ours, theirs = nn.ChannelShuffle(3), torch.nn.ChannelShuffle(3)
    assert repr(ours) == repr(theirs)
    same_twice(ours, np.random.default_rng(0).standard_normal(shape), reference=theirs)
    with pytest.raises(ValueError, match="channel_shuffle: needs"):
        F.channel_shuffle(nn.ones(1, 5, 2), 3)


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize("name", ["upsample", "upsample_nearest", "upsample_bilinear"])
def test_older_names_of_interpolate(name):
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 4))
    same_as_torch(
        lambda x: getattr(F, name)(x, scale_factor=2), x,
        reference=lambda x: getattr(torch.nn.functional, name)(x, scale_factor=2),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["AlphaDropout", "FeatureAlphaDropout"])
def test_alpha_dropout_keeps_mean_and_variance(name):
    nn.manual_seed(0)
    layer = getattr(nn, name)(0.3)
    assert repr(layer) == repr(getattr(torch.nn, name)(0.3))
    x = nn.tensor(np.random.default_rng(0).standard_normal((200, 100, 20)), requires_grad=True)
    y = layer(x)
    np.testing.assert_allclose([y.array.mean(), y.array.var()], [0, 1], atol=0.03)
    y.sum().backward()
    dropped = x.grad.array == 0
    assert len(np.unique(y.array[dropped])) == 1
    np.testing.assert_allclose(dropped.mean(), 0.3, atol=0.01)
    assert name == "AlphaDropout" or (dropped == dropped[..., :1]).all()
    values = np.unique(torch.nn.AlphaDropout(0.3)(torch.ones(1000, dtype=torch.float64)).numpy())
    np.testing.assert_allclose(np.unique(F.alpha_dropout(nn.ones(1000, dtype=np.float64), 0.3, True).array), values)
    assert layer.eval()(x) is x
    assert not F.alpha_dropout(x, 1.0, True).array.any()
    with pytest.raises(ValueError, match="p must be between 0 and 1, got 2"):
        F.alpha_dropout(x, 2.0, True)
    with pytest.raises(ValueError, match="feature_alpha_dropout: input must have at least 2 dimensions"):
        F.feature_alpha_dropout(nn.ones(3), 0.5, True)


def test_dropout2d_of_rows():
    nn.manual_seed(0)
    x = nn.ones(200, 100, requires_grad=True)
    y = nn.Dropout2d(0.4)(x)
    np.testing.assert_allclose(np.unique(y.array), [0, 1 / 0.6], rtol=1e-6)
    np.testing.assert_allclose((y.array == 0).mean(), 0.4, atol=0.02)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.array, y.array)

"""Pooling, resampling and padding: functions and modules against PyTorch's: values, gradients, arguments, repr."""

import inspect
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as T

import nn
import nn.functional as F
from tests.nn.compare import agree, same_as_torch

RNG = np.random.default_rng(0)
INPUT = {d: RNG.permutation(2 * 3 * 8**d).reshape(2, 3, *(8,) * d) / 10 + 0.1 for d in (1, 2, 3)}

# name without its dimensions -> arguments
FUNCTIONS = {
    "max_pool": [(2,), (3, 2, 1), (3, 2, 1, 1, True), (2, 1, 0, 2)],
    "avg_pool": [(2,), (3, 2, 1), (3, 2, 1, True, False)],
    "lp_pool": [(2.0, 2), (3.0, 3, 1, True)],
    "adaptive_avg_pool": [(1,), (3,)],
    "adaptive_max_pool": [(1,), (3,)],
}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [(name, arguments) for name, several in FUNCTIONS.items() for arguments in several],
    ids=str,
)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_pooling(name, arguments, dims):
    ours, theirs = getattr(F, f"{name}{dims}d"), getattr(T, f"{name}{dims}d")
    for x in (INPUT[dims], INPUT[dims][0]):
        same_as_torch(lambda x: ours(x, *arguments), x, reference=lambda x: theirs(x, *arguments))


def test_large_windows_and_returned_indices():
    x = INPUT[2]
    for size in (17, (17, 16)):  # more elements than a uint8 can index
        same_as_torch(
            lambda x: F.max_pool2d(x.reshape(1, 1, 16, 24), size, 1, 8),  # noqa: B023
            x,
            reference=lambda x: T.max_pool2d(x.reshape(1, 1, 16, 24), size, 1, 8),  # noqa: B023
        )
    for name, arguments in (("max_pool2d", (3, 2, 1)), ("adaptive_max_pool2d", (3,))):
        same_as_torch(
            lambda x: getattr(F, name)(x, *arguments, return_indices=True)[0],  # noqa: B023
            x,
            reference=lambda x: getattr(T, name)(x, *arguments, return_indices=True)[0],  # noqa: B023
        )
        indices = getattr(F, name)(nn.tensor(x), *arguments, return_indices=True)[1]
        agree(indices, getattr(T, name)(torch.tensor(x), *arguments, return_indices=True)[1])


def test_nothing_is_saved_without_a_gradient():
    x = nn.tensor(INPUT[2])
    assert not F.max_pool2d(x, 2).requires_grad
    x.requires_grad_()
    with nn.no_grad():
        assert not F.max_pool2d(x, 2).requires_grad


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_unpool(dims):
    x = INPUT[dims]

    def through(module, x):
        y, indices = getattr(module, f"max_pool{dims}d")(x, 2, 2, return_indices=True)
        return getattr(module, f"max_unpool{dims}d")(y * 2, indices, 2)

    same_as_torch(lambda x: through(F, x), x, reference=lambda x: through(T, x))


def test_patches():
    x, window = INPUT[2], ((2, 3), 2, (1, 0), (1, 2))
    same_as_torch(lambda x: F.unfold(x, *window), x, reference=lambda x: T.unfold(x, *window))
    columns = RNG.standard_normal(T.unfold(torch.tensor(x), *window).shape)
    same_as_torch(lambda x: F.fold(x, 8, *window), columns, reference=lambda x: T.fold(x, (8, 8), *window))


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area", "nearest-exact"])
def test_interpolate(mode):
    for options in ({"size": (5, 11)}, {"scale_factor": 2.5}, {"scale_factor": 1.5, "recompute_scale_factor": True}):
        same_as_torch(
            lambda x: F.interpolate(x, mode=mode, **options),  # noqa: B023
            INPUT[2],
            reference=lambda x: T.interpolate(x, mode=mode, **options),  # noqa: B023
        )


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("options", [{"size": (3, 20)}, {"scale_factor": 0.4}, {"size": (4, 2), "align_corners": True}])
def test_interpolate_with_antialias(mode, options):
    same_as_torch(
        lambda x: F.interpolate(x, mode=mode, antialias=True, **options),
        INPUT[2],
        reference=lambda x: T.interpolate(x, mode=mode, antialias=True, **options),
    )


@pytest.mark.parametrize("kind", ["Avg", "Max"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_adaptive_sizes_are_accepted_where_torch_accepts_them(kind, dims):
    for size in (None, (None,), (3,), (None, 3), (2, None), (None, None), (2, 3), (None, 3, 2), (None, None, None)):
        ours, theirs = (getattr(library, f"Adaptive{kind}Pool{dims}d")(size) for library in (nn, torch.nn))
        try:
            expected = theirs(torch.tensor(INPUT[dims]))
        except (TypeError, RuntimeError):
            with pytest.raises((TypeError, ValueError), match=f"{dims}d: output_size must be an int or {dims} of them"):
                ours(nn.tensor(INPUT[dims]))
        else:
            np.testing.assert_allclose(ours(nn.tensor(INPUT[dims])).array, expected.numpy(), rtol=1e-12)


@pytest.mark.parametrize("shape", [(8, 3, 4), (2, 12, 5, 6), (2, 3, 4, 2, 2)], ids=str)
def test_pixel_shuffle(shape):
    x = RNG.standard_normal(shape)
    same_as_torch(lambda x: F.pixel_shuffle(x, 2), x, reference=lambda x: T.pixel_shuffle(x, 2))
    y = T.pixel_shuffle(torch.tensor(x), 2).numpy()
    same_as_torch(lambda x: F.pixel_unshuffle(x, 2), y, reference=lambda x: T.pixel_unshuffle(x, 2))


def test_bad_shuffles():
    with pytest.raises(ValueError, match="pixel_shuffle: channels must be a multiple of upscale_factor² = 4, got 3"):
        F.pixel_shuffle(nn.zeros(3, 4, 4), 2)
    with pytest.raises(ValueError, match="pixel_unshuffle: height and width must be multiples .* 3, got 4 and 6"):
        F.pixel_unshuffle(nn.zeros(3, 4, 6), 3)
    with pytest.raises(ValueError, match=r"pixel_shuffle: input must have shape .* got \(4, 4\)"):
        F.pixel_shuffle(nn.zeros(4, 4), 2)
    with pytest.raises(TypeError, match="max_pool2d: input must be a Tensor, got ndarray"):
        F.max_pool2d(INPUT[2], 2)


WIDE = {1: (2, 1), 2: (2, 1, 0, 3), 3: (2, 1, 0, 3, 1, 1)}
LAYERS = {
    "MaxPool": [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}],
    "AvgPool": [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}],
    "LPPool": [{"norm_type": 2, "kernel_size": 2}, {"norm_type": 3.0, "kernel_size": 3, "stride": 1}],
    "AdaptiveAvgPool": [{"output_size": 1}, {"output_size": 3}],
    "AdaptiveMaxPool": [{"output_size": 1}, {"output_size": 3}],
    "ZeroPad": [{"padding": 2}, WIDE],
    "ConstantPad": [{"padding": 2, "value": 1.5}],
    "ReflectionPad": [{"padding": 2}, WIDE],
    "ReplicationPad": [{"padding": 2}, WIDE],
    "CircularPad": [{"padding": 2}, WIDE],
}
CASES = [
    (f"{name}{d}d", d, {"padding": arguments[d]} if d in arguments else arguments)
    for (name, several), d in itertools.product(LAYERS.items(), (1, 2, 3))
    for arguments in several
]
CASES += [
    ("Unfold", 2, {"kernel_size": (2, 3), "padding": 1}),
    ("Upsample", 1, {"scale_factor": 2, "mode": "linear"}),
    ("Upsample", 2, {"size": (5, 9), "mode": "bilinear", "align_corners": True}),
    ("Upsample", 3, {"scale_factor": (1, 2, 1.5)}),
    ("UpsamplingNearest2d", 2, {"scale_factor": 2}),
    ("UpsamplingBilinear2d", 2, {"size": 11}),
    ("PixelUnshuffle", 2, {"downscale_factor": 2}),
]


@pytest.mark.parametrize(("name", "dims", "arguments"), CASES, ids=str)
def test_layer(name, dims, arguments):
    ours, theirs = getattr(nn, name)(**arguments), getattr(torch.nn, name)(**arguments)
    same_as_torch(ours, INPUT[dims], reference=theirs)
    assert repr(ours) == repr(theirs)
    assert ours.state_dict() == {}


def test_layers_of_other_inputs():
    columns = RNG.standard_normal((2, 12, 49))
    ours, theirs = nn.Fold(8, 2), torch.nn.Fold(8, 2)
    same_as_torch(ours, columns, reference=lambda x: T.fold(x, (8, 8), 2))
    assert repr(ours) == repr(theirs)
    shuffle = nn.PixelShuffle(2), torch.nn.PixelShuffle(2)
    same_as_torch(shuffle[0], RNG.standard_normal((2, 8, 3, 3)), reference=shuffle[1])
    assert repr(shuffle[0]) == repr(shuffle[1])
    for d in (1, 2, 3):
        y, indices = getattr(nn, f"MaxPool{d}d")(2, return_indices=True)(nn.tensor(INPUT[d]))
        ours, theirs = getattr(nn, f"MaxUnpool{d}d")(2), getattr(torch.nn, f"MaxUnpool{d}d")(2)
        t = theirs(torch.tensor(y.numpy()), torch.tensor(indices.numpy()), output_size=(2, 3, *(9,) * d))
        agree(ours(y, indices, output_size=(2, 3, *(9,) * d)), t)
        assert repr(ours) == repr(theirs)


NAMES = sorted({name for name, *_ in CASES} | {"Fold", "PixelShuffle", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"})


@pytest.mark.parametrize("name", NAMES)
def test_constructor_is_that_of_torch(name):
    ours = inspect.signature(getattr(nn, name)).parameters
    theirs = inspect.signature(getattr(torch.nn, name)).parameters
    assert {n: p.default for n, p in ours.items()} == {n: p.default for n, p in theirs.items()}


def test_every_layer_is_tested():
    modules = ("nn.pooling", "nn.padding")
    names = {n for n, c in vars(nn).items() if inspect.isclass(c) and c.__module__ in modules}
    assert names == set(NAMES)


def test_bad_padding_layer():
    with pytest.raises(ValueError, match=r"ZeroPad2d: padding must be an int or 4 of them, got \(1, 2\)"):
        nn.ZeroPad2d((1, 2))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", ["max_pool{}d_with_indices", "adaptive_max_pool{}d_with_indices"])
def test_pools_with_indices_in_their_names(name, dims):
    x, name = np.random.default_rng(0).standard_normal((2, 3, *(6,) * dims)), name.format(dims)
    ours, theirs = getattr(nn.functional, name)(nn.tensor(x), 2), getattr(torch.nn.functional, name)(torch.tensor(x), 2)
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine.numpy(), other.numpy())

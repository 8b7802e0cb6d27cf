"""Shapes, parameters and FLOPs of a model's layers; PyTorch's own counter is the oracle of the FLOPs."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import nn
from nn import functional as F


def network(library):
    return library.Sequential(
        library.Conv2d(3, 8, 3, stride=2, groups=1, padding=1),
        library.BatchNorm2d(8),
        library.ReLU(),
        library.ConvTranspose2d(8, 4, 4, 2, 1),
        library.Conv2d(4, 4, 3, groups=4),
        library.Flatten(),
        library.Linear(4 * 10 * 10, 7, bias=False),
    )


def of_torch(model, *inputs):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.train()(*inputs)  # in evaluation mode, fused layers are not seen
    return counter.get_total_flops()


def test_convolutions_and_linear():
    model = network(nn)
    found = nn.summary(model, np.zeros((2, 3, 12, 12), np.float32))
    assert found.flops == of_torch(network(torch.nn), torch.zeros(2, 3, 12, 12))
    assert found.parameters == found.trainable == sum(each.numel() for each in model.parameters())
    assert [layer.kind for layer in found.layers[1:]] == [type(each).__name__ for each in model]
    assert found.layers[0].outputs == ((2, 7),) and found.layers[0].flops == 0
    assert found.layers[4].outputs == ((2, 4, 12, 12),)


def test_attention():
    model = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    theirs = torch.nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    found = nn.summary(model, nn.zeros(2, 5, 16))
    assert found.flops == of_torch(theirs, torch.zeros(2, 5, 16))
    by_name = {layer.name: layer for layer in found.layers}
    assert by_name["linear1"].flops == 2 * 10 * 16 * 32


def test_recurrent():
    found = nn.summary(nn.LSTM(3, 5, num_layers=2), nn.zeros(4, 2, 3))
    assert found.flops == 2 * 4 * 2 * 4 * (5 * (3 + 5) + 5 * (5 + 5))
    assert found.layers[0].outputs[0] == (4, 2, 5)


class Shared(nn.Module):
    """One layer called twice, one whose weight is that of another, one that is frozen, and products of its own."""

    def __init__(self):
        super().__init__()
        self.first, self.tied, self.frozen = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(False)
        self.tied.weight = self.first.weight
        self.unused = nn.Identity()

    def forward(self, x):
        x = F.relu(self.first(self.first(x)))
        return (x @ x.T).matmul(self.tied(x)), self.frozen(x)


def test_calls_shared_parameters_and_products():
    found = nn.summary(Shared(), nn.ones(3, 4))
    own, first, tied, frozen, unused = found.layers
    product = 2 * 3 * 4 * 4
    assert (first.calls, first.flops, first.parameters) == (2, 2 * product, 20)
    assert (tied.flops, tied.parameters) == (product, 4)
    assert own.flops == 2 * 3 * 3 * 4 * 2 and own.outputs == ((3, 4), (3, 4))
    assert (found.parameters, found.trainable) == (44, 24)
    assert unused.calls == 0 and "unused: Identity  not called" in repr(found)
    assert "(3, 4) × 2" in repr(found) and repr(found).endswith("24 parameters are trained, 20 are not")


def test_nothing_is_left_behind():
    """Modes, hooks, statistics and functions are as before, also after an error."""
    model = network(nn).train()
    linear, mean = F.linear, model[1].running_mean.numpy().copy()
    nn.summary(model, nn.ones(1, 3, 12, 12))
    with pytest.raises(ValueError, match="conv2d"):
        nn.summary(model, nn.ones(1, 2, 12, 12))
    assert F.linear is linear and model.training and (model[1].running_mean.numpy() == mean).all()
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())
    with pytest.raises(TypeError, match="summary: needs what the model is called with"):
        nn.summary(model)


def test_a_model_that_calls_functions():
    """The attention of GPT is no layer: its FLOPs are those of the module that calls it."""
    found = nn.summary(nn.models.GPT(11, context=8, width=8, layers=1, heads=2), nn.zeros(1, 8, dtype=nn.int64))
    products = 2 * 8 * (8 * 24 + 8 * 8 + 2 * 8 * 32 + 8 * 11)
    assert found.flops == products + 2 * 8 * 8 * (8 + 8)

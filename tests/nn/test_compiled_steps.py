"""Tests of nn.compile_step: the losses, weights and states of the tape, and what cannot be compiled."""

import numpy as np
import pytest

import nn
from nn import functional as F
from tests.nn.test_compilation import Block, LeNet

CLASSES = 10


def mlp():
    return nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, CLASSES))


def residual():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        Block(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, CLASSES),
    )


def gpt(dropout=0.0):
    return nn.models.GPT(50, context=16, width=32, layers=2, heads=4, dropout=dropout)


def adamw(model):
    """Two groups: no weight decay for vectors."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return nn.optim.AdamW(groups, lr=1e-2)


def of_tokens(scores, y):
    return F.cross_entropy(scores.reshape(-1, 50), y.reshape(-1))


class Operators(nn.Module):
    """Arithmetic, broadcasting and parts, a parameter that is used twice, and one that is not used."""

    def __init__(self):
        super().__init__()
        self.linear, self.unused = nn.Linear(4, 6), nn.Linear(4, 4)
        self.scale, self.shift = nn.Parameter(nn.rand(6) + 0.5), nn.Parameter(nn.zeros(3, 1))

    def forward(self, x):
        y = self.linear(x) * self.scale - 0.5
        a, b, c = y.chunk(3, 1)
        parts = nn.cat([a * b, nn.stack([c[:, 0], c[:, 1]], 1)], 1)
        parts = parts / (2 + parts**2) + self.shift
        padded = F.pad(parts.masked_fill(parts > 0.9, 0.25), (1, 1))[:, ::2]
        return (padded - padded.mean(1, keepdim=True)).t() * self.scale[:3] + (1 - parts.exp().sqrt().abs()).sum()


def adam(model):
    return nn.optim.Adam(model.parameters(), lr=1e-3)


def momentum(model):
    return nn.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4, nesterov=True)


def on_tape(model, loss, optimizer, x, y, clip=None):
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    if clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return value.item()


def same_state(one, other):
    """The same bits in two models, or optimisers."""
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    if "param_groups" in mine:
        assert mine["param_groups"] == theirs["param_groups"]
        mine, theirs = mine["state"], theirs["state"]
        assert mine.keys() == theirs.keys()
        mine = {(key, name): value for key, state in mine.items() for name, value in state.items()}
        theirs = {(key, name): value for key, state in theirs.items() for name, value in state.items()}
    for name, value in mine.items():
        np.testing.assert_array_equal(np.asarray(value), np.asarray(theirs[name]), err_msg=str(name))


def channels():
    return nn.Sequential(
        nn.Conv1d(4, 8, 3, padding=1),
        nn.GroupNorm(2, 8),
        nn.SiLU(),
        nn.Dropout1d(0.4),
        nn.AvgPool1d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(24, CLASSES),
    )


def classes(n=4):
    return lambda: nn.randint(0, CLASSES, (n,))


def tokens():
    return nn.randint(0, 50, (4, 16))


MODELS = {
    "mlp": (mlp, adam, nn.CrossEntropyLoss(), lambda: nn.randn(4, 784), classes(), None),
    "lenet": (LeNet, momentum, nn.CrossEntropyLoss(), lambda: nn.randn(4, 1, 28, 28), classes(), None),
    "residual": (residual, momentum, nn.CrossEntropyLoss(), lambda: nn.randn(4, 3, 12, 12), classes(), 0.5),
    "gpt": (gpt, adamw, of_tokens, tokens, tokens, 0.5),
    "gpt with dropout": (lambda: gpt(0.1), adamw, of_tokens, tokens, tokens, None),
    "channels": (channels, adam, nn.CrossEntropyLoss(label_smoothing=0.1), lambda: nn.randn(4, 4, 6), classes(), None),
    "operators": (Operators, adam, nn.MSELoss(), lambda: nn.randn(3, 4), lambda: nn.randn(3, 3), None),
}


def made(name, count=3):
    """Twice the same model and optimiser, the loss and batches."""
    make, optimizer_of, loss, x, y, clip = MODELS[name]
    nn.manual_seed(1)
    batches = [(x(), y()) for _ in range(count)]
    models = []
    for _ in range(2):
        nn.manual_seed(0)
        models.append(make())
    return models, [optimizer_of(model) for model in models], loss, batches, clip


@pytest.mark.parametrize("name", MODELS)
def test_same_bits_as_the_tape(name):
    models, optimizers, loss, batches, clip = made(name)
    before = nn.get_rng_state()
    step = nn.compile_step(models[1], loss, optimizers[1], *batches[0], clip_grad_norm=clip)
    same_state(*models)
    same_state(*optimizers)
    np.testing.assert_array_equal(nn.get_rng_state().array, before.array)
    losses = []
    for on in (0, 1):
        nn.manual_seed(2)
        losses.append([])
        for x, y in batches:
            losses[on].append(step(x, y).item() if on else on_tape(models[0], loss, optimizers[0], x, y, clip))
    assert losses[0] == losses[1]
    same_state(*models)
    same_state(*optimizers)
    assert all(p.grad is None for p in models[1].parameters())


def test_functions_of_numba_are_close_to_those_of_numpy():
    x, y = nn.rand(3, 4), nn.zeros(3, 4)
    values = []
    for compiled in (False, True):
        nn.manual_seed(0)
        model = Body(lambda self, y: (y.abs() + 1).log() + y.sin() * y.cos())
        optimizer, loss = nn.optim.SGD(model.parameters(), lr=0.1), nn.MSELoss()
        step = nn.compile_step(model, loss, optimizer, x, y)
        values.append([step(x, y).item() if compiled else on_tape(model, loss, optimizer, x, y) for _ in range(3)])
    np.testing.assert_allclose(values[1], values[0], rtol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        lambda y, t: F.mse_loss(y, t) * 10,
        lambda y, t: 0.5 * F.mse_loss(y, t) + F.l1_loss(y, t) * 0.25,
        lambda y, t: F.mse_loss(y, t) * F.l1_loss(y, t),
    ],
    ids=["a number", "weighted sum", "product"],
)
def test_arithmetic_of_losses(loss):
    models = [nn.Linear(2, 1) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    optimizers = [nn.optim.SGD(model.parameters(), lr=0.1) for model in models]
    x, t = nn.randn(4, 2), nn.randn(4, 1)
    step = nn.compile_step(models[1], loss, optimizers[1], x, t)
    for _ in range(3):
        assert step(x, t).item() == on_tape(models[0], loss, optimizers[0], x, t)
    same_state(*models)


def test_one_tensor_as_several_arguments():
    x, y, results = nn.randn(5, 4), nn.randn(1, 1, 5, 4), []
    for compiled in (False, True):
        nn.manual_seed(0)
        model = Body(lambda self, y: F.scaled_dot_product_attention(*[y.reshape(1, 1, 5, 4)] * 3) + (y + y) * y)
        optimizer, loss = nn.optim.SGD(model.parameters(), lr=0.1), nn.MSELoss()
        step = nn.compile_step(model, loss, optimizer, x, y)
        values = [step(x, y).item() if compiled else on_tape(model, loss, optimizer, x, y) for _ in range(3)]
        results.append((values, model.linear.weight.tolist()))
    assert results[0] == results[1]


def test_source_of_the_mlp():
    models, optimizers, loss, batches, _ = made("mlp", 1)
    source = nn.compile_step(models[1], loss, optimizers[1], *batches[0]).source
    assert (
        source[source.index("    # forward") :]
        == """
    # forward
    linear_1 = linear(x, layer0_weight, layer0_bias, activation="relu")  # (4, 256)
    linear_2 = linear(linear_1, layer2_weight, layer2_bias, activation="relu")  # (4, 128)
    linear_3 = linear(linear_2, layer4_weight, layer4_bias)  # (4, 10)
    loss_lse = np.empty((4,), np.float32)
    loss = cross_entropy(linear_3, y, lse=loss_lse)  # ()

    # backward
    d_loss = np.ones((), np.float32)  # ()
    d_linear_3 = cross_entropy_backward(d_loss, linear_3, y, lse=loss_lse)  # (4, 10)
    d_linear_2, d_layer4_weight, d_layer4_bias = linear_backward(d_linear_3, linear_2, layer4_weight)
    d_linear_1, d_layer2_weight, d_layer2_bias = linear_backward(
        d_linear_2, linear_1, layer2_weight, activation="relu", saved=linear_2
    )
    _, d_layer0_weight, d_layer0_bias = linear_backward(
        d_linear_1, x, layer0_weight, activation="relu", saved=linear_1, needs=(False, True, True)
    )

    # update
    gradients = [
        d_layer0_weight.reshape(-1), d_layer0_bias, d_layer2_weight.reshape(-1), d_layer2_bias,
        d_layer4_weight.reshape(-1), d_layer4_bias
    ]
    adam(weights, gradients, exp_avgs, exp_avg_sqs, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, step=step)
    return loss""".lstrip("\n")
    )


def test_schedulers_states_and_weights_between_steps():
    models, optimizers, loss, batches, _ = made("mlp", 6)
    step = nn.compile_step(models[1], loss, optimizers[1], *batches[0])
    schedulers = [nn.optim.lr_scheduler.OneCycleLR(each, 1e-2, total_steps=10) for each in optimizers]
    for i, (x, y) in enumerate(batches):
        assert step(x, y).item() == on_tape(models[0], loss, optimizers[0], x, y)
        for scheduler in schedulers:
            scheduler.step()
        if i == 2:  # a checkpoint of the compiled model goes on in both
            saved = models[1].state_dict(), optimizers[1].state_dict()
            saved = {key: value.array.copy() for key, value in saved[0].items()}, saved[1]
            models[0].load_state_dict(saved[0])
            for optimizer in optimizers[::-1]:
                optimizer.load_state_dict(saved[1])
        if i == 3:  # new arrays, and a step of the tape
            for model, optimizer in zip(models, optimizers, strict=True):
                model[0].weight.data = model[0].weight.data * 0.5
                on_tape(model, loss, optimizer, x, y)
    same_state(*models)
    same_state(*optimizers)


def test_observe_and_hooks():
    models, optimizers, loss, batches, _ = made("mlp", 4)
    step = nn.compile_step(models[1], loss, optimizers[1], *batches[0])
    with nn.observe(models[1], optimizers[1], every=1) as log:
        assert step(*batches[0]).item() == on_tape(models[0], loss, optimizers[0], *batches[0])
    assert log.steps == [0]
    assert np.isfinite(log.weights["ratio"]).all()
    assert step(*batches[1]).item() == on_tape(models[0], loss, optimizers[0], *batches[1])
    called = []
    handle = models[1][0].register_forward_hook(lambda *given: called.append(given))
    assert step(*batches[2]).item() == on_tape(models[0], loss, optimizers[0], *batches[2])
    assert len(called) == 1
    with pytest.raises(nn.CompileError, match="0, a Linear, has hooks"):
        nn.compile_step(models[1], loss, optimizers[1], *batches[0])
    handle.remove()
    same_state(*models)


def test_frozen_layers_and_other_shapes():
    models, optimizers, loss, batches, _ = made("mlp", 2)
    step = nn.compile_step(models[1], loss, optimizers[1], *batches[0])
    fixed = nn.compile_step(models[1], loss, optimizers[1], *batches[0], shapes="raise")
    for model in models:
        model[0].requires_grad_(False)
    with pytest.raises(ValueError, match="training mode or requires_grad have changed"):
        fixed(*batches[0])
    assert step(*batches[0]).item() == on_tape(models[0], loss, optimizers[0], *batches[0])
    (x, y), name = batches[1], "<compiled step of Sequential, 1 shapes>"
    assert step(x[:3], y[:3]).item() == on_tape(models[0], loss, optimizers[0], x[:3], y[:3])
    same_state(*models)
    same_state(*optimizers)
    expected = r"expected inputs \(4, 784\) float32, \(4,\) int64, got"
    with pytest.raises(ValueError, match=rf"{name}: {expected} \(3, 784\) float32, \(3,\) int64"):
        fixed(x[:3], y[:3])
    with pytest.raises(TypeError, match=rf"{expected} \(4, 784\) float64, \(4,\) int64"):
        fixed(x.double(), y)
    with pytest.raises(TypeError, match="expected 2 inputs, got 1"):
        fixed(x)
    with pytest.raises(IndexError):
        step(x, nn.full((4,), 10, dtype=nn.int64))
    same_state(*models)


def test_changed_weights():
    models, optimizers, loss, batches, _ = made("mlp", 1)
    model, step = models[1], nn.compile_step(models[1], loss, optimizers[1], *batches[0])
    step(*batches[0])
    weight = nn.Tensor(model[0].weight.array)
    model[0].weight.data = nn.zeros(3, 784)
    with pytest.raises(ValueError, match=r"a parameter was \(256, 784\) float32 .* is \(3, 784\) float32 now"):
        step(*batches[0])
    model[0].weight.data = weight.double()
    with pytest.raises(TypeError, match=r"a parameter was \(256, 784\) float32 .* is \(256, 784\) float64 now"):
        step(*batches[0])
    model[0].weight.data = weight
    optimizers[1].param_groups[0]["maximize"] = True
    with pytest.raises(ValueError, match="options of Adam were .*'maximize': False.* are .*'maximize': True"):
        step(*batches[0])
    optimizers[1].param_groups[0]["maximize"] = False
    del optimizers[1].state[model[0].weight]
    with pytest.raises(ValueError, match=r"the same number of steps of Adam, they have had \[0, 1\]"):
        step(*batches[0])
    model.eval()
    with pytest.raises(ValueError, match="the model must be in training mode"):
        step(*batches[0])


class Body(nn.Module):
    """A model whose forward is given."""

    def __init__(self, forward):
        super().__init__()
        self.linear, self._forward = nn.Linear(4, 4), forward
        self.register_buffer("average", nn.zeros(4))

    def forward(self, x):
        return self._forward(self, self.linear(x))


def reading(self, y):
    return y if float(y.sum()) > 0 else -y


def changing_a_buffer(self, y):
    self.average.array[...] += 1
    self.average.mark_changed()
    return y


def replacing_a_buffer(self, y):
    self.average = self.average * 0.9 + y.mean(0) * 0.1
    return y


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (reading, r"float at test_compiled_steps.py:\d+ reads the value of a tensor"),
        (lambda self, y: y.add_(1), r"add_ at test_compiled_steps.py:\d+ changes a tensor in place"),
        (lambda self, y: nn.topk(y, 4)[0], r"topk at test_compiled_steps.py:\d+ is not among the operations"),
        (lambda self, y: y**3, r"pow at test_compiled_steps.py:\d+: only the gradient of squares"),
        (lambda self, y: y.detach(), "the loss depends on none of the optimizer's parameters"),
        (changing_a_buffer, "array at test_compiled_steps.py.* reads the value"),
        (replacing_a_buffer, "average is replaced by the forward pass"),
    ],
)
def test_what_cannot_be_compiled(forward, message):
    model = Body(forward)
    optimizer, average = nn.optim.SGD(model.parameters()), model.average
    with pytest.raises(nn.CompileError, match=message):
        nn.compile_step(model, nn.MSELoss(), optimizer, nn.randn(2, 4), nn.randn(2, 4))
    assert model.average is average
    np.testing.assert_array_equal(average.array, 0)


def test_bad_arguments():
    model, x, y = mlp(), nn.randn(4, 784), nn.zeros(4, dtype=nn.int64)
    optimizer, loss = adam(model), nn.CrossEntropyLoss()
    with pytest.raises(TypeError, match="model must be a Module, got function"):
        nn.compile_step(lambda x: x, loss, optimizer, x, y)
    with pytest.raises(TypeError, match="loss must be callable, got int"):
        nn.compile_step(model, 3, optimizer, x, y)
    with pytest.raises(TypeError, match="optimizer must be an Optimizer, got list"):
        nn.compile_step(model, loss, list(model.parameters()), x, y)
    with pytest.raises(ValueError, match=r"the loss must be a scalar, got shape \(4,\)"):
        nn.compile_step(model, nn.CrossEntropyLoss(reduction="none"), optimizer, x, y)
    with pytest.raises(TypeError, match="the loss must be a Tensor, got float"):
        nn.compile_step(model, lambda output, y: 1.0, optimizer, x, y)
    with pytest.raises(ValueError, match="clip_grad_norm must not be negative, got -1"):
        nn.compile_step(model, loss, optimizer, x, y, clip_grad_norm=-1)
    with pytest.raises(ValueError, match="shapes must be 'recompile' or 'raise', got 'any'"):
        nn.compile_step(model, loss, optimizer, x, y, shapes="any")
    with pytest.raises(nn.CompileError, match="steps of RMSprop cannot be compiled, only those of SGD, Adam and AdamW"):
        nn.compile_step(model, loss, nn.optim.RMSprop(model.parameters()), x, y)
    average = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, momentum=None))
    with pytest.raises(nn.CompileError, match="1: a momentum of None, the average, cannot be compiled"):
        nn.compile_step(average, nn.MSELoss(), adam(average), nn.randn(2, 4), nn.randn(2, 4))
    with pytest.raises(ValueError, match="the model must be in training mode"):
        nn.compile_step(model.eval(), loss, optimizer, x, y)

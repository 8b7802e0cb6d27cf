"""Tests of nn.recurrent and nn.functional.recurrent."""

import copy
import itertools
import tracemalloc
import warnings

import numpy as np
import pytest
import torch

import nn
from nn import functional as F
from nn.utils.rnn import PackedSequence, pack_padded_sequence
from tests.nn.compare import agree

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

KINDS = ("RNN", "GRU", "LSTM")
each_kind = pytest.mark.parametrize("kind", KINDS)
LENGTHS = [3, 5, 1, 4]


def pair(kind, *sizes, **options):
    """Our layer and PyTorch's in float64, with the same parameters."""
    theirs = getattr(torch.nn, kind)(*sizes, **options, dtype=torch.float64)
    ours = getattr(nn, kind)(*sizes, **options).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def parts(output):
    """The tensors of whatever a layer returns, in order."""
    if isinstance(output, (PackedSequence, torch.nn.utils.rnn.PackedSequence)):
        return [output.data]
    return [part for each in output for part in parts(each)] if isinstance(output, tuple) else [output]


def compare(ours, theirs, arguments, their_arguments, used=None):
    """Assert that results, and gradients of parameters and arguments for a loss of the `used` results, agree."""
    results, expected = parts(ours(*arguments)), parts(theirs(*their_arguments))
    for actual, wanted in zip(results, expected, strict=True):
        agree(actual, wanted)
    rng = np.random.default_rng(0)
    loss = expected_loss = 0
    for i in range(len(results)) if used is None else used:
        weight = rng.standard_normal(results[i].shape)
        loss = loss + (results[i] * weight).sum()
        expected_loss = expected_loss + (expected[i] * torch.from_numpy(weight)).sum()
    loss.backward()
    expected_loss.backward()
    for (name, parameter), (their_name, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == their_name
        agree(parameter.grad, other.grad, rtol=1e-8)


def tensors(array):
    """A leaf of ours and one of PyTorch's."""
    return nn.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)


def states(rng, kind, layers, B, widths):
    """The states as our layer takes them, as PyTorch's does, and the leaves of both."""
    shapes = [(layers, *B, width) for width in (widths if kind == "LSTM" else widths[:1])]
    ours, theirs = zip(*[tensors(rng.standard_normal(shape)) for shape in shapes], strict=True)
    return *((ours, theirs) if kind == "LSTM" else (ours[0], theirs[0])), list(zip(ours, theirs, strict=True))


LAYERS = [
    (kind, {"num_layers": layers, "bidirectional": both, "batch_first": first, "bias": bias} | projection)
    for kind, layers, both, first, bias in itertools.product(KINDS, (1, 2), *[(False, True)] * 3)
    for projection in (({}, {"proj_size": 3}) if kind == "LSTM" else ({},))
]


@pytest.mark.parametrize("given", [True, False], ids=["state", "zeros"])
@pytest.mark.parametrize("form", ["batch", "packed", "unbatched"])
@pytest.mark.parametrize(("kind", "options"), LAYERS, ids=lambda value: str(value).replace(" ", ""))
def test_layers(rng, kind, options, form, given):
    ours, theirs = pair(kind, 4, 6, **options)
    layers = options["num_layers"] * (1 + options["bidirectional"])
    shape = (5, 4) if form == "unbatched" else (4, 5, 4) if options["batch_first"] else (5, 4, 4)
    x, their_x = tensors(rng.standard_normal(shape))
    arguments, their_arguments, leaves = [x], [their_x], [(x, their_x)]
    if given:
        batch = () if form == "unbatched" else (4,)
        hx, their_hx, more = states(rng, kind, layers, batch, (options.get("proj_size") or 6, 6))
        arguments, their_arguments, leaves = [x, hx], [their_x, their_hx], leaves + more
    if form == "packed":
        first = options["batch_first"]
        arguments[0] = pack_padded_sequence(x, LENGTHS, first, enforce_sorted=False)
        their_arguments[0] = torch.nn.utils.rnn.pack_padded_sequence(their_x, LENGTHS, first, enforce_sorted=False)
    compare(ours, theirs, arguments, their_arguments)
    for leaf, other in leaves:
        agree(leaf.grad, other.grad, rtol=1e-8)


@pytest.mark.parametrize("used", [[0], [1], [2], [0, 2]], ids=str)
@each_kind
def test_loss_of_some_of_the_outputs(rng, kind, used):
    if kind != "LSTM" and 2 in used:
        return
    ours, theirs = pair(kind, 4, 6, num_layers=2, bidirectional=True)
    x, their_x = tensors(rng.standard_normal((5, 3, 4)))
    compare(ours, theirs, [x], [their_x], used)
    agree(x.grad, their_x.grad, rtol=1e-8)


def test_relu(rng):
    ours, theirs = pair("RNN", 4, 6, 2, "relu")
    x, their_x = tensors(rng.standard_normal((5, 3, 4)))
    compare(ours, theirs, [x], [their_x])
    agree(x.grad, their_x.grad)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(), (3,)], ids=["unbatched", "batch"])
@pytest.mark.parametrize("given", [True, False], ids=["state", "zeros"])
@pytest.mark.parametrize("kind", ["RNNCell", "GRUCell", "LSTMCell"])
def test_cells(rng, kind, given, batch, bias):
    ours, theirs = pair(kind, 4, 6, bias=bias)
    x, their_x = tensors(rng.standard_normal((*batch, 4)))
    arguments, their_arguments, leaves = [x], [their_x], [(x, their_x)]
    if given:
        hx = [tensors(rng.standard_normal((*batch, 6))) for _ in range(2 if kind == "LSTMCell" else 1)]
        leaves += hx
        for where, each in zip((arguments, their_arguments), zip(*hx, strict=True), strict=True):
            where.append(each if kind == "LSTMCell" else each[0])
    compare(ours, theirs, arguments, their_arguments)
    for leaf, other in leaves:
        agree(leaf.grad, other.grad)


def test_relu_cell(rng):
    ours, theirs = pair("RNNCell", 4, 6, nonlinearity="relu")
    x, their_x = tensors(rng.standard_normal((3, 4)))
    compare(ours, theirs, [x], [their_x])


@each_kind
def test_loop_of_cells_is_the_layer(rng, kind):
    layer, cell = getattr(nn, kind)(4, 6).double(), getattr(nn, f"{kind}Cell")(4, 6).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x, hx, outputs = nn.tensor(rng.standard_normal((100, 3, 4))), None, []
    for step in x:
        hx = cell(step, hx)
        outputs.append(hx[0] if kind == "LSTM" else hx)
    y, state = layer(x)
    for actual, expected in zip([nn.stack(outputs), *parts(hx)], [y, *(s[0] for s in parts(state))], strict=True):
        np.testing.assert_allclose(actual.detach().numpy(), expected.detach().numpy(), rtol=1e-9)
    (nn.stack(outputs) ** 2).sum().backward()
    (y**2).sum().backward()
    for name, parameter in cell.named_parameters():
        expected = getattr(layer, f"{name}_l0").grad
        np.testing.assert_allclose(parameter.grad.numpy(), expected.numpy(), rtol=1e-8)


# --- parameters -------------------------------------------------------------------------------------------------------


@each_kind
def test_parameters_and_their_values(kind):
    options = {"num_layers": 3, "bidirectional": True} | ({"proj_size": 5} if kind == "LSTM" else {})
    ours, theirs = getattr(nn, kind)(7, 16, **options), getattr(torch.nn, kind)(7, 16, **options)
    shapes = {name: tuple(value.shape) for name, value in theirs.state_dict().items()}
    assert {name: value.shape for name, value in ours.state_dict().items()} == shapes
    assert list(ours.state_dict()) == list(shapes)
    values = np.concatenate([value.detach().numpy().ravel() for value in ours.parameters()])
    assert values.dtype == np.float32
    assert np.abs(values).max() <= 0.25
    assert abs(values.std() - 0.25 / 3**0.5) < 0.005
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("kind", ["RNNCell", "GRUCell", "LSTMCell"])
def test_parameters_of_cells(kind):
    ours, theirs = getattr(nn, kind)(7, 16), getattr(torch.nn, kind)(7, 16)
    shapes = {name: tuple(value.shape) for name, value in theirs.state_dict().items()}
    assert {name: value.shape for name, value in ours.state_dict().items()} == shapes
    values = np.concatenate([value.detach().numpy().ravel() for value in ours.parameters()])
    assert 0.2 < np.abs(values).max() <= 0.25
    assert repr(ours) == repr(theirs)
    assert getattr(nn, kind)(7, 16, bias=False).bias_ih is None


def test_copies_and_casts(rng):
    layer = nn.LSTM(4, 6, 2, bidirectional=True)
    twin = copy.deepcopy(layer)
    x = nn.tensor(rng.standard_normal((5, 3, 4)).astype(np.float32))
    np.testing.assert_array_equal(layer(x)[0].detach().numpy(), twin(x)[0].detach().numpy())
    twin.weight_ih_l0 = nn.Parameter(np.zeros((24, 4), np.float32))
    assert (layer(x)[0].detach().numpy() != twin(x)[0].detach().numpy()).any()
    assert layer.double()(x.double())[0].dtype == np.float64
    layer.flatten_parameters()


def test_frozen_parameters_get_no_gradient(rng):
    layer = nn.GRU(4, 6, num_layers=2)
    layer.weight_hh_l0.requires_grad_(False)
    layer(nn.tensor(rng.standard_normal((5, 3, 4)).astype(np.float32)))[0].sum().backward()
    without = [name for name, parameter in layer.named_parameters() if parameter.grad is None]
    assert without == ["weight_hh_l0"]


@each_kind
def test_backward_hooks_get_every_output(rng, kind):
    layer, plain = getattr(nn, kind)(4, 6).double(), getattr(nn, kind)(4, 6).double()
    plain.load_state_dict(layer.state_dict())
    seen = []
    layer.register_full_backward_hook(lambda module, grad_input, grad_output: seen.append((grad_input, grad_output)))
    x = nn.tensor(rng.standard_normal((5, 3, 4)), requires_grad=True)
    twin = nn.tensor(x.detach().numpy(), requires_grad=True)
    for module, leaf in ((layer, x), (plain, twin)):
        state = module(leaf)[1]
        (state[0] if kind == "LSTM" else state).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), twin.grad.numpy())
    ((grad_input,), (dy, dh, *_)) = seen[0]
    assert dy is None
    assert dh.shape == (1, 3, 6)
    np.testing.assert_array_equal(grad_input.numpy(), x.grad.numpy())


# --- the tape ---------------------------------------------------------------------------------------------------------


def test_backward_twice(rng):
    layer = nn.LSTM(4, 6).double()
    y, (h, c) = layer(nn.tensor(rng.standard_normal((5, 3, 4))))
    y.sum().backward(retain_graph=True)
    alone = layer.weight_ih_l0.grad.numpy().copy()
    layer.zero_grad()
    c.sum().backward(retain_graph=True)  # the gradient that arrived at y must not be added again
    of_c = layer.weight_ih_l0.grad.numpy().copy()
    layer.zero_grad()
    (y.sum() + c.sum()).backward()
    np.testing.assert_allclose(layer.weight_ih_l0.grad.numpy(), alone + of_c, rtol=1e-12)
    with pytest.raises(RuntimeError, match="freed"):
        h.sum().backward()


def test_a_changed_output_is_detected(rng):
    layer = nn.LSTM(4, 6)
    y, _ = layer(nn.tensor(rng.standard_normal((5, 3, 4)).astype(np.float32)))
    y.array[...] = 0
    y.mark_changed()
    with pytest.raises(RuntimeError, match="lstm saved"):
        y.sum().backward()


def test_inference_saves_nothing(rng, monkeypatch):
    asked = []
    original = F.recurrent.kernels.lstm

    def spy(*arguments, **options):
        asked.append(options)
        return original(*arguments, **options)

    monkeypatch.setattr(F.recurrent.kernels, "lstm", spy)
    layer, x = nn.LSTM(4, 6), nn.tensor(rng.standard_normal((5, 3, 4)).astype(np.float32))
    with nn.no_grad():
        assert not layer(x)[0].requires_grad
    layer.requires_grad_(False)(x)
    layer.requires_grad_(True)(x)
    assert ["gates" in options for options in asked] == [False, False, True]


# --- dropout ----------------------------------------------------------------------------------------------------------


def test_dropout_acts_between_layers(rng):
    nn.manual_seed(0)
    layer = nn.RNN(4, 400, num_layers=2, dropout=0.25)
    for name, parameter in layer.named_parameters():
        parameter.array[...] = np.eye(400) if name == "weight_ih_l1" else 0
    layer.bias_ih_l0.array[...] = 0.1
    x = nn.zeros(20, 5, 4)
    y = layer(x)[0].detach().numpy()
    kept = np.tanh(np.tanh(0.1) / 0.75)
    assert np.isclose(y, 0).any()
    np.testing.assert_allclose(y[y != 0], kept, rtol=1e-5)
    assert abs((y == 0).mean() - 0.25) < 0.01
    np.testing.assert_allclose(layer.eval()(x)[0].detach().numpy(), np.tanh(np.tanh(0.1)), rtol=1e-5)


def test_dropout_probabilities_zero_and_one(rng):
    ours, theirs = pair("GRU", 4, 6, num_layers=2, dropout=0.0)
    x, their_x = tensors(rng.standard_normal((5, 3, 4)))
    compare(ours, theirs, [x], [their_x])
    ours, theirs = pair("GRU", 4, 6, num_layers=2, dropout=1.0)
    agree(ours(x)[0], theirs(their_x)[0])


def test_dropout_with_one_layer_warns():
    with pytest.warns(UserWarning, match=r"LSTM: dropout.*0\.5.*num_layers=1"):
        nn.LSTM(4, 6, dropout=0.5)


# --- checkpoints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True], ids=["batch", "packed"])
@pytest.mark.parametrize("every", [1, 3, 7, 100])
@each_kind
def test_checkpoints_change_nothing(rng, dtype, kind, every, packed):
    options = {"num_layers": 2, "bidirectional": True} | ({"proj_size": 5} if kind == "LSTM" else {})
    plain = getattr(nn, kind)(4, 18, **options).to(dtype)
    sparing = getattr(nn, kind)(4, 18, **options, checkpoint_every=every).to(dtype)
    sparing.load_state_dict(plain.state_dict())
    values = rng.standard_normal((7, 4, 4)).astype(dtype)
    hx = rng.standard_normal((4, 4, 5 if kind == "LSTM" else 18)).astype(dtype)
    cx = rng.standard_normal((4, 4, 18)).astype(dtype)
    seen = []
    for layer in (plain, sparing):
        x, h, c = (nn.tensor(value, requires_grad=True) for value in (values, hx, cx))
        given = pack_padded_sequence(x, [7, 6, 6, 2]) if packed else x
        results = parts(layer(given, (h, c) if kind == "LSTM" else h))
        sum((result * result).sum() for result in results).backward()
        leaves = [x, h, *([c] if kind == "LSTM" else []), *layer.parameters()]
        seen.append(([result.detach().numpy() for result in results], [leaf.grad.numpy() for leaf in leaves]))
    for actual, expected in zip(*(results for results, _ in seen), strict=True):
        np.testing.assert_array_equal(actual, expected)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-12}
    for actual, expected in zip(*(gradients for _, gradients in seen), strict=True):
        np.testing.assert_allclose(actual, expected, **tolerance)


@pytest.mark.parametrize("used", [[0], [1]], ids=["output", "state"])
@each_kind
def test_checkpoints_with_a_loss_of_one_output(rng, kind, used):
    _, theirs = pair(kind, 4, 6)
    ours = getattr(nn, kind)(4, 6, checkpoint_every=2).double()
    ours.load_state_dict(theirs.state_dict())
    x, their_x = tensors(rng.standard_normal((5, 3, 4)))
    compare(ours, theirs, [x], [their_x], used)
    agree(x.grad, their_x.grad, rtol=1e-8)


@pytest.mark.parametrize(("kind", "share"), [("LSTM", 0.35), ("GRU", 0.45)])
def test_checkpoints_take_less_memory(kind, share):
    x = nn.zeros(200, 8, 4)
    peaks = []
    for every in (None, 14):
        layer = getattr(nn, kind)(4, 64, checkpoint_every=every)
        layer(x)[0].sum().backward()  # compiles
        tracemalloc.start()
        loss = layer(x)[0].sum()
        peaks.append(tracemalloc.get_traced_memory()[0])
        loss.backward()
        tracemalloc.stop()
    assert peaks[1] < share * peaks[0]


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "message", "sizes", "options"),
    [
        (ValueError, r"input_size .*0", (0, 6), {}),
        (ValueError, r"hidden_size .*0", (4, 0), {}),
        (ValueError, r"num_layers .*0", (4, 6, 0), {}),
        (TypeError, r"hidden_size .*float", (4, 6.0), {}),
        (TypeError, r"bias .*int", (4, 6), {"bias": 1}),
        (TypeError, r"batch_first .*str", (4, 6), {"batch_first": "yes"}),
        (ValueError, r"dropout .*1\.5", (4, 6, 2), {"dropout": 1.5}),
        (ValueError, r"dropout .*True", (4, 6, 2), {"dropout": True}),
        (ValueError, r"checkpoint_every .*0", (4, 6), {"checkpoint_every": 0}),
    ],
)
@each_kind
def test_constructor_errors(kind, error, message, sizes, options):
    with pytest.raises(error, match=rf"^{kind}: {message}"):
        getattr(nn, kind)(*sizes, **options)


@pytest.mark.parametrize("proj_size", [6, 7, -1])
def test_projection_errors(proj_size):
    with pytest.raises(ValueError, match=rf"^LSTM: proj_size .*{proj_size}"):
        nn.LSTM(4, 6, proj_size=proj_size)


def test_nonlinearity_errors():
    with pytest.raises(ValueError, match=r"^RNN: nonlinearity .*'gelu'"):
        nn.RNN(4, 6, nonlinearity="gelu")
    with pytest.raises(ValueError, match=r"^rnn.*: nonlinearity .*'gelu'"):
        nn.RNNCell(4, 6, nonlinearity="gelu")(nn.zeros(3, 4))


@pytest.mark.parametrize(
    ("error", "message", "shape", "states"),
    [
        (ValueError, r"input .*\(5, 3, 3, 4\)", (5, 3, 3, 4), []),
        (ValueError, r"input .*4 features.*\(5, 3, 7\)", (5, 3, 7), []),
        (ValueError, r"h0 .*\(1, 3, 6\).*\(3, 6\)", (5, 3, 4), [(3, 6)]),
        (ValueError, r"h0 .*\(1, 3, 6\).*\(2, 3, 6\)", (5, 3, 4), [(2, 3, 6)]),
        (ValueError, r"h0 .*\(1, 3, 6\).*\(1, 4, 6\)", (5, 3, 4), [(1, 4, 6)]),
        (ValueError, r"h0 .*\(1, 6\).*\(1, 1, 6\)", (5, 4), [(1, 1, 6)]),
        (ValueError, r"at least one step.*0", (0, 3, 4), []),
    ],
)
@pytest.mark.parametrize("every", [None, 2])
@each_kind
def test_input_errors(kind, error, message, shape, states, every):
    hx = [nn.zeros(*state) for state in states] * (2 if kind == "LSTM" else 1)
    hx = None if not hx else tuple(hx) if kind == "LSTM" else hx[0]
    with pytest.raises(error, match=rf"^(?i:{kind}): .*{message}|^(?i:{kind}): {message}"):
        getattr(nn, kind)(4, 6, checkpoint_every=every)(nn.zeros(*shape), hx)


@pytest.mark.parametrize("every", [None, 2])
def test_other_dtypes(every):
    layer = nn.LSTM(4, 6, checkpoint_every=every)
    with pytest.raises(TypeError, match=r"^lstm: .*float64"):
        layer(nn.zeros(5, 3, 4).double())
    state = nn.zeros(1, 3, 6).double()
    with pytest.raises(TypeError, match=r"^lstm: .*float64"):
        layer(nn.zeros(5, 3, 4), (state, state))


@pytest.mark.parametrize("sizes", [[2, 3, 1], [3, 2], [3, 3, 0]], ids=str)
@pytest.mark.parametrize("every", [None, 1, 2])
def test_wrong_batch_sizes(sizes, every):
    packed = PackedSequence(nn.zeros(6, 4), nn.tensor(sizes))
    with pytest.raises(ValueError, match=r"^gru: batch_sizes"):
        nn.GRU(4, 6, checkpoint_every=every)(packed)


@pytest.mark.parametrize("shape", [(), (2, 3, 4)], ids=str)
def test_cell_errors(shape):
    with pytest.raises(ValueError, match=r"^LSTMCell: input must have 1 or 2 dimensions"):
        nn.LSTMCell(4, 6)(nn.zeros(shape))


def test_no_sequence_in_the_batch():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, (h, c) = nn.LSTM(4, 6, num_layers=2, bidirectional=True)(nn.zeros(5, 0, 4))
    assert (y.shape, h.shape, c.shape) == ((5, 0, 12), (4, 0, 6), (4, 0, 6))
    y.sum().backward()


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}, {"proj_size": 2}])
def test_the_parameters_of_each_layer(options):
    ours, theirs = nn.LSTM(3, 4, **options), torch.nn.LSTM(3, 4, **options)
    assert ours._flat_weights_names == theirs._flat_weights_names
    assert [[p.shape for p in layer] for layer in ours.all_weights] == [
        [tuple(p.shape) for p in layer] for layer in theirs.all_weights
    ]
    assert ours._flat_weights[-1] is ours.all_weights[-1][-1]

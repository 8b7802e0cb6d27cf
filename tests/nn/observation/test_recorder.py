"""observe on real training runs: every statistic against NumPy on the same arrays, and all hooks removed."""

import math

import numpy as np
import pytest

import nn
from nn.observation.statistics import SATURATION
from tests.nn.observation.training import batches, digits, perceptron, train


class Spy:
    """All outputs of layers and gradients with respect to them, kept whole: layer -> list of arrays."""

    def __init__(self, layers):
        self.outputs, self.gradients = {name: [] for name in layers}, {name: [] for name in layers}
        for name, layer in layers.items():
            layer.register_forward_hook(lambda layer, args, output, name=name: self.see(name, output))

    def see(self, name, output):
        self.outputs[name].append(output.array.copy())
        output.register_hook(lambda dy: self.gradients[name].append(dy.array.copy()))


def assert_statistics(found, arrays, row, layer, bound=None):
    x = np.concatenate([array.ravel() for array in arrays]).astype(np.float64)
    expected = {"mean": x.mean(), "std": x.std(), "zeros": (x == 0).mean()}
    if bound is not None:
        expected["saturated"] = (np.abs(x - bound[0]) > SATURATION * bound[1]).mean()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name][row, layer], value, rtol=1e-9, atol=1e-15, err_msg=name)


def test_layers_of_a_training_run():
    model = perceptron(middle=nn.Sigmoid)
    with nn.no_grad():
        model[0].weight.mul_(30)  # far into saturation
    optimizer = nn.optim.Adam(model.parameters(), lr=1e-2)
    spy = Spy(dict(model.named_children()))
    with nn.observe(model, optimizer, every=3, quantiles=(0.05, 0.5, 0.95), histogram=32) as log:
        train(model, optimizer, 8)
    assert log.steps == [0, 3, 6] and log.layers == ["0", "1", "2", "3", "4"]
    outputs, gradients = log.activations, log.gradients
    assert "saturated" not in gradients
    for row, step in enumerate(log.steps):
        for layer, name in enumerate(log.layers):
            y, dy = spy.outputs[name][step], spy.gradients[name][step]
            bound = (0.5, 0.5) if name == "1" else None
            assert_statistics(outputs, [y], row, layer, bound)
            assert_statistics(gradients, [dy], row, layer)
            for found, array in ((outputs, y), (gradients, dy)):
                expected = np.quantile(array.astype(np.float64), (0.05, 0.5, 0.95))
                np.testing.assert_allclose(found["quantiles"][row, layer], expected, rtol=1e-5, atol=1e-12)
                counts, edges = found["histogram"]
                assert counts[row, layer].sum() == array.size
                expected = np.histogram(array.astype(np.float64), edges[layer])[0]
                np.testing.assert_array_equal(counts[row, layer], expected)
    assert (outputs["saturated"][:, 1] > 0.05).all()
    assert np.isnan(outputs["saturated"][:, [0, 2, 3, 4]]).all()
    assert (outputs["zeros"][:, 3] > 0.1).all() and (gradients["zeros"][:, 2] > 0.1).all()  # of the rectifier


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_parameters_of_a_training_run(name):
    model = perceptron()
    optimizer = getattr(nn.optim, name)(model.parameters(), lr=1e-2)
    norms, gradients, updates = [], [], []

    class Watched(type(optimizer)):
        def step(self):
            before = [p.array.astype(np.float64) for p in model.parameters()]
            norms.append([np.linalg.norm(b) for b in before])
            gradients.append([np.linalg.norm(p.grad.array.astype(np.float64)) for p in model.parameters()])
            super().step()
            updates.append([np.linalg.norm(p.array - b) for p, b in zip(model.parameters(), before, strict=True)])

    optimizer.__class__ = Watched
    with nn.observe(model, optimizer, every=4) as log:
        train(model, optimizer, 6)
    assert log.steps == [0, 4]
    assert log.parameters == [name for name, _ in model.named_parameters()]
    for key, expected in (("norm", norms), ("gradient_norm", gradients), ("update", updates)):
        np.testing.assert_allclose(log.weights[key], np.array(expected)[[0, 4]], rtol=1e-12)
    np.testing.assert_array_equal(log.weights["ratio"], log.weights["update"] / log.weights["norm"])


def test_observing_changes_nothing():
    results = []
    for observed in (False, True):
        model = perceptron()
        model.append(nn.Dropout(0.1))  # draws from the generator
        optimizer = nn.optim.Adam(model.parameters(), lr=1e-2)
        if observed:
            with nn.observe(model, optimizer, every=1, quantiles=(0.5,), histogram=8):
                losses = train(model, optimizer, 5)
        else:
            losses = train(model, optimizer, 5)
        results.append((losses, [p.array for p in model.parameters()]))
    (losses, parameters), (observed_losses, observed_parameters) = results
    assert losses == observed_losses
    for p, q in zip(parameters, observed_parameters, strict=True):
        np.testing.assert_array_equal(p, q)


def hooks_of(model):
    for module in model.modules():
        yield from (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    yield from (p._hooks for p in model.parameters() if p._hooks is not None)


@pytest.mark.parametrize("with_optimizer", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_hooks_are_removed(with_optimizer, fails):
    model = perceptron()
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    (x, target), *_ = batches(1)
    try:
        with nn.observe(model, optimizer if with_optimizer else None, every=1) as log:
            train(model, optimizer, 2)
            output = model(x)
            assert output.grad_fn.hooks and any(hooks_of(model))
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert fails
    assert not any(hooks_of(model)) and not output.grad_fn.hooks
    assert vars(optimizer).get("step") is None
    assert log.steps == [0, 1, 2]  # the third step ended without an update
    assert np.isnan(log.weights["update"][2]).all()
    before = log.to_dict()
    output.sum().backward()
    train(model, optimizer, 1)
    assert str(log.to_dict()) == str(before)


def test_an_observer_within_another():
    model = perceptron()
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    with nn.observe(model, optimizer, every=1) as outer:
        with nn.observe(model, optimizer, every=2) as inner:
            train(model, optimizer, 3)
        train(model, optimizer, 1)
    assert "step" not in vars(optimizer)
    assert (outer.steps, inner.steps) == ([0, 1, 2, 3], [0, 2])
    np.testing.assert_array_equal(outer.activations["std"][[0, 2]], inner.activations["std"])
    np.testing.assert_array_equal(outer.weights["update"][[0, 2]], inner.weights["update"])


def test_without_an_optimizer():
    model = perceptron()
    with nn.observe(model, every=2) as log:
        norms, gradients = [], []
        for x, target in batches(5):
            norms.append([np.linalg.norm(p.array.astype(np.float64)) for p in model.parameters()])
            nn.functional.cross_entropy(model(x), target).backward()
            gradients.append([np.linalg.norm(p.grad.array.astype(np.float64)) for p in model.parameters()])
            with nn.no_grad():
                for p in model.parameters():
                    p.sub_(p.grad * 0.1)
                    p.grad = None
    assert log.steps == [0, 2, 4]
    np.testing.assert_allclose(log.weights["norm"], np.array(norms)[::2], rtol=1e-12)
    np.testing.assert_allclose(log.weights["gradient_norm"], np.array(gradients)[::2], rtol=1e-12)
    assert np.isnan(log.weights["update"]).all() and np.isnan(log.weights["ratio"]).all()


def test_two_backwards_of_one_step_without_an_optimizer():
    model = perceptron()
    (x, target), *_ = batches(1)
    with nn.observe(model) as log:
        output = model(x)
        for _ in range(2):
            nn.functional.cross_entropy(output, target).backward(retain_graph=True)
    expected = [np.linalg.norm(p.grad.array.astype(np.float64)) for p in model.parameters()]
    np.testing.assert_allclose(log.weights["gradient_norm"][0], expected, rtol=1e-12)


def test_accumulated_gradients_are_one_step():
    model = perceptron()
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    spy = Spy(dict(model.named_children()))
    with nn.observe(model, optimizer, every=2) as log:
        for i, (x, target) in enumerate(batches(9)):
            (nn.functional.cross_entropy(model(x), target) / 3).backward()
            if i % 3 == 2:
                optimizer.step()
                optimizer.zero_grad()
    assert log.steps == [0, 2]
    for row, calls in enumerate([slice(0, 3), slice(6, 9)]):
        for layer, name in enumerate(log.layers):
            assert_statistics(log.activations, spy.outputs[name][calls], row, layer)
            assert_statistics(log.gradients, spy.gradients[name][calls], row, layer)


def test_a_module_used_twice():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.act = nn.Linear(64, 20), nn.Linear(20, 10), nn.Tanh()
            self.same = self.act

        def forward(self, x):
            return self.same(self.second(self.act(self.first(x))))

    nn.manual_seed(0)
    model = Net()
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    spy = Spy({"act": model.act})
    with nn.observe(model, optimizer) as log:
        train(model, optimizer, 1)
    assert log.layers == ["first", "second", "act"]
    assert [y.shape for y in spy.outputs["act"]] == [(32, 20), (32, 10)]
    assert_statistics(log.activations, spy.outputs["act"], 0, 2, bound=(0, 1))
    assert_statistics(log.gradients, spy.gradients["act"], 0, 2)


def test_modules_that_return_tuples_and_one_that_is_not_called():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head, self.spare = nn.LSTM(8, 12, batch_first=True), nn.Linear(12, 10), nn.Linear(2, 2)

        def forward(self, x):
            y, (h, _) = self.lstm(x.reshape(-1, 8, 8))
            return self.head(y[:, -1])

    nn.manual_seed(0)
    model = Net()
    kept = []
    model.lstm.register_forward_hook(lambda module, args, output: kept.append(output[0]))
    optimizer = nn.optim.RMSprop(model.parameters(), lr=1e-3)
    with nn.observe(model, optimizer) as log:
        (x, target), *_ = batches(1)
        loss = nn.functional.cross_entropy(model(x), target)
        kept[0].register_hook(kept.append)
        loss.backward()
        optimizer.step()
    assert_statistics(log.activations, [kept[0].array], 0, 0)
    assert_statistics(log.gradients, [kept[1].array], 0, 0)
    assert all(np.isnan(values[0, 2]) for values in (*log.activations.values(), *log.gradients.values()))
    spare = log.parameters.index("spare.weight")
    assert math.isnan(log.weights["gradient_norm"][0, spare])
    assert log.weights["update"][0, spare] == log.weights["ratio"][0, spare] == 0
    assert log.first_nonfinite is None


@pytest.mark.parametrize("method", ["forward", "hidden"])
def test_gpt(method):
    nn.manual_seed(0)
    model = nn.models.GPT(30, context=8, width=16, layers=2, heads=2)
    optimizer = nn.optim.AdamW(model.parameters(), lr=1e-3)
    ids = nn.Tensor(np.random.default_rng(0).integers(0, 30, (4, 9)))
    with nn.observe(model, optimizer, every=2) as log:
        for _ in range(5):
            optimizer.zero_grad()
            if method == "forward":
                scores = model(ids[:, :-1])
            else:  # the model itself is not called: the step begins with its first layer
                scores = nn.functional.linear(model.hidden(ids[:, :-1]), model.token.weight)
            loss = nn.functional.cross_entropy(scores.reshape(-1, 30), ids[:, 1:].reshape(-1))
            log.record(loss=loss)
            loss.backward()
            optimizer.step()
    assert log.steps == [0, 2, 4] and log.scalars["loss"][0].tolist() == [0, 1, 2, 3, 4]
    assert len(log.layers) == 21 and "blocks.1.attention.qkv" in log.layers
    seen = [name for name, std in zip(log.layers, log.activations["std"][0], strict=True) if std > 0]
    uncalled = {"position"} if method == "forward" else {"position", "head"}  # of the positions, the weight is read
    assert seen == [name for name in log.layers if name not in uncalled]
    assert np.isfinite(log.gradients["std"][:, [name in seen for name in log.layers]]).all()
    assert len(log.parameters) == len(list(model.parameters())) and (log.weights["update"] > 0).all()


def test_validation_between_the_steps_is_not_observed():
    logs = []
    for validates in (True, False):
        model = perceptron()
        optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
        with nn.observe(model, optimizer, every=1) as log:
            for x, target in batches(3):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), target)
                if validates:
                    model.eval()
                    model(x * 2)
                    model.train()
                    with nn.no_grad():
                        model(x * 3)
                loss.backward()
                optimizer.step()
                if validates:
                    nn.training.evaluate(model, [(x, target)], nn.CrossEntropyLoss())
        logs.append(log.to_dict())
    assert str(logs[0]) == str(logs[1]) and logs[0]["steps"] == [0, 1, 2]
    with nn.observe(model.eval()) as log:
        model(x).sum().backward()
    assert log.steps == [] and log.activations == {} and log.table() == "no step was sampled"


def test_a_frozen_layer_and_several_groups():
    model = perceptron()
    model[0].requires_grad_(False)
    groups = [{"params": model[2].parameters(), "lr": 0.1}, {"params": model[4].parameters(), "lr": 0.01}]
    optimizer = nn.optim.SGD(groups)
    scheduler = nn.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    with nn.observe(model, optimizer, every=1) as log:
        for _ in range(3):
            train(model, optimizer, 1)
            scheduler.step()
    for name, first in (("lr", 0.1), ("lr_1", 0.01)):
        steps, values = log.scalars[name]
        assert steps.tolist() == [0, 1, 2]
        np.testing.assert_allclose(values, first * 0.5 ** np.arange(3))
    assert np.isnan(log.gradients["std"][:, :2]).all() and (log.gradients["std"][:, 2:] > 0).all()
    assert np.isnan(log.weights["gradient_norm"][:, :2]).all() and (log.weights["update"][:, :2] == 0).all()
    assert (log.weights["update"][:, 2:] > 0).all()


def test_a_closure():
    model = perceptron()
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    with nn.observe(model, optimizer, every=2) as log:
        for x, target in batches(3):

            def closure(x=x, target=target):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), target)
                loss.backward()
                return loss

            log.record(loss=optimizer.step(closure))
    assert log.steps == [0, 2] and log.scalars["loss"][0].tolist() == [0, 1, 2]
    assert (log.activations["std"] > 0).all() and (log.weights["update"] > 0).all()
    np.testing.assert_allclose(log.weights["update"], 0.1 * log.weights["gradient_norm"], rtol=1e-5)


def test_scalars_belong_to_the_step_of_the_last_forward():
    model = perceptron()
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    with nn.observe(model, optimizer) as log:
        for i, (x, target) in enumerate(batches(3)):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), target)
            log.record(before=i)
            loss.backward()
            optimizer.step()
            log.record(after=nn.tensor(i), loss=loss)
    for name in ("before", "after"):
        steps, values = log.scalars[name]
        assert steps.tolist() == values.tolist() == [0, 1, 2]


def test_chosen_layers():
    model = nn.Sequential({"body": perceptron(), "head": nn.Identity()})
    (x, _), *_ = batches(1)

    def layers(**options):
        with nn.observe(model, **options) as log:
            model(x).sum().backward()
        assert np.isfinite(log.activations["mean"]).all() and np.isfinite(log.gradients["mean"]).all()
        return log.layers

    assert layers() == ["body.0", "body.1", "body.2", "body.3", "body.4", "head"]
    assert layers(layers=["head", "body", "body.1"]) == ["head", "body", "body.1"]
    assert layers(layers=lambda name, module: isinstance(module, nn.Linear)) == ["body.0", "body.2", "body.4"]
    assert layers(layers=lambda name, module: not name) == ["Sequential"]
    with nn.observe(nn.Linear(2, 2)) as log:
        pass
    assert log.layers == ["Linear"]


class TestWatch:
    def diverge(self, model, when, break_it, every=1, steps=6, **options):
        optimizer = nn.optim.SGD(model.parameters(), lr=0.01)
        with nn.observe(model, optimizer, every=every, **options) as log:
            for i in range(steps):
                if i == when:
                    break_it()
                train(model, optimizer, 1, log)
        return log

    def test_a_finite_run(self):
        assert self.diverge(perceptron(), None, None).first_nonfinite is None

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_an_activation(self, value):
        class Shift(nn.Module):
            by = 0.0

            def forward(self, x):
                return x + self.by

        model, shift = perceptron(), Shift()
        model[3] = shift  # in place of the rectifier

        def break_it():
            shift.by = value

        log = self.diverge(model, 3, break_it)
        assert log.first_nonfinite == (3, "3", "activation")

    def test_a_weight(self):
        model = perceptron()

        def break_it():
            model[2].weight.array[1, 2] = math.nan

        log = self.diverge(model, 4, break_it)
        assert log.first_nonfinite == (4, "2", "activation")
        assert (4, "loss", "loss") in log.nonfinite and (4, "2.weight", "parameter") in log.nonfinite
        assert len(set(note[1:] for note in log.nonfinite)) == len(log.nonfinite)

    def test_an_update(self):
        model = perceptron()
        optimizer = nn.optim.SGD([{"params": model[:4].parameters()}, {"params": model[4].parameters()}], lr=0.01)
        with nn.observe(model, optimizer, every=1) as log:
            train(model, optimizer, 2)
            optimizer.param_groups[1]["lr"] = 1e38 * 10
            with np.errstate(all="ignore"):
                train(model, optimizer, 1)
        assert log.first_nonfinite == (2, "4.weight", "parameter")

    def test_a_gradient(self):
        class Root(nn.Module):
            def forward(self, x):
                return (x * x).sqrt() if self.exact else (x * x + 1e-3).sqrt()

        root = Root()
        root.exact = False
        nn.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), root, nn.Linear(16, 10))

        def break_it():
            root.exact = True  # the slope of the root at 0 is infinite, and 0 · ∞ is NaN

        log = self.diverge(model, 2, break_it)
        assert log.first_nonfinite == (2, "1", "gradient")

    def test_the_step_after_a_bad_loss_is_sampled(self):
        model = perceptron()

        def break_it():
            model[2].weight.array[1, 2] = math.nan

        log = self.diverge(model, 3, break_it, every=10)
        assert log.steps == [0, 4]
        assert log.nonfinite[:2] == [(3, "loss", "loss"), (4, "0", "activation")]

    def test_without_watch(self):
        model = perceptron()
        model[0].weight.array[...] = math.nan
        log = self.diverge(model, None, None, every=10, watch=False)
        assert log.first_nonfinite is None and log.steps == [0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"every": 0}, ValueError, "every must be at least 1, got 0"),
        ({"quantiles": (0.5, 1.5)}, ValueError, r"quantiles must be in \[0, 1\], got \(0.5, 1.5\)"),
        ({"layers": ["0", "x.y"]}, ValueError, "Sequential has no module x.y"),
        ({"layers": lambda name, module: False}, ValueError, "there is no layer to observe"),
        ({"optimizer": nn.Linear(1, 1)}, TypeError, "optimizer must be an Optimizer, got Linear"),
        ({"histogram": 7}, ValueError, "the number of bins must be a positive multiple of 4, got 7"),
    ],
)
def test_invalid_options(options, error, message):
    model = perceptron()
    with pytest.raises(error, match=f"observe: {message}"), nn.observe(model, **options):
        pass
    assert not any(hooks_of(model))


def test_a_function_is_not_a_model():
    with pytest.raises(TypeError, match="observe: model must be a Module, got function"), nn.observe(digits):
        pass

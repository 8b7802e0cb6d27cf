"""The training loop: history, validation, metrics, schedules, early stopping, the progress bar."""

import sys

import numpy as np
import pytest

import nn
from nn.data import DataLoader, TensorDataset
from nn.training import accuracy, evaluate, fit


@pytest.fixture
def problem():
    """(training set, held-out set) of two Gaussian clouds."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 2
    points = (rng.standard_normal((150, 2)) + 4 * labels[:, None] - 2).astype(np.float32)
    return TensorDataset(points[:100], labels[:100]), TensorDataset(points[100:], labels[100:])


def network():
    nn.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


loss = nn.functional.cross_entropy


def test_fit_learns_and_reports(problem):
    train, held_out = problem
    model = network()
    optimizer = nn.optim.SGD(model.parameters(), lr=0.5)
    history = fit(
        model,
        DataLoader(train, 16, shuffle=True),
        optimizer,
        loss,
        epochs=5,
        validation=DataLoader(held_out, 50),
        metrics={"accuracy": accuracy},
        scheduler=nn.optim.lr_scheduler.ExponentialLR(optimizer, 0.5),
        progress=False,
    )
    assert set(history) == {"batch_loss", "loss", "accuracy", "validation_loss", "validation_accuracy", "lr"}
    assert len(history["batch_loss"]) == 5 * 7 and len(history["loss"]) == len(history["validation_loss"]) == 5
    assert history["lr"] == [0.5, 0.25, 0.125, 0.0625, 0.03125]
    assert history["loss"][-1] < history["loss"][0] / 2
    assert history["validation_accuracy"][-1] > 0.95
    assert evaluate(model, [tuple(held_out.tensors)], loss)["loss"] == pytest.approx(history["validation_loss"][-1])


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples(problem):
    train, _ = problem
    model = network()
    history = fit(model, DataLoader(train, 16), nn.optim.SGD(model.parameters()), loss, epochs=1, progress=False)
    sizes = [16] * 6 + [4]
    assert history["loss"][0] == pytest.approx(np.average(history["batch_loss"], weights=sizes))


def test_fit_equals_the_loop_written_out(problem):
    train, _ = problem
    model, twin = network(), network()
    nn.manual_seed(1)
    history = fit(
        model, DataLoader(train, 16, shuffle=True), nn.optim.Adam(model.parameters()), loss, epochs=2, progress=False
    )
    nn.manual_seed(1)
    optimizer, losses = nn.optim.Adam(twin.parameters()), []
    for _ in range(2):
        for x, target in DataLoader(train, 16, shuffle=True):
            optimizer.zero_grad()
            value = loss(twin(x), target)
            value.backward()
            optimizer.step()
            losses.append(value.item())
    assert history["batch_loss"] == losses
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(a.array, b.array)


def test_evaluate_uses_evaluation_mode_without_the_tape_and_restores_the_mode(problem):
    _, held_out = problem
    model = network()
    seen = []

    def watch(output, target):
        seen.append((model.training, output.requires_grad))
        return 0.0

    for mode in (True, False):
        model.train(mode)
        evaluate(model, DataLoader(held_out, 20), loss, {"watch": watch})
        assert model.training is mode
    assert seen == [(False, False)] * 6
    with pytest.raises(ZeroDivisionError):
        evaluate(model.train(), DataLoader(held_out, 20), loss, {"broken": lambda output, target: 1 / 0})
    assert model.training and nn.is_grad_enabled()


def test_evaluate_weighs_batches_by_their_size(problem):
    _, held_out = problem
    model = network()
    whole = evaluate(model, DataLoader(held_out, 50), loss, {"accuracy": accuracy})
    parts = evaluate(model, DataLoader(held_out, 15), loss, {"accuracy": accuracy})
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-6)
    assert parts["accuracy"] == pytest.approx(whole["accuracy"], rel=1e-12)


class Scripted(nn.Module):
    """Its one weight counts the steps, and its loss in evaluation follows a script."""

    def __init__(self, script):
        super().__init__()
        self.weight = nn.Parameter(np.zeros(1))
        self.script = script

    def forward(self, x):
        # The gradient of -weight is -1: SGD with rate 1 adds 1 a step.
        return -self.weight if self.training else nn.tensor([self.script[round(self.weight.item()) - 1]])


def run_script(script, patience, **options):
    model = Scripted(script)
    batch = [(nn.zeros(1), nn.zeros(1))]
    optimizer = nn.optim.SGD(model.parameters(), lr=1.0)
    history = fit(
        model,
        batch,
        optimizer,
        lambda output, target: output.sum(),
        epochs=len(script),
        validation=batch,
        patience=patience,
        progress=False,
        **{name: make(optimizer) for name, make in options.items()},
    )
    return model.weight.item(), len(history["loss"])


@pytest.mark.parametrize(
    ("script", "patience", "weight", "epochs"),
    [
        ([5.0, 4.0, 3.0, 3.5, 3.2, 1.0], 2, 3, 5),
        ([5.0, 4.0, 4.5, 3.0, 3.5, 3.6], 2, 4, 6),
        ([5.0, 4.0, 4.5, 4.6, 3.0, 3.1], 3, 5, 6),
        ([1.0, 2.0, 3.0, 4.0], 1, 1, 2),
        ([4.0, 3.0, 2.0], 5, 3, 3),
        ([4.0, float("nan"), float("nan"), 1.0], 2, 1, 3),
        ([float("nan")] * 4, 2, 3, 3),
        ([5.0, 1.0, 7.0], None, 3, 3),
    ],
    ids=["stops", "recovers", "patient", "first", "never", "nan", "only-nan", "off"],
)
def test_early_stopping_restores_the_best_weights(script, patience, weight, epochs):
    assert run_script(script, patience) == (weight, epochs)


def test_plateau_schedule_gets_the_validation_loss():
    made = []

    def plateau(optimizer):
        made.append(nn.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=9))
        return made[0]

    run_script([5.0, 4.0, 4.5], None, scheduler=plateau)
    assert (made[0].best, made[0].num_bad_epochs, made[0].last_epoch) == (4.0, 1, 3)


def test_options_that_need_a_validation_set(problem):
    model = network()
    optimizer = nn.optim.SGD(model.parameters())
    with pytest.raises(ValueError, match="fit: patience needs a validation set"):
        fit(model, DataLoader(problem[0]), optimizer, loss, epochs=1, patience=2, progress=False)
    plateau = nn.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.raises(ValueError, match="fit: ReduceLROnPlateau needs a validation set"):
        fit(model, DataLoader(problem[0]), optimizer, loss, epochs=1, scheduler=plateau, progress=False)


def test_no_batches(problem):
    model = network()
    with pytest.raises(ValueError, match="there are no batches"):
        evaluate(model, [], loss)
    with pytest.raises(ValueError, match="there are no batches"):
        fit(model, [], nn.optim.SGD(model.parameters()), loss, epochs=1, progress=False)


def test_progress_bar(problem, capsys):
    pytest.importorskip("tqdm")
    model = network()
    fit(model, DataLoader(problem[0], 10), nn.optim.SGD(model.parameters()), loss, epochs=2)
    shown = capsys.readouterr().err
    assert "20/20" in shown and "loss=" in shown


def test_without_tqdm(problem, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    model = network()
    optimizer = nn.optim.SGD(model.parameters())
    with pytest.raises(ImportError, match=r"pip install tqdm, or progress=False"):
        fit(model, DataLoader(problem[0], 10), optimizer, loss, epochs=1)
    assert len(fit(model, DataLoader(problem[0], 10), optimizer, loss, epochs=1, progress=False)["loss"]) == 1


def test_accuracy():
    scores = nn.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    assert accuracy(scores, nn.tensor([1, 0, 0, 0])) == 0.75


@pytest.mark.parametrize("fails", [False, True])
def test_evaluation_restores_the_mode_of_each_submodule(problem, fails):
    _, held_out = problem
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()), nn.Linear(2, 2))
    model[1].eval()
    model[1][1].train()
    before = [module.training for module in model.modules()]
    assert before == [True, True, False, False, True, True]
    seen = []

    def watched(output, target):
        seen.append([module.training for module in model.modules()])
        if fails:
            raise ArithmeticError
        return loss(output, target)

    if fails:
        with pytest.raises(ArithmeticError):
            evaluate(model, [tuple(held_out.tensors)], watched)
    else:
        evaluate(model, [tuple(held_out.tensors)], watched)
    assert seen == [[False] * 6]
    assert [module.training for module in model.modules()] == before


def test_fit_keeps_frozen_submodules_in_evaluation_mode(problem):
    train, held_out = problem
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    options = {"epochs": 2, "progress": False, "validation": DataLoader(held_out, 25)}
    model[1].eval()
    fit(model, DataLoader(train, 25), nn.optim.SGD(model.parameters()), loss, **options)
    assert [module.training for module in model] == [True, False, True]
    assert model[1].running_mean.tolist() == [0.0, 0.0] and model[1].num_batches_tracked.item() == 0
    model.eval()
    fit(model, DataLoader(train, 25), nn.optim.SGD(model.parameters()), loss, **options)
    assert all(module.training for module in model.modules())
    assert model[1].num_batches_tracked.item() == 8


def test_fit_reports_a_rate_that_is_a_tensor(problem):
    train, _ = problem
    model = network()
    optimizer = nn.optim.SGD(model.parameters(), lr=nn.tensor(0.5))
    schedule = nn.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    history = fit(model, DataLoader(train, 50), optimizer, loss, epochs=3, scheduler=schedule, progress=False)
    assert history["lr"] == [0.5, 0.25, 0.125]

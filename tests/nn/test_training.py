"""The training loop: history, metrics, arrays, schedules, early stopping, callbacks, checkpoints, the progress bar."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nn
from nn import checkpoint, metrics
from nn.callbacks import CSVLog, TensorBoardLog
from nn.data import DataLoader, TensorDataset
from nn.training import accuracy, evaluate, fit, predict

ROOT = Path(__file__).parents[2]


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


# --- metrics and arrays -----------------------------------------------------------------------------------------------


def test_metrics_by_name(problem):
    _, held_out = problem
    model, batches = network(), DataLoader(held_out, 20)
    expected = evaluate(model, batches, loss, {"accuracy": accuracy})
    assert evaluate(model, batches, loss, "accuracy") == evaluate(model, batches, loss, ["accuracy"]) == expected
    assert evaluate(model, batches, loss, [accuracy, "top_5_accuracy"]) == expected | {"top_5_accuracy": 1.0}
    with pytest.raises(ValueError, match="metrics: there is none named 'acuracy'; there are accuracy, binary_accuracy"):
        evaluate(model, batches, loss, ["acuracy"])
    with pytest.raises(TypeError, match="metrics: must be names or functions .*, got int"):
        evaluate(model, batches, loss, [3])


def test_metrics():
    assert set(metrics.__all__) == {"METRICS", *metrics.METRICS}
    scores = nn.tensor(np.arange(14.0).reshape(2, 7))
    assert metrics.top_5_accuracy(scores, nn.tensor([2, 1])) == 0.5
    logits, target = nn.tensor([[1.0], [-2.0], [0.5], [-1.0]]), nn.tensor([[1.0], [0.0], [0.0], [0.0]])
    assert metrics.binary_accuracy(logits, target) == 0.75
    assert metrics.mean_absolute_error(logits, target) == (0 + 2 + 0.5 + 1) / 4
    assert metrics.mean_squared_error(logits, target) == (0 + 4 + 0.25 + 1) / 4
    with pytest.raises(ValueError, match=r"mean_squared_error: shapes differ: output is \(4, 1\), target is \(4,\)"):
        metrics.mean_squared_error(logits, target[:, 0])


def test_predict(problem):
    _, held_out = problem
    model, (x, y) = network(), held_out.tensors
    expected = model.eval()(x).tolist()
    model.train()
    for inputs in (x, x.numpy(), held_out, DataLoader(held_out, 7), [x.numpy()[:20], x[20:]], [(x, y)]):
        found = predict(model, inputs)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
        assert not found.requires_grad and model.training
    with pytest.raises(ValueError, match="predict: there are no batches"):
        predict(model, [])
    with pytest.raises(TypeError, match="predict: the output must be a Tensor, got tuple"):
        predict(nn.LSTM(2, 3), x)


def test_arrays_are_taken_for_tensors(problem):
    train, held_out = problem
    arrays = [[t.numpy() for t in part.tensors] for part in (train, held_out)]
    results = []
    for data, validation in (
        (tuple(arrays[0]), tuple(arrays[1])),
        (train, held_out),
        (DataLoader(train, 16, shuffle=True), [(x, y) for x, y in [arrays[1]]]),
    ):
        model = network()
        options = {"epochs": 2, "validation": validation, "progress": False, "batch_size": 16}
        results.append(fit(model, data, nn.optim.SGD(model.parameters(), lr=0.1), loss, **options))
    for name in ("batch_loss", "loss"):
        assert results[0][name] == results[1][name] == results[2][name]
    with pytest.raises(TypeError, match="fit: needs batches, a dataset or a pair"):
        fit(model, arrays[0][0], nn.optim.SGD(model.parameters()), loss, epochs=1, progress=False)


def test_float64_says_what_to_do():
    x, y = np.zeros((8, 2)), np.zeros((8, 2))
    model = network()
    options = {"epochs": 1, "progress": False}
    hint = r"Linear: the input is float64.*\.astype\(np\.float32\).*\.double\(\)"
    with pytest.raises(TypeError, match=hint) as caught:
        fit(model, (x, y), nn.optim.SGD(model.parameters()), nn.functional.mse_loss, **options)
    assert len(caught.value.__notes__) == 1
    with pytest.raises(TypeError, match=hint):
        predict(model, x)
    with pytest.raises(TypeError, match=hint):
        model(nn.tensor(x))
    with pytest.raises(TypeError, match=r"the target is float64.*\.astype\(np\.float32\)"):
        fit(model, (x.astype("f"), y), nn.optim.SGD(model.parameters()), nn.functional.mse_loss, **options)
    fit(model.double(), (x, y), nn.optim.SGD(model.parameters()), nn.functional.mse_loss, **options)
    with pytest.raises(TypeError) as caught:
        model(nn.tensor(x.astype("f")))
    assert not hasattr(caught.value, "__notes__")
    with pytest.raises(TypeError, match="got ndarray: nn.tensor makes one of it"):
        model(x)


# --- schedules and callbacks ------------------------------------------------------------------------------------------


def test_a_schedule_of_batches(problem):
    train, _ = problem
    model = network()
    optimizer = nn.optim.SGD(model.parameters(), lr=0.8)
    options = {"epochs": 2, "progress": False, "scheduler_interval": "batch"}
    schedule = nn.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    history = fit(model, DataLoader(train, 50), optimizer, loss, scheduler=schedule, **options)
    assert history["batch_lr"] == [0.8, 0.4, 0.2, 0.1] and schedule.last_epoch == 4
    with pytest.raises(ValueError, match='scheduler_interval must be "epoch" or "batch", got "step"|got \'step\''):
        fit(model, train, optimizer, loss, epochs=1, scheduler_interval="step")
    plateau = nn.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.raises(ValueError, match="ReduceLROnPlateau looks at the validation loss"):
        fit(model, train, optimizer, loss, scheduler=plateau, validation=train, **options)


class Recorder:
    def __init__(self):
        self.seen = []

    def on_train_begin(self, run):
        self.seen.append("begin")

    def on_epoch_begin(self, run):
        self.seen.append(f"epoch {run.epoch}")

    def on_backward_end(self, run):
        nn.utils.clip_grad_norm_(run.model.parameters(), 1e-3)

    def on_batch_end(self, run):
        norm = sum(float((p.grad**2).sum()) for p in run.model.parameters()) ** 0.5
        self.seen.append((run.batch, len(run.history["batch_loss"]), norm < 1.1e-3))

    def on_epoch_end(self, run):
        self.seen.append(len(run.history["loss"]))
        run.stop = run.epoch == 1

    def on_train_end(self, run):
        self.seen.append("end")


def test_callbacks(problem):
    train, _ = problem
    model, recorder = network(), Recorder()
    history = fit(
        model, DataLoader(train, 50), nn.optim.SGD(model.parameters()), loss, epochs=9, progress=False,
        callbacks=[recorder],
    )  # fmt: skip
    first = ["epoch 0", (0, 1, True), (1, 2, True), 1]
    assert recorder.seen == ["begin", *first, "epoch 1", (0, 3, True), (1, 4, True), 2, "end"]
    assert len(history["loss"]) == 2


def test_callbacks_that_would_never_be_called(problem):
    class Misspelt:
        def on_epoch_ends(self, run):
            pass

    for callback, message in ((Misspelt(), "has on_epoch_ends"), (print, "has none")):
        with pytest.raises(TypeError, match=f"fit: a callback has some of the methods on_train_begin.*{message}"):
            fit(network(), problem[0], None, loss, epochs=1, callbacks=[callback])


class Interrupter:
    """Ctrl-C, or another error, after some batches."""

    def __init__(self, batches, error=KeyboardInterrupt):
        self.batches, self.error = batches, error

    def on_batch_end(self, run):
        if len(run.history["batch_loss"]) == self.batches:
            raise self.error


def test_ctrl_c_keeps_the_history(problem):
    train, _ = problem
    model, recorder, given = network(), Recorder(), {}
    arguments = model, DataLoader(train, 25), nn.optim.SGD(model.parameters()), loss
    options = {"epochs": 5, "progress": False, "metrics": ["accuracy"], "history": given}
    with pytest.raises(KeyboardInterrupt, match="fit: interrupted in epoch 2; the error's attribute history") as caught:
        fit(*arguments, **options, callbacks=[recorder, Interrupter(6)])
    assert caught.value.history is given
    assert [len(given[name]) for name in ("batch_loss", "loss", "accuracy")] == [6, 1, 1] and given["unfinished"] == 2
    assert recorder.seen[-1] == "end"
    with pytest.raises(ValueError, match="fit: history must be an empty dict, has batch_loss, loss"):
        fit(*arguments, **options)


def test_csv_log(problem, tmp_path):
    train, held_out = problem
    log = CSVLog(tmp_path / "log.csv")
    options = {"validation": held_out, "metrics": "accuracy", "progress": False, "callbacks": [log]}

    def run(epochs, **more):
        model = network()
        return fit(model, train, nn.optim.SGD(model.parameters()), loss, epochs=epochs, **options, **more)

    def content():
        with open(log.path, newline="") as file:
            return list(csv.DictReader(file))

    def expected(history):
        names = ("loss", "accuracy", "validation_loss", "validation_accuracy", "lr")
        rows = zip(*(history[name] for name in names), strict=True)
        return [dict(zip(("epoch", *names), map(str, (i, *row)), strict=True)) for i, row in enumerate(rows, start=1)]

    path = tmp_path / "run.safetensors"
    assert expected(run(2, checkpoint=path)) == content()
    log.path.write_text("broken,by a crash\n1,")
    history = run(3, checkpoint=path, resume=True)
    assert expected(history) == content() and len(content()) == 3


class Writer:
    def __init__(self):
        self.scalars, self.closed = [], False

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))

    def close(self):
        self.closed = True


def test_tensorboard_log(problem, monkeypatch, tmp_path):
    train, held_out = problem
    model, writer = network(), Writer()
    optimizer = nn.optim.SGD(model.parameters())
    arguments = model, DataLoader(train, 25), optimizer, loss
    options = {"epochs": 1, "progress": False}
    log = TensorBoardLog(writer, every=2)
    history = fit(*arguments, validation=held_out, metrics=["accuracy"], callbacks=[log], **options)
    assert writer.closed and writer.scalars == [
        *(("batch/loss", history["batch_loss"][i - 1], i) for i in (2, 4)),
        ("epoch/loss", history["loss"][0], 1),
        ("epoch/accuracy", history["accuracy"][0], 1),
        ("validation/loss", history["validation_loss"][0], 1),
        ("validation/accuracy", history["validation_accuracy"][0], 1),
        ("epoch/lr", history["lr"][0], 1),
    ]
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match="pip install tensorboardX"):
        fit(*arguments, callbacks=[TensorBoardLog(tmp_path)], **options)


def test_tensorboard_files(problem, tmp_path):
    pytest.importorskip("tensorboardX")
    model = network()
    options = {"epochs": 1, "progress": False, "callbacks": [TensorBoardLog(tmp_path / "runs")]}
    fit(model, problem[0], nn.optim.SGD(model.parameters()), loss, **options)
    (file,) = (tmp_path / "runs").iterdir()
    assert file.name.startswith("events.out.tfevents") and b"validation" not in file.read_bytes()
    assert b"epoch/loss" in file.read_bytes()


# --- checkpoints ------------------------------------------------------------------------------------------------------

RUN = """
import os, random, signal, sys
import numpy as np
import nn
from nn.data import DataLoader, TensorDataset
from nn.training import fit

path, result, kill_at, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

class Kill:
    def on_batch_end(self, run):
        random.random(), np.random.rand()
        if len(run.history["batch_loss"]) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

nn.manual_seed(0)
random.seed(0)
np.random.seed(0)
data = np.random.default_rng(0)
x = data.standard_normal((60, 4), dtype=np.float32)
y = (x[:, 0] > 0).astype(np.int64)
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
optimizer = nn.optim.Adam(model.parameters(), lr=0.01)
schedule = nn.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, epochs=epochs, steps_per_epoch=6)
loader = DataLoader(TensorDataset(x[:48], y[:48]), 8, shuffle=True, generator=np.random.default_rng(7))
history = fit(
    model, loader, optimizer, nn.functional.cross_entropy, epochs=epochs, validation=(x[48:], y[48:]), patience=3,
    scheduler=schedule, scheduler_interval="batch", metrics=["accuracy"], progress=False, callbacks=[Kill()],
    checkpoint=path, resume=True,
)
with open(result, "w") as file:
    print(repr(history), file=file)
    print({name: t.array.tobytes().hex() for name, t in model.state_dict().items()}, file=file)
    states = optimizer.state_dict()["state"].values()
    print([[np.asarray(value).tobytes().hex() for value in state.values()] for state in states], file=file)
    print(nn.rand(1).item(), random.random(), np.random.rand(), schedule.last_epoch, file=file)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_run_resumes_with_the_same_bits(tmp_path, monkeypatch):
    """Killed in the middle of the third epoch, in a process of its own; dropout, shuffling and schedule go on."""

    def arguments(name, kill_at=-1):
        return [str(tmp_path / f"{name}.safetensors"), str(tmp_path / name), str(kill_at), "5"]

    def run(*options):
        command = [sys.executable, "-c", RUN, *arguments(*options)]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        return found.returncode, found.stderr

    monkeypatch.setattr(sys, "argv", ["", *arguments("whole")])
    exec(RUN, {"__name__": "whole"})
    assert run("killed", 15)[0] == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    assert run("killed") == (0, "")
    assert (tmp_path / "killed").read_text() == (tmp_path / "whole").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["killed", "killed.safetensors", "whole", "whole.safetensors"]
    )


@pytest.mark.parametrize("patience", [None, 2])
def test_a_finished_run_is_not_trained_on(problem, tmp_path, patience):
    train, held_out = problem
    path = tmp_path / "run.safetensors"

    def run():
        model = network()
        optimizer = nn.optim.SGD(model.parameters(), lr=30.0)  # it diverges: early stopping ends it
        options = {"validation": held_out, "patience": patience, "progress": False, "checkpoint": path, "resume": True}
        history = fit(model, train, optimizer, loss, epochs=6, **options)
        return len(history["loss"]), repr((history, [p.tolist() for p in model.parameters()]))

    first = run()
    assert run() == first
    assert first[0] == (6 if patience is None else 3)


def test_checkpoints_of_fit_are_ordinary_ones(problem, tmp_path):
    train, _ = problem
    model, path = network(), tmp_path / "run.safetensors"
    optimizer = nn.optim.SGD(model.parameters(), momentum=0.9)
    fit(model, train, optimizer, loss, epochs=1, progress=False, checkpoint=path)
    other = network()
    assert checkpoint.load(path, other, nn.optim.SGD(other.parameters(), momentum=0.9)) == {}
    assert [p.tolist() for p in other.parameters()] == [p.tolist() for p in model.parameters()]
    checkpoint.save(path, model, optimizer)
    with pytest.raises(ValueError, match="fit: .* is a checkpoint, but none that fit wrote"):
        fit(model, train, optimizer, loss, epochs=2, progress=False, checkpoint=path, resume=True)
    with pytest.raises(ValueError, match="fit: resume needs a checkpoint"):
        fit(model, train, optimizer, loss, epochs=2, resume=True)


def test_a_sampler_is_told_the_epoch():
    class Sampler(list):
        epochs = []

        def set_epoch(self, epoch):
            self.epochs.append(epoch)

    data = nn.utils.data.TensorDataset(nn.ones(8, 2), nn.zeros(8, 1))
    loader = nn.utils.data.DataLoader(data, 4, sampler=Sampler(range(8)))
    model = nn.Linear(2, 1)
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    nn.training.fit(model, loader, optimizer, nn.functional.mse_loss, epochs=3, progress=False)
    assert Sampler.epochs == [0, 1, 2]


def test_only_rank_0_writes_the_checkpoint(tmp_path, monkeypatch):
    model, data = nn.Linear(2, 1), (nn.ones(8, 2), nn.zeros(8, 1))
    monkeypatch.setattr(nn.distributed, "is_initialized", lambda: True)
    for rank in (1, 0):
        monkeypatch.setattr(nn.distributed, "get_rank", lambda rank=rank: rank)
        path = tmp_path / f"{rank}.safetensors"
        optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
        nn.training.fit(model, data, optimizer, nn.functional.mse_loss, epochs=1, progress=False, checkpoint=path)
        assert path.exists() == (rank == 0)


@pytest.mark.parametrize(
    "optimizer, loss, message",
    [
        (nn.optim.Adam, nn.functional.mse_loss, "optimizer must be .* got the class Adam"),
        (None, nn.MSELoss, r"got the class MSELoss: pass MSELoss\(\)"),
        (None, "mse", "loss must be a function of output and target, .* got 'mse'"),
    ],
)
def test_a_class_or_a_name_for_a_loss_or_an_optimiser(optimizer, loss, message):
    model = nn.Linear(2, 1)
    optimizer = optimizer or nn.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TypeError, match=message):
        nn.training.fit(model, (nn.ones(4, 2), nn.ones(4, 1)), optimizer, loss, epochs=1, progress=False)


def test_plot_is_there_without_its_import():
    program = "import sys, nn; assert 'matplotlib' not in sys.modules; print(nn.plot.history.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "history\n"

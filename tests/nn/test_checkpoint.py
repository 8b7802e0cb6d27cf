"""Checkpoints: what is saved comes back; what is damaged is refused; what fails leaves everything as it was."""

import copy
import os
import sys

import numpy as np
import pytest
import torch

import nn
from nn import checkpoint

safetensors = pytest.importorskip("safetensors")


class Normed(nn.Module):
    """A net with a buffer, a 0-d parameter and a transposed one."""

    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2))
        self.scale = nn.Parameter(np.float32(1.5))
        self.mixing = nn.Parameter(nn.randn(2, 3).data.T)
        self.register_buffer("seen", nn.tensor([7, 8]))

    def forward(self, x):
        return self.layers(x) * self.scale


def make(seed=0, width=4, steps=2, optimizer=nn.optim.AdamW):
    """A model and its optimiser after some steps; one parameter never has a gradient."""
    nn.manual_seed(seed)
    model = Normed(width)
    optimizer = optimizer(model.parameters(), lr=0.01)
    for _ in range(steps):
        train_step(model, optimizer)
    return model, optimizer


def train_step(model, optimizer):
    optimizer.zero_grad()
    (model(nn.tensor([[1.0, 2.0, 3.0]])) ** 2).sum().backward()
    optimizer.step()


def state(model, optimizer):
    """All arrays and options of both, comparable."""
    saved = optimizer.state_dict()
    arrays = {name: t.data.tolist() for name, t in model.state_dict().items()}
    arrays |= {(n, k): np.asarray(v).tolist() for n, s in saved["state"].items() for k, v in s.items()}
    return arrays, saved["param_groups"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.safetensors"


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p, lr: nn.optim.SGD(p, lr, momentum=0.9),
        lambda p, lr: nn.optim.Adam(p, lr, amsgrad=True),
        nn.optim.AdamW,
        lambda p, lr: nn.optim.RMSprop(p, lr, momentum=0.9, centered=True),
        lambda p, lr: nn.optim.Adagrad(p, lr, lr_decay=0.1),
    ],
    ids=["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"],
)
def test_training_continues_bit_for_bit(optimizer, path):
    model, first = make(optimizer=optimizer)
    hyperparameters = {"width": 4, "name": "ünïcode", "rates": [0.1, 1e-3], "nested": {"none": None, "on": True}}
    checkpoint.save(path, model, first, hyperparameters)
    other, second = make(seed=1, steps=0, optimizer=lambda p, lr: optimizer(p, 5.0))
    assert checkpoint.load(path, other, second) == hyperparameters
    assert state(model, first) == state(other, second)
    for _ in range(3):
        train_step(model, first)
        train_step(other, second)
    assert state(model, first) == state(other, second)


def test_dtypes_and_shapes_survive(path):
    model = nn.Module()
    model.a = nn.Parameter(np.array(2.5))
    model.b = nn.Parameter(np.ones((0, 3), np.float32))
    model.register_buffer("c", nn.tensor([1, 2]))
    checkpoint.save(path, model)
    with safetensors.safe_open(path, framework="np") as file:
        found = {name: file.get_tensor(name) for name in ("a", "b", "c")}
    assert {name: (x.shape, x.dtype) for name, x in found.items()} == {
        "a": ((), np.float64),
        "b": ((0, 3), np.float32),
        "c": ((2,), np.int64),
    }


def test_weights_are_readable_by_other_tools_and_theirs_by_us(path):
    from safetensors.torch import load_file, save_file

    model, _ = make()
    checkpoint.save(path, model)
    weights = load_file(path)
    assert set(weights) == set(model.state_dict())
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(weights[name].numpy(), tensor.data)
    save_file({name: 2 * tensor for name, tensor in weights.items()}, path)
    other, _ = make(seed=1)
    assert checkpoint.load(path, other) == {}
    np.testing.assert_array_equal(other.scale.data, 2 * model.scale.data)
    assert torch.equal(torch.tensor(other.mixing.data), 2 * weights["mixing"])


def test_loading_weights_only_ignores_the_optimiser_state(path):
    model, optimizer = make()
    checkpoint.save(path, model, optimizer)
    other, _ = make(seed=1)
    checkpoint.load(path, other)
    assert {k: v.tolist() for k, v in other.state_dict().items()} == {
        k: v.tolist() for k, v in model.state_dict().items()
    }


# --- damage -----------------------------------------------------------------------------------------------------------


def assert_refused(path, model, optimizer, error, message):
    before = copy.deepcopy(state(model, optimizer))
    with pytest.raises(error, match=message):
        checkpoint.load(path, model, optimizer)
    assert state(model, optimizer) == before


def test_a_truncated_file_is_refused_at_every_length(path):
    model, optimizer = make()
    checkpoint.save(path, model, optimizer)
    whole = path.read_bytes()
    other, second = make(seed=1)
    for length in [0, 4, 8, 20, len(whole) // 2, *range(len(whole) - 3, len(whole))]:
        path.write_bytes(whole[:length])
        assert_refused(path, other, second, ValueError, f"checkpoint {path}: not a whole safetensors file")


def test_a_file_of_another_kind(path):
    path.write_bytes(b"\x80\x04\x95 this is a pickle, not a checkpoint" * 10)
    assert_refused(path, *make(), ValueError, "not a whole safetensors file")


def test_no_file(path):
    assert_refused(path, *make(), FileNotFoundError, f"checkpoint {path}: no such file")
    assert_refused(path.parent, *make(), FileNotFoundError, "no such file")


def test_no_optimiser_state(path):
    checkpoint.save(path, make()[0])
    assert_refused(path, *make(seed=1), ValueError, f"checkpoint {path}: holds no optimiser state")


def test_weights_that_do_not_fit(path):
    checkpoint.save(path, *make(width=5))
    # The optimiser's arrays are checked first; without steps there are none, and the weights must be refused.
    assert_refused(path, *make(seed=1), ValueError, "shapes of exp_avg of parameter .* differ")
    checkpoint.save(path, *make(width=5, steps=0))
    assert_refused(path, *make(seed=1), ValueError, r"layers.0.weight is \(4, 3\), in the state_dict \(5, 3\)")


def test_another_model(path):
    checkpoint.save(path, nn.Linear(3, 4))
    model, _ = make()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="missing keys: .*\n.*unexpected keys: bias, weight|unexpected keys"):
        checkpoint.load(path, model)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.data, before[name].data)


def test_another_optimiser(path):
    checkpoint.save(path, *make())
    assert_refused(
        path,
        *make(seed=1, optimizer=nn.optim.SGD),
        ValueError,
        r"SGD.load_state_dict: parameter group 0 of the state lacks \['dampening', 'momentum', 'nesterov'\]",
    )


@pytest.mark.parametrize("key", ["hyperparameters", "optimizer"])
def test_metadata_that_is_not_json(path, key):
    from safetensors.numpy import save_file

    save_file({"x": np.ones(1)}, path, {"hyperparameters": "{}", "optimizer": "[]", key: "{half"})
    assert_refused(path, *make(), ValueError, f"checkpoint {path}: its {key} are not JSON")


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_the_old_checkpoint_and_no_rubbish(path, monkeypatch):
    model, optimizer = make()
    checkpoint.save(path, model, optimizer)
    before = path.read_bytes()

    def broken(*arguments):
        raise OSError("disk full")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, broken)
            with pytest.raises(OSError, match="disk full"):
                checkpoint.save(path, make(seed=1)[0])
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]


def test_the_file_is_whole_on_disk_before_it_takes_the_name(path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: events.append(("fsync", os.fstat(fd).st_size)) or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda a, b: events.append(("replace", os.stat(a).st_size)) or replace(a, b))
    checkpoint.save(path, make()[0])
    size = path.stat().st_size
    assert events[:2] == [("fsync", size), ("replace", size)]


def test_the_new_file_has_ordinary_permissions(path):
    checkpoint.save(path, make()[0])
    ordinary = path.with_name("ordinary")
    ordinary.touch()
    assert path.stat().st_mode == ordinary.stat().st_mode


def test_hyperparameters_that_are_not_json(path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        checkpoint.save(path, make()[0], hyperparameters={"f": make})
    assert os.listdir(path.parent) == []


def test_a_name_that_would_clash_with_the_optimisers(path):
    model = nn.Sequential({"optimizer/0": nn.Linear(1, 1)})
    with pytest.raises(
        ValueError, match=r"must not begin with 'optimizer/', got \['optimizer/0.weight', 'optimizer/0.bias'\]"
    ):
        checkpoint.save(path, model)


def test_without_safetensors(path, monkeypatch):
    model, _ = make()
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (checkpoint.save, checkpoint.load):
        with pytest.raises(ImportError, match=r"pip install innerloop\[train\]"):
            call(path, model)

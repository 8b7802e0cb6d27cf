"""Checkpoints: a round trip restores everything; damaged files raise; a failed save or load changes nothing."""

import copy
import os
import random
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
        self.mixing = nn.Parameter(nn.randn(2, 3).array.T)
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
    arrays = {name: t.array.tolist() for name, t in model.state_dict().items()}
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


KINDS = [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_random_numbers_continue(kind, path):
    model, optimizer = make()
    generators = np.random.Generator(kind(3)), nn.Generator().manual_seed(4)
    schedule = nn.optim.lr_scheduler.CosineAnnealingLR(optimizer, 7)

    def draw():
        return nn.rand(1).item(), np.random.normal(), random.gauss(0, 1), *(g.normal() for g in generators)

    def further():
        return [draw() for _ in range(3)], schedule.state_dict(), optimizer.param_groups[0]["lr"]

    draw()
    generators[0].integers(3, dtype=np.int32)  # half of a word is left
    schedule.step()
    checkpoint.save(path, model, optimizer, scheduler=schedule, generators=generators)
    expected = further()
    schedule.step()
    checkpoint.load(path, model, optimizer, scheduler=schedule, generators=generators)
    assert further() == expected
    checkpoint.load(path, model, optimizer, random_state=False)
    assert draw() != expected[0][0]
    before = nn.get_rng_state().tolist()
    checkpoint.load(path, model)
    assert nn.get_rng_state().tolist() == before


def test_states_that_are_absent(path):
    model, optimizer = make()
    schedule = nn.optim.lr_scheduler.CosineAnnealingLR(optimizer, 7)
    checkpoint.save(path, model, optimizer)
    with pytest.raises(ValueError, match=f"checkpoint {path}: has no scheduler state"):
        checkpoint.load(path, model, optimizer, scheduler=schedule)
    with pytest.raises(ValueError, match=f"checkpoint {path}: has the state of 0 generators, and 1 are given"):
        checkpoint.load(path, model, optimizer, generators=[nn.Generator()])
    for options in ({"scheduler": schedule}, {"generators": [nn.Generator()]}):
        with pytest.raises(ValueError, match="is of use beside that of the optimiser"):
            checkpoint.save(path, model, **options)


def test_a_failed_load_restores_everything(path):
    model, optimizer = make(width=5)
    schedule = nn.optim.lr_scheduler.CosineAnnealingLR(optimizer, 7)
    checkpoint.save(path, model, optimizer, scheduler=schedule)
    other, second = make(seed=1)
    mine = nn.optim.lr_scheduler.CosineAnnealingLR(second, 9)
    before = nn.get_rng_state().tolist(), mine.state_dict(), copy.deepcopy(state(other, second))
    with pytest.raises(ValueError):
        checkpoint.load(path, other, second, scheduler=mine)
    assert (nn.get_rng_state().tolist(), mine.state_dict(), state(other, second)) == before


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
        np.testing.assert_array_equal(weights[name].numpy(), tensor.array)
    save_file({name: 2 * tensor for name, tensor in weights.items()}, path)
    other, _ = make(seed=1)
    assert checkpoint.load(path, other) == {}
    np.testing.assert_array_equal(other.scale.array, 2 * model.scale.array)
    assert torch.equal(torch.tensor(other.mixing.array), 2 * weights["mixing"])


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


def test_a_file_truncated_at_any_length_raises(path):
    model, optimizer = make()
    checkpoint.save(path, model, optimizer)
    whole = path.read_bytes()
    other, second = make(seed=1)
    for length in [0, 4, 8, 20, len(whole) // 2, *range(len(whole) - 3, len(whole))]:
        path.write_bytes(whole[:length])
        assert_refused(path, other, second, ValueError, f"checkpoint {path}: not a complete safetensors file")


def test_a_file_of_another_kind(path):
    path.write_bytes(b"\x80\x04\x95 this is a pickle, not a checkpoint" * 10)
    assert_refused(path, *make(), ValueError, "not a complete safetensors file")


def test_no_file(path):
    assert_refused(path, *make(), FileNotFoundError, f"checkpoint {path}: no such file")
    assert_refused(path.parent, *make(), FileNotFoundError, "no such file")


def test_no_optimiser_state(path):
    checkpoint.save(path, make()[0])
    assert_refused(path, *make(seed=1), ValueError, f"checkpoint {path}: has no optimiser state")


def test_weights_that_do_not_match(path):
    checkpoint.save(path, *make(width=5))
    # The optimiser's arrays are validated first; without steps there are none, and the weights must raise.
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
        np.testing.assert_array_equal(tensor.array, before[name].array)


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


def test_a_failed_write_leaves_the_old_checkpoint_and_no_temporary_file(path, monkeypatch):
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


def test_the_file_is_complete_on_disk_before_the_rename(path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: events.append(("fsync", os.fstat(fd).st_size)) or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda a, b: events.append(("replace", os.stat(a).st_size)) or replace(a, b))
    checkpoint.save(path, make()[0])
    size = path.stat().st_size
    assert events[:2] == [("fsync", size), ("replace", size)]


def test_the_new_file_has_default_permissions(path):
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
        ValueError, match=r"begin with 'optimizer/' or 'training/', got \['optimizer/0.weight', 'optimizer/0.bias'\]"
    ):
        checkpoint.save(path, model)


def test_without_safetensors(path, monkeypatch):
    model, _ = make()
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (checkpoint.save, checkpoint.load):
        with pytest.raises(ImportError, match="pip install safetensors"):
            call(path, model)


# --- files that exist already -----------------------------------------------------------------------------------------

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o666, 0o755, 0o444])
def test_a_file_that_is_overwritten_keeps_its_permissions(path, mode):
    checkpoint.save(path, make()[0])
    path.chmod(mode)
    modes = []
    replace = os.replace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", lambda a, b: modes.append(os.stat(a).st_mode & 0o7777) or replace(a, b))
        model, _ = make(seed=1)
        checkpoint.save(path, model)
    assert modes == [mode] and path.stat().st_mode & 0o7777 == mode
    path.chmod(0o600)
    other, _ = make(seed=2)
    checkpoint.load(path, other)
    assert other.scale.item() == model.scale.item()


@posix
def test_the_replacement_of_a_private_file_is_never_readable_by_others(path, monkeypatch):
    checkpoint.save(path, make()[0])
    path.chmod(0o600)
    modes, fsync = [], os.fsync
    chmod = type(path).chmod
    monkeypatch.setattr(type(path), "chmod", lambda p, m: modes.append(p.stat().st_mode & 0o777) or chmod(p, m))
    monkeypatch.setattr(os, "fsync", lambda fd: modes.append(os.fstat(fd).st_mode & 0o777) or fsync(fd))
    checkpoint.save(path, make(seed=1)[0])
    assert modes[:2] == [0o600, 0o600]


@posix
@pytest.mark.parametrize("kind", ["absolute", "relative", "chain", "dangling"])
def test_the_target_of_a_link_is_written(path, kind):
    target = path.with_name("elsewhere") / "real.safetensors"
    target.parent.mkdir()
    if kind != "dangling":
        checkpoint.save(target, make()[0])
        target.chmod(0o640)
    path.symlink_to(target.relative_to(path.parent) if kind == "relative" else target)
    link = path
    if kind == "chain":
        link = path.with_name("second.safetensors")
        link.symlink_to(path)
    model, optimizer = make(seed=1)
    checkpoint.save(link, model, optimizer)
    assert link.is_symlink() and path.is_symlink() and not target.is_symlink()
    assert kind == "dangling" or target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(target.parent) == [target.name]
    other, second = make(seed=2)
    for where in (link, target):
        checkpoint.load(where, other, second)
        assert state(other, second) == state(model, optimizer)


@posix
def test_other_than_regular_files_are_not_replaced(path):
    os.mkfifo(path)
    with pytest.raises(ValueError, match=f"checkpoint {path}: exists and is not a regular file"):
        checkpoint.save(path, make()[0])
    assert path.is_fifo()
    with pytest.raises(ValueError, match="is not a regular file"):
        checkpoint.save(path.parent, make()[0])


# --- dtypes and numbers -----------------------------------------------------------------------------------------------


def test_bfloat16_is_read_exactly(path):
    from safetensors.torch import save_file

    bits = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
    tensors = {"weight": bits.reshape(256, 256), "scalar": torch.tensor(-1.5, dtype=torch.bfloat16)}
    tensors |= {"empty": torch.zeros(0, 3, dtype=torch.bfloat16), "single": torch.tensor([0.1])}
    save_file(tensors, path, {"hyperparameters": '{"a": 1}'})
    model = nn.Module()
    for name, tensor in tensors.items():
        setattr(model, name, nn.Parameter(np.ones(tensor.shape, np.float32)))
    assert checkpoint.load(path, model) == {"a": 1}
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(getattr(model, name).array, tensor.float().numpy())


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "bool"])
def test_other_dtypes_that_numpy_has_are_read(path, dtype):
    from safetensors.torch import save_file

    values = torch.tensor([0, 1, 100, 3]).to(getattr(torch, dtype))
    save_file({"weight": values}, path)
    model = nn.Module()
    model.weight = nn.Parameter(np.zeros(4))
    checkpoint.load(path, model)
    np.testing.assert_array_equal(model.weight.array, values.double().numpy())


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("float8_e4m3fn", "F8_E4M3"),
        ("float8_e5m2", "F8_E5M2"),
        ("float8_e4m3fnuz", "F8_E4M3FNUZ"),
        ("float8_e5m2fnuz", "F8_E5M2FNUZ"),
        ("complex64", "C64"),
    ],
)
def test_unsupported_dtypes_are_named(path, dtype, name):
    from safetensors.torch import save_file

    model, optimizer = make()
    weights = {key: torch.tensor(t.numpy().copy("C")) for key, t in model.state_dict().items()}
    weights["scale"] = weights["scale"].to(getattr(torch, dtype))
    save_file(weights, path)
    before = state(model, optimizer)
    with pytest.raises(ValueError, match=rf"checkpoint {path}: tensors must be of .*BF16.*, got scale of {name}$"):
        checkpoint.load(path, model)
    assert state(model, optimizer) == before


@pytest.mark.parametrize("name", ["optimizer/x/exp_avg", "optimizer/0", "optimizer/", "optimizer/-1/exp_avg"])
def test_invalid_names_of_optimiser_arrays(path, name):
    from safetensors.numpy import save_file

    save_file({name: np.ones(1)}, path, {"optimizer": "[]"})
    assert_refused(
        path, *make(), ValueError, rf"checkpoint {path}: '{name}' is not optimizer/<parameter number>/<name>"
    )


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.array, nn.tensor], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_options_that_are_not_python_numbers_are_saved(name, kind, path):
    def build(parameters, lr):
        options = {"lr": kind(0.25), "weight_decay": kind(0.5)}
        options |= {"betas": (kind(0.5), kind(0.75))} if "Adam" in name else {}
        optimizer = getattr(nn.optim, name)(parameters, **options)
        optimizer.param_groups[0]["note"] = np.array([1, 2])
        return optimizer

    model, optimizer = make(optimizer=build)
    schedule = nn.optim.lr_scheduler.ExponentialLR(optimizer, kind(0.5))
    schedule.step()
    checkpoint.save(path, model, optimizer)
    other, second = make(seed=1, steps=0, optimizer=lambda p, lr: getattr(nn.optim, name)(p, lr))
    checkpoint.load(path, other, second)
    group = second.param_groups[0]
    assert (group["lr"], group["weight_decay"], group["initial_lr"], group["note"]) == (0.125, 0.5, 0.25, (1, 2))
    for _ in range(2):
        train_step(model, optimizer)
        train_step(other, second)
    assert state(model, optimizer)[0] == state(other, second)[0]

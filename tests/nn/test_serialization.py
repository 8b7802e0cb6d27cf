"""Tests of nn.save and nn.load: our files, PyTorch's files, and hostile ones."""

import copy
import io
import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

import nn

DTYPES = [torch.float32, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]


def written(obj, **options):
    file = io.BytesIO()
    torch.save(obj, file, **options)
    return file.getvalue()


def read(content):
    return nn.load(io.BytesIO(content))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "sequence"])
def test_tensors_of_every_dtype(zipped):
    tensors = {str(d): (torch.arange(12) % 5).reshape(3, 4).to(d) for d in DTYPES}
    found = read(written(tensors, _use_new_zipfile_serialization=zipped))
    assert list(found) == list(tensors)
    for name, t in tensors.items():
        np.testing.assert_array_equal(found[name].numpy(), t.numpy(), strict=True)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "sequence"])
def test_half_precision_becomes_float32(zipped):
    values = torch.tensor([1.5, -2.25, 3e-5, float("inf")])
    for dtype in (torch.float16, torch.bfloat16):
        found = read(written([values.to(dtype)], _use_new_zipfile_serialization=zipped))[0]
        np.testing.assert_array_equal(found.numpy(), values.to(dtype).float().numpy(), strict=True)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "sequence"])
def test_nests_layouts_and_sharing(zipped):
    base = torch.arange(24.0).reshape(4, 6)
    nest = {
        "epoch": 3,
        "best": 0.25,
        "names": ("a", None, True),
        "ordered": OrderedDict(x=base, y=base.t()[1:3], z=base[::2, 1]),
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "sizes": base.shape,
        "some": {1, 2},
    }
    found = read(written(nest, _use_new_zipfile_serialization=zipped))
    assert found["epoch"] == 3 and found["best"] == 0.25 and found["names"] == ("a", None, True)
    assert found["some"] == {1, 2} and found["sizes"] == (4, 6)
    assert type(found["ordered"]) is OrderedDict
    for name, t in nest["ordered"].items():
        np.testing.assert_array_equal(found["ordered"][name].numpy(), t.numpy(), strict=True)
        assert found["ordered"][name].array.strides == tuple(4 * s for s in t.stride())
    assert np.shares_memory(found["ordered"]["x"].array, found["ordered"]["y"].array)
    assert found["empty"].shape == (0, 3) and found["scalar"].item() == 2.5
    assert isinstance(found["parameter"], nn.Parameter) and found["parameter"].requires_grad


def test_state_dicts_of_modules_and_optimisers():
    theirs = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.LSTM(4, 5))
    ours = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LSTM(4, 5))
    ours.load_state_dict(read(written(theirs.state_dict())))
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].numpy(), value.numpy())
    optimizer = torch.optim.Adam(theirs.parameters())
    for p in theirs.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    found = read(written({"optimizer": optimizer.state_dict(), "epoch": 2}))
    twin = nn.optim.Adam(ours.parameters())
    twin.load_state_dict(found["optimizer"])


class Hostile:
    """Pickles to a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def archive(pickled, **entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as z:
        z.writestr("archive/data.pkl", pickled)
        for name, content in entries.items():
            z.writestr(f"archive/data/{name}", content)
    return file.getvalue()


@pytest.mark.parametrize(
    "obj",
    [
        Hostile(os.system, "touch hostile"),
        Hostile(eval, "1 + 1"),
        Hostile(open, "hostile", "w"),
        {"weight": torch.ones(2), "more": [Hostile(exec, "import os")]},
        torch.nn.Linear(2, 2),
        complex(1, 2),
        np.float64(2),
        np.ones(2),
    ],
    ids=["system", "eval", "open", "exec", "module", "complex", "numpy number", "numpy array"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "sequence"])
def test_everything_else_is_refused(obj, zipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="load: refuses"):
        read(written(obj, _use_new_zipfile_serialization=zipped))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_pickles_by_any_instruction(protocol):
    for obj in (Hostile(eval, "1"), object(), Exception("x")):
        with pytest.raises(ValueError, match="load:"):
            read(archive(pickle.dumps(obj, protocol)))
        with pytest.raises(ValueError, match="load:"):
            read(pickle.dumps(obj, max(protocol, 2)))


@pytest.mark.parametrize(
    ("layout", "stored", "message"),
    [
        ("K\x00K\x05\x85K\x01\x85\x89N", 16, "exceeds its storage of 4 elements"),
        ("K\x02K\x03\x85K\x01\x85\x89N", 16, "exceeds its storage"),
        ("K\x00K\x02\x85J\xff\xff\xff\xff\x85\x89N", 16, "a tensor of shape"),
        ("K\x00K\x02K\x02\x86K\x01\x85\x89N", 16, "a tensor of shape"),
        ("K\x00K\x02\x85J\xff\xff\xff\x7f\x85\x89N", 16, "exceeds its storage"),
        ("K\x00K\x04\x85K\x01\x85\x89N", 12, "has 12 bytes"),
    ],
)
def test_layouts_outside_the_storage(layout, stored, message):
    head = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n("
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"
    content = archive(head + storage + layout.encode("latin1") + b"tR.", **{"0": bytes(stored)})
    with pytest.raises(ValueError, match=message):
        read(content)


def test_damaged_files():
    whole = written({"a": torch.ones(100)})
    for content in (b"", b"PK\x03\x04", whole[: len(whole) // 2], b"\x80\x02N.", b"x" * 100, archive(b"\x80\x02")):
        with pytest.raises(ValueError, match="load:"):
            read(content)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("archive/data.pkl", b"\x80\x02N." + bytes(10**6))
    with pytest.raises(ValueError, match="compressed"):
        read(packed.getvalue())
    with pytest.raises(FileNotFoundError):
        nn.load("nowhere.pt")


def test_our_files(tmp_path):
    nest = {
        "model": nn.Linear(3, 2).state_dict(),
        "history": [0.5, float("nan"), float("inf"), None, True, "x"],
        3: (nn.tensor([1, 2]), np.arange(3), OrderedDict(a=nn.Parameter([1.0]))),
        "empty": {},
    }
    nn.save(nest, tmp_path / "file.safetensors")
    found = nn.load(tmp_path / "file.safetensors")
    assert list(found) == list(nest)
    assert str(found["history"]) == str(nest["history"])
    for name, value in nest["model"].items():
        np.testing.assert_array_equal(found["model"][name].numpy(), value.numpy(), strict=True)
    assert isinstance(found[3], tuple) and isinstance(found[3][1], np.ndarray)
    assert isinstance(found[3][2]["a"], nn.Parameter)
    nn.save(nn.tensor(2.0), tmp_path / "one")
    assert nn.load(tmp_path / "one").item() == 2
    with pytest.raises(TypeError, match="save: cannot write object at a.1"):
        nn.save({"a": [1, object()]}, tmp_path / "bad")
    with pytest.raises(TypeError, match="save: keys must be"):
        nn.save({(1, 2): 3}, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_a_whole_module_needs_a_word():
    model, file = nn.Sequential(nn.Linear(2, 3), nn.ReLU()), io.BytesIO()
    nn.save(model, file)
    with pytest.raises(ValueError, match="load:"):
        read(file.getvalue())
    file.seek(0)
    twin = nn.load(file, weights_only=False)
    x = nn.ones(1, 2)
    np.testing.assert_array_equal(twin(x).detach().numpy(), model(x).detach().numpy())


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 3), nn.Dropout(0.5)])
        self.activation = nn.functional.relu


def test_a_whole_module_of_listed_classes():
    file = io.BytesIO()
    nn.save(Small(), file)
    with pytest.raises(ValueError, match="load: refuses tests.nn.test_serialization.Small"):
        read(file.getvalue())
    with nn.serialization.safe_globals([Small]):
        twin = read(file.getvalue())
        assert type(twin) is Small and twin.layers[0].weight.shape == (3, 2)
        for hostile in (Hostile(os.system, "touch hostile"), Hostile(nn.load, "file")):
            with pytest.raises(ValueError, match="load: refuses"):
                read(pickle.dumps(hostile))
    with nn.serialization.safe_globals([nn.Linear]), pytest.raises(ValueError, match="refuses .*Small"):
        read(file.getvalue())


def test_pickle_and_deepcopy():
    model = nn.Linear(2, 2)
    state = model.state_dict()  # detached tensors share the memory of the module
    _ = model.weight[0], model.weight.detach()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.weight.detach().numpy(), model.weight.detach().numpy())
        assert isinstance(twin.weight, nn.Parameter) and twin.weight.requires_grad
        assert not np.shares_memory(twin.weight.array, model.weight.array)
    twin = pickle.loads(pickle.dumps(state))
    assert twin.keys() == state.keys()
    model(nn.ones(1, 2)).sum().backward()
    assert pickle.loads(pickle.dumps(model.weight)).grad.tolist() == model.weight.grad.tolist()
    with pytest.raises(RuntimeError, match="pickle: this is the result of mul"):
        pickle.dumps(model.weight * 2)

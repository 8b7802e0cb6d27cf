"""Dtypes, devices, and what a tensor says about its memory, against PyTorch."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree

A = np.arange(6.0).reshape(2, 3) - 2
DTYPES = ["float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"]
# A function of the library and of a tensor
CASES = {
    "to dtype": lambda m, x: x.to(m.float32),
    "to device": lambda m, x: x.to("cpu"),
    "to device object": lambda m, x: x.to(m.device("cpu")),
    "to device, dtype": lambda m, x: x.to("cpu", m.int32),
    "to keywords": lambda m, x: x.to(device="cpu", dtype=m.float32, non_blocking=True, copy=True),
    "to positions": lambda m, x: x.to(m.float32, True, True),
    "to other": lambda m, x: x.to(m.zeros(1, dtype=m.int16)),
    "to python": lambda m, x: x.to(int),
    "type": lambda m, x: x.type(m.float32),
    "type name": lambda m, x: x.type("torch.LongTensor"),
    "type_as": lambda m, x: x.type_as(m.zeros(1)),
    "float": lambda m, x: x.float(),
    "double": lambda m, x: x.float().double(),
    "long": lambda m, x: x.long(),
    "int": lambda m, x: x.int(),
    "short": lambda m, x: x.short(),
    "char": lambda m, x: x.char(),
    "byte": lambda m, x: x.abs().byte(),
    "bool": lambda m, x: x.bool(),
    "cpu": lambda m, x: x.cpu(),
    "contiguous": lambda m, x: x.mT.contiguous(),
    "clone": lambda m, x: x.clone(memory_format=m.preserve_format),
    "memory format": lambda m, x: x[None, None].to(memory_format=m.channels_last),
}


@pytest.mark.parametrize("case", CASES)
def test_conversions(case):
    agree(CASES[case](nn, nn.tensor(A)), CASES[case](torch, torch.tensor(A)))


def test_the_same_tensor_or_a_copy():
    for m in (nn, torch):
        x = m.zeros(2)
        assert x.to(m.float32) is x and x.to("cpu") is x and x.cpu() is x and x.float() is x
        assert x.to(m.device("cpu"), m.float32) is x and x.contiguous() is x and x.type(m.float32) is x
        copy = x.to(m.float32, copy=True)
        assert copy is not x and copy.data_ptr() != x.data_ptr()
        assert x.detach_() is x


def test_numpy_by_force():
    for m in (nn, torch):
        x = m.tensor(A, requires_grad=True)
        np.testing.assert_array_equal((x * 2).numpy(force=True), A * 2)
        with pytest.raises(RuntimeError):
            x.numpy()


def test_gradients_pass_conversions():
    results = []
    for m in (nn, torch):
        x = m.tensor(A, requires_grad=True)
        y = (x.float().mT.contiguous() * 2).to(dtype=m.float64, copy=True)
        y.backward(m.tensor(A.T.copy()))
        results.append(x.grad)
    agree(*results)


@pytest.mark.parametrize("dtype", DTYPES)
def test_names_and_sizes(dtype):
    ours, theirs = (m.zeros(2, 3, dtype=getattr(m, dtype)) for m in (nn, torch))
    for name in ("type", "element_size", "nelement", "numel", "dim", "ndimension", "stride", "storage_offset",
                 "is_contiguous", "get_device", "is_pinned"):  # fmt: skip
        assert getattr(ours, name)() == getattr(theirs, name)()
    for name in ("itemsize", "nbytes", "is_cuda", "is_sparse", "is_leaf", "ndim"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert str(ours.device) == str(theirs.device) == "cpu"
    assert ours.size() == tuple(theirs.size()) and ours.size(-1) == 3 and ours.size().numel() == 6


def test_strides_and_offsets_of_views():
    ours, theirs = (m.zeros(4, 6) for m in (nn, torch))
    for view in (lambda x: x.mT, lambda x: x[1:, ::2], lambda x: x[2], lambda x: x[1, 3], lambda x: x.expand(2, 4, 6)):
        x, y = view(ours), view(theirs)
        assert (x.stride(), x.storage_offset(), x.is_contiguous()) == (
            y.stride(),
            y.storage_offset(),
            y.is_contiguous(),
        )
        assert x.data_ptr() - ours.data_ptr() == y.data_ptr() - theirs.data_ptr()
    assert ours.stride(0) == theirs.stride(0)


@pytest.mark.parametrize("arguments", [("cpu",), ("cuda",), ("cuda:1",), ("cuda", 1), ("cpu:0",), ("mps",)])
def test_names_of_devices(arguments):
    ours, theirs = (m.device(*arguments) for m in (nn, torch))
    assert (str(ours), repr(ours), ours.type, ours.index) == (str(theirs), repr(theirs), theirs.type, theirs.index)
    assert ours == nn.device(str(ours)) and hash(ours) == hash(nn.device(ours)) and ours != str(ours)


def test_there_is_no_gpu():
    assert not nn.cuda.is_available() and nn.cuda.device_count() == 0
    assert not nn.backends.cudnn.is_available() and not nn.backends.mps.is_available()
    nn.cuda.manual_seed(0), nn.cuda.manual_seed_all(0), nn.cuda.empty_cache(), nn.cuda.synchronize()
    nn.backends.cudnn.benchmark, nn.backends.cuda.matmul.allow_tf32 = False, False
    device = nn.device("cuda" if nn.cuda.is_available() else "cpu")
    with device:
        assert nn.zeros(2, device=device).to(device).device == device


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.cuda(), RuntimeError, "'cuda' is not available; the only device is 'cpu'"),
        (lambda x: x.to("cuda:0"), RuntimeError, "'cuda:0' is not available"),
        (lambda x: x.to(nn.device("mps")), RuntimeError, "'mps' is not available"),
        (lambda x: x.to(0), RuntimeError, "there is no GPU number 0"),
        (lambda x: nn.device("gpu"), RuntimeError, "device: expected one of cpu, cuda"),
        (lambda x: nn.device("cuda:x"), RuntimeError, "expected one index, a number"),
        (lambda x: nn.device(3), TypeError, "device: type must be a str"),
        (lambda x: nn.cuda.set_device(0), RuntimeError, "not available"),
        (lambda x: nn.cuda.current_device(), RuntimeError, "not available"),
        (lambda x: x.half(), TypeError, "half: there is no float16"),
        (lambda x: x.bfloat16(), TypeError, "bfloat16: there is no bfloat16"),
        (lambda x: x.to(np.float16), TypeError, "to: dtype must be one of float32, float64"),
        (lambda x: x.to(np.complex64), TypeError, "to: dtype must be one of"),
        (lambda x: x.type("torch.HalfTensor"), ValueError, "type: expected a dtype or one of FloatTensor"),
        (lambda x: x.requires_grad_().mul(1)[0].detach_(), RuntimeError, "a view cannot be cut off"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(nn.zeros(2))

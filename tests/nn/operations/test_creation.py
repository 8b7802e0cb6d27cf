"""New tensors, their dtypes and shapes, against PyTorch."""

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree, same_twice

RNG = np.random.default_rng(0)
A, CUBE = RNG.standard_normal((3, 4)), RNG.standard_normal((2, 3, 4))
DTYPES = ["float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool"]
# A function of the library, nn or torch, whose result is compared
CASES = {
    "zeros": lambda m: m.zeros(2, 3),
    "zeros list": lambda m: m.zeros([2, 3]),
    "zeros size": lambda m: m.zeros(size=(2, 3)),
    "zeros none": lambda m: m.zeros(()),
    "ones": lambda m: m.ones((2, 3), dtype=m.int64),
    "full": lambda m: m.full((2, 3), 1.5),
    "full integer": lambda m: m.full((2,), 7),
    "full bool": lambda m: m.full((2,), True),
    "full dtype": lambda m: m.full((2,), 7, dtype=m.float64),
    "full tensor": lambda m: m.full((2,), m.tensor(7)),
    "zeros_like": lambda m: m.zeros_like(m.tensor(A)),
    "ones_like": lambda m: m.ones_like(m.tensor(A), dtype=m.int32),
    "full_like": lambda m: m.full_like(m.tensor([1, 2]), 3.7),
    "new_zeros": lambda m: m.tensor(A).new_zeros(2, 3),
    "new_zeros size": lambda m: m.tensor([1]).new_zeros((2, 3)),
    "new_ones": lambda m: m.tensor([1]).new_ones(2, dtype=m.float32),
    "new_full": lambda m: m.tensor(A).new_full((2, 2), 3),
    "new_tensor": lambda m: m.tensor(A).new_tensor([1, 2]),
    "arange": lambda m: m.arange(5),
    "arange float": lambda m: m.arange(0, 1, 0.1),
    "arange backwards": lambda m: m.arange(5, -1, -2),
    "arange negative float": lambda m: m.arange(1.0, -1.0, -0.3),
    "arange dtype": lambda m: m.arange(4, dtype=m.float64),
    "arange float to int": lambda m: m.arange(0.5, 4, 1, dtype=m.int64),
    "arange tensor": lambda m: m.arange(m.tensor(3)),
    "arange long": lambda m: m.arange(0, 100, 0.7, dtype=m.float32),
    "linspace": lambda m: m.linspace(-1, 2, 7),
    "linspace one": lambda m: m.linspace(3, 5, 1),
    "linspace none": lambda m: m.linspace(3, 5, 0),
    "linspace dtype": lambda m: m.linspace(0, 1, 11, dtype=m.float64),
    "logspace": lambda m: m.logspace(-2, 2, 5, dtype=m.float64),
    "logspace base": lambda m: m.logspace(0, 4, 5, base=2),
    "eye": lambda m: m.eye(3),
    "eye columns": lambda m: m.eye(2, 4, dtype=m.int64),
    "tril_indices": lambda m: m.tril_indices(3, 4),
    "tril_indices offset": lambda m: m.tril_indices(3, 4, 1),
    "triu_indices": lambda m: m.triu_indices(4, 3, offset=-1),
    "tensor list": lambda m: m.tensor([[1.0, 2], [3, 4]]),
    "tensor integers": lambda m: m.tensor([1, 2]),
    "tensor bool": lambda m: m.tensor([True, False]),
    "tensor number": lambda m: m.tensor(3.5),
    "tensor empty": lambda m: m.tensor([]),
    "tensor dtype": lambda m: m.tensor([1, 2], dtype=m.float64),
    "tensor of tensors": lambda m: m.tensor([m.tensor(1.0), m.tensor(2.0)]),
    "tensor of numpy": lambda m: m.tensor(np.float64(3)),
    "as_tensor": lambda m: m.as_tensor([1.0, 2.0], dtype=m.float64),
    "asarray": lambda m: m.asarray([1, 2]),
    "tril": lambda m: m.tril(m.ones(4, 4, dtype=m.bool)),
    "triu": lambda m: m.triu(m.ones(2, 4, 5), diagonal=1),
    "meshgrid x": lambda m: m.meshgrid(m.arange(3), m.arange(4), indexing="xy")[0],
    "meshgrid y": lambda m: m.meshgrid(m.arange(3), m.arange(4), indexing="xy")[1],
    "meshgrid ij": lambda m: m.meshgrid([m.arange(3), m.arange(4), m.arange(2)], indexing="ij")[2],
    "diag": lambda m: m.diag(m.tensor([1, 2, 3]), 1),
    "trace": lambda m: m.trace(m.tensor([[1, 2], [3, 4]])),
}


@pytest.mark.parametrize("case", CASES)
def test_values(case):
    agree(CASES[case](nn), CASES[case](torch), 2e-7)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    for name in ("zeros", "ones", "empty"):
        ours, theirs = (getattr(m, name)(2, dtype=getattr(m, dtype), device="cpu") for m in (nn, torch))
        assert str(theirs.dtype) == f"torch.{ours.dtype}" == f"torch.{dtype}" and ours.shape == theirs.shape
    if dtype != "bool":
        agree(*(m.arange(3, dtype=getattr(m, dtype)) for m in (nn, torch)))
    agree(*(m.full((2,), 1, dtype=getattr(m, dtype)) for m in (nn, torch)))
    agree(*(m.tensor([1, 0], dtype=getattr(m, dtype)) for m in (nn, torch)))


GRADIENTS = {
    "tril": lambda m, x: m.tril(x, -1),
    "triu": lambda m, x: x.triu(1),
    "diagonal": lambda m, x: m.diagonal(x, 1) * x.diagonal(1),
    "diagonal below": lambda m, x: x.diagonal(offset=-1) ** 2,
    "diag": lambda m, x: m.diag(x),
    "diag_embed": lambda m, x: m.diag_embed(x, 1) ** 2,
    "diag_embed dims": lambda m, x: m.diag_embed(x, dim1=0, dim2=2),
    "trace": lambda m, x: m.trace(x) ** 2,
    "meshgrid": lambda m, x: m.meshgrid(x[0], x[:, 1], indexing="xy")[1] ** 2,
    "zeros_like": lambda m, x: x * m.ones_like(x),
}


@pytest.mark.parametrize("case", GRADIENTS)
def test_gradients(case):
    same_twice(lambda x: GRADIENTS[case](nn, x), A, reference=lambda x: GRADIENTS[case](torch, x))


def test_diagonals_of_stacks():
    same_twice(lambda x: nn.diagonal(x, 0, 2, 1) ** 2, CUBE, reference=lambda x: torch.diagonal(x, 0, 2, 1) ** 2)


def test_a_diagonal_is_a_view():
    for m in (nn, torch):
        x = m.zeros(3, 4)
        x.diagonal(1).fill_(2.0)
        assert x.tolist() == np.eye(3, 4, 1).__mul__(2).tolist()
        assert m.diag(x).sum() == 0


def test_requires_grad_and_out():
    for name, arguments in (("zeros", (2,)), ("full", ((2,), 1.0)), ("arange", (3.0,)), ("linspace", (0, 1, 3)),
                            ("eye", (2,)), ("tensor", ([1.0],)), ("rand", (2,)), ("randn", (2,))):  # fmt: skip
        assert getattr(nn, name)(*arguments, requires_grad=True).requires_grad
    out = nn.ones(3)
    assert nn.arange(3, out=out) is out and out.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"zeros: the result is \(2,\), out is \(3,\)"):
        nn.zeros(2, out=out)


def test_memory_is_shared_where_pytorch_shares_it():
    for m in (nn, torch):
        array = np.zeros(2, np.float32)
        m.as_tensor(array)[0] = 1
        m.from_numpy(array)[1] = 2
        m.tensor(array).fill_(7)
        m.asarray(array, copy=True).fill_(7)
        assert array.tolist() == [1, 2]
        x = m.zeros(2)
        assert m.as_tensor(x) is x and m.asarray(x) is x
        m.from_dlpack(x)[0] = 5
        m.from_dlpack(x, copy=True)[0] = 7
        assert x.tolist() == [5, 0]


def test_the_default_dtype():
    try:
        for m in (nn, torch):
            m.set_default_dtype(m.float64)
        assert nn.get_default_dtype() == nn.float64
        for case in (
            "zeros",
            "full",
            "arange float",
            "linspace",
            "tensor list",
            "tensor number",
            "eye",
            "logspace base",
        ):
            agree(CASES[case](nn), CASES[case](torch), 1e-12)
        agree(nn.tensor([1, 2]) / 2, torch.tensor([1, 2]) / 2)
        agree(nn.sin(nn.tensor([1, 2])), torch.sin(torch.tensor([1, 2])))
        agree(nn.tensor([1, 2]) * 0.5, torch.tensor([1, 2]) * 0.5)
        assert nn.rand(2).dtype == nn.randn(2).dtype == nn.float64
        assert repr(nn.zeros(1)) == repr(torch.zeros(1))
    finally:
        for m in (nn, torch):
            m.set_default_dtype(m.float32)
    with pytest.raises(TypeError, match="needs float32 or float64"):
        nn.set_default_dtype(nn.int64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.zeros(2, dtype=np.float16), TypeError, "zeros: dtype must be one of"),
        (lambda: nn.zeros(2, dtype="no"), TypeError, "zeros: expected a dtype"),
        (lambda: nn.zeros(2, device="cuda"), RuntimeError, "'cuda' is not available; the only device is 'cpu'"),
        (lambda: nn.zeros_like(nn.ones(2), device="mps"), RuntimeError, "'mps' is not available"),
        (lambda: nn.tensor([1.0], device="gpu"), RuntimeError, "expected one of cpu, cuda"),
        (lambda: nn.arange(3, 0), ValueError, "does not lead from 3 to 0"),
        (lambda: nn.from_numpy([1]), TypeError, "from_numpy: expected an ndarray, got list"),
        (lambda: nn.tril(nn.ones(3)), ValueError, "tril: needs at least 2 dimensions"),
        (lambda: nn.diag(nn.ones(1, 1, 1)), ValueError, "diag: needs a vector or a matrix"),
        (lambda: nn.diagonal(nn.ones(2, 2), 0, 1, -1), ValueError, "the same dimension"),
        (lambda: nn.meshgrid(nn.ones(2, 2), indexing="ij"), ValueError, "needs vectors or numbers"),
        (lambda: nn.meshgrid(nn.ones(2), indexing="up"), ValueError, "indexing must be"),
    ],
)  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.parametrize(
    "make",
    [
        lambda m: m.tensor([[m.tensor([1.5])], [m.tensor([2.5])]]),
        lambda m: m.tensor([m.tensor(1), m.tensor([[2]])]),
        lambda m: m.tensor((3, m.tensor([2.0]))),
        lambda m: m.tensor([m.tensor([2.0], requires_grad=True) * 2, 1]),
        lambda m: m.as_tensor([m.tensor([2]), m.tensor([3])], dtype=m.float64),
    ],
)
def test_tensors_of_one_element_in_lists_are_numbers(make):
    np.testing.assert_array_equal(make(nn).numpy(), make(torch).numpy(), strict=True)

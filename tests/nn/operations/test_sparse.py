"""Tests of nn.operations.sparse: the values are those of PyTorch's sparse tensors."""

import numpy as np
import pytest
import torch

import nn
from nn.operations import sparse

INDICES = [[0, 1, 1, 0], [2, 0, 0, 2]]  # both places twice


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
@pytest.mark.parametrize("size", [None, (3, 4)])
def test_values_and_gradient(size):
    weights, results = np.arange(12.0).reshape(3, 4), []
    for module, make in ((nn, sparse.sparse_coo_tensor), (torch, torch.sparse_coo_tensor)):
        values = module.tensor([1.0, 2.0, 3.0, 4.0], dtype=module.float64, requires_grad=True)
        dense = make(module.tensor(INDICES), values, *(() if size is None else (size,))).coalesce().to_dense()
        (dense * module.tensor(weights[: dense.shape[0], : dense.shape[1]])).sum().backward()
        results.append((dense.detach().numpy(), values.grad.numpy()))
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(mine, theirs, strict=True)


def test_products():
    x = nn.ones(3, 2)
    a = sparse.sparse_coo_tensor(np.array(INDICES), nn.ones(4), (3, 3), dtype=nn.int64)
    assert a.dtype == np.int64 and (nn.eye(3) + a).to_sparse().dtype == np.float32
    assert sparse.spmm(nn.eye(3) + a, x).tolist() == [[3.0, 3.0], [3.0, 3.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[0, 1]], [1.0]), ValueError, r"indices are \(1, 2\), values \(1,\)"),
        (([[0, 1]], [1.0, 2.0], (2, 2)), ValueError, r"size \(2, 2\) does not fit"),
        (([[0, 5]], [1.0, 2.0], (2,)), IndexError, "out of bounds"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        sparse.sparse_coo_tensor(*arguments)

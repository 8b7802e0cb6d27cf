"""A kernel of every family against the reference, and a training of `nn`: ``python -m tests.smoke [FAMILY ...]``.

For a machine or an interpreter that lacks most of what the suite needs; NumPy, Numba and threadpoolctl suffice.
"""

import sys
from importlib import import_module
from time import perf_counter

import numpy as np

import kernels
import nn

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def leaves(value):
    """The arrays of a nested result."""
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


# family -> (function, arguments, options)
CASES = {
    "gemm": ("matmul", (normal(37, 65), normal(65, 43)), {}),
    "affine": ("linear", (normal(9, 20), normal(33, 20), normal(33), "relu"), {}),
    "mlp": ("feed_forward", (normal(9, 16), normal(40, 16), normal(40), normal(16, 40), normal(16)), {}),
    "convolution": ("conv2d", (normal(2, 5, 9, 11), normal(7, 5, 3, 3), normal(7)), {"padding": 1}),
    "convolution, backward": (
        "conv2d_backward",
        (normal(2, 7, 9, 11), normal(2, 5, 9, 11), normal(7, 5, 3, 3), 1, 1),
        {},
    ),
    "attention": ("scaled_dot_product_attention", (normal(2, 19, 16), normal(2, 19, 16), normal(2, 19, 16)), {}),
    "recurrent": ("lstm", (normal(5, 3, 10), None, normal(48, 10), normal(48, 12), normal(48), normal(48)), {}),
    "normalization": ("layer_norm", (normal(5, 37), (37,), normal(37), normal(37)), {}),
    "pooling": ("max_pool2d", (normal(2, 3, 9, 9), 3, 2, 1), {}),
    "reduction": ("softmax", (normal(5, 37), 1), {}),
    "scan": ("cumsum", (normal(5, 37), 1), {}),
    "sorting": ("sort", (normal(5, 37), 1), {}),
    "lookup": ("embedding", (rng.integers(0, 9, (4, 3)), normal(9, 17)), {}),
    "loss": ("cross_entropy", (normal(6, 11), rng.integers(0, 11, 6)), {}),
    "activation": ("gelu", (normal(5, 37),), {}),
}


def check(family):
    """Compare a kernel with the reference in float64."""
    name, arguments, options = CASES[family]
    module = import_module(f"kernels.reference.{family.partition(',')[0]}")
    wide = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype == np.float32 else a for a in arguments]
    found, expected = getattr(kernels, name)(*arguments, **options), getattr(module, name)(*wide, **options)
    for one, other in zip(leaves(found), leaves(expected), strict=True):
        assert one.shape == other.shape, f"{name}: {one.shape} for {other.shape}"
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5, err_msg=name)


def train():
    """A small network learns: the tape, the optimiser, the loss."""
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = nn.optim.Adam(model.parameters(), lr=0.05)
    x = nn.Tensor(normal(64, 8))
    target = nn.Tensor(x.array[:, :3].argmax(axis=1))
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0], losses[-1]


def main():
    kernels.show_config()
    for name in sys.argv[1:] or [*CASES, "training"]:
        start = perf_counter()
        train() if name == "training" else check(name)
        print(f"  {name:<24}{perf_counter() - start:6.1f} s", flush=True)
    print("smoke: all right on", sys.version.split()[0])


if __name__ == "__main__":
    main()

"""einops' functions on our tensors, where einops is installed."""

import numpy as np
import pytest

import nn
from tests.nn.compare import same_function

einops = pytest.importorskip("einops")
import nn.einops  # noqa: E402

X = np.random.default_rng(0).standard_normal((2, 4, 6))
PATTERNS = {
    "rearrange": lambda m, x: (
        einops.rearrange(x, "b (h p) w -> b h (w p)", p=2), einops.rearrange([x, x], "k b h w -> b h (k w)"),
        einops.rearrange(x, "b ... -> ... b"),
    ),
    "reduce": lambda m, x: [
        einops.reduce(x, "b (h 2) w -> b w", how) for how in ("mean", "sum", "max", "min", "prod")
    ],
    "repeat": lambda m, x: (einops.repeat(x, "b h w -> b (h 2) w k", k=3), einops.repeat(x, "b h w -> b h w 1")),
    "einsum": lambda m, x: einops.einsum(x, x, "batch row c, batch column c -> batch row column"),
    "pack": lambda m, x: einops.unpack(*einops.pack([x, x[:, :, 0]], "b *"), "b *"),
}  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
def test_einops(name):
    same_function(PATTERNS[name], X)


def test_backend():
    backend = nn.einops.Backend()
    assert backend.from_numpy(X).requires_grad
    np.testing.assert_array_equal(backend.to_numpy(backend.from_numpy(X)), X)
    assert backend.arange(1, 4).tolist() == [1, 2, 3]
    assert backend.is_float_type(nn.ones(1))
    assert not backend.is_float_type(nn.ones(1).long())
    assert backend.tile(nn.ones(2), (2,)).shape == (4,)
    assert einops.reduce(nn.ones(2, 3) > 0, "a b -> a", "all").tolist() == [True, True]
    with pytest.raises(NotImplementedError, match="einops: unknown reduction 'median'"):
        backend.reduce(nn.ones(2), "median", (0,))

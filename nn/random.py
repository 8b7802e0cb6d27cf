"""Random numbers: one generator, which `manual_seed` seeds, or another one where `generator` is given.

The numbers are NumPy's, not PyTorch's: of one distribution, but not the same ones for the same seed.
"""

from typing import Any

import numpy as np

from nn.device import CPU, require_cpu
from nn.dtypes import checked, int64, uint8
from nn.operations.arguments import array_of, bool_of, inexact, int_of, scalar_of
from nn.operations.creation import dtype_of, made, size_of
from nn.operations.layout import preserve_format, strided
from nn.storage import Tensor, wrap

__all__ = ["Generator", "bernoulli", "default_generator", "generator", "get_rng_state", "initial_seed", "manual_seed"]
__all__ += ["multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like"]
__all__ += ["randperm", "seed", "set_rng_state"]


class Generator(np.random.Generator):
    """A generator of random numbers, NumPy's with PyTorch's methods, seeded by the system.

    Parameters
    ----------
    device : str or device, default "cpu"
        The CPU.

    Examples
    --------
    >>> import nn
    >>> nn.rand(2, generator=nn.Generator().manual_seed(0)).shape
    (2,)
    """

    def __init__(self, device: Any = "cpu"):
        require_cpu(device)
        super().__init__(np.random.PCG64())
        self.device = CPU
        self.seed()

    def __reduce__(self):
        return _restored, (type(self), self.bit_generator.state, self._seed)

    def manual_seed(self, seed):
        """Seed the generator; return self. Negative seeds count down from 2⁶⁴."""
        if not isinstance(seed, (int, float, np.number)):
            raise TypeError(f"manual_seed: seed must be an int, got {type(seed).__name__}")
        self._seed = int(seed) % 2**64
        self.bit_generator.state = np.random.PCG64(self._seed).state
        return self

    def seed(self):
        """Seed the generator by the system; return the seed.

        Examples
        --------
        >>> import nn
        >>> nn.seed() == nn.initial_seed()
        True
        """
        self.manual_seed(np.random.SeedSequence().entropy % 2**64)
        return self._seed

    def initial_seed(self):
        """The last seed."""
        return self._seed

    def get_state(self):
        """The state, a tensor of bytes."""
        state = self.bit_generator.state
        numbers = (state["state"]["state"], 16), (state["state"]["inc"], 16), (state["has_uint32"], 4)
        numbers = (*numbers, (state["uinteger"], 4), (self._seed, 8))
        return wrap(np.frombuffer(b"".join(n.to_bytes(size, "little") for n, size in numbers), uint8).copy())

    def set_state(self, new_state):
        """Return to a state that `get_state` returned."""
        data = np.asarray(array_of("set_state", new_state, "new_state"), uint8).tobytes()
        if len(data) != 48:
            raise ValueError(f"set_state: the state of a generator has 48 bytes, got {len(data)}")
        number = [int.from_bytes(data[i:j], "little") for i, j in ((0, 16), (16, 32), (32, 36), (36, 40), (40, 48))]
        words = {"state": number[0], "inc": number[1]}
        self.bit_generator.state = {
            "bit_generator": "PCG64", "state": words, "has_uint32": number[2], "uinteger": number[3],
        }  # fmt: skip
        self._seed = number[4]
        return self


def _restored(cls, state, seed):
    generator = cls()
    generator.bit_generator.state, generator._seed = state, seed
    return generator


default_generator = Generator()


def manual_seed(seed):
    """Seed every random draw of `nn`: initial weights, dropout, shuffling.

    Parameters
    ----------
    seed : int

    Returns
    -------
    Generator
        That of all draws.

    Examples
    --------
    >>> import nn
    >>> draws = []
    >>> for _ in range(2):
    ...     _ = nn.manual_seed(0)
    ...     draws.append(nn.rand(3).tolist())
    >>> draws[0] == draws[1]
    True
    """
    return default_generator.manual_seed(seed)


def generator():
    """The generator that `nn` draws from, a ``numpy.random.Generator``."""
    return default_generator


def seed():
    """Seed the generator by the system; return the seed.

    Examples
    --------
    >>> import nn
    >>> nn.seed() == nn.initial_seed()
    True
    """
    return default_generator.seed()


def initial_seed():
    """The seed that was last set.

    Examples
    --------
    >>> import nn
    >>> _ = nn.manual_seed(7)
    >>> nn.initial_seed()
    7
    """
    return default_generator.initial_seed()


def get_rng_state():
    """The state of the generator, a tensor of bytes.

    Examples
    --------
    >>> import nn
    >>> state = nn.get_rng_state()
    >>> a = nn.rand(3)
    >>> nn.set_rng_state(state)
    >>> nn.equal(a, nn.rand(3))
    True
    """
    return default_generator.get_state()


def set_rng_state(new_state):
    """Return to a state that `get_rng_state` returned.

    Examples
    --------
    >>> import nn
    >>> state = nn.get_rng_state()
    >>> a = nn.rand(3)
    >>> nn.set_rng_state(state)
    >>> nn.equal(a, nn.rand(3))
    True
    """
    default_generator.set_state(new_state)


# new tensors


def drawer(name, generator):
    """The generator to draw from, by default that of all draws; TypeError for what is not even a NumPy generator."""
    if generator is None:
        return default_generator
    if not isinstance(generator, np.random.Generator):
        raise TypeError(f"{name}: generator must be a Generator, got {type(generator).__name__}")
    return generator


def floats(name, draw, shape, dtype):
    """Draws as an array of floats, by a method of a generator that takes their dtype."""
    if dtype.kind != "f":
        raise TypeError(f"{name}: dtype must be float32 or float64, got {dtype}")
    return np.asarray(draw(shape, dtype=dtype))


def uniform_draws(name, shape, dtype, generator):
    """Draws from [0, 1)."""
    return floats(name, drawer(name, generator).random, shape, dtype)


def normal_draws(name, shape, dtype, generator):
    """Draws from the normal distribution with mean 0 and variance 1."""
    return floats(name, drawer(name, generator).standard_normal, shape, dtype)


def rand(
    *sizes, size=None, generator=None, out=None, dtype=None, layout=strided, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """A tensor of the given size, drawn uniformly from [0, 1).

    Examples
    --------
    >>> import nn
    >>> nn.rand(2, 3).shape
    (2, 3)
    """
    array = uniform_draws("rand", size_of("rand", sizes, size), dtype_of("rand", dtype), generator)
    return made("rand", array, out, device, requires_grad, layout, pin_memory)


def randn(
    *sizes, size=None, generator=None, out=None, dtype=None, layout=strided, device=None, requires_grad=False,
    pin_memory=False,
):  # fmt: skip
    """A tensor of the given size, drawn from the normal distribution with mean 0 and variance 1.

    Examples
    --------
    >>> import nn
    >>> nn.randn(2, 3).shape
    (2, 3)
    """
    array = normal_draws("randn", size_of("randn", sizes, size), dtype_of("randn", dtype), generator)
    return made("randn", array, out, device, requires_grad, layout, pin_memory)


def rand_like(
    input, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
    memory_format=preserve_format,
):  # fmt: skip
    """As `rand`, in the shape and dtype of another tensor.

    Examples
    --------
    >>> import nn
    >>> nn.rand_like(nn.zeros(2, 3)).shape
    (2, 3)
    """
    name, x = "rand_like", array_of("rand_like", input)
    array = uniform_draws(name, x.shape, x.dtype if dtype is None else checked(name, dtype), generator)
    return made(name, array, None, device, requires_grad, layout, pin_memory, memory_format)


def randn_like(
    input, *, generator=None, dtype=None, layout=None, device=None, pin_memory=False, requires_grad=False,
    memory_format=preserve_format,
):  # fmt: skip
    """As `randn`, in the shape and dtype of another tensor.

    Examples
    --------
    >>> import nn
    >>> nn.randn_like(nn.zeros(2, 3)).shape
    (2, 3)
    """
    name, x = "randn_like", array_of("randn_like", input)
    array = normal_draws(name, x.shape, x.dtype if dtype is None else checked(name, dtype), generator)
    return made(name, array, None, device, requires_grad, layout, pin_memory, memory_format)


def bounds(name, low, high):
    """Two ints, the first below the second; of one, it is the second, and the first is 0."""
    low, high = (0, low) if high is None else (low, high)
    low, high = (int_of(name, which, scalar_of(name, which, v)) for which, v in (("low", low), ("high", high)))
    if low >= high:
        raise ValueError(f"{name}: low must be below high, got {low} and {high}")
    return low, high


def _integers(name, low, high, shape, dtype, generator):
    array = drawer(name, generator).integers(*bounds(name, low, high), shape)
    return np.asarray(array).astype(dtype, copy=False)


def randint(
    low, high=None, size=None, *, generator=None, out=None, dtype=None, layout=strided, device=None,
    requires_grad=False, pin_memory=False,
):  # fmt: skip
    """Integers from `low` (0 if only one bound is given) to `high` - 1: ``randint(high, size)``, too.

    Examples
    --------
    >>> import nn
    >>> nn.randint(5, (100,)).max().item() <= 4
    True
    """
    if size is None:
        low, high, size = low, None, high
    dtype = int64 if dtype is None else checked("randint", dtype)
    array = _integers("randint", low, high, size_of("randint", (size,)), dtype, generator)
    return made("randint", array, out, device, requires_grad, layout, pin_memory)


def randint_like(
    input, low, high=None, *, generator=None, dtype=None, layout=strided, device=None, requires_grad=False,
    memory_format=preserve_format,
):  # fmt: skip
    """As `randint`, in the shape and dtype of another tensor.

    Examples
    --------
    >>> import nn
    >>> nn.randint_like(nn.zeros(2), 5).shape
    (2,)
    """
    name, x = "randint_like", array_of("randint_like", input)
    array = _integers(name, low, high, x.shape, x.dtype if dtype is None else checked(name, dtype), generator)
    return made(name, array, None, device, requires_grad, layout, memory_format=memory_format)


def randperm(
    n,
    *,
    generator=None,
    out=None,
    dtype: Any = int64,
    layout=strided,
    device=None,
    requires_grad=False,
    pin_memory=False,
):
    """The integers from 0 to n - 1 in random order.

    Examples
    --------
    >>> import nn
    >>> nn.randperm(5).sort().values
    tensor([0, 1, 2, 3, 4])
    """
    order = drawer("randperm", generator).permutation(*size_of("randperm", (n,)))
    array = order.astype(dtype_of("randperm", dtype), copy=False)
    return made("randperm", array, out, device, requires_grad, layout, pin_memory)


# draws from distributions with given parameters


def normal(
    mean, std: Any = 1.0, size=None, *, generator=None, out=None, dtype=None, layout=strided, device=None,
    pin_memory=False, requires_grad=False,
):  # fmt: skip
    """Draws from normal distributions: with tensors of means or deviations, or numbers and a `size`.

    Examples
    --------
    >>> import nn
    >>> nn.normal(0.0, 1.0, (2, 3)).shape
    (2, 3)
    """
    parameters = [v.array for v in (mean, std) if isinstance(v, Tensor)]
    if size is None and not parameters:
        raise TypeError("normal: needs a size, or a tensor as mean or std")
    shape = size_of("normal", (size,)) if size is not None else np.broadcast_shapes(*(p.shape for p in parameters))
    dtype = dtype_of("normal", dtype) if dtype is not None or not parameters else parameters[0].dtype
    mean = mean.array if isinstance(mean, Tensor) else scalar_of("normal", "mean", mean)
    std = std.array if isinstance(std, Tensor) else scalar_of("normal", "std", std)
    if np.any(np.less(std, 0)):
        raise ValueError("normal: std must not be negative")
    return made(
        "normal",
        np.asarray(normal_draws("normal", shape, dtype, generator) * std + mean, dtype),
        out,
        device,
        requires_grad,
        layout,
        pin_memory,
    )


def bernoulli(input, p=None, *, generator=None, out=None):
    """1 with the probability that each element of `input`, or `p`, gives; else 0.

    Examples
    --------
    >>> import nn
    >>> nn.bernoulli(nn.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    array_of("bernoulli", input)
    draws = trials("bernoulli", inexact("bernoulli", input) if p is None else p, input.array.shape, generator)
    return made("bernoulli", draws.astype(input.array.dtype), out)


def trials(name, p, shape, generator):
    """Whether each trial of probability `p`, a number or an array, succeeds."""
    p = p if isinstance(p, np.ndarray) else p.array if isinstance(p, Tensor) else scalar_of(name, "p", p)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError(f"{name}: probabilities must be from 0 to 1")
    return np.asarray(drawer(name, generator).random(shape) < p)


def poisson(input, generator=None):
    """Draws from the Poisson distributions whose rates are the elements.

    Examples
    --------
    >>> import nn
    >>> nn.poisson(nn.zeros(2))
    tensor([0., 0.])
    """
    if not (array_of("poisson", input) >= 0).all():
        raise ValueError("poisson: rates must not be negative")
    return wrap(np.asarray(drawer("poisson", generator).poisson(input.array)).astype(input.array.dtype))


def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Indices drawn with probabilities proportional to the elements of a vector, or of each row of a matrix.

    Parameters
    ----------
    input : Tensor (n,) or (rows, n), floating point
        Weights, which need not sum to 1.
    num_samples : int
    replacement : bool, default False
        Whether an index may be drawn more than once.

    Returns
    -------
    Tensor of int64, (num_samples,) or (rows, num_samples)

    Examples
    --------
    >>> import nn
    >>> nn.multinomial(nn.tensor([0.0, 1.0, 0.0]), 1)
    tensor([1])
    """
    weights = array_of("multinomial", input)
    if weights.ndim not in (1, 2) or weights.dtype.kind != "f":
        raise ValueError(f"multinomial: needs 1 or 2 dimensions of floats, got {weights.shape} of {weights.dtype}")
    total = weights.sum(-1, keepdims=True, dtype=np.float64)
    if not (np.isfinite(total).all() and (weights >= 0).all() and (total > 0).all()):
        raise ValueError("multinomial: weights must be finite and not negative, and not all of them 0")
    draw = drawer("multinomial", generator)
    if bool_of("multinomial", "replacement", replacement):
        edges = np.cumsum(weights, -1, dtype=np.float64) / total
        u = draw.random((*weights.shape[:-1], num_samples))
        rows = zip(edges.reshape(-1, weights.shape[-1]), u.reshape(-1, num_samples), strict=True)
        found = np.stack([np.searchsorted(row / row[-1], each, "right") for row, each in rows])
    else:
        if num_samples > (weights > 0).sum(-1).min():
            raise ValueError(f"multinomial: cannot draw {num_samples} different indices: fewer weights are positive")
        # the order of exponential times is that of draws one after the other
        times = draw.standard_exponential(weights.shape) / np.where(weights > 0, weights, 1)
        found = np.argsort(np.where(weights > 0, times, np.inf), -1)[..., :num_samples]
    return made(
        "multinomial", np.ascontiguousarray(found.reshape(*weights.shape[:-1], num_samples).astype(np.int64)), out
    )

"""Every differentiable operation of `nn` as a case: how it is called, in PyTorch as well, and on what.

A case is a function of a library and of tensors, which is called once with `nn` and once with ``torch``. Where PyTorch
spells it differently, a second function does. `gradient_check` goes through all of them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import nn
from nn import functional as F


class Input(NamedTuple):
    """An argument: how it is drawn from a generator, and whether it has a gradient."""

    draw: Callable
    differentiated: bool = True


def normal(*shape):
    return Input(lambda rng: rng.standard_normal(shape))


def positive(*shape):
    return Input(lambda rng: rng.uniform(0.5, 2, shape))


def share(*shape):
    return Input(lambda rng: rng.uniform(0.1, 0.9, shape))


def classes(number, *shape):
    return Input(lambda rng: rng.integers(number, size=shape), False)


def fixed(argument):
    """The argument as a constant."""
    return argument._replace(differentiated=False)


class Case(NamedTuple):
    """An operation on inputs: `apply` with `nn` or `torch` as its first argument, `twin` with `torch` where given."""

    apply: Callable
    inputs: tuple
    twin: Callable | None = None


def of_functional(name, *inputs, twin=None, **options):
    """The case of a function of `nn.functional` on its positional arguments."""
    return Case(lambda L, *tensors: getattr(functional(L), name)(*tensors, **options), inputs, twin)


def functional(library):
    """``nn.functional`` of either library."""
    return F if library is nn else library.nn.functional


def dropped(name, dims):
    """A dropout whose mask is drawn alike each time; for PyTorch the mask is a factor."""

    def apply(L, x):
        nn.manual_seed(1)
        return getattr(F, name)(x, 0.4)

    def twin(L, x):
        return x * L.from_numpy(apply(nn, nn.ones(*x.shape, dtype=np.float64)).array)

    return Case(apply, (normal(2, 3, *[2] * dims),), twin)


def assigned(L, x, z):
    """A row of a copy replaced."""
    y = x.clone()
    y[1] = z
    return y


def rotated(L, x, cos, sin):
    """Pairs (channel i, channel i + R/2) turned by their angles."""
    a, b = x[..., :2], x[..., 2:]
    return L.cat([a * cos - b * sin, a * sin + b * cos], -1)


def fed_forward(L, x, w1, b1, w2, b2):
    G = L.nn.functional
    return G.linear(G.gelu(G.linear(x, w1, b1)), w2, b2)


def recurrent(name, gates):
    """A layer or a cell of two units on inputs of three, its states and weights; two states for an LSTM."""
    cell, lstm = name.endswith("_cell"), name.startswith("lstm")
    states = [normal(2, 2)] * (1 + lstm)
    inputs = (normal(2, 3) if cell else normal(4, 2, 3), *states, normal(2 * gates, 3), normal(2 * gates, 2))
    inputs += (normal(2 * gates), normal(2 * gates))

    def pack(tensors, new_axis=False):
        hx = [h[None] for h in tensors[1 : 1 + len(states)]] if new_axis else tensors[1 : 1 + len(states)]
        return tensors[0], tuple(hx) if lstm else hx[0], tensors[1 + len(states) :]

    def apply(L, *tensors):
        x, hx, weights = pack(tensors)
        result = getattr(F, name)(x, hx, *weights)
        return (result[0], *result[1]) if lstm and not cell else result

    def twin(L, *tensors):
        x, hx, weights = pack(tensors, new_axis=not cell)
        function = getattr(L, name.replace("rnn", "rnn_tanh"))
        if cell:
            return function(x, hx, *weights)
        y, *after = function(x, hx, list(weights), True, 1, 0.0, False, False, False)
        return (y, *(state[0] for state in after))

    return Case(apply, inputs, twin)


IMAGES = {1: (2, 4, 7), 2: (2, 4, 5, 4), 3: (1, 2, 3, 4, 3)}  # (N, C, ...) by the number of dimensions
NORM = (normal(3, 4), positive(4), normal(4))


def functions():
    """Name -> Case: every function of `nn.functional` that has a gradient; a word in brackets names a variant."""
    f = of_functional
    pointwise = "relu6 leaky_relu elu selu celu gelu silu mish sigmoid tanh softplus hardtanh hardswish hardsigmoid"
    cases = {name: f(name, normal(3, 4)) for name in ["relu", *pointwise.split(), "logsigmoid", "glu"]}
    cases |= {"gelu (tanh)": f("gelu", normal(3, 4), approximate="tanh"), "prelu": f("prelu", normal(3, 4), share(4))}
    cases |= {name: f(name, normal(3, 4), dim=-1) for name in ("softmax", "log_softmax")}
    cases["dropout"] = dropped("dropout", 1)
    cases["linear"] = f("linear", normal(3, 4), normal(5, 4), normal(5))
    weights = normal(4, 3), normal(4), normal(2, 4), normal(2)
    cases["feed_forward"] = f("feed_forward", normal(3, 3), *weights, twin=fed_forward)
    for d, shape in IMAGES.items():
        cases[f"dropout{d}d"] = dropped(f"dropout{d}d", d)
        weight, back = normal(4, shape[1] // 2, *[2] * d), normal(shape[1], 2, *[2] * d)
        options = {"stride": 2, "padding": 1, "groups": 2}
        cases[f"conv{d}d"] = f(f"conv{d}d", normal(*shape), weight, normal(4), **options)
        cases[f"conv_transpose{d}d"] = f(f"conv_transpose{d}d", normal(*shape), back, normal(4), **options)
        cases[f"max_pool{d}d"] = f(f"max_pool{d}d", normal(*shape), kernel_size=2, stride=1)
        cases[f"avg_pool{d}d"] = f(f"avg_pool{d}d", normal(*shape), kernel_size=2, padding=1)
        cases[f"lp_pool{d}d"] = f(f"lp_pool{d}d", positive(*shape), norm_type=3.0, kernel_size=2)
        for pool in ("avg", "max"):
            cases[f"adaptive_{pool}_pool{d}d"] = f(f"adaptive_{pool}_pool{d}d", normal(*shape), output_size=2)
        cases[f"max_unpool{d}d"] = Case(lambda L, x, d=d: unpooled(functional(L), x, d), (normal(2, 2, *[4] * d),))
    cases["conv2d (dilated)"] = f("conv2d", normal(1, 2, 5, 5), normal(3, 2, 3, 3), dilation=2, padding=1)
    cases["unfold"] = f("unfold", normal(*IMAGES[2]), kernel_size=2, padding=1)
    cases["fold"] = f("fold", normal(2, 8, 4), output_size=(3, 3), kernel_size=2)
    for mode, d in {"nearest": 2, "linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3, "area": 2}.items():
        cases[f"interpolate ({mode})"] = f("interpolate", normal(*IMAGES[d]), scale_factor=2.0, mode=mode)
    cases["pixel_shuffle"] = f("pixel_shuffle", normal(2, 4, 2, 3), upscale_factor=2)
    cases["pixel_unshuffle"] = f("pixel_unshuffle", normal(2, 1, 4, 2), downscale_factor=2)
    for mode in ("constant", "reflect", "replicate", "circular"):
        cases[f"pad ({mode})"] = f("pad", normal(2, 3, 4), pad=(2, 1), mode=mode)
    return cases | normalisations() | lookups() | losses()


def unpooled(G, x, dims):
    return getattr(G, f"max_unpool{dims}d")(*getattr(G, f"max_pool{dims}d")(x, 2, return_indices=True), 2)


def normalisations():
    f, image, channels = of_functional, normal(3, 4, 5), (positive(4), normal(4))
    statistics = fixed(normal(4)), fixed(positive(4))
    return {
        "batch_norm": Case(lambda L, x, w, b: functional(L).batch_norm(x, None, None, w, b, True), (image, *channels)),
        "batch_norm (evaluation)": f("batch_norm", image, *statistics, *channels),
        "instance_norm": Case(lambda L, x, w, b: functional(L).instance_norm(x, None, None, w, b), (image, *channels)),
        "group_norm": Case(lambda L, x, w, b: functional(L).group_norm(x, 2, w, b), (image, *channels)),
        "layer_norm": Case(lambda L, x, w, b: functional(L).layer_norm(x, (4,), w, b), NORM),
        "rms_norm": Case(lambda L, x, w: functional(L).rms_norm(x, (4,), w, 1e-5), NORM[:2]),
        "add_layer_norm": Case(
            lambda L, x, r, w, b: F.add_layer_norm(x, r, (4,), w, b),
            (normal(3, 4), *NORM),
            lambda L, x, r, w, b: L.nn.functional.layer_norm(x + r, (4,), w, b),
        ),
        "local_response_norm": f("local_response_norm", image, size=3, alpha=0.5),
    }


def lookups():
    """Attention, positions, tables and recurrence."""
    f, heads, mask = of_functional, normal(1, 2, 3, 4), normal(3, 3)
    attention = "scaled_dot_product_attention"
    return {
        attention: f(attention, heads, heads, heads, mask),
        f"{attention} (causal)": f(attention, heads, heads, heads, is_causal=True),
        "rotary_embedding": f("rotary_embedding", normal(3, 4), fixed(share(3, 2)), fixed(share(3, 2)), twin=rotated),
        "embedding": f("embedding", classes(5, 2, 3), normal(5, 4)),
        "embedding_bag": f("embedding_bag", classes(5, 2, 3), normal(5, 4)),
        "embedding_bag (max)": f("embedding_bag", classes(5, 2, 3), normal(5, 4), mode="max"),
        **{name: recurrent(name, gates) for name, gates in {"lstm": 4, "gru": 3, "rnn": 1}.items()},
        **{name: recurrent(name, gates) for name, gates in {"lstm_cell": 4, "gru_cell": 3, "rnn_cell": 1}.items()},
    }


def losses():
    f, labels = of_functional, classes(4, 3)
    cases = {name: f(name, normal(3, 4), normal(3, 4)) for name in ("mse_loss", "l1_loss", "smooth_l1_loss")}
    return cases | {
        "huber_loss": f("huber_loss", normal(3, 4), normal(3, 4), delta=0.7),
        "cross_entropy": f("cross_entropy", normal(3, 4), labels, label_smoothing=0.1),
        "cross_entropy (probabilities)": f("cross_entropy", normal(3, 4), fixed(share(3, 4))),
        "linear_cross_entropy": f("linear_cross_entropy", normal(3, 5), normal(4, 5), labels),
        "nll_loss": f("nll_loss", normal(3, 4), labels),
        "binary_cross_entropy": f("binary_cross_entropy", share(3, 4), fixed(share(3, 4))),
        "binary_cross_entropy_with_logits": f("binary_cross_entropy_with_logits", normal(3, 4), fixed(share(3, 4))),
        "kl_div": f("kl_div", normal(3, 4), fixed(share(3, 4)), reduction="batchmean"),
    }


def tensor_operations():
    """Name -> Case: the operators and methods of `Tensor`, and the functions that join tensors."""
    x, y, row, p = normal(3, 4), normal(3, 4), normal(4), positive(3, 4)
    pairs = {
        "+": lambda L, a, b: a + b,
        "-": lambda L, a, b: a - b,
        "*": lambda L, a, b: a * b,
        "/": lambda L, a, b: a / b,
        "add_": lambda L, a, b: a.clone().add_(b),
        "mul_": lambda L, a, b: a.clone().mul_(b),
        "div_": lambda L, a, b: a.clone().div_(b),
    }
    single = {
        "neg": lambda L, a: -a,
        "abs": lambda L, a: abs(a),
        "exp": lambda L, a: a.exp(),
        "clamp": lambda L, a: a.clamp(-0.5, 0.5),
        "sum": lambda L, a: a.sum(0),
        "mean": lambda L, a: a.mean(1),
        "var": lambda L, a: a.var(1),
        "std": lambda L, a: a.std(0),
        "max": lambda L, a: a.max(1).values,
        "min": lambda L, a: a.min(0).values,
        "prod": lambda L, a: a.prod(1),
        "logsumexp": lambda L, a: a.logsumexp(1),
        "reshape": lambda L, a: a.reshape(2, 6),
        "flatten": lambda L, a: a.flatten(),
        "unsqueeze": lambda L, a: a.unsqueeze(1),
        "squeeze": lambda L, a: a[:1].squeeze(0),
        "transpose": lambda L, a: a.transpose(0, 1),
        "permute": lambda L, a: a.permute(1, 0),
        "expand": lambda L, a: a.unsqueeze(0).expand(2, 3, 4),
        "split": lambda L, a: tuple(a.split(3, 1)),
        "chunk": lambda L, a: tuple(a.chunk(2, 1)),
        "unbind": lambda L, a: tuple(a.unbind(0)),
        "masked_fill": lambda L, a: a.masked_fill(a > 0.3, 2.0),
        "[slices]": lambda L, a: a[1:, ::2],
        "[indices]": lambda L, a: a[[0, 2, 2]],
    }
    return (
        {name: Case(apply, (x, p if "/" in name or "div" in name else row)) for name, apply in pairs.items()}
        | {name: Case(apply, (x,)) for name, apply in single.items()}
        | {
            "**": Case(lambda L, a, b: a**b, (p, row)),
            "@": Case(lambda L, a, b: a @ b, (normal(2, 3, 4), normal(4, 2))),
            "log": Case(lambda L, a: a.log(), (p,)),
            "sqrt": Case(lambda L, a: a.sqrt(), (p,)),
            "maximum": Case(lambda L, a, b: L.maximum(a, b), (x, y)),
            "minimum": Case(lambda L, a, b: L.minimum(a, b), (x, y)),
            "where": Case(lambda L, a, b: L.where(a > 0, a * 2, b), (x, y)),
            "cat": Case(lambda L, a, b: L.cat([a, b], 1), (x, y)),
            "stack": Case(lambda L, a, b: L.stack([a, b], 1), (x, y)),
            "[] =": Case(assigned, (x, row)),
        }
    )

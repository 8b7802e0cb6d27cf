"""Whole training steps: forward, loss, backward, update."""

import functools
import itertools
from importlib import import_module

import numpy as np
import torch

from benchmarks.cases import networks
from benchmarks.cases.networks import MLP, RESNET_BLOCKS, RESNET_STAGES
from benchmarks.cases.row import COMPILED, FLOAT, HAS_JAX, JAX, ONE, OURS, PEERS, Calls, Row, compiled, named, reference

if HAS_JAX:
    import jax
    import jax.numpy as jnp

    from benchmarks.cases import jax_networks

MLP_BATCH = LENET_BATCH = 64
RESNET_BATCH, RESNET_IMAGE = 32, (3, 32, 32)
CHARACTERS_STEPS, CHARACTERS_BATCH, SYMBOLS, WIDTH = 64, 32, 103, 256
GPT_CONTEXT, GPT_BATCH, GPT_WIDTH, GPT_LAYERS = 128, 16, 128, 4
LEARNING_RATE = 1e-3
STEPS = ("torch-fused", *COMPILED)


def rows():
    yield mlp()
    yield lenet5()
    yield resnet20()
    yield characters()
    yield gpt()


def mlp() -> Row:
    layers = list(itertools.pairwise(MLP))
    products = [2 * MLP_BATCH * i * o for i, o in layers]
    parameters = sum(i * o + o for i, o in layers)
    return Row(
        family="training",
        operation="mlp",
        shape=f"{named(MLP)}-b{MLP_BATCH}",
        kind="training",
        flops=3 * sum(products) - products[0],  # the images want no gradient
        # weights read forward and backward, gradients written, Adam's seven; the images read twice
        bytes=FLOAT * (10 * parameters + 2 * MLP_BATCH * MLP[0]),
        build=mlp_calls,
        peers=(*PEERS, *STEPS),
        floor=2.5,
        records=True,
    )


def mlp_calls() -> Calls:
    """One Adam step of the same net, from the same weights, on the same batch; each call returns its loss."""
    generator = np.random.default_rng(0)
    x = generator.random((MLP_BATCH, MLP[0]), dtype=np.float32)
    target = generator.integers(0, MLP[-1], MLP_BATCH)
    params = []
    for i, o in itertools.pairwise(MLP):
        bound = i**-0.5
        params += [generator.uniform(-bound, bound, shape).astype(np.float32) for shape in ((o, i), (o,))]
    calls = user_steps(networks.mlp, params, x, target)
    calls["numpy"] = numpy_step(params, x, target)
    return calls


def user_steps(build, params, x, target) -> Calls:
    """The steps of our `nn`, of PyTorch (as it is, with the optimiser fused, and with the rest compiled, too), and of
    JAX, which has the network under the same name."""
    nn = import_module("nn")
    ours, theirs = (nn, nn.optim, nn.tensor), (torch.nn, torch.optim, torch.tensor)
    steps = {
        OURS: user_step(*ours, build, params, x, target),
        "torch": user_step(*theirs, build, params, x, target),
        "torch-fused": user_step(*theirs, build, params, x, target, fused=True),
    }
    if HAS_JAX:
        steps["jax"] = jax_step(getattr(jax_networks, build.__name__), params, x, target)
    return steps | {name: user_step(*theirs, build, params, x, target, compiled, fused=True) for name in COMPILED}


def user_step(nn, optim, tensor, build, params, x, target, compiler=None, **choice):
    """The step as a user writes it: the same lines for our `nn` and for ``torch.nn``."""
    model = build(nn)
    names = [name for name, _ in model.named_parameters()]
    values = {name: tensor(param) for name, param in zip(names, params, strict=True)}
    model.load_state_dict(values, strict=False)  # running statistics begin alike
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE, **choice)
    x, target = tensor(x), tensor(target)

    def forward(x, target):
        return criterion(model(x), target)

    if compiler is not None:
        forward = compiler(forward)

    def step():
        optimizer.zero_grad()
        loss = forward(x, target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def numpy_step(params, x, target):
    affine, loss, update = map(reference, ("affine", "loss", "update"))
    params = [param.copy() for param in params]
    w1, b1, w2, b2, w3, b3 = params
    means, squares = ([np.zeros_like(param) for param in params] for _ in range(2))
    count = itertools.count(1)

    def step():
        h1 = affine.linear(x, w1, b1, "relu")
        h2 = affine.linear(h1, w2, b2, "relu")
        logits = affine.linear(h2, w3, b3)
        value = loss.cross_entropy(logits, target)
        dlogits = loss.cross_entropy_backward(ONE, logits, target)
        dh2, dw3, db3 = affine.linear_backward(dlogits, h2, w3)
        dh1, dw2, db2 = affine.linear_backward(dh2, h1, w2, "relu", h2)
        _, dw1, db1 = affine.linear_backward(dh1, x, w1, "relu", h1, needs=(False, True, True))
        update.adam(params, [dw1, db1, dw2, db2, dw3, db3], means, squares, step=next(count), lr=LEARNING_RATE)
        return value.item()

    return step


def lenet5() -> Row:
    products = [28**2 * 6 * 25, 10**2 * 16 * 6 * 25, 400 * 120, 120 * 84, 84 * 10]
    products = [2 * LENET_BATCH * n for n in products]
    parameters = sum(map(np.size, initial(networks.lenet5)))
    return Row(
        family="training",
        operation="lenet5",
        shape=f"b{LENET_BATCH}",
        kind="training",
        flops=3 * sum(products) - products[0],
        bytes=FLOAT * (10 * parameters + 2 * LENET_BATCH * 28**2),
        build=lenet5_calls,
        peers=(*PEERS, *STEPS),
        floor=3.0,
        records=True,
    )


def lenet5_calls() -> Calls:
    params = initial(networks.lenet5)
    x, target = images(LENET_BATCH, 1, 28, 28)
    calls = user_steps(networks.lenet5, params, x, target)
    calls["numpy"] = numpy_lenet5_step(params, x, target)
    return calls


def resnet20() -> Row:
    size, inputs = RESNET_IMAGE[1], RESNET_IMAGE[0]
    products = [size**2 * 9 * inputs * RESNET_STAGES[0]]
    widths = [RESNET_STAGES[0], *(width for width in RESNET_STAGES for _ in range(RESNET_BLOCKS))]
    for i, o in itertools.pairwise(widths):
        size = size * i // o
        products += [size**2 * 9 * i * o, size**2 * 9 * o * o]
    products = [2 * RESNET_BATCH * n * 4 // 9 for n in products]  # by Winograd's algorithm
    parameters = sum(map(np.size, initial(networks.resnet20)))
    return Row(
        family="training",
        operation="resnet20",
        shape=f"{named(RESNET_IMAGE)}-b{RESNET_BATCH}",
        kind="training",
        flops=3 * sum(products) - products[0],
        bytes=FLOAT * (10 * parameters + 2 * RESNET_BATCH * np.prod(RESNET_IMAGE).item()),
        build=lambda: user_steps(networks.resnet20, initial(networks.resnet20), *images(RESNET_BATCH, *RESNET_IMAGE)),
        peers=(OURS, "torch", *JAX, *STEPS),  # 20 layers by hand in NumPy would show nothing that LeNet-5 does not
        floor=1.4,
        records=True,
    )


def characters() -> Row:
    rows = CHARACTERS_STEPS * CHARACTERS_BATCH
    products = 2 * rows * (2 * 4 * WIDTH * 2 * WIDTH + WIDTH * SYMBOLS)
    parameters = sum(map(np.size, initial(networks.character_model)))
    return Row(
        family="training",
        operation="characters",
        shape=f"{named((2, WIDTH))}-t{CHARACTERS_STEPS}-b{CHARACTERS_BATCH}",
        kind="training",
        flops=3 * products,
        bytes=FLOAT * 10 * parameters,
        build=characters_calls,
        peers=(OURS, "torch", *JAX, *STEPS),
        floor=1.4,
        records=True,
    )


def characters_calls() -> Calls:
    generator = np.random.default_rng(0)
    ids = generator.integers(0, SYMBOLS, (CHARACTERS_STEPS + 1, CHARACTERS_BATCH))
    return user_steps(networks.character_model, initial(networks.character_model), ids[:-1], ids[1:].ravel())


def gpt() -> Row:
    rows = GPT_CONTEXT * GPT_BATCH
    blocks = 2 * rows * GPT_LAYERS * 12 * GPT_WIDTH**2
    scores = 2 * rows * GPT_LAYERS * GPT_CONTEXT * GPT_WIDTH  # two products, half of each, for each token sees half
    head = 2 * rows * GPT_WIDTH * SYMBOLS
    parameters = sum(map(np.size, initial(networks.gpt)))
    return Row(
        family="training",
        operation="gpt",
        shape=f"{named((GPT_LAYERS, GPT_WIDTH))}-t{GPT_CONTEXT}-b{GPT_BATCH}",
        kind="training",
        flops=3 * (blocks + head) + 7 * scores // 2,  # the backward of attention computes the scores anew
        bytes=FLOAT * 10 * parameters,
        build=gpt_calls,
        peers=(OURS, "torch", *JAX, *STEPS),
        floor=1.6,
        records=True,
    )


def gpt_calls() -> Calls:
    return user_steps(networks.gpt, initial(networks.gpt), *texts())


def texts() -> tuple[np.ndarray, np.ndarray]:
    """A batch of texts, and of their next tokens."""
    ids = np.random.default_rng(0).integers(0, SYMBOLS, (GPT_BATCH, GPT_CONTEXT + 1))
    return np.ascontiguousarray(ids[:, :-1]), ids[:, 1:].ravel()


@functools.cache
def initial(build) -> list[np.ndarray]:
    """The network's parameters as our `nn` initialises them."""
    nn = import_module("nn")
    nn.manual_seed(0)
    return [param.array for param in build(nn).parameters()]


def images(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """A batch of pixels and of classes."""
    generator = np.random.default_rng(0)
    return generator.random(shape, dtype=np.float32), generator.integers(0, 10, shape[0])


def numpy_lenet5_step(params, x, target):
    convolution, affine, loss, update = map(reference, ("convolution", "affine", "loss", "update"))
    params = [param.copy() for param in params]
    w1, b1, w2, b2, w3, b3, w4, b4, w5, b5 = params
    means, squares = ([np.zeros_like(param) for param in params] for _ in range(2))
    count = itertools.count(1)

    def pool(x):
        N, C, H, W = x.shape
        return x.reshape(N, C, H // 2, 2, W // 2, 2).max(axis=(3, 5))

    def pool_and_relu_backward(dy, x, y):
        larger = lambda a: a.repeat(2, axis=2).repeat(2, axis=3)  # noqa: E731
        return np.where((x == larger(y)) & (x > 0), larger(dy), np.float32(0))

    def step():
        h1 = convolution.conv2d(x, w1, b1, padding=2, activation="relu")
        p1 = pool(h1)
        h2 = convolution.conv2d(p1, w2, b2, activation="relu")
        p2 = pool(h2)
        flat = p2.reshape(len(x), -1)
        h3 = affine.linear(flat, w3, b3, "relu")
        h4 = affine.linear(h3, w4, b4, "relu")
        logits = affine.linear(h4, w5, b5)
        value = loss.cross_entropy(logits, target)
        dlogits = loss.cross_entropy_backward(ONE, logits, target)
        dh4, dw5, db5 = affine.linear_backward(dlogits, h4, w5)
        dh3, dw4, db4 = affine.linear_backward(dh4, h3, w4, "relu", h4)
        dflat, dw3, db3 = affine.linear_backward(dh3, flat, w3, "relu", h3)
        dh2 = pool_and_relu_backward(dflat.reshape(p2.shape), h2, p2)
        dp1, dw2, db2 = convolution.conv2d_backward(dh2, p1, w2)
        dh1 = pool_and_relu_backward(dp1, h1, p1)
        _, dw1, db1 = convolution.conv2d_backward(dh1, x, w1, padding=2, needs=(False, True, True))
        gradients = [dw1, db1, dw2, db2, dw3, db3, dw4, db4, dw5, db5]
        update.adam(params, gradients, means, squares, step=next(count), lr=LEARNING_RATE)
        return value.item()

    return step


def jax_step(loss, params, x, target):
    """The compiled step of a loss of `jax_networks`; its state is donated, so that it is updated in place."""

    def adam(param, grad, mean, square, t):
        mean = 0.9 * mean + 0.1 * grad
        square = 0.999 * square + 0.001 * grad * grad
        scale = jnp.sqrt(square / (1 - 0.999**t)) + 1e-8
        return param - LEARNING_RATE * mean / (1 - 0.9**t) / scale, mean, square

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, x, target):
        params, means, squares, running, t = state
        (value, moments), grads = jax.value_and_grad(loss, has_aux=True)(params, x, target)
        running = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, running, moments)
        t = t + 1
        updated = [adam(*each, t) for each in zip(params, grads, means, squares, strict=True)]
        return (*map(list, zip(*updated, strict=True)), running, t), value

    params = [jnp.asarray(param) for param in params]
    x, target = jnp.asarray(x), jnp.asarray(target)
    means, squares = ([jnp.zeros_like(param) for param in params] for _ in range(2))
    _, moments = jax.eval_shape(loss, params, x, target)
    running = [(jnp.zeros_like(mean), jnp.ones_like(variance)) for mean, variance in moments]
    state = (params, means, squares, running, jnp.float32(0))

    def call():
        nonlocal state
        state, value = step(state, x, target)
        return value.item()

    return call

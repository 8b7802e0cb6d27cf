"""Whole training steps: forward, loss, backward, update."""

import functools
import itertools
from importlib import import_module

import numpy as np
import torch

from benchmarks.cases.loss import jax_cross_entropy
from benchmarks.cases.row import FLOAT, HAS_JAX, ONE, OURS, PEERS, Calls, Row, named, reference

if HAS_JAX:
    import jax
    import jax.numpy as jnp

MLP = (784, 256, 128, 10)
MLP_BATCH = 64
LEARNING_RATE = 1e-3


def rows():
    yield mlp()


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
        peers=(*PEERS, "torch-fused"),
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
    nn = import_module("nn")
    calls = {
        OURS: user_step(nn, nn.optim, nn.tensor, params, x, target),
        "numpy": numpy_step(params, x, target),
        "torch": user_step(torch.nn, torch.optim, torch.tensor, params, x, target),
        "torch-fused": user_step(torch.nn, torch.optim, torch.tensor, params, x, target, fused=True),
    }
    if HAS_JAX:
        calls["jax"] = jax_step(params, x, target)
    return calls


def user_step(nn, optim, tensor, params, x, target, **choice):
    """The step as a user writes it: the same lines for our `nn` and for ``torch.nn``."""
    first, second, third = (nn.Linear(i, o) for i, o in itertools.pairwise(MLP))
    model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
    names = [name for name, _ in model.named_parameters()]
    model.load_state_dict({name: tensor(param) for name, param in zip(names, params, strict=True)})
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE, **choice)
    x, target = tensor(x), tensor(target)

    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), target)
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


def jax_step(params, x, target):
    def loss(params, x, target):
        w1, b1, w2, b2, w3, b3 = params
        h1 = jax.nn.relu(x @ w1.T + b1)
        h2 = jax.nn.relu(h1 @ w2.T + b2)
        return jax_cross_entropy(h2 @ w3.T + b3, target)

    def adam(param, grad, mean, square, t):
        mean = 0.9 * mean + 0.1 * grad
        square = 0.999 * square + 0.001 * grad * grad
        scale = jnp.sqrt(square / (1 - 0.999**t)) + 1e-8
        return param - LEARNING_RATE * mean / (1 - 0.9**t) / scale, mean, square

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, x, target):
        params, means, squares, t = state
        value, grads = jax.value_and_grad(loss)(params, x, target)
        t = t + 1
        updated = [adam(*each, t) for each in zip(params, grads, means, squares, strict=True)]
        return (*map(list, zip(*updated, strict=True)), t), value

    params = [jnp.asarray(param) for param in params]
    means, squares = ([jnp.zeros_like(param) for param in params] for _ in range(2))
    state = (params, means, squares, jnp.float32(0))
    x, target = jnp.asarray(x), jnp.asarray(target)

    def call():
        nonlocal state
        state, value = step(state, x, target)
        return value.item()

    return call

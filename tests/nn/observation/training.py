"""The training runs that the tests of this folder observe: small networks on scikit-learn's digits."""

import numpy as np
from sklearn.datasets import load_digits

import nn


def digits(count=None):
    """Pixels from 0 to 1, float32 (N, 64), and classes."""
    images, targets = load_digits(return_X_y=True)
    return (images[:count] / 16).astype(np.float32), targets[:count]


def perceptron(*, seed=0, middle=nn.Tanh):
    nn.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 32), middle(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 10))


def batches(steps, size=32):
    """`steps` pairs of tensors, the same at every call."""
    x, target = digits()
    for i in range(steps):
        rows = np.arange(i * size, (i + 1) * size) % len(x)
        yield nn.Tensor(x[rows]), nn.Tensor(target[rows])


def train(model, optimizer, steps, log=None):
    """A plain training loop; return the losses."""
    losses = []
    for x, target in batches(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if log is not None:
            log.record(loss=loss)
    return losses

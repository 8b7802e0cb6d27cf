"""A learned vector field inside an ODE solver: ``python docs/jitted/vector_field.py [picture.png]``.

An MLP 2-64-64-2 is trained by `nn` on noisy measurements of the van der Pol oscillator's field

    x' = v,    v' = mu (1 - x^2) v - x,    mu = 1

at random points, then integrated by the classical Runge-Kutta method in jitted code. The solver asks the net four times
a step, 2,000 steps a trajectory: from Python each of these calls would cost more than the net's arithmetic. All
trajectories are integrated side by side by threads, each of which runs its kernels alone.
"""

import sys
import time

import numpy as np
from numba import njit, prange

import nn
from kernels import linear

MU, NOISE, POINTS, EPOCHS = 1.0, 0.05, 4096, 150
STEP, STEPS = 0.01, 2000


def field(state):
    """The true field at states (N, 2)."""
    x, v = state[:, 0], state[:, 1]
    return np.stack([v, MU * (1 - x**2) * v - x], 1)


def learned(seed=0):
    """A net trained on POINTS noisy measurements, and its mean squared error on as many others."""
    rng = np.random.default_rng(seed)
    nn.manual_seed(seed)
    states = rng.uniform(-4, 4, (2 * POINTS, 2)).astype(np.float32)
    velocities = field(states).astype(np.float32)
    seen = velocities[:POINTS] + NOISE * rng.standard_normal((POINTS, 2)).astype(np.float32)
    net = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
    optimizer = nn.optim.Adam(net.parameters(), lr=3e-3)
    schedule = nn.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for rows in rng.permutation(POINTS).reshape(-1, 128):
            loss = nn.functional.mse_loss(net(nn.Tensor(states[rows])), nn.Tensor(seen[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    with nn.no_grad():
        error = nn.functional.mse_loss(net(nn.Tensor(states[POINTS:])), nn.Tensor(velocities[POINTS:]))
    return net, float(error)


@njit
def velocity(state, weights):
    w1, b1, w2, b2, w3, b3 = weights
    hidden = linear(linear(state, w1, b1, activation="tanh"), w2, b2, activation="tanh")
    return linear(hidden, w3, b3)


@njit
def trajectory(state, weights):
    """The states (STEPS + 1, 2) from one on, by Runge-Kutta's method of order 4."""
    states, h = np.empty((STEPS + 1, 2), np.float32), np.float32(STEP)
    states[0] = state
    y, half = state.reshape(1, 2).copy(), np.float32(0.5)
    for t in range(STEPS):
        k1 = velocity(y, weights)
        k2 = velocity(y + half * h * k1, weights)
        k3 = velocity(y + half * h * k2, weights)
        k4 = velocity(y + h * k3, weights)
        y = y + h / np.float32(6) * (k1 + np.float32(2) * (k2 + k3) + k4)
        states[t + 1] = y[0]
    return states


@njit(parallel=True)
def trajectories(starts, weights):
    found = np.empty((len(starts), STEPS + 1, 2), np.float32)
    for i in prange(len(starts)):
        found[i] = trajectory(starts[i], weights)
    return found


def exact(starts):
    """The same of the true field, in float64."""
    y, found = starts.astype(np.float64), [starts.astype(np.float64)]
    for _ in range(STEPS):
        k1 = field(y)
        k2 = field(y + STEP / 2 * k1)
        k3 = field(y + STEP / 2 * k2)
        k4 = field(y + STEP * k3)
        y = y + STEP / 6 * (k1 + 2 * (k2 + k3) + k4)
        found.append(y)
    return np.stack(found, 1)


def weights_of(net):
    """The arrays of the net's parameters as a tuple: what jitted code takes (Numba's prange takes no nested ones)."""
    return tuple(parameter.array for parameter in net.parameters())


def draw(path, starts, found, expected):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
    for i in range(len(starts)):
        axes.plot(*expected[i].T, color="0.75", linewidth=3, label="true field" if i == 0 else None)
        axes.plot(*found[i].T, color="C0", linewidth=1, label="learned field" if i == 0 else None)
    axes.plot(*starts.T, "k.", label="starts")
    axes.set(xlabel="x", ylabel="v", title="Van der Pol's oscillator: the learned field has its limit cycle")
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def main(path=None):
    net, error = learned()
    starts = np.array([[0.1, 0.1], [3, 3], [-3, 2], [2, -3]], np.float32)
    weights = weights_of(net)
    trajectories(starts, weights)  # compiles, or loads
    start = time.perf_counter()
    found = trajectories(starts, weights)
    seconds = time.perf_counter() - start
    expected = exact(starts)
    radius, true_radius = (np.abs(states[:, STEPS // 2 :, 0]).max() for states in (found, expected))
    calls = len(starts) * STEPS * 4
    print(f"mean squared error of the field {error:.2e}; amplitude of the cycle {radius:.3f}, truly {true_radius:.3f}")
    print(f"{calls} calls of the net in {seconds * 1e3:.0f} ms, {seconds / calls * 1e6:.2f} us each")
    if path:
        draw(path, starts, found, expected)
    return error, radius, true_radius


if __name__ == "__main__":
    main(*sys.argv[1:2])

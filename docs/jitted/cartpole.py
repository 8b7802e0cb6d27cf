"""CartPole and its policy gradient, all in one jitted function: ``python docs/jitted/cartpole.py [--torch]``.

A pole stands on a cart that is pushed left or right at each step; an episode ends when the pole leans by more than 12
degrees, the cart leaves its track, or after 500 steps [1]_. The policy, an MLP 4-64-2, is called at every step, so a
simulation in Python spends its time between the calls. Here environment, policy, gradients and Adam are compiled
together: the kernels are called by address from the jitted loop, and no Python runs until the training is over.

REINFORCE [2]_ with a batch of episodes per update: the gradient of log p(action) is weighted by the return that
follows, less its mean at the same step over the batch's episodes that are still running, over its standard deviation.

With ``--torch`` the same training in Python, the policy by PyTorch, for comparison: the same algorithm, environment and
sizes; episodes differ, as the random numbers do.

.. [1] A. G. Barto, R. S. Sutton, C. W. Anderson, "Neuronlike Adaptive Elements That Can Solve Difficult Learning
   Control Problems", IEEE Transactions on Systems, Man, and Cybernetics 13, 1983.
.. [2] R. J. Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning",
   Machine Learning 8, 1992.
"""

import argparse
import time

import numpy as np
from numba import njit

from kernels import adam, linear, linear_backward, softmax

STEPS, EPISODES, HIDDEN = 500, 16, 64  # of an episode at most; of a batch; units
RATE = 0.01
GRAVITY, CART, POLE, HALF_LENGTH, FORCE, TAU = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02  # SI units; TAU is the time step
MAX_POSITION, MAX_ANGLE = 2.4, np.pi / 15


def step_of(state, action):
    """One Euler step of the cart (position, velocity) and the pole (angle, angular velocity), in place; returns whether
    the episode goes on."""
    position, velocity, angle, turning = state
    force = FORCE if action == 1 else -FORCE
    sine, cosine, mass = np.sin(angle), np.cos(angle), CART + POLE
    pushed = (force + POLE * HALF_LENGTH * turning**2 * sine) / mass
    angular = (GRAVITY * sine - cosine * pushed) / (HALF_LENGTH * (4 / 3 - POLE * cosine**2 / mass))
    linear_acceleration = pushed - POLE * HALF_LENGTH * angular * cosine / mass
    state[0], state[1] = position + TAU * velocity, velocity + TAU * linear_acceleration
    state[2], state[3] = angle + TAU * turning, turning + TAU * angular
    return abs(state[0]) <= MAX_POSITION and abs(state[2]) <= MAX_ANGLE


def advantages_of(lengths):
    """Of each step of each episode: how many steps follow, less the mean over the episodes that run as long, scaled."""
    rows = np.zeros(lengths.sum(), np.float32)
    start = 0
    for length in lengths:
        for t in range(length):
            running, total = 0, 0
            for other in lengths:
                if other > t:
                    running, total = running + 1, total + other - t
            rows[start + t] = (length - t) - total / running
        start += length
    return rows / (rows.std() + np.float32(1e-6))


step, advantages = njit(step_of), njit(advantages_of)


@njit
def run_episode(state, parameters, states, actions):
    """Play one episode; fills in the states met and the actions chosen, and returns how many there were."""
    w1, b1, w2, b2 = parameters
    for t in range(STEPS):
        states[t] = state
        hidden = linear(state.reshape(1, 4), w1, b1, activation="tanh")
        probabilities = softmax(linear(hidden, w2, b2))
        actions[t] = 1 if np.random.random() < probabilities[0, 1] else 0
        if not step(state, actions[t]):
            return t + 1
    return STEPS


@njit
def gradients(parameters, states, actions, weights):
    """Of -sum(weights * log p(actions)) / rows, for the parameters."""
    w1, b1, w2, b2 = parameters
    hidden = linear(states, w1, b1, activation="tanh")
    dz = softmax(linear(hidden, w2, b2))
    for row in range(len(dz)):
        dz[row, actions[row]] -= 1
        dz[row] *= weights[row] / len(dz)
    dhidden, dw2, db2 = linear_backward(dz, hidden, w2)
    _, dw1, db1 = linear_backward(dhidden, states, w1, activation="tanh", saved=hidden)
    return dw1, db1, dw2, db2


@njit
def train(parameters, updates, seed):
    """Train the parameters in place; returns the mean length of the episodes of each update."""
    np.random.seed(seed)
    w1, b1, w2, b2 = parameters
    first = (np.zeros_like(w1), np.zeros_like(b1), np.zeros_like(w2), np.zeros_like(b2))
    second = (np.zeros_like(w1), np.zeros_like(b1), np.zeros_like(w2), np.zeros_like(b2))
    states, actions = np.empty((EPISODES * STEPS, 4), np.float32), np.empty(EPISODES * STEPS, np.int64)
    lengths, history = np.empty(EPISODES, np.int64), np.empty(updates)
    for update in range(updates):
        rows = 0
        for episode in range(EPISODES):
            state = np.random.uniform(-0.05, 0.05, 4).astype(np.float32)
            lengths[episode] = run_episode(state, parameters, states[rows:], actions[rows:])
            rows += lengths[episode]
        found = gradients(parameters, states[:rows], actions[:rows], advantages(lengths))
        adam(parameters, found, first, second, step=update + 1, lr=RATE)
        history[update] = lengths.mean()
    return history


def initial(seed):
    """Weights and biases of the policy, uniform up to 1 / sqrt(inputs), as PyTorch's layers have them."""
    rng = np.random.default_rng(seed)
    sizes = ((HIDDEN, 4), (HIDDEN,), (2, HIDDEN), (2,))
    limits = 0.5, 0.5, HIDDEN**-0.5, HIDDEN**-0.5
    return tuple(rng.uniform(-limit, limit, size).astype(np.float32) for size, limit in zip(sizes, limits, strict=True))


def train_with_torch(parameters, updates, seed):
    """The same in Python."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    w1, b1, w2, b2 = parameters = [torch.from_numpy(each.copy()).requires_grad_() for each in parameters]
    optimizer, history = torch.optim.Adam(parameters, lr=RATE), []
    for _ in range(updates):
        states, actions, lengths = [], [], []
        for _ in range(EPISODES):
            state = rng.uniform(-0.05, 0.05, 4).astype(np.float32)
            first = len(states)
            for _ in range(STEPS):
                states.append(state.copy())
                with torch.inference_mode():
                    hidden = torch.tanh(F.linear(torch.from_numpy(state).reshape(1, 4), w1, b1))
                    probabilities = torch.softmax(F.linear(hidden, w2, b2), 1)
                actions.append(int(rng.random() < float(probabilities[0, 1])))
                if not step(state, actions[-1]):  # compiled, so that it is PyTorch's calls that are measured
                    break
            lengths.append(len(states) - first)
        hidden = torch.tanh(F.linear(torch.from_numpy(np.stack(states)), w1, b1))
        losses = F.cross_entropy(F.linear(hidden, w2, b2), torch.tensor(actions), reduction="none")
        loss = (losses * torch.from_numpy(advantages(np.array(lengths)))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(np.mean(lengths))
    return np.array(history)


def report(name, run, updates):
    run(initial(0), 2, 0)  # compiles, or loads
    start = time.perf_counter()
    history = run(initial(0), updates, 0)
    seconds = time.perf_counter() - start
    steps = history.sum() * EPISODES
    print(
        f"{name}: {updates * EPISODES} episodes in {seconds:.2f} s, {updates * EPISODES / seconds:.0f} a second, "
        f"{seconds / steps * 1e6:.2f} us a step; steps per episode at first {history[0]:.0f}, at last {history[-1]:.0f}"
    )
    return history


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--torch", action="store_true", help="also train with PyTorch, from Python")
    options = parser.parse_args()
    report("jitted", train, options.updates)
    if options.torch:
        report("PyTorch", train_with_torch, options.updates)

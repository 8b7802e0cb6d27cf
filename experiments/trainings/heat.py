r"""A network learns to solve the heat equation, from the equation alone: second derivatives inside the loss.

The problem is $u_t = \alpha u_{xx}$ on $[0, 1]$, with $u(0, x) = \sin \pi x + \frac12 \sin 3\pi x$ and $u = 0$ at both
ends. The loss is the mean square of the residual $u_t - \alpha u_{xx}$ at random points, plus that of the initial and
boundary conditions (Raissi, Perdikaris and Karniadakis: Physics-informed neural networks, 2019). No value of the
solution enters, which is $e^{-\alpha \pi^2 t} \sin \pi x + \frac12 e^{-9 \alpha \pi^2 t} \sin 3\pi x$.

`autograd.grad(..., create_graph=True)` gives $u_x$ and $u_t$ on the tape, a second call $u_{xx}$, and `backward` goes
through all of it. PyTorch gets the same weights and points: the losses of the first 20 steps must agree within 1e-4.

    python -m experiments.trainings.heat [--threads N] [--steps N] [--seed N]
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import trange

import kernels
import nn
from experiments import side_by_side
from nn import plot

FIGURES = Path(__file__).parent / "figures"
ALPHA = 0.1
POINTS = 256  # of the residual, each step; half as many of each condition
STEPS = 3000
TOLERANCE = 1e-4


def build(library):
    """The network u(t, x), from `nn` or from `torch.nn`."""
    layers = [library.Linear(2, 32), library.Tanh()]
    for _ in range(3):
        layers += [library.Linear(32, 32), library.Tanh()]
    return library.Sequential(*layers, library.Linear(32, 1))


def initial(x):
    return np.sin(np.pi * x) + 0.5 * np.sin(3 * np.pi * x)


def solution(t, x):
    """The closed solution."""
    slow, fast = np.exp(-ALPHA * np.pi**2 * t), np.exp(-9 * ALPHA * np.pi**2 * t)
    return slow * np.sin(np.pi * x) + 0.5 * fast * np.sin(3 * np.pi * x)


def points(rng):
    """Random points (t, x) of the equation, of the initial condition with its values, and of both ends."""
    inside = rng.random((POINTS, 2), dtype=np.float32)
    start = rng.random((POINTS // 2, 2), dtype=np.float32) * np.float32([0, 1])
    ends = rng.random((POINTS // 2, 2), dtype=np.float32)
    ends[:, 1] = ends[:, 1] > 0.5
    return inside, start, initial(start[:, 1:]).astype(np.float32), ends


def loss(library, network, inside, start, values, ends):
    """The mean squares of the residual and of the conditions; the same lines for `nn` and PyTorch."""
    grad = library.autograd.grad
    inside.requires_grad_()
    u = network(inside)
    (du,) = grad(u.sum(), inside, create_graph=True)
    (second,) = grad(du[:, 1].sum(), inside, create_graph=True)
    residual = du[:, 0] - ALPHA * second[:, 1]
    conditions = ((network(start) - values) ** 2).mean() + (network(ends) ** 2).mean()
    return (residual**2).mean() + 10 * conditions


def trainer(library, tensor, network, rng):
    """A function that trains one step on fresh points and returns the loss."""
    optimizer = library.optim.Adam(network.parameters(), lr=3e-3)
    scheduler = library.optim.lr_scheduler.ExponentialLR(optimizer, 0.05 ** (1 / STEPS))

    def step():
        optimizer.zero_grad()
        value = loss(library, network, *map(tensor, points(rng)))
        value.backward()
        optimizer.step()
        scheduler.step()
        return value.item()

    return step


def compare(seed, threads, rounds):
    """What `side_by_side.duel` finds on this task."""
    import torch

    nn.manual_seed(seed)
    network, twin = build(nn), build(torch.nn)
    twin.load_state_dict({key: torch.tensor(np.array(value.array)) for key, value in network.state_dict().items()})
    steps = (
        trainer(nn, nn.tensor, network, np.random.default_rng(seed)),
        trainer(torch, torch.tensor, twin, np.random.default_rng(seed)),
    )
    return side_by_side.duel(*steps, threads, tolerance=TOLERANCE, rounds=rounds)


def train(seed, steps):
    """Train from scratch.

    Returns
    -------
    (network, losses)
    """
    nn.manual_seed(seed)
    network = build(nn)
    step = trainer(nn, nn.tensor, network, np.random.default_rng(seed))
    losses = [step() for _ in trange(steps, leave=False)]
    return network, losses


def predicted(network, n=101):
    """The network's and the closed solution on a grid of times and places."""
    t, x = np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, n), indexing="ij")
    grid = np.stack([t, x], -1).reshape(-1, 2).astype(np.float32)
    with nn.no_grad():
        u = network(nn.tensor(grid)).array.reshape(n, n)
    return u, solution(t, x)


def draw(u, exact, losses, path):
    """Loss, the solution at five times beside the closed one, and the error over the plane."""
    canvas, (left, middle, right) = plot.figure(13, 4, 1, 3)
    plot.curves({"loss": losses}, np.arange(1, len(losses) + 1), ax=left, xlabel="step", ylabel="loss", title="Loss")
    left.set_yscale("log")
    x = np.linspace(0, 1, u.shape[1])
    with plot.style():
        for k in range(5):
            i = k * (len(u) - 1) // 4
            middle.plot(x, exact[i], color=plot.GREY, linewidth=5, alpha=0.5)
            middle.plot(x, u[i], color=plot.BLUE)
            place = np.argmax(exact[i])
            middle.annotate(
                f"t = {k / 4:g}", (x[place], exact[i][place]), (0, 3), textcoords="offset points", fontsize=8
            )
        middle.set(xlabel="x", ylabel="u", title="Network (blue) on the closed solution (grey)")
        image = right.imshow(np.abs(u - exact).T, origin="lower", extent=(0, 1, 0, 1), aspect="auto", cmap="Greys")
        canvas.colorbar(image, ax=right)
        right.set(xlabel="t", ylabel="x", title=f"|error|, at most {np.abs(u - exact).max():.1e}")
    canvas.savefig(path)


def run(seed=0, steps=STEPS, threads=None, folder=FIGURES, rounds=10):
    """Train, draw and compare; print the findings.

    Returns
    -------
    dict
        ``error``: the largest relative to the largest value of the solution, ``rms``: its root mean square; and what
        `compare` returns.
    """
    threads = threads or kernels.get_num_threads()
    kernels.set_num_threads(threads)
    network, losses = train(seed, steps)
    u, exact = predicted(network)
    error, rms = np.abs(u - exact).max() / np.abs(exact).max(), np.sqrt(((u - exact) ** 2).mean() / (exact**2).mean())
    print(f"error against the closed solution: {error:.2%} at most, {rms:.2%} root mean square")
    folder.mkdir(parents=True, exist_ok=True)
    draw(u, exact, losses, folder / "heat.png")
    result = compare(seed, threads, rounds)
    side_by_side.report(result, TOLERANCE, POINTS, threads)
    print(f"picture: {folder}/heat.png")
    return {"error": error, "rms": rms, **result}


def main():
    parser = argparse.ArgumentParser(description="Solve the heat equation by its residual, beside PyTorch.")
    parser.add_argument("--threads", type=int, help="threads of both libraries (default: all that kernels would use)")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    result = run(options.seed, options.steps, options.threads)
    raise SystemExit(result["difference"] > TOLERANCE)


if __name__ == "__main__":
    main()

# %% [markdown]
# # A GAN of two numbers: why training runs in circles, and what stops it
#
# **Claim.** In the smallest GAN there is, gradient steps of both players at once do not converge: every step multiplies
# the distance to the equilibrium by $\sqrt{1 + \eta^2 f'(0)^2}$, however small the rate $\eta$. A penalty on the
# discriminator's gradient at the real data (R1) makes training converge, at the rate of the Jacobian's eigenvalue. Both
# exponents are measured within 1 %.
#
# **Paper.** L. Mescheder, A. Geiger and S. Nowozin (2018), *Which training methods for GANs do actually converge?*
#
# | | the paper | here |
# | :--- | :--- | :--- |
# | game | Dirac-GAN: real data at 0, generator $\delta_\theta$, discriminator $D_\psi(x) = \psi x$ | this game |
# | statements | eigenvalues of the continuous flow and of its discretisation, proved; pictures of trajectories | exponents measured along trajectories, $\eta$ from 0.03 to 0.3 |
# | what "within 1 %" means | – | of the *logarithm* of the factor per step: the factor itself is so near to 1 that anything would pass |
# | R1 | converges for every $\gamma > 0$ and small enough $\eta$ | so it does; with the exact threshold $\gamma > \eta f'(0)^2$ |
# | gradients | by hand | by automatic differentiation; R1's penalty is a gradient of a gradient |
#
# **Predict first.**
# 1. Both players take turns instead of moving at once. Does the distance still grow?
# 2. Is there a rate small enough for simultaneous steps to converge without a penalty?
# 3. Twice the penalty: does training always converge faster?

# %%
import math

import numpy as np

import nn
from experiments import lab, side_by_side
from nn import plot

CARD = lab.Card(
    title="A GAN of two numbers",
    claim="Both at once: distance × √(1 + η²f′(0)²) a step; R1 converges at its eigenvalue; exponents within 1 %",
    paper="Mescheder, Geiger and Nowozin 2018, Which training methods for GANs do actually converge?",
    grade="A",
    seconds=110,
)

# %%
if __name__ == "__main__":
    study = lab.study("dirac_gan")
    lab.show(study)

# %%
if __name__ == "__main__":
    lab.show(lab.load("dirac_gan").draw_paths(study.results))

# %% [markdown]
# The generator's point $\theta$ and the discriminator's slope $\psi$, with the same rate and the same start; the
# equilibrium is the cross. At once, both players circle it and drift away. In turns, they circle on a closed curve.
# With the penalty they spiral in.
#
# ## Derive
#
# The real data are the point 0, the generated data the point $\theta$, and the discriminator is a line through the
# origin, $D_\psi(x) = \psi x$. The generator minimises and the discriminator maximises
#
# $$ L(\theta, \psi) = f(D_\psi(\theta)) + f(-D_\psi(0)) = f(\psi\theta) + f(0), $$
#
# with $f(t) = t$ for the Wasserstein GAN, $f(t) = -\ln(1 + e^{-t})$ for the original, logistic one. The equilibrium is
# $\theta = \psi = 0$. The players move along
#
# $$ \dot\theta = -f'(\psi\theta)\, \psi, \qquad \dot\psi = f'(\psi\theta)\, \theta . $$
#
# $\theta\dot\theta + \psi\dot\psi = 0$: the flow runs in *circles*. It neither converges nor diverges.
#
# **Both at once.** Near the equilibrium $f'(\psi\theta)$ is $f'(0) = a$, which is 1 or $\tfrac12$. An Euler step of
# length $\eta$ is the matrix
#
# $$ \begin{pmatrix} 1 & -\eta a \\ \eta a & 1 \end{pmatrix}, \qquad
#    \text{eigenvalues } 1 \pm i\,\eta a, \qquad \text{length } \sqrt{1 + \eta^2 a^2} . $$
#
# The step goes along the tangent, and a tangent leaves the circle. A smaller rate makes the growth per step
# quadratically smaller, but never stops it: over the $2\pi/\eta a$ steps of a revolution the distance grows by about
# $e^{\pi\eta a}$.
#
# **In turns.** If the discriminator already sees the new $\theta$, the matrix is
# $\begin{pmatrix} 1 & -\eta a \\ \eta a & 1 - \eta^2 a^2 \end{pmatrix}$. Its determinant is 1 and its trace
# $2 - \eta^2 a^2$, so that for $\eta a < 2$ both eigenvalues have length 1: neither growth nor decay.
#
# **R1.** The discriminator pays $\tfrac\gamma2 \lVert\nabla_x D_\psi\rVert^2$ at the real data, here
# $\tfrac\gamma2\psi^2$. The Jacobian of the flow becomes $\begin{pmatrix} 0 & -a \\ a & -\gamma \end{pmatrix}$ with
#
# $$ \lambda_{1,2} = -\frac\gamma2 \pm \sqrt{\frac{\gamma^2}4 - a^2} . $$
#
# Both have a negative real part: the flow converges. Up to $\gamma = 2a$ they are complex and a larger penalty makes it
# faster; beyond, they are real, the slower one tends to $-a^2/\gamma$, and a larger penalty makes it *slower*: the
# discriminator is held so still that the generator has little to follow. Steps of length $\eta$, both at once, multiply
# by $1 + \eta\lambda$; in the complex case
#
# $$ |1 + \eta\lambda|^2 = 1 - \eta\gamma + \eta^2 a^2 , $$
#
# which is below 1 only for $\gamma > \eta a^2$. A penalty below this threshold merely slows the divergence. In turns,
# the determinant is $1 - \eta\gamma$, and every $\gamma > 0$ converges (in the complex case at $\sqrt{1 - \eta\gamma}$
# a step).

# %% [markdown]
# ## Implement
#
# Many games are played at once: $\theta$ and $\psi$ are vectors, one entry a game, each with its own $\gamma$ and
# start. The losses are summed, so that every entry has its own game's gradient. The same lines serve PyTorch. Each player
# moves by the optimiser's loop, here the plain one:

# %%
if __name__ == "__main__":
    from kernels.update import loops

    lab.show(lab.source(loops.sgd_naive))


# %%
def payoff(library, form, t):
    """f(t): "Wasserstein" or "logistic"."""
    return t if form == "Wasserstein" else -library.nn.functional.softplus(-t)


SLOPE = {"Wasserstein": 1.0, "logistic": 0.5, "non-saturating": 0.5}  # f'(0)


def generator_loss(library, form, theta, psi):
    """What the generator minimises: f(ψθ), or -f(-ψθ) if it is not to saturate."""
    if form == "non-saturating":
        return -payoff(library, "logistic", -(psi * theta)).sum()
    return payoff(library, form, psi * theta).sum()


def discriminator_loss(library, form, theta, psi, real, gamma):
    """What the discriminator minimises: -f(ψθ) - f(-ψ·0), and γ/2 (∂D/∂x)² at the real data."""
    real_score = psi * real
    (slope,) = library.autograd.grad(real_score.sum(), real, create_graph=True)
    value = payoff(library, form, psi * theta) + payoff(library, form, -real_score)
    return (gamma * slope * slope * 0.5 - value).sum()


class Game:
    """Dirac-GANs side by side, and one optimiser for each player."""

    def __init__(self, library, form, theta, psi, gamma, optimizer, alternate):
        """`theta`, `psi`: parameters (games,); `gamma`: (games,); `optimizer`: (name, options)."""
        self.library, self.form, self.alternate, self.gamma = library, form, alternate, gamma
        self.theta, self.psi = theta, psi
        self.real = (gamma * 0).requires_grad_()
        name, options = optimizer
        self.players = [getattr(library.optim, name)([p], **options) for p in (theta, psi)]

    def step(self):
        """A step of both players, at once or in turns; the discriminator's loss."""
        generator, discriminator = self.players
        loss = generator_loss(self.library, self.form, self.theta, self.psi)
        (slope,) = self.library.autograd.grad(loss, self.theta)
        if self.alternate:
            self.theta.grad = slope
            generator.step()
        loss = discriminator_loss(self.library, self.form, self.theta, self.psi, self.real, self.gamma)
        (self.psi.grad,) = self.library.autograd.grad(loss, self.psi)
        if not self.alternate:
            self.theta.grad = slope
            generator.step()
        discriminator.step()
        return loss.item()


def play(form, start, gammas, optimizer, alternate, steps):
    """The trajectories (steps + 1, games, 2) of (θ, ψ); `start` is (2,), all games begin there."""
    theta, psi = (nn.Parameter(np.full(len(gammas), x)) for x in start)
    game = Game(INNERLOOP, form, theta, psi, nn.Tensor(np.array(gammas, np.float64)), optimizer, alternate)
    visited = [(theta.array.copy(), psi.array.copy())]
    for _ in range(steps):
        game.step()
        visited.append((theta.array.copy(), psi.array.copy()))
    return np.array(visited).transpose(0, 2, 1)


class INNERLOOP:
    """What `Game` takes from a library, under PyTorch's names."""

    nn, optim, autograd = nn, nn.optim, nn.autograd


def exponent(lengths):
    """Slope of ln(length) against the step: a line by least squares through the second half, cf. the derivation."""
    t = np.arange(len(lengths))[len(lengths) // 2 :]
    return float(np.polyfit(t, np.log(lengths[len(lengths) // 2 :]), 1)[0])


def matrix(a, eta, gamma, alternate):
    """One step as a matrix on (θ, ψ), near the equilibrium."""
    generator = np.array([[1, -eta * a], [0, 1]])
    discriminator = np.array([[1, 0], [eta * a, 1 - eta * gamma]])
    return discriminator @ generator if alternate else generator + discriminator - np.eye(2)


def theory(a, eta, gamma, alternate):
    """ln of the largest eigenvalue's length."""
    return math.log(np.abs(np.linalg.eigvals(matrix(a, eta, gamma, alternate))).max())


def exponents(config, form, eta, direction):
    """Measured and predicted exponents for every γ, at once and in turns.

    The start is so near the equilibrium that the linearisation is exact to the last digit.
    """
    a, steps = SLOPE[form], round(config["time"] / eta)
    gammas = [0.0, eta * a**2 / 2, *(a * ratio for ratio in config["ratios"])]
    row = {"form": form, "eta": eta, "gamma": gammas}
    for name, alternate in (("at once", False), ("in turns", True)):
        walk = play(form, 1e-30 * direction, gammas, ("SGD", {"lr": eta}), alternate, steps)
        row[name] = [exponent(lengths) for lengths in np.linalg.norm(walk, axis=2).T]
        row[f"{name}, theory"] = [theory(a, eta, gamma, alternate) for gamma in gammas]
    return row


OPTIMIZERS = {
    "SGD": ("SGD", {"lr": 0.1}),
    "momentum 0.5": ("SGD", {"lr": 0.1, "momentum": 0.5}),
    "RMSprop": ("RMSprop", {"lr": 0.01}),
    "Adam, β₁ = 0.9": ("Adam", {"lr": 0.01}),
    "Adam, β₁ = 0": ("Adam", {"lr": 0.01, "betas": (0.0, 0.9)}),
}
PENALTIES = (0.0, 0.5)


def grid(config, start):
    """log₁₀ of the distance at the end over that at the start: form × order × optimiser × penalty."""
    result = {}
    for form in SLOPE:
        for name, optimizer in OPTIMIZERS.items():
            for order, alternate in (("at once", False), ("in turns", True)):
                walk = play(form, start, PENALTIES, optimizer, alternate, config["grid_steps"])
                for gamma, end in zip(PENALTIES, np.linalg.norm(walk[-20:], axis=2).mean(axis=0), strict=True):
                    result[f"{form}; {name}; {order}; {gamma}"] = float(np.log10(end / np.linalg.norm(start)))
    return result


def run(config, seed):
    """All exponents from one random direction; the grid from the same; with the first seed three paths."""
    seed += config["first_seed"]
    angle = lab.streams(seed)[1].uniform(0, 2 * math.pi)
    direction = np.array([math.cos(angle), math.sin(angle)])
    result = {
        "rows": [
            exponents(config, form, eta, direction) for form in ("Wasserstein", "logistic") for eta in config["etas"]
        ],
        "grid": grid(config, direction),
    }
    if seed == config["first_seed"]:
        plain = ("SGD", {"lr": 0.1})
        at_once = play("logistic", [1.0, 1.0], [0.0, 0.3], plain, False, 400)
        in_turns = play("logistic", [1.0, 1.0], [0.0], plain, True, 400)
        result["paths"] = {"at once": at_once[:, 0], "in turns": in_turns[:, 0], "at once, R1, γ = 0.3": at_once[:, 1]}
    return result


def compare(config, seed):
    """The logistic game with R1, at once, beside PyTorch: the discriminator's loss over 20 steps, in float64."""
    import torch

    angle = lab.streams(seed)[1].uniform(0, 2 * math.pi, 8)
    starts, gammas = (np.cos(angle), np.sin(angle)), np.linspace(0, 2, 8)
    steps = []
    for library, tensor, parameter in (
        (INNERLOOP, nn.Tensor, nn.Parameter),
        (torch, torch.tensor, lambda x: torch.nn.Parameter(torch.tensor(x))),
    ):
        theta, psi = (parameter(x.copy()) for x in starts)
        steps.append(Game(library, "logistic", theta, psi, tensor(gammas), ("SGD", {"lr": 0.1}), False).step)
    return side_by_side.duel(*steps, tolerance=1e-9)


# %% [markdown]
# ## More pictures


# %%
def draw_paths(results):
    """Three games from the same start."""
    figure, panels = plot.figure(10.5, 3.7, columns=3, sharex=True, sharey=True)
    colours = (plot.ORANGE, plot.GREY, plot.BLUE)
    for axes, (name, path), colour in zip(panels, results[0]["paths"].items(), colours, strict=True):
        path = np.array(path)
        plot.paths({name: path}, ax=axes, colours=[colour])
        axes.plot(0, 0, "+", color=plot.INK, ms=12, mew=2)
        axes.set(title=name, xlabel="generator θ", aspect="equal")
        if axes.get_legend():
            axes.get_legend().remove()
    panels[0].set_ylabel("discriminator ψ")
    return figure


def draw_exponents(results):
    """Decay per step over η, against the penalty: measured on theory's lines."""
    figure, panels = plot.figure(10.5, 4, columns=2, sharey=True)
    dense = np.linspace(0, 4.2, 200)
    for axes, form in zip(panels, ("Wasserstein", "logistic"), strict=True):
        rows = [row for row in results[0]["rows"] if row["form"] == form]
        for row, colour in zip(rows, (plot.SKY, plot.BLUE, plot.ORANGE), strict=False):
            a, eta = SLOPE[form], row["eta"]
            axes.plot(dense, [theory(a, eta, a * r, False) / (eta * a) for r in dense], color=colour, lw=1.2)
            for result in results:
                found = next(r for r in result["rows"] if r["form"] == form and r["eta"] == eta)
                ratio = np.divide(found["gamma"], a)
                axes.plot(ratio, np.divide(found["at once"], eta * a), "o", color=colour, mfc="none")
            axes.plot([], [], "o-", color=colour, mfc="none", lw=1.2, label=f"η = {eta:g}")
        axes.axhline(0, color=plot.GREY, lw=1)
        axes.set(xlabel="penalty γ / f′(0)", title=f"{form}: circles measured, lines derived")
    panels[0].set_ylabel("growth of ln(distance) per step / η f′(0)")
    panels[0].legend()
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_exponents(study.results))

# %% [markdown]
# Above the line the distance grows, below it shrinks. Without a penalty every rate diverges, a larger one faster (even
# after division by the rate). The fastest convergence is near $\gamma = 2f'(0)$, where the two eigenvalues meet;
# beyond, more penalty is slower. In units of $f'(0)$ the two losses look almost the same: near the equilibrium only
# $f'(0)$ matters.
#
# ## The grid: loss × order × optimiser × penalty


# %%
def draw_grid(results):
    """log₁₀ of the final distance over the first, median of the seeds, from a start at distance 1."""
    figure, panels = plot.figure(11, 3.4, columns=3)
    columns = [(order, gamma) for gamma in PENALTIES for order in ("at once", "in turns")]
    names = [f"{order}, γ = {gamma:g}" for order, gamma in columns]
    for axes, form in zip(panels, SLOPE, strict=True):
        cells = [
            [np.median([r["grid"][f"{form}; {name}; {order}; {gamma}"] for r in results]) for order, gamma in columns]
            for name in OPTIMIZERS
        ]
        rows = list(OPTIMIZERS) if axes is panels[0] else [""] * len(OPTIMIZERS)
        plot.grid(
            cells, rows, names, ax=axes, fmt="{:z.1f}", limits=(-4, 4), cmap=plot.DIVERGING.reversed(), title=form
        )
    figure.suptitle("log₁₀ of the distance at the end over the start; blue: nearer to the equilibrium")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# After 500 steps from a distance of 1; the first two columns of each block are without a penalty. Plain SGD does as
# derived. *Momentum* makes it worse, not better: it is a larger rate, and the Wasserstein game diverges
# with it even under a penalty that suffices without. The original and the non-saturating loss differ
# only far from the equilibrium, where the second one's nonlinearity pulls inwards a little ($-0.3$ in place of
# $+0.2$). Adam and RMSprop settle into a small cycle, whose size is set by their rate, unless the penalty
# removes it; $\beta_1 = 0$, usual together with R1, is better than 0.9 in every cell. RMSprop falls so far because its
# divisor decays with the gradients: its rate grows as it approaches. No claim is made about these.
#
# ## Compare, interpret
#
# PyTorch plays eight logistic games with penalties from 0 to 2 from the same starts; its `autograd.grad` with
# `create_graph=True` differentiates the penalty as ours does, and the losses agree as the table says.
#
# The statements are exact, and anything off by more than its bound would be an error of ours. What they say about large
# GANs is limited: two numbers, a point for the data, the neighbourhood of an equilibrium. The paper proves the local
# statement for general GANs whose generator can match the data. What carries over is the mechanism, rotation: a
# game's vector field is no gradient, its Jacobian has imaginary eigenvalues, and a gradient step turns imaginary into
# growing.
#
# <details><summary>The predictions</summary>
#
# 1. No: the determinant is 1. But it does not shrink either. 2. No: the growth is $\tfrac12\ln(1 + \eta^2 a^2)$ for all
# $\eta > 0$. 3. Only up to $\gamma = 2f'(0)$; beyond, the slow eigenvalue is about $-f'(0)^2/\gamma$.
# </details>

# %% [markdown]
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("dirac_gan"))


# %%
def answer_threshold(results):
    """The smallest penalty with which both at once converge: logistic loss, η = 0.3; by bisection."""
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if theory(SLOPE["logistic"], 0.3, middle, False) < 0 else (middle, high)
    return high


def answer_unpenalised(results):
    """How many checks fall if the discriminator pays nothing for its slope."""

    def unpenalised(library, form, theta, psi, real, gamma, loss=discriminator_loss):
        return loss(library, form, theta, psi, real, gamma * 0)

    return len(lab.fallen("dirac_gan", {"time": 30, "grid_steps": 20}, discriminator_loss=unpenalised))


def answer_momentum(results):
    """What momentum does to the distance at the end, in the Wasserstein game without penalty, at once."""
    plain, heavy = (
        np.median([result["grid"][f"Wasserstein; {name}; at once; 0.0"] for result in results])
        for name in ("SGD", "momentum 0.5")
    )
    return "larger" if heavy > plain else "smaller"


EXERCISES = [
    lab.Exercise(
        "Both players move at once, with the logistic loss and $\\eta = 0.3$. Which is the smallest $\\gamma$ with which "
        "training converges?",
        answer_threshold,
        "$|1 + \\eta\\lambda|^2 = 1 - \\eta\\gamma + \\eta^2a^2$ is below 1 from $\\gamma = \\eta a^2$ on, and "
        "$a = f'(0) = \\tfrac12$.",
        within=0.02,
    ),
    lab.Exercise(
        "Let `discriminator_loss` forget the penalty. How many of the five checks fall?",
        answer_unpenalised,
        "All three that are about R1: at once, in turns, and too weak (which must grow *at its own rate*). The two without "
        "a penalty are as before.",
    ),
    lab.Exercise(
        "Momentum 0.5 in the Wasserstein game, both at once, no penalty: is the distance at the end larger or smaller than "
        "with plain steps of the same rate?",
        answer_momentum,
        "Momentum adds the gradients of the past, which point along tangents that the game has left already: a larger "
        "rate, and the growth per step is quadratic in the rate.",
        ("larger", "smaller"),
    ),
]

# %% [markdown]
# ## Configurations and claims
#
# The claim's checks include its control, the alternating game, which must neither grow nor decay. The two
# extras are the threshold $\gamma = \eta f'(0)^2$, which the paper does not give, and R1 in turns.
# Of all losses, rates, penalties and seeds the value furthest from 1 counts.

# %%
FULL = {
    "seeds": 5,
    "first_seed": 0,
    "etas": [0.03, 0.1, 0.3],
    "time": 200,
    "ratios": [0.25, 0.5, 1.0, 1.5, 3.0, 4.0],
    "grid_steps": 500,
}
FAST = FULL | {"seeds": 1, "first_seed": 100, "etas": [0.3], "grid_steps": 20}


def check(results, mode):
    """What must hold."""
    rows = [row for result in results for row in result["rows"]]

    def ratios(name, part):
        return np.concatenate([np.divide(row[name][part], row[f"{name}, theory"][part]) for row in rows])

    def furthest(values):
        return max(values, key=lambda value: abs(value - 1))

    still = max(abs(row["in turns"][0]) / row["at once, theory"][0] for row in rows)
    bounds = {"at_least": 0.99, "at_most": 1.01}
    return [
        lab.check(
            "at once, no penalty: exponent over ½ ln(1 + η²f′(0)²)", furthest(ratios("at once", slice(0, 1))), **bounds
        ),
        lab.check("at once, R1: exponent over ln |1 + ηλ|", furthest(ratios("at once", slice(2, None))), **bounds),
        lab.check("control, in turns, no penalty: exponent over that of both at once", still, at_most=0.01),
        lab.check(
            "R1 too weak, γ = ηf′(0)²/2, grows: exponent over theory's",
            furthest(ratios("at once", slice(1, 2))),
            **bounds,
            extra=True,
        ),
        lab.check(
            "in turns, R1: exponent over theory's", furthest(ratios("in turns", slice(2, None))), **bounds, extra=True
        ),
    ]

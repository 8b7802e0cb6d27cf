# %% [markdown]
# # Quadratics, a stream and a saddle: what optimisers do where everything can be computed
#
# **Claim.** (1) On a quadratic of condition number $\kappa$, gradient descent at its best shrinks the error by
# $(\kappa - 1)/(\kappa + 1)$ a step, heavy ball by $(\sqrt\kappa - 1)/(\sqrt\kappa + 1)$; measured, the exponents
# agree within 3 %. (2) There is a stream of linear functions with the optimum at $-1$ on which Adam goes to $+1$ and
# AMSGrad to $-1$. (3) Gradient descent leaves a saddle after $\ln(c/\delta) / \ln(1 + \eta)$ steps, within 2 %.
#
# **Papers.** B. Polyak (1964), *Some methods of speeding up the convergence of iteration methods*, and G. Goh (2017),
# *Why momentum really works*; S. Reddi, S. Kale and S. Kumar (2018), *On the convergence of Adam and beyond*, section 3
# and the synthetic experiment of section 5; for saddles, J. Lee, M. Simchowitz, M. Jordan and B. Recht (2016),
# *Gradient descent only converges to minimizers*.
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | quadratics | any symmetric matrix; rates as limits | 10 dimensions, eigenvalues spread evenly in $\ln\lambda$, rotated at random; slope over a finite window |
# | what "within 3 %" means | – | of $-\ln\rho$, the exponent: $\rho$ itself is so near to 1 that anything would pass |
# | Reddi, theorem 1 | $C > 2$, $\beta_1 = 0$, $\beta_2 = 1/(1 + C^2)$, rate $\alpha/\sqrt t$, no bias correction | $C = 3$, the same, *with* Adam's bias correction |
# | Reddi, experiment | $1010x$ once in 101 steps, else $-10x$; $\beta_1 = 0.9$, $\beta_2 = 0.99$ as we remember it | the same; a constant rate, 1,500 rounds |
# | saddle | almost no start converges to it | how many steps it costs, $f = \tfrac12 x^2 - \tfrac12 y^2 + \tfrac14 y^4$ |
#
# **Predict first.**
# 1. $\kappa = 1000$: how many steps does gradient descent need for each digit, and how many with momentum?
# 2. Adam divides by the root of a running mean of squared gradients. How could this make it walk uphill, for ever?
# 3. You start $10^{-12}$ beside the ridge of a saddle. How much longer does it take than from $10^{-6}$?

# %%
import math

import numpy as np

import nn
from experiments import lab, side_by_side
from nn import functional as F
from nn import plot

CARD = lab.Card(
    title="Quadratics, a stream and a saddle",
    claim="Exponents of (κ−1)/(κ+1) and (√κ−1)/(√κ+1) ±3 %; Adam → +1, AMSGrad → −1; saddle exit ln(c/δ)/ln(1+η) ±2 %",
    paper="Polyak 1964; Goh 2017; Reddi, Kale, Kumar 2018; Lee et al. 2016",
    grade="A",
    seconds=20,
)
FULL = {
    "seeds": 5,
    "dimensions": 10,
    "kappas": [10, 30, 100, 300, 1000],
    "stream_rounds": [1000, 1500],
    "etas": [0.01, 0.03, 0.1],
    "offsets": [1e-12, 1e-9, 1e-6, 1e-3],
    "grid_kappas": [10, 100, 1000],
    "grid_noise": [0.0, 0.1],
    "grid_steps": 200,
    "grid_rates": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
}
FAST = FULL | {
    "seeds": 1,
    "kappas": [10, 100],
    "stream_rounds": [600, 20],
    "etas": [0.1],
    "grid_kappas": [10],
    "grid_steps": 30,
    "grid_rates": [0.1, 1.0],
}

# %% [markdown]
# ## Derive
#
# **Gradient descent.** $f(x) = \tfrac12 x^T A x$ with eigenvalues between $m$ and $M$, $\kappa = M/m$. In the
# eigenbasis the coordinates do not see each other: $x_i \leftarrow (1 - \eta\lambda_i)\, x_i$. The slowest factor is
# $\rho = \max(|1 - \eta m|, |1 - \eta M|)$. The first falls with $\eta$, the second rises, so the best $\eta$ makes them
# equal, $1 - \eta m = \eta M - 1$:
#
# $$ \eta = \frac{2}{m + M}, \qquad \rho = \frac{\kappa - 1}{\kappa + 1}. $$
#
# **Heavy ball.** With $v \leftarrow \beta v + g$ and $x \leftarrow x - \eta v$ each coordinate follows
# $x_{t+1} = (1 + \beta - \eta\lambda)\, x_t - \beta x_{t-1}$, whose solutions are $r^t$ with
#
# $$ r^2 - (1 + \beta - \eta\lambda)\, r + \beta = 0. $$
#
# The product of the two roots is $\beta$. While they are complex, $(1 + \beta - \eta\lambda)^2 < 4\beta$, both have the
# length $\sqrt\beta$ **whatever** $\lambda$ **is**: momentum makes all directions equally fast. This holds for
# $(1 - \sqrt\beta)^2 \le \eta\lambda \le (1 + \sqrt\beta)^2$. The smallest $\beta$ that gets all eigenvalues in uses both
# ends, $\eta m = (1 - \sqrt\beta)^2$ and $\eta M = (1 + \sqrt\beta)^2$, whose quotient is $\kappa$:
#
# $$ \rho = \sqrt\beta = \frac{\sqrt\kappa - 1}{\sqrt\kappa + 1}, \qquad \eta = \frac{4}{(\sqrt m + \sqrt M)^2}. $$
#
# For large $\kappa$, $-\ln\rho$ is about $2/\kappa$ without and $2/\sqrt\kappa$ with momentum. One subtlety: at both ends
# the two roots coincide, and then $t\rho^t$ is a solution, too. The error falls as $t\rho^t$, so the slope over
# steps $T$ to $2T$ is off by $\ln 2/T$. We take $T = 30\sqrt\kappa$, which makes this about 1 % of the exponent.
#
# **The stream.** $f_t(x) = Cx$ for $t \bmod 3 = 1$ and $-x$ otherwise, on $[-1, 1]$. Three steps add up to
# $(C - 2)\,x$, so for $C > 2$ the best point is $-1$. Adam with $\beta_1 = 0$ moves by
# $-\alpha_t\, g/\sqrt v$, $v \leftarrow \beta_2 v + (1 - \beta_2) g^2$. With $\beta_2 = 1/(1 + C^2)$ and $C = 3$, $\beta_2 = 0.1$, and
# over a round $v$ settles to
#
# $$ v_1 = 0.1\, v_3 + 0.9 \cdot 9 \approx 8.21, \qquad
#    v_2 = 0.1\, v_1 + 0.9 \approx 1.72, \qquad v_3 = 0.1\, v_2 + 0.9 \approx 1.07. $$
#
# The step down is $3/\sqrt{8.21} = 1.05$, the two steps up are $1/\sqrt{1.72} + 1/\sqrt{1.07} = 0.76 + 0.97 = 1.73$,
# in units of $\alpha_t$: **Adam climbs**, round after round. The one large gradient, which holds all the information, is
# divided by itself, and is forgotten when the small ones are divided. AMSGrad divides by the largest $v$ so far, $8.21$,
# throughout: $-1.05 + 2/\sqrt{8.21} = -0.35$, and goes down.
#
# **The saddle.** $f = \tfrac12 x^2 - \tfrac12 y^2 + \tfrac14 y^4$ has a saddle at 0 and minima at $y = \pm 1$. Near 0,
# $y \leftarrow (1 + \eta)\, y$: from $\delta$ it takes $\ln(c/\delta)/\ln(1 + \eta)$ steps to reach $c$. The distance to
# the ridge enters by its *logarithm*. With heavy ball the growing root of
# $r^2 - (1 + \beta + \eta)\, r + \beta = 0$ takes the place of $1 + \eta$ (and the start counts
# $(1 + \eta - r_2)/(r_1 - r_2)$ times, $r_2$ being the other root). Gradient *noise* of standard deviation $\sigma$
# spares the start: after a while $y$ is as if it had begun at $|z|\,\eta\sigma/\sqrt{(1 + \eta)^2 - 1}$ with a normal
# $z$ (sum the geometric series of variances). And Adam, which divides by the size of the gradient, walks at about
# $\eta$ a step from the beginning: $c/\eta$ steps, whatever $\delta$ is.

# %% [markdown]
# ## Implement


# %%
def spectrum(config, kappa):
    """Eigenvalues from 1/κ to 1, evenly spaced in their logarithm."""
    return np.geomspace(1 / kappa, 1, config["dimensions"])


def quadratic(eigenvalues, generator):
    """(A, x₀): the symmetric matrix in a random basis, and a random start."""
    n = len(eigenvalues)
    basis = np.linalg.qr(generator.standard_normal((n, n)))[0]
    return (basis * eigenvalues) @ basis.T, generator.standard_normal(n)


def value(A, x):
    """½ xᵀ A x of a tensor x (1, n), on the tape."""
    return (F.linear(x, A) * x).sum() * 0.5


def descend(A, start, optimizer, steps, noise=None):
    """All iterates (steps + 1, n); `noise` (steps, n) is added to the gradients."""
    name, options = optimizer
    x, matrix = nn.Parameter(start[None].copy()), nn.Tensor(A)  # the step writes into it
    descent = getattr(nn.optim, name)([x], **options)
    iterates = [start]
    for t in range(steps):
        descent.zero_grad()
        value(matrix, x).backward()
        if noise is not None:
            x.grad = nn.Tensor(x.grad.array + noise[t])
        descent.step()
        iterates.append(x.array[0].copy())
    return np.array(iterates)


def tuned(kappa):
    """Gradient descent and heavy ball at their best for eigenvalues from 1/κ to 1, and the exponents -ln ρ."""
    m, root = 1 / kappa, math.sqrt(kappa)
    rho = (kappa - 1) / (kappa + 1), (root - 1) / (root + 1)
    heavy = {"lr": 4 / (1 + math.sqrt(m)) ** 2, "momentum": rho[1] ** 2}
    return {
        "gradient descent": (("SGD", {"lr": 2 / (1 + m)}), -math.log(rho[0]), 10 * kappa),
        "heavy ball": (("SGD", heavy), -math.log(rho[1]), round(30 * root)),
    }


def rates(config, generator):
    """Measured and predicted exponents for each κ: the slope of ln‖x‖ over the second half of 2T steps."""
    rows = {name: {"measured": [], "theory": []} for name in tuned(10)}
    for kappa in config["kappas"]:
        A, start = quadratic(spectrum(config, kappa), generator)
        for name, (optimizer, exponent, T) in tuned(kappa).items():
            lengths = np.linalg.norm(descend(A, start, optimizer, 2 * T)[[T, 2 * T]], axis=1)
            rows[name]["measured"].append(math.log(lengths[0] / lengths[1]) / T)
            rows[name]["theory"].append(exponent)
    return rows


OPTIMIZERS = {
    "SGD": ("SGD", {}),
    "momentum 0.9": ("SGD", {"momentum": 0.9}),
    "Nesterov 0.9": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "Adagrad": ("Adagrad", {}),
    "RMSprop": ("RMSprop", {}),
    "Adam": ("Adam", {}),
    "AMSGrad": ("Adam", {"amsgrad": True}),
}


def grid(config, generator):
    """log₁₀ of f after some steps over f before, for the best rate of each optimiser, on each κ, with each noise."""
    result = {}
    for kappa in config["grid_kappas"]:
        A, start = quadratic(spectrum(config, kappa), generator)
        for noise in config["grid_noise"]:
            kicks = noise * generator.standard_normal((config["grid_steps"], len(start)))
            for label, (name, options) in OPTIMIZERS.items():
                ends = [
                    descend(A, start, (name, options | {"lr": lr}), config["grid_steps"], kicks)[-1]
                    for lr in config["grid_rates"]
                ]
                values = [x @ A @ x for x in ends]
                result[f"{label}, {kappa}, {noise}"] = math.log10(np.nanmin(values) / (start @ A @ start))
    return result


def stream(slopes, rounds, options, decay):
    """Adam on f_t(x) = slope_t · x within [-1, 1], from 0: x after every round."""
    x = nn.Parameter(np.zeros(1))
    optimizer = nn.optim.Adam([x], **options)
    [group], rate = optimizer.param_groups, options["lr"]
    gradients = [nn.Tensor(np.array([float(slope)])) for slope in slopes]
    visited, t = [], 0
    for _ in range(rounds):
        for gradient in gradients:
            t += 1
            if decay:
                group["lr"] = rate / math.sqrt(t)
            x.grad = gradient
            optimizer.step()
            np.clip(x.array, -1, 1, out=x.array)
        visited.append(x.item())
    return np.array(visited)[:: max(1, rounds // 150)]


def streams(config):
    """The stream of the theorem and that of the experiment, for Adam and AMSGrad."""
    theorem = {"lr": 0.3, "betas": (0.0, 0.1), "eps": 1e-12}
    experiment = {"lr": 0.01, "betas": (0.9, 0.99)}
    short, long = config["stream_rounds"]
    result = {}
    for name, amsgrad in (("Adam", False), ("AMSGrad", True)):
        result[name] = [
            stream([3, -1, -1], short, theorem | {"amsgrad": amsgrad}, decay=True),
            stream([1010] + 100 * [-10], long, experiment | {"amsgrad": amsgrad}, decay=False),
        ]
    return result


EXIT, SIGMA, MOMENTUM = 0.1, 1e-3, 0.9


def exits(optimizer, offsets, noise=0.0, generator=None):
    """Steps until |y| reaches `EXIT` beside the saddle of ½x² - ½y² + ¼y⁴, for several starts at once."""
    name, options = optimizer
    x, y = nn.Parameter(np.ones(len(offsets))), nn.Parameter(np.array(offsets, np.float64))
    descent = getattr(nn.optim, name)([x, y], **options)
    first = np.full(len(offsets), -1)
    step = 0
    while (first < 0).any():
        step += 1
        descent.zero_grad()
        (x * x * 0.5 - y * y * 0.5 + y * y * y * y * 0.25).sum().backward()
        if noise:
            y.grad = nn.Tensor(y.grad.array + noise * generator.standard_normal(len(offsets)))
        descent.step()
        first[(first < 0) & (np.abs(y.array) >= EXIT)] = step
    return first


def exit_theory(eta, offsets, momentum=0.0):
    """The same from the linear recursion."""
    total = 1 + momentum + eta
    root = math.sqrt(total**2 - 4 * momentum)
    fast, slow = (total + root) / 2, (total - root) / 2
    share = (1 + eta - slow) / (fast - slow)
    return np.log(EXIT / (share * np.asarray(offsets))) / math.log(fast)


def saddle(config, generator):
    """Steps to leave the saddle: gradient descent, heavy ball, Adam; and from the ridge itself, by noise."""
    offsets = config["offsets"]
    rows = []
    for eta in config["etas"]:
        noisy = exits(("SGD", {"lr": eta}), np.zeros(200), SIGMA, generator)
        effective = 0.6745 * eta * SIGMA / math.sqrt((1 + eta) ** 2 - 1)  # the median of |z| is 0.6745
        rows.append(
            {
                "eta": eta,
                "gradient descent": exits(("SGD", {"lr": eta}), offsets),
                "heavy ball": exits(("SGD", {"lr": eta, "momentum": MOMENTUM}), offsets),
                "Adam": exits(("Adam", {"lr": eta}), offsets),
                "theory": exit_theory(eta, offsets),
                "theory heavy ball": exit_theory(eta, offsets, MOMENTUM),
                "noise": float(np.median(noisy)),
                "noise theory": float(exit_theory(eta, effective)),
            }
        )
    return rows


PATHS = {
    "gradient descent": ("SGD", {"lr": 2 / (1 + 1 / 20)}),
    "heavy ball": tuned(20)["heavy ball"][0],
    "Adam": ("Adam", {"lr": 0.2}),
    "RMSprop": ("RMSprop", {"lr": 0.05}),
}


def tilted():
    """A quadratic of two dimensions, κ = 20, whose valley runs at 30 degrees."""
    c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
    basis = np.array([[c, -s], [s, c]])
    return (basis * [1 / 20, 1]) @ basis.T


def run(config, seed):
    """Rates, grid and saddle; with the first seed what has no chance in it, streams and paths, too."""
    data, start, order = lab.streams(seed)
    result = {
        "kappas": config["kappas"],
        "rates": rates(config, data),
        "grid": grid(config, start),
        "offsets": config["offsets"],
        "saddle": saddle(config, order),
    }
    if seed == 0:
        result["streams"] = streams(config)
        begin = np.array([-1.8, -0.7])
        result["paths"] = {name: descend(tilted(), begin, one, 40) for name, one in PATHS.items()}
    return result


STEPPERS = {
    "SGD": ("SGD", {"lr": 0.5}),
    "SGD, momentum, dampening, decay": ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}),
    "SGD, Nesterov": ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "Adam": ("Adam", {"lr": 0.1}),
    "Adam, decay": ("Adam", {"lr": 0.1, "weight_decay": 0.01}),
    "AMSGrad": ("Adam", {"lr": 0.1, "amsgrad": True}),
    "AdamW": ("AdamW", {"lr": 0.1}),
    "RMSprop": ("RMSprop", {"lr": 0.05}),
    "RMSprop, centred, momentum": ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.9}),
    "Adagrad": ("Adagrad", {"lr": 0.5, "lr_decay": 0.01}),
}


def compare(config, seed):
    """Every optimiser beside PyTorch's: f and each coordinate over 20 steps, relative, in float64; the worst of all."""
    import torch

    A, start = quadratic(spectrum(config, 100), lab.streams(seed)[0])
    differences = {}
    for label, (name, options) in STEPPERS.items():
        ours, theirs = nn.Parameter(start[None].copy()), torch.nn.Parameter(torch.tensor(start[None]))
        moved = []

        def stepper(library, x, matrix, name=name, options=options, moved=moved):
            optimizer = getattr(library.optim, name)([x], **options)

            def step():
                optimizer.zero_grad()
                f = ((x @ matrix) * x).sum() * 0.5
                f.backward()
                optimizer.step()
                moved.append(x.detach().numpy().copy())
                return f.item()

            return step

        steps = stepper(nn, ours, nn.Tensor(A)), stepper(torch, theirs, torch.tensor(A))
        result = side_by_side.duel(*steps, tolerance=1e-12, rounds=0)
        pairs = zip(moved[::2], moved[1::2], strict=True)
        apart = max(np.abs(a - b).max() / np.abs(b).max() for a, b in pairs)
        differences[label] = max(result["difference"], float(apart))
    worst = max(differences.values())
    return result | {"difference": worst, "optimizers": differences}


# %% [markdown]
# ## The claims, as inequalities
#
# For the exponents the value furthest from 1 of all $\kappa$ and seeds counts, and so for the exits. On the stream of the
# theorem both must end within 0.01 of $\pm 1$; on that of the experiment, whose rate is constant, AMSGrad swings
# by some 0.05 within each round of 101 steps, and a round ends at the upper end of the swing: there the bound is $-0.9$.


# %%
def check(results, mode):
    """What must hold."""

    def furthest(ratios):
        return max(np.ravel(ratios), key=lambda ratio: abs(ratio - 1))

    def exponents(name):
        return [np.divide(r["rates"][name]["measured"], r["rates"][name]["theory"]) for r in results]

    def steps(name, theory):
        return [np.divide(row[name], row[theory]) for result in results for row in result["saddle"]]

    ends = {name: [walk[-1] for walk in walks] for name, walks in results[0]["streams"].items()}
    checks = [
        lab.check(
            "gradient descent: exponent over theory's",
            furthest(exponents("gradient descent")),
            at_least=0.97,
            at_most=1.03,
        ),
        lab.check("heavy ball: exponent over theory's", furthest(exponents("heavy ball")), at_least=0.97, at_most=1.03),
        lab.check("stream of the theorem: where Adam ends", ends["Adam"][0], at_least=0.99),
        lab.check("stream of the theorem: where AMSGrad ends", ends["AMSGrad"][0], at_most=-0.99),
        lab.check(
            "saddle, gradient descent: steps over theory's",
            furthest(steps("gradient descent", "theory")),
            at_least=0.98,
            at_most=1.02,
        ),
    ]
    if mode == "fast":
        return checks
    noisy = np.median([[row["noise"] / row["noise theory"] for row in result["saddle"]] for result in results], axis=0)
    return [
        *checks,
        lab.check("stream of the experiment: where Adam ends", ends["Adam"][1], at_least=0.99),
        lab.check("stream of the experiment: where AMSGrad ends", ends["AMSGrad"][1], at_most=-0.9),
        lab.check(
            "saddle, heavy ball: steps over theory's",
            furthest(steps("heavy ball", "theory heavy ball")),
            at_least=0.95,
            at_most=1.05,
        ),
        lab.check("saddle by noise: median steps over theory's", furthest(noisy), at_least=0.95, at_most=1.05),
    ]


# %%
if __name__ == "__main__":
    study = lab.study("quadratics_saddles")

# %% [markdown]
# ## Visualise


# %%
def draw_paths(results):
    """Four optimisers in a tilted valley."""
    figure, panels = plot.figure(10, 4.2, columns=2)
    xs, ys = np.linspace(-2.4, 1.2, 81), np.linspace(-1.6, 1.4, 81)
    points = np.stack(np.meshgrid(xs, ys), axis=-1)
    heights = np.einsum("yxi,ij,yxj->yx", points, tilted(), points) / 2
    paths = {name: np.array(path) for name, path in results[0]["paths"].items()}
    names = list(paths)
    for axes, two in zip(panels, (names[:2], names[2:]), strict=True):
        plot.loss_surface(xs, ys, heights, ax=axes, label="f", xlabel="x₁", ylabel="x₂", aspect="equal")
        plot.paths({name: paths[name] for name in two}, ax=axes)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_paths(study.results))

# %% [markdown]
# Forty steps in a valley with $\kappa = 20$, tilted by 30 degrees. Gradient descent at its best rate crosses
# the valley at every step: its rate is set by the steep direction, and what it gains goes along the flat one. Heavy ball
# swings more widely at first (that is the $t\rho^t$ of the derivation) and is at the minimum long before. Adam and RMSprop
# begin with steps of equal length in $x_1$ and $x_2$, whatever the slope: the diagonal at the start. They know
# nothing of the tilt, as they rescale coordinates and not directions.


# %%
def draw_rates(results):
    """Exponents against κ: measured, every seed, on theory's lines."""
    figure, axes = plot.figure(6, 4)
    kappas, dense = (
        np.array(results[0]["kappas"]),
        np.geomspace(min(results[0]["kappas"]), max(results[0]["kappas"]), 99),
    )
    for i, (name, colour) in enumerate((("gradient descent", plot.ORANGE), ("heavy ball", plot.BLUE))):
        root = dense if i == 0 else np.sqrt(dense)
        axes.plot(dense, -np.log((root - 1) / (root + 1)), color=colour, lw=1.2, label=f"{name}, theory")
        for result in results:
            label = f"{name}, measured" if result is results[0] else None
            axes.plot(kappas, result["rates"][name]["measured"], "o", color=colour, mfc="none", label=label)
    axes.set(xscale="log", yscale="log", xlabel="condition number κ", ylabel="−ln ρ, decrease of ln‖x‖ a step")
    axes.legend()
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_rates(study.results))

# %% [markdown]
# The circles lie on the lines over two powers of ten. The slopes are $-1$ and $-\tfrac12$: with $\kappa = 1000$ gradient
# descent needs some 1,150 steps for each digit of the error, heavy ball 36. The root is all that momentum gains, and
# on quadratics it is the most that any method can gain which adds up gradients only (Nemirovski and Yudin). The
# circles of heavy ball lie about 1 % low, which is the $\ln 2/T$ of the double root.


# %%
def draw_streams(results):
    """Where Adam and AMSGrad are after each round of the two streams."""
    figure, panels = plot.figure(10, 3.4, columns=2, sharey=True)
    titles = ["3x, −x, −x; rate 0.3/√t", "1010x, then 100 times −10x; rate 0.01"]
    for i, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        for (name, walks), colour in zip(results[0]["streams"].items(), (plot.ORANGE, plot.BLUE), strict=True):
            share = np.linspace(0, 1, len(walks[i]))
            axes.plot(share, walks[i], color=colour, label=name)
        axes.axhline(-1, color=plot.GREY, lw=1, ls="--")
        axes.set(xlabel="share of all rounds", title=title)
    panels[0].set_ylabel("x after a round; the best is −1")
    panels[0].legend()
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_streams(study.results))

# %% [markdown]
# Adam goes to the worst point of the interval and stays there; AMSGrad, which differs by one maximum, goes to the best.
# Its second walk is slow: it divides by the largest gradient for ever, and so makes the small steps that the small
# gradients deserve. This is the price of the guarantee, and the reason why Adam is still what people use:
# in a typical training the gradients that matter are not the rare ones. The failure needs $\beta_2$ so small that a round is
# longer than Adam's memory; with $\beta_2 = 0.999$ this stream would do it no harm, but one with longer rounds would.


# %%
def draw_saddle(results):
    """Steps to leave the saddle against the distance at the start."""
    figure, (left, right) = plot.figure(10, 4, columns=2)
    rows, offsets = results[0]["saddle"], results[0]["offsets"]
    dense = np.geomspace(min(offsets), max(offsets), 50)
    for row, colour in zip(rows, (plot.BLUE, plot.GREEN, plot.ORANGE), strict=False):
        left.plot(dense, exit_theory(row["eta"], dense), color=colour, lw=1.2)
        left.plot(offsets, row["gradient descent"], "o", color=colour, mfc="none", label=f"η = {row['eta']:g}")
    left.set(xscale="log", xlabel="δ, distance to the ridge at the start", ylabel="steps until |y| = 0.1")
    left.set_title("Gradient descent; lines: theory")
    left.legend()
    row = rows[-1]
    for name, colour in (("gradient descent", plot.BLUE), ("heavy ball", plot.PURPLE), ("Adam", plot.ORANGE)):
        right.plot(offsets, row[name], "o-", color=colour, mfc="none", lw=1.2, label=name)
    noise = np.median([result["saddle"][-1]["noise"] for result in results])
    right.axhline(noise, color=plot.GREY, lw=1.5, ls="--", label=f"from the ridge itself, noise σ = {SIGMA:g}")
    right.set(xscale="log", yscale="log", xlabel="δ", title=f"Other ways out, η = {row['eta']:g}")
    right.legend()
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_saddle(study.results))

# %% [markdown]
# Steps against the *logarithm* of the distance: straight lines, a factor $10^9$ in the start costs a factor of about five in time.
# Gradient descent finds the way out even from $10^{-12}$, but it loses time there, and the smaller the rate the more.
# Heavy ball is several times as fast, its root is larger. Noise of $10^{-3}$ in the gradient acts like a start at about
# $10^{-4}$, wherever one really starts, be it on the ridge itself: this is the argument for noise as a remedy. Adam is out after a few steps from anywhere, as it divides the tiny gradient by its own
# size: near a saddle its normalisation is just what is wanted, as on the stream it was just what was not.
#
# ## The grid: optimiser × condition number × noise


# %%
def draw_grid(results):
    """Progress in powers of ten, best of the rates, median of the seeds."""
    names = list(results[0]["grid"])
    kappas, noises = (list(dict.fromkeys(name.split(", ")[i] for name in names)) for i in (1, 2))
    figure, panels = plot.figure(10, 3.6, columns=len(noises))
    for axes, noise in zip(panels, noises, strict=True):
        cells = [
            [np.median([result["grid"][f"{label}, {kappa}, {noise}"] for result in results]) for kappa in kappas]
            for label in OPTIMIZERS
        ]
        title = "no noise" if float(noise) == 0 else f"gradient noise of σ = {noise}"
        plot.grid(cells, list(OPTIMIZERS), kappas, ax=axes, fmt="{:.1f}", cmap=plot.SEQUENTIAL.reversed(), title=title)
        axes.set_xlabel("condition number κ")
    figure.suptitle("log₁₀ of f at the end over f at the start, best of the rates")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# The more negative, the better; every optimiser has the same six rates to choose from. Without noise and at $\kappa = 10$
# momentum of 0.9 is *too much*: the derivation's best $\beta$ is 0.27 there, and $\sqrt{0.9}$ a step is a
# limit that no rate lifts. At $\kappa = 1000$ everything that has momentum, Adam included, is two to three powers of ten
# ahead of everything that has none: what helps Adam here is its $\beta_1$, as the valley is rotated and no rescaling of
# coordinates straightens it (RMSprop and Adagrad show this). With noise the choice hardly matters: at the
# same $\kappa$ all methods end within half a power of ten of each other. The noise sets a floor, and the best rate is
# the one that averages it most without being too slow for the flat directions, which is harder the larger $\kappa$ is.
#
# ## Compare, interpret
#
# Ten variants of our optimisers, among them those with weight decay, dampening, centring and a decaying rate, go twenty
# steps beside PyTorch's, in float64; values and coordinates agree as the table says. The formulas are the same; what could
# differ is the order of operations, in the last digit.
#
# The verdict is about exact statements, and whatever is off by more than its bound would be an error of ours. They are
# asymptotic statements about *quadratics*, though. They explain why momentum helps, and predict by how much near a
# minimum; they do not say that the best momentum of a net follows from its $\kappa$. There the Hessian
# changes with every step, and the step size itself has a say in it: see `edge_of_stability`.

# %%
if __name__ == "__main__":
    lab.show(study)

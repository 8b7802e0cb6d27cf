# %% [markdown]
# # Quadratics, a stream and a saddle: what optimisers do where everything can be computed
#
# **Claim.** (1) On a quadratic of condition number $\kappa$, gradient descent at its best shrinks the error by
# $(\kappa - 1)/(\kappa + 1)$ a step, heavy ball by $(\sqrt\kappa - 1)/(\sqrt\kappa + 1)$; the measured exponents
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
# | Reddi, theorem 1 | $C > 2$, $\beta_1 = 0$, $\beta_2 = 1/(1 + C^2)$, rate $\alpha/\sqrt t$, no bias correction | $C = 3$ and the same values, *with* Adam's bias correction |
# | Reddi, experiment | $1010x$ once in 101 steps, else $-10x$; $\beta_1 = 0.9$, $\beta_2 = 0.99$ as we remember it | this stream and these values, a constant rate, 1,500 rounds; then the usual $\beta_2 = 0.999$; and the drift against $\beta_2$ |
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
from kernels.update.loops import adagrad_naive, adam_naive
from nn import functional as F
from nn import plot

CARD = lab.Card(
    title="Quadratics, a stream and a saddle",
    claim="Exponents of (κ−1)/(κ+1) and (√κ−1)/(√κ+1) ±3 %; Adam → +1, AMSGrad → −1; saddle exit ln(c/δ)/ln(1+η) ±2 %",
    paper="Polyak 1964; Goh 2017; Reddi, Kale, Kumar 2018; Lee et al. 2016",
    grade="A",
    seconds=80,
)

# %%
if __name__ == "__main__":
    study = lab.study("quadratics_saddles")
    lab.show(study)

# %%
if __name__ == "__main__":
    lab.show(lab.load("quadratics_saddles").draw_paths(study.results))

# %% [markdown]
# Forty steps from the left end of a valley with $\kappa = 20$, tilted by 30 degrees. Gradient descent at its best rate
# crosses the valley at every step: its rate is set by the steep direction, and what it gains goes along the flat one.
# Heavy ball swings more widely at first (the $t\rho^t$ of the derivation) and is at the minimum long before. Adam
# and RMSprop begin with steps of equal length in $x_1$ and $x_2$, whatever the slope: the diagonal at the start. They
# know nothing of the tilt, as they rescale coordinates and not directions.

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
# **How long must the memory be?** For any stream that repeats itself, any $\beta_1$ and any $\beta_2$, $m$ and $v$
# settle to values that repeat, too: after a round of $n$ steps from zero they are $1 - \beta^n$ of them. So the *drift*,
# the sum of $-m/\sqrt v$ over a round in units of the rate, is computed to the last digit (`drift` below), and its sign
# says where Adam goes. For $\beta_1 = 0$ and a long memory, $v$ jumps at the large gradient $C$ and then decays by
# $\beta_2$ a step around its mean. On the experiment's stream the large gradient is worth 1010 and the hundred small ones 1000:
# only 1 % is left of the signal. The steps of the small gradients are longer than that of the large one by the
# factor $\beta_2^{-k/2}$ after $k$ steps, on average about $1 + 25\,(1 - \beta_2)$; and $25\,(1 - \beta_2)$ is more than
# 1 % up to $\beta_2 = 1 - \tfrac1{2500} = 0.9996$. The memory $1/(1 - \beta_2)$ must hold not *one* round, but 25. On
# the theorem's stream the signal is 1 part in 3, and a memory of two steps is enough.
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
#
# Two of the update rules that the experiment is about, from the source of `kernels`: one loop each. In Adam,
# `max_v` is all that AMSGrad adds.

# %%
if __name__ == "__main__":
    lab.show(lab.source(adam_naive))
    lab.show(lab.source(adagrad_naive))


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
TUNED = "momentum as derived"  # a row of the grid: its β depends on κ


def grid(config, generator):
    """For each optimiser, κ and noise: log₁₀ of f after some steps over f before, for the best of all rates.

    And that rate, in units of 2/(m + M), the best one of gradient descent; without noise, Adagrad's exponents, too.
    """
    result = {"progress": {}, "rate": {}, "Adagrad": {}}
    for kappa in config["grid_kappas"]:
        A, start = quadratic(spectrum(config, kappa), generator)
        rows = OPTIMIZERS | {TUNED: ("SGD", {"momentum": tuned(kappa)["heavy ball"][0][1]["momentum"]})}
        unit = tuned(kappa)["gradient descent"][0][1]["lr"]
        for noise in config["grid_noise"]:
            kicks = noise * generator.standard_normal((config["grid_steps"], len(start)))
            for label, (name, options) in rows.items():
                with np.errstate(over="ignore", invalid="ignore"):  # rates that diverge
                    walks = [
                        descend(A, start, (name, options | {"lr": multiple * unit}), config["grid_steps"], kicks)
                        for multiple in config["grid_rates"]
                    ]
                    ends = [walk[-1] @ A @ walk[-1] for walk in walks]
                best = int(np.nanargmin(ends))
                key = f"{label}, {kappa}, {noise}"
                result["progress"][key] = math.log10(ends[best] / (start @ A @ start))
                result["rate"][key] = config["grid_rates"][best]
                if label == "Adagrad" and not noise:
                    result["Adagrad"][kappa] = frozen(A, walks[best], config["grid_rates"][best] * unit)
    return result


def frozen(A, walk, rate):
    """Adagrad at the end of a walk as gradient descent with fixed rates D, one a coordinate.

    Returns κ of D^½ A D^½, the exponent -ln ρ that this predicts, and the measured one over the second half.
    """
    D = rate / np.sqrt(np.square(walk[:-1] @ A).sum(axis=0))
    eigenvalues = np.linalg.eigvalsh(np.sqrt(D)[:, None] * A * np.sqrt(D))
    half = len(walk) // 2
    first, last = walk[half] @ A @ walk[half], walk[-1] @ A @ walk[-1]
    return {
        "condition": eigenvalues[-1] / eigenvalues[0],
        "predicted": -math.log(np.abs(1 - eigenvalues).max()),
        "measured": math.log(first / last) / 2 / (len(walk) - 1 - half),
    }


def stream(slopes, rounds, options, decay, keep=150):
    """Adam on f_t(x) = slope_t · x within [-1, 1], from 0: x after every round, or of so many of them."""
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
    return np.array(visited)[:: max(1, rounds // keep)]


SLOPES = {"theorem": [3, -1, -1], "experiment": [1010] + 100 * [-10]}
BETA1 = {"theorem": 0.0, "experiment": 0.9}


def streams(config):
    """For Adam and AMSGrad: the stream of the theorem, and that of the experiment with β₂ = 0.99 and 0.999."""
    theorem = {"lr": 0.3, "betas": (0.0, 0.1), "eps": 1e-12}
    short, long = config["stream_rounds"]
    result = {}
    for name, amsgrad in (("Adam", False), ("AMSGrad", True)):
        result[name] = [
            stream(SLOPES["theorem"], short, theorem | {"amsgrad": amsgrad}, decay=True),
            *(
                stream(SLOPES["experiment"], long, {"lr": 0.01, "betas": (0.9, beta2), "amsgrad": amsgrad}, decay=False)
                for beta2 in (0.99, 0.999)
            ),
        ]
    return result


def drift(slopes, beta1, beta2):
    """Adam's movement over a round, in units of the rate, once m and v repeat themselves."""
    m = v = moved = 0.0
    for g in slopes:
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    m, v = m / (1 - beta1 ** len(slopes)), v / (1 - beta2 ** len(slopes))  # from zero they reach a share of 1 - βⁿ
    for g in slopes:
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        moved -= m / math.sqrt(v)
    return moved


def drifts(config):
    """For each stream and β₂: the drift measured over the last ten rounds of a long walk, and the derived one."""
    rate, result = 1e-5, {}
    for name, memories in config["memories"].items():
        slopes, beta1 = SLOPES[name], BETA1[name]
        row = result[name] = {"beta2": memories, "measured": [], "theory": []}
        for beta2 in memories:
            rounds = 20 + math.ceil(10 / (1 - beta2) / len(slopes))  # e⁻¹⁰ of the start is left
            walk = stream(slopes, rounds, {"lr": rate, "betas": (beta1, beta2), "eps": 1e-12}, decay=False, keep=rounds)
            row["measured"].append((walk[-1] - walk[-11]) / 10 / rate)
            row["theory"].append(drift(slopes, beta1, beta2))
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
        result["streams"], result["drifts"] = streams(config), drifts(config)
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
# ## Exponents, streams, saddle

# %%
if __name__ == "__main__":
    lab.show(lab.load("quadratics_saddles").draw_rates(study.results))

# %% [markdown]
# The circles lie on the lines over two powers of ten. The slopes are $-1$ and $-\tfrac12$: with $\kappa = 1000$ gradient
# descent needs some 1,150 steps for each digit of the error, heavy ball 36. The root is all that momentum gains, and
# on quadratics it is the most that any method can gain which adds up gradients only (Nemirovski and Yudin). The
# circles of heavy ball lie about 1 % low, which is the $\ln 2/T$ of the double root.

# %%
if __name__ == "__main__":
    lab.show(lab.load("quadratics_saddles").draw_streams(study.results))

# %% [markdown]
# Adam goes to the worst point of the interval and stays there; AMSGrad, which differs by one maximum, goes to the best.
# Its walk on the second stream is slow: it divides by the largest gradient for ever, and so makes the small steps that
# the small gradients deserve. This is the price of the guarantee, and the reason why Adam is still what people use: in a typical
# training the gradients that matter are not the rare ones. Nor is the failure a matter of a small $\beta_2$: with the
# usual 0.999, whose memory of 1,000 steps holds ten rounds, Adam still ends at $+1$, only later.

# %%
if __name__ == "__main__":
    lab.show(lab.load("quadratics_saddles").draw_drifts(study.results))

# %% [markdown]
# Where the line crosses zero Adam changes sides. On the theorem's stream this is at $\beta_2 = 0.47$, and any $\beta_2$
# in use would do no harm there. On the experiment's stream it is at $\beta_2 = 0.9995$: what counts is not whether the memory
# is longer than a round, but whether it makes the divisor more constant than the stream is balanced. A stream whose
# rare gradients outweigh the others by 0.1 % would need another ten times the memory.

# %%
if __name__ == "__main__":
    lab.show(lab.load("quadratics_saddles").draw_saddle(study.results))

# %% [markdown]
# Steps against the *logarithm* of the distance: straight lines, a factor $10^9$ in the start costs a factor of about five in time.
# Gradient descent finds the way out even from $10^{-12}$, but it loses time there, and the smaller the rate the more.
# Heavy ball is several times as fast, its root is larger. Noise of $10^{-3}$ in the gradient acts like a start at about
# $10^{-4}$, wherever one really starts, be it on the ridge itself: this is the argument for noise as a remedy. Adam is out after a few steps from anywhere, as
# it divides the tiny gradient by its own size: near a saddle its normalisation is just what is wanted, as on the stream it was just what was not.
#
# ## The grid: optimiser × condition number × noise

# %%
if __name__ == "__main__":
    lab.show(lab.load("quadratics_saddles").draw_grid(study.results))

# %% [markdown]
# The more negative, the better. Every optimiser has the same 14 rates to choose from: 0.003 to 3 times $2/(m + M)$, the
# best rate of gradient descent. SGD reaches what the derivation says, $400 \log_{10} \rho = -34.9$ at $\kappa = 10$ and
# $-3.5$ at 100, and somewhat more for the start's share of the other directions. The derived momentum, last row, is
# far ahead without noise. Momentum of 0.9 is *too much* at $\kappa = 10$: the derivation's best $\beta$ is 0.27
# there, and $\sqrt{0.9}$ a step is a limit that no rate lifts. At $\kappa = 1000$ it is near the best, and everything that
# has it, Adam included, is two to six powers of ten ahead of everything that has none: what helps Adam here is its $\beta_1$. With noise
# the choice hardly matters: the noise sets a floor, and the best rate averages it most without being too slow for the
# flat directions.

# %%
if __name__ == "__main__":
    lab.show(lab.load("quadratics_saddles").draw_frozen(study.results))

# %% [markdown]
# Adagrad at $\kappa = 10$ is about as good as SGD, better on two seeds and worse on three, and here is why. Without noise the
# gradients vanish, its sums of squares stop growing, and what is left is gradient descent with one fixed rate for each
# coordinate. Its measured exponent is that of this frozen matrix $I - DA$ (on the left; at large $\kappa$ the 200 steps are
# too few for the limit, and the circles lie above the line). The rates rescale the *coordinates* of a rotated valley,
# and so may improve its condition or make it worse, as the basis happens to lie (on the right). No claim is made about
# which.
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
#
# <details><summary>The predictions</summary>
#
# 1. About 1,150 and 36. 2. The rare large gradient is divided by itself, and is forgotten when the small ones are
# divided; on the right stream the small ones win every round. 3. Twice as long: the distance enters by its logarithm.
# </details>
#
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("quadratics_saddles"))


# %%
def answer_momentum(results):
    """The check that falls if β is ρ in place of ρ²."""
    right = tuned

    def wrong(kappa):
        table = right(kappa)
        (name, options), exponent, T = table["heavy ball"]
        return table | {"heavy ball": ((name, options | {"momentum": math.exp(-exponent)}), exponent, T)}

    return lab.fallen("quadratics_saddles", {"grid_steps": 4, "memories": {"theorem": [0.1]}}, tuned=wrong)[0]


def answer_gain(results):
    """Steps of gradient descent for each step of heavy ball at κ = 1000, measured."""
    place = results[0]["kappas"].index(1000)
    plain, heavy = (results[0]["rates"][name]["measured"][place] for name in ("gradient descent", "heavy ball"))
    return heavy / plain


def answer_memory(results):
    """Where Adam's drift points with β₂ = 0.9999."""
    row = results[0]["drifts"]["experiment"]
    return "to +1" if row["measured"][row["beta2"].index(0.9999)] > 0 else "to −1"


EXERCISES = [
    lab.Exercise(
        "Somebody tunes heavy ball with $\\beta = \\rho$ in place of $\\beta = \\rho^2$ (in `tuned`), and leaves the rate. "
        "Which check falls?",
        answer_momentum,
        "All roots still have the length $\\sqrt\\beta$, which is now $\\sqrt\\rho$: half the exponent. Too much momentum "
        "is stable and slow; nothing else in the experiment uses it.",
        choices=(
            "gradient descent: exponent over theory's",
            "heavy ball: exponent over theory's",
            "saddle, gradient descent: steps over theory's",
        ),
    ),
    lab.Exercise(
        "$\\kappa = 1000$, both at their best. How many steps of gradient descent does one step of heavy ball replace?",
        answer_gain,
        "The exponents are about $2/\\kappa$ and $2/\\sqrt\\kappa$: the quotient is $\\sqrt\\kappa = 31.6$. (The measured "
        "one is 1 % lower, from the double root.)",
        within=0.05,
    ),
    lab.Exercise(
        "The stream is $1010x$, then 100 times $-10x$, and $\\beta_1 = 0.9$. You raise $\\beta_2$ from 0.999 to 0.9999. "
        "Where does Adam go now?",
        answer_memory,
        "The balance of the stream is 1 %, and $25\\,(1 - \\beta_2)$, by which the small gradients' steps are longer, is 2.5 % "
        "before and 0.25 % after. A memory of 100 rounds makes the divisor constant enough.",
        choices=("to +1", "to −1"),
    ),
]

# %% [markdown]
# ## Configurations and checks
#
# The first five checks are the claim of the card; the others are ours. For the exponents the value furthest from 1 of all
# $\kappa$ and seeds counts, and so for the exits. On the stream of the theorem both must end within 0.01 of $\pm 1$; on
# that of the experiment, whose rate is constant, AMSGrad swings by some 0.05 within each round of 101 steps, and a round
# ends at the upper end of the swing: there the bound is $-0.9$. Adagrad is compared with its frozen rates at
# $\kappa = 10$, where 200 steps are enough for the limit.

# %%
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
    "grid_rates": [0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0],  # times 2/(m + M)
    "memories": {"theorem": [0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999], "experiment": [0.9, 0.99, 0.999, 0.9995, 0.9999]},
}
FAST = FULL | {
    "seeds": 1,
    "kappas": [10, 100],
    "stream_rounds": [600, 20],
    "etas": [0.1],
    "grid_kappas": [10],
    "grid_steps": 30,
    "grid_rates": [0.1, 1.0],
    "memories": {"theorem": [0.1, 0.9], "experiment": [0.9]},
}


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
    drifting = [np.divide(row["measured"], row["theory"]) for row in results[0]["drifts"].values()]
    adagrad = [result["grid"]["Adagrad"]["10"] for result in results]
    pilot = {"extra": True, "origin": "pilot"}
    return [
        *checks,
        lab.check("stream of the experiment, β₂ = 0.99: where Adam ends", ends["Adam"][1], at_least=0.99, **pilot),
        lab.check("stream of the experiment, β₂ = 0.99: where AMSGrad ends", ends["AMSGrad"][1], at_most=-0.9, **pilot),
        lab.check("stream of the experiment, β₂ = 0.999: where Adam ends", ends["Adam"][2], at_least=0.99, **pilot),
        lab.check(
            "Adam's drift a round over the derived one, both streams, all β₂",
            furthest(np.concatenate(drifting)),
            at_least=0.99,
            at_most=1.01,
            **pilot,
        ),
        lab.check(
            "saddle, heavy ball: steps over theory's",
            furthest(steps("heavy ball", "theory heavy ball")),
            at_least=0.95,
            at_most=1.05,
            **pilot,
        ),
        lab.check("saddle by noise: median steps over theory's", furthest(noisy), at_least=0.95, at_most=1.05, **pilot),
        lab.check(
            "Adagrad, κ = 10: exponent over that of its last rates, held fixed",
            furthest([row["measured"] / row["predicted"] for row in adagrad]),
            at_least=0.95,
            at_most=1.05,
            **pilot,
        ),
    ]


# %% [markdown]
# ## Drawing


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
        axes.set_title(" and ".join(two))
    return figure


def draw_rates(results):
    """Exponents against κ: measured, every seed, on theory's lines."""
    figure, axes = plot.figure(6, 4)
    kappas, dense = (
        np.array(results[0]["kappas"]),
        np.geomspace(min(results[0]["kappas"]), max(results[0]["kappas"]), 99),
    )
    for i, (name, colour) in enumerate((("gradient descent", plot.ORANGE), ("heavy ball", plot.BLUE))):
        root = dense if i == 0 else np.sqrt(dense)
        axes.plot(dense, -np.log((root - 1) / (root + 1)), color=colour, lw=1.2, label=name)
        for result in results:
            axes.plot(kappas, result["rates"][name]["measured"], "o", color=colour, mfc="none")
    axes.set(xscale="log", yscale="log", xlabel="condition number κ", ylabel="−ln ρ, decrease of ln‖x‖ a step")
    axes.set_title("Momentum takes the root of κ: circles measured, lines derived")
    axes.legend()
    return figure


def draw_streams(results):
    """Where Adam and AMSGrad are after each round of the streams."""
    figure, panels = plot.figure(11, 3.6, columns=3, sharey=True)
    titles = [
        "3x, −x, −x; β₂ = 0.1, rate 0.3/√t",
        "1010x, then 100 times −10x; β₂ = 0.99",
        "1010x, then 100 times −10x; β₂ = 0.999",
    ]
    for i, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        for (name, walks), colour in zip(results[0]["streams"].items(), (plot.ORANGE, plot.BLUE), strict=True):
            axes.plot(np.linspace(0, 1, len(walks[i])), walks[i], color=colour, label=name)
        axes.axhline(-1, color=plot.GREY, lw=1, ls="--")
        axes.set(xlabel="share of all rounds")
        axes.set_title(title, fontsize=10)
    panels[0].set_ylabel("x after a round; the best is −1")
    panels[0].legend(loc="center right")
    return figure


def draw_drifts(results):
    """Adam's drift a round against 1 - β₂: measured on the derived lines."""
    figure, panels = plot.figure(10, 3.7, columns=2)
    titles = {"theorem": "3x, −x, −x; β₁ = 0", "experiment": "1010x, then 100 times −10x; β₁ = 0.9"}
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        row = results[0]["drifts"][name]
        forget = 1 - np.array(row["beta2"])
        dense = np.geomspace(forget.min() / 3, forget.max(), 300)
        axes.axhline(0, color=plot.GREY, lw=1)
        axes.plot(dense, [drift(SLOPES[name], BETA1[name], 1 - x) for x in dense], color=plot.ORANGE, lw=1.2)
        axes.plot(forget, row["measured"], "o", color=plot.BLUE, mfc="none")
        axes.set(xscale="log", xlabel="1 − β₂", title=title)
        axes.set_yscale("symlog", linthresh=0.1)
        axes.margins(y=0.08)
        axes.text(0.02, 0.93, "above 0: to +1, the worst", transform=axes.transAxes, va="top", fontsize=9)
        axes.text(0.98, 0.03, "below 0: to −1, the best", transform=axes.transAxes, ha="right", fontsize=9)
    panels[0].set_ylabel("drift of x a round / rate")
    figure.suptitle("Adam climbs where its memory is short for the stream: circles measured, lines derived")
    return figure


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


def draw_grid(results):
    """Progress in powers of ten, best of the rates, median of the seeds."""
    names = list(results[0]["grid"]["progress"])
    labels, kappas, noises = (list(dict.fromkeys(name.split(", ")[i] for name in names)) for i in range(3))
    figure, panels = plot.figure(10.5, 4, columns=len(noises))
    for axes, noise in zip(panels, noises, strict=True):
        cells = [
            [
                np.median([result["grid"]["progress"][f"{label}, {kappa}, {noise}"] for result in results])
                for kappa in kappas
            ]
            for label in labels
        ]
        title = "no noise" if float(noise) == 0 else f"gradient noise of σ = {noise}"
        limits = (-40, 0) if float(noise) == 0 else (-4, 0)
        plot.grid(
            cells,
            labels if axes is panels[0] else [""] * len(labels),
            kappas,
            ax=axes,
            fmt="{:.1f}",
            limits=limits,
            cmap=plot.SEQUENTIAL.reversed(),
            title=title,
        )
        axes.set_xlabel("condition number κ")
    figure.suptitle("log₁₀ of f at the end over f at the start; best of 14 rates, median of the seeds")
    return figure


def draw_frozen(results):
    """Adagrad without noise: its exponent against that of gradient descent with its final rates; and its condition."""
    figure, (left, right) = plot.figure(10, 3.8, columns=2)
    kappas = list(results[0]["grid"]["Adagrad"])
    for kappa, colour in zip(kappas, (plot.BLUE, plot.ORANGE, plot.GREEN), strict=False):
        rows = [result["grid"]["Adagrad"][kappa] for result in results]
        ends = [[r[key] for r in rows] for key in ("predicted", "measured")]
        left.plot(*ends, "o", color=colour, mfc="none", label=f"κ = {kappa}")
        right.plot([float(kappa)] * len(rows), [r["condition"] for r in rows], "o", color=colour, mfc="none")
    ends = np.array([1e-4, 0.4])
    left.plot(ends, ends, color=plot.INK, lw=1)
    left.set(xscale="log", yscale="log", xlabel="−ln ρ of the last rates, held fixed", ylabel="−ln ρ measured")
    left.set_title("Adagrad is gradient descent in the end")
    left.legend(loc="upper left")
    dense = np.array([5, 2000])
    right.plot(dense, dense, color=plot.INK, lw=1)
    right.set(xscale="log", yscale="log", xlabel="κ of A", ylabel="κ after rescaling the coordinates")
    right.set_title("Its rates change the condition, either way")
    return figure

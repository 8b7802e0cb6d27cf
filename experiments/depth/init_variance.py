# %% [markdown]
# # What fifty layers leave: the variance of an initialisation
#
# **Claim.** With He's initialisation the squared length of a signal is, in the *median* net, the same after fifty ReLU
# layers as before, within a factor of two; with Xavier's it falls to $2^{-50}$ of it. A *single* net of He's kind
# need not stay within that factor: the logarithm of the squared length spreads by $\sqrt{5L/n}$ over nets.
#
# **Papers.** X. Glorot and Y. Bengio (2010), *Understanding the difficulty of training deep feedforward neural
# networks*; K. He, X. Zhang, S. Ren and J. Sun (2015), *Delving deep into rectifiers*; for the spread, B. Hanin and
# D. Rolnick (2018), *How to start training: the effect of initialization and architecture*; for the angles, Y. Cho and
# L. Saul (2009), *Kernel methods for deep learning*.
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | what is shown | whether convolutional nets of 22 and 30 layers start to learn on ImageNet | the lengths themselves, before any step, against theory |
# | net | convolutions, biases of zero | 50 linear layers of 512, ReLU, no biases |
# | input | images | a random vector, and one at a right angle to it |
# | seeds | one run each | 30 nets of each kind |
# | training | one set of hyper-parameters | a grid of 36 small nets on 8 × 8 digits, three rates each, the best kept |
#
# **Predict first.**
# 1. Xavier's weights have half the variance of He's. How much shorter is a signal after fifty layers?
# 2. Of a hundred nets initialised as He says, how many end within a factor of two of the length they began with?
# 3. Two inputs at a right angle enter a net that keeps lengths. At what angle do they leave it?

# %%
import math

import numpy as np

import nn
from experiments import lab, side_by_side
from nn import functional as F
from nn import plot
from nn.data import DataLoader, TensorDataset

CARD = lab.Card(
    title="What fifty layers leave",
    claim="‖h₅₀‖²/‖h₀‖²: median of He's nets within [½, 2], of Xavier's within ×2 of 2⁻⁵⁰; its log spreads by √(5L/n)",
    paper="Glorot and Bengio 2010; He et al. 2015; Hanin and Rolnick 2018",
    grade="A",
    seconds=40,
)
FULL = {
    "seeds": 30,
    "depth": 50,
    "width": 512,
    "grid_seeds": 3,
    "grid_depths": [2, 8, 32],
    "grid_width": 64,
    "rates": [0.003, 0.03, 0.3],
    "epochs": 5,
}
FAST = FULL | {"seeds": 4, "grid_seeds": 1, "grid_depths": [2], "rates": [0.03], "epochs": 1}

# %%
if __name__ == "__main__":
    study = lab.study("init_variance")
    lab.show(study)
    lab.show(lab.load("init_variance").draw_walks(study.results))

# %% [markdown]
# On the left each initialisation is a straight line, as independent factors demand: Xavier's falls by one bit a layer,
# PyTorch's default by $\log_2 6 \approx 2.6$. After fifty layers the default has lost some 130 bits of squared length,
# which is more than the exponent of float32 can carry for a squared number: the values themselves, at $2^{-65}$,
# survive. On the right the single nets of He's kind wander off like the random walk they are. The dotted lines
# are the factor of two that the popular statement promises; about a third of the nets end beyond them, as theory says.

# %% [markdown]
# ## Derive
#
# A layer computes $h' = \mathrm{relu}(Wh)$ with $W$ of $n \times n$ independent weights $N(0, \sigma^2/n)$. Given $h$,
# each component of $Wh$ is a sum of independent normal numbers, so
#
# $$ (Wh)_i = \frac{\sigma \lVert h \rVert}{\sqrt n}\, g_i, \qquad g_i \sim N(0, 1) \text{ independent.} $$
#
# Only the length of $h$ enters, not its direction. Hence
#
# $$ \lVert h' \rVert^2 = \lVert h \rVert^2 \cdot r, \qquad r = \frac{\sigma^2}{n} \sum_{i=1}^n \mathrm{relu}(g_i)^2, $$
#
# and the factors $r_1, r_2, \dots$ of successive layers are *independent* copies: the length makes a multiplicative
# random walk. By symmetry $E[\mathrm{relu}(g)^2] = \tfrac12 E[g^2] = \tfrac12$ and
# $E[\mathrm{relu}(g)^4] = \tfrac12 E[g^4] = \tfrac32$, so
#
# $$ E[r] = \frac{\sigma^2}{2}, \qquad
# \mathrm{Var}[r] = \frac{\sigma^4}{n} \left(\frac32 - \frac14\right) = \frac{5 \sigma^4}{4n}. $$
#
# - **He** takes $\sigma^2 = 2$: then $E[r] = 1$ and $\mathrm{Var}[r] = 5/n$.
# - **Xavier** takes the variance $2/(n_{in} + n_{out}) = 1/n$, so $\sigma^2 = 1$ and $E[r] = \tfrac12$: over $L$ layers
#   $2^{-L}$.
# - **PyTorch's default** for a linear layer is uniform within $\pm 1/\sqrt n$, variance $1/(3n)$, so $E[r] = \tfrac16$.
#
# What does a single net do? Take logarithms, where independent factors become a sum. With $r = 1 + \varepsilon$,
# $\ln r \approx \varepsilon - \varepsilon^2/2$, so that for He $E[\ln r] \approx -\tfrac{5}{2n}$ and
# $\mathrm{Var}[\ln r] \approx \tfrac5n$. After $L$ layers
#
# $$ \ln \frac{\lVert h_L \rVert^2}{\lVert h_0 \rVert^2} \approx N\!\left(-\frac{5L}{2n},\; \frac{5L}{n}\right). $$
#
# The *mean* of the ratio is exactly one; the median is $e^{-5L/2n}$, and the spread grows with $L/n$. With $L = 50$ and
# $n = 512$ the standard deviation of the logarithm is 0.70, about $\ln 2$: roughly a third of all nets leave
# $[\tfrac12, 2]$. "He's initialisation keeps the variance" is a statement about averages over nets, and its error is
# governed by depth divided by width.
#
# **Backwards** the same holds: $\delta = W^T(\delta' \odot \mathbf 1[Wh > 0])$, half of the components pass, and in
# square layers $\sigma^2 = 2$ keeps gradients, too.
#
# **Angles** are not kept. For two inputs of equal length and cosine $c$, the pairs $(g_i, g_i')$ are jointly normal
# with correlation $c$, and integrating over the quadrant where both are positive gives the cosine after the layer:
#
# $$ c' = 2 E[\mathrm{relu}(g)\, \mathrm{relu}(g')] = \frac{\sqrt{1 - c^2} + c\,(\pi - \arccos c)}{\pi}. $$
#
# (In polar coordinates with $g = \rho \cos\theta$, $g' = \rho \cos(\theta - \alpha)$ and $\alpha = \arccos c$: the
# radius gives $E[\rho^2] = 2$, the angle $\frac{1}{2\pi}\int_{\alpha - \pi/2}^{\pi/2} \cos\theta\cos(\theta - \alpha)\,
# d\theta = \frac{1}{4\pi}[\sin\alpha + (\pi - \alpha)\cos\alpha]$; together $\frac{1}{2\pi}[\dots]$, times two.)
# It is larger than $c$ wherever $c < 1$: layer by layer, all inputs become alike.

# %% [markdown]
# ## Implement
#
# A layer is these two loops, one after the other:

# %%
if __name__ == "__main__":
    from kernels import affine

    lab.show(lab.source(affine.linear_naive))

# %%
if __name__ == "__main__":
    from kernels.activation import rectified

    lab.show(lab.source(rectified.relu_naive))


# %%
INITIALISATIONS = {
    "He": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "Xavier": nn.init.xavier_normal_,
    "default": lambda weight: nn.init.kaiming_uniform_(weight, a=math.sqrt(5)),  # what nn.Linear does by itself
    "σ = 0.01": lambda weight: nn.init.normal_(weight, std=0.01),
}
NORMALISATIONS = {"none": None, "batch": "BatchNorm1d", "layer": "LayerNorm"}


def hidden(library, depth, width, normalisation="none"):
    """`depth` times linear, normalisation, ReLU; for `nn` or ``torch.nn``."""
    layers = []
    for _ in range(depth):
        layers.append(library.Linear(width, width, bias=False))
        if NORMALISATIONS[normalisation]:
            layers.append(getattr(library, NORMALISATIONS[normalisation])(width))
        layers.append(library.ReLU())
    return layers


def initialise(network, initialisation):
    """Fill all weights of linear layers."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            INITIALISATIONS[initialisation](module.weight)


def walk(config, initialisation, inputs):
    """Two inputs through the net and a gradient back: log₂ of the squared lengths, and the cosine, layer by layer."""
    layers = hidden(nn, config["depth"], config["width"])
    network = nn.Sequential(*layers)
    initialise(network, initialisation)
    x = nn.Tensor(inputs, requires_grad=True)
    signals = [x]
    for linear, relu in zip(layers[::2], layers[1::2], strict=True):
        signals.append(relu(linear(signals[-1])))
    for signal in signals[1:]:
        signal.retain_grad()
    signals[-1].backward(nn.Tensor(inputs[::-1].copy()))  # as good a random gradient as any
    values = np.array([signal.array for signal in signals], np.float64)
    gradients = np.array([signal.grad.array for signal in signals], np.float64)
    lengths, backward = (np.square(array).sum(axis=2)[:, 0] for array in (values, gradients))
    directions = values / np.linalg.norm(values, axis=2, keepdims=True)
    return {
        "forward": np.log2(lengths / lengths[0]),
        "backward": np.log2(backward / backward[-1]),
        "cosine": (directions[:, 0] * directions[:, 1]).sum(axis=1),
    }


def digits(generator):
    """Training and test set of scikit-learn's 8 × 8 digits, standardised, split at random."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = ((images - images.mean()) / images.std()).astype(np.float32)
    order = generator.permutation(len(images))
    parts = np.split(order, [1437])
    return [TensorDataset(nn.Tensor(images[part]), nn.Tensor(labels[part])) for part in parts]


def classifier(library, depth, width, normalisation):
    """64 pixels, hidden layers, ten scores."""
    return library.Sequential(*hidden(library, depth, width, normalisation), library.Linear(width, 10))


def train(config, initialisation, normalisation, depth, seed):
    """Test accuracy of the rate with the lowest final training loss: every arm is tuned over the same three."""
    data, start, order = lab.streams(seed)
    training, test = digits(data)
    first, shuffle = int(start.integers(2**32)), int(order.integers(2**32))
    best = (math.inf, 0.1)
    for rate in config["rates"]:
        nn.manual_seed(first)
        network = classifier(nn, depth, config["grid_width"], normalisation)
        initialise(network, initialisation)
        optimizer = nn.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
        nn.manual_seed(shuffle)
        with np.errstate(over="ignore", invalid="ignore"):  # too large a rate: it diverges, and loses
            history = nn.training.fit(
                network,
                DataLoader(training, 64, shuffle=True),
                optimizer,
                F.cross_entropy,
                epochs=config["epochs"],
                validation=DataLoader(test, len(test)),
                metrics={"accuracy": nn.training.accuracy},
                progress=False,
            )
        if history["loss"][-1] < best[0]:
            best = (history["loss"][-1], history["validation_accuracy"][-1])
    return best[1]


def run(config, seed):
    """The walks of one net of each initialisation; for the first seeds, the grid of trained nets, too."""
    data, initialisation, _ = lab.streams(seed)
    nn.manual_seed(int(initialisation.integers(2**32)))
    inputs = np.linalg.qr(data.standard_normal((config["width"], 2)))[0].T.astype(np.float32)
    result = {name: walk(config, name, inputs) for name in INITIALISATIONS if name != "σ = 0.01"}
    if seed < config["grid_seeds"]:
        result["depths"] = config["grid_depths"]
        result["grid"] = [
            [[train(config, start, norm, depth, seed) for depth in config["grid_depths"]] for norm in NORMALISATIONS]
            for start in INITIALISATIONS
        ]
    return result


def compare(config, seed):
    """The deep net of the grid, trained in PyTorch beside us."""
    data, start, _ = lab.streams(seed)
    nn.manual_seed(int(start.integers(2**32)))
    batches = [batch for batch, _ in zip(DataLoader(digits(data)[0], 64), range(20), strict=False)]

    def build(library):
        network = classifier(library, 8, config["grid_width"], "batch")
        if library is nn:
            initialise(network, "He")
        return network

    return side_by_side.compare(build, ("SGD", {"lr": 0.03, "momentum": 0.9}), batches)


# %% [markdown]
# ## The claims, as inequalities
#
# The bounds are those of the plan. The share of nets outside $[\tfrac12, 2]$ must be theory's within two standard
# deviations of a count of thirty; the cosine must be the recursion's within 0.02.


# %%
def last(results, initialisation, what):
    """Of every seed: log₂ of a squared length at the far end, forward or backward."""
    return np.array([result[initialisation][what][-1 if what == "forward" else 0] for result in results])


def outside(depth, width):
    """Theory: the share of He's nets whose squared length leaves [½, 2]."""
    mean, deviation = -2.5 * depth / width, math.sqrt(5 * depth / width)

    def below(x):
        return 0.5 * (1 + math.erf((x - mean) / deviation / math.sqrt(2)))

    return below(-math.log(2)) + 1 - below(math.log(2))


def cosines(depth, cosine=0.0):
    """Theory: the cosine of two inputs after each of `depth` infinitely wide layers."""
    result = [cosine]
    for _ in range(depth):
        c = result[-1]
        result.append(min(1.0, (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi))
    return np.array(result)


def check(results, mode):
    """What must hold."""
    depth, n = len(results[0]["He"]["forward"]) - 1, len(results)
    he, xavier = last(results, "He", "forward"), last(results, "Xavier", "forward")
    cosine = np.mean([result["He"]["cosine"] for result in results], axis=0)
    steps = np.diff([result["He"]["forward"] for result in results], axis=1) * math.log(2)
    checks = [
        lab.check("He: median of ‖h₅₀‖²/‖h₀‖²", 2 ** np.median(he), at_least=0.5, at_most=2),
        lab.check(
            "Xavier: median of ‖h₅₀‖²/‖h₀‖², times 2⁵⁰", 2 ** (np.median(xavier) + depth), at_least=0.5, at_most=2
        ),
        lab.check(
            "std of ln r of single layers, over √(5/n)",
            steps.std() / math.sqrt(5 / 512),
            at_least=0.9,
            at_most=1.1,
            extra=True,
            origin="pilot",
        ),
        lab.check(
            "He: cosine after 50 layers minus theory's",
            cosine[-1] - cosines(depth)[-1],
            at_least=-0.02,
            at_most=0.02,
            extra=True,
            origin="pilot",
        ),
    ]
    if mode == "fast":
        return checks
    spread = np.std(he * math.log(2), ddof=1) / math.sqrt(5 * depth / 512)
    share, expected = np.mean(np.abs(he) > 1), outside(depth, 512)
    margin = 2 * math.sqrt(expected * (1 - expected) / n)
    backward = last(results, "He", "backward")
    return [
        *checks,
        lab.check("He: std of the log over nets, over √(5L/n)", spread, at_least=0.75, at_most=1.25),
        lab.check(
            "He: share of nets outside [½, 2]", share, at_least=expected - margin, at_most=expected + margin, extra=True
        ),
        lab.check(
            "He: median of the squared gradient, first over last",
            2 ** np.median(backward),
            at_least=0.5,
            at_most=2,
            extra=True,
        ),
    ]


# %% [markdown]
# ## Visualise


# %%
def draw_walks(results):
    """Squared lengths, layer by layer: every net thin, the median thick, theory's band."""
    figure, (left, right) = plot.figure(10, 4, columns=2)
    layers = np.arange(len(results[0]["He"]["forward"]))
    names = {"He": plot.BLUE, "Xavier": plot.ORANGE, "default": plot.GREEN}
    for name, colour in names.items():
        walks = np.array([result[name]["forward"] for result in results])
        left.plot(layers, walks.T, color=colour, lw=0.4, alpha=0.5)
        left.plot(layers, np.median(walks, axis=0), color=colour, lw=2, label=name)
    left.set(xlabel="layer", ylabel="log₂ of squared length", title="Three initialisations")
    left.legend(frameon=False)
    walks = np.array([result["He"]["forward"] for result in results])
    centre, deviation = -2.5 * layers / 512 / math.log(2), np.sqrt(5 * layers / 512) / math.log(2)
    right.fill_between(
        layers, centre - deviation, centre + deviation, color=plot.GREY, alpha=0.5, lw=0, label="theory, ±1 std"
    )
    right.plot(layers, walks.T, color=plot.BLUE, lw=0.6, alpha=0.6)
    right.plot(layers, np.median(walks, axis=0), color=plot.BLUE, lw=2, label="median net")
    for bound in (-1, 1):
        right.axhline(bound, color=plot.INK, lw=0.8, ls=":")
    right.set(xlabel="layer", ylabel="log₂ of squared length", title="He, enlarged; dotted: a factor of two")
    right.legend(frameon=False, loc="lower left")
    return figure


# %%
def draw_gradients(results):
    """The same, backwards, and the histogram of where single nets end."""
    figure, (left, right) = plot.figure(10, 4, columns=2)
    layers = np.arange(len(results[0]["He"]["backward"]))
    for name, colour in {"He": plot.BLUE, "Xavier": plot.ORANGE, "default": plot.GREEN}.items():
        walks = np.array([result[name]["backward"] for result in results])
        left.plot(layers, walks.T, color=colour, lw=0.4, alpha=0.5)
        left.plot(layers, np.median(walks, axis=0), color=colour, lw=2, label=name)
    left.set(xlabel="layer", ylabel="log₂ of squared gradient", title="The gradient, on its way back to layer 0")
    left.legend(frameon=False)
    depth = len(layers) - 1
    ends = last(results, "He", "forward") * math.log(2)
    right.hist(ends, bins=np.linspace(-2.5, 2.5, 21), density=True, color=plot.BLUE, alpha=0.6, label="nets")
    x = np.linspace(-2.5, 2.5, 200)
    mean, deviation = -2.5 * depth / 512, math.sqrt(5 * depth / 512)
    density = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / deviation / math.sqrt(2 * math.pi)
    right.plot(x, density, color=plot.INK, lw=1.5, label="theory")
    for bound in (-math.log(2), math.log(2)):
        right.axvline(bound, color=plot.INK, lw=0.8, ls=":")
    right.set(xlabel=f"ln of the squared length after {depth} layers", ylabel="density", title="Where He's nets end")
    right.legend(frameon=False)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_gradients(study.results))

# %% [markdown]
# The gradient obeys the same law from the other end, so a net whose signal fades also starves its first layers. The
# histogram is centred a little left of zero: the mean of the ratio is one, but a log-normal variable has its median
# below its mean.


# %%
def draw_angles(results):
    """The cosine of two inputs that enter at a right angle."""
    figure, axes = plot.figure(6, 4)
    walks = np.array([result["He"]["cosine"] for result in results])
    layers = np.arange(walks.shape[1])
    axes.plot(layers, walks.T, color=plot.BLUE, lw=0.5, alpha=0.5)
    axes.plot(layers, walks.mean(axis=0), color=plot.BLUE, lw=2, label="He, mean of the nets")
    axes.plot(layers, cosines(len(layers) - 1), color=plot.INK, lw=1.5, ls="--", label="theory, infinitely wide")
    axes.set(xlabel="layer", ylabel="cosine", ylim=(-0.05, 1.05), title="Two inputs that enter at a right angle")
    axes.legend(frameon=False)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_angles(study.results))

# %% [markdown]
# Keeping the length is not keeping the information. After ten layers the two inputs enclose less than thirty degrees,
# after fifty less than nine: every initialisation of ReLU layers does this, as the recursion does not know $\sigma$. A deep
# plain net starts as an almost constant function, and this, more than the length, is why depth alone is hard; see
# `batchnorm_smoothness` for what normalisation adds, and the grid below.
#
# ## The grid: initialisation × normalisation × depth


# %%
def draw_grid(results):
    """Test accuracy after a short training, for every combination."""
    grid = np.mean([result["grid"] for result in results if "grid" in result], axis=0)
    figure, panels = plot.figure(10, 3.2, columns=grid.shape[1], sharey=True, squeeze=False)
    depths = [str(depth) for depth in results[0]["depths"]]
    for i, (axes, name) in enumerate(zip(panels[0], NORMALISATIONS, strict=True)):
        plot.grid(grid[:, i], list(INITIALISATIONS), depths, ax=axes, limits=(0.1, 1))
        axes.set(xlabel="hidden layers", title=f"normalisation: {name}")
    figure.suptitle("Test accuracy after five epochs on 8 × 8 digits, best of three rates", color=plot.INK)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# Without normalisation the triangle of what learns is the derivation's: each column to the right asks the signal to pass
# more layers, each row downward multiplies it by a smaller factor in each. Two layers learn from anything; at eight only
# the first two rows are left, at thirty-two hardly even He's. Batch normalisation rescales the signal after every
# layer, so that the length of the weights no longer matters: its columns are nearly the same from row to row, exactly as
# a factor $\sigma$ demands that is divided out. Layer normalisation divides it out, too, but it looks at each input alone,
# after a linear layer whose outputs have a mean near zero anyway, and so leaves the *angles* as the recursion makes
# them; batch normalisation also subtracts what all inputs have in common, and pulls them apart again. That is why the two
# differ most in the deepest column, where five epochs are short for all of them. (A tiny $\sigma$ still acts in front of a
# normalisation: the gradient is $1/\sigma$ times as large and the weights $\sigma$ times as small, so the same rate is
# $1/\sigma^2$ times as bold. Three rates do not cover that range, as the last row shows.)

# %% [markdown]
# ## Compare, interpret
#
# The lengths before training are a matter of random numbers: ours come from NumPy's generator, and the same seeds in
# PyTorch would draw others. What must agree is what happens to the same weights: eight layers with batch
# normalisation are trained in both libraries, and the last line under the table says how well the losses agree.
#
# The verdict is about numbers that follow from three lines of probability, so anything but *reproduced* would be an
# error of ours. What it does *not* say is that $\sigma^2 = 2$ is best for training: it is the value at which infinitely
# wide nets keep lengths, and a narrow deep net is still a gamble ($L/n$ again). Two remedies follow: more
# width, or something that measures the length and corrects it, which is what normalisation is.

# %% [markdown]
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("init_variance"))


# %%
def answer_outside(results):
    """The share of He's nets of depth 50 and width 512 that leave [½, 2]: theory's."""
    return float(outside(50, 512))


def answer_default(results):
    """log₂ of the squared length that PyTorch's default loses over ten layers."""
    return 10 * math.log2(6)


def answer_angle(results):
    """The angle in degrees at which two inputs at a right angle leave one infinitely wide layer."""
    return math.degrees(math.acos(cosines(1)[-1]))


EXERCISES = [
    lab.Exercise(
        "He's initialisation, 50 layers of 512. Which share of the nets ends outside a factor of two of its squared length?",
        answer_outside,
        "The logarithm is normal with standard deviation $\\sqrt{5L/n} = 0.70$, which is about $\\ln 2$.",
        within=0.1,
    ),
    lab.Exercise(
        "PyTorch's default draws a linear layer's weights uniformly within $\\pm 1/\\sqrt n$. How many bits of squared length are "
        "lost in ten ReLU layers?",
        answer_default,
        "The variance is $1/(3n)$, so $E[r] = \\tfrac16$, and $10 \\log_2 6$ bits are lost.",
        within=0.03,
    ),
    lab.Exercise(
        "Two inputs at a right angle enter one wide ReLU layer of He's kind. At how many degrees do they leave it?",
        answer_angle,
        "$c' = 1/\\pi$ for $c = 0$: lengths are kept, angles are not.",
        within=0.02,
    ),
]

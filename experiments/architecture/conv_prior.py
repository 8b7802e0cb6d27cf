# %% [markdown]
# # What a convolution knows before it has seen anything
#
# **Claim.** On MNIST-1D a convolutional net reaches a test accuracy of at least 90 %, a multilayer perceptron between
# 60 and 75 %. Shuffle the positions, the same way in every example, and the order turns round: the convolutional net
# falls below the perceptron, to which the shuffle makes no difference at all.
#
# **Paper.** S. Greydanus and D. Kobak (2024), *Scaling down deep learning with MNIST-1D*; its repository reports 94 %
# for the convolutional net and 68 % for the perceptron, and 56 % and 68 % on shuffled positions.
#
# | | the paper | here |
# | :--- | :--- | :--- |
# | data | 4,000 training and 1,000 test signals of one seed | the same generator, other signals for every seed |
# | shuffle | one permutation | another one for every seed |
# | convolutional net | three layers, 25 channels, stride 2, zeros at the border | the same |
# | perceptron | 40-100-100-10, a skip connection round the second layer | the same without the skip |
# | optimiser | Adam, rate 0.01, constant, 6,000 steps of 100 | Adam, rate 0.01 falling along a cosine, 2,500 steps of 100 |
# | controls | a linear classifier, a recurrent net | a linear classifier; the convolutional net with its weights *untied* |
#
# The rate was chosen on pilot seeds, outside those below, out of 0.001, 0.003 and 0.01; 0.01 was best for the
# convolutional net and for the perceptron, and all nets use it.
#
# **Predict first.**
# 1. A convolutional net looks at five neighbours at a time, and shares the weights between all places. Which of the two
#    is worth more: the *locality* or the *sharing*?
# 2. How many examples does a convolutional net need to be as good as a perceptron that has seen 4,000?
# 3. A net of circular convolutions with stride 2 ends in an average over positions. Under which shifts of its input
#    does its answer not change at all?

# %%
import math

import numpy as np

import nn
from experiments import lab, side_by_side
from nn import functional as F
from nn import plot

CARD = lab.Card(
    title="What a convolution knows beforehand",
    claim="MNIST-1D: CNN ≥ 90 %, MLP 60–75 %; with shuffled positions the CNN falls below the MLP",
    paper="Greydanus and Kobak 2024, Scaling down deep learning with MNIST-1D",
    grade="B",
    seconds=230,
)
FULL = {
    "seeds": 5,
    "examples": 5000,
    "rate": 0.01,
    "batch": 100,
    "steps": 2500,
    "sizes": [250, 500, 1000, 2000],
    "grid_steps": 1000,
    "shifts": 40,
}
FAST = FULL | {"seeds": 1, "examples": 500, "steps": 60, "sizes": [100], "grid_steps": 10, "shifts": 9}

# %% [markdown]
# ## Derive
#
# **Which linear maps commute with a shift?** Let $S$ move a signal of length $n$ by one place around a circle,
# $(Sx)_i = x_{i-1}$, and let $A$ be a linear map that does not care where things are: $AS = SA$. Then also
# $AS^k = S^kA$, and the column of $A$ that belongs to position $k$ is
#
# $$ A e_k = A S^k e_0 = S^k A e_0 . $$
#
# The first column, moved along, gives all the others: with $w = Ae_0$ the entries are $A_{ik} = w_{i-k}$, indices
# modulo $n$, and $(Ax)_i = \sum_k w_{i-k}\, x_k$. *Equivariance alone forces a convolution.* Conversely a matrix of
# that form commutes with $S$. A bias must be the same at all places, and a function applied to each value alone, such
# as ReLU, commutes with $S$ of itself; so does every stack of such layers.
#
# **What is saved.** A free layer from $c$ channels of length $n$ to as many has $c^2n^2$ weights. *Equivariance* leaves
# $c^2 n$ of them: one kernel, as long as the signal. *Locality*, the second assumption, leaves $c^2 k$ for a kernel of
# length $k$. They can be had one without the other: a layer that is local, but has a kernel of its own at every
# place, has $c^2kn$ weights. That is the control called *untied* below: same connections, same range of initial
# weights, no sharing. As functions the nets are nested,
#
# $$ \text{convolutional} \subset \text{untied} \subset \text{fully connected (with as many units)}, $$
#
# so whatever the convolutional net can represent, the others can, too. If it generalises better, then not because it
# can do more.
#
# **Why sharing helps to learn.** The gradient of a shared weight is the sum of the gradients of its $n$ copies,
# $\partial L / \partial w_j = \sum_i \partial L / \partial A_{i,\,i-j}$. What is seen at one place is learned for all:
# one example acts like $n$ of them, shifted.
#
# **Invariance.** If $f$ commutes with $S$, then the average over positions of $f(x)$ is the same for $x$ and for $Sx$.
# With *stride* $s$ only every $s$-th output is kept, and a shift by one is no shift of those: $f(S^sx) = S f(x)$ is
# all that remains. Three layers of stride two keep the equivariance under shifts by eight, and lose the rest.
#
# **Why shuffling does nothing to a perceptron.** Let $P$ permute the positions. A perceptron with first weights
# $WP^T$ computes from $Px$ what the one with $W$ computes from $x$. The gradient is permuted alike,
# $\partial L/\partial (WP^T) = (\partial L / \partial W) P^T$, and so is every step of an optimiser that treats all
# weights alike, Adam included. Hence the whole training is the same, permuted; and since the initial weights are drawn
# independently, $WP^T$ is as likely as $W$. The *distribution* of a perceptron's accuracy cannot depend on the order
# of its inputs: it has no idea that there is an order.

# %% [markdown]
# ## Implement
#
# The untied layer takes its pattern from the convolution itself: the convolution of every unit vector is a column of
# its matrix, and the pattern is where a kernel of ones leaves something.

# %%


def matrix(weight, length, **geometry):
    """The matrix of a convolution without bias: (out_channels · out_length, in_channels · length)."""
    channels = weight.shape[1]
    units = np.eye(channels * length, dtype=weight.dtype).reshape(-1, channels, length)
    with nn.no_grad():
        columns = F.conv1d(nn.Tensor(units), weight, **geometry).array
    return np.ascontiguousarray(columns.reshape(len(units), -1).T)


class Untied(nn.Module):
    """A convolution's connections, without sharing: at each place a kernel and a bias of its own."""

    def __init__(self, convolution, length):
        super().__init__()
        geometry = {"stride": convolution.stride[0], "padding": convolution.padding[0]}
        kernel = convolution.weight
        self.mask = nn.Tensor(matrix(nn.Tensor(np.ones_like(kernel.array)), length, **geometry))
        self.channels = len(kernel.array)
        bound = 1 / math.sqrt(kernel.array[0].size)  # as the convolution's
        self.weight = nn.init.uniform_(nn.Parameter(np.empty_like(self.mask.array)), -bound, bound)
        self.bias = nn.init.uniform_(nn.Parameter(np.empty(len(self.mask.array), np.float32)), -bound, bound)

    def tie(self, convolution, length):
        """Take the weights of a convolution."""
        geometry = {"stride": convolution.stride[0], "padding": convolution.padding[0]}
        self.weight.array[...] = matrix(convolution.weight, length, **geometry)
        self.bias.array[...] = np.repeat(convolution.bias.array, len(self.bias.array) // self.channels)
        self.weight.mark_changed(), self.bias.mark_changed()

    def forward(self, input):
        flat = F.linear(input.flatten(1), self.weight * self.mask, self.bias)
        return flat.reshape(len(input), self.channels, -1)


def perceptron(library):
    """40-100-100-10."""
    return library.Sequential(
        library.Flatten(),
        library.Linear(40, 100),
        library.ReLU(),
        library.Linear(100, 100),
        library.ReLU(),
        library.Linear(100, 10),
    )


def convolutional(library):
    """The paper's: 40 positions become 19, 10 and 5, each of 25 channels."""
    return library.Sequential(
        library.Conv1d(1, 25, 5, stride=2, padding=1),
        library.ReLU(),
        library.Conv1d(25, 25, 3, stride=2, padding=1),
        library.ReLU(),
        library.Conv1d(25, 25, 3, stride=2, padding=1),
        library.ReLU(),
        library.Flatten(),
        library.Linear(125, 10),
    )


def untied(library):
    """`convolutional`, each convolution replaced by a layer of the same connections."""
    layers, length = list(convolutional(library)), 40
    for i in (0, 2, 4):
        layers[i] = Untied(layers[i], length)
        length = layers[i].mask.shape[0] // 25
    return library.Sequential(*layers)


def linear(library):
    """No hidden layer."""
    return library.Sequential(library.Flatten(), library.Linear(40, 10))


def circular(library, stride, head):
    """Three circular convolutions; then either an average over the positions or a weight for each of them."""
    layers, channels, length = [], 1, 40
    for kernel in (5, 3, 3):
        options = {"stride": stride, "padding": kernel // 2, "padding_mode": "circular"}
        layers += [library.Conv1d(channels, 25, kernel, **options), library.ReLU()]
        channels, length = 25, length // stride
    if head == "average":
        layers, length = [*layers, library.AdaptiveAvgPool1d(1)], 1
    return library.Sequential(*layers, library.Flatten(), library.Linear(25 * length, 10))


NETS = {"CNN": convolutional, "untied": untied, "MLP": perceptron, "linear": linear}
STRIDES, HEADS = (1, 2), ("flatten", "average")


def signals(config, generator):
    """MNIST-1D, made anew: training and test set, (N, 1, 40) and labels; and the same with shuffled positions."""
    from mnist1d.data import get_dataset_args, make_dataset

    arguments = get_dataset_args()
    arguments.num_samples, arguments.seed = config["examples"], int(generator.integers(2**32))
    made = make_dataset(arguments)
    shuffle = generator.permutation(40)
    plain = [(made[f"x{part}"].astype(np.float32)[:, None], made[f"y{part}"]) for part in ("", "_test")]
    return {"signal": plain, "shuffled": [(x[..., shuffle], y) for x, y in plain]}


def accuracy(network, examples):
    """Share of right answers."""
    x, y = examples
    with nn.no_grad():
        return float(np.mean(network(nn.Tensor(x)).array.argmax(axis=1) == y))


def train(build, sets, config, seed, steps, size=None):
    """A net trained on the first `size` examples, and its mean training loss in each of up to 50 stretches."""
    _, initialisation, order = lab.streams(seed)  # the same for every net
    nn.manual_seed(int(initialisation.integers(2**32)))
    network = build(nn)
    optimizer = nn.optim.Adam(network.parameters(), lr=config["rate"])
    schedule = nn.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    x, y = sets[0]
    losses = []
    for rows in order.integers(0, size or len(x), (steps, config["batch"])):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(nn.Tensor(x[rows])), nn.Tensor(y[rows]))
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return network, [float(np.mean(part)) for part in np.array_split(losses, min(50, steps))]


def shifted(network, examples, shifts):
    """Accuracy on signals that are moved around the circle by 0, 1, 2, … places."""
    x, y = examples
    return [accuracy(network, (np.roll(x, k, axis=2), y)) for k in range(shifts)]


def difference(a, b):
    """Largest difference, relative to the largest value."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def exact(sets, seed):
    """What theory says exactly, measured in float64."""
    _, initialisation, order = lab.streams(seed)
    nn.manual_seed(int(initialisation.integers(2**32)))
    x = nn.Tensor(sets[0][0][:50].astype(np.float64))
    moved = {k: nn.Tensor(np.roll(x.array, k, axis=2)) for k in (1, 8)}
    result = {}
    for stride in STRIDES:
        network = circular(nn, stride, "flatten").double()[:6]
        y = network(x).array
        result[f"stride {stride}, shift 1"] = difference(network(moved[1]).array, np.roll(y, 1, axis=2))
        result[f"stride {stride}, shift 8"] = difference(network(moved[8]).array, np.roll(y, 8 // stride**3, axis=2))
    zeros = nn.Conv1d(1, 25, 5, padding=2).double()
    result["zeros at the border"] = difference(zeros(moved[1]).array, np.roll(zeros(x).array, 1, axis=2))

    tied, free, length = convolutional(nn).double(), untied(nn).double(), 40
    for i in (0, 2, 4):
        free[i].mask = free[i].mask.double()
        free[i].tie(tied[i], length)
        length = free[i].mask.shape[0] // 25
    free[7].load_state_dict(tied[7].state_dict())
    result["untied with shared weights"] = difference(free(x).array, tied(x).array)
    result["permuted perceptron"] = permuted_training(sets, order)
    return result


def permuted_training(sets, order, steps=50):
    """How far the losses of two perceptrons differ: one sees permuted signals and starts from permuted weights."""
    shuffle = order.permutation(40)
    networks = [perceptron(nn).double() for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    networks[1][1].weight.array[...] = networks[0][1].weight.array[:, shuffle]
    networks[1][1].weight.mark_changed()
    x, y = sets[0][0].astype(np.float64), sets[0][1]
    rows = order.integers(0, len(x), (steps, 100))
    losses = []
    for network, inputs in zip(networks, (x, x[..., shuffle]), strict=True):
        optimizer = nn.optim.Adam(network.parameters(), lr=0.01)
        for batch in rows:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(nn.Tensor(inputs[batch])), nn.Tensor(y[batch]))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return difference(*np.reshape(losses, (2, steps)))


def layers_to_show(trained, sets):
    """For the pictures: five signals of either kind, and the matrices of first layers, one channel or 40 units."""
    kernel = trained["CNN"][0].weight
    strongest = int(np.square(kernel.array).sum(axis=(1, 2)).argmax())
    free = trained["untied"][0]
    maps = (free.weight * free.mask).array.reshape(25, -1, 40)
    return {
        "signals": {name: examples[0][0][:5, 0] for name, examples in sets.items()},
        "labels": sets["signal"][0][1][:5],
        "CNN": matrix(kernel, 40, stride=2, padding=1).reshape(25, -1, 40)[strongest],
        "untied": maps[np.square(maps).sum(axis=(1, 2)).argmax()],
        "MLP": trained["MLP"][1].weight.array[:19],
    }


def run(config, seed):
    """One data set, one shuffle: all nets on both, fewer examples, the grid of strides and heads, the exact claims."""
    sets = signals(config, lab.streams(seed)[0])
    result = {"exact": exact(sets["signal"], seed), "test": {}, "train": {}, "loss": {}, "shift": {}, "parameters": {}}
    trained = {}
    for kind, examples in sets.items():
        for name, build in NETS.items():
            network, losses = train(build, examples, config, seed, config["steps"])
            key = f"{name}, {kind}"
            result["test"][key], result["train"][key] = accuracy(network, examples[1]), accuracy(network, examples[0])
            result["loss"][key] = losses
            if kind == "signal":
                trained[name] = network
                result["shift"][name] = shifted(network, examples[1], config["shifts"])
                weights = sum(int(p.array.size) for p in network.parameters())
                if name == "untied":  # what the mask hides is not used
                    weights -= sum(int((network[i].mask.array == 0).sum()) for i in (0, 2, 4))
                result["parameters"][name] = weights
    result["sizes"] = {
        name: [
            accuracy(train(NETS[name], sets["signal"], config, seed, config["steps"], n)[0], sets["signal"][1])
            for n in config["sizes"]
        ]
        for name in ("CNN", "MLP")
    }
    for stride in STRIDES:
        for head in HEADS:
            network, _ = train(
                lambda library, s=stride, h=head: circular(library, s, h),
                sets["signal"],
                config,
                seed,
                config["grid_steps"],
            )
            result["shift"][f"stride {stride}, {head}"] = shifted(network, sets["signal"][1], config["shifts"])
    if seed == 0:
        result["shown"] = layers_to_show(trained, sets)
    return result


def compare(config, seed):
    """The paper's convolutional net in PyTorch beside ours."""
    data, initialisation, order = lab.streams(seed)
    x, y = signals(FAST, data)["signal"][0]
    nn.manual_seed(int(initialisation.integers(2**32)))
    batches = [(nn.Tensor(x[rows]), nn.Tensor(y[rows])) for rows in order.integers(0, len(x), (20, config["batch"]))]
    return side_by_side.compare(convolutional, ("Adam", {"lr": config["rate"]}), batches)


# %% [markdown]
# ## The claims, as inequalities
#
# The first four are the paper's, with the plan's thresholds; "falls below" is asked to be three points in the mean.
# The others are ours, and the thresholds of their paired comparisons were fixed after one seed. In fast mode, with a
# few steps on little data, only the exact ones are asked.


# %%
def tests(results, key):
    """Test accuracies of all seeds."""
    return np.array([result["test"][key] for result in results])


def check(results, mode):
    """What must hold."""
    worst = {name: max(result["exact"][name] for result in results) for name in results[0]["exact"]}
    least = min(result["exact"]["stride 2, shift 1"] for result in results)
    flat = [np.ptp(result["shift"]["stride 1, average"]) for result in results]
    comb = [np.ptp(result["shift"]["stride 2, average"][::8]) for result in results]
    checks = [
        lab.check("circular, stride 1: f(Sx) against S f(x), relative", worst["stride 1, shift 1"], at_most=1e-6),
        lab.check("circular, stride 2: the same is broken", least, at_least=0.01),
        lab.check("circular, stride 2: f(S⁸x) against S f(x)", worst["stride 2, shift 8"], at_most=1e-6),
        lab.check("untied net with shared weights against the CNN", worst["untied with shared weights"], at_most=1e-12),
        lab.check("losses of 50 steps, MLP against permuted MLP", worst["permuted perceptron"], at_most=1e-9),
        lab.check("stride 1, average: accuracy changes under any shift by", max(flat), at_most=0.002),
        lab.check("stride 2, average: under shifts by multiples of 8", max(comb), at_most=0.002),
    ]
    if mode == "fast":
        return checks
    cnn, mlp, untied_ = (tests(results, f"{name}, signal") for name in ("CNN", "MLP", "untied"))
    shuffled = tests(results, "MLP, shuffled") - tests(results, "CNN, shuffled")
    sizes = dict(zip(FULL["sizes"], np.array([result["sizes"]["CNN"] for result in results]).T, strict=True))
    return [
        lab.check("CNN, test accuracy, mean", cnn.mean(), at_least=0.9),
        lab.check("MLP, test accuracy, mean", mlp.mean(), at_least=0.6, at_most=0.75),
        *lab.paired("accuracy, CNN less MLP", cnn - mlp, at_least=0.15),
        *lab.paired("the same on shuffled positions, MLP less CNN", shuffled, at_least=0.03),
        *lab.paired("accuracy, CNN less the untied net", cnn - untied_, at_least=0.03),
        *lab.paired("accuracy, CNN with 1,000 examples less MLP with 4,000", sizes[1000] - mlp, at_least=0.0),
        *checks,
    ]


# %%
if __name__ == "__main__":
    study = lab.study("conv_prior")

# %% [markdown]
# ## Visualise


# %%
COLOURS = {"CNN": plot.BLUE, "untied": plot.GREEN, "MLP": plot.ORANGE, "linear": plot.GREY}


def draw_shuffle(results):
    """Test accuracy of all nets on signals, and on the same signals with shuffled positions."""
    figure, axes = plot.figure(10, 2.8, columns=2, sharex=True)
    for ax, kind in zip(axes, ("signal", "shuffled"), strict=True):
        values = {name: tests(results, f"{name}, {kind}") for name in NETS}
        plot.bars(values, ax=ax, colours=COLOURS, fmt="{:.2f}")
        ax.set(xlabel="test accuracy", title={"signal": "Signals", "shuffled": "Positions shuffled"}[kind])
    axes[0].set_xlim(0, 1.05)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_shuffle(study.results))

# %% [markdown]
# Left: the convolutional net is far ahead, with the fewest weights of the three that have hidden layers. Right: the
# perceptron does not notice; the convolutional net falls, and below the perceptron. A prior is a bet, and a bet that is
# lost costs more than none.
#
# The *untied* net answers the first question. On the left it lies between the two, nearer to the convolutional net:
# most of the gain is there without any sharing, from looking at neighbours first and at the whole later; sharing adds
# the rest, with a sixth of the weights. On the right it does not fall as the convolutional net does: what it looks at
# is now an arbitrary choice of inputs, but each place may still learn its own use of them. It is the *sharing* that is
# a wrong statement about shuffled signals, and that does the harm.


# %%
def draw_signals(results):
    """Five signals, as they are and shuffled."""
    shown = results[0]["shown"]
    figure, axes = plot.figure(10, 3, 2, 5, sharex=True, sharey=True)
    for row, (kind, colour) in zip(axes, (("signal", plot.BLUE), ("shuffled", plot.ORANGE)), strict=True):
        for ax, signal, label in zip(row, shown["signals"][kind], shown["labels"], strict=True):
            ax.plot(signal, color=colour, lw=1.4)
            ax.set(title=f"{kind}: {label}")
    for ax in axes[1]:
        ax.set_xlabel("position")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_signals(study.results))

# %% [markdown]
# A signal is one of ten short templates, stretched, scaled, moved by up to 48 of 72 places, with smooth noise where
# there is no template, sheared, and sampled at 40 points. The label depends on the shape, hardly on the place. Below
# the same five signals as the perceptron may as well see them: for it there is no difference.


# %%
def draw_layers(results):
    """First layers after training: rows are units, columns are positions of the signal."""
    shown = results[0]["shown"]
    figure, axes = plot.figure(10, 3.2, columns=3)
    titles = {"CNN": "CNN: one channel", "untied": "untied: one channel", "MLP": "MLP: the first 19 units"}
    for ax, (name, title) in zip(axes, titles.items(), strict=True):
        values = np.array(shown[name])
        limit = np.abs(values).max()
        ax.imshow(values, cmap=plot.DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
        ax.set(title=title, xlabel="position of the input", yticks=range(0, 19, 6))
    axes[0].set_ylabel("unit")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_layers(study.results))

# %% [markdown]
# Three matrices, in the order in which the sets of functions contain each other. The convolution is one short row,
# moved along two places at a time: five numbers. The untied layer keeps the band, but nothing makes its rows resemble
# each other: each place learns from what lay there. The perceptron's units look everywhere.


# %%
def draw_efficiency(results):
    """Accuracy against the number of training examples; and against a shift of the test signals."""
    figure, (left, right) = plot.figure(10, 4, columns=2)
    count = len(results[0]["sizes"]["CNN"])
    sizes = [*(FULL["sizes"] if count == len(FULL["sizes"]) else FAST["sizes"]), None]
    sizes[-1] = int(0.8 * (FULL if count == len(FULL["sizes"]) else FAST)["examples"])
    for name in ("CNN", "MLP"):
        runs = [[*result["sizes"][name], result["test"][f"{name}, signal"]] for result in results]
        left.plot(sizes, np.transpose(runs), color=COLOURS[name], lw=0.7, alpha=0.5)
        left.plot(sizes, np.mean(runs, axis=0), color=COLOURS[name], lw=2.2, marker="o", label=name)
    left.axhline(np.mean(tests(results, "MLP, signal")), color=plot.INK, lw=0.8, ls=":")
    left.set(xscale="log", xlabel="training examples", ylabel="test accuracy", title="How many examples it takes")
    left.set_xticks(sizes, [f"{size:,}" for size in sizes])
    left.minorticks_off()
    left.legend()
    shown = {"MLP": plot.ORANGE, "CNN": plot.BLUE, "stride 2, average": plot.GREEN, "stride 1, average": plot.INK}
    for name, colour in shown.items():
        runs = np.array([result["shift"][name] for result in results])
        right.plot(runs.T, color=colour, lw=0.5, alpha=0.35)
        right.plot(runs.mean(axis=0), color=colour, lw=2, label=name)
    right.set(xlabel="test signals moved around the circle by", ylabel="test accuracy", title="Shifts, not trained for")
    right.set_xticks(range(0, runs.shape[1], 8))
    right.set_ylim(top=1.12)
    right.legend(loc="upper center", ncols=2)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_efficiency(study.results))

# %% [markdown]
# Left: the dotted line is the perceptron with everything it can get; the convolutional net crosses it with a fraction
# of the examples. This is the prior, measured in examples. Right: all nets are trained on signals as they are and
# tested on signals that were moved around the circle. The perceptron falls at once. The paper's net falls, too: zeros
# at its border, strides and a last layer with a weight for every position leave little of the invariance that
# convolutional nets are said to have. With an average at the end and circular borders the line is flat for stride one,
# as derived; for stride two it is exactly what it should be at 0, 8, 16, 24 and 32, and lower in between: a comb whose
# teeth stand as far apart as the strides' product, with lesser ones halfway, where only the last layer sees a shift it
# does not know.
#
# ## The grid: stride × what comes after the convolutions


# %%
def draw_grid(results):
    """Circular nets after a short training: accuracy as they are, and the worst over all shifts."""
    figure, axes = plot.figure(9, 2.6, columns=2)
    for ax, (title, pick) in zip(
        axes, {"Test accuracy": lambda line: line[0], "The worst over all shifts": min}.items(), strict=True
    ):
        values = [
            [np.mean([pick(result["shift"][f"stride {stride}, {head}"]) for result in results]) for head in HEADS]
            for stride in STRIDES
        ]
        plot.grid(values, [f"stride {stride}" for stride in STRIDES], list(HEADS), ax=ax, limits=(0, 1), title=title)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# These four nets have circular borders and were trained for fewer steps than those above, so that only the four are to
# be compared. Averaging over positions costs accuracy on the signals as they are: where a template lies is not quite
# without meaning here, as a signal has two ends and the circle has none. Exact invariance is bought, not free. Under
# shifts the order turns round.
#
# ## Compare, interpret
#
# The paper's convolutional net, from the same weights on the same batches, is trained in PyTorch; the last line says
# how well the losses agree.
#
# What the verdict means: for data whose meaning does not depend on position, a net that cannot help treating all
# positions alike needs fewer examples; the control shows that locality and sharing both contribute, and that only
# sharing can be harmful on shuffled data. What it does not mean: that convolution is the better function class. It is
# the smaller one, and on shuffled data it is the wrong one. With enough examples the larger classes must catch up; the
# left curves have not met at 4,000.

# %%
if __name__ == "__main__":
    lab.show(study)

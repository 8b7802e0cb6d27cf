# %% [markdown]
# # A network from scratch: backpropagation by hand
#
# **Claim.** A network that learns $\sin 3x$ from noisy points, written in plain NumPy with every gradient derived by
# hand, and the same network in `nn` are the same: over the whole training their losses differ by at most $10^{-9}$
# relative in float64, for every activation × optimiser, and so does PyTorch's. Trained, it knows $\sin 3x$ better than
# its data do: its error is smaller than the noise.
#
# **Paper.** D. Rumelhart, G. Hinton and R. Williams (1986), *Learning representations by back-propagating errors*.
#
# | | the paper | here |
# | :--- | :--- | :--- |
# | data | mirror symmetry of bit strings, family trees | 100 points of $\sin 3x$ on $[-2, 2]$, noise of standard deviation 0.1 |
# | network | sigmoid units, one and more hidden layers | 1-64-1, ReLU; in the grids tanh, sigmoid, GELU, and up to 256 units |
# | optimiser | gradient descent with momentum, the whole set at once | with momentum, on batches of 25; beside it, without momentum, and Adam |
# | seeds | not varied | 5: other points, other weights, other order |
#
# **Predict first.**
# 1. A ReLU unit of one input is a straight line with one kink. How many straight pieces can 64 of them make?
# 2. Two programs add the same numbers in another order, and so differ in the 16th digit. What has become of that after
#    6,000 steps?
# 3. A network of 256 units has 769 parameters, the data has 40 points. Does it fit the noise?

# %%
import numpy as np

import nn
from experiments import lab, side_by_side
from nn import plot

CARD = lab.Card(
    title="A network from scratch: backpropagation by hand",
    claim="By hand, in nn, in PyTorch: losses of the whole training equal to 1e-9, for every activation × optimiser",
    paper="Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors",
    grade="A",
    seconds=90,
)
FULL = {
    "seeds": 5,
    "points": 100,
    "noise": 0.1,
    "width": 64,
    "steps": 6000,
    "batch": 25,
    "rate": 0.02,
    "equal_steps": 1000,  # of each activation × optimiser in the three libraries
    "widths": [1, 2, 4, 8, 16, 64, 256],
    "noises": [0.0, 0.1, 0.3, 1.0],
    "few": 40,  # points of the grid of widths and noises, and its steps
    "capacity_steps": 3000,
    "grid_widths": [8, 32, 128],
    "grid_steps": 1000,
}
FAST = FULL | {
    "seeds": 1,
    "steps": 1000,
    "equal_steps": 100,
    "capacity_steps": 1000,
    "widths": [2, 64],
    "noises": [0.1],
    "grid_widths": [32],
    "grid_steps": 100,
}
RATES = {"gradient descent": [0.01, 0.03, 0.1], "momentum": [0.003, 0.01, 0.03], "Adam": [0.003, 0.01, 0.03]}
SPAN = 2.0  # the points lie in [-SPAN, SPAN]

# %%
if __name__ == "__main__":
    study = lab.study("mlp_from_scratch")
    lab.show(study)
    lab.show(lab.load("mlp_from_scratch").draw_fit(study.results))

# %% [markdown]
# On the left the network learns from coarse to fine: first the mean and the two middle extrema, last the ends. On the
# right each line is a hidden unit: blue where its kink turns the prediction upward, orange where downward. The dotted
# lines are the extrema of $\sin 3x$, where it bends most. Within the first hundred steps neighbouring kinks drift
# together and bundle there, the upward ones at the minima, the downward ones at the maxima; later, when the mean error
# is small, some spread again to round the bend. Kinks that have nothing to do stay where they were and stay thin.

# %% [markdown]
# ## Derive
#
# A layer $l$ of the network takes a batch $X_{l-1}$, one example a row, and computes
#
# $$Z_l = X_{l-1} W_l^\top + \mathbf 1 b_l^\top, \qquad X_l = f(Z_l),$$
#
# the last one without $f$. The loss is the mean squared error $L = \frac1B\sum_n (\hat y_n - y_n)^2$. Write
# $\bar A = \partial L/\partial A$ for the gradient with respect to anything, an array of the same shape. Then, from the
# end to the beginning:
#
# **Loss.** $\hat y_n$ occurs in one term: $\;\bar{\hat y}_n = \frac2B(\hat y_n - y_n)$. The last layer is linear, so
# this is $\bar Z_L$.
#
# **Weights.** In components $Z_{nj} = \sum_i X_{ni} W_{ji} + b_j$. The weight $W_{ji}$ acts on $Z_{nj}$ for every $n$ and on
# nothing else, with $\partial Z_{nj}/\partial W_{ji} = X_{ni}$. The chain rule sums over all ways from the weight to the loss:
#
# $$\bar W_{ji} = \sum_n \bar Z_{nj} X_{ni},\quad\text{that is}\quad \bar W_l = \bar Z_l^\top X_{l-1};\qquad
#   \bar b_j = \sum_n \bar Z_{nj}.$$
#
# **Input.** $X_{ni}$ acts on $Z_{nj}$ for every $j$: $\;\bar X_{ni} = \sum_j \bar Z_{nj} W_{ji}$, that is
# $\bar X_{l-1} = \bar Z_l W_l$.
#
# **Activation.** $Z_{nj}$ acts on $X_{nj}$ only: $\;\bar Z_{nj} = \bar X_{nj} f'(Z_{nj})$, with
#
# | $f$ | $f'$ |
# | :--- | :--- |
# | ReLU: $\max(z, 0)$ | 1 where $z > 0$, else 0 |
# | tanh | $1 - \tanh^2 z$, from $\tanh = \sinh/\cosh$ and $\cosh^2 - \sinh^2 = 1$ |
# | sigmoid $\sigma = 1/(1+e^{-z})$ | $\sigma(1-\sigma)$, from $-(1+e^{-z})^{-2}\cdot(-e^{-z})$ and $e^{-z} = (1-\sigma)/\sigma$ |
#
# **Steps**, for a parameter $\theta$ with gradient $g$:
#
# | optimiser | |
# | :--- | :--- |
# | gradient descent | $\theta \leftarrow \theta - \eta g$ |
# | momentum | $v \leftarrow 0.9v + g,\quad \theta \leftarrow \theta - \eta v$ |
# | Adam | $m \leftarrow 0.9m + 0.1g,\; s \leftarrow 0.999s + 0.001g^2,\quad \theta \leftarrow \theta - \eta\,\dfrac{m/(1-0.9^t)}{\sqrt{s/(1-0.999^t)} + 10^{-8}}$ |
#
# **What a ReLU network of one input is.** Unit $j$ contributes $a_j\max(w_jx + b_j, 0)$: zero on one side of its *kink*
# $x = -b_j/w_j$, a line of slope $a_jw_j$ on the other. The sum of $H$ of them is a broken line of at most $H + 1$ pieces,
# whose slope jumps by $a_j|w_j|$ at kink $j$. To learn is to move the kinks to where the function bends.
#
# **How far apart two programs drift.** Each operation rounds relative to $\varepsilon = 2.2\cdot10^{-16}$. Where training
# is stable, a step contracts differences or at worst keeps them, so after $T$ steps about $T\varepsilon$ to
# $\sqrt T\varepsilon$ is left; where it is chaotic they grow by a factor each step, and after some hundred steps nothing
# agrees. The comparison is a test of both: of the formulas, and of the stability.

# %% [markdown]
# ## Implement
# ### By hand, in NumPy


# %%
FUNCTIONS = {  # name -> (f, f')
    "ReLU": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
}


def forward(parameters, x, f):
    """The prediction, and (input, Z) of every layer for the backward; `parameters` is [W1, b1, W2, b2, …]."""
    kept, last = [], len(parameters) // 2 - 1
    for layer in range(last + 1):
        weight, bias = parameters[2 * layer : 2 * layer + 2]
        z = x @ weight.T + bias
        kept.append((x, z))
        x = z if layer == last else f(z)
    return x, kept


def backward(parameters, kept, delta, slope):
    """The gradients in the order of `parameters`, from `delta`, the gradient with respect to the prediction."""
    gradients = []
    for layer in reversed(range(len(kept))):
        x, _ = kept[layer]
        gradients = [delta.T @ x, delta.sum(axis=0), *gradients]
        if layer:
            delta = (delta @ parameters[2 * layer]) * slope(kept[layer - 1][1])
    return gradients


class ByHand:
    """A network and its optimiser in NumPy; `step` trains on a batch and returns the loss before it."""

    def __init__(self, parameters, activation, optimiser, rate):
        self.parameters = [p.copy() for p in parameters]
        self.f, self.slope = FUNCTIONS[activation]
        self.optimiser, self.rate, self.t = optimiser, rate, 0
        self.first, self.second = ([np.zeros_like(p) for p in parameters] for _ in range(2))

    def step(self, x, y):
        prediction, kept = forward(self.parameters, x, self.f)
        error = prediction - y
        gradients = backward(self.parameters, kept, 2 * error / error.size, self.slope)
        self.t += 1
        for parameter, gradient, m, s in zip(self.parameters, gradients, self.first, self.second, strict=True):
            parameter -= self.rate * self._direction(gradient, m, s)
        return np.mean(error**2)

    def _direction(self, g, m, s):
        if self.optimiser == "gradient descent":
            return g
        if self.optimiser == "momentum":
            m[...] = 0.9 * m + g
            return m
        m[...] = 0.9 * m + 0.1 * g
        s[...] = 0.999 * s + 0.001 * g**2
        return m / (1 - 0.9**self.t) / (np.sqrt(s / (1 - 0.999**self.t)) + 1e-8)

    def predict(self, x):
        return forward(self.parameters, x, self.f)[0]


# %% [markdown]
# ### In `nn`, and in PyTorch
#
# A layer of `nn` is this loop of `kernels`, in its fast form:

# %%
if __name__ == "__main__":
    from kernels import affine

    lab.show(lab.source(affine.linear_naive))


# %% [markdown]
# One function builds the network for both libraries; only the name of the library differs.


# %%
OPTIMISERS = {
    "gradient descent": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "Adam": ("Adam", {}),
}
LAYERS = {"ReLU": "ReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "GELU": "GELU"}


def build(library, width, activation="ReLU"):
    """1-width-1, for `nn` or ``torch.nn``."""
    return library.Sequential(
        library.Linear(1, width), getattr(library, LAYERS[activation])(), library.Linear(width, 1)
    )


class InLibrary:
    """The network with given parameters in `nn` or ``torch`` with float64; `step` as that of `ByHand`."""

    def __init__(self, library, parameters, activation, optimiser, rate):
        self.tensor = library.tensor
        layers, optim = (nn, nn.optim) if library is nn else (library.nn, library.optim)
        self.network = build(layers, len(parameters[0]), activation).double()
        names = self.network.state_dict()
        self.network.load_state_dict({key: self.tensor(p) for key, p in zip(names, parameters, strict=True)})
        name, options = OPTIMISERS[optimiser]
        self.optimiser = getattr(optim, name)(self.network.parameters(), lr=rate, **options)
        self.loss = layers.functional.mse_loss

    @property
    def parameters(self):
        return [p.detach().numpy() for p in self.network.parameters()]

    def step(self, x, y):
        self.optimiser.zero_grad()
        loss = self.loss(self.network(self.tensor(x)), self.tensor(y))
        loss.backward()
        self.optimiser.step()
        return loss.item()

    def predict(self, x):
        return self.network(self.tensor(x)).detach().numpy()


# %% [markdown]
# ### Data and training


# %%
def points(generator, number, noise):
    """x uniform in [-2, 2], and sin 3x with normal noise, both (number, 1)."""
    x = generator.uniform(-SPAN, SPAN, (number, 1))
    return x, np.sin(3 * x) + noise * generator.standard_normal(x.shape)


def initial(generator, width):
    """Weights and biases uniform within ±1 / √inputs, as `nn.Linear` draws them."""
    shapes = [((width, 1), 1), ((width,), 1), ((1, width), width), ((1,), width)]
    return [generator.uniform(-1, 1, shape) / np.sqrt(inputs) for shape, inputs in shapes]


def batches(generator, number, size, steps):
    """Indices of a batch for every step: shuffled anew when all were seen."""
    if size >= number:
        return [np.arange(number)] * steps
    epochs = -(-steps // (number // size))
    orders = [generator.permutation(number)[: number // size * size].reshape(-1, size) for _ in range(epochs)]
    return np.concatenate(orders)[:steps]


GRID = np.linspace(-SPAN, SPAN, 201)[:, None]


def root_mean_square(difference):
    return float(np.sqrt(np.mean(np.square(difference))))


def errors(model, x, y):
    """Root mean square errors: on the noisy points of the training, and against sin 3x itself."""
    return [root_mean_square(model.predict(x) - y), root_mean_square(model.predict(GRID) - np.sin(3 * GRID))]


def watched(model, x, y, order, pictures):
    """Train; the losses, and at some steps the prediction on the grid, the kinks and the jumps of slope there."""
    losses, record = [], {"steps": [], "predictions": [], "kinks": [], "jumps": []}
    for step, batch in enumerate(order):
        if step in pictures:
            remember(record, step, model)
        losses.append(model.step(x[batch], y[batch]))
    remember(record, len(order), model)
    return losses, record


def remember(record, step, model):
    w, b, a, _ = model.parameters
    with np.errstate(divide="ignore"):
        kinks = np.clip(-b / w[:, 0], -99, 99)
    for key, value in zip(record, (step, model.predict(GRID)[:, 0], kinks, a[0] * np.abs(w[:, 0])), strict=True):
        record[key].append(value)


def trained(library, activation, optimiser, rate, width, data, order, generator):
    """A network after its training."""
    model = InLibrary(library, initial(generator, width), activation, optimiser, rate)
    for batch in order:
        model.step(data[0][batch], data[1][batch])
    return model


# %% [markdown]
# ### One seed


# %%
def run(config, seed):
    """The watched training, the differences of the three programs, and the two grids."""
    import torch

    data, initialisation, shuffle = lab.streams(seed)
    x, y = points(data, config["points"], config["noise"])
    order = batches(shuffle, len(x), config["batch"], config["steps"])
    start = initial(initialisation, config["width"])
    arms = ("ReLU", "momentum", config["rate"])
    pictures = sorted({0, *np.unique(np.geomspace(10, config["steps"], 40).astype(int)).tolist()})
    mine = ByHand(start, *arms)
    losses, record = watched(mine, x, y, order, pictures)
    twin = InLibrary(nn, start, *arms)
    twin_losses = [twin.step(x[batch], y[batch]) for batch in order]
    keep = np.unique(np.linspace(0, len(losses) - 1, 200).astype(int))
    return {
        "difference": relative(twin_losses, losses).max(),
        "over_time": np.maximum.accumulate(relative(twin_losses, losses))[keep],
        "parameters": max(float(np.abs(a - b).max()) for a, b in zip(mine.parameters, twin.parameters, strict=True)),
        "kept": keep,
        "losses": np.array(losses)[keep],
        "errors": errors(mine, x, y),
        "pieces": pieces(mine.parameters),
        "data": [x[:, 0], y[:, 0]],
        "record": record if seed == 0 else None,
        "units": mine.parameters if seed == 0 else None,
        "equality": equality(config, start, x, y, order, torch),
        "capacity": capacity(config, seed),
        "grid": variants(config, seed, x, y),
    }


def relative(found, expected):
    found, expected = np.array(found), np.array(expected)
    return np.abs(found - expected) / expected


def pieces(parameters):
    """The number of straight pieces on [-2, 2]: one more than the distinct kinks inside with a jump of slope."""
    w, b, a, _ = parameters
    kinks = -b / w[:, 0]
    return 1 + len(np.unique(kinks[(np.abs(kinks) < SPAN) & (a[0] != 0)]))


def equality(config, start, x, y, order, torch):
    """Activation -> optimiser -> the largest relative difference of losses [by hand and nn, by hand and PyTorch]."""
    table = {}
    for activation in FUNCTIONS:
        for optimiser, rates in RATES.items():
            arms = (activation, optimiser, rates[1])
            models = [ByHand(start, *arms), InLibrary(nn, start, *arms), InLibrary(torch, start, *arms)]
            losses = np.array(
                [[model.step(x[batch], y[batch]) for model in models] for batch in order[: config["equal_steps"]]]
            )
            differences = [relative(losses[:, i], losses[:, 0]).max() for i in (1, 2)]
            table.setdefault(activation, {})[optimiser] = differences
    return table


def capacity(config, seed):
    """Width -> noise -> errors of a network trained on few points, all at once, with Adam."""
    data, initialisation, shuffle = lab.streams(1000 + seed)
    table = {}
    for width in config["widths"]:
        for noise in config["noises"]:
            x, y = points(data, config["few"], noise)
            order = batches(shuffle, len(x), len(x), config["capacity_steps"])
            model = trained(nn, "ReLU", "Adam", 0.01, width, (x, y), order, initialisation)
            table.setdefault(str(width), {})[str(noise)] = errors(model, x, y)
    return table


def variants(config, seed, x, y):
    """Activation -> width -> optimiser -> error against sin 3x at the rate with the least training error."""
    _, initialisation, shuffle = lab.streams(2000 + seed)
    order = batches(shuffle, len(x), config["batch"], config["grid_steps"])
    table = {}
    for activation in LAYERS:
        for width in config["grid_widths"]:
            for optimiser, rates in RATES.items():
                tried = [
                    errors(trained(nn, activation, optimiser, rate, width, (x, y), order, initialisation), x, y)
                    for rate in rates
                ]
                table.setdefault(activation, {}).setdefault(str(width), {})[optimiser] = min(tried)[1]
    return table


def compare(config, seed):
    """Adam on the network in both libraries, float64; the times are those of float32."""
    data, _, shuffle = lab.streams(seed)
    nn.manual_seed(seed)
    x, y = (values.astype(np.float32) for values in points(data, config["points"], config["noise"]))
    order = batches(shuffle, len(x), config["batch"], 20)
    return side_by_side.compare(
        lambda library: build(library, config["width"]),
        ("Adam", {"lr": 0.01}),
        [(nn.tensor(x[batch]), nn.tensor(y[batch])) for batch in order],
        loss=lambda functional, output, target: functional.mse_loss(output, target),
        double=True,
    )


# %% [markdown]
# ## The claims, as inequalities
# The bound of $10^{-9}$ is the one that all comparisons in float64 here must hold. The thresholds of the errors come from
# pilot seeds (50 to 54), which are not among those below.


# %%
def check(results, mode):
    """Equality in both modes; what a whole training reaches only in full mode."""
    tables = [cell for r in results for row in r["equality"].values() for cell in row.values()]
    checks = [
        lab.check("by hand and nn: losses of the whole training", max(r["difference"] for r in results), at_most=1e-9),
        lab.check("by hand and nn: parameters at the end", max(r["parameters"] for r in results), at_most=1e-9),
        lab.check("activation × optimiser: by hand and nn", max(cell[0] for cell in tables), at_most=1e-9),
        lab.check("activation × optimiser: by hand and PyTorch", max(cell[1] for cell in tables), at_most=1e-9),
        lab.check(
            "straight pieces within the data", max(r["pieces"] for r in results), at_most=FULL["width"] + 1, extra=True
        ),
    ]
    small = [r["capacity"]["2"]["0.1"][1] - r["capacity"]["64"]["0.1"][1] for r in results]
    checks += lab.paired(
        "error against sin 3x, width 2 minus width 64", small, at_least=0.2, extra=True, origin="pilot"
    )
    if mode == "fast":
        return checks
    noise = FULL["noise"]
    checks += lab.paired(
        "noise minus error against sin 3x", [noise - r["errors"][1] for r in results], at_least=0.01, origin="pilot"
    )
    fitted = [r["capacity"]["2"]["1.0"][0] - r["capacity"]["256"]["1.0"][0] for r in results]
    checks += lab.paired(
        "noise 1: training error, width 2 minus width 256", fitted, at_least=0.2, extra=True, origin="pilot"
    )
    hurt = [r["capacity"]["256"]["1.0"][1] - r["capacity"]["256"]["0.1"][1] for r in results]
    return checks + lab.paired(
        "width 256: error against sin 3x, noise 1 minus noise 0.1", hurt, at_least=0.2, extra=True, origin="pilot"
    )


# %% [markdown]
# ## Visualise
# ### The fit, and where the kinks go


# %%
def draw_fit(results):
    """Predictions during the training of the first seed, and the path of every kink."""
    figure, (left, right) = plot.figure(10, 4.2, columns=2)
    record, (x, y) = results[0]["record"], results[0]["data"]
    left.plot(x, y, "o", ms=3, color=plot.GREY, label="data")
    left.plot(GRID, np.sin(3 * GRID), color=plot.INK, lw=1, ls="--", label="sin 3x")
    chosen = np.unique(np.linspace(0, len(record["steps"]) - 1, 6).astype(int))
    for share, i in zip(np.linspace(0.25, 1, len(chosen)), chosen, strict=True):
        left.plot(GRID, record["predictions"][i], color=plot.SEQUENTIAL(share), label=f"step {record['steps'][i]:,}")
    left.set(xlabel="x", ylabel="prediction", ylim=(-1.5, 1.5), title="The fit over time")
    left.legend(fontsize=9, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.16), columnspacing=1)
    steps = np.maximum(record["steps"], 1)
    jumps = np.array(record["jumps"])
    for kink, jump in zip(np.array(record["kinks"]).T, jumps.T, strict=True):
        colour = plot.BLUE if jump[-1] > 0 else plot.ORANGE
        right.plot(kink, steps, color=colour, lw=0.4 + 2.5 * abs(jump[-1]) / np.abs(jumps[-1]).max())
    right.set(
        yscale="log",
        xlim=(-SPAN, SPAN),
        xlabel="x of the kink",
        ylabel="step",
        title="Kinks; the thicker, the sharper at the end",
    )
    for axis in (left, right):
        for extremum in np.pi / 6 * np.arange(-3, 4, 2):
            axis.axvline(extremum, color=plot.GREY, lw=0.8, ls=":")
    return figure


# %%
def draw_units(results):
    """What the hidden units of the first seed add up to, and the slope of the sum."""
    figure, (left, right) = plot.figure(10, 3.8, columns=2)
    w, b, a, c = (np.array(p) for p in results[0]["units"])
    parts = np.maximum(GRID * w[:, 0] + b, 0) * a[0]
    left.plot(GRID, parts, color=plot.BLUE, lw=0.5, alpha=0.6)
    left.plot(GRID, parts.sum(axis=1) + c, color=plot.ORANGE, lw=2.5, label="their sum, and the last bias")
    left.plot(GRID, np.sin(3 * GRID), color=plot.INK, lw=1, ls="--", label="sin 3x")
    left.set(xlabel="x", title=f"{len(b)} hidden units, each times its weight")
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    slopes = (GRID * w[:, 0] + b > 0) @ (a[0] * w[:, 0])
    right.step(GRID[:, 0], slopes, color=plot.ORANGE, lw=1.5, where="mid", label="slope of the network")
    right.plot(GRID, 3 * np.cos(3 * GRID), color=plot.INK, lw=1, ls="--", label="3 cos 3x")
    right.set(xlabel="x", ylim=(-3.5, 3.5), title="The derivative: a staircase")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_units(study.results))

# %% [markdown]
# No unit resembles a sine. The units are long straight rays that almost cancel each other, and the wave is what remains.
# On the right is the derivative of the network with respect to its *input*: the weights of the units that are
# switched on, summed. Every stair is a kink; with more of them, the staircase follows the cosine more closely. Where it
# fails is at the ends: beyond the last kink the network is a straight line for ever.

# %% [markdown]
# ### By hand, in `nn`, in PyTorch


# %%
def draw_equality(results):
    """The difference of the losses over the training, and for every activation × optimiser."""
    figure, panels = plot.figure(12, 3.6, columns=3, width_ratios=(1.2, 1, 1))
    series = np.array([np.maximum(r["over_time"], 1e-17) for r in results])
    plot.curves({"by hand and nn": series}, results[0]["kept"], ax=panels[0], band=None)
    panels[0].axhline(1e-9, color=plot.INK, lw=0.8, ls=":")
    panels[0].set(
        yscale="log",
        ylim=(1e-17, 1e-8),
        xlabel="step",
        ylabel="largest relative difference so far",
        title="Losses of the ReLU network",
    )
    for ax, i, what in zip(panels[1:], (0, 1), ("nn", "PyTorch"), strict=True):
        table = [[max(r["equality"][f][o][i] for r in results) for o in RATES] for f in FUNCTIONS]
        plot.grid(
            np.log10(np.maximum(table, 1e-17)), list(FUNCTIONS), list(RATES), ax=ax, fmt="{:.1f}", limits=(-17, -9)
        )
        ax.set_title(f"log₁₀ of it, by hand and {what}")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_equality(study.results))

# %% [markdown]
# The dotted line is the bound, and the differences lie orders of magnitude below it. After the first steps they grow
# slowly, like a sum of rounding errors, and not like a power: this training is not chaotic. The three programs share
# nothing but the chain rule.

# %% [markdown]
# ### Capacity and noise


# %%
def draw_capacity(results):
    """Width × noise: the error on the noisy training points, and against the function itself."""
    figure, panels = plot.figure(10, 4, columns=2)
    widths, noises = list(results[0]["capacity"]), list(results[0]["capacity"]["2"])
    titles = "Training points: can it fit?", "sin 3x itself: does it know?"
    for ax, i, title in zip(panels, (0, 1), titles, strict=True):
        table = [[np.mean([r["capacity"][w][n][i] for r in results]) for n in noises] for w in widths]
        plot.grid(
            table,
            widths,
            noises,
            ax=ax,
            limits=(0, 1.2),
            title=title,
            xlabel="noise",
            ylabel="width",
            label="root mean square error",
        )
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_capacity(study.results))

# %% [markdown]
# On 40 points, left: the error that training sees. It falls down each column: more units fit more, and at noise 1 the
# widest network gets well below the noise, which means that it has learned noise. Right: the error that counts. In the
# columns of little noise it falls as well: two units cannot make a sine, whatever the data, and that is *bias*. In the
# column of noise 1 it falls until about eight units and then rises again, while the training error goes on falling:
# there capacity is spent on noise, and that is *variance*. It does not explode at 256 units, though there are almost
# twenty times as many parameters as points: training ends before every point is met, and between its points a broken
# line cannot stray far. Along the rows: the same network, the same training, worse data.

# %% [markdown]
# ## Compare
# The line under the table is PyTorch's own Adam on the same network and batches, the speed next to it in float32.
#
# ## Interpret
# ### The variants: activation × width × optimiser
# Each cell had three learning rates to choose from, by its training error, and 1,000 steps.


# %%
def draw_grid(results):
    """Error against sin 3x for activation × width, one panel an optimiser."""
    figure, panels = plot.figure(11, 3.4, columns=3)
    for ax, optimiser in zip(panels, RATES, strict=True):
        grid = results[0]["grid"]
        widths = list(grid["ReLU"])
        table = [[np.mean([r["grid"][f][w][optimiser] for r in results]) for w in widths] for f in grid]
        plot.grid(table, list(grid), widths, ax=ax, limits=(0, 0.7), title=optimiser, xlabel="width")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# 0.7 is the size of the sine itself: a network that answers 0 has this error. The steps are few, so the table ranks
# speeds rather than abilities. From left to right the optimisers get faster, nearly everywhere. Sigmoid units, whose
# slope is at most a quarter and whose output is never centred, lag behind in every panel. Width helps ReLU and GELU,
# whose kinks begin at many places; it does not help tanh and sigmoid under plain gradient descent, where many similar
# units add up to one steep direction, which bounds the rate, and the flat directions have to wait for it (our reading:
# the table shows the effect, not its cause). Momentum and Adam remove most of it.
#
# ### What the verdict means
# That backpropagation is nothing but the chain rule, written from the end: forty lines of NumPy make the same numbers as
# two libraries, to about the last digits, for as long as one cares to train. It says nothing about the networks in which
# rounding does grow (deep ones, with large rates, in float32): there two correct programs part after some dozens
# of steps, and only their statistics agree.

# %% [markdown]
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("mlp_from_scratch"))


# %%
def answer_pieces(results):
    """The most straight pieces that 64 ReLU units of one input can make."""
    return FULL["width"] + 1


def answer_drift(results):
    """log₁₀ of the largest relative difference of the losses, by hand and in nn, over the whole training."""
    return float(np.log10(max(result["difference"] for result in results)))


def answer_slope(results):
    """How many gradients are wrong if the slope is taken of the layer's output in place of its Z, for tanh."""
    f, slope = FUNCTIONS["tanh"]
    generator = np.random.default_rng(0)
    shapes = ((8, 1), (8,), (8, 8), (8,), (1, 8), (1,))
    parameters, x = [generator.standard_normal(shape) for shape in shapes], generator.standard_normal((5, 1))
    prediction, kept = forward(parameters, x, f)
    right = backward(parameters, kept, prediction, slope)
    wrong = backward(parameters, [(x, f(z)) for x, z in kept], prediction, slope)
    return sum(not np.allclose(a, b) for a, b in zip(right, wrong, strict=True))


EXERCISES = [
    lab.Exercise(
        "A network has one input and 64 ReLU units in one hidden layer. How many straight pieces has its graph at most?",
        answer_pieces,
        "Each unit has one kink, at $x = -b/w$; $k$ kinks make $k + 1$ pieces.",
    ),
    lab.Exercise(
        "Two programs add the same numbers in another order. What is $\\log_{10}$ of the largest relative difference of "
        "their losses over 6,000 steps in float64?",
        answer_drift,
        "It starts at $-16$ and grows like a sum of rounding errors, not like a power: this training is stable.",
        within=0.15,
    ),
    lab.Exercise(
        "Take the wrong argument in `backward`: the slope of $f(Z)$ in place of $Z$. How many of the six gradients "
        "of a 1-8-8-1 tanh network are wrong?",
        answer_slope,
        "Those of the last layer need no slope: its weight and bias are right, the four of the layers before are not.",
    ),
]

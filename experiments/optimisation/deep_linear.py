# %% [markdown]
# # Deep linear networks: why learning comes in steps
#
# **Claim.** A linear network of two layers, trained by gradient descent from small random weights, learns the singular
# directions of its task one after another: the strength of each follows the sigmoid
# $u(t) = s / (1 + (s/u_0 - 1)\, e^{-2st})$ within 2 % of $s$, where $u_0$ is not fitted but computed from the initial
# weights. From the same share of its end, each is half learned after a time proportional to $1/s$.
#
# **Paper.** A. Saxe, J. McClelland and S. Ganguli (2014), *Exact solutions to the nonlinear dynamics of learning in
# deep linear neural networks*.
#
# | | the paper | here |
# | :--- | :--- | :--- |
# | task | inputs with identity covariance, any linear map | the same; a random map with five singular values from 4 to 1 |
# | start | decoupled and balanced; random small weights shown to be near | both; for random weights $u_0$ is derived |
# | time | continuous | steps of $\eta = 0.002$, so that $\eta s \le 0.008$ |
# | control | one layer: exponentials | one layer: exponentials |
#
# **Predict first.**
# 1. A network of two linear layers computes nothing that a single one cannot. Does it *learn* in the same way?
# 2. Its weights are small and random. Which of five directions is learned first, and does the start decide it?
# 3. With a third layer: does a direction of half the strength take twice as long, less, or more?

# %%
import math

import numpy as np

import nn
from experiments import lab, side_by_side
from nn import functional as F
from nn import plot

# %% [markdown]
# ## The result
#
# The claim's checks are the paper's three and the control, one layer beside two.

# %%
if __name__ == "__main__":
    study = lab.study("deep_linear")
    lab.show(study)
    lab.show(lab.load("deep_linear").draw_modes(study.results))

# %% [markdown]
# Two layers stand still for a while, then learn one direction in a short time, then the next: each curve is a sigmoid,
# drawn by the formula (dashed) before the network was trained. One layer learns the same map, to the same end, by five
# exponentials that all begin at once. The loss of the two-layer network therefore falls in steps: plateaus that end
# suddenly, with nothing random about them.

# %%
CARD = lab.Card(
    title="Deep linear networks: why learning comes in steps",
    claim="Strength of every direction within 2 % of Saxe's sigmoid, from random weights; half-time ∝ 1/s (slope −1 ± 0.02)",
    paper="Saxe, McClelland and Ganguli (2014), Exact solutions to the nonlinear dynamics of learning",
    grade="A",
    seconds=100,
)
FULL = {
    "seeds": 10,
    "size": 10,
    "hidden": 256,
    "strengths": [4.0, 2.83, 2.0, 1.41, 1.0],
    "share": 1e-3,  # u₀/s of the aligned starts; of random ones, u₀ itself on average
    "rate": 2e-3,
    "time": {1: 5.0, 2: 5.5, 3: 11.0},
    "every": 10,
    "grid_shares": [1e-3, 1e-1, 2.0],
    "grid_time": 8.0,
    "timed": 3,  # rounds of timing beside PyTorch
}
FAST = FULL | {
    "seeds": 1,
    "size": 6,
    "hidden": 64,
    "strengths": [4.0, 2.83, 2.0],
    "time": {1: 2.0, 2: 2.8, 3: 4.5},
    "grid_shares": [1e-1],
    "grid_time": 1.5,
    "timed": 0,
}

# %% [markdown]
# ## Derive
#
# With $y = W_2 W_1 x$ and inputs whose covariance is the identity, the loss $\tfrac12 \overline{\lVert y^* - y\rVert^2}$
# depends on the data through $\Sigma = \overline{y^* x^\top} = \sum_k s_k\, u_k v_k^\top$ only. Gradient descent with
# small steps is the flow
#
# $$ \dot W_1 = W_2^\top (\Sigma - W_2 W_1), \qquad \dot W_2 = (\Sigma - W_2 W_1)\, W_1^\top . $$
#
# For each singular direction look at two vectors of the hidden layer: $a_k = W_1 v_k$, what input direction $v_k$
# causes there, and $b_k = W_2^\top u_k$, what the output direction $u_k$ listens to. The strength with which the network
# maps $v_k$ to $u_k$ is $u = a_k \cdot b_k$. As long as vectors of different $k$ are at right angles,
#
# $$ \dot a_k = (s_k - a_k \cdot b_k)\, b_k, \qquad \dot b_k = (s_k - a_k \cdot b_k)\, a_k . $$
#
# **Balanced.** If $a_k = b_k$, they stay equal, and $u = \lVert a_k \rVert^2$ obeys the logistic equation
# $\dot u = 2u\,(s - u)$, whose solution is the sigmoid above. Half of $s$ is reached at
#
# $$ t_{1/2} = \frac{1}{2s} \ln\Big(\frac s{u_0} - 1\Big), $$
#
# and if each direction starts at the same share $u_0/s$, this is proportional to $1/s$.
#
# **From random weights.** At first $a_k \cdot b_k$ is negligible: $a + b$ grows as $e^{st}$, $a - b$ *decays* as
# $e^{-st}$. So the two vectors align by themselves, long before anything is learned, and what remains is as if the
# network had begun with $a = b = (a_0 + b_0)/2$:
#
# $$ u_0 = \tfrac14 \lVert W_1 v_k + W_2^\top u_k \rVert^2 . $$
#
# There is no constant to fit. Entries of variance $\sigma^2$ give $u_0 \approx H\sigma^2/2$ with $H$ hidden units, and in a
# wide layer random vectors are nearly at right angles, which is all that was assumed.
#
# **One layer.** $\dot w = s - w$: exponentials, $w = s\,(1 - e^{-t}) + w_0 e^{-t}$. All directions take the same time,
# whatever $s$ is.
#
# **Three layers**, balanced: $u = a^3$ with $\dot a = a^2 (s - a^3)$, so $\dot u = 3\, u^{4/3} (s - u)$. With
# $u = s z$ this becomes $\dot z = 3 s^{4/3} z^{4/3} (1 - z)$: from the same share, the half-time is proportional to
# $s^{-4/3}$. In general, with $N \ge 2$ layers it is $s^{-(2 - 2/N)}$. Depth makes small directions wait longer.

# %% [markdown]
# ## Implement
#
# The network is `nn.Linear` without biases; here is the loop that defines it.

# %%
if __name__ == "__main__":
    from kernels import affine

    lab.show(lab.source(affine.linear_naive))


# %%
def task(config, generator):
    """(U, s, V, x, y): singular directions as columns, whitened inputs as rows, and their targets."""
    n, s = config["size"], np.array(config["strengths"])
    U, V, x = (np.linalg.qr(generator.standard_normal((n, n)))[0] for _ in range(3))
    U, V, x = U[:, : len(s)], V[:, : len(s)], x * math.sqrt(n)
    return U, s, V, x, x @ (V * s) @ U.T


def build(library, sizes, activation=None):
    """Linear layers without biases, with an activation between them if one is named."""
    layers = []
    for columns, rows in zip(sizes, sizes[1:], strict=False):
        layers += [library.Linear(columns, rows, bias=False)]
        layers += [getattr(library, activation)()] if activation else []
    return library.Sequential(*(layers[:-1] if activation else layers))


def half_squared_error(functional, output, target):
    """Half the squared error, summed over the outputs, averaged over the examples."""
    return functional.mse_loss(output, target) * (output.shape[1] / 2)


def aligned(config, depth, U, s, V, generator):
    """Weights that start every direction at the same share of its end, all layers alike and decoupled."""
    n, h, k = config["size"], config["hidden"], len(s)
    strength = (config["share"] * s) ** (1 / depth)
    sides = [V, *(np.linalg.qr(generator.standard_normal((h, k)))[0] for _ in range(depth - 1)), U]
    weights = [(left * strength) @ right.T for right, left in zip(sides, sides[1:], strict=False)]
    return [n] + [h] * (depth - 1) + [n], weights


def small(config, share, generator):
    """Two layers of random weights, of a size that makes u₀ equal to `share` on average."""
    n, h = config["size"], config["hidden"]
    sigma = math.sqrt(2 * share / h)
    return [n, h, n], [sigma * generator.standard_normal(shape) for shape in ((h, n), (n, h))]


def train(config, sizes, weights, problem, time, activation=None):
    """Full-batch gradient descent: the strength of every direction and the loss, (readings, k) and (readings,)."""
    U, _, V, x, y = problem
    network = build(nn, sizes, activation).double()
    for parameter, weight in zip(network.parameters(), weights, strict=True):
        parameter.array[:] = weight
    inputs, targets = nn.Tensor(x), nn.Tensor(y)
    optimizer = nn.optim.SGD(network.parameters(), lr=config["rate"])
    strengths, losses = [], []
    for step in range(round(time / config["rate"])):
        optimizer.zero_grad()
        output = network(inputs)
        loss = half_squared_error(F, output, targets)
        if step % config["every"] == 0:
            covariance = output.array.T @ x / len(x)
            strengths.append(np.einsum("ik,ij,jk->k", U, covariance, V))
            losses.append(loss.item())
        loss.backward()
        optimizer.step()
    return np.array(strengths), np.array(losses)


def theory(depth, s, start, times):
    """The strength at each time, (times, k), of balanced linear networks of one, two or three layers."""
    if depth == 1:
        return s + (start - s) * np.exp(-times[:, None])
    if depth == 2:
        return s / (1 + (s / start - 1) * np.exp(-2 * s * times[:, None]))
    logit = np.linspace(np.log(start / (s - start)), 14, 20_000)  # (points, k): time as an integral over ln u/(s - u)
    share = 1 / (1 + np.exp(-logit))
    power = 2 - 2 / depth
    time = share ** (1 - power) / (depth * s**power)  # a unit of the logit takes
    steps = np.diff(logit, axis=0) * (time[1:] + time[:-1]) / 2
    reached = np.vstack([np.zeros(len(s)), np.cumsum(steps, axis=0)])
    return np.stack([s[k] * np.interp(times, reached[:, k], share[:, k]) for k in range(len(s))], axis=1)


def half_times(strengths, s, times):
    """When each direction first has half its strength; None where it never has."""
    result = []
    for curve, end in zip(np.transpose(strengths), s, strict=True):
        i = int(np.argmax(curve >= end / 2))
        found = curve[i] >= end / 2 and i > 0
        result.append(float(np.interp(end / 2, curve[i - 1 : i + 1], times[i - 1 : i + 1])) if found else None)
    return result


ACTIVATIONS = {"linear": None, "tanh": "Tanh", "ReLU": "ReLU"}


def run(config, seed):
    """Random weights, aligned weights at three depths, and the grid activation × size of the initial weights."""
    data, start, order = lab.streams(seed)
    problem = task(config, data)
    U, s, V, _, _ = problem
    result = {"s": s, "arms": {}, "grid": {}}

    def record(name, depth, sizes, weights, begin):
        strengths, losses = train(config, sizes, weights, problem, config["time"][depth])
        times = np.arange(len(losses)) * config["rate"] * config["every"]
        predicted = theory(depth, s, begin, times)
        half = half_times(strengths, s, times)
        result["arms"][name] = {
            "half": half,
            "early": [np.interp(half[k] / 2, times, strengths[:, k]) / s[k] for k in range(len(s))],
            "half_theory": half_times(predicted, s, times),
            "deviation": np.abs(strengths - predicted).max(axis=0) / s,
        }
        if seed == 0:  # the curves are drawn for one seed
            result["arms"][name] |= {"times": times, "strengths": strengths, "theory": predicted, "loss": losses}

    sizes, weights = small(config, config["share"], start)
    record("random", 2, sizes, weights, np.square(weights[0] @ V + (U.T @ weights[1]).T).sum(axis=0) / 4)
    for depth in (1, 2, 3):
        record(f"depth {depth}", depth, *aligned(config, depth, U, s, V, start), config["share"] * s)
    for name, activation in ACTIVATIONS.items():
        for share in config["grid_shares"]:
            sizes, weights = small(config, share, order)
            strengths, _ = train(config, sizes, weights, problem, config["grid_time"], activation)
            times = np.arange(len(strengths)) * config["rate"] * config["every"]
            result["grid"][f"{name}, {share:g}"] = half_times(strengths, s, times)
    return result


def compare(config, seed):
    """Two layers from small random weights, in float64, in PyTorch beside us; larger steps, so that more happens."""
    data, start, _ = lab.streams(seed)
    *_, x, y = task(config, data)
    sizes, weights = small(config, config["share"], start)

    def network(library):
        made = build(library, sizes)
        if library is nn:
            for parameter, weight in zip(made.parameters(), weights, strict=True):
                parameter.array[:] = weight
        return made

    batch = nn.Tensor(x.astype(np.float32)), nn.Tensor(y.astype(np.float32))
    optimizer = ("SGD", {"lr": 50 * config["rate"]})
    return side_by_side.compare(
        network, optimizer, [batch], loss=half_squared_error, double=True, rounds=config["timed"]
    )


# %% [markdown]
# ## The claims, as inequalities
#
# Registered before the full run, after pilots of the seeds 1000 and 1001 (largest deviation from random weights 0.9 %,
# half-times within 0.5 %); the full run takes the seeds 0 to 9. A deviation
# is the largest over the whole training, all directions and seeds, divided by $s$. The control needs a number that tells
# a sigmoid from an exponential: how much of a direction is learned at *half* its half-time. An exponential has
# $1 - 2^{-1/2} = 29$ % by then, the sigmoid from $u_0 = s/1000$ has $\sqrt{u_0/s} \approx 3$ %.


# %%
def slope(times, s):
    """The slope of ln(time) on ln(s)."""
    return float(np.polyfit(np.log(s), np.log(np.asarray(times, float)), 1)[0])


def check(results, mode):
    """What must hold."""
    s = np.array(results[0]["s"])

    def deviation(name):
        return max(max(result["arms"][name]["deviation"]) for result in results)

    def furthest_slope(name, expected):
        return max((slope(r["arms"][name]["half"], s) for r in results), key=lambda found: abs(found - expected))

    random = [np.divide(r["arms"]["random"]["half"], r["arms"]["random"]["half_theory"]) for r in results]
    return [
        lab.check("random weights: furthest from the sigmoid, of s", deviation("random"), at_most=0.02),
        lab.check("aligned weights: furthest from the sigmoid, of s", deviation("depth 2"), at_most=0.02),
        lab.check(
            "aligned weights: slope of ln half-time on ln s, furthest from −1",
            furthest_slope("depth 2", -1),
            at_least=-1.02,
            at_most=-0.98,
            origin="pilot",
        ),
        lab.check("control, one layer: furthest from the exponential, of s", deviation("depth 1"), at_most=0.02),
        lab.check(
            "control, one layer: learned at half the half-time, least",
            min(min(result["arms"]["depth 1"]["early"]) for result in results),
            at_least=0.25,
            origin="pilot",
        ),
        lab.check(
            "two layers: learned at half the half-time, most",
            max(max(result["arms"]["depth 2"]["early"]) for result in results),
            at_most=0.05,
            origin="pilot",
        ),
        lab.check(
            "random weights: half-time over theory's, furthest from 1",
            max(np.ravel(random), key=lambda ratio: abs(ratio - 1)),
            at_least=0.98,
            at_most=1.02,
            extra=True,
            origin="pilot",
        ),
        lab.check("three layers: furthest from the solution, of s", deviation("depth 3"), at_most=0.02, extra=True),
        lab.check(
            "three layers: slope of ln half-time on ln s, furthest from −4/3",
            furthest_slope("depth 3", -4 / 3),
            at_least=-4 / 3 - 0.03,
            at_most=-4 / 3 + 0.03,
            extra=True,
            origin="pilot",
        ),
    ]


# %% [markdown]
# ## Visualise


# %%
def draw_modes(results):
    """The strengths of all directions over time: two layers from random weights, one layer; dashed: theory."""
    figure, panels = plot.figure(10, 3.8, columns=2, sharey=True)
    arms, s = results[0]["arms"], results[0]["s"]
    shades = [plot.SEQUENTIAL(share) for share in np.linspace(1, 0.4, len(s))]
    titles = {"random": "Two layers: one direction after another", "depth 1": "One layer: all at once"}
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        arm = arms[name]
        for k, colour in enumerate(shades):
            curve, line = np.array(arm["strengths"])[:, k], np.array(arm["theory"])[:, k]
            axes.plot(arm["times"], curve, color=colour, lw=3.5, alpha=0.55)
            axes.plot(arm["times"], line, color=plot.INK, lw=1, ls="--")
            axes.annotate(f"s = {s[k]:g}", (arm["times"][-1], s[k]), (-2, 4), textcoords="offset points", ha="right")
        axes.set(xlabel="time, rate × steps", title=title)
    panels[0].set_ylabel("strength of a direction")
    figure.suptitle("Colour: trained. Dashed: theory, nothing fitted")
    return figure


# %%
def draw_half_times(results):
    """Half-times against s at three depths, and how far the sigmoid is off at every seed."""
    figure, (left, right) = plot.figure(10, 3.8, columns=2)
    s = np.array(results[0]["s"])
    for depth, colour in zip((1, 2, 3), (plot.ORANGE, plot.BLUE, plot.GREEN), strict=True):
        name = f"depth {depth}"
        word = "layer" if depth == 1 else "layers"
        left.plot(s, results[0]["arms"][name]["half_theory"], color=colour, lw=1.2)
        for result in results:
            label = f"{depth} {word}" if result is results[0] else None
            left.plot(s, result["arms"][name]["half"], "o", color=colour, mfc="none", label=label)
    left.set(xscale="log", yscale="log", xlabel="s, strength in the task", ylabel="time until half of s is learned")
    left.set_title("The weaker, the later; lines: theory")
    left.legend()
    for place, name in enumerate(results[0]["arms"]):
        values = [100 * max(result["arms"][name]["deviation"]) for result in results]
        right.plot([place] * len(values), values, "o", color=plot.BLUE, alpha=0.5)
    labels = ["2 layers,\nrandom", *(f"{d} layer{'s' * (d > 1)},\naligned" for d in (1, 2, 3))]
    right.set_xticks(range(len(labels)), labels)
    right.axhline(2, color=plot.GREY, ls="--", lw=1)
    right.set(ylim=(0, None), ylabel="furthest from theory, % of s", title="Each dot: a seed; dashed: the claim's 2 %")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_half_times(study.results))

# %% [markdown]
# Left, on logarithmic axes: a level line for one layer, slope $-1$ for two, $-4/3$ for three. The order of learning is a
# property of the task as soon as there is a second layer, and the separation grows with depth. Right: what remains
# between theory and training. For aligned weights it is the size of the steps ($\eta s = 0.008$ for the strongest
# direction); random weights add what the derivation left out: vectors of a hidden layer of 256 units that are not
# exactly at right angles.
#
# ## The grid: activation × size of the initial weights


# %%
def draw_grid(results):
    """Half-time of the weakest direction over that of the strongest, median of the seeds."""
    figure, axes = plot.figure(6, 3)
    shares = [name.split(", ")[1] for name in results[0]["grid"] if name.startswith("linear")]

    def spread(name):
        pairs = [(r["grid"][name][-1], r["grid"][name][0]) for r in results]
        ratios = [weak / strong for weak, strong in pairs if weak and strong]
        return np.median(ratios) if ratios else np.nan

    cells = [[spread(f"{name}, {share}") for share in shares] for name in ACTIVATIONS]
    plot.grid(cells, list(ACTIVATIONS), shares, ax=axes, fmt="{:.1f}", label="ratio")
    axes.set(xlabel="u₀ on average, set by the size of the initial weights", ylabel="between the layers")
    axes.set_title("Half-time of the weakest over the strongest direction")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# From small weights the weakest direction takes 3.3 times as long as the strongest, as the formula has it ($4$ for equal
# shares, less here, as a weak direction starts at a larger share of its end). The larger the initial weights, the smaller
# the difference; from $u_0 = 2$, where the weakest direction begins beyond its end, the order is gone. A tanh
# between the layers changes nothing while the weights are small, since it is linear there. A ReLU halves
# every signal, but keeps the order.
#
# ## Compare, interpret
#
# The same network from the same small weights in PyTorch, in float64, with a rate fifty times larger so that twenty steps
# leave the plateau: the losses agree as the last line under the table says.
#
# What the verdict means: the plateaus and sudden falls of a loss curve need no noise, no bad minima and no
# nonlinearity. Two layers suffice, because each scales the other's gradient: what is small learns slowly,
# which keeps it small. What it does not mean: the derivation needs inputs with identity covariance, small weights and a
# linear network; with other inputs the directions couple, and nothing here says how far a trained nonlinear network
# follows them. (The first two rows of the grid are a hint, not a claim.)

# %% [markdown]
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("deep_linear"))


# %%
def answer_three_layers(results):
    """Half-time of s = 1 over that of s = 4 from the same share, three balanced layers: from the solution."""
    s, times = np.array([4.0, 1.0]), np.arange(0, 40, 1e-3)
    strong, weak = half_times(theory(3, s, 1e-3 * s, times), s, times)
    return weak / strong


def answer_tanh(results):
    """Half-time of the weakest direction with tanh over that without, small weights, median of the seeds."""
    share = FULL["grid_shares"][0]
    times = [[result["grid"][f"{name}, {share:g}"][-1] for name in ("tanh", "linear")] for result in results]
    return float(np.median(np.divide(*np.transpose(np.array(times, float)))))


def answer_unwhitened(results):
    """Whether the control falls when one input direction is stretched: the covariance is no longer the identity."""
    data, start, _ = lab.streams(0)
    U, s, V, x, _ = task(FAST, data)
    x = x + np.outer(x @ V[:, 0], V[:, 0])
    sizes, weights = aligned(FAST, 1, U, s, V, start)
    strengths, _ = train(FAST, sizes, weights, (U, s, V, x, x @ (V * s) @ U.T), 1.0)
    w = strengths @ np.diag([0.25] + [1.0] * (len(s) - 1))  # its reading contains the covariance, 4 along V[:, 0]
    times = np.arange(len(w)) * FAST["rate"] * FAST["every"]
    return "yes" if np.abs((w - theory(1, s, FAST["share"] * s, times)) / s).max() > 0.02 else "no"


EXERCISES = [
    lab.Exercise(
        "Three balanced layers learn two directions of strengths 4 and 1, both from a thousandth of their end. How many times "
        "as long does the weaker take to be half learned?",
        answer_three_layers,
        "From the same share the half-time goes as $s^{-(2 - 2/N)}$, here $4^{4/3}$.",
        within=0.03,
    ),
    lab.Exercise(
        "A tanh between the layers, small random weights: how many times as long does the weakest direction take to be half "
        "learned as without it?",
        answer_tanh,
        "Nearly as long: 256 hidden units share the work, so each stays where tanh is almost linear.",
        within=0.1,
    ),
    lab.Exercise(
        "Stretch one input direction by two, so that the inputs' covariance is no longer the identity. Does the control, one "
        "layer, still follow $s\\,(1 - e^{-t})$ within 2 %: does it fall?",
        answer_unwhitened,
        "Its rate along a direction is the variance of the inputs there: four times as fast where they were stretched. The "
        'statement "all directions take the same time" is about whitened inputs.',
        ("yes", "no"),
    ),
]

# %% [markdown]
# # Five features in two dimensions: superposition
#
# **Claim.** A model that must squeeze five features through two dimensions and rebuild them,
# $x' = \mathrm{ReLU}(W^\top W x + b)$, keeps the two most important ones at a right angle and drops the other three if
# all are active at once; but
# if each is active in one example of ten, it keeps all five, as a regular pentagon: neighbours $72° \pm 5°$ apart.
#
# **Paper.** N. Elhage et al. (2022), *Toy models of superposition*.
#
# | | the paper (as we remember its notebook) | here |
# | :--- | :--- | :--- |
# | data | features uniform in $[0, 1]$, zero with probability $S$, independent; importances $0.9^i$ | these features |
# | model | $\mathrm{ReLU}(W^\top W x + b)$, 5 → 2 | this model |
# | optimiser | Adam at a constant rate, 10,000 steps of 1,024 examples | Adam, rate from 0.01 to 0 along a cosine, 3,000 steps of 256 |
# | initialisations | one a sparsity | 20 a sparsity, all in one batched computation, the one with the lowest held-out loss is looked at |
# | phase diagram | 2 → 1, theory and training, sparsity × relative importance | both, with a sufficient condition in closed form |
#
# **Predict first.**
# 1. Five features, two dimensions, all features always active. Does the ReLU make the result differ from PCA's?
# 2. With few active at once, is it better to store four features without any interference, or five with some?
# 3. Two features, one dimension: how rare must a feature be before both are stored?

# %%
import numpy as np

import nn
from experiments import lab, side_by_side
from nn import plot
from nn.optim.lr_scheduler import CosineAnnealingLR

CARD = lab.Card(
    title="Five features in two dimensions",
    claim="sparsity 0.9: five features 72° ± 5° apart; dense: two at a right angle, three not represented",
    paper="Elhage et al. 2022, Toy models of superposition",
    grade="B",
    seconds=35,
)
FULL = {
    "seeds": 5,
    "inits": 20,
    "sparsities": [0.0, 0.3, 0.6, 0.8, 0.9, 0.95],
    "batch": 256,
    "steps": 3000,
    "lr": 1e-2,
    "held_out": 10_000,
    "densities": np.geomspace(0.02, 1, 9).tolist(),
    "importances": np.geomspace(0.1, 10, 9).tolist(),
    "phase_inits": 4,
    "short_steps": 1000,
    "grid_seeds": 2,
    "grid_inits": 5,
    "decays": [1.0, 0.9, 0.7],
}
FAST = FULL | {
    "seeds": 1,
    "inits": 8,
    "sparsities": [0.0, 0.9],
    "steps": 2000,
    "densities": [0.05, 1.0],
    "importances": [0.5, 2.0],
    "short_steps": 500,
    "grid_inits": 2,
    "decays": [0.9],
}

# %%
if __name__ == "__main__":
    study = lab.study("superposition")
    lab.show(study)
    lab.show(lab.load("superposition").draw_polygons(study.results))

# %% [markdown]
# Two at a right angle, as PCA has it, then, the rarer the features become, opposite pairs: two features share a
# dimension without disturbing each other as long as they are not active together. At 0.6 and 0.8 the least
# important feature is left out. At 0.9 it is taken in, and everything moves to make room: the pentagon. Its
# columns are longer than one: together with the negative biases this cuts small interference off. The cell below
# evaluates the derivation's limit of very rare features.

# %% [markdown]
# ## Derive
#
# Column $W_i$ is where feature $i$ lies in the plane, and $P = W^\top W$ holds all their inner products. The loss is
# $\sum_i I_i\, E\,(x_i - x_i')^2$ with the importances $I_1 \ge I_2 \ge \dots$, here $I_i = 0.9^{i-1}$. A feature is
# zero with probability $S$ (the *sparsity*) and otherwise uniform in $[0, 1]$; with $p = 1 - S$, $E[x_i] = p/2$,
# $E[x_i^2] = p/3$ and $\mathrm{Var}[x_i] = p/3 - p^2/4$.
#
# **Dense features: PCA.** Leave the ReLU out for a moment. The best bias makes the mean right, $b = (1 - P)\,E[x]$, and
# what remains is a matter of the variances, which are all the same, $v$; with $D = \mathrm{diag}(I)$
#
# $$ L = \sum_i I_i\, E\big[((1 - P)(x - E x))_i^2\big] = v\, \lVert D^{1/2} (1 - P) \rVert_F^2
#     = v\, \lVert D^{1/2} - D^{1/2} P \rVert_F^2. $$
#
# $D^{1/2} P$ has rank two at most. By Eckart and Young nothing of rank two is nearer to $D^{1/2}$ than its two largest
# singular values, so $L \ge v\,(I_3 + I_4 + I_5)$; and $P = \mathrm{diag}(1, 1, 0, 0, 0)$, two unit columns at a right
# angle and three zeros, attains it. That is PCA of the weighted features. (For equal importances *any* two-dimensional
# projection is as good: it is the importances that select features.) With the ReLU, $P$ being as above, all outputs are
# $x_i \ge 0$ or $E[x_i] > 0$, so that it changes nothing there; whether it allows something better elsewhere is what is
# measured. For dense features $v = 1/12$.
#
# **When interference pays: two features, one dimension.** Let $I_1 = 1$ and $I_2 = I$. If one feature only is stored,
# the other is predicted by its mean, and the loss is
#
# $$ L_\text{one} = \min(1, I) \cdot \left(\frac p3 - \frac{p^2}4\right). $$
#
# Now store both, at opposite ends: $W = (1, -1)$, $b = 0$, so $x_1' = \mathrm{ReLU}(x_1 - x_2)$,
# $x_2' = \mathrm{ReLU}(x_2 - x_1)$. If one is active alone, it is rebuilt perfectly, and the ReLU removes the negative
# ghost of it at the other. Only if both are active (probability $p^2$) is there an error, and then both outputs are
# wrong by the smaller of the two values. For two uniform numbers
# $E[\min^2] = \int_0^1 m^2 \cdot 2 (1 - m)\, dm = \tfrac16$, so
#
# $$ L_\text{both} = p^2\, \frac{1 + I}{6}. $$
#
# The gain is of order $p$, the interference of order $p^2$. Superposition is cheaper where
# $L_\text{both} < L_\text{one}$, that is, for $I \le 1$ (the other case by exchanging the two)
#
# $$ p < p^*(I) = \frac{4 I}{2 + 5 I}, \qquad p^*(1) = \tfrac47. $$
#
# As $L_\text{one}$ is the *best* a model without superposition can do, and $L_\text{both}$ only *one* way to have it,
# this is a sufficient condition: below $p^*$ the optimum superposes; above, it still may, by a better $W$ and $b$.
#
# **Five in the plane.** As $p \to 0$, what counts is one active feature at a time. Two opposite pairs rebuild four
# features perfectly and miss the fifth: the loss per $p$ is $I_5/3$. A regular pentagon keeps all five, with two kinds
# of neighbours: those at $144°$ have $\cos < 0$ and vanish in the ReLU; those at $72°$ interfere with
# $c = \cos 72° \approx 0.309$. With squared length $a$ and a bias $-\beta$ that cuts small interference off, a feature
# $x$ costs
#
# $$ \ell(a, \beta) = \int_0^1 \big(x - (a x - \beta)_+\big)^2 dx + 2 \int_0^1 \big((c\,a\,x - \beta)_+\big)^2 dx, $$
#
# (the second term with the neighbours' importances, which sum to the same). With $a = 1$, $\beta = 0$ this is
# $\tfrac23 c^2 \approx 0.064$; the cell under the first picture finds the best $a$ and $\beta$, and compares
# $\ell \sum_i I_i$ with $I_5 / 3$. A hexagon would have neighbours at $60°$ with $c = \tfrac12$ and pay much more for
# each.

# %% [markdown]
# ## Implement
#
# A model has 15 numbers. `train` holds all of them, settings × initialisations, in one array, and matrix products
# broadcast over both: $W$ is (settings, initialisations, width, features). The gradient of the sum of their losses is
# each one's own, and Adam treats each number by itself, so that training together changes nothing. One product of one
# model is this loop:

# %%
if __name__ == "__main__":
    from kernels.gemm import ladder

    lab.show(lab.source(ladder.matmul_naive))


# %%
def model(library, W, b, activation="ReLU"):
    """x' = ReLU(Wᵀ W x + b), one for each W (..., width, n) and b (..., 1, n); for `nn` or ``torch.nn``."""

    class Toy(library.Module):
        def __init__(self):
            super().__init__()
            self.W, self.b = library.Parameter(W), library.Parameter(b)
            self.activation = getattr(library, activation)()

        def forward(self, x):
            return self.activation((x @ self.W.mT) @ self.W + self.b)

    return Toy()


def start(generator, settings, inits, width, n):
    """W, small and random, and b, zero."""
    W = generator.normal(0, 1 / np.sqrt(n), (settings, inits, width, n)).astype(np.float32)
    return W, np.zeros((settings, inits, 1, n), np.float32)


def features(generator, sparsity, shape):
    """Uniform in [0, 1], or zero with the probability `sparsity`, which broadcasts to the shape."""
    x = generator.random(shape, dtype=np.float32)
    return x * (generator.random(shape, dtype=np.float32) >= sparsity)


def weighted_error(output, target, scale):
    """The sum over everything of the squared differences times `scale`."""
    difference = output - target
    return (difference * difference * scale).sum()


def held_out_losses(toy, x, importance):
    """Of every model (settings, inits): its loss on the new examples x (settings, examples, n)."""
    with nn.no_grad():
        squares = [
            np.square(model(nn, W, b, type(toy.activation).__name__)(nn.Tensor(inputs)).array - inputs).mean(axis=1)
            for W, b, inputs in zip(toy.W.array, toy.b.array, x, strict=True)
        ]
    return (np.array(squares, np.float64) * importance[:, None]).sum(axis=2)


def train(config, sparsity, importance, width, generators, inits, steps, activation="ReLU"):
    """Train models for each setting: the best W and b of every setting, and the losses of all its initialisations.

    `sparsity` is (settings,), `importance` (settings, n).
    """
    data, initialisation, order = generators
    settings, n = importance.shape
    toy = model(nn, *start(initialisation, settings, inits, width, n), activation)
    optimizer = nn.optim.Adam(toy.parameters(), lr=config["lr"])
    schedule = CosineAnnealingLR(optimizer, steps)
    scale = (importance.reshape(settings, 1, 1, n) / config["batch"]).astype(np.float32)
    for _ in range(steps):
        x = nn.Tensor(features(order, sparsity.reshape(-1, 1, 1, 1), (settings, 1, config["batch"], n)))
        optimizer.zero_grad()
        weighted_error(toy(x), x, scale).backward()
        optimizer.step()
        schedule.step()
    x = features(data, sparsity.reshape(-1, 1, 1), (settings, config["held_out"], n))
    losses = held_out_losses(toy, x, importance)
    best = np.arange(settings), losses.argmin(axis=1)
    return {"W": toy.W.array[best], "b": toy.b.array[best][:, 0], "losses": losses}


def run(config, seed):
    """Five features in the plane at every sparsity; two features on a line; for the first seeds the grid, too."""
    generators = lab.streams(seed)
    sparsities = np.array(config["sparsities"])
    importance = np.tile(IMPORTANCE, (len(sparsities), 1))
    plane = train(config, sparsities, importance, 2, generators, config["inits"], config["steps"])
    density, second = (grid.ravel() for grid in np.meshgrid(config["densities"], config["importances"]))
    pair = np.stack([np.ones_like(second), second], axis=1)
    line = train(config, 1 - density, pair, 1, generators, config["phase_inits"], config["short_steps"])
    axes = {key: config[key] for key in ("sparsities", "densities", "importances", "decays")}
    result = axes | {"plane": plane, "line": {"W": line["W"][:, 0], "loss": line["losses"].min(axis=1)}}
    if seed < config["grid_seeds"]:
        result["grid"] = {name: grid(config, name, generators) for name in ACTIVATIONS}
    return result


def grid(config, activation, generators):
    """How many features are represented: (decays of the importance, sparsities)."""
    sparsity, decay = (grid.ravel() for grid in np.meshgrid(config["sparsities"], config["decays"]))
    importance = decay[:, None] ** np.arange(5)
    options = config["grid_inits"], config["short_steps"], activation
    W = train(config, sparsity, importance, 2, generators, *options)["W"]
    return (np.linalg.norm(W, axis=1) > 0.5).sum(axis=1).reshape(len(config["decays"]), -1)


IMPORTANCE = 0.9 ** np.arange(5)
ACTIVATIONS = ["ReLU", "GELU", "Identity"]


def compare(config, seed):
    """The same models, dense and sparse, all at once, in PyTorch."""
    import torch

    _, initialisation, order = lab.streams(seed)
    arrays = start(initialisation, 2, config["inits"], 2, 5)
    sparsity = np.array([0.0, 0.9]).reshape(2, 1, 1, 1)
    inputs = [nn.Tensor(features(order, sparsity, (2, 1, config["batch"], 5))) for _ in range(side_by_side.STEPS)]

    def build(library):
        return model(library, *(arrays if library is nn else map(torch.tensor, arrays)))

    def loss(functional, output, target):
        return functional.mse_loss(output, target.expand(output.shape))

    return side_by_side.compare(build, ("Adam", {"lr": config["lr"]}), [(x, x) for x in inputs], loss=loss)


# %% [markdown]
# ## The claims, as inequalities
#
# Looked at is the best of the initialisations by its loss on new examples. A feature counts as represented if its
# column is longer than a half; in the dense case the bounds are tighter, 0.9 for the two and 0.1 for the three. In the
# phase diagram a model superposes if both columns are longer than a tenth; the condition in closed form demands it
# below $p^*$.


# %%
def threshold(importance):
    """The density below which two features on a line are stored together: p*(I)."""
    least = np.minimum(importance, 1 / np.asarray(importance))
    return 4 * least / (2 + 5 * least)


def columns(result, sparsity):
    """The best W at a sparsity, (2, 5)."""
    return np.array(result["plane"]["W"][result["sparsities"].index(sparsity)])


def gaps(W):
    """The angles between neighbouring columns, in degrees, of a (2, n) matrix."""
    angles = np.sort(np.degrees(np.arctan2(W[1], W[0])))
    return np.diff(angles, append=angles[0] + 360)


def superposes(result):
    """(importances, densities): whether both features are stored on the line."""
    W = np.array(result["line"]["W"])
    return (np.abs(W) > 0.1).all(axis=1).reshape(len(result["importances"]), len(result["densities"]))


def demanded(result):
    """(importances, densities): whether the closed form demands that both are stored."""
    return np.array(result["densities"]) < threshold(np.array(result["importances"]))[:, None]


def check(results, mode):
    """What must hold."""
    sparse = [columns(result, 0.9) for result in results]
    dense = [columns(result, 0.0) for result in results]
    lengths = np.array([np.linalg.norm(W, axis=0) for W in dense])
    cosines = [abs(W[:, 0] @ W[:, 1]) / (length[0] * length[1]) for W, length in zip(dense, lengths, strict=True)]
    losses = [min(result["plane"]["losses"][result["sparsities"].index(0.0)]) for result in results]
    found = [superposes(result)[demanded(result)].mean() for result in results]
    return [
        lab.check(
            "sparsity 0.9: farthest from 72° between neighbours",
            max(np.abs(gaps(W) - 72).max() for W in sparse),
            at_most=5,
        ),
        lab.check(
            "sparsity 0.9: shortest of the five columns",
            min(np.linalg.norm(W, axis=0).min() for W in sparse),
            at_least=0.9,
            origin="pilot",
        ),
        lab.check("dense: shorter of the two columns", lengths[:, :2].min(), at_least=0.9, origin="pilot"),
        lab.check("dense: longest of the other three", lengths[:, 2:].max(), at_most=0.1, origin="pilot"),
        lab.check("dense: cosine between the two", max(cosines), at_most=0.1, origin="pilot"),
        lab.check(
            "dense: loss over PCA's",
            np.array(losses) / (IMPORTANCE[2:].sum() / 12),
            at_least=0.98,
            at_most=1.02,
            extra=True,
            origin="pilot",
        ),
        lab.check("2 → 1: share of settings below p* that superpose", found, at_least=0.95, extra=True, origin="pilot"),
    ]


# %% [markdown]
# ## Visualise


# %%
def draw_polygons(results):
    """The best W of the first seed at every sparsity: where each feature lies in the plane."""
    sparsities = results[0]["sparsities"]
    figure, panels = plot.figure(2.1 * len(sparsities), 2.5, columns=len(sparsities), sharex=True, sharey=True)
    shades = [plot.SEQUENTIAL(share) for share in np.linspace(1, 0.35, 5)]
    for axes, sparsity in zip(panels, sparsities, strict=True):
        W = columns(results[0], sparsity)
        for i, (x, y) in enumerate(W.T):
            axes.plot([0, x], [0, y], color=shades[i], lw=2, marker="o", markevery=[1], ms=7)
        axes.set(
            title=f"sparsity {sparsity:g}", aspect="equal", xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), xticks=[], yticks=[]
        )
    figure.suptitle("Five features in two dimensions (the darker, the more important)")
    return figure


# %%
def lone_feature_cost(length, bias, points=400):
    """ℓ(a, β): what one active feature costs in a pentagon with squared lengths a and biases -β."""
    x = (np.arange(points) + 0.5) / points
    itself = x - np.maximum(length * x - bias, 0)
    neighbour = np.maximum(np.cos(2 * np.pi / 5) * length * x - bias, 0)
    return np.mean(itself**2 + 2 * neighbour**2)


if __name__ == "__main__":
    lengths, biases = np.linspace(0.8, 1.8, 101), np.linspace(0, 0.6, 61)
    costs = np.array([[lone_feature_cost(a, b) for b in biases] for a in lengths])
    i, j = np.unravel_index(costs.argmin(), costs.shape)
    print(f"pentagon, a = 1, β = 0: {lone_feature_cost(1, 0) * IMPORTANCE.sum():.3f} p")
    print(f"pentagon, best: a = {lengths[i]:.2f}, β = {biases[j]:.2f}: {costs[i, j] * IMPORTANCE.sum():.3f} p")
    print(f"two pairs, the least important feature missing: {IMPORTANCE[-1] / 3:.3f} p")

# %% [markdown]
# With unit columns and no bias the pentagon would lose to the two pairs: it is the threshold, which only a nonlinear
# model has, that makes storing the fifth feature worth its interference. The order $p^2$ (two features
# active at once) decides at which density the change comes; that is left to training.


# %%
def draw_initialisations(results):
    """The held-out loss of every initialisation over the best one's, at every sparsity."""
    figure, axes = plot.figure(7, 3.4)
    sparsities = results[0]["sparsities"]
    for place in range(len(sparsities)):
        losses = np.array([result["plane"]["losses"][place] for result in results])
        ratio = losses / losses.min(axis=1, keepdims=True)
        spread = np.linspace(-0.3, 0.3, ratio.shape[1])
        for row in np.sort(ratio, axis=1):
            axes.plot(place + spread, row, color=plot.BLUE, lw=0, marker=".", ms=4, alpha=0.5)
    axes.set_xticks(range(len(sparsities)), [f"{sparsity:g}" for sparsity in sparsities])
    axes.set(xlabel="sparsity", ylabel="loss over the best", title="All initialisations, sorted, every seed a line")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_initialisations(study.results))

# %% [markdown]
# With dense features nearly every initialisation finds the same loss: a linear problem has no bad minima. With rarer
# ones there are plateaus: other ways to place the features in the plane, each a local minimum. Hence "the best of 20";
# a single run is likely to end in a worse arrangement.


# %%
def draw_phase_diagram(results):
    """Two features on a line: the share of seeds that store both, and the loss at one importance beside theory."""
    figure, (left, right) = plot.figure(10, 3.8, columns=2)
    densities, importances = (np.array(results[0][key]) for key in ("densities", "importances"))
    share = np.mean([superposes(result) for result in results], axis=0)
    labels = [f"{i:.2g}" for i in importances], [f"{p:.2g}" for p in densities]
    words = {"xlabel": "density p", "ylabel": "importance I of the second", "title": "Both are stored (line: p*)"}
    plot.grid(share, *labels, ax=left, fmt="{:.1f}", label="share of seeds", **words)
    places = np.interp(np.log(threshold(importances)), np.log(densities), np.arange(len(densities)))
    left.plot(places, np.arange(len(importances)), color=plot.ORANGE, lw=2.5)

    row, p = len(importances) // 4, np.geomspace(densities[0], 1, 100)
    second = importances[row]
    trained = [np.reshape(result["line"]["loss"], share.shape)[row] for result in results]
    right.plot(p, min(1, second) * (p / 3 - p**2 / 4), color=plot.ORANGE, label="one is stored: closed form")
    right.plot(p, p**2 * (1 + second) / 6, color=plot.GREEN, label="both, W = (1, -1), b = 0: closed form")
    right.plot(densities, np.transpose(trained), color=plot.BLUE, lw=0, marker="o", ms=4, alpha=0.6)
    right.set(xscale="log", yscale="log", xlabel="density p", ylabel="loss")
    right.set_title(f"I = {second:.2g}; dots: trained, every seed")
    right.legend(frameon=False)
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_phase_diagram(study.results))

# %% [markdown]
# Left: the condition in closed form is nearly the whole story; it was derived as sufficient only, and the region to the
# right of the line where both are stored all the same is thin. (At equal importance and full density nothing
# distinguishes the features.) Right: one cut through the diagram. The trained loss follows the
# lower of the two closed forms, a little below it around their crossing, where a better $W$ and $b$ than $(1, -1)$ and
# zero exist; at the lowest densities the dots scatter, as only a few of the new examples have both features active. The
# two lines cross at an angle: the change is a phase transition, two different minima, of which now one, now the other
# is the lower.
#
# ## The grid: activation × decay of the importance × sparsity


# %%
def draw_grid(results):
    """How many of the five features are represented."""
    runs = [result for result in results if "grid" in result]
    figure, panels = plot.figure(11, 2.6, columns=len(ACTIVATIONS))
    labels = [f"{d:g}" for d in runs[0]["decays"]], [f"{s:g}" for s in runs[0]["sparsities"]]
    for axes, name in zip(panels, ACTIVATIONS, strict=True):
        mean = np.mean([run["grid"][name] for run in runs], axis=0)
        words = {"xlabel": "sparsity", "ylabel": "decay of importance", "title": name}
        plot.grid(mean, *labels, ax=axes, fmt="{:.1f}", limits=(2, 5), label="features", **words)
    figure.suptitle("Features represented by the best of a few initialisations")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# Without a nonlinearity (Identity) there are two features at every sparsity, or, where all are equally important, some
# plane that is no feature's own. With one, rarer features and more equal importances let more of them in. GELU, which
# lets small negative values through, filters less cleanly than ReLU.
#
# ## Compare, interpret
#
# The same models, dense and sparse, with all their initialisations, are trained in PyTorch on the same batches;
# the last line says how well the losses agree.
#
# What the verdict means: in a model of 15 numbers, the arrangement follows from a count of what interference costs
# (order $p^2$) and what it saves (order $p$). It does not say that large networks arrange their features so: their
# features are neither independent nor uniform, and the polygons are special to them. What carries over is the warning:
# a neuron, or a direction, may stand for several features at once, and a nonlinearity makes that profitable.

# %% [markdown]
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("superposition"))


# %%
def answer_dense_loss(results):
    """The loss of five dense features in two dimensions, PCA's: v (I₃ + I₄ + I₅)."""
    return float(IMPORTANCE[2:].sum() / 12)


def answer_threshold(results):
    """The density below which two equally important features share a line."""
    return float(threshold(1.0))


def answer_linear(results):
    """How many features the grid's linear model keeps at sparsity 0.9 with the usual importances, mean of the seeds."""
    runs = [result for result in results if "grid" in result]
    row, column = runs[0]["decays"].index(0.9), runs[0]["sparsities"].index(0.9)
    return int(round(np.mean([run["grid"]["Identity"][row][column] for run in runs])))


EXERCISES = [
    lab.Exercise(
        "All five features are always active, uniform in $[0, 1]$, with importances $0.9^{i-1}$. What is the smallest loss?",
        answer_dense_loss,
        "The three least important features are predicted by their mean: $\\tfrac1{12}(I_3 + I_4 + I_5)$.",
        within=0.02,
    ),
    lab.Exercise(
        "Two equally important features, one dimension. Below which density $p$ does storing both at opposite ends pay?",
        answer_threshold,
        "$p^*(1) = \\tfrac47$: the gain is of order $p$, the interference of order $p^2$.",
        within=0.02,
    ),
    lab.Exercise(
        "Replace the ReLU by the identity. How many of five features are represented at sparsity 0.9?",
        answer_linear,
        "Without the nonlinearity nothing removes the interference, whatever the sparsity: two dimensions, two features.",
    ),
]

# %% [markdown]
# # Five features in two dimensions: superposition
#
# **Claim.** A model that must squeeze five features through two dimensions and rebuild them, $x' = \mathrm{ReLU}(W^\top
# W x + b)$, keeps the two most important ones at a right angle and drops the other three if all are active at once; but
# if each is active in one example of ten, it keeps all five, as a regular pentagon: neighbours $72° \pm 5°$ apart.
#
# **Paper.** N. Elhage et al. (2022), *Toy models of superposition*.
#
# | | the paper (as we remember its notebook) | here |
# | :--- | :--- | :--- |
# | data | features uniform in $[0, 1]$, zero with probability $S$, independent; importances $0.9^i$ | the same |
# | model | $\mathrm{ReLU}(W^\top W x + b)$, 5 → 2 | the same |
# | optimiser | Adam at a constant rate, 10,000 steps of 1,024 examples | Adam, rate from 0.01 to 0 along a cosine, 3,000 steps of 256 |
# | initialisations | one a sparsity | 20 a sparsity, all in one batched computation, the one with the lowest held-out loss is looked at |
# | phase diagram | 2 → 1, theory and training, sparsity × relative importance | the same, with a sufficient condition in closed form |
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
from nn.lr_scheduler import CosineAnnealingLR

CARD = lab.Card(
    title="Five features in two dimensions",
    claim="sparsity 0.9: five features 72° ± 5° apart; dense: two at a right angle, three not represented",
    paper="Elhage et al. 2022, Toy models of superposition",
    grade="B",
    seconds=30,
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
    "short_steps": 1500,
    "grid_seeds": 2,
    "grid_inits": 5,
    "decays": [1.0, 0.9, 0.7],
}
FAST = FULL | {
    "seeds": 1,
    "inits": 8,
    "sparsities": [0.0, 0.9],
    "steps": 1200,
    "densities": [0.05, 1.0],
    "importances": [0.5, 2.0],
    "short_steps": 600,
    "grid_inits": 2,
    "decays": [0.9],
}

# %% [markdown]
# ## Derive
#
# Column $W_i$ is where feature $i$ lies in the plane, and $P = W^\top W$ holds all their inner products. The loss is
# $\sum_i I_i\, E\,(x_i - x_i')^2$ with the importances $I_1 \ge I_2 \ge \dots$, here $I_i = 0.9^{i-1}$. A feature is zero
# with probability $S$ (the *sparsity*) and otherwise uniform in $[0, 1]$; with $p = 1 - S$,
# $E[x_i] = p/2$, $E[x_i^2] = p/3$ and $\mathrm{Var}[x_i] = p/3 - p^2/4$.
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
# Now store both, at opposite ends: $W = (1, -1)$, $b = 0$, so $x_1' = \mathrm{ReLU}(x_1 - x_2)$, $x_2' =
# \mathrm{ReLU}(x_2 - x_1)$. If one is active alone, it is rebuilt perfectly, and the ReLU removes the negative ghost of
# it at the other. Only if both are active (probability $p^2$) is there an error, and then both outputs are wrong by the
# smaller of the two values. For two uniform numbers $E[\min^2] = \int_0^1 m^2 \cdot 2 (1 - m)\, dm = \tfrac16$, so
#
# $$ L_\text{both} = p^2\, \frac{1 + I}{6}. $$
#
# The gain is of order $p$, the interference of order $p^2$. Superposition is cheaper where $L_\text{both} <
# L_\text{one}$, that is, for $I \le 1$ (the other case by exchanging the two)
#
# $$ p < p^*(I) = \frac{4 I}{2 + 5 I}, \qquad p^*(1) = \tfrac47. $$
#
# As $L_\text{one}$ is the *best* a model without superposition can do, and $L_\text{both}$ only *one* way to have it,
# this is a sufficient condition: below $p^*$ the optimum superposes; above, it still may, by a better $W$ and $b$.
#
# **Five in the plane.** As $p \to 0$, what counts is one active feature at a time. Two opposite pairs rebuild four
# features perfectly and miss the fifth: the loss per $p$ is $I_5/3$. A regular pentagon keeps all five, with two
# kinds of neighbours: those at $144°$ have $\cos < 0$ and vanish in the ReLU; those at $72°$ interfere with
# $c = \cos 72° \approx 0.309$. With squared length $a$ and a bias $-\beta$ that cuts small interference off, a feature $x$ costs
#
# $$ \ell(a, \beta) = \int_0^1 \big(x - (a x - \beta)_+\big)^2 dx + 2 \int_0^1 \big((c\,a\,x - \beta)_+\big)^2 dx, $$
#
# (the second term with the neighbours' importances, which sum to the same). With $a = 1$, $\beta = 0$ this is $\tfrac23
# c^2 \approx 0.064$; the cell under the first picture finds the best $a$ and $\beta$, and compares
# $\ell \sum_i I_i$ with $I_5 / 3$. A hexagon would have neighbours at $60°$ with $c = \tfrac12$ and pay much more for each.

# %% [markdown]
# ## Implement
#
# A model has 15 numbers. `train` holds all of them, settings × initialisations, in one array, and matrix products
# broadcast over both: $W$ is (settings, initialisations, width, features). The gradient of the sum of their losses is
# each one's own, and Adam treats each number by itself, so that training together changes nothing.


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
            np.square(model(nn, W, b, type(toy.activation).__name__)(nn.Tensor(inputs)).data - inputs).mean(axis=1)
            for W, b, inputs in zip(toy.W.data, toy.b.data, x, strict=True)
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
    return {"W": toy.W.data[best], "b": toy.b.data[best][:, 0], "losses": losses}


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
# Looked at is the best of the initialisations by its loss on new examples. A feature counts as represented if its column
# is longer than a half; in the dense case the bounds are tighter, 0.9 for the two and 0.1 for the three. In the phase
# diagram a model superposes if both columns are longer than a tenth; the condition in closed form demands it below $p^*$.


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
        lab.check("sparsity 0.9: farthest from 72° between neighbours", max(np.abs(gaps(W) - 72).max() for W in sparse), at_most=5),
        lab.check("sparsity 0.9: shortest of the five columns", min(np.linalg.norm(W, axis=0).min() for W in sparse), at_least=0.9),
        lab.check("dense: shorter of the two columns", lengths[:, :2].min(), at_least=0.9),
        lab.check("dense: longest of the other three", lengths[:, 2:].max(), at_most=0.1),
        lab.check("dense: cosine between the two", max(cosines), at_most=0.1),
        lab.check("dense: mean loss over PCA's", np.mean(losses) / (IMPORTANCE[2:].sum() / 12), at_least=0.98, at_most=1.02),
        lab.check("2 → 1: share of settings below p* that superpose", np.mean(found), at_least=0.95),
    ]


# %%
if __name__ == "__main__":
    study = lab.study("superposition")

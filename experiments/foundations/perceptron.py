# %% [markdown]
# # The perceptron: how many mistakes can it make?
#
# **Claim.** On data that a plane through the origin separates with margin $\gamma$, all points within a ball of radius
# $R$, the perceptron makes at most $(R/\gamma)^2$ mistakes: in every order of the examples, for any number of passes,
# in any dimension. The bound is attained. On data that no plane separates it never stops making mistakes.
#
# **Papers.** F. Rosenblatt (1958), *The perceptron: a probabilistic model for information storage and organization in
# the brain*; A. Novikoff (1962), *On convergence proofs for perceptrons*; for the variants, S. Gallant (1990),
# *Perceptron-based learning algorithms* (pocket), and Y. Freund, R. Schapire (1999), *Large margin classification using
# the perceptron algorithm* (voting and averaging).
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | bound | proved (Novikoff) | proved below, and each of its two inequalities checked at every single mistake |
# | margin $\gamma$ | assumed | the largest there is: a hard-margin SVM, with a certificate of how close it comes |
# | data | Rosenblatt: a machine with photocells; Freund and Schapire: NIST digits | iris; synthetic sets of chosen margin; the worst case |
# | orders | any | 200 random ones a seed, the classes one after the other, the worst example first |
# | variants | pocket; averaged | both, and SGD on the hinge and the logistic loss, by four rates |
#
# **Predict first.**
#
# 1. Multiply the learning rate by 1000. Does the perceptron make more mistakes, fewer, or as many?
# 2. For setosa against versicolor, by length and width of the sepals alone, the bound is about 22,000. How many
#    mistakes will a run make?
# 3. Subtracting the mean from every feature does not change which sets are separable. Does it change the bound?

# %%
import numpy as np
from numba import njit

import nn
from experiments import lab, side_by_side
from kernels.update.loops import sgd_naive
from nn import functional as F
from nn import plot

CARD = lab.Card(
    title="The perceptron: how many mistakes can it make?",
    claim="mistakes of the perceptron / (R/γ)² ≤ 1 in every order of the examples",
    paper="Novikoff (1962), On convergence proofs for perceptrons",
    grade="A",
    seconds=65,
)

# %%
if __name__ == "__main__":
    study = lab.study("perceptron")
    lab.show(study)

# %%
if __name__ == "__main__":
    lab.show(lab.load("perceptron").draw_proof(study.results))

# %% [markdown]
# On the left, the proof. The length of the weights is squeezed between a line that rises like $k$ and one
# that rises like $\sqrt k$; they meet at $(R/\gamma)^2$, and there must have been an end before. The runs end a good
# factor earlier: progress along $u$ (light blue) is faster than the guaranteed $\gamma$ a mistake, as most examples lie
# further from the plane than the closest one.
#
# On the right: every set, every order. The orange diamonds are the unit vectors, for which the bound is not an estimate
# but the number. Iris and the spheres stay below by factors, larger ones where the margin is small: the bound knows
# only the closest example. Always showing the worst example is not much of an adversary: on the spheres it costs as
# many mistakes as an unlucky random order or somewhat more, on the sepals it *saves* most of them, because the most
# violated constraint teaches most there. For "setosa against both others" the bound is large for raw measurements and
# about four times smaller once the mean is subtracted: the 1 that was appended is then no longer dwarfed by the rest.
# Centring changes $R$ far more than $\gamma$, and that answers the third question.

# %% [markdown]
# ## Derive
#
# **The trick.** An example is a vector $x$ with a label $y = \pm 1$. A plane with normal $w$ and offset $b$ calls it
# $\mathrm{sign}(w\cdot x + b)$. Append a 1 to $x$ and $b$ to $w$: the plane goes through the origin of a space with one
# dimension more. Then multiply by the label, $z = y\,(x, 1)$: the example is right exactly if $w \cdot z > 0$. All that
# is left of a classification problem is a set of vectors $z_i$, and the question for a $w$ in front of all of them.
#
# The perceptron starts with $w = 0$, looks at one example after the other, and where $w \cdot z \le 0$, a *mistake*,
# adds it:
#
# $$ w \leftarrow w + z . $$
#
# This helps: $w\cdot z$ grows by $\lVert z\rVert^2$. (It is a step of gradient descent, with rate 1, on
# $\max(0, -w\cdot z)$.) It may spoil others. Why does it ever end?
#
# **Mistake bound (Novikoff).** Let $\lVert z_i \rVert \le R$ for all $i$, and let a unit vector $u$ have
# $u \cdot z_i \ge \gamma > 0$. Let $w_k$ be the weights after $k$ mistakes.
#
# 1. *Progress along $u$ is at least linear.* $w_k \cdot u = w_{k-1}\cdot u + z \cdot u \ge w_{k-1}\cdot u + \gamma$, so
#    $w_k \cdot u \ge k \gamma$.
# 2. *Length grows at most like a square root.*
#    $\lVert w_k\rVert^2 = \lVert w_{k-1}\rVert^2 + 2\, w_{k-1}\cdot z + \lVert z\rVert^2 \le \lVert w_{k-1}\rVert^2 + 0 + R^2$,
#    because a mistake *means* $w_{k-1}\cdot z \le 0$. So $\lVert w_k\rVert \le \sqrt k\, R$.
# 3. *No component is longer than the vector* (Cauchy–Schwarz):
#    $k\gamma \le w_k\cdot u \le \lVert w_k \rVert \le \sqrt k\,R$, and hence
#
# $$ k \le \left(\frac{R}{\gamma}\right)^2. $$
#
# Neither the order nor the number of examples nor the dimension has appeared.
#
# **It is tight.** Take $z_i = e_i$, the $n$ unit vectors. $R = 1$; the best direction is $u = (1, …, 1)/\sqrt n$ with
# $\gamma = 1/\sqrt n$, so the bound is $n$. And each $e_i$ is a mistake when it first comes, as $w\cdot e_i = 0$ until
# then: $n$ mistakes.
#
# **The rate does nothing.** With $w \leftarrow w + \eta z$ from $w = 0$ every $w_k$ is $\eta$ times what it was; no
# sign changes, so the same mistakes are made. (With powers of two as rates even every rounding is the same.)
#
# **The largest margin.** Any separating $u$ gives a valid bound; the best one maximises $\min_i u\cdot z_i$, which is
# the hard-margin support vector machine through the origin. For any weights $\alpha_i \ge 0$ with $\sum\alpha_i = 1$
# and any unit $u$,
#
# $$ \min_i u\cdot z_i \;\le\; u\cdot \sum_i \alpha_i z_i \;\le\; \Big\lVert \sum_i \alpha_i z_i \Big\rVert , $$
#
# so a point of the convex hull of the $z_i$ certifies that no margin is larger than its norm. scikit-learn's `SVC`
# gives both $u$ and $\alpha$; how far they are apart is the error of our $\gamma$. To keep its plane in the origin it
# is given every $z_i$ as class $+1$ and every $-z_i$ as class $-1$: by symmetry the offset vanishes.
#
# **Not separable.** If the convex hull contains the origin, $\sum \alpha_i z_i = 0$, then no $w$ has $w\cdot z_i > 0$
# for all $i$, as $\sum \alpha_i\, w \cdot z_i = 0$. (Gordan's theorem says the converse, too: one or the other.) So a
# non-negative combination with norm 0 proves that there is no separating plane; every pass then makes at least one
# mistake, for ever.

# %% [markdown]
# ## Implement
#
# The algorithm is one loop, and this is it: `learn` has the three lines of the derivation in its middle, and counts around
# them.


# %%
@njit
def learn(z, orders, rate, direction):
    """The perceptron: a row of `orders` is one pass, and a pass without a mistake ends it.

    Returns the mistakes of each pass; w·direction and ‖w‖² after each mistake; the last weights, their average over
    all examples seen, and the pocket: those with the fewest errors on all of z so far.
    """
    n, d = z.shape
    w, mean, pocket = np.zeros(d), np.zeros(d), np.zeros(d)
    counts = np.zeros(len(orders), np.int64)
    progress, squares = np.empty(orders.size), np.empty(orders.size)
    fewest, k, seen = n + 1, 0, 0
    for number, order in enumerate(orders):
        for i in order:
            if np.dot(w, z[i]) <= 0:
                w += rate * z[i]
                progress[k], squares[k] = np.dot(w, direction), np.dot(w, w)
                k += 1
                counts[number] += 1
                errors = 0
                for j in range(n):
                    errors += np.dot(w, z[j]) <= 0
                if errors < fewest:
                    fewest = errors
                    pocket[:] = w
            mean += w
            seen += 1
        if counts[number] == 0:
            counts = counts[: number + 1]
            break
    return counts, progress[:k], squares[:k], w, mean / seen, pocket


@njit
def learn_worst_first(z, most):
    """Mistakes of the perceptron that is always shown the example it is most wrong about, at most so many."""
    w = np.zeros(z.shape[1])
    for k in range(most):
        scores = z @ w
        worst = np.argmin(scores)
        if scores[worst] > 0:
            return k
        w += z[worst]
    return most


def signed(x, y):
    """The vectors z = y (x, 1) for labels y = ±1."""
    return y[:, None] * np.column_stack([x, np.ones(len(x))])


def largest_margin(z):
    """A unit vector that separates, its margin, and the certificate: no margin is larger than that."""
    from sklearn.svm import SVC

    machine = SVC(kernel="linear", C=1e10, tol=1e-9).fit(np.concatenate([z, -z]), np.repeat([1, -1], len(z)))
    u = machine.coef_[0] / np.linalg.norm(machine.coef_)
    alpha = np.abs(machine.dual_coef_[0])
    towards = machine.support_vectors_ * np.sign(machine.dual_coef_[0])[:, None]  # z again, for −z as well
    return u, (z @ u).min(), np.linalg.norm(alpha @ towards) / alpha.sum()


# %% [markdown]
# The data: iris, whose *setosa* is separable from the two others, while *versicolor* and *virginica* are not separable
# from each other; and points on the unit sphere that keep a chosen distance from a random plane.

# %%
SCALINGS = {
    "raw": lambda x: x,
    "centred": lambda x: x - x.mean(axis=0),
    "standardised": lambda x: (x - x.mean(axis=0)) / x.std(axis=0),
}


SEPALS = slice(0, 2)  # of the four features


def iris(positive, negative, features=slice(None)):
    """Measurements of some kinds of iris, and +1 or -1."""
    from sklearn.datasets import load_iris

    x, kind = load_iris(return_X_y=True)
    chosen = np.isin(kind, positive + negative)
    return x[chosen, features], np.where(np.isin(kind[chosen], positive), 1.0, -1.0)


def sphere(n, dimension, margin, rng):
    """Points on the unit sphere, no closer than `margin` to a random plane, times their labels."""
    normal = rng.standard_normal(dimension)
    normal /= np.linalg.norm(normal)
    z = np.empty((0, dimension))
    while len(z) < n:
        x = rng.standard_normal((n, dimension))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        distance = x @ normal
        z = np.concatenate([z, (np.sign(distance)[:, None] * x)[np.abs(distance) >= margin]])
    return z[:n]


def random_orders(n, passes, rng):
    """A new order for each pass."""
    return np.array([rng.permutation(n) for _ in range(passes)])


def trial(z, orders, rng, passes=2000):
    """The bound of a separable set, mistakes in many orders, and the tightest case of both lines of the proof."""
    u, margin, certificate = largest_margin(z)
    radius = np.linalg.norm(z, axis=1).max()
    mistakes, progress, length = [], np.inf, 0.0
    for number in range(orders):
        chunk = random_orders(len(z), min(passes, 50), rng)
        chunk = np.tile(chunk, (passes // len(chunk), 1))  # fifty orders, over and over
        if number == 0:
            chunk[:] = np.arange(len(z))  # as the data lie: class after class
        counts, along, squares, *_ = learn(z, chunk, 1.0, u)
        if counts[-1]:
            raise RuntimeError(f"trial: still {counts[-1]} mistakes in pass {len(counts)}")
        k = np.arange(1, len(along) + 1)
        mistakes.append(len(along))
        progress, length = min(progress, (along / (k * margin)).min()), max(length, (squares / (k * radius**2)).max())
    bound = (radius / margin) ** 2
    return {
        "R": radius,
        "margin": margin,
        "gap": certificate / margin - 1,
        "bound": bound,
        "mistakes": mistakes,
        "worst_first": int(learn_worst_first(z, int(2 * bound) + 2)),
        "least_progress": progress,
        "most_length": length,
    }


def sepals(rng):
    """One run on the sepals of setosa and versicolor for the pictures: the proof at each mistake, planes on the way."""
    z = signed(*iris([0], [1], SEPALS))
    u, margin, _ = largest_margin(z)
    orders = random_orders(len(z), 2000, rng)
    counts, along, squares, *_ = learn(z, orders, 1.0, u)
    kept = np.unique(np.geomspace(1, len(along), 120).astype(int))
    planes = {passes: learn(z, orders[:passes], 1.0, u)[3] for passes in (10, 100, len(counts))}
    if counts[-1]:
        raise RuntimeError(f"sepals: still {counts[-1]} mistakes in pass {len(counts)}")
    return {
        "margin": margin,
        "R": np.linalg.norm(z, axis=1).max(),
        "at": kept,
        "progress": along[kept - 1],
        "length": np.sqrt(squares[kept - 1]),
        "planes": planes,
        "largest_margin": u,
    }


def orthogonal(n):
    """The worst case: the unit vectors."""
    counts, *_ = learn(np.eye(n), np.tile(np.arange(n), (3, 1)), 1.0, np.full(n, n**-0.5))
    return int(counts.sum())


# %% [markdown]
# The same updates by two other ways: scikit-learn's `Perceptron`, and the tape of `nn` with `SGD` of rate 1 on
# $\max(0, -w\cdot z)$. One trap for the tape: at $w = 0$ the loss has a kink, ReLU's derivative there is taken as 0, and
# gradient descent never starts. (scikit-learn starts: its hinge loss has the slope $-z$ where $w\cdot z \le 0$, ties
# included, so that it is Rosenblatt's rule and no ReLU.) The tape is therefore given the first example as its weights, which is what the trick's first
# mistake makes of 0.


# %%
if __name__ == "__main__":
    lab.show(lab.source(sgd_naive))


# %%
def by_scikit_learn(x, y, orders):
    """Weights after each pass of scikit-learn's perceptron."""
    from sklearn.linear_model import Perceptron

    machine, weights = Perceptron(shuffle=False), []
    for order in orders:
        machine.partial_fit(x[order], y[order], classes=[-1.0, 1.0])
        weights.append(np.append(machine.coef_[0], machine.intercept_))
    return np.array(weights)


def by_tape(z, orders, start):
    """Weights after each pass of gradient descent on relu(-w·z), an example at a time."""
    w = nn.Parameter(start.copy())
    optimizer, weights = nn.optim.SGD([w], lr=1.0), []
    for order in orders:
        for i in order:
            optimizer.zero_grad()
            F.relu(-(w * z[i]).sum()).backward()
            optimizer.step()
        weights.append(w.array.copy())
    return np.array(weights)


def other_ways(rng):
    """The largest difference of weights after any of ten passes, on a separable and on the other pair."""
    differences = {"scikit": 0.0, "tape": 0.0}
    for x, y in (iris([0], [1]), iris([1], [2])):
        z = signed(x, y)
        orders = random_orders(len(z), 10, rng)
        ours = np.array([learn(z, orders[: p + 1], 1.0, z[0])[3] for p in range(len(orders))])
        first, rest = orders[0, 0], [orders[0, 1:], *orders[1:]]
        differences["scikit"] = max(differences["scikit"], np.abs(by_scikit_learn(x, y, orders) - ours).max())
        differences["tape"] = max(differences["tape"], np.abs(by_tape(z, rest, z[first]) - ours).max())
    stuck = by_tape(z, orders[:1], np.zeros(z.shape[1]))
    return differences | {"moved_from_zero": np.abs(stuck).max()}


# %% [markdown]
# The pair that no plane separates: the certificate, a long run, and the variants. *Pocket* keeps the weights with the
# fewest training errors so far; *averaged* takes the mean of the weights over all examples seen; hinge,
# $\max(0, 1 - w\cdot z)$, and logistic, $\ln(1 + e^{-w\cdot z})$, are trained by `nn` on the same orders, an example at
# a time.

# %%
LOSSES = {
    "hinge": lambda score: F.relu(1 - score),
    "logistic": lambda score: -F.logsigmoid(score),
}


def certificate(z):
    """The norm of the shortest vector that non-negative weights of sum 1 make of the examples: 0 if not separable."""
    from scipy.optimize import nnls

    weights, _ = nnls(np.vstack([z.T, np.ones(len(z))]), np.append(np.zeros(z.shape[1]), 1.0))
    return np.linalg.norm(weights @ z) / weights.sum()


def endless(passes, rng):
    """A long run on versicolor and virginica: mistakes a pass, length of the weights."""
    x, y = iris([1], [2])
    z = signed(SCALINGS["standardised"](x), y)
    counts, _, squares, *_ = learn(z, random_orders(len(z), passes, rng), 1.0, z[0])
    lengths, radius = np.sqrt(squares), np.linalg.norm(z, axis=1).max()
    kept = np.unique(np.geomspace(1, len(lengths), 150).astype(int))
    half = len(lengths) // 2
    return {
        "certificate": certificate(z),
        "mistakes": counts[:200],
        "fewest": counts.min(),
        "at": kept,
        "lengths": lengths[kept - 1],
        "R": radius,
        "growth": lengths[half:].max() / lengths[:half].max(),
    }


def gradient_descent(z, orders, rate, loss):
    """Weights after SGD of one example a step, by the tape."""
    w = nn.Parameter(np.zeros(z.shape[1]))
    optimizer = nn.optim.SGD([w], lr=rate)
    for i in orders.ravel():
        optimizer.zero_grad()
        LOSSES[loss]((w * z[i]).sum()).backward()
        optimizer.step()
    return w.array


def split(rng):
    """Versicolor and virginica: signed training and test vectors, standardised by the training set."""
    x, y = iris([1], [2])
    order = rng.permutation(len(x))
    train, test = order[:70], order[70:]
    x = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    return signed(x[train], y[train]), signed(x[test], y[test])


def variants(config, data, order):
    """Name -> test accuracy for each rate, averaged over random splits."""
    rates = config["rates"]
    accuracies = {name: [[] for _ in rates] for name in ("perceptron", "averaged", "pocket", *LOSSES)}
    for number in range(config["splits"]):
        z, test = split(data)
        orders = random_orders(len(z), config["split_passes"], order)
        for place, rate in enumerate(rates):
            found = dict(zip(("perceptron", "averaged", "pocket"), learn(z, orders, rate, z[0])[3:], strict=True))
            if number < config["tape_splits"]:
                found |= {loss: gradient_descent(z, orders, rate, loss) for loss in LOSSES}
            for name, w in found.items():
                accuracies[name][place].append(np.mean(test @ w > 0))
    return {name: [np.mean(values) for values in by_rate] for name, by_rate in accuracies.items()}


# %%
def run(config, seed):
    """All counts of one seed."""
    data, initialisation, order = lab.streams(seed)
    x, y = iris([0], [1, 2])
    sets = {f"setosa, {name}": signed(scale(x), y) for name, scale in SCALINGS.items()}
    sets["setosa, by its sepals"] = signed(*iris([0], [1], SEPALS))
    spheres = [sphere(config["examples"], config["dimension"], margin, data) for margin in config["margins"]]
    return {
        "iris": {name: trial(z, config["orders"], order) for name, z in sets.items()},
        "spheres": [trial(z, config["margin_orders"], order) for z in spheres],
        "orthogonal": {n: orthogonal(n) for n in config["orthogonal"]},
        "sepals": sepals(order),
        "other_ways": other_ways(initialisation),
        "endless": endless(config["passes"], order),
        "rates": config["rates"],
        "variants": variants(config, data, order),
    }


def compare(config, seed):
    """The perceptron's loss on all of versicolor and virginica, as a layer, in both libraries."""
    data, initialisation, _ = lab.streams(seed)
    x, y = iris([1], [2])
    nn.manual_seed(int(initialisation.integers(2**32)))
    batch = nn.tensor(SCALINGS["standardised"](x).astype(np.float32)), nn.tensor(y[:, None].astype(np.float32))

    def loss(functional, output, target):
        return functional.relu(-(output * target)).mean()

    return side_by_side.compare(
        lambda library: library.Sequential(library.Linear(4, 1)), ("SGD", {"lr": 0.1}), [batch], loss=loss, double=True
    )


# %% [markdown]
# ## Planes, and no plane

# %%
if __name__ == "__main__":
    lab.show(lab.load("perceptron").draw_planes(study.results))

# %% [markdown]
# The perceptron stops at the first plane without an error; it has no reason to prefer a better one, and lies close to
# the examples that it learned from last. The largest margin is a different aim, not a later stage of this algorithm.

# %%
if __name__ == "__main__":
    lab.show(lab.load("perceptron").draw_endless(study.results))

# %% [markdown]
# Each pass makes a few mistakes, for ever; the certificate in the table (a mixture of examples that cancels to
# rounding) proves that it cannot be otherwise. The second line of the proof still holds,
# $\lVert w\rVert \le \sqrt k R$, and becomes useless: the length does not grow at all beyond some value. That is the
# perceptron *cycling* theorem (Minsky and Papert conjectured boundedness, Block and Levin proved it): the weights
# wander about in a bounded region.
#
# ## Compare
#
# Three other roads lead to the same numbers. scikit-learn's `Perceptron` has, after every pass over either pair, the
# weights of our loop to the last bit or nearly (see the table); so has the tape of `nn`, with SGD of rate 1. The
# comparison with PyTorch trains a linear layer on the perceptron's loss over all examples at once. What sets them apart
# is a tie. scikit-learn counts $w\cdot z = 0$ as a mistake, as the perceptron's rule does ($\le$, not $<$), and so moves from
# $w = 0$ with the very first example. ReLU, in `nn` and in PyTorch, has the derivative 0 there: with the loss
# $\max(0, -w\cdot z)$ and weights of exactly 0, gradient descent stays for ever.
#
# ## Interpret: the variants

# %%
if __name__ == "__main__":
    lab.show(lab.load("perceptron").draw_grid(study.results))

# %% [markdown]
# The first three rows are constant to the last digit: from zero, the rate of a perceptron is a unit of measurement and
# nothing else. For losses with a scale of their own (the 1 in the hinge; the curvature of the logistic) it matters.
#
# Averaging is the cheapest improvement: the last weights are whatever the last mistakes made of them, and their mean
# over time is not. The gain here is under a percentage point, small beside the spread between splits, which is why the
# table compares the *same* splits, seed by seed. The pocket fits the training set best and gains nothing on the test
# set. (The rows of hinge and logistic are means over fewer splits than the first three, as the tape takes one example a
# step: differences of a percent between them mean nothing.)
#
# What the verdict means: the theorem holds, and was proved in six lines; what is checked is that our loop is the
# algorithm of the theorem, that our margins are margins, and how loose the bound is in practice. What it does not mean:
# that a small $(R/\gamma)^2$ predicts few mistakes well. Not even the order of two sets need come out right: raw setosa
# has three times the bound of the spheres around 70, and fewer mistakes.
#
# <details><summary>The predictions</summary>
#
# 1. As many: from $w = 0$ all weights are multiplied by the rate, and no sign changes. 2. About 1,400, a
# sixteenth of the bound. 3. Yes: for setosa against both others it falls from 222 to 57, as $R$ no longer holds the mean.
# </details>
#
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("perceptron"))


# %%
def answer_rate(results):
    """Mistakes with a rate of 1024 and of 1."""
    z = signed(*iris([0], [1]))
    orders = np.tile(np.arange(len(z)), (100, 1))
    small, large = (learn(z, orders, rate, z[0])[0].sum() for rate in (1.0, 1024.0))
    return "as many" if small == large else "more" if large > small else "fewer"


def answer_plane(results):
    """The check that falls if γ is the margin of the perceptron's own plane, not the largest."""
    largest = largest_margin

    def own(z):
        w = learn(z, np.tile(np.arange(len(z)), (2000, 1)), 1.0, z[0])[3]
        u = w / np.linalg.norm(w)
        return u, (z @ u).min(), largest(z)[2]

    small = {"orders": 2, "margins": [0.3], "margin_orders": 1, "passes": 50, "splits": 1, "split_passes": 1}
    return lab.fallen("perceptron", small, largest_margin=own)[0]


def answer_appended(results):
    """The bound for raw setosa against the others if 100 is appended in place of 1."""
    x, y = iris([0], [1, 2])
    z = y[:, None] * np.column_stack([x, np.full(len(x), 100.0)])
    return (np.linalg.norm(z, axis=1).max() / largest_margin(z)[1]) ** 2


EXERCISES = [
    lab.Exercise(
        "The rate is 1024 in place of 1, the orders stay. How many mistakes are made?",
        answer_rate,
        "From $w = 0$ every $w_k$ is 1024 times what it was, and no $w\\cdot z$ changes its sign.",
        choices=("fewer", "as many", "more"),
    ),
    lab.Exercise(
        "Take the perceptron's own last plane in place of the one of the largest margin (in `largest_margin`). Which "
        "check falls?",
        answer_plane,
        "It separates, so its margin gives a valid bound, only a larger one, and both lines of the proof hold for any "
        "separating $u$. What is lost is that no margin is larger.",
        choices=(
            "mistakes / (R/γ)², the most of all runs",
            "progress along u in the proof: w·u / kγ, the least of all mistakes",
            "the largest margin: certificate / margin − 1",
        ),
    ),
    lab.Exercise(
        "Setosa against both others, raw, has $R = 11.2$, $\\gamma = 0.75$ and the bound 222. You append 100 to every "
        "example in place of 1. What is the bound now?",
        answer_appended,
        "$R$ becomes about 100.6. The margin hardly changes: with 100 the offset costs nearly no length of $u$, and "
        "$\\gamma$ becomes 0.82, the margin of a free offset. So $(100.6/0.82)^2$: scaling is not innocent.",
        within=0.25,
    ),
]

# %% [markdown]
# ## Configurations and checks
#
# The claim is the theorem: the bound over all runs, both lines of its proof at every mistake, the case in which it is
# attained, and the pair that no plane separates. The rest are checks of our code and of the variants.

# %%
FULL = {
    "seeds": 10,
    "orders": 200,
    "margins": [0.3, 0.1, 0.03, 0.01],
    "margin_orders": 20,
    "dimension": 10,
    "examples": 200,
    "orthogonal": [4, 16, 64],
    "passes": 2000,
    "rates": [1 / 64, 1 / 8, 1.0, 8.0],
    "splits": 300,
    "split_passes": 20,
    "tape_splits": 4,
}
FAST = FULL | {
    "seeds": 1,
    "orders": 20,
    "margins": [0.3, 0.1],
    "margin_orders": 5,
    "passes": 200,
    "splits": 4,
    "tape_splits": 1,
    "split_passes": 10,
}


def trials(results):
    """All trials of separable sets."""
    return [trial for result in results for trial in (*result["iris"].values(), *result["spheres"])]


def check(results, mode):
    """What must hold."""
    separable = trials(results)
    ratios = [max(*t["mistakes"], t["worst_first"]) / t["bound"] for t in separable]
    tight = [abs(count - int(n)) for result in results for n, count in result["orthogonal"].items()]
    ways = {key: max(result["other_ways"][key] for result in results) for key in results[0]["other_ways"]}
    endless = [result["endless"] for result in results]
    spread = [np.ptp(result["variants"][name]) for result in results for name in ("perceptron", "averaged", "pocket")]
    pilot = {"extra": True, "origin": "pilot"}
    checks = [
        lab.check("mistakes / (R/γ)², the most of all runs", max(ratios), at_most=1),
        lab.check(
            "progress along u in the proof: w·u / kγ, the least of all mistakes",
            min(t["least_progress"] for t in separable),
            at_least=1 - 1e-9,
        ),
        lab.check(
            "length in the proof: ‖w‖² / kR², the most of all mistakes",
            max(t["most_length"] for t in separable),
            at_most=1 + 1e-9,
        ),
        lab.check("unit vectors: |mistakes − bound|", max(tight), at_most=0),
        lab.check("versicolor, virginica: fewest mistakes in a pass", min(e["fewest"] for e in endless), at_least=1),
        lab.check(
            "versicolor, virginica: norm of the certificate that no plane separates them",
            max(e["certificate"] for e in endless),
            at_most=1e-9,
            **pilot,
        ),
        lab.check(
            "the largest margin: certificate / margin − 1",
            max(t["gap"] for t in separable),
            at_least=0,
            at_most=1e-3,
            **pilot,
        ),
        lab.check(
            "weights after each pass from w = 0: |scikit-learn's − ours|", ways["scikit"], at_most=1e-12, **pilot
        ),
        lab.check("weights after each pass: |the tape's − ours|", ways["tape"], at_most=1e-12, **pilot),
        lab.check("how far the tape moves from w = 0", ways["moved_from_zero"], at_most=0, extra=True),
        lab.check(
            "rates from 1/64 to 8: largest difference of accuracy, all perceptrons", max(spread), at_most=0, extra=True
        ),
    ]
    if mode == "fast":
        return checks
    at_one = results[0]["rates"].index(1.0)
    gains = [result["variants"]["averaged"][at_one] - result["variants"]["perceptron"][at_one] for result in results]
    checks += lab.paired("test accuracy, averaged weights minus last ones", gains, at_least=0.005, **pilot)
    growth = max(e["growth"] for e in endless)
    longest = lab.check("longest weights, second half over first half of the run", growth, at_most=1.2, **pilot)
    return [*checks, longest]


# %% [markdown]
# ## Drawing


# %%
def draw_proof(results):
    """Left: the proof as a picture, ‖w‖ between its bounds. Right: mistakes against the bound, all sets and orders."""
    figure, (left, right) = plot.figure(10, 4, columns=2)
    run = results[0]["sepals"]
    bound = (run["R"] / run["margin"]) ** 2
    k = np.geomspace(1, 3 * bound, 100)
    left.loglog(k, np.sqrt(k) * run["R"], color=plot.ORANGE, label="√k R: no longer than this")
    left.loglog(k, k * run["margin"], color=plot.GREEN, label="kγ: at least so far along u")
    for result in results:
        at, length, progress = (result["sepals"][key] for key in ("at", "length", "progress"))
        left.loglog(at, length, color=plot.BLUE, lw=0.8)
        left.loglog(at, progress, color=plot.SKY, lw=0.8)
    left.plot([], color=plot.BLUE, label="‖w‖")
    left.plot([], color=plot.SKY, label="w · u")
    left.axvline(bound, color=plot.INK, lw=1, ls=":")
    left.set(xlabel="mistakes k (setosa or versicolor, by sepals)", title="After (R/γ)² nothing fits between the lines")
    left.legend(loc="upper left", frameon=False)

    separable = trials(results)
    for t in separable:
        right.plot([t["bound"]] * len(t["mistakes"]), t["mistakes"], ".", color=plot.BLUE, ms=2, alpha=0.3)
        right.plot(t["bound"], t["worst_first"], "x", color=plot.PURPLE, ms=5)
    for n, count in results[0]["orthogonal"].items():
        right.plot(int(n), count, "D", color=plot.ORANGE, ms=6)
    for label, mark, colour in (
        ("random orders", ".", plot.BLUE),
        ("worst example first", "x", plot.PURPLE),
        ("unit vectors", "D", plot.ORANGE),
    ):
        right.plot([], [], mark, color=colour, label=label)
    ends = np.array([3, max(t["bound"] for t in separable) * 1.5])
    right.loglog(ends, ends, color=plot.INK, lw=1, label="(R/γ)²")
    right.set(xlabel="bound (R/γ)²", ylabel="mistakes made", title="Every run stays below the line")
    right.legend(loc="upper left", frameon=False)
    return figure


def draw_planes(results):
    """Sepals of setosa and versicolor: planes on the way, the last one, and that of the largest margin."""
    x, y = iris([0], [1], SEPALS)
    planes = results[0]["sepals"]["planes"]
    *early, last = planes.items()
    figure, axes = plot.figure(6.5, 4.4)
    w = np.array(last[1])
    plot.decision_boundary(
        lambda points: np.tanh(points @ w[:2] + w[2]), x, (y > 0).astype(int), ax=axes, labels=["versicolor", "setosa"]
    )
    ends, limits = np.array(axes.get_xlim()), axes.get_ylim()
    lines = {f"after {passes} passes": (plane, ":") for passes, plane in early}
    lines |= {
        f"after {last[0]}: the first without mistake": (w, "-"),
        "largest margin": (results[0]["sepals"]["largest_margin"], "--"),
    }
    colours = (plot.SKY, plot.PURPLE, plot.INK, plot.GREEN)
    for (label, (plane, style)), colour in zip(lines.items(), colours, strict=True):
        axes.plot(ends, -(plane[0] * ends + plane[2]) / plane[1], color=colour, ls=style, lw=1.5, label=label)
    axes.set(xlabel="sepal length (cm)", ylabel="sepal width (cm)", xlim=ends, ylim=limits)
    axes.set_title("It stops at the first plane without a mistake")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def draw_endless(results):
    """Versicolor and virginica: mistakes a pass, and the length of the weights."""
    figure, (left, right) = plot.figure(10, 3.6, columns=2)
    passes = min(len(result["endless"]["mistakes"]) for result in results)
    mistakes = np.array([result["endless"]["mistakes"][:passes] for result in results])
    plot.curves(
        {"mistakes": mistakes}, np.arange(1, passes + 1), ax=left, band="range", xlabel="pass", ylabel="mistakes a pass"
    )
    left.get_legend().remove()
    left.set(title="No plane separates: it never ends (10 seeds, bold: median)", ylim=(0, None))
    for result in results:
        right.loglog(result["endless"]["at"], result["endless"]["lengths"], color=plot.BLUE, lw=0.8)
    at = np.array(results[0]["endless"]["at"])
    right.loglog(at, np.sqrt(at) * results[0]["endless"]["R"], color=plot.ORANGE, label="√k R")
    right.plot([], color=plot.BLUE, label="‖w‖, each seed")
    right.set(xlabel="mistakes k", title="Yet the weights stay where they are")
    right.legend(frameon=False)
    return figure


def draw_grid(results):
    """Test accuracy on versicolor and virginica: variant by rate."""
    names, rates = list(results[0]["variants"]), results[0]["rates"]
    mean = 100 * np.mean([[result["variants"][name] for name in names] for result in results], axis=0)
    figure, axes = plot.figure(6.5, 3)
    plot.grid(mean, names, [f"{rate:.4g}" for rate in rates], ax=axes, fmt="{:.1f}", label="%")
    axes.set(xlabel="rate", title="Test accuracy, versicolor or virginica (%)")
    return figure

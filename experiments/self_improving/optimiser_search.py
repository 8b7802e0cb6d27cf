# %% [markdown]
# # A search for update rules: evolution writes an optimiser
#
# **Claim.** Evolution over expression trees finds an update rule that ends below equally tuned SGD on at least 3/4 of twelve
# tasks that the search never saw, and is better there than the best rule of a random search with as many evaluations. Its
# place beside Adam, Lion and Muon, tuned in the same way, is reported whatever it is.
#
# **Papers.** I. Bello, B. Zoph, V. Vasudevan and Q. Le (2017), *Neural optimizer search with reinforcement learning*;
# X. Chen et al. (2023), *Symbolic discovery of optimization algorithms* (Lion).
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | rules | Bello: expressions of $g$, its means, signs, powers, decays; Chen: programs | trees of up to 15 nodes, built of operands of this kind |
# | search | Bello: a controller trained by policy gradients; Chen: regularised evolution, from AdamW | regularised evolution, from random trees |
# | control | Bello: random search; Chen: random search and tuning | random search, as many evaluations |
# | fitness | accuracy of a small convolutional net on CIFAR-10; of small Transformers | loss of three tiny nets and two functions |
# | held out | larger nets, ImageNet, translation | other data, widths, depths, activations, losses, functions, three times the steps |
# | tuning | a few rates a rule | 10 rates × {constant, falling to zero}, on instances of their own, for every rule |
#
# **Predict first.**
# 1. The loss is multiplied by 1,000. Which of SGD, momentum, Adam and Lion take the same path as before?
# 2. How much of the evolved rule's advantage over SGD does a random search of as many evaluations find?
# 3. Does the search rediscover an optimiser with a name?

# %%
import math
from ast import literal_eval
from typing import NamedTuple

import numpy as np
from numba import njit

import nn
from experiments import lab, side_by_side
from kernels import linear, linear_backward, matmul
from nn import plot

CARD = lab.Card(
    title="A search for update rules",
    claim="the evolved rule beats equally tuned SGD on ≥ 3/4 of held-out tasks, and random search of equal budget",
    paper="Bello et al. 2017, Neural optimizer search; Chen et al. 2023, Symbolic discovery of optimization algorithms",
    grade="C",
    seconds=400,
)

# %%
if __name__ == "__main__":
    study = lab.study("optimiser_search")
    lab.show(study)

# %%
if __name__ == "__main__":
    lab.show(lab.load("optimiser_search").draw_search(study.results))

# %% [markdown]
# The second claim holds by a hair, and its interval includes much less than its bound: see below.
#
# Left: the best fitness so far, each search thin, their median thick; both have the same number of evaluations. Right: the
# advantage over SGD on the tasks that the search never saw, in $\ln$ loss, mean of the tasks; a dot for each search.
#
# ## Derive
#
# **What a rule is.** A step is $w \leftarrow w - \eta\, u$. For SGD $u = g$; for momentum a running mean $m$ of the
# gradients; for Adam $m / v$ with $v$ the root of the running mean of $g^2$; for Lion the sign of a mixture of $g$ and a slow
# mean. All are *expressions* of a few operands, applied to each parameter by itself. Ours are
#
# $$ g, \quad m\ (\beta = 0.9), \quad s\ (0.99), \quad v = \sqrt{\overline{g^2}}\ (0.999), \quad w, \quad 1, \quad
#    \text{decay} = 1 - t/T , $$
#
# with the running means corrected for their start at zero as in Adam, the functions sign, $-x$, $\pm\sqrt{|x|}$ ("root"), $x^2$,
# $e^x$, $|x|$, clip to $[-1, 1]$, $0.1x$, and the operations $+, -, \cdot, /$.
#
# **What tuning takes away.** A factor in front of $u$ is taken up by the rate $\eta$. Rules that differ by a positive
# factor only count as one. Multiply the loss by $c$, and $g$, $m$, $s$, $v$ are multiplied by $c$: a rule that is
# *homogeneous of degree zero* in them, such as $m/v$ or sign$(m)$, takes the same path; SGD needs $\eta / c$.
# A rule of degree zero can therefore do with *one* rate what SGD must tune on each task. Here SGD is tuned on each task,
# and this advantage does not count; what is left is the difference between parameters within one task.
#
# **Why the decay must not count.** A noisy gradient at a constant rate leaves a noise floor. A rule with a decay of its
# own would beat *constant* SGD by this alone. So every rule, the baselines too, is tuned over 10 rates, each
# constant *and* falling to zero.
#
# **Why the best is overrated.** The best of 2,000 noisy fitness values is picked partly for its luck. Twelve
# finalists are evaluated again on new instances of the search's tasks, with 200 steps in place of 60, and what is claimed is measured on other tasks.

# %% [markdown]
# ## Implement
#
# **A task** is a net with its data, or a function; with it come the start, the order of the examples and the noise, drawn
# beforehand: every rule and every rate sees the same ones.


# %%
class Task(NamedTuple):
    """What is minimised: a net on data, or a function; and all that is random about it."""

    x: np.ndarray  # (N, inputs) of a net; (n, n), the matrix of a quadratic
    y: np.ndarray  # (N, outputs): targets, or classes as one-hot rows
    start: np.ndarray  # (n,): all parameters, layer by layer, weight before bias
    order: np.ndarray  # (steps, batch): the examples of each step
    noise: np.ndarray  # (steps, n): added to a function's gradient
    sizes: np.ndarray  # (layers + 1,)
    kind: int
    activation: int
    loss: int
    scale: float  # of the gradient


NET, QUADRATIC, ROSENBROCK, HIMMELBLAU, ABSOLUTE = range(5)
IDENTITY, TANH, RELU, SIGMOID, SILU, SOFTPLUS = range(6)
CROSS_ENTROPY, SQUARED, HUBER = range(3)
jit = njit(error_model="numpy", cache=True)  # as IEEE says: x / 0 is no exception, so that loops vectorise


@jit
def activate(z, slope, kind):
    """f(z), a new array; f′(z) is written to `slope`."""
    result = np.empty_like(z)
    f, df, flat = result.ravel(), slope.ravel(), z.ravel()
    for i, v in enumerate(flat):
        if kind == IDENTITY:
            f[i], df[i] = v, 1
        elif kind == TANH:
            f[i] = math.tanh(v)
            df[i] = 1 - f[i] ** 2
        elif kind == RELU:
            f[i], df[i] = max(v, 0), 1.0 if v > 0 else 0.0
        else:
            s = 1 / (1 + math.exp(-v))
            if kind == SIGMOID:
                f[i], df[i] = s, s * (1 - s)
            elif kind == SILU:
                f[i], df[i] = v * s, s * (1 + v * (1 - s))
            else:
                f[i], df[i] = max(v, 0) + math.log1p(math.exp(-abs(v))), s
    return result


@jit
def loss_and_slope(z, y, kind, slope):
    """The mean loss of a batch; its gradient for the outputs z is written to `slope`."""
    n, outputs = z.shape
    total = 0.0
    for i in range(n):
        if kind == CROSS_ENTROPY:
            top = z[i].max()
            log_sum = top + math.log(np.exp(z[i] - top).sum())
            for j in range(outputs):
                log_p = z[i, j] - log_sum
                total -= y[i, j] * log_p
                slope[i, j] = (math.exp(log_p) - y[i, j]) / n
        else:
            for j in range(outputs):
                error = z[i, j] - y[i, j]
                if kind == SQUARED or abs(error) < 0.5:
                    total += error**2
                    slope[i, j] = 2 * error / n
                else:  # Huber's: linear beyond 1/2
                    total += abs(error) - 0.25
                    slope[i, j] = math.copysign(1, error) / n
    return total / n


@jit
def backpropagate(task, w, x, y, g, needs_gradient):
    """The loss of a net on a batch; its gradient is written to g if it is needed."""
    sizes, layers, h, o = task.sizes, len(task.sizes) - 1, x, 0
    inputs, slopes, weights = [x], [x], [x]  # of layer l at place l + 1
    for l in range(layers):  # noqa: E741
        rows, columns = sizes[l + 1], sizes[l]
        weight, bias = w[o : o + rows * columns].reshape((rows, columns)), w[o + rows * columns :][:rows]
        o += rows * (columns + 1)
        inputs.append(h)
        weights.append(weight)
        z = linear(h, weight, bias)
        slopes.append(np.empty_like(z))
        h = activate(z, slopes[-1], task.activation) if l < layers - 1 else z
    d = np.empty_like(h)
    value = loss_and_slope(h, y, task.loss, d)
    if needs_gradient:
        for l in range(layers, 0, -1):  # noqa: E741
            rows, columns = sizes[l], sizes[l - 1]
            o -= rows * (columns + 1)
            dx, dweight, dbias = linear_backward(d, inputs[l], weights[l])
            g[o : o + rows * columns] = dweight.ravel()
            g[o + rows * columns :][:rows] = dbias
            if l > 1:
                d = dx * slopes[l - 1]
    return value


@jit
def evaluate(task, w, x, y, g, needs_gradient):
    """The loss at w; its gradient is written to g."""
    n, value = len(w), 0.0
    if task.kind == NET:
        return backpropagate(task, w, x, y, g, needs_gradient)
    if task.kind == QUADRATIC:
        for i in range(n):
            g[i] = (task.x[i] * w).sum()
        return 0.5 * (w * g).sum()
    g[:] = 0
    for i in range(n):
        if task.kind == ABSOLUTE:
            scale = 1 + i
            root = math.sqrt(w[i] ** 2 + 1e-4)
            value += scale * (root - 0.01)
            g[i] = scale * w[i] / root
        elif task.kind == ROSENBROCK and i < n - 1:
            bend, rest = w[i + 1] - w[i] ** 2, 1 - w[i]
            value += 10 * bend**2 + rest**2
            g[i] -= 40 * bend * w[i] + 2 * rest
            g[i + 1] += 20 * bend
        elif task.kind == HIMMELBLAU and i % 2 == 0:
            a, b = w[i] ** 2 + w[i + 1] - 11, w[i] + w[i + 1] ** 2 - 7
            value += a**2 + b**2
            g[i] = 4 * w[i] * a + 2 * b
            g[i + 1] = 2 * a + 4 * w[i + 1] * b
    return value


# %% [markdown]
# **A rule** is a tree; the interpreter gets it in postfix order. Its values are vectors with an entry for each
# parameter, its memory the three running means.

# %%
LEAVES = ("g", "m", "s", "v", "w", "1", "decay")
UNARY = ("sign", "neg", "root", "square", "exp", "abs", "clip", "tenth")
BINARY = ("add", "sub", "mul", "div")
SIGNS = {"add": "+", "sub": "−", "mul": "·", "div": "/", "neg": "−", "tenth": "× 0.1", "abs": "| |"}
FIXED = ("lion", "muon")  # baselines that are no trees of these; the search does not have them
OPERATIONS = {name: code for code, name in enumerate(LEAVES + UNARY + BINARY + FIXED)}
(G, M, S, V, W, ONE, DECAY, SIGN, NEG, ROOT, SQUARE, EXP, ABS, CLIP, TENTH, ADD, SUB, MUL, DIV, LION, MUON) = range(21)


@jit
def leaf(op, x, g, m, s, v, w, t, steps):
    """Write an operand to x."""
    n = len(x)
    if op == G:
        x[:] = g
    elif op == M:
        x[:] = m / (1 - 0.9**t)
    elif op == S:
        x[:] = s / (1 - 0.99**t)
    elif op == V:
        x[:] = np.sqrt(v / (1 - 0.999**t))
    elif op == W:
        x[:] = w
    elif op == ONE:
        x[:] = 1
    elif op == DECAY:
        x[:] = 1 - (t - 1) / steps
    else:  # Lion: 0.9 of the mean before this step, and 0.1 g
        for i in range(n):
            x[i] = np.sign(0.9 * (s[i] - 0.01 * g[i]) / 0.99 + 0.1 * g[i])


@jit
def unary(op, x):
    """f(x), in place."""
    for i in range(len(x)):
        if op == SIGN:
            x[i] = np.sign(x[i])
        elif op == NEG:
            x[i] = -x[i]
        elif op == ROOT:
            x[i] = math.copysign(math.sqrt(abs(x[i])), x[i])
        elif op == SQUARE:
            x[i] = x[i] * x[i]
        elif op == EXP:
            x[i] = math.exp(min(x[i], 20))
        elif op == ABS:
            x[i] = abs(x[i])
        elif op == CLIP:
            x[i] = min(max(x[i], -1), 1)
        else:
            x[i] = 0.1 * x[i]


@jit
def binary(op, x, y):
    """x ∘ y, in place of x."""
    if op == ADD:
        x += y
    elif op == SUB:
        x -= y
    elif op == MUL:
        x *= y
    else:
        for i in range(len(x)):
            x[i] /= math.copysign(abs(y[i]) + 1e-8, y[i])


@jit
def interpret(program, stack, g, m, s, v, w, t, steps):
    """The update that a rule in postfix order computes: each operation takes its operands from the stack's top."""
    top = -1
    for op in program:
        if op <= DECAY or op == LION:
            top += 1
            leaf(op, stack[top], g, m, s, v, w, t, steps)
        elif op <= TENTH:
            unary(op, stack[top])
        else:
            top -= 1
            binary(op, stack[top], stack[top + 1])
    return stack[0]


@jit
def orthogonalised(matrix):
    """Singular values brought to about 1: five iterations of Newton and Schulz, as Muon has them."""
    wide = matrix.shape[0] <= matrix.shape[1]
    y = matrix.copy() if wide else matrix.T.copy()
    y /= math.sqrt((y * y).sum()) + 1e-7
    for _ in range(5):
        gram = matmul(y, y.T.copy())
        y = 3.4445 * y + matmul(-4.775 * gram + 2.0315 * matmul(gram, gram), y)
    return y if wide else y.T.copy()


@jit
def muon(task, u, g, m, v, t):
    """Muon for matrices, with Nesterov's momentum and Adam's scale; Adam for all else."""
    for i in range(len(u)):
        u[i] = m[i] / (1 - 0.9**t) / (math.sqrt(v[i] / (1 - 0.999**t)) + 1e-8)
    if task.kind == NET:
        o = 0
        for l in range(len(task.sizes) - 1):  # noqa: E741
            rows, columns = task.sizes[l + 1], task.sizes[l]
            end = o + rows * columns
            found = orthogonalised((0.1 * g[o:end] + 0.9 * m[o:end]).reshape((rows, columns)))
            u[o:end] = 0.2 * math.sqrt(max(rows, columns)) * found.ravel()
            o = end + rows
    return u


@jit
def train(task, program, rate, annealed):
    """The loss on all data after all steps of a rule at a rate; infinite if it diverges."""
    w, n, steps, batch = task.start.copy(), len(task.start), len(task.order), task.order.shape[1]
    g, m, s, v, stack = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n), np.empty((len(program) + 1, n))
    x, y = np.empty((batch, task.x.shape[1])), np.empty((batch, task.y.shape[1]))
    for t in range(1, steps + 1):
        if task.kind == NET:
            for i in range(batch):
                x[i], y[i] = task.x[task.order[t - 1, i]], task.y[task.order[t - 1, i]]
        if not evaluate(task, w, x, y, g, True) < 1e6:
            return np.inf
        if task.kind != NET:
            g += task.noise[t - 1]
        g *= task.scale
        for i in range(n):
            m[i] += 0.1 * (g[i] - m[i])
            s[i] += 0.01 * (g[i] - s[i])
            v[i] += 0.001 * (g[i] * g[i] - v[i])
        if program[0] == MUON:
            u = muon(task, stack[0], g, m, v, t)
        else:
            u = interpret(program, stack, g, m, s, v, w, t, steps)
        w -= rate * (1 - (t - 1) / steps if annealed else 1.0) * u
    value = evaluate(task, w, task.x, task.y, g, False)
    return value if value < 1e6 else np.inf


@jit
def losses(task, program, rates, annealed):
    """`train` at each of several rates."""
    return np.array([train(task, program, rate, annealed) for rate in rates])


# %% [markdown]
# **Trees** are nested tuples.


# %%
def random_tree(generator, depth):
    """A tree of at most this depth."""
    kind = generator.random()
    if depth == 0 or kind < 0.25:
        return (str(generator.choice(LEAVES)),)
    if kind < 0.55:
        return (str(generator.choice(UNARY)), random_tree(generator, depth - 1))
    return (str(generator.choice(BINARY)), random_tree(generator, depth - 1), random_tree(generator, depth - 1))


def postfix(tree):
    """A tree as the interpreter's program."""
    return np.array([OPERATIONS[node[0]] for node in nodes(tree)[::-1]])


def nodes(tree):
    """All subtrees; backwards, operands come before the operation, the first one first."""
    return [tree, *(node for child in tree[:0:-1] for node in nodes(child))]


def replaced(tree, place, change):
    """The tree with the subtree at a place, counted as in `nodes`, changed by a function."""
    if place == 0:
        return change(tree)
    place, children = place - 1, list(tree[1:])
    for i in reversed(range(len(children))):
        size = len(nodes(children[i]))
        if place < size:
            children[i] = replaced(children[i], place, change)
            break
        place -= size
    return (tree[0], *children)


def mutated(tree, other, generator, most):
    """A tree with one change: a new subtree, another operation, one more, one fewer, or a part of another tree."""

    def change(node):
        kind = generator.integers(5)
        if kind == 0:
            return random_tree(generator, 2)
        if kind == 1:
            same = {1: LEAVES, 2: UNARY, 3: BINARY}[len(node)]
            return (str(generator.choice(same)), *node[1:])
        if kind == 2:
            if generator.random() < 0.5:
                return (str(generator.choice(UNARY)), node)
            pair = [node, random_tree(generator, 1)]
            generator.shuffle(pair)
            return (str(generator.choice(BINARY)), *pair)
        if kind == 3 and len(node) > 1:
            return node[1 + generator.integers(len(node) - 1)]
        parts = nodes(other)
        return parts[generator.integers(len(parts))]

    while True:
        child = replaced(tree, generator.integers(len(nodes(tree))), change)
        if len(nodes(child)) <= most:
            return child


def formula(tree):
    """A tree as text."""
    name, parts = tree[0], [formula(child) for child in tree[1:]]
    if len(parts) == 2:
        return f"({parts[0]} {SIGNS[name]} {parts[1]})"
    if name in ("neg", "tenth"):
        return {"neg": "−", "tenth": "0.1 "}[name] + parts[0]
    if not parts:
        return name
    inner = parts[0][1:-1] if len(tree[1]) == 3 else parts[0]
    return f"|{inner}|" if name == "abs" else f"{name}({inner})"


# %% [markdown]
# **Tasks of the search and held-out ones** differ in data, width, depth, activation, loss and number of steps. They were
# fixed before the full run.


# %%
class Net(NamedTuple):
    """A kind of task: a net."""

    data: str
    hidden: tuple
    activation: int
    loss: int
    batch: int
    examples: int


class Function(NamedTuple):
    """A kind of task: a function, whose gradient has noise."""

    kind: int
    size: int
    noise: float = 0.0
    condition: float = 1.0


SEARCH_TASKS = {
    "digits 4×4, 12 tanh": Net("small digits", (12,), TANH, CROSS_ENTROPY, 16, 200),
    "digits 4×4, 16 ReLU": Net("small digits", (16,), RELU, CROSS_ENTROPY, 32, 300),
    "cubic, 10 tanh, squared": Net("cubic", (10,), TANH, SQUARED, 16, 100),
    "quadratic, κ = 100": Function(QUADRATIC, 10, 0.05, 100),
    "Rosenbrock, 4-D": Function(ROSENBROCK, 4),
}
HELD_OUT = {
    "digits, 32 sigmoid": Net("digits", (32,), SIGMOID, CROSS_ENTROPY, 32, 400),
    "digits, 24-24 SiLU": Net("digits", (24, 24), SILU, CROSS_ENTROPY, 32, 400),
    "digits, 32 ReLU, squared": Net("digits", (32,), RELU, SQUARED, 32, 400),
    "autoencoder, 12 tanh": Net("digits to digits", (12,), TANH, SQUARED, 16, 200),
    "wine, 16 softplus": Net("wine", (16,), SOFTPLUS, CROSS_ENTROPY, 16, 178),
    "cancer, logistic, unscaled": Net("cancer", (), IDENTITY, CROSS_ENTROPY, 32, 569),
    "diabetes, 20 tanh, Huber": Net("diabetes", (20,), TANH, HUBER, 32, 442),
    "sin 3x, 32 tanh, squared": Net("sine", (32,), TANH, SQUARED, 32, 200),
    "matrix factors, 8-4-8": Net("matrix", (4,), IDENTITY, SQUARED, 8, 8),
    "quadratic, κ = 1000": Function(QUADRATIC, 30, 0.0, 1000),
    "Himmelblau, 10-D": Function(HIMMELBLAU, 10),
    "absolute values, 10-D": Function(ABSOLUTE, 10, 0.5),
}


def data_of(name, generator):
    """(inputs, targets) of a net, float64; the search has the first 600 digits, held-out tasks the others."""
    if "digits" in name:
        parts = nn.data.digits()
        x = np.concatenate([part.tensors[0].array.reshape(-1, 8, 8) for part in parts]).astype(np.float64)
        labels = np.concatenate([part.tensors[1].array for part in parts])
        x, order = (x - x.mean()) / x.std(), np.random.default_rng(0).permutation(len(x))
        if name == "small digits":
            pooled = x.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
            return pooled[order[:600]], np.eye(10)[labels[order[:600]]]
        x = x.reshape(-1, 64)[order[600:]]
        return x, (x if "to" in name else np.eye(10)[labels[order[600:]]])
    if name == "cubic":
        x = generator.uniform(-1.5, 1.5, (100, 1))
        return x, x**3 - x
    if name == "sine":
        x = generator.uniform(-2, 2, (200, 1))
        return x, np.sin(3 * x) + 0.1 * generator.standard_normal((200, 1))
    if name == "matrix":
        return np.eye(8), generator.standard_normal((8, 4)) @ generator.standard_normal((4, 8))
    from sklearn import datasets

    loader = {"wine": "load_wine", "cancer": "load_breast_cancer", "diabetes": "load_diabetes"}[name]
    x, y = getattr(datasets, loader)(return_X_y=True)
    if name == "cancer":
        return x / x.max(axis=0), np.eye(2)[y]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return x, (np.eye(3)[y] if name == "wine" else ((y - y.mean()) / y.std())[:, None])


def instance(kind, steps, generator, scaled=False):
    """A task of a kind: examples, start, order and noise are drawn; the gradient's scale, too, between 0.1 and 10."""
    scale = 10.0 ** generator.uniform(-1, 1) if scaled else 1.0
    none = np.zeros((1, 1))
    if isinstance(kind, Net):
        x, y = data_of(kind.data, generator)
        chosen = generator.permutation(len(x))[: kind.examples]
        x, y = np.ascontiguousarray(x[chosen]), np.ascontiguousarray(y[chosen])
        sizes = np.array([x.shape[1], *kind.hidden, y.shape[1]])
        layers = []
        for columns, rows in zip(sizes, sizes[1:], strict=False):
            layers += [generator.standard_normal(rows * columns) / math.sqrt(columns), np.zeros(rows)]
        order = generator.integers(0, len(x), (steps, kind.batch))
        return Task(x, y, np.concatenate(layers), order, none, sizes, NET, kind.activation, kind.loss, scale)
    n = kind.size
    rotation = np.linalg.qr(generator.standard_normal((n, n)))[0]
    x = np.ascontiguousarray(rotation * np.geomspace(1 / kind.condition, 1, n) @ rotation.T)
    noise = kind.noise * generator.standard_normal((steps, n))
    order, sizes = np.zeros((steps, 1), np.int64), np.array([n])
    return Task(x, none, generator.standard_normal(n), order, noise, sizes, kind.kind, IDENTITY, SQUARED, scale)


# %% [markdown]
# **A score** is the advantage over SGD in $\ln$ loss, no more than 3 either way. Every rule is tuned alike: 10 rates from
# $10^{-3.5}$ to 10, each constant and falling linearly to zero; in the search 7 rates, constant.

# %%
SEARCH_RATES = 10.0 ** np.arange(-3, 0.1, 0.5)
RATES = 10.0 ** np.arange(-3.5, 1.1, 0.5)
BASELINES = {
    "SGD": ("g",),
    "momentum": ("m",),
    "Adam": ("div", ("m",), ("v",)),
    "Lion": ("lion",),
    "Muon": ("muon",),
}


def log_losses(task, tree, rates=RATES, schedules=(False, True)):
    """ln of the final loss for every schedule and rate, between 1e-8 and 1e6."""
    program = postfix(tree)
    found = np.array([losses(task, program, rates, annealed) for annealed in schedules])
    return np.log(np.clip(np.nan_to_num(found, nan=1e6), 1e-8, 1e6))


def score(reference, found):
    """The advantage over SGD."""
    return float(np.clip(reference - found, -3, 3))


def fitness(tree, tasks):
    """The mean score over (task, SGD's ln loss); minus a little for each node. Stops where the first tasks are lost."""
    scores = []
    for task, reference in reversed(tasks):  # functions first: they are cheap
        scores.append(score(reference, log_losses(task, tree, SEARCH_RATES, (False,)).min()))
        if len(scores) == 2 and max(scores) == -3:
            return -3.0
    return float(np.mean(scores)) - 0.005 * len(nodes(tree))


def with_reference(task):
    """(task, ln loss of tuned SGD)."""
    return task, log_losses(task, BASELINES["SGD"]).min()


def fingerprint(tree):
    """What a rule computes on random operands, up to a factor, which the rate takes up; None if that is nothing."""
    generator = np.random.default_rng(1)
    g, m, s, w = generator.standard_normal((4, 16))
    update = np.empty((2, 16))
    stack = np.empty((len(nodes(tree)) + 1, 16))
    for i, t in enumerate((3, 60)):
        update[i] = interpret(postfix(tree), stack, g, m, s, g * g + m * m + 0.1, w, t, 100)
    size = np.abs(update).max()
    return tuple(np.round(update / size, 6).ravel()) if np.isfinite(size) and size > 0 else None


def search(config, tasks, generator, evolve):
    """(best fitness after each evaluation, the best trees, best first); by chance alone if not `evolve`.

    Evolution after Real et al. 2019: the best of a few changes and takes the place of the oldest. Rules that compute
    what another one has computed already are passed over, and cost nothing.
    """
    seen, population, everyone, best = set(), [], [], []
    while len(everyone) < config["evaluations"]:
        if evolve and len(population) == config["population"]:
            rivals = [population[i] for i in generator.integers(len(population), size=config["tournament"])]
            parent, other = max(rivals)[1], population[generator.integers(len(population))][1]
            tree = mutated(parent, other, generator, config["nodes"])
        else:
            tree = random_tree(generator, generator.integers(2, 5))
        mark = fingerprint(tree)
        if mark is None or mark in seen or len(nodes(tree)) > config["nodes"]:
            continue
        seen.add(mark)
        everyone.append((fitness(tree, tasks), tree))
        population = [*population, everyone[-1]][-config["population"] :]
        best.append(max(everyone[-1][0], best[-1] if best else -3.0))
    return np.array(best), [tree for _, tree in sorted(everyone, reverse=True)[: config["finalists"]]]


def chosen(trees, tasks):
    """(tree, score) of the best finalist on new instances, each tuned on its own with all rates and schedules."""
    scores = [mean_score(tree, tasks) for tree in trees]
    place = int(np.argmax(scores))
    return trees[place], scores[place]


def mean_score(tree, tasks):
    """The mean score over tasks, tuned on each."""
    return float(np.mean([score(reference, log_losses(task, tree).min()) for task, reference in tasks]))


def held_out(config, rules, name, generator):
    """ln loss of each rule on a held-out task: tuned on some instances, measured on new ones."""
    tuning, measured = (
        [instance(HELD_OUT[name], config["held_out_steps"], generator) for _ in range(config[part])]
        for part in ("tuning", "measured")
    )
    result = {}
    for rule, tree in rules.items():
        table = np.mean([log_losses(task, tree) for task in tuning], axis=0)
        schedule, rate = np.unravel_index(table.argmin(), table.shape)
        found = [log_losses(task, tree, RATES[rate : rate + 1], (bool(schedule),)).item() for task in measured]
        result[rule] = {"ln loss": float(np.mean(found)), "rate": float(RATES[rate]), "annealed": bool(schedule)}
    return result


def ablation(tree, tasks):
    """For each subtree but the whole: what it is, and the score lost if 1 stands in its place."""
    whole, lost, seen = mean_score(tree, tasks), [], set()
    for place, node in list(enumerate(nodes(tree)))[1:]:
        other = replaced(tree, place, lambda _: ("1",))
        if node != ("1",) and fingerprint(other) is not None and formula(other) not in seen:
            seen.add(formula(other))
            lost.append({"term": formula(node), "rest": formula(other), "lost": whole - mean_score(other, tasks)})
    return lost


def run(config, seed):
    """An evolution, a random search of as many evaluations, and both rules beside the baselines on held-out tasks."""
    task_stream, search_stream, held_out_stream = lab.streams(seed + config["first_seed"])

    def instances(count, steps):
        kinds = [kind for kind in SEARCH_TASKS.values() for _ in range(count)]
        return [with_reference(instance(kind, steps, task_stream, scaled=True)) for kind in kinds]

    tasks = instances(config["instances"], config["steps"])
    new, last = (instances(config["instances"], config["new_steps"]) for _ in range(2))
    result, rules = {}, dict(BASELINES)
    for name, evolve in (("evolved", True), ("random search", False)):
        best, finalists = search(config, tasks, search_stream, evolve)
        tree, selected = chosen(finalists, new)
        rules[name] = tree
        result[name] = {
            "formula": formula(tree),
            "tree": repr(tree),
            "best": best[:: max(1, len(best) // 100)],
            "fitness": float(best[-1]),
            "selected": selected,
            "search tasks": mean_score(tree, last),
        }
    result["baselines"] = {name: mean_score(tree, last) for name, tree in BASELINES.items()}
    result["held out"] = {
        name: held_out(config, rules, name, held_out_stream) for name in list(HELD_OUT)[: config["held_out"]]
    }
    result["ablation"] = ablation(rules["evolved"], last)
    return result


def compare(config, seed):
    """The tree m / v beside PyTorch's Adam on the first task: the loss on all data after 1, 2, … steps, in float64."""
    import torch

    name, rate = next(iter(SEARCH_TASKS)), 0.01
    task = instance(SEARCH_TASKS[name], side_by_side.STEPS, lab.streams(seed)[0])
    program, weights, o = postfix(BASELINES["Adam"]), [], 0
    for columns, rows in zip(task.sizes, task.sizes[1:], strict=False):
        for shape in ((rows, columns), (rows,)):
            size = math.prod(shape)
            weights.append(torch.nn.Parameter(torch.tensor(task.start[o : o + size].reshape(shape))))
            o += size
    x, y, optimizer = torch.tensor(task.x), torch.tensor(task.y), torch.optim.Adam(weights, lr=rate)
    taken = [0, 0]

    def twin_loss(x, y):
        h = torch.tanh(torch.nn.functional.linear(x, *weights[:2]))
        return torch.nn.functional.cross_entropy(torch.nn.functional.linear(h, *weights[2:]), y)

    def ours():
        taken[0] += 1
        return train(task._replace(order=task.order[: taken[0]]), program, rate, False)

    def theirs():
        optimizer.zero_grad()
        twin_loss(x[task.order[taken[1]]], y[task.order[taken[1]]]).backward()
        optimizer.step()
        taken[1] += 1
        with torch.no_grad():
            return twin_loss(x, y).item()

    return side_by_side.duel(ours, theirs, tolerance=1e-9, rounds=0)


# %% [markdown]
# ## More pictures


# %%
COLOURS = {"evolved": plot.BLUE, "random search": plot.ORANGE}
NAMES = ("evolved", "random search", *BASELINES)


def advantage(result, rule, task):
    """The score of a rule on a held-out task: over SGD's, in ln loss, between -3 and 3."""
    row = result["held out"][task]
    return score(row["SGD"]["ln loss"], row[rule]["ln loss"])


def mean_advantage(result, rule):
    """Over all held-out tasks."""
    return float(np.mean([advantage(result, rule, task) for task in result["held out"]]))


def share_won(result, rule, rival):
    """The share of the held-out tasks on which a rule ends below another."""
    return float(np.mean([row[rule]["ln loss"] < row[rival]["ln loss"] for row in result["held out"].values()]))


def draw_search(results):
    """Best fitness so far of both searches; the advantage on held-out tasks of all rules."""
    figure, (left, right) = plot.figure(11, 4, columns=2)
    for name, colour in COLOURS.items():
        curves = np.array([result[name]["best"] for result in results])
        x = np.linspace(1, FULL["evaluations"], curves.shape[1])
        left.plot(x, curves.T, color=colour, lw=0.6, alpha=0.6)
        left.plot(x, np.median(curves, axis=0), color=colour, lw=2.2, label=name)
    left.set(xlabel="evaluations", ylabel="best fitness so far", title="Evolution reaches a higher fitness")
    left.set_ylim(max(-1.0, left.get_ylim()[0]), None)
    left.legend(loc="lower right")
    values = {name: [mean_advantage(result, name) for result in results] for name in NAMES if name != "SGD"}
    plot.bars(values, ax=right, fmt="{:.2f}", colours=COLOURS | {n: plot.GREY for n in BASELINES},
              xlabel="advantage over SGD in ln loss", title="On tasks that the search never saw")  # fmt: skip
    return figure


# %%
def draw_held_out(results):
    """The advantage over SGD: held-out task × rule, median of the searches."""
    figure, axes = plot.figure(9, 5.6)
    rules = [name for name in NAMES if name != "SGD"]
    tasks = list(results[0]["held out"])
    cells = [[np.median([advantage(result, rule, task) for result in results]) for rule in rules] for task in tasks]
    plot.grid(cells, tasks, rules, ax=axes, fmt="{:z.2f}", limits=(-2, 2), cmap=plot.DIVERGING,
              label="ln loss of SGD minus that of the rule")  # fmt: skip
    axes.set_title("Blue: ends below tuned SGD (median of the searches)")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_held_out(study.results))

# %% [markdown]
# Rows name the activation and the loss, columns the rule: the grid of this notebook. Stochastic, many-dimensional tasks
# are won by everything that evens out the sizes of the steps, and by Muon most of all. On the last two rows, without a
# net, plain SGD is hard to beat: near a smooth minimum its steps shrink by themselves, those of sign do not. Lion's
# mean is negative for this reason, and for the matrix factors, where all batches agree at the minimum. (Wine is won by
# 3 or lost by 3: the tuned rate is at the edge of stability, and on a new instance it may be beyond.) Muon is Adam
# where there is no matrix.


# %%
def draw_tree(results):
    """The tree that does best on the search's tasks, and what each part is worth."""
    best = max(results, key=lambda result: result["evolved"]["search tasks"])
    figure, (left, right) = plot.figure(11, 4.2, columns=2)
    leaves, lost = 0, {entry["term"]: entry["lost"] for entry in best["ablation"]}

    def place(tree, depth):
        nonlocal leaves
        below = [place(child, depth + 1) for child in tree[1:]]
        x = np.mean([at[0] for at in below]) if below else (leaves := leaves + 1)
        for at in below:
            left.plot([x, at[0]], [-depth, at[1]], color=plot.GREY, lw=1.2, zorder=1)
        matters = depth == 0 or lost.get(formula(tree), 0) > 0.05
        left.text(x, -depth, SIGNS.get(tree[0], tree[0]), ha="center", va="center", fontsize=11, color="white" if matters else plot.INK,
                  bbox={"boxstyle": "round", "fc": plot.BLUE if matters else "#dde3ea", "ec": "none"}, zorder=2)  # fmt: skip
        return x, -depth

    place(literal_eval(best["evolved"]["tree"]), 0)
    left.margins(0.15)
    left.set_axis_off()
    left.set_title("The best evolved tree; dark: a part that matters")
    terms = dict(sorted(lost.items(), key=lambda item: item[1])) or {"–": 0.0}
    plot.bars(
        terms, ax=right, fmt="{:.2f}", xlabel="score lost when 1 stands in its place", title="What its parts are worth"
    )
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_tree(study.results))


# %%
if __name__ == "__main__":
    found = "\n".join(
        f"| {i} | `{r['evolved']['formula']}` | `{r['random search']['formula']}` |"
        for i, r in enumerate(study.results)
    )
    lab.show(lab.Page("| search | evolved | best of random search |\n| ---: | :--- | :--- |\n" + found))

# %% [markdown]
# None of the formulas contains $w$. Each of the evolved ones adds the gradient to its running mean, as Nesterov's momentum and Lion
# do, and five of six take a root, which brings large and small steps nearer to each other: between SGD, which keeps their
# ratio, and Lion, which forgets it. Four shrink a part of the step with the decay. Random search found **Adam** in search 0, $m / (v + v)$, and four
# times a form of $\pm\sqrt{|m|}$. Parts that can be replaced by 1 without loss stay in the trees: each node costs 0.005 only.
#
# ## Compare, interpret
#
# The tree $m / v$ in our interpreter takes the steps of PyTorch's Adam, to the last digits of float64.
#
# Both claims hold as registered, and the second hardly means anything. Evolution's rules end below tuned SGD on 0.81 of the
# tasks, on every search on at least nine of twelve. But so do those of random search, on 0.82: *many* rules beat plain SGD,
# and the first claim does not show that evolution is needed. Between the two, evolution wins 0.51 of the tasks, where the bound was a half
# and the interval goes from 0.30 to 0.72. From these six searches one cannot tell them apart on held-out tasks.
#
# In what it was selected for, evolution is better on every search, by 0.12 to 0.6 in fitness. The failed extra says where this
# goes: on new instances of the *same* tasks, with 200 steps in place of 60, nothing is left of it ($-0.08$, from $-0.50$ to 0.34). Searches 0
# and 5 fitted the ten instances, their length and the constant rates. A pilot without random gradient scales was worse: its rule won two thirds of the
# tasks against SGD and a quarter against random search. Chen et al. meet the same problem with a funnel of larger and larger tasks;
# ours has one stage.
#
# Its place: the mean advantage over SGD is 0.94 for evolution, 0.93 for Adam, 1.14 for Muon (which uses the matrices that trees
# do not see), 0.78 for random search, 0.46 for momentum, $-0.14$ for Lion. Evolution wins 0.49 of the tasks against Adam, 0.25 against
# Muon, 0.74 against Lion. All of this is about the training loss of small problems after 200 steps; about generalisation,
# and about long training, it says nothing.
#
# <details><summary>The predictions</summary>
#
# 1. Adam and Lion: they are homogeneous of degree zero. 2. Some 80 %. 3. Evolution found no rule with a name on these six seeds (a pilot
# found $(0.1 g + m) / v$, Adam with Nesterov's momentum); random search found Adam.
# </details>
#
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("optimiser_search"))


# %%
def answer_scaled(results):
    """Which baselines end at the same loss, over the scale, if a quadratic is multiplied by 1,000."""
    task = instance(Function(QUADRATIC, 10), 50, np.random.default_rng(0))
    larger = task._replace(x=1000 * task.x)
    equal = [
        name
        for name in ("SGD", "momentum", "Adam", "Lion")
        if math.isclose(train(larger, postfix(BASELINES[name]), 0.01, False) / 1000,
                        train(task, postfix(BASELINES[name]), 0.01, False), rel_tol=1e-3)
    ]  # fmt: skip
    return " and ".join(equal) or "none"


def answer_blind(results):
    """On which of the search's tasks the rule u = w, without a gradient, ends below tuned SGD: mean of five instances."""
    generator, won = np.random.default_rng(0), []
    for name, kind in SEARCH_TASKS.items():
        pairs = [with_reference(instance(kind, 60, generator)) for _ in range(5)]
        if np.mean([reference - log_losses(task, ("w",)).min() for task, reference in pairs]) > 0:
            won.append(name)
    return won[0] if len(won) == 1 else "several" if won else "none"


def answer_chance(results):
    """Random search's mean advantage over SGD, over that of evolution."""
    evolved, random = (np.mean([mean_advantage(r, name) for r in results]) for name in ("evolved", "random search"))
    return float(random / evolved)


EXERCISES = [
    lab.Exercise(
        "The loss is multiplied by 1,000, the rate stays. Which take the same path as before?",
        answer_scaled,
        "$m / v$ and sign$(\\cdot)$ are homogeneous of degree zero in the gradient; $g$ and $m$ are not.",
        ("SGD and momentum", "Adam and Lion", "none", "SGD and momentum and Adam and Lion"),
    ),
    lab.Exercise(
        "The rule $u = w$ never sees a gradient. On which of the search's tasks does it end below tuned SGD, on average?",
        answer_blind,
        "At rate 1 it sets all parameters to zero, and that is the quadratic's minimum: the operand $w$ knows the answer. A "
        "search finds such leaks, if there are any; look for $w$ in the formulas before you believe a result.",
        ("none", *SEARCH_TASKS, "several"),
    ),
    lab.Exercise(
        "Which share of the evolved rules' mean advantage over SGD on the held-out tasks do the best rules of random search "
        "have?",
        answer_chance,
        "The control that tells 'evolution searches well' from 'any large sample of rules holds a good one'. The bars of "
        "the first picture give both numbers.",
        within=0.2,
    ),
]

# %% [markdown]
# ## Configurations and checks
#
# The first bound is the plan's. The second was set after pilots of the seeds 202 and 203, in which evolution won 0.67 and 0.92 of
# the tasks against random search; the history of this file has the settings of all pilots.

# %%
FULL = {
    "seeds": 6,
    "first_seed": 0,
    "evaluations": 2000,
    "population": 100,
    "tournament": 6,
    "nodes": 15,
    "finalists": 12,
    "steps": 60,
    "instances": 2,
    "new_steps": 200,
    "held_out": 12,
    "held_out_steps": 200,
    "tuning": 3,
    "measured": 5,
}
FAST = FULL | {
    "seeds": 1,
    "first_seed": 200,
    "evaluations": 120,
    "population": 20,
    "tournament": 5,
    "finalists": 5,
    "steps": 40,
    "new_steps": 40,
    "instances": 1,
    "held_out": 2,
    "held_out_steps": 40,
    "tuning": 1,
    "measured": 1,
}


def check(results, mode):
    """What must hold."""
    if mode == "fast":
        sgd = max(abs(result["baselines"]["SGD"]) for result in results)
        return [
            lab.check("SGD against itself: score, greatest of all", sgd, at_most=0),
            lab.check("evolved rule: score on the search's tasks", results[0]["evolved"]["search tasks"], at_least=0, origin="pilot"),
            lab.check("random search's rule: score on the search's tasks", results[0]["random search"]["search tasks"], at_least=-1,
                      origin="pilot"),
        ]  # fmt: skip

    def differences(value):
        return [value(result, "evolved") - value(result, "random search") for result in results]

    terms = [max((entry["lost"] for entry in result["ablation"]), default=0) for result in results]
    return [
        lab.check("evolved rule: share of held-out tasks on which it ends below tuned SGD",
                  [share_won(result, "evolved", "SGD") for result in results], at_least=0.75),
        lab.check("evolved rule: share of held-out tasks on which it ends below random search's",
                  [share_won(result, "evolved", "random search") for result in results], at_least=0.5, origin="pilot"),
        lab.check("evolved rule minus random search's: advantage over SGD on held-out tasks, ln loss",
                  differences(mean_advantage), at_least=0, extra=True),
        *lab.paired("evolved minus random: best fitness in the search", differences(lambda result, name: result[name]["fitness"]),
                    at_least=0, extra=True),
        lab.check("evolved minus random: score on new instances of the search's tasks",
                  differences(lambda result, name: result[name]["search tasks"]), at_least=0, extra=True),
        lab.check("evolved rule: share of held-out tasks on which it ends below tuned momentum",
                  [share_won(result, "evolved", "momentum") for result in results], at_least=0.5, extra=True),
        lab.check("ablation: greatest score lost when 1 stands for a part, mean of the searches", terms, at_least=0.1, extra=True),
    ]  # fmt: skip

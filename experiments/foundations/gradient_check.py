# %% [markdown]
# # Is a gradient right? Finite differences, and what a gradient costs
#
# **Claims.** (1) The error of a central difference falls with the square of its step (slope 2 ± 0.1), that of a forward
# difference with its first power (1 ± 0.1), until rounding takes over: for a formula of order $p$ the smallest error is
# about $\varepsilon^{p/(p+1)}$, at a step of about $\varepsilon^{1/(p+1)}$. (2) With the central difference at
# $h = \varepsilon^{1/3}$, **every** differentiable function of `nn.functional` and every operation of `Tensor` has the
# gradient that its finite differences say, to $10^{-7}$. (3) The backward of each takes at most 4 times the arithmetic
# of its forward, if that does any, however many inputs it has: the cheap-gradient principle.
#
# **Papers.** W. Baur and V. Strassen (1983), *The complexity of partial derivatives*; A. Griewank and A. Walther
# (2008), *Evaluating Derivatives*; W. Squire and G. Trapp (1998), *Using complex variables to estimate derivatives of
# real functions*, for the last curve of the first picture. The step of a finite difference is textbook knowledge.
#
# | | the papers | here |
# | :--- | :--- | :--- |
# | functions | any composition of elementary operations | the functions and tensor operations of `nn`, small random tensors, float64 |
# | cost | a theorem: function and gradient together at most 4 to 5 times the function, as operations are counted | counted: the backward alone at most 4 times the forward |
# | what counts | arithmetic operations and memory moves, each with a weight | arithmetic, comparisons and elementary functions, 1 each; no moves |
# | seeds | none | 5: other tensors, other directions |
#
# **Predict first.**
# 1. You may choose the step $h$ of a central difference in float64. Is $10^{-15}$ better than $10^{-5}$?
# 2. In float32, where $\varepsilon \approx 10^{-7}$: how many digits of a gradient can a central difference confirm?
# 3. A network has a million weights. How many forward passes does its gradient cost by finite differences, and how many
#    by backpropagation?

# %%

import numpy as np

import kernels
import nn
from experiments import lab, side_by_side
from experiments.counting import counted_flops
from experiments.operations import Case, functions, normal, tensor_operations
from kernels.activation.logistic import tanh_naive
from kernels.reference.activation import tanh_backward
from nn import functional as F
from nn import plot
from nn.tape import record

CARD = lab.Card(
    title="Is a gradient right? Finite differences, and what a gradient costs",
    claim="Central differences err as h² (slope 2 ± 0.1); every operation's gradient agrees to 1e-7; a backward is ≤ 4 forwards",
    paper="Baur and Strassen (1983), The complexity of partial derivatives; Griewank and Walther (2008)",
    grade="A",
    seconds=15,
)

# %%
if __name__ == "__main__":
    study = lab.study("gradient_check")
    lab.show(study)

# %%
if __name__ == "__main__":
    lab.show(lab.load("gradient_check").draw_v(study.results))

# %% [markdown]
# Towards smaller steps, each error falls first along a straight line whose slope is its order; below the best step, all rise together with
# $\varepsilon/h$: rounding does not care which formula it ruins. The circles are theory's
# $(\varepsilon^{1/(p+1)}, \varepsilon^{p/(p+1)})$, without any constant, and the tips of the V lie beside them. A higher
# order wins twice, by a larger step and by a lower floor. In float32 everything moves to larger errors and larger steps: a step of
# $10^{-6}$, excellent in float64, gives nonsense there, and below $10^{-8}$ nothing moves at all, the difference is 0,
# and the error is all of the slope. The complex step takes no difference, and so has no left arm.

# %% [markdown]
# ## Derive
# **The step.** Taylor's theorem, for a function $f$ of one variable:
#
# $$\frac{f(x+h)-f(x)}{h} = f'(x) + \frac h2 f''(\xi),\qquad
#   \frac{f(x+h)-f(x-h)}{2h} = f'(x) + \frac{h^2}6 f'''(\xi).$$
#
# The odd symmetry of the second removes every even term. With four points, a combination of two central differences
# removes the $h^2$ term as well:
#
# $$\frac{8\,[f(x+h)-f(x-h)]-[f(x+2h)-f(x-2h)]}{12h} = f'(x) - \frac{h^4}{30}f^{(5)}(\xi).$$
#
# So a formula of order $p$ errs by $C h^p$. But each $f$ is known to a relative error of about $\varepsilon$ only, and the
# difference of two nearly equal numbers, divided by $h$, errs by about $\varepsilon|f|/h$. The sum is smallest where its
# derivative vanishes:
#
# $$E(h) = C h^p + \frac{\varepsilon|f|}h,\quad pCh^{p-1} = \frac{\varepsilon|f|}{h^2}
#   \;\Rightarrow\; h^* = \Big(\frac{\varepsilon|f|}{pC}\Big)^{1/(p+1)} \sim \varepsilon^{1/(p+1)},\qquad
#   E(h^*) \sim \varepsilon^{p/(p+1)}.$$
#
# In float64 ($\varepsilon = 2.2\cdot10^{-16}$) a central difference is best near $\varepsilon^{1/3} = 6\cdot10^{-6}$ and
# confirms about ten digits; in float32 ($1.2\cdot10^{-7}$) near $5\cdot10^{-3}$, and four or five digits. A check of
# gradients therefore works in float64. If $f$ can take complex numbers there is no difference to take: $f(x+ih) = f(x) +
# ihf'(x) - \frac{h^2}2f''(x) - \dots$, so $\operatorname{Im} f(x+ih)/h = f'(x) + O(h^2)$, without a floor.
#
# **The tensor.** An operation $y = g(x_1, x_2, \dots)$ has many outputs. With a fixed random $v$, $f = \sum_j v_jy_j$ is
# one number, and its gradient is what `backward` computes from $\partial f/\partial y = v$. A wrong entry of the
# Jacobian changes it for almost every $v$. Each coordinate of each input is moved by $\pm h$: two forwards a coordinate.
#
# **The kinks.** ReLU, $|x|$, a maximum have no derivative at isolated points. A random input lies within $h$ of such a
# point with a probability of about $10^{-5}$ an element, so random tensors are good enough where $h$ is small.
#
# **The cost.** Let $f$ be computed by elementary steps $u_k = \varphi_k(u_i, u_j)$. Backpropagation visits each once,
# from the last to the first, and does
#
# $$\bar u_i \mathrel{+}= \bar u_k\,\frac{\partial\varphi_k}{\partial u_i},\qquad
#   \bar u_j \mathrel{+}= \bar u_k\,\frac{\partial\varphi_k}{\partial u_j}.$$
#
# For a product that is 2 multiplications and 2 additions in place of 1 operation; for a sum only 2 additions; for a
# function of one variable $\varphi'$, a product and an addition. So there is a constant bound, a small multiple of the
# forward, **whatever the number of inputs**. A matrix product $Y = XW^\top$ of $2MKN$ operations has the two gradients
# $\bar YW$ and $\bar Y^\top X$ of as many each: ratio 2. Finite differences need $2n$ forwards for $n$ inputs.

# %% [markdown]
# ## Implement
# A function and its derivative, as two rungs of `kernels` have them: nothing ties the second to the first but the test
# below.

# %%
if __name__ == "__main__":
    lab.show(lab.source(tanh_naive))
    lab.show(lab.source(tanh_backward))

# %% [markdown]
# The cases themselves, every function of `nn.functional` and every operation of `Tensor` with its inputs, are listed in
# [`operations.py`](../operations.py).
#
# ### The check of one operation
# Each coordinate of each input is moved by $\pm h$, and the change of $\sum_j v_jy_j$ is divided by $2h$.

# %%
STEP = np.finfo(np.float64).eps ** (1 / 3)  # 6.1e-6
# Functions without a case here: one_hot has no gradient, tests/nn/test_autograd.py checks the others.
ELSEWHERE = frozenset(
    [
        "one_hot",
        "adaptive_max_pool1d_with_indices",
        "adaptive_max_pool2d_with_indices",
        "adaptive_max_pool3d_with_indices",
        "affine_grid",
        "alpha_dropout",
        "bilinear",
        "celu_",
        "channel_shuffle",
        "cosine_embedding_loss",
        "cosine_similarity",
        "ctc_loss",
        "elu_",
        "feature_alpha_dropout",
        "fractional_max_pool2d",
        "fractional_max_pool2d_with_indices",
        "fractional_max_pool3d",
        "fractional_max_pool3d_with_indices",
        "gaussian_nll_loss",
        "grid_sample",
        "gumbel_softmax",
        "hardshrink",
        "hardtanh_",
        "hinge_embedding_loss",
        "leaky_relu_",
        "margin_ranking_loss",
        "max_pool1d_with_indices",
        "max_pool2d_with_indices",
        "max_pool3d_with_indices",
        "multi_head_attention_forward",
        "multi_margin_loss",
        "multilabel_margin_loss",
        "multilabel_soft_margin_loss",
        "native_channel_shuffle",
        "normalize",
        "pairwise_distance",
        "pdist",
        "poisson_nll_loss",
        "relu_",
        "rrelu",
        "rrelu_",
        "selu_",
        "soft_margin_loss",
        "softmin",
        "softshrink",
        "softsign",
        "tanhshrink",
        "threshold",
        "threshold_",
        "triplet_margin_loss",
        "triplet_margin_with_distance_loss",
        "upsample",
        "upsample_bilinear",
        "upsample_nearest",
    ]
)


def results_of(case, library, tensors):
    """The results of an operation as a tuple."""
    y = (case.twin if case.twin and library is not nn else case.apply)(library, *tensors)
    return tuple(y) if isinstance(y, tuple | list) else (y,)


def gradients(case, library, arrays, v):
    """The gradients of the sum of v · y by backpropagation, as arrays."""
    make = library.tensor
    tensors = [
        make(a, requires_grad=True) if i.differentiated else make(a) for a, i in zip(arrays, case.inputs, strict=True)
    ]
    total = sum((y * make(vi)).sum() for y, vi in zip(results_of(case, library, tensors), v, strict=True))
    total.backward()
    return [np.asarray(t.grad) for t, i in zip(tensors, case.inputs, strict=True) if i.differentiated]


def central_differences(case, arrays, v, h=STEP):
    """The same gradients by central differences, coordinate by coordinate."""
    tensors = [nn.from_numpy(array) for array in arrays]  # on the same memory

    def f():
        with nn.no_grad():
            return sum(np.sum(y.array * vi) for y, vi in zip(results_of(case, nn, tensors), v, strict=True))

    found = []
    for array in (a for a, i in zip(arrays, case.inputs, strict=True) if i.differentiated):
        g = np.empty_like(array)
        for index in np.ndindex(array.shape):
            x = array[index]
            array[index] = x + h
            above, right = f(), array[index]
            array[index] = x - h
            g[index] = (above - f()) / (right - array[index])  # the step that was taken: x + h is rounded, too
            array[index] = x
        found.append(g)
    return found


def distance(found, expected):
    """The largest difference of two lists of gradients, relative where they are larger than 1."""
    return max(float(np.abs(a - b).max() / max(1, np.abs(b).max())) for a, b in zip(found, expected, strict=True))


def checked(case, rng):
    """Of one operation: the distance of its gradient from central differences and from PyTorch's."""
    import torch

    arrays, v = drawn(case, rng)
    ours = gradients(case, nn, arrays, v)
    return {
        "differences": distance(ours, central_differences(case, arrays, v)),
        "torch": distance(ours, gradients(case, torch, arrays, v)),
    }


def drawn(case, rng):
    """Inputs of an operation, and a random v for each of its results."""
    arrays = [np.array(i.draw(rng)) for i in case.inputs]
    return arrays, [rng.standard_normal(y.shape) for y in results_of(case, nn, [nn.tensor(a) for a in arrays])]


# %% [markdown]
# ### Formulas of three orders, along a direction
# For the curves, all inputs move together along random directions $d$ of length 1, in either precision. The exact
# slope is the gradient (float64) times $d$.

# %%
FORMULAS = {  # name -> (order p, factor of f at each number of steps)
    "forward": (1, {0: -1, 1: 1}),
    "central": (2, {-1: -1 / 2, 1: 1 / 2}),
    "four points": (4, {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12}),
}
STEPS = 10 ** np.linspace(-13, 0, 53)
CURVES = {
    "tanh network": Case(lambda L, x, a, b: (x @ a).tanh() @ b, (normal(4, 8), normal(8, 8), normal(8, 2))),
    **{name: functions()[name] for name in ("feed_forward", "softmax", "layer_norm", "lstm")},
    "attention": functions()["scaled_dot_product_attention"],
    "ReLU network": Case(lambda L, x, a, b: (x @ a).relu() @ b, (normal(4, 8), normal(8, 8), normal(8, 2))),
}


def values_along(case, arrays, v, direction, h, dtype):
    """The sum of v · y at -2, -1, 0, 1 and 2 steps along a direction, computed in `dtype`, summed in float64."""
    found = {}
    for k in range(-2, 3):
        with nn.no_grad():
            ys = results_of(
                case, nn, [nn.tensor((a + k * h * d).astype(dtype)) for a, d in zip(arrays, direction, strict=True)]
            )
        found[k] = sum(np.sum(y.array.astype(np.float64) * vi) for y, vi in zip(ys, v, strict=True))
    return found


def random_direction(arrays, rng):
    """One array for each input; all together have length 1."""
    parts = [rng.standard_normal(a.shape) for a in arrays]
    length = np.sqrt(sum(np.sum(part**2) for part in parts))
    return [part / length for part in parts]


def curves(case, directions, dtype, rng):
    """Formula -> median over directions of the relative error of the slope, at each of `STEPS`."""
    arrays, v = drawn(case, rng)
    arrays = [a.astype(dtype).astype(np.float64) for a in arrays]  # so that float32 starts from the same numbers
    gradient = gradients(case, nn, arrays, v)
    found, slopes = {name: [] for name in FORMULAS}, []
    for _ in range(directions):
        direction = random_direction(arrays, rng)
        slopes.append(sum(np.sum(g * d) for g, d in zip(gradient, direction, strict=True)))
        values = [values_along(case, arrays, v, direction, h, dtype) for h in STEPS]
        for name, (_, factors) in FORMULAS.items():
            differences = [sum(c * f[k] for k, c in factors.items()) / h for f, h in zip(values, STEPS, strict=True)]
            found[name].append(np.abs(np.array(differences) - slopes[-1]))
    scale = np.sqrt(np.mean(np.square(slopes)))
    return {name: np.median(errors, axis=0) / scale for name, errors in found.items()}


def complex_step(directions, rng):
    """The same errors of Im f(x + ihd) / h for the tanh network, in NumPy; and with a step of 1e-100."""
    case = CURVES["tanh network"]
    arrays, v = drawn(case, rng)
    gradient = gradients(case, nn, arrays, v)
    slopes, found = [], []
    for _ in range(directions):
        direction = random_direction(arrays, rng)
        slopes.append(sum(np.sum(g * d) for g, d in zip(gradient, direction, strict=True)))
        row = []
        for h in [*STEPS, 1e-100]:
            x, a, b = (array + 1j * h * d for array, d in zip(arrays, direction, strict=True))
            row.append(abs(np.sum(v[0] * (np.tanh(x @ a) @ b)).imag / h - slopes[-1]))
        found.append(row)
    return np.median(found, axis=0) / np.sqrt(np.mean(np.square(slopes)))


# %% [markdown]
# ### Wrong gradients
# A check that cannot fail shows nothing. Four plausible mistakes, each with the right forward:

# %%
MISTAKES = {
    "none": F.gelu,
    "GELU: the slope of its tanh approximation": lambda x: _wrong(
        x, kernels.gelu, lambda dy, x, y: kernels.gelu_backward(dy, x, "tanh")
    ),
    "tanh: 1 − y in place of 1 − y²": lambda x: _wrong(x, kernels.tanh, lambda dy, x, y: dy * (1 - y)),
    "softmax: the sum forgotten": lambda x: _wrong(x, lambda x: kernels.softmax(x, -1), lambda dy, x, y: dy * y),
    "mean: divided by n − 1": lambda x: _wrong(x, np.mean, lambda dy, x, y: np.full_like(x, dy / (x.size - 1))),
}


def _wrong(input, forward, backward):
    x = input.array
    y = forward(x)
    return record("mistake", y, (input,), lambda dy: backward(dy, x, y))


def detected(rng):
    """Mistake -> "formula, precision" -> relative error along one direction, at the step ε^(1/(p+1))."""
    table = {}
    for name, function in MISTAKES.items():
        case = Case(lambda L, x, function=function: function(x), (normal(8, 16),))
        arrays, v = drawn(case, rng)
        arrays = [a.astype(np.float32).astype(np.float64) for a in arrays]
        gradient, direction = gradients(case, nn, arrays, v), random_direction(arrays, rng)
        slope, row = np.sum(gradient[0] * direction[0]), {}
        for dtype in (np.float64, np.float32):
            for formula, (p, factors) in FORMULAS.items():
                h = np.finfo(dtype).eps ** (1 / (p + 1))
                f = values_along(case, arrays, v, direction, h, dtype)
                measured = sum(c * f[k] for k, c in factors.items()) / h
                row[f"{formula}, {np.dtype(dtype).name}"] = abs(measured - slope) / abs(measured)
        table[name] = row
    return table


# %% [markdown]
# ### Counting
# `kernels.reference` holds every kernel once more in plain NumPy. There, an array can count: each ufunc adds its number
# of results, each sum the number of its terms, each matrix product $2MKN$, each selection its number of elements. With
# the reference in place of the compiled loops, the tape runs as ever, and the counter says what it did
# ([`counting.py`](../counting.py)). Every function with a case is counted. One of them, `linear_cross_entropy`, is counted as
# the reference computes it, logits once more in its backward; the compiled one makes its gradients in the forward.


# %%
def operation_flops(case, rng):
    """[forward, backward] of an operation."""
    return counted_flops(lambda tensors: results_of(case, nn, tensors), case.inputs, *drawn(case, rng))


# %% [markdown]
# Whole networks are counted alike, with a batch of 16 and the gradients of all parameters; and a perceptron with one
# hidden layer of growing width, to see the number of parameters grow.


# %%
def networks():
    """Name -> (network, shape of its input)."""
    conv = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(192, 10)
    )
    return {
        "perceptron": (nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), (16, 64)),
        "convolutional": (conv, (16, 1, 14, 14)),
        "LSTM": (nn.LSTM(16, 32), (12, 16, 16)),
        "transformer layer": (nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0), (12, 16, 32)),
    }


def network_flops(network, shape, rng):
    """[forward, backward, number of parameters]."""
    network, x = network.double(), rng.standard_normal(shape)
    parameters = sum(p.numel() for p in network.parameters())

    def function(tensors):
        y = network(tensors[0])
        return (y[0] if isinstance(y, tuple) else y,)

    v = [np.ones(function([nn.tensor(x)])[0].shape)]
    return [*counted_flops(function, (normal(*shape)._replace(differentiated=False),), [x], v), parameters]


# %% [markdown]
# ### One seed


# %%
def run(config, seed):
    """All operations, curves, mistakes and counts."""
    data, initialisation, _ = lab.streams(seed)
    nn.manual_seed(int(initialisation.integers(2**32)))
    cases, tensors = functions(), tensor_operations()
    growing = {
        str(width): nn.Sequential(nn.Linear(16, width), nn.Tanh(), nn.Linear(width, 1)) for width in config["widths"]
    }
    return {
        "functions": {name: checked(case, data) for name, case in cases.items()},
        "tensors": {name: checked(case, data) for name, case in tensors.items()},
        "flops": {name: operation_flops(case, data) for name, case in cases.items()},
        "without_case": sorted(set(F.__all__) - {name.split()[0] for name in cases} - ELSEWHERE),
        "curves": {
            name: {
                np.dtype(dtype).name: curves(case, config["directions"], dtype, data)
                for dtype in (np.float64, np.float32)
            }
            for name, case in CURVES.items()
        },
        "complex": complex_step(config["directions"], data),
        "mistakes": detected(data),
        "networks": {name: network_flops(*pair, data) for name, pair in networks().items()},
        "growing": {width: network_flops(network, (16, 16), data) for width, network in growing.items()},
        "sixth": abs(hardsigmoid_slope() - 1 / 6),
    }


def hardsigmoid_slope():
    x = nn.tensor([0.5], dtype=np.float64, requires_grad=True)
    F.hardsigmoid(x).sum().backward()
    return float(x.grad.array[0])


def compare(config, seed):
    """One operation a step: the sum of all its gradients times random numbers, in both libraries."""
    import torch

    data, _, _ = lab.streams(seed)
    cases = [case for name, case in (functions() | tensor_operations()).items() if name != "hardsigmoid"]
    given = [(case, *drawn(case, data)) for case in cases]
    factors = [[data.standard_normal(a.shape) for a in arrays] for _, arrays, _ in given]

    def steps(library):
        for (case, arrays, v), numbers in zip(given, factors, strict=True):
            found = gradients(case, library, arrays, v)
            wanted = [n for n, i in zip(numbers, case.inputs, strict=True) if i.differentiated]
            yield float(sum(np.sum(g * n) for g, n in zip(found, wanted, strict=True)))

    ours, theirs = steps(nn), steps(torch)
    return side_by_side.duel(
        lambda: next(ours), lambda: next(theirs), steps=len(given), rounds=0, tolerance=side_by_side.TOLERANCE[True]
    )


# %% [markdown]
# ## Every operation, every mistake

# %%
if __name__ == "__main__":
    lab.show(lab.load("gradient_check").draw_functions(study.results))

# %% [markdown]
# One V for all: normalisation, attention and a recurrent layer over time differ by constants only. The row of the ReLU
# network is the exception that explains the others. Between its kinks it is a polynomial of the direction, a product of
# two linear layers, for which the formula of four points makes no error at all: there is nothing to fit a slope
# to, only rounding and, at large steps, kinks that the step has crossed.

# %%
if __name__ == "__main__":
    lab.show(lab.load("gradient_check").draw_operations(study.results))
    theirs = max(result["functions"]["hardsigmoid"]["torch"] for result in study.results)
    ours = max(result["sixth"] for result in study.results)
    print(f"hardsigmoid: PyTorch's gradient differs from ours by {theirs:.1e}, our slope from 1/6 by {ours:.0e}")

# %% [markdown]
# Blue: what central differences can say at all, about $10^{-10}$, the floor of theory; no operation stands out. Orange:
# two libraries, two sets of formulas, and equal to the last bit or two. The one orange point far from the others is a
# find: in float64 the gradient of PyTorch's `hardsigmoid` is off by almost $10^{-8}$, as its slope of 1/6 passes through
# a float32. The blue point beside it says which of the two is right. The usual tolerance of $10^{-7}$ would have let the
# other pass, too: a bound is only worth the distance at which the right ones lie from it.

# %% [markdown]
# ### The cost

# %%
if __name__ == "__main__":
    lab.show(lab.load("gradient_check").draw_costs(study.results))
    silent = {name: b for name, (f, b) in study.results[0]["flops"].items() if not f}
    print("no arithmetic in the forward; operations of the backward:", silent)
    fused = ("linear_cross_entropy", "gru", "rnn", "gru_cell", "rnn_cell")
    print(
        "backward / forward:",
        {name: round(lab.load("gradient_check").ratios(study.results[0])[name], 2) for name in fused},
    )

# %% [markdown]
# Cheapest are the losses and the poolings, whose forward compares or takes logarithms and whose backward only
# distributes. A product of matrices has its 2. Convolutions come out at up to 4 because the reference
# that is counted spreads gradients between zeros and multiplies those, too: the compiled loops do not. Not in
# the picture are the functions whose forward does no arithmetic at all, listed above with what their backward counts: most
# move elements back as they moved them forth, but `embedding`, `embedding_bag` with the maximum and `unfold` add what the forward
# had copied, so that their ratio is infinite unless, as in the theorem, a move counts as an operation. Whole networks need one to two forwards: no gradient is wanted for the data, which saves the first
# layer one of its two products.

# %%
if __name__ == "__main__":
    lab.show(lab.load("gradient_check").draw_growth(study.results))

# %% [markdown]
# The whole of deep learning is in the distance between these lines. At a million parameters a gradient by finite
# differences costs two million forwards; by backpropagation it costs what two or three of them do.

# %% [markdown]
# ## Compare
# PyTorch runs the same operations on the same numbers, and each gradient is multiplied by the same random numbers: the
# sums must agree. The verdict below says how well.
#
# ## Interpret
# ### The variants: which check finds which mistake?

# %%
if __name__ == "__main__":
    lab.show(lab.load("gradient_check").draw_mistakes(study.results))

# %% [markdown]
# A check finds a mistake if its number stands out from the first row, which has none. In float64 every formula
# separates all four, the central difference by four powers of ten and more. In float32 the margin of the subtle one, the
# slope of an approximation in place of that of the function, shrinks to a factor, and on some seeds to nothing. Such
# mistakes are the dangerous kind, since a network trains with them, only a little worse.
#
# ### What the verdict means
# That every gradient of the library is the derivative of its forward, at random points, in float64, to about ten digits;
# and that it equals PyTorch's to fifteen. It does not say that a *forward* is right (the comparison with PyTorch does),
# nor that float32 gradients are accurate: they come from the same formulas, and the tests of the kernels judge
# their rounding. It says nothing about points on a kink, where a derivative is a convention, nor about the cost in
# seconds: memory traffic, not arithmetic, decides for the elementwise operations.
#
# <details><summary>The predictions</summary>
#
# 1. No: at $10^{-15}$ rounding is all that is left. 2. Four or five. 3. Two million; two or three.
# </details>
#
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("gradient_check"))


# %%
def answer_step(results):
    """log₁₀ of the best step of the central difference in float32."""
    errors = np.median(of_curves(results, "tanh network", "float32", "central"), axis=0)
    return float(np.log10(STEPS[errors.argmin()]))


def answer_half(results):
    """Backward over forward of a linear layer that needs no gradient of its input."""
    inputs = (normal(32, 64)._replace(differentiated=False), normal(16, 64))
    case = Case(lambda L, x, w: F.linear(x, w), inputs)
    forward, backward = operation_flops(case, np.random.default_rng(0))
    return backward / forward


def answer_mistake(results):
    """The formula whose error for the subtle mistake stands out most in float32, over the error without a mistake."""
    subtle, none = (
        {formula: np.median([r["mistakes"][row][f"{formula}, float32"] for r in results]) for formula in FORMULAS}
        for row in ("GELU: the slope of its tanh approximation", "none")
    )
    return max(FORMULAS, key=lambda formula: subtle[formula] / none[formula])


EXERCISES = [
    lab.Exercise(
        "Central differences in float32, $\\varepsilon = 1.2\\cdot10^{-7}$. What is $\\log_{10}$ of the best step?",
        answer_step,
        "$\\varepsilon^{1/3} = 5\\cdot10^{-3}$, so $-2.3$; the constants of this function move it by a third of a power of ten.",
        within=0.35,
    ),
    lab.Exercise(
        "The first layer of a network, linear without a bias, gets the data as its input. How many of its forwards does its "
        "backward cost?",
        answer_half,
        "One product, $\\bar Y^\\top X$, of $2MKN$ operations. The other one, $\\bar YW$, would be the gradient of the data.",
        within=0.05,
    ),
    lab.Exercise(
        "The slope of GELU's tanh approximation stands in place of GELU's own. Only float32 is at hand. With which formula "
        "does the mistake stand out most?",
        answer_mistake,
        "The floor falls with the order, $\\varepsilon^{p/(p+1)}$, and the mistake stays as it is.",
        choices=("forward", "central", "four points"),
    ),
]

# %% [markdown]
# ## Configurations and checks
#
# The slopes are fitted between ten times the best step of theory and 0.1, and averaged over the seeds. Where the floor
# lies is a matter of constants, so only its order of magnitude is asked for. The claim is the three statements of the card.

# %%
FULL = {"seeds": 5, "directions": 16, "widths": [1, 4, 16, 64, 256, 1024]}
FAST = FULL | {"seeds": 1, "directions": 4, "widths": [1, 16]}


PILOT = {"extra": True, "origin": "pilot"}


def slope(errors, order):
    """The exponent of h in the errors, in the range where truncation rules (float64)."""
    chosen = (STEPS >= 10 * np.finfo(np.float64).eps ** (1 / (order + 1))) & (STEPS <= 0.1)
    return np.polyfit(np.log(STEPS[chosen]), np.log(np.array(errors)[chosen]), 1)[0]


def of_curves(results, name, dtype, formula):
    """(seeds, steps): the errors of a formula on a function."""
    return np.array([result["curves"][name][dtype][formula] for result in results])


def check(results, mode):
    """What must hold, in both modes: nothing here is a matter of training."""
    order = ["central", "forward", "four points"]
    checks = []
    for formula in order:
        p = FORMULAS[formula][0]
        slopes = [slope(errors, p) for errors in of_curves(results, "tanh network", "float64", formula)]
        bounds = {"at_least": p - 0.1 * max(1, p / 2), "at_most": p + 0.1 * max(1, p / 2)}
        kind = PILOT if formula == "four points" else {}
        checks.append(lab.check(f"slope of the error, {formula} difference", slopes, **bounds, **kind))
    for dtype in ("float64", "float32"):
        eps = np.finfo(dtype).eps
        errors = np.median(of_curves(results, "tanh network", dtype, "central"), axis=0)
        best, floor = STEPS[errors.argmin()] / eps ** (1 / 3), errors.min() / eps ** (2 / 3)
        checks.append(lab.check(f"central, {dtype}: best step over ε^(1/3)", best, at_least=0.1, at_most=10, **PILOT))
        checks.append(
            lab.check(f"central, {dtype}: least error over ε^(2/3)", floor, at_least=0.1, at_most=10, **PILOT)
        )
    complex_errors = [result["complex"][0] for result in results] + [result["complex"][-1] for result in results]
    checks.append(lab.check("complex step, h = 1e-13 and 1e-100: error", max(complex_errors), at_most=1e-14, **PILOT))
    return checks + checks_of_operations(results) + checks_of_costs(results)


def worst(results, family, what, *, without=()):
    return max(v[what] for result in results for name, v in result[family].items() if name not in without)


def checks_of_operations(results):
    missing = max(len(result["without_case"]) for result in results)
    right = [result["mistakes"]["none"]["central, float64"] for result in results]
    wrong = [row["central, float64"] for r in results for name, row in r["mistakes"].items() if name != "none"]
    return [
        lab.check("differentiable functions of nn.functional without a case, here or in the tests", missing, at_most=0),
        lab.check(
            "functions: |gradient − differences|, largest", worst(results, "functions", "differences"), at_most=1e-7
        ),
        lab.check(
            "tensor operations: |gradient − differences|, largest",
            worst(results, "tensors", "differences"),
            at_most=1e-7,
        ),
        lab.check(
            "functions but hardsigmoid: |gradient − PyTorch's|, largest",
            worst(results, "functions", "torch", without=["hardsigmoid"]),
            at_most=1e-12,
            **PILOT,
        ),
        lab.check(
            "tensor operations: |gradient − PyTorch's|, largest",
            worst(results, "tensors", "torch"),
            at_most=1e-12,
            **PILOT,
        ),
        lab.check("hardsigmoid: |slope − 1/6|", max(r["sixth"] for r in results), at_most=1e-15, **PILOT),
        lab.check(
            "least error of a wrong gradient over largest of the right one",
            min(wrong) / max(right),
            at_least=100,
            **PILOT,
        ),
    ]


def ratios(result):
    """Backward over forward of every function whose forward does arithmetic."""
    return {name: b / f for name, (f, b) in result["flops"].items() if f}


def checks_of_costs(results):
    counted = [result["flops"]["linear"] for result in results]
    shape = 2 * 3 * 4 * 5
    return [
        lab.check(
            f"backward over forward, largest of {len(ratios(results[0]))} functions with arithmetic in their forward",
            max(max(ratios(r).values()) for r in results),
            at_most=4,
        ),
        lab.check(
            "backward over forward, largest of the networks",
            max(b / f for r in results for f, b, _ in r["networks"].values()),
            at_most=4,
            extra=True,
        ),
        lab.check(
            "the counter on a linear layer, minus 2MKN + MN and 4MKN + MN",
            max(abs(f - shape - 15) + abs(b - 2 * shape - 15) for f, b in counted),
            at_most=0,
            extra=True,
        ),
    ]


# %% [markdown]
# ## Drawing

# %%


def draw_v(results):
    """Error against step: the formulas and, in float64, the complex step; dotted, the floors of theory."""
    figure, panels = plot.figure(10, 4, columns=2, sharey=True)
    for ax, dtype in zip(panels, ("float64", "float32"), strict=True):
        series = {formula: of_curves(results, "tanh network", dtype, formula) for formula in FORMULAS}
        if dtype == "float64":
            series["complex step"] = np.array([result["complex"][:-1] for result in results])
        plot.curves(series, STEPS, ax=ax, band=None)
        for (p, _), colour in zip(FORMULAS.values(), plot.COLOURS, strict=False):
            eps = np.finfo(dtype).eps
            ax.plot(eps ** (1 / (p + 1)), eps ** (p / (p + 1)), "o", ms=9, mfc="none", mec=colour, mew=2)
        ax.set(
            xscale="log",
            yscale="log",
            ylim=(1e-17, 1e3),
            xlabel="step h",
            title=f"{dtype}; circles: theory's best; bold: median",
        )
        for text in ax.get_legend().get_texts():
            text.set_text(text.get_text().split(", median")[0])
    panels[0].set_ylabel("relative error of the slope")
    return figure


def draw_functions(results):
    """Central differences of several operations, and the measured orders."""
    figure, (left, right) = plot.figure(10, 4, columns=2)
    medians = {name: np.median(of_curves(results, name, "float64", "central"), axis=0) for name in CURVES}
    plot.curves(medians, STEPS, ax=left, band=None)
    left.set(
        xscale="log",
        yscale="log",
        ylim=(1e-16, 1e2),
        xlabel="step h",
        ylabel="relative error",
        title="One V for all: central difference, float64",
    )
    table = [
        [
            np.mean([slope(e, p) for e in of_curves(results, name, "float64", formula)])
            for formula, (p, _) in FORMULAS.items()
        ]
        for name in CURVES
    ]
    plot.grid(
        table, list(CURVES), list(FORMULAS), ax=right, limits=(0, 5), title="exponent of h", label="measured exponent"
    )
    return figure


def draw_operations(results):
    """Every case by name: the largest distance over seeds from central differences, and from PyTorch."""
    figure, panels = plot.figure(13, 8, columns=4)
    names = {n: "functions" for n in results[0]["functions"]} | {n: "tensors" for n in results[0]["tensors"]}
    for axes, part in zip(panels, np.array_split(list(names), 4), strict=True):
        places = np.arange(len(part))
        for what, colour in (("differences", plot.BLUE), ("torch", plot.ORANGE)):
            values = [max(result[names[name]][name][what] for result in results) for name in part]
            axes.plot(np.maximum(values, 1e-17), places, "o", ms=4, color=colour)
        axes.axvline(1e-7, color=plot.INK, lw=0.8, ls=":")
        axes.set(xscale="log", xlim=(3e-18, 1e-6), ylim=(len(part), -1), xticks=[1e-17, 1e-12, 1e-7])
        axes.set_yticks(places, [str(name).replace("scaled_dot_product_", "") for name in part], fontsize=9)
    figure.suptitle(
        "Distance of each gradient from central differences (blue) and PyTorch (orange); 0 is drawn at 1e-17"
    )
    return figure


def draw_costs(results):
    """Backward over forward of the functions that compute something, and of whole networks."""
    figure, panels = plot.figure(13, 6.5, columns=4)
    table = ratios(results[0])
    order = sorted(table, key=table.get, reverse=True)
    for axes, part in zip(panels, np.array_split(order, 3), strict=False):
        axes.barh(range(len(part)), [table[name] for name in part], color=plot.BLUE, height=0.7)
        names = [str(name).replace("scaled_dot_product_", "") for name in part]
        axes.set_yticks(range(len(part)), names, fontsize=9)
        axes.set(xlabel="backward / forward", ylim=(len(part), -1))
    networks = {
        name: np.mean([r["networks"][name][1] / r["networks"][name][0] for r in results])
        for name in results[0]["networks"]
    }
    panels[-1].barh(range(len(networks)), networks.values(), color=plot.GREEN, height=0.7)
    panels[-1].set_yticks(range(len(networks)), networks, fontsize=9)
    panels[-1].set(xlabel="backward / forward", title="Whole networks", ylim=(28, -1))
    for axes in panels:
        axes.axvline(4, color=plot.ORANGE, lw=1.5)
        axes.set_xlim(0, 4.4)
    figure.suptitle(
        f"No backward costs more than 4 forwards: {len(order)} functions that compute something, 4 networks"
    )
    return figure


def draw_growth(results):
    """The cost of a gradient in forwards, against the number of parameters."""
    figure, ax = plot.figure(6, 4)
    found = [result["growing"].values() for result in results]
    parameters = np.array([p for _, _, p in found[0]])
    backward = np.array([[1 + b / f for f, b, _ in each] for each in found])
    ax.plot(parameters, 2 * parameters, color=plot.ORANGE, marker="o", label="central differences: 2P")
    ax.plot(parameters, backward.mean(axis=0), color=plot.BLUE, marker="o", label="forward and backward, counted")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="parameters P",
        ylabel="forwards",
        title="A gradient costs 2P forwards, or two to three",
    )
    ax.legend()
    return figure


def draw_mistakes(results):
    """Mistake × formula × precision: the relative error along a direction, as a power of ten."""
    figure, ax = plot.figure(10, 3.6)
    names = list(results[0]["mistakes"])
    ways = list(results[0]["mistakes"]["none"])
    table = np.median([[[r["mistakes"][n][w] for w in ways] for n in names] for r in results], axis=0)
    plot.grid(np.log10(table), names, ways, ax=ax, fmt="{:.1f}", label="log₁₀ of the relative error")
    ax.set_title("Which check finds which mistake? (median of the seeds)")
    return figure

# %% [markdown]
# # Networks of logic gates: a circuit found by gradient descent
#
# **Claim.** A network whose units choose, by a softmax, among the 16 Boolean functions of two randomly wired inputs
# is trained by gradient descent and then *hardened*: each unit keeps its likeliest gate. On MONK-1 the Boolean circuit is
# right on at least 97 % of all robots, and hardening costs at most 2 points.
#
# **Paper.** F. Petersen, C. Borgelt, H. Kuehne and O. Deussen (2022), *Deep differentiable logic gate networks*. (The
# README of the authors' library difflogic says "Patent pending": this is an experiment only, not a feature of the
# library.)
#
# | | the paper | here |
# | :--- | :--- | :--- |
# | data | MONK's problems, as distributed: 124 training examples of MONK-1, all 432 for the test | the rule, so all 432; 124 drawn at random for training, another draw for each seed; the test is on all 432, as in the paper |
# | circuit | 24 units in each of 6 layers, as we remember it | this size |
# | result | 100 %, as we remember it | at least 97 %, the plan's threshold, mean of 20 seeds |
# | training | Adam, rate 0.01 | the same, all 124 examples a step |
# | control | – | random gates, and logistic regression on their outputs |
#
# **Predict first.**
# 1. The units' inputs are wired at random and never changed. Can a circuit of 144 gates find "head = body or jacket red"?
# 2. A softmax mixes 16 gates. What makes it choose one?
# 3. How much of the gradient gets through a layer of undecided gates?

# %%
import itertools

import numpy as np
from numba import njit

import kernels
import nn
from experiments import lab, side_by_side
from nn import functional as F
from nn import plot
from nn.data import digits

# %% [markdown]
# ## The result

# %%
if __name__ == "__main__":
    study = lab.study("logic_gates")
    lab.show(study)
    lab.show(lab.load("logic_gates").draw_circuit(study.results))

# %%
CARD = lab.Card(
    title="Networks of logic gates: a circuit found by gradient descent",
    claim="MONK-1, hardened to Boolean gates: ≥ 97 % of all 432 examples; soft minus hard accuracy ≤ 2 points",
    paper="Petersen, Borgelt, Kuehne and Deussen (2022), Deep differentiable logic gate networks",
    grade="B",
    seconds=220,
)

# %% [markdown]
# One of the learned circuits that are right on all robots, after simplification: signals that agree on all 432 robots are
# merged, and gates and votes that no answer needs are pruned, greedily. What it says: a red jacket always gives $+2$; else
# heads and bodies that agree on *octagon* give $+2$, and if they disagree on *square*, $-2$. With three shapes that is
# "head = body", found by voting. Nobody gave it the shapes as a group of three; it has seen 124 robots.
#
# **The claim fails, narrowly**: the mean of 20 seeds is 96.5 %, with a 95 % interval from 94.1 to 98.8. Thirteen seeds are
# above 97 %, nine of them at 100 %, the worst are at 85. All six pilot seeds had come to 100 %, which was luck.
#
# ## Derive
#
# **Relaxed gates.** A Boolean function of two bits is a polynomial, linear in each: with its values at the corners
#
# $$ g(a, b) = g_{00} + (g_{10} - g_{00})\,a + (g_{01} - g_{00})\,b + (g_{11} - g_{10} - g_{01} + g_{00})\,ab . $$
#
# For $a, b$ between 0 and 1 it is the probability that the gate is on, if its inputs are on *independently* with these
# probabilities. A unit's value is $\sum_k p_k\, g_k(a, b)$ with $p = \operatorname{softmax}(w)$, the probability if the
# gate is drawn, too. Sixteen products with four coefficients each: a unit is $c_0 + c_1 a + c_2 b + c_3 ab$ with
# $c = p^\top G$, and costs no more than one gate. Where two paths from one wire meet again, independence fails, and
# soft and hard differ.
#
# The last layer's units are dealt to the classes; a class has the number of its units that are on as its logit, over
# $\tau$. Nothing in the loss asks for a choice. But the training labels are certain, and only certain units make
# certain votes: a mixture of gates with the same effect is flat, any other is pushed to a corner.
#
# **How much gradient a layer lets through.** Let the 16 logits be independent standard normal, and
# $S = \mathbb E \sum_k p_k^2$. As $1/Z^2 = \int_0^\infty t\, e^{-tZ}\, dt$, it is an integral of one dimension: $S = 0.1325$. By
# symmetry $\mathbb E\, p_k^2 = S/16$ and $\mathbb E\, p_k p_l = (1 - S)/240$. With $b$ a bit, $\partial g_k/\partial a$ is $+1$
# for four gates, $-1$ for four and $0$ for eight, so
#
# $$ v = \mathbb E\Big(\frac{\partial}{\partial a} \sum_k p_k g_k\Big)^2 = 8 \Big(\frac S{16} - \frac{1 - S}{240}\Big) = 0.0373 . $$
#
# For the two values of $b$ these derivatives are uncorrelated, so between them, at $b = \tfrac12 + \delta$, it is
# $v\,(\tfrac12 + 2\delta^2)$. A unit has two inputs: the squared length of the gradient is multiplied by
# $v\,(1 + 4s)$, where $s$ is the mean of $\delta^2$. Likewise, since over the 16 gates the four parts of
# $g - \tfrac12$ (constant, linear in each input, product) have equal size, the next layer has
# $s' = \tfrac v8 (1 + 4s)^2$. Bits have $s = \tfrac14$; after one layer $s = 0.019$. So
#
# > a layer of undecided gates lets 4 % of the squared gradient through.
#
# From the sixth layer back to the first that is $10^{-7}$: Adam, which divides by the gradient's size, can live with it,
# plain gradient descent cannot. A start near the gate "$a$" (pass-through), as later work by the same authors has it,
# avoids it.

# %%
TRUTH = np.array([[k >> 3 & 1, k >> 2 & 1, k >> 1 & 1, k & 1] for k in range(16)])  # g(0,0), g(0,1), g(1,0), g(1,1)
POLYNOMIALS = np.array([[g00, g10 - g00, g01 - g00, g11 - g10 - g01 + g00] for g00, g01, g10, g11 in TRUTH])
GATES = (
    ("0", "a ∧ b", "a ∧ ¬b", "a", "¬a ∧ b", "b", "a ⊕ b", "a ∨ b")
    + ("¬(a ∨ b)", "¬(a ⊕ b)", "¬b", "a ∨ ¬b", "¬a", "¬a ∨ b", "¬(a ∧ b)", "1")
)  # fmt: skip
PASS = 3  # the gate "a"


def concentration(gates=16):
    """E Σ p² of a softmax over independent standard normal logits, by 1/Z² = ∫ t exp(-t Z) dt."""
    t = np.exp(np.linspace(-16, 6, 2000))  # of the integral, in steps of ln t
    w, density = np.linspace(-8, 8, 2001), None
    density = np.exp(-w * w / 2) / np.sqrt(2 * np.pi) * (w[1] - w[0])
    survival = np.exp(-np.outer(t, np.exp(w))) @ density  # E exp(-t e^w)
    second = np.exp(-np.outer(t, np.exp(w))) @ (density * np.exp(2 * w))
    return float(gates * np.sum(t * t * second * survival ** (gates - 1)) * (np.log(t[1]) - np.log(t[0])))


def decay_theory(depth):
    """How much each layer multiplies the squared length of the gradient, from the second to the last, at random logits.

    s is the mean squared deviation of a layer's values from 1/2; that of bits is 1/4.
    """
    s_of_p = concentration()
    v = 8 * (s_of_p / 16 - (1 - s_of_p) / 240)
    spread, factors = 0.25, []
    for _ in range(depth - 1):
        spread = v / 8 * (1 + 4 * spread) ** 2
        factors.append(v * (1 + 4 * spread))
    return factors


# %% [markdown]
# ## Implement
#
# A layer is two loops, forward and back, and one operation of the tape; softmax, votes and loss are `nn`'s. What makes
# the vanishing gradient bearable is the division in the last line of Adam, here its naive loop:

# %%
if __name__ == "__main__":
    from kernels.update import loops

    lab.show(lab.source(loops.adam_naive))


# %%
@njit(cache=True)
def gates_forward(x, coefficients, left, right, out):
    """out[u] = c₀ + c₁ a + c₂ b + c₃ ab over a batch; a, b: rows left[u] and right[u] of x (inputs, batch)."""
    for u in range(len(left)):
        a, b, y = x[left[u]], x[right[u]], out[u]
        c0, c1, c2, c3 = coefficients[u]
        for n in range(len(y)):
            y[n] = c0 + c1 * a[n] + (c2 + c3 * a[n]) * b[n]


@njit(cache=True, fastmath=True)
def gates_backward(dy, x, coefficients, left, right, dcoefficients, dx):
    """Gradients of the coefficients, and of the inputs, which are added up over the units that read them."""
    dx[:] = 0
    for u in range(len(left)):
        a, b, d = x[left[u]], x[right[u]], dy[u]
        da, db = dx[left[u]], dx[right[u]]
        c1, c2, c3 = coefficients[u, 1], coefficients[u, 2], coefficients[u, 3]
        s0, s1, s2, s3 = d[0] * 0, d[0] * 0, d[0] * 0, d[0] * 0
        for n in range(len(d)):
            s0 += d[n]
            s1 += d[n] * a[n]
            s2 += d[n] * b[n]
            s3 += d[n] * a[n] * b[n]
            da[n] += d[n] * (c1 + c3 * b[n])
            db[n] += d[n] * (c2 + c3 * a[n])
        dcoefficients[u, 0], dcoefficients[u, 1], dcoefficients[u, 2], dcoefficients[u, 3] = s0, s1, s2, s3


class Gates(nn.autograd.Function):
    """A layer of bilinear gates as one operation of the tape."""

    @staticmethod
    def forward(ctx, x, coefficients, left, right):
        ctx.save_for_backward(x, coefficients)
        ctx.wires = left, right
        out = np.empty((len(left), x.shape[1]), x.array.dtype)
        gates_forward(x.array, coefficients.array, left, right, out)
        return nn.Tensor(out)

    @staticmethod
    def backward(ctx, dy):
        x, coefficients = ctx.saved_tensors
        dcoefficients, dx = np.empty_like(coefficients.array), np.empty_like(x.array)
        gates_backward(dy.array, x.array, coefficients.array, *ctx.wires, dcoefficients, dx)
        return nn.Tensor(dx), nn.Tensor(dcoefficients), None, None


def wiring(inputs, units, generator):
    """Two different inputs for each unit, every input used about equally often."""
    if 2 * units >= inputs:
        pool = np.concatenate([generator.permutation(inputs) for _ in range(-(-2 * units // inputs))])[: 2 * units]
    else:
        pool = generator.permutation(inputs)[: 2 * units]
    pool = generator.permutation(pool)
    left, right = pool[:units].copy(), pool[units:].copy()
    for u in np.flatnonzero(left == right):
        right[u] = (left[u] + generator.integers(1, inputs)) % inputs
    return left, right


class Circuit:
    """Layers of units that each hold 16 logits; the last layer's units vote for the classes, in equal groups."""

    def __init__(self, sizes, classes, tau, generator, passing=0.0, temperature=1.0):
        self.wires = [wiring(i, u, generator) for i, u in zip(sizes, sizes[1:], strict=False)]
        self.logits = [nn.Parameter(generator.standard_normal((u, 16)).astype(np.float32)) for u in sizes[1:]]
        for logits in self.logits:
            logits.array[:, PASS] += passing
        self.classes, self.tau, self.temperature = classes, tau, temperature
        self.polynomials = nn.Tensor(POLYNOMIALS.astype(np.float32))

    def coefficients(self, logits):
        """(units, 4) coefficients of the softmax's expectation of the 16 polynomials."""
        return (logits / self.temperature).softmax(1) @ self.polynomials

    def layers(self, x):
        """The values of all layers, each (units, batch), for x (inputs, batch)."""
        values = []
        for (left, right), logits in zip(self.wires, self.logits, strict=True):
            x = Gates.apply(x, self.coefficients(logits), left, right)
            values.append(x)
        return values

    def votes(self, x):
        """(batch, classes): the sums of the groups over tau."""
        last = self.layers(x)[-1]
        return last.reshape(self.classes, -1, last.shape[1]).sum(1).T / self.tau

    def gates(self):
        """The most likely gate of every unit, by layer."""
        return [logits.array.argmax(axis=1) for logits in self.logits]

    def confidence(self):
        """Mean probability of the most likely gate, by layer."""
        return [float((logits / self.temperature).softmax(1).array.max(axis=1).mean()) for logits in self.logits]


@njit(cache=True)
def hard_layer(words, masks, left, right):
    """A layer of Boolean gates on 64 examples a word: (inputs, words) to (units, words), bit by bit."""
    out = np.empty((len(left), words.shape[1]), np.uint64)
    for u in range(len(left)):
        m00, m01, m10, m11 = masks[u]
        for n in range(words.shape[1]):
            a, b = words[left[u], n], words[right[u], n]
            out[u, n] = (m00 & ~a & ~b) | (m01 & ~a & b) | (m10 & a & ~b) | (m11 & a & b)
    return out


def packed(bits):
    """(rows, examples) of 0 and 1 as (rows, words) of 64 examples each."""
    padded = np.zeros((len(bits), -(-bits.shape[1] // 64) * 64), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64)


def unpacked(words, examples):
    """The reverse of `packed`."""
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :examples]


def hard_layers(wires, gates, bits):
    """The values of all layers of the hardened circuit, each (units, examples) of 0 and 1."""
    words, values = packed(bits), []
    for (left, right), chosen in zip(wires, gates, strict=True):
        masks = np.where(TRUTH[chosen] == 1, np.uint64(2**64 - 1), np.uint64(0))
        words = hard_layer(words, masks, left, right)
        values.append(unpacked(words, bits.shape[1]))
    return values


def hard_accuracy(circuit, bits, labels):
    """Of the hardened circuit; a tie goes to the first class, as argmax has it."""
    last = hard_layers(circuit.wires, circuit.gates(), bits)[-1]
    votes = last.reshape(circuit.classes, -1, bits.shape[1]).sum(axis=1)
    return float(np.mean(votes.argmax(axis=0) == labels))


def soft_accuracy(circuit, bits, labels):
    """Of the relaxed circuit."""
    with nn.no_grad():
        votes = circuit.votes(nn.Tensor(bits.astype(np.float32))).array
    return float(np.mean(votes.argmax(axis=1) == labels))


ATTRIBUTES = {
    "head": ("round", "square", "octagon"),
    "body": ("round", "square", "octagon"),
    "smiling": ("yes", "no"),
    "holding": ("sword", "balloon", "flag"),
    "jacket": ("red", "yellow", "green", "blue"),
    "tie": ("yes", "no"),
}
INPUTS = [f"{name} = {value}" for name, values in ATTRIBUTES.items() for value in values]


def monk():
    """All robots of the MONK's problems: a bit for each attribute's value, (17, 432), and MONK-1's labels."""
    robots = np.array(list(itertools.product(*(range(len(values)) for values in ATTRIBUTES.values()))))
    bits = np.concatenate([np.eye(robots[:, i].max() + 1, dtype=np.uint8)[robots[:, i]] for i in range(6)], axis=1)
    labels = (robots[:, 0] == robots[:, 1]) | (robots[:, 4] == 0)
    return bits.T.copy(), labels.astype(np.int64)


def squared_error(votes, labels):
    """Of the share of each group's units that are on."""
    targets = np.eye(votes.shape[1], dtype=np.float32)[labels]
    return F.mse_loss(votes, nn.Tensor(targets))


LOSSES = {
    "cross-entropy": lambda votes, labels: F.cross_entropy(votes, nn.Tensor(labels)),
    "squared error": squared_error,
}


def train(circuit, bits, labels, settings, generator, look=None):
    """Train the logits; `look`, if given, is called with the step at the start, at each tenth, and at the end."""
    optimizer = getattr(nn.optim, settings["optimizer"])(circuit.logits, lr=settings["rate"])
    steps, batch = settings["steps"], settings.get("batch")
    inputs, loss = bits.astype(np.float32), LOSSES[settings["loss"]]
    for step in range(steps + 1):
        if look and step % max(1, steps // 20) == 0:
            look(step)
        if step == steps:
            return
        rows = generator.integers(0, len(labels), batch) if batch else slice(None)
        optimizer.zero_grad()
        loss(circuit.votes(nn.Tensor(np.ascontiguousarray(inputs[:, rows]))), labels[rows]).backward()
        optimizer.step()


def read_out(features, labels, train_on, test_on, steps):
    """Accuracy of logistic regression on the features (rows)."""
    model = nn.Linear(len(features), int(labels.max()) + 1)
    x, optimizer = features.T.astype(np.float32), nn.optim.Adam(model.parameters(), lr=0.05)
    inputs, targets = nn.Tensor(x[train_on]), nn.Tensor(labels[train_on])
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    with nn.no_grad():
        return float(np.mean(model(nn.Tensor(x[test_on])).array.argmax(axis=1) == labels[test_on]))


def simplified(circuit, bits):
    """What is left of a hardened circuit of two classes on these inputs.

    Signals that agree on all examples, or are each other's negation, are one signal; constants vanish. Returns
    {"gates": [[truth table, a, b], …], "votes": {signal: weight}, "constant": …}: signals 0, 1, … are the inputs, then
    the gates in order, only those that a vote depends on; the second class wins if the sum of weights and constant > 0.
    """
    examples, known, nodes = bits.shape[1], {}, []
    for i, row in enumerate(bits):
        known.setdefault(row.tobytes(), (i, False))
        known.setdefault((1 - row).tobytes(), (i, True))
    known[np.zeros(examples, np.uint8).tobytes()] = (None, False)
    known[np.ones(examples, np.uint8).tobytes()] = (None, True)
    signals = [known[row.tobytes()] for row in bits]
    for (left, right), chosen, values in zip(
        circuit.wires, circuit.gates(), hard_layers(circuit.wires, circuit.gates(), bits), strict=True
    ):
        outputs = []
        for u, row in enumerate(np.ascontiguousarray(values)):
            if row.tobytes() not in known:
                (a, not_a), (b, not_b) = signals[left[u]], signals[right[u]]
                table = TRUTH[chosen[u]].reshape(2, 2)[:: -1 if not_a else 1, :: -1 if not_b else 1]
                known[row.tobytes()] = (len(bits) + len(nodes), False)
                known[(1 - row).tobytes()] = (len(bits) + len(nodes), True)
                nodes.append([int(table.ravel() @ [8, 4, 2, 1]), a, b])
            outputs.append(known[row.tobytes()])
        signals = outputs
    votes, constant = {}, 0
    for u, (signal, negated) in enumerate(signals):
        sign = 1 if u >= len(signals) // 2 else -1
        constant += sign * negated
        if signal is not None:
            votes[signal] = votes.get(signal, 0) + (-sign if negated else sign)
    votes = {signal: weight for signal, weight in votes.items() if weight}
    return live_part({"gates": nodes, "votes": votes}, len(bits)) | {"constant": constant}


def totals(circuit, bits):
    """The sum of the votes of a simplified circuit, without the constant, for every example."""
    signals = list(bits.astype(np.int64))
    for gate, a, b in circuit["gates"]:
        signals.append(TRUTH[gate][2 * signals[a] + signals[b]])
    return sum((w * signals[int(s)] for s, w in circuit["votes"].items()), np.zeros(bits.shape[1], np.int64))


def simulated(circuit, bits):
    """The class of every example by a simplified circuit."""
    return (totals(circuit, bits) + circuit["constant"] > 0).astype(np.int64)


def pruned(circuit, bits):
    """A simplified circuit without what its answers on these inputs do not need.

    One after the other, a vote is dropped, or a gate's output replaced by an earlier signal, where some constant still
    separates the classes. Greedy: smaller circuits may exist.
    """
    classes, inputs = simulated(circuit, bits), len(bits)

    def constant(candidate):
        found = totals(candidate, bits)
        first, second = found[classes == 0], found[classes == 1]
        separate = len(first) == 0 or len(second) == 0 or first.max() < second.min()
        return -int(first.max()) if separate and len(first) else (1 if separate else None)

    def without(candidate, vote):
        return candidate | {"votes": {s: w for s, w in candidate["votes"].items() if s != vote}}

    def replaced(candidate, old, new):
        gates = [[g, *(new if s == old else s for s in sources)] for g, *sources in candidate["gates"]]
        votes = {}
        for s, w in candidate["votes"].items():
            s = new if s == old else s
            votes[s] = votes.get(s, 0) + w
        return live_part({"gates": gates, "votes": {s: w for s, w in votes.items() if w}}, inputs)

    def smaller():
        for vote in sorted(circuit["votes"], key=lambda s: (abs(circuit["votes"][s]), -s)):
            yield live_part(without(circuit, vote), inputs)
        for old in range(inputs + len(circuit["gates"]) - 1, inputs - 1, -1):
            for new in range(old):
                yield replaced(circuit, old, new)

    searching = True
    while searching:
        searching = False
        for candidate in smaller():
            found = constant(candidate)
            if found is not None:
                circuit, searching = candidate | {"constant": found}, True
                break
    return circuit


def live_part(circuit, inputs):
    """A circuit without the gates that no vote depends on; the others are numbered anew."""
    live, pending = set(), [s for s in circuit["votes"] if s >= inputs]
    while pending:
        signal = pending.pop()
        if signal not in live:
            live.add(signal)
            pending += [source for source in circuit["gates"][signal - inputs][1:] if source >= inputs]
    places = {old: inputs + new for new, old in enumerate(sorted(live))} | {i: i for i in range(inputs)}
    gates = [circuit["gates"][old - inputs] for old in sorted(live)]
    return {
        "gates": [[gate, places[a], places[b]] for gate, a, b in gates],
        "votes": {places[s]: w for s, w in circuit["votes"].items()},
    }


def formula(circuit, signal):
    """A signal as a formula in the inputs' names."""
    if signal < len(INPUTS):
        return INPUTS[signal]
    gate, a, b = circuit["gates"][signal - len(INPUTS)]
    text, parts = GATES[gate], {"a": formula(circuit, a), "b": formula(circuit, b)}
    parts = {k: v if v in INPUTS else f"({v})" for k, v in parts.items()}
    return "".join(parts.get(letter, letter) for letter in text)


def certainty(circuit, bits):
    """Largest difference between the soft values and the hardened ones if each unit's choice is certain."""
    kept = [logits.array.copy() for logits in circuit.logits]
    for logits, chosen in zip(circuit.logits, circuit.gates(), strict=True):
        logits.array[:] = 100 * np.eye(16)[chosen]
    with nn.no_grad():
        soft = circuit.layers(nn.Tensor(bits.astype(np.float32)))
    for logits, before in zip(circuit.logits, kept, strict=True):
        logits.array[:] = before
    hard = hard_layers(circuit.wires, circuit.gates(), bits)
    return max(float(np.abs(s.array - h).max()) for s, h in zip(soft, hard, strict=True))


def measured_decay(config, generator):
    """Like `decay_theory`, of random wide circuits and random gradients of the last layer; the mean of some."""
    depth, width = config["decay_depth"], config["decay_width"]
    factors = []
    for _ in range(config["decay_nets"]):
        circuit = Circuit([width] * (depth + 1), 1, 1, generator)
        x = nn.Tensor(generator.integers(0, 2, (width, 16)).astype(np.float32), requires_grad=True)
        values = circuit.layers(x)
        upstream = nn.Tensor(generator.standard_normal(values[-1].shape).astype(np.float32))
        found = nn.autograd.grad((values[-1] * upstream).sum(), values[:-1])
        lengths = [float((g.array**2).sum()) for g in found] + [float((upstream.array**2).sum())]
        factors.append(np.divide(lengths[:-1], lengths[1:]))
    return np.mean(factors, axis=0)


CONTROLS = ("random gates, last layer", "random gates, all layers", "no gates")  # with a trained read-out


def learn_monk(config, seed, settings, look=False):
    """One circuit trained on 124 of the robots: its accuracies and what else is shown."""
    data, initialisation, order = lab.streams(seed)
    bits, labels = monk()
    train_on = data.permutation(len(labels))[: config["examples"]]
    unseen = np.setdiff1d(np.arange(len(labels)), train_on)
    sizes = [len(bits)] + [config["width"]] * config["depth"]
    circuit = Circuit(sizes, 2, config["tau"], initialisation, settings["passing"], settings["temperature"])
    result = {"looks": []}
    if look:
        random = hard_layers(circuit.wires, circuit.gates(), bits)
        nn.manual_seed(int(order.integers(2**32)))
        for name, features in zip(CONTROLS, (random[-1], np.concatenate(random), bits), strict=True):
            result[name] = read_out(features, labels, train_on, slice(None), config["read_out_steps"])
        result["gates at first"] = [np.bincount(chosen, minlength=16) for chosen in circuit.gates()]

    def watch(step):
        soft, hard = soft_accuracy(circuit, bits, labels), hard_accuracy(circuit, bits, labels)
        result["looks"].append([step, soft, hard, float(np.mean(circuit.confidence()))])

    train(circuit, bits[:, train_on], labels[train_on], settings, order, watch if look else None)
    result |= {
        "soft": soft_accuracy(circuit, bits, labels),
        "hard": hard_accuracy(circuit, bits, labels),
        "unseen": hard_accuracy(circuit, bits[:, unseen], labels[unseen]),
        "training": hard_accuracy(circuit, bits[:, train_on], labels[train_on]),
    }
    if look:
        left = simplified(circuit, bits)
        result |= {"gates left": len(left["gates"]), "circuit": pruned(left, bits)}
        result["simplified"] = [float(np.mean(simulated(c, bits) == labels)) for c in (left, result["circuit"])]
        result |= {
            "certain": certainty(circuit, bits),
            "gates": [np.bincount(chosen, minlength=16) for chosen in circuit.gates()],
        }
        result["confidence"] = circuit.confidence()
    return result


def learn_digits(config, seed):
    """scikit-learn's digits, a bit a pixel: accuracies on held-out images, soft, hard, and of random gates."""
    data, initialisation, order = lab.streams(seed)
    parts = digits()
    images = np.concatenate([part.tensors[0].array.reshape(len(part), -1) for part in parts])
    labels = np.concatenate([part.tensors[1].array for part in parts])
    shuffled = data.permutation(len(labels))
    bits = np.ascontiguousarray((images[shuffled] > 0.5).T.astype(np.uint8))
    labels, split = labels[shuffled], len(labels) * 4 // 5
    settings = config["digits"]
    circuit = Circuit([64] + [settings["width"]] * settings["depth"], 10, settings["tau"], initialisation)
    random = hard_layers(circuit.wires, circuit.gates(), bits)[-1]
    train(circuit, bits[:, :split], labels[:split], settings, order)
    nn.manual_seed(int(order.integers(2**32)))
    train_on, test_on, steps = slice(0, split), slice(split, None), settings["read_out_steps"]
    return {
        "soft": soft_accuracy(circuit, bits[:, split:], labels[split:]),
        "hard": hard_accuracy(circuit, bits[:, split:], labels[split:]),
        "random gates, last layer": read_out(random, labels, train_on, test_on, steps),
        "no gates": read_out(bits, labels, train_on, test_on, steps),
    }


GRID = {  # name -> what differs from the claim's settings
    "as claimed": {},
    "start near pass-through": {"passing": 5.0},
    "softmax at temperature 2": {"temperature": 2.0},
    "squared error": {"loss": "squared error", "rate": 0.02},
    "RMSprop": {"optimizer": "RMSprop"},
    "SGD": {"optimizer": "SGD", "rate": 100.0},
}


def run(config, seed):
    """MONK-1 with its controls; the decay of the gradient; the grid and the digits for some seeds."""
    kernels.set_num_threads(1)
    seed += config["first_seed"]
    result = {"monk": learn_monk(config, seed, config["settings"], look=True)}
    result["decay"] = measured_decay(config, lab.streams(seed)[2])
    if seed - config["first_seed"] < config["grid_seeds"]:
        result["grid"] = {}
        for name, change in GRID.items():
            for depth in config["grid_depths"]:
                found = learn_monk(config | {"depth": depth}, seed, config["settings"] | change)
                result["grid"][f"{name}; {depth}"] = [found["soft"], found["hard"]]
    if seed - config["first_seed"] < config["digit_seeds"]:
        result["digits"] = learn_digits(config, seed)
    return result


class Twin:
    """The circuit in operations that both libraries have, for `compare` and for the test of `Gates`."""

    def __init__(self, library, tensor, circuit):
        self.circuit, self.tensor = circuit, tensor
        self.logits = [library.nn.Parameter(tensor(logits.array.astype(np.float64))) for logits in circuit.logits]
        self.polynomials = tensor(POLYNOMIALS.astype(np.float64))

    def votes(self, x):
        """(batch, classes), for x (inputs, batch)."""
        for (left, right), logits in zip(self.circuit.wires, self.logits, strict=True):
            c = (logits.softmax(1) @ self.polynomials).T.reshape(4, -1, 1)
            a, b = x[self.tensor(left)], x[self.tensor(right)]
            x = c[0] + c[1] * a + c[2] * b + c[3] * a * b
        return x.reshape(self.circuit.classes, -1, x.shape[1]).sum(1).T / self.circuit.tau


class OURS:
    """What `Twin` and `compare` take from a library, under PyTorch's names."""

    nn, optim = nn, nn.optim


def compare(config, seed):
    """Twenty steps of Adam in float64 on 124 robots, written with operations that both libraries have."""
    import torch

    _, initialisation, _ = lab.streams(seed)
    bits, labels = monk()
    circuit = Circuit([len(bits)] + [config["width"]] * config["depth"], 2, config["tau"], initialisation)
    steps = []
    for library, tensor in ((OURS, nn.Tensor), (torch, torch.tensor)):
        twin = Twin(library, tensor, circuit)
        optimizer = library.optim.Adam(twin.logits, lr=config["settings"]["rate"])
        x, target = tensor(bits[:, :124].astype(np.float64)), tensor(labels[:124])

        def step(library=library, twin=twin, optimizer=optimizer, x=x, target=target):
            optimizer.zero_grad()
            loss = library.nn.functional.cross_entropy(twin.votes(x), target)
            loss.backward()
            optimizer.step()
            return loss.item()

        steps.append(step)
    return side_by_side.duel(*steps, threads=1, tolerance=1e-9, rounds=config["timed"])


# %% [markdown]
# ## More pictures


# %%
def draw_circuit(results):
    """The smallest circuit that is right on all robots, or else the best."""
    shown = max(results, key=lambda r: (r["monk"]["hard"], -len(r["monk"]["circuit"]["gates"])))["monk"]
    circuit, count = shown["circuit"], len(INPUTS)
    votes = {int(s): w for s, w in circuit["votes"].items()}
    levels = [0] * count
    for _, a, b in circuit["gates"]:
        levels.append(1 + max(levels[a], levels[b]))
    used = {s for gate in circuit["gates"] for s in gate[1:]} | set(votes)
    signals = sorted(s for s in used | set(range(count, len(levels))))
    depth = max(levels) + 1
    places = {}
    figure, axes = plot.figure(11, 4.8)
    for level in range(depth):
        column = [s for s in signals if levels[s] == level]

        def height(s):
            sources = circuit["gates"][s - count][1:] if s >= count else []
            return np.mean([places[x][1] for x in sources]) if sources else -s

        column.sort(key=height, reverse=True)
        for i, s in enumerate(column):
            places[s] = (level, 1 - (i + 0.5) / len(column))
    for s in signals:
        x, y = places[s]
        if s >= count:
            for source, colour in zip(circuit["gates"][s - count][1:], (plot.BLUE, plot.ORANGE), strict=True):
                axes.plot([places[source][0], x], [places[source][1], y], color=colour, lw=1, alpha=0.7, zorder=1)
        text = INPUTS[s] if s < count else GATES[circuit["gates"][s - count][0]]
        box = {"boxstyle": "round,pad=0.3", "fc": "#eef4fa" if s < count else "white", "ec": plot.GREY}
        axes.text(x, y, text, ha="center", va="center", bbox=box, fontsize=9, zorder=3)
    for s, weight in votes.items():
        x, y = places[s]
        axes.plot([x, depth], [y, 0.5], color=plot.GREEN, lw=0.6 + 0.25 * abs(weight), alpha=0.6, zorder=0)
        place = x + 0.55 * (depth - x), y + 0.55 * (0.5 - y)
        axes.annotate(f"{weight:+d}", place, ha="center", va="bottom", fontsize=10, color=plot.GREEN)
    total = {"boxstyle": "round,pad=0.4", "fc": plot.GREEN, "ec": "none"}
    said = f"sum of votes\n{circuit['constant']:+d} > 0"
    axes.text(depth, 0.5, said, ha="center", va="center", color="white", bbox=total, fontsize=9)
    axes.set(xlim=(-0.4, depth + 0.4), ylim=(-0.02, 1.02))
    axes.set_axis_off()
    units, left = int(np.sum(shown["gates"])), shown["gates left"]
    axes.set_title(
        f"Learned, {shown['hard']:.1%} right: of {units} gates {left} have an effect of their own, {len(circuit['gates'])} suffice"
    )
    lines = [f"{weight:+d}:  {formula(circuit, s)}" for s, weight in votes.items()]
    if len(lines) <= 6 and max(map(len, lines)) < 150:
        figure.supxlabel("\n".join(lines), fontsize=9, ha="center")
    return figure


# %%
def draw_training(results):
    """Accuracy of the soft and of the hardened circuit, and the confidence of its units, over the steps."""
    figure, (left, right) = plot.figure(10.5, 3.8, columns=2)
    for result in results:
        steps, soft, hard, confidence = np.array(result["monk"]["looks"]).T
        first = result is results[0]
        left.plot(steps, 100 * soft, color=plot.SKY, lw=1, label="soft" if first else None)
        left.plot(steps, 100 * hard, color=plot.BLUE, lw=1, label="hardened" if first else None)
        right.plot(steps, confidence, color=plot.PURPLE, lw=1)
    left.set(xlabel="step", ylabel="right of 432 robots, %", title="One line a seed: the circuit catches up")
    left.legend(loc="lower right")
    right.set(xlabel="step", ylabel="probability of the likeliest gate", ylim=(0, 1.02))
    right.set_title("Mean over the units: the choice hardens by itself")
    return figure


def draw_comparison(results):
    """Accuracies of all seeds on MONK-1 and on the digits, with the controls; and the gates that were chosen."""
    figure, (left, middle, right) = plot.figure(13, 4.2, columns=3, gridspec_kw={"width_ratios": [1, 0.9, 1.5]})
    names = {
        "soft": "soft",
        "hard": "hardened",
        CONTROLS[0]: "random gates,\nlast layer",
        CONTROLS[1]: "random gates,\nall layers",
    }
    names |= {CONTROLS[2]: "no gates,\nlinear"}
    colours = dict(zip(names, (plot.SKY, plot.BLUE, plot.ORANGE, plot.YELLOW, plot.GREY), strict=True))
    digit_results = [result["digits"] for result in results if "digits" in result]
    for axes, rows, title in (
        (left, [result["monk"] for result in results], "MONK-1, all 432"),
        (middle, digit_results, "Digits, 360 unseen images"),
    ):
        keys = [key for key in names if rows and key in rows[0]]
        for place, key in enumerate(keys):
            values = [100 * row[key] for row in rows]
            axes.plot(
                place + np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else [place],
                values,
                "o",
                color=colours[key],
            )
        axes.set_xticks(range(len(keys)), [names[key] for key in keys], rotation=35, ha="right")
        axes.set(title=title, ylabel="right, %")
    first = np.sum([np.sum(result["monk"]["gates at first"], axis=0) for result in results], axis=0)
    last = np.sum([np.sum(result["monk"]["gates"], axis=0) for result in results], axis=0)
    places = np.arange(16)
    right.bar(places - 0.2, 100 * first / first.sum(), 0.4, color=plot.GREY, label="before")
    right.bar(places + 0.2, 100 * last / last.sum(), 0.4, color=plot.BLUE, label="after training")
    right.set_xticks(places, GATES, rotation=60, ha="right")
    right.set(ylabel="% of the units", title="MONK-1: the likeliest gates")
    right.legend(loc="upper right", ncols=2)
    right.set_ylim(0, 1.3 * 100 * max((first / first.sum()).max(), (last / last.sum()).max()))
    return figure


def draw_decay(results):
    """Squared length of the gradient from the last layer back, derived and measured."""
    figure, axes = plot.figure(6.5, 3.4)
    theory = decay_theory(len(results[0]["decay"]) + 1)
    layers = np.arange(len(theory), -1, -1) + 1
    axes.plot(layers, np.cumprod([1, *theory[::-1]]), color=plot.BLUE, lw=1.2, label="derived")
    for result in results:
        label = "measured, one circle a seed" if result is results[0] else None
        axes.plot(layers, np.cumprod([1, *result["decay"][::-1]]), "o", color=plot.BLUE, mfc="none", label=label)
    axes.set(yscale="log", xlabel="layer whose output it is", ylabel="squared gradient over that of the last")
    axes.set_title("Random logits: a layer lets 4 % of the squared gradient through")
    axes.set_xticks(layers)
    axes.legend()
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_training(study.results))
    lab.show(draw_comparison(study.results))
    lab.show(draw_decay(study.results))


# %%
def draw_grid(results):
    """Hardened accuracy, and soft minus hardened, by depth: means of some seeds."""
    figure, panels = plot.figure(11, 3.6, columns=2, gridspec_kw={"width_ratios": [1.45, 1]})
    rows = [result["grid"] for result in results if "grid" in result]
    depths = list(dict.fromkeys(key.split("; ")[1] for key in rows[0]))
    soft, hard = (
        np.array([[100 * np.mean([r[f"{name}; {depth}"][i] for r in rows]) for depth in depths] for name in GRID])
        for i in (0, 1)
    )
    plot.grid(hard, list(GRID), depths, ax=panels[0], fmt="{:.0f}", limits=(50, 100))
    panels[0].set(xlabel="layers", title="Hardened, % right")
    plot.grid(soft - hard, [""] * len(GRID), depths, ax=panels[1], fmt="{:z.1f}", limits=(-10, 10), cmap=plot.DIVERGING)
    panels[1].set(xlabel="layers", title="Soft − hardened, points")
    return figure


# %%
if __name__ == "__main__":
    lab.show(draw_grid(study.results))

# %% [markdown]
# The means of two seeds, the first two, on which the claim's settings do badly: differences of a few points say nothing
# here. What does not depend on the seed: fewer layers cannot do it (two layers see at most four wires); squared error
# chooses less decidedly, and hardening costs it up to 12 points; plain gradient descent, even at a rate of 100,
# hardly reaches the first layers, as derived. Whether a start near pass-through is better, as it looks, is a question for other seeds.
#
# ## Compare, interpret
#
# PyTorch runs the circuit in operations that both libraries have, from the same logits and with the same wires, in float64;
# the losses agree as the line under the table says. Our own layer is tested against these operations.
#
# **What the verdict means.** Hardening is cheap, 1.4 points on average, half of that from one seed, which loses 14. What
# fails is generalisation: the hardened circuits are right on 99.1 % of their *training* examples. Those that are wrong elsewhere are
# larger: pruned, the right ones need 4 to 8 gates, of those below 97 % all but one 12 to 42. Descent finds a
# circuit that fits 124 robots; nothing in the loss prefers a small one. The paper gives one number for one training set, as
# we remember it; how its seeds scattered we do not know. With 308 unseen robots of 432, the draw of the examples
# is one of three sources of chance here, beside wiring and logits.
#
# **The controls** say what the gates' training is worth: random gates with a trained read-out have 62 % (last layer) and
# 79 % (all 144 outputs, six times as many weights), a linear model on the bits 72 %. On the digits, one bit a pixel, there
# is no such gain: 3,200 trained gates have 91.5 % of unseen images, as have the last 800 random ones with a trained
# read-out, and logistic regression on the 64 bits has 91.7 %. The paper's circuits for images are far larger.
#
# <details><summary>The predictions</summary>
#
# 1. Yes in most seeds, and four gates and two votes are enough. 2. Labels that are certain: only decided units make decided
# votes. The mean probability of the likeliest gate goes from 0.25 to 0.96. 3. 4 % of its square.
# </details>
#
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("logic_gates"))


# %%
def answer_uniform(results):
    """Of six layers whose logits are all 0, how many get a gradient that is not 0."""
    circuit = Circuit([17] + [24] * 6, 2, 1.0, np.random.default_rng(0))
    for logits in circuit.logits:
        logits.array[:] = 0
    bits, labels = (part[..., :124] for part in monk())
    loss = F.cross_entropy(circuit.votes(nn.Tensor(bits.astype(np.float32))), nn.Tensor(labels))
    found = nn.autograd.grad(loss, circuit.logits)
    return sum(bool(np.abs(g.array).max() > 1e-9) for g in found)


def answer_swapped(results):
    """Which checks fall if the polynomials of "and" and "or" are exchanged."""
    polynomials = POLYNOMIALS.copy()
    polynomials[[1, 7]] = polynomials[[7, 1]]
    claims = lab.fallen("logic_gates", {"grid_seeds": 0, "digit_seeds": 0}, POLYNOMIALS=polynomials)
    certain, decay = (any(word in claim for claim in claims) for word in ("certain", "gradient"))
    return {(True, False): "certain gates", (False, True): "decay", (True, True): "both"}.get(
        (certain, decay), "neither"
    )


def answer_twice(results):
    """The relaxed exclusive or of one signal of 0.7 with itself."""
    c0, c1, c2, c3 = POLYNOMIALS[6]
    return float(c0 + (c1 + c2) * 0.7 + c3 * 0.7**2)


EXERCISES = [
    lab.Exercise(
        "All logits of a circuit of six layers start at 0 in place of random. In how many layers is the first gradient "
        "not zero?",
        answer_uniform,
        "The mean of the 16 polynomials is the constant $\\tfrac12$: half of the gates are 1 at every corner. So no unit "
        "depends on its inputs, and nothing reaches the layers before the last. Random logits are needed to break this.",
    ),
    lab.Exercise(
        "In `POLYNOMIALS`, though not in `TRUTH`, the rows of *and* and *or* are exchanged. Which checks of fast mode "
        "fall: that units with certain gates compute what the Boolean circuit computes, that of the gradient's decay, "
        "both or neither?",
        answer_swapped,
        "The relaxed circuit then learns with one table and is hardened with another. The decay is an average over all "
        "gates, in which their order does not matter.",
        choices=("certain gates", "decay", "both", "neither"),
    ),
    lab.Exercise(
        "A unit that is certain to be *exclusive or* reads the same signal, 0.7, twice. What is its relaxed value?",
        answer_twice,
        "$a + b - 2ab = 1.4 - 0.98 = 0.42$, the probability for *independent* inputs. The Boolean value is 0, whatever "
        "the signal is. Wires that meet again make the relaxation differ from the mean of the hardened circuit.",
        within=0.01,
    ),
]

# %% [markdown]
# ## Configurations and checks
#
# The claim's two thresholds are the plan's, set before any run; a value is the mean of 20 seeds, which differ in the
# training examples, the wiring and the initial logits. Size, optimiser and rate are the paper's; $\tau = 3$ (of 1 and 3),
# the rate 0.01 (of 0.01 and 0.05) and the 4,000 steps were chosen on the pilot seeds 200 to 205, all of which came to
# 100 % (with $\tau = 1$: 97.4 % on average); four and two layers, tried there, too, do worse. The full run takes 0 to 19.
# The extras are ours; all their bounds were committed after pilots that had measured them, on the seeds 200 to 203.

# %%
FULL = {
    "seeds": 20,
    "first_seed": 0,
    "examples": 124,
    "width": 24,
    "depth": 6,
    "tau": 3.0,
    "settings": {
        "optimizer": "Adam",
        "rate": 0.01,
        "steps": 4000,
        "loss": "cross-entropy",
        "passing": 0.0,
        "temperature": 1.0,
    },
    "read_out_steps": 500,
    "decay_depth": 6,
    "decay_width": 256,
    "decay_nets": 40,
    "grid_seeds": 2,
    "grid_depths": [2, 4, 6],
    "digit_seeds": 2,
    "digits": {
        "optimizer": "Adam",
        "rate": 0.01,
        "steps": 1500,
        "loss": "cross-entropy",
        "batch": 100,
        "width": 800,
        "depth": 4,
        "tau": 8.0,
        "read_out_steps": 300,
    },
    "timed": 3,  # rounds of timing beside PyTorch
}
FAST = FULL | {
    "seeds": 1,
    "first_seed": 100,
    "settings": FULL["settings"] | {"steps": 20},
    "read_out_steps": 5,
    "decay_nets": 100,
    "grid_seeds": 1,
    "grid_depths": [2],
    "digit_seeds": 1,
    "digits": FULL["digits"] | {"steps": 2, "width": 100, "read_out_steps": 2},
    "timed": 0,
}


def check(results, mode):
    """What must hold."""
    rows = [result["monk"] for result in results]
    decay = np.mean([result["decay"] for result in results], axis=0) / decay_theory(FULL["decay_depth"])
    exact = [
        lab.check(
            "units with certain gates: largest difference between the soft values and the hardened circuit's bits",
            max(row["certain"] for row in rows),
            at_most=1e-5,
            extra=True,
            origin="pilot",
        ),
        lab.check(
            "simplified and pruned circuit: largest change of the accuracy",
            max(abs(share - row["hard"]) for row in rows for share in row["simplified"]),
            at_most=0,
            extra=True,
            origin="pilot",
        ),
        lab.check(
            "squared gradient, factor of a layer over the derived one: furthest from 1",
            max(decay, key=lambda ratio: abs(ratio - 1)),
            at_least=0.9,
            at_most=1.1,
            extra=True,
            origin="pilot",
        ),
    ]
    if mode == "fast":
        return exact
    hard, soft, unseen = (np.array([row[key] for row in rows]) for key in ("hard", "soft", "unseen"))
    digit_rows = [result["digits"] for result in results if "digits" in result]
    return [
        lab.check("MONK-1, hardened: share of the 432 robots that is right", hard, at_least=0.97),
        lab.check("MONK-1: soft minus hardened accuracy", soft - hard, at_least=-0.02, at_most=0.02),
        *(
            check
            for name in CONTROLS
            for check in lab.paired(
                f"hardened minus {name} with a trained read-out",
                [row["hard"] - row[name] for row in rows],
                at_least=0.1,
                extra=True,
                origin="pilot",
            )
        ),
        lab.check(
            "MONK-1, hardened: share of the 308 unseen robots", unseen, at_least=0.95, extra=True, origin="pilot"
        ),
        *exact,
        lab.check(
            "digits: soft minus hardened accuracy, mean",
            np.mean([row["soft"] - row["hard"] for row in digit_rows]),
            at_least=-0.02,
            at_most=0.02,
            extra=True,
            origin="pilot",
        ),
        lab.check(
            "digits: hardened minus random gates with a trained read-out, mean",
            np.mean([row["hard"] - row[CONTROLS[0]] for row in digit_rows]),
            at_least=0.0,
            extra=True,
            origin="pilot",
        ),
    ]

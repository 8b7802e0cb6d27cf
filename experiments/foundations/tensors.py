# %% [markdown]
# # Tensors: a shape, an offset and some strides
#
# **Claim.** Where an element of a tensor lies in memory is one dot product, $o + \sum_k i_k s_k$. Slicing, transposing,
# inserting, merging and stretching dimensions change the three small tuples and no element; broadcasting is a stride of
# zero, and its gradient the sum over every index that read the same cell. Over every element of some ten thousand
# random views of rank 0 to 5, and every pair of small shapes, the number of exceptions in `nn`, NumPy and PyTorch is 0.
#
# **Paper.** S. van der Walt, S. C. Colbert, G. Varoquaux (2011), *The NumPy array: a structure for efficient numerical
# computation*: "Structure of a NumPy array: a view on memory" and "Broadcasting". The table of a base address and one
# multiplier a dimension is older: Iliffe's codewords and the "dope vectors" of Algol compilers, about 1961.
#
# | | the paper | here |
# | :--- | :--- | :--- |
# | what it is | a description, with examples | rules derived, then counted exceptions over random and exhaustive cases |
# | libraries | NumPy | `nn`, NumPy, PyTorch, each against the same rules |
# | gradients | none | of broadcasting, derived and compared |
# | cost | "vectorise, avoid copies, reduce operations" | bytes allocated; cache lines by the address formula; times as pictures only |
#
# **Predict first.**
#
# 1. `x` is 1000 × 1000 in float64, 8 MB. How many bytes does `x.T` allocate? `x.T.reshape(-1)`? `x[:, ::2]`?
# 2. The shapes (3, 1) and (4,) are added. What is the result's shape, and what is the gradient of its sum with respect
#    to one element of the first operand?
# 3. Which matrices can be summed by columns as cheaply as by rows?

# %%
import itertools
import tracemalloc
from collections import OrderedDict
from math import prod
from time import perf_counter
from typing import NamedTuple

import numpy as np
from numba import njit

import nn
from experiments import lab, side_by_side
from kernels.reference.gemm import sum_to
from nn import plot

CARD = lab.Card(
    title="Tensors: a shape, an offset and some strides",
    claim="exceptions to the address formula over all elements of all views, in nn, NumPy and PyTorch = 0",
    paper="van der Walt, Colbert and Varoquaux (2011), The NumPy array",
    grade="A",
    seconds=20,
)

# %%
if __name__ == "__main__":
    study = lab.study("tensors")
    lab.show(study)

# %%
if __name__ == "__main__":
    lab.show(lab.load("tensors").draw_layouts(study.results))

# %% [markdown]
# Five tensors and 24 numbers. The transpose reads the same cells in another order by swapping two
# strides. The slice starts at offset 6 and steps over every second column. The expanded row has four rows that are one:
# the stride 0 in its first dimension makes every row index land on the same six cells, and so a write into cell 12
# is seen in all four.

# %% [markdown]
# ## Derive
#
# **Addresses.** Memory is one-dimensional. Let a tensor of rank $d$ have the shape $(n_0, …, n_{d-1})$ and lie row by
# row without gaps. Then before the element $(i_0, …, i_{d-1})$ lie $i_0$ full slices of $n_1 n_2 \cdots n_{d-1}$
# elements, in the next slice $i_1$ full ones of $n_2 \cdots n_{d-1}$, and so on:
#
# $$a(i) = o + \sum_{k=0}^{d-1} i_k s_k, \qquad s_k = \prod_{j>k} n_j .$$
#
# The formula is affine in the index, and what follows uses only that. Whatever maps the index of a new tensor affinely
# to the index of an old one, $i = A j + b$, gives an address that is affine again:
#
# $$a(Aj + b) = (o + s \cdot b) + (A^\top s) \cdot j .$$
#
# So the new tensor is described by a new offset $o + s\cdot b$ and new strides $A^\top s$, and no element moves. The
# cases one by one, each being such an $A$ and $b$:
#
# | operation | offset | shape and strides |
# | :--- | :--- | :--- |
# | swap or permute dimensions | $o$ | both permuted alike ($A$ a permutation) |
# | `x[..., start:stop:step, ...]` in dimension $k$ | $o + start \cdot s_k$ | $n_k \to \lceil (stop - start)/step \rceil$, $s_k \to step \cdot s_k$ |
# | `x[..., i, ...]`: fix index $k$ | $o + i s_k$ | dimension $k$ dropped |
# | `unsqueeze` | $o$ | a dimension of length 1, its stride without effect |
# | `expand` a length 1 to $m$ | $o$ | $n_k \to m$, $s_k \to 0$ ($A$ has a zero column) |
# | split $n_k = pq$ | $o$ | $(p, q)$ with $(q s_k, s_k)$, for $i_k = q j_0 + j_1$ |
# | merge $k$ and $k+1$ | $o$ | possible where $s_k = n_{k+1} s_{k+1}$, then stride $s_{k+1}$ |
#
# Merging is the only one that can fail. With $j = n_{k+1} i_k + i_{k+1}$ a single stride $s$ must satisfy
# $s (n_{k+1} i_k + i_{k+1}) = s_k i_k + s_{k+1} i_{k+1}$ for all $i$; $i_k = 0$ gives $s = s_{k+1}$, and $i_{k+1} = 0$
# then $s_k = n_{k+1} s_{k+1}$. (A dimension of length 1 has only $i = 0$, so it imposes nothing.) Where the condition
# fails, `reshape` copies and `view` raises.
#
# **Broadcasting.** To add $x$ and $y$ elementwise they need one index set. A tensor says nothing about a dimension that
# it does not have or in which it has one element, so let it be *constant* there: $x_{j} := x_{\pi(j)}$ with $\pi$
# setting those indices to 0. That is affine, with zero columns in $A$, hence strides of 0. Aligning the shapes at the
# right (dimensions in front are the ones to be missing), the rule follows: in each dimension the two lengths are equal,
# or one of them is 1 or missing and gets stride 0; anything else has no meaning and is an error.
#
# **Its gradient.** Broadcasting is the linear map $B$ that copies: $(Bx)_j = x_{\pi(j)}$. For a loss $\ell$ with
# $g = \partial\ell/\partial(Bx)$,
#
# $$\frac{\partial \ell}{\partial x_i} = \sum_j g_j\,\frac{\partial (Bx)_j}{\partial x_i} = \sum_{j:\ \pi(j) = i} g_j ,$$
#
# the sum over all indices that read the cell, which is the sum over the stretched dimensions: $B^\top$. In addresses:
# *reading is a gather, its gradient the scatter-add to the same addresses*. Where $g$ is 1 everywhere, each element
# gets the number of times it was read.
#
# **What walking costs.** A cache fetches lines of 64 bytes, $L = 8$ elements of float64. Walking an $n \times n$ matrix
# along its rows (stride 1) uses all $L$ elements of a line before the next one: $n^2/L$ lines are fetched. Along the
# columns (stride $n$, and $L$ divides $n$) each step lands in another line; it will serve the next $L - 1$ columns, if
# it is still there: a column touches $n$ lines, so with a cache of $C$ lines and the least recently used line evicted
#
# $$\text{misses} = \begin{cases} n^2/L & n \le C,\\ n^2 & n > C.\end{cases}$$
#
# The second line: the lines come round cyclically, and with $n > C$ of them the one needed next is always the one that
# was evicted. Walking the columns in blocks of $C$ rows brings $n^2/L$ back: that is cache blocking.

# %% [markdown]
# ## Implement
#
# The gradient of broadcasting as the reference of `kernels` has it, from its source: the sum over what was stretched.

# %%
if __name__ == "__main__":
    lab.show(lab.source(sum_to))

# %% [markdown]
# The rules of the table as code, on tuples only: no array is touched here.


# %%
class Layout(NamedTuple):
    """Where a tensor's elements lie: all in elements, not bytes."""

    offset: int
    shape: tuple
    strides: tuple

    def address(self):
        """The address of every element, as an array of the tensor's shape."""
        index = np.indices(self.shape)
        return self.offset + sum((i * s for i, s in zip(index, self.strides, strict=True)), np.zeros(self.shape, int))

    def replace(self, k, dims, offset=0):
        """Dimension k replaced by other dimensions, (length, stride) each."""
        lengths, strides = zip(*dims, strict=True) if dims else ((), ())
        return Layout(
            self.offset + offset,
            self.shape[:k] + lengths + self.shape[k + 1 :],
            self.strides[:k] + strides + self.strides[k + 1 :],
        )

    def permute(self, order):
        return Layout(self.offset, tuple(self.shape[k] for k in order), tuple(self.strides[k] for k in order))

    def slice(self, k, start, stop, step):
        return self.replace(k, [(-(-(stop - start) // step), step * self.strides[k])], start * self.strides[k])

    def select(self, k, i):
        return self.replace(k, [], i * self.strides[k])

    def unsqueeze(self, k):
        return Layout(self.offset, self.shape[:k] + (1,) + self.shape[k:], self.strides[:k] + (0,) + self.strides[k:])

    def expand(self, k, length):
        return self.replace(k, [(length, 0)])

    def split(self, k, p):
        q, stride = self.shape[k] // p, self.strides[k]
        return self.replace(k, [(p, q * stride), (q, stride)])

    def merge(self, k):
        """Dimensions k and k + 1 joined, or None where no single stride does it."""
        (n, m), (s, t) = self.shape[k : k + 2], self.strides[k : k + 2]
        if n > 1 and m > 1 and s != m * t:
            return None
        stride = s if m == 1 else t
        return self.replace(k, [(n * m, stride)]).select(k + 1, 0)


def contiguous(shape):
    """The layout of elements that lie row by row without gaps."""
    return Layout(0, shape, tuple(prod(shape[k + 1 :]) for k in range(len(shape))))


def broadcast(*shapes):
    """The shape that shapes are stretched to, aligned at the right; None where they do not fit."""
    rank = max(len(shape) for shape in shapes)
    result = []
    for lengths in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True):
        longer = set(lengths) - {1}
        if len(longer) > 1:
            return None
        result.append(longer.pop() if longer else 1)
    return tuple(result)


def stretched(layout, shape):
    """A layout broadcast to a shape: strides of 0 in the dimensions that are new, or have one element."""
    new = len(shape) - len(layout.shape)
    old = zip(layout.shape, layout.strides, shape[new:], strict=True)
    return Layout(layout.offset, shape, (0,) * new + tuple(s if n == m else 0 for n, s, m in old))


# %% [markdown]
# A random chain of operations is applied to the layout by our rules and to a tensor by each library. The tensor's
# elements are their own addresses, so that reading an element tells where it lies.


# %%
def draw(layout, rng):
    """A random operation that a layout allows: its name and arguments."""
    rank = len(layout.shape)
    possible = ["unsqueeze"] if rank < 5 else []
    if rank:
        k = int(rng.integers(rank))
        n = layout.shape[k]
        possible += ["permute", "slice"] + ["select"] * (rank > 2) + ["expand"] * 3 * (n == 1)
        possible += ["split"] * (rank < 5 and n in (4, 6)) + ["merge"] * (k + 1 < rank)
    match possible[rng.integers(len(possible))]:
        case "unsqueeze":
            return "unsqueeze", (int(rng.integers(rank + 1)),)
        case "permute":
            return "permute", (rng.permutation(rank).tolist(),)
        case "slice":
            start = int(rng.integers(n))
            return "slice", (k, start, int(rng.integers(start + 1, n + 1)), int(rng.integers(1, 4)))
        case "select":
            return "select", (k, int(rng.integers(n)))
        case "expand":
            return "expand", (k, int(rng.integers(2, 5)))
        case "split":
            return "split", (k, 2)
        case "merge":
            return "merge", (k,)


def perform(x, operation, arguments):
    """The operation on an array of NumPy, or on a tensor of nn or PyTorch, whose methods have the same names."""
    shape, numpy = tuple(x.shape), isinstance(x, np.ndarray)
    k, rest = arguments[0], arguments[1:]
    match operation:
        case "permute":
            return x.transpose(k) if numpy else x.permute(*k)
        case "slice":
            return x[(slice(None),) * k + (slice(*rest),)]
        case "select":
            return x[(slice(None),) * k + rest]
        case "unsqueeze":
            return np.expand_dims(x, k) if numpy else x.unsqueeze(k)
        case "expand":
            wanted = shape[:k] + rest + shape[k + 1 :]
            return np.broadcast_to(x, wanted) if numpy else x.expand(*wanted)
        case "split":
            return x.reshape(shape[:k] + (rest[0], shape[k] // rest[0]) + shape[k + 1 :])
        case "merge":
            return x.reshape(shape[:k] + (shape[k] * shape[k + 1],) + shape[k + 2 :])


def layout_of(x, start):
    """The layout that a library itself states, relative to the address (in bytes) where its memory starts."""
    if not isinstance(x, np.ndarray | nn.Tensor):
        return Layout((x.data_ptr() - start) // x.element_size(), tuple(x.shape), tuple(x.stride()))
    x = x.array if isinstance(x, nn.Tensor) else x
    return Layout(
        (x.__array_interface__["data"][0] - start) // x.itemsize, x.shape, tuple(s // x.itemsize for s in x.strides)
    )


def agrees(stated, ours):
    """Whether two layouts are the same, but for the strides of dimensions that have one element."""
    effective = [tuple(s for n, s in zip(x.shape, x.strides, strict=True) if n > 1) for x in (stated, ours)]
    return stated[:2] == ours[:2] and effective[0] == effective[1]


def view_raises(x, shape):
    """Whether a tensor cannot be seen in another shape without a copy."""
    try:
        x.view(*shape)
    except (ValueError, RuntimeError):
        return True
    return False


def follow_chain(rng, operations):
    """One random chain of views in three libraries: how many elements and operations, and how many exceptions."""
    import torch

    shape = tuple(rng.choice([1, 2, 3, 4, 6], rng.integers(5)).tolist())
    layout = contiguous(shape)
    memory = [np.arange(prod(shape), dtype=np.float64) for _ in range(3)]
    views = [nn.from_numpy(memory[0]), memory[1], torch.from_numpy(memory[2])]
    views = [view.reshape(shape) for view in views]
    count = {"elements": 0, "views": 0, "copies": 0, "wrong_elements": 0, "wrong_layouts": 0, "wrong_sharing": 0}
    for _ in range(operations):
        operation, arguments = draw(layout, rng)
        new = getattr(layout, operation)(*arguments)
        results = [perform(view, operation, arguments) for view in views]
        shared = [np.shares_memory(np.asarray(r), cells) for r, cells in zip(results, memory, strict=True)]
        count["wrong_sharing"] += sum(share != (new is not None) for share in shared)
        if operation == "merge":
            count["wrong_sharing"] += sum(
                view_raises(view, results[0].shape) != (new is None) for view in (views[0], views[2])
            )
        if new is None:  # a copy: its elements are no longer their own addresses
            count["copies"] += 1
            continue
        layout, views = new, results
        address = layout.address()
        count["views"] += 1
        count["elements"] += 3 * address.size
        for view, cells in zip(views, memory, strict=True):
            count["wrong_elements"] += int(np.sum(np.asarray(view) != address))
            count["wrong_layouts"] += not agrees(layout_of(view, cells.ctypes.data), layout)
    return count | {"wrong_writes": wrong_writes(views, memory, layout.address(), rng)}


def wrong_writes(views, memory, address, rng):
    """Write into one cell of the memory: exactly the elements whose address it is must change; exceptions to that."""
    cell = rng.choice(address.ravel())
    for cells in memory:
        cells[cell] = -1
    return sum(int(np.sum((np.asarray(view) == -1) != (address == cell))) for view in views)


# %% [markdown]
# Every pair of shapes with lengths 1, 2 and 3: does each library accept exactly what the rule accepts, are result and
# gradient those of gather and scatter? The numbers are small integers, so that sums are exact in any order.


# %%
def attempt(function, *arguments):
    """What a function returns, or None where it raises."""
    try:
        return function(*arguments)
    except (ValueError, RuntimeError):
        return None


def broadcast_pair(first, second, rng):
    """The exceptions of one pair of shapes, by kind, and whether they fit."""
    import torch

    a, b = (rng.integers(-4, 5, shape).astype(np.float64) for shape in (first, second))
    ours = [nn.tensor(v, requires_grad=True) for v in (a, b)]
    theirs = [torch.tensor(v, requires_grad=True) for v in (a, b)]
    shape = broadcast(first, second)
    results = [attempt(lambda x, y: x * y, *pair) for pair in (ours, (a, b), theirs)]
    if shape is None:
        return {"fits": 0, "wrong_shapes": sum(r is not None for r in results), "wrong_values": 0, "wrong_gradients": 0}
    if any(r is None or tuple(r.shape) != shape for r in results):
        return {"fits": 1, "wrong_shapes": 1, "wrong_values": 0, "wrong_gradients": 0}
    addresses = [stretched(contiguous(v.shape), shape).address() for v in (a, b)]
    gathered = [v.reshape(-1)[address] for v, address in zip((a, b), addresses, strict=True)]
    wrong_values = sum(int(np.sum(np.asarray(r.detach()) != gathered[0] * gathered[1])) for r in results[::2])
    wrong_values += int(np.sum(results[1] != gathered[0] * gathered[1]))

    dy = rng.integers(-4, 5, shape).astype(np.float64)
    results[0].backward(nn.tensor(dy))
    results[2].backward(torch.tensor(dy))
    wrong_gradients = 0
    for i, (v, address) in enumerate(zip((a, b), addresses, strict=True)):
        scattered = np.zeros(v.size)
        np.add.at(scattered, address, dy * gathered[1 - i])
        gradients = (ours[i].grad.array, theirs[i].grad.numpy())
        wrong_gradients += sum(int(np.sum(g != scattered.reshape(v.shape))) for g in gradients)
    return {"fits": 1, "wrong_shapes": 0, "wrong_values": wrong_values, "wrong_gradients": wrong_gradients}


def aligned_left(first, second):
    """The control: what the rule would say if it aligned shapes at the left."""
    mirrored = broadcast(first[::-1], second[::-1])
    return None if mirrored is None else mirrored[::-1]


def shapes(largest_rank):
    """All shapes up to a rank with lengths 1, 2 and 3."""
    return [shape for rank in range(largest_rank + 1) for shape in itertools.product((1, 2, 3), repeat=rank)]


def total(counts):
    """The sums of dicts with the same keys."""
    counts = list(counts)
    return {key: sum(count[key] for count in counts) for key in counts[0]}


# %% [markdown]
# What a view costs against a copy, in bytes that Python and NumPy allocate; and the walk through a matrix: simulated
# with a cache of so many lines, and timed.

# %%
VIEWS = {
    "x.T": lambda x: x.T,
    "x[:, ::2]": lambda x: x[:, ::2],
    "x.reshape(-1)": lambda x: x.reshape(-1),
    "x[:1].expand(n, n)": lambda x: x[:1].expand(*x.shape),
}
COPIES = {
    "x.clone()": lambda x: x.clone(),
    "x.T.reshape(-1)": lambda x: x.T.reshape(-1),
    "x + 0": lambda x: x + 0,
}


def allocated(function, x):
    """Bytes that a function allocates and its result holds: the least of three, as Python keeps spare objects."""
    held = []
    tracemalloc.start()
    for _ in range(3):
        before = tracemalloc.get_traced_memory()[0]
        result = function(x)
        held.append(tracemalloc.get_traced_memory()[0] - before)
        del result
    tracemalloc.stop()
    return min(held)


def misses(addresses, capacity, per_line=8):
    """Lines fetched on the way through addresses, by a cache that evicts the least recently used line."""
    cache, fetched = OrderedDict(), 0
    for address in addresses:
        line = address // per_line
        if line in cache:
            cache.move_to_end(line)
            continue
        fetched += 1
        cache[line] = None
        if len(cache) > capacity:
            cache.popitem(last=False)
    return fetched


def walks(n, block):
    """Name -> addresses in the order of the walk through an n × n matrix."""
    address = contiguous((n, n)).address()
    strips = [address[top : top + block].T.ravel() for top in range(0, n, block)]
    return {"rows": address.ravel(), "columns": address.T.ravel(), "columns, in blocks": np.concatenate(strips)}


@njit
def walk(x):
    """Sum a matrix, the last index fastest: whatever its strides are."""
    total = 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total += x[i, j]
    return total


def nanoseconds(function, x):
    """The time of a function for each element, the best of three."""
    function(x)
    times = []
    for _ in range(3):
        start = perf_counter()
        function(x)
        times.append(perf_counter() - start)
    return min(times) / prod(x.shape) * 1e9


def time_layouts(n):
    """ns for each element of a sum of n × n elements, by library and layout: shown, never judged."""
    import torch

    memory = np.ones((n, 8 * n))
    libraries = {"plain loops": (memory, walk), "NumPy": (memory, np.sum)}
    libraries |= {"nn": (nn.from_numpy(memory), lambda x: x.sum()), "PyTorch": (torch.from_numpy(memory), torch.sum)}
    times = {}
    for name, (x, function) in libraries.items():
        square = x.reshape(-1)[: n * n].reshape(n, n)
        layouts = {"contiguous": square, "transposed": square.T, "every 8th column": x[:, ::8]}
        times[name] = {layout: nanoseconds(function, view) for layout, view in layouts.items()}
    return times


LAYOUTS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.T,
    "rows ::2": lambda x: x[::2],
    "columns ::2": lambda x: x[:, ::2],
    "one row expanded": lambda x: x[:1].expand(6, 4),
    "one number expanded": lambda x: x[:1, :1].expand(6, 4),
}
OPERATIONS = {
    "transpose": lambda x: x.transpose(0, 1),
    "x[1:, 1:]": lambda x: x[1:, 1:],
    "unsqueeze(0)": lambda x: x.unsqueeze(0),
    "split columns": lambda x: x.reshape(x.shape[0], 2, x.shape[1] // 2),
    "reshape(-1)": lambda x: x.reshape(-1),
    "swap lengths by reshape": lambda x: x.reshape(x.shape[1], x.shape[0]),
    "clone": lambda x: x.clone(),
}


def view_grid():
    """Whether each operation on each layout shares memory (1) or copies (0), and in how many cases PyTorch differs."""
    import torch

    grid, differing = [], 0
    for operation in OPERATIONS.values():
        row = []
        for layout in LAYOUTS.values():
            x, y = nn.zeros(6, 4), torch.zeros(6, 4)
            shared = [np.shares_memory(np.asarray(operation(layout(t))), np.asarray(t)) for t in (x, y)]
            row.append(int(shared[0]))
            differing += shared[0] != shared[1]
        grid.append(row)
    return {"shares": grid, "differing": differing}


def write_element(y):
    y[0, 0] = 1


def write_row(y):
    y[0] = 1


def write_column(y):
    y[:, 0] = 1


def add_in_place(y):
    y += 1


WRITES = {"y[0, 0] = 1": write_element, "y[0] = 1": write_row, "y[:, 0] = 1": write_column, "y += 1": add_in_place}


def writes():
    """For each library: how many of the 6 elements of y, a row of 3 expanded to 2 rows, each way of writing changes."""
    import torch

    expanded = {
        "nn": lambda: nn.zeros(3).expand(2, 3),
        "NumPy": lambda: np.broadcast_to(np.zeros(3), (2, 3)),
        "PyTorch": lambda: torch.zeros(3).expand(2, 3),
    }
    changed = {}
    for library, make in expanded.items():
        changed[library] = []
        for write in WRITES.values():
            y = make()
            attempt(write, y)
            changed[library].append(int(np.count_nonzero(np.asarray(y))))
    return changed


def expected_misses(result):
    """Theory: the lines that each walk fetches."""
    columns = [n * n if n > result["cache_lines"] else n * n // 8 for n in result["walked"]]
    rows = [n * n // 8 for n in result["walked"]]
    return {"rows": rows, "columns": columns, "columns, in blocks": rows}


# %%
def run(config, seed):
    """Count the exceptions to every rule above."""
    rng, _, _ = lab.streams(seed)
    pairs = list(itertools.product(shapes(config["largest_rank"]), repeat=2))
    sides = config["sides"]
    tensors = {n: nn.zeros(n, n, dtype=np.float64) for n in sides}
    cost = {
        kind: {name: [allocated(function, tensors[n]) for n in sides] for name, function in functions.items()}
        for kind, functions in (("views", VIEWS), ("copies", COPIES))
    }
    fetched = {}
    for n in config["walked"]:
        for name, addresses in walks(n, config["cache_lines"]).items():
            fetched.setdefault(name, []).append(misses(addresses.tolist(), config["cache_lines"]))
    return {
        "chains": total(follow_chain(rng, config["operations"]) for _ in range(config["chains"])),
        "pairs": len(pairs),
        "broadcasting": total(broadcast_pair(a, b, rng) for a, b in pairs),
        "aligned_left": sum(aligned_left(a, b) != attempt(np.broadcast_shapes, a, b) for a, b in pairs),
        "sides": sides,
        "cost": cost,
        "walked": config["walked"],
        "cache_lines": config["cache_lines"],
        "fetched": fetched,
        "timed": config["timed"],
        "times": [time_layouts(n) for n in config["timed"]],
        "grid": view_grid(),
        "writes": writes(),
    }


# %% [markdown]
# Side by side with PyTorch: a small patch model whose code is the same characters for both libraries. Images (rank 4)
# are scaled and shifted by channel (broadcasting), cut into patches (split, permute, merge), multiplied with weights,
# and compared with targets; the step is written out.


# %%
def patch_model(library, images, targets, weights, rate):
    """A function that takes one step of gradient descent and returns the loss, in either library."""
    images, targets = library.tensor(images), library.tensor(targets)
    scale, shift, w = (library.tensor(value, requires_grad=True) for value in weights)
    N, C, H, W = images.shape

    def step():
        x = images * scale + shift  # (N, C, H, W), (C, 1, 1), (C, 1, 1)
        patches = x.reshape(N, C, H // 2, 2, W // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(N, -1, C * 4)
        error = patches @ w - targets.unsqueeze(1)  # (N, patches, outputs) minus (N, 1, outputs)
        loss = (error * error).mean()
        loss.backward()
        with library.no_grad():
            for parameter in (scale, shift, w):
                parameter -= rate * parameter.grad
                parameter.grad = None
        return loss.item()

    return step


def compare(config, seed):
    """The same steps in PyTorch, in float64."""
    import torch

    data, initialisation, _ = lab.streams(seed)
    images, targets = data.standard_normal((8, 3, 8, 8)), data.standard_normal((8, 5))
    weights = [initialisation.standard_normal(shape) for shape in ((3, 1, 1), (3, 1, 1), (12, 5))]
    ours, theirs = (patch_model(library, images, targets, weights, 0.05) for library in (nn, torch))
    return side_by_side.duel(ours, theirs, tolerance=1e-9)


# %% [markdown]
# ## Writing, broadcasting, bytes and walks

# %%
if __name__ == "__main__":
    lab.show(lab.load("tensors").draw_writes(study.results))

# %% [markdown]
# `y` is a row of three numbers expanded to two rows. `nn` and NumPy make such a view read-only. PyTorch refuses a write
# only where the *written* view meets itself: `y += 1` would add twice to each cell, and `y[:, 0] = 1` would write one cell
# twice. But `y[0, 0] = 1` and `y[0] = 1` name each cell once, and are done, and then the other row has changed, too.

# %%
if __name__ == "__main__":
    lab.show(lab.load("tensors").draw_broadcasting(study.results))

# %% [markdown]
# A dash is an error in all three libraries. A number is $|z|/|x|$, how often each element of the first operand is read,
# and so its gradient in $\partial \sum z/\partial x$ for $z = x + y$: the answer to the second question is the row
# (3,1), where a partner of length 4 would give 4. The picture is not symmetric: the gradient of the *smaller* operand
# collects more. It also shows the trap of the rule, (3,) with (3,1) gives (3, 3), in silence: a loss of predictions (N,
# 1) against targets (N,) becomes an average over N² pairs.

# %%
if __name__ == "__main__":
    lab.show(lab.load("tensors").draw_bytes(study.results))

# %% [markdown]
# The flat lines are Python objects: a tensor, an array header, and where the tape records, a node. A view takes a
# few hundred bytes, for 100 elements and for a million. The rising lines are 8 bytes an element. Flattening the
# transpose is among them: its strides do not merge, so `reshape` has to copy, silently.

# %%
if __name__ == "__main__":
    lab.show(lab.load("tensors").draw_traversal(study.results))

# %% [markdown]
# On the left the simulated counts lie on the derived lines, and the jump is where it should be: a walk along columns
# costs eight times the memory traffic as soon as a column has more lines than the cache holds, and walking in blocks
# takes it back. On the right one compiled loop sums n × n elements; only the strides of what it is given differ. For
# small matrices they do not matter, for everything is in the cache. How much they matter beyond depends on machine and
# load, so this is a picture and no claim; real caches have several levels, few places for each address (powers of two
# are the worst strides), and fetch ahead.

# %%
if __name__ == "__main__":
    lab.show(lab.load("tensors").draw_libraries(study.results))

# %% [markdown]
# A sum over all elements may take them in any order, and NumPy and PyTorch use that: they sort the dimensions by
# stride, and the transpose costs what the original does. The plain loop, and our kernel (which copies what is not
# contiguous once), take the order they are given. Every 8th column is the case that no order helps: each element needs
# a line of its own, so eight times the memory is moved.
#
# ## Compare
#
# Below, the same lines of code run with `nn` and `torch` as `library`: images scaled and shifted by channel
# (broadcasting), cut into patches by split, permute and merge, and fitted by gradient descent. The last merge needs a
# copy, and its gradient has to find the way back through all five operations.
#
# ## Interpret: operation × layout

# %%
if __name__ == "__main__":
    lab.show(lab.load("tensors").draw_grid(study.results))

# %% [markdown]
# The grid is the merge rule at work. Slicing rows leaves a gap after each row, so $s_0 = 8 \neq 4 \cdot 1$ and
# flattening copies; slicing columns keeps $s_0 = n_1 s_1$ ($4 = 2 \cdot 2$), so it is a view still. One row expanded
# has strides $(0, 1)$: $0 \neq 4 \cdot 1$, a copy; one *number* expanded has $(0, 0)$, and $0 = 4 \cdot 0$: a view of a
# single cell in any shape. Nobody had to decide these cases: they follow from one equation.
#
# What the verdict means: over these random chains and all small shapes the three libraries *are* the address formula.
# What it does not mean: that they agree in everything. NumPy also has negative strides (`x[::-1]` is a view there and
# in `nn`), PyTorch refuses them and `flip` copies. And a view is free to make, not free to use: it may be slow to walk,
# it keeps the whole memory alive for one small slice, and what is written through one name is seen under the other.
#
# <details><summary>The predictions</summary>
#
# 1. Some hundred bytes; 8 MB, as the strides of the transpose do not merge; some hundred bytes. 2. (3, 4), and 4: each
# element of the first is read four times. 3. Those whose column has no more lines than the cache holds, and those
# that are walked in blocks.
# </details>
#
# ## Exercises

# %%
if __name__ == "__main__":
    lab.show(lab.exercises("tensors"))


# %%
def answer_merge(results):
    """The check that falls if `merge` forgets that a dimension of length 1 imposes nothing."""

    class Strict(Layout):
        __slots__ = ()

        def merge(self, k):
            return super().merge(k) if self.strides[k] == self.shape[k + 1] * self.strides[k + 1] else None

    small = {"chains": 60, "largest_rank": 2, "sides": [10], "walked": [16], "timed": [64]}
    return lab.fallen("tensors", small, Layout=Strict)[0]


def answer_reads(results):
    """How often each element of the second operand is read."""
    first, second = (2, 3, 1), (4,)
    return prod(broadcast(first, second)) / prod(second)


def answer_row(results):
    """What PyTorch does with y[0] = 1."""
    changed = results[0]["writes"]["PyTorch"][list(WRITES).index("y[0] = 1")]
    return {0: "it refuses", 3: "it changes one row", 6: "it changes both rows"}[changed]


EXERCISES = [
    lab.Exercise(
        "In `Layout.merge`, leave out `n > 1 and m > 1`, so that the strides must fit even where a dimension has length 1. "
        "Which check falls?",
        answer_merge,
        "Such a merge is then said to need a copy, and all three libraries return a view: with one index there is nothing "
        "that the stride could be wrong for. Addresses and layouts stay right, as nothing wrong is ever computed.",
        choices=(
            "views that copied, copies that shared",
            "elements that a write to one cell wrongly changed or missed",
            "broadcast values other than those read with stride 0",
        ),
    ),
    lab.Exercise(
        "Shapes (2, 3, 1) and (4,) are added. What is the gradient of the sum of the result with respect to one element "
        "of the *second* operand?",
        answer_reads,
        "The result has 24 elements and the second operand 4: each is read 6 times, and the gradient counts the reads.",
    ),
    lab.Exercise(
        "`y = torch.zeros(3).expand(2, 3)`. What does `y[0] = 1` do?",
        answer_row,
        "The written view `y[0]` has three different cells, so PyTorch finds nothing to refuse; the second row reads the "
        "same cells.",
        choices=("it refuses", "it changes one row", "it changes both rows"),
    ),
]

# %% [markdown]
# ## Configurations and checks
#
# Exceptions are counted, so most bounds are 0. A counter that is always 0 proves nothing, hence two controls: a wrong
# broadcasting rule (aligned at the left) must be caught, and the chains must have met merges that need a copy. No time
# is judged. The claim is about addresses, views and broadcasting; the rest is ours.

# %%
FULL = {
    "seeds": 5,
    "chains": 300,
    "operations": 8,
    "largest_rank": 4,  # of the shapes that are broadcast against each other
    "sides": [10, 30, 100, 300, 1000],
    "cache_lines": 64,
    "walked": [16, 32, 64, 128, 256],
    "timed": [64, 128, 256, 512, 1024, 2048],
}
FAST = FULL | {
    "seeds": 1,
    "chains": 60,
    "largest_rank": 3,
    "sides": [10, 100, 300],
    "walked": [16, 64, 128],
    "timed": [64, 256],
}


PICTURED = {
    "x = arange(24), 4 × 6": [],
    "x.T": [("permute", ([1, 0],))],
    "x[1:, ::2]": [("slice", (0, 1, 4, 1)), ("slice", (1, 0, 6, 2))],
    "x[2].expand(4, 6)": [("select", (0, 2)), ("unsqueeze", (0,)), ("expand", (0, 4))],
    "x.reshape(2, 2, 6)[:, 1]": [("split", (0, 2)), ("select", (1, 1))],
}


def check(results, mode):
    """What must hold, in both modes."""
    chains = total(result["chains"] for result in results)
    pairs = total(result["broadcasting"] for result in results)
    cost = results[0]["cost"]
    sides = np.array(results[0]["sides"])
    views = np.array([bytes for result in results for bytes in result["cost"]["views"].values()])
    copies = np.array([bytes for result in results for bytes in result["cost"]["copies"].values()])
    predicted = expected_misses(results[0])
    wrong_misses = sum(np.sum(np.array(predicted[name]) != counted) for name, counted in results[0]["fetched"].items())
    pilot = {"extra": True, "origin": "pilot"}
    theirs = results[0]["writes"]["PyTorch"]
    one, added = theirs[0], theirs[-1]
    ours = max(results[0]["writes"]["nn"] + results[0]["writes"]["NumPy"])
    return [
        lab.check(f"elements not at o + Σ i·s, of {chains['elements']:,}", chains["wrong_elements"], at_most=0),
        lab.check(
            f"offsets, shapes or strides not as derived, of {3 * chains['views']:,}",
            chains["wrong_layouts"],
            at_most=0,
        ),
        lab.check("views that copied, copies that shared", chains["wrong_sharing"], at_most=0),
        lab.check(
            "elements that a write to one cell wrongly changed or missed", chains["wrong_writes"], at_most=0, extra=True
        ),
        lab.check(
            f"shapes on which rule and library disagree, of {results[0]['pairs']:,} pairs",
            pairs["wrong_shapes"],
            at_most=0,
        ),
        lab.check("broadcast values other than those read with stride 0", pairs["wrong_values"], at_most=0),
        lab.check("gradients other than the sum over stretched axes", pairs["wrong_gradients"], at_most=0),
        lab.check(
            "control: pairs on which a rule aligned at the left is wrong",
            results[0]["aligned_left"],
            at_least=1,
            extra=True,
        ),
        lab.check("control: merges that needed a copy", chains["copies"], at_least=1, extra=True),
        lab.check(f"bytes a view allocates, most of {', '.join(cost['views'])}", views.max(), at_most=2048, **pilot),
        lab.check(
            "bytes a view allocates: largest matrix minus smallest", np.ptp(views, axis=1).max(), at_most=64, **pilot
        ),
        lab.check("bytes a copy allocates beyond 8 n², least", (copies - 8 * sides**2).min(), at_least=0, extra=True),
        lab.check("bytes a copy allocates beyond 8 n², most", (copies - 8 * sides**2).max(), at_most=2048, **pilot),
        lab.check("lines fetched by the simulated cache, other than derived", wrong_misses, at_most=0, extra=True),
        lab.check(
            "view or copy: cases of the grid where PyTorch differs",
            results[0]["grid"]["differing"],
            at_most=0,
            extra=True,
        ),
        lab.check("y[0, 0] = 1 on an expanded y: elements that PyTorch changes", one, at_least=2, **pilot),
        lab.check("y += 1 on an expanded y: elements that PyTorch changes", added, at_most=0, **pilot),
        lab.check("any write to an expanded y: elements that nn and NumPy change", ours, at_most=0, **pilot),
    ]


# %% [markdown]
# ## Drawing


# %%
def draw_layouts(results):
    """The addresses of five tensors on the same 24 cells: the number in a box is where that element lies."""
    figure, panels = plot.figure(10, 3.4, columns=len(PICTURED), width_ratios=[6, 4, 3, 6, 6])
    for axes, (name, operations) in zip(panels, PICTURED.items(), strict=True):
        layout = contiguous((4, 6))
        for operation, arguments in operations:
            layout = getattr(layout, operation)(*arguments)
        address = layout.address()
        axes.imshow(address, cmap=plot.SEQUENTIAL, vmin=-4, vmax=34, aspect="equal")
        for (i, j), cell in np.ndenumerate(address):
            axes.text(j, i, cell, ha="center", va="center", fontsize=9, color=plot.INK if cell < 15 else "white")
        axes.set(xticks=[], yticks=[], title=name)
        axes.set_xlabel(f"offset {layout.offset}\nshape {layout.shape}\nstrides {layout.strides}")
        axes.title.set_fontsize(9)
        axes.spines[:].set_visible(False)
    figure.suptitle("Five tensors, one memory of 24 cells: the address of every element")
    return figure


def draw_writes(results):
    """How many elements of an expanded tensor each way of writing changes, in each library."""
    figure, axes = plot.figure(7.5, 2.6)
    cells = np.array(list(results[0]["writes"].values()), float)
    cells[cells == 0] = np.nan
    plot.grid(cells, list(results[0]["writes"]), list(WRITES), ax=axes, fmt="{:.0f}", limits=(0, 6))
    axes.set_title("Writing through a stride of 0: elements of y (2 × 3) that change; –: refused")
    return figure


def draw_broadcasting(results):
    """Which shapes up to rank 2 fit, and how often an element of the first is read."""
    names = shapes(2)
    repeats = np.full((len(names), len(names)), np.nan)
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            shape = broadcast(first, second)
            if shape is not None:
                repeats[i, j] = prod(shape) / prod(first)
    figure, axes = plot.figure(8, 6)
    labels = [str(shape).replace(" ", "") for shape in names]
    plot.grid(
        repeats, labels, labels, ax=axes, fmt="{:.0f}", label="reads of each element of the first: gradient of the sum"
    )
    axes.set(
        xlabel="second operand", ylabel="first operand", title="x + y: do the shapes fit, and how often is x read?"
    )
    return figure


def draw_bytes(results):
    """What views and copies allocate, by size."""
    figure, axes = plot.figure(7, 3.8)
    result = results[0]
    matrix = 8 * np.array(result["sides"]) ** 2
    for kind, colours in (("views", (plot.BLUE, plot.SKY, plot.PURPLE, plot.GREEN)), ("copies", (plot.ORANGE,) * 3)):
        for (name, bytes), colour, style in zip(
            result["cost"][kind].items(), colours, ("-", "--", ":", "-."), strict=False
        ):
            axes.loglog(matrix, bytes, color=colour, ls=style, marker="o", ms=4, label=name)
    axes.set(xlabel="bytes of x", ylabel="bytes allocated", title="A view costs some hundred bytes, whatever it shows")
    axes.legend(loc="upper left", frameon=False)
    return figure


def draw_traversal(results):
    """Lines fetched by walks through a matrix: simulated, derived; and what a walk took on this machine."""
    result = results[0]
    figure, (left, right) = plot.figure(10, 3.8, columns=2)
    sizes = np.array(result["walked"])
    colours = {"rows": plot.BLUE, "columns": plot.ORANGE, "columns, in blocks": plot.GREEN}
    for (name, counted), marker in zip(result["fetched"].items(), "oos", strict=True):
        left.plot(
            sizes, np.array(counted) / sizes**2, marker, ms=7 if marker == "o" else 4, color=colours[name], label=name
        )
        left.plot(sizes, np.array(expected_misses(result)[name]) / sizes**2, color=colours[name], lw=1)
    left.axvline(result["cache_lines"], color=plot.GREY, lw=1, ls=":")
    left.set(xlabel="n", ylabel="lines fetched for each element", ylim=(0, 1.1))
    for axes, ticks in ((left, sizes), (right, result["timed"])):
        axes.set_xscale("log")
        axes.set_xticks(ticks, ticks)
        axes.minorticks_off()
    left.set_title(f"A cache of {result['cache_lines']} lines; lines: theory")
    left.legend(frameon=False, loc="center left")
    for layout, colour in (("contiguous", plot.BLUE), ("transposed", plot.ORANGE), ("every 8th column", plot.PURPLE)):
        times = np.array([[times["plain loops"][layout] for times in r["times"]] for r in results])
        right.plot(result["timed"], times.T, color=colour, lw=0.5, alpha=0.5)
        right.plot(result["timed"], np.median(times, axis=0), color=colour, marker="o", ms=4, label=layout)
    right.set(xlabel="n", ylabel="ns for each element", title="Measured: the same loop, other strides")
    right.set_ylim(bottom=0)
    right.legend(frameon=False)
    return figure


def draw_libraries(results):
    """ns for each element of a sum, by library and layout, at the largest size."""
    result = results[0]
    largest = [result["times"][-1] for result in results]
    layouts = list(largest[0]["nn"])
    times = {name: np.median([list(time[name].values()) for time in largest], axis=0) for name in largest[0]}
    figure, axes = plot.figure(6.5, 2.8)
    plot.grid(list(times.values()), list(times), layouts, ax=axes, fmt="{:.2f}", label="ns an element")
    axes.set_title(f"The sum of {result['timed'][-1]} × {result['timed'][-1]} elements")
    return figure


def draw_grid(results):
    """Which operations on which layouts are views."""
    figure, axes = plot.figure(8, 3.8)
    shares = np.array(results[0]["grid"]["shares"], float)
    plot.grid(shares, list(OPERATIONS), list(LAYOUTS), ax=axes, fmt="{:.0f}", label="1: a view, 0: a copy")
    axes.tick_params(axis="x", rotation=25)
    axes.set_title("x is 6 × 4: what does each operation do to each layout?")
    return figure

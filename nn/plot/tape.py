"""A drawing of the tape: the graph of the operations from which a tensor was computed, in layers.

Four steps, after Sugiyama, Tagawa and Toda (Methods for visual understanding of hierarchical system structures, 1981):
each box is assigned a layer, so that all edges point down; an edge over several layers gets a joint in each; the boxes
of a layer are ordered by the mean positions of their neighbours, in sweeps down and up, as long as that reduces
crossings; then they are moved towards their neighbours as far as the minimum distance between them allows. Parameters
are on a card next to the operation that reads them, so that the layers contain only what is computed.
"""

from itertools import combinations, pairwise
from statistics import fmean
from typing import NamedTuple

from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from nn.parameter import Parameter
from nn.plot.appearance import GREY, INK, figure, style
from nn.storage import edge
from nn.tape import Node
from nn.tensor import Tensor

_SIZE = 9  # font size; this and all lengths here are in points
_LINE = 12  # height of a line of text
_PADDING, _GAP, _STEP = 6, 14, 14  # inside a box, between boxes, between layers
_ORDERINGS, _MOVES = 12, 400  # numbers of sweeps
_PALE = "#e3edf6"


class Joint(NamedTuple):
    """The point at which a long edge crosses a layer."""

    source: object
    target: object
    layer: int


def graph(tensor, *, ax=None, names=None, limit=150):
    """Draw the tape of a tensor: the operations from which it was computed, from the leaves down to the result.

    Parameters
    ----------
    tensor : Tensor
        On the tape, which backward has not freed yet.
    ax : Axes, optional
        The drawing is scaled down to fit. By default a new figure has the size of the drawing.
    names : dict or iterable of (str, Tensor), optional
        Names of leaves: ``model.named_parameters()``.
    limit : int, default 150
        The largest number of operations and leaves.

    Returns
    -------
    Axes
        White boxes are operations, the last one with a dark frame; coloured boxes are leaves, the tensors that get
        gradients, with their shapes: a parameter, or another leaf that is read once, next to the operation that reads
        it, a leaf that is read several times as a box in a layer. Inputs without a gradient are not on the tape. An
        operation with several results, such as split, has one box for itself and one for each result.

    Raises
    ------
    TypeError
        It is not a Tensor.
    ValueError
        It is not on the tape, its tape was freed, or there are more than `limit` operations and leaves.

    Examples
    --------
    >>> import nn
    >>> from nn import plot
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    >>> ax = plot.graph(model(nn.zeros(2, 4)).sum(), names=model.named_parameters())
    """
    inputs, cards = with_cards(sources_of(tensor, limit))
    known = {} if names is None else {id(t): name for name, t in (names.items() if isinstance(names, dict) else names)}
    texts = {box: [box.name] if type(box) is Node else [described(box, known)] for box in inputs}
    notes = {box: [described(leaf, known) for leaf in leaves] for box, leaves in cards.items()}
    sizes = {box: (text_width(text), text_width(notes[box]) if notes[box] else 0) for box, text in texts.items()}
    rows, above, below = layers_of(inputs)
    x = coordinates(rows, above, below, sizes)
    heights = [_LINE * max((len(notes[b]) for b in row if b in notes), default=0) + 2 * _PADDING for row in rows]
    heights = [max(height, _LINE + 2 * _PADDING) for height in heights]
    tops = [sum(heights[level + 1 :]) + _STEP * (len(rows) - level) for level in range(len(rows))]
    y = {box: tops[level] + heights[level] / 2 for level, row in enumerate(rows) for box in row}
    left = min(x[box] - sizes[box][0] / 2 if box in sizes else x[box] for box in x) - _GAP
    right = max(right_end(x[box], sizes.get(box)) for box in x) + _GAP
    bottom = tops[0] + heights[0] + _STEP
    with style():
        if ax is None:
            ax = figure((right - left) / 72, bottom / 72)[1]
        ax.set(xlim=(left, right), ylim=(bottom, 0), aspect="equal")
        ax.set_axis_off()
        extent = ax.get_window_extent()
        scale = min(1, 72 / ax.figure.dpi * min(extent.width / (right - left), extent.height / bottom))
        for route in routes(inputs, x, y):
            ax.add_patch(PathPatch(smooth(route), fc="none", ec=GREY, lw=1.1 * scale))
        for box, text in texts.items():
            width, card = sizes[box]
            leaf = type(box) is not Node
            border = _PALE if leaf else INK if box is tensor._node else GREY
            draw_box(ax, x[box], y[box], width, text, _PALE if leaf else "white", border, scale)
            if card:
                start = x[box] + width / 2
                ax.plot([start, start + _GAP], [y[box]] * 2, color=_PALE, lw=2 * scale)
                draw_box(ax, start + _GAP + card / 2, y[box], card, notes[box], _PALE, _PALE, scale)
    return ax


def draw_box(ax, x, y, width, lines, fill, border, scale):
    """Draw a box centred at (x, y), with lines of text."""
    height = _LINE * len(lines) + _PADDING
    corner, rounding = (x - width / 2, y - height / 2), "round,pad=0,rounding_size=4"
    ax.add_patch(FancyBboxPatch(corner, width, height, rounding, fc=fill, ec=border, lw=scale, zorder=2))
    for i, line in enumerate(lines):
        middle = y + (i - (len(lines) - 1) / 2) * _LINE
        ax.text(x, middle, line, ha="center", va="center_baseline", fontsize=_SIZE * scale, parse_math=False)


def sources_of(tensor, limit):
    """The operations, newest first, and leaves that a tensor depends on -> the boxes that each sends gradients to.

    Raises
    ------
    TypeError, ValueError
        As `graph` does.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"graph: needs a Tensor, got {type(tensor).__name__}")
    if not tensor.requires_grad:
        raise ValueError("graph: the tensor is not on the tape: nothing it was computed from requires a gradient")
    found, waiting = {}, [edge(tensor)]
    while waiting:
        box = waiting.pop()
        if box in found:
            continue
        if type(box) is Node and box.backward is None:
            raise ValueError(f"graph: a backward freed the tape at this {box.name}; draw first, or retain_graph=True")
        found[box] = list(dict.fromkeys(e for e in box.edges if e is not None)) if type(box) is Node else []
        waiting += reversed(found[box])
        if len(found) > limit:
            raise ValueError(f"graph: more than limit={limit} operations and leaves; draw a part, such as one block")
    nodes = sorted((box for box in found if type(box) is Node), key=lambda node: node.order)
    return {box: found[box] for box in nodes + [box for box in found if type(box) is not Node]}


def with_cards(sources):
    """(inputs of the boxes in the layers, the leaves on the card of each box)."""
    readers = {}
    for box in sources:
        for source in sources[box]:
            readers[source] = readers.get(source, 0) + 1
    carded = {
        b for b in sources if type(b) is not Node and (readers.get(b) == 1 or isinstance(b, Parameter) and b in readers)
    }
    inputs = {box: [s for s in sources[box] if s not in carded] for box in sources if box not in carded}
    return inputs, {box: [s for s in sources[box] if s in carded] for box in inputs}


def described(leaf, known):
    """The text of a leaf: its name, if it has one, and its shape."""
    size = " × ".join(map(str, leaf.shape)) or "scalar"
    return f"{known[id(leaf)]}  {size}" if id(leaf) in known else size


def text_width(lines):
    """The width of a box with these lines of text."""
    return max(TextPath((0, 0), line, size=_SIZE).get_extents().width for line in lines) + 2 * _PADDING


def right_end(x, size):
    """The right end of a box at x, including its card; a joint has no size."""
    width, card = size or (0, 0)
    return x + width / 2 + (card and card + _GAP)


def layers_of(inputs):
    """(rows of boxes and joints from the bottom up, the neighbours above each box, those below)."""
    layer = {}
    for box in inputs:  # consumers first
        depth = layer.setdefault(box, 0)
        for source in inputs[box]:
            layer[source] = max(layer.get(source, 0), depth + 1)
    rows, above = [[] for _ in range(max(layer.values()) + 1)], {box: [] for box in inputs}
    for box, sources in inputs.items():
        for source in sources:
            lower = box
            for level in range(layer[box] + 1, layer[source]):
                joint = Joint(source, box, level)
                rows[level].append(joint)
                above[lower].append(joint)
                above[joint] = []
                lower = joint
            above[lower].append(source)
    for box in inputs:
        rows[layer[box]].append(box)
    for row in rows:  # long edges and their boxes start on the left, away from the cards
        row.sort(key=lambda box: (type(box) is not Joint, not any(type(source) is Joint for source in above[box])))
    below = {box: [] for box in above}
    for box, sources in above.items():
        for source in sources:
            below[source].append(box)
    return ordered(rows, above, below), above, below


def ordered(rows, above, below):
    """The rows, from the bottom up, in the order with the fewest crossings that the sweeps find."""

    def crossings():
        position = {box: i for row in rows for i, box in enumerate(row)}
        total = 0
        for row in rows:
            ends = [(i, position[source]) for i, box in enumerate(row) for source in above[box]]
            total += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(ends, 2))
        return total

    best, fewest = rows, crossings()
    for sweep in range(_ORDERINGS):
        neighbours, order = (below, range(1, len(rows))) if sweep % 2 == 0 else (above, range(len(rows) - 2, -1, -1))
        rows = [list(row) for row in rows]
        for level in order:
            position = {box: i for row in rows for i, box in enumerate(row)}
            means = {box: fmean([position[n] for n in neighbours[box]] or [position[box]]) for box in rows[level]}
            rows[level].sort(key=means.get)
        count = crossings()
        if count < fewest:
            best, fewest = rows, count
    return best


def coordinates(rows, above, below, sizes):
    """The x coordinates of boxes and joints: operations aligned with operations, long edges straight."""
    near = {box: weighted(box, above[box] + below[box]) for box in above}
    # Joints hardly move operations; operations too close to each other are moved apart by least squares.
    weights = {box: 1e-6 if type(box) is Joint else 1e-3 + sum(w for _, w in near[box]) for box in above}
    x = {}
    for row in rows:
        x |= dict(zip(row, spread([0.0] * len(row), row, sizes, weights), strict=True))
    for sweep in range(_MOVES):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = [
                sum(x[n] * w for n, w in near[box]) / sum(w for _, w in near[box]) if near[box] else x[box]
                for box in row
            ]
            x |= dict(zip(row, spread(wanted, row, sizes, weights), strict=True))
    return x


def weighted(box, neighbours):
    """(neighbour, its weight in the box's position): largest between joints; for an operation, only operations."""
    if type(box) is Joint:
        return [(n, 40 if type(n) is Joint else 0.1) for n in neighbours]
    computed = [n for n in neighbours if type(n) is Node]
    return [(n, 1) for n in computed or neighbours]


def spread(wanted, row, sizes, weights):
    """The positions nearest to the wanted ones, by weighted least squares, that keep the minimum distances.

    After subtracting the minimum distances, the positions must be non-decreasing: isotonic regression by pooling
    adjacent violators, in which neighbours that are too close become one block at their mean.
    """
    shifts = [0.0]
    for left, right in pairwise(row):
        shifts.append(shifts[-1] + right_end(0, sizes.get(left)) + _GAP + sizes.get(right, (0, 0))[0] / 2)
    blocks = []  # [mean, weight, number of members]
    for want, shift, box in zip(wanted, shifts, row, strict=True):
        blocks.append([want - shift, weights[box], 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, weight, count = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * weight) / (before[1] + weight)
            before[1] += weight
            before[2] += count
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + shift for mean, shift in zip(means, shifts, strict=True)]


def routes(inputs, x, y):
    """The points of each edge, from the source down."""
    joints = {}
    for joint in x:
        if type(joint) is Joint:
            joints.setdefault((joint.source, joint.target), []).append((x[joint], y[joint]))
    for box, sources in inputs.items():
        for source in sources:
            between = sorted(joints.get((source, box), []), key=lambda point: point[1])
            yield [(x[source], y[source]), *between, (x[box], y[box])]


def smooth(points):
    """A curve through the points with a vertical tangent at each."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    return Path(vertices, codes)

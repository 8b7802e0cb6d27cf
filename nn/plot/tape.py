"""The tape as a picture: a layered drawing of the operations behind a tensor.

Four steps, after Sugiyama, Tagawa and Toda (Methods for visual understanding of hierarchical system structures, 1981):
each node gets a layer, so that all edges point down; an edge over several layers gets a joint in each; the nodes of a
layer are ordered by the means of their neighbours' places, down and up again, while crossings become fewer; then they
move towards their neighbours as far as the distance between them allows.
"""

from itertools import combinations, pairwise

import numpy as np
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from nn.plot.appearance import GREY, INK, figure, style
from nn.tensor import Node, Tensor, edge

_SIZE = 9  # of the text, points
_PADDING, _GAP, _STEP = 6, 12, 34  # inside a box, between boxes, from layer to layer: points
_HEIGHTS = {False: 18, True: 25}  # of a box: operation, leaf
_SWEEPS = 12


def inputs_of(tensor, limit):
    """The boxes of the picture, newest first, and of each those that its gradient goes to.

    Raises
    ------
    TypeError, ValueError
        As `graph` does.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"graph: needs a Tensor, got {type(tensor).__name__}")
    if not tensor.requires_grad:
        raise ValueError("graph: the tensor is not on the tape: nothing behind it requires a gradient")
    root = edge(tensor)
    found, waiting = {}, [root]
    while waiting:
        box = waiting.pop()
        if box in found:
            continue
        if type(box) is Node and box.backward is None:
            raise ValueError(
                f"graph: a backward freed the tape at this {box.name}: draw before it, or retain_graph=True"
            )
        found[box] = list(dict.fromkeys(e for e in box.edges if e is not None)) if type(box) is Node else []
        waiting += reversed(found[box])
        if len(found) > limit:
            raise ValueError(
                f"graph: more than {limit} boxes cannot be read; draw a part, such as one block, or raise limit"
            )
    nodes = sorted((box for box in found if type(box) is Node), key=lambda node: node.order)
    return {box: found[box] for box in nodes + [box for box in found if type(box) is not Node]}


def leaf_label(leaf, known):
    """Name and shape of a leaf."""
    size = " × ".join(map(str, leaf.shape)) or "scalar"
    return f"{known[id(leaf)]}\n{size}" if id(leaf) in known else size


def text_width(text):
    """Of a box around the text, in points."""
    return max(TextPath((0, 0), line, size=_SIZE).get_extents().width for line in text.split("\n")) + 2 * _PADDING


def layout(inputs, widths):
    """(x, y, width) of each box, and of each joint (upper box, lower box, layer) of an edge over several layers."""
    layer = {}
    for box in inputs:  # consumers first
        depth = layer.setdefault(box, 0)
        for source in inputs[box]:
            layer[source] = max(layer.get(source, 0), depth + 1)
    above = {box: [] for box in inputs}  # neighbours in the layer above, with joints
    rows = [[] for _ in range(max(layer.values()) + 1)]
    for box in inputs:
        rows[layer[box]].append(box)
    for box, sources in inputs.items():
        for source in sources:
            lower = box
            for level in range(layer[box] + 1, layer[source]):
                joint = (source, box, level)
                rows[level].append(joint)
                above[lower].append(joint)
                above[joint] = []
                lower = joint
            above[lower].append(source)
    below = {box: [] for box in above}
    for box, sources in above.items():
        for source in sources:
            below[source].append(box)
    rows = ordered(rows, above, below)
    widths = {box: widths.get(box, 0) for box in above}
    x = coordinates(rows, above, below, widths)
    return {
        box: (x[box], (len(rows) - 1 - level + 0.5) * _STEP, widths[box])
        for level, row in enumerate(rows)
        for box in row
    }


def ordered(rows, above, below):
    """The rows, from the bottom up, in the order with the fewest crossings that sweeps by means find."""

    def crossings():
        place = {box: i for row in rows for i, box in enumerate(row)}
        total = 0
        for row in rows:
            ends = [(i, place[source]) for i, box in enumerate(row) for source in above[box]]
            total += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(ends, 2))
        return total

    best, fewest = rows, crossings()
    for sweep in range(_SWEEPS):
        neighbours, order = (below, range(1, len(rows))) if sweep % 2 == 0 else (above, range(len(rows) - 2, -1, -1))
        rows = [list(row) for row in rows]
        for level in order:
            place = {box: i for row in rows for i, box in enumerate(row)}
            means = {box: np.mean([place[n] for n in neighbours[box]] or [place[box]]) for box in rows[level]}
            rows[level].sort(key=means.get)
        count = crossings()
        if count < fewest:
            best, fewest = rows, count
    return best


def coordinates(rows, above, below, widths):
    """The middles of the boxes: operations in line with operations, leaves near what they feed."""
    weights = {box: 1.0 if type(box) is Node else 4.0 if type(box) is tuple else 0.01 for box in above}
    x = {}
    for row in rows:
        x |= dict(zip(row, spread([0.0] * len(row), row, widths, weights), strict=True))
    for sweep in range(4 * _SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = []
            for box in row:
                near = [n for n in above[box] + below[box] if weights[n] >= weights[box] or weights[n] >= 1]
                wanted.append(np.mean([x[n] for n in near]) if near else x[box])
            x |= dict(zip(row, spread(wanted, row, widths, weights), strict=True))
    return x


def spread(wanted, row, widths, weights):
    """The places nearest to the wanted ones, by weighted squares, at which the boxes of a row keep their distance.

    In coordinates from which the distances are subtracted the places must only not decrease, so pooling adjacent
    violators finds them: neighbours that are too close become one block at its mean.
    """
    shifts, shift = [0.0], 0.0
    for left, right in pairwise(row):
        shift += (widths[left] + widths[right]) / 2 + _GAP
        shifts.append(shift)
    blocks = []  # [mean, weight, members]
    for want, offset, box in zip(wanted, shifts, row, strict=True):
        blocks.append([want - offset, weights[box], 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, weight, count = blocks.pop()
            before = blocks[-1]
            before[0] = (before[0] * before[1] + mean * weight) / (before[1] + weight)
            before[1] += weight
            before[2] += count
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, shifts, strict=True)]


def extent(places):
    """Left, right and lower end of the drawing, in points."""
    left = min(x - width / 2 for x, _, width in places.values()) - _PADDING
    right = max(x + width / 2 for x, _, width in places.values()) + _PADDING
    return left, right, max(y for _, y, _ in places.values()) + _STEP / 2


def routes(inputs, places):
    """For each edge the points it runs through, from the source down."""
    joints = {}
    for box in places:
        if type(box) is tuple:
            joints.setdefault(box[:2], []).append(places[box][:2])
    for box, sources in inputs.items():
        for source in sources:
            between = sorted(joints.get((source, box), []), key=lambda point: point[1])
            yield [places[source][:2], *between, places[box][:2]]


def smooth(points):
    """A curve through the points that is vertical at each."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    return Path(vertices, codes)


def graph(tensor, *, ax=None, names=None, limit=150):
    """The tape behind a tensor: what was computed from which leaves, from top to bottom.

    Parameters
    ----------
    tensor : Tensor
        On the tape, before its backward frees it. Operations are boxes with their names; leaves, the tensors to which
        gradients flow, are filled, with name and shape. What needs no gradient (inputs, targets) is not on the tape.
        An operation with several results, such as split, has a box for itself and one for each of them.
    ax : Axes, optional
        The text becomes as small as it must to fit in. By default the figure is as large as the drawing.
    names : dict or iterable of (str, Tensor), optional
        Names of leaves: ``model.named_parameters()``.
    limit : int, default 150
        The most boxes.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        It is no Tensor.
    ValueError
        It is not on the tape, its tape was freed, or it is too large to be read.

    Examples
    --------
    >>> import nn
    >>> from nn import plot
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    >>> ax = plot.graph(model(nn.zeros(2, 4)).sum(), names=model.named_parameters())
    """
    inputs = inputs_of(tensor, limit)
    known = {} if names is None else {id(t): name for name, t in (names.items() if isinstance(names, dict) else names)}
    labels = {box: box.name if type(box) is Node else leaf_label(box, known) for box in inputs}
    places = layout(inputs, {box: text_width(label) for box, label in labels.items()})
    left, right, bottom = extent(places)
    with style():
        if ax is None:
            ax = figure((right - left) / 72 + 0.3, bottom / 72 + 0.3)[1]
        ax.set(xlim=(left, right), ylim=(bottom, 0), aspect="equal")
        ax.set_axis_off()
        room = ax.get_window_extent()
        scale = min(1, 72 / ax.figure.dpi * min(room.width / (right - left), room.height / bottom))
        for route in routes(inputs, places):
            ax.add_patch(PathPatch(smooth(route), fc="none", ec=GREY, lw=1.1 * scale, capstyle="butt"))
        for box, text in labels.items():
            x, y, width = places[box]
            leaf = type(box) is not Node
            fill, edge_colour = ("#dfeaf4", "#dfeaf4") if leaf else ("white", INK if box is tensor._node else GREY)
            height = _HEIGHTS[leaf]
            shape = f"round,pad=0,rounding_size={2 if leaf else 7}"
            corner = (x - width / 2, y - height / 2)
            ax.add_patch(FancyBboxPatch(corner, width, height, shape, fc=fill, ec=edge_colour, lw=scale, zorder=2))
            ax.text(x, y, text, ha="center", va="center", fontsize=_SIZE * scale, linespacing=1.1, parse_math=False)
    return ax

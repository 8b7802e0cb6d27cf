"""Draws what changes in memory from rung to rung, for ``docs/learn``: ``python docs/tools/pictures.py``."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

FOLDER = Path(__file__).parents[1] / "learn" / "pictures"
INK, GREY, PALE = "#22223b", "#b8bfc6", "#eef1f4"
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#22609a", "#ee7f4b", "#3d8b78", "#8f3566", "#efc04a", "#79bfe6"
ORDERED = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)
CELL = 1.0


def canvas(width, height, x, y):
    """A figure without axes whose units are cells, y downwards."""
    figure = Figure(figsize=(width, height), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, x), ylim=(y, 0), aspect="equal")
    axes.set_axis_off()
    return figure, axes


def text(axes, x, y, content, size=10, **options):
    """A text in ink, centred unless told otherwise."""
    options = {"ha": "center", "va": "center", "color": INK} | options
    axes.text(x, y, content, fontsize=size, **options)


def cells(axes, x, y, colours, labels=None, size=CELL, edge="white"):
    """A grid of cells at (x, y): `colours` (rows × columns of colours), `labels` alike."""
    for i, row in enumerate(colours):
        for j, colour in enumerate(row):
            place = (x + j * size, y + i * size)
            axes.add_patch(Rectangle(place, size, size, facecolor=colour, edgecolor=edge, linewidth=1))
            if labels is not None and labels[i][j]:
                dark = colour in (BLUE, GREEN, PURPLE, INK)
                ink = "white" if dark else INK
                text(axes, place[0] + size / 2, place[1] + size / 2, labels[i][j], 7.5 * size**0.5, color=ink)


def frame(axes, x, y, width, height, colour=INK, line=1.8, **options):
    """The outline of a part."""
    axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=line, **options))


def arrow(axes, start, end, colour=INK, curve=0.0, line=1.4):
    """An arrow from one point to another."""
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=11, color=colour, linewidth=line,
            connectionstyle=f"arc3,rad={curve}", shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip


def painted(rows, columns, colour=PALE):
    return [[colour] * columns for _ in range(rows)]


def loop_order():
    """Down the columns of B, or along its rows: one cache line an element, or one for sixteen."""
    figure, axes = canvas(9, 3.6, 27, 10.8)
    for x, title, by_column in (
        (1, "naive: p innermost, down a column of B", True),
        (15, "j innermost, along a row", False),
    ):
        colours = painted(8, 8)
        for step in range(8):
            i, j = (step, 0) if by_column else (2, step)
            colours[i][j] = ORANGE
        labels = [["" for _ in range(8)] for _ in range(8)]
        for step in range(8):
            labels[step if by_column else 2][0 if by_column else step] = str(step + 1)
        cells(axes, x, 1.5, colours, labels)
        for i in range(8):
            touched = by_column or i == 2
            frame(axes, x, 1.5 + i, 8, 1, BLUE if touched else GREY, 1.8 if touched else 0.5)
        text(axes, x + 4, 0.7, title, 11)
        lines = "8 cache lines (blue) for 8 elements" if by_column else "1 cache line for 8 elements: one vector load"
        text(axes, x + 4, 10.2, lines, 10)
    return figure


def register_tile():
    """One step of the micro-kernel: a column of A times a row of B, added to a tile in registers."""
    figure, axes = canvas(9, 3.9, 27, 11.7)
    text(axes, 3.5, 0.8, "A: MR rows, one column p", 11)
    colours = painted(4, 5)
    for i in range(4):
        colours[i][2] = ORANGE
    cells(axes, 1, 5, colours, [["", "", f"a{i}p", "", ""] for i in range(4)])
    text(axes, 8.7, 7, "×", 20)
    text(axes, 17, 0.8, "B: one row p, NR columns = 2 vectors", 11)
    colours = painted(3, 8)
    colours[1] = [BLUE] * 4 + [SKY] * 4
    cells(axes, 13, 1.5, colours, [[""] * 8, [f"bp{j}" for j in range(8)], [""] * 8])
    cells(axes, 13, 5, [[YELLOW] * 8 for _ in range(4)], edge="white")
    for i in range(4):
        frame(axes, 13, 5 + i, 4, 1, INK, 1)
        frame(axes, 17, 5 + i, 4, 1, INK, 1)
        text(axes, 15, 5.5 + i, f"acc[{i}, 0:4] += a{i}p · b", 8)
        text(axes, 19, 5.5 + i, f"acc[{i}, 4:8] += a{i}p · b", 8)
    text(axes, 17, 9.7, "C: the tile stays in 8 registers for all p", 11)
    text(axes, 17, 10.8, "per step: 4 + 8 elements loaded, 32 multiplied and added", 10, color=GREEN)
    arrow(axes, (9.6, 7), (12.6, 7))
    arrow(axes, (17, 4.65), (17, 4.98))
    return figure


def blocks():
    """Which part of each operand stays in which cache."""
    figure, axes = canvas(9, 3.7, 27, 11.1)
    for x, title, rows, columns in ((1, "A (M × K)", 8, 6), (9.5, "B (K × N)", 6, 8), (19, "C (M × N)", 8, 8)):
        cells(axes, x, 1.5, painted(rows, columns), size=0.9)
        text(axes, x + columns * 0.45, 0.8, title, 11)
    axes.add_patch(Rectangle((1, 1.5), 2.7, 3.6, facecolor=ORANGE, alpha=0.85))
    text(axes, 2.35, 3.3, "MC × KC\nin L2", 10)
    axes.add_patch(Rectangle((9.5, 1.5), 7.2, 2.7, facecolor=SKY))
    text(axes, 14, 2.9, "KC × NC in the last cache", 10)
    axes.add_patch(Rectangle((9.5, 1.5), 0.9, 2.7, facecolor=BLUE))
    text(axes, 9.95, 4.75, "KC × NR", 9, color=BLUE)
    axes.add_patch(Rectangle((19, 1.5), 7.2, 3.6, facecolor=PALE, edgecolor=INK))
    axes.add_patch(Rectangle((19, 1.5), 0.9, 0.9, facecolor=YELLOW, edgecolor=INK))
    text(axes, 22.7, 3.4, "MC × NC: updated once\nfor each block of K", 10)
    text(axes, 18.85, 1.0, "MR × NR", 8.5, ha="left", color=INK)
    text(
        axes,
        13.5,
        10.2,
        "jc, pc, ic choose the blocks; jr, ir walk over their tiles; the tile is summed in registers",
        10,
    )
    return figure


def packing():
    """The same elements of A, in rows far apart and in one panel; and the sets of L1 that they fall into."""
    figure, axes = canvas(9, 5.2, 27, 15.6)
    text(axes, 0.5, 0.7, "A in memory: 4 rows of 1024 float32, each 4096 bytes behind the last", 11, ha="left")
    shades = [ORANGE, YELLOW, GREEN, BLUE]
    for i in range(4):
        y = 1.3 + i * 1.25
        cells(axes, 0.5, y, [[shades[p] for p in range(4)] + [PALE] * 8], [[f"a{i}{p}" for p in range(4)] + [""] * 8])
        text(axes, 13.3, y + 0.5, "…", 12)
        text(axes, 14, y + 0.5, f"row {i}: address {4096 * i:>5}, L1 set 0", 9.5, ha="left")
    frame(axes, 0.5, 1.2, 1, 4.95, INK)
    text(axes, 0.5, 6.7, "column 0, which one step reads: 4 lines, all in one set, which holds 8 or 12", 9.5, ha="left")
    text(
        axes, 0.5, 8.6, "packed: a panel of MR = 4 rows, in the order in which the micro-kernel reads it", 11, ha="left"
    )
    order = [(i, p) for p in range(4) for i in range(4)]
    cells(axes, 0.5, 9.3, [[shades[p] for _, p in order]], [[f"a{i}{p}" for i, p in order]])
    for p in range(4):
        frame(axes, 0.5 + 4 * p, 9.3, 4, 1, INK, 1.6)
        text(axes, 2.5 + 4 * p, 10.9, f"step p = {p}", 9)
    text(axes, 17, 9.8, "… one stream: sets 0, 1, 2, …", 9.5, ha="left")
    text(
        axes,
        0.5,
        12.4,
        "rows apart: 1 page each (TLB), 1 set (evictions), 4 hardware streams",
        10,
        ha="left",
        color=PURPLE,
    )
    text(axes, 0.5, 13.5, "panel: 1 page for 1024 elements, all sets in turn, 1 stream", 10, ha="left", color=GREEN)
    text(axes, 0.5, 14.6, "price: one copy of M K elements, used N / NR times", 10, ha="left")
    return figure


def im2col():
    """Patches of an image written out as columns, and how often each pixel is copied."""
    figure, axes = canvas(9, 4.6, 27, 13.8)
    text(axes, 3, 0.8, "x: 5 × 5, kernel 3 × 3", 11)
    labels = [[f"{i}{j}" for j in range(5)] for i in range(5)]
    cells(axes, 0.5, 1.5, painted(5, 5), labels)
    frame(axes, 0.5, 1.5, 3, 3, BLUE, 2.6)
    frame(axes, 1.53, 1.56, 3, 2.9, ORANGE, 2.6)
    frame(axes, 2.5, 3.5, 3, 3, GREEN, 2.6)
    text(axes, 17, 0.8, "columns: a row for each tap, a column for each output", 11)
    columns = []
    for kh in range(3):
        for kw in range(3):
            columns.append([f"{oh + kh}{ow + kw}" for oh in range(3) for ow in range(3)])
    colours = [[BLUE, ORANGE] + [PALE] * 6 + [GREEN] for _ in range(9)]
    cells(axes, 12.5, 1.5, colours, columns)
    arrow(axes, (6.2, 3.5), (12, 3.5), INK, -0.15)
    text(axes, 0.5, 7.6, "pixel 22 is in 9 columns:", 10, ha="left")
    text(axes, 0.5, 8.6, "KH·KW times the memory of x", 10, ha="left")
    text(axes, 0.5, 10.2, "y = w (M × C·KH·KW)", 10, ha="left")
    text(axes, 0.5, 11.2, "      · columns (C·KH·KW × OH·OW)", 10, ha="left")
    for i, row in enumerate(columns):
        for j, label in enumerate(row):
            if label == "22":
                frame(axes, 12.5 + j, 1.5 + i, 1, 1, PURPLE, 2.4)
    text(axes, 17, 11.4, "framed: the same pixel, once in each column that needs it", 9.5, color=PURPLE)
    text(
        axes,
        13.5,
        13,
        "implicit gemm: the tile reads these elements from x itself; the matrix is never written",
        10.5,
        color=GREEN,
    )
    return figure


def winograd():
    """F(2 × 2, 3 × 3): a tile of 4 × 4 inputs gives 2 × 2 outputs with 16 products."""
    figure, axes = canvas(9, 3.4, 27, 10.2)
    text(axes, 2.9, 0.8, "d: 4 × 4 of x", 11)
    cells(axes, 0.9, 2, painted(4, 4, SKY))
    text(axes, 2.9, 7.2, "g: 3 × 3", 11)
    cells(axes, 1.5, 7.6, painted(3, 3, ORANGE), size=0.8)
    arrow(axes, (5.3, 4), (8, 4))
    text(axes, 6.7, 3.3, "Bᵀ d B", 10)
    arrow(axes, (5.3, 8.3), (8, 6.4))
    text(axes, 6.9, 8.6, "G g Gᵀ (once)", 10)
    cells(axes, 8.5, 2, painted(4, 4, YELLOW), [["·"] * 4] * 4)
    text(axes, 10.5, 0.8, "16 products", 11)
    text(axes, 10.5, 7.2, "for each of the 16 positions\na matrix product over channels", 10)
    arrow(axes, (13, 4), (15.7, 4))
    text(axes, 14.3, 3.3, "Aᵀ m A", 10)
    cells(axes, 16.2, 3, painted(2, 2, GREEN))
    text(axes, 17.2, 0.8, "y: 2 × 2", 11)
    text(axes, 23, 3.2, "directly:\n4 outputs × 9 taps\n= 36 products", 10)
    text(axes, 23, 7, "F(2 × 2, 3 × 3): 16\nF(4 × 4, 3 × 3): 36 for 16 outputs,\nin place of 144", 10, color=GREEN)
    return figure


def online_softmax():
    """All scores at once, or block by block with a running maximum and sum."""
    figure, axes = canvas(9, 4.6, 27, 13.8)
    text(axes, 4.5, 0.8, "naive: T × T scores in memory", 11)
    colours = [[SKY if j <= i else PALE for j in range(8)] for i in range(8)]
    cells(axes, 0.5, 1.5, colours)
    text(axes, 4.5, 10.2, "written, read for max, exp, sum,\nread for p · v: 4 T² passes", 9.5)
    text(axes, 19, 0.8, "online: one row at a time, blocks of keys", 11)
    steps = (
        ("s = 2, 1, 3", "m = 3", "l = e⁻¹ + e⁻² + 1", "o = Σ e^(s−3) v"),
        ("s = 5, 2, 4", "m = 5", "l = l · e^(3−5) + 1 + e⁻³ + e⁻¹", "o = o · e^(3−5) + …"),
        ("s = 1, 4, 0", "m = 5", "l = l · 1 + e⁻⁴ + e⁻¹ + e⁻⁵", "o = o · 1 + …"),
    )
    for i, (scores, m, total, out) in enumerate(steps):
        y = 1.7 + 2.6 * i
        cells(axes, 11, y, [[ORANGE] * 3], size=1.1)
        text(axes, 12.65, y + 0.55, scores, 9)
        arrow(axes, (14.6, y + 0.55), (15.8, y + 0.55))
        text(axes, 16, y + 0.55, f"{m},  {total}\n{out}", 9.5, ha="left")
        if i < 2:
            arrow(axes, (16.8, y + 1.4), (16.8, y + 2.4), GREY)
    text(axes, 16, 10, "result: o / l; no score is stored, no exponent positive", 9.5, ha="left", color=GREEN)
    text(
        axes,
        13.5,
        12.4,
        "tiled: MR queries × a block of keys at a time, the scores in L1; blocks beyond the diagonal are skipped",
        10,
    )
    return figure


def attention_tiles():
    """The scores as tiles: what is in L1, what is skipped under a causal mask."""
    figure, axes = canvas(9, 3.6, 27, 10.8)
    colours, labels = painted(8, 8), [[""] * 8 for _ in range(8)]
    for i in range(8):
        for j in range(8):
            query, key = i // 2, j // 2
            colours[i][j] = PALE if key > query else SKY
    for i in (4, 5):
        colours[i][2] = colours[i][3] = ORANGE
    cells(axes, 3, 1.8, colours, labels)
    for query in range(4):
        for key in range(4):
            frame(axes, 3 + 2 * key, 1.8 + 2 * query, 2, 2, INK if key <= query else GREY, 1.2)
            if key > query:
                text(axes, 4 + 2 * key, 2.8 + 2 * query, "skipped", 8, color="#6b737b")
    text(axes, 7, 0.6, "keys, KEYS at a time", 10)
    text(axes, 1.5, 5.8, "queries,\nMR at\na time", 10)
    lines = (
        ("in L1 now: MR × KEYS scores", ORANGE),
        ("1. scores = q tile · packed keysᵀ   (micro-kernel)", INK),
        ("2. new maximum, exp of the block, factor for what is summed", INK),
        ("3. out += probabilities · v block   (micro-kernel)", INK),
        ("memory: O(T) beside the result, at any length", GREEN),
    )
    for i, (line, colour) in enumerate(lines):
        text(axes, 12.5, 2.6 + 1.6 * i, line, 10.5, ha="left", color=colour)
    return figure


def batch_norm():
    """How often a channel is read from memory."""
    figure, axes = canvas(9, 3.8, 27, 11.4)
    rows = (
        ("naive", ["mean: read all", "variance: read all", "result: read all, write"], [ORANGE, ORANGE, ORANGE]),
        ("one read", ["per plane in L1: mean, variance; merge", "result: read all, write"], [GREEN, ORANGE]),
        ("vectorised", ["the same, 16 numbers at a time", "read, write"], [GREEN, ORANGE]),
    )
    for i, (name, parts, colours) in enumerate(rows):
        y = 1.6 + 2.4 * i
        text(axes, 3, y + 0.6, name, 11, ha="right")
        widths = {3: (7, 7, 8), 2: (9, 8)}[len(parts)] if name != "vectorised" else (4.5, 3)
        x = 3.6
        for part, colour, width in zip(parts, colours, widths, strict=True):
            axes.add_patch(Rectangle((x, y), width - 0.15, 1.2, facecolor=colour, edgecolor="white"))
            ink = "white" if colour == GREEN else INK
            text(
                axes,
                x + width / 2,
                y + 0.6,
                part if width > 5 else part.replace(", ", ",\n"),
                8.5 if width > 5 else 7,
                color=ink,
            )
            x += width
    text(axes, 3.6, 0.8, "time →  (orange: from memory or L2, green: from L1)", 10, ha="left")
    text(
        axes,
        3.6,
        9.2,
        "moments of planes are merged exactly: M2 = M2a + M2b + (mean_a − mean_b)² · na nb / (na + nb)",
        10,
        ha="left",
    )
    text(axes, 3.6, 10.3, "never E[x²] − E[x]², which cancels where the mean is large", 10, ha="left", color=PURPLE)
    return figure


def lstm_walk():
    """What each step of the time loop reads, and how the packed weights lie."""
    figure, axes = canvas(9, 4.4, 27, 13.2)
    for t in range(4):
        x = 2 + 6.3 * t
        axes.add_patch(Rectangle((x, 2), 3.6, 2.4, facecolor=SKY, edgecolor=INK))
        text(axes, x + 1.8, 3.2, f"step {t}\nz = x W + h U + b\ngates, c, h", 8.5)
        arrow(axes, (x + 1.8, 5.6), (x + 1.8, 4.5))
        text(axes, x + 1.8, 6, f"x{t}", 10)
        if t < 3:
            arrow(axes, (x + 3.7, 3.2), (x + 6.2, 3.2), ORANGE)
            text(axes, x + 5, 2.6, f"h{t}, c{t}", 9)
    text(axes, 13.5, 0.9, "each step waits for the one before it; all of W and U is read again at every step", 11)
    text(axes, 0.5, 7.4, "weights as PyTorch stores them: four gates, each H rows", 10, ha="left")
    gates = [(BLUE, "i"), (ORANGE, "f"), (GREEN, "g"), (PURPLE, "o")]
    cells(
        axes,
        0.5,
        8,
        [[colour for colour, _ in gates for _ in range(4)]],
        [[f"{g}{u}" for _, g in gates for u in range(4)]],
    )
    text(axes, 0.5, 10, "packed once for all steps: for a panel of units, its four gates side by side", 10, ha="left")
    order = [(colour, f"{g}{u}") for pair in (0, 2) for colour, g in gates for u in (pair, pair + 1)]
    cells(axes, 0.5, 10.6, [[colour for colour, _ in order]], [[label for _, label in order]])
    frame(axes, 0.5, 10.6, 8, 1, INK, 2)
    frame(axes, 8.5, 10.6, 8, 1, INK, 2)
    text(
        axes,
        17,
        11.1,
        "all that units 0 and 1 need: summed and\nactivated while it is in L1",
        9.5,
        ha="left",
        color=GREEN,
    )
    return figure


PICTURES = (
    loop_order,
    register_tile,
    blocks,
    packing,
    im2col,
    winograd,
    online_softmax,
    attention_tiles,
    batch_norm,
    lstm_walk,
)


def draw(folder=FOLDER):
    """Writes all pictures into a folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with matplotlib.rc_context({"svg.hashsalt": "innerloop", "svg.fonttype": "none", "font.family": "DejaVu Sans"}):
        for picture in PICTURES:
            paths.append(folder / f"{picture.__name__}.svg")
            picture().savefig(paths[-1], metadata={"Date": None, "Creator": None})
    return paths


if __name__ == "__main__":
    print(*draw(), sep="\n")

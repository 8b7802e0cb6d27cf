"""Plots of a training run: curves, gradients, filters, attention, loss surfaces and the tape, in one style.

``from nn import plot`` imports everything; `nn` itself imports without matplotlib. The functions take data (arrays,
dictionaries, for the tape a tensor), draw into the given Axes or into new ones, and return them. Nothing here uses
pyplot: a figure has no window and no global state, and ``axes.figure.savefig(path)`` writes it. In Jupyter, what a
function returns shows itself as a picture.
"""

from nn.plot.appearance import (
    BLUE,
    COLOURS,
    DIVERGING,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SEQUENTIAL,
    SKY,
    YELLOW,
    figure,
    style,
)
from nn.plot.landscape import decision_boundary, loss_surface, paths
from nn.plot.lines import bars, curves, gradient_flow, history, update_ratios
from nn.plot.matrices import attention, confusion, grid, histograms_over_time, images
from nn.plot.tape import graph

"""The plotting style: distinguishable colours, figures without pyplot, cheap imports."""

import subprocess
import sys
from itertools import combinations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from nn import plot

# Linear sRGB as it is seen without one kind of cone: Machado, Oliveira and Fernandes (2009), severity 1.
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    """Linear sRGB -> Oklab (Ottosson, 2020), in which distances are about as large as they look."""
    cones = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]]
    cones += [[0.0883024619, 0.2817188376, 0.6299787005]]
    opponents = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099]]
    opponents += [[0.0259040371, 0.7827717662, -0.8086757660]]
    return np.array(opponents) @ np.cbrt(np.array(cones) @ rgb)


def nearest(colours, seen):
    """The distance between the two most alike."""
    places = [oklab(np.clip(np.array(SEEN[seen]) @ linear(colour), 0, 1)) for colour in colours]
    return min(np.linalg.norm(a - b) for a, b in combinations(places, 2))


@pytest.mark.parametrize("seen", SEEN)
def test_colours_are_distinguishable(seen):
    worst = min(nearest(OKABE_ITO, kind) for kind in SEEN)
    assert nearest(plot.COLOURS, seen) > worst > 0.05
    assert len(set(plot.COLOURS)) == 7


def test_colour_maps_have_monotonic_lightness():
    def lightness(colours, places):
        return np.array([oklab(linear(colours(place)))[0] for place in places])

    assert (np.diff(lightness(plot.SEQUENTIAL, np.linspace(0, 1, 50))) < 0).all()
    assert (np.diff(lightness(plot.DIVERGING, np.linspace(0, 0.49, 50))) > 0).all()
    assert (np.diff(lightness(plot.DIVERGING, np.linspace(0.51, 1, 50))) < 0).all()


def test_figure():
    figure, axes = plot.figure(6, 4, rows=2, columns=3, sharex=True)
    assert axes.shape == (2, 3) and all(ax.figure is figure for ax in axes.flat)
    assert tuple(figure.get_size_inches()) == (6, 4)
    assert not axes[0, 0].spines["top"].get_visible() and axes[0, 0].spines["left"].get_visible()
    assert isinstance(plot.figure(2, 2)[1], matplotlib.axes.Axes)


def test_style_is_restored():
    before = dict(matplotlib.rcParams)
    with pytest.raises(ZeroDivisionError), plot.style():
        assert matplotlib.rcParams["text.color"] == plot.INK
        1 / 0  # noqa: B018
    assert dict(matplotlib.rcParams) == before


def test_imports():
    code = (
        "import sys, nn; assert not any(m.startswith('matplotlib') for m in sys.modules)\n"
        "from nn import plot; ax = plot.curves({'a': [1, 2, 3]}); ax.figure.savefig(sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'seaborn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, "/dev/null"], check=True)

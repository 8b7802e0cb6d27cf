"""Figures, Axes and arrays of Axes that Jupyter shows as pictures: it asks an object for ``_repr_png_``."""

import functools
from io import BytesIO

import matplotlib.axes
import matplotlib.figure
import numpy as np
from matplotlib.projections import get_projection_class


class Figure(matplotlib.figure.Figure):
    """A figure outside pyplot, which no backend shows by itself."""

    def _repr_png_(self):
        buffer = BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


class Axes(matplotlib.axes.Axes):
    """Axes of a `Figure`: shown, they show all of it."""

    def _repr_png_(self):
        return self.figure._repr_png_()


class Panels(np.ndarray):
    """An array of Axes of one `Figure`: shown, it shows all of it."""

    def _repr_png_(self):
        return self.flat[0]._repr_png_() if self.size else None


@functools.cache
def axes_3d():
    """The same of Axes with three dimensions."""
    return type("Axes3D", (get_projection_class("3d"),), {"_repr_png_": Axes._repr_png_, "__doc__": Axes.__doc__})


def axes_class(projection=None):
    """The keywords for axes of a projection: ours for the plane and for "3d", matplotlib's own for others."""
    ours = {None: Axes, "3d": axes_3d() if projection == "3d" else None}
    return {"axes_class": ours[projection]} if projection in ours else {"projection": projection}

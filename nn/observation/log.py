"""The log of observations: one row for each sampled step, read as arrays."""

import csv
import math

import numpy as np


class Log:
    """The results of `nn.observe`: statistics of layers and parameters on sampled steps, and scalars on every step.

    Attributes
    ----------
    steps : list of int
        The sampled steps, counted from 0.
    layers, parameters : list of str
        Dotted names, in the order of the columns below.
    nonfinite : list of (int, str, str)
        The first NaN or infinity of each kind: step, name, and "activation", "gradient", "parameter" or "loss"; in the
        order in which they were found.
    """

    def __init__(self, layers, parameters, watch=True):
        self.layers, self.parameters = layers, parameters
        self.steps, self.nonfinite = [], []
        self._rows = {"activations": [], "gradients": [], "weights": []}
        self._histograms = {}  # "activations" | "gradients" -> one Histogram for each layer
        self._scalars = {}
        self._watch = watch
        self._step = 0  # the step that began last
        self._sample_next = False  # whether the next step is sampled whatever its number

    def __repr__(self):
        steps = (
            f"steps {self.steps[0]} to {self.steps[-1]}, {len(self.steps)} of them sampled"
            if self.steps
            else "no steps"
        )
        parts = [steps, f"{len(self.layers)} layers", f"{len(self.parameters)} parameters"]
        parts += [f"{name} {values[-1]:.4g}" for name, (_, values) in self._scalars.items()]
        if self.nonfinite:
            step, name, kind = self.nonfinite[0]
            parts.append(f"not finite from step {step} on ({kind} {name})")
        return f"Log({', '.join(parts)})"

    def record(self, **scalars):
        """Record scalars of the current step: that of the last forward call.

        Parameters
        ----------
        **scalars : float or 0-d Tensor
            With any names; a ``loss`` that is not finite is listed in `nonfinite`, and the next step is sampled.
        """
        for name, value in scalars.items():
            value = float(value)
            self._record_scalar(name, value)
            if name == "loss" and not math.isfinite(value):
                self._sample_next = self._record_nonfinite(self._step, "loss", "loss")

    def _record_scalar(self, name, value):
        steps, values = self._scalars.setdefault(name, ([], []))
        steps.append(self._step)
        values.append(value)

    def _record_nonfinite(self, step, name, kind):
        """Record that something is not finite, once for each name and kind; return whether it is new."""
        new = self._watch and all((name, kind) != entry[1:] for entry in self.nonfinite)
        if new:
            self.nonfinite.append((step, name, kind))
        return new

    @property
    def first_nonfinite(self):
        """The first of `nonfinite`, or None."""
        return self.nonfinite[0] if self.nonfinite else None

    @property
    def activations(self):
        """Statistics of the outputs of the layers.

        Returns
        -------
        dict of str to ndarray (sampled steps, layers)
            ``"mean"``, ``"std"`` (of the population), ``"zeros"`` and ``"saturated"`` (fractions from 0 to 1); NaN
            where a layer was not called, and for ``"saturated"`` where its output is not bounded. If requested,
            ``"quantiles"`` (sampled steps, layers, Q), and ``"histogram"``: the counts (sampled steps, layers, bins)
            and the edges, (bins + 1,) as given or (layers, bins + 1).
        """
        return self._read("activations")

    @property
    def gradients(self):
        """Statistics of the gradients with respect to the layers' outputs: as `activations`, without "saturated"."""
        return self._read("gradients")

    @property
    def weights(self):
        """Norms of the parameters.

        Returns
        -------
        dict of str to ndarray (sampled steps, parameters)
            ``"norm"`` before the update, ``"gradient_norm"``, ``"update"`` (the norm of the change) and ``"ratio"``
            (update / norm); the last two need an optimiser. NaN where there is no gradient or the norm is 0.
        """
        return self._read("weights")

    @property
    def scalars(self):
        """The recorded scalars, and ``"lr"``, the optimiser's learning rate (``"lr_1"`` … for further groups).

        Returns
        -------
        dict of str to (ndarray of int64, ndarray of float64)
            Steps and values.
        """
        return {name: (np.array(steps), np.array(values)) for name, (steps, values) in self._scalars.items()}

    def _read(self, kind):
        rows = self._rows[kind]
        result = {}
        for name in rows[0] if rows else ():
            result[name] = np.stack([row[name] for row in rows])
        if rows and kind in self._histograms:
            histograms = self._histograms[kind]
            counts = np.stack([histogram.counts for histogram in histograms], axis=1)
            shared = not histograms[0].adapts
            edges = histograms[0].edges if shared else np.stack([histogram.edges for histogram in histograms])
            result["histogram"] = counts, edges
        return result

    def table(self):
        """The last sampled step as text: a line for each layer, then one for each parameter."""
        if not self.steps:
            return "no step was sampled"
        outputs, gradients, weights = self.activations, self.gradients, self.weights
        layers = {name: outputs[name][-1] for name in ("mean", "std", "zeros", "saturated")}
        layers["gradient std"], layers["gradient zeros"] = gradients["std"][-1], gradients["zeros"][-1]
        parameters = {name.replace("_", " "): values[-1] for name, values in weights.items()}
        tables = [_table("layer", self.layers, layers), _table("parameter", self.parameters, parameters)]
        return "\n\n".join([f"step {self.steps[-1]}", *tables])

    def to_csv(self, path):
        """Write everything but histograms and quantiles to a CSV file, a number a line.

        Parameters
        ----------
        path : path
            Overwritten. The columns are ``step``, ``kind`` ("activations", "gradients", "weights" or "scalars"),
            ``name`` (of the layer, parameter or scalar), ``statistic`` (empty for scalars) and ``value``.
        """
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("step", "kind", "name", "statistic", "value"))
            for kind in self._rows:
                names = self.parameters if kind == "weights" else self.layers
                for statistic, values in self._read(kind).items():
                    if statistic not in ("histogram", "quantiles"):
                        for step, row in zip(self.steps, values.tolist(), strict=True):
                            lines = zip(names, row, strict=True)
                            writer.writerows((step, kind, name, statistic, value) for name, value in lines)
            for name, (steps, values) in self._scalars.items():
                writer.writerows((step, "scalars", name, "", value) for step, value in zip(steps, values, strict=True))

    def to_dict(self):
        """Everything as lists, numbers and strings, for JSON."""
        result = {"steps": self.steps, "layers": self.layers, "parameters": self.parameters}
        for kind in self._rows:
            result[kind] = {name: _as_lists(values) for name, values in self._read(kind).items()}
        result["scalars"] = {name: _as_lists(pair) for name, pair in self.scalars.items()}
        return result | {"nonfinite": [list(entry) for entry in self.nonfinite]}


def _as_lists(values):
    return [_as_lists(value) for value in values] if isinstance(values, tuple) else values.tolist()


def _table(title, names, columns):
    """Lines of numbers under headings; a dash for NaN."""
    cells = [[title, *columns]]
    for i, name in enumerate(names):
        cells.append([name, *("-" if math.isnan(values[i]) else f"{values[i]:.3g}" for values in columns.values())])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for name, *numbers in cells:
        padded = (number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *padded]))
    return "\n".join(lines)

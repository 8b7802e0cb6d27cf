"""observe: statistics of activations, gradients and updates while a model trains.

Hooks, which exist only within the ``with`` block, collect everything. Between sampled steps they return at once; on a
sampled step each layer's output is summarised as the layer returns it, its gradient as backward reaches it, and the
parameters as the optimiser updates them. Nothing observed is changed, and no random number is drawn.
"""

import math
from contextlib import contextmanager
from functools import partial

import numpy as np

from nn.activation import Hardsigmoid, Hardtanh, ReLU6, Sigmoid, Tanh
from nn.grad_mode import is_grad_enabled
from nn.module import Module
from nn.observation.log import Log
from nn.observation.statistics import Histogram, Summary, Workspace, check_histogram
from nn.optim import Optimizer
from nn.tensor import Tensor


@contextmanager
def observe(model, optimizer=None, *, every=10, layers=None, quantiles=(), histogram=None, watch=True):
    """Record, within a ``with`` block, statistics of a model while it trains; all hooks are removed at the end.

    A step is the time between two calls of ``optimizer.step()``; without an optimiser it begins with each call of the
    model. Only calls in training mode that are recorded on the tape count. Several calls of a layer in one step are
    combined.

    Parameters
    ----------
    model : Module
    optimizer : Optimizer, optional
        Needed to measure its updates; all parameters of the model are observed with or without it.
    every : int, default 10
        Statistics are computed for the sampled steps: 0, ``every``, 2 · ``every``…
    layers : list of str, or callable, optional
        Dotted names of modules, or ``(name, module) -> bool``; by default all modules without submodules. Of a module
        that returns a tuple the first tensor is observed. If a parent does not call its submodule, the submodule's
        statistics are NaN.
    quantiles : sequence of float, default ()
        For example ``(0.05, 0.5, 0.95)``. They need sorting, and cost several times as much as everything else.
    histogram : int or array (bins + 1,), optional
        A number of bins, a multiple of 4: of equal width around zero, adapted to the values; or the edges, beyond which
        nothing is counted.
    watch : bool, default True
        List where NaNs and infinities first occur. Only sampled steps are checked: with ``every=1`` the step is exact.

    Returns
    -------
    context manager of Log
        ``log.record(loss=loss)`` adds the loss to it.

    Raises
    ------
    TypeError, ValueError
        `model` is not a Module, `optimizer` not an Optimizer, `every` is below 1, a layer does not exist, a quantile
        is outside [0, 1], or edges do not increase.

    Examples
    --------
    >>> import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    >>> optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    >>> with nn.observe(model, optimizer, every=5) as log:
    ...     for _ in range(10):
    ...         optimizer.zero_grad()
    ...         loss = (model(nn.randn(16, 4)) ** 2).mean()
    ...         loss.backward()
    ...         optimizer.step()
    ...         log.record(loss=loss)
    >>> log.steps, log.layers
    ([0, 5], ['0', '1', '2'])
    >>> log.activations["std"].shape, log.weights["ratio"].shape
    ((2, 3), (2, 4))
    """
    if not isinstance(model, Module):
        raise TypeError(f"observe: model must be a Module, got {type(model).__name__}")
    if not (optimizer is None or isinstance(optimizer, Optimizer)):
        raise TypeError(f"observe: optimizer must be an Optimizer, got {type(optimizer).__name__}")
    if every < 1:
        raise ValueError(f"observe: every must be at least 1, got {every}")
    quantiles = tuple(quantiles)
    if not all(0 <= q <= 1 for q in quantiles):
        raise ValueError(f"observe: quantiles must be in [0, 1], got {quantiles}")
    if histogram is not None:
        check_histogram("observe", histogram)
    recorder = _Recorder(model, optimizer, every, _chosen(model, layers), quantiles, histogram, watch)
    try:
        yield recorder.log
    finally:
        recorder.detach()


def _chosen(model, layers):
    """Name -> module of the modules to observe."""
    if layers is None:
        chosen = {name: module for name, module in model.named_modules() if next(module.children(), None) is None}
    elif callable(layers):
        chosen = {name: module for name, module in model.named_modules() if layers(name, module)}
    else:
        try:
            chosen = {name: model.get_submodule(name) for name in layers}
        except AttributeError as error:
            raise ValueError(f"observe: {str(error).removeprefix('get_submodule: ')}") from None
    if not chosen:
        raise ValueError("observe: there is no layer to observe")
    return {name or type(model).__name__: module for name, module in chosen.items()}


def _bounds(module):
    """The range of a bounded activation's output, or None for other modules."""
    if isinstance(module, (Sigmoid, Hardsigmoid)):
        return 0.0, 1.0
    if isinstance(module, Tanh):
        return -1.0, 1.0
    if isinstance(module, ReLU6):
        return 0.0, 6.0
    return (module.min_val, module.max_val) if isinstance(module, Hardtanh) else None


def _first_tensor(output):
    """The output, or the first element of a tuple, if it is a floating-point tensor; else None."""
    while isinstance(output, (tuple, list)) and output:
        output = output[0]
    return output if isinstance(output, Tensor) and output.dtype.kind == "f" else None


class _Recorder:
    """The hooks of one `observe`, and the state of the current step."""

    def __init__(self, model, optimizer, every, layers, quantiles, histogram, watch):
        self.model, self.optimizer, self.every = model, optimizer, every
        named = dict(model.named_parameters())
        self.parameters = list(named.values())
        self.log = Log(list(layers), list(named), watch)
        self.workspace = Workspace()
        self.summaries = {"activations": [], "gradients": []}
        for kind, summaries in self.summaries.items():
            for layer in layers.values():
                counted = None if histogram is None else Histogram(histogram)
                bounds = _bounds(layer) if kind == "activations" else None
                summaries.append(Summary(self.workspace, bounds, quantiles, counted))
            if histogram is not None:
                self.log._histograms[kind] = [summary.histogram for summary in summaries]
        self.count = 0  # steps that have ended
        self.begun = self.sampled = False
        self.step_handles = []  # of hooks that are removed at the end of the sampled step
        self.arrived = {}  # without an optimiser: index of a parameter -> its gradient in the sampled step
        self._attach(layers.values())

    def _attach(self, layers):
        self.handles = [self.model.register_forward_pre_hook(self._enter)]
        for i, layer in enumerate(layers):
            self.handles.append(layer.register_forward_hook(partial(self._activation, i)))
        if self.optimizer is not None:
            self.replaced = vars(self.optimizer).get("step")  # None if it is the method of the class
            self.original = self.optimizer.step
            self.optimizer.step = self._step

    def detach(self):
        """End the current step and remove every hook."""
        for handle in self.handles:
            handle.remove()
        if self.optimizer is not None:
            if self.replaced is None:
                del self.optimizer.step
            else:
                self.optimizer.step = self.replaced
        self._end()

    # the steps

    def _enter(self, model, args):
        if model.training and is_grad_enabled():
            if self.optimizer is None:
                self._end()
            self._begin()

    def _step(self, *args, **kwargs):
        """Replaces the optimiser's `step`."""
        self._begin()  # with a closure, no layer has been called yet
        for i, group in enumerate(self.optimizer.param_groups):
            self.log._record_scalar(f"lr_{i}" if i else "lr", float(group["lr"]))
        before = [p.array.copy() for p in self.parameters] if self.sampled else None
        result = self.original(*args, **kwargs)
        self._end(before)
        return result

    def _begin(self):
        if self.begun:
            return
        self.begun = True
        self.log._step = self.count
        self.sampled = self.count % self.every == 0 or self.log._sample_next
        self.log._sample_next = False
        if self.sampled and self.optimizer is None:
            self.norms = [self.workspace.norm(p.array) for p in self.parameters]
            for i, p in enumerate(self.parameters):
                if p.requires_grad:
                    self.step_handles.append(p.register_hook(partial(self._arrive, i)))

    def _end(self, before=None):
        """End the current step; `before` are the parameters before the update."""
        for handle in self.step_handles:
            handle.remove()
        self.step_handles = []
        if self.sampled:
            self.log.steps.append(self.count)
            for kind, summaries in self.summaries.items():
                self._append(kind, [summary.close() for summary in summaries])
            self._append("weights", self._weights(before))
        self.count += self.begun
        self.begun = self.sampled = False
        self.arrived = {}

    def _append(self, kind, statistics):
        """Append one row of arrays to the log, from a list of dicts."""
        names = statistics[0] if statistics else ()
        row = {name: np.array([each[name] for each in statistics]) for name in names}
        if kind == "gradients":
            del row["saturated"]
        self.log._rows[kind].append(row)

    # the observations

    def _activation(self, index, layer, args, output):
        if not (self.model.training and is_grad_enabled()):
            return
        if self.optimizer is not None:
            self._begin()  # needed if a method of the model is called, and not the model itself
        if not self.sampled:
            return
        tensor = _first_tensor(output)
        if tensor is None:
            return
        if not self.summaries["activations"][index].add(tensor.array):
            self.log._record_nonfinite(self.count, self.log.layers[index], "activation")
        if tensor.requires_grad:
            self.step_handles.append(tensor.register_hook(partial(self._gradient, index)))

    def _gradient(self, index, gradient):
        if not self.summaries["gradients"][index].add(gradient.array):
            self.log._record_nonfinite(self.count, self.log.layers[index], "gradient")

    def _arrive(self, index, gradient):
        before = self.arrived.get(index)
        self.arrived[index] = gradient.array if before is None else before + gradient.array

    def _weights(self, before):
        """Norms of each parameter, as a list of dicts."""
        rows = []
        for i, (name, p) in enumerate(zip(self.log.parameters, self.parameters, strict=True)):
            if self.optimizer is None:
                norm, gradient = self.norms[i], self.arrived.get(i)
            else:
                norm = self.workspace.norm(p.array if before is None else before[i])
                gradient = None if p.grad is None else p.grad.array
            gradient_norm = math.nan if gradient is None else self.workspace.norm(gradient)
            update = math.nan if before is None else self.workspace.norm(p.array, before[i])
            ratio = update / norm if norm else math.nan
            rows.append({"norm": norm, "gradient_norm": gradient_norm, "update": update, "ratio": ratio})
            if gradient is not None and not math.isfinite(gradient_norm):
                self.log._record_nonfinite(self.count, name, "gradient")
            if not math.isfinite(norm) or (before is not None and not math.isfinite(update)):
                self.log._record_nonfinite(self.count, name, "parameter")
        return rows

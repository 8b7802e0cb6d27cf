"""What a model consists of: its layers, the shapes of their outputs, parameters, and FLOPs of its products."""

import contextlib
import functools
import inspect
import math
import sys
import threading
from collections import defaultdict
from typing import NamedTuple

from nn.grad_mode import no_grad
from nn.storage import Tensor, tensors_in


class Layer(NamedTuple):
    """A module of a model."""

    name: str  # dotted; "" for the model itself
    kind: str  # its class
    outputs: tuple  # shapes of the tensors that its first call returned
    parameters: int  # its own, without those of the modules in it and those that another module has had before it
    flops: int  # of products that its own forward calls, in all its calls
    calls: int


class Summary:
    """The layers of a model, as `nn.summary` found them. Printed, it is a table.

    Attributes
    ----------
    layers : list of Layer
        In the order of ``model.named_modules()``.
    parameters, trainable : int
        Numbers of elements, all and those that require a gradient.
    flops : int
        Two for each multiply-add of matrix products, convolutions, attention and recurrent layers; elementwise work is
        not counted, nor is what a causal mask would save subtracted.
    """

    def __init__(self, layers, parameters, trainable):
        self.layers, self.parameters, self.trainable = layers, parameters, trainable
        self.flops = sum(layer.flops for layer in layers)

    def __repr__(self):
        lines = [("layer", "output", "parameters", "FLOPs")]
        for layer in self.layers:
            depth = 0 if not layer.name else 1 + layer.name.count(".")
            label = layer.name.rpartition(".")[2]
            title = "  " * depth + (f"{label}: {layer.kind}" if label else layer.kind)
            outputs = ", ".join(str(shape) for shape in layer.outputs) if layer.calls else "not called"
            outputs += f" × {layer.calls}" if layer.calls > 1 else ""
            lines.append((title, outputs, f"{layer.parameters:,}" if layer.parameters else "", shortened(layer.flops)))
        lines.append(("total", "", f"{self.parameters:,}", shortened(self.flops)))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = [
            f"{a.ljust(widths[0])}  {b.ljust(widths[1])}  {c.rjust(widths[2])}  {d.rjust(widths[3])}".rstrip()
            for a, b, c, d in lines
        ]
        fixed = self.parameters - self.trainable
        return "\n".join([*table, f"{self.trainable:,} parameters are trained, {fixed:,} are not"])


def shortened(flops):
    """Three digits and a power of 1000: ``1.23 M``; nothing for 0."""
    if not flops:
        return ""
    power = min(int(math.log10(flops)) // 3, 4)
    return f"{flops / 1000**power:.4g} {' kMGT'[power]}".strip()


def summary(model, *inputs):
    """The layers of a model with the shapes of their outputs, their parameters and their FLOPs.

    The model is called once, in evaluation mode and without recording; the mode of each of its modules is restored.

    Parameters
    ----------
    model : Module
    *inputs : Tensor or array
        What it is called with.

    Returns
    -------
    Summary

    Raises
    ------
    TypeError
        There is no input.

    Examples
    --------
    >>> import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 26 * 26, 10))
    >>> nn.summary(model, nn.zeros(1, 1, 28, 28))
    layer         output          parameters    FLOPs
    Sequential    (1, 10)
      0: Conv2d   (1, 8, 26, 26)          80  97.34 k
      1: ReLU     (1, 8, 26, 26)
      2: Flatten  (1, 5408)
      3: Linear   (1, 10)             54,090  108.2 k
    total                             54,170  205.5 k
    54,170 parameters are trained, 0 are not
    """
    if not inputs:
        raise TypeError("summary: needs what the model is called with, such as nn.zeros(1, 3, 224, 224)")
    inputs = [each if isinstance(each, Tensor) else Tensor(each) for each in inputs]
    outputs, flops, calls, running = {}, defaultdict(int), defaultdict(int), []

    def enter(module, arguments):
        running.append(module)

    def leave(module, arguments, output):
        running.pop()
        calls[module] += 1
        outputs.setdefault(module, tuple(tensor.shape for tensor in tensors_in(output)))

    def add(found):
        flops[running[-1]] += found

    modules = dict(model.named_modules())
    handles = [module.register_forward_pre_hook(enter) for module in modules.values()]
    handles += [module.register_forward_hook(leave) for module in modules.values()]
    try:
        with model._evaluating(), no_grad(), _counted(add):
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    seen, layers = set(), []
    for name, module in modules.items():
        own = [each for each in module.parameters(recurse=False) if id(each) not in seen]
        seen |= {id(each) for each in own}
        count = sum(each.numel() for each in own)
        layers.append(Layer(name, type(module).__name__, outputs.get(module, ()), count, flops[module], calls[module]))
    trainable = sum(each.numel() for each in model.parameters() if each.requires_grad)
    return Summary(layers, sum(each.numel() for each in model.parameters()), trainable)


# --- FLOPs of one call, from its arguments by name and its result ----------------------------------------------------


def _rows(tensor):
    return tensor.numel() // max(tensor.shape[-1], 1)


def _of_linear(found, result):
    return 2 * _rows(found["input"]) * found["weight"].numel()


def _of_feed_forward(found, result):
    return 2 * _rows(found["input"]) * (found["weight1"].numel() + found["weight2"].numel())


def _of_convolution(found, result):
    return 2 * result.numel() * math.prod(found["weight"].shape[1:])


def _of_transposed(found, result):
    return 2 * found["input"].numel() * math.prod(found["weight"].shape[1:])


def _of_product(found, result):
    left = found.get("mat1", found.get("batch1", found["input"]))  # addmm and baddbmm: `input` is what is added to
    return 2 * result.numel() * left.shape[-1]


def _of_attention(found, result):
    query, key, value = found["query"], found["key"], found["value"]
    return 2 * _rows(query) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _of_recurrence(found, result):
    weights = [each for name, each in found.items() if name.startswith("weight") and isinstance(each, Tensor)]
    return 2 * _rows(found["input"]) * sum(weight.numel() for weight in weights)


_FLOPS = {
    "linear": _of_linear,
    "feed_forward": _of_feed_forward,
    "scaled_dot_product_attention": _of_attention,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _of_convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _of_transposed),
    **dict.fromkeys(("matmul", "mm", "bmm", "addmm", "baddbmm"), _of_product),
    **dict.fromkeys(("lstm", "gru", "rnn", "lstm_cell", "gru_cell", "rnn_cell"), _of_recurrence),
}
_counting = threading.Lock()


@contextlib.contextmanager
def _counted(add):
    """Meanwhile, ``add(FLOPs)`` is called for each outermost call of a function that multiplies matrices."""
    undo, doubles, inside = [], {}, []

    def counting(function):
        signature, flops = inspect.signature(function), _FLOPS[function.__name__]

        @functools.wraps(function)
        def double(*args, **kwargs):
            inside.append(function)
            try:
                result = function(*args, **kwargs)
            finally:
                inside.pop()
            if not inside:
                add(flops(signature.bind(*args, **kwargs).arguments, result))
            return result

        return double

    with _counting:
        try:
            for owner, name, attribute, function in list(_places()):
                undo.append((owner, name, attribute))
                double = doubles.setdefault(function, counting(function))
                setattr(owner, name, type(attribute)(double) if isinstance(attribute, staticmethod) else double)
            yield
        finally:
            for owner, name, attribute in undo:
                setattr(owner, name, attribute)


def _places():
    """Where the functions that count are looked up: (module or class, name, the attribute, the function)."""
    modules = [module for name, module in sys.modules.items() if name == "nn" or name.startswith("nn.")]
    classes = {each for module in modules for each in vars(module).values() if isinstance(each, type)}
    for owner in (*modules, *classes):
        for name, attribute in list(vars(owner).items()):
            function = attribute.__func__ if isinstance(attribute, staticmethod) else attribute
            counts = inspect.isfunction(function) and function.__name__ in _FLOPS
            if counts and function.__module__.startswith(("nn.functional.", "nn.operations.")):
                yield owner, name, attribute, function

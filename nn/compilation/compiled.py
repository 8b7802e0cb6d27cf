"""Models as compiled functions."""

import functools
import keyword
import re
import textwrap

import numba
import numpy as np

import kernels
from nn.compilation.emit import FUSED, ORDERED, VIEWS, Writer
from nn.compilation.trace import CompileError, Trace, tensors_in
from nn.module import Module
from nn.storage import Tensor, wrap

INDENT = "    "


def compile(model, *inputs, shapes="recompile"):
    """A model in evaluation mode as one function of kernel calls, which runs without Python.

    The model is called once on `inputs`; the operations that it calls are written as lines of source, one a kernel, and
    Numba compiles the function when it is first called. What the model does must not depend on the values of tensors.

    Parameters
    ----------
    model : Module
        In evaluation mode. Nothing of it is changed.
    inputs : Tensor or array
        Examples, of the shapes and dtypes of later inputs.
    shapes : {"recompile", "raise"}
        What happens where inputs of other shapes come: the model is traced again, or a ValueError is raised.

    Returns
    -------
    Compiled

    Raises
    ------
    CompileError
        An operation that cannot be compiled, the reading of a tensor's value, a change in place; says at which line.
    TypeError, ValueError
        No module, a module in training mode, no inputs.

    Examples
    --------
    >>> import nn
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).eval()
    >>> compiled = nn.compile(net, nn.zeros(1, 4))
    >>> print(compiled.source)
    def sequential(x, weights):
        layer0_weight, layer0_bias, layer2_weight, layer2_bias = weights
        linear_1 = linear(x, layer0_weight, layer0_bias, activation="relu")  # (1, 8)
        linear_2 = linear(linear_1, layer2_weight, layer2_bias)  # (1, 2)
        return linear_2
    >>> compiled(nn.zeros(1, 4)).shape
    (1, 2)
    """
    if not isinstance(model, Module):
        raise TypeError(f"nn.compile: model must be a Module, got {type(model).__name__}")
    if shapes not in ("recompile", "raise"):
        raise ValueError(f"nn.compile: shapes must be 'recompile' or 'raise', got {shapes!r}")
    if not inputs:
        raise ValueError("nn.compile: needs example inputs")
    return Compiled(model, tuple(map(_as_tensor, inputs)), shapes)


def _as_tensor(value):
    return value if isinstance(value, Tensor) else wrap(np.asarray(value))


class Compiled:
    """A compiled model.

    Attributes
    ----------
    source : str
        What is compiled: a Python function ``name(x, …, weights)`` of arrays.
    function : numba function
        The same for your own jitted code, to be called with arrays and `weights`.
    weights : tuple of ndarray
        The model's parameters and buffers that it reads, as they are now.
    """

    def __init__(self, model, inputs, shapes):
        self.model, self._shapes, self._functions = model, shapes, {}
        if model.training:
            raise ValueError("nn.compile: the model must be in evaluation mode; call model.eval()")
        self._add(inputs)
        self._signature = _signature(inputs)
        self.source, self.function, self._read = self._functions[self._signature]

    def __repr__(self):
        return f"<compiled {type(self.model).__name__}, {len(self._functions)} shapes>"

    def __call__(self, *inputs):
        arrays = [each.array if isinstance(each, Tensor) else np.asarray(each) for each in inputs]
        signature = _signature(inputs)
        if signature not in self._functions:
            self._other(inputs, signature)
        _, function, read = self._functions[signature]
        result = function(*map(np.ascontiguousarray, arrays), tuple(each.array for each in read))
        return tuple(map(wrap, result)) if isinstance(result, tuple) else wrap(result)

    @property
    def weights(self):
        return tuple(each.array for each in self._read)

    def _other(self, inputs, signature):
        """Compile for other inputs, or raise."""
        expected = self._signature
        if len(signature) != len(expected):
            raise TypeError(f"{self!r}: expected {len(expected)} inputs, got {len(signature)}")
        if [dtype for _, dtype in signature] != [dtype for _, dtype in expected]:
            raise TypeError(f"{self!r}: expected inputs {_listed(expected)}, got {_listed(signature)}")
        if self._shapes == "raise":
            raise ValueError(f"{self!r}: expected inputs {_listed(expected)}, got {_listed(signature)}")
        if self.model.training:
            raise ValueError(f"{self!r}: the model must be in evaluation mode to be compiled for {_listed(signature)}")
        self._add(tuple(map(_as_tensor, inputs)))

    def _add(self, inputs):
        source, read = write(self.model, inputs)
        scope = {"np": np, **{name: getattr(kernels, name) for name in _public()}}
        exec(source, scope)
        name = re.match(r"def (\w+)", source)[1]
        self._functions[_signature(inputs)] = source, numba.njit(scope[name]), read


@functools.cache
def _public():
    return tuple(name for name, value in vars(kernels).items() if callable(value) and not name.startswith("_"))


def _signature(inputs):
    return tuple((each.shape, np.dtype(each.dtype).name) for each in inputs)


def _listed(signature):
    return ", ".join(f"{shape} {dtype}" for shape, dtype in signature)


# --- source ----------------------------------------------------------------------------------------------------------


def write(model, inputs):
    """The source of a model, and the tensors of it that are read, in the order of `weights`."""
    trace = Trace(model, inputs)
    letters = ("x",) if len(inputs) == 1 else tuple(f"x{i}" for i in range(1, len(inputs) + 1))
    names = dict(zip(map(id, inputs), letters, strict=True))
    own = _names_of(model)
    given = [tensor for call in trace.calls for tensor in tensors_in(call.arguments)]
    read = list({id(tensor): tensor for tensor in given if id(tensor) in own}.values())
    names |= {id(tensor): own[id(tensor)] for tensor in read}
    writer, lines = Writer(names), []
    for call in _fused(trace):
        lines += _lines(writer, call, len(lines))
    results = trace.result if isinstance(trace.result, (tuple, list)) else (trace.result,)
    for each in results:
        if not isinstance(each, Tensor):
            raise CompileError(f"the model returns {type(each).__name__}; it must return tensors")
    returned = ", ".join(
        writer.names[id(each)] if id(each) in writer.names else writer.tensor(each) for each in results
    )
    body = [f"{INDENT}{line}" for line in lines]
    name = re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", type(model).__name__).lower()
    name = f"{name}_model" if keyword.iskeyword(name) or name in _public() else name
    head = [f"def {name}({', '.join(letters)}, weights):"]
    if read:
        given = textwrap.wrap(", ".join(own[id(each)] for each in read), 100, break_long_words=False)
        one_line = f"{given[0]}{',' * (len(read) == 1)} = weights"
        lines = [one_line] if len(given) == 1 else ["(", *(f"{INDENT}{line}" for line in given), ") = weights"]
        head += [f"{INDENT}{line}" for line in lines]
    return "\n".join([*head, *body, f"{INDENT}return {returned}"]), read


def _lines(writer, call, count):
    parts = writer.parts(call)
    if parts is None:
        text = writer.line(call)
        if text is None:
            writer.names[id(call.results[0])] = writer.names[id(call.arguments["input"])]
            return []
        parts = [text]
    lines = []
    for text, result in zip(parts, call.results, strict=True):
        count += 1
        name = writer.names[id(result)] = f"{call.name}_{count}"
        if call.name in VIEWS | ORDERED:
            writer.strided.add(name)
        lines.append(f"{name} = {text}  # {result.shape}")
    return lines


def _names_of(model):
    """The names of parameters and buffers in the source, by identity."""
    found = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        name = name.replace(".", "_")
        found.setdefault(id(tensor), f"layer{name}" if name[0].isdigit() else name)
    return found


def _fused(trace):
    """The calls, activations joined with the linear layers before them."""
    uses = {}
    for call in trace.calls:
        for tensor in tensors_in(call.arguments):
            uses[id(tensor)] = uses.get(id(tensor), 0) + 1
    for tensor in tensors_in([trace.result]):
        uses[id(tensor)] = uses.get(id(tensor), 0) + 1
    calls = []
    for call in trace.calls:
        before = calls[-1] if calls else None
        joins = (
            before is not None
            and call.name in FUSED.get(before.name, ())
            and "activation" not in before.arguments
            and call.arguments["input"] is before.results[0]
            and uses[id(before.results[0])] == 1
        )
        if joins:
            approximate = call.arguments.get("approximate", "none")
            before.arguments["activation"] = "gelu_tanh" if approximate == "tanh" else call.name
            before.results = call.results
        else:
            calls.append(call)
    return calls

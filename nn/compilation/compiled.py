"""Models as compiled functions."""

import builtins
import functools
import keyword
import re
import textwrap

import numpy as np
from numba.core.errors import TypingError

import kernels
from nn.compilation.checks import NAMES, checked
from nn.compilation.elements import LETTERS, chains, loop
from nn.compilation.emit import FUSED, Writer
from nn.compilation.movement import ORDERED, VIEWS, is_dense
from nn.compilation.trace import CompileError, Trace
from nn.module import Module
from nn.storage import Tensor, tensors_in, wrap

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


def _places(model, read):
    """Where the weights are: for each its module's attributes and its name there, and the modules on the way."""
    weights, modules = [], {}
    owners = {}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                owners.setdefault(id(value), (path, vars(module), name))
    for tensor in read.values():
        path, attributes, name = owners.get(id(tensor), ("", {"constant": tensor}, "constant"))
        weights.append((attributes, name))
        parts, module = path.split(".") if path else (), model
        for part in parts:
            child = vars(module)[part]
            modules[id(child)] = vars(module), part, child
            module = child
    return tuple(weights), tuple(modules.values())


def _weights(compiled, places):
    """The arrays of the weights as they are now."""
    weights, modules = places
    for attributes, name, module in modules:
        if attributes.get(name) is not module:
            raise ValueError(f"{compiled!r}: {name} was replaced; compile the model again")
    return tuple([attributes[name].array for attributes, name in weights])


def _wrapped(result):
    return tuple(map(_wrapped, result)) if isinstance(result, tuple) else None if result is None else wrap(result)


def _contiguous(array):
    return array if array.flags.c_contiguous else array.copy()


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
        self.source, self.function, self._places = self._functions[self._signature]

    def __repr__(self):
        return f"<compiled {type(self.model).__name__}, {len(self._functions)} shapes>"

    def __call__(self, *inputs):
        arrays = [each.array if isinstance(each, Tensor) else np.asarray(each) for each in inputs]
        signature = _signature(arrays)
        if signature not in self._functions:
            self._other(inputs, signature)
        _, function, places = self._functions[signature]
        try:
            return _wrapped(function(*map(_contiguous, arrays), _weights(self, places)))
        except TypingError as error:
            raise TypeError(_rule(error)) from None

    @property
    def weights(self):
        return _weights(self, self._places)

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
        weights = {key: tensor.array for key, tensor in read.items()}
        arrays = {key: tensor.array for key, tensor in zip(_letters(inputs), inputs, strict=True)}
        function = checked(source, scope, arrays, weights)
        self._functions[_signature(inputs)] = source, function, _places(self.model, read)


def _signature(inputs):
    return tuple([(each.shape, each.dtype) for each in inputs])


def _rule(error):
    """The line of a TypingError that says what is wrong, if it is one of ours."""
    return next((line.partition("TypingError: ")[2] for line in str(error).splitlines() if " must be " in line), error)


def _listed(signature):
    return ", ".join(f"{shape} {dtype}" for shape, dtype in signature)


@functools.cache
def _public():
    """The names of the kernels."""
    return tuple(name for name, value in vars(kernels).items() if callable(value) and not name.startswith("_"))


# --- source ----------------------------------------------------------------------------------------------------------


def write(model, inputs):
    """The source of a model, and the tensors of it that are read, by name, in the order of `weights`."""
    trace = Trace(model, inputs)
    trace.calls = _needed(trace)
    calls = _fused(trace)
    letters = _letters(inputs)
    names = dict(zip(map(id, inputs), letters, strict=True))
    own = dict.fromkeys(trace.constants, "constant") | _names_of(model)
    given = [*(tensor for call in calls for tensor in tensors_in(call.arguments)), *tensors_in([trace.result])]
    read = list({id(tensor): tensor for tensor in given if id(tensor) in own}.values())
    writer = Writer(names, trace.constants, read)
    writer.reserve(*keyword.kwlist, *dir(builtins), *_public(), *LETTERS, *NAMES, "n", "np", "weights", "x")
    read[:] = [tensor for tensor in read if not writer.is_number(tensor)]
    for tensor in read:
        writer.names[id(tensor)] = writer.unique(own[id(tensor)])
    body = _body(writer, calls, trace.result)
    returned = _returned(writer, trace.result)
    name = re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", type(model).__name__).lower()
    name = f"{name}_model" if keyword.iskeyword(name) or name in _public() else name
    head = [f"def {name}({', '.join(letters)}, weights):"]
    if read:
        given = textwrap.wrap(", ".join(writer.names[id(each)] for each in read), 100, break_long_words=False)
        one_line = f"{given[0]}{',' * (len(read) == 1)} = weights"
        lines = [one_line] if len(given) == 1 else ["(", *(f"{INDENT}{line}" for line in given), ") = weights"]
        head += [f"{INDENT}{line}" for line in lines]
    source = "\n".join([*head, *(f"{INDENT}{line}" for line in body), f"{INDENT}return {returned}"])
    return source, {writer.names[id(tensor)]: tensor for tensor in read}


def _letters(inputs):
    return ("x",) if len(inputs) == 1 else tuple(f"x{i}" for i in range(1, len(inputs) + 1))


def _body(writer, calls, result):
    """The lines of the calls: a loop for each chain of functions of elements, one line for any other call."""
    loops = chains(calls, result)
    inside = {id(call) for found in loops.values() for call in found}
    read = {id(each) for call in calls for each in tensors_in(call.arguments)} | {
        id(each) for each in tensors_in([result])
    }
    lines = []
    for call in calls:
        if id(call) in loops:
            lines += loop(writer, loops[id(call)], writer.named(call))
        elif id(call) not in inside:
            lines += _lines(writer, call, read)
    return lines


def _lines(writer, call, read):
    parts = writer.parts(call)
    if parts is not None:
        lines = []
        for text, result in zip(parts, call.results, strict=True):
            if id(result) in read:
                name = writer.named_result(call, result)
                writer.strided.add(name)
                lines.append(f"{name} = {text}  # {result.shape}")
        return lines
    text = writer.line(call)
    if text is None:
        writer.names[id(call.results[0])] = writer.names[id(call.arguments["input"])]
        return []
    if len(call.results) > 1 or not isinstance(call.results[0], Tensor):
        targets = _targets(writer, call, call.results, read)
        return [f"{targets} = {text}  # {', '.join(str(each.shape) for each in tensors_in(call.results))}"]
    name = writer.named(call)
    if call.name in VIEWS | ORDERED and "index_select" not in text:
        tensor = call.arguments["input"]
        if not is_dense(call, writer.tensor(tensor) in writer.strided or not tensor.array.flags.c_contiguous):
            writer.strided.add(name)
    if isinstance(text, list):
        return [line.format(out=name) for line in text]
    return [f"{name} = {text}  # {call.results[0].shape}"]


def _targets(writer, call, results, read):
    """The names of several results, nested as they are; those that nobody reads are _."""
    found = []
    for each in results:
        if isinstance(each, (tuple, list)):
            found.append(f"({_targets(writer, call, each, read)})")
        else:
            found.append(writer.named_result(call, each) if id(each) in read else "_")
    return ", ".join(found)


def _returned(writer, result):
    if result is None:
        return "None"
    if isinstance(result, (tuple, list)):
        return f"({', '.join(_returned(writer, each) for each in result)}{',' * (len(result) == 1)})"
    if not isinstance(result, Tensor):
        raise CompileError(f"the model returns {type(result).__name__}; it must return tensors")
    if writer.is_number(result):
        raise CompileError("the model returns a number that depends on nothing")
    return writer.tensor(result)


def _names_of(model):
    """The names of parameters and buffers in the source, by identity."""
    found = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        name = re.sub(r"\W", "_", name)
        found.setdefault(id(tensor), f"layer{name}" if name[0].isdigit() else name)
    return found


def _needed(trace):
    """The calls on whose results the model's depends."""
    needed, calls = {id(each) for each in tensors_in([trace.result])}, []
    for call in reversed(trace.calls):
        if any(id(each) in needed for each in tensors_in(call.results)):
            needed |= {id(each) for each in tensors_in(call.arguments)}
            calls.insert(0, call)
    return calls


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

"""The source of a training step, put together from a trace: head, forward, backward and update."""

import contextlib
import keyword
import re
import textwrap

from nn.compilation import gradients_of_kernels, gradients_of_parts  # noqa: F401 (they add their rules)
from nn.compilation.compiled import INDENT, _fused, _names_of, _public
from nn.compilation.gradients import Gradients
from nn.compilation.loops import LOOPS
from nn.compilation.trace import Call, CompileError, Trace
from nn.compilation.training import Forward
from nn.compilation.updates import updates
from nn.normalization import _ChannelNorm
from nn.random import default_generator
from nn.storage import Tensor, tensors_in, wrap

_RESERVED = re.compile(r"(x|y)\d*|loss|rng|np|weights|gradients|buffers|constants|counts|options\w*|d_.*|_|.*_\d+")


class Assembly:
    """A training step as source.

    Attributes
    ----------
    source : str
    updates : list of Update
    buffers, constants : list of Tensor
        What the function reads besides inputs and weights: of the weights' dtype, and others.
    changed : list of Tensor
        Those of the buffers that it changes.
    counts : list of (Tensor, int)
        Counters of batches, and how much a step adds to each.
    draws : bool
        Whether it draws random numbers.
    """

    def __init__(self, objective, optimizer, clip, inputs):
        self._objective, self._optimizer, self._clip = objective, optimizer, clip
        self._names = _step_names(objective)
        trace = self._traced(inputs)
        trace.calls, trace.result = _distinct(trace.calls, trace.result)
        calls = _fused(trace)
        self._names |= {key: f"constant_{i}" for i, key in enumerate(trace.constants, 1)}
        active = self._active(calls, trace.result)
        names = dict(zip(map(id, inputs), _letters(objective.count, len(inputs)), strict=True))
        self._arguments = list(names.values())
        self._comment = ", ".join(f"{names[id(each)]} {each.shape} {each.dtype}" for each in inputs)
        calls = _with_sums(calls, active)
        self._sort(calls, active, names, trace.constants)
        forward = Forward(names, lambda tensor: id(tensor) in active, trace.constants)
        self._write(calls, forward, trace.result)

    # --- the trace ---------------------------------------------------------------------------------------------------

    def _traced(self, inputs):
        """The calls of one forward pass, after which everything is as before."""
        for name, module in self._objective.model.named_modules():
            counts = isinstance(module, _ChannelNorm) and module.training and module.num_batches_tracked is not None
            if counts and module.momentum is None:
                raise CompileError(f"{name or 'the model'}: a momentum of None, the average, cannot be compiled")
        with _unchanged(self._objective, self._optimizer) as changes:
            trace = Trace(self._objective, inputs)
        result = trace.result
        if not isinstance(result, Tensor):
            raise TypeError(f"nn.compile_step: the loss must be a Tensor, got {type(result).__name__}")
        if result.array.size != 1:
            raise ValueError(f"nn.compile_step: the loss must be a scalar, got shape {result.shape}")
        norms = [call for call in trace.calls if call.name == "batch_norm" and call.arguments["training"]]
        running = {id(call.arguments[key]) for call in norms for key in ("running_mean", "running_var")}
        self.changed, self.counts = [], []
        for name, tensor, added in changes:
            if id(tensor) in running:
                self.changed.append(tensor)
            elif name.endswith("num_batches_tracked") and added is not None:
                self.counts.append((tensor, added))
            else:
                raise CompileError(f"{name} is changed by the forward pass, which cannot be compiled")
        return trace

    def _active(self, calls, loss):
        """The ids of the tensors that need a gradient."""
        own = {id(p): p for group in self._optimizer.param_groups for p in group["params"] if p._requires_grad}
        active = set(own)
        for call in calls:
            if any(id(each) in active for each in tensors_in(call.arguments)):
                active |= {id(each) for each in call.results if isinstance(each, Tensor) and each._requires_grad}
        needed = {id(loss)}
        for call in reversed(calls):
            if any(id(each) in needed & active for each in call.results):
                needed |= {id(each) for each in tensors_in(call.arguments)}
        if id(loss) not in active:
            raise CompileError("the loss depends on none of the optimizer's parameters")
        active &= needed
        self.updates = updates(self._optimizer, own.keys() & active)
        return active

    def _sort(self, calls, active, names, constants):
        """Parameters and buffers by how they are passed; their names."""
        trained = [p for update in self.updates for p in update.parameters]
        if len({p.dtype for p in trained}) > 1:
            raise CompileError(
                f"all parameters must have one dtype, they have {sorted({str(p.dtype) for p in trained})}"
            )
        self.dtype = trained[0].dtype
        given = [each for call in calls for each in tensors_in(call.arguments) if id(each) in self._names]
        given = {id(each): each for each in given if not (id(each) in constants and each.ndim == 0)}
        for tensor in (*trained, *given.values()):
            names[id(tensor)] = self._names[id(tensor)]
        rest = [each for key, each in given.items() if key not in {id(p) for p in trained}]
        self.buffers = [each for each in rest if each.dtype == self.dtype]
        self.constants = [each for each in rest if each.dtype != self.dtype]

    # --- the source --------------------------------------------------------------------------------------------------

    def _write(self, calls, forward, loss):
        for i, call in enumerate(calls, 1):
            forward.write(call, "loss" if call.results[0] is loss else f"{call.name}_{i}")
        for i, (tensor, added) in enumerate(self.counts):
            forward.lines.append(f"counts[{i}][0] += {added}  # {self._names[id(tensor)]}")
        self.draws = forward.draws
        end, gradients = len(forward.lines), Gradients(forward)
        gradients.add(loss, f"np.ones({loss.shape}, np.{loss.dtype})")
        for call in reversed(calls):
            gradients.write(call)
        body = [*self._head(forward.names), "# forward", *forward.lines[:end], "", "# backward", *forward.lines[end:]]
        body += ["", "# update", *self._update(gradients), f"return {forward.tensor(loss)}"]
        name = f"{_snake(type(self._objective.model).__name__)}_step"
        body = _without_unused(body)
        parameters = ", ".join(self._arguments)
        lines = [f"def {name}({parameters}):", f"{INDENT}# {self._comment}"]
        self.source = "\n".join(
            [*lines, *(f"{INDENT}{part}" if part else "" for line in body for part in _wrapped(line))]
        )

    def _head(self, names):
        """The lines that name what is in lists; adds the parameters of the function."""
        lines = []
        if self.draws:
            self._arguments.append("rng")
        for word, tensors in (("buffers", self.buffers), ("constants", self.constants)):
            if tensors:
                self._arguments.append(word)
            for i, tensor in enumerate(tensors):
                shape = f".reshape({tensor.shape})" if word == "buffers" and tensor.ndim != 1 else ""
                lines.append(f"{names[id(tensor)]} = {word}[{i}]{shape}")
        if self.counts:
            self._arguments.append("counts")
        for update in self.updates:
            self._arguments += update.names
            lines += update.head(names)
        return [*lines, ""]

    def _update(self, gradients):
        """The lines from the gradients on: clipping, and the optimiser's."""
        lists, lines, places = [], [], {}
        for i, update in enumerate(self.updates, 1):
            lists.append(f"gradients_{i}" if len(self.updates) > 1 else "gradients")
            lines += _list(lists[-1], [self._flat(p, gradients) for p in update.parameters])
            places |= {id(p): f"{lists[-1]}[{j}]" for j, p in enumerate(update.parameters)}
        if self._clip is not None:
            if len(lists) > 1:
                lines += _list("gradients", [places[id(p)] for p in self._objective.parameters() if id(p) in places])
            lines.append(f"clip_grad_norm(gradients, {float(self._clip)!r})")
        return [*lines, *(update.line(name) for update, name in zip(self.updates, lists, strict=True))]

    def _flat(self, p, gradients):
        name, owned = gradients.found[id(p)]
        if name in gradients.forward.strided:
            name = f"contiguous({name})"
        elif self._clip is not None and not owned:
            name = f"{name}.copy()"  # it may share memory with another gradient
        return name if p.ndim == 1 else f"{name}.reshape(-1)"


def _without_unused(lines):
    """The lines without views that no later line reads."""
    kept, text = [], ""
    for line in reversed(lines):
        name = line.partition(" = ")[0]
        view = re.fullmatch(r"(split|chunk)\w*_\d+", name) is not None
        if not view or re.search(rf"\b{name}\b", text):
            kept.append(line)
            text += f"{line}\n"
    return kept[::-1]


def _wrapped(line, width=116):
    """A line of source, a call that is too long with its arguments on lines of their own."""
    code, mark, comment = line.partition("  # ")
    if len(line) <= width or not code.endswith(")") or code.startswith((" ", "#")):
        return [line]
    start = code.index("(") + 1
    together = re.sub(r"\([^()]*\)", lambda tuples: tuples[0].replace(" ", "\0"), code[start:-1])
    arguments = [part.replace("\0", " ") for part in textwrap.wrap(together, width - 12, break_long_words=False)]
    return [code[:start], *(f"{INDENT}{part}" for part in arguments), f"){mark}{comment}"]


def _list(name, items):
    one_line = f"{name} = [{', '.join(items)}]"
    if len(one_line) <= 112:
        return [one_line]
    wrapped = textwrap.wrap(", ".join(items), 108, break_long_words=False)
    return [f"{name} = [", *(f"{INDENT}{line}" for line in wrapped), "]"]


def _letters(inputs, all_of_them):
    """The names of inputs and targets."""
    targets = all_of_them - inputs
    x = ["x"] if inputs == 1 else [f"x{i}" for i in range(1, inputs + 1)]
    return x + (["y"] if targets == 1 else [f"y{i}" for i in range(1, targets + 1)])


def _snake(name):
    name = re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", name).lower()
    return f"{name}_model" if keyword.iskeyword(name) else name


def _step_names(objective):
    """The names of parameters and buffers in the source, by identity."""
    found = _names_of(objective.model)
    if hasattr(objective.loss, "named_parameters"):
        found = {key: f"loss_{name}" for key, name in _names_of(objective.loss).items()} | found
    taken = {*_public(), *LOOPS}
    clashes = {key for key, name in found.items() if name in taken or _RESERVED.fullmatch(name)}
    return {key: f"{name}_value" if key in clashes else name for key, name in found.items()}


@contextlib.contextmanager
def _unchanged(objective, optimizer):
    """Put parameters, buffers and the random state back; yields a list, which gets what was changed, as (name, tensor,
    what was added to a number)."""
    tensors = dict((*objective.named_parameters(), *objective.named_buffers()))
    before = {
        name: (each.array, each.array.copy(), each._memory, each._memory.version) for name, each in tensors.items()
    }
    state, changes = default_generator.bit_generator.state, []
    try:
        yield changes
        now = dict((*objective.named_parameters(), *objective.named_buffers()))
        replaced = [name for name, each in tensors.items() if now.get(name) is not each]
        for name, tensor in tensors.items():
            array, copy, memory, version = before[name]
            if tensor.array is not array or tensor._memory is not memory or memory.version != version:
                number = array.ndim == 0 and array.dtype.kind == "i"
                changes.append((name.partition(".")[2], tensor, int(array - copy) if number else None))
    finally:
        default_generator.bit_generator.state = state
        for name, tensor in tensors.items():
            array, copy, memory, version = before[name]
            if memory.version != version:
                array[...] = copy
            memory.version = version
            tensor.array, tensor._memory = array, memory
            path, _, attribute = name.rpartition(".")
            module = objective.get_submodule(path)
            if getattr(module, attribute, None) is not tensor:
                setattr(module, attribute, tensor)
    if replaced:
        raise CompileError(f"{replaced[0].partition('.')[2]} is replaced by the forward pass, which cannot be compiled")


def _with_sums(calls, active):
    """The calls, sums joined with the layer normalisations that follow them."""
    joined = []
    for call in calls:
        before = joined[-1] if joined else None
        if (
            call.name == "layer_norm"
            and before is not None
            and before.name == "add"
            and before.results[0] is call.arguments["input"]
            and {id(call.results[0]), id(before.results[0])} <= active
            and _same_shape(*(before.arguments[key] for key in ("input", "other")))
        ):
            a, b = (before.arguments[key] for key in ("input", "other"))
            arguments = call.arguments | {"input": a, "residual": b}
            joined[-1] = Call("add_layer_norm", arguments, (*call.results, *before.results), call.place)
        else:
            joined.append(call)
    return joined


def _same_shape(a, b):
    return isinstance(a, Tensor) and isinstance(b, Tensor) and a.shape == b.shape and a.dtype == b.dtype


def _distinct(calls, loss):
    """The calls with a tensor of its own for each value: with ``inplace=True`` one tensor has two."""
    now = {}

    def current(value):
        if isinstance(value, Tensor):
            return now.get(id(value), value)
        if isinstance(value, (tuple, list)):
            return type(value)(map(current, value))
        return value

    for call in calls:
        written, given = call.results[0], call.arguments.get("input")
        call.arguments = {key: current(value) for key, value in call.arguments.items()}
        if call.arguments.get("inplace") and written is given and call.arguments.get("training", True):
            if written._memory.is_shared():
                raise CompileError(f"{call.name} at {call.place} changes a view in place, which cannot be compiled")
            after = wrap(written.array)
            after._requires_grad = written._requires_grad
            now[id(written)] = after
            call.results = (after,)
        else:
            call.results = tuple(current(each) for each in call.results)
    return calls, current(loss)

"""The lines of source of a backward pass: for each operation those of its gradients, in the tape's order."""

import re

from nn.compilation.trace import Call, CompileError
from nn.compilation.training import Name
from nn.storage import Tensor

RULES = {}


def rule(*names):
    """Decorator: the function writes the gradients of these operations: ``function(gradients, call, dy)``."""

    def added(function):
        RULES.update(dict.fromkeys(names, function))
        return function

    return added


class Gradients:
    """Writes the backward pass of the calls that a `Forward` has written, to its lines."""

    def __init__(self, forward):
        self.forward, self.lines, self.found = forward, forward.lines, {}  # found: name, and whether it is no view
        self.in_heads = {}  # the shapes of gradients of parts that have one dimension more, see `Forward._heads`

    def of(self, tensor):
        """The name of the gradient that has arrived at a tensor, or None."""
        return self.found.get(self._key(tensor), (None, None))[0]

    def write(self, call):
        """The lines of the gradients of a call's arguments."""
        results = call.results
        if results[0] is call.arguments.get("input"):
            return
        dys = [self.of(each) if self.forward.active(each) else None for each in results]
        if self._key(results[0]) != id(results[0]) or not any(dys):
            return  # it is its input, or nothing depends on it
        function = RULES.get(call.name)
        if function is None:
            raise CompileError(f"{call.name} at {call.place}: its gradient is not among those that can be compiled")
        function(self, call, [each and Name(each) for each in dys] if len(results) > 1 else Name(dys[0]))

    def _key(self, tensor):
        return self.forward.same.get(id(tensor), id(tensor))

    # --- lines -------------------------------------------------------------------------------------------------------

    def name(self, tensor):
        return self.forward.tensor(tensor)

    def add(self, tensor, text, *, new=True, strided=False):
        """Add what an expression says to the gradient of a tensor, if that needs one.

        `new` says that it is an array of its own, which may be changed in place.
        """
        if isinstance(tensor, Tensor) and self.forward.active(tensor):
            if self.of(tensor) is None and not new and text.isidentifier():
                self.found[self._key(tensor)] = text, False
                return
            name = self._target(tensor)
            if tensor.ndim == 0 and re.search(r"^-| [*/] ", text):
                text = f"np.asarray({text})"  # of arrays with one element Numba makes a number
            self.lines.append(f"{name} = {text}  # {tensor.shape}")
            self._arrived(tensor, name, new, strided)

    def several(self, call, kernel, values, tensors, *, usual=None, strided=False, **options):
        """A kernel that returns a gradient for each of `tensors`, and takes which are needed: `usual` by default, or
        all."""
        needs = tuple(isinstance(each, Tensor) and self.forward.active(each) for each in tensors)
        if not any(needs):
            return
        if needs != (usual or (True,) * len(needs)):
            options["needs"] = needs
        names = []
        for tensor, need in zip(tensors, needs, strict=True):
            names.append(self._target(tensor, names) if need else "_")
        self.lines.append(f"{', '.join(names)} = {self.call(call, kernel, values, **options)}")
        for tensor, name, need in zip(tensors, names, needs, strict=True):
            if need:
                self._arrived(tensor, name, True, strided)

    def call(self, call, kernel, values, **options):
        """The call of a kernel, positional arguments first."""
        options = {
            key: Name(self.name(value)) if isinstance(value, Tensor) else value for key, value in options.items()
        }
        return self.forward._call(Call(kernel, {}, (), call.place), values, **options)

    def _target(self, tensor, taken=()):
        """A name for what is to be added to the gradient of a tensor."""
        name = f"d_{self.name(tensor)}" if self.of(tensor) is None else f"d_{self.name(tensor)}_more"
        while name in taken:
            name += "_more"
        return name

    def _arrived(self, tensor, name, new, strided):
        if strided:
            self.forward.strided.add(name)
        else:
            self.forward.strided.discard(name)
        before, owned = self.found.get(self._key(tensor), (None, False))
        whole = f"d_{self.name(tensor)}"
        if before is None:
            self.found[self._key(tensor)] = name, new
        elif owned and before not in self.forward.strided:
            self.lines.append(f"add_to({before}, {self.forward.contiguous(name)})")
        else:
            self.lines.append(f"{whole} = add({self.forward.contiguous(before)}, {self.forward.contiguous(name)})")
            self.forward.strided.discard(whole)
            self.found[self._key(tensor)] = whole, True

    def shape(self, tensor):
        return Name(self.forward._value(tensor.shape))

    def added_up(self, text, shape, target):
        """A gradient in the shape of an operand that was broadcast to `shape`."""
        if shape == target:
            return text
        added = len(shape) - len(target)
        stretched = [added + i for i, n in enumerate(target) if n == 1 and shape[added + i] != 1]
        dims = (*range(added), *stretched)
        return f"sum({text}, {self.forward._value(dims)}).reshape({self.forward._value(target)})"

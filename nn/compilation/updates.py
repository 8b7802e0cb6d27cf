"""The line of source of an optimiser's step, and the arrays and options that it takes at each call."""

from operator import is_, itemgetter

import numpy as np
from numba.typed import List

from nn.compilation.trace import CompileError
from nn.optim.adam import Adam, AdamW
from nn.optim.sgd import SGD

_NUMBERS = {
    "sgd": ("lr", "momentum", "dampening", "weight_decay", "first"),
    "adam": ("lr", "betas", "eps", "weight_decay", "step"),
}


class Update:
    """The update of one parameter group.

    Parameters
    ----------
    optimizer : SGD, Adam or AdamW
    number : int
        That of the group.
    parameters : list of Parameter
        Those of the group that get a gradient.

    Attributes
    ----------
    names : list of str
        What the update takes besides the gradients, as parameters of the function.
    """

    def __init__(self, optimizer, number, parameters):
        self.optimizer, self.parameters, self._number = optimizer, parameters, number
        group = optimizer.param_groups[number]
        self._groups = len(optimizer.param_groups), group["params"], len(group["params"])
        self._suffix = f"_{number + 1}" if len(optimizer.param_groups) > 1 else ""
        options = optimizer._options(group)
        if type(optimizer) is SGD:
            self.kernel, self.states = "sgd", ("momentum_buffer",) if options["momentum"] != 0 else ()
        else:
            self.kernel = "adamw" if options["decoupled_weight_decay"] else "adam"
            self.states = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if options["amsgrad"] else ()))
        self.constants, self._name = _constants(options), type(optimizer).__name__
        self.lists = [f"{name}{'s' * (name != 'weights')}{self._suffix}" for name in ("weights", *self.states)]
        self.names = [*self.lists, f"options{self._suffix}"]
        self._options, self._arrays = None, [None] * len(parameters)
        self._shapes = [(p.shape, p.dtype) for p in parameters]

    def head(self, names):
        """The lines that name the weights and the options."""
        lines = []
        for i, p in enumerate(self.parameters):
            shape = "" if p.ndim == 1 else f".reshape({p.shape})"
            lines.append(f"{names[id(p)]} = {self.lists[0]}[{i}]{shape}")
        numbers = ", ".join(f"{key}{self._suffix}" for key in self._numbers)
        return [*lines, f"{numbers} = options{self._suffix}"]

    @property
    def _numbers(self):
        return _NUMBERS["sgd" if self.kernel == "sgd" else "adam"]

    def line(self, gradients):
        """The call of the kernel, with a list of gradients."""
        numbers = [f"{key}={key}{self._suffix}" for key in self._numbers]
        constants = [f"{key}=True" for key in ("nesterov", "maximize") if dict(self.constants).get(key)]
        given = ", ".join([self.lists[0], gradients, *self.lists[1:], *numbers, *constants])
        return f"{self.kernel}({given})"

    # --- at each call ------------------------------------------------------------------------------------------------

    def arguments(self):
        """The arrays and options of now; nothing is changed yet."""
        groups = self.optimizer.param_groups
        group = groups[self._number]
        if (len(groups), len(group["params"])) != self._groups[::2] or group["params"] is not self._groups[1]:
            raise ValueError(f"compiled step: the parameter groups of {self._name} have changed since it was compiled")
        options = self.optimizer._options(group)
        if options is not self._options:
            self._check(options)
        arrays = [p.array for p in self.parameters]
        if not (all(map(is_, arrays, self._arrays)) and self._same_states()):
            self._gather(arrays)
        counts = {state.get("step", 0) for state in self._dicts} if self.kernel != "sgd" else {self._new}
        if len(counts) > 1:
            raise ValueError(
                f"compiled step: all parameters must have had the same number of steps of {self._name}, "
                f"they have had {sorted(counts)}"
            )
        self._step = counts.pop() if self.kernel == "sgd" else counts.pop() + 1
        return (*self._lists, (*self._values, self._step))

    def _check(self, options):
        """Keep the options as numbers; ValueError for those that cannot change."""
        if _constants(options) != self.constants:
            raise ValueError(
                f"compiled step: options of {self._name} were {dict(self.constants)} when it was compiled, "
                f"are {dict(_constants(options))} now"
            )
        values = [options[key] for key in self._numbers[:-1]]
        self._values = [tuple(map(float, each)) if isinstance(each, tuple) else float(each) for each in values]
        self._options = options

    def _same_states(self):
        """Whether the states are in the arrays that were given before."""
        return all(map(is_, map(self.optimizer.state.get, self.parameters), self._dicts)) and all(
            all(map(is_, map(itemgetter(name), self._dicts), arrays))
            for name, arrays in zip(self.states, self._kept, strict=True)
        )

    def _gather(self, arrays):
        """The lists of flat arrays; new states are not the optimiser's yet."""
        for array, (shape, dtype) in zip(arrays, self._shapes, strict=True):
            if array.shape != shape or array.dtype != dtype:
                kind = ValueError if array.dtype == dtype else TypeError
                raise kind(
                    f"compiled step: a parameter was {shape} {dtype} when it was compiled, is {array.shape} "
                    f"{array.dtype} now"
                )
        states = [self.optimizer.state.get(p) for p in self.parameters]
        new = [not state for state in states]
        if self.states and self.kernel == "sgd" and any(new) and not all(new):
            raise ValueError(f"compiled step: {sum(new)} of {len(new)} parameters have had no step of {self._name} yet")
        self._new, self._dicts = any(new) or not self.states, []
        for state, x in zip(states, arrays, strict=True):
            fresh = {name: np.zeros(x.shape, x.dtype) for name in self.states if name not in (state or ())}
            self._dicts.append({**(state or {}), **fresh} if fresh or state is None else state)
        self._kept = [[state[name] for state in self._dicts] for name in self.states]
        for kind, given in zip(("parameter", *self.states), (arrays, *self._kept), strict=True):
            for array, x in zip(given, arrays, strict=True):
                self.optimizer._check_array(kind, array, x)
                if not array.flags.carray:
                    raise ValueError(f"compiled step: the {kind} of a parameter of shape {x.shape} must be contiguous")
        self._lists = [List([each.reshape(-1) for each in given]) for given in (arrays, *self._kept)]
        self._arrays = arrays

    def finish(self):
        """After the step: the states are the optimiser's, and count it."""
        counted = self.kernel != "sgd"
        for p, state in zip(self.parameters, self._dicts, strict=True):
            p._memory.version += 1
            if counted:
                state["step"] = self._step
        if self._step == 1 or self._new:
            self.optimizer.state.update(zip(self.parameters, self._dicts, strict=True))
            self._new = not self.states


def _constants(options):
    """The options that the source depends on."""
    keys = [key for key in ("nesterov", "maximize", "amsgrad", "decoupled_weight_decay") if key in options]
    found = [(key, bool(options[key])) for key in keys]
    return (*found, ("has momentum", options["momentum"] != 0)) if "momentum" in options else tuple(found)


def updates(optimizer, reached):
    """An `Update` for each group with parameters in `reached`, a set of ids; CompileError for other optimisers."""
    if type(optimizer) not in (SGD, Adam, AdamW):
        raise CompileError(f"steps of {type(optimizer).__name__} cannot be compiled, only those of SGD, Adam and AdamW")
    found = []
    for i, group in enumerate(optimizer.param_groups):
        parameters = [p for p in group["params"] if id(p) in reached]
        if parameters:
            found.append(Update(optimizer, i, parameters))
    return found

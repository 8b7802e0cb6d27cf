"""Training steps as compiled functions: forward, backward and update."""

from operator import attrgetter, is_

import numba
import numpy as np
from numba.typed import List

import kernels
from nn.clip import clip_grad_norm_
from nn.compilation.assembly import Assembly
from nn.compilation.compiled import _as_tensor, _listed, _public, _signature
from nn.compilation.loops import LOOPS, keep
from nn.compilation.trace import CompileError
from nn.distributed import DistributedDataParallel
from nn.grad_mode import enable_grad
from nn.module import Module
from nn.optim.optimizer import Optimizer
from nn.random import default_generator
from nn.storage import Tensor, wrap


def compile_step(model, loss, optimizer, input, target, *, clip_grad_norm=None, shapes="recompile"):
    """A training step as one function of kernel calls: the model, the loss, the backward pass and the update.

    Model and loss are called once on the examples; the operations that they call, their gradients and the update are
    written as lines of source, and Numba compiles the function when it is first called. What the model does must not
    depend on the values of tensors. Nothing of the model or the optimiser is changed by compiling.

    Parameters
    ----------
    model : Module
        In training mode.
    loss : callable
        ``loss(output, target)``, a scalar: a module such as `CrossEntropyLoss`, or a function of our operations.
    optimizer : SGD, Adam or AdamW
        Its options are read at every step, so that schedulers work, and its state is updated in place.
    input, target : Tensor or array, or tuple of them
        Examples, of the shapes and dtypes of later ones. Several are passed as several arguments.
    clip_grad_norm : float, optional
        The largest norm of all gradients as one vector, as of `nn.utils.clip_grad_norm_`.
    shapes : {"recompile", "raise"}
        What happens where inputs of other shapes come: the step is traced again, or a ValueError is raised.

    Returns
    -------
    CompiledStep
        ``step(input, target)`` trains one step and returns the loss. No ``grad`` of a parameter is read or set.

    Raises
    ------
    CompileError
        An operation or optimiser that cannot be compiled, the reading of a tensor's value, a change in place, hooks;
        says at which line.
    TypeError, ValueError
        Arguments of other types, a model in evaluation mode, a loss that is not scalar.

    Examples
    --------
    >>> import nn
    >>> net = nn.Linear(4, 2)
    >>> optimizer = nn.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    >>> x, y = nn.zeros(16, 4), nn.zeros(16, dtype=nn.int64)
    >>> step = nn.compile_step(net, nn.CrossEntropyLoss(), optimizer, x, y)
    >>> print(step.source[step.source.index("# backward") :])
    # backward
        d_loss = np.ones((), np.float32)  # ()
        d_linear_1 = cross_entropy_backward(d_loss, linear_1, y, lse=loss_lse)  # (16, 2)
        _, d_weight, d_bias = linear_backward(d_linear_1, x, weight, needs=(False, True, True))
    <BLANKLINE>
        # update
        gradients = [d_weight.reshape(-1), d_bias]
        sgd(
            weights, gradients, momentum_buffers, lr=lr, momentum=momentum, dampening=dampening,
            weight_decay=weight_decay, first=first
        )
        return loss
    >>> step(x, y).shape
    ()
    """
    name = "nn.compile_step"
    if not isinstance(model, Module):
        raise TypeError(f"{name}: model must be a Module, got {type(model).__name__}")
    if any(isinstance(module, DistributedDataParallel) for module in model.modules()):
        raise CompileError(f"{name}: DistributedDataParallel averages gradients on the tape, not in a compiled step")
    if not callable(loss):
        raise TypeError(f"{name}: loss must be callable, got {type(loss).__name__}")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: optimizer must be an Optimizer, got {type(optimizer).__name__}")
    if shapes not in ("recompile", "raise"):
        raise ValueError(f"{name}: shapes must be 'recompile' or 'raise', got {shapes!r}")
    if clip_grad_norm is not None and not clip_grad_norm >= 0:
        raise ValueError(f"{name}: clip_grad_norm must not be negative, got {clip_grad_norm}")
    inputs, targets = (each if isinstance(each, (tuple, list)) else (each,) for each in (input, target))
    step = CompiledStep(_Objective(model, loss, len(inputs)), optimizer, clip_grad_norm, shapes)
    step.add(tuple(map(_as_tensor, (*inputs, *targets))))
    return step


class _Objective(Module):
    """The loss of a model, as one module of inputs and targets."""

    def __init__(self, model, loss, count):
        super().__init__()
        self.model, self.loss, self.count = model, loss, count

    def forward(self, *given):
        with enable_grad():
            return self.loss(self.model(*given[: self.count]), *given[self.count :])


class CompiledStep:
    """A compiled training step. Where hooks are registered, as those of `nn.observe`, a call runs on the tape.

    Attributes
    ----------
    source : str
        What is compiled: a Python function of arrays.
    function : numba function
        The same, compiled.
    """

    def __init__(self, objective, optimizer, clip, shapes):
        self.model, self.optimizer = objective.model, optimizer
        self._objective, self._clip, self._shapes, self._steps = objective, clip, shapes, {}
        self._modules = list(objective.modules())
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._hooks = [optimizer._step_pre_hooks, optimizer._step_post_hooks]
        for module in self._modules:
            self._hooks += [module._forward_pre_hooks, module._forward_hooks, module._backward_hooks]

    def __repr__(self):
        return f"<compiled step of {type(self.model).__name__}, {len(self._steps)} shapes>"

    @property
    def source(self):
        return self._first.source

    @property
    def function(self):
        return self._first.function

    def __call__(self, *inputs):
        arrays = [each.array if isinstance(each, Tensor) else np.asarray(each) for each in inputs]
        if any(self._hooks) or any(map(_HOOKS_OF, self._parameters)):
            return self._on_tape(arrays)
        step = self._steps.get(self._key(arrays))
        return (step or self.add(tuple(map(wrap, arrays))))(arrays)

    def _key(self, arrays):
        """What the source depends on: shapes, dtypes, which modules train, and which parameters require gradients."""
        inputs = [(each.shape, each.dtype) for each in arrays]
        return *inputs, *map(_TRAINING, self._modules), *map(_REQUIRES, self._parameters)

    def add(self, inputs):
        """Compile for inputs of these shapes and dtypes, or raise."""
        signature = _signature(inputs)
        if not self.model.training:
            raise ValueError("nn.compile_step: the model must be in training mode; call model.train()")
        if self._steps:
            expected = self._signature
            if len(signature) != len(expected):
                raise TypeError(f"{self!r}: expected {len(expected)} inputs, got {len(signature)}")
            given = f"expected inputs {_listed(expected)}, got {_listed(signature)}"
            if [dtype for _, dtype in signature] != [dtype for _, dtype in expected]:
                raise TypeError(f"{self!r}: {given}")
            if self._shapes == "raise":
                if signature == expected:
                    given = "training mode or requires_grad have changed since it was compiled"
                raise ValueError(f"{self!r}: {given}")
        for name, module in self.model.named_modules():
            if module._forward_pre_hooks or module._forward_hooks or module._backward_hooks:
                raise CompileError(f"{name or 'the model'}, a {type(module).__name__}, has hooks")
        step = _Step(Assembly(self._objective, self.optimizer, self._clip, inputs))
        if not self._steps:
            self._first, self._signature = step, signature
        self._steps[self._key([each.array for each in inputs])] = step
        return step

    def _on_tape(self, arrays):
        """The same step as the tape takes it."""
        self.optimizer.zero_grad()
        with enable_grad():
            loss = self._objective(*map(wrap, arrays))
            loss.backward()
        if self._clip is not None:
            clip_grad_norm_(self._parameters, self._clip)
        self.optimizer.step()
        return loss.detach()


_HOOKS_OF, _TRAINING, _REQUIRES = attrgetter("_hooks"), attrgetter("training"), attrgetter("_requires_grad")


class _Step:
    """The function for inputs of one shape, and what it is called with."""

    def __init__(self, assembly):
        self.source, self._updates, self._draws = assembly.source, assembly.updates, assembly.draws
        scope = {"__name__": __name__, "np": np, **{name: getattr(kernels, name) for name in _public()}, **LOOPS}
        exec(self.source, scope)
        self.function = numba.njit(scope[self.source[4 : self.source.index("(")]])
        keep(self.function)
        self._buffers, self._constants = assembly.buffers, assembly.constants
        self._counts, self._changed = [each for each, _ in assembly.counts], assembly.changed
        self._kept, self._lists = [None] * len(self._buffers), []
        self._shapes = [(each.shape, each.dtype) for each in (*self._buffers, *self._constants)]

    def __call__(self, arrays):
        given = [each if each.flags.carray else np.array(each, order="C") for each in arrays]
        if self._draws:
            given.append(default_generator)
        if self._buffers or self._constants or self._counts:
            given += self._fixed()
        for update in self._updates:
            given += update.arguments()
        loss = self.function(*given)
        for update in self._updates:
            update.finish()
        for tensor in self._changed:
            tensor._memory.version += 1
        for tensor in self._counts:
            tensor._memory.version += 1
        return wrap(loss)

    def _fixed(self):
        """Buffers and the like."""
        arrays = [each.array for each in (*self._buffers, *self._constants, *self._counts)]
        if len(arrays) != len(self._kept) or not all(map(is_, arrays, self._kept)):
            for array, (shape, dtype) in zip(arrays, self._shapes, strict=False):
                if array.shape != shape or array.dtype != dtype:
                    kind = ValueError if array.dtype == dtype else TypeError
                    raise kind(
                        f"compiled step: a buffer was {shape} {dtype} when it was compiled, is {array.shape} "
                        f"{array.dtype} now"
                    )
            first, second = len(self._buffers), len(self._buffers) + len(self._constants)
            self._lists = [_flat(arrays[:first])] if first else []
            if self._constants:
                self._lists.append(tuple(map(np.ascontiguousarray, arrays[first:second])))
            if self._counts:
                self._lists.append(_flat(arrays[second:]))
            self._kept = arrays
        return self._lists


def _flat(arrays):
    """A list for Numba of flat arrays on the same memory."""
    for array in arrays:
        if not array.flags.carray:
            raise ValueError(f"compiled step: a buffer of shape {array.shape} must be contiguous and writable")
    return List([array.reshape(-1) for array in arrays])

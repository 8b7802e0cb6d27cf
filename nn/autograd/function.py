"""Operations that users define: a forward and a backward method."""

import numpy as np

from nn.grad_mode import enable_grad, no_grad
from nn.storage import Tensor, wrap
from nn.tape import record_several


class FunctionCtx:
    """What `Function.forward` passes to `Function.backward`: the methods below, and any attribute."""

    def __init__(self, needs_input_grad):
        self.needs_input_grad = needs_input_grad
        self._saved = ()
        self._materialize = True
        self._not_differentiable = ()

    def save_for_backward(self, *tensors):
        """Store inputs or outputs, or None, for backward, which finds them in `saved_tensors`."""
        for t in tensors:
            if not (t is None or isinstance(t, Tensor)):
                raise TypeError(f"save_for_backward: expected Tensors or None, got {type(t).__name__}")
        self._saved = tensors

    @property
    def saved_tensors(self):
        """What was saved; in backward with its history, so that its gradient can be differentiated."""
        return self._saved

    def mark_non_differentiable(self, *tensors):
        """Say that these outputs have no gradient."""
        self._not_differentiable = tensors

    def mark_dirty(self, *tensors):
        """Say that forward changed these inputs in place, as `Tensor.mark_changed` does."""
        for t in tensors:
            t._memory.version += 1

    def set_materialize_grads(self, value):
        """Whether backward gets zeros, the default, or None for outputs that have no gradient."""
        self._materialize = value


class Function:
    """Base class of operations with a backward of their own: subclasses define two static methods.

    ``forward(ctx, *args)`` takes what `apply` is given and returns a Tensor or a tuple of them; nothing is recorded
    within it. ``backward(ctx, *dys)`` takes the gradient of each output and returns that of each argument, None for
    those that have none. Written with operations that can be differentiated, it can be differentiated in turn.
    A ``setup_context(ctx, inputs, output)`` may do what concerns `ctx`; `forward` then takes the arguments only.

    Examples
    --------
    >>> import nn
    >>> class Square(nn.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, dy):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * dy
    >>> x = nn.tensor(3.0, requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad
    tensor(6.)
    """

    @classmethod
    def apply(cls, *args):
        """Call forward and put the operation on the tape."""
        inputs = tuple(a if isinstance(a, Tensor) else None for a in args)
        ctx = FunctionCtx(tuple(a is not None and a.requires_grad for a in inputs))
        with no_grad():
            if hasattr(cls, "setup_context"):
                results = cls.forward(*args)
                cls.setup_context(ctx, args, results)
            else:
                results = cls.forward(ctx, *args)
        several = isinstance(results, (tuple, list))
        outputs = tuple(results) if several else (results,)
        tensors = [y for y in outputs if isinstance(y, Tensor)]
        if not tensors:
            raise TypeError(f"{cls.__name__}: forward must return Tensors, got {type(outputs[0]).__name__}")
        recorded = iter(cls._record(ctx, inputs, tensors))
        wrapped = tuple(next(recorded) if isinstance(y, Tensor) else y for y in outputs)
        return wrapped if several else wrapped[0]

    @classmethod
    def _record(cls, ctx, inputs, tensors):
        needed, arrays = ctx.needs_input_grad, [y.array for y in tensors]
        number = {id(y): i for i, y in enumerate(tensors)}
        others = [t for t in ctx._saved if id(t) not in number]
        results = [number[id(t)] for t in ctx._saved if id(t) in number]
        # the tape passes `others` before `results`: where each saved tensor is found among both
        counts = iter(range(len(others))), iter(range(len(others), len(ctx._saved)))
        order = [next(counts[id(t) in number]) for t in ctx._saved]
        plain = [None if t is None else wrap(t.array) for t in ctx._saved]  # without history: it would be kept alive
        skipped = {id(t) for t in ctx._not_differentiable}

        def call(dys, saved, switch):
            if ctx._materialize:
                dys = [wrap(np.zeros_like(y)) if dy is None else dy for dy, y in zip(dys, arrays, strict=True)]
            ctx._saved = saved
            with switch():
                gradients = cls.backward(ctx, *dys)
            ctx._saved = plain
            return _one_each(cls.__name__, gradients, needed)

        def backward(*dys):
            gradients = call([None if dy is None else wrap(dy) for dy in dys], plain, no_grad)
            return tuple(None if g is None else g.array for g in gradients)

        def derivative(dys, *saved):
            return call(dys, [saved[i] for i in order], enable_grad)

        ctx._saved = plain
        return record_several(
            cls.__name__,
            arrays,
            inputs,
            backward,
            others,
            derivative=None if getattr(cls.backward, "_once", False) else derivative,
            saves_results=results,
            differentiable=[id(y) not in skipped and y.array.dtype.kind == "f" for y in tensors],
        )


def _one_each(name, gradients, needed):
    """The gradients that backward returned, one for each argument, None where none is needed."""
    gradients = gradients if isinstance(gradients, (tuple, list)) else (gradients,)
    if len(gradients) < len(needed) or any(g is not None for g in gradients[len(needed) :]):
        raise RuntimeError(f"{name}: backward returned {len(gradients)} gradients for {len(needed)} arguments")
    for g in gradients:
        if not (g is None or isinstance(g, Tensor)):
            raise TypeError(f"{name}: backward must return Tensors or None, got {type(g).__name__}")
    return tuple(g if wanted else None for g, wanted in zip(gradients, needed, strict=False))


def once_differentiable(backward):
    """Decorate a `Function.backward` whose gradients cannot be differentiated: asking for that raises."""
    backward._once = True
    return backward

"""Hooks of modules: functions called before and after a module, and when its gradients are complete."""

from collections import OrderedDict

import numpy as np

from nn.grad_mode import is_grad_enabled
from nn.storage import edge
from nn.tape import Handle, Node
from nn.tensor import Tensor


class Hooks:
    """The part of `Module` that registers hooks and calls them."""

    def __init__(self):
        self._forward_pre_hooks = OrderedDict()
        self._forward_hooks = OrderedDict()
        self._backward_hooks = OrderedDict()
        self._hooks_with_kwargs = set()  # the keys of forward and forward-pre hooks that take keyword arguments
        self._hooks_always_called = set()  # the keys of forward hooks that are called after an exception, too

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call ``hook(module, args)`` before each forward; what it returns, if not None, replaces the arguments.

        Parameters
        ----------
        hook : callable
        prepend : bool, default False
            Whether it is called before the hooks that are registered already.
        with_kwargs : bool, default False
            Whether the hook is called as ``hook(module, args, kwargs)`` and replaces both, as a pair.

        Returns
        -------
        Handle
            Its ``remove()`` unregisters the hook.
        """
        return self._registered(self._forward_pre_hooks, hook, prepend, with_kwargs)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call ``hook(module, args, output)`` after each forward; what it returns, if not None, replaces the output.

        Parameters
        ----------
        hook : callable
        prepend : bool, default False
            Whether it is called before the hooks that are registered already.
        with_kwargs : bool, default False
            Whether the hook is called as ``hook(module, args, kwargs, output)``.
        always_call : bool, default False
            Whether it is called, with an output of None, also where forward raises.

        Returns
        -------
        Handle
            Its ``remove()`` unregisters the hook.
        """
        return self._registered(self._forward_hooks, hook, prepend, with_kwargs, always_call)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of a call's arguments are complete.

        Both are tuples, with None for what is not a tensor or gets no gradient. What the hook returns, if not None,
        replaces `grad_input`.

        Returns
        -------
        Handle
            Its ``remove()`` unregisters the hook.
        """
        return self._registered(self._backward_hooks, hook, prepend)

    def _registered(self, hooks, hook, prepend, with_kwargs=False, always_call=False):
        handle = Handle(hooks, hook)
        key = next(reversed(hooks))
        if prepend:
            hooks.move_to_end(key, last=False)
        if with_kwargs:
            self._hooks_with_kwargs.add(key)
        if always_call:
            self._hooks_always_called.add(key)
        return handle

    def _call_with_hooks(self, *args, **kwargs):
        called = set()
        try:
            args, kwargs = self._before(args, kwargs)
            gate = BackwardGate(self) if self._backward_hooks and is_grad_enabled() else None
            output = self.forward(*(gate.enter(args) if gate else args), **kwargs)
            for key, hook in list(self._forward_hooks.items()):
                called.add(key)
                replaced = self._after(key, hook, args, kwargs, output)
                if replaced is not None:
                    output = replaced
        except Exception:
            for key, hook in list(self._forward_hooks.items()):
                if key in self._hooks_always_called and key not in called:
                    self._after(key, hook, args, kwargs, None)
            raise
        return gate.leave(output) if gate else output

    def _before(self, args, kwargs):
        """The arguments that the forward-pre hooks leave."""
        for key, hook in list(self._forward_pre_hooks.items()):
            if key in self._hooks_with_kwargs:
                replaced = hook(self, args, kwargs)
                if replaced is not None:
                    if not (isinstance(replaced, tuple) and len(replaced) == 2):
                        raise RuntimeError(f"forward pre-hook: must return None or (args, kwargs), got {replaced}")
                    args, kwargs = replaced
            else:
                replaced = hook(self, args)
                if replaced is not None:
                    args = replaced if isinstance(replaced, tuple) else (replaced,)
        return args, kwargs

    def _after(self, key, hook, args, kwargs, output):
        if key in self._hooks_with_kwargs:
            return hook(self, args, kwargs, output)
        return hook(self, args, output)


class BackwardGate:
    """One call of a module that has backward hooks: nodes around the call that capture the gradients.

    Each output gets a node that stores its gradient and passes it on, each argument a node that stores its gradient and
    passes nothing on. One more node, the gate, is older than all nodes of the call and has the edges of the original
    arguments. Every output sends it a token, a gradient of 0, so that the gate runs, and after all nodes of the call:
    it calls the hooks and passes the arguments' gradients on.
    """

    def __init__(self, module):
        self.module = module

    def enter(self, args):
        """Return the arguments, with a capturing node for each that needs a gradient."""
        self.grad_input = [None] * len(args)
        edges = [edge(a) if isinstance(a, Tensor) else None for a in args]
        self.node = self._node(edges, self._open)
        return tuple(
            a if end is None else self._argument(i, a) for i, (a, end) in enumerate(zip(args, edges, strict=True))
        )

    def leave(self, output):
        """Return the output, with a capturing node for each tensor that needs a gradient, also within tuples."""
        self.grad_output = []
        return self._leave(output)

    def _leave(self, output):
        if isinstance(output, tuple):
            parts = [self._leave(part) for part in output]
            return type(output)(*parts) if hasattr(output, "_fields") else tuple(parts)
        self.grad_output.append(None)
        needs = isinstance(output, Tensor) and output.requires_grad
        return self._output(len(self.grad_output) - 1, output) if needs else output

    def _node(self, edges, backward):
        return Node(type(self.module).__name__, edges, backward)

    def _with_node(self, node, tensor):
        result = tensor.detach()
        result._requires_grad, result._node = True, node
        return result

    def _argument(self, i, tensor):
        def backward(dy):
            self.grad_input[i] = dy

        return self._with_node(self._node([None], backward), tensor)

    def _output(self, i, tensor):
        def backward(dy):
            self.grad_output[i] = dy
            return dy, np.zeros((), dy.dtype)  # the token

        return self._with_node(self._node([edge(tensor), self.node], backward), tensor)

    def _open(self, token):
        grad_input, grad_output = (
            tuple(None if g is None else Tensor(g) for g in grads) for grads in (self.grad_input, self.grad_output)
        )
        for hook in list(self.module._backward_hooks.values()):
            replaced = hook(self.module, grad_input, grad_output)
            if replaced is not None:
                grad_input = replaced if isinstance(replaced, tuple) else (replaced,)
        self.grad_input, self.grad_output = [None] * len(self.grad_input), [None] * len(self.grad_output)
        return tuple(None if g is None else g.array for g in grad_input)

"""Functions that are called when a gradient is complete."""

import weakref

from nn.storage import wrap
from nn.tape import Handle, plus


def register_hook(input, hook):
    """Call ``hook(gradient)`` when the gradient of this tensor is complete; a Tensor that it returns replaces it.

    Returns
    -------
    Handle
        Its ``remove()`` unregisters the hook.

    Raises
    ------
    RuntimeError
        The tensor requires no gradient.
    """
    if not input._requires_grad:
        raise RuntimeError("register_hook: the tensor does not require a gradient")
    if input._node is None:
        input._hooks = hooks = input._hooks or {}
    else:
        input._node.hooks = hooks = input._node.hooks or {}
    return Handle(hooks, hook)


def retain_grad(input):
    """Let `backward` store the gradient of this intermediate result in its ``grad``, as if it were a leaf."""
    if input._node is None:
        return
    reference = weakref.ref(input)  # the node must not keep its result alive

    def store(dy):
        tensor = reference()
        if tensor is not None:
            tensor.grad = wrap(dy.array.copy()) if tensor.grad is None else plus(tensor.grad, dy)

    register_hook(input, store)

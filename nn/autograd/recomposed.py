"""Gradients of gradients of an operation whose forward can be composed of operations that have them.

The composition is recorded on aliases of the inputs, and differentiated with respect to these: the traversal ends
there, at the operation's own inputs, while the gradients keep the history of both.
"""

from nn.autograd.gradients import grad
from nn.storage import Tensor, edge, wrap
from nn.tape import Node


def recomposed(compose, *others):
    """The `derivative` for `record` of an operation that computes what ``compose(*saved, *others)`` does.

    Parameters
    ----------
    compose : callable
        Takes tensors, and None for what is not one, and returns a tensor, or a tuple of them for `record_several`.
    *others : ndarray or None
        The inputs that follow the saved ones and are not saved, since no gradient depends on their values, as none does
        on a bias; None for those that need no gradient.

    Returns
    -------
    callable
        From dy and the saved tensors to a tuple with a gradient for each of `saved` and `others`.
    """

    def derivative(dy, *saved):
        return gradients_of(compose, dy, *saved, *(None if other is None else _leaf(other) for other in others))

    return derivative


def gradients_of(compose, dy, *inputs):
    """The gradients of ``compose(*inputs)``, recorded: None for inputs that are None or need none."""
    aliases = [alias(t) if t is not None and t._requires_grad else t for t in inputs]
    targets = [i for i, t in enumerate(inputs) if t is not None and t._requires_grad]
    results = compose(*aliases)
    results, dys = (results, dy) if isinstance(results, tuple) else ((results,), (dy,))
    used = [(y, g) for y, g in zip(results, dys, strict=True) if g is not None and y._requires_grad]
    gradients = [None] * len(inputs)
    if used and targets:
        outputs, dys = zip(*used, strict=True)
        found = grad(outputs, [aliases[i] for i in targets], dys, create_graph=True, allow_unused=True)
        for i, g in zip(targets, found, strict=True):
            gradients[i] = g
    return tuple(gradients)


def alias(tensor):
    """The same values, with a node of their own that passes the gradient on."""
    return made_by("alias", tensor.array, [edge(tensor)], _passed, tensor._memory)


def summed(array, ends):
    """A tensor with the sum of two, whose gradient is sent to both ends."""
    return made_by("add", array, ends, _to_both)


def made_by(name, array, ends, backward, memory=None):
    """A tensor with a node of this name, whose backward function is its derivative, too."""
    result = wrap(array)
    result._requires_grad, result._node = True, Node(name, ends, backward, (), backward)
    if memory is not None:
        result._memory = memory  # a change in place is one of both
    return result


def _passed(dy):
    return dy


def _to_both(dy):
    return dy, dy


def _leaf(array):
    return Tensor(array, requires_grad=True)

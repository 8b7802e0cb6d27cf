"""Jacobians, Hessians and their products with vectors, with the names and arguments of ``torch.autograd.functional``.

Each takes a function of tensors and the tensors at which to differentiate it, and works on copies of these: no ``grad``
changes. With `create_graph` the results can be differentiated with respect to the inputs. With `strict`, an output that
does not depend on an input is an error; otherwise its derivative is 0.
"""

import numpy as np

from nn.autograd.gradients import grad
from nn.autograd.recomposed import alias
from nn.grad_mode import enable_grad
from nn.operations.arithmetic import reshaped
from nn.operations.indexing import getitem
from nn.operations.joining import stack
from nn.storage import Tensor, wrap


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """The outputs of a function, and the product of a vector and its Jacobian.

    Parameters
    ----------
    func : callable
        From tensors to a tensor or a tuple of them.
    inputs : Tensor or tuple of Tensor
    v : Tensor or tuple of Tensor, optional
        Of the shapes of the outputs; by default 1, for a single output of one element.
    create_graph : bool, default False
        Whether outputs and product can be differentiated with respect to the inputs.
    strict : bool, default False
        Whether an output that does not depend on an input is an error.

    Returns
    -------
    outputs : Tensor or tuple of Tensor
    product : Tensor or tuple of Tensor, of the shapes of the inputs

    Raises
    ------
    RuntimeError
        `v` is missing; with `strict`, an output does not depend on an input.
    ValueError, TypeError
        `v` differs from the outputs in number, shape or dtype; an argument or a result is not a Tensor.

    Examples
    --------
    >>> import nn
    >>> nn.autograd.functional.vjp(lambda x: x * x, nn.tensor([1.0, 3.0]), nn.tensor([1.0, 1.0]))[1]
    tensor([2., 6.])
    """
    with enable_grad():
        xs, several = _inputs("vjp", inputs, create_graph)
        ys, several_outputs = _outputs("vjp", func, xs, strict)
        vs = _vectors("vjp", v, ys, "output")
        products = _gradients("vjp", ys, xs, vs, create_graph, strict)
    return _given(ys, several_outputs, create_graph), _given(products, several, create_graph)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """The outputs of a function, and the product of its Jacobian and a vector, by differentiating `vjp` with respect to
    its vector.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As for `vjp`.
    v : Tensor or tuple of Tensor, optional
        Of the shapes of the inputs; by default 1, for a single input of one element.

    Returns
    -------
    outputs, product : Tensor or tuple of Tensor, both of the shapes of the outputs
    """
    with enable_grad():
        xs, _ = _inputs("jvp", inputs, create_graph)
        vs = _vectors("jvp", v, xs, "input")
        ys, several = _outputs("jvp", func, xs, strict)
        dys = [Tensor(np.zeros_like(y.array), requires_grad=True) for y in ys]
        gradients = _gradients("jvp", ys, xs, dys, True, strict)
        products = _gradients("jvp", gradients, dys, vs, create_graph, False)
    return _given(ys, several, create_graph), _given(products, several, create_graph)


def jacobian(func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"):
    """The derivative of each output element with respect to each input element, a row at a time.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As for `vjp`.
    vectorize, strategy
        Accepted as PyTorch's: the result is the same.

    Returns
    -------
    Tensor (*output.shape, *input.shape)
        For a tuple of outputs or of inputs a tuple, for both a tuple of tuples, outputs first.
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f"jacobian: strategy must be 'reverse-mode' or 'forward-mode', got {strategy!r}")
    with enable_grad():
        xs, several = _inputs("jacobian", inputs, create_graph)
        ys, several_outputs = _outputs("jacobian", func, xs, strict)
        blocks = [_jacobian_of(y, xs, create_graph, strict) for y in ys]
    rows = [_given(block, several, create_graph) for block in blocks]
    return tuple(rows) if several_outputs else rows[0]


def _jacobian_of(y, xs, create_graph, strict):
    """The derivatives of one output, a tensor for each input."""
    elements, rows = reshaped(y, (y.array.size,)), []
    for i in range(y.array.size):
        element, one = getitem(elements, i), wrap(np.ones((), y.dtype))
        rows.append(_gradients("jacobian", [element], xs, [one], create_graph, strict))
    blocks = []
    for j, x in enumerate(xs):
        shape = (*y.array.shape, *x.array.shape)
        blocks.append(reshaped(stack([row[j] for row in rows]), shape) if rows else wrap(np.zeros(shape, x.dtype)))
    return blocks


def hessian(func, inputs, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode"):
    """The second derivatives of a function with one output of one element.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As for `vjp`.
    vectorize, outer_jacobian_strategy
        Accepted as PyTorch's: the result is the same.

    Returns
    -------
    Tensor (*input.shape, *input.shape)
        For a tuple of inputs a tuple of tuples: element i, j for inputs i and j.

    Examples
    --------
    >>> import nn
    >>> nn.autograd.functional.hessian(lambda x: (x**3).sum(), nn.tensor([1.0, 2.0])).tolist()
    [[6.0, 0.0], [0.0, 12.0]]
    """
    several = isinstance(inputs, (tuple, list))

    def gradients(*xs):
        return tuple(_gradients_of_scalar("hessian", func, xs, strict))

    found = jacobian(gradients, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return found if several else found[0]


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """The output of a function with one output of one element, and the product of a vector and its Hessian.

    Parameters
    ----------
    func, inputs, v, create_graph, strict
        As for `jvp`.

    Returns
    -------
    output : Tensor
    product : Tensor or tuple of Tensor, of the shapes of the inputs
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """As `vhp`: the Hessian is symmetric, and its products with a vector from both sides are the same."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(name, func, inputs, v, create_graph, strict):
    with enable_grad():
        xs, several = _inputs(name, inputs, create_graph)
        vs = _vectors(name, v, xs, "input")
        outputs = []
        gradients = _gradients_of_scalar(name, func, xs, strict, outputs)
        products = _gradients(name, gradients, xs, vs, create_graph, strict)
    return _given(outputs, False, create_graph), _given(products, several, create_graph)


def _gradients_of_scalar(name, func, xs, strict, outputs=None):
    """The gradients of the only output, recorded; it is appended to `outputs`."""
    ys, several = _outputs(name, func, xs, strict)
    if several:
        raise RuntimeError(f"{name}: the function must return one tensor, it returned a tuple of {len(ys)}")
    if ys[0].array.size != 1:
        raise RuntimeError(f"{name}: the function must return a tensor of one element, it returned {ys[0].shape}")
    if outputs is not None:
        outputs += ys
    return _gradients(name, ys, xs, [wrap(np.ones_like(ys[0].array))], True, strict)


def _inputs(name, inputs, create_graph):
    """Tensors to differentiate with respect to, with `create_graph` connected to the inputs; whether it is a tuple."""
    several = isinstance(inputs, (tuple, list))
    xs = tuple(inputs) if several else (inputs,)
    for x in xs:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: inputs must be Tensors, got {type(x).__name__}")
    return [alias(x) if create_graph and x._requires_grad else Tensor(x.array, requires_grad=True) for x in xs], several


def _outputs(name, func, xs, strict):
    """The results of the function as a list, and whether it returned several."""
    results = func(*xs)
    several = isinstance(results, (tuple, list))
    ys = list(results) if several else [results]
    for i, y in enumerate(ys):
        if not isinstance(y, Tensor):
            raise TypeError(f"{name}: the function must return Tensors, got {type(y).__name__}")
        if strict and not y._requires_grad:
            raise RuntimeError(f"{name}: output {i} does not depend on the inputs")
    return ys, several


def _vectors(name, v, tensors, kind):
    """One vector for each tensor."""
    if v is None:
        if len(tensors) != 1 or tensors[0].array.size != 1:
            raise RuntimeError(f"{name}: v may be left out for a single {kind} of one element only")
        return [wrap(np.ones_like(tensors[0].array))]
    vs = list(v) if isinstance(v, (tuple, list)) else [v]
    shapes = [tuple(t.shape for t in each) for each in (tensors, vs)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"{name}: v must have the shapes of the {kind}s, {shapes[0]}, got {shapes[1]}")
    return vs


def _gradients(name, ys, xs, dys, create_graph, strict):
    """The gradients of several outputs; zeros, or with `strict` an error, for an input that none depends on."""
    used = [(y, dy) for y, dy in zip(ys, dys, strict=True) if y._requires_grad]
    found = [None] * len(xs)
    if used:
        outputs, vectors = zip(*used, strict=True)
        found = grad(outputs, xs, vectors, retain_graph=True, create_graph=create_graph, allow_unused=True)
    for i, g in enumerate(found):
        if g is None and strict:
            raise RuntimeError(f"{name}: no output depends on input {i}")
    return [wrap(np.zeros_like(x.array)) if g is None else g for x, g in zip(xs, found, strict=True)]


def _given(tensors, several, create_graph):
    """The results in the form that the caller expects, without history unless it may be needed."""
    tensors = tuple(tensors if create_graph else (wrap(t.array) for t in tensors))
    return tensors if several else tensors[0]

"""Gradients checked against finite differences, and per-example gradients."""

import numpy as np

from nn.autograd.gradients import grad
from nn.grad_mode import enable_grad, no_grad
from nn.observation.parameters import checked, flatten, gradient, restored
from nn.tensor import Tensor


def gradcheck(function, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True):
    """Compare the gradients of a function with central differences, element by element.

    Each derivative of an output element with respect to an input element must fulfil
    ``|numerical - analytical| <= atol + rtol * |analytical|``, as for ``torch.autograd.gradcheck``.

    Parameters
    ----------
    function : callable
        (*inputs) -> Tensor or tuple of Tensors; deterministic.
    inputs : Tensor or tuple
        Those that require a gradient are checked: leaves of float64. Their values and ``grad`` are unchanged.
    eps : float, default 1e-6
        The step of the differences.
    atol, rtol : float, default 1e-5 and 1e-3
    raise_exception : bool, default True
        Whether a wrong gradient raises; otherwise the result is False.

    Returns
    -------
    bool
        Whether all gradients are right.

    Raises
    ------
    RuntimeError
        A gradient is wrong (the error names the worst element, and both values), or the function returns different
        values for the same inputs.
    TypeError
        An input that requires a gradient is not float64.
    ValueError
        No input requires a gradient, one is not a leaf, or no output is a floating-point tensor.

    Examples
    --------
    >>> import numpy as np, nn
    >>> x = nn.tensor(np.array([0.5, -1.0]), requires_grad=True)
    >>> nn.gradcheck(lambda x: x.softmax(0), (x,))
    True
    """
    inputs = _as_tuple("gradcheck", inputs)
    return _check("gradcheck", function, inputs, eps, atol, rtol, raise_exception)


def gradgradcheck(function, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True):
    """Compare the gradients of a function's gradients with central differences, element by element.

    The first gradients are those by backward, which `gradcheck` compares; as for ``torch.autograd.gradgradcheck``.

    Parameters
    ----------
    function, inputs
        As for `gradcheck`.
    grad_outputs : Tensor or tuple, optional
        The gradient of each floating-point output; by default normal numbers from a fixed seed. The gradients with
        respect to those that require one, as these do, are checked, too.
    eps, atol, rtol, raise_exception
        As for `gradcheck`.

    Returns
    -------
    bool
        Whether all gradients are right.

    Raises
    ------
    RuntimeError, TypeError, ValueError
        As for `gradcheck`; or an operation can be differentiated once only.

    Examples
    --------
    >>> import numpy as np, nn
    >>> x = nn.tensor(np.array([0.5, -1.0]), requires_grad=True)
    >>> nn.gradgradcheck(lambda x: x.softmax(0), (x,))
    True
    """
    inputs = _as_tuple("gradgradcheck", inputs)
    _check_inputs("gradgradcheck", _differentiated(inputs))
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        outputs = _outputs("gradgradcheck", function, inputs).values()
        grad_outputs = [Tensor(rng.standard_normal(y.shape).astype(y.dtype), requires_grad=True) for y in outputs]
    dys = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)

    def gradients(*arguments):
        xs, dys = arguments[: len(inputs)], arguments[len(inputs) :]
        with enable_grad():
            pairs = zip(_outputs("gradgradcheck", function, xs).values(), dys, strict=True)
            outputs, dys = zip(*((y, dy) for y, dy in pairs if y.requires_grad), strict=True)
            leaves = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
            return grad(outputs, leaves, dys, create_graph=True, materialize_grads=True)

    return _check("gradgradcheck", gradients, (*inputs, *dys), eps, atol, rtol, raise_exception)


def _check(name, function, inputs, eps, atol, rtol, raise_exception):
    checked_inputs = _differentiated(inputs)
    _check_inputs(name, checked_inputs)
    try:
        with restored(list(checked_inputs.values())):
            analytical = _analytical(name, function, inputs, checked_inputs)
            numerical = {i: _numerical(name, function, inputs, x, eps) for i, x in checked_inputs.items()}
        _compare(analytical, numerical, atol, rtol)
    except _Mismatch as error:
        if raise_exception:
            raise RuntimeError(f"{name}: {error}") from None
        return False
    return True


class _Mismatch(Exception):
    """An error that `gradcheck` has found."""


def _differentiated(inputs):
    """Index -> tensor of the inputs that require a gradient."""
    return {i: x for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad}


def _as_tuple(name, inputs):
    if not isinstance(inputs, (Tensor, tuple, list)):
        raise TypeError(f"{name}: inputs must be a Tensor or a tuple, got {type(inputs).__name__}")
    return (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)


def _check_inputs(name, inputs):
    if not inputs:
        raise ValueError(f"{name}: no input requires a gradient")
    for i, x in inputs.items():
        if not x.is_leaf:
            raise ValueError(f"{name}: input {i} is the result of {x.grad_fn}, not a leaf; use detach()")
        if x.dtype != np.float64:
            raise TypeError(f"{name}: inputs must be float64 where they require a gradient, input {i} is {x.dtype}")


def _outputs(name, function, inputs):
    """Index -> tensor of the floating-point outputs."""
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    floats = {i: y for i, y in enumerate(outputs) if isinstance(y, Tensor) and y.dtype.kind == "f"}
    if not floats:
        raise ValueError(f"{name}: the function returns no floating-point tensor")
    return floats


def _analytical(name, function, inputs, checked_inputs):
    """(input, output) -> the Jacobian by backward, of shape (input elements, output elements)."""
    with enable_grad():
        outputs = _outputs(name, function, inputs)
    with no_grad():
        again = _outputs(name, function, inputs)
    jacobians = {}
    for o, y in outputs.items():
        if not np.array_equal(y.array, again[o].array, equal_nan=True):
            raise _Mismatch(f"output {o} differs between two calls with the same inputs")
        for i, x in checked_inputs.items():
            jacobians[i, o] = np.zeros((x.array.size, y.array.size))
        for column in range(y.array.size if y.requires_grad else 0):
            dy = np.zeros(y.array.size, y.dtype)
            dy[column] = 1
            for x in checked_inputs.values():
                x.grad = None
            y.backward(dy.reshape(y.shape), retain_graph=True)
            for i, x in checked_inputs.items():
                if x.grad is not None:
                    jacobians[i, o][:, column] = x.grad.array.reshape(-1)
    return jacobians


def _numerical(name, function, inputs, x, eps):
    """Output -> its Jacobian with respect to `x` by central differences."""
    rows = []
    for index in np.ndindex(x.shape):
        original, outputs = x.array[index].copy(), []
        for shifted in (original + eps, original - eps):
            x.array[index] = shifted
            x.mark_changed()
            with no_grad():
                found = _outputs(name, function, inputs)
            outputs.append({o: y.array.reshape(-1).astype(np.float64) for o, y in found.items()})
        x.array[index] = original
        above, below = outputs
        rows.append({o: (above[o] - below[o]) / (2 * eps) for o in above})
    return {o: np.stack([row[o] for row in rows]) for o in rows[0]} if rows else {}


def _compare(analytical, numerical, atol, rtol):
    """Raise `_Mismatch` that names the worst element, if any is outside the tolerance."""
    worst = None
    for (i, o), found in analytical.items():
        expected = numerical[i].get(o, found)
        with np.errstate(invalid="ignore"):
            excess = np.abs(expected - found) - (atol + rtol * np.abs(found))
        excess[np.isnan(excess)] = np.inf  # NaN is never right
        if excess.size and excess.max() > 0 and (worst is None or excess.max() > worst[0]):
            at = np.unravel_index(excess.argmax(), excess.shape)
            worst = excess.max(), i, o, at, expected[at], found[at], np.count_nonzero(excess > 0), excess.size
    if worst is not None:
        _, i, o, (row, column), expected, found, wrong, size = worst
        raise _Mismatch(
            f"the gradient of output {o} with respect to input {i} is wrong in {wrong} of {size} elements; worst: "
            f"element {column} of the output by element {row} of the input, both counted in flat order: "
            f"numerical {expected:.9g}, analytical {found:.9g}"
        )


def per_example_gradients(model, loss, inputs, targets):
    """The gradient of the loss of each single example.

    Parameters
    ----------
    model : Module
        Called with one example at a time, in its current mode: not meaningful for batch norm in training mode.
    loss : callable
        (output, target) -> 0-d Tensor.
    inputs, targets : Tensor or ndarray (N, ...)

    Returns
    -------
    ndarray (N, P)
        P is the number of elements of all parameters that require gradients, in the order of ``model.parameters()``.
        The parameters' ``grad`` is unchanged.

    Raises
    ------
    ValueError
        `inputs` and `targets` have different lengths.

    Examples
    --------
    >>> import nn
    >>> from nn import observation
    >>> model = nn.Linear(3, 1)
    >>> observation.per_example_gradients(model, nn.MSELoss(), nn.randn(5, 3), nn.randn(5, 1)).shape
    (5, 4)
    """
    inputs, targets = ((x.array if isinstance(x, Tensor) else np.asarray(x)) for x in (inputs, targets))
    if len(inputs) != len(targets):
        raise ValueError(f"per_example_gradients: lengths differ: {len(inputs)} inputs, {len(targets)} targets")
    parameters = checked("per_example_gradients", (p for p in model.parameters() if p.requires_grad))
    gradients = np.empty((len(inputs), sum(p.numel() for p in parameters)), parameters[0].dtype)
    with restored(parameters):
        for row, x, target in zip(gradients, inputs, targets, strict=True):
            x, target = Tensor(x[None]), Tensor(np.asarray(target)[None])
            row[:] = flatten(gradient(lambda x=x, target=target: loss(model(x), target), parameters))
    return gradients

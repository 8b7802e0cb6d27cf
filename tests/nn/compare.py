"""The same expression on our tensors and on PyTorch's: values and all gradients must agree in float64."""

import numpy as np
import torch

import nn


def agree(ours, theirs, rtol=1e-10, atol=1e-12):
    """Assert that a tensor or None equals PyTorch's in shape, dtype and value."""
    if theirs is None:
        assert ours is None
        return
    theirs = theirs.detach().numpy(force=True)
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours.detach().numpy(), theirs, rtol=rtol, atol=atol)


def same_as_torch(function, *arrays, reference=None, rtol=1e-10):
    """Apply `function` to tensors of the arrays, `reference` (by default the same) to PyTorch's; compare everything.

    Floating-point arrays require a gradient. The gradient of the result is an arbitrary fixed one.
    """
    ours = [nn.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y, expected = function(*ours), (reference or function)(*theirs)
    agree(y, expected, rtol)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(nn.tensor(dy))
    expected.backward(torch.tensor(dy))
    for mine, other in zip(ours, theirs, strict=True):
        agree(mine.grad, other.grad, rtol)


def same_twice(function, *arrays, reference=None, rtol=1e-9, atol=1e-10):
    """As `same_as_torch`, and compare the gradients of the gradients as well.

    The first gradients are computed with ``create_graph=True``, from an arbitrary dy; the second are those of the first
    times arbitrary vectors, with respect to the inputs and dy.
    """
    ours = [nn.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y, expected = function(*ours), (reference or function)(*theirs)
    agree(y, expected, rtol, atol)
    rng = np.random.default_rng(1)
    dy = rng.standard_normal(y.shape)
    mine, dy, vectors = _twice(nn, nn.tensor, y, ours, dy, rng)
    other = _twice(torch, torch.tensor, expected, theirs, dy, vectors)[0]
    for a, b in zip(mine, other, strict=True):
        agree(a, b, rtol, atol)


def _twice(library, tensor, y, inputs, dy, vectors):
    """First and second gradients, zeros for those that are none; dy, and the vectors, drawn if a generator is given."""
    leaves = [x for x in inputs if x.requires_grad]
    seed = tensor(dy, requires_grad=True)
    first = library.autograd.grad(y, leaves, seed, create_graph=True, materialize_grads=True)
    if isinstance(vectors, np.random.Generator):
        vectors = [vectors.standard_normal(g.shape) for g in first]
    loss = sum((g * tensor(v)).sum() for g, v in zip(first, vectors, strict=True))
    second = library.autograd.grad(loss, [*leaves, seed], materialize_grads=True)
    return [*first, *second], dy, vectors


def same_layers(ours, theirs, arguments, their_arguments, rtol=1e-8, atol=1e-12):
    """Assert that the results of two modules, and the gradients of all their parameters, agree.

    The modules return a tensor or a tuple with tensors and None. The loss is an arbitrary fixed sum of all results;
    the gradients of the arguments are left in them.
    """
    results, expected = (y if isinstance(y, tuple) else (y,) for y in (ours(*arguments), theirs(*their_arguments)))
    rng = np.random.default_rng(0)
    loss = expected_loss = 0
    for mine, other in zip(results, expected, strict=True):
        agree(mine, other, rtol, atol)
        if other is not None:
            weight = rng.standard_normal(mine.shape).astype(mine.dtype)
            loss = loss + (mine * weight).sum()
            expected_loss = expected_loss + (other * torch.from_numpy(weight)).sum()
    loss.backward()
    expected_loss.backward()
    for (name, parameter), (their_name, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == their_name
        agree(parameter.grad, other.grad, rtol, atol)


def leaves(result):
    """All tensors and numbers in a result that may be nested."""
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in leaves(part)]
    return [result]


def same_function(function, *arrays, twice=True, rtol=1e-9, atol=1e-11):
    """Compare ``function(nn, *tensors)`` with ``function(torch, *tensors)``: all results, gradients, second gradients.

    Floating-point arrays require a gradient, unless they are float32. The loss is quadratic in the results, so that the
    gradients of linear operations have gradients, too.
    """
    (ours, *mine), (theirs, *others) = (
        _derived(function, module, arrays, gradient, twice)
        for module, gradient in ((nn, nn.autograd.grad), (torch, torch.autograd.grad))
    )
    assert len(ours) == len(theirs)
    for y, expected in zip(ours, theirs, strict=True):
        if isinstance(expected, torch.Tensor):
            agree(y, expected, rtol, atol)
        else:
            assert y == expected
    for found, expected in zip(mine, others, strict=True):
        for x, g, h in zip(arrays, found, expected, strict=True):
            g, h = (np.zeros(np.shape(x)) if v is None else v.detach().numpy() for v in (g, h))
            np.testing.assert_allclose(g, h, rtol=rtol, atol=atol)


def _derived(function, module, arrays, gradient, twice):
    """The results of a function, and its first and second gradients, lists with None for arrays of integers."""
    inputs = [module.tensor(a, requires_grad=np.asarray(a).dtype == np.float64) for a in arrays]
    results = leaves(function(module, *inputs))
    found, targets = [results], [x for x in inputs if x.requires_grad]
    terms = [y for y in results if hasattr(y, "requires_grad") and y.requires_grad]
    for order in range(2 if twice else 1):
        if not terms:
            break
        rng = np.random.default_rng(order)
        terms = [y.double() for y in terms]
        loss = sum((y * y * module.tensor(rng.standard_normal(tuple(y.shape)))).sum() for y in terms)
        gradients = gradient(loss, targets, create_graph=twice, allow_unused=True)
        by_input = iter(gradients)
        found.append([next(by_input) if x.requires_grad else None for x in inputs])
        terms = [g for g in gradients if g is not None and g.requires_grad]
    return found

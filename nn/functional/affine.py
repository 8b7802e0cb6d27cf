"""The affine map, and the feed-forward block: two affine maps with an activation between them."""

import math
from typing import Any

import numpy as np

import kernels
from nn.autograd.recomposed import gradients_of
from nn.functional import activation as activations
from nn.functional.arguments import not_tensors
from nn.functional.composed import affine
from nn.grad_mode import is_grad_enabled
from nn.operations.arithmetic import matmul, reshaped
from nn.operations.elementwise import relu
from nn.operations.orders import transpose
from nn.operations.reductions import sum as sum_of
from nn.tape import record
from nn.tensor import Tensor

__all__ = ["feed_forward", "linear"]


def linear(input, weight, bias=None):
    """The affine map ``input @ weight.T + bias``.

    Parameters
    ----------
    input : Tensor (..., in_features)
    weight : Tensor (out_features, in_features)
    bias : Tensor (out_features,), optional

    Returns
    -------
    Tensor (..., out_features)

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.

    Examples
    --------
    >>> import nn
    >>> nn.functional.linear(nn.tensor([1.0, 2.0]), nn.tensor([[3.0, 4.0]]), nn.tensor([5.0]))
    tensor([16.])
    """
    try:
        x, w, b = input.array, weight.array, None if bias is None else bias.array
    except AttributeError:
        raise not_tensors("linear", input=input, weight=weight, bias=bias) from None
    needs = (input.requires_grad, weight.requires_grad, b is not None and bias.requires_grad)

    def backward(dy):
        return kernels.linear_backward(dy, x, w, needs=needs)

    def derivative(dy, input, weight):
        rows, columns = (reshaped(t, (math.prod(t.array.shape[:-1]), t.array.shape[-1])) for t in (dy, input))
        return (
            matmul(dy, weight) if needs[0] else None,
            matmul(transpose(rows, 0, 1), columns) if needs[1] else None,
            sum_of(rows, 0) if needs[2] else None,
        )

    y = kernels.linear(x, w, b)
    return record("linear", y, (input, weight, bias), backward, (input, weight), derivative=derivative)


def feed_forward(input, weight1, bias1, weight2, bias2, activation: Any = "gelu"):
    """``linear(f(linear(input, weight1, bias1)), weight2, bias2)``, a block of rows of the hidden layer at a time.

    Parameters
    ----------
    input : Tensor (..., K)
    weight1, bias1 : Tensor (H, K) and (H,)
        With "swiglu" (2 H, K) and (2 H,), the rows of the gate first. `bias1` may be None.
    weight2, bias2 : Tensor (N, H) and (N,)
        `bias2` may be None.
    activation : {"gelu", "gelu_tanh", "relu", "silu", "swiglu"}
        The function f; "swiglu" is ``silu(gate) * value``.

    Returns
    -------
    Tensor (..., N)

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match, or the activation is unknown.

    Reference: Shazeer, "GLU Variants Improve Transformer" (2020), section 2.
    """
    inputs = input, weight1, bias1, weight2, bias2
    try:
        x, w1, b1, w2, b2 = (None if t is None else t.array for t in inputs)
    except AttributeError:
        given = {"input": input, "weight1": weight1, "bias1": bias1, "weight2": weight2, "bias2": bias2}
        raise not_tensors("feed_forward", **given) from None
    needs = tuple(t is not None and t.requires_grad for t in inputs)
    preactivation = None
    if any(needs) and is_grad_enabled() and w2.ndim == 2:
        shape = (*x.shape[:-1], w2.shape[1])
        preactivation = np.empty((2, *shape) if activation == "swiglu" else shape, x.dtype)
    y = kernels.feed_forward(x, w1, b1, w2, b2, activation, preactivation=preactivation)

    def backward(dy):
        return kernels.feed_forward_backward(dy, x, w1, w2, preactivation, activation, needs=needs)

    def derivative(dy, input, weight1, weight2, bias1):
        def compose(x, w1, b1, w2, b2):
            return affine(_activated(affine(x, w1, b1), activation), w2, b2)

        leaf2 = Tensor(b2, requires_grad=True) if needs[4] else None  # no gradient depends on its values
        return gradients_of(compose, dy, input, weight1, bias1, weight2, leaf2)

    return record("feed_forward", y, inputs, backward, (input, weight1, weight2, bias1), derivative=derivative)


def _activated(z, activation):
    """The activations of a feed-forward block, by name, as compositions of functions."""
    if activation == "swiglu":
        gate, value = z.chunk(2, -1)
        return activations.silu(gate) * value
    if activation.startswith("gelu"):
        return activations.gelu(z, "tanh" if activation == "gelu_tanh" else "none")
    return relu(z) if activation == "relu" else activations.silu(z)

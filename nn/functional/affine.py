"""The affine map, and two of them with an activation between."""

import numpy as np

import kernels
from nn.functional.arguments import checked
from nn.tensor import is_grad_enabled, record


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
    """
    x, w, b = checked("linear", input).data, weight.data, None if bias is None else bias.data
    needs = (input.requires_grad, weight.requires_grad, b is not None and bias.requires_grad)

    def backward(dy):
        return kernels.linear_backward(dy, x, w, needs=needs)

    return record("linear", kernels.linear(x, w, b), (input, weight, bias), backward, (input, weight))


def feed_forward(input, weight1, bias1, weight2, bias2, activation="gelu"):
    """``linear(f(linear(input, weight1, bias1)), weight2, bias2)``, the hidden layer a block of rows at a time.

    Parameters
    ----------
    input : Tensor (..., K)
    weight1, bias1 : Tensor (H, K) and (H,)
        With "swiglu" (2 H, K) and (2 H,), the gate's first. The bias may be None.
    weight2, bias2 : Tensor (N, H) and (N,)
        The bias may be None.
    activation : {"gelu", "gelu_tanh", "relu", "silu", "swiglu"}
        The function f; "swiglu" is ``silu(gate) * value``.

    Returns
    -------
    Tensor (..., N)
    """
    inputs = input, weight1, bias1, weight2, bias2
    x, w1, b1, w2, b2 = checked("feed_forward", input).data, *(None if t is None else t.data for t in inputs[1:])
    needs = tuple(t is not None and t.requires_grad for t in inputs)
    kept = None
    if any(needs) and is_grad_enabled() and w2.ndim == 2:
        shape = (*x.shape[:-1], w2.shape[1])
        kept = np.empty((2, *shape) if activation == "swiglu" else shape, x.dtype)
    y = kernels.feed_forward(x, w1, b1, w2, b2, activation, preactivation=kept)

    def backward(dy):
        return kernels.feed_forward_backward(dy, x, w1, w2, kept, activation, needs=needs)

    return record("feed_forward", y, inputs, backward, (input, weight1, weight2))

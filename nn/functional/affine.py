"""The affine map."""

import kernels
from nn.functional.arguments import checked
from nn.tensor import record


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

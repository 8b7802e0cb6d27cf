"""The parameters of a model as one vector."""

from nn.operations.joining import cat
from nn.tensor import Tensor


def parameters_to_vector(parameters):
    """The elements of all parameters, one after the other; gradients flow back to the parameters.

    Parameters
    ----------
    parameters : iterable of Tensor

    Returns
    -------
    Tensor (N,)
    """
    return cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec, parameters):
    """Replace the values of parameters by the elements of a vector, as views of it.

    Parameters
    ----------
    vec : Tensor (N,)
    parameters : iterable of Tensor

    Raises
    ------
    TypeError
        `vec` is not a Tensor.
    ValueError
        It has fewer elements than the parameters.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a Tensor, got {type(vec).__name__}")
    begin = 0
    for p in parameters:
        end = begin + p.array.size
        if end > vec.array.size:
            raise ValueError(f"vector_to_parameters: the vector has {vec.array.size} elements, the parameters more")
        p.data = vec.detach()[begin:end].reshape(p.array.shape)
        begin = end

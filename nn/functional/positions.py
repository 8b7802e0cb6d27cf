"""Positions of queries and keys: rotary embeddings."""

import kernels
from nn.functional.arguments import checked, constant
from nn.operations.arguments import bool_of
from nn.tape import record_linear

__all__ = ["rotary_embedding"]


def rotary_embedding(input, cos, sin, positions=None, interleaved=False):
    """Rotate pairs of channels by angles proportional to the position.

    Parameters
    ----------
    input : Tensor (..., T, D)
        Queries or keys.
    cos, sin : Tensor or array (P, R / 2)
        Cosines and sines of the angle of each position and pair, as from ``kernels.rotary_tables``; R <= D.
    positions : Tensor or array of int64 or int32, optional
        Rows of the tables, shape (T,), or (N, T) where N is the first axis of `input`; by default 0 to T - 1.
    interleaved : bool, default False
        Whether channels 2i and 2i + 1 form a pair, rather than i and i + R/2.

    Returns
    -------
    Tensor (..., T, D)

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.
    IndexError
        A position is negative or not below P.

    Reference: Su et al., "RoFormer" (2021), section 3.2.2.
    """
    given = cos, sin, positions
    tables = list(map(constant, ("rotary_embedding",) * 3, given, ("cos", "sin", "positions")))
    checked("rotary_embedding", input)
    interleaved = bool_of("rotary_embedding", "interleaved", interleaved)

    def forward(x):
        return kernels.rotary_embedding(x, *tables, interleaved=interleaved)

    def backward(dy):
        return kernels.rotary_embedding_backward(dy, *tables, interleaved=interleaved)

    return record_linear("rotary_embedding", forward, backward, input, given)

"""Norms and chains of products, with the names of ``torch.linalg``."""

from nn.operations.norms import linalg_norm as norm
from nn.operations.norms import matrix_norm, vector_norm
from nn.operations.products import multi_dot

__all__ = ["matrix_norm", "multi_dot", "norm", "vector_norm"]

"""Norms, singular values and chains of products, with the names of ``torch.linalg``."""

from nn.operations.norms import linalg_norm as norm
from nn.operations.norms import matrix_norm, vector_norm
from nn.operations.products import multi_dot
from nn.operations.singular_values import svdvals

__all__ = ["matrix_norm", "multi_dot", "norm", "svdvals", "vector_norm"]

"""Rows of a table by their indices: embeddings, one by one or combined in bags.

- `grouping`: the places of each index, in order.
- `loops`: rows copied, weighted sums of rows, their maxima, their products.
- `functions`: the public functions.
"""

from kernels.lookup.functions import embedding, embedding_backward, embedding_bag, embedding_bag_backward
from kernels.lookup.loops import VARIANTS

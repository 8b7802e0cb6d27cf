"""Rows of a table by their numbers: embeddings, one by one or combined in bags.

- `grouping`: the places of each number, in order.
- `loops`: rows copied, rows combined, their largest elements, their products.
- `functions`: the public functions.
"""

from kernels.lookup.functions import embedding, embedding_backward, embedding_bag, embedding_bag_backward
from kernels.lookup.loops import VARIANTS

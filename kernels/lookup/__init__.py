"""Elements of arrays by their indices.

Embeddings, rows of a table one by one or combined in bags:

- `grouping`: the places of each index, in order.
- `loops`: rows copied, weighted sums of rows, their maxima, their products.
- `functions`: the public functions.

Elements along a dimension:

- `along`: the loops; `slices`: those of whole slices; `operands`: arguments checked and cut; `moves`: what the public
  functions have in common.
- `gathering`: gather, index_select; `scattering`: scatter, scatter_add, index_add; `combining`: scatter_reduce.
"""

from kernels.lookup import along, loops
from kernels.lookup.combining import scatter_reduce, scatter_reduce_backward
from kernels.lookup.functions import embedding, embedding_backward, embedding_bag, embedding_bag_backward
from kernels.lookup.gathering import gather, gather_backward, index_select, index_select_backward
from kernels.lookup.scattering import (
    index_add,
    index_add_backward,
    scatter,
    scatter_add,
    scatter_add_backward,
    scatter_backward,
)

VARIANTS = loops.VARIANTS | along.VARIANTS

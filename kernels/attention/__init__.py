"""Attention: tiles of queries against tiles of keys, forward and backward, and what gives the queries their places.

- `ladder`: from three loops to the tiles, rung by rung.
- `scores`: what a row of scores goes through between the two products; `forward`, `backward`: the products;
  `decoding`: those of a few queries.
- `positions`: rotary embedding, and the slopes of ALiBi.
- `functions`: the public functions; `arguments`: their checks.
"""

from kernels.attention import ladder, positions
from kernels.attention.functions import scaled_dot_product_attention, scaled_dot_product_attention_backward
from kernels.attention.positions import alibi_slopes, rotary_embedding, rotary_embedding_backward, rotary_tables

VARIANTS = ladder.VARIANTS | positions.VARIANTS

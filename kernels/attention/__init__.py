"""Attention: tiles of queries against blocks of keys, forward and backward, and positions.

- `ladder`: from three loops to tiles, rung by rung.
- `scores`: which keys are visible to a query, and from scores to weights between the two products; `tiles`: what the
  forward and the backward have in common; `decoding`: the products of a few queries.
- `driver`: the tuned forward, for any mask, shape and number of threads; `backward`: the gradients;
  `score_gradients`: what becomes of a tile's scores in it.
- `rotary`: the loops of the rotary embedding; `positions`: its functions, and the slopes of ALiBi.
- `functions`: the public functions; `arguments`: their validation.
"""

from kernels.attention import ladder, rotary
from kernels.attention.functions import scaled_dot_product_attention, scaled_dot_product_attention_backward
from kernels.attention.positions import alibi_slopes, rotary_embedding, rotary_embedding_backward, rotary_tables

VARIANTS = ladder.VARIANTS | rotary.VARIANTS

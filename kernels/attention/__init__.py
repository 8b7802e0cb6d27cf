"""Attention: tiles of queries against tiles of keys, forward and backward, and what gives the queries their places.

- `ladder`: from three loops to the tiles, rung by rung.
- `scores`: what a row of scores goes through between the two products; `forward`, `backward`: the products.
- `functions`: the public functions; `arguments`: their checks.
"""

from kernels.attention.functions import scaled_dot_product_attention

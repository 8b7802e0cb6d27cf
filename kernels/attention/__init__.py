"""Attention, and how it knows positions.

- `positions`: rotary embedding and ALiBi slopes.
"""

from kernels.attention.positions import (
    alibi_slopes,
    rotary_embedding,
    rotary_embedding_backward,
    rotary_tables,
)

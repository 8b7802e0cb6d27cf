"""Cases of `kernels.attention`: forward, and the gradients with respect to query, key, value and an additive mask."""

import numpy as np

from tests.checking import LAYOUTS

NAME = "scaled_dot_product_attention"


def attention(run, query, key, options=None, mask=None, value_width=None, heads_last=False):
    """Shapes (..., heads, length, width) of query and key; `mask` is (kind, shape)."""
    options = dict(options or {})
    value = (*key[:-1], value_width or key[-1])
    q, k, v = (run.normal(*shape) for shape in (query, key, value))
    if heads_last:
        q, k, v = (x.swapaxes(1, 2).copy().swapaxes(1, 2) for x in (q, k, v))
    if mask is not None:
        kind, shape = mask
        scores = run.normal(*shape)
        options["attn_mask"] = scores > -0.8 if kind == "boolean" else np.where(scores > 1.3, -np.inf, scores)
        options["attn_mask"] = options["attn_mask"] if kind == "boolean" else options["attn_mask"].astype(run.dtype)
    if options.pop("alibi", False):
        options["alibi"] = run.call("alibi_slopes", query[-3], run.dtype)
    lse = run.zeros(*query[:-1])
    run.call(NAME, q, k, v, **options, out=run.zeros(*query[:-1], value[-1]))
    out = run.call(NAME, q, k, v, **options, lse=lse)
    needs = (True, True, True, mask is not None and mask[0] == "additive")
    dout, terms = run.normal(*out.shape), run.zeros(2, *query[:-1])
    run.call(f"{NAME}_backward", dout, q, k, v, out, lse, **options, needs=needs)
    run.call(NAME, q, k, v, **options, lse=terms)
    run.call(f"{NAME}_backward", dout, q, k, v, out, terms, **options, needs=needs)


def rotary(run, shape, width, interleaved, places=None, layout=None):
    cos, sin = run.call("rotary_tables", shape[-2] + 5, width, 10000.0, run.dtype)
    positions = None if places is None else run.indices(len(cos), *places)
    x, dy = run.normal(*shape), run.normal(*shape)
    x = LAYOUTS[layout](x) if layout else x
    run.call("rotary_embedding", x, cos, sin, positions, interleaved=interleaved)
    run.call("rotary_embedding", dy.copy(), cos, sin, positions, interleaved=interleaved, out=np.zeros_like(dy))
    run.call("rotary_embedding_backward", dy, cos, sin, positions, interleaved=interleaved)


def slopes(run, heads):
    run.call("alibi_slopes", heads, run.dtype)


def ladder(run, heads, length, width, is_causal):
    q, k, v = (run.normal(heads, length, n) for n in (width, width, width + 3))
    run.rungs("attention", NAME, q, k, v, run.dtype.type(0.3), is_causal, run.zeros(*v.shape))


def ladder_of_rotary(run, length, width, interleaved):
    tables = run.call("rotary_tables", length, width - 4, 10000.0, run.dtype)
    run.rungs(
        "attention", "rotary_embedding", run.normal(length, width), *tables, interleaved, run.zeros(length, width)
    )


CAUSAL, GQA = {"is_causal": True}, {"enable_gqa": True}
SQUARES = ((1, 1, 1, 1), (2, 3, 5, 7), (2, 4, 33, 16), (1, 2, 65, 64), (1, 4, 200, 80), (1, 2, 520, 64))
OPTIONS = (
    {"scale": 0.3}, {"dropout_p": 0.25, "seed": 7}, {"dropout_p": 0.25, "seed": 8, "is_causal": True},
    {"softcap": 2.0}, {"softcap": 2.0, "is_causal": True}, {"alibi": True}, {"alibi": True, "is_causal": True},
    {"window": (10, 5)}, {"window": (30, 0), "is_causal": True}, {"window": (None, 3)}, {"window": (3, None)},
    {"causal_offset": -7, "is_causal": True}, {"causal_offset": 9, "is_causal": True, "alibi": True},
    {"softcap": 3.0, "alibi": True, "window": (20, 20), "dropout_p": 0.1, "is_causal": True},
)  # fmt: skip

CASES = [
    *((attention, shape, shape, options) for shape in SQUARES for options in ({}, CAUSAL)),
    *((attention, (1, 2, L, 24), (1, 2, S, 24)) for L, S in ((40, 9), (9, 40), (257, 700), (100, 1000))),
    *((attention, (1, 2, L, 24), (1, 2, S, 24), {"is_causal": True, "causal_offset": S - L})
      for L, S in ((9, 40), (257, 700), (100, 450))),
    (attention, (5, 8), (7, 8)),
    (attention, (3, 5, 8), (3, 7, 8), CAUSAL),
    (attention, (2, 2, 2, 5, 8), (2, 2, 2, 7, 8)),
    (attention, (1, 2, 0, 8), (1, 2, 3, 8)),
    (attention, (1, 2, 3, 8), (1, 2, 0, 8)),
    *((attention, (1, 2, 40, width), (1, 2, 50, width), {}, None, value_width)
      for width, value_width in ((1, 1), (3, 20), (33, 17), (128, 64))),
    *((attention, (2, 3, 130, 32), (2, 3, 140, 32), options, None, None, True) for options in ({}, CAUSAL)),
    # one query, few queries: decoding
    *((attention, (1, 4, L, 64), (1, 4, S, 64)) for L in (1, 2, 4, 5) for S in (1, 100, 2048)),
    *((attention, (1, 8, L, 64), (1, 2, 300, 64), GQA | {"is_causal": True, "causal_offset": 300 - L})
      for L in (1, 3, 17)),
    (attention, (3, 8, 1, 33), (3, 2, 1000, 33), GQA | {"softcap": 2.0, "alibi": True}),
    (attention, (3, 4, 1, 32), (3, 4, 300, 32), {}, ("boolean", (3, 1, 1, 300))),
    # fewer heads of keys
    *((attention, (2, 8, 130, 32), (2, H, 140, 32), GQA | options) for H in (1, 2) for options in ({}, CAUSAL)),
    # each option, small and medium
    *((attention, (1, 4, L, 16), (1, 4, L, 16), options) for L in (33, 260) for options in OPTIONS),
    *((attention, (2, 4, L, 16), (2, 4, S, 16), options, (kind, (*leading, L, S)))
      for L, S in ((13, 17), (230, 260)) for options in ({}, CAUSAL) for kind in ("boolean", "additive")
      for leading in ((), (2, 4))),
    (attention, (2, 4, 70, 16), (2, 4, 80, 16), {"softcap": 2.0, "dropout_p": 0.2}, ("additive", (2, 1, 70, 80))),
    (attention, (2, 4, 70, 16), (2, 4, 80, 16), {}, ("additive", (2, 1, 1, 80))),
    # positions
    *((rotary, shape, width, interleaved) for interleaved in (False, True)
      for shape, width in (((3, 8), 2), ((2, 3, 7, 40), 32), ((2, 8, 100, 64), 64))),
    *((rotary, (2, 3, 7, 40), 32, interleaved, places) for interleaved in (False, True) for places in ((7,), (2, 7))),
    *((rotary, (2, 3, 7, 40), 32, False, None, layout) for layout in ("inner", "transposed")),
    *((slopes, heads) for heads in (1, 8, 12)),
    # ladders
    *((ladder, *shape, causal) for shape in ((2, 13, 8), (3, 65, 64), (1, 200, 80)) for causal in (False, True)),
    *((ladder_of_rotary, 21, 70, interleaved) for interleaved in (False, True)),
]  # fmt: skip

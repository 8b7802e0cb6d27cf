"""The board: every operation on shapes from real networks, against NumPy, PyTorch and (where installed) JAX.

``pytest --benchmark-only`` runs all of it once, ``python -m benchmarks`` measures ratios in interleaved rounds at given
thread counts, and ``python -m benchmarks.report`` draws the pictures and writes RESULTS.md and the README's tables.
"""

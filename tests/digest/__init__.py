"""A digest of what every public kernel computes, to show that a change of the loops' form changes no bit.

    python -m tests.digest --write before.json       # before the change
    python -m tests.digest --compare before.json     # after it: what differs, is missing or is new; exit code 1 if any

A digest is the SHA-256 of shape, dtype and bytes of everything that a call returns, takes or fills, on seeded inputs,
in float32 and float64, with 1 and 2 threads. `--only gemm convolution` restricts a run to families; `--cases WORD` to
cases whose name contains the word. Whether a kernel is compiled in the same process or loaded from the cache makes no
difference.

Each family is a module with its table `CASES`: a case is a line ``(function, *arguments)``, where ``function(run,
*arguments)`` makes its inputs and calls with a `tests.digest.run.Run`. Digests are valid for one machine and one
version of Numba, which the file records; a comparison under other conditions is an error.
"""

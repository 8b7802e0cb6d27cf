"""Every operation of `kernels` in plain NumPy: the oracle of the tests and the NumPy peer of the benchmarks.

File names, function names and signatures are those of `kernels`. The functions assume valid arguments; `kernels`
validates them.
"""

"""Pooling in jitted code: the entries are in the modules that are imported."""

from kernels.pooling import njit_average, njit_maximum, njit_power

__all__ = ["njit_average", "njit_maximum", "njit_power"]

"""Pooling in jitted code: the entries are in the modules that are imported."""

from kernels.pooling import (
    njit_adaptive,
    njit_average,
    njit_columns,
    njit_interpolation,
    njit_maximum,
    njit_power,
    njit_sampling,
)

__all__ = [
    "njit_adaptive",
    "njit_average",
    "njit_columns",
    "njit_interpolation",
    "njit_maximum",
    "njit_power",
    "njit_sampling",
]

"""The losses in jitted code."""

from kernels.loss import (
    njit_classes,
    njit_likelihood,
    njit_probability,
    njit_regression,
    njit_sequences,
    njit_vocabulary,
)

__all__ = [
    "njit_classes",
    "njit_likelihood",
    "njit_probability",
    "njit_regression",
    "njit_sequences",
    "njit_vocabulary",
]

"""Lookups in jitted code."""

from kernels.lookup import njit_along, njit_bags, njit_combining, njit_embedding

__all__ = ["njit_along", "njit_bags", "njit_combining", "njit_embedding"]

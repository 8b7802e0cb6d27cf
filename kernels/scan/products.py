r"""The gradient of products so far, with any number of zeros.

    dx_k = sum_{i>=k} dy_i prod_{j<=i, j!=k} x_j

Without zeros that is W_k / x_k, where W_k = sum_{i>=k} dy_i y_i. From the first zero x_z on, all y are 0, and only dx_z
and what lies before it can differ from 0. So let q_i be the product of all up to i without x_z: then

    dx_k = 0 for k > z        dx_z = sum_{i>=z} dy_i q_i        dx_k = (sum_{z>i>=k} dy_i q_i) / x_k for k < z

About four operations and one division an element, of which two are read and one is written. Products and sums are
float64.
"""

import numpy as np

from kernels._jit import jit
from kernels._parallel import FIRST, parallel_for
from kernels.scan.chains import TASK, Slices, add_rows, multiply_rows, slice_at
from kernels.simd import flat, shifted

ONES, ZEROS = np.ones(1), np.zeros(1)  # what the scans begin with


@jit(inline=True, fastmath=False)
def _gradient(dy, x, dx, n, step, products):
    product, zero = 1.0, n  # the index of the first zero
    for i in range(n):
        factor = np.float64(x[i * step])
        if factor == 0 and zero == n:
            zero = i
        else:
            product *= factor
        products[i] = product
    for i in range(n):
        products[i] *= dy[i * step]
    total = 0.0
    for i in range(n - 1, -1, -1):
        total += products[i]
        products[i] = total
        if i == zero:
            total = 0.0
    for i in range(zero):
        dx[i * step] = products[i] / x[i * step]
    for i in range(zero, n):
        dx[i * step] = products[i] if i == zero else 0.0


@jit(inline=True, fastmath=False)
def _has_zero(x, n):
    zeros = np.int64(0)
    for i in range(n):
        zeros += 1 if x[i] == 0 else 0
    return zeros > 0


@jit(inline=True, fastmath=False)
def _gradient_by_vectors(dy, x, dx, n, products):
    """The same of a row of float32 without zeros."""
    multiply_rows(FIRST, np.int64(1), x, products, ONES, Slices(n, 1, 1, False))
    for i in range(n):
        products[i] *= dy[i]
    add_rows(FIRST, np.int64(1), products, products, ZEROS, Slices(n, 1, 1, True))
    for i in range(n):
        dx[i] = products[i] / x[i]


@jit
def _gradients(first, last, dy, x, dx, n, inner, vectors):
    memory = np.empty(n)
    products, slopes, elements, results = flat(memory), flat(dy), flat(x), flat(dx)
    for number in range(first, last):
        at = slice_at(number, n, inner)
        if vectors and not _has_zero(shifted(elements, at), n):
            _gradient_by_vectors(shifted(slopes, at), shifted(elements, at), shifted(results, at), n, products)
            continue
        _gradient(shifted(slopes, at), shifted(elements, at), shifted(results, at), n, inner, products)


@jit
def cumprod_backward_loops(dy, x, dx, outer, n, inner, threads):
    """Gradients of the slices of flat arrays (outer, n, inner)."""
    vectors = inner == 1 and x.itemsize == 4
    parallel_for(_gradients, outer * inner, max(1, TASK // n), threads, (dy, x, dx, n, inner, vectors))

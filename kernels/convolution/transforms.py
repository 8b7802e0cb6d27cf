r"""The transforms of Winograd's convolutions: B, G and A of F(2 × 2, 3 × 3) and F(4 × 4, 3 × 3) [1]_.

They come from multiplying polynomials by their values at some points: 0, 1, -1 and infinity, for four by four outputs 2
and -2 as well.

.. math::

    B_2^\top = \begin{pmatrix} 1&0&-1&0\\ 0&1&1&0\\ 0&-1&1&0\\ 0&1&0&-1 \end{pmatrix} \quad
    G_2 = \begin{pmatrix} 1&0&0\\ ½&½&½\\ ½&-½&½\\ 0&0&1 \end{pmatrix} \quad
    A_2^\top = \begin{pmatrix} 1&1&1&0\\ 0&1&-1&-1 \end{pmatrix}

    B_4^\top = \begin{pmatrix} 4&0&-5&0&1&0\\ 0&-4&-4&1&1&0\\ 0&4&-4&-1&1&0\\ 0&-2&-1&2&1&0\\ 0&2&-1&-2&1&0\\
    0&4&0&-5&0&1 \end{pmatrix} \quad
    G_4 = \tfrac{1}{24} \begin{pmatrix} 6&0&0\\ -4&-4&-4\\ -4&4&-4\\ 1&2&4\\ 1&-2&4\\ 0&0&24 \end{pmatrix} \quad
    A_4^\top = \begin{pmatrix} 1&1&1&1&1&0\\ 0&1&-1&2&-2&0\\ 0&1&1&4&4&0\\ 0&1&-1&8&-8&1 \end{pmatrix}

Each is applied along the columns of a piece, then along its rows; the lanes are channels. Rounding stays as written
(no fast-math).

.. [1] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, sec. 4.1 and 4.3.
"""

from kernels._jit import jit
from kernels.simd import fma, lane_count, load, store


@jit(inline=True, fastmath=False)
def _pieces_2(x, at, step, out, to, apart):
    """B₂ᵀ of four vectors `step` apart in x; what comes of them lies `apart`."""
    x0, x1, x2, x3 = load(x, at), load(x, at + step), load(x, at + 2 * step), load(x, at + 3 * step)
    store(out, to, x0 - x2)
    store(out, to + apart, x1 + x2)
    store(out, to + 2 * apart, x2 - x1)
    store(out, to + 3 * apart, x1 - x3)


@jit(inline=True, fastmath=False)
def _weights_2(x, at, step, out, to, apart):
    """G₂ of three vectors."""
    x0, x1, x2 = load(x, at), load(x, at + step), load(x, at + 2 * step)
    even, odd = (x0 + x2) * 0.5, x1 * 0.5
    store(out, to, x0)
    store(out, to + apart, even + odd)
    store(out, to + 2 * apart, even - odd)
    store(out, to + 3 * apart, x2)


@jit(inline=True, fastmath=False)
def _sums_2(x, at, step, out, to, apart):
    """A₂ᵀ of four vectors."""
    x0, x1, x2, x3 = load(x, at), load(x, at + step), load(x, at + 2 * step), load(x, at + 3 * step)
    store(out, to, (x0 + x1) + x2)
    store(out, to + apart, (x1 - x2) - x3)


@jit(inline=True, fastmath=False)
def _pieces_4(x, at, step, out, to, apart):
    """B₄ᵀ of six vectors."""
    x0, x1, x2 = load(x, at), load(x, at + step), load(x, at + 2 * step)
    x3, x4, x5 = load(x, at + 3 * step), load(x, at + 4 * step), load(x, at + 5 * step)
    store(out, to, fma(x2, -5.0, fma(x0, 4.0, x4)))
    even, odd = fma(x2, -4.0, x4), fma(x1, -4.0, x3)
    store(out, to + apart, even + odd)
    store(out, to + 2 * apart, even - odd)
    even, odd = x4 - x2, (x3 - x1) * 2.0
    store(out, to + 3 * apart, even + odd)
    store(out, to + 4 * apart, even - odd)
    store(out, to + 5 * apart, fma(x3, -5.0, fma(x1, 4.0, x5)))


@jit(inline=True, fastmath=False)
def _weights_4(x, at, step, out, to, apart):
    """G₄ of three vectors."""
    x0, x1, x2 = load(x, at), load(x, at + step), load(x, at + 2 * step)
    store(out, to, x0 * 0.25)
    even, odd = (x0 + x2) * (-1.0 / 6.0), x1 * (1.0 / 6.0)
    store(out, to + apart, even - odd)
    store(out, to + 2 * apart, even + odd)
    even, odd = fma(x2, 4.0, x0) * (1.0 / 24.0), x1 * (1.0 / 12.0)
    store(out, to + 3 * apart, even + odd)
    store(out, to + 4 * apart, even - odd)
    store(out, to + 5 * apart, x2)


@jit(inline=True, fastmath=False)
def _sums_4(x, at, step, out, to, apart):
    """A₄ᵀ of six vectors."""
    x0, x1, x2 = load(x, at), load(x, at + step), load(x, at + 2 * step)
    x3, x4, x5 = load(x, at + 3 * step), load(x, at + 4 * step), load(x, at + 5 * step)
    near_even, near_odd, far_even, far_odd = x1 + x2, x1 - x2, x3 + x4, x3 - x4
    store(out, to, (x0 + near_even) + far_even)
    store(out, to + apart, fma(far_odd, 2.0, near_odd))
    store(out, to + 2 * apart, fma(far_even, 4.0, near_even))
    store(out, to + 3 * apart, fma(far_odd, 8.0, near_odd) + x5)


def _both_axes(transform, inputs, outputs):
    """`transform`, of `inputs` to `outputs` vectors, along the columns and then along the rows of a square of them."""

    @jit(inline=True)
    def both(x, at, row, column, half, out, to, out_row, out_column):
        """From ``x[at + i*row + j*column]`` to ``out[to + i*out_row + j*out_column]``; `half` is room for what is
        half-way."""
        lanes = lane_count(x)
        for j in range(inputs):
            transform(x, at + j * column, row, half, j * lanes, inputs * lanes)
        for i in range(outputs):
            transform(half, i * inputs * lanes, lanes, out, to + i * out_row, out_column)

    return both


# By the side of the outputs' square: transforms of a piece of x, of the weights, of the sums.
TRANSFORMS = {
    2: (_both_axes(_pieces_2, 4, 4), _both_axes(_weights_2, 3, 4), _both_axes(_sums_2, 4, 2)),
    4: (_both_axes(_pieces_4, 6, 6), _both_axes(_weights_4, 3, 6), _both_axes(_sums_4, 6, 4)),
}

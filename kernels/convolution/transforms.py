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

Each is applied along the columns of a tile, then along its rows; the lanes are channels: an element of a tile is a
vector, and a view's strides are those from one vector to the next. Rounding stays as written (no fast-math).

.. [1] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, sec. 4.1 and 4.3.
"""

from kernels._jit import jit
from kernels.simd import fma, lane_count, load, store, strided


@jit(inline=True, fastmath=False)
def _input_2(x0, x1, x2, x3):
    """B₂ᵀ of four vectors."""
    return x0 - x2, x1 + x2, x2 - x1, x1 - x3


@jit(inline=True, fastmath=False)
def _taps_2(x0, x1, x2):
    """G₂ of three vectors."""
    even, odd = (x0 + x2) * 0.5, x1 * 0.5
    return x0, even + odd, even - odd, x2


@jit(inline=True, fastmath=False)
def _output_2(x0, x1, x2, x3):
    """A₂ᵀ of four vectors."""
    return (x0 + x1) + x2, (x1 - x2) - x3


@jit(inline=True, fastmath=False)
def _gradient_2(x0, x1):
    """A₂ of two vectors."""
    return x0, x0 + x1, x0 - x1, -x1


@jit(inline=True, fastmath=False)
def _sums_2(x0, x1, x2, x3):
    """G₂ᵀ of four vectors."""
    even = (x1 + x2) * 0.5
    return x0 + even, (x1 - x2) * 0.5, even + x3


@jit(inline=True, fastmath=False)
def _input_4(X, Y):
    """B₄ᵀ of the six vectors in the first column of X."""
    x0, x1, x2 = load(X, 0), load(X.row(1), 0), load(X.row(2), 0)
    x3, x4, x5 = load(X.row(3), 0), load(X.row(4), 0), load(X.row(5), 0)
    store(Y, 0, fma(x2, -5.0, fma(x0, 4.0, x4)))
    even, odd = fma(x2, -4.0, x4), fma(x1, -4.0, x3)
    store(Y.row(1), 0, even + odd)
    store(Y.row(2), 0, even - odd)
    even, odd = x4 - x2, (x3 - x1) * 2.0
    store(Y.row(3), 0, even + odd)
    store(Y.row(4), 0, even - odd)
    store(Y.row(5), 0, fma(x3, -5.0, fma(x1, 4.0, x5)))


@jit(inline=True, fastmath=False)
def _taps_4(X, Y):
    """Store G₄ of the three vectors of X's first column in Y's."""
    x0, x1, x2 = load(X, 0), load(X.row(1), 0), load(X.row(2), 0)
    store(Y, 0, x0 * 0.25)
    even, odd = (x0 + x2) * (-1.0 / 6.0), x1 * (1.0 / 6.0)
    store(Y.row(1), 0, even - odd)
    store(Y.row(2), 0, even + odd)
    even, odd = fma(x2, 4.0, x0) * (1.0 / 24.0), x1 * (1.0 / 12.0)
    store(Y.row(3), 0, even + odd)
    store(Y.row(4), 0, even - odd)
    store(Y.row(5), 0, x2)


@jit(inline=True, fastmath=False)
def _output_4(X, Y):
    """Store A₄ᵀ of the six vectors of X's first column in Y's."""
    x0, x1, x2 = load(X, 0), load(X.row(1), 0), load(X.row(2), 0)
    x3, x4, x5 = load(X.row(3), 0), load(X.row(4), 0), load(X.row(5), 0)
    near_even, near_odd, far_even, far_odd = x1 + x2, x1 - x2, x3 + x4, x3 - x4
    store(Y, 0, (x0 + near_even) + far_even)
    store(Y.row(1), 0, fma(far_odd, 2.0, near_odd))
    store(Y.row(2), 0, fma(far_even, 4.0, near_even))
    store(Y.row(3), 0, fma(far_odd, 8.0, near_odd) + x5)


@jit(inline=True)
def _column(X):
    return load(X, 0), load(X.row(1), 0)


def _in_registers(transform, inputs, outputs):
    """`transform`, of `inputs` to `outputs` vectors, along the columns and then along the rows of a square of them.

    (`half` is memory that only larger transforms need; all have one signature.)
    """

    @jit(inline=True)
    def both_of_2(X, half, Y):
        """``Y = T X Tᵀ``, of matrices of vectors."""
        (a0, a1), (b0, b1) = _column(X), _column(X.column(1))
        a, b = transform(a0, a1), transform(b0, b1)
        for i in range(outputs):
            row = transform(a[i], b[i])
            for j in range(outputs):
                store(Y.at(i, j), 0, row[j])

    @jit(inline=True)
    def transformed(X):
        (x0, x1), x2 = _column(X), load(X.row(2), 0)
        return transform(x0, x1, x2) if inputs == 3 else transform(x0, x1, x2, load(X.row(3), 0))

    @jit(inline=True)
    def both_of_3(X, half, Y):
        a, b, c = transformed(X), transformed(X.column(1)), transformed(X.column(2))
        for i in range(outputs):
            row = transform(a[i], b[i], c[i])
            for j in range(outputs):
                store(Y.at(i, j), 0, row[j])

    @jit(inline=True)
    def both_of_4(X, half, Y):
        a, b, c, d = transformed(X), transformed(X.column(1)), transformed(X.column(2)), transformed(X.column(3))
        for i in range(outputs):
            row = transform(a[i], b[i], c[i], d[i])
            for j in range(outputs):
                store(Y.at(i, j), 0, row[j])

    return {2: both_of_2, 3: both_of_3, 4: both_of_4}[inputs]


def _through_memory(transform, inputs, outputs):
    """`_in_registers` where a square of vectors is too large for the registers."""

    @jit(inline=True)
    def both(X, half, Y):
        """``Y = T X Tᵀ``, of matrices of vectors; `half` is memory for ``T X``."""
        H = strided(half, inputs * lane_count(half), lane_count(half))
        for j in range(inputs):
            transform(X.column(j), H.column(j))
        for i in range(outputs):
            transform(H.row(i).T, Y.row(i).T)

    return both


_tile_of_x = _in_registers(_input_2, 4, 4)
# By the side of the outputs' square: transforms of a tile of x, of the taps, of the sums.
TRANSFORMS = {
    2: (_tile_of_x, _in_registers(_taps_2, 3, 4), _in_registers(_output_2, 4, 2)),
    4: (_through_memory(_input_4, 6, 6), _through_memory(_taps_4, 3, 6), _through_memory(_output_4, 6, 4)),
}
# Of the gradient with respect to the taps, by the same matrices for 2 x 2 outputs: transforms of a tile of x, of dy, of
# the sums.
GRADIENT_TRANSFORMS = (_tile_of_x, _in_registers(_gradient_2, 2, 4), _in_registers(_sums_2, 4, 3))

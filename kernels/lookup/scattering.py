"""Elements put, or combined with what is there, at places along a dimension that an array of indices names."""

from kernels import _checks
from kernels.lookup.moves import gathered, rows_added, scattered, selected


def scatter(x, dim, index, src, *, out=None):
    """A copy of `x` with elements along a dimension replaced: ``out[index[i, j], j] = src[i, j]`` for dimension 0 of
    two; where an index occurs several times, its last place counts.

    Parameters
    ----------
    x : array, float32, float64, int64, int32 or bool
    dim : int
        The dimension that the indices are of.
    index : array of int64 or int32
        Of as many dimensions as `x`, none longer than that of `x`, except `dim`. Negative indices do not count from
        the end.
    src : array or number
        Of the dtype of `x` and as many dimensions, none shorter than that of `index`; what is beyond is not used.
    out : array, optional
        C-contiguous, of the shape and dtype of `x`: receives the result; it may be `x` itself.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        Another dtype, or dtypes that differ.
    ValueError
        A `dim` that `x` does not have, shapes that do not fit, an unsuitable `out`.
    IndexError
        An index that is not from 0 to ``x.shape[dim] - 1``.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import scatter
    >>> scatter(np.zeros((2, 3)), 1, np.array([[2], [0]]), 1.0)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    return scattered("scatter", "assign", x, dim, index, src, out)


def scatter_backward(dy, dim, index, needs=(True, True)):
    """Gradients of `scatter` with respect to `x`, zero where elements were replaced, and to an array `src`, as in
    PyTorch also for those elements of it that a later one replaced.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the result.
    dim, index
        The forward's.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx : array or None
        Of the shape of `dy`.
    dsrc : array or None
        Of the shape of `index`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `scatter`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import scatter_backward
    >>> scatter_backward(np.array([1.0, 2.0, 3.0]), 0, np.array([2]))
    (array([1., 2., 0.]), array([3.]))
    """
    operation = "scatter_backward"
    dy = _checks.floats(operation, "dy", dy)
    dx = scattered(operation, "assign", dy, dim, index, 0.0) if needs[0] else None
    return dx, gathered(operation, dy, dim, index) if needs[1] else None


def scatter_add(x, dim, index, src, *, out=None):
    """A copy of `x` to which elements are added along a dimension: ``out[index[i, j], j] += src[i, j]`` for dimension
    0 of two.

    Sums go in the order of the indices. The sum of booleans is their disjunction.

    Parameters
    ----------
    x, dim, index, src, out
        As of `scatter`.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `scatter`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import scatter_add
    >>> scatter_add(np.zeros(3), 0, np.array([2, 0, 2]), np.array([1.0, 2.0, 4.0]))
    array([2., 0., 5.])
    """
    return scattered("scatter_add", "sum", x, dim, index, src, out)


def scatter_add_backward(dy, dim, index, needs=(True, True)):
    """Gradients of `scatter_add` with respect to `x`, a copy of `dy`, and to `src`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the result.
    dim, index
        The forward's.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx : array or None
        Of the shape of `dy`.
    dsrc : array or None
        Of the shape of `index`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `scatter_add`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import scatter_add_backward
    >>> scatter_add_backward(np.array([1.0, 2.0, 3.0]), 0, np.array([2, 2]))
    (array([1., 2., 3.]), array([3., 3.]))
    """
    operation = "scatter_add_backward"
    dy = _checks.floats(operation, "dy", dy)
    return dy.copy() if needs[0] else None, gathered(operation, dy, dim, index) if needs[1] else None


def index_add(x, dim, index, source, *, alpha=1, out=None):
    """A copy of `x` to which slices are added: ``out[index[i]] += alpha * source[i]`` for dimension 0.

    Sums go in the order of the indices. The sum of booleans is their disjunction.

    Parameters
    ----------
    x : array, float32, float64, int64, int32 or bool
    dim : int
        The dimension that is indexed.
    index : array of int64 or int32
        Of one dimension.
    source : array
        Of the dtype and shape of `x`, but as long as `index` in dimension `dim`.
    alpha : number, default 1
        Factor of `source`.
    out : array, optional
        C-contiguous, of the shape and dtype of `x`: receives the result; it may be `x` itself.

    Returns
    -------
    ndarray
        Of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        Another dtype, or dtypes that differ.
    ValueError
        A `dim` that `x` does not have, shapes that do not fit, an unsuitable `out`.
    IndexError
        An index that is not from 0 to ``x.shape[dim] - 1``.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import index_add
    >>> index_add(np.zeros((3, 2)), 0, np.array([2, 2]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[0., 0.],
           [0., 0.],
           [4., 6.]])
    """
    return rows_added("index_add", x, dim, index, source, alpha, out)


def index_add_backward(dy, dim, index, *, alpha=1, needs=(True, True)):
    """Gradients of `index_add` with respect to `x`, a copy of `dy`, and to `source`.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the result.
    dim, index, alpha
        The forward's.
    needs : tuple of bool
        Which of the gradients to return.

    Returns
    -------
    dx : array or None
        Of the shape of `dy`.
    dsource : array or None
        Of the shape of `source`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `index_add`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import index_add_backward
    >>> index_add_backward(np.array([1.0, 2.0, 3.0]), 0, np.array([2, 2]), alpha=2)
    (array([1., 2., 3.]), array([6., 6.]))
    """
    operation = "index_add_backward"
    dy = _checks.floats(operation, "dy", dy)
    if not needs[1]:
        return dy.copy() if needs[0] else None, None
    dsource = selected(operation, dy, dim, index)
    if alpha != 1:
        dsource *= dsource.dtype.type(alpha)
    return dy.copy() if needs[0] else None, dsource

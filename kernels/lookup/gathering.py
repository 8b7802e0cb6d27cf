"""Elements along a dimension, taken by an array of indices, or in slices."""

from kernels.lookup.moves import gathered, rows_added_to_zeros, scattered_to_zeros, selected


def gather(x, dim, index, *, out=None):
    """Along a dimension, the elements of `x` that an array of indices names: ``out[i, j] = x[index[i, j], j]`` for
    dimension 0 of two.

    Parameters
    ----------
    x : array, float32, float64, int64, int32 or bool
    dim : int
        The dimension that the indices are of.
    index : array of int64 or int32
        Of as many dimensions as `x`, none longer than that of `x`, except `dim`. Negative indices do not count from
        the end.
    out : array, optional
        C-contiguous, of the shape of `index` and the dtype of `x`: receives the result.

    Returns
    -------
    ndarray
        Of the shape of `index` and the dtype of `x`.

    Raises
    ------
    TypeError
        Another dtype.
    ValueError
        A `dim` that `x` does not have, shapes that do not fit, an unsuitable `out`.
    IndexError
        An index that is not from 0 to ``x.shape[dim] - 1``.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import gather
    >>> gather(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, np.array([[1, 1], [0, 1]]))
    array([[2., 2.],
           [3., 4.]])
    """
    return gathered("gather", x, dim, index, out)


def gather_backward(dy, shape, dim, index):
    """Gradient of `gather` with respect to `x`: `dy` added up at the places that it came from.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the result, of the shape of `index`.
    shape : tuple of int
        The shape of `x`.
    dim, index
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `gather`; a `dy` of another shape than `index`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import gather_backward
    >>> gather_backward(np.array([1.0, 2.0, 4.0]), (3,), 0, np.array([2, 0, 2]))
    array([2., 0., 5.])
    """
    return scattered_to_zeros("gather_backward", dy, shape, dim, index)


def index_select(x, dim, index, *, out=None):
    """The slices of `x` along a dimension that `index` names, as ``numpy.take``.

    Parameters
    ----------
    x : array, float32, float64, int64, int32 or bool
    dim : int
        The dimension that is indexed.
    index : array of int64 or int32
        Of one dimension.
    out : array, optional
        C-contiguous, of the shape and dtype of the result, which it receives.

    Returns
    -------
    ndarray
        Of the shape of `x`, but as long as `index` in dimension `dim`.

    Raises
    ------
    TypeError
        Another dtype.
    ValueError
        A `dim` that `x` does not have, an index of several dimensions, an unsuitable `out`.
    IndexError
        An index that is not from 0 to ``x.shape[dim] - 1``.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import index_select
    >>> index_select(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, np.array([1, 0, 1]))
    array([[2., 1., 2.],
           [4., 3., 4.]])
    """
    return selected("index_select", x, dim, index, out)


def index_select_backward(dy, shape, dim, index):
    """Gradient of `index_select` with respect to `x`: the slices of `dy` added up where they came from.

    Parameters
    ----------
    dy : array, float32 or float64
        Gradient with respect to the result.
    shape : tuple of int
        The shape of `x`.
    dim, index
        The forward's.

    Returns
    -------
    ndarray
        Of `shape`.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `index_select`; a `dy` of another shape than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import index_select_backward
    >>> index_select_backward(np.array([1.0, 2.0, 4.0]), (3,), 0, np.array([2, 0, 2]))
    array([2., 0., 5.])
    """
    return rows_added_to_zeros("index_select_backward", dy, shape, dim, index)

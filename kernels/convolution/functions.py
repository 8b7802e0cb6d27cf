"""The public convolutions over one, two and three axes, and their gradients."""

from kernels import _checks
from kernels.convolution import driver, geometry
from kernels.convolution.arguments import (
    Options,
    Window,
    check_algorithm,
    check_bias,
    check_channels,
    check_gradient,
    geometry_of,
    operands,
    result_of,
)
from kernels.convolution.driver import WINOGRAD
from kernels.gemm.driver import NO_BIAS

ALGORITHMS = (None, "direct", *WINOGRAD)


def _convolve(operation, rank, x, weight, bias, window, groups, options):
    """`conv2d` of any rank."""
    has_bias, (activation, algorithm, out) = bias is not None, options
    x, weight, bias, groups, batched = operands(operation, rank, weight, bias, groups, x=x)
    M = weight.shape[0]
    check_channels(operation, x, weight, groups, weight.shape[1] * groups)
    if has_bias:
        check_bias(operation, bias, M)
    _checks.choice(operation, "activation", activation, (None, "relu"))
    _checks.choice(operation, "algorithm", algorithm, ALGORITHMS)
    shape, sizes = geometry_of(operation, x, weight, window)
    result = result_of(operation, out, (len(x), M, *sizes), batched, x.dtype, x=x, weight=weight, bias=bias)
    plan = geometry.forward_plan(shape)
    check_algorithm(operation, algorithm, plan, weight, shape)
    y = result if batched else result[None]
    driver.correlate(x, weight, bias, activation == "relu", y, plan, groups, algorithm)
    return result


def _convolve_backward(operation, rank, dy, x, weight, window, groups, needs):
    """`conv2d_backward` of any rank."""
    dy, x, weight, _, groups, batched = operands(operation, rank, weight, None, groups, dy=dy, x=x)
    check_channels(operation, x, weight, groups, weight.shape[1] * groups)
    shape, sizes = geometry_of(operation, x, weight, window)
    check_gradient(operation, dy, (len(x), len(weight), *sizes))
    dx = dweight = dbias = None
    if needs[0]:
        dx = _checks.new(x.shape, x.dtype)
        driver.gather(dy, weight, NO_BIAS[x.dtype], dx, shape, groups)
        dx = dx if batched else dx[0]
    if needs[1]:
        dweight = driver.weight_gradient(dy, x, weight, shape, groups)
    if needs[2]:
        dbias = driver.bias_gradient(dy)
    return dx, dweight, dbias


def conv2d(
    x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, algorithm=None, out=None
):
    """Convolution (strictly, a cross-correlation) over two axes.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)``, or ``(C, H, W)``.
    weight : array
        Shape ``(M, C // groups, KH, KW)``, dtype of `x`.
    bias : array, optional
        Shape ``(M,)``.
    stride, dilation : int or tuple
        Elements of `x` from one output to the next, and from one tap to the next.
    padding : int, tuple, "same" or "valid"
        Zeros at both ends of each axis. "same" keeps the size (stride 1 only; an odd zero goes to the end).
    groups : int
        Number of groups: each group of output channels depends on one group of input channels.
    activation : {None, "relu"}
        Applied to the result while it is in registers.
    algorithm : {None, "direct", "winograd2", "winograd4"}
        "winograd2" is F(2 × 2, 3 × 3) [1]_, for 3 × 3 taps with stride 1: less work; a NaN or infinity in `x` makes NaN
        of all outputs of the 2 × 2 tiles that it reaches. None chooses it where it is faster, from 16 channels on; with
        a dilation, whose tiles come in squares, only where they fit the outputs. "winograd4" is F(4 × 4, 3 × 3), only
        on request: it takes 0.65 of the time of "winograd2" where 4 × 4 tiles cover the result well (64 channels of
        56 × 56), 0.8 for 14 × 14. Errors (root mean square, 3 to 512 channels): of "winograd2" up to 1.4 times those of
        "direct", of "winograd4" 4 to 8 times, or up to 3 times where all terms are positive. The gradients are computed
        as with None, by "winograd2" and its transpose.
    out : array, optional
        C-contiguous, of the result's shape and dtype, not overlapping the others.

    Returns
    -------
    array
        Shape ``(N, M, OH, OW)``, or ``(M, OH, OW)``; OH = (H + 2·padding - dilation·(KH - 1) - 1) // stride + 1.

    Raises
    ------
    TypeError
        Other dtypes, or different ones; sizes that are not ints.
    ValueError
        Shapes that do not fit, a kernel larger than the padded input, groups that do not divide the channels, an
        unsuitable `out`.

    References
    ----------
    .. [1] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, sec. 4.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv2d
    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3)), padding=1)[0, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """
    window, options = Window(stride, padding, dilation), Options(activation, algorithm, out)
    return _convolve("conv2d", 2, x, weight, bias, window, groups, options)


def conv1d(
    x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, algorithm=None, out=None
):
    """Convolution over one axis: `conv2d` for sequences.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, L)``, or ``(C, L)``.
    weight : array
        Shape ``(M, C // groups, K)``, dtype of `x`.
    bias, stride, padding, dilation, groups, activation, algorithm, out
        As for `conv2d`, with one axis.

    Returns
    -------
    array
        Shape ``(N, M, OL)``, or ``(M, OL)``.

    Raises
    ------
    TypeError, ValueError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv1d
    >>> conv1d(np.array([[1.0, 2.0, 4.0, 8.0]]), np.array([[[-1.0, 1.0]]]))
    array([[1., 2., 4.]])
    """
    window, options = Window(stride, padding, dilation), Options(activation, algorithm, out)
    return _convolve("conv1d", 1, x, weight, bias, window, groups, options)


def conv3d(
    x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, algorithm=None, out=None
):
    """Convolution over three axes: `conv2d` for volumes.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, D, H, W)``, or ``(C, D, H, W)``.
    weight : array
        Shape ``(M, C // groups, KD, KH, KW)``, dtype of `x`.
    bias, stride, padding, dilation, groups, activation, algorithm, out
        As for `conv2d`, with three axes.

    Returns
    -------
    array
        Shape ``(N, M, OD, OH, OW)``, or ``(M, OD, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv3d
    >>> conv3d(np.ones((1, 2, 3, 3)), np.ones((1, 1, 2, 2, 2)))[0, 0]
    array([[8., 8.],
           [8., 8.]])
    """
    window, options = Window(stride, padding, dilation), Options(activation, algorithm, out)
    return _convolve("conv3d", 3, x, weight, bias, window, groups, options)


def conv2d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1, *, needs=(True, True, True)):
    """Gradients of `conv2d`.

    Parameters
    ----------
    dy : array
        Gradient of the result; with a fused activation, of the sum before it.
    x, weight, stride, padding, dilation, groups
        The forward's arguments.
    needs : tuple of bool
        Which of the gradients are needed.

    Returns
    -------
    dx, dweight, dbias : array or None
        Of the shapes of `x`, `weight` and ``(M,)``.

    Raises
    ------
    TypeError, ValueError
        As `conv2d`; also for a `dy` of another shape than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv2d_backward
    >>> x, weight = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))
    >>> dx, dweight, dbias = conv2d_backward(np.ones((1, 1, 2, 2)), x, weight)
    >>> dx[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    >>> dweight[0, 0], dbias
    (array([[4., 4.],
           [4., 4.]]), array([4.]))
    """
    window = Window(stride, padding, dilation)
    return _convolve_backward("conv2d_backward", 2, dy, x, weight, window, groups, needs)


def conv1d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1, *, needs=(True, True, True)):
    """Gradients of `conv1d`.

    Parameters
    ----------
    dy : array
        Gradient of the result; with a fused activation, of the sum before it.
    x, weight, stride, padding, dilation, groups
        The forward's arguments.
    needs : tuple of bool
        Which of the gradients are needed.

    Returns
    -------
    dx, dweight, dbias : array or None
        Of the shapes of `x`, `weight` and ``(M,)``.

    Raises
    ------
    TypeError, ValueError
        As `conv1d`; also for a `dy` of another shape than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv1d_backward
    >>> x, weight = np.array([[1.0, 2.0, 4.0]]), np.array([[[-1.0, 1.0]]])
    >>> conv1d_backward(np.array([[1.0, 1.0]]), x, weight)
    (array([[-1.,  0.,  1.]]), array([[[3., 6.]]]), array([2.]))
    """
    window = Window(stride, padding, dilation)
    return _convolve_backward("conv1d_backward", 1, dy, x, weight, window, groups, needs)


def conv3d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1, *, needs=(True, True, True)):
    """Gradients of `conv3d`.

    Parameters
    ----------
    dy : array
        Gradient of the result; with a fused activation, of the sum before it.
    x, weight, stride, padding, dilation, groups
        The forward's arguments.
    needs : tuple of bool
        Which of the gradients are needed.

    Returns
    -------
    dx, dweight, dbias : array or None
        Of the shapes of `x`, `weight` and ``(M,)``.

    Raises
    ------
    TypeError, ValueError
        As `conv3d`; also for a `dy` of another shape than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv3d_backward
    >>> x, weight = np.ones((1, 2, 3, 3)), np.ones((1, 1, 2, 2, 2))
    >>> dx, dweight, dbias = conv3d_backward(np.ones((1, 1, 2, 2)), x, weight, needs=(False, False, True))
    >>> dx is None, dbias
    (True, array([4.]))
    """
    window = Window(stride, padding, dilation)
    return _convolve_backward("conv3d_backward", 3, dy, x, weight, window, groups, needs)

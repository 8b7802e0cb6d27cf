"""The public transposed convolutions over one, two and three axes, and their gradients.

A transposed convolution is the gradient of a convolution with respect to its input, as an operation of its own.
"""

from kernels import _checks
from kernels.convolution import driver, geometry
from kernels.convolution.arguments import (
    Window,
    check_bias,
    check_channels,
    check_gradient,
    operands,
    result_of,
    transposed_geometry_of,
)
from kernels.gemm.driver import NO_BIAS


def _convolve_transposed(operation, rank, x, weight, bias, window, groups):
    """`conv_transpose2d` of any rank."""
    has_bias = bias is not None
    x, weight, bias, groups, batched = operands(operation, rank, weight, bias, groups, x=x)
    M = weight.shape[1] * groups
    check_channels(operation, x, weight, groups, weight.shape[0])
    if has_bias:
        check_bias(operation, bias, M)
    shape, sizes = transposed_geometry_of(operation, x, weight, window)
    result = result_of(operation, None, (len(x), M, *sizes), batched, x.dtype)
    driver.gather(x, weight, bias, result if batched else result[None], shape, groups)
    return result


def _convolve_transposed_backward(operation, rank, dy, x, weight, window, groups, needs):
    """`conv_transpose2d_backward` of any rank: the convolution is this one's gradient with respect to x."""
    dy, x, weight, _, groups, batched = operands(operation, rank, weight, None, groups, dy=dy, x=x)
    check_channels(operation, x, weight, groups, weight.shape[0])
    shape, sizes = transposed_geometry_of(operation, x, weight, window)
    check_gradient(operation, dy, (len(x), weight.shape[1] * groups, *sizes))
    dx = dweight = dbias = None
    if needs[0]:
        dx = _checks.new(x.shape, x.dtype)
        driver.correlate(dy, weight, NO_BIAS[x.dtype], False, dx, geometry.forward_plan(shape), groups)
        dx = dx if batched else dx[0]
    if needs[1]:
        dweight = driver.weight_gradient(x, dy, weight, shape, groups)
    if needs[2]:
        dbias = driver.bias_gradient(dy)
    return dx, dweight, dbias


def conv_transpose2d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Transposed convolution over two axes: what `conv2d` with the same weight has as gradient with respect to its
    input.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, H, W)``, or ``(C, H, W)``.
    weight : array
        Shape ``(C, M // groups, KH, KW)``, dtype of `x`.
    bias : array, optional
        Shape ``(M,)``.
    stride, padding, dilation : int or tuple
        Those of the convolution that is transposed.
    output_padding : int or tuple
        Elements more at the end of each axis: a convolution with a stride has the same result size for several input
        sizes. Less than stride or dilation.
    groups : int
        As for `conv2d`.

    Returns
    -------
    array
        Shape ``(N, M, OH, OW)``, or ``(M, OH, OW)``;
        OH = (H - 1)·stride - 2·padding + dilation·(KH - 1) + output_padding + 1.

    Raises
    ------
    TypeError, ValueError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv_transpose2d
    >>> conv_transpose2d(np.array([[[1.0, 2.0]]]), np.ones((1, 1, 1, 2)), stride=(1, 2))[0]
    array([[1., 1., 2., 2.]])
    """
    window = Window(stride, padding, dilation, output_padding)
    return _convolve_transposed("conv_transpose2d", 2, x, weight, bias, window, groups)


def conv_transpose1d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Transposed convolution over one axis: what `conv1d` with the same weight has as gradient with respect to
    its input.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, L)``, or ``(C, L)``.
    weight : array
        Shape ``(C, M // groups, K)``, dtype of `x`.
    bias, stride, padding, output_padding, groups, dilation
        As for `conv_transpose2d`, with one axis.

    Returns
    -------
    array
        Shape ``(N, M, OL)``, or ``(M, OL)``.

    Raises
    ------
    TypeError, ValueError
        As `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv_transpose1d
    >>> conv_transpose1d(np.array([[1.0, 2.0]]), np.array([[[1.0, 10.0, 100.0]]]))
    array([[  1.,  12., 120., 200.]])
    """
    window = Window(stride, padding, dilation, output_padding)
    return _convolve_transposed("conv_transpose1d", 1, x, weight, bias, window, groups)


def conv_transpose3d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Transposed convolution over three axes: what `conv3d` with the same weight has as gradient with respect to
    its input.

    Parameters
    ----------
    x : array, float32 or float64
        Shape ``(N, C, D, H, W)``, or ``(C, D, H, W)``.
    weight : array
        Shape ``(C, M // groups, KD, KH, KW)``, dtype of `x`.
    bias, stride, padding, output_padding, groups, dilation
        As for `conv_transpose2d`, with three axes.

    Returns
    -------
    array
        Shape ``(N, M, OD, OH, OW)``, or ``(M, OD, OH, OW)``.

    Raises
    ------
    TypeError, ValueError
        As `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv_transpose3d
    >>> conv_transpose3d(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 1, 2)))
    array([[[[1., 2., 1.]]]])
    """
    window = Window(stride, padding, dilation, output_padding)
    return _convolve_transposed("conv_transpose3d", 3, x, weight, bias, window, groups)


def conv_transpose2d_backward(
    dy, x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, needs=(True, True, True)
):
    """Gradients of `conv_transpose2d`.

    Parameters
    ----------
    dy : array
        Gradient of the result.
    x, weight, stride, padding, output_padding, groups, dilation
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
        As `conv_transpose2d`; also for a `dy` of another shape than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv_transpose2d_backward
    >>> x, weight = np.array([[[1.0, 2.0]]]), np.ones((1, 1, 1, 2))
    >>> dx, dweight, dbias = conv_transpose2d_backward(np.ones((1, 1, 3)), x, weight)
    >>> dx, dweight[0, 0], dbias
    (array([[[2., 2.]]]), array([[3., 3.]]), array([3.]))
    """
    window = Window(stride, padding, dilation, output_padding)
    return _convolve_transposed_backward("conv_transpose2d_backward", 2, dy, x, weight, window, groups, needs)


def conv_transpose1d_backward(
    dy, x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, needs=(True, True, True)
):
    """Gradients of `conv_transpose1d`.

    Parameters
    ----------
    dy : array
        Gradient of the result.
    x, weight, stride, padding, output_padding, groups, dilation
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
        As `conv_transpose1d`; also for a `dy` of another shape than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv_transpose1d_backward
    >>> x, weight = np.array([[1.0, 2.0]]), np.array([[[1.0, 10.0, 100.0]]])
    >>> conv_transpose1d_backward(np.ones((1, 4)), x, weight)
    (array([[111., 111.]]), array([[[3., 3., 3.]]]), array([4.]))
    """
    window = Window(stride, padding, dilation, output_padding)
    return _convolve_transposed_backward("conv_transpose1d_backward", 1, dy, x, weight, window, groups, needs)


def conv_transpose3d_backward(
    dy, x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, needs=(True, True, True)
):
    """Gradients of `conv_transpose3d`.

    Parameters
    ----------
    dy : array
        Gradient of the result.
    x, weight, stride, padding, output_padding, groups, dilation
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
        As `conv_transpose3d`; also for a `dy` of another shape than the result.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv_transpose3d_backward
    >>> x, weight = np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 1, 2))
    >>> dx, dweight, dbias = conv_transpose3d_backward(np.ones((1, 1, 1, 3)), x, weight, needs=(True, False, True))
    >>> dx, dbias
    (array([[[[2., 2.]]]]), array([3.]))
    """
    window = Window(stride, padding, dilation, output_padding)
    return _convolve_transposed_backward("conv_transpose3d_backward", 3, dy, x, weight, window, groups, needs)

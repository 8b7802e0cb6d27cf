"""The public convolutions: ranks, layouts and errors around the loops."""

import math

from kernels import _checks
from kernels.convolution import correlation, depthwise, geometry, row_gradient, weight_gradient, winograd
from kernels.gemm.driver import NO_BIAS
from kernels.reduction import sum as sum_over

WINOGRAD = ("winograd2", "winograd4")
ALGORITHMS = (None, "direct", *WINOGRAD)
MOST_BYTES = 2**47  # more than a process can address


def _operands(operation, rank, weight, bias, groups, **arrays):
    """The arrays with a batch axis, weight, bias (of size 0 for None), groups, and whether there was a batch axis."""
    arrays = {name: _checks.floats(operation, name, array) for name, array in arrays.items()}
    weight = _checks.floats(operation, "weight", weight)
    given = {} if bias is None else {"bias": _checks.floats(operation, "bias", bias)}
    _checks.same_dtype(operation, **arrays, weight=weight, **given)
    for name, array in arrays.items():
        if array.ndim not in (rank + 1, rank + 2):
            raise ValueError(
                f"{operation}: {name} must have {rank + 2} dimensions, or {rank + 1} without a batch, got {array.shape}"
            )
    if weight.ndim != rank + 2:
        raise ValueError(f"{operation}: weight must have {rank + 2} dimensions, got {weight.shape}")
    if len({array.ndim for array in arrays.values()}) > 1:
        found = ", ".join(f"{name} is {array.shape}" for name, array in arrays.items())
        raise ValueError(f"{operation}: either all arrays have a batch axis or none: {found}")
    batched = array.ndim == rank + 2
    batches = [array if batched else array[None] for array in arrays.values()]
    bias = given.get("bias", NO_BIAS[weight.dtype])
    return *batches, weight, bias, geometry.whole(operation, "groups", groups), batched


def _check_channels(operation, x, weight, groups, expected, outputs, bias):
    """x has the `expected` channels that weight needs, groups divide them and the outputs, and bias has those."""
    if weight.shape[0] % groups:
        raise ValueError(f"{operation}: weight {weight.shape} must have a multiple of groups {groups} in front")
    if x.shape[1] != expected:
        raise ValueError(
            f"{operation}: weight {weight.shape} with groups {groups} needs {expected} channels, x has {x.shape[1]}"
        )
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(f"{operation}: bias must have shape {(outputs,)}, got {bias.shape}")


def _result(operation, out, shape, batched, dtype, **inputs):
    """The array of the result, without a batch axis if the input had none."""
    if math.prod(shape) * dtype.itemsize >= MOST_BYTES:
        raise ValueError(f"{operation}: the result would have shape {shape}, which is too large")
    result = _checks.output(operation, out, shape if batched else shape[1:], dtype)
    if out is not None:
        _checks.no_overlap(operation, out, **inputs)
    return result


def _fill(out, bias):
    """The result where there is nothing to sum."""
    out[...] = bias.reshape(-1, *(1,) * (out.ndim - 2)) if bias.size else 0


def _correlate(operation, x, weight, bias, relu, out, shape, groups, algorithm):
    """The convolution; arrays with a batch axis."""
    plan = geometry.forward_plan(shape)
    if algorithm in WINOGRAD and not winograd.fits(plan):
        raise ValueError(
            f"{operation}: algorithm {algorithm!r} needs 3 x 3 taps, stride 1 and dilation 1, got a kernel of "
            f"{weight.shape[2:]}, stride {shape.stride}, dilation {shape.dilation}"
        )
    if out.size == 0 or x.size == 0:
        _fill(out, bias)
        if relu and out.size:
            out.clip(0, out=out)
    else:
        _run(x, weight, bias, relu, out, plan, groups, algorithm=algorithm)


def _gather(dy, weight, bias, out, shape, groups):
    """The convolution's gradient for x, plus bias; arrays with a batch axis."""
    plans = list(geometry.gather_plans(shape))
    if dy.size == 0 or out.size == 0 or any(not plan[correlation.ROUNDS].all() for plan, _, _ in plans):
        _fill(out, bias)
    if dy.size and out.size:
        for plan, first_tap, first_out in plans:
            if plan[correlation.ROUNDS].all():
                _run(dy, weight, bias, False, out, plan, groups, True, first_tap, first_out)


def _run(x, weight, bias, relu, out, plan, groups, turned=False, first_tap=0, first_out=0, algorithm=None):
    """The loops that suit the plan, unless the algorithm is given."""
    if (
        algorithm is None
        and winograd.fits(plan)
        and winograd.pays(x.shape[1] // groups, out.shape[1] // groups, x.itemsize)
    ):
        algorithm = "winograd2"
    if algorithm in WINOGRAD:
        winograd.run(x, weight, bias, relu, out, plan, groups, turned, first_tap, algorithm)
    elif groups == x.shape[1] == out.shape[1]:
        depthwise.run(x, weight, bias, relu, out, plan, first_tap, first_out)
    else:
        correlation.run(x, weight, bias, relu, out, plan, groups, turned, first_tap, first_out)


def _weight_gradient(dy, x, weight, shape, groups):
    if dy.size == 0 or x.size == 0:
        dweight = _checks.new(weight.shape, weight.dtype)
        dweight.fill(0)
        return dweight
    plan = geometry.forward_plan(shape)
    if groups == x.shape[1] == dy.shape[1]:
        return depthwise.run_gradient(dy, x, _checks.new(weight.shape, weight.dtype), plan)
    if row_gradient.fits(plan, x.shape[1] // groups, dy.shape[1] // groups, x.itemsize):
        return row_gradient.run(dy, x, weight.shape, plan, groups)
    return weight_gradient.run(dy, x, weight.shape, plan, groups)


def _bias_gradient(dy):
    return sum_over(dy.reshape(*dy.shape[:2], math.prod(dy.shape[2:])), (0, 2))


def convolve(operation, rank, x, weight, bias, stride, padding, dilation, groups, activation, algorithm, out):
    """`conv2d` of any rank."""
    no_bias = bias is None
    x, weight, bias, groups, batched = _operands(operation, rank, weight, bias, groups, x=x)
    outputs = weight.shape[0]
    _check_channels(operation, x, weight, groups, weight.shape[1] * groups, outputs, None if no_bias else bias)
    _checks.choice(operation, "activation", activation, (None, "relu"))
    _checks.choice(operation, "algorithm", algorithm, ALGORITHMS)
    shape, counts = geometry.convolution(operation, x.shape[2:], weight.shape[2:], stride, padding, dilation)
    result = _result(operation, out, (len(x), outputs, *counts), batched, x.dtype, x=x, weight=weight, bias=bias)
    _correlate(
        operation, x, weight, bias, activation == "relu", result if batched else result[None], shape, groups, algorithm,
    )  # fmt: skip
    return result


def convolve_backward(operation, rank, dy, x, weight, stride, padding, dilation, groups, needs):
    """`conv2d_backward` of any rank."""
    dy, x, weight, _, groups, batched = _operands(operation, rank, weight, None, groups, dy=dy, x=x)
    _check_channels(operation, x, weight, groups, weight.shape[1] * groups, weight.shape[0], None)
    shape, counts = geometry.convolution(operation, x.shape[2:], weight.shape[2:], stride, padding, dilation)
    if dy.shape != (len(x), len(weight), *counts):
        raise ValueError(f"{operation}: dy must have shape {(len(x), len(weight), *counts)}, got {dy.shape}")
    dx = dweight = dbias = None
    if needs[0]:
        dx = _checks.new(x.shape, x.dtype)
        _gather(dy, weight, NO_BIAS[x.dtype], dx, shape, groups)
        dx = dx if batched else dx[0]
    if needs[1]:
        dweight = _weight_gradient(dy, x, weight, shape, groups)
    if needs[2]:
        dbias = _bias_gradient(dy)
    return dx, dweight, dbias


def convolve_transposed(operation, rank, x, weight, bias, stride, padding, output_padding, groups, dilation):
    """`conv_transpose2d` of any rank."""
    no_bias = bias is None
    x, weight, bias, groups, batched = _operands(operation, rank, weight, bias, groups, x=x)
    outputs = weight.shape[1] * groups
    _check_channels(operation, x, weight, groups, weight.shape[0], outputs, None if no_bias else bias)
    shape, sizes = geometry.transposed(
        operation, x.shape[2:], weight.shape[2:], stride, padding, output_padding, dilation
    )
    result = _result(operation, None, (len(x), outputs, *sizes), batched, x.dtype)
    _gather(x, weight, bias, result if batched else result[None], shape, groups)
    return result


def convolve_transposed_backward(
    operation, rank, dy, x, weight, stride, padding, output_padding, groups, dilation, needs
):  # fmt: skip
    """`conv_transpose2d_backward` of any rank: the convolution's forward is this one's gradient for x."""
    dy, x, weight, _, groups, batched = _operands(operation, rank, weight, None, groups, dy=dy, x=x)
    outputs = weight.shape[1] * groups
    _check_channels(operation, x, weight, groups, weight.shape[0], outputs, None)
    shape, sizes = geometry.transposed(
        operation, x.shape[2:], weight.shape[2:], stride, padding, output_padding, dilation
    )
    if dy.shape != (len(x), outputs, *sizes):
        raise ValueError(f"{operation}: dy must have shape {(len(x), outputs, *sizes)}, got {dy.shape}")
    dx = dweight = dbias = None
    if needs[0]:
        dx = _checks.new(x.shape, x.dtype)
        _correlate(operation, dy, weight, NO_BIAS[x.dtype], False, dx, shape, groups, None)
        dx = dx if batched else dx[0]
    if needs[1]:
        dweight = _weight_gradient(x, dy, weight, shape, groups)
    if needs[2]:
        dbias = _bias_gradient(dy)
    return dx, dweight, dbias


def conv2d(
    x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, algorithm=None, out=None
):  # fmt: skip
    """Convolution (in truth a cross-correlation) over two axes.

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
        Each of `groups` equal parts of the channels makes its own part of the outputs.
    activation : {None, "relu"}
        Applied to the result while it is in registers.
    algorithm : {None, "direct", "winograd2", "winograd4"}
        "winograd2" is F(2 × 2, 3 × 3), for 3 × 3 taps with stride and dilation 1: less work, and errors of up to three
        times those of "direct"; a NaN or infinity in `x` makes NaN of all outputs of the 2 × 2 pieces that see it. None
        takes it where it is faster, from two vectors of channels on. "winograd4" is F(4 × 4, 3 × 3), never chosen by
        itself: it takes 0.65 of the time of "winograd2" where 4 × 4 pieces cover the result well (64 channels of
        56 × 56), 0.8 of 14 × 14, and its errors are 5 to 8 times those of "direct" (root mean square, 3 to 512 channels
        of normal numbers; 1 to 3 times where no terms cancel). The gradients are those of None.
    out : array, optional
        C-contiguous, of the result's shape and dtype, not overlapping the others.

    Returns
    -------
    array
        Shape ``(N, M, OH, OW)``, or ``(M, OH, OW)``; OH = (H + 2·padding - dilation·(KH - 1) - 1) // stride + 1.

    Raises
    ------
    TypeError
        Other dtypes, or different ones; sizes that are no ints.
    ValueError
        Shapes that do not fit, a kernel that reaches further than the padded input, groups that do not divide the
        channels, an unsuitable `out`.

    Examples
    --------
    >>> import numpy as np
    >>> from kernels import conv2d
    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3)), padding=1)[0, 0]
    array([[4., 6., 4.],
           [6., 9., 6.],
           [4., 6., 4.]])
    """
    return convolve("conv2d", 2, x, weight, bias, stride, padding, dilation, groups, activation, algorithm, out)


def conv1d(
    x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, algorithm=None, out=None
):  # fmt: skip
    """`conv2d` over one axis: x ``(N, C, L)``, weight ``(M, C // groups, K)``."""
    return convolve("conv1d", 1, x, weight, bias, stride, padding, dilation, groups, activation, algorithm, out)


def conv3d(
    x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, *, activation=None, algorithm=None, out=None
):  # fmt: skip
    """`conv2d` over three axes: x ``(N, C, D, H, W)``, weight ``(M, C // groups, KD, KH, KW)``."""
    return convolve("conv3d", 3, x, weight, bias, stride, padding, dilation, groups, activation, algorithm, out)


def conv2d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1, *, needs=(True, True, True)):
    """Gradients of `conv2d`.

    Parameters
    ----------
    dy : array
        Gradient of the result; with a fused activation, of the sum before it.
    x, weight, stride, padding, dilation, groups
        The forward's arguments.
    needs : tuple of bool
        Which of the gradients are wanted.

    Returns
    -------
    dx, dweight, dbias : array or None
        Of the shapes of `x`, `weight` and ``(M,)``.

    Raises
    ------
    TypeError, ValueError
        As `conv2d`; also for a `dy` of another shape than the result.
    """
    return convolve_backward("conv2d_backward", 2, dy, x, weight, stride, padding, dilation, groups, needs)


def conv1d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1, *, needs=(True, True, True)):
    """Gradients of `conv1d`, as `conv2d_backward`."""
    return convolve_backward("conv1d_backward", 1, dy, x, weight, stride, padding, dilation, groups, needs)


def conv3d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1, *, needs=(True, True, True)):
    """Gradients of `conv3d`, as `conv2d_backward`."""
    return convolve_backward("conv3d_backward", 3, dy, x, weight, stride, padding, dilation, groups, needs)


def conv_transpose2d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Transposed convolution over two axes: what `conv2d` with the same weight has as gradient for its input.

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
    return convolve_transposed(
        "conv_transpose2d", 2, x, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose1d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """`conv_transpose2d` over one axis: x ``(N, C, L)``, weight ``(C, M // groups, K)``."""
    return convolve_transposed(
        "conv_transpose1d", 1, x, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """`conv_transpose2d` over three axes: x ``(N, C, D, H, W)``, weight ``(C, M // groups, KD, KH, KW)``."""
    return convolve_transposed(
        "conv_transpose3d", 3, x, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d_backward(
    dy, x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, needs=(True, True, True)
):  # fmt: skip
    """Gradients of `conv_transpose2d`, as `conv2d_backward`."""
    return convolve_transposed_backward(
        "conv_transpose2d_backward", 2, dy, x, weight, stride, padding, output_padding, groups, dilation, needs
    )


def conv_transpose1d_backward(
    dy, x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, needs=(True, True, True)
):  # fmt: skip
    """Gradients of `conv_transpose1d`, as `conv2d_backward`."""
    return convolve_transposed_backward(
        "conv_transpose1d_backward", 1, dy, x, weight, stride, padding, output_padding, groups, dilation, needs
    )


def conv_transpose3d_backward(
    dy, x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, needs=(True, True, True)
):  # fmt: skip
    """Gradients of `conv_transpose3d`, as `conv2d_backward`."""
    return convolve_transposed_backward(
        "conv_transpose3d_backward", 3, dy, x, weight, stride, padding, output_padding, groups, dilation, needs
    )

"""Normalisation. The forward saves mean and rstd for the backward, where a gradient is needed."""

import numpy as np

import kernels
from nn.autograd.recomposed import recomposed, summed
from nn.functional import composed
from nn.functional.arguments import checked
from nn.grad_mode import is_grad_enabled
from nn.operations.arguments import array_of, bool_of, scalar_of
from nn.storage import edge
from nn.tape import record, record_several

__all__ = ["add_layer_norm", "batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm"]
__all__ += ["rms_norm"]


def _data(name, tensor, argument="weight"):
    return None if tensor is None else array_of(name, tensor, argument)


def _needs(*tensors):
    return tuple(tensor is not None and tensor.requires_grad for tensor in tensors)


def _saved(needs, shape, dtype, names=("mean", "rstd")):
    """Arrays, by name, that the forward kernel fills for the backward; empty if nothing needs a gradient."""
    return {name: np.empty(shape, dtype) for name in names} if any(needs) and is_grad_enabled() else {}


def _numbers(name, momentum, eps):
    return scalar_of(name, "momentum", momentum), scalar_of(name, "eps", eps)


def batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Normalise each channel over the batch.

    Parameters
    ----------
    input : Tensor (N, C) or (N, C, ...)
    running_mean, running_var : Tensor (C,), or None in training
        The statistics used in evaluation; in training, those of the batch are used, and these are updated in place.
    weight, bias : Tensor (C,), optional
        Scale and shift of the result.
    training : bool, default False
    momentum : float, default 0.1
        Weight of this batch in the new running statistics.
    eps : float, default 1e-5
        Added to the variance; positive in training.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.

    Reference: Ioffe and Szegedy, "Batch Normalization" (2015), algorithm 1.

    Examples
    --------
    >>> import nn
    >>> nn.functional.batch_norm(nn.tensor([[1.0], [4.0]]), nn.tensor([2.0]), nn.tensor([4.0]), eps=0.0).tolist()
    [[-0.5], [1.0]]
    """
    if training is not True and training is not False:
        training = bool_of("batch_norm", "training", training)
    if type(momentum) is not float or type(eps) is not float:
        momentum, eps = _numbers("batch_norm", momentum, eps)
    x, w, b = checked("batch_norm", input).array, _data("batch_norm", weight), _data("batch_norm", bias, "bias")
    needs = _needs(input, weight, bias)
    saved = _saved(needs, x.shape[1:2], x.dtype)
    running = _data("batch_norm", running_mean, "running_mean"), _data("batch_norm", running_var, "running_var")
    y = kernels.batch_norm(x, *running, w, b, training, momentum, eps, **saved)
    if training and running_mean is not None:
        running_mean.mark_changed()
        running_var.mark_changed()

    def backward(dy):
        return kernels.batch_norm_backward(dy, x, saved["mean"], saved["rstd"], w, training, needs=needs)

    def compose(x, w, b):
        if training:
            return composed.normalized_channels(x, w, b, eps)
        return composed.normalized_by(x, w, b, saved["mean"], saved["rstd"])

    derivative = recomposed(compose, b if needs[2] else None)
    return record("batch_norm", y, (input, weight, bias), backward, (input, weight), derivative=derivative)


def instance_norm(
    input,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
):
    """Normalise each channel of each sample over its positions.

    Parameters
    ----------
    input : Tensor (N, C, ...)
    running_mean, running_var : Tensor (C,), optional
        The statistics used without `use_input_stats`; with it, they are updated in place.
    weight, bias : Tensor (C,), optional
        Scale and shift of the result.
    use_input_stats : bool, default True
        Whether to normalise by the statistics of the input.
    momentum, eps
        As for `batch_norm`.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.

    Reference: Ulyanov et al., "Instance Normalization" (2016), equation 4.
    """
    use_input_stats = bool_of("instance_norm", "use_input_stats", use_input_stats)
    momentum, eps = _numbers("instance_norm", momentum, eps)
    name = "instance_norm"
    x, w, b = checked(name, input).array, _data(name, weight), _data(name, bias, "bias")
    needs = _needs(input, weight, bias)
    saved = _saved(needs, x.shape[:2] if use_input_stats else x.shape[1:2], x.dtype)
    running = _data("instance_norm", running_mean, "running_mean"), _data("instance_norm", running_var, "running_var")
    y = kernels.instance_norm(x, *running, w, b, use_input_stats, momentum, eps, **saved)
    if use_input_stats and running_mean is not None:
        running_mean.mark_changed()
        running_var.mark_changed()

    def backward(dy):
        return kernels.instance_norm_backward(dy, x, saved["mean"], saved["rstd"], w, use_input_stats, needs=needs)

    def compose(x, w, b):
        if use_input_stats:
            return composed.normalized_groups(x, w, b, x.shape[1], eps)
        return composed.normalized_by(x, w, b, saved["mean"], saved["rstd"])

    derivative = recomposed(compose, b if needs[2] else None)
    return record("instance_norm", y, (input, weight, bias), backward, (input, weight), derivative=derivative)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    """Normalise over the last dimensions.

    Parameters
    ----------
    input : Tensor (..., *normalized_shape)
    normalized_shape : int or tuple of int
        The lengths of those dimensions.
    weight, bias : Tensor of `normalized_shape`, optional
        Scale and shift of the result.
    eps : float, default 1e-5
        Added to the variance.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.

    Reference: Ba et al., "Layer Normalization" (2016), equation 4.

    Examples
    --------
    >>> import nn
    >>> nn.functional.layer_norm(nn.tensor([1.0, 3.0]), (2,), eps=0.0)
    tensor([-1.,  1.])
    """
    if type(eps) is not float:
        eps = scalar_of("layer_norm", "eps", eps)
    x, w, b = checked("layer_norm", input).array, _data("layer_norm", weight), _data("layer_norm", bias, "bias")
    needs = _needs(input, weight, bias)
    saved = _saved(needs, _leading(x, normalized_shape), x.dtype)
    y = kernels.layer_norm(x, normalized_shape, w, b, eps, **saved)

    def backward(dy):
        return kernels.layer_norm_backward(dy, x, normalized_shape, saved["mean"], saved["rstd"], w, needs=needs)

    derivative = recomposed(
        lambda x, w, b: composed.normalized(x, w, b, _count(normalized_shape), eps), b if needs[2] else None
    )
    return record("layer_norm", y, (input, weight, bias), backward, (input, weight), derivative=derivative)


def add_layer_norm(input, residual, normalized_shape, weight=None, bias=None, eps=1e-5, return_sum=False):
    """``layer_norm(input + residual)`` in one pass over memory.

    Parameters
    ----------
    input, residual : Tensor (..., *normalized_shape)
    normalized_shape, weight, bias, eps
        As for `layer_norm`.
    return_sum : bool, default False
        Whether to return the sum as well.

    Returns
    -------
    Tensor of the shape of `input`
        With `return_sum`, a pair of it and the sum.

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.
    """
    eps = scalar_of("add_layer_norm", "eps", eps)
    return_sum = bool_of("add_layer_norm", "return_sum", return_sum)
    name = "add_layer_norm"
    x, r = checked(name, input).array, checked(name, residual, "residual").array
    w, b = _data(name, weight), _data(name, bias, "bias")
    inputs = input, residual, weight, bias
    needs = _needs(*inputs)
    saved = _saved(needs, _leading(x, normalized_shape), x.dtype)
    total = np.empty(x.shape, x.dtype) if saved or return_sum else None
    y = kernels.add_layer_norm(x, r, normalized_shape, w, b, eps, sum=total, **saved)

    def backward(dy, dsum=None):
        if dy is None:
            dy = np.zeros_like(total)
        statistics = saved["mean"], saved["rstd"]
        dx, dresidual, *others = kernels.add_layer_norm_backward(
            dy, total, normalized_shape, *statistics, w, dsum=dsum, needs=needs
        )
        return dx, None if dresidual is None else dresidual.view(), *others  # a view: dx is the same array

    def compose(x, w, b):
        return composed.normalized(x, w, b, _count(normalized_shape), eps)

    leaf = b if needs[3] else None
    if return_sum:

        def derivative_of_both(dys, weight, total):
            dtotal, dweight, dbias = (
                recomposed(compose, leaf)(dys[0], total, weight) if dys[0] is not None else (None,) * 3
            )
            dx = dtotal if dys[1] is None else dys[1] if dtotal is None else dtotal + dys[1]
            return dx, dx, dweight, dbias

        return record_several(
            "add_layer_norm",
            (y, total),
            inputs,
            backward,
            (weight,),
            derivative=derivative_of_both,
            saves_results=(1,),
        )
    ends = [edge(input), edge(residual)]

    def derivative(dy, weight):
        dx, dweight, dbias = recomposed(compose, leaf)(dy, summed(total, ends), weight)
        return dx, dx, dweight, dbias

    return record("add_layer_norm", y, inputs, backward, (weight,), derivative=derivative)


def rms_norm(input, normalized_shape, weight=None, eps=None):
    """Divide by the root of the mean square over the last dimensions.

    Parameters
    ----------
    input : Tensor (..., *normalized_shape)
    normalized_shape : int or tuple of int
        The lengths of those dimensions.
    weight : Tensor of `normalized_shape`, optional
        Scale of the result.
    eps : float, optional
        Added to the mean square; by default the machine epsilon of the dtype.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.

    Reference: Zhang and Sennrich, "Root Mean Square Layer Normalization" (2019), equation 4.
    """
    if eps is not None:
        eps = scalar_of("rms_norm", "eps", eps)
    x, w, needs = checked("rms_norm", input).array, _data("rms_norm", weight), _needs(input, weight)
    saved = _saved(needs, _leading(x, normalized_shape), x.dtype, ("rstd",))
    y = kernels.rms_norm(x, normalized_shape, w, eps, **saved)

    def backward(dy):
        return kernels.rms_norm_backward(dy, x, normalized_shape, saved["rstd"], w, needs=needs)

    derivative = recomposed(lambda x, w: composed.normalized_by_root_mean_square(x, w, _count(normalized_shape), eps))
    return record("rms_norm", y, (input, weight), backward, (input, weight), derivative=derivative)


def _leading(x, normalized_shape):
    """The lengths of the dimensions before the normalised ones; the kernel validates the shapes."""
    return x.shape[: max(x.ndim - _count(normalized_shape), 0)]


def _count(normalized_shape):
    """The number of the normalised dimensions."""
    return 1 if isinstance(normalized_shape, (int, np.integer)) else len(normalized_shape)


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5):
    """Normalise each group of channels of each sample.

    Parameters
    ----------
    input : Tensor (N, C) or (N, C, ...)
    num_groups : int
        Divides C.
    weight, bias : Tensor (C,), optional
        Scale and shift of the result.
    eps : float, default 1e-5
        Added to the variance.

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.

    Reference: Wu and He, "Group Normalization" (2018), equation 7.
    """
    eps = scalar_of("group_norm", "eps", eps)
    x, w, b = checked("group_norm", input).array, _data("group_norm", weight), _data("group_norm", bias, "bias")
    needs = _needs(input, weight, bias)
    saved = _saved(needs, (*x.shape[:1], num_groups), x.dtype) if isinstance(num_groups, int) else {}
    y = kernels.group_norm(x, num_groups, w, b, eps, **saved)

    def backward(dy):
        return kernels.group_norm_backward(dy, x, num_groups, saved["mean"], saved["rstd"], w, needs=needs)

    derivative = recomposed(
        lambda x, w, b: composed.normalized_groups(x, w, b, num_groups, eps), b if needs[2] else None
    )
    return record("group_norm", y, (input, weight, bias), backward, (input, weight), derivative=derivative)


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0):
    """Divide by ``(k + alpha * mean of the squares over `size` neighbouring channels) ** beta``.

    Parameters
    ----------
    input : Tensor (N, C, ...) of at least three dimensions
    size : int
    alpha, beta, k : float, default 1e-4, 0.75 and 1.0

    Returns
    -------
    Tensor of the shape of `input`

    Raises
    ------
    TypeError, ValueError
        Dtypes or shapes do not match.

    Reference: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks" (2012), section 3.3.
    """
    x = checked("local_response_norm", input).array
    name = "local_response_norm"
    alpha, beta = scalar_of(name, "alpha", alpha), scalar_of(name, "beta", beta)
    size, k = scalar_of(name, "size", size), scalar_of(name, "k", k)

    def backward(dy):
        return kernels.local_response_norm_backward(dy, x, size, alpha, beta, k)

    y = kernels.local_response_norm(x, size, alpha, beta, k)
    derivative = recomposed(lambda x: composed.local_response(x, size, alpha, beta, k))
    return record("local_response_norm", y, (input,), backward, (input,), derivative=derivative)

"""Metrics of a batch, means over its rows: `nn.training` averages them over batches, and takes them by name."""

import numpy as np

__all__ = ["METRICS", "accuracy", "binary_accuracy", "mean_absolute_error", "mean_squared_error", "top_5_accuracy"]


def accuracy(output, target):
    """The fraction of rows in which the target class has the largest score.

    Parameters
    ----------
    output : Tensor
        Scores (N, C).
    target : Tensor
        Class indices (N,).

    Returns
    -------
    float

    Examples
    --------
    >>> import nn
    >>> nn.metrics.accuracy(nn.Tensor([[0.1, 0.9], [0.8, 0.2]]), nn.Tensor([1, 1]))
    0.5
    """
    return float((output.array.argmax(axis=-1) == target.array).mean())


def top_5_accuracy(output, target):
    """The fraction of rows in which fewer than five classes have a larger score than the target class.

    Parameters
    ----------
    output : Tensor
        Scores (N, C).
    target : Tensor
        Class indices (N,).
    """
    scores = output.array
    own = np.take_along_axis(scores, target.array[:, None], axis=1)
    return float(((scores > own).sum(axis=1) < 5).mean())


def binary_accuracy(output, target):
    """The fraction of elements whose logit has the sign of its target: above 0 for 1, else 0.

    Parameters
    ----------
    output : Tensor
        Logits.
    target : Tensor of the same shape
        0 or 1, of any dtype.
    """
    _check_shapes("binary_accuracy", output, target)
    return float(((output.array > 0) == (target.array > 0.5)).mean())


def mean_absolute_error(output, target):
    """The mean of |output - target|.

    Parameters
    ----------
    output, target : Tensor, of one shape
    """
    _check_shapes("mean_absolute_error", output, target)
    return float(np.abs(output.array - target.array).mean(dtype=np.float64))


def mean_squared_error(output, target):
    """The mean of (output - target)².

    Parameters
    ----------
    output, target : Tensor, of one shape
    """
    _check_shapes("mean_squared_error", output, target)
    return float(np.square(output.array - target.array).mean(dtype=np.float64))


def _check_shapes(name, output, target):
    """Outputs (N, 1) and targets (N,) would be compared all with all."""
    if output.array.shape != target.array.shape:
        raise ValueError(f"{name}: shapes differ: output is {output.array.shape}, target is {target.array.shape}")


METRICS = {
    each.__name__: each for each in (accuracy, binary_accuracy, mean_absolute_error, mean_squared_error, top_5_accuracy)
}


def named_metrics(metrics):
    """What `fit` and `evaluate` take as metrics, as a dict of names and functions.

    Raises
    ------
    ValueError
        A name that is not in `METRICS`.
    TypeError
        Neither names nor functions.
    """
    if isinstance(metrics, dict):
        return metrics
    found = {}
    for each in (metrics,) if isinstance(metrics, str) or callable(metrics) else metrics or ():
        if isinstance(each, str):
            if each not in METRICS:
                raise ValueError(f"metrics: there is none named {each!r}; there are {', '.join(METRICS)}")
            found[each] = METRICS[each]
        elif callable(each):
            found[getattr(each, "__name__", type(each).__name__)] = each
        else:
            raise TypeError(f"metrics: must be names or functions (output, target), got {type(each).__name__}")
    return found

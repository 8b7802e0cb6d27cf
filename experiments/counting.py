"""Counting the arithmetic of the tape: the kernels' NumPy reference on arrays that count.

Each ufunc adds its number of results, each sum the number of its terms, each matrix product 2 M K N, each selection its
number of elements; an elementary function counts as one operation.
"""

import importlib
import inspect
import pkgutil
from contextlib import contextmanager
from unittest import mock

import numpy as np

import kernels
import nn
from kernels import reference
from nn.functional import recurrent, time_loop


class Counted(np.ndarray):
    """An array that counts the arithmetic done with it."""

    total = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        arrays = plain(inputs)
        result = getattr(ufunc, method)(*arrays, **{key: plain(value) for key, value in options.items()})
        if ufunc.signature:  # a matrix product
            Counted.total += 2 * np.size(result) * arrays[0].shape[-1]
        else:
            Counted.total += {"reduce": np.size(arrays[0]), "at": np.size(arrays[-1])}.get(method, np.size(result))
        return counting(result)

    def __array_function__(self, function, types, arguments, options):
        if function is np.where:
            Counted.total += np.size(arguments[0])
        return counting(super().__array_function__(function, types, arguments, options))


def plain(value):
    if isinstance(value, tuple | list):
        return type(value)(plain(item) for item in value)
    return value.view(np.ndarray) if isinstance(value, Counted) else value


def counting(value):
    if isinstance(value, tuple | list):
        return type(value)(counting(item) for item in value)
    return value.view(Counted) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


@contextmanager
def counted_kernels():
    """Within it, `kernels` are the NumPy reference on counting arrays, and new arrays count as well."""
    found = {}
    for module in pkgutil.iter_modules(reference.__path__):
        family = importlib.import_module(f"kernels.reference.{module.name}")
        found |= {name: f for name, f in inspect.getmembers(family, callable) if hasattr(kernels, name)}

    def wrapped(name, function):
        accepted = inspect.signature(function).parameters

        def call(*arguments, **options):
            if name.startswith("linear_cross_entropy"):  # the compiled one may fill gradients beforehand
                options = {k: value for k, value in options.items() if k in accepted}
            with mock.patch.multiple(np, zeros=zeros, empty=empty, asarray=np.asanyarray):
                return plain(function(*counting(arguments), **{k: counting(value) for k, value in options.items()}))

        return call

    zeros, empty = (lambda *shape, make=make, **dtype: counting(make(*shape, **dtype)) for make in (np.zeros, np.empty))
    with (
        mock.patch.multiple(kernels, **{name: wrapped(name, function) for name, function in found.items()}),
        mock.patch.multiple(recurrent, **_recurrent_layers()),
    ):
        yield


def _recurrent_layers():
    """GRU and RNN hold their kernels from their import: once more, with those that `kernels` has now."""
    made = {}
    for layer in (time_loop.GRU, time_loop.RNN):
        forward, backward = getattr(kernels, layer.name), getattr(kernels, f"{layer.name}_backward")
        pair = time_loop._single(forward, backward)
        made[layer.name.upper()] = layer._replace(forward=pair[0], backward=pair[1])
    return made


def counted_flops(function, inputs, arrays, v):
    """[forward, backward]: the arithmetic of a function of tensors, and of its gradients."""
    tensors = [nn.tensor(a, requires_grad=i.differentiated) for a, i in zip(arrays, inputs, strict=True)]
    with counted_kernels():
        start, ys = Counted.total, function(tensors)
        forward = Counted.total - start
        total = sum((y * nn.tensor(vi)).sum() for y, vi in zip(ys, v, strict=True))
        start = Counted.total
        total.backward()
        return [int(forward), int(Counted.total - start)]

"""Files of tensors: `save` writes safetensors, `load` reads those and PyTorch's ``.pt`` files; neither runs code.

A file that `save` writes is a safetensors file, readable by other tools, whose metadata describes the dicts, lists and
tuples that the tensors were in. PyTorch's files are pickles; `nn.pickles` interprets the few instructions that build
containers, numbers and tensors and refuses all others.
"""

import io
import json
import os
import pickle
import sys
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from nn import pickles
from nn.checkpoint import safetensors_module, write_atomically
from nn.module import Module
from nn.parameter import Parameter
from nn.tensor import Tensor

STRUCTURE = "innerloop.structure"
PLAIN = (bool, int, float, str, type(None))


def save(obj, f):
    """Write a tensor, or dicts, lists and tuples of tensors, numbers and strings, to a safetensors file.

    A module, which is code as well as tensors, is pickled, as in PyTorch; `load` reads that with ``weights_only=False``
    only. To keep weights, save ``module.state_dict()``.

    Parameters
    ----------
    obj : Tensor, ndarray, Module, or a nest of dict, list, tuple, Tensor, ndarray, bool, int, float, str and None
    f : path or binary file

    Raises
    ------
    ImportError
        safetensors is not installed.
    TypeError
        Something in the nest is of another type; the error names its place.

    Examples
    --------
    >>> import io, nn
    >>> file = io.BytesIO()
    >>> nn.save({"weight": nn.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> nn.load(file)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    _check_file("save", f, "write")
    if isinstance(obj, Module):
        content = pickle.dumps(obj)
    else:
        tensors = {}
        structure = json.dumps(_described(obj, "", tensors))
        content = safetensors_module().numpy.save(tensors, {STRUCTURE: structure})
    if isinstance(f, (str, os.PathLike)):
        write_atomically(Path(f), content)
    else:
        f.write(content)


def _check_file(name, f, method):
    if not isinstance(f, (str, os.PathLike)) and not hasattr(f, method):
        raise TypeError(f"{name}: f must be a path or a binary file, got {type(f).__name__}")


def load(f, map_location=None, *, weights_only=True):
    """Read what `save` or ``torch.save`` wrote.

    Weights of bfloat16 and float16, which the kernels do not have, are converted to float32 exactly.

    Parameters
    ----------
    f : path or binary file
    map_location
        Accepted for PyTorch's sake: everything is on the CPU.
    weights_only : bool, default True
        False allows a pickled module to be loaded, which runs whatever code the file contains.

    Returns
    -------
    object
        As it was saved; of another safetensors file, a dict of names to tensors.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file is damaged or of another kind, or it contains something else than tensors, containers and numbers.

    Examples
    --------
    >>> import nn
    >>> nn.save({'step': nn.tensor(3)}, 'state.pt')
    >>> nn.load('state.pt')
    {'step': tensor(3)}
    """
    _check_file("load", f, "read")
    content = Path(f).read_bytes() if isinstance(f, (str, os.PathLike)) else f.read()
    if content[:4] == b"PK\x03\x04" or content[:1] == b"\x80":
        if content.startswith((b"PK", pickles.OLDER)) or (weights_only and not _listed):
            return pickles.read(content)
        return (_Listed if weights_only else pickle.Unpickler)(io.BytesIO(content)).load()
    try:
        tensors, metadata = _read_safetensors(content)
    except Exception as error:
        raise ValueError(f"load: neither a safetensors file nor one of torch.save: {error}") from error
    if STRUCTURE not in metadata:
        return tensors
    return _built(json.loads(metadata[STRUCTURE]), tensors)


_listed = {}  # (module, name) -> class or function that a pickled module may contain


@contextmanager
def safe_globals(globals):
    """Context manager: `load` accepts pickled modules of these classes and functions, and of the layers of `nn`.

    Parameters
    ----------
    globals : sequence of class or function
    """
    before = dict(_listed)
    add_safe_globals(globals)
    try:
        yield
    finally:
        _listed.clear()
        _listed.update(before)


def add_safe_globals(globals):
    """As `safe_globals`, from now on."""
    _listed.update({(each.__module__, each.__qualname__): each for each in globals})


class _Listed(pickle.Unpickler):
    """Unpickles what `safe_globals` lists, layers, tensors, arrays and containers; imports nothing."""

    ARRAYS = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy._core.numeric", "_frombuffer"): np.empty(0).__reduce_ex__(5)[0],
        ("collections", "OrderedDict"): OrderedDict,
    }

    def find_class(self, module, name):
        found = _listed.get((module, name)) or self.ARRAYS.get((module, name))
        if found is None and module.startswith("nn.") and module in sys.modules and "." not in name:
            found = getattr(sys.modules[module], name, None)
            layer = isinstance(found, type) and issubclass(found, (Module, Tensor))
            if not (layer or module.startswith("nn.functional.") or found is Tensor(0.0).__reduce__()[0]):
                found = None
        if found is None:
            raise ValueError(f"load: refuses {module}.{name}, which safe_globals does not list")
        return found


def _read_safetensors(content):
    size = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + size]).get("__metadata__", {}) if size < len(content) else {}
    arrays = safetensors_module().numpy.load(content)
    return {name: Tensor(pickles.widened(array)) for name, array in arrays.items()}, metadata


def _described(value, path, tensors):
    """A value as JSON: containers as one-element dicts, arrays by their names in `tensors`."""
    if type(value) in PLAIN:
        return _number(value)
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return _number(value.item())
    if isinstance(value, (Tensor, np.ndarray)):
        name = path or "tensor"
        tensors[name] = np.asarray(value.array if isinstance(value, Tensor) else value, order="C")
        kind = "parameter" if isinstance(value, Parameter) else "tensor" if isinstance(value, Tensor) else "array"
        return {kind: [name, bool(isinstance(value, Tensor) and value.requires_grad)]}
    inside = f"{path}." if path else ""
    if isinstance(value, dict):
        pairs = []
        for key, item in value.items():
            if type(key) not in PLAIN:
                raise TypeError(f"save: keys must be str, int, float, bool or None, got {type(key).__name__} in {path}")
            pairs.append([_number(key), _described(item, f"{inside}{key}", tensors)])
        return {"ordered" if isinstance(value, OrderedDict) else "dict": pairs}
    if isinstance(value, (list, tuple, set)):
        kind = next(kind for kind in (list, tuple, set) if isinstance(value, kind)).__name__
        return {kind: [_described(item, f"{inside}{i}", tensors) for i, item in enumerate(value)]}
    raise TypeError(f"save: cannot write {type(value).__name__} at {path or 'the top'}; see its docstring")


def _number(value):
    """JSON has no infinities and no NaN."""
    return {"float": repr(value)} if isinstance(value, float) and not np.isfinite(value) else value


def _built(value, tensors):
    """The value that `_described` described."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "float":
        return float(content)
    if kind in ("tensor", "parameter", "array"):
        name, requires_grad = content
        tensor = tensors[name]
        if kind == "array":
            return tensor.array
        return Parameter(tensor, requires_grad) if kind == "parameter" else tensor.requires_grad_(requires_grad)
    if kind in ("dict", "ordered"):
        pairs = [(_built(key, tensors), _built(item, tensors)) for key, item in content]
        return OrderedDict(pairs) if kind == "ordered" else dict(pairs)
    return {"list": list, "tuple": tuple, "set": set}[kind](_built(item, tensors) for item in content)

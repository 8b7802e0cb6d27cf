"""Checkpoints: weights, optimiser state and hyperparameters in one safetensors file; loading one runs no code.

The weights stand under the names they have in the model's ``state_dict``, so a file without optimiser is one that
other tools read, and any safetensors file with fitting names loads as weights. The optimiser's arrays are
``optimizer/<parameter number>/<name>``; its groups and the hyperparameters are JSON in the file's metadata.
"""

import json
import os
import secrets
from pathlib import Path

import numpy as np

from nn.tensor import Tensor

OPTIMIZER = "optimizer/"


def save(path, model, optimizer=None, hyperparameters=None):
    """Write a checkpoint: afterwards `path` holds either the whole of it or, if anything fails, what it held before.

    Parameters
    ----------
    path : path
        By custom ``*.safetensors``.
    model : Module
    optimizer : Optimizer, optional
    hyperparameters : dict, optional
        Anything that JSON can hold.

    Raises
    ------
    ImportError
        safetensors is not installed.
    TypeError
        `hyperparameters` are not JSON.
    ValueError
        A weight's name begins with ``optimizer/``.

    Examples
    --------
    >>> import tempfile, nn
    >>> from nn import checkpoint
    >>> model = nn.Linear(3, 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint.save(f"{folder}/model.safetensors", model, hyperparameters={"width": 3})
    ...     checkpoint.load(f"{folder}/model.safetensors", nn.Linear(3, 2))
    {'width': 3}
    """
    safetensors = _safetensors()
    tensors = {name: _array(value) for name, value in model.state_dict().items()}
    if clash := [name for name in tensors if name.startswith(OPTIMIZER)]:
        raise ValueError(f"checkpoint: names of weights must not begin with {OPTIMIZER!r}, got {clash}")
    metadata = {"hyperparameters": json.dumps(hyperparameters or {})}
    if optimizer is not None:
        state = optimizer.state_dict()
        metadata["optimizer"] = json.dumps(state["param_groups"])
        for number, arrays in state["state"].items():
            tensors |= {f"{OPTIMIZER}{number}/{name}": _array(value) for name, value in arrays.items()}
    _write_atomically(Path(path), safetensors.numpy.save(tensors, metadata))


def load(path, model, optimizer=None):
    """Read a checkpoint into a model and, if given, an optimiser; where that fails, both are left as they were.

    Parameters
    ----------
    path : path
    model : Module
    optimizer : Optimizer, optional
        Over the same parameters, in the same order, as when it was saved.

    Returns
    -------
    dict
        The hyperparameters.

    Raises
    ------
    ImportError
        safetensors is not installed.
    FileNotFoundError
        There is no such file.
    ValueError
        The file is cut short or not a safetensors file; it holds no optimiser state and one is asked for; or names and
        shapes do not fit.
    """
    weights, metadata = _read(Path(path))
    hyperparameters = _json(path, metadata, "hyperparameters") if "hyperparameters" in metadata else {}
    state = {}
    for name in [name for name in weights if name.startswith(OPTIMIZER)]:
        number, key = name.removeprefix(OPTIMIZER).split("/", 1)
        state.setdefault(int(number), {})[key] = weights.pop(name)
    if optimizer is None:
        model.load_state_dict(weights)
        return hyperparameters
    if "optimizer" not in metadata:
        raise ValueError(f"checkpoint {path}: holds no optimiser state")
    # JSON knows no tuples: betas come back as a list.
    groups = [
        {key: tuple(value) if isinstance(value, list) and key != "params" else value for key, value in group.items()}
        for group in _json(path, metadata, "optimizer")
    ]
    previous = optimizer.state_dict()
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    try:
        model.load_state_dict(weights)
    except Exception:
        optimizer.load_state_dict(previous)
        raise
    return hyperparameters


def _safetensors():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("checkpoint needs safetensors: pip install innerloop[train]") from error
    return safetensors


def _array(value):
    # C order without np.ascontiguousarray, which would turn 0-d into 1-d.
    return np.asarray(value.data if isinstance(value, Tensor) else value, order="C")


def _read(path):
    safetensors = _safetensors()
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path}: no such file")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(f"checkpoint {path}: not a whole safetensors file: {error}") from error


def _json(path, metadata, key):
    try:
        return json.loads(metadata[key])
    except json.JSONDecodeError as error:
        raise ValueError(f"checkpoint {path}: its {key} are not JSON: {error}") from error


def _write_atomically(path, data):
    # Beside the target, so that the rename stays within one file system; under a name of its own, so that two writers
    # do not mix.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if os.name == "posix":  # the rename itself is on disk only when its folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

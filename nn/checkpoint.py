"""Checkpoints: weights, optimiser state and hyperparameters in one safetensors file; loading one runs no code.

The weights have the names of the model's ``state_dict``, so other tools read a file without optimiser, and any
safetensors file with these names loads as weights. The optimiser's arrays are named
``optimizer/<parameter number>/<name>``; its groups and the hyperparameters are JSON in the file's metadata.
"""

import json
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

import numpy as np

from nn.tensor import Tensor

OPTIMIZER = "optimizer/"
READABLE = {"BOOL", "BF16", *(f"{kind}{bits}" for kind in "IU" for bits in (8, 16, 32, 64)), "F16", "F32", "F64"}


def save(path, model, optimizer=None, hyperparameters=None):
    """Write a checkpoint atomically: if anything fails, `path` is unchanged.

    A file that is overwritten keeps its permissions and, where the system permits it, its owner. If `path` is a
    symbolic link, the file that it refers to is written, and the link remains.

    Parameters
    ----------
    path : path
        By convention ``*.safetensors``.
    model : Module
    optimizer : Optimizer, optional
    hyperparameters : dict, optional
        Anything that JSON can represent.

    Raises
    ------
    ImportError
        safetensors is not installed.
    TypeError
        `hyperparameters` cannot be written as JSON.
    ValueError
        A weight's name begins with ``optimizer/``, or `path` exists and is not a regular file.

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
    safetensors = safetensors_module()
    tensors = {name: _array(value) for name, value in model.state_dict().items()}
    if clash := [name for name in tensors if name.startswith(OPTIMIZER)]:
        raise ValueError(f"checkpoint: names of weights must not begin with {OPTIMIZER!r}, got {clash}")
    metadata = {"hyperparameters": json.dumps(hyperparameters or {})}
    if optimizer is not None:
        state = optimizer.state_dict()
        metadata["optimizer"] = json.dumps(state["param_groups"])
        for number, arrays in state["state"].items():
            tensors |= {f"{OPTIMIZER}{number}/{name}": _array(value) for name, value in arrays.items()}
    write_atomically(Path(path), safetensors.numpy.save(tensors, metadata))


def load(path, model, optimizer=None):
    """Read a checkpoint into a model and, if given, an optimiser; if that fails, both are unchanged.

    Weights of bfloat16, which NumPy does not have, are converted to float32 exactly.

    Parameters
    ----------
    path : path
    model : Module
    optimizer : Optimizer, optional
        With the same parameters, in the same order, as when it was saved.

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
        The file is truncated or not a safetensors file; it has tensors of complex numbers, or of a dtype other than
        bfloat16 that NumPy does not have; `optimizer` is given and the file has no optimiser state; or names or shapes
        differ.
    """
    weights, metadata = _read(Path(path))
    hyperparameters = _json(path, metadata, "hyperparameters") if "hyperparameters" in metadata else {}
    state = {}
    for name in [name for name in weights if name.startswith(OPTIMIZER)]:
        number, _, key = name.removeprefix(OPTIMIZER).partition("/")
        if not (number.isdecimal() and key):
            raise ValueError(f"checkpoint {path}: {name!r} is not {OPTIMIZER}<parameter number>/<name>")
        state.setdefault(int(number), {})[key] = weights.pop(name)
    if optimizer is None:
        model.load_state_dict(weights)
        return hyperparameters
    if "optimizer" not in metadata:
        raise ValueError(f"checkpoint {path}: has no optimiser state")
    # JSON has no tuples: betas are read as a list.
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


def safetensors_module():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("checkpoint needs safetensors: pip install safetensors") from error
    return safetensors


def _array(value):
    # C order; np.ascontiguousarray would turn 0-d into 1-d.
    return np.asarray(value.array if isinstance(value, Tensor) else value, order="C")


def _read(path):
    safetensors = safetensors_module()
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path}: no such file")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            dtypes = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            if others := {name: dtype for name, dtype in dtypes.items() if dtype not in READABLE}:
                raise ValueError(
                    f"checkpoint {path}: tensors must be of {', '.join(sorted(READABLE))}, "
                    f"got {', '.join(f'{name} of {dtype}' for name, dtype in sorted(others.items()))}"
                )
            return {n: _bfloat16(path, n) if dtypes[n] == "BF16" else file.get_tensor(n) for n in dtypes}, metadata
    except safetensors.SafetensorError as error:
        raise ValueError(f"checkpoint {path}: not a complete safetensors file: {error}") from error


def _bfloat16(path, name):
    """Read a bfloat16 tensor from a valid file as float32: bfloat16 is the upper half of float32's bits."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))[name]
        begin, end = header["data_offsets"]
        file.seek(8 + length + begin)
        bits = np.frombuffer(file.read(end - begin), "<u2")
    return (bits.astype(np.uint32) << 16).view(np.float32).reshape(header["shape"])


def _json(path, metadata, key):
    try:
        return json.loads(metadata[key])
    except json.JSONDecodeError as error:
        raise ValueError(f"checkpoint {path}: its {key} are not JSON: {error}") from error


def write_atomically(path, data):
    path = path.resolve()
    old = path.stat() if path.exists() else None
    if old is not None and not path.is_file():
        raise ValueError(f"checkpoint {path}: exists and is not a regular file")
    # In the target's folder, so that the rename stays within one file system; with a random name, so that two writers
    # do not use the same file.
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        # Readable by nobody else until it has the old file's permissions: the old file may be private.
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o666 if old is None else 0o600)) as file:
            file.write(data)
            file.flush()
            if old is not None:
                _copy_ownership(part, old)
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if os.name == "posix":  # the rename is on disk only after an fsync of the folder
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _copy_ownership(part, old):
    """Give the new file the permissions of the old and, where the system permits it, its owner."""
    new = part.stat()
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(PermissionError):
            os.chown(part, old.st_uid, old.st_gid)
    part.chmod(stat.S_IMODE(old.st_mode))

"""Checkpoints: weights, training state and hyperparameters in one safetensors file; loading one runs no code.

The weights have the names of the model's ``state_dict``, so other tools read a file without optimiser, and any
safetensors file with these names loads as weights. The optimiser's arrays are named
``optimizer/<parameter number>/<name>``, those of `nn.training.fit` ``training/<name>``; the optimiser's groups, the
scheduler, the random generators and the hyperparameters are JSON in the file's metadata.
"""

import copy
import json
import os
import random
import secrets
import stat
from contextlib import suppress
from pathlib import Path

import numpy as np

from nn.random import Generator, default_generator
from nn.tensor import Tensor

OPTIMIZER, TRAINING = "optimizer/", "training/"
READABLE = {"BOOL", "BF16", *(f"{kind}{bits}" for kind in "IU" for bits in (8, 16, 32, 64)), "F16", "F32", "F64"}


def save(path, model, optimizer=None, hyperparameters=None, *, scheduler=None, generators=()):
    """Write a checkpoint atomically: if anything fails, or the process is killed, `path` is unchanged.

    With an optimiser it also has the state of the random generators: that of `nn`, NumPy's global one and Python's. So
    a training that goes on from the end of an epoch ends with the same bits as one that was never stopped.

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
    scheduler : LRScheduler, optional
    generators : sequence of numpy.random.Generator, optional
        Others that the training draws from, such as a loader's own.

    Raises
    ------
    ImportError
        safetensors is not installed.
    TypeError
        `hyperparameters` cannot be written as JSON.
    ValueError
        A weight's name begins with ``optimizer/`` or ``training/``, `path` exists and is not a regular file, or there
        is a scheduler or a generator, but no optimiser.

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
    write(path, model, optimizer, hyperparameters, scheduler, generators)


def write(path, model, optimizer=None, hyperparameters=None, scheduler=None, generators=(), training=None):
    """As `save`, with what `nn.training.fit` keeps: (dict for JSON, dict of arrays)."""
    safetensors = safetensors_module()
    tensors = {name: _array(value) for name, value in model.state_dict().items()}
    if clash := [name for name in tensors if name.startswith((OPTIMIZER, TRAINING))]:
        raise ValueError(f"checkpoint: names of weights must not begin with {OPTIMIZER!r} or {TRAINING!r}, got {clash}")
    metadata = {"hyperparameters": json.dumps(hyperparameters or {})}
    if optimizer is not None:
        state = optimizer.state_dict()
        metadata["optimizer"] = json.dumps(state["param_groups"])
        for number, arrays in state["state"].items():
            tensors |= {f"{OPTIMIZER}{number}/{name}": _array(value) for name, value in arrays.items()}
        metadata["random"] = json.dumps(_random_state(generators))
        if scheduler is not None:
            metadata["scheduler"] = json.dumps(scheduler.state_dict())
    elif scheduler is not None or generators:
        raise ValueError("checkpoint: the state of a scheduler or a generator is of use beside that of the optimiser")
    if training is not None:
        numbers, arrays = training
        metadata["training"] = json.dumps(numbers)
        tensors |= {f"{TRAINING}{name}": _array(value) for name, value in arrays.items()}
    write_atomically(Path(path), safetensors.numpy.save(tensors, metadata))


def load(path, model, optimizer=None, *, scheduler=None, generators=(), random_state=True):
    """Read a checkpoint into a model and, if given, an optimiser and a scheduler; if that fails, all are unchanged.

    Weights of bfloat16, which NumPy does not have, are converted to float32 exactly.

    Parameters
    ----------
    path : path
    model : Module
    optimizer : Optimizer, optional
        With the same parameters, in the same order, as when it was saved.
    scheduler : LRScheduler, optional
    generators : sequence of numpy.random.Generator, optional
        As many, of the same kinds, as when it was saved.
    random_state : bool, default True
        With an optimiser: also return the random generators to the state in which the checkpoint was saved.

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
        bfloat16 that NumPy does not have; `optimizer` or `scheduler` is given and the file has no state of it; the
        generators are others; or names or shapes differ.
    """
    return read(path, model, optimizer, scheduler, generators, random_state)[0]


def read(path, model, optimizer=None, scheduler=None, generators=(), random_state=True):
    """As `load`; returns (hyperparameters, what `fit` keeps as `write` takes it, or None)."""
    weights, metadata = _read(Path(path))
    hyperparameters = _json(path, metadata, "hyperparameters") if "hyperparameters" in metadata else {}
    arrays = {name.removeprefix(TRAINING): weights.pop(name) for name in list(weights) if name.startswith(TRAINING)}
    training = (_json(path, metadata, "training"), arrays) if "training" in metadata else None
    state = _optimizer_state(path, weights)
    if optimizer is None:
        model.load_state_dict(weights)
        return hyperparameters, training
    if "optimizer" not in metadata:
        raise ValueError(f"checkpoint {path}: has no optimiser state")
    if scheduler is not None and "scheduler" not in metadata:
        raise ValueError(f"checkpoint {path}: has no scheduler state")
    states = _json(path, metadata, "random") if random_state and "random" in metadata else None
    if states is not None and len(states["generators"]) != len(generators):
        count = len(states["generators"])
        raise ValueError(f"checkpoint {path}: has the state of {count} generators, and {len(generators)} are given")
    # JSON has no tuples: betas are read as a list.
    groups = [
        {key: tuple(value) if isinstance(value, list) and key != "params" else value for key, value in group.items()}
        for group in _json(path, metadata, "optimizer")
    ]
    previous = optimizer.state_dict(), _random_state(generators), scheduler and copy.deepcopy(scheduler.state_dict())
    try:
        optimizer.load_state_dict({"state": state, "param_groups": groups})
        if scheduler is not None:
            scheduler.load_state_dict(_json(path, metadata, "scheduler"))
        if states is not None:
            _set_random_state(states, generators)
        model.load_state_dict(weights)
    except Exception:
        optimizer.load_state_dict(previous[0])
        _set_random_state(previous[1], generators)
        if scheduler is not None:
            scheduler.load_state_dict(previous[2])
        raise
    return hyperparameters, training


def _optimizer_state(path, weights):
    """Take the optimiser's arrays out of the tensors of a file."""
    state = {}
    for name in [name for name in weights if name.startswith(OPTIMIZER)]:
        number, _, key = name.removeprefix(OPTIMIZER).partition("/")
        if not (number.isdecimal() and key):
            raise ValueError(f"checkpoint {path}: {name!r} is not {OPTIMIZER}<parameter number>/<name>")
        state.setdefault(int(number), {})[key] = weights.pop(name)
    return state


def _random_state(generators):
    """The state of all generators, for JSON."""
    version, words, gauss = random.getstate()
    name, keys, *rest = np.random.get_state()
    return {
        "nn": _generator_state(default_generator),
        "numpy": [name, keys.tolist(), *rest],
        "python": [version, list(words), gauss],
        "generators": [_generator_state(generator) for generator in generators],
    }


def _set_random_state(states, generators):
    for generator, state in zip((default_generator, *generators), (states["nn"], *states["generators"]), strict=True):
        if isinstance(generator, Generator):
            generator.set_state(Tensor(np.frombuffer(bytes.fromhex(state), np.uint8)))
        else:
            generator.bit_generator.state = state
    np.random.set_state(tuple(states["numpy"]))
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))


def _generator_state(generator):
    if isinstance(generator, Generator):
        return generator.get_state().array.tobytes().hex()
    return _lists(generator.bit_generator.state)


def _lists(state):
    """The state of a bit generator with lists in the place of arrays."""
    if isinstance(state, dict):
        return {name: _lists(value) for name, value in state.items()}
    return state.tolist() if isinstance(state, (np.ndarray, np.generic)) else state


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

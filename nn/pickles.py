"""PyTorch's files read without PyTorch and without running code: an interpreter of a safe part of pickle.

``torch.save`` writes a pickle that calls functions to rebuild tensors, and the storages beside it: in a zip archive or,
before version 1.6, one after the other. A pickle can call any function of any module; this reader knows the few that
PyTorch's own tensors and containers need, replaces them by functions of this file, and refuses every other name.
"""

import io
import pickle
import zipfile
from collections import Counter, OrderedDict, defaultdict

import numpy as np

from nn.parameter import Parameter
from nn.tensor import Tensor

STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
DTYPES = {"float32": np.float32, "float64": np.float64, "int64": np.int64, "int32": np.int32, "int16": np.int16}
DTYPES |= {"int8": np.int8, "uint8": np.uint8, "bool": np.bool_}
MAGIC = 0x1950A86A20F9469CFC6C  # of the format before zip archives
OLDER = pickle.dumps(MAGIC, 2)[:6]  # how its files begin


def read(content):
    """The object in the bytes of a file that ``torch.save`` wrote.

    Raises
    ------
    ValueError
        The file is damaged, or contains something else than tensors, containers and numbers.
    """
    try:
        return _read_archive(content) if content[:2] == b"PK" else _read_sequence(io.BytesIO(content))
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(f"load: the file is damaged: {type(error).__name__}: {error}") from error


def widened(array):
    """float16, which the kernels do not have, as float32; everything else as it is."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _read_archive(content):
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile as error:
        raise ValueError(f"load: not a zip archive: {error}") from None
    sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    if sum(sizes.values()) > len(content):
        raise ValueError("load: the archive is compressed, or its entries overlap; torch.save writes neither")
    pickled = [name for name in sizes if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(pickled) != 1:
        raise ValueError("load: not a file of torch.save: the archive has no data.pkl")
    folder = pickled[0].removesuffix("data.pkl")
    order = archive.read(f"{folder}byteorder").decode() if f"{folder}byteorder" in sizes else "little"

    def storage(dtype, key, count):
        name = f"{folder}data/{key}"
        if name not in sizes:
            raise ValueError(f"load: the archive has no storage {key!r}")
        return _numbers(archive.read(name), dtype, count, order)

    return _Reader(io.BytesIO(archive.read(pickled[0])), storage).load()


def _read_sequence(file):
    """The format before PyTorch 1.6: three pickles of a header, the object, the storages' keys, and the storages."""

    def nothing(dtype, key, count):
        raise ValueError("load: the header of the file is damaged")

    magic = _Reader(file, nothing).load()
    if magic != MAGIC:
        raise ValueError("load: a pickle, but not of torch.save; a module needs weights_only=False")
    _Reader(file, nothing).load()
    order = "little" if _Reader(file, nothing).load().get("little_endian", True) else "big"
    storages = {}

    def storage(dtype, key, count):
        if key not in storages:
            storages[key] = _Later(dtype, count)
        return storages[key]

    reader = _Reader(file, storage)
    result = reader.load()
    for key in _Reader(file, nothing).load():
        count = int.from_bytes(file.read(8), order)
        later = storages.get(key)
        if later is None or later.count != count:
            raise ValueError(f"load: storage {key!r} has {count} elements, expected {later and later.count}")
        size = 2 if later.dtype == "bfloat16" else np.dtype(later.dtype).itemsize
        later.array = _numbers(file.read(count * size), later.dtype, count, order)
    return _completed(result)


class _Later:
    """A storage that follows in the file, and the tensors that wait for it."""

    def __init__(self, dtype, count):
        self.dtype, self.count, self.array = dtype, count, None


class _Waiting:
    """A tensor whose storage follows in the file."""

    def __init__(self, storage, *layout):
        self.storage, self.layout, self.wrap = storage, layout, None


def _completed(value):
    """The nest with its tensors, now that the storages are read."""
    if isinstance(value, _Waiting):
        tensor = _tensor(value.storage.array, *value.layout)
        return tensor if value.wrap is None else value.wrap(tensor)
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = _completed(item)
    elif isinstance(value, list):
        value[:] = map(_completed, value)
    elif isinstance(value, tuple):
        return tuple(map(_completed, value))
    return value


def _numbers(data, dtype, count, order):
    """An array of a storage's bytes; bfloat16 and float16 as float32."""
    stored = np.dtype("<u2" if dtype == "bfloat16" else dtype).newbyteorder("<" if order == "little" else ">")
    if len(data) != count * stored.itemsize:
        raise ValueError(f"load: a storage of {count} elements of {dtype} has {len(data)} bytes")
    array = np.frombuffer(data, stored)
    if dtype == "bfloat16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return widened(array.astype(stored.newbyteorder("=")))


def _tensor(storage, offset, size, stride, requires_grad=False):
    """The tensor of these strides on a storage; tensors on one storage share its memory."""
    size, stride = tuple(size), tuple(stride)
    if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)) or len(size) != len(stride):
        raise ValueError(f"load: a tensor of shape {size} with strides {stride} from {offset}")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if 0 not in size and last >= storage.size:
        raise ValueError(f"load: a tensor of shape {size} exceeds its storage of {storage.size} elements")
    if 0 in size:
        return Tensor(np.empty(size, storage.dtype), requires_grad=bool(requires_grad))
    bytes_apart = tuple(s * storage.itemsize for s in stride)
    array = np.ndarray(size, storage.dtype, storage, offset * storage.itemsize, bytes_apart)
    return Tensor(array, requires_grad=bool(requires_grad))


def _rebuild_tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
    if isinstance(storage, _Later):
        return _Waiting(storage, offset, size, stride, requires_grad)
    if not isinstance(storage, np.ndarray):
        raise ValueError(f"load: a tensor of {type(storage).__name__} in the place of a storage")
    return _tensor(storage, offset, size, stride, requires_grad)


def _rebuild_parameter(data, requires_grad=True, hooks=None, state=None):
    if isinstance(data, _Waiting):
        data.wrap = lambda tensor: Parameter(tensor, bool(requires_grad))
        return data
    if not isinstance(data, Tensor):
        raise ValueError(f"load: a parameter of {type(data).__name__}")
    return Parameter(data, bool(requires_grad))


class _Function:
    """A name in a pickle that may be called, and what is called in its place."""

    def __init__(self, call):
        self.call = call


FUNCTIONS = {
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "Counter"): Counter,
    ("collections", "defaultdict"): lambda factory=None, *items: defaultdict(None, *items),
    ("torch", "Size"): lambda sizes=(): tuple(sizes),
    ("torch", "device"): lambda *names: "cpu",
    ("builtins", "set"): lambda items=(): set(items),
    ("__builtin__", "set"): lambda items=(): set(items),
}


class _Reader(pickle._Unpickler):  # the interpreter written in Python: its instructions can be replaced
    """An unpickler that calls the functions of `FUNCTIONS` only, and sets attributes of nothing."""

    dispatch = dict(pickle._Unpickler.dispatch)

    def __init__(self, file, storage):
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def find_class(self, module, name):
        if (module, name) in FUNCTIONS:
            return _Function(FUNCTIONS[module, name])
        if module in ("torch", "torch.storage") and name in STORAGES:
            return STORAGES[name]
        if module == "torch" and name in DTYPES:
            return np.dtype(DTYPES[name])
        raise ValueError(f"load: refuses {module}.{name}: a file may contain tensors, containers and numbers only")

    def persistent_load(self, pid):
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], str)):
            raise ValueError(f"load: {pid!r} is not a storage")
        _, dtype, key, _, count = pid[:5]
        if type(count) is not int or count < 0 or not isinstance(key, str):
            raise ValueError(f"load: storage {key!r} of {count} elements")
        if (dtype, key) not in self.memo_of_storages:
            self.memo_of_storages[dtype, key] = self._storage(dtype, key, count)
        return self.memo_of_storages[dtype, key]

    def load(self):
        self.memo_of_storages = {}
        return super().load()

    def load_reduce(self):
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not isinstance(function, _Function) or not isinstance(arguments, tuple):
            raise ValueError(f"load: refuses a call of {function!r}")
        self.stack[-1] = function.call(*arguments)

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_build(self):
        self.stack.pop()  # attributes, such as the versions that a state_dict has of its modules

    dispatch[pickle.BUILD[0]] = load_build

    def refuse(self):
        raise ValueError("load: refuses an instruction that creates objects of a class, or calls a function")

    for code in (pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4):
        dispatch[code[0]] = refuse

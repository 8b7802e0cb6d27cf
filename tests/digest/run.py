"""What a case uses: seeded inputs, calls whose results are digested, and the table of all cases."""

import hashlib
import importlib
import zlib

import numpy as np

import kernels

FAMILIES = (
    "activation", "attention", "convolution", "gemm", "lookup", "loss", "normalization", "pooling", "recurrent",
    "reduction", "scan", "sorting", "update",
)  # fmt: skip
DTYPES = (np.float32, np.float64)
THREADS = (1, 2)
# Public functions that compute nothing.
NO_OPERATIONS = {"get_num_threads", "set_flush_denormal", "set_num_threads", "show_config"}


def cases(family):
    """The cases of a family: ``{name: (function, *arguments)}``."""
    found = {}
    for function, *arguments in importlib.import_module(f"tests.digest.{family}").CASES:
        name = " ".join([function.__name__, *map(str, arguments)])
        assert name not in found, f"{family} has the case {name!r} twice"
        found[name] = (function, *arguments)
    return found


def operations():
    """The names of the public functions that compute something."""
    return {name for name, value in vars(kernels).items() if callable(value) and name[0] != "_"} - NO_OPERATIONS


def digests(family, case, dtype, threads):
    """Run a case: ``{call: digest}``."""
    function, *arguments = cases(family)[case]
    before = kernels.get_num_threads()
    kernels.set_num_threads(threads)
    try:
        run = Run(dtype, zlib.crc32(case.encode()))
        with np.errstate(all="ignore"):
            function(run, *arguments)
    finally:
        kernels.set_num_threads(before)
    return run.digests


def arrays_in(value):
    """All arrays and numbers in nested tuples, lists and dictionaries, in their order."""
    if isinstance(value, (np.ndarray, np.generic, float, int)):
        return [np.asarray(value)]
    if isinstance(value, dict):
        value = list(value.values())
    return [x for each in value for x in arrays_in(each)] if isinstance(value, (list, tuple)) else []


def digest(value):
    """SHA-256, shortened, of shape, dtype and elements of every array in `value`. All NaNs count as equal: which of two
    operands' sign and payload a sum has is the compiler's choice."""
    found = hashlib.sha256()
    for array in arrays_in(value):
        if array.dtype.kind == "f" and np.isnan(array).any():
            array = np.where(np.isnan(array), array.dtype.type(np.nan), array)
        found.update(f"{array.shape} {array.dtype.str} ".encode())
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()[:16]


class Run:
    """Inputs of one dtype from one seed, and the digests of the calls."""

    def __init__(self, dtype, seed):
        self.dtype = np.dtype(dtype)
        self.rng = np.random.default_rng(seed)
        self.digests = {}

    def normal(self, *shape):
        return self.rng.standard_normal(shape).astype(self.dtype)

    def uniform(self, *shape):
        """Between 0 and 1."""
        return self.rng.random(shape).astype(self.dtype)

    def zeros(self, *shape):
        """An array for a call to fill."""
        return np.zeros(shape, self.dtype)

    def indices(self, count, *shape):
        return self.rng.integers(0, count, shape)

    def call(self, name, *arguments, **options):
        """Call a public function and return its result; the digest also covers the arguments, which it may fill."""
        result = getattr(kernels, name)(*arguments, **options)
        self.add(name, (result, arguments, options))
        return result

    def rungs(self, family, name, *arguments):
        """Call every rung of a ladder on copies of the arguments, including those that it fills."""
        for rung, function in importlib.import_module(f"kernels.{family}").VARIANTS[name].items():
            copies = [x.copy() if isinstance(x, np.ndarray) else x for x in arguments]
            self.add(f"{name}, rung {rung}", (function(*copies), copies))

    def add(self, name, value):
        """Add the digest of a value under a name, numbered if the name has occurred before."""
        count = sum(key.split(" #")[0] == name for key in self.digests)
        self.digests[f"{name} #{count + 1}" if count else name] = digest(value)

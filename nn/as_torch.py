"""Run a program written for PyTorch on this library: our names where it looks for ``torch``.

    python -m nn.as_torch script.py --its arguments

`install` puts modules named ``torch``, ``torch.nn``, ``torch.nn.functional`` and so on where ``import`` looks for them.
A name that this library does not have raises AttributeError, a module ModuleNotFoundError; both say so. Everything is
on the CPU, `torch.cuda.is_available` is False, and devices other than the CPU are refused.

It is never done at import, and not in a process in which PyTorch has been imported.
"""

import contextlib
import importlib.abc
import importlib.machinery
import math
import pickle
import runpy
import sys
import types
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import nn
from nn import amp, compiler, constructors
from nn.checkpoint import write_atomically
from nn.convolution import _Convolution
from nn.loss import Loss
from nn.normalization import _BatchNorm, _InstanceNorm
from nn.operations import sparse
from nn.recurrent import _Recurrent

VERSION = "2.13.0+innerloop"

# Each of PyTorch's modules -> where its names are looked for, in this order.
SOURCES = {
    "torch": ("nn", "nn.settings"),
    "torch.nn": ("nn",),
    "torch.nn.functional": ("nn.functional",),
    "torch.nn.init": ("nn.init",),
    "torch.nn.parameter": ("nn",),
    "torch.nn.modules": ("nn",),
    "torch.nn.utils": ("nn.utils",),
    "torch.nn.utils.rnn": ("nn.utils.rnn",),
    "torch.nn.utils.parametrizations": ("nn.utils.parametrizations",),
    "torch.nn.utils.parametrize": ("nn.utils.parametrize",),
    "torch.nn.utils.clip_grad": ("nn.utils",),
    "torch.nn.utils.weight_norm": ("nn.utils",),
    "torch.nn.parallel": ("nn.parallel",),
    "torch.nn.attention": ("nn.backends.attention",),
    "torch.optim": ("nn.optim",),
    "torch.optim.optimizer": ("nn.optim",),
    "torch.optim.lr_scheduler": ("nn.optim.lr_scheduler",),
    "torch.optim.swa_utils": ("nn.optim.swa_utils",),
    "torch.utils": (),
    "torch.utils.data": ("nn.utils.data",),
    "torch.utils.data.dataloader": ("nn.utils.data",),
    "torch.utils.data.dataset": ("nn.utils.data",),
    "torch.utils.data.sampler": ("nn.utils.data",),
    "torch.utils.data.distributed": ("nn.utils.data",),
    "torch.autograd": ("nn.autograd",),
    "torch.autograd.functional": ("nn.autograd.functional",),
    "torch.autograd.variable": ("nn.autograd",),
    "torch.autograd.function": ("nn.autograd",),
    "torch.distributions": ("nn.distributions",),
    "torch.linalg": ("nn.linalg",),
    "torch.special": ("nn",),
    "torch.sparse": ("nn.operations.sparse",),
    "torch.cuda": ("nn.cuda",),
    "torch.backends": ("nn.backends",),
    "torch.backends.cuda": ("nn.backends.cuda",),
    "torch.backends.cudnn": ("nn.backends.cudnn",),
    "torch.backends.mps": ("nn.backends.mps",),
    "torch.accelerator": ("nn.accelerator",),
    "torch.amp": ("nn.amp",),
    "torch.cuda.amp": ("nn.cuda.amp",),
    "torch.compiler": ("nn.compiler",),
    "torch.jit": ("nn.jit",),
    "torch.distributed": ("nn.distributed",),
    "torch.utils.checkpoint": ("nn.utils.checkpoint",),
    "torch.random": ("nn",),
    "torch.serialization": ("nn.serialization",),
    "torch.types": (),
    # imported by programs that may not use them: their names raise
    "torch.onnx": (),
    "torch.multiprocessing": (),
}
# The files in which PyTorch defines its layers: programs name them in annotations and isinstance.
LAYERS = (
    *("activation", "adaptive", "batchnorm", "container", "conv", "distance", "dropout", "flatten", "fold"),
    *("instancenorm", "linear", "loss", "module", "normalization", "padding", "pixelshuffle", "pooling", "rnn"),
    *("sparse", "transformer", "upsampling", "utils"),
)
SOURCES |= {f"torch.nn.modules.{name}": ("nn",) for name in LAYERS}
SOURCES |= {
    f"torch.distributions.{name}": ("nn.distributions",)
    for name in (
        "categorical",
        "normal",
        "bernoulli",
        "uniform",
        "independent",
        "kl",
        "distribution",
        "one_hot_categorical",
    )
}


class _Alias(types.ModuleType):
    """One of PyTorch's modules, with our names."""

    def __getattr__(self, name):
        path = f"{self.__name__}.{name}"
        try:
            value = _found(self.__name__, name)
        except AttributeError:
            if path not in SOURCES:
                raise
            return importlib.import_module(path)
        setattr(self, name, value)
        return value

    def __setattr__(self, name, value):
        if isinstance(value, _Alias):  # set by import: but torch.nn.utils.weight_norm, say, is a function first
            with contextlib.suppress(AttributeError):
                value = _found(self.__name__, name)
        super().__setattr__(name, value)

    def __dir__(self):
        names = set(super().__dir__())
        for source in SOURCES[self.__name__]:
            names.update(_module(source).__dict__.get("__all__", ()))
        return sorted(names)


def _found(module, name):
    """Our value for a name in one of PyTorch's modules; AttributeError if there is none."""
    extra = EXTRAS.get(module, {})
    if name in extra:
        return extra[name]
    for source in SOURCES[module]:
        found = getattr(_module(source), name, None)
        if found is not None and not isinstance(found, types.ModuleType):
            return found
    if name.startswith("__"):
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    raise AttributeError(f"{module}.{name} is not in this library; see python -m nn.as_torch --list for what is")


def _module(name):
    """One of our modules, empty if this version does not have it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        found = nn
        for part in name.split(".")[1:]:
            found = getattr(found, part, types.SimpleNamespace())
        return found


def _variable(data, requires_grad=False, volatile=None):
    """``Variable(tensor)`` of programs before PyTorch 0.4: the tensor itself."""
    return data.requires_grad_() if requires_grad and not data.requires_grad else data


def _repeated(n):
    """The function that makes n of one value, as PyTorch's layers do with their sizes."""

    def convert(x):
        return tuple(x) if isinstance(x, Iterable) else (x,) * n

    return convert


def _fan_in_and_fan_out(tensor):
    """How many inputs and outputs each output and input of a weight has: programs copy PyTorch's own use of it."""
    if tensor.ndim < 2:
        raise ValueError(f"_calculate_fan_in_and_fan_out: needs at least 2 dimensions, got shape {tensor.shape}")
    outputs, inputs, *kernel = tensor.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)


class _AbsentDtype:
    """The name of a dtype that tensors do not have: programs list them beside those that they use."""

    def __init__(self, name, itemsize):
        self.name, self.itemsize = name, itemsize

    def __repr__(self):
        return f"torch.{self.name}"


def _save(obj, f, pickle_module=pickle, pickle_protocol=2, _use_new_zipfile_serialization=True):
    """As `nn.save`; what that cannot write, such as the arguments of a program, is pickled, as in PyTorch."""
    try:
        nn.save(obj, f)
    except TypeError:
        content = pickle_module.dumps(obj)
        if hasattr(f, "write"):
            f.write(content)
        else:
            write_atomically(Path(f), content)


EXTRAS = {
    "torch": {
        **constructors.TYPED,
        "Tensor": constructors.AnyTensor,
        **{name: np.dtype(name) for name in ("float16", "uint16", "uint32", "uint64", "complex64", "complex128")},
        **{name: getattr(math, name) for name in ("pi", "e", "inf", "nan")},
        "newaxis": None,
        "half": np.dtype(np.float16),
        "bfloat16": _AbsentDtype("bfloat16", 2),
        "autocast": amp.autocast,
        "compile": compiler.compile,
        "save": _save,
        "sparse_coo_tensor": sparse.sparse_coo_tensor,
        "spmm": sparse.spmm,
        "__version__": VERSION,
        "Size": tuple,
        "strided": "strided",
        "contiguous_format": "contiguous_format",
        "channels_last": "channels_last",
        "preserve_format": "preserve_format",
        "dtype": np.dtype,
    },
    "torch.nn": {"RNNBase": _Recurrent},
    "torch.nn.init": {"_calculate_fan_in_and_fan_out": _fan_in_and_fan_out},
    "torch.nn.modules.batchnorm": {"_BatchNorm": _BatchNorm},
    "torch.nn.modules.conv": {"_ConvNd": _Convolution},
    "torch.nn.modules.instancenorm": {"_InstanceNorm": _InstanceNorm},
    "torch.nn.modules.loss": {"_Loss": Loss, "_WeightedLoss": Loss},
    "torch.nn.modules.rnn": {"RNNBase": _Recurrent},
    "torch.nn.modules.utils": {
        "_ntuple": _repeated,
        **{name: _repeated(n + 1) for n, name in enumerate(("_single", "_pair", "_triple", "_quadruple"))},
    },
    "torch.nn.modules.linear": {"NonDynamicallyQuantizableLinear": nn.Linear},
    "torch.autograd": {"Variable": _variable},
    "torch.autograd.variable": {"Variable": _variable},
    "torch.types": {"Number": int | float | bool, "Device": object},
}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``torch`` and its modules before the import system does."""

    def find_spec(self, name, path=None, target=None):
        if name != "torch" and not name.startswith("torch."):
            return None
        if name not in SOURCES:
            raise ModuleNotFoundError(f"{name} is not in this library; see python -m nn.as_torch --list", name=name)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return _Alias(spec.name)

    def exec_module(self, module):
        module.__path__ = []


_finder = _Finder()


def install():
    """Let ``import torch`` find this library from now on.

    Raises
    ------
    RuntimeError
        PyTorch is imported already.
    """
    present = sys.modules.get("torch")
    if present is not None and not isinstance(present, _Alias):
        raise RuntimeError("as_torch: PyTorch is imported already in this process; install() must come first")
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def uninstall():
    """Let ``import torch`` find PyTorch again; what a program has imported keeps our names."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for name in [name for name, module in sys.modules.items() if isinstance(module, _Alias)]:
        del sys.modules[name]


def names():
    """The names that each of PyTorch's modules has here: a dict of module to sorted list."""
    found = {}
    for module, sources in SOURCES.items():
        here = set(EXTRAS.get(module, ()))
        for source in sources:
            public = getattr(_module(source), "__all__", None)
            here.update(public if public is not None else (n for n in vars(_module(source)) if not n.startswith("_")))
        found[module] = sorted(here)
    return found


def main(arguments):
    """Run a program: ``script.py …``, or ``--list`` for the names that there are."""
    if arguments[:1] == ["--list"]:
        for module, found in names().items():
            print(f"{module}: {', '.join(found)}\n")
        return
    if not arguments or arguments[0].startswith("-"):
        raise SystemExit("usage: python -m nn.as_torch script.py [arguments], or --list")
    script = Path(arguments[0])
    if not script.is_file():
        raise SystemExit(f"as_torch: no such file: {script}")
    install()
    sys.argv = list(arguments)
    sys.path[0] = str(script.resolve().parent)
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    # `python -m` runs this file under another name: install the finder of the module that others import
    from nn import as_torch

    as_torch.main(sys.argv[1:])

"""Writes what editors and type checkers read in place of the code, which they do not run: python docs/tools/stubs.py.

``nn/storage.pyi`` has `Tensor` with the methods that ``nn/tensor.py`` gives it. ``kernels/__init__.pyi`` has the public
functions: without it, a checker would take ``padding=0`` for "integers only", and see None in every gradient.
"""

import inspect
import re
import textwrap
from pathlib import Path

import kernels
from nn.tensor import Tensor

ROOT = Path(__file__).resolve().parents[2]
HEAD = '''\
# Written by docs/tools/stubs.py; a test compares it with the code.
from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Iterator
from typing import Any

import numpy as np

class Memory:
    version: _int
    def share(self, owner: Tensor, other: Tensor) -> None: ...
    def is_shared(self) -> _bool: ...
    def living(self) -> list[Tensor]: ...

def wrap(array: Any) -> Tensor: ...
def edge(tensor: Tensor) -> Any: ...
def tensors_in(value: Any) -> Iterator[Tensor]: ...

class Tensor:
    """{summary}"""

    array: np.ndarray
    grad: Tensor | None
'''
# Results that are not one tensor. Any: what they are depends on the arguments.
RETURNS = {
    "_bool": "__bool__ is_contiguous is_pinned equal allclose is_floating_point is_complex is_signed is_nonzero",
    "_int": "__len__ __int__ __index__ dim ndimension numel nelement data_ptr storage_offset element_size get_device",
    "_float": "__float__",
    "str": "__repr__ __format__",
    "np.ndarray": "numpy __array__",
    "None": "__init__ __setitem__ __setstate__ mark_changed retain_grad backward",
    "tuple[Tensor, ...]": "chunk unbind split split_with_sizes tensor_split hsplit vsplit dsplit",
    "Iterator[Tensor]": "__iter__",
    "tuple[_int, ...]": "shape",
    "Any": "item tolist register_hook max min aminmax sort topk kthvalue median nanmedian mode cummax cummin unique "
    "unique_consecutive nonzero size stride type layout device grad_fn __dlpack__ __dlpack_device__ __reduce__ "
    "__getstate__",
}
RETURN = {name: kind for kind, names in RETURNS.items() for name in names.split()}
RETURN |= {"ndim": "_int", "itemsize": "_int", "nbytes": "_int", "is_leaf": "_bool", "requires_grad": "_bool"}
RETURN |= {"dtype": "np.dtype"}
# object's own have other types; a checker wants to be told that this is meant.
OVERRIDING = {"__eq__", "__ne__"}


def first_sentence(value) -> str:
    """The first paragraph of a docstring, without what would end a string."""
    return textwrap.shorten((inspect.getdoc(value) or "").split("\n\n")[0].replace("\\", "\\\\"), 1000)


def parameters(function, is_method: bool = True) -> str:
    """The parameters of a function; their defaults where these are plain."""
    shown, plain = [], (bool, int, float, str, type(None))
    for i, each in enumerate(inspect.signature(function).parameters.values()):
        default, has_default = each.default, each.default is not each.empty
        if i == 0 and is_method:
            shown.append(each.replace(name="self"))
            continue
        if has_default and type(default) not in plain:
            each = each.replace(default=_Name("..."))
        kind = ("_bool" if is_method else "bool") if isinstance(default, bool) else "Any"
        shown.append(each.replace(annotation=_Name(kind)))
    return str(inspect.Signature(shown))


class _Name:
    """Shown in a signature as its text."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


def method(name: str, function) -> str:
    """The stub of a method."""
    ignored = "  # type: ignore[override]" if name in OVERRIDING else ""
    start = f"    def {name}{parameters(function)} -> {RETURN.get(name, 'Tensor')}:"
    text = first_sentence(function)
    return f'{start}{ignored}\n        """{text}"""\n' if text else f"{start} ...{ignored}\n"


def attribute(name: str, value) -> str:
    """The stub of a property."""
    kind = RETURN.get(name, "Tensor")
    lines = ["    @property", f"    def {name}(self) -> {kind}:", f'        """{first_sentence(value)}"""']
    if value.fset is not None:
        given = "Any" if kind == "Tensor" else kind
        lines += [f"    @{name}.setter", f"    def {name}(self, value: {given}) -> None: ..."]
    return "\n".join(lines) + "\n"


def tensor_stub() -> str:
    """``nn/storage.pyi``."""
    text = HEAD.format(summary=first_sentence(Tensor))
    for name, value in vars(Tensor).items():
        if isinstance(value, bool):
            text += f"    {name}: _bool\n"
        elif isinstance(value, property):
            text += attribute(name, value)
        elif inspect.isfunction(value):
            text += method(name, value)
    return text + "    layout: Any\n"


KERNELS = """\
# Written by docs/tools/stubs.py; a test compares it with the code.
from typing import Any

import numpy as np

from kernels import {modules}

__version__: str
__all__: list[str]
"""


def result_of(function) -> str:
    """The type of what a kernel returns, from its docstring; `Any` for what may be None, as gradients are."""
    section = re.search(r"^Returns\n-+\n(.*?)(?=\n\n\S|\Z)", inspect.getdoc(function) or "", re.DOTALL | re.MULTILINE)
    entries = [line for line in section[1].split("\n") if line[:1].strip()] if section else []
    if not entries or any("if asked for" in entry or ", or" in entry for entry in entries):
        return "Any"
    if len(entries) == 1 and re.match(r"(nd)?array\b", entries[0]):
        return "np.ndarray"
    if entries == ["None"]:
        return "None"
    if len(entries) == 1 and re.match(r"float", entries[0]):
        return "Any"
    names = ", ".join(entry.partition(" :")[0] for entry in entries)
    parts = re.findall(r"\(.*?\)|\w+", names)
    kinds = ["Any" if part.startswith("(") else "np.ndarray | Any" for part in parts]
    return kinds[0] if len(kinds) == 1 else f"tuple[{', '.join(kinds)}]"


def kernels_stub() -> str:
    """``kernels/__init__.pyi``."""
    modules = {getattr(kernels, name).__module__.split(".")[1] for name in kernels.__all__}
    modules = {"machine", *(name for name in modules if name[0] != "_")}
    text = KERNELS.format(modules=", ".join(f"{name} as {name}" for name in sorted(modules)))
    for name in kernels.__all__:
        function = getattr(kernels, name)
        text += f"def {name}{parameters(function, is_method=False)} -> {result_of(function)}: ...\n"
    return text


STUBS = {"nn/storage.pyi": tensor_stub, "kernels/__init__.pyi": kernels_stub}

if __name__ == "__main__":
    for path, stub in STUBS.items():
        (ROOT / path).write_text(stub(), encoding="utf-8")

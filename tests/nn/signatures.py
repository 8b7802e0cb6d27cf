"""Our signatures beside PyTorch's, for every shared name: run as a module, it counts names and prints differences.

    python -m tests.nn.signatures

PyTorch's signatures are those of ``inspect``, or of the docstring of what is compiled: "sum(input, dim, keepdim=False,
*, dtype=None) -> Tensor". Parameters that mean nothing here (`MEANINGLESS`) may be absent, or have another default. The
signature of a method may also be that of the function of its name.
"""

import ast
import inspect
import re
import types
from typing import NamedTuple

import torch
import torch.utils.data

import nn

# PyTorch's namespace -> ours
NAMESPACES = {
    "torch": (torch, nn),
    "torch.Tensor": (torch.Tensor, nn.Tensor),
    "torch.amp": (torch.amp, nn.amp),
    "torch.autograd": (torch.autograd, nn.autograd),
    "torch.compiler": (torch.compiler, nn.compiler),
    "torch.cuda.amp": (torch.cuda.amp, nn.cuda.amp),
    "torch.jit": (torch.jit, nn.jit),
    "torch.nn": (torch.nn, nn),
    "torch.nn.Module": (torch.nn.Module, nn.Module),
    "torch.nn.functional": (torch.nn.functional, nn.functional),
    "torch.nn.init": (torch.nn.init, nn.init),
    "torch.nn.utils": (torch.nn.utils, nn.utils),
    "torch.nn.utils.rnn": (torch.nn.utils.rnn, nn.utils.rnn),
    "torch.optim": (torch.optim, nn.optim),
    "torch.optim.lr_scheduler": (torch.optim.lr_scheduler, nn.optim.lr_scheduler),
    "torch.utils.data": (torch.utils.data, nn.utils.data),
    "torch.linalg": (torch.linalg, nn.linalg),
    "torch.distributions": (torch.distributions, nn.distributions),
}
MEANINGLESS = {
    "device": "all tensors are on the CPU",
    "layout": "all tensors are strided",
    "memory_format": "all tensors are in the order of their dimensions",
    "pin_memory": "memory is pinned for GPUs",
    "requires_grad": "set by requires_grad_()",
    "names": "dimensions have no names",
    "out": "results are new tensors",
    "dtype": "set by to()",
    "generator": "there is one generator, which manual_seed seeds",
    "foreach": "chooses among implementations of one computation",
    "fused": "chooses among implementations of one computation",
    "capturable": "is for GPUs",
    "non_blocking": "is for GPUs",
    "async": "is for GPUs",
    "_stacklevel": "is for PyTorch's own warnings",
    "split_sections": "is another name for split_size in the docstring",
}
TORCH_ONLY = re.compile(
    r"cuda|cudnn|miopen|mkldnn|fbgemm|quantiz|qint|xnnpack|sparse|nested|_copy$|hpu|xpu|mps|ipu|mtia"
)


class Parameter(NamedTuple):
    """A parameter as it is compared: * and ** belong to the name, the default is a value or source text."""

    name: str
    keyword: bool
    default: object


NONE = "no default"


def shared(namespace):
    """The names that both have, callables but not modules, in order."""
    theirs, ours = NAMESPACES[namespace]
    both = (n for n in public(theirs) if n in set(dir(ours)))
    return [n for n in both if all(_is_compared(getattr(m, n)) for m in (theirs, ours))]


def public(namespace):
    """The names of a namespace of PyTorch that users call: not modules, typing or helpers of its implementation."""
    found = (n for n in dir(namespace) if not n.startswith("_") and not TORCH_ONLY.search(n))
    return [n for n in found if _is_compared(getattr(namespace, n, None))]


def _is_compared(value):
    typing = getattr(value, "__module__", None) in ("typing", "typing_extensions", "collections.abc", "functools")
    return callable(value) and not isinstance(value, types.ModuleType) and not typing


def counts():
    """Namespace -> (number of names that we have, number of PyTorch's public names)."""
    return {name: (len(shared(name)), len(public(theirs))) for name, (theirs, _) in NAMESPACES.items()}


# --- signatures -------------------------------------------------------------------------------------------------------


def _plain(value):
    """A default that can be compared: dtypes by name, functions and classes by name."""
    if value is inspect.Parameter.empty:
        return NONE
    if isinstance(value, torch.Generator):
        return None  # the global one
    if isinstance(value, torch.dtype) or type(value).__module__.startswith("numpy"):
        return str(value).removeprefix("torch.")
    return getattr(value, "__name__", value) if callable(value) else value


def _inspected(function, bound):
    parameters = list(inspect.signature(function).parameters.values())[1 if bound else 0 :]
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [
        Parameter(stars.get(p.kind, "") + p.name, p.kind is inspect.Parameter.KEYWORD_ONLY, _plain(p.default))
        for p in parameters
    ]


def _documented(function, bound):
    """The signatures in a docstring, the longest first."""
    name, text = function.__name__, inspect.getdoc(function) or ""
    prefix = r"(?:\.\. (?:function|method):: )?(?:torch\.)?(?:nn\.functional\.)?"
    pattern = rf"^{prefix}(?:{name}|__init__)\((.*?)\)\s*(?:->.*)?$"
    found = [_parsed(arguments) for arguments in re.findall(pattern, text, re.MULTILINE)]
    if bound:
        found = [p[1:] if p and p[0].name in ("self", "input") else p for p in found]
    return sorted(found, key=len, reverse=True)


def _parsed(text):
    parameters, keyword, flat = [], False, re.sub(r":[^=,]*(\[[^=]*\])+", "", text)  # types with commas
    for part in filter(None, (p.strip() for p in re.split(r",(?![^(\[]*[)\]])", flat))):
        name, _, default = (s.strip() for s in part.partition("="))
        name = name.split(":")[0].strip()
        if name in ("*", r"\*"):
            keyword = True
            continue
        name = "*" + name.removesuffix("...") if name.endswith("...") else name
        parameters.append(Parameter(name, keyword, _value(default) if default else NONE))
        keyword = keyword or (name[0] == "*" and name[1:2] != "*")
    return parameters


def _value(text):
    if fraction := re.fullmatch(r"([\d.]+)/([\d.]+)", text):
        return float(fraction[1]) / float(fraction[2])
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text.removeprefix("torch.")


def theirs_of(function, bound):
    """PyTorch's possible signatures of a function; none if it documents none."""
    try:
        found = _inspected(function, bound)
    except (ValueError, TypeError):
        return _documented(function, bound)
    arbitrary = bool(found) and {p.name for p in found} <= {"*args", "**kwargs", "*input"}
    return [found, *(_documented(function, bound) or [[]])] if arbitrary else [found]


def difference(namespace, name):
    """How our signature differs from the nearest of PyTorch's, in words; "" if it does not."""
    theirs, ours = (getattr(m, name) for m in NAMESPACES[namespace])
    bound = namespace in ("torch.Tensor", "torch.nn.Module")
    try:
        mine = _inspected(ours, bound)
    except ValueError:
        return "ours has no signature"
    signatures = theirs_of(theirs, bound)
    if namespace == "torch.Tensor" and callable(function := getattr(torch, name.removesuffix("_"), None)):
        signatures += _documented(function, bound)  # where a method's docstring says "see torch.add"
    return min((_compared(mine, other) for other in signatures), key=len, default="")


def _compared(mine, other):
    other = [p for p in other if p.name not in MEANINGLESS or p.name in {q.name for q in mine}]
    mine = [p for p in mine if p.name not in MEANINGLESS or p.name in {q.name for q in other}]
    names, others = [p.name for p in mine], [p.name for p in other]
    words = []
    if absent := [n for n in others if n not in names]:
        words.append(f"without {', '.join(absent)}")
    if extra := [n for n in names if n not in others]:
        words.append(f"with {', '.join(extra)}")
    common = [n for n in names if n in others]
    if common != [n for n in others if n in names]:
        words.append(f"order {', '.join(common)}")
    defaults = {p.name: p for p in other}
    for p in mine:
        q = defaults.get(p.name, p)
        if p.name not in MEANINGLESS and p.default != q.default and not (p.default is None and q.default == NONE):
            words.append(f"{p.name}={p.default} for {q.default}")
        if p.keyword != q.keyword:
            words.append(f"{p.name} {'by keyword only' if p.keyword else 'by position, too'}")
    return "; ".join(words)


def differences():
    """Full name -> difference, for all that differ."""
    found = {
        f"{namespace}.{name}": difference(namespace, name) for namespace in NAMESPACES for name in shared(namespace)
    }
    return {name: words for name, words in found.items() if words}


if __name__ == "__main__":
    from tests.nn.signature_differences import DIFFERENCES

    for namespace, (have, all_of_them) in counts().items():
        print(f"{namespace:26} {have:4} of {all_of_them:4} names")
    print()
    for name, words in differences().items():
        if DIFFERENCES.get(name, ("",))[0] != words:
            print(f'    "{name}": ("{words}", ""),')

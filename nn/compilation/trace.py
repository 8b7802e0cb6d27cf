"""What a model does to its inputs: the operations that it calls, in order.

While a trace is made, the public operations (functions of `nn` and `nn.functional`, methods and operators of Tensor)
are replaced by ones that note the call. Only the outermost is noted: an operation may be made of others.
"""

import contextlib
import functools
import inspect
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType

import numpy as np

from nn import functional, transformer
from nn.compilation.definitions import DEFINITIONS
from nn.functional import multi_head
from nn.grad_mode import no_grad
from nn.operations import arithmetic
from nn.storage import Tensor, tensors_in

HERE = Path(__file__).parents[1]
# Not operations on values: what asks a tensor for its shape or puts it elsewhere.
_LAYOUT = {"size", "dim", "numel", "stride", "is_contiguous", "element_size", "get_device", "is_pinned", "ndimension"}
_LAYOUT |= {"is_floating_point", "is_complex", "is_signed", "nelement", "storage_offset", "data_ptr"}
# What hands a value to Python, which may decide by it what happens next.
_READS = ("__bool__", "__float__", "__int__", "__index__", "item", "tolist", "numpy", "__array__")
# Functions made of other operations, which are noted in their place.
_COMPOSED = {"iterate", "mm", "bmm", "mv", "dot", "vdot", "inner", "outer", "ger", "addmm", "addmv", "addr", "baddbmm"}
_COMPOSED |= {"addbmm", "tensordot", "chain_matmul", "multi_dot", "einsum", "kron", "min", "aminmax", "diff", "cdist"}
_COMPOSED |= {"narrow", "select", "hsplit", "vsplit", "dsplit", "unbind", "tensor_split", "hstack", "vstack", "dstack"}
_COMPOSED |= {"row_stack", "column_stack", "concat", "concatenate", "meshgrid", "broadcast_tensors", "atleast_1d"}
_COMPOSED |= {"atleast_2d", "atleast_3d", "tile", "repeat_interleave", "fliplr", "flipud", "lerp", "addcmul", "addcdiv"}
_COMPOSED |= {"rsub", "true_divide", "clamp_min", "clamp_max", "float_power", "softsign", "tanhshrink", "softshrink"}
_COMPOSED |= {"softmin", "relu6", "rrelu", "bilinear", "normalize", "cosine_similarity", "pairwise_distance"}
_COMPOSED |= {"pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "upsample"}
_COMPOSED |= {"upsample_nearest", "upsample_bilinear", "multi_head_attention_forward", "var_mean", "std_mean"}
# Functions whose results depend on shapes and numbers alone: constants of the compiled function.
_CREATED = {"zeros", "ones", "full", "arange", "eye", "linspace", "logspace", "tril_indices", "triu_indices", "tensor"}
_CREATED |= {"as_tensor", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "new_tensor"}
_CREATED |= {"generate_square_subsequent_mask"}
_tracing = threading.Lock()


class CompileError(Exception):
    """A model that cannot be compiled: what it does, and where."""


@dataclass
class Call:
    """One call of an operation: its name, its arguments by name, its results, and the line of the model."""

    name: str
    arguments: dict
    results: tuple  # tensors, in nested tuples where the operation returns these
    place: str


class Trace:
    """The calls that `model` makes of operations, on `inputs`, and its `result`.

    `constants` are the tensors that the model makes of numbers alone, by their identity.
    """

    def __init__(self, model, inputs):
        self.inputs, self.calls, self._depth = inputs, [], 0
        # the inputs, parameters and buffers, and what operations made of them
        self.known = {id(each): each for each in (*inputs, *model.parameters(), *model.buffers())}
        self.constants, self._changed = {}, set()
        with _tracing, self._replaced(model), no_grad():
            self.result = model(*inputs)

    @contextlib.contextmanager
    def _replaced(self, model):
        """The operations, replaced by ones that note the calls."""
        undo, doubles = [], {}

        def replace(owner, name, value):
            undo.append((owner, name, owner[name] if isinstance(owner, dict) else vars(owner)[name]))
            _put(owner, name, value)

        try:
            for owner, name, function in (*_operations(), *_stored(model)):
                if function not in doubles:
                    doubles[function] = self._noting(function)
                before, double = owner[name] if isinstance(owner, dict) else vars(owner)[name], doubles[function]
                kind = type(before) if isinstance(before, (staticmethod, property)) else None
                replace(owner, name, double if kind is None else kind(double))
            for name in _READS:
                if name in vars(Tensor):
                    replace(Tensor, name, self._refusing(name, vars(Tensor)[name]))
            replace(multi_head, "_finite", lambda key, value: True)
            replace(transformer, "_is_causal", self._is_causal)
            array = vars(Tensor)["array"]
            replace(Tensor, "array", property(self._refusing("array", array.__get__), array.__set__))
            yield
        finally:
            for owner, name, value in reversed(undo):
                _put(owner, name, value)

    def _noting(self, function):
        signature, name = inspect.signature(function), function.__name__
        creates = name in _CREATED

        @functools.wraps(function)
        def noting(*args, **kwargs):
            if self._depth:
                return function(*args, **kwargs)
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = list(tensors_in(bound.arguments))
            known = any(id(each) in self.known for each in given)
            if known and any(each._memory in self._changed for each in given):
                raise CompileError(f"{name} at {place()} reads a tensor that was changed in place before")
            if known and name in DEFINITIONS:
                result = DEFINITIONS[name](*args, **kwargs)
                if result is not None:
                    return result
            inplace = known and bound.arguments.get("inplace") is True
            if inplace:
                bound.arguments["inplace"] = False
            self._depth += 1
            try:
                result = function(*bound.args, **bound.kwargs)
            finally:
                self._depth -= 1
            if inplace and result is not given[0]:
                self._changed.add(given[0]._memory)
            fixed = all(id(each) in self.constants for each in given) and bool(given)
            if (known or fixed) and (name == "setitem" or (name.endswith("_") and not name.endswith("__"))):
                raise CompileError(f"{name} at {place()} changes a tensor in place, which cannot be compiled")
            if fixed or (creates and not _holds_values(bound.arguments)):
                self.constants |= {id(each): each for each in tensors_in(result)}
            elif known:
                self._note(name, function, bound.arguments, result)
            return result

        return noting

    def _is_causal(self, mask, decided=transformer._is_causal):
        """Whether a mask of the model's own is the causal one; those that may be another one are read."""
        return mask is not None and id(mask) in self.constants and decided(mask)

    def _note(self, name, function, arguments, result):
        made = list(tensors_in(result))
        if made and all(id(each) in self.known for each in made):
            return  # the tensor itself, as of contiguous() where it is
        arguments = dict(arguments)
        if getattr(function, "is_reflected", False):
            arguments = {"input": arguments["other"], "other": arguments["input"]}
        results = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        self.calls.append(Call(name, arguments, results, place()))
        self.known |= {id(each): each for each in made}

    def _refusing(self, name, function):
        @functools.wraps(function)
        def refusing(tensor, *args, **kwargs):
            if self._depth == 0 and id(tensor) in self.known and not _is_ours():
                raise CompileError(
                    f"{name.strip('_')} at {place()} reads the value of a tensor, on which nothing may depend"
                )
            return function(tensor, *args, **kwargs)

        return refusing


def _put(owner, name, value):
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)


def _holds_values(arguments):
    """Whether the numbers that a tensor is made of may be those of another one."""
    data = [arguments.get(key) for key in ("data", "fill_value")]
    return any(isinstance(each, np.ndarray) for each in data) or any(tensors_in(data))


@functools.cache
def _operations():
    """Where the operations are: (module or class, name, function)."""
    methods = {name: value for name, value in vars(Tensor).items() if isinstance(value, FunctionType)}
    operations = {
        value
        for name, value in methods.items()
        if value.__module__.startswith(("nn.operations", "nn.functional", "nn.tensor")) and name not in _LAYOUT
    }
    for module in (sys.modules["nn"], functional):
        operations |= {
            value
            for value in vars(module).values()
            if isinstance(value, FunctionType) and value.__module__.startswith(("nn.operations", "nn.functional"))
        }
    operations |= {arithmetic.reshaped, transformer.Transformer.generate_square_subsequent_mask}
    operations = {each for each in operations if each.__name__ not in _LAYOUT | _COMPOSED}
    found = [(Tensor, name, value) for name, value in methods.items() if value in operations]
    for name, value in vars(Tensor).items():
        if isinstance(value, property) and value.fget.__module__ == "nn.operations.orders":
            found.append((Tensor, name, value.fget))
    for name, module in sorted(sys.modules.items()):
        inner = name.startswith(("nn.autograd", "nn.tape", "nn.compilation"))
        if isinstance(module, ModuleType) and (name == "nn" or name.startswith("nn.")) and not inner:
            layers = [each for each in vars(module).values() if isinstance(each, type) and each is not Tensor]
            for owner in (module, *layers):
                for attribute, value in vars(owner).items():
                    value = value.__func__ if isinstance(value, staticmethod) else value
                    if isinstance(value, FunctionType) and value in operations:
                        found.append((owner, attribute, value))
    return tuple(dict.fromkeys(found))


def _stored(model):
    """Where the model and the files of its layers keep operations: (dictionary, name, function)."""
    operations, places = {function for _, _, function in _operations()}, []
    for module in model.modules():
        scope = getattr(type(module).forward, "__globals__", {})
        ours = scope.get("__name__", "").split(".")[0] == "nn"
        for owner in (vars(module), *(() if ours else (scope,))):
            for name, value in owner.items():
                if isinstance(value, FunctionType) and value in operations:
                    places.append((owner, name, value))
    return {(id(owner), name): (owner, name, function) for owner, name, function in places}.values()


def _is_ours():
    """Whether the caller of the tensor's method is `nn` itself."""
    return Path(sys._getframe(2).f_code.co_filename).is_relative_to(HERE)


def place():
    """The line of the model that is running: the innermost one outside of `nn`, or else the layer."""
    frame, layer = sys._getframe(1), "the model"
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if not path.is_relative_to(HERE) and "contextlib" not in path.name:
            return f"{path.name}:{frame.f_lineno}"
        if frame.f_code.co_name == "forward":
            layer = type(frame.f_locals.get("self")).__name__
        frame = frame.f_back
    return layer

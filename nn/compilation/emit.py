"""The line of source for each operation, in terms of kernels and NumPy functions that Numba knows."""

import inspect

import numpy as np

import kernels
from nn.compilation.trace import CompileError
from nn.storage import Tensor

# Operations that are one kernel, and the names of its arguments in the operation.
_WINDOW = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode")
_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
KERNELS = {
    "linear": ("input", "weight", "bias"),
    "matmul": ("input", "other"),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "rms_norm": ("input", "normalized_shape", "weight", "eps"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
    "embedding": ("input", "weight"),
    "leaky_relu": ("input", "negative_slope"),
    "elu": ("input", "alpha"),
    "celu": ("input", "alpha"),
    "softplus": ("input", "beta", "threshold"),
    "hardtanh": ("input", "min_val", "max_val"),
    "gelu": ("input", "approximate"),
    "glu": ("input", "dim"),
    "prelu": ("input", "weight"),
    **{name: ("input",) for name in ("relu", "selu", "silu", "mish", "sigmoid", "tanh", "hardswish", "hardsigmoid")},
    **{name: ("input",) for name in ("logsigmoid", "exp", "erf", "expm1", "log1p", "rsqrt")},
    **{name: ("input", "dim") for name in ("softmax", "log_softmax", "cumsum")},
    **{name: ("input", "dim", "keepdim") for name in ("sum", "mean", "logsumexp")},
    **{f"conv{rank}d": _CONVOLUTION for rank in (1, 2, 3)},
    **{f"conv_transpose{rank}d": _TRANSPOSED for rank in (1, 2, 3)},
    **{f"max_pool{rank}d": _WINDOW for rank in (1, 2, 3)},
    **{
        f"avg_pool{rank}d": ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
        for rank in (1, 2, 3)
    },
    **{f"adaptive_{kind}_pool{rank}d": ("input", "output_size") for kind in ("avg", "max") for rank in (1, 2, 3)},
}
# Arguments that have to be what is said here.
REQUIRED = {
    "embedding": {"max_norm": None},
    "adaptive_max_pool": {"return_indices": False},
    "max_pool": {"return_indices": False},
    "avg_pool": {"divisor_override": None},
}
OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
NUMPY = {"sqrt": "sqrt", "log": "log", "sin": "sin", "cos": "cos", "abs": "abs", "square": "square", "neg": "negative"}
SAME = {"contiguous", "clone", "detach", "cpu", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"}
VIEWS = {"getitem", "expand", "chunk", "split", "split_with_sizes", "unbind", "tensor_split"}
SHAPED = {"reshape", "view", "flatten", "squeeze", "unsqueeze", "unflatten", "ravel", "reshape_as", "view_as"}
ORDERED = {"transpose", "swapaxes", "swapdims", "permute", "t", "movedim", "moveaxis"}
# Activations that a kernel applies while it has the result.
FUSED = {
    "linear": ("relu", "tanh", "sigmoid", "silu", "gelu"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "batch_norm"), ("relu",)),
}


class Writer:
    """Source of calls; `names` are those of the tensors so far, by their identity."""

    def __init__(self, names):
        self.names = names
        self.strided = set()  # names of views, whose layout Numba does not know to be contiguous

    def line(self, call):
        """The expression of a call, or None where its result is its input."""
        name, arguments, result = call.name, call.arguments, call.results[0]
        if name in SAME:
            self._require(call, training=False)
            copied = name in ("contiguous", "clone") and self.tensor(arguments["input"]) in self.strided
            return f"np.ascontiguousarray({self.tensor(arguments['input'])})" if copied else None
        if name in KERNELS:
            return self._kernel(call)
        if name in OPERATORS:
            self._require(call, alpha=1, rounding_mode=None)
            self._keeps_dtype(call)
            a, b = (self._operand(arguments[key], result) for key in ("input", "other"))
            return f"{a} {OPERATORS[name]} {b}"
        if name in COMPARISONS:
            x = next(each for each in arguments.values() if isinstance(each, Tensor))
            a, b = (self._operand(arguments[key], x) for key in ("input", "other"))
            return f"{a} {COMPARISONS[name]} {b}"
        if name in NUMPY:
            self._keeps_dtype(call)
            return f"np.{NUMPY[name]}({self.tensor(arguments['input'])})"
        if name in SHAPED:
            return self._shaped(arguments["input"], result)
        if name in ORDERED:
            return f"{self.tensor(arguments['input'])}.transpose({self._order(call)})"
        special = getattr(self, f"_{name}", None)
        if special is None:
            raise CompileError(f"{name} at {call.place} is not among the operations that can be compiled")
        return special(call)

    # --- arguments ---------------------------------------------------------------------------------------------------

    def tensor(self, tensor):
        name = self.names.get(id(tensor))
        if name is None:
            raise CompileError(
                f"a tensor of shape {tensor.shape} is neither an input, a parameter or a buffer, nor made of these by "
                "operations; register_buffer makes it a buffer"
            )
        return name

    def _operand(self, value, like):
        """A tensor, or a number in the dtype of `like`: Numba's numbers would make float64 of float32."""
        if isinstance(value, Tensor):
            return self.tensor(value)
        return f"np.{like.array.dtype.name}({value!r})" if like.array.dtype.kind == "f" else repr(value)

    def _value(self, value):
        if isinstance(value, Tensor):
            return self.tensor(value)
        if isinstance(value, (tuple, list)):
            return f"({', '.join(map(self._value, value))}{',' * (len(value) == 1)})"
        if isinstance(value, str):
            return f'"{value}"'
        if value is None or isinstance(value, (bool, int, float)):
            return repr(value)
        raise CompileError(f"an argument {value!r} is neither a tensor nor a number or text")

    def _require(self, call, **values):
        for key, value in values.items():
            if call.arguments.get(key, value) != value:
                raise CompileError(f"{call.name} at {call.place}: {key} must be {value} to be compiled")

    def _keeps_dtype(self, call):
        """CompileError where tensors have other dtypes than the result: Numba makes float64 of float32 and integers."""
        result = call.results[0].dtype
        for tensor in call.arguments.values():
            if isinstance(tensor, Tensor) and tensor.dtype != result:
                raise CompileError(
                    f"{call.name} at {call.place}: tensors must have the result's dtype {result} here, one is "
                    f"{tensor.dtype}; convert it outside of the model"
                )

    # --- operations --------------------------------------------------------------------------------------------------

    def _kernel(self, call):
        for start, values in REQUIRED.items():
            if call.name.startswith(start):
                self._require(call, **values)
        if "dtype" in call.arguments:
            self._require(call, dtype=None)
        values = [call.arguments[key] for key in KERNELS[call.name]]
        if call.name in ("softmax", "log_softmax") and values[1] is None:
            values[1] = -1 if call.results[0].ndim not in (0, 1, 3) else 0
        return self._call(call, values)

    def _call(self, call, values, **options):
        """A call of a kernel: tensors by position, then by keyword what differs from the defaults."""
        parameters = list(inspect.signature(getattr(kernels, call.name)).parameters.values())
        if "activation" in call.arguments:
            options["activation"] = call.arguments["activation"]
        given, by_position = [], True
        for parameter, value in zip(parameters, values, strict=False):
            if isinstance(value, (tuple, list)) and len(set(value)) == 1 and parameter.name != "normalized_shape":
                value = value[0]  # the same along each axis
            default = parameter.default
            if default is not parameter.empty and type(value) is type(default) and value == default:
                by_position = False
                continue
            tensor = isinstance(value, Tensor) or default is parameter.empty
            by_position = by_position and tensor
            given.append(self._value(value) if by_position else f"{parameter.name}={self._value(value)}")
        given += [f"{key}={self._value(value)}" for key, value in options.items() if value]
        return f"{call.name}({', '.join(given)})"

    def _shaped(self, tensor, result):
        x = self.tensor(tensor)
        if x in self.strided:
            x = f"np.ascontiguousarray({x})"
        return f"{x}.reshape({self._value(result.shape)})"

    def _order(self, call):
        """The permutation of an operation that changes the order of dimensions."""
        x = call.arguments["input"].array
        places = np.empty(x.shape, np.bool_)  # its strides tell the dimensions apart, but for those of length 1
        marked = np.lib.stride_tricks.as_strided(places, x.shape, tuple(2**i for i in range(x.ndim)))
        rest = {key: value for key, value in call.arguments.items() if key != "input"}
        strides = _ordered(call.name, Tensor(marked), rest).array.strides
        return ", ".join(str(stride.bit_length() - 1) for stride in strides)

    def _batch_norm(self, call):
        self._require(call, training=False)
        keys = ("input", "running_mean", "running_var", "weight", "bias")
        return self._call(call, [call.arguments[key] for key in keys], eps=call.arguments["eps"])

    def _scaled_dot_product_attention(self, call):
        self._require(call, dropout_p=0.0, window=None, alibi=None)
        keys = ("query", "key", "value", "attn_mask")
        options = {key: call.arguments[key] for key in ("is_causal", "scale", "enable_gqa", "softcap")}
        return self._call(call, [call.arguments[key] for key in keys], **options)

    def _pow(self, call):
        self._keeps_dtype(call)
        base, exponent = call.arguments.get("input"), call.arguments.get("exponent", call.arguments.get("other"))
        x = self._operand(base, call.results[0])
        squared = not isinstance(exponent, Tensor) and exponent == 2
        return f"{x} * {x}" if squared else f"{x} ** {self._operand(exponent, call.results[0])}"

    def _getitem(self, call):
        index = call.arguments["index"]
        parts = index if isinstance(index, tuple) else (index,)
        return f"{self.tensor(call.arguments['input'])}[{', '.join(self._index(part, call) for part in parts)}]"

    def _index(self, part, call):
        if isinstance(part, slice):
            ends = ["" if each is None else str(int(each)) for each in (part.start, part.stop, part.step)]
            return ":".join(ends if ends[2] else ends[:2])
        if part is None or part is Ellipsis or (isinstance(part, (int, np.integer)) and not isinstance(part, bool)):
            return {None: "None", Ellipsis: "..."}.get(part, str(part))
        raise CompileError(f"an index {part!r} at {call.place} is neither an int nor a slice")

    def _cat(self, call):
        tensors = self._value(tuple(call.arguments["tensors"]))
        return f"np.concatenate({tensors}, {call.arguments['dim'] % call.results[0].ndim})"

    def _stack(self, call):
        return f"np.stack({self._value(tuple(call.arguments['tensors']))}, {call.arguments['dim']})"

    def _masked_fill(self, call):
        x, mask = self.tensor(call.arguments["input"]), self.tensor(call.arguments["mask"])
        return f"np.where({mask}, {self._operand(call.arguments['value'], call.results[0])}, {x})"

    def _expand(self, call):
        return f"np.broadcast_to({self.tensor(call.arguments['input'])}, {self._value(call.results[0].shape)})"

    def parts(self, call):
        """The expressions of an operation with several results, each a piece along a dimension; else None."""
        if call.name not in ("chunk", "split", "split_with_sizes", "unbind", "tensor_split"):
            return None
        tensor = call.arguments.get("input", call.arguments.get("tensor"))
        x, dim, at, found = self.tensor(tensor), call.arguments["dim"] % tensor.ndim, 0, []
        before = ":, " * dim
        for each in call.results:
            if call.name == "unbind":
                found.append(f"{x}[{before}{at}]")
                at += 1
            else:
                length = each.shape[dim]
                found.append(f"{x}[{before}{at}:{at + length}]")
                at += length
        return found


def _ordered(name, tensor, arguments):
    from nn.operations import orders

    more = arguments.pop("more", ())
    return getattr(orders, name)(tensor, *arguments.values(), *more)

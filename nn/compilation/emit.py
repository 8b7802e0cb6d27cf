"""The line of source for each operation, in terms of kernels and NumPy functions that Numba knows."""

import inspect
import math

import numpy as np

import kernels
from nn.compilation.elements import literal
from nn.compilation.movement import Movement
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
    "local_response_norm": ("input", "size", "alpha", "beta", "k"),
    "feed_forward": ("input", "weight1", "bias1", "weight2", "bias2", "activation"),
    "interpolate": (
        *("input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"),
        *("antialias",),
    ),
    "grid_sample": ("input", "grid", "mode", "padding_mode", "align_corners"),
    "unfold": ("input", "kernel_size", "dilation", "padding", "stride"),
    "fold": ("input", "output_size", "kernel_size", "dilation", "padding", "stride"),
    "gather": ("input", "dim", "index"),
    "topk": ("input", "k", "dim", "largest", "sorted"),
    "sort": ("input", "dim", "descending", "stable"),
    "argsort": ("input", "dim", "descending", "stable"),
    "max": ("input", "dim", "keepdim"),
    "argmax": ("input", "dim", "keepdim"),
    **{name: ("input", "dim") for name in ("cumprod", "cummax", "cummin", "logcumsumexp")},
    **{f"lp_pool{rank}d": ("input", "norm_type", "kernel_size", "stride", "ceil_mode") for rank in (1, 2, 3)},
    **{
        f"max_unpool{rank}d": ("input", "indices", "kernel_size", "stride", "padding", "output_size")
        for rank in (1, 2, 3)
    },
    **{name: ("input", "target", "reduction") for name in ("mse_loss", "l1_loss")},
    "smooth_l1_loss": ("input", "target", "reduction", "beta"),
    "huber_loss": ("input", "target", "reduction", "delta"),
    "cross_entropy": ("input", "target", "weight", "ignore_index", "reduction", "label_smoothing"),
    "nll_loss": ("input", "target", "weight", "ignore_index", "reduction"),
    "binary_cross_entropy": ("input", "target", "weight", "reduction"),
    "binary_cross_entropy_with_logits": ("input", "target", "weight", "reduction", "pos_weight"),
    "kl_div": ("input", "target", "reduction", "log_target"),
}
# The recurrent layers and cells: what a kernel has by position, and by keyword.
_CELL = ("input", "hx", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
RECURRENT = {
    "lstm": ((*_CELL, "weight_hr"), ("reverse",)),
    "gru": (_CELL, ("reverse",)),
    "rnn": ((*_CELL, "nonlinearity"), ("reverse",)),
    "lstm_cell": (_CELL, ()),
    "gru_cell": (_CELL, ()),
    "rnn_cell": ((*_CELL, "nonlinearity"), ()),
}
# Arguments that have to be what is said here.
REQUIRED = {
    "embedding": {"max_norm": None},
    "avg_pool": {"divisor_override": None},
    **{name: {"size_average": None, "reduce": None, "weight": None} for name in ("mse_loss", "l1_loss", "huber_loss")},
    **{name: {"size_average": None, "reduce": None} for name in ("cross_entropy", "nll_loss", "binary_cross_entropy")},
    **{name: {"size_average": None, "reduce": None} for name in ("smooth_l1_loss", "kl_div")},
}
# Functions of each element that kernels do not have: in the last bit, NumPy's and Numba's may differ.
NUMPY = {name: name for name in ("log", "log2", "log10", "exp2", "sin", "cos", "tan", "sinh", "cosh")}
NUMPY |= {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh"}
NUMPY |= {"atanh": "arctanh"}
SAME = {"contiguous", "clone", "detach", "cpu", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout"}
# Activations that a kernel applies while it has the result.
FUSED = {
    "linear": ("relu", "tanh", "sigmoid", "silu", "gelu"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "batch_norm"), ("relu",)),
}


class Writer(Movement):
    """Source of calls; `names` are those of the tensors so far, by their identity, `constants` the tensors made of
    numbers alone."""

    def __init__(self, names, constants=(), read=None):
        self.names, self.constants, self.read = names, constants, read
        self.strided = set()  # names of views, whose layout Numba does not know to be contiguous
        self._taken, self._count = set(names.values()), 0

    def unique(self, name):
        """A name that nothing else has: this one, or with a number."""
        found, number = name, 2
        while found in self._taken:
            found, number = f"{name}_{number}", number + 1
        self._taken.add(found)
        return found

    def reserve(self, *names):
        """Keep names from being used for anything else."""
        self._taken.update(names)

    def named(self, call):
        """The name of a call's first result."""
        return self.named_result(call, call.results[0])

    def named_result(self, call, result):
        """The name of one of a call's results."""
        self._count += 1
        name = self.names[id(result)] = self.unique(f"{call.name}_{self._count}")
        return name

    def constant(self, name, array):
        """The name of an array that is passed with the weights."""
        tensor = Tensor(array)
        self.constants[id(tensor)] = tensor
        self.read.append(tensor)
        self.names[id(tensor)] = self.unique(name)
        return self.names[id(tensor)]

    def is_number(self, tensor):
        """Whether a tensor is written as a number."""
        return tensor.ndim == 0 and id(tensor) in self.constants

    def line(self, call):
        """The expression of a call, or its lines with ``{out}`` for the result, or None where that is its input."""
        name, arguments, result = call.name, call.arguments, call.results[0]
        if name in SAME:
            self._require(call, training=False)
            copied = name in ("contiguous", "clone") and self.tensor(arguments["input"]) in self.strided
            return f"np.ascontiguousarray({self.tensor(arguments['input'])})" if copied else None
        if name in KERNELS and all(key in arguments for key in KERNELS[name]):
            return self._kernel(call)
        if name in RECURRENT:
            return self._recurrent(call)
        if name in NUMPY:
            self._keeps_dtype(call)
            return self._array(f"np.{NUMPY[name]}({{}})", [self.tensor(arguments["input"])], result)
        found = self.moved(call, result)
        if found is not None:
            return found
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

    def _value(self, value):
        if isinstance(value, Tensor):
            return self.tensor(value)
        if isinstance(value, (tuple, list)):
            return f"({', '.join(map(self._value, value))}{',' * (len(value) == 1)})"
        if isinstance(value, str):
            return f'"{value}"'
        if isinstance(value, float) and not math.isfinite(value):
            return literal(value, np.float64)
        if value is None or isinstance(value, (bool, int, float)):
            return repr(value)
        raise CompileError(f"an argument {value!r} is neither a tensor nor a number or text")

    def _require(self, call, **values):
        for key, value in values.items():
            if call.arguments.get(key, value) != value:
                raise CompileError(f"{call.name} at {call.place}: {key} must be {value} to be compiled")

    def _keeps_floats(self, call):
        """CompileError for a kernel of integers whose result is converted, or that the model computes by NumPy."""
        x = call.arguments["input"]
        if x.dtype.kind != "f" and call.name not in ("embedding", "gather", "sort", "argsort", "topk"):
            raise CompileError(
                f"{call.name} at {call.place}: input must be floating point to be compiled, got {x.dtype}"
            )

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
        if call.name == "sum" and call.arguments["input"].dtype.kind != "f":
            return self._counted(call)
        self._keeps_floats(call)
        values = [call.arguments[key] for key in KERNELS[call.name]]
        if call.name in ("softmax", "log_softmax") and values[1] is None:
            values[1] = 0 if call.results[0].ndim in (0, 1, 3) else 1
        if call.name == "topk" and call.arguments["dim"] is None:
            values[2] = -1
        options = {"return_indices": True} if call.arguments.get("return_indices") else {}
        return self._call(call, values, **options)

    def _call(self, call, values, **options):
        """A call of a kernel: tensors by position, then by keyword what differs from the defaults."""
        parameters = list(inspect.signature(getattr(kernels, call.name)).parameters.values())
        if "activation" in call.arguments:
            options["activation"] = call.arguments["activation"]
        given, by_position = [], True
        for parameter, value in zip(parameters, values, strict=False):
            if isinstance(value, (tuple, list)) and parameter.name != "normalized_shape":
                value = _along_each(value)
            default = parameter.default
            if _is(value, default):
                by_position = False
                continue
            tensor = isinstance(value, Tensor) or default is parameter.empty
            by_position = by_position and tensor
            given.append(self._value(value) if by_position else f"{parameter.name}={self._value(value)}")
        defaults = {parameter.name: parameter.default for parameter in parameters}
        given += [f"{key}={self._value(value)}" for key, value in options.items() if not _is(value, defaults[key])]
        return f"{call.name}({', '.join(given)})"

    def _batch_norm(self, call):
        self._require(call, training=False)
        keys = ("input", "running_mean", "running_var", "weight", "bias")
        return self._call(call, [call.arguments[key] for key in keys], eps=call.arguments["eps"])

    def _scaled_dot_product_attention(self, call):
        self._require(call, dropout_p=0.0, window=None, alibi=None)
        keys = ("query", "key", "value", "attn_mask")
        options = ("is_causal", "scale", "enable_gqa", "causal_offset", "softcap")
        options = {key: call.arguments[key] for key in options}
        return self._call(call, [call.arguments[key] for key in keys], **options)

    def _instance_norm(self, call):
        given = call.arguments
        if given["use_input_stats"] and given["running_mean"] is not None:
            raise CompileError(f"instance_norm at {call.place}: running statistics that change cannot be compiled")
        keys = ("input", "running_mean", "running_var", "weight", "bias")
        options = {} if given["use_input_stats"] else {"use_input_stats": False}
        return self._call(call, [given[key] for key in keys], **options, eps=given["eps"])

    def _recurrent(self, call):
        positional, keywords = RECURRENT[call.name]
        self._require(call, batch_sizes=None)
        values = [call.arguments[key] for key in positional]
        return self._call(call, values, **{key: call.arguments[key] for key in keywords})

    def _embedding_bag(self, call):
        self._require(call, max_norm=None)
        given = call.arguments
        values = [given[key] for key in ("input", "weight", "offsets")]
        options = {key: given[key] for key in ("mode", "per_sample_weights", "include_last_offset", "padding_idx")}
        return self._call(call, values, **options)

    def _index_select(self, call):
        given = call.arguments
        return self._call(call, [given["input"], given["dim"], given["index"]])

    def _argmin(self, call):
        given, negative = call.arguments, f"-{self.tensor(call.arguments['input'])}"
        options = [f"{key}={self._value(given[key])}" for key in ("dim", "keepdim") if given[key] not in (None, False)]
        return f"argmax({', '.join([negative, *options])})"

    def _pow(self, call):
        self._keeps_dtype(call)
        base, exponent = call.arguments.get("input"), call.arguments.get("exponent", call.arguments.get("other"))
        operands = [self._operand(each, call.results[0].dtype) for each in (base, exponent)]
        return self._array("{} ** {}", operands, call.results[0])

    def _array(self, text, operands, result):
        """An expression of arrays: where they have one element, Numba's is a number."""
        if result.ndim:
            return text.format(*operands)
        known = set(self.names.values())
        return f"np.full((), {text.format(*(f'{each}.item()' if each in known else each for each in operands))})"

    def _operand(self, value, dtype):
        """A tensor, or a number in a dtype."""
        if isinstance(value, Tensor) and not self.is_number(value):
            return self.tensor(value)
        return literal(value.array.item() if isinstance(value, Tensor) else value, dtype)


def _is(value, default):
    """Whether an argument is the default, so that it need not be written."""
    return type(value) is type(default) and not isinstance(value, Tensor) and value == default


def _along_each(values):
    """One number where all are the same: that along each axis."""
    return values[0] if not isinstance(values[0], Tensor) and len(set(values)) == 1 else values

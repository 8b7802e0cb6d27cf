"""The lines of source of a forward pass in training: those of `emit`, and what the backward pass reads later."""

import math

import numpy as np

from nn.compilation.elements import CONVERSIONS, element
from nn.compilation.emit import KERNELS as OF_EVALUATION
from nn.compilation.emit import Writer
from nn.compilation.movement import ORDERED, VIEWS
from nn.compilation.trace import CompileError
from nn.storage import Tensor

_LOSSES = {
    "cross_entropy": ("input", "target", "weight", "ignore_index", "reduction", "label_smoothing"),
    "nll_loss": ("input", "target", "weight", "ignore_index", "reduction"),
    "mse_loss": ("input", "target", "reduction"),
    "l1_loss": ("input", "target", "reduction"),
    "smooth_l1_loss": ("input", "target", "reduction", "beta"),
    "huber_loss": ("input", "target", "reduction", "delta"),
    "binary_cross_entropy": ("input", "target", "weight", "reduction"),
    "binary_cross_entropy_with_logits": ("input", "target", "weight", "reduction", "pos_weight"),
}
# Operations that are one kernel, as `emit.KERNELS`, here with all that a training step needs.
KERNELS = {
    **OF_EVALUATION,
    **_LOSSES,
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    "embedding": ("input", "weight", "padding_idx"),
    "add_layer_norm": ("input", "residual", "normalized_shape", "weight", "bias", "eps"),
}
_PAIRS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_NEVER = {"size_average": None, "reduce": None, "dtype": None, "max_norm": None, "return_indices": False}
_NEVER |= {"divisor_override": None, "sparse": False, "scale_grad_by_freq": False}


class Name(str):
    """Source text in the place of a value."""


class Forward(Writer):
    """Writes the lines of calls to `lines`.

    Parameters
    ----------
    names : dict
        The names of the tensors so far, by their identity.
    active : callable
        Whether a tensor needs a gradient.
    constants : dict
        The tensors made of numbers alone, by their identity.
    """

    def __init__(self, names, active, constants):
        super().__init__(names, constants)
        self.active, self.lines, self.saved, self.same, self.draws = active, [], {}, {}, False
        self.parts_of, self.heads = {}, set()  # name of a part -> name of the whole, first element and shape of it

    def write(self, call, name):
        """The lines of a call, whose result is to have this name."""
        if call.results[0] is call.arguments.get("input"):
            return  # dropout in evaluation mode
        first = call.results[0]
        if not all(isinstance(each, Tensor) for each in call.results):
            raise CompileError(f"{call.name} at {call.place} is not among the operations that can be compiled")
        if len(call.results) > 1:
            self._write_parts(call, name)
            return
        text = self._saving(call, name)
        if text is None:
            given = call.arguments["input"]
            self.names[id(first)], self.same[id(first)] = self.tensor(given), self.same.get(id(given), id(given))
        else:
            self._assign(name, text, first, call)

    def _write_parts(self, call, name):
        """The lines of a call with several results."""
        if call.name == "add_layer_norm":
            total = self._new(call, "sum", name.replace("add_layer_norm", "add"), call.results[1].shape)
            self.names[id(call.results[1])] = total
            self._assign(name, self._statistics(call, name, _leading(call), sum=total), call.results[0], call)
            return
        parts = self.parts(call)
        if parts is None:
            raise CompileError(f"{call.name} at {call.place} is not among the operations that can be compiled")
        whole, start = call.arguments.get("input", call.arguments.get("tensor")), 0
        last = call.name != "unbind" and call.arguments["dim"] % whole.ndim == whole.ndim - 1
        for i, (text, each) in enumerate(zip(parts, call.results, strict=True), 1):
            self._assign(f"{name}_{i}", text, each, call)
            if last:
                self.parts_of[f"{name}_{i}"] = self.tensor(whole), start, whole.shape
                start += each.shape[-1]

    def _assign(self, name, text, result, call):
        self.names[id(result)] = name
        if call.name in VIEWS | ORDERED or id(result) in self.heads:
            self.strided.add(name)
        targets = [name, *self.saved.get(id(call), {}).get("results", ())]
        self.lines.append(f"{', '.join(targets)} = {text}  # {result.shape}")

    def _saving(self, call, name):
        """The expression of a call, after the lines of what it fills for the backward pass."""
        special = getattr(self, f"_save_{call.name}", None) or (
            self._save_max_pool if "max_pool" in call.name else None
        )
        if special is not None and self.active(call.results[0]):
            return special(call, name)
        return self.line(call)

    def line(self, call):
        if call.name in KERNELS:
            self.require(call)
            return self.kernel(call)
        if call.name in ("add", "mul"):
            text = self._arithmetic(call)
            if text is not None:
                return text
        text = None if call.name in KERNELS else self._elements(call)
        if text is not None:
            return text
        if call.name in ORDERED:
            return f"transpose({self.tensor(call.arguments['input'])}, ({self._order(call)}))"
        return super().line(call)

    def _pad(self, call):
        x, widths = call.arguments["input"], call.arguments["pad"]
        self._require(call, mode="constant", value=call.arguments["value"] or None)
        if call.arguments["value"] or min(widths) < 0:
            raise CompileError(f"pad at {call.place}: only with zeros, and not with negative widths")
        starts = (0,) * (x.ndim - len(widths) // 2) + tuple(widths[-2::-2])
        values = map(self._value, (call.results[0].shape, starts, (1,) * x.ndim))
        return f"placed({self.tensor(x)}, {', '.join(values)})"

    def _cat(self, call):
        tensors = self._value(tuple(call.arguments["tensors"]))
        return f"concatenate({tensors}, {call.arguments['dim'] % call.results[0].ndim})"

    def _elements(self, call):
        """A function of each element as an expression of arrays, or None for another operation."""
        made, result = element(call), call.results[0]
        if made is None:
            return None
        operands = []
        for value, dtype in zip(made.operands, made.dtypes, strict=True):
            text, other = self._operand(value, dtype), isinstance(value, Tensor) and value.dtype != dtype
            operands.append(f"{text}.astype(np.{np.dtype(dtype).name})" if other else text)
        text = {"{1} if {0} else {2}": "np.where({0}, {1}, {2})", "not {0}": "~{0}"}.get(made.text, made.text)
        if call.name in CONVERSIONS and result.dtype.kind != "b":
            text = f"{{0}}.astype(np.{result.dtype.name})"
        if " if " in text:
            return None
        text = text.replace("abs(", "np.abs(").format(*operands)
        return text if result.ndim else f"np.asarray({text})"  # of arrays with one element Numba makes a number

    def _arithmetic(self, call):
        """The call of a loop of `loops`, or None where there is none for operands of these shapes."""
        a, b = call.arguments["input"], call.arguments["other"]
        if call.arguments.get("alpha", 1) != 1 or any(isinstance(x, Tensor) and self.is_number(x) for x in (a, b)):
            return None
        if not (isinstance(a, Tensor) and isinstance(b, Tensor) and a.dtype == b.dtype and a.dtype.kind == "f"):
            return None
        if a.shape == b.shape and a.ndim:  # numbers are Numba's own
            return f"{'add' if call.name == 'add' else 'multiply'}({self.contiguous(a)}, {self.contiguous(b)})"
        a, b = (a, b) if a.ndim > b.ndim else (b, a)
        if call.name == "add" and b.ndim and b.shape == a.shape[-b.ndim :]:
            return f"add_rows({self.contiguous(a)}, {self.contiguous(b)})"
        return None

    def contiguous(self, value):
        """The name of a tensor, or a name, as a contiguous array."""
        name = self.tensor(value) if isinstance(value, Tensor) else value
        return f"contiguous({name})" if name in self.strided else name

    def _shaped(self, tensor, result):
        x = self.tensor(tensor)
        if x not in self.strided:
            return f"{x}.reshape({self._value(result.shape)})"
        return self._heads(x, result) or f"contiguous({x}).reshape({self._value(result.shape)})"

    def _heads(self, x, result):
        """A part along the last dimension, which is split in two: a part of the whole in that shape, without a copy."""
        if x not in self.parts_of:
            return None
        whole, start, shape = self.parts_of[x]
        *outer, heads, size = result.shape
        if [*outer, heads * size] != list(shape[:-1]) + [heads * size] or start % size or shape[-1] % size:
            return None
        first = start // size
        split = self._value((*outer, shape[-1] // size, size))
        self.heads.add(id(result))
        return f"{whole}.reshape({split})[{':, ' * len(outer)}{first}:{first + heads}]"

    def require(self, call):
        """CompileError for what no kernel is called with."""
        for key, value in _NEVER.items():
            if call.arguments.get(key, value) != value:
                raise CompileError(f"{call.name} at {call.place}: {key} must be {value} to be compiled")
        if call.name in _PAIRS:
            self._require(call, weight=None)
            shapes = [call.arguments[key].shape for key in ("input", "target")]
            if shapes[0] != shapes[1]:
                raise CompileError(f"{call.name} at {call.place}: input and target must have one shape, got {shapes}")

    def kernel(self, call, **options):
        """The call of a kernel with the arguments of the operation, and options by keyword."""
        return self._call(call, self.values(call), **options)

    def values(self, call):
        """The arguments of a kernel."""
        values = [call.arguments[key] for key in KERNELS[call.name]]
        if call.name in ("softmax", "log_softmax") and values[1] is None:
            values[1] = 0 if call.results[0].ndim in (0, 1, 3) else 1
        return values

    def _value(self, value):
        return str(value) if type(value) is Name else super()._value(value)

    # --- what the backward pass reads --------------------------------------------------------------------------------

    def keep(self, call, key, name):
        self.saved.setdefault(id(call), {})[key] = name

    def _new(self, call, key, name, shape):
        """A line for an array that the kernel fills; its name."""
        dtype = call.results[0].dtype
        self.keep(call, key, Name(name))
        self.lines.append(f"{name} = np.empty({shape}, np.{dtype})")
        return Name(name)

    def _statistics(self, call, name, shape, keys=("mean", "rstd"), **options):
        options |= {key: self._new(call, key, f"{name}_{key}", shape) for key in keys}
        return self.kernel(call, **options)

    def _save_linear(self, call, name):
        activation = call.arguments.get("activation", "")
        if not activation.startswith(("gelu", "silu")):
            return self.kernel(call)
        return self.kernel(call, preactivation=self._new(call, "input", f"{name}_input", call.results[0].shape))

    def _save_batch_norm(self, call, name):
        return self._statistics(call, name, call.arguments["input"].shape[1:2])

    def _save_layer_norm(self, call, name):
        return self._statistics(call, name, _leading(call))

    def _save_rms_norm(self, call, name):
        return self._statistics(call, name, _leading(call), ("rstd",))

    def _save_group_norm(self, call, name):
        return self._statistics(call, name, (call.arguments["input"].shape[0], call.arguments["num_groups"]))

    def _save_max_pool(self, call, name):
        self.require(call)
        kept = True
        if not call.name.startswith("adaptive"):
            size, dims = call.arguments["kernel_size"], int(call.name[-2])
            kept = "window" if (size**dims if isinstance(size, int) else math.prod(size)) <= 256 else True
        self.keep(call, "results", [f"{name}_places"])
        return self.kernel(call, return_indices=kept)

    def _save_cross_entropy(self, call, name):
        shape = call.arguments["input"].shape
        lse = self._new(call, "lse", f"{name}_lse", shape[:1] + shape[2:] if len(shape) > 1 else ())
        return self.kernel(call, lse=lse)

    def _save_scaled_dot_product_attention(self, call, name):
        self._require(call, window=None, alibi=None)
        lse = self._new(call, "lse", f"{name}_lse", (2, *call.arguments["query"].shape[:-1]))
        options = {"lse": lse}
        if call.arguments["dropout_p"]:
            options["seed"] = Name(f"{name}_seed")
            self.draws = True
            self.lines.append(f"{name}_seed = rng.integers(0, 2**63 - 1, endpoint=True)")
            self.keep(call, "seed", options["seed"])
        keys = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
        more = {key: call.arguments[key] for key in ("causal_offset", "softcap")}
        return self._call(call, [call.arguments[key] for key in keys], **more, **options)

    def _save_dropout(self, call, name):
        p, x = call.arguments["p"], call.arguments["input"]
        if not call.arguments["training"] or p == 0:
            return None
        dims = int(call.name[-2]) if call.name != "dropout" else None
        if dims is not None and x.ndim not in (dims + 1, dims + 2):
            dims = x.ndim - 2
        shape = x.shape[: x.ndim - dims] + (1,) * dims if dims else x.shape
        self.draws = True
        self.keep(call, "factors", Name(f"{name}_factors"))
        self.lines.append(f"{name}_factors = dropout_factors(rng, {shape}, {float(p)!r}, {self.tensor(x)})")
        return self.product(self.tensor(x), f"{name}_factors", True)

    def product(self, a, b, same_shape):
        return f"multiply({self.contiguous(a)}, {self.contiguous(b)})" if same_shape else f"{a} * {b}"

    _save_dropout1d = _save_dropout2d = _save_dropout3d = _save_dropout


def _leading(call):
    """The lengths of the dimensions that are not normalised."""
    shape, normalized = call.arguments["input"].shape, call.arguments["normalized_shape"]
    return shape[: len(shape) - (1 if isinstance(normalized, int) else len(normalized))]

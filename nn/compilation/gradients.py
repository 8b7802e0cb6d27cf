"""The lines of source of a backward pass: for each operation those of its gradients, in the tape's order."""

import math

import numpy as np

from nn.compilation.emit import ORDERED, SHAPED
from nn.compilation.trace import Call, CompileError
from nn.compilation.training import KERNELS, Name
from nn.storage import Tensor

RULES = {}


def rule(*names):
    """Decorator: the function writes the gradients of these operations: ``function(gradients, call, dy)``."""

    def added(function):
        RULES.update(dict.fromkeys(names, function))
        return function

    return added


class Gradients:
    """Writes the backward pass of the calls that a `Forward` has written, to its lines."""

    def __init__(self, forward):
        self.forward, self.lines, self.found = forward, forward.lines, {}  # found: name, and whether it is no view
        self.in_heads = {}  # the shapes of gradients of parts that have one dimension more, see `Forward._heads`

    def of(self, tensor):
        """The name of the gradient that has arrived at a tensor, or None."""
        return self.found.get(self._key(tensor), (None, None))[0]

    def write(self, call):
        """The lines of the gradients of a call's arguments."""
        results = call.results
        if results[0] is call.arguments.get("input"):
            return
        dys = [self.of(each) if self.forward.active(each) else None for each in results]
        if self._key(results[0]) != id(results[0]) or not any(dys):
            return  # it is its input, or nothing depends on it
        function = RULES.get(call.name)
        if function is None:
            raise CompileError(f"{call.name} at {call.place}: its gradient is not among those that can be compiled")
        function(self, call, [each and Name(each) for each in dys] if len(results) > 1 else Name(dys[0]))

    def _key(self, tensor):
        return self.forward.same.get(id(tensor), id(tensor))

    # --- lines -------------------------------------------------------------------------------------------------------

    def name(self, tensor):
        return self.forward.tensor(tensor)

    def add(self, tensor, text, *, new=True, strided=False):
        """Add what an expression says to the gradient of a tensor, if that needs one.

        `new` says that it is an array of its own, which may be changed in place.
        """
        if isinstance(tensor, Tensor) and self.forward.active(tensor):
            if self.of(tensor) is None and not new and text.isidentifier():
                self.found[self._key(tensor)] = text, False
                return
            name = self._target(tensor)
            self.lines.append(f"{name} = {text}  # {tensor.shape}")
            self._arrived(tensor, name, new, strided)

    def several(self, call, kernel, values, tensors, **options):
        """A kernel that returns a gradient for each of `tensors`, and takes which are needed."""
        needs = tuple(isinstance(each, Tensor) and self.forward.active(each) for each in tensors)
        if not any(needs):
            return
        if not all(needs):
            options["needs"] = needs
        names = []
        for tensor, need in zip(tensors, needs, strict=True):
            names.append(self._target(tensor, names) if need else "_")
        self.lines.append(f"{', '.join(names)} = {self.call(call, kernel, values, **options)}")
        for tensor, name, need in zip(tensors, names, needs, strict=True):
            if need:
                self._arrived(tensor, name, True, False)

    def call(self, call, kernel, values, **options):
        """The call of a kernel, positional arguments first."""
        options = {
            key: Name(self.name(value)) if isinstance(value, Tensor) else value for key, value in options.items()
        }
        return self.forward._call(Call(kernel, {}, (), call.place), values, **options)

    def _target(self, tensor, taken=()):
        """A name for what is to be added to the gradient of a tensor."""
        name = f"d_{self.name(tensor)}"
        return name if self.of(tensor) is None and name not in taken else f"{name}_more"

    def _arrived(self, tensor, name, new, strided):
        if strided:
            self.forward.strided.add(name)
        else:
            self.forward.strided.discard(name)
        before, owned = self.found.get(self._key(tensor), (None, False))
        whole = f"d_{self.name(tensor)}"
        if before is None:
            self.found[self._key(tensor)] = name, new
        elif owned and before not in self.forward.strided:
            self.lines.append(f"add_to({before}, {self.forward.contiguous(name)})")
        else:
            self.lines.append(f"{whole} = add({self.forward.contiguous(before)}, {self.forward.contiguous(name)})")
            self.forward.strided.discard(whole)
            self.found[self._key(tensor)] = whole, True

    def shape(self, tensor):
        return Name(self.forward._value(tensor.shape))

    def added_up(self, text, shape, target):
        """A gradient in the shape of an operand that was broadcast to `shape`."""
        if shape == target:
            return text
        added = len(shape) - len(target)
        stretched = [added + i for i, n in enumerate(target) if n == 1 and shape[added + i] != 1]
        dims = (*range(added), *stretched)
        return f"sum({text}, {self.forward._value(dims)}).reshape({self.forward._value(target)})"


# --- kernels with a backward of their own -----------------------------------------------------------------------------


@rule("linear")
def _linear(g, call, dy):
    x, weight, bias = (call.arguments[key] for key in ("input", "weight", "bias"))
    options = {}
    if "activation" in call.arguments:
        options["activation"] = call.arguments["activation"]
        options["saved"] = g.forward.saved.get(id(call), {}).get("input", call.results[0])
    g.several(call, "linear_backward", (dy, x, weight), (x, weight, bias), **options)


@rule(*(f"{name}{rank}d" for name in ("conv", "conv_transpose") for rank in (1, 2, 3)))
def _convolution(g, call, dy):
    x, weight, bias, *geometry = (call.arguments[key] for key in KERNELS[call.name])
    if "activation" in call.arguments:
        name = f"d_{g.name(call.results[0])}"
        g.lines.append(f"{name} = relu_backward({dy}, {g.name(call.results[0])})")
        dy = Name(name)
    g.several(call, f"{call.name}_backward", (dy, x, weight, *geometry), (x, weight, bias))


@rule("batch_norm")
def _batch_norm(g, call, dy):
    saved, tensors = g.forward.saved[id(call)], [call.arguments[key] for key in ("input", "weight", "bias")]
    x, weight, _ = tensors
    values = (dy, x, saved["mean"], saved["rstd"], weight, call.arguments["training"])
    relu = {"activation": "relu", "saved": call.results[0]} if "activation" in call.arguments else {}
    g.several(call, "batch_norm_backward", values, tensors, **relu)


@rule("layer_norm", "group_norm")
def _layer_norm(g, call, dy):
    saved, tensors = g.forward.saved[id(call)], [call.arguments[key] for key in ("input", "weight", "bias")]
    x, weight, _ = tensors
    values = (dy, x, call.arguments[KERNELS[call.name][1]], saved["mean"], saved["rstd"], weight)
    g.several(call, f"{call.name}_backward", values, tensors)


@rule("rms_norm")
def _rms_norm(g, call, dy):
    tensors = [call.arguments[key] for key in ("input", "weight")]
    values = (dy, tensors[0], call.arguments["normalized_shape"], g.forward.saved[id(call)]["rstd"], tensors[1])
    g.several(call, "rms_norm_backward", values, tensors)


@rule("embedding")
def _embedding(g, call, dy):
    ids, weight, padding = (call.arguments[key] for key in ("input", "weight", "padding_idx"))
    g.add(weight, g.call(call, "embedding_backward", (dy, ids, weight.shape[0], padding)))


@rule("matmul")
def _matmul(g, call, dy):
    tensors = call.arguments["input"], call.arguments["other"]
    g.several(call, "matmul_backward", (dy, *tensors), tensors)


@rule("scaled_dot_product_attention")
def _attention(g, call, dy):
    saved, given = g.forward.saved[id(call)], call.arguments
    tensors = [given[key] for key in ("query", "key", "value", "attn_mask")]
    more = [given[key] for key in ("dropout_p", "is_causal", "scale", "enable_gqa")]
    options = {key: given[key] for key in ("causal_offset", "softcap")} | {"seed": saved.get("seed")}
    needs = tuple(isinstance(each, Tensor) and g.forward.active(each) for each in tensors)
    names = [g._target(each) if need else "_" for each, need in zip(tensors, needs, strict=True)]
    if needs != (True, True, True, False):
        options["needs"] = needs
    values = (dy, *tensors[:3], call.results[0], saved["lse"], tensors[3], *more)
    text = g.call(call, "scaled_dot_product_attention_backward", values, **options)
    g.lines.append(f"{', '.join(names)} = {text}")
    for tensor, name, need in zip(tensors, names, needs, strict=True):
        if need:
            g._arrived(tensor, name, True, strided=True)


@rule("cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
def _classification(g, call, dy):
    values, lse = g.forward.values(call), g.forward.saved.get(id(call), {})
    g.add(values[0], g.call(call, f"{call.name}_backward", (dy, *values), **lse))


@rule("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
def _regression(g, call, dy):
    values = g.forward.values(call)
    g.several(call, f"{call.name}_backward", (dy, *values), values[:2])


@rule(*(f"{kind}max_pool{rank}d" for kind in ("", "adaptive_") for rank in (1, 2, 3)))
def _max_pool(g, call, dy):
    x, *window = g.forward.values(call)
    (places,) = g.forward.saved[id(call)]["results"]
    window = () if call.name.startswith("adaptive") else window
    g.add(x, g.call(call, f"{call.name}_backward", (dy, g.shape(x), Name(places), *window)))


@rule(*(f"{kind}avg_pool{rank}d" for kind in ("", "adaptive_") for rank in (1, 2, 3)), "sum", "mean")
def _average(g, call, dy):
    x, *window = g.forward.values(call)
    window = () if call.name.startswith("adaptive") else window
    g.add(x, g.call(call, f"{call.name}_backward", (dy, g.shape(x), *window)))


@rule("relu", "sigmoid", "tanh", "exp", "expm1", "rsqrt", "softmax", "log_softmax")
def _by_result(g, call, dy):
    x, *options = g.forward.values(call)
    g.add(x, g.call(call, f"{call.name}_backward", (dy, call.results[0], *options)))


@rule("leaky_relu", "elu", "celu", "selu", "silu", "mish", "softplus", "hardtanh", "gelu", "glu", "hardswish")
@rule("hardsigmoid", "logsigmoid", "erf", "log1p")
def _by_input(g, call, dy):
    g.add(call.arguments["input"], g.call(call, f"{call.name}_backward", (dy, *g.forward.values(call))))


@rule("logsumexp")
def _logsumexp(g, call, dy):
    x, *options = g.forward.values(call)
    g.add(x, g.call(call, "logsumexp_backward", (dy, x, call.results[0], *options)))


@rule("cumsum")
def _cumsum(g, call, dy):
    g.add(call.arguments["input"], g.call(call, "cumsum_backward", (dy, call.arguments["dim"])))


# --- arithmetic -------------------------------------------------------------------------------------------------------


def _operands(g, call, of_input, of_other):
    """Add the gradients of two operands, texts or None: `dy` itself is not an array of its own."""
    shape = call.results[0].shape
    for key, text in (("input", of_input), ("other", of_other)):
        operand = call.arguments[key]
        if isinstance(operand, Tensor) and g.forward.active(operand):
            whole = g.added_up(text, shape, operand.shape)
            g.add(operand, whole, new=not whole.isidentifier())


@rule("add")
def _add(g, call, dy):
    _operands(g, call, dy, dy)


@rule("sub")
def _sub(g, call, dy):
    _operands(g, call, dy, f"-{dy}")


@rule("mul")
def _mul(g, call, dy):
    x, y = (g.forward._operand(call.arguments[key], call.results[0]) for key in ("input", "other"))
    same = [np.shape(call.arguments[key]) == call.results[0].shape for key in ("other", "input")]
    _operands(g, call, g.forward.product(dy, y, same[0]), g.forward.product(dy, x, same[1]))


@rule("div")
def _div(g, call, dy):
    x, y = (g.forward._operand(call.arguments[key], call.results[0]) for key in ("input", "other"))
    _operands(g, call, f"{dy} / {y}", f"-{dy} * ({x} / {y} / {y})")


@rule("pow")
def _pow(g, call, dy):
    x, exponent = call.arguments["input"], call.arguments["exponent"]
    if not (exponent == 2 and isinstance(x, Tensor)):
        raise CompileError(f"pow at {call.place}: only the gradient of squares can be compiled, got {exponent!r}")
    g.add(x, f"{dy} * ({g.forward._operand(2.0, x)} * {g.name(x)})")


FORMULAS = {
    "neg": "-{dy}",
    "log": "{dy} / {x}",
    "sqrt": "{dy} / ({y} + {y})",
    "sin": "{dy} * np.cos({x})",
    "cos": "-{dy} * np.sin({x})",
    "abs": "{dy} * np.sign({x})",
}


@rule(*FORMULAS)
def _formula(g, call, dy):
    x = call.arguments["input"]
    g.add(x, FORMULAS[call.name].format(dy=dy, x=g.name(x), y=g.name(call.results[0])))


@rule("masked_fill")
def _masked_fill(g, call, dy):
    x, mask = call.arguments["input"], g.name(call.arguments["mask"])
    text = f"np.where({mask}, {g.forward._operand(0, x)}, {dy})"
    g.add(x, g.added_up(text, call.results[0].shape, x.shape))


@rule("dropout", "dropout1d", "dropout2d", "dropout3d")
def _dropout(g, call, dy):
    x, factors = call.arguments["input"], g.forward.saved[id(call)]["factors"]
    g.add(x, g.forward.product(dy, factors, call.name == "dropout"))


# --- parts and orders -------------------------------------------------------------------------------------------------


@rule(*SHAPED)
def _shaped(g, call, dy):
    x = call.arguments["input"]
    if id(call.results[0]) in g.forward.heads and g.of(x) is None:
        g.add(x, str(dy), new=False)  # as it is: `_split` joins the parts in this shape
        g.in_heads[g._key(x)] = call.results[0].shape
    else:
        g.add(x, f"{g.forward.contiguous(dy)}.reshape({g.forward._value(x.shape)})", new=False)


@rule(*ORDERED)
def _ordered(g, call, dy):
    order = [int(each) for each in g.forward._order(call).split(", ")]
    inverse = tuple(order.index(i) for i in range(len(order)))
    g.add(call.arguments["input"], f"transpose({dy}, {inverse})", new=False, strided=True)


@rule("expand")
def _expand(g, call, dy):
    x = call.arguments["input"]
    text = g.added_up(dy, call.results[0].shape, x.shape)
    g.add(x, text, new=not text.isidentifier())


@rule("getitem")
def _getitem(g, call, dy):
    x, index = call.arguments["input"], call.arguments["index"]
    starts, steps, lengths = _places(x.shape, index if isinstance(index, tuple) else (index,))
    _put(g, x, dy, starts, steps, lengths, call.results[0].shape)


def _places(shape, index):
    """Where the elements of a basic index begin, their distances and their numbers, along each dimension."""
    given = sum(part is not None and part is not Ellipsis for part in index)
    parts = []
    for part in index if Ellipsis in index else (*index, Ellipsis):
        if part is not None:
            parts += [slice(None)] * (len(shape) - given) if part is Ellipsis else [part]
    found = []
    for part, n in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            start, stop, step = part.indices(n)
            found.append((start, step, len(range(start, stop, step))))
        else:
            found.append((int(part) % n, 1, 1))
    return tuple(zip(*found, strict=True)) or ((), (), ())


def _put(g, x, dy, starts, steps, lengths, shape):
    """Add a gradient that is 0 but for one part."""
    if lengths != shape:
        dy = f"{g.forward.contiguous(dy)}.reshape({g.forward._value(lengths)})"
    if lengths == x.shape and set(steps) <= {1}:
        g.add(x, str(dy), new=False)
    else:
        places = ", ".join(map(g.forward._value, (x.shape, starts, steps)))
        g.add(x, f"placed({dy}, {places})")


@rule("pad")
def _pad(g, call, dy):
    x, widths = call.arguments["input"], call.arguments["pad"]
    starts = (0,) * (x.ndim - len(widths) // 2) + tuple(widths[-2::-2])
    g.add(x, f"taken({dy}, {', '.join(map(g.forward._value, (x.shape, starts, (1,) * x.ndim)))})")


@rule("chunk", "split", "split_with_sizes", "tensor_split")
def _split(g, call, dys):
    x = call.arguments.get("input", call.arguments.get("tensor"))
    shapes = [g.in_heads.get(g._key(each)) for each in call.results]
    if all(shapes) and len({(*shape[:-2], shape[-1]) for shape in shapes}) == 1:
        g.add(x, f"concatenate(({', '.join(dys)}), {x.ndim - 1}).reshape({g.forward._value(x.shape)})")
        return
    parts = []
    for each, dy, shape in zip(call.results, dys, shapes, strict=True):
        text = dy or f"np.zeros({g.forward._value(each.shape)}, np.{x.dtype})"
        parts.append(f"contiguous({text}).reshape({g.forward._value(each.shape)})" if shape else text)
    g.add(x, f"concatenate(({', '.join(parts)},), {call.arguments['dim'] % x.ndim})")


@rule("unbind")
def _unbind(g, call, dys):
    x, dim = call.arguments["input"], call.arguments["dim"] % call.arguments["input"].ndim
    lengths = (*x.shape[:dim], 1, *x.shape[dim + 1 :])
    for i, dy in reversed(list(enumerate(dys))):
        if dy:
            starts = (0,) * dim + (i,) + (0,) * (x.ndim - dim - 1)
            _put(g, x, dy, starts, (1,) * x.ndim, lengths, call.results[0].shape)


@rule("cat")
def _cat(g, call, dy):
    dim, at = call.arguments["dim"] % call.results[0].ndim, 0
    for each in call.arguments["tensors"]:
        length = each.shape[dim]
        g.add(each, f"{dy}[{':, ' * dim}{at}:{at + length}]", new=False, strided=math.prod(each.shape[:dim]) != 1)
        at += length


@rule("stack")
def _stack(g, call, dy):
    dim = call.arguments["dim"] % call.results[0].ndim
    for i, each in enumerate(call.arguments["tensors"]):
        g.add(each, f"{dy}[{':, ' * dim}{i}]", new=False, strided=dim > 0)

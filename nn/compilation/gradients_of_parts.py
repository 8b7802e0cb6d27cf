"""The gradients of arithmetic, and of operations that move elements."""

import math

import numpy as np

from nn.compilation.gradients import rule
from nn.compilation.movement import ORDERED, SHAPED
from nn.compilation.trace import CompileError
from nn.storage import Tensor

# --- arithmetic -------------------------------------------------------------------------------------------------------


def _operands(g, call, of_input, of_other):
    """Add the gradients of two operands, texts or None: `dy` itself is not an array of its own."""
    g.forward._require(call, alpha=1)
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
    x, y = (g.forward._operand(call.arguments[key], call.results[0].dtype) for key in ("input", "other"))
    if not call.results[0].ndim:  # numbers: Numba makes one of arrays without dimensions
        return _operands(g, call, f"np.asarray({dy} * {y})", f"np.asarray({dy} * {x})")
    same = [np.shape(call.arguments[key]) == call.results[0].shape for key in ("other", "input")]
    return _operands(g, call, g.forward.product(dy, y, same[0]), g.forward.product(dy, x, same[1]))


@rule("div")
def _div(g, call, dy):
    x, y = (g.forward._operand(call.arguments[key], call.results[0].dtype) for key in ("input", "other"))
    _operands(g, call, f"{dy} / {y}", f"-{dy} * ({x} / {y} / {y})")


@rule("pow")
def _pow(g, call, dy):
    x, exponent = call.arguments["input"], call.arguments["exponent"]
    if not (exponent == 2 and isinstance(x, Tensor)):
        raise CompileError(f"pow at {call.place}: only the gradient of squares can be compiled, got {exponent!r}")
    g.add(x, f"{dy} * ({g.forward._operand(2.0, x.dtype)} * {g.name(x)})")


FORMULAS = {
    "neg": "-{dy}",
    "square": "{dy} * ({x} + {x})",
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
    text = f"np.where({mask}, {g.forward._operand(0, x.dtype)}, {dy})"
    g.add(x, g.added_up(text, call.results[0].shape, x.shape))


@rule("dropout", "dropout1d", "dropout2d", "dropout3d")
def _dropout(g, call, dy):
    x, factors = call.arguments["input"], g.forward.saved[id(call)]["factors"]
    g.add(x, g.forward.product(dy, factors, True))


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

"""Lines that move elements: shapes, orders, pieces, joined arrays, padding, and reductions that NumPy has."""

import numpy as np

from nn.compilation.elements import LETTERS, literal, numpy_name
from nn.compilation.trace import CompileError
from nn.storage import Tensor

SHAPED = {"reshape", "reshaped", "view", "flatten", "squeeze", "unsqueeze", "unflatten", "ravel", "reshape_as"}
SHAPED |= {"view_as"}
ORDERED = {"transpose", "swapaxes", "swapdims", "permute", "t", "movedim", "moveaxis", "reversed_dims"}
ORDERED |= {"matrix_transpose", "hermitian"}
EXPANDED = {"expand", "expand_as", "broadcast_to"}
PARTS = {"chunk", "split", "split_with_sizes"}
VIEWS = {"getitem", *EXPANDED, *PARTS}


def is_dense(call, strided):
    """Whether the part that an index names lies in memory without gaps, as Numba knows it: ints, then one slice."""
    parts = call.arguments.get("index")
    parts = parts if isinstance(parts, tuple) else (parts,)
    *first, last = parts or (0,)
    ints = all(isinstance(part, int) for part in first)
    return call.name == "getitem" and not strided and ints and (isinstance(last, int) or _is_step_1(last))


def _is_step_1(part):
    return isinstance(part, slice) and part.step is None


class Movement:
    """The part of `Writer` for operations that move elements."""

    def moved(self, call, result):
        """The expression or the lines of such an operation, or None for another one."""
        name, given = call.name, call.arguments
        if name in SHAPED:
            return self._shaped(given["input"], result)
        if name in ORDERED:
            return f"{self.tensor(given['input'])}.transpose({self._order(call)})"
        if name in EXPANDED:
            return f"np.broadcast_to({self.tensor(given['input'])}, {result.shape})"
        return None

    def _shaped(self, tensor, result):
        return f"{self.dense(tensor)}.reshape({result.shape})"

    def dense(self, tensor):
        """A tensor, copied if it may be a view."""
        x = self.tensor(tensor)
        return f"np.ascontiguousarray({x})" if x in self.strided else x

    def _order(self, call):
        """The permutation of an operation that changes the order of dimensions."""
        x = call.arguments["input"].array
        places = np.empty(x.shape, np.bool_)  # its strides tell the dimensions apart, but for those of length 1
        marked = np.lib.stride_tricks.as_strided(places, x.shape, tuple(2**i for i in range(x.ndim)))
        rest = {key: value for key, value in call.arguments.items() if key != "input"}
        strides = _ordered(call.name, Tensor(marked), rest).array.strides
        return ", ".join(str(stride.bit_length() - 1) for stride in strides)

    # --- pieces ------------------------------------------------------------------------------------------------------

    def parts(self, call):
        """The expressions of an operation with several results, each a piece along a dimension; else None."""
        if call.name not in PARTS:
            return None
        tensor = call.arguments.get("input", call.arguments.get("tensor"))
        x, dim, at, found = self.tensor(tensor), call.arguments["dim"] % tensor.ndim, 0, []
        before = ":, " * dim
        for each in call.results:
            length = each.shape[dim]
            found.append(f"{x}[{before}{at}:{at + length}]")
            at += length
        return found

    def _getitem(self, call):
        index, x, result = call.arguments["index"], call.arguments["input"], call.results[0]
        parts = index if isinstance(index, tuple) else (index,)
        arrays = [place for place, part in enumerate(parts) if isinstance(part, (Tensor, np.ndarray, list))]
        if arrays:
            return self._picked(call, x, parts, arrays)
        if result.ndim == 0:  # Numba gives a number
            last = max(place for place, part in enumerate(parts) if isinstance(part, (int, np.integer)))
            at = int(parts[last])
            parts = (*parts[:last], slice(at, at + 1 or None), *parts[last + 1 :])
            return f"{self.tensor(x)}[{', '.join(self._index(part, call) for part in parts)}].reshape(())"
        return f"{self.tensor(x)}[{', '.join(self._index(part, call) for part in parts)}]"

    def _index(self, part, call):
        if isinstance(part, slice):
            ends = ["" if each is None else str(int(each)) for each in (part.start, part.stop, part.step)]
            return ":".join(ends if ends[2] else ends[:2])
        if part is None or part is Ellipsis or (isinstance(part, (int, np.integer)) and not isinstance(part, bool)):
            return {None: "None", Ellipsis: "..."}.get(part, str(part))
        raise CompileError(f"an index {part!r} at {call.place} is neither an int nor a slice")

    def _picked(self, call, x, parts, arrays):
        """The slices that one tensor of integers names, all others being whole."""
        index = parts[arrays[0]]
        others = [part for place, part in enumerate(parts) if place != arrays[0]]
        whole = all(part is Ellipsis or part == slice(None) for part in others) if len(arrays) == 1 else False
        if not whole or not isinstance(index, Tensor) or index.dtype.kind not in "iu":
            raise CompileError(
                f"an index at {call.place} must be ints and slices, or one tensor of integers, to be compiled"
            )
        dim = x.ndim - (len(parts) - arrays[0]) if Ellipsis in parts[: arrays[0]] else arrays[0]
        name = self.tensor(index)
        wrapped = f"np.where({name} < 0, {name} + {x.shape[dim]}, {name})"
        if index.ndim == 1:
            return f"index_select({self.tensor(x)}, {dim}, {wrapped})"
        shape = call.results[0].shape
        return f"index_select({self.tensor(x)}, {dim}, {wrapped}.reshape(-1)).reshape({shape})"

    # --- joined, padded, repeated ------------------------------------------------------------------------------------

    def _joined(self, call):
        result, given = call.results[0], call.arguments
        tensors = [each for each in given["tensors"] if each.shape != (0,) or result.ndim == 1]
        names = [self.tensor(each) for each in tensors]
        convert = [f".astype(np.{result.dtype.name})" if each.dtype != result.dtype else "" for each in tensors]
        names = [name + text for name, text in zip(names, convert, strict=True)]
        return f"({', '.join(names)}{',' * (len(names) == 1)})", given["dim"] % result.ndim

    def _cat(self, call):
        return "np.concatenate({}, {})".format(*self._joined(call))

    def _stack(self, call):
        return "np.stack({}, {})".format(*self._joined(call))

    def _pad(self, call):
        given, x, result = call.arguments, call.arguments["input"], call.results[0]
        widths = [(0, 0)] * (x.ndim - len(given["pad"]) // 2)
        widths += list(zip(given["pad"][::2], given["pad"][1::2], strict=True))[::-1]
        if given["mode"] != "constant":
            return self._pad_by_index(given["mode"], x, widths)
        value = literal(given["value"] or 0, result.dtype)
        lines, target, source = [f"{{out}} = np.full({result.shape}, {value}, np.{numpy_name(result.dtype)})"], [], []
        for d, (n, (a, b)) in enumerate(zip(x.shape, widths, strict=True)):
            letter, first, length = LETTERS[d], max(-a, 0), n - max(-b, 0) - max(-a, 0)
            lines.append(f"{'    ' * d}for {letter} in range({length}):")
            target.append(f"{letter} + {a}" if a > 0 else letter)
            source.append(f"{letter} + {first}" if first else letter)
        return [*lines, f"{'    ' * x.ndim}{{out}}[{', '.join(target)}] = {self.tensor(x)}[{', '.join(source)}]"]

    def _pad_by_index(self, mode, x, widths):
        """Slices by their indices, one dimension after the other."""
        from nn.functional.padding import _sources

        names = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
        text = self.tensor(x)
        for dim in reversed(range(x.ndim)):
            if widths[dim] != (0, 0):
                source = _sources(mode, names[mode], x.shape[dim], *widths[dim])
                text = f"index_select({text}, {dim}, {self.constant(f'{mode}_padding', source.astype(np.int64))})"
        return text

    def _flip(self, call):
        x, dims = call.arguments["input"], (call.arguments["dims"], *call.arguments["more"])
        dims = dims[0] if isinstance(dims[0], (tuple, list)) else dims
        dims = {dim % x.ndim for dim in dims}
        return f"{self.tensor(x)}[{', '.join('::-1' if d in dims else ':' for d in range(x.ndim))}].copy()"

    def _roll(self, call):
        x, shifts, dims = (call.arguments[key] for key in ("input", "shifts", "dims"))
        if not isinstance(dims, int) or not isinstance(shifts, int):
            raise CompileError(f"roll at {call.place}: shifts and dims must be ints to be compiled")
        dim = dims % x.ndim
        before, at = ":, " * dim, x.shape[dim] - shifts % x.shape[dim]
        name = self.tensor(x)
        return f"np.concatenate(({name}[{before}{at}:], {name}[{before}:{at}]), {dim})"

    def _repeat(self, call):
        x, result = call.arguments["input"], call.results[0]
        full = (1,) * (result.ndim - x.ndim) + x.shape
        inner = tuple(n for pair in ((1, n) for n in full) for n in pair)
        outer = tuple(n for m, n in zip(result.shape, full, strict=True) for n in (m // n if n else 0, n))
        copies = f"np.broadcast_to({self.dense(x)}.reshape({inner}), {outer})"
        return f"np.ascontiguousarray({copies}).reshape({result.shape})"

    def _triangle(self, call):
        x = call.arguments["input"]
        if x.ndim != 2:
            raise CompileError(f"{call.name} at {call.place}: input must be a matrix to be compiled, got {x.shape}")
        return f"np.{call.name}({self.tensor(x)}, {call.arguments['diagonal']})"

    _tril = _triu = _triangle

    # --- reductions --------------------------------------------------------------------------------------------------

    def _counted(self, call):
        """The sums of integers and bools, and whether all or any are true, of a dimension or of all."""
        given, result = call.arguments, call.results[0]
        x, dim = given["input"], given["dim"]
        dims = (dim,) if isinstance(dim, int) else tuple(dim or ()) or tuple(range(x.ndim))
        dims = sorted((d % x.ndim for d in dims), reverse=True) if x.ndim else []
        if given.get("dtype") is not None:
            raise CompileError(f"{call.name} at {call.place}: dtype must be None to be compiled")
        text = f"({self.tensor(x)} != 0)" if call.name != "sum" else self.tensor(x)
        text = f"{text}.astype(np.int64)"
        for d in dims if len(dims) < x.ndim else ():
            text = f"{text}.sum({d})"
        count = int(np.prod([x.shape[d] for d in dims]))
        if len(dims) == x.ndim:
            text = f"{text}.sum()"
        elif given["keepdim"]:
            text = f"{text}.reshape({result.shape})"
        text = {"sum": text, "any": f"{text} > 0", "all": f"{text} == {count}"}[call.name]
        return f"np.full({result.shape}, {text})" if len(dims) == x.ndim else text

    _all = _any = _counted

    def _amax(self, call):
        """The largest elements, or the smallest, along one dimension."""
        given, x = call.arguments, call.arguments["input"]
        dims = given["dim"] if isinstance(given["dim"], (tuple, list)) else (given["dim"],)
        sign, keep = "-" * (call.name == "amin"), ", keepdim=True" * bool(given["keepdim"])
        if given["dim"] is None or len(dims) in (0, x.ndim):
            text = f"{sign}{self.dense(x)}.reshape(-1)" if sign else f"{self.dense(x)}.reshape(-1)"
            return f"({sign}max({text}, 0)[0]).reshape({call.results[0].shape})"
        if len(dims) != 1 or x.dtype.kind != "f":
            raise CompileError(f"{call.name} at {call.place}: needs one dimension, or all, of floats to be compiled")
        return f"{sign}max({sign}{self.tensor(x)}, {dims[0]}{keep})[0]"

    _amin = _amax


def _ordered(name, tensor, arguments):
    from nn.operations import orders

    more = arguments.pop("more", ())
    return getattr(orders, name)(tensor, *arguments.values(), *more)

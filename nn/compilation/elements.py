"""Functions of each element, and chains of them, as one loop that is spelled out.

A loop over `.flat` is vectorised where Numba's expressions of whole arrays are not: a sum of two arrays of 400,000
elements takes 48 µs instead of 150. The values have the bits that NumPy and the kernels give: expressions keep the
order of operations, and comparisons say which operand a NaN or a zero with a sign comes from.
"""

import math

import numpy as np

from nn.storage import Tensor, tensors_in

LETTERS = "ijklmpqrst"  # of loops; n is the number of an element
ARITHMETIC = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "fmod": "np.fmod({0}, {1})",
}
WHOLE = {"floor_divide": "{0} // {1}", "remainder": "{0} % {1}"}
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
LOGIC = {"logical_and": "&", "bitwise_and": "&", "logical_or": "|", "bitwise_or": "|"}
LOGIC |= {"logical_xor": "^", "bitwise_xor": "^"}
FLOATS = {"sqrt": "np.sqrt({0})", "floor": "np.floor({0})", "ceil": "np.ceil({0})", "trunc": "np.trunc({0})"}
FLOATS |= {"round": "np.rint({0})", "isnan": "{0} != {0}", "isfinite": "np.isfinite({0})", "isinf": "np.isinf({0})"}
FLOATS |= {"sign": "np.sign({0}) if {0} == {0} else {0}", "reciprocal": "1 / {0}"}
SIGNED = {"neg": "-{0}", "abs": "abs({0})", "square": "{0} * {0}"}
CONVERSIONS = {"to", "type_as", "float", "double", "long", "int", "short", "char", "byte", "bool"}
POWERS = {1: "{0}", 2: "{0} * {0}", 3: "{0} * {0} * {0}", 0.5: "np.sqrt({0})", -0.5: "1 / np.sqrt({0})", -1: "1 / {0}"}


class Element:
    """An operation as an expression of one element: `text` with places for `operands`, converted to `dtype` but for a
    condition, which is the first."""

    def __init__(self, text, operands, dtype):
        self.text, self.operands, self.dtype = text, operands, np.dtype(dtype)
        self.dtypes = ["bool" if text.startswith("{1} if {0} else") else dtype, *[dtype] * (len(operands) - 1)]


def element(call):
    """The operation of a call as an `Element`, or None where it is not one of these."""
    made = _element(call.name, call.arguments, call.results[0])
    if made is None or any(not isinstance(each, (Tensor, int, float, np.generic)) for each in made.operands):
        return None
    result = call.results[0].dtype
    if result.kind in "iu" and result.itemsize < 8:  # Numba's arithmetic of small integers has 64 bits
        made.text = f"np.{result.name}({made.text})"
    return made


def _element(name, given, result):
    x, other = given.get("input"), given.get("other")
    dtype = result.dtype
    if name in ARITHMETIC:
        if given.get("rounding_mode") is not None or dtype.kind == "b" or (name == "fmod" and dtype.kind != "f"):
            return None
        alpha = given.get("alpha", 1)
        if alpha != 1:
            return Element(f"{{0}} {ARITHMETIC[name][4]} {{1}} * {{2}}", [x, other, alpha], dtype)
        return Element(ARITHMETIC[name], [x, other], dtype)
    if name in WHOLE:
        whole = dtype.kind in "iu" and isinstance(other, int) and other != 0
        return Element(WHOLE[name], [x, other], dtype) if whole else None
    if name in COMPARISONS:
        return Element(f"{{0}} {COMPARISONS[name]} {{1}}", [x, other], _common(x, other))
    if name in LOGIC:
        common = _common(x, other)
        return Element(f"{{0}} {LOGIC[name]} {{1}}", [x, other], common) if common.kind == dtype.kind else None
    if name in ("logical_not", "bitwise_not"):
        return Element("not {0}", [x], "bool") if x.dtype.kind == "b" else None
    if name in FLOATS:
        common = dtype if dtype.kind == "f" else x.dtype
        plain = common.kind == "f" and given.get("decimals", 0) == 0
        return Element(_ones(FLOATS[name], common), [x], common) if plain else None
    if name in SIGNED:
        return Element(SIGNED[name], [x], dtype) if dtype.kind != "b" else None
    if name == "pow":
        return _power(given, dtype)
    if name in CONVERSIONS:
        return (
            Element("{0} != 0", [x], x.dtype) if dtype.kind == "b" else Element(f"np.{dtype.name}({{0}})", [x], x.dtype)
        )
    return _chosen(name, given, dtype)


def _chosen(name, given, dtype):
    """The functions whose elements are one of several, by a condition."""
    x, other = given.get("input"), given.get("other")
    if name == "where" and isinstance(given["condition"], Tensor):
        return Element("{1} if {0} else {2}", [given["condition"], x, other], dtype)
    if name == "masked_fill" and isinstance(given["mask"], Tensor):
        return Element("{1} if {0} else {2}", [given["mask"], given["value"], x], dtype)
    if name in ("maximum", "minimum"):
        sign = ">" if name == "maximum" else "<"
        nan = " or {0} != {0}" if dtype.kind == "f" else ""
        return Element(f"{{0}} if {{0}} {sign} {{1}}{nan} else {{1}}", [x, other], dtype)
    if name == "clamp":
        low, high = given["min"], given["max"]
        if low is not None and high is not None:
            ordered = not isinstance(low, Tensor) and not isinstance(high, Tensor) and low <= high
            text = "{1} if {0} < {1} else {2} if {0} > {2} else {0}"
            return Element(text, [x, low, high], dtype) if ordered else None
        text = "{1} if {0} < {1} else {0}" if high is None else "{1} if {0} > {1} else {0}"
        return Element(text, [x, high if low is None else low], dtype)
    if name == "relu":
        return Element("{1} if {0} <= {1} else {0}", [x, 0], dtype)
    if name == "leaky_relu":
        return Element("{0} if {0} > {2} else {0} * {1}", [x, given["negative_slope"], 0], dtype)
    if name == "hardtanh" and given["min_val"] <= given["max_val"]:
        text = "{1} if {0} <= {1} else {2} if {0} >= {2} else {0}"
        return Element(text, [x, given["min_val"], given["max_val"]], dtype)
    if name == "hardshrink":
        return Element("{2} if abs({0}) <= {1} else {0}", [x, given["lambd"], 0], dtype)
    if name == "threshold":
        return Element("{2} if {0} <= {1} else {0}", [x, given["threshold"], given["value"]], dtype)
    return None


def _power(given, dtype):
    """Powers by products and roots, as the operation itself has them."""
    x, exponent = given["input"], given.get("exponent", given.get("other"))
    if not isinstance(x, Tensor) or isinstance(exponent, (Tensor, bool)) or exponent not in POWERS:
        return None
    if x.dtype != dtype or (dtype.kind != "f" and exponent not in (1, 2, 3)):
        return None
    return Element(_ones(POWERS[exponent], dtype), [x], dtype)


def _ones(text, dtype):
    """The text with its 1 in a dtype."""
    return text.replace("1 /", f"np.{dtype.name}(1) /")


def _common(x, y):
    """The dtype in which NumPy compares."""
    return np.result_type(*(each.array if isinstance(each, Tensor) else each for each in (x, y)))


def literal(value, dtype):
    """A number as text, in a dtype: Numba's own would make float64 of float32."""
    dtype, value = np.dtype(dtype), value.item() if isinstance(value, np.generic) else value
    if dtype.kind == "b":
        return repr(bool(value))
    if dtype.kind in "iu":
        return repr(int(value))
    value = float(value)
    text = repr(value) if math.isfinite(value) else "np.nan" if value != value else "np.inf" if value > 0 else "-np.inf"
    return f"np.{dtype.name}({text})"


# --- chains ----------------------------------------------------------------------------------------------------------

KERNELS_ALONE = {"relu", "leaky_relu", "hardtanh"}  # alone, the kernel is faster: it uses threads


def chains(calls, result):
    """For the calls that are written as loops, by identity of their last one: the calls of each, in order.

    A call joins the loop that all calls that read its result are in, if both have the same shape.
    """
    readers = {}
    for call in calls:
        for tensor in {id(each): each for each in tensors_in(call.arguments)}.values():
            readers.setdefault(id(tensor), []).append(id(call))
    returned = {id(each) for each in tensors_in([result])}
    ends, members = {}, {}  # the last call of the loop that each call is in, and the calls of each
    for call in reversed(calls):
        if element(call) is None:
            continue
        y = call.results[0]
        found = {ends.get(reader) for reader in readers.get(id(y), ())}
        end = found.pop() if len(found) == 1 and id(y) not in returned else None
        joins = end is not None and members[end][-1].results[0].shape == y.shape and y.ndim
        ends[id(call)] = end = end if joins else id(call)
        members.setdefault(end, []).insert(0, call)
    return {end: found for end, found in members.items() if len(found) > 1 or found[0].name not in KERNELS_ALONE}


def loop(writer, calls, name):
    """The lines of a loop over the elements of the last call's result, which gets `name`."""
    result = calls[-1].results[0]
    inside, items, arrays = {id(call.results[0]) for call in calls}, {}, {}
    elements = [element(call) for call in calls]
    for operand in (each for made in elements for each in made.operands if isinstance(each, Tensor)):
        if id(operand) not in inside and not writer.is_number(operand):
            (items if operand.array.size == 1 and result.array.size != 1 else arrays)[id(operand)] = operand
    lines = [f"{name} = np.empty({result.shape}, np.{numpy_name(result.dtype)})"]
    texts = {}
    for key, operand in items.items():
        texts[key] = writer.unique(f"{writer.tensor(operand)}_item")
        lines.append(f"{texts[key]} = {writer.tensor(operand)}.item()")
    counts, index, place = _indices(result.shape, list(arrays.values()), writer)
    indent = "    " * len(counts)
    lines += [f"{'    ' * d}for {LETTERS[d]} in range({n}):" for d, n in enumerate(counts)]
    if index is not None:
        lines.append(f"{indent}n = {index}")
    for key, operand in arrays.items():
        texts[key] = place(operand, writer.tensor(operand))
        if _reads(elements, key) > 1 or any(_is_choice(made, key) for made in elements):
            local = writer.unique(f"{writer.tensor(operand)}_{'n' if index else LETTERS[max(len(counts) - 1, 0)]}")
            lines.append(f"{indent}{local} = {texts[key]}")
            texts[key] = local
    for call, made in zip(calls, elements, strict=True):
        operands = [_operand(writer, *pair, texts) for pair in zip(made.operands, made.dtypes, strict=True)]
        y = call.results[0]
        target = place(result, name) if call is calls[-1] else writer.named(call)
        texts[id(y)] = target
        lines.append(f"{indent}{target} = {made.text.format(*operands)}")
    return lines


def numpy_name(dtype):
    """What Numba calls a dtype in the module np."""
    return "bool_" if dtype.kind == "b" else dtype.name


def _reads(elements, key):
    """How often an operand is read."""
    return sum(
        made.text.count(f"{{{place}}}")
        for made in elements
        for place, each in enumerate(made.operands)
        if id(each) == key
    )


def _is_choice(made, key):
    """Whether an operand is read where a condition holds: a load that may not happen is not vectorised."""
    return " if " in made.text and any(id(each) == key for each in made.operands)


def _operand(writer, value, dtype, texts):
    """The text of an operand, converted to a dtype."""
    dtype = np.dtype(dtype)
    if not isinstance(value, Tensor):
        return literal(value, dtype)
    if writer.is_number(value):
        return literal(value.array.item(), dtype)
    text = texts[id(value)]
    return text if value.dtype == dtype else f"np.{dtype.name}({text})"


def _indices(shape, arrays, writer):
    """The lengths of the loops, the text of the index among all elements (None where it is a loop's own, or where an
    operand is a view), and the function from a tensor and its name to the text of its element."""
    aligned = {id(each): (1,) * (len(shape) - each.ndim) + each.shape for each in arrays}
    if any(writer.tensor(each) in writer.strided for each in arrays):

        def indexed(tensor, name):
            first = len(shape) - tensor.ndim
            letters = [
                LETTERS[first + d] if n > 1 or shape[first + d] == 1 else "0" for d, n in enumerate(tensor.shape)
            ]
            return f"{name}[{', '.join(letters)}]" if letters else f"{name}[()]"

        return shape, None, indexed
    kinds = [tuple(aligned[id(each)][d] == n for each in arrays) for d, n in enumerate(shape)]
    merged = []  # (length, which operands have the dimension)
    for n, kind in zip(shape, kinds, strict=True):
        if merged and (merged[-1][1] == kind or n == 1):
            merged[-1] = (merged[-1][0] * n, merged[-1][1])
        elif n != 1:
            merged.append((n, kind))
    counts = [n for n, _ in merged]

    def combined(own):
        text = ""
        for letter, n, mine in zip(LETTERS, counts, own, strict=False):
            if mine and text:
                text = f"({text}) * {n} + {letter}" if "+" in text else f"{text} * {n} + {letter}"
            elif mine:
                text = letter
        return text or "0"

    def place(tensor, name):
        own = [True] * len(counts)
        if id(tensor) in aligned:
            which = [id(each) for each in arrays].index(id(tensor))
            own = [kind[which] for _, kind in merged]
        return f"{name}.flat[{'n' if all(own) and len(counts) > 1 else combined(own)}]"

    return counts, combined([True] * len(counts)) if len(counts) > 1 else None, place

"""Stand-ins for what has no Python code when Numba compiles nothing, under ``NUMBA_DISABLE_JIT=1``.

Then `jit` returns functions as they are, so that a debugger can step through their loops. What emits LLVM (an
intrinsic) either has a Python form beside it, which then takes its place, or, as vectors and register tiles, has none:
there a call ends with an error that names the loops to step through instead.
"""

import re
import sys

from numba import extending
from numba.core import config

DISABLED = bool(config.DISABLE_JIT)


def intrinsic(function=None, *, plain=None, prefer_literal=False):
    """`numba.extending.intrinsic`; without compiling, the Python function `plain` or, where there is none, an error."""
    if function is None:
        return lambda function: intrinsic(function, plain=plain, prefer_literal=prefer_literal)
    if not DISABLED:
        return extending.intrinsic(prefer_literal=prefer_literal)(function)
    if plain is not None:
        return plain

    def compiled_only(*arguments):
        raise only_compiled(function.__name__)

    return compiled_only


def only_compiled(part: str) -> NotImplementedError:
    """The error where plain Python meets `part`, a vector or tile.

    It names the operation that the user called (the outermost function in the call stack that is public or a rung of
    VARIANTS) and the loops that define it.
    """
    if not DISABLED:
        return NotImplementedError(f"{part}: for vectors in jitted code")
    name, family = _operation() or (part, "")
    met = f"{name}: register tiles and vectors exist only in compiled code (NUMBA_DISABLE_JIT is set)"
    naive = {key: f'{family}.VARIANTS["{key}"]["naive"]' for key in _variants(family)}
    for key, loops in naive.items():
        if _stem(name) == _stem(key):
            return NotImplementedError(f"{met}; step through {loops}")
    for key, loops in naive.items():
        if _stem(name) in (f"{_stem(key)}_backward", f"{_stem(key)}_cell"):
            return NotImplementedError(f"{met}; it has no naive loops of its own, the closest are {loops}")
    listed = f"the naive loops of its family are {', '.join(naive.values())}" if naive else "it has no naive loops"
    return NotImplementedError(f"{met}; {listed}")


def _stem(name: str) -> str:
    """max_pool2d, matmul_loops -> max_pool, matmul: the same loops for any number of dimensions, or without checks."""
    return re.sub(r"\d+d(?=_|$)|_loops$", "", name)


def _variants(family: str) -> dict:
    return getattr(sys.modules.get(family), "VARIANTS", {})


def _operation() -> tuple[str, str] | None:
    """Name of the operation that is being called, and the module of its VARIANTS; None outside of all."""
    frames, frame = [], sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("kernels.") and frame.f_globals is not globals():
            frames.append(frame)
        frame = frame.f_back
    public = vars(sys.modules["kernels"])
    for frame in reversed(frames):
        name, family = frame.f_code.co_name, ".".join(frame.f_globals["__name__"].split(".")[:2])
        if getattr(public.get(name), "__code__", None) is frame.f_code:
            return name, family
        rung = _rung_of(frame)
        if rung is not None:
            return rung
    if not frames:
        return None
    outermost = frames[-1]
    return outermost.f_code.co_name, ".".join(outermost.f_globals["__name__"].split(".")[:2])


def _rung_of(frame):
    """The operation of which the running function is a rung, and the module of its VARIANTS, or None."""
    for family in [name for name in sys.modules if re.fullmatch(r"kernels\.\w+", name)]:
        for operation, ladder in _variants(family).items():
            for rung in ladder.values():
                if getattr(rung, "__code__", None) is frame.f_code and _captured_by(rung, frame):
                    return operation, family
    return None


def _captured_by(function, frame) -> bool:
    """Whether the frame has captured what the function has: closures of one source share their code."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return all(frame.f_locals.get(name) is cell.cell_contents for name, cell in cells)

"""Running one sample on both sides, ours and PyTorch's, and judging the outcome."""

import inspect
import re
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import kernels
import nn
from tests.conformance.values import Converter, Inexpressible, array_of, difference, flat, strided

DEFECTS = ("wrong", "accident", "accepted", "crash", "hang")
STATUSES = ("pass", "different", "refused", "inexpressible", *DEFECTS)

_OURS = tuple(str(Path(package.__file__).parent) for package in (kernels, nn))
_NAMED = (TypeError, ValueError, IndexError, KeyError, RuntimeError, NotImplementedError, OverflowError)


class Outcome(NamedTuple):
    """How a sample ended."""

    status: str
    reason: str = ""  # the same for all samples of one kind, as listed in `expected.txt`
    detail: str = ""  # specific to this sample


class Case(NamedTuple):
    """One sample to run."""

    key: str  # the name of the sample within its operation
    description: str
    fixed: bool  # whether it belongs to the fixed part
    run: object  # () -> Outcome


class Sides(NamedTuple):
    """Three versions of the same call; each returns (results, leaves that may get gradients)."""

    ours: object  # () -> (results, leaves)
    theirs: object  # () -> (results, leaves)
    exact: object  # (scale, generator, dtype) -> (results, leaves); each input changed by ±`scale`, relatively


class Refused(Exception):
    """Our side raised an error; carries the outcome."""

    def __init__(self, outcome):
        super().__init__(outcome.reason)
        self.outcome = outcome


def check_signature(function, arguments, options):
    """Raise Inexpressible unless `function` has these arguments."""
    try:
        inspect.signature(function).bind(*arguments, **options)
    except TypeError as error:
        raise Inexpressible(f"argument: {error}") from None


def refusal(error, status="refused"):
    """The outcome of an error on our side: the given status if our code raises it deliberately, else an accident."""
    reason = f"{type(error).__name__}: {general(str(error))}"
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    line = next((f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames) if f.filename.startswith(_OURS)), "")
    ours = last.filename.startswith(_OURS) and (last.line or "").startswith("raise") and isinstance(error, _NAMED)
    return Outcome(status if ours else "accident", reason, f"{error} ({line})")


def general(message):
    """An error message without the numbers and shapes of its sample, on one line."""
    message = re.sub(r"(?<![A-Za-z_\d])-?\d+(\.\d*)?(e[-+]?\d+)?", "#", message.splitlines()[0] if message else "")
    message = re.sub(r"\(#?,?( ?#,?)*\)|\[#?,?( ?#,?)*\]", "(#)", message)
    return re.sub(r"(#|\(#\))(, (#|\(#\)))+", r"\1", message)[:150].strip()


def attempt(function, *arguments, **options):
    """Call our side; any warning counts as an error, as in the project's tests.

    Raises
    ------
    Refused
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return function(*arguments, **options)
    except (Inexpressible, Refused):
        raise
    except Warning as warning:
        raise Refused(Outcome("wrong", f"warns: {type(warning).__name__}: {general(str(warning))}")) from None
    except Exception as error:
        raise Refused(refusal(error)) from None


def judge(sides, pairs, *, gradients=True, strided_cotangent=False, gradient_scale=0.0):
    """Compare the results of both sides, the inputs after the call, and the gradients.

    Parameters
    ----------
    sides : Sides
    pairs : callable
        Called after our side: returns (theirs, ours) for each tensor that may have been changed in place.
    gradients : bool
    strided_cotangent : bool
        Whether our backward gets dy as a non-contiguous array.
    gradient_scale : float
        The magnitude, for a dy and inputs of 1, of terms that cancel in the gradient: rounding is relative to them.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs, their_leaves = sides.theirs()
    except Exception as error:
        return Outcome("inexpressible", f"PyTorch refuses: {type(error).__name__}", str(error)[:200])
    try:
        ours, our_leaves = attempt(sides.ours)
        theirs, ours = flat(theirs), flat(ours)
        exact = _Exact(sides.exact)
        problem = _results_differ(ours, theirs, exact) or _inputs_differ(pairs())
        if problem is None and gradients:
            ends = _Ends(ours, our_leaves, theirs, their_leaves)
            problem = _gradients_differ(ends, exact, strided_cotangent, gradient_scale)
    except Inexpressible as reason:
        return Outcome("inexpressible", general(str(reason)), str(reason))
    except Refused as refused:
        return refused.outcome
    return problem or Outcome("pass")


class _Exact:
    """PyTorch's results and gradients in float64, computed on demand."""

    def __init__(self, compute):
        self._compute = compute
        self._known = {}

    def results(self, scale=0, seed=0, dtype=torch.float64):
        key = "results", scale, seed, dtype
        if key not in self._known:
            self._known[key] = None
            if self._compute is not None:
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        self._known[key] = self._compute(scale, torch.Generator().manual_seed(seed), dtype)
                except Exception:  # there is no float64 counterpart: PyTorch's own result is used instead
                    pass
        known = self._known[key]
        return (None, None) if known is None else (flat(known[0]), known[1])

    def gradients(self, cotangents, scale=0, seed=0, dtype=torch.float64):
        key = "gradients", scale, seed, dtype
        if key not in self._known:
            results, leaves = self.results(scale, seed, dtype)
            self._known[key] = None
            if results is not None:
                ends = [y for y in results if torch.is_tensor(y) and y.requires_grad]
                wanted = [x for x in leaves if x.requires_grad]
                if len(ends) == len(cotangents) and wanted:
                    weights = [c.to(dtype) for c in cotangents]
                    self._known[key] = torch.autograd.grad(ends, wanted, weights, retain_graph=True, allow_unused=True)
        return self._known[key]

    def rounding(self, select):
        """How far PyTorch's own float64 result may be off: as far as float32 is from it, by the ratio of the roundings.

        Terms that cancel inside, as in softmax's gradient where one probability is nearly 1, are rounded relative to
        their size, and no change of the inputs shows it. The largest error of five inputs that differ by a rounding.
        """
        single, double = torch.finfo(torch.float32).eps, torch.finfo(torch.float64).eps
        found = 0.0
        for seed in range(5):
            scale = float(single) if seed else 0
            results = [select(scale, seed, dtype) for dtype in (torch.float32, torch.float64)]
            if all(result is not None for result in results):
                error = np.abs(array_of(results[0]) - array_of(results[1]))
                found = max(found, np.nan_to_num(error, posinf=0.0).max(initial=0))
        return found * double / single

    def sensitivity(self, select, eps):
        """The change of a value when each input changes by one rounding error: the largest of four random changes."""
        base = select(0, 0)
        if base is None:
            return 0.0
        others = (select(float(eps), seed) for seed in range(1, 5))
        return max(np.nan_to_num(np.abs(array_of(y) - array_of(base))).max(initial=0) for y in others if y is not None)


def _results_differ(ours, theirs, exact):
    if len(ours) != len(theirs):
        return Outcome("wrong", "number of results differs", f"{len(ours)}, expected {len(theirs)}")
    precise = exact.results()[0] or [None] * len(theirs)
    for i, (got, expected) in enumerate(zip(ours, theirs, strict=True)):
        if got is None or expected is None:
            if got is not expected:
                return Outcome("wrong", "a result is None on one side only", f"result {i}: {got}, expected {expected}")
            continue

        def change(i=i, got=got):
            return exact.sensitivity(lambda scale, seed: (exact.results(scale, seed)[0] or precise)[i], _eps(got))

        found = difference(got, expected, precise[i] if torch.is_tensor(precise[i]) else None, change)
        if found:
            return Outcome("wrong", f"result: {found[0]}", f"result {i}: {found[1]}")
        if isinstance(got, nn.Tensor) and torch.is_tensor(expected) and got.requires_grad != expected.requires_grad:
            return Outcome("wrong", f"requires_grad is {got.requires_grad}", f"result {i}")
    return None


def _eps(value):
    return np.finfo(array_of(value).dtype).eps


def _inputs_differ(pairs):
    # an input changed in place is a mean or a variance of others, with errors relative to the largest of them
    largest = max((float(x.detach().abs().max()) for x, _ in pairs if x.is_floating_point() and x.numel()), default=0.0)
    for i, (expected, got) in enumerate(pairs):
        found = difference(got, expected, None, lambda got=got: _eps(got) * max(largest, largest**2))
        if found:
            return Outcome("wrong", f"input afterwards: {found[0]}", f"input {i}: {found[1]}")
    return None


class _Ends(NamedTuple):
    """The tensors at which gradients start and arrive, on both sides."""

    ours: list
    our_leaves: list
    theirs: list
    their_leaves: list


def _gradients_differ(call, exact, strided_cotangent, gradient_scale):
    wanted = [(x, y) for x, y in zip(call.their_leaves, call.our_leaves, strict=True) if x.requires_grad]
    ends = [(y, g) for y, g in zip(call.theirs, call.ours, strict=True) if torch.is_tensor(y) and y.requires_grad]
    if not wanted or not ends:
        return None
    generator = torch.Generator().manual_seed(7)
    cotangents = [torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.dtype) for y, _ in ends]
    try:
        expected = torch.autograd.grad([y for y, _ in ends], [x for x, _ in wanted], cotangents, allow_unused=True)
    except Exception:  # PyTorch has no gradient here
        return None
    try:
        for i, (_, y) in enumerate(ends):
            dy = cotangents[i].numpy()
            attempt(y.backward, nn.Tensor(strided(dy) if strided_cotangent else dy), retain_graph=i + 1 < len(ends))
    except Refused as refused:
        outcome = refused.outcome
        return Outcome("wrong", f"backward: {outcome.reason}", outcome.detail)
    precise = exact.gradients(cotangents) or [None] * len(wanted)
    if gradient_scale:
        for values in (cotangents, [x.detach() for x, _ in wanted]):
            gradient_scale *= max([1.0, *(float(v.abs().max()) for v in values if v.numel())])
    for i, ((x, leaf), dx) in enumerate(zip(wanted, expected, strict=True)):
        got = leaf.grad
        if dx is None or got is None:
            present = dx if got is None else got
            if present is not None and np.any(array_of(present)):
                return Outcome("wrong", f"gradient: {'missing' if got is None else 'not expected'}", f"input {i}")
            continue

        def change(i=i, x=x):
            def select(scale, seed):
                return (exact.gradients(cotangents, scale, seed) or precise)[i]

            eps = torch.finfo(x.dtype).eps
            return exact.sensitivity(select, eps) + eps * gradient_scale

        def rounding(i=i):
            return exact.rounding(lambda *key: (exact.gradients(cotangents, *key) or precise)[i])

        found = difference(got, dx, precise[i], change, rounding)
        if found:
            return Outcome("wrong", f"gradient: {found[0]}", f"input {i} {list(x.shape)}: {found[1]}")
    return None


def judge_bad_input(make, call, rule=""):
    """The outcome of input that PyTorch rejects: pass if our side raises an error deliberately.

    Parameters
    ----------
    make : callable
        Converts the input; may raise Inexpressible.
    call : callable
        Takes what `make` returned.
    rule : str
        PyTorch's message: the reason if our side accepts the input.
    """
    try:
        arguments = make()
        results = attempt(call, *arguments)
    except Inexpressible as reason:
        return Outcome("inexpressible", general(str(reason)), str(reason))
    except Refused as refused:
        return Outcome("pass") if refused.outcome.status == "refused" else refused.outcome
    shapes = [array_of(y).shape for y in flat(results) if y is not None]
    return Outcome("accepted", f"PyTorch: {general(rule)}", f"returned shapes {shapes}")


def convert(wrap, *nests):
    """(converter, each nest converted)."""
    converter = Converter(wrap)
    return converter, *(converter(nest) for nest in nests)


def in_precision(dtype, nest, generator, scale):
    """(the nest in `dtype`, with each element changed by ±`scale`; a function from a tensor to its counterpart)."""
    known = {}

    def up(value):
        if torch.is_tensor(value):
            if id(value) not in known:
                copy = value.detach().clone()
                if copy.is_floating_point():
                    copy = copy.to(dtype)
                    if scale:
                        copy = copy * (1 + scale * (2 * torch.randint(0, 2, copy.shape, generator=generator) - 1))
                    copy.requires_grad_(value.requires_grad)
                known[id(value)] = copy
            return known[id(value)]
        if value in (torch.float32, torch.float64):
            return dtype
        if type(value) in (list, tuple):
            return type(value)(map(up, value))
        if isinstance(value, dict):
            return {key: up(item) for key, item in value.items()}
        return value

    return up(nest), lambda tensor: known[id(tensor)]

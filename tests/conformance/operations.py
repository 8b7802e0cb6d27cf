"""The samples of an operation: PyTorch's, their non-contiguous twins, and bad input."""

import math
import random

import numpy as np
import torch

from tests.conformance import catalogue
from tests.conformance.samples import (
    Case,
    Outcome,
    Sides,
    check_signature,
    convert,
    in_precision,
    judge,
    judge_bad_input,
)
from tests.conformance.values import Inexpressible, describe, leaves_of, same_layout

LIMITS = {"sample": 200, "reference": 60}  # samples of one dtype: if there are more, evenly spaced ones
FIXED = 5  # samples of one dtype in the fixed part


def cases(name):
    """Yield the cases of the operation with this full name."""
    op, forms = catalogue.operations()[name]
    for dtype, gradients in _dtypes(op):
        yield from _samples(op, forms, dtype, gradients)
    yield from _bad_inputs(op, forms)


def _dtypes(op):
    supported = op.supported_dtypes("cpu")
    for dtype in (torch.float32, torch.float64):
        if dtype in supported:
            yield dtype, op.supports_autograd
    if not op.name.startswith("nn.functional.") or op.name.endswith("one_hot"):
        for dtype in (torch.int64, torch.bool):
            if dtype in supported:
                yield dtype, False


def seed():
    """Seed all generators: the samples are the same random numbers in each run."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


def spread(count, limit):
    """At most `limit` of the numbers below `count`, evenly spaced, with the first and the last."""
    if count <= limit:
        return range(count)
    return sorted({round(i * (count - 1) / (limit - 1)) for i in range(limit)})


def _samples(op, forms, dtype, gradients):
    short = str(dtype).removeprefix("torch.")
    for source, make in (("sample", op.sample_inputs), ("reference", op.reference_inputs)):
        if source == "reference" and (dtype != torch.float32 or op.reference_inputs_func is None):
            continue
        seed()
        try:
            samples = list(make("cpu", dtype, requires_grad=gradients))
        except Exception as error:
            outcome = Outcome("inexpressible", f"PyTorch gives no {source} inputs: {type(error).__name__}", str(error))
            yield Case(f"{short} {source}", "", True, lambda outcome=outcome: outcome)
            continue
        fixed = set(spread(len(samples), FIXED)) if source == "sample" else ()
        for i in spread(len(samples), LIMITS[source]):
            sample = samples[i]
            description = describe((sample.input, *sample.args)) + " " + describe(sample.kwargs)
            for form, twin in _ways(op, forms, gradients, source):
                yield Case(
                    f"{short} {source} {i} {form} {twin}",
                    description,
                    i in fixed and not (twin == "plain" and dtype != torch.float32),
                    lambda sample=sample, form=form, twin=twin: _run(op, forms, sample, form, twin),
                )


def _ways(op, forms, gradients, source):
    """(form, twin): plain, strided inputs, strided dy; the latter two only for PyTorch's sample inputs."""
    twins = ("plain", "strided", "strided dy") if source == "sample" else ("plain",)
    for form in ("tensors", "arrays", "in_place"):
        if getattr(forms, form) is None or (form == "in_place" and op.inplace_variant is None):
            continue
        for twin in twins:
            if twin != "strided dy" or (form == "tensors" and gradients):
                yield form, twin


def _copied(sample):
    """A deep copy of the sample; a tensor that occurs twice is copied once."""
    known = {}

    def copy(value):
        if not torch.is_tensor(value):
            return value
        if id(value) not in known:
            known[id(value)] = same_layout(value)
        return known[id(value)]

    return sample.transform(copy)


def _run(op, forms, sample, form, twin):
    if _is_random(op.name, sample):
        return Outcome("inexpressible", "random mask")
    if op.method_variant is not None and not torch.is_tensor(sample.input):
        return Outcome("inexpressible", "the input is a number")
    outcome = _compared(op, forms, sample, form, twin)
    if outcome.status == "refused" and "has a gradient with respect to input only" in outcome.reason:
        wanted = sample.input
        constant = sample.transform(lambda v: v.detach() if torch.is_tensor(v) and v is not wanted else v)
        rest = _compared(op, forms, constant, form, twin)
        return outcome if rest.status == "pass" else rest
    return outcome


def _compared(op, forms, sample, form, twin):
    ours = getattr(forms, form)
    function = op.inplace_variant if form == "in_place" else op
    try:
        sample = _copied(sample.noncontiguous() if twin == "strided" else sample)
        if form == "in_place":
            if _overlaps(sample.input):
                return Outcome("inexpressible", "in place on elements that share memory")
            sample = sample.transform(lambda v: v.detach() if torch.is_tensor(v) else v)
        if sample.kwargs.get("memory_format") in (torch.preserve_format, torch.contiguous_format):
            sample.kwargs.pop("memory_format")  # the values are the same
        nest = (sample.input, sample.args, sample.kwargs)
        converter, value, arguments, options = convert("array" if form == "arrays" else "tensor", *nest)
        check_signature(ours, (value, *arguments), options)
    except Inexpressible as reason:
        return Outcome("inexpressible", str(reason))
    leaves = [theirs for theirs, _ in converter.pairs]
    pristine = _copied(sample)
    original = (pristine.input, pristine.args, pristine.kwargs)

    def exact(scale, generator, dtype):
        (value, arguments, options), find = in_precision(dtype, original, generator, scale)
        return function(value, *arguments, **options), [find(leaf) for leaf in leaves_of(original)]

    if form == "in_place" and not _accepts(function, pristine):
        return judge_bad_input(lambda: (value, arguments, options), lambda v, a, o: ours(v, *a, **o), "in place")
    sides = Sides(
        lambda: (ours(value, *arguments, **options), [ours for _, ours in converter.pairs]),
        lambda: (function(sample.input, *sample.args, **sample.kwargs), leaves),
        exact,
    )
    return judge(
        sides,
        lambda: converter.pairs,
        gradients=form == "tensors",
        strided_cotangent=twin == "strided dy",
        gradient_scale=_cancelling(op, pristine),
    )


def _overlaps(tensor):
    """Whether two elements share one address."""
    size = tensor.untyped_storage().nbytes() // tensor.element_size()
    addresses = torch.arange(size).as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())
    return len(addresses.unique()) < tensor.numel()


def _accepts(function, sample):
    """Whether PyTorch accepts the sample in place: the result must have the shape and dtype of the input."""
    try:
        sample = _copied(sample)
        function(sample.input, *sample.args, **sample.kwargs)
    except RuntimeError:
        return False
    return True


def _is_number_for_tensor(bad):
    operands = (bad.sample_input.input, *bad.sample_input.args)
    return not bad.error_regex and not all(map(torch.is_tensor, operands[:2]))


# functions that subtract a mean or divide by a root mean square -> the number of elements that it is taken over
_NORMALIZED = {
    "nn.functional.layer_norm": lambda x, shape, *_, **__: math.prod(shape),
    "nn.functional.rms_norm": lambda x, shape, *_, **__: math.prod(shape),
    "nn.functional.group_norm": lambda x, groups, *_, **__: x.numel() // max(len(x) * groups, 1),
    "nn.functional.instance_norm": lambda x, *_, **__: math.prod(x.shape[2:]),
    "nn.functional.batch_norm": lambda x, *_, **__: x.numel() // max(x.shape[1] if x.ndim > 1 else 1, 1),
}


def _cancelling(op, sample):
    """The magnitude of the terms that cancel in the gradient, if it is 0 except for rounding.

    One or two elements, normalised, do not depend on their values any more: the gradient is a difference of terms of
    magnitude dy / sqrt(eps), and its rounding error is relative to those.
    """
    count = _NORMALIZED.get(op.name)
    if count is None or count(sample.input, *sample.args, **sample.kwargs) > 2:
        return 0.0
    return 1e-5**-0.5


def _is_random(name, sample):
    if name == "nn.functional.scaled_dot_product_attention":
        return sample.kwargs.get("dropout_p", 0) > 0
    if "dropout" not in name:
        return False
    p = sample.kwargs.get("p", sample.args[0] if sample.args else 0.5)
    return sample.kwargs.get("training", True) and 0 < p < 1


def _bad_inputs(op, forms):
    if op.error_inputs_func is None:
        return
    seed()
    for i, bad in enumerate(op.error_inputs("cpu")):
        sample = bad.sample_input
        description = describe((sample.input, *sample.args)) + " " + describe(sample.kwargs)
        for form in ("tensors", "arrays"):
            ours = getattr(forms, form)
            if ours is not None:

                def run(bad=bad, form=form, ours=ours):
                    sample = bad.sample_input
                    if _is_number_for_tensor(bad):
                        return Outcome("inexpressible", "a number where PyTorch wants a tensor: ours takes both")

                    def make():
                        wrap = "array" if form == "arrays" else "tensor"
                        _, value, arguments, options = convert(wrap, sample.input, sample.args, sample.kwargs)
                        check_signature(ours, (value, *arguments), options)
                        return value, arguments, options

                    def call(value, arguments, options):
                        return ours(value, *arguments, **options)

                    return judge_bad_input(make, call, bad.error_regex)

                yield Case(f"bad {i} {form}", f"{description} | {bad.error_regex}", True, run)

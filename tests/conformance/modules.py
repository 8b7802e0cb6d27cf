"""The samples of a module: PyTorch's, their non-contiguous twins, bad input, and a round trip of the state_dict."""

import copy
import warnings

import torch
from torch.nn import functional

import nn
from tests.conformance import catalogue
from tests.conformance.database import ModuleErrorEnum, noncontiguous_like
from tests.conformance.operations import seed, spread
from tests.conformance.samples import (
    Case,
    Outcome,
    Refused,
    Sides,
    attempt,
    check_signature,
    convert,
    in_precision,
    judge,
    judge_bad_input,
)
from tests.conformance.values import Converter, Inexpressible, describe, difference, leaves_of

FIXED = 3  # samples of one dtype and mode in the fixed part

_ACTIVATIONS = {functional.relu: nn.functional.relu, functional.gelu: nn.functional.gelu}


def cases(name):
    """Yield the cases of the module with this name, as ``nn.Linear``."""
    info = catalogue.modules()[name]
    for dtype in (torch.float32, torch.float64):
        for training in (True, False):
            yield from _samples(info, dtype, training)
    yield from _bad_inputs(info)


def _inputs(info, dtype, training):
    seed()
    return list(info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training))


def _samples(info, dtype, training):
    count = len(_inputs(info, dtype, training))
    fixed = spread(count, FIXED) if dtype == torch.float32 else spread(count, 2)
    for i in range(count):
        for twin in ("plain", "strided", "strided dy"):
            sample = _inputs(info, dtype, training)[i]
            yield Case(
                f"{str(dtype).removeprefix('torch.')} {'train' if training else 'eval'} {i} {twin}",
                _described(sample),
                i in fixed and twin == ("plain" if dtype == torch.float32 else "strided"),
                lambda sample=sample, twin=twin: _run(info, sample, dtype, training, twin),
            )


def _described(sample):
    made, called = sample.constructor_input, sample.forward_input
    text = f"({describe(made.args)[1:-1]} {describe(made.kwargs)})"
    return text if called is None else f"{text} of {describe(called.args)[1:-1]} {describe(called.kwargs)}"


def _constructed(value, converter):
    """Convert an argument of a constructor, which may also be a function or a layer."""
    if isinstance(value, (torch.nn.TransformerEncoderLayer, torch.nn.TransformerDecoderLayer)):
        attention = value.self_attn
        return getattr(nn, type(value).__name__)(
            attention.embed_dim,
            attention.num_heads,
            value.linear1.out_features,
            value.dropout.p,
            _ACTIVATIONS[value.activation],
            value.norm1.eps,
            attention.batch_first,
            value.norm_first,
            value.linear1.bias is not None,
        )
    if isinstance(value, torch.nn.LayerNorm):
        return nn.LayerNorm(value.normalized_shape, value.eps, value.elementwise_affine, value.bias is not None)
    if isinstance(value, torch.nn.Module):
        raise Inexpressible(f"a constructor that takes a {type(value).__name__}")
    if type(value) in (list, tuple):
        return type(value)(_constructed(item, converter) for item in value)
    if isinstance(value, dict):
        return {key: _constructed(item, converter) for key, item in value.items()}
    if callable(value) and not isinstance(value, (type, torch.Tensor)):
        if value not in _ACTIVATIONS:
            raise Inexpressible("a constructor that takes a function")
        return _ACTIVATIONS[value]
    return converter(value)


def _make(info, made):
    """Our module, from the arguments of PyTorch's constructor."""
    ours = getattr(nn, info.module_cls.__name__)
    converter = Converter()
    arguments, options = _constructed(tuple(made.args), converter), _constructed(dict(made.kwargs), converter)
    check_signature(ours, arguments, options)
    return attempt(ours, *arguments, **options)


def _without_dropout(module):
    """Switch dropout off: random masks differ from PyTorch's."""
    for part in module.modules():
        if hasattr(part, "dropout") and isinstance(part.dropout, float):
            part.dropout = 0.0
        if type(part).__name__.startswith("Dropout"):
            part.p = 0.0


def _run(info, sample, dtype, training, twin):
    outcome = _compared(info, sample, dtype, training, twin)
    if outcome.status == "refused" and "has a gradient with respect to input only" in outcome.reason:
        called = sample.forward_input
        called.args = called.args[:1] + tuple(v.detach() if torch.is_tensor(v) else v for v in called.args[1:])
        rest = _compared(info, sample, dtype, training, twin)
        return outcome if rest.status == "pass" else rest
    return outcome


def _compared(info, sample, dtype, training, twin):
    made, called = sample.constructor_input, sample.forward_input
    seed()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = info.module_cls(*made.args, **made.kwargs).to(dtype)
    except Exception as error:
        return Outcome("inexpressible", f"PyTorch refuses: {type(error).__name__}", str(error)[:200])
    try:
        ours = _make(info, made)
        if dtype == torch.float64:
            ours.double()
        attempt(ours.load_state_dict, theirs.state_dict())
        problem = _states_differ(ours, theirs)
        if problem:
            return problem
        for module in (ours, theirs):
            module.train(training)
            _without_dropout(module)
        nest = (tuple(called.args), dict(called.kwargs))
        if twin == "strided":
            nest = _strided(nest)
        converter, arguments, options = convert("tensor", *nest)
        check_signature(ours.forward, arguments, options)
    except Inexpressible as reason:
        return Outcome("inexpressible", str(reason))
    except Refused as refused:
        return refused.outcome
    start = copy.deepcopy(theirs)
    original, _ = in_copy(nest)
    leaves, parameters = leaves_of(nest), dict(theirs.named_parameters())
    names = list(parameters)

    def exact(scale, generator, dtype):
        module = copy.deepcopy(start).to(dtype)
        with torch.no_grad():
            for parameter in module.parameters():
                if scale:
                    sign = 2 * torch.randint(0, 2, parameter.shape, generator=generator) - 1
                    parameter.mul_(1 + scale * sign)
        (arguments, options), find = in_precision(dtype, original, generator, scale)
        inner = dict(module.named_parameters())
        return module(*arguments, **options), [find(x) for x in leaves_of(original)] + [inner[n] for n in names]

    def pairs():
        states = zip(theirs.state_dict().values(), ours.state_dict().values(), strict=True)
        return [*converter.pairs, *states]

    def call():
        by_name = dict(ours.named_parameters())
        return ours(*arguments, **options), [ours for _, ours in converter.pairs] + [by_name[n] for n in names]

    sides = Sides(call, lambda: (theirs(*nest[0], **nest[1]), leaves + list(parameters.values())), exact)
    return judge(sides, pairs, strided_cotangent=twin == "strided dy")


def in_copy(nest):
    """A deep copy of the nest, from which the float64 results are computed."""
    known = {}

    def copied(value):
        if torch.is_tensor(value):
            if id(value) not in known:
                known[id(value)] = value.detach().clone().requires_grad_(value.requires_grad)
            return known[id(value)]
        if type(value) in (list, tuple):
            return type(value)(map(copied, value))
        if isinstance(value, dict):
            return {key: copied(item) for key, item in value.items()}
        return value

    return copied(nest), known


def _strided(nest):
    if torch.is_tensor(nest):
        if nest.ndim == 0 or not nest.is_floating_point():
            return nest
        return noncontiguous_like(nest).detach().requires_grad_(nest.requires_grad)
    if type(nest) in (list, tuple):
        return type(nest)(map(_strided, nest))
    if isinstance(nest, dict):
        return {key: _strided(item) for key, item in nest.items()}
    return nest


def _states_differ(ours, theirs):
    """The outcome if our module's state_dict is not the one that it loaded, else None."""
    given, back = theirs.state_dict(), ours.state_dict()
    if list(given) != list(back):
        return Outcome("wrong", "state_dict: keys differ", f"{list(back)}, expected {list(given)}")
    for key, value in given.items():
        found = difference(back[key], value)
        if found:
            return Outcome("wrong", f"state_dict: {found[0]}", f"{key}: {found[1]}")
    return None


def _bad_inputs(info):
    if info.module_error_inputs_func is None:
        return
    for training in (True, False):
        seed()
        options = {"device": "cpu", "dtype": torch.float32, "requires_grad": False, "training": training}
        for i, bad in enumerate(info.module_error_inputs_func(info, **options)):
            sample = bad.module_error_input
            run = _bad_constructor if bad.error_on == ModuleErrorEnum.CONSTRUCTION_ERROR else _bad_call
            yield Case(
                f"bad {'train' if training else 'eval'} {i}",
                f"{_described(sample)} | {bad.error_regex}",
                True,
                lambda run=run, sample=sample, training=training, bad=bad: run(info, sample, training, bad.error_regex),
            )


def _bad_constructor(info, sample, training, rule):
    def call():
        _make(info, sample.constructor_input)
        return ()

    return judge_bad_input(tuple, call, rule)


def _bad_call(info, sample, training, rule):
    def make():
        module = _make(info, sample.constructor_input)
        module.train(training)
        _, arguments, options = convert("tensor", tuple(sample.forward_input.args), dict(sample.forward_input.kwargs))
        check_signature(module.forward, arguments, options)
        return module, arguments, options

    outcome = judge_bad_input(make, lambda module, arguments, options: module(*arguments, **options), rule)
    if outcome.status == "accepted" and _accepts(info, sample, training):
        return Outcome("inexpressible", "PyTorch takes this bad input, too", outcome.reason)
    return outcome


def _accepts(info, sample, training):
    """Whether PyTorch accepts the bad input: its table lists some that are only invalid in training mode."""
    made, called = sample.constructor_input, sample.forward_input
    try:
        info.module_cls(*made.args, **made.kwargs).train(training)(*called.args, **called.kwargs)
    except Exception:
        return False
    return True

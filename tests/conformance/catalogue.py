"""PyTorch's name of an operation -> ours.

An entry may have three forms: the function or method of `nn`, the function of `kernels` (on arrays, without gradient),
and the method that works in place. If PyTorch's arguments have another order, a function here reorders them.
"""

import operator
from typing import NamedTuple

import numpy as np

import kernels
import nn
from nn import functional as F
from tests.conformance import additional, database
from tests.conformance.values import Inexpressible

op_db, module_db = [*database.op_db, *additional.OPERATIONS], [*database.module_db, *additional.MODULES]


class Entry(NamedTuple):
    """Our forms of one operation; None for a form that does not exist."""

    tensors: object = None
    arrays: object = None
    in_place: object = None


def _index(x, dim, index):
    """The tuple that applies `index` along a dimension."""
    if x.ndim == 0:
        raise Inexpressible("an index of a 0-d tensor")
    if not -x.ndim <= dim < x.ndim:
        raise Inexpressible("a dimension that an index cannot name")
    if isinstance(index, nn.Tensor) and len(np.unique(index.array)) < index.array.size:
        raise Inexpressible("an index that occurs twice")
    return (*(slice(None),) * (dim % x.ndim), index)


def _assigned(x, index, value):
    y = x.clone()
    y[index] = value
    return y


def index_put(x, indices, values, accumulate=False):
    if accumulate:
        raise Inexpressible("accumulate")
    return _assigned(x, tuple(indices), values)


def select_scatter(x, src, dim, index):
    return _assigned(x, _index(x, dim, index), src)


def slice_scatter(x, src, dim=0, start=None, end=None, step=1):
    return _assigned(x, _index(x, dim, slice(start, end, step)), src)


def fill(x, value):
    return x.clone().fill_(value)


def embedding(weight, index, *, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False):
    return F.embedding(index, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)


def embedding_arrays(weight, index, *, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False):
    return kernels.embedding(index, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)


def embedding_bag(weight, index, **options):
    return F.embedding_bag(index, weight, **options)


def embedding_bag_arrays(weight, index, **options):
    return kernels.embedding_bag(index, weight, **options)


def upsample_bilinear(x, size=None, scale_factor=None):
    return F.interpolate(x, size, scale_factor, "bilinear", align_corners=True)


def upsample_nearest(x, size=None, scale_factor=None):
    return F.interpolate(x, size, scale_factor, "nearest")


def rrelu(x, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    if training and lower < upper:
        raise Inexpressible("random slopes")
    return F.rrelu(x, lower, upper, training, inplace)


def multi_head_attention_forward(*arguments, training=True, **options):
    if arguments[10] and training:
        raise Inexpressible("random mask")
    return F.multi_head_attention_forward(*arguments, training=training, **options)


def triplet_margin_with_distance_loss(anchor, positive, negative, *, distance_function=None, **options):
    if distance_function is not None:
        raise Inexpressible("a distance of PyTorch's")
    return F.triplet_margin_with_distance_loss(anchor, positive, negative, **options)


def full_name(op):
    """The name of an operation with its variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


_T = nn.Tensor
# methods of the same name, with the kernel of the same name if there is one
# fmt: off
_METHODS = [
    "abs", "add", "all", "any", "argmax", "argmin", "bool", "chunk", "clamp", "clone", "div", "double", "exp",
    "expand", "flatten", "float", "item", "log", "log_softmax", "logsumexp", "long", "masked_fill", "matmul",
    "mean", "min", "mul", "neg", "permute", "pow", "prod", "reshape", "sigmoid", "softmax", "split", "sqrt",
    "squeeze", "std", "sub", "sum", "tanh", "to", "transpose", "unbind", "unsqueeze", "var", "view",
    "__radd__", "__rmatmul__", "__rmul__", "__rpow__", "__rsub__",
]
# fmt: on


def of_the_same_name(op):
    """Our function or method of the operation's name, with its form in place; None if there is none."""
    part, _, name = op.name.rpartition(".")
    if name in ("int", "short", "H", "mH"):
        return Entry(lambda x: getattr(x, name)() if len(name) > 2 else getattr(x, name))
    if part not in ("", "linalg"):
        return None
    space = nn.linalg if part else nn
    function = getattr(space, name, None) or (None if part else getattr(_T, name, None))
    if function is None or isinstance(function, type) or not callable(function):
        return None
    return Entry(function, None, None if part else getattr(_T, f"{name}_", None))


TABLE = {
    **{full_name(op): found for op in op_db if (found := of_the_same_name(op)) is not None},
    **{name: Entry(getattr(_T, name), getattr(kernels, name, None)) for name in _METHODS},
    "zero_": Entry(lambda x: x.clone().zero_()),
    "add": Entry(_T.add, None, _T.add_),
    "sub": Entry(_T.sub, None, _T.sub_),
    "mul": Entry(_T.mul, None, _T.mul_),
    "div.no_rounding_mode": Entry(_T.div, None, _T.div_),
    "__rdiv__": Entry(_T.__rtruediv__),
    "__ror__": Entry(lambda x, other: other | x),
    "__rand__": Entry(lambda x, other: other & x),
    "bitwise_and": Entry(operator.and_),
    "bitwise_or": Entry(operator.or_),
    "bitwise_not": Entry(operator.invert),
    "eq": Entry(operator.eq),
    "ne": Entry(operator.ne),
    "lt": Entry(operator.lt),
    "le": Entry(operator.le),
    "gt": Entry(operator.gt),
    "ge": Entry(operator.ge),
    "maximum": Entry(nn.maximum),
    "minimum": Entry(nn.minimum),
    "where": Entry(lambda x, condition, other: nn.where(condition, x, other)),
    "max.binary": Entry(nn.maximum),
    "min.binary": Entry(nn.minimum),
    "max.reduction_with_dim": Entry(_T.max, kernels.max),
    "max.reduction_no_dim": Entry(_T.max, kernels.max),
    "min.reduction_with_dim": Entry(_T.min),
    "min.reduction_no_dim": Entry(_T.min),
    "mm": Entry(_T.matmul, kernels.matmul),
    "bmm": Entry(_T.matmul, kernels.matmul),
    "mv": Entry(_T.matmul, kernels.matmul),
    "dot": Entry(_T.matmul, kernels.matmul),
    "T": Entry(lambda x: x.T),
    "mT": Entry(lambda x: x.mT),
    "unsafe_split": Entry(_T.split),
    "unsafe_chunk": Entry(_T.chunk),
    "resize_": Entry(lambda x, *size: x.clone().resize_(*size)),
    "cat": Entry(nn.cat),
    "einsum": Entry(lambda operands, equation: nn.einsum(equation, *operands)),
    "stack": Entry(nn.stack),
    "fill": Entry(fill),
    "__getitem__": Entry(_T.__getitem__),
    "index_put": Entry(index_put),
    "select_scatter": Entry(select_scatter),
    "slice_scatter": Entry(slice_scatter),
    "arange": Entry(nn.arange),
    "full": Entry(nn.full),
    "ones": Entry(nn.ones),
    "zeros": Entry(nn.zeros),
    **{
        op.name: Entry(getattr(F, name), getattr(kernels, name, None))
        for op in op_db
        if (name := op.name.removeprefix("nn.functional.")) != op.name and name in F.__all__
    },
    "nn.functional.embedding": Entry(embedding, embedding_arrays),
    "nn.functional.embedding_bag": Entry(embedding_bag, embedding_bag_arrays),
    "nn.functional.multi_head_attention_forward": Entry(multi_head_attention_forward),
    "nn.functional.rrelu": Entry(rrelu),
    "nn.functional.triplet_margin_with_distance_loss": Entry(triplet_margin_with_distance_loss),
    "nn.functional.upsample_bilinear": Entry(upsample_bilinear),
    "nn.functional.upsample_nearest": Entry(upsample_nearest),
}

# names in PyTorch's table that mean something else here
OTHER = {
    "randn": "random numbers; the distribution is tested in tests/nn/test_init.py",
    "normal": "random numbers; the distribution is tested in tests/nn/test_random.py",
    **{
        name: "random numbers, or none; tests/nn/test_random.py and tests/nn/test_factory.py"
        for name in (
            *("bernoulli", "multinomial", "rand_like", "randint", "randint_like", "randn_like"),
            *("empty", "empty_like", "new_empty"),
        )
    },
    **{
        f"{prefix}{d}d": "random places of windows; tests/nn/test_fractional_pooling.py"
        for prefix in ("nn.functional.fractional_max_pool", "nn.FractionalMaxPool")
        for d in (2, 3)
    },
    "normal.in_place": "random numbers; the distribution is tested in tests/nn/test_random.py",
    "normal.number_mean": "random numbers; the distribution is tested in tests/nn/test_random.py",
    **{
        name: "reads memory that the converted samples do not have; tests/nn/operations/test_strides.py"
        for name in ("as_strided", "as_strided.partial_views")
    },
    "broadcast_shapes": "takes and returns shapes; tests/nn/operations/test_shapes.py",
    "unfold": "Tensor.unfold, a view of sliding windows; ours is nn.functional.unfold",
    "nn.Module": "does nothing by itself; tests/nn/test_module.py",
    "nn.ModuleDict": "a container; tests/nn/test_module.py",
    "nn.ModuleList": "a container; tests/nn/test_module.py",
    "nn.Sequential": "calls modules; tests/nn/test_module.py",
    "nn.ParameterDict": "a container; tests/nn/test_containers.py",
    "nn.ParameterList": "a container; tests/nn/test_containers.py",
    "nn.DataParallel": "calls a module; tests/nn/test_module_surface.py",
    **{
        f"nn.{name}": f"not in PyTorch's table; tests/nn/{file}.py"
        for file, names in {
            "test_activation": ("RReLU",),
            "test_distance": ("CosineSimilarity", "PairwiseDistance"),
            "test_adaptive": ("AdaptiveLogSoftmaxWithLoss",),
            "test_margin_loss": ("TripletMarginLoss", "TripletMarginWithDistanceLoss"),
            "test_lazy": (
                *("AlphaDropout", "FeatureAlphaDropout", "ChannelShuffle", "Unflatten", "LazyLinear"),
                *(
                    f"Lazy{layer}{d}d"
                    for layer in ("BatchNorm", "InstanceNorm", "Conv", "ConvTranspose")
                    for d in (1, 2, 3)
                ),
            ),
        }.items()
        for name in names
    },
    **{
        f"nn.functional.{name}": f"not in PyTorch's table; tests/nn/{file}.py"
        for file, names in {
            "test_activation": (
                *("relu_", "elu_", "celu_", "selu_", "leaky_relu_", "hardtanh_", "threshold_", "rrelu_"),
                "gumbel_softmax",
            ),
            "test_distance": ("affine_grid",),
            "test_lazy": ("native_channel_shuffle", "upsample"),
            "test_pooling": (f"{pool}_pool{d}d_with_indices" for pool in ("max", "adaptive_max") for d in (1, 2, 3)),
            "test_fractional_pooling": (f"fractional_max_pool{d}d_with_indices" for d in (2, 3)),
        }.items()
        for name in names
    },
}


# (operation, reason) -> (a word in the samples' names, why ours is right although it differs from PyTorch); these
# samples count as "different"
DIFFERENT = {
    **{
        (name, "gradient: values differ"): (
            "float64",
            "PyTorch multiplies by 1/6 as a float32, which is 0.16666667163, in its float64 gradient, too",
        )
        for name in ("nn.functional.hardsigmoid", "nn.Hardsigmoid")
    },
    **{
        (f"nn.functional.{name}", "gradient: not finite alike"): (
            "float32 reference",
            "at NaN PyTorch's vector loop gives NaN, as ours; its scalar loop, for strided inputs and tails, gives dy",
        )
        for name in ("elu", "selu", "celu")
    },
    **{
        (f"nn.functional.{name}", "gradient: not finite alike"): (
            "reference",
            "the gradient at a NaN is NaN; PyTorch's is NaN in its vector loop, the linear part's in its scalar loop",
        )
        for name in ("elu", "selu", "celu")
    },
    **{
        (f"nn.functional.{name}", "gradient: values differ"): (
            "reference",
            "at NaN PyTorch's vector loop gives 0; its scalar loop, for strided inputs and tails, gives dy, as ours",
        )
        for name in ("softshrink", "hardshrink")
    },
    ("aminmax", "requires_grad is False"): ("sample", "the result is empty: no gradient can reach the input"),
    ("cdist", "requires_grad is False"): ("sample", "the result is empty: no gradient can reach the input"),
    ("digamma", "gradient: not finite alike"): (
        "float32 reference",
        "at -1, -2, ... the gradient is infinite; PyTorch divides by a sine that is not 0 in float32",
    ),
    ("digamma", "gradient: values differ"): (
        "float64",
        "PyTorch's trigamma, from five terms of a series at 6, has errors of 1e-10; ours has at most 4e-12",
    ),
    ("copysign", "gradient: not finite alike"): (
        "reference",
        "PyTorch divides the result by x, NaN for infinite x; the gradient is the sign, 1 or -1, there, too",
    ),
    **{
        (name, "result: int64 values differ"): (
            "sample",
            "of equal elements, PyTorch returns the index that its algorithm ends with, ours that of a stable sort",
        )
        for name in ("kthvalue", "sort", "argsort", "topk", "mode")
    },
    **{
        (f"lr_scheduler.{name}", "rates after resuming are those of a run that was not interrupted"): (
            "resumed after",
            "PyTorch applies the factor of the epoch at which it resumes to a rate that already contains it",
        )
        for name in ("StepLR", "MultiStepLR", "ConstantLR", "CosineAnnealingWarmRestarts")
    },
}


def is_different(name, reason, key):
    """Whether a sample, by its operation and key, differs for a reason in `DIFFERENT`."""
    word, _ = DIFFERENT.get((name, reason), (None, ""))
    return word is not None and word in key


def entry(op):
    """Our forms of PyTorch's operation, or None if there are none."""
    name = full_name(op)
    if name in OTHER:
        return None
    return TABLE.get(name) or TABLE.get(op.name)


def operations():
    """Full name -> (PyTorch's operation, our forms)."""
    return {full_name(op): (op, found) for op in op_db if (found := entry(op)) is not None}


def modules():
    """Name, as ``nn.Linear`` -> PyTorch's table entry, for each module that we have."""
    return {info.name: info for info in module_db if hasattr(nn, info.module_cls.__name__) and info.name not in OTHER}


def missing():
    """Public names that no table covers: modules, functions of `nn.functional`, and operations of PyTorch's table whose
    name or alias is public here."""
    ours = {*F.__all__, *nn.__all__, *(name for name in dir(_T) if not name.startswith("__")), *dir(kernels)}
    found = []
    for op in op_db:
        names = {op.name, *(alias.name for alias in op.aliases or ())}
        names |= {name.removeprefix("nn.functional.") for name in names}
        if names & ours and entry(op) is None and full_name(op) not in OTHER and op.name not in OTHER:
            found.append(full_name(op))
    public = [value for name in nn.__all__ if isinstance(value := getattr(nn, name), type)]
    classes = [f"nn.{value.__name__}" for value in public if issubclass(value, nn.Module)]
    covered = {op.name.removeprefix("nn.functional.") for op, _ in operations().values()}
    return [
        *found,
        *(name for name in classes if name not in modules() and name not in OTHER),
        *(
            f"nn.functional.{name}"
            for name in F.__all__
            if name not in covered and f"nn.functional.{name}" not in OTHER
        ),
    ]

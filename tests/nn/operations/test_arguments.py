"""What is no tensor, no size or no number is refused by an error that names the function and the argument."""

import inspect
import types

import pytest

import nn
import nn.functional as F

# Functions that take other objects than tensors as their first argument, or anything.
OTHERS = {
    *("fuse", "gradcheck", "gradgradcheck", "observe", "load", "save", "from_dlpack", "from_numpy", "is_tensor"),
    *("can_cast", "iinfo", "set_default_dtype", "broadcast_shapes", "manual_seed", "set_rng_state"),
    *("set_printoptions", "fill_diagonal"),
}


def functions():
    """Name -> function, of all functions with a first argument, and how many arguments they need."""
    found = {}
    for namespace in (nn, F, nn.linalg):
        for name in namespace.__all__:
            function = getattr(namespace, name)
            if not isinstance(function, types.FunctionType) or name in OTHERS:
                continue
            parameters = inspect.signature(function).parameters.values()
            needed = [p for p in parameters if p.default is p.empty and p.kind is not p.KEYWORD_ONLY]
            if needed:
                found[f"{namespace.__name__}.{name}"] = function, max(len(needed), 1)
    return found


FUNCTIONS = functions()


@pytest.mark.filterwarnings("ignore")  # of arguments that are not given
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_no_tensor(name):
    function, number = FUNCTIONS[name]
    for wrong in (None, "word", object()):
        with pytest.raises((TypeError, ValueError)) as caught:
            function(*[wrong] * number)
        message = str(caught.value)
        assert ": " in message and "object has no attribute" not in message and "not iterable" not in message
        assert "unsupported operand" not in message and "not supported between" not in message


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: nn.sin(None), TypeError, "sin: input must be a Tensor, got NoneType"),
        (lambda x: nn.sum("word"), TypeError, "sum: input must be a Tensor, got str"),
        (lambda x: nn.gather(x, 0, None), TypeError, "gather: index must be a Tensor, got NoneType"),
        (
            lambda x: nn.scatter_add(x, 0, nn.zeros(1, 2, dtype=nn.int64), None),
            TypeError,
            "scatter_add: src must be a Tensor",
        ),
        (lambda x: nn.mm(x, None), TypeError, "mm: mat2 must be a Tensor, got NoneType"),
        (lambda x: nn.dot(None, x), TypeError, "dot: input must be a Tensor, got NoneType"),
        (lambda x: nn.tensordot(x, [1]), TypeError, "tensordot: b must be a Tensor, got list"),
        (lambda x: nn.equal(x, 1), TypeError, "equal: other must be a Tensor, got int"),
        (lambda x: nn.isclose(x, None), TypeError, "isclose: other must be a Tensor, got NoneType"),
        (lambda x: nn.cat(None), TypeError, "cat: tensors must be a sequence of Tensors, got NoneType"),
        (lambda x: nn.cat(x), TypeError, "cat: tensors must be a sequence of Tensors, got Tensor"),
        (lambda x: nn.cat([x, None]), TypeError, "cat: expected Tensors, got NoneType"),
        (lambda x: nn.cat([]), ValueError, "cat: needs at least one tensor, got none"),
        (lambda x: nn.stack(7), TypeError, "stack: tensors must be a sequence of Tensors, got int"),
        (lambda x: nn.stack([x, 1.0]), TypeError, "stack: expected Tensors, got float"),
        (lambda x: nn.hstack(None), TypeError, "hstack: tensors must be a sequence of Tensors, got NoneType"),
        (lambda x: nn.meshgrid(None), TypeError, "meshgrid: tensors must be a sequence of Tensors, got NoneType"),
        (lambda x: nn.atleast_2d([x, 3]), TypeError, r"atleast_2d: tensors\[1\] must be a Tensor, got int"),
        (lambda x: nn.einsum("ij->i", None), TypeError, "einsum: expected Tensors, got NoneType"),
        (lambda x: nn.eq(x, None), TypeError, "eq: expected a Tensor, an array or a number, got NoneType"),
        (lambda x: x.logical_and("word"), TypeError, "logical_and: expected a Tensor, an array or a number, got str"),
        (lambda x: nn.gt(None, x), TypeError, "gt: input must be a Tensor, got NoneType"),
        (lambda x: nn.roll(x, "a"), TypeError, "roll: shifts must be ints, got str"),
        (lambda x: x.broadcast_to(None), TypeError, "broadcast_to: size must be a tuple of ints, got NoneType"),
        (lambda x: nn.broadcast_shapes(None), TypeError, "broadcast: shapes must be tuples of ints, got None"),
        (lambda x: x.unflatten(0, None), TypeError, "unflatten: sizes must be a tuple of ints, got NoneType"),
        (lambda x: x.split_with_sizes([1, 1.5]), TypeError, "split_with_sizes: split_sizes must be a tuple of ints"),
        (lambda x: nn.is_nonzero(x), ValueError, r"is_nonzero: needs a tensor of one element, this one is \(2, 3\)"),
        (lambda x: nn.mean(x.long()), TypeError, "mean: needs a floating-point tensor, got int64"),
    ],
)
def test_arguments_that_are_no_tensors(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call(nn.zeros(2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.zeros(None), TypeError, r"zeros: size must consist of ints, got \(None,\)"),
        (lambda: nn.ones(2, "a"), TypeError, r"ones: size must consist of ints, got \(2, 'a'\)"),
        (lambda: nn.empty((2, 1.5)), TypeError, r"empty: size must consist of ints, got \(2, 1.5\)"),
        (lambda: nn.rand(-1), ValueError, r"rand: size must not be negative, got \(-1,\)"),
        (lambda: nn.randint(3, None), TypeError, r"randint: size must consist of ints, got \(None,\)"),
        (lambda: nn.randint("a", (2,)), TypeError, "randint: high must be a number, got str"),
        (lambda: nn.randperm(None), TypeError, r"randperm: size must consist of ints, got \(None,\)"),
        (lambda: nn.eye(-1), ValueError, r"eye: size must not be negative, got \(-1, -1\)"),
        (lambda: nn.tril_indices(None, 2), TypeError, r"tril_indices: size must consist of ints, got \(None, 2\)"),
        (lambda: nn.full((2,), None), TypeError, "full: fill_value must be a number, got NoneType"),
        (lambda: nn.full((2,), nn.ones(2)), ValueError, r"full: fill_value must be one number, got shape \(2,\)"),
        (lambda: nn.arange(None), TypeError, "arange: end must be a number, got NoneType"),
        (lambda: nn.arange(0, 3, "a"), TypeError, "arange: step must be a number, got str"),
        (lambda: nn.linspace(0, "a", 3), TypeError, "linspace: end must be a number, got str"),
        (lambda: nn.logspace(0, 1, 3, None), TypeError, "logspace: base must be a number, got NoneType"),
        (lambda: nn.manual_seed("1"), TypeError, "manual_seed: seed must be an int, got str"),
        (lambda: nn.set_default_dtype(None), TypeError, "set_default_dtype: needs float32 or float64, got None"),
        (lambda: nn.can_cast(None, nn.int64), TypeError, "can_cast: expected a dtype, got None"),
        (lambda: nn.iinfo(nn.float32), TypeError, "iinfo: needs a dtype of integers, got float32"),
        (lambda: nn.finfo(nn.int64), TypeError, "finfo: needs a floating-point dtype, got int64"),
        (lambda: nn.fuse(None), TypeError, "fuse: model must be a Module, got NoneType"),
        (lambda: nn.load(None), TypeError, "load: f must be a path or a binary file, got NoneType"),
        (lambda: nn.save({}, None), TypeError, "save: f must be a path or a binary file, got NoneType"),
        (lambda: nn.from_dlpack(None), TypeError, "from_dlpack: expected an object that speaks DLPack, got NoneType"),
        (lambda: nn.gradcheck(nn.exp, None), TypeError, "gradcheck: inputs must be a Tensor or a tuple, got NoneType"),
    ],
)
def test_arguments_of_other_functions(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()


X, ROW = nn.ones(2, 3), nn.ones(4)
BOTH = {
    **{name: getattr(nn, name) for name in (
        "add", "sub", "mul", "div", "pow", "maximum", "minimum", "fmod", "remainder", "floor_divide", "atan2", "hypot",
        "logaddexp", "copysign", "heaviside", "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "isclose",
    )},
    "add in place": lambda x, y: x.clone().add_(y),
    "div trunc": lambda x, y: nn.div(x, y, rounding_mode="trunc"),
    "bitwise_and": lambda x, y: (x > 0) & (y > 0),
    "bitwise_left_shift": lambda x, y: nn.bitwise_left_shift(x.long(), y.long()),
    "sub of integers": lambda x, y: x.long() - y.long(),
}  # fmt: skip


@pytest.mark.parametrize("name", BOTH)
def test_shapes_that_do_not_broadcast(name):
    message = rf"{name.split()[0]}: shapes do not broadcast: a is \(2, 3\), b is \(4,\)"
    with pytest.raises(ValueError, match=message):
        BOTH[name](X, ROW)


def test_shapes_of_three_that_do_not_broadcast():
    shapes = r"condition is \(4,\), input \(2, 3\), other \(\)"
    with pytest.raises(ValueError, match=f"where: shapes do not broadcast: {shapes}"):
        nn.where(ROW > 0, X, 0.0)
    with pytest.raises(ValueError, match=r"masked_fill: shapes do not broadcast: mask is \(4,\), input is \(2, 3\)"):
        X.masked_fill(ROW > 0, 0)
    with pytest.raises(TypeError, match="bitwise_or: needs bools or integers, got float32 and float32"):
        X | X


IDS = nn.tensor([0, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.linear(X, None), "linear: weight must be a Tensor, got NoneType"),
        (lambda: F.linear(X, X, "b"), "linear: bias must be a Tensor, got str"),
        (lambda: F.linear(None, X), "linear: input must be a Tensor, got NoneType"),
        (lambda: F.conv2d(X, None), "conv2d: weight must be a Tensor, got NoneType"),
        (lambda: F.conv_transpose1d(X, X, 3), "conv_transpose1d: bias must be a Tensor, got int"),
        (lambda: F.feed_forward(X, X, None, 3, None), "feed_forward: weight2 must be a Tensor, got int"),
        (lambda: F.batch_norm(X, 3, 4), "batch_norm: running_mean must be a Tensor, got int"),
        (lambda: F.batch_norm(X, None, None, "w", training=True), "batch_norm: weight must be a Tensor, got str"),
        (lambda: F.instance_norm(X, bias=3), "instance_norm: bias must be a Tensor, got int"),
        (lambda: F.layer_norm(X, 3, "w"), "layer_norm: weight must be a Tensor, got str"),
        (lambda: F.group_norm(X, 1, X, 2), "group_norm: bias must be a Tensor, got int"),
        (lambda: F.rms_norm(X, 3, "w"), "rms_norm: weight must be a Tensor, got str"),
        (lambda: F.add_layer_norm(X, None, 3), "add_layer_norm: residual must be a Tensor, got NoneType"),
        (lambda: F.gru_cell(X, X, "w", X), "gru_cell: weight_ih must be a Tensor, got str"),
        (lambda: F.rnn(X, 3, X, X), r"rnn: hx\[0\] must be a Tensor, got int"),
        (lambda: F.lstm(X, (X, 3), X, X), r"lstm: hx\[1\] must be a Tensor, got int"),
        (lambda: F.bilinear(X, None, X), "bilinear: input2 must be a Tensor, got NoneType"),
        (lambda: F.embedding(IDS, None), "embedding: weight must be a Tensor, got NoneType"),
        (
            lambda: F.embedding_bag(IDS, X, IDS, per_sample_weights=3),
            "embedding_bag: per_sample_weights must be a Tensor, got int",
        ),
        (lambda: F.cross_entropy(X, None), "cross_entropy: target must be a Tensor, got NoneType"),
        (lambda: F.kl_div(X, None), "kl_div: target must be a Tensor, got NoneType"),
        (lambda: F.nll_loss(X, IDS, ignore_index="a"), "nll_loss: ignore_index must be an int, got str"),
        (
            lambda: F.cross_entropy(X, IDS, ignore_index=None),
            "cross_entropy: ignore_index must be an int, got NoneType",
        ),
        (
            lambda: F.linear_cross_entropy(X, X, IDS, linear_bias="b"),
            "linear_cross_entropy: linear_bias must be a Tensor, got str",
        ),
        (lambda: F.one_hot(None), "one_hot: input must be int64 or int32, got None"),
        (lambda: F.one_hot(X), "one_hot: input must be int64 or int32, got float32"),
        (lambda: F.triplet_margin_loss(X, X, 3), "triplet_margin_loss: negative must be a Tensor, got int"),
    ],
)
def test_arguments_of_layers(call, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        call()


def test_operators_leave_unknown_operands_to_python():
    class Friend:
        def __eq__(self, other):
            return "friend"

        __req__ = __lt__ = __gt__ = __and__ = __rand__ = __eq__
        __hash__ = None

    x = nn.ones(2)
    assert (x == Friend()) == "friend" and (x < Friend()) == "friend" and (x & Friend()) == "friend"
    assert (x == None) is False  # noqa: E711
    with pytest.raises(TypeError, match="not supported between instances"):
        x < "word"  # noqa: B015

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

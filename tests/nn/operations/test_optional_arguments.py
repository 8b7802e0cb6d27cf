"""Optional arguments of a wrong kind are refused by an error that names the argument, wherever PyTorch refuses them."""

import ast
import inspect
import re

import numpy as np
import pytest
import torch

import nn
from tests.nn.operations.test_arguments import FUNCTIONS

WRONG = {"an object": object(), "a word": "word", "a list": [None], "a fraction": 3.5}


def values(library):
    """The tensors of good calls, by name."""
    draw, ints, zeros = library.rand, library.tensor, library.zeros
    x, long = draw(3, 3), {"dtype": library.int64}
    return {
        **{
            "x": x,
            "y": draw(3, 3),
            "v": draw(3),
            "image": draw(2, 3, 8, 8),
            "volume": draw(2, 3, 8, 8, 8),
            "row": draw(2, 3, 8),
        },
        **{"bools": x > 0.5, "cube": draw(3, 3, 3), "cube4": draw(3, 3, 3, 3), "cube5": draw(3, 3, 3, 3, 3)},
        **{"i": ints([[0, 1, 2]] * 3), "iv": ints([0, 1, 2]), "rows": (draw(3), draw(3)), "pair of x": (x, x)},
        **{"heads": draw(1, 1, 4, 4), "table": draw(4, 2), "9x3": draw(9, 3), "9": draw(9), "12x3": draw(12, 3)},
        **{"affine": draw(2, 2, 3), "grid": draw(2, 4, 4, 2), "columns": draw(2, 12, 9)},
        **{"chances": draw(5, 2, 4).log_softmax(-1), "classes": ints([[1, 2], [1, 2]]), "lengths": ints([5, 5])},
        **{"short": ints([2, 2]), "row of 0": zeros(2, 3, 8, **long), "image of 0": zeros(2, 3, 8, 8, **long)},
        **{"volume of 0": zeros(2, 3, 8, 8, 8, **long), "sum of z": draw(3, requires_grad=True).sum()},
    }


# Good calls, of the names of tensors and of literals: most functions take some of these.
GENERAL = (
    *("x", "i", "image", "v", "iv", "2", "rows", "x; x", "x; 1", "image; 2", "v; v", "2; 2", "(2,2); 0.5", "1; 1; 1"),
    *("x; iv", "x; i", "iv; x", "i; x", "image; (2,2)", "x; x; x", "x; 1; 1", "image; 1; 1", "v; x; v", "v; v; v"),
    *("x; v; v", "x; x; iv", "x; x; v", "x; 1; i", "x; 1; iv; x", "x; (2,2); (2,2)", "x; x; x; x"),
)
OTHERS = {
    "arange": ("1; 2",),
    "clamp": ("x; max=0.5", "x; min=0.5"),
    "clip": ("x; 0.5",),
    "masked_fill": ("x; bools; 0.5",),
    "split_with_sizes": ("x; (1,2)",),
    "backward": ("sum of z",),
    "geometric_": ("x; 0.5",),
    "index_add": ("x; 1; iv; y",),
    "new_full": ("x; (2,2); 1",),
    "calculate_gain": ("'tanh'",),
    "masked_scatter": ("x; bools; x",),
    "permute": ("x; (1,0)",),
    "addbmm": ("x; cube; cube",),
    "baddbmm": ("cube; cube; cube",),
    "bmm": ("cube; cube",),
    "scatter": ("x; 0; i; y", "x; 0; i; value=0.5"),
    "scatter_reduce": ("x; 0; i; y; 'sum'",),
    "broadcast_to": ("x; (3,3)",),
    "reshape": ("x; (3,3)",),
    "unflatten": ("x; 0; (3,1)",),
    "take_along_dim": ("x; i",),
    "where": ("bools; x; x",),
    "randint": ("2; (2,2)", "0; 2; (2,2)"),
    "feed_forward": ("x; x; v; x; v",),
    "conv1d": ("row; cube",),
    "conv2d": ("image; cube4",),
    "conv3d": ("volume; cube5",),
    "conv_transpose1d": ("row; cube",),
    "conv_transpose2d": ("image; cube4",),
    "conv_transpose3d": ("volume; cube5",),
    "bilinear": ("x; x; cube",),
    "affine_grid": ("affine; (2,3,8,8)",),
    "grid_sample": ("image; grid",),
    "ctc_loss": ("chances; classes; lengths; short",),
    "softmax": ("x; 1",),
    "softmin": ("x; 1",),
    "log_softmax": ("x; 1",),
    "add_layer_norm": ("x; x; (3,)",),
    "layer_norm": ("x; (3,)",),
    "rms_norm": ("x; (3,)",),
    "max_unpool1d": ("row; row of 0; 2",),
    "max_unpool2d": ("image; image of 0; 2",),
    "max_unpool3d": ("volume; volume of 0; 2",),
    "fold": ("columns; (4,4); 2",),
    "interpolate": ("image; (16,16)", "image; (16,16); mode='bilinear'"),
    "upsample": ("image; (16,16)", "image; (16,16); mode='bilinear'"),
    "upsample_bilinear": ("image; (16,16)", "image; scale_factor=2"),
    "upsample_nearest": ("image; (16,16)", "image; scale_factor=2"),
    "gru_cell": ("x; x; 9x3; 9x3",),
    "lstm_cell": ("x; pair of x; 12x3; 12x3",),
    "rnn": ("cube; x; x; x",),
    "gru": ("cube; x; 9x3; 9x3",),
    "lstm": ("cube; pair of x; 12x3; 12x3",),
    "rotary_embedding": ("heads; table; table",),
    "multi_head_attention_forward": ("cube; cube; cube; 3; 1; 9x3; 9; None; None; False; 0; x; v",),
    **{f"fractional_max_pool2d{end}": ("image; 2; output_size=(4,4)",) for end in ("", "_with_indices")},
    **{f"fractional_max_pool3d{end}": ("volume; 2; output_size=(4,4,4)",) for end in ("", "_with_indices")},
}

# What PyTorch takes as well: flags that its Python code only tests for truth, and arguments without an effect.
ACCEPTED = {"inplace", "return_indices", "full", "hard", "swap", "need_weights", "average_attn_weights", "training"} | {
    *("q_proj_weight", "k_proj_weight", "v_proj_weight"),  # without use_separate_proj_weight
    *("output_ratio", "norm_type"),  # beside output_size, and without max_norm
    *("eps", "_stacklevel"),  # of gumbel_softmax, which warns, and of softmax with a dim
    "param",  # of calculate_gain("tanh")
}
# Errors in any case; arguments that describe how to store what is stored densely here; and `to` has several forms.
LEFT_OUT = {"bfloat16", "cuda", "half", "to_sparse", "to"}
SYNONYMS = {"from_": "high", "to": "high", "axis": "dim", "m": "size", "p": "probabilities"}
PYTHONS = ("object has no attribute", "not iterable", "unsupported operand", "not supported between", "must be real")
PYTHONS += ("has no len", "not callable", "cannot be interpreted", "unhashable", "could not convert", "bad operand")


THEIRS = {"nn": torch, "nn.functional": torch.nn.functional, "nn.linalg": torch.linalg}
THEIRS |= {"nn.init": torch.nn.init, "nn.Tensor": torch.Tensor}


def calls_of(name):
    """The good calls of a function: the words, ours, PyTorch's if it has the function, and the arguments given."""
    function, (namespace, short) = OPTIONAL[name], name.rsplit(".", 1)
    theirs = getattr(THEIRS[namespace], short, None)
    for form in OTHERS.get(short) or OTHERS.get(short.rstrip("_"), GENERAL):
        ours, other = _call(nn, function, form), None if theirs is None else _call(torch, theirs, form)
        if _works(ours) and (other is None or _works(other)):
            yield form, ours, other, set(inspect.signature(function).bind(*ours[1], **ours[2]).arguments)


def _call(library, function, form):
    """The function, its positional and its keyword arguments."""
    tensors, positional, keywords = values(library), [], {}
    for word in form.split("; "):
        argument, _, value = word.rpartition("=")
        value = tensors[value] if value in tensors else ast.literal_eval(value)
        if argument:
            keywords[argument] = value
        else:
            positional.append(value)
    return function, positional, keywords


def _works(call, **options):
    function, positional, keywords = call
    try:
        function(*positional, **keywords, **options)
    except Exception:
        return False
    return True


def _options(function, given):
    for p in inspect.signature(function).parameters.values():
        if p.default is not p.empty and p.name not in given:
            for kind, wrong in WRONG.items():
                if not isinstance(wrong, type(p.default)) or not isinstance(wrong, (str, float)):
                    yield p.name, kind, wrong


def functions():
    """The functions that have optional arguments, by name, and the methods of tensors that are not among them."""
    found = {name: function for name, (function, _) in FUNCTIONS.items() if not name.startswith("nn.compile")}
    found |= {f"nn.init.{name}": getattr(nn.init, name) for name in nn.init.__all__}
    methods = {name: f for name, f in inspect.getmembers(nn.Tensor, inspect.isfunction) if not name.startswith("_")}
    known = {*found.values()}
    found |= {f"nn.Tensor.{name}": f for name, f in methods.items() if f not in known and name not in LEFT_OUT}
    return {name: function for name, function in found.items() if any(_options(function, ()))}


OPTIONAL = functions()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_arguments_of_a_wrong_kind(name):
    found = list(calls_of(name))
    assert found, f"{name}: no good call is known"
    for form, ours, theirs, given in found:
        function, positional, keywords = ours
        for argument, kind, wrong in _options(function, given):
            case = f"{name}({form}) with {kind} as {argument}"
            try:
                function(*positional, **keywords, **{argument: wrong})
            except (TypeError, ValueError, RuntimeError) as error:
                message = str(error)
                assert re.match(r"\w+: ", message), f"{case}: {message}"
                assert not any(part in message for part in PYTHONS), f"{case}: {message}"
                assert argument in message or SYNONYMS.get(argument, argument) in message, f"{case}: {message}"
            else:
                assert argument in ACCEPTED or kind == "a fraction", f"{case} is accepted"
                assert theirs is None or _works(theirs, **{argument: wrong}), f"{case} is accepted, not by PyTorch"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.to("cpu", dtype="word"), "to: expected a dtype, got 'word'"),
        (lambda x: x.to(nn.float64, copy="False"), "to: copy must be a bool, got str"),
        (lambda x: x.to(nn.float64, non_blocking=1), "to: non_blocking must be a bool, got int"),
        (lambda x: nn.sum(x, 0, keepdim="False"), "sum: keepdim must be a bool, got False"),
        (lambda x: nn.add(x.long(), 2, alpha=0.5), "add: alpha must be an int for integers, got 0.5"),
        (lambda x: nn.rsub(x.long(), x.long(), alpha=0.5), "rsub: alpha must be an int for integers, got 0.5"),
        (lambda x: nn.rand(2, generator=7), "rand: generator must be a Generator, got int"),
        (lambda x: nn.zeros(2, out=[0, 0]), "zeros: out must be a Tensor, got list"),
        (lambda x: nn.cdist(x, x, p=object()), "cdist: p must be a number, got object"),
        (lambda x: nn.cdist(x, x, p=x), "cdist: p must be a number, got Tensor"),
        (lambda x: nn.triu(x, 1.0), "triu: diagonal must be an int, got float"),
        (lambda x: nn.scatter(x, 0, x.long(), x, value=1), "scatter: takes src or value, not both"),
        (
            lambda x: nn.functional.mse_loss(x, x, size_average="False"),
            "mse_loss: size_average must be a bool, got str",
        ),
        (lambda x: nn.MSELoss(reduce="False"), "MSELoss: reduce must be a bool, got str"),
        (lambda x: nn.functional.dropout(x, 0.5, "False"), "dropout: training must be a bool, got str"),
        (
            lambda x: nn.functional.cross_entropy(x, x[0].long(), 2.0),
            "cross_entropy: weight must be a Tensor, got float",
        ),
        (
            lambda x: nn.autograd.grad(x.sum(), None),
            "grad: inputs must be a Tensor or a sequence of them, got NoneType",
        ),
        (lambda x: nn.autograd.grad([None], x), "grad: outputs[0] must be a Tensor, got NoneType"),
        (lambda x: nn.autograd.grad(x.sum(), x, create_graph="False"), "grad: create_graph must be a bool, got str"),
        (lambda x: x.sum().backward(inputs=[3]), "backward: inputs[0] must be a Tensor, got int"),
        (lambda x: x.requires_grad_("False"), "requires_grad_: requires_grad must be a bool, got str"),
    ],
)
def test_messages(call, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        call(nn.zeros(2, 2, requires_grad=True))


def test_numbers_of_other_kinds():
    x = nn.tensor([[1.0, -2.0], [3.0, 4.0]])
    for two in (2, 2.0, np.float32(2), np.int64(2), nn.tensor(2.0), nn.tensor([2])):
        assert nn.cdist(x, x, p=two).tolist() == nn.cdist(x, x, p=2.0).tolist()
        assert nn.add(x, x, alpha=two).tolist() == (3 * x).tolist()
        assert nn.functional.softplus(x, beta=two).tolist() == nn.functional.softplus(x, beta=2.0).tolist()
    for one in (1, np.int64(1), np.int32(1), nn.tensor(1)):
        assert nn.triu(x, one).tolist() == [[0.0, -2.0], [0.0, 0.0]]
    for yes in (True, np.bool_(True)):
        assert nn.sum(x, 0, yes).shape == (1, 2)
        assert nn.argsort(x, descending=yes).tolist() == [[0, 1], [1, 0]]
    assert nn.add(x.long(), 0.5, alpha=0.5).tolist() == [[1.25, -1.75], [3.25, 4.25]]
    assert nn.addcmul(x.long(), x.long(), x.long(), value=1.5).tolist() == [[2, 2], [12, 20]]

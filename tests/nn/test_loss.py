"""Loss modules: results, gradients and state are those of torch.nn."""

import inspect

import numpy as np
import pytest
import torch

import nn
from tests.nn.compare import agree, same_as_torch, same_twice

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 4)), RNG.standard_normal((6, 4))
P, Q = 1 / (1 + np.exp(-X)), RNG.random((6, 4))
LABELS, WEIGHT = np.array([0, 3, 1, 1, 2, 0]), np.array([0.5, 1.0, 2.0, 3.0])

CASES = {
    "L1Loss": (X, Y, [{}]),
    "MSELoss": (X, Y, [{}]),
    "SmoothL1Loss": (X, Y, [{}, {"beta": 0.5}]),
    "HuberLoss": (X, Y, [{}, {"delta": 0.5}]),
    "CrossEntropyLoss": (X, LABELS, [{}, {"weight": WEIGHT}, {"ignore_index": 1, "label_smoothing": 0.2}]),
    "NLLLoss": (X, LABELS, [{}, {"weight": WEIGHT}, {"ignore_index": 1}]),
    "BCELoss": (P, Q, [{}, {"weight": WEIGHT}]),
    "BCEWithLogitsLoss": (X, Q, [{}, {"weight": WEIGHT}, {"pos_weight": WEIGHT}]),
    "KLDivLoss": (X, Q, [{}, {"log_target": True}]),
    "PoissonNLLLoss": (X, Q * 5, [{}, {"full": True}, {"log_input": False, "eps": 9.0}]),
}
LIST = [(name, arguments) for name, (_, _, several) in CASES.items() for arguments in several]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "arguments"), LIST, ids=str)
def test_module(name, arguments, reduction):
    x, target, _ = CASES[name]
    as_torch = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in arguments.items()}
    ours = getattr(nn, name)(**arguments, reduction=reduction)
    theirs = getattr(torch.nn, name)(**as_torch, reduction=reduction)
    same_as_torch(lambda x: ours(x, nn.tensor(target)), x, reference=lambda x: theirs(x, torch.tensor(target)))
    assert repr(ours) == repr(theirs)
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        agree(state[key], value)


@pytest.mark.parametrize("name", CASES)
def test_constructor_is_that_of_torch(name):
    ours = inspect.signature(getattr(nn, name)).parameters
    theirs = inspect.signature(getattr(torch.nn, name)).parameters
    assert list(ours) == list(theirs)
    for n, p in ours.items():
        assert p.default == theirs[n].default


def test_every_loss_is_listed():
    names = {n for n, c in vars(nn).items() if inspect.isclass(c) and c.__module__ == "nn.loss"}
    assert names == {*CASES, "GaussianNLLLoss", "CTCLoss"}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", [{}, {"full": True, "eps": 0.5}])
@pytest.mark.parametrize("shape", [(6, 4), (6,), (6, 1)])
def test_gaussian_nll_loss(shape, options, reduction):
    options = {**options, "reduction": reduction}
    ours, theirs = nn.GaussianNLLLoss(**options), torch.nn.GaussianNLLLoss(**options)
    assert repr(ours) == repr(theirs)
    same_twice(ours, X, Y, RNG.random(shape) + 0.1, reference=theirs)
    same_as_torch(lambda x: ours(x, nn.tensor(Y), 0.3), X, reference=lambda x: theirs(x, torch.tensor(Y), 0.3))


def test_gaussian_nll_loss_errors():
    for var, message in ((-nn.ones(6, 4), "variances must not be negative"), (nn.ones(4), "the shape of var does not")):
        with pytest.raises(ValueError, match=message):
            nn.functional.gaussian_nll_loss(nn.ones(6, 4), nn.ones(6, 4), var)


@pytest.mark.filterwarnings("ignore:size_average")
@pytest.mark.parametrize("name", [n for n in CASES if n not in ("HuberLoss",)])
@pytest.mark.parametrize("old", [{"size_average": False}, {"reduce": False}, {"size_average": True}], ids=str)
def test_older_arguments(name, old):
    x, target, _ = CASES[name]
    ours, theirs = getattr(nn, name)(**old), getattr(torch.nn, name)(**old)
    assert ours.reduction == theirs.reduction
    function = {"L1Loss": "l1_loss", "MSELoss": "mse_loss", "KLDivLoss": "kl_div"}.get(name)
    if function is not None:
        a = getattr(nn.functional, function)(nn.tensor(x), nn.tensor(target), **old)
        agree(a, getattr(torch.nn.functional, function)(torch.tensor(x), torch.tensor(target), **old))


def test_older_arguments_warn():
    with pytest.warns(UserWarning, match="please use reduction='sum' instead"):
        nn.functional.mse_loss(nn.ones(2), nn.ones(2), False)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weights_of_each_loss(name, reduction):
    def loss(F):
        return lambda x, t, w: getattr(F, name)(x, t, reduction=reduction, weight=w)

    same_as_torch(loss(nn.functional), X, Y, Q + 0.5, reference=loss(torch.nn.functional))


# --- targets with gradients -------------------------------------------------------------------------------------------

SOFT = {
    "cross_entropy": [(X, Q, {}), (X, Q, {"label_smoothing": 0.2}), (X[0], Q[0], {}),
                      (X.reshape(2, 3, 4), Q.reshape(2, 3, 4), {})],
    "kl_div": [(X, Q, {}), (X, Y, {"log_target": True})],
    "binary_cross_entropy": [(P, Q, {})],
    "binary_cross_entropy_with_logits": [(X, Q, {})],
    "mse_loss": [(X, Y, {})],
    "l1_loss": [(X, Y, {})],
    "smooth_l1_loss": [(X, Y, {})],
    "huber_loss": [(X, Y, {})],
    "poisson_nll_loss": [(X, Q, {})],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "case"), [(n, c) for n, several in SOFT.items() for c in several], ids=str)
def test_targets_get_gradients(name, case, reduction):
    x, target, options = case

    def loss(F):
        return lambda x, t: getattr(F, name)(x, t, reduction=reduction, **options)

    same_as_torch(loss(nn.functional), x, target, reference=loss(torch.nn.functional), rtol=1e-9)


def test_a_batch_mean_with_gradients_of_the_target():
    def loss(F):
        return lambda x, t: F.kl_div(x, t, reduction="batchmean")

    same_as_torch(loss(nn.functional), X, Q, reference=loss(torch.nn.functional))


def test_probabilities_of_zero_have_finite_gradients():
    x, t = nn.tensor([[-1.0, -2.0]], requires_grad=True), nn.tensor([[0.0, 1.0]], requires_grad=True)
    nn.functional.kl_div(x, t, reduction="sum").backward()
    assert np.isfinite(t.grad.array).all()


def test_weights_get_no_gradients():
    w, t = nn.ones(4, requires_grad=True), nn.tensor(Q, requires_grad=True)
    for name in ("cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits"):
        with pytest.raises(ValueError, match=f"{name}: has a gradient with respect to input only"):
            getattr(nn.functional, name)(nn.tensor(P), t, w)


def test_distillation():
    """A student and a teacher that both learn, from one loss."""
    grads = []
    for F, tensor in ((nn.functional, nn.tensor), (torch.nn.functional, torch.tensor)):
        student, teacher = tensor(X, requires_grad=True), tensor(Y, requires_grad=True)
        logits = F.log_softmax(student / 2.0, dim=1)
        F.kl_div(logits, F.softmax(teacher / 2.0, dim=1), reduction="batchmean").backward()
        F.cross_entropy(student, teacher.softmax(1)).backward()
        grads.append((student.grad, teacher.grad))
    for mine, other in zip(*grads, strict=True):
        agree(mine, other)


def test_a_perfect_and_a_hopeless_prediction():
    criterion = nn.CrossEntropyLoss()
    scores = nn.tensor([[1000.0, 0.0], [0.0, 1000.0]])
    assert criterion(scores, nn.tensor([0, 1])).item() == 0
    assert criterion(scores, nn.tensor([1, 0])).item() == 1000

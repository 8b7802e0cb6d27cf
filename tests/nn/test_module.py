"""Modules: parameters, buffers and submodules, saving and loading (to and from PyTorch), hooks, containers, repr."""

import copy
import gc
from collections import OrderedDict

import numpy as np
import pytest
import torch

import nn


class Block(nn.Module):
    """Parameters of its own, buffers, and parts, one of which occurs twice."""

    def __init__(self, torch_module=None):
        super().__init__()
        self.inner = nn.Linear(3, 3)
        self.scale = nn.Parameter([1.0, 2.0, 3.0])
        self.register_buffer("steps", nn.zeros(3))
        self.register_buffer("scratch", nn.zeros(1), persistent=False)
        self.register_buffer("absent", None)
        self.nothing = None
        self.again = self.inner

    def forward(self, x, shift=0.0):
        return self.inner(x) * self.scale + shift


class TorchBlock(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(3, 3)
        self.scale = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        self.register_buffer("steps", torch.zeros(3))
        self.register_buffer("scratch", torch.zeros(1), persistent=False)
        self.register_buffer("absent", None)
        self.nothing = None
        self.again = self.inner

    def forward(self, x, shift=0.0):
        return self.inner(x) * self.scale + shift


def nested(package, block):
    return package.Sequential(package.Linear(3, 3), package.ReLU(), block(), package.ModuleList([package.Linear(3, 2)]))


# --- parameters, buffers and submodules -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        lambda m: list(m.state_dict()),
        lambda m: [n for n, _ in m.named_parameters()],
        lambda m: [n for n, _ in m.named_parameters(recurse=False)],
        lambda m: [n for n, _ in m.named_parameters(prefix="net")],
        lambda m: [n for n, _ in m.named_buffers()],
        lambda m: [n for n, _ in m.named_modules()],
        lambda m: [n for n, _ in m.named_children()],
        lambda m: [len(list(f())) for f in (m.parameters, m.buffers, m.modules, m.children)],
        lambda m: [n for n, _ in m[2].named_modules(prefix="block")],
    ],
)
def test_names_are_those_of_torch(names):
    assert names(nested(nn, Block)) == names(nested(torch.nn, TorchBlock))


def test_attributes():
    block = Block()
    assert block.again is block.inner
    assert len(list(block.named_children())) == 1  # each module once, as in PyTorch
    assert block.get_submodule("inner") is block.inner
    assert block.get_submodule("") is block
    assert nested(nn, Block).get_submodule("2.inner").in_features == 3
    with pytest.raises(AttributeError, match="get_submodule: Block has no module inner.weight"):
        block.get_submodule("inner.weight")
    del block.again
    assert "again.weight" not in block.state_dict()
    block.scale = None
    assert "scale" not in dict(block.named_parameters())
    block.steps = nn.ones(5)
    assert block.state_dict()["steps"].shape == (5,)
    del block.steps
    assert "steps" not in block.state_dict()


def test_bad_attributes():
    block = Block()
    with pytest.raises(TypeError, match="Block: scale is a Parameter and cannot become a Tensor"):
        block.scale = nn.ones(3)
    assert isinstance(block.scale, nn.Parameter)
    with pytest.raises(KeyError, match="Block already has an attribute forward"):
        block.register_buffer("forward", nn.ones(1))
    with pytest.raises(TypeError, match="register_buffer: mean must be a Tensor or None, got ndarray"):
        block.register_buffer("mean", np.ones(1))
    with pytest.raises(TypeError, match="register_parameter: w must be a Parameter or None, got Tensor"):
        block.register_parameter("w", nn.ones(1))
    with pytest.raises(TypeError, match="add_module: part must be a Module or None, got str"):
        block.add_module("part", "Linear")
    with pytest.raises(NotImplementedError, match="Module: a module needs forward"):
        nn.Module()(1)

    class Forgetful(nn.Module):
        def __init__(self):
            self.inner = nn.Identity()

    with pytest.raises(AttributeError, match=r"Forgetful: call super\(\).__init__\(\) before setting inner"):
        Forgetful()


def test_register_is_setting():
    module = nn.Module()
    module.register_parameter("weight", nn.Parameter([1.0]))
    module.register_parameter("bias", None)
    module.add_module("part", nn.Linear(1, 1))
    assert list(module.state_dict()) == ["weight", "part.weight", "part.bias"]
    assert module.bias is None


def test_parameter():
    p = nn.Parameter([1.0, 2.0])
    assert (p.requires_grad, p.is_leaf, p.dtype) == (True, True, np.float32)
    assert not nn.Parameter(nn.ones(2), requires_grad=False).requires_grad
    assert type(p * 1) is nn.Tensor
    assert repr(p) == "Parameter containing:\ntensor([1., 2.], requires_grad=True)"


# --- operations on the whole tree -------------------------------------------------------------------------------------


def test_train_and_eval():
    net = nested(nn, Block)
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net[2].train()
    assert net[2].inner.training
    assert not net[0].training
    assert net.train(True)[0].training


def test_apply_visits_submodules_first():
    seen = []
    net = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh())
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen == ["ReLU", "Sequential", "Tanh", "Sequential"]


def test_zero_grad_and_freezing():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    net[0].requires_grad_(False)
    net(nn.ones(3, 2)).sum().backward()
    assert net[0].weight.grad is None
    kept = net[1].weight.grad
    net.zero_grad(set_to_none=False)
    assert net[1].weight.grad is kept
    assert kept.tolist() == [[0.0, 0.0]]
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_conversion_of_dtype():
    net = nn.Sequential(Block(), nn.Linear(3, 1))
    net[0].register_buffer("count", nn.tensor([3]))
    net(nn.ones(1, 3)).sum().backward()
    parameters = list(net.parameters())
    assert net.double() is net
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    assert {t.dtype for t in net.parameters()} == {p.grad.dtype for p in net.parameters()} == {np.dtype(np.float64)}
    assert (net[0].steps.dtype, net[0].count.dtype) == (np.float64, np.int64)
    assert net(nn.ones(1, 3, dtype=np.float64)).dtype == np.float64
    assert net.float()(nn.ones(1, 3)).dtype == np.float32


def test_deepcopy_preserves_sharing():
    block = Block()
    twin = copy.deepcopy(block)
    assert twin.again is twin.inner
    assert isinstance(twin.scale, nn.Parameter)
    twin.scale.array[0] = 9
    assert block.scale.tolist() == [1.0, 2.0, 3.0]


# --- saving and loading -----------------------------------------------------------------------------------------------


def test_torch_state_loads_unchanged_and_ours_loads_into_torch():
    ours, theirs = nested(nn, Block), nested(torch.nn, TorchBlock)
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)

    def outputs():
        return ours[2](ours[0](nn.tensor(x)), 1.0).detach().numpy(), theirs[2](theirs[0](torch.tensor(x)), 1.0).detach()

    np.testing.assert_allclose(*outputs(), rtol=1e-5, atol=1e-6)
    other = nested(nn, Block)
    assert theirs.load_state_dict(other.state_dict()) == ([], [])
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), other.state_dict()[name].numpy())
    ours.load_state_dict(other.state_dict())
    np.testing.assert_allclose(*outputs(), rtol=1e-5, atol=1e-6)


def test_state_dict_shares_the_memory_of_the_module():
    net = nn.Linear(2, 1)
    state = net.state_dict()
    assert all(type(value) is nn.Tensor and not value.requires_grad for value in state.values())
    state["bias"].fill_(5)
    assert net.bias.tolist() == [5.0]


def test_loading_copies_and_converts():
    net = nn.Linear(2, 1)
    weight, memory = net.weight, net.weight.array
    source = {"weight": np.array([[1, 2]]), "bias": np.array([0.5])}
    net.load_state_dict(source)
    source["bias"][0] = 7
    assert net.weight is weight
    assert net.weight.array is memory
    assert (net.weight.tolist(), net.bias.tolist(), net.bias.dtype) == ([[1.0, 2.0]], [0.5], np.float32)


def test_loading_from_parameters_that_require_gradients():
    net, theirs = nn.Linear(2, 1), torch.nn.Linear(2, 1)
    net.load_state_dict(dict(theirs.named_parameters()))
    np.testing.assert_array_equal(net.weight.detach().numpy(), theirs.weight.detach().numpy())


def test_strict_errors_name_all_and_change_nothing():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    state = {"0.weight": np.zeros((3, 2)), "0.bias": np.zeros(4), "1.weight": np.zeros((1, 2)), "2.weight": np.zeros(1)}
    with pytest.raises(ValueError) as error:
        net.load_state_dict(state)
    for part in (
        "load_state_dict: Sequential does not match the state_dict:",
        "missing keys: 1.bias",
        "unexpected keys: 2.weight",
        "shapes differ: 0.bias is (3,), in the state_dict (4,)",
        "shapes differ: 1.weight is (1, 3), in the state_dict (1, 2)",
    ):
        assert part in str(error.value)
    with pytest.raises(ValueError, match="shapes differ"):
        net.load_state_dict(state, strict=False)
    with pytest.raises(TypeError, match="load_state_dict: 0.bias must consist of real numbers, got dtype complex128"):
        net.load_state_dict({**before, "0.bias": np.zeros(3, complex)})
    with pytest.raises(TypeError, match="load_state_dict: expected a mapping of names to tensors, got list"):
        net.load_state_dict([])
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_loading_matching_keys_only():
    net = nn.Linear(2, 1)
    missing, unexpected = net.load_state_dict({"bias": [3.0], "other": 1}, strict=False)
    assert (missing, unexpected, net.bias.tolist()) == (["weight"], ["other"], [3.0])


def test_loading_between_forward_and_backward_is_detected():
    net = nn.Linear(2, 1)
    y = net(nn.ones(1, 2, requires_grad=True))
    net.load_state_dict(nn.Linear(2, 1).state_dict())
    with pytest.raises(RuntimeError, match="a tensor that linear saved at version . was changed in place"):
        y.backward()


# --- hooks ------------------------------------------------------------------------------------------------------------


def test_forward_hooks():
    net = nn.Linear(2, 1)
    seen = []
    handles = [
        net.register_forward_pre_hook(lambda module, args: seen.append((module, len(args)))),
        net.register_forward_pre_hook(lambda module, args: args[0] * 0),
        net.register_forward_hook(lambda module, args, output: seen.append((args[0].tolist(), output.tolist()))),
        net.register_forward_hook(lambda module, args, output: output + 100),
    ]
    bias = net.bias.item()
    y = net(nn.ones(1, 2))
    assert seen == [(net, 1), ([[0.0, 0.0]], [[bias]])]
    np.testing.assert_allclose(y.item(), bias + 100)
    for handle in handles:
        handle.remove()
    assert net(nn.zeros(1, 2)).item() == bias
    assert len(seen) == 2


class Two(nn.Module):
    """Two arguments, an option, two results."""

    def forward(self, a, b, factor=1.0):
        return a * b, a.detach() * factor


def test_backward_hook_gets_the_gradients_of_arguments_and_results():
    net, calls = Two(), []
    net.register_full_backward_hook(lambda *args: calls.append(args))
    a, b = nn.tensor([2.0], requires_grad=True), nn.tensor([3.0])
    product, other = net(a * 5, b, factor=2.0)
    assert not other.requires_grad
    (product * 7).backward()
    ((module, (da, db), (dproduct, dother)),) = calls
    assert module is net
    assert (da.tolist(), db, dproduct.tolist(), dother) == ([21.0], None, [7.0], None)
    assert a.grad.tolist() == [105.0]


def test_backward_hook_agrees_with_torch():
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    ours = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2), nn.Tanh())
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 2), torch.nn.Tanh())
    theirs.load_state_dict(ours.state_dict())
    calls = []
    for net, tensor in ((ours, nn.tensor), (theirs, torch.tensor)):
        for layer in net:
            layer.register_full_backward_hook(
                lambda module, dx, dy: calls.append((type(module).__name__, *(g.tolist() for g in dx + dy)))
            )
        net(tensor(x, requires_grad=True)).sum().backward()
    mine, others = calls[:3], calls[3:]
    assert [name for name, *_ in mine] == [name for name, *_ in others] == ["Tanh", "Linear", "Linear"]
    for (_, dx, dy), (_, tx, ty) in zip(mine, others, strict=True):
        np.testing.assert_allclose(dy, ty, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(dx, tx, rtol=1e-5, atol=1e-7)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_backward_hook_replaces_the_gradient():
    net = nn.Identity()
    handle = net.register_full_backward_hook(lambda module, dx, dy: (dx[0] * 10,))
    x = nn.tensor([1.0], requires_grad=True)
    y = net(x)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [20.0]
    handle.remove()
    net(x).backward()
    assert x.grad.tolist() == [21.0]


def test_backward_hook_without_gradients():
    net = nn.Identity()
    net.register_full_backward_hook(lambda *args: pytest.fail("no backward, no hook"))
    with nn.no_grad():
        assert net(nn.ones(1, requires_grad=True)).is_leaf
    assert not net(nn.ones(1)).requires_grad


# --- containers -------------------------------------------------------------------------------------------------------


def test_sequential():
    a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)
    net = nn.Sequential(a, b)
    assert net.append(c) is net
    assert (len(net), list(net), net[0], net[-1]) == (3, [a, b, c], a, c)
    assert list(net[1:]) == [b, c]
    net[1] = nn.Tanh()
    assert isinstance(net[1], nn.Tanh)
    x = nn.randn(5, 2)
    assert net(x).tolist() == c(a(x).tanh()).tolist()
    named = nn.Sequential({"first": a, "second": b})
    assert named.first is a
    assert list(named.state_dict()) == ["first.weight", "first.bias"]
    assert nn.Sequential()(x) is x
    with pytest.raises(IndexError):
        net[3]
    with pytest.raises(TypeError, match="Sequential: expected a Module, got list"):
        nn.Sequential([a, b])


def test_module_list():
    a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)
    modules = nn.ModuleList([a])
    modules.append(c)
    modules.insert(1, b)
    assert list(modules) == [a, b, c]
    assert list(modules.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    del modules[0]
    assert list(modules.state_dict()) == ["1.weight", "1.bias"]
    modules[0] = a
    modules.extend([b])
    assert (len(modules), modules[-1]) == (3, b)
    assert isinstance(modules[:2], nn.ModuleList)
    with pytest.raises(TypeError, match="ModuleList: expected a Module, got int"):
        modules.append(1)
    assert list(modules) == [a, c, b]


def test_module_dict():
    modules = nn.ModuleDict({"a": nn.Linear(1, 1)})
    modules["b"] = nn.ReLU()
    modules.update({"c": nn.Tanh()})
    assert (list(modules), len(modules), "b" in modules, "training" in modules) == (["a", "b", "c"], 3, True, False)
    assert list(modules.keys()) == ["a", "b", "c"]
    assert [type(m).__name__ for m in modules.values()] == ["Linear", "ReLU", "Tanh"]
    assert dict(modules.items())["c"] is modules["c"]
    del modules["a"]
    assert list(modules.state_dict()) == []
    with pytest.raises(KeyError):
        modules["a"]
    with pytest.raises(KeyError):
        del modules["training"]
    with pytest.raises(KeyError, match="ModuleDict already has an attribute forward"):
        modules["forward"] = nn.ReLU()


def test_identity_and_flatten():
    x = nn.randn(2, 3, 4)
    assert nn.Identity(1, anything=2)(x) is x
    assert nn.Flatten()(x).shape == (2, 12)
    assert nn.Flatten(0, 1)(x).shape == (6, 4)


def test_repr_is_that_of_torch():
    class Net:
        @staticmethod
        def of(package):
            class Net(package.Module):
                def __init__(self):
                    super().__init__()
                    self.body = package.Sequential(
                        package.Flatten(), package.Linear(4, 2, bias=False), package.Dropout(0.25)
                    )
                    self.parts = package.ModuleDict(
                        {"a": package.Identity(), "b": package.Embedding(5, 3, padding_idx=-1)}
                    )
                    self.empty = package.ModuleList([])

                def extra_repr(self):
                    return "extra=1"

            return Net()

    assert repr(Net.of(nn)) == repr(Net.of(torch.nn))


def test_a_training_step_leaves_no_reference_cycles():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))

    def step():
        nn.functional.cross_entropy(net(nn.ones(4, 2)), np.array([0, 1, 0, 1])).backward()

    step()  # compiles, which leaves reference cycles
    gc.collect()
    gc.disable()
    try:
        step()
        assert gc.collect() == 0
    finally:
        gc.enable()


# --- names and indices ------------------------------------------------------------------------------------------------


def layers(package, n=4):
    return [package.Linear(i + 1, i + 2) for i in range(n)]


@pytest.mark.parametrize(
    "piece", [slice(2, None), slice(1, 3), slice(None, None, 2), slice(3, None), slice(None, None, -1)]
)
def test_a_slice_of_a_sequential_grows(piece):
    whole = nn.Sequential(*layers(nn))
    sliced = whole[piece]
    assert list(sliced.state_dict()) == list(torch.nn.Sequential(*layers(torch.nn))[piece].state_dict())
    kept = list(sliced)
    added = [nn.ReLU(), nn.Tanh(), nn.Identity()]
    assert sliced.append(added[0]) is sliced
    assert sliced.extend(added[1:]) is sliced
    assert list(sliced) == kept + added
    assert list(whole) == list(whole.children()) and len(whole) == 4
    assert len(dict(sliced.named_children())) == len(kept) + 3


def test_a_sequential_with_names_grows():
    model = nn.Sequential({"1": nn.ReLU(), "head": nn.Tanh()})
    model.append(nn.Identity()).append(nn.Sigmoid())
    assert [name for name, _ in model.named_children()] == ["1", "head", "2", "3"]
    sliced = model[1:]
    assert [name for name, _ in sliced.named_children()] == ["head", "2", "3"]
    assert [type(m).__name__ for m in sliced.append(nn.GELU())] == ["Tanh", "Identity", "Sigmoid", "GELU"]


def as_sequential(package, modules):
    return package.Sequential(*modules)


def as_list(package, modules):
    return package.ModuleList(modules)


@pytest.mark.parametrize("make", [as_sequential, as_list])
@pytest.mark.parametrize(
    "change",
    [
        lambda model, package: model.insert(1, package.ReLU()),
        lambda model, package: model.insert(0, package.ReLU()),
        lambda model, package: model.insert(len(model), package.ReLU()),
        lambda model, package: model.extend([package.ReLU(), package.Tanh()]),
        lambda model, package: model.append(package.ReLU()),
        lambda model, package: model.__delitem__(0),
        lambda model, package: model.__delitem__(-1),
        lambda model, package: model.__delitem__(slice(1, 3)),
        lambda model, package: model.pop(0),
        lambda model, package: model.pop(-1),
        lambda model, package: model.__setitem__(-1, package.ReLU()),
    ],
)
def test_containers_change_as_torchs(make, change):
    models = [make(package, layers(package)) for package in (nn, torch.nn)]
    for model, package in zip(models, (nn, torch.nn), strict=True):
        change(model, package)
    ours, theirs = ([(type(m).__name__, getattr(m, "in_features", None)) for m in model] for model in models)
    assert ours == theirs
    assert list(models[0].state_dict()) == list(models[1].state_dict())


def test_insert_into_and_delete_from_a_slice():
    model = nn.Sequential(*layers(nn))[2:]
    first, second = model
    model.insert(0, nn.ReLU())
    model.insert(-1, nn.Tanh())
    assert [type(m).__name__ for m in model] == ["ReLU", "Linear", "Tanh", "Linear"]
    assert list(model.state_dict()) == ["1.weight", "1.bias", "3.weight", "3.bias"]
    del model[1]
    assert model.pop() is second
    assert [name for name, _ in model.named_children()] == ["0", "1"]
    with pytest.raises(IndexError):
        model.pop(5)
    for index in (-3, 3):
        with pytest.raises(IndexError, match=f"Sequential: index {index} is out of range for 2 modules"):
            model.insert(index, nn.ReLU())
    with pytest.raises(TypeError, match="Sequential: expected a Module, got str"):
        model.extend([nn.ReLU(), "ReLU"])
    assert len(model) == 2


NAMES = ["forward", "parameters", "train", "training", "register_buffer", "__call__", "", "a.b", 3, None]


@pytest.mark.parametrize("name", NAMES, ids=repr)
@pytest.mark.parametrize(
    "add",
    [
        lambda package, name: package.Sequential().add_module(name, package.ReLU()),
        lambda package, name: package.ModuleList().add_module(name, package.ReLU()),
        lambda package, name: package.Sequential(OrderedDict([(name, package.ReLU())])),
        lambda package, name: package.ModuleDict({name: package.ReLU()}),
        lambda package, name: package.ModuleDict().update([(name, package.ReLU())]),
        lambda package, name: package.ModuleDict().__setitem__(name, package.ReLU()),
        lambda package, name: package.Linear(1, 1).register_parameter(name, None),
        lambda package, name: package.Linear(1, 1).register_buffer(name, None),
    ],
)
def test_names_in_use_and_invalid_names_raise(add, name):
    error = KeyError if isinstance(name, str) else TypeError
    for package in (torch.nn, nn):
        with pytest.raises(error):
            add(package, name)


@pytest.mark.parametrize("name", ["keys", "items", "values", "update"])
def test_a_dict_of_modules_rejects_the_names_of_its_methods(name):
    with pytest.raises(KeyError, match=f"ModuleDict already has an attribute {name}"):
        nn.ModuleDict({name: nn.ReLU()})


def test_names_of_attributes_of_another_kind_raise():
    for package, parameter in ((torch.nn, torch.nn.Parameter(torch.ones(1))), (nn, nn.Parameter([1.0]))):
        model = package.BatchNorm1d(2)
        model.part = package.ReLU()
        with pytest.raises(KeyError):
            model.add_module("weight", package.ReLU())
        with pytest.raises(KeyError):
            model.add_module("running_mean", None)
        with pytest.raises(KeyError):
            model.register_parameter("part", parameter)
        with pytest.raises(KeyError):
            model.register_parameter("running_mean", parameter)
        with pytest.raises(KeyError):
            model.register_buffer("weight", None)
        model.add_module("part", package.Tanh())
        model.register_parameter("weight", parameter)
        model.register_parameter("bias", None)
        model.register_buffer("running_var", None)
        assert [n for n, _ in model.named_parameters()] == ["weight"]
        assert [n for n, _ in model.named_buffers()] == ["running_mean", "num_batches_tracked"]


def test_buffers_that_are_replaced():
    block = Block()
    with pytest.raises(TypeError, match="Block: steps is a buffer and cannot become a str"):
        block.steps = "three"
    block.steps = nn.Parameter([1.0])
    assert "steps" in dict(block.named_parameters()) and "steps" not in dict(block.named_buffers())
    del block.scratch
    block.scratch = "free"
    assert "scratch" not in dict(block.named_buffers())


def test_empty_containers():
    assert len(nn.ModuleList(None)) == len(nn.ModuleDict(None)) == len(nn.ModuleList()) == len(nn.ModuleDict()) == 0


def test_a_module_is_not_converted_to_integers():
    with pytest.raises(TypeError, match="to: a module's dtype must be float32 or float64, got int64"):
        nn.Linear(1, 1).to(np.int64)


# --- arguments of constructors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Linear(-1, 3), ValueError, "Linear: in_features must be at least 0, got -1"),
        (lambda: nn.Linear(3, -1), ValueError, "Linear: out_features must be at least 0, got -1"),
        (lambda: nn.Linear(3.0, 1), TypeError, "Linear: in_features must be an int, got float"),
        (lambda: nn.Linear(3, "1"), TypeError, "Linear: out_features must be an int, got str"),
        (lambda: nn.Embedding(-1, 3), ValueError, "Embedding: num_embeddings must be at least 0, got -1"),
        (lambda: nn.Embedding(3, -1), ValueError, "Embedding: embedding_dim must be at least 0, got -1"),
        (lambda: nn.Embedding(3, 2, 1.5), TypeError, "Embedding: padding_idx must be an int, got float"),
        (lambda: nn.Embedding(3, 2, 3), ValueError, "Embedding: padding_idx 3 is outside a table of 3 rows"),
        (lambda: nn.EmbeddingBag(-1, 3), ValueError, "EmbeddingBag: num_embeddings must be at least 0, got -1"),
        (lambda: nn.BatchNorm2d(-1), ValueError, "BatchNorm2d: num_features must be at least 0, got -1"),
        (lambda: nn.BatchNorm1d(2.0), TypeError, "BatchNorm1d: num_features must be an int, got float"),
        (lambda: nn.InstanceNorm1d(-3, affine=True), ValueError, "InstanceNorm1d: num_features must be at least 0"),
        (lambda: nn.LayerNorm(-1), ValueError, "LayerNorm: normalized_shape must be at least 0, got -1"),
        (lambda: nn.LayerNorm((2, -1)), ValueError, "LayerNorm: normalized_shape must be at least 0, got -1"),
        (lambda: nn.RMSNorm([2.0]), TypeError, "RMSNorm: normalized_shape must be an int, got float"),
        (lambda: nn.GroupNorm(2, -4), ValueError, "GroupNorm: num_channels must be at least 0, got -4"),
        (lambda: nn.GroupNorm(0, 4), ValueError, "GroupNorm: num_groups 0 does not divide num_channels 4"),
        (lambda: nn.GroupNorm(2.0, 4), TypeError, "GroupNorm: num_groups must be an int, got float"),
        (lambda: nn.Conv2d(-2, 2, 1), ValueError, "Conv2d: in_channels must be at least 0, got -2"),
        (lambda: nn.Conv1d(2, -2, 1), ValueError, "Conv1d: out_channels must be at least 0, got -2"),
        (lambda: nn.Conv1d(2, 2, -1), ValueError, "Conv1d: kernel_size must be at least 0, got -1"),
        (lambda: nn.Conv2d(2, 2, (1, 1.5)), TypeError, "Conv2d: kernel_size must be an int, got float"),
        (lambda: nn.ConvTranspose1d(-2, 2, 1), ValueError, "ConvTranspose1d: in_channels must be at least 0, got -2"),
        (lambda: nn.RNNCell(-1, 2), ValueError, "RNNCell: input_size must be at least 0, got -1"),
        (lambda: nn.GRUCell(2, -1), ValueError, "GRUCell: hidden_size must be at least 0, got -1"),
        (lambda: nn.LSTMCell(2.0, 2), TypeError, "LSTMCell: input_size must be an int, got float"),
        (lambda: nn.PReLU(-1), ValueError, "PReLU: num_parameters must be at least 0, got -1"),
        (lambda: nn.Hardtanh(1, -1), ValueError, "Hardtanh: max_val must be larger than min_val, got -1 and 1"),
        (lambda: nn.Hardtanh(1, 1), ValueError, "Hardtanh: max_val must be larger than min_val, got 1 and 1"),
        (lambda: nn.Dropout("0.5"), TypeError, "Dropout: p must be a number, got str"),
        (lambda: nn.Dropout2d(None), TypeError, "Dropout2d: p must be a number, got NoneType"),
        (lambda: nn.Dropout3d(-0.1), ValueError, "Dropout3d: p must be between 0 and 1, got -0.1"),
    ],
)
def test_invalid_arguments_of_constructors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_sizes_may_be_numpys_and_zero():
    assert nn.Linear(np.int64(3), np.int32(2)).weight.shape == (2, 3)
    assert nn.LayerNorm((np.int64(2), 3)).weight.shape == (2, 3)
    for module in (nn.Linear(0, 2), nn.Embedding(0, 2), nn.BatchNorm1d(0), nn.PReLU(0), nn.Conv1d(0, 2, 1)):
        assert any(p.array.size == 0 for p in module.parameters())

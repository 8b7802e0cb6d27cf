"""The surface of Module beyond what every model uses: names, conversions, hooks and copies, as PyTorch's."""

import copy
import pickle

import numpy as np
import pytest
import torch

import nn

BOTH = pytest.mark.parametrize("package", [nn, torch.nn], ids=["ours", "torch"])


def tensor_of(package, *shape):
    return nn.ones(*shape) if package is nn else torch.ones(*shape)


def shared(package):
    """Modules and parameters that occur twice."""
    net = package.Sequential(package.Linear(2, 2), package.ReLU(), package.Linear(2, 2))
    net.again = net[0]
    net.tied = net[2].weight
    net.register_buffer("count", tensor_of(package, 1))
    net.same = net.count
    return net


@pytest.mark.filterwarnings("ignore:Positional args")
@pytest.mark.parametrize(
    "names",
    [
        lambda m: [n for n, _ in m.named_children()],
        lambda m: [n for n, _ in m.named_modules()],
        lambda m: [n for n, _ in m.named_modules(prefix="net")],
        lambda m: [n for n, _ in m.named_modules(set(), "net", False)],
        lambda m: [n for n, _ in m.named_parameters()],
        lambda m: [n for n, _ in m.named_parameters("net", True, False)],
        lambda m: [n for n, _ in m.named_buffers(remove_duplicate=False)],
        lambda m: len(list(m.modules(remove_duplicate=False))),
        lambda m: list(m.state_dict()),
        lambda m: list(m.state_dict(prefix="net.")),
        lambda m: list(m.state_dict({}, "net.", True)),
        lambda m: [type(v).__name__ for v in m.state_dict(keep_vars=True).values()],
        lambda m: sorted(m.state_dict(destination={"given": 1})),
        lambda m: (list(m._modules), list(m._parameters), list(m._buffers)),
        lambda m: (m._modules["0"] is m[0], "7" in m._modules, m._modules.pop("1")._get_name(), len(m)),
        lambda m: [m.get_parameter(n).ndim for n in ("0.bias", "tied")] + [m.get_buffer("count").ndim],
        lambda m: (m.set_submodule("0", m[1]), m[0]._get_name()),
        lambda m: [name for name in dir(m) if name in ("0", "again", "tied", "count", "training")],
        lambda m: m.share_memory() is m.cpu() is m.to("cpu") is m,
    ],
)  # fmt: skip
def test_names_are_those_of_torch(names):
    assert names(shared(nn)) == names(shared(torch.nn))


@BOTH
@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda m: m.get_parameter("0.nothing"), AttributeError),
        (lambda m: m.get_parameter("count"), AttributeError),
        (lambda m: m.get_buffer("tied"), AttributeError),
        (lambda m: m.get_submodule("9"), AttributeError),
        (lambda m: m.nothing, AttributeError),
        (lambda m: setattr(m, "0", 3), TypeError),
        (lambda m: setattr(m, "tied", tensor_of(nn if isinstance(m, nn.Module) else torch.nn, 1)), TypeError),
        (lambda m: m.set_submodule("9", m[0], strict=True), AttributeError),
        (lambda m: m.set_submodule("", m[0]), ValueError),
        (lambda m: m.set_submodule("0", 3), ValueError),
    ],
)
def test_errors_are_those_of_torch(package, use, error):
    with pytest.raises(error):
        use(shared(package))


@BOTH
def test_a_plain_tensor_is_a_plain_attribute_unless_it_replaces_a_buffer(package):
    module = package.Module()
    module.plain = tensor_of(package, 2)
    module.register_buffer("mean", tensor_of(package, 2))
    module.mean = tensor_of(package, 3)
    module.variance = package.Buffer(tensor_of(package, 4))
    module.hidden = package.Buffer(tensor_of(package, 4), persistent=False)
    module.part = None
    module.first = package.Linear(1, 1)
    module.part = package.ReLU()
    assert list(module.state_dict()) == ["mean", "variance", "first.weight", "first.bias"]
    assert [n for n, _ in module.named_buffers()] == ["mean", "variance", "hidden"]
    assert [n for n, _ in module.named_children()] == ["first", "part"]
    assert not list(module.parameters(recurse=False))


@BOTH
def test_a_subclass_may_look_names_up_elsewhere(package):
    class Wrapper(package.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(self.module, name)

    assert Wrapper(package.Linear(3, 2)).in_features == 3


@pytest.mark.parametrize(
    "convert",
    [
        lambda m: m.to(np.float64),
        lambda m: m.to(dtype=np.float64),
        lambda m: m.to("cpu", np.float64),
        lambda m: m.to("cpu", dtype=np.float64, non_blocking=True),
        lambda m: m.to(nn.ones(1, dtype=np.float64)),
        lambda m: m.type(np.float64),
        lambda m: m.double(),
    ],
)
def test_every_way_to_convert(convert):
    module = nn.BatchNorm1d(2)
    assert convert(module) is module
    assert [t.dtype for t in module.state_dict().values()] == [np.float64] * 4 + [np.int64]


@pytest.mark.parametrize(
    ("convert", "error", "message"),
    [
        (lambda m: m.half(), TypeError, "to: a module's dtype must be float32 or float64, got float16"),
        (lambda m: m.to(np.int64), TypeError, "to: a module's dtype must be float32 or float64, got int64"),
        (lambda m: m.bfloat16(), TypeError, "bfloat16: a module's dtype must be float32 or float64"),
        (lambda m: m.cuda(), RuntimeError, "cuda: all modules are on the CPU here"),
        (lambda m: m.to("cuda:0"), RuntimeError, "to: all modules are on the CPU here, not on cuda:0"),
        (lambda m: m.to(device="cuda"), RuntimeError, "to: all modules are on the CPU here, not on cuda"),
    ],
)
def test_conversions_that_are_refused(convert, error, message):
    with pytest.raises(error, match=message):
        convert(nn.Linear(1, 1))


@BOTH
def test_forward_hooks_with_options(package):
    class Scale(package.Module):
        def forward(self, x, factor=1, fails=False):
            if fails:
                raise ValueError("forward fails")
            return x * factor

    calls, module = [], Scale()
    module.register_forward_pre_hook(lambda m, args: calls.append("second"))
    module.register_forward_pre_hook(lambda m, args: calls.append("first"), prepend=True)
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, kwargs | {"factor": kwargs["factor"] + 1}), with_kwargs=True
    )
    module.register_forward_hook(lambda m, args, kwargs, y: calls.append(dict(kwargs)) or y + 1, with_kwargs=True)
    module.register_forward_hook(lambda m, args, y: calls.append(y), always_call=True)
    assert module(3, factor=2) == 10
    assert calls == ["first", "second", {"factor": 3}, 10]
    calls.clear()
    with pytest.raises(ValueError, match="forward fails"):
        module(3, factor=2, fails=True)
    assert calls == ["first", "second", None]


@BOTH
def test_hooks_of_the_state(package):
    calls, net = [], package.Sequential(package.Linear(1, 1))
    net[0].register_state_dict_pre_hook(lambda m, prefix, keep_vars: calls.append((prefix, keep_vars)))
    net[0].register_state_dict_post_hook(lambda m, state, prefix, metadata: state.pop(f"{prefix}bias") and None)
    state = net.state_dict()
    assert (list(state), calls) == (["0.weight"], [("0.", False)])

    def rename(state_dict, prefix, metadata, strict, missing, unexpected, errors):
        state_dict[f"{prefix}bias"] = state_dict.pop(f"{prefix}old")

    handle = net[0]._register_load_state_dict_pre_hook(rename)
    given = {"0.weight": tensor_of(package, 1, 1) * 2, "0.old": tensor_of(package, 1) * 3}
    assert net.load_state_dict(given) == ([], [])
    assert (net[0].bias.item(), sorted(given)) == (3, ["0.old", "0.weight"])
    handle.remove()
    net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    assert net.load_state_dict({"0.weight": tensor_of(package, 1, 1) * 4}) == ([], [])
    assert net[0].weight.item() == 4


@BOTH
def test_state_besides_tensors(package):
    class Counter(package.Module):
        steps = 3

        def get_extra_state(self):
            return {"steps": self.steps}

        def set_extra_state(self, state):
            self.steps = state["steps"] + 1

    net = package.Sequential(Counter(), package.Linear(1, 1))
    state = net.state_dict()
    assert list(state) == ["0._extra_state", "1.weight", "1.bias"]
    assert net.load_state_dict(state) == ([], [])
    assert net[0].steps == 4
    del state["0._extra_state"]
    assert net.load_state_dict(state, strict=False) == (["0._extra_state"], [])
    with pytest.raises(RuntimeError):
        package.Module().get_extra_state()


@BOTH
def test_assigning_the_loaded_tensors(package):
    net = package.BatchNorm1d(2)
    net.weight.requires_grad_(False)
    state = {name: value + 1 for name, value in net.double().state_dict().items()}
    net.float().load_state_dict(state, assign=True)
    assert isinstance(net.weight, package.Parameter) and not net.weight.requires_grad and net.bias.requires_grad
    assert net.running_mean is state["running_mean"]
    assert str(net.weight.dtype).endswith("float64")


def test_data_parallel_is_the_module():
    ours, theirs = nn.DataParallel(nn.Linear(2, 1)), torch.nn.DataParallel(torch.nn.Linear(2, 1))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    x = nn.ones(3, 2)
    np.testing.assert_array_equal(ours(x).array, ours.module(input=x).array)


def used():
    """A net whose tensors were seen by state_dict, detach and views, and which has gradients."""
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.ModuleList([nn.Linear(3, 1)])[0])
    net.kept = [net.state_dict(), net[0].weight.detach(), net[0].weight[0].detach()]
    net(nn.randn(4, 3)).sum().backward()
    return net


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_modules_are_copied_and_pickled_at_any_time(copied):
    net = used()
    twin = copied(net)
    for (name, ours), (other, theirs) in zip(net.named_parameters(), twin.named_parameters(), strict=True):
        assert name == other and isinstance(theirs, nn.Parameter) and theirs is not ours
        np.testing.assert_array_equal(ours.array, theirs.array)
        np.testing.assert_array_equal(ours.grad.array, theirs.grad.array)
    x = nn.randn(4, 3)
    np.testing.assert_array_equal(net.eval()(x).array, twin.eval()(x).array)
    twin[0].weight.data.zero_()
    assert net[0].weight.array.any()
    state = copied(net.state_dict())
    assert list(state) == list(net.state_dict())


def test_a_parameter_takes_attributes_that_are_copied():
    p = nn.Parameter([1.0])
    p.group = "slow"
    assert copy.deepcopy(p).group == pickle.loads(pickle.dumps(p)).group == "slow"
    assert nn.Parameter().shape == tuple(torch.nn.Parameter().shape) == (0,)

"""Containers of modules and parameters do what PyTorch's do: contents, names, errors and repr."""

from collections import OrderedDict

import pytest
import torch

import nn

BOTH = [nn, torch.nn]


def layers(package):
    return [package.Linear(i + 1, i + 2) for i in range(3)]


def sequence_state(model):
    return list(model.state_dict()), [getattr(m, "in_features", type(m).__name__) for m in model], repr(model)


@pytest.mark.parametrize("kind", ["Sequential", "ModuleList"])
@pytest.mark.parametrize(
    "change",
    [
        lambda m, p: m + type(m)(*([p.ReLU()] if isinstance(m, p.Sequential) else [[p.ReLU()]])),
        lambda m, p: m.__iadd__(m[:1]),
        lambda m, p: m.extend([p.Tanh(), p.Tanh()]),
        lambda m, p: m.pop(0) and m,
        lambda m, p: m.insert(1, p.Tanh()) or m,
        lambda m, p: m.__delitem__(slice(0, 2)) or m,
        lambda m, p: m.append(m[0]),
        lambda m, p: m[::-1].append(p.ReLU()) if isinstance(m, p.ModuleList) else m[1:],
    ],
)
def test_sequences_change_as_torchs(kind, change):
    results = []
    for package in BOTH:
        model = (
            getattr(package, kind)(*layers(package)) if kind == "Sequential" else package.ModuleList(layers(package))
        )
        results.append(sequence_state(change(model, package)))
    assert results[0] == results[1]


@pytest.mark.parametrize("times", [1, 3])
def test_a_sequential_is_repeated(times):
    ours, theirs = (package.Sequential(*layers(package)[:1]) * times for package in BOTH)
    assert sequence_state(ours) == sequence_state(theirs)
    ours, theirs = (2 * package.Sequential(*layers(package)[:1]) for package in BOTH)
    assert sequence_state(ours) == sequence_state(theirs)
    ours *= 2
    theirs *= 2
    assert sequence_state(ours) == sequence_state(theirs)
    for package in BOTH:
        with pytest.raises(ValueError):
            package.Sequential() * 0
        with pytest.raises(TypeError):
            package.Sequential() * 1.5


def test_a_module_that_occurs_twice_is_run_twice():
    for package, ones in ((nn, nn.ones), (torch.nn, torch.ones)):
        layer = package.Linear(1, 1)
        model = package.Sequential(layer, package.ReLU(), layer)
        assert len(model) == 3
        assert model(ones(1, 1)).item() == layer(layer(ones(1, 1)).relu()).item()


def test_equal_modules_of_a_list_are_shown_once():
    def build(p):
        return p.ModuleList([p.Linear(2, 2), p.Linear(2, 2), p.Sequential(p.ReLU()), p.ReLU()])

    assert repr(build(nn)) == repr(build(torch.nn))
    assert repr(nn.ModuleList()) == repr(torch.nn.ModuleList())


@pytest.mark.parametrize(
    "use",
    [
        lambda d: d.pop("a")._get_name(),
        lambda d: d.clear(),
        lambda d: d.update({"z": d["b"]}),
        lambda d: list(d.keys()),
        lambda d: [m._get_name() for m in d.values()],
        lambda d: [(k, m._get_name()) for k, m in d.items()],
        lambda d: d.__delitem__("b"),
        lambda d: d.keys() & {"a", "z"},
    ],
)
def test_a_dict_of_modules_changes_as_torchs(use):
    def build(p):
        return p.ModuleDict({"b": p.Linear(1, 2), "a": p.ReLU()})

    ours, theirs = build(nn), build(torch.nn)
    assert use(ours) == use(theirs)
    assert (list(ours), repr(ours), list(ours.state_dict())) == (list(theirs), repr(theirs), list(theirs.state_dict()))
    assert len(ours) == len(theirs)


def parameters(package):
    ones = nn.ones if package is nn else torch.ones
    return [package.Parameter(ones(2)), ones(2, 3), "text"]


def shown(value):
    """The repr without the name of PyTorch's types: torch.float32 and torch.FloatTensor are float32 here."""
    return repr(value).replace("torch.float32", "float32").replace("torch.nn.parameter.Parameter", "float32")


@pytest.mark.parametrize(
    "use",
    [
        lambda x, p: None,
        lambda x, p: x.append(parameters(p)[0]) is x,
        lambda x, p: x.extend(parameters(p)) is x,
        lambda x, p: x.__iadd__(parameters(p)) is x,
        lambda x, p: x.__setitem__(-1, parameters(p)[1]),
        lambda x, p: len(x[1:]),
        lambda x, p: [type(v).__name__ for v in x],
        lambda x, p: x[-1],
    ],
)
def test_a_list_of_parameters_is_torchs(use):
    ours, theirs = nn.ParameterList(parameters(nn)), torch.nn.ParameterList(parameters(torch.nn))
    assert use(ours, nn) == use(theirs, torch.nn)
    assert shown(ours) == shown(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]


@pytest.mark.parametrize("package", BOTH, ids=["ours", "torch"])
def test_errors_of_the_containers_of_parameters(package):
    values = package.ParameterList(parameters(package))
    with pytest.raises(IndexError):
        values[3]
    with pytest.raises(TypeError):
        values.extend(parameters(package)[0])
    with pytest.raises(RuntimeError):
        values(1)
    entries = package.ParameterDict({"a": parameters(package)[0]})
    with pytest.raises(KeyError if package is nn else AttributeError):
        entries["b"]
    with pytest.raises(TypeError):
        entries[1] = 1
    with pytest.raises(RuntimeError):
        entries(1)
    with pytest.raises(TypeError):
        entries.update(3)


@pytest.mark.parametrize(
    "use",
    [
        lambda d, p: d.pop("a") is not None,
        lambda d, p: d.popitem()[0],
        lambda d, p: d.clear(),
        lambda d, p: d.get("b"),
        lambda d, p: d.get("nothing", 5),
        lambda d, p: d.setdefault("a", 5) is d["a"],
        lambda d, p: d.setdefault("new", 5),
        lambda d, p: list(d.fromkeys(["u", "v"], 3).items()),
        lambda d, p: list(d.copy()),
        lambda d, p: list(d | p.ParameterDict({"z": 1})),
        lambda d, p: list({"z": 1} | d),
        lambda d, p: list(d.__ior__({"z": 1})),
        lambda d, p: list(reversed(d)),
        lambda d, p: d.update([("y", 1), ("x", 2)]),
        lambda d, p: d.update({"y": 1, "x": 2}),
        lambda d, p: d.update(OrderedDict([("y", 1), ("x", 2)])),
        lambda d, p: "a" in d and "nothing" not in d and len(d),
        lambda d, p: [type(v).__name__ for v in d.values()],
        lambda d, p: d.__delitem__("c"),
    ],
)
def test_a_dict_of_parameters_is_torchs(use):
    def build(package):
        first, second, text = parameters(package)
        return package.ParameterDict({"c": first, "a": second, "b": text})

    ours, theirs = build(nn), build(torch.nn)
    assert use(ours, nn) == use(theirs, torch.nn)
    assert list(ours.keys()) == list(theirs.keys())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert shown(ours).replace("float32 of", "of") == shown(theirs).replace("torch.FloatTensor of", "of").replace(
        "float32 of", "of"
    )


def test_none_in_the_place_of_a_module():
    lists = [m.ModuleList([m.Linear(2, 3), None, m.Linear(3, 1), None]) for m in (nn, torch.nn)]
    for modules in lists:
        assert len(modules) == 4 and modules[1] is None and list(modules)[3] is None
        modules[3] = modules[1]
        modules.append(None)
        del modules[3]
        assert [module is None for module in modules] == [False, True, False, True]
        assert list(modules.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
        assert len(list(modules.children())) == 2
    assert repr(lists[0]) == repr(lists[1])

"""Names, order and defaults of parameters are PyTorch's wherever a name is, but for the listed differences."""

import pytest

from tests.nn.signature_differences import DIFFERENCES
from tests.nn.signatures import MEANINGLESS, NAMESPACES, Parameter, counts, difference, shared, theirs_of

FULL_NAMES = [(namespace, name) for namespace in NAMESPACES for name in shared(namespace)]


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_signatures_are_those_of_torch(namespace):
    found = {f"{namespace}.{name}": difference(namespace, name) for name in shared(namespace)}
    listed = {name: DIFFERENCES[name][0] for name in found if name in DIFFERENCES}
    assert {name: words for name, words in found.items() if words} == listed


def test_every_listed_difference_has_a_name_and_a_reason():
    assert set(DIFFERENCES) <= {f"{namespace}.{name}" for namespace, name in FULL_NAMES}
    assert all(reason for _, reason in DIFFERENCES.values())
    assert all(MEANINGLESS.values())


def test_most_of_the_layers_are_there():
    have = counts()
    for namespace, least in (("torch.nn", 0.9), ("torch.nn.functional", 0.85), ("torch.nn.Module", 0.8)):
        assert have[namespace][0] >= least * have[namespace][1]


def test_a_difference_is_found():
    import torch

    import nn

    (documented,) = theirs_of(torch.nn.functional.softshrink, False)
    assert documented == [Parameter("input", False, "no default"), Parameter("lambd", False, 0.5)]
    original = nn.functional.softshrink
    try:
        nn.functional.softshrink = lambda lambd, input=1.0: None
        expected = "order lambd, input; lambd=no default for 0.5; input=1.0 for no default"
        assert difference("torch.nn.functional", "softshrink") == expected
    finally:
        nn.functional.softshrink = original

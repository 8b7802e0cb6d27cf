"""Checks, intervals, verdicts."""

import math

import pytest

from experiments import lab, verdicts


def test_a_check_holds_within_its_bounds():
    assert lab.check("x", 1.0, at_least=1.0).holds
    assert lab.check("x", 1.0, at_most=1.0).holds
    assert not lab.check("x", 1.1, at_least=0.0, at_most=1.0).holds
    assert not lab.check("x", -0.1, at_least=0.0).holds
    assert not lab.check("x", math.nan, at_least=0.0).holds
    assert lab.check("x", 1, at_least=0).bounds == "≥ 0"
    assert lab.check("x", 1, at_most=2).bounds == "≤ 2"
    assert lab.check("x", 1, at_least=0, at_most=2).bounds == "0 to 2"
    with pytest.raises(ValueError, match="'x' has no bound"):
        lab.check("x", 1.0)
    with pytest.raises(ValueError, match="origin must be one of registered, pilot, afterwards, not 'guessed'"):
        lab.check("x", 1.0, at_least=0, origin="guessed")


def test_the_mean_over_seeds_has_a_t_interval():
    check = lab.check("x", [1.0, 2.0, 3.0], at_least=1.5)
    assert check.value == 2 and check.holds
    assert check.interval == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), rel=1e-6)
    assert lab.check("x", [1.0], at_least=0).interval == () == lab.check("x", 1.0, at_least=0).interval


def test_a_paired_comparison_needs_the_mean_and_every_seed():
    mean, least = lab.paired("a - b", [0.1, 0.3], at_least=0.2)
    assert mean.value == pytest.approx(0.2) and least.value == pytest.approx(0.1)
    assert mean.claim == "a - b, mean of 2 seeds"
    mean, least = lab.paired("a - b", [-0.01, 0.9], at_least=0.2, extra=True, origin="pilot")
    assert mean.holds and not least.holds and mean.extra and least.origin == "pilot"


def test_the_verdict_is_of_the_claim_alone():
    good, bad = lab.check("good", 1, at_least=0), lab.check("bad", 1, at_most=0)
    extra = lab.check("extra", 1, at_most=0, extra=True)
    assert verdicts.verdict([good, good, extra]) == "reproduced"
    assert verdicts.verdict([good, bad]) == "partial"
    assert verdicts.verdict([extra, good, bad]) == "partial"
    assert verdicts.verdict([bad, good]) == "not reproduced"
    assert verdicts.tally([good, bad, extra], extra=False) == "1 of 2"
    assert verdicts.tally([good], extra=True) == "none"
    with pytest.raises(ValueError, match="no check belongs to the claim"):
        verdicts.verdict([extra])


def test_the_table_says_what_is_of_the_claim_and_when_its_bound_was_set():
    extra = lab.check("|x|", [1.0, 2.0], at_most=1, extra=True, origin="pilot")
    lines = verdicts.table([extra, lab.check("y", 1, at_least=0)])
    assert lines[2] == "| claim | y | 1 |  | ≥ 0 | yes | before any run |"
    assert lines[3].startswith("| extra | \\|x\\| | 1.5 | -4.853 to 7.853 | ≤ 1 | **no** | after pilot seeds |")
    assert verdicts.table([lab.check("y", 1, at_least=0)])[2] == "| claim | y | 1 | ≥ 0 | yes | before any run |"

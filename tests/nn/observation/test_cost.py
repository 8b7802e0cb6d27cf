"""The measurement of the cost of observing runs; its result is only meaningful on an idle machine."""

from benchmarks import observation


def test_it_times_both_sides():
    found = observation.ratios(rounds=3)
    assert len(found) == 3 and all(ratio > 0 for ratio in found)


def test_both_sides_take_the_same_steps():
    (*_, one), (*_, other) = (observation.training_step() for _ in range(2))
    assert [one() for _ in range(3)] == [other() for _ in range(3)]

"""Exercises: their grading, and the answers of every experiment's."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import exercises, lab

WORD = lab.Exercise("Which?", lambda results: "b", "Because.", ("a", "b"))
NUMBER = lab.Exercise("How many?", lambda results: 10 * len(results), "Ten each.", within=0.1)


def test_an_answer_is_graded():
    assert WORD.is_right("b", []) and not WORD.is_right("a", [])
    assert NUMBER.is_right(21.5, [0, 0]) and not NUMBER.is_right(23, [0, 0])
    assert NUMBER.is_right(np.float32(20), [0, 0]) and NUMBER.is_right(np.int64(20), [0, 0])
    with pytest.raises(ValueError, match="must be one of 'a', 'b'"):
        WORD.is_right("c", [])
    with pytest.raises(TypeError, match="a number, not str"):
        NUMBER.is_right("20", [])


def test_the_answers_are_folded():
    page = exercises.sheet("sample", [WORD, NUMBER], [0])
    assert page.count("<details>") == 2 and "`lab.grade('sample', 2, …)`: a number, within 10%" in page
    assert "\n\n**b.** Because.\n\n</details>" in page and "\n\n**10.** Ten each." in page


def test_what_falls_after_a_change():
    def run(config, seed):
        return {"value": module.double(config["x"]) + seed}

    def check(results, mode):
        return [lab.check("even", sum(r["value"] % 2 for r in results), at_most=0), lab.check("any", 1, at_least=0)]

    module = SimpleNamespace(run=run, check=check, double=lambda x: 2 * x)
    assert exercises.fallen(module, {"seeds": 1, "x": 1}, {}) == []
    assert exercises.fallen(module, {"seeds": 2, "x": 1}, {}) == ["even"]
    assert exercises.fallen(module, {"seeds": 1, "x": 1}, {"double": lambda x: x}) == ["even"]
    assert module.double(1) == 2, "the module is as before"


@pytest.mark.parametrize("name", lab.names())
def test_every_experiment_has_three(name, capsys):
    given = lab.load(name).EXERCISES
    assert len(given) == 3
    results = lab.stored(name).results
    for number, exercise in enumerate(given, 1):
        answer = exercise.answer(results)
        assert lab.grade(name, number, answer), f"exercise {number}: its own answer is refused"
        wrong = next(c for c in exercise.choices if c != answer) if exercise.choices else 2 * answer + 1
        assert not lab.grade(name, number, wrong)
        assert exercise.why in capsys.readouterr().out
    with pytest.raises(IndexError, match="exercises 1 to 3, not 4"):
        lab.grade(name, 4, 0)
    assert f'lab.exercises("{name}")' in inspect.getsource(lab.load(name))

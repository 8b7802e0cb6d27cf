"""Exercises of an experiment: a question, an answer that a program computes, and why it is so."""

from collections.abc import Callable
from contextlib import ExitStack
from numbers import Real
from typing import NamedTuple
from unittest import mock


class Exercise(NamedTuple):
    """A question to a reader.

    Parameters
    ----------
    question, why : str
        Markdown.
    answer : callable
        results of all seeds -> the right answer: one of the choices, or a number.
    choices : tuple of str, optional
        What can be answered; without them the answer is a number.
    within : float
        How far a number may be off, relative to the answer's.
    """

    question: str
    answer: Callable
    why: str
    choices: tuple | None = None
    within: float = 0.0

    def is_right(self, guess, results):
        """Whether a guess is the answer.

        Raises
        ------
        ValueError
            The guess is none of the choices.
        TypeError
            A number is asked for.
        """
        answer = self.answer(results)
        if self.choices:
            if guess not in self.choices:
                raise ValueError(f"exercise: the answer must be one of {', '.join(map(repr, self.choices))}")
            return guess == answer
        if isinstance(guess, bool) or not isinstance(guess, Real):
            raise TypeError(f"exercise: the answer is a number, not {type(guess).__name__}")
        return abs(guess - answer) <= self.within * abs(answer)

    def shown(self, results):
        """The answer as text."""
        answer = self.answer(results)
        return answer if self.choices else f"{answer:,}" if isinstance(answer, int) else f"{answer:.3g}"


def sheet(name, exercises, results):
    """The exercises of an experiment in Markdown, the answers folded."""
    parts = []
    for number, exercise in enumerate(exercises, 1):
        kind = " · ".join(f"`{choice!r}`" for choice in exercise.choices or ()) or "a number"
        if exercise.within:
            kind += f", within {exercise.within:.0%}"
        parts.append(
            f"**{number}.** {exercise.question}\n\n`lab.grade({name!r}, {number}, …)`: {kind}\n\n"
            f"<details><summary>Predict first, then look</summary>\n\n**{exercise.shown(results)}.** {exercise.why}\n\n"
            "</details>"
        )
    return "\n\n".join(parts)


def fallen(module, config, replacements):
    """The claims of the checks that fail in fast mode with another configuration and other attributes of the module."""
    with ExitStack() as patches:
        for attribute, value in replacements.items():
            patches.enter_context(mock.patch.object(module, attribute, value))
        results = [module.run(config, seed) for seed in range(config["seeds"])]
        return [check.claim for check in module.check(results, "fast") if not check.holds]

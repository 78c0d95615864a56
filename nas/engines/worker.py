"""What a worker does with one trial, whoever runs it: the evaluators in turn, a step per result."""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from evaluators import Evaluator, Metrics
from nas.controller import Assignment
from nas.engines.checkpoints import Checkpoints

LARGEST_WHOLE = int(sys.float_info.max)
"""Greater whole numbers are no floats."""


@dataclass(frozen=True)
class Step:
    """One result of an evaluator, or the end of the trial: ``metrics`` None, ``error`` one line if it failed."""

    metrics: Metrics | None = None
    error: str | None = None
    traceback: str | None = None


def threads(cpus: float) -> int:
    """How many threads a trial with so many CPUs may use."""
    return max(1, math.floor(cpus))


def steps(
    assignment: Assignment, evaluators: Sequence[Evaluator], checkpoints: Checkpoints
) -> Generator[Step]:
    """Run the evaluators; the last step, and only that, has no metrics. Raises nothing an evaluator raises."""
    try:
        for number in range(assignment.skip, len(evaluators)):
            checkpoint = checkpoints.fetch(f"{assignment.trial}-{number}.pt")
            evaluate = evaluators[number].evaluate
            try:
                for metrics in evaluate(
                    assignment.arch, seed=assignment.seed, checkpoint=checkpoint
                ):
                    checkpoints.keep(checkpoint)
                    yield Step(checked(metrics, type(evaluators[number]).__name__))
            finally:
                # the worker may be given another trial now
                checkpoints.release(checkpoint)
        yield Step()
    # whatever a network does wrong ends its trial, not the search
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        yield Step(error=reason, traceback=traceback.format_exc())


def checked(metrics: object, evaluator: str) -> Metrics:
    """``metrics``, NumPy's scalars made Python's.

    Raises:
        TypeError: naming the first that is not what an evaluator may yield.
    """
    if not isinstance(metrics, dict):
        raise TypeError(
            f"{evaluator} yielded {metrics!r:.80}; a dict of metrics is needed"
        )
    plain = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in metrics.items()
    }
    for name, value in plain.items():
        needed = _needed(name, value)
        if needed:
            raise TypeError(
                f"{evaluator} yielded {name} = {value!r:.80}; {needed} is needed"
            )
    return plain


def _needed(name: object, value: object) -> str | None:
    """What should stand in the place of ``value``; None if it is right."""
    if not isinstance(name, str):
        return "a text as its name"
    if name == "epoch" and not (type(value) is int and value >= 1):
        return "a whole number of at least 1"
    fits = isinstance(value, float | str) or (
        isinstance(value, int) and abs(value) <= LARGEST_WHOLE
    )
    return None if fits else "a number or a text"

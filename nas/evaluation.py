"""What a worker does with one trial, whoever runs it: the evaluators in turn, a step per result."""

from __future__ import annotations

import math
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from evaluators import Evaluator, Metrics
from search_spaces import Arch

from .checkpoints import Checkpoints


@dataclass(frozen=True)
class Assignment:
    """Evaluate ``arch`` as ``trial``; the first ``skip`` evaluators are done, their numbers known."""

    trial: int
    arch: Arch
    seed: int
    skip: int = 0


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
            name = f"{assignment.trial}-{number}.pt"
            checkpoint = checkpoints.fetch(name)
            evaluate = evaluators[number].evaluate
            for metrics in evaluate(assignment.arch, seed=assignment.seed, checkpoint=checkpoint):
                checkpoints.keep(checkpoint)
                yield Step(checked(metrics, type(evaluators[number]).__name__))
        yield Step()
    except Exception as error:  # whatever a network does wrong ends its trial, not the search
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        yield Step(error=reason, traceback=traceback.format_exc())


def checked(metrics: Any, evaluator: str) -> Metrics:
    """``metrics`` if they are what an evaluator may yield, else ``TypeError`` naming the first that is not."""
    if not isinstance(metrics, dict):
        raise TypeError(f"{evaluator} yielded {metrics!r:.80}; a dict of metrics is needed")
    for name, value in metrics.items():
        if not isinstance(value, int | float | str):
            raise TypeError(f"{evaluator} yielded {name} = {value!r:.80}; a number or a text is needed")
    return metrics

"""What any way to choose the next network must do, and the simplest one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from nas.problem import Problem
from results.metrics import MetricValues
from search_spaces import Arch


@dataclass(frozen=True)
class Draw:
    """An architecture that a strategy came up with, or took on; ``ticket`` is the strategy's own."""

    arch: Arch
    ticket: Any = None


@dataclass(frozen=True)
class Outcome:
    """What came of a draw: ``complete``, ``stopped``, ``infeasible`` or ``failed``, and what was measured."""

    status: str
    metrics: MetricValues = field(default_factory=dict)


class Strategy(Protocol):
    """Proposes architectures and learns what they are worth."""

    def draw(self) -> Draw | None:
        """The next; None if there is no other."""

    def adopt(self, arch: Arch) -> Draw:
        """Take on an architecture that came from elsewhere as if it had been drawn."""

    def tell(self, draw: Draw, outcome: Outcome) -> None: ...


Sampler = Callable[[Problem], Strategy]
"""From a problem to a strategy for it."""


class RandomDraws:
    """Every architecture inside the cheap limits equally likely, none twice."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem = problem
        self._seed = seed

    @cached_property
    def _draws(self) -> Iterator[Arch]:
        """Begun at the first draw, and differently after a restart: what has been drawn is taken by then."""
        return self._problem.draws(
            # a restart with the same numbers would draw what is taken already
            np.random.default_rng([self._seed, len(self._problem.taken)])
        )

    def draw(self) -> Draw | None:
        arch = next(self._draws, None)
        return None if arch is None else Draw(arch)

    def adopt(self, arch: Arch) -> Draw:
        return Draw(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        """Nothing: random draws do not learn."""

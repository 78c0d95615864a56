"""What to try next: new networks, each once, inside the limits. Knows nothing of Ray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nas.problem import Problem
from nas.samplers.base import Draw, Outcome, RandomDraws, Sampler
from results.limits import Limit
from results.metrics import MetricValues
from results.objectives import Directions
from search_spaces import IMAGENET, Arch, SearchSpace, Task
from search_spaces.knobs import Knobs

REDRAWS = 5
"""Draws in a row that are of no use, after which the sampler gets a random new network to start from."""
DUPLICATES = 3
"""Proposals in a row that were measured before, after which it gets one too."""

ENDED_STATUSES = ("complete", "stopped", "infeasible", "failed")


@dataclass(frozen=True)
class Proposal:
    """Trial number ``trial`` is to evaluate ``arch``.

    With ``duplicate_of``, that trial has measured the same network to the end: its result stands for this one's,
    the sampler has been told, and nothing is left to run or tell. Without a ``seed`` it is the search's.
    """

    trial: int
    arch: Arch
    duplicate_of: int | None = None
    seed: int | None = None


class Proposing(Protocol):
    """Whoever hands out what is to be evaluated, and hears what came of it; ``Proposer`` is one."""

    @property
    def objectives(self) -> Mapping[str, str]: ...

    def knobs(self, arch: Arch) -> Knobs:
        """What a table shows of ``arch``, by name."""

    def ask(self) -> Proposal | None: ...

    def tell(self, trial: int, status: str, metrics: MetricValues) -> None: ...

    def replay(
        self, trial: int, arch: Arch, duplicate_of: int | None = None
    ) -> None: ...


@dataclass
class _Trial:
    """The trial that a network was handed out as, what the sampler keeps of it, and what came of it so far."""

    number: int
    draw: Draw
    outcome: Outcome | None = None


class Proposer:
    """Hands out architectures, each to be evaluated at most once, and learns from what they turn out to be worth.

    ``objectives`` map metrics to ``"max"`` or ``"min"``. ``sampler``: see ``make_sampler``; ``seed`` is for the
    random networks that it gets when it is stuck. Limits on ``macs``,
    ``flops``, ``params`` and ``activations`` (of ``complexity(arch, task)``) hold for all that is handed out; the
    sampler hears how far others were missed. ``start_from`` are handed out first.

    Raises:
        ValueError: if no architecture is inside the limits, one of ``start_from`` is outside limits or space, or
            the sampler cannot do several objectives.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Directions,
        sampler: Sampler,
        seed: int = 0,
        *,
        task: Task = IMAGENET,
        limits: Mapping[str, object] | None = None,
        start_from: Sequence[Arch] = (),
    ) -> None:
        self.space = space
        self.objectives: Directions = dict(objectives)
        self._trials: dict[int, _Trial] = {}
        self._by_arch: dict[str, _Trial] = {}
        self.problem = Problem(
            space,
            self.objectives,
            {name: Limit.of(limit) for name, limit in (limits or {}).items()},
            task,
            self._by_arch,
        )
        self._fresh = RandomDraws(self.problem, seed)
        if self.problem.cheap:  # is there any? else the user hears it now
            next(self.problem.draws(np.random.default_rng(seed)))
        self._strategy = sampler(self.problem)
        self._starts = list(start_from)
        self._next = self._duplicates = 0

    def ask(self) -> Proposal | None:
        """The next trial; None if the space (inside the limits) seems to hold no other network."""
        while self._starts:
            arch = self._starts.pop(0)
            if arch.id not in self._by_arch:
                return self._hand_out(self._strategy.adopt(arch))
        # a sampler that keeps proposing what is known is sent elsewhere
        for _ in range(REDRAWS if self._duplicates < DUPLICATES else 0):
            draw = self._strategy.draw()
            if draw is None:
                return None
            if proposal := self._judge(draw):
                return proposal
        fresh = self._fresh.draw()
        return (
            None if fresh is None else self._hand_out(self._strategy.adopt(fresh.arch))
        )

    def knobs(self, arch: Arch) -> Knobs:
        return self.space.params(arch)

    def _judge(self, draw: Draw) -> Proposal | None:
        """Hand out a draw that is new, or measured to the end; tell the sampler what is wrong with any other."""
        known = self._by_arch.get(draw.arch.id)
        if known is None:
            if self.problem.fits(draw.arch):
                return self._hand_out(draw)
            self._strategy.tell(
                draw, Outcome("infeasible", self.problem.costs(draw.arch))
            )
            return None
        # a sampler that waits for each of its draws must hear of this one too
        self._strategy.tell(draw, known.outcome or Outcome("failed"))
        if known.outcome is None or known.outcome.status != "complete":
            return None
        self._duplicates += 1
        return Proposal(self._number(), draw.arch, known.number)

    def _hand_out(self, draw: Draw) -> Proposal:
        self._duplicates = 0
        number = self._number()
        trial = _Trial(number, draw)
        self._trials[number] = trial
        self._by_arch[draw.arch.id] = trial
        return Proposal(number, draw.arch)

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    def tell(self, trial: int, status: str, metrics: MetricValues) -> None:
        """What came of a trial: ``complete``, ``stopped`` early, ``infeasible`` (outside a limit) or ``failed``.

        Raises:
            ValueError: for another status; if it is complete without a number for every objective.
            KeyError: if no such trial is under way.
        """
        if status not in ENDED_STATUSES:
            raise ValueError(
                f"trial {trial}: status must be one of {', '.join(ENDED_STATUSES)}, got {status!r}"
            )
        if status == "complete":
            for name in self.objectives:
                if not math.isfinite(metrics.get(name, math.nan)):
                    raise ValueError(
                        f"trial {trial} is complete without objective {name} ({metrics.get(name)})"
                    )
        told = self._trials.pop(trial)
        told.outcome = Outcome(status, dict(metrics))
        self._strategy.tell(told.draw, told.outcome)

    def replay(self, trial: int, arch: Arch, duplicate_of: int | None = None) -> None:
        """A trial of an earlier session, as if it had been asked for now; ``tell`` follows for finished ones.

        Trials come in the order of their numbers, of which some may be missing, before the first ``ask``.
        """
        # numbers may be missing where a log was damaged
        self._next = max(self._next, trial + 1)
        known = self._by_arch.get(arch.id)
        draw = self._strategy.adopt(arch)
        if known is None:
            self._trials[trial] = self._by_arch[arch.id] = _Trial(trial, draw)
        else:
            self._strategy.tell(draw, known.outcome or Outcome("failed"))

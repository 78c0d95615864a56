"""Whole searches in a simulated world: virtual workers, a virtual clock, a driver that is killed again and again.

A seed decides everything: the search, what its networks are worth, who is lost and when.
A driver lives until it is killed, before or after a commit; the next replays the log that is left.
``nas.testing.invariants`` says what must hold of the log; what holds of a living driver is checked here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from nas.budget import Budget, Plateau
from nas.controller import Assignment, Controller
from nas.problem import Problem
from nas.samplers.base import Draw, Outcome, Sampler
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.stopper.asha import Stopper, make_stopper
from nas.testing.invariants import ViolationError, check_history
from results import Event, MemoryLog, TrialStatus
from results.limits import Limit
from results.log.events import Content, SearchFinished, SearchStarted
from search_spaces import Arch, SearchSpace, get_space

_OBJECTIVES = {"accuracy": "max", "flops": "min"}
PRODUCES = (("flops",), ("latency_ms",), ("accuracy",))
SAMPLER_WEIGHTS = {"repeating": 28, "random": 9, "nsga2": 2, "evolution": 1}
"""How often each is drawn; the last two take most of the time."""
MANY_STEPS = 20_000
"""Steps after which a history is taken to stand still."""


class Killed(BaseException):
    """The driver is gone."""


class Repeating:
    """Draws at random with repetition, so that duplicates are frequent."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rng = random.Random(len(problem.taken))  # noqa: S311

    def draw(self) -> Draw:
        return Draw(self._rng.choice(_networks()))

    def adopt(self, arch: Arch) -> Draw:
        return Draw(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        """Nothing is learnt, but what a sampler may rely on is checked."""
        for name, value in outcome.metrics.items():
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                raise ViolationError(f"a sampler was told {name} = {value}")


@dataclass(frozen=True)
class World:
    """One search and what befalls it. ``kill``, ``lose``, ``fail``, ``diverge``, ``late``: chances per step.

    ``raises`` is how often its limits are raised when it is over. ``sampler`` and ``stopper`` make new ones for
    every driver.
    """

    sampler: Callable[[], Sampler]
    stopper: Callable[[], Stopper]
    budget: Budget
    limits: dict[str, Limit] = field(default_factory=dict)
    epochs: int = 4
    workers: int = 1
    raises: int = 0
    kill: float = 0.0
    lose: float = 0.0
    fail: float = 0.0
    diverge: float = 0.0
    late: float = 0.0

    @classmethod
    def draw(cls, rng: random.Random) -> World:
        """Any world, with a search that ends soon."""
        name = rng.choices(list(SAMPLER_WEIGHTS), list(SAMPLER_WEIGHTS.values()))[0]
        epochs, seed = rng.randint(1, 5), rng.randrange(100)
        options = {"first": 2, "surrogate": False} if name == "evolution" else {}
        stopper, stopping = (
            rng.choice([("none", {}), ("moasha", "stop"), ("moasha", "promote")]),
            {},
        )
        if stopper[1]:
            stopping = {"mode": stopper[1], "eta": rng.choice([2, 3])}
        return cls(
            sampler=lambda: (
                Repeating if name == "repeating" else make_sampler(name, seed, options)
            ),
            stopper=lambda: make_stopper(stopper[0], _OBJECTIVES, epochs, stopping),
            budget=Budget(
                trials=rng.randint(1, 7),
                hours=rng.choice([None, None, rng.uniform(0.1, 2.0)]),
                epochs=rng.choice([None, None, rng.randint(3, 20)]),
                plateau=rng.choice([None, None, None, Plateau(rng.randint(2, 4))]),
            ),
            limits=rng.choice(
                [{}, {"latency_ms": Limit(max=2.5)}, {"accuracy": Limit(min=0.2)}]
            ),
            epochs=epochs,
            workers=rng.randint(1, 8),
            raises=rng.randint(0, 2),
            kill=rng.choice([0.0, 0.02, 0.1, 0.4]),
            lose=rng.choice([0.0, 0.02, 0.2]),
            fail=rng.choice([0.0, 0.05]),
            diverge=rng.choice([0.0, 0.05]),
            late=rng.choice([0.0, 0.1]),
        )


@dataclass(frozen=True)
class History:
    """What came of a world: the log, how often the driver was killed, and how often limits were raised."""

    seed: int
    events: list[Event]
    kills: int
    raised: int


def simulate_history(seed: int, world: World | None = None) -> History:
    """Live through a world (by default one drawn from ``seed``) to its end, and check the whole log.

    Raises:
        ViolationError: with the seed, if an invariant does not hold.
    """
    rng = random.Random(seed)  # noqa: S311
    world = world or World.draw(rng)
    try:
        return _Life(seed, world, rng).history()
    except ViolationError as violation:
        raise ViolationError(
            f"seed {seed}: {violation}; again: python benchmarks/histories.py --seed {seed}"
        ) from violation


class _MortalLog(MemoryLog):
    """Kills its driver before or after a commit, by chance."""

    def __init__(
        self, events: list[Event], rng: random.Random, kill: float, clock: list[float]
    ) -> None:
        super().__init__(clock=lambda: clock[0])
        self.events, self._rng, self._kill = events, rng, kill

    def commit(self, contents: Sequence[Content]) -> list[Event]:
        fate = self._rng.random()
        if fate < self._kill / 2:
            raise Killed
        events = super().commit(contents)
        if fate < self._kill:
            raise Killed
        return events


class _Life:
    """A search from its first driver to its last."""

    def __init__(self, seed: int, world: World, rng: random.Random) -> None:
        self.seed, self.world, self.rng = seed, world, rng
        self.events: list[Event] = []
        self.clock = [1.7e9]
        self.kills = self.raised = self.steps = 0
        self.budget = world.budget

    def history(self) -> History:
        while True:
            try:
                controller = self._driver()
                self._drive(controller)
                controller.close()
                controller.commit(
                    SearchFinished(None, controller.reason or "interrupted")
                )
            except Killed:
                self.kills += 1
                continue
            check_history(self.events, self.budget.trials)
            if self.raised == self.world.raises:
                return History(self.seed, self.events, self.kills, self.raised)
            self.raised += 1
            self._raise_limits()

    def _driver(self) -> Controller:
        world = self.world
        log = _MortalLog(self.events, self.rng, world.kill, self.clock)
        controller = Controller(
            Proposer(_space(), _OBJECTIVES, world.sampler(), limits=world.limits),
            log,
            self.budget,
            stopper=world.stopper(),
            produces=PRODUCES,
            limits=world.limits,
            clock=lambda: self.clock[0],
        )
        controller.replay(list(self.events))
        controller.commit(SearchStarted(None, objectives=_OBJECTIVES))
        return controller

    def _raise_limits(self) -> None:
        budget = self.budget
        self.budget = replace(
            budget,
            trials=budget.trials and budget.trials + self.rng.randint(1, 4),
            hours=budget.hours and budget.hours + 1.0,
            epochs=budget.epochs and budget.epochs + 10,
            plateau=None,
        )

    def _drive(self, controller: Controller) -> None:
        busy: dict[int, Iterator[dict[str, Any]]] = {}
        while True:
            self.steps += 1
            self.clock[0] += self.rng.expovariate(1 / 20)
            if self.steps > MANY_STEPS:
                raise ViolationError("the search does not end")
            work = None
            if len(busy) < self.world.workers and (not busy or self.rng.random() < 0.5):
                work = controller.next()
                self._check_work(work, busy, controller)
            if work is not None:
                busy[work.trial] = self._evaluate(work)
            elif busy:
                self._step(controller, busy)
            elif controller.over:
                return
            else:
                raise ViolationError(
                    "nothing runs, nothing is handed out, and the search is not over"
                )
            if self.rng.random() < self.world.kill / 4:
                self._check_replay(controller)
                raise Killed

    def _step(
        self, controller: Controller, busy: dict[int, Iterator[dict[str, Any]]]
    ) -> None:
        """One worker gets on, by chance to its end."""
        world, trial = self.world, self.rng.choice(sorted(busy))
        fate = self.rng.random()
        if fate < world.lose:
            del busy[trial]
            controller.lost(trial, "the worker failed")
        elif fate < world.lose + world.fail:
            del busy[trial]
            controller.finish(trial, "the evaluator failed")
        else:
            metrics = next(busy[trial], None)
            if metrics is None or not controller.report(trial, metrics):
                del busy[trial]
            if metrics is None:
                controller.finish(trial)
        if controller.ended and self.rng.random() < world.late:
            self._report_late(controller)

    def _report_late(self, controller: Controller) -> None:
        before = len(self.events)
        trial = self.rng.choice(sorted(controller.ended))
        going = controller.report(trial, {"epoch": 99, "accuracy": 0.5})
        if going or len(self.events) != before:
            raise ViolationError(
                f"trial {trial} was over, and late news of it was taken in"
            )

    def _evaluate(self, work: Assignment) -> Iterator[dict[str, Any]]:
        """What the evaluators yield: epochs from the first on, as one that has a checkpoint tells them again."""
        knobs = _space().params(work.arch)
        worth = random.Random(repr(sorted(knobs.items())))  # noqa: S311
        metrics: list[dict[str, Any]] = [{"flops": worth.uniform(1e6, 1e9)}]
        metrics.append({"latency_ms": worth.uniform(1.0, 3.0)})
        best = worth.random()
        for part in metrics[work.skip :]:
            yield self._diverged(part)
        for epoch in range(1, self.world.epochs + 1):
            yield self._diverged(
                {"epoch": epoch, "accuracy": best * epoch / self.world.epochs}
            )

    def _diverged(self, metrics: dict[str, Any]) -> dict[str, Any]:
        if self.rng.random() >= self.world.diverge:
            return metrics
        wrong = self.rng.choice([math.nan, math.inf, "good"])
        return {
            name: value if name == "epoch" else wrong for name, value in metrics.items()
        }

    def _check_work(
        self,
        work: Assignment | None,
        busy: dict[int, Iterator[dict[str, Any]]],
        controller: Controller,
    ) -> None:
        if work is None:
            return
        if work.trial in busy:
            raise ViolationError(f"trial {work.trial} is on two workers")
        if controller.trials[work.trial].status is not TrialStatus.RUNNING:
            raise ViolationError(
                f"trial {work.trial} was handed out, {controller.trials[work.trial].status}"
            )

    def _check_replay(self, controller: Controller) -> None:
        """Whether a replay of the log equals the state that wrote it."""
        log = MemoryLog(self.events, clock=lambda: self.clock[0])
        again = Controller(
            Proposer(
                _space(), _OBJECTIVES, self.world.sampler(), limits=self.world.limits
            ),
            log,
            self.budget,
            stopper=self.world.stopper(),
            produces=PRODUCES,
            limits=self.world.limits,
        )
        again.replay(self.events)
        if len(log.events) != len(self.events):
            raise ViolationError(
                f"a replay had to decide {log.events[-1]}, which the driver had not"
            )
        for number, record in deepcopy(controller.trials).items():
            if record.status is TrialStatus.RUNNING:
                record.status = TrialStatus.INTERRUPTED
            if record != again.trials[number]:
                raise ViolationError(
                    f"trial {number} was {record}, and is {again.trials[number]} after a replay"
                )
        live, replayed = controller.spending, again.spending
        if (live.trials, live.epochs) != (replayed.trials, replayed.epochs):
            raise ViolationError("a replay counts other trials or epochs")
        promoted, expected = (
            list(iter(made.stopper.promote, None)) for made in (again, controller)
        )
        if promoted != expected:
            raise ViolationError(
                f"after a replay the stopper promotes {promoted}, and not {expected}"
            )


@cache
def _space() -> SearchSpace:
    """24 networks, so that some are drawn again and the space runs out."""
    narrow: dict[str, Any] = dict.fromkeys(("depth1", "depth2", "depth3", "depth4"), 1)
    narrow |= {
        "width1": 8,
        "width2": 8,
        "width3": 16,
        "width4": 16,
        "bottleneck_width": 64,
    }
    narrow |= {"stem_width": 8, "deep_stem": True, "avg_down": True, "avd": False}
    return get_space(
        "resnest",
        **narrow | {"radix": [1, 2, 4], "cardinality": [1, 2], "stem_width": [8, 16]},
    )


@cache
def _networks() -> list[Arch]:
    import numpy as np

    found: dict[str, Arch] = {}
    rng = np.random.default_rng(0)
    for _ in range(100):
        arch = _space().sample(rng)
        found[arch.id] = arch
    return [found[key] for key in sorted(found)]

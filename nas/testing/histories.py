"""Whole searches in a simulated world: virtual workers, a virtual clock, a driver that is killed again and again.

A seed decides everything: the search, what its networks are worth, who is lost and when.
A driver lives until it is killed, before or after a commit; the next replays the log that is left.
``nas.testing.invariants`` says what must hold of the log; what holds of a living driver is checked here.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from nas.controller import Assignment, Controller
from nas.samplers.proposer import Proposer
from nas.testing.invariants import ViolationError, check_history
from nas.testing.mortal_log import Killed, MortalLog
from nas.testing.world import PRODUCES, WORLD_OBJECTIVES, Told, World, small_space
from results import Event, MemoryLog, TrialStatus
from results.log.events import SearchFinished, SearchStarted
from results.log.record import TrialRecord

MANY_STEPS = 20_000
"""Steps after which a history is taken to stand still."""


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
    rng = random.Random(seed)  # noqa: S311 - no secret
    world = world or World.draw(rng)
    try:
        return _Life(seed, world, rng).history()
    except ViolationError as violation:
        raise ViolationError(
            f"seed {seed}: {violation}; again: python benchmarks/histories.py --seed {seed}"
        ) from violation


class _Life:
    """A search from its first driver to its last."""

    def __init__(self, seed: int, world: World, rng: random.Random) -> None:
        self.seed = seed
        self.world = world
        self.rng = rng
        self.events: list[Event] = []
        self.clock = [1.7e9]
        self.kills = self.raised = self.steps = 0
        self.budget = world.budget

    def history(self) -> History:
        while True:
            try:
                controller = self._driver()
                self._drive(controller)
                self._check_replay(controller)
                controller.close()
                reason = controller.reason or "interrupted"
                controller.commit(SearchFinished(None, reason))
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
        controller = self._controller(
            MortalLog(self.events, self.rng, world.kill, self.clock)
        )
        controller.replay(list(self.events))
        controller.commit(SearchStarted(None, objectives=WORLD_OBJECTIVES))
        return controller

    def _controller(self, log: MemoryLog) -> Controller:
        world = self.world
        return Controller(
            Proposer(
                small_space(), WORLD_OBJECTIVES, world.sampler(), limits=world.limits
            ),
            log,
            self.budget,
            stopper=Told(world.stopper()),
            produces=PRODUCES,
            limits=world.limits,
            clock=lambda: self.clock[0],
        )

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
        """From turn to turn of the engine, some of several steps, until nothing is left to do."""
        busy: dict[int, Iterator[dict[str, Any]]] = {}
        going = True
        while going:
            with controller.step():
                for _ in range(self.rng.randint(1, self.world.together)):
                    going = self._step(controller, busy)
                    if not going:
                        break
            # between two turns as well
            if self.rng.random() < self.world.kill / 4:
                self._check_replay(controller)
                raise Killed

    def _step(
        self, controller: Controller, busy: dict[int, Iterator[dict[str, object]]]
    ) -> bool:
        """A worker begins or gets on; False if the search is over."""
        self.steps += 1
        # 20 seconds a step on average, so that hours run out in some histories
        self.clock[0] += self.rng.expovariate(1 / 20)
        if self.steps > MANY_STEPS:
            raise ViolationError("the search does not end")
        work = None
        # with workers free, half of the steps begin something
        if len(busy) < self.world.workers and (not busy or self.rng.random() < 0.5):
            work = controller.next()
        if work is not None:
            self._check_work(work, busy, controller)
            busy[work.trial] = self._evaluate(work)
        elif busy:
            self._get_on(controller, busy)
        elif controller.over:
            return False
        else:
            raise ViolationError(
                "nothing runs, nothing is handed out, and the search is not over"
            )
        return True

    def _get_on(
        self, controller: Controller, busy: dict[int, Iterator[dict[str, object]]]
    ) -> None:
        """One worker gets on, by chance to its end."""
        world = self.world
        trial = self.rng.choice(sorted(busy))
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
        # a worker that was given up may still speak
        going = controller.report(trial, {"epoch": 99, "accuracy": 0.5})
        if going or len(self.events) != before:
            raise ViolationError(
                f"trial {trial} was over, and late news of it was taken in"
            )

    def _evaluate(self, work: Assignment) -> Iterator[dict[str, Any]]:
        """What the evaluators yield: epochs from the first on, as one that has a checkpoint tells them again."""
        knobs = small_space().params(work.arch)
        # by the knobs: a network is worth the same whoever trains it, in any order
        worth = random.Random(repr(sorted(knobs.items())))  # noqa: S311 - no secret
        metrics: list[dict[str, Any]] = [{"flops": worth.uniform(1e6, 1e9)}]
        metrics.append({"latency_ms": worth.uniform(1.0, 3.0)})
        best = worth.random()
        for part in metrics[work.skip :]:
            yield self._diverged(part)
        for epoch in range(1, self.world.epochs + 1):
            yield self._diverged(
                {"epoch": epoch, "accuracy": best * epoch / self.world.epochs}
            )

    def _diverged(self, metrics: dict[str, object]) -> dict[str, Any]:
        if self.rng.random() >= self.world.diverge:
            return metrics
        wrong = self.rng.choice([math.nan, math.inf, "good"])
        return {
            name: value if name == "epoch" else wrong for name, value in metrics.items()
        }

    def _check_work(
        self,
        work: Assignment,
        busy: dict[int, Iterator[dict[str, object]]],
        controller: Controller,
    ) -> None:
        if work.trial in busy:
            raise ViolationError(f"trial {work.trial} is on two workers")
        if controller.trials[work.trial].status is not TrialStatus.RUNNING:
            raise ViolationError(
                f"trial {work.trial} was handed out, {controller.trials[work.trial].status}"
            )

    def _check_replay(self, controller: Controller) -> None:
        """Whether a replay of the log equals the state that wrote it."""
        log = MemoryLog(self.events, clock=lambda: self.clock[0])
        again = self._controller(log)
        again.replay(self.events)
        if len(log.events) != len(self.events):
            raise ViolationError(
                f"a replay had to decide {log.events[-1]}, which the driver had not"
            )
        for number, record in controller.trials.items():
            _check_same(record, again.trials[number])
        live = controller.spending
        replayed = again.spending
        if (live.trials, live.epochs) != (replayed.trials, replayed.epochs):
            raise ViolationError("a replay counts other trials or epochs")
        _check_stopper(controller.stopper, again.stopper)


def _check_same(live: TrialRecord, replayed: TrialRecord) -> None:
    # to a replay nobody is at work any more
    if live.status is TrialStatus.RUNNING:
        live = replace(live, status=TrialStatus.INTERRUPTED)
    if live != replayed:
        raise ViolationError(
            f"trial {live.number} was {live}, and is {replayed} after a replay"
        )


def _check_stopper(live: Any, replayed: Any) -> None:
    for was, becomes in zip(live.told, replayed.told, strict=False):
        if was != becomes:
            raise ViolationError(
                f"a stopper was told {was}, and {becomes} in the replay"
            )
    if len(live.told) != len(replayed.told):
        raise ViolationError("a stopper was told more, or less, than in the replay")
    # asked until they have nobody left: this empties both
    expected, promoted = (list(iter(made.promote, None)) for made in (live, replayed))
    if promoted != expected:
        raise ViolationError(
            f"after a replay the stopper promotes {promoted}, and not {expected}"
        )

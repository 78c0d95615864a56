"""One search, step by step: what to run next, what came of it, and the log. It knows nothing of Ray.

Whoever runs trials (Ray Tune, one process) calls ``next``, ``report`` and ``finish`` or ``lost``. The event
log is the state: ``replay`` rebuilds everything from it, so a search goes on where it was killed.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.budget import Budget, Spending
from nas.limits import Limit
from nas.samplers.proposer import Proposal, Proposer
from nas.stopper.asha import Stopper
from results import Event, EventLog
from search_spaces import Arch, arch_from_dict

Listener = Callable[[str, int | None, Mapping[str, Any]], None]
"""Called with kind, trial and data of every event, once it is in the log."""
RETRIES = 2
"""How often a trial that lost its worker is given to another."""


@dataclass(frozen=True)
class Assignment:
    """Evaluate ``arch`` as ``trial``; the first ``skip`` evaluators are done, their numbers known."""

    trial: int
    arch: Arch
    seed: int
    skip: int = 0


@dataclass
class Trial:
    """What is known of a trial. ``status``: running, paused, interrupted, or how it ended."""

    arch: Arch
    status: str = "running"
    metrics: dict[str, Any] = field(default_factory=dict)
    epochs: int = 0
    losses: int = 0


class Controller:
    """Decides what runs and what stops, and logs all of it.

    A trial that breaks one of the ``limits`` ends there, ``infeasible``. ``produces`` names the metrics of each
    evaluator, in their order. ``exhausted`` tells whether the space ran out of new networks.
    """

    def __init__(
        self,
        proposer: Proposer,
        log: EventLog,
        budget: Budget,
        *,
        stopper: Stopper,
        seed: int = 0,
        produces: Sequence[Sequence[str]] = (),
        limits: Mapping[str, Limit] | None = None,
        reference_point: Mapping[str, float] | None = None,
        listeners: Sequence[Listener] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.proposer, self.log, self.stopper, self.listeners = proposer, log, stopper, listeners
        self.seed, self.limits = seed, dict(limits or {})
        self.spending = Spending(budget, proposer.objectives, reference_point)
        self.exhausted = False
        self.trials: dict[int, Trial] = {}
        self._produces = produces
        self._waiting: deque[int] = deque()
        self._running: set[int] = set()
        self._clock = clock
        self._last: float | None = None

    @property
    def started(self) -> bool:
        """Whether there is anything to keep: a trial has been proposed."""
        return bool(self.trials)

    @property
    def ended(self) -> dict[int, str]:
        """Status of every trial that is over."""
        open_ = ("running", "paused", "interrupted")
        return {number: trial.status for number, trial in self.trials.items() if trial.status not in open_}

    @property
    def over(self) -> bool:
        """Whether ``next`` will never again have anything, whatever becomes of the running trials."""
        if self._running:
            return False
        return self.spending.out_of_time or not (self._waiting or self._promoted() or not self._nothing_new())

    @property
    def reason(self) -> str | None:
        """Why nothing new is started; None if something could be."""
        return self.spending.spent or ("the space holds no further networks" if self.exhausted else None)

    def next(self) -> Assignment | None:
        """What to run now; None if there is nothing, for ever (``over``) or until a running trial gets on."""
        self._tick()
        if self.spending.out_of_time:
            return None
        if self._waiting or self._promoted():
            return self._start(self._waiting.popleft())
        while not self._nothing_new():
            proposal = self.proposer.ask()
            if proposal is None:
                self.exhausted = True
                return None
            self._propose(proposal)
            if proposal.duplicate_of is None:
                return self._start(proposal.trial)
        return None

    def report(self, trial: int, metrics: Mapping[str, Any]) -> bool:
        """Metrics of a running trial: those of an epoch if they say which, else a measurement.

        Returns whether it is to go on; if not, it has ended or been put aside.
        """
        self._tick()
        known, epoch = self.trials[trial], metrics.get("epoch")
        if epoch is not None and epoch < known.epochs:
            return True  # told again after an interruption
        if wrong := self._no_number(metrics):
            self._end(trial, "failed", wrong)
            return False
        if epoch is None or epoch > known.epochs:
            self.emit("measured" if epoch is None else "epoch", trial, **metrics)
            self._learn(known, metrics)
        if broken := self._broken_limit(known.metrics):
            self._end(trial, "infeasible", broken)
            return False
        if epoch is not None and self._decide(trial, epoch) != "continue":
            return False
        if self.spending.out_of_time:
            self._running.discard(trial)
            known.status = "interrupted"
            return False
        return True

    def finish(self, trial: int, error: str | None = None, **facts: Any) -> None:
        """The evaluators are through with a trial: complete, or failed with ``error``."""
        self._tick()
        if self.trials[trial].status == "running":
            error = error or self._unmeasured(trial)
            self._end(trial, "failed" if error else "complete", error, **facts)

    def lost(self, trial: int, reason: str, **facts: Any) -> None:
        """The worker of a trial is gone: another takes over from the last checkpoint, ``RETRIES`` times."""
        self._tick()
        known = self.trials[trial]
        if known.status != "running":
            return
        known.losses += 1
        if known.losses > RETRIES:
            self._end(trial, "failed", reason, **facts)
            return
        self.emit("lost", trial, reason=reason, **facts)
        known.status = "interrupted"
        self._running.discard(trial)
        self._waiting.append(trial)

    def close(self) -> None:
        """Trials put aside that nothing can promote any more are stopped; with more hours, some could be."""
        if self.spending.out_of_time:
            return
        for number, trial in self.trials.items():
            if trial.status == "paused":
                self._end(number, "stopped")

    def emit(self, kind: str, trial: int | None = None, **data: Any) -> None:
        self.log.append(kind, trial, **data)
        for listener in self.listeners:
            listener(kind, trial, data)

    def replay(self, events: Iterable[Event]) -> None:
        """Take in what an earlier run of this search logged; unfinished trials are the next to run.

        Raises:
            ValueError: naming the event that does not fit.
        """
        for event in events:
            try:
                self._replay(event)
            except (KeyError, TypeError, ValueError) as error:
                name = f"event {event.id} ({event.kind}, trial {event.trial})"
                raise ValueError(f"{name} cannot be replayed: {error}") from error
        self._last = None
        for number in sorted(self._running):
            self._waiting.append(number)
            self.trials[number].status = "interrupted"
        self._running.clear()

    def _replay(self, event: Event) -> None:
        if event.kind != "search_started" and self._last is not None:
            self.spending.seconds += event.time - self._last
        self._last = event.time
        if event.trial is None:
            return
        number, data = event.trial, event.data
        if event.kind == "proposed":
            arch = arch_from_dict(data["arch"])
            self.proposer.replay(number, arch, data.get("duplicate_of"))
            self._add(Proposal(number, arch, data.get("duplicate_of")))
            self._running.add(number)
            return
        trial = self.trials[number]
        if event.kind in ("measured", "epoch"):
            self._learn(trial, data)
            if event.kind == "epoch" and not self._broken_limit(trial.metrics):
                self.stopper.report(number, data["epoch"], trial.metrics)
        elif event.kind == "decision" and data["decision"] == "pause":
            self._running.discard(number)
            trial.status = "paused"
        elif event.kind == "promoted":
            self.stopper.promote()
            self._running.add(number)
            trial.status = "running"
        elif event.kind == "lost":
            trial.losses += 1
        elif event.kind == "finished":
            self._settle(number, data["status"])

    def _nothing_new(self) -> bool:
        return self.exhausted or self.spending.spent is not None

    def _promoted(self) -> bool:
        """Let the stopper send on a trial that was put aside; whether there is one waiting now."""
        trial = self.stopper.promote()
        if trial is None:
            return False
        self.emit("promoted", trial)
        self._waiting.append(trial)
        return True

    def _start(self, number: int) -> Assignment:
        trial = self.trials[number]
        trial.status = "running"
        self._running.add(number)
        return Assignment(number, trial.arch, self.seed, self._reached(trial))

    def _reached(self, trial: Trial) -> int:
        """The last evaluator that has yielded anything: those before it need not run again."""
        yielded = [
            i for i, names in enumerate(self._produces) if any(name in trial.metrics for name in names)
        ]
        return max(yielded, default=0)

    def _add(self, proposal: Proposal) -> None:
        self.trials[proposal.trial] = Trial(proposal.arch)
        self.spending.trials += proposal.duplicate_of is None

    def _propose(self, proposal: Proposal) -> None:
        arch, original = proposal.arch, proposal.duplicate_of
        self._add(proposal)
        self.emit(
            "proposed",
            proposal.trial,
            arch_id=arch.id,
            space=arch.space,
            arch=arch.to_dict(),
            knobs=self.proposer.space.params(arch),
            seed=self.seed,
            **({} if original is None else {"duplicate_of": original}),
        )
        if original is not None:
            self.emit("measured", proposal.trial, **self._answer(original))
            self._settle(proposal.trial, "duplicate")
            self.emit("finished", proposal.trial, status="duplicate", error=None)

    def _answer(self, original: int) -> dict[str, Any]:
        """What is known of the trial that measured the same network."""
        per_epoch = ("epoch", "seconds")
        return {k: v for k, v in self.trials[original].metrics.items() if k not in per_epoch}

    def _learn(self, trial: Trial, metrics: Mapping[str, Any]) -> None:
        trial.metrics |= metrics
        if "epoch" in metrics:
            trial.epochs = max(trial.epochs, metrics["epoch"])
            self.spending.epochs += 1

    def _decide(self, trial: int, epoch: int) -> str:
        decision = self.stopper.report(trial, epoch, self.trials[trial].metrics)
        if decision != "continue":
            self.emit("decision", trial, epoch=epoch, decision=decision)
        if decision == "stop":
            self._end(trial, "stopped")
        elif decision == "pause":
            self._running.discard(trial)
            self.trials[trial].status = "paused"
        return decision

    def _no_number(self, metrics: Mapping[str, Any]) -> str | None:
        """What is wrong with a text where a table needs a number: an objective, or a metric with a limit."""
        for name in (*self.proposer.objectives, *self.limits):
            if isinstance(metrics.get(name), str):
                return f"{name} must be a number, got {metrics[name]!r:.80}"
        return None

    def _broken_limit(self, metrics: Mapping[str, Any]) -> str | None:
        for name, limit in self.limits.items():
            value = metrics.get(name)
            if value is not None and limit.excess(value) > 0:
                return f"{name} {value:g} is outside the limit {limit}"
        return None

    def _end(self, trial: int, status: str, error: str | None = None, **facts: Any) -> None:
        self._settle(trial, status)
        self.emit("finished", trial, status=status, error=error, **facts)

    def _settle(self, number: int, status: str) -> None:
        """The trial is over: whoever learns from trials learns how."""
        trial = self.trials[number]
        trial.status = status
        self._running.discard(number)
        if status == "duplicate":
            return
        self.stopper.finish(number)
        self.proposer.tell(number, status, trial.metrics)
        if status == "complete":
            self.spending.complete([float(trial.metrics[name]) for name in self.proposer.objectives])

    def _tick(self) -> None:
        """Count the time worked."""
        now = self._clock()
        if self._last is not None:
            self.spending.seconds += now - self._last
        self._last = now

    def _unmeasured(self, trial: int) -> str | None:
        for name in self.proposer.objectives:
            value = self.trials[trial].metrics.get(name)
            if value is None or not math.isfinite(value):
                return f"objective {name} was not measured (got {value})"
        for name in self.limits:
            value = self.trials[trial].metrics.get(name, 0.0)
            if value is None or not math.isfinite(value):
                return f"{name}, which has a limit, was not measured (got {value})"
        return None

"""One search, step by step: what to run next, what came of it, and the log. It knows nothing of Ray.

Whoever runs trials (Ray Tune, one process) calls ``next``, ``report`` and ``finish`` or ``lost``.
All that a call decides is in the log when it returns, in one transaction; with ``step``, several calls share one.
``replay`` applies an earlier log in the same way: a search goes on where it was killed.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nas.budget import Budget
from nas.listeners import Listener, tell
from nas.samplers.proposer import Proposal, Proposing
from nas.search_state import SearchState
from nas.stopper.asha import Stopper
from results import Event, TrialStatus, strict_json
from results.limits import Limit
from results.log.event_log import Log
from results.log.events import (
    Content,
    EpochEnded,
    Finished,
    Lost,
    Measured,
    Promoted,
    Proposed,
)
from results.log.record import TrialRecord
from search_spaces import Arch, arch_from_dict

RETRIES = 2
"""How often a trial that lost its worker is given to another, until it gets on by an epoch."""
NO_MORE_NETWORKS = "the space holds no further networks"
"""The end of a search that has tried all there are: nothing is left to go on with."""


@dataclass(frozen=True)
class Assignment:
    """Evaluate ``arch`` as ``trial``; the first ``skip`` evaluators are done, their numbers known."""

    trial: int
    arch: Arch
    seed: int
    skip: int = 0


class Controller:
    """Decides what runs and what stops, and logs all of it.

    A trial that breaks one of the ``limits`` ends there, ``infeasible``. ``produces`` names the metrics of each
    evaluator, in their order. ``exhausted`` tells whether the space ran out of new networks. A listener that
    fails is no longer told, and the log says so. ``clock`` counts seconds.
    """

    def __init__(
        self,
        proposer: Proposing,
        log: Log,
        budget: Budget,
        *,
        stopper: Stopper,
        seed: int = 0,
        produces: Sequence[Sequence[str]] = (),
        limits: Mapping[str, Limit] | None = None,
        reference_point: Mapping[str, float] | None = None,
        listeners: Sequence[Listener] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.proposer, self.log, self.stopper = proposer, log, stopper
        self.listeners = list(listeners)
        self.state = SearchState(
            proposer, stopper, budget, limits or {}, reference_point
        )
        self.trials, self.spending = self.state.trials, self.state.spending
        self.seed, self.exhausted = seed, False
        self._produces = produces
        self._waiting: deque[int] = deque()
        self._running: set[int] = set()
        self._none_to_promote = False
        # events of a step that listeners have not heard of; None outside of steps
        self._untold: list[Event] | None = None
        self._clock = clock
        self._last: float | None = None

    # Questions: they change nothing.

    @property
    def started(self) -> bool:
        """Whether there is anything to keep: a trial has been proposed."""
        return bool(self.trials)

    @property
    def ended(self) -> dict[int, TrialStatus]:
        """Status of every trial that is over."""
        return {
            number: record.status
            for number, record in self.trials.items()
            if record.status.over
        }

    @property
    def over(self) -> bool:
        """Whether ``next`` will never again have anything; as long as trials are paused, ``next`` finds out."""
        if self._running:
            return False
        if self.spending.out_of_time:
            return True
        none_to_go_on = not self._waiting and (
            self._none_to_promote or not self.state.paused
        )
        return none_to_go_on and self._nothing_new()

    @property
    def reason(self) -> str | None:
        """Why nothing new is started; None if something could be."""
        return self.spending.spent or (NO_MORE_NETWORKS if self.exhausted else None)

    # Commands: what they decide is in the log when they return, or when the ``step`` around them ends.

    @contextmanager
    def step(self) -> Iterator[None]:
        """One transaction for all that is decided inside: a disk takes as long for many events as for one.

        Act on answers only after the block. Listeners are told then, too.

        Raises:
            OSError: where the disk refuses. The controller then knows more than its log, and is of no more use.
        """
        if self._untold is not None:  # the step around this one has a transaction
            yield
            return
        news = self._untold = []
        try:
            with self.log.transaction():
                yield
        finally:
            self._untold = None
        self._tell(news)

    def next(self) -> Assignment | None:
        """What to run now; None if there is nothing, for ever (``over``) or until a running trial gets on."""
        self._tick()
        if self.spending.out_of_time:
            return None
        if self._waiting:
            return self._start(self._waiting.popleft())
        promoted = self._promote()
        # before anything new: a paused trial has cost epochs already
        if promoted is not None:
            self.commit(Promoted(promoted))
            return self._start(promoted)
        # duplicates cost nothing, so ask until a proposal needs work
        while not self._nothing_new():
            proposal = self.proposer.ask()
            if proposal is None:
                self.exhausted = True
                return None
            self.commit(
                self._proposed(proposal),
                *self.state.duplicate(proposal.trial, proposal.duplicate_of),
            )
            if proposal.duplicate_of is None:
                return self._start(proposal.trial)
        return None

    def report(self, trial: int, metrics: Mapping[str, Any]) -> bool:
        """Metrics of a running trial: those of an epoch if they say which, else a measurement.

        Returns whether it is to go on; if not, it has ended or been put aside, be it long ago.
        """
        self._tick()
        record, epoch = self.trials[trial], metrics.get("epoch")
        if record.status is not TrialStatus.RUNNING:
            return False
        if epoch is not None and epoch <= record.reached:
            return True  # told again after an interruption
        if wrong := self.state.no_number(metrics):
            self.commit(Finished(trial, TrialStatus.FAILED, wrong))
            return False
        # What is decided on must be what a replay will read.
        known = json.loads(strict_json.dumps(metrics))
        others = {name: value for name, value in known.items() if name != "epoch"}
        news = EpochEnded(trial, epoch, others) if epoch else Measured(trial, known)
        self.commit(news, *self.state.verdict(trial, epoch, record.metrics | known))
        if record.status is TrialStatus.RUNNING and self.spending.out_of_time:
            self._interrupt(record)
        return record.status is TrialStatus.RUNNING

    def finish(self, trial: int, error: str | None = None, **facts: object) -> None:
        """The evaluators are through with a trial: complete, or failed with ``error``."""
        self._tick()
        record = self.trials[trial]
        if record.status is TrialStatus.RUNNING:
            error = error or self.state.unmeasured(record)
            status = TrialStatus.FAILED if error else TrialStatus.COMPLETE
            self.commit(Finished(trial, status, error, facts))

    def lost(self, trial: int, reason: str, **facts: object) -> None:
        """The worker of a trial is gone: another takes over from the last checkpoint.

        After ``RETRIES`` times without an epoch in between, the trial has failed.
        """
        self._tick()
        record = self.trials[trial]
        if record.status is not TrialStatus.RUNNING:
            return
        # a trial that kills its workers would go round for ever
        if record.losses == RETRIES:
            self.commit(Finished(trial, TrialStatus.FAILED, reason, facts))
            return
        self.commit(Lost(trial, reason, facts))
        self._waiting.append(trial)

    def close(self) -> None:
        """Trials put aside that nothing can promote any more are stopped; with more hours, some could be."""
        if not self.spending.out_of_time:
            self.commit(
                *(Finished(number, TrialStatus.STOPPED) for number in self.state.paused)
            )

    def commit(self, *contents: Content) -> None:
        """Log events in one transaction, then take them in and tell the listeners."""
        news = self.log.commit(contents) if contents else []
        for event in news:
            self.state.apply(event)
            if event.trial is not None:
                record = self.trials[event.trial]
                if record.proposal and record.proposal.duplicate_of is None:
                    self._none_to_promote = False  # of duplicates no stopper hears
                if record.status is not TrialStatus.RUNNING:
                    self._running.discard(event.trial)
        if self._untold is None:
            self._tell(news)
        else:
            self._untold += news

    def replay(self, events: Iterable[Event]) -> None:
        """Take in what an earlier run of this search logged; unfinished trials are the next to run.

        What an earlier version, or a damaged log, left half decided is decided now.

        Raises:
            ValueError: naming the event that does not fit.
        """
        for event in events:
            try:
                self.state.recall(event)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{event} cannot be replayed: {error}") from error
        self._last = None
        for number, contents in self.state.undecided.items():
            if not self.trials[number].status.over:
                self.commit(*contents)
        for number, record in sorted(self.trials.items()):
            if record.status in (TrialStatus.RUNNING, TrialStatus.INTERRUPTED):
                self._interrupt(record)
                self._waiting.append(number)

    def _tell(self, news: Sequence[Event]) -> None:
        for note in tell(self.listeners, news):
            self.commit(note)

    def _nothing_new(self) -> bool:
        return self.exhausted or self.spending.spent is not None

    def _promote(self) -> int | None:
        """The paused trial that the stopper sends on, if any."""
        while (trial := self.stopper.promote()) is not None:
            if self.trials[trial].status is TrialStatus.PAUSED:
                return trial
        self._none_to_promote = True
        return None

    def _start(self, number: int) -> Assignment:
        record = self.trials[number]
        record.status = TrialStatus.RUNNING
        self._running.add(number)
        told = record.proposal or Proposed(number)
        arch = arch_from_dict(dict(told.arch or {}))
        seed = self.seed if told.seed is None else told.seed
        return Assignment(number, arch, seed, self._skipped(record))

    def _interrupt(self, record: TrialRecord) -> None:
        self._running.discard(record.number)
        record.status = TrialStatus.INTERRUPTED

    def _skipped(self, record: TrialRecord) -> int:
        """The last evaluator that has yielded anything: those before it need not run again."""
        known = record.metrics.keys()
        yielded = [not known.isdisjoint(names) for names in self._produces]
        return max((i for i, some in enumerate(yielded) if some), default=0)

    def _proposed(self, proposal: Proposal) -> Proposed:
        arch = proposal.arch
        knobs = self.proposer.knobs(arch)
        seed = self.seed if proposal.seed is None else proposal.seed
        known = (arch.id, arch.space, arch.to_dict(), knobs, seed)
        return Proposed(proposal.trial, *known, proposal.duplicate_of)

    def _tick(self) -> None:
        """Count the time worked."""
        now = self._clock()
        if self._last is not None:
            self.spending.seconds += now - self._last
        self._last = now

"""What the events of a search amount to: trials, budget, and what sampler and stopper have learnt.

Live, ``verdict`` says what follows from news; all of it is logged, then ``apply`` takes it in.
In a replay, ``recall`` brings sampler and stopper to each event's point and applies it in the same way.
What should have followed the last events, and is not in the log, is kept in ``undecided``.
"""

from __future__ import annotations

from collections.abc import Mapping

from nas.budget import Budget, Spending
from nas.samplers.proposer import Proposing
from nas.stopper.asha import Stopper
from results import Event, TrialStatus
from results.limits import Limit
from results.log.events import (
    Content,
    Decided,
    EpochEnded,
    Finished,
    Measured,
    Promoted,
    Proposed,
    Retrained,
)
from results.log.record import TrialRecord
from results.metrics import CLOCKS, MetricValues
from search_spaces import arch_from_dict


class SearchState:
    """The state of a search, changed only by events.

    ``undecided`` maps trials to what a replayed log lacks: a driver of an earlier version was killed between two
    events of one decision, or the log is damaged.
    """

    def __init__(
        self,
        proposer: Proposing,
        stopper: Stopper,
        budget: Budget,
        limits: Mapping[str, Limit],
        reference_point: Mapping[str, float] | None,
    ) -> None:
        self.proposer = proposer
        self.stopper = stopper
        self.limits = dict(limits)
        self.spending = Spending(budget, proposer.objectives, reference_point)
        self.trials: dict[int, TrialRecord] = {}
        self.undecided: dict[int, list[Content]] = {}
        self._last: float | None = None

    def recall(self, event: Event) -> None:
        """Apply an event of an earlier run; ``KeyError``, ``TypeError`` or ``ValueError`` if it does not fit."""
        # what lies before a start is a pause, not work
        if event.kind != "search_started" and self._last is not None:
            self.spending.seconds += max(0.0, event.time - self._last)
        self._last = event.time
        content = event.content
        number = event.trial
        if content is None or number is None or isinstance(content, Retrained):
            return
        if isinstance(content, Proposed):
            self.proposer.replay(
                number, arch_from_dict(dict(content.arch or {})), content.duplicate_of
            )
        elif isinstance(content, Promoted):
            # with the same state it promotes the same trial as then
            self.stopper.promote()
        self.apply(event)
        self.undecided[number] = self._to_follow(content, self.trials[number])

    def _to_follow(self, content: Content, record: TrialRecord) -> list[Content]:
        """What must follow an event of a trial, as a decision that began before it or with it."""
        expected = self.undecided.get(record.number, [])
        match content:
            case Proposed(duplicate_of=original):
                return self.duplicate(record.number, original)
            case Measured() if (
                record.proposal and record.proposal.duplicate_of is not None
            ):
                # the copied measurement has come; its end is still to follow
                return expected[1:]
            case Measured():
                return self.verdict(record.number, None, record.metrics)
            case EpochEnded(epoch=epoch):
                return self.verdict(record.number, epoch, record.metrics)
            case Decided(decision="stop"):
                return [Finished(record.number, TrialStatus.STOPPED)]
        return []

    def apply(self, event: Event) -> None:
        """Take in an event that is in the log, now or in a replay."""
        content = event.content
        number = event.trial
        if content is None or number is None:
            return
        if isinstance(content, Proposed):
            self.trials.setdefault(number, TrialRecord(number))
            # a duplicate trains nothing, so it is free
            self.spending.trials += content.duplicate_of is None
        record = self.trials[number]
        record.apply(event)
        self.spending.epochs += isinstance(content, EpochEnded)
        if isinstance(content, Finished):
            self._settle(record)

    def _settle(self, record: TrialRecord) -> None:
        """The trial is over: whoever learns from trials learns how."""
        if record.status is TrialStatus.DUPLICATE:
            return
        measured = {
            name: value for name, value in record.metrics.items() if value is not None
        }
        self.stopper.finish(record.number)
        self.proposer.tell(record.number, record.status, measured)
        if record.status is TrialStatus.COMPLETE:
            self.spending.complete(
                [float(measured[name]) for name in self.proposer.objectives]
            )

    def duplicate(self, trial: int, original: int | None) -> list[Content]:
        """What follows the proposal of a network that was measured as trial ``original``."""
        if original is None:
            return []
        known = self.trials[original].metrics if original in self.trials else {}
        answer = {
            name: value
            for name, value in known.items()
            # the answer is another trial's, the time it took was not spent here
            if name not in ("epoch", *CLOCKS)
        }
        return [Measured(trial, answer), Finished(trial, TrialStatus.DUPLICATE)]

    def verdict(
        self, trial: int, epoch: int | None, metrics: MetricValues
    ) -> list[Content]:
        """What follows news of a trial, of which all the ``metrics`` are known now."""
        if broken := self._broken_limit(metrics):
            return [Finished(trial, TrialStatus.INFEASIBLE, broken)]
        decision = (
            "continue" if epoch is None else self.stopper.report(trial, epoch, metrics)
        )
        if decision == "continue":
            return []
        decided = Decided(trial, decision, epoch)
        return (
            [decided, Finished(trial, TrialStatus.STOPPED)]
            if decision == "stop"
            else [decided]
        )

    @property
    def paused(self) -> list[int]:
        """Trials that were put aside."""
        return [
            n
            for n, record in self.trials.items()
            if record.status is TrialStatus.PAUSED
        ]

    def no_number(self, metrics: MetricValues) -> str | None:
        """What is wrong with a text where a table needs a number: an objective, or a metric with a limit."""
        for name in (*self.proposer.objectives, *self.limits):
            if isinstance(metrics.get(name), str):
                return f"{name} must be a number, got {metrics[name]!r:.80}"
        return None

    def _broken_limit(self, metrics: MetricValues) -> str | None:
        for name, limit in self.limits.items():
            value = metrics.get(name)
            if value is not None and limit.excess(value) > 0:
                return f"{name} {value:g} is outside the limit {limit}"
        return None

    def unmeasured(self, record: TrialRecord) -> str | None:
        """Which metric the trial needed to be complete, and did not get."""
        for name in self.proposer.objectives:
            if record.metrics.get(name) is None:
                return f"objective {name} {_missing(name, record)}"
        for name in self.limits:
            if record.metrics.get(name, 0.0) is None:
                return f"{name}, which has a limit, {_missing(name, record)}"
        return None


def _missing(name: str, record: TrialRecord) -> str:
    return (
        "came out as no finite number" if name in record.metrics else "was not measured"
    )

"""What a log says of each trial: the one reading of events that controller, tables, views and status share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from results.log.events import (
    Decided,
    EpochEnded,
    Event,
    Finished,
    Lost,
    Measured,
    Promoted,
    Proposed,
    TrialStatus,
)


@dataclass
class TrialRecord:
    """One trial, as far as its events were applied.

    ``metrics`` are the latest values of everything, ``measured`` those that belong to no epoch. ``epochs`` has
    one entry per epoch, with its number under ``epoch``. Times are in seconds since 1970; ``losses`` counts the
    workers it lost since its last epoch.
    """

    number: int
    proposal: Proposed | None = None
    status: TrialStatus = TrialStatus.RUNNING
    error: str | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    losses: int = 0
    started: float | None = None
    finished: float | None = None

    @property
    def reached(self) -> int:
        """The last epoch that is known; 0 before the first."""
        return int(self.epochs[-1]["epoch"]) if self.epochs else 0

    def apply(self, event: Event) -> None:
        """Take in one event; kinds of a later version change nothing. Raises ``ValueError`` as ``content``."""
        match event.content:
            case Proposed() as proposal:
                self.proposal = proposal
                self.status = TrialStatus.RUNNING
                self.error = None
                self.finished = None
                # a trial that is proposed again (a damaged log) began when it first did
                self.started = event.time if self.started is None else self.started
            case Measured(metrics=metrics):
                self.measured |= metrics
                self.metrics |= metrics
            case EpochEnded(epoch=epoch, metrics=metrics):
                self._end_epoch({"epoch": epoch, **metrics})
            # "stop" needs nothing here: the trial is finished in the same transaction.
            case Decided(decision="pause"):
                self.status = TrialStatus.PAUSED
            case Promoted():
                self.status = TrialStatus.RUNNING
            case Lost():
                self.losses += 1
                self.status = TrialStatus.INTERRUPTED
            case Finished(status=status, error=error):
                self.status = status
                self.error = error
                self.finished = event.time

    def _end_epoch(self, metrics: dict[str, Any]) -> None:
        # Logs of old repeat the epochs after a checkpoint: the later account holds.
        while self.reached >= metrics["epoch"]:
            self.epochs.pop()
        self.epochs.append(metrics)
        self.metrics |= metrics
        self.status = TrialStatus.RUNNING
        # it gets on: nodes that are taken away again and again are no fault of the trial's
        self.losses = 0


def records(events: Iterable[Event]) -> dict[int, TrialRecord]:
    """The record of every trial, by number; ``ValueError`` names an event that is not whole."""
    found: dict[int, TrialRecord] = {}
    for event in events:
        if event.trial is not None and event.kind != "retrained":
            try:
                found.setdefault(event.trial, TrialRecord(event.trial)).apply(event)
            except ValueError as error:
                raise ValueError(f"{event} {error}") from error
    return dict(sorted(found.items()))

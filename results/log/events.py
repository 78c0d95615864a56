"""What an event is: every kind as a type, and how events of older versions of this program are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Self

from results import strict_json


class TrialStatus(StrEnum):
    """Where a trial stands; the first three are open, the others final."""

    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    COMPLETE = "complete"
    STOPPED = "stopped"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    DUPLICATE = "duplicate"

    @property
    def over(self) -> bool:
        """Whether nothing can happen to the trial any more."""
        return self not in (
            TrialStatus.RUNNING,
            TrialStatus.PAUSED,
            TrialStatus.INTERRUPTED,
        )


@dataclass(frozen=True)
class Content:
    """What an event says. Its fields are the event's keys; ``OPEN`` names the field that holds all others.

    ``trial`` is None for what concerns the whole search.
    """

    KIND: ClassVar[str]
    OPEN: ClassVar[str | None] = None
    trial: int | None

    @classmethod
    def read(cls, trial: int | None, data: Mapping[str, object]) -> Self:
        """From what the log holds; ``ValueError`` for a key that is missing, or a value that means nothing."""
        names = [
            entry.name for entry in fields(cls) if entry.name not in ("trial", cls.OPEN)
        ]
        known = {name: data[name] for name in names if name in data}
        if cls.OPEN:
            known[cls.OPEN] = {
                name: value for name, value in data.items() if name not in names
            }
        try:
            return cls(trial, **known)
        except TypeError as error:
            # a field with a default is an attribute of the class
            required = [name for name in names if not hasattr(cls, name)]
            lacking = ", ".join(repr(name) for name in required if name not in data)
            raise ValueError(f"lacks {lacking}" if lacking else str(error)) from error

    def data(self) -> dict[str, Any]:
        """As the log holds it: keys that say nothing are left out, except ``error``."""
        named = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        del named["trial"]
        others = named.pop(self.OPEN) if self.OPEN else {}
        return {
            key: value
            for key, value in named.items()
            if value is not None or key == "error"
        } | others


@dataclass(frozen=True)
class SearchStarted(Content):
    """A driver began to work, for the first time or again."""

    KIND = "search_started"
    config: Mapping[str, Any] = field(default_factory=dict)
    objectives: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchFinished(Content):
    """A driver ended its work, and why."""

    KIND = "search_finished"
    reason: str = "finished"


@dataclass(frozen=True)
class Noted(Content):
    """Something a person should know, which changes nothing of the search."""

    KIND = "note"
    text: str = ""


@dataclass(frozen=True)
class Proposed(Content):
    """A trial began; with ``duplicate_of``, that trial's measurements stand for its own."""

    KIND = "proposed"
    arch_id: str | None = None
    space: str | None = None
    arch: Mapping[str, Any] | None = None
    knobs: Mapping[str, Any] | None = None
    seed: int | None = None
    duplicate_of: int | None = None


@dataclass(frozen=True)
class Measured(Content):
    """Metrics that belong to no epoch."""

    KIND = "measured"
    OPEN = "metrics"
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochEnded(Content):
    """Metrics after an epoch, which counts from 1."""

    KIND = "epoch"
    OPEN = "metrics"
    epoch: int
    metrics: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if type(self.epoch) is not int:
            raise ValueError(f"has epoch {self.epoch!r}, which is no whole number")


@dataclass(frozen=True)
class Decided(Content):
    """The stopper did not let the trial go on after an epoch: ``decision`` is "stop" or "pause"."""

    KIND = "decision"
    decision: str
    epoch: int | None = None


@dataclass(frozen=True)
class Promoted(Content):
    """A paused trial is to go on."""

    KIND = "promoted"


@dataclass(frozen=True)
class Lost(Content):
    """The worker of a trial is gone; another is to go on from its last checkpoint."""

    KIND = "lost"
    OPEN = "facts"
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished(Content):
    """A trial is over; ``error`` says why, in one line, if it failed or broke a limit."""

    KIND = "finished"
    OPEN = "facts"
    status: TrialStatus
    error: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        status = TrialStatus(self.status)
        if not status.over:
            raise ValueError(
                f"has status {status}, which is not that of a trial that is over"
            )
        # The dataclass is frozen, and the log holds a plain text.
        object.__setattr__(self, "status", status)


@dataclass(frozen=True)
class Retrained(Content):
    """A network of the search was trained in full, with one seed, and tested."""

    KIND = "retrained"
    OPEN = "facts"
    facts: Mapping[str, Any] = field(default_factory=dict)


KINDS: dict[str, type[Content]] = {kind.KIND: kind for kind in Content.__subclasses__()}
"""The type of every kind of event, by its name in the log."""


@dataclass(frozen=True)
class Event:
    """One entry of the log. ``time`` is in seconds since 1970 (UTC); ``data`` holds JSON values."""

    id: int
    time: float
    kind: str
    trial: int | None
    data: dict[str, Any]

    @cached_property
    def content(self) -> Content | None:
        """What it says; None for a kind that this version does not know.

        Raises:
            ValueError: if it lacks what its kind needs.
        """
        kind = KINDS.get(self.kind)
        return kind.read(self.trial, self.data) if kind else None

    def __str__(self) -> str:
        return f"event {self.id} ({self.kind}, trial {self.trial})"


def encoded(content: Content) -> tuple[str, int | None, str]:
    """Kind, trial and data (strict JSON) of what is to be logged; ``TypeError`` for what JSON does not have."""
    return content.KIND, content.trial, strict_json.dumps(content.data())


def event_of(row: Iterable[Any]) -> Event:
    """The event in a row of the log; ``ValueError`` if it is none, as where bytes were overwritten."""
    number, when, kind, trial, text = row
    # a damaged page may hold anything in a column, whatever its type
    data = json.loads(text) if isinstance(text, str) else None
    if not (
        isinstance(when, float) and isinstance(kind, str) and isinstance(data, dict)
    ):
        raise ValueError(f"event {number} is not whole")
    if not (trial is None or isinstance(trial, int)):
        raise ValueError(f"event {number} is of trial {trial!r}, which is no number")
    return Event(number, when, kind, trial, data)


Lift = Callable[[Event], Event]
"""Turns an event of one schema version into what the next would have written."""

LIFTS: tuple[Lift, ...] = ()
"""From version 1 to 2, from 2 to 3, …: a change of what events mean appends its lift here.

A new kind of event, or a new key that may be missing, needs none.
"""

SCHEMA_VERSION = len(LIFTS) + 1


def lift(
    events: Iterable[Event], version: int, lifts: Sequence[Lift] = LIFTS
) -> Iterator[Event]:
    """Events written in ``version``, as the newest version would have written them."""
    for event in events:
        # lifts[0] turns version 1 into 2
        for step in lifts[version - 1 :]:
            event = step(event)
        yield event

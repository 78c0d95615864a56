"""What holds of every search, however often its driver was killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from results import Event, TrialStatus
from results.log.events import (
    Decided,
    EpochEnded,
    Finished,
    Lost,
    Measured,
    Promoted,
    Proposed,
    SearchFinished,
)
from results.log.record import TrialRecord, records


class ViolationError(AssertionError):
    """A search did what none may do."""


def check_history(events: Sequence[Event], asked: int | None) -> None:
    """Check the log of a search for at most ``asked`` trials (None: any number) from its first event to its last.

    Raises:
        ViolationError: naming the first event after which something is wrong.
    """
    known: dict[int, TrialRecord] = {}
    for event in events:
        if event.trial is None:
            if isinstance(event.content, SearchFinished):
                _check_end(event, known.values())
            continue
        record = known.setdefault(event.trial, TrialRecord(event.trial))
        if wrong := _wrong(event, record):
            raise ViolationError(f"{event}: {wrong}")
        record.apply(event)
    _check_networks(known, asked)


def check_log(events: Iterable[Event]) -> None:
    """Check only what holds of a log that was cut off anywhere: each trial begins and ends once."""
    events = list(events)
    for kind in ("proposed", "finished"):
        often = Counter(event.trial for event in events if event.kind == kind)
        twice = [trial for trial, count in often.items() if count > 1]
        if twice:
            raise ViolationError(f"trials {twice} are {kind} more than once")
    records(events)


def _wrong(event: Event, record: TrialRecord) -> str | None:
    """What the event may not do to its trial, in the state it is in."""
    content = event.content
    status = record.status
    # the first event of a trial, and only that
    if isinstance(content, Proposed):
        return "proposed twice" if record.proposal else None
    if record.proposal is None:
        return "never proposed"
    if status.over:
        return f"its trial was over, {status}"
    match content:
        case EpochEnded(epoch=epoch) if epoch != record.reached + 1:
            return f"epoch {epoch} after epoch {record.reached}"
        case EpochEnded() | Measured() | Decided() | Lost() if (
            status is TrialStatus.PAUSED
        ):
            return "its trial was put aside"
        case Promoted() if status is not TrialStatus.PAUSED:
            return f"its trial was not put aside, but {status}"
        case Finished(status=TrialStatus.DUPLICATE) if (
            record.proposal.duplicate_of is None
        ):
            return "it repeats no trial"
    return None


def _check_end(event: Event, known: Iterable[TrialRecord]) -> None:
    """A search that is over leaves nothing open; out of hours or interrupted, it does."""
    reason = str(event.data.get("reason"))
    if reason == "interrupted" or reason.endswith("hours worked"):
        return
    # paused ones too: close() has stopped them
    still_open = [record.number for record in known if not record.status.over]
    if still_open:
        raise ViolationError(
            f"{event}: trials {still_open} are still open, and the search ended: {reason}"
        )


def _check_networks(known: dict[int, TrialRecord], asked: int | None) -> None:
    """No more networks than asked for, none trained to its end twice, duplicates answered by their own network."""
    trials = [record for record in known.values() if record.proposal]
    new = [
        record
        for record in trials
        if record.proposal and record.proposal.duplicate_of is None
    ]
    # duplicates aside, a network is trained once
    often = Counter(record.proposal.arch_id for record in new if record.proposal)
    twice = [arch for arch, count in often.items() if count > 1]
    if twice:
        raise ViolationError(f"networks {twice} were trained by more than one trial")
    if asked is not None and len(new) > asked:
        raise ViolationError(f"{len(new)} trials were begun, {asked} asked for")
    for record in trials:
        _check_answer(record, known)


def _check_answer(record: TrialRecord, known: dict[int, TrialRecord]) -> None:
    """A duplicate is answered by a complete trial of the same network."""
    original = record.proposal.duplicate_of if record.proposal else None
    if original is None or record.proposal is None:
        return
    answer = known[original]
    asked = record.proposal
    given = answer.proposal
    same = given is not None and given.arch_id == asked.arch_id
    if not (same and answer.status is TrialStatus.COMPLETE):
        raise ViolationError(
            f"trial {record.number} is answered by trial {original}, which is {answer.status}"
        )

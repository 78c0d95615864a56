"""How a search is doing, read from its event log alone: from any terminal or node that sees the folder."""

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from results.log.events import Event, TrialStatus
from results.log.record import records
from results.log.salvage import surviving_events
from results.runs.loading import load_run
from results.runs.run import Run

QUIET_SECONDS = 180.0
"""Seconds without an event that are nothing unusual in any search."""


@dataclass(frozen=True)
class Status:
    """``counts`` by outcome, ``paused`` among them; ``running`` holds rows of the trials table.

    ``left`` names what remains of each limit (trials, hours, epochs); ``share`` is how much of the nearest one is
    used up, and ``seconds_left`` extends the pace so far; both are None where nothing tells. ``age`` is the
    seconds since the last event, ``silent`` whether that is far longer than this search ever was.
    """

    run: Run
    counts: dict[str, int]
    running: list[dict[str, Any]]
    front: int
    hypervolume: float | None
    left: dict[str, float]
    share: float | None
    seconds_left: float | None
    age: float
    longest_pause: float

    @property
    def done(self) -> int:
        """Trials that are over, without those answered from the log."""
        return sum(
            n
            for name, n in self.counts.items()
            if name not in ("running", "paused", "duplicate")
        )

    @property
    def silent(self) -> bool:
        return self.run.ended is None and self.age > max(
            QUIET_SECONDS, 3 * self.longest_pause
        )


def read_status(folder: str | Path, now: float | None = None) -> Status:
    """The status of the run in ``folder`` at the time ``now`` (seconds since 1970; default: the clock's).

    Raises ``ValueError`` as ``load_run``.
    """
    with warnings.catch_warnings():
        # of a damaged log, which ``run.damage`` names
        warnings.simplefilter("ignore", UserWarning)
        run = load_run(folder)
    events, _ = surviving_events(run.path / "events.db")
    now = time.time() if now is None else now
    age = now - events[-1].time
    return _status(run, events, age=max(0.0, age))


def _status(run: Run, events: Sequence[Event], age: float) -> Status:
    running, counts = _counted(run, events)
    left, share = _budget(run, counts)
    none = run.no_front or run.complete.empty or not run.objectives
    pace_known = share and not run.ended
    return Status(
        run=run,
        counts={name: count for name, count in counts.items() if count},
        running=running,
        front=len(run.comparable_front()),
        hypervolume=None if none else run.hypervolume(),
        left=left,
        share=share,
        seconds_left=run.seconds * (1 - share) / share
        if share and pace_known
        else None,
        age=age,
        longest_pause=_longest_pause(events),
    )


def _counted(
    run: Run, events: Sequence[Event]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The rows of the trials at work, and how many there are of each outcome."""
    # The table calls paused trials running, since they are not over.
    paused = [
        number
        for number, record in records(events).items()
        if record.status is TrialStatus.PAUSED
    ]
    unfinished = run.trials[run.trials["status"] == "running"]
    waits = unfinished["trial"].isin(paused)
    running = unfinished[~waits].to_dict("records")
    outcomes = run.trials["status"].value_counts()
    counts = {str(name): int(count) for name, count in outcomes.items()}
    counts |= {"running": len(running), "paused": len(unfinished) - len(running)}
    return [{str(name): row[name] for name in row} for row in running], counts


def _longest_pause(events: Sequence[Event]) -> float:
    """Seconds between two events, without those in which nobody searched."""
    # what lies before a start is time in which nobody searched
    pauses = (
        after.time - before.time
        for before, after in pairwise(events)
        if after.kind not in ("search_started", "retrained")
    )
    return max(pauses, default=0.0)


def _budget(
    run: Run, counts: Mapping[str, int]
) -> tuple[dict[str, float], float | None]:
    """What is left of each limit, and the used share of the one nearest to its end."""
    stop = run.config.get("stop") or {}
    limits = {"trials": run.config.get("trials")}
    limits |= {name: stop.get(name) for name in ("hours", "epochs")}
    known = {name: float(limit) for name, limit in limits.items() if limit}
    # Duplicates cost nothing: a search does not count them.
    open_trials = counts["running"] + counts["paused"]
    over = len(run.trials) - open_trials - counts.get("duplicate", 0)
    used = {
        "trials": float(over),
        "hours": run.seconds / 3600,
        "epochs": float(run.trials["epochs"].sum()),
    }
    left = {name: max(0.0, limit - used[name]) for name, limit in known.items()}
    # Trials under way are used in part, but there is one less to begin only once they are over.
    used["trials"] += _begun(run)
    shares = [min(1.0, used[name] / limit) for name, limit in known.items()]
    return left, max(shares) if shares else None


def _begun(run: Run) -> float:
    """The trials under way, each as the share of its epochs that are done."""
    epochs = (run.config.get("training") or {}).get("epochs")
    running = run.trials.loc[run.trials["status"] == "running", "epochs"]
    return float(running.sum() / epochs) if epochs else 0.0

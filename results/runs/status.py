"""How a search is doing, read from its event log alone: from any terminal or node that sees the folder."""

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from results.log.events import TrialStatus
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
    paused = [
        n
        for n, record in records(events).items()
        if record.status is TrialStatus.PAUSED
    ]
    unfinished = run.trials[run.trials["status"] == "running"]
    running = unfinished[~unfinished["trial"].isin(paused)].to_dict("records")
    counts = {
        str(name): int(count)
        for name, count in run.trials["status"].value_counts().items()
    }
    counts |= {"running": len(running), "paused": len(unfinished) - len(running)}
    left, share = _budget(run, counts)
    pauses = [
        b.time - a.time
        for a, b in pairwise(events)
        if b.kind not in ("search_started", "retrained")
    ]
    return Status(
        run=run,
        counts={name: count for name, count in counts.items() if count},
        running=[{str(name): value for name, value in row.items()} for row in running],
        front=len(run.comparable_front()),
        hypervolume=None
        if run.no_front or run.complete.empty or not run.objectives
        else run.hypervolume(),
        left=left,
        share=share,
        seconds_left=run.seconds * (1 - share) / share
        if share and not run.ended
        else None,
        age=max(0.0, (time.time() if now is None else now) - events[-1].time),
        longest_pause=max(pauses, default=0.0),
    )


def _budget(
    run: Run, counts: Mapping[str, int]
) -> tuple[dict[str, float], float | None]:
    """What is left of each limit, and the used share of the one nearest to its end."""
    stop = run.config.get("stop") or {}
    epochs = int(run.trials["epochs"].sum())
    per_trial = (run.config.get("training") or {}).get("epochs")
    over = (
        len(run.trials)
        - counts["running"]
        - counts["paused"]
        - counts.get("duplicate", 0)
    )
    begun = (
        run.trials.loc[run.trials["status"] == "running", "epochs"].sum() / per_trial
        if per_trial
        else 0.0
    )
    used = {
        "trials": over + float(begun),
        "hours": run.seconds / 3600,
        "epochs": float(epochs),
    }
    limits = {
        "trials": run.config.get("trials"),
        "hours": stop.get("hours"),
        "epochs": stop.get("epochs"),
    }
    known = {name: float(limit) for name, limit in limits.items() if limit}
    left = {
        name: max(0.0, limit - (over if name == "trials" else used[name]))
        for name, limit in known.items()
    }
    shares = [min(1.0, used[name] / limit) for name, limit in known.items()]
    return left, max(shares) if shares else None

"""A wall clock that jumps by years, in the middle of a search."""

from __future__ import annotations

import time
from itertools import cycle
from pathlib import Path

import pytest

from nas import SearchConfig, resume, search
from nas.config.schema import StopConfig
from results.log.event_log import read_events
from results.runs.status import read_status

YEARS = 3e8


def test_a_clock_that_jumps_upsets_neither_the_order_of_events_nor_the_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, jumps = time.time, cycle([0.0, -YEARS, YEARS, 0.0, YEARS])
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    config = SearchConfig(
        objectives={"flops": "min", "params": "min"},
        evaluators=("complexity",),
        trials=8,
        stop=StopConfig(hours=1),
        engine="serial",
    )
    assert search(config, tmp_path / "run").ended == "8 trials done"
    for trials in (12, 16):
        run = resume(tmp_path / "run", [f"trials={trials}"])
        assert run.ended == f"{trials} trials done"
    assert run.seconds < 600
    assert run.trials["seconds"].max() < 600
    times = [event.time for event in read_events(tmp_path / "run" / "events.db")]
    assert times == sorted(times)
    assert read_status(tmp_path / "run").done == 16

"""Searches of every status, recorded in today's format, are replayed to the same decisions by every later version.

``python -m tests.nas.test_recorded_logs`` records them anew, for a new version of the format.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nas.budget import Budget
from nas.controller import Controller
from nas.samplers.proposer import Proposer
from nas.stopper.asha import make_stopper
from nas.testing import World, check_history, simulate_history
from nas.testing.world import PRODUCES, WORLD_OBJECTIVES, Repeating, small_space
from results import Event, EventLog, TrialStatus
from results.limits import Limit
from results.log.event_log import read_events

RECORDED = Path(__file__).parent / "recorded"
EPOCHS, TRIALS = 4, 10
LIMITS = {"latency_ms": Limit(max=2.5)}
MODES = ("stop", "promote")


def controller(log: EventLog, mode: str) -> Controller:
    proposer = Proposer(small_space(), WORLD_OBJECTIVES, Repeating, limits=LIMITS)
    return Controller(
        proposer,
        log,
        Budget(trials=TRIALS),
        stopper=stopper(mode),
        produces=PRODUCES,
        limits=LIMITS,
    )


def stopper(mode: str) -> Any:
    options = {"mode": mode, "eta": 2}
    return make_stopper("moasha", WORLD_OBJECTIVES, EPOCHS, options)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(tmp_path: Path, mode: str) -> Path:
    """The recorded log as a file."""
    rows = json.loads((RECORDED / f"{mode}.json").read_text())
    with EventLog(tmp_path / "events.db") as log:
        log.restore([Event(*row) for row in rows])
    return tmp_path / "events.db"


def test_it_holds_every_kind_and_every_end(path: Path, mode: str) -> None:
    events = read_events(path)
    ends = {event.data["status"] for event in events if event.kind == "finished"}
    assert ends == {status.value for status in TrialStatus if status.over}
    kinds = Counter(event.kind for event in events)
    assert kinds["lost"]
    assert kinds["decision"]
    assert bool(kinds["promoted"]) == (mode == "promote")


def test_a_replay_decides_as_the_recorded_search_did(path: Path, mode: str) -> None:
    events = read_events(path)
    with EventLog(path) as log:
        state = controller(log, mode).state
    for event in events:
        number = -1 if event.trial is None else event.trial
        expected = state.undecided.get(number, [])
        if expected:
            assert (event.kind, event.data) == (expected[0].KIND, expected[0].data())
        state.recall(event)
    assert not any(state.undecided.values())


def test_a_search_goes_on_from_wherever_it_ends(path: Path, mode: str) -> None:
    events = read_events(path)
    for cut in range(1, len(events), 7):
        part = path.with_name(f"{cut}.db")
        with EventLog(part) as log:
            log.restore(events[:cut])
            made = controller(log, mode)
            made.replay(log)
            work = [assignment.trial for assignment in iter(made.next, None)]
            assert len(set(work)) == len(work)
        check_history(read_events(part), TRIALS)


def record() -> None:
    """The first seed of each mode in whose history everything happens."""
    for mode in MODES:
        world = World(
            sampler=lambda: Repeating,
            stopper=lambda mode=mode: stopper(mode),  # type: ignore[misc]
            budget=Budget(trials=TRIALS),
            limits=LIMITS,
            epochs=EPOCHS,
            workers=3,
            kill=0.02,
            lose=0.03,
            fail=0.02,
            diverge=0.02,
        )
        wanted = {status.value for status in TrialStatus if status.over}
        for seed in range(1000):
            events = simulate_history(seed, world).events
            ends = {e.data["status"] for e in events if e.kind == "finished"}
            if ends == wanted and any(event.kind == "lost" for event in events):
                break
        rows = [[e.id, e.time, e.kind, e.trial, e.data] for e in events]
        lines = ",\n".join(json.dumps(row, sort_keys=True) for row in rows)
        (RECORDED / f"{mode}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    record()

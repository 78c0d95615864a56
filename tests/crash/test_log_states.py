"""The event log after a power loss at any moment: it opens, and holds every event that was acknowledged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from results import Event, EventLog
from results.log.event_log import read_events
from results.log.events import EpochEnded, Noted
from tests.crash.recording_vfs import Files, Operation, crash_states, recorded


class Recording:
    """A log that is written: its operations, and how many events were acknowledged after how many of them."""

    def __init__(self, folder: Path, seed: int, patch: pytest.MonkeyPatch) -> None:
        rng = random.Random(seed)  # noqa: S311 - no secret
        self.acknowledged = [(0, 0)]
        folder.mkdir()
        with recorded(patch) as self.operations, EventLog(folder / "events.db") as log:
            self._mark(0)
            for _ in range(rng.randint(2, 5)):
                self._write(log, rng)
        self.events = read_events(folder / "events.db")

    def _write(self, log: EventLog, rng: random.Random) -> None:
        """A commit, or a step of several; now and then one that needs more pages."""
        with log.transaction():
            for _ in range(rng.randint(1, 3)):
                text = "x" * rng.choice([10, 10, 10, 9_000])
                epoch = EpochEnded(rng.randrange(9), 1, {"accuracy": rng.random()})
                log.commit([epoch, Noted(None, text)][: rng.randint(1, 2)])
        self._mark(len(list(log)))

    def _mark(self, events: int) -> None:
        self.acknowledged.append((len(self.operations), events))

    def states(self) -> Iterator[tuple[Files, int]]:
        """Every crash state after every operation, and how many events were acknowledged by then."""
        for done in range(len(self.operations) + 1):
            certain = max(
                events for place, events in self.acknowledged if place <= done
            )
            for files in crash_states(self.operations[:done]):
                yield files, certain

    def check(self, folder: Path, files: Files, certain: int) -> None:
        """Open what is left as the next driver would, and go on."""
        for old in folder.iterdir():
            old.unlink()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        path = folder / "events.db"
        if certain:
            assert self._kept(read_events(path)) >= certain
        with EventLog(path) as log:
            assert self._kept(list(log)) >= certain
            log.commit([Noted(None, "and on")])
        assert read_events(path)[-1].data["text"] == "and on"

    def _kept(self, events: list[Event]) -> int:
        """How many are left: those up to the end of a step, in order."""
        assert events == self.events[: len(events)]
        assert len(events) in {count for _, count in self.acknowledged}
        return len(events)


def survive(
    tmp_path: Path, seed: int, patch: pytest.MonkeyPatch, every: int = 1
) -> int:
    """Try the crash states of one recorded log, of which every so many; how many were tried."""
    recording = Recording(tmp_path / f"run{seed}", seed, patch)
    left = tmp_path / f"left{seed}"
    left.mkdir()
    tried = 0
    for place, (files, certain) in enumerate(recording.states()):
        if place % every == 0:
            recording.check(left, files, certain)
            tried += 1
    return tried


@pytest.mark.parametrize("seed", range(2))
def test_no_power_loss_takes_an_acknowledged_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    assert survive(tmp_path, seed, monkeypatch, every=8) > 30


@pytest.mark.slow
def test_nor_does_one_in_any_state_of_two_hundred_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``pytest -s`` shows the figure."""
    tried = sum(survive(tmp_path, seed, monkeypatch) for seed in range(200))
    print(f"\n200 recorded logs, {tried} crash states, 0 events lost")


def test_a_log_that_syncs_too_little_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventLog, "_prepare", unsynced(EventLog._prepare))
    with pytest.raises((AssertionError, ValueError, OSError)):
        survive(tmp_path, 0, monkeypatch)


def unsynced(prepare):
    def careless(self):
        newest = prepare(self)
        self._connection.execute("PRAGMA synchronous = OFF")
        return newest

    return careless


def test_what_is_synced_is_certain_and_the_rest_is_not() -> None:
    first = Operation("write", "a", 0, b"1234")
    told = [Operation("create", "a"), first, Operation("sync", "a")]
    assert list(crash_states(told)) == [{"a": b"1234"}]
    states = list(crash_states([*told, Operation("write", "a", 2, b"abcd")]))
    assert sorted(state["a"] for state in states) == [b"1234", b"12ab", b"12abcd"]

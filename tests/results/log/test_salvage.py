import os
import sqlite3

import pytest

from results import Event, EventLog, load_run
from results.log.event_log import read_events
from results.log.events import lift
from results.log.salvage import mend, surviving_events


@pytest.fixture
def whole(tmp_path):
    """A log of 401 events on some 60 pages, one of them too large for a page."""
    path = tmp_path / "events.db"
    EventLog(path).close()
    objectives = '{"objectives": {"accuracy": "max"}, "config": {}}'
    rows = [(1.0, "search_started", None, objectives)]
    for trial in range(200):
        note = "x" * (9000 if trial == 100 else 300)
        rows.append(
            (
                2.0 + trial,
                "epoch",
                trial,
                f'{{"epoch": 1, "accuracy": 0.5, "note": "{note}"}}',
            )
        )
        rows.append((2.5 + trial, "finished", trial, '{"status": "complete"}'))
    with sqlite3.connect(path) as connection:
        connection.executemany(
            "INSERT INTO events (time, kind, trial, data) VALUES (?, ?, ?, ?)", rows
        )
    connection.close()
    return path


def test_of_a_log_cut_off_the_beginning_survives(whole):
    events = read_events(whole)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    left, damage = surviving_events(whole)
    assert 100 < len(left) < 300
    assert all(event in events for event in left)
    assert damage.startswith("the event log is damaged: ")
    assert f"whatever came after event {left[-1].id} could not be read" in damage


@pytest.mark.parametrize("where", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("content", [bytes, os.urandom])
def test_around_a_hole_all_the_rest_survives(whole, where, content):
    events, data = read_events(whole), bytearray(whole.read_bytes())
    start = int(len(data) * where) // 4096 * 4096
    data[start : start + 8192] = content(8192)
    whole.write_bytes(data)
    left, damage = surviving_events(whole)
    assert len(events) - 60 < len(left) < len(events)
    assert all(event in events for event in left)
    assert "could not be read" in damage


def test_a_damaged_run_still_gives_its_front_and_says_what_is_lost(whole):
    whole.write_bytes(whole.read_bytes()[:-8192])
    with pytest.warns(
        UserWarning, match=r"events\.db: the event log is damaged: .* could not be read"
    ):
        run = load_run(whole.parent)
    assert "could not be read" in run.damage
    assert len(run.front({"accuracy": "max"})) > 100
    run.export()
    # the export is not taken for the whole log
    with pytest.warns(UserWarning, match="damaged"):
        load_run(whole.parent)


def test_a_row_that_is_no_event_is_damage_too(whole):
    with sqlite3.connect(whole) as connection:
        connection.execute("UPDATE events SET data = '5' WHERE id = 7")
        connection.execute("UPDATE events SET data = CAST(x'ff' AS TEXT) WHERE id = 9")
    connection.close()
    left, damage = surviving_events(whole)
    assert len(left) == 399
    assert damage == "the event log is damaged: event 7 and event 9 could not be read"


def test_of_a_damaged_log_trials_that_a_gap_may_have_touched_end_there(tmp_path):
    path = tmp_path / "events.db"
    with EventLog(path) as log:
        log.append("search_started", config={}, objectives={"accuracy": "max"})
        for trial in range(3):
            log.append("proposed", trial=trial)
        log.append("finished", trial=0, status="complete", error=None)
        log.append("retrained", trial=0, seed=1, accuracy=0.9)
        log.append("epoch", trial=1, epoch=1)
        log.append("epoch", trial=1, epoch=2)
        log.append("finished", trial=2, status="failed", error="x")
        log.append("retrained", trial=0, seed=2, accuracy=0.8)
        log.append("proposed", trial=3)
        log.append("note", text="seen")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE events SET data = '5' WHERE id = 8")
    connection.close()
    assert "event 8 could not be read" in mend(path)
    kept = [(event.kind, event.trial) for event in read_events(path)]
    before = [("proposed", 0), ("proposed", 1), ("proposed", 2), ("finished", 0)]
    assert kept == [
        ("search_started", None), *before, ("retrained", 0), ("epoch", 1),
        ("retrained", 0), ("proposed", 3), ("note", None),
    ]  # fmt: skip


def test_where_nothing_is_left_it_is_said(whole):
    whole.write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"events\.db: cannot be read as an event log"):
        load_run(whole.parent)


def test_events_of_older_versions_pass_every_lift_since():
    def rename(event: Event) -> Event:
        return Event(
            event.id,
            event.time,
            {"ended": "finished"}.get(event.kind, event.kind),
            event.trial,
            event.data,
        )

    def seconds(event: Event) -> Event:
        return Event(event.id, event.time / 1000, event.kind, event.trial, event.data)

    old = [Event(1, 5000.0, "ended", 0, {})]
    assert list(lift(old, 1, [rename, seconds])) == [Event(1, 5.0, "finished", 0, {})]
    assert list(lift(old, 2, [rename, seconds])) == [Event(1, 5.0, "ended", 0, {})]
    assert list(lift(old, 3, [rename, seconds])) == old

import json
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from results import Event, EventLog, load_run, strict_json, write_atomic
from results.log import reading
from results.log.event_log import read_events
from results.log.events import Finished, Measured, Noted, Proposed
from results.log.salvage import mend, surviving_events


def test_events_come_back_in_order_and_a_log_is_continued(tmp_path):
    path = tmp_path / "a folder? #1" / "events.db"
    path.parent.mkdir()
    with EventLog(path, clock=lambda: 5.0) as log:
        log.append("proposed", trial=3, kind="odd name", arch={"radix": 2})
    with EventLog(path, clock=lambda: 6.0) as log:
        log.append("search_finished", reason="done")
        events = list(log)
    assert (
        events
        == read_events(path)
        == [
            Event(1, 5.0, "proposed", 3, {"kind": "odd name", "arch": {"radix": 2}}),
            Event(2, 6.0, "search_finished", None, {"reason": "done"}),
        ]
    )


def test_a_reader_sees_every_append_of_an_open_writer(log):
    for number in range(3):
        log.append("epoch", trial=number)
        assert [event.trial for event in read_events(log.path)] == list(
            range(number + 1)
        )
    assert [file.name for file in log.path.parent.iterdir()] == ["events.db"]


def test_threads_share_a_log(log):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: log.append("epoch", trial=number), range(40)))
    assert sorted(event.trial for event in log) == list(range(40))


def test_a_writer_killed_inside_a_transaction_leaves_what_was_committed(tmp_path):
    path = tmp_path / "events.db"
    killed = """
import os, sqlite3, sys
from results import EventLog
with EventLog(sys.argv[1]) as log:
    log.append("kept")
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("UPDATE events SET kind = 'lost'")
for _ in range(50):  # more than the cache holds: half a transaction reaches the file
    connection.execute("INSERT INTO events (time, kind, data) VALUES (0, 'lost', ?)", ("x" * 5000,))
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", killed, str(path)], check=False)
    assert path.with_name("events.db-journal").exists()
    assert [event.kind for event in read_events(path)] == ["kept"]


def test_json_is_strict(log):
    odd = {
        "a": [float("nan"), np.float32("inf")],
        1: np.int64(7),
        "gone": pd.NA,
        "bytes": "\udcff",
    }
    log.append("measured", trial=0, odd=odd)
    stored = {"a": [None, None], "1": 7, "gone": None, "bytes": "?"}
    assert next(iter(log)).data == {"odd": stored}
    assert json.loads(strict_json.dumps(odd), parse_constant=pytest.fail) == stored
    with pytest.raises(TypeError, match="set"):
        log.append("measured", trial=0, odd={1, 2})


def damage(path: Path, how: str) -> None:
    if how == "text":
        path.write_text("no database at all, but long enough to look like a file " * 20)
    elif how == "version":
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE events (id)")
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    elif how == "empty":
        path.touch()
    elif how == "cut":
        with EventLog(path) as log:
            for number in range(50):
                log.append("epoch", trial=number, note="x" * 500)
        path.write_bytes(path.read_bytes()[:9000])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "no such event log"),
        ("text", "not a database"),
        ("version", "schema version 99, not 1"),
        ("empty", "schema version 0"),
        ("cut", "malformed"),
    ],
)
def test_what_is_no_log_is_named(tmp_path, how, message):
    path = tmp_path / "events.db"
    damage(path, how)
    with pytest.raises(ValueError, match=rf"events\.db: .*{message}"):
        read_events(path)


def test_a_writer_refuses_what_is_no_log_and_leaves_it_alone(tmp_path):
    for how in ("text", "version"):
        path = tmp_path / how
        damage(path, how)
        before = path.read_bytes()
        with pytest.raises(ValueError, match=how):
            EventLog(path)
        assert path.read_bytes() == before
    with pytest.raises(OSError, match="cannot open the event log"):
        EventLog(tmp_path / "no" / "events.db")


def test_write_atomic_replaces_text_and_bytes(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, "é")
    assert path.read_bytes() == "é".encode()
    write_atomic(path, b"\x00")
    assert path.read_bytes() == b"\x00"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, "old")
    limited = """
import resource, signal, sys
from results import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as a full disk
try:
    write_atomic(sys.argv[1], b"x" * 5000)
except OSError:
    sys.exit(7)
"""
    assert (
        subprocess.run(
            [sys.executable, "-c", limited, str(path)], check=False
        ).returncode
        == 7
    )
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_that_another_process_holds_is_busy_and_not_damaged(log, monkeypatch):
    log.append("search_started", config={}, objectives={"flops": "min"})
    log.append("proposed", trial=0)
    log.close()
    before = log.path.read_bytes()
    monkeypatch.setattr(reading, "READER_WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(log.path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        for read in (
            read_events,
            mend,
            surviving_events,
            lambda path: load_run(path.parent),
        ):
            with pytest.raises(
                OSError, match=r"events\.db: the event log cannot be read now .*locked"
            ):
                read(log.path)
        holder.execute("ROLLBACK")
    assert log.path.read_bytes() == before
    assert mend(log.path) is None
    assert len(read_events(log.path)) == 2


def test_events_of_one_commit_are_there_together_or_not_at_all(tmp_path):
    with EventLog(tmp_path / "events.db") as log:
        ended = Finished(0, "failed", "no reason")
        with pytest.raises(TypeError, match="set"):
            log.commit([Proposed(0), Measured(0, {"odd": {1, 2}})])
        with closing(sqlite3.connect(log.path)) as other:
            other.execute(
                "CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.kind = 'finished' "
                "BEGIN SELECT RAISE(ABORT, 'no room'); END"
            )
            with pytest.raises(OSError, match=r"events\.db: cannot append .*no room"):
                log.commit([Proposed(0), ended])
            assert list(log) == []
            other.execute("DROP TRIGGER full")
        told = log.commit([Proposed(0), Measured(0, {"flops": float("nan")}), ended])
        assert told == list(log) == read_events(log.path)
        assert [event.data for event in told] == [
            {},
            {"flops": None},
            {"status": "failed", "error": "no reason"},
        ]
        assert [event.id for event in told] == [1, 2, 3]


def test_time_in_a_log_never_goes_back(tmp_path, monkeypatch):
    with EventLog(tmp_path / "events.db") as log:
        log.append("note")
        monkeypatch.setattr(time, "time", lambda: 1000.0)
        log.append("note")
    with EventLog(tmp_path / "events.db") as log:
        log.append("note")
        times = [event.time for event in log]
    assert times == sorted(times)
    assert times[0] > 1e9


def syncs(log: EventLog) -> list[str]:
    """A list that the log's transactions are added to, as they end."""
    ended: list[str] = []
    log._connection.set_trace_callback(
        lambda sql: ended.append(sql) if sql in ("COMMIT", "ROLLBACK") else None
    )
    return ended


def test_a_transaction_is_one_commit_that_readers_see_at_its_end(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.db"
    with EventLog(path) as log:
        ended = syncs(log)
        with log.transaction():
            first = log.commit([Noted(None, "a"), Noted(None, "b")])
            log.commit([Noted(None, "c")])
            assert read_events(path) == []
        assert ended == ["COMMIT"]
        assert [event.id for event in first] == [1, 2]
        assert [event.data["text"] for event in read_events(path)] == ["a", "b", "c"]


def test_a_transaction_that_is_broken_off_keeps_what_was_committed_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.db"
    with EventLog(path) as log:
        with suppress(KeyboardInterrupt), log.transaction():
            log.commit([Noted(None, "a")])
            raise KeyboardInterrupt
        log.commit([Noted(None, "b")])
    assert [event.data["text"] for event in read_events(path)] == ["a", "b"]


def test_a_decision_within_a_transaction_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with EventLog(path) as log:
        log._connection.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON events WHEN NEW.data LIKE '%bad%' "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        with log.transaction():
            log.commit([Noted(None, "a")])
            with pytest.raises(OSError, match="disk full"):
                log.commit([Noted(None, "b"), Noted(None, "bad")])
            log.commit([Noted(None, "c")])
    assert [event.data["text"] for event in read_events(path)] == ["a", "c"]


def test_a_driver_killed_in_a_transaction_leaves_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    program = (
        "import os, sys\n"
        "from results import EventLog\n"
        "from results.log.events import Noted\n"
        "log = EventLog(sys.argv[1])\n"
        "log.commit([Noted(None, 'kept')])\n"
        "with log.transaction():\n"
        "    log.commit([Noted(None, 'lost')])\n"
        "    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", program, path], check=False)
    assert [event.data["text"] for event in read_events(path)] == ["kept"]

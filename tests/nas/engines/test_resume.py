"""Searches that were killed, copied, damaged, and go on."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

import nas
from nas import load_config
from nas.cli.commands import main
from results import EventLog, load_run
from results.log.event_log import read_events

ROOT = Path(__file__).parents[3]
SMALL = [
    "training.epochs=2", "sampler=random", "latency.max_seconds=0.05", "latency.max_load=1", "latency.interval=1",
    "space.depth1=1", "space.depth2=1", "space.depth3=1", "space.width1=8", "space.width2=8", "space.width3=16",
    "space.width4=16",
]  # fmt: skip


def command(*words: object) -> list[str]:
    return [sys.executable, str(ROOT / "run_search.py"), *map(str, words)]


def search(out: Path, *words: str, trials: int = 50) -> list[str]:
    options = [
        word for setting in [*SMALL, f"trials={trials}"] for word in ("--set", setting)
    ]
    return command("search", "quick", "--out", out, *options, *words)


def kill_after(
    process: subprocess.Popen[bytes], log: Path, kind: str, times: int
) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if log.exists() and log.stat().st_size and count(log, kind) >= times:
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert count(log, kind) >= times


def count(log: Path, kind: str) -> int:
    return sum(event.kind == kind for event in read_events(log))


@pytest.mark.parametrize("how", ["--serial", ""], ids=["serial", "ray"])
def test_after_kill_9_it_goes_on_wherever_the_folder_is(
    tmp_path: Path, how: str
) -> None:
    words = [how] if how else []
    out, copy = tmp_path / "run", tmp_path / "elsewhere" / "copy"
    kill_after(subprocess.Popen(search(out, *words)), out / "events.db", "epoch", 3)
    shutil.copytree(out, copy)
    before = [
        (e.kind, e.trial)
        for e in read_events(copy / "events.db")
        if e.kind == "finished"
    ]
    done = subprocess.run(
        command("resume", copy, "--set", "trials=4", *words),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = load_run(copy)
    assert run.ended == "4 trials done"
    assert list(run.trials["status"]) == ["complete"] * 4
    finished = [
        (e.kind, e.trial)
        for e in read_events(copy / "events.db")
        if e.kind == "finished"
    ]
    assert finished[: len(before)] == before
    assert set(Counter(finished).values()) == {1}
    assert (run.epochs.groupby("trial")["epoch"].apply(list).map(tuple) == (1, 2)).all()
    assert not list((copy / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    nas.search(
        load_config("quick", [*SMALL, "trials=1", "training.epochs=1"]),
        folder,
        serial=True,
    )
    return folder


@pytest.fixture
def run_folder(small_run: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_run, tmp_path / "run")
    return tmp_path / "run"


def test_nothing_left_to_do_is_said_and_limits_can_be_raised(run_folder: Path) -> None:
    with pytest.raises(
        ValueError,
        match="nothing is left to do, 1 trial done; --set can raise a limit",
    ):
        nas.resume(run_folder, serial=True)
    run = nas.resume(run_folder, ["trials=2"], serial=True)
    assert len(run.complete) == 2
    assert load_config(str(run_folder / "config.yaml")).trials == 2


def test_what_numbers_mean_cannot_change(run_folder: Path) -> None:
    with pytest.raises(
        ValueError, match="--set training: cannot change when a search goes on"
    ):
        nas.resume(run_folder, ["training.epochs=3", "trials=2"], serial=True)


def test_a_second_driver_is_refused(run_folder: Path) -> None:
    from nas.runs.lock import sole_driver

    with (
        sole_driver(run_folder),
        pytest.raises(ValueError, match="another search is at work"),
    ):
        nas.resume(run_folder, ["trials=2"], serial=True)


@pytest.mark.parametrize("missing", ["config.yaml", "events.db"])
def test_a_folder_that_is_no_run_is_named(run_folder: Path, missing: str) -> None:
    (run_folder / missing).unlink()
    with pytest.raises(ValueError, match=f"no search to resume, it holds no {missing}"):
        nas.resume(run_folder, serial=True)


def test_a_damaged_log_is_recovered_and_the_loss_named(run_folder: Path) -> None:
    log = run_folder / "events.db"
    with EventLog(log) as writer:
        for _ in range(400):
            writer.append("note", None, text="x" * 100)
        writer.append("proposed", 7)
    log.write_bytes(log.read_bytes()[:-8192])
    with pytest.warns(UserWarning, match="events"):
        run = nas.resume(run_folder, ["trials=2"], serial=True)
    assert len(run.complete) == 2
    assert (run_folder / "events.db.damaged").exists()


def test_the_command_goes_on_with_a_damaged_log(run_folder: Path) -> None:
    log = run_folder / "events.db"
    log.write_bytes(log.read_bytes()[:-100])
    done = subprocess.run(
        command("resume", run_folder, "--serial", "--set", "trials=2"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"warning: {log}: the event log is damaged: event ")
    assert len(load_run(run_folder).complete) == 2


def test_a_run_of_another_version_is_refused(run_folder: Path) -> None:
    import sqlite3

    with sqlite3.connect(run_folder / "events.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ValueError, match="version 99"):
        nas.resume(run_folder, ["trials=2"], serial=True)


def test_a_job_that_is_submitted_after_the_end_succeeds(run_folder: Path) -> None:
    shown = CliRunner().invoke(main, ["resume", str(run_folder), "--serial"])
    assert shown.exit_code == 0, shown.output
    assert "nothing is left to do, 1 trial done" in shown.output

"""Terminals that go away, closed outputs, terminals without Unicode: none of them ends a search."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from nas.cli.terminal import LastingOutput
from results import load_run
from results.log.event_log import read_events
from tests.nas.tiny import TINY

ROOT = Path(__file__).parents[3]


def test_what_a_broken_output_is_given_is_dropped(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w", buffering=1) as stream:
        output = LastingOutput(stream)
        print("here", file=output)
        assert os.read(master, 100) == b"here\r\n"
        os.close(master)
        print("gone", file=output)
        assert isinstance(output.error, OSError)
        print("and more", file=output, flush=True)
        assert not output.isatty()
    closed = (tmp_path / "file").open("w")
    closed.close()
    print("closed", file=LastingOutput(closed))


def command(out: Path) -> list[str]:
    settings = [word for setting in [*TINY, "trials=2"] for word in ("--set", setting)]
    return [
        sys.executable,
        str(ROOT / "run_search.py"),
        "search",
        "quick",
        "--serial",
        *settings,
        "--out",
        str(out),
    ]


def test_a_terminal_that_goes_away_leaves_the_search_at_work_and_the_log_says_so(
    tmp_path: Path,
) -> None:
    master, slave = pty.openpty()
    ignoring_hangups = ["bash", "-c", 'trap "" HUP; exec "$@"', "bash"]
    with subprocess.Popen(
        [*ignoring_hangups, *command(tmp_path / "run")],
        stdin=slave,
        stdout=slave,
        stderr=slave,
    ) as search:
        os.close(slave)
        os.close(master)
        assert search.wait(300) == 0
    assert load_run(tmp_path / "run").ended == "2 trials done"
    notes = [
        event.data["text"]
        for event in read_events(tmp_path / "run" / "events.db")
        if event.kind == "note"
    ]
    assert notes == [
        "a view failed and is shown no more: OSError: [Errno 5] Input/output error"
    ]


def test_a_search_needs_no_output_at_all(tmp_path: Path) -> None:
    run = subprocess.run(
        ["bash", "-c", '"$@" >&- 2>&-', "bash", *command(tmp_path / "run")],
        timeout=300,
        check=False,
    )
    assert run.returncode == 0
    assert load_run(tmp_path / "run").ended == "2 trials done"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_unicode_gets_question_marks(encoding: str) -> None:
    told = """
from nas.cli.commands.app import console, main
try:
    main(["no such command"])
except SystemExit as end:
    console.print("starting the workers … ü", end.code)
"""
    run = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True, check=False,
    )  # fmt: skip
    assert run.stdout.startswith(b"starting the workers ? ")
    assert run.stdout.endswith(b" 2\n")
    assert b"Traceback" not in run.stderr


@pytest.mark.parametrize(("columns", "width"), [("40", 40), (None, 120)])
def test_tables_in_a_pipe_are_as_wide_as_one_says(
    columns: str | None, width: int
) -> None:
    told = "from nas.cli.commands.app import console; print(console.width)"
    here = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    run = subprocess.run(
        [sys.executable, "-c", told],
        cwd=ROOT, env=here | ({"COLUMNS": columns} if columns else {}),
        stdin=subprocess.DEVNULL, capture_output=True, check=True,
    )  # fmt: skip
    assert int(run.stdout) == width


def test_tables_in_a_pipe_are_as_wide_as_the_terminal_behind_it() -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 60))
    told = "from nas.cli.commands.app import console; print(console.width)"
    here = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    run = subprocess.run(
        [sys.executable, "-c", told],
        cwd=ROOT, env=here, stdin=slave, capture_output=True, check=True,
    )  # fmt: skip
    os.close(master)
    os.close(slave)
    assert int(run.stdout) == 60

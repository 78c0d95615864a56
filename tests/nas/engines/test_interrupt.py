"""Ctrl-C and SIGTERM in a search that runs in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from results import load_run
from results.log.event_log import read_events
from tests.nas.tiny import TINY

ROOT = Path(__file__).parents[3]
SMALL = [*TINY, "trials=500"]


def start(out: Path, background: bool = False) -> subprocess.Popen[str]:
    """A search of 500 trials in a process of its own, or as a shell script starts its background jobs."""
    command = [sys.executable, "run_search.py", "search", "quick", "--out", str(out)]
    command += [word for override in SMALL for word in ("--set", override)]
    pipe = subprocess.PIPE
    if background:
        command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *command]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=pipe, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.parametrize(
    ("signals", "background"),
    [
        ([signal.SIGINT], False),
        ([signal.SIGINT, signal.SIGINT], False),
        ([signal.SIGTERM], True),
    ],
    ids=["once", "twice", "term in the background"],
)
def test_ctrl_c_saves_what_is_finished(
    tmp_path: Path, signals: list[signal.Signals], background: bool
) -> None:
    out = tmp_path / "run"
    process = start(out, background)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and _finished(out / "events.db") < 2:
        time.sleep(0.2)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.3)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    run = load_run(out)
    assert run.ended == "interrupted"
    assert len(run.complete) >= 2
    assert "Pareto front" in printed
    assert "Traceback" not in printed
    assert f"splitsearch resume {out}" in printed
    assert (out / "report.html").exists()


def test_ctrl_c_before_the_first_trial_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(out)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (out / "log.txt").exists():
        time.sleep(0.05)
    printed = interrupt(process)
    assert process.returncode == 130, printed
    assert "interrupted before anything was finished" in printed
    assert "Traceback" not in printed
    assert not out.exists()


def interrupt(process: subprocess.Popen[str]) -> str:
    """Ctrl-C, again if need be: where Python runs a hook of ``fork`` it drops the exception. What is printed."""
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=15)[0]
    process.kill()
    return process.communicate()[0]


def _finished(log: Path) -> int:
    if not log.exists() or not log.stat().st_size:
        return 0
    return sum(event.kind == "finished" for event in read_events(log))

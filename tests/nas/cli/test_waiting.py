"""Who waits for a device is told whom for."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
import torch

from evaluators.devices.holders import belongs_to, described, waits
from evaluators.devices.lock import Shared
from nas.cli.terminal import PlainConsole
from nas.cli.waiting import told_of_waits

pytestmark = pytest.mark.skipif(
    not Path("/proc/locks").exists(), reason="Linux alone tells who holds a lock"
)
HOLD = """import sys, fcntl, os
file = os.open(sys.argv[1], os.O_RDONLY | os.O_CREAT)
fcntl.flock(file, fcntl.LOCK_EX)
print("in", flush=True)
sys.stdin.read()"""


@pytest.fixture
def holder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[str]]:
    """A process in sole possession of the CPU, as a measurement is."""
    monkeypatch.setenv("SPLITSEARCH_LOCK_DIR", str(tmp_path))
    with Shared(torch.device("cpu")):
        pass  # makes the files
    (turnstile,) = tmp_path.glob("splitsearch-cpu*.turnstile")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(turnstile)], text=True, **pipes
    ) as process:
        assert process.stdout.readline() == "in\n"
        yield process
        process.send_signal(signal.SIGCONT)
        process.kill()


def told(holder: subprocess.Popen[str]) -> str:
    """What is said until a line is there, while a trainer in this process waits."""
    written = Event()

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            written.set()
            return super().write(text)

    screen = Screen()

    def train() -> None:
        with Shared(torch.device("cpu")):
            pass

    trainer = Thread(target=train)
    trainer.start()
    with told_of_waits(PlainConsole(file=screen, width=40), every=0.05):
        assert written.wait(30)
    holder.send_signal(signal.SIGCONT)
    holder.kill()
    trainer.join(30)
    return screen.getvalue()


def test_a_stopped_holder_is_named_and_how_to_go_on(
    holder: subprocess.Popen[str],
) -> None:
    holder.send_signal(signal.SIGSTOP)
    text = told(holder)
    assert text.count("\n") == 1
    assert f"process {holder.pid} ({sys.executable} -c import sys, fcntl" in text
    assert f"is stopped; let that go on (kill -CONT {holder.pid}) or end it" in text


def test_our_own_workers_wait_for_each_other_without_a_word(
    holder: subprocess.Popen[str],
) -> None:
    screen = io.StringIO()
    trainer = Thread(target=lambda: Shared(torch.device("cpu")).__enter__())
    trainer.start()
    while not waits():
        pass
    (wait,) = waits()
    assert (wait.waiter, wait.holder) == (os.getpid(), holder.pid)
    assert belongs_to(holder.pid, os.getpid())
    with told_of_waits(PlainConsole(file=screen), every=0.02):
        Event().wait(0.2)
    holder.kill()
    trainer.join(30)
    assert screen.getvalue() == ""


def test_whose_a_process_is() -> None:
    assert belongs_to(os.getpid(), os.getppid())
    assert not belongs_to(os.getppid(), os.getpid())
    assert described(2**22 + 1) == f"process {2**22 + 1}"

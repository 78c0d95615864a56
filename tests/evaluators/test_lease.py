"""A lease as hosts and processes see it: held, free after a death, taken over when it is still, lost."""

from __future__ import annotations

import errno
import fcntl
import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from evaluators import lease
from evaluators.lease import Holder, LeaseLostError, alone, leased

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from evaluators.lease import leased
with leased(Path(sys.argv[1]), lambda holder: None, print):
    print("held", flush=True)
    time.sleep(60)
"""


class HeldError(Exception):
    pass


def refuse(holder: Holder) -> None:
    raise HeldError(str(holder))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A beat every 20 ms; dead after 0.5 s without one."""
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.5)


def elsewhere(path: Path, **changes: object) -> Holder:
    """A lease that a process of another machine has written."""
    known = {"machine": "another boot", "host": "node7", "process": 12, "owner": "ann"}
    holder = replace(Holder.here(path), **known | changes)  # type: ignore[arg-type]
    path.write_text(json.dumps(asdict(holder)))
    return holder


def test_one_at_a_time_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with leased(path, refuse, pytest.fail):
        with pytest.raises(HeldError), leased(path, refuse, pytest.fail):
            pass
        assert path.exists()
    assert not list(tmp_path.iterdir())


def test_a_killed_process_of_this_machine_holds_nothing(tmp_path: Path) -> None:
    path, told = tmp_path / "lease", []
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        with pytest.raises(HeldError), leased(path, refuse, told.append):
            pass
        holder.send_signal(signal.SIGKILL)
    with leased(path, refuse, told.append):
        pass
    assert [f"process {holder.pid} of" in text for text in told] == [True]
    assert told[0].endswith("which is dead")


@pytest.mark.usefixtures("soon")
def test_a_holder_elsewhere_is_dead_once_it_is_still(tmp_path: Path) -> None:
    path, told = tmp_path / "lease", []
    elsewhere(path)
    with leased(path, refuse, told.append):
        assert json.loads(path.read_text())["machine"] != "another boot"
    assert "held by process 12 of ann on node7; waiting up to 0.5 s" in told[0]
    assert "taken over from process 12 of ann on node7" in told[1]


@pytest.mark.usefixtures("soon")
def test_a_holder_elsewhere_that_beats_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    elsewhere(path)
    beat = (
        "import json, sys, time; from pathlib import Path; path = Path(sys.argv[1])\n"
        "for beat in range(100):\n"
        "    path.write_text(json.dumps(json.loads(path.read_text()) | {'beat': beat}))\n"
        "    time.sleep(0.1)\n"
    )
    with subprocess.Popen([sys.executable, "-c", beat, str(path)]) as other:
        time.sleep(0.3)
        with (
            pytest.raises(HeldError, match=r"ann on node7|a host unknown"),
            leased(path, refuse, lambda text: None),
        ):
            pass
        other.kill()


def test_a_lease_that_was_copied_with_its_folder_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "copy").mkdir()
    with leased(tmp_path / "run" / "lease", refuse, pytest.fail):
        kept = (tmp_path / "run" / "lease").read_text()
        (tmp_path / "copy" / "lease").write_text(kept)
        with leased(tmp_path / "copy" / "lease", refuse, lambda text: None):
            pass


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "how", [signal.default_int_handler, signal.SIG_IGN], ids=["", "in the background"]
)
def test_who_was_still_for_too_long_is_interrupted(
    tmp_path: Path, how: signal.Handlers
) -> None:
    interrupted: list[bool] = []
    # a shell lets what it starts in the background ignore Ctrl-C
    before = signal.signal(signal.SIGINT, how)
    try:
        with pytest.raises(LeaseLostError, match="taken over by process 12 of ann"):
            hold_a_stolen_one(tmp_path / "lease", interrupted)
        assert signal.getsignal(signal.SIGINT) is how
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted


def hold_a_stolen_one(path: Path, interrupted: list[bool]) -> None:
    with leased(path, refuse, pytest.fail):
        try:
            elsewhere(path)
            # a signal just before a sleep does not end it, so many short ones
            for _ in range(300):
                time.sleep(0.1)
        except KeyboardInterrupt:
            interrupted.append(True)


def test_where_there_are_no_locks_a_lease_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(file: object, how: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    with alone(tmp_path / "lock"):
        assert (tmp_path / "lock.lease").exists()
    assert not (tmp_path / "lock.lease").exists()

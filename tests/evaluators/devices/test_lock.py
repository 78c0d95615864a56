import os
import select
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from evaluators.devices.lock import Shared, exclusive

CPU = torch.device("cpu")

HOLD = "with {lock}:\n    print('in', flush=True)\n    sys.stdin.readline()\nprint('out', flush=True)"
LOOP = "with {lock} as turn:\n    print('in', flush=True)\n    while True: time.sleep(0.01); turn.give_way()"
SHARED, EXCLUSIVE = "Shared(torch.device('cpu'))", "exclusive(torch.device('cpu'))"


class Process:
    def __init__(
        self, body: str, lock: str, folder: Path, user: int | None = None
    ) -> None:
        script = "import os, sys, time, torch\nfrom evaluators.devices.lock import Shared, exclusive\n"
        script += f"os.setuid({user})\n" if user else ""
        script += "print('ready', flush=True)\nsys.stdin.readline()\n" + body.format(
            lock=lock
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={"SPLITSEARCH_LOCK_DIR": str(folder)},
            cwd=Path(__file__).parents[3],
        )

    def go_on(self) -> None:
        self.process.stdin.write("\n")

    def says(self, word: str, within: float = 60) -> bool:
        readable, _, _ = select.select([self.process.stdout], [], [], within)
        return bool(readable) and self.process.stdout.readline().strip() == word

    def start(self) -> "Process":
        assert self.says("ready")
        self.go_on()
        return self

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()


@pytest.fixture
def spawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Process]]:
    """Start processes whose locks lie in a folder of this test, as do this process's own."""
    monkeypatch.setenv("SPLITSEARCH_LOCK_DIR", str(tmp_path))
    started: list[Process] = []

    def spawn(body: str, lock: str, user: int | None = None) -> Process:
        started.append(Process(body, lock, tmp_path, user))
        return started[-1]

    yield spawn
    for process in started:
        process.end()


def test_trainers_overlap_and_a_measurement_is_alone(
    spawn: Callable[..., Process],
) -> None:
    first, second, writer, late = (
        spawn(HOLD, lock) for lock in (SHARED, SHARED, EXCLUSIVE, SHARED)
    )
    assert first.start().says("in")
    assert second.start().says("in")
    writer.start()
    assert not writer.says("in", within=0.3)
    late.start()
    assert not late.says("in", within=0.3), (
        "a waiting measurement must keep newcomers out"
    )
    for trainer in (first, second):
        trainer.go_on()
        assert trainer.says("out")
    assert writer.says("in")
    assert not late.says("in", within=0.3)
    writer.go_on()
    assert late.says("in")


def test_a_measurement_gets_in_while_trainers_loop(
    spawn: Callable[..., Process],
) -> None:
    trainers = [spawn(LOOP, SHARED) for _ in range(2)]
    assert all(trainer.start().says("in") for trainer in trainers)
    for _ in range(5):
        asked = time.monotonic()
        with exclusive(CPU):
            assert time.monotonic() - asked < 2
        time.sleep(0.06)


@pytest.mark.parametrize("lock", [SHARED, EXCLUSIVE])
def test_a_killed_holder_lets_go(spawn: Callable[..., Process], lock: str) -> None:
    holder, writer = spawn(HOLD, lock), spawn(HOLD, EXCLUSIVE)
    assert holder.start().says("in")
    writer.start()
    assert not writer.says("in", within=0.2)
    holder.process.kill()
    assert writer.says("in", within=5)


def test_an_error_inside_lets_go(spawn: Callable[..., Process]) -> None:
    with pytest.raises(KeyError), Shared(CPU):
        raise KeyError
    with exclusive(CPU):
        pass


def test_waiting_is_told(spawn: Callable[..., Process]) -> None:
    writer = spawn(HOLD.replace("sys.stdin.readline()", "time.sleep(0.3)"), EXCLUSIVE)
    assert writer.start().says("in")
    with Shared(CPU) as turn:
        assert 0.1 < turn.waited < 2


def test_a_turn_costs_next_to_nothing(spawn: Callable[..., Process]) -> None:
    started = time.perf_counter()
    with Shared(CPU, turn_seconds=0) as turn:
        for _ in range(1000):
            turn.give_way()
    assert time.perf_counter() - started < 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can act as two users")
def test_users_of_a_node_share_the_lock(
    spawn: Callable[..., Process], tmp_path: Path
) -> None:
    nobody = 65534
    tmp_path.chmod(0o1777)
    for parent in (p for p in tmp_path.parents if p.stat().st_mode & 0o005 != 0o005):
        parent.chmod(0o755)
    before = os.umask(0o077)
    try:
        trainer = spawn(HOLD, SHARED, user=nobody)
        assert trainer.start().says("in")
        writer = spawn(HOLD, EXCLUSIVE)
        writer.start()
        assert not writer.says("in", within=0.3)
        trainer.go_on()
        assert writer.says("in")
    finally:
        os.umask(before)
    owners = {path.name: path.stat() for path in tmp_path.iterdir()}
    assert set(owners) == {"splitsearch-cpu.turnstile", "splitsearch-cpu.inside"}
    assert all(
        s.st_uid == nobody and stat.S_IMODE(s.st_mode) == 0o644 for s in owners.values()
    )


def test_a_link_in_place_of_the_lock_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITSEARCH_LOCK_DIR", str(tmp_path))
    (tmp_path / "splitsearch-cpu.turnstile").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"splitsearch-cpu\.turnstile"), exclusive(CPU):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_pipe_in_place_of_the_lock_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITSEARCH_LOCK_DIR", str(tmp_path))
    os.mkfifo(tmp_path / "splitsearch-cpu.turnstile")
    with exclusive(CPU):
        pass


def test_a_folder_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPLITSEARCH_LOCK_DIR", str(tmp_path / "none"))
    with (
        pytest.raises(ValueError, match="SPLITSEARCH_LOCK_DIR: there is no folder"),
        Shared(CPU),
    ):
        pass

"""Keep training off a device while latency is measured on it, across all processes and users of a node.

Trainers share the device and look every 50 ms whether somebody wants it; a measurement has it alone. Two files
under ``flock`` make the readers-writer lock: whoever enters passes the turnstile, and a measurement keeps it shut
while the trainers inside leave, so it waits for a turn or two. The kernel drops the locks of a process that dies.

The files lie in /tmp, whatever TMPDIR says, because all users and jobs of a node must find the same ones; the
environment variable SPLITSEARCH_LOCK_DIR names another folder, such as one that containers share. Whoever may
read a file may lock it, so nobody needs to write to another user's.

``filelock.ReadWriteLock`` would do, but it waits inside SQLite, where Ctrl-C cannot reach it, wakes up by
polling and costs seven times as much.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import Self

import torch

from evaluators.devices.device import device_key, synchronize

TURN_SECONDS = 0.05


@contextmanager
def exclusive(device: torch.device) -> Iterator[None]:
    """Have the device alone; waits until the trainers on it have finished their turns."""
    turnstile, inside = _lock_files(device)
    # shut the turnstile, then wait until those inside have left
    with _flock(turnstile, fcntl.LOCK_EX), _flock(inside, fcntl.LOCK_EX):
        yield


class Shared:
    """Share the device with other trainers; call ``give_way`` between steps.

    ``waited`` is how many seconds this trainer has stood in front of the turnstile.
    """

    def __init__(
        self, device: torch.device, turn_seconds: float = TURN_SECONDS
    ) -> None:
        self.waited = 0.0
        self._device = device
        self._turn_seconds = turn_seconds
        self._turn_ends = 0.0
        self._held = ExitStack()
        self._given: torch.cuda.Event | None = None

    def __enter__(self) -> Self:
        asked = perf_counter()
        turnstile, inside = _lock_files(self._device)
        with _flock(turnstile, fcntl.LOCK_SH):
            # the turnstile is free again at once, the place inside is kept
            self._held.enter_context(_flock(inside, fcntl.LOCK_SH))
        entered = perf_counter()
        self.waited += entered - asked
        self._turn_ends = entered + self._turn_seconds
        return self

    def __exit__(self, *error: object) -> None:
        try:
            # what a GPU still has queued would run into the measurement
            synchronize(self._device)
        finally:
            self._held.close()

    def give_way(self) -> None:
        """Let a measurement in if this trainer's turn is over and one is waiting."""
        if perf_counter() < self._turn_ends:
            return
        if _somebody_waits(self._device):
            self.__exit__()
            self.__enter__()
        else:
            self._keep_up()
            self._turn_ends = perf_counter() + self._turn_seconds

    def _keep_up(self) -> None:
        """Wait for what a GPU was given up to the end of the turn before, never for all that it was given.

        So it always has work, and a measurement that comes waits for two turns of it at most.
        """
        if self._device.type == "cuda":
            before = self._given
            self._given = torch.cuda.Event()
            self._given.record(torch.cuda.current_stream(self._device))
            if before is not None:
                before.synchronize()


def _somebody_waits(device: torch.device) -> bool:
    """Whether a measurement keeps the turnstile shut."""
    turnstile, _ = _lock_files(device)
    try:
        # asking for it is how to see whether it is shut
        with _flock(turnstile, fcntl.LOCK_SH | fcntl.LOCK_NB):
            return False
    except BlockingIOError:
        return True


def lock_folder() -> Path:
    """Where the lock files lie: ``splitsearch-DEVICE.turnstile`` and ``.inside``.

    Raises:
        ValueError: if SPLITSEARCH_LOCK_DIR names no folder; who makes it decides who may share it.
    """
    # not $TMPDIR, which differs between users and jobs: all of a machine must meet here
    folder = Path(os.environ.get("SPLITSEARCH_LOCK_DIR", "/tmp"))  # noqa: S108 - _opened is careful
    if not folder.is_dir():
        raise ValueError(f"SPLITSEARCH_LOCK_DIR: there is no folder {folder}")
    return folder


def _lock_files(device: torch.device) -> tuple[Path, Path]:
    folder, key = lock_folder(), f"splitsearch-{device_key(device)}"
    return folder / f"{key}.turnstile", folder / f"{key}.inside"


@contextmanager
def _flock(path: Path, mode: int) -> Iterator[None]:
    # Opened anew each time: a forked child that shares a descriptor would keep the lock of a dead parent.
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, mode)
        yield
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """The file for reading, made if need be; what others may have put in its place is neither followed,
    written nor waited for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        # appears at once and readable by all; O_CREAT would fail on another user's file in a sticky folder
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix="splitsearch-"
        ) as file:
            os.fchmod(file.fileno(), 0o644)
            with suppress(FileExistsError):
                os.link(file.name, path)
        return os.open(path, flags)

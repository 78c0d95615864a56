"""One process at a time, also on file systems that know no locks, and from several hosts.

A lease is a file that says who holds it and is written again every few seconds. A holder of this machine is looked
up among its processes. One elsewhere is dead if its file stays as it is for long; clocks need not agree. Where the
kernel's locks work on one machine only, as on many a network file system, that is safer than they are.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

BEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
"""What ``flock`` answers on file systems that have none."""


class LeaseLostError(RuntimeError):
    """Another process took a lease over, because this one gave no sign of life for too long."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease. ``machine`` tells boots and containers apart, ``started`` processes of one number.

    ``folder`` is the inode of the file's folder: a lease that was copied with its folder holds nothing.
    """

    token: str
    owner: str
    host: str
    machine: str
    process: int
    started: str
    folder: int
    beat: int = 0

    @classmethod
    def here(cls, path: Path) -> Holder:
        process = os.getpid()
        who = getpass.getuser(), socket.gethostname(), _machine()
        folder = path.parent.stat().st_ino
        return cls(secrets.token_hex(8), *who, process, _started(process), folder)

    def __str__(self) -> str:
        return f"process {self.process} of {self.owner} on {self.host}"

    @property
    def is_of_this_machine(self) -> bool:
        return self.machine == _machine()

    @property
    def runs(self) -> bool:
        """Whether the process, one of this machine, is there."""
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # another user's
        return _started(self.process) == self.started


@contextmanager
def leased(
    path: Path,
    held: Callable[[Holder], None],
    tell: Callable[[str], None],
) -> Iterator[None]:
    """Hold the lease ``path`` for the block.

    ``held`` is called with a holder that lives, again and again until the lease is free; it may raise. ``tell``
    hears of a dead one.

    Raises:
        LeaseLostError: at the end, if others took the lease over; the main thread was interrupted then.
    """
    me = Holder.here(path)
    while not _create(path, me):
        other = _read(path)
        if other is None:
            continue
        if _lives(path, other, tell):
            held(other)
            time.sleep(0.2)
        elif _remove(path, other):
            tell(f"{path.parent}: taken over from {other}, which is dead")
    beating = _Beat(path, me)
    beating.start()
    try:
        with _interruptible():
            yield
    finally:
        beating.end()
        if beating.lost:
            raise LeaseLostError(f"{path.parent}: taken over by {_read(path)}")
        _remove(path, beating.me)


@contextmanager
def alone(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Have the lock file ``path`` alone, or a lease where there are no locks.

    ``waiting`` is called if others have it.
    """
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            lease = path.with_name(f"{path.name}.lease")
            with leased(lease, lambda holder: waiting(), lambda text: None):
                yield
            return
        yield


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGINT interrupts also what a shell script has put in the background and made to ignore it.

    That is how a lost lease ends its holder, and SIGTERM a search.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Beat(threading.Thread):
    """Writes the lease again and again, so that others see that its holder lives."""

    def __init__(self, path: Path, me: Holder) -> None:
        super().__init__(name="lease", daemon=True)
        self.me = me
        self.lost = False
        self._path = path
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(OSError):  # a full disk, a server that is away: try again
                known = _read(self._path)
                if known is not None and known.token != self.me.token:
                    self.lost = True
                    os.kill(os.getpid(), signal.SIGINT)  # which wakes the main thread
                    return
                beat = self.me.beat + 1
                self.me = replace(self.me, beat=beat)
                fresh = self._path.with_name(f"{self._path.name}.{self.me.token}")
                fresh.write_text(json.dumps(asdict(self.me)))
                fresh.replace(self._path)

    def end(self) -> None:
        self._ended.set()
        self.join()


def _create(path: Path, me: Holder) -> bool:
    """Write the lease unless there is one."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(asdict(me)))
    return True


def _read(path: Path) -> Holder | None:
    """Who holds the lease; None if nobody does."""
    try:
        return Holder(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        # being written, or damaged: nobody's that anyone could look up
        return Holder(
            "", "somebody", "a host unknown", "", 0, "", path.parent.stat().st_ino
        )


def _lives(path: Path, other: Holder, tell: Callable[[str], None]) -> bool:
    if other.folder != path.parent.stat().st_ino:
        return False
    if other.is_of_this_machine:
        return other.runs
    tell(
        f"{path.parent}: held by {other}; waiting up to {STALE_SECONDS:g} s for a sign of life"
    )
    until = time.monotonic() + STALE_SECONDS
    while time.monotonic() < until:
        time.sleep(min(0.5, STALE_SECONDS / 10))
        if _read(path) != other:
            return True
    return False


def _remove(path: Path, holder: Holder) -> bool:
    """Take away the lease if it is still that holder's; of several who try, one does."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    if _read(aside) != holder:  # another was faster, and this one lives
        aside.rename(path)
        return False
    aside.unlink()
    return True


def _machine() -> str:
    """One for each boot of a machine and each container; a process number means something within it only."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _started(process: int) -> str:
    """When a process of this machine started, as far as the system tells."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
        # the name of the process stands in brackets, and may hold spaces
        facts = stat.rpartition(")")[2].split()
    except OSError:
        return ""
    return facts[19]

"""Who waits for a device and whom for, as far as Linux tells: a trainer that was stopped keeps its place."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from evaluators.devices.lock import lock_folder

LONGEST_COMMAND = 80


@dataclass(frozen=True)
class Wait:
    """Process ids: ``waiter`` cannot go on before ``holder`` lets go of a device."""

    waiter: int
    holder: int


def waits() -> set[Wait]:
    """Those on this machine at this moment; none where there is no ``/proc/locks``."""
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return set()
    ours = {path.stat().st_ino for path in lock_folder().glob("splitsearch-*.*")}
    holders: defaultdict[int, set[int]] = defaultdict(set)
    waiters: defaultdict[int, set[int]] = defaultdict(set)
    for line in lines:
        # "7: FLOCK ADVISORY READ 4242 08:01:131 0 EOF", and with "->" before FLOCK for who waits
        _, *words = line.split()
        waiting = words[0] == "->"
        kind, _, _, process, place = words[waiting : waiting + 5]
        inode = int(place.rpartition(":")[2])
        if kind == "FLOCK" and inode in ours:
            (waiters if waiting else holders)[inode].add(int(process))
    return {
        Wait(*pair)
        for inode, waiting_there in waiters.items()
        for pair in product(waiting_there, holders[inode])
    }


def described(process: int) -> str:
    """``process 4242 (python run_search.py search)``."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:  # of another user's, or another container's
        return f"process {process}"
    command = " ".join(b" ".join(words).decode(errors="replace").split())
    return f"process {process} ({command:.{LONGEST_COMMAND}})"


def is_stopped(process: int) -> bool:
    """Whether it was stopped, by Ctrl-Z for one."""
    return _status(process).get("State", "").startswith(("T", "t"))


def belongs_to(process: int, ancestor: int) -> bool:
    """Whether it is ``ancestor``, or was started by it or by one of its own."""
    while process not in (0, ancestor):
        process = int(_status(process).get("PPid", 0))
    return process == ancestor


def _status(process: int) -> dict[str, str]:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in fields}

"""CPU cores for a measurement: a thread confined to some of them, and what others take of the CPU meanwhile."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

_T = TypeVar("_T")

LOOK_SECONDS = 0.05
BUSY_TICKS = 3
"""Clock ticks in ``LOOK_SECONDS`` that tell a busy core from one that happened to do something."""


def allowed_cores() -> int:
    """How many cores this process may use."""
    return (
        len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    )


@contextmanager
def confined(threads: int | None) -> Iterator[Callable[[Callable[[], _T]], _T]]:
    """A function that calls another on a thread of its own, held on ``threads`` cores.

    OpenMP gives every thread that computes a team of its own, which inherits its cores and ends with it: so
    the team is confined without touching any other thread of the process, and nothing is left to undo but
    torch's number of threads. ``None`` is a thread without confinement, for work that waits for a GPU.
    """
    before = torch.get_num_threads()
    cores = choose_cores(threads) if threads and sys.platform == "linux" else None

    def confine() -> None:
        # 0: this thread, not the process
        if cores is not None and sys.platform == "linux":
            os.sched_setaffinity(0, cores)
        torch.set_num_threads(threads or before)

    with ThreadPoolExecutor(1, "splitsearch-latency", confine) as thread:
        try:
            yield lambda function: thread.submit(function).result()
        finally:
            thread.submit(torch.set_num_threads, before).result()


def choose_cores(count: int) -> set[int]:
    """Cores of those allowed: the fastest kind, one of each physical core, the idle ones, high numbers first.

    Low numbers come last because interrupts tend to go there.
    """
    before = _busy_by_core()
    time.sleep(LOOK_SECONDS)
    busy = {
        core: ticks - before.get(core, 0) for core, ticks in _busy_by_core().items()
    }

    def preference(core: int) -> tuple[int, int, int, int]:
        # hyperthreads of one core share its arithmetic units
        siblings = _spelled_cores(_read(core, "topology/thread_siblings_list"))
        second = siblings.index(core) if core in siblings else 0
        speed = int(_read(core, "cpufreq/cpuinfo_max_freq") or 0)
        return -speed, second, busy.get(core, 0) // BUSY_TICKS, -core

    preferred = sorted(os.sched_getaffinity(0), key=preference)
    return set(preferred[:count])


class OtherLoad:
    """What others take of the CPU from here on: of the whole machine, and of the core of this very thread.

    The machine counts as well as the core: clock rate, memory and caches are shared, and virtual machines do
    not tell which of their cores are two threads of one.
    """

    def __init__(self) -> None:
        self._started = self._now()

    def share(self) -> float | None:
        """The larger share, 0 to 1; None where the system does not tell (no /proc)."""
        if not _busy_by_core():
            return None
        seconds, own, busy, waited = (
            now - then for now, then in zip(self._now(), self._started, strict=True)
        )
        # a clock tick of every core may belong to what was before
        others = (
            (busy - own) / (os.cpu_count() or 1) - 1 / os.sysconf("SC_CLK_TCK")
        ) / seconds
        return min(1.0, max(0.0, others, waited / seconds))

    @staticmethod
    def _now() -> tuple[float, float, float, float]:
        """Seconds: wall clock, CPU of this process, CPU of all, and how long this thread was kept waiting."""
        waited = 0.0
        schedstat = Path("/proc/thread-self/schedstat")
        if schedstat.exists():
            waited = int(schedstat.read_text().split()[1]) / 1e9
        busy = sum(_busy_by_core().values()) / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), time.process_time(), busy, waited


def _busy_by_core() -> dict[int, int]:
    """Clock ticks each core has been busy since the start; what a hypervisor took away included."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return {}
    rows = [
        line.split() for line in stat.read_text().splitlines() if line.startswith("cpu")
    ]
    busy = {}
    for name, *columns in rows[1:]:
        user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, columns)
        busy[int(name.removeprefix("cpu"))] = (
            user + nice + system + irq + softirq + steal
        )
    return busy


def _read(core: int, fact: str) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{core}") / fact
    return path.read_text().strip() if path.exists() else ""


def _spelled_cores(text: str) -> list[int]:
    """``0-1,8`` as a list."""
    ranges = [part.partition("-") for part in text.split(",") if part]
    return [
        core
        for first, _, last in ranges
        for core in range(int(first), int(last or first) + 1)
    ]

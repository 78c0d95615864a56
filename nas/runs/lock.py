"""One driver at a time on a run folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def sole_driver(folder: Path) -> Iterator[None]:
    """Hold the run folder; the kernel lets go of it when this process dies, however it dies.

    Raises:
        ValueError: if another search is at work in it.
    """
    lock = FileLock(folder / ".driver.lock")
    try:
        # at once or not at all: a second driver would wait for days
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"{folder}: another search is at work in this folder"
        ) from None
    try:
        yield
    finally:
        lock.release()

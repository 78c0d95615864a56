"""``study.db`` kept up to date while a search goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def mirrored(folder: Path, every: float = 10.0) -> Iterator[None]:
    """Keep ``study.db`` up to date from a thread of its own, which rests nine times as long as it works."""
    done = threading.Event()

    def follow() -> None:
        # here, since its import of sqlalchemy takes time that the start of a search needs
        from nas.runs.optuna_study import write_study

        rest = every
        while not done.wait(rest):
            started = time.perf_counter()
            # nothing finished yet, a full disk: the end will tell
            with suppress(ValueError, OSError):
                write_study(folder)
            rest = max(every, 9 * (time.perf_counter() - started))

    # a thread: the search must not wait for a file that only people look at
    thread = threading.Thread(target=follow, name="study.db", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

"""Progress of what takes longer than a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE_SECONDS = 2.0


@contextmanager
def shown_if_slow(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with what is being done, how much is done and in all; draws after two seconds."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(30),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    started, task = monotonic(), bar.add_task("")

    def update(what: str, done: int, total: int) -> None:
        if monotonic() - started > PATIENCE_SECONDS and not bar.live.is_started:
            bar.start()
        bar.update(task, description=what, completed=done, total=total or None)

    try:
        yield update
    finally:
        bar.stop()

"""Progress of what takes longer than a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE_SECONDS = 2.0


@contextmanager
def shown_if_slow(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with what is being done, how much is done and in all.

    Draws after two seconds, on a terminal alone.
    """
    columns = (TextColumn("{task.description}"), BarColumn(30), TimeRemainingColumn())
    bar = Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    )
    task = bar.add_task("", total=None)
    patience = Timer(PATIENCE_SECONDS, bar.start)  # a single step may take minutes
    patience.start()
    try:
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total or None
        )
    finally:
        patience.cancel()
        patience.join()
        bar.stop()

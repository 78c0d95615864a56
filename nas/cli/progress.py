"""Progress of what takes longer than a moment."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Timer

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

PATIENCE_SECONDS = 2.0
PLAIN_LINE_SECONDS = 15.0
"""Between two lines of progress where no terminal can redraw one."""


def redraws(console: Console) -> bool:
    """Whether lines can be drawn over: not in a pipe or a file, nor where ``TERM`` is dumb."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def shown_if_slow(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A function to call with what is being done, how much is done and in all.

    On a terminal a bar after two seconds; elsewhere a line now and then.
    """
    if not redraws(console):
        yield _lines(console)
        return
    words = TextColumn("{task.description}", markup=False)
    columns = (words, BarColumn(30), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
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


def without_bars_in_pipes() -> None:
    """The hub's library draws its own bars, and would do so where nobody looks."""
    with suppress(ImportError):
        from huggingface_hub.utils.tqdm import disable_progress_bars

        if not sys.stderr.isatty():
            disable_progress_bars()


def _lines(console: Console) -> Callable[[str, int, int], None]:
    last = time.monotonic()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_LINE_SECONDS:
            last = time.monotonic()
            share = f" {done / total:.0%}" if total else ""
            console.print(f"{what}{share}")

    return tell

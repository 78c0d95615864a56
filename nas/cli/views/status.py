"""A search's status for the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nas.cli.fitting import FittingTable
from nas.cli.program import as_typed
from results.runs.health import health
from results.runs.status import Status, read_status
from results.wording import counted, duration, label, number, with_unit

EVERY = 2.0


def print_status(folder: Path, console: Console) -> None:
    console.print(status_view(read_status(folder)), soft_wrap=not console.is_terminal)


def follow(folder: Path, console: Console) -> None:
    """The status, renewed every other second until the search ends or Ctrl-C."""
    status = read_status(folder)
    with Live(status_view(status), console=console, auto_refresh=False) as live:
        try:
            # a search that was killed never ends: Ctrl-C is then the reader's
            while status.run.ended is None:
                time.sleep(EVERY)
                status = read_status(folder)
                live.update(status_view(status), refresh=True)
        except KeyboardInterrupt:
            return


def status_view(status: Status) -> RenderableType:
    lines = [Text(line) for line in _lines(status)]
    if not status.running:
        return Group(*lines)
    return Group(*lines, _running(status))


def _lines(status: Status) -> Iterator[str]:
    run = status.run
    trials = status.run.config.get("trials")
    age = duration(status.age)
    longest = duration(status.longest_pause)
    yield f"{run.path}: {f'ended: {run.ended}' if run.ended else f'last event {age} ago'}"
    if status.silent:
        yield (
            f"no event for {age}, the longest wait before was {longest}: "
            f"maybe it was killed; go on with: {as_typed('resume', run.path)}"
        )
    if run.damage:
        yield run.damage
    counts = ", ".join(f"{count} {name}" for name, count in status.counts.items())
    yield f"{status.done}{f' of {trials}' if trials else ''} trials done ({counts or 'none proposed yet'})"
    yield _front(status)
    yield _pace(status)
    yield from (f"look at {finding}" for finding in health(run))


def _front(status: Status) -> str:
    run = status.run
    if status.hypervolume is None:
        none = "no network has been trained to the end yet"
        return f"no front: {run.no_front or none}"
    reference_point = run.reference_point().items()
    corner = [with_unit(name, value) for name, value in reference_point]
    volume = f"hypervolume {status.hypervolume:.4g} from {', '.join(corner)}"
    return f"front of {counted(status.front, 'network')}, {volume}"


def _pace(status: Status) -> str:
    words = [f"{duration(status.run.seconds)} worked"]
    if status.done and status.run.seconds:
        words.append(f"{60 * status.done / status.run.seconds:.3g} trials a minute")
    if status.run.ended is None:
        left = ", ".join(f"{value:.4g} {name}" for name, value in status.left.items())
        words += [f"left: {left}"] if left else []
        if status.seconds_left is not None:
            words.append(f"about {duration(status.seconds_left)} at this pace")
    return "; ".join(words)


def _running(status: Status) -> Table:
    table = FittingTable(box=SIMPLE)
    objectives = list(status.run.objectives)
    for name in ("trial", "network", "epoch", *map(label, objectives)):
        table.add_column(name, justify="left" if name == "network" else "right")
    per_trial = (status.run.config.get("training") or {}).get("epochs", "?")
    for row in status.running:
        values = [number(name, row[name]) for name in objectives]
        table.add_row(
            str(row["trial"]),
            _text(row["arch_id"]),
            f"{row['epochs']}/{per_trial}",
            *values,
        )
    return table


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)

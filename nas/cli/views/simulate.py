"""The command ``simulate`` on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from nas.cli.tables import simulations_table
from nas.simulation.outcome import figure
from nas.simulation.virtual_cluster import Cluster
from nas.simulation.what_if import (
    CurveSource,
    emulated,
    recorded,
    surrogate,
    what_if,
    what_if_summary,
)
from results import write_atomic

CLUSTER = tuple(Cluster.__dataclass_fields__)


def print_what_if(
    folder: Path | None,
    space: str | None,
    stoppers: Sequence[str],
    console: Console,
    out: Path | None,
    options: Mapping[str, Any],
) -> None:
    """Simulate, with a bar that shows after a second or two, and print the table and what it says."""
    source = _source(folder, space, options)
    cluster = Cluster(**{name: options[name] for name in CLUSTER})
    with _bars(console) as show:
        answer = what_if(
            source,
            stoppers or ("none", "moasha"),
            cluster,
            seed=options["seed"],
            progress=show,
            **_budget(source, options),
        )
    console.print(simulations_table(answer.table))
    for line in what_if_summary(source, answer):
        console.print(line)
    if space:
        console.print(
            "The curves are a formula's (docs/simulator.md): trust the comparison, not the accuracies."
        )
    if out:
        write_atomic(out, figure(answer.timelines).to_html(include_plotlyjs=True))
        console.print(f"{out}")


def _budget(source: CurveSource, options: Mapping[str, Any]) -> dict[str, float]:
    """What the user said, else the trials of the run's own search, else a day."""
    names = {"hours": "hours", "trials": "trials", "epochs": "total_epochs"}
    given = {name: options[option] for name, option in names.items()}
    given = {name: value for name, value in given.items() if value is not None}
    usual = source.usual_trials
    return given or ({"trials": usual} if usual else {"hours": 24.0})


@contextmanager
def _bars(console: Console) -> Iterator[Callable[[str, float], None]]:
    """A function that shows how much of a stopper's simulation is done, a bar for each."""
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    # bars appear one by one, as their simulations begin
    tasks: dict[str, TaskID] = {}

    def show(stopper: str, share: float) -> None:
        if stopper not in tasks:
            tasks[stopper] = bar.add_task(f"simulating {stopper}", total=1.0)
        bar.update(tasks[stopper], completed=share)

    with bar:
        yield show


def _source(
    folder: Path | None, space: str | None, options: Mapping[str, Any]
) -> CurveSource:
    if (folder is None) == (space is None):
        raise ValueError(
            "simulate needs a run folder or --surrogate SPACE (resnest, regnety, …), one of the two"
        )
    if folder is not None:
        sampler = options["sampler"]
        seed = options["seed"]
        if sampler is None:
            return recorded(folder, seed)
        return emulated(folder, sampler, seed)
    if options["sampler"] is not None:
        raise ValueError(
            "--sampler needs a run folder, from which it can learn; a surrogate's rows are random"
        )
    return surrogate(
        str(space), options["epochs"], options["epoch_seconds"], options["seed"]
    )

"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from results import Run
from results.wording import label, number, summary
from search_spaces import REFERENCES, get_space
from search_spaces.catalog import SPACES
from search_spaces.space import spell

COMMON = ("accuracy", "latency_ms", "flops", "params")


def print_outcome(run: Run, console: Console) -> None:
    """The end of a search: what was found, where it is, what to type next."""
    console.print(" ".join(summary(run, run.front())), markup=False, highlight=False)
    if not run.complete.empty:
        console.print(front_table(run.front(), run.objectives))
    for line in (
        f"open      {run.path / 'report.html'}",
        f"tables    {run.path / 'trials.parquet'}, epochs.parquet, front.json",
        f"pandas    from results import load_run; load_run({str(run.path)!r}).front()",
        f"again     python run_search.py front {run.path}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def front_table(front: pd.DataFrame, objectives: Iterable[str]) -> Table:
    """Networks of a front: trial, objectives and common metrics, and the knobs in which they differ."""
    columns = [str(name) for name in front]
    metrics = list(dict.fromkeys((*objectives, *(name for name in COMMON if name in columns))))
    table = Table(title=f"Pareto front: {len(front)} networks", title_justify="left", box=SIMPLE)
    table.add_column("trial", justify="right")
    for name in metrics:
        table.add_column(label(name), justify="right")
    table.add_column("knobs", overflow="fold", min_width=36)
    varying = [name for name in columns if name.startswith("arch.") and front[name].astype(str).nunique() > 1]
    for row in front.to_dict("records"):
        knobs = {name.removeprefix("arch."): row[name] for name in varying if pd.notna(row[name])}
        table.add_row(str(row["trial"]), *(number(name, row[name]) for name in metrics), _short(knobs))
    return table


def _short(knobs: Mapping[str, Any]) -> str:
    """``depth 2-1-2-1 radix 2``: the stages of a knob together."""
    stages: dict[str, list[str]] = {}
    for name, value in knobs.items():
        stages.setdefault(name.rstrip("0123456789"), []).append(str(value))
    return " ".join(f"{name} {'-'.join(values)}" for name, values in stages.items())


def parse_objectives(pairs: Iterable[str]) -> dict[str, str] | None:
    """``("accuracy=max", …)`` as a mapping; None if there are none."""
    objectives = dict(pair.partition("=")[::2] for pair in pairs)
    return objectives or None


def spaces_table() -> Table:
    table = Table(title="Search spaces", title_justify="left", box=SIMPLE)
    table.add_column("space")
    table.add_column("knobs", overflow="fold")
    table.add_column("published networks", overflow="fold")
    for name in SPACES:
        published = [key for key, arch in REFERENCES.items() if arch.space == name]
        table.add_row(name, " ".join(get_space(name).knobs()), " ".join(published))
    return table


def knobs_table(name: str) -> Table:
    space = get_space(name)
    about = (type(space).__doc__ or "").strip()
    table = Table(title=f"Space {name}: {about}", title_justify="left", box=SIMPLE)
    table.add_column("knob")
    table.add_column("choices", overflow="fold")
    for knob, choices in space.knobs().items():
        table.add_row(knob, spell(choices))
    return table


def measurement_table(network: str, measured: Mapping[str, Any]) -> Table:
    table = Table(title=network, title_justify="left", box=SIMPLE, show_header=False)
    table.add_column("metric")
    table.add_column("value", overflow="fold")
    for name, value in measured.items():
        table.add_row("FLOPs by fvcore" if name == "fvcore_flops" else label(name), _exact(name, value))
    return table


def _exact(name: str, value: float | int | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else number(name, value)

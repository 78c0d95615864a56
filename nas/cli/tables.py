"""Tables for the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from math import isnan
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluators import Prediction
from nas.cli.fitting import FittingTable
from nas.cli.program import as_typed
from nas.config.loading import load_space
from nas.config.pairs import split_pair
from nas.controller import NO_MORE_NETWORKS
from nas.exporting.programs import Check
from results import Comparison, Run
from results.metrics import is_knob, knob_column
from results.objectives import Directions
from results.runs.health import health
from results.runs.summary import summary
from results.wording import label, number
from search_spaces import REFERENCES, get_space
from search_spaces.catalog import SPACES
from search_spaces.knobs import spell_values
from search_spaces.unions import FAMILY

COMMON = ("accuracy", "latency_ms", "flops", "params")
SIMULATED_COUNTS = ("trials", "complete", "stopped", "failed", "epochs")
WIDE = 100
"""Columns of a terminal from which on there is room for more than the objectives."""


def print_outcome(run: Run, console: Console, finalists_next: bool = False) -> int:
    """The end of a search: what was found, where it is, what to type next. Returns the exit code.

    ``finalists_next``: unless the search failed, its finalists follow, and what to type next comes with them.
    """
    front = run.comparable_front()
    console.print(" ".join(summary(run, front)))
    if len(front):
        console.print(front_table(front, run.objectives, console.width))
    going_on = finalists_next and run.ended != "interrupted" and len(run.complete) > 0
    for line in (
        *_where_it_is(run),
        *(() if going_on else _what_next(run, any_found=len(front) > 0)),
    ):
        console.print(line, soft_wrap=True)
    if run.ended == "interrupted":
        return 130
    if run.complete.empty:
        errors = run.trials["error"].dropna()
        reason = errors.iloc[-1] if len(errors) else "all were stopped early"
        console.print(f"no trial was trained to its end: {reason}", soft_wrap=True)
        return 1
    return 0


def _where_it_is(run: Run) -> Iterator[str]:
    """What is worth a look, and where things are."""
    for finding in health(run):
        yield f"look at   {finding}"
    yield f"open      {run.path / 'report.html'}"
    yield f"tables    {run.path / 'trials.parquet'}, epochs.parquet, front.json"
    yield f"pandas    from results import load_run; load_run({str(run.path)!r}).front()"


def _what_next(run: Run, any_found: bool) -> Iterator[str]:
    if run.ended != NO_MORE_NETWORKS:
        more = [] if run.ended == "interrupted" else _what_to_raise(run.config)
        yield " ".join([f"go on     {as_typed('resume', run.path)}", *more])
    if any_found:
        choice = _example_pick(run.objectives)
        yield f"pick      {as_typed('select', run.path)} {choice}"


def _what_to_raise(config: Mapping[str, Any]) -> Iterator[str]:
    """The settings that end a search, as they are to be typed."""
    stop = config.get("stop") or {}
    yield "--set trials=…"
    yield from (f"--set stop.{name}=…" for name in stop if stop[name] is not None)


def _example_pick(objectives: Directions) -> str:
    """How ``select`` could be called for a search of these objectives."""
    (first, way), *others = objectives.items()
    bounds = [
        f"--{'over' if way == 'max' else 'under'} {name}=…" for name, way in others[:1]
    ]
    return " ".join([f"--{way}imize {first}", *bounds])


def print_comparison(comparison: Comparison, out: Path, console: Console) -> None:
    """Which population is better, in words; its quantiles with intervals; where the rest is."""
    console.print(comparison.verdict)
    table = FittingTable(box=SIMPLE)
    for name in ("population", "what", "value", "lower", "upper", "networks"):
        table.add_column(
            name, justify="left" if name in ("population", "what") else "right"
        )
    for row in comparison.summary.to_dict("records"):
        ends = (_four_digits(row[name]) for name in ("value", "lower", "upper"))
        table.add_row(row["population"], row["what"], *ends, str(row["networks"]))
    console.print(table)
    console.print(
        f"tests, effect and distributions: {out / 'comparison.json'}, edf.csv",
    )


def _four_digits(value: float) -> str:
    """A dash for what so few networks do not tell."""
    return "\N{EN DASH}" if isnan(value) else f"{value:.4g}"


def front_table(
    front: pd.DataFrame,
    objectives: Iterable[str],
    width: int,
    name: str = "Pareto front",
) -> Table:
    """Networks of a front: trial, objectives, and the knobs in which they differ; with room, common metrics.

    Numbered knobs, one per stage, are shown all or none, so that places tell stages.
    """
    measured = front.columns[front.notna().any()]
    common = (name for name in COMMON if name in measured and width >= WIDE)
    metrics = list(dict.fromkeys((*objectives, *common)))
    varying = _varying_knobs(front)
    title = f"{name}: {len(front)} network{'s' * (len(front) != 1)}"
    table = FittingTable(title=title, title_justify="left", box=SIMPLE)
    table.add_column("trial", justify="right")
    for name in metrics:
        table.add_column(label(name), justify="right")
    table.add_column("knobs", overflow="fold")
    for row in front.to_dict("records"):
        known = [name for name in varying if pd.notna(row[name])]
        # of several families each row names its own
        family = f"{row.get(knob_column(FAMILY))}."
        knobs = {
            name.removeprefix("arch.").removeprefix(family): row[name] for name in known
        }
        values = [number(name, row[name]) for name in metrics]
        table.add_row(str(row["trial"]), *values, _short(knobs))
    return table


def _varying_knobs(front: pd.DataFrame) -> list[str]:
    """The columns of knobs in which networks differ; with one of several stages, those of all.

    Knobs that only one family has are compared among its networks.
    """
    knobs = [name for name in map(str, front) if is_knob(name)]
    differ = {_base(name) for name in knobs if _differs(front[name].dropna())}
    return [name for name in knobs if _base(name) in differ]


def _differs(column: pd.Series[Any]) -> bool:
    # a single network differs from none: all of its knobs are shown
    return len(column) == 1 or column.astype(str).nunique() > 1


def _base(knob: str) -> str:
    """What knobs that differ only in their number share: ``depth`` of ``depth1``."""
    # operator1_2 is of stage 1, row 2
    return re.sub(r"(\d+_)?\d+$", "", knob)


def _short(knobs: Mapping[str, object]) -> str:
    """``depth 2-1-2-1 radix 2``: numbered knobs of the same name together."""
    groups: dict[str, list[str]] = {}
    for name in knobs:
        groups.setdefault(_base(name), []).append(name)
    return " ".join(
        f"{base if len(names) > 1 else names[0]} {'-'.join(str(knobs[name]) for name in names)}"
        for base, names in groups.items()
    )


def parse_objectives(pairs: Iterable[str]) -> dict[str, str]:
    """``("accuracy=max", …)`` as a mapping."""
    objectives: dict[str, str] = {}
    for pair in pairs:
        name, direction = split_pair(
            pair, f"--objective {pair}:", "METRIC=max or METRIC=min, e.g. accuracy=max"
        )
        if name in objectives:
            raise ValueError(f"objective {name} is given twice")
        objectives[name] = direction
    return objectives


def spaces_table() -> Table:
    table = FittingTable(title="Search spaces", title_justify="left", box=SIMPLE)
    table.add_column("space")
    table.add_column("knobs", overflow="fold")
    table.add_column("published networks", overflow="fold")
    for name in SPACES:
        published = [key for key, arch in REFERENCES.items() if arch.space == name]
        knobs = " ".join(get_space(name).knobs())
        table.add_row(name, knobs, " ".join(published))
    return table


def knobs_table(name: str) -> Table:
    space = load_space(name)
    about = (type(space).__doc__ or "").strip().partition("\n\n")[0]
    table = FittingTable(
        title=f"Space {name}: {about}", title_justify="left", box=SIMPLE
    )
    table.add_column("knob", no_wrap=True)
    table.add_column("choices", overflow="fold")
    for knob, choices in space.knobs().items():
        table.add_row(knob, spell_values(choices))
    return table


def measurement_table(network: str, measured: Mapping[str, Any]) -> Table:
    table = FittingTable(
        title=network, title_justify="left", box=SIMPLE, show_header=False
    )
    table.add_column("metric")
    table.add_column("value", overflow="fold")
    for name, value in measured.items():
        table.add_row(
            "FLOPs by fvcore" if name == "fvcore_flops" else label(name),
            _exact(name, value),
        )
    return table


def _exact(name: str, value: float | int | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else number(name, value)


def simulations_table(table: pd.DataFrame) -> Table:
    """What ``nas.simulation.outcome.compare`` gives; hypervolume as a share of the first row's."""
    shown = FittingTable(title="Simulated", title_justify="left", box=SIMPLE)
    shown.add_column("stopper")
    for name in ("hours", *SIMULATED_COUNTS, "training", "hypervolume"):
        shown.add_column(name, justify="right")
    first = table["hypervolume"].iloc[0]
    for stopper, row in table.iterrows():
        counts = [f"{int(row[key]):,}" for key in SIMULATED_COUNTS]
        volume = f"{row['hypervolume'] / first:.2%}" if first else "0"
        hours = f"{row['hours']:.1f}"
        busy = f"{row['utilisation']:.0%}"
        shown.add_row(str(stopper), hours, *counts, busy, volume)
    return shown


def checks_table(checks: Mapping[str, Check]) -> Table:
    """Exported programs: size, time, distance from the network."""
    table = FittingTable(box=SIMPLE)
    table.add_column("program")
    distances = "largest difference of logits", "float32 rounding", "largest logit"
    for name in ("megabytes", "seconds", *distances):
        table.add_column(name, justify="right")
    for name, check in checks.items():
        numbers = (
            f"{check.megabytes:.1f}",
            f"{check.seconds:.1f}",
            f"{check.max_difference:.1e}",
            f"{check.rounding:.1e}",
        )
        table.add_row(name, *numbers, f"{check.largest_logit:.3g}")
    return table


def predictions_table(predictions: Iterable[Prediction]) -> Table:
    """The labels of every image that could be read, most probable first."""
    table = FittingTable(box=SIMPLE)
    table.add_column("image", overflow="fold")
    table.add_column("label", overflow="fold")
    table.add_column("probability (%)", justify="right")
    for each in predictions:
        for rank, (name, probability) in enumerate(each.classes):
            image = "" if rank else str(each.path)
            table.add_row(Text(image), Text(name), f"{100 * probability:.2f}")
    return table

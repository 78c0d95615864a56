"""What a report's page knows about a run: plain values for JSON, in the units of their labels."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import yaml

from results import wording
from results.metrics import is_knob, metric
from results.objectives import Directions
from results.report import charts as figures
from results.report.knob_effects import effects
from results.runs.finalists import FinalistsOutcome, load_outcome
from results.runs.finalists_table import finalists_table
from results.runs.health import NUMBER, health
from results.runs.run import Run
from results.runs.summary import summary
from results.strict_json import JsonObject

Stages = Callable[[Mapping[str, object]], Sequence[Mapping[str, object]] | None]
"""From an architecture (``trials.arch``) to its stages: name, depth, width, resolution and other traits."""

NOT_METRICS = ("trial", "seed")
FAILURES = 50
"""Different reasons that are listed."""


def page_data(
    run: Run,
    *,
    stages: Stages | None = None,
    against: Mapping[str, object] | None = None,
) -> JsonObject:
    """Everything the page shows about ``run``, as JSON values.

    Raises:
        ValueError: if what its finalists came to cannot be read.
    """
    front = run.comparable_front()
    machine = run.environment
    knobs = [
        name
        for name in map(str, run.trials)
        if is_knob(name) and run.trials[name].notna().any()
    ]
    metrics = _metrics(run)
    finals = load_outcome(run.path)
    return {
        # the watch server says otherwise
        "live": False,
        "tiles": _tiles(run, front),
        # whether the search was worth it comes before what it found
        "summary": [*(finals.verdict[:1] if finals else ()), *summary(run, front)],
        "health": [vars(finding) for finding in health(run)],
        "objectives": run.objectives,
        "metrics": [_metric(name, run.trials[name]) for name in metrics],
        "trials": _trials(run.trials, metrics, knobs, set(front["trial"])),
        "stages": _stages(run.trials["arch"], stages),
        "retrain": f"splitsearch retrain {shlex.quote(str(run.path))} --trial {{trial}}",
        "progress": figures.progress(run),
        "learning": figures.learning(run, front["trial"].tolist()),
        "fidelity": figures.fidelities(run),
        "effects": effects(run, knobs),
        "failures": _failures(run.trials),
        "environment": _yaml(machine) if machine else "not recorded",
        "settings": _yaml(run.config),
        "against": against,
        "finalists": _finalists(finals, run.objectives) if finals else None,
    }


def _finalists(outcome: FinalistsOutcome, objectives: Directions) -> JsonObject:
    """What the full trainings came to, in sentences and as a table."""
    headings, rows = finalists_table(outcome.networks, objectives)
    return {"verdict": outcome.verdict, "headings": headings, "rows": rows}


def _tiles(run: Run, front: pd.DataFrame) -> list[tuple[str, str]]:
    tiles = [
        (str(len(run.trials)), "networks tried"),
        (wording.duration(run.seconds), "search time"),
    ]
    if front.empty:
        return tiles
    first = next(iter(run.objectives))
    enclosed = run.hypervolume()
    # of networks trained with several seeds a row is one training, and the best is a lucky one
    repeated = run.complete["arch_id"].duplicated().any()
    best = f"best {wording.label(first)}{', one training' if repeated else ''}"
    return [
        (wording.number(first, front.iloc[0][first]), best),
        (str(len(front)), "on the front"),
        *([(f"{enclosed:.4g}", "hypervolume")] if enclosed > 0 else []),
        *tiles,
    ]


def _metrics(run: Run) -> list[str]:
    """Numeric columns that some trial has a value of, objectives first."""
    measured = [
        name
        for name in run.trials.select_dtypes("number").columns
        if name not in NOT_METRICS
        and not is_knob(name)
        and run.trials[name].notna().any()
    ]
    return [n for n in run.objectives if n in measured] + [
        n for n in measured if n not in run.objectives
    ]


def _metric(name: str, column: "pd.Series[Any]") -> JsonObject:
    positive = bool((column.dropna() > 0).all())
    return {
        "name": name,
        "label": wording.label(name),
        "log": metric(name).logarithmic and positive,
        "percent": wording.scale(name) != 1,
        "whole": pd.api.types.is_integer_dtype(column),
    }


def _trials(
    trials: pd.DataFrame, metrics: Sequence[str], knobs: Sequence[str], front: set[int]
) -> JsonObject:
    """By column: a tenth of the size of one object per trial."""
    return {
        "trial": trials["trial"].tolist(),
        "status": _texts(trials["status"]),
        "front": [int(trial in front) for trial in trials["trial"]],
        "arch_id": _texts(trials["arch_id"]),
        # only of finalists
        "names": _names(trials) if "network" in trials else None,
        "error": _texts(trials["error"]),
        "metrics": {
            name: figures.shown(trials[name], wording.scale(name)) for name in metrics
        },
        "knobs": {name.removeprefix("arch."): _texts(trials[name]) for name in knobs},
    }


def _names(trials: pd.DataFrame) -> list[str | None]:
    """What each training of a finalist is called: "random 2, seed 1"."""
    return [
        None if pd.isna(network) else f"{network}, seed {seed}"
        for network, seed in zip(trials["network"], trials["seed"], strict=True)
    ]


def _stages(archs: "pd.Series[Any]", read: Stages | None) -> JsonObject:
    """``of``: per trial the places of its stages in ``rows``, which holds every different stage once."""
    # networks share most of their stages: each different one is sent once
    rows: dict[tuple[Any, ...], int] = {}
    of = []
    for arch in archs:
        found = read(json.loads(arch)) if read and pd.notna(arch) else None
        traits = [tuple(stage.items()) for stage in found or ()]
        of.append([rows.setdefault(stage, len(rows)) for stage in traits])
    return {"rows": [dict(row) for row in rows], "of": of}


def _texts(column: "pd.Series[Any]") -> list[Any]:
    if pd.api.types.is_float_dtype(column):
        return figures.shown(column)
    return column.astype(object).where(column.notna(), None).tolist()


def _failures(trials: pd.DataFrame) -> JsonObject:
    """Reasons why trials gave no result, most frequent first."""
    lost = trials[trials["status"].isin(["failed", "infeasible"])].fillna(
        {"error": "no reason given"}
    )
    # "flops 1.2e9 is outside …" is one reason
    alike = lost["error"].str.replace(NUMBER, "#", regex=True)
    found = [members for _, members in lost.groupby(["status", alike])]
    found.sort(key=len, reverse=True)
    note = f"{wording.counted(len(lost), 'network')} for {wording.counted(len(found), 'reason')}"
    note += f"; the {FAILURES} most frequent." if len(found) > FAILURES else "."
    groups = [_group(rows) for rows in found[:FAILURES]]
    return {"groups": groups, "note": note}


def _group(rows: pd.DataFrame) -> JsonObject:
    """Trials that ended for one reason; the first one's words stand for all."""
    reason = rows["error"].iloc[0]
    more = len(rows) - 1
    if rows["error"].nunique() > 1:
        reason += f"\n… and {more} more that differ only in numbers"
    some = ", ".join(map(str, rows["trial"].head(20)))
    return {
        "status": rows["status"].iloc[0],
        "reason": reason,
        "count": len(rows),
        "trials": some + (", …" if len(rows) > 20 else ""),
    }


def _yaml(facts: Mapping[str, object]) -> str:
    return yaml.safe_dump(dict(facts), sort_keys=False, allow_unicode=True)

"""How numbers, metrics and whole runs read to a person."""

from collections.abc import Mapping
from math import floor, log10
from numbers import Integral
from typing import Any

import pandas as pd

from results.metrics import metric as about
from results.runs.run import Run

_MISSING = "\N{EN DASH}"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_OUTCOMES = {
    "complete": "trained to the end",
    "stopped": "stopped early",
    "infeasible": "over a limit",
    "duplicate": "known already",
    "failed": "failed",
    "running": "not finished",
}


def scale(metric: str) -> float:
    """What to multiply a stored value with to show it: fractions are shown as percentages."""
    return 100.0 if about(metric).unit == "fraction" else 1.0


def name_of(metric: str) -> str:
    """What a person calls it."""
    return about(metric).label or metric


def label(metric: str) -> str:
    """The name of a metric with its unit, for an axis or a column."""
    unit = (
        "%"
        if scale(metric) != 1
        else ""
        if about(metric).logarithmic
        else about(metric).unit
    )
    return f"{name_of(metric)}{unit and f' ({unit})'}"


def number(metric: str, value: Any) -> str:
    """A value of a metric, without its unit: four digits, counts with an SI prefix, a dash where missing."""
    if pd.isna(value):
        return _MISSING
    if isinstance(value, Integral) and not about(metric).logarithmic:
        return str(value)
    value = float(value) * scale(metric)
    if about(metric).logarithmic:
        factor, prefix = next(
            ((size, sign) for size, sign in _PREFIXES if abs(value) >= size), (1.0, "")
        )
        return f"{value / factor:.4g} {prefix}".strip()
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3e}"
    decimals = max(0, 3 - floor(log10(abs(value)))) if value else 0
    return f"{value:.{min(decimals, 2 if scale(metric) != 1 else 6)}f}"


def with_unit(metric: str, value: Any) -> str:
    """For example "accuracy 97.2 %", "latency 3.1 ms", "1.8 G FLOPs"."""
    if about(metric).logarithmic:
        return f"{number(metric, value)} {name_of(metric)}"
    unit = "%" if scale(metric) != 1 else about(metric).unit
    return f"{name_of(metric)} {number(metric, value)} {unit}".strip()


def duration(seconds: float) -> str:
    """For example "4 min 12 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def summary(run: Run, front: pd.DataFrame) -> list[str]:
    """The run in a few sentences."""
    aims = ", ".join(
        f"{name} ({_sense(direction)})" for name, direction in run.objectives.items()
    )
    sentences = [
        counted(len(run.trials), "network")
        + f"{_where(run)} in {duration(run.seconds)}{_outcomes(run.trials)}.",
        f"Objectives: {aims}." if aims else "The log names no objectives.",
        f"The search ended: {run.ended}."
        if run.ended
        else "The search is still running, or was interrupted.",
    ]
    if run.damage:
        sentences.append(f"Take care: {run.damage}.")
    if run.complete.empty:
        return [
            *sentences,
            "No network has been trained to the end yet, so there is no front to show.",
        ]
    if run.no_front:
        return [*sentences, f"There is no front: {run.no_front}."]
    if len(front):
        reference = ", ".join(
            with_unit(name, value) for name, value in run.reference_point().items()
        )
        enclosed = run.hypervolume()
        best = ", ".join(
            with_unit(name, front.iloc[0][name]) for name in run.objectives
        )
        sentences += [
            f"{counted(len(front), 'network')} on the Pareto front; best in {next(iter(run.objectives))}: "
            f"trial {front.iloc[0]['trial']} ({best}).",
            f"The hypervolume {enclosed:.4g} is measured from {reference}."
            if enclosed > 0
            else f"No network is better than {reference} in all of them, so there is no hypervolume yet.",
        ]
    return sentences


def _sense(direction: str) -> str:
    return "more is better" if direction == "max" else "less is better"


def counted(count: int, noun: str) -> str:
    """For example "1 network", "2 networks"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _where(run: Run) -> str:
    spaces = " and ".join(run.trials["space"].dropna().unique())
    data = run.config.get("data")
    if isinstance(data, Mapping):
        data = data.get("name")
    return (f" of {spaces}" if spaces else "") + (f" on {data}" if data else "")


def _outcomes(trials: pd.DataFrame) -> str:
    counts = trials["status"].value_counts()
    parts = [
        f"{counts[status]} {words}"
        for status, words in _OUTCOMES.items()
        if status in counts
    ]
    return f": {', '.join(parts)}" if parts else ""

"""A run in words."""

from collections.abc import Mapping

import pandas as pd

from results.runs.run import Run
from results.wording import counted, duration, with_unit

_OUTCOMES = {
    "complete": "trained to the end",
    "stopped": "stopped early",
    "infeasible": "over a limit",
    "duplicate": "known already",
    "failed": "failed",
    "running": "not finished",
}


def summary(run: Run, front: pd.DataFrame) -> list[str]:
    """The run in a few sentences."""
    aims = ", ".join(
        f"{name} ({_sense(direction)})" for name, direction in run.objectives.items()
    )
    tried = f"{counted(len(run.trials), 'network')}{_where(run)}"
    still = "The search is still running, or was interrupted."
    sentences = [
        f"{tried} in {duration(run.seconds)}{_outcomes(run.trials)}.",
        f"Objectives: {aims}." if aims else "The log names no objectives.",
        f"The search ended: {run.ended}." if run.ended else still,
    ]
    if run.damage:
        sentences.append(f"Take care: {run.damage}.")
    if run.complete.empty:
        none = "No network has been trained to the end yet"
        return [*sentences, f"{none}, so there is no front to show."]
    if run.no_front:
        return [*sentences, f"There is no front: {run.no_front}."]
    found = _of_front(run, front) if len(front) else []
    return [*sentences, *_validation(run.epochs), *found]


def _validation(epochs: pd.DataFrame) -> list[str]:
    """What validating cost; runs of other evaluators, and older ones, do not tell."""
    clocks = ["validation_seconds", "seconds"]
    told = epochs.reindex(columns=["trial", *clocks]).dropna()
    if told.empty:
        return []
    validating, whole = told.groupby("trial")[clocks].sum().mean()
    return [
        f"Validation took {validating:.1f} of the {whole:.1f} seconds that a trial trained."
    ]


def _of_front(run: Run, front: pd.DataFrame) -> list[str]:
    """How many networks are on the front, which is best, and what they enclose."""
    first = next(iter(run.objectives))
    best = front.iloc[0]
    values = ", ".join(with_unit(name, best[name]) for name in run.objectives)
    count = counted(len(front), "network")
    reference_point = run.reference_point().items()
    corner = [with_unit(name, value) for name, value in reference_point]
    reference = ", ".join(corner)
    enclosed = run.hypervolume()
    return [
        f"{count} on the Pareto front; best in {first}: trial {best['trial']} ({values}).",
        f"The hypervolume {enclosed:.4g} is measured from {reference}."
        if enclosed > 0
        else f"No network is better than {reference} in all of them, so there is no hypervolume yet.",
    ]


def _sense(direction: str) -> str:
    return "more is better" if direction == "max" else "less is better"


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

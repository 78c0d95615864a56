"""The charts of a report: what to draw, thinned to what an eye can tell apart; values as they are shown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from results import wording
from results.runs.fidelity import at_epoch, epoch_metrics, stopping_epochs
from results.runs.run import Run
from results.strict_json import JsonObject

CURVES_AT_MOST = 40
"""Learning curves of each kind (front, stopped, others) at most."""
FIDELITIES = 4
"""Epochs at which networks can be compared, besides the last, at most."""
POINTS_AT_MOST = 500
"""Points of one line at most."""


def progress(run: Run) -> JsonObject | None:
    """The hypervolume after every network that raised it; None where nothing encloses one."""
    if run.no_front or not run.objectives or run.complete.empty:
        return None
    history = run.hypervolume_over_time()
    if len(history) < 2 or not history["hypervolume"].max() > 0:
        return None
    last = history.index == history.index[-1]
    rises = history[(history["hypervolume"].diff() != 0) | last]
    since = rises["finished"] - run.trials["started"].min()
    minutes = since.dt.total_seconds() / 60
    known = thinned(np.flatnonzero(minutes.notna()).tolist(), POINTS_AT_MOST)
    return {
        "minutes": shown(minutes.iloc[known]),
        "hypervolume": shown(rises["hypervolume"].iloc[known]),
        "note": f"The hypervolume that the networks trained so far enclose, from {_corner(run)}; "
        "pauses count as time.",
    }


def _corner(run: Run) -> str:
    """The reference point in words."""
    reference = run.reference_point().items()
    return ", ".join(wording.with_unit(name, value) for name, value in reference)


def learning(run: Run, front: Sequence[int]) -> JsonObject:
    """Learning curves of the front and samples of the stopped and the other networks; ``note`` tells the rule."""
    told = [name for name in ("accuracy", *run.objectives) if name in run.epochs]
    metric = next((name for name in told if run.epochs[name].notna().any()), None)
    if metric is None:
        return {"curves": [], "label": "", "note": ""}
    known = run.epochs.dropna(subset=["epoch", metric])
    trained = run.trials[run.trials["trial"].isin(known["trial"].unique())]
    kinds = _kinds(trained, front)
    drawn = {name: thinned(trials, CURVES_AT_MOST) for name, trials in kinds.items()}
    counts = ", ".join(
        f"{len(drawn[name])} of {len(trials)} {name}"
        for name, trials in kinds.items()
        if trials
    )
    chosen = [trial for trials in drawn.values() for trial in trials]
    curves = _curves(known, metric, chosen, front)
    status = dict(zip(trained["trial"], trained["status"], strict=True))
    for curve in curves:
        curve["status"] = status[curve["trial"]]
    return {
        "curves": curves,
        "label": wording.label(metric),
        "note": f"Drawn: {counts}; of each kind at most {CURVES_AT_MOST}, evenly spread. "
        "A mark ends the curve of a network that was stopped, failed or still trains.",
    }


def _kinds(trained: pd.DataFrame, front: Sequence[int]) -> dict[str, list[int]]:
    """Trials by what their curves are worth seeing for; each is thinned by itself, so that none is crowded out."""
    there = set(trained["trial"])
    rest = trained[~trained["trial"].isin(front)]
    stopped = rest["status"] == "stopped"
    return {
        "front networks": [trial for trial in front if trial in there],
        "stopped early": rest.loc[stopped, "trial"].tolist(),
        "others": rest.loc[~stopped, "trial"].tolist(),
    }


def fidelities(run: Run) -> JsonObject:
    """What every network was worth after the epochs at which some were stopped, by column; where they compare."""
    metrics = [
        name
        for name in epoch_metrics(run.trials, run.epochs)
        if run.trials[name].notna().any()
    ]
    values = {}
    for epoch in thinned(stopping_epochs(run.trials), FIDELITIES):
        reached = at_epoch(run.trials, run.epochs, epoch)
        then = reached.reindex(run.trials.index)
        values[str(epoch)] = {
            name: shown(then[name], wording.scale(name)) for name in metrics
        }
    return {"metrics": metrics, "values": values}


def _curves(
    epochs: pd.DataFrame, metric: str, trials: Sequence[int], front: Sequence[int]
) -> list[JsonObject]:
    # one pass over all epochs, not one per curve
    chosen = epochs[epochs["trial"].isin(trials)]
    members = dict(iter(chosen.groupby("trial")))
    return [
        {
            "trial": trial,
            "front": trial in front,
            "epoch": shown(members[trial]["epoch"]),
            "value": shown(members[trial][metric], wording.scale(metric)),
        }
        for trial in trials
    ]


def shown(column: "pd.Series[Any]", scale: float = 1.0) -> list[float | int | None]:
    """JSON numbers, None where missing: counts exact, others times ``scale`` to six digits."""
    if pd.api.types.is_integer_dtype(column) and scale == 1:
        return [None if value is pd.NA else int(value) for value in column.tolist()]
    values = column.to_numpy(dtype=float, na_value=np.nan) * scale
    return [
        # six digits: more are not seen
        float(f"{value:.6g}") if np.isfinite(value) else None
        for value in values.tolist()
    ]


def thinned(items: Sequence[object], most: int) -> list[Any]:
    """At most ``most`` of ``items``, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    places = np.linspace(0, len(items) - 1, most).round().astype(int)
    return [items[place] for place in places]

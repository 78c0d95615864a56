"""The charts of a report: what to draw, thinned to what an eye can tell apart; values as they are shown."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from results import wording
from results.runs.run import Run
from results.statistics.populations import EDF
from results.statistics.trends import Trend

CURVES_AT_MOST = 40
"""Learning curves of each kind (front, stopped, others) at most."""
POINTS_AT_MOST = 500
"""Points of one line at most."""
SPLITS = 8
"""A knob with more values than this splits no distribution."""


def progress(run: Run) -> dict[str, Any] | None:
    """The hypervolume after every network that raised it; None where there is no front."""
    if run.no_front or not run.objectives or run.complete.empty:
        return None
    history = run.hypervolume_over_time()
    if history.empty:
        return None
    rises = history[
        (history["hypervolume"].diff() != 0) | (history.index == history.index[-1])
    ]
    minutes = (rises["finished"] - run.trials["started"].min()).dt.total_seconds() / 60
    known = thinned(np.flatnonzero(minutes.notna()).tolist(), POINTS_AT_MOST)
    corner = ", ".join(
        wording.with_unit(name, value) for name, value in run.reference_point().items()
    )
    return {
        "minutes": shown(minutes.iloc[known]),
        "hypervolume": shown(rises["hypervolume"].iloc[known]),
        "note": f"The hypervolume that the networks trained so far enclose, from {corner}; pauses count as time.",
    }


def learning(run: Run, front: Sequence[int]) -> dict[str, Any]:
    """Learning curves of the front and samples of the stopped and the other networks; ``note`` tells the rule."""
    metric = next(
        (
            n
            for n in ("accuracy", *run.objectives)
            if n in run.epochs and run.epochs[n].notna().any()
        ),
        None,
    )
    if metric is None:
        return {"curves": [], "label": "", "note": ""}
    known = run.epochs.dropna(subset=["epoch", metric])
    trained = run.trials[run.trials["trial"].isin(known["trial"].unique())]
    rest = trained[~trained["trial"].isin(front)]
    kinds = {
        "front networks": [trial for trial in front if trial in set(trained["trial"])],
        "stopped early": rest.loc[rest["status"] == "stopped", "trial"].tolist(),
        "others": rest.loc[rest["status"] != "stopped", "trial"].tolist(),
    }
    drawn = {name: thinned(trials, CURVES_AT_MOST) for name, trials in kinds.items()}
    counts = ", ".join(
        f"{len(drawn[name])} of {len(trials)} {name}"
        for name, trials in kinds.items()
        if trials
    )
    curves = _curves(
        known, metric, [trial for chosen in drawn.values() for trial in chosen], front
    )
    status = dict(zip(trained["trial"], trained["status"], strict=True))
    for curve in curves:
        curve["status"] = status[curve["trial"]]
    return {
        "curves": curves,
        "label": wording.label(metric),
        "note": f"Drawn: {counts}; of each kind at most {CURVES_AT_MOST}, evenly spread. "
        "A mark ends the curve of a network that was stopped, failed or still trains.",
    }


def _curves(
    epochs: pd.DataFrame, metric: str, trials: Sequence[int], front: Sequence[int]
) -> list[dict[str, Any]]:
    members = dict(iter(epochs[epochs["trial"].isin(trials)].groupby("trial")))
    return [
        {
            "trial": trial,
            "front": trial in front,
            "epoch": shown(members[trial]["epoch"]),
            "value": shown(members[trial][metric], wording.scale(metric)),
        }
        for trial in trials
    ]


def trends(run: Run, knobs: Sequence[str]) -> dict[str, Any]:
    """Every objective's mean at each value of each knob that varies, with a 95 % band."""
    complete = run.complete
    metrics = [name for name in run.objectives if complete[name].notna().any()]
    varying = (
        [name for name in knobs if complete[name].nunique() > 1] if metrics else []
    )
    table = {
        name.removeprefix("arch."): {
            metric: _trend(complete, name, metric) for metric in metrics
        }
        for name in varying
    }
    return {
        "knobs": list(table),
        "metrics": metrics,
        "table": table,
        "note": "Means over the networks trained to the end, with 95 % intervals; the other knobs vary "
        "along, and a search does not draw them evenly: a hint at what matters, no proof.",
    }


def _trend(complete: pd.DataFrame, knob: str, metric: str) -> dict[str, Any]:
    trend, scale = Trend(knob, metric)(complete), wording.scale(metric)
    numeric = pd.api.types.is_numeric_dtype(
        trend["knob"]
    ) and not pd.api.types.is_bool_dtype(trend["knob"])
    return {
        "at": shown(trend["knob"]) if numeric else trend["knob"].astype(str).tolist(),
        "numeric": numeric,
        "middle": shown(trend["value"], scale),
        "low": shown(trend["lower"], scale),
        "high": shown(trend["upper"], scale),
        "count": trend["networks"].tolist(),
    }


def distributions(run: Run, knobs: Sequence[str]) -> dict[str, Any]:
    """The distribution of error over all networks trained to the end, and split by knobs with few values."""
    known = run.complete.dropna(subset=["accuracy"])
    if known.empty:
        return {"note": "", "splits": {}}
    splits = {"": [_edf("all", known)]}
    for knob in knobs:
        values = known[knob].dropna().unique()
        if 2 <= len(values) <= SPLITS:
            named = knob.removeprefix("arch.")
            splits[named] = [
                _edf(f"{named} {value}", known[known[knob] == value])
                for value in sorted(values)
            ]
    return {
        "note": "The share of the networks, all trained to the end on the same budget, whose error is below "
        "a value: the higher the line, the better the population.",
        "splits": splits,
    }


def _edf(name: str, networks: pd.DataFrame) -> dict[str, Any]:
    edf = EDF()(networks)
    edf = edf.iloc[thinned(range(len(edf)), POINTS_AT_MOST // 2)]
    return {
        "name": f"{name} ({len(networks)})",
        "error": shown(edf["error"], 100),
        "share": shown(edf["share"]),
    }


def shown(column: "pd.Series[Any]", scale: float = 1.0) -> list[float | int | None]:
    """JSON numbers, None where missing: counts exact, others times ``scale`` to six digits."""
    if pd.api.types.is_integer_dtype(column) and scale == 1:
        return [None if value is pd.NA else int(value) for value in column.tolist()]
    values = column.to_numpy(dtype=float, na_value=np.nan) * scale
    return [
        float(f"{value:.6g}") if np.isfinite(value) else None
        for value in values.tolist()
    ]


def thinned(items: Sequence[Any], most: int) -> list[Any]:
    """At most ``most`` of ``items``, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]

"""Which networks of a search are worth a full training: likely on the front, spread along it, no two alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nas.finalists.certainty import ACCURACY
from nas.finalists.lineup import Entrant, Role
from nas.size_gain import corrected
from results import EventLog, Run, front_probability, pareto_rank
from results.limits import Limits, violation
from results.log.record import records
from results.objectives import Directions, Objectives
from results.pareto.uncertainty import known_error
from search_spaces import arch_from_dict

ALIKE_IN = ("flops", "macs", "params", "activations")
"""Networks that agree in all of these to the last unit differ in name only."""


def choose_finalists(
    run: Run,
    count: int,
    limits: Limits | None,
    validation_images: int,
    size_gain: float = 0.0,
) -> list[Entrant]:
    """``count`` complete networks of ``run`` inside the limits, the best first.

    First is the best in the first objective among the likeliest; then again and again the one with the greatest
    product of its probability to be on the front (``results.front_probability``) and its distance from all chosen
    so far, in objectives scaled to 0..1. Where nobody has a chance any more, the next front follows. With one
    objective it is the likeliest that are chosen. Accuracies are corrected by ``size_gain`` (``nas.size_gain``).

    Raises:
        ValueError: if the networks do not compare, or there are fewer of them.
    """
    if run.no_front:
        raise ValueError(f"{run.path}: {run.no_front}")
    fitting = inside(run, limits)
    table = different(fitting, run.objectives, validation_images, size_gain)
    if len(table) < count:
        raise ValueError(
            f"networks {count}: {run.path} has {len(table)} different networks that are complete and inside the "
            f"limits; ask for --networks {len(table)} or search on"
            if len(table)
            else f"{run.path}: no network is complete and inside the limits, so there are no finalists"
        )
    order = table.iloc[spread(table, run.objectives, count)].index
    chosen = fitting.loc[order]  # with accuracies as measured
    known = _measured(run)
    return [
        _entrant(row, known[int(row["trial"])]) for row in chosen.to_dict("records")
    ]


def inside(run: Run, limits: Limits | None) -> pd.DataFrame:
    """The complete trials with all objectives, inside the limits."""
    complete = run.complete.dropna(subset=list(run.objectives))
    fitting = violation(complete, limits or {}) == 0
    within: pd.DataFrame = complete.loc[fitting]
    return within


def different(
    table: pd.DataFrame,
    objectives: Directions,
    validation_images: int,
    size_gain: float = 0.0,
) -> pd.DataFrame:
    """The table with its column ``chance``; of networks alike in all costs only the one with the best chance.

    Its accuracies are corrected by ``size_gain``; their errors stay those of what was measured.
    """
    judged = corrected(table, size_gain)
    errors = (
        {ACCURACY: known_error(table, ACCURACY, validation_images)} if size_gain else {}
    )
    chance = front_probability(
        judged, objectives, errors, validation_images=validation_images
    )
    known = judged.assign(chance=chance)
    ordered = Objectives.of(objectives).best_first(known)
    # stable: among equal chances the better stays first
    likeliest = ordered.sort_values("chance", ascending=False, kind="stable")
    return likeliest.drop_duplicates([name for name in ALIKE_IN if name in likeliest])


def spread(table: pd.DataFrame, objectives: Directions, count: int) -> list[int]:
    """Places of ``count`` rows: likely ones, far from each other."""
    aims = Objectives.of(objectives)
    costs = aims.points(table)
    chance = table["chance"].to_numpy(float)
    if costs.shape[1] == 1:
        # a front of one objective is a point: nothing to spread along
        likeliest: list[int] = np.lexsort([costs[:, 0], -chance])[:count].tolist()
        return likeliest
    span = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(axis=0)) / np.where(span, span, 1)
    # the first pick must not be a lucky accuracy
    likely = np.flatnonzero(chance >= min(0.5, chance.max()))
    picked = [int(likely[np.argmin(costs[likely, 0])])]
    distance = np.linalg.norm(scaled - scaled[picked[0]], axis=1)
    # likely and different: either alone would pick twins, or outsiders
    while len(picked) < count and (worth := chance * distance).max() > 0:
        # rounded: of what only rounding tells apart, the first
        picked.append(int(np.argmax(np.round(worth, 12))))
        from_last = np.linalg.norm(scaled - scaled[picked[-1]], axis=1)
        distance = np.minimum(distance, from_last)
    ranks = pareto_rank(table, aims).to_numpy()
    by_rank = np.argsort(ranks, kind="stable").tolist()
    rest = [place for place in by_rank if place not in picked]
    return [*picked, *rest][:count]


def _entrant(row: Mapping[Any, Any], known: Mapping[str, object]) -> Entrant:
    arch = arch_from_dict(json.loads(row["arch"]))
    trial = int(row["trial"])
    proxy = {"proxy_accuracy": row["accuracy"]} if pd.notna(row.get("accuracy")) else {}
    return Entrant(
        arch, Role.FINALIST, f"trial {trial}", trial=trial, known={**known, **proxy}
    )


def _measured(run: Run) -> dict[int, dict[str, object]]:
    """What belongs to no epoch of each trial."""
    with EventLog(run.path / "events.db") as log:
        return {number: each.measured for number, each in records(log).items()}

"""Fronts over time, against each other, and over repeated searches; by moocore."""

from collections.abc import Mapping, Sequence
from typing import Any

import moocore
import numpy as np
import pandas as pd

from results.pareto.pareto import (
    inside_reference,
    maximise,
    objective_points,
    pareto_front,
    reference_values,
    worst_values,
)


def hypervolume_over_time(
    df: pd.DataFrame,
    objectives: Mapping[str, str],
    reference: Mapping[str, float] | None = None,
    *,
    time: str = "finished",
) -> pd.DataFrame:
    """The hypervolume after each row that has all objectives, in order of the column ``time``.

    Columns ``trials`` (1, 2, …), ``time`` as in ``df``, and ``hypervolume``; the index is that of the row
    that came in. Without ``reference`` the worst values in ``df`` bound it. Rows without a time come last, in
    their order.
    """
    points = objective_points(df, objectives)
    known = df[~np.isnan(points).any(axis=1)].sort_values(time, kind="stable")
    points = objective_points(known, objectives)
    corner = reference_values(objectives, reference or worst_values(known, objectives))
    better = inside_reference(points, corner, objectives)
    signs = np.where(maximise(objectives), -1.0, 1.0)
    volume, volumes, front = 0.0, [], np.empty((0, len(objectives)))
    for cost, counts in zip(points * signs, better, strict=True):
        if counts and not (front <= cost).all(axis=1).any():
            front = np.vstack([front[~(cost <= front).all(axis=1)], cost])
            volume = float(moocore.hypervolume(front, ref=corner * signs))
        volumes.append(volume)
    return pd.DataFrame(
        {"trials": np.arange(1, len(known) + 1), time: known[time], "hypervolume": volumes}, index=known.index
    )


def epsilon_indicator(
    df: pd.DataFrame, other: pd.DataFrame, objectives: Mapping[str, str], *, scaled: bool = True
) -> float:
    """By how much ``df``'s front must improve everywhere to be nowhere worse than ``other``'s: additive epsilon.

    0 or less: nowhere worse. ``scaled`` measures each objective in ranges of ``other``'s front, which makes
    objectives in different units comparable; otherwise in their own. Zitzler et al., 2003
    (10.1109/TEVC.2003.810758).
    """
    points, reference = _two_fronts(df, other, objectives, scaled)
    return float(moocore.epsilon_additive(points, ref=reference))


def igd_plus(
    df: pd.DataFrame, other: pd.DataFrame, objectives: Mapping[str, str], *, scaled: bool = True
) -> float:
    """How far ``df``'s front lies behind ``other``'s, on average over the latter: IGD+, 0 is nowhere behind.

    ``scaled`` as for ``epsilon_indicator``. Ishibuchi et al., 2015 (10.1007/978-3-319-15892-1_8).
    """
    points, reference = _two_fronts(df, other, objectives, scaled)
    return float(moocore.igd_plus(points, ref=reference))


def attainment(
    df: pd.DataFrame,
    objectives: Mapping[str, str],
    *,
    by: str = "run",
    percentiles: Sequence[float] = (25, 50, 75),
) -> pd.DataFrame:
    """What the given share of repeated searches reached: their empirical attainment surfaces.

    ``by`` names the column that tells the searches apart. Columns ``percentile`` (of the searches) and the
    objectives; each percentile's rows are the corners of its surface. 2 or 3 objectives (Fonseca et al.,
    2011).
    """
    if len(objectives) not in (2, 3):
        raise ValueError(f"attainment is defined here for 2 or 3 objectives, not {len(objectives)}")
    if by not in df.columns:
        raise ValueError(f"attainment needs a column {by!r} that tells the searches apart")
    costs, known = _costs(df, objectives)
    columns = [*objectives, "percentile"]
    if not len(costs):
        return pd.DataFrame({name: pd.Series(dtype="float64") for name in columns})[
            ["percentile", *objectives]
        ]
    sets = pd.factorize(df[by].to_numpy()[known])[0] + 1
    order = np.argsort(sets, kind="stable")
    surfaces = moocore.eaf(costs[order], sets[order], percentiles=list(percentiles))
    surfaces[:, :-1] *= np.where(maximise(objectives), -1.0, 1.0)
    return pd.DataFrame(surfaces, columns=columns)[["percentile", *objectives]]


def _costs(
    df: pd.DataFrame, objectives: Mapping[str, str]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The known points, less is better, and which rows they are."""
    points = objective_points(df, objectives)
    known = ~np.isnan(points).any(axis=1)
    return points[known] * np.where(maximise(objectives), -1.0, 1.0), known


def _two_fronts(
    df: pd.DataFrame, other: pd.DataFrame, objectives: Mapping[str, str], scaled: bool
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    points, _ = _costs(pareto_front(df, objectives), objectives)
    reference, _ = _costs(pareto_front(other, objectives), objectives)
    for name, front in (("first", points), ("second", reference)):
        if not len(front):
            raise ValueError(
                f"the {name} table has no row with all of {', '.join(objectives)}: no front to compare"
            )
    span = np.ptp(reference, axis=0)
    unit = np.where(span > 0, span, 1.0) if scaled else np.ones(len(span))
    return points / unit, reference / unit

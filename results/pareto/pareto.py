"""Pareto fronts, ranks and the hypervolume of any DataFrame with one column per objective.

Rows of a trials table that were stopped early, failed, or still run have no final values: like rows that miss
an objective, they are on no front and add nothing.
"""

from collections.abc import Mapping
from typing import Any

import moocore
import numpy as np
import pandas as pd

from results.limits import Limits, numbers, violation

DIRECTIONS = ("max", "min")
NOT_FINAL = ("stopped", "infeasible", "duplicate", "failed", "running")
"""Values of a column ``status`` whose metrics are of part of the training, or another row's."""


def pareto_front(
    df: pd.DataFrame, objectives: Mapping[str, str], limits: Limits | None = None
) -> pd.DataFrame:
    """The rows of ``df`` that no other row dominates, with their index and order.

    ``objectives`` maps columns to ``"max"`` or ``"min"``. Equal rows stay together; a row that misses an
    objective is never on the front. With ``limits``, it is the front of the rows inside; where there is none,
    the rows that break the limits least (Deb's constrained domination). Raises ``ValueError`` for a missing
    column or a bad direction.
    """
    points = objective_points(df, objectives)
    known = np.flatnonzero(~np.isnan(points).any(axis=1))
    if limits:
        excess = violation(df.iloc[known], limits)
        known = known[excess == np.nanmin(excess, initial=np.inf)]
        if len(known) and np.nanmin(excess) > 0:
            return df.take(known)
    keep = np.zeros(len(df), dtype=bool)
    if len(known):
        keep[known] = moocore.is_nondominated(points[known], maximise=maximise(objectives), keep_weakly=True)
    return df[keep]


def pareto_rank(
    df: pd.DataFrame, objectives: Mapping[str, str], limits: Limits | None = None
) -> "pd.Series[Any]":
    """How many fronts must be taken away before a row is on the front: 0 on it, NA where an objective is missing.

    With ``limits``, rows outside come after all that are inside, the less they break them the earlier.
    """
    points = objective_points(df, objectives)
    excess = violation(df, limits or {})
    known = ~np.isnan(points).any(axis=1) & ~np.isnan(excess)
    inside, outside = known & (excess == 0), known & (excess > 0)
    ranks = np.zeros(len(df), dtype=np.int64)
    if inside.any():
        # moocore 0.3.2 maximises a single objective even with maximise=[False]: it gets costs.
        costs = points[inside] * np.where(maximise(objectives), -1.0, 1.0)
        ranks[inside] = moocore.pareto_rank(costs)
    if outside.any():
        first = ranks[inside].max() + 1 if inside.any() else 0
        ranks[outside] = first + np.unique(excess[outside], return_inverse=True)[1]
    return pd.Series(pd.array(ranks, dtype="Int64"), index=df.index, name="rank").mask(~known)


def hypervolume(df: pd.DataFrame, objectives: Mapping[str, str], reference: Mapping[str, float]) -> float:
    """The volume between the front of ``df`` and ``reference``, in the product of the objectives' units.

    Rows that miss an objective, or are no better than the reference in one, add nothing. Exact (moocore).
    Raises ``ValueError`` for a missing column, a bad direction, or a reference without one of the objectives.
    """
    points = objective_points(df, objectives)
    corner = reference_values(objectives, reference)
    better = inside_reference(points, corner, objectives)
    if not better.any():
        return 0.0
    return float(moocore.hypervolume(points[better], ref=corner, maximise=maximise(objectives)))


def worst_values(df: pd.DataFrame, objectives: Mapping[str, str]) -> dict[str, float]:
    """The worst value of each objective among the rows of ``df``: a reference point where none was chosen."""
    return {
        name: float(df[name].astype("float64").agg("min" if direction == "max" else "max"))
        for name, direction in objectives.items()
    }


def reference_values(objectives: Mapping[str, str], reference: Mapping[str, float]) -> np.ndarray[Any, Any]:
    """The reference point as an array in the order of ``objectives``."""
    missing = [name for name in objectives if name not in reference]
    if missing:
        raise ValueError(
            f"the reference point has no value for {', '.join(missing)}; it has {list(reference)}"
        )
    return np.array([reference[name] for name in objectives], dtype=float)


def inside_reference(
    points: np.ndarray[Any, Any], corner: np.ndarray[Any, Any], objectives: Mapping[str, str]
) -> np.ndarray[Any, Any]:
    """Which rows of ``points`` are better than the corner in every objective; not those with NaN."""
    return np.asarray(np.where(maximise(objectives), points > corner, points < corner).all(axis=1))


def check_objectives(df: pd.DataFrame, objectives: Mapping[str, str]) -> None:
    """Raise ``ValueError`` unless each objective is a column of ``df`` with the direction "max" or "min"."""
    if not objectives:
        raise ValueError('no objectives given; for example {"accuracy": "max", "flops": "min"}')
    for name, direction in objectives.items():
        if direction not in DIRECTIONS:
            raise ValueError(f'objective {name} has direction {direction!r}; "max" or "min" is needed')
        if name not in df.columns:
            raise ValueError(f"objective {name} is no column; there are {', '.join(map(str, df.columns))}")
        if not pd.api.types.is_numeric_dtype(df[name]) and df[name].notna().any():
            raise ValueError(f"objective {name} is not a number but {df[name].dropna().iloc[0]!r:.40}")


def objective_points(df: pd.DataFrame, objectives: Mapping[str, str]) -> np.ndarray[Any, Any]:
    """A copy (rows, objectives) in float64, NaN where missing or not final."""
    check_objectives(df, objectives)
    points = np.stack([numbers(df, name) for name in objectives], axis=1)
    if "status" in df.columns:
        points[df["status"].isin(NOT_FINAL).to_numpy()] = np.nan
    return points


def maximise(objectives: Mapping[str, str]) -> list[bool]:
    """moocore's way of saying the directions."""
    return [direction == "max" for direction in objectives.values()]

"""Pareto fronts, ranks and the hypervolume of any DataFrame with one column per objective.

Rows of a trials table that were stopped early, failed, or still run have no final values: like rows that miss
an objective, they are on no front and add nothing.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import moocore
import numpy as np
import pandas as pd

from results.columns import known_rows
from results.limits import Limits, violation
from results.objectives import Directions, Objectives
from results.pareto.archive import dominated_volume

if TYPE_CHECKING:
    Ranks = pd.Series[int]


def pareto_front(
    df: pd.DataFrame, objectives: Directions, limits: Limits | None = None
) -> pd.DataFrame:
    """The rows of ``df`` that no other row dominates, with their index and order.

    ``objectives`` maps columns to ``"max"`` or ``"min"``. Equal rows stay together; a row that misses an
    objective is never on the front. With ``limits`` (column -> number, pair, ``{min, max}``), it is the front of
    the rows inside; where there is none, the rows that break the limits least (Deb's constrained domination).
    Raises ``ValueError`` for a missing column, a bad direction or a bad limit.
    """
    costs = Objectives.of(objectives).points(df)
    excess = violation(df, limits)
    known = known_rows(costs) & ~np.isnan(excess)
    # 0 where some row is inside all limits; else those that break them least are kept.
    least = np.min(excess[known], initial=np.inf)
    keep = known & (excess == least)
    if least == 0:
        # keep_weakly: equal rows stay together
        keep[keep] = moocore.is_nondominated(costs[keep], keep_weakly=True)
    return df.take(np.flatnonzero(keep))


def pareto_rank(
    df: pd.DataFrame, objectives: Directions, limits: Limits | None = None
) -> "Ranks":
    """How many fronts must be taken away before a row is on the front: 0 on it, NA where an objective is missing.

    With ``limits``, rows outside come after all that are inside, the less they break them the earlier.
    """
    costs = Objectives.of(objectives).points(df)
    excess = violation(df, limits)
    known = known_rows(costs) & ~np.isnan(excess)
    inside = known & (excess == 0)
    outside = known & (excess > 0)
    ranks = np.zeros(len(df), dtype=np.int64)
    if inside.any():
        ranks[inside] = moocore.pareto_rank(costs[inside])
    if outside.any():
        # Those outside rank by how far, behind the last front inside.
        first = ranks[inside].max() + 1 if inside.any() else 0
        ranks[outside] = first + np.unique(excess[outside], return_inverse=True)[1]
    return pd.Series(pd.array(ranks, dtype="Int64"), index=df.index, name="rank").mask(
        ~known
    )


def hypervolume(
    df: pd.DataFrame, objectives: Directions, reference: Mapping[str, float]
) -> float:
    """The volume between the front of ``df`` and ``reference``, in the product of the objectives' units.

    Rows that miss an objective, or are no better than the reference in one, add nothing. Exact (moocore).
    Raises ``ValueError`` for a missing column, a bad direction, or a reference without one of the objectives.
    """
    aims = Objectives.of(objectives)
    return dominated_volume(aims.points(df), aims.reference(reference))

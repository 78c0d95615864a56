"""Fronts over time, against each other, and over repeated searches; by moocore."""

import math
from collections.abc import Mapping, Sequence

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.columns import Array, Mask, check_column, known_rows
from results.objectives import Directions, Objectives
from results.parameters import check_each
from results.pareto.archive import FrontArchive
from results.pareto.pareto import pareto_front


def hypervolume_over_time(
    df: pd.DataFrame,
    objectives: Directions,
    reference: Mapping[str, float] | None = None,
    *,
    time: str = "finished",
) -> pd.DataFrame:
    """The hypervolume after each row that has all objectives, in order of the column ``time``.

    Columns ``trials`` (1, 2, …), ``time`` as in ``df``, and ``hypervolume``; the index is that of the row
    that came in. Without ``reference`` the worst values in ``df`` bound it. Rows without a time come last, in
    their order.
    """
    check_column(df, time, "time")
    aims = Objectives.of(objectives)
    points = aims.points(df)
    # NaT sorts last
    known = df.loc[known_rows(points)].sort_values(time, kind="stable")
    corner = aims.reference(reference or aims.worst(known))
    front = FrontArchive[None](len(aims))
    volumes = []
    for point in aims.points(known):
        # A point beyond the reference adds no volume.
        if (point < corner).all() and not front.covers(point):
            front.add(point, None)
        volumes.append(front.hypervolume(corner))
    return pd.DataFrame(
        {
            "trials": np.arange(1, len(known) + 1),
            time: known[time],
            "hypervolume": volumes,
        },
        index=known.index,
    )


def epsilon_indicator(
    df: pd.DataFrame,
    other: pd.DataFrame,
    objectives: Directions,
    *,
    scaled: bool = True,
) -> float:
    """By how much ``df``'s front must improve everywhere to be nowhere worse than ``other``'s: additive epsilon.

    0 or less: nowhere worse. ``scaled`` measures each objective in ranges of ``other``'s front, which makes
    objectives in different units comparable; otherwise in their own. Zitzler et al., 2003
    (10.1109/TEVC.2003.810758).
    """
    points, reference = _two_fronts(df, other, objectives, scaled)
    return float(moocore.epsilon_additive(points, ref=reference))


def igd_plus(
    df: pd.DataFrame,
    other: pd.DataFrame,
    objectives: Directions,
    *,
    scaled: bool = True,
) -> float:
    """How far ``df``'s front lies behind ``other``'s, on average over the latter: IGD+, 0 is nowhere behind.

    ``scaled`` as for ``epsilon_indicator``. Ishibuchi et al., 2015 (10.1007/978-3-319-15892-1_8).
    """
    points, reference = _two_fronts(df, other, objectives, scaled)
    return float(moocore.igd_plus(points, ref=reference))


def attainment(
    df: pd.DataFrame,
    objectives: Directions,
    *,
    by: str = "run",
    percentiles: Sequence[float] = (25, 50, 75),
) -> pd.DataFrame:
    """What the given share of repeated searches reached: their empirical attainment surfaces.

    ``by`` names the column that tells the searches apart; a row without it is of none. Columns ``percentile`` (of
    the searches) and the objectives; each percentile's rows are the corners of its surface, none where fewer
    searches reached anything. 2 or 3 objectives (Fonseca et al., 2011).
    """
    if len(objectives) not in (2, 3):
        raise ValueError(
            f"attainment is defined here for 2 or 3 objectives, not {len(objectives)}"
        )
    check_column(df, by, "by")
    check_each("percentiles", percentiles, 0, 100)
    aims = Objectives.of(objectives)
    df = df[df[by].notna()]
    costs, known = _costs(df, aims)
    columns = [*objectives, "percentile"]
    if not len(costs):
        return pd.DataFrame(columns=["percentile", *objectives], dtype="float64")
    # moocore wants the searches numbered from 1, each one's points together.
    sets = pd.factorize(df[by].to_numpy()[known])[0] + 1
    order = np.argsort(sets, kind="stable")
    surfaces = [
        _surface(costs[order], sets[order], percentile, df[by].nunique(), aims)
        for percentile in percentiles
    ]
    rows = np.concatenate(surfaces) if surfaces else np.empty((0, len(columns)))
    return pd.DataFrame(rows, columns=columns)[["percentile", *objectives]]


def _surface(
    costs: Array,
    sets: NDArray[np.intp],
    percentile: float,
    searches: int,
    aims: Objectives,
) -> Array:
    """The corners (corners, objectives and percentile) of what this share of all searches reached."""
    there = int(sets.max())
    # Searches that reached nothing count too: how many of the others make up this share of all?
    # less a hair: rounding must not ask for one search more
    needed = max(1, math.ceil(searches * percentile / 100 - 1e-9))
    if needed > there:
        return np.empty((0, len(aims) + 1))
    # moocore counts only the searches that it is given
    surface = moocore.eaf(costs, sets, percentiles=[100 * needed / there])
    surface[:, :-1] = aims.costs(surface[:, :-1])
    surface[:, -1] = percentile
    return np.asarray(surface)


def _costs(df: pd.DataFrame, objectives: Objectives) -> tuple[Array, Mask]:
    """The known points, less is better, and which rows they are."""
    points = objectives.points(df)
    known = known_rows(points)
    return points[known], known


def _two_fronts(
    df: pd.DataFrame, other: pd.DataFrame, objectives: Directions, scaled: bool
) -> tuple[Array, Array]:
    aims = Objectives.of(objectives)
    points, _ = _costs(pareto_front(df, aims), aims)
    reference, _ = _costs(pareto_front(other, aims), aims)
    for name, front in (("first", points), ("second", reference)):
        if not len(front):
            raise ValueError(
                f"the {name} table has no row with all of {', '.join(objectives)}: no front to compare"
            )
    span = np.ptp(reference, axis=0)
    both = np.ptp(np.concatenate([points, reference]), axis=0)
    # where the second front has no range, that of both
    span = np.where(span > 0, span, both)
    unit = np.where(span > 0, span, 1.0) if scaled else np.ones(len(span))
    return points / unit, reference / unit

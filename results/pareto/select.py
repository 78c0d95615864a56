"""The final pick from a table of networks, and why it is that one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from results.columns import Array, final, numbers
from results.limits import Limits, as_limits, spell, violation
from results.objectives import Directions, Objectives
from results.pareto.pareto import pareto_front
from results.wording import counted

TIES = "ties go to the better in the remaining objectives, in their order, then to the row that comes first"


@dataclass(frozen=True)
class Selection:
    """The rows picked, best first, and ``why`` in a sentence."""

    rows: pd.DataFrame
    why: str

    @property
    def row(self) -> "pd.Series[Any]":
        """The one picked; the first, where several were asked for."""
        return self.rows.iloc[0]

    @property
    def arch(self) -> dict[str, object]:
        """Its architecture, as ``search_spaces.arch_from_dict`` takes it."""
        if "arch" not in self.rows.columns or pd.isna(self.row["arch"]):
            raise ValueError("the row picked has no architecture (column arch)")
        arch: dict[str, object] = json.loads(self.row["arch"])
        return arch


def select(
    df: pd.DataFrame,
    objectives: Directions | None = None,
    *,
    maximize: str | None = None,
    minimize: str | None = None,
    under: Limits | None = None,
    over: Mapping[str, float] | None = None,
    knee: bool = False,
    near: Mapping[str, float] | None = None,
    buckets: Mapping[str, Sequence[float]] | None = None,
    diverse: int | None = None,
) -> Selection:
    """Pick from the rows within the limits ``under`` (at most) and ``over`` (at least), in one of five ways.

    - ``maximize`` or ``minimize`` a column; without either, the first of ``objectives`` in its direction;
    - ``knee``: of the front, the row with the least sum of objectives, each scaled to 0..1 over the front, 0 best
      (with two objectives the farthest from the line between the front's ends);
    - ``near``: the row nearest to target values, each column scaled by its range among the rows;
    - ``buckets`` ``{"latency_ms": [1, 2, 5]}``: the best row up to 1, above 1 up to 2, above 2 up to 5;
    - ``diverse``: of the front, the best in the first objective, then again and again the row farthest from all
      picked so far, in objectives scaled to 0..1.

    Ties go to the better in the remaining objectives, in their order, then to the row that comes first.
    Raises ``ValueError`` for what is no column, and, naming the nearest row, if none is within the limits.
    """
    _check_one_way(knee=knee, near=near, buckets=buckets, diverse=diverse)
    _check_one_way(maximize=maximize, minimize=minimize)
    aims = _aims(df, objectives, maximize, minimize)
    aims.points(df)  # every objective is a column of numbers
    needs = _needs(aims, knee or diverse is not None, near, buckets)
    table, within = _within(df, _limits(under, over), needs)
    if knee:
        return _knee(table, aims, within)
    if near:
        return _near(table, near, aims, within)
    if buckets:
        return _buckets(table, buckets, aims, within)
    if diverse is not None:
        return _diverse(table, diverse, aims, within)
    return _best(table, aims, within)


def _check_one_way(**ways: object) -> None:
    given = [name for name, value in ways.items() if value]
    if len(given) > 1:
        raise ValueError(f"choose one of {' and '.join(given)}")


def _needs(
    aims: Objectives,
    front: bool,
    near: Mapping[str, float] | None,
    buckets: Mapping[str, Sequence[float]] | None,
) -> list[str]:
    """The columns that a row must have; objectives that only break ties may be missing."""
    if near:
        return list(near)
    if front:
        return list(aims)
    return [next(iter(aims)), *(buckets or ())]


def _best(table: pd.DataFrame, aims: Objectives, within: str) -> Selection:
    name, way = next(iter(aims.items()))
    best = aims.best_first(table).head(1)
    value = best[name].iloc[0]
    among = counted(len(table), "network")
    why = f"{_most(way)} {name} ({value:.6g}) of {among}{within}"
    tied = int((table[name] == value).sum())
    return Selection(best, why + (f"; {tied} tied: {TIES}" if tied > 1 else ""))


def _aims(
    df: pd.DataFrame,
    objectives: Directions | None,
    maximize: str | None,
    minimize: str | None,
) -> Objectives:
    """The objectives with the one to maximise or minimise first."""
    aims = dict(objectives or {})
    if first := maximize or minimize:
        aims = {first: "max" if maximize else "min"} | {
            name: way for name, way in aims.items() if name != first
        }
    if not aims:
        raise ValueError(
            'nothing to select by: give objectives, maximize="accuracy" or minimize="latency_ms"'
        )
    return Objectives(aims)


def _limits(under: Limits | None, over: Mapping[str, float] | None) -> Limits:
    """``under`` may hold whole limits too, which ``over`` then raises the lower end of."""
    limits = as_limits(under)
    for name, least in (over or {}).items():
        most = limits[name].max if name in limits else None
        limits |= as_limits({name: (least, most)})
    return limits


def _within(
    df: pd.DataFrame, limits: Limits, needs: Sequence[str]
) -> tuple[pd.DataFrame, str]:
    """The rows with all that is needed inside the limits, and the limits in words."""
    known = final(df)
    for name in needs:
        known &= np.isfinite(numbers(df, name))
    if not known.any():
        raise ValueError(
            f"no finished network has {', '.join(dict.fromkeys(needs))}: nothing to select from"
        )
    table = df.loc[known]
    # A row whose limited metric is not known (NaN) is not known to be inside.
    excess = violation(table, limits)
    if not (excess == 0).any():
        raise ValueError(_nearest(table, limits, excess))
    return table.loc[excess == 0], f" with {spell(limits)}" if limits else ""


def _nearest(table: pd.DataFrame, limits: Limits, excess: Array) -> str:
    if np.isnan(excess).all():
        return f"no network has {' and '.join(limits)} measured, so none is known to have {spell(limits)}"
    row = table.iloc[int(np.nanargmin(excess))]
    have = ", ".join(f"{name} {row[name]:.6g}" for name in limits)
    return (
        f"none of {counted(len(table), 'network')} has {spell(limits)}; "
        f"the nearest is {_name(row)} with {have}"
    )


def _name(row: "pd.Series[Any]") -> str:
    if "network" in row.index:  # of finalists: what it is called
        return str(row["network"])
    for column in ("trial", "model"):
        if column in row.index:
            return f"{column} {row[column]}"
    return f"row {row.name}"


def _most(way: str) -> str:
    return "highest" if way == "max" else "lowest"


def _scaled_costs(front: pd.DataFrame, aims: Objectives) -> Array:
    """Objectives from 0 (best on the front) to 1 (worst)."""
    costs = aims.points(front)
    # An objective in which all are equal takes no part.
    span = np.ptp(costs, axis=0)
    above_best = costs - costs.min(axis=0)
    unit = np.where(span > 0, span, 1.0)
    return np.asarray(above_best / unit)


def _least(values: Array) -> int:
    """The place of the least value, the first among those that only rounding tells apart."""
    return int(np.argmin(np.round(values, 12)))


def _knee(table: pd.DataFrame, aims: Objectives, within: str) -> Selection:
    front = aims.best_first(pareto_front(table, aims))
    # with two objectives scaled to 0..1, a line of equal sums is parallel to the one
    # between the front's ends
    sums = _scaled_costs(front, aims).sum(axis=1)
    picked = front.iloc[[_least(sums)]]
    why = (
        f"the knee of a front of {counted(len(front), 'network')}{within}: least sum of {', '.join(aims)}, "
        "each scaled to 0..1 over the front"
    )
    return Selection(picked, why)


def _near(
    table: pd.DataFrame, near: Mapping[str, float], aims: Objectives, within: str
) -> Selection:
    table = aims.best_first(table)
    distance = np.zeros(len(table))
    for name, target in near.items():
        if not np.isfinite(target):
            raise ValueError(f"near {name}: a finite target is needed, not {target:g}")
        values = numbers(table, name)
        # ranges make units comparable; the root changes no order
        distance += ((values - target) / (np.ptp(values) or 1.0)) ** 2
    picked = table.iloc[[_least(distance)]]
    aim = ", ".join(f"{name} {target:g}" for name, target in near.items())
    have = ", ".join(f"{name} {picked[name].iloc[0]:.6g}" for name in near)
    return Selection(
        picked,
        f"the nearest to {aim} of {counted(len(table), 'network')}{within}: {have}",
    )


def _buckets(
    table: pd.DataFrame,
    buckets: Mapping[str, Sequence[float]],
    aims: Objectives,
    within: str,
) -> Selection:
    column, edges = _checked_buckets(buckets)
    ordered = aims.best_first(table)
    # searchsorted puts a value that equals an edge below it, as "up to" means.
    place = np.searchsorted(np.asarray(edges, dtype=float), numbers(ordered, column))
    inside = [np.flatnonzero(place == number) for number in range(len(edges))]
    best = [ordered.iloc[rows[:1]] for rows in inside if len(rows)]
    if not best:
        raise ValueError(f"no network{within} has {column} up to {edges[-1]:g}")
    empty = [
        f"{edge:g}" for edge, rows in zip(edges, inside, strict=True) if not len(rows)
    ]
    name, way = next(iter(aims.items()))
    spelled = ", ".join(f"{edge:g}" for edge in edges)
    why = f"{_most(way)} {name} of {counted(len(table), 'network')}{within} for {column} up to each of {spelled}"
    why += f"; empty: the bucket up to {', '.join(empty)}" if empty else ""
    return Selection(pd.concat(best), why)


def _checked_buckets(
    buckets: Mapping[str, Sequence[float]],
) -> tuple[str, Sequence[float]]:
    if len(buckets) != 1:
        raise ValueError(f"buckets are of one column, not of {', '.join(buckets)}")
    [(column, edges)] = buckets.items()
    if not edges or np.isnan(edges).any() or list(edges) != sorted(set(edges)):
        raise ValueError(f"buckets of {column} need rising edges, got {list(edges)}")
    return column, edges


def _diverse(
    table: pd.DataFrame, count: int, aims: Objectives, within: str
) -> Selection:
    if count < 1:
        raise ValueError(f"diverse: at least 1 row is needed, not {count}")
    front = aims.best_first(pareto_front(table, aims))
    costs = _scaled_costs(front, aims)
    # greedy farthest point (Gonzalez 1985): each pick is the one that is worst covered so far
    picked = [0]
    distance = np.linalg.norm(costs - costs[0], axis=1)
    while len(picked) < min(count, len(front)) and distance.max() > 0:
        picked.append(_least(-distance))
        to_last = np.linalg.norm(costs - costs[picked[-1]], axis=1)
        distance = np.minimum(distance, to_last)
    name, way = next(iter(aims.items()))
    why = (
        f"the most different {len(picked)} of a front of {counted(len(front), 'network')}{within}: "
        f"{_most(way)} {name} first, then each the farthest from those before it in "
        f"{', '.join(aims)}, scaled to 0..1"
    )
    return Selection(front.iloc[picked], why)

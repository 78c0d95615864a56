"""Pareto fronts and the hypervolume of any DataFrame with one column per objective."""

from collections.abc import Mapping
from typing import Any

import moocore
import numpy as np
import pandas as pd

DIRECTIONS = ("max", "min")


def pareto_front(df: pd.DataFrame, objectives: Mapping[str, str]) -> pd.DataFrame:
    """The rows of ``df`` that no other row dominates, with their index and order.

    ``objectives`` maps columns to ``"max"`` or ``"min"``. Equal rows stay together; a row that misses an
    objective is never on the front. Raises ``ValueError`` for a missing column or a bad direction.
    """
    points = _points(df, objectives)
    known = ~np.isnan(points).any(axis=1)
    keep = np.zeros(len(df), dtype=bool)
    if known.any():
        keep[known] = moocore.is_nondominated(points[known], maximise=_maximise(objectives), keep_weakly=True)
    return df[keep]


def hypervolume(df: pd.DataFrame, objectives: Mapping[str, str], reference: Mapping[str, float]) -> float:
    """The volume between the front of ``df`` and ``reference``, in the product of the objectives' units.

    Rows that miss an objective, or are no better than the reference in one, add nothing. Exact (moocore).
    Raises ``ValueError`` for a missing column, a bad direction, or a reference without one of the objectives.
    """
    points = _points(df, objectives)
    corner = reference_values(objectives, reference)
    maximise = _maximise(objectives)
    better = np.where(maximise, points > corner, points < corner).all(axis=1)  # False where NaN
    if not better.any():
        return 0.0
    return float(moocore.hypervolume(points[better], ref=corner, maximise=maximise))


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


def _points(df: pd.DataFrame, objectives: Mapping[str, str]) -> np.ndarray[Any, Any]:
    """A copy (rows, objectives) in float64, NaN where missing."""
    check_objectives(df, objectives)
    columns = [df[name].to_numpy(dtype=float, na_value=np.nan) for name in objectives]
    return np.stack(columns, axis=1)


def _maximise(objectives: Mapping[str, str]) -> list[bool]:
    return [direction == "max" for direction in objectives.values()]

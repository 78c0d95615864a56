"""Limits on columns, and by how much a row breaks them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

Limit = float | tuple[float | None, float | None]
Limits = Mapping[str, Limit]
"""Column -> the most it may be, or (least, most), where None is no bound."""


def violation(df: pd.DataFrame, limits: Limits) -> np.ndarray[Any, Any]:
    """By what fraction each row breaks its limits, summed over them: 0 inside, NaN where one is not known.

    An excess counts relative to the limit's size; over a limit of 0, as it is. Raises ``ValueError`` for a
    limit on what is no column or no number.
    """
    total = np.zeros(len(df))
    for name, limit in limits.items():
        least, most = bounds(name, limit)
        values = numbers(df, name)
        for bound, excess in ((least, least - values), (most, values - most)):
            if np.isfinite(bound):
                total += np.maximum(excess, 0.0) / (abs(bound) or 1.0)
        total[np.isnan(values)] = np.nan
    return total


def bounds(name: str, limit: Limit) -> tuple[float, float]:
    """The least and the most a column may be, infinite where open."""
    least, most = limit if isinstance(limit, tuple) else (None, limit)
    ends = (-np.inf if least is None else float(least), np.inf if most is None else float(most))
    if not ends[0] <= ends[1]:
        raise ValueError(f"limit on {name}: nothing lies between {ends[0]:g} and {ends[1]:g}")
    return ends


def numbers(df: pd.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """A copy of a column in float64, NaN where missing; ``ValueError`` unless it holds numbers."""
    if name not in df.columns:
        raise ValueError(f"{name} is no column; there are {', '.join(map(str, df.columns))}")
    if not pd.api.types.is_numeric_dtype(df[name]) and df[name].notna().any():
        raise ValueError(f"{name} is not a number but {df[name].dropna().iloc[0]!r:.40}")
    return np.array(df[name].to_numpy(dtype=float, na_value=np.nan))


def spell(limits: Limits) -> str:
    """For example "latency_ms <= 5 and accuracy >= 0.9"."""
    words = []
    for name, limit in limits.items():
        least, most = bounds(name, limit)
        words += [f"{name} >= {least:g}"] if np.isfinite(least) else []
        words += [f"{name} <= {most:g}"] if np.isfinite(most) else []
    return " and ".join(words)

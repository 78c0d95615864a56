"""Numbers out of tables."""

from difflib import get_close_matches
from numbers import Real
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]

MOST_NAMED = 8
NOT_FINAL = ("stopped", "infeasible", "duplicate", "failed", "running")
"""Values of a column ``status`` whose metrics are of part of the training, or another row's."""


def check_column(df: pd.DataFrame, name: str, called: str = "") -> None:
    """Raises ``ValueError`` unless there is such a column; ``called`` is the parameter that names it."""
    if name not in df.columns:
        columns = [*map(str, df.columns)]
        raise ValueError(
            f"{called}{called and ': '}{name} is no column{_near(name, columns)}"
        )


def _near(name: str, columns: list[str]) -> str:
    if close := get_close_matches(name, columns):
        return f"; did you mean {' or '.join(close)}?"
    # the nearest first: a run has forty
    there = get_close_matches(name, columns, n=MOST_NAMED, cutoff=0.0)
    return f"; there are {', '.join(there)}{', ...' * (len(columns) > len(there))}"


def numbers(df: pd.DataFrame, name: str) -> Array:
    """A copy of a column in float64, NaN where missing; ``ValueError`` unless it holds numbers."""
    check_column(df, name)
    column = df[name]
    # Tables from CSV or JSON may hold numbers as objects.
    if not pd.api.types.is_numeric_dtype(column):
        for value in column.dropna():
            if not isinstance(value, Real):
                raise ValueError(f"{name} is not a number but {value!r:.40}")
    # a copy: to_numpy may give the table's own memory
    values = column.to_numpy(dtype=float, na_value=np.nan)
    return np.array(values)


def known_rows(points: Array) -> Mask:
    """Which rows of (rows, columns) miss nothing."""
    missing = np.isnan(points).any(axis=1)
    return np.logical_not(missing, dtype=bool)


def final(df: pd.DataFrame) -> Mask:
    """Which rows have final values: all, in a table without a column ``status``."""
    if "status" not in df.columns:
        return np.ones(len(df), dtype=bool)
    return ~df["status"].isin(NOT_FINAL).to_numpy(dtype=bool)

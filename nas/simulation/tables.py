"""The tables that a simulation fills, row by row, with little memory."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import pandas as pd

SIMULATED_STATUSES = (
    "complete",
    "stopped",
    "infeasible",
    "failed",
    "duplicate",
    "running",
    "paused",
)


@dataclass
class Table:
    """Columns of numbers that grow row by row, eight bytes a cell."""

    columns: dict[str, array[float]] = field(default_factory=dict)

    def add(self, row: dict[str, float]) -> None:
        if not self.columns:
            self.columns = {name: array("d") for name in row}
        for name, column in self.columns.items():
            column.append(row[name])

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.columns)


def trials_table(trials: Table, duplicates: list[int]) -> pd.DataFrame:
    """One row a trial, in the order of their numbers; duplicates have nothing but a status."""
    table = trials.frame()
    if duplicates:
        code = SIMULATED_STATUSES.index("duplicate")
        rows = pd.DataFrame({"trial": duplicates, "status": code})
        table = pd.concat([table, rows.astype("float64")])
    codes = table["status"].to_numpy(dtype=int)
    status = pd.Categorical.from_codes(codes, pd.Index(SIMULATED_STATUSES))
    table = table.assign(status=status).sort_values("trial", ignore_index=True)
    whole = {"trial": "int64", "epochs": "int64"}
    return table.fillna({"epochs": 0}).astype(whole)

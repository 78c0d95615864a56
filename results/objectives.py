"""What a search wants of its networks, and the one place where a direction becomes a sign."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd

from results.columns import Array, final, numbers

DIRECTIONS = ("max", "min")

Directions = Mapping[str, str]
"""Objectives as a user writes them: each metric with ``"max"`` or ``"min"``. `Objectives` is one, too."""


class Objectives(Mapping[str, str]):
    """Metrics with the direction that is wanted, ``"max"`` or ``"min"``, the most important first.

    Functions take any such mapping and make it one with ``Objectives.of``. Inside, all is a cost: lower is
    better. Raises ``ValueError`` if there is none, or for another direction.
    """

    def __init__(self, directions: Directions) -> None:
        if not directions:
            raise ValueError(
                'no objectives given; for example {"accuracy": "max", "flops": "min"}'
            )
        for name, direction in directions.items():
            check_direction(direction, f"objective {name} has direction")
        self._directions = dict(directions)
        self._signs = np.array(
            [-1.0 if way == "max" else 1.0 for way in directions.values()]
        )

    @classmethod
    def of(cls, value: Directions) -> Self:
        """``value`` itself if it is one already."""
        return value if isinstance(value, cls) else cls(value)

    def __getitem__(self, name: str) -> str:
        return self._directions[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._directions)

    def __len__(self) -> int:
        return len(self._directions)

    def __repr__(self) -> str:
        return f"Objectives({self._directions!r})"

    def costs(self, values: Array) -> Array:
        """Values (…, objectives) as costs; applied to costs it gives the values back."""
        costs: Array = values * self._signs
        return costs

    def costs_of(self, metrics: Mapping[str, Any]) -> Array:
        """The costs (objectives,) of one network; NaN where a metric is None."""
        values = [
            np.nan if metrics[name] is None else float(metrics[name]) for name in self
        ]
        return self.costs(np.array(values))

    def points(self, df: pd.DataFrame) -> Array:
        """The costs (rows, objectives) of a table, NaN where missing or not final.

        Raises ``ValueError`` for an objective that is no column of numbers.
        """
        columns = []
        for name in self:
            try:
                columns.append(numbers(df, name))
            except ValueError as error:
                raise ValueError(f"objective {error}") from error
        points = self.costs(np.stack(columns, axis=1))
        # A stopped or running trial has numbers, but not those of a whole training.
        points[~final(df)] = np.nan
        return points

    def worst(self, df: pd.DataFrame) -> dict[str, float]:
        """The worst finite value of each objective in ``df``, a reference point if none is chosen; NaN: none."""
        worst = {}
        for name, direction in self.items():
            # pandas leaves NaN out of min and max
            values = pd.Series(numbers(df, name))
            values = values[np.isfinite(values)]
            least = values.min() if direction == "max" else values.max()
            worst[name] = float(least)
        return worst

    def reference(self, point: Mapping[str, float]) -> Array:
        """The costs (objectives,) of a reference point; ``ValueError`` if it lacks an objective."""
        missing = [name for name in self if name not in point]
        if missing:
            raise ValueError(
                f"the reference point has no value for {', '.join(missing)}; it has {list(point)}"
            )
        values = [point[name] for name in self]
        return self.costs(np.array(values, dtype=float))

    def best_first(self, df: pd.DataFrame) -> pd.DataFrame:
        """The rows by the first objective, ties by the next; still tied ones keep their order."""
        ascending = [direction == "min" for direction in self.values()]
        return df.sort_values(list(self), ascending=ascending, kind="stable")


def check_direction(direction: str, what: str = "direction") -> None:
    """Raise ``ValueError`` unless it is "max" or "min"."""
    if direction not in DIRECTIONS:
        raise ValueError(f'{what} {direction!r}; "max" or "min" is needed')

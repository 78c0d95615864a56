"""Choices of a knob that is a decimal fraction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import overload


@dataclass(frozen=True)
class Grid(Sequence[float]):
    """Evenly spaced floats, both ends included, each the float nearest to its decimal: 0.3, never 0.1 + 0.2.

    Raises:
        ValueError: if ``low`` to ``high`` is not a whole number of steps.
    """

    low: float
    high: float
    step: float

    def __post_init__(self) -> None:
        # as decimals: in binary, 0.3 is no whole number of steps of 0.1
        low, high, step = (
            Decimal(str(end)) for end in (self.low, self.high, self.step)
        )
        if not (
            low.is_finite()
            and high.is_finite()
            and 0 < step <= high - low
            and (high - low) % step == 0
        ):
            raise ValueError(
                f"a grid goes up from low to high in whole steps, got {self}"
            )
        for name in ("low", "high", "step"):
            object.__setattr__(self, name, float(getattr(self, name)))

    @cached_property
    def digits(self) -> int:
        return max(
            0,
            *(
                -int(Decimal(str(end)).as_tuple().exponent)
                for end in (self.low, self.step)
            ),
        )

    def nearest(self, value: float) -> float:
        """The point of the grid that ``value`` stands for, rounding errors aside."""
        # rounding to the digits of low and step gives the float that Python reads from "0.3"
        return round(float(value), self.digits)

    def position(self, value: float) -> int:
        """How many steps ``value`` is above ``low``, to the nearest."""
        return round((value - self.low) / self.step)

    @cached_property
    def _positions(self) -> range:
        return range(self.position(self.high) + 1)

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[float, ...]: ...

    def __getitem__(self, index: int | slice) -> float | tuple[float, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        return self.nearest(self.low + self.step * self._positions[index])

    def __contains__(self, value: object) -> bool:
        return (
            isinstance(value, float)
            and self.low <= value <= self.high
            # the nearest point, and exactly that: 0.30000000000000004 is not on the grid
            and value == self[self.position(value)]
        )


def eights(width: float, most: int) -> int:
    """The multiple of 8 nearest to ``width``, from 8 to ``most``."""
    return min(max(8 * round(width / 8), 8), most)

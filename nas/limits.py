"""What a network may cost at most, or must have at least."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Limit:
    """``min`` and ``max`` of a metric, both included; None for no limit on that side.

    Raises:
        ValueError: unless at least one is given and ``min`` is at most ``max``.
    """

    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        ends = [end for end in (self.min, self.max) if end is not None]
        if not ends or bool in map(type, ends) or not all(map(math.isfinite, ends)) or ends != sorted(ends):
            raise ValueError(f"a limit needs min, max or both, and min <= max, got {self.min} and {self.max}")

    @classmethod
    def of(cls, value: Any) -> Self:
        """From a number (the highest value), a pair ``[low, high]``, ``{min: low, max: high}``, or a limit."""
        if isinstance(value, cls):
            return value
        if isinstance(value, list | tuple) and len(value) == 2:
            value = dict(zip(("min", "max"), value, strict=True))
        try:
            return cls(**value) if isinstance(value, Mapping) else cls(max=value)
        except TypeError:
            raise ValueError(f"a limit is a number, [low, high] or {{min, max}}, got {value!r:.80}") from None

    def excess(self, value: float) -> float:
        """How far ``value`` is outside, as a share of the end it is beyond; at most 0 inside."""
        over = -math.inf if self.max is None else (value - self.max) / (abs(self.max) or 1)
        under = -math.inf if self.min is None else (self.min - value) / (abs(self.min) or 1)
        return max(over, under)

    def __str__(self) -> str:
        if self.min is None or self.max is None:
            return f"<= {self.max:g}" if self.min is None else f">= {self.min:g}"
        return f"{self.min:g} to {self.max:g}"

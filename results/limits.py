"""What a network may cost at most, or must have at least."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd

from results.columns import Array, numbers

Limits = Mapping[str, Any]
"""Column -> limit as ``Limit.of`` takes it: the most it may be, ``(least, most)``, ``{min, max}`` or a Limit."""
Number = TypeVar("Number", float, Array)


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
        if (
            not ends
            or bool in map(type, ends)
            or not all(map(math.isfinite, ends))
            or ends != sorted(ends)
        ):
            raise ValueError(
                f"a limit needs min, max or both, and min <= max, got {self.min} and {self.max}"
            )

    @classmethod
    def of(cls, value: Any) -> Self:
        """From a number (the highest value), a pair ``[low, high]``, ``{min: low, max: high}``, or a limit."""
        if isinstance(value, cls):
            return value
        if isinstance(value, list | tuple) and len(value) == 2:
            # YAML's [low, high]
            value = dict(zip(("min", "max"), value, strict=True))
        try:
            return cls(**value) if isinstance(value, Mapping) else cls(max=value)
        except TypeError:
            raise ValueError(
                f"a limit is a number, [low, high] or {{min, max}}, got {value!r:.80}"
            ) from None

    def excess(self, value: Number) -> Number:
        """How far ``value`` is outside, as a share of the end it is beyond (of 0: as it is); at most 0 inside."""
        ends = []
        if self.max is not None:
            # relative, so that 1 ms too much of 5 weighs as 1 M MACs too much of 5 M
            unit = abs(self.max) or 1
            ends.append((value - self.max) / unit)
        if self.min is not None:
            unit = abs(self.min) or 1
            ends.append((self.min - value) / unit)
        if len(ends) == 1:
            return ends[0]
        return np.maximum(*ends) if isinstance(value, np.ndarray) else max(ends)

    def __str__(self) -> str:
        if self.min is None or self.max is None:
            return f"<= {self.max:g}" if self.min is None else f">= {self.min:g}"
        return f"{self.min:g} to {self.max:g}"


def as_limits(limits: Limits | None) -> dict[str, Limit]:
    """Every limit as a ``Limit``; ``ValueError`` names the metric of a wrong one."""
    made = {}
    for name, limit in (limits or {}).items():
        try:
            made[name] = Limit.of(limit)
        except ValueError as error:
            raise ValueError(f"limit on {name}: {error}") from error
    return made


def violation(df: pd.DataFrame, limits: Limits | None) -> Array:
    """By what fraction each row breaks its limits, summed over them: 0 inside, NaN where one is not known.

    Raises ``ValueError`` for a limit on what is no column or no number.
    """
    # Shares of each limit, so that limits in different units add up.
    total = np.zeros(len(df))
    for name, limit in as_limits(limits).items():
        total += np.maximum(limit.excess(numbers(df, name)), 0.0)
    return total


def spell(limits: Limits) -> str:
    """For example "latency_ms <= 5 and accuracy >= 0.9"."""
    words = []
    for name, limit in as_limits(limits).items():
        words += [f"{name} >= {limit.min:g}"] if limit.min is not None else []
        words += [f"{name} <= {limit.max:g}"] if limit.max is not None else []
    return " and ".join(words)

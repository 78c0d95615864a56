"""Limits on what a network costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search_spaces.extension import nearest

CostLimits = Mapping[str, float | Sequence[float | None]]
"""Metric to ``(low, high)``, either of them None for no limit, or to the highest value alone."""

LIMITED = ("macs", "flops", "params", "activations")


@dataclass(frozen=True)
class Window:
    """Where the limited costs of an architecture must lie, both ends included."""

    ends: dict[str, tuple[float, float]]

    @classmethod
    def of(cls, limits: CostLimits) -> Window:
        """
        Raises:
            ValueError: naming the limit that is unknown or wrong.
        """
        ends = {metric: _ends(metric, limit) for metric, limit in limits.items()}
        return cls(ends)

    def outside(self, costs: Mapping[str, float]) -> float:
        """0 inside, else how far off in units of log cost, summed over the metrics."""
        off = 0.0
        for metric, (low, high) in self.ends.items():
            if costs[metric] < low:
                # logarithms make twice too much and half too little equally far outside, whatever the unit
                off += math.log(low / costs[metric])
            elif costs[metric] > high:
                off += math.log(costs[metric] / high)
        return off

    def misses(self, log_costs: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far off each metric is, in units of log cost: (..., metrics) to the same shape."""
        low, high = np.array(list(self.ends.values())).T
        # log(0) = -inf is right: nothing lies below a limit of 0
        with np.errstate(divide="ignore"):
            low = np.log(low)
            high = np.log(high)
        misses: NDArray[np.float64] = np.maximum(
            0, np.maximum(low - log_costs, log_costs - high)
        )
        return misses

    def __str__(self) -> str:
        """As in `` with macs within 392M..408M and params at most 20M``; empty without limits."""
        spans = [
            f"{metric} {_span(low, high)}" for metric, (low, high) in self.ends.items()
        ]
        return f" with {' and '.join(spans)}" if spans else ""


def _ends(metric: str, limit: object) -> tuple[float, float]:
    if metric not in LIMITED:
        raise ValueError(f"unknown limit {metric!r}{nearest(metric, LIMITED)}")
    pair = limit if isinstance(limit, list | tuple | np.ndarray) else (None, limit)
    if len(pair) != 2 or not all(end is None or _is_number(end) for end in pair):
        raise ValueError(
            f"limit on {metric} must be a number or a pair (low, high), got {limit!r}"
        )
    low = 0.0 if pair[0] is None else pair[0]
    high = math.inf if pair[1] is None else pair[1]
    if not (0 <= low <= high and low < math.inf and high > 0):
        raise ValueError(
            f"limit on {metric} must have 0 <= low <= high, high > 0, got {pair[1] if pair[0] is None else pair}"
        )
    return low, high


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _span(low: float, high: float) -> str:
    if low == 0:
        return f"at most {short(high)}"
    return (
        f"at least {short(low)}"
        if high == math.inf
        else f"within {short(low)}..{short(high)}"
    )


def short(count: float) -> str:
    """A count in millions, as in ``421.3M``, or below a million in thousands."""
    if count < 1e3:
        return f"{count:.4g}"
    if count < 1e6:
        return f"{count / 1e3:.4g}k"
    return f"{count / 1e6:.4g}M" if count < 1e10 else f"{count / 1e6:.0f}M"

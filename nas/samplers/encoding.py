"""Networks as rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from nas.samplers.gaussian_process import Kernel
from results.columns import Array


class Known(Protocol):
    """A network as far as it is known before it is measured."""

    @property
    def knobs(self) -> Mapping[str, Any]: ...

    @property
    def costs(self) -> Mapping[str, float]: ...


@dataclass(frozen=True)
class Encoder:
    """Log costs and log epochs over their range from -1 to 1, then the knobs.

    A knob of numbers is a column from 0 to 1, in its middle where it does not apply. Any other has a column per
    category, and two categories are as far apart as the ends of a scale.
    """

    costs: Sequence[str]
    low: Array
    high: Array
    knobs: Mapping[str, Sequence[Any]]
    epoch: float

    @classmethod
    def of(cls, networks: Sequence[Known], epochs: Sequence[float]) -> Encoder:
        """The ranges of these ``networks``, at least one, each observed at its epoch."""
        costs = list(networks[0].costs)
        logs = _logs(costs, networks, epochs)
        seen: dict[str, set[Any]] = {}
        for network in networks:
            for name, value in network.knobs.items():
                seen.setdefault(name, set()).add(value)
        knobs = {
            # any order, but the same in every process; values may be of several types
            name: sorted(values, key=repr)
            for name, values in sorted(seen.items())
            # a constant tells networks apart from nothing
            if len(values) > 1
        }
        return cls(costs, logs.min(axis=0), logs.max(axis=0), knobs, max(epochs))

    @property
    def names(self) -> list[str]:
        """Inputs with a length scale of their own."""
        return [*self.costs, "epoch", *self.knobs]

    @property
    def kernel(self) -> Kernel:
        trend = len(self.costs) + 1
        widths = [1] * trend + [
            1 if _is_scale(values) else len(values) for values in self.knobs.values()
        ]
        return Kernel(np.repeat(np.arange(len(widths)), widths), trend)

    def rows(self, networks: Sequence[Known], epochs: Sequence[float]) -> Array:
        """(networks, inputs), each at its epoch."""
        span = np.where(self.high > self.low, self.high - self.low, 1.0)
        # -1 to 1: the trend's weights have one prior for all inputs
        logs = 2 * (_logs(self.costs, networks, epochs) - self.low) / span - 1
        columns = [
            _column(name, values, networks) for name, values in self.knobs.items()
        ]
        return np.hstack([logs, *columns])

    def last(self, networks: Sequence[Known]) -> Array:
        """``rows`` at the last epoch known."""
        return self.rows(networks, [self.epoch] * len(networks))


def _logs(
    costs: Sequence[str], networks: Sequence[Known], epochs: Sequence[float]
) -> Array:
    rows = [
        [*(network.costs[name] for name in costs), epoch]
        for network, epoch in zip(networks, epochs, strict=True)
    ]
    return np.asarray(
        # + 1: a network may cost 0
        np.log(np.array(rows, dtype=float).reshape(-1, len(costs) + 1) + 1)
    )


def _is_scale(values: Sequence[object]) -> bool:
    return all(type(value) in (int, float) for value in values)


def _column(name: str, values: Sequence[Any], networks: Sequence[Known]) -> Array:
    if _is_scale(values):
        low, high = min(values), max(values)
        # a knob that does not apply is as far from one end as from the other
        middle = (low + high) / 2
        column = np.array(
            [[network.knobs.get(name, middle)] for network in networks], dtype=float
        )
        return np.asarray((column.reshape(-1, 1) - low) / (high - low))
    rows = [
        [name in network.knobs and network.knobs[name] == value for value in values]
        for network in networks
    ]
    # two categories differ in two columns: sqrt(1/2 + 1/2) = 1, as the ends of a scale
    return np.array(rows, dtype=float).reshape(-1, len(values)) * math.sqrt(0.5)

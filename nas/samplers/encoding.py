"""Networks as rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Protocol
from weakref import WeakKeyDictionary

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
    known: MutableMapping[Known, list[float]] = field(
        default_factory=WeakKeyDictionary, repr=False, compare=False
    )
    """Log costs and knobs of networks met before: most candidates come again and again."""

    @classmethod
    def of(
        cls,
        networks: Sequence[Known],
        epochs: Sequence[float],
        before: Encoder | None = None,
    ) -> Encoder:
        """The ranges of these ``networks``, at least one, each observed at its epoch."""
        costs = list(networks[0].costs)
        knobs = _varying_knobs(networks)
        nothing = np.zeros(len(costs) + 1)
        made = cls(costs, nothing, nothing, knobs, max(epochs))
        if before and before.knobs == knobs:
            made = replace(made, known=before.known)
        logs, _ = made._numbers(networks, epochs)
        low = logs.min(axis=0)
        high = logs.max(axis=0)
        return replace(made, low=low, high=high)

    @property
    def names(self) -> list[str]:
        """Inputs with a length scale of their own."""
        return [*self.costs, "epoch", *self.knobs]

    @property
    def kernel(self) -> Kernel:
        logs = [1] * (len(self.costs) + 1)
        widths = [*logs, *map(_width, self.knobs.values())]
        groups = np.repeat(np.arange(len(widths)), widths)
        return Kernel(groups)

    def rows(self, networks: Sequence[Known], epochs: Sequence[float]) -> Array:
        """(networks, inputs), each at its epoch."""
        logs, knobs = self._numbers(networks, epochs)
        span = self.high - self.low
        # a cost that does not vary has no span, and any will do
        places = 2 * (logs - self.low) / np.where(span > 0, span, 1.0)
        return np.hstack([places - 1, knobs])

    def last(self, networks: Sequence[Known]) -> Array:
        """``rows`` at the last epoch known."""
        return self.rows(networks, [self.epoch] * len(networks))

    def _numbers(
        self, networks: Sequence[Known], epochs: Sequence[float]
    ) -> tuple[Array, Array]:
        """Logs of costs and epochs, (networks, costs + 1), and the knobs, (networks, inputs)."""
        columns = sum(map(_width, self.knobs.values()))
        width = len(self.costs) + columns
        lists = [self._number(network) for network in networks]
        numbers = np.array(lists, dtype=float)
        table = numbers.reshape(-1, width)
        costs = len(self.costs)
        logs, knobs = np.split(table, [costs], axis=1)
        return np.column_stack([logs, np.log1p(epochs)]), knobs

    def _number(self, network: Known) -> list[float]:
        if network not in self.known:
            # + 1: a network may cost 0
            logs = [math.log1p(network.costs[name]) for name in self.costs]
            columns = (
                _columns(network.knobs.get(name), values)
                for name, values in self.knobs.items()
            )
            self.known[network] = [*logs, *chain.from_iterable(columns)]
        return self.known[network]


def _is_scale(values: Sequence[object]) -> bool:
    # True and False are categories though they are integers to Python
    return all(type(value) in (int, float) for value in values)


def _width(values: Sequence[object]) -> int:
    return 1 if _is_scale(values) else len(values)


def _columns(value: Any, values: Sequence[Any]) -> list[float]:
    """``value``, None where the knob does not apply, among all ``values`` of the knob."""
    if not _is_scale(values):
        # two categories differ in two columns: sqrt(1/2 + 1/2) = 1, as the ends of a scale
        return [math.sqrt(0.5) * (value == other) for other in values]
    low = min(values)
    high = max(values)
    # a knob that does not apply is as far from one end as from the other
    return [0.5 if value is None else (value - low) / (high - low)]


def _varying_knobs(networks: Sequence[Known]) -> dict[str, list[Any]]:
    """The values seen of each knob that has more than one: a constant tells no networks apart."""
    seen: dict[str, set[Any]] = {}
    for network in networks:
        for name, value in network.knobs.items():
            seen.setdefault(name, set()).add(value)
    varying = (name for name in sorted(seen) if len(seen[name]) > 1)
    # any order, but the same in every process; values may be of several types
    return {name: sorted(seen[name], key=repr) for name in varying}

"""What a search is: a space, objectives, limits, and what has been handed out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results.limits import Limit
from results.metrics import MetricValues
from results.objectives import Directions, Objectives
from search_spaces import IMAGENET, Arch, SearchSpace, Task, complexity
from search_spaces.sampling.limits import LIMITED


@dataclass(frozen=True)
class Problem:
    """What is searched: a space, for objectives (metric to ``"max"`` or ``"min"``), inside limits.

    ``taken`` has the ids of all architectures handed out so far and grows as the search goes on.
    """

    space: SearchSpace
    objectives: Directions
    limits: Mapping[str, Limit] = field(default_factory=dict)
    task: Task = IMAGENET
    taken: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def cheap(self) -> dict[str, Limit]:
        """The limits that are known to hold, or not, before anything is measured."""
        return {name: limit for name, limit in self.limits.items() if name in LIMITED}

    def costs(self, arch: Arch) -> dict[str, float]:
        cost = complexity(arch, self.task)
        return {name: getattr(cost, name) for name in LIMITED}

    def excess(self, metrics: MetricValues) -> dict[str, float]:
        """By how much (``Limit.excess``) each limit on a metric that was measured is broken: 0 or less inside."""
        return {
            name: limit.excess(metrics[name])
            for name, limit in self.limits.items()
            if metrics.get(name) is not None
        }

    def beyond(self, metrics: MetricValues) -> float:
        """The sum of what is broken; 0 inside all limits."""
        broken = self.excess(metrics).values()
        return sum(max(excess, 0.0) for excess in broken)

    def losses(self, metrics: MetricValues) -> NDArray[np.float64]:
        """The objectives, lower being better."""
        return self._aims.costs_of(metrics)

    @cached_property
    def _aims(self) -> Objectives:
        return Objectives.of(self.objectives)

    def fits(self, arch: Arch) -> bool:
        """Whether the cheap limits hold."""
        return not self.cheap or self.beyond(self.costs(arch)) == 0

    def draws(self, rng: np.random.Generator) -> Iterator[Arch]:
        """Different random architectures inside the cheap limits that are not taken, evenly distributed.

        Ends when the space seems to hold no other.

        Raises:
            ValueError: if there are none at all inside the limits, with the nearest.
        """
        window = {name: (limit.min, limit.max) for name, limit in self.cheap.items()}
        drawn = self.space.samples(rng, window, self.task)
        # the first draw apart: an error there says that the limits leave nothing at all
        arch = next(drawn)
        if arch.id not in self.taken:
            yield arch
        try:
            yield from (arch for arch in drawn if arch.id not in self.taken)
        except ValueError:  # all draws are repeats
            return

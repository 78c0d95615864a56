"""Networks to begin with, spread evenly over the costs that are known before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from numpy.random import Generator

from nas.samplers.surrogate import Candidate


def spread_over_flops(
    pools: Sequence[Sequence[Candidate]], count: int, rng: Generator
) -> list[Candidate]:
    """At most ``count`` networks evenly spread over the range of log FLOPs, from ``pools`` in turn."""
    logs = [np.log([network.costs["flops"] for network in pool]) for pool in pools]
    if not logs[0].size:
        return []
    # evenly in the logarithm: random networks crowd in the middle
    goals = np.linspace(logs[0].min(), logs[0].max(), count)
    chosen: dict[str, Candidate] = {}
    turns = zip(goals, cycle(pools), cycle(logs), strict=False)
    for goal, pool, flops in turns:
        nearest = pool[int(abs(flops - goal).argmin())]
        # by id: two goals may have the same nearest network
        chosen[nearest.arch.id] = nearest
    # in random order, so that a search that ends early has seen small and large ones
    networks = list(chosen.values())
    return [networks[index] for index in rng.permutation(len(networks))]

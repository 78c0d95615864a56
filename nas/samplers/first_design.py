"""Networks to begin with, spread evenly over the costs that are known before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from numpy.random import Generator

from nas.samplers.surrogate import Candidate


def spread_over_flops(
    drawn: Sequence[Candidate],
    believed: Sequence[Candidate],
    count: int,
    rng: Generator,
) -> list[Candidate]:
    """At most ``count`` networks evenly spread over the range of log FLOPs of those ``drawn``.

    Families take turns, so that each shows small and large networks. ``believed`` are the same networks with the
    knobs that are preferred, if any are: every third is one of them where there is one family.
    """
    families: dict[str, list[Candidate]] = {}
    for network in drawn:
        families.setdefault(family_of(network), []).append(network)
    pools = [*families.values()]
    if believed:
        # beliefs may be wrong: they come once, what was drawn twice
        pools = [*pools, *pools, [*believed]]
    logs = [np.log([network.costs["flops"] for network in pool]) for pool in pools]
    if not logs:
        return []
    # evenly in the logarithm: random networks crowd in the middle
    together = np.concatenate(logs[: len(families)])
    goals = np.linspace(together.min(), together.max(), count)
    chosen: dict[str, Candidate] = {}
    turns = zip(goals, cycle(pools), cycle(logs), strict=False)
    for goal, pool, flops in turns:
        nearest = pool[int(abs(flops - goal).argmin())]
        # by id: two goals may have the same nearest network
        chosen[nearest.arch.id] = nearest
    # in random order, so that a search that ends early has seen small and large ones
    networks = list(chosen.values())
    return [networks[index] for index in rng.permutation(len(networks))]


def family_of(network: Candidate) -> str:
    return network.arch.space

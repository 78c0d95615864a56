"""Networks to begin with, spread evenly over the costs that are known before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from numpy.random import Generator

from nas.samplers.surrogate import Candidate
from search_spaces import SearchSpace
from search_spaces.joint import JointSpace
from search_spaces.unions import FAMILY, Union


def families_of(space: SearchSpace) -> list[str]:
    """Those of a union, if it is one."""
    networks = space.networks if isinstance(space, JointSpace) else space
    return [*networks.families] if isinstance(networks, Union) else []


def first_design(
    drawn: Sequence[Candidate],
    believed: Sequence[Candidate],
    count: int,
    rng: Generator,
) -> list[Candidate]:
    """``count`` networks in random order, as many of each family that is among those ``drawn``.

    ``believed`` are the same networks with the knobs that are preferred, if any are; beliefs may be wrong, so two
    of three are as they were drawn.
    """
    families = sorted({_family(network) for network in drawn})
    networks: list[Candidate] = []
    for number, family in enumerate(families):
        mine, preferred = (
            [network for network in pool if _family(network) == family]
            for pool in (drawn, believed)
        )
        # what cannot be shared evenly goes to the first ones
        share = len(range(number, count, len(families)))
        pools = [mine, mine, preferred] if preferred else [mine]
        networks += spread_over_flops(pools, share)
    # so that a search that ends early has seen small and large ones
    return [networks[index] for index in rng.permutation(len(networks))]


def spread_over_flops(
    pools: Sequence[Sequence[Candidate]], count: int
) -> list[Candidate]:
    """``count`` networks from ``pools`` in turn, evenly spread over the range of log FLOPs of the first pool."""
    logs = [np.log([network.costs["flops"] for network in pool]) for pool in pools]
    # evenly in the logarithm: random networks crowd in the middle
    goals = np.linspace(logs[0].min(), logs[0].max(), count)
    chosen: dict[str, Candidate] = {}
    for goal, pool, flops in zip(goals, cycle(pools), cycle(logs), strict=False):
        nearest = sorted(range(len(pool)), key=lambda index: abs(flops[index] - goal))
        # by id: two goals may have the same nearest network
        new = (pool[index] for index in nearest if pool[index].arch.id not in chosen)
        if network := next(new, None):
            chosen[network.arch.id] = network
    return list(chosen.values())


def _family(network: Candidate) -> str:
    return network.knobs[FAMILY] if families_of(network.problem.space) else ""

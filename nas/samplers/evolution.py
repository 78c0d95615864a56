"""Asynchronous multi-objective evolution that asks a surrogate which of many candidates to try.

First come networks evenly spread over the costs. Then a Gaussian process is fitted to what was observed, the front
that it believes in has all its one-knob neighbours as candidates, beside random ones and larger mutations, and the
candidate is tried that is expected to add the most hypervolume to that front.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from heapq import nsmallest
from itertools import chain, islice

import numpy as np

from nas.problem import Problem
from nas.samplers.base import Draw, Outcome, RandomDraws
from nas.samplers.hypervolume import crowding, hypervolume_gains, undominated
from nas.samplers.surrogate import Candidate, Observation, Posterior, Surrogate
from results.columns import Array
from search_spaces import Arch

RANDOM_CANDIDATES = 100
"""The latest random networks not taken yet, to choose among."""
NEW = 10
"""New random candidates, and mutations, each time."""
MOST = 1000
"""Candidates at most."""
LIKELY = 150
"""Candidates whose gains are averaged: those that would gain the most if all that is guessed came out well."""
DRAWS = 16
"""Posterior samples that gains are averaged over."""
OBSERVED = 300
"""Observations that the surrogate is fitted to: what is not dominated, then the latest."""
CHOICE = 20
"""Random networks for each one of the first design to be chosen from."""
AGAIN = 0.3
"""Chance that a mutation is followed by another."""
NEAREST = 5
"""Parents while nothing is inside the limits."""
LONELIEST = 2.0
"""Crowding distance at which the ends of a front count."""


class Evolution:
    """Small changes of the front, the most promising first; see ``docs/samplers.md``.

    ``first`` networks are spread over the range of FLOPs. With ``surrogate``, the next is the candidate of the
    highest expected hypervolume improvement; costs are exact, only what needs measuring is guessed, and what is in
    flight counts as measured. Without, it is a mutation of a parent, which wins a tournament of two on the front:
    by how lonely it is there, and it ages with every child. Trials stopped early count with what they reached, and
    teach the surrogate at that epoch.

    Raises:
        ValueError: for an option that is wrong.
    """

    def __init__(
        self, problem: Problem, seed: int, first: int = 8, surrogate: bool = True
    ) -> None:
        self._problem, self._seed = problem, seed
        if not isinstance(first, int) or first < 2:
            raise ValueError(
                f"`first` must be a whole number of at least 2, got {first!r}"
            )
        self._first = first
        self._surrogate = Surrogate(problem) if surrogate else None
        self._observations: list[Observation] = []
        self._front: list[Observation] = []
        self._losses: Array = np.empty((0, len(problem.objectives)))
        self._pending: dict[str, Candidate] = {}
        self._children: Counter[str] = Counter()
        self._random: dict[str, Candidate] = {}
        self._neighbours: dict[str, list[Candidate]] = {}
        self._spare = RandomDraws(problem, seed)

    @cached_property
    def _rng(self) -> np.random.Generator:
        """Begun at the first draw, and differently after a restart."""
        return np.random.default_rng([self._seed, len(self._problem.taken)])

    def draw(self) -> Draw | None:
        if len(self._problem.taken) < self._first:
            network = self._spread()
        elif self._surrogate:
            network = self._most_promising(self._surrogate)
        else:
            network = self._mutation(self._parents)
        if network is None:
            return self._spare.draw()
        self._pending[network.arch.id] = network
        return Draw(network.arch)

    def adopt(self, arch: Arch) -> Draw:
        self._pending[arch.id] = Candidate(arch, self._problem)
        return Draw(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        network = self._pending.pop(draw.arch.id, None) or Candidate(
            draw.arch, self._problem
        )
        observation = Observation.of(network, outcome)
        self._observations.append(observation)
        if (
            observation.losses is None
            or (self._losses <= observation.losses).all(axis=1).any()
        ):
            return
        stays = ~(observation.losses <= self._losses).all(axis=1)
        self._front = [
            *(self._front[index] for index in np.flatnonzero(stays).tolist()),
            observation,
        ]
        self._losses = np.vstack([self._losses[stays], observation.losses])

    def _spread(self) -> Candidate | None:
        return next(
            (n for n in self._design if n.arch.id not in self._problem.taken), None
        )

    @cached_property
    def _design(self) -> list[Candidate]:
        """Random networks evenly spread over the range of log FLOPs, in random order."""
        drawn = islice(self._problem.draws(self._rng), self._first * CHOICE)
        pool = sorted(
            (Candidate(arch, self._problem) for arch in drawn),
            key=lambda network: network.costs["flops"],
        )
        if not pool:
            return []
        flops = np.log([network.costs["flops"] for network in pool])
        chosen = {
            int(abs(flops - goal).argmin())
            for goal in np.linspace(flops[0], flops[-1], self._first)
        }
        return [pool[index] for index in self._rng.permutation(sorted(chosen)).tolist()]

    @property
    def _parents(self) -> Sequence[Observation]:
        """The front, or what is beyond the limits least while nothing is inside."""
        broken = (other for other in self._observations if other.excess)
        return self._front or nsmallest(NEAREST, broken, key=lambda other: other.excess)

    def _mutation(self, parents: Sequence[Observation]) -> Candidate | None:
        """A new one inside the cheap limits, if there is one at the first try."""
        if not parents:
            return None
        parent = self._tournament(parents)
        arch = parent.arch
        try:
            for _ in range(self._rng.geometric(1 - AGAIN)):
                arch = self._problem.space.mutate(arch, self._rng)
        except ValueError:  # no knob leads anywhere
            return None
        if arch.id in self._problem.taken or not self._problem.fits(arch):
            return None
        self._children[parent.arch.id] += 1
        return Candidate(arch, self._problem)

    def _tournament(self, parents: Sequence[Observation]) -> Candidate:
        lonely = (
            np.minimum(crowding(self._losses), LONELIEST)
            if parents is self._front
            else np.ones(len(parents))
        )
        a, b = self._rng.integers(len(parents), size=2).tolist()
        won: int = max(
            a,
            b,
            key=lambda i: lonely[i] / (1 + self._children[parents[i].network.arch.id]),
        )
        return parents[won].network

    def _most_promising(self, surrogate: Surrogate) -> Candidate | None:
        observed = list(
            islice(
                _different(chain(self._front, reversed(self._observations))), OBSERVED
            )
        )
        if not observed:
            return None
        posterior = surrogate.posterior(observed)
        front, losses = self._believed(posterior, observed)
        candidates = self._candidates(front or self._parents)
        if not candidates:
            return None
        pending = list(self._pending.values())
        drawn, excess = posterior.sample(candidates, pending, DRAWS, self._rng)
        inside = excess == 0
        gains = np.zeros(len(candidates))
        if front:
            seen = np.array(
                [other.losses for other in observed if other.losses is not None]
            )
            expected = np.vstack([losses, posterior.believed(pending)])
            best = drawn.min(axis=0)
            likely = hypervolume_gains(best, expected, seen).argsort()[-LIKELY:]
            gains[likely] = (
                hypervolume_gains(drawn[:, likely], expected, seen) * inside[:, likely]
            ).mean(axis=0)
        # where nothing is to be gained, what is most likely inside the limits, then nearest to them
        order = np.lexsort([-excess.mean(axis=0), inside.mean(axis=0), gains])
        return candidates[int(order[-1])]

    def _believed(
        self, posterior: Posterior, observed: Sequence[Observation]
    ) -> tuple[list[Observation], Array]:
        """The front of what was observed as the posterior has it, not by lucky observations, and its losses."""
        inside = [other for other in observed if other.losses is not None]
        if not inside:
            return [], self._losses
        reached = np.array([other.losses for other in inside])
        complete = np.array([other.complete for other in inside])
        losses = np.where(
            complete[:, None],
            posterior.believed([other.network for other in inside]),
            reached,
        )
        best = undominated(losses)
        return [inside[index] for index in np.flatnonzero(best).tolist()], losses[best]

    def _candidates(self, parents: Sequence[Observation]) -> list[Candidate]:
        """Random networks, mutations and all one-knob neighbours of the parents that are new."""
        for draw in islice(iter(self._spare.draw, None), NEW):
            self._random[draw.arch.id] = Candidate(draw.arch, self._problem)
        latest = list(self._random.items())[-RANDOM_CANDIDATES:]
        self._random = {
            key: network for key, network in latest if key not in self._problem.taken
        }
        mutated = [self._mutation(parents) for _ in range(NEW)]
        near = [network for parent in parents for network in self._near(parent.network)]
        different = {
            network.arch.id: network
            for network in [*self._random.values(), *filter(None, mutated), *near]
        }
        new = [
            network
            for key, network in different.items()
            if key not in self._problem.taken
        ]
        kept = sorted(self._rng.permutation(len(new))[:MOST].tolist())
        return [new[index] for index in kept]

    def _near(self, network: Candidate) -> list[Candidate]:
        """The one-knob neighbours inside the cheap limits, worked out once."""
        if network.arch.id not in self._neighbours:
            around = self._problem.space.neighbours(network.arch, self._rng)
            self._neighbours[network.arch.id] = [
                Candidate(arch, self._problem)
                for arch in around
                if self._problem.fits(arch)
            ]
        return self._neighbours[network.arch.id]


def _different(observations: Iterable[Observation]) -> Iterable[Observation]:
    return {
        observation.network.arch.id: observation for observation in observations
    }.values()

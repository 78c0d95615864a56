"""Asynchronous multi-objective evolution that asks a surrogate which of many candidates to try.

First come networks evenly spread over the costs. Then a Gaussian process is fitted to what was observed, the front
that it believes in has all its one-knob neighbours as candidates, beside random ones and larger mutations, and the
candidate is tried that is expected to add the most hypervolume to that front.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from heapq import nsmallest
from itertools import chain, islice, zip_longest

import numpy as np
from numpy.random import Generator

from nas.problem import Problem
from nas.samplers.base import Draw, Outcome, RandomDraws
from nas.samplers.beliefs import Beliefs
from nas.samplers.earlier import earlier_runs
from nas.samplers.first_design import families_of, first_design
from nas.samplers.hypervolume import crowding, undominated
from nas.samplers.shortlist import Shortlist
from nas.samplers.surrogate import Candidate, Observation, Posterior, Surrogate
from results.columns import Array
from search_spaces import Arch
from search_spaces.knobs import KnobValue

RANDOM_CANDIDATES = 100
"""The latest random networks not taken yet, to choose among."""
NEW = 4
"""New random candidates, and mutations, each time."""
LARGEST_POOL = 1000
"""Candidates at most."""
DRAWS = 16
"""Posterior samples that gains are averaged over."""
OBSERVED = 300
"""Observations that the surrogate is fitted to: what is not dominated, then the latest."""
IN_FLIGHT = 200
"""The latest networks in flight that the surrogate counts as observed: a fit grows with their cube."""
DRAWS_PER_FIT = 8
"""Draws that one fit serves, if nothing new is observed between them."""
CHOICE = 20
"""Random networks for each one of the first design to be chosen from."""
FEW = 100
"""Neighbours of the front; if there are fewer, theirs are candidates too."""
MUTATE_AGAIN = 0.3
"""Chance that a mutation is followed by another."""
NEAREST = 5
"""Parents while nothing is inside the limits."""
PER_FAMILY = 3
"""Networks of the first design for each family of a union, at least: others do not tell what a family is worth."""
LONELIEST = 2.0
"""Crowding distance at which the ends of a front count."""


class Evolution:
    """Small changes of the front, those that should add most first; see ``docs/samplers.md``.

    ``first`` networks, at least three of each family of a union, are spread over the range of FLOPs. With
    ``surrogate``, the next is the candidate of the highest expected hypervolume improvement; costs are exact, only
    what needs measuring is guessed, and what is in flight counts as measured. Without, it is a mutation of a
    parent, which wins a tournament of two on the front: by how lonely it is there, and it ages with every child.
    Trials stopped early count with what they reached, and teach the surrogate at that epoch.

    ``learn_from``: folders of earlier runs in the same space, which the surrogate learns from as well. ``prefer``:
    values of knobs that are believed to be good, which counts less the more is observed.

    Raises:
        ValueError: for an option that is wrong.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        first: int = 5,
        surrogate: bool = True,
        learn_from: Sequence[str] = (),
        prefer: Mapping[str, KnobValue] | None = None,
    ) -> None:
        self._problem = problem
        self._seed = seed
        if not isinstance(first, int) or first < 2:
            raise ValueError(
                f"`first` must be a whole number of at least 2, got {first!r}"
            )
        families = len(families_of(problem.space))
        self._first = max(first, PER_FAMILY * families) if families else first
        if (learn_from or prefer) and not surrogate:
            raise ValueError("`learn_from` and `prefer` need `surrogate: true`")
        earlier = earlier_runs(learn_from, problem)
        self._surrogate = Surrogate(problem, earlier) if surrogate else None
        self._beliefs = Beliefs(prefer or {}, problem.space)
        self._observations: list[Observation] = []
        self._front: list[Observation] = []
        self._losses: Array = np.empty((0, len(problem.objectives)))
        self._pending: dict[str, Candidate] = {}
        self._shortlist: Shortlist | None = None
        self._children: Counter[str] = Counter()
        self._random: dict[str, Candidate] = {}
        self._neighbours: dict[str, list[Candidate]] = {}
        self._spare = RandomDraws(problem, seed)

    @cached_property
    def _rng(self) -> Generator:
        """Begun at the first draw, and differently after a restart."""
        taken = len(self._problem.taken)
        return np.random.default_rng([self._seed, taken])

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
        self._shortlist = None
        self._pending[arch.id] = Candidate(arch, self._problem)
        return Draw(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        self._shortlist = None
        network = self._pending.pop(draw.arch.id, None) or Candidate(
            draw.arch, self._problem
        )
        observation = Observation.of(network, outcome)
        self._observations.append(observation)
        losses = observation.losses
        # outside the limits, or no better than one on the front
        if losses is None or (self._losses <= losses).all(axis=1).any():
            return
        stays = ~(losses <= self._losses).all(axis=1)
        places = np.flatnonzero(stays).tolist()
        kept = [self._front[place] for place in places]
        self._front = [*kept, observation]
        self._losses = np.vstack([self._losses[stays], losses])

    def _spread(self) -> Candidate | None:
        """The next of the first design; after a restart some of it may be taken."""
        taken = self._problem.taken
        left = (network for network in self._design if network.arch.id not in taken)
        return next(left, None)

    @cached_property
    def _design(self) -> list[Candidate]:
        """Random networks evenly spread over the range of log FLOPs, in random order."""
        draws = self._problem.draws(self._rng)
        drawn = islice(draws, self._first * CHOICE)
        networks = [Candidate(arch, self._problem) for arch in drawn]
        believed = self._as_believed(networks)
        # those not chosen are random candidates from the start
        # in turn, because only the latest stay: half of them are as they were drawn
        mixed = chain.from_iterable(zip_longest(networks, believed))
        self._random = {network.arch.id: network for network in mixed if network}
        return first_design(networks, believed, self._first, self._rng)

    def _as_believed(self, networks: Sequence[Candidate]) -> list[Candidate]:
        """The networks with the knobs that are preferred, if any are, as far as cheap limits allow."""
        if not self._beliefs.preferred:
            return []
        archs = (self._beliefs.applied(each.arch, self._rng) for each in networks)
        different = {arch.id: Candidate(arch, self._problem) for arch in archs}
        return [network for network in different.values() if network.fits]

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
            # one change mostly, now and then more: so valleys are crossed
            for _ in range(self._rng.geometric(1 - MUTATE_AGAIN)):
                arch = self._problem.space.mutate(arch, self._rng)
        except ValueError:  # no knob leads anywhere
            return None
        network = Candidate(arch, self._problem)
        if arch.id in self._problem.taken or not network.fits:
            return None
        self._children[parent.arch.id] += 1
        return network

    def _tournament(self, parents: Sequence[Observation]) -> Candidate:
        """One of two parents drawn at random: the lonelier on the front, with fewer children so far."""
        drawn = self._rng.integers(len(parents), size=2)
        a, b = drawn.tolist()
        lonely = np.ones(len(parents))
        if parents is self._front:
            # the ends of a front are infinitely lonely, and would win for ever
            lonely = np.minimum(crowding(self._losses), LONELIEST)

        def fitness(index: int) -> float:
            children = self._children[parents[index].network.arch.id]
            # every child makes its parent less attractive, so that the whole front gets its turn
            return float(lonely[index] / (1 + children))

        return parents[max(a, b, key=fitness)].network

    def _most_promising(self, surrogate: Surrogate) -> Candidate | None:
        """The candidate of the highest expected hypervolume improvement, None if there is no candidate."""
        # a thousand workers ask faster than a surrogate is fitted: those that ask at once share a fit
        if self._shortlist is None or self._shortlist.chosen == DRAWS_PER_FIT:
            self._shortlist = self._new_shortlist(surrogate)
        return self._shortlist.choose() if self._shortlist else None

    def _new_shortlist(self, surrogate: Surrogate) -> Shortlist | None:
        observed = self._observed()
        if not observed:
            return None
        posterior = surrogate.posterior(observed)
        front, losses = self._believed(posterior, observed)
        candidates = self._candidates(front or self._parents)
        if not candidates:
            return None
        pending = list(islice(reversed(self._pending.values()), IN_FLIGHT))[::-1]
        # (draws, candidates, objectives) and (draws, candidates)
        drawn, excess = posterior.sample(candidates, pending, DRAWS, self._rng)
        weights = self._beliefs.weights(candidates, len(observed))
        if not front:
            return Shortlist(candidates, posterior, drawn, excess, weights)
        seen = [other.losses for other in observed if other.losses is not None]
        # what is in flight counts as if it came out as believed: nobody does it twice
        expected = np.vstack([losses, posterior.believed(pending)])
        return Shortlist(
            candidates, posterior, drawn, excess, weights, expected, np.array(seen)
        )

    def _observed(self) -> list[Observation]:
        """What the surrogate is fitted to, each network once: the front, then the latest."""
        different = _different(chain(self._front, reversed(self._observations)))
        return list(islice(different, OBSERVED))

    def _believed(
        self, posterior: Posterior, observed: Sequence[Observation]
    ) -> tuple[list[Observation], Array]:
        """The front of what was observed as the posterior has it, not by lucky observations, and its losses."""
        inside = [other for other in observed if other.losses is not None]
        if not inside:
            return [], self._losses
        reached = np.array([other.losses for other in inside])
        complete = np.array([other.complete for other in inside])
        middle = posterior.believed([other.network for other in inside])
        # of a stopped network only what it reached is known: it is not believed to have been trained on
        losses = np.where(complete[:, None], middle, reached)
        best = undominated(losses)
        front = [inside[index] for index in np.flatnonzero(best).tolist()]
        return front, losses[best]

    def _candidates(self, parents: Sequence[Observation]) -> list[Candidate]:
        """Random networks, mutations and all one-knob neighbours of the parents that are new."""
        for draw in islice(iter(self._spare.draw, None), NEW):
            self._random[draw.arch.id] = Candidate(draw.arch, self._problem)
        taken = self._problem.taken
        free = [item for item in self._random.items() if item[0] not in taken]
        self._random = dict(free[-RANDOM_CANDIDATES:])
        mutated = [self._mutation(parents) for _ in range(NEW)]
        found = [*self._random.values(), *filter(None, mutated), *self._near(parents)]
        # by id: a neighbour of two parents counts once
        new = list({network.arch.id: network for network in found}.values())
        # a large front has thousands of neighbours: a random part of all
        shuffled = self._rng.permutation(len(new))
        kept = sorted(shuffled[:LARGEST_POOL].tolist())
        return [new[index] for index in kept]

    def _near(self, parents: Sequence[Observation]) -> list[Candidate]:
        """New one-knob neighbours of the parents inside the cheap limits; where they are few, theirs too.

        A front of one objective is one network, and under a tight limit what one knob adds another has to save.
        """
        first = [other for parent in parents for other in self._around(parent.network)]
        near = self._fresh(first)
        for other in first:
            if len(near) >= FEW:
                break
            near += self._fresh(self._around(other))
        return near

    def _fresh(self, networks: Iterable[Candidate]) -> list[Candidate]:
        taken = self._problem.taken
        return [
            other for other in networks if other.fits and other.arch.id not in taken
        ]

    def _around(self, network: Candidate) -> list[Candidate]:
        """All one-knob neighbours, worked out once."""
        key = network.arch.id
        if key not in self._neighbours:
            # kept: a network stays on the front for long, and has hundreds of neighbours
            around = self._problem.space.neighbours(network.arch, self._rng)
            self._neighbours[key] = [Candidate(arch, self._problem) for arch in around]
        return self._neighbours[key]


def _different(observations: Iterable[Observation]) -> Iterable[Observation]:
    return {
        observation.network.arch.id: observation for observation in observations
    }.values()

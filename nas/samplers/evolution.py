"""Asynchronous multi-objective evolution that asks a surrogate which of many small mutations to try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import nsmallest
from itertools import chain, islice

import numpy as np

from nas.problem import Draw, Outcome, Problem, RandomDraws
from nas.samplers.hypervolume import Array, crowding, hypervolume_gains
from nas.samplers.surrogate import Lesson, Network, guess
from search_spaces import Arch

POOL = 120
"""The latest candidates not taken yet, to choose among."""
GROWTH = 20
"""New ones each time."""
TEACHERS = 200
"""Trials that the surrogate learns from: what is not dominated, then the latest."""
STARTS = 20
"""Random networks for each one of the first design to be chosen from."""
AGAIN = 0.3
"""Chance that a mutation is followed by another."""
STRANGERS = 0.3
"""Share of new candidates that are random networks instead, so that the search does not stay where it began."""
NEAREST = 5
"""Parents while nothing is inside the limits."""
LONELIEST = 2.0
"""Crowding distance at which the ends of a front count."""


@dataclass(frozen=True)
class Candidate:
    """``parent`` None: a random network."""

    network: Network
    parent: str | None


class Evolution:
    """Small mutations of the front, the most promising first; see ``docs/samplers.md``.

    ``first`` networks are spread over the range of FLOPs. Then each is a mutation of a parent, which wins a
    tournament of two on the front: by how lonely it is there, and it ages with every child. With ``surrogate``,
    many mutations are made, some random networks join them, and the one is tried that adds the most hypervolume
    in a draw of what a Gaussian process believes; costs are exact, only what needs measuring is guessed, and what
    is in flight counts as measured. Trials stopped early count with what they reached, and teach the surrogate
    at that epoch.

    Raises:
        ValueError: for an option that is wrong.
    """

    def __init__(self, problem: Problem, seed: int, first: int = 16, surrogate: bool = True) -> None:
        self._problem, self._seed = problem, seed
        if not isinstance(first, int) or first < 2:
            raise ValueError(f"`first` must be a whole number of at least 2, got {first!r}")
        self._first, self._surrogate = first, bool(surrogate)
        self._lessons: list[Lesson] = []
        self._front: list[Lesson] = []
        self._losses: Array = np.empty((0, len(problem.objectives)))
        self._pending: dict[str, Network] = {}
        self._children: Counter[str] = Counter()
        self._pool: dict[str, Candidate] = {}
        self._spare = RandomDraws(problem, seed)

    @cached_property
    def _rng(self) -> np.random.Generator:
        """Begun at the first draw, and differently after a restart."""
        return np.random.default_rng([self._seed, len(self._problem.taken)])

    def draw(self) -> Draw | None:
        network = self._spread() if len(self._problem.taken) < self._first else self._mutation()
        if network is None:
            return self._spare.draw()
        self._pending[network.arch.id] = network
        return Draw(network.arch)

    def adopt(self, arch: Arch) -> Draw:
        self._pending[arch.id] = Network(arch, self._problem)
        return Draw(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        network = self._pending.pop(draw.arch.id, None) or Network(draw.arch, self._problem)
        lesson = Lesson.of(network, outcome)
        self._lessons.append(lesson)
        if lesson.losses is None or (self._losses <= lesson.losses).all(axis=1).any():
            return
        stays = ~(lesson.losses <= self._losses).all(axis=1)
        self._front = [*(self._front[index] for index in np.flatnonzero(stays).tolist()), lesson]
        self._losses = np.vstack([self._losses[stays], lesson.losses])

    def _spread(self) -> Network | None:
        return next((n for n in self._design if n.arch.id not in self._problem.taken), None)

    @cached_property
    def _design(self) -> list[Network]:
        """Random networks evenly spread over the range of log FLOPs, in random order."""
        drawn = islice(self._problem.draws(self._rng), self._first * STARTS)
        pool = sorted(
            (Network(arch, self._problem) for arch in drawn), key=lambda network: network.costs["flops"]
        )
        if not pool:
            return []
        flops = np.log([network.costs["flops"] for network in pool])
        chosen = {int(abs(flops - goal).argmin()) for goal in np.linspace(flops[0], flops[-1], self._first)}
        return [pool[index] for index in self._rng.permutation(sorted(chosen)).tolist()]

    def _mutation(self) -> Network | None:
        parents = self._front or self._nearest()
        if not parents:
            return None
        for _ in range(GROWTH if self._surrogate else 1):
            if self._surrogate and self._rng.random() < STRANGERS:
                self._invite()
            else:
                self._grow(self._parent(parents))
        left = [(key, other) for key, other in self._pool.items() if key not in self._problem.taken]
        self._pool = dict(left[-POOL:])
        pool = list(self._pool.values())
        if not pool:
            return None
        chosen = pool[self._most_promising([other.network for other in pool]) if self._surrogate else -1]
        if chosen.parent:
            self._children[chosen.parent] += 1
        return chosen.network

    def _nearest(self) -> list[Lesson]:
        """Parents while nothing is inside the limits: what is beyond them least."""
        return nsmallest(
            NEAREST, (other for other in self._lessons if other.excess), key=lambda other: other.excess
        )

    def _parent(self, parents: Sequence[Lesson]) -> Network:
        lonely = np.minimum(crowding(self._losses), LONELIEST) if self._front else np.ones(len(parents))
        a, b = self._rng.integers(len(parents), size=2).tolist()
        won: int = max(a, b, key=lambda i: lonely[i] / (1 + self._children[parents[i].network.arch.id]))
        return parents[won].network

    def _invite(self) -> None:
        """Add a random network to the pool, if there is one left."""
        if (draw := self._spare.draw()) and draw.arch.id not in self._pool:
            self._pool[draw.arch.id] = Candidate(Network(draw.arch, self._problem), None)

    def _grow(self, parent: Network) -> None:
        """Add a mutation to the pool, if it is new and inside the limits."""
        arch = parent.arch
        try:
            for _ in range(self._rng.geometric(1 - AGAIN)):
                arch = self._problem.space.mutate(arch, self._rng)
        except ValueError:  # no knob leads anywhere
            return
        if arch.id not in self._problem.taken and arch.id not in self._pool and self._problem.fits(arch):
            self._pool[arch.id] = Candidate(Network(arch, self._problem), parent.arch.id)

    def _most_promising(self, pool: list[Network]) -> int:
        teachers = list(islice(chain(self._front, reversed(self._lessons)), TEACHERS + len(self._front)))
        teachers = _different(teachers)[:TEACHERS]
        pending = list(self._pending.values())
        guessed = guess(self._problem, teachers, [*pool, *pending], self._rng)
        losses = np.array([self._problem.losses(metrics) for metrics in guessed])
        seen = np.array([lesson.losses for lesson in teachers if lesson.losses is not None])
        front = np.vstack([self._losses, losses[len(pool) :]])
        gains = hypervolume_gains(losses[: len(pool)], front, seen) if len(seen) else np.zeros(len(pool))
        beyond = np.array([self._problem.beyond(metrics) for metrics in guessed])[: len(pool)]
        return int(np.where(beyond > 0, -beyond, gains).argmax())


def _different(lessons: Iterable[Lesson]) -> list[Lesson]:
    return list({lesson.network.arch.id: lesson for lesson in lessons}.values())

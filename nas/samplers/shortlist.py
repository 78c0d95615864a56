"""Which candidate to try: that of the highest expected hypervolume improvement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.samplers.hypervolume import hypervolume_gains
from nas.samplers.surrogate import Candidate, Posterior
from results.columns import Array

LIKELY = 150
"""Candidates whose gains are averaged: those that would gain the most if all that is guessed came out well."""


@dataclass
class Shortlist:
    """Candidates, and what one fit of the surrogate says of each.

    ``drawn``: losses by posterior samples, (draws, candidates, objectives). ``excess``: by how much they break the
    limits, (draws, candidates). ``expected``: the front with what is in flight, as believed, (points, objectives);
    None while nothing is inside the limits. ``seen``: losses that give the scale. ``weights``: how much the gain
    of each candidate counts, (candidates,).
    """

    candidates: Sequence[Candidate]
    posterior: Posterior
    drawn: Array
    excess: Array
    weights: Array
    expected: Array | None = None
    seen: Array | None = None
    chosen: int = 0

    def choose(self) -> Candidate | None:
        """The one left that should add most, which counts as in flight from then on; None if there is none."""
        if not self.candidates:
            return None
        inside = self.excess == 0
        gains = np.zeros(len(self.candidates))
        if self.expected is not None and self.seen is not None:
            gains = _expected_gains(
                self.drawn, inside * self.weights, self.expected, self.seen
            )
        # where nothing is to be gained, what is most likely inside the limits, then nearest to them
        excess = self.excess.mean(axis=0)
        chance = inside.mean(axis=0)
        order = np.lexsort([-excess, chance, gains])
        return self._take(int(order[-1]))

    def _take(self, index: int) -> Candidate:
        network = self.candidates[index]
        before = self.candidates[:index]
        after = self.candidates[index + 1 :]
        self.candidates = [*before, *after]
        self.drawn = np.delete(self.drawn, index, axis=1)
        self.excess = np.delete(self.excess, index, axis=1)
        self.weights = np.delete(self.weights, index)
        if self.expected is not None:
            believed = self.posterior.believed([network])
            self.expected = np.vstack([self.expected, believed])
        self.chosen += 1
        return network


def _expected_gains(drawn: Array, weights: Array, front: Array, seen: Array) -> Array:
    """Expected hypervolume improvement over ``front`` of every candidate, shape (candidates,).

    ``drawn`` (draws, candidates, objectives) are losses by posterior samples; ``weights`` (draws, candidates) say
    how much each counts, 0 outside the limits; ``seen`` gives the scale of each objective.
    """
    # averaging costs most of the time: only those that gain much if all comes out well
    best = drawn.min(axis=0)
    most = hypervolume_gains(best, front, seen) * weights.max(axis=0)
    likely = most.argsort()[-LIKELY:]
    gains = np.zeros(drawn.shape[1])
    by_draw = hypervolume_gains(drawn[:, likely], front, seen)
    weighted = by_draw * weights[:, likely]
    gains[likely] = weighted.mean(axis=0)
    return gains

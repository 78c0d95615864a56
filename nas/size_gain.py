"""What a short training does not show of size: a large network is further from its end than a small one.

Of two networks that are equally accurate after it, the one with twice the parameters comes to more in a long
training (docs/evidence/proxy.md). ``size_gain`` is the accuracy of the short one that this makes up for; the
sampler learns from accuracies corrected by it, and finalists are chosen by them. What was measured stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log2

import pandas as pd

from nas.problem import Problem
from nas.samplers.base import Draw, Outcome, Sampler, Strategy
from search_spaces import Arch, complexity

AS_MEASURED = 100_000
"""Parameters of the network whose accuracy stays as it is."""


@dataclass(frozen=True)
class SizeGain:
    """A sampler that hears of ``gain`` more accuracy for every doubling of the parameters."""

    sampler: Sampler
    gain: float

    def __call__(self, problem: Problem) -> Strategy:
        return _Corrected(self.sampler(problem), problem, self.gain)


@dataclass(frozen=True)
class _Corrected:
    strategy: Strategy
    problem: Problem
    gain: float

    def draw(self) -> Draw | None:
        return self.strategy.draw()

    def adopt(self, arch: Arch) -> Draw:
        return self.strategy.adopt(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        heard = dict(outcome.metrics)
        if "accuracy" in heard:
            params = complexity(draw.arch, self.problem.task).params
            heard["accuracy"] += self.gain * doublings(params)
        self.strategy.tell(draw, replace(outcome, metrics=heard))


def doublings(params: int) -> float:
    return log2(params / AS_MEASURED)


def corrected(trials: pd.DataFrame, gain: float) -> pd.DataFrame:
    """Trials with the accuracy that choices go by."""
    if not gain:
        return trials
    more = gain * trials["params"].map(doublings)
    return trials.assign(accuracy=trials["accuracy"] + more)

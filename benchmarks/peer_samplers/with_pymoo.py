"""NSGA-II of pymoo (Blank and Deb 2020), for knobs of several kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.individual import Individual
from pymoo.core.mixed import (
    MixedVariableDuplicateElimination,
    MixedVariableMating,
    MixedVariableSampling,
)
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.variable import Choice, Integer
from pymoo.problems.static import StaticProblem

from nas.problem import Problem
from nas.samplers.base import Draw, Outcome, RandomDraws
from peer_samplers import KnobTable, is_ordered
from results.columns import Array
from search_spaces import Arch
from search_spaces.knobs import KnobValue

POPULATION = 20
WORST = 1e12
"""Of an objective that was not measured because the network is outside the limits."""


class Pymoo:
    """A population of 20; with one ``offspring`` it is the steady state, which waits for no generation."""

    def __init__(
        self,
        problem: Problem,
        seed: int,
        reference: Mapping[str, float],
        offspring: int = 1,
    ) -> None:
        self._problem, self._knobs = problem, KnobTable(problem)
        self._random = RandomDraws(problem, seed)
        variables = {
            name: _variable(values) for name, values in self._knobs.choices.items()
        }
        self._described = PymooProblem(
            vars=variables, n_obj=len(problem.objectives), n_ieq_constr=1
        )
        same = MixedVariableDuplicateElimination()
        self._algorithm = NSGA2(
            pop_size=POPULATION,
            n_offsprings=offspring,
            sampling=MixedVariableSampling(),
            mating=MixedVariableMating(eliminate_duplicates=same),
            eliminate_duplicates=same,
        )
        self._algorithm.setup(
            self._described, termination=("n_gen", 10**9), seed=seed, verbose=False
        )
        self._asked = list(self._algorithm.ask())
        self._waiting = len(self._asked)
        self._told: list[Individual] = []

    def draw(self) -> Draw | None:
        if not self._asked and self._waiting:
            # the generation is under way: a network beside it, for whoever has nothing to do
            return self._random.draw()
        if not self._asked:
            self._asked = list(self._algorithm.ask())
            self._waiting = len(self._asked) if len(self._asked) > 1 else 0
        individual = self._asked.pop(0)
        values = {
            name: self._knobs.choices[name][int(place)]
            for name, place in individual.X.items()
        }
        return Draw(self._knobs.arch(values), individual)

    def adopt(self, arch: Arch) -> Draw:
        return Draw(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        individual = draw.ticket or self._individual(draw.arch)
        losses, excess = self._losses(outcome), self._problem.beyond(outcome.metrics)
        known = StaticProblem(self._described, F=losses[None], G=np.array([[excess]]))
        Evaluator().eval(known, Population.create(individual))
        self._told.append(individual)
        self._waiting -= bool(draw.ticket) and self._waiting > 0
        if not self._waiting:
            self._algorithm.tell(infills=Population.create(*self._told))
            self._told = []

    def _losses(self, outcome: Outcome) -> Array:
        if outcome.status == "complete":
            return self._problem.losses(outcome.metrics)
        return np.full(len(self._problem.objectives), WORST)

    def _individual(self, arch: Arch) -> Individual:
        values = self._knobs.values(arch).items()
        places = {name: self._knobs.choices[name].index(it) for name, it in values}
        return Individual(X=places)


def _variable(choices: Sequence[KnobValue]) -> Integer | Choice:
    """Of places in the list of values."""
    if is_ordered(choices):
        return Integer(bounds=(0, len(choices) - 1))
    return Choice(options=list(range(len(choices))))

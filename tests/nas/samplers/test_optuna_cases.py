"""Optuna's own tests of samplers against ``evolution``, behind Optuna's interface.

An adapter replays the study's trials into a new ``Evolution`` and draws once. ``evolution`` samples all knobs
together; what Optuna's tests ask of knobs that come one by one is left to a random sampler.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import optuna
import pytest
from optuna import Study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
)
from optuna.trial import FrozenTrial, TrialState

from nas.problem import Problem
from nas.samplers.base import Outcome
from nas.samplers.evolution import Evolution
from search_spaces import IMAGENET, Arch, SearchSpace, Task
from search_spaces.network import Description


@dataclass(frozen=True)
class Point(Arch):
    """No network at all: values by name."""

    values: tuple[tuple[str, Any], ...]
    space: ClassVar[str] = "points"

    def __post_init__(self) -> None:
        """Any value is allowed."""

    @cached_property
    def id(self) -> str:
        return repr(self.values)

    def describe(self) -> Description:
        raise NotImplementedError


@dataclass(frozen=True)
class Points(SearchSpace):
    """Everything inside Optuna's distributions; what is logarithmic there is a float here."""

    distributions: dict[str, BaseDistribution] = field(default_factory=dict)
    arch_type: ClassVar[type[Arch]] = Point

    def suggest(self, trial: Any) -> Point:
        drawn = ((name, _suggested(trial, name, it)) for name, it in self._items)
        return Point(tuple(drawn))

    def params(self, arch: Arch) -> dict[str, Any]:
        assert isinstance(arch, Point)
        return dict(arch.values)

    def samples(
        self, rng: np.random.Generator, limits: Any = None, task: Task = IMAGENET
    ) -> Iterator[Arch]:
        """Without looking at costs, which points have not."""
        seen: set[str] = set()
        for _ in range(1000):
            arch = self.sample(rng)
            if arch.id not in seen:
                seen.add(arch.id)
                yield arch
        raise ValueError("all draws are repeats")

    @property
    def _items(self) -> list[tuple[str, BaseDistribution]]:
        return list(self.distributions.items())


def _suggested(trial: Any, name: str, among: BaseDistribution) -> Any:
    if isinstance(among, CategoricalDistribution):
        return trial.suggest_categorical(name, among.choices)
    assert isinstance(among, IntDistribution | FloatDistribution)
    if among.log:
        return trial.suggest_float(name, math.log(among.low), math.log(among.high))
    if isinstance(among, IntDistribution):
        return trial.suggest_int(name, among.low, among.high, step=among.step)
    return trial.suggest_float(name, among.low, among.high, step=among.step)


def _to_optuna(value: Any, among: BaseDistribution) -> Any:
    if isinstance(among, CategoricalDistribution):
        return value
    assert isinstance(among, IntDistribution | FloatDistribution)
    plain = math.exp(value) if among.log else value
    inside = min(max(plain, among.low), among.high)
    return round(inside) if isinstance(among, IntDistribution) else float(inside)


def _from_optuna(value: Any, among: BaseDistribution) -> Any:
    return math.log(value) if getattr(among, "log", False) else value


class FreeProblem(Problem):
    """Where nothing is known to cost anything."""

    def costs(self, arch: Arch) -> dict[str, float]:
        return dict.fromkeys(("macs", "flops", "params", "activations"), 1.0)


class EvolutionSampler(BaseSampler):
    def __init__(self) -> None:
        self._independent = RandomSampler(seed=0)
        self._space = IntersectionSearchSpace()

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._space.calculate(study)

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        ways = {"MINIMIZE": "min", "MAXIMIZE": "max"}
        objectives = {
            f"value{number}": ways[direction.name]
            for number, direction in enumerate(study.directions)
        }
        taken: dict[str, Any] = {}
        problem = FreeProblem(Points(search_space), objectives, taken=taken)
        strategy = Evolution(problem, seed=trial.number, first=2)
        for done in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
            if search_space.keys() <= done.params.keys():
                known = (
                    (name, _from_optuna(done.params[name], among))
                    for name, among in search_space.items()
                )
                arch = Point(tuple(known))
                draw, taken[arch.id] = strategy.adopt(arch), done
                metrics = dict(zip(objectives, done.values, strict=True))
                strategy.tell(draw, Outcome("complete", metrics))
        drawn = strategy.draw()
        if drawn is None:  # all is known
            return {}
        return {
            name: _to_optuna(value, search_space[name])
            for name, value in problem.space.params(drawn.arch).items()
        }

    def sample_independent(
        self, study: Study, trial: FrozenTrial, name: str, among: BaseDistribution
    ) -> Any:
        return self._independent.sample_independent(study, trial, name, among)


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.mark.slow
class TestEvolution(
    BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase
):
    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return EvolutionSampler

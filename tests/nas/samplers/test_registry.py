"""Every built-in sampler keeps the contract; a wrong one is refused in one line."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial

from nas.samplers.base import Sampler
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.testing import QUALITY_OBJECTIVES, SamplerContract, run_proposer
from search_spaces import get_space


class TestRandom(SamplerContract):
    @pytest.fixture
    def sampler(self) -> Sampler:
        return make_sampler("random", seed=0)


class TestEvolution(SamplerContract):
    trials = 24

    @pytest.fixture(params=[True, False], ids=["surrogate", "plain"])
    def sampler(self, request: pytest.FixtureRequest) -> Sampler:
        return make_sampler("evolution", 0, {"first": 8, "surrogate": request.param})


class TestOptuna(SamplerContract):
    @pytest.fixture(params=["nsga2", "nsga3", "tpe", "qmc"])
    def sampler(self, request: pytest.FixtureRequest) -> Sampler:
        return make_sampler(
            request.param, 0, {"population_size": 8} if "nsga" in request.param else {}
        )


class TestGP(SamplerContract):
    """A proposal takes it seconds, so only the first few are its own."""

    trials = 11

    @pytest.fixture
    def sampler(self) -> Sampler:
        return make_sampler("gp", 0, {"n_startup_trials": 20})


@pytest.mark.slow
class TestGPAtWork(SamplerContract):
    trials = 12

    @pytest.fixture
    def sampler(self) -> Sampler:
        return make_sampler("gp", 0, {"n_startup_trials": 8})


class TestOnesOwn(SamplerContract):
    @pytest.fixture
    def sampler(self) -> Sampler:
        return make_sampler("optuna.samplers:TPESampler", 0, {"n_startup_trials": 3})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "nsga4",
            {},
            "unknown sampler 'nsga4'; did you mean nsga3 or nsga2?",
        ),
        (
            "nsga2",
            {"population": 4},
            "sampler nsga2: .*unexpected keyword argument 'population'",
        ),
        (
            "nsga2",
            {"population_size": 0},
            "sampler nsga2: `population_size` must be greater than or equal",
        ),
        ("random", {"speed": 2}, "sampler random: .*'speed'"),
        ("evolution", {"population": 4}, "sampler evolution: .*'population'"),
        (
            "evolution",
            {"first": 1},
            "sampler evolution: `first` must be a whole number of at least 2, got 1",
        ),
        (
            "tpe",
            {"seed": 1},
            "sampler tpe: its seed is the search's own setting 'seed'",
        ),
        (
            "nothing:Here",
            {},
            "sampler 'nothing:Here' cannot be imported: ModuleNotFoundError: No",
        ),
        (
            "builtins:dict",
            {},
            "sampler builtins:dict: dict is no optuna.samplers.BaseSampler",
        ),
    ],
)
def test_a_wrong_sampler_is_named(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_sampler(name, 0, options)


class SingleObjective(RandomSampler):
    """As Optuna's CMA-ES does, which needs a package of its own."""

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        self._raise_error_if_multi_objective(study)
        return super().sample_relative(study, trial, search_space)


def test_a_sampler_that_cannot_do_several_objectives_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "own_sampler", sys.modules[__name__])
    sampler = make_sampler("own_sampler:SingleObjective", 0)
    with pytest.raises(
        ValueError,
        match=r"sampler SingleObjective cannot do this search: .*multi-objective",
    ):
        Proposer(get_space("resnest"), QUALITY_OBJECTIVES, sampler)
    assert Proposer(get_space("resnest"), {"quality": "max"}, sampler).ask() is not None


class Unsteady(RandomSampler):
    """Draws a hundred knobs, then fails."""

    drawn = 0

    def sample_independent(self, *arguments: Any) -> Any:
        Unsteady.drawn += 1
        if Unsteady.drawn > 100:
            raise TypeError("'int' object is not callable")
        return super().sample_independent(*arguments)


def test_a_sampler_that_fails_later_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "own_sampler", sys.modules[__name__])
    made = Proposer(
        get_space("resnest"),
        QUALITY_OBJECTIVES,
        make_sampler("own_sampler:Unsteady", 0),
    )
    with pytest.raises(
        ValueError,
        match=r"sampler Unsteady could not draw a network after \d+: TypeError: 'int'",
    ):
        run_proposer(made, 100)

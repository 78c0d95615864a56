"""Ways to choose what to try next, behind one small interface, and by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState

from nas.problem import Draw, Outcome, Problem, RandomDraws, Sampler, Strategy
from nas.samplers.evolution import Evolution
from search_spaces import Arch, SearchSpace, get_space
from search_spaces.extension import import_named

DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}

FAR = 1e12
"""An objective that was not measured, because the network broke a limit: samplers go by how far it did."""


class OptunaStrategy:
    """A sampler of Optuna's behind ask and tell."""

    def __init__(self, problem: Problem, make: Callable[..., BaseSampler], seed: int) -> None:
        self._problem, self._seed, self._make = problem, seed, make
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = self._new_study()
        self._taken_on = self._drawn = False
        _probe(self._new_study(), problem.space)

    def _new_study(self) -> optuna.Study:
        directions = [DIRECTIONS[way] for way in self._problem.objectives.values()]
        return optuna.create_study(directions=directions, sampler=self._make(seed=self._seed))

    def draw(self) -> Draw:
        if self._taken_on and not self._drawn:
            # after a restart the same random numbers would give the same networks again
            self._study.sampler = self._make(seed=self._seed + len(self._problem.taken))
        self._drawn = True
        try:
            trial = self._study.ask()
            return Draw(self._problem.space.suggest(trial), trial)
        except Exception as error:  # an option that it first looks at now, a sampler or space of one's own
            name = type(self._study.sampler).__name__
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ValueError(
                f"sampler {name} could not draw a network after {len(self._problem.taken)}: {reason}"
            ) from error

    def adopt(self, arch: Arch) -> Draw:
        self._taken_on = True
        self._study.enqueue_trial(self._problem.space.params(arch))
        sampler = self._study.sampler
        if isinstance(sampler, TPESampler | GPSampler):  # which would work out a proposal for nothing
            self._study.sampler = RandomSampler(seed=0)
        trial = self._study.ask()
        drawn = self._problem.space.suggest(trial)
        self._study.sampler = sampler
        return Draw(drawn, trial)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        values = self._values(outcome)
        if values is None:
            self._study.tell(draw.ticket, state=TrialState.FAIL)
            return
        excess = self._problem.excess(outcome.metrics)
        for name in self._problem.limits:
            draw.ticket.set_constraint(name, excess.get(name, 0.0))
        self._study.tell(draw.ticket, values)

    def _values(self, outcome: Outcome) -> list[float] | None:
        """Values at full fidelity, unknown ones of what broke a limit as bad as can be; None: not to be told."""
        if outcome.status not in ("complete", "infeasible"):
            return None
        if outcome.status == "infeasible" and isinstance(self._study.sampler, GPSampler):
            return None  # it would believe the made-up values
        return [
            float(outcome.metrics.get(name, FAR if way == "min" else -FAR))
            for name, way in self._problem.objectives.items()
        ]


def _probe(study: optuna.Study, space: SearchSpace) -> None:
    """Find out before a search starts whether the sampler can do it at all.

    Raises:
        ValueError: with the sampler's own reason.
    """
    try:
        space.suggest(study.ask())
        study.tell(0, [0.0] * len(study.directions))
        space.suggest(study.ask())
    except Exception as error:
        reason = " ".join(f"{error}".split())
        raise ValueError(f"sampler {type(study.sampler).__name__} cannot do this search: {reason}") from error


OPTUNA: dict[str, tuple[type[BaseSampler], dict[str, Any]]] = {
    "nsga2": (NSGAIISampler, {}),
    "nsga3": (NSGAIIISampler, {}),
    "tpe": (TPESampler, {"constant_liar": True}),
    "gp": (GPSampler, {"warn_independent_sampling": False}),
    "qmc": (QMCSampler, {"scramble": True, "warn_independent_sampling": False}),
}
"""Optuna's samplers by name, with the options that suit many trials at once in a space with conditions."""

OURS: dict[str, Callable[..., Strategy]] = {"random": RandomDraws, "evolution": Evolution}
SAMPLERS = (*OURS, *OPTUNA)


def _ours(name: str, seed: int, options: dict[str, Any]) -> Sampler:
    make = partial(OURS[name], seed=seed, **options)
    try:
        make(Problem(get_space("resnest"), {}))  # so that a wrong option is found here
    except (TypeError, ValueError) as error:
        raise ValueError(f"sampler {name}: {error}") from error
    return make


def _quietly(make: Callable[..., BaseSampler], **options: Any) -> BaseSampler:
    """Optuna warns that some of its samplers may change their interface."""
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        return make(**options)


def make_sampler(name: str, seed: int, options: Mapping[str, Any] | None = None) -> Sampler:
    """The sampler of that name, or ``"module:Name"`` of Optuna's interface.

    Raises:
        ValueError: for an unknown name or option.
    """
    options = dict(options or {})
    if "seed" in options:
        raise ValueError(f"sampler {name}: its seed is the search's own setting 'seed'")
    if name in OURS:
        return _ours(name, seed, options)
    make, defaults = OPTUNA.get(name) or (import_named(name, "sampler", SAMPLERS), {})
    make = partial(_quietly, make, **defaults | options)
    try:
        sampler = make(seed=seed)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sampler {name}: {error}") from error
    if not isinstance(sampler, BaseSampler):
        raise ValueError(f"sampler {name}: {type(sampler).__name__} is no optuna.samplers.BaseSampler")
    return partial(OptunaStrategy, make=make, seed=seed)

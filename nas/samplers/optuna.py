"""Optuna's samplers behind ask and tell."""

from __future__ import annotations

import warnings
from collections.abc import Callable
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

from nas.problem import Problem
from nas.samplers.base import Draw, Outcome
from search_spaces import Arch, SearchSpace

STUDY_DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}

NOT_MEASURED = 1e12
"""An objective that was not measured, because the network broke a limit: samplers go by how far it did."""


class OptunaStrategy:
    """A sampler of Optuna's behind ask and tell."""

    def __init__(
        self, problem: Problem, make: Callable[..., BaseSampler], seed: int
    ) -> None:
        self._problem = problem
        self._seed = seed
        self._make = make
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = self._new_study()
        self._taken_on = self._drawn = False
        _probe(self._new_study(), problem.space)

    def _new_study(self) -> optuna.Study:
        directions = [
            STUDY_DIRECTIONS[way] for way in self._problem.objectives.values()
        ]
        return optuna.create_study(
            directions=directions, sampler=self._make(seed=self._seed)
        )

    def draw(self) -> Draw:
        if self._taken_on and not self._drawn:
            # after a restart the same random numbers would give the same networks again
            taken = len(self._problem.taken)
            self._study.sampler = self._make(seed=self._seed + taken)
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
        # Optuna's way to be told of a network that somebody else chose
        self._study.enqueue_trial(self._problem.space.params(arch))
        sampler = self._study.sampler
        # which would work out a proposal for nothing
        if isinstance(sampler, TPESampler | GPSampler):
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
        if outcome.status == "infeasible" and isinstance(
            self._study.sampler, GPSampler
        ):
            return None  # it would believe the made-up values
        return [
            float(
                outcome.metrics.get(
                    name, NOT_MEASURED if way == "min" else -NOT_MEASURED
                )
            )
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
        raise ValueError(
            f"sampler {type(study.sampler).__name__} cannot do this search: {reason}"
        ) from error


OPTUNA: dict[str, tuple[type[BaseSampler], dict[str, Any]]] = {
    "nsga2": (NSGAIISampler, {}),
    "nsga3": (NSGAIIISampler, {}),
    "tpe": (TPESampler, {"constant_liar": True}),
    "gp": (GPSampler, {"warn_independent_sampling": False}),
    "qmc": (QMCSampler, {"scramble": True, "warn_independent_sampling": False}),
}
"""Optuna's samplers by name, with the options that suit many trials at once in a space with conditions."""


def make_quietly(make: Callable[..., BaseSampler], **options: object) -> BaseSampler:
    """Optuna warns that some of its samplers may change their interface."""
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        return make(**options)

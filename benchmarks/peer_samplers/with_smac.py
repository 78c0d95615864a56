"""ParEGO (Knowles 2006) by SMAC's random forest (Lindauer et al. 2022)."""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Mapping

import numpy as np
from ConfigSpace import (
    CategoricalHyperparameter,
    Configuration,
    ConfigurationSpace,
    OrdinalHyperparameter,
)
from smac import HyperparameterOptimizationFacade as Facade
from smac import Scenario
from smac.multi_objective.parego import ParEGO
from smac.runhistory.dataclasses import TrialInfo, TrialValue

from nas.problem import Problem
from nas.samplers.base import Draw, Outcome
from peer_samplers import FIRST, KnobTable, is_ordered
from results.columns import Array
from search_spaces import Arch

MANY_TRIALS = 100_000


class Smac:
    """SMAC's facade for hyperparameters, asked and told; all as it comes but the size of the first design."""

    def __init__(
        self, problem: Problem, seed: int, reference: Mapping[str, float]
    ) -> None:
        warnings.filterwarnings("ignore")
        self._problem, self._knobs, self._seed = problem, KnobTable(problem), seed
        self._worst = problem.losses(reference)
        self._space = ConfigurationSpace(seed=seed)
        for name, values in self._knobs.choices.items():
            # strings: ConfigSpace takes True for 1
            words = [str(value) for value in values]
            kind = (
                OrdinalHyperparameter
                if is_ordered(values)
                else CategoricalHyperparameter
            )
            self._space.add(kind(name, words))
        folder = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        scenario = Scenario(
            self._space,
            objectives=list(problem.objectives),
            n_trials=MANY_TRIALS,
            deterministic=True,
            seed=seed,
            output_directory=folder,
        )
        self._facade = Facade(
            scenario,
            _never_called,
            multi_objective_algorithm=ParEGO(scenario),
            initial_design=Facade.get_initial_design(
                scenario, n_configs=FIRST, max_ratio=1.0
            ),
            logging_level=False,
            overwrite=True,
        )

    def draw(self) -> Draw:
        asked = self._facade.ask()
        values = {
            name: next(it for it in choices if str(it) == asked.config[name])
            for name, choices in self._knobs.choices.items()
        }
        return Draw(self._knobs.arch(values), asked)

    def adopt(self, arch: Arch) -> Draw:
        values = {name: str(it) for name, it in self._knobs.values(arch).items()}
        return Draw(arch, TrialInfo(Configuration(self._space, values), seed=0))

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        losses = self._losses(outcome)
        self._worst = np.maximum(self._worst, losses)
        self._facade.tell(draw.ticket, TrialValue(cost=losses.tolist()), save=False)

    def _losses(self, outcome: Outcome) -> Array:
        """Of a network outside the limits as bad as any seen: it cannot be told of limits."""
        complete = outcome.status == "complete"
        return self._problem.losses(outcome.metrics) if complete else self._worst


def _never_called(config: Configuration, seed: int = 0) -> dict[str, float]:
    raise AssertionError("SMAC is asked and told")

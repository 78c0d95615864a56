"""Syne Tune's MOASHA, Ray's OptunaSearch and ASHAScheduler in the simulator; their decisions are their own.

    pip install --no-deps --target peers -r benchmarks/peers.txt
    PYTHONPATH=peers python benchmarks/searchers.py RUN --samplers random --stoppers syne_tune,eta=2,min_epochs=3
    python benchmarks/searchers.py RUN --samplers optuna_search --stoppers none ray_asha,eta=2,min_epochs=3

Ray and Optuna come with SplitSearch; Syne Tune is not among its dependencies. Samplers: ``peer_samplers``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from nas.config.schema import SearchConfig
from nas.samplers.proposer import Proposal
from nas.simulation.emulator import Emulator
from nas.stopper.asha import NoStopping
from search_spaces import complexity
from search_spaces.sampling.limits import LIMITED


class RayOptunaSearch:
    """``OptunaSearch`` with its default sampler (TPE), and as Ray's Tuner would call it.

    It can neither be told of limits nor of what an early stop means: a network outside the limits costs nothing
    here and is told as an error; a stopped one is told with its last result, as Tune does.
    """

    def __init__(self, config: SearchConfig, emulator: Emulator, seed: int) -> None:
        self.space, self.task = emulator.space, emulator.task
        self.limits = {
            name: limit for name, limit in config.limits.items() if name in LIMITED
        }

        def define(trial: Any) -> None:
            self.space.suggest(trial)

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        # its own sampling takes that long
        warnings.filterwarnings("ignore", "Define-by-run function")
        names, ways = list(config.objectives), list(config.objectives.values())
        self.search = OptunaSearch(define, metric=names, mode=ways, seed=seed)
        self.asked = 0

    def ask(self) -> Proposal:
        while True:
            trial = self.asked
            self.asked += 1
            arch = self.space.suggest(
                optuna.trial.FixedTrial(self.search.suggest(str(trial)))
            )
            cost = complexity(arch, self.task)
            if all(
                limit.excess(getattr(cost, name)) <= 0
                for name, limit in self.limits.items()
            ):
                return Proposal(trial, arch)
            self.search.on_trial_complete(str(trial), error=True)

    def tell(self, trial: int, status: str, metrics: Mapping[str, Any]) -> None:
        self.search.on_trial_complete(str(trial), dict(metrics))


class RayASHA(NoStopping):
    """``ASHAScheduler`` on accuracy: it knows one metric."""

    def __init__(
        self, config: SearchConfig, seed: int, eta: int, min_epochs: int
    ) -> None:
        last = config.training.epochs
        self.scheduler = ASHAScheduler(
            "epoch", "accuracy", "max", last, min_epochs, eta
        )
        self.trials: set[int] = set()

    def report(self, trial: int, epoch: int, metrics: Mapping[str, Any]) -> Any:
        known = SimpleNamespace(trial_id=str(trial))
        if trial not in self.trials:
            self.trials.add(trial)
            self.scheduler.on_trial_add(None, known)
        return self.scheduler.on_trial_result(
            None, known, {**metrics, "epoch": epoch}
        ).lower()


class SyneTuneMOASHA(NoStopping):
    """``MOASHA`` over all objectives, with its default priority."""

    def __init__(
        self, config: SearchConfig, seed: int, eta: int, min_epochs: int
    ) -> None:
        from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

        self.signs = {
            name: -1.0 if way == "max" else 1.0
            for name, way in config.objectives.items()
        }
        np.random.seed(seed)  # what it draws brackets from
        names, last = list(config.objectives), config.training.epochs
        self.scheduler = MOASHA(
            {},
            names,
            time_attr="epoch",
            max_t=last,
            grace_period=min_epochs,
            reduction_factor=eta,
            random_seed=seed,
        )
        self.trials: set[int] = set()

    def report(self, trial: int, epoch: int, metrics: Mapping[str, Any]) -> Any:
        known = SimpleNamespace(trial_id=trial)
        if trial not in self.trials:
            self.trials.add(trial)
            self.scheduler.on_trial_add(known)
        values = {name: sign * metrics[name] for name, sign in self.signs.items()}
        return self.scheduler.on_trial_result(known, {**values, "epoch": epoch}).lower()


OTHERS: dict[str, Any] = {
    "optuna_search": RayOptunaSearch,
    "ray_asha": RayASHA,
    "syne_tune": SyneTuneMOASHA,
}

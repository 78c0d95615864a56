"""What to try next: an Optuna study behind ask and tell. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection

from search_spaces import Arch, SearchSpace
from search_spaces.extension import import_named

REDRAWS = 20
"""Networks in a row that are no longer new, after which the sampler gets a random new one to start from."""
RANDOM_DRAWS = 2000
"""Random networks in a row that are no longer new, after which a space counts as exhausted."""

DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}

SAMPLERS: dict[str, Callable[..., BaseSampler]] = {
    "random": RandomSampler,
    "nsga2": NSGAIISampler,
    "tpe": TPESampler,
}


@dataclass(frozen=True)
class Proposal:
    """Trial number ``trial`` is to evaluate ``arch``."""

    trial: int
    arch: Arch


class Proposer:
    """Hands out architectures, each at most once, and learns from what they turn out to be worth.

    ``objectives`` map metrics to ``"max"`` or ``"min"``. A draw that has been measured before is answered from
    memory and never handed out again; ``seed`` is for the random ones that a sampler gets when it is stuck.
    """

    def __init__(
        self, space: SearchSpace, objectives: Mapping[str, str], sampler: BaseSampler, seed: int = 0
    ) -> None:
        self.space = space
        self._rng = np.random.default_rng(seed)
        self.objectives = dict(objectives)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            directions=[DIRECTIONS[way] for way in objectives.values()],
            sampler=sampler,
        )
        self._asked: dict[int, tuple[optuna.Trial, str]] = {}
        self._values: dict[str, Sequence[float] | None] = {}

    def ask(self) -> Proposal | None:
        """The next architecture to evaluate; None if the space seems to hold no other."""
        for draw in range(REDRAWS + 1):
            if draw == REDRAWS:
                fresh = self._fresh()
                if fresh is None:
                    return None
                self._study.enqueue_trial(self.space.params(fresh))
            trial = self._study.ask()
            arch = self.space.suggest(trial)
            if arch.id not in self._values:
                number = len(self._asked)
                self._asked[number] = trial, arch.id
                self._values[arch.id] = None
                return Proposal(number, arch)
            self._tell(trial, self._values[arch.id])
        return None

    def _fresh(self) -> Arch | None:
        """A random architecture that has not been proposed."""
        drawn = (self.space.sample(self._rng) for _ in range(RANDOM_DRAWS))
        return next((arch for arch in drawn if arch.id not in self._values), None)

    def tell(self, trial: int, metrics: Mapping[str, Any] | None) -> None:
        """The outcome of a trial, None if it failed.

        Raises:
            KeyError: if an objective is not among the metrics.
        """
        asked, arch_id = self._asked[trial]
        values = None if metrics is None else [float(metrics[name]) for name in self.objectives]
        self._values[arch_id] = values
        self._tell(asked, values)

    def _tell(self, trial: optuna.Trial, values: Sequence[float] | None) -> None:
        if values is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, values)


def make_sampler(name: str, seed: int, options: Mapping[str, Any] | None = None) -> BaseSampler:
    """The sampler of that name, or ``"module:Name"`` of Optuna's interface, seeded.

    Raises:
        ValueError: for an unknown name or option.
    """
    options = dict(options or {})
    if "seed" in options:
        raise ValueError(f"sampler {name}: its seed is the search's own setting 'seed'")
    if name == "tpe":
        options = {"constant_liar": True} | options
    make: Callable[..., Any] = SAMPLERS.get(name) or import_named(name, "sampler", SAMPLERS)
    try:
        sampler = make(seed=seed, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sampler {name}: {error}") from error
    if not isinstance(sampler, BaseSampler):
        raise ValueError(f"sampler {name}: {type(sampler).__name__} is no optuna.samplers.BaseSampler")
    return sampler

"""What to try next: an Optuna study behind ask and tell. Knows nothing of Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection

from search_spaces import Arch, SearchSpace

REDRAWS = 200
"""Draws in a row of networks already proposed after which a space counts as exhausted."""

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
    memory and never handed out again.
    """

    def __init__(self, space: SearchSpace, objectives: Mapping[str, str], sampler: BaseSampler) -> None:
        self.space = space
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
        for _ in range(REDRAWS):
            trial = self._study.ask()
            arch = self.space.suggest(trial)
            if arch.id not in self._values:
                number = len(self._asked)
                self._asked[number] = trial, arch.id
                self._values[arch.id] = None
                return Proposal(number, arch)
            self._tell(trial, self._values[arch.id])
        return None

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


def make_sampler(name: str, seed: int, **options: Any) -> BaseSampler:
    """The sampler of that name, or ``"module:Name"`` of Optuna's interface, seeded.

    Raises:
        ValueError: for an unknown name or option.
    """
    if name == "tpe":
        options = {"constant_liar": True} | options
    try:
        return _sampler_class(name)(seed=seed, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sampler {name}: {error}") from error


def _sampler_class(name: str) -> Callable[..., BaseSampler]:
    if name in SAMPLERS:
        return SAMPLERS[name]
    if ":" not in name:
        raise ValueError(
            f"there is none of that name; built in: {', '.join(SAMPLERS)}; your own: module:Name"
        )
    try:
        sampler: Callable[..., BaseSampler] = resolve_name(name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot be imported: {error}") from error
    return sampler

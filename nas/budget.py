"""When a search has had enough: trials, hours, epochs in total, or a hypervolume that no longer grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from results import hypervolume
from results.pareto.pareto import worst_values


@dataclass(frozen=True)
class Plateau:
    """No growth of the hypervolume by more than the share ``gain`` over the last ``trials`` complete trials."""

    trials: int
    gain: float = 0.01


@dataclass(frozen=True)
class Budget:
    """What a search may spend; None is no limit. ``hours`` are those worked, pauses before a resume aside."""

    trials: int | None = None
    hours: float | None = None
    epochs: int | None = None
    plateau: Plateau | None = None


class Spending:
    """What has been spent of a budget, and the first reason to start nothing more."""

    def __init__(
        self, budget: Budget, objectives: Mapping[str, str], reference: Mapping[str, float] | None = None
    ) -> None:
        self.budget = budget
        self.trials = self.epochs = 0
        self.seconds = 0.0
        self._objectives, self._reference = dict(objectives), reference
        self._complete: list[list[float]] = []
        self._flat: bool | None = None

    def complete(self, values: Sequence[float]) -> None:
        """One more complete trial, with its values in the order of the objectives."""
        self._complete.append(list(values))
        self._flat = None

    def _on_plateau(self) -> bool:
        """Whether the hypervolume has stopped growing; worked out when somebody asks, which a replay does not."""
        plateau = self.budget.plateau
        if plateau is None or len(self._complete) <= plateau.trials:
            return False
        if self._flat is None:
            now = pd.DataFrame(self._complete, columns=list(self._objectives))
            reference = self._reference or worst_values(now, self._objectives)
            before, after = (
                hypervolume(table, self._objectives, reference) for table in (now[: -plateau.trials], now)
            )
            self._flat = bool(after <= before * (1 + plateau.gain))
        return self._flat

    @property
    def out_of_time(self) -> bool:
        return self.budget.hours is not None and self.seconds >= self.budget.hours * 3600

    @property
    def spent(self) -> str | None:
        """Why nothing more is to be started; None while there is something left."""
        budget = self.budget
        if self.out_of_time:
            return f"{budget.hours:g} hours worked"
        if budget.trials is not None and self.trials >= budget.trials:
            return f"{budget.trials} trials done"
        if budget.epochs is not None and self.epochs >= budget.epochs:
            return f"{budget.epochs} epochs trained"
        if budget.plateau and self._on_plateau():
            return (
                f"the hypervolume grew by less than {budget.plateau.gain:.2%} "
                f"in the last {budget.plateau.trials} complete trials"
            )
        return None

    @property
    def left(self) -> dict[str, float]:
        """How much of each limited thing is left, by name."""
        budget = self.budget
        limits = {
            "trials": (budget.trials, self.trials),
            "hours": (budget.hours, self.seconds / 3600),
            "epochs": (budget.epochs, self.epochs),
        }
        return {name: max(0.0, limit - used) for name, (limit, used) in limits.items() if limit is not None}

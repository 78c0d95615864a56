"""When a search has had enough: trials, hours, epochs in total, or a hypervolume that no longer grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from results.objectives import Directions, Objectives
from results.pareto.archive import FrontArchive
from results.wording import counted


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
        self,
        budget: Budget,
        objectives: Directions,
        reference: Mapping[str, float] | None = None,
    ) -> None:
        self.budget = budget
        self.trials = self.epochs = 0
        self.seconds = 0.0
        self._objectives = Objectives.of(objectives)
        self._reference = (
            None if reference is None else self._objectives.reference(reference)
        )
        self._recent: deque[NDArray[np.float64]] = deque()
        self._worst = np.full(len(objectives), -np.inf)
        # the front now, and as it was before the recent trials
        self._now = FrontArchive[None](len(objectives))
        self._before = FrontArchive[None](len(objectives))

    def complete(self, values: Sequence[float]) -> None:
        """One more complete trial, with its values in the order of the objectives."""
        point = self._objectives.costs(np.array(values, dtype=float))
        # fmax ignores NaN
        self._worst = np.fmax(self._worst, point)
        self._now.add(point, None)
        # "before" lags by the length of the plateau: both fronts only ever grow
        self._recent.append(point)
        if self.budget.plateau and len(self._recent) > self.budget.plateau.trials:
            self._before.add(self._recent.popleft(), None)

    def _on_plateau(self, plateau: Plateau) -> bool:
        """Whether the hypervolume has stopped growing; worked out when somebody asks, which a replay does not."""
        if not len(self._before):
            return False
        corner = self._worst if self._reference is None else self._reference
        before = self._before.hypervolume(corner)
        after = self._now.hypervolume(corner)
        return after <= before * (1 + plateau.gain)

    @property
    def out_of_time(self) -> bool:
        return (
            self.budget.hours is not None and self.seconds >= self.budget.hours * 3600
        )

    @property
    def spent(self) -> str | None:
        """Why nothing more is to be started; None while there is something left."""
        budget = self.budget
        if self.out_of_time:
            return f"{budget.hours:g} hours worked"
        if budget.trials is not None and self.trials >= budget.trials:
            return f"{counted(budget.trials, 'trial')} done"
        if budget.epochs is not None and self.epochs >= budget.epochs:
            return f"{counted(budget.epochs, 'epoch')} trained"
        if budget.plateau and self._on_plateau(budget.plateau):
            return (
                f"the hypervolume grew by less than {budget.plateau.gain:.2%} "
                f"in the last {budget.plateau.trials} complete trials"
            )
        return None

"""When to stop a trial: successive halving by several objectives. Knows nothing of Ray."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from nas.stopper.rung import ParetoRung, SortedRung
from results.columns import Array
from results.metrics import MetricValues
from results.objectives import Directions, Objectives
from search_spaces.extension import import_named, nearest

Decision = Literal["continue", "stop", "pause"]
Mode = Literal["stop", "promote"]


@runtime_checkable
class Stopper(Protocol):
    """Decides after every epoch whether a trial goes on.

    Calling ``report`` for the logged epochs of another run, in their order, rebuilds that run's state; an epoch
    reported twice counts once and is answered alike, unless its trial was promoted since.
    """

    def report(self, trial: int, epoch: int, metrics: MetricValues) -> Decision:
        """``epoch`` counts from 1, ``metrics`` are all that is known of the trial; the last epoch: "continue"."""

    def promote(self) -> int | None:
        """A paused trial that is to go on now; it is no longer paused. None if there is none (yet)."""

    def finish(self, trial: int) -> None:
        """The trial ended otherwise (complete, failed, infeasible): it is never promoted."""


class NoStopping:
    """Every trial goes on to its end."""

    def report(self, trial: int, epoch: int, metrics: MetricValues) -> Decision:
        return "continue"

    def promote(self) -> int | None:
        return None

    def finish(self, trial: int) -> None:
        """Nothing to forget."""


class MultiObjectiveASHA:
    """Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934) by several objectives.

    Rungs lie at ``min_epochs * eta**i`` epochs below ``max_epochs``. A trial passes a rung if fewer than 1/eta
    of those recorded there, itself included, come before it (``ParetoRung``: front by front, inside a front by
    spread); so a non-dominated trial passes as long as the front fits the quota. ``mode`` "stop" decides when
    a trial arrives; "promote" pauses each trial at each rung, and ``promote`` lets the best go on.

    A trial that skips a rung's epoch is recorded at its next one. A metric that is known but no finite number
    (training diverged) stops the trial and is not recorded.

    Raises:
        ValueError: for a setting out of range; in ``report``, for an objective that is missing or no number.
    """

    def __init__(
        self,
        objectives: Directions,
        min_epochs: int = 1,
        max_epochs: int = 9,
        eta: int = 3,
        mode: Mode = "stop",
    ) -> None:
        _check(objectives, min_epochs, max_epochs, eta, mode)
        self.objectives = dict(objectives)
        self.eta = eta
        self.mode = mode
        self.rungs = []
        # at max_epochs itself there is nothing left to stop
        while min_epochs < max_epochs:
            self.rungs.append(min_epochs)
            min_epochs *= eta
        self._aims = Objectives.of(objectives)
        self._recorded = [self._new_rung() for _ in self.rungs]
        self._passed: dict[int, int] = {}  # rungs at which a trial has been seen
        self._stopped: set[int] = set()
        self._paused: list[set[int]] = [set() for _ in self.rungs]
        # the size of each rung when it had nobody to promote: asked again only once it has grown
        self._nothing_new = [0] * len(self.rungs)

    def _new_rung(self) -> ParetoRung | SortedRung:
        return ParetoRung()

    def report(self, trial: int, epoch: int, metrics: MetricValues) -> Decision:
        if trial in self._stopped:
            return "stop"
        # rungs at or below this epoch; several, where epochs come in steps
        reached = sum(rung <= epoch for rung in self.rungs)
        passed = self._passed.get(trial, 0)
        # before the first rung, or an epoch told again after the trial went on
        if reached == 0 or reached < passed:
            return "continue"
        rung = reached - 1
        if reached == passed:
            if epoch > self.rungs[rung]:
                self._paused[rung].discard(trial)  # it went on, so it was promoted
            return "pause" if trial in self._paused[rung] else "continue"
        return self._record(trial, epoch, rung, metrics)

    def _record(
        self, trial: int, epoch: int, rung: int, metrics: MetricValues
    ) -> Decision:
        point = self._point(trial, epoch, metrics)
        self.finish(trial)  # it no longer waits at its last rung
        # before the decision: an epoch told again finds it made
        self._passed[trial] = rung + 1
        # diverged: it is worse than all, and would only take a place in the rung
        if not np.isfinite(point).all():
            self._stopped.add(trial)
            return "stop"
        recorded = self._recorded[rung]
        recorded.add(trial, point)
        if self.mode == "promote":
            self._paused[rung].add(trial)
            return "pause"
        if recorded.last_is_in(self._quota(rung)):
            return "continue"
        self._stopped.add(trial)
        return "stop"

    def promote(self) -> int | None:
        """As ASHA does: the highest rung first, there the best first."""
        for rung in reversed(range(len(self.rungs))):
            paused = self._paused[rung]
            size = len(self._recorded[rung])
            if not paused or self._nothing_new[rung] == size:
                continue
            # those of the quota that went on already are not paused any more
            quota = self._quota(rung)
            trial = self._recorded[rung].best(quota, paused)
            if trial is not None:
                paused.remove(trial)
                return trial
            self._nothing_new[rung] = size
        return None

    def finish(self, trial: int) -> None:
        if passed := self._passed.get(trial, 0):
            self._paused[passed - 1].discard(trial)

    def _quota(self, rung: int) -> int:
        return math.ceil(len(self._recorded[rung]) / self.eta)

    def _point(self, trial: int, epoch: int, metrics: MetricValues) -> Array:
        """Objectives of a trial, minimised, NaN where the log says null."""
        for name in self.objectives:
            if name not in metrics:
                raise ValueError(
                    f"trial {trial}, epoch {epoch}: objective {name} has not been measured when the stopper needs "
                    f"it; there are {', '.join(metrics) or 'no metrics'}. Let its evaluator run before training"
                )
            if not isinstance(metrics[name], Real | None):
                raise ValueError(
                    f"trial {trial}, epoch {epoch}: objective {name} is no number but {metrics[name]!r:.80}"
                )
        return self._aims.costs_of(metrics)


class ASHA(MultiObjectiveASHA):
    """Asynchronous successive halving by one objective, such as ``("accuracy", "max")``, for comparison."""

    def __init__(
        self,
        objective: tuple[str, str],
        min_epochs: int = 1,
        max_epochs: int = 9,
        eta: int = 3,
        mode: Mode = "stop",
    ) -> None:
        super().__init__(dict([objective]), min_epochs, max_epochs, eta, mode)

    def _new_rung(self) -> SortedRung:
        return SortedRung()


def _check(
    objectives: Directions, min_epochs: int, max_epochs: int, eta: int, mode: str
) -> None:
    _check_objectives(objectives)
    _check_whole("min_epochs", min_epochs, 1)
    _check_whole("eta", eta, 2)
    if not isinstance(max_epochs, int) or max_epochs < min_epochs:
        raise ValueError(
            f"stopper: min_epochs must be at most the {max_epochs} epochs of a trial; got {min_epochs}"
        )
    if mode not in ("stop", "promote"):
        raise ValueError(f'stopper: mode must be "stop" or "promote"; got {mode!r}')


def _check_objectives(objectives: Directions) -> None:
    if not objectives:
        example = '{"accuracy": "max", "flops": "min"}'
        raise ValueError(f"stopper: objectives are needed, e.g. {example}")
    for name, way in objectives.items():
        if way not in ("max", "min"):
            what = f"stopper: the direction of objective {name}"
            raise ValueError(f'{what} must be "max" or "min"')


def _check_whole(name: str, value: object, least: int) -> None:
    if type(value) is not int or value < least:
        raise ValueError(
            f"stopper: {name} must be a whole number of at least {least}; got {value!r}"
        )


def _none(objectives: Directions, max_epochs: int) -> NoStopping:
    return NoStopping()


def _asha(
    objectives: Directions,
    max_epochs: int,
    objective: str | None = None,
    **options: Any,
) -> ASHA:
    usual = "accuracy" if "accuracy" in objectives else next(iter(objectives))
    name = objective or usual
    if name not in objectives:
        raise ValueError(f"stopper: {name} is no objective{nearest(name, objectives)}")
    return ASHA((name, objectives[name]), max_epochs=max_epochs, **options)


STOPPERS: dict[str, Callable[..., Stopper]] = {
    "none": _none,
    "moasha": MultiObjectiveASHA,
    "asha": _asha,
}


def make_stopper(
    name: str,
    objectives: Directions,
    max_epochs: int,
    options: Mapping[str, object] | None = None,
) -> Stopper:
    """The stopper of that name, for trials of ``max_epochs`` epochs.

    ``none``; ``moasha``, by all objectives; ``asha``, by the one that option ``objective`` names (else accuracy,
    else the first); or ``"module:Name"``, called with the objectives, ``max_epochs`` and the options.

    Raises:
        ValueError: for an unknown name or option.
    """
    make: Callable[..., object]
    make = STOPPERS.get(name) or import_named(name, "stopper", STOPPERS)
    try:
        stopper = make(objectives, max_epochs=max_epochs, **options or {})
    except TypeError as error:
        raise ValueError(f"stopper {name}: {error}") from error
    if not isinstance(stopper, Stopper):
        raise ValueError(
            f"stopper {name}: {type(stopper).__name__} has no report, promote and finish"
        )
    return stopper

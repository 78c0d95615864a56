"""A search under a virtual clock: the same proposer and stopper, hours of a cluster in seconds."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from nas.simulation.outcome import Simulation
from nas.simulation.tables import SIMULATED_STATUSES, Table, trials_table
from nas.simulation.virtual_cluster import Cluster, VirtualCluster
from nas.simulation.workload import Proposes, Trajectory, Workload
from nas.stopper.asha import Stopper
from results.limits import Limit

ShareDone = Callable[[float], None]
"""Called now and then with the share that is done, 0 to 1."""


@dataclass(frozen=True)
class SimulatedBudget:
    """When a simulated search ends: after so many hours, trials or epochs, whichever comes first."""

    hours: float = math.inf
    trials: float = math.inf
    epochs: float = math.inf

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if min(self.hours, self.trials, self.epochs) == math.inf:
            raise ValueError(
                "hours, trials or epochs must end the simulation: give at least one"
            )


@dataclass(slots=True)
class _Trial:
    number: int
    trajectory: Trajectory
    pace: float
    metrics: dict[str, Any]
    started: float
    since: float = 0.0  # when its present worker took it
    epoch: int = 0
    epochs_here: int = 0  # on its present worker
    trained: float = 0.0  # seconds, there too
    last: float = 0.0  # when its last epoch ended


TELL_SECONDS = 0.2


class _Run:
    """One simulation on its way. Events are ends of epochs, in the order of time, then of their making."""

    def __init__(
        self,
        proposer: Proposes,
        stopper: Stopper,
        workload: Workload,
        cluster: Cluster,
        budget: SimulatedBudget,
        seed: int,
        limits: Mapping[str, Limit],
    ) -> None:
        self.proposer = proposer
        self.stopper = stopper
        self.workload = workload
        self.world = VirtualCluster(cluster, seed)
        self.budget = budget
        self.limits = limits
        self.now = 0.0
        self.deadline = budget.hours * 3600
        self.idle = cluster.workers
        self.exhausted = False
        self.proposed = self.epochs = self.events = 0
        # a heap of (when the epoch ends, number of the event, trial): the number breaks ties
        self.queue: list[tuple[float, int, _Trial]] = []
        self.paused: dict[int, _Trial] = {}
        self.trials = Table()
        self.segments = Table()
        self.duplicates: list[int] = []

    def run(self, progress: ShareDone | None) -> None:
        self._occupy()
        told = 0.0
        while self._goes_on():
            self.now, _, trial = heapq.heappop(self.queue)
            self._end_epoch(trial)
            if self.idle:
                self._occupy()
            if progress and perf_counter() > told + TELL_SECONDS:
                told = perf_counter()
                progress(self._done())
        self._close()

    def _goes_on(self) -> bool:
        """Whether another epoch ends within the budget."""
        if not self.queue or self.epochs >= self.budget.epochs:
            return False
        next_end, _, _ = self.queue[0]
        return next_end <= self.deadline

    def _close(self) -> None:
        """Put on record what is unfinished when the budget is spent."""
        # ended by the clock, in the middle of epochs
        if self.queue and self.epochs < self.budget.epochs:
            self.now = self.deadline
        # in the order in which they were made, so that tables do not depend on the heap
        in_order = sorted(self.queue, key=lambda event: event[1])
        for _, _, trial in in_order:
            trial.trained += max(0.0, self.now - trial.last)
            self._release(trial)
            self._record(trial, "running")
        for trial in self.paused.values():
            self._record(trial, "paused")

    def _done(self) -> float:
        """Share of the budget, the part that is nearest to its end."""
        trials = self.proposed - len(self.queue)
        epochs = self.epochs
        return max(
            self.now / self.deadline,
            trials / self.budget.trials,
            epochs / self.budget.epochs,
        )

    def _occupy(self) -> None:
        """Give idle workers something to do, the promoted first."""
        while self.idle:
            promoted = self.stopper.promote()
            # as the controller does: paused trials before new ones
            trial = self._propose() if promoted is None else self.paused.pop(promoted)
            if trial is None:
                return
            self.idle -= 1
            trial.since = self.now
            trial.last = self.world.start(self.now) if promoted is None else self.now
            self._train(trial, trial.last)

    def _propose(self) -> _Trial | None:
        """The next trial that has to train; duplicates and infeasible ones are over at once."""
        while not self.exhausted and self.proposed < self.budget.trials:
            proposal = self.proposer.ask()
            if proposal is None:
                self.exhausted = True
                break
            self.proposed += 1
            if proposal.duplicate_of is not None:
                self.duplicates.append(proposal.trial)
                continue
            trial = self._trial(proposal.trial, proposal.arch)
            if self._feasible(trial):
                return trial
            self.proposer.tell(trial.number, "infeasible", trial.metrics)
            self._record(trial, "infeasible")
        return None

    def _trial(self, number: int, arch: Any) -> _Trial:
        trajectory = self.workload.trajectory(arch)
        pace = self.world.pace()
        costs = dict(trajectory.costs)
        return _Trial(number, trajectory, pace, costs, started=self.now)

    def _feasible(self, trial: _Trial) -> bool:
        return all(
            limit.excess(trial.metrics[name]) <= 0
            for name, limit in self.limits.items()
        )

    def _train(self, trial: _Trial, since: float) -> None:
        # the straggler's pace holds for all of its epochs
        seconds = trial.trajectory.seconds * trial.pace
        end = since + seconds + self.world.lost(seconds)
        self.events += 1
        # a discrete-event simulation: nothing happens between the ends of epochs
        heapq.heappush(self.queue, (end, self.events, trial))

    def _end_epoch(self, trial: _Trial) -> None:
        if self.world.fails():
            self._end(trial, "failed")
            return
        self._count_epoch(trial)
        decision = self.stopper.report(trial.number, trial.epoch, trial.metrics)
        if trial.epoch == self.workload.epochs:
            self._end(trial, "complete")
        elif decision == "stop":
            self._end(trial, "stopped")
        elif decision == "pause":
            self._release(trial)
            self.paused[trial.number] = trial
        else:
            self._train(trial, self.now)

    def _count_epoch(self, trial: _Trial) -> None:
        accuracy = trial.trajectory.accuracy[trial.epoch]
        trial.epoch += 1
        trial.epochs_here += 1
        trial.trained += trial.trajectory.seconds * trial.pace
        trial.last = self.now
        trial.metrics |= {"accuracy": accuracy, "epoch": trial.epoch}
        self.epochs += 1

    def _end(self, trial: _Trial, status: str) -> None:
        self._release(trial)
        # the stopper knows of those it stopped itself
        if status != "stopped":
            self.stopper.finish(trial.number)
        self.proposer.tell(trial.number, status, trial.metrics)
        self._record(trial, status)

    def _release(self, trial: _Trial) -> None:
        """The worker is free; what it did for this trial is on record."""
        self.idle += 1
        self.segments.add(
            {
                "trial": trial.number,
                "start": trial.since,
                "end": self.now,
                "epochs": trial.epochs_here,
                "trained": trial.trained,
            }
        )
        # a trial that is promoted later begins a new stay
        trial.epochs_here = 0
        trial.trained = 0.0

    def _record(self, trial: _Trial, status: str) -> None:
        self.trials.add(
            {
                "trial": trial.number,
                "status": SIMULATED_STATUSES.index(status),
                "epochs": trial.epoch,
                "started": trial.started,
                "finished": self.now,
                "accuracy": trial.metrics.get("accuracy", math.nan),
                **trial.trajectory.costs,
            }
        )

    def result(self) -> Simulation:
        return Simulation(
            trials=trials_table(self.trials, self.duplicates),
            segments=self.segments.frame().astype(
                {"trial": "int64", "epochs": "int64"}
            ),
            workers=self.world.cluster.workers,
            seconds=self.now,
            exhausted=self.exhausted,
        )


def simulate(
    proposer: Proposes,
    stopper: Stopper,
    workload: Workload,
    cluster: Cluster,
    *,
    hours: float = math.inf,
    trials: float = math.inf,
    epochs: float = math.inf,
    limits: Mapping[str, Limit] | None = None,
    seed: int = 0,
    progress: ShareDone | None = None,
) -> Simulation:
    """What a search would come to: the same arguments (objects in the same state) give the same result.

    It ends after so many ``hours`` of virtual time, ``trials`` proposed or ``epochs`` trained, or with the
    proposer; one of them must be given. A trial whose costs are outside ``limits`` is ``infeasible`` and does not
    train. ``seed`` decides over stragglers, failures and preemptions.

    Raises:
        ValueError: for a budget without end, or if not one epoch of one trial fits into it.
    """
    budget = SimulatedBudget(hours, trials, epochs)
    run = _Run(proposer, stopper, workload, cluster, budget, seed, limits or {})
    run.run(progress)
    if not run.trials.columns:
        raise ValueError("nothing to simulate: the proposer has no trial to hand out")
    return run.result()

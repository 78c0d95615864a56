"""The Ray Tune side, kept thin: Tune runs actors, the controller decides.

Tune's loop handles one result a round. ``RelayScheduler`` and ``RelayCallback`` only note what came of the
trials; at the end of a round ``Relay`` takes all results that lie ready, and tells the controller in one
commit. Its answers then stop actors or let them go on, and ``RelaySearch`` hands out new work.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from evaluators import Evaluator
from nas.controller import Assignment, Controller
from nas.engines.checkpoints import Checkpoints
from nas.engines.ray_actor import TrialActor, assignment_of, take_ready
from nas.engines.ray_probe import own_line
from nas.engines.ray_room import MOST_ASKED, Demand, Room
from nas.engines.turns import Turns
from nas.engines.worker import threads

LOOK_PAUSE = 10.0
"""Between two looks at what lies ready, in times that the first took."""


class Relay:
    """Hands on to the controller what came of the trials, a round of Tune's loop in one commit.

    ``room`` says how many workers there are. ``broken`` is what the controller raised: Ray would bury it under
    its own errors.
    """

    def __init__(self, controller: Controller, room: Room, demand: Demand) -> None:
        self.controller, self.room = controller, room
        self.broken: Exception | None = None
        self.segments: set[str] = set()
        self.tune: Any = None
        self._demand, self._turns = demand, Turns(controller)
        # trials that wait for a worker, and the nodes that may not be theirs
        self.kept_from: dict[Trial, frozenset[str]] = {}
        self._results: list[tuple[Trial, dict[str, Any]]] = []
        self._ends: list[Callable[[], None]] = []
        self._work: deque[Assignment] = deque()

    def result(self, trial: Trial, metrics: dict[str, object]) -> None:
        """Keep a result for the end of the round; its trial waits."""
        self._results.append((trial, metrics))

    def end(self, tell: Callable[[], None]) -> None:
        """Keep for the end of the round what ``tell`` tells the controller."""
        self._ends.append(tell)

    def assignment(self) -> Assignment | None:
        """What an idle worker is to do; it is in the log."""
        if not self._work:
            self._turn([], [])
        return self._work.popleft() if self._work else None

    def end_of_round(self) -> None:
        """Take all results that lie ready, commit what is decided on them, and let it happen."""
        if not (self._results or self._ends):
            return
        self._collect()
        results, self._results = self._results, []
        ends, self._ends = self._ends, []
        for trial, going in self._turn(results, ends):
            if trial.status != Trial.RUNNING:  # its worker was lost meanwhile
                continue
            if going:
                self.tune._schedule_trial_train(trial)
            else:
                self.tune.stop_trial(trial)

    def place_again(self) -> None:
        """Take back trials that wait for a worker and were kept from a node that has passed its probe since.

        Ray would keep them from it for ever, be it the last node there is.
        """
        for trial, refused in list(self.kept_from.items()):
            if trial.status != Trial.PENDING:
                del self.kept_from[trial]
            elif refused & self.room.nodes.proven:
                del self.kept_from[trial]
                if trial in self.tune._staged_trials:
                    self.tune._unstage_trial_with_resources(trial)
                self.tune.stop_trial(trial)
                self._work.appendleft(assignment_of(trial.config))

    def _collect(self) -> None:
        """Take in what workers tell until the next turn is due."""
        until = time.monotonic() + self._turns.wait()
        while True:
            all_told = len(self._results) >= len(self.segments)
            left = 0.0 if all_told else until - time.monotonic()
            began = time.monotonic()
            take_ready(self.tune._actor_manager)
            if left <= 0:
                return
            # a look at thousands of actors takes a while
            pause = LOOK_PAUSE * (time.monotonic() - began)
            time.sleep(min(left, pause))

    def _turn(
        self,
        results: Sequence[tuple[Trial, dict[str, object]]],
        ends: Sequence[Callable[[], None]],
    ) -> list[tuple[Trial, bool]]:
        """Tell the controller and ask it for work, in one commit; which trials go on and which do not."""
        if self.broken:
            return []
        try:
            with self._turns.turn():
                report = self.controller.report
                answers = [
                    (trial, report(trial.config["trial"], metrics))
                    for trial, metrics in results
                ]
                for tell in ends:
                    tell()
                busy = len(self.segments) - sum(not going for _, going in answers)
                # new work in the same commit: an idle worker does not wait for one of its own
                self._work += self._turns.work(self.room() - busy - len(self._work))
            self._ask_for_nodes()
        except Exception as error:
            self.broken = error
            return []
        return answers

    def _ask_for_nodes(self) -> None:
        controller, spending = self.controller, self.controller.spending
        most = spending.budget.trials or MOST_ASKED
        new = 0 if controller.reason else most - spending.trials
        at_work = len(self.segments) + len(self._work)
        self._demand.ask("trials", self.room.bundle, at_work + new)


class RelaySearch(Searcher):
    """Hands out the controller's work: what is new, and what goes on after a pause or a lost worker.

    To Ray each segment of a trial is a trial of its own, so that a trial put aside holds no actor and no GPU.
    """

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay

    # Ray's annotation leaves out its own FINISHED, a string
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        relay = self._relay
        work = relay.assignment()
        if work is None:
            # Ray asks for ever unless it is told that there is an end
            over = relay.broken or (not relay.segments and relay.controller.over)
            return str(Searcher.FINISHED) if over else None
        # Tune's trial, of which ours may have several
        relay.segments.add(trial_id)
        return {
            "trial": work.trial,
            "arch": work.arch.to_dict(),
            "seed": work.seed,
            "skip": work.skip,
        }

    def on_trial_complete(
        self,
        trial_id: str,
        result: dict[str, object] | None = None,
        error: bool = False,
    ) -> None:
        """There is room for another; ``RelayCallback`` hears what came of this one."""
        self._relay.segments.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see ``save``."""


class RelayScheduler(FIFOScheduler):
    """Notes the results of a round; whether a segment of a trial goes on is decided at its end."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray gives it no types
        self._relay = relay

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        self._relay.tune = tune_controller._tune_controller
        if refused := self._relay.room.nodes.refused:
            self._relay.kept_from[trial] = frozenset(refused)
            elsewhere = {"ray.io/node-id": f"!in({','.join(refused)})"}
            trial.update_resources(
                tune.PlacementGroupFactory(
                    [self._relay.room.bundle], bundle_label_selector=[elsewhere]
                )
            )

    def on_trial_result(
        self, tune_controller: object, trial: Trial, result: dict[str, object]
    ) -> str:
        metrics = {
            name.removeprefix("metrics/"): value
            for name, value in result.items()
            if name.startswith("metrics/")
        }
        self._relay.result(trial, metrics)
        return str(self.NOOP)


class RelayCallback(tune.Callback):
    """Notes how a segment of a trial ended, and ends the round."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def on_step_end(self, iteration: int, trials: list[Trial], **info: object) -> None:
        self._relay.end_of_round()
        self._relay.place_again()
        if self._relay.broken:
            raise self._relay.broken

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        result, finish = trial.last_result, self._relay.controller.finish
        # only a trial that ended by itself has an error, None if all went well
        if "error" in result:
            error, number = result["error"], trial.config["trial"]
            facts = {"traceback": result["traceback"]} if error else {}
            self._relay.end(lambda: finish(number, error, **facts))

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: object
    ) -> None:
        report = Path(trial.error_file).read_text() if trial.error_file else ""
        reason = own_line(report.partition("\n")[2])
        self._relay.room.nodes.doubt()
        number, lost = trial.config["trial"], self._relay.controller.lost
        self._relay.end(
            lambda: lost(number, f"the worker failed: {reason}", traceback=report)
        )


def run_trials(
    controller: Controller,
    evaluators: Sequence[Evaluator],
    checkpoints: Checkpoints,
    *,
    room: Room,
    demand: Demand,
    loggers: Sequence[tune.Callback] = (),
    folder: Path | None = None,
) -> None:
    """Run the controller's trials on Ray, as many at once as there is room for; returns early on Ctrl-C.

    What the controller raises ends the run and is raised. Nodes that join the cluster are used. ``room`` says
    what a trial gets and where; ``folder`` is for what the loggers write.
    """
    relay = Relay(controller, room, demand)
    trainable = tune.with_parameters(
        TrialActor,
        evaluators=tuple(evaluators),
        checkpoints=checkpoints,
        threads=threads(room.cpus),
    )
    with _storage(folder) as storage:
        tune.run(
            tune.with_resources(trainable, {"cpu": room.cpus, "gpu": room.gpus}),
            search_alg=RelaySearch(relay),
            scheduler=RelayScheduler(relay),
            # without end: the searcher says when there is no more
            num_samples=-1,
            # a new process a trial would import torch each time
            reuse_actors=True,
            callbacks=[RelayCallback(relay), *loggers],
            storage_path=storage,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
            # evaluators keep their own
            checkpoint_at_end=False,
            raise_on_failed_trial=False,
            verbose=0,
        )


@contextmanager
def _storage(folder: Path | None) -> Iterator[str]:
    """Where Ray and its loggers write: ``folder``, else something that is gone afterwards."""
    if folder:
        yield str(folder.resolve())
        return
    with tempfile.TemporaryDirectory(
        prefix="splitsearch-", ignore_cleanup_errors=True
    ) as temporary:
        yield temporary


def _name(trial: Trial) -> str:
    """A trial's number and what tells its segments apart."""
    return f"trial-{trial.config['trial']:05d}-{trial.trial_id.rpartition('_')[2]}"

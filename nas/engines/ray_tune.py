"""The Ray Tune side, kept thin: Tune runs actors, the controller decides.

Tune's searcher asks ``RelaySearch`` for work, which asks ``Controller.next``. Every result goes through
``RelayScheduler`` to ``Controller.report``, whose answer stops the actor or lets it go on. How a trial ended
reaches ``Controller.finish`` or ``lost`` through ``RelayCallback``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from evaluators import Evaluator
from nas.controller import Assignment, Controller
from nas.engines.checkpoints import Checkpoints
from nas.engines.ray_room import Room
from nas.engines.worker import steps, threads
from search_spaces import arch_from_dict

P = ParamSpec("P")
_T = TypeVar("_T")


class TrialActor(tune.Trainable):
    """One trial, or what is left of it, a result per step. The actor is used again for the next trial."""

    def setup(
        self,
        config: dict[str, Any],
        evaluators: Sequence[Evaluator] = (),
        checkpoints: Checkpoints | None = None,
        threads: int = 1,
    ) -> None:
        self._evaluators, self._checkpoints = (
            evaluators,
            checkpoints or Checkpoints("checkpoints"),
        )
        torch.set_num_threads(threads)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        assignment = Assignment(
            **new_config | {"arch": arch_from_dict(new_config["arch"])}
        )
        self._steps = steps(assignment, self._evaluators, self._checkpoints)
        return True

    def step(self) -> dict[str, Any]:
        result = next(self._steps)
        if result.metrics is None:
            return {"done": True, "error": result.error, "traceback": result.traceback}
        return {"metrics": result.metrics}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: evaluators keep a checkpoint of their own after every epoch."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing, see ``save_checkpoint``."""


class Relay:
    """Hands calls on to the controller until one fails, and keeps that error: Ray would bury it under its own."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.broken: Exception | None = None

    def call(
        self, method: Callable[P, _T], *args: P.args, **kwargs: P.kwargs
    ) -> _T | None:
        if self.broken is None:
            try:
                return method(*args, **kwargs)
            except Exception as error:
                self.broken = error
        return None


class RelaySearch(Searcher):
    """Asks the controller what to run: what is new, and what goes on after a pause or a lost worker.

    To Ray each segment of a trial is a trial of its own, so that a trial put aside holds no actor and no GPU.
    """

    def __init__(self, relay: Relay, room: Callable[[], int]) -> None:
        super().__init__()
        self._relay, self._room = relay, room
        self._segments: set[str] = set()

    # Ray's annotation leaves out its own FINISHED, a string
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if len(self._segments) >= self._room():
            return None
        work = self._relay.call(self._relay.controller.next)
        if work is None:
            # Ray asks for ever unless it is told that there is an end
            over = self._relay.broken or (
                not self._segments and self._relay.controller.over
            )
            return str(Searcher.FINISHED) if over else None
        self._segments.add(trial_id)
        return {
            "trial": work.trial,
            "arch": work.arch.to_dict(),
            "seed": work.seed,
            "skip": work.skip,
        }

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """There is room for another; ``RelayCallback`` hears what came of this one."""
        self._segments.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see ``save``."""


class RelayScheduler(FIFOScheduler):
    """Lets the controller decide after every result whether a segment of a trial goes on."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray gives it no types
        self._relay = relay

    def on_trial_result(
        self, tune_controller: Any, trial: Trial, result: dict[str, Any]
    ) -> str:
        metrics = {
            name.removeprefix("metrics/"): value
            for name, value in result.items()
            if name.startswith("metrics/")
        }
        going = self._relay.call(
            self._relay.controller.report, trial.config["trial"], metrics
        )
        return str(self.CONTINUE if going else self.STOP)


class RelayCallback(tune.Callback):
    """Tells the controller how a segment of a trial ended."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self._relay.broken:
            raise self._relay.broken

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        result = trial.last_result
        # only a trial that ended by itself has an error, None if all went well
        if "error" in result:
            facts = {"traceback": result["traceback"]} if result["error"] else {}
            self._relay.call(
                self._relay.controller.finish,
                trial.config["trial"],
                result["error"],
                **facts,
            )

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        report = Path(trial.error_file).read_text() if trial.error_file else ""
        reason = next(
            (line for line in report.splitlines()[1:] if line), "no reason is known"
        )
        self._relay.call(
            self._relay.controller.lost,
            trial.config["trial"],
            f"the worker failed: {reason}",
            traceback=report,
        )


def run_trials(
    controller: Controller,
    evaluators: Sequence[Evaluator],
    checkpoints: Checkpoints,
    *,
    cpus: float,
    gpus: float,
    loggers: Sequence[tune.Callback] = (),
    folder: Path | None = None,
) -> None:
    """Run the controller's trials on Ray, as many at once as there is room for; returns early on Ctrl-C.

    What the controller raises ends the run and is raised. Nodes that join the cluster are used. ``folder`` is
    for what the loggers write.

    Raises:
        ValueError: if no node has room for a trial.
    """
    relay, room = Relay(controller), Room(cpus, gpus)
    trainable = tune.with_parameters(
        TrialActor,
        evaluators=tuple(evaluators),
        checkpoints=checkpoints,
        threads=threads(cpus),
    )
    with _storage(folder) as storage:
        tune.run(
            tune.with_resources(trainable, {"cpu": cpus, "gpu": gpus}),
            search_alg=RelaySearch(relay, room),
            scheduler=RelayScheduler(relay),
            num_samples=-1,
            reuse_actors=True,
            callbacks=[RelayCallback(relay), *loggers],
            storage_path=storage,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
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

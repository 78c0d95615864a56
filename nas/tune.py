"""The Ray Tune side, kept thin: trials as actors, proposals and outcomes handed to and from the controller."""

from __future__ import annotations

import logging
import math
import os
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import ray
import torch
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from evaluators import Evaluator
from search_spaces import arch_from_dict

from .controller import Controller

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
"""Settings of Ray unless the user has set them."""

TOO_LOUD = (
    "ray.tune.analysis",  # misses the result files that the event log stands in for
    "ray._private.authentication",  # announces its default, token authentication
)

P = ParamSpec("P")
T = TypeVar("T")

DONE = {"done": True, "metrics": {}}


class Evaluation(tune.Trainable):
    """One trial: runs the evaluators in turn, a result per step. The actor is used again for the next trial."""

    def setup(
        self, config: dict[str, Any], evaluators: Sequence[Evaluator] = (), folder: str = "", threads: int = 1
    ) -> None:
        self._evaluators, self._folder = evaluators, Path(folder)
        torch.set_num_threads(threads)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._trial = new_config["trial"]
        self._results = self._evaluate(new_config)
        return True

    def _evaluate(self, config: dict[str, Any]) -> Iterator[dict[str, Any]]:
        arch = arch_from_dict(config["arch"])
        for number, evaluator in enumerate(self._evaluators):
            checkpoint = self._folder / f"{self._trial}-{number}.pt"
            for metrics in evaluator.evaluate(arch, seed=config["seed"], checkpoint=checkpoint):
                yield checked(metrics, type(evaluator).__name__)

    def step(self) -> dict[str, Any]:
        try:
            metrics = next(self._results, None)
        except Exception as error:  # whatever a network does wrong ends its trial, not the search
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            return DONE | {"error": reason, "traceback": traceback.format_exc()}
        return dict(DONE) if metrics is None else {"metrics": metrics}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: evaluators keep a checkpoint of their own after every epoch."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing, see ``save_checkpoint``."""


def checked(metrics: Any, evaluator: str) -> dict[str, Any]:
    """``metrics`` if they are what an evaluator may yield, else ``TypeError`` naming the first that is not."""
    if not isinstance(metrics, dict):
        raise TypeError(f"{evaluator} yielded {metrics!r:.80}; a dict of metrics is needed")
    for name, value in metrics.items():
        if not isinstance(value, int | float | str):
            raise TypeError(f"{evaluator} yielded {name} = {value!r:.80}; a number or a text is needed")
    return metrics


class Relay:
    """Hands calls on to the controller until one fails, and keeps that error: Ray would bury it under its own."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.broken: Exception | None = None

    def call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        if self.broken is None:
            try:
                return method(*args, **kwargs)
            except Exception as error:
                self.broken = error
        return None


class RelaySearch(Searcher):
    """Asks the controller what to try."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay

    # Ray's annotation leaves out its own FINISHED, a string
    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]
        proposal = self._relay.call(self._relay.controller.propose)
        if proposal is None:
            return str(Searcher.FINISHED)
        return {
            "trial": proposal.trial,
            "arch": proposal.arch.to_dict(),
            "seed": self._relay.controller.seed,
        }

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: ``RelayCallback`` also hears why a trial ended."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see ``save``."""


class RelayCallback(tune.Callback):
    """Tells the controller what came of a trial."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self._relay.broken:
            raise self._relay.broken

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        if result["metrics"]:
            self._relay.call(self._relay.controller.report, trial.config["trial"], result["metrics"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        result = trial.last_result
        if result.get("done"):  # else stopped from outside: it stays unfinished
            facts = {"traceback": result["traceback"]} if "error" in result else {}
            self._finish(trial, result.get("error"), **facts)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        report = Path(trial.error_file).read_text() if trial.error_file else ""
        reason = next((line for line in report.splitlines()[1:] if line), "no reason is known")
        self._finish(trial, f"the worker failed: {reason}", traceback=report)

    def _finish(self, trial: Trial, error: str | None, **facts: Any) -> None:
        self._relay.call(self._relay.controller.finish, trial.config["trial"], error, **facts)


def run_trials(
    controller: Controller, evaluators: Sequence[Evaluator], folder: Path, *, cpus: float, gpus: float
) -> None:
    """Run the controller's trials on Ray, as many at once as there is room for; returns early on Ctrl-C.

    ``folder`` takes the checkpoints of running trials. What the controller raises ends the run and is raised.
    """
    relay = Relay(controller)
    trainable = tune.with_parameters(
        Evaluation,
        evaluators=tuple(evaluators),
        folder=str(folder.resolve()),
        threads=max(1, math.floor(cpus)),
    )
    with tempfile.TemporaryDirectory(prefix="splitsearch-", ignore_cleanup_errors=True) as storage:
        tune.run(
            tune.with_resources(trainable, {"cpu": cpus, "gpu": gpus}),
            search_alg=RelaySearch(relay),
            num_samples=-1,
            max_concurrent_trials=_room(cpus, gpus),
            reuse_actors=True,
            callbacks=[RelayCallback(relay)],
            storage_path=storage,
            checkpoint_at_end=False,
            raise_on_failed_trial=False,
            verbose=0,
        )


def _room(cpus: float, gpus: float) -> int:
    """How many trials fit at once."""
    have: dict[str, float] = ray.cluster_resources()
    room = have.get("CPU", 0) / cpus
    if gpus:
        room = min(room, have.get("GPU", 0) / gpus)
    if room < 1:
        wanted = f"{cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
        raise ValueError(
            f"resources: a trial wants {wanted}, but there are only {have.get('CPU', 0):g} CPUs "
            f"and {have.get('GPU', 0):g} GPUs"
        )
    return int(room)


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Nothing: that the disk is full is the event log's to tell."""


@contextmanager
def local_ray(log_file: Path) -> Iterator[None]:
    """A Ray of our own on this machine, unless one is connected already; what Ray has to say goes to a file."""
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    handler = _LogFile(log_file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("ray")
    before = list(logger.handlers), logger.propagate
    for name in TOO_LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    if ours:
        ray.init(address="local", include_dashboard=False, log_to_driver=False, configure_logging=False)
    logger.handlers, logger.propagate = [handler], False  # ray.init has put its own there
    try:
        with _term_as_ctrl_c():
            yield
    finally:
        if ours:
            ray.shutdown()
        logger.handlers, logger.propagate = before
        handler.close()


@contextmanager
def _term_as_ctrl_c() -> Iterator[None]:
    """SIGTERM, which SLURM and Kubernetes send, ends a search as Ctrl-C does, without Ray's dump of the stack."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are not this thread's
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

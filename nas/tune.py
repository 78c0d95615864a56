"""The Ray Tune side, kept thin: trials as actors, proposals and outcomes handed to and from the controller."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import ray
import torch
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from evaluators import Evaluator, Latency
from search_spaces import arch_from_dict

from .checkpoints import Checkpoints
from .config import RayConfig
from .controller import Controller
from .evaluation import Assignment, steps, threads
from .reserved_latency import reserve

ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",  # glibc keeps the memory of a step for the next: 5 to 13 % faster
    "MALLOC_TRIM_THRESHOLD_": "2147483648",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",  # `Room` decides how many there are
}
"""Settings of Ray unless the user has set them."""

TOO_LOUD = (
    "ray.tune.analysis",  # misses the result files that the event log stands in for
    "ray._private.authentication",  # announces its default, token authentication
)

CONNECT_SECONDS = 10.0
"""For the head of a cluster to accept a connection."""

P = ParamSpec("P")
T = TypeVar("T")


class Evaluation(tune.Trainable):
    """One trial, or what is left of it, a result per step. The actor is used again for the next trial."""

    def setup(
        self,
        config: dict[str, Any],
        evaluators: Sequence[Evaluator] = (),
        checkpoints: Checkpoints | None = None,
        threads: int = 1,
    ) -> None:
        self._evaluators, self._checkpoints = evaluators, checkpoints or Checkpoints("checkpoints")
        torch.set_num_threads(threads)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        assignment = Assignment(**new_config | {"arch": arch_from_dict(new_config["arch"])})
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

    def call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        if self.broken is None:
            try:
                return method(*args, **kwargs)
            except Exception as error:
                self.broken = error
        return None


class RelaySearch(Searcher):
    """Asks the controller what to run: what is new, and what goes on after a pause or a lost worker.

    To Ray each such leg is a trial of its own, so that a trial put aside holds no actor and no GPU.
    """

    def __init__(self, relay: Relay, room: Callable[[], int]) -> None:
        super().__init__()
        self._relay, self._room = relay, room
        self._legs: set[str] = set()

    # Ray's annotation leaves out its own FINISHED, a string
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if len(self._legs) >= self._room():
            return None
        work = self._relay.call(self._relay.controller.next)
        if work is None:
            over = self._relay.broken or (not self._legs and self._relay.controller.over)
            return str(Searcher.FINISHED) if over else None
        self._legs.add(trial_id)
        return {"trial": work.trial, "arch": work.arch.to_dict(), "seed": work.seed, "skip": work.skip}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """There is room for another; ``RelayCallback`` hears what came of this one."""
        self._legs.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the event log is the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see ``save``."""


class RelayScheduler(FIFOScheduler):
    """Lets the controller decide after every result whether a leg goes on."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._relay = relay

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        metrics = {
            name.removeprefix("metrics/"): value
            for name, value in result.items()
            if name.startswith("metrics/")
        }
        going = self._relay.call(self._relay.controller.report, trial.config["trial"], metrics)
        return str(self.CONTINUE if going else self.STOP)


class RelayCallback(tune.Callback):
    """Tells the controller how a leg ended."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self._relay.broken:
            raise self._relay.broken

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        result = trial.last_result
        if "error" in result:  # else the controller stopped it, or the user did
            facts = {"traceback": result["traceback"]} if result["error"] else {}
            self._relay.call(self._relay.controller.finish, trial.config["trial"], result["error"], **facts)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        report = Path(trial.error_file).read_text() if trial.error_file else ""
        reason = next((line for line in report.splitlines()[1:] if line), "no reason is known")
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
    latency_resource: str | None = None,
    loggers: Sequence[tune.Callback] = (),
    folder: Path | None = None,
) -> None:
    """Run the controller's trials on Ray, as many at once as there is room for; returns early on Ctrl-C.

    What the controller raises ends the run and is raised. Nodes that join the cluster are used. ``folder`` is
    for what the loggers write.

    Raises:
        ValueError: if no node has room for a trial, or none offers ``latency_resource``.
    """
    relay, room = Relay(controller), Room(cpus, gpus)
    trainable = tune.with_parameters(
        Evaluation,
        evaluators=_reserved(evaluators, latency_resource),
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
            _remote=False,  # a controller with its log stays here, with Ray Client too
        )


def _reserved(evaluators: Sequence[Evaluator], resource: str | None) -> tuple[Evaluator, ...]:
    if resource is None:
        return tuple(evaluators)
    return tuple(reserve(e, resource) if isinstance(e, Latency) else e for e in evaluators)


@contextmanager
def _storage(folder: Path | None) -> Iterator[str]:
    """Where Ray and its loggers write: ``folder``, else something that is gone afterwards."""
    if folder:
        yield str(folder.resolve())
        return
    with tempfile.TemporaryDirectory(prefix="splitsearch-", ignore_cleanup_errors=True) as temporary:
        yield temporary


def _name(trial: Trial) -> str:
    """A trial's number and what tells its legs apart."""
    return f"trial-{trial.config['trial']:05d}-{trial.trial_id.rpartition('_')[2]}"


class Room:
    """How many trials of that size fit on the nodes there are; looks anew every few seconds."""

    def __init__(self, cpus: float, gpus: float, every: float = 2.0) -> None:
        self._wanted = {"CPU": cpus, "GPU": gpus}
        self._every, self._looked, self._trials = every, -math.inf, 0
        if not self():
            raise ValueError(f"resources: a trial wants {cpus:g} CPUs and {gpus:g} GPUs; {self._offer()}")

    def __call__(self) -> int:
        if time.monotonic() - self._looked >= self._every:
            self._trials = sum(map(self._on, _nodes()))
            self._looked = time.monotonic()
        return self._trials

    def _on(self, node: dict[str, float]) -> int:
        fits = [node.get(name, 0) / amount for name, amount in self._wanted.items() if amount]
        return int(min(fits) + 1e-6)

    def _offer(self) -> str:
        nodes = [f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in _nodes()]
        return f"the largest node has {max(nodes)}" if nodes else "there are no nodes"


def _nodes() -> list[dict[str, float]]:
    """What each node that is alive has in all."""
    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Nothing: that the disk is full is the event log's to tell."""


@contextmanager
def connected(ray_config: RayConfig, log_file: Path) -> Iterator[None]:
    """A Ray of our own or a cluster's, unless one is connected already; what Ray has to say goes to a file.

    Raises:
        ValueError: if there is no cluster at the address.
    """
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    handler = _LogFile(log_file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("ray")
    before = list(logger.handlers), logger.propagate
    for name in TOO_LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    try:
        if ours:
            _init(ray_config)
        logger.handlers, logger.propagate = [handler], False  # ray.init has put its own there
        with _term_as_ctrl_c():
            yield
    finally:
        if ours:
            ray.shutdown()
        logger.handlers, logger.propagate = before
        handler.close()


def _check_address(address: str) -> None:
    """Raise ``OSError`` if nobody listens there, which Ray finds out after minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", address)
    where = urlsplit(address if "://" in address else f"//{address}")
    if where.hostname and where.port:
        socket.create_connection((where.hostname, where.port), timeout=CONNECT_SECONDS).close()


def _init(config: RayConfig) -> None:
    own: dict[str, Any] = {"include_dashboard": False} if config.address == "local" else {}
    try:
        _check_address(config.address)
        with _ctrl_c_afterwards():
            ray.init(
                config.address,
                runtime_env=config.runtime_env or None,
                log_to_driver=False,
                configure_logging=False,
                **own,
            )
    except (ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"ray.address {config.address}: no cluster could be reached ({reason:.300})"
        ) from error


@contextmanager
def _ctrl_c_afterwards() -> Iterator[None]:
    """Ctrl-C waits for the end of the block.

    Starting Ray forks; an exception in Python's hooks of ``fork`` is dropped and leaves logging locked for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = threading.Event()
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed.is_set():
        raise KeyboardInterrupt


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

"""Trials as experiment trackers show them: one curve a network, a step an epoch, and how it ended.

They listen to the controller, on any engine. Ray's own callbacks would count results instead of epochs, begin a
curve anew after a promotion or a lost worker, and call every trial finished.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from tensorboardX import SummaryWriter

from results import Event, TrialStatus
from results.log.events import (
    Decided,
    EpochEnded,
    Finished,
    Lost,
    Measured,
    Proposed,
    SearchFinished,
)
from results.metrics import MetricValues
from search_spaces.extension import nearest


class Tracker(Protocol):
    """What hears of a trial, in order; ``epoch`` is 0 for what belongs to none."""

    def begin(self, trial: int, facts: Mapping[str, str]) -> None: ...
    def add(self, trial: int, metrics: Mapping[str, float], epoch: int) -> None: ...
    def rest(self, trial: int, status: str) -> None:
        """It does not train for now."""

    def end(self, trial: int, status: str) -> None: ...
    def close(self) -> None:
        """The search ended, trials under way with it."""


class Tracking:
    """A listener of the controller that tells a tracker about trials."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def __call__(self, event: Event) -> None:
        trial = event.trial
        tracker = self._tracker
        if isinstance(event.content, SearchFinished):
            tracker.close()
        if trial is None:
            return
        match event.content:
            case Proposed() as proposal:
                tracker.begin(trial, _facts(proposal))
            case Measured(metrics=metrics):
                tracker.add(trial, _numbers(metrics), 0)
            case EpochEnded(epoch=epoch, metrics=metrics):
                tracker.add(trial, _numbers(metrics), epoch)
            case Decided(decision="pause"):
                tracker.rest(trial, TrialStatus.PAUSED)
            case Lost():
                tracker.rest(trial, TrialStatus.INTERRUPTED)
            case Finished(status=status):
                tracker.end(trial, status)


def _facts(proposal: Proposed) -> dict[str, str]:
    named = {
        "network": proposal.arch_id,
        "space": proposal.space,
        "seed": proposal.seed,
    }
    told = named | dict(proposal.knobs or {})
    return {name: str(value) for name, value in told.items()}


def _numbers(metrics: MetricValues) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, int | float)
    }


class TensorBoard:
    """A folder of event files for each network, which TensorBoard joins into one curve."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[int, SummaryWriter] = {}

    def begin(self, trial: int, facts: Mapping[str, str]) -> None:
        rows = "\n".join(f"    {name} {value}" for name, value in facts.items())
        self._writer(trial).add_text("network", rows, 0)

    def add(self, trial: int, metrics: Mapping[str, float], epoch: int) -> None:
        writer = self._writer(trial)
        for name, value in metrics.items():
            writer.add_scalar(name, value, epoch)
        writer.flush()

    def rest(self, trial: int, status: str) -> None:
        self.end(trial, status)

    def end(self, trial: int, status: str) -> None:
        self._writer(trial).add_text("status", status, 0)
        self._writers.pop(trial).close()

    def close(self) -> None:
        for trial in list(self._writers):
            self.end(trial, TrialStatus.INTERRUPTED)

    def _writer(self, trial: int) -> SummaryWriter:
        if trial not in self._writers:
            folder = self._folder / f"trial-{trial:05d}"
            before = len(list(folder.glob("*")))
            # files of one second would have one name, and the later would replace the earlier
            self._writers[trial] = SummaryWriter(
                str(folder), filename_suffix=f".{before:04d}"
            )
        return self._writers[trial]


MLFLOW_ENDS = {
    TrialStatus.COMPLETE: "FINISHED",
    TrialStatus.DUPLICATE: "FINISHED",
    TrialStatus.FAILED: "FAILED",
}
"""What MLflow calls an outcome; of its five words, KILLED is nearest to the others."""


class MLflow:
    """A run for each network in the experiment of the search's name, on the server that MLflow is told of.

    A search that goes on finds its runs again by the tags ``folder`` and ``trial``.
    """

    def __init__(self, folder: Path) -> None:
        from mlflow import MlflowClient  # optional, and slow to import

        self._client = MlflowClient()
        self._folder = str(folder.resolve())
        known = self._client.get_experiment_by_name(folder.name)
        self._experiment = (
            known.experiment_id
            if known
            else self._client.create_experiment(folder.name)
        )
        self._open: dict[int, str] = {}

    def begin(self, trial: int, facts: Mapping[str, str]) -> None:
        run = self._run(trial)
        for name, value in facts.items():
            self._client.log_param(run, _key(name), value)

    def add(self, trial: int, metrics: Mapping[str, float], epoch: int) -> None:
        run = self._run(trial)
        for name, value in metrics.items():
            self._client.log_metric(run, _key(name), value, step=epoch)

    def rest(self, trial: int, status: str) -> None:
        self._client.set_tag(self._run(trial), "status", status)

    def end(self, trial: int, status: str) -> None:
        run = self._run(trial)
        self._client.set_tag(run, "status", status)
        word = MLFLOW_ENDS.get(TrialStatus(status), "KILLED")
        self._client.set_terminated(run, word)
        del self._open[trial]

    def close(self) -> None:
        for trial in list(self._open):
            self.end(trial, TrialStatus.INTERRUPTED)

    def _run(self, trial: int) -> str:
        """The run of a network, which goes on where it was left."""
        if trial not in self._open:
            tags = {"trial": str(trial), "folder": self._folder}
            wanted = " and ".join(f"tags.{k} = '{v}'" for k, v in tags.items())
            found = self._client.search_runs([self._experiment], wanted)
            if found:
                run = found[0]
                self._client.update_run(run.info.run_id, status="RUNNING")
            else:
                run = self._client.create_run(
                    self._experiment, tags=tags, run_name=f"trial-{trial:05d}"
                )
            self._open[trial] = str(run.info.run_id)
            self._client.set_tag(self._open[trial], "status", TrialStatus.RUNNING)
        return self._open[trial]


def _key(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w\-. /]", "_", name)


class WandbRun(Protocol):
    """What is used of ``wandb.Run``."""

    tags: tuple[str, ...]

    def log(self, data: Mapping[str, float]) -> None: ...
    def finish(self, exit_code: int) -> None: ...
    def define_metric(self, name: str, step_metric: str) -> object: ...


class WeightsAndBiases:
    """A run for each network in the group of the search's name, where the environment says (``WANDB_API_KEY``).

    Its name is made of folder and trial, so a search that goes on goes on with its runs.
    """

    def __init__(self, folder: Path) -> None:
        self._group = folder.name
        place = str(folder.resolve()).encode()
        self._id = hashlib.sha256(place).hexdigest()[:16]
        self._facts: dict[int, Mapping[str, str]] = {}
        self._open: dict[int, WandbRun] = {}

    def begin(self, trial: int, facts: Mapping[str, str]) -> None:
        self._facts[trial] = facts
        self._run(trial)

    def add(self, trial: int, metrics: Mapping[str, float], epoch: int) -> None:
        self._run(trial).log({**metrics, "epoch": epoch})

    def rest(self, trial: int, status: str) -> None:
        self.end(trial, status)

    def end(self, trial: int, status: str) -> None:
        run = self._run(trial)
        run.tags = (str(status),)
        run.finish(exit_code=int(status == TrialStatus.FAILED))
        del self._open[trial]

    def close(self) -> None:
        for trial in list(self._open):
            self.end(trial, TrialStatus.INTERRUPTED)

    def _run(self, trial: int) -> WandbRun:
        """The run of a network, which goes on where it was left."""
        if trial not in self._open:
            import wandb  # optional, and slow to import

            run: WandbRun = wandb.init(
                project="splitsearch",
                group=self._group,
                name=f"trial-{trial:05d}",
                id=f"{self._id}-{trial:05d}",
                resume="allow",
                reinit="create_new",  # others are open beside it
                tags=[TrialStatus.RUNNING],
                config=dict(self._facts.pop(trial, {})),
            )
            # its own steps count calls
            run.define_metric("*", step_metric="epoch")
            self._open[trial] = run
        return self._open[trial]


def _tensorboard(folder: Path) -> Tracker:
    return TensorBoard(folder / "tensorboard")


TRACKERS: dict[str, Callable[[Path], Tracker]] = {
    "tensorboard": _tensorboard,
    "mlflow": MLflow,
    "wandb": WeightsAndBiases,
}
OPTIONAL = ("mlflow", "wandb")
"""Trackers that need the package of their name."""


def make_trackers(names: Iterable[str], folder: Path) -> list[Tracking]:
    """The trackers among the ``loggers`` of the settings, for the run in ``folder``."""
    return [Tracking(TRACKERS[name](folder)) for name in names if name in TRACKERS]


def check_loggers(names: Iterable[str]) -> None:
    """Raises ``ValueError`` for a name that is none, and for one whose package is not installed."""
    for name in names:
        if name not in TRACKERS and ":" not in name:
            raise ValueError(
                f"unknown logger {name!r}{nearest(name, TRACKERS)} (your own: module:Name)"
            )
        if name in OPTIONAL and find_spec(name) is None:
            raise ValueError(
                f"loggers: {name} needs the package {name}: pip install {name}"
            )

"""A whole search: from a configuration to a run folder."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from evaluators import Evaluator
from evaluators.cache import Progress
from evaluators.device import device_name
from results import EventLog, Run, load_run, write_atomic, write_report

from .config import SearchConfig
from .controller import Controller, Listener
from .prepare import gpus_per_trial, prepare
from .tune import local_ray, run_trials

PACKAGES = ("torch", "numpy", "optuna", "ray", "pandas", "fvcore", "moocore")


def search(
    config: SearchConfig,
    out: str | Path,
    listeners: Sequence[Listener] = (),
    progress: Progress = lambda what, done, total: None,
) -> Run:
    """Run the search that ``config`` describes and leave everything in the new folder ``out``.

    Ctrl-C ends it early: what is finished is saved and returned. ``progress`` is told what happens to the data
    before the first trial, how much of it is done and how much there is.

    Raises:
        ValueError: before anything is written, for a configuration that cannot work here.
        OSError: if the folder cannot be written.
    """
    evaluators, proposer = prepare(config, progress)
    folder = _new_folder(Path(out), config)
    with EventLog(folder / "events.db") as log:
        controller = Controller(proposer, log, trials=config.trials, seed=config.seed, listeners=listeners)
        try:
            _run(config, controller, evaluators, folder)
        except BaseException:
            if not controller.started:
                shutil.rmtree(folder, ignore_errors=True)
            raise
    run = load_run(folder)
    run.export()
    write_report(run, folder / "report.html")
    return run


def _run(config: SearchConfig, controller: Controller, evaluators: Sequence[Evaluator], folder: Path) -> None:
    controller.emit("search_started", config=config.model_dump(mode="json"), objectives=config.objectives)
    checkpoints = folder / "checkpoints"
    try:
        with local_ray(folder / "log.txt"):
            resources = {"cpus": config.resources.cpus, "gpus": gpus_per_trial(config)}
            run_trials(controller, evaluators, checkpoints, **resources)
    except KeyboardInterrupt:  # the first Ctrl-C ends the trials; this is the second, or one while Ray starts
        if not controller.finished:
            raise
    controller.emit("search_finished", reason=_reason(controller))
    for checkpoint in checkpoints.glob("*.pt"):
        if int(checkpoint.name.partition("-")[0]) in controller.finished:
            checkpoint.unlink()


def _new_folder(folder: Path, config: SearchConfig) -> Path:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ValueError(f"{folder}: exists already; name a new folder with --out") from None
    try:
        settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        write_atomic(folder / "config.yaml", settings)
        write_atomic(folder / "environment.json", json.dumps(environment(), indent=2) + "\n")
        EventLog(folder / "events.db").close()
        (folder / "checkpoints").mkdir()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def environment() -> dict[str, Any]:
    """What the search runs on: machine, devices, versions."""
    gpus = [device_name(torch.device("cuda", index)) for index in range(torch.cuda.device_count())]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": device_name(torch.device("cpu")),
        "cores": os.cpu_count(),
        "gpus": gpus,
        "packages": {name: version(name) for name in PACKAGES},
    }


def _reason(controller: Controller) -> str:
    if controller.exhausted:
        return "the space holds no further networks"
    if len(controller.finished) < controller.trials:
        return "interrupted"
    return f"{controller.trials} trials done"

"""A whole search: from a configuration to a run folder."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from evaluators import Complexity, Evaluator, Latency, ProxyTraining, load
from evaluators.device import device_name, resolve_device
from results import EventLog, Run, load_run, write_atomic, write_report
from search_spaces import Task
from search_spaces.extension import import_named

from .config import SearchConfig
from .controller import Controller, Listener
from .proposer import Proposer, make_sampler
from .tune import local_ray, run_trials

PACKAGES = ("torch", "numpy", "optuna", "ray", "pandas", "fvcore", "moocore")


def search(config: SearchConfig, out: str | Path, listeners: Sequence[Listener] = ()) -> Run:
    """Run the search that ``config`` describes and leave everything in the new folder ``out``.

    Ctrl-C ends it early: what is finished is saved and returned.

    Raises:
        ValueError: before anything is written, for a configuration that cannot work here.
        OSError: if the folder cannot be written.
    """
    evaluators, proposer = prepare(config)
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


def prepare(config: SearchConfig) -> tuple[list[Evaluator], Proposer]:
    """Build all that a configuration names, so that what cannot work is found before anything starts."""
    device = device_of(config)
    latency = config.latency.model_dump() | {"device": config.latency.device or device}
    resolve_device(latency["device"])
    data = config.data
    task = load(data.name, validation=data.validation, seed=data.split_seed).task
    built_in: dict[str, Evaluator] = {
        "complexity": Complexity(task),
        "latency": Latency(task, **latency),
        "training": ProxyTraining(data.name, config.training, device, data.validation, data.split_seed),
    }
    evaluators = [built_in.get(name) or _own_evaluator(name, task, built_in) for name in config.evaluators]
    _check_objectives(config, evaluators)
    sampler = make_sampler(config.sampler.name, config.seed, config.sampler.model_extra)
    return evaluators, Proposer(config.space.build(), config.objectives, sampler, config.seed)


def device_of(config: SearchConfig) -> str:
    """Where networks train; ``ValueError`` if this machine has no such device."""
    if config.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return resolve_device(config.device).type


def gpus_per_trial(config: SearchConfig) -> float:
    if config.resources.gpus is not None:
        return config.resources.gpus
    return 1.0 if device_of(config) == "cuda" else 0.0


def _own_evaluator(name: str, task: Task, built_in: Iterable[str]) -> Evaluator:
    make = import_named(name, "evaluator", built_in)
    try:
        evaluator = make(task)
    except Exception as error:
        raise ValueError(f"evaluator {name!r} cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(evaluator, Evaluator):
        raise ValueError(f"{name!r} is no evaluator: it needs metrics and evaluate (evaluators.Evaluator)")
    return evaluator


def _check_objectives(config: SearchConfig, evaluators: Sequence[Evaluator]) -> None:
    produced = [metric for evaluator in evaluators for metric in evaluator.metrics]
    for objective in config.objectives:
        if objective not in produced:
            raise ValueError(
                f"objectives.{objective}: no evaluator measures it; there are {', '.join(produced)}"
            )


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

"""A whole search: from a configuration to a run folder, and on from where one was left."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

from evaluators.data.cache import Progress
from nas.config.schema import SearchConfig
from nas.controller import Controller, Listener
from nas.engines.checkpoints import Checkpoints
from nas.engines.serial import run_serially
from nas.prepare import Prepared, gpus_per_trial, prepare
from nas.runs.folder import new_folder, reopened, write_settings
from nas.runs.lock import sole_driver
from nas.runs.optuna_study import mirrored, write_study
from nas.runs.stages import stage_reader
from results import EventLog, Run, load_run, write_report
from results.log.salvage import mend


def search(
    config: SearchConfig,
    out: str | Path,
    listeners: Sequence[Listener] = (),
    progress: Progress = lambda what, done, total: None,
    *,
    serial: bool = False,
) -> Run:
    """Run the search that ``config`` describes and leave everything in the new folder ``out``.

    Ctrl-C ends it early: what is finished is saved and returned, and ``resume`` goes on from there. ``serial``
    does without Ray, one trial at a time in this process. ``progress`` is told what happens to the data before
    the first trial, how much of it is done and how much there is.

    Raises:
        ValueError: before anything is written, for a configuration that cannot work here.
        OSError: if the folder cannot be written.
    """
    prepared, folder = prepare(config, progress), Path(out)
    new_folder(folder, config, prepared.task)
    with sole_driver(folder), EventLog(folder / "events.db") as log:
        controller = _controller(config, prepared, log, listeners)
        try:
            _run(config, controller, prepared, folder, serial)
        except BaseException:
            if not controller.started:
                shutil.rmtree(folder, ignore_errors=True)
            raise
    return _outcome(folder)


def resume(
    path: str | Path,
    overrides: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    progress: Progress = lambda what, done, total: None,
    *,
    serial: bool = False,
) -> Run:
    """Go on with the search in the folder ``path``: finished trials count, broken ones continue.

    ``overrides`` (``trials=80``) raise limits. The event log is replayed, so it does not matter how the search
    ended, nor where the folder has been copied since.

    Raises:
        ValueError: if there is no search, another driver is at work on it, a setting may not change, or
            nothing is left to do.

    Warns:
        UserWarning: naming what is lost of a damaged log; the rest is gone on from.
    """
    folder = Path(path)
    config = reopened(folder, tuple(overrides))
    with sole_driver(folder), _sound_log(folder / "events.db") as log:
        prepared = prepare(config, progress)
        controller = _controller(config, prepared, log, listeners)
        controller.replay(log)
        if controller.over:
            raise ValueError(f"{folder}: nothing is left to do, {controller.reason}; --set can raise a limit")
        write_settings(folder, config)
        _run(config, controller, prepared, folder, serial)
    return _outcome(folder)


def _sound_log(path: Path) -> EventLog:
    if damage := mend(path):
        warnings.warn(f"{path}: {damage}; the search goes on from the rest", stacklevel=3)
    return EventLog(path)


def _controller(
    config: SearchConfig, prepared: Prepared, log: EventLog, listeners: Sequence[Listener]
) -> Controller:
    return Controller(
        prepared.proposer,
        log,
        config.budget,
        stopper=prepared.stopper,
        seed=config.seed,
        produces=[evaluator.metrics for evaluator in prepared.evaluators],
        limits=config.limits,
        reference_point=config.reference_point,
        listeners=listeners,
    )


def _run(
    config: SearchConfig, controller: Controller, prepared: Prepared, folder: Path, serial: bool
) -> None:
    if serial and config.loggers:
        raise ValueError(f"loggers: {', '.join(config.loggers)} need Ray: leave out --serial, or the loggers")
    checkpoints = Checkpoints(config.storage or str(folder.resolve() / "checkpoints"))
    checkpoints.prove()
    controller.emit("search_started", config=config.model_dump(mode="json"), objectives=config.objectives)
    try:
        with mirrored(folder):
            if serial:
                run_serially(controller, prepared.evaluators, checkpoints, cpus=config.resources.cpus)
            else:
                _run_on_ray(config, controller, prepared, folder, checkpoints)
    except KeyboardInterrupt:  # the first Ctrl-C ends the trials; this is the second, or one while Ray starts
        if not controller.ended:
            raise
    if controller.over:
        controller.close()
    controller.emit("search_finished", reason=_reason(controller))
    checkpoints.discard(controller.ended)


def _run_on_ray(
    config: SearchConfig,
    controller: Controller,
    prepared: Prepared,
    folder: Path,
    checkpoints: Checkpoints,
) -> None:
    from nas.engines.ray_cluster import connected
    from nas.engines.ray_loggers import make_loggers
    from nas.engines.ray_tune import run_trials

    loggers = make_loggers(config.loggers, folder)
    with connected(config.ray, folder / "log.txt"):
        run_trials(
            controller,
            prepared.evaluators,
            checkpoints,
            cpus=config.resources.cpus,
            gpus=gpus_per_trial(config),
            latency_resource=config.latency.resource,
            loggers=loggers,
            folder=folder / "ray" if loggers else None,
        )


def _reason(controller: Controller) -> str:
    return (controller.reason or "interrupted") if controller.over else "interrupted"


def _outcome(folder: Path) -> Run:
    run = load_run(folder)
    run.export()
    write_study(folder)
    write_report(run, folder / "report.html", stages=stage_reader(run))
    return run

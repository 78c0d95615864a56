"""A whole search: from a configuration to a run folder, and on from where one was left."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

from evaluators.data.progress import Progress
from nas.config.schema import SearchConfig
from nas.controller import Controller
from nas.engines.checkpoints import Checkpoints, Sweeper
from nas.engines.engine import located, make_engine
from nas.engines.trackers import make_trackers
from nas.listeners import Listener
from nas.prepare import Prepared, prepare
from nas.runs.folder import (
    check_fidelity,
    check_images,
    new_folder,
    reopened,
    write_settings,
)
from nas.runs.lock import sole_driver
from nas.runs.stages import stage_reader
from nas.runs.study_mirror import mirrored
from results import EventLog, Run, load_run, write_report
from results.log.events import SearchFinished, SearchStarted
from results.log.salvage import mend


class NothingLeftError(ValueError):
    """A search that would be gone on with is over."""


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
    is short for the engine of that name. ``progress`` is told what happens to the data before
    the first trial, how much of it is done and how much there is.

    Raises:
        ValueError: before anything is written, for a configuration that cannot work here.
        OSError: if the folder cannot be written.
    """
    config = located(_with_engine(config, serial))
    folder = Path(out)
    prepared = prepare(config, progress)
    new_folder(folder, config, prepared.task, prepared.images)
    controller = None
    try:
        with sole_driver(folder), EventLog(folder / "events.db") as log:
            controller = make_controller(config, prepared, log, listeners)
            with mirrored(folder):
                drive(config, controller, prepared, folder)
    except BaseException:
        # nothing was tried: a folder without a trial is only in the way. Not before the lease is given back,
        # for its heartbeat writes into the folder while that is being emptied
        if controller and not controller.started:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return outcome_of(folder)


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
        ValueError: if there is no search, another driver is at work on it, or a setting may not change.
        NothingLeftError: if it is over.

    Warns:
        UserWarning: naming what is lost of a damaged log; the rest is gone on from.
    """
    folder = Path(path)
    config = located(_with_engine(reopened(folder, tuple(overrides)), serial))
    with sole_driver(folder), sound_log(folder / "events.db") as log:
        prepared = prepare(config, progress)
        check_images(folder, prepared.images)
        check_fidelity(folder, log, prepared.fidelity)
        controller = make_controller(config, prepared, log, listeners)
        controller.replay(log)
        if controller.over:
            raise NothingLeftError(
                f"{folder}: nothing is left to do, {controller.reason}; --set can raise a limit"
            )
        write_settings(folder, config)
        with mirrored(folder):
            drive(config, controller, prepared, folder)
    return outcome_of(folder)


def sound_log(path: Path) -> EventLog:
    if damage := mend(path):
        warnings.warn(
            f"{path}: {damage}; the search goes on from the rest", stacklevel=3
        )
    return EventLog(path)


def make_controller(
    config: SearchConfig,
    prepared: Prepared,
    log: EventLog,
    listeners: Sequence[Listener],
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


def drive(
    config: SearchConfig, controller: Controller, prepared: Prepared, folder: Path
) -> None:
    """Let the engine work until the controller has no more, or Ctrl-C; both ends are in the log."""
    engine = make_engine(config, folder)
    checkpoints = Checkpoints(config.storage or str(folder.resolve() / "checkpoints"))
    checkpoints.prove()
    controller.listeners += make_trackers(config.loggers, folder)
    controller.commit(
        SearchStarted(None, config.model_dump(mode="json"), config.objectives)
    )
    # to the very end: trials that stay paused end there, and leave checkpoints too
    with Sweeper(checkpoints, len(prepared.evaluators)) as sweeper:
        controller.listeners.append(sweeper)
        try:
            engine.run(controller, prepared.evaluators, checkpoints)
        # the first Ctrl-C ends the trials; this is the second, or one while Ray starts
        except KeyboardInterrupt:
            if not controller.ended:
                raise
        _end(controller)
    checkpoints.discard(controller.ended)


def _end(controller: Controller) -> None:
    # paused trials can be promoted as long as somebody may still get ahead of them
    if controller.over:
        controller.close()
    controller.commit(SearchFinished(None, reason_of(controller)))


def _with_engine(config: SearchConfig, serial: bool) -> SearchConfig:
    return config.model_copy(update={"engine": "serial"}) if serial else config


def reason_of(controller: Controller) -> str:
    return (controller.reason or "interrupted") if controller.over else "interrupted"


def outcome_of(folder: Path) -> Run:
    from nas.runs.optuna_study import write_study  # slow to import, and wanted last

    run = load_run(folder)
    run.export()
    write_study(folder)
    write_report(run, folder / "report.html", stages=stage_reader(run))
    return run

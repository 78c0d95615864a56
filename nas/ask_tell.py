"""A search whose networks are measured elsewhere: in one's own loop, another language, a laboratory."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pandas as pd

from nas.config.loading import load_config
from nas.config.schema import SearchConfig
from nas.controller import Assignment
from nas.driver import make_controller, outcome_of, reason_of, sound_log
from nas.prepare import prepare_for_others
from nas.runs.folder import (
    UNCHANGEABLE,
    changed_settings,
    check_images,
    new_folder,
    write_settings,
)
from nas.runs.lock import sole_driver
from results import load_run
from results.log.events import SearchFinished, SearchStarted
from results.metrics import MetricValues


class AskTell:
    """Asks and tells; proposals, limits, early stopping and the log are those of ``search``.

    A context manager. ``out`` is a new run folder, or one that such a search has left, which is gone on with:
    what was not finished is handed out again. The evaluators of ``config`` do not run. Exact costs (``flops``,
    ``macs``, ``params``, ``activations``) are known without being reported, for the images of ``config.data``.

    Raises:
        ValueError: for a configuration that cannot work here, another one than before, or a folder that is no
            run or that another search is at work in.
        OSError: if the folder cannot be written.
    """

    def __init__(self, config: SearchConfig, out: str | Path) -> None:
        self._folder = folder = Path(out)
        prepared = prepare_for_others(config)
        self._costs = prepared.evaluators[0]
        old = _known(folder, config)
        if not old:
            new_folder(folder, config, prepared.task, prepared.images)
        with ExitStack() as opened:
            opened.enter_context(sole_driver(folder))
            log = opened.enter_context(sound_log(folder / "events.db"))
            self._controller = make_controller(config, prepared, log, ())
            if old:
                check_images(folder, prepared.images)
                self._controller.replay(log)
                write_settings(folder, config)
            self._controller.commit(
                SearchStarted(None, config.model_dump(mode="json"), config.objectives)
            )
            # from here on close() owns lock and log; an error before would have let go of both
            self._opened: ExitStack | None = opened.pop_all()

    def ask(self) -> Assignment | None:
        """What to measure next: its ``trial``, ``arch`` and ``seed``.

        None if nothing is left, or nothing until a trial that is out gets on.
        """
        self._check_open()
        while (work := self._controller.next()) is not None:
            known = self._controller.trials[work.trial].metrics
            # who breaks a limit on a cost is not handed out at all
            costs = next(iter(self._costs.evaluate(work.arch)))
            if costs.items() <= known.items() or self._controller.report(
                work.trial, costs
            ):
                return work
        return None

    def report(self, trial: int, metrics: MetricValues) -> bool:
        """Metrics of a trial: those of an epoch if one is ``epoch``, counted from 1, else a measurement.

        Returns False if the trial is to stop: it needs no ``finish``, and may be handed out again later.

        Raises:
            ValueError: for a trial that was not handed out.
        """
        self._check(trial)
        return self._controller.report(trial, metrics)

    def finish(self, trial: int, error: str | None = None) -> None:
        """A trial is measured to the end, or failed with ``error``; no news of one that was told to stop.

        Raises:
            ValueError: for a trial that was not handed out.
        """
        self._check(trial)
        self._controller.finish(trial, error)

    def lost(self, trial: int, reason: str) -> None:
        """Whoever measured a trial is gone: it is handed out again, at most twice.

        Raises:
            ValueError: for a trial that was not handed out.
        """
        self._check(trial)
        self._controller.lost(trial, reason)

    def best(self) -> pd.DataFrame:
        """The trials on the front so far, as ``results.load_run(out).front()``."""
        return load_run(self._folder).front()

    def close(self) -> None:
        """Write the tables and the report, and leave the folder to others; trials that are out are not lost."""
        if self._opened is None:
            return
        with self._opened:
            self._opened = None
            if self._controller.over:
                self._controller.close()
            self._controller.commit(SearchFinished(None, reason_of(self._controller)))
        outcome_of(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._opened is None:
            raise ValueError(
                f"{self._folder}: this search is closed; AskTell(config, out) goes on with it"
            )

    def _check(self, trial: int) -> None:
        self._check_open()
        if trial not in self._controller.trials:
            raise ValueError(
                f"trial {trial!r} was not handed out; ask() gives trials their numbers"
            )


def _known(folder: Path, config: SearchConfig) -> bool:
    """Whether there is a search to go on with.

    Raises:
        ValueError: if its settings were others.
    """
    if not (folder / "events.db").is_file():
        return False
    before = load_config(str(folder / "config.yaml"))
    if name := changed_settings(before, config):
        raise ValueError(f"{folder}: {name} {UNCHANGEABLE}")
    return True

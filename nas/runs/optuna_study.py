"""A run as an Optuna study in SQLite, for ``optuna-dashboard`` and for whoever knows Optuna."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import DBAPIError

from nas.config.loading import validate
from nas.runs.study_rows import add_in_bulk
from nas.samplers.optuna import STUDY_DIRECTIONS
from results import Run, load_run
from results.limits import Limit
from results.metrics import is_knob
from results.objectives import Directions
from search_spaces import SearchSpace, arch_from_dict

STUDY = "search"
STATES = {
    "complete": TrialState.COMPLETE,
    "duplicate": TrialState.COMPLETE,
    "failed": TrialState.FAIL,
}
"""State of a finished trial by its status; any other was given up: ``PRUNED``, which has no values."""


def write_study(folder: str | Path, path: str | Path | None = None) -> int:
    """Bring ``study.db`` in the run folder (or ``path``) up to the event log, and return how many trials are new.

    Every finished trial is there once, its number in the run under the user attribute ``trial``: complete ones
    and duplicates with values, stopped and infeasible ones as pruned, with the epochs of the first objective that
    has any, and with constraints if the search has limits. May be called again while the search goes on.

    Raises:
        ValueError: naming the folder or file that is missing or damaged.
        OSError: if the file cannot be written.
    """
    run = load_run(folder)
    path = Path(folder) / "study.db" if path is None else Path(path)
    config = validate(run.config, str(folder))
    with _study(path, run.objectives) as (study, storage):
        there = study.get_trials(deepcopy=False)
        known = {trial.user_attrs.get("trial") for trial in there}
        ended = run.trials["status"] != "running"
        told = run.trials["trial"].isin(known)
        finished = run.trials[ended & ~told]
        reader = _Reader(run, config.search_space, config.limits)
        # only those that the file lacks, so that the work does not grow with the search
        trials = [reader.trial(row) for row in finished.to_dict("records")]
        add_in_bulk(storage, storage.get_study_id_from_name(STUDY), trials)
    return len(trials)


@contextmanager
def _study(
    path: Path, objectives: Directions
) -> Iterator[tuple[optuna.Study, RDBStorage]]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = _storage(path)
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=STUDY,
            directions=[STUDY_DIRECTIONS[way] for way in objectives.values()],
            load_if_exists=True,
        )
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
            study.set_metric_names(list(objectives))
        yield study, storage
    except (DBAPIError, StorageInternalError) as error:  # a full disk
        raise _refused(path, error) from error
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _storage(path: Path) -> RDBStorage:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, check_same_thread=False, timeout=30)
        # no waiting for the disk: the file can be written again at any time
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    try:
        return RDBStorage("sqlite://", engine_kwargs={"creator": connect})
    except Exception as error:  # SQLAlchemy's, Alembic's and SQLite's own
        raise _refused(path, error) from error


def _refused(path: Path, error: Exception) -> OSError:
    # what follows is the statement, page after page
    said = str(error).partition("[SQL")[0]
    reason = " ".join(said.split())
    return OSError(f"{path}: cannot be written as an Optuna study ({reason:.200})")


@dataclass
class _Reader:
    """Turns rows of the trials table into Optuna's trials."""

    run: Run
    space: SearchSpace
    limits: Mapping[str, Limit]

    def __post_init__(self) -> None:
        epochs = self.run.epochs
        told = [name for name in self.run.objectives if name in epochs.columns]
        self._curves: dict[int, dict[int, float]] = {}
        # a trial of Optuna's has one curve
        for name in told[:1]:
            known = epochs.dropna(subset=[name])[["trial", "epoch", name]]
            for trial, epoch, value in known.itertuples(index=False):
                curve = self._curves.setdefault(int(trial), {})
                curve[int(epoch)] = float(value)

    def trial(self, row: Mapping[Any, Any]) -> FrozenTrial:
        row = {name: value for name, value in row.items() if not pd.isna(value)}
        params, distributions = self._knobs(row)
        state = STATES.get(row["status"], TrialState.PRUNED)
        complete = state is TrialState.COMPLETE
        facts = [name for name in row if not is_knob(name)]
        limited = [name for name in self.limits if name in row]
        made = create_trial(
            state=state,
            params=params,
            distributions=distributions,
            values=[row[name] for name in self.run.objectives] if complete else None,
            user_attrs={name: _plain(row[name]) for name in facts},
            intermediate_values=self._curves.get(row["trial"], {}),
            constraints={n: self.limits[n].excess(row[n]) for n in limited},
        )
        return _timed(made, row)

    def _knobs(
        self, row: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        arch = arch_from_dict(json.loads(row["arch"]))
        asked = _Recorder(self.space.params(arch))
        self.space.suggest(asked)
        # of the knobs only those that the space asks about for this network
        params = {name: asked.params[name] for name in asked.distributions}
        return params, asked.distributions


def _timed(made: FrozenTrial, row: Mapping[Hashable, Any]) -> FrozenTrial:
    """``create_trial`` stamps its own times: those of the search in their place."""
    if "started" in row:
        made.datetime_start = _local(row["started"])
    if "finished" in row:
        made.datetime_complete = _local(row["finished"])
    return made


@dataclass
class _Recorder:
    """A trial that answers with given values and keeps the distributions they were asked from."""

    params: Mapping[str, Any]
    distributions: dict[str, BaseDistribution] = field(default_factory=dict)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        self.distributions[name] = IntDistribution(low, high, step=step)
        return int(self.params[name])

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None
    ) -> float:
        self.distributions[name] = FloatDistribution(low, high, step=step)
        return float(self.params[name])

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.distributions[name] = CategoricalDistribution(choices)
        return self.params[name]


def _local(moment: pd.Timestamp) -> datetime:
    """Optuna's times are local ones without a zone."""
    local = moment.floor("us").to_pydatetime().astimezone()
    return local.replace(tzinfo=None)


def _plain(value: object) -> Any:
    """A value as JSON has it: numpy's numbers as Python's, what is no number as text."""
    if hasattr(value, "item"):
        return value.item()
    return value if isinstance(value, int | float) else str(value)

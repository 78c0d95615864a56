"""The study that ``optuna-dashboard`` opens says what the event log says."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from nas.config.schema import SearchConfig
from nas.runs.optuna_study import write_study
from results import EventLog, load_run
from search_spaces import complexity, get_space

CONFIG = SearchConfig(
    objectives={"accuracy": "max", "flops": "min"}, limits={"params": {"max": 3e7}}
)
STATUSES = ["complete", "stopped", "infeasible", "failed"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with EventLog(tmp_path / "events.db") as log:
        config = json.loads(CONFIG.model_dump_json())
        log.append("search_started", config=config, objectives=CONFIG.objectives)
        for trial, status in enumerate(STATUSES):
            add_trial(log, trial, status)
    return tmp_path


def add_trial(log: EventLog, trial: int, status: str | None) -> None:
    space = get_space("resnest")
    arch = space.sample(np.random.default_rng(trial))
    knobs = space.params(arch)
    log.append(
        "proposed",
        trial,
        arch_id=arch.id,
        space="resnest",
        arch=arch.to_dict(),
        knobs=knobs,
        seed=0,
    )
    cost = complexity(arch)
    log.append("measured", trial, flops=cost.flops, params=cost.params)
    for epoch in (1, 2):
        log.append("epoch", trial, epoch=epoch, accuracy=0.4 + 0.1 * epoch)
    if status:
        log.append(
            "finished",
            trial,
            status=status,
            error="out of memory" if status == "failed" else None,
        )


def load(folder: Path) -> optuna.Study:
    return optuna.load_study(
        study_name="search", storage=f"sqlite:///{folder / 'study.db'}"
    )


def test_states_values_curves_and_constraints(folder: Path) -> None:
    assert write_study(folder) == 4
    study = load(folder)
    states = [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.PRUNED,
        TrialState.FAIL,
    ]
    assert [trial.state for trial in study.trials] == states
    space = get_space("resnest")
    for number, trial in enumerate(study.trials):
        arch = space.sample(np.random.default_rng(number))
        cost = complexity(arch)
        assert trial.params == space.params(arch)
        assert trial.intermediate_values == {
            1: pytest.approx(0.5),
            2: pytest.approx(0.6),
        }
        assert trial.constraints == {"params": pytest.approx(cost.params / 3e7 - 1)}
        assert trial.user_attrs["trial"] == number
    assert study.trials[0].values == [
        pytest.approx(0.6),
        complexity(space.sample(np.random.default_rng(0))).flops,
    ]
    assert study.metric_names == ["accuracy", "flops"]
    assert study.trials[3].user_attrs["error"] == "out of memory"


def test_rows_written_in_bulk_are_those_that_optuna_writes(
    folder: Path, tmp_path: Path
) -> None:
    write_study(folder)
    study = load(folder)
    theirs = optuna.create_study(
        study_name="theirs",
        storage=f"sqlite:///{tmp_path / 'theirs.db'}",
        directions=study.directions,
    )
    theirs.add_trials(study.trials)
    again = optuna.load_study(
        study_name="theirs", storage=f"sqlite:///{tmp_path / 'theirs.db'}"
    )
    fields = (
        "number",
        "state",
        "params",
        "distributions",
        "user_attrs",
        "system_attrs",
        "intermediate_values",
    )
    for ours, other in zip(study.trials, again.trials, strict=True):
        assert [getattr(ours, name) for name in fields] == [
            getattr(other, name) for name in fields
        ]
        assert (ours.values, ours.datetime_start) == (
            other.values,
            other.datetime_start,
        )
        assert ours.datetime_complete == other.datetime_complete
    study.tell(study.ask(), [0.5, 1.0])  # and Optuna goes on from them
    assert study.trials[-1].number == len(STATUSES)


def test_it_grows_with_the_log(folder: Path) -> None:
    write_study(folder)
    with EventLog(folder / "events.db") as log:
        add_trial(log, 4, None)
        assert write_study(folder) == 0, "trial 4 is still running"
        log.append("finished", 4, status="complete", error=None)
    assert write_study(folder) == 1
    assert [trial.user_attrs["trial"] for trial in load(folder).trials] == [
        0,
        1,
        2,
        3,
        4,
    ]


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows has one zone")
def test_times_are_local_ones_outside_utc(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``Study.optimize`` writes them: what ``datetime.now()`` showed then."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        write_study(folder)
        started = load_run(folder).trials["started"]
        for trial, moment in zip(load(folder).trials, started, strict=True):
            shown = trial.datetime_start
            assert shown is not None
            assert shown.timestamp() == pytest.approx(moment.timestamp(), abs=1e-3)
            assert (shown.hour * 60 + shown.minute) - (
                moment.hour * 60 + moment.minute
            ) in (330, 330 - 24 * 60)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_file_that_is_no_database_is_named(folder: Path) -> None:
    (folder / "study.db").write_text("no database" * 100)
    with pytest.raises(
        OSError, match=r"study\.db: cannot be written as an Optuna study"
    ):
        write_study(folder)


def test_a_disk_that_fills_up_is_told_with_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("disk is full"))

    monkeypatch.setattr("nas.runs.optuna_study.add_in_bulk", full)
    with pytest.raises(OSError, match=r"study\.db: cannot be written.*disk is full\)"):
        write_study(folder)

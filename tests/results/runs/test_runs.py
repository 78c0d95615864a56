import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from results import EventLog, load_run, load_runs, write_table
from results.report.page_data import page_data
from results.runs.tables import RETRAINED_COLUMNS, TRIAL_COLUMNS

OBJECTIVES = {"accuracy": "max", "flops": "min"}
GOLDEN = Path(__file__).parent / "v1_events.db"


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """A run folder of two complete trials."""

    def make(
        name: str, device: str = "CPU", accuracy: float = 0.5, **config: object
    ) -> Path:
        folder, ticks = tmp_path / name, count(1_760_000_000)
        folder.mkdir(parents=True)
        with EventLog(folder / "events.db", clock=lambda: float(next(ticks))) as log:
            log.append(
                "search_started",
                config=config or {"data": "digits"},
                objectives=OBJECTIVES,
            )
            for trial in range(2):
                log.append(
                    "proposed",
                    trial,
                    arch_id=f"id{trial}",
                    space="s",
                    arch={"radix": 2},
                    knobs={"radix": 2},
                    seed=0,
                )
                log.append("measured", trial, flops=100 + trial, device=device)
                log.append("epoch", trial, epoch=1, accuracy=accuracy + trial / 10)
                log.append("finished", trial, status="complete", error=None)
        return folder

    return make


def assert_same(run, other):
    for name in ("trials", "epochs", "retrained"):
        table, expected = getattr(run, name), getattr(other, name)
        pd.testing.assert_frame_equal(table, expected)
        assert table.attrs == expected.attrs
    assert (run.config, run.objectives, run.ended, run.seconds) == (
        other.config, other.objectives, other.ended, other.seconds,
    )  # fmt: skip


def test_a_snapshot_stands_for_the_log_until_it_grows(make):
    folder = make("run")
    replayed = load_run(folder)
    replayed.export()
    assert_same(load_run(folder), replayed)
    with sqlite3.connect(
        folder / "events.db"
    ) as connection:  # the log's last event stays, so it is not replayed
        connection.execute(
            "UPDATE events SET data = '{\"status\": \"failed\"}' WHERE kind = 'finished' AND trial = 0"
        )
    connection.close()
    assert load_run(folder).trials["status"].tolist() == ["complete", "complete"]
    with EventLog(folder / "events.db") as log:
        log.append(
            "retrained",
            1,
            seed=3,
            top1=0.8,
            top5=0.9,
            epochs=100,
            recipe="resnest",
            images=50,
        )
    run = load_run(folder)
    assert run.trials["status"].tolist() == ["failed", "complete"]
    assert list(run.retrained) == [*RETRAINED_COLUMNS, "images"]
    assert run.retrained.iloc[0].drop("finished").tolist() == [
        1,
        3,
        0.8,
        0.9,
        100,
        "resnest",
        50,
    ]
    run.export()
    assert_same(load_run(folder), run)


@pytest.mark.parametrize("name", ["trials.parquet", "epochs.parquet"])
@pytest.mark.parametrize("size", [0, 10, 2000])
def test_a_truncated_snapshot_is_replayed(make, name, size):
    folder = make("run")
    replayed = load_run(folder)
    replayed.export()
    (folder / name).write_bytes((folder / name).read_bytes()[:size])
    assert_same(load_run(folder), replayed)
    (folder / name).unlink()
    assert_same(load_run(folder), replayed)


def test_a_run_elsewhere_is_read_by_its_url(make):
    folder = make("run")
    memory = fsspec.filesystem("memory")
    memory.put(str(folder / "events.db"), "/bucket/run/events.db")
    memory.pipe("/bucket/run/config.yaml", b"trials: 2\n")
    run = load_run("memory://bucket/run")
    assert (run.url, run.config) == ("memory://bucket/run", {"trials": 2})
    pd.testing.assert_frame_equal(run.trials, load_run(folder).trials)
    assert run.front()["trial"].tolist() == [1, 0]
    with pytest.raises(
        ValueError, match="memory://bucket/run: is elsewhere and only read"
    ):
        run.export()
    local = load_run(f"file://{folder}")
    assert (local.url, local.path) == (None, folder)
    assert load_runs("memory://bucket/*").trials["run"].tolist() == ["run", "run"]
    with pytest.raises(ValueError, match="memory://bucket/none: no run folder"):
        load_run("memory://bucket/none")
    with pytest.raises(ValueError, match="nowhere://run: "):
        load_run("nowhere://run")


def test_runs_come_together_in_one_table(make, tmp_path):
    make("runs/a", device="CPU"), make("runs/b", accuracy=0.7)
    (tmp_path / "runs" / "no run").mkdir()
    runs = load_runs(str(tmp_path / "runs" / "*"))
    assert runs.trials["run"].tolist() == ["a", "a", "b", "b"]
    assert list(runs.trials) == ["run", *load_run(tmp_path / "runs" / "a").trials]
    dtypes = load_run(tmp_path / "runs" / "a").trials.dtypes
    assert (runs.trials.dtypes[list(dtypes.index)] == dtypes).all()
    assert runs.trials.attrs["units"]["latency_ms"] == "ms"
    assert runs.epochs["run"].tolist() == ["a", "a", "b", "b"]
    assert runs.front()[["run", "trial"]].to_numpy().tolist() == [["b", 0], ["b", 1]]


def test_runs_that_do_not_compare_are_refused_and_named(make):
    one = make("one", data={"name": "digits"}, training={"epochs": 6})
    other = make(
        "two", device="GPU", data={"name": "cifar10", "new": 1}, training={"epochs": 9}
    )
    with pytest.raises(ValueError, match="do not compare") as refused:
        load_runs([one, other])
    for words in (
        "data.name is digits in one, cifar10 in two",
        "training.epochs is 6 in one, 9",
        "device is CPU in one",
    ):
        assert words in str(refused.value)
    assert "new" not in str(refused.value)
    assert len(load_runs([one, other], mixed=True).trials) == 4


def test_a_pattern_finds_tables_alone_and_leaves_out_what_has_just_begun(
    make, tmp_path
):
    tables = make("runs/tables")
    load_run(tables).export()
    (tables / "events.db").unlink()
    make("runs/whole")
    for name in ("created", "without events"):
        (tmp_path / "runs" / name).mkdir()
    (tmp_path / "runs" / "created" / "events.db").touch()
    EventLog(tmp_path / "runs" / "without events" / "events.db").close()
    with pytest.warns(UserWarning, match="left out: .* the run is empty") as told:
        runs = load_runs(str(tmp_path / "runs" / "*"))
    assert list(runs.runs) == ["tables", "whole"]
    assert len(told) == 2
    with pytest.raises(ValueError, match="created: the run is empty"):
        load_runs([tmp_path / "runs" / "created"])
    system = fsspec.filesystem("memory")
    system.put(str(tables), "memory://published/tables", recursive=True)
    assert list(load_runs("memory://published/*").runs) == ["tables"]


def test_a_remote_run_knows_what_it_ran_on(make):
    folder = make("run")
    (folder / "environment.json").write_text('{"cpu": "a fast one"}')
    system = fsspec.filesystem("memory")
    system.put(str(folder), "memory://elsewhere/run", recursive=True)
    run = load_run("memory://elsewhere/run")
    assert run.environment == load_run(folder).environment == {"cpu": "a fast one"}
    assert "a fast one" in page_data(run)["environment"]


def test_a_workbook_opens_with_its_times_and_texts(make, tmp_path):
    """Read by openpyxl: Excel has no time zones, and takes a text with "=" first for a formula."""
    openpyxl = pytest.importorskip("openpyxl")
    trials = load_run(make("run")).trials.assign(note=["=1+1", "a\x1b[b"])
    trials["=mixed"] = [pd.Timestamp("2026-01-01", tz="UTC"), "=2"]
    write_table(trials, tmp_path / "out.xlsx")
    header, first, second = openpyxl.load_workbook(tmp_path / "out.xlsx").active.values
    row = dict(zip(header, first, strict=True))
    assert row["started"] == trials["started"][0].tz_localize(None).to_pydatetime()
    assert (row["accuracy"], row["flops"]) == (0.5, 100)
    assert (row["note"], second[-2:]) == ("'=1+1", ("a[b", "'=2"))
    assert first[-1] == pd.Timestamp("2026-01-01").to_pydatetime()
    assert list(header) == [*[*trials][:-1], "'=mixed"]


def test_what_cannot_be_loaded_together_is_named(make, tmp_path):
    folder = make("run")
    with pytest.raises(ValueError, match="is named twice"):
        load_runs([folder, folder])
    with pytest.raises(ValueError, match="no run folder there"):
        load_runs(str(tmp_path / "none" / "*"))
    with pytest.raises(ValueError, match="no runs are named"):
        load_runs([])
    copy = shutil.copytree(folder, tmp_path / "other" / "run")
    assert load_runs([folder, copy]).trials["run"].nunique() == 2


def test_tables_leave_as_csv_parquet_and_json(make, tmp_path):
    trials = load_run(make("run")).trials
    for suffix, read in (
        (".csv", pd.read_csv),
        (".json", partial(pd.read_json, precise_float=True)),
        (".parquet", pd.read_parquet),
    ):
        write_table(trials, tmp_path / f"out{suffix}")
        back = read(tmp_path / f"out{suffix}")
        assert list(back) == list(trials)
        assert back["accuracy"].tolist() == trials["accuracy"].tolist()
        assert back["params"].isna().all()
    with pytest.raises(ValueError, match=r"\.ods is no format of tables"):
        write_table(trials, tmp_path / "out.ods")


def test_logs_of_version_1_load_for_ever(tmp_path):
    """The file was written by schema version 1 and must never be written again."""
    shutil.copy(GOLDEN, tmp_path / "events.db")
    run = load_run(tmp_path)
    assert list(run.trials) == [
        *TRIAL_COLUMNS,
        "energy",
        "duplicate_of",
        "arch.radix",
        "arch.stem",
        "arch",
    ]
    assert run.trials["status"].tolist() == [
        "complete",
        "stopped",
        "failed",
        "duplicate",
        "running",
    ]
    assert run.trials["accuracy"].tolist()[:2] == [0.9, 0.4]
    assert run.trials["error"].tolist()[2] == "out of memory"
    assert run.front()["trial"].tolist() == [0]
    assert run.epochs[["trial", "epoch"]].to_numpy().tolist() == [
        [0, 1],
        [0, 2],
        [1, 1],
    ]
    assert run.retrained["top1"].tolist() == [0.95]
    assert (run.config, run.ended) == (
        {"data": {"name": "digits"}, "trials": 5},
        "5 trials done",
    )


def test_devices_never_meet_in_one_front(make, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    with EventLog(bare / "events.db") as log:
        log.append("search_started", config={"data": "digits"}, objectives=OBJECTIVES)
    folders = [bare, make("one", "CPU A"), make("two", "CPU B")]
    with pytest.raises(ValueError, match="device is CPU A in one, CPU B in two"):
        load_runs(folders)
    mixed = load_runs(folders, mixed=True)
    assert len(mixed.front(OBJECTIVES))
    trials = mixed.trials.assign(
        latency_ms=1.0, predicted_latency_ms=1.0, predicted_latency_device="A"
    )
    trials.loc[trials["run"] == "two", "predicted_latency_device"] = "B"
    found = replace(mixed, trials=trials)
    for name in ("latency_ms", "predicted_latency_ms"):
        with pytest.raises(ValueError, match="2 devices do not compare"):
            found.front({"accuracy": "max", name: "min"})

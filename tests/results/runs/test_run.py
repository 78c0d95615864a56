import json
import shutil

import pandas as pd
import pytest

import results
from results import load_run, write_report
from results.metrics import EPOCH_COLUMNS, TRIAL_COLUMNS

MEASURES = {"flops": 100, "latency_ms": 2.0}


@pytest.fixture
def run_folder(log, start, add):
    """Five outcomes; trials 0 and 2 are the front, 1 is dominated."""
    start()
    add(0, accuracies=(0.5, 0.9), status="complete", flops=200, latency_ms=4.0)
    add(1, accuracies=(0.4, 0.6), status="complete", flops=150, latency_ms=3.0)
    add(
        2,
        accuracies=(0.3, 0.7),
        status="complete",
        flops=100,
        latency_ms=2.0,
        energy=1.5,
    )
    add(3, accuracies=(0.99,), status="stopped", **MEASURES)
    add(4, status="duplicate", flops=100)
    add(5, accuracies=(0.1,), status="failed", error="out of memory", flops=10**12)
    add(6, accuracies=(0.2,), flops=float("nan"))
    log.append("of a later version", trial=9, anything=1)
    return log.path.parent


def test_the_fold_of_every_outcome(run_folder):
    run = load_run(run_folder)
    trials = run.trials.set_index("trial").drop(9)
    assert trials["status"].tolist() == [
        *["complete"] * 3,
        "stopped",
        "duplicate",
        "failed",
        "running",
    ]
    assert trials["accuracy"].tolist()[:4] == [0.9, 0.6, 0.7, 0.99]
    assert trials["epochs"].tolist() == [2, 2, 2, 1, 0, 1, 1]
    assert trials.loc[5, "error"] == "out of memory"
    assert trials.loc[5, "flops"] == 10**12
    assert trials.loc[0, "seconds"] == 4.0
    assert trials.loc[0, "started"] == pd.Timestamp(1_760_000_001, unit="s", tz="UTC")
    assert trials.loc[2, "energy"] == 1.5
    assert json.loads(trials.loc[0, "arch"]) == {"radix": 2, "stem": "deep"}
    missing = [
        (4, "accuracy"),
        (4, "latency_ms"),
        (6, "flops"),
        (6, "seconds"),
        (6, "finished"),
        (0, "params"),
    ]
    assert all(pd.isna(trials.loc[number, name]) for number, name in missing)
    assert run.epochs["trial"].tolist() == [0, 0, 1, 1, 2, 2, 3, 5, 6]
    assert run.ended is None


def test_columns_and_types_do_not_depend_on_what_was_measured(run_folder, tmp_path):
    (tmp_path / "bare").mkdir()
    with results.EventLog(tmp_path / "bare" / "events.db") as log:
        log.append(
            "search_started", config={}, objectives={"accuracy": "max", "energy": "min"}
        )
    full, bare = load_run(run_folder), load_run(tmp_path / "bare")
    assert list(full.trials) == [
        *TRIAL_COLUMNS,
        "energy",
        "arch.radix",
        "arch.stem",
        "arch",
    ]
    assert list(bare.trials) == [*TRIAL_COLUMNS, "energy", "arch"]
    assert (
        full.trials.dtypes[[*TRIAL_COLUMNS, "energy"]] == bare.trials.dtypes[:-1]
    ).all()
    assert list(full.epochs) == list(bare.epochs) == list(EPOCH_COLUMNS)
    types = full.trials.dtypes.astype(str)
    assert types[["flops", "accuracy", "error", "arch.radix"]].tolist() == [
        "Int64",
        "float64",
        "string",
        "Int64",
    ]
    assert types["started"].endswith(", UTC]")
    assert full.trials.attrs["units"]["latency_ms"] == "ms"
    assert bare.front().empty
    assert bare.hypervolume() == 0.0


def test_odd_values_still_load_and_export(log, start, add):
    start()
    add(
        0,
        accuracies=(0.5,),
        status="complete",
        latency_ms=1.0,
        flops=1.5,
        samples=[1, 2],
        note=3,
    )
    add(1, accuracies=(0.6,), status="complete", latency_ms=2.0, flops=2, note="mixed")
    run = load_run(log.path.parent)
    assert run.trials["flops"].tolist() == [1.5, 2.0]
    assert run.trials["samples"].iloc[0] == "[1, 2]"
    assert run.trials["note"].tolist() == ["3", "mixed"]
    run.export()


def test_a_trial_that_went_back_to_a_checkpoint_counts_each_epoch_once(log, start, add):
    start()
    add(0, accuracies=(0.1, 0.2, 0.3), status="failed", error="host lost")
    log.append("proposed", 0, arch_id="id0", space="resnest", arch={}, knobs={}, seed=0)
    log.append("epoch", 0, epoch=2, accuracy=0.25)
    trial = load_run(log.path.parent).trials.iloc[0]
    assert (trial["status"], trial["epochs"], trial["accuracy"]) == ("running", 2, 0.25)
    assert pd.isna(trial["error"])


def test_front_has_only_complete_trials_best_first(run_folder):
    run = load_run(run_folder)
    assert run.front()["trial"].tolist() == [0, 2]
    assert run.front({"flops": "min"})["trial"].tolist() == [2]
    with pytest.raises(ValueError, match="speed is no column"):
        run.front({"speed": "max"})


def test_latencies_of_two_devices_are_not_mixed(log, start, add):
    start()
    add(0, accuracies=(0.5,), status="complete", device="CPU", **MEASURES)
    add(1, accuracies=(0.6,), status="complete", device="GPU", **MEASURES)
    run = load_run(log.path.parent)
    with pytest.raises(
        ValueError, match=r"latencies of 2 devices do not compare \(CPU; GPU\)"
    ):
        run.front()
    run.export()
    front = json.loads((run.path / "front.json").read_text())
    assert front["networks"] == []
    assert "2 devices do not compare" in front["no_front"]
    write_report(run, run.path / "report.html")
    assert (
        "There is no front: latencies of 2 devices"
        in (run.path / "report.html").read_text()
    )
    assert run.front({"accuracy": "max", "flops": "min"})["trial"].tolist() == [1]


def test_the_reference_point_is_the_worst_value_unless_chosen(run_folder):
    run = load_run(run_folder)
    assert run.reference_point() == {"accuracy": 0.6, "latency_ms": 4.0, "flops": 200.0}
    assert run.hypervolume() == pytest.approx(0.1 * 2 * 100)
    chosen = {"accuracy": 0.0, "latency_ms": 5.0, "flops": 300}
    (run_folder / "config.yaml").write_text(f"reference_point: {chosen}\n")
    assert load_run(run_folder).hypervolume() == pytest.approx(run.hypervolume(chosen))
    assert run.hypervolume({"accuracy": 0.5}, {"accuracy": "max"}) == pytest.approx(0.4)


def test_export_and_a_copy_elsewhere(run_folder, tmp_path):
    load_run(run_folder).export()
    run = load_run(shutil.copytree(run_folder, tmp_path / "copy"))
    pd.testing.assert_frame_equal(
        pd.read_parquet(run.path / "trials.parquet"), run.trials
    )
    pd.testing.assert_frame_equal(
        pd.read_parquet(run.path / "epochs.parquet"), run.epochs
    )
    front = json.loads(
        (run.path / "front.json").read_text(), parse_constant=pytest.fail
    )
    assert front["hypervolume"] == run.hypervolume()
    assert front["objectives"] == run.objectives
    assert [network["trial"] for network in front["networks"]] == [0, 2]
    assert front["networks"][1]["energy"] == 1.5
    assert front["networks"][0]["params"] is None
    assert front["networks"][0]["arch"] == {"radix": 2, "stem": "deep"}


def test_full_fidelity_is_the_newest_way_of_retraining(run_folder, log):
    run = load_run(run_folder)
    with pytest.raises(
        ValueError, match="no network of this run has been retrained and validated"
    ):
        run.full_fidelity()
    rows = [
        (0, 0, 0.99, "old"),
        (1, 0, 0.5, "new"),  # once more below, into another folder
        (1, 0, 0.91, "new"),
        (1, 1, 0.93, "new"),
        (2, 0, None, "new"),
        (3, 0, 0.95, "new"),
    ]
    for trial, seed, accuracy, recipe in rows:
        measured = {"validation_accuracy": accuracy} if accuracy else {}
        log.append(
            "retrained",
            trial,
            seed=seed,
            top1=0.4,
            top5=1.0,
            epochs=30,
            recipe=recipe,
            **measured,
        )
    full = load_run(run_folder).full_fidelity()
    assert full.trials.set_index("trial")["accuracy"].to_dict() == pytest.approx(
        {1: 0.92, 3: 0.95}
    )
    assert full.trials["top1"].tolist() == [0.4, 0.4]
    assert full.front()["trial"].tolist() == [3]
    assert run.front()["trial"].tolist() == [0, 2]
    with pytest.raises(ValueError, match="only a whole run"):
        full.export()


def test_tables_are_a_run_without_their_log(run_folder, monkeypatch):
    before = load_run(run_folder)
    before.export()
    (run_folder / "events.db").unlink()
    run = load_run(run_folder)
    pd.testing.assert_frame_equal(run.front(), before.front())
    pd.testing.assert_frame_equal(run.epochs, before.epochs)
    assert (run.objectives, run.ended, run.seconds) == (
        before.objectives,
        before.ended,
        before.seconds,
    )
    monkeypatch.setattr("results.runs.loading.FRONTS", run_folder.parent)
    assert results.load_front(run_folder.name).hypervolume() == before.hypervolume()
    with pytest.raises(
        ValueError,
        match=f"no published front is called 'none'; there are .*{run_folder.name}",
    ):
        results.load_front("none")


def test_a_real_front_is_published():
    run = results.load_front("cifar10-small")
    assert run.config["data"]["root"] is None
    assert set(run.front()["status"]) == {"complete"}
    best = run.complete["accuracy"].max()
    assert (
        run.select(maximize="accuracy").row["accuracy"]
        == best
        == run.front()["accuracy"].max()
    )


def test_time_between_a_crash_and_the_resume_does_not_count(tmp_path):
    times = iter([0.0, 10.0, 1000.0, 1005.0])
    with results.EventLog(tmp_path / "events.db", clock=lambda: next(times)) as log:
        log.append("search_started")
        log.append("search_finished", reason="interrupted")
        log.append("search_started")
        log.append("search_finished", reason="done")
    run = load_run(tmp_path)
    assert (run.seconds, run.ended) == (15.0, "done")


def test_what_is_no_run_is_named(tmp_path, log):
    with pytest.raises(ValueError, match="nowhere: no such run folder"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"holds no events\.db"):
        load_run(tmp_path)
    with pytest.raises(ValueError, match="the run is empty"):
        load_run(log.path.parent)
    log.append("epoch", trial=0, accuracy=1.0)
    with pytest.raises(
        ValueError, match=r"events\.db: event 1 \(epoch, trial 0\) lacks 'epoch'"
    ):
        load_run(log.path.parent)


@pytest.mark.parametrize("text", ["a: [1", "- a list", "\x00"])
def test_damaged_settings_are_named(run_folder, text):
    (run_folder / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml: "):
        load_run(run_folder)


def test_the_public_surface():
    assert all(hasattr(results, name) for name in results.__all__)

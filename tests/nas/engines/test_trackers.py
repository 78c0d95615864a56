"""A trial that was put aside, promoted, lost and resumed is one curve to trackers, whole and in order."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event as Record

from nas.engines.trackers import check_loggers, make_trackers
from results import MemoryLog, TrialStatus
from results.log.events import (
    Content,
    Decided,
    EpochEnded,
    Finished,
    Lost,
    Measured,
    Promoted,
    Proposed,
    SearchFinished,
)

ENDS = {
    0: TrialStatus.COMPLETE,
    1: TrialStatus.STOPPED,
    2: TrialStatus.FAILED,
    3: TrialStatus.INFEASIBLE,
}


def epochs(trial: int, *numbers: int) -> list[Content]:
    return [EpochEnded(trial, n, {"accuracy": n / 10, "note": "x"}) for n in numbers]


def first_driver() -> Iterator[Content]:
    for trial in ENDS:
        yield Proposed(trial, "abc", "resnest", {}, {"radix": trial}, 0)
        yield Measured(trial, {"flops": 10 * trial})
    yield from epochs(0, 1, 2)
    yield Decided(0, "pause", 2)
    yield from epochs(1, 1)
    yield Finished(1, ENDS[1])
    yield Finished(2, ENDS[2], "out of memory")
    yield Finished(3, ENDS[3], "flops")
    yield Promoted(0)
    yield from epochs(0, 3)
    yield Lost(0, "node gone")
    yield from epochs(0, 4)
    yield SearchFinished(None, "interrupted")


def second_driver() -> Iterator[Content]:
    yield from epochs(0, 5, 6)
    yield Finished(0, ENDS[0])
    yield SearchFinished(None)


def told(logger: str, folder: Path) -> None:
    """All that happens, by two drivers: the second begins with a tracker that knows nothing."""
    for contents in (first_driver(), second_driver()):
        (tracking,) = make_trackers([logger], folder)
        for event in MemoryLog().commit(list(contents)):
            tracking(event)


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    """(step, value) in the order of the files, as the format defines them: length, sum, record, sum."""
    found = []
    for path in sorted(folder.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            record = Record.FromString(data[at + 12 : at + 12 + size])
            found += [
                (record.step, round(value.simple_value, 6))
                for value in record.summary.value
                if value.tag == tag
            ]
            at += 16 + size
    return found


def test_tensorboard_has_one_curve_a_network_and_an_epoch_a_step(
    tmp_path: Path,
) -> None:
    told("tensorboard", tmp_path)
    board = tmp_path / "tensorboard"
    assert sorted(path.name for path in board.iterdir()) == [
        f"trial-{trial:05d}" for trial in ENDS
    ]
    curve = scalars(board / "trial-00000", "accuracy")
    assert curve == [(n, n / 10) for n in range(1, 7)]
    assert scalars(board / "trial-00001", "accuracy") == [(1, 0.1)]
    assert scalars(board / "trial-00002", "flops") == [(0, 20)]


class FakeClient:
    """The part of MLflow's client that is used, keeping what it was told; one server for all."""

    experiments: dict[str, str]
    runs: dict[str, dict[str, Any]]

    def get_experiment_by_name(self, name: str) -> Any:
        known = self.experiments.get(name)
        return known and SimpleNamespace(experiment_id=known)

    def create_experiment(self, name: str) -> str:
        return self.experiments.setdefault(name, f"e{len(self.experiments)}")

    def create_run(self, experiment: str, tags: dict[str, str], run_name: str) -> Any:
        name = f"r{len(self.runs)}"
        self.runs[name] = {"tags": dict(tags), "curve": [], "status": "RUNNING"}
        return SimpleNamespace(info=SimpleNamespace(run_id=name))

    def search_runs(self, experiments: list[str], wanted: str) -> list[Any]:
        fits = [
            name
            for name, run in self.runs.items()
            if all(
                f"tags.{k} = '{run['tags'][k]}'" in wanted for k in ("trial", "folder")
            )
        ]
        return [SimpleNamespace(info=SimpleNamespace(run_id=name)) for name in fits]

    def update_run(self, run: str, status: str) -> None:
        self.runs[run]["status"] = status

    def log_param(self, run: str, name: str, value: str) -> None:
        self.runs[run][name] = value

    def log_metric(self, run: str, name: str, value: float, step: int) -> None:
        self.runs[run]["curve"].append((name, step, value))

    def set_tag(self, run: str, name: str, value: str) -> None:
        self.runs[run]["tags"][name] = value

    def set_terminated(self, run: str, status: str) -> None:
        self.runs[run]["status"] = status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    client = type("Client", (FakeClient,), {"experiments": {}, "runs": {}})
    module = ModuleType("mlflow")
    module.__dict__.update(MlflowClient=client, __spec__=object())
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return client


def test_mlflow_has_a_run_a_network_with_its_outcome(
    tmp_path: Path, server: type[FakeClient]
) -> None:
    told("mlflow", tmp_path)
    assert list(server.experiments) == [tmp_path.name]
    runs = {int(run["tags"]["trial"]): run for run in server.runs.values()}
    assert len(server.runs) == len(runs) == len(ENDS)
    assert {trial: run["status"] for trial, run in runs.items()} == {
        0: "FINISHED",
        1: "KILLED",
        2: "FAILED",
        3: "KILLED",
    }
    assert {trial: run["tags"]["status"] for trial, run in runs.items()} == ENDS
    accuracies = [(step, v) for name, step, v in runs[0]["curve"] if name == "accuracy"]
    assert accuracies == [(n, n / 10) for n in range(1, 7)]
    assert (runs[1]["radix"], runs[1]["network"]) == ("1", "abc")


class FakeRun:
    """What Weights & Biases keeps of a run under its name."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.tags: tuple[str, ...] = ()
        self.config: dict[str, str] = {}
        self.codes: list[int] = []

    def define_metric(self, name: str, step_metric: str) -> None:
        assert (name, step_metric) == ("*", "epoch")

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)

    def finish(self, exit_code: int) -> None:
        self.codes.append(exit_code)


def test_wandb_has_a_run_a_network_with_its_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: dict[str, FakeRun] = {}

    def init(**given: Any) -> FakeRun:
        assert (given["group"], given["resume"]) == (tmp_path.name, "allow")
        run = runs.setdefault(given["id"], FakeRun())
        run.config |= given["config"]
        return run

    module = ModuleType("wandb")
    module.__dict__.update(init=init, __spec__=object())
    monkeypatch.setitem(sys.modules, "wandb", module)
    told("wandb", tmp_path)
    by_trial = {int(name[-5:]): run for name, run in runs.items()}
    assert len(runs) == len(by_trial) == len(ENDS)
    assert {trial: run.tags for trial, run in by_trial.items()} == {
        trial: (str(status),) for trial, status in ENDS.items()
    }
    curve = [row for row in by_trial[0].rows if "accuracy" in row]
    assert curve == [{"accuracy": n / 10, "epoch": n} for n in range(1, 7)]
    assert [run.codes[-1] for run in by_trial.values()] == [0, 0, 1, 0]
    assert by_trial[1].config["radix"] == "1"


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_is_named(name: str) -> None:
    if find_spec(name) is not None:
        pytest.skip(f"{name} is installed here")
    with pytest.raises(ValueError, match=f"pip install {name}"):
        check_loggers([name])
